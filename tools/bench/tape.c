/*
 * Recording and playing SQLite statements; see tape.h.
 *
 * SQLite tells a tracer the SQL of a statement and the same SQL with its values written out as
 * literals. Reading both side by side gives the values back: a parameter ?N stands where the other
 * text has a literal. A run on the tape is:
 *   u32 number of the statement, u32 number of values, then for each value
 *   u32 parameter, one byte of kind, and: integer u64; text and blob u32 length, bytes; null
 * nothing
 */
#include "tape.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"

#include "base/banned.h"

enum kind {
	KIND_INTEGER = 'i',
	KIND_LITERAL_TEXT = 't',
	KIND_BLOB = 'b',
	KIND_NULL = 'n',
};

/* --- recording -------------------------------------------------------------------------------- */

static void trouble(struct tape *tape, const char *why)
{
	if (!tape->trouble)
		tape->trouble = why;
}

/* The number of the statement; new ones are kept. */
static uint32_t number_of(struct tape *tape, const char *sql)
{
	for (size_t i = 0; i < tape->sql_count; i++)
		if (strcmp(tape->sql[i], sql) == 0)
			return (uint32_t)i;
	if (tape->sql_count == TAPE_STATEMENTS_MAX) {
		trouble(tape, "too many different statements");
		return 0;
	}
	tape->sql[tape->sql_count] = strdup(sql);
	if (!tape->sql[tape->sql_count]) {
		trouble(tape, "out of memory");
		return 0;
	}
	return (uint32_t)tape->sql_count++;
}

/* 'it''s': returns what follows it. */
static const char *record_text(struct tape *tape, const char *literal)
{
	size_t len_at = tape->runs.len, len;

	buf_append_u32be(&tape->runs, 0);
	for (literal++; *literal; literal++) {
		if (*literal == '\'') {
			literal++; /* a second one stands for itself */
			if (*literal != '\'')
				break;
		}
		buf_append_byte(&tape->runs, (uint8_t)*literal);
	}
	if (buf_status(&tape->runs, NULL))
		return literal;
	len = tape->runs.len - len_at - 4;
	store_u32be(tape->runs.data + len_at, (uint32_t)len);
	return literal;
}

/* x'0aff' */
static const char *record_blob(struct tape *tape, const char *literal)
{
	size_t digits = strspn(literal + 2, "0123456789abcdefABCDEF");
	uint8_t *bytes;

	buf_append_u32be(&tape->runs, (uint32_t)(digits / 2));
	bytes = buf_reserve(&tape->runs, digits / 2);
	if (bytes && text_from_hex(slice_of(literal + 2, digits), bytes, digits / 2))
		tape->runs.len += digits / 2;
	else
		trouble(tape, "a blob that cannot be read");
	return literal + 2 + digits + 1;
}

static const char *record_integer(struct tape *tape, const char *literal)
{
	size_t len = strspn(literal, "-0123456789");
	int64_t value = 0;

	if (!text_to_i64(slice_of(literal, len), &value))
		trouble(tape, "a value of a kind that is not known");
	buf_append_u64be(&tape->runs, (uint64_t)value);
	return literal + len;
}

/* Record the value that stands at @literal; returns what follows it. */
static const char *record_value(struct tape *tape, uint32_t parameter, const char *literal)
{
	buf_append_u32be(&tape->runs, parameter);
	if (*literal == '\'') {
		buf_append_byte(&tape->runs, KIND_LITERAL_TEXT);
		return record_text(tape, literal);
	}
	if (*literal == 'x') {
		buf_append_byte(&tape->runs, KIND_BLOB);
		return record_blob(tape, literal);
	}
	if (strncmp(literal, "NULL", 4) == 0) {
		buf_append_byte(&tape->runs, KIND_NULL);
		return literal + 4;
	}
	buf_append_byte(&tape->runs, KIND_INTEGER);
	return record_integer(tape, literal);
}

static void record_run(struct tape *tape, const char *sql, const char *expanded)
{
	size_t count_at;
	uint32_t count = 0;
	bool quoted = false;

	buf_append_u32be(&tape->runs, number_of(tape, sql));
	count_at = tape->runs.len;
	buf_append_u32be(&tape->runs, 0);
	while (*sql && *expanded && !tape->trouble) {
		if (*sql == '\'')
			quoted = !quoted;
		if (*sql == '?' && !quoted) {
			char *end;
			unsigned long parameter = strtoul(sql + 1, &end, 10);

			expanded = record_value(tape, (uint32_t)parameter, expanded);
			sql = end;
			count++;
		} else if (*sql++ != *expanded++) {
			trouble(tape, "a statement whose values cannot be read");
		}
	}
	if (buf_status(&tape->runs, NULL))
		trouble(tape, "out of memory");
	else
		store_u32be(tape->runs.data + count_at, count);
	tape->run_count++;
}

static int on_statement(unsigned event, void *context, void *stmt, void *text)
{
	struct tape *tape = context;
	const char *sql = text;
	char *expanded;

	(void)event;
	if (tape->trouble)
		return 0;
	expanded = sqlite3_expanded_sql(stmt);
	/* SQLite puts "-- " before what runs while another statement is being stepped: the tape
	 * could not tell when to step that one again. */
	if (!expanded)
		trouble(tape, "out of memory");
	else if (strncmp(expanded, "-- ", 3) == 0 && strncmp(sql, "-- ", 3) != 0)
		trouble(tape, "statements inside each other");
	else
		record_run(tape, sql, expanded);
	sqlite3_free(expanded);
	return 0;
}

void tape_start(struct tape *tape, sqlite3 *db)
{
	(void)sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, tape);
}

enum status tape_stop(struct tape *tape, sqlite3 *db, struct error *err)
{
	(void)sqlite3_trace_v2(db, 0, NULL, NULL);
	if (tape->trouble)
		return error_set(err, STATUS_IO, "cannot record the statements: %s", tape->trouble);
	return STATUS_OK;
}

void tape_release(struct tape *tape)
{
	for (size_t i = 0; i < tape->sql_count; i++)
		free(tape->sql[i]);
	buf_release(&tape->runs);
	*tape = (struct tape)TAPE_INIT;
}

/* --- playing ---------------------------------------------------------------------------------- */

static uint32_t take_u32(const uint8_t **at)
{
	uint32_t value = load_u32be(*at);

	*at += 4;
	return value;
}

static int bind_next(sqlite3_stmt *stmt, const uint8_t **at)
{
	int parameter = (int)take_u32(at);
	uint8_t kind = *(*at)++;
	const uint8_t *bytes;
	uint32_t len;

	if (kind == KIND_NULL)
		return sqlite3_bind_null(stmt, parameter);
	if (kind == KIND_INTEGER) {
		bytes = *at;
		*at += 8;
		return sqlite3_bind_int64(stmt, parameter, (int64_t)load_u64be(bytes));
	}
	len = take_u32(at);
	bytes = *at;
	*at += len;
	if (kind == KIND_BLOB)
		return sqlite3_bind_blob64(stmt, parameter, bytes, len, SQLITE_STATIC);
	return sqlite3_bind_text64(stmt, parameter, (const char *)bytes, len, SQLITE_STATIC,
				   SQLITE_UTF8);
}

static int play_run(const struct tape *tape, sqlite3 *db, sqlite3_stmt **stmts, const uint8_t **at)
{
	uint32_t number = take_u32(at);
	uint32_t values = take_u32(at);
	int code = SQLITE_OK;

	assert(number < tape->sql_count);
	if (!stmts[number])
		code = sqlite3_prepare_v3(db, tape->sql[number], -1, SQLITE_PREPARE_PERSISTENT,
					  &stmts[number], NULL);
	for (uint32_t i = 0; i < values && code == SQLITE_OK; i++)
		code = bind_next(stmts[number], at);
	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(stmts[number]);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return code;
	return sqlite3_reset(stmts[number]);
}

enum status tape_play(const struct tape *tape, sqlite3 *db, struct error *err)
{
	sqlite3_stmt *stmts[TAPE_STATEMENTS_MAX] = { NULL };
	const uint8_t *at = tape->runs.data;
	enum status status = STATUS_OK;
	int code = SQLITE_OK;

	for (size_t i = 0; i < tape->run_count && code == SQLITE_OK; i++)
		code = play_run(tape, db, stmts, &at);
	if (code != SQLITE_OK)
		status = error_set(err, STATUS_IO, "bare SQLite: %s", sqlite3_errmsg(db));
	for (size_t i = 0; i < tape->sql_count; i++)
		sqlite3_finalize(stmts[i]);
	return status;
}
