/*
 * A disk that may lose power: what a directory held, what was done to it since (a trace of
 * record.h), and every content that a crash may leave.
 *
 * The model: what was synced before the crash is there. A file's bytes and its size are made
 * durable by fsync or fdatasync of the file, or by a write through O_DSYNC; its name by fsync of
 * the directory. Of everything else any part may be there or not, each write on its own and torn at
 * any sector, whatever came after it (POSIX promises no more; Pillai et al., OSDI 2014). The call
 * under way when power fails is one of these. Bytes that never arrived read as zeros.
 */
#ifndef PROVENV_TESTS_CRASH_DISK_H
#define PROVENV_TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { SECTOR_BYTES = 512 };

/* One call that changed something. */
struct disk_call {
	uint32_t kind; /* enum record_kind */
	size_t node;   /* index in nodes */
	size_t dir;    /* likewise */
	size_t dir2;
	char *name; /* owned by the disk */
	char *name2;
	uint64_t offset;
	struct slice data; /* in the trace */
	/* Calls that have returned when this is durable: the index of what synced it + 1. */
	size_t durable_at;
	uint64_t mark; /* random, for telling sets of calls apart */
};

struct disk_node;

struct disk {
	struct buf trace;
	struct disk_node *nodes;
	size_t node_count;
	struct disk_call *calls;
	size_t call_count;
	size_t root; /* node */
};

/*
 * What a crash left: the calls before @cut have returned, and the one at @cut may have been under
 * way.
 */
struct disk_state {
	size_t cut;
	bool rest;   /* of what was not durable: is all else there, or nothing else? */
	size_t call; /* the one call that is not like the rest; SIZE_MAX: none */
	/* Is of this call there only what lies before (or, if torn_end, behind) torn_at? 0: whole.
	 */
	size_t torn_at;
	bool torn_end;
	/*
	 * Not 0: a mixture drawn by this number instead. Of what was not durable each call is there
	 * or not, and of the writes that are there one in eight is torn at a sector.
	 */
	uint64_t mixture;
};

/* Read the directory @root as it is before the trace begins: all of it counts as durable. */
void disk_open(struct disk *disk, const char *root);
/* Read what was done since. */
void disk_take_trace(struct disk *disk, const char *trace_path);
void disk_release(struct disk *disk);

/* Does the call change something (and is no sync, no word to the user)? */
bool disk_call_changes(const struct disk_call *call);

/* How many programs had said something before the cut, their first word counts, or had ended. */
size_t disk_said(const struct disk *disk, size_t cut);

/*
 * Call @each for every state that a crash may leave, as long as it returns true. The same content
 * comes again only where more calls have returned. @torn_at is a multiple of @tear_bytes.
 */
void disk_each_state(const struct disk *disk, size_t tear_bytes,
		     bool (*each)(void *context, const struct disk_state *state), void *context);

/* How many calls, the one at @cut included, a crash there may have undone. */
size_t disk_open_calls(const struct disk *disk, size_t cut);

/*
 * Make the directory @path, which must not exist, as the crash left it.
 * Returns whether anything that had been done was not there.
 */
bool disk_restore(const struct disk *disk, const struct disk_state *state, const char *path);

/* One line for a person: which call, on what. Owned by the caller. */
char *disk_state_text(const struct disk *disk, const struct disk_state *state);

#endif
