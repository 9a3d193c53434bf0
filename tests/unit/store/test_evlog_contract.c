/*
 * What every backend of the log promises: one suite, run over memory and LMDB.
 */
#include "store/evlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/evlog_lmdb.h"
#include "store/merkle.h"
#include "unit/base/scratch.h"
#include "unit/store/log_fixture.h"

#include "base/banned.h"

enum {
	LEAF_BYTES = 300,
	THREADS = 8,
	APPENDS_EACH = 40,
};

struct fixture {
	void *dir; /* LMDB's; NULL for memory */
	struct evlog *log;
};

static int setup_memory(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return fixture && evlog_memory_open(&fixture->log, NULL) == STATUS_OK ? 0 : -1;
}

static int setup_lmdb(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	if (!fixture || scratch_setup(&fixture->dir))
		return -1;
	return evlog_lmdb_open(fixture->dir, (struct evlog_lmdb_options){ .create = true },
			       &fixture->log, NULL) == STATUS_OK
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	int result;

	evlog_close(fixture->log);
	result = fixture->dir ? scratch_teardown(&fixture->dir) : 0;
	free(fixture);
	return result;
}

static struct evlog *log_of(void **state)
{
	return ((struct fixture *)*state)->log;
}

static void append(struct evlog *log, uint64_t size, size_t count)
{
	struct error err = ERROR_INIT;

	assert_int_equal(log_append(log, size, count, LEAF_BYTES, &err), STATUS_OK);
}

static struct evlog_snapshot *open_snapshot(struct evlog *log)
{
	struct evlog_snapshot *snapshot;

	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	return snapshot;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
	static const uint8_t zeros[HASH_BYTES];
	struct evlog_snapshot *snapshot = open_snapshot(log_of(state));
	uint8_t hash[HASH_BYTES], empty[HASH_BYTES];
	struct evlog_counts counts;
	struct error err = ERROR_INIT;
	struct slice leaf;
	uint64_t seq = 77;

	assert_int_equal(snapshot->size, 0);
	assert_int_equal(evlog_leaf(snapshot, 1, &leaf, &err), STATUS_NOT_FOUND);
	assert_int_equal(err.status, STATUS_NOT_FOUND);
	assert_int_equal(evlog_row(snapshot, 1, &leaf, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_command(snapshot, zeros, &seq, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_registry_next(snapshot, 0, &seq, NULL), STATUS_NOT_FOUND);
	assert_int_equal(seq, 77);
	assert_int_equal(evlog_leaf_hash(snapshot, 0, hash, NULL), STATUS_OK);
	assert_memory_equal(hash, zeros, HASH_BYTES);
	merkle_empty_root(empty);
	assert_int_equal(evlog_root(snapshot, 0, hash, NULL), STATUS_OK);
	assert_memory_equal(hash, empty, HASH_BYTES);
	assert_int_equal(evlog_counts(snapshot, &counts, NULL), STATUS_OK);
	assert_int_equal(counts.leaves + counts.rows + counts.commands + counts.registry, 0);
	evlog_snapshot_close(snapshot);
	evlog_snapshot_close(NULL);
}

static void test_append_and_read(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	struct slice leaf;

	for (uint64_t size = 0; size < 50; size++)
		append(log, size, 1);
	snapshot = open_snapshot(log);
	assert_int_equal(snapshot->size, 50);
	for (uint64_t seq = 1; seq <= 50; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES);
	/* Backwards, in leaps and the same one again: wherever a cursor may stand. */
	for (uint64_t seq = 50; seq > 0; seq--)
		log_check_event(snapshot, seq, LEAF_BYTES);
	for (uint64_t i = 0; i < 200; i++)
		log_check_event(snapshot, i * 17 % 50 + 1, LEAF_BYTES);
	log_check_event(snapshot, 50, LEAF_BYTES);
	log_check_event(snapshot, 50, LEAF_BYTES);
	assert_int_equal(evlog_leaf(snapshot, 0, &leaf, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_leaf(snapshot, 51, &leaf, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_leaf(snapshot, UINT64_MAX, &leaf, NULL), STATUS_NOT_FOUND);
	evlog_snapshot_close(snapshot);
}

/* Slices live as long as the snapshot, whatever is read after them. */
static void test_slices_stay(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	struct slice first, other;
	uint8_t want[LEAF_BYTES];

	append(log, 0, 1);
	snapshot = open_snapshot(log);
	assert_int_equal(evlog_leaf(snapshot, 1, &first, NULL), STATUS_OK);
	for (uint64_t size = 1; size < 100; size++)
		append(log, size, 1);
	assert_int_equal(evlog_row(snapshot, 1, &other, NULL), STATUS_OK);
	log_fill_leaf(want, sizeof(want), 1);
	assert_true(slice_equal(first, slice_of(want, sizeof(want))));
	evlog_snapshot_close(snapshot);
}

static void test_rows_and_roots(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	uint64_t size = 0;
	uint8_t root[HASH_BYTES];

	/* Groups of all sizes, so that each begins at another place of the tree. */
	for (size_t count = 1; count <= 12; count++) {
		append(log, size, count);
		size += count;
	}
	snapshot = open_snapshot(log);
	assert_int_equal(snapshot->size, size);
	for (uint64_t seq = 1; seq <= size; seq++) {
		struct slice row;

		assert_int_equal(evlog_row(snapshot, seq, &row, NULL), STATUS_OK);
		assert_int_equal(row.len, (size_t)merkle_row_hashes(seq - 1) * HASH_BYTES);
	}
	for (uint64_t prefix = 0; prefix <= size; prefix++)
		log_check_root(snapshot, prefix);
	assert_int_equal(evlog_root(snapshot, size + 1, root, NULL), STATUS_NOT_FOUND);
	evlog_snapshot_close(snapshot);
}

static void test_merkle_source(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	struct merkle_source source;
	struct merkle_path path;
	uint8_t root[HASH_BYTES], hash[HASH_BYTES];

	append(log, 0, 13);
	snapshot = open_snapshot(log);
	source = evlog_merkle_source(snapshot);
	assert_int_equal(evlog_root(snapshot, 13, root, NULL), STATUS_OK);
	for (uint64_t index = 0; index < 13; index++) {
		assert_int_equal(merkle_inclusion_proof(source, index, 13, &path, NULL), STATUS_OK);
		assert_int_equal(evlog_leaf_hash(snapshot, index + 1, hash, NULL), STATUS_OK);
		assert_true(merkle_verify_inclusion(hash, index, 13, &path, root));
	}
	/* Nodes that a tree of 13 does not have. */
	assert_int_equal(source.node(source.context, 0, 13, hash, NULL), STATUS_CORRUPT);
	assert_int_equal(source.node(source.context, 3, 1, hash, NULL), STATUS_CORRUPT);
	assert_int_equal(source.node(source.context, 64, 0, hash, NULL), STATUS_CORRUPT);
	assert_int_equal(source.node(source.context, 0, UINT64_MAX, hash, NULL), STATUS_CORRUPT);
	evlog_snapshot_close(snapshot);
}

static void test_registry_next(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	uint64_t seq = 0, found = 0;

	append(log, 0, 20);
	snapshot = open_snapshot(log);
	while (evlog_registry_next(snapshot, seq, &seq, NULL) == STATUS_OK)
		assert_int_equal(seq, ++found * 3);
	assert_int_equal(found, 6);
	assert_int_equal(evlog_registry_next(snapshot, 4, &seq, NULL), STATUS_OK);
	assert_int_equal(seq, 6);
	assert_int_equal(evlog_registry_next(snapshot, 18, &seq, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_registry_next(snapshot, UINT64_MAX, &seq, NULL), STATUS_NOT_FOUND);
	evlog_snapshot_close(snapshot);
}

/* --- appending -------------------------------------------------------------------------------- */

static void check_counts(struct evlog *log, uint64_t size, uint64_t commands)
{
	struct evlog_snapshot *snapshot = open_snapshot(log);
	struct evlog_counts counts;

	assert_int_equal(snapshot->size, size);
	assert_int_equal(evlog_counts(snapshot, &counts, NULL), STATUS_OK);
	assert_int_equal(counts.leaves, size);
	assert_int_equal(counts.rows, size);
	assert_int_equal(counts.commands, commands);
	assert_int_equal(counts.registry, size / 3);
	evlog_snapshot_close(snapshot);
}

static void test_conflict(void **state)
{
	struct evlog *log = log_of(state);
	struct error err = ERROR_INIT;

	assert_int_equal(log_append(log, 1, 1, LEAF_BYTES, &err), STATUS_CONFLICT);
	assert_int_equal(err.status, STATUS_CONFLICT);
	check_counts(log, 0, 0);
	append(log, 0, 3);
	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES, NULL), STATUS_CONFLICT);
	assert_int_equal(log_append(log, 2, 1, LEAF_BYTES, NULL), STATUS_CONFLICT);
	assert_int_equal(log_append(log, 4, 1, LEAF_BYTES, NULL), STATUS_CONFLICT);
	assert_int_equal(log_append(log, UINT64_MAX - 1, 1, LEAF_BYTES, NULL), STATUS_CONFLICT);
	check_counts(log, 3, 1);
	append(log, 3, 1);
	check_counts(log, 4, 2);
}

static void test_commands(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	uint8_t id[COMMAND_ID_BYTES] = { 0 };
	uint64_t seq;

	append(log, 0, 3); /* command 1 */
	append(log, 3, 1); /* command 4 */
	append(log, 4, 2); /* command 5 */
	snapshot = open_snapshot(log);
	store_u64be(id, 4);
	assert_int_equal(evlog_command(snapshot, id, &seq, NULL), STATUS_OK);
	assert_int_equal(seq, 4);
	store_u64be(id, 5);
	assert_int_equal(evlog_command(snapshot, id, &seq, NULL), STATUS_OK);
	assert_int_equal(seq, 5);
	/* Parts of a command have no entry of their own; neither have neighbours of an id. */
	store_u64be(id, 2);
	assert_int_equal(evlog_command(snapshot, id, &seq, NULL), STATUS_NOT_FOUND);
	store_u64be(id, 4);
	id[COMMAND_ID_BYTES - 1] = 1;
	assert_int_equal(evlog_command(snapshot, id, &seq, NULL), STATUS_NOT_FOUND);
	evlog_snapshot_close(snapshot);
}

/* Ids of users' choice come in any order. */
static void test_command_order(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	uint8_t ids[64][COMMAND_ID_BYTES] = { { 0 } };
	uint64_t seq;

	for (uint64_t i = 0; i < 64; i++) {
		uint8_t leaf[4] = { 1, 2, 3, (uint8_t)i };
		struct evlog_entry entry = { .leaf = slice_of(leaf, sizeof(leaf)),
					     .command_id = ids[i],
					     .starts_command = true };

		store_u64be(ids[i] + 8, i * 37 % 64);
		assert_int_equal(evlog_append(log, i, &entry, 1, NULL), STATUS_OK);
	}
	snapshot = open_snapshot(log);
	for (uint64_t i = 0; i < 64; i++) {
		assert_int_equal(evlog_command(snapshot, ids[i], &seq, NULL), STATUS_OK);
		assert_int_equal(seq, i + 1);
	}
	evlog_snapshot_close(snapshot);
}

static void test_command_twice(void **state)
{
	struct evlog *log = log_of(state);
	struct log_group group;

	append(log, 0, 2);
	append(log, 2, 2);
	log_group_make(&group, 5, 3, LEAF_BYTES);
	/* One that is there, of several parts of which the others are new. */
	group.entries[2].starts_command = true;
	store_u64be(group.ids[2], 3);
	assert_int_equal(evlog_append(log, 4, group.entries, 3, NULL), STATUS_CONFLICT);
	check_counts(log, 4, 2);
	/* Twice within one append. */
	store_u64be(group.ids[2], 5);
	assert_int_equal(evlog_append(log, 4, group.entries, 3, NULL), STATUS_CONFLICT);
	check_counts(log, 4, 2);
	store_u64be(group.ids[2], 6);
	assert_int_equal(evlog_append(log, 4, group.entries, 3, NULL), STATUS_OK);
	check_counts(log, 7, 4);
	log_group_release(&group);
}

/* A group that fails in the middle leaves nothing: neither events nor index, and the next append
 * gets the rows that belong to it. */
static void test_group_atomic(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	struct log_group group;

	append(log, 0, 5);
	log_group_make(&group, 6, 7, LEAF_BYTES);
	group.entries[6].leaf.len = 0;
	assert_int_equal(evlog_append(log, 5, group.entries, 7, NULL), STATUS_USAGE);
	group.entries[6].leaf.len = LEAF_BYTES;
	group.entries[6].starts_command = true;
	store_u64be(group.ids[6], 1);
	assert_int_equal(evlog_append(log, 5, group.entries, 7, NULL), STATUS_CONFLICT);
	log_group_release(&group);
	check_counts(log, 5, 1);
	append(log, 5, 7);
	check_counts(log, 12, 2);
	snapshot = open_snapshot(log);
	for (uint64_t seq = 1; seq <= 12; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES);
	log_check_root(snapshot, 12);
	evlog_snapshot_close(snapshot);
}

static void test_sizes(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *snapshot;
	size_t most = COMMAND_BYTES_MAX / LEAF_BYTES_MAX;
	struct error err = ERROR_INIT;

	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES_MAX + 1, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "65536"));
	assert_int_equal(log_append(log, 0, most + 1, LEAF_BYTES_MAX, NULL), STATUS_USAGE);
	check_counts(log, 0, 0);
	assert_int_equal(log_append(log, 0, 1, LEAF_BYTES_MAX, NULL), STATUS_OK);
	assert_int_equal(log_append(log, 1, most, LEAF_BYTES_MAX, NULL), STATUS_OK);
	assert_int_equal(log_append(log, 1 + most, 1, 1, NULL), STATUS_OK);
	check_counts(log, most + 2, 3);
	snapshot = open_snapshot(log);
	for (uint64_t seq = 1; seq <= most + 1; seq++)
		log_check_event(snapshot, seq, LEAF_BYTES_MAX);
	log_check_event(snapshot, most + 2, 1);
	evlog_snapshot_close(snapshot);
}

static void test_snapshot_isolation(void **state)
{
	struct evlog *log = log_of(state);
	struct evlog_snapshot *before, *after;
	uint8_t id[COMMAND_ID_BYTES] = { 0 };
	uint8_t early[HASH_BYTES], late[HASH_BYTES];
	struct evlog_counts counts;
	struct slice leaf;
	uint64_t seq;

	append(log, 0, 7);
	before = open_snapshot(log);
	assert_int_equal(evlog_root(before, 7, early, NULL), STATUS_OK);
	append(log, 7, 9);
	after = open_snapshot(log);
	assert_int_equal(before->size, 7);
	assert_int_equal(after->size, 16);
	assert_int_equal(evlog_leaf(before, 8, &leaf, NULL), STATUS_NOT_FOUND);
	store_u64be(id, 8);
	assert_int_equal(evlog_command(before, id, &seq, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_command(after, id, &seq, NULL), STATUS_OK);
	assert_int_equal(evlog_registry_next(before, 6, &seq, NULL), STATUS_NOT_FOUND);
	assert_int_equal(evlog_registry_next(after, 6, &seq, NULL), STATUS_OK);
	assert_int_equal(evlog_counts(before, &counts, NULL), STATUS_OK);
	assert_int_equal(counts.leaves, 7);
	assert_int_equal(counts.rows, 7);
	assert_int_equal(counts.commands, 1);
	assert_int_equal(counts.registry, 2);
	assert_int_equal(evlog_root(before, 7, late, NULL), STATUS_OK);
	assert_memory_equal(early, late, HASH_BYTES);
	log_check_event(before, 7, LEAF_BYTES);
	log_check_event(after, 8, LEAF_BYTES);
	evlog_snapshot_close(before);
	evlog_snapshot_close(after);
}

/* --- several at once -------------------------------------------------------------------------- */

struct writer {
	pthread_t thread;
	struct evlog *log;
	uint64_t number;
	bool done;
};

static void *write_contended(void *context)
{
	struct writer *writer = context;

	writer->done = log_append_contended(writer->log, writer->number, APPENDS_EACH);
	return NULL;
}

static void test_threads(void **state)
{
	struct evlog *log = log_of(state);
	struct writer writers[THREADS];

	for (uint64_t i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ .log = log, .number = i + 1 };
		assert_int_equal(
			pthread_create(&writers[i].thread, NULL, write_contended, &writers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_true(writers[i].done);
	log_check_contended(log, THREADS, APPENDS_EACH);
}

static void test_watch_times_out(void **state)
{
	struct evlog *log = log_of(state);
	uint64_t size = 77, begin;

	assert_int_equal(evlog_watch(log, 0, 0, &size, NULL), STATUS_OK);
	assert_int_equal(size, 0);
	append(log, 0, 2);
	begin = clock_monotonic_ms();
	assert_int_equal(evlog_watch(log, 2, 120, &size, NULL), STATUS_OK);
	assert_int_equal(size, 2);
	assert_in_range(clock_monotonic_ms() - begin, 100, 5000);
	/* More than asked about is there already. */
	begin = clock_monotonic_ms();
	assert_int_equal(evlog_watch(log, 1, 60000, &size, NULL), STATUS_OK);
	assert_int_equal(size, 2);
	assert_in_range(clock_monotonic_ms() - begin, 0, 5000);
}

static void *write_later(void *context)
{
	struct writer *writer = context;
	struct timespec pause = { .tv_nsec = 100000000L };

	(void)nanosleep(&pause, NULL);
	writer->done = log_append_contended(writer->log, 1, 1);
	return NULL;
}

static void test_watch_wakes(void **state)
{
	struct writer writer = { .log = log_of(state), .number = 1 };
	uint64_t size = 0, begin = clock_monotonic_ms();

	assert_int_equal(pthread_create(&writer.thread, NULL, write_later, &writer), 0);
	assert_int_equal(evlog_watch(writer.log, 0, UINT64_MAX, &size, NULL), STATUS_OK);
	assert_int_equal(size, 1);
	assert_in_range(clock_monotonic_ms() - begin, 50, 10000);
	assert_int_equal(pthread_join(writer.thread, NULL), 0);
	assert_true(writer.done);
}

/* A watcher follows a writer to the last event, however their steps fall together. */
static void test_watch_follows(void **state)
{
	struct writer writer = { .log = log_of(state), .number = 1 };
	uint64_t size = 0;

	assert_int_equal(pthread_create(&writer.thread, NULL, write_contended, &writer), 0);
	while (size < APPENDS_EACH) {
		uint64_t before = size;

		assert_int_equal(evlog_watch(writer.log, size, 20000, &size, NULL), STATUS_OK);
		assert_true(size > before);
	}
	assert_int_equal(pthread_join(writer.thread, NULL), 0);
	assert_true(writer.done);
}

#define OVER(setup, test) { #test " (" #setup ")", test, setup, teardown, NULL }
#define OVER_ALL(test)    OVER(setup_memory, test), OVER(setup_lmdb, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_ALL(test_empty),
		OVER_ALL(test_append_and_read),
		OVER_ALL(test_slices_stay),
		OVER_ALL(test_rows_and_roots),
		OVER_ALL(test_merkle_source),
		OVER_ALL(test_registry_next),
		OVER_ALL(test_conflict),
		OVER_ALL(test_commands),
		OVER_ALL(test_command_order),
		OVER_ALL(test_command_twice),
		OVER_ALL(test_group_atomic),
		OVER_ALL(test_sizes),
		OVER_ALL(test_snapshot_isolation),
		OVER_ALL(test_threads),
		OVER_ALL(test_watch_times_out),
		OVER_ALL(test_watch_wakes),
		OVER_ALL(test_watch_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
