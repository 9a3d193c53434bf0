/*
 * The derived tables of the log, `tree`, `commands` and `registry`: compare them with the events,
 * and make them anew where they are not what the events say.
 *
 * The events are never written to, and have the last word: nothing is mended unless all of them are
 * there, linked and signed, and make the tree that head and checkpoint tell of. Else a table might
 * be the last trace of what an event was.
 */
#ifndef PROVENV_STORE_REINDEX_H
#define PROVENV_STORE_REINDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"

struct reindex_report {
	uint64_t events;
	uint8_t root[HASH_BYTES]; /* of the tree that the events make */
	bool tree;                /* these are not, or were not, what the events say */
	bool commands;
	bool registry;
	bool mended;
};

/*
 * Compare the tables of the store at @store_path, which this process must not have open, and with
 * @mend put them right, in one transaction. Each event's signature is verified on the way. All this
 * happens in a child process, which a damaged page may kill. Memory does not grow with the log:
 * LMDB keeps at most 512 MiB of changed pages. The file grows by what a table held, which later
 * writes take up again.
 *
 * @wait_ms  how long to wait for the write lock, which is held while mending
 * CORRUPT   the events are damaged, or lost, or the tables' pages are: nothing was changed
 * NEWER     the log holds events of a later provenv
 * LOCKED    the time is up
 * INTERRUPTED, IO  somebody asked the child to end, or killed it, or it could not be carried out:
 *           nothing was changed, or the transaction's outcome is unknown: look again
 */
enum status reindex_store(const char *store_path, bool mend, uint64_t wait_ms,
			  struct reindex_report *ret, struct error *err);

#endif
