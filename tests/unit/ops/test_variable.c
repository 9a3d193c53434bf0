/*
 * Variables: what may be set and what not, defaults, and the words of refusals.
 */
#include "ops/op_variable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/commit.h"
#include "ops/session.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

static int setup(void **state)
{
	return ops_setup_with(
		state,
		"{\"environments\": [{\"name\": \"development\"}],"
		" \"categories\": [{\"name\": \"limits\"}, {\"name\": \"api\"}],"
		" \"variables\": ["
		"  {\"key\": \"PERCENT\", \"category\": \"limits\", \"type\": \"int\", \"max\": 100},"
		"  {\"key\": \"LEVEL\", \"category\": \"limits\", \"enum\": [\"low\", \"high\"],"
		"   \"default\": \"low\"},"
		"  {\"key\": \"CREDENTIAL\", \"category\": \"api\", \"secret\": true}]}");
}

/* set KEY=VALUE, on the command line or hidden. */
static enum status try_set(struct ops_fixture *fixture, const char *key, struct slice value,
			   bool hidden, enum set_kind kind, struct error *err)
{
	AUTO(secret_release) struct secret secret = SECRET_INIT;
	struct assignment assignment = { .key = slice_str(key), .value = value };
	struct set_args args = { &assignment, 1, kind };
	struct outcome outcome;

	if (hidden) {
		assert_int_equal(secret_copy(&secret, value, NULL), STATUS_OK);
		assignment.value = slice_of(NULL, 0);
		assignment.hidden = &secret;
	}
	return ops_try(fixture, decide_set, &args, &outcome, err);
}

static void refused(struct ops_fixture *fixture, const char *key, struct slice value,
		    enum set_kind kind, enum status expected, const char *text)
{
	uint64_t head = ops_head(fixture);
	struct error err = ERROR_INIT;

	for (int hidden = 0; hidden < 2; hidden++) {
		enum status status = try_set(fixture, key, value, hidden, kind, &err);

		assert_int_equal(status, expected);
		if (!strstr(err.text, text) && !strstr(err.hint, text))
			fail_msg("%s / %s", err.text, err.hint);
	}
	assert_int_equal(ops_head(fixture), head);
}

static void keys_and_values_are_checked(void **state)
{
	static const char *const wrong[] = { "", "1A", "A-B", "A B", "A.B", "\xc3\x84" };
	static uint8_t big[VALUE_BYTES_MAX + 1];
	struct ops_fixture *fixture = *state;
	char key[KEY_BYTES_MAX + 2];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(fixture, wrong[i], slice_str("1"), SET_PLAIN, STATUS_USAGE,
			"is not a variable's key");
	memset(key, 'K', sizeof(key));
	key[KEY_BYTES_MAX + 1] = '\0';
	refused(fixture, key, slice_str("1"), SET_PLAIN, STATUS_USAGE, "at most 255");
	key[KEY_BYTES_MAX] = '\0';
	(void)ops_set(fixture, key, "1");

	memset(big, 'x', sizeof(big));
	refused(fixture, "A", slice_of(big, sizeof(big)), SET_PLAIN, STATUS_USAGE, "32769 bytes");
	refused(fixture, "A", slice_of("a\0b", 3), SET_PLAIN, STATUS_USAGE, "without NUL");
	refused(fixture, "A", slice_str("\xff"), SET_PLAIN, STATUS_USAGE, "UTF-8");
	assert_int_equal(
		try_set(fixture, "A", slice_of(big, VALUE_BYTES_MAX), false, SET_PLAIN, NULL),
		STATUS_OK);
	assert_int_equal(try_set(fixture, "A", slice_str(""), false, SET_PLAIN, NULL), STATUS_OK);
	ops_assert_value(fixture, "A", "");
}

static void specifications_are_kept(void **state)
{
	struct ops_fixture *fixture = *state;

	refused(fixture, "PERCENT", slice_str("101"), SET_AS_SPECIFIED, STATUS_INVALID,
		"over the maximum 100");
	refused(fixture, "PERCENT", slice_str("many"), SET_AS_SPECIFIED, STATUS_INVALID, "PERCENT");
	refused(fixture, "LEVEL", slice_str("middle"), SET_AS_SPECIFIED, STATUS_INVALID, "LEVEL");
	assert_int_equal(
		try_set(fixture, "PERCENT", slice_str("100"), false, SET_AS_SPECIFIED, NULL),
		STATUS_OK);
	ops_assert_value(fixture, "PERCENT", "100");
}

/* One refusal refuses all of a command. */
static void a_command_is_all_or_nothing(void **state)
{
	struct ops_fixture *fixture = *state;
	struct assignment assignments[] = {
		{ .key = slice_str("A"), .value = slice_str("1") },
		{ .key = slice_str("PERCENT"), .value = slice_str("101") },
	};
	struct set_args args = { assignments, 2, SET_AS_SPECIFIED };

	ops_refused(fixture, decide_set, &args, STATUS_INVALID, "PERCENT");
	ops_assert_value(fixture, "A", NULL);
	assignments[1] = assignments[0];
	ops_refused(fixture, decide_set, &args, STATUS_USAGE, "'A' is set twice");
	assignments[1].value = slice_str("2");
	ops_refused(fixture, decide_set, &args, STATUS_USAGE, "'A' is set twice");
	assignments[1].key = slice_str("B");
	(void)ops_do(fixture, decide_set, &args);
	ops_assert_value(fixture, "A", "1");
	ops_assert_value(fixture, "B", "2");
	args.count = 0;
	assert_true(ops_do(fixture, decide_set, &args).unchanged);
}

static void unset_needs_what_is_set(void **state)
{
	struct ops_fixture *fixture = *state;
	struct slice keys[] = { slice_str("ALPHA"), slice_str("ALPHB") };
	struct unset_args args = { keys, 2 };

	(void)ops_set(fixture, "ALPHA", "1");
	ops_refused(fixture, decide_unset, &args, STATUS_NOT_FOUND,
		    "'ALPHB' is not set in development/default");
	ops_refused(fixture, decide_unset, &args, STATUS_NOT_FOUND, "did you mean 'ALPHA'?");
	ops_assert_value(fixture, "ALPHA", "1");
	/* A default is not set; there is nothing nearer than itself to suggest. */
	keys[1] = slice_str("LEVEL");
	ops_refused(fixture, decide_unset, &args, STATUS_NOT_FOUND, "list what is set: provenv ls");
	keys[1] = slice_str("A-B");
	ops_refused(fixture, decide_unset, &args, STATUS_USAGE, "'A-B' is not a variable's key");
	/* Twice the same, also in a dry run. */
	keys[1] = keys[0];
	ops_refused(fixture, decide_unset, &args, STATUS_USAGE, "'ALPHA' is changed twice");
	fixture->options.dry_run = true;
	ops_refused(fixture, decide_unset, &args, STATUS_USAGE, "'ALPHA' is changed twice");
	fixture->options.dry_run = false;
	args.count = 1;
	(void)ops_do(fixture, decide_unset, &args);
	ops_assert_value(fixture, "ALPHA", NULL);
}

static void secrets_are_not_taken_by_accident(void **state)
{
	struct ops_fixture *fixture = *state;
	struct error err = ERROR_INIT;

	/* A name that looks secret needs a word, wherever the value comes from. */
	for (int hidden = 0; hidden < 2; hidden++) {
		assert_int_equal(try_set(fixture, "API_TOKEN", slice_str("t0ps3cret"), hidden,
					 SET_AS_SPECIFIED, &err),
				 STATUS_DENIED);
		assert_non_null(strstr(err.text, "looks like a secret"));
		assert_null(strstr(err.text, "t0ps3cret"));
	}
	assert_int_equal(
		try_set(fixture, "API_TOKEN", slice_str("t0ps3cret"), false, SET_SECRET, &err),
		STATUS_DENIED);
	assert_non_null(strstr(err.text, "a command line can be seen"));
	assert_null(strstr(err.text, "t0ps3cret"));
	assert_int_equal(
		try_set(fixture, "API_TOKEN", slice_str("t0ps3cret"), true, SET_SECRET, NULL),
		STATUS_OK);
	/* Once sealed it stays so without a word, and still not from the command line. */
	assert_int_equal(
		try_set(fixture, "API_TOKEN", slice_str("x"), false, SET_AS_SPECIFIED, NULL),
		STATUS_DENIED);
	assert_int_equal(
		try_set(fixture, "API_TOKEN", slice_str("x"), true, SET_AS_SPECIFIED, NULL),
		STATUS_OK);
	ops_assert_value(fixture, "API_TOKEN", "x");
	assert_int_equal(try_set(fixture, "API_TOKEN", slice_str("plain"), false, SET_PLAIN, NULL),
			 STATUS_OK);
	/* Plain before, so plain again needs no word. */
	assert_int_equal(
		try_set(fixture, "API_TOKEN", slice_str("y"), false, SET_AS_SPECIFIED, NULL),
		STATUS_OK);
	/* What its specification calls secret is never plain. */
	assert_int_equal(try_set(fixture, "CREDENTIAL", slice_str("c"), true, SET_PLAIN, &err),
			 STATUS_DENIED);
	assert_non_null(strstr(err.text, "specified as secret"));
	assert_int_equal(
		try_set(fixture, "CREDENTIAL", slice_str("c"), true, SET_AS_SPECIFIED, NULL),
		STATUS_OK);
}

static void reads_values_with_their_origin(void **state)
{
	struct ops_fixture *fixture = *state;
	struct variable_info info = { .seq = 0 }, *infos = NULL;
	struct session session;
	struct outcome outcome;
	struct error err = ERROR_INIT;
	size_t count;

	fixture->options.reason = "because";
	outcome = ops_set(fixture, "A", "1");
	(void)ops_seal(fixture, "CREDENTIAL", "hidden");
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(op_get(&session, slice_str("A"), false, &info, NULL), STATUS_OK);
	assert_int_equal(info.origin, ORIGIN_OWN);
	assert_int_equal(info.seq, outcome.last_seq);
	assert_int_equal(info.time_ms, outcome.time_ms);
	assert_true(slice_equal_str(info.actor, "op@test"));
	assert_true(slice_equal_str(info.reason, "because"));
	assert_int_equal(info.category.len, 0);
	assert_int_equal(op_get(&session, slice_str("LEVEL"), false, &info, NULL), STATUS_OK);
	assert_int_equal(info.origin, ORIGIN_DEFAULT);
	assert_true(slice_equal_str(info.value, "low"));
	assert_true(slice_equal_str(info.category, "limits"));
	assert_int_equal(op_get(&session, slice_str("CREDENTIAL"), false, &info, NULL), STATUS_OK);
	assert_true(info.secret && info.masked);
	assert_int_equal(info.value.len, 0);
	assert_null(info.revealed.data);
	assert_int_equal(op_get(&session, slice_str("PERCENT"), false, &info, &err),
			 STATUS_NOT_FOUND);
	assert_int_equal(op_get(&session, slice_str("LEVELL"), false, &info, &err),
			 STATUS_NOT_FOUND);
	assert_string_equal(err.hint, "did you mean 'LEVEL'?");

	assert_int_equal(op_list(&session, slice_str(""), true, &infos, &count, NULL), STATUS_OK);
	assert_int_equal(count, 3);
	assert_true(slice_equal_str(infos[0].key, "A"));
	assert_true(slice_equal_str(infos[1].key, "CREDENTIAL"));
	assert_true(slice_equal_str(secret_slice(&infos[1].revealed), "hidden"));
	assert_true(slice_equal_str(infos[2].key, "LEVEL"));
	for (size_t i = 0; i < count; i++)
		variable_info_release(&infos[i]);
	assert_int_equal(op_list(&session, slice_str("api"), false, &infos, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(infos[0].masked);
	session_close(&session);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(keys_and_values_are_checked),       TEST(specifications_are_kept),
		TEST(a_command_is_all_or_nothing),       TEST(unset_needs_what_is_set),
		TEST(secrets_are_not_taken_by_accident), TEST(reads_values_with_their_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
