/*
 * Bringing the past back: rollback, restore, revert. All three are the same here: a list of what
 * differs, put into the state of now, unless that would make no sense or stand against a
 * specification. See model.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sim/model.h"
#include "sim/operation.h"

#include "base/banned.h"

/* What to look at; "" is everything. */
struct scope {
	const char *environment;
	const char *profile;
	const char *only;
};

struct change {
	const struct model_entry *before; /* NULL: it was not there */
	const struct model_entry *after;
};

struct changes {
	size_t count;
	struct change items[2 * MODEL_ENTRIES];
};

static const struct scope everything = { "", "", "" };

/* --- differences ------------------------------------------------------------------------------ */

static bool is(const char *wanted, const char *name)
{
	return !*wanted || strcmp(wanted, name) == 0;
}

static bool in_scope(const struct scope *scope, const struct model_entry *entry)
{
	bool all = !*scope->environment;

	if (*scope->only && entry->kind != MODEL_VARIABLE)
		return false;
	switch (entry->kind) {
	case MODEL_VARIABLE:
	case MODEL_DATABASE:
		return is(scope->environment, entry->environment) &&
		       is(scope->profile, entry->profile) && is(scope->only, entry->name);
	case MODEL_PROFILE:
		return is(scope->environment, entry->environment) &&
		       is(scope->profile, entry->name);
	case MODEL_ENVIRONMENT:
		return is(scope->environment, entry->name) && !*scope->profile;
	case MODEL_ACTIVE:
		return *entry->environment
			       ? is(scope->environment, entry->environment) && !*scope->profile
			       : all;
	case MODEL_CATEGORY:
	case MODEL_SPECIFICATION:
		return all;
	case MODEL_KEY:
	case MODEL_LOCK:
	case MODEL_VIOLATION:
	default:
		return false;
	}
}

static const struct model_entry *counterpart(const struct model_state *state,
					     const struct model_entry *entry)
{
	return model_find(state, entry->kind, entry->environment, entry->profile, entry->name);
}

/* What is active in an environment is part of it: said alone only where it is on both sides. */
static bool comes_with_environment(const struct model_state *a, const struct model_state *b,
				   const struct model_entry *entry)
{
	return entry->kind == MODEL_ACTIVE && *entry->environment &&
	       (!model_find(a, MODEL_ENVIRONMENT, "", "", entry->environment) ||
		!model_find(b, MODEL_ENVIRONMENT, "", "", entry->environment));
}

static void differences(const struct model_state *before, const struct model_state *after,
			const struct scope *scope, struct changes *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < before->count; i++) {
		const struct model_entry *was = &before->entries[i];
		const struct model_entry *then = counterpart(after, was);

		if (in_scope(scope, was) && !(then && model_same(was, then)) &&
		    !comes_with_environment(before, after, was))
			ret->items[ret->count++] = (struct change){ was, then };
	}
	for (size_t i = 0; i < after->count; i++) {
		const struct model_entry *then = &after->entries[i];

		if (in_scope(scope, then) && !counterpart(before, then) &&
		    !comes_with_environment(before, after, then))
			ret->items[ret->count++] = (struct change){ NULL, then };
	}
}

/* --- putting them in -------------------------------------------------------------------------- */

static void carry_out(const struct changes *changes, const struct model_state *goal,
		      struct model_state *state)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct model_entry *was = changes->items[i].before;
		const struct model_entry *then = changes->items[i].after;
		const struct model_entry *active;

		if (then)
			model_put(state, then);
		else
			model_drop(state, was->kind, was->environment, was->profile, was->name);
		if ((was && was->kind != MODEL_ENVIRONMENT) ||
		    (then && then->kind != MODEL_ENVIRONMENT))
			continue;
		active = then ? model_find(goal, MODEL_ACTIVE, then->name, "", "") : NULL;
		if (active && !was)
			model_put(state, active);
		if (!then) {
			model_drop(state, MODEL_ACTIVE, was->name, NULL, NULL);
			model_drop(state, MODEL_LOCK, was->name, NULL, NULL);
		}
	}
}

static bool stands(const struct model_state *state, const char *environment, const char *profile)
{
	return model_find(state, MODEL_ENVIRONMENT, "", "", environment) &&
	       (!*profile || model_find(state, MODEL_PROFILE, environment, "", profile));
}

/* Does following bases from @name lead back to it? */
static bool is_circle(const struct model_state *state, const char *environment, const char *name)
{
	const struct model_entry *at = model_find(state, MODEL_PROFILE, environment, "", name);

	for (size_t steps = 0; at && *at->extra && steps < MODEL_ENTRIES; steps++) {
		if (strcmp(at->extra, name) == 0)
			return true;
		at = model_find(state, MODEL_PROFILE, environment, "", at->extra);
	}
	return false;
}

/* Would what is put find what it needs? */
static bool finds_its_place(const struct model_state *state, const struct model_entry *entry)
{
	switch ((int)entry->kind) {
	case MODEL_PROFILE:
		return stands(state, entry->environment, entry->extra) &&
		       !is_circle(state, entry->environment, entry->name);
	case MODEL_VARIABLE:
	case MODEL_DATABASE:
		return stands(state, entry->environment, entry->profile);
	case MODEL_ACTIVE:
		return *entry->environment ? stands(state, entry->environment, entry->value)
					   : stands(state, entry->value, "");
	case MODEL_SPECIFICATION:
		return !*entry->extra || model_find(state, MODEL_CATEGORY, "", "", entry->extra);
	default:
		return true;
	}
}

static bool is_named(const struct model_state *state, enum model_kind kind, const char *environment,
		     const char *name)
{
	for (size_t i = 0; i < state->count; i++) {
		if (state->entries[i].kind == kind &&
		    strcmp(state->entries[i].environment, environment) == 0 &&
		    strcmp(state->entries[i].extra, name) == 0)
			return true;
	}
	return false;
}

/* Would what is taken away be missed? */
static bool is_missed(const struct model_state *state, const struct model_entry *entry)
{
	const struct model_entry *active;

	if (entry->kind == MODEL_CATEGORY)
		return is_named(state, MODEL_SPECIFICATION, "", entry->name);
	if (entry->kind == MODEL_PROFILE && !stands(state, entry->environment, ""))
		return false;
	if (entry->kind == MODEL_PROFILE &&
	    is_named(state, MODEL_PROFILE, entry->environment, entry->name))
		return true;
	if (entry->kind != MODEL_ENVIRONMENT && entry->kind != MODEL_PROFILE)
		return false;
	active = model_find(state, MODEL_ACTIVE, entry->environment, "", "");
	return active && strcmp(active->value, entry->name) == 0;
}

static unsigned infeasible(const struct changes *changes, const struct model_state *state)
{
	unsigned refused = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->items[i];

		if (change->after && !finds_its_place(state, change->after))
			refused |= model_bit(STATUS_CONFLICT);
		if (!change->after && is_missed(state, change->before))
			refused |= model_bit(STATUS_DENIED);
	}
	return refused;
}

static bool values_fit(const struct changes *changes, const struct model_state *state)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct model_entry *then = changes->items[i].after;

		if (then && then->kind == MODEL_VARIABLE && model_value(state, then))
			return false;
	}
	return true;
}

/* --- whose protection counts ------------------------------------------------------------------ */

static bool was_protected(const struct changes *changes, const char *name)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct model_entry *then = changes->items[i].after;

		if (then && then->kind == MODEL_ENVIRONMENT && strcmp(then->name, name) == 0)
			return then->flag;
	}
	return false;
}

/* A profile that comes with its environment, and has nothing more to it: no event speaks of it. */
static bool comes_bare(const struct changes *changes, const struct model_state *goal,
		       const struct model_entry *profile)
{
	const struct model_entry *active =
		model_find(goal, MODEL_ACTIVE, profile->environment, "", "");

	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->items[i];

		if (!change->before && change->after->kind == MODEL_ENVIRONMENT &&
		    strcmp(change->after->name, profile->environment) == 0)
			return active && strcmp(active->value, profile->name) == 0 &&
			       !*profile->value && !*profile->extra;
	}
	return false;
}

static void touch(const struct changes *changes, const struct model_state *goal,
		  const struct change *change, struct touched *touched)
{
	const struct model_entry *entry = change->after ? change->after : change->before;
	const char *name = entry->environment;

	if (entry->kind == MODEL_ENVIRONMENT && !change->before)
		return;
	if (entry->kind == MODEL_PROFILE && !change->before && comes_bare(changes, goal, entry))
		return;
	if (entry->kind == MODEL_ENVIRONMENT)
		name = entry->name;
	if (entry->kind == MODEL_ACTIVE && !*entry->environment)
		name = entry->value;
	if (*name)
		model_touch(touched, name, was_protected(changes, name));
}

/* --- the three -------------------------------------------------------------------------------- */

static unsigned bring(const struct changes *changes, const struct model_state *goal,
		      bool check_values, struct model_state *after, struct touched *touched)
{
	unsigned refused;

	carry_out(changes, goal, after);
	refused = infeasible(changes, after);
	if (!refused && check_values && !values_fit(changes, after))
		refused = model_bit(STATUS_INVALID);
	for (size_t i = 0; i < changes->count; i++)
		touch(changes, goal, &changes->items[i], touched);
	return refused ? refused : model_bit(STATUS_OK);
}

static unsigned roll_back(const struct model *model, const struct operation *op,
			  struct changes *changes, struct model_state *after,
			  struct touched *touched, bool *ret_changed)
{
	const struct model_state *goal = model_past(model, op->target)->state;
	struct scope scope = { op->environment, op->profile, op->count ? op->keys[0] : "" };
	bool scoped = *scope.environment || *scope.only;

	if (*scope.environment && !stands(goal, scope.environment, "") &&
	    !stands(&model->now, scope.environment, ""))
		return model_bit(STATUS_NOT_FOUND);
	if (*scope.profile &&
	    !model_find(goal, MODEL_PROFILE, scope.environment, "", scope.profile) &&
	    !model_find(&model->now, MODEL_PROFILE, scope.environment, "", scope.profile))
		return model_bit(STATUS_NOT_FOUND);
	differences(&model->now, goal, &scope, changes);
	*ret_changed = changes->count > 0;
	return bring(changes, goal, scoped && !op->flag, after, touched);
}

static unsigned restore(const struct model *model, const struct operation *op,
			struct changes *changes, struct model_state *after, struct touched *touched,
			bool *ret_changed)
{
	const struct model_state *goal = model_past(model, op->target)->state;
	char environment[SIM_NAME], profile[SIM_NAME];
	struct scope scope = { environment, profile, op->keys[0] };

	if (!model_choose(&model->now, op, environment, profile) ||
	    !model_find(goal, MODEL_VARIABLE, environment, profile, op->keys[0]))
		return model_bit(STATUS_NOT_FOUND);
	differences(&model->now, goal, &scope, changes);
	*ret_changed = changes->count > 0;
	return bring(changes, goal, true, after, touched);
}

static bool changed_since(const struct changes *since, const struct change *done)
{
	const struct model_entry *a = done->after ? done->after : done->before;

	for (size_t i = 0; i < since->count; i++) {
		const struct change *change = &since->items[i];
		const struct model_entry *b = change->after ? change->after : change->before;

		if (a->kind == b->kind && strcmp(a->environment, b->environment) == 0 &&
		    strcmp(a->profile, b->profile) == 0 && strcmp(a->name, b->name) == 0)
			return true;
	}
	return false;
}

/* Something new inside what the command made, and would go with it. */
static bool lived_in_since(const struct changes *since, const struct change *done)
{
	const struct model_entry *made = done->after;

	if (done->before || (made->kind != MODEL_ENVIRONMENT && made->kind != MODEL_PROFILE))
		return false;
	for (size_t i = 0; i < since->count; i++) {
		const struct change *change = &since->items[i];
		const struct model_entry *b = change->after ? change->after : change->before;

		if (made->kind == MODEL_ENVIRONMENT &&
		    (strcmp(b->environment, made->name) == 0 ||
		     (b->kind == MODEL_ENVIRONMENT && strcmp(b->name, made->name) == 0)))
			return true;
		if (made->kind == MODEL_PROFILE && strcmp(b->environment, made->environment) == 0 &&
		    strcmp(b->kind == MODEL_PROFILE ? b->name : b->profile, made->name) == 0)
			return true;
	}
	return false;
}

static unsigned revert(const struct model *model, const struct operation *op, struct changes *done,
		       struct model_state *after, struct touched *touched)
{
	static struct changes since; /* large, and of no interest later */
	const struct model_past *made = model_past(model, op->target);

	if (made == model->pasts)
		return model_bit(STATUS_DENIED);
	differences(made[-1].state, made->state, &everything, done);
	if (done->count == 0)
		return model_bit(STATUS_DENIED);
	differences(made->state, &model->now, &everything, &since);
	for (size_t i = 0; i < done->count; i++) {
		struct change *change = &done->items[i];

		if (changed_since(&since, change) || lived_in_since(&since, change))
			return model_bit(STATUS_CONFLICT);
	}
	for (size_t i = 0; i < done->count; i++)
		done->items[i] = (struct change){ done->items[i].after, done->items[i].before };
	return bring(done, made[-1].state, true, after, touched);
}

unsigned model_bring_back(const struct model *model, const struct operation *op,
			  struct model_state *after, struct touched *touched, bool *ret_changed)
{
	static struct changes changes;

	if (op->kind == OP_ROLLBACK)
		return roll_back(model, op, &changes, after, touched, ret_changed);
	if (op->kind == OP_RESTORE)
		return restore(model, op, &changes, after, touched, ret_changed);
	return revert(model, op, &changes, after, touched);
}
