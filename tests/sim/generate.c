/*
 * Random operations; see generate.h.
 */
#include "sim/generate.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "sim/model.h"
#include "sim/operation.h"
#include "sim/run.h"

#include "base/banned.h"

static const char *const environments[] = { "development", "testing", "production", "e1", "e2" };
static const char *const profiles[] = { "default", "p1", "p2" };
static const char *const keys[] = { "A", "B", "C", "D", "E", "F" };
static const char *const categories[] = { "c1", "c2" };
static const char *const databases[] = { "d1", "d2" };

#define COUNT(array)         (sizeof(array) / sizeof((array)[0]))
#define PICK(run, array, to) pick(run, array, COUNT(array), to)

static void pick(struct run *run, const char *const *names, size_t count, char to[SIM_NAME])
{
	(void)snprintf(to, SIM_NAME, "%s", names[run_random(run, count)]);
}

/* How often each kind of operation is tried, in some fifteen hundred. */
static const struct {
	enum operation_kind kind;
	unsigned weight;
} weights[] = {
	{ OP_SET, 270 },
	{ OP_UNSET, 50 },
	{ OP_ENVIRONMENT_CREATE, 20 },
	{ OP_ENVIRONMENT_EDIT, 15 },
	{ OP_ENVIRONMENT_PROTECT, 15 },
	{ OP_ENVIRONMENT_REMOVE, 15 },
	{ OP_ENVIRONMENT_SWITCH, 25 },
	{ OP_ENVIRONMENT_LOCK, 8 },
	{ OP_ENVIRONMENT_UNLOCK, 15 },
	{ OP_ENVIRONMENT_CLONE, 8 },
	{ OP_PROFILE_CREATE, 35 },
	{ OP_PROFILE_EDIT, 15 },
	{ OP_PROFILE_REMOVE, 20 },
	{ OP_PROFILE_SWITCH, 25 },
	{ OP_CATEGORY_SET, 15 },
	{ OP_CATEGORY_REMOVE, 10 },
	{ OP_SPECIFICATION_SET, 20 },
	{ OP_SPECIFICATION_REMOVE, 12 },
	{ OP_ROLLBACK, 45 },
	{ OP_RESTORE, 30 },
	{ OP_REVERT, 30 },
	{ OP_BASE, 25 },
	{ OP_ATTACH, 15 },
	{ OP_DETACH, 8 },
	{ OP_BROKEN, 5 },
	{ OP_GET, 600 },
	{ OP_LIST, 60 },
	{ OP_STALE_APPEND, 12 },
};

static enum operation_kind pick_kind(struct run *run)
{
	uint64_t all = 0, drawn;
	size_t i = 0;

	for (size_t j = 0; j < COUNT(weights); j++)
		all += weights[j].weight;
	for (drawn = run_random(run, all); drawn >= weights[i].weight; i++)
		drawn -= weights[i].weight;
	return weights[i].kind;
}

/* Different keys, with values that are ints now and then. */
static void pick_variables(struct run *run, struct operation *op)
{
	size_t first = run_random(run, COUNT(keys));

	op->count = run_chance(run, 25) ? 1 + run_random(run, SIM_KEYS) : 1;
	for (size_t i = 0; i < op->count; i++) {
		(void)snprintf(op->keys[i], SIM_NAME, "%s", keys[(first + i) % COUNT(keys)]);
		(void)snprintf(op->values[i], SIM_NAME, run_chance(run, 50) ? "%u" : "v%u",
			       (unsigned)run_random(run, run_chance(run, 50) ? 4 : 1000));
	}
	op->secret = run_chance(run, 8);
}

/* One of the entries of a kind that stand, or none. */
static const struct model_entry *pick_entry(struct run *run, const struct model_state *state,
					    enum model_kind kind)
{
	size_t first = run_random(run, state->count);

	for (size_t i = 0; i < state->count; i++) {
		const struct model_entry *entry = &state->entries[(first + i) % state->count];

		if (entry->kind == kind)
			return entry;
	}
	return NULL;
}

/* Mostly something that is set. */
static void about_unset(struct run *run, const struct model *model, struct operation *op)
{
	const struct model_entry *entry = pick_entry(run, &model->now, MODEL_VARIABLE);

	if (!entry || run_chance(run, 15))
		return;
	op->count = 1;
	memcpy(op->environment, entry->environment, SIM_NAME);
	memcpy(op->profile, entry->profile, SIM_NAME);
	memcpy(op->keys[0], entry->name, SIM_NAME);
}

/* Mostly one of the names that is free. */
static void pick_free(struct run *run, const struct model *model, char to[SIM_NAME])
{
	for (int i = 0; i < 4; i++) {
		PICK(run, environments, to);
		if (!model_find(&model->now, MODEL_ENVIRONMENT, "", "", to))
			return;
	}
}

static void pick_title(struct run *run, struct operation *op)
{
	if (run_chance(run, 70))
		(void)snprintf(op->title, SIM_NAME, "title %u", (unsigned)run_random(run, 4));
}

/* -e and -p: mostly the active ones, or a pair that there is. */
static void pick_place(struct run *run, const struct model_state *state, struct operation *op)
{
	const struct model_entry *profile = pick_entry(run, state, MODEL_PROFILE);
	uint64_t how = run_random(run, 100);

	if (how < 40)
		return;
	if (how < 97 && profile) {
		memcpy(op->environment, profile->environment, SIM_NAME);
		if (how < 75)
			memcpy(op->profile, profile->name, SIM_NAME);
		return;
	}
	PICK(run, environments, op->environment);
	if (how < 99)
		PICK(run, profiles, op->profile);
}

static void about_profile(struct run *run, const struct model *model, struct operation *op)
{
	const struct model_entry *entry = pick_entry(run, &model->now, MODEL_PROFILE);

	PICK(run, profiles, op->name);
	pick_title(run, op);
	if (entry && run_chance(run, 70) && op->kind != OP_PROFILE_CREATE) {
		memcpy(op->environment, entry->environment, SIM_NAME);
		memcpy(op->name, entry->name, SIM_NAME);
	}
	if (op->kind == OP_PROFILE_CREATE && run_chance(run, 50))
		PICK(run, profiles, op->other);
	if (op->kind == OP_BASE) {
		if (!*op->environment)
			PICK(run, environments, op->environment);
		op->profile[0] = '\0';
		if (run_chance(run, 75))
			PICK(run, profiles, op->other);
	}
}

static void about_environment(struct run *run, const struct model *model, struct operation *op)
{
	const struct model_entry *entry =
		pick_entry(run, &model->now,
			   op->kind == OP_ENVIRONMENT_UNLOCK ? MODEL_LOCK : MODEL_ENVIRONMENT);

	PICK(run, environments, op->name);
	pick_free(run, model, op->other);
	if (op->kind == OP_ENVIRONMENT_CREATE)
		memcpy(op->name, op->other, SIM_NAME);
	else if (entry && run_chance(run, 85))
		memcpy(op->name, entry->kind == MODEL_LOCK ? entry->environment : entry->name,
		       SIM_NAME);
	pick_title(run, op);
	op->flag = run_chance(run, 30);
	if (op->kind == OP_ENVIRONMENT_LOCK && run_chance(run, 80))
		op->number = 1 + run_random(run, 60000);
}

static void about_catalogue(struct run *run, struct operation *op)
{
	if (op->kind == OP_CATEGORY_SET || op->kind == OP_CATEGORY_REMOVE) {
		PICK(run, categories, op->name);
		pick_title(run, op);
	} else {
		PICK(run, keys, op->name);
		op->number = run_chance(run, 30);
		op->secret = run_chance(run, 10);
		if (run_chance(run, 50))
			PICK(run, categories, op->other);
		if (run_chance(run, 30))
			(void)snprintf(op->values[0], SIM_NAME, "%u", (unsigned)run_random(run, 9));
	}
	op->flag = run_chance(run, 30);
}

static void about_database(struct run *run, const struct model *model, struct operation *op)
{
	const struct model_entry *entry = pick_entry(
		run, &model->now, op->kind == OP_ATTACH ? MODEL_PROFILE : MODEL_DATABASE);

	PICK(run, environments, op->environment);
	PICK(run, profiles, op->profile);
	PICK(run, databases, op->name);
	(void)snprintf(op->values[0], SIM_NAME, "file %u", (unsigned)run_random(run, 9));
	if (!entry || run_chance(run, 15))
		return;
	memcpy(op->environment, entry->environment, SIM_NAME);
	memcpy(op->profile, op->kind == OP_ATTACH ? entry->name : entry->profile, SIM_NAME);
	if (op->kind == OP_DETACH)
		memcpy(op->name, entry->name, SIM_NAME);
}

/* The past: near as often as far. */
static uint64_t pick_target(struct run *run, uint64_t size)
{
	uint64_t back = run_chance(run, 60) ? 12 : size;

	back = run_random(run, back < size ? back : size);
	return size - back;
}

static void about_past(struct run *run, struct operation *op)
{
	op->flag = run_chance(run, 60);
	op->count = 1;
	PICK(run, keys, op->keys[0]);
	if (op->kind != OP_ROLLBACK)
		return;
	if (run_chance(run, 75))
		op->count = 0;
	if (run_chance(run, 35)) {
		op->environment[0] = '\0';
		op->profile[0] = '\0';
		return;
	}
	if (!*op->environment)
		PICK(run, environments, op->environment);
	if (run_chance(run, 60))
		op->profile[0] = '\0';
}

void generate_operation(struct run *run, const struct model *model, uint64_t size,
			struct operation *ret)
{
	uint8_t id[16];

	memset(ret, 0, sizeof(*ret));
	ret->kind = pick_kind(run);
	rng_uuid7(run->now_ms, id);
	text_to_hex(id, sizeof(id), ret->command_id);
	ret->reason = run_chance(run, 95);
	ret->confirm = run_chance(run, 95);
	if (run_chance(run, 15))
		ret->head = run_chance(run, 80) ? HEAD_RIGHT : HEAD_WRONG;
	ret->target = pick_target(run, size);
	pick_place(run, &model->now, ret);
	pick_variables(run, ret);
	if (ret->kind == OP_UNSET)
		about_unset(run, model, ret);
	if (ret->kind == OP_SET || ret->kind == OP_UNSET || ret->kind >= OP_WRITES)
		return;
	memset(ret->keys, 0, sizeof(ret->keys));
	memset(ret->values, 0, sizeof(ret->values));
	ret->count = 0;
	ret->secret = false;
	if (ret->kind == OP_ROLLBACK || ret->kind == OP_RESTORE || ret->kind == OP_REVERT)
		about_past(run, ret);
	else if (ret->kind == OP_ATTACH || ret->kind == OP_DETACH)
		about_database(run, model, ret);
	else if (ret->kind == OP_BASE ||
		 (ret->kind >= OP_PROFILE_CREATE && ret->kind <= OP_PROFILE_SWITCH))
		about_profile(run, model, ret);
	else if (ret->kind <= OP_ENVIRONMENT_CLONE)
		about_environment(run, model, ret);
	else
		about_catalogue(run, ret);
}
