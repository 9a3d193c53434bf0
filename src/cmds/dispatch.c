/*
 * From a command line to an exit code: parse, find the command, check what it was given, run it,
 * write its output once, report its failure.
 *
 * Invariants: stdout holds results only, and nothing of a failed command but its verdict; a failure
 * is reported once, on stderr. An option that the command would ignore is refused. Must not know
 * any command by name.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/help.h"
#include "cmds/lookup.h"
#include "cmds/options.h"
#include "cmds/process.h"
#include "ops/op_store.h"
#include "ops/session.h"

#include "base/banned.h"

/* Text for people: control characters made visible, lines kept. */
static void append_lines(struct buf *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		text_append_printable(out, slice_of(text, len));
		text += len;
		if (*text == '\n') {
			buf_append_byte(out, '\n');
			text++;
		}
	}
}

static void append_error_json(struct buf *out, enum status status, const struct error *error)
{
	struct json json;

	jsonw_init(&json, out);
	jsonw_object(&json);
	jsonw_pair_string(&json, "schema", "provenv/error/v1");
	jsonw_pair_uint(&json, "code", (uint64_t)status_exit_code(status));
	jsonw_pair_string(&json, "status", status_name(status));
	jsonw_pair_string(&json, "message", error->text);
	if (*error->hint)
		jsonw_pair_string(&json, "hint", error->hint);
	else
		jsonw_pair_null(&json, "hint");
	jsonw_end(&json);
	buf_append_byte(out, '\n');
}

static void append_error(struct buf *out, enum status status, const struct error *error)
{
	buf_append_str(out, "provenv: ");
	append_lines(out, *error->text ? error->text : status_name(status));
	buf_append_byte(out, '\n');
	if (*error->hint) {
		buf_append_str(out, "  hint: ");
		append_lines(out, error->hint);
		buf_append_byte(out, '\n');
	}
}

/* There is no memory even to say what failed: it is that. */
static void report_no_memory(enum status status, bool json)
{
	char text[160];
	int len = snprintf(text, sizeof(text),
			   json ? "{\"schema\":\"provenv/error/v1\",\"code\":%d,\"status\":\"%s\","
				  "\"message\":\"out of memory\",\"hint\":null}\n"
				: "provenv: out of memory\n",
			   status_exit_code(status), status_name(status));

	if (len > 0)
		(void)process_write(STDERR_FILENO, slice_of(text, (size_t)len));
}

/* Write the failure to stderr, where no failure can be reported any more; returns its exit code. */
static int report(enum status status, const struct error *error, bool json)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	if (json)
		append_error_json(&text, status, error);
	else
		append_error(&text, status, error);
	if (text.failed)
		report_no_memory(status, json);
	else
		(void)process_write(STDERR_FILENO, buf_slice(&text));
	return status_exit_code(status);
}

/* --quiet with --verbose, --json with --jsonl: one of them would be ignored. */
static enum status check_contradictions(const struct option_values *options, struct error *err)
{
	static const enum option_id pairs[][2] = { { OPTION_QUIET, OPTION_VERBOSE },
						   { OPTION_JSON, OPTION_JSONL } };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (option_given(options, pairs[i][0]) && option_given(options, pairs[i][1]))
			return error_set(err, STATUS_USAGE, "--%s and --%s exclude each other",
					 option_info(pairs[i][0])->name,
					 option_info(pairs[i][1])->name);
	}
	return STATUS_OK;
}

static enum status check_options(const struct command *command, const struct option_values *options,
				 struct error *err)
{
	AUTO(buf_release) struct buf name = BUF_INIT;

	command_append_name(&name, command);
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		if (!options->given[id] || command_takes(command, (enum option_id)id))
			continue;
		(void)error_set(err, STATUS_USAGE, "%s does not take --%s", buf_str(&name),
				option_info((enum option_id)id)->name);
		return error_hint(err, STATUS_USAGE, "what it takes: provenv help %s",
				  buf_str(&name));
	}
	return check_contradictions(options, err);
}

/* Counts only: an operand too many may be a secret that lost its quotes. */
static enum status check_operands(const struct command *command, size_t count, struct error *err)
{
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf usage = BUF_INIT;

	if (count >= command->operands_min && count <= command->operands_max)
		return STATUS_OK;
	command_append_name(&name, command);
	command_append_usage(&usage, command);
	if (count < command->operands_min)
		(void)error_set(err, STATUS_USAGE, "%s needs %s", buf_str(&name),
				command->operands);
	else if (command->operands_max == 0)
		(void)error_set(err, STATUS_USAGE, "%s takes no operands, %zu given",
				buf_str(&name), count);
	else
		(void)error_set(err, STATUS_USAGE, "%s takes at most %u operand%s, %zu given",
				buf_str(&name), command->operands_max,
				command->operands_max == 1 ? "" : "s", count);
	return error_hint(err, STATUS_USAGE, "usage: %s", buf_str(&usage));
}

static struct session_options session_options_from(const struct option_values *options)
{
	return (struct session_options){
		.store_dir = option_text(options, OPTION_STORE),
		.environment = option_text(options, OPTION_ENVIRONMENT),
		.profile = option_text(options, OPTION_PROFILE),
		.at = option_text(options, OPTION_AT),
		.reason = option_text(options, OPTION_REASON),
		.key_name = option_text(options, OPTION_AS),
		.if_head = option_text(options, OPTION_IF_HEAD),
		.command_id = option_text(options, OPTION_COMMAND_ID),
		.confirmed = options->confirms,
		.confirmed_count = options->confirm_count,
		.dry_run = option_given(options, OPTION_DRY_RUN),
		.accept_clock = option_given(options, OPTION_ACCEPT_CLOCK),
	};
}

static void fill(struct invocation *inv, const struct option_values *options)
{
	inv->options = options;
	inv->session = session_options_from(options);
	inv->jsonl = option_given(options, OPTION_JSONL);
	inv->json = inv->jsonl || option_given(options, OPTION_JSON);
	inv->quiet = option_given(options, OPTION_QUIET);
	inv->verbose = option_given(options, OPTION_VERBOSE);
	inv->interactive = !option_given(options, OPTION_NO_INPUT) && process_is_interactive();
	if (inv->interactive)
		inv->session.ask = process_ask;
}

/* Build the state anew from the log, with nothing of the command's but its store. */
static enum status rebuild(const struct invocation *inv)
{
	struct session_options options = { .store_dir = inv->session.store_dir };
	struct session session = { .store = NULL };
	uint8_t hash[HASH_BYTES];
	enum status status = session_open(&options, SESSION_STATE, &session, NULL);

	if (!status)
		status = op_rebuild(&session, hash, NULL);
	session_close(&session);
	return status;
}

/*
 * Every run of a write is the same command: its id is settled before the first one. commit() fails
 * for no reason once it has appended, so a second run should find nothing of the first; if it does,
 * the log knows the id and answers with the first result.
 */
static void settle_command_id(struct invocation *inv)
{
	uint8_t id[COMMAND_ID_BYTES];

	if (!(inv->command->flags & COMMAND_WRITES) || inv->session.command_id)
		return;
	rng_uuid7(clock_now_ms(), id);
	text_to_hex(id, sizeof(id), inv->made_id);
	inv->session.command_id = inv->made_id;
}

/* Input that may be a pipe is read once: a second run would find it empty, and write that. */
static bool took_input(const struct invocation *inv)
{
	if (option_given(inv->options, OPTION_STDIN) || option_given(inv->options, OPTION_FILE))
		return true;
	for (size_t i = 0; i < inv->operand_count; i++) {
		if (strcmp(inv->operands[i], "-") == 0)
			return true;
	}
	return false;
}

/*
 * Run the command; when it met rows that contradict the log, rebuild the state and run it once
 * more. A failure to rebuild leaves the first answer.
 */
static enum status run(struct invocation *inv, struct error *err)
{
	enum status status;

	assert(inv->command);
	settle_command_id(inv);
	status = inv->command->run(inv, err);

	if (status != STATUS_CORRUPT || !inv->state_damaged || inv->flushed || rebuild(inv))
		return status;
	if (took_input(inv))
		return error_hint(err, status,
				  "the state is rebuilt from the log now: run the command again");
	buf_release_wiped(&inv->out);
	buf_clear(&inv->notes);
	buf_append_str(&inv->notes, "state was damaged: rebuilt from the log\n");
	inv->verdict = false;
	inv->silent = false;
	inv->state_damaged = false;
	*err = (struct error)ERROR_INIT;
	return inv->command->run(inv, err);
}

/*
 * A write that the disk failed may have been appended all the same. Whoever repeats it with its id
 * carries it out once, so an id that the user does not know is told.
 */
static void tell_made_id(const struct invocation *inv, enum status status, struct error *error)
{
	char hint[ERROR_HINT_BYTES];

	if (status != STATUS_IO || !*inv->made_id || inv->session.dry_run)
		return;
	memcpy(hint, error->hint, sizeof(hint));
	(void)error_hint(error, status, "%s%srepeated with --command-id=%s it is carried out once",
			 hint, *hint ? "; " : "", inv->made_id);
}

/* Write out, notes and error of a command that returned @status; the exit code. */
static int finish(struct invocation *inv, enum status status, struct error *error)
{
	struct error write_error = ERROR_INIT;
	enum status written = STATUS_OK;

	if (!status || inv->verdict)
		written = invocation_flush(inv, &write_error);
	/* What was done is said even when the result could not be printed. */
	if (!inv->quiet && (!status || (inv->verdict && !inv->json)))
		(void)process_write(STDERR_FILENO, buf_slice(&inv->notes));
	if (inv->reader_gone)
		return status && status != STATUS_INTERRUPTED ? status_exit_code(status) : 0;
	if (written)
		return report(written, &write_error, inv->json);
	if (!status)
		return 0;
	return inv->silent ? status_exit_code(status) : report(status, error, inv->json);
}

static enum status prepare(struct invocation *inv, struct error *err)
{
	enum status status = check_options(inv->command, inv->options, err);

	return status ? status : check_operands(inv->command, inv->operand_count, err);
}

static int run_command(struct invocation *inv)
{
	struct error error = ERROR_INIT;
	enum status status = prepare(inv, &error);

	if (status)
		return report(status, &error, inv->json);
	process_guard(inv->json);
	status = run(inv, &error);
	if (status == STATUS_CORRUPT && inv->log_moved.status && !inv->verdict) {
		error = inv->log_moved;
		status = error.status;
	}
	tell_made_id(inv, status, &error);
	return finish(inv, status, &error);
}

/* --version, --help, or no words at all. */
static int print_help(struct invocation *inv, const struct command *const *families)
{
	struct error error = ERROR_INIT;
	enum status status = STATUS_OK;

	if (option_given(inv->options, OPTION_VERSION))
		help_append_version(&inv->out);
	else
		status =
			help_append(&inv->out, families, inv->operands, inv->operand_count, &error);
	return finish(inv, status, &error);
}

/* @words: the length of the command line. With none at all, the overview is what helps. */
static int dispatch(struct invocation *inv, const struct command *const *families, int words)
{
	struct command_match match = { .command = NULL };
	struct error error = ERROR_INIT;
	enum status status;

	if (option_given(inv->options, OPTION_VERSION) || option_given(inv->options, OPTION_HELP) ||
	    words == 0)
		return print_help(inv, families);
	if (inv->operand_count == 0)
		status = error_hint(&error, error_set(&error, STATUS_USAGE, "which command?"),
				    "list them: provenv help");
	else
		status = command_resolve(families, inv->operands, inv->operand_count, &match,
					 &error);
	if (!status && !match.command)
		status = command_need_verb(families, match.group, &error);
	if (status)
		return report(status, &error, inv->json);
	inv->command = match.command;
	inv->operands += match.words;
	inv->operand_count -= match.words;
	return run_command(inv);
}

/* Was JSON asked for on a command line that could not be parsed? */
static bool wants_json(int argc, char *const *argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--jsonl") == 0)
			return true;
	}
	return false;
}

int command_dispatch(const struct command *const *families, int argc, char **argv)
{
	int words = argc > 0 ? argc - 1 : 0;
	char *const *word = argv + (argc > 0);
	AUTO(option_values_release) struct option_values options = { .confirm_count = 0 };
	AUTO(invocation_release) struct invocation inv = { .operand_count = 0 };
	AUTO_FREE const char **operands =
		(const char **)calloc((size_t)words + 1, sizeof(*operands));
	struct error error = ERROR_INIT;
	enum status status;

	if (!operands)
		return report(error_no_memory(&error), &error, wants_json(words, word));
	status = options_parse(words, word, &options, operands, &inv.operand_count, &error);
	if (status)
		return report(status, &error, wants_json(words, word));
	inv.operands = operands;
	fill(&inv, &options);
	return dispatch(&inv, families, words);
}

int command_main(int argc, char **argv)
{
	struct error error = ERROR_INIT;
	enum status status = process_prepare(&error);
	int code;

	if (status)
		return report(status, &error, wants_json(argc, argv));
	code = command_dispatch(command_families, argc, argv);
	/* Some file systems tell only here that what was written did not arrive. */
	if (close(STDOUT_FILENO) && code == 0)
		return report(error_set(&error, STATUS_IO, "cannot write standard output"), &error,
			      wants_json(argc, argv));
	return code;
}
