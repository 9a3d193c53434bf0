/*
 * Sealed values, on libsodium.
 *
 * Invariants: plaintext, salts, data keys and private keys live only in struct secret; nothing is
 * handed out before everything about it was checked; no error text tells anything about a value but
 * that it is too long. Must not know where sealed bytes and wrapped keys are kept.
 */
#include "store/seal.h"

#include <assert.h>
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/secret.h"
#include "store/signer.h"

#include "base/banned.h"

enum {
	SALT_BYTES = 32,
	LENGTH_BYTES = 4,
	HEADER_BYTES = SALT_BYTES + LENGTH_BYTES, /* what stands before the value */
	PADDING_STEP = 64,
	DATA_KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	BOX_KEY_BYTES = crypto_box_SECRETKEYBYTES,
	PLACE_BYTES = 4 + LOG_ID_BYTES + 4 + COMMAND_ID_BYTES + 4 + 4 + 4 + 4,
};

static_assert(DATA_KEY_BYTES + crypto_box_SEALBYTES == WRAPPED_KEY_BYTES, "a wrapped data key");
static_assert(BOX_KEY_BYTES + crypto_box_SEALBYTES == WRAPPED_KEY_BYTES, "a sealed private key");
static_assert(crypto_box_PUBLICKEYBYTES == 32 && BOX_KEY_BYTES == 32, "X25519");
static_assert(NONCE_BYTES + TAG_BYTES +
			      PADDING_STEP * ((HEADER_BYTES + VALUE_BYTES_MAX + PADDING_STEP - 1) /
					      PADDING_STEP) ==
		      SEALED_BYTES_MAX,
	      "the largest sealed value");

static size_t padded_len(size_t value_len)
{
	return (HEADER_BYTES + value_len + PADDING_STEP - 1) / PADDING_STEP * PADDING_STEP;
}

/* The additional data: every part with its length before it, so that no two places read alike. */
static void encode_place(const struct seal_place *place, uint8_t ret[PLACE_BYTES])
{
	uint8_t *at = ret;

	store_u32be(at, LOG_ID_BYTES);
	memcpy(at + 4, place->log_id, LOG_ID_BYTES);
	at += 4 + LOG_ID_BYTES;
	store_u32be(at, COMMAND_ID_BYTES);
	memcpy(at + 4, place->command_id, COMMAND_ID_BYTES);
	at += 4 + COMMAND_ID_BYTES;
	store_u32be(at, sizeof(place->part));
	store_u32be(at + 4, place->part);
	store_u32be(at + 8, sizeof(place->index));
	store_u32be(at + 12, place->index);
}

static void commit(const uint8_t salt[SALT_BYTES], struct slice value, uint8_t ret[HASH_BYTES])
{
	(void)crypto_generichash(ret, HASH_BYTES, value.data, value.len, salt, SALT_BYTES);
}

/* --- boxes: 32 secret bytes to an X25519 key -------------------------------------------------- */

static enum status box_seal(const struct secret *content, const uint8_t public_key[32],
			    uint8_t ret[WRAPPED_KEY_BYTES], struct error *err)
{
	uint8_t box[WRAPPED_KEY_BYTES];

	assert(content->len + crypto_box_SEALBYTES == sizeof(box));
	/* Refused for keys of low order, with which everybody could open the box. */
	if (crypto_box_seal(box, content->data, content->len, public_key))
		return error_set(err, STATUS_WRONG_KEY,
				 "cannot seal: the public key is not a sound X25519 key");
	memcpy(ret, box, sizeof(box));
	return STATUS_OK;
}

/* @ret is SECRET_INIT. WRONG_KEY when the box is for another key, or damaged: one looks like the
 * other. */
static enum status box_open(const uint8_t box[WRAPPED_KEY_BYTES], const struct secret *private_key,
			    const char *what, struct secret *ret, struct error *err)
{
	struct secret content AUTO(secret_release) = SECRET_INIT;
	uint8_t public_key[32];
	enum status status;

	assert(private_key->len == BOX_KEY_BYTES);
	status = secret_init(&content, WRAPPED_KEY_BYTES - crypto_box_SEALBYTES, err);
	if (status)
		return status;
	if (crypto_scalarmult_base(public_key, private_key->data) ||
	    crypto_box_seal_open(content.data, box, WRAPPED_KEY_BYTES, public_key,
				 private_key->data))
		return error_set(err, STATUS_WRONG_KEY,
				 "%s does not open: it is sealed to another key, or damaged", what);
	*ret = content;
	content = (struct secret)SECRET_INIT;
	return STATUS_OK;
}

/* --- values ----------------------------------------------------------------------------------- */

/* salt ‖ length ‖ value ‖ zeros, and the commitment to it. */
static enum status make_plaintext(struct slice value, struct secret *ret_plain,
				  uint8_t ret_commitment[HASH_BYTES], struct error *err)
{
	enum status status = secret_init(ret_plain, padded_len(value.len), err);

	if (status)
		return status;
	rng_bytes(ret_plain->data, SALT_BYTES);
	store_u32be(ret_plain->data + SALT_BYTES, (uint32_t)value.len);
	if (value.len)
		memcpy(ret_plain->data + HEADER_BYTES, value.data, value.len);
	commit(ret_plain->data, value, ret_commitment);
	return STATUS_OK;
}

/* Append nonce ‖ ciphertext. */
static enum status encrypt_plain(const struct seal_place *place, const struct secret *data_key,
				 const struct secret *plain, struct buf *ret, struct error *err)
{
	uint8_t ad[PLACE_BYTES];
	uint8_t *sealed = buf_reserve(ret, NONCE_BYTES + plain->len + TAG_BYTES);

	if (!sealed)
		return error_no_memory(err);
	encode_place(place, ad);
	rng_bytes(sealed, NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE_BYTES, NULL, plain->data,
							 plain->len, ad, sizeof(ad), NULL, sealed,
							 data_key->data);
	ret->len += NONCE_BYTES + plain->len + TAG_BYTES;
	return STATUS_OK;
}

/* NOLINTNEXTLINE(readability-function-size): three outputs that only make sense together */
enum status seal_value(const struct seal_place *place, const uint8_t public_key[32],
		       struct slice value, struct buf *ret_sealed,
		       uint8_t ret_commitment[HASH_BYTES], uint8_t ret_wrapped[WRAPPED_KEY_BYTES],
		       struct error *err)
{
	struct secret plain AUTO(secret_release) = SECRET_INIT;
	struct secret data_key AUTO(secret_release) = SECRET_INIT;
	uint8_t commitment[HASH_BYTES];
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	enum status status;

	if (value.len > VALUE_BYTES_MAX)
		return error_set(err, STATUS_USAGE, "a value of %zu bytes is over the limit of %d",
				 value.len, VALUE_BYTES_MAX);
	status = make_plaintext(value, &plain, commitment, err);
	if (!status)
		status = secret_init(&data_key, DATA_KEY_BYTES, err);
	if (status)
		return status;
	rng_bytes(data_key.data, data_key.len);
	status = box_seal(&data_key, public_key, wrapped, err);
	if (!status)
		status = encrypt_plain(place, &data_key, &plain, ret_sealed, err);
	if (status)
		return status;
	memcpy(ret_commitment, commitment, sizeof(commitment));
	memcpy(ret_wrapped, wrapped, sizeof(wrapped));
	return STATUS_OK;
}

/* @ret_plain is SECRET_INIT; after a failure it may hold something to be released. */
static enum status decrypt_plain(const struct seal_place *place, const struct secret *data_key,
				 struct slice sealed, struct secret *ret_plain, struct error *err)
{
	uint8_t ad[PLACE_BYTES];
	size_t plain_len;
	enum status status;

	if (sealed.len < NONCE_BYTES + TAG_BYTES + padded_len(0) || sealed.len > SEALED_BYTES_MAX)
		return error_set(err, STATUS_CORRUPT, "a sealed value cannot be %zu bytes long",
				 sealed.len);
	plain_len = sealed.len - NONCE_BYTES - TAG_BYTES;
	status = secret_init(ret_plain, plain_len, err);
	if (status)
		return status;
	encode_place(place, ad);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		    ret_plain->data, NULL, NULL, sealed.data + NONCE_BYTES,
		    sealed.len - NONCE_BYTES, ad, sizeof(ad), sealed.data, data_key->data))
		return error_set(
			err, STATUS_CORRUPT,
			"a sealed value does not open: it is damaged, or of another place");
	return STATUS_OK;
}

/* Find the value in the plaintext, which must be exactly what make_plaintext() makes of it. */
static enum status find_value(const struct secret *plain, struct slice commitment,
			      struct slice *ret, struct error *err)
{
	size_t len = load_u32be(plain->data + SALT_BYTES);
	uint8_t expected[HASH_BYTES];
	struct slice value;

	if (len > VALUE_BYTES_MAX || padded_len(len) != plain->len)
		return error_set(err, STATUS_CORRUPT, "a sealed value has a wrong length inside");
	value = slice_of(plain->data + HEADER_BYTES, len);
	if (!sodium_is_zero(value.data + len, plain->len - HEADER_BYTES - len))
		return error_set(err, STATUS_CORRUPT, "a sealed value has a wrong padding");
	commit(plain->data, value, expected);
	if (commitment.len != HASH_BYTES ||
	    sodium_memcmp(expected, commitment.data, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT, "a sealed value does not fit its commitment");
	*ret = value;
	return STATUS_OK;
}

/* NOLINTNEXTLINE(readability-function-size): the parts of one sealed value lie in three places */
enum status seal_open(const struct seal_place *place, const struct secret *private_key,
		      const uint8_t wrapped[WRAPPED_KEY_BYTES], struct slice sealed,
		      struct slice commitment, struct secret *ret, struct error *err)
{
	struct secret plain AUTO(secret_release) = SECRET_INIT;
	struct secret data_key AUTO(secret_release) = SECRET_INIT;
	struct slice value;
	enum status status =
		box_open(wrapped, private_key, "the key of a sealed value", &data_key, err);

	if (!status)
		status = decrypt_plain(place, &data_key, sealed, &plain, err);
	if (!status)
		status = find_value(&plain, commitment, &value, err);
	if (!status)
		status = secret_copy(ret, value, err);
	return status;
}

/* --- keys of environments --------------------------------------------------------------------- */

enum status seal_keypair(uint8_t ret_public[32], struct secret *ret_private, struct error *err)
{
	enum status status = secret_init(ret_private, BOX_KEY_BYTES, err);

	if (status)
		return status;
	/* Any 32 bytes are an X25519 private key (RFC 7748 section 5). */
	rng_bytes(ret_private->data, ret_private->len);
	(void)crypto_scalarmult_base(ret_public, ret_private->data);
	return STATUS_OK;
}

enum status seal_key_to_reader(const struct secret *private_key,
			       const uint8_t reader_public[PUBLIC_KEY_BYTES],
			       uint8_t ret[WRAPPED_KEY_BYTES], struct error *err)
{
	uint8_t public_key[32];

	/* Refuses what is no point, of low order, or outside the subgroup of prime order. */
	if (crypto_sign_ed25519_pk_to_curve25519(public_key, reader_public))
		return error_set(err, STATUS_WRONG_KEY,
				 "cannot seal: the reader's key is not a sound Ed25519 key");
	return box_seal(private_key, public_key, ret, err);
}

enum status seal_key_open(struct slice sealed_key, const struct signer *reader,
			  struct secret *ret_private, struct error *err)
{
	struct secret reader_key AUTO(secret_release) = SECRET_INIT;
	enum status status;

	if (sealed_key.len != WRAPPED_KEY_BYTES)
		return error_set(err, STATUS_CORRUPT,
				 "a sealed private key cannot be %zu bytes long", sealed_key.len);
	assert(reader->secret_key.len == crypto_sign_SECRETKEYBYTES);
	status = secret_init(&reader_key, BOX_KEY_BYTES, err);
	if (status)
		return status;
	(void)crypto_sign_ed25519_sk_to_curve25519(reader_key.data, reader->secret_key.data);
	return box_open(sealed_key.data, &reader_key, "the private key of the environment",
			ret_private, err);
}
