/*
 * Payloads of every event type that changes state, in one line each. Texts and arrays are borrowed.
 */
#ifndef PROVENV_TESTS_UNIT_PROJECTIONS_PAYLOADS_H
#define PROVENV_TESTS_UNIT_PROJECTIONS_PAYLOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "store/event.h"
#include "store/seal.h"

/* Events that hold nothing but a name: environments, categories. */
static inline struct payload named(enum event_type type, const char *name)
{
	struct payload payload;

	payload_init(&payload, type);
	payload_str(&payload, FIELD_NAME, name);
	return payload;
}

static inline struct payload environment_created(const char *name, const char *profile)
{
	struct payload payload = named(EVENT_ENVIRONMENT_CREATED, name);

	payload_str(&payload, FIELD_PROFILE, profile);
	payload_bool(&payload, FIELD_PROTECTED, false);
	return payload;
}

static inline struct payload environment_changed(const char *name, bool is_protected)
{
	struct payload payload = named(EVENT_ENVIRONMENT_CHANGED, name);

	payload_bool(&payload, FIELD_PROTECTED, is_protected);
	return payload;
}

/* @until_ms 0: without end */
static inline struct payload environment_locked(const char *name, uint64_t until_ms)
{
	struct payload payload = named(EVENT_ENVIRONMENT_LOCKED, name);

	if (until_ms)
		payload_uint(&payload, FIELD_UNTIL_MS, until_ms);
	return payload;
}

static inline struct payload environment_keyed(const char *name, uint64_t generation)
{
	static const uint8_t bytes[WRAPPED_KEY_BYTES] = { 7 };
	static const struct reader reader = { { bytes, KEY_ID_BYTES },
					      { bytes, WRAPPED_KEY_BYTES } };
	struct payload payload = named(EVENT_ENVIRONMENT_KEYED, name);

	payload_uint(&payload, FIELD_GENERATION, generation);
	payload_text(&payload, FIELD_PUBLIC_KEY, slice_of(bytes, 32));
	payload_readers(&payload, FIELD_READERS, (struct readers){ &reader, 1 });
	return payload;
}

/* @base NULL: none. For events that have no base too. */
static inline struct payload profile_event(enum event_type type, const char *environment,
					   const char *name, const char *base)
{
	struct payload payload = named(type, name);

	payload_str(&payload, FIELD_ENVIRONMENT, environment);
	if (base)
		payload_str(&payload, FIELD_BASE, base);
	return payload;
}

static inline struct payload category_defined(const char *name, bool planned)
{
	struct payload payload = named(EVENT_CATEGORY_DEFINED, name);

	payload_bool(&payload, FIELD_PLANNED, planned);
	return payload;
}

/* @category NULL: none */
static inline struct payload variable_specified(const char *key, const char *category)
{
	struct payload payload;

	payload_init(&payload, EVENT_VARIABLE_SPECIFIED);
	payload_str(&payload, FIELD_KEY, key);
	payload_str(&payload, FIELD_TYPE, "string");
	if (category)
		payload_str(&payload, FIELD_CATEGORY, category);
	payload_bool(&payload, FIELD_REQUIRED, false);
	payload_bool(&payload, FIELD_SECRET, false);
	return payload;
}

static inline struct payload variable_unspecified(const char *key)
{
	struct payload payload;

	payload_init(&payload, EVENT_VARIABLE_UNSPECIFIED);
	payload_str(&payload, FIELD_KEY, key);
	return payload;
}

/* @changes ascending by profile and key */
static inline struct payload variables_changed(const char *environment,
					       const struct change *changes, size_t count)
{
	struct payload payload;

	payload_init(&payload, EVENT_VARIABLES_CHANGED);
	payload_str(&payload, FIELD_ENVIRONMENT, environment);
	payload_changes(&payload, FIELD_CHANGES, (struct changes){ changes, count });
	return payload;
}

static inline struct payload rolled_back(uint64_t target_seq)
{
	struct payload payload;

	payload_init(&payload, EVENT_STATE_ROLLED_BACK);
	payload_str(&payload, FIELD_SCOPE, "store");
	payload_uint(&payload, FIELD_TARGET_SEQ, target_seq);
	return payload;
}

static inline struct payload database_attached(const char *environment, const char *profile,
					       const char *name, const char *path)
{
	struct payload payload = named(EVENT_DATABASE_ATTACHED, name);

	payload_str(&payload, FIELD_ENVIRONMENT, environment);
	payload_str(&payload, FIELD_PROFILE, profile);
	payload_str(&payload, FIELD_KIND, "sqlite");
	payload_str(&payload, FIELD_PATH, path);
	return payload;
}

static inline struct payload database_detached(const char *environment, const char *profile,
					       const char *name)
{
	struct payload payload = named(EVENT_DATABASE_DETACHED, name);

	payload_str(&payload, FIELD_ENVIRONMENT, environment);
	payload_str(&payload, FIELD_PROFILE, profile);
	return payload;
}

/* An event about a database of a profile. */
static inline struct payload database_event(enum event_type type, const char *environment,
					    const char *profile, const char *name)
{
	struct payload payload = named(type, name);

	payload_str(&payload, FIELD_ENVIRONMENT, environment);
	payload_str(&payload, FIELD_PROFILE, profile);
	return payload;
}

static inline struct payload database_moved(const char *environment, const char *profile,
					    const char *name, const char *path)
{
	struct payload payload = database_attached(environment, profile, name, path);

	payload.type = EVENT_DATABASE_MOVED;
	return payload;
}

static inline struct payload backup_created(const char *environment, const char *profile,
					    const char *name)
{
	static const enum event_field numbers[] = { FIELD_BYTES, FIELD_CHUNKS, FIELD_NEW_CHUNKS,
						    FIELD_STORED_BYTES, FIELD_LOG_SIZE };
	static const uint8_t hash[HASH_BYTES] = { 9 };
	struct payload payload = database_event(EVENT_BACKUP_CREATED, environment, profile, name);

	payload_str(&payload, FIELD_KIND, "sqlite");
	payload_str(&payload, FIELD_PATH, "a.db");
	payload_str(&payload, FIELD_TRIGGER, "manual");
	payload_str(&payload, FIELD_SOURCE_STATE, "ok");
	payload_text(&payload, FIELD_MANIFEST, slice_of(hash, sizeof(hash)));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		payload_uint(&payload, numbers[i], 1);
	payload_text(&payload, FIELD_LOG_ROOT, slice_of(hash, sizeof(hash)));
	payload_bool(&payload, FIELD_SEALED, false);
	return payload;
}

/* Verified ones are found good. */
static inline struct payload backup_event(enum event_type type, uint64_t backup)
{
	struct payload payload;

	payload_init(&payload, type);
	payload_uint(&payload, FIELD_BACKUP, backup);
	if (type == EVENT_BACKUP_VERIFIED)
		payload_str(&payload, FIELD_RESULT, "ok");
	return payload;
}

/* @backup 0: none */
static inline struct payload replacement_started(const char *environment, const char *profile,
						 const char *name, uint64_t backup)
{
	struct payload payload =
		database_event(EVENT_REPLACEMENT_STARTED, environment, profile, name);

	payload_str(&payload, FIELD_OPERATION, "restore");
	payload_str(&payload, FIELD_KIND, "sqlite");
	payload_str(&payload, FIELD_PATH, "a.db");
	if (backup)
		payload_uint(&payload, FIELD_BACKUP, backup);
	payload_bool(&payload, FIELD_FORCED, false);
	return payload;
}

/* The later phases of the one that event @started began for dev/p/main. @safety 0: none */
static inline struct payload replacement_event(enum event_type type, uint64_t started,
					       uint64_t safety)
{
	struct payload payload = database_event(type, "dev", "p", "main");

	payload_uint(&payload, FIELD_REPLACEMENT, started);
	if (safety)
		payload_uint(&payload, FIELD_SAFETY, safety);
	if (type == EVENT_REPLACEMENT_FAILED)
		payload_str(&payload, FIELD_CAUSE, "disk full");
	return payload;
}

static inline struct payload action_refused(const char *environment, const char *profile)
{
	struct payload payload = database_event(EVENT_ACTION_REFUSED, environment, profile, "main");

	payload_str(&payload, FIELD_OPERATION, "restore");
	payload_str(&payload, FIELD_CAUSE, "in use");
	return payload;
}

/* Changes. */

static inline struct change set(const char *profile, const char *key, const char *value)
{
	return (struct change){ .profile = slice_str(profile),
				.key = slice_str(key),
				.op = CHANGE_SET,
				.value = slice_str(value) };
}

static inline struct change set_template(const char *profile, const char *key, const char *value)
{
	struct change change = set(profile, key, value);

	change.expand = true;
	return change;
}

/* @commitment HASH_BYTES; @sealed sealed_bytes(0) */
static inline struct change seal(const char *profile, const char *key, const uint8_t *commitment,
				 const uint8_t *sealed)
{
	return (struct change){ .profile = slice_str(profile),
				.key = slice_str(key),
				.op = CHANGE_SEAL,
				.commitment = slice_of(commitment, HASH_BYTES),
				.sealed = slice_of(sealed, sealed_bytes(0)) };
}

/* A seal that nothing opens; for those who only look at where bytes lie. */
static inline struct change seal_nothing(const char *profile, const char *key)
{
	static const uint8_t nothing[512];

	return seal(profile, key, nothing, nothing);
}

static inline struct change copy(const char *profile, const char *key, uint64_t seq, uint32_t index)
{
	return (struct change){ .profile = slice_str(profile),
				.key = slice_str(key),
				.op = CHANGE_COPY,
				.copy_seq = seq,
				.copy_index = index };
}

static inline struct change unset(const char *profile, const char *key)
{
	return (struct change){ .profile = slice_str(profile),
				.key = slice_str(key),
				.op = CHANGE_UNSET };
}

/* One change alone; it must live as long as the payload. */
static inline struct payload changed(const char *environment, const struct change *change)
{
	return variables_changed(environment, change, 1);
}

#endif
