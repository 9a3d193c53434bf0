/*
 * `diff`: two moments of the store, or two profiles at two moments.
 */
#ifndef PROVENV_OPS_OP_DIFF_H
#define PROVENV_OPS_OP_DIFF_H

#include "ops/state_diff.h"

struct diff_args {
	const char *from;  /* TARGET; NULL: one command back */
	const char *to;    /* TARGET; NULL: now */
	struct slice only; /* glob over keys; empty: all */
};

struct diff_result {
	struct slice from; /* what the targets were taken to mean: "12", "production/default@12" */
	struct slice to;
	struct plan_change *changes;
	size_t count;
};

/*
 * A TARGET is a REF, or ENV/[PROFILE][@REF]: the slash tells an environment from a REF. Two REFs
 * compare the whole state, or what -e and -p of the session name; as soon as one is a profile, both
 * are.
 */
enum status op_diff(struct session *session, const struct diff_args *args, struct diff_result *ret,
		    struct error *err);

/* The event a REF names as it is written: a number is that very event, not the end of its command.
 */
enum status op_event_number(struct session *session, const char *text, uint64_t *ret,
			    struct error *err);

#endif
