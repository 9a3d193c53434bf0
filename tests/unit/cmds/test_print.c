/*
 * Printing: tables, times, changes and outcomes, for people and as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cmds/cmd.h"
#include "cmds/print.h"
#include "ops/commit.h"
#include "ops/plan.h"

#include "base/banned.h"

/* A slice of a literal; a constant, unlike what slice_str() returns. */
#define TEXT(text)    { (const uint8_t *)(text), sizeof(text) - 1 }
#define LITERAL(text) ((struct slice)TEXT(text))

static void headings_align(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO(table_release) struct table table = { .columns = 0 };

	(void)state;
	table_begin(&table, (const char *const[]){ "KEY", "VALUE", "EVENT", "NOTE" }, 4);
	table_text(&table, LITERAL("A"));
	table_text(&table, LITERAL("a longer value"));
	table_uint(&table, 7);
	table_str(&table, "");
	table_text(&table, LITERAL("LONGER_KEY"));
	table_text(&table, LITERAL(""));
	table_uint(&table, 1234567);
	table_str(&table, "note");
	table_print(&table, &inv);
	assert_string_equal(buf_str(&inv.out), "KEY         VALUE             EVENT  NOTE\n"
					       "A           a longer value        7\n"
					       "LONGER_KEY                  1234567  note\n");
}

/* Two columns for a wide character, none for a mark that combines; control characters are shown. */
static void widths_are_those_of_a_terminal(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO(table_release) struct table table = { .columns = 0 };

	(void)state;
	table_begin(&table, (const char *const[]){ "ABCDEF", "B" }, 2);
	table_text(&table, LITERAL("안녕"));
	table_str(&table, "x");
	table_text(&table, LITERAL("e\xcc\x81"
				   "e"));
	table_str(&table, "x");
	table_text(&table, LITERAL("\x1b["));
	table_str(&table, "x");
	table_text(&table, LITERAL("\xff"));
	table_str(&table, "x");
	table_print(&table, &inv);
	assert_string_equal(buf_str(&inv.out), "ABCDEF  B\n"
					       "안녕    x\n"
					       "e\xcc\x81"
					       "e      x\n"
					       "\\x1b[   x\n"
					       "\\xff    x\n");
}

static void a_wide_cell_overflows(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO(table_release) struct table table = { .columns = 0 };
	char wide[61];

	(void)state;
	memset(wide, 'w', 60);
	wide[60] = '\0';
	table_begin(&table, (const char *const[]){ "A", "B" }, 2);
	table_str(&table, wide);
	table_str(&table, "x");
	table_str(&table, "aa");
	table_str(&table, "x");
	table_print(&table, &inv);
	assert_string_equal(buf_str(&inv.out),
			    "A   B\n"
			    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww  x\n"
			    "aa  x\n");
}

static void no_rows_no_heading(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO(table_release) struct table table = { .columns = 0 };

	(void)state;
	table_begin(&table, (const char *const[]){ "A", "B" }, 2);
	table_print(&table, &inv);
	assert_int_equal(inv.out.len, 0);
}

static void many_rows(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO(table_release) struct table table = { .columns = 0 };
	size_t lines = 0;

	(void)state;
	table_begin(&table, (const char *const[]){ "N", "S" }, 2);
	for (unsigned i = 0; i < 1000; i++) {
		table_uint(&table, i);
		table_str(&table, "x");
	}
	table_print(&table, &inv);
	for (size_t i = 0; i < inv.out.len; i++)
		lines += inv.out.data[i] == '\n';
	assert_int_equal(lines, 1001);
	assert_non_null(strstr(buf_str(&inv.out), "\n  7  x\n"));
	assert_non_null(strstr(buf_str(&inv.out), "\n999  x\n"));
}

static void set_zone(const char *zone)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads here */
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void times_are_local(void **state)
{
	char text[32];

	(void)state;
	set_zone("UTC");
	print_time(UINT64_C(1767323045678), text);
	assert_string_equal(text, "2026-01-02 03:04:05");
	set_zone("KST-9");
	print_time(UINT64_C(1767323045678), text);
	assert_string_equal(text, "2026-01-02 12:04:05");
}

#define PLACE(e, p) .environment = TEXT(e), .profile = TEXT(p)

static const struct plan_change changes[] = {
	{ .kind = PLAN_ENVIRONMENT,
	  .op = PLAN_ADDED,
	  PLACE("staging", ""),
	  .key = TEXT("staging") },
	{ .kind = PLAN_VARIABLE,
	  .op = PLAN_ADDED,
	  PLACE("staging", "default"),
	  .key = TEXT("A"),
	  .after = TEXT("1") },
	{ .kind = PLAN_VARIABLE,
	  .op = PLAN_CHANGED,
	  PLACE("development", "default"),
	  .key = TEXT("B"),
	  .before = TEXT("\x1b[2J"),
	  .after = TEXT("") },
	{ .kind = PLAN_VARIABLE,
	  .op = PLAN_CHANGED,
	  PLACE("staging", "default"),
	  .key = TEXT("TOKEN"),
	  .before_secret = true,
	  .after_secret = true },
	{ .kind = PLAN_VARIABLE,
	  .op = PLAN_REMOVED,
	  PLACE("development", "default"),
	  .key = TEXT("C"),
	  .before = TEXT("old") },
	{ .kind = PLAN_ACTIVE,
	  .op = PLAN_CHANGED,
	  .key = TEXT("environment"),
	  .before = TEXT("development"),
	  .after = TEXT("staging") },
	{ .kind = PLAN_SPECIFICATION, .op = PLAN_ADDED, .key = TEXT("K"), .after = TEXT("int") },
};

enum { CHANGE_COUNT = sizeof(changes) / sizeof(changes[0]) };

static void changes_for_people(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	print_changes(&out, changes, CHANGE_COUNT);
	assert_string_equal(buf_str(&out), "staging:\n"
					   "  + environment staging\n"
					   "staging/default:\n"
					   "  + A = 1\n"
					   "  ~ TOKEN: ******** → ********\n"
					   "development/default:\n"
					   "  ~ B: \\x1b[2J → \n"
					   "  - C = old\n"
					   "store:\n"
					   "  ~ active environment: development → staging\n"
					   "  + specification K: int\n");
}

static void changes_as_json(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	jsonw_object(&json);
	json_changes(&json, changes, CHANGE_COUNT);
	jsonw_end(&json);
	assert_string_equal(
		buf_str(&out),
		"{\"changes\":["
		"{\"kind\":\"environment\",\"environment\":\"staging\",\"profile\":null,"
		"\"key\":\"staging\",\"op\":\"added\",\"before\":null,\"after\":null,"
		"\"secret\":false},"
		"{\"kind\":\"variable\",\"environment\":\"staging\",\"profile\":\"default\","
		"\"key\":\"A\",\"op\":\"added\",\"before\":null,\"after\":\"1\",\"secret\":false},"
		/* An empty value is a value. */
		"{\"kind\":\"variable\",\"environment\":\"development\",\"profile\":\"default\","
		"\"key\":\"B\",\"op\":\"changed\",\"before\":\"\\u001b[2J\",\"after\":\"\","
		"\"secret\":false},"
		"{\"kind\":\"variable\",\"environment\":\"staging\",\"profile\":\"default\","
		"\"key\":\"TOKEN\",\"op\":\"changed\",\"before\":null,\"after\":null,"
		"\"secret\":true},"
		"{\"kind\":\"variable\",\"environment\":\"development\",\"profile\":\"default\","
		"\"key\":\"C\",\"op\":\"removed\",\"before\":\"old\",\"after\":null,"
		"\"secret\":false},"
		"{\"kind\":\"active\",\"environment\":null,\"profile\":null,"
		"\"key\":\"environment\",\"op\":\"changed\",\"before\":\"development\","
		"\"after\":\"staging\",\"secret\":false},"
		"{\"kind\":\"specification\",\"environment\":null,\"profile\":null,"
		"\"key\":\"K\",\"op\":\"added\",\"before\":null,\"after\":\"int\","
		"\"secret\":false}]}");
}

/* An outcome of a `set` in development/default that appended event 12. */
static struct outcome outcome_of(struct plan_change *made, size_t count)
{
	return (struct outcome){
		.first_seq = 12,
		.last_seq = 12,
		.time_ms = UINT64_C(1767323045678),
		.environment = LITERAL("development"),
		.profile = LITERAL("default"),
		.changes = made,
		.change_count = count,
	};
}

static void notes_of_writes(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	struct plan_change made[CHANGE_COUNT];
	struct outcome outcome = outcome_of(made, 1);

	(void)state;
	memcpy(made, changes, sizeof(made));
	made[0] = changes[2];
	print_outcome(&inv, "set", &outcome);
	assert_string_equal(buf_str(&inv.notes), "development/default: set B (event 12)\n");
	buf_clear(&inv.notes);
	memcpy(made, changes, sizeof(made));
	outcome.change_count = CHANGE_COUNT;
	outcome.first_seq = 9;
	outcome.repeated = true;
	print_outcome(&inv, "rollback", &outcome);
	assert_string_equal(buf_str(&inv.notes),
			    "staging: added environment staging (events 9..12)\n"
			    "staging/default: set A, TOKEN (events 9..12)\n"
			    "development/default: set B; unset C (events 9..12)\n"
			    "store: switched environment to staging, added specification K "
			    "(events 9..12)\n"
			    "(this command id was carried out before)\n");
	assert_int_equal(inv.out.len, 0);
}

static void notes_are_bounded(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	struct plan_change made[20];
	char names[20][8];
	struct outcome outcome = outcome_of(made, 20);

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "K%02zu", i);
		made[i] = changes[1];
		made[i].key = slice_str(names[i]);
	}
	print_outcome(&inv, "set", &outcome);
	assert_string_equal(buf_str(&inv.notes),
			    "staging/default: set K00, K01, K02 and 17 more (event 12)\n");
	buf_clear(&inv.notes);
	for (size_t i = 0; i < 20; i++)
		made[i].profile = slice_str(names[i]);
	print_outcome(&inv, "set", &outcome);
	assert_non_null(strstr(buf_str(&inv.notes), "staging/K07: set K07 (event 12)\n"));
	assert_null(strstr(buf_str(&inv.notes), "staging/K08"));
	assert_non_null(strstr(buf_str(&inv.notes), "and changes in 12 more places\n"));
}

static void unchanged_and_planned(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	struct plan_change made[1] = { changes[1] };
	struct outcome outcome = outcome_of(made, 0);

	(void)state;
	outcome.unchanged = true;
	print_outcome(&inv, "set", &outcome);
	assert_string_equal(buf_str(&inv.notes), "development/default: unchanged\n");
	assert_int_equal(inv.out.len, 0);
	buf_clear(&inv.notes);
	outcome = outcome_of(made, 1);
	outcome.planned = true;
	print_outcome(&inv, "set", &outcome);
	assert_string_equal(buf_str(&inv.out), "staging/default:\n  + A = 1\n");
	assert_string_equal(buf_str(&inv.notes), "nothing was changed (dry run)\n");
}

static void outcomes_as_json(void **state)
{
	AUTO(invocation_release) struct invocation inv = { .json = true };
	struct plan_change made[1] = { changes[4] };
	struct outcome outcome = outcome_of(made, 1);

	(void)state;
	memset(outcome.hash, 0xab, sizeof(outcome.hash));
	memset(outcome.command_id, 0x01, sizeof(outcome.command_id));
	print_outcome(&inv, "set", &outcome);
	assert_int_equal(inv.notes.len, 0);
	assert_string_equal(
		buf_str(&inv.out),
		"{\"schema\":\"provenv/set/v1\",\"first_seq\":12,\"seq\":12,\"hash\":"
		"\"abababababababababababababababababababababababababababababababab\","
		"\"time\":\"2026-01-02T03:04:05.678Z\","
		"\"command_id\":\"01010101010101010101010101010101\","
		"\"environment\":\"development\",\"profile\":\"default\","
		"\"changes\":[{\"kind\":\"variable\",\"environment\":\"development\","
		"\"profile\":\"default\",\"key\":\"C\",\"op\":\"removed\",\"before\":\"old\","
		"\"after\":null,\"secret\":false}]}\n");
	buf_clear(&inv.out);
	outcome = outcome_of(NULL, 0);
	outcome.planned = true;
	outcome.unchanged = true;
	outcome.profile = slice_str("");
	print_outcome(&inv, "env create", &outcome);
	assert_string_equal(
		buf_str(&inv.out),
		"{\"schema\":\"provenv/env create/v1\",\"planned\":true,\"unchanged\":true,"
		"\"command_id\":\"00000000000000000000000000000000\","
		"\"environment\":\"development\",\"profile\":null,\"changes\":[]}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings_align),
		cmocka_unit_test(widths_are_those_of_a_terminal),
		cmocka_unit_test(a_wide_cell_overflows),
		cmocka_unit_test(no_rows_no_heading),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(times_are_local),
		cmocka_unit_test(changes_for_people),
		cmocka_unit_test(changes_as_json),
		cmocka_unit_test(notes_of_writes),
		cmocka_unit_test(notes_are_bounded),
		cmocka_unit_test(unchanged_and_planned),
		cmocka_unit_test(outcomes_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
