/*
 * A plan: the events a command would append, and what they change in words a person can read.
 *
 * Decide functions fill it; commit.h policies, seals and appends it. Payloads and slices live in
 * the session's arena; secrets in the plan until plan_release().
 */
#ifndef PROVENV_OPS_PLAN_H
#define PROVENV_OPS_PLAN_H

#include "base/arena.h"
#include "base/secret.h"
#include "store/event.h"

enum plan_op {
	PLAN_ADDED,
	PLAN_REMOVED,
	PLAN_CHANGED,
};

/* What kind of thing a change is about, in the order of lists: what holds others first. */
enum plan_kind {
	PLAN_STORE,  /* the store itself */
	PLAN_ACTIVE, /* which environment, or which profile of an environment, is active */
	PLAN_ENVIRONMENT,
	PLAN_PROFILE,
	PLAN_VARIABLE,
	PLAN_DATABASE,
	PLAN_CATEGORY,
	PLAN_SPECIFICATION,
};

/* One change, for -n, --json and diff. */
struct plan_change {
	enum plan_kind kind;
	enum plan_op op;
	struct slice environment; /* empty for what belongs to the store */
	struct slice profile;
	struct slice key;    /* of the variable, or the name of the thing */
	struct slice before; /* text; empty when there is none or it is secret */
	struct slice after;
	bool before_secret; /* there is a value, not shown */
	bool after_secret;
};

/*
 * A value to be sealed when the command is appended. The change already holds room for the sealed
 * bytes and the commitment; where it stands is known once the variables are grouped.
 */
struct plan_secret {
	struct secret value;
	struct slice environment;
	uint8_t *sealed;     /* sealed_bytes(value.len), in the arena */
	uint8_t *commitment; /* HASH_BYTES, in the arena */
	uint32_t part;       /* from 1; set by plan_group_variables() */
	uint32_t index;
};

/* A change of a variable, waiting to be grouped into events. */
struct plan_variable {
	struct slice environment;
	struct change change;
	size_t secret; /* 1 + index into plan.secrets; 0: none */
};

struct plan {
	struct arena *arena;
	const struct payload **payloads; /* in the order they are appended; variables follow last */
	size_t payload_count;
	struct plan_variable *variables;
	size_t variable_count;
	struct plan_secret *secrets;
	size_t secret_count;
	struct plan_change *changes;
	size_t change_count;
	struct slice *exposed; /* keys that become secret, of which the log holds plain values */
	size_t exposed_count;
	const char *source; /* of variables.changed; NULL: none */
	bool puts_back;     /* what it makes stood before: environments come back as they were */
};

void plan_init(struct plan *plan, struct arena *arena);
/* Wipe secrets. Accepts a zeroed plan. */
void plan_release(struct plan *plan);

/* A zeroed payload of @type, added to the plan, to be filled in by the caller. NULL: no memory. */
struct payload *plan_event(struct plan *plan, enum event_type type);

/* The same with the fields of @payload. */
enum status plan_copy(struct plan *plan, const struct payload *payload, struct error *err);

/*
 * Add a change of one variable. @change's slices must live as long as the arena.
 * USAGE  over COMMAND_CHANGES_MAX changes
 */
enum status plan_variable(struct plan *plan, struct slice environment, const struct change *change,
			  struct error *err);
/* As plan_variable() with CHANGE_SEAL, the value moved out of @value. */
enum status plan_secret(struct plan *plan, struct slice environment, const struct change *change,
			struct secret *value, struct error *err);

/* Describe a change. */
enum status plan_note(struct plan *plan, const struct plan_change *change, struct error *err);

/* Is there nothing to append? */
bool plan_is_empty(const struct plan *plan);

/*
 * Sort the variables, group them into variables.changed payloads, one or more per environment, each
 * small enough for an event, and append them to plan->payloads. Secrets learn their place. USAGE  a
 * variable is changed twice
 */
enum status plan_group_variables(struct plan *plan, struct error *err);

/* Environments that the plan's events touch (for protection and locks), without repeats. */
enum status plan_touched(const struct plan *plan, struct slice **ret, size_t *ret_count,
			 struct error *err);

#endif
