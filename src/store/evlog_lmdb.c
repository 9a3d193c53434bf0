/*
 * The log in LMDB: its tables, snapshots, appends. lmdb_env.h keeps the environment safe; watching
 * is in evlog_lmdb_watch.c.
 *
 * Invariants: every writing transaction stores its own id in `meta`, so that a commit which a torn
 * meta page took back is noticed; keys only ever grow, nothing is deleted; memory of LMDB is handed
 * out only as slices of an open snapshot; after a commit that failed for good nothing is written
 * until the log is opened again.
 * Must not decode a leaf.
 */
#include "store/evlog_lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "store/evlog_lmdb_object.h"
#include "store/lmdb_env.h"
#include "store/lmdb_tables.h"
#include "store/merkle.h"

#include "base/banned.h"

enum {
	/* A snapshot may catch LMDB between two commits (snapshot_open()); so often is damage. */
	SNAPSHOT_ATTEMPTS = 16,
	/* What LMDB takes in a page for a row with such a key, and less than it really takes. */
	ROW_BYTES_MIN = 16,
	/* A transaction is run again after EINTR and after the map has grown. */
	APPEND_ATTEMPTS = 64,
};

static enum status failed(const struct lmdb_log *log, int code, const char *action,
			  struct error *err)
{
	return lmdb_env_failed(log->env, code, action, err);
}

static enum status torn_meta(const struct lmdb_log *log, uint64_t noted, uint64_t found,
			     struct error *err)
{
	(void)error_set(
		err, STATUS_CORRUPT,
		"a torn meta page dropped a commit of the log at %s: LMDB shows transaction "
		"%" PRIu64 ", its content is of %" PRIu64,
		lmdb_env_dir(log->env), found, noted);
	return error_hint(err, STATUS_CORRUPT, "restore the log from a copy, or salvage it");
}

/* More events than the pages of the file can hold: what came from a damaged page is no number to
 * count on, or to allocate by. */
static bool too_many(MDB_cursor *cursor, uint64_t seq)
{
	MDB_env *env = mdb_txn_env(mdb_cursor_txn(cursor));
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat))
		return true;
	return seq / (stat.ms_psize / ROW_BYTES_MIN) > info.me_last_pgno;
}

/* The greatest number in the events table; 0 when it is empty. */
static int read_last_seq(MDB_cursor *cursor, uint64_t *ret)
{
	MDB_val key, value;
	int code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);

	if (code == MDB_NOTFOUND) {
		*ret = 0;
		return 0;
	}
	if (code)
		return code;
	if (key.mv_size != LMDB_SEQ_BYTES || load_u64be(key.mv_data) == 0 ||
	    too_many(cursor, load_u64be(key.mv_data)))
		return MDB_CORRUPTED;
	*ret = load_u64be(key.mv_data);
	return 0;
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void end_reading(struct lmdb_snapshot *view)
{
	struct lmdb_log *log = lmdb_of(view->snapshot.log);

	/* In a child made by fork the cursors stay, as does the transaction. */
	if (lmdb_env_check(log->env, NULL) == STATUS_OK) {
		if (view->events.cursor)
			mdb_cursor_close(view->events.cursor);
		if (view->tree.cursor)
			mdb_cursor_close(view->tree.cursor);
	}
	lmdb_env_end(log->env, view->txn);
	view->txn = NULL;
	view->events = (struct place){ .cursor = NULL };
	view->tree = (struct place){ .cursor = NULL };
}

static void lmdb_snapshot_close(struct evlog_snapshot *snapshot)
{
	struct lmdb_snapshot *view = snapshot_of(snapshot);

	if (view->txn)
		end_reading(view);
	free(view);
}

static void close_view(struct lmdb_snapshot **view)
{
	if (*view)
		lmdb_snapshot_close(&(*view)->snapshot);
}

/* Begin reading. OK with *ret_noted other than the transaction's id: see lmdb_snapshot_open(). */
static enum status begin_reading(struct lmdb_snapshot *view, uint64_t *ret_noted, struct error *err)
{
	struct lmdb_log *log = lmdb_of(view->snapshot.log);
	enum status status = lmdb_env_begin(log->env, false, &view->txn, err);
	int code;

	if (status)
		return status;
	code = lmdb_tables_get_txn(&log->tables, view->txn, ret_noted);
	if (!code)
		code = mdb_cursor_open(view->txn, log->tables.dbi[LMDB_EVENTS],
				       &view->events.cursor);
	if (!code)
		code = read_last_seq(view->events.cursor, &view->snapshot.size);
	view->events.seq = code ? 0 : view->snapshot.size;
	return code ? failed(log, code, "read", err) : STATUS_OK;
}

/*
 * Every commit notes its own id in the content. A meta page torn so that LMDB falls back to the one
 * before, or mixes both, shows an id that is not the content's (all 32 commits lost in 540 torn
 * meta pages showed it). But a reader that is put to sleep between learning the newest id and
 * copying that meta page may wake up after two more commits and find a later content under the
 * earlier id: only a difference that stays is damage.
 */
static enum status lmdb_snapshot_open(struct evlog *log, struct evlog_snapshot **ret,
				      struct error *err)
{
	struct lmdb_snapshot *view AUTO(close_view) = calloc(1, sizeof(*view));
	uint64_t noted = 0, found = 0;

	if (!view)
		return error_no_memory(err);
	view->snapshot.log = log;
	for (int i = 0; i < SNAPSHOT_ATTEMPTS; i++) {
		enum status status = begin_reading(view, &noted, err);

		if (status)
			return status;
		found = mdb_txn_id(view->txn);
		if (noted == found) {
			*ret = &view->snapshot;
			view = NULL;
			return STATUS_OK;
		}
		end_reading(view);
	}
	return torn_meta(lmdb_of(log), noted, found, err);
}

static int read_at(const struct lmdb_snapshot *view, struct place *place, MDB_dbi table,
		   uint64_t seq, MDB_val *ret)
{
	uint8_t wanted[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val(wanted, sizeof(wanted));
	bool next = place->seq > 0 && seq == place->seq + 1;
	int code = 0;

	store_u64be(wanted, seq);
	if (!place->cursor)
		code = mdb_cursor_open(view->txn, table, &place->cursor);
	if (!code)
		code = mdb_cursor_get(place->cursor, &key, ret, next ? MDB_NEXT : MDB_SET_KEY);
	if (!code &&
	    (key.mv_size != LMDB_SEQ_BYTES || memcmp(key.mv_data, wanted, LMDB_SEQ_BYTES) != 0))
		code = MDB_NOTFOUND;
	place->seq = code ? 0 : seq;
	return code;
}

/* The row of event @seq, at most @bytes_max long: a damaged length must not lead out of the map. */
static enum status read_row(struct evlog_snapshot *snapshot, enum lmdb_table table, uint64_t seq,
			    struct slice *ret, struct error *err)
{
	struct lmdb_snapshot *view = snapshot_of(snapshot);
	struct lmdb_log *log = lmdb_of(snapshot->log);
	struct place *place = table == LMDB_EVENTS ? &view->events : &view->tree;
	size_t bytes_max = table == LMDB_EVENTS ? LEAF_BYTES_MAX : MERKLE_ROW_BYTES_MAX;
	enum status status = lmdb_env_check(log->env, err);
	MDB_val value;
	int code;

	if (status)
		return status;
	code = read_at(view, place, log->tables.dbi[table], seq, &value);
	if (code == MDB_NOTFOUND)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 " is missing from the table %s of the log", seq,
				 lmdb_table_name(table));
	if (code) {
		status = failed(log, code, "read", err);
		return error_prefix(err, status, "event %" PRIu64, seq);
	}
	if (value.mv_size > bytes_max)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its row in the table %s has %zu bytes", seq,
				 lmdb_table_name(table), value.mv_size);
	*ret = slice_of(value.mv_data, value.mv_size);
	return STATUS_OK;
}

static enum status lmdb_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			     struct error *err)
{
	return read_row(snapshot, LMDB_EVENTS, seq, ret, err);
}

static enum status lmdb_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			    struct error *err)
{
	return read_row(snapshot, LMDB_TREE, seq, ret, err);
}

static enum status bad_index(const char *table, struct error *err)
{
	return error_set(err, STATUS_CORRUPT,
			 "the table %s of the log names an event that is not there", table);
}

static enum status lmdb_command(struct evlog_snapshot *snapshot, const uint8_t *command_id,
				uint64_t *ret_seq, struct error *err)
{
	struct lmdb_snapshot *view = snapshot_of(snapshot);
	struct lmdb_log *log = lmdb_of(snapshot->log);
	MDB_val key = lmdb_val(command_id, COMMAND_ID_BYTES);
	enum status status = lmdb_env_check(log->env, err);
	MDB_val value;
	uint64_t seq;
	int code;

	if (status)
		return status;
	code = mdb_get(view->txn, log->tables.dbi[LMDB_COMMANDS], &key, &value);
	if (code == MDB_NOTFOUND)
		return STATUS_NOT_FOUND;
	if (code)
		return failed(log, code, "read", err);
	seq = value.mv_size == LMDB_SEQ_BYTES ? load_u64be(value.mv_data) : 0;
	if (seq == 0 || seq > snapshot->size)
		return bad_index(lmdb_table_name(LMDB_COMMANDS), err);
	*ret_seq = seq;
	return STATUS_OK;
}

static enum status lmdb_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
				      uint64_t *ret_seq, struct error *err)
{
	struct lmdb_snapshot *view = snapshot_of(snapshot);
	struct lmdb_log *log = lmdb_of(snapshot->log);
	uint8_t first[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val(first, sizeof(first));
	enum status status = lmdb_env_check(log->env, err);
	MDB_cursor *cursor;
	MDB_val value;
	uint64_t seq = 0;
	int code;

	if (status)
		return status;
	store_u64be(first, after_seq + 1);
	code = mdb_cursor_open(view->txn, log->tables.dbi[LMDB_REGISTRY], &cursor);
	if (code)
		return failed(log, code, "read", err);
	code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (!code && key.mv_size == LMDB_SEQ_BYTES)
		seq = load_u64be(key.mv_data);
	mdb_cursor_close(cursor);
	if (code == MDB_NOTFOUND)
		return STATUS_NOT_FOUND;
	if (code)
		return failed(log, code, "read", err);
	if (seq <= after_seq || seq > snapshot->size)
		return bad_index(lmdb_table_name(LMDB_REGISTRY), err);
	*ret_seq = seq;
	return STATUS_OK;
}

static enum status lmdb_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
			       struct error *err)
{
	struct lmdb_log *log = lmdb_of(snapshot->log);
	enum status status = lmdb_env_check(log->env, err);
	uint64_t rows[LMDB_TABLES] = { 0 };

	if (status)
		return status;
	for (size_t i = 0; i < LMDB_TABLES; i++) {
		MDB_stat stat;
		int code = mdb_stat(snapshot_of(snapshot)->txn, log->tables.dbi[i], &stat);

		if (code)
			return failed(log, code, "read", err);
		rows[i] = stat.ms_entries;
	}
	*ret = (struct evlog_counts){
		.leaves = rows[LMDB_EVENTS],
		.rows = rows[LMDB_TREE],
		.commands = rows[LMDB_COMMANDS],
		.registry = rows[LMDB_REGISTRY],
	};
	return STATUS_OK;
}

/* --- appending -------------------------------------------------------------------------------- */

/* What one append writes. */
struct batch {
	uint64_t size;
	const struct evlog_entry *entries;
	const struct slice *rows;
	size_t count;
};

/* In the writing transaction: nobody else can write, so that what is true here stays true. */
enum status lmdb_log_check_head(const struct lmdb_log *log, MDB_txn *txn, uint64_t size,
				struct error *err)
{
	MDB_cursor *cursor;
	uint64_t noted, last;
	int code = lmdb_tables_get_txn(&log->tables, txn, &noted);

	if (!code)
		code = mdb_cursor_open(txn, log->tables.dbi[LMDB_EVENTS], &cursor);
	if (!code) {
		code = read_last_seq(cursor, &last);
		mdb_cursor_close(cursor);
	}
	if (code)
		return failed(log, code, "read", err);
	/* Nothing may be chained to a log that lost its last commit. */
	if (noted + 1 != mdb_txn_id(txn))
		return torn_meta(log, noted, mdb_txn_id(txn) - 1, err);
	if (last != size)
		return error_set(err, STATUS_CONFLICT,
				 "the log holds %" PRIu64 " events, not %" PRIu64, last, size);
	return STATUS_OK;
}

/* A row of a table whose keys only grow. MDB_APPEND leaves full pages behind it, and refuses a key
 * that is not the greatest: after lmdb_log_check_head() that can only be damage. */
static int put_last(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val value)
{
	int code = mdb_put(txn, table, key, &value, MDB_APPEND | MDB_NOOVERWRITE);

	return code == MDB_KEYEXIST ? MDB_CORRUPTED : code;
}

/* Command ids are made from the time, but anybody may choose one: append when it is the greatest,
 * else search. MDB_KEYEXIST when the id is there already. */
static int put_command(MDB_txn *txn, MDB_dbi table, const uint8_t *command_id, MDB_val seq)
{
	MDB_val key = lmdb_val(command_id, COMMAND_ID_BYTES);
	MDB_val value = seq;
	int code = mdb_put(txn, table, &key, &value, MDB_APPEND | MDB_NOOVERWRITE);

	if (code != MDB_KEYEXIST)
		return code;
	value = seq;
	return mdb_put(txn, table, &key, &value, MDB_NOOVERWRITE);
}

int lmdb_log_put(const struct lmdb_log *log, MDB_txn *txn, const struct evlog_entry *entry,
		 struct slice row, uint64_t seq, unsigned tables)
{
	uint8_t bytes[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val(bytes, sizeof(bytes));
	int code = fault_point("log.put");

	store_u64be(bytes, seq);
	if (!code && (tables & 1U << LMDB_EVENTS))
		code = put_last(txn, log->tables.dbi[LMDB_EVENTS], &key,
				lmdb_val(entry->leaf.data, entry->leaf.len));
	if (!code && (tables & 1U << LMDB_TREE))
		code = put_last(txn, log->tables.dbi[LMDB_TREE], &key, lmdb_val(row.data, row.len));
	if (!code && entry->registry && (tables & 1U << LMDB_REGISTRY))
		code = put_last(txn, log->tables.dbi[LMDB_REGISTRY], &key, lmdb_val(NULL, 0));
	if (!code && entry->starts_command && (tables & 1U << LMDB_COMMANDS))
		code = put_command(txn, log->tables.dbi[LMDB_COMMANDS], entry->command_id, key);
	return code;
}

static int put_batch(const struct lmdb_log *log, MDB_txn *txn, const struct batch *batch)
{
	int code = lmdb_tables_put_txn(&log->tables, txn);

	for (size_t i = 0; i < batch->count && !code; i++)
		code = lmdb_log_put(log, txn, &batch->entries[i], batch->rows[i],
				    batch->size + i + 1, LMDB_ALL_ROWS);
	return code;
}

/* Nothing was written, for a reason that LMDB tells before its commit. */
static enum status put_failed(const struct lmdb_log *log, int code, struct error *err)
{
	if (code == MDB_KEYEXIST)
		return error_set(err, STATUS_CONFLICT,
				 "the log holds a command of this id already");
	return failed(log, code, "write to", err);
}

/*
 * EIO from a sync is never answered by trying again: the kernel reports it once and forgets, so
 * that a second try would succeed over pages that were never written. Writing stops until the log
 * is opened anew, which reads what is there.
 */
static enum status commit_failed(struct lmdb_log *log, int code, struct error *err)
{
	struct error why = ERROR_INIT;

	atomic_store(&log->latched, true);
	(void)failed(log, code, "commit to", &why);
	(void)error_set(err, STATUS_IO, "%s; whether the event was written is unknown", why.text);
	if (err)
		err->sys_errno = why.sys_errno;
	return error_hint(err, STATUS_IO, "%s",
			  why.hint[0] ? why.hint
				      : "run the command again with the same command id: it looks "
					"whether the event was written");
}

/* Ends @txn, whatever comes. */
static int commit(const struct lmdb_log *log, MDB_txn *txn)
{
	int code = fault_point("log.commit");

	if (!code)
		return lmdb_env_commit(log->env, txn);
	lmdb_env_end(log->env, txn);
	return code;
}

/* One transaction. OK with *ret_again: it left nothing, and has to be run once more. */
static enum status append_once(struct lmdb_log *log, const struct batch *batch, bool *ret_again,
			       struct error *err)
{
	MDB_txn *txn;
	size_t map_bytes;
	enum status status = lmdb_env_begin(log->env, true, &txn, err);
	int put_code, code;

	*ret_again = false;
	if (status)
		return status;
	map_bytes = lmdb_env_map_bytes(log->env);
	status = lmdb_log_check_head(log, txn, batch->size, err);
	put_code = status ? 0 : put_batch(log, txn, batch);
	if (status || put_code)
		lmdb_env_end(log->env, txn);
	if (status)
		return status;
	code = put_code ? put_code : commit(log, txn);
	/* EINTR is fdatasync()'s: no meta page was written, and no page reported lost. */
	*ret_again = code == MDB_MAP_FULL || (code == EINTR && !put_code);
	if (code == MDB_MAP_FULL)
		return lmdb_env_grow(log->env, map_bytes, err);
	if (put_code)
		return put_failed(log, put_code, err);
	if (!code)
		code = fault_point("log.committed");
	return code && !*ret_again ? commit_failed(log, code, err) : STATUS_OK;
}

static enum status lmdb_append(struct evlog *base, uint64_t size, const struct evlog_entry *entries,
			       const struct slice *rows, size_t count, struct error *err)
{
	struct lmdb_log *log = lmdb_of(base);
	struct batch batch = { .size = size, .entries = entries, .rows = rows, .count = count };
	bool again = true;

	for (int i = 0; i < APPEND_ATTEMPTS && again; i++) {
		enum status status;

		if (atomic_load(&log->latched)) {
			(void)error_set(err, STATUS_IO,
					"the log at %s is closed for writing since a commit failed",
					lmdb_env_dir(log->env));
			return error_hint(err, STATUS_IO, "open the store again");
		}
		status = append_once(log, &batch, &again, err);
		if (status)
			return status;
	}
	if (again)
		return error_set(err, STATUS_IO,
				 "cannot write to the log at %s: interrupted %d times",
				 lmdb_env_dir(log->env), APPEND_ATTEMPTS);
	return STATUS_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void lmdb_close(struct evlog *base)
{
	struct lmdb_log *log = lmdb_of(base);

	lmdb_env_close(log->env);
	(void)pthread_mutex_destroy(&log->log.frontier_lock);
	free(log);
}

static void close_log(struct lmdb_log **log)
{
	if (*log)
		lmdb_close(&(*log)->log);
}

static enum status lmdb_watch(struct evlog *base, uint64_t size, uint64_t wait_ms,
			      uint64_t *ret_size, struct error *err)
{
	return evlog_lmdb_watch(base, lmdb_env_data_path(lmdb_of(base)->env), size, wait_ms,
				ret_size, err);
}

static const struct evlog_ops lmdb_ops = {
	.snapshot_open = lmdb_snapshot_open,
	.snapshot_close = lmdb_snapshot_close,
	.leaf = lmdb_leaf,
	.row = lmdb_row,
	.command = lmdb_command,
	.registry_next = lmdb_registry_next,
	.counts = lmdb_counts,
	.append = lmdb_append,
	.watch = lmdb_watch,
	.close = lmdb_close,
};

/* The snapshot finds a dropped commit now and not at the first question. */
static enum status look_once(struct lmdb_log *log, struct error *err)
{
	struct evlog_snapshot *snapshot;
	enum status status = lmdb_snapshot_open(&log->log, &snapshot, err);

	if (!status)
		lmdb_snapshot_close(snapshot);
	return status;
}

enum status evlog_lmdb_open(const char *path, struct evlog_lmdb_options options, struct evlog **ret,
			    struct error *err)
{
	struct lmdb_log *log AUTO(close_log) = calloc(1, sizeof(*log));
	enum status status;

	if (!log)
		return error_no_memory(err);
	log->log = (struct evlog){ .ops = &lmdb_ops, .frontier_lock = PTHREAD_MUTEX_INITIALIZER };
	status = lmdb_env_open(path, options, &log->env, err);
	if (!status)
		status = options.create ? lmdb_tables_create(log->env, &log->tables, err)
					: lmdb_tables_open(log->env, &log->tables, err);
	if (!status)
		status = look_once(log, err);
	if (status)
		return status;
	*ret = &log->log;
	log = NULL;
	return STATUS_OK;
}
