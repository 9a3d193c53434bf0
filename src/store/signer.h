/*
 * Ed25519 keys of operators and of the log: key files, key ids, signatures over leaves.
 *
 * A key file holds one line in the form Go's note package gives a secret key
 * (C2SP signed-note): "PRIVATE+KEY+<name>+<hex8 key hash>+<base64 of 0x01 ‖ seed>\n". It is mode
 * 0600 and refused when group or others can read it. Keys live in
 * $XDG_CONFIG_HOME/provenv/keys/NAME.key.
 */
#ifndef PROVENV_STORE_SIGNER_H
#define PROVENV_STORE_SIGNER_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/secret.h"

/* "provenv/event/v1" and its NUL: put before the event bytes that are signed. */
#define EVENT_SIGNATURE_DOMAIN "provenv/event/v1"

enum { NOTE_KEY_HASH_BYTES = 4 };

struct signer {
	char name[KEY_NAME_BYTES_MAX + 1];
	uint8_t public_key[PUBLIC_KEY_BYTES];
	uint8_t key_id[KEY_ID_BYTES];
	struct secret secret_key; /* libsodium's 64-byte form */
};

#define SIGNER_INIT { .name = "" }

/* A fresh key pair. @name: text_is_key_name(), else USAGE. @ret is overwritten, not released. */
enum status signer_generate(const char *name, struct signer *ret, struct error *err);

/* Write DIR/NAME.key, making DIR (0700). CONFLICT when the file exists. */
enum status signer_save(const struct signer *signer, const char *dir, struct error *err);

/*
 * Read DIR/NAME.key, through a link if it is one.
 * USAGE      @name is not text_is_key_name()
 * NOT_FOUND  no such file
 * WRONG_KEY  it belongs neither to us nor to root, others can use it or we cannot read it, it is no
 *            regular file, malformed, or its parts do not belong together
 */
enum status signer_load(const char *dir, const char *name, struct signer *ret, struct error *err);

/* Wipe and free. Accepts SIGNER_INIT. */
void signer_release(struct signer *signer);

/* First 8 bytes of SHA-256(public key). */
void key_id_of(const uint8_t public_key[PUBLIC_KEY_BYTES], uint8_t ret[KEY_ID_BYTES]);

/*
 * First 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key): how signed notes, vkeys and key files
 * refer to an Ed25519 key (C2SP signed-note).
 */
void note_key_hash(struct slice name, const uint8_t public_key[PUBLIC_KEY_BYTES],
		   uint8_t ret[NOTE_KEY_HASH_BYTES]);

/* A public key fit for enrolment: canonical, on the curve, in the subgroup of prime order. */
bool public_key_is_sound(const uint8_t public_key[PUBLIC_KEY_BYTES]);

/* Append the 64-byte signature to @leaf, which holds exactly the event's bytes. USAGE when these
 * are more than EVENT_BYTES_MAX. */
enum status leaf_sign(const struct signer *signer, struct buf *leaf, struct error *err);

/* Strict verification (libsodium): no low-order or non-canonical points, no malleable scalars. */
bool leaf_verify(struct slice event_bytes, const uint8_t signature[SIGNATURE_BYTES],
		 const uint8_t public_key[PUBLIC_KEY_BYTES]);

/* Ed25519 over plain bytes, for checkpoints. */
enum status signer_sign(const struct signer *signer, struct slice message,
			uint8_t ret[SIGNATURE_BYTES], struct error *err);
bool signature_verify(struct slice message, const uint8_t signature[SIGNATURE_BYTES],
		      const uint8_t public_key[PUBLIC_KEY_BYTES]);

#endif
