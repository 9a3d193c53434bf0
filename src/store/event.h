/*
 * An event in memory: the envelope (docs/FORMAT.md section 3) and a payload described by
 * event_schema.def.
 *
 * This module knows what an event is; event_codec turns it into bytes and back. Slices in an event
 * borrow from whoever made it; event_codec says how long they live for a decoded one.
 */
#ifndef PROVENV_STORE_EVENT_H
#define PROVENV_STORE_EVENT_H

#include "base/bytes.h"
#include "base/limits.h"

enum { EVENT_VERSION = 1 };

enum event_type {
#define EVENT_TYPE(id, name, authority, meaning, ...) EVENT_##id,
#include "store/event_schema.def"
	EVENT_TYPE_COUNT,
	EVENT_UNKNOWN = EVENT_TYPE_COUNT, /* written by a newer provenv */
};

enum event_field {
#define EVENT_FIELD(id, name, kind, meaning) FIELD_##id,
#include "store/event_schema.def"
	FIELD_COUNT,
};

/* How a field is encoded and what it may hold. */
enum field_kind {
	KIND_NAME,     /* str, text_is_name() */
	KIND_KEY,      /* str, text_is_key() */
	KIND_KEY_NAME, /* str, text_is_key_name() */
	KIND_TEXT,     /* str, UTF-8 without NUL, at most TEXT_BYTES_MAX */
	KIND_VALUE,    /* str, UTF-8 without NUL, at most VALUE_BYTES_MAX */
	KIND_DECIMAL,  /* str, text_is_decimal() */
	KIND_UINT,     /* uint64 */
	KIND_BOOL,     /* bool */
	KIND_BYTES32,  /* bin of 32 bytes */
	KIND_LANGMAP,  /* map of 1..LANGS_MAX language tag → text, ascending by tag */
	KIND_TEXTS,    /* array of 1..ENUM_VALUES_MAX texts, in the user's order, no duplicates */
	KIND_CHANGES,  /* array of 1..COMMAND_CHANGES_MAX changes, ascending by (profile, key) */
	KIND_READERS,  /* array of 1..READERS_MAX readers, ascending by key id */
};

enum event_authority {
	AUTHORITY_ANY,
	AUTHORITY_ADMIN,
};

struct lang_text {
	struct slice tag;
	struct slice text;
};

struct langmap {
	const struct lang_text *entries;
	size_t count;
};

struct texts {
	const struct slice *entries;
	size_t count;
};

enum change_op {
	CHANGE_SET,   /* the value itself */
	CHANGE_SEAL,  /* a sealed value: commitment and ciphertext */
	CHANGE_COPY,  /* the bytes that event copy_seq holds at change copy_index */
	CHANGE_UNSET, /* no value any more */
};

/*
 * One change of one variable. Encoded as a map with the fields, in this order:
 * profile, key, one of set (str) | seal ([bin32 commitment, bin sealed]) | copy ([uint, uint]) |
 * unset (true), and expand (true) when the value is a template, which an unset one never is.
 */
struct change {
	struct slice profile;
	struct slice key;
	enum change_op op;
	struct slice value;      /* CHANGE_SET */
	struct slice commitment; /* CHANGE_SEAL: HASH_BYTES */
	struct slice sealed;     /* CHANGE_SEAL: see seal.h */
	uint64_t copy_seq;       /* CHANGE_COPY: never points at another copy */
	uint32_t copy_index;
	bool expand;
};

struct changes {
	const struct change *entries;
	size_t count;
};

/* Encoded as [bin8 key_id, bin sealed_key]. */
struct reader {
	struct slice key_id;     /* KEY_ID_BYTES of the reader's signing key */
	struct slice sealed_key; /* the X25519 private key, sealed to the reader: 80 bytes */
};

struct readers {
	const struct reader *entries;
	size_t count;
};

struct field_value {
	bool present;
	union {
		struct slice text; /* NAME KEY KEY_NAME TEXT VALUE DECIMAL, and BYTES32 */
		uint64_t uint;
		bool flag;
		struct langmap langmap;
		struct texts texts;
		struct changes changes;
		struct readers readers;
	};
};

struct payload {
	enum event_type type;
	struct field_value field[FIELD_COUNT];
};

struct event {
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t seq;
	uint8_t prev[HASH_BYTES];
	uint64_t time_ms;
	uint64_t claimed_ms;
	uint8_t key_id[KEY_ID_BYTES];
	uint8_t command_id[COMMAND_ID_BYTES];
	uint32_t part;  /* 1..parts */
	uint32_t parts; /* 1..COMMAND_PARTS_MAX */
	struct payload payload;
	struct slice reason;
};

/* The schema, as data. */
struct field_rule {
	enum event_field field;
	bool required;
};

struct event_type_info {
	const char *name;
	const char *meaning;
	enum event_authority authority;
	const struct field_rule *rules;
	size_t rule_count;
};

struct event_field_info {
	const char *name;
	const char *meaning;
	enum field_kind kind;
};

/* @type below EVENT_TYPE_COUNT. Static storage. */
const struct event_type_info *event_type_info(enum event_type type);
const struct event_field_info *event_field_info(enum event_field field);
const char *field_kind_name(enum field_kind kind);
/* EVENT_UNKNOWN when no such type is known. */
enum event_type event_type_find(struct slice name);

/* Does the store layer itself need the event (keys, generations)? Such events are indexed apart. */
bool event_is_registry(enum event_type type);

/* Set fields of a payload under construction. Slices and arrays are borrowed, not copied. */
void payload_init(struct payload *payload, enum event_type type);
void payload_text(struct payload *payload, enum event_field field, struct slice text);
void payload_str(struct payload *payload, enum event_field field, const char *text);
void payload_uint(struct payload *payload, enum event_field field, uint64_t value);
void payload_bool(struct payload *payload, enum event_field field, bool value);
void payload_langmap(struct payload *payload, enum event_field field, struct langmap langmap);
void payload_texts(struct payload *payload, enum event_field field, struct texts texts);
void payload_changes(struct payload *payload, enum event_field field, struct changes changes);
void payload_readers(struct payload *payload, enum event_field field, struct readers readers);

/* Read a field; an absent text is empty, an absent flag false, an absent number 0. */
static inline struct slice payload_get_text(const struct payload *payload, enum event_field field)
{
	const struct field_value *value = &payload->field[field];

	return value->present ? value->text : slice_of(NULL, 0);
}

static inline bool payload_get_bool(const struct payload *payload, enum event_field field)
{
	return payload->field[field].present && payload->field[field].flag;
}

static inline uint64_t payload_get_uint(const struct payload *payload, enum event_field field)
{
	return payload->field[field].present ? payload->field[field].uint : 0;
}

/* The environment an event is about; empty for events about the store or the catalogue. */
static inline struct slice payload_environment(const struct payload *payload)
{
	bool names_it = payload->type >= EVENT_ENVIRONMENT_CREATED &&
			payload->type <= EVENT_ENVIRONMENT_KEYED;

	return payload_get_text(payload, names_it ? FIELD_NAME : FIELD_ENVIRONMENT);
}

/* The profile an event is about; empty for events about none or several. */
static inline struct slice payload_profile(const struct payload *payload)
{
	bool names_it =
		payload->type >= EVENT_PROFILE_CREATED && payload->type <= EVENT_PROFILE_SWITCHED;

	return payload_get_text(payload, names_it ? FIELD_NAME : FIELD_PROFILE);
}

#endif
