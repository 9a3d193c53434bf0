/*
 * The projection: the SQLite file that holds the state, kept in step with the log.
 *
 * STORE/state holds generations N.db and `current`, a small file with the name of the one in force,
 * replaced by rename. A new generation is built beside and swapped in; an opener reads `current`
 * again after opening. Users hold a shared lock on STORE/state/lock; old generations are removed
 * only by someone who gets it exclusively.
 *
 * A read-only store, or a state directory that cannot be written, gets a private projection in
 * memory. Everything asked of one projection_open() or projection_refresh() belongs to one event
 * number.
 */
#ifndef PROVENV_PROJECTIONS_PROJECTION_H
#define PROVENV_PROJECTIONS_PROJECTION_H

#include "projections/db.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/store.h"

struct projection;

/* Why a projection was built anew; for the note to the user. */
enum projection_rebuilt {
	REBUILT_NO,
	REBUILT_MISSING, /* there was none: not worth a word */
	REBUILT_VERSION, /* another schema version */
	REBUILT_FOREIGN, /* of another log */
	REBUILT_DAMAGED, /* unreadable, or not what the log says */
	REBUILT_UNKEPT,  /* in memory, though the store can be written: its state/ cannot */
};

/*
 * Open the state of @store and bring it up to the end of the log.
 *
 * CORRUPT  the projection is ahead of the log (the log lost events), or the log is damaged
 * NEWER    the log holds events of a later provenv
 * IO, LOCKED
 */
enum status projection_open(struct store *store, struct projection **ret, struct error *err);

/*
 * Bring it up to the end of the log again; everything read before is of the past then. After a
 * failure nothing may be asked: only projection_damaged(), projection_rebuild() and
 * projection_close() may be called.
 */
enum status projection_refresh(struct projection *projection, struct error *err);

/*
 * Let go of what is being read, so that the log may grow. As after a failed projection_refresh(),
 * which is also the way back.
 */
void projection_pause(struct projection *projection);

/*
 * Throw the generation away and build a new one; used after damage was met. When another process
 * built one meanwhile, that one is taken. After a failure as projection_refresh().
 */
enum status projection_rebuild(struct projection *projection, struct error *err);

/* Accepts NULL. */
void projection_close(struct projection *projection);

struct db *projection_db(struct projection *projection);
/* The last event of the state: the head of the log when it was opened or refreshed. */
uint64_t projection_seq(const struct projection *projection);
/* A snapshot of the log that holds exactly projection_seq() events or more. */
struct evlog_snapshot *projection_snapshot(struct projection *projection);
struct event_reader *projection_reader(struct projection *projection);
enum projection_rebuilt projection_rebuilt(const struct projection *projection);

/* Remember that a row contradicts the log, so that the caller of the command rebuilds and retries.
 */
void projection_mark_damaged(struct projection *projection);
/* Has a row contradicted the log, or SQLite met a damaged page? */
bool projection_damaged(const struct projection *projection);

/*
 * Build the state from the log alone, in a private temporary file, and return its state hash. What
 * `rebuild --compare` compares with.
 */
enum status projection_fresh_hash(struct projection *projection, uint8_t ret[HASH_BYTES],
				  struct error *err);

#endif
