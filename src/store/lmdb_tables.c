/*
 * The tables of the log: making them, finding them, and what `meta` says.
 *
 * Invariants: a log has all tables and its format from its first commit on, and its directories are
 * synced before that; every commit holds its own id.
 * Must not know what is in the other tables.
 */
#include "store/lmdb_tables.h"

#include <inttypes.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/lmdb_env.h"

#include "base/banned.h"

enum {
	FORMAT = 1,
	FORMAT_BYTES = 4,
};

const char *lmdb_table_name(enum lmdb_table table)
{
	static const char *const names[LMDB_TABLES] = {
		[LMDB_EVENTS] = "events",     [LMDB_TREE] = "tree", [LMDB_COMMANDS] = "commands",
		[LMDB_REGISTRY] = "registry", [LMDB_META] = "meta",
	};

	return names[table];
}

/* LMDB does not write through these, but its types say it might. */
MDB_val lmdb_val(const void *data, size_t len)
{
	union {
		const void *in;
		void *out;
	} pointer = { .in = data };

	return (MDB_val){ .mv_data = pointer.out, .mv_size = len };
}

static MDB_val key_of_text(const char *name)
{
	return lmdb_val(name, strlen(name));
}

int lmdb_tables_get_txn(const struct lmdb_tables *tables, MDB_txn *txn, uint64_t *ret)
{
	MDB_val key = key_of_text("txn");
	MDB_val value;
	int code = mdb_get(txn, tables->dbi[LMDB_META], &key, &value);

	if (code)
		return code;
	if (value.mv_size != LMDB_SEQ_BYTES)
		return MDB_CORRUPTED;
	*ret = load_u64be(value.mv_data);
	return 0;
}

int lmdb_tables_put_txn(const struct lmdb_tables *tables, MDB_txn *txn)
{
	uint8_t bytes[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = key_of_text("txn");
	MDB_val value = lmdb_val(bytes, sizeof(bytes));

	store_u64be(bytes, mdb_txn_id(txn));
	return mdb_put(txn, tables->dbi[LMDB_META], &key, &value, 0);
}

static int open_tables(struct lmdb_tables *tables, MDB_txn *txn, unsigned flags)
{
	for (size_t i = 0; i < LMDB_TABLES; i++) {
		unsigned found;
		int code = mdb_dbi_open(txn, lmdb_table_name((enum lmdb_table)i), flags,
					&tables->dbi[i]);

		if (!code)
			code = mdb_dbi_flags(txn, tables->dbi[i], &found);
		/* Duplicates or integer keys are not ours, and LMDB would read them otherwise. */
		if (!code && found != 0)
			code = MDB_INCOMPATIBLE;
		if (code)
			return code;
	}
	return 0;
}

static int read_format(const struct lmdb_tables *tables, MDB_txn *txn, uint32_t *ret)
{
	MDB_val key = key_of_text("format");
	MDB_val value;
	int code = mdb_get(txn, tables->dbi[LMDB_META], &key, &value);

	if (code)
		return code;
	if (value.mv_size != FORMAT_BYTES)
		return MDB_CORRUPTED;
	*ret = load_u32be(value.mv_data);
	return 0;
}

/* The first transaction: all tables, the format, its own id. MDB_KEYEXIST when there is a log. */
static int fill(struct lmdb_tables *tables, MDB_txn *txn)
{
	uint8_t bytes[FORMAT_BYTES] = { 0 };
	MDB_val key = key_of_text("format");
	MDB_val value = lmdb_val(bytes, sizeof(bytes));
	int code = open_tables(tables, txn, MDB_CREATE);

	store_u32be(bytes, FORMAT);
	if (!code)
		code = mdb_put(txn, tables->dbi[LMDB_META], &key, &value, MDB_NOOVERWRITE);
	return code ? code : lmdb_tables_put_txn(tables, txn);
}

/* A file that was just made is not there after a crash unless its directory was synced. */
static enum status sync_dirs(const struct lmdb_env *env, struct error *err)
{
	struct buf parent AUTO(buf_release) = BUF_INIT;
	enum status status = fs_sync_dir(lmdb_env_dir(env), err);

	fs_join(&parent, lmdb_env_dir(env), "..");
	if (!status)
		status = buf_status(&parent, err);
	return status ? status : fs_sync_dir(buf_str(&parent), err);
}

static enum status exists(const struct lmdb_env *env, struct error *err)
{
	return error_set(err, STATUS_CONFLICT, "there is a log at %s already", lmdb_env_dir(env));
}

enum status lmdb_tables_create(struct lmdb_env *env, struct lmdb_tables *ret, struct error *err)
{
	struct lmdb_tables tables;
	MDB_txn *txn;
	enum status status;
	int code;

	if (!lmdb_env_is_new(env))
		return exists(env, err);
	/* First: a commit that somebody may build on needs its file to be found after a crash. */
	status = sync_dirs(env, err);
	if (!status)
		status = lmdb_env_begin(env, true, &txn, err);
	if (status)
		return status;
	code = fill(&tables, txn);
	if (code)
		lmdb_env_end(env, txn);
	else
		code = lmdb_env_commit(env, txn);
	if (code == MDB_KEYEXIST)
		return exists(env, err);
	if (code)
		return lmdb_env_failed(env, code, "create", err);
	*ret = tables;
	return STATUS_OK;
}

static enum status not_ours(const struct lmdb_env *env, struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "%s is not a log of provenv",
			 lmdb_env_data_path(env));
}

static enum status check_format(const struct lmdb_env *env, const struct lmdb_tables *tables,
				MDB_txn *txn, struct error *err)
{
	uint32_t format;
	int code = read_format(tables, txn, &format);

	if (code == MDB_NOTFOUND || (!code && format < FORMAT))
		return not_ours(env, err);
	if (code)
		return lmdb_env_failed(env, code, "read", err);
	if (format == FORMAT)
		return STATUS_OK;
	(void)error_set(err, STATUS_NEWER, "the log at %s has format %" PRIu32 ", we know %d",
			lmdb_env_dir(env), format, FORMAT);
	return error_hint(err, STATUS_NEWER, "use a newer provenv");
}

enum status lmdb_tables_open(struct lmdb_env *env, struct lmdb_tables *ret, struct error *err)
{
	struct lmdb_tables tables;
	MDB_txn *txn;
	enum status status;
	int code;

	if (lmdb_env_is_new(env)) {
		(void)error_set(err, STATUS_NO_STORE, "the log at %s was never finished",
				lmdb_env_dir(env));
		return error_hint(err, STATUS_NO_STORE, "create it again");
	}
	status = lmdb_env_begin(env, false, &txn, err);
	if (status)
		return status;
	code = open_tables(&tables, txn, 0);
	if (!code)
		status = check_format(env, &tables, txn, err);
	if (code || status)
		lmdb_env_end(env, txn);
	else /* committing is what keeps the handles of the tables */
		code = lmdb_env_commit(env, txn);
	if (status)
		return status;
	if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
		return not_ours(env, err);
	if (code)
		return lmdb_env_failed(env, code, "read", err);
	*ret = tables;
	return STATUS_OK;
}
