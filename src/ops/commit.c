/*
 * The one way a command writes; see commit.h and README.md.
 *
 * Order: plan on what was read → policy → (dry run ends here) → lock → read again → the active pair
 * and --if-head still hold → plan again, if the log moved → seal → append → catch up. A command id
 * used before turns the second half into a comparison: the plan is made from the state, the head
 * and the clock before that command and must equal what it appended.
 *
 * Once appended, nothing is a failure any more: a caller that sees one may run the command again.
 */
#include "ops/commit.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "ops/envelope.h"
#include "ops/op_environment.h"
#include "ops/plan.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/store.h"

#include "base/banned.h"

/* Commands of others, while one of ours asked or waited, that its repetition looks behind. */
enum { HEADS_TRIED_MAX = 256 };

struct writing {
	struct session *session;
	decide_fn decide;
	const void *args;
	struct plan plan;
	struct slice *confirmed; /* protected environments that the user agreed to */
	size_t confirmed_count;
	uint8_t command_id[COMMAND_ID_BYTES];
	uint64_t now_ms;
};

static void writing_release(struct writing *writing)
{
	plan_release(&writing->plan);
}

static enum status make_plan(struct writing *writing, struct error *err)
{
	plan_release(&writing->plan);
	plan_init(&writing->plan, &writing->session->arena);
	return writing->decide(writing->session, writing->args, &writing->plan, err);
}

static bool was_confirmed(const struct writing *writing, struct slice name)
{
	const struct session_options *options = writing->session->options;

	for (size_t i = 0; i < options->confirmed_count; i++) {
		if (slice_equal_str(name, options->confirmed[i]))
			return true;
	}
	for (size_t i = 0; i < writing->confirmed_count; i++) {
		if (slice_equal(name, writing->confirmed[i]))
			return true;
	}
	return false;
}

static enum status ask(struct writing *writing, struct slice name, struct error *err)
{
	struct session *session = writing->session;
	const struct session_options *options = session->options;
	const char *text = arena_str(&session->arena, name);
	char question[256];

	if (!text)
		return error_no_memory(err);
	(void)snprintf(question, sizeof(question),
		       "'%s' is protected. Type its name to go on: ", text);
	if (!options->ask || !options->ask(options->ask_context, question, text))
		return error_hint(err,
				  error_set(err, STATUS_UNCONFIRMED,
					    "'%s' is protected and this was not confirmed", text),
				  "confirm with --confirm=%s", text);
	writing->confirmed = arena_grow(&session->arena, writing->confirmed,
					writing->confirmed_count, sizeof(*writing->confirmed));
	if (!writing->confirmed)
		return error_no_memory(err);
	writing->confirmed[writing->confirmed_count++] = name;
	return STATUS_OK;
}

static bool is_unlock(const struct plan *plan)
{
	return plan->payload_count == 1 && plan->payloads[0]->type == EVENT_ENVIRONMENT_UNLOCKED;
}

/* Who locked it, when, and until when: the event of the lock says so. */
static enum status refuse_locked(struct session *session, const struct environment *environment,
				 struct error *err)
{
	char since[32], until[32];
	const struct read_event *lock;
	struct slice actor;
	enum status status = session_event(session, environment->lock_seq, &lock, err);

	if (status)
		return status;
	text_from_time_ms(lock->decoded.event.time_ms, since);
	if (environment->until_ms)
		text_from_time_ms(environment->until_ms, until);
	actor = session_actor(session, &lock->decoded.event);
	return error_hint(
		err,
		error_set(err, STATUS_DENIED,
			  "environment '" SLICE_FMT "' is locked%s%s, by " SLICE_FMT
			  " at %s (event %" PRIu64 ")",
			  SLICE_ARG(environment->name), environment->until_ms ? " until " : "",
			  environment->until_ms ? until : "", SLICE_ARG(actor), since,
			  environment->lock_seq),
		"lift the lock: provenv env unlock " SLICE_FMT, SLICE_ARG(environment->name));
}

/* What a plan puts back is as protected as it was; what it makes new needs no confirmation. */
static bool comes_back_protected(const struct plan *plan, struct slice name)
{
	for (size_t i = 0; plan->puts_back && i < plan->payload_count; i++) {
		const struct payload *payload = plan->payloads[i];

		if (payload->type == EVENT_ENVIRONMENT_CREATED &&
		    slice_equal(payload_get_text(payload, FIELD_NAME), name))
			return payload_get_bool(payload, FIELD_PROTECTED);
	}
	return false;
}

/* Policy for one touched environment. @may_ask: before the lock is taken. */
static enum status allow(struct writing *writing, struct slice name, bool may_ask,
			 struct error *err)
{
	struct session *session = writing->session;
	struct environment environment;
	enum status status = state_environment(&session->view, name, &environment, err);

	if (status == STATUS_NOT_FOUND) {
		/* Made by this very plan. */
		environment = (struct environment){
			.is_protected = comes_back_protected(&writing->plan, name),
		};
	} else if (status) {
		return status;
	}
	if (environment_is_locked(&environment, writing->now_ms) && !is_unlock(&writing->plan))
		return refuse_locked(session, &environment, err);
	/* A plan that changes nothing needs no confirmation. */
	if (!environment.is_protected || session->options->dry_run)
		return STATUS_OK;
	if (!reason_given(session->options->reason))
		return error_hint(err,
				  error_set(err, STATUS_UNCONFIRMED,
					    "'" SLICE_FMT "' is protected: a reason is needed",
					    SLICE_ARG(name)),
				  "say why with -m REASON, and confirm with --confirm=" SLICE_FMT,
				  SLICE_ARG(name));
	if (was_confirmed(writing, name))
		return STATUS_OK;
	if (may_ask)
		return ask(writing, name, err);
	return error_set(err, STATUS_CONFLICT,
			 "'" SLICE_FMT "' became protected meanwhile: run the command again",
			 SLICE_ARG(name));
}

static enum status check_policy(struct writing *writing, bool may_ask, struct error *err)
{
	struct slice *touched;
	size_t count;
	enum status status = plan_touched(&writing->plan, &touched, &count, err);

	for (size_t i = 0; i < count && !status; i++)
		status = allow(writing, touched[i], may_ask, err);
	return status;
}

/* What does not depend on the plan: the reason, and the clock beside the last event's time. */
static enum status check_envelope(const struct writing *writing, struct error *err)
{
	struct session *session = writing->session;
	const struct read_event *last;
	enum status status = reason_check(session->options->reason, err);

	if (!status)
		status = session_event(session, session->log->size, &last, err);
	if (status || session->options->accept_clock)
		return status;
	return clock_check(writing->now_ms, last->decoded.event.time_ms, err);
}

static enum status check_if_head(struct session *session, struct error *err)
{
	const char *wanted = session->options->if_head;
	uint8_t expected[HASH_BYTES], hash[HASH_BYTES];
	enum status status;

	if (!wanted)
		return STATUS_OK;
	if (!text_from_hex(slice_str(wanted), expected, HASH_BYTES))
		return error_set(err, STATUS_USAGE, "--if-head: not a hash of %d hex digits",
				 2 * HASH_BYTES);
	status = evlog_leaf_hash(session->log, session->log->size, hash, err);
	if (status || memcmp(expected, hash, HASH_BYTES) == 0)
		return status;
	return error_hint(err,
			  error_set(err, STATUS_CONFLICT,
				    "the log moved: its head is event %" PRIu64 " now",
				    session->log->size),
			  "read the state again, then repeat with the new hash");
}

/* Take the user's command id, or make one. */
static enum status choose_command_id(struct writing *writing, struct error *err)
{
	enum status status =
		session_command_id(writing->session->options, writing->command_id, err);

	if (status != STATUS_NOT_FOUND)
		return status;
	rng_uuid7(writing->now_ms, writing->command_id);
	return STATUS_OK;
}

/*
 * What was chosen from the active pair must still be active: a switch never redirects a write. What
 * was named must still be there.
 */
static enum status check_choice(struct session *session, struct error *err)
{
	struct environment environment;
	struct profile profile;
	struct slice active;
	enum status status;

	if (session->environment.len == 0)
		return STATUS_OK;
	if (!session->options->environment) {
		status = state_active_environment(&session->view, &active, err);
		if (status)
			return status;
		if (!slice_equal(active, session->environment))
			return error_set(err, STATUS_CONFLICT,
					 "the active environment became '" SLICE_FMT
					 "' meanwhile: run the command again",
					 SLICE_ARG(active));
	}
	if (session->profile.len == 0)
		return STATUS_OK;
	status = session_find_environment(session, session->environment, &environment, err);
	if (status)
		return status;
	if (session->options->profile)
		return session_find_profile(session, session->environment, session->profile,
					    &profile, err);
	if (!slice_equal(environment.profile, session->profile))
		return error_set(err, STATUS_CONFLICT,
				 "the active profile became '" SLICE_FMT
				 "' meanwhile: run the command again",
				 SLICE_ARG(environment.profile));
	return STATUS_OK;
}

/* Under the lock: see what other writers did. */
static enum status read_again(struct session *session, struct error *err)
{
	enum status status = store_refresh(session->store, err);

	if (!status)
		status = projection_refresh(session->projection, err);
	if (status)
		return status;
	session->log = projection_snapshot(session->projection);
	session->reader = projection_reader(session->projection);
	session->point.seq = projection_seq(session->projection);
	session->view = session_view_at(session, session->point.seq);
	return STATUS_OK;
}

/* The log cannot grow while this process reads it, and from here on nothing is read. */
static enum status append_alone(struct session *session, const struct store_command *command,
				struct store_receipt *ret, struct error *err)
{
	uint64_t size = session->log->size;

	projection_pause(session->projection);
	session->log = NULL;
	return store_append(session->store, &session->signer, size, command, ret, err);
}

static enum status append(struct writing *writing, struct outcome *ret, struct error *err)
{
	struct session *session = writing->session;
	struct plan *plan = &writing->plan;
	struct payload *payloads =
		arena_array(&session->arena, plan->payload_count, sizeof(*payloads));
	struct store_command command = {
		.payloads = payloads,
		.count = plan->payload_count,
		.reason = slice_str(session->options->reason ? session->options->reason : ""),
		.claimed_ms = writing->now_ms,
	};
	struct store_receipt receipt;
	enum status status;

	if (!payloads)
		return error_no_memory(err);
	for (size_t i = 0; i < plan->payload_count; i++)
		payloads[i] = *plan->payloads[i];
	memcpy(command.command_id, writing->command_id, COMMAND_ID_BYTES);
	status = secrets_seal(session, plan, writing->command_id, err);
	if (!status && fault_point("commit.sealed"))
		status = error_set(err, STATUS_IO, "cannot append after sealing");
	if (!status)
		status = append_alone(session, &command, &receipt, err);
	if (status) {
		secrets_withdraw(session, plan, writing->command_id, status);
		return status;
	}
	ret->first_seq = receipt.first_seq;
	ret->last_seq = receipt.last_seq;
	ret->time_ms = receipt.time_ms;
	memcpy(ret->hash, receipt.leaf_hash, HASH_BYTES);
	return STATUS_OK;
}

static enum status id_conflict(struct error *err)
{
	return error_hint(err,
			  error_set(err, STATUS_CONFLICT,
				    "the command id was used before with other content"),
			  "take a new --command-id for a new command");
}

/* Is event @seq what the plan would append as part @part? */
static enum status same_event(struct writing *writing, uint64_t seq, uint32_t part, bool *ret,
			      struct error *err)
{
	const char *reason = writing->session->options->reason;
	const struct read_event *event;
	enum status status = session_event(writing->session, seq, &event, err);

	*ret = false;
	if (status)
		return status;
	if (memcmp(event->decoded.event.key_id, writing->session->signer.key_id, KEY_ID_BYTES) !=
		    0 ||
	    event->decoded.event.parts != writing->plan.payload_count ||
	    !slice_equal_str(event->decoded.event.reason, reason ? reason : ""))
		return STATUS_OK;
	return secrets_same_payload(writing->session, &writing->plan, part, &event->decoded, ret,
				    err);
}

/*
 * Look at the store as the command did whose first event is @first: state, clock, choice, and the
 * head that it counted REFs from.
 */
static enum status go_back(struct session *session, uint64_t first, uint64_t head,
			   struct error *err)
{
	const struct read_event *event;
	enum status status = session_event(session, first, &event, err);

	if (status)
		return status;
	session->now_ms = event->decoded.event.claimed_ms;
	session->head = head;
	session->point.seq = first - 1;
	session->view = session_view_at(session, first - 1);
	if (session->profile.len)
		return session_choose(session, err);
	if (session->environment.len)
		return state_active_environment(&session->view, &session->environment, err);
	return STATUS_OK;
}

/* Would the command, as of then, append what stands from event @first on? */
static enum status would_append(struct writing *writing, uint64_t first, uint64_t head, bool *ret,
				struct error *err)
{
	struct error why = ERROR_INIT; /* that it cannot be planned is an answer, too */
	bool same = true;
	enum status status = go_back(writing->session, first, head, &why);

	*ret = false;
	if (!status)
		status = make_plan(writing, &why);
	if (!status)
		status = plan_group_variables(&writing->plan, &why);
	if (status == STATUS_NO_MEMORY || status == STATUS_IO || status == STATUS_CORRUPT) {
		if (err)
			*err = why;
		return status;
	}
	if (status || plan_is_empty(&writing->plan))
		return STATUS_OK;
	for (size_t i = 0; same && i < writing->plan.payload_count; i++) {
		status = same_event(writing, first + i, (uint32_t)i + 1, &same, err);
		if (status)
			return status;
	}
	*ret = same;
	return STATUS_OK;
}

/*
 * The head is that of the moment when the command began. While it asked a person, or waited for the
 * lock, others may have appended: then it is one of theirs, or the one before. NOT_FOUND: @head
 * stood already when the command began.
 */
static enum status earlier_head(struct session *session, uint64_t *head, struct error *err)
{
	const struct read_event *event;
	enum status status = session_event(session, *head, &event, err);

	if (status)
		return status;
	/* Theirs claim no earlier time than ours does, less what they waited themselves. */
	if (event->decoded.event.time_ms + WRITE_LOCK_WAIT_MS < session->now_ms ||
	    event->decoded.event.part >= *head)
		return STATUS_NOT_FOUND;
	*head -= event->decoded.event.part;
	return STATUS_OK;
}

/* The id is in the log: plan as of then, and compare. */
static enum status repeat(struct writing *writing, uint64_t first, struct outcome *ret,
			  struct error *err)
{
	struct session *session = writing->session;
	const struct read_event *last;
	uint64_t head = first - 1;
	bool same = false;
	enum status status = would_append(writing, first, head, &same, err);

	for (int i = 0; !status && !same && session->head_counted && i < HEADS_TRIED_MAX; i++) {
		status = earlier_head(session, &head, err);
		if (!status)
			status = would_append(writing, first, head, &same, err);
	}
	if (status && status != STATUS_NOT_FOUND)
		return status;
	if (!same)
		return id_conflict(err);
	ret->repeated = true;
	ret->first_seq = first;
	ret->last_seq = first + writing->plan.payload_count - 1;
	status = session_event(session, ret->last_seq, &last, err);
	if (status)
		return status;
	ret->time_ms = last->decoded.event.time_ms;
	memcpy(ret->hash, last->leaf_hash, HASH_BYTES);
	return STATUS_OK;
}

/* The plan as of now. When nobody wrote since it was made, it is the one that there is. */
static enum status plan_again(struct writing *writing, uint64_t planned_at, struct error *err)
{
	enum status status;

	if (writing->session->point.seq == planned_at)
		return STATUS_OK;
	status = make_plan(writing, err);
	return status ? status : check_policy(writing, false, err);
}

/* Second half: under the write lock. */
static enum status carry_out(struct writing *writing, struct outcome *ret, struct error *err)
{
	struct session *session = writing->session;
	uint64_t first, planned_at = session->point.seq;
	enum status status = read_again(session, err);

	if (!status)
		status = evlog_command(session->log, writing->command_id, &first, err);
	if (!status)
		return repeat(writing, first, ret, err);
	if (status != STATUS_NOT_FOUND)
		return status;
	status = check_if_head(session, err);
	if (!status)
		status = check_choice(session, err);
	if (!status)
		status = plan_again(writing, planned_at, err);
	if (status)
		return status;
	if (plan_is_empty(&writing->plan)) {
		ret->unchanged = true;
		return STATUS_OK;
	}
	status = plan_group_variables(&writing->plan, err);
	if (!status)
		status = append(writing, ret, err);
	/* The events are durable: if the state cannot catch up, the next command sees to it. */
	if (!status)
		(void)read_again(session, NULL);
	return status;
}

static void describe(const struct writing *writing, struct outcome *ret)
{
	const struct session *session = writing->session;

	ret->environment = session->environment;
	ret->profile = session->profile;
	ret->changes = writing->plan.changes;
	ret->change_count = ret->unchanged ? 0 : writing->plan.change_count;
	ret->exposed = writing->plan.exposed;
	ret->exposed_count = ret->unchanged ? 0 : writing->plan.exposed_count;
	memcpy(ret->command_id, writing->command_id, COMMAND_ID_BYTES);
}

/*
 * First half: everything that can refuse without the lock. @ret_first: the event the command id
 * stands at, when it is in the log already; else untouched.
 */
static enum status prepare(struct writing *writing, uint64_t *ret_first, struct error *err)
{
	struct session *session = writing->session;
	enum status status = choose_command_id(writing, err);

	if (!status)
		status = session_signer(session, err);
	if (status)
		return status;
	status = session->options->command_id
			 ? evlog_command(session->log, writing->command_id, ret_first, err)
			 : STATUS_NOT_FOUND;
	if (status != STATUS_NOT_FOUND)
		return status;
	status = make_plan(writing, err);
	if (!status)
		status = check_envelope(writing, err);
	if (!status)
		status = check_policy(writing, !session->options->dry_run, err);
	return status;
}

/* A dry run, or nothing to do: no lock is needed to say so. */
static enum status answer(struct writing *writing, uint64_t first, struct outcome *ret,
			  struct error *err)
{
	enum status status =
		first ? repeat(writing, first, ret, err) : check_if_head(writing->session, err);

	/* What cannot be grouped is refused here as it would be there. */
	if (!status && !first)
		status = plan_group_variables(&writing->plan, err);
	ret->unchanged = first || plan_is_empty(&writing->plan);
	return status;
}

enum status commit(struct session *session, decide_fn decide, const void *args, struct outcome *ret,
		   struct error *err)
{
	AUTO(writing_release)
	struct writing writing = {
		.session = session,
		.decide = decide,
		.args = args,
		.now_ms = session->now_ms,
	};
	struct outcome outcome = { .planned = session->options->dry_run };
	uint64_t first = 0;
	enum status status = prepare(&writing, &first, err);

	if (status)
		return status;
	if (session->options->dry_run || (!first && plan_is_empty(&writing.plan))) {
		status = answer(&writing, first, &outcome, err);
	} else {
		status = store_lock(session->store, WRITE_LOCK_WAIT_MS, err);
		if (!status)
			status = carry_out(&writing, &outcome, err);
		store_unlock(session->store);
	}
	if (status)
		return status;
	describe(&writing, &outcome);
	*ret = outcome;
	return STATUS_OK;
}
