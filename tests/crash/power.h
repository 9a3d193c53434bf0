/*
 * Scenarios for power cuts: what a store is like before, the commands that are recorded, and what
 * must hold of everything that a crash may leave of them.
 */
#ifndef PROVENV_TESTS_CRASH_POWER_H
#define PROVENV_TESTS_CRASH_POWER_H

#include <stdbool.h>
#include <stddef.h>

enum { STEPS_MAX = 8 };

struct scenario {
	const char *name;
	/* A shell script, not recorded; the programs are in its PATH, $PROVENV_STORE is the store,
	 * $OUTPUT a place beside it and $EXAMPLES the folder of the catalogue. */
	const char *setup;
	/* Recorded one after the other; words are parted by one blank, "@" stands for $OUTPUT. */
	const char *steps[STEPS_MAX + 1];
	bool tears_meta;  /* each write of LMDB's meta page is torn at every byte as well */
	bool makes_store; /* before its first step has ended there may be no store */
	/* It begins with a loss, which its first step accepts: until then status says so. */
	bool accepts_loss;
	bool copies; /* its steps write no event, but make a store at $OUTPUT */
};

extern const struct scenario power_scenarios[];
extern const size_t power_scenario_count;

#endif
