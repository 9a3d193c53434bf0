/*
 * Checkpoints: C2SP tlog-checkpoint v1.0.0 in C2SP signed-note v1.0.0, so that other people's
 * witnesses and verifiers work on ours.
 *
 *   provenv/<hex log_id>/<generation>\n<size>\n<base64 root>\n
 *   \n— <origin> <base64(key hash ‖ signature)>\n
 *
 * Key name = origin. Key hash = SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4]. vkey =
 * name+hex8(hash)+base64(0x01 ‖ public key). No extension lines. Signed by the log's own key only.
 */
#ifndef PROVENV_STORE_CHECKPOINT_H
#define PROVENV_STORE_CHECKPOINT_H

#include "base/buf.h"
#include "base/limits.h"
#include "store/signer.h"

enum {
	NOTE_SIGNATURES_MAX = 16,
	ORIGIN_BYTES_MAX = 128,
};

struct checkpoint {
	char origin[ORIGIN_BYTES_MAX];
	uint64_t size;
	uint8_t root[HASH_BYTES];
};

/* "provenv/<hex log_id>/<generation>". */
void checkpoint_origin(const uint8_t log_id[LOG_ID_BYTES], uint64_t generation,
		       char ret[ORIGIN_BYTES_MAX]);

/*
 * Append the signed note to @ret. @log_key signs; its own name is not used.
 * USAGE  the origin is not a key name
 */
enum status checkpoint_sign(const struct checkpoint *checkpoint, const struct signer *log_key,
			    struct buf *ret, struct error *err);

/*
 * Parse @note and verify it against the key named like its origin line. Lines by other keys are
 * ignored, but must be well-formed.
 *
 * CORRUPT    malformed, longer than CHECKPOINT_BYTES_MAX, more than NOTE_SIGNATURES_MAX signatures,
 *            or a signature of the known key fails, even beside one that holds
 * WRONG_KEY  no signature by @public_key under the origin's name
 */
enum status checkpoint_open(struct slice note, const uint8_t public_key[PUBLIC_KEY_BYTES],
			    struct checkpoint *ret, struct error *err);

/* Append the vkey line (without newline) for @public_key under @name. */
void vkey_format(const char *name, const uint8_t public_key[PUBLIC_KEY_BYTES], struct buf *ret);

#endif
