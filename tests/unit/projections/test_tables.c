/*
 * Temporal tables: rows in force, at any event, and that asking needs no scan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/state_model.h"

#include "base/banned.h"

static int setup(void **state)
{
	struct db *db = NULL;

	if (db_open(NULL, DB_MEMORY, &db, NULL) || tables_create(db, NULL))
		return -1;
	*state = db;
	return 0;
}

static int teardown(void **state)
{
	db_close(*state);
	return 0;
}

/* Cells that fit every column of every table: text, blob and number at once. */
static struct cell cell(const char *text, int64_t number)
{
	return (struct cell){ .bytes = slice_str(text), .number = number };
}

static void put(struct db *db, enum state_tag tag, const struct cell *keys, uint64_t seq)
{
	char text[32];
	struct cell columns[TABLE_COLUMNS_MAX];

	(void)snprintf(text, sizeof(text), "of %d", (int)seq);
	for (int i = 0; i < TABLE_COLUMNS_MAX; i++)
		columns[i] = cell(text, (int64_t)seq * 10 + i);
	assert_int_equal(table_put(db, tag, keys, columns, seq, NULL), STATUS_OK);
}

static void assert_row(const struct table_row *row, uint64_t seq)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "of %d", (int)seq);
	assert_int_equal(row->from_seq, seq);
	if (row->column[0].bytes.len)
		assert_true(slice_equal_str(row->column[0].bytes, text));
	else
		assert_int_equal(row->column[0].number, seq * 10);
}

/* Row @seq, or none for 0, is in force at event @at. */
static void assert_at(struct db *db, enum state_tag tag, const struct cell *keys, uint64_t at,
		      uint64_t seq)
{
	struct arena arena AUTO(arena_release) = ARENA_INIT;
	struct table_row row = { .from_seq = 99 };
	enum status status = table_get(db, tag, keys, at, &arena, &row, NULL);

	assert_int_equal(status, seq ? STATUS_OK : STATUS_NOT_FOUND);
	if (seq)
		assert_row(&row, seq);
	else
		assert_int_equal(row.from_seq, 99);
}

static const struct cell *some_keys(void)
{
	static struct cell keys[TABLE_KEYS_MAX];

	keys[0] = cell("env", 1);
	keys[1] = cell("name", 2);
	keys[2] = cell("KEY", 3);
	return keys;
}

static enum status count_row(void *context, const struct table_row *row, struct error *err)
{
	(void)row;
	(void)err;
	(*(unsigned *)context)++;
	return STATUS_OK;
}

/* --- one key ---------------------------------------------------------------------------------- */

static void every_table_keeps_its_past(void **state)
{
	struct db *db = *state;

	for (int i = 0; i < TAG_COUNT; i++) {
		enum state_tag tag = (enum state_tag)i;
		const struct cell *keys = some_keys();
		static const uint64_t expected[] = { 0, 0, 0, 3, 3, 5, 5, 5, 0, 0, 10, 10 };
		struct table_row row;

		assert_int_equal(table_get_now(db, tag, keys, NULL, NULL, NULL), STATUS_NOT_FOUND);
		put(db, tag, keys, 3);
		put(db, tag, keys, 5);
		assert_int_equal(table_get_now(db, tag, keys, NULL, &row, NULL), STATUS_OK);
		assert_int_equal(row.from_seq, 5);
		assert_int_equal(row.key[0].bytes.len, 0); /* no arena, no bytes */
		assert_int_equal(table_remove(db, tag, keys, table_key_count(tag), 8, NULL),
				 STATUS_OK);
		assert_int_equal(table_get_now(db, tag, keys, NULL, NULL, NULL), STATUS_NOT_FOUND);
		/* To remove what is not there is no failure. */
		assert_int_equal(table_remove(db, tag, keys, table_key_count(tag), 9, NULL),
				 STATUS_OK);
		put(db, tag, keys, 10);
		for (uint64_t at = 0; at < sizeof(expected) / sizeof(expected[0]); at++)
			assert_at(db, tag, keys, at, expected[at]);
		assert_at(db, tag, keys, UINT64_MAX, 10);
	}
}

static void the_row_says_all_that_was_put(void **state)
{
	struct arena arena AUTO(arena_release) = ARENA_INIT;
	static const uint8_t blob[] = { 0, 255, 0, 1 };
	struct cell key = cell_text(slice_str("e"));
	struct cell columns[] = { cell_number(1), cell_text(slice_of(blob, sizeof(blob))),
				  cell_text(slice_of("", 0)) };
	struct table_row row;

	assert_int_equal(table_put(*state, TAG_ENVIRONMENT, &key, columns, 4, NULL), STATUS_OK);
	assert_int_equal(table_get_now(*state, TAG_ENVIRONMENT, &key, &arena, &row, NULL),
			 STATUS_OK);
	assert_true(slice_equal_str(row.key[0].bytes, "e"));
	assert_int_equal(row.column[ENVIRONMENT_PROTECTED].number, 1);
	assert_true(slice_equal(row.column[ENVIRONMENT_TITLE].bytes, slice_of(blob, sizeof(blob))));
	assert_int_equal(row.column[ENVIRONMENT_DESCRIPTION].bytes.len, 0);
	assert_int_equal(row.from_seq, 4);
}

static void keys_differ_in_every_part(void **state)
{
	static const char *const names[] = { "a", "A", "a ", "ab", "" };
	struct cell keys[3];
	uint64_t seq = 0;

	for (int part = 0; part < 3; part++) {
		for (int i = 0; i < 5; i++) {
			memcpy(keys, some_keys(), sizeof(keys));
			keys[part] = cell(names[i], 0);
			put(*state, TAG_VARIABLE, keys, ++seq);
		}
	}
	for (int part = 2; part >= 0; part--) {
		for (int i = 4; i >= 0; i--, seq--) {
			memcpy(keys, some_keys(), sizeof(keys));
			keys[part] = cell(names[i], 0);
			assert_at(*state, TAG_VARIABLE, keys, 100, seq);
		}
	}
}

/* --- walks ------------------------------------------------------------------------------------ */

/* Variables in three profiles; each is one of "B", "A", "C", "a". */
static void fill(struct db *db)
{
	static const char *const places[][2] = { { "e", "p" }, { "e", "q" }, { "ee", "p" } };
	static const char *const names[] = { "B", "A", "C", "a" };
	uint64_t seq = 0;

	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 4; j++) {
			struct cell keys[] = { cell(places[i][0], 0), cell(places[i][1], 0),
					       cell(names[j], 0) };

			put(db, TAG_VARIABLE, keys, ++seq);
			put(db, TAG_DATABASE, keys, seq);
		}
	}
}

struct walked {
	char keys[16][8];
	size_t count;
	size_t stop_at; /* 0: never */
};

static enum status walk_row(void *context, const struct table_row *row, struct error *err)
{
	struct walked *walked = context;

	(void)snprintf(walked->keys[walked->count++], 8, SLICE_FMT, SLICE_ARG(row->key[2].bytes));
	if (walked->count == walked->stop_at)
		return error_set(err, STATUS_DENIED, "enough");
	return STATUS_OK;
}

static void a_walk_is_in_byte_order_and_stays_within_the_prefix(void **state)
{
	static const enum state_tag tags[] = { TAG_VARIABLE, TAG_DATABASE };
	static const char *const order[] = { "A", "B", "C", "a" };
	struct cell keys[] = { cell("e", 0), cell("q", 0) };

	fill(*state);
	for (int i = 0; i < 2; i++) {
		struct walked walked = { .count = 0 };

		assert_int_equal(table_each(*state, tags[i], keys, 2, 99, walk_row, &walked, NULL),
				 STATUS_OK);
		assert_int_equal(walked.count, 4);
		for (int j = 0; j < 4; j++)
			assert_string_equal(walked.keys[j], order[j]);
		/* Rows 5..8 are of this profile; at event 6 stand B and A. */
		walked.count = 0;
		assert_int_equal(table_each(*state, tags[i], keys, 2, 6, walk_row, &walked, NULL),
				 STATUS_OK);
		assert_int_equal(walked.count, 2);
		assert_int_equal(table_each(*state, tags[i], keys, 2, 4, walk_row, &walked, NULL),
				 STATUS_OK);
		assert_int_equal(walked.count, 2);
	}
}

static void a_walk_sees_one_row_for_each_key(void **state)
{
	struct cell keys[] = { cell("e", 0), cell("p", 0), cell("K", 0) };
	struct cell other[] = { cell("e", 0), cell("p", 0), cell("L", 0) };

	for (uint64_t seq = 1; seq <= 20; seq++)
		put(*state, TAG_VARIABLE, seq % 2 ? keys : other, seq);
	assert_int_equal(table_remove(*state, TAG_VARIABLE, keys, 3, 21, NULL), STATUS_OK);
	for (uint64_t at = 0; at <= 22; at++) {
		unsigned count = 0;
		unsigned expected = (at >= 1 && at < 21 ? 1U : 0U) + (at >= 2 ? 1U : 0U);

		assert_int_equal(
			table_each(*state, TAG_VARIABLE, keys, 2, at, count_row, &count, NULL),
			STATUS_OK);
		assert_int_equal(count, expected);
	}
}

static void a_visitor_can_stop_a_walk(void **state)
{
	struct cell keys[] = { cell("e", 0), cell("p", 0) };
	struct walked walked = { .stop_at = 2 };
	struct error err = ERROR_INIT;

	fill(*state);
	assert_int_equal(table_each(*state, TAG_VARIABLE, keys, 2, 99, walk_row, &walked, &err),
			 STATUS_DENIED);
	assert_string_equal(err.text, "enough");
	assert_int_equal(walked.count, 2);
	/* The statement is free again. */
	walked.stop_at = 0;
	assert_int_equal(table_each(*state, TAG_VARIABLE, keys, 2, 99, walk_row, &walked, NULL),
			 STATUS_OK);
	assert_int_equal(walked.count, 6);
}

static void removing_by_prefix_takes_only_what_is_below(void **state)
{
	struct cell keys[] = { cell("e", 0), cell("p", 0) };
	struct cell other[] = { cell("ee", 0), cell("p", 0) };
	unsigned count = 0;

	fill(*state);
	assert_int_equal(table_remove(*state, TAG_VARIABLE, keys, 2, 50, NULL), STATUS_OK);
	assert_int_equal(table_each(*state, TAG_VARIABLE, keys, 2, 50, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 0);
	keys[1] = cell("q", 0);
	assert_int_equal(table_each(*state, TAG_VARIABLE, keys, 2, 50, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 4);
	/* A whole environment: two profiles in it, one beside it. */
	assert_int_equal(table_remove(*state, TAG_DATABASE, keys, 1, 51, NULL), STATUS_OK);
	assert_int_equal(table_each(*state, TAG_DATABASE, keys, 1, 51, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 4);
	assert_int_equal(table_each(*state, TAG_DATABASE, keys, 1, 50, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 12);
	assert_int_equal(table_each(*state, TAG_DATABASE, other, 1, 51, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(count, 16);
}

/* What came and went within one event leaves no trace but that it is gone. */
static void the_last_word_of_an_event_counts(void **state)
{
	const struct cell *keys = some_keys();

	put(*state, TAG_VARIABLE, keys, 3);
	put(*state, TAG_VARIABLE, keys, 7);
	assert_int_equal(table_remove(*state, TAG_VARIABLE, keys, 3, 7, NULL), STATUS_OK);
	assert_at(*state, TAG_VARIABLE, keys, 6, 3);
	assert_at(*state, TAG_VARIABLE, keys, 7, 0);
	put(*state, TAG_VARIABLE, keys, 7);
	assert_at(*state, TAG_VARIABLE, keys, 7, 7);
}

/* --- where bytes lie -------------------------------------------------------------------------- */

static void put_variable(struct db *db, const char *key, uint64_t seq, uint64_t value_seq,
			 uint32_t index, bool sealed)
{
	struct cell keys[] = { cell("e", 0), cell("p", 0), cell(key, 0) };
	struct cell columns[] = { cell_number(value_seq), cell_number(index), cell_number(sealed),
				  cell_number(false) };

	assert_int_equal(table_put(db, TAG_VARIABLE, keys, columns, seq, NULL), STATUS_OK);
}

static void the_origin_of_a_value_holds_its_bytes(void **state)
{
	bool sealed = false;

	put_variable(*state, "A", 5, 5, 2, true);
	put_variable(*state, "B", 6, 5, 2, true); /* a copy */
	put_variable(*state, "A", 7, 7, 0, false);
	assert_int_equal(table_value_origin(*state, 5, 2, &sealed, NULL), STATUS_OK);
	assert_true(sealed);
	assert_int_equal(table_value_origin(*state, 7, 0, &sealed, NULL), STATUS_OK);
	assert_false(sealed);
	sealed = true;
	assert_int_equal(table_value_origin(*state, 5, 1, &sealed, NULL), STATUS_NOT_FOUND);
	assert_int_equal(table_value_origin(*state, 6, 2, &sealed, NULL), STATUS_NOT_FOUND);
	assert_int_equal(table_value_origin(*state, UINT64_MAX, 0, &sealed, NULL),
			 STATUS_NOT_FOUND);
	assert_true(sealed);
}

static void plain_values_are_found_in_every_profile_there_was(void **state)
{
	struct cell gone[] = { cell("env", 0), cell("gone", 0), cell("K", 0) };
	struct cell columns[TABLE_COLUMNS_MAX] = { cell("", 0) };
	struct db *db = *state;
	bool was_plain = true;

	put_variable(db, "A", 5, 5, 0, true);
	assert_int_equal(table_key_was_plain(db, slice_str("A"), &was_plain, NULL), STATUS_OK);
	assert_false(was_plain);
	assert_int_equal(table_put(db, TAG_PROFILE, gone, columns, 6, NULL), STATUS_OK);
	columns[VARIABLE_SEALED] = cell("", 1);
	assert_int_equal(table_put(db, TAG_VARIABLE, gone, columns, 6, NULL), STATUS_OK);
	assert_int_equal(table_key_was_plain(db, slice_str("K"), &was_plain, NULL), STATUS_OK);
	assert_false(was_plain);
	columns[VARIABLE_SEALED] = cell("", 0);
	assert_int_equal(table_put(db, TAG_VARIABLE, gone, columns, 7, NULL), STATUS_OK);
	assert_int_equal(table_remove(db, TAG_VARIABLE, gone, 2, 8, NULL), STATUS_OK);
	assert_int_equal(table_remove(db, TAG_PROFILE, gone, 2, 8, NULL), STATUS_OK);
	assert_int_equal(table_key_was_plain(db, slice_str("K"), &was_plain, NULL), STATUS_OK);
	assert_true(was_plain);
	/* Not of another key. */
	assert_int_equal(table_key_was_plain(db, slice_str("A"), &was_plain, NULL), STATUS_OK);
	assert_false(was_plain);
}

/* --- plans ------------------------------------------------------------------------------------ */

/* A step that reads a table row by row, sorts, or makes an index for the occasion. */
static bool is_slow(const char *step)
{
	bool search = strncmp(step, "SEARCH ", 7) == 0;

	if (strstr(step, "TEMP B-TREE") || strstr(step, "AUTOMATIC"))
		return true;
	if (search) /* a table without rowids is its primary key's index */
		return !strstr(step, " INDEX ") && !strstr(step, " USING PRIMARY KEY ");
	/* What a recursion has found so far is read from its queue, and what a question in
	 * brackets has found from its result. Profiles are few. */
	return strncmp(step, "SCAN", 4) == 0 && strcmp(step, "SCAN k") != 0 &&
	       strncmp(step, "SCAN p", 6) != 0 && !strstr(step, "subquery");
}

/* How SQLite goes about the statement, one step after another. */
static void explain(struct db *db, const char *sql, struct buf *ret)
{
	struct buf question AUTO(buf_release) = BUF_INIT;
	sqlite3_stmt *stmt = NULL;

	buf_clear(ret);
	buf_printf(&question, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(db_handle(db), buf_str(&question), -1, &stmt, NULL),
			 SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(stmt, 3);

		if (is_slow(step))
			fail_msg("%s: %s", sql, step);
		buf_printf(ret, "%s\n", step);
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void ask_everything(struct db *db)
{
	const struct cell *keys = some_keys();
	unsigned count = 0;
	bool sealed, was_plain;

	put(db, TAG_VARIABLE, keys, 1);
	assert_int_equal(table_remove(db, TAG_VARIABLE, keys, 3, 2, NULL), STATUS_OK);
	assert_int_equal(table_remove(db, TAG_VARIABLE, keys, 2, 3, NULL), STATUS_OK);
	assert_at(db, TAG_VARIABLE, keys, 1, 1);
	assert_int_equal(table_get_now(db, TAG_VARIABLE, keys, NULL, NULL, NULL), STATUS_NOT_FOUND);
	assert_int_equal(table_each(db, TAG_VARIABLE, keys, 2, 1, count_row, &count, NULL),
			 STATUS_OK);
	assert_int_equal(table_value_origin(db, 9, 9, &sealed, NULL), STATUS_NOT_FOUND);
	assert_int_equal(table_key_was_plain(db, slice_str("KEY"), &was_plain, NULL), STATUS_OK);
	assert_int_equal(count, 1);
}

/* A statement, told by how it begins and what it contains, and what its plan must look up. */
struct plan {
	const char *begins;
	const char *contains;
	const char *looks_up;
	unsigned found;
};

static void no_question_about_variables_scans_the_table(void **state)
{
#define PROFILE_KEY "environment=? AND profile=?"
#define WHOLE_KEY   PROFILE_KEY " AND key=?"
	/* clang-format off */
	struct plan plans[] = {
		{ "SELECT env", "LIMIT 1", "PRIMARY KEY (" WHOLE_KEY " AND from_seq<?)", 0 },
		{ "SELECT 1", "", "v USING PRIMARY KEY (" WHOLE_KEY ")", 0 },
		{ "SELECT sealed", "", "INDEX variable_from (from_seq=? AND value_index=?", 0 },
		{ "WITH", ") SELECT", "PRIMARY KEY (" PROFILE_KEY " AND key>?)", 0 },
		{ "WITH", ") SELECT", "v USING PRIMARY KEY (" WHOLE_KEY " AND from_seq=?)", 0 },
		{ "WITH", ") INSERT", "PRIMARY KEY (" PROFILE_KEY " AND key>?)", 0 },
		{ "WITH", ") INSERT", "v USING PRIMARY KEY (" WHOLE_KEY " AND from_seq=?)", 0 },
		{ "INSERT", "LIMIT 1", "PRIMARY KEY (" WHOLE_KEY " AND from_seq<?)", 0 },
	};
	/* clang-format on */
	struct buf plan AUTO(buf_release) = BUF_INIT;
	unsigned explained = 0;

	ask_everything(*state);
	for (sqlite3_stmt *stmt = sqlite3_next_stmt(db_handle(*state), NULL); stmt;
	     stmt = sqlite3_next_stmt(db_handle(*state), stmt)) {
		const char *sql = sqlite3_sql(stmt);

		if (!strstr(sql, " variable ") || strstr(sql, " VALUES "))
			continue;
		explain(*state, sql, &plan);
		explained++;
		for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
			if (strncmp(sql, plans[i].begins, strlen(plans[i].begins)) != 0 ||
			    !strstr(sql, plans[i].contains))
				continue;
			plans[i].found++;
			if (!strstr(buf_str(&plan), plans[i].looks_up))
				fail_msg("%s:\n%s", sql, buf_str(&plan));
		}
	}
	assert_int_equal(explained, 6);
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		assert_int_equal(plans[i].found, 1);
}

#define ON_TABLES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TABLES(every_table_keeps_its_past),
		ON_TABLES(the_row_says_all_that_was_put),
		ON_TABLES(keys_differ_in_every_part),
		ON_TABLES(a_walk_is_in_byte_order_and_stays_within_the_prefix),
		ON_TABLES(a_walk_sees_one_row_for_each_key),
		ON_TABLES(a_visitor_can_stop_a_walk),
		ON_TABLES(removing_by_prefix_takes_only_what_is_below),
		ON_TABLES(the_last_word_of_an_event_counts),
		ON_TABLES(the_origin_of_a_value_holds_its_bytes),
		ON_TABLES(plain_values_are_found_in_every_profile_there_was),
		ON_TABLES(no_question_about_variables_scans_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
