/*
 * What lies behind the valid part of a damaged log, as far as it still decodes: enough to know what
 * to do again. Nothing of it is verified.
 */
#ifndef PROVENV_TOOLS_REPLAY_LOST_H
#define PROVENV_TOOLS_REPLAY_LOST_H

#include "replay/source.h"

enum {
	LOST_EVENTS_MAX = 10000,
	LOST_DEATHS_MAX = 64, /* damaged pages stepped over */
};

struct lost_event {
	uint64_t seq;
	uint64_t time_ms;
	char type[48]; /* as written, perhaps cut */
};

struct lost {
	uint64_t reading; /* the event being read, or one past the last */
	bool cut;         /* there may be more */
	size_t count;
	struct lost_event events[LOST_EVENTS_MAX];
};

/*
 * List the events after @from up to @until. Never fails for damage: what cannot be read is left
 * out. @ret is given back with lost_free(). NO_MEMORY, INTERRUPTED
 */
enum status lost_list(struct source *source, uint64_t from, uint64_t until, struct lost **ret,
		      struct error *err);

/* Accepts NULL. */
void lost_free(struct lost *lost);

#endif
