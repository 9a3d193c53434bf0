/*
 * Help texts, all derived from the tables of commands and options.
 */
#ifndef PROVENV_CMDS_HELP_H
#define PROVENV_CMDS_HELP_H

#include "cmds/cmd.h"

/*
 * Append the help that @words ask for: the overview for none, all verbs of a group, or one command.
 * Words behind the name of the command are ignored.
 * USAGE  no such command
 */
enum status help_append(struct buf *out, const struct command *const *families,
			const char *const *words, size_t count, struct error *err);

/* "provenv 1.2.3\n" */
void help_append_version(struct buf *out);

/* Append @text in lines of at most 79 columns, each begun with @indent blanks, and a newline. */
void help_append_wrapped(struct buf *out, const char *text, unsigned indent);

#endif
