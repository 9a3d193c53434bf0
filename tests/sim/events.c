/*
 * Random events; see events.h. Encodable they all are: that is all that is promised of them.
 */
#include "sim/events.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "replay/fold.h"
#include "replay/ordered_map.h"
#include "sim/run.h"
#include "store/event.h"
#include "store/seal.h"
#include "store/state_model.h"

#include "base/banned.h"

const char *const event_environments[EVENTS_NAMES] = { "dev", "develop", "prod", "t" };
const char *const event_profiles[EVENTS_NAMES] = { "default", "eu", "eu-west", "x" };
const char *const event_keys[EVENTS_NAMES] = { "A", "A_B", "LEVEL", "Z9" };
const char *const event_categories[EVENTS_NAMES] = { "net", "net.tls", "ui", "z" };
const char *const event_databases[EVENTS_NAMES] = { "log", "logs", "main", "o" };

static struct slice pick(struct events *events, const char *const names[EVENTS_NAMES])
{
	/* The first ones more often than the last. */
	uint64_t i = run_random(events->run, EVENTS_NAMES);
	uint64_t j = run_random(events->run, EVENTS_NAMES);

	return slice_str(names[i < j ? i : j]);
}

static void *take(struct events *events, size_t count, size_t size)
{
	void *memory = arena_array(&events->arena, count, size);

	if (!memory)
		abort();
	return memory;
}

static struct slice word(struct events *events, const char *what)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s %u", what, (unsigned)run_random(events->run, 1000));
	return arena_copy(&events->arena, slice_str(text));
}

static struct slice noise(struct events *events, size_t len)
{
	uint8_t *bytes = take(events, len, 1);

	rng_bytes(bytes, len);
	return slice_of(bytes, len);
}

/* --- what an event is about ------------------------------------------------------------------- */

/* Names of one thing: as many as its kind has. */
struct subject {
	struct slice name[3];
	uint64_t number; /* of a backup; of the event that started a replacement */
};

struct choice {
	struct events *events;
	enum state_tag tag;
	uint64_t left; /* entries to pass by; UINT64_MAX: all, to count them */
	uint64_t seen;
	struct subject subject;
};

static enum status choose_visit(void *context, const struct map_entry *entry, struct error *err)
{
	struct choice *choice = context;

	(void)err;
	if (choice->seen++ != choice->left)
		return STATUS_OK;
	for (unsigned i = 0; i < 3; i++)
		choice->subject.name[i] =
			arena_copy(&choice->events->arena, entry_component(entry, i));
	choice->subject.number = choice->tag == TAG_REPLACEMENT
					 ? entry_replacement(entry->value).started
					 : load_u64be(entry->path.data + entry->path.len - 8);
	return STATUS_OK;
}

/* One of the things that stand; false when there is none. */
static bool choose(struct events *events, enum state_tag tag, struct subject *ret)
{
	struct choice choice = { .events = events, .tag = tag, .left = UINT64_MAX };
	const struct ordered_map *map = &events->known->state;
	/* With the NUL: the name of a tag may be the beginning of another one. */
	const char *name = state_tag_name(tag);
	struct slice prefix = slice_of(name, strlen(name) + 1);
	enum status status = map_each(map, prefix, choose_visit, &choice, NULL);

	if (status || choice.seen == 0)
		return false;
	choice.left = run_random(events->run, choice.seen);
	choice.seen = 0;
	status = map_each(map, prefix, choose_visit, &choice, NULL);
	*ret = choice.subject;
	return status == STATUS_OK;
}

/* Mostly something that stands, else anything; @names are of the third name, or of the first. */
static struct subject about(struct events *events, enum state_tag tag,
			    const char *const names[EVENTS_NAMES])
{
	bool nested = tag == TAG_DATABASE || tag == TAG_REPLACEMENT || tag == TAG_VARIABLE;
	struct subject subject;

	if (run_chance(events->run, 80) && choose(events, tag, &subject))
		return subject;
	if (tag != TAG_PROFILE && !nested)
		return (struct subject){ .name = { pick(events, names) } };
	if (!run_chance(events->run, 70) || !choose(events, TAG_PROFILE, &subject))
		subject = (struct subject){ .name = { pick(events, event_environments),
						      pick(events, event_profiles) } };
	if (nested)
		subject.name[2] = pick(events, names);
	return subject;
}

/* --- the parts of payloads -------------------------------------------------------------------- */

static void maybe_texts(struct events *events, struct payload *payload, enum event_field field)
{
	static const char *const tags[] = { "de", "en-GB", "und" };
	struct lang_text *entries = take(events, 3, sizeof(*entries));
	size_t count = 0;

	for (size_t i = 0; i < 3; i++) {
		if (run_chance(events->run, 25))
			entries[count++] =
				(struct lang_text){ slice_str(tags[i]), word(events, "title") };
	}
	if (count)
		payload_langmap(payload, field, (struct langmap){ entries, count });
}

static void remember(struct events *events, uint64_t seq, uint32_t index)
{
	events->holders[events->holder_count++ % EVENTS_HOLDERS] = (struct holder){ seq, index };
}

/* Mostly at a change that was made; at a copy too, at what had no effect, or at nothing at all. */
static void point(struct events *events, uint64_t seq, struct change *change)
{
	size_t known =
		events->holder_count < EVENTS_HOLDERS ? events->holder_count : EVENTS_HOLDERS;
	const struct holder *holder;

	change->op = CHANGE_COPY;
	change->copy_seq = 1 + run_random(events->run, seq + 3);
	change->copy_index = (uint32_t)run_random(events->run, 3);
	if (!known || run_chance(events->run, 15))
		return;
	holder = &events->holders[run_random(events->run, known)];
	change->copy_seq = holder->seq;
	change->copy_index = holder->index;
}

static void make_change(struct events *events, uint64_t seq, uint32_t index, struct change *change)
{
	uint64_t kind = run_random(events->run, 100);

	if (kind < 8) {
		change->op = CHANGE_UNSET;
		return;
	}
	change->expand = run_chance(events->run, 20);
	if (kind < 40) {
		point(events, seq, change);
		/* Copies of copies are wrong, and shall be tried. */
		if (run_chance(events->run, 10))
			remember(events, seq, index);
		return;
	}
	remember(events, seq, index);
	if (kind < 55) {
		change->op = CHANGE_SEAL;
		change->commitment = noise(events, HASH_BYTES);
		change->sealed = noise(events, 24 + 16 + 64);
	} else {
		change->op = CHANGE_SET;
		change->value = run_chance(events->run, 5) ? slice_str("") : word(events, "value");
	}
}

/* Ascending by profile and key, most of them left out. */
static void fill_changes(struct events *events, uint64_t seq, struct payload *payload)
{
	size_t places = (size_t)EVENTS_NAMES * EVENTS_NAMES, count = 0;
	struct change *changes = take(events, places, sizeof(*changes));
	struct subject subject = about(events, TAG_PROFILE, event_profiles);
	size_t sure = run_random(events->run, EVENTS_NAMES);
	bool one_profile = run_chance(events->run, 90);

	for (size_t i = 0; i < places; i++) {
		struct change *change = &changes[count];

		change->profile = slice_str(event_profiles[i / EVENTS_NAMES]);
		if (one_profile && !slice_equal(change->profile, subject.name[1]))
			continue;
		if (i % EVENTS_NAMES != sure && !run_chance(events->run, 15))
			continue;
		change->key = slice_str(event_keys[i % EVENTS_NAMES]);
		make_change(events, seq, (uint32_t)count, change);
		count++;
	}
	payload_text(payload, FIELD_ENVIRONMENT, subject.name[0]);
	payload_changes(payload, FIELD_CHANGES, (struct changes){ changes, count });
	if (run_chance(events->run, 30))
		payload_str(payload, FIELD_SOURCE, "clone");
}

static void fill_specification(struct events *events, struct payload *payload)
{
	static const struct slice allowed[] = { { (const uint8_t *)"on", 2 },
						{ (const uint8_t *)"off", 3 } };

	payload_text(payload, FIELD_KEY, pick(events, event_keys));
	payload_str(payload, FIELD_TYPE, run_chance(events->run, 50) ? "string" : "int");
	if (run_chance(events->run, 75))
		payload_text(payload, FIELD_CATEGORY,
			     about(events, TAG_CATEGORY, event_categories).name[0]);
	payload_bool(payload, FIELD_REQUIRED, run_chance(events->run, 50));
	payload_bool(payload, FIELD_SECRET, run_chance(events->run, 30));
	if (run_chance(events->run, 20))
		payload_texts(payload, FIELD_ENUM, (struct texts){ allowed, 2 });
	if (run_chance(events->run, 20))
		payload_str(payload, FIELD_MIN, "-3");
	if (run_chance(events->run, 20))
		payload_text(payload, FIELD_DEFAULT, word(events, "default"));
	maybe_texts(events, payload, FIELD_TITLE);
}

static void fill_key(struct events *events, struct payload *payload)
{
	struct reader *reader = take(events, 1, sizeof(*reader));

	*reader = (struct reader){ noise(events, KEY_ID_BYTES), noise(events, WRAPPED_KEY_BYTES) };
	payload_uint(payload, FIELD_GENERATION, 1 + run_random(events->run, 3));
	payload_text(payload, FIELD_PUBLIC_KEY, noise(events, PUBLIC_KEY_BYTES));
	payload_readers(payload, FIELD_READERS, (struct readers){ reader, 1 });
}

/* --- payloads --------------------------------------------------------------------------------- */

static void environment_payload(struct events *events, struct payload *payload)
{
	bool lock = payload->type == EVENT_ENVIRONMENT_UNLOCKED;

	if (payload->type == EVENT_ENVIRONMENT_CREATED)
		payload_text(payload, FIELD_PROFILE, pick(events, event_profiles));
	payload_text(payload, FIELD_NAME,
		     payload->type == EVENT_ENVIRONMENT_CREATED
			     ? pick(events, event_environments)
			     : about(events, lock ? TAG_LOCK : TAG_ENVIRONMENT, event_environments)
				       .name[0]);
	if (payload->type == EVENT_ENVIRONMENT_CREATED ||
	    payload->type == EVENT_ENVIRONMENT_CHANGED) {
		payload_bool(payload, FIELD_PROTECTED, run_chance(events->run, 50));
		maybe_texts(events, payload, FIELD_TITLE);
		maybe_texts(events, payload, FIELD_DESCRIPTION);
	}
	if (payload->type == EVENT_ENVIRONMENT_LOCKED && run_chance(events->run, 50))
		payload_uint(payload, FIELD_UNTIL_MS, run_random(events->run, 1000000));
	if (payload->type == EVENT_ENVIRONMENT_KEYED)
		fill_key(events, payload);
}

static void profile_payload(struct events *events, struct payload *payload)
{
	bool fields =
		payload->type == EVENT_PROFILE_CREATED || payload->type == EVENT_PROFILE_CHANGED;
	struct subject subject = about(events, TAG_PROFILE, event_profiles);

	if (payload->type == EVENT_PROFILE_CREATED) {
		subject = about(events, TAG_ENVIRONMENT, event_environments);
		subject.name[1] = pick(events, event_profiles);
	}
	payload_text(payload, FIELD_ENVIRONMENT, subject.name[0]);
	payload_text(payload, FIELD_NAME, subject.name[1]);
	if (fields && run_chance(events->run, 50))
		payload_text(payload, FIELD_BASE, pick(events, event_profiles));
	if (fields) {
		maybe_texts(events, payload, FIELD_TITLE);
		maybe_texts(events, payload, FIELD_DESCRIPTION);
	}
}

/* Mostly a backup that stands, else any event. */
static uint64_t some_backup(struct events *events, uint64_t seq)
{
	struct subject subject;

	if (run_chance(events->run, 80) && choose(events, TAG_BACKUP, &subject))
		return subject.number;
	return run_random(events->run, seq + 2);
}

static void put_place(struct payload *payload, const struct subject *subject)
{
	payload_text(payload, FIELD_ENVIRONMENT, subject->name[0]);
	payload_text(payload, FIELD_PROFILE, subject->name[1]);
	payload_text(payload, FIELD_NAME, subject->name[2]);
}

static void backup_payload(struct events *events, uint64_t seq, struct payload *payload)
{
	static const enum event_field numbers[] = { FIELD_BYTES, FIELD_CHUNKS, FIELD_NEW_CHUNKS,
						    FIELD_STORED_BYTES, FIELD_LOG_SIZE };
	struct subject subject;

	if (payload->type != EVENT_BACKUP_CREATED) {
		payload_uint(payload, FIELD_BACKUP, some_backup(events, seq));
		if (payload->type == EVENT_BACKUP_VERIFIED)
			payload_str(payload, FIELD_RESULT,
				    run_chance(events->run, 50) ? "ok" : "failed");
		return;
	}
	subject = about(events, TAG_DATABASE, event_databases);
	put_place(payload, &subject);
	payload_str(payload, FIELD_KIND, "sqlite");
	payload_text(payload, FIELD_PATH, word(events, "path"));
	payload_str(payload, FIELD_TRIGGER, run_chance(events->run, 50) ? "manual" : "safety");
	payload_str(payload, FIELD_SOURCE_STATE, "ok");
	payload_text(payload, FIELD_MANIFEST, noise(events, HASH_BYTES));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		payload_uint(payload, numbers[i], run_random(events->run, 100000));
	payload_text(payload, FIELD_LOG_ROOT, noise(events, HASH_BYTES));
	payload_bool(payload, FIELD_SEALED, run_chance(events->run, 50));
	if (run_chance(events->run, 30))
		payload_text(payload, FIELD_NOTE, word(events, "note"));
}

static void replacement_payload(struct events *events, uint64_t seq, struct payload *payload)
{
	bool starts = payload->type == EVENT_REPLACEMENT_STARTED;
	struct subject subject =
		about(events, starts ? TAG_DATABASE : TAG_REPLACEMENT, event_databases);

	put_place(payload, &subject);
	if (starts) {
		payload_str(payload, FIELD_OPERATION, "restore");
		payload_str(payload, FIELD_KIND, "sqlite");
		payload_text(payload, FIELD_PATH, word(events, "path"));
		payload_bool(payload, FIELD_FORCED, run_chance(events->run, 50));
		if (run_chance(events->run, 50))
			payload_uint(payload, FIELD_BACKUP, some_backup(events, seq));
		return;
	}
	payload_uint(payload, FIELD_REPLACEMENT,
		     run_chance(events->run, 90) ? subject.number
						 : run_random(events->run, seq + 2));
	if (run_chance(events->run, 50))
		payload_uint(payload, FIELD_SAFETY, some_backup(events, seq));
	if (payload->type == EVENT_REPLACEMENT_FAILED)
		payload_text(payload, FIELD_CAUSE, word(events, "cause"));
}

static void refusal_payload(struct events *events, struct payload *payload)
{
	struct subject subject = about(events, TAG_PROFILE, event_profiles);

	payload_text(payload, FIELD_ENVIRONMENT, subject.name[0]);
	payload_text(payload, FIELD_PROFILE, subject.name[1]);
	if (run_chance(events->run, 50))
		payload_text(payload, FIELD_NAME, pick(events, event_databases));
	payload_str(payload, FIELD_OPERATION, "restore");
	payload_text(payload, FIELD_CAUSE, word(events, "cause"));
}

static void database_payload(struct events *events, struct payload *payload)
{
	struct subject subject = payload->type == EVENT_DATABASE_ATTACHED
					 ? about(events, TAG_PROFILE, event_profiles)
					 : about(events, TAG_DATABASE, event_databases);

	if (payload->type == EVENT_DATABASE_ATTACHED)
		subject.name[2] = pick(events, event_databases);
	put_place(payload, &subject);
	if (payload->type != EVENT_DATABASE_DETACHED) {
		payload_str(payload, FIELD_KIND, run_chance(events->run, 50) ? "sqlite" : "file");
		payload_text(payload, FIELD_PATH, word(events, "path"));
	}
}

static void store_payload(struct events *events, uint64_t seq, struct payload *payload)
{
	if (payload->type == EVENT_STATE_ROLLED_BACK) {
		payload_str(payload, FIELD_SCOPE, "store");
		payload_uint(payload, FIELD_TARGET_SEQ,
			     run_chance(events->run, 15) ? seq + run_random(events->run, 3)
							 : run_random(events->run, seq));
		return;
	}
	payload_uint(payload, FIELD_EXPECTED_SIZE, seq + run_random(events->run, 9));
	payload_text(payload, FIELD_EXPECTED_ROOT, noise(events, HASH_BYTES));
	payload_uint(payload, FIELD_GENERATION, ++events->generation);
}

/* What changes variables comes more often than the rest, what takes everything away less often. */
static enum event_type pick_type(struct events *events)
{
	uint64_t kind = run_random(events->run, 100);
	enum event_type type;

	if (kind < 32)
		return EVENT_VARIABLES_CHANGED;
	if (kind < 34)
		return EVENT_PROFILE_REMOVED;
	if (kind < 36)
		return EVENT_CATEGORY_REMOVED;
	if (kind < 45)
		return EVENT_PROFILE_CREATED;
	if (kind < 50)
		return EVENT_PROFILE_CHANGED;
	if (kind < 54)
		return EVENT_ENVIRONMENT_CREATED;
	if (kind < 58)
		return EVENT_DATABASE_ATTACHED;
	if (kind < 61)
		return EVENT_BACKUP_CREATED;
	if (kind < 64)
		return EVENT_REPLACEMENT_STARTED;
	if (kind < 67)
		return EVENT_REPLACEMENT_STAGED;
	do
		type = (enum event_type)run_random(events->run, EVENT_TYPE_COUNT);
	while (type == EVENT_STORE_CREATED);
	return type;
}

void events_payload(struct events *events, uint64_t seq, struct payload *ret)
{
	enum event_type type = pick_type(events);

	payload_init(ret, type);
	if (type == EVENT_STORE_RECOVERED || type == EVENT_STATE_ROLLED_BACK) {
		store_payload(events, seq, ret);
	} else if (type <= EVENT_ENVIRONMENT_KEYED) {
		environment_payload(events, ret);
	} else if (type <= EVENT_PROFILE_SWITCHED) {
		profile_payload(events, ret);
	} else if (type == EVENT_VARIABLES_CHANGED) {
		fill_changes(events, seq, ret);
	} else if (type == EVENT_VARIABLE_SPECIFIED) {
		fill_specification(events, ret);
	} else if (type == EVENT_VARIABLE_UNSPECIFIED) {
		payload_text(ret, FIELD_KEY, about(events, TAG_SPECIFICATION, event_keys).name[0]);
	} else if (type >= EVENT_DATABASE_ATTACHED && type <= EVENT_DATABASE_MOVED) {
		database_payload(events, ret);
	} else if (type >= EVENT_BACKUP_CREATED && type <= EVENT_BACKUP_REMOVED) {
		backup_payload(events, seq, ret);
	} else if (type >= EVENT_REPLACEMENT_STARTED && type <= EVENT_REPLACEMENT_UNDONE) {
		replacement_payload(events, seq, ret);
	} else if (type == EVENT_ACTION_REFUSED) {
		refusal_payload(events, ret);
	} else {
		payload_text(ret, FIELD_NAME,
			     about(events, TAG_CATEGORY, event_categories).name[0]);
		if (type == EVENT_CATEGORY_DEFINED) {
			payload_bool(ret, FIELD_PLANNED, run_chance(events->run, 50));
			maybe_texts(events, ret, FIELD_TITLE);
		}
	}
}
