/*
 * The environment: who may open it, the map and its growth, forks, dead readers, descriptors.
 */
#include "store/lmdb_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "unit/base/scratch.h"
#include "unit/store/log_fixture.h"
#include "unit/store/process_fixture.h"

#include "base/banned.h"

enum {
	LEAF_BYTES = 400,
	MAP_BYTES_SMALL = 256 * 1024,
	MAP_BYTES_GROWN = 8 * MAP_BYTES_SMALL,
};

static const struct evlog_lmdb_options plain = { .create = false };
static const struct evlog_lmdb_options create = { .create = true };
static const struct evlog_lmdb_options create_small = { .create = true,
							.initial_map_bytes = MAP_BYTES_SMALL };

static struct evlog *open_log(const char *dir, struct evlog_lmdb_options options)
{
	struct evlog *log;
	struct error err = ERROR_INIT;

	if (evlog_lmdb_open(dir, options, &log, &err))
		print_message("%s\n", err.text);
	assert_int_equal(err.status, STATUS_OK);
	return log;
}

static uint64_t file_bytes(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct stat info;

	assert_int_equal(stat(scratch_path(state, "data.mdb", path), &info), 0);
	return (uint64_t)info.st_size;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void test_second_open(void **state)
{
	char link[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;
	struct evlog *second;
	struct evlog *log = open_log(*state, create);

	assert_int_equal(evlog_lmdb_open(*state, plain, &second, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "open in this process"));
	assert_int_equal(evlog_lmdb_open(*state, create, &second, NULL), STATUS_CONFLICT);
	assert_int_equal(symlink(*state, scratch_path(state, "self", link)), 0);
	assert_int_equal(evlog_lmdb_open(link, plain, &second, NULL), STATUS_CONFLICT);
	assert_int_equal(evlog_lmdb_open(*state, (struct evlog_lmdb_options){ .no_lock = true },
					 &second, NULL),
			 STATUS_CONFLICT);
	/* A refused one leaves the first as it was, and the place free when that is closed. */
	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
	log = open_log(link, plain);
	assert_int_equal(log_size(log), 1);
	evlog_close(log);
	evlog_close(NULL);
}

static void test_two_logs(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct evlog *first, *second;

	assert_int_equal(mkdir(scratch_path(state, "a", path), 0700), 0);
	first = open_log(path, create);
	assert_int_equal(mkdir(scratch_path(state, "b", path), 0700), 0);
	second = open_log(path, create);
	assert_int_equal(log_append(first, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	assert_int_equal(log_append(second, 0, 2, LEAF_BYTES, NULL), STATUS_OK);
	assert_int_equal(log_size(first), 1);
	evlog_close(first);
	assert_int_equal(log_size(second), 2);
	evlog_close(second);
}

static void test_no_log(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct evlog *log;

	/* What a path comes to be that there was no memory for. */
	assert_int_equal(evlog_lmdb_open("", plain, &log, NULL), STATUS_NO_MEMORY);
	assert_int_equal(evlog_lmdb_open(*state, plain, &log, NULL), STATUS_NO_STORE);
	(void)scratch_path(state, "missing", path);
	assert_int_equal(evlog_lmdb_open(path, plain, &log, NULL), STATUS_NO_STORE);
	assert_false(fs_exists(path));
	assert_int_not_equal(evlog_lmdb_open(path, create, &log, NULL), STATUS_OK);
	/* Looking for one made none. */
	assert_int_equal(evlog_lmdb_open(*state, plain, &log, NULL), STATUS_NO_STORE);
	assert_false(fs_exists(scratch_path(state, "data.mdb", path)));
}

/* Two processes create at once: one makes the log, the other is told. */
static int create_now(const struct child *child, const void *context)
{
	struct evlog *log;

	child_waits(child);
	return (int)evlog_lmdb_open(context, create, &log, NULL);
}

static void test_two_creators(void **state)
{
	for (int round = 0; round < 20; round++) {
		char path[SCRATCH_PATH_MAX], name[16];
		struct child children[2];
		int made = 0;

		(void)snprintf(name, sizeof(name), "round%d", round);
		assert_int_equal(mkdir(scratch_path(state, name, path), 0700), 0);
		for (int i = 0; i < 2; i++)
			children[i] = child_start(create_now, path);
		for (int i = 0; i < 2; i++)
			parent_says(&children[i]);
		for (int i = 0; i < 2; i++) {
			int result = child_end(&children[i]);

			assert_true(result == STATUS_OK || result == STATUS_CONFLICT);
			made += result == STATUS_OK;
		}
		assert_int_equal(made, 1);
		evlog_close(open_log(path, plain));
	}
}

/* --- the process ------------------------------------------------------------------------------ */

/* Each descriptor of the log's files is closed on exec. */
static void test_close_on_exec(void **state)
{
	struct evlog *log = open_log(*state, create);
	unsigned found = 0;

	for (int fd = 0; fd < 256; fd++) {
		char link[32], target[512] = { 0 };

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) < 0 || !strstr(target, *state))
			continue;
		found++;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	assert_true(found >= 3); /* the data, its meta pages, the locks */
	evlog_close(log);
}

struct inherited {
	struct evlog *log;
	struct evlog_snapshot *snapshot;
	const char *dir;
};

/* What a child may do with its parent's handles: nothing, in peace. Then it opens its own. */
static int use_inherited(const struct child *child, const void *context)
{
	const struct inherited *inherited = context;
	struct evlog_snapshot *snapshot;
	struct evlog_counts counts;
	struct evlog *own;
	struct slice leaf;
	uint64_t size;

	(void)child;
	if (evlog_snapshot_open(inherited->log, &snapshot, NULL) != STATUS_IO ||
	    evlog_leaf(inherited->snapshot, 1, &leaf, NULL) != STATUS_IO ||
	    evlog_counts(inherited->snapshot, &counts, NULL) != STATUS_IO ||
	    evlog_watch(inherited->log, 0, 10, &size, NULL) != STATUS_IO ||
	    log_append(inherited->log, 3, 1, LEAF_BYTES, NULL) != STATUS_IO)
		return 1;
	evlog_snapshot_close(inherited->snapshot);
	evlog_close(inherited->log);
	if (evlog_lmdb_open(inherited->dir, plain, &own, NULL))
		return 2;
	if (log_append(own, 3, 1, LEAF_BYTES, NULL))
		return 3;
	evlog_close(own);
	return 0;
}

static void test_fork(void **state)
{
	struct inherited inherited = { .dir = *state, .log = open_log(*state, create) };
	struct evlog_snapshot *snapshot;

	assert_int_equal(log_append(inherited.log, 0, 3, LEAF_BYTES, NULL), STATUS_OK);
	assert_int_equal(evlog_snapshot_open(inherited.log, &inherited.snapshot, NULL), STATUS_OK);
	assert_int_equal(child_run(use_inherited, &inherited), 0);
	/* The child has not given up the parent's reader slot: its pages are not used again. */
	for (uint64_t size = 4; size < 200; size++)
		assert_int_equal(log_append(inherited.log, size, 1, LEAF_BYTES, NULL), STATUS_OK);
	for (uint64_t seq = 1; seq <= 3; seq++)
		log_check_event(inherited.snapshot, seq, LEAF_BYTES);
	evlog_snapshot_close(inherited.snapshot);
	assert_int_equal(evlog_snapshot_open(inherited.log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, 200);
	evlog_snapshot_close(snapshot);
	evlog_close(inherited.log);
}

/* A reader that is killed must not keep pages for ever. */
static int read_and_wait(const struct child *child, const void *context)
{
	struct evlog_snapshot *snapshot;
	struct evlog *log;

	if (evlog_lmdb_open(context, plain, &log, NULL) ||
	    evlog_snapshot_open(log, &snapshot, NULL))
		return 1;
	child_says(child);
	child_waits(child);
	return 0;
}

/* How much @appends small appends make the file grow, with a reader that lives, or was killed. */
static uint64_t growth(void **state, bool killed, uint64_t appends)
{
	struct child child = child_start(read_and_wait, *state);
	struct evlog *log;
	uint64_t before, size;

	parent_waits(&child);
	if (killed) {
		assert_int_equal(kill(child.pid, SIGKILL), 0);
		assert_int_equal(child_end(&child), -SIGKILL);
	}
	log = open_log(*state, plain);
	size = log_size(log);
	before = file_bytes(state);
	for (uint64_t i = 0; i < appends; i++)
		assert_int_equal(log_append(log, size + i, 1, 20, NULL), STATUS_OK);
	evlog_close(log);
	if (!killed) {
		parent_says(&child);
		assert_int_equal(child_end(&child), 0);
	}
	return file_bytes(state) - before;
}

static void test_dead_reader(void **state)
{
	uint64_t dead, alive;

	evlog_close(open_log(*state, create));
	dead = growth(state, true, 200);
	alive = growth(state, false, 200);
	print_message("grew by %zu kB after a dead reader, %zu kB beside a live one\n",
		      (size_t)dead / 1024, (size_t)alive / 1024);
	assert_true(dead * 4 < alive);
}

/* A reader killed while the log is open is cleared by the next write. */
static void test_reader_dies_later(void **state)
{
	struct child child;
	struct evlog *log;
	uint64_t before, grown;

	evlog_close(open_log(*state, create));
	child = child_start(read_and_wait, *state);
	parent_waits(&child);
	log = open_log(*state, plain);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(child_end(&child), -SIGKILL);
	before = file_bytes(state);
	for (uint64_t i = 0; i < 200; i++)
		assert_int_equal(log_append(log, i, 1, 20, NULL), STATUS_OK);
	grown = file_bytes(state) - before;
	evlog_close(log);
	assert_true(grown < (uint64_t)512 * 1024);
}

/* --- the map ---------------------------------------------------------------------------------- */

static void test_map_grows(void **state)
{
	struct evlog *log = open_log(*state, create_small);
	struct evlog_snapshot *snapshot;

	for (uint64_t size = 0; size < 60; size++)
		assert_int_equal(log_append(log, size, 1, LEAF_BYTES_MAX, NULL), STATUS_OK);
	/* One that needs several doublings at once. */
	assert_int_equal(log_append(log, 60, 127, LEAF_BYTES_MAX, NULL), STATUS_OK);
	assert_true(file_bytes(state) > MAP_BYTES_GROWN);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, 187);
	for (uint64_t seq = 1; seq <= 187; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES_MAX);
	log_check_root(snapshot, 187);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
}

/* No snapshot loses the map under its slices: growth waits, and gives up with nothing written. */
static void test_map_grows_not_under_reader(void **state)
{
	struct evlog *log = open_log(*state, create_small);
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;

	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(log_append(log, 1, 8, LEAF_BYTES_MAX, &err), STATUS_LOCKED);
	assert_non_null(strstr(err.text, "must grow"));
	log_check_event(snapshot, 1, LEAF_BYTES);
	evlog_snapshot_close(snapshot);
	assert_int_equal(log_size(log), 1);
	assert_int_equal(log_append(log, 1, 8, LEAF_BYTES_MAX, NULL), STATUS_OK);
	assert_int_equal(log_size(log), 9);
	evlog_close(log);
}

struct worker {
	pthread_t thread;
	struct evlog *log;
	uint64_t number;
	bool done;
};

static void *work(void *context)
{
	struct worker *worker = context;

	worker->done = log_append_contended(worker->log, worker->number, 300);
	return NULL;
}

static void test_map_grows_among_threads(void **state)
{
	struct evlog *log = open_log(*state, create_small);
	struct worker workers[6];

	for (uint64_t i = 0; i < 6; i++) {
		workers[i] = (struct worker){ .log = log, .number = i + 1 };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_true(workers[i].done);
	}
	log_check_contended(log, 6, 300);
	assert_true(file_bytes(state) > MAP_BYTES_SMALL);
	evlog_close(log);
}

/* Another process makes the file larger than our map. */
static int write_much(const struct child *child, const void *context)
{
	struct evlog *log;

	child_waits(child);
	if (evlog_lmdb_open(context, plain, &log, NULL))
		return 1;
	for (uint64_t size = 1; size < 81; size++) {
		if (log_append(log, size, 1, LEAF_BYTES_MAX, NULL))
			return 2;
	}
	evlog_close(log);
	return 0;
}

static void test_map_resized(void **state)
{
	struct child child = child_start(write_much, *state);
	struct evlog *log = open_log(*state, create_small);
	struct evlog_snapshot *snapshot;

	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	parent_says(&child);
	assert_int_equal(child_end(&child), 0);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, 81);
	for (uint64_t seq = 2; seq <= 81; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES_MAX);
	evlog_snapshot_close(snapshot);
	assert_int_equal(log_append(log, 81, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
}

/* The same, found by a writer first. */
static void test_map_resized_write(void **state)
{
	struct child child = child_start(write_much, *state);
	struct evlog *log = open_log(*state, create_small);

	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_OK);
	parent_says(&child);
	assert_int_equal(child_end(&child), 0);
	assert_int_equal(log_append(log, 1, 1, LEAF_BYTES, NULL), STATUS_CONFLICT);
	assert_int_equal(log_append(log, 81, 1, LEAF_BYTES, NULL), STATUS_OK);
	evlog_close(log);
}

/* --- words ------------------------------------------------------------------------------------ */

static void test_words(void **state)
{
	static const struct {
		int code;
		enum status status;
		const char *text;
	} cases[] = {
		{ MDB_CORRUPTED, STATUS_CORRUPT, "MDB_CORRUPTED" },
		{ MDB_PAGE_NOTFOUND, STATUS_CORRUPT, "MDB_PAGE_NOTFOUND" },
		{ MDB_INVALID, STATUS_CORRUPT, "MDB_INVALID" },
		{ MDB_VERSION_MISMATCH, STATUS_CORRUPT, "MDB_VERSION_MISMATCH" },
		{ MDB_PANIC, STATUS_IO, "MDB_PANIC" },
		{ MDB_READERS_FULL, STATUS_LOCKED, "MDB_READERS_FULL" },
		{ ENOMEM, STATUS_NO_MEMORY, "Cannot allocate" },
		{ EIO, STATUS_IO, "Input/output" },
		{ ENOSPC, STATUS_IO, "No space" },
	};
	struct lmdb_env *env;

	assert_int_equal(lmdb_env_open(*state, create, &env, NULL), STATUS_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(lmdb_env_failed(env, cases[i].code, "read", &err),
				 cases[i].status);
		assert_int_equal(err.status, cases[i].status);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_non_null(strstr(err.text, *state));
	}
	assert_string_equal(lmdb_env_dir(env), *state);
	lmdb_env_close(env);
	lmdb_env_close(NULL);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(test_second_open),
		IN_SCRATCH(test_two_logs),
		IN_SCRATCH(test_no_log),
		IN_SCRATCH(test_two_creators),
		IN_SCRATCH(test_close_on_exec),
		IN_SCRATCH(test_fork),
		IN_SCRATCH(test_dead_reader),
		IN_SCRATCH(test_reader_dies_later),
		IN_SCRATCH(test_map_grows),
		IN_SCRATCH(test_map_grows_not_under_reader),
		IN_SCRATCH(test_map_grows_among_threads),
		IN_SCRATCH(test_map_resized),
		IN_SCRATCH(test_map_resized_write),
		IN_SCRATCH(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
