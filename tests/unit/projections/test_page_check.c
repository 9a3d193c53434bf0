/*
 * Pages that know what they held: every changed byte of a page is found when it is read, and so are
 * pages in each other's place, cut off pages, and a file beside another one's write-ahead log.
 */
#include "projections/page_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "projections/db.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

enum { ROWS = 300, PAGE = PAGE_CHECK_PAGE_BYTES, LEAST_BYTES = 5 * PAGE };

/* A table of some pages, in a file of its own. */
static void make_file(const char *path)
{
	struct db *db;

	assert_int_equal(db_open(path, DB_BUILD, &db, NULL), STATUS_OK);
	assert_int_equal(
		db_exec(db,
			"CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);"
			"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
			"WHERE i < 300) INSERT INTO t SELECT i, printf('%0100d', i) FROM n",
			NULL),
		STATUS_OK);
	assert_int_equal(db_finish_build(db, NULL), STATUS_OK);
	db_close(db);
}

/* OK when all rows are there and what they were. */
static enum status read_all(const char *path)
{
	sqlite3_stmt *stmt;
	struct db *db;
	enum status status = db_open(path, DB_SHARED, &db, NULL);
	int64_t count = -1;
	int code;

	if (status)
		return status;
	status = db_statement(
		db, 0, "SELECT count(*) FROM t WHERE b = printf('%0100d', a) AND length(b) = 100",
		&stmt, NULL);
	if (!status) {
		code = sqlite3_step(stmt);
		if (code == SQLITE_ROW)
			count = sqlite3_column_int64(stmt, 0);
		else
			status = db_error(db, code, "read", NULL);
	}
	if (!status && count != ROWS)
		status = STATUS_CONFLICT; /* other rows, and nobody noticed */
	db_close(db);
	return status;
}

static off_t file_size(int fd)
{
	return fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
}

static void test_every_byte(void **state)
{
	char path[SCRATCH_PATH_MAX];
	unsigned found = 0;
	off_t size;
	int fd AUTO_FD = -1;

	make_file(scratch_path(state, "a.db", path));
	assert_int_equal(read_all(path), STATUS_OK);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	size = file_size(fd);
	assert_true(size > LEAST_BYTES && size % PAGE == 0);
	/* A prime step, so that it meets every place of a page. */
	for (off_t at = 0; at < size; at += 37) {
		uint8_t byte;
		enum status status;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x04;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		status = read_all(path);
		if (status != STATUS_CORRUPT)
			print_message("byte %lld: %d\n", (long long)at, status);
		assert_int_equal(status, STATUS_CORRUPT);
		found++;
		byte ^= 0x04;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_true(found > 500);
	assert_int_equal(read_all(path), STATUS_OK);
}

static void test_places(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t a[PAGE], b[PAGE];
	off_t size;
	int fd AUTO_FD = -1;

	make_file(scratch_path(state, "a.db", path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	size = file_size(fd);
	/* Two leaves in each other's place: each is whole. */
	assert_int_equal(pread(fd, a, PAGE, size - PAGE), PAGE);
	assert_int_equal(pread(fd, b, PAGE, size - 2L * PAGE), PAGE);
	assert_int_equal(pwrite(fd, b, PAGE, size - PAGE), PAGE);
	assert_int_equal(pwrite(fd, a, PAGE, size - 2L * PAGE), PAGE);
	assert_int_equal(read_all(path), STATUS_CORRUPT);
	assert_int_equal(pwrite(fd, a, PAGE, size - PAGE), PAGE);
	assert_int_equal(pwrite(fd, b, PAGE, size - 2L * PAGE), PAGE);
	assert_int_equal(read_all(path), STATUS_OK);
	/* Cut within a page, and at its end. */
	assert_int_equal(ftruncate(fd, size - 1), 0);
	assert_int_equal(read_all(path), STATUS_CORRUPT);
	assert_int_equal(ftruncate(fd, size - PAGE), 0);
	assert_int_equal(read_all(path), STATUS_CORRUPT);
}

/* The id is the file's own, also while the log beside it says something else. */
static void test_file_id(void **state)
{
	char first[SCRATCH_PATH_MAX], second[SCRATCH_PATH_MAX];
	uint32_t id = 0;
	struct db *a, *b;

	make_file(scratch_path(state, "a.db", first));
	make_file(scratch_path(state, "b.db", second));
	assert_int_equal(db_open(first, DB_SHARED, &a, NULL), STATUS_OK);
	assert_int_equal(db_open(second, DB_SHARED, &b, NULL), STATUS_OK);
	assert_int_not_equal(db_file_id(a), db_file_id(b));
	assert_int_equal(db_exec(a, "PRAGMA application_id = 7", NULL), STATUS_OK);
	assert_int_equal(page_check_file_id(db_handle(a), &id), SQLITE_OK);
	assert_int_equal(id, db_file_id(a));
	assert_int_not_equal(id, 7);
	db_close(a);
	db_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_byte, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_places, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_file_id, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests_name("page_check", tests, NULL, NULL);
}
