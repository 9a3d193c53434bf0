/*
 * The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1) over leaves, with stored nodes.
 *
 * leaf hash = SHA-256(0x00 ‖ leaf); node = SHA-256(0x01 ‖ left ‖ right); the root of the empty tree
 * is SHA-256("").
 *
 * Storage: appending leaf number i (from 0) completes the subtree roots of levels
 * 0 … trailing zeros of (i + 1). They are stored together as one row for that leaf, so an append
 * writes one row, and node (level, index) stands in the row of leaf ((index + 1) << level) − 1 at
 * offset level × 32. Only complete subtrees are stored; nothing stored ever changes.
 */
#ifndef PROVENV_STORE_MERKLE_H
#define PROVENV_STORE_MERKLE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

enum {
	MERKLE_LEVELS_MAX = 64,
	MERKLE_PATH_MAX = 64, /* an inclusion path has at most 63 hashes, a consistency path 64 */
	MERKLE_ROW_BYTES_MAX = MERKLE_LEVELS_MAX * HASH_BYTES,
};

/* The largest tree that proofs are made for: what keeps them within MERKLE_PATH_MAX. */
#define MERKLE_SIZE_MAX (UINT64_C(1) << 63)

/* Reads the stored node (level, index) of a tree that holds it. CORRUPT when it is missing. */
struct merkle_source {
	enum status (*node)(void *context, unsigned level, uint64_t index, uint8_t ret[HASH_BYTES],
			    struct error *err);
	void *context;
};

/* A proof: hashes in the order RFC 9162 lists them. */
struct merkle_path {
	size_t count;
	uint8_t hash[MERKLE_PATH_MAX][HASH_BYTES];
};

/* @ret may be the storage of an input. */
void merkle_leaf_hash(struct slice leaf, uint8_t ret[HASH_BYTES]);
void merkle_node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
		      uint8_t ret[HASH_BYTES]);
void merkle_empty_root(uint8_t ret[HASH_BYTES]);

/* The number of hashes in the row of leaf number @index (from 0). */
static inline unsigned merkle_row_hashes(uint64_t index)
{
	return (unsigned)__builtin_ctzll(index + 1) + 1;
}

/*
 * The running right edge of a tree: enough to append and to tell the root, in O(log n) memory.
 * Plain storage; zero-initialised it is the empty tree.
 */
struct merkle_frontier {
	uint64_t size;
	uint8_t node[MERKLE_LEVELS_MAX][HASH_BYTES]; /* node[l] valid where bit l of size is set */
};

/* Load the frontier of the tree of @size leaves from stored nodes. */
enum status merkle_frontier_load(struct merkle_source source, uint64_t size,
				 struct merkle_frontier *ret, struct error *err);
/*
 * Append a leaf hash. @ret_row (MERKLE_ROW_BYTES_MAX bytes, may be NULL) receives the row to store,
 * merkle_row_hashes() hashes, level 0 first; their count is returned.
 */
unsigned merkle_frontier_append(struct merkle_frontier *frontier,
				const uint8_t leaf_hash[HASH_BYTES], uint8_t *ret_row);
void merkle_frontier_root(const struct merkle_frontier *frontier, uint8_t ret[HASH_BYTES]);

/* The root of the first @size leaves. */
enum status merkle_root(struct merkle_source source, uint64_t size, uint8_t ret[HASH_BYTES],
			struct error *err);

/* RFC 9162 section 2.1.3.1. USAGE unless @index < @size ≤ MERKLE_SIZE_MAX. */
enum status merkle_inclusion_proof(struct merkle_source source, uint64_t index, uint64_t size,
				   struct merkle_path *ret, struct error *err);
/* RFC 9162 section 2.1.4.1. USAGE unless 0 < @size1 ≤ @size2 ≤ MERKLE_SIZE_MAX. */
enum status merkle_consistency_proof(struct merkle_source source, uint64_t size1, uint64_t size2,
				     struct merkle_path *ret, struct error *err);

/* RFC 9162 section 2.1.3.2. Total: any input, false unless the proof holds. */
bool merkle_verify_inclusion(const uint8_t leaf_hash[HASH_BYTES], uint64_t index, uint64_t size,
			     const struct merkle_path *path, const uint8_t root[HASH_BYTES]);
/* RFC 9162 section 2.1.4.2; consistency from size 0 is refused. Total. */
bool merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t root1[HASH_BYTES],
			       const uint8_t root2[HASH_BYTES], const struct merkle_path *path);

#endif
