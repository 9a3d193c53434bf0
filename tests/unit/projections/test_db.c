/*
 * One SQLite connection: its modes, its statements, and what its failures become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "projections/db.h"
#include "projections/page_check.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

static struct db *opened(const char *path, enum db_mode mode)
{
	struct db *db = NULL;
	struct error err = ERROR_INIT;

	if (db_open(path, mode, &db, &err))
		fail_msg("open: %s", err.text);
	return db;
}

static void run(struct db *db, const char *sql)
{
	struct error err = ERROR_INIT;

	if (db_exec(db, sql, &err))
		fail_msg("%s: %s", sql, err.text);
}

static int64_t number(struct db *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t result;

	assert_int_equal(sqlite3_prepare_v2(db_handle(db), sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	result = sqlite3_column_int64(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	return result;
}

/* A finished file with table t of one row, 1. */
static void make_file(const char *path)
{
	struct db *db = opened(path, DB_BUILD);

	run(db, "BEGIN; CREATE TABLE t (a INTEGER NOT NULL); INSERT INTO t VALUES (1); COMMIT");
	assert_int_equal(db_finish_build(db, NULL), STATUS_OK);
	db_close(db);
}

static void write_file(const char *path, const void *data, size_t len)
{
	assert_int_equal(fs_write_durable(path, 0600, slice_of(data, len), NULL), STATUS_OK);
}

static off_t size_of_file(const char *path)
{
	struct stat info;

	return stat(path, &info) ? -1 : info.st_size;
}

/* --- modes ------------------------------------------------------------------------------------ */

static void a_built_file_is_shared_with_a_wal(void **state)
{
	char path[SCRATCH_PATH_MAX], wal[SCRATCH_PATH_MAX], journal[SCRATCH_PATH_MAX];
	struct db *one, *two;

	make_file(scratch_path(state, "1.db", path));
	assert_int_equal(size_of_file(scratch_path(state, "1.db-journal", journal)), -1);
	assert_int_equal(size_of_file(scratch_path(state, "1.db-wal", wal)), -1);
	one = opened(path, DB_SHARED);
	two = opened(path, DB_SHARED);
	/* A reader does not stop a writer: that is what the WAL is for. */
	run(one, "BEGIN");
	assert_int_equal(number(one, "SELECT sum(a) FROM t"), 1);
	run(two, "INSERT INTO t VALUES (2)");
	assert_int_equal(number(one, "SELECT sum(a) FROM t"), 1);
	db_rollback(one);
	assert_int_equal(number(one, "SELECT sum(a) FROM t"), 3);
	db_close(one);
	db_close(two);
	/* No checkpoint on close. */
	assert_true(size_of_file(wal) > 0);
}

static void building_can_roll_back_to_a_savepoint(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct db *db = opened(scratch_path(state, "1.db", path), DB_BUILD);

	run(db, "BEGIN; CREATE TABLE t (a PRIMARY KEY, b)");
	run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
		" INSERT INTO t SELECT i, hex(randomblob(50)) FROM n");
	run(db, "SAVEPOINT command; UPDATE t SET b = 'x'; DELETE FROM t WHERE a % 3 = 0");
	run(db, "ROLLBACK TO command; RELEASE command; COMMIT");
	assert_int_equal(number(db, "SELECT count(*) FROM t WHERE length(b) = 100"), 5000);
	assert_int_equal(db_finish_build(db, NULL), STATUS_OK);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check"
				    " WHERE integrity_check = 'ok'"),
			 1);
	db_close(db);
}

static void memory_and_temporary_ones_leave_no_file(void **state)
{
	struct db *db = opened("ignored", DB_MEMORY);

	run(db, "CREATE TABLE t (a); SAVEPOINT s; INSERT INTO t VALUES (1); ROLLBACK TO s");
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
	db_close(db);
	assert_false(fs_exists("ignored"));
	db = opened("", DB_BUILD);
	run(db, "CREATE TABLE t (a)");
	db_close(db);
	(void)state;
}

static void the_wal_stays_short(void **state)
{
	char path[SCRATCH_PATH_MAX], wal[SCRATCH_PATH_MAX];
	struct db *db;
	off_t most = 0;

	make_file(scratch_path(state, "1.db", path));
	(void)scratch_path(state, "1.db-wal", wal);
	db = opened(path, DB_SHARED);
	for (int i = 0; i < 300; i++) {
		run(db, "INSERT INTO t VALUES (1)");
		if (size_of_file(wal) > most)
			most = size_of_file(wal);
	}
	db_close(db);
	assert_true(most > 0);
	assert_true(most < (off_t)100 * 4120);
}

static void finishing_needs_a_wal(void **state)
{
	/* A temporary file, like some file systems, can have none. */
	struct db *db = opened("", DB_BUILD);
	struct error err = ERROR_INIT;

	assert_int_equal(db_finish_build(db, &err), STATUS_IO);
	assert_non_null(strstr(err.text, "write-ahead log"));
	db_close(db);
	(void)state;
}

/* --- failures --------------------------------------------------------------------------------- */

static void a_missing_file_is_not_made(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct db *db = NULL;

	assert_int_equal(db_open(scratch_path(state, "1.db", path), DB_SHARED, &db, NULL),
			 STATUS_IO);
	assert_null(db);
	assert_false(fs_exists(path));
}

static void a_link_is_not_followed(void **state)
{
	char path[SCRATCH_PATH_MAX], link[SCRATCH_PATH_MAX];
	struct db *db = NULL;

	make_file(scratch_path(state, "1.db", path));
	assert_int_equal(symlink(path, scratch_path(state, "2.db", link)), 0);
	assert_int_equal(db_open(link, DB_SHARED, &db, NULL), STATUS_IO);
	assert_null(db);
}

/* A store may be reached through links; only what stands in the file's place must be no link. */
static void a_linked_directory_is_one(void **state)
{
	char path[SCRATCH_PATH_MAX], dir[SCRATCH_PATH_MAX + 16], linked[SCRATCH_PATH_MAX];
	char through[SCRATCH_PATH_MAX + 16];
	struct db *db;

	(void)snprintf(through, sizeof(through), "%s", scratch_path(state, "1.db", path));
	make_file(path);
	*strrchr(through, '/') = '\0';
	(void)snprintf(dir, sizeof(dir), "%s", through);
	assert_int_equal(symlink(dir, scratch_path(state, "linked", linked)), 0);
	(void)snprintf(through, sizeof(through), "%s/1.db", linked);
	db = opened(through, DB_SHARED);
	assert_int_equal(number(db, "SELECT a FROM t"), 1);
	db_close(db);
}

static void garbage_is_corrupt(void **state)
{
	static const char garbage[4096] = "this is no database";
	char path[SCRATCH_PATH_MAX];
	struct db *db = NULL;
	struct error err = ERROR_INIT;

	write_file(scratch_path(state, "1.db", path), garbage, sizeof(garbage));
	assert_int_equal(db_open(path, DB_SHARED, &db, &err), STATUS_CORRUPT);
	assert_null(db);
	assert_non_null(strstr(err.text, "a page is not what was written"));
}

static void a_missing_table_is_damage_only_where_others_write(void **state)
{
	char path[SCRATCH_PATH_MAX];
	sqlite3_stmt *stmt = NULL;
	struct db *db;

	make_file(scratch_path(state, "1.db", path));
	db = opened(path, DB_SHARED);
	assert_false(db_damaged(db));
	assert_int_equal(db_statement(db, 0, "SELECT * FROM missing", &stmt, NULL), STATUS_CORRUPT);
	assert_null(stmt);
	assert_false(db_has_statement(db, 0));
	assert_true(db_damaged(db));
	db_close(db);
	db = opened(NULL, DB_MEMORY);
	assert_int_equal(db_exec(db, "SELECT * FROM missing", NULL), STATUS_IO);
	assert_false(db_damaged(db));
	db_close(db);
}

static void a_file_made_read_only_is_damage(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t page[PAGE_CHECK_PAGE_BYTES];
	sqlite3_file *file = NULL;
	struct db *db;

	make_file(scratch_path(state, "1.db", path));
	db = opened(path, DB_SHARED);
	assert_int_equal(sqlite3_file_control(db_handle(db), "main", SQLITE_FCNTL_FILE_POINTER,
					      (void *)&file),
			 SQLITE_OK);
	assert_int_equal(file->pMethods->xRead(file, page, sizeof(page), 0), SQLITE_OK);
	page[18] = 3; /* the version of those who may write: none that is known */
	assert_int_equal(file->pMethods->xWrite(file, page, sizeof(page), 0), SQLITE_OK);
	db_close(db);
	db = opened(path, DB_SHARED);
	assert_int_equal(number(db, "SELECT a FROM t"), 1);
	assert_int_equal(db_exec(db, "INSERT INTO t VALUES (2)", NULL), STATUS_CORRUPT);
	assert_true(db_damaged(db));
	db_close(db);
}

static void a_busy_file_is_locked_not_damaged(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct db *one, *two;

	make_file(scratch_path(state, "1.db", path));
	one = opened(path, DB_SHARED);
	two = opened(path, DB_SHARED);
	sqlite3_busy_timeout(db_handle(two), 0);
	run(one, "BEGIN IMMEDIATE");
	assert_int_equal(db_exec(two, "BEGIN IMMEDIATE", NULL), STATUS_LOCKED);
	assert_false(db_damaged(two));
	db_rollback(one);
	run(two, "BEGIN IMMEDIATE");
	db_close(one);
	db_close(two);
}

static void a_full_disk_is_io_and_rolls_back(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;
	struct db *db;

	make_file(scratch_path(state, "1.db", path));
	db = opened(path, DB_SHARED);
	assert_int_equal(number(db, "PRAGMA max_page_count = 3"), 3);
	run(db, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");
	assert_int_equal(number(db, "SELECT sum(a) FROM t"), 3);
	/* A blob: a text of digits would become a small number in this column. */
	assert_int_equal(db_exec(db, "INSERT INTO t VALUES (zeroblob(100000))", &err), STATUS_IO);
	assert_int_equal(sqlite3_errcode(db_handle(db)), SQLITE_FULL);
	assert_non_null(strstr(err.text, "No space left"));
	assert_true(err.hint[0] != '\0');
	/* SQLite may have ended the transaction: that is no failure of ours, nor damage. */
	db_rollback(db);
	db_rollback(db);
	assert_false(db_damaged(db));
	assert_int_equal(number(db, "SELECT sum(a) FROM t"), 1);
	db_close(db);
	db_rollback(NULL);
}

/* As when it could not be rolled back for want of memory. */
static void a_transaction_left_open_is_undone(void **state)
{
	struct db *db = opened(NULL, DB_MEMORY);

	run(db, "CREATE TABLE t (a INTEGER NOT NULL)");
	assert_int_equal(db_begin(db, true, NULL), STATUS_OK);
	run(db, "INSERT INTO t VALUES (1)");
	assert_int_equal(db_begin(db, true, NULL), STATUS_OK);
	run(db, "INSERT INTO t VALUES (2)");
	run(db, "COMMIT");
	assert_int_equal(number(db, "SELECT sum(a) FROM t"), 2);
	assert_false(db_damaged(db));
	db_close(db);
	(void)state;
}

/* The write lock is another's: nothing is begun. */
static void what_cannot_begin_has_not_begun(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct db *one, *other;

	make_file(scratch_path(state, "state.db", path));
	one = opened(path, DB_SHARED);
	other = opened(path, DB_SHARED);
	sqlite3_busy_timeout(db_handle(other), 0);
	assert_int_equal(db_begin(one, true, NULL), STATUS_OK);
	assert_int_equal(db_begin(other, true, NULL), STATUS_LOCKED);
	assert_int_not_equal(sqlite3_get_autocommit(db_handle(other)), 0);
	assert_int_equal(db_begin(other, false, NULL), STATUS_OK);
	assert_int_equal(number(other, "SELECT sum(a) FROM t"), 1);
	db_close(other);
	db_close(one);
}

static void what_others_find_wrong_is_damage(void **state)
{
	struct db *db = opened(NULL, DB_MEMORY);
	struct error err = ERROR_INIT;

	assert_int_equal(db_refuse(db, "a base is missing", &err), STATUS_CORRUPT);
	assert_string_equal(err.text, "state database: a base is missing");
	assert_true(db_damaged(db));
	db_close(db);
	db_close(NULL);
	(void)state;
}

/* --- statements ------------------------------------------------------------------------------- */

static void statements_are_kept_and_handed_out_clean(void **state)
{
	static const char sql[] = "SELECT ?1 UNION ALL SELECT 2";
	struct db *db = opened(NULL, DB_MEMORY);
	sqlite3_stmt *first = NULL, *again = NULL;

	assert_false(db_has_statement(db, 7));
	assert_int_equal(db_statement(db, 7, sql, &first, NULL), STATUS_OK);
	assert_true(db_has_statement(db, 7));
	assert_int_equal(sqlite3_bind_int(first, 1, 5), SQLITE_OK);
	assert_int_equal(sqlite3_step(first), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(first, 0), 5);
	assert_int_equal(db_statement(db, 7, NULL, &again, NULL), STATUS_OK);
	assert_ptr_equal(first, again);
	assert_int_equal(sqlite3_step(again), SQLITE_ROW);
	assert_int_equal(sqlite3_column_type(again, 0), SQLITE_NULL);
	db_close(db);
	(void)state;
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(a_built_file_is_shared_with_a_wal),
		IN_SCRATCH(building_can_roll_back_to_a_savepoint),
		cmocka_unit_test(memory_and_temporary_ones_leave_no_file),
		IN_SCRATCH(the_wal_stays_short),
		cmocka_unit_test(finishing_needs_a_wal),
		IN_SCRATCH(a_missing_file_is_not_made),
		IN_SCRATCH(a_link_is_not_followed),
		IN_SCRATCH(a_linked_directory_is_one),
		IN_SCRATCH(garbage_is_corrupt),
		IN_SCRATCH(a_missing_table_is_damage_only_where_others_write),
		IN_SCRATCH(a_file_made_read_only_is_damage),
		IN_SCRATCH(a_busy_file_is_locked_not_damaged),
		IN_SCRATCH(a_full_disk_is_io_and_rolls_back),
		cmocka_unit_test(a_transaction_left_open_is_undone),
		IN_SCRATCH(what_cannot_begin_has_not_begun),
		cmocka_unit_test(what_others_find_wrong_is_damage),
		cmocka_unit_test(statements_are_kept_and_handed_out_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
