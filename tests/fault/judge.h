/*
 * What must hold after a fault: of the command that met it, and of the store that it left.
 */
#ifndef PROVENV_TESTS_FAULT_JUDGE_H
#define PROVENV_TESTS_FAULT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "fault/shared.h"
#include "fault/world.h"

/* What a command does when nothing fails: from the same image. */
struct control {
	struct outcome outcome[2]; /* in words; in JSON */
	uint64_t events;           /* of its store afterwards */
	struct buf log;            /* these, but for what differs from run to run */
	uint64_t vault_files;
	uint64_t count[CALL_COUNT];
};

struct trial {
	const struct command *command;
	enum call call;
	int fault; /* errno, or FAULT_SHORT */
	bool json;
	bool onward; /* not the n-th call alone, but all from there */
	uint64_t nth;
	const char *label; /* what --one= takes to repeat it */
};

/* Run @command twice without the shim and twice with it, armed for nothing, and compare. */
void control_make(struct world *world, const struct command *command, struct control *ret);
void control_release(struct control *control);

/* After the fault fired: check what the command did, then what became of the store. */
void judge(struct world *world, const struct control *control, const struct trial *trial,
	   const struct outcome *outcome);

#endif
