/*
 * A store as `init` makes it, in a scratch directory of its own that also holds the user's keys and
 * checkpoints; and commands to fill it with, each in a session of its own as the program has it.
 *
 * Use ops_setup() and ops_teardown() as cmocka's per-test fixtures; *state is the fixture. The
 * clock stands still but for a second before each session.
 */
#ifndef PROVENV_TESTS_UNIT_OPS_OPS_FIXTURE_H
#define PROVENV_TESTS_UNIT_OPS_OPS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/commit.h"
#include "ops/op_environment.h"
#include "ops/op_init.h"
#include "ops/op_profile.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/evlog.h"
#include "unit/base/scratch.h"

struct ops_fixture {
	char dir[SCRATCH_PATH_MAX];
	char store[SCRATCH_PATH_MAX + 16];
	uint64_t clock_ms;
	struct session_options options; /* of the sessions that are opened from now on */
};

/* --- setting up ------------------------------------------------------------------------------- */

static inline uint64_t ops_clock(void *context)
{
	return ((struct ops_fixture *)context)->clock_ms;
}

/* Only while there is one thread. */
static inline void ops_environment(const char *name, const char *value)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static inline void ops_init_store(struct ops_fixture *fixture, const char *catalogue)
{
	struct init_args args = { .store_dir = fixture->store,
				  .key_name = "op@test",
				  .catalogue = slice_str(catalogue) };
	struct init_result result = { .key_made = false };
	struct error err = ERROR_INIT;

	if (op_init(&args, &result, &err))
		fail_msg("init: %s", err.text);
	init_result_release(&result);
}

static inline int ops_setup_with(void **state, const char *catalogue)
{
	struct ops_fixture *fixture = calloc(1, sizeof(*fixture));
	void *dir = NULL;

	if (!fixture || scratch_setup(&dir)) {
		free(fixture);
		free(dir);
		return -1;
	}
	memcpy(fixture->dir, dir, SCRATCH_PATH_MAX);
	free(dir);
	*state = fixture;
	(void)snprintf(fixture->store, sizeof(fixture->store), "%s/store", fixture->dir);
	ops_environment("XDG_CONFIG_HOME", fixture->dir);
	ops_environment("XDG_STATE_HOME", fixture->dir);
	fixture->clock_ms = clock_now_ms();
	clock_set_source(ops_clock, fixture);
	fixture->options.store_dir = fixture->store;
	ops_init_store(fixture, catalogue);
	return 0;
}

/* The three usual environments; production is protected, development active. */
static inline int ops_setup(void **state)
{
	return ops_setup_with(state, "");
}

static inline int ops_teardown(void **state)
{
	struct ops_fixture *fixture = *state;
	enum status status = fs_remove_tree(fixture->dir, NULL);

	ops_environment("PROVENV_FAULT", NULL);
	clock_set_source(NULL, NULL);
	free(fixture);
	return status ? -1 : 0;
}

/* --- sessions --------------------------------------------------------------------------------- */

static inline enum status ops_try_open(struct ops_fixture *fixture, enum session_need need,
				       struct session *ret, struct error *err)
{
	fixture->clock_ms += 1000;
	*ret = (struct session){ .store = NULL };
	return session_open(&fixture->options, need, ret, err);
}

/* A session that must open; to be closed by the caller. */
static inline void ops_open(struct ops_fixture *fixture, enum session_need need,
			    struct session *ret)
{
	struct error err = ERROR_INIT;

	if (ops_try_open(fixture, need, ret, &err))
		fail_msg("open: %s", err.text);
}

/* One command in a session of its own. Of @ret only what does not live in the session stays. */
static inline enum status ops_try(struct ops_fixture *fixture, decide_fn decide, const void *args,
				  struct outcome *ret, struct error *err)
{
	struct session session;
	enum status status = ops_try_open(fixture, SESSION_PROFILE, &session, err);

	if (!status)
		status = commit(&session, decide, args, ret, err);
	session_close(&session);
	return status;
}

/* One command that must succeed. */
static inline struct outcome ops_do(struct ops_fixture *fixture, decide_fn decide, const void *args)
{
	struct outcome outcome = { .last_seq = 0 };
	struct error err = ERROR_INIT;

	if (ops_try(fixture, decide, args, &outcome, &err))
		fail_msg("commit: %s", err.text);
	/* Success says nothing. */
	assert_string_equal(err.text, "");
	return outcome;
}

/* One command that must be refused with @expected, words of @text in the error or its hint. */
static inline void ops_refused(struct ops_fixture *fixture, decide_fn decide, const void *args,
			       enum status expected, const char *text)
{
	struct outcome outcome = { .last_seq = 0 };
	struct error err = ERROR_INIT;
	enum status status = ops_try(fixture, decide, args, &outcome, &err);

	if (status != expected || (!strstr(err.text, text) && !strstr(err.hint, text)))
		fail_msg("expected %s, '%s'; got %s: %s / %s", status_name(expected), text,
			 status_name(status), err.text, err.hint);
	assert_int_equal(outcome.last_seq, 0);
}

/* Events in the log. */
static inline uint64_t ops_head(struct ops_fixture *fixture)
{
	struct session session = { .store = NULL };
	struct session_options options = { .store_dir = fixture->store };
	uint64_t size;

	assert_int_equal(session_open(&options, SESSION_LOG, &session, NULL), STATUS_OK);
	size = session.log->size;
	session_close(&session);
	return size;
}

/* --- commands --------------------------------------------------------------------------------- */

/* Arguments of `set` for one key; @hidden may be NULL. Borrowed. */
struct ops_set {
	struct assignment assignment;
	struct set_args args;
};

static inline struct set_args *ops_set_args(struct ops_set *set, const char *key, const char *value,
					    const struct secret *hidden)
{
	set->assignment = (struct assignment){ .key = slice_str(key),
					       .value = slice_str(hidden ? "" : value),
					       .hidden = hidden };
	set->args = (struct set_args){ .assignments = &set->assignment,
				       .count = 1,
				       .kind = hidden ? SET_SECRET : SET_PLAIN };
	return &set->args;
}

static inline struct outcome ops_set(struct ops_fixture *fixture, const char *key,
				     const char *value)
{
	struct ops_set set;

	return ops_do(fixture, decide_set, ops_set_args(&set, key, value, NULL));
}

static inline struct outcome ops_seal(struct ops_fixture *fixture, const char *key,
				      const char *value)
{
	struct secret hidden = SECRET_INIT;
	struct outcome outcome;
	struct ops_set set;

	assert_int_equal(secret_copy(&hidden, slice_str(value), NULL), STATUS_OK);
	outcome = ops_do(fixture, decide_set, ops_set_args(&set, key, "", &hidden));
	secret_release(&hidden);
	return outcome;
}

static inline struct outcome ops_unset(struct ops_fixture *fixture, const char *key)
{
	struct slice name = slice_str(key);
	struct unset_args args = { &name, 1 };

	return ops_do(fixture, decide_unset, &args);
}

/* `env VERB NAME`. */
static inline struct outcome ops_env(struct ops_fixture *fixture, decide_fn decide,
				     const char *name)
{
	struct environment_args args = { .name = slice_str(name) };

	return ops_do(fixture, decide, &args);
}

/* `profile VERB NAME`. */
static inline struct outcome ops_profile(struct ops_fixture *fixture, decide_fn decide,
					 const char *name)
{
	struct profile_args args = { .name = slice_str(name) };

	return ops_do(fixture, decide, &args);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Does the chosen profile hold this value, a secret one opened? NULL: is it not set? */
static inline void ops_assert_value(struct ops_fixture *fixture, const char *key,
				    const char *expected)
{
	struct variable_info info = { .seq = 0 };
	struct session session;
	enum status status;

	ops_open(fixture, SESSION_PROFILE, &session);
	status = op_get(&session, slice_str(key), true, &info, NULL);
	if (!expected) {
		assert_int_equal(status, STATUS_NOT_FOUND);
	} else {
		struct slice value = info.secret ? secret_slice(&info.revealed) : info.value;

		assert_int_equal(status, STATUS_OK);
		if (!slice_equal_str(value, expected))
			fail_msg("%s is '" SLICE_FMT "', not '%s'", key, SLICE_ARG(value),
				 expected);
	}
	variable_info_release(&info);
	session_close(&session);
}

/* No command of the log was without effect. */
static inline void ops_assert_no_violations(struct ops_fixture *fixture)
{
	struct session_options options = { .store_dir = fixture->store };
	struct session session = { .store = NULL };
	struct violation *violations;
	size_t count;

	assert_int_equal(session_open(&options, SESSION_STATE, &session, NULL), STATUS_OK);
	assert_int_equal(state_violations(&session.view, &violations, &count, NULL), STATUS_OK);
	if (count)
		fail_msg("event %llu broke rule %d", (unsigned long long)violations[0].seq,
			 (int)violations[0].rule);
	session_close(&session);
}

#endif
