/*
 * Fuzz target: key files (store/signer.h).
 *
 * Input: one byte, then either the content of a key file, or a seed and a name from which a key is
 * made. What must hold:
 * - a file that is accepted, but for a last newline that may be missing, is what we write for the
 *   key, and the key's public part and id belong to it;
 * - a key that was made can be saved under its name and read again, and is the same; with any byte
 *   of its file changed it is refused;
 * - a name that is none is refused, and leads nowhere;
 * - a refusal has words, and nothing of the seed is in them; the output is untouched.
 */
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"
#include "store/signer.h"

#include "base/banned.h"

#define FILE_START "PRIVATE+KEY+"

enum {
	MAKE_A_KEY = 1 << 0, /* flag of the first byte */
	SEED_BYTES = 32,
	TELLING_BYTES = 8, /* of a seed's base64, that no message may show */
	CHANGED_BYTES = 2, /* tried of each file */
};

static void path_of(const char *name, struct buf *ret)
{
	fs_join(ret, fuzz_scratch(), name);
	buf_append_str(ret, ".key");
}

/* Not durably: nobody reads it after a crash. */
static void write_key_file(const char *name, struct slice content)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO_FD int fd = -1;

	path_of(name, &path);
	fd = open(buf_str(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && (content.len == 0 ||
			       write(fd, content.data, content.len) == (ssize_t)content.len),
		   "cannot write %s", buf_str(&path));
}

static void remove_key_file(const char *name)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct error err = ERROR_INIT;

	path_of(name, &path);
	FUZZ_CHECK(!fs_remove(buf_str(&path), &err), "cannot remove: %s", err.text);
}

/* What stands behind the third '+' from the front: "PRIVATE+KEY+NAME+HASH+SEED". */
static struct slice seed_text(struct slice content)
{
	unsigned plus = 0;

	for (size_t i = 0; i < content.len; i++) {
		plus += content.data[i] == '+';
		if (plus == 4)
			return slice_of(content.data + i + 1, content.len - i - 1);
	}
	return slice_of(NULL, 0);
}

/* Nothing of the seed is told, but for what is a part of the name anyway. */
static void check_discreet(const char *name, struct slice content, const struct error *err)
{
	struct slice seed = seed_text(content);

	for (size_t i = 0; i + TELLING_BYTES <= seed.len; i++) {
		struct slice part = slice_of(seed.data + i, TELLING_BYTES);

		if (fuzz_contains(slice_str(name), part))
			continue;
		FUZZ_CHECK(!fuzz_contains(slice_str(err->text), part) &&
				   !fuzz_contains(slice_str(err->hint), part),
			   "the message shows the seed: %s", err->text);
	}
}

static enum status load(const char *name, struct signer *ret, struct error *ret_err)
{
	struct error err = ERROR_INIT;
	enum status status;

	fuzz_mark(ret, sizeof(*ret));
	status = signer_load(fuzz_scratch(), name, ret, &err);
	fuzz_check_error(status, &err);
	FUZZ_CHECK(!status || fuzz_is_marked(ret, sizeof(*ret)),
		   "refused, but the output was touched");
	*ret_err = err;
	return status;
}

/* What we write for @signer. */
static void saved_form(const struct signer *signer, struct buf *ret)
{
	AUTO(buf_release) struct buf dir = BUF_INIT;
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct error err = ERROR_INIT;

	fs_join(&dir, fuzz_scratch(), "saved");
	fs_join(&path, buf_str(&dir), signer->name);
	buf_append_str(&path, ".key");
	FUZZ_CHECK(!signer_save(signer, buf_str(&dir), &err), "cannot save: %s", err.text);
	FUZZ_CHECK(signer_save(signer, buf_str(&dir), NULL) == STATUS_CONFLICT,
		   "a key was written over");
	FUZZ_CHECK(!fs_read_file(buf_str(&path), KEY_FILE_BYTES_MAX, ret, &err), "cannot read: %s",
		   err.text);
	FUZZ_CHECK(!fs_remove(buf_str(&path), &err), "cannot remove: %s", err.text);
}

static void check_signer(const struct signer *signer)
{
	static const char message[] = "a message";
	uint8_t key_id[KEY_ID_BYTES];
	uint8_t signature[SIGNATURE_BYTES];

	FUZZ_CHECK(text_is_key_name(slice_str(signer->name)), "the name is none");
	FUZZ_CHECK(public_key_is_sound(signer->public_key), "the public key is not sound");
	key_id_of(signer->public_key, key_id);
	FUZZ_CHECK(memcmp(key_id, signer->key_id, KEY_ID_BYTES) == 0, "the id is another key's");
	FUZZ_CHECK(!signer_sign(signer, slice_str(message), signature, NULL) &&
			   signature_verify(slice_str(message), signature, signer->public_key),
		   "the two parts do not belong together");
}

/* An accepted file is the one form of its key. */
static void check_form(const struct signer *signer, struct slice content)
{
	AUTO(buf_release) struct buf form = BUF_INIT;

	saved_form(signer, &form);
	FUZZ_CHECK(slice_equal(buf_slice(&form), content) ||
			   slice_equal(slice_of(form.data, form.len - 1), content),
		   "accepted, but it is not what we write");
}

static void check_file(const char *name, struct slice content)
{
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	struct signer read;
	struct error err;
	enum status status;

	write_key_file(name, content);
	status = load(name, &read, &err);
	FUZZ_CHECK(!status || status == STATUS_WRONG_KEY, "%s", status_name(status));
	if (!status) {
		signer = read;
		FUZZ_CHECK(strcmp(signer.name, name) == 0, "it has the name %s", signer.name);
		check_signer(&signer);
		check_form(&signer, content);
	}
	remove_key_file(name);
}

/* --- a key that is made ------------------------------------------------------------------------
 */

/* A hash of the input's bytes, so that no input can make a seed that reads like a message. */
static void give_seed(void *context, void *ret, size_t len)
{
	const struct slice *seed = context;
	uint8_t digest[HASH_BYTES];

	(void)crypto_hash_sha256(digest, seed->data, seed->len);
	memset(ret, 0, len);
	memcpy(ret, digest, sizeof(digest) < len ? sizeof(digest) : len);
}

static void check_changed(const char *name, struct slice content, struct sample_random *random)
{
	for (unsigned i = 0; i < CHANGED_BYTES; i++) {
		AUTO(buf_release) struct buf changed = BUF_INIT;
		struct signer read;
		struct error err;

		buf_append_slice(&changed, content);
		changed.data[sample_below(random, changed.len)] ^=
			(uint8_t)(1u << sample_below(random, 8));
		write_key_file(name, buf_slice(&changed));
		FUZZ_CHECK(load(name, &read, &err) == STATUS_WRONG_KEY,
			   "a byte of the file was changed, and nobody minds");
		check_discreet(name, content, &err);
	}
	remove_key_file(name);
}

static void check_made(struct slice input)
{
	struct sample_random random = fuzz_random_of(input);
	struct slice seed = fuzz_take(&input, SEED_BYTES);
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf form = BUF_INIT;
	struct error err = ERROR_INIT;
	struct signer made;
	enum status status;

	buf_append_slice(&name, fuzz_take(&input, 2 * (size_t)KEY_NAME_BYTES_MAX));
	rng_set_source(give_seed, &seed);
	status = signer_generate(buf_str(&name), &made, &err);
	rng_set_source(NULL, NULL);
	fuzz_check_error(status, &err);
	FUZZ_CHECK(status ==
			   (text_is_key_name(slice_str(buf_str(&name))) ? STATUS_OK : STATUS_USAGE),
		   "%s for the name %s", status_name(status), buf_str(&name));
	if (status) {
		FUZZ_CHECK(load(buf_str(&name), &made, &err) == STATUS_USAGE,
			   "a name that is none was looked for");
		return;
	}
	signer = made;
	check_signer(&signer);
	FUZZ_CHECK(load(signer.name, &made, &err) == STATUS_NOT_FOUND, "it is there already");
	saved_form(&signer, &form);
	/* The newline may be missing. */
	check_file(signer.name, slice_of(form.data, form.len - sample_below(&random, 2)));
	check_changed(signer.name, buf_slice(&form), &random);
}

/* The name that a file says it has, where that is one; so that it lies where it says. */
static void name_inside(struct slice content, struct buf *ret)
{
	size_t start = sizeof(FILE_START) - 1;
	const uint8_t *end;

	if (content.len > start && memcmp(content.data, FILE_START, start) == 0) {
		end = memchr(content.data + start, '+', content.len - start);
		if (end)
			buf_append(ret, content.data + start, (size_t)(end - content.data) - start);
	}
	if (!text_is_key_name(buf_slice(ret))) {
		buf_clear(ret);
		buf_append_str(ret, "ana@host");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	unsigned flags = fuzz_take_byte(&input);
	AUTO(buf_release) struct buf name = BUF_INIT;

	if (flags & MAKE_A_KEY) {
		check_made(input);
		return 0;
	}
	name_inside(input, &name);
	check_file(buf_str(&name), input);
	return 0;
}
