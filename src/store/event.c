/*
 * Events in memory: the tables made from event_schema.def, and the setters of payloads.
 *
 * Invariants: the tables are constant and hold one row per type and per field; a setter fits the
 * kind of its field, which is our own code's business and hence asserted.
 * Must not encode, judge values (event_check.c) or own memory.
 */
#include "store/event.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#include "base/banned.h"

static const struct event_field_info fields[] = {
#define EVENT_FIELD(id, name, kind, meaning) [FIELD_##id] = { name, meaning, KIND_##kind },
#include "store/event_schema.def"
};

/* A compound literal at file scope has static storage, so that each type carries its own rules. */
#define R(id)           { FIELD_##id, true }
#define O(id)           { FIELD_##id, false }
#define RULES(...)      ((const struct field_rule[]){ __VA_ARGS__ })
#define RULE_COUNT(...) (sizeof(RULES(__VA_ARGS__)) / sizeof(struct field_rule))

static const struct event_type_info types[] = {
#define EVENT_TYPE(id, name, authority, meaning, ...)                              \
	[EVENT_##id] = { name, meaning, AUTHORITY_##authority, RULES(__VA_ARGS__), \
			 RULE_COUNT(__VA_ARGS__) },
#include "store/event_schema.def"
};

/* Looked up once per event decoded, hence with their lengths. */
static const struct slice type_names[] = {
#define EVENT_TYPE(id, name, authority, meaning, ...) \
	[EVENT_##id] = { (const uint8_t *)(name), sizeof(name) - 1 },
#include "store/event_schema.def"
};

static const char *const kind_names[] = {
	[KIND_NAME] = "name",
	[KIND_KEY] = "key",
	[KIND_KEY_NAME] = "key name",
	[KIND_TEXT] = "text",
	[KIND_VALUE] = "value",
	[KIND_DECIMAL] = "decimal",
	[KIND_UINT] = "uint",
	[KIND_BOOL] = "bool",
	[KIND_BYTES32] = "32 bytes",
	[KIND_LANGMAP] = "texts by language",
	[KIND_TEXTS] = "list of texts",
	[KIND_CHANGES] = "list of changes",
	[KIND_READERS] = "list of readers",
};

static_assert(sizeof(fields) / sizeof(fields[0]) == FIELD_COUNT, "one row per field");
static_assert(sizeof(types) / sizeof(types[0]) == EVENT_TYPE_COUNT, "one row per type");

const struct event_type_info *event_type_info(enum event_type type)
{
	assert((unsigned)type < EVENT_TYPE_COUNT);
	return &types[type];
}

const struct event_field_info *event_field_info(enum event_field field)
{
	assert((unsigned)field < FIELD_COUNT);
	return &fields[field];
}

const char *field_kind_name(enum field_kind kind)
{
	assert((size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]));
	return kind_names[kind];
}

enum event_type event_type_find(struct slice name)
{
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		if (slice_equal(name, type_names[i]))
			return (enum event_type)i;
	}
	return EVENT_UNKNOWN;
}

bool event_is_registry(enum event_type type)
{
	return type == EVENT_STORE_CREATED || type == EVENT_STORE_RECOVERED;
}

void payload_init(struct payload *payload, enum event_type type)
{
	memset(payload, 0, sizeof(*payload));
	payload->type = type;
}

/* Mark the field as present; the kinds a setter serves are the bits of @kinds. */
static struct field_value *set(struct payload *payload, enum event_field field, unsigned kinds)
{
	struct field_value *value = &payload->field[field];

	assert(kinds & 1u << event_field_info(field)->kind);
	value->present = true;
	return value;
}

void payload_text(struct payload *payload, enum event_field field, struct slice text)
{
	const unsigned kinds = 1u << KIND_NAME | 1u << KIND_KEY | 1u << KIND_KEY_NAME |
			       1u << KIND_TEXT | 1u << KIND_VALUE | 1u << KIND_DECIMAL |
			       1u << KIND_BYTES32;

	set(payload, field, kinds)->text = text;
}

void payload_str(struct payload *payload, enum event_field field, const char *text)
{
	payload_text(payload, field, slice_str(text));
}

void payload_uint(struct payload *payload, enum event_field field, uint64_t value)
{
	set(payload, field, 1u << KIND_UINT)->uint = value;
}

void payload_bool(struct payload *payload, enum event_field field, bool value)
{
	set(payload, field, 1u << KIND_BOOL)->flag = value;
}

void payload_langmap(struct payload *payload, enum event_field field, struct langmap langmap)
{
	set(payload, field, 1u << KIND_LANGMAP)->langmap = langmap;
}

void payload_texts(struct payload *payload, enum event_field field, struct texts texts)
{
	set(payload, field, 1u << KIND_TEXTS)->texts = texts;
}

void payload_changes(struct payload *payload, enum event_field field, struct changes changes)
{
	set(payload, field, 1u << KIND_CHANGES)->changes = changes;
}

void payload_readers(struct payload *payload, enum event_field field, struct readers readers)
{
	set(payload, field, 1u << KIND_READERS)->readers = readers;
}
