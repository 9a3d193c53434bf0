/*
 * `env …`: environments.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/commit.h"
#include "ops/op_environment.h"
#include "ops/session.h"

#include "base/banned.h"

/* A hundred years: no sum of it with a time overflows. */
#define LOCK_SPAN_MAX_MS (UINT64_C(100) * 366 * 24 * 3600 * 1000)

static bool locked_now(const struct environment *environment)
{
	return environment_is_locked(environment, clock_now_ms());
}

static void json_environment(struct json *json, struct arena *arena,
			     const struct environment *environment)
{
	jsonw_pair_slice(json, "name", environment->name);
	jsonw_pair_bool(json, "active", environment->active);
	jsonw_pair_bool(json, "protected", environment->is_protected);
	jsonw_pair_bool(json, "locked", locked_now(environment));
	if (locked_now(environment) && environment->until_ms)
		jsonw_pair_time(json, "locked_until", environment->until_ms);
	jsonw_pair_slice(json, "profile", environment->profile);
	jsonw_pair_slice(json, "title", langmap_text(arena, environment->title));
	jsonw_pair_slice(json, "description", langmap_text(arena, environment->description));
	jsonw_pair_uint(json, "seq", environment->seq);
}

static void print_all(struct invocation *inv, struct arena *arena, const struct environment *items,
		      size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };

	table_begin(&table, (const char *const[]){ "", "NAME", "PROFILE", "STATE", "DESCRIPTION" },
		    5);
	for (size_t i = 0; i < count; i++) {
		table_str(&table, items[i].active ? "*" : "");
		table_text(&table, items[i].name);
		table_text(&table, items[i].profile);
		table_str(&table, locked_now(&items[i])
					  ? (items[i].is_protected ? "protected, locked" : "locked")
				  : items[i].is_protected ? "protected"
							  : "");
		table_text(&table, langmap_text(arena, items[i].description));
	}
	table_print(&table, inv);
}

static enum status cmd_env_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct environment *items;
	size_t count;
	struct json json;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = state_environments(&session.view, &items, &count, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "env ls");
		jsonw_key(&json, "environments");
		jsonw_array(&json);
		for (size_t i = 0; i < count; i++) {
			jsonw_object(&json);
			json_environment(&json, &session.arena, &items[i]);
			jsonw_end(&json);
		}
		jsonw_end(&json);
		json_finish(inv, &json);
	} else if (!status) {
		print_all(inv, &session.arena, items, count);
	}
	invocation_close(inv, &session);
	return status;
}

static void print_one(struct invocation *inv, struct arena *arena,
		      const struct environment *environment)
{
	char until[32];

	buf_printf(&inv->out, "Name:        " SLICE_FMT "%s\n", SLICE_ARG(environment->name),
		   environment->active ? " (active)" : "");
	if (environment->title.len) {
		buf_append_str(&inv->out, "Title:       ");
		text_append_printable(&inv->out, langmap_text(arena, environment->title));
		buf_append_byte(&inv->out, '\n');
	}
	buf_printf(&inv->out, "Profile:     " SLICE_FMT "\n", SLICE_ARG(environment->profile));
	buf_printf(&inv->out, "Protected:   %s\n", environment->is_protected ? "yes" : "no");
	buf_printf(&inv->out, "Locked:      %s", locked_now(environment) ? "yes" : "no");
	if (locked_now(environment) && environment->until_ms) {
		text_from_time_ms(environment->until_ms, until);
		buf_printf(&inv->out, ", until %s", until);
	}
	if (environment->description.len) {
		buf_append_str(&inv->out, "\nDescription: ");
		text_append_printable(&inv->out, langmap_text(arena, environment->description));
	}
	buf_append_byte(&inv->out, '\n');
}

static enum status cmd_env_show(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct environment environment;
	struct slice name;
	struct json json;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status && inv->operand_count)
		name = slice_str(inv->operands[0]);
	else if (!status)
		status = state_active_environment(&session.view, &name, err);
	if (!status)
		status = session_find_environment(&session, name, &environment, err);
	if (!status && inv->json) {
		json_begin(inv, &json, "env show");
		json_environment(&json, &session.arena, &environment);
		json_finish(inv, &json);
	} else if (!status) {
		print_one(inv, &session.arena, &environment);
	}
	invocation_close(inv, &session);
	return status;
}

/* All that change: the operands name the environment, the options the fields. */
static enum status change(struct invocation *inv, decide_fn decide, struct environment_args *args,
			  struct error *err)
{
	struct session session = { .store = NULL };
	AUTO(buf_release) struct buf word = BUF_INIT;
	struct outcome outcome;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	args->name = slice_str(inv->operands[0]);
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

static enum status cmd_env_create(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected =
						 option_given(inv->options, OPTION_PROTECTED) };

	return change(inv, decide_environment_create, &args, err);
}

static enum status cmd_env_edit(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected = false };

	if (!option_given(inv->options, OPTION_TITLE) &&
	    !option_given(inv->options, OPTION_DESCRIPTION))
		return error_hint(err, error_set(err, STATUS_USAGE, "env edit: nothing to change"),
				  "give --title or --description");
	return change(inv, decide_environment_edit, &args, err);
}

static enum status cmd_env_switch(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected = false };

	return change(inv, decide_environment_switch, &args, err);
}

static enum status cmd_env_rm(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected = false };

	return change(inv, decide_environment_remove, &args, err);
}

static enum status cmd_env_clone(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .new_name = slice_str(inv->operands[1]) };

	return change(inv, decide_environment_clone, &args, err);
}

static enum status cmd_env_protect(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected = true };

	return change(inv, decide_environment_protect, &args, err);
}

static enum status cmd_env_unprotect(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .is_protected = false };

	return change(inv, decide_environment_protect, &args, err);
}

/* A moment, or a duration from now. */
static enum status read_until(const char *text, struct environment_args *args, struct error *err)
{
	if (text_to_time_ms(slice_str(text), &args->until_ms)) {
		/* 1970 to the millisecond is 0, which would mean a lock without end. */
		args->until_ms += args->until_ms == 0;
		return STATUS_OK;
	}
	if (text_to_duration_ms(slice_str(text), &args->until_in_ms) && args->until_in_ms &&
	    args->until_in_ms <= LOCK_SPAN_MAX_MS)
		return STATUS_OK;
	return error_hint(err, error_set(err, STATUS_USAGE, "--until: not a time"),
			  "for example 2026-01-02T18:00 or 2h");
}

static enum status cmd_env_lock(struct invocation *inv, struct error *err)
{
	const char *until = option_text(inv->options, OPTION_UNTIL);
	struct environment_args args = { .until_ms = 0 };
	enum status status = until ? read_until(until, &args, err) : STATUS_OK;

	return status ? status : change(inv, decide_environment_lock, &args, err);
}

static enum status cmd_env_unlock(struct invocation *inv, struct error *err)
{
	struct environment_args args = { .until_ms = 0 };

	return change(inv, decide_environment_unlock, &args, err);
}

static const enum option_id create_options[] = { OPTION_TITLE, OPTION_DESCRIPTION, OPTION_PROTECTED,
						 OPTION_END };
static const enum option_id edit_options[] = { OPTION_TITLE, OPTION_DESCRIPTION, OPTION_END };
static const enum option_id lock_options[] = { OPTION_UNTIL, OPTION_END };

#define CHANGES_ONE \
	.operands = "NAME", .operands_min = 1, .operands_max = 1, .flags = COMMAND_WRITES

const struct command commands_env[] = {
	{
		.group = "env",
		.verb = "ls",
		.operands = "",
		.flags = COMMAND_READS,
		.summary = "list environments",
		.run = cmd_env_ls,
	},
	{
		.group = "env",
		.verb = "show",
		.operands = "[NAME]",
		.operands_max = 1,
		.flags = COMMAND_READS,
		.summary = "show one environment, or the active one",
		.run = cmd_env_show,
	},
	{
		.group = "env",
		.verb = "switch",
		CHANGES_ONE,
		.summary = "make an environment the active one",
		.details =
			"Switching to a protected environment needs -m REASON and its name typed, or "
			"--confirm=NAME.",
		.example = "provenv env switch production -m \"go live\" --confirm=production",
		.run = cmd_env_switch,
	},
	{
		.group = "env",
		.verb = "create",
		CHANGES_ONE,
		.options = create_options,
		.summary = "make an environment with the profile 'default'",
		.example = "provenv env create staging --protected",
		.run = cmd_env_create,
	},
	{
		.group = "env",
		.verb = "edit",
		CHANGES_ONE,
		.options = edit_options,
		.summary = "change title or description",
		.run = cmd_env_edit,
	},
	{
		.group = "env",
		.verb = "rm",
		CHANGES_ONE,
		.summary = "remove an environment and everything in it",
		.details = "The active one cannot be removed. A rollback brings it back.",
		.run = cmd_env_rm,
	},
	{
		.group = "env",
		.verb = "clone",
		.operands = "NAME NEW",
		.operands_min = 2,
		.operands_max = 2,
		.flags = COMMAND_WRITES,
		.summary = "copy an environment with profiles, variables and databases",
		.details =
			"Secrets are sealed anew for the copy, which takes a key that can read them.",
		.example = "provenv env clone testing staging",
		.run = cmd_env_clone,
	},
	{
		.group = "env",
		.verb = "protect",
		CHANGES_ONE,
		.summary = "make writes need a reason and a confirmation",
		.run = cmd_env_protect,
	},
	{
		.group = "env",
		.verb = "unprotect",
		CHANGES_ONE,
		.summary = "take the protection away",
		.run = cmd_env_unprotect,
	},
	{
		.group = "env",
		.verb = "lock",
		CHANGES_ONE,
		.options = lock_options,
		.summary = "refuse all writes to an environment",
		.example = "provenv env lock testing --until 2h -m freeze",
		.run = cmd_env_lock,
	},
	{
		.group = "env",
		.verb = "unlock",
		CHANGES_ONE,
		.summary = "lift the lock",
		.run = cmd_env_unlock,
	},
	{ .group = NULL },
};
