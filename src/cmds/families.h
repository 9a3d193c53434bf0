/*
 * The command families: one array for each file of commands, ended by a row whose group is NULL.
 * table.c lists them in the order in which help shows them.
 */
#ifndef PROVENV_CMDS_FAMILIES_H
#define PROVENV_CMDS_FAMILIES_H

#include "cmds/cmd.h"

extern const struct command commands_init[];
extern const struct command commands_store[];
extern const struct command commands_env[];
extern const struct command commands_profile[];
extern const struct command commands_catalogue[];
extern const struct command commands_var[];
extern const struct command commands_db[];
extern const struct command commands_history[];
extern const struct command commands_rollback[];
extern const struct command commands_key[];
extern const struct command commands_help[];

#endif
