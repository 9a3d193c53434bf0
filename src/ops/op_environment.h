/*
 * What users do with environments. Decide functions for commit(); each names its arguments.
 */
#ifndef PROVENV_OPS_OP_ENVIRONMENT_H
#define PROVENV_OPS_OP_ENVIRONMENT_H

#include "ops/commit.h"

/* Argument of every function here; what a function does not name is ignored. */
struct environment_args {
	struct slice name;
	struct slice new_name; /* clone */
	const char *title;     /* NULL: keep (edit), none (create) */
	const char *description;
	bool is_protected;    /* create, protect */
	uint64_t until_ms;    /* lock; 0 with until_in_ms 0: without end */
	uint64_t until_in_ms; /* lock; counted from now */
};

/*
 * A new environment with the profile "default" and a sealing key whose reader is the session's key.
 * CONFLICT  the name is taken; USAGE  it is no name
 */
enum status decide_environment_create(struct session *session, const void *args, struct plan *plan,
				      struct error *err);
/* Change title and description. */
enum status decide_environment_edit(struct session *session, const void *args, struct plan *plan,
				    struct error *err);
/* Set protection to args->is_protected. */
enum status decide_environment_protect(struct session *session, const void *args, struct plan *plan,
				       struct error *err);
/* DENIED  it is the active one */
enum status decide_environment_remove(struct session *session, const void *args, struct plan *plan,
				      struct error *err);
enum status decide_environment_switch(struct session *session, const void *args, struct plan *plan,
				      struct error *err);
/* USAGE  the time given is past */
enum status decide_environment_lock(struct session *session, const void *args, struct plan *plan,
				    struct error *err);
enum status decide_environment_unlock(struct session *session, const void *args, struct plan *plan,
				      struct error *err);
/*
 * A new environment with copies of all profiles, variables and databases. Secrets are sealed anew
 * to its own key, which needs a reader of the source (WRONG_KEY).
 */
enum status decide_environment_clone(struct session *session, const void *args, struct plan *plan,
				     struct error *err);

/*
 * For init too: plan an environment.created from @definition (payload of that type) with its
 * environment.keyed, readable by the session's key.
 */
enum status plan_environment(struct session *session, struct plan *plan,
			     const struct payload *definition, uint64_t generation,
			     struct error *err);

/* Does a lock stand at @now_ms that has not run out? */
bool environment_is_locked(const struct environment *environment, uint64_t now_ms);

#endif
