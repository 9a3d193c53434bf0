/*
 * The full check; see op_store.h.
 *
 * The audit comes first and in a child, since a damaged page can kill whoever touches it. This
 * process opens the log only when the audit found it whole, or when a checkpoint must be checked
 * beforehand.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/op_store.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/audit.h"
#include "store/checkpoint.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/evlog_lmdb.h"
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
	struct error *err;
};

static void verifying_release(struct verifying *verifying)
{
	buf_release(&verifying->store);
}

/* A checkpoint from outside: it must be this log's, and says from where to check. */
static enum status use_checkpoint(struct verifying *verifying, struct audit_options *audit)
{
	struct session *session = verifying->session;
	struct checkpoint checkpoint;
	char origin[ORIGIN_BYTES_MAX];
	const struct registry *registry;
	enum status status =
		session_open(verifying->options, SESSION_LOG_LOSSY, session, verifying->err);

	if (status)
		return status;
	registry = store_registry(session->store);
	status = checkpoint_open(verifying->args->since, registry->log_key, &checkpoint,
				 verifying->err);
	if (status)
		return error_prefix(verifying->err, status, "--since");
	checkpoint_origin(store_log_id(session->store),
			  registry_generation_at(registry, checkpoint.size), origin);
	if (strcmp(origin, checkpoint.origin) != 0)
		return error_set(verifying->err, STATUS_WRONG_KEY,
				 "--since: the checkpoint is of %s, this log is %s",
				 checkpoint.origin, origin);
	audit->since_size = checkpoint.size;
	memcpy(audit->since_root, checkpoint.root, HASH_BYTES);
	verifying->result->since = checkpoint.size;
	session_close(session);
	return STATUS_OK;
}

/* Without touching the log: do the head file or the user's checkpoint speak of more events? */
static void judge_sizes(struct verifying *verifying)
{
	struct verify_result *result = verifying->result;
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct head_record record;

	fs_join(&path, buf_str(&verifying->store), "head");
	result->completeness = COMPLETENESS_UNANCHORED;
	result->completeness_note = "the log is damaged; only STORE/head was compared";
	if (headfile_read(buf_str(&path), &record, NULL) == STATUS_OK &&
	    record.size > result->audit.events)
		result->completeness = COMPLETENESS_FAILED;
}

static void judge_completeness(struct verifying *verifying)
{
	struct session *session = verifying->session;
	struct verify_result *result = verifying->result;

	if (store_loss(session->store)->evidence != EVIDENCE_NONE) {
		result->completeness = COMPLETENESS_FAILED;
		result->completeness_note = "evidence on this machine speaks of a newer log";
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
	result->secrets_checked++;
	if (status == STATUS_NO_MEMORY || status == STATUS_WRONG_KEY) {
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

/* State may not be tellable (a later provenv, a loss): then there are no violations to list. */
static enum status judge_state(struct verifying *verifying)
{
	struct session *session = verifying->session;
	struct verify_result *result = verifying->result;
	enum status status;

	if (result->completeness == COMPLETENESS_FAILED || result->audit.newer)
		return STATUS_OK;
	session_close(session);
	status = session_open(verifying->options, SESSION_STATE, session, verifying->err);
	if (!status)
		status = state_violations(&session->view, &result->violations,
					  &result->violation_count, verifying->err);
	if (!status && verifying->args->deep)
		status = check_vault(verifying);
	return status;
}

static enum status run_audit(struct verifying *verifying)
{
	struct audit_options audit = { .progress = verifying->args->progress,
				       .context = verifying->args->context };
	struct evlog_lmdb_options how = { .read_only = true };
	AUTO(buf_release) struct buf log = BUF_INIT;
	enum status status =
		paths_find_store(verifying->options->store_dir, &verifying->store, verifying->err);

	if (!status && verifying->args->since.len)
		status = use_checkpoint(verifying, &audit);
	if (status)
		return status;
	fs_join(&log, buf_str(&verifying->store), "log");
	return audit_log(buf_str(&log), how, &audit, &verifying->result->audit, verifying->err);
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
		return STATUS_OK;
	}
	status = session_open(options, SESSION_LOG_LOSSY, session, err);
	if (status)
		return status;
	judge_completeness(&verifying);
	return judge_state(&verifying);
}
