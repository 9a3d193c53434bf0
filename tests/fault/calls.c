/*
 * The n-th call of one function of the C library fails: for every command, call, errno and n.
 *
 *   fault_calls [--long[=PART/PARTS] | --one=COMMAND:CALL:ERRNO:N[+][:json] | --calls]
 *
 * In short, every command meets every call it makes at least twice: the first, and another one,
 * drawn, as the errno is; --long tries all of them, of every PARTS-th command from PART on. "N+" is
 * the n-th and all that follow, as on a disk that stays full. PROVENV_BIN names the programs,
 * PROVENV_TEST_SEED the seed.
 *
 * Invariants: a fault counts as tried only where the command is known to make the call, so that
 * one that does not fire is a failure of the rig; what no command calls is said at the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fault/judge.h"
#include "fault/shared.h"
#include "fault/world.h"
#include "rig/rig.h"

#include "base/banned.h"

enum {
	FAULTS_MAX = 6,
	EXTRA_TRIALS = 100, /* of the short form, beyond two for each command and call */
	ONWARD_ONE_IN = 4,  /* of the drawn ones */
	EXIT_USAGE = 2,
};

static const char *const call_names[] = {
#define CALL(identifier, name) [CALL_##identifier] = (name),
#include "fault/calls.def"
#undef CALL
};

/* 0 ends the list. What the call may answer by its manual page, and a program must bear. */
static const int call_faults[CALL_COUNT][FAULTS_MAX] = {
	[CALL_MALLOC] = { ENOMEM },
	[CALL_CALLOC] = { ENOMEM },
	[CALL_REALLOC] = { ENOMEM },
	[CALL_WRITE] = { EIO, ENOSPC, EDQUOT, EINTR, FAULT_SHORT },
	[CALL_PWRITE] = { EIO, ENOSPC, EDQUOT, EINTR, FAULT_SHORT },
	[CALL_WRITEV] = { EIO, ENOSPC, EDQUOT, EINTR, FAULT_SHORT },
	[CALL_PWRITEV] = { EIO, ENOSPC, EDQUOT, EINTR, FAULT_SHORT },
	[CALL_READ] = { EIO, EINTR },
	[CALL_PREAD] = { EIO, EINTR },
	[CALL_FSYNC] = { EIO, ENOSPC, EDQUOT, EINTR },
	[CALL_FDATASYNC] = { EIO, ENOSPC, EDQUOT, EINTR },
	[CALL_OPEN] = { EACCES, EIO, ENOSPC, EDQUOT, EINTR, EMFILE },
	[CALL_CLOSE] = { EIO, ENOSPC, EDQUOT, EINTR },
	[CALL_RENAME] = { EIO, EACCES, ENOSPC, EDQUOT, EINVAL },
	[CALL_LINK] = { EIO, EACCES, ENOSPC, EDQUOT },
	[CALL_UNLINK] = { EIO, EACCES },
	[CALL_MKDIR] = { EIO, EACCES, ENOSPC, EDQUOT },
	[CALL_FTRUNCATE] = { EIO, ENOSPC, EINTR },
	[CALL_MMAP] = { ENOMEM },
	[CALL_FCNTL] = { EACCES, ENOLCK, EIO, EINTR },
	[CALL_FLOCK] = { ENOLCK, EIO, EINTR },
};

static const struct {
	int fault;
	const char *name;
} fault_names[] = {
	{ ENOMEM, "ENOMEM" }, { EIO, "EIO" },           { ENOSPC, "ENOSPC" }, { EDQUOT, "EDQUOT" },
	{ EINTR, "EINTR" },   { FAULT_SHORT, "short" }, { EACCES, "EACCES" }, { EMFILE, "EMFILE" },
	{ ENOLCK, "ENOLCK" }, { EINVAL, "EINVAL" },
};

enum { FAULT_NAMES = sizeof(fault_names) / sizeof(fault_names[0]) };

struct tally {
	uint64_t tried;
	uint64_t fired;
	uint64_t good;
};

struct driver {
	struct rig rig;
	struct world world;
	struct control *controls; /* as many as there are commands */
	struct tally tally[CALL_COUNT][FAULTS_MAX];
};

static const char *fault_name(int fault)
{
	for (size_t i = 0; i < FAULT_NAMES; i++) {
		if (fault_names[i].fault == fault)
			return fault_names[i].name;
	}
	return "?";
}

static size_t fault_count(enum call call)
{
	size_t count = 0;

	while (count < FAULTS_MAX && call_faults[call][count])
		count++;
	return count;
}

static struct tally *tally_of(struct driver *driver, const struct trial *trial)
{
	for (size_t i = 0; i < fault_count(trial->call); i++) {
		if (call_faults[trial->call][i] == trial->fault)
			return &driver->tally[trial->call][i];
	}
	return &driver->tally[trial->call][0];
}

/* --- one trial ------------------------------------------------------------------------------ */

static void arm(struct calls *calls, const struct trial *trial)
{
	calls->call = trial->call;
	calls->fault = trial->fault;
	calls->nth = trial->nth;
	calls->onward = trial->onward;
	calls->armed = 1;
}

/* Returns whether the fault fired; judged only then. */
static bool try_one(struct driver *driver, const struct trial *wanted)
{
	struct world *world = &driver->world;
	const struct command *command = wanted->command;
	AUTO_FREE char *label =
		rig_text("%s:%s:%s:%" PRIu64 "%s%s", command->name, call_names[wanted->call],
			 fault_name(wanted->fault), wanted->nth, wanted->onward ? "+" : "",
			 wanted->json ? ":json" : "");
	struct trial trial = *wanted;
	struct tally *tally = tally_of(driver, wanted);
	uint64_t failures = driver->rig.failures;
	struct outcome outcome;
	bool fired;

	trial.label = label;
	world_reset(world);
	world_disarm(world);
	arm(world->calls, &trial);
	world_run(world, command, trial.json, true, &outcome);
	fired = world->calls->fired > 0;
	if (fired) {
		tally->tried++;
		tally->fired++;
		driver->rig.tried++;
		driver->rig.fired++;
		judge(world, &driver->controls[command - commands], &trial, &outcome);
		tally->good += driver->rig.failures == failures;
	} else {
		rig_check(&driver->rig, outcome.code == 0, world->work,
			  "%s: did not fire, and yet exit %d: %s", label, outcome.code,
			  buf_str(&outcome.err));
	}
	outcome_release(&outcome);
	return fired;
}

/*
 * The n-th call, which this command is known to make. How often it allocates may vary a little from
 * run to run: when it ended before, an earlier one is taken.
 */
static void try_known(struct driver *driver, struct trial *trial)
{
	while (!try_one(driver, trial)) {
		if (trial->nth == 1) {
			tally_of(driver, trial)->tried++;
			driver->rig.tried++;
			return;
		}
		trial->nth = (trial->nth + 1) / 2;
	}
}

/* --- which ------------------------------------------------------------------------------------ */

static bool makes(const struct driver *driver, size_t command, size_t call)
{
	return driver->controls[command].count[call] > 0 || commands[command].fires >> call & 1;
}

/* Before it is judged whether a command bears the failure of a call: does it make the call? */
static void check_calls(struct driver *driver, size_t command)
{
	for (size_t call = 0; call < CALL_COUNT; call++)
		rig_check(&driver->rig,
			  driver->controls[command].count[call] > 0 ||
				  !(commands[command].fires >> call & 1),
			  NULL, "%s: makes no call of %s, as it is known to",
			  commands[command].name, call_names[call]);
}

/* What is interrupted for ever is taken up for ever; and a lock that cannot be had, for whatever
 * reason, SQLite takes for one that others hold, and waits. */
static bool may_last(enum call call, int fault)
{
	return fault != EINTR && fault != FAULT_SHORT && call != CALL_FCNTL;
}

static struct trial draw(struct driver *driver, size_t command, size_t call)
{
	struct rig *rig = &driver->rig;
	struct trial trial = {
		.command = &commands[command],
		.call = (enum call)call,
		.fault = call_faults[call][rig_random(rig, fault_count((enum call)call))],
		.json = rig_random(rig, 2),
		.onward = rig_random(rig, ONWARD_ONE_IN) == 0,
		.nth = 1,
	};
	uint64_t count = driver->controls[command].count[call];

	if (count > 1)
		trial.nth = 1 + rig_random(rig, count);
	trial.onward = trial.onward && may_last(trial.call, trial.fault);
	return trial;
}

/* --- a trial by its name ---------------------------------------------------------------------- */

/* The next part of @text up to a colon, at most. False when there is none. */
static bool take(const char **text, char *ret, size_t cap)
{
	size_t len = strcspn(*text, ":");

	if (len == 0 || len >= cap)
		return false;
	memcpy(ret, *text, len);
	ret[len] = '\0';
	*text += len + ((*text)[len] == ':');
	return true;
}

static bool parse_one(const char *text, struct trial *ret)
{
	char name[32], call[32], fault[32], nth[32];
	struct trial trial = { .call = CALL_COUNT };
	char *end;

	if (!take(&text, name, sizeof(name)) || !take(&text, call, sizeof(call)) ||
	    !take(&text, fault, sizeof(fault)) || !take(&text, nth, sizeof(nth)))
		return false;
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].name, name) == 0)
			trial.command = &commands[i];
	}
	for (size_t i = 0; i < CALL_COUNT; i++) {
		if (strcmp(call_names[i], call) == 0)
			trial.call = (enum call)i;
	}
	for (size_t i = 0; i < FAULT_NAMES; i++) {
		if (strcmp(fault_names[i].name, fault) == 0)
			trial.fault = fault_names[i].fault;
	}
	trial.nth = strtoull(nth, &end, 10);
	trial.onward = *end == '+';
	trial.json = strcmp(text, "json") == 0;
	*ret = trial;
	return trial.command && trial.call < CALL_COUNT && trial.fault && trial.nth > 0;
}

/*
 * Places that once were wrong, each with all its n. The call itself may have moved since, so it is
 * not one n that is kept.
 */
static const char *const sweeps[] = {
	"set:malloc:ENOMEM:1+:json", /* nothing is printed for want of memory to print it */
	"log:malloc:ENOMEM:1+",
	"replay-state:malloc:ENOMEM:1+", /* what is not found for want of memory "does not exist" */
	"verify-deep:open:EMFILE:1",     /* what cannot be opened is called damaged */
	"get:pread:EIO:1",               /* SQLite calls malformed what it could not read */
	"doctor:fcntl:EIO:1+",           /* what cannot be read is called damaged while in use */
	"doctor:calloc:ENOMEM:1",        /* a finding loses its text */
	"set-secret:fsync:EIO:1", /* a failed sync is passed over: not seen, but easily made */
	"set:fdatasync:EIO:1",
	"init:fsync:EIO:1",
	"rollback:calloc:ENOMEM:1",            /* an event loses one */
	"replay-rebuild:malloc:ENOMEM:1:json", /* a copy without keys, JSON without its schema */
};

enum { SWEEP_ONWARD_MAX = 40 };

static void run_sweeps(struct driver *driver)
{
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		struct trial trial;

		if (!rig_check(&driver->rig, parse_one(sweeps[i], &trial), NULL, "what is %s?",
			       sweeps[i]))
			continue;
		try_known(driver, &trial);
		do /* a lock is waited for, ten seconds each: few */
			trial.nth += trial.call == CALL_FCNTL ? 2 * trial.nth : 1;
		while ((!trial.onward || trial.nth < SWEEP_ONWARD_MAX) && try_one(driver, &trial));
	}
}

static void run_short(struct driver *driver)
{
	struct trial trial;

	for (size_t command = 0; command < command_count; command++) {
		for (size_t call = 0; call < CALL_COUNT; call++) {
			if (!makes(driver, command, call))
				continue;
			trial = draw(driver, command, call);
			try_known(driver, &trial);
			trial = draw(driver, command, call);
			trial.nth = 1;
			try_known(driver, &trial);
		}
	}
	run_sweeps(driver);
	for (size_t i = 0; i < EXTRA_TRIALS;) {
		size_t command = rig_random(&driver->rig, command_count);
		size_t call = rig_random(&driver->rig, CALL_COUNT);

		if (!makes(driver, command, call))
			continue;
		trial = draw(driver, command, call);
		try_known(driver, &trial);
		i++;
	}
}

/* Every n with one fault; then, in growing steps, all from the n-th on. */
static void run_through(struct driver *driver, struct trial *trial)
{
	trial->nth = 1;
	trial->onward = false;
	try_known(driver, trial);
	do {
		trial->nth++;
		trial->json = trial->nth % 2;
	} while (try_one(driver, trial));
	if (!may_last(trial->call, trial->fault))
		return;
	trial->nth = 1;
	trial->onward = true;
	while (try_one(driver, trial)) {
		trial->nth += 1 + trial->nth / 10;
		trial->json = !trial->json;
	}
}

static void run_long(struct driver *driver, size_t part, size_t parts)
{
	for (size_t command = part; command < command_count; command += parts) {
		for (size_t call = 0; call < CALL_COUNT; call++) {
			struct trial trial = { .command = &commands[command],
					       .call = (enum call)call };

			if (!makes(driver, command, call))
				continue;
			for (size_t i = 0; i < fault_count(trial.call); i++) {
				trial.fault = call_faults[call][i];
				run_through(driver, &trial);
			}
		}
		(void)printf("%s: %" PRIu64 " faults so far\n", commands[command].name,
			     driver->rig.tried);
		(void)fflush(stdout);
	}
}

/* @option: "" or "=PART/PARTS". */
static int run_part(struct driver *driver, const char *option)
{
	unsigned long part = 0, parts = 1;
	char *end = NULL;

	if (*option == '=') {
		part = strtoul(option + 1, &end, 10);
		parts = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
	}
	if (part >= parts || (end && *end != '\0') || (!end && *option != '\0')) {
		(void)fprintf(stderr, "fault_calls: --long[=PART/PARTS], PART from 0 on\n");
		return EXIT_USAGE;
	}
	run_long(driver, part, parts);
	return 0;
}

/* --- one by hand ------------------------------------------------------------------------------ */

static int run_one(struct driver *driver, const char *text)
{
	struct trial trial;
	const struct outcome *plain;

	if (!parse_one(text, &trial)) {
		(void)fprintf(stderr, "fault_calls: --one=COMMAND:CALL:ERRNO:N[+][:json]\n");
		return EXIT_USAGE;
	}
	plain = &driver->controls[trial.command - commands].outcome[trial.json];
	(void)printf("without the fault: exit %d\n%s%s", plain->code, buf_str(&plain->out),
		     buf_str(&plain->err));
	trial.label = text;
	try_known(driver, &trial);
	return 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void print_table(const struct driver *driver)
{
	(void)printf("%-10s %-8s %8s %8s %8s\n", "call", "fault", "tried", "fired", "ok");
	for (size_t call = 0; call < CALL_COUNT; call++) {
		bool any = false;

		for (size_t i = 0; i < command_count && !any; i++)
			any = driver->controls[i].count[call] > 0;
		if (!any)
			(void)printf("%-10s is called by no command: not tried\n",
				     call_names[call]);
		for (size_t i = 0; any && i < fault_count((enum call)call); i++) {
			const struct tally *tally = &driver->tally[call][i];

			(void)printf("%-10s %-8s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
				     call_names[call], fault_name(call_faults[call][i]),
				     tally->tried, tally->fired, tally->good);
		}
	}
}

/* For whoever keeps `fires` of commands.c. */
static void print_calls(const struct driver *driver)
{
	for (size_t i = 0; i < command_count; i++) {
		(void)printf("%s:", commands[i].name);
		for (size_t call = 0; call < CALL_COUNT; call++) {
			if (driver->controls[i].count[call])
				(void)printf(" %s=%" PRIu64, call_names[call],
					     driver->controls[i].count[call]);
		}
		(void)printf("\n");
	}
}

static int run(struct driver *driver, const char *option)
{
	int code = 0;

	for (size_t i = 0; i < command_count; i++) {
		control_make(&driver->world, &commands[i], &driver->controls[i]);
		check_calls(driver, i);
	}
	if (strcmp(option, "--calls") == 0)
		print_calls(driver);
	else if (strncmp(option, "--one=", strlen("--one=")) == 0)
		code = run_one(driver, option + strlen("--one="));
	else if (strncmp(option, "--long", strlen("--long")) == 0)
		code = run_part(driver, option + strlen("--long"));
	else
		run_short(driver);
	print_table(driver);
	return code;
}

int main(int argc, char **argv)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	const char *bin = getenv("PROVENV_BIN");
	struct driver *driver = calloc(1, sizeof(*driver));
	int code;

	if (!driver)
		return EXIT_USAGE;
	driver->controls = calloc(command_count, sizeof(*driver->controls));
	if (!driver->controls) {
		free(driver);
		return EXIT_USAGE;
	}
	rig_open(&driver->rig, "fault_calls", bin ? bin : BUILT_PROGRAMS);
	world_open(&driver->world, &driver->rig, BUILT_SHIM);
	code = run(driver, argc > 1 ? argv[1] : "");
	for (size_t i = 0; i < command_count; i++)
		control_release(&driver->controls[i]);
	world_close(&driver->world);
	free(driver->controls);
	if (rig_close(&driver->rig) && code == 0)
		code = 1;
	free(driver);
	return code;
}
