/*
 * Dispatch: from a command line to what stands on stdout and stderr and the exit code, over
 * commands of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "cmds/cmd.h"
#include "cmds/help.h"
#include "cmds/lookup.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "cmds/process.h"

#include "unit/cmds/run_fixture.h"

#include "base/banned.h"

/* Prints what it was given, one thing a line. */
static enum status run_echo(struct invocation *inv, struct error *err)
{
	(void)err;
	for (size_t i = 0; i < inv->operand_count; i++)
		buf_printf(&inv->out, "operand %s\n", inv->operands[i]);
	if (inv->session.environment)
		buf_printf(&inv->out, "env %s\n", inv->session.environment);
	if (inv->session.at)
		buf_printf(&inv->out, "at %s\n", inv->session.at);
	for (size_t i = 0; i < inv->session.confirmed_count; i++)
		buf_printf(&inv->out, "confirmed %s\n", inv->session.confirmed[i]);
	if (inv->session.dry_run)
		buf_append_str(&inv->out, "dry\n");
	buf_append_str(&inv->notes, "a note\n");
	return STATUS_OK;
}

static enum status run_json(struct invocation *inv, struct error *err)
{
	struct json json;

	(void)err;
	json_begin(inv, &json, "test");
	jsonw_pair_bool(&json, "lines", inv->jsonl);
	json_finish(inv, &json);
	return STATUS_OK;
}

static enum status run_fail(struct invocation *inv, struct error *err)
{
	buf_append_str(&inv->out, "half a result\n");
	buf_append_str(&inv->notes, "a note\n");
	return error_hint(err, error_set(err, STATUS_NOT_FOUND, "no such thing: \x1b[31mred\nmore"),
			  "look elsewhere");
}

static enum status run_verdict(struct invocation *inv, struct error *err)
{
	buf_append_str(&inv->out, "bad\n");
	inv->verdict = true;
	inv->silent = inv->operand_count > 0;
	return error_set(err, STATUS_NEGATIVE, "1 problem");
}

/* Without end, but for an operand: flushes until it is told to stop. */
static enum status run_flood(struct invocation *inv, struct error *err)
{
	enum status status = STATUS_OK;

	for (int i = 0; i < 100000 && !status; i++) {
		buf_append_str(&inv->out, "a line of some length that fills pipes\n");
		status = invocation_flush(inv, err);
	}
	return status;
}

/* Says that the state is damaged, the first time; there is no store whose state could be rebuilt.
 */
static enum status run_damaged(struct invocation *inv, struct error *err)
{
	inv->state_damaged = true;
	return error_set(err, STATUS_CORRUPT, "a row contradicts the log");
}

/* Damage of a log that moved while it was read without its lock; with an operand a verdict. */
static enum status run_moved(struct invocation *inv, struct error *err)
{
	(void)error_hint(&inv->log_moved, error_set(&inv->log_moved, STATUS_LOCKED, "it moves"),
			 "try again");
	inv->verdict = inv->operand_count > 0;
	return error_set(err, inv->verdict ? STATUS_NEGATIVE : STATUS_CORRUPT, "event 3: forged");
}

/* The program's own rollback. The first run says, after it appended, what damaged state says. */
static unsigned runs;
static char lost_id[64];

static enum status run_twice(struct invocation *inv, struct error *err)
{
	const struct command *pretended = inv->command;
	struct command_match rollback;
	enum status status;

	assert_int_equal(command_resolve(command_families, (const char *const[]){ "rollback" }, 1,
					 &rollback, NULL),
			 STATUS_OK);
	inv->command = rollback.command;
	status = inv->command->run(inv, err);
	inv->command = pretended;
	if (status || runs++)
		return status;
	inv->state_damaged = true;
	return error_set(err, STATUS_CORRUPT, "a row contradicts the log");
}

/* Damaged whenever it runs. */
static enum status run_counted(struct invocation *inv, struct error *err)
{
	runs++;
	return run_damaged(inv, err);
}

/* A write that the disk failed; prints nothing, so that stderr has the only id. */
static enum status run_lost(struct invocation *inv, struct error *err)
{
	enum status status = error_set(err, STATUS_IO, "who knows");

	if (inv->session.command_id)
		(void)snprintf(lost_id, sizeof(lost_id), "%s", inv->session.command_id);
	return inv->operand_count ? error_hint(err, status, "%s", inv->operands[0]) : status;
}

static enum status run_ask(struct invocation *inv, struct error *err)
{
	(void)err;
	buf_printf(&inv->out, "%s\n", inv->session.ask ? "can ask" : "cannot ask");
	return STATUS_OK;
}

static const enum option_id twice_options[] = { OPTION_TO, OPTION_END };
static const enum option_id counted_options[] = { OPTION_STDIN, OPTION_FILE, OPTION_END };
static const enum option_id echo_options[] = { OPTION_FROM, OPTION_AS, OPTION_END };

static const struct command echoes[] = {
	{ .group = "echo",
	  .operands = "WORD…",
	  .operands_min = 1,
	  .operands_max = UINT_MAX,
	  .flags = COMMAND_READS | COMMAND_ENVIRONMENT,
	  .options = echo_options,
	  .summary = "print words",
	  .details = "Words are printed, one on each line, in the order in which they were given, "
		     "whatever they are.",
	  .example = "provenv echo a b",
	  .run = run_echo },
	{ .group = "write",
	  .operands = "[WORD]",
	  .operands_max = 1,
	  .flags = COMMAND_WRITES | COMMAND_PROFILE,
	  .summary = "pretend to write",
	  .run = run_echo },
	{ .group = NULL },
};

static const struct command others[] = {
	{ .group = "json",
	  .operands = "",
	  .flags = COMMAND_LINES,
	  .summary = "print JSON",
	  .run = run_json },
	{ .group = "fail", .operands = "", .summary = "fail", .run = run_fail },
	{ .group = "judge",
	  .operands = "[X]",
	  .operands_max = 1,
	  .summary = "judge",
	  .run = run_verdict },
	{ .group = "flood", .operands = "", .summary = "print a lot", .run = run_flood },
	{ .group = "damaged", .operands = "", .summary = "be damaged", .run = run_damaged },
	{ .group = "moved",
	  .operands = "[X]",
	  .operands_max = 1,
	  .summary = "read what moves",
	  .run = run_moved },
	{ .group = "twice",
	  .operands = "",
	  .flags = COMMAND_WRITES | COMMAND_PROFILE,
	  .options = twice_options,
	  .summary = "roll back twice",
	  .run = run_twice },
	{ .group = "counted",
	  .operands = "[X]",
	  .operands_max = 1,
	  .options = counted_options,
	  .summary = "count runs",
	  .run = run_counted },
	{ .group = "lost",
	  .operands = "[HINT]",
	  .operands_max = 1,
	  .flags = COMMAND_WRITES,
	  .summary = "fail to know",
	  .run = run_lost },
	{ .group = "ask", .operands = "", .summary = "ask", .run = run_ask },
	{ .group = "thing",
	  .verb = "ls",
	  .operands = "",
	  .summary = "list things",
	  .run = run_json },
	{ .group = "thing",
	  .verb = "show",
	  .operands = "NAME",
	  .operands_min = 1,
	  .operands_max = 1,
	  .summary = "show a thing",
	  .run = run_echo },
	{ .group = NULL },
};

static const struct command *const families[] = { echoes, others, NULL };

/* Run a command line over the commands above. */
#define RUN(...) run_words(families, (const char *const[]){ __VA_ARGS__, NULL })

static void operands_and_options_arrive(void **state)
{
	AUTO(ran_release) struct ran ran = RUN("--at", "HEAD~1", "echo", "-e", "testing", "a", "b");

	(void)state;
	assert_int_equal(ran.code, 0);
	assert_string_equal(buf_str(&ran.out), "operand a\noperand b\nenv testing\nat HEAD~1\n");
	assert_string_equal(buf_str(&ran.err), "a note\n");
}

static void verbs_are_found(void **state)
{
	AUTO(ran_release) struct ran list = RUN("thing", "ls");
	AUTO(ran_release) struct ran show = RUN("thing", "show", "ls");

	(void)state;
	assert_int_equal(list.code, 0);
	assert_string_equal(buf_str(&list.out),
			    "{\"schema\":\"provenv/test/v1\",\"lines\":false}\n");
	assert_int_equal(show.code, 0);
	assert_string_equal(buf_str(&show.out), "operand ls\n");
}

static void write_options(void **state)
{
	AUTO(ran_release)
	struct ran ran = RUN("write", "-nq", "--confirm=a", "--confirm", "b", "-m", "why");

	(void)state;
	assert_int_equal(ran.code, 0);
	assert_string_equal(buf_str(&ran.out), "confirmed a\nconfirmed b\ndry\n");
	assert_int_equal(ran.err.len, 0); /* quiet */
}

static void usage_errors(void **state)
{
	static const struct {
		const char *line[5];
		const char *err;
	} cases[] = {
		{ { "ehco", "x" },
		  "provenv: no such command: ehco\n  hint: did you mean 'echo'?\n" },
		{ { "qwerty" },
		  "provenv: no such command: qwerty\n  hint: list them: provenv help\n" },
		{ { "TOKEN=hunter2" },
		  "provenv: no such command: TOKEN=…\n  hint: list them: provenv help\n" },
		{ { "thing" }, "provenv: which thing command?\n  hint: one of: ls, show\n" },
		{ { "thing", "shou" },
		  "provenv: no such command: thing shou\n  hint: did you mean 'thing show'?\n" },
		{ { "thing", "TOKEN=hunter2" },
		  "provenv: no such command: thing TOKEN=…\n  hint: one of: ls, show\n" },
		{ { "thing", "--help", "shou" },
		  "provenv: no such command: thing shou\n  hint: did you mean 'thing show'?\n" },
		{ { "--json" },
		  "{\"schema\":\"provenv/error/v1\",\"code\":2,\"status\":\"usage\",\"message\":"
		  "\"which command?\",\"hint\":\"list them: provenv help\"}\n" },
		{ { "echo" },
		  "provenv: echo needs WORD…\n  hint: usage: provenv echo [options] WORD…\n" },
		{ { "write", "a", "B=hunter2" },
		  "provenv: write takes at most 1 operand, 2 given\n"
		  "  hint: usage: provenv write [options] [WORD]\n" },
		{ { "fail", "hunter2" },
		  "provenv: fail takes no operands, 1 given\n  hint: usage: provenv fail [options]\n" },
		{ { "thing", "ls", "-n" },
		  "provenv: thing ls does not take --dry-run\n"
		  "  hint: what it takes: provenv help thing ls\n" },
		{ { "echo", "a", "--to=hunter2" },
		  "provenv: echo does not take --to\n  hint: what it takes: provenv help echo\n" },
		{ { "echo", "a", "--confirm=x" },
		  "provenv: echo does not take --confirm\n  hint: what it takes: provenv help echo\n" },
		{ { "echo", "a", "-p", "x" },
		  "provenv: echo does not take --profile\n  hint: what it takes: provenv help echo\n" },
		{ { "write", "--at", "1" },
		  "provenv: write does not take --at\n  hint: what it takes: provenv help write\n" },
		{ { "fail", "--jsonl" },
		  "{\"schema\":\"provenv/error/v1\",\"code\":2,\"status\":\"usage\",\"message\":"
		  "\"fail does not take --jsonl\",\"hint\":\"what it takes: provenv help fail\"}\n" },
		{ { "json", "-q", "-v" }, "provenv: --quiet and --verbose exclude each other\n" },
		{ { "echo", "--nope=hunter2", "--json" },
		  "{\"schema\":\"provenv/error/v1\",\"code\":2,\"status\":\"usage\",\"message\":"
		  "\"unknown option --nope=…\",\"hint\":\"options of a command: provenv help "
		  "COMMAND\"}\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(ran_release) struct ran ran = run_words(families, cases[i].line);

		assert_string_equal(buf_str(&ran.err), cases[i].err);
		assert_int_equal(ran.code, 2);
		assert_int_equal(ran.out.len, 0);
	}
}

static void failures(void **state)
{
	AUTO(ran_release) struct ran words = RUN("fail");
	AUTO(ran_release) struct ran object = RUN("fail", "--json");

	(void)state;
	assert_int_equal(words.code, 3);
	assert_int_equal(words.out.len, 0);
	assert_string_equal(buf_str(&words.err), "provenv: no such thing: \\x1b[31mred\nmore\n"
						 "  hint: look elsewhere\n");
	assert_int_equal(object.code, 3);
	assert_int_equal(object.out.len, 0);
	assert_string_equal(buf_str(&object.err),
			    "{\"schema\":\"provenv/error/v1\",\"code\":3,\"status\":\"not_found\","
			    "\"message\":\"no such thing: \\u001b[31mred\\nmore\","
			    "\"hint\":\"look elsewhere\"}\n");
}

static void verdicts(void **state)
{
	AUTO(ran_release) struct ran told = RUN("judge");
	AUTO(ran_release) struct ran silent = RUN("judge", "x");

	(void)state;
	assert_int_equal(told.code, 1);
	assert_string_equal(buf_str(&told.out), "bad\n");
	assert_string_equal(buf_str(&told.err), "provenv: 1 problem\n");
	assert_int_equal(silent.code, 1);
	assert_string_equal(buf_str(&silent.out), "bad\n");
	assert_int_equal(silent.err.len, 0);
}

static void damage_that_cannot_be_mended(void **state)
{
	AUTO(ran_release) struct ran ran = RUN("damaged", "--store", "/nonexistent/store");

	(void)state;
	assert_int_equal(ran.code, 9);
	assert_string_equal(buf_str(&ran.err), "provenv: a row contradicts the log\n");
}

/* It is not called damaged; other answers stay. */
static void damage_of_a_log_that_moved(void **state)
{
	AUTO(ran_release) struct ran moved = RUN("moved");
	AUTO(ran_release) struct ran verdict = RUN("moved", "x");

	(void)state;
	assert_int_equal(moved.code, status_exit_code(STATUS_LOCKED));
	assert_string_equal(buf_str(&moved.err), "provenv: it moves\n  hint: try again\n");
	assert_int_equal(verdict.code, 1);
	assert_string_equal(buf_str(&verdict.err), "provenv: event 3: forged\n");
}

/* A store of one variable that was set twice, so that the state can be rebuilt. */
struct fixture {
	char dir[64];
	char store[80];
};

static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/provenv-dispatch-XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	(void)snprintf(fixture->store, sizeof(fixture->store), "%s/store", fixture->dir);
	/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads here */
	assert_int_equal(setenv("XDG_CONFIG_HOME", fixture->dir, 1), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", fixture->dir, 1), 0);
	/* NOLINTEND(concurrency-mt-unsafe) */
	const char *const lines[][5] = {
		{ "init", "--store", fixture->store },
		{ "set", "--store", fixture->store, "A=1" },
		{ "set", "--store", fixture->store, "A=2" },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		AUTO(ran_release) struct ran ran = run_words(command_families, lines[i]);

		assert_int_equal(ran.code, 0);
	}
	runs = 0;
	*state = fixture;
	return 0;
}

static int end(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(fs_remove_tree(fixture->dir, NULL), STATUS_OK);
	free(fixture);
	return 0;
}

/* A second rollback by one event would take the first one back. */
static void a_second_run_is_the_same_command(void **state)
{
	const struct fixture *fixture = *state;
	AUTO(ran_release)
	struct ran twice = RUN("twice", "--store", fixture->store, "--to", "HEAD~1", "--json");
	AUTO(ran_release)
	struct ran get = run_words(command_families, (const char *const[]){ "get", "A", "--store",
									    fixture->store, NULL });
	AUTO(ran_release)
	struct ran log =
		run_words(command_families, (const char *const[]){ "log", "--jsonl", "--store",
								   fixture->store, NULL });
	size_t rolled_back = 0;

	assert_int_equal(runs, 2);
	assert_int_equal(twice.code, 0);
	assert_non_null(strstr(buf_str(&twice.out), "\"repeated\":true"));
	assert_string_equal(buf_str(&get.out), "1\n");
	for (const char *at = buf_str(&log.out); (at = strstr(at, "\"state.rolled_back\"")); at++)
		rolled_back++;
	assert_int_equal(rolled_back, 1);
}

/* What was read from a pipe cannot be read again: an empty value would be written. */
static void input_is_taken_once(void **state)
{
	const struct fixture *fixture = *state;
	static const char told[] =
		"provenv: a row contradicts the log\n"
		"  hint: the state is rebuilt from the log now: run the command again\n";
	static const char *const inputs[] = { "--stdin", "--file=/dev/stdin", "-" };

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		AUTO(ran_release)
		struct ran ran = RUN("counted", "--store", fixture->store, inputs[i]);

		assert_int_equal(ran.code, 9);
		assert_string_equal(buf_str(&ran.err), told);
		assert_int_equal(runs, i + 1);
	}
	AUTO(ran_release) struct ran ran = RUN("counted", "--store", fixture->store);

	assert_int_equal(ran.code, 9);
	assert_int_equal(runs, sizeof(inputs) / sizeof(inputs[0]) + 2);
}

/* Whoever repeats a write that may have been appended needs its id, unless he chose it. */
static void the_id_of_a_lost_write_is_told(void **state)
{
	AUTO(buf_release) struct buf expected = BUF_INIT;
	AUTO(ran_release) struct ran bare = RUN("lost");

	(void)state;
	assert_int_equal(strlen(lost_id), 32);
	buf_printf(&expected,
		   "provenv: who knows\n  hint: repeated with --command-id=%s it is carried out "
		   "once\n",
		   lost_id);
	assert_string_equal(buf_str(&bare.err), buf_str(&expected));
	AUTO(ran_release) struct ran more = RUN("lost", "look at it");

	buf_clear(&expected);
	buf_printf(&expected,
		   "provenv: who knows\n  hint: look at it; repeated with --command-id=%s it is "
		   "carried out once\n",
		   lost_id);
	assert_string_equal(buf_str(&more.err), buf_str(&expected));
	AUTO(ran_release)
	struct ran given = RUN("lost", "--command-id=0190a8f4-0000-7000-8000-000000000000");
	AUTO(ran_release) struct ran planned = RUN("lost", "-n");

	assert_string_equal(buf_str(&given.err), "provenv: who knows\n");
	assert_string_equal(buf_str(&planned.err), "provenv: who knows\n");
}

static void a_reader_that_left(void **state)
{
	AUTO_FD int err_fd = memfd_create("err", MFD_CLOEXEC);
	AUTO(buf_release) struct buf err = BUF_INIT;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(
		run_into(families, (const char *const[]){ "flood", NULL }, ends[1], err_fd), 0);
	assert_int_equal(run_into(families, (const char *const[]){ "json", NULL }, ends[1], err_fd),
			 0);
	assert_int_equal(close(ends[1]), 0);
	read_back(err_fd, &err);
	assert_int_equal(err.len, 0);
}

static void a_full_disk(void **state)
{
	AUTO_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	AUTO_FD int err_fd = memfd_create("err", MFD_CLOEXEC);
	AUTO(buf_release) struct buf err = BUF_INIT;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(
		run_into(families, (const char *const[]){ "echo", "x", NULL }, full, err_fd), 13);
	read_back(err_fd, &err);
	assert_non_null(strstr(buf_str(&err), "a note\n"));
	assert_non_null(strstr(buf_str(&err), "provenv: cannot write standard output: No space"));
}

static void help_and_version(void **state)
{
	AUTO(ran_release) struct ran none = run_words(families, (const char *const[]){ NULL });
	AUTO(ran_release) struct ran version = RUN("echo", "--version", "--at", "1");
	AUTO(ran_release) struct ran command = RUN("echo", "a", "-h");
	AUTO(ran_release) struct ran group = RUN("thing", "--help");

	(void)state;
	assert_int_equal(none.code, 0);
	assert_non_null(strstr(buf_str(&none.out), "\n  echo          print words\n"));
	assert_non_null(strstr(buf_str(&none.out), "\n  thing         ls, show\n"));
	assert_non_null(strstr(buf_str(&none.out), "\n  -e, --env ENV "));
	assert_string_equal(buf_str(&version.out), "provenv " PROVENV_VERSION "\n");
	assert_int_equal(command.code, 0);
	assert_memory_equal(buf_str(&command.out),
			    "usage: provenv echo [options] WORD…\n\nprint words\n\n"
			    "Words are printed, one on each line, in the order in which they were "
			    "given,\nwhatever they are.\n\noptions:\n",
			    150);
	assert_non_null(strstr(buf_str(&command.out), "--from SOURCE"));
	assert_non_null(strstr(buf_str(&command.out), "--at REF"));
	assert_null(strstr(buf_str(&command.out), "--dry-run"));
	assert_non_null(strstr(buf_str(&command.out), "example:\n  provenv echo a b\n"));
	assert_string_equal(buf_str(&group.out), "usage: provenv thing VERB [options]\n\n"
						 "  ls                        list things\n"
						 "  show NAME                 show a thing\n\n"
						 "more: provenv help thing VERB\n");
}

/* The longest line, in bytes. */
static size_t widest_line(const struct buf *text)
{
	size_t widest = 0;
	size_t begin = 0;

	for (size_t i = 0; i < text->len; i++) {
		if (text->data[i] != '\n')
			continue;
		widest = i - begin > widest ? i - begin : widest;
		begin = i + 1;
	}
	return widest;
}

static void expect_narrow_help(void *context, const struct command *command)
{
	const char *words[] = { command->group, command->verb };
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)context;
	assert_int_equal(help_append(&out, command_families, words, command->verb ? 2 : 1, NULL),
			 STATUS_OK);
	assert_true(widest_line(&out) <= 100); /* characters of three bytes, and long examples */
}

static void help_fits_a_terminal(void **state)
{
	(void)state;
	command_each(command_families, expect_narrow_help, NULL);
}

static void expect_sound(void *context, const struct command *command)
{
	const char *words[] = { command->group, command->verb };
	struct command_match match;

	(void)context;
	assert_int_equal(
		command_resolve(command_families, words, command->verb ? 2 : 1, &match, NULL),
		STATUS_OK);
	assert_ptr_equal(match.command, command);
	assert_non_null(command->operands);
	assert_non_null(command->summary);
	assert_true(command->operands_min <= command->operands_max);
	assert_int_equal(command->operands_max == 0, *command->operands == '\0');
	assert_false((command->flags & COMMAND_READS) && (command->flags & COMMAND_WRITES));
}

/* The real table: each command is found by its words, and says of itself what help needs. */
static void the_table_is_sound(void **state)
{
	(void)state;
	command_each(command_families, expect_sound, NULL);
}

static void asking(void **state)
{
	AUTO(ran_release) struct ran ran = RUN("ask"); /* stderr is no terminal here */
	AUTO_FD int err_fd = memfd_create("err", MFD_CLOEXEC);
	AUTO_FD int saved_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	AUTO_FD int saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	AUTO(buf_release) struct buf err = BUF_INIT;
	static const char answers[] = "production\nproductio\nproduction \n";
	int ends[2];
	bool said[4];

	(void)state;
	assert_string_equal(buf_str(&ran.out), "cannot ask\n");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], answers, sizeof(answers) - 1), sizeof(answers) - 1);
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(dup2(err_fd, STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 4; i++)
		said[i] = process_ask(NULL, "sure? ", "production");
	assert_int_equal(dup2(saved_err, STDERR_FILENO), STDERR_FILENO);
	if (saved_in >= 0)
		assert_int_equal(dup2(saved_in, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(close(ends[0]), 0);
	assert_true(said[0]);
	assert_false(said[1]);
	assert_false(said[2]);
	assert_false(said[3]); /* the end of input is no answer */
	read_back(err_fd, &err);
	assert_string_equal(buf_str(&err), "sure? sure? sure? sure? ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_and_options_arrive),
		cmocka_unit_test(verbs_are_found),
		cmocka_unit_test(write_options),
		cmocka_unit_test(usage_errors),
		cmocka_unit_test(failures),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(damage_that_cannot_be_mended),
		cmocka_unit_test(damage_of_a_log_that_moved),
		cmocka_unit_test_setup_teardown(a_second_run_is_the_same_command, begin, end),
		cmocka_unit_test_setup_teardown(input_is_taken_once, begin, end),
		cmocka_unit_test(the_id_of_a_lost_write_is_told),
		cmocka_unit_test(a_reader_that_left),
		cmocka_unit_test(a_full_disk),
		cmocka_unit_test(help_and_version),
		cmocka_unit_test(help_fits_a_terminal),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(asking),
	};
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	/* As process_prepare() does. */
	if (sigaction(SIGPIPE, &ignore, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
