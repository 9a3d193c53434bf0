/*
 * The checks of an audit, event by event: what a worker does with the blocks of events it takes.
 *
 * A block is AUDIT_BLOCK_EVENTS events, aligned so that a complete block is one subtree of the
 * Merkle tree; what lies above the blocks is audit_run.c's. Workers share nothing but struct
 * audit_checks.
 *
 * Invariants: a worker goes through its block in order and stops at the first finding; of all
 * findings the one of the least event is kept; no block below that event is left out.
 */
#ifndef PROVENV_STORE_AUDIT_CHECK_H
#define PROVENV_STORE_AUDIT_CHECK_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"

enum {
	AUDIT_BLOCK_LEVEL = 10, /* of the tree */
	AUDIT_BLOCK_EVENTS = 1 << AUDIT_BLOCK_LEVEL,
	AUDIT_MESSAGE_BYTES = 512,
};

/* What is wrong, and at which event; seq 0: not tied to one. */
struct audit_finding {
	uint64_t seq;
	char message[AUDIT_MESSAGE_BYTES];
};

struct audit_checks {
	/* What is checked; set before the workers start, and left alone by them. */
	const struct registry *registry;
	uint64_t first; /* events first..last, first ≥ 1 */
	uint64_t last;
	const struct merkle_frontier *base; /* the tree of the events before @first; only read when
					       @first does not begin a block */
	uint8_t (*block_roots)[HASH_BYTES]; /* room for each complete block, from that of @first */
	_Atomic uint64_t *done;             /* counts checked events, for whoever watches */
	uint64_t newer_registry_seq;        /* first registry event of a later provenv; 0: none */

	/* What the workers move. */
	_Atomic uint64_t next_block; /* from 0, the one of @first */
	_Atomic uint64_t commands;   /* first parts */
	_Atomic uint64_t signatures; /* verified */
	_Atomic bool newer;          /* an event of a later provenv was seen */
	struct merkle_frontier tail; /* of the last block, when it is incomplete */

	_Atomic uint64_t least_bad; /* event number; UINT64_MAX: no finding yet */
	pthread_mutex_t lock;       /* over what follows */
	bool found;
	struct audit_finding finding; /* the least */
	struct error failure;         /* why the audit cannot go on at all; STATUS_OK: it can */
};

/* How many blocks events @first..@last lie in. */
static inline uint64_t audit_block_count(uint64_t first, uint64_t last)
{
	return first > last
		       ? 0
		       : ((last - 1) >> AUDIT_BLOCK_LEVEL) - ((first - 1) >> AUDIT_BLOCK_LEVEL) + 1;
}

/*
 * Keep a finding if it is the least so far: "event SEQ: " and the text, or the text alone when @seq
 * is 0, which counts as the greatest. Thread-safe.
 */
void audit_find(struct audit_checks *checks, uint64_t seq, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Event @seq could not be read or decoded, because of @why: damage becomes a finding, anything else
 * ends the audit. Thread-safe.
 */
void audit_find_error(struct audit_checks *checks, uint64_t seq, const struct error *why);

/*
 * Check blocks until none is left, none of the rest can matter, or the audit has failed. Each
 * worker has a thread and a @snapshot of its own, all of which show at least @checks->last events.
 *
 * @position  says all the time which event is being worked on, so that a watcher knows what a death
 *            was about; 0 in the end
 */
void audit_check_blocks(struct audit_checks *checks, struct evlog_snapshot *snapshot,
			_Atomic uint64_t *position);

#endif
