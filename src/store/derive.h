/*
 * What follows from the events of a log: the rows that its derived tables must hold.
 *
 * A fold over the events in order, in memory that does not grow with them. It reads leaves only and
 * believes no derived table, so that these can be compared with it, or made anew from it. What is
 * checked is what it takes to know that the events are the ones that were signed: encoding, number,
 * link, command, signature and signer. Times and limits are audit's business.
 */
#ifndef PROVENV_STORE_DERIVE_H
#define PROVENV_STORE_DERIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"

struct derive {
	bool signatures; /* verify them; off for events that were verified just before */
	struct event_decoder *decoder;
	struct registry registry;
	struct merkle_frontier frontier; /* of the events taken so far: its size is their number */
	uint64_t commands;               /* begun */
	uint64_t registry_events;
	uint32_t part; /* of the last event */
	uint32_t parts;
	uint8_t command_id[COMMAND_ID_BYTES];
	uint8_t leaf_hash[HASH_BYTES];
	uint8_t row[MERKLE_ROW_BYTES_MAX];
};

/* What follows from one event; borrows from the fold and the snapshot until the next one. */
struct derived {
	struct evlog_entry entry;
	struct slice row;
};

/* NO_MEMORY */
enum status derive_init(struct derive *derive, bool signatures, struct error *err);
/* Accepts a zeroed one. */
void derive_release(struct derive *derive);

/*
 * Take the next event of @snapshot, of which there must be one.
 * CORRUPT  it is damaged or missing: the text names it
 * NEWER    of a later provenv: what follows from it cannot be told
 */
enum status derive_next(struct derive *derive, struct evlog_snapshot *snapshot, struct derived *ret,
			struct error *err);

/* All events were taken. CORRUPT when the last command is not complete. */
enum status derive_end(const struct derive *derive, struct error *err);

#endif
