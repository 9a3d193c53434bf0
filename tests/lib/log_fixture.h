/*
 * Logs for tests: events made, chained and signed one by one, so that any of them can be made wrong
 * in one respect only; and a view of a log that lies where it is told to.
 *
 * Functions fail the running test when something goes wrong that is not the test's subject.
 */
#ifndef PROVENV_TESTS_LIB_LOG_FIXTURE_H
#define PROVENV_TESTS_LIB_LOG_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/signer.h"

/* One event as it will be appended; change it as you like before log_fixture_write(). */
struct made_event {
	struct buf leaf;
	uint8_t leaf_hash[HASH_BYTES]; /* what the next one is chained to */
	uint8_t command_id[COMMAND_ID_BYTES];
	bool starts_command; /* goes into the command index */
	bool registry;       /* goes into the registry index */
	uint64_t time_ms;
};

#define LOG_FIXTURE_START_MS (UINT64_C(1767323045) * 1000) /* 2026-01-02T03:04:05Z */

struct log_fixture {
	struct signer signer;   /* the operator: enrolled by event 1 */
	struct signer outsider; /* enrolled nowhere */
	struct signer log_key;
	uint8_t log_id[LOG_ID_BYTES];
	struct made_event *events;
	size_t count;
	size_t capacity;
	uint64_t time_ms;    /* of the last event */
	struct buf name;     /* of the last category */
	struct event before; /* the last event's envelope */
};

/* Keys, and store.created as event 1. */
void log_fixture_init(struct log_fixture *log);
void log_fixture_release(struct log_fixture *log);

/*
 * An event that would be right next, alone in its command, one second after the last: a category is
 * defined. Its payload lives until the next call.
 */
void log_fixture_next(struct log_fixture *log, struct event *ret);
/* The same as part of the command of the last event, which says how many parts there are. */
void log_fixture_next_part(struct log_fixture *log, struct event *ret);

/* Encode, sign and add. Indexed as a log would: by part and type. */
void log_fixture_add(struct log_fixture *log, const struct event *event,
		     const struct signer *signer);
/* Add bytes that no encoder of ours would make, as if they were the encoding of @event. */
void log_fixture_add_bytes(struct log_fixture *log, const struct event *event, struct slice bytes,
			   const struct signer *signer);

/* Add @count right commands of one event each; one right command of @parts events. */
void log_fixture_fill(struct log_fixture *log, size_t count);
void log_fixture_group(struct log_fixture *log, uint32_t parts);

/* Take back all but the first @count events. */
void log_fixture_cut(struct log_fixture *log, size_t count);

/* Event @seq, from 1. */
struct made_event *log_fixture_event(struct log_fixture *log, uint64_t seq);

/* Append everything to an empty log. */
void log_fixture_write(const struct log_fixture *log, struct evlog *ret);
/* The same to a log in memory. */
struct evlog *log_fixture_memory(const struct log_fixture *log);

/* Where a log lies. Zeros: nowhere. Events are named by number. */
struct log_lies {
	uint64_t leaf_missing; /* CORRUPT */
	uint64_t leaf_refused; /* IO: a failure, not a finding */
	uint64_t row_missing;  /* CORRUPT */
	uint64_t row_changed;  /* … at this byte: */
	size_t row_byte;
	uint64_t command_hidden; /* the command that begins there is not indexed */
	uint64_t command_moved;  /* it is indexed as beginning one later */
	uint64_t registry_hidden;
	uint64_t registry_added;
	struct evlog_counts more; /* rows beyond the true ones */
	uint64_t shrinks_to;      /* size that all snapshots but the first show */
};

/*
 * A log that shows @inner, but for the @lies, which may be changed as long as no snapshot is open.
 * Closing it leaves @inner open.
 */
struct evlog *log_lying(struct evlog *inner, const struct log_lies *lies);

#endif
