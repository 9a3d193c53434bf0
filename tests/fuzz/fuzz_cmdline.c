/*
 * Fuzz target: command lines (cmds/options.h, cmds/cmd.h).
 *
 * Input: one byte, then words, each ended by a NUL. The command line is dispatched over the real
 * table of commands, in which every command but `help` is replaced by one that looks at what it was
 * given and touches nothing. What must hold:
 * - what the parser took, written out in one form, is taken again and means the same; all it gives
 *   out is borrowed from the words; a refusal leaves the outputs untouched;
 * - a command runs only with options that it takes and as many operands as it bears;
 * - a failure prints nothing on stdout, and on stderr its words, of which no byte drives a
 * terminal, or one JSON object with the exit code, where JSON was asked for;
 * - what stands behind the first '=' of a word, which may be a secret, changes no message but its
 *   hint.
 *
 * The mutator goes by the tables of options and commands.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/lookup.h"
#include "cmds/options.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"
#include "ops/json_read.h"

#include "base/banned.h"

enum {
	WORDS_MAX = 48,
	LINE_BYTES_MAX = 4096,
	FAMILIES_MAX = 16,
	COMMANDS_MAX = 128,
	/* what a command does, by the first byte of the input */
	DO_PRINT = 0,
	DO_NOTHING = 1,
	DO_FAIL = 2, /* with a text that quotes its operands as they are */
	DOINGS = 3,
};

/* A command line: words that live in one stretch of memory, after the program's name. */
struct line {
	char bytes[LINE_BYTES_MAX + 2];
	char *argv[WORDS_MAX + 2];
	int argc;
};

/* What a run left. */
struct ran {
	int code;
	unsigned commands; /* that were run, `help` not counted */
	struct buf out;
	struct buf err;
};

static unsigned doing; /* of the run that is under way */
static struct ran *under_way;

static void ran_release(struct ran *ran)
{
	buf_release(&ran->out);
	buf_release(&ran->err);
}

/* NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the linker's name */
/* In place of process_write(): --wrap. */
int __wrap_process_write(int fd, struct slice bytes);
int __wrap_process_write(int fd, struct slice bytes)
{
	FUZZ_CHECK(fd == STDOUT_FILENO || fd == STDERR_FILENO, "written to descriptor %d", fd);
	buf_append_slice(fd == STDOUT_FILENO ? &under_way->out : &under_way->err, bytes);
	return 0;
}
/* NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier) */

/* --- the commands ------------------------------------------------------------------------------
 */

static enum status look(struct invocation *inv, struct error *err)
{
	const struct command *command = inv->command;
	AUTO(buf_release) struct buf quoted = BUF_INIT;

	under_way->commands++;
	FUZZ_CHECK(inv->operand_count >= command->operands_min &&
			   inv->operand_count <= command->operands_max,
		   "%s %s was given %zu operands", command->group,
		   command->verb ? command->verb : "", inv->operand_count);
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++)
		FUZZ_CHECK(!inv->options->given[id] || command_takes(command, (enum option_id)id),
			   "%s was given --%s", command->group,
			   option_info((enum option_id)id)->name);
	FUZZ_CHECK(inv->session.store_dir == option_text(inv->options, OPTION_STORE) &&
			   inv->session.environment ==
				   option_text(inv->options, OPTION_ENVIRONMENT) &&
			   inv->session.dry_run == option_given(inv->options, OPTION_DRY_RUN) &&
			   inv->session.confirmed_count == inv->options->confirm_count,
		   "the session's options are not those that were given");
	FUZZ_CHECK(!(command->flags & COMMAND_WRITES) || inv->session.command_id,
		   "a write without a command id");
	if (doing == DO_PRINT)
		buf_append_str(&inv->out, "done\n");
	if (doing != DO_FAIL)
		return STATUS_OK;
	for (size_t i = 0; i < inv->operand_count; i++)
		buf_printf(&quoted, " %s", inv->operands[i]);
	(void)error_set(err, STATUS_NOT_FOUND, "cannot do%s", buf_str(&quoted));
	return error_hint(err, STATUS_NOT_FOUND, "leave out%s", buf_str(&quoted));
}

/* The real table, with look() for what the commands do. */
static const struct command *const *the_families(void)
{
	static struct command commands[COMMANDS_MAX];
	static const struct command *families[FAMILIES_MAX + 1];
	size_t used = 0;

	if (families[0])
		return families;
	for (size_t i = 0; command_families[i]; i++) {
		const struct command *row = command_families[i];

		FUZZ_CHECK(i < FAMILIES_MAX, "more than %d families", FAMILIES_MAX);
		families[i] = &commands[used];
		for (bool more = true; more; row++) {
			FUZZ_CHECK(used < COMMANDS_MAX, "more than %d commands", COMMANDS_MAX);
			commands[used] = *row;
			more = row->group != NULL;
			if (more && strcmp(row->group, "help") != 0)
				commands[used].run = look;
			used++;
		}
	}
	return families;
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void line_read(struct line *line, struct slice words)
{
	static char name[] = "provenv";
	size_t len = words.len < LINE_BYTES_MAX ? words.len : LINE_BYTES_MAX;
	size_t at = 0;

	memset(line, 0, sizeof(*line));
	if (len)
		memcpy(line->bytes, words.data, len);
	line->argv[line->argc++] = name;
	while (at < len && line->argc <= WORDS_MAX) {
		line->argv[line->argc++] = line->bytes + at;
		at += strlen(line->bytes + at) + 1;
	}
}

/* Behind the first '=' of each word stands something else of that length. */
static void hide_values(struct line *line)
{
	for (int i = 1; i < line->argc; i++) {
		char *equals = strchr(line->argv[i], '=');

		if (equals)
			memset(equals + 1, 'x', strlen(equals + 1));
	}
}

static void run_line(const struct line *line, unsigned what, struct ran *ret)
{
	char *argv[WORDS_MAX + 2] = { NULL };

	for (int i = 0; i < line->argc; i++)
		argv[i] = line->argv[i];
	doing = what;
	under_way = ret;
	ret->code = command_dispatch(the_families(), line->argc, argv);
}

/* --- the parser --------------------------------------------------------------------------------
 */

struct parsed {
	struct option_values values;
	const char *operands[2 * WORDS_MAX];
	size_t operand_count;
};

static void parsed_release(struct parsed *parsed)
{
	option_values_release(&parsed->values);
}

static bool is_borrowed(const struct line *line, const char *text)
{
	return text >= line->bytes && text < line->bytes + sizeof(line->bytes);
}

/* @given as words of one form: --name=value for every option, --, operands. */
static void write_out(const struct parsed *given, struct buf *ret)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		const struct option_info *info = option_info((enum option_id)id);

		if (!given->values.given[id] || id == OPTION_CONFIRM)
			continue;
		buf_printf(ret, "--%s%s%s", info->name, info->value_name ? "=" : "",
			   info->value_name ? given->values.value[id] : "");
		buf_append_byte(ret, '\0');
	}
	for (size_t i = 0; i < given->values.confirm_count; i++) {
		buf_printf(ret, "--confirm=%s", given->values.confirms[i]);
		buf_append_byte(ret, '\0');
	}
	buf_append(ret, "--", sizeof("--"));
	for (size_t i = 0; i < given->operand_count; i++)
		buf_append(ret, given->operands[i], strlen(given->operands[i]) + 1);
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void check_same(const struct parsed *a, const struct parsed *b)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++)
		FUZZ_CHECK(a->values.given[id] == b->values.given[id] &&
				   is_same_text(a->values.value[id], b->values.value[id]),
			   "--%s is not what it was", option_info((enum option_id)id)->name);
	FUZZ_CHECK(a->values.confirm_count == b->values.confirm_count &&
			   a->operand_count == b->operand_count,
		   "more or fewer than there were");
	for (size_t i = 0; i < a->values.confirm_count; i++)
		FUZZ_CHECK(is_same_text(a->values.confirms[i], b->values.confirms[i]),
			   "confirmation %zu is another one", i);
	for (size_t i = 0; i < a->operand_count; i++)
		FUZZ_CHECK(is_same_text(a->operands[i], b->operands[i]),
			   "operand %zu is another one", i);
}

static void check_parsed(const struct line *line, const struct parsed *given)
{
	static struct line again;
	AUTO(parsed_release) struct parsed read = { .operand_count = 0 };
	AUTO(buf_release) struct buf words = BUF_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < given->operand_count; i++)
		FUZZ_CHECK(is_borrowed(line, given->operands[i]), "an operand from elsewhere");
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++)
		FUZZ_CHECK(!given->values.value[id] || is_borrowed(line, given->values.value[id]),
			   "a value from elsewhere");
	write_out(given, &words);
	if (words.len > LINE_BYTES_MAX ||
	    given->operand_count + given->values.confirm_count + OPTION_COUNT > WORDS_MAX)
		return; /* too long to write out */
	line_read(&again, buf_slice(&words));
	FUZZ_CHECK(!options_parse(again.argc - 1, again.argv + 1, &read.values, read.operands,
				  &read.operand_count, &err),
		   "written out, but not taken: %s", err.text);
	check_same(given, &read);
}

static void check_parser(const struct line *line)
{
	AUTO(parsed_release) struct parsed parsed = { .operand_count = WORDS_MAX + 1 };
	struct option_values values;
	struct error err = ERROR_INIT;
	enum status status;

	fuzz_mark(&values, sizeof(values));
	status = options_parse(line->argc - 1, line->argv + 1, &values, parsed.operands,
			       &parsed.operand_count, &err);
	fuzz_check_error(status, &err);
	if (!status) {
		parsed.values = values;
		check_parsed(line, &parsed);
		return;
	}
	FUZZ_CHECK(status == STATUS_USAGE, "%s", status_name(status));
	FUZZ_CHECK(parsed.operand_count == WORDS_MAX + 1 && fuzz_is_marked(&values, sizeof(values)),
		   "refused, but the output was touched");
}

/* --- what was printed --------------------------------------------------------------------------
 */

static void check_words(struct slice printed)
{
	AUTO(buf_release) struct buf lines = BUF_INIT;
	AUTO(buf_release) struct buf shown = BUF_INIT;

	FUZZ_CHECK(printed.len > 9 && memcmp(printed.data, "provenv: ", 9) == 0 &&
			   printed.data[printed.len - 1] == '\n',
		   "a failure without its words");
	/* Newlines are the form of a message; everything else has to be as it would be shown. */
	buf_append_slice(&lines, printed);
	for (size_t i = 0; i < lines.len; i++) {
		if (lines.data[i] == '\n')
			lines.data[i] = ' ';
	}
	text_append_printable(&shown, buf_slice(&lines));
	FUZZ_CHECK(slice_equal(buf_slice(&lines), buf_slice(&shown)),
		   "a message that drives the terminal: %s", buf_str(&shown));
}

static void check_json(struct slice printed, int code)
{
	json_error_t why;
	bool no_memory;
	json_t *object = json_read(printed, JSON_REJECT_DUPLICATES, &why, &no_memory);

	FUZZ_CHECK(object, "not JSON: %s", why.text);
	FUZZ_CHECK(memchr(printed.data, '\n', printed.len) == printed.data + printed.len - 1,
		   "JSON on several lines");
	FUZZ_CHECK(json_integer_value(json_object_get(object, "code")) == code,
		   "another code than the exit's");
	FUZZ_CHECK(json_string_length(json_object_get(object, "message")) > 0, "no message");
	json_decref(object);
}

static void check_success(const struct ran *ran)
{
	FUZZ_CHECK(ran->err.len == 0, "well, and yet: %s", buf_str(&ran->err));
	FUZZ_CHECK(ran->commands <= 1, "%u commands were run", ran->commands);
	FUZZ_CHECK(ran->out.len > 0 || ran->commands == 1, "well, and nothing was done");
}

static void check_failure(const struct ran *ran)
{
	bool refused = ran->code == status_exit_code(STATUS_USAGE) && ran->commands == 0;
	bool failed = ran->code == status_exit_code(STATUS_NOT_FOUND) && ran->commands == 1;

	FUZZ_CHECK(refused || (doing == DO_FAIL && failed), "exit code %d after %u commands",
		   ran->code, ran->commands);
	FUZZ_CHECK(ran->out.len == 0, "failed, and printed a result");
	FUZZ_CHECK(ran->err.len > 0, "failed without a word");
	if (ran->err.data[0] == '{')
		check_json(buf_slice(&ran->err), ran->code);
	else
		check_words(buf_slice(&ran->err));
}

/*
 * Without the hint: that names the command or option nearest to the whole of a word, so that it may
 * depend on what stands behind the '='; it repeats nothing of it.
 */
static struct slice message_of(const struct ran *ran)
{
	static const char hint[] = "hint";
	const uint8_t *at =
		ran->err.len ? memmem(ran->err.data, ran->err.len, hint, strlen(hint)) : NULL;

	return slice_of(ran->err.data, at ? (size_t)(at - ran->err.data) : ran->err.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line line;
	struct slice input = slice_of(data, size);
	unsigned what = fuzz_take_byte(&input) % DOINGS;
	AUTO(ran_release) struct ran ran = { .out = BUF_INIT };
	AUTO(ran_release) struct ran hidden = { .out = BUF_INIT };

	line_read(&line, input);
	check_parser(&line);
	run_line(&line, what, &ran);
	if (ran.code == 0)
		check_success(&ran);
	else
		check_failure(&ran);
	if (what == DO_FAIL) /* which quotes on purpose */
		return 0;
	hide_values(&line);
	run_line(&line, what, &hidden);
	FUZZ_CHECK(ran.code == hidden.code &&
			   slice_equal(buf_slice(&ran.out), buf_slice(&hidden.out)) &&
			   slice_equal(message_of(&ran), message_of(&hidden)),
		   "what stands behind '=' is told: %s", buf_str(&ran.err));
	return 0;
}

/* --- mutating by the tables --------------------------------------------------------------------
 */

/* Append a value such as options and operands take. */
static void put_value(struct sample_random *random, struct buf *out)
{
	static const char *const values[] = { "",         "production", "A=1",  "HEAD~2",
					      "42",       "-",          "--",   "@-10m",
					      "--json",   "x\x1b[2Jy",  "a\nb", "\xe2\x80\xae",
					      "\xc2\x9b", "-5",         "=",    "\xff" };

	buf_append_str(out, values[sample_below(random, sizeof(values) / sizeof(values[0]))]);
}

/* Append an option in one of its forms, each word ended by a NUL. */
static void put_option(struct sample_random *random, struct buf *out)
{
	enum option_id id = (enum option_id)(1 + sample_below(random, OPTION_COUNT - 1));
	const struct option_info *info = option_info(id);
	bool letter = info->letter && sample_below(random, 2);

	if (letter)
		buf_printf(out, "-%c", info->letter);
	else
		buf_printf(out, "--%s", info->name);
	if (sample_below(random, 8) == 0 && !letter)
		out->len--; /* not quite */
	if (info->value_name ? sample_below(random, 8) : !sample_below(random, 8)) {
		if (sample_below(random, 2))
			buf_append_byte(out, '\0');
		else if (!letter)
			buf_append_byte(out, '=');
		put_value(random, out);
	}
	buf_append_byte(out, '\0');
}

static void put_command(struct sample_random *random, struct buf *out)
{
	const struct command *const *families = the_families();
	const struct command *row;
	size_t count = 0;

	while (families[count])
		count++;
	row = families[sample_below(random, count)];
	for (count = 0; row[count].group; count++)
		continue;
	row += sample_below(random, count);
	buf_append(out, row->group, strlen(row->group) + 1);
	if (row->verb)
		buf_append(out, row->verb, strlen(row->verb) + 1);
}

static void put_words(struct sample_random *random, struct buf *out)
{
	switch (sample_below(random, 4)) {
	case 0:
		put_command(random, out);
		break;
	case 1:
		put_value(random, out);
		buf_append_byte(out, '\0');
		break;
	default:
		put_option(random, out);
	}
}

/* Where a word begins, behind the first byte: at any of them, or at the end. */
static size_t word_start(struct sample_random *random, struct slice input)
{
	size_t at = 1 + sample_below(random, input.len);

	while (at > 1 && at < input.len && input.data[at - 1] != '\0')
		at--;
	return at;
}

static size_t word_end(struct slice input, size_t at)
{
	while (at < input.len && input.data[at] != '\0')
		at++;
	return at < input.len ? at + 1 : at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct sample_random random = { .state = seed };
	struct slice input = slice_of(data, size);
	AUTO(buf_release) struct buf out = BUF_INIT;
	size_t from;
	size_t to;

	if (size == 0 || sample_below(&random, 4) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	from = word_start(&random, input);
	to = word_end(input, from);
	buf_append(&out, data, from);
	if (from == size && from > 1 && out.data[from - 1] != '\0')
		buf_append_byte(&out, '\0');
	switch (sample_below(&random, 8)) {
	case 0: /* a word goes */
		break;
	case 1: /* … stands there twice */
		buf_append(&out, data + from, to - from);
		buf_append(&out, data + from, to - from);
		break;
	case 2: /* … is another one */
	case 3:
		put_words(&random, &out);
		break;
	case 4: /* another command line */
		buf_clear(&out);
		buf_append_byte(&out, (uint8_t)sample_below(&random, DOINGS));
		put_command(&random, &out);
		to = size;
		break;
	default: /* more words */
		put_words(&random, &out);
		to = from;
	}
	buf_append(&out, data + to, size - to);
	return fuzz_put(data, max_size, buf_slice(&out));
}
