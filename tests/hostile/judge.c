/*
 * What must hold of a store whatever was done to one of its files; see hostile.h.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "hostile/hostile.h"
#include "rig/rig.h"

#include "base/banned.h"

enum { EXIT_CORRUPT = 9, EXIT_WRONG_KEY = 12, ARGUMENTS_MAX = 8 };

/* Run a command line of the program and check what holds of any: no signal, no hang, bounded. */
static bool run(struct world *world, const char *const *argv, const char *what, struct outcome *ret)
{
	rig_fork(world->rig, argv, ret);
	return rig_check(world->rig, ret->code < RIG_CODE_SIGNAL, world->root,
			 "%s: %s ended with %d", what, argv[1], ret->code) &&
	       rig_check(world->rig, ret->rss_kib <= RIG_MEMORY_KIB, world->root,
			 "%s: %s took %ld KiB", what, argv[1], ret->rss_kib);
}

static enum verdict wrong(struct world *world, const struct outcome *outcome, const char *command,
			  const char *what)
{
	(void)rig_check(world->rig, false, world->root, "%s: %s: exit %d\n%s%s", what, command,
			outcome->code, buf_str(&outcome->out), buf_str(&outcome->err));
	return VERDICT_WRONG;
}

static bool says(const struct buf *out, const char *text)
{
	return strcmp(buf_str(out), text) == 0;
}

/* `get KEY` may fail, but never say another value. */
static bool get_is_right(struct world *world, const char *key, const char *value, const char *what)
{
	const char *argv[] = { "provenv", "get", key, "--reveal", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome))
		return false;
	if (outcome.code == 0 ? says(&outcome.out, value) : outcome.code == EXIT_CORRUPT)
		return true;
	(void)wrong(world, &outcome, "get", what);
	return false;
}

/* The members of `verify --json` that a verdict is made of. */
struct verified {
	bool integrity;
	bool completeness;
	uint64_t events;
	uint64_t first_bad;
	bool root; /* it is the right one */
};

static bool read_verified(const struct world *world, const struct buf *out, struct verified *ret)
{
	json_t *json = json_loadb((const char *)out->data, out->len, 0, NULL);
	const char *integrity = json_string_value(json_object_get(json, "integrity"));
	const char *completeness = json_string_value(json_object_get(json, "completeness"));
	const char *root = json_string_value(json_object_get(json, "root"));

	*ret = (struct verified){
		.integrity = integrity && strcmp(integrity, "ok") == 0,
		.completeness = completeness && strcmp(completeness, "failed") != 0,
		.events = (uint64_t)json_integer_value(json_object_get(json, "events")),
		.first_bad = (uint64_t)json_integer_value(json_object_get(json, "first_bad")),
		.root = root && strcmp(root, world->root_hex) == 0,
	};
	json_decref(json);
	return integrity && completeness;
}

static enum verdict judge_verify(struct world *world, uint64_t seq, const char *what)
{
	const char *argv[] = { "provenv", "verify", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };
	struct verified verified;
	bool told;

	if (!run(world, argv, what, &outcome))
		return VERDICT_WRONG;
	told = read_verified(world, &outcome.out, &verified);
	if (outcome.code == 0 && seq == 0 && told && verified.integrity && verified.completeness &&
	    verified.events == world->events && verified.root)
		return VERDICT_UNHARMED;
	/* Where the log cannot be opened at all there is only the error. */
	if (outcome.code != EXIT_CORRUPT || (!told && (seq || outcome.err.len == 0)) ||
	    (told && verified.integrity && verified.completeness) ||
	    (seq && verified.first_bad != seq))
		return wrong(world, &outcome, "verify", what);
	return VERDICT_FOUND;
}

enum verdict judge_log(struct world *world, uint64_t seq, const char *what)
{
	enum verdict verdict = judge_verify(world, seq, what);

	if (verdict == VERDICT_WRONG || !get_is_right(world, "A", "3\n", what))
		return VERDICT_WRONG;
	return verdict;
}

enum verdict judge_loss(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "verify", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome))
		return VERDICT_WRONG;
	if (outcome.code != EXIT_CORRUPT)
		return wrong(world, &outcome, "verify", what);
	return get_is_right(world, "A", "3\n", what) ? VERDICT_FOUND : VERDICT_WRONG;
}

enum verdict judge_evidence(struct world *world, const char *what)
{
	return judge_verify(world, 0, what);
}

/* Nothing was appended, or what was is sound. */
static bool log_is_sound(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "verify", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome))
		return false;
	if (outcome.code == 0)
		return true;
	(void)wrong(world, &outcome, "verify", what);
	return false;
}

enum verdict judge_key(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "set", "NEXT=1", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome) || !log_is_sound(world, what))
		return VERDICT_WRONG;
	if (outcome.code == 0)
		return VERDICT_UNHARMED;
	return outcome.code == EXIT_WRONG_KEY ? VERDICT_FOUND : wrong(world, &outcome, "set", what);
}

enum verdict judge_log_key(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "checkpoint", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };
	AUTO(outcome_release) struct outcome checked = { .code = 0 };
	AUTO_FREE char *note = rig_text("%s/note", world->root);
	const char *since[] = { "provenv", "verify", "--since", note, NULL };

	if (!run(world, argv, what, &outcome))
		return VERDICT_WRONG;
	if (outcome.code == EXIT_WRONG_KEY)
		return VERDICT_FOUND;
	if (outcome.code != 0)
		return wrong(world, &outcome, "checkpoint", what);
	rig_write(note, buf_slice(&outcome.out));
	if (!run(world, since, what, &checked))
		return VERDICT_WRONG;
	return checked.code == 0 ? VERDICT_UNHARMED
				 : wrong(world, &checked, "verify --since", what);
}

enum verdict judge_vault(struct world *world, const char *what)
{
	const char *get[] = { "provenv", "get", "TOKEN", "--reveal", NULL };
	const char *deep[] = { "provenv", "verify", "--deep", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };
	AUTO(outcome_release) struct outcome checked = { .code = 0 };
	bool opened;

	if (!run(world, get, what, &outcome) || !run(world, deep, what, &checked))
		return VERDICT_WRONG;
	opened = outcome.code == 0 && says(&outcome.out, "s3cret\n");
	if (!opened && ((outcome.code != EXIT_CORRUPT && outcome.code != EXIT_WRONG_KEY) ||
			outcome.out.len > 0))
		return wrong(world, &outcome, "get", what);
	if (checked.code != (opened ? 0 : outcome.code))
		return wrong(world, &checked, "verify --deep", what);
	return opened ? VERDICT_UNHARMED : VERDICT_FOUND;
}

static enum verdict compare_list(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "ls", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome))
		return VERDICT_WRONG;
	if (outcome.code || outcome.out.len != world->list.len ||
	    memcmp(outcome.out.data, world->list.data, world->list.len) != 0)
		return wrong(world, &outcome, "ls", what);
	return outcome.err.len ? VERDICT_FOUND : VERDICT_UNHARMED;
}

static bool state_hash_is_right(struct world *world, const char *what)
{
	const char *argv[] = { "provenv", "status", "--json", NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (!run(world, argv, what, &outcome))
		return false;
	if (outcome.code == 0 && strstr(buf_str(&outcome.out), world->state_hash))
		return true;
	(void)wrong(world, &outcome, "status", what);
	return false;
}

enum verdict judge_state(struct world *world, const char *what)
{
	enum verdict verdict = compare_list(world, what);

	if (verdict == VERDICT_WRONG || !get_is_right(world, "A", "3\n", what) ||
	    !state_hash_is_right(world, what))
		return VERDICT_WRONG;
	return verdict;
}
