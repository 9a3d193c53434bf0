/*
 * Comparing and mending the derived tables; see reindex.h.
 *
 * Invariants: looking comes before mending, under the same lock, and what is mended must come to
 * the root that was found by looking; a table is mended by emptying it and filling it again, so
 * that nothing of what was wrong can stay; no page is freed unless it is known whose it is.
 */
#include "store/reindex.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/derive.h"
#include "store/evidence.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/evlog_lmdb_object.h"
#include "store/headfile.h"
#include "store/lmdb_env.h"
#include "store/lmdb_pages.h"
#include "store/lmdb_tables.h"
#include "store/merkle.h"
#include "store/store_object.h"

#include "base/banned.h"

enum {
	MEND_ATTEMPTS = 16, /* the map may have to grow, each time twofold */
};

/* One look over the log. */
struct look {
	struct evlog_snapshot *snapshot;
	struct derive derive;
	struct evidence evidence;
	struct reindex_report report;
};

static void look_release(struct look *look)
{
	derive_release(&look->derive);
	evlog_snapshot_close(look->snapshot);
	evidence_release(&look->evidence);
}

static void close_log(struct evlog **log)
{
	evlog_close(*log);
}

static void close_snapshot(struct evlog_snapshot **snapshot)
{
	evlog_snapshot_close(*snapshot);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* A row that is missing or of a wrong form shows as damage, which here is the table's. */
static enum status judge(enum status status, bool equal, bool *bad, const struct error *why,
			 struct error *err)
{
	if (status && status != STATUS_CORRUPT && status != STATUS_NOT_FOUND) {
		if (err)
			*err = *why;
		return status;
	}
	*bad = *bad || status || !equal;
	return STATUS_OK;
}

static enum status compare(struct look *look, const struct derived *due, struct error *err)
{
	uint64_t seq = look->derive.frontier.size;
	struct reindex_report *report = &look->report;
	struct slice row = slice_of(NULL, 0);
	struct error why = ERROR_INIT;
	uint64_t found = 0;
	enum status status = evlog_row(look->snapshot, seq, &row, &why);

	status = judge(status, slice_equal(row, due->row), &report->tree, &why, err);
	if (!status && due->entry.starts_command) {
		status = evlog_command(look->snapshot, due->entry.command_id, &found, &why);
		status = judge(status, found == seq, &report->commands, &why, err);
	}
	if (!status && due->entry.registry) {
		status = evlog_registry_next(look->snapshot, seq - 1, &found, &why);
		status = judge(status, found == seq, &report->registry, &why, err);
	}
	return status;
}

/* Once the log is known by its first event, what do head and checkpoint say of it? */
static enum status find_evidence(struct look *look, const char *store_path, struct error *err)
{
	const uint8_t *log_id = look->derive.registry.log_id;

	evidence_name_checkpoint(&look->evidence, log_id, store_path);
	return evidence_read(&look->evidence, log_id, err);
}

/* Where a file speaks of as many events as were read by now: are these the ones? */
static bool differs(const struct look *look, const struct evidence_file *file)
{
	uint8_t root[HASH_BYTES];

	if (!file->usable || file->record.size != look->derive.frontier.size)
		return false;
	merkle_frontier_root(&look->derive.frontier, root);
	return memcmp(root, file->record.root, HASH_BYTES) != 0;
}

/* The snapshot may be older than the file: then the log as it is now has the events. */
static enum status size_now(const struct look *look, uint64_t *ret, struct error *err)
{
	struct evlog_snapshot *now AUTO(close_snapshot) = NULL;
	enum status status = evlog_snapshot_open(look->snapshot->log, &now, err);

	if (!status)
		*ret = now->size;
	return status;
}

/* All events were read: did any file speak of other or more ones, whose loss nobody accepted? */
static enum status check_evidence(const struct look *look, const struct evidence_file *file,
				  bool differed, struct error *err)
{
	uint64_t size = look->derive.frontier.size;
	enum status status = STATUS_OK;

	if (file->usable && file->record.size > size)
		status = size_now(look, &size, err);
	if (status || (!differed && (!file->usable || file->record.size <= size)) ||
	    evidence_accepted(&look->derive.registry, &file->record))
		return status;
	if (file->record.size > size)
		return error_set(err, STATUS_CORRUPT,
				 "the log lost events %" PRIu64 "..%" PRIu64 " (evidence: %s)",
				 size + 1, file->record.size, buf_str(&file->path));
	return error_set(err, STATUS_CORRUPT,
			 "the log's first %" PRIu64
			 " events are not the ones acknowledged before (evidence: %s)",
			 file->record.size, buf_str(&file->path));
}

/*
 * A row of the tree for an event that is not there, beside the rows of all that are, is the trace
 * of an event that was lost. It must not be cleared away.
 */
static enum status check_lost(struct look *look, const struct evlog_counts *counts,
			      struct error *err)
{
	const struct lmdb_log *log = lmdb_of(look->snapshot->log);
	uint64_t next = look->snapshot->size + 1;
	uint8_t bytes[LMDB_SEQ_BYTES] = { 0 };
	MDB_val key = lmdb_val(bytes, sizeof(bytes));
	MDB_val row;

	store_u64be(bytes, next);
	if (counts->rows <= counts->leaves ||
	    mdb_get(snapshot_of(look->snapshot)->txn, log->tables.dbi[LMDB_TREE], &key, &row) ||
	    row.mv_size != (size_t)merkle_row_hashes(next - 1) * HASH_BYTES)
		return STATUS_OK;
	return error_set(err, STATUS_CORRUPT,
			 "the log holds %" PRIu64 " events, but its tree has a row for event "
			 "%" PRIu64 ": the end of the log was lost",
			 next - 1, next);
}

/* What the tables hold beside what they must. */
static enum status compare_counts(struct look *look, struct error *err)
{
	struct reindex_report *report = &look->report;
	struct evlog_counts counts;
	enum status status = evlog_counts(look->snapshot, &counts, err);

	if (status)
		return status;
	if (counts.leaves != look->snapshot->size)
		return error_set(err, STATUS_CORRUPT,
				 "the table of events holds %" PRIu64 " rows instead of %" PRIu64,
				 counts.leaves, look->snapshot->size);
	report->tree = report->tree || counts.rows != counts.leaves;
	report->commands = report->commands || counts.commands != look->derive.commands;
	report->registry = report->registry || counts.registry != look->derive.registry_events;
	return check_lost(look, &counts, err);
}

static enum status look_at_events(struct look *look, const char *store_path, struct error *err)
{
	const struct evidence *evidence = &look->evidence;
	bool head = false, checkpoint = false;
	enum status status = STATUS_OK;

	while (!status && look->derive.frontier.size < look->snapshot->size) {
		struct derived due;

		status = derive_next(&look->derive, look->snapshot, &due, err);
		if (!status && look->derive.frontier.size == 1)
			status = find_evidence(look, store_path, err);
		if (!status)
			status = compare(look, &due, err);
		head = head || differs(look, &evidence->head);
		checkpoint = checkpoint || differs(look, &evidence->checkpoint);
	}
	if (!status)
		status = derive_end(&look->derive, err);
	if (!status)
		status = check_evidence(look, &evidence->head, head, err);
	return status ? status : check_evidence(look, &evidence->checkpoint, checkpoint, err);
}

static enum status look_over(struct evlog *log, const char *store_path, struct reindex_report *ret,
			     struct error *err)
{
	struct look look AUTO(look_release) = { .snapshot = NULL };
	struct reindex_report *report = &look.report;
	enum status status = evidence_init(&look.evidence, store_path, err);

	if (!status)
		status = derive_init(&look.derive, true, err);
	if (!status)
		status = evlog_snapshot_open(log, &look.snapshot, err);
	if (!status)
		status = look_at_events(&look, store_path, err);
	if (!status)
		status = compare_counts(&look, err);
	if (!status && (report->tree || report->commands || report->registry))
		status = lmdb_pages_check(snapshot_of(look.snapshot)->txn, &lmdb_of(log)->tables,
					  err);
	if (status)
		return status;
	report->events = look.snapshot->size;
	merkle_frontier_root(&look.derive.frontier, report->root);
	*ret = *report;
	return STATUS_OK;
}

/* --- mending ---------------------------------------------------------------------------------- */

static int empty_tables(const struct lmdb_log *log, MDB_txn *txn, unsigned tables)
{
	int code = 0;

	for (unsigned i = 0; i < LMDB_TABLES && !code; i++) {
		if (tables & 1U << i)
			code = mdb_drop(txn, log->tables.dbi[i], 0);
	}
	return code;
}

/* In @txn: fill the emptied tables. OK with *ret_code not 0: LMDB's answer to a row. */
static enum status fill_tables(struct lmdb_log *log, MDB_txn *txn,
			       const struct reindex_report *report, unsigned tables, int *ret_code,
			       struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(close_snapshot) = NULL;
	struct derive derive AUTO(derive_release) = { .decoder = NULL };
	uint8_t root[HASH_BYTES];
	enum status status = derive_init(&derive, false, err);

	if (!status)
		status = evlog_snapshot_open(&log->log, &snapshot, err);
	*ret_code = status ? 0 : empty_tables(log, txn, tables);
	while (!status && !*ret_code && derive.frontier.size < report->events) {
		struct derived row;

		status = derive_next(&derive, snapshot, &row, err);
		if (!status)
			*ret_code = lmdb_log_put(log, txn, &row.entry, row.row,
						 derive.frontier.size, tables);
	}
	if (status || *ret_code)
		return status;
	merkle_frontier_root(&derive.frontier, root);
	if (memcmp(root, report->root, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "the events read otherwise the second time: look at the disk");
	*ret_code = lmdb_tables_put_txn(&log->tables, txn);
	return STATUS_OK;
}

/* One transaction. OK with *ret_again: the map had to grow. */
static enum status mend_once(struct lmdb_log *log, const struct reindex_report *report,
			     unsigned tables, bool *ret_again, struct error *err)
{
	MDB_txn *txn;
	size_t map_bytes;
	enum status status = lmdb_env_begin(log->env, true, &txn, err);
	int code = 0;

	*ret_again = false;
	if (status)
		return status;
	map_bytes = lmdb_env_map_bytes(log->env);
	status = lmdb_log_check_head(log, txn, report->events, err);
	if (!status)
		status = fill_tables(log, txn, report, tables, &code, err);
	if (!status && !code)
		code = fault_point("reindex.commit");
	if (status || code) {
		lmdb_env_end(log->env, txn);
	} else {
		code = lmdb_env_commit(log->env, txn);
	}
	*ret_again = code == MDB_MAP_FULL || code == EINTR;
	if (code == MDB_MAP_FULL)
		return lmdb_env_grow(log->env, map_bytes, err);
	if (status || !code || *ret_again)
		return status;
	if (code == MDB_KEYEXIST)
		return error_set(err, STATUS_CORRUPT, "the log holds a command id twice");
	return lmdb_env_failed(log->env, code, "write to", err);
}

static enum status mend_tables(struct evlog *base, struct reindex_report *report, struct error *err)
{
	struct lmdb_log *log = lmdb_of(base);
	unsigned tables = (report->tree ? 1U << LMDB_TREE : 0) |
			  (report->commands ? 1U << LMDB_COMMANDS : 0) |
			  (report->registry ? 1U << LMDB_REGISTRY : 0);
	enum status status = STATUS_OK;
	bool again = tables != 0;

	for (int i = 0; i < MEND_ATTEMPTS && again && !status; i++)
		status = mend_once(log, report, tables, &again, err);
	if (status)
		return status;
	if (again)
		return error_set(err, STATUS_IO, "cannot write to the log at %s: interrupted",
				 lmdb_env_dir(log->env));
	report->mended = tables != 0;
	return STATUS_OK;
}

/* --- the child -------------------------------------------------------------------------------- */

static enum status look_and_mend(const char *store_path, bool mend, struct reindex_report *ret,
				 struct error *err)
{
	struct evlog *log AUTO(close_log) = NULL;
	struct buf dir AUTO(buf_release) = BUF_INIT;
	struct reindex_report report = { .events = 0 };
	enum status status;

	fs_join(&dir, store_path, "log");
	status = buf_status(&dir, err);
	if (!status)
		status = evlog_lmdb_open(buf_str(&dir),
					 (struct evlog_lmdb_options){ .read_only = !mend }, &log,
					 err);
	if (!status)
		status = look_over(log, store_path, &report, err);
	if (!status && mend)
		status = mend_tables(log, &report, err);
	if (!status)
		*ret = report;
	return status;
}

struct task {
	const char *store_path;
	bool mend;
	struct reindex_report *report; /* shared with the child */
};

static enum status carry_out(void *context, struct error *err)
{
	const struct task *task = context;

	return look_and_mend(task->store_path, task->mend, task->report, err);
}

enum status reindex_store(const char *store_path, bool mend, uint64_t wait_ms,
			  struct reindex_report *ret, struct error *err)
{
	int lock_fd AUTO_FD = -1;
	struct task task = { .store_path = store_path, .mend = mend };
	struct child_job job = {
		.name = mend ? "the mending of the log" : "the look at the log",
		.work = carry_out,
		.context = &task,
	};
	void *shared = NULL;
	enum status status = mend ? store_lock_dir(store_path, wait_ms, &lock_fd, err) : STATUS_OK;

	if (!status)
		status = child_share(sizeof(*task.report), &shared, err);
	if (status)
		return status;
	task.report = shared;
	status = child_job_run(&job, NULL, err);
	if (!status)
		*ret = *task.report;
	child_unshare(shared, sizeof(*task.report));
	return status;
}
