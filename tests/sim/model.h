/*
 * What a store must be, in plain arrays and loops: the state now, a full copy of it for the end of
 * every command there was, and what an operation makes of it. Deliberately naive, so that it is
 * right at sight: no index, no journal, nothing shared with the program but the names of statuses.
 */
#ifndef PROVENV_TESTS_SIM_MODEL_H
#define PROVENV_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sim/operation.h"

enum {
	MODEL_ENTRIES = 512,
	MODEL_TOUCHED = 16,
};

enum model_kind {
	MODEL_ACTIVE,        /* environment, or none: the store's; value: the active name */
	MODEL_CATEGORY,      /* name; value: title; flag: planned */
	MODEL_DATABASE,      /* environment, profile, name; value: path */
	MODEL_ENVIRONMENT,   /* name; value: title; flag: protected */
	MODEL_PROFILE,       /* environment, name; value: title; extra: base */
	MODEL_SPECIFICATION, /* name; value: default; extra: category; flag: required; sealed:
				secret; number: whether it is an int */
	MODEL_VARIABLE,      /* environment, profile, name; value; sealed; number: which sealing */
	MODEL_KEY,           /* environment; number: the last generation */
	MODEL_LOCK,          /* environment; number: until when, 0 without end */
	MODEL_VIOLATION,     /* number: the event; name: the rule */
};

struct model_entry {
	enum model_kind kind;
	char environment[SIM_NAME];
	char profile[SIM_NAME];
	char name[SIM_NAME];
	char value[SIM_NAME];
	char extra[SIM_NAME];
	uint64_t number;
	bool flag;
	bool sealed;
};

struct model_state {
	size_t count;
	struct model_entry entries[MODEL_ENTRIES];
};

/* The state at the end of a command. */
struct model_past {
	uint64_t first_seq;
	uint64_t last_seq;
	struct model_state *state; /* cut off after its entries */
};

struct model {
	struct model_state now;
	struct model_past *pasts;
	size_t past_count;
	size_t past_capacity;
	uint64_t last_ms;  /* of the last event */
	uint64_t sealings; /* so many secrets were sealed: no two are the same */
};

/* What must come of an operation. */
struct prediction {
	unsigned allowed;   /* a bit for each status that is right: mostly one */
	bool unchanged;     /* STATUS_OK, and no event */
	const char *broken; /* the rule that makes it one without effect; NULL: none */
	unsigned part;      /* … broken by this event of it, from 0 */
};

static inline unsigned model_bit(enum status status)
{
	return 1U << (unsigned)status;
}

void model_release(struct model *model);

/* The store as `init` leaves it, @last_seq events long. */
void model_init(struct model *model, uint64_t last_seq, uint64_t time_ms);

/* @ret_after: the state if it succeeds; otherwise as it was. */
void model_predict(const struct model *model, const struct operation *op,
		   struct model_state *ret_after, struct prediction *ret);

/* The operation was written as events @first..@last. */
void model_accept(struct model *model, const struct model_state *after,
		  const struct prediction *prediction, uint64_t first_seq, uint64_t last_seq,
		  uint64_t time_ms);

/* The environment and profile that an operation works on. False: one is not there. */
bool model_choose(const struct model_state *state, const struct operation *op,
		  char ret_environment[SIM_NAME], char ret_profile[SIM_NAME]);

/* The past that event @seq lies in: the state at the end of its command. */
const struct model_past *model_past(const struct model *model, uint64_t seq);

/* The entry, or NULL. "" for what its kind has not. */
const struct model_entry *model_find(const struct model_state *state, enum model_kind kind,
				     const char *environment, const char *profile,
				     const char *name);

/* --- for model_past.c ------------------------------------------------------------------------- */

/* Do two entries of the same thing say the same? Secrets are the same by their sealing. */
bool model_same(const struct model_entry *a, const struct model_entry *b);

/* Put an entry in place of the one of the same thing, or take one away. */
void model_put(struct model_state *state, const struct model_entry *entry);
/* NULL matches all. */
void model_drop(struct model_state *state, enum model_kind kind, const char *environment,
		const char *profile, const char *name);

/* Environments whose locks and protection an operation has to respect. */
struct touched {
	size_t count;
	struct {
		char name[SIM_NAME];
		bool otherwise_protected; /* if it is not there now */
	} environments[MODEL_TOUCHED];
};

void model_touch(struct touched *touched, const char *environment, bool otherwise_protected);

/* May the value stand for the key, in a state? STATUS_OK, or INVALID. */
enum status model_value(const struct model_state *state, const struct model_entry *variable);

/* Rollback, restore and revert. Status as allowed bits; *ret_changed false: nothing to do. */
unsigned model_bring_back(const struct model *model, const struct operation *op,
			  struct model_state *after, struct touched *touched, bool *ret_changed);

#endif
