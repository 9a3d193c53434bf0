/*
 * From the log into the tables: whole commands, in order, with the position moved in the same
 * transaction as the rows.
 *
 * Each leaf is hashed and compared with its stored leaf hash and each prev link is followed, so
 * that state never comes from bytes that the tree does not know. Signatures are audit's business.
 */
#ifndef PROVENV_PROJECTIONS_CATCHUP_H
#define PROVENV_PROJECTIONS_CATCHUP_H

#include "projections/db.h"
#include "store/evlog.h"

enum { SCHEMA_VERSION = 2 };

/* Where the tables stand in the log. */
struct position {
	uint64_t schema_version;
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t seq; /* the last event applied, the end of a command; 0: none */
	uint8_t leaf_hash[HASH_BYTES];
};

/* NOT_FOUND: no position was ever written. CORRUPT: it is damaged. */
enum status position_read(struct db *db, struct position *ret, struct error *err);
enum status position_write(struct db *db, const struct position *position, struct error *err);

/*
 * Apply the events after @position up to @until (≤ snapshot->size), and write the position. The
 * caller holds a transaction, and rolls it back on failure; @position is of no use then.
 *
 * CORRUPT  an event does not match the tree or its predecessor, or the log ends inside a command
 * NEWER    an event of a later provenv: state cannot be told beyond it
 */
enum status catchup_apply(struct db *db, struct evlog_snapshot *snapshot, uint64_t until,
			  struct position *position, struct error *err);

#endif
