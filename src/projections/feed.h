/*
 * The events of a log in order, each checked against the tree and its predecessor, and decoded.
 *
 * When there are many, a thread reads, hashes and decodes ahead while the caller applies: that is
 * half of the work of a rebuild. What the caller sees is the same, failures too: they come at the
 * event that they are about. Must not know what events mean.
 */
#ifndef PROVENV_PROJECTIONS_FEED_H
#define PROVENV_PROJECTIONS_FEED_H

#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "store/event_codec.h"
#include "store/evlog.h"

struct feed;

struct fed_event {
	struct decoded_event decoded;
	uint8_t leaf_hash[HASH_BYTES];
};

/* From how many events, or bytes of events, on a thread reads ahead. */
enum { FEED_THREAD_EVENTS = 128, FEED_THREAD_BYTES = 128 * 1024 };

/*
 * Feed the events after @after, whose leaf hash is @leaf_hash, up to @until (≤ snapshot->size).
 * @snapshot is the feed's alone until feed_close(). Takes no signals.
 */
enum status feed_open(struct evlog_snapshot *snapshot, uint64_t after,
		      const uint8_t leaf_hash[HASH_BYTES], uint64_t until, struct feed **ret,
		      struct error *err);

/*
 * The next event; there must be one. It lives until the next call.
 * CORRUPT  it does not match the tree or its predecessor, or is no valid event
 * NEWER    it is of a later provenv
 */
enum status feed_next(struct feed *feed, const struct fed_event **ret, struct error *err);

/* May be called at any point. Accepts NULL. */
void feed_close(struct feed *feed);

#endif
