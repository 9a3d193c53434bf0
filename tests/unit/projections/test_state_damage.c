/*
 * State rows that were tampered with: they are told of, and never answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event.h"
#include "unit/projections/payloads.h"
#include "unit/projections/state_fixture.h"

#include "base/banned.h"

/* --- rows that contradict the log ------------------------------------------------------------- */

/* Change rows through the handle, in the transaction that reads them. */
static void flip(struct scene *scene, const char *sql)
{
	sqlite3 *handle = db_handle(projection_db(scene->projection));
	char *why = NULL;

	if (sqlite3_exec(handle, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	if (sqlite3_changes(handle) != 1)
		fail_msg("%s: %d rows", sql, sqlite3_changes(handle));
}

/* Throw away what was flipped. */
static void mend(struct scene *scene)
{
	struct error err = ERROR_INIT;

	if (projection_rebuild(scene->projection, &err))
		fail_msg("rebuild: %s", err.text);
	assert_false(projection_damaged(scene->projection));
}

/*
 * Events 4: A, B and, as one command, S. 5: A and the template T. 6: C copied from A of event 4.
 * 7: unset without effect, of D. 8: another environment's A.
 */
static void rows_scene(struct scene *scene)
{
	struct change first[] = { set("p", "A", "one"), set("p", "B", "two"),
				  seal_nothing("p", "S") };
	struct change second[] = { set("p", "A", "three"), set_template("p", "T", "${A}") };
	struct change elsewhere = set("main", "A", "elsewhere");

	assert_int_equal(commit_dev(scene), 3);
	assert_int_equal(commit_one(scene, variables_changed("dev", first, 3)), 4);
	assert_int_equal(commit_one(scene, variables_changed("dev", second, 2)), 5);
	assert_int_equal(commit_change(scene, copy("p", "C", 4, 0)), 6);
	assert_int_equal(commit_one(scene, environment_created("prod", "main")), 7);
	assert_int_equal(commit_one(scene, variables_changed("prod", &elsewhere, 1)), 8);
	look(scene);
}

#define OF(key)  " WHERE environment = 'dev' AND key = '" key "' AND gone = 0"
#define NOW(key) OF(key) " AND from_seq >= 5"

static const struct flip_case {
	const char *key;
	const char *sql;
} flips[] = {
	{ "B", "UPDATE variable SET value_index = 0" OF("B") },
	{ "B", "UPDATE variable SET value_index = 2" OF("B") },
	{ "B", "UPDATE variable SET value_index = 99" OF("B") },
	{ "B", "UPDATE variable SET value_index = -1" OF("B") },
	{ "B", "UPDATE variable SET value_seq = 5" OF("B") },
	{ "B", "UPDATE variable SET value_seq = 3" OF("B") },
	{ "B", "UPDATE variable SET value_seq = 0" OF("B") },
	{ "B", "UPDATE variable SET value_seq = 1000000" OF("B") },
	{ "B", "UPDATE variable SET value_seq = -4" OF("B") },
	{ "B", "UPDATE variable SET value_seq = 'four'" OF("B") },
	{ "B", "UPDATE variable SET from_seq = 5" OF("B") },
	{ "B", "UPDATE variable SET from_seq = 3" OF("B") },
	{ "B", "UPDATE variable SET from_seq = 0" OF("B") },
	{ "B", "UPDATE variable SET from_seq = -4" OF("B") },
	{ "B", "UPDATE variable SET from_seq = 7, value_seq = 7" OF("B") },
	{ "B", "UPDATE variable SET sealed = 1" OF("B") },
	{ "B", "UPDATE variable SET expand = 1" OF("B") },
	{ "B", "UPDATE variable SET key = 'b'" OF("B") },
	{ "S", "UPDATE variable SET sealed = 0" OF("S") },
	{ "S", "UPDATE variable SET value_index = 1" OF("S") },
	{ "T", "UPDATE variable SET expand = 0" OF("T") },
	{ "A", "UPDATE variable SET value_seq = 4" NOW("A") },
	{ "A", "UPDATE variable SET from_seq = 6" NOW("A") },
	{ "A", "UPDATE variable SET from_seq = 8, value_seq = 8" NOW("A") },
	{ "C", "UPDATE variable SET value_seq = 5" OF("C") },
	{ "C", "UPDATE variable SET value_seq = 6" OF("C") },
	{ "C", "UPDATE variable SET value_index = 1" OF("C") },
	{ "C", "UPDATE variable SET sealed = 1" OF("C") },
	{ "C", "UPDATE variable SET from_seq = 4" OF("C") },
	{ "C", "UPDATE variable SET expand = 1" OF("C") },
};

static void assert_contradiction(struct scene *scene, const struct flip_case *flipped)
{
	struct state_view view = view_now(scene);
	struct variable *all;
	struct variable_value value = { .part = 77 };
	struct error err = ERROR_INIT;
	bool met = false;
	size_t count;

	flip(scene, flipped->sql);
	assert_int_equal(
		state_variables(&view, slice_str("dev"), slice_str("p"), &all, &count, NULL),
		STATUS_OK);
	for (size_t i = 0; i < count; i++) {
		/* A changed key is the key that the caller sees. */
		if (!slice_equal_str(all[i].key, flipped->key) && !slice_equal_str(all[i].key, "b"))
			continue;
		met = true;
		if (state_value(&view, &all[i], &value, &err) != STATUS_CORRUPT)
			fail_msg("%s: taken for true", flipped->sql);
	}
	if (!met)
		fail_msg("%s: no row", flipped->sql);
	assert_int_equal(value.part, 77);
	assert_non_null(strstr(err.text, "contradicts event"));
	assert_true(projection_damaged(scene->projection));
}

static void test_flipped_variables(void **state)
{
	struct scene *scene = *state;

	rows_scene(scene);
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		assert_contradiction(scene, &flips[i]);
		mend(scene);
	}
	assert_string_equal(value_at(scene, 8, "A"), "three");
	assert_string_equal(value_at(scene, 8, "B"), "two");
	assert_string_equal(value_at(scene, 8, "C"), "one");
}

/* Rows of an environment that was renamed under them, and a profile's given to another. */
static void test_variable_that_moved(void **state)
{
	struct scene *scene = *state;
	struct state_view view;
	struct variable variable;
	struct variable_value value;

	rows_scene(scene);
	flip(scene, "UPDATE variable SET environment = 'prod', profile = 'main' WHERE key = 'B'");
	view = view_now(scene);
	assert_int_equal(state_variable(&view, slice_str("prod"), slice_str("main"), slice_str("B"),
					&variable, NULL),
			 STATUS_OK);
	assert_int_equal(state_value(&view, &variable, &value, NULL), STATUS_CORRUPT);
	assert_true(projection_damaged(scene->projection));
}

/*
 * A definition is used as it stands: a default is a value, and secrets are sealed to a public key.
 * So it too is what the log says, or nothing.
 */
static void defined_scene(struct scene *scene)
{
	struct payload specified = variable_specified("A", NULL);

	payload_str(&specified, FIELD_DEFAULT, "fallback");
	assert_int_equal(commit_dev(scene), 3);
	assert_int_equal(commit_one(scene, category_defined("logs", false)), 4);
	assert_int_equal(commit_one(scene, specified), 5);
	assert_int_equal(commit_one(scene, database_attached("dev", "p", "main", "a.db")), 6);
	assert_int_equal(commit_one(scene, environment_keyed("dev", 1)), 7);
	assert_int_equal(commit_one(scene, variable_specified("B", NULL)), 8);
	look(scene);
}

/* Another text of as many bytes in an encoding that stays valid. */
#define REPLACE(table, from, to) \
	"UPDATE " table " SET definition = CAST(replace(definition, '" from "', '" to "') AS BLOB)"

/* Ask everything that answers with a definition; what is the worst that happens? */
static enum status ask_definitions(struct scene *scene)
{
	struct state_view view = view_now(scene);
	struct definition *all, one;
	size_t count;
	enum status statuses[8] = {
		state_categories(&view, &all, &count, NULL),
		state_specifications(&view, &all, &count, NULL),
		state_databases(&view, slice_str("dev"), slice_str("p"), &all, &count, NULL),
		state_environment_key(&view, slice_str("dev"), 0, &one, NULL),
		state_environment_key(&view, slice_str("dev"), 1, &one, NULL),
		state_category(&view, slice_str("logs"), &one, NULL),
		state_specification(&view, slice_str("A"), &one, NULL),
		STATUS_OK,
	};

	for (size_t i = 0; i < 8; i++) {
		if (statuses[i] && statuses[i] != STATUS_NOT_FOUND)
			return statuses[i];
	}
	return STATUS_OK;
}

static void test_flipped_definitions(void **state)
{
	static const char *const sql[] = {
		REPLACE("specification", "fallback", "fullback") " WHERE key = 'A'",
		"UPDATE specification SET definition = x'' WHERE key = 'A'",
		"UPDATE specification SET definition = (SELECT definition FROM specification"
		" WHERE key = 'B') WHERE key = 'A'",
		"UPDATE specification SET key = 'C' WHERE key = 'A'",
		"UPDATE specification SET from_seq = 8 WHERE key = 'A'",
		"UPDATE specification SET from_seq = 0 WHERE key = 'A'",
		"UPDATE specification SET from_seq = -1 WHERE key = 'A'",
		"UPDATE category SET definition = substr(definition, 1, 5)",
		"UPDATE category SET name = 'lags'",
		"UPDATE category SET definition = (SELECT definition FROM database)",
		REPLACE("database", "a.db", "b.db"),
		"UPDATE database SET name = 'aux'",
		"UPDATE environment_key SET generation = 2",
		"UPDATE environment_key SET definition ="
		" CAST(replace(definition, x'C42007', x'C42008') AS BLOB)",
	};
	struct scene *scene = *state;

	defined_scene(scene);
	assert_int_equal(ask_definitions(scene), STATUS_OK);
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		flip(scene, sql[i]);
		if (ask_definitions(scene) != STATUS_CORRUPT)
			fail_msg("%s: taken for true", sql[i]);
		assert_true(projection_damaged(scene->projection));
		mend(scene);
		assert_int_equal(ask_definitions(scene), STATUS_OK);
	}
}

/* What decides who may write where: protection, locks, what is active, what a profile rests on. */
static void standing_scene(struct scene *scene)
{
	struct payload titled = profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "p");

	assert_int_equal(commit_dev(scene), 3);
	assert_int_equal(commit_one(scene, environment_changed("dev", true)), 4);
	assert_int_equal(commit_one(scene, environment_locked("dev", 5000)), 5);
	assert_int_equal(commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL)),
			 6);
	assert_int_equal(commit_one(scene, titled), 7);
	assert_int_equal(commit_one(scene, profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL)),
			 8);
	assert_int_equal(commit_one(scene, environment_created("prod", "main")), 9);
	assert_int_equal(commit_one(scene, named(EVENT_ENVIRONMENT_SWITCHED, "prod")), 10);
	look(scene);
}

static enum status ask_standing(struct scene *scene)
{
	struct state_view view = view_now(scene);
	struct environment *environments;
	struct profile *profiles;
	size_t count;
	enum status status = state_environments(&view, &environments, &count, NULL);

	for (size_t i = 0; i < count && !status; i++) {
		size_t profile_count;

		status = state_profiles(&view, environments[i].name, &profiles, &profile_count,
					NULL);
	}
	return status;
}

static void test_flipped_standing(void **state)
{
	static const char *const sql[] = {
		"UPDATE environment SET protected = 0 WHERE from_seq = 4",
		"UPDATE environment SET protected = 1 WHERE name = 'prod'",
		"UPDATE environment SET name = 'prox' WHERE name = 'prod'",
		"UPDATE environment SET title = x'80' WHERE name = 'prod'",
		"UPDATE environment SET description = x'80' WHERE name = 'prod'",
		"UPDATE environment SET from_seq = 8 WHERE name = 'prod'",
		"UPDATE environment SET from_seq = 0 WHERE name = 'prod'",
		"UPDATE lock SET until_ms = 1",
		"UPDATE lock SET environment = 'prod'",
		"UPDATE lock SET from_seq = 4",
		"UPDATE active SET name = 'dev' WHERE environment = '' AND from_seq = 10",
		"UPDATE active SET name = 'p' WHERE environment = 'dev' AND from_seq = 8",
		"UPDATE active SET name = 'p' WHERE environment = 'prod'",
		"UPDATE active SET from_seq = 9 WHERE environment = '' AND from_seq = 10",
		"UPDATE active SET gone = 0, from_seq = 10 WHERE environment = 'prod'",
		"UPDATE profile SET base = '' WHERE from_seq = 7",
		"UPDATE profile SET base = 'p' WHERE environment = 'prod'",
		"UPDATE profile SET name = 'mail' WHERE environment = 'prod'",
		"UPDATE profile SET environment = 'dev' WHERE environment = 'prod'",
		"UPDATE profile SET title = x'80' WHERE from_seq = 7",
		"UPDATE profile SET description = x'80' WHERE from_seq = 7",
		"UPDATE profile SET from_seq = 8 WHERE from_seq = 7",
	};
	struct scene *scene = *state;

	standing_scene(scene);
	assert_int_equal(ask_standing(scene), STATUS_OK);
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		flip(scene, sql[i]);
		if (ask_standing(scene) != STATUS_CORRUPT)
			fail_msg("%s: taken for true", sql[i]);
		assert_true(projection_damaged(scene->projection));
		mend(scene);
		assert_int_equal(ask_standing(scene), STATUS_OK);
	}
}

/* What broke a rule is told to auditors: at least it must be an event that could. */
static void test_flipped_violations(void **state)
{
	static const char *const sql[] = {
		"UPDATE violation SET rule = 999",
		"UPDATE violation SET rule = 0",
		"UPDATE violation SET rule = -1",
		"UPDATE violation SET seq = 3",
		"UPDATE violation SET from_seq = 3",
		"INSERT INTO violation SELECT 2, rule, 0, 2 FROM violation",
	};
	struct scene *scene = *state;
	struct violation *all;
	struct state_view view;
	size_t count;

	assert_int_equal(commit_dev(scene), 3);
	assert_int_equal(commit_one(scene, named(EVENT_ENVIRONMENT_SWITCHED, "nowhere")), 4);
	look(scene);
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		view = view_now(scene);
		assert_int_equal(state_violations(&view, &all, &count, NULL), STATUS_OK);
		assert_int_equal(count, 1);
		assert_int_equal(all[0].seq, 4);
		flip(scene, sql[i]);
		view = view_now(scene);
		if (state_violations(&view, &all, &count, NULL) != STATUS_CORRUPT)
			fail_msg("%s: taken for true", sql[i]);
		assert_true(projection_damaged(scene->projection));
		mend(scene);
	}
}

/* --- what SQLite itself says ------------------------------------------------------------------ */

static void test_missing_table(void **state)
{
	struct scene *scene = *state;
	struct state_view view;
	struct environment *all = NULL;
	size_t count = 77;
	struct error err = ERROR_INIT;

	(void)commit_dev(scene);
	look(scene);
	close_projection(scene);
	tamper(scene, "1.db", "DROP TABLE environment");
	look(scene);
	view = view_now(scene);
	assert_int_equal(state_environments(&view, &all, &count, &err), STATUS_CORRUPT);
	assert_null(all);
	assert_int_equal(count, 77);
	assert_true(projection_damaged(scene->projection));
	mend(scene);
	assert_int_equal(state_environments(&view, &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flipped_variables),   TEST(test_variable_that_moved),
		TEST(test_flipped_definitions), TEST(test_flipped_standing),
		TEST(test_flipped_definitions), TEST(test_flipped_violations),
		TEST(test_missing_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
