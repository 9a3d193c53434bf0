/*
 * The table of options and its parser; see options.h.
 *
 * Invariants: row i of the table is option i; a long name and a letter belong to one option.
 * Nothing typed behind "=" or as a value reaches an error text.
 */
#include "cmds/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include "base/banned.h"

enum { WORD_BYTES_SHOWN = 64 };

#define GLOBAL(i, n, l, v, s)      \
	[i] = { .id = (i),         \
		.name = (n),       \
		.letter = (l),     \
		.value_name = (v), \
		.global = true,    \
		.summary = (s) }
#define OWN(i, n, l, v, s) \
	[i] = { .id = (i), .name = (n), .letter = (l), .value_name = (v), .summary = (s) }

/* clang-format off */
static const struct option_info table[OPTION_COUNT] = {
	GLOBAL(OPTION_STORE, "store", 0, "DIR",
		"the store; else $PROVENV_STORE, or the nearest .provenv upward"),
	GLOBAL(OPTION_ENVIRONMENT, "env", 'e', "ENV", "environment; else the active one"),
	GLOBAL(OPTION_PROFILE, "profile", 'p', "PROFILE",
		"profile; else the active one of the environment"),
	GLOBAL(OPTION_AT, "at", 0, "REF",
		"the state as of an event or a time: 42, HEAD~3, @2026-01-02T03:04, @-10m"),
	GLOBAL(OPTION_REASON, "reason", 'm', "REASON", "why; kept in the event"),
	GLOBAL(OPTION_AS, "as", 0, "KEY", "name of the key to sign or read with; else USER@HOST"),
	GLOBAL(OPTION_DRY_RUN, "dry-run", 'n', NULL, "print what would change, and change nothing"),
	GLOBAL(OPTION_JSON, "json", 0, NULL,
		"print one JSON object; failures are one on standard error"),
	GLOBAL(OPTION_JSONL, "jsonl", 0, NULL, "print one JSON object for each line"),
	GLOBAL(OPTION_QUIET, "quiet", 'q', NULL, "no notes on standard error"),
	GLOBAL(OPTION_VERBOSE, "verbose", 'v', NULL, "more notes on standard error"),
	GLOBAL(OPTION_NO_INPUT, "no-input", 0, NULL, "never ask; refuse instead"),
	[OPTION_CONFIRM] = {
		.id = OPTION_CONFIRM,
		.name = "confirm",
		.value_name = "NAME",
		.repeatable = true,
		.global = true,
		.summary = "confirm a change to the protected environment NAME; may be repeated",
	},
	GLOBAL(OPTION_IF_HEAD, "if-head", 0, "HASH",
		"only if the last event has this hash; else exit 6"),
	GLOBAL(OPTION_COMMAND_ID, "command-id", 0, "ID",
		"a UUID that names this command: running it again changes nothing more"),
	GLOBAL(OPTION_ACCEPT_CLOCK, "accept-clock", 0, NULL,
		"sign although the clock is far from the last event's"),
	GLOBAL(OPTION_HELP, "help", 'h', NULL, "print help"),
	GLOBAL(OPTION_VERSION, "version", 0, NULL, "print the version"),

	OWN(OPTION_CATALOGUE, "catalogue", 0, "FILE",
		"take categories, specifications, environments and databases from FILE"),
	OWN(OPTION_GLOBAL, "global", 0, NULL, "the user's own store, found from everywhere"),
	OWN(OPTION_KEY, "key", 0, "NAME", "name of the signing key; else USER@HOST"),
	OWN(OPTION_DEEP, "deep", 0, NULL, "check also that every secret opens"),
	OWN(OPTION_SINCE, "since", 0, "SINCE",
		"for log a time or a duration back from now, for verify a checkpoint file"),
	OWN(OPTION_UNTIL, "until", 0, "TIME",
		"a time, or a duration from now (lock) or back from now (log)"),
	OWN(OPTION_ACCEPT_LOSS, "accept-loss", 0, "SIZE",
		"accept that the log ends at SIZE events, for ever visible"),
	OWN(OPTION_COMPARE, "compare", 0, NULL,
		"only compare with what is there, and change nothing"),
	OWN(OPTION_DESCRIPTION, "description", 0, "TEXT", "description; an empty one removes it"),
	OWN(OPTION_PROTECTED, "protected", 0, NULL,
		"writes to it need a reason and a confirmation"),
	OWN(OPTION_FROM, "from", 0, "SOURCE",
		"for restore a REF, for profile create a profile to copy"),
	OWN(OPTION_TO, "to", 0, "REF", "the event or time to go back to"),
	OWN(OPTION_ONLY, "only", 0, "GLOB", "only variables whose key matches"),
	OWN(OPTION_TITLE, "title", 0, "TEXT", "title; an empty one removes it"),
	OWN(OPTION_STATUS, "status", 0, "STATUS", "implemented or planned"),
	OWN(OPTION_TYPE, "type", 0, "TYPE",
		"for spec the type of values, for log the type of events"),
	OWN(OPTION_CATEGORY, "category", 'c', "CATEGORY", "category"),
	OWN(OPTION_REQUIRED, "required", 0, NULL, "a value must be set"),
	OWN(OPTION_SECRET, "secret", 0, NULL, "values are sealed and shown only with --reveal"),
	OWN(OPTION_PLAIN, "plain", 0, NULL, "not a secret, although the key looks like one"),
	OWN(OPTION_ENUM, "enum", 0, "A,B", "allowed values"),
	OWN(OPTION_PATTERN, "pattern", 0, "REGEX",
		"regular expression that the whole value matches"),
	OWN(OPTION_MIN, "min", 0, "N", "least value"),
	OWN(OPTION_MAX, "max", 0, "N", "for spec the greatest value, for log the number of events"),
	OWN(OPTION_DEFAULT, "default", 0, "VALUE", "value when none is set"),
	OWN(OPTION_UNIT, "unit", 0, "UNIT", "unit of the value"),
	OWN(OPTION_EXAMPLE, "example", 0, "VALUE", "an example value"),
	OWN(OPTION_STDIN, "stdin", 0, NULL, "read the value from standard input"),
	OWN(OPTION_FILE, "file", 0, "FILE", "read the value from FILE"),
	OWN(OPTION_EXACT, "exact", 0, NULL, "keep the last newline of what is read"),
	OWN(OPTION_REVEAL, "reveal", 0, NULL, "show secrets"),
	OWN(OPTION_ACTOR, "actor", 0, "KEY", "only events signed by this key"),
	OWN(OPTION_RANGE, "range", 0, NULL, "print the first and last event and their times"),
	OWN(OPTION_FORCE, "force", 0, NULL,
		"also where an old value violates its present specification"),
	OWN(OPTION_KIND, "kind", 0, "KIND", "sqlite, or file for anything else"),
	OWN(OPTION_OUT, "out", 'o', "FILE", "write to FILE instead of standard output"),
};
/* clang-format on */

const struct option_info *option_info(enum option_id id)
{
	assert(id > OPTION_END && id < OPTION_COUNT);
	return &table[id];
}

void option_append_usage(struct buf *out, const struct option_info *info)
{
	if (info->letter)
		buf_printf(out, "-%c, ", info->letter);
	buf_printf(out, "--%s", info->name);
	if (info->value_name)
		buf_printf(out, " %s", info->value_name);
}

void option_append_word(struct buf *out, const char *word)
{
	size_t len = strcspn(word, "=");
	size_t shown = len < WORD_BYTES_SHOWN ? len : WORD_BYTES_SHOWN;

	/* Not inside a character. */
	while (shown < len && shown > 0 && ((unsigned char)word[shown] & 0xc0) == 0x80)
		shown--;
	text_append_printable(out, slice_of(word, shown));
	if (word[len] == '=')
		buf_append_byte(out, '=');
	if (word[shown])
		buf_append_str(out, "…");
}

void option_values_release(struct option_values *values)
{
	free((void *)values->confirms);
	*values = (struct option_values){ .confirm_count = 0 };
}

/* Where the parser stands. */
struct parsing {
	int argc;
	char *const *argv;
	int at; /* the word after the one being read */
	struct option_values values;
	struct error *err;
};

static void parsing_release(struct parsing *parsing)
{
	option_values_release(&parsing->values);
}

static const struct option_info *find_long(struct slice name)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		if (slice_equal_str(name, table[id].name))
			return &table[id];
	}
	return NULL;
}

static const struct option_info *find_letter(char letter)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		if (letter && table[id].letter == letter)
			return &table[id];
	}
	return NULL;
}

/* What the user may have meant: the option that begins so, else the nearest. */
static const char *suggest(const char *name)
{
	const char *names[OPTION_COUNT];
	size_t count = 0;

	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		if (*name && strncmp(table[id].name, name, strlen(name)) == 0)
			return table[id].name;
		names[count++] = table[id].name;
	}
	return text_nearest(name, names, count);
}

static enum status unknown_long(struct parsing *parsing, const char *word, struct slice name)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;
	AUTO(buf_release) struct buf wanted = BUF_INIT;
	const char *meant;

	option_append_word(&shown, word);
	buf_append_slice(&wanted, name);
	meant = suggest(buf_str(&wanted));
	(void)error_set(parsing->err, STATUS_USAGE, "unknown option %s", buf_str(&shown));
	if (meant)
		return error_hint(parsing->err, STATUS_USAGE, "did you mean --%s?", meant);
	return error_hint(parsing->err, STATUS_USAGE, "options of a command: provenv help COMMAND");
}

/* A letter that is none may be the start of a mistyped value: only the first is shown. */
static enum status unknown_letter(struct parsing *parsing, char letter)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;

	text_append_printable(&shown, slice_of(&letter, 1));
	return error_hint(
		parsing->err,
		error_set(parsing->err, STATUS_USAGE, "unknown option -%s", buf_str(&shown)),
		"words that begin with '-' and are no options stand behind '--'");
}

static enum status keep_confirm(struct parsing *parsing, const char *value)
{
	struct option_values *values = &parsing->values;

	if (!values->confirms) {
		values->confirms =
			(const char **)calloc((size_t)parsing->argc, sizeof(*values->confirms));
		if (!values->confirms)
			return error_no_memory(parsing->err);
	}
	values->confirms[values->confirm_count++] = value;
	return STATUS_OK;
}

/*
 * Texts that an empty one removes. Elsewhere an empty value is a shell variable that was not set,
 * and would quietly widen what the command does.
 */
static bool may_be_empty(enum option_id id)
{
	static const enum option_id texts[] = {
		OPTION_TITLE,   OPTION_DESCRIPTION, OPTION_CATEGORY, OPTION_TYPE,
		OPTION_ENUM,    OPTION_PATTERN,     OPTION_MIN,      OPTION_MAX,
		OPTION_DEFAULT, OPTION_UNIT,        OPTION_EXAMPLE,
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i] == id)
			return true;
	}
	return false;
}

static enum status keep(struct parsing *parsing, const struct option_info *info, const char *value)
{
	struct option_values *values = &parsing->values;

	if (values->given[info->id] && !info->repeatable)
		return error_set(parsing->err, STATUS_USAGE, "--%s is given twice", info->name);
	if (value && !*value && !may_be_empty(info->id))
		return error_set(parsing->err, STATUS_USAGE,
				 "--%s needs a value that is not empty: %s", info->name,
				 info->value_name);
	values->given[info->id] = true;
	values->value[info->id] = value;
	return info->id == OPTION_CONFIRM ? keep_confirm(parsing, value) : STATUS_OK;
}

/* Keep an option whose value, if it wants one, is the next word. */
static enum status keep_with_next(struct parsing *parsing, const struct option_info *info)
{
	if (!info->value_name)
		return keep(parsing, info, NULL);
	if (parsing->at == parsing->argc)
		return error_set(parsing->err, STATUS_USAGE, "--%s needs a value: %s", info->name,
				 info->value_name);
	return keep(parsing, info, parsing->argv[parsing->at++]);
}

static enum status parse_long(struct parsing *parsing, const char *word)
{
	const char *name = word + strlen("--");
	size_t len = strcspn(name, "=");
	const struct option_info *info = find_long(slice_of(name, len));

	if (!info)
		return unknown_long(parsing, word, slice_of(name, len));
	if (name[len] != '=')
		return keep_with_next(parsing, info);
	if (!info->value_name)
		return error_set(parsing->err, STATUS_USAGE, "--%s takes no value", info->name);
	return keep(parsing, info, name + len + 1);
}

/* "-nq", "-eENV", "-e ENV": flags may be joined, a value takes the rest of the word. */
static enum status parse_letters(struct parsing *parsing, const char *word)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct option_info *info = find_letter(*letter);
		enum status status;

		if (!info)
			return unknown_letter(parsing, *letter);
		if (info->value_name && letter[1])
			return keep(parsing, info, letter + 1);
		status = keep_with_next(parsing, info);
		if (status)
			return status;
	}
	return STATUS_OK;
}

enum status options_parse(int argc, char *const *argv, struct option_values *ret,
			  const char **ret_operands, size_t *ret_operand_count, struct error *err)
{
	AUTO(parsing_release)
	struct parsing parsing = { .argc = argc, .argv = argv, .err = err };
	bool literal = false; /* behind "--" */
	size_t operands = 0;
	enum status status = STATUS_OK;

	while (parsing.at < argc && !status) {
		const char *word = argv[parsing.at++];

		if (literal || word[0] != '-' || word[1] == '\0')
			ret_operands[operands++] = word;
		else if (word[1] != '-')
			status = parse_letters(&parsing, word);
		else if (word[2])
			status = parse_long(&parsing, word);
		else
			literal = true;
	}
	if (status)
		return status;
	*ret = parsing.values;
	*ret_operand_count = operands;
	parsing.values = (struct option_values){ .confirm_count = 0 };
	return STATUS_OK;
}
