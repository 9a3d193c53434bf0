/*
 * The tables of the log in LMDB, as evlog_lmdb.h lists them, and the two rows of `meta`.
 */
#ifndef PROVENV_STORE_LMDB_TABLES_H
#define PROVENV_STORE_LMDB_TABLES_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/lmdb_env.h"

enum lmdb_table {
	LMDB_EVENTS,
	LMDB_TREE,
	LMDB_COMMANDS,
	LMDB_REGISTRY,
	LMDB_META,
	LMDB_TABLES,
};

enum {
	LMDB_SEQ_BYTES = 8, /* an event number: u64be, as key and as value */
};

/* The handles of all tables. Good as long as the environment. */
struct lmdb_tables {
	MDB_dbi dbi[LMDB_TABLES];
};

/* The name of a table in the file. */
const char *lmdb_table_name(enum lmdb_table table);

/* @data as LMDB takes it: borrowed, not written to. */
MDB_val lmdb_val(const void *data, size_t len);

/* Make all tables of a new log, durably. CONFLICT when there is a log already. */
enum status lmdb_tables_create(struct lmdb_env *env, struct lmdb_tables *ret, struct error *err);

/*
 * Find the tables of a log.
 *
 * NO_STORE  nothing was ever committed
 * CORRUPT   not a log of ours
 * NEWER     the format is of a later provenv
 */
enum status lmdb_tables_open(struct lmdb_env *env, struct lmdb_tables *ret, struct error *err);

/* The id of the transaction that wrote what @txn sees, as it noted itself. Returns an MDB_ code. */
int lmdb_tables_get_txn(const struct lmdb_tables *tables, MDB_txn *txn, uint64_t *ret);
/* Note the id of @txn, which every writing transaction does. Returns an MDB_ code. */
int lmdb_tables_put_txn(const struct lmdb_tables *tables, MDB_txn *txn);

#endif
