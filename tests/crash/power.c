/*
 * Power cuts: real commands are recorded (record.c), and every state that a crash may leave of
 * their files (disk.h) is opened again by the program, which must find every event that was
 * acknowledged, a state that is the one after a whole command, and must go on without help.
 *
 * usage: crash_power STATES [SCENARIO]
 *
 * STATES are drawn by the seed from all in which one call is not like the rest, in equal parts of
 * each scenario. Where more are wanted than there are, the others are mixtures: of what was not
 * synced each call is there or not. Besides, each write of LMDB's meta page is torn at every byte,
 * with and without head and checkpoint.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "crash/disk.h"
#include "crash/power.h"
#include "crash/record.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

enum {
	EXIT_CORRUPT = 9,
	EXIT_NO_STORE = 10,
	META_BYTES = 120, /* what LMDB writes of a meta page */
	DEEP_EVERY = 16,  /* states after which a write, a verify and a rebuild are tried too */
	EXEC_EVERY = 64,  /* states that the program opens as a process of its own */
	STATE_HEX = 64,
	WORDS_MAX = 32,
};

/* What the store was after a step, 0: before the first. */
struct known {
	uint64_t events;
	char state_hash[STATE_HEX + 1];
};

struct power {
	struct rig *rig;
	const struct scenario *scenario;
	char *root; /* of what is recorded: home and store */
	char *store;
	char *output;
	struct disk disk;
	struct known known[STEPS_MAX + 1];
	size_t steps;
	bool without_evidence; /* head and checkpoint did not survive either */
	uint64_t all;          /* states there are */
	uint64_t wanted;
	uint64_t visited;
	uint64_t recovered; /* which were shorter than the program had written */
};

static void must(bool held, const char *what, const struct outcome *outcome)
{
	if (held)
		return;
	(void)fprintf(stderr, "crash_power: %s: exit %d\n%s%s", what, outcome->code,
		      buf_str(&outcome->out), buf_str(&outcome->err));
	exit(2);
}

/* --- recording -------------------------------------------------------------------------------- */

static void set_place(const char *name, const char *path)
{
	if (setenv(name, path, 1))
		exit(2);
}

/* Home and store below one root, which is made anew. */
static void make_root(struct power *power)
{
	static const char *const dirs[] = { "", "/home", "/work" };

	rig_remove_tree(power->root);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		AUTO_FREE char *path = rig_text("%s%s", power->root, dirs[i]);

		if (mkdir(path, 0700))
			exit(2);
	}
}

static void point_into(const char *root)
{
	static const char *const places[][2] = { { "HOME", "home" },
						 { "XDG_CONFIG_HOME", "home/config" },
						 { "XDG_STATE_HOME", "home/state" },
						 { "XDG_DATA_HOME", "home/data" },
						 { "PROVENV_STORE", "work/store" },
						 { "OUTPUT", "work/output" } };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		AUTO_FREE char *path = rig_text("%s/%s", root, places[i][1]);

		set_place(places[i][0], path);
	}
}

static void set_up(struct power *power)
{
	AUTO_FREE char *path = rig_text("%s:%s", power->rig->bin, getenv("PATH"));
	AUTO_FREE char *variable = rig_text("PATH=%s", path);
	const char *argv[] = { "/bin/sh", "-c", power->scenario->setup, NULL };
	const char *environment[] = { variable, "EXAMPLES=" EXAMPLES_DIR, NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	rig_exec(power->rig, argv, environment, &outcome);
	must(outcome.code == 0, power->scenario->setup, &outcome);
}

/* Words of a step; "@" and "%" begin paths, "." is the store. Owned. */
static char *word_of(const struct power *power, const char *word, size_t len, bool first)
{
	if (first)
		return rig_text("%s/%.*s", power->rig->bin, (int)len, word);
	if (*word == '@')
		return rig_text("%s%.*s", power->output, (int)len - 1, word + 1);
	if (*word == '%')
		return rig_text("%s%.*s", EXAMPLES_DIR, (int)len - 1, word + 1);
	if (len == 1 && *word == '.')
		return rig_text("%s", power->store);
	return rig_text("%.*s", (int)len, word);
}

static void append_mark(const char *trace)
{
	struct record ended = { .kind = RECORD_ENDED };
	FILE *file = fopen(trace, "ae");

	if (!file || fwrite(&ended, sizeof(ended), 1, file) != 1 || fclose(file))
		exit(2);
}

static void run_step(const struct power *power, const char *step, const char *trace)
{
	AUTO_FREE char *file = rig_text("%s=%s", RECORD_FILE, trace);
	AUTO_FREE char *root = rig_text("%s=%s", RECORD_ROOT, power->root);
	const char *environment[] = { file, root, "LD_PRELOAD=" RECORDER, NULL };
	const char *argv[WORDS_MAX + 1] = { NULL };
	char *words[WORDS_MAX];
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };
	size_t count = 0;

	for (const char *at = step; *at && count < WORDS_MAX;) {
		size_t len = strcspn(at, " ");

		words[count] = word_of(power, at, len, count == 0);
		argv[count] = words[count];
		count++;
		at += len + (at[len] == ' ');
	}
	rig_exec(power->rig, argv, environment, &outcome);
	must(outcome.code == 0, step, &outcome);
	append_mark(trace);
	while (count > 0)
		free(words[--count]);
}

/* Read events and state hash of `status --json`. False: it is no such thing. */
static bool read_status(const struct outcome *outcome, struct known *ret)
{
	json_t *json = json_loadb((const char *)outcome->out.data, outcome->out.len, 0, NULL);
	json_t *events = json_object_get(json, "events");
	const char *hash = json_string_value(json_object_get(json, "state_hash"));
	bool good = json_is_integer(events) && hash && strlen(hash) == STATE_HEX;

	if (good) {
		ret->events = (uint64_t)json_integer_value(events);
		memcpy(ret->state_hash, hash, STATE_HEX + 1);
	}
	json_decref(json);
	return good;
}

/* What the store is now, seen through a copy: looking writes files too. */
static void look(struct power *power, struct known *ret)
{
	AUTO_FREE char *copy = rig_text("%s/copy", power->rig->dir);
	AUTO_FREE char *program = rig_text("%s/provenv", power->rig->bin);
	const char *argv[] = { program, "status", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	*ret = (struct known){ .events = 0 };
	rig_copy_tree(power->root, copy);
	point_into(copy);
	rig_exec(power->rig, argv, NULL, &outcome);
	point_into(power->root);
	rig_remove_tree(copy);
	if (outcome.code == EXIT_NO_STORE && power->scenario->makes_store)
		return;
	/* A loss that is still to be accepted: nothing is known of such a store. */
	must(outcome.code == 0 || ret == power->known, "status", &outcome);
	if (outcome.code == 0)
		must(read_status(&outcome, ret), "status --json", &outcome);
}

static void record(struct power *power)
{
	AUTO_FREE char *trace = rig_text("%s/trace", power->rig->dir);

	make_root(power);
	set_up(power);
	rig_write(trace, slice_of("", 0));
	disk_open(&power->disk, power->root);
	look(power, &power->known[0]);
	for (power->steps = 0; power->scenario->steps[power->steps]; power->steps++) {
		run_step(power, power->scenario->steps[power->steps], trace);
		look(power, &power->known[power->steps + 1]);
	}
	disk_take_trace(&power->disk, trace);
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool is_known(const struct power *power, const struct known *found, size_t said)
{
	for (size_t i = said; i <= power->steps; i++)
		if (found->events == power->known[i].events &&
		    strcmp(found->state_hash, power->known[i].state_hash) == 0)
			return true;
	return false;
}

static bool run(struct power *power, const char *what, const char *const *argv, int code)
{
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	rig_fork(power->rig, argv, &outcome);
	return rig_check(power->rig, outcome.code == code, power->root, "%s: %s: exit %d\n%s%s",
			 power->scenario->name, what, outcome.code, buf_str(&outcome.out),
			 buf_str(&outcome.err));
}

/* After doctor no temporary file is there, but for an unfinished copy, which is its maker's. */
static bool nothing_left(struct power *power)
{
	const char *argv[] = { "/usr/bin/find", power->root, "-name", ".*.tmp", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	rig_exec(power->rig, argv, NULL, &outcome);
	return rig_check(power->rig, outcome.code == 0 && outcome.out.len == 0, power->root,
			 "%s: leftovers: %s", power->scenario->name, buf_str(&outcome.out));
}

/* What the next commands must find: a store that takes a change and is sound in every part. */
static bool go_on(struct power *power)
{
	const char *set[] = { "provenv", "-e", "development", "set", "NEXT=1", NULL };
	const char *doctor[] = { "provenv", "doctor", NULL };
	const char *verify[] = { "provenv", "verify", "--deep", NULL };
	const char *compare[] = { "provenv", "rebuild", "--compare", NULL };

	return run(power, "set", set, 0) && run(power, "verify --deep", verify, 0) &&
	       run(power, "rebuild --compare", compare, 0) && run(power, "doctor", doctor, 0) &&
	       nothing_left(power);
}

static bool open_again(struct power *power, size_t said, const char *what)
{
	AUTO_FREE char *program = rig_text("%s/provenv", power->rig->bin);
	const char *status[] = { program, "status", "--json", NULL };
	const char *init[] = { "provenv", "init", "--key", "operator", NULL };
	const char *accept[] = {
		"provenv", "doctor", "--accept-loss=13", "--confirm=operator", "-m", "again", NULL
	};
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };
	struct known found = { .events = 0 };

	if (power->visited % EXEC_EVERY == 0)
		rig_exec(power->rig, status, NULL, &outcome);
	else
		rig_fork(power->rig, status, &outcome);
	if (outcome.code == EXIT_NO_STORE && power->scenario->makes_store && said == 0)
		return run(power, "init again", init, 0);
	if (outcome.code == EXIT_CORRUPT && power->scenario->accepts_loss && said == 0)
		return run(power, "accept the loss again", accept, 0);
	if (!rig_check(power->rig, outcome.code == 0 && read_status(&outcome, &found), power->root,
		       "%s, %s: status: exit %d\n%s%s", power->scenario->name, what, outcome.code,
		       buf_str(&outcome.out), buf_str(&outcome.err)))
		return false;
	power->recovered += found.events < power->known[power->steps].events;
	return rig_check(power->rig, is_known(power, &found, said), power->root,
			 "%s, %s: %llu events, state %s: not what step %zu or a later one left",
			 power->scenario->name, what, (unsigned long long)found.events,
			 found.state_hash, said);
}

/* A copy is there whole, or is none yet; what is half made is not taken for a store. */
static void check_copies(struct power *power, size_t said, const char *what)
{
	static const char *const copies[] = { "rebuilt", "salvaged" };
	AUTO_FREE char *program = rig_text("%s/provenv-replay", power->rig->bin);

	for (size_t i = 0; i < sizeof(copies) / sizeof(*copies); i++) {
		AUTO_FREE char *path = rig_text("%s.%s", power->output, copies[i]);
		const char *argv[] = { program, "verify", path, NULL };
		AUTO(outcome_release) struct outcome outcome = { .code = 0 };

		if (access(path, F_OK) && said <= i)
			continue;
		rig_exec(power->rig, argv, NULL, &outcome);
		(void)rig_check(power->rig, outcome.code == 0, power->root,
				"%s, %s: verify of the copy: exit %d\n%s%s", power->scenario->name,
				what, outcome.code, buf_str(&outcome.out), buf_str(&outcome.err));
	}
}

static void forget_evidence(const struct power *power)
{
	AUTO_FREE char *head = rig_text("%s/head", power->store);
	AUTO_FREE char *checkpoints = rig_text("%s/home/state", power->root);

	(void)unlink(head);
	rig_remove_tree(checkpoints);
}

static void check_state(struct power *power, const struct disk_state *state)
{
	size_t said = disk_said(&power->disk, state->cut);
	AUTO_FREE char *what = disk_state_text(&power->disk, state);
	bool lost;

	rig_remove_tree(power->root);
	lost = disk_restore(&power->disk, state, power->root);
	if (power->without_evidence)
		forget_evidence(power);
	power->rig->tried += lost;
	power->rig->fired += lost;
	power->visited++;
	if (open_again(power, said, what) && power->visited % DEEP_EVERY == 0)
		(void)go_on(power);
	if (power->scenario->copies)
		check_copies(power, said, what);
}

/* --- which states ----------------------------------------------------------------------------- */

static bool count_state(void *context, const struct disk_state *state)
{
	struct power *power = context;

	(void)state;
	power->all++;
	return true;
}

static bool draw_state(void *context, const struct disk_state *state)
{
	struct power *power = context;

	if (rig_random(power->rig, power->all) < power->wanted)
		check_state(power, state);
	return true;
}

/* Below this many calls the mixtures are the states tried anyway. */
enum { MIXTURE_CALLS_MIN = 3 };

static void try_mixtures(struct power *power, uint64_t count)
{
	size_t cuts = power->disk.call_count + 1, fit = 0;

	for (size_t cut = 0; cut < cuts; cut++)
		fit += disk_open_calls(&power->disk, cut) >= MIXTURE_CALLS_MIN;
	for (uint64_t i = 0; fit > 0 && i < count;) {
		struct disk_state state = { .cut = rig_random(power->rig, cuts),
					    .call = SIZE_MAX,
					    .mixture = rig_random(power->rig, UINT64_MAX) + 1 };

		if (disk_open_calls(&power->disk, state.cut) < MIXTURE_CALLS_MIN)
			continue;
		check_state(power, &state);
		i++;
	}
}

/* Every tear of every write of a meta page, at any byte: 242 states for each with the whole ones.
 */
static void tear_meta(struct power *power)
{
	for (size_t i = 0; i < power->disk.call_count; i++) {
		const struct disk_call *call = &power->disk.calls[i];

		if (call->kind != RECORD_WRITE || call->data.len != META_BYTES ||
		    call->durable_at != i + 1)
			continue;
		for (size_t at = 0; at <= META_BYTES; at++) {
			struct disk_state state = { .cut = i, .call = i, .torn_at = at };

			/* Nothing, and all of it, are tears too. */
			if (at == 0 || at == META_BYTES)
				state = (struct disk_state){ .cut = i,
							     .rest = at != 0,
							     .call = SIZE_MAX };
			check_state(power, &state);
			state.torn_end = at != 0 && at != META_BYTES;
			check_state(power, &state);
		}
	}
}

/* The control arm: nothing is lost, and what the recorder saw is what is there. */
static void check_record(struct power *power)
{
	AUTO_FREE char *copy = rig_text("%s/control", power->rig->dir);
	struct disk_state whole = { .cut = power->disk.call_count, .rest = true, .call = SIZE_MAX };
	const char *argv[] = { "/usr/bin/diff",
			       "-rq",
			       "--exclude=lock.mdb",
			       "--exclude=*-shm",
			       power->root,
			       copy,
			       NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	(void)disk_restore(&power->disk, &whole, copy);
	rig_exec(power->rig, argv, NULL, &outcome);
	must(outcome.code == 0, "the recorder missed a change", &outcome);
	rig_remove_tree(copy);
	check_state(power, &whole);
}

static void try_scenario(struct rig *rig, const struct scenario *scenario, uint64_t wanted)
{
	AUTO_FREE char *root = rig_text("%s/disk", rig->dir);
	AUTO_FREE char *store = rig_text("%s/work/store", root);
	AUTO_FREE char *output = rig_text("%s/work/output", root);
	struct power power = { .rig = rig,
			       .scenario = scenario,
			       .root = root,
			       .store = store,
			       .output = output,
			       .wanted = wanted };

	point_into(root);
	record(&power);
	check_record(&power);
	disk_each_state(&power.disk, SECTOR_BYTES, count_state, &power);
	disk_each_state(&power.disk, SECTOR_BYTES, draw_state, &power);
	if (wanted > power.all)
		try_mixtures(&power, wanted - power.all);
	(void)printf("  %-16s %5zu calls, %8llu states, %6llu tried, %6llu went back\n",
		     scenario->name, power.disk.call_count, (unsigned long long)power.all,
		     (unsigned long long)power.visited, (unsigned long long)power.recovered);
	(void)fflush(stdout);
	if (scenario->tears_meta) {
		for (int without = 0; without < 2; without++) {
			power.without_evidence = without;
			power.visited = 0;
			power.recovered = 0;
			tear_meta(&power);
			(void)printf("  meta page torn, %-7s %16llu states %6llu tried, "
				     "%6llu went back\n",
				     without ? "alone" : "", (unsigned long long)power.visited,
				     (unsigned long long)power.visited,
				     (unsigned long long)power.recovered);
		}
	}
	disk_release(&power.disk);
}

int main(int argc, char **argv)
{
	uint64_t states = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	struct rig rig;

	if (!states || argc > 3) {
		(void)fprintf(stderr, "usage: crash_power STATES [SCENARIO]\n");
		return 2;
	}
	rig_open(&rig, "crash_power", NULL);
	for (size_t i = 0; i < power_scenario_count; i++)
		if (argc < 3 || strcmp(argv[2], power_scenarios[i].name) == 0)
			try_scenario(&rig, &power_scenarios[i], states / power_scenario_count + 1);
	return rig_close(&rig);
}

/* NOLINTEND(concurrency-mt-unsafe) */
