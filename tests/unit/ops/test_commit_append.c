/*
 * Appending: failures, commands of many parts, and command ids that come again.
 */
#include "ops/commit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "ops/op_environment.h"
#include "ops/op_rollback.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "projections/page_check.h"
#include "store/event.h"
#include "unit/base/scratch.h"
#include "unit/ops/commit_fixture.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

/* --- failures -----------------------------------------------------------------------------------
 */

#ifdef PROVENV_TEST_HOOKS
/*
 * After IO the outcome is unknown and the vault files stay; repeating the command seals anew in
 * their place.
 */
static void a_failed_append_can_be_repeated(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	struct outcome outcome = { .last_seq = 0 };

	fixture->options.command_id = UUID_A;
	ops_environment("PROVENV_FAULT", "commit.sealed:EIO");
	assert_int_equal(try_seal(fixture, "S", "hidden", &outcome, NULL), STATUS_IO);
	ops_environment("PROVENV_FAULT", NULL);
	assert_int_equal(outcome.last_seq, 0);
	assert_int_equal(ops_head(fixture), head);
	assert_int_equal(vault_files(fixture), 1);
	assert_int_equal(try_seal(fixture, "S", "hidden", &outcome, NULL), STATUS_OK);
	assert_false(outcome.repeated);
	assert_int_equal(vault_files(fixture), 1);
	ops_assert_value(fixture, "S", "hidden");
}
#endif

/* A second plan that is refused leaves no vault file behind: sealing comes after. */
static void a_refusal_seals_nothing(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome outcome;

	lock(fixture, "development", 0);
	assert_int_equal(try_seal(fixture, "S", "hidden", &outcome, NULL), STATUS_DENIED);
	assert_int_equal(vault_files(fixture), 0);
}

#ifdef PROVENV_TEST_HOOKS
static void run_sql(struct ops_fixture *fixture, const char *sql)
{
	AUTO(buf_release) struct buf generation = BUF_INIT;
	char path[SCRATCH_PATH_MAX + 128];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/state/current", fixture->store);
	assert_int_equal(fs_read_file(path, 64, &generation, NULL), STATUS_OK);
	(void)snprintf(path, sizeof(path), "%s/state/%.*s", fixture->store,
		       (int)strcspn(buf_str(&generation), "\n"), buf_str(&generation));
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, page_check_vfs()),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* No row can be added, and no other file take this one's place. */
static void stop_the_state(struct ops_fixture *fixture)
{
	ops_environment("PROVENV_FAULT", "state.swap:EIO");
	run_sql(fixture, "CREATE TRIGGER stop BEFORE INSERT ON position "
			 "BEGIN SELECT RAISE(ABORT, 'stopped'); END");
}

/* The event is durable; a failure now would have the user run the command again. */
static void a_state_that_cannot_follow_is_no_failure(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	struct outcome outcome = { .last_seq = 0 };
	struct session session;
	struct ops_set set, other_set;
	const struct other others[] = {
		{ decide_set, ops_set_args(&other_set, "B", "2", NULL), NULL },
		{ NULL, NULL, NULL },
	};
	struct race race = { .decide = decide_set,
			     .args = ops_set_args(&set, "A", "1", NULL),
			     .others = others,
			     .fixture = fixture,
			     .again = stop_the_state };

	assert_int_equal(run_race(&race, &outcome, NULL), STATUS_OK);
	assert_int_equal(race.decided, 2);
	assert_int_equal(outcome.first_seq, head + 2);
	assert_int_equal(outcome.last_seq, head + 2);
	assert_int_equal(ops_head(fixture), head + 2);
	ops_environment("PROVENV_FAULT", NULL);
	/* It did stay behind, and the next command saw to it. */
	ops_open(fixture, SESSION_STATE, &session);
	assert_int_equal(projection_rebuilt(session.projection), REBUILT_DAMAGED);
	session_close(&session);
	ops_assert_value(fixture, "A", "1");
	assert_int_equal(ops_head(fixture), head + 2);
}
#endif

/* --- large commands --------------------------------------------------------------------------- */

enum { LARGE = 300 };

/* LARGE values of about 1 KiB: several events, one command. */
static void set_large(struct ops_fixture *fixture, char fill, struct outcome *ret,
		      enum status expected)
{
	static char keys[LARGE][16];
	static char value[1024];
	static struct assignment assignments[LARGE];
	struct set_args args = { assignments, LARGE, SET_PLAIN };

	memset(value, fill, sizeof(value) - 1);
	for (size_t i = 0; i < LARGE; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "L%03zu", i);
		assignments[i] =
			(struct assignment){ .key = slice_str(keys[i]), .value = slice_str(value) };
	}
	assert_int_equal(ops_try(fixture, decide_set, &args, ret, NULL), expected);
}

static void a_large_command_has_parts_and_is_one(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	const struct read_event *event;
	struct outcome outcome, again;
	struct session session;
	uint32_t parts;

	fixture->options.command_id = UUID_A;
	set_large(fixture, 'x', &outcome, STATUS_OK);
	fixture->options.command_id = NULL;
	assert_int_equal(outcome.first_seq, head + 1);
	parts = (uint32_t)(outcome.last_seq - head);
	assert_in_range(parts, 2, LARGE);
	assert_int_equal(outcome.change_count, LARGE);
	ops_open(fixture, SESSION_PROFILE, &session);
	for (uint32_t i = 1; i <= parts; i++) {
		assert_int_equal(session_event(&session, head + i, &event, NULL), STATUS_OK);
		assert_int_equal(event->decoded.event.part, i);
		assert_int_equal(event->decoded.event.parts, parts);
		assert_memory_equal(event->decoded.event.command_id, outcome.command_id,
				    COMMAND_ID_BYTES);
		assert_int_equal(event->decoded.event.time_ms, outcome.time_ms);
		if (i == parts)
			assert_memory_equal(event->leaf_hash, outcome.hash, HASH_BYTES);
	}
	session_close(&session);
	ops_assert_no_violations(fixture);

	/* The same again, all of its parts. */
	fixture->options.command_id = UUID_A;
	set_large(fixture, 'x', &again, STATUS_OK);
	assert_true(again.repeated);
	assert_int_equal(again.first_seq, outcome.first_seq);
	assert_int_equal(again.last_seq, outcome.last_seq);
	set_large(fixture, 'y', &again, STATUS_CONFLICT);
	fixture->options.command_id = NULL;

	/* One command back is all of it. */
	fixture->options.at = "HEAD~1";
	ops_assert_value(fixture, "L000", NULL);
	ops_assert_value(fixture, "L299", NULL);
}

#ifdef PROVENV_TEST_HOOKS
/* A fault between the parts, or when they are to become durable: not one of them is there. */
static void a_large_command_is_all_or_nothing(void **state)
{
	static const char *const faults[] = { "log.put:EIO:4", "log.commit:EIO" };
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	struct outcome outcome;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		ops_environment("PROVENV_FAULT", faults[i]);
		set_large(fixture, 'x', &outcome, STATUS_IO);
		ops_environment("PROVENV_FAULT", NULL);
		assert_int_equal(ops_head(fixture), head);
		ops_assert_value(fixture, "L000", NULL);
	}
	set_large(fixture, 'x', &outcome, STATUS_OK);
	ops_assert_no_violations(fixture);
}
#endif

/* --- command ids ------------------------------------------------------------------------------ */

static void same_receipt(const struct outcome *first, const struct outcome *again)
{
	assert_false(first->repeated);
	assert_true(again->repeated);
	assert_int_equal(first->first_seq, again->first_seq);
	assert_int_equal(first->last_seq, again->last_seq);
	assert_int_equal(first->time_ms, again->time_ms);
	assert_memory_equal(first->hash, again->hash, HASH_BYTES);
	assert_memory_equal(first->command_id, again->command_id, COMMAND_ID_BYTES);
}

static void a_command_id_is_a_uuid(void **state)
{
	static const char *const wrong[] = { "", "x", "01890000-0000-7000-8000-00000000000a0",
					     "0189000000007000800000000000000",
					     "g1890000-0000-7000-8000-00000000000a" };
	struct ops_fixture *fixture = *state;
	struct outcome outcome;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fixture->options.command_id = wrong[i];
		set_refused(fixture, STATUS_USAGE, "not a UUID");
	}
	fixture->options.command_id = UUID_B;
	outcome = ops_set(fixture, "A", "1");
	assert_int_equal(outcome.command_id[0], 0x01);
	assert_int_equal(outcome.command_id[COMMAND_ID_BYTES - 1], 0x0b);
	/* Without one, each command gets its own. */
	fixture->options.command_id = NULL;
	(void)ops_set(fixture, "A", "2");
	assert_false(ops_set(fixture, "A", "1").repeated);
}

static void the_same_plan_gives_the_same_receipt(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome first, again;
	uint64_t head;

	fixture->options.command_id = UUID_A;
	first = ops_set(fixture, "A", "1");
	fixture->options.command_id = NULL;
	/* The state moved on, even to where the command would change nothing or something else. */
	(void)ops_set(fixture, "A", "2");
	(void)ops_env(fixture, decide_environment_switch, "testing");
	head = ops_head(fixture);
	fixture->options.command_id = UUID_A;
	again = ops_set(fixture, "A", "1");
	same_receipt(&first, &again);
	fixture->options.dry_run = true;
	again = ops_set(fixture, "A", "1");
	same_receipt(&first, &again);
	assert_true(again.planned);
	assert_true(again.unchanged);
	fixture->options.dry_run = false;
	/* Policy of today is no matter for what was done then. */
	fixture->options.command_id = NULL;
	lock(fixture, "development", 0);
	head++;
	fixture->options.command_id = UUID_A;
	again = ops_set(fixture, "A", "1");
	same_receipt(&first, &again);
	assert_int_equal(ops_head(fixture), head);
}

static void another_plan_conflicts(void **state)
{
	struct ops_fixture *fixture = *state;
	struct slice key = slice_str("A");
	struct unset_args unset = { &key, 1 };
	struct outcome outcome;
	struct ops_set set;
	uint64_t head;

	fixture->options.command_id = UUID_A;
	(void)ops_set(fixture, "A", "1");
	head = ops_head(fixture);
	ops_refused(fixture, decide_set, ops_set_args(&set, "A", "2", NULL), STATUS_CONFLICT,
		    "used before with other content");
	ops_refused(fixture, decide_set, ops_set_args(&set, "B", "1", NULL), STATUS_CONFLICT,
		    "take a new --command-id");
	ops_refused(fixture, decide_unset, &unset, STATUS_CONFLICT, "used before");
	assert_int_equal(try_seal(fixture, "A", "1", &outcome, NULL), STATUS_CONFLICT);
	fixture->options.reason = "another";
	set_refused(fixture, STATUS_CONFLICT, "used before");
	fixture->options.reason = NULL;
	fixture->options.environment = "testing";
	set_refused(fixture, STATUS_CONFLICT, "used before");
	assert_int_equal(ops_head(fixture), head);
}

/* HEAD~1, @-10m and a lock's duration mean what they meant the first time. */
static void relative_words_mean_the_same_again(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args back = { .to = "HEAD~1" };
	struct rollback_args ago = { .to = "@-10m" };
	struct environment_args lock_args = { .name = slice_str("testing"), .until_in_ms = 60000 };
	struct outcome first, again;

	(void)ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "A", "2");
	fixture->options.command_id = UUID_A;
	first = ops_do(fixture, decide_rollback, &back);
	fixture->options.command_id = NULL;
	ops_assert_value(fixture, "A", "1");
	(void)ops_set(fixture, "A", "3");
	fixture->options.command_id = UUID_A;
	again = ops_do(fixture, decide_rollback, &back);
	same_receipt(&first, &again);
	ops_assert_value(fixture, "A", "3");

	fixture->clock_ms += 3600000;
	fixture->options.command_id = NULL;
	(void)ops_set(fixture, "A", "4");
	fixture->options.command_id = UUID_B;
	first = ops_do(fixture, decide_rollback, &ago);
	ops_assert_value(fixture, "A", "3");
	fixture->clock_ms += 3600000;
	again = ops_do(fixture, decide_rollback, &ago);
	same_receipt(&first, &again);

	fixture->options.command_id = "01890000-0000-7000-8000-00000000000c";
	first = ops_do(fixture, decide_environment_lock, &lock_args);
	fixture->clock_ms += 30000;
	again = ops_do(fixture, decide_environment_lock, &lock_args);
	same_receipt(&first, &again);
	lock_args.until_in_ms++;
	ops_refused(fixture, decide_environment_lock, &lock_args, STATUS_CONFLICT, "used before");
}

/* Sealed anew the bytes would differ; what counts is what is inside. */
static void sealed_values_are_compared_opened(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args args = { .name = slice_str("fresh") };
	struct outcome first, again;

	fixture->options.command_id = UUID_A;
	first = ops_seal(fixture, "S", "hidden");
	again = ops_seal(fixture, "S", "hidden");
	same_receipt(&first, &again);
	assert_int_equal(try_seal(fixture, "S", "hiddem", &again, NULL), STATUS_CONFLICT);
	assert_int_equal(try_seal(fixture, "S", "", &again, NULL), STATUS_CONFLICT);
	ops_assert_value(fixture, "S", "hidden");
	assert_int_equal(vault_files(fixture), 1);

	/* A new environment's key pair is random, too. */
	fixture->options.command_id = UUID_B;
	first = ops_do(fixture, decide_environment_create, &args);
	again = ops_do(fixture, decide_environment_create, &args);
	same_receipt(&first, &again);
}

/* Another writer used the id between the first look and the lock. */
static void an_id_taken_meanwhile_counts(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t head = ops_head(fixture);
	struct outcome outcome = { .last_seq = 0 };
	struct ops_set set;
	const struct other same[] = {
		{ decide_set, ops_set_args(&set, "A", "1", NULL), UUID_A },
		{ NULL, NULL, NULL },
	};

	fixture->options.command_id = UUID_A;
	assert_int_equal(race_set(fixture, same, &outcome, NULL), STATUS_OK);
	assert_true(outcome.repeated);
	assert_int_equal(outcome.last_seq, head + 1);
	assert_int_equal(ops_head(fixture), head + 1);
}

/* Others wrote between the beginning and the append: HEAD~1 is what it was at the beginning. */
static void relative_words_mean_the_same_behind_others(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args back = { .to = "HEAD~1" };
	struct ops_set one, two;
	const struct other others[] = {
		{ decide_set, ops_set_args(&one, "B", "1", NULL), NULL },
		{ decide_set, ops_set_args(&two, "B", "2", NULL), NULL },
		{ NULL, NULL, NULL },
	};
	struct race race = {
		.decide = decide_rollback, .args = &back, .others = others, .fixture = fixture
	};
	struct outcome first = { .last_seq = 0 }, again;

	(void)ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "A", "2");
	fixture->options.command_id = UUID_A;
	assert_int_equal(run_race(&race, &first, NULL), STATUS_OK);
	ops_assert_value(fixture, "A", "1");
	ops_assert_value(fixture, "B", NULL);
	again = ops_do(fixture, decide_rollback, &back);
	same_receipt(&first, &again);
	/* Not any head will do: what no beginning would have appended is another command. */
	back.to = "HEAD~5";
	ops_refused(fixture, decide_rollback, &back, STATUS_CONFLICT, "used before");
}

/* What the command worked on is gone since: its repetition has the first result all the same. */
static void what_is_gone_does_not_hide_the_first_result(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args args = { .name = slice_str("brief") };
	struct outcome first, again;

	(void)ops_do(fixture, decide_environment_create, &args);
	fixture->options.environment = "brief";
	fixture->options.command_id = UUID_A;
	first = ops_set(fixture, "A", "1");
	fixture->options.environment = NULL;
	fixture->options.command_id = NULL;
	(void)ops_do(fixture, decide_environment_remove, &args);
	fixture->options.environment = "brief";
	set_refused(fixture, STATUS_NOT_FOUND, "brief");
	fixture->options.command_id = UUID_B;
	set_refused(fixture, STATUS_NOT_FOUND, "brief");
	fixture->options.command_id = UUID_A;
	again = ops_set(fixture, "A", "1");
	same_receipt(&first, &again);
}

static void an_id_taken_otherwise_meanwhile_conflicts(void **state)
{
	struct ops_fixture *fixture = *state;
	struct ops_set set;
	const struct other otherwise[] = {
		{ decide_set, ops_set_args(&set, "A", "2", NULL), UUID_A },
		{ NULL, NULL, NULL },
	};

	fixture->options.command_id = UUID_A;
	race_lost(fixture, otherwise, STATUS_CONFLICT, "used before");
	ops_assert_value(fixture, "A", "2");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_refusal_seals_nothing),
		TEST(a_large_command_has_parts_and_is_one),
		TEST(a_command_id_is_a_uuid),
		TEST(the_same_plan_gives_the_same_receipt),
		TEST(another_plan_conflicts),
		TEST(relative_words_mean_the_same_again),
		TEST(sealed_values_are_compared_opened),
		TEST(relative_words_mean_the_same_behind_others),
		TEST(what_is_gone_does_not_hide_the_first_result),
		TEST(an_id_taken_meanwhile_counts),
		TEST(an_id_taken_otherwise_meanwhile_conflicts),
#ifdef PROVENV_TEST_HOOKS
		TEST(a_failed_append_can_be_repeated),
		TEST(a_large_command_is_all_or_nothing),
		TEST(a_state_that_cannot_follow_is_no_failure),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
