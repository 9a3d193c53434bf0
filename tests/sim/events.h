/*
 * Random events about few things, so that they meet: some take effect, some break a rule.
 */
#ifndef PROVENV_TESTS_SIM_EVENTS_H
#define PROVENV_TESTS_SIM_EVENTS_H

#include "base/arena.h"
#include "replay/fold.h"
#include "sim/run.h"
#include "store/event.h"

enum {
	EVENTS_NAMES = 4,     /* of each kind of thing */
	EVENTS_HOLDERS = 256, /* changes remembered, for copies to point at */
};

extern const char *const event_environments[EVENTS_NAMES];
extern const char *const event_profiles[EVENTS_NAMES]; /* ascending */
extern const char *const event_keys[EVENTS_NAMES];     /* ascending */
extern const char *const event_categories[EVENTS_NAMES];
extern const char *const event_databases[EVENTS_NAMES];

/* A change that copies may point at. */
struct holder {
	uint64_t seq;
	uint32_t index;
};

struct events {
	struct run *run;
	struct arena arena; /* of the payloads made; released by the caller when they are written */
	struct holder holders[EVENTS_HOLDERS];
	size_t holder_count;      /* ever; the oldest make room */
	uint64_t generation;      /* the last one a recovery began */
	const struct fold *known; /* what stands: spoken of more often than what does not */
};

/* A payload for event @seq. */
void events_payload(struct events *events, uint64_t seq, struct payload *ret);

#endif
