/*
 * Checkpoints as signed notes: writing, strict reading with verification, and vkeys.
 *
 * Invariants: what is accepted could only have been written one way, so the parts of a note that
 * are not signed cannot be varied unnoticed but by adding lines of other keys; the signed bytes are
 * the text of the note as it stands, never a re-encoding. This file knows nothing of trees beyond a
 * size and a root, and decides nothing about which of two checkpoints is right.
 */
#include "store/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/signer.h"

#include "base/banned.h"

/* C2SP signed-note: signature type and sizes. */
enum {
	SIGNATURE_TYPE_ED25519 = 0x01,
	NOTE_KEY_BYTES = 1 + PUBLIC_KEY_BYTES, /* type and key, as in a vkey */
	NOTE_BLOB_BYTES = NOTE_KEY_HASH_BYTES + SIGNATURE_BYTES,
	NOTE_BLOB_BYTES_MAX = CHECKPOINT_BYTES_MAX / 4 * 3,
};

/* An em dash and a blank begin each signature line. */
#define SIGNATURE_LINE_START "\xe2\x80\x94 "

static_assert(sizeof("provenv/") - 1 + 2 * (size_t)LOG_ID_BYTES + sizeof("/18446744073709551615") <=
		      ORIGIN_BYTES_MAX,
	      "every origin of ours fits");

/* Borrowed from the note, which outlives it. */
struct note {
	struct slice text;       /* with its last newline: the signed bytes */
	struct slice signatures; /* the lines, with their newlines */
};

struct note_signature {
	struct slice name;
	size_t blob_len;
	uint8_t blob[NOTE_BLOB_BYTES_MAX];
};

/* Does @text begin with a character of Unicode's White_Space outside ASCII? */
static bool starts_with_wide_space(struct slice text)
{
	/* U+00A0, U+1680, U+2028, U+2029, U+202F, U+205F, U+3000 */
	static const char *const spaces[] = { "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
					      "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
					      "\xe3\x80\x80" };

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		size_t len = strlen(spaces[i]);

		if (text.len >= len && memcmp(text.data, spaces[i], len) == 0)
			return true;
	}
	/* U+2000 to U+200A */
	return text.len >= 3 && memcmp(text.data, "\xe2\x80", 2) == 0 && text.data[2] >= 0x80 &&
	       text.data[2] <= 0x8a;
}

/* Does @text begin with a control character: U+0000 to U+001F, U+007F to U+009F? */
static bool starts_with_control(struct slice text)
{
	uint8_t first = text.data[0];

	return first < ' ' || first == 0x7f ||
	       (first == 0xc2 && text.len > 1 && text.data[1] < 0xa0);
}

/*
 * A key's name: not empty, UTF-8, no spaces, no '+'. Stricter than signed-note in one point: no
 * control characters at all, because names are shown to people before anything about them is
 * verified.
 */
static bool is_note_key_name(struct slice name)
{
	if (name.len == 0 || !text_is_utf8(name))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		struct slice rest = slice_of(name.data + i, name.len - i);

		if (rest.data[0] == ' ' || rest.data[0] == '+' || starts_with_control(rest) ||
		    starts_with_wide_space(rest))
			return false;
	}
	return true;
}

/* Split @rest after its first @separator: what stands before goes to @ret. False when there is
 * none. */
static bool take_until(struct slice *rest, char separator, struct slice *ret)
{
	const uint8_t *end = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - rest->data);
	*ret = slice_of(rest->data, len);
	*rest = slice_of(end + 1, rest->len - len - 1);
	return true;
}

/* The bytes a note may hold: UTF-8 without control bytes but newlines. */
static bool is_note_text(struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] < ' ' && bytes.data[i] != '\n')
			return false;
	}
	return text_is_utf8(bytes);
}

/* Split at the last blank line, so that a text cannot smuggle signature lines into itself. */
static enum status split_note(struct slice bytes, struct note *ret, struct error *err)
{
	size_t blank = 0; /* where the blank line's newline stands */

	if (bytes.len > CHECKPOINT_BYTES_MAX)
		return error_set(err, STATUS_CORRUPT, "signed note is longer than %d bytes",
				 CHECKPOINT_BYTES_MAX);
	if (!is_note_text(bytes))
		return error_set(err, STATUS_CORRUPT,
				 "signed note holds control bytes or malformed UTF-8");
	for (size_t i = bytes.len; i-- > 1;) {
		if (bytes.data[i] == '\n' && bytes.data[i - 1] == '\n') {
			blank = i;
			break;
		}
	}
	if (blank == 0 || blank + 1 == bytes.len)
		return error_set(err, STATUS_CORRUPT, "signed note has no signature lines");
	if (bytes.data[bytes.len - 1] != '\n')
		return error_set(err, STATUS_CORRUPT, "signed note does not end with a newline");
	ret->text = slice_of(bytes.data, blank);
	ret->signatures = slice_of(bytes.data + blank + 1, bytes.len - blank - 1);
	return STATUS_OK;
}

/* One line, without its newline: em dash, blank, name, blank, base64 of key hash and signature. */
static bool parse_signature_line(struct slice line, struct note_signature *ret)
{
	const size_t start = sizeof(SIGNATURE_LINE_START) - 1;

	if (line.len < start || memcmp(line.data, SIGNATURE_LINE_START, start) != 0)
		return false;
	line = slice_of(line.data + start, line.len - start);
	return take_until(&line, ' ', &ret->name) && is_note_key_name(ret->name) &&
	       text_from_base64(line, ret->blob, sizeof(ret->blob), &ret->blob_len) &&
	       ret->blob_len > NOTE_KEY_HASH_BYTES;
}

/* The key that decides, and how often a signature line bore its name and hash. */
struct note_verifier {
	struct slice name;
	const uint8_t *public_key;
	uint8_t key_hash[NOTE_KEY_HASH_BYTES];
	unsigned verified;
};

/* Count @signature when it is by the verifier's key; others are none of its business. */
static enum status check_signature(const struct note_signature *signature, struct slice text,
				   struct note_verifier *verifier, struct error *err)
{
	if (!slice_equal(signature->name, verifier->name) ||
	    memcmp(signature->blob, verifier->key_hash, NOTE_KEY_HASH_BYTES) != 0)
		return STATUS_OK;
	if (signature->blob_len != NOTE_BLOB_BYTES ||
	    !signature_verify(text, signature->blob + NOTE_KEY_HASH_BYTES, verifier->public_key))
		return error_set(err, STATUS_CORRUPT,
				 "the signature of " SLICE_FMT " does not fit the checkpoint",
				 SLICE_ARG(verifier->name));
	verifier->verified++;
	return STATUS_OK;
}

/* Every line must be well-formed; those of @verifier must also verify. */
static enum status read_signatures(const struct note *note, struct note_verifier *verifier,
				   struct error *err)
{
	struct note_signature signature;
	struct slice rest = note->signatures;
	struct slice line;
	unsigned count = 0;

	while (take_until(&rest, '\n', &line)) {
		enum status status;

		if (++count > NOTE_SIGNATURES_MAX)
			return error_set(err, STATUS_CORRUPT,
					 "signed note has more than %d signatures",
					 NOTE_SIGNATURES_MAX);
		if (!parse_signature_line(line, &signature))
			return error_set(err, STATUS_CORRUPT,
					 "signature line %u of the note is malformed", count);
		status = check_signature(&signature, note->text, verifier, err);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

/* The three lines of a checkpoint. */
static enum status parse_text(struct slice text, struct checkpoint *ret, struct error *err)
{
	struct checkpoint checkpoint = { .origin = "" };
	struct slice origin;
	struct slice size;
	struct slice root;
	size_t root_len;

	if (!take_until(&text, '\n', &origin) || !take_until(&text, '\n', &size) ||
	    !take_until(&text, '\n', &root))
		return error_set(err, STATUS_CORRUPT,
				 "checkpoint lacks its origin, size or root line");
	if (text.len)
		return error_set(err, STATUS_CORRUPT, "checkpoint has extension lines");
	if (origin.len >= sizeof(checkpoint.origin) || !is_note_key_name(origin))
		return error_set(err, STATUS_CORRUPT,
				 "the origin line of the checkpoint is not a key name");
	if (!text_to_u64(size, &checkpoint.size))
		return error_set(err, STATUS_CORRUPT,
				 "the size line of the checkpoint is not a number");
	if (!text_from_base64(root, checkpoint.root, sizeof(checkpoint.root), &root_len) ||
	    root_len != HASH_BYTES)
		return error_set(err, STATUS_CORRUPT,
				 "the root line of the checkpoint is not the base64 of %d bytes",
				 HASH_BYTES);
	memcpy(checkpoint.origin, origin.data, origin.len);
	*ret = checkpoint;
	return STATUS_OK;
}

void checkpoint_origin(const uint8_t log_id[LOG_ID_BYTES], uint64_t generation,
		       char ret[ORIGIN_BYTES_MAX])
{
	char hex[2 * LOG_ID_BYTES + 1];
	int len;

	text_to_hex(log_id, LOG_ID_BYTES, hex);
	len = snprintf(ret, ORIGIN_BYTES_MAX, "provenv/%s/%" PRIu64, hex, generation);
	assert(len > 0 && len < ORIGIN_BYTES_MAX);
}

enum status checkpoint_sign(const struct checkpoint *checkpoint, const struct signer *log_key,
			    struct buf *ret, struct error *err)
{
	AUTO(buf_release) struct buf note = BUF_INIT;
	uint8_t blob[NOTE_BLOB_BYTES];
	struct slice origin =
		slice_of(checkpoint->origin, strnlen(checkpoint->origin, ORIGIN_BYTES_MAX));
	enum status status;

	if (origin.len == ORIGIN_BYTES_MAX || !is_note_key_name(origin))
		return error_set(err, STATUS_USAGE, "the checkpoint's origin is not a key name");
	buf_append_slice(&note, origin);
	buf_printf(&note, "\n%" PRIu64 "\n", checkpoint->size);
	text_to_base64(&note, checkpoint->root, HASH_BYTES);
	buf_append_byte(&note, '\n');
	status = buf_status(&note, err);
	if (status != STATUS_OK)
		return status;
	note_key_hash(origin, log_key->public_key, blob);
	status = signer_sign(log_key, buf_slice(&note), blob + NOTE_KEY_HASH_BYTES, err);
	if (status != STATUS_OK)
		return status;
	buf_append_str(&note, "\n" SIGNATURE_LINE_START);
	buf_append_slice(&note, origin);
	buf_append_byte(&note, ' ');
	text_to_base64(&note, blob, sizeof(blob));
	buf_append_byte(&note, '\n');
	status = buf_status(&note, err);
	if (status != STATUS_OK)
		return status;
	buf_append_slice(ret, buf_slice(&note));
	return buf_status(ret, err);
}

enum status checkpoint_open(struct slice note, const uint8_t public_key[PUBLIC_KEY_BYTES],
			    struct checkpoint *ret, struct error *err)
{
	struct note_verifier verifier = { .public_key = public_key };
	struct note parts = { .text = { .len = 0 } };
	struct checkpoint checkpoint = { .size = 0 };
	enum status status = split_note(note, &parts, err);

	if (status != STATUS_OK)
		return status;
	status = parse_text(parts.text, &checkpoint, err);
	if (status != STATUS_OK)
		return status;
	verifier.name = slice_str(checkpoint.origin);
	note_key_hash(verifier.name, public_key, verifier.key_hash);
	status = read_signatures(&parts, &verifier, err);
	if (status != STATUS_OK)
		return status;
	if (verifier.verified == 0)
		return error_set(err, STATUS_WRONG_KEY, "checkpoint of %s is not signed by its key",
				 checkpoint.origin);
	*ret = checkpoint;
	return STATUS_OK;
}

void vkey_format(const char *name, const uint8_t public_key[PUBLIC_KEY_BYTES], struct buf *ret)
{
	uint8_t hash[NOTE_KEY_HASH_BYTES];
	uint8_t key[NOTE_KEY_BYTES] = { SIGNATURE_TYPE_ED25519 };
	char hex[2 * NOTE_KEY_HASH_BYTES + 1];

	memcpy(key + 1, public_key, PUBLIC_KEY_BYTES);
	note_key_hash(slice_str(name), public_key, hash);
	text_to_hex(hash, sizeof(hash), hex);
	buf_printf(ret, "%s+%s+", name, hex);
	text_to_base64(ret, key, sizeof(key));
}
