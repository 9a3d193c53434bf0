/*
 * Tests of store/signer: key pairs, key files hostile and good, signatures strict in every part.
 *
 * Known answers: the pair and signatures of RFC 8032 section 7.1, and the key file of the example
 * in the documentation of Go's note package.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/text.h"
#include "store/signer.h"

#include "base/banned.h"

#define NAME     "ann@example.org"
#define SEED_HEX "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
/* the example in the documentation of Go's note package */
#define GO_NAME     "PeterNeumann"
#define GO_LINE     "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define PUBLIC_HEX  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_ID_HEX  "21fe31dfa154a261"
#define KEY_HASH    "4bcb78a8"
#define SEED_BASE64 "AZ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"
#define KEY_LINE    "PRIVATE+KEY+" NAME "+" KEY_HASH "+" SEED_BASE64

#define OTHER_TYPE_LINE \
	"PRIVATE+KEY+" NAME "+" KEY_HASH "+Ap1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"

/* A directory of its own for each test, in which "keys" is where keys are looked for. */
struct place {
	char root[64];
	char keys[80];
	char file[128]; /* the key file of NAME */
};

static void from_hex(const char *hex, uint8_t *ret, size_t len)
{
	assert_true(text_from_hex(slice_str(hex), ret, len));
}

/* A source of "randomness" that gives out the seed of RFC 8032, test 1, over and over. */
static void rfc8032_source(void *context, void *ret, size_t len)
{
	uint8_t seed[32];

	(void)context;
	from_hex(SEED_HEX, seed, sizeof(seed));
	for (size_t i = 0; i < len; i++)
		((uint8_t *)ret)[i] = seed[i % sizeof(seed)];
}

static struct signer make_known_signer(void)
{
	struct signer signer = SIGNER_INIT;

	rng_set_source(rfc8032_source, NULL);
	assert_int_equal(signer_generate(NAME, &signer, NULL), STATUS_OK);
	rng_set_source(NULL, NULL);
	return signer;
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (!place)
		return -1;
	(void)snprintf(place->root, sizeof(place->root), "/tmp/provenv-signer-XXXXXX");
	if (!mkdtemp(place->root))
		return -1;
	(void)snprintf(place->keys, sizeof(place->keys), "%s/keys", place->root);
	(void)snprintf(place->file, sizeof(place->file), "%s/" NAME ".key", place->keys);
	*state = place;
	return mkdir(place->keys, 0700);
}

static int teardown(void **state)
{
	struct place *place = *state;
	enum status status = fs_remove_tree(place->root, NULL);

	free(place);
	return status ? -1 : 0;
}

/* Put @content where the key of NAME is looked for. */
static void put_key(const struct place *place, struct slice content, mode_t mode)
{
	assert_int_equal(fs_write_durable(place->file, mode, content, NULL), STATUS_OK);
}

/* Load NAME, which must fail, leave the result alone and tell nothing of the seed. */
static struct error load_refused(const struct place *place, enum status expected)
{
	struct error err = ERROR_INIT;
	struct signer signer;
	struct signer before;

	memset(&signer, 0x5a, sizeof(signer));
	memcpy(&before, &signer, sizeof(signer));
	assert_int_equal(signer_load(place->keys, NAME, &signer, &err), expected);
	assert_memory_equal(&signer, &before, sizeof(signer));
	assert_int_equal(err.status, expected);
	assert_true(err.text[0] != '\0');
	assert_null(strstr(err.text, SEED_BASE64));
	assert_null(strstr(err.hint, SEED_BASE64));
	return err;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void test_generate_known_answer(void **state)
{
	struct signer signer = make_known_signer();
	uint8_t expected[PUBLIC_KEY_BYTES];

	(void)state;
	from_hex(PUBLIC_HEX, expected, PUBLIC_KEY_BYTES);
	assert_memory_equal(signer.public_key, expected, PUBLIC_KEY_BYTES);
	from_hex(KEY_ID_HEX, expected, KEY_ID_BYTES);
	assert_memory_equal(signer.key_id, expected, KEY_ID_BYTES);
	from_hex(KEY_HASH, expected, NOTE_KEY_HASH_BYTES);
	note_key_hash(slice_str(NAME), signer.public_key, expected + NOTE_KEY_HASH_BYTES);
	assert_memory_equal(expected, expected + NOTE_KEY_HASH_BYTES, NOTE_KEY_HASH_BYTES);
	assert_string_equal(signer.name, NAME);
	assert_int_equal(signer.secret_key.len, 64);
	signer_release(&signer);
	assert_null(signer.secret_key.data);
	assert_string_equal(signer.name, "");
	signer_release(&signer);
}

static void test_generate_is_fresh(void **state)
{
	struct signer a = SIGNER_INIT;
	struct signer b = SIGNER_INIT;

	(void)state;
	assert_int_equal(signer_generate("a", &a, NULL), STATUS_OK);
	assert_int_equal(signer_generate("a", &b, NULL), STATUS_OK);
	assert_memory_not_equal(a.public_key, b.public_key, PUBLIC_KEY_BYTES);
	assert_true(public_key_is_sound(a.public_key));
	assert_true(public_key_is_sound(b.public_key));
	signer_release(&a);
	signer_release(&b);
}

static void test_names(void **state)
{
	const struct place *place = *state;
	static const char *const bad[] = { "",           ".",   "..",       "../keys/ann",
					   "a/b",        "a+b", ".a",       "a b",
					   "a\nb",       "-a",  "\xc3\xa4", "a\x1b[2J",
					   "/etc/passwd" };
	char name[KEY_NAME_BYTES_MAX + 2];
	struct error err = ERROR_INIT;
	struct signer signer = SIGNER_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(signer_generate(bad[i], &signer, &err), STATUS_USAGE);
		assert_null(strchr(err.text, '\x1b'));
		assert_int_equal(signer_load(place->keys, bad[i], &signer, &err), STATUS_USAGE);
		assert_null(signer.secret_key.data);
	}
	memset(name, 'n', sizeof(name));
	name[KEY_NAME_BYTES_MAX + 1] = '\0';
	assert_int_equal(signer_generate(name, &signer, &err), STATUS_USAGE);
	assert_int_equal(signer_load(place->keys, name, &signer, &err), STATUS_USAGE);
	name[KEY_NAME_BYTES_MAX] = '\0';
	assert_int_equal(signer_generate(name, &signer, &err), STATUS_OK);
	assert_string_equal(signer.name, name);
	assert_int_equal(signer_save(&signer, place->keys, &err), STATUS_OK);
	signer_release(&signer);
	assert_int_equal(signer_load(place->keys, name, &signer, &err), STATUS_OK);
	signer_release(&signer);
}

/* A word that is no name is cut, and never inside a character. */
static void test_long_name(void **state)
{
	struct error err = ERROR_INIT;
	struct signer signer = SIGNER_INIT;
	char name[600];

	(void)state;
	for (size_t before = 0; before < 4; before++) {
		memset(name, 'n', before);
		for (size_t i = before; i + 3 < sizeof(name); i += 3)
			memcpy(name + i, "\xe2\x82\xac", 4);
		assert_int_equal(signer_generate(name, &signer, &err), STATUS_USAGE);
		assert_true(text_is_line(slice_str(err.text)));
		assert_non_null(strstr(err.text, "is not a name for a key"));
		/* Escaped it is four times as long. */
		memset(name, '\x1b', sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		assert_int_equal(signer_generate(name, &signer, &err), STATUS_USAGE);
		assert_non_null(strstr(err.text, "is not a name for a key"));
	}
}

/* Encodings of the eight points of small order, and all that is not the encoding of a point. */
static const char *const unsound_keys[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	/* the same points written another way: the sign of zero, y from p upward */
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	/* p + 3 and p + 18, of which the first is on the curve when it is reduced */
	"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	/* y = 2, 7 and 8, for which there is no x */
	"0200000000000000000000000000000000000000000000000000000000000000",
	"0700000000000000000000000000000000000000000000000000000000000000",
	"0800000000000000000000000000000000000000000000000000000000000000",
};

enum { UNSOUND_COUNT = sizeof(unsound_keys) / sizeof(unsound_keys[0]) };

static void test_unsound_public_keys(void **state)
{
	struct signer signer = make_known_signer();
	uint8_t key[PUBLIC_KEY_BYTES];
	uint8_t torsion[PUBLIC_KEY_BYTES];

	(void)state;
	assert_true(public_key_is_sound(signer.public_key));
	for (size_t i = 0; i < UNSOUND_COUNT; i++) {
		from_hex(unsound_keys[i], key, sizeof(key));
		assert_false(public_key_is_sound(key));
	}
	/* A good key plus a point of order 8: on the curve, but not in the prime-order subgroup. */
	from_hex(unsound_keys[4], torsion, sizeof(torsion));
	assert_int_equal(crypto_core_ed25519_add(key, signer.public_key, torsion), 0);
	assert_false(public_key_is_sound(key));
	signer_release(&signer);
}

/* --- key files -------------------------------------------------------------------------------- */

static void test_save_known_answer(void **state)
{
	const struct place *place = *state;
	struct signer signer = make_known_signer();
	struct signer loaded = SIGNER_INIT;
	struct buf text = BUF_INIT;
	struct stat info;
	mode_t mask = umask(0);

	assert_int_equal(rmdir(place->keys), 0);
	assert_int_equal(signer_save(&signer, place->keys, NULL), STATUS_OK);
	(void)umask(mask);
	assert_int_equal(stat(place->keys, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_int_equal(stat(place->file, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_equal(fs_read_file(place->file, KEY_FILE_BYTES_MAX, &text, NULL), STATUS_OK);
	assert_string_equal(buf_str(&text), KEY_LINE "\n");
	buf_release_wiped(&text);

	assert_int_equal(signer_load(place->keys, NAME, &loaded, NULL), STATUS_OK);
	assert_string_equal(loaded.name, NAME);
	assert_memory_equal(loaded.public_key, signer.public_key, PUBLIC_KEY_BYTES);
	assert_memory_equal(loaded.key_id, signer.key_id, KEY_ID_BYTES);
	assert_true(
		slice_equal(secret_slice(&loaded.secret_key), secret_slice(&signer.secret_key)));
	signer_release(&loaded);
	signer_release(&signer);
}

static void test_load_go_example(void **state)
{
	const struct place *place = *state;
	struct signer signer = SIGNER_INIT;
	char path[128];
	uint8_t expected[PUBLIC_KEY_BYTES + 1];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/" GO_NAME ".key", place->keys);
	assert_int_equal(fs_write_durable(path, 0600, slice_str(GO_LINE), NULL), STATUS_OK);
	assert_int_equal(signer_load(place->keys, GO_NAME, &signer, NULL), STATUS_OK);
	/* the example's verifier key: PeterNeumann+c74f20a3+… */
	assert_true(text_from_base64(slice_str("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
				     expected, sizeof(expected), &len));
	assert_memory_equal(signer.public_key, expected + 1, PUBLIC_KEY_BYTES);
	signer_release(&signer);
}

static void test_save_never_overwrites(void **state)
{
	const struct place *place = *state;
	struct signer signer = SIGNER_INIT;
	struct error err = ERROR_INIT;
	struct buf text = BUF_INIT;

	put_key(place, slice_str(KEY_LINE "\n"), 0600);
	assert_int_equal(signer_generate(NAME, &signer, NULL), STATUS_OK);
	assert_int_equal(signer_save(&signer, place->keys, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, place->file));
	assert_true(err.hint[0] != '\0');
	assert_int_equal(fs_read_file(place->file, KEY_FILE_BYTES_MAX, &text, NULL), STATUS_OK);
	assert_string_equal(buf_str(&text), KEY_LINE "\n");
	buf_release_wiped(&text);
	signer_release(&signer);
}

static void test_load_missing(void **state)
{
	const struct place *place = *state;
	struct error err = load_refused(place, STATUS_NOT_FOUND);

	assert_non_null(strstr(err.text, place->file));
	assert_true(err.hint[0] != '\0');
	assert_int_equal(symlink("nowhere", place->file), 0);
	(void)load_refused(place, STATUS_NOT_FOUND);
	assert_int_equal(unlink(place->file), 0);
	assert_int_equal(rmdir(place->keys), 0);
	(void)load_refused(place, STATUS_NOT_FOUND);
}

static void test_modes(void **state)
{
	const struct place *place = *state;
	static const mode_t good[] = { 0600, 0400, 0700 };
	static const mode_t bad[] = { 0640, 0604, 0644, 0620, 0602, 0610, 0601, 0666, 0777 };
	struct signer signer = SIGNER_INIT;
	struct error err = ERROR_INIT;
	char mode[16];
	char hint[160];

	(void)snprintf(hint, sizeof(hint), "chmod 600 %s", place->file);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		put_key(place, slice_str(KEY_LINE "\n"), good[i]);
		assert_int_equal(signer_load(place->keys, NAME, &signer, &err), STATUS_OK);
		signer_release(&signer);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_key(place, slice_str(KEY_LINE "\n"), bad[i]);
		err = load_refused(place, STATUS_WRONG_KEY);
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)bad[i]);
		assert_non_null(strstr(err.text, place->file));
		assert_non_null(strstr(err.text, mode));
		assert_string_equal(err.hint, hint);
	}
}

static void test_owner(void **state)
{
	const struct place *place = *state;
	struct error err;

	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	put_key(place, slice_str(KEY_LINE "\n"), 0600);
	assert_int_equal(chown(place->file, 12345, (gid_t)-1), 0);
	err = load_refused(place, STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "12345"));
}

static void test_links(void **state)
{
	const struct place *place = *state;
	struct signer signer = SIGNER_INIT;
	char elsewhere[128];

	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", place->root);
	assert_int_equal(fs_write_durable(elsewhere, 0600, slice_str(KEY_LINE "\n"), NULL),
			 STATUS_OK);
	assert_int_equal(symlink("../elsewhere", place->file), 0);
	assert_int_equal(signer_load(place->keys, NAME, &signer, NULL), STATUS_OK);
	signer_release(&signer);
	assert_int_equal(chmod(elsewhere, 0640), 0);
	(void)load_refused(place, STATUS_WRONG_KEY);
	assert_int_equal(unlink(place->file), 0);
	assert_int_equal(symlink(place->file, place->file), 0);
	(void)load_refused(place, STATUS_IO);
}

static void test_not_a_file(void **state)
{
	const struct place *place = *state;

	assert_int_equal(mkdir(place->file, 0700), 0);
	(void)load_refused(place, STATUS_WRONG_KEY);
	assert_int_equal(rmdir(place->file), 0);
	/* A reader that waited for a writer of this would never return. */
	assert_int_equal(mkfifo(place->file, 0600), 0);
	(void)load_refused(place, STATUS_WRONG_KEY);
	assert_int_equal(unlink(place->file), 0);
	assert_int_equal(symlink("/dev/null", place->file), 0);
	(void)load_refused(place, STATUS_WRONG_KEY);
}

#ifdef PROVENV_TEST_HOOKS
/* Arm a fault point (base/fault.h), or none for NULL. */
static void set_fault(const char *fault)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): this program has one thread */
	int result = fault ? setenv("PROVENV_FAULT", fault, 1) : unsetenv("PROVENV_FAULT");

	assert_int_equal(result, 0);
}
#endif

static void test_unreadable(void **state)
{
#ifdef PROVENV_TEST_HOOKS
	const struct place *place = *state;

	put_key(place, slice_str(KEY_LINE "\n"), 0600);
	set_fault("fs.open:EACCES");
	(void)load_refused(place, STATUS_WRONG_KEY);
	set_fault("fs.read:EIO");
	(void)load_refused(place, STATUS_IO);
	set_fault(NULL);
#else
	(void)state;
	skip();
#endif
}

static void test_huge(void **state)
{
	const struct place *place = *state;
	struct buf text = BUF_INIT;

	buf_append_str(&text, KEY_LINE "\n");
	while (text.len <= KEY_FILE_BYTES_MAX)
		buf_append_byte(&text, '\n');
	put_key(place, buf_slice(&text), 0600);
	(void)load_refused(place, STATUS_WRONG_KEY);
	buf_release(&text);
	/* as sparse as it may be, it must not be read */
	assert_int_equal(truncate(place->file, (off_t)1 << 40), 0);
	(void)load_refused(place, STATUS_WRONG_KEY);
}

static void test_malformed(void **state)
{
	const struct place *place = *state;
	static const char *const bad[] = {
		"",
		"\n",
		"garbage\n",
		KEY_LINE "\n\n",
		KEY_LINE "\r\n",
		KEY_LINE " \n",
		KEY_LINE "+\n",
		KEY_LINE "\n" KEY_LINE "\n",
		" " KEY_LINE "\n",
		"\xef\xbb\xbf" KEY_LINE "\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n",
		/* a verifier key, another prefix, an empty name, other fields */
		NAME "+" KEY_HASH "+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\n",
		"PRIVATE-KEY+" NAME "+" KEY_HASH "+" SEED_BASE64 "\n",
		"private+key+" NAME "+" KEY_HASH "+" SEED_BASE64 "\n",
		"PRIVATE+KEY++" KEY_HASH "+" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "++" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "+" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "+" KEY_HASH "+\n",
		/* another name and another hash */
		"PRIVATE+KEY+bob@example.org+" KEY_HASH "+" SEED_BASE64 "\n",
		"PRIVATE+KEY+ann@example.or+" KEY_HASH "+" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "+4bcb78a9+" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "+4BCB78A8+" SEED_BASE64 "\n",
		"PRIVATE+KEY+" NAME "+4bcb78a80+" SEED_BASE64 "\n",
		/* a byte less, a byte more, padding */
		"PRIVATE+KEY+" NAME "+" KEY_HASH "+AZ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn8=\n",
		"PRIVATE+KEY+" NAME "+" KEY_HASH
		"+AZ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9geA==\n",
		"PRIVATE+KEY+" NAME "+" KEY_HASH "+" SEED_BASE64 "====\n",
	};
	struct signer signer = SIGNER_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err;

		put_key(place, slice_str(bad[i]), 0600);
		err = load_refused(place, STATUS_WRONG_KEY);
		assert_non_null(strstr(err.text, place->file));
	}
	put_key(place, slice_of(KEY_LINE "\0\n", sizeof(KEY_LINE) + 1), 0600);
	(void)load_refused(place, STATUS_WRONG_KEY);
	/* a good key, but not the one that the file's name promises */
	put_key(place, slice_str(GO_LINE "\n"), 0600);
	assert_non_null(strstr(load_refused(place, STATUS_WRONG_KEY).text, "another name"));
	put_key(place, slice_str(OTHER_TYPE_LINE "\n"), 0600);
	assert_non_null(strstr(load_refused(place, STATUS_WRONG_KEY).text, "Ed25519"));
	/* a newline that was lost in a copy is the one thing forgiven */
	put_key(place, slice_str(KEY_LINE), 0600);
	assert_int_equal(signer_load(place->keys, NAME, &signer, NULL), STATUS_OK);
	signer_release(&signer);
}

static void test_truncated_and_flipped(void **state)
{
	const struct place *place = *state;
	char line[] = KEY_LINE;
	size_t len = strlen(line);

	for (size_t cut = 0; cut < len; cut++) {
		put_key(place, slice_of(line, cut), 0600);
		(void)load_refused(place, STATUS_WRONG_KEY);
	}
	for (size_t bit = 0; bit < 8 * len; bit++) {
		line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
		put_key(place, slice_of(line, len), 0600);
		(void)load_refused(place, STATUS_WRONG_KEY);
		line[bit / 8] = (char)(line[bit / 8] ^ 1 << bit % 8);
	}
}

/* --- signatures ------------------------------------------------------------------------------- */

static void test_sign_known_answers(void **state)
{
	static const struct {
		const char *seed;
		const char *message;
		const char *signature;
	} known[] = {
		{ SEED_HEX, "",
		  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
		  "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
		{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "\x72",
		  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e"
		  "458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct signer signer = SIGNER_INIT;
		struct slice message = slice_str(known[i].message);
		uint8_t seed[32];
		uint8_t expected[SIGNATURE_BYTES];
		uint8_t signature[SIGNATURE_BYTES];

		from_hex(known[i].seed, seed, sizeof(seed));
		from_hex(known[i].signature, expected, sizeof(expected));
		assert_int_equal(secret_init(&signer.secret_key, 64, NULL), STATUS_OK);
		assert_int_equal(
			crypto_sign_seed_keypair(signer.public_key, signer.secret_key.data, seed),
			0);
		assert_int_equal(signer_sign(&signer, message, signature, NULL), STATUS_OK);
		assert_memory_equal(signature, expected, sizeof(expected));
		assert_true(signature_verify(message, signature, signer.public_key));
		signer_release(&signer);
	}
}

/* A signed leaf over "event bytes", with the pair of the known answers. */
struct leaf {
	struct signer signer;
	struct buf bytes;
	struct slice event;
	uint8_t signature[SIGNATURE_BYTES];
};

static void leaf_make(struct leaf *leaf)
{
	*leaf = (struct leaf){ .signer = make_known_signer(), .bytes = BUF_INIT };
	buf_append_str(&leaf->bytes, "event bytes");
	assert_int_equal(leaf_sign(&leaf->signer, &leaf->bytes, NULL), STATUS_OK);
	assert_int_equal(leaf->bytes.len, strlen("event bytes") + SIGNATURE_BYTES);
	leaf->event = slice_of(leaf->bytes.data, strlen("event bytes"));
	memcpy(leaf->signature, leaf->bytes.data + leaf->event.len, SIGNATURE_BYTES);
}

static void leaf_unmake(struct leaf *leaf)
{
	buf_release(&leaf->bytes);
	signer_release(&leaf->signer);
}

static void test_leaf_domain(void **state)
{
	/* written out, so that the domain cannot change unnoticed */
	static const char signed_bytes[] = "provenv/event/v1\0event bytes";
	struct slice message = slice_of(signed_bytes, sizeof(signed_bytes) - 1);
	static const char without_nul[] = "provenv/event/v1event bytes";
	struct leaf leaf;
	uint8_t signature[SIGNATURE_BYTES];

	(void)state;
	leaf_make(&leaf);
	assert_memory_equal(leaf.bytes.data, "event bytes", leaf.event.len);
	assert_true(leaf_verify(leaf.event, leaf.signature, leaf.signer.public_key));
	assert_true(signature_verify(message, leaf.signature, leaf.signer.public_key));

	/* no signature made for something else is one over an event, nor the other way round */
	assert_false(signature_verify(leaf.event, leaf.signature, leaf.signer.public_key));
	assert_int_equal(signer_sign(&leaf.signer, leaf.event, signature, NULL), STATUS_OK);
	assert_false(leaf_verify(leaf.event, signature, leaf.signer.public_key));
	assert_int_equal(signer_sign(&leaf.signer, slice_str(without_nul), signature, NULL),
			 STATUS_OK);
	assert_false(leaf_verify(leaf.event, signature, leaf.signer.public_key));
	leaf_unmake(&leaf);
}

static void test_leaf_bit_flips(void **state)
{
	struct leaf leaf;
	uint8_t *event;
	uint8_t other[PUBLIC_KEY_BYTES];

	(void)state;
	leaf_make(&leaf);
	event = leaf.bytes.data;
	for (size_t bit = 0; bit < 8 * leaf.event.len; bit++) {
		event[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(leaf_verify(leaf.event, leaf.signature, leaf.signer.public_key));
		event[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(leaf.signature); bit++) {
		leaf.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(leaf_verify(leaf.event, leaf.signature, leaf.signer.public_key));
		leaf.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(other); bit++) {
		memcpy(other, leaf.signer.public_key, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(leaf_verify(leaf.event, leaf.signature, other));
	}
	for (size_t len = 0; len < leaf.event.len; len++)
		assert_false(
			leaf_verify(slice_of(event, len), leaf.signature, leaf.signer.public_key));
	assert_true(leaf_verify(leaf.event, leaf.signature, leaf.signer.public_key));
	leaf_unmake(&leaf);
}

/* S + L verifies as S does, unless S is held to be less than L (RFC 8032 section 5.1.7). */
static void test_malleability(void **state)
{
	uint8_t order[32];
	struct leaf leaf;
	unsigned carry = 0;

	(void)state;
	from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", order, 32);
	leaf_make(&leaf);
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)leaf.signature[32 + i] + order[i];
		leaf.signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	assert_false(leaf_verify(leaf.event, leaf.signature, leaf.signer.public_key));
	leaf_unmake(&leaf);
}

/* With a key of low order, R = S = 0 would be a signature over many messages. */
static void test_low_order_signatures(void **state)
{
	(void)state;
	for (size_t key = 0; key < UNSOUND_COUNT; key++) {
		uint8_t public_key[PUBLIC_KEY_BYTES];
		uint8_t signature[SIGNATURE_BYTES] = { 0 };

		from_hex(unsound_keys[key], public_key, sizeof(public_key));
		for (size_t point = 0; point < UNSOUND_COUNT; point++) {
			from_hex(unsound_keys[point], signature, 32);
			for (uint8_t message = 0; message < 16; message++)
				assert_false(
					leaf_verify(slice_of(&message, 1), signature, public_key));
		}
	}
}

static void test_leaf_sizes(void **state)
{
	struct signer signer = make_known_signer();
	struct error err = ERROR_INIT;
	struct buf leaf = BUF_INIT;
	uint8_t *bytes = calloc(1, LEAF_BYTES_MAX);

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(leaf_sign(&signer, &leaf, NULL), STATUS_OK);
	assert_int_equal(leaf.len, SIGNATURE_BYTES);
	assert_true(leaf_verify(slice_of(NULL, 0), leaf.data, signer.public_key));

	buf_clear(&leaf);
	buf_append(&leaf, bytes, EVENT_BYTES_MAX);
	assert_int_equal(leaf_sign(&signer, &leaf, NULL), STATUS_OK);
	assert_int_equal(leaf.len, LEAF_BYTES_MAX);
	assert_true(leaf_verify(slice_of(leaf.data, EVENT_BYTES_MAX), leaf.data + EVENT_BYTES_MAX,
				signer.public_key));
	assert_false(leaf_verify(slice_of(leaf.data, EVENT_BYTES_MAX + 1),
				 leaf.data + EVENT_BYTES_MAX, signer.public_key));
	assert_false(leaf_verify(slice_of(leaf.data, SIZE_MAX), leaf.data, signer.public_key));

	buf_clear(&leaf);
	buf_append(&leaf, bytes, EVENT_BYTES_MAX + 1);
	assert_int_equal(leaf_sign(&signer, &leaf, &err), STATUS_USAGE);
	assert_int_equal(leaf.len, EVENT_BYTES_MAX + 1);

	leaf.failed = true;
	assert_int_equal(leaf_sign(&signer, &leaf, &err), STATUS_NO_MEMORY);
	buf_release(&leaf);
	free(bytes);
	signer_release(&signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generate_known_answer),
		cmocka_unit_test(test_generate_is_fresh),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_unsound_public_keys),
		cmocka_unit_test_setup_teardown(test_save_known_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_go_example, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_huge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated_and_flipped, setup, teardown),
		cmocka_unit_test(test_sign_known_answers),
		cmocka_unit_test(test_leaf_domain),
		cmocka_unit_test(test_leaf_bit_flips),
		cmocka_unit_test(test_malleability),
		cmocka_unit_test(test_low_order_signatures),
		cmocka_unit_test(test_leaf_sizes),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
