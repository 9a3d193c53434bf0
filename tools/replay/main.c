/*
 * provenv-replay: audit, replay and salvage of a log, without keys, state or SQLite.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/secret.h"
#include "replay/child.h"
#include "replay/replay.h"

#include "base/banned.h"

static const char usage_text[] =
	"usage: provenv-replay COMMAND SOURCE [options]      SOURCE: a store, or its log directory\n"
	"\n"
	"  verify   SOURCE                       check every event; exit 9 names the first bad one\n"
	"  state    SOURCE [--to REF]            the state, folded from the log, and its hash\n"
	"  diff     SOURCE A B                   what differs between two moments; exit 1 if any\n"
	"  rebuild  SOURCE [--to REF] --output DIR   a fresh store with the log up to REF\n"
	"  salvage  SOURCE --output DIR          the longest valid prefix of a damaged log\n"
	"  rollback SOURCE --to REF [-- ARGS]    print the plan, then run provenv rollback\n"
	"\n"
	"  --json   one JSON object       --help, --version\n"
	"\n"
	"Needs no key and writes nothing to SOURCE.\n";

struct replay_command {
	const char *name;
	unsigned operands;
	bool takes_to;
	bool takes_output;
	bool in_child; /* it reads the log's pages, and nothing of it is needed afterwards */
	enum status (*run)(struct request *request, struct error *err);
};

static const struct replay_command commands[] = {
	{ "verify", 1, false, false, true, replay_verify },
	{ "state", 1, true, false, true, replay_state },
	{ "diff", 3, false, false, true, replay_diff },
	{ "rebuild", 1, true, true, false, replay_rebuild },
	{ "salvage", 1, false, true, false, replay_salvage },
	{ "rollback", 1, true, false, false, replay_rollback },
};

/* The command line, cut into words and options. */
struct words {
	const char *word[4];
	unsigned count;
	bool help;
	bool version;
};

static enum status take_value(char **argv, int *at, const char **ret, struct error *err)
{
	if (*ret)
		return error_set(err, STATUS_USAGE, "%s is given twice", argv[*at]);
	if (!argv[*at + 1])
		return error_set(err, STATUS_USAGE, "%s needs a value", argv[*at]);
	*ret = argv[++*at];
	return STATUS_OK;
}

static enum status parse_one(char **argv, int *at, struct request *request, struct words *words,
			     struct error *err)
{
	const char *word = argv[*at];

	if (strcmp(word, "--json") == 0)
		request->json = true;
	else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		words->help = true;
	else if (strcmp(word, "--version") == 0)
		words->version = true;
	else if (strcmp(word, "--to") == 0)
		return take_value(argv, at, &request->to, err);
	else if (strcmp(word, "--output") == 0)
		return take_value(argv, at, &request->output, err);
	else if (strncmp(word, "--to=", 5) == 0)
		request->to = word + 5;
	else if (strncmp(word, "--output=", 9) == 0)
		request->output = word + 9;
	else if (word[0] == '-' && word[1])
		return error_set(err, STATUS_USAGE, "unknown option %s", word);
	else if (words->count == 4)
		return error_set(err, STATUS_USAGE, "too many operands");
	else
		words->word[words->count++] = word;
	return STATUS_OK;
}

static enum status parse(char **argv, struct request *request, struct words *words,
			 struct error *err)
{
	enum status status = STATUS_OK;
	int at = 1;

	for (; argv[at] && strcmp(argv[at], "--") != 0 && !status; at++)
		status = parse_one(argv, &at, request, words, err);
	request->rest = argv[at] ? argv + at + 1 : argv + at;
	return status;
}

static enum status find_command(const struct request *request, const struct words *words,
				const struct replay_command **ret, struct error *err)
{
	for (size_t i = 0; words->count && i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct replay_command *command = &commands[i];

		if (strcmp(command->name, words->word[0]) != 0)
			continue;
		if (words->count - 1 != command->operands)
			return error_set(err, STATUS_USAGE, "%s takes %u operand%s", command->name,
					 command->operands, command->operands == 1 ? "" : "s");
		if ((request->to && !command->takes_to) ||
		    (request->output && !command->takes_output))
			return error_set(err, STATUS_USAGE, "%s does not take --%s", command->name,
					 request->to && !command->takes_to ? "to" : "output");
		if (*request->rest && command->run != replay_rollback)
			return error_set(err, STATUS_USAGE, "%s takes nothing after --",
					 command->name);
		*ret = command;
		return STATUS_OK;
	}
	return error_hint(err, error_set(err, STATUS_USAGE, "no such command"),
			  "provenv-replay --help lists them");
}

enum status replay_flush(struct request *request, struct error *err)
{
	enum status status = buf_status(&request->out, err);
	size_t at = 0;

	while (!status && at < request->out.len) {
		ssize_t wrote = write(STDOUT_FILENO, request->out.data + at, request->out.len - at);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0 && errno == EPIPE)
			break;
		if (wrote < 0)
			return error_errno(err, STATUS_IO, errno, "cannot write the output");
		at += (size_t)wrote;
	}
	buf_clear(&request->out);
	return status;
}

/* There is no memory even to say what failed: it is that. */
static void report_no_memory(const struct request *request, enum status status)
{
	if (request->json)
		(void)fprintf(stderr,
			      "{\"schema\":\"provenv-replay/error/v1\",\"code\":%d,"
			      "\"status\":\"%s\",\"message\":\"out of memory\",\"hint\":\"\"}\n",
			      status_exit_code(status), status_name(status));
	else
		(void)fputs("provenv-replay: out of memory\n", stderr);
}

static void report(const struct request *request, enum status status, const struct error *err)
{
	AUTO(buf_release) struct buf line = BUF_INIT;
	struct json json;

	if (request->json) {
		jsonw_init(&json, &line);
		jsonw_object(&json);
		jsonw_pair_string(&json, "schema", "provenv-replay/error/v1");
		jsonw_pair_uint(&json, "code", (uint64_t)status_exit_code(status));
		jsonw_pair_string(&json, "status", status_name(status));
		jsonw_pair_string(&json, "message", err->text);
		jsonw_pair_string(&json, "hint", err->hint);
		jsonw_end(&json);
		buf_append_byte(&line, '\n');
	} else {
		buf_printf(&line, "provenv-replay: %s\n", err->text);
		if (err->hint[0])
			buf_printf(&line, "  hint: %s\n", err->hint);
	}
	if (line.failed)
		report_no_memory(request, status);
	else
		(void)fwrite(buf_str(&line), 1, line.len, stderr);
}

struct running {
	const struct replay_command *command;
	struct request *request;
};

static enum status run_command(void *context, struct error *err)
{
	struct running *running = context;
	enum status status = running->command->run(running->request, err);
	/* A verdict is printed whatever it is. */
	enum status flushed = replay_flush(running->request, status ? NULL : err);

	return status ? status : flushed;
}

/*
 * Who meets damage is told who deals with it, unless the command knew better itself. The verdict of
 * verify and a salvage that finds nothing have said all there is.
 */
static void hint_at_salvage(const struct replay_command *command, enum status status,
			    struct error *err)
{
	if (status == STATUS_CORRUPT && err->hint[0] == '\0' && command->run != replay_verify &&
	    command->run != replay_salvage)
		(void)error_hint(err, status,
				 "what is whole, and what can be saved: "
				 "provenv-replay verify, provenv-replay salvage");
}

static enum status run(char **argv, struct request *request, struct error *err)
{
	const struct replay_command *command = NULL;
	struct running running = { .request = request };
	struct words words = { .count = 0 };
	enum status status = secret_init_process(err);

	if (!status)
		status = parse(argv, request, &words, err);
	if (status)
		return status;
	if (words.help || words.version) {
		buf_append_str(&request->out,
			       words.help ? usage_text : "provenv-replay " PROVENV_VERSION "\n");
		return replay_flush(request, err);
	}
	status = find_command(request, &words, &command, err);
	if (status)
		return status;
	request->source = words.word[1];
	request->operands[0] = words.word[2];
	request->operands[1] = words.word[3];
	running.command = command;
	status = command->in_child ? child_run(run_command, &running, err)
				   : run_command(&running, err);
	hint_at_salvage(command, status, err);
	return status;
}

int main(int argc, char **argv)
{
	struct request request = { .source = NULL };
	struct error err = ERROR_INIT;
	enum status status;

	(void)argc;
	(void)signal(SIGPIPE, SIG_IGN); /* NOLINT(cert-err33-c): cannot fail for SIGPIPE */
	(void)signal(SIGXFSZ, SIG_IGN); /* NOLINT(cert-err33-c): nor for SIGXFSZ */
	status = run(argv, &request, &err);
	if (status && status != STATUS_NEGATIVE)
		report(&request, status, &err);
	buf_release(&request.out);
	return status_exit_code(status);
}
