/*
 * Logs of chosen payloads in memory and tables to bring in step with them: *state is a chase. Much
 * quicker than a store, and every event can be made wrong before the log is published.
 */
#ifndef PROVENV_TESTS_UNIT_PROJECTIONS_CATCHUP_FIXTURE_H
#define PROVENV_TESTS_UNIT_PROJECTIONS_CATCHUP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/evlog.h"

struct chase {
	struct log_fixture log;
	struct evlog *memory;            /* the log as published */
	struct evlog_snapshot *snapshot; /* of it */
	struct db *db;
	struct position position;
};

static inline struct db *empty_tables(void)
{
	struct db *db = NULL;
	struct error err = ERROR_INIT;

	if (db_open(NULL, DB_MEMORY, &db, &err) || tables_create(db, &err))
		fail_msg("tables: %s", err.text);
	return db;
}

static inline struct position position_before(const struct log_fixture *log)
{
	struct position position = { .schema_version = SCHEMA_VERSION };

	memcpy(position.log_id, log->log_id, LOG_ID_BYTES);
	return position;
}

static inline int chase_setup(void **state)
{
	struct chase *chase = calloc(1, sizeof(*chase));

	if (!chase)
		return -1;
	log_fixture_init(&chase->log);
	chase->db = empty_tables();
	chase->position = position_before(&chase->log);
	*state = chase;
	return 0;
}

static inline int chase_teardown(void **state)
{
	struct chase *chase = *state;

	db_close(chase->db);
	evlog_snapshot_close(chase->snapshot);
	evlog_close(chase->memory);
	log_fixture_release(&chase->log);
	free(chase);
	return 0;
}

/* Add one event as part @part of @parts. Returns its number. */
static inline uint64_t add_part(struct log_fixture *log, const struct payload *payload,
				uint32_t part, uint32_t parts)
{
	struct event event;

	if (part == 1)
		log_fixture_next(log, &event);
	else
		log_fixture_next_part(log, &event);
	event.part = part;
	event.parts = parts;
	event.payload = *payload;
	log_fixture_add(log, &event, &log->signer);
	return event.seq;
}

/* Add one command. Returns the number of its last event. */
static inline uint64_t add_command(struct log_fixture *log, const struct payload *payloads,
				   uint32_t count)
{
	uint64_t seq = 0;

	for (uint32_t i = 0; i < count; i++)
		seq = add_part(log, &payloads[i], i + 1, count);
	return seq;
}

static inline uint64_t add_one(struct log_fixture *log, struct payload payload)
{
	return add_command(log, &payload, 1);
}

/* Let the log be read as it is now. */
static inline void publish(struct chase *chase)
{
	evlog_snapshot_close(chase->snapshot);
	evlog_close(chase->memory);
	chase->memory = log_fixture_memory(&chase->log);
	chase->snapshot = NULL;
	assert_int_equal(evlog_snapshot_open(chase->memory, &chase->snapshot, NULL), STATUS_OK);
}

/* Bring @db in one transaction from *@position up to @until. */
static inline void catch_up(struct db *db, struct evlog_snapshot *snapshot, uint64_t until,
			    struct position *position)
{
	struct error err = ERROR_INIT;

	if (db_exec(db, "BEGIN", &err) || catchup_apply(db, snapshot, until, position, &err) ||
	    db_exec(db, "COMMIT", &err))
		fail_msg("catch up to %d: %s", (int)until, err.text);
}

#endif
