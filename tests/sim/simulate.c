/*
 * Deterministic simulation of a store and its writers; see README.md.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "sim/operation.h"
#include "sim/run.h"
#include "sim/world.h"

#include "base/banned.h"

enum {
	EPISODE_MIN = 250,
	EPISODE_SPAN = 200,
	CONTROL_EVERY = 10, /* every tenth episode has no faults */
	TWICE_EVERY = 40,   /* these are run twice, and must not differ */
};

static void run_episode(struct run *run, struct tally *tally, uint64_t number,
			uint8_t ret_digest[HASH_BYTES])
{
	struct world *world = malloc(sizeof(*world));
	uint64_t steps;

	if (!world)
		abort();
	run_begin_episode(run, number);
	/* By its seed, as all else: a control episode stays one when it is run alone. */
	world_open(world, run, tally, (run->seed + number) % CONTROL_EVERY != 0);
	steps = EPISODE_MIN + run_random(run, EPISODE_SPAN);
	while (run->step < steps)
		world_step(world);
	world_close(world);
	free(world);
	run_end_episode(run, ret_digest);
}

/* The same seed, the same events and the same answers. */
static void check_determinism(struct run *run, struct tally *tally, uint64_t number,
			      const uint8_t digest[HASH_BYTES])
{
	uint8_t again[HASH_BYTES];

	run_episode(run, tally, number, again);
	RUN_CHECK(run, memcmp(digest, again, HASH_BYTES) == 0,
		  "the same seed gave other events or answers");
}

static int judge(const struct run *run, const struct tally *tally, uint64_t episodes,
		 uint64_t twice)
{
	int lacking = twice == 0;

	(void)printf("%s: %" PRIu64 " operations in %" PRIu64 " episodes (%" PRIu64
		     " of them twice): %" PRIu64 " commands, %" PRIu64 " events, %" PRIu64
		     " checks\n",
		     run->name, tally->operations, episodes, twice, tally->commands, tally->events,
		     run->checks);
	(void)printf("  command ids: %" PRIu64 " repeated, %" PRIu64
		     " reused; --if-head that did not hold: %" PRIu64 "\n",
		     tally->repeats, tally->reuses, tally->stale_heads);
	lacking += tally->repeats == 0 || tally->reuses == 0 || tally->stale_heads == 0;
	for (int i = 0; i < OP_COUNT; i++) {
		(void)printf("  operation %-2d %8" PRIu64 " tried %8" PRIu64 " done\n", i,
			     tally->by_kind[i], tally->succeeded[i]);
		lacking += tally->succeeded[i] == 0;
	}
	for (int i = 0; i < 32; i++) {
		if (tally->statuses[i])
			(void)printf("  answered %-12s %8" PRIu64 "\n", status_name((enum status)i),
				     tally->statuses[i]);
	}
	for (int i = 0; i < WORLD_FAULTS; i++) {
		(void)printf("  fault %-24s %8" PRIu64 " tried %8" PRIu64 " fired\n",
			     world_fault_name((enum world_fault)i), tally->tried[i],
			     tally->fired[i]);
		lacking += tally->fired[i] == 0;
	}
	if (lacking)
		(void)printf("%s: %s: %d of these never happened\n", run->name,
			     run->operations < RUN_JUDGED_MIN ? "too short to judge" : "FAILED",
			     lacking);
	return lacking && run->operations >= RUN_JUDGED_MIN ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct tally tally;
	uint8_t digest[HASH_BYTES];
	uint64_t episode = 0, twice = 0;
	struct run run;
	int result;

	/* One thread uses it here: a lock less at every step. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	run_open(&run, "sim_simulate", argc, argv, 100000);
	for (; tally.operations < run.operations; episode++) {
		run_episode(&run, &tally, episode, digest);
		if (episode % TWICE_EVERY != 0)
			continue;
		check_determinism(&run, &tally, episode, digest);
		twice++;
	}
	result = judge(&run, &tally, episode, twice);
	run_close(&run);
	return result;
}
