/*
 * History from the log; see op_history.h.
 */
#include "ops/op_history.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_reader.h"

#include "base/banned.h"

static bool changes_key(const struct payload *payload, const struct history_filter *filter)
{
	const struct changes *changes = &payload->field[FIELD_CHANGES].changes;

	if (payload->type == EVENT_VARIABLE_SPECIFIED ||
	    payload->type == EVENT_VARIABLE_UNSPECIFIED)
		return slice_equal(payload_get_text(payload, FIELD_KEY), filter->key);
	if (payload->type != EVENT_VARIABLES_CHANGED)
		return false;
	if (filter->environment.len &&
	    !slice_equal(payload_environment(payload), filter->environment))
		return false;
	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->entries[i];

		if (slice_equal(change->key, filter->key) &&
		    (!filter->profile.len || slice_equal(change->profile, filter->profile)))
			return true;
	}
	return false;
}

/* "environment.created", or the family "environment". */
static bool is_type(struct slice name, struct slice wanted)
{
	if (slice_equal(name, wanted))
		return true;
	return name.len > wanted.len && name.data[wanted.len] == '.' &&
	       memcmp(name.data, wanted.data, wanted.len) == 0;
}

static bool passes(struct session *session, const struct read_event *read,
		   const struct history_filter *filter)
{
	const struct event *event = &read->decoded.event;

	if (event->time_ms > filter->until_ms)
		return false;
	if (filter->type.len && !is_type(read->decoded.type_name, filter->type))
		return false;
	if (filter->actor.len && !slice_equal(session_actor(session, event), filter->actor))
		return false;
	return !filter->key.len || (!read->newer && changes_key(&event->payload, filter));
}

enum status op_history(struct session *session, const struct history_filter *filter,
		       history_visit visit, void *context, struct error *err)
{
	uint64_t seq = session->projection ? session->point.seq : session->log->size;
	uint64_t shown = 0;

	for (; seq >= 1 && (!filter->max || shown < filter->max); seq--) {
		const struct read_event *event;
		enum status status = session_event(session, seq, &event, err);

		/* Times never decrease, so everything before is older still. */
		if (!status && event->decoded.event.time_ms < filter->since_ms)
			break;
		if (!status && !passes(session, event, filter))
			continue;
		if (!status)
			status = visit(context, session, event, err);
		if (status)
			return status;
		shown++;
	}
	return STATUS_OK;
}

enum status op_history_range(struct session *session, struct history_range *ret, struct error *err)
{
	const struct read_event *event;
	enum status status = session_event(session, 1, &event, err);

	if (status)
		return status;
	ret->first_seq = 1;
	ret->first_ms = event->decoded.event.time_ms;
	status = session_event(session, session->log->size, &event, err);
	if (status)
		return status;
	ret->last_seq = session->log->size;
	ret->last_ms = event->decoded.event.time_ms;
	return STATUS_OK;
}

/* What stood under the key just before the event that put it in force. */
static enum status blame_before(struct session *session, struct blame_line *line, struct error *err)
{
	struct state_view before = session_view_at(session, line->info.seq - 1);
	struct variable_value value;
	struct variable variable;
	enum status status = state_variable(&before, session->environment, session->profile,
					    line->info.key, &variable, err);

	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (!status)
		status = state_value(&before, &variable, &value, err);
	if (status)
		return status;
	line->had_before = true;
	line->before_secret = variable.sealed;
	line->before = value.text;
	return STATUS_OK;
}

enum status op_blame(struct session *session, struct slice key, struct blame_line **ret,
		     size_t *ret_count, struct error *err)
{
	struct variable_info one, *infos = &one;
	struct blame_line *lines;
	size_t count = 1, kept = 0;
	enum status status = key.len ? op_get(session, key, false, &one, err)
				     : op_list(session, key, false, &infos, &count, err);

	if (status)
		return status;
	lines = arena_array(&session->arena, count, sizeof(*lines));
	if (!lines)
		return error_no_memory(err);
	for (size_t i = 0; i < count && !status; i++) {
		if (!key.len && infos[i].origin != ORIGIN_OWN)
			continue;
		lines[kept] = (struct blame_line){ .info = infos[i] };
		if (infos[i].origin == ORIGIN_OWN)
			status = blame_before(session, &lines[kept], err);
		kept++;
	}
	if (status)
		return status;
	*ret = lines;
	*ret_count = kept;
	return STATUS_OK;
}

enum status op_event_changes(struct session *session, uint64_t seq, struct plan_change **ret,
			     size_t *ret_count, struct error *err)
{
	struct state_view before = session_view_at(session, seq - 1);
	struct state_view after = session_view_at(session, seq);
	struct diff_scope everything = { .only = slice_of(NULL, 0) };
	struct diff diff;
	enum status status = state_diff(session, &before, &after, &everything, &diff, err);

	if (!status)
		status = diff_describe(session, &before, &after, &diff, ret, err);
	if (!status)
		*ret_count = diff.count;
	return status;
}
