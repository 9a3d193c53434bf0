/*
 * Finding commands by the words of a command line, and what follows from a row of the table.
 *
 * `families` is a list as command_families; tests bring their own.
 */
#ifndef PROVENV_CMDS_LOOKUP_H
#define PROVENV_CMDS_LOOKUP_H

#include "cmds/cmd.h"

/* Does the command take the option: always, through its flags, or by its own list? */
bool command_takes(const struct command *command, enum option_id id);

/* Append "get" or "env switch". */
void command_append_name(struct buf *out, const struct command *command);
/* Append "provenv get [options] KEY". */
void command_append_usage(struct buf *out, const struct command *command);

/* Call @visit for every command, in the order of the table. */
void command_each(const struct command *const *families,
		  void (*visit)(void *context, const struct command *command), void *context);

/* What words name. */
struct command_match {
	const struct command *command; /* NULL: `group` alone, whose verbs are wanted */
	const char *group;
	size_t words; /* how many of the words are its name */
};

/*
 * Find the command that @words (@count ≥ 1) begin with.
 * USAGE  no such command, or no such verb of the group; the hint has the nearest
 */
enum status command_resolve(const struct command *const *families, const char *const *words,
			    size_t count, struct command_match *ret, struct error *err);

/* USAGE: the group alone is no command; names its verbs. */
enum status command_need_verb(const struct command *const *families, const char *group,
			      struct error *err);

#endif
