/*
 * struct store from within, for store.c and store_append.c, and its lock for reindex.c; nobody else
 * includes it.
 */
#ifndef PROVENV_STORE_STORE_OBJECT_H
#define PROVENV_STORE_STORE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/evidence.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/registry.h"
#include "store/store.h"

struct store {
	struct buf path;
	struct buf log_dir;
	struct buf vault_dir;
	struct buf state_dir;
	struct evlog *log;
	bool may_write;       /* the log */
	uint64_t unlocked_at; /* read without the log's lock since this transaction; 0: with it */
	bool may_evidence;    /* head and checkpoint may be moved at open */
	int lock_fd;          /* -1: the write lock is not held */
	struct registry registry;
	uint64_t registry_size; /* number of events that the registry has taken in */
	uint8_t log_id[LOG_ID_BYTES];
	struct evidence evidence;
};

/* For AUTO(). */
static inline void store_close_snapshot(struct evlog_snapshot **snapshot)
{
	evlog_snapshot_close(*snapshot);
}

/*
 * Take the write lock of the store at @path, waiting at most @wait_ms; closing *ret_fd releases it.
 * LOCKED  the time is up
 */
enum status store_lock_dir(const char *path, uint64_t wait_ms, int *ret_fd, struct error *err);

/* Bring the registry to the size of @snapshot. As registry_load(). */
enum status store_take_in(struct store *store, struct evlog_snapshot *snapshot, struct error *err);

/* The head of the log as @snapshot shows it. */
enum status store_head_of(const struct store *store, struct evlog_snapshot *snapshot,
			  struct head_record *ret, struct error *err);

/* Move one file of evidence forward; what fails is noted, once, since the log is right
 * without it. A damaged file, or another log's, is never moved: store_reset_evidence() is for that.
 */
void store_advance(struct store *store, struct evidence_file *file,
		   const struct head_record *record);

#endif
