/*
 * The Merkle tree against a second way of computing everything, at its largest sizes, and against
 * hostile proofs. Published vectors: test_merkle_vectors.c.
 */
#include "store/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "unit/store/tree_fixture.h"

#include "base/banned.h"

/* splitmix64: small, and the same everywhere for the same seed. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return random_next(state) % bound;
}

/* PROVENV_TEST_SEED repeats a run. */
static uint64_t random_seed(void)
{
	const char *given = secure_getenv("PROVENV_TEST_SEED");
	uint64_t seed;

	if (!given || !text_to_u64(slice_str(given), &seed))
		rng_bytes(&seed, sizeof(seed));
	print_message("PROVENV_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* ---- the second way: whole levels, bottom up, a lone last node moving up unchanged ---- */

struct reference {
	unsigned levels; /* level levels − 1 is the root alone */
	uint64_t count[TREE_LEVELS];
	uint8_t node[TREE_LEVELS][TREE_LEAVES_MAX][HASH_BYTES];
};

/* All levels of the first @size > 0 leaves of @tree, from its leaf hashes alone. */
static void reference_build(struct reference *reference, const struct tree *tree, uint64_t size)
{
	uint64_t count = size;
	unsigned level = 0;

	for (uint64_t i = 0; i < size; i++)
		memcpy(reference->node[0][i], tree->row[i][0], HASH_BYTES);
	reference->count[0] = size;
	while (count > 1) {
		uint8_t(*below)[HASH_BYTES] = reference->node[level];
		uint8_t(*node)[HASH_BYTES] = reference->node[++level];

		assert_true(level < TREE_LEVELS);
		for (uint64_t i = 0; i < count / 2; i++)
			merkle_node_hash(below[2 * i], below[2 * i + 1], node[i]);
		if (count & 1)
			memcpy(node[count / 2], below[count - 1], HASH_BYTES);
		count = (count + 1) / 2;
		reference->count[level] = count;
	}
	reference->levels = level + 1;
}

static const uint8_t *reference_root(const struct reference *reference)
{
	return reference->node[reference->levels - 1][0];
}

/* The siblings from node @index of @level up to the root, those that exist. */
static void reference_siblings(const struct reference *reference, unsigned level, uint64_t index,
			       struct merkle_path *path)
{
	for (; level + 1 < reference->levels; level++, index >>= 1) {
		if ((index ^ 1) < reference->count[level])
			path_push(path, reference->node[level][index ^ 1]);
	}
}

static void reference_consistency(const struct reference *reference, uint64_t size1,
				  struct merkle_path *path)
{
	unsigned level = (unsigned)__builtin_ctzll(size1);
	uint64_t index = (size1 - 1) >> level;

	path->count = 0;
	if (size1 == reference->count[0])
		return;
	if (index != 0)
		path_push(path, reference->node[level][index]);
	reference_siblings(reference, level, index, path);
}

static void assert_paths_equal(const struct merkle_path *a, const struct merkle_path *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_memory_equal(a->hash[i], b->hash[i], HASH_BYTES);
}

/* ---- published roots ---- */

/* The eight leaves and roots that certificate-transparency implementations share as a test. */
static void test_known_roots(void **state)
{
	static const char *const leaves[] = { "",
					      "00",
					      "10",
					      "2021",
					      "3031",
					      "40414243",
					      "5051525354555657",
					      "606162636465666768696a6b6c6d6e6f" };
	static const char *const roots[] = {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	};
	AUTO(tree_release) struct tree tree = { .size = 0 };
	struct merkle_frontier frontier = { .size = 0 };
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	(void)state;
	tree_fill(&tree, 0);
	merkle_empty_root(hash);
	text_to_hex(hash, HASH_BYTES, hex);
	assert_string_equal(hex, roots[0]);
	for (size_t size = 0;; size++) {
		uint8_t leaf[16];
		size_t len = size < 8 ? strlen(leaves[size]) / 2 : 0;

		merkle_frontier_root(&frontier, hash);
		text_to_hex(hash, HASH_BYTES, hex);
		assert_string_equal(hex, roots[size]);
		assert_int_equal(merkle_root(tree_source(&tree), size, hash, NULL), STATUS_OK);
		text_to_hex(hash, HASH_BYTES, hex);
		assert_string_equal(hex, roots[size]);
		if (size == 8)
			break;
		assert_true(text_from_hex(slice_str(leaves[size]), leaf, len));
		merkle_leaf_hash(slice_of(leaf, len), hash);
		tree_append(&tree, &frontier, hash);
	}
}

/* ---- properties ---- */

static void test_proofs_equal_reference(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	AUTO_FREE struct reference *reference = calloc(1, sizeof(*reference));
	uint64_t seed = random_seed();

	(void)state;
	assert_non_null(reference);
	tree_fill(&tree, TREE_LEAVES_MAX);
	for (unsigned round = 0; round < 150; round++) {
		uint64_t size = round < 70 ? round + 1 : random_below(&seed, TREE_LEAVES_MAX) + 1;
		uint64_t index = random_below(&seed, size);
		uint64_t size1 = random_below(&seed, size) + 1;
		struct merkle_path expected = { .count = 0 };
		struct merkle_path path;
		uint8_t root[HASH_BYTES];
		uint8_t root1[HASH_BYTES];

		reference_build(reference, &tree, size);
		assert_int_equal(merkle_root(tree_source(&tree), size, root, NULL), STATUS_OK);
		assert_memory_equal(root, reference_root(reference), HASH_BYTES);

		assert_int_equal(
			merkle_inclusion_proof(tree_source(&tree), index, size, &path, NULL),
			STATUS_OK);
		reference_siblings(reference, 0, index, &expected);
		assert_paths_equal(&path, &expected);
		assert_true(merkle_verify_inclusion(tree.row[index][0], index, size, &path, root));

		assert_int_equal(
			merkle_consistency_proof(tree_source(&tree), size1, size, &path, NULL),
			STATUS_OK);
		reference_consistency(reference, size1, &expected);
		assert_paths_equal(&path, &expected);
		assert_int_equal(merkle_root(tree_source(&tree), size1, root1, NULL), STATUS_OK);
		assert_true(merkle_verify_consistency(size1, size, root1, root, &path));
	}
}

/* Loaded at any size, the frontier is as if every leaf had been appended to it. */
static void test_frontier_load(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	struct merkle_frontier appended = { .size = 0 };

	(void)state;
	tree_fill(&tree, 300);
	for (uint64_t size = 0; size < tree.size; size++) {
		struct merkle_frontier loaded;
		uint8_t row[MERKLE_ROW_BYTES_MAX];
		uint8_t expected[HASH_BYTES];
		uint8_t root[HASH_BYTES];
		unsigned count;

		assert_int_equal(merkle_frontier_load(tree_source(&tree), size, &loaded, NULL),
				 STATUS_OK);
		assert_int_equal(loaded.size, size);
		for (unsigned level = 0; level < MERKLE_LEVELS_MAX; level++) {
			if (size >> level & 1)
				assert_memory_equal(loaded.node[level], appended.node[level],
						    HASH_BYTES);
		}
		merkle_frontier_root(&appended, expected);
		merkle_frontier_root(&loaded, root);
		assert_memory_equal(root, expected, HASH_BYTES);
		assert_int_equal(merkle_root(tree_source(&tree), size, root, NULL), STATUS_OK);
		assert_memory_equal(root, expected, HASH_BYTES);

		count = merkle_frontier_append(&loaded, tree.row[size][0], row);
		assert_int_equal(count, merkle_row_hashes(size));
		assert_memory_equal(row, tree.row[size], (size_t)count * HASH_BYTES);
		(void)merkle_frontier_append(&appended, tree.row[size][0], NULL);
	}
}

static void flip_bit(uint8_t *bytes, size_t bit)
{
	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void test_inclusion_bit_flips(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };

	(void)state;
	tree_fill(&tree, 13);
	for (uint64_t size = 1; size <= tree.size; size++) {
		uint8_t root[HASH_BYTES];

		assert_int_equal(merkle_root(tree_source(&tree), size, root, NULL), STATUS_OK);
		for (uint64_t index = 0; index < size; index++) {
			uint8_t *leaf = tree.row[index][0];
			struct merkle_path path;

			assert_int_equal(merkle_inclusion_proof(tree_source(&tree), index, size,
								&path, NULL),
					 STATUS_OK);
			assert_true(merkle_verify_inclusion(leaf, index, size, &path, root));
			for (size_t bit = 0; bit < path.count * HASH_BYTES * 8; bit++) {
				flip_bit(path.hash[0], bit);
				assert_false(
					merkle_verify_inclusion(leaf, index, size, &path, root));
				flip_bit(path.hash[0], bit);
			}
			for (size_t bit = 0; bit < HASH_BYTES * (size_t)8; bit++) {
				flip_bit(leaf, bit);
				assert_false(
					merkle_verify_inclusion(leaf, index, size, &path, root));
				flip_bit(leaf, bit);
				flip_bit(root, bit);
				assert_false(
					merkle_verify_inclusion(leaf, index, size, &path, root));
				flip_bit(root, bit);
			}
			for (unsigned bit = 0; bit < 64; bit++)
				assert_false(merkle_verify_inclusion(
					leaf, index ^ UINT64_C(1) << bit, size, &path, root));
		}
	}
}

static void test_consistency_bit_flips(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };

	(void)state;
	tree_fill(&tree, 13);
	for (uint64_t size2 = 1; size2 <= tree.size; size2++) {
		for (uint64_t size1 = 1; size1 <= size2; size1++) {
			uint8_t root[2][HASH_BYTES];
			struct merkle_path path;

			assert_int_equal(merkle_root(tree_source(&tree), size1, root[0], NULL),
					 STATUS_OK);
			assert_int_equal(merkle_root(tree_source(&tree), size2, root[1], NULL),
					 STATUS_OK);
			assert_int_equal(merkle_consistency_proof(tree_source(&tree), size1, size2,
								  &path, NULL),
					 STATUS_OK);
			assert_true(
				merkle_verify_consistency(size1, size2, root[0], root[1], &path));
			for (size_t bit = 0; bit < path.count * HASH_BYTES * 8; bit++) {
				flip_bit(path.hash[0], bit);
				assert_false(merkle_verify_consistency(size1, size2, root[0],
								       root[1], &path));
				flip_bit(path.hash[0], bit);
			}
			for (size_t bit = 0; bit < sizeof(root) * 8; bit++) {
				flip_bit(root[0], bit);
				assert_false(merkle_verify_consistency(size1, size2, root[0],
								       root[1], &path));
				flip_bit(root[0], bit);
			}
		}
	}
}

/* A hash too few, too many, or in the wrong place. */
static void test_wrong_length_proofs(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	uint8_t root[HASH_BYTES];
	uint8_t root1[HASH_BYTES];

	(void)state;
	tree_fill(&tree, 40);
	for (uint64_t size = 2; size <= tree.size; size++) {
		struct merkle_path path;
		uint64_t at = size / 2;

		assert_int_equal(merkle_root(tree_source(&tree), size, root, NULL), STATUS_OK);
		assert_int_equal(merkle_root(tree_source(&tree), at, root1, NULL), STATUS_OK);
		assert_int_equal(merkle_inclusion_proof(tree_source(&tree), at, size, &path, NULL),
				 STATUS_OK);
		for (size_t count = 0; count < MERKLE_PATH_MAX + 3; count++) {
			size_t right = path.count;

			path.count = count;
			assert_int_equal(
				merkle_verify_inclusion(tree.row[at][0], at, size, &path, root),
				count == right);
			path.count = right;
		}
		assert_int_equal(
			merkle_consistency_proof(tree_source(&tree), at, size, &path, NULL),
			STATUS_OK);
		for (size_t count = 0; count < MERKLE_PATH_MAX + 3; count++) {
			size_t right = path.count;

			path.count = count;
			assert_int_equal(merkle_verify_consistency(at, size, root1, root, &path),
					 count == right);
			path.count = right;
		}
	}
}

/* ---- very large trees: all leaves equal, so that a level has one hash ---- */

struct uniform {
	uint8_t level[MERKLE_LEVELS_MAX][HASH_BYTES];
};

static void uniform_init(struct uniform *uniform)
{
	merkle_leaf_hash(slice_str("same"), uniform->level[0]);
	for (unsigned i = 1; i < MERKLE_LEVELS_MAX; i++)
		merkle_node_hash(uniform->level[i - 1], uniform->level[i - 1], uniform->level[i]);
}

static enum status uniform_node(void *context, unsigned level, uint64_t index,
				uint8_t ret[HASH_BYTES], struct error *err)
{
	const struct uniform *uniform = context;

	(void)index;
	if (level >= MERKLE_LEVELS_MAX)
		return error_set(err, STATUS_CORRUPT, "no level %u", level);
	memcpy(ret, uniform->level[level], HASH_BYTES);
	return STATUS_OK;
}

static void assert_large_proofs(struct merkle_source source, const uint8_t leaf[HASH_BYTES],
				uint64_t part, uint64_t size)
{
	struct merkle_path path;
	uint8_t root[HASH_BYTES];
	uint8_t root1[HASH_BYTES];

	assert_int_equal(merkle_root(source, size, root, NULL), STATUS_OK);
	assert_int_equal(merkle_inclusion_proof(source, part - 1, size, &path, NULL), STATUS_OK);
	assert_true(merkle_verify_inclusion(leaf, part - 1, size, &path, root));
	assert_int_equal(merkle_root(source, part, root1, NULL), STATUS_OK);
	assert_int_equal(merkle_consistency_proof(source, part, size, &path, NULL), STATUS_OK);
	assert_true(merkle_verify_consistency(part, size, root1, root, &path));
}

static void test_large_trees(void **state)
{
	struct uniform uniform;
	struct merkle_source source = { .node = uniform_node, .context = &uniform };
	struct merkle_path path;
	uint64_t seed = random_seed();

	(void)state;
	uniform_init(&uniform);
	for (unsigned round = 0; round < 300; round++) {
		uint64_t size = (random_next(&seed) >> random_below(&seed, 63) >> 1) + 1;

		assert_large_proofs(source, uniform.level[0], random_below(&seed, size) + 1, size);
	}
	for (uint64_t part = 1; part; part <<= 1) {
		assert_large_proofs(source, uniform.level[0], part > 1 ? part - 1 : 1,
				    MERKLE_SIZE_MAX);
		if (part <= MERKLE_SIZE_MAX)
			assert_large_proofs(source, uniform.level[0], part, MERKLE_SIZE_MAX);
	}
	/* The longest proofs there are. */
	assert_int_equal(merkle_inclusion_proof(source, 0, MERKLE_SIZE_MAX, &path, NULL),
			 STATUS_OK);
	assert_int_equal(path.count, 63);
	assert_int_equal(merkle_consistency_proof(source, MERKLE_SIZE_MAX / 2 + 1, MERKLE_SIZE_MAX,
						  &path, NULL),
			 STATUS_OK);
	assert_int_equal(path.count, 64);
}

static void test_large_frontier(void **state)
{
	struct uniform uniform;
	struct merkle_source source = { .node = uniform_node, .context = &uniform };
	struct merkle_frontier frontier;
	uint8_t row[MERKLE_ROW_BYTES_MAX];
	uint8_t root[HASH_BYTES];

	(void)state;
	uniform_init(&uniform);
	assert_int_equal(merkle_frontier_load(source, MERKLE_SIZE_MAX - 1, &frontier, NULL),
			 STATUS_OK);
	assert_int_equal(merkle_frontier_append(&frontier, uniform.level[0], row), 64);
	assert_memory_equal(row, uniform.level, sizeof(row));
	merkle_frontier_root(&frontier, root);
	assert_memory_equal(root, uniform.level[63], HASH_BYTES);
}

/* ---- refusals ---- */

static void test_bad_arguments(void **state)
{
	struct uniform uniform;
	struct merkle_source source = { .node = uniform_node, .context = &uniform };
	struct merkle_path path = { .count = 7 };
	struct error err = ERROR_INIT;

	(void)state;
	uniform_init(&uniform);
	assert_int_equal(merkle_inclusion_proof(source, 0, 0, &path, &err), STATUS_USAGE);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_int_equal(merkle_inclusion_proof(source, 5, 5, &path, NULL), STATUS_USAGE);
	assert_int_equal(merkle_inclusion_proof(source, UINT64_MAX, 5, &path, NULL), STATUS_USAGE);
	assert_int_equal(merkle_inclusion_proof(source, 0, MERKLE_SIZE_MAX + 1, &path, NULL),
			 STATUS_USAGE);
	assert_int_equal(merkle_consistency_proof(source, 0, 0, &path, NULL), STATUS_USAGE);
	assert_int_equal(merkle_consistency_proof(source, 0, 5, &path, NULL), STATUS_USAGE);
	assert_int_equal(merkle_consistency_proof(source, 6, 5, &path, NULL), STATUS_USAGE);
	assert_int_equal(merkle_consistency_proof(source, 1, MERKLE_SIZE_MAX + 1, &path, NULL),
			 STATUS_USAGE);
	assert_int_equal(path.count, 7);
}

/* Numbers and counts at the edges: no answer but false, and nothing read out of bounds. */
static void test_verifiers_are_total(void **state)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, (UINT64_C(1) << 63) - 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX
	};
	static const size_t counts[] = { 0, 1, 63, 64, 65, SIZE_MAX };
	const size_t edge_count = sizeof(edges) / sizeof(edges[0]);
	struct merkle_path path;
	uint8_t hash[2][HASH_BYTES] = { { 1 }, { 2 } };

	(void)state;
	memset(&path, 0xa5, sizeof(path));
	for (size_t i = 0; i < edge_count * edge_count; i++) {
		uint64_t a = edges[i / edge_count];
		uint64_t b = edges[i % edge_count];

		for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
			path.count = counts[j];
			assert_false(merkle_verify_inclusion(hash[0], a, b, &path, hash[1]));
			assert_false(merkle_verify_consistency(a, b, hash[0], hash[1], &path));
		}
	}
}

/* Proofs whose hashes all fit, of claims that no tree can make true. */
static void test_forged_proofs(void **state)
{
	static const uint8_t x[HASH_BYTES] = { 1 };
	struct merkle_path path = { .count = 1, .hash = { { 2 }, { 3 }, { 4 }, { 5 } } };
	uint8_t root1[HASH_BYTES];
	uint8_t root2[HASH_BYTES];

	(void)state;
	/* a hash above the root: a tree of one leaf has no siblings */
	merkle_node_hash(path.hash[0], x, root1);
	assert_false(merkle_verify_inclusion(x, 0, 1, &path, root1));
	merkle_node_hash(x, path.hash[0], root1);
	assert_false(merkle_verify_inclusion(x, 0, 1, &path, root1));
	assert_true(merkle_verify_inclusion(x, 0, 2, &path, root1));

	/* 3 leaves to 4, and then one hash above both roots */
	path.count = 3;
	merkle_node_hash(path.hash[2], path.hash[0], root1);
	merkle_node_hash(path.hash[0], path.hash[1], root2);
	merkle_node_hash(path.hash[2], root2, root2);
	assert_true(merkle_verify_consistency(3, 4, root1, root2, &path));
	path.count = 4;
	merkle_node_hash(path.hash[3], root1, root1);
	merkle_node_hash(path.hash[3], root2, root2);
	assert_false(merkle_verify_consistency(3, 4, root1, root2, &path));

	/* a tree that shrank: 3 leaves to 2 */
	path.count = 2;
	merkle_node_hash(path.hash[0], path.hash[1], root2);
	assert_false(merkle_verify_consistency(3, 2, path.hash[0], root2, &path));
}

/* Whatever read fails, the failure comes through and no output has changed. */
static void test_source_failures(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	struct merkle_frontier frontier = { .size = 99 };
	struct merkle_path path = { .count = 99 };
	uint8_t root[HASH_BYTES] = { 99 };
	struct error err = ERROR_INIT;
	unsigned failures = 0;

	(void)state;
	tree_fill(&tree, 107);
	for (uint64_t at = 1; at < 20; at++) {
		enum status status[4];

		tree.fail_at = at;
		tree.reads = 0;
		status[0] = merkle_root(tree_source(&tree), 107, root, &err);
		tree.reads = 0;
		status[1] = merkle_frontier_load(tree_source(&tree), 107, &frontier, &err);
		tree.reads = 0;
		status[2] = merkle_inclusion_proof(tree_source(&tree), 21, 107, &path, &err);
		if (status[2] != STATUS_OK)
			assert_int_equal(path.count, 99);
		path.count = 99;
		tree.reads = 0;
		status[3] = merkle_consistency_proof(tree_source(&tree), 21, 107, &path, &err);
		if (status[3] != STATUS_OK)
			assert_int_equal(path.count, 99);
		path.count = 99;
		for (size_t i = 0; i < 4; i++) {
			assert_true(status[i] == STATUS_OK || status[i] == STATUS_IO);
			failures += status[i] == STATUS_IO;
		}
		if (status[0] != STATUS_OK)
			assert_int_equal(root[0], 99);
		if (status[1] != STATUS_OK)
			assert_int_equal(frontier.size, 99);
		root[0] = 99;
		frontier.size = 99;
	}
	assert_string_equal(err.text, "the disk is gone");
	/* 107 has five binary ones; both proofs read their siblings and the right edge's parts. */
	assert_int_equal(failures, 5 + 5 + 10 + 11);
}

/* A tree that lacks a row says so. */
static void test_missing_nodes(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	struct merkle_path path;
	uint8_t root[HASH_BYTES];

	(void)state;
	tree_fill(&tree, 12);
	assert_int_equal(merkle_root(tree_source(&tree), 13, root, NULL), STATUS_CORRUPT);
	assert_int_equal(merkle_inclusion_proof(tree_source(&tree), 0, 13, &path, NULL),
			 STATUS_CORRUPT);
	assert_int_equal(merkle_consistency_proof(tree_source(&tree), 5, 13, &path, NULL),
			 STATUS_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_roots),
		cmocka_unit_test(test_proofs_equal_reference),
		cmocka_unit_test(test_frontier_load),
		cmocka_unit_test(test_inclusion_bit_flips),
		cmocka_unit_test(test_consistency_bit_flips),
		cmocka_unit_test(test_wrong_length_proofs),
		cmocka_unit_test(test_large_trees),
		cmocka_unit_test(test_large_frontier),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_verifiers_are_total),
		cmocka_unit_test(test_forged_proofs),
		cmocka_unit_test(test_source_failures),
		cmocka_unit_test(test_missing_nodes),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
