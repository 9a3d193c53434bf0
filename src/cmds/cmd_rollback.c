/*
 * `rollback`, `restore`, `revert`: make a past state current again, by new events.
 */
#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/commit.h"
#include "ops/op_rollback.h"
#include "ops/session.h"

#include "base/banned.h"

static enum status require(struct invocation *inv, enum option_id option, struct error *err)
{
	if (option_given(inv->options, option))
		return STATUS_OK;
	return error_hint(err,
			  error_set(err, STATUS_USAGE, "%s needs --%s", inv->command->group,
				    option_info(option)->name),
			  "for example: %s", inv->command->example);
}

/* Without -e and -p the whole store; -p alone means a profile of the active environment. */
static enum status rollback_scope(struct invocation *inv, struct session *session,
				  struct rollback_args *args, struct error *err)
{
	const char *environment = inv->session.environment;
	const char *profile = inv->session.profile;
	enum status status = STATUS_OK;

	if (environment)
		args->environment = slice_str(environment);
	else if (profile)
		status = state_active_environment(&session->view, &session->environment, err);
	if (profile)
		args->profile = slice_str(profile);
	return status;
}

static enum status cmd_rollback(struct invocation *inv, struct error *err)
{
	const char *only = option_text(inv->options, OPTION_ONLY);
	struct session session = { .store = NULL };
	struct rollback_args args = {
		.to = option_text(inv->options, OPTION_TO),
		.only = slice_str(only ? only : ""),
		.force = option_given(inv->options, OPTION_FORCE),
	};
	struct outcome outcome;
	enum status status = require(inv, OPTION_TO, err);

	if (status)
		return status;
	status = invocation_open(inv, SESSION_STATE, &session, err);
	if (!status)
		status = rollback_scope(inv, &session, &args, err);
	if (!status)
		status = commit(&session, decide_rollback, &args, &outcome, err);
	if (!status)
		print_outcome(inv, "rollback", &outcome);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_restore(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct restore_args args = { .key = slice_str(inv->operands[0]),
				     .from = option_text(inv->options, OPTION_FROM) };
	struct outcome outcome;
	enum status status = require(inv, OPTION_FROM, err);

	if (status)
		return status;
	status = invocation_open(inv, SESSION_PROFILE, &session, err);
	if (!status)
		status = commit(&session, decide_restore, &args, &outcome, err);
	if (!status)
		print_outcome(inv, "restore", &outcome);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_revert(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	struct revert_args args = { .event = inv->operands[0] };
	struct outcome outcome;
	enum status status = invocation_open(inv, SESSION_STATE, &session, err);

	if (!status)
		status = commit(&session, decide_revert, &args, &outcome, err);
	if (!status)
		print_outcome(inv, "revert", &outcome);
	invocation_close(inv, &session);
	return status;
}

static const enum option_id rollback_options[] = { OPTION_TO, OPTION_ONLY, OPTION_FORCE,
						   OPTION_END };
static const enum option_id restore_options[] = { OPTION_FROM, OPTION_END };

const struct command commands_rollback[] = {
	{
		.group = "restore",
		.operands = "KEY",
		.operands_min = 1,
		.operands_max = 1,
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.options = restore_options,
		.summary = "set one variable to what it was",
		.example = "provenv restore TRADING_MODE --from @-1h",
		.run = cmd_restore,
	},
	{
		.group = "rollback",
		.operands = "",
		.flags = COMMAND_WRITES | COMMAND_PROFILE,
		.options = rollback_options,
		.summary = "make a past state current again",
		.details =
			"The whole store; with -e one environment, with -p one profile, with --only "
			"the variables that match a pattern. History is not rewritten: the "
			"changes back are new events, listed one by one. Keys and locks stay as "
			"they are. See the plan first with -n.",
		.example = "provenv rollback --to @2026-01-02T03:04:05Z -n",
		.run = cmd_rollback,
	},
	{
		.group = "revert",
		.operands = "SEQ",
		.operands_min = 1,
		.operands_max = 1,
		.flags = COMMAND_WRITES,
		.summary = "undo one command by its opposite",
		.details =
			"SEQ is any event of the command. Refused when what it changed was changed "
			"again since.",
		.example = "provenv revert 42 -m \"wrong limit\"",
		.run = cmd_revert,
	},
	{ .group = NULL },
};
