/*
 * `db …`: database files of a profile.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/commit.h"
#include "ops/op_database.h"
#include "ops/session.h"

#include "base/banned.h"

static void print_all_json(struct invocation *inv, struct session *session,
			   const struct definition *items, size_t count)
{
	struct json json;

	json_begin(inv, &json, "db ls");
	jsonw_pair_slice(&json, "environment", session->environment);
	jsonw_pair_slice(&json, "profile", session->profile);
	jsonw_key(&json, "databases");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = items[i].payload;

		jsonw_object(&json);
		jsonw_pair_slice(&json, "name", payload_get_text(payload, FIELD_NAME));
		jsonw_pair_slice(&json, "kind", payload_get_text(payload, FIELD_KIND));
		jsonw_pair_slice(&json, "path", payload_get_text(payload, FIELD_PATH));
		jsonw_pair_uint(&json, "seq", items[i].seq);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void print_all(struct invocation *inv, const struct definition *items, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "NAME", "KIND", "PATH" }, 3);
	for (size_t i = 0; i < count; i++) {
		table_text(&table, payload_get_text(items[i].payload, FIELD_NAME));
		table_text(&table, payload_get_text(items[i].payload, FIELD_KIND));
		table_text(&table, payload_get_text(items[i].payload, FIELD_PATH));
	}
	table_print(&table, inv);
}

static enum status cmd_db_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct definition *items = NULL;
	size_t count = 0;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = state_databases(&session.view, session.environment, session.profile,
					 &items, &count, err);
	if (!status && inv->json)
		print_all_json(inv, &session, items, count);
	else if (!status)
		print_all(inv, items, count);
	invocation_close(inv, &session);
	return status;
}

static enum status change(struct invocation *inv, decide_fn decide,
			  const struct database_args *args, const char *word, struct error *err)
{
	struct session session = { .store = NULL };
	struct outcome outcome;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = commit(&session, decide, args, &outcome, err);
	if (!status)
		print_outcome(inv, word, &outcome);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_db_attach(struct invocation *inv, struct error *err)
{
	struct database_args args = { .name = slice_str(inv->operands[0]),
				      .path = inv->operands[1],
				      .kind = option_text(inv->options, OPTION_KIND) };
	enum status status = change(inv, decide_database_attach, &args, "db attach", err);

	if (!status && !fs_exists(args.path))
		buf_printf(&inv->notes, "%s does not exist yet\n", args.path);
	return status;
}

static enum status cmd_db_detach(struct invocation *inv, struct error *err)
{
	struct database_args args = { .name = slice_str(inv->operands[0]) };

	return change(inv, decide_database_detach, &args, "db detach", err);
}

static const enum option_id attach_options[] = { OPTION_KIND, OPTION_END };

const struct command commands_db[] = {
	{
		.group = "db",
		.verb = "ls",
		.operands = "",
		.flags = COMMAND_READS | COMMAND_PROFILE,
		.summary = "list the databases of a profile",
		.run = cmd_db_ls,
	},
	{
		.group = "db",
		.verb = "attach",
		.operands = "NAME PATH",
		.operands_min = 2,
		.operands_max = 2,
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.options = attach_options,
		.summary = "let a database file belong to a profile",
		.details = "The file need not exist yet. A path below the folder that holds the "
			   "store is kept relative to it, so that both can be moved together.",
		.example = "provenv db attach settings data/settings.sqlite3",
		.run = cmd_db_attach,
	},
	{
		.group = "db",
		.verb = "detach",
		.operands = "NAME",
		.operands_min = 1,
		.operands_max = 1,
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.summary = "let a database no longer belong to a profile",
		.details = "The file and its backups stay.",
		.run = cmd_db_detach,
	},
	{ .group = NULL },
};
