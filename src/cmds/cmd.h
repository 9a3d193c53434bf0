/*
 * Commands: the row of the command table, and what a running command holds.
 */
#ifndef PROVENV_CMDS_CMD_H
#define PROVENV_CMDS_CMD_H

#include "base/buf.h"
#include "cmds/options.h"
#include "ops/session.h"

struct invocation;

typedef enum status (*command_run)(struct invocation *inv, struct error *err);

enum command_flags {
	COMMAND_READS = 1 << 0,  /* --at makes sense */
	COMMAND_WRITES = 1 << 1, /* -n, -m, --confirm, --if-head, --command-id, --as, … make sense */
	COMMAND_PROFILE = 1 << 2, /* -e and -p make sense */
	COMMAND_ENVIRONMENT = 1 << 3, /* -e makes sense */
	COMMAND_LINES = 1 << 4,  /* --jsonl makes sense */
};

/* One command. Static data; strings are what help and docs print. */
struct command {
	const char *group; /* "env", or the command itself: "set" */
	const char *verb;  /* "switch", or NULL */
	const char *operands; /* "KEY [VALUE]" for usage, "" for none */
	unsigned operands_min;
	unsigned operands_max; /* UINT_MAX: any number */
	unsigned flags;
	const enum option_id *options; /* beside the ones the flags imply; ended by OPTION_END */
	const char *summary; /* one line, no full stop */
	const char *details; /* further paragraphs for help, or NULL */
	const char *example; /* "provenv set A=1", or NULL */
	command_run run;
};

/* A family of commands, each ending with a row whose group is NULL. */
extern const struct command *const command_families[]; /* ends with NULL */

/* What a running command is given and fills. */
struct invocation {
	const struct command *command;
	const struct option_values *options;
	struct session_options session; /* made from the global options */
	const char *const *operands;
	size_t operand_count;
	bool json;      /* --json or --jsonl */
	bool jsonl;
	bool quiet;     /* -q: no chatter on stderr */
	bool verbose;
	bool interactive; /* a person can be asked: terminals, and no --no-input */
	struct buf out; /* stdout, written after the command returned */
	struct buf notes; /* stderr chatter: "development/default: set A (event 12)" */
	bool verdict;   /* write `out` although the status is not OK */
};

/* Find by words; NULL when there is none. @verb may be NULL. */
const struct command *command_find(const char *group, const char *verb);
/* Does any command have this first word? Then its verbs are wanted. */
bool command_is_group(const char *group);

/* Parse the command line, run it, print, and return the exit code. */
int command_main(int argc, char **argv);

#endif
