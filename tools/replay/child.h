/*
 * Work in a child process: a damaged page can kill whoever reads it, and the tool must live on to
 * tell what it found until then.
 */
#ifndef PROVENV_TOOLS_REPLAY_CHILD_H
#define PROVENV_TOOLS_REPLAY_CHILD_H

#include <stddef.h>

#include "base/error.h"

/* Zeroed memory that a child shares with its parent. Given back with child_unshare(). NO_MEMORY. */
enum status child_share(size_t size, void **ret, struct error *err);
/* Accepts NULL. */
void child_unshare(void *shared, size_t size);

/*
 * Run @work in a child and bring back its status and error. Of what it does to memory only that
 * from child_share() is seen here; that it is seen also when the child died on the way.
 *
 * CORRUPT      it died of a damaged page
 * INTERRUPTED  somebody ended it
 */
typedef enum status (*child_work)(void *context, struct error *err);
enum status child_run(child_work work, void *context, struct error *err);

#endif
