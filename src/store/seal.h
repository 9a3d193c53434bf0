/*
 * Sealed values (docs/FORMAT.md section 8): what the event holds of a secret, and what the vault
 * holds.
 *
 *   salt32, DEK32, nonce24 random
 *   commitment = BLAKE2b-256(key = salt, value)
 *   sealed = nonce ‖ XChaCha20-Poly1305-IETF(DEK, ad, salt32 ‖ u32be length ‖ value ‖ zeros)
 *            the plaintext padded with zeros to a multiple of 64 bytes
 *   ad     = log_id, command_id, part, change index of the original sealing, each prefixed by its
 *            length as u32be
 *   wrapped DEK = crypto_box_seal to the environment's X25519 public key (80 bytes), kept in
 *            STORE/vault/, deletable
 *
 * The salt stops guessing of short values; the commitment, rechecked after opening, stops one
 * ciphertext from opening to two plaintexts under two keys.
 */
#ifndef PROVENV_STORE_SEAL_H
#define PROVENV_STORE_SEAL_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/secret.h"
#include "store/signer.h"

enum {
	WRAPPED_KEY_BYTES = 32 + 48, /* crypto_box_seal of 32 bytes */
	SEALED_BYTES_MAX = 24 + 16 + ((32 + 4 + VALUE_BYTES_MAX + 63) / 64) * 64,
};

/* Bytes of the sealed form of a value of @value_len bytes. */
static inline size_t sealed_bytes(size_t value_len)
{
	return 24 + 16 + (32 + 4 + value_len + 63) / 64 * 64;
}

/* Where a value was sealed first; copies point there and never re-seal. */
struct seal_place {
	uint8_t log_id[LOG_ID_BYTES];
	uint8_t command_id[COMMAND_ID_BYTES];
	uint32_t part;
	uint32_t index;
};

/*
 * Seal @value for @place to the environment key @public_key. Appends to @ret_sealed.
 * USAGE      the value is over VALUE_BYTES_MAX
 * WRONG_KEY  @public_key is of low order, so that everybody could open what is sealed to it
 */
enum status seal_value(const struct seal_place *place, const uint8_t public_key[32],
		       struct slice value, struct buf *ret_sealed,
		       uint8_t ret_commitment[HASH_BYTES], uint8_t ret_wrapped[WRAPPED_KEY_BYTES],
		       struct error *err);

/*
 * Open a sealed value with the environment's private key.
 * CORRUPT    sealed bytes, place or commitment do not belong together
 * WRONG_KEY  the wrapped key does not open with this private key
 */
enum status seal_open(const struct seal_place *place, const struct secret *private_key,
		      const uint8_t wrapped[WRAPPED_KEY_BYTES], struct slice sealed,
		      struct slice commitment, struct secret *ret, struct error *err);

/* A fresh X25519 pair for an environment. */
enum status seal_keypair(uint8_t ret_public[32], struct secret *ret_private, struct error *err);

/*
 * Seal the environment's private key to a reader's Ed25519 key (as X25519), and open it again.
 * CORRUPT    @sealed_key is not WRAPPED_KEY_BYTES long
 * WRONG_KEY  @reader_public is not sound; @sealed_key is for another reader, or damaged
 */
enum status seal_key_to_reader(const struct secret *private_key,
			       const uint8_t reader_public[PUBLIC_KEY_BYTES],
			       uint8_t ret[WRAPPED_KEY_BYTES], struct error *err);
enum status seal_key_open(struct slice sealed_key, const struct signer *reader,
			  struct secret *ret_private, struct error *err);

#endif
