/*
 * `log`, `show`, `blame`, `diff`: what happened, who did it, what differs.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "cmds/show.h"
#include "ops/op_diff.h"
#include "ops/op_history.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"

#include "base/banned.h"

enum {
	FLUSH_BYTES = 64 * 1024,
	/*
	 * A signer's clock this far behind the log is worth a word. Less is no clock's fault: a
	 * command that asked a person, or waited for the lock, claims the time when it began.
	 */
	CLOCK_BEHIND_MS = 60 * 1000,
};

/* The members of one event, shared by `log` and `show`. */
static void json_event(struct json *json, struct session *session, const struct read_event *read)
{
	const struct event *event = &read->decoded.event;

	jsonw_pair_uint(json, "seq", event->seq);
	jsonw_pair_time(json, "time", event->time_ms);
	if (event->claimed_ms != event->time_ms)
		jsonw_pair_time(json, "claimed_time", event->claimed_ms);
	jsonw_pair_slice(json, "actor", session_actor(session, event));
	jsonw_pair_hex(json, "key_id", event->key_id, KEY_ID_BYTES);
	jsonw_pair_slice(json, "type", read->decoded.type_name);
	jsonw_pair_slice(json, "reason", event->reason);
	jsonw_pair_hex(json, "hash", read->leaf_hash, HASH_BYTES);
	jsonw_pair_hex(json, "command_id", event->command_id, COMMAND_ID_BYTES);
	jsonw_pair_uint(json, "part", event->part);
	jsonw_pair_uint(json, "parts", event->parts);
	if (read->newer)
		jsonw_pair_bool(json, "newer", true);
	jsonw_key(json, "payload");
	json_payload(json, &event->payload);
}

struct log_printing {
	struct invocation *inv;
	struct json json;
	bool lines;
};

static void print_event_line(struct buf *out, struct session *session,
			     const struct read_event *read)
{
	const struct event *event = &read->decoded.event;
	AUTO(buf_release) struct buf summary = BUF_INIT;
	char when[32];

	print_time(event->time_ms, when);
	buf_printf(out, "%6" PRIu64 "  %s  ", event->seq, when);
	text_append_printable(out, session_actor(session, event));
	buf_append_str(out, "  ");
	text_append_printable(out, read->decoded.type_name);
	if (!read->newer)
		payload_summary(&summary, &event->payload);
	if (summary.len) {
		buf_append_str(out, "  ");
		text_append_printable(out, buf_slice(&summary));
	}
	out->failed = out->failed || summary.failed;
	if (event->reason.len) {
		buf_append_str(out, "  \"");
		text_append_printable(out, event->reason);
		buf_append_byte(out, '"');
	}
	if (event->claimed_ms + CLOCK_BEHIND_MS < event->time_ms)
		buf_append_str(out, "  (clock behind)");
	buf_append_byte(out, '\n');
}

static enum status log_visit(void *context, struct session *session, const struct read_event *event,
			     struct error *err)
{
	struct log_printing *printing = context;
	struct invocation *inv = printing->inv;

	if (printing->lines) {
		jsonw_init(&printing->json, &inv->out);
		jsonw_object(&printing->json);
		json_event(&printing->json, session, event);
		jsonw_end(&printing->json);
		buf_append_byte(&inv->out, '\n');
	} else if (inv->json) {
		jsonw_object(&printing->json);
		json_event(&printing->json, session, event);
		jsonw_end(&printing->json);
	} else {
		print_event_line(&inv->out, session, event);
	}
	return inv->out.len > FLUSH_BYTES ? invocation_flush(inv, err) : STATUS_OK;
}

/* A moment, or a duration back from now. */
static enum status read_time(struct invocation *inv, enum option_id option, uint64_t *ret,
			     struct error *err)
{
	const char *text = option_text(inv->options, option);
	uint64_t span_ms, now_ms = clock_now_ms();

	if (!text)
		return STATUS_OK;
	if (*text == '@')
		text++;
	if (text_to_time_ms(slice_str(text), ret))
		return STATUS_OK;
	if (*text == '-')
		text++;
	if (!text_to_duration_ms(slice_str(text), &span_ms) || span_ms > now_ms)
		return error_hint(
			err,
			error_set(err, STATUS_USAGE, "--%s: not a time", option_info(option)->name),
			"for example 2026-01-02, 2026-01-02T03:04:05Z or 2h");
	*ret = now_ms - span_ms;
	return STATUS_OK;
}

static enum status read_filter(struct invocation *inv, struct history_filter *ret,
			       struct error *err)
{
	const char *max = option_text(inv->options, OPTION_MAX);
	const char *actor = option_text(inv->options, OPTION_ACTOR);
	const char *type = option_text(inv->options, OPTION_TYPE);
	enum status status = read_time(inv, OPTION_SINCE, &ret->since_ms, err);

	if (!status)
		status = read_time(inv, OPTION_UNTIL, &ret->until_ms, err);
	if (!status && max && (!text_to_u64(slice_str(max), &ret->max) || ret->max == 0))
		status = error_set(err, STATUS_USAGE, "--max: not a number of events");
	if (actor)
		ret->actor = slice_str(actor);
	if (type)
		ret->type = slice_str(type);
	if (inv->operand_count)
		ret->key = slice_str(inv->operands[0]);
	if (inv->session.environment)
		ret->environment = slice_str(inv->session.environment);
	if (inv->session.profile)
		ret->profile = slice_str(inv->session.profile);
	if (!status && !ret->key.len && (inv->session.environment || inv->session.profile))
		status = error_set(err, STATUS_USAGE, "log: -e and -p go with a KEY");
	return status;
}

static enum status print_range(struct invocation *inv, struct session *session, struct error *err)
{
	struct history_range range;
	struct json json;
	char first[32], last[32];
	enum status status = op_history_range(session, &range, err);

	if (status)
		return status;
	if (inv->json) {
		json_begin(inv, &json, "log range");
		jsonw_pair_uint(&json, "first_seq", range.first_seq);
		jsonw_pair_time(&json, "first_time", range.first_ms);
		jsonw_pair_uint(&json, "last_seq", range.last_seq);
		jsonw_pair_time(&json, "last_time", range.last_ms);
		json_finish(inv, &json);
		return STATUS_OK;
	}
	text_from_time_ms(range.first_ms, first);
	text_from_time_ms(range.last_ms, last);
	buf_printf(&inv->out, "events %" PRIu64 "..%" PRIu64 ", %s to %s\n", range.first_seq,
		   range.last_seq, first, last);
	return STATUS_OK;
}

static enum status print_log(struct invocation *inv, struct session *session,
			     const struct history_filter *filter, struct error *err)
{
	struct log_printing printing = { .inv = inv, .lines = inv->jsonl };
	enum status status;

	if (inv->json && !inv->jsonl) {
		json_begin(inv, &printing.json, "log");
		jsonw_key(&printing.json, "events");
		jsonw_array(&printing.json);
	}
	status = op_history(session, filter, log_visit, &printing, err);
	if (!status && inv->json && !inv->jsonl) {
		jsonw_end(&printing.json);
		json_finish(inv, &printing.json);
	}
	return status;
}

/* The range is that of the whole log. */
static enum status refuse_with_range(const struct invocation *inv, struct error *err)
{
	static const enum option_id filters[] = { OPTION_SINCE, OPTION_UNTIL, OPTION_ACTOR,
						  OPTION_TYPE, OPTION_MAX };
	bool filtered = inv->operand_count > 0;

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		filtered = filtered || option_given(inv->options, filters[i]);
	if (filtered && option_given(inv->options, OPTION_RANGE))
		return error_set(err, STATUS_USAGE, "log: --range takes no KEY and no filter");
	return STATUS_OK;
}

static enum status cmd_log(struct invocation *inv, struct error *err)
{
	/* --at needs no state, only the event; but REFs are resolved by sessions with state. */
	enum session_need need = inv->session.at ? SESSION_STATE : SESSION_LOG;
	struct session session = { .store = NULL };
	struct history_filter filter = { .until_ms = UINT64_MAX };
	enum status status = read_filter(inv, &filter, err);

	if (!status)
		status = refuse_with_range(inv, err);
	if (status)
		return status;
	status = invocation_open(inv, need, &session, err);
	if (!status && option_given(inv->options, OPTION_RANGE))
		status = print_range(inv, &session, err);
	else if (!status)
		status = print_log(inv, &session, &filter, err);
	invocation_close(inv, &session);
	return status;
}

static void print_field(struct buf *out, const char *label, struct slice text)
{
	buf_printf(out, "%-9s", label);
	text_append_printable(out, text);
	buf_append_byte(out, '\n');
}

static void show_text(struct invocation *inv, struct session *session,
		      const struct read_event *read, const struct plan_change *changes,
		      size_t count)
{
	const struct event *event = &read->decoded.event;
	AUTO(buf_release) struct buf line = BUF_INIT;
	char hex[2 * HASH_BYTES + 1], when[32];

	text_to_hex(read->leaf_hash, HASH_BYTES, hex);
	text_from_time_ms(event->time_ms, when);
	buf_printf(&inv->out, "event    %" PRIu64 "\nhash     %s\n", event->seq, hex);
	print_field(&inv->out, "type", read->decoded.type_name);
	print_field(&inv->out, "actor", session_actor(session, event));
	buf_printf(&inv->out, "time     %s\n", when);
	if (event->claimed_ms != event->time_ms) {
		text_from_time_ms(event->claimed_ms, when);
		buf_printf(&inv->out, "clock    %s\n", when);
	}
	text_to_hex(event->command_id, COMMAND_ID_BYTES, hex);
	buf_printf(&inv->out, "command  %s, part %" PRIu32 " of %" PRIu32 "\n", hex, event->part,
		   event->parts);
	if (event->reason.len)
		print_field(&inv->out, "reason", event->reason);
	payload_summary(&line, &event->payload);
	if (!read->newer && line.len)
		print_field(&inv->out, "about", buf_slice(&line));
	inv->out.failed = inv->out.failed || line.failed;
	if (count)
		buf_append_byte(&inv->out, '\n');
	print_changes(&inv->out, changes, count);
}

static enum status cmd_show(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct plan_change *changes = NULL;
	const struct read_event *event;
	struct json json;
	size_t count = 0;
	uint64_t seq = 0;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	/* A log with events of a later provenv can still be shown, without what they changed. */
	if (status == STATUS_NEWER) {
		invocation_close(inv, &session);
		status = invocation_open(inv, SESSION_LOG, &session, err);
	}
	if (!status)
		status = op_event_number(&session, inv->operands[0], &seq, err);
	if (!status && session.projection)
		status = op_event_changes(&session, seq, &changes, &count, err);
	if (!status)
		status = session_event(&session, seq, &event, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "show");
		json_event(&json, &session, event);
		json_changes(&json, changes, count);
		json_finish(inv, &json);
	} else if (!status) {
		show_text(inv, &session, event, changes, count);
	}
	invocation_close(inv, &session);
	return status;
}

static void json_side(struct json *json, const char *name, struct slice text, bool present,
		      bool secret)
{
	jsonw_key(json, name);
	if (!present || secret)
		jsonw_null(json);
	else
		jsonw_slice(json, text);
}

static void blame_json(struct invocation *inv, const struct session *session,
		       const struct blame_line *lines, size_t count)
{
	struct json json;

	json_begin(inv, &json, "blame");
	jsonw_pair_slice(&json, "environment", session->environment);
	jsonw_pair_slice(&json, "profile", session->profile);
	jsonw_pair_uint(&json, "at", session->point.seq);
	jsonw_key(&json, "lines");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		const struct variable_info *info = &lines[i].info;

		jsonw_object(&json);
		jsonw_pair_slice(&json, "key", info->key);
		json_side(&json, "before", lines[i].before, lines[i].had_before,
			  lines[i].before_secret);
		json_side(&json, "after", info->value, true, info->secret);
		jsonw_pair_bool(&json, "secret", info->secret);
		jsonw_pair_uint(&json, "seq", info->seq);
		jsonw_pair_time(&json, "time", info->time_ms);
		jsonw_pair_slice(&json, "actor", info->actor);
		jsonw_pair_slice(&json, "reason", info->reason);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void blame_text(struct invocation *inv, const struct blame_line *lines, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };
	char when[32];

	table_begin(&table,
		    (const char *const[]){ "KEY", "VALUE", "BEFORE", "EVENT", "TIME", "ACTOR",
					   "REASON" },
		    7);
	for (size_t i = 0; i < count; i++) {
		const struct variable_info *info = &lines[i].info;

		table_text(&table, info->key);
		table_text(&table, info->secret ? slice_str(MASKED_VALUE) : info->value);
		table_text(&table,
			   lines[i].before_secret ? slice_str(MASKED_VALUE) : lines[i].before);
		table_uint(&table, info->seq);
		print_time(info->time_ms, when);
		table_str(&table, when);
		table_text(&table, info->actor);
		table_text(&table, info->reason);
	}
	table_print(&table, inv);
}

static enum status cmd_blame(struct invocation *inv, struct error *err)
{
	struct slice key = slice_str(inv->operand_count ? inv->operands[0] : "");
	struct session session = { .store = NULL };
	struct blame_line *lines;
	size_t count;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = op_blame(&session, key, &lines, &count, err);
	if (!status && inv->json)
		blame_json(inv, &session, lines, count);
	else if (!status)
		blame_text(inv, lines, count);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_diff(struct invocation *inv, struct error *err)
{
	const char *only = option_text(inv->options, OPTION_ONLY);
	struct session session = { .store = NULL };
	struct diff_args args = {
		.from = inv->operand_count > 0 ? inv->operands[0] : NULL,
		.to = inv->operand_count > 1 ? inv->operands[1] : NULL,
		.only = slice_str(only ? only : ""),
	};
	struct diff_result result;
	struct json json;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = op_diff(&session, &args, &result, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "diff");
		jsonw_pair_slice(&json, "from", result.from);
		jsonw_pair_slice(&json, "to", result.to);
		json_changes(&json, result.changes, result.count);
		json_finish(inv, &json);
	} else if (!status) {
		print_changes(&inv->out, result.changes, result.count);
	}
	if (!status && result.count) {
		inv->verdict = true;
		inv->silent = true;
		status = error_set(err, STATUS_NEGATIVE, "%zu differences", result.count);
	}
	invocation_close(inv, &session);
	return status;
}

static const enum option_id log_options[] = { OPTION_ACTOR, OPTION_TYPE, OPTION_SINCE, OPTION_UNTIL,
					      OPTION_RANGE, OPTION_MAX,  OPTION_END };
static const enum option_id diff_options[] = { OPTION_ONLY, OPTION_END };

const struct command commands_history[] = {
	{
		.group = "log",
		.operands = "[KEY]",
		.operands_max = 1,
		.flags = COMMAND_READS | COMMAND_PROFILE | COMMAND_LINES,
		.options = log_options,
		.summary = "list events, newest first",
		.details =
			"With KEY only the events that change it or its specification. --type takes "
			"a type or a family such as 'environment'. --range prints what REFs can name.",
		.example = "provenv log TRADING_MODE --since 1d",
		.run = cmd_log,
	},
	{
		.group = "show",
		.operands = "REF",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "show one event and what it changed",
		.example = "provenv show 42",
		.run = cmd_show,
	},
	{
		.group = "blame",
		.operands = "[KEY]",
		.operands_max = 1,
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.summary = "who set each variable, when, and what stood before",
		.example = "provenv blame TRADING_MODE",
		.run = cmd_blame,
	},
	{
		.group = "diff",
		.operands = "[A [B]]",
		.operands_max = 2,
		.flags = COMMAND_PROFILE,
		.options = diff_options,
		.summary = "what differs between two moments, environments or profiles",
		.details =
			"A and B are a REF, or ENV/[PROFILE][@REF]. Without B: A and now; without "
			"both: the last command. Exit 1 when something differs.",
		.example = "provenv diff development/ production/",
		.run = cmd_diff,
	},
	{ .group = NULL },
};
