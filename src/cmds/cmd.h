/*
 * Commands: the row of the command table, and what a running command holds.
 */
#ifndef PROVENV_CMDS_CMD_H
#define PROVENV_CMDS_CMD_H

#include "base/buf.h"
#include "base/limits.h"
#include "cmds/options.h"
#include "ops/session.h"

struct invocation;

typedef enum status (*command_run)(struct invocation *inv, struct error *err);

enum command_flags {
	COMMAND_READS = 1 << 0, /* --at makes sense */
	COMMAND_WRITES =
		1 << 1, /* -n, -m, --confirm, --if-head, --command-id, --as, … make sense */
	COMMAND_PROFILE = 1 << 2,     /* -e and -p make sense */
	COMMAND_ENVIRONMENT = 1 << 3, /* -e makes sense */
	COMMAND_LINES = 1 << 4,       /* --jsonl makes sense */
};

/* One command. Static data; strings are what help and docs print. */
struct command {
	const char *group;    /* "env", or the command itself: "set" */
	const char *verb;     /* "switch", or NULL */
	const char *operands; /* "KEY [VALUE]" for usage, "" for none */
	unsigned operands_min;
	unsigned operands_max;         /* UINT_MAX: any number */
	unsigned flags;                /* enum command_flags */
	const enum option_id *options; /* beside the ones the flags imply; ended by OPTION_END */
	const char *summary;           /* one line, no full stop */
	const char *details;           /* further paragraphs for help, or NULL */
	const char *example;           /* "provenv set A=1", or NULL */
	command_run run;
};

/* All families of commands (table.c), ended by NULL; each family ends with a row whose group is
 * NULL. */
extern const struct command *const command_families[];

/* What a running command is given and fills. */
struct invocation {
	const struct command *command;
	const struct option_values *options;
	struct session_options session; /* made from the global options */
	/* The id of a write that was given none, in hex; session.command_id points here. Else "".
	 */
	char made_id[2 * COMMAND_ID_BYTES + 1];
	const char *const *operands;
	size_t operand_count;
	bool json; /* --json or --jsonl */
	bool jsonl;
	bool quiet; /* -q: no chatter on stderr */
	bool verbose;
	bool interactive; /* a person can be asked: terminals, and no --no-input */
	struct buf out; /* stdout, written after the command returned; wiped when it is released */
	struct buf notes;   /* stderr chatter, whole lines, written after success unless quiet */
	bool verdict;       /* write `out` although the status is not OK */
	bool silent;        /* say nothing on stderr about the status: `out` says it all (diff) */
	bool flushed;       /* part of the output is out: the command cannot be run again */
	bool reader_gone;   /* stdout was closed by its reader (`| head`): stop, quietly */
	bool state_damaged; /* a closed session met rows that contradict the log */
	/* What there is to say instead of damage: a closed session read the log without its lock,
	 * and it moved. Else OK. */
	struct error log_moved;
};

/*
 * As session_open() with the options of the command line. Commands use this pair, so that damage of
 * the state is noticed, mended and told. Close @session whatever the outcome.
 */
enum status invocation_open(struct invocation *inv, enum session_need need, struct session *session,
			    struct error *err);
/* Note what there is to say about the state, and close. @session may be zeroed. */
void invocation_close(struct invocation *inv, struct session *session);

/*
 * Write `out` so far to stdout and empty it; for commands with output without bound, now and then.
 * INTERRUPTED  nobody reads any more (reader_gone): give up, nothing is reported
 * IO           the output could not be written
 */
enum status invocation_flush(struct invocation *inv, struct error *err);

/* Wipe and free what it holds. Accepts a zeroed one. */
void invocation_release(struct invocation *inv);

/*
 * Parse the command line, run the command of @families, write stdout and stderr, and return the
 * exit code. @argc and @argv as main() got them. Descriptors and signals are the caller's business.
 */
int command_dispatch(const struct command *const *families, int argc, char **argv);

/* Prepare the process (secrets, descriptors, signals), then dispatch over all commands. */
int command_main(int argc, char **argv);

#endif
