/*
 * Compensating events; see op_rollback.h.
 *
 * Every difference from now to the goal becomes explicit events, in an order in which each finds
 * what it needs: categories and specifications, environments, profiles, databases, what is active,
 * removals; variables come last, grouped by plan_group_variables().
 */
#include "ops/op_rollback.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/feasible.h"
#include "ops/op_profile.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "ops/value_check.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/ref.h"

#include "base/banned.h"

#define CHANGE_SPECIFICATION "change its specification first: provenv spec set KEY, or spec rm KEY"

struct compensation {
	struct session *session;
	struct plan *plan;
	const struct diff *diff; /* from now to the goal */
	const struct state_view *goal;
	bool check_values;   /* refuse values that violate the specification in force then */
	const char *way_out; /* what to do about one that does */
	struct error *err;
};

static enum status put_definition(struct compensation *comp, const struct definition *definition)
{
	struct payload *payload = plan_event(comp->plan, definition->payload->type);

	if (!payload)
		return error_no_memory(comp->err);
	*payload = *definition->payload;
	return STATUS_OK;
}

static enum status put_named(struct compensation *comp, enum event_type type,
			     enum event_field field, struct slice name)
{
	struct payload *payload = plan_event(comp->plan, type);

	if (!payload)
		return error_no_memory(comp->err);
	payload_text(payload, field, name);
	return STATUS_OK;
}

static enum status put_in_environment(struct compensation *comp, enum event_type type,
				      const struct diff_entry *entry, struct slice name)
{
	struct payload *payload = plan_event(comp->plan, type);

	if (!payload)
		return error_no_memory(comp->err);
	payload_text(payload, FIELD_ENVIRONMENT, entry->environment);
	if (type == EVENT_DATABASE_DETACHED)
		payload_text(payload, FIELD_PROFILE, entry->profile);
	payload_text(payload, FIELD_NAME, name);
	return STATUS_OK;
}

static enum status set_langmaps(struct compensation *comp, struct payload *payload,
				struct slice title, struct slice description)
{
	struct arena *arena = &comp->session->arena;
	enum status status = payload_set_langmap(arena, payload, FIELD_TITLE, title, comp->err);

	if (!status)
		status = payload_set_langmap(arena, payload, FIELD_DESCRIPTION, description,
					     comp->err);
	return status;
}

/* Its key stands still: keys outlive their environment. */
static enum status put_environment(struct compensation *comp, const struct diff_entry *entry)
{
	const struct environment *environment = entry->after;
	struct payload *payload = plan_event(comp->plan, entry->before ? EVENT_ENVIRONMENT_CHANGED
								       : EVENT_ENVIRONMENT_CREATED);

	if (!payload)
		return error_no_memory(comp->err);
	payload_text(payload, FIELD_NAME, environment->name);
	if (!entry->before)
		payload_text(payload, FIELD_PROFILE, environment->profile);
	payload_bool(payload, FIELD_PROTECTED, environment->is_protected);
	return set_langmaps(comp, payload, environment->title, environment->description);
}

/* environment.created brings its active profile, bare: then only its fields are left to set. */
static bool made_with_environment(const struct compensation *comp, const struct diff_entry *entry)
{
	struct diff_entry like = { .kind = PLAN_ENVIRONMENT,
				   .environment = entry->environment,
				   .key = entry->environment };
	const struct diff_entry *made = diff_find(comp->diff, &like);

	return made && made->op == PLAN_ADDED &&
	       slice_equal(((const struct environment *)made->after)->profile, entry->key);
}

static enum status plan_profile(struct compensation *comp, const struct diff_entry *entry,
				enum event_type type, const struct profile *fields,
				struct slice base)
{
	struct payload *payload = plan_event(comp->plan, type);

	if (!payload)
		return error_no_memory(comp->err);
	payload_text(payload, FIELD_ENVIRONMENT, entry->environment);
	payload_text(payload, FIELD_NAME, entry->key);
	if (base.len)
		payload_text(payload, FIELD_BASE, base);
	return set_langmaps(comp, payload, fields->title, fields->description);
}

/* Does the profile come to a base that it has not now? */
static bool gets_base(const struct diff_entry *entry)
{
	const struct profile *before = entry->before, *after = entry->after;

	return entry->kind == PLAN_PROFILE && after && after->base.len &&
	       !(before && slice_equal(before->base, after->base));
}

static enum status put_profile(struct compensation *comp, const struct diff_entry *entry)
{
	const struct profile *profile = entry->after;
	bool exists = entry->before || made_with_environment(comp, entry);

	/* put_base() says all of it. */
	if (exists && gets_base(entry))
		return STATUS_OK;
	if (!entry->before && exists && !profile->title.len && !profile->description.len)
		return STATUS_OK;
	return plan_profile(comp, entry, exists ? EVENT_PROFILE_CHANGED : EVENT_PROFILE_CREATED,
			    profile, gets_base(entry) ? slice_of(NULL, 0) : profile->base);
}

static enum status put_active(struct compensation *comp, const struct diff_entry *entry)
{
	struct slice name = *(const struct slice *)entry->after;

	if (entry->environment.len == 0)
		return put_named(comp, EVENT_ENVIRONMENT_SWITCHED, FIELD_NAME, name);
	return put_in_environment(comp, EVENT_PROFILE_SWITCHED, entry, name);
}

/* The specification in force afterwards, which may come back or go with the value; NULL: none. */
static enum status specification_then(struct compensation *comp, struct slice key,
				      const struct payload **ret)
{
	struct diff_entry like = { .kind = PLAN_SPECIFICATION, .key = key };
	const struct diff_entry *entry = diff_find(comp->diff, &like);
	struct definition definition;
	enum status status;

	*ret = NULL;
	if (entry) {
		if (entry->after)
			*ret = ((const struct definition *)entry->after)->payload;
		return STATUS_OK;
	}
	status = state_specification(&comp->session->view, key, &definition, comp->err);
	if (!status)
		*ret = definition.payload;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status check_value(struct compensation *comp, const struct variable *variable)
{
	const struct payload *specification;
	struct variable_value value;
	enum status status;

	if (!comp->check_values || variable->sealed)
		return STATUS_OK;
	status = specification_then(comp, variable->key, &specification);
	if (status || !specification)
		return status;
	if (payload_get_bool(specification, FIELD_SECRET))
		return error_hint(comp->err,
				  error_set(comp->err, STATUS_INVALID,
					    "'" SLICE_FMT
					    "' is specified as secret, and its old value is plain",
					    SLICE_ARG(variable->key)),
				  "%s", comp->way_out);
	status = state_value(comp->goal, variable, &value, comp->err);
	if (!status)
		status = value_check(specification, value.text, false, comp->err);
	if (status == STATUS_INVALID)
		return error_hint(comp->err, status, "the old value no longer fits; %s",
				  comp->way_out);
	return status;
}

static enum status put_variable(struct compensation *comp, const struct diff_entry *entry)
{
	const struct variable *variable = entry->after;
	struct change change = { .profile = entry->profile, .key = entry->key };
	enum status status = STATUS_OK;

	change.op = variable ? CHANGE_COPY : CHANGE_UNSET;
	if (variable) {
		change.copy_seq = variable->value_seq;
		change.copy_index = variable->value_index;
		change.expand = variable->expand;
		status = check_value(comp, variable);
	}
	if (!status)
		status = plan_variable(comp->plan, entry->environment, &change, comp->err);
	return status;
}

static enum status put(struct compensation *comp, const struct diff_entry *entry)
{
	switch (entry->kind) {
	case PLAN_CATEGORY:
	case PLAN_SPECIFICATION:
	case PLAN_DATABASE:
		return put_definition(comp, entry->after);
	case PLAN_ENVIRONMENT:
		return put_environment(comp, entry);
	case PLAN_PROFILE:
		return put_profile(comp, entry);
	case PLAN_ACTIVE:
		return put_active(comp, entry);
	case PLAN_VARIABLE:
		return put_variable(comp, entry);
	case PLAN_STORE:
	default:
		return STATUS_OK;
	}
}

/* Is the entry inside an environment or profile that goes as a whole? Then nothing is said of it.
 */
static bool goes_with_owner(const struct compensation *comp, const struct diff_entry *entry)
{
	struct diff_entry environment = { .kind = PLAN_ENVIRONMENT,
					  .environment = entry->environment,
					  .key = entry->environment };
	struct diff_entry profile = { .kind = PLAN_PROFILE,
				      .environment = entry->environment,
				      .profile = entry->profile,
				      .key = entry->profile };
	const struct diff_entry *owner = NULL;

	if (entry->environment.len && entry->kind != PLAN_ENVIRONMENT)
		owner = diff_find(comp->diff, &environment);
	if ((!owner || owner->op != PLAN_REMOVED) && entry->profile.len &&
	    entry->kind != PLAN_PROFILE)
		owner = diff_find(comp->diff, &profile);
	return owner && owner->op == PLAN_REMOVED;
}

/*
 * Bases are let go of before anything else and taken when all profiles stand: then each finds its
 * own, no circle closes on the way, and none is missed when it goes.
 */
static enum status let_go_of_base(struct compensation *comp, const struct diff_entry *entry)
{
	const struct profile *before = entry->before;

	if (entry->kind != PLAN_PROFILE || !before || !before->base.len)
		return STATUS_OK;
	if (entry->after ? !gets_base(entry) : goes_with_owner(comp, entry))
		return STATUS_OK;
	return plan_profile(comp, entry, EVENT_PROFILE_CHANGED, before, slice_of(NULL, 0));
}

static enum status put_base(struct compensation *comp, const struct diff_entry *entry)
{
	const struct profile *profile = entry->after;

	if (!gets_base(entry))
		return STATUS_OK;
	return plan_profile(comp, entry, EVENT_PROFILE_CHANGED, profile, profile->base);
}

static enum status take_away(struct compensation *comp, const struct diff_entry *entry)
{
	switch (entry->kind) {
	case PLAN_CATEGORY:
		return put_named(comp, EVENT_CATEGORY_REMOVED, FIELD_NAME, entry->key);
	case PLAN_SPECIFICATION:
		return put_named(comp, EVENT_VARIABLE_UNSPECIFIED, FIELD_KEY, entry->key);
	case PLAN_DATABASE:
		return put_in_environment(comp, EVENT_DATABASE_DETACHED, entry, entry->key);
	case PLAN_ENVIRONMENT:
		return put_named(comp, EVENT_ENVIRONMENT_REMOVED, FIELD_NAME, entry->key);
	case PLAN_PROFILE:
		return put_in_environment(comp, EVENT_PROFILE_REMOVED, entry, entry->key);
	case PLAN_VARIABLE:
		return put_variable(comp, entry);
	case PLAN_ACTIVE:
	case PLAN_STORE:
	default:
		return STATUS_OK;
	}
}

/* Kinds in the order in which they are put, and the reverse in which they are taken away. */
static const enum plan_kind order[] = { PLAN_CATEGORY, PLAN_SPECIFICATION, PLAN_ENVIRONMENT,
					PLAN_PROFILE,  PLAN_DATABASE,      PLAN_ACTIVE,
					PLAN_VARIABLE };

enum { ORDER_COUNT = sizeof(order) / sizeof(order[0]) };

static enum status compensate(struct compensation *comp)
{
	enum status status = check_feasible(comp->session, comp->diff, comp->err);

	comp->plan->puts_back = true;
	for (size_t i = 0; i < comp->diff->count && !status; i++)
		status = let_go_of_base(comp, &comp->diff->entries[i]);
	for (size_t k = 0; k < ORDER_COUNT; k++) {
		for (size_t i = 0; i < comp->diff->count && !status; i++) {
			const struct diff_entry *entry = &comp->diff->entries[i];

			if (entry->kind == order[k] && entry->op != PLAN_REMOVED)
				status = put(comp, entry);
		}
		for (size_t i = 0; order[k] == PLAN_PROFILE && i < comp->diff->count && !status;
		     i++)
			status = put_base(comp, &comp->diff->entries[i]);
	}
	for (size_t k = ORDER_COUNT; k-- > 0;) {
		for (size_t i = 0; i < comp->diff->count && !status; i++) {
			const struct diff_entry *entry = &comp->diff->entries[i];

			if (entry->kind == order[k] && entry->op == PLAN_REMOVED &&
			    !goes_with_owner(comp, entry))
				status = take_away(comp, entry);
		}
	}
	return status;
}

static enum status note_all(struct compensation *comp)
{
	struct plan_change *changes;
	enum status status = diff_describe(comp->session, &comp->session->view, comp->goal,
					   comp->diff, &changes, comp->err);

	for (size_t i = 0; !status && i < comp->diff->count; i++)
		status = plan_note(comp->plan, &changes[i], comp->err);
	return status;
}

/* What the scope names stands now or stood then. */
static enum status check_scope(struct session *session, const struct diff_scope *scope,
			       const struct state_view *goal, struct error *err)
{
	struct environment environment;
	struct profile profile;
	enum status status = STATUS_OK;

	if (!scope->environment.len)
		return STATUS_OK;
	status = state_environment(goal, scope->environment, &environment, err);
	if (status == STATUS_NOT_FOUND)
		status = session_find_environment(session, scope->environment, &environment, err);
	if (status || !scope->profile.len)
		return status;
	status = state_profile(goal, scope->environment, scope->profile, &profile, err);
	if (status == STATUS_NOT_FOUND)
		status = session_find_profile(session, scope->environment, scope->profile, &profile,
					      err);
	return status;
}

static enum status plan_head(struct session *session, struct plan *plan,
			     const struct diff_scope *limits, uint64_t target, struct error *err)
{
	struct payload *payload = plan_event(plan, EVENT_STATE_ROLLED_BACK);
	struct buf scope = BUF_INIT;
	const char *text;

	if (limits->environment.len) {
		buf_append_slice(&scope, limits->environment);
		buf_append_byte(&scope, '/');
		buf_append_slice(&scope, limits->profile);
	} else {
		buf_append_str(&scope, "store");
	}
	text = scope.failed ? NULL : arena_str(&session->arena, buf_slice(&scope));
	buf_release(&scope);
	if (!payload || !text)
		return error_no_memory(err);
	payload_str(payload, FIELD_SCOPE, text);
	payload_uint(payload, FIELD_TARGET_SEQ, target);
	if (limits->only.len)
		payload_text(payload, FIELD_ONLY, limits->only);
	return STATUS_OK;
}

enum status decide_rollback(struct session *session, const void *rollback_args, struct plan *plan,
			    struct error *err)
{
	const struct rollback_args *args = rollback_args;
	struct diff_scope scope = { args->environment, args->profile, args->only };
	struct state_view goal;
	struct ref_point point;
	struct diff diff;
	struct compensation comp = {
		.session = session,
		.plan = plan,
		.diff = &diff,
		.goal = &goal,
		/* A whole store brings its specifications back with its values. */
		.check_values = !args->force &&
				(args->environment.len || args->profile.len || args->only.len),
		.way_out = "--force puts it back all the same",
		.err = err,
	};
	enum status status = session_ref(session, args->to, &point, err);

	if (status)
		return status;
	if (args->profile.len && !args->environment.len)
		scope.environment = session->environment;
	goal = session_view_at(session, point.seq);
	status = check_scope(session, &scope, &goal, err);
	if (!status)
		status = state_diff(session, &session->view, &goal, &scope, &diff, err);
	if (status || diff.count == 0)
		return status;
	plan->source = "rollback";
	status = plan_head(session, plan, &scope, point.seq, err);
	if (!status)
		status = compensate(&comp);
	if (!status)
		status = note_all(&comp);
	return status;
}

enum status decide_restore(struct session *session, const void *restore_args, struct plan *plan,
			   struct error *err)
{
	const struct restore_args *args = restore_args;
	struct diff_side now = { &session->view, session->environment, session->profile };
	struct state_view then;
	struct diff_side past = { &then, session->environment, session->profile };
	struct variable variable;
	struct ref_point point;
	struct diff diff;
	struct compensation comp = { .session = session,
				     .plan = plan,
				     .diff = &diff,
				     .goal = &then,
				     .check_values = true,
				     .way_out = CHANGE_SPECIFICATION,
				     .err = err };
	enum status status = text_is_key(args->key)
				     ? session_ref(session, args->from, &point, err)
				     : error_set(err, STATUS_USAGE, "not a variable's key");

	if (status)
		return status;
	then = session_view_at(session, point.seq);
	status = state_variable(&then, session->environment, session->profile, args->key, &variable,
				err);
	if (status == STATUS_NOT_FOUND)
		return error_hint(err,
				  error_set(err, status,
					    "'" SLICE_FMT "' was not set in " SLICE_FMT
					    "/" SLICE_FMT " at event %" PRIu64,
					    SLICE_ARG(args->key), SLICE_ARG(session->environment),
					    SLICE_ARG(session->profile), point.seq),
				  "see when it was: provenv log " SLICE_FMT, SLICE_ARG(args->key));
	if (!status)
		status = profile_diff(session, &now, &past, args->key, &diff, err);
	plan->source = "restore";
	if (!status)
		status = compensate(&comp);
	if (!status)
		status = note_all(&comp);
	return status;
}

/* The reverse of what the command did, provided that it still stands. */
static enum status reverse(struct session *session, const struct diff *done,
			   const struct diff *since, struct diff *ret, struct error *err)
{
	struct diff_entry *entries = arena_array(&session->arena, done->count, sizeof(*entries));

	if (!entries)
		return error_no_memory(err);
	for (size_t i = 0; i < done->count; i++) {
		if (diff_find(since, &done->entries[i]))
			return error_hint(err,
					  error_set(err, STATUS_CONFLICT,
						    "'" SLICE_FMT "' was changed again since",
						    SLICE_ARG(done->entries[i].key)),
					  "see how: provenv log; or put single keys back with "
					  "provenv restore KEY --from REF");
		entries[i] = done->entries[i];
		entries[i].before = done->entries[i].after;
		entries[i].after = done->entries[i].before;
		if (entries[i].op != PLAN_CHANGED)
			entries[i].op = entries[i].op == PLAN_ADDED ? PLAN_REMOVED : PLAN_ADDED;
	}
	*ret = (struct diff){ .entries = entries, .count = done->count };
	return STATUS_OK;
}

/* Did anything else appear inside what the command made, and would go with it? */
static enum status check_inside(const struct diff *reversed, const struct diff *since,
				struct error *err)
{
	for (size_t i = 0; i < reversed->count; i++) {
		const struct diff_entry *gone = &reversed->entries[i];
		bool is_environment = gone->kind == PLAN_ENVIRONMENT;

		if (gone->op != PLAN_REMOVED || (!is_environment && gone->kind != PLAN_PROFILE))
			continue;
		for (size_t j = 0; j < since->count; j++) {
			if (slice_equal(since->entries[j].environment, gone->environment) &&
			    (is_environment ||
			     slice_equal(since->entries[j].profile, gone->profile)))
				return error_set(
					err, STATUS_CONFLICT,
					"'" SLICE_FMT "' inside '" SLICE_FMT "' was changed since",
					SLICE_ARG(since->entries[j].key), SLICE_ARG(gone->key));
		}
	}
	return STATUS_OK;
}

enum status decide_revert(struct session *session, const void *revert_args, struct plan *plan,
			  struct error *err)
{
	const struct revert_args *args = revert_args;
	struct diff_scope everything = { .only = slice_of(NULL, 0) };
	struct state_view before, after;
	struct diff done, since, reversed;
	struct compensation comp = { .session = session,
				     .plan = plan,
				     .diff = &reversed,
				     .goal = &before,
				     .check_values = true,
				     .way_out = CHANGE_SPECIFICATION,
				     .err = err };
	struct ref_point point;
	uint64_t first, last;
	enum status status = session_ref(session, args->event, &point, err);

	if (!status)
		status = ref_command_range(session->log, point.seq, &first, &last, err);
	if (!status && first == 1)
		return error_set(err, STATUS_DENIED, "the store's creation cannot be reverted");
	if (status)
		return status;
	before = session_view_at(session, first - 1);
	after = session_view_at(session, last);
	status = state_diff(session, &before, &after, &everything, &done, err);
	if (!status && done.count == 0)
		return error_hint(err,
				  error_set(err, STATUS_DENIED,
					    "event %" PRIu64
					    " changed nothing that can be reverted",
					    point.seq),
				  "locks: provenv env lock, provenv env unlock");
	if (!status)
		status = state_diff(session, &after, &session->view, &everything, &since, err);
	if (!status)
		status = reverse(session, &done, &since, &reversed, err);
	if (!status)
		status = check_inside(&reversed, &since, err);
	plan->source = "revert";
	if (!status)
		status = compensate(&comp);
	if (!status)
		status = note_all(&comp);
	return status;
}
