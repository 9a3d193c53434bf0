/*
 * `status`, `verify`, `doctor`, `rebuild`: the store as a whole.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/op_store.h"
#include "ops/session.h"

#include "base/banned.h"

static void status_json(struct invocation *inv, const struct store_status *status)
{
	struct json json;

	json_begin(inv, &json, "status");
	jsonw_pair_string(&json, "store", status->path);
	jsonw_pair_hex(&json, "log_id", status->log_id, LOG_ID_BYTES);
	jsonw_key(&json, "head");
	jsonw_object(&json);
	jsonw_pair_uint(&json, "seq", status->head_seq);
	jsonw_pair_hex(&json, "root", status->root, HASH_BYTES);
	jsonw_pair_hex(&json, "hash", status->head_hash, HASH_BYTES);
	jsonw_pair_time(&json, "time", status->head_ms);
	jsonw_end(&json);
	jsonw_pair_slice(&json, "environment", status->environment);
	jsonw_pair_slice(&json, "profile", status->profile);
	jsonw_pair_hex(&json, "state_hash", status->state_hash, HASH_BYTES);
	/* The head's signature and link; `verify` checks every event. */
	jsonw_pair_string(&json, "integrity", "ok");
	jsonw_pair_string(&json, "integrity_scope", "head");
	jsonw_pair_string(&json, "completeness", completeness_name(status->completeness));
	jsonw_pair_uint(&json, "events", status->head_seq);
	jsonw_pair_uint(&json, "violations", status->violations);
	jsonw_pair_uint(&json, "problems", status->problems);
	json_finish(inv, &json);
}

static void status_text(struct invocation *inv, const struct store_status *status)
{
	struct buf *out = &inv->out;
	char hex[2 * HASH_BYTES + 1], when[32];

	print_time(status->head_ms, when);
	buf_printf(out, "On " SLICE_FMT "/" SLICE_FMT "%s%s, store %s\n",
		   SLICE_ARG(status->environment), SLICE_ARG(status->profile),
		   status->is_protected ? " (protected)" : "", status->locked ? " (locked)" : "",
		   status->path);
	buf_printf(out, "Last:  event %" PRIu64 ", ", status->head_seq);
	text_append_printable(out, status->last_type);
	buf_append_str(out, " by ");
	text_append_printable(out, status->last_actor);
	buf_printf(out, ", %s", when);
	if (status->last_reason.len) {
		buf_append_str(out, ", \"");
		text_append_printable(out, status->last_reason);
		buf_append_byte(out, '"');
	}
	text_to_hex(status->state_hash, HASH_BYTES, hex);
	buf_printf(out, "\nState: %s\n", hex);
	buf_printf(out, "Proof: head signed, completeness %s (all events: provenv verify)\n",
		   completeness_name(status->completeness));
	if (status->problems)
		buf_printf(out, "Needs attention: %zu problem%s (provenv spec check)\n",
			   status->problems, status->problems == 1 ? "" : "s");
	if (status->violations)
		buf_printf(out, "Needs attention: %zu command%s had no effect (provenv verify)\n",
			   status->violations, status->violations == 1 ? "" : "s");
}

static enum status cmd_status(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct store_status result;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = op_status(&session, &result, err);
	if (!status && inv->json)
		status_json(inv, &result);
	else if (!status)
		status_text(inv, &result);
	invocation_close(inv, &session);
	return status;
}

static void verify_json(struct invocation *inv, const struct verify_result *result)
{
	const struct audit_report *audit = &result->audit;
	struct json json;

	json_begin(inv, &json, "verify");
	jsonw_pair_string(&json, "integrity", audit->ok && !result->deep_failed ? "ok" : "failed");
	jsonw_pair_string(&json, "completeness", completeness_name(result->completeness));
	jsonw_pair_uint(&json, "events", audit->events);
	jsonw_pair_uint(&json, "signatures_checked", audit->signatures_checked);
	jsonw_key(&json, "first_bad");
	if (audit->first_bad)
		jsonw_uint(&json, audit->first_bad);
	else
		jsonw_null(&json);
	jsonw_pair_string(&json, "message",
			  result->deep_failed ? buf_str(&result->deep_note) : audit->message);
	jsonw_pair_uint(&json, "valid_size", audit->valid_size);
	jsonw_pair_string(&json, "completeness_message", result->completeness_note);
	jsonw_pair_string(&json, "next", result->next);
	jsonw_pair_hex(&json, "root", audit->root, HASH_BYTES);
	if (result->since)
		jsonw_pair_uint(&json, "since", result->since);
	jsonw_pair_bool(&json, "newer", audit->newer);
	jsonw_pair_uint(&json, "secrets_checked", result->secrets_checked);
	jsonw_key(&json, "accepted_losses");
	jsonw_array(&json);
	for (size_t i = 0; i < result->accepted_count; i++) {
		jsonw_object(&json);
		jsonw_pair_uint(&json, "seq", result->accepted[i].seq);
		jsonw_pair_uint(&json, "expected_size", result->accepted[i].expected_size);
		jsonw_pair_uint(&json, "generation", result->accepted[i].generation);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	jsonw_key(&json, "violations");
	jsonw_array(&json);
	for (size_t i = 0; i < result->violation_count; i++) {
		jsonw_object(&json);
		jsonw_pair_uint(&json, "seq", result->violations[i].seq);
		jsonw_pair_string(&json, "rule", apply_rule_name(result->violations[i].rule));
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void verify_text(struct invocation *inv, const struct verify_result *result)
{
	const struct audit_report *audit = &result->audit;
	struct buf *out = &inv->out;

	if (!audit->ok)
		buf_printf(out, "integrity:    FAILED, %s\n", audit->message);
	else if (result->deep_failed)
		buf_printf(out, "integrity:    FAILED, %s\n", buf_str(&result->deep_note));
	else
		buf_printf(out,
			   "integrity:    ok, %" PRIu64 " events, %" PRIu64 " signatures checked\n",
			   audit->events, audit->signatures_checked);
	buf_printf(out, "completeness: %s, %s\n", completeness_name(result->completeness),
		   result->completeness_note);
	if (result->since)
		buf_printf(out,
			   "since:        event %" PRIu64 "; what is before was taken as "
			   "checked\n",
			   result->since);
	if (result->secrets_checked)
		buf_printf(out, "secrets:      %" PRIu64 " opened\n", result->secrets_checked);
	if (audit->newer)
		buf_append_str(out, "note:         events of a later provenv are in the log\n");
	for (size_t i = 0; i < result->accepted_count; i++)
		buf_printf(out,
			   "accepted:     event %" PRIu64 " accepted that of %" PRIu64
			   " events only %" PRIu64 " were left\n",
			   result->accepted[i].seq, result->accepted[i].expected_size,
			   result->accepted[i].seq - 1);
	for (size_t i = 0; i < result->violation_count; i++)
		buf_printf(out, "no effect:    event %" PRIu64 " broke the rule %s\n",
			   result->violations[i].seq, apply_rule_name(result->violations[i].rule));
	if (!audit->ok && audit->valid_size)
		buf_printf(out, "valid up to:  event %" PRIu64 "\n", audit->valid_size);
	if (*result->next)
		buf_printf(out, "next:         %s\n", result->next);
}

/* What is damaged or lost stands on stdout, with what to do about it. */
static enum status verify_verdict(const struct verify_result *result, struct error *err)
{
	if (!result->audit.ok || result->deep_failed || result->completeness == COMPLETENESS_FAILED)
		return error_set(err, STATUS_CORRUPT,
				 "the log is damaged, or not all of it is there");
	if (result->audit.newer)
		return error_hint(
			err,
			error_set(err, STATUS_NEWER, "the log holds events of a later provenv"),
			"use a newer provenv to read their state");
	return STATUS_OK;
}

static enum status cmd_verify(struct invocation *inv, struct error *err)
{
	const char *since = option_text(inv->options, OPTION_SINCE);
	AUTO(verify_result_release) struct verify_result result = { .since = 0 };
	AUTO(buf_release) struct buf checkpoint = BUF_INIT;
	struct session session = { .store = NULL };
	struct verify_args args = { .deep = option_given(inv->options, OPTION_DEEP) };
	enum status status =
		since ? fs_read_file(since, CHECKPOINT_BYTES_MAX, &checkpoint, err) : STATUS_OK;

	args.since = buf_slice(&checkpoint);
	if (!status)
		status = op_verify(&inv->session, &args, &session, &result, err);
	if (!status) {
		inv->verdict = true;
		if (inv->json)
			verify_json(inv, &result);
		else
			verify_text(inv, &result);
		status = verify_verdict(&result, err);
		/* The verdict stands on stdout; an error object would only repeat it. */
		inv->silent = status == STATUS_CORRUPT;
	}
	invocation_close(inv, &session);
	return status;
}

static void doctor_print(struct invocation *inv, const struct finding *findings, size_t count)
{
	struct json json;

	if (inv->json) {
		json_begin(inv, &json, "doctor");
		jsonw_key(&json, "findings");
		jsonw_array(&json);
	}
	for (size_t i = 0; i < count; i++) {
		const struct finding *finding = &findings[i];
		const char *state = !finding->bad ? "ok" : finding->mended ? "mended" : "attention";

		if (inv->json) {
			jsonw_object(&json);
			jsonw_pair_string(&json, "state", state);
			jsonw_pair_string(&json, "message", finding->text);
			jsonw_pair_string(&json, "hint", finding->hint);
			jsonw_end(&json);
			continue;
		}
		buf_printf(&inv->out, "%-10s %s\n", state, finding->text);
		if (*finding->hint)
			buf_printf(&inv->out, "           %s\n", finding->hint);
	}
	if (inv->json) {
		jsonw_end(&json);
		json_finish(inv, &json);
	}
}

static enum status accept_loss(struct invocation *inv, const char *size_text, struct error *err)
{
	struct store_receipt receipt = { .last_seq = 0 };
	struct json json;
	uint64_t size;
	enum status status;

	if (!text_to_u64(slice_str(size_text), &size))
		return error_set(err, STATUS_USAGE, "--accept-loss: not a number of events");
	status = op_accept_loss(&inv->session, size, &receipt, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "doctor");
		jsonw_pair_bool(&json, "planned", inv->session.dry_run);
		jsonw_key(&json, "seq");
		if (inv->session.dry_run)
			jsonw_null(&json);
		else
			jsonw_uint(&json, receipt.last_seq);
		json_finish(inv, &json);
	} else if (!status && inv->session.dry_run) {
		buf_printf(&inv->out,
			   "would accept that the log ends at event %" PRIu64
			   ", and record it for ever (nothing was changed)\n",
			   size);
	} else if (!status) {
		buf_printf(&inv->out, "the loss is accepted and recorded as event %" PRIu64 "\n",
			   receipt.last_seq);
	}
	return status;
}

/* What only an acceptance needs, given without one, is a slip. */
static enum status refuse_without_loss(const struct invocation *inv, struct error *err)
{
	static const enum option_id of_loss[] = { OPTION_CONFIRM, OPTION_REASON, OPTION_AS,
						  OPTION_ACCEPT_CLOCK };

	for (size_t i = 0; i < sizeof(of_loss) / sizeof(of_loss[0]); i++) {
		if (option_given(inv->options, of_loss[i]))
			return error_set(err, STATUS_USAGE, "doctor: --%s goes with --accept-loss",
					 option_info(of_loss[i])->name);
	}
	return STATUS_OK;
}

static enum status cmd_doctor(struct invocation *inv, struct error *err)
{
	const char *size = option_text(inv->options, OPTION_ACCEPT_LOSS);
	struct session session = { .store = NULL };
	struct finding *findings;
	size_t count, bad = 0;
	enum status status;

	if (size)
		return accept_loss(inv, size, err);
	status = refuse_without_loss(inv, err);
	if (status)
		return status;
	status = op_doctor(&inv->session, &session, &findings, &count, err);
	/* The findings stand on stdout; an error object would only repeat the last of them. */
	inv->silent = status == STATUS_CORRUPT;
	inv->verdict = !status || inv->silent;
	if (inv->verdict)
		doctor_print(inv, findings, count);
	if (!status) {
		for (size_t i = 0; i < count; i++)
			bad += findings[i].bad && !findings[i].mended;
		if (bad)
			status = error_set(err, STATUS_NEGATIVE, "%zu finding%s need%s attention",
					   bad, bad == 1 ? "" : "s", bad == 1 ? "s" : "");
	}
	invocation_close(inv, &session);
	return status;
}

static void rebuild_print(struct invocation *inv, const uint8_t *hash, const uint8_t *fresh)
{
	char hex[2 * HASH_BYTES + 1];
	struct json json;

	if (inv->json) {
		json_begin(inv, &json, "rebuild");
		jsonw_pair_hex(&json, "state_hash", hash, HASH_BYTES);
		if (fresh) {
			jsonw_pair_hex(&json, "rebuilt_hash", fresh, HASH_BYTES);
			jsonw_pair_bool(&json, "equal", memcmp(hash, fresh, HASH_BYTES) == 0);
		}
		json_finish(inv, &json);
		return;
	}
	text_to_hex(hash, HASH_BYTES, hex);
	buf_printf(&inv->out, "state:   %s\n", hex);
	if (!fresh)
		return;
	text_to_hex(fresh, HASH_BYTES, hex);
	buf_printf(&inv->out, "rebuilt: %s\n%s\n", hex,
		   memcmp(hash, fresh, HASH_BYTES) == 0 ? "equal" : "DIFFERENT");
}

static enum status cmd_rebuild(struct invocation *inv, struct error *err)
{
	bool compare = option_given(inv->options, OPTION_COMPARE);
	struct session session = { .store = NULL };
	uint8_t hash[HASH_BYTES], fresh[HASH_BYTES];
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status && compare)
		status = op_rebuild_compare(&session, hash, fresh, err);
	else if (!status)
		status = op_rebuild(&session, hash, err);
	if (!status) {
		rebuild_print(inv, hash, compare ? fresh : NULL);
		inv->verdict = true;
		if (compare && memcmp(hash, fresh, HASH_BYTES) != 0)
			status = error_hint(err,
					    error_set(err, STATUS_NEGATIVE,
						      "the state is not what the log says"),
					    "build it anew: provenv rebuild");
	}
	invocation_close(inv, &session);
	return status;
}

static const enum option_id verify_options[] = { OPTION_DEEP, OPTION_SINCE, OPTION_AS, OPTION_END };
static const enum option_id doctor_options[] = { OPTION_ACCEPT_LOSS, OPTION_DRY_RUN,
						 OPTION_CONFIRM,     OPTION_REASON,
						 OPTION_AS,          OPTION_ACCEPT_CLOCK,
						 OPTION_END };
static const enum option_id rebuild_options[] = { OPTION_COMPARE, OPTION_END };

const struct command commands_store[] = {
	{
		.group = "status",
		.operands = "",
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.summary = "where you are, whether it is proven, what changed last",
		.run = cmd_status,
	},
	{
		.group = "verify",
		.operands = "",
		.options = verify_options,
		.summary = "check every event: bytes, links, signatures, tree, indexes",
		.details =
			"Two verdicts: integrity (nothing was altered) and completeness (nothing is "
			"missing at the end). --since FILE starts from a checkpoint and says so; "
			"--deep also opens every secret. Exit 9 when a verdict is bad.",
		.example = "provenv verify --since head.note",
		.run = cmd_verify,
	},
	{
		.group = "doctor",
		.operands = "",
		.options = doctor_options,
		.summary = "look the store over and mend what is derived",
		.details =
			"Every event is checked first, as by verify; when one is damaged nothing is "
			"mended (exit 9). With -n it is only told. --accept-loss=SIZE is the way out "
			"when events at the end are lost for good: it is recorded in the log for "
			"ever, and --confirm takes the name of your key.",
		.run = cmd_doctor,
	},
	{
		.group = "rebuild",
		.operands = "",
		.options = rebuild_options,
		.summary = "build the state anew from the log",
		.details = "With --compare it is only built beside and compared; exit 1 when it "
			   "differs.",
		.run = cmd_rebuild,
	},
	{ .group = NULL },
};
