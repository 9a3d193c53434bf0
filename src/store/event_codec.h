/*
 * Events as bytes: strict MessagePack (FORMAT.md "Event").
 *
 * One value has one encoding: shortest forms, fields in schema order, no floats, no extensions, no
 * nil. The decoder bounds every length against the bytes present before msgpack-c sees them
 * (msgpack-c 4.0.0 allocates what a header claims), then decodes, then encodes again and demands
 * identical bytes.
 *
 * It never re-encodes what is stored: the caller signs, hashes and keeps exactly these bytes.
 */
#ifndef PROVENV_STORE_EVENT_CODEC_H
#define PROVENV_STORE_EVENT_CODEC_H

#include "base/buf.h"
#include "store/event.h"

/*
 * Append the encoding of @event to @ret.
 *
 * USAGE      a field violates its kind or limit, or is missing, or not allowed by the type; the
 * text names the field. Also: over EVENT_BYTES_MAX. NO_MEMORY
 */
enum status event_encode(const struct event *event, struct buf *ret, struct error *err);

/* Memory of a decoded event. Zero-initialise; reuse for many events in turn. */
struct event_decoder;

enum status event_decoder_new(struct event_decoder **ret, struct error *err);
void event_decoder_free(struct event_decoder *decoder);

struct decoded_event {
	struct event event;
	struct slice type_name;     /* as written, also for an unknown type */
	struct slice payload_bytes; /* the payload map as stored */
};

/*
 * Decode @bytes (an event without its signature).
 *
 * @ret  borrows from @bytes and from @decoder: valid until either is changed or freed, or the
 * decoder decodes again CORRUPT  not the one valid encoding of an event: malformed, non-canonical,
 * a field missing, misordered or out of its kind NEWER    well-formed, but of an unknown type, with
 * a trailing field, or of a later version; @ret then holds the envelope, type_name and
 * payload_bytes, with payload.type EVENT_UNKNOWN (nothing at all for a later version)
 */
enum status event_decode(struct event_decoder *decoder, struct slice bytes,
			 struct decoded_event *ret, struct error *err);

/* The encoding of a payload map alone: two payloads are the same when these bytes are. */
enum status payload_encode(const struct payload *payload, struct buf *ret, struct error *err);

/* Decode a payload map as stored by a projection. Borrowing as event_decode(). CORRUPT, NEWER. */
enum status payload_decode(struct event_decoder *decoder, enum event_type type, struct slice bytes,
			   struct payload *ret, struct error *err);

/* A language map alone, as payload fields encode it; an absent map is an empty byte string. */
enum status langmap_encode(const struct langmap *map, struct buf *ret, struct error *err);
enum status langmap_decode(struct event_decoder *decoder, struct slice bytes, struct langmap *ret,
			   struct error *err);

/* Cut a leaf into event bytes and signature. False when it is too short or too long. */
bool leaf_split(struct slice leaf, struct slice *ret_event, const uint8_t **ret_signature);

#endif
