/*
 * Differences between two moments: what is found, in which order, and what counts as the same.
 */
#include "ops/state_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "ops/op_catalogue.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "ops/op_rollback.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

static const struct diff_scope everything = { .only = { NULL, 0 } };

/* From event @before to now. */
static void diff_since(struct session *session, uint64_t before, const struct diff_scope *scope,
		       struct diff *ret)
{
	struct state_view left = session_view_at(session, before);

	assert_int_equal(state_diff(session, &left, &session->view, scope, ret, NULL), STATUS_OK);
}

/* As one word, such as "+ variable development/default A". */
static const char *word(const struct diff_entry *entry, char ret[128])
{
	static const char signs[] = "+-~";
	static const char *const kinds[] = {
		[PLAN_STORE] = "store",
		[PLAN_ACTIVE] = "active",
		[PLAN_ENVIRONMENT] = "environment",
		[PLAN_PROFILE] = "profile",
		[PLAN_VARIABLE] = "variable",
		[PLAN_DATABASE] = "database",
		[PLAN_CATEGORY] = "category",
		[PLAN_SPECIFICATION] = "specification",
	};

	(void)snprintf(ret, 128, "%c %s " SLICE_FMT "/" SLICE_FMT " " SLICE_FMT, signs[entry->op],
		       kinds[entry->kind], SLICE_ARG(entry->environment), SLICE_ARG(entry->profile),
		       SLICE_ARG(entry->key));
	return ret;
}

static void assert_words(const struct diff *diff, const char *const *expected, size_t count)
{
	char text[128];

	for (size_t i = 0; i < diff->count && i < count; i++)
		assert_string_equal(word(&diff->entries[i], text), expected[i]);
	assert_int_equal(diff->count, count);
}

#define ASSERT_WORDS(diff, ...)                                              \
	do {                                                                 \
		static const char *const words[] = { __VA_ARGS__ };          \
		assert_words(diff, words, sizeof(words) / sizeof(words[0])); \
	} while (0)

static void make_history(struct ops_fixture *fixture)
{
	struct category_args category = { .name = slice_str("cat") };
	struct specification_args specification = { .key = slice_str("K"), .type = "int" };
	struct environment_args edit = { .name = slice_str("testing"), .title = "Tests" };

	(void)ops_do(fixture, decide_category_set, &category);
	(void)ops_do(fixture, decide_specification_set, &specification);
	(void)ops_do(fixture, decide_environment_edit, &edit);
	(void)ops_env(fixture, decide_environment_create, "extra");
	fixture->options.environment = "extra";
	(void)ops_set(fixture, "INSIDE", "1");
	fixture->options.environment = NULL;
	(void)ops_profile(fixture, decide_profile_switch, "night");
	(void)ops_profile(fixture, decide_profile_remove, "default");
	(void)ops_unset(fixture, "OLD");
	(void)ops_set(fixture, "B", "2");
	(void)ops_set(fixture, "A", "1");
	(void)ops_env(fixture, decide_environment_switch, "extra");
}

static void finds_every_kind_in_order(void **state)
{
	struct ops_fixture *fixture = *state;
	struct diff_scope scope = { .environment = slice_str("development") };
	struct state_view then;
	struct session session;
	struct diff diff;
	uint64_t before;

	(void)ops_set(fixture, "OLD", "x");
	(void)ops_profile(fixture, decide_profile_create, "night");
	fixture->options.profile = "night";
	(void)ops_set(fixture, "OLD", "y");
	fixture->options.profile = NULL;
	before = ops_head(fixture);
	make_history(fixture);
	ops_open(fixture, SESSION_STATE, &session);
	diff_since(&session, before, &everything, &diff);
	ASSERT_WORDS(&diff, "~ active / environment", "~ active development/ profile",
		     "+ environment extra/ extra", "~ environment testing/ testing",
		     "- profile development/default default", "+ profile extra/default default",
		     "- variable development/default OLD", "+ variable development/night A",
		     "+ variable development/night B", "- variable development/night OLD",
		     "+ variable extra/default INSIDE", "+ category / cat", "+ specification / K");
	diff_since(&session, before, &scope, &diff);
	ASSERT_WORDS(&diff, "~ active development/ profile",
		     "- profile development/default default", "- variable development/default OLD",
		     "+ variable development/night A", "+ variable development/night B",
		     "- variable development/night OLD");
	scope.profile = slice_str("night");
	diff_since(&session, before, &scope, &diff);
	ASSERT_WORDS(&diff, "+ variable development/night A", "+ variable development/night B",
		     "- variable development/night OLD");
	scope.only = slice_str("[AO]*");
	diff_since(&session, before, &scope, &diff);
	ASSERT_WORDS(&diff, "+ variable development/night A", "- variable development/night OLD");
	scope = (struct diff_scope){ .only = slice_str("I*") };
	diff_since(&session, before, &scope, &diff);
	ASSERT_WORDS(&diff, "+ variable extra/default INSIDE");
	/* The other way round. */
	then = session_view_at(&session, before);
	assert_int_equal(state_diff(&session, &session.view, &then, &scope, &diff, NULL),
			 STATUS_OK);
	ASSERT_WORDS(&diff, "- variable extra/default INSIDE");
	session_close(&session);
}

/* What was changed and changed back is no difference; sealed anew it is one, put back it is not. */
static void content_counts_not_the_way(void **state)
{
	struct ops_fixture *fixture = *state;
	struct restore_args restore = { .key = slice_str("S") };
	struct session session;
	struct diff diff;
	uint64_t before;
	char text[32];

	(void)ops_set(fixture, "A", "1");
	(void)ops_seal(fixture, "S", "hidden");
	before = ops_head(fixture);
	(void)ops_set(fixture, "A", "2");
	(void)ops_set(fixture, "A", "1");
	ops_open(fixture, SESSION_STATE, &session);
	diff_since(&session, before, &everything, &diff);
	assert_int_equal(diff.count, 0);
	session_close(&session);

	(void)ops_seal(fixture, "S", "other");
	(void)ops_seal(fixture, "S", "hidden");
	ops_open(fixture, SESSION_STATE, &session);
	diff_since(&session, before, &everything, &diff);
	ASSERT_WORDS(&diff, "~ variable development/default S");
	session_close(&session);

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)before);
	restore.from = text;
	(void)ops_do(fixture, decide_restore, &restore);
	ops_open(fixture, SESSION_STATE, &session);
	diff_since(&session, before, &everything, &diff);
	assert_int_equal(diff.count, 0);
	session_close(&session);

	/* Plain where it was sealed is another thing, though the value is the same. */
	(void)ops_unset(fixture, "S");
	(void)ops_set(fixture, "S", "hidden");
	ops_open(fixture, SESSION_STATE, &session);
	diff_since(&session, before, &everything, &diff);
	ASSERT_WORDS(&diff, "~ variable development/default S");
	session_close(&session);
}

static void compares_two_profiles(void **state)
{
	struct ops_fixture *fixture = *state;
	struct session session;
	struct diff_side left, right;
	struct diff diff;

	(void)ops_set(fixture, "BOTH", "1");
	(void)ops_set(fixture, "DIFFERS", "1");
	(void)ops_set(fixture, "LEFT", "1");
	fixture->options.environment = "testing";
	(void)ops_set(fixture, "BOTH", "1");
	(void)ops_set(fixture, "DIFFERS", "2");
	(void)ops_set(fixture, "RIGHT", "1");
	ops_open(fixture, SESSION_STATE, &session);
	left = (struct diff_side){ &session.view, slice_str("development"), slice_str("default") };
	right = (struct diff_side){ &session.view, slice_str("testing"), slice_str("default") };
	assert_int_equal(profile_diff(&session, &left, &right, slice_str(""), &diff, NULL),
			 STATUS_OK);
	ASSERT_WORDS(&diff, "~ variable testing/default DIFFERS", "- variable testing/default LEFT",
		     "+ variable testing/default RIGHT");
	assert_int_equal(profile_diff(&session, &left, &right, slice_str("R*"), &diff, NULL),
			 STATUS_OK);
	ASSERT_WORDS(&diff, "+ variable testing/default RIGHT");
	session_close(&session);
}

static void describes_without_secrets(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t before = ops_head(fixture);
	struct plan_change *changes = NULL;
	struct state_view then;
	struct session session;
	struct diff diff;

	(void)ops_set(fixture, "A", "plain");
	(void)ops_seal(fixture, "S", "hidden");
	(void)ops_env(fixture, decide_environment_switch, "testing");
	ops_open(fixture, SESSION_STATE, &session);
	then = session_view_at(&session, before);
	diff_since(&session, before, &everything, &diff);
	assert_int_equal(diff_describe(&session, &then, &session.view, &diff, &changes, NULL),
			 STATUS_OK);
	assert_int_equal(diff.count, 3);
	assert_int_equal(changes[0].kind, PLAN_ACTIVE);
	assert_true(slice_equal_str(changes[0].before, "development"));
	assert_true(slice_equal_str(changes[0].after, "testing"));
	assert_true(slice_equal_str(changes[1].key, "A"));
	assert_true(slice_equal_str(changes[1].after, "plain"));
	assert_false(changes[1].after_secret);
	assert_true(slice_equal_str(changes[2].key, "S"));
	assert_int_equal(changes[2].after.len, 0);
	assert_true(changes[2].after_secret);
	assert_false(changes[2].before_secret);
	session_close(&session);
}

/* --- large ------------------------------------------------------------------------------------ */

static struct slice large_key(struct arena *arena, size_t i)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "K%zu", i);
	return arena_copy(arena, slice_str(text));
}

/* As many variables as one command may set, from last to first. */
static enum status decide_large(struct session *session, const void *args, struct plan *plan,
				struct error *err)
{
	enum status status = STATUS_OK;

	(void)args;
	for (size_t i = COMMAND_CHANGES_MAX; i-- > 0 && !status;) {
		struct change change = { .profile = session->profile,
					 .key = large_key(&session->arena, i),
					 .op = CHANGE_SET,
					 .value = slice_str("v") };

		status = plan_variable(plan, session->environment, &change, err);
	}
	return status;
}

static void ten_thousand_are_all_found(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t before = ops_head(fixture);
	struct diff_entry absent = { .kind = PLAN_VARIABLE,
				     .environment = slice_str("development"),
				     .profile = slice_str("default"),
				     .key = slice_str("K") };
	struct diff diff, empty = { .count = 0 };
	struct session session;

	(void)ops_do(fixture, decide_large, NULL);
	ops_open(fixture, SESSION_PROFILE, &session);
	diff_since(&session, before, &everything, &diff);
	assert_int_equal(diff.count, COMMAND_CHANGES_MAX);
	for (size_t i = 0; i < COMMAND_CHANGES_MAX; i++) {
		struct diff_entry like = absent;
		const struct diff_entry *entry;

		like.key = large_key(&session.arena, i);
		entry = diff_find(&diff, &like);
		assert_non_null(entry);
		assert_int_equal(entry->op, PLAN_ADDED);
		assert_true(slice_equal(entry->key, like.key));
		if (i)
			assert_true(slice_compare(diff.entries[i - 1].key, diff.entries[i].key) <
				    0);
		like.profile = slice_str("night");
		assert_null(diff_find(&diff, &like));
	}
	assert_null(diff_find(&diff, &absent));
	absent.key = slice_str("K99999");
	assert_null(diff_find(&diff, &absent));
	absent.key = slice_str("A");
	assert_null(diff_find(&diff, &absent));
	absent.kind = PLAN_DATABASE;
	absent.key = slice_str("K1");
	assert_null(diff_find(&diff, &absent));
	assert_null(diff_find(&empty, &absent));
	session_close(&session);
	/* And taken back, which asks for each of them. */
	(void)ops_do(fixture, decide_rollback, &(struct rollback_args){ .to = "HEAD~1" });
	ops_assert_value(fixture, "K9999", NULL);
	ops_assert_no_violations(fixture);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(finds_every_kind_in_order),  TEST(content_counts_not_the_way),
		TEST(compares_two_profiles),      TEST(describes_without_secrets),
		TEST(ten_thousand_are_all_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
