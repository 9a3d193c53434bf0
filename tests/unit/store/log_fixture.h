/*
 * Logs for tests: entries made from a number, appended to any backend, and looked at again.
 */
#ifndef PROVENV_TESTS_LOG_FIXTURE_H
#define PROVENV_TESTS_LOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "store/merkle.h"

/* Entries whose bytes live here. Content follows from the number alone, so that whoever reads event
 * N knows what it must be. */
struct log_group {
	size_t count;
	size_t leaf_bytes;
	uint8_t *leaves;
	uint8_t (*ids)[COMMAND_ID_BYTES];
	struct evlog_entry *entries;
};

static inline void log_fill_leaf(uint8_t *leaf, size_t len, uint64_t number)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + len;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		leaf[i] = (uint8_t)x;
	}
}

/* Every third number is for the registry; the first of a group starts its command, whose id is made
 * of the number: ascending, as ids made from the time are. */
static inline void log_group_make(struct log_group *group, uint64_t first, size_t count,
				  size_t leaf_bytes)
{
	group->count = count;
	group->leaf_bytes = leaf_bytes;
	group->leaves = calloc(count, leaf_bytes);
	group->ids = calloc(count, sizeof(*group->ids));
	group->entries = calloc(count, sizeof(*group->entries));
	assert_non_null(group->leaves);
	assert_non_null(group->ids);
	assert_non_null(group->entries);
	for (size_t i = 0; i < count; i++) {
		uint8_t *leaf = group->leaves + i * leaf_bytes;

		log_fill_leaf(leaf, leaf_bytes, first + i);
		store_u64be(group->ids[i], first);
		group->entries[i] = (struct evlog_entry){
			.leaf = slice_of(leaf, leaf_bytes),
			.command_id = group->ids[i],
			.starts_command = i == 0,
			.registry = (first + i) % 3 == 0,
		};
	}
}

static inline void log_group_release(struct log_group *group)
{
	free(group->leaves);
	free(group->ids);
	free(group->entries);
}

/* Append events @size + 1 … @size + @count as one command. */
static inline enum status log_append(struct evlog *log, uint64_t size, size_t count,
				     size_t leaf_bytes, struct error *err)
{
	struct log_group group;
	enum status status;

	log_group_make(&group, size + 1, count, leaf_bytes);
	status = evlog_append(log, size, group.entries, count, err);
	log_group_release(&group);
	return status;
}

static inline uint64_t log_size(struct evlog *log)
{
	struct evlog_snapshot *snapshot;
	uint64_t size;

	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	size = snapshot->size;
	evlog_snapshot_close(snapshot);
	return size;
}

/* Event @seq is the one that log_append() made, and its row begins with its hash. */
static inline void log_check_event(struct evlog_snapshot *snapshot, uint64_t seq, size_t leaf_bytes)
{
	uint8_t *want = malloc(leaf_bytes);
	uint8_t stored[HASH_BYTES], hash[HASH_BYTES];
	struct slice leaf;

	assert_non_null(want);
	log_fill_leaf(want, leaf_bytes, seq);
	assert_int_equal(evlog_leaf(snapshot, seq, &leaf, NULL), STATUS_OK);
	assert_true(slice_equal(leaf, slice_of(want, leaf_bytes)));
	merkle_leaf_hash(leaf, hash);
	assert_int_equal(evlog_leaf_hash(snapshot, seq, stored, NULL), STATUS_OK);
	assert_memory_equal(stored, hash, HASH_BYTES);
	free(want);
}

/* The root of the first @size leaves by the definition of RFC 6962, from the leaves alone: joining
 * pairs level by level, an odd one moving up as it is. */
static inline void log_plain_root(struct evlog_snapshot *snapshot, uint64_t size,
				  uint8_t ret[HASH_BYTES])
{
	uint8_t(*level)[HASH_BYTES] = calloc(size + 1, HASH_BYTES);
	uint64_t count = size;

	assert_non_null(level);
	merkle_empty_root(level[0]);
	for (uint64_t i = 0; i < size; i++) {
		struct slice leaf;

		assert_int_equal(evlog_leaf(snapshot, i + 1, &leaf, NULL), STATUS_OK);
		merkle_leaf_hash(leaf, level[i]);
	}
	while (count > 1) {
		for (uint64_t i = 0; i < count / 2; i++)
			merkle_node_hash(level[2 * i], level[2 * i + 1], level[i]);
		if (count % 2)
			memcpy(level[count / 2], level[count - 1], HASH_BYTES);
		count = count / 2 + count % 2;
	}
	memcpy(ret, level[0], HASH_BYTES);
	free(level);
}

static inline void log_check_root(struct evlog_snapshot *snapshot, uint64_t size)
{
	uint8_t root[HASH_BYTES], want[HASH_BYTES];

	log_plain_root(snapshot, size, want);
	assert_int_equal(evlog_root(snapshot, size, root, NULL), STATUS_OK);
	assert_memory_equal(root, want, HASH_BYTES);
}

/* Append one event at a time, wherever the log is, until @count of ours are in it. Each has
 * @writer ‖ number as its first 16 bytes and as its command id. */
static inline bool log_append_contended(struct evlog *log, uint64_t writer, uint64_t count)
{
	for (uint64_t number = 1; number <= count;) {
		uint8_t leaf[100] = { 0 };
		struct evlog_entry entry = { .leaf = slice_of(leaf, sizeof(leaf)),
					     .command_id = leaf,
					     .starts_command = true };
		struct evlog_snapshot *snapshot;
		uint64_t size;
		enum status status;

		store_u64be(leaf, writer);
		store_u64be(leaf + 8, number);
		if (evlog_snapshot_open(log, &snapshot, NULL))
			return false;
		size = snapshot->size;
		evlog_snapshot_close(snapshot);
		status = evlog_append(log, size, &entry, 1, NULL);
		if (status && status != STATUS_CONFLICT)
			return false;
		number += status == STATUS_OK;
	}
	return true;
}

/* What log_append_contended() of writers 1 … @writers left: every event once, each writer's in
 * order, and found by its command id. */
static inline void log_check_contended(struct evlog *log, uint64_t writers, uint64_t count)
{
	struct evlog_snapshot *snapshot;
	uint64_t *seen = calloc(writers + 1, sizeof(*seen));

	assert_non_null(seen);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, writers * count);
	for (uint64_t seq = 1; seq <= snapshot->size; seq++) {
		struct slice leaf;
		uint64_t writer, found;

		assert_int_equal(evlog_leaf(snapshot, seq, &leaf, NULL), STATUS_OK);
		writer = load_u64be(leaf.data);
		assert_in_range(writer, 1, writers);
		assert_int_equal(load_u64be(leaf.data + 8), ++seen[writer]);
		assert_int_equal(evlog_command(snapshot, leaf.data, &found, NULL), STATUS_OK);
		assert_int_equal(found, seq);
	}
	log_check_root(snapshot, snapshot->size);
	evlog_snapshot_close(snapshot);
	free(seen);
}

#endif
