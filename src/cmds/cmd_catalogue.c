/*
 * `category …` and `spec …`: the catalogue of variables.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
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
#include "cmds/show.h"
#include "ops/catalogue.h"
#include "ops/commit.h"
#include "ops/langmap.h"
#include "ops/op_catalogue.h"
#include "ops/session.h"

#include "base/banned.h"

static void print_categories_json(struct invocation *inv, const struct definition *items,
				  size_t count)
{
	struct json json;

	json_begin(inv, &json, "category ls");
	jsonw_key(&json, "categories");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = items[i].payload;

		jsonw_object(&json);
		jsonw_pair_slice(&json, "name", payload_get_text(payload, FIELD_NAME));
		jsonw_pair_slice(&json, "title",
				 langmap_pick(&payload->field[FIELD_TITLE].langmap));
		jsonw_pair_string(&json, "status",
				  payload_get_bool(payload, FIELD_PLANNED) ? "planned"
									   : "implemented");
		jsonw_pair_uint(&json, "seq", items[i].seq);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void print_categories(struct invocation *inv, const struct definition *items, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "NAME", "TITLE", "STATUS" }, 3);
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = items[i].payload;

		table_text(&table, payload_get_text(payload, FIELD_NAME));
		table_text(&table, langmap_pick(&payload->field[FIELD_TITLE].langmap));
		table_str(&table, payload_get_bool(payload, FIELD_PLANNED) ? "not implemented"
									   : "implemented");
	}
	table_print(&table, inv);
}

static enum status cmd_category_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct definition *items;
	size_t count;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = state_categories(&session.view, &items, &count, err);
	if (!status && inv->json)
		print_categories_json(inv, items, count);
	else if (!status)
		print_categories(inv, items, count);
	invocation_close(inv, &session);
	return status;
}

static enum status change(struct invocation *inv, decide_fn decide, const void *args,
			  struct error *err)
{
	struct session session = { .store = NULL };
	AUTO(buf_release) struct buf word = BUF_INIT;
	struct outcome outcome;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = commit(&session, decide, args, &outcome, err);
	buf_printf(&word, "%s %s", inv->command->group, inv->command->verb);
	if (!status)
		print_outcome(inv, buf_str(&word), &outcome);
	for (size_t i = 0; !status && i < outcome.exposed_count; i++)
		buf_printf(&inv->notes,
			   "'" SLICE_FMT "' had plain values: they stay readable in the log; "
			   "change the value at its source\n",
			   SLICE_ARG(outcome.exposed[i]));
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_category_set(struct invocation *inv, struct error *err)
{
	const char *state = option_text(inv->options, OPTION_STATUS);
	struct category_args args = {
		.name = slice_str(inv->operands[0]),
		.title = option_text(inv->options, OPTION_TITLE),
		.description = option_text(inv->options, OPTION_DESCRIPTION),
		.planned_given = state != NULL,
		.planned = state && strcmp(state, "planned") == 0,
	};

	if (state && !args.planned && strcmp(state, "implemented") != 0)
		return error_set(err, STATUS_USAGE, "--status is implemented or planned");
	return change(inv, decide_category_set, &args, err);
}

static enum status cmd_category_rm(struct invocation *inv, struct error *err)
{
	struct category_args args = { .name = slice_str(inv->operands[0]) };

	return change(inv, decide_category_remove, &args, err);
}

static void json_specification(struct json *json, const struct definition *item)
{
	jsonw_pair_uint(json, "seq", item->seq);
	jsonw_key(json, "specification");
	json_payload(json, item->payload);
}

static void print_specs(struct invocation *inv, const struct definition *items, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "KEY", "TYPE", "CATEGORY", "RULES", "DEFAULT" },
		    5);
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = items[i].payload;
		bool required = payload_get_bool(payload, FIELD_REQUIRED);
		bool secret = payload_get_bool(payload, FIELD_SECRET);

		table_text(&table, payload_get_text(payload, FIELD_KEY));
		table_text(&table, payload_get_text(payload, FIELD_TYPE));
		table_text(&table, payload_get_text(payload, FIELD_CATEGORY));
		table_str(&table, required && secret ? "required, secret"
				  : required         ? "required"
				  : secret           ? "secret"
						     : "");
		table_text(&table, payload_get_text(payload, FIELD_DEFAULT));
	}
	table_print(&table, inv);
}

static enum status cmd_spec_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct definition *items;
	struct json json;
	size_t count;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = state_specifications(&session.view, &items, &count, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "spec ls");
		jsonw_key(&json, "specifications");
		jsonw_array(&json);
		for (size_t i = 0; i < count; i++) {
			jsonw_object(&json);
			json_specification(&json, &items[i]);
			jsonw_end(&json);
		}
		jsonw_end(&json);
		json_finish(inv, &json);
	} else if (!status) {
		print_specs(inv, items, count);
	}
	invocation_close(inv, &session);
	return status;
}

static void print_line(struct buf *out, const char *label, struct slice text)
{
	if (!text.len)
		return;
	buf_printf(out, "%-13s", label);
	text_append_printable(out, text);
	buf_append_byte(out, '\n');
}

static void print_spec(struct buf *out, const struct payload *payload)
{
	const struct texts *values = &payload->field[FIELD_ENUM].texts;

	print_line(out, "Key:", payload_get_text(payload, FIELD_KEY));
	print_line(out, "Type:", payload_get_text(payload, FIELD_TYPE));
	print_line(out, "Category:", payload_get_text(payload, FIELD_CATEGORY));
	buf_printf(out, "%-13s%s\n",
		   "Required:", payload_get_bool(payload, FIELD_REQUIRED) ? "yes" : "no");
	buf_printf(out, "%-13s%s\n",
		   "Secret:", payload_get_bool(payload, FIELD_SECRET) ? "yes" : "no");
	if (payload->field[FIELD_ENUM].present) {
		buf_printf(out, "%-13s", "Values:");
		for (size_t i = 0; i < values->count; i++) {
			buf_append_str(out, i ? ", " : "");
			text_append_printable(out, values->entries[i]);
		}
		buf_append_byte(out, '\n');
	}
	print_line(out, "Pattern:", payload_get_text(payload, FIELD_PATTERN));
	print_line(out, "Minimum:", payload_get_text(payload, FIELD_MIN));
	print_line(out, "Maximum:", payload_get_text(payload, FIELD_MAX));
	print_line(out, "Default:", payload_get_text(payload, FIELD_DEFAULT));
	print_line(out, "Unit:", payload_get_text(payload, FIELD_UNIT));
	if (payload->field[FIELD_TITLE].present)
		print_line(out, "Title:", langmap_pick(&payload->field[FIELD_TITLE].langmap));
	if (payload->field[FIELD_DESCRIPTION].present)
		print_line(out, "Description:",
			   langmap_pick(&payload->field[FIELD_DESCRIPTION].langmap));
	print_line(out, "Example:", payload_get_text(payload, FIELD_EXAMPLE));
}

static enum status cmd_spec_show(struct invocation *inv, struct error *err)
{
	struct slice key = slice_str(inv->operands[0]);
	struct session session = { .store = NULL };
	struct definition item;
	struct json json;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = op_find_specification(&session, key, &item, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "spec show");
		json_specification(&json, &item);
		json_finish(inv, &json);
	} else if (!status) {
		print_spec(&inv->out, item.payload);
	}
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_spec_set(struct invocation *inv, struct error *err)
{
	const struct option_values *options = inv->options;
	struct specification_args args = {
		.key = slice_str(inv->operands[0]),
		.type = option_text(options, OPTION_TYPE),
		.category = option_text(options, OPTION_CATEGORY),
		.enum_list = option_text(options, OPTION_ENUM),
		.pattern = option_text(options, OPTION_PATTERN),
		.min = option_text(options, OPTION_MIN),
		.max = option_text(options, OPTION_MAX),
		.default_value = option_text(options, OPTION_DEFAULT),
		.unit = option_text(options, OPTION_UNIT),
		.title = option_text(options, OPTION_TITLE),
		.description = option_text(options, OPTION_DESCRIPTION),
		.example = option_text(options, OPTION_EXAMPLE),
		.required = option_given(options, OPTION_REQUIRED),
		.secret = option_given(options, OPTION_SECRET),
	};

	return change(inv, decide_specification_set, &args, err);
}

static enum status cmd_spec_rm(struct invocation *inv, struct error *err)
{
	struct specification_args args = { .key = slice_str(inv->operands[0]) };

	return change(inv, decide_specification_remove, &args, err);
}

static enum status cmd_spec_import(struct invocation *inv, struct error *err)
{
	const char *path = inv->operands[0];
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf json = BUF_INIT;
	struct catalogue catalogue;
	enum status status = strcmp(path, "-") == 0
				     ? fs_read_fd(STDIN_FILENO, "standard input",
						  CATALOGUE_BYTES_MAX, &json, err)
				     : fs_read_file(path, CATALOGUE_BYTES_MAX, &json, err);

	if (!status)
		status = catalogue_parse(&arena, buf_slice(&json), &catalogue, err);
	if (!status)
		status = change(inv, decide_catalogue_import, &catalogue, err);
	return status;
}

static enum status cmd_spec_export(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct catalogue catalogue;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = op_catalogue_export(&session, &catalogue, err);
	if (!status)
		status = catalogue_print(&catalogue, &inv->out, err);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_spec_check(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = print_check(inv, &session, "spec check", err);
	invocation_close(inv, &session);
	return status;
}

static const enum option_id category_options[] = { OPTION_TITLE, OPTION_DESCRIPTION, OPTION_STATUS,
						   OPTION_END };
static const enum option_id spec_options[] = { OPTION_TYPE,        OPTION_CATEGORY, OPTION_REQUIRED,
					       OPTION_SECRET,      OPTION_ENUM,     OPTION_PATTERN,
					       OPTION_MIN,         OPTION_MAX,      OPTION_DEFAULT,
					       OPTION_UNIT,        OPTION_TITLE,    OPTION_EXAMPLE,
					       OPTION_DESCRIPTION, OPTION_END };

#define ONE(what, flag) .operands = (what), .operands_min = 1, .operands_max = 1, .flags = (flag)

const struct command commands_catalogue[] = {
	{
		.group = "category",
		.verb = "ls",
		.operands = "",
		.flags = COMMAND_READS,
		.summary = "list categories",
		.run = cmd_category_ls,
	},
	{
		.group = "category",
		.verb = "set",
		ONE("NAME", COMMAND_WRITES),
		.options = category_options,
		.summary = "make or change a category",
		.example = "provenv category set trading --title Trading",
		.run = cmd_category_set,
	},
	{
		.group = "category",
		.verb = "rm",
		ONE("NAME", COMMAND_WRITES),
		.summary = "remove a category that no specification names",
		.run = cmd_category_rm,
	},
	{
		.group = "spec",
		.verb = "ls",
		.operands = "",
		.flags = COMMAND_READS,
		.summary = "list specifications of variables",
		.run = cmd_spec_ls,
	},
	{
		.group = "spec",
		.verb = "show",
		ONE("KEY", COMMAND_READS),
		.summary = "show one specification",
		.run = cmd_spec_show,
	},
	{
		.group = "spec",
		.verb = "set",
		ONE("KEY", COMMAND_WRITES),
		.options = spec_options,
		.summary = "specify a variable: type, limits, default",
		.details =
			"What is not given stays as it is; an empty text removes a field. Types: "
			"string int decimal bool enum url path json.",
		.example = "provenv spec set API_TIMEOUT_SECONDS --type int --min 1 --unit s",
		.run = cmd_spec_set,
	},
	{
		.group = "spec",
		.verb = "rm",
		ONE("KEY", COMMAND_WRITES),
		.summary = "remove a specification; values stay",
		.run = cmd_spec_rm,
	},
	{
		.group = "spec",
		.verb = "import",
		ONE("FILE|-", COMMAND_WRITES),
		.summary = "take categories and specifications from a catalogue file",
		.example = "provenv spec import docs/examples/catalogue.json -n",
		.run = cmd_spec_import,
	},
	{
		.group = "spec",
		.verb = "export",
		.operands = "",
		.flags = COMMAND_READS,
		.summary = "print categories and specifications as a catalogue file",
		.run = cmd_spec_export,
	},
	{
		.group = "spec",
		.verb = "check",
		.operands = "",
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.summary = "check a profile against the specifications",
		.details = "Exit 1 when something is missing or invalid.",
		.run = cmd_spec_check,
	},
	{ .group = NULL },
};
