/*
 * What a store must be; see model.h. The order of questions is that of the program, for it decides
 * which of several refusals is the answer.
 */
#include "sim/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "sim/operation.h"

#include "base/banned.h"

#define YEAR_MS     (UINT64_C(366) * 24 * 3600 * 1000)
#define BELIEVED_MS (2 * YEAR_MS)
/* Before any day on which the program can have been built, and after. */
#define BUILT_MS UINT64_C(1577836800000)

/* --- entries ---------------------------------------------------------------------------------- */

static void name_copy(char to[SIM_NAME], const char *from)
{
	(void)snprintf(to, SIM_NAME, "%s", from);
}

static bool same_thing(const struct model_entry *a, const struct model_entry *b)
{
	return a->kind == b->kind && strcmp(a->environment, b->environment) == 0 &&
	       strcmp(a->profile, b->profile) == 0 && strcmp(a->name, b->name) == 0 &&
	       (a->kind != MODEL_VIOLATION || a->number == b->number);
}

const struct model_entry *model_find(const struct model_state *state, enum model_kind kind,
				     const char *environment, const char *profile, const char *name)
{
	for (size_t i = 0; i < state->count; i++) {
		const struct model_entry *entry = &state->entries[i];

		if (entry->kind == kind && strcmp(entry->environment, environment) == 0 &&
		    strcmp(entry->profile, profile) == 0 && strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

bool model_same(const struct model_entry *a, const struct model_entry *b)
{
	if (a->sealed && b->sealed && a->kind == MODEL_VARIABLE)
		return a->number == b->number;
	return a->sealed == b->sealed && a->flag == b->flag && a->number == b->number &&
	       strcmp(a->value, b->value) == 0 && strcmp(a->extra, b->extra) == 0;
}

void model_put(struct model_state *state, const struct model_entry *entry)
{
	size_t i = 0;

	while (i < state->count && !same_thing(&state->entries[i], entry))
		i++;
	if (i == MODEL_ENTRIES)
		abort();
	state->entries[i] = *entry;
	if (i == state->count)
		state->count++;
}

static bool matches(const char *wanted, const char *name)
{
	return !wanted || strcmp(wanted, name) == 0;
}

void model_drop(struct model_state *state, enum model_kind kind, const char *environment,
		const char *profile, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < state->count; i++) {
		const struct model_entry *entry = &state->entries[i];

		if (entry->kind == kind && matches(environment, entry->environment) &&
		    matches(profile, entry->profile) && matches(name, entry->name))
			continue;
		state->entries[kept++] = *entry;
	}
	state->count = kept;
}

static struct model_entry entry_of(enum model_kind kind, const char *environment,
				   const char *profile, const char *name)
{
	struct model_entry entry = { .kind = kind };

	name_copy(entry.environment, environment);
	name_copy(entry.profile, profile);
	name_copy(entry.name, name);
	return entry;
}

static void put_active(struct model_state *state, const char *environment, const char *name)
{
	struct model_entry entry = entry_of(MODEL_ACTIVE, environment, "", "");

	name_copy(entry.value, name);
	model_put(state, &entry);
}

static const char *active(const struct model_state *state, const char *environment)
{
	const struct model_entry *entry = model_find(state, MODEL_ACTIVE, environment, "", "");

	return entry ? entry->value : "";
}

static const struct model_entry *environment_at(const struct model_state *state, const char *name)
{
	return model_find(state, MODEL_ENVIRONMENT, "", "", name);
}

static const struct model_entry *profile_at(const struct model_state *state,
					    const char *environment, const char *name)
{
	return model_find(state, MODEL_PROFILE, environment, "", name);
}

void model_touch(struct touched *touched, const char *environment, bool otherwise_protected)
{
	for (size_t i = 0; i < touched->count; i++) {
		if (strcmp(touched->environments[i].name, environment) == 0)
			return;
	}
	name_copy(touched->environments[touched->count].name, environment);
	touched->environments[touched->count++].otherwise_protected = otherwise_protected;
}

/* --- the past --------------------------------------------------------------------------------- */

const struct model_past *model_past(const struct model *model, uint64_t seq)
{
	for (size_t i = 0; i < model->past_count; i++) {
		if (seq <= model->pasts[i].last_seq)
			return &model->pasts[i];
	}
	return &model->pasts[model->past_count - 1];
}

static void keep_past(struct model *model, uint64_t first_seq, uint64_t last_seq)
{
	size_t bytes = offsetof(struct model_state, entries) +
		       model->now.count * sizeof(model->now.entries[0]);
	struct model_state *copy = malloc(bytes);

	if (model->past_count == model->past_capacity) {
		model->past_capacity = model->past_capacity ? 2 * model->past_capacity : 64;
		model->pasts =
			reallocarray(model->pasts, model->past_capacity, sizeof(*model->pasts));
	}
	if (!copy || !model->pasts)
		abort();
	memcpy(copy, &model->now, bytes);
	model->pasts[model->past_count++] = (struct model_past){ first_seq, last_seq, copy };
}

void model_release(struct model *model)
{
	for (size_t i = 0; i < model->past_count; i++)
		free(model->pasts[i].state);
	free(model->pasts);
}

/* --- environments ----------------------------------------------------------------------------- */

static void put_environment(struct model_state *state, const char *name, bool is_protected,
			    const char *title)
{
	struct model_entry entry = entry_of(MODEL_ENVIRONMENT, "", "", name);
	struct model_entry key = entry_of(MODEL_KEY, name, "", "");
	const struct model_entry *last = model_find(state, MODEL_KEY, name, "", "");

	key.number = last ? last->number + 1 : 1;
	model_put(state, &key);
	entry.flag = is_protected;
	name_copy(entry.value, title);
	model_put(state, &entry);
}

static void put_profile(struct model_state *state, const char *environment, const char *name,
			const char *title)
{
	struct model_entry entry = entry_of(MODEL_PROFILE, environment, "", name);

	name_copy(entry.value, title);
	model_put(state, &entry);
}

void model_init(struct model *model, uint64_t last_seq, uint64_t time_ms)
{
	static const char *const names[] = { "development", "testing", "production" };

	*model = (struct model){ .last_ms = time_ms };
	for (size_t i = 0; i < 3; i++) {
		put_environment(&model->now, names[i], i == 2, "");
		put_profile(&model->now, names[i], "default", "");
		put_active(&model->now, names[i], "default");
	}
	put_active(&model->now, "", "development");
	keep_past(model, 1, last_seq);
}

/* Variables and databases of one profile, put into another. What is sealed is sealed anew where
 * the environment, and so the key, is another one. */
static void copy_content(const struct model *model, struct model_state *state,
			 const struct model_entry *from, const char *environment, const char *name)
{
	for (size_t i = 0; i < model->now.count; i++) {
		struct model_entry entry = model->now.entries[i];

		if ((entry.kind != MODEL_VARIABLE && entry.kind != MODEL_DATABASE) ||
		    strcmp(entry.environment, from->environment) != 0 ||
		    strcmp(entry.profile, from->name) != 0)
			continue;
		if (entry.sealed && strcmp(entry.environment, environment) != 0)
			entry.number = model->sealings + 1 + state->count;
		name_copy(entry.environment, environment);
		name_copy(entry.profile, name);
		model_put(state, &entry);
	}
}

static void clone_environment(const struct model *model, const struct operation *op,
			      struct model_state *after)
{
	const struct model_entry *source = environment_at(&model->now, op->name);

	put_environment(after, op->other, source->flag, source->value);
	put_active(after, op->other, active(&model->now, op->name));
	for (size_t i = 0; i < model->now.count; i++) {
		const struct model_entry *profile = &model->now.entries[i];

		if (profile->kind != MODEL_PROFILE || strcmp(profile->environment, op->name) != 0)
			continue;
		put_profile(after, op->other, profile->name, profile->value);
		copy_content(model, after, profile, op->other, profile->name);
	}
}

static void remove_environment(struct model_state *after, const char *name)
{
	model_drop(after, MODEL_ENVIRONMENT, NULL, NULL, name);
	model_drop(after, MODEL_PROFILE, name, NULL, NULL);
	model_drop(after, MODEL_VARIABLE, name, NULL, NULL);
	model_drop(after, MODEL_DATABASE, name, NULL, NULL);
	model_drop(after, MODEL_ACTIVE, name, NULL, NULL);
	model_drop(after, MODEL_LOCK, name, NULL, NULL);
}

/* An environment that is there: what its operations do. */
static enum status change_environment(const struct model *model, const struct operation *op,
				      struct model_state *after, bool *ret_changed)
{
	struct model_entry entry = *environment_at(&model->now, op->name);
	bool is_active = strcmp(active(&model->now, ""), op->name) == 0;
	struct model_entry lock = entry_of(MODEL_LOCK, op->name, "", "");

	switch ((int)op->kind) {
	case OP_ENVIRONMENT_EDIT:
		*ret_changed = strcmp(entry.value, op->title) != 0;
		name_copy(entry.value, op->title);
		model_put(after, &entry);
		return STATUS_OK;
	case OP_ENVIRONMENT_PROTECT:
		*ret_changed = entry.flag != op->flag;
		entry.flag = op->flag;
		model_put(after, &entry);
		return STATUS_OK;
	case OP_ENVIRONMENT_REMOVE:
		remove_environment(after, op->name);
		return is_active ? STATUS_DENIED : STATUS_OK;
	case OP_ENVIRONMENT_SWITCH:
		*ret_changed = !is_active;
		put_active(after, "", op->name);
		return STATUS_OK;
	case OP_ENVIRONMENT_LOCK:
		lock.number = op->number ? op->now_ms + op->number : 0;
		model_put(after, &lock);
		return STATUS_OK;
	default: /* OP_ENVIRONMENT_UNLOCK */
		*ret_changed = model_find(&model->now, MODEL_LOCK, op->name, "", "") != NULL;
		model_drop(after, MODEL_LOCK, op->name, NULL, NULL);
		return STATUS_OK;
	}
}

static enum status environment_operation(const struct model *model, const struct operation *op,
					 struct model_state *after, struct touched *touched,
					 bool *ret_changed)
{
	bool exists = environment_at(&model->now, op->name) != NULL;

	if (op->kind == OP_ENVIRONMENT_CREATE) {
		if (exists)
			return STATUS_CONFLICT;
		put_environment(after, op->name, op->flag, op->title);
		put_profile(after, op->name, "default", "");
		put_active(after, op->name, "default");
		return STATUS_OK;
	}
	if (!exists)
		return STATUS_NOT_FOUND;
	if (op->kind == OP_ENVIRONMENT_CLONE) {
		if (environment_at(&model->now, op->other))
			return STATUS_CONFLICT;
		clone_environment(model, op, after);
		return STATUS_OK;
	}
	model_touch(touched, op->name, false);
	return change_environment(model, op, after, ret_changed);
}

/* --- profiles --------------------------------------------------------------------------------- */

static bool is_base(const struct model_state *state, const char *environment, const char *name)
{
	for (size_t i = 0; i < state->count; i++) {
		if (state->entries[i].kind == MODEL_PROFILE &&
		    strcmp(state->entries[i].environment, environment) == 0 &&
		    strcmp(state->entries[i].extra, name) == 0)
			return true;
	}
	return false;
}

static enum status create_profile(const struct model *model, const struct operation *op,
				  const char *environment, struct model_state *after)
{
	const struct model_entry *from = profile_at(&model->now, environment, op->other);

	if (profile_at(&model->now, environment, op->name))
		return STATUS_CONFLICT;
	if (*op->other && !from)
		return STATUS_NOT_FOUND;
	put_profile(after, environment, op->name, from && !*op->title ? from->value : op->title);
	if (from)
		copy_content(model, after, from, environment, op->name);
	return STATUS_OK;
}

static enum status profile_operation(const struct model *model, const struct operation *op,
				     const char *environment, struct model_state *after,
				     bool *ret_changed)
{
	const struct model_entry *profile = profile_at(&model->now, environment, op->name);
	bool is_active = strcmp(active(&model->now, environment), op->name) == 0;
	struct model_entry edited;

	if (op->kind == OP_PROFILE_CREATE)
		return create_profile(model, op, environment, after);
	if (!profile)
		return STATUS_NOT_FOUND;
	edited = *profile;
	name_copy(edited.value, op->title);
	if (op->kind == OP_PROFILE_EDIT) {
		*ret_changed = strcmp(profile->value, op->title) != 0;
		model_put(after, &edited);
		return STATUS_OK;
	}
	if (op->kind == OP_PROFILE_SWITCH) {
		*ret_changed = !is_active;
		put_active(after, environment, op->name);
		return STATUS_OK;
	}
	model_drop(after, MODEL_PROFILE, environment, NULL, op->name);
	model_drop(after, MODEL_VARIABLE, environment, op->name, NULL);
	model_drop(after, MODEL_DATABASE, environment, op->name, NULL);
	return is_active || is_base(&model->now, environment, op->name) ? STATUS_DENIED : STATUS_OK;
}

/* --- variables -------------------------------------------------------------------------------- */

static bool is_int(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	return digits > 0 && !value[digits] && (digits == 1 || value[0] != '0');
}

enum status model_value(const struct model_state *state, const struct model_entry *variable)
{
	const struct model_entry *specification =
		model_find(state, MODEL_SPECIFICATION, "", "", variable->name);

	if (!specification || variable->sealed)
		return STATUS_OK;
	if (specification->sealed || (specification->number && !is_int(variable->value)))
		return STATUS_INVALID;
	return STATUS_OK;
}

static enum status set_variables(const struct model *model, const struct operation *op,
				 const char *environment, const char *profile,
				 struct model_state *after, bool *ret_changed)
{
	*ret_changed = false;
	for (size_t i = 0; i < op->count; i++) {
		struct model_entry entry =
			entry_of(MODEL_VARIABLE, environment, profile, op->keys[i]);
		const struct model_entry *was =
			model_find(&model->now, MODEL_VARIABLE, environment, profile, op->keys[i]);
		const struct model_entry *specification =
			model_find(&model->now, MODEL_SPECIFICATION, "", "", op->keys[i]);

		if (specification && specification->sealed && !op->secret)
			return STATUS_DENIED;
		if (specification && specification->number && !is_int(op->values[i]))
			return STATUS_INVALID;
		if (was && was->sealed == op->secret && strcmp(was->value, op->values[i]) == 0)
			continue;
		name_copy(entry.value, op->values[i]);
		entry.sealed = op->secret;
		entry.number = op->secret ? model->sealings + 1 + i : 0;
		model_put(after, &entry);
		*ret_changed = true;
	}
	return STATUS_OK;
}

static enum status unset_variables(const struct model *model, const struct operation *op,
				   const char *environment, const char *profile,
				   struct model_state *after)
{
	for (size_t i = 0; i < op->count; i++) {
		if (!model_find(&model->now, MODEL_VARIABLE, environment, profile, op->keys[i]))
			return STATUS_NOT_FOUND;
		model_drop(after, MODEL_VARIABLE, environment, profile, op->keys[i]);
	}
	return STATUS_OK;
}

/* --- the catalogue ---------------------------------------------------------------------------- */

static bool category_named(const struct model_state *state, const char *name)
{
	for (size_t i = 0; i < state->count; i++) {
		if (state->entries[i].kind == MODEL_SPECIFICATION &&
		    strcmp(state->entries[i].extra, name) == 0)
			return true;
	}
	return false;
}

static enum status set_category(const struct model *model, const struct operation *op,
				struct model_state *after, bool *ret_changed)
{
	const struct model_entry *was = model_find(&model->now, MODEL_CATEGORY, "", "", op->name);
	struct model_entry entry = was ? *was : entry_of(MODEL_CATEGORY, "", "", op->name);

	entry.flag = op->flag;
	name_copy(entry.value, op->title);
	*ret_changed = !was || was->flag != entry.flag || strcmp(was->value, entry.value) != 0;
	model_put(after, &entry);
	return STATUS_OK;
}

static enum status set_specification(const struct model *model, const struct operation *op,
				     struct model_state *after, bool *ret_changed)
{
	const struct model_entry *was =
		model_find(&model->now, MODEL_SPECIFICATION, "", "", op->name);
	struct model_entry entry = was ? *was : entry_of(MODEL_SPECIFICATION, "", "", op->name);

	entry.number = op->number;
	entry.flag = entry.flag || op->flag;
	entry.sealed = entry.sealed || op->secret;
	name_copy(entry.extra, op->other);
	name_copy(entry.value, op->values[0]);
	if ((entry.sealed && *entry.value) ||
	    (entry.number && *entry.value && !is_int(entry.value)))
		return STATUS_USAGE;
	if (*entry.extra && !model_find(&model->now, MODEL_CATEGORY, "", "", entry.extra))
		return STATUS_NOT_FOUND;
	*ret_changed = !was || !model_same(was, &entry);
	model_put(after, &entry);
	return STATUS_OK;
}

static enum status catalogue_operation(const struct model *model, const struct operation *op,
				       struct model_state *after, bool *ret_changed)
{
	bool exists;

	if (op->kind == OP_CATEGORY_SET)
		return set_category(model, op, after, ret_changed);
	if (op->kind == OP_SPECIFICATION_SET)
		return set_specification(model, op, after, ret_changed);
	if (op->kind == OP_SPECIFICATION_REMOVE) {
		exists = model_find(&model->now, MODEL_SPECIFICATION, "", "", op->name) != NULL;
		model_drop(after, MODEL_SPECIFICATION, NULL, NULL, op->name);
		return exists ? STATUS_OK : STATUS_NOT_FOUND;
	}
	exists = model_find(&model->now, MODEL_CATEGORY, "", "", op->name) != NULL;
	model_drop(after, MODEL_CATEGORY, NULL, NULL, op->name);
	if (!exists)
		return STATUS_NOT_FOUND;
	return category_named(&model->now, op->name) ? STATUS_DENIED : STATUS_OK;
}

/* --- what is planned unasked ------------------------------------------------------------------ */

/* Does following bases from @from lead to @to? */
static bool leads_to(const struct model_state *state, const char *environment, const char *from,
		     const char *to)
{
	for (size_t steps = 0; *from && steps < MODEL_ENTRIES; steps++) {
		const struct model_entry *profile = profile_at(state, environment, from);

		if (strcmp(from, to) == 0)
			return true;
		from = profile ? profile->extra : "";
	}
	return false;
}

static const char *change_base(const struct operation *op, struct model_state *after)
{
	const struct model_entry *was = profile_at(after, op->environment, op->name);
	struct model_entry entry;

	if (!environment_at(after, op->environment))
		return "environment-exists";
	if (!was)
		return "profile-exists";
	entry = *was;
	if (*op->other && !profile_at(after, op->environment, op->other))
		return "base-exists";
	if (leads_to(after, op->environment, op->other, op->name))
		return "base-acyclic";
	name_copy(entry.extra, op->other);
	model_put(after, &entry);
	return NULL;
}

static const char *change_database(const struct operation *op, struct model_state *after)
{
	struct model_entry entry = entry_of(MODEL_DATABASE, op->environment, op->profile, op->name);

	if (!environment_at(after, op->environment))
		return "environment-exists";
	if (!profile_at(after, op->environment, op->profile))
		return "profile-exists";
	if (op->kind == OP_DETACH &&
	    !model_find(after, MODEL_DATABASE, op->environment, op->profile, op->name))
		return "database-exists";
	name_copy(entry.value, op->values[0]);
	if (op->kind == OP_DETACH)
		model_drop(after, MODEL_DATABASE, op->environment, op->profile, op->name);
	else
		model_put(after, &entry);
	return NULL;
}

/* --- everything ------------------------------------------------------------------------------- */

bool model_choose(const struct model_state *state, const struct operation *op,
		  char ret_environment[SIM_NAME], char ret_profile[SIM_NAME])
{
	name_copy(ret_environment, *op->environment ? op->environment : active(state, ""));
	name_copy(ret_profile, *op->profile ? op->profile : active(state, ret_environment));
	return environment_at(state, ret_environment) &&
	       profile_at(state, ret_environment, ret_profile);
}

static enum status on_profile(const struct model *model, const struct operation *op,
			      struct model_state *after, struct touched *touched, bool *ret_changed)
{
	char environment[SIM_NAME], profile[SIM_NAME];

	if (!model_choose(&model->now, op, environment, profile))
		return STATUS_NOT_FOUND;
	model_touch(touched, environment, false);
	if (op->kind == OP_SET)
		return set_variables(model, op, environment, profile, after, ret_changed);
	if (op->kind == OP_UNSET)
		return unset_variables(model, op, environment, profile, after);
	return profile_operation(model, op, environment, after, ret_changed);
}

/* What the operation decides, without regard to clock, locks and protection. */
static unsigned decide(const struct model *model, const struct operation *op,
		       struct model_state *after, struct touched *touched,
		       struct prediction *prediction)
{
	bool changed = true;
	unsigned allowed = model_bit(STATUS_OK);

	if (op->kind == OP_ROLLBACK || op->kind == OP_RESTORE || op->kind == OP_REVERT) {
		allowed = model_bring_back(model, op, after, touched, &changed);
	} else if (op->kind == OP_BASE || op->kind == OP_ATTACH || op->kind == OP_DETACH) {
		model_touch(touched, op->environment, false);
		prediction->broken =
			op->kind == OP_BASE ? change_base(op, after) : change_database(op, after);
	} else if (op->kind == OP_BROKEN) {
		prediction->broken = "environment-exists";
		prediction->part = 1;
	} else if (operation_chooses(op)) {
		allowed = model_bit(on_profile(model, op, after, touched, &changed));
	} else if (op->kind <= OP_ENVIRONMENT_CLONE) {
		allowed = model_bit(environment_operation(model, op, after, touched, &changed));
	} else {
		allowed = model_bit(catalogue_operation(model, op, after, &changed));
	}
	prediction->unchanged = !changed;
	return allowed;
}

static bool clock_believed(const struct model *model, const struct operation *op)
{
	return op->accept_clock ||
	       (op->now_ms >= BUILT_MS &&
		(op->now_ms <= model->last_ms || op->now_ms - model->last_ms <= BELIEVED_MS));
}

/* What locks and protection say: bits of refusals; 0: go on. */
static unsigned refusals(const struct model *model, const struct operation *op,
			 const struct touched *touched)
{
	unsigned refused = 0;

	for (size_t i = 0; i < touched->count; i++) {
		const char *name = touched->environments[i].name;
		const struct model_entry *environment = environment_at(&model->now, name);
		const struct model_entry *lock = model_find(&model->now, MODEL_LOCK, name, "", "");

		if (lock && (lock->number == 0 || lock->number > op->now_ms) &&
		    op->kind != OP_ENVIRONMENT_UNLOCK)
			refused |= model_bit(STATUS_DENIED);
		else if ((environment ? environment->flag
				      : touched->environments[i].otherwise_protected) &&
			 !(op->reason && op->confirm))
			refused |= model_bit(STATUS_UNCONFIRMED);
	}
	return refused;
}

void model_predict(const struct model *model, const struct operation *op,
		   struct model_state *ret_after, struct prediction *ret)
{
	struct touched touched = { .count = 0 };
	unsigned refused;

	*ret = (struct prediction){ .broken = NULL };
	memcpy(ret_after, &model->now,
	       offsetof(struct model_state, entries) +
		       model->now.count * sizeof(model->now.entries[0]));
	ret->allowed = decide(model, op, ret_after, &touched, ret);
	if (ret->allowed != model_bit(STATUS_OK))
		return;
	if (!clock_believed(model, op)) {
		ret->allowed = model_bit(STATUS_UNCONFIRMED);
		return;
	}
	refused = ret->unchanged ? 0 : refusals(model, op, &touched);
	if (refused)
		ret->allowed = refused;
	else if (op->head == HEAD_WRONG)
		ret->allowed = model_bit(STATUS_CONFLICT);
}

void model_accept(struct model *model, const struct model_state *after,
		  const struct prediction *prediction, uint64_t first_seq, uint64_t last_seq,
		  uint64_t time_ms)
{
	if (prediction->broken) {
		struct model_entry entry = entry_of(MODEL_VIOLATION, "", "", prediction->broken);

		entry.number = first_seq + prediction->part;
		model_put(&model->now, &entry);
	} else {
		model->now = *after;
	}
	model->last_ms = time_ms;
	model->sealings += MODEL_ENTRIES + 1;
	keep_past(model, first_seq, last_seq);
}
