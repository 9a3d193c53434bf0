/*
 * The Merkle tree: hashes, the frontier, proofs from stored nodes, and their verification.
 *
 * Invariants: every hash read from a source is of a complete subtree of the tree asked about;
 * nothing recurses; the verifiers accept any input and read no more of a path than its array holds.
 * This file knows neither where nodes are stored nor what a leaf means.
 */
#include "store/merkle.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

#include "base/banned.h"

static_assert(crypto_hash_sha256_BYTES == HASH_BYTES, "the tree is over SHA-256");

/* RFC 6962 section 2.1: different first bytes, so that a node can never pass for a leaf. */
enum {
	LEAF_PREFIX = 0x00,
	NODE_PREFIX = 0x01,
	NODE_INPUT_BYTES = 1 + 2 * HASH_BYTES,
};

void merkle_leaf_hash(struct slice leaf, uint8_t ret[HASH_BYTES])
{
	static const uint8_t prefix = LEAF_PREFIX;
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, &prefix, 1);
	crypto_hash_sha256_update(&state, leaf.data, leaf.len);
	crypto_hash_sha256_final(&state, ret);
}

void merkle_node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
		      uint8_t ret[HASH_BYTES])
{
	uint8_t input[NODE_INPUT_BYTES];

	input[0] = NODE_PREFIX;
	memcpy(input + 1, left, HASH_BYTES);
	memcpy(input + 1 + HASH_BYTES, right, HASH_BYTES);
	crypto_hash_sha256(ret, input, sizeof(input));
}

void merkle_empty_root(uint8_t ret[HASH_BYTES])
{
	crypto_hash_sha256(ret, (const uint8_t *)"", 0);
}

static unsigned lowest_bit(uint64_t value)
{
	return (unsigned)__builtin_ctzll(value);
}

/* The largest power of two below @count, which is at least 2: how many leaves go left. */
static uint64_t split_of(uint64_t count)
{
	return UINT64_C(1) << (63 - __builtin_clzll(count - 1));
}

/* Read the complete subtree of 2^@level leaves that begins at leaf @first. */
static enum status read_subtree(struct merkle_source source, uint64_t first, unsigned level,
				uint8_t ret[HASH_BYTES], struct error *err)
{
	return source.node(source.context, level, first >> level, ret, err);
}

/*
 * The hash of the @count > 0 leaves from @first, which is a multiple of the first power of two that
 * holds them all. The binary digits of @count name the complete subtrees; they join right to left.
 */
static enum status range_hash(struct merkle_source source, uint64_t first, uint64_t count,
			      uint8_t ret[HASH_BYTES], struct error *err)
{
	uint8_t hash[HASH_BYTES];
	uint8_t left[HASH_BYTES];
	unsigned level = lowest_bit(count);
	uint64_t rest = count & (count - 1);
	enum status status;

	status = read_subtree(source, first + rest, level, hash, err);
	while (status == STATUS_OK && rest) {
		level = lowest_bit(rest);
		rest &= rest - 1;
		status = read_subtree(source, first + rest, level, left, err);
		if (status == STATUS_OK)
			merkle_node_hash(left, hash, hash);
	}
	if (status == STATUS_OK)
		memcpy(ret, hash, HASH_BYTES);
	return status;
}

enum status merkle_frontier_load(struct merkle_source source, uint64_t size,
				 struct merkle_frontier *ret, struct error *err)
{
	struct merkle_frontier frontier = { .size = size };

	for (uint64_t bits = size; bits; bits &= bits - 1) {
		unsigned level = lowest_bit(bits);
		uint64_t first = bits & (bits - 1);
		enum status status = read_subtree(source, first, level, frontier.node[level], err);

		if (status != STATUS_OK)
			return status;
	}
	*ret = frontier;
	return STATUS_OK;
}

unsigned merkle_frontier_append(struct merkle_frontier *frontier,
				const uint8_t leaf_hash[HASH_BYTES], uint8_t *ret_row)
{
	unsigned levels = 0;
	uint8_t hash[HASH_BYTES];

	assert(frontier->size < UINT64_MAX);
	memcpy(hash, leaf_hash, HASH_BYTES);
	for (uint64_t full = frontier->size;; full >>= 1, levels++) {
		if (ret_row)
			memcpy(ret_row + (size_t)levels * HASH_BYTES, hash, HASH_BYTES);
		if (!(full & 1))
			break;
		merkle_node_hash(frontier->node[levels], hash, hash);
	}
	memcpy(frontier->node[levels], hash, HASH_BYTES);
	frontier->size++;
	return levels + 1;
}

void merkle_frontier_root(const struct merkle_frontier *frontier, uint8_t ret[HASH_BYTES])
{
	uint64_t bits = frontier->size;
	uint8_t hash[HASH_BYTES];

	if (bits == 0) {
		merkle_empty_root(ret);
		return;
	}
	memcpy(hash, frontier->node[lowest_bit(bits)], HASH_BYTES);
	for (bits &= bits - 1; bits; bits &= bits - 1)
		merkle_node_hash(frontier->node[lowest_bit(bits)], hash, hash);
	memcpy(ret, hash, HASH_BYTES);
}

enum status merkle_root(struct merkle_source source, uint64_t size, uint8_t ret[HASH_BYTES],
			struct error *err)
{
	if (size == 0) {
		merkle_empty_root(ret);
		return STATUS_OK;
	}
	return range_hash(source, 0, size, ret, err);
}

/* A run of leaves whose hash a proof needs. */
struct range {
	uint64_t first;
	uint64_t count;
};

/*
 * The way down from the root to a subtree, noting the sibling at each fork. RFC 9162 lists hashes
 * from the bottom up, so they are read in reverse.
 */
struct descent {
	struct range at;
	bool went_right;
	size_t count;
	struct range sibling[MERKLE_PATH_MAX];
};

/* Take one fork, left or right of the split. */
static void descend(struct descent *descent, uint64_t split, bool right)
{
	struct range at = descent->at;
	struct range left = { .first = at.first, .count = split };
	struct range rest = { .first = at.first + split, .count = at.count - split };

	assert(descent->count < MERKLE_PATH_MAX);
	descent->sibling[descent->count++] = right ? left : rest;
	descent->at = right ? rest : left;
	descent->went_right |= right;
}

/* Read the siblings, lowest first, behind what @path holds already. */
static enum status read_siblings(struct merkle_source source, const struct descent *descent,
				 struct merkle_path *path, struct error *err)
{
	for (size_t i = descent->count; i-- > 0;) {
		const struct range *range = &descent->sibling[i];
		enum status status;

		assert(path->count < MERKLE_PATH_MAX);
		status = range_hash(source, range->first, range->count, path->hash[path->count],
				    err);
		if (status != STATUS_OK)
			return status;
		path->count++;
	}
	return STATUS_OK;
}

enum status merkle_inclusion_proof(struct merkle_source source, uint64_t index, uint64_t size,
				   struct merkle_path *ret, struct error *err)
{
	struct descent descent = { .at = { .first = 0, .count = size } };
	struct merkle_path path = { .count = 0 };
	enum status status;

	if (size > MERKLE_SIZE_MAX || index >= size)
		return error_set(err, STATUS_USAGE,
				 "no proof that leaf %" PRIu64 " is in a tree of %" PRIu64
				 " leaves",
				 index, size);
	while (descent.at.count > 1) {
		uint64_t split = split_of(descent.at.count);

		descend(&descent, split, index - descent.at.first >= split);
	}
	status = read_siblings(source, &descent, &path, err);
	if (status == STATUS_OK)
		*ret = path;
	return status;
}

/* SUBPROOF of RFC 9162 for 0 < @size1 < @size2, without its recursion. */
static enum status consistency_path(struct merkle_source source, uint64_t size1, uint64_t size2,
				    struct merkle_path *path, struct error *err)
{
	struct descent descent = { .at = { .first = 0, .count = size2 } };

	while (size1 - descent.at.first != descent.at.count) {
		uint64_t split = split_of(descent.at.count);

		descend(&descent, split, size1 - descent.at.first > split);
	}
	/* On the left edge that subtree is the old tree itself, whose root the verifier holds. */
	if (descent.went_right) {
		enum status status =
			range_hash(source, descent.at.first, descent.at.count, path->hash[0], err);

		if (status != STATUS_OK)
			return status;
		path->count = 1;
	}
	return read_siblings(source, &descent, path, err);
}

enum status merkle_consistency_proof(struct merkle_source source, uint64_t size1, uint64_t size2,
				     struct merkle_path *ret, struct error *err)
{
	struct merkle_path path = { .count = 0 };
	enum status status = STATUS_OK;

	if (size2 > MERKLE_SIZE_MAX || size1 == 0 || size1 > size2)
		return error_set(err, STATUS_USAGE,
				 "no proof that a tree of %" PRIu64
				 " leaves grew out of one of %" PRIu64,
				 size2, size1);
	if (size1 < size2)
		status = consistency_path(source, size1, size2, &path, err);
	if (status == STATUS_OK)
		*ret = path;
	return status;
}

/*
 * Where a verifier stands on its way up: the node's number on its level, and that of the last one.
 * Names as in RFC 9162.
 */
struct climb {
	uint64_t fn;
	uint64_t sn;
};

/*
 * Go one fork up, skipping the levels where the node stands alone; true when its sibling there is
 * the left one. Only below the root (sn > 0): then a node that is odd or last is not number 0.
 */
static bool climb_from_right(struct climb *climb)
{
	bool right = (climb->fn & 1) || climb->fn == climb->sn;

	if (right) {
		unsigned alone = lowest_bit(climb->fn);

		climb->fn >>= alone;
		climb->sn >>= alone;
	}
	climb->fn >>= 1;
	climb->sn >>= 1;
	return right;
}

bool merkle_verify_inclusion(const uint8_t leaf_hash[HASH_BYTES], uint64_t index, uint64_t size,
			     const struct merkle_path *path, const uint8_t root[HASH_BYTES])
{
	struct climb climb = { .fn = index, .sn = size - 1 };
	uint8_t hash[HASH_BYTES];

	if (index >= size || path->count > MERKLE_PATH_MAX)
		return false;
	memcpy(hash, leaf_hash, HASH_BYTES);
	for (size_t i = 0; i < path->count; i++) {
		if (climb.sn == 0)
			return false;
		if (climb_from_right(&climb))
			merkle_node_hash(path->hash[i], hash, hash);
		else
			merkle_node_hash(hash, path->hash[i], hash);
	}
	return climb.sn == 0 && memcmp(hash, root, HASH_BYTES) == 0;
}

bool merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t root1[HASH_BYTES],
			       const uint8_t root2[HASH_BYTES], const struct merkle_path *path)
{
	struct climb climb = { .fn = size1 - 1, .sn = size2 - 1 };
	bool whole = (size1 & (size1 - 1)) == 0; /* one complete subtree: its hash is root1 */
	uint8_t old[HASH_BYTES];
	uint8_t new[HASH_BYTES];
	size_t used = whole ? 0 : 1;
	unsigned shared;

	if (size1 == 0 || size1 > size2 || path->count > MERKLE_PATH_MAX)
		return false;
	if (size1 == size2)
		return path->count == 0 && memcmp(root1, root2, HASH_BYTES) == 0;
	if (path->count == 0)
		return false;
	shared = lowest_bit(size1); /* fn ends in that many ones */
	climb.fn >>= shared;
	climb.sn >>= shared;
	memcpy(old, whole ? root1 : path->hash[0], HASH_BYTES);
	memcpy(new, old, HASH_BYTES);
	for (; used < path->count; used++) {
		const uint8_t *sibling = path->hash[used];

		if (climb.sn == 0)
			return false;
		if (climb_from_right(&climb)) {
			merkle_node_hash(sibling, old, old);
			merkle_node_hash(sibling, new, new);
		} else {
			merkle_node_hash(new, sibling, new);
		}
	}
	return climb.sn == 0 && memcmp(old, root1, HASH_BYTES) == 0 &&
	       memcmp(new, root2, HASH_BYTES) == 0;
}
