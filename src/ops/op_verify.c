/*
 * The full check; see op_store.h.
 *
 * The audit comes first and in a child, since a damaged page can kill whoever touches it. This
 * process opens the log only when the audit found it whole, or when a checkpoint must be checked
 * beforehand.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "ops/op_store.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/audit.h"
#include "store/checkpoint.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/headfile.h"
#include "store/paths.h"
#include "store/registry.h"
#include "store/store.h"

#include "base/banned.h"

void verify_result_release(struct verify_result *result)
{
	buf_release(&result->deep_note);
}

struct verifying {
	const struct session_options *options;
	const struct verify_args *args;
	struct session *session;
	struct verify_result *result;
	struct buf store;
	uint64_t head_size; /* events that STORE/head speaks of; 0: it tells nothing */
	struct error *err;
};

static void verifying_release(struct verifying *verifying)
{
	buf_release(&verifying->store);
}

/*
 * Of which generation of this log is the checkpoint? Its key signed it, so that an origin of
 * another log, or none, is no mistake of ours.
 */
static enum status generation_of(const struct verifying *verifying,
				 const struct checkpoint *checkpoint, uint64_t *ret)
{
	const uint8_t *log_id = store_log_id(verifying->session->store);
	const char *digits = strrchr(checkpoint->origin, '/');
	char origin[ORIGIN_BYTES_MAX];
	uint64_t generation;

	if (digits && text_to_u64(slice_str(digits + 1), &generation)) {
		checkpoint_origin(log_id, generation, origin);
		if (strcmp(origin, checkpoint->origin) == 0) {
			*ret = generation;
			return STATUS_OK;
		}
	}
	checkpoint_origin(log_id, 1, origin);
	return error_set(verifying->err, STATUS_WRONG_KEY,
			 "--since: the checkpoint is of %s, this log is %s", checkpoint->origin,
			 origin);
}

static void note_lost(struct verifying *verifying, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The checkpoint knows events that the log does not hold. */
static void note_lost(struct verifying *verifying, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(verifying->result->lost.text, sizeof(verifying->result->lost.text), format,
			args);
	va_end(args);
}

/* Events that a checkpoint of an earlier generation has, and that the next one was begun without.
 */
static void note_cut(struct verifying *verifying, const struct checkpoint *checkpoint,
		     uint64_t generation, const struct registry_generation *end)
{
	if (checkpoint->size <= end->expected_size)
		note_lost(verifying,
			  "events %" PRIu64 "..%" PRIu64 " of generation %" PRIu64
			  " are lost, which event %" PRIu64 " accepted (up to event %" PRIu64 ")",
			  end->from_seq, checkpoint->size, generation, end->from_seq,
			  end->expected_size);
	else
		note_lost(verifying,
			  "events %" PRIu64 "..%" PRIu64 " of generation %" PRIu64
			  " are lost; event %" PRIu64 " accepted that only up to event %" PRIu64,
			  end->from_seq, checkpoint->size, generation, end->from_seq,
			  end->expected_size);
}

/*
 * A checkpoint from outside: it must be this log's, and says from where to check. One of events
 * that were lost says that they were, and nothing can begin there.
 */
static enum status use_checkpoint(struct verifying *verifying, struct audit_options *audit)
{
	struct session *session = verifying->session;
	const struct registry_generation *end = NULL;
	const struct registry *registry;
	struct checkpoint checkpoint;
	uint64_t generation = 0;
	enum status status =
		session_open(verifying->options, SESSION_LOG_LOSSY, session, verifying->err);

	if (status)
		return status;
	registry = store_registry(session->store);
	status = checkpoint_open(verifying->args->since, registry->log_key, &checkpoint,
				 verifying->err);
	if (status)
		return error_prefix(verifying->err, status, "--since");
	status = generation_of(verifying, &checkpoint, &generation);
	if (status)
		return status;
	if (!registry_find_generation(registry, generation, &end)) {
		note_lost(verifying,
			  "the checkpoint is of generation %" PRIu64
			  ", which this log does not know: its end is lost, or it is an older copy",
			  generation);
	} else if (end && checkpoint.size >= end->from_seq) {
		note_cut(verifying, &checkpoint, generation, end);
	} else if (checkpoint.size > session->log->size) {
		note_lost(verifying,
			  "events %" PRIu64 "..%" PRIu64 ", which the checkpoint has, are lost",
			  session->log->size + 1, checkpoint.size);
	} else {
		audit->since_size = checkpoint.size;
		memcpy(audit->since_root, checkpoint.root, HASH_BYTES);
		verifying->result->since = checkpoint.size;
	}
	session_close(session);
	return STATUS_OK;
}

/* Before the audit: what it says is not to be newer than what the audit sees. */
static void read_head(struct verifying *verifying)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct head_record record;

	fs_join(&path, buf_str(&verifying->store), "head");
	if (!buf_status(&path, NULL) && headfile_read(buf_str(&path), &record, NULL) == STATUS_OK)
		verifying->head_size = record.size;
}

/* Without touching the log, which is damaged: did it have more events? */
static void judge_sizes(struct verifying *verifying)
{
	struct verify_result *result = verifying->result;

	if (result->lost.text[0]) {
		result->completeness = COMPLETENESS_FAILED;
		result->completeness_note = result->lost.text;
		return;
	}
	result->completeness = COMPLETENESS_UNANCHORED;
	result->completeness_note = "the log is damaged; only the head file was compared";
	if (verifying->head_size <= result->audit.events)
		return;
	result->completeness = COMPLETENESS_FAILED;
	note_lost(verifying, "the head file speaks of %" PRIu64 " events, the log holds %" PRIu64,
		  verifying->head_size, result->audit.events);
	result->completeness_note = result->lost.text;
}

static void judge_completeness(struct verifying *verifying)
{
	struct session *session = verifying->session;
	struct verify_result *result = verifying->result;

	/* What the checkpoint knows says more than what lies on this machine. */
	if (!result->lost.text[0] && store_loss(session->store)->evidence != EVIDENCE_NONE)
		(void)store_loss_error(session->store, &result->lost);
	if (result->lost.text[0]) {
		result->completeness = COMPLETENESS_FAILED;
		result->completeness_note = result->lost.text;
	} else if (verifying->args->since.len) {
		result->completeness = COMPLETENESS_OK;
		result->completeness_note = "consistent with the checkpoint given";
	} else {
		result->completeness = COMPLETENESS_UNANCHORED;
		result->completeness_note = "only evidence on this machine was compared";
	}
}

/* Does a sealed value of @event at @index open? */
static enum status check_secret(struct verifying *verifying, const struct event *event,
				size_t index)
{
	const struct change *change = &event->payload.field[FIELD_CHANGES].changes.entries[index];
	struct verify_result *result = verifying->result;
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	struct error why = ERROR_INIT;
	struct variable variable = { .key = change->key,
				     .value_seq = event->seq,
				     .value_index = (uint32_t)index };
	struct variable_value value = {
		.commitment = change->commitment,
		.sealed = change->sealed,
		.part = event->part,
		.sealed_environment = payload_environment(&event->payload),
	};
	enum status status;

	memcpy(value.command_id, event->command_id, COMMAND_ID_BYTES);
	status = secrets_open(verifying->session, &variable, &value, &opened, &why);
	result->secrets_checked += status == STATUS_OK;
	/* That it could not be looked at is no verdict on it. */
	if (status == STATUS_NO_MEMORY || status == STATUS_WRONG_KEY || status == STATUS_IO) {
		if (verifying->err)
			*verifying->err = why;
		return status;
	}
	if (status && !result->deep_failed) {
		result->deep_failed = true;
		buf_printf(&result->deep_note, "event %" PRIu64 ": %s", event->seq, why.text);
	}
	return STATUS_OK;
}

static enum status check_vault(struct verifying *verifying)
{
	struct session *session = verifying->session;
	enum status status = STATUS_OK;

	for (uint64_t seq = 1; seq <= session->view.at && !status; seq++) {
		const struct read_event *read;
		const struct event *event;
		const struct changes *changes;

		status = session_event(session, seq, &read, verifying->err);
		if (status)
			break;
		event = &read->decoded.event;
		changes = &event->payload.field[FIELD_CHANGES].changes;
		if (read->newer || event->payload.type != EVENT_VARIABLES_CHANGED)
			continue;
		for (size_t i = 0; i < changes->count && !status; i++) {
			if (changes->entries[i].op == CHANGE_SEAL)
				status = check_secret(verifying, event, i);
		}
	}
	return status;
}

/* Losses that were accepted are shown for ever, whoever asks. */
static enum status list_accepted(struct verifying *verifying)
{
	struct session *session = verifying->session;
	struct verify_result *result = verifying->result;
	const struct registry *registry = store_registry(session->store);
	size_t count = registry->generation_count - 1;

	result->accepted = arena_array(&session->arena, count, sizeof(*result->accepted));
	if (!result->accepted)
		return error_no_memory(verifying->err);
	for (size_t i = 0; i < count; i++) {
		const struct registry_generation *generation = &registry->generations[i + 1];

		result->accepted[i] = (struct accepted_loss){
			.seq = generation->from_seq,
			.expected_size = generation->expected_size,
			.generation = generation->generation,
		};
	}
	result->accepted_count = count;
	return STATUS_OK;
}

/* State may not be tellable (a later provenv, a loss): then there are no violations to list. */
static enum status judge_state(struct verifying *verifying)
{
	struct session *session = verifying->session;
	struct verify_result *result = verifying->result;
	enum status status;

	if (result->completeness == COMPLETENESS_FAILED || result->audit.newer)
		return list_accepted(verifying);
	session_close(session);
	status = session_open(verifying->options, SESSION_STATE, session, verifying->err);
	if (!status)
		status = list_accepted(verifying);
	if (!status)
		status = state_violations(&session->view, &result->violations,
					  &result->violation_count, verifying->err);
	if (!status && verifying->args->deep)
		status = check_vault(verifying);
	return status;
}

/* The first thing to do about what is worst. */
static void advise(struct verify_result *result)
{
	result->next = "";
	if (!result->audit.ok)
		result->next = result->audit.valid_size
				       ? "can it be mended? provenv doctor -n; else keep a copy of "
					 "the store, and see provenv-replay salvage"
				       : "bring back a copy of the store: no event of this one is "
					 "valid";
	else if (result->deep_failed)
		result->next = "bring back vault/ from a copy of the store";
	else if (result->completeness == COMPLETENESS_FAILED)
		result->next = result->lost.hint[0] ? result->lost.hint
						    : "bring back a newer copy of the store";
}

static enum status run_audit(struct verifying *verifying)
{
	struct audit_options audit = { .progress = verifying->args->progress,
				       .context = verifying->args->context };
	AUTO(buf_release) struct buf log = BUF_INIT;
	enum status status =
		paths_find_store(verifying->options->store_dir, &verifying->store, verifying->err);

	if (!status && verifying->args->since.len)
		status = use_checkpoint(verifying, &audit);
	if (status)
		return status;
	read_head(verifying);
	fs_join(&log, buf_str(&verifying->store), "log");
	return audit_log(buf_str(&log), store_reading(buf_str(&verifying->store)), &audit,
			 &verifying->result->audit, verifying->err);
}

enum status op_verify(const struct session_options *options, const struct verify_args *args,
		      struct session *session, struct verify_result *ret, struct error *err)
{
	AUTO(verifying_release)
	struct verifying verifying = {
		.options = options,
		.args = args,
		.session = session,
		.result = ret,
		.err = err,
	};
	enum status status = run_audit(&verifying);

	if (status)
		return status;
	if (!ret->audit.ok) {
		judge_sizes(&verifying);
		advise(ret);
		return STATUS_OK;
	}
	status = session_open(options, SESSION_LOG_LOSSY, session, err);
	if (status)
		return status;
	judge_completeness(&verifying);
	status = judge_state(&verifying);
	advise(ret);
	return status;
}
