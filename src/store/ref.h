/*
 * REF: a word that names a moment of the log.
 *
 *   1234   event number        HEAD   the last event        HEAD~3   three commands back
 *   @2026-01-02T03:04:05Z, @2026-01-02 (start of that local day), @-10m
 *          the last event at or before
 *
 * Order is by event number, never by clock; times never decrease along the log, so a time is found
 * by bisection. A REF inside a command means its last event, and the result says so.
 */
#ifndef PROVENV_STORE_REF_H
#define PROVENV_STORE_REF_H

#include "store/evlog.h"

enum ref_kind {
	REF_SEQ,
	REF_HEAD, /* back commands before the last one */
	REF_TIME,
};

struct ref {
	enum ref_kind kind;
	uint64_t number; /* seq, commands back, or milliseconds since 1970 */
};

/* Parse. @now_ms is what "@-10m" counts from. USAGE names the forms. */
enum status ref_parse(struct slice text, uint64_t now_ms, struct ref *ret, struct error *err);

struct ref_point {
	uint64_t seq;     /* always the last event of a command */
	uint64_t time_ms; /* of that event */
	bool moved;       /* the REF named an event inside the command */
};

/*
 * Find the event.
 * NOT_FOUND  out of range; the text gives the valid range and the nearest event
 * CORRUPT    an event on the way is unreadable
 */
enum status ref_resolve(struct evlog_snapshot *snapshot, const struct ref *ref,
			struct ref_point *ret, struct error *err);

/* The first and last event of the command that event @seq belongs to. */
enum status ref_command_range(struct evlog_snapshot *snapshot, uint64_t seq, uint64_t *ret_first,
			      uint64_t *ret_last, struct error *err);

#endif
