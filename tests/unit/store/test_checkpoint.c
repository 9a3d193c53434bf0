/*
 * Checkpoints and vkeys: byte-exact against notes that other implementations signed, and every way
 * in which a note can be not quite one.
 */
#include "store/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "store/merkle.h"
#include "store/signer.h"

#include "base/banned.h"

#define DASH "\xe2\x80\x94 "

/* Published test keys of other projects: Go's note package and Tessera's test log. */
#define PETER_VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETER_SEED "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define ENOCH_VKEY "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define LOG_NAME   "example.com/log/testdata"
#define LOG_VKEY   LOG_NAME "+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
#define LOG_SEED   "AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"

#define TEXT_7 LOG_NAME "\n7\nIrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=\n"
#define SIGNATURE_7                                                                               \
	DASH LOG_NAME " M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv0dCed3" \
		      "neRGI6dMzBq9uANf2Qc=\n"
#define NOTE_7 TEXT_7 "\n" SIGNATURE_7

/* A line by a key that nobody here knows. */
#define SIGNATURE_ENOCH                                                                           \
	DASH "EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTG" \
	     "wnWLox33WWd1RvMc+QQ=\n"

/* The key of Go's text form: base64 of its type and seed. */
static void load_signer(const char *base64, struct signer *ret)
{
	uint8_t key[33];
	uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
	size_t len;

	assert_true(text_from_base64(slice_str(base64), key, sizeof(key), &len));
	assert_int_equal(len, sizeof(key));
	assert_int_equal(key[0], 0x01);
	assert_int_equal(crypto_sign_seed_keypair(ret->public_key, secret_key, key + 1), 0);
	assert_int_equal(
		secret_copy(&ret->secret_key, slice_of(secret_key, sizeof(secret_key)), NULL),
		STATUS_OK);
}

/* NAME+HASH+KEY, the last the base64 of its type and the key. */
static void load_vkey(const char *vkey, uint8_t ret_key[PUBLIC_KEY_BYTES])
{
	/* Neither name nor hash holds a '+'; the key may. */
	const char *hash = strchr(vkey, '+');
	uint8_t key[1 + PUBLIC_KEY_BYTES];
	size_t len;

	assert_non_null(hash);
	hash = strchr(hash + 1, '+');
	assert_non_null(hash);
	assert_true(text_from_base64(slice_str(hash + 1), key, sizeof(key), &len));
	assert_int_equal(len, sizeof(key));
	assert_int_equal(key[0], 0x01);
	memcpy(ret_key, key + 1, PUBLIC_KEY_BYTES);
}

/* What opening @note with the log's key says; the checkpoint must be untouched unless OK. */
static enum status open_note(struct slice note, struct error *err)
{
	struct checkpoint checkpoint = { .origin = "untouched", .size = 99 };
	uint8_t key[PUBLIC_KEY_BYTES];
	enum status status;

	load_vkey(LOG_VKEY, key);
	status = checkpoint_open(note, key, &checkpoint, err);
	if (status != STATUS_OK) {
		assert_string_equal(checkpoint.origin, "untouched");
		assert_int_equal(checkpoint.size, 99);
	}
	return status;
}

static void assert_open(const char *note, enum status expected, const char *words)
{
	struct error err = ERROR_INIT;
	enum status status = open_note(slice_str(note), &err);

	if (status != expected || !strstr(err.text, words))
		fail_msg("expected %s \"%s\", got %s \"%s\" for:\n%s", status_name(expected), words,
			 status_name(status), err.text, note);
}

/* ---- known answers ---- */

static const struct {
	uint64_t size;
	const char *root;
	const char *note;
} known[] = {
	{ 0, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	  LOG_NAME "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n" DASH LOG_NAME
		   " M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc"
		   "4oufo5BvIVEgtQc=\n" },
	{ 7, "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=", NOTE_7 },
	{ 15, "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
	  LOG_NAME "\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n\n" DASH LOG_NAME
		   " M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/f"
		   "mwlM/dlPWF74ewI=\n" },
	{ 100270, "GRV1O0dCqmjjPvYi7CtOT79zb/fPwLNsMFWsynwU8Ac=",
	  LOG_NAME "\n100270\nGRV1O0dCqmjjPvYi7CtOT79zb/fPwLNsMFWsynwU8Ac=\n\n" DASH LOG_NAME
		   " M9e0lkcvy5bAe7rrC8tCyAP+my+CLzswA91zOpBNWVU7qCojkUOHnfdQzDImoYeYH8G8PJSwOqsx"
		   "0RkSa261OmKVwwM=\n" },
};

static void test_known_checkpoints(void **state)
{
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	uint8_t key[PUBLIC_KEY_BYTES];

	(void)state;
	load_signer(LOG_SEED, &signer);
	load_vkey(LOG_VKEY, key);
	assert_memory_equal(signer.public_key, key, sizeof(key));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		AUTO(buf_release) struct buf note = BUF_INIT;
		struct checkpoint checkpoint;
		uint8_t root[HASH_BYTES];
		size_t len;

		assert_int_equal(checkpoint_open(slice_str(known[i].note), key, &checkpoint, NULL),
				 STATUS_OK);
		assert_string_equal(checkpoint.origin, LOG_NAME);
		assert_int_equal(checkpoint.size, known[i].size);
		assert_true(text_from_base64(slice_str(known[i].root), root, sizeof(root), &len));
		assert_memory_equal(checkpoint.root, root, sizeof(root));
		/* Ed25519 is deterministic: our note must be theirs, and goes behind what is there.
		 */
		buf_append_str(&note, "before\n");
		assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_OK);
		assert_memory_equal(buf_str(&note), "before\n", 7);
		assert_string_equal(buf_str(&note) + 7, known[i].note);
	}
}

/* The same log's leaves give the roots that its checkpoints sign. */
static void test_known_roots(void **state)
{
	/* as that log spells them */
	static const char *const leaves[] = { "one",    "two",   "three",    "four",    "five",
					      "six",    "seven", "eit",      "nain",    "ten",
					      "ileven", "twelf", "threeten", "fourten", "fivten" };
	struct merkle_frontier frontier = { .size = 0 };
	uint8_t key[PUBLIC_KEY_BYTES];
	unsigned compared = 0;

	(void)state;
	load_vkey(LOG_VKEY, key);
	for (size_t i = 0;; i++) {
		uint8_t hash[HASH_BYTES];

		for (size_t j = 0; j < sizeof(known) / sizeof(known[0]); j++) {
			struct checkpoint checkpoint;

			if (known[j].size != i)
				continue;
			merkle_frontier_root(&frontier, hash);
			assert_int_equal(
				checkpoint_open(slice_str(known[j].note), key, &checkpoint, NULL),
				STATUS_OK);
			assert_memory_equal(hash, checkpoint.root, sizeof(hash));
			compared++;
		}
		if (i == sizeof(leaves) / sizeof(leaves[0]))
			break;
		merkle_leaf_hash(slice_str(leaves[i]), hash);
		(void)merkle_frontier_append(&frontier, hash, NULL);
	}
	assert_int_equal(compared, 3);
}

/* The note of Go's own test: not a checkpoint, but the same signature over the same kind of text.
 */
static void test_known_note_signature(void **state)
{
	static const char text[] = "If you think cryptography is the answer to your problem,\n"
				   "then you don't know what your problem is.\n";
	static const char base64[] = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
				     "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	uint8_t key[PUBLIC_KEY_BYTES];
	uint8_t blob[4 + SIGNATURE_BYTES];
	uint8_t signature[SIGNATURE_BYTES];
	size_t len;

	(void)state;
	load_signer(PETER_SEED, &signer);
	load_vkey(PETER_VKEY, key);
	assert_memory_equal(signer.public_key, key, sizeof(key));
	assert_true(text_from_base64(slice_str(base64), blob, sizeof(blob), &len));
	assert_int_equal(len, sizeof(blob));
	assert_int_equal(signer_sign(&signer, slice_str(text), signature, NULL), STATUS_OK);
	assert_memory_equal(signature, blob + 4, SIGNATURE_BYTES);
	assert_true(signature_verify(slice_str(text), blob + 4, key));
}

static void test_origin(void **state)
{
	static const uint8_t log_id[LOG_ID_BYTES] = { 0x00, 0x01, 0xfe, 0xff };
	char origin[ORIGIN_BYTES_MAX];

	(void)state;
	checkpoint_origin(log_id, 1, origin);
	assert_string_equal(origin, "provenv/0001feff000000000000000000000000/1");
	checkpoint_origin(log_id, UINT64_MAX, origin);
	assert_string_equal(origin,
			    "provenv/0001feff000000000000000000000000/18446744073709551615");
}

/* ---- vkeys ---- */

static void test_known_vkeys(void **state)
{
	static const struct {
		const char *name;
		const char *vkey;
	} keys[] = {
		{ "PeterNeumann", PETER_VKEY },
		{ "EnochRoot", ENOCH_VKEY },
		{ LOG_NAME, LOG_VKEY },
		{ "sigsum.org",
		  "sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r" },
		{ "example.com",
		  "example.com+3753d3de+AebBhMcghIUoavZpjuDofa4sW6fYHyVn7gvwDBfvkvuM" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		AUTO(buf_release) struct buf text = BUF_INIT;
		uint8_t key[PUBLIC_KEY_BYTES];

		load_vkey(keys[i].vkey, key);
		vkey_format(keys[i].name, key, &text);
		assert_string_equal(buf_str(&text), keys[i].vkey);
	}
}

/* ---- malformed notes ---- */

#define ROOT_7 "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U="

/* Not opened, for a reason that contains @words. */
static void assert_malformed(const char *words, const char *note)
{
	assert_open(note, STATUS_CORRUPT, words);
}

static void test_malformed_notes(void **state)
{
	(void)state;
	assert_malformed("no signature lines", "");
	assert_malformed("no signature lines", "\n");
	assert_malformed("no signature lines", "\n\n");
	assert_malformed("no signature lines", TEXT_7);
	assert_malformed("no signature lines", TEXT_7 "\n");
	assert_malformed("no signature lines", TEXT_7 SIGNATURE_7);
	assert_malformed("no signature lines", "\n" SIGNATURE_7);
	assert_malformed("end with a newline", TEXT_7 "\n" DASH "a AAAAAAAA");
	assert_malformed("origin, size or root", "\n\n" SIGNATURE_7);
	assert_malformed("origin, size or root", LOG_NAME "\n7\n\n" SIGNATURE_7);
	assert_malformed("control bytes", "\x01" NOTE_7);
	assert_malformed("control bytes", LOG_NAME "\r\n7\r\n" ROOT_7 "\r\n\r\n" SIGNATURE_7);
	assert_malformed("control bytes", LOG_NAME "\n7\n" ROOT_7 "\r\n\n" SIGNATURE_7);
	assert_malformed("control bytes", LOG_NAME "\t\n7\n" ROOT_7 "\n\n" SIGNATURE_7);
	assert_malformed("UTF-8", "\xff" NOTE_7);
}

/* The split is at the last blank line, so one before it makes the text too long. */
static void test_extension_lines(void **state)
{
	(void)state;
	assert_malformed("extension lines", TEXT_7 "extension\n\n" SIGNATURE_7);
	assert_malformed("extension lines", TEXT_7 "\n\n" SIGNATURE_7);
	assert_malformed("extension lines", NOTE_7 "\n" SIGNATURE_7);
}

static void test_malformed_lines(void **state)
{
	static const char *const origins[] = { "",
					       "a b",
					       "a+b",
					       "a\x7f",
					       "a\xc2\x9b[2J",
					       "a\xc2\xa0",
					       "a\xc2\x85",
					       "\xe2\x80\x83",
					       "\xe2\x80\xa8",
					       "\xe3\x80\x80",
					       "\xe1\x9a\x80" };
	static const char *const sizes[] = { "",   "07",  "00",  "+7",
					     "-7", "7 ",  "0x7", "18446744073709551616",
					     "7a", "7.0", "7e0", "99999999999999999999999" };
	/* short, long, unpadded, with bits to spare, with a blank, of the other alphabet */
	static const char *const roots[] = { "",
					     "IrSX",
					     ROOT_7 "AAAA",
					     "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7UAAAAA",
					     "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U",
					     "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7V=",
					     " " ROOT_7,
					     ROOT_7 " ",
					     "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w_-fS7U=" };
	AUTO(buf_release) struct buf note = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		buf_clear(&note);
		buf_printf(&note, "%s\n7\n" ROOT_7 "\n\n" SIGNATURE_7, origins[i]);
		assert_malformed("origin line", buf_str(&note));
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_clear(&note);
		buf_printf(&note, LOG_NAME "\n%s\n" ROOT_7 "\n\n" SIGNATURE_7, sizes[i]);
		assert_malformed("size line", buf_str(&note));
	}
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		buf_clear(&note);
		buf_printf(&note, LOG_NAME "\n7\n%s\n\n" SIGNATURE_7, roots[i]);
		assert_malformed("root line", buf_str(&note));
	}
}

/* What is signed under @origin is opened again. */
static void assert_origin(const char *origin)
{
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint checkpoint = { .size = 7 };
	struct checkpoint opened;

	load_signer(LOG_SEED, &signer);
	(void)snprintf(checkpoint.origin, sizeof(checkpoint.origin), "%s", origin);
	assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_OK);
	assert_int_equal(checkpoint_open(buf_slice(&note), signer.public_key, &opened, NULL),
			 STATUS_OK);
	assert_string_equal(opened.origin, origin);
}

static void test_long_and_foreign_origins(void **state)
{
	char origin[ORIGIN_BYTES_MAX + 1];
	AUTO(buf_release) struct buf note = BUF_INIT;

	(void)state;
	memset(origin, 'o', sizeof(origin));
	origin[ORIGIN_BYTES_MAX] = '\0';
	buf_printf(&note, "%s\n7\n" ROOT_7 "\n\n" SIGNATURE_7, origin);
	assert_malformed("origin line", buf_str(&note));
	origin[ORIGIN_BYTES_MAX - 1] = '\0';
	assert_origin(origin);
	/* Letters of any script are fine. */
	assert_origin("\xd0\xb6\xe2\x80\xa0");
}

static void test_malformed_signature_lines(void **state)
{
	static const char *const lines[] = {
		"Unexpected line.",
		"\xe2\x80\x93 a AAAAAAAA", /* a shorter dash */
		"-- a AAAAAAAA",
		"\xe2\x80\x94"
		"a AAAAAAAA",
		DASH,
		DASH "a",
		DASH "a ",
		DASH " AAAAAAAA",
		DASH "a+b AAAAAAAA",
		DASH "a b AAAAAAAA",
		DASH "a  AAAAAAAA",
		DASH "a AAAAAA==", /* a key hash and nothing more */
		DASH "a AAAAAAA",
		DASH "a AAAAAAAA ",
		DASH "a AAAAAAA!",
	};
	AUTO(buf_release) struct buf note = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		buf_clear(&note);
		buf_printf(&note, TEXT_7 "\n%s\n" SIGNATURE_7, lines[i]);
		assert_malformed("signature line 1", buf_str(&note));
		buf_clear(&note);
		buf_printf(&note, NOTE_7 "%s\n", lines[i]);
		assert_malformed("signature line 2", buf_str(&note));
	}
}

/* A note is all or nothing: no beginning of it, nothing appended, no changed bit. */
static void test_damaged_notes(void **state)
{
	const size_t len = strlen(NOTE_7);
	uint8_t bytes[] = NOTE_7;

	(void)state;
	assert_int_equal(open_note(slice_of(bytes, len), NULL), STATUS_OK);
	for (size_t i = 0; i < len; i++)
		assert_int_not_equal(open_note(slice_of(bytes, i), NULL), STATUS_OK);
	assert_int_not_equal(open_note(slice_of(bytes, len + 1), NULL), STATUS_OK); /* its NUL */
	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(open_note(slice_of(bytes, len), NULL), STATUS_OK);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_size_limits(void **state)
{
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint checkpoint = { .origin = LOG_NAME, .size = UINT64_MAX };
	struct checkpoint opened;
	struct error err = ERROR_INIT;
	size_t padding;

	(void)state;
	load_signer(LOG_SEED, &signer);
	assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_OK);
	assert_int_equal(checkpoint_open(buf_slice(&note), signer.public_key, &opened, NULL),
			 STATUS_OK);
	assert_int_equal(opened.size, UINT64_MAX);

	/* One more signature fills the note to the brim; then one byte too many. */
	buf_append_str(&note, DASH "big ");
	padding = CHECKPOINT_BYTES_MAX - 1 - note.len;
	padding -= padding % 4;
	for (size_t i = 0; i < padding; i++)
		buf_append_byte(&note, 'A');
	buf_append_byte(&note, '\n');
	assert_int_equal(open_note(buf_slice(&note), NULL), STATUS_OK);
	note.len--;
	buf_append_str(&note, "AAAA\n");
	assert_int_equal(open_note(buf_slice(&note), &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "longer than"));
}

/* ---- which signatures count ---- */

static void test_unknown_signatures(void **state)
{
	(void)state;
	assert_open(NOTE_7 SIGNATURE_ENOCH, STATUS_OK, "");
	assert_open(TEXT_7 "\n" SIGNATURE_ENOCH SIGNATURE_7, STATUS_OK, "");
	assert_open(TEXT_7 "\n" SIGNATURE_ENOCH, STATUS_WRONG_KEY, LOG_NAME);
	/* the log's name with another key's hash: another key, whatever follows */
	assert_open(NOTE_7 DASH LOG_NAME " AAAAAAAA\n", STATUS_OK, "");
	assert_open(TEXT_7 "\n" DASH LOG_NAME " AAAAAAAA\n", STATUS_WRONG_KEY, LOG_NAME);
	/* the log's key hash and signature under another name */
	assert_open(TEXT_7 "\n" DASH "other M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513R"
			   "CTL2640wXJv0dCed3neRGI6dMzBq9uANf2Qc=\n",
		    STATUS_WRONG_KEY, LOG_NAME);
	/* the log's key says it of another log, whose key this is not */
	assert_open("other\n7\n" ROOT_7 "\n\n" SIGNATURE_7, STATUS_WRONG_KEY, "other");
}

static void test_known_key_must_verify(void **state)
{
	static const char failing[] = DASH LOG_NAME
		" M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc"
		"4oufo5BvIVEgtQc=\n";
	static const char short_one[] = DASH LOG_NAME " M9e0luA5JhTR\n";
	AUTO(buf_release) struct buf note = BUF_INIT;

	(void)state;
	/* a signature of another checkpoint, alone, after and before the right one */
	buf_printf(&note, TEXT_7 "\n%s", failing);
	assert_open(buf_str(&note), STATUS_CORRUPT, "does not fit");
	buf_clear(&note);
	buf_printf(&note, NOTE_7 "%s", failing);
	assert_open(buf_str(&note), STATUS_CORRUPT, "does not fit");
	buf_clear(&note);
	buf_printf(&note, TEXT_7 "\n%s%s", failing, SIGNATURE_7);
	assert_open(buf_str(&note), STATUS_CORRUPT, "does not fit");
	/* a signature that is too short to be one */
	buf_clear(&note);
	buf_printf(&note, NOTE_7 "%s", short_one);
	assert_open(buf_str(&note), STATUS_CORRUPT, "does not fit");
	/* the same right signature twice is no contradiction */
	assert_open(NOTE_7 SIGNATURE_7, STATUS_OK, "");
}

static void test_signature_count(void **state)
{
	AUTO(buf_release) struct buf note = BUF_INIT;

	(void)state;
	buf_append_str(&note, TEXT_7 "\n");
	for (unsigned i = 1; i < NOTE_SIGNATURES_MAX; i++)
		buf_append_str(&note, SIGNATURE_ENOCH);
	buf_append_str(&note, SIGNATURE_7);
	assert_open(buf_str(&note), STATUS_OK, "");
	buf_append_str(&note, SIGNATURE_ENOCH);
	assert_open(buf_str(&note), STATUS_CORRUPT, "more than 16 signatures");
}

static void test_sign_refuses_bad_origins(void **state)
{
	static const char *const bad[] = { "", "a b", "a+b", "a\nb", "\xff", "a\xe2\x80\x83" };
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint checkpoint = { .size = 1 };

	(void)state;
	load_signer(LOG_SEED, &signer);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(checkpoint.origin, sizeof(checkpoint.origin), "%s", bad[i]);
		assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_USAGE);
	}
	memset(checkpoint.origin, 'a', sizeof(checkpoint.origin)); /* no end */
	assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_USAGE);
	assert_int_equal(note.len, 0);
}

/* Ours, whole: origin, signature by a fresh key, and no other generation or key passes for it. */
static void test_round_trip(void **state)
{
	static const uint8_t log_id[LOG_ID_BYTES] = { 1, 2, 3 };
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(signer_release) struct signer other = SIGNER_INIT;
	AUTO(buf_release) struct buf note = BUF_INIT;
	struct checkpoint checkpoint = { .size = 12345, .root = { 0xff, 1 } };
	struct checkpoint opened;
	uint8_t *generation;

	(void)state;
	load_signer(LOG_SEED, &signer);
	load_signer(PETER_SEED, &other);
	checkpoint_origin(log_id, 1, checkpoint.origin);
	assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), STATUS_OK);
	assert_int_equal(checkpoint_open(buf_slice(&note), signer.public_key, &opened, NULL),
			 STATUS_OK);
	assert_memory_equal(&opened, &checkpoint, sizeof(opened));
	assert_int_equal(checkpoint_open(buf_slice(&note), other.public_key, &opened, NULL),
			 STATUS_WRONG_KEY);
	generation = memchr(note.data, '\n', note.len);
	assert_non_null(generation);
	generation[-1] = '2';
	assert_int_equal(checkpoint_open(buf_slice(&note), signer.public_key, &opened, NULL),
			 STATUS_WRONG_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_checkpoints),
		cmocka_unit_test(test_known_roots),
		cmocka_unit_test(test_known_note_signature),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_known_vkeys),
		cmocka_unit_test(test_malformed_notes),
		cmocka_unit_test(test_extension_lines),
		cmocka_unit_test(test_malformed_lines),
		cmocka_unit_test(test_long_and_foreign_origins),
		cmocka_unit_test(test_malformed_signature_lines),
		cmocka_unit_test(test_damaged_notes),
		cmocka_unit_test(test_size_limits),
		cmocka_unit_test(test_unknown_signatures),
		cmocka_unit_test(test_known_key_must_verify),
		cmocka_unit_test(test_signature_count),
		cmocka_unit_test(test_sign_refuses_bad_origins),
		cmocka_unit_test(test_round_trip),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
