/*
 * Work in a child process: a damaged page can kill whoever reads it, and the tool must live on to
 * tell what it found until then. What the child is and is not: base/child.h.
 */
#ifndef PROVENV_TOOLS_REPLAY_CHILD_H
#define PROVENV_TOOLS_REPLAY_CHILD_H

#include "base/child.h" /* IWYU pragma: export */
#include "base/error.h"

/*
 * Run @work in a child and bring back its status and error. Of what it does to memory only that
 * from child_share() is seen here; that it is seen also when the child died on the way.
 *
 * CORRUPT      it died of a damaged page
 * INTERRUPTED  somebody asked it to end
 * IO           it was killed, or could not be started
 */
enum status child_run(child_work work, void *context, struct error *err);

#endif
