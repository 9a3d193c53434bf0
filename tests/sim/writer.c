/*
 * Doing operations through ops; see writer.h.
 */
#include "sim/writer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/commit.h"
#include "ops/op_catalogue.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "ops/op_rollback.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "sim/operation.h"
#include "store/event.h"
#include "store/store.h"

#include "base/banned.h"

static const char *const all_environments[] = { "development", "testing", "production", "e1",
						"e2" };

/* --- planned as it stands --------------------------------------------------------------------- */

static enum status decide_base(struct session *session, const void *args, struct plan *plan,
			       struct error *err)
{
	const struct operation *op = args;
	struct payload *payload = plan_event(plan, EVENT_PROFILE_CHANGED);
	struct profile profile;
	enum status status = state_profile(&session->view, slice_str(op->environment),
					   slice_str(op->name), &profile, err);

	if (!payload)
		return error_no_memory(err);
	payload_str(payload, FIELD_ENVIRONMENT, op->environment);
	payload_str(payload, FIELD_NAME, op->name);
	if (*op->other)
		payload_str(payload, FIELD_BASE, op->other);
	if (status)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	return payload_set_langmap(&session->arena, payload, FIELD_TITLE, profile.title, err);
}

static enum status decide_database(struct session *session, const void *args, struct plan *plan,
				   struct error *err)
{
	const struct operation *op = args;
	bool attach = op->kind == OP_ATTACH;
	struct payload *payload =
		plan_event(plan, attach ? EVENT_DATABASE_ATTACHED : EVENT_DATABASE_DETACHED);

	(void)session;
	if (!payload)
		return error_no_memory(err);
	payload_str(payload, FIELD_ENVIRONMENT, op->environment);
	payload_str(payload, FIELD_PROFILE, op->profile);
	payload_str(payload, FIELD_NAME, op->name);
	if (attach) {
		payload_str(payload, FIELD_KIND, "file");
		payload_str(payload, FIELD_PATH, op->values[0]);
	}
	return STATUS_OK;
}

static enum status decide_broken(struct session *session, const void *args, struct plan *plan,
				 struct error *err)
{
	const struct operation *op = args;
	struct payload *defined = plan_event(plan, EVENT_CATEGORY_DEFINED);
	struct payload *removed = plan_event(plan, EVENT_ENVIRONMENT_REMOVED);

	(void)session;
	if (!defined || !removed)
		return error_no_memory(err);
	payload_str(defined, FIELD_NAME, op->name);
	payload_bool(defined, FIELD_PLANNED, true);
	payload_str(removed, FIELD_NAME, "never");
	return STATUS_OK;
}

/* --- arguments -------------------------------------------------------------------------------- */

/* Arguments of any decide function. */
struct arguments {
	decide_fn decide;
	const void *args;
	struct assignment assignments[SIM_KEYS];
	struct secret secrets[SIM_KEYS];
	struct slice keys[SIM_KEYS];
	struct set_args set;
	struct unset_args unset;
	struct environment_args environment;
	struct profile_args profile;
	struct category_args category;
	struct specification_args specification;
	struct rollback_args rollback;
	struct restore_args restore;
	struct revert_args revert;
	char target[24];
};

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static enum status fill_variables(struct arguments *args, const struct operation *op,
				  struct error *err)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < op->count && !status; i++) {
		args->keys[i] = slice_str(op->keys[i]);
		args->assignments[i] = (struct assignment){ .key = args->keys[i] };
		if (!op->secret) {
			args->assignments[i].value = slice_str(op->values[i]);
			continue;
		}
		status = secret_copy(&args->secrets[i], slice_str(op->values[i]), err);
		args->assignments[i].hidden = &args->secrets[i];
	}
	args->set = (struct set_args){ args->assignments, op->count,
				       op->secret ? SET_SECRET : SET_PLAIN };
	args->unset = (struct unset_args){ args->keys, op->count };
	return status;
}

static void fill_others(struct arguments *args, const struct operation *op)
{
	(void)snprintf(args->target, sizeof(args->target), "%" PRIu64, op->target);
	args->environment = (struct environment_args){
		.name = slice_str(op->name),
		.new_name = slice_str(op->other),
		.title = op->title,
		.is_protected = op->flag,
		.until_in_ms = op->number,
	};
	args->profile = (struct profile_args){
		.name = slice_str(op->name),
		.from = slice_str(op->other),
		.title = op->kind == OP_PROFILE_CREATE ? or_null(op->title) : op->title,
	};
	args->category = (struct category_args){
		.name = slice_str(op->name),
		.title = op->title,
		.planned = op->flag,
		.planned_given = true,
	};
	args->specification = (struct specification_args){
		.key = slice_str(op->name),
		.type = op->number ? "int" : "string",
		.category = op->other,
		.default_value = op->values[0],
		.required = op->flag,
		.secret = op->secret,
	};
	args->rollback = (struct rollback_args){
		.to = args->target,
		.environment = slice_str(op->environment),
		.profile = slice_str(op->profile),
		.only = op->count ? args->keys[0] : slice_str(""),
		.force = op->flag,
	};
	args->restore = (struct restore_args){ args->keys[0], args->target };
	args->revert = (struct revert_args){ args->target };
}

struct row {
	decide_fn decide;
	size_t args; /* offset in struct arguments; 0: the operation itself */
};

static const struct row rows[OP_WRITES] = {
	[OP_SET] = { decide_set, offsetof(struct arguments, set) },
	[OP_UNSET] = { decide_unset, offsetof(struct arguments, unset) },
#define ENVIRONMENT(verb) { decide_environment_##verb, offsetof(struct arguments, environment) }
	[OP_ENVIRONMENT_CREATE] = ENVIRONMENT(create),
	[OP_ENVIRONMENT_EDIT] = ENVIRONMENT(edit),
	[OP_ENVIRONMENT_PROTECT] = ENVIRONMENT(protect),
	[OP_ENVIRONMENT_REMOVE] = ENVIRONMENT(remove),
	[OP_ENVIRONMENT_SWITCH] = ENVIRONMENT(switch),
	[OP_ENVIRONMENT_LOCK] = ENVIRONMENT(lock),
	[OP_ENVIRONMENT_UNLOCK] = ENVIRONMENT(unlock),
	[OP_ENVIRONMENT_CLONE] = ENVIRONMENT(clone),
#define PROFILE(verb) { decide_profile_##verb, offsetof(struct arguments, profile) }
	[OP_PROFILE_CREATE] = PROFILE(create),
	[OP_PROFILE_EDIT] = PROFILE(edit),
	[OP_PROFILE_REMOVE] = PROFILE(remove),
	[OP_PROFILE_SWITCH] = PROFILE(switch),
#define CATALOGUE(what, verb) { decide_##what##_##verb, offsetof(struct arguments, what) }
	[OP_CATEGORY_SET] = CATALOGUE(category, set),
	[OP_CATEGORY_REMOVE] = CATALOGUE(category, remove),
	[OP_SPECIFICATION_SET] = CATALOGUE(specification, set),
	[OP_SPECIFICATION_REMOVE] = CATALOGUE(specification, remove),
	[OP_ROLLBACK] = { decide_rollback, offsetof(struct arguments, rollback) },
	[OP_RESTORE] = { decide_restore, offsetof(struct arguments, restore) },
	[OP_REVERT] = { decide_revert, offsetof(struct arguments, revert) },
	[OP_BASE] = { decide_base, 0 },
	[OP_ATTACH] = { decide_database, 0 },
	[OP_DETACH] = { decide_database, 0 },
	[OP_BROKEN] = { decide_broken, 0 },
};

static enum status fill_arguments(struct arguments *args, const struct operation *op,
				  struct error *err)
{
	const struct row *row = &rows[op->kind];
	enum status status;

	memset(args, 0, sizeof(*args));
	status = fill_variables(args, op, err);
	fill_others(args, op);
	args->decide = row->decide;
	args->args = row->args ? (const void *)((const char *)args + row->args) : op;
	return status;
}

/* --- committing ------------------------------------------------------------------------------- */

/* What commit() hands on is constant; what it points to is not. */
struct deed {
	const struct arguments *args;
	const struct meanwhile *meanwhile;
	bool *decided;
};

static enum status decide_deed(struct session *session, const void *deed_args, struct plan *plan,
			       struct error *err)
{
	const struct deed *deed = deed_args;
	enum status status = deed->args->decide(session, deed->args->args, plan, err);

	if (deed->meanwhile && !*deed->decided)
		deed->meanwhile->others(deed->meanwhile->context);
	*deed->decided = true;
	return status;
}

enum status writer_commit(struct writer *writer, const struct meanwhile *meanwhile,
			  struct written *ret, struct error *err)
{
	struct arguments args;
	bool decided = false;
	struct deed deed = { &args, meanwhile, &decided };
	struct outcome outcome;
	enum status status = fill_arguments(&args, &writer->op, err);

	if (!status)
		status = commit(&writer->session, decide_deed, &deed, &outcome, err);
	for (size_t i = 0; i < SIM_KEYS; i++)
		secret_release(&args.secrets[i]);
	if (status)
		return status;
	*ret = (struct written){ .unchanged = outcome.unchanged,
				 .repeated = outcome.repeated,
				 .first_seq = outcome.first_seq,
				 .last_seq = outcome.last_seq,
				 .time_ms = outcome.time_ms };
	memcpy(ret->hash, outcome.hash, HASH_BYTES);
	return STATUS_OK;
}

/* --- sessions --------------------------------------------------------------------------------- */

static void set_options(struct writer *writer, const char *store, const struct operation *op,
			const uint8_t *head)
{
	struct session_options *options = &writer->options;
	const struct operation *own = &writer->op;

	writer->op = *op;
	*options = (struct session_options){
		.store_dir = store,
		.reason = op->reason ? "because" : NULL,
		.confirmed = op->confirm ? all_environments : NULL,
		.confirmed_count =
			op->confirm ? sizeof(all_environments) / sizeof(all_environments[0]) : 0,
		.accept_clock = op->accept_clock,
		.command_id = own->command_id,
	};
	if (operation_chooses(op)) {
		options->environment = or_null(own->environment);
		options->profile = or_null(own->profile);
	}
	if (head) {
		text_to_hex(head, HASH_BYTES, writer->head);
		options->if_head = writer->head;
	}
}

/* What a command finds that begins now, in a session that was used before. */
static enum status begin_again(struct session *session, bool choose, struct error *err)
{
	enum status status = store_refresh(session->store, err);

	if (!status)
		status = projection_refresh(session->projection, err);
	if (status)
		return status;
	arena_release(&session->arena);
	session->log = projection_snapshot(session->projection);
	session->reader = projection_reader(session->projection);
	session->head = projection_seq(session->projection);
	session->point.seq = session->head;
	session->view = session_view_at(session, session->head);
	session->environment = slice_of(NULL, 0);
	session->profile = slice_of(NULL, 0);
	session->now_ms = clock_now_ms();
	session->head_counted = false;
	session->told_count = 0;
	return choose ? session_choose(session, err) : STATUS_OK;
}

enum status writer_ready(struct writer *writer, const char *store, const struct operation *op,
			 const uint8_t *head, struct error *err)
{
	bool choose = operation_chooses(op);

	set_options(writer, store, op, head);
	if (writer->open)
		return begin_again(&writer->session, choose, err);
	writer->open = true;
	writer->session = (struct session){ .store = NULL };
	return session_open(&writer->options, choose ? SESSION_PROFILE : SESSION_STATE,
			    &writer->session, err);
}

void writer_end(struct writer *writer)
{
	if (writer->open)
		session_close(&writer->session);
	writer->open = false;
}
