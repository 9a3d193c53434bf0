/*
 * The content of a state database as text, but for the position: two are the same when these are.
 */
#ifndef PROVENV_TESTS_UNIT_PROJECTIONS_DUMP_H
#define PROVENV_TESTS_UNIT_PROJECTIONS_DUMP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/error.h"
#include "projections/db.h"
#include "store/state_model.h"

static inline void dump_cell(sqlite3_stmt *stmt, int at, struct buf *ret)
{
	const uint8_t *bytes = sqlite3_column_blob(stmt, at);
	int len = sqlite3_column_bytes(stmt, at);

	buf_printf(ret, " %d:", sqlite3_column_type(stmt, at));
	for (int i = 0; i < len; i++)
		buf_printf(ret, "%02x", bytes[i]);
}

static inline void dump_rows(sqlite3 *handle, const char *sql, struct buf *ret)
{
	sqlite3_stmt *stmt = NULL;

	assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			dump_cell(stmt, i, ret);
		buf_append_str(ret, "\n");
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static inline const char *table_name(enum state_tag tag)
{
	return tag == TAG_KEY ? "environment_key" : state_tag_name(tag);
}

/* The key columns of the table of @tag. */
static inline const char *table_keys(enum state_tag tag)
{
	static const char *const keys[TAG_COUNT] = {
		[TAG_ACTIVE] = "environment",
		[TAG_BACKUP] = "seq",
		[TAG_BACKUP_CHECK] = "seq",
		[TAG_CATEGORY] = "name",
		[TAG_DATABASE] = "environment, profile, name",
		[TAG_ENVIRONMENT] = "name",
		[TAG_KEY] = "environment, generation",
		[TAG_LOCK] = "environment",
		[TAG_PROFILE] = "environment, name",
		[TAG_REPLACEMENT] = "environment, profile, name",
		[TAG_SPECIFICATION] = "key",
		[TAG_VARIABLE] = "environment, profile, key",
		[TAG_VIOLATION] = "seq",
	};

	return keys[tag];
}

/* For each table a view with the name of it and `_now`, of the rows in force now. */
static inline void make_now_views(struct db *db)
{
	for (int i = 0; i < TAG_COUNT; i++) {
		const char *name = table_name((enum state_tag)i);
		char sql[256];

		(void)sqlite3_snprintf(sizeof(sql), sql,
				       "CREATE TEMP VIEW %s_now AS SELECT * FROM (SELECT *, "
				       "max(from_seq) FROM %s GROUP BY %s) WHERE gone = 0",
				       name, name, table_keys((enum state_tag)i));
		assert_int_equal(db_exec(db, sql, NULL), STATUS_OK);
	}
}

static inline void dump(struct db *db, struct buf *ret)
{
	buf_clear(ret);
	for (int i = 0; i < TAG_COUNT; i++) {
		const char *name = table_name((enum state_tag)i);
		char sql[64];

		(void)sqlite3_snprintf(sizeof(sql), sql, "SELECT * FROM %s", name);
		buf_printf(ret, "%s\n", name);
		dump_rows(db_handle(db), sql, ret);
	}
	assert_int_equal(buf_status(ret, NULL), STATUS_OK);
}

/* Both hold the same rows, of the past too. */
static inline void assert_same_tables(struct db *one, struct db *two)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	dump(one, &a);
	dump(two, &b);
	assert_string_equal(buf_str(&a), buf_str(&b));
	buf_release(&a);
	buf_release(&b);
}

#endif
