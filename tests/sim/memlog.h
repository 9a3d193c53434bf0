/*
 * Stores whose logs lie in memory: evlog_lmdb_open() is replaced at link time by one that finds a
 * log by the path of its directory, so that every writer of the process, each with a store of its
 * own, works on the same log. It does not outlive the process, but it outlives the writers.
 *
 * Each handle can be made to fail, as the disk or the death of the process would make it.
 */
#ifndef PROVENV_TESTS_SIM_MEMLOG_H
#define PROVENV_TESTS_SIM_MEMLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "store/evlog.h"

enum memlog_fault {
	MEMLOG_SOUND,
	MEMLOG_APPEND_REFUSED, /* an append fails, and nothing was written */
	MEMLOG_APPEND_UNKNOWN, /* an append fails, though everything was written */
	MEMLOG_DIES,           /* an append succeeds, and nothing works any more from then on */
	MEMLOG_READ_REFUSED,   /* one read fails */
};

/* What fails next, whoever asks; fired once it did. */
void memlog_arm(enum memlog_fault fault, uint64_t after_reads);
/* Sound again. Did the fault come to pass? */
bool memlog_disarm(void);

/* The log of the store that was opened last, never failing. Close nothing. */
struct evlog *memlog_inner(void);

/* Forget all logs. None may be open. */
void memlog_forget(void);

#endif
