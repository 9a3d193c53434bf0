/*
 * Tests of store/seal: values come back, nothing else ever opens, and no error text tells a value.
 *
 * The known answers were computed with an independent implementation of the primitives. Plaintexts
 * that we would never write are sealed here by hand, byte by byte as the header says.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/text.h"
#include "store/seal.h"
#include "store/signer.h"

#include "base/banned.h"

#define VALUE "correct horse"

static void from_hex(const char *hex, uint8_t *ret, size_t len)
{
	assert_true(text_from_hex(slice_str(hex), ret, len));
}

/* 00 01 02 …, going on from call to call. */
static void counting_source(void *context, void *ret, size_t len)
{
	uint8_t *next = context;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)ret)[i] = (*next)++;
}

static struct seal_place known_place(void)
{
	struct seal_place place = { .part = 7, .index = 9 };

	for (size_t i = 0; i < 16; i++) {
		place.log_id[i] = (uint8_t)(0xa0 + i);
		place.command_id[i] = (uint8_t)(0xb0 + i);
	}
	return place;
}

/* An environment's key, and one value sealed to it. */
struct sealing {
	struct seal_place place;
	uint8_t public_key[32];
	struct secret private_key;
	struct buf sealed;
	uint8_t commitment[HASH_BYTES];
	uint8_t wrapped[WRAPPED_KEY_BYTES];
};

static void sealing_make(struct sealing *s, struct slice value)
{
	*s = (struct sealing){ .place = known_place() };
	assert_int_equal(seal_keypair(s->public_key, &s->private_key, NULL), STATUS_OK);
	assert_int_equal(seal_value(&s->place, s->public_key, value, &s->sealed, s->commitment,
				    s->wrapped, NULL),
			 STATUS_OK);
}

static void sealing_release(struct sealing *s)
{
	buf_release(&s->sealed);
	secret_release(&s->private_key);
}

static enum status open_it(const struct sealing *s, struct secret *ret, struct error *err)
{
	return seal_open(&s->place, &s->private_key, s->wrapped, buf_slice(&s->sealed),
			 slice_of(s->commitment, HASH_BYTES), ret, err);
}

static void opens_to(const struct sealing *s, struct slice value)
{
	struct secret opened = SECRET_INIT;

	assert_int_equal(open_it(s, &opened, NULL), STATUS_OK);
	assert_non_null(opened.data);
	assert_true(slice_equal(secret_slice(&opened), value));
	secret_release(&opened);
}

/* Opening fails, gives nothing, and does not talk about the value. */
static void refuses(const struct sealing *s, enum status expected)
{
	struct secret opened = SECRET_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(open_it(s, &opened, &err), expected);
	assert_null(opened.data);
	assert_int_equal(opened.len, 0);
	assert_int_equal(err.status, expected);
	assert_true(err.text[0] != '\0');
	assert_null(strstr(err.text, "horse"));
	assert_null(strstr(err.hint, "horse"));
}

/* --- values ----------------------------------------------------------------------------------- */

static void test_known_answer(void **state)
{
	static const char sealed_hex[] =
		"404142434445464748494a4b4c4d4e4f50515253545556573a206faa2263fbd87f77e533e86eec2a"
		"e944d5f0c20214542c98db349222d70d8a2b41be1fba8e2d6e92818d5687bf689ef9db6fe740bb9f"
		"e732c54f4a2d451a17e0c5d9b019181c6074e4085f9a91be";
	static const char wrapped_hex[] =
		"95983449a7913030c297cca8a317e0148d8eb4c91b15e4e393d0ec819dfdcc60180db4bc9f1b139f"
		"b1bf5a096c3ae2dca98d57fa46d99d592ab96f18673e7688e77e6f028fa94d52df712550f2474969";
	struct sealing s = { .place = known_place() };
	uint8_t sealed[104];
	uint8_t commitment[HASH_BYTES];
	uint8_t public_key[32];
	uint8_t next = 0xc0;

	(void)state;
	rng_set_source(counting_source, &next);
	assert_int_equal(seal_keypair(s.public_key, &s.private_key, NULL), STATUS_OK);
	next = 0;
	assert_int_equal(seal_value(&s.place, s.public_key, slice_str(VALUE), &s.sealed,
				    s.commitment, s.wrapped, NULL),
			 STATUS_OK);
	rng_set_source(NULL, NULL);
	from_hex("dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44", public_key,
		 sizeof(public_key));
	assert_memory_equal(s.public_key, public_key, sizeof(public_key));
	from_hex("2bcc594e5e2bf91a248c109c9666a30799212a3fcb4b2a2b7bb7c64bebe43a49", commitment,
		 sizeof(commitment));
	assert_memory_equal(s.commitment, commitment, sizeof(commitment));
	from_hex(sealed_hex, sealed, sizeof(sealed));
	assert_int_equal(s.sealed.len, sizeof(sealed));
	assert_memory_equal(s.sealed.data, sealed, sizeof(sealed));
	opens_to(&s, slice_str(VALUE));
	/* the same data key, wrapped by the other implementation */
	from_hex(wrapped_hex, s.wrapped, sizeof(s.wrapped));
	opens_to(&s, slice_str(VALUE));
	sealing_release(&s);
}

static void test_sizes(void **state)
{
	static const size_t lens[] = { 0, 1, 27, 28, 29, 91, 92, 93, 4096, VALUE_BYTES_MAX };
	uint8_t *value = malloc(VALUE_BYTES_MAX + 1);

	(void)state;
	assert_non_null(value);
	memset(value, 'v', VALUE_BYTES_MAX + 1);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct sealing s;

		sealing_make(&s, slice_of(value, lens[i]));
		opens_to(&s, slice_of(value, lens[i]));
		assert_int_equal((s.sealed.len - 40) % 64, 0);
		assert_true(s.sealed.len >= 40 + 36 + lens[i]);
		assert_true(s.sealed.len < 40 + 36 + lens[i] + 64);
		assert_true(s.sealed.len <= SEALED_BYTES_MAX);
		sealing_release(&s);
	}
	free(value);
}

static void test_too_large(void **state)
{
	struct sealing s;
	struct sealing before;
	struct error err = ERROR_INIT;
	uint8_t *value = malloc(VALUE_BYTES_MAX + 1);

	(void)state;
	assert_non_null(value);
	memset(value, 'v', VALUE_BYTES_MAX + 1);
	sealing_make(&s, slice_str(VALUE));
	before = s;
	assert_int_equal(seal_value(&s.place, s.public_key, slice_of(value, VALUE_BYTES_MAX + 1),
				    &s.sealed, s.commitment, s.wrapped, &err),
			 STATUS_USAGE);
	assert_memory_equal(&s, &before, sizeof(s));
	assert_null(strstr(err.text, "vvvv"));
	opens_to(&s, slice_str(VALUE));
	sealing_release(&s);
	free(value);
}

static void test_padding_hides_length(void **state)
{
	struct sealing a;
	struct sealing b;
	struct sealing c;

	(void)state;
	sealing_make(&a, slice_str("x"));
	sealing_make(&b, slice_str("twenty bytes, no dot"));
	sealing_make(&c, slice_str(""));
	assert_int_equal(a.sealed.len, b.sealed.len);
	assert_int_equal(a.sealed.len, c.sealed.len);
	sealing_release(&a);
	sealing_release(&b);
	sealing_release(&c);
}

static void test_two_seals_differ(void **state)
{
	struct sealing s;
	struct buf again = BUF_INIT;
	uint8_t commitment[HASH_BYTES];
	uint8_t wrapped[WRAPPED_KEY_BYTES];

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	assert_int_equal(seal_value(&s.place, s.public_key, slice_str(VALUE), &again, commitment,
				    wrapped, NULL),
			 STATUS_OK);
	assert_memory_not_equal(s.sealed.data, again.data, 24);
	assert_memory_not_equal(s.sealed.data + 24, again.data + 24, again.len - 24);
	assert_memory_not_equal(s.commitment, commitment, HASH_BYTES);
	assert_memory_not_equal(s.wrapped, wrapped, WRAPPED_KEY_BYTES);

	/* parts of two sealings of one value do not mix */
	memcpy(s.wrapped, wrapped, sizeof(wrapped));
	refuses(&s, STATUS_CORRUPT);
	buf_clear(&s.sealed);
	buf_append_slice(&s.sealed, buf_slice(&again));
	refuses(&s, STATUS_CORRUPT);
	memcpy(s.commitment, commitment, sizeof(commitment));
	opens_to(&s, slice_str(VALUE));
	buf_release(&again);
	sealing_release(&s);
}

static void test_sealed_is_appended(void **state)
{
	struct sealing s = { .place = known_place() };

	(void)state;
	assert_int_equal(seal_keypair(s.public_key, &s.private_key, NULL), STATUS_OK);
	buf_append_str(&s.sealed, "before");
	assert_int_equal(seal_value(&s.place, s.public_key, slice_str(VALUE), &s.sealed,
				    s.commitment, s.wrapped, NULL),
			 STATUS_OK);
	assert_memory_equal(s.sealed.data, "before", 6);
	assert_null(memmem(s.sealed.data, s.sealed.len, "horse", 5));
	memmove(s.sealed.data, s.sealed.data + 6, s.sealed.len - 6);
	s.sealed.len -= 6;
	opens_to(&s, slice_str(VALUE));
	sealing_release(&s);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* Flip each bit of @bytes in turn: nothing opens. */
static void refuses_each_flip(const struct sealing *s, void *bytes, size_t len,
			      enum status expected)
{
	uint8_t *at = bytes;

	for (size_t bit = 0; bit < 8 * len; bit++) {
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refuses(s, expected);
		at[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	opens_to(s, slice_str(VALUE));
}

static void test_bit_flips(void **state)
{
	struct sealing s;

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	refuses_each_flip(&s, s.sealed.data, s.sealed.len, STATUS_CORRUPT);
	refuses_each_flip(&s, s.commitment, sizeof(s.commitment), STATUS_CORRUPT);
	refuses_each_flip(&s, s.place.log_id, sizeof(s.place.log_id), STATUS_CORRUPT);
	refuses_each_flip(&s, s.place.command_id, sizeof(s.place.command_id), STATUS_CORRUPT);
	refuses_each_flip(&s, &s.place.part, sizeof(s.place.part), STATUS_CORRUPT);
	refuses_each_flip(&s, &s.place.index, sizeof(s.place.index), STATUS_CORRUPT);
	sealing_release(&s);
}

/*
 * The bit that X25519 ignores (RFC 7748 section 5) is bound all the same: the ephemeral key goes
 * into the nonce as it is written.
 */
static void test_wrapped_bit_flips(void **state)
{
	struct sealing s;

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	refuses_each_flip(&s, s.wrapped, sizeof(s.wrapped), STATUS_WRONG_KEY);
	memset(s.wrapped, 0, sizeof(s.wrapped));
	refuses(&s, STATUS_WRONG_KEY);
	sealing_release(&s);
}

static void test_wrong_lengths(void **state)
{
	struct sealing s;
	struct secret opened = SECRET_INIT;
	struct error err = ERROR_INIT;
	size_t len;

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	len = s.sealed.len;
	for (s.sealed.len = 0; s.sealed.len < len; s.sealed.len++)
		refuses(&s, STATUS_CORRUPT);
	opens_to(&s, slice_str(VALUE));
	for (size_t extra = 1; extra <= 64; extra++) {
		buf_append_byte(&s.sealed, 0);
		refuses(&s, STATUS_CORRUPT);
	}
	s.sealed.len = len;
	/* far more than there is: must be refused before it is read */
	assert_int_equal(seal_open(&s.place, &s.private_key, s.wrapped,
				   slice_of(s.sealed.data, SEALED_BYTES_MAX + 1),
				   slice_of(s.commitment, HASH_BYTES), &opened, &err),
			 STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "bytes long"));
	for (size_t short_len = 0; short_len < HASH_BYTES; short_len++)
		assert_int_equal(seal_open(&s.place, &s.private_key, s.wrapped,
					   buf_slice(&s.sealed), slice_of(s.commitment, short_len),
					   &opened, NULL),
				 STATUS_CORRUPT);
	assert_null(opened.data);
	sealing_release(&s);
}

/*
 * Replace the sealed bytes by @plain, sealed as the header says, with a commitment to the
 * @value_len bytes at 36. Whoever knows the environment's public key can do that.
 */
static void forge(struct sealing *s, const uint8_t *plain, size_t plain_len, size_t value_len)
{
	uint8_t key[32];
	struct buf ad = BUF_INIT;

	randombytes_buf(key, sizeof(key));
	buf_append_u32be(&ad, 16);
	buf_append(&ad, s->place.log_id, 16);
	buf_append_u32be(&ad, 16);
	buf_append(&ad, s->place.command_id, 16);
	buf_append_u32be(&ad, 4);
	buf_append_u32be(&ad, s->place.part);
	buf_append_u32be(&ad, 4);
	buf_append_u32be(&ad, s->place.index);

	buf_clear(&s->sealed);
	assert_non_null(buf_reserve(&s->sealed, 24 + plain_len + 16));
	randombytes_buf(s->sealed.data, 24);
	assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(
				 s->sealed.data + 24, NULL, plain, plain_len, ad.data, ad.len, NULL,
				 s->sealed.data, key),
			 0);
	s->sealed.len = 24 + plain_len + 16;
	assert_int_equal(crypto_generichash(s->commitment, 32, plain + 36, value_len, plain, 32),
			 0);
	assert_int_equal(crypto_box_seal(s->wrapped, key, sizeof(key), s->public_key), 0);
	buf_release(&ad);
}

static void test_forged_plaintexts(void **state)
{
	enum { PLAIN_BYTES = 128 };
	static const struct {
		uint32_t length; /* as written inside */
		size_t plain_len;
		size_t nonzero_at; /* 0: nowhere */
		enum status expected;
	} cases[] = {
		{ 13, 64, 0, STATUS_OK },
		{ 28, 64, 0, STATUS_OK },
		{ 29, 128, 0, STATUS_OK },
		{ 29, 64, 0, STATUS_CORRUPT }, /* reaches past the end */
		{ 92, 64, 0, STATUS_CORRUPT },
		{ 0x80000000, 64, 0, STATUS_CORRUPT },
		{ UINT32_MAX, 64, 0, STATUS_CORRUPT },
		{ UINT32_MAX - 35, 64, 0, STATUS_CORRUPT },
		{ 28, 128, 0, STATUS_CORRUPT }, /* padded further than it has to be */
		{ 0, 128, 0, STATUS_CORRUPT },
		{ 13, 63, 0, STATUS_CORRUPT }, /* not a multiple of 64 */
		{ 13, 65, 0, STATUS_CORRUPT },
		{ 13, 36 + 13, 0, STATUS_CORRUPT },
		{ 13, 64, 36 + 13, STATUS_CORRUPT }, /* padding that is not zero */
		{ 13, 64, 63, STATUS_CORRUPT },
	};
	uint8_t plain[PLAIN_BYTES];
	struct sealing s;

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].length < PLAIN_BYTES - 36 ? cases[i].length : 0;

		memset(plain, 0, sizeof(plain));
		memset(plain, 's', 32);
		store_u32be(plain + 32, cases[i].length);
		memset(plain + 36, 'h', len);
		if (cases[i].nonzero_at)
			plain[cases[i].nonzero_at] = 1;
		forge(&s, plain, cases[i].plain_len, len);
		if (cases[i].expected == STATUS_OK)
			opens_to(&s, slice_of(plain + 36, len));
		else
			refuses(&s, cases[i].expected);
	}
	sealing_release(&s);
}

static void test_over_the_limit_inside(void **state)
{
	/* fits a sealed value of the largest size, but not VALUE_BYTES_MAX */
	size_t plain_len = SEALED_BYTES_MAX - 40;
	uint8_t *plain = calloc(1, plain_len);
	struct sealing s;

	(void)state;
	assert_non_null(plain);
	assert_true(plain_len >= 36 + VALUE_BYTES_MAX + 1);
	sealing_make(&s, slice_str(VALUE));
	store_u32be(plain + 32, VALUE_BYTES_MAX);
	forge(&s, plain, plain_len, VALUE_BYTES_MAX);
	opens_to(&s, slice_of(plain + 36, VALUE_BYTES_MAX));
	store_u32be(plain + 32, VALUE_BYTES_MAX + 1);
	forge(&s, plain, plain_len, VALUE_BYTES_MAX + 1);
	refuses(&s, STATUS_CORRUPT);
	sealing_release(&s);
	free(plain);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void test_wrong_private_key(void **state)
{
	struct sealing s;
	struct secret right;

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	right = s.private_key;
	s.private_key = (struct secret)SECRET_INIT;
	assert_int_equal(seal_keypair(s.public_key, &s.private_key, NULL), STATUS_OK);
	refuses(&s, STATUS_WRONG_KEY);
	secret_release(&s.private_key);
	s.private_key = right;
	opens_to(&s, slice_str(VALUE));
	sealing_release(&s);
}

static void test_low_order_environment_key(void **state)
{
	/* points of small order on Curve25519: 0, 1, one of order 8, p − 1, p */
	static const char *const keys[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct seal_place place = known_place();

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct buf sealed = BUF_INIT;
		struct error err = ERROR_INIT;
		uint8_t commitment[HASH_BYTES] = { 1 };
		uint8_t wrapped[WRAPPED_KEY_BYTES] = { 1 };
		uint8_t key[32];

		from_hex(keys[i], key, sizeof(key));
		assert_int_equal(seal_value(&place, key, slice_str(VALUE), &sealed, commitment,
					    wrapped, &err),
				 STATUS_WRONG_KEY);
		assert_null(strstr(err.text, "horse"));
		assert_int_equal(sealed.len, 0);
		assert_int_equal(commitment[0], 1);
		assert_true(sodium_is_zero(commitment + 1, sizeof(commitment) - 1));
		assert_true(sodium_is_zero(wrapped + 1, sizeof(wrapped) - 1));
		buf_release(&sealed);
	}
}

static void test_keypair_is_fresh(void **state)
{
	struct secret a = SECRET_INIT;
	struct secret b = SECRET_INIT;
	uint8_t public_a[32];
	uint8_t public_b[32];

	(void)state;
	assert_int_equal(seal_keypair(public_a, &a, NULL), STATUS_OK);
	assert_int_equal(seal_keypair(public_b, &b, NULL), STATUS_OK);
	assert_int_equal(a.len, 32);
	assert_memory_not_equal(public_a, public_b, 32);
	assert_false(slice_equal(secret_slice(&a), secret_slice(&b)));
	secret_release(&a);
	secret_release(&b);
}

static void test_readers(void **state)
{
	struct sealing s;
	struct signer ann = SIGNER_INIT;
	struct signer bob = SIGNER_INIT;
	struct secret original;
	struct secret opened = SECRET_INIT;
	uint8_t sealed_key[WRAPPED_KEY_BYTES + 1] = { 0 };

	(void)state;
	sealing_make(&s, slice_str(VALUE));
	assert_int_equal(signer_generate("ann", &ann, NULL), STATUS_OK);
	assert_int_equal(signer_generate("bob", &bob, NULL), STATUS_OK);
	assert_int_equal(seal_key_to_reader(&s.private_key, ann.public_key, sealed_key, NULL),
			 STATUS_OK);
	assert_int_equal(
		seal_key_open(slice_of(sealed_key, WRAPPED_KEY_BYTES), &bob, &opened, NULL),
		STATUS_WRONG_KEY);
	for (size_t len = 0; len <= WRAPPED_KEY_BYTES + 1; len++) {
		if (len != WRAPPED_KEY_BYTES)
			assert_int_equal(
				seal_key_open(slice_of(sealed_key, len), &ann, &opened, NULL),
				STATUS_CORRUPT);
	}
	for (size_t bit = 0; bit < 8 * (size_t)WRAPPED_KEY_BYTES; bit++) {
		sealed_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
			seal_key_open(slice_of(sealed_key, WRAPPED_KEY_BYTES), &ann, &opened, NULL),
			STATUS_WRONG_KEY);
		sealed_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_null(opened.data);
	assert_int_equal(
		seal_key_open(slice_of(sealed_key, WRAPPED_KEY_BYTES), &ann, &opened, NULL),
		STATUS_OK);

	/* what the reader got opens the value, with the writer's own copy gone */
	original = s.private_key;
	assert_true(slice_equal(secret_slice(&opened), secret_slice(&original)));
	s.private_key = opened;
	secret_release(&original);
	opens_to(&s, slice_str(VALUE));
	signer_release(&ann);
	signer_release(&bob);
	sealing_release(&s);
}

static void test_unsound_reader(void **state)
{
	static const char *const keys[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"0200000000000000000000000000000000000000000000000000000000000000",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	struct secret private_key = SECRET_INIT;
	uint8_t public_key[32];

	(void)state;
	assert_int_equal(seal_keypair(public_key, &private_key, NULL), STATUS_OK);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint8_t sealed_key[WRAPPED_KEY_BYTES] = { 0 };
		uint8_t key[PUBLIC_KEY_BYTES];

		from_hex(keys[i], key, sizeof(key));
		assert_int_equal(seal_key_to_reader(&private_key, key, sealed_key, NULL),
				 STATUS_WRONG_KEY);
		assert_true(sodium_is_zero(sealed_key, sizeof(sealed_key)));
	}
	secret_release(&private_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_padding_hides_length),
		cmocka_unit_test(test_two_seals_differ),
		cmocka_unit_test(test_sealed_is_appended),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_wrapped_bit_flips),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_forged_plaintexts),
		cmocka_unit_test(test_over_the_limit_inside),
		cmocka_unit_test(test_wrong_private_key),
		cmocka_unit_test(test_low_order_environment_key),
		cmocka_unit_test(test_keypair_is_fresh),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_unsound_reader),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
