/*
 * Making a past state current again, always by new events: rollback, restore of one key, revert of
 * one command.
 */
#ifndef PROVENV_OPS_OP_ROLLBACK_H
#define PROVENV_OPS_OP_ROLLBACK_H

#include "ops/commit.h"
#include "ops/state_diff.h"

struct rollback_args {
	const char *to;           /* REF */
	struct slice environment; /* limit to it; empty: the whole store */
	struct slice profile;     /* limit to it; without environment: of session->environment */
	struct slice only;        /* limit to variables that match the glob */
	bool force;               /* also where an old value violates its present specification */
};

/*
 * Plan state.rolled_back and the events that make the scope's state equal to that of args->to.
 * Covers environments, profiles, variables, specifications, categories and database attachments;
 * not keys, locks or secrets' shredding.
 *
 * INVALID    a value violates its specification (without force)
 * NOT_FOUND  the REF, or the scope's environment neither now nor then
 * CONFLICT, DENIED  an event would have no effect; see feasible.h
 */
enum status decide_rollback(struct session *session, const void *rollback_args, struct plan *plan,
			    struct error *err);

struct restore_args {
	struct slice key;
	const char *from; /* REF */
};

/*
 * Set the key of the session's profile to what it was.
 * NOT_FOUND  it was not set then; INVALID  the old value violates the present specification
 */
enum status decide_restore(struct session *session, const void *restore_args, struct plan *plan,
			   struct error *err);

struct revert_args {
	const char *event; /* REF: an event of the command to undo */
};

/*
 * Undo one command.
 *
 * CONFLICT  what it changed was changed again since; the text names the first
 * DENIED    it changed nothing that can be reverted (a lock, the store's creation); or feasible.h
 * INVALID   an old value violates the specification that would be in force
 */
enum status decide_revert(struct session *session, const void *revert_args, struct plan *plan,
			  struct error *err);

#endif
