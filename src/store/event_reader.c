/*
 * A few decoded events, replaced in turn; see event_reader.h.
 *
 * Each slot owns a copy of its leaf, since LMDB memory must not outlive its snapshot. Slots are
 * made when they are first needed: most readers read an event or two.
 */
#include "store/event_reader.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"

#include "base/banned.h"

struct slot {
	uint64_t seq;  /* 0: empty */
	uint64_t used; /* when it was asked for last, counted in questions */
	struct buf leaf;
	struct event_decoder *decoder;
	struct read_event event;
};

struct event_reader {
	struct evlog_snapshot *snapshot;
	uint64_t uses;                          /* questions so far */
	struct slot *slots[EVENT_READER_SLOTS]; /* NULL: never used */
};

enum status event_reader_new(struct evlog_snapshot *snapshot, struct event_reader **ret,
			     struct error *err)
{
	struct event_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return error_no_memory(err);
	reader->snapshot = snapshot;
	*ret = reader;
	return STATUS_OK;
}

void event_reader_free(struct event_reader *reader)
{
	if (!reader)
		return;
	for (size_t i = 0; i < EVENT_READER_SLOTS && reader->slots[i]; i++) {
		buf_release(&reader->slots[i]->leaf);
		event_decoder_free(reader->slots[i]->decoder);
		free(reader->slots[i]);
	}
	free(reader);
}

void event_reader_set_snapshot(struct event_reader *reader, struct evlog_snapshot *snapshot)
{
	reader->snapshot = snapshot;
}

struct evlog_snapshot *event_reader_snapshot(struct event_reader *reader)
{
	return reader->snapshot;
}

static enum status slot_fill(struct event_reader *reader, struct slot *slot, uint64_t seq,
			     struct error *err)
{
	struct slice leaf, bytes;
	const uint8_t *signature;
	uint8_t stored[HASH_BYTES];
	enum status status = evlog_leaf(reader->snapshot, seq, &leaf, err);

	if (status)
		return status;
	status = evlog_leaf_hash(reader->snapshot, seq, stored, err);
	if (status)
		return status;
	merkle_leaf_hash(leaf, slot->event.leaf_hash);
	if (memcmp(stored, slot->event.leaf_hash, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its bytes do not match the tree", seq);
	buf_clear(&slot->leaf);
	buf_append_slice(&slot->leaf, leaf);
	status = buf_status(&slot->leaf, err);
	if (status)
		return status;
	if (!slot->decoder) {
		status = event_decoder_new(&slot->decoder, err);
		if (status)
			return status;
	}
	if (!leaf_split(buf_slice(&slot->leaf), &bytes, &signature))
		return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": too short", seq);
	slot->event.decoded.event.seq = 0;
	status = event_decode(slot->decoder, bytes, &slot->event.decoded, err);
	slot->event.newer = status == STATUS_NEWER;
	/* Of a later version of the format not even the envelope can be read. */
	if (status == STATUS_NEWER && slot->event.decoded.event.seq == seq)
		return STATUS_OK;
	if (status)
		return error_prefix(err, status, "event %" PRIu64, seq);
	return STATUS_OK;
}

/* An empty slot, or the one that nobody asked for longest: what was found lives as what was read.
 */
static struct slot **oldest(struct event_reader *reader)
{
	struct slot **found = &reader->slots[0];

	for (size_t i = 0; i < EVENT_READER_SLOTS; i++) {
		if (!reader->slots[i])
			return &reader->slots[i];
		if (reader->slots[i]->used < (*found)->used)
			found = &reader->slots[i];
	}
	return found;
}

enum status event_reader_get(struct event_reader *reader, uint64_t seq,
			     const struct read_event **ret, struct error *err)
{
	struct slot **place = NULL, *slot;
	enum status status;

	for (size_t i = 0; i < EVENT_READER_SLOTS && reader->slots[i]; i++) {
		if (reader->slots[i]->seq == seq && seq) {
			reader->slots[i]->used = ++reader->uses;
			*ret = &reader->slots[i]->event;
			return STATUS_OK;
		}
	}
	place = oldest(reader);
	if (!*place)
		*place = calloc(1, sizeof(**place));
	slot = *place;
	if (!slot)
		return error_no_memory(err);
	slot->seq = 0;
	slot->used = 0;
	status = slot_fill(reader, slot, seq, err);
	if (status)
		return status;
	slot->seq = seq;
	slot->used = ++reader->uses;
	*ret = &slot->event;
	return STATUS_OK;
}
