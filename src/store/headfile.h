/*
 * The last acknowledged (size, root), outside LMDB: STORE/head, and the user's checkpoint file.
 *
 * Two 512-byte slots, written in turn; each: "PVHEAD01" ‖ log_id[16] ‖ u64be counter ‖ u64be size ‖
 * root[32] ‖ u64be generation ‖ SHA-256 of all before ‖ zeros. The valid slot with the greater
 * counter counts, so a torn write costs one step, never the file. Moved forward under a lock and
 * never backward: two writers may finish in either order. No sync of its own; it is evidence, not
 * data.
 */
#ifndef PROVENV_STORE_HEADFILE_H
#define PROVENV_STORE_HEADFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"

enum { HEADFILE_SLOT_BYTES = 512 };

struct head_record {
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t size;
	uint8_t root[HASH_BYTES];
	uint64_t generation; /* of the log when it had this size */
};

/*
 * NOT_FOUND  no file, or one that was made but never written (empty, or zeros)
 * CORRUPT    no valid slot
 * IO         unreadable, or a link
 */
enum status headfile_read(const char *path, struct head_record *ret, struct error *err);

/*
 * Move forward to @record, creating the file (0600) if need be. OK and unchanged when the file
 * holds the same, or a greater size of the same log. @force also moves backward, and over whatever
 * is refused without it: only for an accepted loss.
 *
 * CONFLICT   the file is of another log
 * CORRUPT    no valid slot, another root for the same size, or a counter at its end: what it is
 *            evidence of must be looked at before it is overwritten
 * NOT_FOUND  there is no such directory
 * LOCKED     another process kept the lock for two seconds
 */
enum status headfile_advance(const char *path, const struct head_record *record, bool force,
			     struct error *err);

#endif
