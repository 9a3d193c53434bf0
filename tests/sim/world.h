/*
 * One episode of the simulation: a store, its writers, the model, and what is known to be in the
 * log. See README.md for what must hold.
 */
#ifndef PROVENV_TESTS_SIM_WORLD_H
#define PROVENV_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "replay/fold.h"
#include "sim/model.h"
#include "sim/operation.h"
#include "sim/run.h"
#include "sim/writer.h"

enum { WORLD_WRITERS = 3 };

enum world_fault {
	WORLD_APPEND_REFUSED,  /* an append fails, and nothing was written */
	WORLD_APPEND_UNKNOWN,  /* an append fails, though everything was written */
	WORLD_UNACKNOWLEDGED,  /* the process dies with the append: head file and state stay behind
				*/
	WORLD_READ_REFUSED,    /* a read of the log fails, anywhere in a command */
	WORLD_STATE_LOST,      /* STORE/state is gone */
	WORLD_HEAD_LOST,       /* STORE/head is gone */
	WORLD_CHECKPOINT_LOST, /* the user's checkpoint is gone */
	WORLD_CLOCK_BACK,      /* a year back, for good */
	WORLD_CLOCK_1970,      /* near the epoch, for one command */
	WORLD_CLOCK_FORWARD,   /* a year ahead, for good */
	WORLD_CLOCK_FAR,       /* more than two years ahead of the log, for one command */
	WORLD_CRASH,           /* a writer goes between two commands */
	WORLD_OTHERS,          /* others write between the decision and the lock */
	WORLD_FAULTS,
};

const char *world_fault_name(enum world_fault fault);

/* Over all episodes of a run. */
struct tally {
	uint64_t operations;
	uint64_t commands; /* that were written */
	uint64_t events;
	uint64_t repeats;     /* of a command id, with the same content */
	uint64_t reuses;      /* … with another */
	uint64_t stale_heads; /* --if-head that did not hold */
	uint64_t by_kind[OP_COUNT];
	uint64_t succeeded[OP_COUNT];
	uint64_t statuses[32];
	uint64_t tried[WORLD_FAULTS];
	uint64_t fired[WORLD_FAULTS];
};

/* A command that stands in the log. */
struct remembered {
	struct operation op;
	struct written written;
};

struct world {
	struct run *run;
	struct tally *tally;
	bool faults; /* false: the control arm */
	struct model model;
	char store[RUN_PATH_MAX + 16];
	struct writer writers[WORLD_WRITERS];
	uint8_t (*hashes)[HASH_BYTES]; /* of the leaves that are known */
	size_t size;
	size_t capacity;
	struct remembered *remembered;
	size_t remembered_count;
	size_t remembered_capacity;
	struct fold fold;
};

/* A store, as `init` makes it. */
void world_open(struct world *world, struct run *run, struct tally *tally, bool faults);
/* The last checks, and the end. */
void world_close(struct world *world);
/* One operation, with what goes wrong with it. */
void world_step(struct world *world);

#endif
