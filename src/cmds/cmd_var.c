/*
 * `set`, `get`, `ls`, `unset`: variables of a profile.
 */
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "cmds/process.h"
#include "ops/commit.h"
#include "ops/op_catalogue.h"
#include "ops/op_variable.h"
#include "ops/session.h"

#include "base/banned.h"

/* What `set` reads from standard input or a file: a secret until it is known to be none. */
struct hidden_value {
	struct secret secret;
};

static void hidden_release(struct hidden_value *value)
{
	secret_release(&value->secret);
}

static enum status read_hidden(struct invocation *inv, struct hidden_value *ret, struct error *err)
{
	const char *path = option_text(inv->options, OPTION_FILE);
	AUTO(buf_release_wiped) struct buf bytes = BUF_INIT;
	/* One byte more than fits, so that a value too long is told from one that just fits. */
	const size_t bytes_max = VALUE_BYTES_MAX + 2;
	enum status status =
		path ? fs_read_file(path, bytes_max, &bytes, err)
		     : process_read_hidden("The value, then Ctrl-D on a line of its own: ",
					   bytes_max, &bytes, err);

	if (status)
		return status;
	if (!option_given(inv->options, OPTION_EXACT) && bytes.len &&
	    bytes.data[bytes.len - 1] == '\n')
		bytes.len--;
	return secret_copy(&ret->secret, buf_slice(&bytes), err);
}

/* "KEY=VALUE" cut at the first '='. */
static enum status split(const char *operand, size_t index, struct assignment *ret,
			 struct error *err)
{
	const char *equals = strchr(operand, '=');

	/* It may be the rest of a value that lost its quotes: only its place is named. */
	if (!equals)
		return error_hint(
			err, error_set(err, STATUS_USAGE, "set: operand %zu has no '='", index + 1),
			"provenv set KEY=VALUE, or KEY with --stdin or --file FILE");
	ret->key = slice_of(operand, (size_t)(equals - operand));
	ret->value = slice_str(equals + 1);
	return STATUS_OK;
}

static enum status read_assignments(struct invocation *inv, struct session *session,
				    struct hidden_value *hidden, struct set_args *ret,
				    struct error *err)
{
	bool from_elsewhere =
		option_given(inv->options, OPTION_STDIN) || option_given(inv->options, OPTION_FILE);
	struct assignment *items = arena_array(&session->arena, inv->operand_count, sizeof(*items));
	enum status status = STATUS_OK;

	if (!items)
		return error_no_memory(err);
	if (from_elsewhere) {
		if (inv->operand_count != 1 || strchr(inv->operands[0], '='))
			return error_set(err, STATUS_USAGE,
					 "set: --stdin and --file take one KEY without '='");
		items[0].key = slice_str(inv->operands[0]);
		items[0].hidden = &hidden->secret;
		status = read_hidden(inv, hidden, err);
	}
	for (size_t i = 0; !from_elsewhere && !status && i < inv->operand_count; i++)
		status = split(inv->operands[i], i, &items[i], err);
	ret->assignments = items;
	ret->count = inv->operand_count;
	return status;
}

static enum status cmd_set(struct invocation *inv, struct error *err)
{
	AUTO(hidden_release) struct hidden_value hidden = { .secret = SECRET_INIT };
	struct session session = { .store = NULL };
	struct set_args args = { .kind = SET_AS_SPECIFIED };
	struct outcome outcome;
	enum status status;

	if (option_given(inv->options, OPTION_SECRET) && option_given(inv->options, OPTION_PLAIN))
		return error_set(err, STATUS_USAGE, "set: --secret and --plain exclude each other");
	if (option_given(inv->options, OPTION_STDIN) && option_given(inv->options, OPTION_FILE))
		return error_set(err, STATUS_USAGE, "set: --stdin and --file exclude each other");
	if (option_given(inv->options, OPTION_SECRET))
		args.kind = SET_SECRET;
	if (option_given(inv->options, OPTION_PLAIN))
		args.kind = SET_PLAIN;
	status = invocation_open(inv, SESSION_PROFILE, &session, err);
	if (!status)
		status = read_assignments(inv, &session, &hidden, &args, err);
	if (!status)
		status = commit(&session, decide_set, &args, &outcome, err);
	if (!status)
		print_outcome(inv, "set", &outcome);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_unset(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct outcome outcome;
	struct slice *keys;
	struct unset_args args = { .count = inv->operand_count };
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	keys = arena_array(&session.arena, inv->operand_count, sizeof(*keys));
	if (!status && !keys)
		status = error_no_memory(err);
	for (size_t i = 0; !status && i < inv->operand_count; i++)
		keys[i] = slice_str(inv->operands[i]);
	args.keys = keys;
	if (!status)
		status = commit(&session, decide_unset, &args, &outcome, err);
	if (!status)
		print_outcome(inv, "unset", &outcome);
	invocation_close(inv, &session);
	return status;
}

static const char *origin_name(enum variable_origin origin)
{
	return origin == ORIGIN_OWN ? "own" : "default";
}

/* The members that get and ls share. */
static void json_variable(struct json *json, const struct variable_info *info)
{
	jsonw_pair_slice(json, "key", info->key);
	jsonw_key(json, "value");
	if (info->masked)
		jsonw_null(json);
	else
		jsonw_slice(json, info->secret ? secret_slice(&info->revealed) : info->value);
	jsonw_pair_bool(json, "secret", info->secret);
	if (info->masked)
		jsonw_pair_bool(json, "masked", true);
	jsonw_key(json, "category");
	if (info->category.len)
		jsonw_slice(json, info->category);
	else
		jsonw_null(json);
	jsonw_pair_string(json, "origin", origin_name(info->origin));
	jsonw_pair_uint(json, "seq", info->seq);
	jsonw_pair_time(json, "time", info->time_ms);
	jsonw_pair_slice(json, "actor", info->actor);
}

static enum status refuse_masked(const struct variable_info *info, struct error *err)
{
	return error_hint(
		err,
		error_set(err, STATUS_DENIED, "'" SLICE_FMT "' is secret", SLICE_ARG(info->key)),
		"show it with --reveal");
}

static void print_value(struct invocation *inv, const struct variable_info *info)
{
	struct json json;

	if (inv->json) {
		json_begin(inv, &json, "get");
		json_variable(&json, info);
		json_finish(inv, &json);
		return;
	}
	if (info->masked)
		return;
	buf_append_slice(&inv->out, info->secret ? secret_slice(&info->revealed) : info->value);
	buf_append_byte(&inv->out, '\n');
}

static enum status cmd_get(struct invocation *inv, struct error *err)
{
	AUTO(variable_info_release) struct variable_info info = { .seq = 0 };
	struct session session = { .store = NULL };
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = op_get(&session, slice_str(inv->operands[0]),
				option_given(inv->options, OPTION_REVEAL), &info, err);
	if (!status) {
		print_value(inv, &info);
		/* A masked value is a refusal; its JSON says so on stdout as well. */
		inv->verdict = info.masked;
		if (info.masked)
			status = refuse_masked(&info, err);
	}
	invocation_close(inv, &session);
	return status;
}

static void print_list_json(struct invocation *inv, struct session *session,
			    const struct variable_info *infos, size_t count)
{
	struct json json;

	json_begin(inv, &json, "ls");
	jsonw_pair_slice(&json, "environment", session->environment);
	jsonw_pair_slice(&json, "profile", session->profile);
	jsonw_pair_uint(&json, "at", session->point.seq);
	jsonw_key(&json, "variables");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		jsonw_object(&json);
		json_variable(&json, &infos[i]);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void print_list(struct invocation *inv, const struct variable_info *infos, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "KEY", "VALUE", "CATEGORY", "ORIGIN", "EVENT" },
		    5);
	for (size_t i = 0; i < count; i++) {
		const struct variable_info *info = &infos[i];

		table_text(&table, info->key);
		if (info->masked)
			table_str(&table, MASKED_VALUE);
		else
			table_text(&table,
				   info->secret ? secret_slice(&info->revealed) : info->value);
		table_text(&table, info->category);
		table_str(&table, origin_name(info->origin));
		table_uint(&table, info->seq);
	}
	table_print(&table, inv);
}

static enum status cmd_ls(struct invocation *inv, struct error *err)
{
	const char *category = option_text(inv->options, OPTION_CATEGORY);
	struct session session = { .store = NULL };
	struct variable_info *infos = NULL;
	struct definition known;
	size_t count = 0;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status && category)
		status = op_find_category(&session, slice_str(category), &known, err);
	if (!status)
		status = op_list(&session, slice_str(category ? category : ""),
				 option_given(inv->options, OPTION_REVEAL), &infos, &count, err);
	if (!status && inv->json)
		print_list_json(inv, &session, infos, count);
	else if (!status)
		print_list(inv, infos, count);
	for (size_t i = 0; !status && i < count; i++)
		variable_info_release(&infos[i]);
	invocation_close(inv, &session);
	return status;
}

static const enum option_id set_options[] = { OPTION_STDIN,  OPTION_FILE,  OPTION_EXACT,
					      OPTION_SECRET, OPTION_PLAIN, OPTION_END };
static const enum option_id get_options[] = { OPTION_REVEAL, OPTION_AS, OPTION_END };
static const enum option_id ls_options[] = { OPTION_CATEGORY, OPTION_REVEAL, OPTION_AS,
					     OPTION_END };

const struct command commands_var[] = {
	{
		.group = "set",
		.operands = "KEY=VALUE… | KEY",
		.operands_min = 1,
		.operands_max = UINT_MAX,
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.options = set_options,
		.summary = "set variables of a profile, all or none",
		.details =
			"Values are checked against their specifications. A secret is given with "
			"--stdin or --file, never on the command line. Setting an equal value "
			"makes no event.",
		.example = "provenv set TRADING_MODE=paper MAX_POSITION_SIZE_KRW=1000000",
		.run = cmd_set,
	},
	{
		.group = "get",
		.operands = "KEY",
		.operands_min = 1,
		.operands_max = 1,
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.options = get_options,
		.summary = "print the value of a variable",
		.details =
			"Prints the value and a newline, nothing else. A secret needs --reveal and a "
			"key that can read it.",
		.example = "provenv get TRADING_MODE --at @-1d",
		.run = cmd_get,
	},
	{
		.group = "ls",
		.operands = "",
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.options = ls_options,
		.summary = "list the variables of a profile, with defaults",
		.example = "provenv ls -c trading -e production",
		.run = cmd_ls,
	},
	{
		.group = "unset",
		.operands = "KEY…",
		.operands_min = 1,
		.operands_max = UINT_MAX,
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.summary = "take variables out of a profile",
		.details = "A default of the specification shows again. The old value stays in the "
			   "log and can be put back with restore.",
		.example = "provenv unset TRADING_MODE",
		.run = cmd_unset,
	},
	{ .group = NULL },
};
