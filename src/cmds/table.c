/*
 * The table of commands: the families in the order in which help and docs show them.
 */
#include <stddef.h>

#include "cmds/cmd.h"
#include "cmds/families.h"

#include "base/banned.h"

const struct command *const command_families[] = {
	commands_init,      commands_store, commands_env,  commands_profile,
	commands_catalogue, commands_var,   commands_db,   commands_history,
	commands_rollback,  commands_key,   commands_help, NULL,
};
