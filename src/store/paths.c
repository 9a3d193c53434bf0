/*
 * Where things are.
 *
 * Invariants: nothing is created, nothing is opened; a variable of the environment that is empty
 * counts as unset, and a relative XDG directory is ignored, as the XDG Base Directory Specification
 * says. Must not know what is inside a store beyond the file that makes it one.
 */
#include "store/paths.h"

#include <assert.h>
#include <errno.h>
#include <pwd.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"

#include "base/banned.h"

enum {
	PATH_HASH_BYTES = 8,
	USER_BYTES_MAX = 63,
	HOST_BYTES_MAX = 63,
	PASSWD_BYTES = 4096,
};

static_assert(USER_BYTES_MAX + 1 + HOST_BYTES_MAX <= KEY_NAME_BYTES_MAX, "USER@HOST is a key name");

#define STORE_DIR_NAME ".provenv"
#define STORE_MARK     "log/data.mdb"

/* A variable of the environment, or NULL when it is unset or empty. */
static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

/*
 * Append "$<variable>/<below>", or "$HOME/<fallback>/<below>" when the variable is of no use.
 * IO when neither is known.
 */
static enum status xdg_path(struct buf *ret, const char *variable, const char *fallback,
			    const char *below, struct error *err)
{
	struct buf base AUTO(buf_release) = BUF_INIT;
	const char *xdg = environment(variable);
	const char *home = environment("HOME");
	enum status status;

	if (xdg && *xdg == '/') {
		buf_append_str(&base, xdg);
	} else if (home && *home == '/') {
		fs_join(&base, home, fallback);
	} else {
		(void)error_set(err, STATUS_IO, "neither $%s nor $HOME is an absolute path",
				variable);
		return error_hint(err, STATUS_IO, "set HOME");
	}
	status = buf_status(&base, err);
	if (status)
		return status;
	fs_join(ret, buf_str(&base), below);
	return buf_status(ret, err);
}

static enum status default_store(struct buf *ret, struct error *err)
{
	return xdg_path(ret, "XDG_DATA_HOME", ".local/share", "provenv/default", err);
}

/* Without a buffer: memory that ran out must not look like a store that is not there. */
static bool is_store(const char *dir)
{
	char mark[PATH_BYTES_MAX + sizeof("/" STORE_MARK)];
	int len = snprintf(mark, sizeof(mark), "%s/" STORE_MARK, dir);

	return len > 0 && (size_t)len < sizeof(mark) && fs_exists(mark);
}

/* One that was named and may not be looked into counts: whoever opens it says what is wrong. */
static bool may_be_store(const char *dir)
{
	errno = 0;
	return is_store(dir) || errno == EACCES;
}

/* The length of the parent of the absolute path @path of @len bytes: 1 for the root's children. */
static size_t parent_len(const char *path, size_t len)
{
	while (len > 1 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

/*
 * Look for .provenv in the working directory and in each directory above it; true also when memory
 * ran out, which @ret tells. A directory that may not be looked into is passed over, and so is a
 * working directory that has no path, or too long a one.
 */
static bool find_upward(struct buf *ret)
{
	char cwd[PATH_BYTES_MAX];
	size_t len = getcwd(cwd, sizeof(cwd)) && cwd[0] == '/' ? strlen(cwd) : 0;

	while (len > 0) {
		size_t parent = parent_len(cwd, len);

		cwd[len] = '\0';
		buf_clear(ret);
		fs_join(ret, cwd, STORE_DIR_NAME);
		if (ret->failed || is_store(buf_str(ret)))
			return true;
		if (parent == len)
			break;
		len = parent;
	}
	return false;
}

static bool find_default(struct buf *ret)
{
	buf_clear(ret);
	return !default_store(ret, NULL) && (ret->failed || is_store(buf_str(ret)));
}

static enum status no_store_at(struct error *err, const char *dir, const char *named_by)
{
	struct buf below AUTO(buf_release) = BUF_INIT;

	(void)error_set(err, STATUS_NO_STORE, "there is no store at %s (named by %s)", dir,
			named_by);
	fs_join(&below, dir, STORE_DIR_NAME);
	if (!below.failed && is_store(buf_str(&below)))
		return error_hint(err, STATUS_NO_STORE, "did you mean %s?", buf_str(&below));
	return error_hint(err, STATUS_NO_STORE, "make one: provenv --store %s init", dir);
}

enum status paths_find_store(const char *explicit_dir, struct buf *ret, struct error *err)
{
	struct buf found AUTO(buf_release) = BUF_INIT;
	const char *named_by = explicit_dir ? "--store" : "$PROVENV_STORE";
	const char *dir = explicit_dir ? explicit_dir : environment("PROVENV_STORE");

	if (dir) {
		if (!may_be_store(dir))
			return no_store_at(err, dir, named_by);
		buf_append_str(ret, dir);
	} else if (find_upward(&found) || find_default(&found)) {
		if (buf_status(&found, err))
			return STATUS_NO_MEMORY;
		buf_append_slice(ret, buf_slice(&found));
	} else {
		(void)error_set(err, STATUS_NO_STORE,
				"there is no store here, in a directory above, or in the default "
				"place");
		return error_hint(err, STATUS_NO_STORE,
				  "make one here: provenv init; or name one: provenv --store DIR, "
				  "or PROVENV_STORE=DIR");
	}
	return buf_status(ret, err);
}

enum status paths_new_store(const char *explicit_dir, bool global, struct buf *ret,
			    struct error *err)
{
	const char *dir = explicit_dir ? explicit_dir : environment("PROVENV_STORE");

	/* What is said on the command line goes before the environment. */
	if (!explicit_dir && global)
		return default_store(ret, err);
	buf_append_str(ret, dir ? dir : "./" STORE_DIR_NAME);
	return buf_status(ret, err);
}

enum status paths_keys_dir(struct buf *ret, struct error *err)
{
	return xdg_path(ret, "XDG_CONFIG_HOME", ".config", "provenv/keys", err);
}

enum status paths_user_checkpoint(const uint8_t log_id[LOG_ID_BYTES], const char *store_path,
				  struct buf *ret, struct error *err)
{
	static const char suffix[] = ".checkpoint";
	uint8_t hash[HASH_BYTES];
	char log_hex[2 * LOG_ID_BYTES + 1];
	char path_hex[2 * PATH_HASH_BYTES + 1];
	char name[sizeof("provenv/") + sizeof(log_hex) + sizeof(path_hex) + sizeof(suffix)];
	char *real AUTO_FREE = realpath(store_path, NULL);

	if (!real)
		return error_errno(err, STATUS_IO, errno, "cannot find the real path of %s",
				   store_path);
	/* Cut by us: libsodium makes no BLAKE2b shorter than 16 bytes. */
	(void)crypto_generichash(hash, sizeof(hash), (const uint8_t *)real, strlen(real), NULL, 0);
	text_to_hex(log_id, LOG_ID_BYTES, log_hex);
	text_to_hex(hash, PATH_HASH_BYTES, path_hex);
	(void)snprintf(name, sizeof(name), "provenv/%s-%s%s", log_hex, path_hex, suffix);
	return xdg_path(ret, "XDG_STATE_HOME", ".local/state", name, err);
}

/* --- USER@HOST ----------------------------------------------------------------------------------
 */

static void append_char(char *name, size_t len_max, char c)
{
	size_t len = strlen(name);

	if (len < len_max) {
		name[len] = c;
		name[len + 1] = '\0';
	}
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Append what of @text may stand in a key's name, at most @bytes_max bytes of it; the rest becomes
 * dashes, left out at the start. */
static void append_fit(char *name, const char *text, size_t bytes_max)
{
	size_t len_before = strlen(name);

	for (; *text; text++) {
		bool first = strlen(name) == len_before;

		if (is_alnum(*text) || (!first && strchr("_.-", *text)))
			append_char(name, len_before + bytes_max, *text);
		else if (!first)
			append_char(name, len_before + bytes_max, '-');
	}
}

/* The name of the user this process runs as, by the system's list of users. */
static void append_system_user(char *name)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char memory[PASSWD_BYTES];

	if (getpwuid_r(geteuid(), &entry, memory, sizeof(memory), &found) == 0 && found)
		append_fit(name, entry.pw_name, USER_BYTES_MAX);
}

void paths_default_key_name(char ret[KEY_NAME_BYTES_MAX + 1])
{
	const char *user = environment("USER");
	char host[HOST_BYTES_MAX + 2] = "";
	size_t user_len;

	ret[0] = '\0';
	if (!user)
		user = environment("LOGNAME");
	if (user)
		append_fit(ret, user, USER_BYTES_MAX);
	if (ret[0] == '\0')
		append_system_user(ret);
	if (ret[0] == '\0')
		append_fit(ret, "user", USER_BYTES_MAX);
	append_char(ret, KEY_NAME_BYTES_MAX, '@');
	user_len = strlen(ret);
	/* A longer name is cut, and then need not end in a NUL. */
	(void)gethostname(host, sizeof(host) - 1);
	append_fit(ret, host, HOST_BYTES_MAX);
	if (ret[user_len] == '\0')
		append_fit(ret, "localhost", HOST_BYTES_MAX);
}
