/*
 * Building plans; see plan.h.
 */
#include "ops/plan.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/envelope.h"
#include "store/event.h"
#include "store/seal.h"

#include "base/banned.h"

enum {
	/* What field names and lengths add to the bytes of a change, generously. */
	CHANGE_OVERHEAD = 64,
};

void plan_init(struct plan *plan, struct arena *arena)
{
	*plan = (struct plan){ .arena = arena };
}

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->secret_count; i++)
		secret_release(&plan->secrets[i].value);
	plan->secret_count = 0;
}

static enum status add_payload(struct plan *plan, const struct payload *payload, struct error *err)
{
	plan->payloads = (const struct payload **)arena_grow(
		plan->arena, (void *)plan->payloads, plan->payload_count, sizeof(struct payload *));
	if (!plan->payloads)
		return error_no_memory(err);
	plan->payloads[plan->payload_count++] = payload;
	return STATUS_OK;
}

struct payload *plan_event(struct plan *plan, enum event_type type)
{
	struct payload *payload = arena_alloc(plan->arena, sizeof(*payload));

	if (!payload || add_payload(plan, payload, NULL))
		return NULL;
	payload_init(payload, type);
	return payload;
}

enum status plan_copy(struct plan *plan, const struct payload *payload, struct error *err)
{
	struct payload *copy = plan_event(plan, payload->type);

	if (!copy)
		return error_no_memory(err);
	*copy = *payload;
	return STATUS_OK;
}

enum status plan_variable(struct plan *plan, struct slice environment, const struct change *change,
			  struct error *err)
{
	if (plan->variable_count >= COMMAND_CHANGES_MAX)
		return error_hint(err,
				  error_set(err, STATUS_USAGE,
					    "more than %d changes in one command",
					    COMMAND_CHANGES_MAX),
				  "do it in steps, of an environment, a profile, or with --only "
				  "GLOB of some keys");
	plan->variables = arena_grow(plan->arena, plan->variables, plan->variable_count,
				     sizeof(*plan->variables));
	if (!plan->variables)
		return error_no_memory(err);
	plan->variables[plan->variable_count++] =
		(struct plan_variable){ .environment = environment, .change = *change };
	return STATUS_OK;
}

enum status plan_secret(struct plan *plan, struct slice environment, const struct change *change,
			struct secret *value, struct error *err)
{
	size_t bytes = sealed_bytes(value->len);
	struct change sealed = *change;
	struct plan_secret secret = {
		.environment = environment,
		.sealed = arena_alloc(plan->arena, bytes),
		.commitment = arena_alloc(plan->arena, HASH_BYTES),
	};
	enum status status;

	if (!secret.sealed || !secret.commitment)
		return error_no_memory(err);
	sealed.op = CHANGE_SEAL;
	sealed.sealed = slice_of(secret.sealed, bytes);
	sealed.commitment = slice_of(secret.commitment, HASH_BYTES);
	status = plan_variable(plan, environment, &sealed, err);
	if (status)
		return status;
	plan->secrets =
		arena_grow(plan->arena, plan->secrets, plan->secret_count, sizeof(*plan->secrets));
	if (!plan->secrets)
		return error_no_memory(err);
	secret.value = *value;
	*value = (struct secret)SECRET_INIT;
	plan->secrets[plan->secret_count++] = secret;
	plan->variables[plan->variable_count - 1].secret = plan->secret_count;
	return STATUS_OK;
}

enum status plan_note(struct plan *plan, const struct plan_change *change, struct error *err)
{
	plan->changes =
		arena_grow(plan->arena, plan->changes, plan->change_count, sizeof(*plan->changes));
	if (!plan->changes)
		return error_no_memory(err);
	plan->changes[plan->change_count++] = *change;
	return STATUS_OK;
}

bool plan_is_empty(const struct plan *plan)
{
	return plan->payload_count == 0 && plan->variable_count == 0;
}

static int compare_variables(const void *left, const void *right)
{
	const struct plan_variable *a = left, *b = right;
	int order = slice_compare(a->environment, b->environment);

	if (!order)
		order = slice_compare(a->change.profile, b->change.profile);
	if (!order)
		order = slice_compare(a->change.key, b->change.key);
	return order;
}

static size_t change_bytes(const struct change *change)
{
	return change->profile.len + change->key.len + change->value.len + change->sealed.len +
	       change->commitment.len + CHANGE_OVERHEAD;
}

/* One event for variables [@from, @to), all of one environment. */
static enum status add_event(struct plan *plan, size_t from, size_t to, struct error *err)
{
	struct payload *payload = arena_alloc(plan->arena, sizeof(*payload));
	struct change *changes = arena_array(plan->arena, to - from, sizeof(*changes));

	if (!payload || !changes)
		return error_no_memory(err);
	for (size_t i = from; i < to; i++) {
		size_t secret = plan->variables[i].secret;

		changes[i - from] = plan->variables[i].change;
		if (secret) {
			plan->secrets[secret - 1].part = (uint32_t)plan->payload_count + 1;
			plan->secrets[secret - 1].index = (uint32_t)(i - from);
		}
	}
	payload_init(payload, EVENT_VARIABLES_CHANGED);
	payload_text(payload, FIELD_ENVIRONMENT, plan->variables[from].environment);
	payload_changes(payload, FIELD_CHANGES,
			(struct changes){ .entries = changes, .count = to - from });
	if (plan->source)
		payload_str(payload, FIELD_SOURCE, plan->source);
	return add_payload(plan, payload, err);
}

/* Where the event that begins at @from ends: before another environment, or before it grows too
 * large. */
static size_t event_end(const struct plan *plan, size_t from)
{
	size_t bytes = ENVELOPE_BYTES_MAX;
	size_t to = from;

	for (; to < plan->variable_count; to++) {
		const struct plan_variable *variable = &plan->variables[to];

		bytes += change_bytes(&variable->change);
		if (!slice_equal(variable->environment, plan->variables[from].environment))
			break;
		if (to > from && bytes > EVENT_BYTES_MAX)
			break;
	}
	return to;
}

enum status plan_group_variables(struct plan *plan, struct error *err)
{
	enum status status = STATUS_OK;
	size_t from = 0;

	if (plan->variable_count)
		qsort(plan->variables, plan->variable_count, sizeof(*plan->variables),
		      compare_variables);
	for (size_t i = 1; i < plan->variable_count; i++) {
		if (compare_variables(&plan->variables[i - 1], &plan->variables[i]) == 0)
			return error_set(err, STATUS_USAGE, "'" SLICE_FMT "' is changed twice",
					 SLICE_ARG(plan->variables[i].change.key));
	}
	while (from < plan->variable_count && !status) {
		size_t to = event_end(plan, from);

		status = add_event(plan, from, to, err);
		from = to;
	}
	return status;
}

static enum status touch(const struct plan *plan, struct slice environment, struct slice **items,
			 size_t *count, struct error *err)
{
	for (size_t i = 0; i < *count; i++) {
		if (slice_equal((*items)[i], environment))
			return STATUS_OK;
	}
	*items = arena_grow(plan->arena, *items, *count, sizeof(**items));
	if (!*items)
		return error_no_memory(err);
	(*items)[(*count)++] = environment;
	return STATUS_OK;
}

enum status plan_touched(const struct plan *plan, struct slice **ret, size_t *ret_count,
			 struct error *err)
{
	struct slice *items = NULL;
	size_t count = 0;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < plan->payload_count && !status; i++) {
		struct slice environment = payload_environment(plan->payloads[i]);

		if (environment.len && plan->payloads[i]->type != EVENT_ENVIRONMENT_CREATED)
			status = touch(plan, environment, &items, &count, err);
	}
	for (size_t i = 0; i < plan->variable_count && !status; i++)
		status = touch(plan, plan->variables[i].environment, &items, &count, err);
	*ret = items;
	*ret_count = count;
	return status;
}
