/*
 * LMDB without us; see bare_lmdb.h.
 */
#include "bare_lmdb.h"

#include <lmdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "store/lmdb_tables.h"

#include "base/banned.h"

enum { FILE_MODE = 0600 };

/* Large enough for every row, so that the limit never pays for growing. */
static const size_t map_bytes = (size_t)4 << 30;

struct bare_lmdb {
	MDB_env *env;
	MDB_dbi table[LMDB_TABLES];
};

static void close_snapshot(struct evlog_snapshot **snapshot)
{
	evlog_snapshot_close(*snapshot);
}

static enum status failed(int code, struct error *err)
{
	return error_set(err, STATUS_IO, "bare LMDB: %s", mdb_strerror(code));
}

void bare_lmdb_close(struct bare_lmdb *bare)
{
	if (!bare)
		return;
	if (bare->env)
		mdb_env_close(bare->env);
	free(bare);
}

static int make_tables(struct bare_lmdb *bare)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(bare->env, NULL, 0, &txn);

	if (code)
		return code;
	for (size_t i = 0; i < LMDB_TABLES && !code; i++)
		code = mdb_dbi_open(txn, lmdb_table_name((enum lmdb_table)i), MDB_CREATE,
				    &bare->table[i]);
	if (!code)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return code;
}

enum status bare_lmdb_open(const char *dir, struct bare_lmdb **ret, struct error *err)
{
	struct bare_lmdb *bare = calloc(1, sizeof(*bare));
	enum status status;
	int code;

	if (!bare)
		return error_no_memory(err);
	status = fs_make_dirs(dir, 0700, err);
	if (status) {
		bare_lmdb_close(bare);
		return status;
	}
	code = mdb_env_create(&bare->env);
	if (!code)
		code = mdb_env_set_maxdbs(bare->env, LMDB_TABLES);
	if (!code)
		code = mdb_env_set_mapsize(bare->env, map_bytes);
	if (!code)
		code = mdb_env_open(bare->env, dir, MDB_NOTLS, FILE_MODE);
	if (!code)
		code = make_tables(bare);
	if (code) {
		bare_lmdb_close(bare);
		return failed(code, err);
	}
	*ret = bare;
	return STATUS_OK;
}

void bare_batch_release(struct bare_batch *batch)
{
	buf_release(&batch->bytes);
	free(batch->rows);
	*batch = (struct bare_batch)BARE_BATCH_INIT;
}

enum status bare_batch_copy(struct evlog *log, uint64_t first, uint64_t last,
			    uint8_t (*command_ids)[COMMAND_ID_BYTES], struct bare_batch *ret,
			    struct error *err)
{
	AUTO(close_snapshot) struct evlog_snapshot *snapshot = NULL;
	enum status status = evlog_snapshot_open(log, &snapshot, err);

	bare_batch_release(ret);
	ret->first_seq = first;
	ret->rows = calloc((size_t)(last - first) + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return error_no_memory(err);
	for (uint64_t seq = first; seq <= last && !status; seq++) {
		struct bare_row *row = &ret->rows[ret->count];
		struct slice leaf, node;

		status = evlog_leaf(snapshot, seq, &leaf, err);
		if (!status)
			status = evlog_row(snapshot, seq, &node, err);
		if (status)
			return status;
		row->leaf_at = ret->bytes.len;
		row->leaf_len = leaf.len;
		buf_append_slice(&ret->bytes, leaf);
		row->node_at = ret->bytes.len;
		row->node_len = node.len;
		buf_append_slice(&ret->bytes, node);
		row->starts_command = command_ids || seq == first;
		if (command_ids)
			memcpy(row->command_id, command_ids[ret->count], COMMAND_ID_BYTES);
		ret->count++;
	}
	return status ? status : buf_status(&ret->bytes, err);
}

static int put_row(struct bare_lmdb *bare, MDB_txn *txn, const struct bare_batch *batch, size_t at)
{
	const struct bare_row *row = &batch->rows[at];
	uint8_t seq[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val(seq, sizeof(seq));
	MDB_val leaf = lmdb_val(batch->bytes.data + row->leaf_at, row->leaf_len);
	MDB_val node = lmdb_val(batch->bytes.data + row->node_at, row->node_len);
	MDB_val id = lmdb_val(row->command_id, COMMAND_ID_BYTES);
	MDB_val value = lmdb_val(seq, sizeof(seq));
	int code;

	store_u64be(seq, batch->first_seq + at);
	code = mdb_put(txn, bare->table[LMDB_EVENTS], &key, &leaf, MDB_APPEND);
	if (!code)
		code = mdb_put(txn, bare->table[LMDB_TREE], &key, &node, MDB_APPEND);
	if (!code && row->starts_command)
		code = mdb_put(txn, bare->table[LMDB_COMMANDS], &id, &value, 0);
	return code;
}

static int put_meta(struct bare_lmdb *bare, MDB_txn *txn)
{
	uint8_t id[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val("txn", 3);
	MDB_val value = lmdb_val(id, sizeof(id));

	store_u64be(id, mdb_txn_id(txn));
	return mdb_put(txn, bare->table[LMDB_META], &key, &value, 0);
}

enum status bare_lmdb_append(struct bare_lmdb *bare, const struct bare_batch *batch, size_t from,
			     size_t count, struct error *err)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(bare->env, NULL, 0, &txn);

	if (code)
		return failed(code, err);
	code = put_meta(bare, txn);
	for (size_t i = 0; i < count && !code; i++)
		code = put_row(bare, txn, batch, from + i);
	if (code)
		mdb_txn_abort(txn);
	else
		code = mdb_txn_commit(txn);
	return code ? failed(code, err) : STATUS_OK;
}
