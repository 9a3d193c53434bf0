/*
 * Commands over a store of their own: damage of the state is noticed, mended and told, whatever the
 * command; a state of another log likewise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "cmds/cmd.h"

#include "projections/page_check.h"
#include "unit/cmds/run_fixture.h"

#include "base/banned.h"

#define RUN(...) run_words(command_families, (const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
	char dir[64];
	char store[80];
	char other[80];
};

/* Two stores with one variable each. */
static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/provenv-invocation-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	(void)snprintf(fixture->store, sizeof(fixture->store), "%s/store", fixture->dir);
	(void)snprintf(fixture->other, sizeof(fixture->other), "%s/other", fixture->dir);
	/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads here */
	assert_int_equal(setenv("XDG_CONFIG_HOME", fixture->dir, 1), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", fixture->dir, 1), 0);
	/* NOLINTEND(concurrency-mt-unsafe) */
	const char *stores[] = { fixture->store, fixture->other };

	for (size_t i = 0; i < 2; i++) {
		AUTO(ran_release) struct ran made = RUN("init", "--store", stores[i]);
		AUTO(ran_release) struct ran set = RUN("set", "--store", stores[i], "A=1", "B=2");

		assert_int_equal(made.code, 0);
		assert_int_equal(set.code, 0);
	}
	*state = fixture;
	return 0;
}

static int end(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(fs_remove_tree(fixture->dir, NULL), STATUS_OK);
	free(fixture);
	return 0;
}

/* The file of the generation in force. */
static void generation_path(const char *store, struct buf *ret)
{
	AUTO(buf_release) struct buf current = BUF_INIT;
	AUTO(buf_release) struct buf name = BUF_INIT;

	buf_printf(&current, "%s/state/current", store);
	assert_int_equal(fs_read_file(buf_str(&current), 64, &name, NULL), STATUS_OK);
	buf_printf(ret, "%s/state/%.*s", store, (int)strcspn(buf_str(&name), "\n"), buf_str(&name));
}

/* Let A point to the bytes of B: a row that SQLite finds sound and the log contradicts. */
static void damage_a_row(const struct fixture *fixture)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	sqlite3 *db = NULL;

	generation_path(fixture->store, &path);
	assert_int_equal(
		sqlite3_open_v2(buf_str(&path), &db, SQLITE_OPEN_READWRITE, page_check_vfs()),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE variable SET value_index = 1 WHERE key = 'A'",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_damaged_row_is_mended(void **state)
{
	const struct fixture *fixture = *state;

	damage_a_row(fixture);
	{
		AUTO(ran_release) struct ran get = RUN("get", "A", "--store", fixture->store);
		AUTO(ran_release) struct ran again = RUN("get", "A", "--store", fixture->store);

		assert_int_equal(get.code, 0);
		assert_string_equal(buf_str(&get.out), "1\n");
		assert_string_equal(buf_str(&get.err), "state was damaged: rebuilt from the log\n");
		assert_string_equal(buf_str(&again.out), "1\n");
		assert_int_equal(again.err.len, 0);
	}
	damage_a_row(fixture);
	{
		AUTO(ran_release) struct ran list = RUN("ls", "--json", "--store", fixture->store);

		assert_int_equal(list.code, 0);
		assert_non_null(strstr(buf_str(&list.out), "\"key\":\"A\",\"value\":\"1\""));
		/* Written once. */
		assert_ptr_equal(strchr(buf_str(&list.out), '\n'),
				 buf_str(&list.out) + list.out.len - 1);
	}
}

static void a_foreign_state_is_told(void **state)
{
	const struct fixture *fixture = *state;
	AUTO(buf_release) struct buf own = BUF_INIT;
	AUTO(buf_release) struct buf foreign = BUF_INIT;
	AUTO(buf_release) struct buf command = BUF_INIT;

	generation_path(fixture->store, &own);
	generation_path(fixture->other, &foreign);
	/* The rows of the other store, complete: its write-ahead log folded in. */
	sqlite3 *db = NULL;

	assert_int_equal(
		sqlite3_open_v2(buf_str(&foreign), &db, SQLITE_OPEN_READWRITE, page_check_vfs()),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
			 SQLITE_OK);
	buf_printf(&command, "%s-wal", buf_str(&own));
	assert_int_equal(fs_remove(buf_str(&command), NULL), STATUS_OK);
	buf_clear(&command);
	buf_printf(&command, "%s-shm", buf_str(&own));
	assert_int_equal(fs_remove(buf_str(&command), NULL), STATUS_OK);
	AUTO(buf_release) struct buf rows = BUF_INIT;

	assert_int_equal(fs_read_file(buf_str(&foreign), 1 << 24, &rows, NULL), STATUS_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(fs_write_durable(buf_str(&own), 0600, buf_slice(&rows), NULL), STATUS_OK);
	AUTO(ran_release) struct ran get = RUN("get", "A", "--store", fixture->store);

	assert_int_equal(get.code, 0);
	assert_string_equal(buf_str(&get.out), "1\n");
	assert_string_equal(buf_str(&get.err), "state was of another log: rebuilt from this one\n");
}

/* What a command could not do leaves nothing on stdout. */
static void failures_have_no_result(void **state)
{
	const struct fixture *fixture = *state;
	AUTO(ran_release) struct ran get = RUN("get", "NOPE", "--store", fixture->store);
	AUTO(ran_release) struct ran away = RUN("get", "A", "--store", fixture->dir);

	assert_int_equal(get.code, 3);
	assert_int_equal(get.out.len, 0);
	assert_int_equal(away.code, 10);
	assert_int_equal(away.out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_damaged_row_is_mended, begin, end),
		cmocka_unit_test_setup_teardown(a_foreign_state_is_told, begin, end),
		cmocka_unit_test_setup_teardown(failures_have_no_result, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
