/*
 * Carrying out a write: plan, policy, lock, plan again, append, catch up (see README.md).
 */
#ifndef PROVENV_OPS_COMMIT_H
#define PROVENV_OPS_COMMIT_H

#include "ops/plan.h"
#include "ops/session.h"

/*
 * Fill @plan from the session's state (session->view) and the caller's @args. Called once or twice;
 * must not change anything but the plan and the arena.
 */
typedef enum status (*decide_fn)(struct session *session, const void *args, struct plan *plan,
				 struct error *err);

struct outcome {
	bool planned;   /* a dry run: nothing was appended */
	bool unchanged; /* the plan was empty: nothing to do */
	bool repeated;  /* the command id was used before with the same content: its first result */
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t time_ms;
	uint8_t hash[HASH_BYTES]; /* leaf hash of the last event */
	uint8_t command_id[COMMAND_ID_BYTES];
	struct slice environment; /* the session's choice, for messages */
	struct slice profile;
	struct plan_change *changes; /* arena */
	size_t change_count;
	struct slice *exposed; /* keys that become secret, of which the log holds plain values */
	size_t exposed_count;
};

/*
 * Run @decide and append what it planned. After a failure the session may only be closed.
 *
 * DENIED       a touched environment is locked
 * UNCONFIRMED  a touched environment is protected and reason or confirmation lacks; or the clock is
 *              far off
 * CONFLICT     --if-head does not hold, the active pair moved, or the command id has other content
 * LOCKED, WRONG_KEY, IO and whatever @decide answers
 */
enum status commit(struct session *session, decide_fn decide, const void *args, struct outcome *ret,
		   struct error *err);

#endif
