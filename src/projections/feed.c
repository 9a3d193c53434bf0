/*
 * Reading ahead; see feed.h.
 *
 * Events go from reader to caller in batches, so that handing over costs little for each. The
 * batches form a ring: the reader fills the one after the last full one, the caller holds the first
 * full one. Without a thread there is one batch, and the caller fills it.
 */
#include "projections/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"

#include "base/banned.h"

enum {
	BATCHES = 4,
	BATCH_EVENTS = 64,
	BATCH_BYTES = 128 * 1024, /* of leaves; bounds memory when events are large */
};

struct item {
	struct event_decoder *decoder;
	struct fed_event event;
};

struct batch {
	struct item items[BATCH_EVENTS];
	size_t count;
	enum status status; /* of the event after these */
	struct error err;
};

struct feed {
	/* The reader's. */
	struct evlog_snapshot *snapshot;
	uint64_t seq; /* the last event read */
	uint64_t until;
	uint8_t leaf_hash[HASH_BYTES];

	/* The caller's. */
	struct batch *held; /* NULL: none yet */
	size_t next;        /* in it */

	/* Of both, under the lock; but for `ring`, whose batches change hands with `full`. */
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned first; /* full batch */
	unsigned full;  /* how many are, the held one too */
	bool stop;
	struct batch *ring;
};

static enum status read_event(struct feed *feed, struct item *item, size_t *bytes_read,
			      struct error *err)
{
	uint64_t seq = feed->seq + 1;
	uint8_t stored[HASH_BYTES];
	const uint8_t *signature;
	struct slice leaf, bytes;
	enum status status = evlog_leaf(feed->snapshot, seq, &leaf, err);

	if (!status)
		status = evlog_leaf_hash(feed->snapshot, seq, stored, err);
	if (!status)
		status = event_decoder_new(&item->decoder, err);
	if (status)
		return status;
	merkle_leaf_hash(leaf, item->event.leaf_hash);
	if (memcmp(stored, item->event.leaf_hash, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its bytes do not match the tree", seq);
	if (!leaf_split(leaf, &bytes, &signature))
		return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": too short", seq);
	status = event_decode(item->decoder, bytes, &item->event.decoded, err);
	if (status)
		return error_prefix(err, status, "event %" PRIu64, seq);
	if (item->event.decoded.event.seq != seq ||
	    memcmp(item->event.decoded.event.prev, feed->leaf_hash, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": does not follow event %" PRIu64, seq, seq - 1);
	memcpy(feed->leaf_hash, item->event.leaf_hash, HASH_BYTES);
	feed->seq = seq;
	*bytes_read += leaf.len;
	return STATUS_OK;
}

/* Decoders are freed, not kept: each would stay as large as the largest event it ever decoded. */
static void batch_clear(struct batch *batch)
{
	for (size_t i = 0; i < BATCH_EVENTS; i++) {
		event_decoder_free(batch->items[i].decoder);
		batch->items[i].decoder = NULL;
	}
	batch->count = 0;
	batch->status = STATUS_OK;
}

static void batch_fill(struct batch *batch, struct feed *feed)
{
	size_t bytes = 0;

	batch_clear(batch);
	while (!batch->status && batch->count < BATCH_EVENTS && bytes < BATCH_BYTES &&
	       feed->seq < feed->until) {
		batch->status = read_event(feed, &batch->items[batch->count], &bytes, &batch->err);
		if (!batch->status)
			batch->count++;
	}
}

/* --- the thread ------------------------------------------------------------------------------- */

static void *read_ahead(void *context)
{
	struct feed *feed = context;
	struct batch *batch;
	bool more = true;

	(void)pthread_mutex_lock(&feed->lock);
	while (more) {
		while (feed->full == BATCHES && !feed->stop)
			(void)pthread_cond_wait(&feed->changed, &feed->lock);
		if (feed->stop)
			break;
		batch = &feed->ring[(feed->first + feed->full) % BATCHES];
		(void)pthread_mutex_unlock(&feed->lock);
		batch_fill(batch, feed);
		more = !batch->status && feed->seq < feed->until;
		(void)pthread_mutex_lock(&feed->lock);
		feed->full++;
		(void)pthread_cond_signal(&feed->changed);
	}
	(void)pthread_mutex_unlock(&feed->lock);
	return NULL;
}

/* A thread only makes it quicker: where there is none, the caller reads. */
static void start_thread(struct feed *feed)
{
	sigset_t all, before;

	/* The program's signals are for the threads it knows of. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	feed->threaded = pthread_create(&feed->thread, NULL, read_ahead, feed) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Give the held batch back and wait for the next one. */
static struct batch *take_turn(struct feed *feed)
{
	struct batch *batch;

	(void)pthread_mutex_lock(&feed->lock);
	if (feed->held) {
		feed->first = (feed->first + 1) % BATCHES;
		feed->full--;
		(void)pthread_cond_signal(&feed->changed);
	}
	while (feed->full == 0)
		(void)pthread_cond_wait(&feed->changed, &feed->lock);
	batch = &feed->ring[feed->first];
	(void)pthread_mutex_unlock(&feed->lock);
	return batch;
}

/* Many events, or a few large ones: those of one command are alike. */
static bool pays_a_thread(struct evlog_snapshot *snapshot, uint64_t after, uint64_t count)
{
	struct slice leaf;

	if (count < 2 || count >= FEED_THREAD_EVENTS)
		return count >= FEED_THREAD_EVENTS;
	return evlog_leaf(snapshot, after + 1, &leaf, NULL) == STATUS_OK &&
	       leaf.len * count >= FEED_THREAD_BYTES;
}

/* --- the caller's side ------------------------------------------------------------------------ */

enum status feed_open(struct evlog_snapshot *snapshot, uint64_t after,
		      const uint8_t leaf_hash[HASH_BYTES], uint64_t until, struct feed **ret,
		      struct error *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	bool many;

	assert(after <= until && until <= snapshot->size);
	if (!feed)
		return error_no_memory(err);
	many = pays_a_thread(snapshot, after, until - after);
	feed->ring = calloc(many ? BATCHES : 1, sizeof(*feed->ring));
	if (!feed->ring) {
		free(feed);
		return error_no_memory(err);
	}
	feed->snapshot = snapshot;
	feed->seq = after;
	feed->until = until;
	memcpy(feed->leaf_hash, leaf_hash, HASH_BYTES);
	(void)pthread_mutex_init(&feed->lock, NULL);
	(void)pthread_cond_init(&feed->changed, NULL);
	if (many)
		start_thread(feed);
	*ret = feed;
	return STATUS_OK;
}

enum status feed_next(struct feed *feed, const struct fed_event **ret, struct error *err)
{
	struct batch *batch = feed->held;

	if (!batch || (feed->next == batch->count && !batch->status)) {
		if (feed->threaded)
			batch = take_turn(feed);
		else
			batch_fill(batch = feed->ring, feed);
		feed->held = batch;
		feed->next = 0;
	}
	if (feed->next < batch->count) {
		*ret = &batch->items[feed->next++].event;
		return STATUS_OK;
	}
	assert(batch->status);
	if (err)
		*err = batch->err;
	return batch->status;
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	if (feed->threaded) {
		(void)pthread_mutex_lock(&feed->lock);
		feed->stop = true;
		(void)pthread_cond_signal(&feed->changed);
		(void)pthread_mutex_unlock(&feed->lock);
		(void)pthread_join(feed->thread, NULL);
	}
	for (unsigned i = 0; i < (feed->threaded ? BATCHES : 1); i++)
		batch_clear(&feed->ring[i]);
	free(feed->ring);
	(void)pthread_cond_destroy(&feed->changed);
	(void)pthread_mutex_destroy(&feed->lock);
	free(feed);
}
