/*
 * Decisions about profiles; see op_profile.h.
 */
#include "ops/op_profile.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/catalogue.h"
#include "ops/plan.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/payload_clone.h"

#include "base/banned.h"

static void decoder_cleanup(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

enum status payload_set_langmap(struct arena *arena, struct payload *payload,
				enum event_field field, struct slice bytes, struct error *err)
{
	AUTO(decoder_cleanup) struct event_decoder *decoder = NULL;
	const struct payload *kept;
	struct payload one;
	enum status status;

	payload->field[field].present = false;
	if (bytes.len == 0)
		return STATUS_OK;
	payload_init(&one, payload->type);
	status = event_decoder_new(&decoder, err);
	if (!status)
		status = langmap_decode(decoder, bytes, &one.field[field].langmap, err);
	if (status)
		return status;
	one.field[field].present = true;
	status = payload_clone(arena, &one, &kept, err);
	if (!status)
		payload->field[field] = kept->field[field];
	return status;
}

static enum status set_text(struct arena *arena, struct payload *payload, enum event_field field,
			    const char *text, struct error *err)
{
	struct langmap map;

	if (!text)
		return STATUS_OK;
	payload->field[field].present = false;
	if (!*text)
		return STATUS_OK;
	if (strlen(text) > TEXT_BYTES_MAX || !text_is_value(slice_str(text)))
		return error_set(err, STATUS_USAGE, "--%s: not UTF-8 text of at most %d bytes",
				 event_field_info(field)->name, TEXT_BYTES_MAX);
	map = langmap_of(arena, slice_str(text));
	if (!map.entries)
		return error_no_memory(err);
	payload_langmap(payload, field, map);
	return STATUS_OK;
}

enum status payload_set_texts(struct arena *arena, struct payload *payload, const char *title,
			      const char *description, struct error *err)
{
	enum status status = set_text(arena, payload, FIELD_TITLE, title, err);

	if (!status)
		status = set_text(arena, payload, FIELD_DESCRIPTION, description, err);
	return status;
}

enum status payload_same(const struct payload *a, const struct payload *b, bool *ret,
			 struct error *err)
{
	AUTO(buf_release) struct buf left = BUF_INIT;
	AUTO(buf_release) struct buf right = BUF_INIT;
	enum status status = payload_encode(a, &left, err);

	if (!status)
		status = payload_encode(b, &right, err);
	if (!status)
		*ret = a->type == b->type && slice_equal(buf_slice(&left), buf_slice(&right));
	return status;
}

static enum status note(struct plan *plan, enum plan_op op, struct slice environment,
			struct slice name, struct error *err)
{
	struct plan_change change = {
		.kind = PLAN_PROFILE,
		.op = op,
		.environment = environment,
		.profile = name,
		.key = name,
	};

	return plan_note(plan, &change, err);
}

/* A variable of a copied profile: by pointer within its environment, sealed anew across them. */
static enum status copy_variable(struct session *session, struct plan *plan,
				 const struct profile_copy *copy, const struct variable *variable,
				 struct error *err)
{
	struct change change = {
		.profile = copy->name,
		.key = variable->key,
		.op = CHANGE_COPY,
		.copy_seq = variable->value_seq,
		.copy_index = variable->value_index,
		.expand = variable->expand,
	};
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	struct variable_value value;
	struct plan_change noted = {
		.kind = PLAN_VARIABLE,
		.op = PLAN_ADDED,
		.environment = copy->environment,
		.profile = copy->name,
		.key = variable->key,
		.after_secret = variable->sealed,
	};
	enum status status = state_value(&session->view, variable, &value, err);

	if (status)
		return status;
	noted.after = value.text;
	status = plan_note(plan, &noted, err);
	if (status || !variable->sealed || slice_equal(value.sealed_environment, copy->environment))
		return status ? status : plan_variable(plan, copy->environment, &change, err);
	change.copy_seq = 0;
	change.copy_index = 0;
	status = secrets_open(session, variable, &value, &opened, err);
	if (!status)
		status = plan_secret(plan, copy->environment, &change, &opened, err);
	return status;
}

static enum status copy_databases(struct session *session, struct plan *plan,
				  const struct profile_copy *copy, struct error *err)
{
	struct definition *databases;
	size_t count;
	enum status status = state_databases(&session->view, copy->from->environment,
					     copy->from->name, &databases, &count, err);

	for (size_t i = 0; i < count && !status; i++) {
		struct payload *payload = plan_event(plan, EVENT_DATABASE_ATTACHED);

		if (!payload)
			return error_no_memory(err);
		*payload = *databases[i].payload;
		payload_text(payload, FIELD_ENVIRONMENT, copy->environment);
		payload_text(payload, FIELD_PROFILE, copy->name);
	}
	return status;
}

/* Title and description of the source; those given on the command line come after. */
static enum status like_source(struct session *session, const struct profile *source,
			       struct payload *payload, struct error *err)
{
	enum status status =
		payload_set_langmap(&session->arena, payload, FIELD_TITLE, source->title, err);

	return status ? status
		      : payload_set_langmap(&session->arena, payload, FIELD_DESCRIPTION,
					    source->description, err);
}

/* The copy itself: created, or where environment.created made it, given what that left out. */
static enum status put_copy(struct session *session, struct plan *plan,
			    const struct profile_copy *copy, struct error *err)
{
	const struct profile *from = copy->from;
	struct payload *payload = NULL;
	enum status status;

	if (copy->bare && !from->title.len && !from->description.len)
		return STATUS_OK;
	payload = plan_event(plan, copy->bare ? EVENT_PROFILE_CHANGED : EVENT_PROFILE_CREATED);
	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_ENVIRONMENT, copy->environment);
	payload_text(payload, FIELD_NAME, copy->name);
	status = like_source(session, from, payload, err);
	if (!status && !copy->bare)
		status = note(plan, PLAN_ADDED, copy->environment, copy->name, err);
	return status;
}

enum status plan_profile_copy(struct session *session, struct plan *plan,
			      const struct profile_copy *copy, struct error *err)
{
	struct variable *variables;
	size_t count;
	enum status status = copy->exists ? STATUS_OK : put_copy(session, plan, copy, err);

	plan->source = "clone";
	if (!status)
		status = copy_databases(session, plan, copy, err);
	if (!status)
		status = state_variables(&session->view, copy->from->environment, copy->from->name,
					 &variables, &count, err);
	for (size_t i = 0; !status && i < count; i++)
		status = copy_variable(session, plan, copy, &variables[i], err);
	return status;
}

static enum status check_new(struct session *session, struct slice name, struct error *err)
{
	struct profile taken;
	enum status status;

	if (!text_is_name(name))
		return error_hint(err, error_set(err, STATUS_USAGE, "not a name for a profile"),
				  "names are letters, digits, '_', '.' and '-', at most %d, "
				  "beginning with a letter or digit",
				  NAME_BYTES_MAX);
	status = state_profile(&session->view, session->environment, name, &taken, err);
	if (status == STATUS_OK)
		return error_set(err, STATUS_CONFLICT,
				 "profile '" SLICE_FMT "' exists in '" SLICE_FMT "'",
				 SLICE_ARG(name), SLICE_ARG(session->environment));
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status decide_profile_create(struct session *session, const void *args, struct plan *plan,
				  struct error *err)
{
	const struct profile_args *wanted = args;
	struct profile source;
	struct profile_copy copy = { .from = &source,
				     .environment = session->environment,
				     .name = wanted->name,
				     .exists = true };
	struct payload *payload = NULL;
	enum status status = check_new(session, wanted->name, err);

	if (!status && wanted->from.len)
		status = session_find_profile(session, session->environment, wanted->from, &source,
					      err);
	if (status)
		return status;
	payload = plan_event(plan, EVENT_PROFILE_CREATED);
	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_ENVIRONMENT, session->environment);
	payload_text(payload, FIELD_NAME, wanted->name);
	if (wanted->from.len)
		status = like_source(session, &source, payload, err);
	if (!status)
		status = payload_set_texts(&session->arena, payload, wanted->title,
					   wanted->description, err);
	if (!status)
		status = note(plan, PLAN_ADDED, session->environment, wanted->name, err);
	if (!status && wanted->from.len)
		status = plan_profile_copy(session, plan, &copy, err);
	return status;
}

enum status decide_profile_edit(struct session *session, const void *args, struct plan *plan,
				struct error *err)
{
	const struct profile_args *wanted = args;
	struct profile profile;
	struct payload was, is;
	bool equal = false;
	enum status status =
		session_find_profile(session, session->environment, wanted->name, &profile, err);

	if (status)
		return status;
	payload_init(&was, EVENT_PROFILE_CHANGED);
	payload_text(&was, FIELD_ENVIRONMENT, session->environment);
	payload_text(&was, FIELD_NAME, profile.name);
	if (profile.base.len)
		payload_text(&was, FIELD_BASE, profile.base);
	status = payload_set_langmap(&session->arena, &was, FIELD_TITLE, profile.title, err);
	if (!status)
		status = payload_set_langmap(&session->arena, &was, FIELD_DESCRIPTION,
					     profile.description, err);
	is = was;
	if (!status)
		status = payload_set_texts(&session->arena, &is, wanted->title, wanted->description,
					   err);
	if (!status)
		status = payload_same(&was, &is, &equal, err);
	if (status || equal)
		return status;
	status = plan_copy(plan, &is, err);
	if (!status)
		status = note(plan, PLAN_CHANGED, session->environment, profile.name, err);
	return status;
}

/* An event that needs only environment and name of an existing profile. */
static enum status plan_named(struct session *session, struct plan *plan, enum event_type type,
			      const struct profile *profile, struct error *err)
{
	struct payload *payload = plan_event(plan, type);

	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_ENVIRONMENT, session->environment);
	payload_text(payload, FIELD_NAME, profile->name);
	return STATUS_OK;
}

enum status decide_profile_switch(struct session *session, const void *args, struct plan *plan,
				  struct error *err)
{
	const struct profile_args *wanted = args;
	struct environment environment;
	struct profile profile;
	struct plan_change change = { .kind = PLAN_ACTIVE, .op = PLAN_CHANGED };
	enum status status =
		session_find_profile(session, session->environment, wanted->name, &profile, err);

	if (status || profile.active)
		return status;
	status = state_environment(&session->view, session->environment, &environment, err);
	if (!status)
		status = plan_named(session, plan, EVENT_PROFILE_SWITCHED, &profile, err);
	if (status)
		return status;
	change.environment = session->environment;
	change.key = slice_str("profile");
	change.before = environment.profile;
	change.after = profile.name;
	return plan_note(plan, &change, err);
}

enum status decide_profile_remove(struct session *session, const void *args, struct plan *plan,
				  struct error *err)
{
	const struct profile_args *wanted = args;
	struct profile profile, *all;
	size_t count;
	enum status status =
		session_find_profile(session, session->environment, wanted->name, &profile, err);

	if (status)
		return status;
	if (profile.active)
		return error_hint(
			err,
			error_set(err, STATUS_DENIED,
				  "profile '" SLICE_FMT "' is the active one of '" SLICE_FMT "'",
				  SLICE_ARG(profile.name), SLICE_ARG(session->environment)),
			"switch to another first: provenv profile switch NAME");
	status = state_profiles(&session->view, session->environment, &all, &count, err);
	for (size_t i = 0; !status && i < count; i++) {
		if (slice_equal(all[i].base, profile.name))
			status = error_set(err, STATUS_DENIED,
					   "profile '" SLICE_FMT "' is the base of '" SLICE_FMT "'",
					   SLICE_ARG(profile.name), SLICE_ARG(all[i].name));
	}
	if (!status)
		status = plan_named(session, plan, EVENT_PROFILE_REMOVED, &profile, err);
	if (!status)
		status = note(plan, PLAN_REMOVED, session->environment, profile.name, err);
	return status;
}
