/*
 * The log in LMDB beyond the common contract: reopening, processes, faults, damage behind its back.
 */
#include "store/evlog_lmdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "unit/base/scratch.h"
#include "unit/store/log_fixture.h"
#include "unit/store/process_fixture.h"
#include "unit/store/raw_lmdb.h"

#include "base/banned.h"

enum {
	LEAF_BYTES = 400,
	APPENDS_EACH = 200,
	PAGE_BYTES = 4096,
	FILE_BYTES_LIMIT = 512 * 1024,
};

static const struct evlog_lmdb_options plain = { .create = false };
/* Every event is known to have been there: no commit may be taken back. */
static const struct evlog_lmdb_options known = { .events_known = UINT64_MAX };
static const struct evlog_lmdb_options create = { .create = true };
static const struct evlog_lmdb_options read_only = { .read_only = true };
static const struct evlog_lmdb_options no_lock = { .no_lock = true };

static struct evlog *open_log(const char *dir, struct evlog_lmdb_options options)
{
	struct evlog *log;
	struct error err = ERROR_INIT;

	if (evlog_lmdb_open(dir, options, &log, &err))
		print_message("%s\n", err.text);
	assert_int_equal(err.status, STATUS_OK);
	return log;
}

/* A closed log of @size events. */
static void make_log(const char *dir, uint64_t size)
{
	struct evlog *log = open_log(dir, create);

	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(log_append(log, i, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
}

static void check_log(struct evlog *log, uint64_t size)
{
	struct evlog_snapshot *snapshot;
	struct evlog_counts counts;

	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, size);
	for (uint64_t seq = 1; seq <= size; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES);
	log_check_root(snapshot, size);
	assert_int_equal(evlog_counts(snapshot, &counts, NULL), STATUS_OK);
	assert_int_equal(counts.leaves, size);
	assert_int_equal(counts.rows, size);
	assert_int_equal(counts.commands, size);
	assert_int_equal(counts.registry, size / 3);
	evlog_snapshot_close(snapshot);
}

/* --- reopening -------------------------------------------------------------------------------- */

static void test_reopen(void **state)
{
	for (uint64_t size = 0; size < 30; size++) {
		struct evlog *log = open_log(*state, size ? plain : create);

		check_log(log, size);
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
		check_log(log, size + 1);
		evlog_close(log);
	}
}

static void test_read_only(void **state)
{
	struct error err = ERROR_INIT;
	struct evlog *log;

	make_log(*state, 10);
	log = open_log(*state, read_only);
	check_log(log, 10);
	assert_int_equal(log_append(log, 10, 1, LEAF_BYTES, &err), STATUS_IO);
	assert_non_null(strstr(err.text, "reading only"));
	check_log(log, 10);
	evlog_close(log);
}

/* A copy of the data file alone, and nothing is written beside it. */
static void test_no_lock(void **state)
{
	struct buf data AUTO(buf_release) = BUF_INIT;
	char dir[SCRATCH_PATH_MAX], path[SCRATCH_PATH_MAX];
	struct evlog *log;

	make_log(*state, 10);
	assert_int_equal(fs_read_file(scratch_path(state, "data.mdb", path), 1 << 26, &data, NULL),
			 STATUS_OK);
	assert_int_equal(mkdir(scratch_path(state, "copy", dir), 0700), 0);
	assert_int_equal(fs_write_durable(scratch_path(state, "copy/data.mdb", path), 0400,
					  buf_slice(&data), NULL),
			 STATUS_OK);
	log = open_log(dir, no_lock);
	check_log(log, 10);
	assert_int_equal(log_append(log, 10, 1, LEAF_BYTES, NULL), STATUS_IO);
	evlog_close(log);
	assert_false(fs_exists(scratch_path(state, "copy/lock.mdb", path)));
}

static void test_file_mode(void **state)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };

	make_log(*state, 1);
	for (size_t i = 0; i < 2; i++) {
		char path[SCRATCH_PATH_MAX];
		struct stat info;

		assert_int_equal(stat(scratch_path(state, names[i], path), &info), 0);
		assert_int_equal(info.st_mode & 0777, 0600);
	}
}

/* --- processes -------------------------------------------------------------------------------- */

struct writer {
	const char *dir;
	uint64_t number;
};

static int write_contended(const struct child *child, const void *context)
{
	const struct writer *writer = context;
	struct evlog *log;

	child_waits(child);
	if (evlog_lmdb_open(writer->dir, plain, &log, NULL))
		return 1;
	if (!log_append_contended(log, writer->number, APPENDS_EACH))
		return 2;
	evlog_close(log);
	return 0;
}

static void test_two_processes(void **state)
{
	struct child children[2];
	struct evlog *log;

	evlog_close(open_log(*state, create));
	for (uint64_t i = 0; i < 2; i++) {
		struct writer writer = { .dir = *state, .number = i + 1 };

		children[i] = child_start(write_contended, &writer);
	}
	for (size_t i = 0; i < 2; i++)
		parent_says(&children[i]);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(child_end(&children[i]), 0);
	log = open_log(*state, plain);
	log_check_contended(log, 2, APPENDS_EACH);
	evlog_close(log);
}

/* A reader beside them sees a log that only grows, in whole, and is woken for each step. */
static void test_watch_other_process(void **state)
{
	struct writer writer = { .dir = *state, .number = 1 };
	struct child child;
	struct evlog *log;
	uint64_t size = 0;

	evlog_close(open_log(*state, create));
	child = child_start(write_contended, &writer);
	log = open_log(*state, read_only);
	parent_says(&child);
	while (size < APPENDS_EACH) {
		uint64_t before = size;

		assert_int_equal(evlog_watch(log, size, 20000, &size, NULL), STATUS_OK);
		assert_true(size > before);
	}
	assert_int_equal(child_end(&child), 0);
	log_check_contended(log, 1, APPENDS_EACH);
	evlog_close(log);
}

/* Killed at any instant while it appends: the log opens, whole, with all that was acknowledged. */
static int append_and_report(const struct child *child, const void *context)
{
	struct evlog *log;

	if (evlog_lmdb_open(context, plain, &log, NULL))
		return 1;
	for (uint64_t size = log_size(log);; size++) {
		if (log_append(log, size, 1, LEAF_BYTES, NULL))
			return 2;
		child_says(child);
	}
}

static void test_kill(void **state)
{
	uint64_t acknowledged = 0;

	evlog_close(open_log(*state, create));
	for (int round = 0; round < 15; round++) {
		struct child child = child_start(append_and_report, *state);
		struct evlog *log;
		uint64_t size;

		for (int i = 0; i <= round; i++, acknowledged++)
			parent_waits(&child);
		assert_int_equal(kill(child.pid, SIGKILL), 0);
		while (child_hear(child.to_parent[0]) == 0)
			acknowledged++;
		assert_int_equal(child_end(&child), -SIGKILL);
		log = open_log(*state, plain);
		size = log_size(log);
		/* At most the one whose acknowledgement was on its way. */
		assert_in_range(size, acknowledged, acknowledged + 1);
		acknowledged = size;
		check_log(log, size);
		evlog_close(log);
	}
}

/* --- damage behind its back ------------------------------------------------------------------- */

static void put_row(void **state, const char *table, uint64_t seq, const void *data, size_t len)
{
	uint8_t key[8], bytes[64];
	MDB_val value = raw_val(bytes, len);

	assert_true(len <= sizeof(bytes));
	store_u64be(key, seq);
	if (data)
		memcpy(bytes, data, len);
	assert_int_equal(raw_put(*state, table, raw_val(key, 8), data ? &value : NULL), 0);
}

static void put_txn(void **state, uint64_t txn)
{
	uint8_t bytes[8];
	MDB_val value = raw_val(bytes, 8);

	store_u64be(bytes, txn);
	assert_int_equal(raw_put(*state, "meta", raw_val((char[]){ "txn" }, 3), &value), 0);
}

/* The log was made by transaction 1; five events: 2 … 6. A change behind its back is the next one,
 * so that noting its id keeps the log sound. */
static void damage_row(void **state, const char *table, uint64_t seq, const void *data, size_t len)
{
	make_log(*state, 5);
	put_row(state, table, seq, data, len);
	put_txn(state, 8);
}

static void test_stale_txn(void **state)
{
	struct error err = ERROR_INIT;
	struct evlog *log;

	make_log(*state, 5);
	put_txn(state, 6); /* written by transaction 7 */
	assert_int_equal(evlog_lmdb_open(*state, known, &log, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "was torn"));
	put_txn(state, 9); /* by 8 */
	assert_int_equal(evlog_lmdb_open(*state, read_only, &log, NULL), STATUS_CORRUPT);
	put_txn(state, 9); /* by 9 */
	log = open_log(*state, plain);
	check_log(log, 5);
	assert_int_equal(log_append(log, 5, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
}

/* The newest meta page torn so that its end is new and the rest is of two commits before. */
static void test_torn_meta(void **state)
{
	enum {
		FROM = 16,
		TO = 144
	}; /* all of LMDB's meta but its last field, the transaction id */
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;
	struct evlog *log;
	size_t page;

	make_log(*state, 6);
	(void)scratch_path(state, "data.mdb", path);
	assert_int_equal(fs_read_file(path, 1 << 26, &before, NULL), STATUS_OK);
	log = open_log(*state, plain);
	assert_int_equal(log_append(log, 6, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
	assert_int_equal(fs_read_file(path, 1 << 26, &after, NULL), STATUS_OK);
	page = memcmp(before.data, after.data, PAGE_BYTES) ? 0 : PAGE_BYTES;
	assert_memory_not_equal(before.data + page, after.data + page, PAGE_BYTES);
	memcpy(after.data + page + FROM, before.data + page + FROM, TO - FROM);
	assert_int_equal(fs_write_durable(path, 0600, buf_slice(&after), NULL), STATUS_OK);
	assert_int_equal(evlog_lmdb_open(*state, known, &log, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "was torn"));
}

static int commit_without_note(const struct child *child, const void *context)
{
	MDB_val value = raw_val((char[]){ "x" }, 1);

	child_waits(child);
	return raw_put(context, "meta", raw_val((char[]){ "x" }, 1), &value);
}

/* Nothing is appended to a log whose end is not what was written. */
static void test_stale_txn_while_open(void **state)
{
	struct child child = child_start(commit_without_note, *state);
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;
	struct evlog *log;

	make_log(*state, 3);
	log = open_log(*state, plain);
	assert_int_equal(log_append(log, 3, 1, LEAF_BYTES, NULL), STATUS_OK);
	parent_says(&child);
	assert_int_equal(child_end(&child), 0);
	assert_int_equal(log_append(log, 4, 1, LEAF_BYTES, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "torn meta page"));
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_CORRUPT);
	evlog_close(log);
}

static void test_missing_leaf(void **state)
{
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;
	struct evlog *log;
	struct slice leaf;

	damage_row(state, "events", 3, NULL, 0);
	log = open_log(*state, plain);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, 5);
	/* In sequence, where event 4 would be next, and alone. */
	assert_int_equal(evlog_leaf(snapshot, 2, &leaf, NULL), STATUS_OK);
	assert_int_equal(evlog_leaf(snapshot, 3, &leaf, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "event 3"));
	assert_int_equal(evlog_leaf(snapshot, 3, &leaf, NULL), STATUS_CORRUPT);
	log_check_event(snapshot, 4, LEAF_BYTES);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
}

static void test_damaged_row(void **state)
{
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;
	struct evlog *log;
	uint8_t root[HASH_BYTES];
	struct slice row;

	damage_row(state, "tree", 4, "short", 5);
	log = open_log(*state, plain);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(evlog_row(snapshot, 4, &row, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "event 4"));
	assert_int_equal(evlog_root(snapshot, 5, root, NULL), STATUS_CORRUPT);
	assert_int_equal(evlog_root(snapshot, 3, root, NULL), STATUS_OK);
	evlog_snapshot_close(snapshot);
	/* The frontier of a new handle is read from there. */
	assert_int_equal(log_append(log, 5, 1, LEAF_BYTES, NULL), STATUS_CORRUPT);
	evlog_close(log);
}

static void test_damaged_index(void **state)
{
	struct evlog_snapshot *snapshot;
	struct evlog *log;
	uint8_t seq_bytes[8], id[COMMAND_ID_BYTES] = { 0 };
	MDB_val value = raw_val(seq_bytes, 8);
	uint64_t seq;

	damage_row(state, "registry", 6, "", 0);
	store_u64be(seq_bytes, 99);
	store_u64be(id, 2);
	assert_int_equal(raw_put(*state, "commands", raw_val(id, sizeof(id)), &value), 0);
	put_txn(state, 10);
	log = open_log(*state, plain);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(evlog_registry_next(snapshot, 2, &seq, NULL), STATUS_OK);
	assert_int_equal(evlog_registry_next(snapshot, 3, &seq, NULL), STATUS_CORRUPT);
	assert_int_equal(evlog_command(snapshot, id, &seq, NULL), STATUS_CORRUPT);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
}

/* A row of the tree that waits where the next append writes. */
static void test_row_in_the_way(void **state)
{
	struct evlog *log;

	damage_row(state, "tree", 6, "early", 5);
	log = open_log(*state, plain);
	assert_int_equal(log_append(log, 5, 1, LEAF_BYTES, NULL), STATUS_CORRUPT);
	assert_int_equal(log_size(log), 5);
	evlog_close(log);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* A disk that takes no more: what is there stays, and the log can be used once there is room. */
static int append_until_full(const struct child *child, const void *context)
{
	const struct rlimit limit = { .rlim_cur = FILE_BYTES_LIMIT, .rlim_max = FILE_BYTES_LIMIT };
	struct error err = ERROR_INIT;
	struct evlog *log;
	uint64_t size;

	(void)child;
	if (evlog_lmdb_open(context, plain, &log, NULL) || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
	    setrlimit(RLIMIT_FSIZE, &limit))
		return 100;
	for (size = 5; size < 100 && !err.status; size++)
		(void)log_append(log, size, 1, LEAF_BYTES, &err);
	while (!err.status)
		(void)log_append(log, size++, 1, LEAF_BYTES_MAX, &err);
	if (err.status != STATUS_IO || !strstr(err.text, "unknown") || !err.hint[0])
		return 101;
	if (log_append(log, log_size(log), 1, LEAF_BYTES, &err) != STATUS_IO ||
	    !strstr(err.text, "closed for writing"))
		return 102;
	evlog_close(log);
	return 0;
}

static void test_disk_full(void **state)
{
	struct evlog_snapshot *snapshot;
	struct evlog *log;
	uint64_t size;

	make_log(*state, 5);
	assert_int_equal(child_run(append_until_full, *state), 0);
	log = open_log(*state, plain);
	size = log_size(log);
	assert_true(size >= 90);
	assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	log_check_root(snapshot, size + 1);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
}

#ifdef PROVENV_TEST_HOOKS
static void fault(const char *text)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	assert_int_equal(text ? setenv("PROVENV_FAULT", text, 1) : unsetenv("PROVENV_FAULT"), 0);
}

struct crash {
	const char *dir;
	const char *fault;
};

static int append_and_crash(const struct child *child, const void *context)
{
	const struct crash *crash = context;
	struct evlog *log;

	(void)child;
	fault(crash->fault);
	if (evlog_lmdb_open(crash->dir, plain, &log, NULL))
		return 1;
	return (int)log_append(log, log_size(log), 1, LEAF_BYTES, NULL);
}

static void test_crash(void **state)
{
	static const struct {
		const char *fault;
		uint64_t left; /* events that the crash leaves */
	} cases[] = {
		{ "log.begin:crash", 0 },
		{ "log.put:crash", 0 },
		{ "log.commit:crash", 0 },
		{ "log.committed:crash", 1 },
	};
	uint64_t size = 4;

	make_log(*state, size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct crash crash = { .dir = *state, .fault = cases[i].fault };
		struct evlog *log;

		assert_int_equal(child_run(append_and_crash, &crash), -SIGKILL);
		size += cases[i].left;
		log = open_log(*state, plain);
		check_log(log, size);
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
		check_log(log, ++size);
		evlog_close(log);
	}
}

/* Killed while others have the log open: they go on. */
static void test_crash_beside_us(void **state)
{
	struct crash crash = { .dir = *state, .fault = "log.commit:crash" };
	struct evlog_snapshot *before;
	struct evlog *log;

	make_log(*state, 4);
	log = open_log(*state, plain);
	assert_int_equal(evlog_snapshot_open(log, &before, NULL), STATUS_OK);
	assert_int_equal(child_run(append_and_crash, &crash), -SIGKILL);
	check_log(log, 4);
	crash.fault = "log.committed:crash";
	assert_int_equal(child_run(append_and_crash, &crash), -SIGKILL);
	assert_int_equal(before->size, 4);
	log_check_event(before, 4, LEAF_BYTES);
	evlog_snapshot_close(before);
	check_log(log, 5);
	assert_int_equal(log_append(log, 5, 1, LEAF_BYTES, NULL), STATUS_OK);
	check_log(log, 6);
	evlog_close(log);
}

/* A signal during the sync: the transaction is run again, and nobody notices. */
static void test_interrupted(void **state)
{
	static const char *const faults[] = { "log.begin:EINTR", "log.commit:EINTR" };
	struct evlog *log = open_log(*state, create);

	for (uint64_t i = 0; i < 2; i++) {
		fault(faults[i]);
		assert_int_equal(log_append(log, i, 1, LEAF_BYTES, NULL), STATUS_OK);
		fault(NULL);
		check_log(log, i + 1);
	}
	evlog_close(log);
}

/* Failures before the commit leave a log that can be used. */
static void test_failed_put(void **state)
{
	static const struct {
		const char *fault;
		enum status status;
		int sys_errno;
	} cases[] = {
		{ "log.begin:EIO", STATUS_IO, EIO },
		{ "log.put:EIO", STATUS_IO, EIO },
		{ "log.put:ENOMEM", STATUS_NO_MEMORY, ENOMEM },
		{ "log.put:ENOSPC:3", STATUS_IO, ENOSPC },
	};
	struct evlog *log = open_log(*state, create);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = ERROR_INIT;

		fault(cases[i].fault);
		assert_int_equal(log_append(log, 0, 4, LEAF_BYTES, &err), cases[i].status);
		assert_int_equal(err.sys_errno, cases[i].sys_errno);
		fault(NULL);
		assert_int_equal(log_size(log), 0);
	}
	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	check_log(log, 1);
	evlog_close(log);
}

/* Failures in the commit: the outcome is unknown, so nothing is written until the log is reopened.
 */
static void test_failed_commit(void **state)
{
	static const struct {
		const char *fault;
		uint64_t left;
	} cases[] = {
		{ "log.commit:EIO", 0 },
		{ "log.commit:ENOSPC", 0 },
		{ "log.committed:EIO", 1 },
		{ "log.committed:EINTR", 1 },
	};
	uint64_t size = 2;

	make_log(*state, size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct evlog *log = open_log(*state, plain);
		struct error err = ERROR_INIT;

		fault(cases[i].fault);
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, &err), STATUS_IO);
		assert_non_null(strstr(err.text, "unknown"));
		assert_true(err.hint[0] != '\0');
		fault(NULL);
		size += cases[i].left;
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, &err), STATUS_IO);
		assert_non_null(strstr(err.text, "closed for writing"));
		check_log(log, size); /* reading goes on */
		evlog_close(log);
		log = open_log(*state, plain);
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
		check_log(log, ++size);
		evlog_close(log);
	}
}
#endif

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(test_reopen),        IN_SCRATCH(test_read_only),
		IN_SCRATCH(test_no_lock),       IN_SCRATCH(test_file_mode),
		IN_SCRATCH(test_two_processes), IN_SCRATCH(test_watch_other_process),
		IN_SCRATCH(test_kill),          IN_SCRATCH(test_stale_txn),
		IN_SCRATCH(test_torn_meta),     IN_SCRATCH(test_stale_txn_while_open),
		IN_SCRATCH(test_missing_leaf),  IN_SCRATCH(test_damaged_row),
		IN_SCRATCH(test_damaged_index), IN_SCRATCH(test_row_in_the_way),
		IN_SCRATCH(test_disk_full),
#ifdef PROVENV_TEST_HOOKS
		IN_SCRATCH(test_crash),         IN_SCRATCH(test_crash_beside_us),
		IN_SCRATCH(test_interrupted),   IN_SCRATCH(test_failed_put),
		IN_SCRATCH(test_failed_commit),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
