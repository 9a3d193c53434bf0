/*
 * Listing what is lost; see lost.h. A child reads event by event into shared memory; when it dies
 * of one, the next child goes on behind that.
 */
#include "replay/lost.h"

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "replay/child.h"
#include "replay/source.h"
#include "store/event_codec.h"
#include "store/evlog.h"

#include "base/banned.h"

struct listing {
	struct source *source;
	struct lost *lost;
	uint64_t until;
};

static void decoder_cleanup(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

/* Add the event being read, if its bytes are an event of any kind, of a later provenv too. */
static void list_one(struct lost *lost, struct event_decoder *decoder, struct slice leaf)
{
	struct lost_event *event = &lost->events[lost->count];
	struct decoded_event decoded = { .event = { .seq = 0 } };
	const uint8_t *signature;
	struct slice bytes;
	enum status status;
	size_t len;

	if (!leaf_split(leaf, &bytes, &signature))
		return;
	status = event_decode(decoder, bytes, &decoded, NULL);
	if ((status && status != STATUS_NEWER) || !decoded.type_name.len)
		return;
	len = decoded.type_name.len < sizeof(event->type) - 1 ? decoded.type_name.len
							      : sizeof(event->type) - 1;
	event->seq = lost->reading;
	event->time_ms = decoded.event.time_ms;
	memcpy(event->type, decoded.type_name.data, len);
	event->type[len] = '\0';
	lost->count++;
}

/* A snapshot that met a damaged page answers nothing more: see evlog_leaf(). */
static enum status look_anew(struct source *source, struct error *err)
{
	evlog_snapshot_close(source->snapshot);
	source->snapshot = NULL;
	return evlog_snapshot_open(source->evlog, &source->snapshot, err);
}

static enum status list_in_child(void *context, struct error *err)
{
	struct listing *listing = context;
	struct lost *lost = listing->lost;
	AUTO(decoder_cleanup) struct event_decoder *decoder = NULL;
	enum status status = source_open(listing->source, err);

	if (!status)
		status = event_decoder_new(&decoder, err);
	for (; !status && lost->reading <= listing->until; lost->reading++) {
		struct slice leaf;

		if (lost->count == LOST_EVENTS_MAX) {
			lost->cut = true;
			break;
		}
		if (evlog_leaf(listing->source->snapshot, lost->reading, &leaf, NULL) == STATUS_OK)
			list_one(lost, decoder, leaf);
		else
			status = look_anew(listing->source, err);
	}
	source_close(listing->source);
	return status;
}

enum status lost_list(struct source *source, uint64_t from, uint64_t until, struct lost **ret,
		      struct error *err)
{
	struct listing listing = { .source = source, .until = until };
	void *shared = NULL;
	enum status status = child_share(sizeof(struct lost), &shared, err);

	if (status)
		return status;
	listing.lost = shared;
	listing.lost->reading = from + 1;
	for (unsigned deaths = 0; deaths < LOST_DEATHS_MAX; deaths++) {
		status = child_run(list_in_child, &listing, err);
		if (status != STATUS_CORRUPT || listing.lost->reading > until)
			break;
		listing.lost->reading++;
	}
	if (status == STATUS_CORRUPT) {
		listing.lost->cut = true;
		status = STATUS_OK;
	}
	if (status)
		lost_free(listing.lost);
	else
		*ret = listing.lost;
	return status;
}

void lost_free(struct lost *lost)
{
	child_unshare(lost, sizeof(*lost));
}
