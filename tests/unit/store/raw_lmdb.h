/*
 * Changing a closed log behind its back, with bare LMDB.
 */
#ifndef PROVENV_TESTS_RAW_LMDB_H
#define PROVENV_TESTS_RAW_LMDB_H

#include <lmdb.h>
#include <stddef.h>
#include <string.h>

/* Put one row into @table of the environment at @dir; with @value NULL delete it instead. Creates
 * what is missing. Returns 0 or LMDB's code. */
static inline int raw_put(const char *dir, const char *table, MDB_val key, MDB_val *value)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	int code = mdb_env_create(&env);

	if (!code)
		code = mdb_env_set_maxdbs(env, 8);
	if (!code)
		code = mdb_env_set_mapsize(env, (size_t)64 << 20);
	if (!code)
		code = mdb_env_open(env, dir, 0, 0600);
	if (!code)
		code = mdb_txn_begin(env, NULL, 0, &txn);
	if (!code)
		code = mdb_dbi_open(txn, table, MDB_CREATE, &dbi);
	if (!code)
		code = value ? mdb_put(txn, dbi, &key, value, 0) : mdb_del(txn, dbi, &key, NULL);
	if (!code)
		code = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	mdb_env_close(env);
	return code;
}

static inline MDB_val raw_val(void *data, size_t len)
{
	return (MDB_val){ .mv_data = data, .mv_size = len };
}

#endif
