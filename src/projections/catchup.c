/*
 * Reading commands from the log and applying them; see catchup.h.
 */
#include "projections/catchup.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/apply.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/state_model.h"

#include "base/banned.h"

struct catchup {
	struct db *db;
	struct evlog_snapshot *snapshot;
	struct event_decoder *decoder;
	struct arena arena;
	struct position *position;
	enum apply_rule broken; /* by the command being applied */
	uint64_t broken_seq;
};

static void catchup_release(struct catchup *catchup)
{
	event_decoder_free(catchup->decoder);
	arena_release(&catchup->arena);
}

static int run_position_read(sqlite3_stmt *stmt, struct position *ret)
{
	int code = sqlite3_step(stmt);

	if (code != SQLITE_ROW)
		return code;
	ret->schema_version = (uint64_t)sqlite3_column_int64(stmt, 0);
	ret->seq = (uint64_t)sqlite3_column_int64(stmt, 2);
	if (sqlite3_column_bytes(stmt, 1) != LOG_ID_BYTES ||
	    sqlite3_column_bytes(stmt, 3) != HASH_BYTES)
		return SQLITE_CORRUPT;
	memcpy(ret->log_id, sqlite3_column_blob(stmt, 1), LOG_ID_BYTES);
	memcpy(ret->leaf_hash, sqlite3_column_blob(stmt, 3), HASH_BYTES);
	return SQLITE_ROW;
}

enum status position_read(struct db *db, struct position *ret, struct error *err)
{
	static const char sql[] = "SELECT schema_version, log_id, seq, leaf_hash FROM position";
	struct position position = { .seq = 0 };
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, DB_SLOTS - 1, sql, &stmt, err);
	int code;

	if (status)
		return status;
	code = run_position_read(stmt, &position);
	if (code == SQLITE_ROW)
		*ret = position;
	else if (code == SQLITE_DONE)
		status = error_set(err, STATUS_NOT_FOUND, "state database: no position");
	else
		status = db_error(db, code, "read the position", err);
	sqlite3_reset(stmt);
	return status;
}

enum status position_write(struct db *db, const struct position *position, struct error *err)
{
	static const char sql[] = "INSERT OR REPLACE INTO position VALUES (1, ?1, ?2, ?3, ?4)";
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, DB_SLOTS - 2, sql, &stmt, err);
	int code;

	if (status)
		return status;
	code = sqlite3_bind_int64(stmt, 1, (int64_t)position->schema_version);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(stmt, 2, position->log_id, LOG_ID_BYTES, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 3, (int64_t)position->seq);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(stmt, 4, position->leaf_hash, HASH_BYTES, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_DONE)
		status = db_error(db, code, "write the position", err);
	sqlite3_reset(stmt);
	return status;
}

/* Read event @seq, checked against the tree and its predecessor; @leaf_hash becomes its own. */
static enum status read_linked(struct catchup *catchup, uint64_t seq, uint8_t leaf_hash[HASH_BYTES],
			       struct decoded_event *ret, struct error *err)
{
	uint8_t stored[HASH_BYTES], computed[HASH_BYTES];
	const uint8_t *signature;
	struct slice leaf, bytes;
	enum status status = evlog_leaf(catchup->snapshot, seq, &leaf, err);

	if (!status)
		status = evlog_leaf_hash(catchup->snapshot, seq, stored, err);
	if (status)
		return status;
	merkle_leaf_hash(leaf, computed);
	if (memcmp(stored, computed, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its bytes do not match the tree", seq);
	if (!leaf_split(leaf, &bytes, &signature))
		return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": too short", seq);
	status = event_decode(catchup->decoder, bytes, ret, err);
	if (status)
		return error_prefix(err, status, "event %" PRIu64, seq);
	if (ret->event.seq != seq || memcmp(ret->event.prev, leaf_hash, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": does not follow event %" PRIu64, seq, seq - 1);
	memcpy(leaf_hash, computed, HASH_BYTES);
	return STATUS_OK;
}

static enum status record_violation(struct catchup *catchup, struct error *err)
{
	struct cell key = cell_number(catchup->broken_seq);
	struct cell rule = cell_number((uint64_t)catchup->broken);

	return table_put(catchup->db, TAG_VIOLATION, &key, &rule, catchup->broken_seq, err);
}

/*
 * One event of a command. A command of several parts runs inside a savepoint, so that the first
 * rule broken undoes the parts before it.
 */
static enum status apply_part(struct catchup *catchup, const struct decoded_event *event,
			      struct error *err)
{
	bool several = event->event.parts > 1;
	enum status status = STATUS_OK;

	if (event->event.part == 1) {
		catchup->broken = RULE_NONE;
		if (several)
			status = db_exec(catchup->db, "SAVEPOINT command", err);
	}
	if (!status && catchup->broken == RULE_NONE) {
		status = apply_event(catchup->db, event, &catchup->arena, &catchup->broken, err);
		catchup->broken_seq = event->event.seq;
		arena_release(&catchup->arena);
	}
	if (status || event->event.part < event->event.parts)
		return status;
	if (several && catchup->broken != RULE_NONE)
		status = db_exec(catchup->db, "ROLLBACK TO command", err);
	if (!status && several)
		status = db_exec(catchup->db, "RELEASE command", err);
	if (!status && catchup->broken != RULE_NONE)
		status = record_violation(catchup, err);
	return status;
}

/* Apply the command that begins at @seq; @ret_last is its last event. */
static enum status apply_command(struct catchup *catchup, uint64_t seq, uint64_t until,
				 uint64_t *ret_last, struct error *err)
{
	struct decoded_event event;
	uint32_t part = 1, parts = 1;

	for (; part <= parts; part++, seq++) {
		enum status status;

		if (seq > until)
			return error_set(err, STATUS_CORRUPT,
					 "the log ends inside a command, after event %" PRIu64,
					 until);
		status = read_linked(catchup, seq, catchup->position->leaf_hash, &event, err);
		if (status)
			return status;
		if (part == 1)
			parts = event.event.parts;
		if (event.event.part != part || event.event.parts != parts)
			return error_set(err, STATUS_CORRUPT,
					 "event %" PRIu64 ": not part %" PRIu32 " of %" PRIu32, seq,
					 part, parts);
		status = apply_part(catchup, &event, err);
		if (status)
			return status;
		*ret_last = seq;
	}
	return STATUS_OK;
}

enum status catchup_apply(struct db *db, struct evlog_snapshot *snapshot, uint64_t until,
			  struct position *position, struct error *err)
{
	AUTO(catchup_release)
	struct catchup catchup = {
		.db = db,
		.snapshot = snapshot,
		.arena = ARENA_INIT,
		.position = position,
	};
	enum status status = event_decoder_new(&catchup.decoder, err);

	assert(until <= snapshot->size);
	while (!status && position->seq < until)
		status = apply_command(&catchup, position->seq + 1, until, &position->seq, err);
	if (!status)
		status = position_write(db, position, err);
	return status;
}
