/*
 * One thing that a writer does, as plain data: enough to do it, to do it again, and for the model
 * to know what must come of it.
 */
#ifndef PROVENV_TESTS_SIM_OPERATION_H
#define PROVENV_TESTS_SIM_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SIM_NAME = 24,
	SIM_KEYS = 3,
};

enum operation_kind {
	OP_SET,
	OP_UNSET,
	OP_ENVIRONMENT_CREATE,
	OP_ENVIRONMENT_EDIT,
	OP_ENVIRONMENT_PROTECT,
	OP_ENVIRONMENT_REMOVE,
	OP_ENVIRONMENT_SWITCH,
	OP_ENVIRONMENT_LOCK,
	OP_ENVIRONMENT_UNLOCK,
	OP_ENVIRONMENT_CLONE,
	OP_PROFILE_CREATE,
	OP_PROFILE_EDIT,
	OP_PROFILE_REMOVE,
	OP_PROFILE_SWITCH,
	OP_CATEGORY_SET,
	OP_CATEGORY_REMOVE,
	OP_SPECIFICATION_SET,
	OP_SPECIFICATION_REMOVE,
	OP_ROLLBACK,
	OP_RESTORE,
	OP_REVERT,
	/* What no command does, though an event can: planned as it stands, rules unasked. */
	OP_BASE,   /* profile.changed with a base */
	OP_ATTACH, /* database.attached */
	OP_DETACH, /* database.detached */
	OP_BROKEN, /* category.defined, then environment.removed of one that never was */
	OP_WRITES, /* so many kinds write; those below only look */
	OP_GET = OP_WRITES,
	OP_LIST,
	OP_STALE_APPEND, /* an append to a log believed to be shorter */
	OP_COUNT,
};

/* What --if-head says. */
enum head_claim {
	HEAD_UNSAID,
	HEAD_RIGHT,
	HEAD_WRONG,
};

struct operation {
	enum operation_kind kind;
	char environment[SIM_NAME]; /* -e; empty: the active one */
	char profile[SIM_NAME];     /* -p */
	char name[SIM_NAME];        /* what it is about */
	char other[SIM_NAME];       /* new name, source, category, base */
	char title[SIM_NAME];
	char keys[SIM_KEYS][SIM_NAME];
	char values[SIM_KEYS][SIM_NAME];
	size_t count;
	uint64_t number; /* lock: for how long, 0 without end; specification: whether an int */
	uint64_t target; /* event of the past; 0: now */
	bool flag;       /* protected, planned, required; rollback: --force */
	bool secret;
	bool reason;  /* -m is given */
	bool confirm; /* --confirm of every environment is given */
	bool accept_clock;
	enum head_claim head;
	uint64_t now_ms; /* the writer's clock */
	char command_id[33];
};

/* Does it work on a profile, by -e and -p or on the active one? */
static inline bool operation_chooses(const struct operation *op)
{
	switch (op->kind) {
	case OP_SET:
	case OP_UNSET:
	case OP_PROFILE_CREATE:
	case OP_PROFILE_EDIT:
	case OP_PROFILE_REMOVE:
	case OP_PROFILE_SWITCH:
	case OP_RESTORE:
	case OP_GET:
	case OP_LIST:
		return true;
	case OP_ENVIRONMENT_CREATE:
	case OP_ENVIRONMENT_EDIT:
	case OP_ENVIRONMENT_PROTECT:
	case OP_ENVIRONMENT_REMOVE:
	case OP_ENVIRONMENT_SWITCH:
	case OP_ENVIRONMENT_LOCK:
	case OP_ENVIRONMENT_UNLOCK:
	case OP_ENVIRONMENT_CLONE:
	case OP_CATEGORY_SET:
	case OP_CATEGORY_REMOVE:
	case OP_SPECIFICATION_SET:
	case OP_SPECIFICATION_REMOVE:
	case OP_ROLLBACK:
	case OP_REVERT:
	case OP_BASE:
	case OP_ATTACH:
	case OP_DETACH:
	case OP_BROKEN:
	case OP_STALE_APPEND:
	case OP_COUNT:
	default:
		return false;
	}
}

#endif
