/*
 * What follows from the events of a log; see derive.h.
 */
#include "store/derive.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"
#include "store/signer.h"

#include "base/banned.h"

enum status derive_init(struct derive *derive, bool signatures, struct error *err)
{
	*derive = (struct derive){ .signatures = signatures };
	return event_decoder_new(&derive->decoder, err);
}

void derive_release(struct derive *derive)
{
	event_decoder_free(derive->decoder);
	registry_release(&derive->registry);
	*derive = (struct derive){ .decoder = NULL };
}

static enum status bad(uint64_t seq, const char *text, struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": %s", seq, text);
}

/* Is the event where it belongs, behind the one before it? */
static enum status check_place(const struct derive *derive, const struct event *event,
			       struct error *err)
{
	static const uint8_t no_log[LOG_ID_BYTES];
	uint64_t seq = derive->frontier.size + 1;
	bool goes_on = derive->part < derive->parts;

	if (event->seq != seq)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": it says it is event %" PRIu64, seq,
				 event->seq);
	if (memcmp(event->log_id, seq == 1 ? no_log : derive->registry.log_id, LOG_ID_BYTES) != 0)
		return bad(seq, "it belongs to another log", err);
	if (memcmp(event->prev, derive->leaf_hash, HASH_BYTES) != 0)
		return bad(seq, "prev does not match the event before", err);
	if (!goes_on && event->part == 1)
		return STATUS_OK;
	if (goes_on && event->part == derive->part + 1 && event->parts == derive->parts &&
	    memcmp(event->command_id, derive->command_id, COMMAND_ID_BYTES) == 0)
		return STATUS_OK;
	return bad(seq, "its command does not go on from the event before", err);
}

static enum status check_signature(const struct derive *derive, const struct event *event,
				   struct slice bytes, const uint8_t *signature, struct error *err)
{
	const struct registry_key *key =
		registry_signer(&derive->registry, event->key_id, event->seq);

	if (!key)
		return bad(event->seq, "its key was not enrolled before", err);
	if (!leaf_verify(bytes, signature, key->public_key))
		return bad(event->seq, "the signature does not verify", err);
	if (!registry_allows(key, event->payload.type))
		return bad(event->seq, "its key may not sign it", err);
	return STATUS_OK;
}

/* Check the event of @leaf and take it into the registry, where it belongs there. */
static enum status examine(struct derive *derive, struct slice leaf, const uint8_t hash[HASH_BYTES],
			   struct decoded_event *ret, struct error *err)
{
	uint64_t seq = derive->frontier.size + 1;
	const uint8_t *signature;
	struct slice bytes;
	enum status status;

	if (!leaf_split(leaf, &bytes, &signature))
		return bad(seq, "it is too short or too long for an event", err);
	status = event_decode(derive->decoder, bytes, ret, err);
	if (status)
		return error_prefix(err, status, "event %" PRIu64, seq);
	status = check_place(derive, &ret->event, err);
	if (!status && event_is_registry(ret->event.payload.type))
		status = registry_apply(&derive->registry, &ret->event, hash, err);
	if (!status && derive->signatures)
		status = check_signature(derive, &ret->event, bytes, signature, err);
	return status;
}

enum status derive_next(struct derive *derive, struct evlog_snapshot *snapshot, struct derived *ret,
			struct error *err)
{
	uint64_t seq = derive->frontier.size + 1;
	struct decoded_event decoded;
	uint8_t hash[HASH_BYTES];
	struct slice leaf;
	unsigned levels;
	enum status status = evlog_leaf(snapshot, seq, &leaf, err);

	if (status)
		return status;
	merkle_leaf_hash(leaf, hash);
	status = examine(derive, leaf, hash, &decoded, err);
	if (status)
		return status;
	levels = merkle_frontier_append(&derive->frontier, hash, derive->row);
	memcpy(derive->leaf_hash, hash, HASH_BYTES);
	memcpy(derive->command_id, decoded.event.command_id, COMMAND_ID_BYTES);
	derive->part = decoded.event.part;
	derive->parts = decoded.event.parts;
	*ret = (struct derived){
		.entry = {
			.leaf = leaf,
			.command_id = derive->command_id,
			.starts_command = derive->part == 1,
			.registry = event_is_registry(decoded.event.payload.type),
		},
		.row = slice_of(derive->row, (size_t)levels * HASH_BYTES),
	};
	derive->commands += ret->entry.starts_command;
	derive->registry_events += ret->entry.registry;
	return STATUS_OK;
}

enum status derive_end(const struct derive *derive, struct error *err)
{
	if (derive->part == derive->parts)
		return STATUS_OK;
	return bad(derive->frontier.size, "it is the last one, but its command is not complete",
		   err);
}
