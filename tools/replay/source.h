/*
 * What the tool works on: a store directory or its log directory, opened for reading only, on
 * read-only media and without state/ and keys too.
 */
#ifndef PROVENV_TOOLS_REPLAY_SOURCE_H
#define PROVENV_TOOLS_REPLAY_SOURCE_H

#include "replay/fold.h"
#include "store/audit.h"
#include "store/evlog_lmdb.h"
#include "store/ref.h"

struct source {
	struct buf store; /* the store's directory; empty when only a log was given */
	struct buf log;
	struct evlog_lmdb_options how;
	uint64_t unlocked_at; /* read without its lock since this transaction; 0: with it */
	struct evlog *evlog;  /* NULL until opened */
	struct evlog_snapshot *snapshot;
};

#define SOURCE_INIT { .evlog = NULL }

/* Find the log below @path, without opening it. NO_STORE. */
enum status source_find(const char *path, struct source *ret, struct error *err);
/* Check every event, in a child. */
enum status source_audit(const struct source *source, struct audit_report *ret, struct error *err);
/* Open the log and a snapshot. */
enum status source_open(struct source *source, struct error *err);
/* Close what source_open() opened; where the log lies stays known. */
void source_close(struct source *source);
/* Resolve a REF; NULL is the head. */
enum status source_ref(struct source *source, const char *text, struct ref_point *ret,
		       struct error *err);
/*
 * Find, open and fold up to a REF. LOCKED instead of CORRUPT when the log is written to and read
 * without its lock.
 */
enum status source_fold(struct source *source, const char *ref, struct fold *ret,
			struct ref_point *ret_point, struct error *err);
/* Accepts SOURCE_INIT. */
void source_release(struct source *source);

#endif
