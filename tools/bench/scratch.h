/*
 * A scratch directory that is removed whatever happens: the work runs in a child process, and this
 * one waits, passes on what stops it, ends what it left running, and cleans up.
 */
#ifndef PROVENV_BENCH_SCRATCH_H
#define PROVENV_BENCH_SCRATCH_H

#include "base/error.h"

/*
 * Make a directory below @base (NULL: $TMPDIR, else /tmp), run @work in a child with its path and
 * give back the exit code of the child; 128 and the signal when one ended it.
 *
 * In the child HOME, TMPDIR and the XDG directories lie in the scratch directory, and variables
 * that set up git, etcd or provenv are gone, so that nothing of the user's is read or written.
 *
 * USAGE  @base is no directory, or keeps its files in memory: durable writes would cost nothing
 */
enum status scratch_run(const char *base, int (*work)(void *context, const char *dir),
			void *context, int *ret_code, struct error *err);

#endif
