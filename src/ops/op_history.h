/*
 * Reading the log as history.
 */
#ifndef PROVENV_OPS_OP_HISTORY_H
#define PROVENV_OPS_OP_HISTORY_H

#include "ops/op_variable.h"
#include "ops/session.h"

/* What `log` shows. Empty slices and zeros: no limit. */
struct history_filter {
	struct slice key;         /* events that change the variable or its specification */
	struct slice environment; /* with key: only there */
	struct slice profile;
	struct slice actor;
	struct slice type; /* exact, or a family: "environment" */
	uint64_t since_ms;
	uint64_t until_ms; /* UINT64_MAX: none */
	uint64_t max;      /* 0: all */
};

typedef enum status (*history_visit)(void *context, struct session *session,
				     const struct read_event *event, struct error *err);

/*
 * Visit events that pass the filter, newest first, from the session's event down. The session needs
 * no state; with state it begins at --at.
 */
enum status op_history(struct session *session, const struct history_filter *filter,
		       history_visit visit, void *context, struct error *err);

/* The range that REFs can name. */
struct history_range {
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t first_ms;
	uint64_t last_ms;
};

enum status op_history_range(struct session *session, struct history_range *ret, struct error *err);

/* A line of blame: a variable, who put it in force, and what stood before. */
struct blame_line {
	struct variable_info info;
	struct slice before; /* empty when there was none or it is secret */
	bool had_before;
	bool before_secret;
};

/* Blame for @key of the session's profile, or for all of its own variables when empty. */
enum status op_blame(struct session *session, struct slice key, struct blame_line **ret,
		     size_t *ret_count, struct error *err);

/* What the event changed, with the values before and after; needs the session's state. */
enum status op_event_changes(struct session *session, uint64_t seq, struct plan_change **ret,
			     size_t *ret_count, struct error *err);

#endif
