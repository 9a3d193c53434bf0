/*
 * Fuzz target: checkpoints as signed notes (store/checkpoint.h).
 *
 * Input: one byte, then a note. The byte says whether the note is shown as it is, or signed first
 * by the log's key, whatever it says: nobody finds a signature by chance. What must hold:
 * - refused: CORRUPT or WRONG_KEY, with words, and the output is untouched;
 * - accepted: the checkpoint, signed again, is the note's text byte for byte, and the whole note
 *   when nobody else signed it: there is no second way to write it;
 * - an accepted note with one byte changed, or under another key, is refused, or, where the byte is
 *   in a line of another key, says the same;
 * - every origin, size and root that can be signed can be opened.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"
#include "store/checkpoint.h"
#include "store/signer.h"

#include "base/banned.h"

#define SIGNATURE_LINE_START "\xe2\x80\x94 "

enum {
	SHOW_AS_IT_IS = 0,
	SIGN_IT = 1,         /* a blank line and our signature behind it */
	SIGN_ITS_TEXT = 2,   /* our signature behind those it has */
	SIGN_ITS_FIELDS = 3, /* size, root and origin instead of a note */
	WAYS = 4,
	CHANGED_BYTES = 4, /* tried of each accepted note */
};

static void same_bytes(void *context, void *ret, size_t len)
{
	memset(ret, *(const int *)context, len);
}

/* The same keys in every run, so that notes of the corpus stay signed. */
static const struct signer *the_signer(bool other)
{
	static struct signer signers[2] = { SIGNER_INIT, SIGNER_INIT };
	int byte = other ? 2 : 1;

	if (!signers[other].secret_key.data) {
		rng_set_source(same_bytes, &byte);
		if (signer_generate("log", &signers[other], NULL))
			abort();
		rng_set_source(NULL, NULL);
	}
	return &signers[other];
}

/* The name in front of a text, and where the text ends: at the last blank line. */
static struct slice first_line(struct slice text)
{
	const uint8_t *end = text.len ? memchr(text.data, '\n', text.len) : NULL;

	return slice_of(text.data, end ? (size_t)(end - text.data) : text.len);
}

static size_t text_length(struct slice note)
{
	for (size_t i = note.len; i-- > 1;) {
		if (note.data[i] == '\n' && note.data[i - 1] == '\n')
			return i;
	}
	return note.len;
}

static void append_signature(struct slice text, struct buf *note)
{
	const struct signer *signer = the_signer(false);
	struct slice name = first_line(text);
	uint8_t blob[NOTE_KEY_HASH_BYTES + SIGNATURE_BYTES];

	note_key_hash(name, signer->public_key, blob);
	if (signer_sign(signer, text, blob + NOTE_KEY_HASH_BYTES, NULL))
		abort();
	buf_append_str(note, SIGNATURE_LINE_START);
	buf_append_slice(note, name);
	buf_append_byte(note, ' ');
	text_to_base64(note, blob, sizeof(blob));
	buf_append_byte(note, '\n');
}

static enum status open_note(struct slice note, const struct signer *signer, struct checkpoint *ret)
{
	struct error err = ERROR_INIT;
	enum status status;

	fuzz_mark(ret, sizeof(*ret));
	status = checkpoint_open(note, signer->public_key, ret, &err);
	fuzz_check_error(status, &err);
	FUZZ_CHECK(!status || status == STATUS_CORRUPT || status == STATUS_WRONG_KEY, "%s",
		   status_name(status));
	FUZZ_CHECK(!status || fuzz_is_marked(ret, sizeof(*ret)),
		   "refused, but the output was touched");
	return status;
}

static bool is_same(const struct checkpoint *a, const struct checkpoint *b)
{
	return strcmp(a->origin, b->origin) == 0 && a->size == b->size &&
	       memcmp(a->root, b->root, HASH_BYTES) == 0;
}

/* No byte of it can be changed unnoticed, but in the lines of others. */
static void check_changed(struct slice note, const struct checkpoint *checkpoint, bool alone)
{
	struct sample_random random = fuzz_random_of(note);

	for (unsigned i = 0; i < CHANGED_BYTES; i++) {
		AUTO(buf_release) struct buf changed = BUF_INIT;
		struct checkpoint read;

		buf_append_slice(&changed, note);
		changed.data[sample_below(&random, changed.len)] ^=
			(uint8_t)(1u << sample_below(&random, 8));
		if (!open_note(buf_slice(&changed), the_signer(false), &read))
			FUZZ_CHECK(!alone && is_same(checkpoint, &read),
				   "a byte was changed, and nobody minds");
	}
}

static void check_accepted(struct slice note, const struct checkpoint *checkpoint)
{
	AUTO(buf_release) struct buf again = BUF_INIT;
	struct checkpoint read;
	struct error err = ERROR_INIT;
	size_t text_len = text_length(note);
	size_t lines = 0;

	FUZZ_CHECK(!checkpoint_sign(checkpoint, the_signer(false), &again, &err),
		   "opened, but not signed: %s", err.text);
	FUZZ_CHECK(slice_equal(slice_of(note.data, text_len),
			       slice_of(again.data, text_length(buf_slice(&again)))),
		   "what was accepted is not what we write");
	for (size_t i = text_len + 1; i < note.len; i++)
		lines += note.data[i] == '\n';
	FUZZ_CHECK(lines > 0, "accepted without a signature");
	FUZZ_CHECK(lines > 1 || slice_equal(note, buf_slice(&again)),
		   "the one signature is not the one we write");
	FUZZ_CHECK(lines <= NOTE_SIGNATURES_MAX, "%zu signatures", lines);
	FUZZ_CHECK(note.len <= CHECKPOINT_BYTES_MAX, "%zu bytes", note.len);
	FUZZ_CHECK(open_note(note, the_signer(true), &read) != STATUS_OK,
		   "accepted under another key");
	check_changed(note, checkpoint, lines == 1);
}

/* What can be signed can be opened; what cannot appends nothing. */
static void check_fields(struct slice input)
{
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint checkpoint = { .size = fuzz_take_u64(&input) };
	struct checkpoint read;
	struct slice root = fuzz_take(&input, HASH_BYTES);
	struct slice origin = fuzz_take(&input, ORIGIN_BYTES_MAX);
	struct error err = ERROR_INIT;
	enum status status;

	if (root.len)
		memcpy(checkpoint.root, root.data, root.len);
	if (origin.len)
		memcpy(checkpoint.origin, origin.data, origin.len);
	status = checkpoint_sign(&checkpoint, the_signer(false), &note, &err);
	fuzz_check_error(status, &err);
	if (status) {
		FUZZ_CHECK(status == STATUS_USAGE && note.len == 0, "not signed: %s",
			   status_name(status));
		return;
	}
	FUZZ_CHECK(!open_note(buf_slice(&note), the_signer(false), &read),
		   "signed, but not opened");
	FUZZ_CHECK(is_same(&checkpoint, &read), "another one was signed than is read");
	check_accepted(buf_slice(&note), &read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	unsigned way = fuzz_take_byte(&input) % WAYS;
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint read;

	if (way == SIGN_ITS_FIELDS) {
		check_fields(input);
		return 0;
	}
	buf_append_slice(&note, input);
	if (way == SIGN_IT) {
		buf_append_byte(&note, '\n');
		append_signature(input, &note);
	} else if (way == SIGN_ITS_TEXT) {
		append_signature(slice_of(input.data, text_length(input)), &note);
	}
	if (!open_note(buf_slice(&note), the_signer(false), &read))
		check_accepted(buf_slice(&note), &read);
	return 0;
}
