/*
 * Writing: what is refused and in which order, and what other writers may do between the two plans.
 */
#include "ops/commit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "store/evlog.h"
#include "unit/ops/commit_fixture.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

static const uint64_t year_ms = UINT64_C(365) * 24 * 3600 * 1000;

static const char *const production[] = { "production" };

static void confirm_production(struct ops_fixture *fixture)
{
	fixture->options.reason = "because";
	fixture->options.confirmed = production;
	fixture->options.confirmed_count = 1;
}

/* --- policy ----------------------------------------------------------------------------------- */

static void protected_wants_reason_and_confirmation(void **state)
{
	static const char *const wrong[] = { "testing", "productio" };
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);

	fixture->options.environment = "production";
	set_refused(fixture, STATUS_UNCONFIRMED, "a reason is needed");
	fixture->options.confirmed = production;
	fixture->options.confirmed_count = 1;
	set_refused(fixture, STATUS_UNCONFIRMED, "-m REASON");
	fixture->options.reason = "because";
	fixture->options.confirmed = wrong;
	fixture->options.confirmed_count = 2;
	set_refused(fixture, STATUS_UNCONFIRMED, "--confirm=production");
	assert_int_equal(ops_head(fixture), head);
	confirm_production(fixture);
	(void)ops_set(fixture, "A", "1");
	assert_int_equal(ops_head(fixture), head + 1);
}

struct asked {
	const char *says;
	unsigned times;
};

static bool answer(void *context, const char *question, const char *expected)
{
	struct asked *asked = context;

	asked->times++;
	assert_non_null(strstr(question, "production"));
	return strcmp(asked->says, expected) == 0;
}

static void a_person_is_asked_once(void **state)
{
	struct ops_fixture *fixture = *state;
	struct asked asked = { .says = "no" };

	fixture->options.environment = "production";
	fixture->options.reason = "because";
	fixture->options.ask = answer;
	fixture->options.ask_context = &asked;
	set_refused(fixture, STATUS_UNCONFIRMED, "not confirmed");
	assert_int_equal(asked.times, 1);
	asked.says = "production";
	(void)ops_set(fixture, "A", "1");
	assert_int_equal(asked.times, 2);
}

/* Taking the protection away is itself a change of what is protected. */
static void protection_guards_itself(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args args = { .name = slice_str("production") };

	ops_refused(fixture, decide_environment_protect, &args, STATUS_UNCONFIRMED, "protected");
	confirm_production(fixture);
	(void)ops_do(fixture, decide_environment_protect, &args);
	fixture->options.confirmed_count = 0;
	fixture->options.environment = "production";
	(void)ops_set(fixture, "A", "1");
}

static void a_dry_run_changes_nothing(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	struct session session;
	struct outcome outcome;
	struct ops_set set;

	fixture->options.environment = "production";
	fixture->options.dry_run = true;
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(
		commit(&session, decide_set, ops_set_args(&set, "A", "1", NULL), &outcome, NULL),
		STATUS_OK);
	assert_true(outcome.planned);
	assert_false(outcome.unchanged);
	assert_int_equal(outcome.change_count, 1);
	assert_true(slice_equal_str(outcome.changes[0].after, "1"));
	assert_true(slice_equal_str(outcome.environment, "production"));
	assert_int_equal(outcome.last_seq, 0);
	session_close(&session);
	assert_int_equal(ops_head(fixture), head);

	/* A lock and the log's head are judged all the same. */
	fixture->options.if_head =
		"0000000000000000000000000000000000000000000000000000000000000000";
	set_refused(fixture, STATUS_CONFLICT, "the log moved");
	fixture->options.if_head = NULL;
	fixture->options.dry_run = false;
	confirm_production(fixture);
	lock(fixture, "production", 0);
	fixture->options.dry_run = true;
	set_refused(fixture, STATUS_DENIED, "is locked");
}

static void nothing_to_do_makes_no_event(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome outcome;
	uint64_t head;

	(void)ops_set(fixture, "A", "1");
	head = ops_head(fixture);
	outcome = ops_set(fixture, "A", "1");
	assert_true(outcome.unchanged);
	assert_int_equal(outcome.change_count, 0);
	assert_int_equal(outcome.last_seq, 0);
	assert_true(ops_env(fixture, decide_environment_switch, "development").unchanged);
	/* Not even in a protected environment is anything asked for then. */
	assert_true(ops_env(fixture, decide_environment_unlock, "production").unchanged);
	assert_int_equal(ops_head(fixture), head);
}

/* --- locks ------------------------------------------------------------------------------------ */

static void a_lock_says_who_and_when_and_until(void **state)
{
	struct ops_fixture *fixture = *state;
	char since[32], until[32], expected[256];
	uint64_t locked_seq;

	lock(fixture, "testing", 60000);
	locked_seq = ops_head(fixture);
	text_from_time_ms(fixture->clock_ms, since);
	text_from_time_ms(fixture->clock_ms + 60000, until);
	(void)snprintf(expected, sizeof(expected),
		       "environment 'testing' is locked until %s, by op@test at %s (event %llu)",
		       until, since, (unsigned long long)locked_seq);
	(void)ops_set(fixture, "A", "1");
	fixture->options.environment = "testing";
	set_refused(fixture, STATUS_DENIED, expected);
	set_refused(fixture, STATUS_DENIED, "provenv env unlock testing");

	(void)ops_env(fixture, decide_environment_unlock, "testing");
	lock(fixture, "testing", 0);
	text_from_time_ms(fixture->clock_ms, since);
	(void)snprintf(expected, sizeof(expected),
		       "environment 'testing' is locked, by op@test at %s (event %llu)", since,
		       (unsigned long long)ops_head(fixture));
	set_refused(fixture, STATUS_DENIED, expected);
}

static void a_lock_ends_at_its_time(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t until;

	lock(fixture, "development", 3600000);
	until = fixture->clock_ms + 3600000;
	fixture->clock_ms = until - 1001;
	set_refused(fixture, STATUS_DENIED, "is locked until");
	/* At the very millisecond it is over; each session is a second later. */
	fixture->clock_ms = until - 1000;
	(void)ops_set(fixture, "A", "1");
}

static void a_lock_holds_against_all_but_unlock(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args args = { .name = slice_str("testing"),
					 .description = "other words" };

	lock(fixture, "testing", 0);
	ops_refused(fixture, decide_environment_edit, &args, STATUS_DENIED, "is locked");
	ops_refused(fixture, decide_environment_remove, &args, STATUS_DENIED, "is locked");
	ops_refused(fixture, decide_environment_lock, &args, STATUS_DENIED, "is locked");
	/* Others are free. */
	(void)ops_set(fixture, "A", "1");
	(void)ops_env(fixture, decide_environment_unlock, "testing");
	(void)ops_do(fixture, decide_environment_edit, &args);
	ops_assert_no_violations(fixture);
}

/* --- order ------------------------------------------------------------------------------------ */

/* Everything is wrong at once; mended one by one, each refusal gives way to the next. */
static void refuses_in_order(void **state)
{
	struct ops_fixture *fixture = *state;
	struct session_options *options = &fixture->options;
	char hash[2 * HASH_BYTES + 1];
	struct session session;
	uint64_t before;
	uint8_t head[HASH_BYTES];
	struct ops_set set;

	confirm_production(fixture);
	lock(fixture, "production", 0);
	before = ops_head(fixture);
	options->reason = NULL;
	options->confirmed_count = 0;
	options->environment = "production";
	options->command_id = "not-a-uuid";
	options->key_name = "nobody";
	options->if_head = "abc";
	fixture->clock_ms += 3 * year_ms;
	set_refused(fixture, STATUS_USAGE, "--command-id");
	options->command_id = UUID_A;
	set_refused(fixture, STATUS_WRONG_KEY, "nobody");
	options->key_name = NULL;
	ops_refused(fixture, decide_set, ops_set_args(&set, "1A", "1", NULL), STATUS_USAGE, "key");
	set_refused(fixture, STATUS_UNCONFIRMED, "the clock says");
	options->accept_clock = true;
	set_refused(fixture, STATUS_DENIED, "is locked");
	assert_int_equal(ops_head(fixture), before);
	options->if_head = NULL;
	options->reason = "because";
	options->confirmed_count = 1;
	(void)ops_env(fixture, decide_environment_unlock, "production");
	options->if_head = "abc";
	options->command_id = UUID_B;
	options->reason = NULL;
	options->confirmed_count = 0;
	set_refused(fixture, STATUS_UNCONFIRMED, "a reason is needed");
	options->reason = " \t ";
	set_refused(fixture, STATUS_UNCONFIRMED, "a reason is needed");
	options->reason = "because";
	set_refused(fixture, STATUS_UNCONFIRMED, "not confirmed");
	options->confirmed_count = 1;
	set_refused(fixture, STATUS_USAGE, "--if-head");
	options->if_head = "0000000000000000000000000000000000000000000000000000000000000000";
	set_refused(fixture, STATUS_CONFLICT, "the log moved");
	ops_open(fixture, SESSION_LOG, &session);
	assert_int_equal(evlog_leaf_hash(session.log, session.log->size, head, NULL), STATUS_OK);
	session_close(&session);
	text_to_hex(head, HASH_BYTES, hash);
	options->if_head = hash;
	(void)ops_set(fixture, "A", "1");
	assert_int_equal(ops_head(fixture), before + 2);
}

/* --- clock ------------------------------------------------------------------------------------ */

static void clocks_far_off_need_a_word(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t now = fixture->clock_ms;
	struct outcome outcome;

	fixture->clock_ms = now + 3 * year_ms;
	set_refused(fixture, STATUS_UNCONFIRMED, "over two years after the last event");
	set_refused(fixture, STATUS_UNCONFIRMED, "--accept-clock");
	fixture->clock_ms = now + 2 * year_ms;
	(void)ops_set(fixture, "A", "1");
	/* Behind the log, yet after the build: taken, and the log's time does not go back. */
	fixture->clock_ms = now + year_ms;
	outcome = ops_set(fixture, "A", "2");
	assert_true(outcome.time_ms > now + 2 * year_ms);
	fixture->clock_ms = 1000;
	set_refused(fixture, STATUS_UNCONFIRMED, "before this program was built");
	fixture->options.accept_clock = true;
	outcome = ops_set(fixture, "A", "3");
	assert_true(outcome.time_ms > now + 2 * year_ms);
}

/* --- other writers ------------------------------------------------------------------------------
 */

static void plans_anew_after_other_writers(void **state)
{
	struct ops_fixture *fixture = *state;
	struct ops_set set_a, set_b;
	const struct other others_b[] = {
		{ decide_set, ops_set_args(&set_b, "B", "2", NULL), NULL },
		{ NULL, NULL, NULL },
	};
	const struct other others_a[] = {
		{ decide_set, ops_set_args(&set_a, "A", "1", NULL), NULL },
		{ NULL, NULL, NULL },
	};
	struct outcome outcome = { .last_seq = 0 };
	uint64_t head;

	assert_int_equal(race_set(fixture, others_b, &outcome, NULL), STATUS_OK);
	ops_assert_value(fixture, "A", "1");
	ops_assert_value(fixture, "B", "2");
	(void)ops_unset(fixture, "A");
	/* They did the very same: nothing is left to do. */
	head = ops_head(fixture);
	assert_int_equal(race_set(fixture, others_a, &outcome, NULL), STATUS_OK);
	assert_true(outcome.unchanged);
	assert_int_equal(outcome.change_count, 0);
	assert_int_equal(ops_head(fixture), head + 1);
}

static void a_switch_never_redirects_a_write(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args testing = { .name = slice_str("testing") };
	struct environment_args development = { .name = slice_str("development") };
	struct profile_args night = { .name = slice_str("night") };
	const struct other to_testing[] = {
		{ decide_environment_switch, &testing, NULL },
		{ NULL, NULL, NULL },
	};
	const struct other to_development[] = {
		{ decide_environment_switch, &development, NULL },
		{ NULL, NULL, NULL },
	};
	const struct other to_night[] = {
		{ decide_profile_create, &night, NULL },
		{ decide_profile_switch, &night, NULL },
		{ NULL, NULL, NULL },
	};
	struct outcome outcome;

	race_lost(fixture, to_testing, STATUS_CONFLICT, "the active environment became 'testing'");
	ops_assert_value(fixture, "A", NULL);
	race_lost(fixture, to_night, STATUS_CONFLICT, "the active profile became 'night'");
	ops_assert_value(fixture, "A", NULL);
	/* What was named does not depend on what is active. */
	fixture->options.environment = "testing";
	fixture->options.profile = "default";
	assert_int_equal(race_set(fixture, to_development, &outcome, NULL), STATUS_OK);
	ops_assert_value(fixture, "A", "1");
}

static void what_was_named_must_still_be_there(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args testing = { .name = slice_str("testing") };
	struct profile_args night = { .name = slice_str("night") };
	const struct other remove_testing[] = {
		{ decide_environment_remove, &testing, NULL },
		{ NULL, NULL, NULL },
	};
	const struct other remove_night[] = {
		{ decide_profile_remove, &night, NULL },
		{ NULL, NULL, NULL },
	};

	(void)ops_profile(fixture, decide_profile_create, "night");
	fixture->options.profile = "night";
	race_lost(fixture, remove_night, STATUS_NOT_FOUND, "no such profile: 'night'");
	fixture->options.profile = NULL;
	fixture->options.environment = "testing";
	race_lost(fixture, remove_testing, STATUS_NOT_FOUND, "no such env: 'testing'");
	ops_assert_no_violations(fixture);
}

static void policy_that_changed_meanwhile_holds(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args testing = { .name = slice_str("testing"), .is_protected = true };
	struct environment_args development = { .name = slice_str("development") };
	const struct other protect[] = {
		{ decide_environment_protect, &testing, NULL },
		{ NULL, NULL, NULL },
	};
	const struct other locks[] = {
		{ decide_environment_lock, &development, NULL },
		{ NULL, NULL, NULL },
	};

	race_lost(fixture, locks, STATUS_DENIED, "'development' is locked");
	fixture->options.environment = "testing";
	fixture->options.reason = "because";
	race_lost(fixture, protect, STATUS_CONFLICT, "became protected meanwhile");
	ops_assert_value(fixture, "A", NULL);
}

static void if_head_is_judged_under_the_lock(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome outcome = ops_set(fixture, "C", "3");
	struct ops_set set;
	const struct other others[] = {
		{ decide_set, ops_set_args(&set, "B", "2", NULL), NULL },
		{ NULL, NULL, NULL },
	};
	char hash[2 * HASH_BYTES + 1];

	text_to_hex(outcome.hash, HASH_BYTES, hash);
	fixture->options.if_head = hash;
	race_lost(fixture, others, STATUS_CONFLICT, "the log moved");
	fixture->options.if_head = NULL;
	ops_assert_value(fixture, "A", NULL);
	ops_assert_value(fixture, "B", "2");
	outcome = ops_set(fixture, "C", "4");
	text_to_hex(outcome.hash, HASH_BYTES, hash);
	fixture->options.if_head = hash;
	(void)ops_set(fixture, "A", "1");
	set_refused(fixture, STATUS_CONFLICT, "the log moved");
}

/* A plan made from the past is made again from the present, though nobody wrote since. */
static void a_plan_from_the_past_is_not_appended(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head;

	(void)ops_set(fixture, "A", "1");
	head = ops_head(fixture);
	fixture->options.at = "HEAD~1";
	assert_true(ops_set(fixture, "A", "1").unchanged);
	assert_int_equal(ops_head(fixture), head);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(protected_wants_reason_and_confirmation),
		TEST(a_person_is_asked_once),
		TEST(protection_guards_itself),
		TEST(a_dry_run_changes_nothing),
		TEST(nothing_to_do_makes_no_event),
		TEST(a_lock_says_who_and_when_and_until),
		TEST(a_lock_ends_at_its_time),
		TEST(a_lock_holds_against_all_but_unlock),
		TEST(refuses_in_order),
		TEST(clocks_far_off_need_a_word),
		TEST(plans_anew_after_other_writers),
		TEST(a_switch_never_redirects_a_write),
		TEST(what_was_named_must_still_be_there),
		TEST(policy_that_changed_meanwhile_holds),
		TEST(if_head_is_judged_under_the_lock),
		TEST(a_plan_from_the_past_is_not_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
