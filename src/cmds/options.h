/*
 * Options: one table for all commands. An option has one name, one meaning and one arity
 * everywhere; a command lists which of them it takes, so that one table drives parsing, usage
 * errors, help and docs.
 *
 * Parsing follows the GNU conventions ("--at REF", "--at=REF", "-e ENV", "-eENV", "-nq", "--" ends
 * the options), but for abbreviations: "--conf" is refused rather than guessed. Not getopt_long():
 * it keeps global state and abbreviates. No message repeats the value of an option, or what stands
 * behind "=" in a word: it may be a secret.
 */
#ifndef PROVENV_CMDS_OPTIONS_H
#define PROVENV_CMDS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum option_id {
	OPTION_END, /* ends lists */
	/* global */
	OPTION_STORE,
	OPTION_ENVIRONMENT,
	OPTION_PROFILE,
	OPTION_AT,
	OPTION_REASON,
	OPTION_AS,
	OPTION_DRY_RUN,
	OPTION_JSON,
	OPTION_JSONL,
	OPTION_QUIET,
	OPTION_VERBOSE,
	OPTION_NO_INPUT,
	OPTION_CONFIRM,
	OPTION_IF_HEAD,
	OPTION_COMMAND_ID,
	OPTION_ACCEPT_CLOCK,
	OPTION_HELP,
	OPTION_VERSION,
	/* of commands */
	OPTION_CATALOGUE,
	OPTION_GLOBAL,
	OPTION_KEY,
	OPTION_DEEP,
	OPTION_SINCE, /* a time for log, a checkpoint file for verify */
	OPTION_UNTIL, /* a time */
	OPTION_ACCEPT_LOSS,
	OPTION_COMPARE,
	OPTION_DESCRIPTION,
	OPTION_PROTECTED,
	OPTION_FROM,
	OPTION_TO,
	OPTION_ONLY,
	OPTION_TITLE,
	OPTION_STATUS,
	OPTION_TYPE,
	OPTION_CATEGORY,
	OPTION_REQUIRED,
	OPTION_SECRET,
	OPTION_PLAIN,
	OPTION_ENUM,
	OPTION_PATTERN,
	OPTION_MIN,
	OPTION_MAX, /* greatest value for spec, number of events for log */
	OPTION_DEFAULT,
	OPTION_UNIT,
	OPTION_EXAMPLE,
	OPTION_STDIN,
	OPTION_FILE,
	OPTION_EXACT,
	OPTION_REVEAL,
	OPTION_ACTOR,
	OPTION_RANGE,
	OPTION_FORCE,
	OPTION_OUT,
	OPTION_KIND,
	OPTION_COUNT,
};

struct option_info {
	enum option_id id;
	const char *name;       /* long name without dashes */
	char letter;            /* short form, 0: none */
	const char *value_name; /* NULL: a flag */
	bool repeatable;
	bool global;
	const char *summary;
};

/* @id between OPTION_END and OPTION_COUNT, both excluded. Static storage. */
const struct option_info *option_info(enum option_id id);

/* Append "-e, --env ENV" or "--json". */
void option_append_usage(struct buf *out, const struct option_info *info);

/* What was given. Borrowed from argv. */
struct option_values {
	bool given[OPTION_COUNT];
	const char *value[OPTION_COUNT]; /* the last one */
	const char **confirms;           /* all of --confirm, owned */
	size_t confirm_count;
};

void option_values_release(struct option_values *values);

/*
 * Parse @argv (without the program's name); options may stand anywhere before "--". What is no
 * option goes to @ret_operands (room for @argc), in order; all is borrowed from @argv. Release
 * @ret. USAGE  unknown option (with the nearest), value missing or not wanted, given twice, an
 * empty --store,
 *        --env or --profile
 */
enum status options_parse(int argc, char *const *argv, struct option_values *ret,
			  const char **ret_operands, size_t *ret_operand_count, struct error *err);

/*
 * Append a word of the command line for a message: printable, cut at "=", which becomes "=…", and
 * at a length fit for a line.
 */
void option_append_word(struct buf *out, const char *word);

static inline const char *option_text(const struct option_values *values, enum option_id id)
{
	return values->value[id];
}

static inline bool option_given(const struct option_values *values, enum option_id id)
{
	return values->given[id];
}

#endif
