/*
 * What differs between two states, entity by entity. The ground of diff, rollback and revert.
 */
#ifndef PROVENV_OPS_STATE_DIFF_H
#define PROVENV_OPS_STATE_DIFF_H

#include "ops/plan.h"
#include "ops/session.h"

/* What part of the state is looked at. Empty slices: no limit. */
struct diff_scope {
	struct slice environment;
	struct slice profile; /* needs environment */
	struct slice only;    /* glob over keys: variables only */
};

/*
 * One thing that differs. `before` and `after` point to the kind's own struct in the two states,
 * NULL where it is absent: struct variable, environment, profile, definition (category,
 * specification, database), slice (active name).
 */
struct diff_entry {
	enum plan_kind kind;
	enum plan_op op;
	struct slice environment;
	struct slice profile;
	struct slice key;
	const void *before;
	const void *after;
};

struct diff {
	struct diff_entry *entries; /* by kind, environment, profile and key, each thing once */
	size_t count;
};

/* From the state of @before to the state of @after. */
enum status state_diff(struct session *session, const struct state_view *before,
		       const struct state_view *after, const struct diff_scope *scope,
		       struct diff *ret, struct error *err);

/*
 * The variables of one profile against those of another, possibly of other environments or moments.
 * Entries carry the environment and profile of the second.
 */
struct diff_side {
	const struct state_view *view;
	struct slice environment;
	struct slice profile;
};

enum status profile_diff(struct session *session, const struct diff_side *before,
			 const struct diff_side *after, struct slice only, struct diff *ret,
			 struct error *err);

/* Find the entry about the same thing; NULL when there is none. */
const struct diff_entry *diff_find(const struct diff *diff, const struct diff_entry *like);

/* Put values in: what a person reads of each entry. */
enum status diff_describe(struct session *session, const struct state_view *before,
			  const struct state_view *after, const struct diff *diff,
			  struct plan_change **ret, struct error *err);

#endif
