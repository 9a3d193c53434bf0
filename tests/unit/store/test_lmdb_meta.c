/*
 * Every tear of LMDB's write of a meta page: opened for writing, the log shows the commit or the
 * one before, whole, and goes on; and it is taken back only where nothing known would be lost.
 */
#include "store/lmdb_meta.h"

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
	LEAF_BYTES = 400,
	PAGE_BYTES = 4096,
	META_AT = 32, /* in its page: what LMDB writes at a commit */
	META_BYTES = 120,
	FILE_BYTES_MAX = 64 * 1024 * 1024,
	/* Among them commits after which the tables, and the list of free pages, look different. */
	COMMITS = 6,
	OUTCOME_NEW = 100,
	OUTCOME_OLD = 101,
};

struct torn {
	const char *dir;
	uint64_t size; /* events after the commit */
	uint64_t events_known;
	bool read_only;
};

static void read_data(const char *path, struct buf *ret)
{
	buf_clear(ret);
	assert_int_equal(fs_read_file(path, FILE_BYTES_MAX, ret, NULL), STATUS_OK);
}

static void put_data(const char *path, const struct buf *data)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data->data, data->len), data->len);
	assert_int_equal(close(fd), 0);
}

/* In a child: open, read all, append twice, read all again. Returns an outcome or a status. */
static int use(const struct child *child, const void *context)
{
	const struct torn *torn = context;
	struct evlog_lmdb_options options = { .read_only = torn->read_only,
					      .events_known = torn->events_known };
	struct evlog_snapshot *snapshot;
	struct evlog *log;
	uint64_t size = 0;
	enum status status = evlog_lmdb_open(torn->dir, options, &log, NULL);

	(void)child;
	for (int round = 0; !status && round < 3; round++) {
		if (round > 0 && !torn->read_only)
			status = log_append(log, size + (uint64_t)round - 1, 1, LEAF_BYTES, NULL);
		if (!status)
			status = evlog_snapshot_open(log, &snapshot, NULL);
		if (status)
			break;
		if (round == 0)
			size = snapshot->size;
		for (uint64_t seq = 1; !status && seq <= snapshot->size; seq++) {
			struct slice leaf;

			status = evlog_leaf(snapshot, seq, &leaf, NULL);
		}
		evlog_snapshot_close(snapshot);
	}
	if (status)
		return (int)status;
	if (size == torn->size)
		return OUTCOME_NEW;
	return size + 1 == torn->size ? OUTCOME_OLD : 1;
}

/* The meta page that the last commit went to, torn at byte @at: new before it, or behind it. */
static void tear(const struct buf *before, const struct buf *after, size_t page, size_t at,
		 bool end, struct buf *ret)
{
	size_t start = page * PAGE_BYTES + META_AT;
	size_t from = end ? start + at : start;
	size_t len = end ? META_BYTES - at : at;

	buf_clear(ret);
	buf_append_slice(ret, buf_slice(after));
	memcpy(ret->data + start, before->data + start, META_BYTES);
	memcpy(ret->data + from, after->data + from, len);
}

static void tear_everywhere(const char *path, const struct buf *before, const struct buf *after,
			    struct torn *torn)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	size_t page = memcmp(before->data, after->data, PAGE_BYTES) == 0;
	unsigned counts[2] = { 0, 0 };

	for (size_t at = 0; at <= META_BYTES; at++) {
		for (int end = 0; end < 2; end++) {
			int outcome;

			tear(before, after, page, at, end != 0, &data);
			put_data(path, &data);
			outcome = child_run(use, torn);
			if (outcome != OUTCOME_NEW && outcome != OUTCOME_OLD)
				print_message("event %zu, byte %zu, end %d: %d\n",
					      (size_t)torn->size, at, end, outcome);
			assert_in_range(outcome, OUTCOME_NEW, OUTCOME_OLD);
			counts[outcome - OUTCOME_NEW]++;
		}
	}
	/* Both ends of it, and what lies between: the tears were there. */
	assert_true(counts[0] >= 2 && counts[1] > 100);
}

static void test_every_tear(void **state)
{
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];
	struct torn torn = { .dir = *state };
	struct evlog *log;

	assert_int_equal(
		evlog_lmdb_open(*state, (struct evlog_lmdb_options){ .create = true }, &log, NULL),
		STATUS_OK);
	(void)scratch_path(state, "data.mdb", path);
	for (torn.size = 1; torn.size <= COMMITS; torn.size++) {
		read_data(path, &before);
		assert_int_equal(log_append(log, torn.size - 1, 1, LEAF_BYTES, NULL), STATUS_OK);
		read_data(path, &after);
		evlog_close(log);
		tear_everywhere(path, &before, &after, &torn);
		put_data(path, &after);
		assert_int_equal(
			evlog_lmdb_open(*state, (struct evlog_lmdb_options){ 0 }, &log, NULL),
			STATUS_OK);
	}
	evlog_close(log);
}

/* Not where an event that is known to have been there would go, nor by one who only reads. */
static void test_not_taken_back(void **state)
{
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;
	struct buf data AUTO(buf_release) = BUF_INIT;
	struct buf left AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];
	struct torn torn = { .dir = *state, .size = 5, .events_known = 5 };
	struct evlog *log;

	assert_int_equal(
		evlog_lmdb_open(*state, (struct evlog_lmdb_options){ .create = true }, &log, NULL),
		STATUS_OK);
	(void)scratch_path(state, "data.mdb", path);
	for (uint64_t size = 0; size < torn.size; size++) {
		read_data(path, &before);
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
	}
	read_data(path, &after);
	evlog_close(log);
	/* The roots of the commit before the last under the number of the newest. */
	tear(&before, &after, memcmp(before.data, after.data, PAGE_BYTES) == 0, META_BYTES - 8,
	     true, &data);
	put_data(path, &data);
	assert_int_equal(child_run(use, &torn), STATUS_CORRUPT);
	torn.events_known = 4;
	torn.read_only = true;
	assert_int_equal(child_run(use, &torn), STATUS_CORRUPT);
	read_data(path, &left);
	assert_int_equal(left.len, data.len);
	assert_memory_equal(left.data, data.data, data.len);
	torn.read_only = false;
	assert_int_equal(child_run(use, &torn), OUTCOME_OLD);
}

/* A file whose creation was cut short is finished by who creates, and is no store for others. */
static void test_never_used(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct evlog *log;

	(void)scratch_path(state, "data.mdb", path);
	for (int variant = 0; variant < 4; variant++) {
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		/* Empty; zeros; the second page arrived and the first did not; cut within a page.
		 */
		if (variant > 0)
			assert_int_equal(ftruncate(fd, variant == 3 ? 512 : 2 * PAGE_BYTES), 0);
		if (variant == 2)
			assert_int_equal(pwrite(fd, "\xde\xc0\xef\xbe", 4, PAGE_BYTES + 16), 4);
		assert_true(lmdb_meta_never_used(fd));
		assert_int_equal(
			evlog_lmdb_open(*state, (struct evlog_lmdb_options){ 0 }, &log, NULL),
			STATUS_NO_STORE);
		assert_int_equal(evlog_lmdb_open(*state,
						 (struct evlog_lmdb_options){ .create = true },
						 &log, NULL),
				 STATUS_OK);
		assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
		assert_false(lmdb_meta_never_used(fd));
		evlog_close(log);
		/* Bytes that are neither: somebody's file. */
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, "rubbish", 7, 0), 7);
		assert_false(lmdb_meta_never_used(fd));
		assert_int_equal(close(fd), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_tear, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_not_taken_back, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(test_never_used, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
