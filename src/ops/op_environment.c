/*
 * Decisions about environments; see op_environment.h.
 */
#include "ops/op_environment.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/op_profile.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/seal.h"

#include "base/banned.h"

bool environment_is_locked(const struct environment *environment, uint64_t now_ms)
{
	return environment->locked &&
	       (environment->until_ms == 0 || environment->until_ms > now_ms);
}

static enum status note(struct plan *plan, enum plan_op op, struct slice name, const char *before,
			const char *after, struct error *err)
{
	struct plan_change change = {
		.kind = PLAN_ENVIRONMENT,
		.op = op,
		.environment = name,
		.key = name,
		.before = slice_str(before),
		.after = slice_str(after),
	};

	return plan_note(plan, &change, err);
}

/* A name that is well-formed and not taken. */
static enum status check_new(struct session *session, struct slice name, struct error *err)
{
	struct environment taken;
	enum status status;

	if (!text_is_name(name))
		return error_hint(err,
				  error_set(err, STATUS_USAGE, "not a name for an environment"),
				  "names are letters, digits, '_', '.' and '-', at most %d, "
				  "beginning with a letter or digit",
				  NAME_BYTES_MAX);
	status = state_environment(&session->view, name, &taken, err);
	if (status == STATUS_OK)
		return error_set(err, STATUS_CONFLICT, "environment '" SLICE_FMT "' exists",
				 SLICE_ARG(name));
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* One reader: the session's own key. More come with roles. */
static enum status plan_key(struct session *session, struct plan *plan, struct slice name,
			    uint64_t generation, struct error *err)
{
	AUTO(secret_release) struct secret private_key = SECRET_INIT;
	uint8_t *public_key = arena_alloc(&session->arena, PUBLIC_KEY_BYTES);
	uint8_t *sealed = arena_alloc(&session->arena, WRAPPED_KEY_BYTES);
	struct reader *reader = arena_alloc(&session->arena, sizeof(*reader));
	struct payload *payload = plan_event(plan, EVENT_ENVIRONMENT_KEYED);
	enum status status;

	if (!public_key || !sealed || !reader || !payload)
		return error_no_memory(err);
	status = seal_keypair(public_key, &private_key, err);
	if (!status)
		status = seal_key_to_reader(&private_key, session->signer.public_key, sealed, err);
	if (status)
		return status;
	reader->key_id = slice_of(session->signer.key_id, KEY_ID_BYTES);
	reader->sealed_key = slice_of(sealed, WRAPPED_KEY_BYTES);
	payload_text(payload, FIELD_NAME, name);
	payload_uint(payload, FIELD_GENERATION, generation);
	payload_text(payload, FIELD_PUBLIC_KEY, slice_of(public_key, PUBLIC_KEY_BYTES));
	payload_readers(payload, FIELD_READERS, (struct readers){ .entries = reader, .count = 1 });
	return STATUS_OK;
}

enum status plan_environment(struct session *session, struct plan *plan,
			     const struct payload *definition, uint64_t generation,
			     struct error *err)
{
	struct payload *created = plan_event(plan, EVENT_ENVIRONMENT_CREATED);

	if (!created)
		return error_no_memory(err);
	*created = *definition;
	return plan_key(session, plan, payload_get_text(definition, FIELD_NAME), generation, err);
}

/* Keys of an environment outlive it, so that a name used again goes on counting. */
static enum status next_generation(struct session *session, struct slice name, uint64_t *ret,
				   struct error *err)
{
	struct definition last;
	enum status status = state_environment_key(&session->view, name, 0, &last, err);

	if (status == STATUS_NOT_FOUND)
		*ret = 1;
	else if (status == STATUS_OK)
		*ret = payload_get_uint(last.payload, FIELD_GENERATION) + 1;
	else
		return status;
	return STATUS_OK;
}

static enum status set_texts(struct session *session, struct payload *payload,
			     const struct environment_args *args, struct error *err)
{
	return payload_set_texts(&session->arena, payload, args->title, args->description, err);
}

enum status decide_environment_create(struct session *session, const void *args, struct plan *plan,
				      struct error *err)
{
	const struct environment_args *wanted = args;
	struct payload definition;
	uint64_t generation;
	enum status status = check_new(session, wanted->name, err);

	if (status)
		return status;
	payload_init(&definition, EVENT_ENVIRONMENT_CREATED);
	payload_text(&definition, FIELD_NAME, wanted->name);
	payload_str(&definition, FIELD_PROFILE, "default");
	payload_bool(&definition, FIELD_PROTECTED, wanted->is_protected);
	status = set_texts(session, &definition, wanted, err);
	if (!status)
		status = next_generation(session, wanted->name, &generation, err);
	if (!status)
		status = plan_environment(session, plan, &definition, generation, err);
	if (!status)
		status = note(plan, PLAN_ADDED, wanted->name, "", "", err);
	return status;
}

/* environment.changed with the environment's own fields, to be altered by the caller. */
static enum status fill_changed(struct session *session, const struct environment *environment,
				struct payload *payload, struct error *err)
{
	enum status status;

	payload_init(payload, EVENT_ENVIRONMENT_CHANGED);
	payload_text(payload, FIELD_NAME, environment->name);
	payload_bool(payload, FIELD_PROTECTED, environment->is_protected);
	status =
		payload_set_langmap(&session->arena, payload, FIELD_TITLE, environment->title, err);
	if (!status)
		status = payload_set_langmap(&session->arena, payload, FIELD_DESCRIPTION,
					     environment->description, err);
	return status;
}

enum status decide_environment_edit(struct session *session, const void *args, struct plan *plan,
				    struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload was, is;
	bool equal = false;
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (!status)
		status = fill_changed(session, &environment, &was, err);
	if (status)
		return status;
	is = was;
	status = set_texts(session, &is, wanted, err);
	if (!status)
		status = payload_same(&was, &is, &equal, err);
	if (status || equal)
		return status;
	status = plan_copy(plan, &is, err);
	if (!status)
		status = note(plan, PLAN_CHANGED, environment.name, "", "", err);
	return status;
}

enum status decide_environment_protect(struct session *session, const void *args, struct plan *plan,
				       struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload payload;
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (status || environment.is_protected == wanted->is_protected)
		return status;
	status = fill_changed(session, &environment, &payload, err);
	payload_bool(&payload, FIELD_PROTECTED, wanted->is_protected);
	if (!status)
		status = plan_copy(plan, &payload, err);
	if (status)
		return status;
	return note(plan, PLAN_CHANGED, environment.name,
		    environment.is_protected ? "protected" : "not protected",
		    wanted->is_protected ? "protected" : "not protected", err);
}

/* An event that needs only the name of an environment. */
static enum status plan_named(struct plan *plan, const struct environment *environment,
			      enum event_type type, struct payload **ret, struct error *err)
{
	struct payload *payload = plan_event(plan, type);

	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_NAME, environment->name);
	*ret = payload;
	return STATUS_OK;
}

enum status decide_environment_remove(struct session *session, const void *args, struct plan *plan,
				      struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload *payload = NULL;
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (!status)
		status = plan_named(plan, &environment, EVENT_ENVIRONMENT_REMOVED, &payload, err);
	if (status)
		return status;
	if (environment.active)
		return error_hint(err,
				  error_set(err, STATUS_DENIED,
					    "environment '" SLICE_FMT "' is the active one",
					    SLICE_ARG(environment.name)),
				  "switch to another first: provenv env switch NAME");
	return note(plan, PLAN_REMOVED, environment.name, "", "", err);
}

enum status decide_environment_switch(struct session *session, const void *args, struct plan *plan,
				      struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload *payload = NULL;
	struct plan_change change = { .kind = PLAN_ACTIVE, .op = PLAN_CHANGED };
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (status || environment.active)
		return status;
	status = state_active_environment(&session->view, &change.before, err);
	if (!status)
		status = plan_named(plan, &environment, EVENT_ENVIRONMENT_SWITCHED, &payload, err);
	if (status)
		return status;
	change.key = slice_str("environment");
	change.after = environment.name;
	return plan_note(plan, &change, err);
}

enum status decide_environment_lock(struct session *session, const void *args, struct plan *plan,
				    struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload *payload = NULL;
	char until[64] = "locked", when[32];
	const char *text;
	uint64_t until_ms = wanted->until_ms;
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (wanted->until_in_ms)
		until_ms = session->now_ms + wanted->until_in_ms;
	if (!status && until_ms && until_ms <= session->now_ms)
		status = error_set(err, STATUS_USAGE, "the lock would end before it begins");
	if (!status)
		status = plan_named(plan, &environment, EVENT_ENVIRONMENT_LOCKED, &payload, err);
	if (status)
		return status;
	if (until_ms) {
		payload_uint(payload, FIELD_UNTIL_MS, until_ms);
		text_from_time_ms(until_ms, when);
		(void)snprintf(until, sizeof(until), "locked until %s", when);
	}
	text = arena_str(&session->arena, slice_str(until));
	if (!text)
		return error_no_memory(err);
	return note(plan, PLAN_CHANGED, environment.name, environment.locked ? "locked" : "", text,
		    err);
}

enum status decide_environment_unlock(struct session *session, const void *args, struct plan *plan,
				      struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment environment;
	struct payload *payload = NULL;
	enum status status = session_find_environment(session, wanted->name, &environment, err);

	if (status || !environment.locked)
		return status;
	status = plan_named(plan, &environment, EVENT_ENVIRONMENT_UNLOCKED, &payload, err);
	if (!status)
		status = note(plan, PLAN_CHANGED, environment.name, "locked", "", err);
	return status;
}

static enum status clone_profiles(struct session *session, struct plan *plan,
				  const struct environment *source, struct slice name,
				  struct error *err)
{
	struct profile *profiles;
	size_t count;
	enum status status = state_profiles(&session->view, source->name, &profiles, &count, err);

	for (size_t i = 0; i < count && !status; i++) {
		struct profile_copy copy = {
			.from = &profiles[i],
			.environment = name,
			.name = profiles[i].name,
			.bare = slice_equal(profiles[i].name, source->profile),
		};

		status = plan_profile_copy(session, plan, &copy, err);
	}
	return status;
}

enum status decide_environment_clone(struct session *session, const void *args, struct plan *plan,
				     struct error *err)
{
	const struct environment_args *wanted = args;
	struct environment source;
	struct payload definition;
	uint64_t generation;
	enum status status = session_find_environment(session, wanted->name, &source, err);

	if (!status)
		status = check_new(session, wanted->new_name, err);
	if (!status)
		status = next_generation(session, wanted->new_name, &generation, err);
	if (status)
		return status;
	payload_init(&definition, EVENT_ENVIRONMENT_CREATED);
	payload_text(&definition, FIELD_NAME, wanted->new_name);
	payload_text(&definition, FIELD_PROFILE, source.profile);
	payload_bool(&definition, FIELD_PROTECTED, source.is_protected);
	status = payload_set_langmap(&session->arena, &definition, FIELD_TITLE, source.title, err);
	if (!status)
		status = payload_set_langmap(&session->arena, &definition, FIELD_DESCRIPTION,
					     source.description, err);
	if (!status)
		status = plan_environment(session, plan, &definition, generation, err);
	if (!status)
		status = note(plan, PLAN_ADDED, wanted->new_name, "", "", err);
	if (!status)
		status = clone_profiles(session, plan, &source, wanted->new_name, err);
	return status;
}
