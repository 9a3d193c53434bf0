/*
 * `profile …`: profiles of an environment.
 */
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "cmds/show.h"
#include "ops/commit.h"
#include "ops/op_profile.h"
#include "ops/session.h"

#include "base/banned.h"

/* The number of variables set in the profile itself. */
static enum status count_variables(struct session *session, const struct profile *profile,
				   size_t *ret, struct error *err)
{
	struct variable *variables;

	return state_variables(&session->view, profile->environment, profile->name, &variables, ret,
			       err);
}

static void json_profile(struct json *json, struct arena *arena, const struct profile *profile,
			 size_t variables)
{
	jsonw_pair_slice(json, "name", profile->name);
	jsonw_pair_bool(json, "active", profile->active);
	jsonw_key(json, "base");
	if (profile->base.len)
		jsonw_slice(json, profile->base);
	else
		jsonw_null(json);
	jsonw_pair_slice(json, "title", langmap_text(arena, profile->title));
	jsonw_pair_slice(json, "description", langmap_text(arena, profile->description));
	jsonw_pair_uint(json, "variables", variables);
	jsonw_pair_uint(json, "seq", profile->seq);
}

static void print_all_json(struct invocation *inv, struct session *session,
			   const struct profile *items, const size_t *variables, size_t count)
{
	struct json json;

	json_begin(inv, &json, "profile ls");
	jsonw_pair_slice(&json, "environment", session->environment);
	jsonw_key(&json, "profiles");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		jsonw_object(&json);
		json_profile(&json, &session->arena, &items[i], variables[i]);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void print_all(struct invocation *inv, struct arena *arena, const struct profile *items,
		      const size_t *variables, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "", "NAME", "VARIABLES", "DESCRIPTION" }, 4);
	for (size_t i = 0; i < count; i++) {
		table_str(&table, items[i].active ? "*" : "");
		table_text(&table, items[i].name);
		table_uint(&table, variables[i]);
		table_text(&table, langmap_text(arena, items[i].description));
	}
	table_print(&table, inv);
}

static enum status cmd_profile_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct profile *items = NULL;
	size_t *variables = NULL;
	size_t count = 0;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = state_profiles(&session.view, session.environment, &items, &count, err);
	if (!status) {
		variables = arena_array(&session.arena, count, sizeof(*variables));
		if (!variables)
			status = error_no_memory(err);
	}
	for (size_t i = 0; !status && i < count; i++)
		status = count_variables(&session, &items[i], &variables[i], err);
	if (!status && inv->json)
		print_all_json(inv, &session, items, variables, count);
	else if (!status)
		print_all(inv, &session.arena, items, variables, count);
	invocation_close(inv, &session);
	return status;
}

/* What show prints beside the profile's own fields. */
struct profile_view {
	struct profile profile;
	size_t variables;
	struct definition *databases;
	size_t database_count;
};

static void print_one_json(struct invocation *inv, struct arena *arena,
			   const struct profile_view *view)
{
	struct json json;

	json_begin(inv, &json, "profile show");
	jsonw_pair_slice(&json, "environment", view->profile.environment);
	json_profile(&json, arena, &view->profile, view->variables);
	jsonw_key(&json, "databases");
	jsonw_array(&json);
	for (size_t i = 0; i < view->database_count; i++) {
		const struct payload *payload = view->databases[i].payload;

		jsonw_object(&json);
		jsonw_pair_slice(&json, "name", payload_get_text(payload, FIELD_NAME));
		jsonw_pair_slice(&json, "kind", payload_get_text(payload, FIELD_KIND));
		jsonw_pair_slice(&json, "path", payload_get_text(payload, FIELD_PATH));
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

static void print_one(struct invocation *inv, struct arena *arena, const struct profile_view *view)
{
	const struct profile *profile = &view->profile;

	buf_printf(&inv->out, "Environment: " SLICE_FMT "\n", SLICE_ARG(profile->environment));
	buf_printf(&inv->out, "Name:        " SLICE_FMT "%s\n", SLICE_ARG(profile->name),
		   profile->active ? " (active)" : "");
	if (profile->title.len) {
		buf_append_str(&inv->out, "Title:       ");
		text_append_printable(&inv->out, langmap_text(arena, profile->title));
		buf_append_byte(&inv->out, '\n');
	}
	buf_printf(&inv->out, "Variables:   %zu\n", view->variables);
	if (profile->description.len) {
		buf_append_str(&inv->out, "Description: ");
		text_append_printable(&inv->out, langmap_text(arena, profile->description));
		buf_append_byte(&inv->out, '\n');
	}
	for (size_t i = 0; i < view->database_count; i++) {
		const struct payload *payload = view->databases[i].payload;

		buf_append_str(&inv->out, i ? "             " : "Databases:   ");
		text_append_printable(&inv->out, payload_get_text(payload, FIELD_NAME));
		buf_append_str(&inv->out, " = ");
		text_append_printable(&inv->out, payload_get_text(payload, FIELD_PATH));
		buf_append_byte(&inv->out, '\n');
	}
}

static enum status cmd_profile_show(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct profile_view view;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status)
		status = session_find_profile(&session, session.environment,
					      inv->operand_count ? slice_str(inv->operands[0])
								 : session.profile,
					      &view.profile, err);
	if (!status)
		status = count_variables(&session, &view.profile, &view.variables, err);
	if (!status)
		status = state_databases(&session.view, session.environment, view.profile.name,
					 &view.databases, &view.database_count, err);
	if (!status && inv->json)
		print_one_json(inv, &session.arena, &view);
	else if (!status)
		print_one(inv, &session.arena, &view);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_profile_verify(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct profile profile;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	if (!status && inv->operand_count) {
		status = session_find_profile(&session, session.environment,
					      slice_str(inv->operands[0]), &profile, err);
		if (!status)
			session.profile = profile.name;
	}
	if (!status)
		status = print_check(inv, &session, "profile verify", err);
	invocation_close(inv, &session);
	return status;
}

static enum status change(struct invocation *inv, decide_fn decide, struct profile_args *args,
			  struct error *err)
{
	struct session session = { .store = NULL };
	AUTO(buf_release) struct buf word = BUF_INIT;
	struct outcome outcome;
	enum status status = invocation_open(inv, SESSION_PROFILE, &session, err);

	args->title = option_text(inv->options, OPTION_TITLE);
	args->description = option_text(inv->options, OPTION_DESCRIPTION);
	if (!status)
		status = commit(&session, decide, args, &outcome, err);
	buf_printf(&word, "%s %s", inv->command->group, inv->command->verb);
	if (!status)
		print_outcome(inv, buf_str(&word), &outcome);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_profile_create(struct invocation *inv, struct error *err)
{
	const char *from = option_text(inv->options, OPTION_FROM);
	struct profile_args args = { .name = slice_str(inv->operands[0]),
				     .from = slice_str(from ? from : "") };

	return change(inv, decide_profile_create, &args, err);
}

static enum status cmd_profile_clone(struct invocation *inv, struct error *err)
{
	struct profile_args args = { .name = slice_str(inv->operands[1]),
				     .from = slice_str(inv->operands[0]) };

	return change(inv, decide_profile_create, &args, err);
}

static enum status cmd_profile_edit(struct invocation *inv, struct error *err)
{
	struct profile_args args = { .name = slice_str(inv->operands[0]) };

	if (!option_given(inv->options, OPTION_TITLE) &&
	    !option_given(inv->options, OPTION_DESCRIPTION))
		return error_hint(err,
				  error_set(err, STATUS_USAGE, "profile edit: nothing to change"),
				  "give --title or --description");
	return change(inv, decide_profile_edit, &args, err);
}

static enum status cmd_profile_switch(struct invocation *inv, struct error *err)
{
	struct profile_args args = { .name = slice_str(inv->operands[0]) };

	return change(inv, decide_profile_switch, &args, err);
}

static enum status cmd_profile_rm(struct invocation *inv, struct error *err)
{
	struct profile_args args = { .name = slice_str(inv->operands[0]) };

	return change(inv, decide_profile_remove, &args, err);
}

static const enum option_id create_options[] = { OPTION_TITLE, OPTION_DESCRIPTION, OPTION_FROM,
						 OPTION_END };
static const enum option_id edit_options[] = { OPTION_TITLE, OPTION_DESCRIPTION, OPTION_END };

#define CHANGES_ONE                                               \
	.operands = "NAME", .operands_min = 1, .operands_max = 1, \
	.flags = COMMAND_WRITES | COMMAND_ENVIRONMENT

const struct command commands_profile[] = {
	{
		.group = "profile",
		.verb = "ls",
		.operands = "",
		.flags = COMMAND_READS | COMMAND_ENVIRONMENT,
		.summary = "list the profiles of an environment",
		.run = cmd_profile_ls,
	},
	{
		.group = "profile",
		.verb = "show",
		.operands = "[NAME]",
		.operands_max = 1,
		.flags = COMMAND_READS | COMMAND_ENVIRONMENT,
		.summary = "show one profile, or the active one",
		.run = cmd_profile_show,
	},
	{
		.group = "profile",
		.verb = "create",
		CHANGES_ONE,
		.options = create_options,
		.summary = "make a profile, empty or from another",
		.example = "provenv profile create night --from default",
		.run = cmd_profile_create,
	},
	{
		.group = "profile",
		.verb = "edit",
		CHANGES_ONE,
		.options = edit_options,
		.summary = "change title or description",
		.run = cmd_profile_edit,
	},
	{
		.group = "profile",
		.verb = "switch",
		CHANGES_ONE,
		.summary = "make a profile the active one of its environment",
		.run = cmd_profile_switch,
	},
	{
		.group = "profile",
		.verb = "clone",
		.operands = "NAME NEW",
		.operands_min = 2,
		.operands_max = 2,
		.flags = COMMAND_WRITES | COMMAND_ENVIRONMENT,
		.summary = "copy a profile with variables and databases",
		.run = cmd_profile_clone,
	},
	{
		.group = "profile",
		.verb = "rm",
		CHANGES_ONE,
		.summary = "remove a profile and everything in it",
		.details = "The active one cannot be removed. A rollback brings it back.",
		.run = cmd_profile_rm,
	},
	{
		.group = "profile",
		.verb = "verify",
		.operands = "[NAME]",
		.operands_max = 1,
		.flags = COMMAND_READS | COMMAND_ENVIRONMENT,
		.summary = "check a profile against the specifications",
		.details = "Exit 1 when something is missing or invalid.",
		.run = cmd_profile_verify,
	},
	{ .group = NULL },
};
