/*
 * What every fault is tried on: a store with a past, the commands that are run on it, and their
 * runs with and without the shim.
 *
 * The store and the home that belongs to it are made once, kept as an image, and copied back to the
 * same place before each trial: where a store lies is part of what the user's checkpoint is for.
 */
#ifndef PROVENV_TESTS_FAULT_WORLD_H
#define PROVENV_TESTS_FAULT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault/shared.h"
#include "rig/rig.h"

/* What no output may hold. */
#define CANARY "canary-8d2f-sealed"

enum {
	COMMAND_WORDS_MAX = 12,

	/* What there is to know of a command. */
	WRITES = 1,    /* it appends events; takes --command-id */
	SAYS = 2,      /* two runs on the same image print the same, in JSON too */
	FRESH = 4,     /* it makes the store "fresh"; else it works on "store" */
	REVEALS = 8,   /* the secret is what it is asked for */
	REPLAYS = 16,  /* it is provenv-replay's */
	STDIN = 32,    /* it reads the file "secret" from its standard input */
	KEEPS = 128,   /* what it syncs is to be there afterwards */
	SALVAGES = 64, /* it goes without a key of the vault that cannot be read, and says so */
	JUDGES = 256,  /* what it cannot look at may be a finding: exit 1 */
};

struct command {
	const char *name;
	unsigned flags;
	const char *words[COMMAND_WORDS_MAX]; /* without the program */
	uint32_t fires; /* bits of enum call: those it is known to make; see README.md */
};

extern const struct command commands[];
extern const size_t command_count;

struct world {
	struct rig *rig;
	char *work;    /* a trial's directory: store/, home/, files that commands read */
	char *base;    /* its image */
	char *program; /* absolute */
	char *replay;
	char *preload; /* LD_PRELOAD=… */
	char *counted; /* PROVENV_CALLS_FILE=… */
	struct calls *calls;
	uint64_t base_events;
};

/* @shim: the library to preload. Makes the image; ends the process where it cannot. */
void world_open(struct world *world, struct rig *rig, const char *shim);
void world_close(struct world *world);

/* The image again, as the working directory. */
void world_reset(struct world *world);

/*
 * Is every file what it is in the image, and none more or less? Locks and shared memory, which any
 * command writes, do not count.
 */
bool world_is_untouched(const struct world *world);

/* Arm nothing, and count from zero. */
void world_disarm(struct world *world);

/*
 * Run @command, in JSON when @json. With @shim it is preloaded, armed or not; without, nothing of
 * ours is in the program.
 */
void world_run(struct world *world, const struct command *command, bool json, bool shim,
	       struct outcome *ret);

/* Run words of provenv, up to a NULL, on the store @name: without exec, without a fault. */
void world_do(struct world *world, const char *name, const char *const *words, struct outcome *ret);

/* The number behind "@name": in JSON that a command printed; UINT64_MAX when there is none. */
uint64_t json_number(const struct outcome *outcome, const char *name);

#endif
