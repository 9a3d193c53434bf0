/*
 * Deep copies of payloads; see payload_clone.h.
 */
#include "store/payload_clone.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/event.h"

#include "base/banned.h"

static bool clone_slice(struct arena *arena, struct slice *slice)
{
	*slice = arena_copy(arena, *slice);
	return slice->data != NULL;
}

static bool clone_langmap(struct arena *arena, struct langmap *map)
{
	struct lang_text *entries = arena_array(arena, map->count, sizeof(*entries));

	if (!entries)
		return false;
	for (size_t i = 0; i < map->count; i++) {
		entries[i] = map->entries[i];
		if (!clone_slice(arena, &entries[i].tag) || !clone_slice(arena, &entries[i].text))
			return false;
	}
	map->entries = entries;
	return true;
}

static bool clone_texts(struct arena *arena, struct texts *texts)
{
	struct slice *entries = arena_array(arena, texts->count, sizeof(*entries));

	if (!entries)
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		entries[i] = texts->entries[i];
		if (!clone_slice(arena, &entries[i]))
			return false;
	}
	texts->entries = entries;
	return true;
}

static bool clone_changes(struct arena *arena, struct changes *changes)
{
	struct change *entries = arena_array(arena, changes->count, sizeof(*entries));

	if (!entries)
		return false;
	for (size_t i = 0; i < changes->count; i++) {
		struct change *change = &entries[i];

		*change = changes->entries[i];
		if (!clone_slice(arena, &change->profile) || !clone_slice(arena, &change->key) ||
		    !clone_slice(arena, &change->value) ||
		    !clone_slice(arena, &change->commitment) ||
		    !clone_slice(arena, &change->sealed))
			return false;
	}
	changes->entries = entries;
	return true;
}

static bool clone_readers(struct arena *arena, struct readers *readers)
{
	struct reader *entries = arena_array(arena, readers->count, sizeof(*entries));

	if (!entries)
		return false;
	for (size_t i = 0; i < readers->count; i++) {
		entries[i] = readers->entries[i];
		if (!clone_slice(arena, &entries[i].key_id) ||
		    !clone_slice(arena, &entries[i].sealed_key))
			return false;
	}
	readers->entries = entries;
	return true;
}

static bool clone_field(struct arena *arena, enum field_kind kind, struct field_value *value)
{
	switch (kind) {
	case KIND_UINT:
	case KIND_BOOL:
		return true;
	case KIND_LANGMAP:
		return clone_langmap(arena, &value->langmap);
	case KIND_TEXTS:
		return clone_texts(arena, &value->texts);
	case KIND_CHANGES:
		return clone_changes(arena, &value->changes);
	case KIND_READERS:
		return clone_readers(arena, &value->readers);
	case KIND_NAME:
	case KIND_KEY:
	case KIND_KEY_NAME:
	case KIND_TEXT:
	case KIND_VALUE:
	case KIND_DECIMAL:
	case KIND_BYTES32:
	default:
		return clone_slice(arena, &value->text);
	}
}

enum status payload_clone(struct arena *arena, const struct payload *payload,
			  const struct payload **ret, struct error *err)
{
	struct payload *copy = arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return error_no_memory(err);
	*copy = *payload;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		enum field_kind kind = event_field_info((enum event_field)i)->kind;

		if (copy->field[i].present && !clone_field(arena, kind, &copy->field[i]))
			return error_no_memory(err);
	}
	*ret = copy;
	return STATUS_OK;
}
