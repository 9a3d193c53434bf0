/*
 * Where things are: which store is found, where a new one goes, and names made of the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/paths.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

/* One thread only: the environment may be changed. */
static void set(const char *name, const char *value)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* A scratch directory that is the working directory too, and nothing known of a user. */
static int setup(void **state)
{
	char *real;

	if (scratch_setup(state))
		return -1;
	real = realpath(*state, NULL);
	free(*state);
	*state = real;
	set("PROVENV_STORE", NULL);
	set("XDG_DATA_HOME", NULL);
	set("XDG_CONFIG_HOME", NULL);
	set("XDG_STATE_HOME", NULL);
	set("HOME", NULL);
	return real ? chdir(real) : -1;
}

static int teardown(void **state)
{
	return chdir("/") ? -1 : scratch_teardown(state);
}

/* Make "<scratch>/<name>" look like a store; returns its path. */
static const char *make_store(void **state, const char *name, char ret[SCRATCH_PATH_MAX])
{
	char path[SCRATCH_PATH_MAX + 16];

	(void)scratch_path(state, name, ret);
	(void)snprintf(path, sizeof(path), "%s/log", ret);
	assert_int_equal(fs_make_dirs(path, 0700, NULL), STATUS_OK);
	(void)snprintf(path, sizeof(path), "%s/log/data.mdb", ret);
	assert_int_equal(fs_write_durable(path, 0600, slice_str("x"), NULL), STATUS_OK);
	return ret;
}

static void enter(void **state, const char *name)
{
	char path[SCRATCH_PATH_MAX];

	(void)scratch_path(state, name, path);
	assert_int_equal(fs_make_dirs(path, 0700, NULL), STATUS_OK);
	assert_int_equal(chdir(path), 0);
}

static void assert_found(const char *explicit_dir, const char *expected)
{
	struct buf found AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(paths_find_store(explicit_dir, &found, &err), STATUS_OK);
	assert_string_equal(buf_str(&found), expected);
}

static void assert_none(const char *explicit_dir, const char *text, const char *hint)
{
	struct buf found AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(paths_find_store(explicit_dir, &found, &err), STATUS_NO_STORE);
	assert_int_equal(found.len, 0);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.hint, hint));
}

static void a_store_named_is_the_one(void **state)
{
	char a[SCRATCH_PATH_MAX];
	char b[SCRATCH_PATH_MAX];

	make_store(state, "a", a);
	make_store(state, "b", b);
	set("PROVENV_STORE", b);
	assert_found(a, a);
	assert_found("a", "a");
	assert_found(NULL, b);
	set("PROVENV_STORE", "b");
	assert_found(NULL, "b");
}

/* Who names a store means that one: nothing else is taken in its place. */
static void a_store_named_that_is_none_is_refused(void **state)
{
	char path[SCRATCH_PATH_MAX];

	make_store(state, ".provenv", path);
	assert_found(NULL, path);
	assert_none("gone", "gone (named by --store)", "provenv --store gone init");
	set("PROVENV_STORE", "gone");
	assert_none(NULL, "gone (named by $PROVENV_STORE)", "provenv --store gone init");
	set("PROVENV_STORE", "");
	assert_found(NULL, path);
}

static void the_nearest_store_upward_is_found(void **state)
{
	char near[SCRATCH_PATH_MAX];
	char far[SCRATCH_PATH_MAX];
	char path[SCRATCH_PATH_MAX];

	make_store(state, ".provenv", far);
	make_store(state, "a/.provenv", near);
	enter(state, "a/b/c");
	assert_found(NULL, near);
	/* A directory of that name that is no store is passed over. */
	assert_int_equal(fs_make_dirs(scratch_path(state, "a/b/.provenv", path), 0700, NULL),
			 STATUS_OK);
	assert_found(NULL, near);
	assert_int_equal(chdir(*state), 0);
	assert_found(NULL, far);
	/* From within a store, too: it lies in its own parent. */
	enter(state, ".provenv/log");
	assert_found(NULL, far);
}

static void the_default_store_comes_last(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char data[SCRATCH_PATH_MAX];

	make_store(state, "data/provenv/default", path);
	assert_none(NULL, "there is no store here", "provenv init");
	set("XDG_DATA_HOME", scratch_path(state, "data", data));
	assert_found(NULL, path);
	make_store(state, "home/.local/share/provenv/default", path);
	set("XDG_DATA_HOME", "relative");
	set("HOME", scratch_path(state, "home", data));
	assert_found(NULL, path);
	make_store(state, ".provenv", path);
	assert_found(NULL, path);
}

static void a_working_directory_that_is_gone_does_no_harm(void **state)
{
	char path[SCRATCH_PATH_MAX];

	enter(state, "gone");
	assert_int_equal(rmdir(scratch_path(state, "gone", path)), 0);
	assert_none(NULL, "there is no store here", "provenv init");
}

static void assert_new(const char *explicit_dir, bool global, const char *expected)
{
	struct buf path AUTO(buf_release) = BUF_INIT;

	assert_int_equal(paths_new_store(explicit_dir, global, &path, NULL), STATUS_OK);
	assert_string_equal(buf_str(&path), expected);
}

static void a_new_store_goes_where_it_is_told(void **state)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_new(NULL, false, "./.provenv");
	assert_int_equal(paths_new_store(NULL, true, &path, &err), STATUS_IO);
	assert_int_equal(path.len, 0);
	assert_non_null(strstr(err.text, "XDG_DATA_HOME"));
	set("HOME", "/home/u");
	assert_new(NULL, true, "/home/u/.local/share/provenv/default");
	set("XDG_DATA_HOME", "/data");
	assert_new(NULL, true, "/data/provenv/default");
	set("PROVENV_STORE", "/named");
	assert_new(NULL, false, "/named");
	assert_new(NULL, true, "/data/provenv/default");
	assert_new("given", false, "given");
	assert_new("given", true, "given");
}

static void keys_lie_in_the_config_home(void **state)
{
	struct buf path AUTO(buf_release) = BUF_INIT;

	(void)state;
	assert_int_equal(paths_keys_dir(&path, NULL), STATUS_IO);
	set("HOME", "/home/u/");
	assert_int_equal(paths_keys_dir(&path, NULL), STATUS_OK);
	assert_string_equal(buf_str(&path), "/home/u/.config/provenv/keys");
	buf_clear(&path);
	set("XDG_CONFIG_HOME", "/config");
	assert_int_equal(paths_keys_dir(&path, NULL), STATUS_OK);
	assert_string_equal(buf_str(&path), "/config/provenv/keys");
}

static void a_checkpoint_is_named_by_log_and_place(void **state)
{
	static const uint8_t log_id[LOG_ID_BYTES] = { 0xab, 0xcd };
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf other AUTO(buf_release) = BUF_INIT;
	char dir[SCRATCH_PATH_MAX];
	char link[SCRATCH_PATH_MAX];

	set("XDG_STATE_HOME", "/state");
	/* The hash is b2sum -l 256 of the path, cut to 8 bytes. */
	assert_int_equal(paths_user_checkpoint(log_id, "/", &path, NULL), STATUS_OK);
	assert_string_equal(buf_str(&path), "/state/provenv/abcd0000000000000000000000000000-"
					    "d5fe575833416d53.checkpoint");
	/* By whatever name a store is reached, it is one place. */
	make_store(state, "a", dir);
	assert_int_equal(symlink(dir, scratch_path(state, "b", link)), 0);
	buf_clear(&path);
	assert_int_equal(paths_user_checkpoint(log_id, "a", &path, NULL), STATUS_OK);
	assert_int_equal(paths_user_checkpoint(log_id, link, &other, NULL), STATUS_OK);
	assert_string_equal(buf_str(&path), buf_str(&other));
	assert_int_equal(paths_user_checkpoint(log_id, "gone", &other, NULL), STATUS_IO);
	assert_string_equal(buf_str(&path), buf_str(&other));
	set("XDG_STATE_HOME", NULL);
	assert_int_equal(paths_user_checkpoint(log_id, "/", &other, NULL), STATUS_IO);
	set("HOME", "/home/u");
	buf_clear(&path);
	assert_int_equal(paths_user_checkpoint(log_id, "/", &path, NULL), STATUS_OK);
	assert_non_null(strstr(buf_str(&path), "/home/u/.local/state/provenv/abcd"));
}

static void assert_user(const char *user, const char *expected)
{
	char name[KEY_NAME_BYTES_MAX + 1];
	char host[256] = "";

	set("USER", user);
	paths_default_key_name(name);
	assert_true(text_is_key_name(slice_str(name)));
	assert_int_equal(strncmp(name, expected, strlen(expected)), 0);
	assert_int_equal(name[strlen(expected)], '@');
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	if (text_is_name(slice_str(host)))
		assert_string_equal(name + strlen(expected) + 1, host);
}

static void a_key_is_named_for_user_and_host(void **state)
{
	char name[KEY_NAME_BYTES_MAX + 1];
	char wide[200];

	(void)state;
	set("LOGNAME", NULL);
	assert_user("alice", "alice");
	assert_user("_svc.a-b_c", "svc.a-b_c");
	assert_user("Alice Smith", "Alice-Smith");
	assert_user("m\xc3\xbc"
		    "ller",
		    "m--ller");
	assert_user("a@b", "a-b");
	memset(wide, 'w', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	set("USER", wide);
	paths_default_key_name(name);
	assert_true(text_is_key_name(slice_str(name)));
	assert_int_equal(strcspn(name, "@"), 63);
	set("USER", NULL);
	set("LOGNAME", "bob");
	paths_default_key_name(name);
	assert_int_equal(strncmp(name, "bob@", 4), 0);
	/* Nothing in the environment, or nothing of use: who we are, or at least a name. */
	set("LOGNAME", "\xff");
	paths_default_key_name(name);
	assert_true(text_is_key_name(slice_str(name)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_named_is_the_one),
		TEST(a_store_named_that_is_none_is_refused),
		TEST(the_nearest_store_upward_is_found),
		TEST(the_default_store_comes_last),
		TEST(a_working_directory_that_is_gone_does_no_harm),
		TEST(a_new_store_goes_where_it_is_told),
		TEST(keys_lie_in_the_config_home),
		TEST(a_checkpoint_is_named_by_log_and_place),
		TEST(a_key_is_named_for_user_and_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
