/*
 * One run of a simulation: its seed, the randomness and the clock that the whole program gets from
 * it, a scratch home, counts, and the end of a run in which something did not hold.
 *
 * A run is a row of episodes. Episode number i has the seed SEED + i and depends on nothing else,
 * so that what failed in it is repeated, first of all, by PROVENV_TEST_SEED=<its seed>.
 *
 * There is one run in a process: sources of randomness have no context of their own. A failure
 * prints what it was and how to repeat it, and ends the process with status 1.
 */
#ifndef PROVENV_TESTS_SIM_RUN_H
#define PROVENV_TESTS_SIM_RUN_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"

enum {
	RUN_PATH_MAX = 256,
	RUN_JUDGED_MIN = 10000, /* a shorter run may well lack what seldom happens */
};

struct run {
	const char *name;
	char dir[RUN_PATH_MAX]; /* scratch; in memory where possible */
	uint64_t seed;          /* PROVENV_TEST_SEED, else drawn */
	uint64_t operations;    /* wanted: PROVENV_SIM_OPERATIONS, else the argument */
	bool thorough;    /* PROVENV_SIM_THOROUGH: compare after every step, to find the first */
	uint64_t episode; /* the present one, from 0 */
	uint64_t step;    /* … and how far it is, for messages */
	uint64_t random;  /* state of run_random(): what is done */
	uint64_t program; /* … of the randomness that the program under test draws */
	uint64_t now_ms;  /* what clock_now_ms() says */
	uint64_t checks;  /* things that were compared */
	crypto_generichash_state digest; /* of the episode: all that was answered */
};

/* Read arguments and environment, make the scratch home, take over randomness and clock. */
void run_open(struct run *run, const char *name, int argc, char **argv, uint64_t operations);
/* Remove the scratch directory, give the sources back. */
void run_close(struct run *run);

/* Begin episode @episode: seed everything, in an empty home. */
void run_begin_episode(struct run *run, uint64_t episode);
void run_end_episode(struct run *run, uint8_t ret_digest[HASH_BYTES]);

/* A number below @below; true @percent times in a hundred. */
uint64_t run_random(struct run *run, uint64_t below);
bool run_chance(struct run *run, unsigned percent);

/* Take bytes, or a number, into the digest. */
void run_note(struct run *run, const void *bytes, size_t len);
void run_note_number(struct run *run, uint64_t number);

_Noreturn void run_fail(const struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Count a comparison; what does not hold ends the run. */
#define RUN_CHECK(run, held, ...)                   \
	do {                                        \
		(run)->checks++;                    \
		if (!(held))                        \
			run_fail(run, __VA_ARGS__); \
	} while (0)

/* What has to work whatever is tested. */
void run_must(const struct run *run, enum status status, const char *what, const struct error *err);

#endif
