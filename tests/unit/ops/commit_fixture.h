/*
 * For tests of commit(): refusals, locks, secrets, and another process that writes in between.
 */
#ifndef PROVENV_TESTS_UNIT_OPS_COMMIT_FIXTURE_H
#define PROVENV_TESTS_UNIT_OPS_COMMIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/secret.h"
#include "ops/commit.h"
#include "ops/op_environment.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "unit/base/scratch.h"
#include "unit/ops/ops_fixture.h"

#define UUID_A "01890000-0000-7000-8000-00000000000a"
#define UUID_B "0189000000007000800000000000000b"

static inline void set_refused(struct ops_fixture *fixture, enum status expected, const char *text)
{
	struct ops_set set;

	ops_refused(fixture, decide_set, ops_set_args(&set, "A", "1", NULL), expected, text);
}

static inline void lock(struct ops_fixture *fixture, const char *name, uint64_t for_ms)
{
	struct environment_args args = { .name = slice_str(name), .until_in_ms = for_ms };

	(void)ops_do(fixture, decide_environment_lock, &args);
}

/* --- other writers ---------------------------------------------------------------------------- */

/* What another process does, while a command of ours has decided but not yet taken the lock. */
struct other {
	decide_fn decide;
	const void *args;
	const char *command_id;
};

struct race {
	decide_fn decide;
	const void *args;
	const struct other *others; /* ended by one without decide */
	struct ops_fixture *fixture;
	void (*again)(struct ops_fixture *fixture); /* run when we decide again; may be NULL */
	int start;                                  /* to be written to, so that the others begin */
	pid_t child;
	unsigned decided;
};

/* What commit() hands on is constant; what it points to is not. */
struct race_args {
	struct race *race;
};

/* The other process. Asserts nothing: only the parent may fail the test. */
static inline void run_others(struct race *race, int start)
{
	struct ops_fixture *fixture = race->fixture;
	bool good;
	char byte;

	fixture->options = (struct session_options){ .store_dir = fixture->store };
	good = read(start, &byte, 1) == 1;
	for (const struct other *other = race->others; good && other->decide; other++) {
		struct outcome outcome;

		fixture->options.command_id = other->command_id;
		good = ops_try(fixture, other->decide, other->args, &outcome, NULL) == STATUS_OK;
	}
	_exit(good ? 0 : 1);
}

static inline enum status decide_race(struct session *session, const void *race_args,
				      struct plan *plan, struct error *err)
{
	struct race *race = ((const struct race_args *)race_args)->race;
	enum status status = race->decide(session, race->args, plan, err);
	int result = 1;

	if (race->decided++) {
		if (race->again)
			race->again(race->fixture);
		return status;
	}
	assert_int_equal(write(race->start, "x", 1), 1);
	assert_int_equal(waitpid(race->child, &result, 0), race->child);
	assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
	return status;
}

/* The log is open once in a process, and never across a fork: the others are born first. */
static inline enum status run_race(struct race *race, struct outcome *ret, struct error *err)
{
	struct race_args args = { race };
	enum status status;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	race->start = ends[1];
	race->child = fork();
	assert_true(race->child >= 0);
	if (race->child == 0) {
		(void)close(ends[1]);
		run_others(race, ends[0]);
	}
	status = ops_try(race->fixture, decide_race, &args, ret, err);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_true(race->decided > 0);
	return status;
}

/* set A=1 while @others do theirs. */
static inline enum status race_set(struct ops_fixture *fixture, const struct other *others,
				   struct outcome *ret, struct error *err)
{
	struct ops_set set;
	struct race race = { .decide = decide_set,
			     .args = ops_set_args(&set, "A", "1", NULL),
			     .others = others,
			     .fixture = fixture };

	return run_race(&race, ret, err);
}

static inline void race_lost(struct ops_fixture *fixture, const struct other *others,
			     enum status expected, const char *text)
{
	struct outcome outcome = { .last_seq = 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(race_set(fixture, others, &outcome, &err), expected);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
	assert_int_equal(outcome.last_seq, 0);
}

/* --- secrets ------------------------------------------------------------------------------------
 */

static inline enum status count_file(void *context, const char *name, struct error *err)
{
	(void)name;
	(void)err;
	(*(unsigned *)context)++;
	return STATUS_OK;
}

static inline unsigned vault_files(struct ops_fixture *fixture)
{
	char path[SCRATCH_PATH_MAX + 64];
	unsigned count = 0;

	(void)snprintf(path, sizeof(path), "%s/vault", fixture->store);
	assert_int_equal(fs_list(path, count_file, &count, NULL), STATUS_OK);
	return count;
}

static inline enum status try_seal(struct ops_fixture *fixture, const char *key, const char *value,
				   struct outcome *ret, struct error *err)
{
	AUTO(secret_release) struct secret hidden = SECRET_INIT;
	struct ops_set set;

	assert_int_equal(secret_copy(&hidden, slice_str(value), NULL), STATUS_OK);
	return ops_try(fixture, decide_set, ops_set_args(&set, key, "", &hidden), ret, err);
}

#endif
