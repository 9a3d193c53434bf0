/*
 * Differences made by hand, each asked whether it could be carried out.
 */
#include "ops/feasible.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "ops/op_catalogue.h"
#include "ops/op_profile.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "projections/state.h"
#include "store/event.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

enum { ENTRIES_MAX = 4 };

/* A difference in the making. */
struct hand {
	struct session session;
	struct diff_entry entries[ENTRIES_MAX];
	struct diff diff;
	struct slice names[ENTRIES_MAX];
	struct profile profiles[ENTRIES_MAX];
	struct payload specifications[ENTRIES_MAX];
	struct definition definitions[ENTRIES_MAX];
};

static void begin(struct ops_fixture *fixture, struct hand *hand)
{
	memset(hand, 0, sizeof(*hand));
	ops_open(fixture, SESSION_STATE, &hand->session);
	hand->diff.entries = hand->entries;
}

static struct diff_entry *add(struct hand *hand, enum plan_kind kind, enum plan_op op,
			      const char *environment, const char *profile, const char *key)
{
	struct diff_entry *entry = &hand->entries[hand->diff.count++];

	assert_true(hand->diff.count <= ENTRIES_MAX);
	*entry = (struct diff_entry){ .kind = kind,
				      .op = op,
				      .environment = slice_str(environment),
				      .profile = slice_str(profile),
				      .key = slice_str(key) };
	return entry;
}

static void add_environment(struct hand *hand, enum plan_op op, const char *name)
{
	(void)add(hand, PLAN_ENVIRONMENT, op, name, "", name);
}

static void add_profile(struct hand *hand, enum plan_op op, const char *environment,
			const char *name)
{
	struct profile *profile = &hand->profiles[hand->diff.count];
	struct diff_entry *entry = add(hand, PLAN_PROFILE, op, environment, name, name);

	memset(profile, 0, sizeof(*profile));
	if (op != PLAN_REMOVED)
		entry->after = profile;
}

/* In the environment "development". */
static void add_based(struct hand *hand, enum plan_op op, const char *name, const char *base)
{
	add_profile(hand, op, "development", name);
	hand->profiles[hand->diff.count - 1].base = slice_str(base);
}

/* @environment "": of the store. */
static void add_active(struct hand *hand, const char *environment, const char *name)
{
	size_t i = hand->diff.count;

	hand->names[i] = slice_str(name);
	add(hand, PLAN_ACTIVE, PLAN_CHANGED, environment, "",
	    environment[0] ? "profile" : "environment")
		->after = &hand->names[i];
}

static void add_specification(struct hand *hand, enum plan_op op, const char *key,
			      const char *category)
{
	size_t i = hand->diff.count;
	struct diff_entry *entry = add(hand, PLAN_SPECIFICATION, op, "", "", key);

	payload_init(&hand->specifications[i], EVENT_VARIABLE_SPECIFIED);
	payload_str(&hand->specifications[i], FIELD_KEY, key);
	if (category)
		payload_str(&hand->specifications[i], FIELD_CATEGORY, category);
	hand->definitions[i].payload = &hand->specifications[i];
	if (op != PLAN_REMOVED)
		entry->after = &hand->definitions[i];
}

/* The order of struct diff. */
static int compare(const void *left, const void *right)
{
	const struct diff_entry *a = left, *b = right;
	int order = (int)a->kind - (int)b->kind;

	if (!order)
		order = slice_compare(a->environment, b->environment);
	if (!order)
		order = slice_compare(a->profile, b->profile);
	return order ? order : slice_compare(a->key, b->key);
}

/* Ask, and begin anew. */
static void expect(struct hand *hand, enum status expected, const char *text)
{
	struct error err = ERROR_INIT;
	enum status status;

	qsort(hand->entries, hand->diff.count, sizeof(hand->entries[0]), compare);
	status = check_feasible(&hand->session, &hand->diff, &err);
	if (status != expected || !strstr(err.text, text))
		fail_msg("expected %s, '%s'; got %s: %s", status_name(expected), text,
			 status_name(status), err.text);
	hand->diff.count = 0;
}

static void values_need_their_profile(void **state)
{
	struct hand hand;

	begin(*state, &hand);
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "testing", "default", "A");
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_VARIABLE, PLAN_CHANGED, "testing", "night", "A");
	expect(&hand, STATUS_CONFLICT, "the profile 'night' that this needs is gone");
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "gone", "default", "A");
	expect(&hand, STATUS_CONFLICT, "the environment 'gone' that this needs is gone");
	add(&hand, PLAN_DATABASE, PLAN_ADDED, "testing", "night", "settings");
	expect(&hand, STATUS_CONFLICT, "the profile 'night'");
	/* A removal needs nothing. */
	add(&hand, PLAN_VARIABLE, PLAN_REMOVED, "gone", "default", "A");
	expect(&hand, STATUS_OK, "");
	/* What comes along may be relied on; what goes along may not. */
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "testing", "night", "A");
	add_profile(&hand, PLAN_ADDED, "testing", "night");
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "new", "default", "A");
	add_environment(&hand, PLAN_ADDED, "new");
	add_profile(&hand, PLAN_ADDED, "new", "default");
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "testing", "default", "A");
	add_environment(&hand, PLAN_REMOVED, "testing");
	expect(&hand, STATUS_CONFLICT, "the environment 'testing'");
	add(&hand, PLAN_VARIABLE, PLAN_ADDED, "testing", "default", "A");
	add_profile(&hand, PLAN_REMOVED, "testing", "default");
	expect(&hand, STATUS_DENIED, "the profile 'default', the active one");
	add_profile(&hand, PLAN_ADDED, "gone", "default");
	expect(&hand, STATUS_CONFLICT, "the environment 'gone'");
	session_close(&hand.session);
}

static void what_becomes_active_must_be_there(void **state)
{
	struct hand hand;

	begin(*state, &hand);
	add_active(&hand, "", "testing");
	expect(&hand, STATUS_OK, "");
	add_active(&hand, "", "gone");
	expect(&hand, STATUS_CONFLICT, "the environment 'gone'");
	add_environment(&hand, PLAN_ADDED, "gone");
	add_active(&hand, "", "gone");
	expect(&hand, STATUS_OK, "");
	add_active(&hand, "testing", "night");
	expect(&hand, STATUS_CONFLICT, "the profile 'night'");
	add_profile(&hand, PLAN_ADDED, "testing", "night");
	add_active(&hand, "testing", "night");
	expect(&hand, STATUS_OK, "");
	session_close(&hand.session);
}

static void what_is_active_stays(void **state)
{
	struct hand hand;

	(void)ops_profile(*state, decide_profile_create, "night");
	begin(*state, &hand);
	add_environment(&hand, PLAN_REMOVED, "testing");
	expect(&hand, STATUS_OK, "");
	add_environment(&hand, PLAN_REMOVED, "development");
	expect(&hand, STATUS_DENIED, "the environment 'development', the active one");
	add_environment(&hand, PLAN_REMOVED, "development");
	add_active(&hand, "", "testing");
	expect(&hand, STATUS_OK, "");
	add_environment(&hand, PLAN_REMOVED, "testing");
	add_active(&hand, "", "testing");
	expect(&hand, STATUS_CONFLICT, "the environment 'testing' that this needs is gone");

	add_profile(&hand, PLAN_REMOVED, "development", "night");
	expect(&hand, STATUS_OK, "");
	add_profile(&hand, PLAN_REMOVED, "development", "default");
	expect(&hand, STATUS_DENIED, "the profile 'default', the active one");
	add_profile(&hand, PLAN_REMOVED, "development", "default");
	add_active(&hand, "development", "night");
	expect(&hand, STATUS_OK, "");
	/* It goes with its environment. */
	add_environment(&hand, PLAN_REMOVED, "testing");
	add_profile(&hand, PLAN_REMOVED, "testing", "default");
	expect(&hand, STATUS_OK, "");
	session_close(&hand.session);
}

static void categories_in_use_stay(void **state)
{
	struct category_args category = { .name = slice_str("cat") };
	struct specification_args specification = { .key = slice_str("K"),
						    .type = "int",
						    .category = "cat" };
	struct hand hand;

	(void)ops_do(*state, decide_category_set, &category);
	(void)ops_do(*state, decide_specification_set, &specification);
	begin(*state, &hand);
	add(&hand, PLAN_CATEGORY, PLAN_REMOVED, "", "", "other");
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_CATEGORY, PLAN_REMOVED, "", "", "cat");
	expect(&hand, STATUS_DENIED, "the category 'cat', which the specification of 'K' names");
	add(&hand, PLAN_CATEGORY, PLAN_REMOVED, "", "", "cat");
	add_specification(&hand, PLAN_REMOVED, "K", NULL);
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_CATEGORY, PLAN_REMOVED, "", "", "cat");
	add_specification(&hand, PLAN_CHANGED, "K", NULL);
	expect(&hand, STATUS_OK, "");

	add_specification(&hand, PLAN_ADDED, "L", "cat");
	expect(&hand, STATUS_OK, "");
	add_specification(&hand, PLAN_ADDED, "L", "gone");
	expect(&hand, STATUS_CONFLICT, "the category 'gone'");
	add(&hand, PLAN_CATEGORY, PLAN_ADDED, "", "", "gone");
	add_specification(&hand, PLAN_ADDED, "L", "gone");
	expect(&hand, STATUS_OK, "");
	add(&hand, PLAN_CATEGORY, PLAN_REMOVED, "", "", "cat");
	add_specification(&hand, PLAN_REMOVED, "K", NULL);
	add_specification(&hand, PLAN_ADDED, "L", "cat");
	expect(&hand, STATUS_CONFLICT, "the category 'cat'");
	session_close(&hand.session);
}

/* No command gives a profile a base, but an event can: "night" gets "dawn". */
static enum status decide_base(struct session *session, const void *args, struct plan *plan,
			       struct error *err)
{
	struct payload *payload = plan_event(plan, EVENT_PROFILE_CHANGED);

	(void)session;
	(void)args;
	if (!payload)
		return error_no_memory(err);
	payload_str(payload, FIELD_ENVIRONMENT, "development");
	payload_str(payload, FIELD_NAME, "night");
	payload_str(payload, FIELD_BASE, "dawn");
	return STATUS_OK;
}

static void bases_stand_and_form_no_circle(void **state)
{
	struct hand hand;

	(void)ops_profile(*state, decide_profile_create, "dawn");
	(void)ops_profile(*state, decide_profile_create, "night");
	(void)ops_do(*state, decide_base, NULL);
	ops_assert_no_violations(*state);
	begin(*state, &hand);
	add_based(&hand, PLAN_ADDED, "noon", "gone");
	expect(&hand, STATUS_CONFLICT, "the profile 'gone' that this needs is gone");
	add_based(&hand, PLAN_ADDED, "noon", "night");
	expect(&hand, STATUS_OK, "");
	add_based(&hand, PLAN_ADDED, "noon", "noon");
	expect(&hand, STATUS_CONFLICT, "the profile 'noon' would be its own base");
	add_based(&hand, PLAN_CHANGED, "dawn", "night");
	expect(&hand, STATUS_CONFLICT, "the profile 'dawn' would be its own base");
	/* One that leads into a circle of others ends as well. */
	add_based(&hand, PLAN_ADDED, "a", "x");
	add_based(&hand, PLAN_ADDED, "x", "y");
	add_based(&hand, PLAN_ADDED, "y", "x");
	expect(&hand, STATUS_CONFLICT, "would be its own base");
	add_based(&hand, PLAN_CHANGED, "dawn", "night");
	add_based(&hand, PLAN_CHANGED, "night", "");
	expect(&hand, STATUS_OK, "");
	/* A base that is needed stays. */
	add_profile(&hand, PLAN_REMOVED, "development", "dawn");
	expect(&hand, STATUS_DENIED, "the profile 'dawn', the base of 'night'");
	add_profile(&hand, PLAN_REMOVED, "development", "dawn");
	add_profile(&hand, PLAN_REMOVED, "development", "night");
	expect(&hand, STATUS_OK, "");
	add_profile(&hand, PLAN_REMOVED, "development", "dawn");
	add_based(&hand, PLAN_CHANGED, "night", "default");
	expect(&hand, STATUS_OK, "");
	session_close(&hand.session);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(values_need_their_profile),      TEST(what_becomes_active_must_be_there),
		TEST(what_is_active_stays),           TEST(categories_in_use_stay),
		TEST(bases_stand_and_form_no_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
