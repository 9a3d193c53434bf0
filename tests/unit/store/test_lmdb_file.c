/*
 * What may lie where the log's data file should: cut off, damaged, foreign, not a file. Each case
 * is opened in a child, so that a signal is seen as what it is.
 */
#include "store/lmdb_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "unit/base/scratch.h"
#include "unit/store/log_fixture.h"
#include "unit/store/process_fixture.h"

#include "base/banned.h"

enum {
	EVENTS = 40,
	LEAF_BYTES = 400,
	PAGE_BYTES = 4096,
	META_BYTES = 152,
	META_PAIR_BYTES = 2 * META_BYTES,
	TWO_PAGES = 2 * PAGE_BYTES,
	THREE_PAGES = 3 * PAGE_BYTES,
	FILE_BYTES_MAX = 64 * 1024 * 1024,
};

/* The events are known to have been there: nothing is taken back. */
static const struct evlog_lmdb_options plain = { .events_known = EVENTS };

/* A log of EVENTS events in the scratch directory; its data file in @ret. */
static void make_log(void **state, struct buf *ret)
{
	char path[SCRATCH_PATH_MAX];
	struct evlog *log;

	assert_int_equal(
		evlog_lmdb_open(*state, (struct evlog_lmdb_options){ .create = true }, &log, NULL),
		STATUS_OK);
	for (uint64_t size = 0; size < EVENTS; size++)
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
	assert_int_equal(
		fs_read_file(scratch_path(state, "data.mdb", path), FILE_BYTES_MAX, ret, NULL),
		STATUS_OK);
}

static void put_data(void **state, const void *data, size_t len)
{
	char path[SCRATCH_PATH_MAX];
	int fd = open(scratch_path(state, "data.mdb", path),
		      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
}

/* Open and read everything. The status is the exit code. */
static int open_and_read(const struct child *child, const void *context)
{
	struct evlog_snapshot *snapshot;
	struct evlog *log;
	enum status status = evlog_lmdb_open(context, plain, &log, NULL);

	(void)child;
	if (!status)
		status = evlog_snapshot_open(log, &snapshot, NULL);
	for (uint64_t seq = 1; !status && seq <= snapshot->size; seq++) {
		struct slice leaf, row;

		status = evlog_leaf(snapshot, seq, &leaf, NULL);
		if (!status)
			status = evlog_row(snapshot, seq, &row, NULL);
	}
	return (int)status;
}

static void test_truncated(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	const size_t lengths[] = { 100,           PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 100,
				   TWO_PAGES - 1, TWO_PAGES,      THREE_PAGES };

	make_log(state, &data);
	assert_int_equal(child_run(open_and_read, *state), STATUS_OK);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_data(state, data.data, lengths[i]);
		assert_int_equal(child_run(open_and_read, *state), STATUS_CORRUPT);
	}
	/* From the end, page by page and within pages. */
	for (size_t cut = 1; cut < data.len / 2; cut += PAGE_BYTES / 2) {
		put_data(state, data.data, data.len - cut);
		assert_int_equal(child_run(open_and_read, *state), STATUS_CORRUPT);
	}
	/* So it looks as well when its creation was cut short: the store knows (test_store.c). */
	put_data(state, data.data, 0);
	assert_int_equal(child_run(open_and_read, *state), STATUS_NO_STORE);
	put_data(state, data.data, data.len);
	assert_int_equal(child_run(open_and_read, *state), STATUS_OK);
}

/* Cut off while it is open: no page that is gone is touched. */
static int cut_while_open(const struct child *child, const void *context)
{
	char path[SCRATCH_PATH_MAX];
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;
	struct evlog *log;

	(void)child;
	(void)snprintf(path, sizeof(path), "%s/data.mdb", (const char *)context);
	if (evlog_lmdb_open(context, plain, &log, NULL))
		return 1;
	for (off_t bytes = 3 * (off_t)PAGE_BYTES; bytes >= 0; bytes -= PAGE_BYTES / 2) {
		if (truncate(path, bytes) ||
		    evlog_snapshot_open(log, &snapshot, &err) != STATUS_CORRUPT ||
		    log_append(log, EVENTS, 1, LEAF_BYTES, &err) != STATUS_CORRUPT)
			return 2;
	}
	return 0;
}

static void test_truncated_while_open(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;

	make_log(state, &data);
	assert_int_equal(child_run(cut_while_open, *state), 0);
}

/* Whatever a meta page says, opening answers; and a page size or a length that cannot be is found.
 */
static void test_damaged_meta(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	unsigned refused = 0;

	make_log(state, &data);
	for (size_t at = 0; at < META_PAIR_BYTES; at++) {
		size_t offset = at < META_BYTES ? at : PAGE_BYTES + at - META_BYTES;
		int result;

		data.data[offset] ^= 0xff;
		put_data(state, data.data, data.len);
		data.data[offset] ^= 0xff;
		result = child_run(open_and_read, *state);
		if (result < 0)
			print_message("byte %zu: signal %d\n", offset, -result);
		assert_true(result >= 0);
		refused += result == STATUS_CORRUPT;
	}
	print_message("%u of %d damaged meta pages refused\n", refused, META_PAIR_BYTES);
	assert_true(refused > 40);
}

static void test_foreign(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	char *text = malloc(100000);
	struct error err = ERROR_INIT;
	struct evlog *log;

	make_log(state, &data);
	assert_non_null(text);
	memset(text, 'x', 100000);
	put_data(state, text, 100000);
	assert_int_equal(child_run(open_and_read, *state), STATUS_CORRUPT);
	assert_int_equal(evlog_lmdb_open(*state, plain, &log, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "not an LMDB file"));
	memset(text, 0, 100000);
	put_data(state, text, 100000);
	assert_int_equal(child_run(open_and_read, *state), STATUS_CORRUPT);
	free(text);
	/* The page size at 40 in both pages: 0 would be divided by. */
	memset(data.data + 40, 0, 4);
	memset(data.data + PAGE_BYTES + 40, 0, 4);
	put_data(state, data.data, data.len);
	assert_int_equal(child_run(open_and_read, *state), STATUS_CORRUPT);
}

static void test_not_a_file(void **state)
{
	char data[SCRATCH_PATH_MAX], lock[SCRATCH_PATH_MAX], other[SCRATCH_PATH_MAX];
	struct stat info;
	bool exists = true;

	(void)scratch_path(state, "data.mdb", data);
	(void)scratch_path(state, "lock.mdb", lock);
	(void)scratch_path(state, "other", other);
	assert_int_equal(lmdb_file_check_plain(data, &exists, &info, NULL), STATUS_OK);
	assert_false(exists);
	assert_int_equal(child_run(open_and_read, *state), STATUS_NO_STORE);
	assert_int_equal(mkfifo(data, 0600), 0);
	assert_int_equal(child_run(open_and_read, *state), STATUS_IO);
	assert_int_equal(unlink(data), 0);
	assert_int_equal(mkdir(data, 0700), 0);
	assert_int_equal(child_run(open_and_read, *state), STATUS_IO);
	assert_int_equal(rmdir(data), 0);
	assert_int_equal(symlink(other, data), 0);
	assert_int_equal(child_run(open_and_read, *state), STATUS_IO);
	assert_int_equal(unlink(data), 0);
	assert_int_equal(symlink(other, lock), 0);
	assert_int_equal(child_run(open_and_read, *state), STATUS_IO);
	assert_false(fs_exists(other));
}

/* The good cases of the two functions themselves. */
static void test_examine(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];
	struct lmdb_file file;
	struct stat info;
	bool exists = false;
	int fd AUTO_FD = -1;

	make_log(state, &data);
	(void)scratch_path(state, "data.mdb", path);
	assert_int_equal(lmdb_file_check_plain(path, &exists, &info, NULL), STATUS_OK);
	assert_true(exists);
	assert_int_equal(info.st_size, data.len);
	assert_int_equal(info.st_mode & 0777, 0600);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(lmdb_file_examine(fd, path, &file, NULL), STATUS_OK);
	assert_int_equal(file.condition, LMDB_FILE_SOUND);
	assert_int_equal(truncate(path, (off_t)data.len - PAGE_BYTES), 0);
	assert_int_equal(lmdb_file_examine(fd, path, &file, NULL), STATUS_CORRUPT);
}

/* What a reader without a lock asks when it met damage. */
static void test_moved(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[SCRATCH_PATH_MAX];
	uint64_t before = 0;

	make_log(state, &data);
	(void)scratch_path(state, "data.mdb", path);
	assert_int_equal(lmdb_file_transaction(path, &before, NULL), STATUS_OK);
	assert_true(before > 0);
	assert_int_equal(lmdb_file_check_unmoved(path, before, &err), STATUS_OK);
	assert_int_equal(lmdb_file_check_unmoved(path, 0, &err), STATUS_OK);
	assert_int_equal(lmdb_file_check_unmoved("/nonexistent", before, &err), STATUS_OK);
	assert_int_equal(err.status, STATUS_OK);
	assert_int_equal(lmdb_file_check_unmoved(path, before - 1, &err), STATUS_LOCKED);
	assert_non_null(strstr(err.text, "is being written to"));
	assert_true(err.hint[0] != '\0');
	put_data(state, "rubbish", 7);
	assert_int_equal(lmdb_file_transaction(path, &before, NULL), STATUS_CORRUPT);
	assert_int_equal(lmdb_file_check_unmoved(path, before, NULL), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_truncated, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_truncated_while_open, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_meta, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_foreign, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_not_a_file, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_moved, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_examine, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
