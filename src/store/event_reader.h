/*
 * Reading single events out of a log by number: decoded, checked against the tree, and cached.
 *
 * Every event handed out was hashed and compared with its stored leaf hash, so that a flipped byte
 * in the log is an error here and never a value. Signatures are audit's business.
 */
#ifndef PROVENV_STORE_EVENT_READER_H
#define PROVENV_STORE_EVENT_READER_H

#include "store/event_codec.h"
#include "store/evlog.h"

struct event_reader;

struct read_event {
	struct decoded_event decoded;
	uint8_t leaf_hash[HASH_BYTES];
	bool newer; /* decoded.event.payload.type is EVENT_UNKNOWN */
};

/* @snapshot is borrowed and must outlive the reader, or be replaced before it closes. */
enum status event_reader_new(struct evlog_snapshot *snapshot, struct event_reader **ret,
			     struct error *err);
/* Accepts NULL. */
void event_reader_free(struct event_reader *reader);

/* Read from another snapshot of the same log from now on; what is cached stays valid. */
void event_reader_set_snapshot(struct event_reader *reader, struct evlog_snapshot *snapshot);
struct evlog_snapshot *event_reader_snapshot(struct event_reader *reader);

/*
 * Event @seq. @ret lives until EVENT_READER_SLOTS − 1 other events were read.
 * NOT_FOUND  no such event
 * CORRUPT    the leaf does not match the tree, or is no valid event: "event 12: …"
 * NEWER      of a later version of the event format; an unknown type is OK with `newer` set
 */
enum status event_reader_get(struct event_reader *reader, uint64_t seq,
			     const struct read_event **ret, struct error *err);

enum { EVENT_READER_SLOTS = 16 };

#endif
