/*
 * Work in a child process: bytes that are read through a map, from a damaged file, can kill whoever
 * reads them, and the caller must live on to say so.
 *
 * The child dies with its parent and leaves no core file, since memory may hold secrets. It takes
 * no handler of the parent's along, which would mistake this process for that one, and says nothing
 * on standard error, where LMDB talks before it aborts. All other descriptors stay open: closing
 * them would set their numbers free for files of the work, while whoever believes to own one goes
 * on writing to it.
 *
 * Must not know what the work is.
 */
#ifndef PROVENV_BASE_CHILD_H
#define PROVENV_BASE_CHILD_H

#include <stddef.h>

#include "base/error.h"

/* Zeroed memory that a child shares with its parent. Given back with child_unshare(). NO_MEMORY. */
enum status child_share(size_t size, void **ret, struct error *err);
/* Accepts NULL. */
void child_unshare(void *shared, size_t size);

/*
 * Runs in the child. Of what it does to memory only that from child_share() is seen by the parent,
 * also when the child dies on the way. Its status and error come back by themselves.
 */
typedef enum status (*child_work)(void *context, struct error *err);

struct child_job {
	const char *name; /* of the work, for the words about its end: "the audit" */
	child_work work;
	/* Called in the parent every tenth of a second while the child works, and once after. May
	 * be NULL. */
	void (*watch)(void *context);
	void *context; /* of both */
};

/*
 * Carry @job out and bring back its status and error.
 *
 * CORRUPT      also when it died as of damage, by SIGBUS, SIGSEGV, SIGABRT, SIGFPE or SIGILL
 * INTERRUPTED  also when somebody asked it to end, by SIGINT, SIGTERM, SIGHUP or SIGQUIT
 * IO           also when no child could be started, or it was killed, or left no result
 *
 * @ret_signal  may be NULL; which signal of damage it died of, 0 for none. Set whatever comes.
 */
enum status child_job_run(const struct child_job *job, int *ret_signal, struct error *err);

#endif
