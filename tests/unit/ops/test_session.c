/*
 * Opening: REFs, the choice of environment and profile, names that are nearly right, keys.
 */
#include "base/fs.h"
#include "base/limits.h"
#include "ops/commit.h"
#include "ops/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "store/paths.h"
#include "store/signer.h"
#include "unit/base/scratch.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

/* --- REFs ------------------------------------------------------------------------------------- */

static uint64_t resolve(struct session *session, const char *text)
{
	struct ref_point point = { .seq = 0 };
	struct error err = ERROR_INIT;

	if (session_ref(session, text, &point, &err))
		fail_msg("%s: %s", text, err.text);
	return point.seq;
}

static void unresolved(struct session *session, const char *text, enum status expected,
		       const char *words)
{
	struct ref_point point = { .seq = 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(session_ref(session, text, &point, &err), expected);
	if (!strstr(err.text, words))
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(point.seq, 77);
}

static void counts_back_by_commands(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t made = ops_head(fixture);
	struct session session;
	char text[32];

	assert_true(made > 1); /* init is one command of several events */
	(void)ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "A", "2");
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(resolve(&session, "HEAD"), made + 2);
	assert_int_equal(resolve(&session, "HEAD~0"), made + 2);
	assert_int_equal(resolve(&session, "HEAD~1"), made + 1);
	assert_int_equal(resolve(&session, "HEAD~2"), made);
	assert_int_equal(session.told_count, 0);
	unresolved(&session, "HEAD~3", STATUS_NOT_FOUND, "3");
	unresolved(&session, "0", STATUS_NOT_FOUND, "1..");
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)made + 3);
	unresolved(&session, text, STATUS_NOT_FOUND, "1..");
	assert_int_equal(resolve(&session, "HEAD~"), made + 1);
	unresolved(&session, "HEAD~x", STATUS_USAGE, "HEAD~x");
	unresolved(&session, "", STATUS_USAGE, "empty");
	unresolved(&session, "@yesterday", STATUS_USAGE, "yesterday");
	session_close(&session);
}

/* What the session counts from is what it saw when it opened, however far the log got since. */
static void counts_from_where_it_opened(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t made = ops_head(fixture);
	struct session session;

	(void)ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "A", "2");
	ops_open(fixture, SESSION_PROFILE, &session);
	session.head = made + 1;
	assert_int_equal(resolve(&session, "HEAD"), made + 1);
	assert_int_equal(resolve(&session, "HEAD~1"), made);
	unresolved(&session, "HEAD~2", STATUS_NOT_FOUND, "the log held 2 commands");
	assert_int_equal(resolve(&session, "@-0s"), made + 1);
	session_close(&session);
}

/* An event inside a command means the command's end, and the session says so. */
static void tells_where_it_moved_to(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t made = ops_head(fixture);
	struct session session;

	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(resolve(&session, "2"), made);
	assert_int_equal(resolve(&session, "2"), made);
	assert_int_equal(session.told_count, 1);
	assert_string_equal(session.told[0].text, "2");
	assert_int_equal(session.told[0].point.seq, made);
	assert_true(session.told[0].point.moved);
	session_close(&session);
}

static void times_are_told(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome first, second;
	struct session session;
	char text[34] = "@";

	first = ops_set(fixture, "A", "1");
	fixture->clock_ms += 3600000;
	second = ops_set(fixture, "A", "2");
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(resolve(&session, "@-10m"), first.last_seq);
	assert_int_equal(resolve(&session, "@-1s"), second.last_seq);
	text_from_time_ms(first.time_ms + 1000, text + 1);
	assert_int_equal(resolve(&session, text), first.last_seq);
	assert_int_equal(session.told_count, 3);
	assert_int_equal(session.told[0].point.time_ms, first.time_ms);
	unresolved(&session, "@1999-01-01", STATUS_NOT_FOUND, "");
	session_close(&session);
}

/* No more than there is room for; the fifth resolves all the same. */
static void tells_no_more_than_fits(void **state)
{
	static const char *const refs[] = { "@-1s", "@-2s", "@-3s", "@-4s", "@-5s" };
	struct ops_fixture *fixture = *state;
	uint64_t made = ops_head(fixture);
	struct session session;

	fixture->clock_ms += 60000;
	ops_open(fixture, SESSION_PROFILE, &session);
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++)
		assert_int_equal(resolve(&session, refs[i]), made);
	assert_int_equal(session.told_count, REFS_TOLD_MAX);
	session_close(&session);
}

static void at_shows_the_past(void **state)
{
	struct ops_fixture *fixture = *state;
	struct session session;

	(void)ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "A", "2");
	fixture->options.at = "HEAD~1";
	ops_assert_value(fixture, "A", "1");
	fixture->options.at = "HEAD~2";
	ops_assert_value(fixture, "A", NULL);
	fixture->options.at = "999";
	assert_int_equal(ops_try_open(fixture, SESSION_PROFILE, &session, NULL), STATUS_NOT_FOUND);
	session_close(&session);
}

/* --- choosing --------------------------------------------------------------------------------- */

static void assert_chosen(struct ops_fixture *fixture, const char *environment, const char *profile)
{
	struct session session;

	ops_open(fixture, SESSION_PROFILE, &session);
	assert_true(slice_equal_str(session.environment, environment));
	assert_true(slice_equal_str(session.profile, profile));
	session_close(&session);
}

static void chooses_named_or_active(void **state)
{
	struct ops_fixture *fixture = *state;

	assert_chosen(fixture, "development", "default");
	fixture->options.environment = "testing";
	(void)ops_profile(fixture, decide_profile_create, "night");
	assert_chosen(fixture, "testing", "default");
	fixture->options.profile = "night";
	assert_chosen(fixture, "testing", "night");
	(void)ops_profile(fixture, decide_profile_switch, "night");
	fixture->options.profile = NULL;
	assert_chosen(fixture, "testing", "night");
	fixture->options.environment = NULL;
	assert_chosen(fixture, "development", "default");
	(void)ops_env(fixture, decide_environment_switch, "testing");
	assert_chosen(fixture, "testing", "night");
	fixture->options.profile = "default";
	assert_chosen(fixture, "testing", "default");
	/* With --at, what was active then. */
	fixture->options.profile = NULL;
	fixture->options.at = "HEAD~1";
	assert_chosen(fixture, "development", "default");
}

static void assert_unopened(struct ops_fixture *fixture, const char *text, const char *hint)
{
	struct error err = ERROR_INIT;
	struct session session;

	assert_int_equal(ops_try_open(fixture, SESSION_PROFILE, &session, &err), STATUS_NOT_FOUND);
	session_close(&session);
	if (!strstr(err.text, text) || strcmp(err.hint, hint) != 0)
		fail_msg("%s / %s", err.text, err.hint);
}

static void suggests_the_nearest_name(void **state)
{
	struct ops_fixture *fixture = *state;

	fixture->options.environment = "prodution";
	assert_unopened(fixture, "no such env: 'prodution'", "did you mean 'production'?");
	fixture->options.environment = "zzzzzzzzzzzz";
	assert_unopened(fixture, "zzzz", "list them: provenv env ls");
	fixture->options.environment = "esc\x1b[31m";
	assert_unopened(fixture, "no such env: 'esc\\", "list them: provenv env ls");
	fixture->options.environment = NULL;
	fixture->options.profile = "defualt";
	assert_unopened(fixture, "no such profile: 'defualt'", "did you mean 'default'?");
	fixture->options.profile = "qqqqqqqqqqqq";
	assert_unopened(fixture, "qqqq", "list them: provenv profile ls");
}

/* --- keys and stores -------------------------------------------------------------------------- */

static enum status load_signer(struct ops_fixture *fixture, struct error *err)
{
	struct session session;
	enum status status;

	ops_open(fixture, SESSION_LOG, &session);
	status = session_signer(&session, err);
	if (!status)
		assert_string_equal(session.signer.name, "op@test");
	session_close(&session);
	return status;
}

static void takes_a_key_that_is_enrolled(void **state)
{
	struct ops_fixture *fixture = *state;
	struct signer other = SIGNER_INIT;
	struct error err = ERROR_INIT;
	char keys[SCRATCH_PATH_MAX + 32], path[SCRATCH_PATH_MAX + 64];

	(void)snprintf(keys, sizeof(keys), "%s/provenv/keys", fixture->dir);
	assert_int_equal(load_signer(fixture, &err), STATUS_OK);
	assert_string_equal(err.text, ""); /* that the key of the default name is not there */
	fixture->options.key_name = "op@test";
	assert_int_equal(load_signer(fixture, NULL), STATUS_OK);

	fixture->options.key_name = "nobody@test";
	assert_int_equal(load_signer(fixture, &err), STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "no signing key 'nobody@test'"));

	assert_int_equal(signer_generate("other@test", &other, NULL), STATUS_OK);
	assert_int_equal(signer_save(&other, keys, NULL), STATUS_OK);
	signer_release(&other);
	fixture->options.key_name = "other@test";
	assert_int_equal(load_signer(fixture, &err), STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "not enrolled"));

	/* The user's own key, of the default name, but unknown to this store: another that is. */
	fixture->options.key_name = NULL;
	{
		char own[KEY_NAME_BYTES_MAX + 1];

		paths_default_key_name(own);
		assert_int_equal(signer_generate(own, &other, NULL), STATUS_OK);
		assert_int_equal(signer_save(&other, keys, NULL), STATUS_OK);
		signer_release(&other);
	}
	assert_int_equal(load_signer(fixture, NULL), STATUS_OK);

	(void)snprintf(path, sizeof(path), "%s/op@test.key", keys);
	assert_int_equal(fs_remove(path, NULL), STATUS_OK);
	assert_int_equal(load_signer(fixture, &err), STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "no signing key"));
}

static void names_who_signed(void **state)
{
	struct ops_fixture *fixture = *state;
	struct event event = { .key_id = { 0xab, 0xcd } };
	const struct read_event *first;
	struct session session;

	ops_open(fixture, SESSION_LOG, &session);
	assert_int_equal(session_event(&session, 1, &first, NULL), STATUS_OK);
	assert_true(slice_equal_str(session_actor(&session, &first->decoded.event), "op@test"));
	assert_true(slice_equal_str(session_actor(&session, &event), "abcd000000000000"));
	assert_int_equal(session_event(&session, session.log->size + 1, &first, NULL),
			 STATUS_NOT_FOUND);
	session_close(&session);
}

static void says_where_no_store_is(void **state)
{
	struct ops_fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct session session;

	fixture->options.store_dir = fixture->dir;
	assert_int_equal(ops_try_open(fixture, SESSION_LOG, &session, &err), STATUS_NO_STORE);
	assert_non_null(strstr(err.text, fixture->dir));
	session_close(&session);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(counts_back_by_commands),      TEST(counts_from_where_it_opened),
		TEST(tells_where_it_moved_to),      TEST(times_are_told),
		TEST(tells_no_more_than_fits),      TEST(at_shows_the_past),
		TEST(chooses_named_or_active),      TEST(suggests_the_nearest_name),
		TEST(takes_a_key_that_is_enrolled), TEST(names_who_signed),
		TEST(says_where_no_store_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
