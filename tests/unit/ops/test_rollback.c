/*
 * Rollback, restore and revert: by example, and by random histories.
 *
 * state_hash/v1 covers the whole model: what is active, categories, databases, environments, the
 * environments' keys, locks, profiles, specifications, variables (secrets by commitment) and
 * commands without effect. It does not cover event numbers, so that a rolled-back state can equal
 * the old one. A rollback leaves keys, locks and commands without effect as they are: the hashes of
 * now and then are equal exactly when none of these came in between; state_diff() leaves them out,
 * and finds no difference ever.
 */
#include "ops/op_rollback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "lib/event_samples.h"
#include "ops/commit.h"
#include "ops/op_catalogue.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/ref.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

static const struct diff_scope everything = { .only = { NULL, 0 } };

static const char *number(char ret[32], uint64_t seq)
{
	(void)snprintf(ret, 32, "%llu", (unsigned long long)seq);
	return ret;
}

static struct outcome roll_back(struct ops_fixture *fixture, uint64_t to)
{
	char text[32];
	struct rollback_args args = { .to = number(text, to) };

	return ops_do(fixture, decide_rollback, &args);
}

static enum status spec_set(struct ops_fixture *fixture, const char *key, const char *type,
			    const char *category)
{
	struct specification_args args = { .key = slice_str(key),
					   .type = type,
					   .category = category };
	struct outcome outcome;

	return ops_try(fixture, decide_specification_set, &args, &outcome, NULL);
}

/* --- by example ------------------------------------------------------------------------------- */

static void a_rollback_says_what_it_did(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args args = { .environment = slice_str("development"),
				      .profile = slice_str("default"),
				      .only = slice_str("A*") };
	struct outcome outcome, then;
	const struct payload *payload;
	const struct read_event *event;
	const struct change *change;
	struct session session;
	char text[32];

	then = ops_set(fixture, "AB", "1");
	(void)ops_set(fixture, "AB", "2");
	(void)ops_set(fixture, "B", "2");
	args.to = number(text, then.last_seq);
	outcome = ops_do(fixture, decide_rollback, &args);
	assert_int_equal(outcome.change_count, 1);
	assert_int_equal(outcome.last_seq, outcome.first_seq + 1);
	ops_assert_value(fixture, "AB", "1");
	ops_assert_value(fixture, "B", "2");

	ops_open(fixture, SESSION_LOG, &session);
	assert_int_equal(session_event(&session, outcome.first_seq, &event, NULL), STATUS_OK);
	payload = &event->decoded.event.payload;
	assert_int_equal(payload->type, EVENT_STATE_ROLLED_BACK);
	assert_true(slice_equal_str(payload_get_text(payload, FIELD_SCOPE), "development/default"));
	assert_true(slice_equal_str(payload_get_text(payload, FIELD_ONLY), "A*"));
	assert_int_equal(payload_get_uint(payload, FIELD_TARGET_SEQ), then.last_seq);
	assert_int_equal(session_event(&session, outcome.last_seq, &event, NULL), STATUS_OK);
	payload = &event->decoded.event.payload;
	assert_true(slice_equal_str(payload_get_text(payload, FIELD_SOURCE), "rollback"));
	change = &payload->field[FIELD_CHANGES].changes.entries[0];
	assert_int_equal(change->op, CHANGE_COPY);
	assert_int_equal(change->copy_seq, then.last_seq);
	session_close(&session);
	/* There already: no event. */
	assert_true(ops_do(fixture, decide_rollback, &args).unchanged);
}

/* Locks and keys are not state that comes back; what is locked is left alone. */
static void locks_and_keys_stay(void **state)
{
	struct ops_fixture *fixture = *state;
	struct environment_args lock = { .name = slice_str("testing") };
	struct rollback_args testing = { .to = "HEAD~2", .environment = slice_str("testing") };
	struct environment environment;
	struct definition key;
	struct session session;
	uint64_t start = ops_head(fixture);

	(void)ops_env(fixture, decide_environment_create, "extra");
	(void)ops_set(fixture, "A", "1");
	fixture->options.environment = "testing";
	(void)ops_set(fixture, "A", "1");
	(void)ops_do(fixture, decide_environment_lock, &lock);
	fixture->options.environment = NULL;
	ops_refused(fixture, decide_rollback, &testing, STATUS_DENIED, "'testing' is locked");
	testing.environment = slice_str("development");
	testing.to = "HEAD~3";
	(void)ops_do(fixture, decide_rollback, &testing);
	ops_assert_value(fixture, "A", NULL);
	(void)ops_env(fixture, decide_environment_remove, "extra");
	ops_open(fixture, SESSION_STATE, &session);
	assert_int_equal(state_environment(&session.view, slice_str("testing"), &environment, NULL),
			 STATUS_OK);
	assert_true(environment.locked);
	assert_int_equal(state_environment_key(&session.view, slice_str("extra"), 0, &key, NULL),
			 STATUS_OK);
	session_close(&session);
	(void)ops_env(fixture, decide_environment_unlock, "testing");
	(void)roll_back(fixture, start);
	ops_assert_no_violations(fixture);
}

static void a_scope_must_have_been(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args args = { .to = "HEAD~1", .environment = slice_str("prodution") };
	struct environment environment;
	struct session session;
	uint64_t start = ops_head(fixture);
	char text[32];

	(void)ops_env(fixture, decide_environment_create, "extra");
	(void)ops_set(fixture, "A", "1");
	ops_refused(fixture, decide_rollback, &args, STATUS_NOT_FOUND, "did you mean 'production'");
	args.environment = slice_str("testing");
	args.profile = slice_str("defualt");
	ops_refused(fixture, decide_rollback, &args, STATUS_NOT_FOUND, "did you mean 'default'");
	args = (struct rollback_args){ .to = "99" };
	ops_refused(fixture, decide_rollback, &args, STATUS_NOT_FOUND, "no event 99");

	/* The active one was not there yet. */
	(void)ops_env(fixture, decide_environment_switch, "extra");
	args = (struct rollback_args){ .to = number(text, start),
				       .environment = slice_str("extra") };
	ops_refused(fixture, decide_rollback, &args, STATUS_DENIED, "the active one");
	/* The whole store takes what is active along. */
	(void)roll_back(fixture, start);
	ops_open(fixture, SESSION_STATE, &session);
	assert_int_equal(state_environment(&session.view, slice_str("extra"), &environment, NULL),
			 STATUS_NOT_FOUND);
	session_close(&session);
}

static void old_values_must_fit_specifications(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args args = { .environment = slice_str("development") };
	struct restore_args restore = { .key = slice_str("K") };
	struct outcome words, number_set;
	char text[32];

	words = ops_set(fixture, "K", "words");
	(void)ops_unset(fixture, "K");
	assert_int_equal(spec_set(fixture, "K", "int", NULL), STATUS_OK);
	number_set = ops_set(fixture, "K", "5");
	args.to = number(text, words.last_seq);
	ops_refused(fixture, decide_rollback, &args, STATUS_INVALID, "K");
	ops_refused(fixture, decide_rollback, &args, STATUS_INVALID, "--force");
	restore.from = text;
	ops_refused(fixture, decide_restore, &restore, STATUS_INVALID, "provenv spec set");
	/* The whole store brings back that there was no specification. */
	(void)roll_back(fixture, words.last_seq);
	ops_assert_value(fixture, "K", "words");
	/* And a revert of that brings both of them again, the value and its specification. */
	(void)ops_do(fixture, decide_revert, &(struct revert_args){ .event = "HEAD" });
	ops_assert_value(fixture, "K", "5");
	(void)ops_do(fixture, decide_revert, &(struct revert_args){ .event = "HEAD" });
	ops_assert_value(fixture, "K", "words");
	(void)roll_back(fixture, number_set.last_seq);
	args.force = true;
	(void)ops_do(fixture, decide_rollback, &args);
	ops_assert_value(fixture, "K", "words");
	ops_assert_no_violations(fixture);
}

static void restores_one_key(void **state)
{
	struct ops_fixture *fixture = *state;
	struct restore_args args = { .key = slice_str("A"), .from = "HEAD~3" };
	uint64_t head;

	(void)ops_set(fixture, "A", "1");
	(void)ops_seal(fixture, "S", "hidden");
	(void)ops_set(fixture, "A", "2");
	(void)ops_seal(fixture, "S", "other");
	(void)ops_do(fixture, decide_restore, &args);
	ops_assert_value(fixture, "A", "1");
	ops_assert_value(fixture, "S", "other");
	args = (struct restore_args){ .key = slice_str("S"), .from = "HEAD~3" };
	(void)ops_do(fixture, decide_restore, &args);
	ops_assert_value(fixture, "S", "hidden");
	head = ops_head(fixture);
	args.from = "HEAD";
	assert_true(ops_do(fixture, decide_restore, &args).unchanged);
	args.from = "HEAD~6";
	ops_refused(fixture, decide_restore, &args, STATUS_NOT_FOUND, "was not set in");
	args.key = slice_str("not a key");
	ops_refused(fixture, decide_restore, &args, STATUS_USAGE, "not a variable's key");
	assert_int_equal(ops_head(fixture), head);
}

static enum status revert(struct ops_fixture *fixture, uint64_t seq, struct error *err)
{
	char text[32];
	struct revert_args args = { .event = number(text, seq) };
	struct outcome outcome;

	return ops_try(fixture, decide_revert, &args, &outcome, err);
}

static void a_revert_undoes_one_command(void **state)
{
	struct ops_fixture *fixture = *state;
	struct outcome first, second, made, switched, locked;
	struct environment_args lock = { .name = slice_str("testing") };
	struct error err = ERROR_INIT;

	first = ops_set(fixture, "A", "1");
	(void)ops_set(fixture, "B", "2");
	assert_int_equal(revert(fixture, first.last_seq, &err), STATUS_OK);
	ops_assert_value(fixture, "A", NULL);
	ops_assert_value(fixture, "B", "2");
	/* Once is enough. */
	assert_int_equal(revert(fixture, first.last_seq, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "'A' was changed again since"));
	second = ops_set(fixture, "B", "3");
	(void)ops_set(fixture, "B", "4");
	assert_int_equal(revert(fixture, second.last_seq, &err), STATUS_CONFLICT);
	assert_int_equal(revert(fixture, 1, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "the store's creation"));
	locked = ops_do(fixture, decide_environment_lock, &lock);
	assert_int_equal(revert(fixture, locked.last_seq, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "nothing that can be reverted"));
	made = ops_env(fixture, decide_environment_create, "extra");
	switched = ops_env(fixture, decide_environment_switch, "extra");
	assert_int_equal(revert(fixture, made.last_seq, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "the active one"));
	(void)ops_set(fixture, "A", "inside");
	assert_int_equal(revert(fixture, switched.last_seq, &err), STATUS_OK);
	assert_int_equal(revert(fixture, made.last_seq, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "'A' inside 'extra' was changed since"));
	ops_assert_no_violations(fixture);
}

static void a_revert_needs_what_it_puts_things_into(void **state)
{
	struct ops_fixture *fixture = *state;
	struct category_args category = { .name = slice_str("cat") };
	struct specification_args spec = { .key = slice_str("K") };
	struct outcome unspecified, made;
	struct error err = ERROR_INIT;

	made = ops_do(fixture, decide_category_set, &category);
	assert_int_equal(spec_set(fixture, "K", "int", "cat"), STATUS_OK);
	assert_int_equal(revert(fixture, made.last_seq, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "the specification of 'K' names"));
	unspecified = ops_do(fixture, decide_specification_remove, &spec);
	(void)ops_do(fixture, decide_category_remove, &category);
	assert_int_equal(revert(fixture, unspecified.last_seq, &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "the category 'cat' that this needs is gone"));
	ops_assert_no_violations(fixture);
}

/* --- by random histories ---------------------------------------------------------------------- */

enum { HISTORY_MAX = 400 };

struct history {
	struct ops_fixture *fixture;
	struct sample_random random;
	bool keys_may_change;       /* environments may be made */
	uint64_t last[HISTORY_MAX]; /* last event of each command */
	size_t count;
	uint64_t keyed_until; /* after this event no environment got a key */
};

static const char *const environment_names[] = { "development", "testing", "e1", "e2" };
static const char *const profile_names[] = { "default", "p1", "p2" };
static const char *const category_names[] = { "c1", "c2" };
static const char *const keys[] = { "A1", "A2", "A3", "B1", "B2" };
static const char *const secret_keys[] = { "A_SEALED", "B_SEALED" };
static const char *const values[] = { "1", "22", "words", "", "true" };
static const char *const types[] = { "int", "string", "bool" };

#define PICK(history, list) \
	(list)[sample_below(&(history)->random, sizeof(list) / sizeof((list)[0]))]

static enum status random_set(struct history *history, struct outcome *ret, struct error *err)
{
	struct assignment assignments[3];
	struct set_args args = { assignments, 0, SET_PLAIN };
	size_t first = sample_below(&history->random, 3);

	for (size_t i = first; i < 3; i++)
		assignments[args.count++] =
			(struct assignment){ .key = slice_str(keys[i + first]),
					     .value = slice_str(PICK(history, values)) };
	return ops_try(history->fixture, decide_set, &args, ret, err);
}

static enum status random_seal(struct history *history, struct outcome *ret, struct error *err)
{
	AUTO(secret_release) struct secret hidden = SECRET_INIT;
	struct ops_set set;

	assert_int_equal(secret_copy(&hidden, slice_str(PICK(history, values)), NULL), STATUS_OK);
	return ops_try(history->fixture, decide_set,
		       ops_set_args(&set, PICK(history, secret_keys), "", &hidden), ret, err);
}

static enum status random_unset(struct history *history, struct outcome *ret, struct error *err)
{
	struct slice key =
		slice_str(sample_below(&history->random, 4) ? PICK(history, keys)
							    : PICK(history, secret_keys));
	struct unset_args args = { &key, 1 };

	return ops_try(history->fixture, decide_unset, &args, ret, err);
}

static enum status random_environment(struct history *history, struct outcome *ret,
				      struct error *err)
{
	static const decide_fn decides[] = {
		decide_environment_switch,  decide_environment_switch, decide_environment_edit,
		decide_environment_protect, decide_environment_remove, decide_environment_create,
		decide_environment_clone,
	};
	size_t among = history->keys_may_change ? 7 : 5;
	struct environment_args args = {
		.name = slice_str(PICK(history, environment_names)),
		.new_name = slice_str(PICK(history, environment_names)),
		.title = PICK(history, values),
		.is_protected = sample_below(&history->random, 2),
	};

	return ops_try(history->fixture, decides[sample_below(&history->random, among)], &args, ret,
		       err);
}

static enum status random_profile(struct history *history, struct outcome *ret, struct error *err)
{
	static const decide_fn decides[] = { decide_profile_create, decide_profile_create,
					     decide_profile_switch, decide_profile_edit,
					     decide_profile_remove };
	struct profile_args args = {
		.name = slice_str(PICK(history, profile_names)),
		.description = PICK(history, values),
	};

	if (sample_below(&history->random, 2))
		args.from = slice_str(PICK(history, profile_names));
	return ops_try(history->fixture, PICK(history, decides), &args, ret, err);
}

static enum status random_catalogue(struct history *history, struct outcome *ret, struct error *err)
{
	struct category_args category = { .name = slice_str(PICK(history, category_names)),
					  .title = PICK(history, values) };
	struct specification_args spec = { .key = slice_str(PICK(history, keys)),
					   .type = PICK(history, types),
					   .category = sample_below(&history->random, 2)
							       ? PICK(history, category_names)
							       : NULL };

	switch (sample_below(&history->random, 5)) {
	case 0:
		return ops_try(history->fixture, decide_category_remove, &category, ret, err);
	case 1:
		return ops_try(history->fixture, decide_specification_remove, &spec, ret, err);
	case 2:
		return ops_try(history->fixture, decide_category_set, &category, ret, err);
	default:
		return ops_try(history->fixture, decide_specification_set, &spec, ret, err);
	}
}

static void remember(struct history *history, const struct outcome *outcome)
{
	if (outcome->unchanged)
		return;
	assert_true(history->count < HISTORY_MAX);
	history->last[history->count++] = outcome->last_seq;
	if (history->keys_may_change)
		history->keyed_until = outcome->last_seq;
}

/* One random command, which may be one that is refused. */
static void random_command(struct history *history)
{
	static enum status (*const commands[])(struct history *, struct outcome *,
					       struct error *) = {
		random_set,     random_set,       random_seal,      random_unset,
		random_profile, random_catalogue, random_catalogue, random_environment,
	};
	struct ops_fixture *fixture = history->fixture;
	uint64_t head = ops_head(fixture);
	struct outcome outcome;
	struct error err = ERROR_INIT;
	enum status status;

	if (sample_below(&history->random, 2))
		fixture->options.environment = PICK(history, environment_names);
	if (sample_below(&history->random, 3) == 0)
		fixture->options.profile = PICK(history, profile_names);
	status = PICK(history, commands)(history, &outcome, &err);
	fixture->options.environment = NULL;
	fixture->options.profile = NULL;
	if (status == STATUS_OK) {
		remember(history, &outcome);
		return;
	}
	if (status != STATUS_NOT_FOUND && status != STATUS_DENIED && status != STATUS_CONFLICT &&
	    status != STATUS_INVALID)
		fail_msg("%s: %s", status_name(status), err.text);
	assert_int_equal(ops_head(fixture), head);
}

static const char *const all_confirmed[] = { "development", "testing", "production", "e1", "e2" };

static void remember_set(struct history *history, const char *key, const char *value)
{
	struct outcome outcome = ops_set(history->fixture, key, value);

	remember(history, &outcome);
}

/*
 * Something for chance to work on, chance, and two commands at the end that leave nothing to it:
 * back to the first of them is always a rollback, and the second one can always be reverted.
 */
static void begin_history(struct history *history, struct ops_fixture *fixture)
{
	fixture->options.reason = "at random";
	fixture->options.confirmed = all_confirmed;
	fixture->options.confirmed_count = 5;
	*history = (struct history){ .fixture = fixture,
				     .random = sample_seed(),
				     .keys_may_change = true };
	(void)ops_env(fixture, decide_environment_create, "e1");
	fixture->options.environment = "e1";
	(void)ops_profile(fixture, decide_profile_create, "p1");
	for (size_t i = 0; i < 2; i++) {
		remember_set(history, "A1", "1");
		remember_set(history, "B1", "1");
		fixture->options.profile = "p1";
	}
	fixture->options.environment = NULL;
	fixture->options.profile = NULL;
	for (size_t i = 0; i < 30; i++)
		random_command(history);
	history->keys_may_change = false;
	for (size_t i = 0; i < 30; i++)
		random_command(history);
	remember_set(history, "A_LAST", "first");
	remember_set(history, "A_LAST", "second");
}

static uint64_t random_moment(struct history *history)
{
	return history->last[sample_below(&history->random, history->count)];
}

static void difference(struct session *session, uint64_t before, uint64_t after,
		       const struct diff_scope *scope, struct diff *ret)
{
	struct state_view left = session_view_at(session, before);
	struct state_view right = session_view_at(session, after);

	assert_int_equal(state_diff(session, &left, &right, scope, ret, NULL), STATUS_OK);
}

/* Every value can be read, sealed ones opened. */
static void assert_readable(struct session *session)
{
	struct environment *environments;
	size_t environment_count, profile_count, count;
	struct profile *profiles;
	struct variable_info *infos;

	assert_int_equal(
		state_environments(&session->view, &environments, &environment_count, NULL),
		STATUS_OK);
	for (size_t i = 0; i < environment_count; i++) {
		assert_int_equal(state_profiles(&session->view, environments[i].name, &profiles,
						&profile_count, NULL),
				 STATUS_OK);
		for (size_t j = 0; j < profile_count; j++) {
			session->environment = environments[i].name;
			session->profile = profiles[j].name;
			assert_int_equal(
				op_list(session, slice_str(""), true, &infos, &count, NULL),
				STATUS_OK);
			for (size_t k = 0; k < count; k++)
				variable_info_release(&infos[k]);
		}
	}
}

static void whole_store_rolls_back(void **state)
{
	struct history history;
	struct ops_fixture *fixture = *state;
	unsigned equal = 0;

	begin_history(&history, fixture);
	for (size_t i = 0; i < 18; i++) {
		uint64_t goal = i ? random_moment(&history) : history.last[history.count - 2];
		struct outcome outcome = roll_back(fixture, goal);
		struct state_view then;
		uint8_t hash_then[HASH_BYTES], hash_now[HASH_BYTES];
		struct session session;
		struct diff diff;

		remember(&history, &outcome);
		ops_open(fixture, SESSION_STATE, &session);
		difference(&session, goal, session.point.seq, &everything, &diff);
		assert_int_equal(diff.count, 0);
		then = session_view_at(&session, goal);
		assert_int_equal(state_hash(&then, hash_then, NULL), STATUS_OK);
		assert_int_equal(state_hash(&session.view, hash_now, NULL), STATUS_OK);
		if (goal >= history.keyed_until) {
			assert_memory_equal(hash_then, hash_now, HASH_BYTES);
			equal++;
		}
		assert_readable(&session);
		session_close(&session);
		random_command(&history);
	}
	assert_true(equal > 0);
	ops_assert_no_violations(fixture);
}

static bool within(const struct diff_entry *entry, const struct rollback_args *args)
{
	if (!slice_equal(entry->environment, args->environment))
		return false;
	if (args->profile.len && !slice_equal(entry->profile, args->profile))
		return false;
	return !args->only.len ||
	       (entry->kind == PLAN_VARIABLE && text_glob_match(args->only, entry->key));
}

/* Equal to then inside the scope, to before outside it. */
static void check_scoped(struct ops_fixture *fixture, const struct rollback_args *args,
			 uint64_t before, uint64_t goal)
{
	struct diff_scope scope = { args->environment, args->profile, args->only };
	struct session session;
	struct diff diff;

	ops_open(fixture, SESSION_STATE, &session);
	difference(&session, goal, session.point.seq, &scope, &diff);
	assert_int_equal(diff.count, 0);
	difference(&session, before, session.point.seq, &everything, &diff);
	for (size_t i = 0; i < diff.count; i++)
		assert_true(within(&diff.entries[i], args));
	session_close(&session);
}

/* Is there a rollback within the scope to @goal? */
static bool roll_back_scope(struct history *history, struct rollback_args args, uint64_t goal)
{
	struct ops_fixture *fixture = history->fixture;
	uint64_t before = ops_head(fixture);
	struct error err = ERROR_INIT;
	struct outcome outcome;
	enum status status;
	char text[32];

	args.to = number(text, goal);
	status = ops_try(fixture, decide_rollback, &args, &outcome, &err);
	if (status == STATUS_OK) {
		remember(history, &outcome);
		check_scoped(fixture, &args, before, goal);
		return !outcome.unchanged;
	}
	if (status != STATUS_NOT_FOUND && status != STATUS_DENIED && status != STATUS_CONFLICT &&
	    (status != STATUS_INVALID || args.force))
		fail_msg("%s: %s", status_name(status), err.text);
	assert_int_equal(ops_head(fixture), before);
	return false;
}

static void a_scope_rolls_back_alone(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args last = { .force = false };
	struct history history;
	struct session session;
	char name[NAME_BYTES_MAX + 1];

	begin_history(&history, fixture);
	ops_open(fixture, SESSION_PROFILE, &session);
	(void)snprintf(name, sizeof(name), SLICE_FMT, SLICE_ARG(session.environment));
	session_close(&session);
	last.environment = slice_str(name);
	assert_true(roll_back_scope(&history, last, history.last[history.count - 2]));
	for (size_t i = 0; i < 25; i++) {
		struct rollback_args args = {
			.environment = slice_str(PICK(&history, environment_names)),
			.force = sample_below(&history.random, 2),
		};

		if (sample_below(&history.random, 2))
			args.profile = slice_str(PICK(&history, profile_names));
		if (sample_below(&history.random, 3) == 0)
			args.only = slice_str("A*");
		(void)roll_back_scope(&history, args, random_moment(&history));
		random_command(&history);
	}
	ops_assert_no_violations(fixture);
}

/* What command @seq changed is as before it, and nothing else changed. */
static void check_reverted(struct ops_fixture *fixture, uint64_t seq, uint64_t before)
{
	struct diff done, left, moved;
	struct session session;
	uint64_t first, last;

	ops_open(fixture, SESSION_STATE, &session);
	assert_int_equal(ref_command_range(session.log, seq, &first, &last, NULL), STATUS_OK);
	difference(&session, first - 1, last, &everything, &done);
	difference(&session, first - 1, session.point.seq, &everything, &left);
	difference(&session, before, session.point.seq, &everything, &moved);
	for (size_t i = 0; i < done.count; i++)
		assert_null(diff_find(&left, &done.entries[i]));
	for (size_t i = 0; i < moved.count; i++)
		assert_non_null(diff_find(&done, &moved.entries[i]));
	session_close(&session);
}

static void each_command_is_reverted_or_refused(void **state)
{
	struct ops_fixture *fixture = *state;
	struct history history;
	unsigned reverted = 0;

	begin_history(&history, fixture);
	for (size_t i = history.count; i-- > 0;) {
		uint64_t before = ops_head(fixture);
		struct error err = ERROR_INIT;
		enum status status = revert(fixture, history.last[i], &err);

		if (status == STATUS_OK) {
			check_reverted(fixture, history.last[i], before);
			reverted++;
		} else if (status == STATUS_CONFLICT || status == STATUS_DENIED ||
			   status == STATUS_INVALID) {
			assert_int_equal(ops_head(fixture), before);
		} else {
			fail_msg("%s: %s", status_name(status), err.text);
		}
		/* Every other time by itself, so that not all that is older is undone already. */
		if (status == STATUS_OK && i % 2)
			(void)roll_back(fixture, before);
	}
	assert_true(reverted > 0);
	ops_assert_no_violations(fixture);
}

static int setup_with_databases(void **state)
{
	return ops_setup_with(
		state, "{\"environments\": [{\"name\": \"development\"}, {\"name\": \"testing\"}],"
		       "\"databases\": [{\"name\": \"settings\", \"path\": \"s.sqlite3\"}]}");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
#define RANDOM(function) \
	cmocka_unit_test_setup_teardown(function, setup_with_databases, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_rollback_says_what_it_did),
		TEST(locks_and_keys_stay),
		TEST(a_scope_must_have_been),
		TEST(old_values_must_fit_specifications),
		TEST(restores_one_key),
		TEST(a_revert_undoes_one_command),
		TEST(a_revert_needs_what_it_puts_things_into),
		RANDOM(whole_store_rolls_back),
		RANDOM(a_scope_rolls_back_alone),
		RANDOM(each_command_is_reverted_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
