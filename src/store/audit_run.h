/*
 * One run of an audit over an open log: the key registry, the workers, the tree above their blocks,
 * the rows of the indexes, the report. For audit.c, which decides in which process it runs and how
 * often.
 */
#ifndef PROVENV_STORE_AUDIT_RUN_H
#define PROVENV_STORE_AUDIT_RUN_H

#include <stdatomic.h>

#include "store/audit.h"

enum {
	AUDIT_THREADS_MAX = 16,
};

enum audit_phase {
	AUDIT_OPENING,
	AUDIT_REGISTRY,
	AUDIT_EVENTS,
	AUDIT_FINISHING,
};

/* Where a run is. May lie in memory that another process watches. Zeroed by whoever starts a run.
 */
struct audit_progress {
	_Atomic uint64_t done;
	_Atomic uint64_t total;
	_Atomic unsigned phase;
	_Atomic uint64_t reading; /* event in work outside the threads; 0: none */
	_Atomic uint64_t position[AUDIT_THREADS_MAX]; /* event in work in each thread; 0: none */
};

/* How much of the log is audited. Zeroed but for upto: everything. */
struct audit_scope {
	uint64_t upto; /* only the first so many events; UINT64_MAX: all */
	/* Neither whether the last command is complete nor what else the tables hold is asked. */
	bool events_only;
	/*
	 * Not 0: read events from the block of this one up to @upto, in order, by one thread. What
	 * the report then says is of no use; what counts is whether the process survives.
	 */
	uint64_t probe;
};

#define AUDIT_SCOPE_ALL { .upto = UINT64_MAX }

/*
 * Carry out one run. Calls options->progress about every 100 ms, and at the end.
 *
 * OK      the audit was carried out; @ret says what it found. A log that is too damaged to be
 * looked at is among that. others  it could not be carried out
 */
enum status audit_run(struct evlog *log, const struct audit_options *options,
		      struct audit_scope scope, struct audit_progress *progress,
		      struct audit_report *ret, struct error *err);

/* The report of a log that is damaged as a whole, so that no event of it could be looked at. */
void audit_report_broken(struct audit_report *ret, const char *message);

#endif
