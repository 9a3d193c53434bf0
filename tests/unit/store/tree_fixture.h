/*
 * A Merkle tree in memory, its nodes stored in rows as the log stores them. For tests only.
 */
#ifndef PROVENV_TESTS_TREE_FIXTURE_H
#define PROVENV_TESTS_TREE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/merkle.h"

enum {
	TREE_LEAVES_MAX = 1200,
	TREE_LEVELS = 12,
};

/* Stored rows as the log keeps them: row[leaf] holds the nodes that the leaf completes. */
struct tree {
	uint64_t size;
	uint64_t first; /* a source sees the leaves from here on, as a tree of its own */
	uint64_t reads;
	uint64_t fail_at; /* the read that fails, from 1; 0 for none */
	uint8_t (*row)[TREE_LEVELS][HASH_BYTES];
};

static inline void tree_release(struct tree *tree)
{
	free(tree->row);
}

static inline enum status tree_node(void *context, unsigned level, uint64_t index,
				    uint8_t ret[HASH_BYTES], struct error *err)
{
	struct tree *tree = context;
	uint64_t leaf = ((index + 1) << level) - 1 + tree->first;

	if (++tree->reads == tree->fail_at)
		return error_set(err, STATUS_IO, "the disk is gone");
	if (leaf >= tree->size || level >= merkle_row_hashes(leaf))
		return error_set(err, STATUS_CORRUPT, "node %u/%" PRIu64 " is missing", level,
				 index);
	memcpy(ret, tree->row[leaf][level], HASH_BYTES);
	return STATUS_OK;
}

static inline struct merkle_source tree_source(struct tree *tree)
{
	return (struct merkle_source){ .node = tree_node, .context = tree };
}

/* Append a leaf hash the way the log does. */
static inline void tree_append(struct tree *tree, struct merkle_frontier *frontier,
			       const uint8_t leaf_hash[HASH_BYTES])
{
	uint8_t row[MERKLE_ROW_BYTES_MAX];
	unsigned count = merkle_frontier_append(frontier, leaf_hash, row);

	assert_true(tree->size < TREE_LEAVES_MAX);
	assert_int_equal(count, merkle_row_hashes(tree->size));
	assert_true(count <= TREE_LEVELS);
	memcpy(tree->row[tree->size], row, (size_t)count * HASH_BYTES);
	tree->size++;
	assert_int_equal(frontier->size, tree->size);
}

/* @count leaves; leaf i is the byte i, and past 255 its low and high byte. */
static inline void tree_fill(struct tree *tree, uint64_t count)
{
	struct merkle_frontier frontier = { .size = 0 };
	uint8_t leaf_hash[HASH_BYTES];

	tree->row = calloc(TREE_LEAVES_MAX, sizeof(*tree->row));
	assert_non_null(tree->row);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t leaf[2] = { (uint8_t)i, (uint8_t)(i >> 8) };

		merkle_leaf_hash(slice_of(leaf, i < 256 ? 1 : 2), leaf_hash);
		tree_append(tree, &frontier, leaf_hash);
	}
}

static inline void path_push(struct merkle_path *path, const uint8_t hash[HASH_BYTES])
{
	assert_true(path->count < MERKLE_PATH_MAX);
	memcpy(path->hash[path->count++], hash, HASH_BYTES);
}

#endif
