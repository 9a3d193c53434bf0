/*
 * Temporal tables; see tables.h. Statements are made from the descriptors below on first use.
 */
#include "projections/tables.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "projections/db.h"
#include "projections/schema.h"
#include "store/state_model.h"

#include "base/banned.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_BLOB,
	COLUMN_NUMBER,
};

struct column {
	const char *name;
	enum column_kind kind;
};

struct table {
	const char *name;
	unsigned key_count;
	unsigned column_count;
	struct column keys[TABLE_KEYS_MAX];
	struct column columns[TABLE_COLUMNS_MAX];
};

/* clang-format off */
static const struct table tables[TAG_COUNT] = {
	[TAG_ACTIVE] = { "active", 1, 1,
		{ { "environment", COLUMN_TEXT } },
		{ { "name", COLUMN_TEXT } } },
	[TAG_BACKUP] = { "backup", 1, 1,
		{ { "seq", COLUMN_NUMBER } },
		{ { "definition", COLUMN_BLOB } } },
	[TAG_BACKUP_CHECK] = { "backup_check", 1, 1,
		{ { "seq", COLUMN_NUMBER } },
		{ { "definition", COLUMN_BLOB } } },
	[TAG_CATEGORY] = { "category", 1, 1,
		{ { "name", COLUMN_TEXT } },
		{ { "definition", COLUMN_BLOB } } },
	[TAG_DATABASE] = { "database", 3, 1,
		{ { "environment", COLUMN_TEXT }, { "profile", COLUMN_TEXT },
		  { "name", COLUMN_TEXT } },
		{ { "definition", COLUMN_BLOB } } },
	[TAG_ENVIRONMENT] = { "environment", 1, 3,
		{ { "name", COLUMN_TEXT } },
		{ { "protected", COLUMN_NUMBER }, { "title", COLUMN_BLOB },
		  { "description", COLUMN_BLOB } } },
	[TAG_KEY] = { "environment_key", 2, 1,
		{ { "environment", COLUMN_TEXT }, { "generation", COLUMN_NUMBER } },
		{ { "definition", COLUMN_BLOB } } },
	[TAG_LOCK] = { "lock", 1, 1,
		{ { "environment", COLUMN_TEXT } },
		{ { "until_ms", COLUMN_NUMBER } } },
	[TAG_PROFILE] = { "profile", 2, 3,
		{ { "environment", COLUMN_TEXT }, { "name", COLUMN_TEXT } },
		{ { "base", COLUMN_TEXT }, { "title", COLUMN_BLOB },
		  { "description", COLUMN_BLOB } } },
	[TAG_REPLACEMENT] = { "replacement", 3, 3,
		{ { "environment", COLUMN_TEXT }, { "profile", COLUMN_TEXT },
		  { "name", COLUMN_TEXT } },
		{ { "phase", COLUMN_NUMBER }, { "started", COLUMN_NUMBER },
		  { "safety", COLUMN_NUMBER } } },
	[TAG_SPECIFICATION] = { "specification", 1, 2,
		{ { "key", COLUMN_TEXT } },
		{ { "category", COLUMN_TEXT }, { "definition", COLUMN_BLOB } } },
	[TAG_VARIABLE] = { "variable", 3, 4,
		{ { "environment", COLUMN_TEXT }, { "profile", COLUMN_TEXT },
		  { "key", COLUMN_TEXT } },
		{ { "value_seq", COLUMN_NUMBER }, { "value_index", COLUMN_NUMBER },
		  { "sealed", COLUMN_NUMBER }, { "expand", COLUMN_NUMBER } } },
	[TAG_VIOLATION] = { "violation", 1, 1,
		{ { "seq", COLUMN_NUMBER } },
		{ { "rule", COLUMN_NUMBER } } },
};
/* clang-format on */

/* Statement slots of one table; the ones that take a key prefix have one slot per prefix length. */
enum operation {
	OP_PUT,
	OP_GET,
	OP_REMOVE,
	OP_EACH = OP_REMOVE + TABLE_KEYS_MAX + 1,
	OP_COUNT = OP_EACH + TABLE_KEYS_MAX + 1,
};

enum {
	SLOT_VALUE_ORIGIN = (int)TAG_COUNT * (int)OP_COUNT,
	SLOT_KEY_WAS_PLAIN,
	SLOT_END,
};

static_assert((int)SLOT_END + 2 <= (int)DB_SLOTS, "every statement has a slot");

/*
 * Variables of a profile in force at a past event without reading the whole history: step from key
 * to key by index, and for each take its last row up to that event. CROSS JOIN holds the planner to
 * that order of work, which is also the order of the keys.
 */
#define STEP_THROUGH_KEYS                                                        \
	"WITH RECURSIVE k(key) AS ("                                             \
	" SELECT min(key) FROM variable WHERE environment = ?1 AND profile = ?2" \
	" UNION ALL SELECT (SELECT min(key) FROM variable"                       \
	"  WHERE environment = ?1 AND profile = ?2 AND key > k.key) FROM k WHERE k.key IS NOT NULL) "
#define LAST_OF_KEY                                                                      \
	" FROM k CROSS JOIN variable v ON v.environment = ?1 AND v.profile = ?2"         \
	" AND v.key = k.key AND v.from_seq = (SELECT max(from_seq) FROM variable"        \
	"  WHERE environment = ?1 AND profile = ?2 AND key = k.key AND from_seq <= ?3) " \
	"WHERE v.gone = 0"

static const char each_variable[] = STEP_THROUGH_KEYS
	"SELECT v.environment, v.profile, v.key, v.value_seq, v.value_index, v.sealed, v.expand,"
	" v.gone, v.from_seq" LAST_OF_KEY;

static const char remove_variables[] =
	STEP_THROUGH_KEYS "INSERT OR REPLACE INTO variable "
			  "SELECT v.environment, v.profile, v.key, 0, 0, 0, 0, 1, ?3" LAST_OF_KEY;

unsigned table_key_count(enum state_tag tag)
{
	return tables[tag].key_count;
}

enum status tables_create(struct db *db, struct error *err)
{
	return db_exec(db, schema_sql, err);
}

static void add_where(struct buf *sql, const struct table *table, unsigned key_count)
{
	for (unsigned i = 0; i < key_count; i++)
		buf_printf(sql, "%s%s = ?%u", i ? " AND " : "", table->keys[i].name, i + 1);
}

static void add_keys(struct buf *sql, const struct table *table)
{
	for (unsigned i = 0; i < table->key_count; i++)
		buf_printf(sql, "%s%s", i ? ", " : "", table->keys[i].name);
}

/* In the order of schema.sql and of read_row(). */
static void add_columns(struct buf *sql, const struct table *table)
{
	add_keys(sql, table);
	for (unsigned i = 0; i < table->column_count; i++)
		buf_printf(sql, ", %s", table->columns[i].name);
	buf_append_str(sql, ", gone");
}

static void sql_put(struct buf *sql, const struct table *table)
{
	unsigned count = table->key_count + table->column_count;

	buf_printf(sql, "INSERT OR REPLACE INTO %s VALUES (", table->name);
	for (unsigned i = 0; i < count; i++)
		buf_printf(sql, "?%u, ", i + 1);
	buf_printf(sql, "0, ?%u)", count + 1);
}

static void sql_get(struct buf *sql, const struct table *table)
{
	buf_append_str(sql, "SELECT ");
	add_columns(sql, table);
	buf_printf(sql, ", from_seq FROM %s WHERE ", table->name);
	add_where(sql, table, table->key_count);
	buf_printf(sql, " AND from_seq <= ?%u ORDER BY from_seq DESC LIMIT 1",
		   table->key_count + 1);
}

/* Beside max() SQLite takes the other columns from the row that holds the greatest. */
static void sql_each(struct buf *sql, const struct table *table, unsigned key_count)
{
	buf_append_str(sql, "SELECT ");
	add_columns(sql, table);
	buf_printf(sql, ", max(from_seq) FROM %s WHERE ", table->name);
	add_where(sql, table, key_count);
	buf_printf(sql, "%sfrom_seq <= ?%u GROUP BY ", key_count ? " AND " : "", key_count + 1);
	add_keys(sql, table);
	buf_append_str(sql, " HAVING gone = 0 ORDER BY ");
	add_keys(sql, table);
}

static void sql_remove(struct buf *sql, const struct table *table, unsigned key_count)
{
	static const char *const empty[] = {
		[COLUMN_TEXT] = "''", [COLUMN_BLOB] = "x''", [COLUMN_NUMBER] = "0"
	};

	buf_printf(sql, "INSERT OR REPLACE INTO %s SELECT ", table->name);
	add_keys(sql, table);
	for (unsigned i = 0; i < table->column_count; i++)
		buf_printf(sql, ", %s", empty[table->columns[i].kind]);
	buf_printf(sql, ", 1, ?%u FROM (", key_count + 1);
	if (key_count == table->key_count)
		sql_get(sql, table);
	else
		sql_each(sql, table, key_count);
	buf_append_str(sql, ") WHERE gone = 0");
}

static void operation_sql(struct buf *sql, enum state_tag tag, unsigned operation)
{
	const struct table *table = &tables[tag];
	unsigned keys = operation < OP_EACH ? operation - OP_REMOVE : operation - OP_EACH;

	if (operation == OP_PUT)
		sql_put(sql, table);
	else if (operation == OP_GET)
		sql_get(sql, table);
	else if (tag == TAG_VARIABLE && keys < table->key_count)
		buf_append_str(sql, operation < OP_EACH ? remove_variables : each_variable);
	else if (operation < OP_EACH)
		sql_remove(sql, table, keys);
	else
		sql_each(sql, table, keys);
}

static enum status statement(struct db *db, enum state_tag tag, unsigned operation,
			     sqlite3_stmt **ret, struct error *err)
{
	unsigned slot = (unsigned)tag * OP_COUNT + operation;
	AUTO(buf_release) struct buf sql = BUF_INIT;
	enum status status;

	if (!db_has_statement(db, slot)) {
		operation_sql(&sql, tag, operation);
		status = buf_status(&sql, err);
		if (status)
			return status;
	}
	return db_statement(db, slot, buf_str(&sql), ret, err);
}

/* Bytes are borrowed by the statement until it is reset, which every caller does before returning.
 */
static int bind(sqlite3_stmt *stmt, unsigned at, const struct column *column,
		const struct cell *cell)
{
	const char *bytes = cell->bytes.len ? (const char *)cell->bytes.data : "";

	switch (column->kind) {
	case COLUMN_NUMBER:
		return sqlite3_bind_int64(stmt, (int)at, cell->number);
	case COLUMN_BLOB:
		return sqlite3_bind_blob64(stmt, (int)at, bytes, cell->bytes.len, SQLITE_STATIC);
	case COLUMN_TEXT:
	default:
		return sqlite3_bind_text64(stmt, (int)at, bytes, cell->bytes.len, SQLITE_STATIC,
					   SQLITE_UTF8);
	}
}

static int bind_keys(sqlite3_stmt *stmt, const struct table *table, const struct cell *keys,
		     unsigned count)
{
	int code = SQLITE_OK;

	for (unsigned i = 0; i < count && code == SQLITE_OK; i++)
		code = bind(stmt, i + 1, &table->keys[i], &keys[i]);
	return code;
}

static int bind_seq(sqlite3_stmt *stmt, unsigned at, uint64_t seq)
{
	return sqlite3_bind_int64(stmt, (int)at, seq > INT64_MAX ? INT64_MAX : (int64_t)seq);
}

/* Step a statement that returns no row, and reset it. */
static enum status finish(struct db *db, sqlite3_stmt *stmt, int code, struct error *err)
{
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_DONE) {
		enum status status = db_error(db, code, "write a row", err);

		sqlite3_reset(stmt);
		return status;
	}
	sqlite3_reset(stmt);
	return STATUS_OK;
}

enum status table_remove(struct db *db, enum state_tag tag, const struct cell *keys,
			 unsigned key_count, uint64_t seq, struct error *err)
{
	sqlite3_stmt *stmt;
	enum status status;
	int code;

	assert(key_count >= 1 && key_count <= tables[tag].key_count);
	assert(tag != TAG_VARIABLE || key_count >= 2);
	status = statement(db, tag, OP_REMOVE + key_count, &stmt, err);
	if (status)
		return status;
	code = bind_keys(stmt, &tables[tag], keys, key_count);
	if (code == SQLITE_OK)
		code = bind_seq(stmt, key_count + 1, seq);
	return finish(db, stmt, code, err);
}

enum status table_put(struct db *db, enum state_tag tag, const struct cell *keys,
		      const struct cell *columns, uint64_t seq, struct error *err)
{
	const struct table *table = &tables[tag];
	sqlite3_stmt *stmt;
	enum status status = statement(db, tag, OP_PUT, &stmt, err);
	int code;

	if (status)
		return status;
	code = bind_keys(stmt, table, keys, table->key_count);
	for (unsigned i = 0; i < table->column_count && code == SQLITE_OK; i++)
		code = bind(stmt, table->key_count + i + 1, &table->columns[i], &columns[i]);
	if (code == SQLITE_OK)
		code = bind_seq(stmt, table->key_count + table->column_count + 1, seq);
	return finish(db, stmt, code, err);
}

static struct cell read_cell(sqlite3_stmt *stmt, unsigned at, enum column_kind kind)
{
	struct cell cell = { .number = 0 };

	if (kind == COLUMN_NUMBER) {
		cell.number = sqlite3_column_int64(stmt, (int)at);
	} else {
		const void *bytes = kind == COLUMN_BLOB ? sqlite3_column_blob(stmt, (int)at)
							: sqlite3_column_text(stmt, (int)at);

		cell.bytes = slice_of(bytes, (size_t)sqlite3_column_bytes(stmt, (int)at));
	}
	return cell;
}

static unsigned gone_column(const struct table *table)
{
	return table->key_count + table->column_count;
}

/* The row the statement stands on; bytes live until the next step. */
static void read_row(sqlite3_stmt *stmt, const struct table *table, struct table_row *ret)
{
	for (unsigned i = 0; i < table->key_count; i++)
		ret->key[i] = read_cell(stmt, i, table->keys[i].kind);
	for (unsigned i = 0; i < table->column_count; i++)
		ret->column[i] = read_cell(stmt, table->key_count + i, table->columns[i].kind);
	ret->from_seq = (uint64_t)sqlite3_column_int64(stmt, (int)gone_column(table) + 1);
}

static enum status keep_cell(struct arena *arena, struct cell *cell, struct error *err)
{
	if (!arena) {
		cell->bytes = slice_of(NULL, 0);
		return STATUS_OK;
	}
	cell->bytes = arena_copy(arena, cell->bytes);
	return cell->bytes.data ? STATUS_OK : error_no_memory(err);
}

static enum status keep_row(struct arena *arena, const struct table *table, struct table_row *row,
			    struct error *err)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < table->key_count && !status; i++)
		status = keep_cell(arena, &row->key[i], err);
	for (unsigned i = 0; i < table->column_count && !status; i++)
		status = keep_cell(arena, &row->column[i], err);
	return status;
}

/* Take the last row of the key that the bound statement may return. */
static enum status take_row(struct db *db, sqlite3_stmt *stmt, enum state_tag tag,
			    struct arena *arena, struct table_row *ret, struct error *err)
{
	const struct table *table = &tables[tag];
	struct table_row row = { .from_seq = 0 };
	int code = sqlite3_step(stmt);
	enum status status = STATUS_NOT_FOUND;

	if (code == SQLITE_ROW && sqlite3_column_int(stmt, (int)gone_column(table)) == 0) {
		read_row(stmt, table, &row);
		status = keep_row(arena, table, &row, err);
		if (!status && ret)
			*ret = row;
	} else if (code != SQLITE_ROW && code != SQLITE_DONE) {
		status = db_error(db, code, "read a row", err);
	}
	sqlite3_reset(stmt);
	return status;
}

/* NOLINTNEXTLINE(readability-function-size): a question in full, and where its answer goes */
enum status table_get(struct db *db, enum state_tag tag, const struct cell *keys, uint64_t at,
		      struct arena *arena, struct table_row *ret, struct error *err)
{
	const struct table *table = &tables[tag];
	sqlite3_stmt *stmt;
	enum status status = statement(db, tag, OP_GET, &stmt, err);
	int code;

	if (status)
		return status;
	code = bind_keys(stmt, table, keys, table->key_count);
	if (code == SQLITE_OK)
		code = bind_seq(stmt, table->key_count + 1, at);
	if (code != SQLITE_OK)
		return db_error(db, code, "bind a key", err);
	return take_row(db, stmt, tag, arena, ret, err);
}

enum status table_get_now(struct db *db, enum state_tag tag, const struct cell *keys,
			  struct arena *arena, struct table_row *ret, struct error *err)
{
	return table_get(db, tag, keys, UINT64_MAX, arena, ret, err);
}

static enum status visit_all(struct db *db, sqlite3_stmt *stmt, enum state_tag tag,
			     table_visit visit, void *context, struct error *err)
{
	enum status status = STATUS_OK;
	int code;

	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct table_row row = { .from_seq = 0 };

		read_row(stmt, &tables[tag], &row);
		status = visit(context, &row, err);
		if (status)
			break;
	}
	if (!status && code != SQLITE_DONE)
		status = db_error(db, code, "read rows", err);
	sqlite3_reset(stmt);
	return status;
}

/* NOLINTNEXTLINE(readability-function-size): a question in full, and where its answer goes */
enum status table_each(struct db *db, enum state_tag tag, const struct cell *keys,
		       unsigned key_count, uint64_t at, table_visit visit, void *context,
		       struct error *err)
{
	sqlite3_stmt *stmt;
	enum status status;
	int code;

	assert(key_count <= tables[tag].key_count);
	assert(tag != TAG_VARIABLE || key_count == 2);
	status = statement(db, tag, OP_EACH + key_count, &stmt, err);
	if (status)
		return status;
	code = bind_keys(stmt, &tables[tag], keys, key_count);
	if (code == SQLITE_OK)
		code = bind_seq(stmt, key_count + 1, at);
	if (code != SQLITE_OK)
		return db_error(db, code, "bind a key", err);
	return visit_all(db, stmt, tag, visit, context, err);
}

enum status table_key_was_plain(struct db *db, struct slice key, bool *ret, struct error *err)
{
	/* CROSS JOIN: the profiles first, which are few; see SQLite's "The SQLite Query Optimizer
	 * Overview", 8.3. */
	static const char sql[] =
		"SELECT 1 FROM (SELECT DISTINCT environment, name FROM profile) AS p"
		" CROSS JOIN variable AS v ON v.environment = p.environment AND v.profile = p.name"
		" WHERE v.key = ?1 AND v.gone = 0 AND v.sealed = 0 LIMIT 1";
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, SLOT_KEY_WAS_PLAIN, sql, &stmt, err);
	struct cell cell = cell_text(key);
	int code;

	if (status)
		return status;
	code = bind(stmt, 1, &tables[TAG_VARIABLE].keys[2], &cell);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW || code == SQLITE_DONE)
		*ret = code == SQLITE_ROW;
	else
		status = db_error(db, code, "look for plain values", err);
	sqlite3_reset(stmt);
	return status;
}

enum status table_value_origin(struct db *db, uint64_t seq, uint32_t index, bool *ret_sealed,
			       struct error *err)
{
	static const char sql[] = "SELECT sealed FROM variable WHERE from_seq = ?1"
				  " AND value_index = ?2 AND value_seq = ?1";
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, SLOT_VALUE_ORIGIN, sql, &stmt, err);
	int code;

	if (status)
		return status;
	code = bind_seq(stmt, 1, seq);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 2, index);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*ret_sealed = sqlite3_column_int(stmt, 0) != 0;
	else if (code == SQLITE_DONE)
		status = STATUS_NOT_FOUND;
	else
		status = db_error(db, code, "look up a value", err);
	sqlite3_reset(stmt);
	return status;
}
