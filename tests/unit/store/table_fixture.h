/*
 * Rows of a closed store's log changed behind its back, and noted as LMDB transactions of provenv
 * are, so that nothing but the rows is wrong; and a fingerprint of the events.
 */
#ifndef PROVENV_TESTS_UNIT_STORE_TABLE_FIXTURE_H
#define PROVENV_TESTS_UNIT_STORE_TABLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lmdb.h>
#include <sodium.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/audit.h"
#include "store/evlog_lmdb.h"
#include "unit/base/scratch.h"
#include "unit/store/raw_lmdb.h"

enum {
	LOG_PATH_MAX = SCRATCH_PATH_MAX + 32,
	KEY_ROOM = 64,
	VALUE_ROOM = 4096,
};

/* An environment with one table open, in a transaction. */
struct raw_table {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
};

static inline const char *log_dir_of(const char *store, char ret[LOG_PATH_MAX])
{
	(void)snprintf(ret, LOG_PATH_MAX, "%s/log", store);
	return ret;
}

static inline struct raw_table raw_open(const char *store, const char *table, unsigned flags)
{
	struct raw_table raw;
	char dir[LOG_PATH_MAX];

	assert_int_equal(mdb_env_create(&raw.env), 0);
	assert_int_equal(mdb_env_set_maxdbs(raw.env, 8), 0);
	assert_int_equal(mdb_env_set_mapsize(raw.env, (size_t)256 << 20), 0);
	assert_int_equal(mdb_env_open(raw.env, log_dir_of(store, dir), flags, 0600), 0);
	assert_int_equal(mdb_txn_begin(raw.env, NULL, flags & MDB_RDONLY, &raw.txn), 0);
	assert_int_equal(mdb_dbi_open(raw.txn, table, 0, &raw.dbi), 0);
	return raw;
}

static inline void raw_close(struct raw_table *raw)
{
	mdb_txn_abort(raw->txn);
	mdb_env_close(raw->env);
}

/* Note the transaction's id as every writer does, and commit. */
static inline void raw_commit(struct raw_table *raw)
{
	uint8_t bytes[8];
	MDB_val key = raw_val((char[]){ "txn" }, 3);
	MDB_val value = raw_val(bytes, sizeof(bytes));
	MDB_dbi meta;

	store_u64be(bytes, mdb_txn_id(raw->txn));
	assert_int_equal(mdb_dbi_open(raw->txn, "meta", 0, &meta), 0);
	assert_int_equal(mdb_put(raw->txn, meta, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(raw->txn), 0);
	mdb_env_close(raw->env);
}

/* Put one row, or delete it when @value is NULL. */
static inline void change_row(const char *store, const char *table, MDB_val key, MDB_val *value)
{
	struct raw_table raw = raw_open(store, table, 0);

	assert_int_equal(value ? mdb_put(raw.txn, raw.dbi, &key, value, 0)
			       : mdb_del(raw.txn, raw.dbi, &key, NULL),
			 0);
	raw_commit(&raw);
}

/* A row, copied. */
struct raw_row {
	uint8_t key[KEY_ROOM];
	size_t key_len;
	uint8_t value[VALUE_ROOM];
	size_t value_len;
};

/* The row number @at (from 0) of the table. */
static inline struct raw_row copy_row(const char *store, const char *table, unsigned at)
{
	struct raw_table raw = raw_open(store, table, MDB_RDONLY);
	struct raw_row row;
	MDB_cursor *cursor;
	MDB_val key, value;

	assert_int_equal(mdb_cursor_open(raw.txn, raw.dbi, &cursor), 0);
	for (unsigned i = 0; i <= at; i++)
		assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
	assert_true(key.mv_size <= KEY_ROOM && value.mv_size <= VALUE_ROOM);
	memcpy(row.key, key.mv_data, key.mv_size);
	memcpy(row.value, value.mv_data, value.mv_size);
	row.key_len = key.mv_size;
	row.value_len = value.mv_size;
	mdb_cursor_close(cursor);
	raw_close(&raw);
	return row;
}

static inline void put_row(const char *store, const char *table, struct raw_row *row)
{
	MDB_val value = raw_val(row->value, row->value_len);

	change_row(store, table, raw_val(row->key, row->key_len), &value);
}

static inline void delete_row(const char *store, const char *table, struct raw_row *row)
{
	change_row(store, table, raw_val(row->key, row->key_len), NULL);
}

/* A hash over all rows of the table: keys, values, lengths, order. */
static inline void table_hash(const char *store, const char *table, uint8_t ret[HASH_BYTES])
{
	struct raw_table raw = raw_open(store, table, MDB_RDONLY);
	crypto_hash_sha256_state state;
	MDB_cursor *cursor;
	MDB_val key, value;

	crypto_hash_sha256_init(&state);
	assert_int_equal(mdb_cursor_open(raw.txn, raw.dbi, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		crypto_hash_sha256_update(&state, (const uint8_t *)&key.mv_size, sizeof(size_t));
		crypto_hash_sha256_update(&state, key.mv_data, key.mv_size);
		crypto_hash_sha256_update(&state, (const uint8_t *)&value.mv_size, sizeof(size_t));
		if (value.mv_size)
			crypto_hash_sha256_update(&state, value.mv_data, value.mv_size);
	}
	crypto_hash_sha256_final(&state, ret);
	mdb_cursor_close(cursor);
	raw_close(&raw);
}

/* What an audit of the closed store says. */
static inline bool audit_is_ok(const char *store)
{
	static const struct audit_options options;
	struct audit_report report = { .ok = false };
	struct error err = ERROR_INIT;
	char dir[LOG_PATH_MAX];

	if (audit_log(log_dir_of(store, dir), (struct evlog_lmdb_options){ .read_only = true },
		      &options, &report, &err))
		fail_msg("audit: %s", err.text);
	return report.ok;
}

#endif
