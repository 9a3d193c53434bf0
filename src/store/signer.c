/*
 * Ed25519 keys: key files, key ids, signatures.
 *
 * Invariants: private bytes live only in struct secret and in buffers that are wiped; a signer
 * handed out has a name, public key and key id that belong to its private key. No error text holds
 * anything read from a key file. Which key may sign what is the registry's business, not ours.
 */
#include "store/signer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/text.h"

#include "base/banned.h"

#define KEY_FILE_START  "PRIVATE+KEY+"
#define KEY_FILE_SUFFIX ".key"

enum {
	KEY_TYPE_ED25519 = 0x01, /* C2SP signed-note: the byte before a key of this algorithm */
	TYPED_SEED_BYTES = 1 + crypto_sign_SEEDBYTES,
	DOMAIN_BYTES = sizeof(EVENT_SIGNATURE_DOMAIN), /* its NUL is signed too */
	SHOWN_BYTES_MAX = 64,                          /* of a word that is no name */
};

static_assert(crypto_sign_PUBLICKEYBYTES == PUBLIC_KEY_BYTES, "Ed25519 public keys");
static_assert(crypto_sign_BYTES == SIGNATURE_BYTES, "Ed25519 signatures");
static_assert(crypto_hash_sha256_BYTES == HASH_BYTES, "SHA-256");

/* --- keys ------------------------------------------------------------------------------------- */

static enum status check_name(const char *name, struct error *err)
{
	struct buf shown AUTO(buf_release) = BUF_INIT;
	size_t len = strnlen(name, SHOWN_BYTES_MAX);

	if (text_is_key_name(slice_str(name)))
		return STATUS_OK;
	/* Cut before it is made printable, after which a cut may fall inside a character. */
	text_append_printable(&shown, slice_of(name, len));
	(void)error_set(err, STATUS_USAGE, "\"%s%s\" is not a name for a key", buf_str(&shown),
			name[len] ? "…" : "");
	return error_hint(err, STATUS_USAGE,
			  "use a letter or digit, then at most %d of letters, digits and _ . @ -",
			  KEY_NAME_BYTES_MAX - 1);
}

/* @name is a key name. */
static enum status signer_from_seed(struct slice name, const uint8_t seed[crypto_sign_SEEDBYTES],
				    struct signer *ret, struct error *err)
{
	struct signer signer = SIGNER_INIT;
	enum status status = secret_init(&signer.secret_key, crypto_sign_SECRETKEYBYTES, err);

	if (status)
		return status;
	(void)crypto_sign_seed_keypair(signer.public_key, signer.secret_key.data, seed);
	key_id_of(signer.public_key, signer.key_id);
	assert(name.len < sizeof(signer.name));
	memcpy(signer.name, name.data, name.len);
	*ret = signer;
	return STATUS_OK;
}

enum status signer_generate(const char *name, struct signer *ret, struct error *err)
{
	struct secret seed AUTO(secret_release) = SECRET_INIT;
	enum status status = check_name(name, err);

	if (!status)
		status = secret_init(&seed, crypto_sign_SEEDBYTES, err);
	if (status)
		return status;
	rng_bytes(seed.data, seed.len);
	return signer_from_seed(slice_str(name), seed.data, ret, err);
}

void signer_release(struct signer *signer)
{
	secret_release(&signer->secret_key);
	*signer = (struct signer)SIGNER_INIT;
}

void key_id_of(const uint8_t public_key[PUBLIC_KEY_BYTES], uint8_t ret[KEY_ID_BYTES])
{
	uint8_t digest[HASH_BYTES];

	(void)crypto_hash_sha256(digest, public_key, PUBLIC_KEY_BYTES);
	memcpy(ret, digest, KEY_ID_BYTES);
}

void note_key_hash(struct slice name, const uint8_t public_key[PUBLIC_KEY_BYTES],
		   uint8_t ret[NOTE_KEY_HASH_BYTES])
{
	static const uint8_t separator[] = { '\n', KEY_TYPE_ED25519 };
	crypto_hash_sha256_state state;
	uint8_t digest[HASH_BYTES];

	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, name.data, name.len);
	(void)crypto_hash_sha256_update(&state, separator, sizeof(separator));
	(void)crypto_hash_sha256_update(&state, public_key, PUBLIC_KEY_BYTES);
	(void)crypto_hash_sha256_final(&state, digest);
	memcpy(ret, digest, NOTE_KEY_HASH_BYTES);
}

bool public_key_is_sound(const uint8_t public_key[PUBLIC_KEY_BYTES])
{
	/* Demands a canonical encoding, a point on the curve, and the subgroup of prime order. */
	return crypto_core_ed25519_is_valid_point(public_key) == 1;
}

/* --- key files -------------------------------------------------------------------------------- */

static enum status key_path(const char *dir, const char *name, struct buf *ret, struct error *err)
{
	fs_join(ret, dir, name);
	buf_append_str(ret, KEY_FILE_SUFFIX);
	return buf_status(ret, err);
}

/* The one line of a key file. @ret is wiped by the caller. */
static enum status format_key_file(const struct signer *signer, struct buf *ret, struct error *err)
{
	struct secret seed AUTO(secret_release) = SECRET_INIT;
	uint8_t hash[NOTE_KEY_HASH_BYTES];
	char hex[2 * NOTE_KEY_HASH_BYTES + 1];
	enum status status = secret_init(&seed, TYPED_SEED_BYTES, err);

	if (status)
		return status;
	seed.data[0] = KEY_TYPE_ED25519;
	(void)crypto_sign_ed25519_sk_to_seed(seed.data + 1, signer->secret_key.data);
	note_key_hash(slice_str(signer->name), signer->public_key, hash);
	text_to_hex(hash, sizeof(hash), hex);
	buf_printf(ret, KEY_FILE_START "%s+%s+", signer->name, hex);
	text_to_base64(ret, seed.data, seed.len);
	buf_append_byte(ret, '\n');
	return buf_status(ret, err);
}

enum status signer_save(const struct signer *signer, const char *dir, struct error *err)
{
	struct buf text AUTO(buf_release_wiped) = BUF_INIT;
	struct buf path AUTO(buf_release) = BUF_INIT;
	enum status status;

	assert(signer->secret_key.len == crypto_sign_SECRETKEYBYTES);
	status = key_path(dir, signer->name, &path, err);
	if (!status)
		status = format_key_file(signer, &text, err);
	if (!status)
		status = fs_make_dirs(dir, 0700, err);
	if (!status)
		status = fs_create_durable(buf_str(&path), 0600, buf_slice(&text), err);
	if (status == STATUS_CONFLICT)
		return error_hint(err, status, "choose another name, or use the key that is there");
	return status;
}

/*
 * Open a key file, through a link if it is one: what counts is the file that is read, and
 * check_key_file() judges exactly that one. O_NONBLOCK: a FIFO must not make us wait.
 */
static enum status open_key_file(const char *path, int *ret_fd, struct error *err)
{
	struct error why = ERROR_INIT;
	char *real AUTO_FREE = realpath(path, NULL);
	enum status status;

	if (real)
		status = fs_open(real, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, ret_fd, &why);
	else if (errno == ENOMEM)
		status = error_no_memory(&why);
	else
		status = error_errno(
			&why, errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_IO,
			errno, "cannot open %s", path);
	if (!status)
		return STATUS_OK;
	if (why.sys_errno == EACCES)
		status = error_errno(&why, STATUS_WRONG_KEY, EACCES, "cannot read key file %s",
				     path);
	else if (status == STATUS_NOT_FOUND)
		status = error_hint(&why, status,
				    "restore the file from your backup of the key, or choose "
				    "another key");
	if (err)
		*err = why;
	return status;
}

/* Is the open file one that only its owner, we or root, can read? */
static enum status check_key_file(int fd, const char *path, struct error *err)
{
	struct stat info;

	if (fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
	if (!S_ISREG(info.st_mode))
		return error_set(err, STATUS_WRONG_KEY, "key file %s is not a regular file", path);
	if (info.st_uid != 0 && info.st_uid != geteuid()) {
		(void)error_set(err, STATUS_WRONG_KEY, "key file %s belongs to user %ju", path,
				(uintmax_t)info.st_uid);
		return error_hint(err, STATUS_WRONG_KEY,
				  "a key must belong to who uses it, or to root");
	}
	if (info.st_mode & 077) {
		(void)error_set(err, STATUS_WRONG_KEY,
				"key file %s has mode %04o: others than its owner can use it", path,
				(unsigned)(info.st_mode & 07777));
		return error_hint(err, STATUS_WRONG_KEY, "chmod 600 %s", path);
	}
	return STATUS_OK;
}

static enum status read_key_file(const char *path, struct buf *ret, struct error *err)
{
	int fd AUTO_FD = -1;
	enum status status = open_key_file(path, &fd, err);

	if (!status)
		status = check_key_file(fd, path, err);
	if (status)
		return status;
	status = fs_read_fd(fd, path, KEY_FILE_BYTES_MAX, ret, err);
	if (status == STATUS_USAGE)
		return error_prefix(err, STATUS_WRONG_KEY, "not a key file");
	return status;
}

/* Split @rest after its first '+': what stands before goes to @ret. */
static bool take_field(struct slice *rest, struct slice *ret)
{
	const uint8_t *end = rest->len ? memchr(rest->data, '+', rest->len) : NULL;
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - rest->data);
	*ret = slice_of(rest->data, len);
	*rest = slice_of(end + 1, rest->len - len - 1);
	return true;
}

/* Take the line apart, as far as to know what it claims to be. @seed has TYPED_SEED_BYTES. */
static bool parse_key_file(struct slice line, struct slice *ret_name, struct secret *seed)
{
	static const size_t start_len = sizeof(KEY_FILE_START) - 1;
	struct slice hash;
	size_t seed_len;

	if (line.len < start_len || memcmp(line.data, KEY_FILE_START, start_len) != 0)
		return false;
	line = slice_of(line.data + start_len, line.len - start_len);
	return take_field(&line, ret_name) && take_field(&line, &hash) &&
	       text_is_key_name(*ret_name) &&
	       text_from_base64(line, seed->data, seed->len, &seed_len) && seed_len == seed->len;
}

/* Is @line, without its newline, exactly what we would write for @signer? */
static enum status check_key_line(const struct signer *signer, struct slice line, const char *path,
				  struct error *err)
{
	struct buf text AUTO(buf_release_wiped) = BUF_INIT;
	enum status status = format_key_file(signer, &text, err);

	if (status)
		return status;
	if (text.len - 1 != line.len || sodium_memcmp(text.data, line.data, line.len) != 0)
		return error_set(err, STATUS_WRONG_KEY,
				 "key file %s is damaged: its name, hash and key do not belong "
				 "together",
				 path);
	return STATUS_OK;
}

static enum status malformed(const char *path, struct error *err)
{
	(void)error_set(err, STATUS_WRONG_KEY, "key file %s is malformed", path);
	return error_hint(err, STATUS_WRONG_KEY,
			  "it holds one line PRIVATE+KEY+NAME+HASH+SEED; restore it from your "
			  "backup of the key");
}

/* Make the signer that the file's text describes, if all of it belongs together. The newline may be
 * missing, as it easily gets lost in a copy. */
static enum status signer_from_text(struct slice text, const char *path, const char *name,
				    struct signer *ret, struct error *err)
{
	struct secret seed AUTO(secret_release) = SECRET_INIT;
	struct signer signer AUTO(signer_release) = SIGNER_INIT;
	struct slice name_inside;
	enum status status = secret_init(&seed, TYPED_SEED_BYTES, err);

	if (status)
		return status;
	if (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (!parse_key_file(text, &name_inside, &seed))
		return malformed(path, err);
	if (seed.data[0] != KEY_TYPE_ED25519)
		return error_set(err, STATUS_WRONG_KEY,
				 "key file %s holds a key that is not of type Ed25519", path);
	if (!slice_equal_str(name_inside, name))
		return error_set(err, STATUS_WRONG_KEY,
				 "key file %s holds a key of another name than %s", path, name);
	status = signer_from_seed(name_inside, seed.data + 1, &signer, err);
	if (!status)
		status = check_key_line(&signer, text, path, err);
	if (status)
		return status;
	*ret = signer;
	signer = (struct signer)SIGNER_INIT;
	return STATUS_OK;
}

enum status signer_load(const char *dir, const char *name, struct signer *ret, struct error *err)
{
	struct buf text AUTO(buf_release_wiped) = BUF_INIT;
	struct buf path AUTO(buf_release) = BUF_INIT;
	enum status status = check_name(name, err); /* so that it cannot lead out of DIR */

	if (!status)
		status = key_path(dir, name, &path, err);
	if (!status)
		status = read_key_file(buf_str(&path), &text, err);
	if (!status)
		status = signer_from_text(buf_slice(&text), buf_str(&path), name, ret, err);
	return status;
}

/* --- signatures ------------------------------------------------------------------------------- */

/*
 * What is signed for a leaf. Ed25519 reads its message twice, so it has to lie in one piece;
 * on the stack, because verification is the hot path of an audit.
 */
struct leaf_message {
	size_t len;
	uint8_t bytes[DOMAIN_BYTES + EVENT_BYTES_MAX];
};

static bool leaf_message_set(struct leaf_message *message, struct slice event_bytes)
{
	if (event_bytes.len > EVENT_BYTES_MAX)
		return false;
	memcpy(message->bytes, EVENT_SIGNATURE_DOMAIN, DOMAIN_BYTES);
	if (event_bytes.len)
		memcpy(message->bytes + DOMAIN_BYTES, event_bytes.data, event_bytes.len);
	message->len = DOMAIN_BYTES + event_bytes.len;
	return true;
}

enum status leaf_sign(const struct signer *signer, struct buf *leaf, struct error *err)
{
	struct leaf_message message;
	uint8_t signature[SIGNATURE_BYTES];
	enum status status = buf_status(leaf, err);

	if (status)
		return status;
	if (!leaf_message_set(&message, buf_slice(leaf)))
		return error_set(err, STATUS_USAGE, "an event of %zu bytes is over the limit of %d",
				 leaf->len, EVENT_BYTES_MAX);
	status = signer_sign(signer, slice_of(message.bytes, message.len), signature, err);
	if (status)
		return status;
	buf_append(leaf, signature, sizeof(signature));
	return buf_status(leaf, err);
}

bool leaf_verify(struct slice event_bytes, const uint8_t signature[SIGNATURE_BYTES],
		 const uint8_t public_key[PUBLIC_KEY_BYTES])
{
	struct leaf_message message;

	return leaf_message_set(&message, event_bytes) &&
	       signature_verify(slice_of(message.bytes, message.len), signature, public_key);
}

enum status signer_sign(const struct signer *signer, struct slice message,
			uint8_t ret[SIGNATURE_BYTES], struct error *err)
{
	assert(signer->secret_key.len == crypto_sign_SECRETKEYBYTES);
	if (crypto_sign_detached(ret, NULL, message.data, message.len, signer->secret_key.data))
		return error_set(err, STATUS_WRONG_KEY, "cannot sign with key %s", signer->name);
	return STATUS_OK;
}

bool signature_verify(struct slice message, const uint8_t signature[SIGNATURE_BYTES],
		      const uint8_t public_key[PUBLIC_KEY_BYTES])
{
	return crypto_sign_verify_detached(signature, message.data, message.len, public_key) == 0;
}
