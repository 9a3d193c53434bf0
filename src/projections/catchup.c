/*
 * Reading commands from the log and applying them; see catchup.h.
 */
#include "projections/catchup.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/apply.h"
#include "projections/db.h"
#include "projections/feed.h"
#include "projections/tables.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/state_model.h"

#include "base/banned.h"

struct catchup {
	struct db *db;
	struct feed *feed;
	struct arena arena;
	struct position *position;
	enum apply_rule broken; /* by the command being applied */
	uint64_t broken_seq;
};

static void catchup_release(struct catchup *catchup)
{
	feed_close(catchup->feed);
	arena_release(&catchup->arena);
}

/*
 * Over all that the position says, so that a damaged one is not believed, and over the file that it
 * was written for: a write-ahead log beside another file is not.
 */
static void position_check(const struct db *db, const struct position *position,
			   uint8_t ret[HASH_BYTES])
{
	uint8_t bytes[8 + LOG_ID_BYTES + 8 + HASH_BYTES + 4];

	store_u64be(bytes, position->schema_version);
	memcpy(bytes + 8, position->log_id, LOG_ID_BYTES);
	store_u64be(bytes + 8 + LOG_ID_BYTES, position->seq);
	memcpy(bytes + 16 + LOG_ID_BYTES, position->leaf_hash, HASH_BYTES);
	store_u32be(bytes + 16 + LOG_ID_BYTES + HASH_BYTES, db_file_id(db));
	(void)crypto_generichash(ret, HASH_BYTES, bytes, sizeof(bytes), NULL, 0);
}

/* The row that the statement stands on. False when it is not what position_write() writes. */
static bool take_position(const struct db *db, sqlite3_stmt *stmt, struct position *ret)
{
	uint8_t check[HASH_BYTES];

	if (sqlite3_column_bytes(stmt, 1) != LOG_ID_BYTES ||
	    sqlite3_column_bytes(stmt, 3) != HASH_BYTES ||
	    sqlite3_column_bytes(stmt, 4) != HASH_BYTES)
		return false;
	ret->schema_version = (uint64_t)sqlite3_column_int64(stmt, 0);
	ret->seq = (uint64_t)sqlite3_column_int64(stmt, 2);
	memcpy(ret->log_id, sqlite3_column_blob(stmt, 1), LOG_ID_BYTES);
	memcpy(ret->leaf_hash, sqlite3_column_blob(stmt, 3), HASH_BYTES);
	position_check(db, ret, check);
	return memcmp(check, sqlite3_column_blob(stmt, 4), HASH_BYTES) == 0;
}

enum status position_read(struct db *db, struct position *ret, struct error *err)
{
	static const char sql[] =
		"SELECT schema_version, log_id, seq, leaf_hash, check_hash FROM position";
	struct position position;
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, DB_SLOTS - 1, sql, &stmt, err);
	int code;

	if (status)
		return status;
	code = sqlite3_step(stmt);
	if (code == SQLITE_DONE)
		status = error_set(err, STATUS_NOT_FOUND, "state database: no position");
	else if (code != SQLITE_ROW)
		status = db_error(db, code, "read the position", err);
	else if (!take_position(db, stmt, &position))
		status = db_refuse(db, "its position is damaged", err);
	else
		*ret = position;
	sqlite3_reset(stmt);
	return status;
}

enum status position_write(struct db *db, const struct position *position, struct error *err)
{
	static const char sql[] = "INSERT OR REPLACE INTO position VALUES (1, ?1, ?2, ?3, ?4, ?5)";
	uint8_t check[HASH_BYTES];
	sqlite3_stmt *stmt;
	enum status status = db_statement(db, DB_SLOTS - 2, sql, &stmt, err);
	int code;

	if (status)
		return status;
	position_check(db, position, check);
	code = sqlite3_bind_int64(stmt, 1, (int64_t)position->schema_version);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(stmt, 2, position->log_id, LOG_ID_BYTES, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, 3, (int64_t)position->seq);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(stmt, 4, position->leaf_hash, HASH_BYTES, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(stmt, 5, check, HASH_BYTES, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_DONE)
		status = db_error(db, code, "write the position", err);
	sqlite3_reset(stmt);
	return status;
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

/* Apply the next command. */
static enum status apply_command(struct catchup *catchup, uint64_t until, struct error *err)
{
	struct position *position = catchup->position;
	uint32_t part = 1, parts = 1;

	for (; part <= parts; part++) {
		const struct fed_event *fed;
		const struct event *event;
		enum status status;

		if (position->seq == until)
			return error_set(err, STATUS_CORRUPT,
					 "the log ends inside a command, after event %" PRIu64,
					 until);
		status = feed_next(catchup->feed, &fed, err);
		if (status)
			return status;
		event = &fed->decoded.event;
		if (part == 1)
			parts = event->parts;
		if (event->part != part || event->parts != parts)
			return error_set(err, STATUS_CORRUPT,
					 "event %" PRIu64 ": not part %" PRIu32 " of %" PRIu32,
					 event->seq, part, parts);
		status = apply_part(catchup, &fed->decoded, err);
		if (status)
			return status;
		position->seq = event->seq;
		memcpy(position->leaf_hash, fed->leaf_hash, HASH_BYTES);
	}
	return STATUS_OK;
}

enum status catchup_apply(struct db *db, struct evlog_snapshot *snapshot, uint64_t until,
			  struct position *position, struct error *err)
{
	AUTO(catchup_release)
	struct catchup catchup = { .db = db, .arena = ARENA_INIT, .position = position };
	enum status status =
		feed_open(snapshot, position->seq, position->leaf_hash, until, &catchup.feed, err);

	while (!status && position->seq < until)
		status = apply_command(&catchup, until, err);
	if (!status)
		status = position_write(db, position, err);
	return status;
}
