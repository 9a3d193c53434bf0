/*
 * Which LMDB files are logs: ours, unfinished, newer, foreign; and what a creation leaves.
 */
#include "store/lmdb_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_env.h"
#include "unit/base/scratch.h"
#include "unit/store/raw_lmdb.h"

#include "base/banned.h"

static const struct evlog_lmdb_options create = { .create = true };
static const struct evlog_lmdb_options plain = { .create = false };

/* Open the environment, make or find the tables, and close it again. */
static enum status try_tables(void **state, struct evlog_lmdb_options options, struct error *err)
{
	struct lmdb_tables tables;
	struct lmdb_env *env;
	enum status status = lmdb_env_open(*state, options, &env, err);

	if (status)
		return status;
	status = options.create ? lmdb_tables_create(env, &tables, err)
				: lmdb_tables_open(env, &tables, err);
	lmdb_env_close(env);
	return status;
}

static void test_create_and_open(void **state)
{
	assert_int_equal(try_tables(state, create, NULL), STATUS_OK);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_OK);
	assert_int_equal(try_tables(state, create, NULL), STATUS_CONFLICT);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_OK);
}

/* The file as the format says: names, and the two rows of meta, byte for byte. */
static void test_format_on_disk(void **state)
{
	static const char *const names[] = { "events", "tree", "commands", "registry", "meta" };
	uint8_t txn_row[8] = { 0, 0, 0, 0, 0, 0, 0, 1 };
	struct lmdb_env *env;
	struct lmdb_tables tables;
	MDB_txn *txn;
	MDB_val key = raw_val((char[]){ "format" }, 6);
	MDB_val value;
	uint64_t noted;

	assert_int_equal(lmdb_env_open(*state, create, &env, NULL), STATUS_OK);
	assert_true(lmdb_env_is_new(env));
	assert_int_equal(lmdb_tables_create(env, &tables, NULL), STATUS_OK);
	assert_false(lmdb_env_is_new(env));
	assert_int_equal(lmdb_env_begin(env, false, &txn, NULL), STATUS_OK);
	for (size_t i = 0; i < LMDB_TABLES; i++) {
		MDB_dbi dbi;

		assert_string_equal(lmdb_table_name((enum lmdb_table)i), names[i]);
		assert_int_equal(mdb_dbi_open(txn, names[i], 0, &dbi), 0);
		assert_int_equal(dbi, tables.dbi[i]);
	}
	assert_int_equal(mdb_get(txn, tables.dbi[LMDB_META], &key, &value), 0);
	assert_int_equal(value.mv_size, 4);
	assert_memory_equal(value.mv_data, ((uint8_t[]){ 0, 0, 0, 1 }), 4);
	key = raw_val((char[]){ "txn" }, 3);
	assert_int_equal(mdb_get(txn, tables.dbi[LMDB_META], &key, &value), 0);
	assert_int_equal(value.mv_size, 8);
	assert_memory_equal(value.mv_data, txn_row, 8);
	assert_int_equal(lmdb_tables_get_txn(&tables, txn, &noted), 0);
	assert_int_equal(noted, mdb_txn_id(txn));
	lmdb_env_end(env, txn);
	lmdb_env_close(env);
}

/* A creation that ended between LMDB's and ours is no log, and can be finished. */
static void test_unfinished(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct lmdb_env *env;

	assert_int_equal(lmdb_env_open(*state, create, &env, NULL), STATUS_OK);
	lmdb_env_close(env);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_NO_STORE);
	assert_int_equal(try_tables(state, create, NULL), STATUS_OK);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_OK);
	/* Even earlier: an empty file. It may have been a log, so only creating accepts it. */
	assert_int_equal(truncate(scratch_path(state, "data.mdb", path), 0), 0);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_NO_STORE);
	assert_int_equal(try_tables(state, (struct evlog_lmdb_options){ .read_only = true }, NULL),
			 STATUS_CORRUPT);
	assert_int_equal(try_tables(state, create, NULL), STATUS_OK);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_OK);
}

static void put_meta(void **state, const char *name, const void *data, size_t len)
{
	struct buf key AUTO(buf_release) = BUF_INIT;
	struct buf bytes AUTO(buf_release) = BUF_INIT;
	MDB_val value;

	buf_append_str(&key, name);
	buf_append(&bytes, data, len);
	value = raw_val(bytes.data, bytes.len);
	assert_int_equal(raw_put(*state, "meta", raw_val(key.data, key.len), &value), 0);
}

/* The same, by a transaction whose id is noted, in the one before: the last was @txn. */
static void put_noted(void **state, uint64_t *txn, const char *name, const void *data, size_t len)
{
	uint8_t note[8];

	store_u64be(note, *txn + 2);
	put_meta(state, "txn", note, sizeof(note));
	put_meta(state, name, data, len);
	*txn += 2;
}

static void test_formats(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t format[4];
	uint8_t note[8];
	uint64_t txn = 1;

	assert_int_equal(try_tables(state, create, NULL), STATUS_OK);
	store_u32be(format, 2);
	put_noted(state, &txn, "format", format, 4);
	assert_int_equal(try_tables(state, plain, &err), STATUS_NEWER);
	assert_non_null(strstr(err.text, "format 2"));
	store_u32be(format, 0);
	put_noted(state, &txn, "format", format, 4);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_CORRUPT);
	put_noted(state, &txn, "format", format, 3);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_CORRUPT);
	store_u32be(format, 1);
	put_noted(state, &txn, "format", format, 4);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_OK);
	store_u64be(note, txn + 2);
	put_meta(state, "txn", note, sizeof(note));
	assert_int_equal(raw_put(*state, "meta", raw_val((char[]){ "format" }, 6), NULL), 0);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_CORRUPT);
}

/* LMDB files of others: with no table of ours, with rows where we have tables, with some. */
static void test_foreign(void **state)
{
	struct error err = ERROR_INIT;
	MDB_val value = raw_val((char[]){ "value" }, 5);

	assert_int_equal(raw_put(*state, "other", raw_val((char[]){ "key" }, 3), &value), 0);
	assert_int_equal(try_tables(state, plain, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "not a log of provenv"));
	assert_int_equal(try_tables(state, create, NULL), STATUS_CONFLICT);
	assert_int_equal(raw_put(*state, NULL, raw_val((char[]){ "events" }, 6), &value), 0);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_CORRUPT);
}

/* A table of another kind: its rows would be read in another order. */
static void test_table_flags(void **state)
{
	static const char *const names[] = { "events", "tree", "commands", "registry", "meta" };
	MDB_env *env;
	MDB_txn *txn;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
	assert_int_equal(mdb_env_open(env, *state, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	for (size_t i = 0; i < 5; i++) {
		unsigned flags = MDB_CREATE | (i == 1 ? MDB_DUPSORT : 0);
		MDB_dbi dbi;

		assert_int_equal(mdb_dbi_open(txn, names[i], flags, &dbi), 0);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	put_meta(state, "format", ((uint8_t[]){ 0, 0, 0, 1 }), 4);
	assert_int_equal(try_tables(state, plain, NULL), STATUS_CORRUPT);
}

#ifdef PROVENV_TEST_HOOKS
/* The directory and its parent are synced before there is a log to build on. */
static void test_synced_first(void **state)
{
	static const char *const faults[] = { "fs.sync:EIO:1", "fs.sync:EIO:2" };

	for (size_t i = 0; i < 2; i++) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
		assert_int_equal(setenv("PROVENV_FAULT", faults[i], 1), 0);
		assert_int_equal(try_tables(state, create, NULL), STATUS_IO);
		/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
		assert_int_equal(unsetenv("PROVENV_FAULT"), 0);
		assert_int_equal(try_tables(state, plain, NULL), STATUS_NO_STORE);
	}
	assert_int_equal(try_tables(state, create, NULL), STATUS_OK);
}
#endif

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(test_create_and_open), IN_SCRATCH(test_format_on_disk),
		IN_SCRATCH(test_unfinished),      IN_SCRATCH(test_formats),
		IN_SCRATCH(test_foreign),         IN_SCRATCH(test_table_flags),
#ifdef PROVENV_TEST_HOOKS
		IN_SCRATCH(test_synced_first),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
