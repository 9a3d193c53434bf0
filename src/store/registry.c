/*
 * The key registry: a fold over the registry events of a log.
 *
 * Invariants: key ids are unique; keys and generations ascend by the event that brought them; an
 * event that is refused leaves the registry as it was. It trusts nobody's signature and checks
 * none: audit verifies that each event was signed by a key this registry names.
 */
#include "store/registry.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/signer.h"

#include "base/banned.h"

/* --- lookups ---------------------------------------------------------------------------------- */

const struct registry_key *registry_find(const struct registry *registry,
					 const uint8_t key_id[KEY_ID_BYTES])
{
	for (size_t i = 0; i < registry->key_count; i++) {
		if (memcmp(registry->keys[i].key_id, key_id, KEY_ID_BYTES) == 0)
			return &registry->keys[i];
	}
	return NULL;
}

const struct registry_key *registry_signer(const struct registry *registry,
					   const uint8_t key_id[KEY_ID_BYTES], uint64_t seq)
{
	const struct registry_key *key = registry_find(registry, key_id);

	/* Nothing could have been enrolled before event 1: it is signed by the key it enrols. */
	if (key && (key->from_seq < seq || (seq == 1 && key->from_seq == 1)))
		return key;
	return NULL;
}

bool registry_allows(const struct registry_key *key, enum event_type type)
{
	/* What a later version's event demands is not known here; then nothing is held against it.
	 */
	if (type == EVENT_UNKNOWN)
		return true;
	return key->admin || event_type_info(type)->authority == AUTHORITY_ANY;
}

uint64_t registry_generation_at(const struct registry *registry, uint64_t seq)
{
	uint64_t generation = 1;

	for (size_t i = 0; i < registry->generation_count; i++) {
		if (registry->generations[i].from_seq <= seq)
			generation = registry->generations[i].generation;
	}
	return generation;
}

bool registry_find_generation(const struct registry *registry, uint64_t generation,
			      const struct registry_generation **ret_end)
{
	for (size_t i = 0; i < registry->generation_count; i++) {
		if (registry->generations[i].generation != generation)
			continue;
		*ret_end =
			i + 1 < registry->generation_count ? &registry->generations[i + 1] : NULL;
		return true;
	}
	return false;
}

/* --- the fold --------------------------------------------------------------------------------- */

/* Room for one more generation; false when memory ran out. */
static bool reserve_generation(struct registry *registry)
{
	struct registry_generation *grown =
		reallocarray(registry->generations, registry->generation_count + 1,
			     sizeof(*registry->generations));

	if (grown)
		registry->generations = grown;
	return grown != NULL;
}

static struct registry_generation *add_generation(struct registry *registry, uint64_t generation,
						  uint64_t from_seq)
{
	struct registry_generation *added = &registry->generations[registry->generation_count++];

	*added = (struct registry_generation){ .generation = generation, .from_seq = from_seq };
	return added;
}

/* Room for one more key; false when memory ran out. */
static bool reserve_key(struct registry *registry)
{
	struct registry_key *grown =
		reallocarray(registry->keys, registry->key_count + 1, sizeof(*registry->keys));

	if (grown)
		registry->keys = grown;
	return grown != NULL;
}

/* How closely the keys in events are looked at. */
enum scrutiny {
	KEYS_AS_THEY_ARE, /* finding out whether a key is sound takes longer than all else here */
	KEYS_MUST_BE_SOUND,
};

static bool is_key(struct slice public_key, enum scrutiny scrutiny)
{
	return public_key.len == PUBLIC_KEY_BYTES &&
	       (scrutiny == KEYS_AS_THEY_ARE || public_key_is_sound(public_key.data));
}

/* A key as an event describes it, if it may be enrolled. */
static enum status make_key(const struct registry *registry, const struct event *event,
			    enum scrutiny scrutiny, struct registry_key *ret, struct error *err)
{
	struct slice name = payload_get_text(&event->payload, FIELD_OPERATOR);
	struct slice public_key = payload_get_text(&event->payload, FIELD_OPERATOR_KEY);
	struct registry_key key = { .admin = true, .from_seq = event->seq };

	if (!is_key(public_key, scrutiny))
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": the operator's key is not a sound Ed25519 key",
				 event->seq);
	if (!text_is_key_name(name))
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": the operator's key has no proper name",
				 event->seq);
	key_id_of(public_key.data, key.key_id);
	if (registry_find(registry, key.key_id))
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": the operator's key id is enrolled already",
				 event->seq);
	memcpy(key.public_key, public_key.data, PUBLIC_KEY_BYTES);
	assert(name.data); /* a name has a letter at least */
	memcpy(key.name, name.data, name.len);
	*ret = key;
	return STATUS_OK;
}

static enum status apply_created(struct registry *registry, const struct event *event,
				 const uint8_t leaf_hash[HASH_BYTES], enum scrutiny scrutiny,
				 struct error *err)
{
	struct slice log_key = payload_get_text(&event->payload, FIELD_LOG_KEY);
	struct registry_key key;
	enum status status = make_key(registry, event, scrutiny, &key, err);

	if (status)
		return status;
	if (event->seq != 1 || registry->key_count > 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": store.created is not the first event",
				 event->seq);
	if (!sodium_is_zero(event->log_id, LOG_ID_BYTES))
		return error_set(err, STATUS_CORRUPT,
				 "event 1: the log id of store.created is not zero");
	if (!is_key(log_key, scrutiny))
		return error_set(err, STATUS_CORRUPT,
				 "event 1: the log's key is not a sound Ed25519 key");
	if (!reserve_key(registry) || !reserve_generation(registry))
		return error_no_memory(err);
	registry->keys[registry->key_count++] = key;
	(void)add_generation(registry, 1, 1);
	memcpy(registry->log_id, leaf_hash, LOG_ID_BYTES);
	memcpy(registry->log_key, log_key.data, PUBLIC_KEY_BYTES);
	return STATUS_OK;
}

/*
 * Generations ascend, but may leave numbers out: a lost end may itself have held a recovery, whose
 * number must not be given to a second history.
 */
static enum status apply_recovered(struct registry *registry, const struct event *event,
				   struct error *err)
{
	uint64_t generation = payload_get_uint(&event->payload, FIELD_GENERATION);
	struct slice root = payload_get_text(&event->payload, FIELD_EXPECTED_ROOT);
	const struct registry_generation *last;
	struct registry_generation *added;

	if (registry->generation_count == 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": store.recovered comes before store.created",
				 event->seq);
	if (memcmp(event->log_id, registry->log_id, LOG_ID_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": store.recovered belongs to another log",
				 event->seq);
	if (root.len != HASH_BYTES)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": store.recovered names no root", event->seq);
	last = &registry->generations[registry->generation_count - 1];
	if (generation <= last->generation || event->seq <= last->from_seq)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": generation %" PRIu64
				 " does not follow generation %" PRIu64 " of event %" PRIu64,
				 event->seq, generation, last->generation, last->from_seq);
	if (!reserve_generation(registry))
		return error_no_memory(err);
	added = add_generation(registry, generation, event->seq);
	added->expected_size = payload_get_uint(&event->payload, FIELD_EXPECTED_SIZE);
	memcpy(added->expected_root, root.data, HASH_BYTES);
	return STATUS_OK;
}

static enum status apply(struct registry *registry, const struct event *event,
			 const uint8_t leaf_hash[HASH_BYTES], enum scrutiny scrutiny,
			 struct error *err)
{
	if (event->payload.type == EVENT_STORE_CREATED)
		return apply_created(registry, event, leaf_hash, scrutiny, err);
	if (event->payload.type == EVENT_STORE_RECOVERED)
		return apply_recovered(registry, event, err);
	if (event->payload.type == EVENT_UNKNOWN)
		return error_set(err, STATUS_NEWER,
				 "event %" PRIu64 " was written by a newer provenv", event->seq);
	return error_set(err, STATUS_CORRUPT,
			 "event %" PRIu64 ": %s is listed as an event of the key registry",
			 event->seq, event_type_info(event->payload.type)->name);
}

enum status registry_apply(struct registry *registry, const struct event *event,
			   const uint8_t leaf_hash[HASH_BYTES], struct error *err)
{
	return apply(registry, event, leaf_hash, KEYS_MUST_BE_SOUND, err);
}

void registry_release(struct registry *registry)
{
	free(registry->keys);
	free(registry->generations);
	*registry = (struct registry)REGISTRY_INIT;
}

/* --- reading a log ---------------------------------------------------------------------------- */

/* The leaf of event @seq, its hash compared with the tree, and its event bytes. */
static enum status read_leaf(struct evlog_snapshot *snapshot, uint64_t seq,
			     uint8_t ret_hash[HASH_BYTES], struct slice *ret_event,
			     struct error *err)
{
	const uint8_t *signature;
	struct slice leaf;
	uint8_t stored[HASH_BYTES];
	enum status status = evlog_leaf(snapshot, seq, &leaf, err);

	if (!status)
		status = evlog_leaf_hash(snapshot, seq, stored, err);
	if (status)
		return status;
	merkle_leaf_hash(leaf, ret_hash);
	if (memcmp(stored, ret_hash, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its bytes do not match the tree", seq);
	if (!leaf_split(leaf, ret_event, &signature))
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": too short or too long for an event", seq);
	return STATUS_OK;
}

static enum status load_event(struct registry *registry, struct evlog_snapshot *snapshot,
			      uint64_t seq, struct event_decoder *decoder, struct error *err)
{
	struct decoded_event decoded;
	struct slice bytes = slice_of(NULL, 0);
	uint8_t hash[HASH_BYTES];
	enum status status = read_leaf(snapshot, seq, hash, &bytes, err);

	if (status)
		return status;
	status = event_decode(decoder, bytes, &decoded, err);
	if (status)
		return error_prefix(err, status, "event %" PRIu64, seq);
	if (decoded.event.seq != seq)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": it says it is event %" PRIu64, seq,
				 decoded.event.seq);
	return apply(registry, &decoded.event, hash, KEYS_AS_THEY_ARE, err);
}

static void free_decoder(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

enum status registry_load(struct evlog_snapshot *snapshot, struct registry *ret, struct error *err)
{
	struct registry registry AUTO(registry_release) = REGISTRY_INIT;
	struct event_decoder *decoder AUTO(free_decoder) = NULL;
	struct error why = ERROR_INIT; /* the end of the index is no failure of ours */
	uint64_t seq = 0;
	enum status status = event_decoder_new(&decoder, err);

	if (status)
		return status;
	for (;;) {
		status = evlog_registry_next(snapshot, seq, &seq, &why);
		if (status == STATUS_NOT_FOUND)
			break;
		if (!status)
			status = load_event(&registry, snapshot, seq, decoder, &why);
		if (status) {
			if (err)
				*err = why;
			return status;
		}
	}
	if (snapshot->size > 0 && registry.key_count == 0)
		return error_set(err, STATUS_CORRUPT,
				 "the log holds events but no store.created is listed");
	*ret = registry;
	registry = (struct registry)REGISTRY_INIT;
	return STATUS_OK;
}
