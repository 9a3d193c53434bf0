/*
 * The Merkle tree against vectors that other implementations published (tests/golden/merkle).
 */
#include "store/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "unit/store/tree_fixture.h"

#include "base/banned.h"

enum {
	FOLD_LEAVES = 130,
	VECTOR_COUNT = 98,
	VECTOR_FILE_BYTES_MAX = 1024 * 1024,
};

/* ---- JSON vectors ---- */

/*
 * Put numbers into quotation marks: indexes take all 64 bits, which jansson's integers do not, and
 * a double would round them.
 */
static void quote_numbers(struct slice json, struct buf *ret)
{
	bool in_string = false;
	bool in_number = false;

	for (size_t i = 0; i < json.len; i++) {
		uint8_t byte = json.data[i];
		bool digit = byte >= '0' && byte <= '9';

		/* the vectors hold no escaped quotation marks; jansson would object */
		if (byte == '"')
			in_string = !in_string;
		if (!in_string && digit != in_number) {
			buf_append_byte(ret, '"');
			in_number = digit;
		}
		buf_append_byte(ret, byte);
	}
}

static json_t *load_vectors(const char *path)
{
	AUTO(buf_release) struct buf file = BUF_INIT;
	AUTO(buf_release) struct buf quoted = BUF_INIT;
	json_error_t problem;
	json_t *vectors;

	assert_int_equal(fs_read_file(path, VECTOR_FILE_BYTES_MAX, &file, NULL), STATUS_OK);
	quote_numbers(buf_slice(&file), &quoted);
	assert_int_equal(buf_status(&quoted, NULL), STATUS_OK);
	vectors = json_loadb(buf_str(&quoted), quoted.len, JSON_REJECT_DUPLICATES, &problem);
	assert_non_null(vectors);
	assert_int_equal(json_array_size(vectors), VECTOR_COUNT);
	return vectors;
}

static uint64_t vector_u64(const json_t *vector, const char *key)
{
	const char *text = json_string_value(json_object_get(vector, key));
	uint64_t value;

	assert_non_null(text);
	assert_true(text_to_u64(slice_str(text), &value));
	return value;
}

/*
 * A root or leaf hash. Ours are 32 bytes by type, so one of another length is represented by its
 * SHA-256, equal where the originals are equal; an empty one is no hash at all: false.
 */
static bool vector_hash(const json_t *vector, const char *key, uint8_t ret[HASH_BYTES])
{
	const char *text = json_string_value(json_object_get(vector, key));
	uint8_t bytes[64];
	size_t len;

	assert_non_null(text);
	assert_true(text_from_base64(slice_str(text), bytes, sizeof(bytes), &len));
	if (len == HASH_BYTES)
		memcpy(ret, bytes, HASH_BYTES);
	else
		crypto_hash_sha256(ret, bytes, len);
	return len > 0;
}

/* False when an entry is not a 32-byte hash: then the proof is refused as malformed. */
static bool vector_path(const json_t *vector, struct merkle_path *ret)
{
	const json_t *proof = json_object_get(vector, "proof");

	assert_non_null(proof);
	ret->count = 0;
	for (size_t i = 0; i < json_array_size(proof); i++) {
		const char *text = json_string_value(json_array_get(proof, i));
		size_t len;

		assert_non_null(text);
		assert_true(ret->count < MERKLE_PATH_MAX);
		if (!text_from_base64(slice_str(text), ret->hash[ret->count], HASH_BYTES, &len) ||
		    len != HASH_BYTES)
			return false;
		ret->count++;
	}
	return true;
}

static void assert_verdict(const json_t *vector, bool accepted)
{
	const json_t *refused = json_object_get(vector, "wantErr");

	assert_true(json_is_boolean(refused));
	if (accepted == json_is_true(refused))
		fail_msg("vector %s: %s", json_string_value(json_object_get(vector, "name")),
			 accepted ? "accepted" : "refused");
}

static void test_inclusion_vectors(void **state)
{
	json_t *vectors = load_vectors(GOLDEN_DIR "/merkle/inclusion.json");
	unsigned well_formed = 0;
	unsigned extreme = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		uint64_t index = vector_u64(vector, "leafIdx");
		uint8_t leaf_hash[HASH_BYTES];
		uint8_t root[HASH_BYTES];
		struct merkle_path path;
		bool usable = vector_hash(vector, "leafHash", leaf_hash);

		usable = vector_hash(vector, "root", root) && usable;
		usable = vector_path(vector, &path) && usable;
		well_formed += usable;
		extreme += index == UINT64_MAX;
		assert_verdict(vector,
			       usable && merkle_verify_inclusion(leaf_hash, index,
								 vector_u64(vector, "treeSize"),
								 &path, root));
	}
	assert_int_equal(well_formed, 77);
	assert_int_equal(extreme, 2);
	json_decref(vectors);
}

static void test_consistency_vectors(void **state)
{
	json_t *vectors = load_vectors(GOLDEN_DIR "/merkle/consistency.json");
	unsigned well_formed = 0;

	(void)state;
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		uint8_t root1[HASH_BYTES];
		uint8_t root2[HASH_BYTES];
		struct merkle_path path;
		bool usable = vector_hash(vector, "root1", root1);

		usable = vector_hash(vector, "root2", root2) && usable;
		usable = vector_path(vector, &path) && usable;
		well_formed += usable;
		assert_verdict(vector,
			       usable && merkle_verify_consistency(vector_u64(vector, "size1"),
								   vector_u64(vector, "size2"),
								   root1, root2, &path));
	}
	assert_int_equal(well_formed, 90);
	json_decref(vectors);
}

/* ---- folded digests ---- */

static bool is_valid_subtree(uint64_t start, uint64_t end)
{
	uint64_t width = 1;

	while (width < end - start)
		width *= 2;
	return start % width == 0;
}

static void append_hash(struct buf *line, const uint8_t hash[HASH_BYTES])
{
	char hex[2 * HASH_BYTES + 1];

	text_to_hex(hash, HASH_BYTES, hex);
	buf_printf(line, " %s", hex);
}

/* End the line with the hashes, fold it in, and empty it. */
static void fold_line(crypto_hash_sha256_state *fold, struct buf *line,
		      const struct merkle_path *path)
{
	for (size_t i = 0; i < path->count; i++)
		append_hash(line, path->hash[i]);
	buf_append_byte(line, '\n');
	assert_int_equal(buf_status(line, NULL), STATUS_OK);
	crypto_hash_sha256_update(fold, line->data, line->len);
	buf_clear(line);
}

static void assert_fold(crypto_hash_sha256_state *fold, const char *expected)
{
	uint8_t digest[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	crypto_hash_sha256_final(fold, digest);
	text_to_hex(digest, HASH_BYTES, hex);
	assert_string_equal(hex, expected);
}

static void test_folded_subtree_hashes(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	AUTO(buf_release) struct buf line = BUF_INIT;
	crypto_hash_sha256_state fold;
	struct merkle_path path = { .count = 1 };

	(void)state;
	tree_fill(&tree, FOLD_LEAVES);
	crypto_hash_sha256_init(&fold);
	for (uint64_t end = 0; end <= FOLD_LEAVES; end++) {
		for (uint64_t start = 0; start <= end; start++) {
			if (!is_valid_subtree(start, end))
				continue;
			tree.first = start;
			assert_int_equal(
				merkle_root(tree_source(&tree), end - start, path.hash[0], NULL),
				STATUS_OK);
			buf_printf(&line, "[%" PRIu64 ", %" PRIu64 ")", start, end);
			fold_line(&fold, &line, &path);
		}
	}
	assert_fold(&fold, "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81");
}

static void fold_inclusion(crypto_hash_sha256_state *fold, struct tree *tree, uint64_t end)
{
	AUTO(buf_release) struct buf line = BUF_INIT;
	struct merkle_path path;

	for (uint64_t start = tree->first, index = start; index < end; index++) {
		assert_int_equal(merkle_inclusion_proof(tree_source(tree), index - start,
							end - start, &path, NULL),
				 STATUS_OK);
		buf_printf(&line, "%" PRIu64 " [%" PRIu64 ", %" PRIu64 ")", index, start, end);
		fold_line(fold, &line, &path);
	}
}

static void test_folded_inclusion_proofs(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	crypto_hash_sha256_state fold;

	(void)state;
	tree_fill(&tree, FOLD_LEAVES);
	crypto_hash_sha256_init(&fold);
	for (uint64_t end = 0; end <= FOLD_LEAVES; end++) {
		for (tree.first = 0; tree.first <= end; tree.first++) {
			if (is_valid_subtree(tree.first, end))
				fold_inclusion(&fold, &tree, end);
		}
	}
	assert_fold(&fold, "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f");
}

/*
 * Consistency of the subtree [@start, @end) with the first @size leaves: inside the largest subtree
 * of the tree that begins at @start it is a consistency proof, and from there to the root the upper
 * part of the inclusion proof of leaf @start.
 */
static void subtree_consistency(struct tree *tree, uint64_t start, uint64_t end, uint64_t size,
				struct merkle_path *ret)
{
	struct merkle_path above;
	uint64_t first = 0;
	uint64_t count = size;
	size_t depth = 0;

	ret->count = 0;
	if (start == end)
		return;
	for (; first != start; depth++) {
		uint64_t split = 1;

		while (2 * split < count)
			split *= 2;
		if (start - first >= split) {
			first += split;
			count -= split;
		} else {
			count = split;
		}
	}
	tree->first = start;
	assert_int_equal(merkle_consistency_proof(tree_source(tree), end - start, count, ret, NULL),
			 STATUS_OK);
	tree->first = 0;
	assert_int_equal(merkle_inclusion_proof(tree_source(tree), start, size, &above, NULL),
			 STATUS_OK);
	for (size_t i = above.count - depth; i < above.count; i++)
		path_push(ret, above.hash[i]);
}

static void test_folded_consistency_proofs(void **state)
{
	AUTO(tree_release) struct tree tree = { .size = 0 };
	AUTO(buf_release) struct buf line = BUF_INIT;
	crypto_hash_sha256_state fold;
	struct merkle_path path;

	(void)state;
	tree_fill(&tree, FOLD_LEAVES);
	crypto_hash_sha256_init(&fold);
	for (uint64_t size = 0; size <= FOLD_LEAVES; size++) {
		for (uint64_t end = 0; end <= size; end++) {
			for (uint64_t start = 0; start <= end; start++) {
				if (!is_valid_subtree(start, end))
					continue;
				subtree_consistency(&tree, start, end, size, &path);
				buf_printf(&line, "[%" PRIu64 ", %" PRIu64 ") %" PRIu64, start, end,
					   size);
				fold_line(&fold, &line, &path);
			}
		}
	}
	assert_fold(&fold, "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inclusion_vectors),
		cmocka_unit_test(test_consistency_vectors),
		cmocka_unit_test(test_folded_subtree_hashes),
		cmocka_unit_test(test_folded_inclusion_proofs),
		cmocka_unit_test(test_folded_consistency_proofs),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
