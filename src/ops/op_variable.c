/*
 * Variables: get, list, set, unset; see op_variable.h. Checking whole profiles is op_check.c.
 */
#include "ops/op_variable.h"

#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/plan.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "ops/value_check.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_reader.h"

#include "base/banned.h"

/* From how many keys on it is quicker to read all specifications than to ask for each. */
enum { SPECIFICATIONS_AT_ONCE = 64 };

void variable_info_release(struct variable_info *info)
{
	secret_release(&info->revealed);
}

/* Who, when and why of the event that put something in force. */
static enum status fill_event(struct session *session, uint64_t seq, struct variable_info *ret,
			      struct error *err)
{
	const struct read_event *event;
	enum status status = session_event(session, seq, &event, err);

	if (status)
		return status;
	ret->seq = seq;
	ret->time_ms = event->decoded.event.time_ms;
	ret->actor = session_actor(session, &event->decoded.event);
	ret->reason = arena_copy(&session->arena, event->decoded.event.reason);
	return ret->reason.data ? STATUS_OK : error_no_memory(err);
}

static enum status fill_set(struct session *session, const struct variable *variable, bool reveal,
			    struct variable_info *ret, struct error *err)
{
	struct variable_value value;
	enum status status = fill_event(session, variable->seq, ret, err);

	if (!status)
		status = state_value(&session->view, variable, &value, err);
	if (status)
		return status;
	ret->key = variable->key;
	ret->value = value.text;
	ret->secret = variable->sealed;
	ret->masked = variable->sealed && !reveal;
	ret->expand = variable->expand;
	ret->origin = ORIGIN_OWN;
	if (variable->sealed && reveal)
		status = secrets_open(session, variable, &value, &ret->revealed, err);
	return status;
}

static enum status fill_default(struct session *session, const struct definition *specification,
				struct variable_info *ret, struct error *err)
{
	ret->key = payload_get_text(specification->payload, FIELD_KEY);
	ret->value = payload_get_text(specification->payload, FIELD_DEFAULT);
	ret->origin = ORIGIN_DEFAULT;
	return fill_event(session, specification->seq, ret, err);
}

static bool has_default(const struct definition *specification)
{
	return specification->payload->field[FIELD_DEFAULT].present;
}

/* "no such variable", with the nearest key that is set or specified. */
static enum status unknown_key(struct session *session, struct slice key, struct error *err)
{
	struct variable *variables;
	struct definition *specs;
	size_t variable_count, spec_count;
	const char **names, *nearest;
	enum status status = state_variables(&session->view, session->environment, session->profile,
					     &variables, &variable_count, err);

	if (!status)
		status = state_specifications(&session->view, &specs, &spec_count, err);
	if (status)
		return status;
	names = (const char **)arena_array(&session->arena, variable_count + spec_count,
					   sizeof(*names));
	if (!names)
		return error_no_memory(err);
	for (size_t i = 0; i < variable_count; i++)
		names[i] = session_str(session, variables[i].key);
	for (size_t i = 0; i < spec_count; i++)
		names[variable_count + i] =
			session_str(session, payload_get_text(specs[i].payload, FIELD_KEY));
	nearest = text_nearest(session_str(session, key), names, variable_count + spec_count);
	(void)error_set(err, STATUS_NOT_FOUND,
			"'" SLICE_FMT "' is not set in " SLICE_FMT "/" SLICE_FMT, SLICE_ARG(key),
			SLICE_ARG(session->environment), SLICE_ARG(session->profile));
	if (nearest && !slice_equal_str(key, nearest))
		return error_hint(err, STATUS_NOT_FOUND, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_NOT_FOUND, "list what is set: provenv ls");
}

static enum status check_key(struct slice key, struct error *err)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;

	if (text_is_key(key))
		return STATUS_OK;
	text_append_printable(&shown, slice_of(key.data, key.len < 64 ? key.len : 64));
	return error_hint(
		err, error_set(err, STATUS_USAGE, "'%s' is not a variable's key", buf_str(&shown)),
		"keys are letters, digits and '_', not beginning with a digit, at most %d",
		KEY_BYTES_MAX);
}

enum status op_get(struct session *session, struct slice key, bool reveal,
		   struct variable_info *ret, struct error *err)
{
	struct variable_info info = { .seq = 0 };
	struct definition specification;
	struct variable variable;
	bool specified;
	enum status status = check_key(key, err);

	if (!status)
		status = state_specification(&session->view, key, &specification, err);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	specified = status == STATUS_OK;
	if (specified)
		info.category = payload_get_text(specification.payload, FIELD_CATEGORY);
	status = state_variable(&session->view, session->environment, session->profile, key,
				&variable, err);
	if (status == STATUS_OK)
		status = fill_set(session, &variable, reveal, &info, err);
	else if (status == STATUS_NOT_FOUND && specified && has_default(&specification))
		status = fill_default(session, &specification, &info, err);
	else if (status == STATUS_NOT_FOUND)
		status = unknown_key(session, key, err);
	if (!status)
		*ret = info;
	return status;
}

/* Both lists ascend by key: walk them side by side. */
struct merge {
	struct session *session;
	struct variable *variables;
	struct definition *specs;
	size_t variable_count;
	size_t spec_count;
	struct variable_info *items;
	size_t count;
};

static struct slice spec_key(const struct definition *specification)
{
	return payload_get_text(specification->payload, FIELD_KEY);
}

static enum status merge_one(struct merge *merge, const struct variable *variable,
			     const struct definition *specification, struct slice category,
			     bool reveal, struct error *err)
{
	struct variable_info *info = &merge->items[merge->count];
	enum status status;

	/* The slot may be one that a key before this did not take. */
	info->category = specification ? payload_get_text(specification->payload, FIELD_CATEGORY)
				       : slice_of(NULL, 0);
	if (category.len && !slice_equal(category, info->category))
		return STATUS_OK;
	if (variable)
		status = fill_set(merge->session, variable, reveal, info, err);
	else if (specification && has_default(specification))
		status = fill_default(merge->session, specification, info, err);
	else
		return STATUS_OK;
	merge->count++;
	return status;
}

static enum status merge_all(struct merge *merge, struct slice category, bool reveal,
			     struct error *err)
{
	size_t v = 0, s = 0;
	enum status status = STATUS_OK;

	while (!status && (v < merge->variable_count || s < merge->spec_count)) {
		int order = v == merge->variable_count ? 1
			    : s == merge->spec_count   ? -1
						       : slice_compare(merge->variables[v].key,
								       spec_key(&merge->specs[s]));
		const struct variable *variable = order <= 0 ? &merge->variables[v++] : NULL;
		const struct definition *spec = order >= 0 ? &merge->specs[s++] : NULL;

		status = merge_one(merge, variable, spec, category, reveal, err);
	}
	return status;
}

enum status op_list(struct session *session, struct slice category, bool reveal,
		    struct variable_info **ret, size_t *ret_count, struct error *err)
{
	struct merge merge = { .session = session };
	enum status status = state_variables(&session->view, session->environment, session->profile,
					     &merge.variables, &merge.variable_count, err);

	if (!status)
		status = state_specifications(&session->view, &merge.specs, &merge.spec_count, err);
	if (status)
		return status;
	merge.items = arena_array(&session->arena, merge.variable_count + merge.spec_count,
				  sizeof(*merge.items));
	if (!merge.items)
		return error_no_memory(err);
	status = merge_all(&merge, category, reveal, err);
	if (status) {
		for (size_t i = 0; i < merge.count; i++)
			variable_info_release(&merge.items[i]);
		return status;
	}
	*ret = merge.items;
	*ret_count = merge.count;
	return STATUS_OK;
}

static enum status check_value(const struct assignment *assignment, struct error *err)
{
	struct slice value =
		assignment->hidden ? secret_slice(assignment->hidden) : assignment->value;

	if (value.len > VALUE_BYTES_MAX)
		return error_set(err, STATUS_USAGE,
				 "the value of '" SLICE_FMT "' has %zu bytes; at most %d are kept",
				 SLICE_ARG(assignment->key), value.len, VALUE_BYTES_MAX);
	if (!text_is_value(value))
		return error_set(err, STATUS_USAGE,
				 "the value of '" SLICE_FMT "' is not UTF-8 text without NUL",
				 SLICE_ARG(assignment->key));
	return STATUS_OK;
}

/* What is known about the key when a value is to be set. */
struct target {
	const struct payload *specification; /* NULL: none */
	struct variable variable;
	struct variable_value before; /* of the variable, when it is set */
	bool is_set;
	bool secret; /* the new value is to be sealed */
};

/* What an import asks about thousands of keys is read once. */
struct specifications {
	bool all; /* items holds all there are, in the order of their keys */
	struct definition *items;
	size_t count;
};

static enum status load_specifications(struct session *session, size_t keys,
				       struct specifications *ret, struct error *err)
{
	ret->all = keys >= SPECIFICATIONS_AT_ONCE;
	if (!ret->all)
		return STATUS_OK;
	return state_specifications(&session->view, &ret->items, &ret->count, err);
}

static int compare_definition(const void *key, const void *definition)
{
	const struct payload *payload = ((const struct definition *)definition)->payload;

	return slice_compare(*(const struct slice *)key, payload_get_text(payload, FIELD_KEY));
}

/* The specification of @key; NULL: none. */
static enum status find_specification(const struct session *session,
				      const struct specifications *specifications, struct slice key,
				      const struct payload **ret, struct error *err)
{
	struct definition one;
	const struct definition *found = NULL;
	enum status status = STATUS_OK;

	if (!specifications->all)
		status = state_specification(&session->view, key, &one, err);
	else if (specifications->count)
		found = bsearch(&key, specifications->items, specifications->count, sizeof(*found),
				compare_definition);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	if (!specifications->all && !status)
		found = &one;
	*ret = found ? found->payload : NULL;
	return STATUS_OK;
}

static enum status find_target(struct session *session, const struct specifications *specifications,
			       struct slice key, struct target *ret, struct error *err)
{
	enum status status =
		find_specification(session, specifications, key, &ret->specification, err);

	if (status)
		return status;
	status = state_variable(&session->view, session->environment, session->profile, key,
				&ret->variable, err);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	ret->is_set = status == STATUS_OK;
	return STATUS_OK;
}

static enum status decide_kind(const struct set_args *args, struct slice key, struct target *target,
			       struct error *err)
{
	bool specified = target->specification != NULL;
	bool spec_secret = specified && payload_get_bool(target->specification, FIELD_SECRET);

	if (spec_secret && args->kind == SET_PLAIN)
		return error_hint(err,
				  error_set(err, STATUS_DENIED,
					    "'" SLICE_FMT "' is specified as secret",
					    SLICE_ARG(key)),
				  "leave --plain out, or change the specification");
	target->secret = spec_secret || args->kind == SET_SECRET ||
			 (args->kind != SET_PLAIN && target->is_set && target->variable.sealed);
	if (!specified && !target->secret && args->kind == SET_AS_SPECIFIED && !target->is_set &&
	    key_looks_secret(key))
		return error_hint(err,
				  error_set(err, STATUS_DENIED,
					    "'" SLICE_FMT
					    "' looks like a secret, and what is written "
					    "stays in the log",
					    SLICE_ARG(key)),
				  "say --secret (with --stdin or --file) or --plain");
	return STATUS_OK;
}

/* Equal to what is set already? A secret that cannot be opened counts as different. */
static enum status is_unchanged(struct session *session, struct target *target, struct slice value,
				bool *ret, struct error *err)
{
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	enum status status;

	*ret = false;
	if (!target->is_set)
		return STATUS_OK;
	status = state_value(&session->view, &target->variable, &target->before, err);
	if (status || target->variable.sealed != target->secret || target->variable.expand)
		return status;
	if (!target->secret) {
		*ret = slice_equal(target->before.text, value);
		return STATUS_OK;
	}
	if (secrets_open(session, &target->variable, &target->before, &opened, NULL) == STATUS_OK)
		*ret = opened.len == value.len &&
		       (value.len == 0 || sodium_memcmp(opened.data, value.data, value.len) == 0);
	return STATUS_OK;
}

static enum status plan_value(struct session *session, struct plan *plan,
			      const struct target *target, struct slice key, struct slice value,
			      struct error *err)
{
	struct change change = { .profile = session->profile, .key = key, .op = CHANGE_SET };
	struct secret copy = SECRET_INIT;
	enum status status;

	if (!target->secret) {
		change.value = arena_copy(&session->arena, value);
		if (!change.value.data)
			return error_no_memory(err);
		return plan_variable(plan, session->environment, &change, err);
	}
	status = secret_copy(&copy, value, err);
	if (!status)
		status = plan_secret(plan, session->environment, &change, &copy, err);
	secret_release(&copy);
	return status;
}

static enum status note_set(struct session *session, struct plan *plan, const struct target *target,
			    struct slice key, struct slice value, struct error *err)
{
	struct plan_change change = {
		.kind = PLAN_VARIABLE,
		.op = target->is_set ? PLAN_CHANGED : PLAN_ADDED,
		.environment = session->environment,
		.profile = session->profile,
		.key = key,
		.before_secret = target->is_set && target->variable.sealed,
		.after_secret = target->secret,
	};

	if (target->is_set && !target->variable.sealed)
		change.before = target->before.text;
	if (!target->secret)
		change.after = arena_copy(&session->arena, value);
	return plan_note(plan, &change, err);
}

static enum status set_one(struct session *session, const struct set_args *args,
			   const struct specifications *specifications,
			   const struct assignment *assignment, struct plan *plan,
			   struct error *err)
{
	struct slice value =
		assignment->hidden ? secret_slice(assignment->hidden) : assignment->value;
	struct target target = { .specification = NULL };
	bool unchanged = false;
	enum status status = check_key(assignment->key, err);

	if (!status)
		status = check_value(assignment, err);
	if (!status)
		status = find_target(session, specifications, assignment->key, &target, err);
	if (!status)
		status = decide_kind(args, assignment->key, &target, err);
	if (!status && target.secret && !assignment->hidden)
		return error_hint(err,
				  error_set(err, STATUS_DENIED,
					    "'" SLICE_FMT
					    "' is secret, and a command line can be seen "
					    "by others",
					    SLICE_ARG(assignment->key)),
				  "give the value with --stdin or --file FILE");
	if (!status && target.specification)
		status = value_check(target.specification, value,
				     target.secret || assignment->hidden, err);
	if (!status)
		status = is_unchanged(session, &target, value, &unchanged, err);
	if (status || unchanged)
		return status;
	status = plan_value(session, plan, &target, assignment->key, value, err);
	if (!status)
		status = note_set(session, plan, &target, assignment->key, value, err);
	return status;
}

static int compare_keys(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

/* Sorted, so that ten thousand keys cost no more than a sort. */
static enum status check_repeats(struct session *session, const struct set_args *args,
				 struct error *err)
{
	struct slice *keys = arena_array(&session->arena, args->count, sizeof(*keys));

	if (!keys)
		return error_no_memory(err);
	for (size_t i = 0; i < args->count; i++)
		keys[i] = args->assignments[i].key;
	if (args->count)
		qsort(keys, args->count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < args->count; i++) {
		if (slice_equal(keys[i - 1], keys[i]))
			return error_set(err, STATUS_USAGE,
					 "'" SLICE_FMT "' is set twice in one command",
					 SLICE_ARG(keys[i]));
	}
	return STATUS_OK;
}

enum status decide_set(struct session *session, const void *set_args, struct plan *plan,
		       struct error *err)
{
	const struct set_args *args = set_args;
	struct specifications specifications = { .all = false };
	enum status status = check_repeats(session, args, err);

	if (!status)
		status = load_specifications(session, args->count, &specifications, err);
	for (size_t i = 0; i < args->count && !status; i++)
		status = set_one(session, args, &specifications, &args->assignments[i], plan, err);
	return status;
}

static enum status unset_one(struct session *session, struct slice key, struct plan *plan,
			     struct error *err)
{
	struct change change = { .profile = session->profile, .key = key, .op = CHANGE_UNSET };
	struct plan_change noted = {
		.kind = PLAN_VARIABLE,
		.op = PLAN_REMOVED,
		.environment = session->environment,
		.profile = session->profile,
		.key = key,
	};
	struct variable_value value;
	struct variable variable;
	enum status status = check_key(key, err);

	if (!status)
		status = state_variable(&session->view, session->environment, session->profile, key,
					&variable, err);
	if (status == STATUS_NOT_FOUND)
		return unknown_key(session, key, err);
	if (!status)
		status = state_value(&session->view, &variable, &value, err);
	if (status)
		return status;
	noted.before = value.text;
	noted.before_secret = variable.sealed;
	status = plan_variable(plan, session->environment, &change, err);
	if (!status)
		status = plan_note(plan, &noted, err);
	return status;
}

enum status decide_unset(struct session *session, const void *unset_args, struct plan *plan,
			 struct error *err)
{
	const struct unset_args *args = unset_args;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < args->count && !status; i++)
		status = unset_one(session, args->keys[i], plan, err);
	return status;
}
