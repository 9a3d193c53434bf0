/*
 * The key registry: which key may sign what, as of an event number. Authority is part of integrity:
 * the signer of event N must be in the registry as of N − 1.
 *
 * Built only from registry events (event_is_registry()), in order. Today that is store.created,
 * which enrols the operator as admin, and store.recovered, which begins a generation.
 */
#ifndef PROVENV_STORE_REGISTRY_H
#define PROVENV_STORE_REGISTRY_H

#include "store/event.h"
#include "store/evlog.h"

struct registry_key {
	uint8_t key_id[KEY_ID_BYTES];
	uint8_t public_key[PUBLIC_KEY_BYTES];
	char name[KEY_NAME_BYTES_MAX + 1];
	bool admin;
	uint64_t from_seq; /* the event that enrolled it; it may sign later ones (and event 1
			      itself) */
};

struct registry_generation {
	uint64_t generation;
	uint64_t from_seq; /* the store.recovered event; 1 for the first generation */
	/* What the accepted loss had cost: the log as it was known before. Zeros in the first. */
	uint64_t expected_size;
	uint8_t expected_root[HASH_BYTES];
};

struct registry {
	struct registry_key *keys;
	size_t key_count;
	struct registry_generation *generations;
	size_t generation_count;
	uint8_t log_id[LOG_ID_BYTES];
	uint8_t log_key[PUBLIC_KEY_BYTES];
};

#define REGISTRY_INIT { .keys = NULL }

/*
 * Take one registry event in; when it is refused, nothing changes. @leaf_hash is of its leaf (event
 * 1 defines the log id).
 *
 * CORRUPT  breaks the registry's rules: a low-order key, a key id enrolled twice, store.created not
 *          first, a generation not greater than the one before it (it need not be the next: a lost
 *          end may have held a recovery of its own)
 * NEWER    of an unknown type
 */
enum status registry_apply(struct registry *registry, const struct event *event,
			   const uint8_t leaf_hash[HASH_BYTES], struct error *err);

/*
 * Read all registry events of the snapshot, comparing each with its leaf hash in the tree.
 * Signatures are audit's business, and so is whether a key is sound: nothing can be proven by a
 * signature of one that is not, since verification refuses it too. An empty log gives an empty
 * registry.
 *
 * CORRUPT, NEWER (an unknown registry event), NO_MEMORY
 */
enum status registry_load(struct evlog_snapshot *snapshot, struct registry *ret, struct error *err);

/* Free; accepts REGISTRY_INIT. */
void registry_release(struct registry *registry);

/* The key that may sign event @seq, or NULL. */
const struct registry_key *registry_signer(const struct registry *registry,
					   const uint8_t key_id[KEY_ID_BYTES], uint64_t seq);

/* By key id, whenever enrolled; NULL when unknown. */
const struct registry_key *registry_find(const struct registry *registry,
					 const uint8_t key_id[KEY_ID_BYTES]);

/* May @key sign an event of @type? */
bool registry_allows(const struct registry_key *key, enum event_type type);

/* The generation in force at event @seq (1 before any recovery). */
uint64_t registry_generation_at(const struct registry *registry, uint64_t seq);

/*
 * Is @generation one of this log's? Then @ret_end says which generation ended it, and by accepting
 * which loss; NULL when it is the one in force.
 */
bool registry_find_generation(const struct registry *registry, uint64_t generation,
			      const struct registry_generation **ret_end);

#endif
