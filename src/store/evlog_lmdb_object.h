/*
 * The log in LMDB from within, for evlog_lmdb.c, evlog_lmdb_watch.c and reindex.c; nobody else
 * includes it.
 */
#ifndef PROVENV_STORE_EVLOG_LMDB_OBJECT_H
#define PROVENV_STORE_EVLOG_LMDB_OBJECT_H

#include <lmdb.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/evlog.h"
#include "store/lmdb_env.h"
#include "store/lmdb_tables.h"

struct lmdb_log {
	struct evlog log;
	struct lmdb_env *env;
	struct lmdb_tables tables;
	atomic_bool latched; /* a commit failed: whether it is on disk is unknown */
};

/* Where a table was read last, so that the next row is a step and not a search. */
struct place {
	MDB_cursor *cursor;
	uint64_t seq; /* 0: nowhere */
};

struct lmdb_snapshot {
	struct evlog_snapshot snapshot;
	MDB_txn *txn;
	struct place events;
	struct place tree;
};

static inline struct lmdb_log *lmdb_of(struct evlog *log)
{
	return (struct lmdb_log *)log;
}

static inline struct lmdb_snapshot *snapshot_of(struct evlog_snapshot *snapshot)
{
	return (struct lmdb_snapshot *)snapshot;
}

/*
 * In a writing transaction: is the log sound at its end, and does it hold @size events?
 * CORRUPT  a torn meta page dropped a commit; CONFLICT  another number of events
 */
enum status lmdb_log_check_head(const struct lmdb_log *log, MDB_txn *txn, uint64_t size,
				struct error *err);

/* Every table that has rows for events: what an append fills. */
#define LMDB_ALL_ROWS \
	(1U << LMDB_EVENTS | 1U << LMDB_TREE | 1U << LMDB_COMMANDS | 1U << LMDB_REGISTRY)

/*
 * Put the rows of event @seq, the next one, into those of the tables whose bit (1 << enum
 * lmdb_table) is set. Returns an MDB_ code: MDB_KEYEXIST when the command id is there already.
 */
int lmdb_log_put(const struct lmdb_log *log, MDB_txn *txn, const struct evlog_entry *entry,
		 struct slice row, uint64_t seq, unsigned tables);

/* evlog_watch() of a log whose data file is @path. */
enum status evlog_lmdb_watch(struct evlog *log, const char *path, uint64_t size, uint64_t wait_ms,
			     uint64_t *ret_size, struct error *err);

#endif
