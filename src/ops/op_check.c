/*
 * Checking a profile against the specifications; see op_variable.h.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "ops/value_check.h"
#include "projections/state.h"
#include "store/event.h"

#include "base/banned.h"

struct problems {
	struct session *session;
	struct problem *items;
	size_t count;
};

static enum status add(struct problems *problems, struct slice key, const char *text,
		       const char *hint, struct error *err)
{
	struct arena *arena = &problems->session->arena;
	struct problem problem = {
		.key = key,
		.text = arena_str(arena, slice_str(text)),
		.hint = arena_str(arena, slice_str(hint)),
	};

	problems->items =
		arena_grow(arena, problems->items, problems->count, sizeof(*problems->items));
	if (!problems->items || !problem.text || !problem.hint)
		return error_no_memory(err);
	problems->items[problems->count++] = problem;
	return STATUS_OK;
}

static enum status check_set(struct problems *problems, const struct definition *specification,
			     const struct variable *variable, struct error *err)
{
	bool secret = payload_get_bool(specification->payload, FIELD_SECRET);
	struct error found = ERROR_INIT;
	struct variable_value value;
	enum status status;

	if (secret && !variable->sealed)
		return add(problems, variable->key, "specified as secret, but its value is plain",
			   "set it again with --stdin", err);
	/* A sealed value was checked when it was set; opening all of them takes a reader's key. */
	if (variable->sealed)
		return STATUS_OK;
	status = state_value(&problems->session->view, variable, &value, err);
	if (status)
		return status;
	status = value_check(specification->payload, value.text, false, &found);
	if (status == STATUS_INVALID)
		return add(problems, variable->key, found.text, found.hint, err);
	if (status && err)
		*err = found;
	return status;
}

static enum status check_one(struct problems *problems, const struct definition *specification,
			     struct error *err)
{
	struct session *session = problems->session;
	struct slice key = payload_get_text(specification->payload, FIELD_KEY);
	struct variable variable;
	char hint[ERROR_HINT_BYTES];
	enum status status = state_variable(&session->view, session->environment, session->profile,
					    key, &variable, err);

	if (status == STATUS_OK)
		return check_set(problems, specification, &variable, err);
	if (status != STATUS_NOT_FOUND)
		return status;
	if (!payload_get_bool(specification->payload, FIELD_REQUIRED) ||
	    specification->payload->field[FIELD_DEFAULT].present)
		return STATUS_OK;
	(void)snprintf(hint, sizeof(hint), "provenv set " SLICE_FMT "%s", SLICE_ARG(key),
		       payload_get_bool(specification->payload, FIELD_SECRET) ? " --stdin"
									      : "=VALUE");
	return add(problems, key, "required, but not set", hint, err);
}

enum status op_check(struct session *session, struct problem **ret, size_t *ret_count,
		     struct error *err)
{
	struct problems problems = { .session = session };
	struct definition *specifications;
	size_t count;
	enum status status = state_specifications(&session->view, &specifications, &count, err);

	for (size_t i = 0; !status && i < count; i++)
		status = check_one(&problems, &specifications[i], err);
	if (status)
		return status;
	*ret = problems.items;
	*ret_count = problems.count;
	return STATUS_OK;
}
