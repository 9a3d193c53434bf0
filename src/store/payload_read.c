/*
 * Reading payloads from MessagePack objects by the table of event_schema.def.
 *
 * Invariants: the objects come from a scanned and re-encoded input, so that their counts are
 * bounded by its bytes; a list is allocated only after its own limit was checked. Structure is
 * judged here, the content of fields by event_check.h, once the payload is complete.
 */
#include "store/payload_read.h"

#include <assert.h>
#include <msgpack/object.h>
#include <msgpack/zone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event.h"
#include "store/event_check.h"

#include "base/banned.h"

/* Fields of a change that stand before its operation, and the one that may follow it. */
static const char profile_name[] = "profile";
static const char key_name[] = "key";
static const char expand_name[] = "expand";

static const char *const op_names[] = {
	[CHANGE_SET] = "set",
	[CHANGE_SEAL] = "seal",
	[CHANGE_COPY] = "copy",
	[CHANGE_UNSET] = "unset",
};

enum {
	OP_COUNT = sizeof(op_names) / sizeof(op_names[0]),
	CHANGE_FIELDS_MIN = 3, /* profile, key, operation */
};

const char *change_op_name(enum change_op op)
{
	assert((unsigned)op < OP_COUNT);
	return op_names[op];
}

void reading_init(struct reading *reading, msgpack_zone *zone)
{
	*reading = (struct reading){ .zone = zone, .fault.field = "payload" };
}

/* Stop as CORRUPT, in the field and entry that the reading is at. */
static bool refuse(struct reading *reading, const char *why)
{
	reading->status = STATUS_CORRUPT;
	reading->fault.why = why;
	return false;
}

bool reading_refuse(struct reading *reading, const char *field, const char *why)
{
	reading->fault.field = field;
	return refuse(reading, why);
}

static bool judged(struct reading *reading, bool good)
{
	if (!good)
		reading->status = STATUS_CORRUPT;
	return good;
}

/* @count elements of @size bytes that live as long as the objects. */
static void *zone_array(struct reading *reading, size_t count, size_t size)
{
	void *array = msgpack_zone_malloc(reading->zone, count * size);

	if (!array)
		reading->status = STATUS_NO_MEMORY;
	return array;
}

static struct slice str_of(const msgpack_object *object)
{
	return slice_of(object->via.str.ptr, object->via.str.size);
}

static bool is_str(const msgpack_object *object, const char *text)
{
	return object->type == MSGPACK_OBJECT_STR && slice_equal_str(str_of(object), text);
}

static bool take_str(struct reading *reading, const msgpack_object *object, struct slice *ret)
{
	if (object->type != MSGPACK_OBJECT_STR)
		return refuse(reading, "is not a str");
	*ret = str_of(object);
	return true;
}

static bool take_bin(struct reading *reading, const msgpack_object *object, struct slice *ret)
{
	if (object->type != MSGPACK_OBJECT_BIN)
		return refuse(reading, "is not a bin");
	*ret = slice_of(object->via.bin.ptr, object->via.bin.size);
	return true;
}

static bool take_uint(struct reading *reading, const msgpack_object *object, uint64_t *ret)
{
	if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return refuse(reading, "is not an unsigned integer");
	*ret = object->via.u64;
	return true;
}

static bool take_bool(struct reading *reading, const msgpack_object *object, bool *ret)
{
	if (object->type != MSGPACK_OBJECT_BOOLEAN)
		return refuse(reading, "is not a bool");
	*ret = object->via.boolean;
	return true;
}

/* An array of exactly two. */
static bool take_pair(struct reading *reading, const msgpack_object *object,
		      const msgpack_object **ret)
{
	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != 2)
		return refuse(reading, "is not an array of two");
	*ret = object->via.array.ptr;
	return true;
}

bool read_uint(struct reading *reading, const char *field, const msgpack_object *object,
	       uint64_t *ret)
{
	reading->fault.field = field;
	return take_uint(reading, object, ret);
}

bool read_str(struct reading *reading, const char *field, const msgpack_object *object,
	      struct slice *ret)
{
	reading->fault.field = field;
	return take_str(reading, object, ret);
}

bool read_bin(struct reading *reading, const char *field, const msgpack_object *object, size_t len,
	      uint8_t *ret)
{
	struct slice bytes;

	reading->fault.field = field;
	if (!take_bin(reading, object, &bytes))
		return false;
	if (bytes.len != len)
		return refuse(reading, "is not of its length");
	memcpy(ret, bytes.data, len);
	return true;
}

/* Is the count of a list within 1..@max? */
static bool count_fits(struct reading *reading, size_t count, size_t max)
{
	if (count == 0)
		return refuse(reading, "is an empty list");
	if (count <= max)
		return true;
	reading->fault.limit = max;
	return refuse(reading, "has too many entries");
}

/* An array of 1..@max, to become as many elements of @size bytes; NULL when it is none. */
static void *start_list(struct reading *reading, const msgpack_object *object, size_t max,
			size_t size)
{
	if (object->type != MSGPACK_OBJECT_ARRAY) {
		(void)refuse(reading, "is not an array");
		return NULL;
	}
	if (!count_fits(reading, object->via.array.size, max))
		return NULL;
	return zone_array(reading, object->via.array.size, size);
}

static bool take_langmap(struct reading *reading, const msgpack_object *object, struct langmap *ret)
{
	const msgpack_object_map *map = &object->via.map;
	struct lang_text *entries;

	if (object->type != MSGPACK_OBJECT_MAP)
		return refuse(reading, "is not a map");
	if (!count_fits(reading, map->size, LANGS_MAX))
		return false;
	entries = zone_array(reading, map->size, sizeof(*entries));
	if (!entries)
		return false;
	for (uint32_t i = 0; i < map->size; i++) {
		reading->fault.entry = i + 1;
		if (!take_str(reading, &map->ptr[i].key, &entries[i].tag) ||
		    !take_str(reading, &map->ptr[i].val, &entries[i].text))
			return false;
	}
	reading->fault.entry = 0;
	*ret = (struct langmap){ .entries = entries, .count = map->size };
	return true;
}

static bool take_texts(struct reading *reading, const msgpack_object *object, struct texts *ret)
{
	const msgpack_object_array *array = &object->via.array;
	struct slice *entries = start_list(reading, object, ENUM_VALUES_MAX, sizeof(*entries));

	if (!entries)
		return false;
	for (uint32_t i = 0; i < array->size; i++) {
		reading->fault.entry = i + 1;
		if (!take_str(reading, &array->ptr[i], &entries[i]))
			return false;
	}
	reading->fault.entry = 0;
	*ret = (struct texts){ .entries = entries, .count = array->size };
	return true;
}

static int compare_slices(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/*
 * Are all keys of the map str and different? Sorted first: a map with an unknown key may have as
 * many as its bytes allow.
 */
static bool keys_unique(struct reading *reading, const msgpack_object_map *map)
{
	struct slice *keys;

	if (map->size == 0)
		return true;
	keys = zone_array(reading, map->size, sizeof(*keys));
	if (!keys)
		return false;
	for (uint32_t i = 0; i < map->size; i++) {
		if (!take_str(reading, &map->ptr[i].key, &keys[i]))
			return false;
	}
	qsort(keys, map->size, sizeof(*keys), compare_slices);
	for (uint32_t i = 1; i < map->size; i++) {
		if (slice_equal(keys[i - 1], keys[i]))
			return refuse(reading, "has a key twice");
	}
	return true;
}

static bool is_change_field(const msgpack_object *key)
{
	for (size_t i = 0; i < OP_COUNT; i++) {
		if (is_str(key, op_names[i]))
			return true;
	}
	return is_str(key, profile_name) || is_str(key, key_name) || is_str(key, expand_name);
}

/* What follows the known fields of a change, from place @from on. */
static bool skip_new_change_fields(struct reading *reading, const msgpack_object_map *map,
				   uint32_t from)
{
	if (from == map->size)
		return true;
	for (uint32_t i = from; i < map->size; i++) {
		if (is_change_field(&map->ptr[i].key))
			return refuse(reading, "has a field out of order or twice");
	}
	reading->newer = true;
	return keys_unique(reading, map);
}

static bool take_sealed(struct reading *reading, const msgpack_object *object, struct change *ret)
{
	const msgpack_object *pair;

	return take_pair(reading, object, &pair) && take_bin(reading, &pair[0], &ret->commitment) &&
	       take_bin(reading, &pair[1], &ret->sealed);
}

static bool take_copy(struct reading *reading, const msgpack_object *object, struct change *ret)
{
	const msgpack_object *pair;
	uint64_t index;

	if (!take_pair(reading, object, &pair) || !take_uint(reading, &pair[0], &ret->copy_seq) ||
	    !take_uint(reading, &pair[1], &index))
		return false;
	if (index > UINT32_MAX)
		return refuse(reading, "has an index that is too great");
	ret->copy_index = (uint32_t)index;
	return true;
}

/* A flag that is written only when it is true. */
static bool take_true(struct reading *reading, const msgpack_object *object)
{
	bool flag;

	if (!take_bool(reading, object, &flag))
		return false;
	return flag || refuse(reading, "has a flag that is false instead of left out");
}

static bool take_op(struct reading *reading, const msgpack_object_kv *field, struct change *ret)
{
	size_t op = 0;

	while (op < OP_COUNT && !is_str(&field->key, op_names[op]))
		op++;
	if (op == OP_COUNT)
		return refuse(reading, "has none of set, seal, copy and unset in its place");
	ret->op = (enum change_op)op;
	switch (ret->op) {
	case CHANGE_SET:
		return take_str(reading, &field->val, &ret->value);
	case CHANGE_SEAL:
		return take_sealed(reading, &field->val, ret);
	case CHANGE_COPY:
		return take_copy(reading, &field->val, ret);
	case CHANGE_UNSET:
		return take_true(reading, &field->val);
	}
	return false;
}

static bool take_change(struct reading *reading, const msgpack_object *object, struct change *ret)
{
	const msgpack_object_map *map = &object->via.map;
	uint32_t known = CHANGE_FIELDS_MIN;

	if (object->type != MSGPACK_OBJECT_MAP || map->size < CHANGE_FIELDS_MIN)
		return refuse(reading, "is not a map with profile, key and an operation");
	if (!is_str(&map->ptr[0].key, profile_name) || !is_str(&map->ptr[1].key, key_name))
		return refuse(reading, "does not begin with profile and key");
	memset(ret, 0, sizeof(*ret));
	if (!take_str(reading, &map->ptr[0].val, &ret->profile) ||
	    !take_str(reading, &map->ptr[1].val, &ret->key) || !take_op(reading, &map->ptr[2], ret))
		return false;
	if (map->size > known && is_str(&map->ptr[known].key, expand_name)) {
		ret->expand = true;
		if (!take_true(reading, &map->ptr[known++].val))
			return false;
	}
	return skip_new_change_fields(reading, map, known);
}

static bool take_changes(struct reading *reading, const msgpack_object *object, struct changes *ret)
{
	const msgpack_object_array *array = &object->via.array;
	struct change *entries = start_list(reading, object, COMMAND_CHANGES_MAX, sizeof(*entries));

	if (!entries)
		return false;
	for (uint32_t i = 0; i < array->size; i++) {
		reading->fault.entry = i + 1;
		if (!take_change(reading, &array->ptr[i], &entries[i]))
			return false;
	}
	reading->fault.entry = 0;
	*ret = (struct changes){ .entries = entries, .count = array->size };
	return true;
}

static bool take_readers(struct reading *reading, const msgpack_object *object, struct readers *ret)
{
	const msgpack_object_array *array = &object->via.array;
	struct reader *entries = start_list(reading, object, READERS_MAX, sizeof(*entries));
	const msgpack_object *pair;

	if (!entries)
		return false;
	for (uint32_t i = 0; i < array->size; i++) {
		reading->fault.entry = i + 1;
		if (!take_pair(reading, &array->ptr[i], &pair) ||
		    !take_bin(reading, &pair[0], &entries[i].key_id) ||
		    !take_bin(reading, &pair[1], &entries[i].sealed_key))
			return false;
	}
	reading->fault.entry = 0;
	*ret = (struct readers){ .entries = entries, .count = array->size };
	return true;
}

static bool take_value(struct reading *reading, const msgpack_object *object, enum field_kind kind,
		       struct field_value *ret)
{
	ret->present = true;
	switch (kind) {
	case KIND_NAME:
	case KIND_KEY:
	case KIND_KEY_NAME:
	case KIND_TEXT:
	case KIND_VALUE:
	case KIND_DECIMAL:
		return take_str(reading, object, &ret->text);
	case KIND_UINT:
		return take_uint(reading, object, &ret->uint);
	case KIND_BOOL:
		return take_bool(reading, object, &ret->flag);
	case KIND_BYTES32:
		return take_bin(reading, object, &ret->text);
	case KIND_LANGMAP:
		return take_langmap(reading, object, &ret->langmap);
	case KIND_TEXTS:
		return take_texts(reading, object, &ret->texts);
	case KIND_CHANGES:
		return take_changes(reading, object, &ret->changes);
	case KIND_READERS:
		return take_readers(reading, object, &ret->readers);
	}
	return false;
}

static bool is_field_of(const struct event_type_info *type, const msgpack_object *key)
{
	for (size_t i = 0; i < type->rule_count; i++) {
		if (is_str(key, event_field_info(type->rules[i].field)->name))
			return true;
	}
	return false;
}

/* Fields from place @from on that the type does not have, after all that it must have. */
static bool skip_new_fields(struct reading *reading, const msgpack_object_map *map, uint32_t from,
			    const struct event_type_info *type)
{
	reading->fault.field = "payload";
	for (uint32_t i = from; i < map->size; i++) {
		if (is_field_of(type, &map->ptr[i].key))
			return refuse(reading, "has a field out of order or twice");
	}
	reading->newer = true;
	return keys_unique(reading, map);
}

/*
 * Go through map and rules side by side. A rule without its field is passed over when optional; at
 * a required one, or behind the last, what stands there is not of the type or not in its place.
 */
static bool read_fields(struct reading *reading, const msgpack_object_map *map,
			const struct event_type_info *type, struct payload *ret)
{
	size_t rule = 0;

	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object_kv *kv = &map->ptr[i];
		const struct event_field_info *info = NULL;

		for (; rule < type->rule_count; rule++) {
			info = event_field_info(type->rules[rule].field);
			if (type->rules[rule].required || is_str(&kv->key, info->name))
				break;
		}
		if (rule == type->rule_count)
			return skip_new_fields(reading, map, i, type);
		reading->fault.field = info->name;
		if (!is_str(&kv->key, info->name))
			return refuse(reading, "is not in its place");
		if (!take_value(reading, &kv->val, info->kind,
				&ret->field[type->rules[rule].field]))
			return false;
		rule++;
	}
	return true;
}

bool read_payload(struct reading *reading, const msgpack_object *object, enum event_type type,
		  struct payload *ret)
{
	const msgpack_object_map *map = &object->via.map;

	payload_init(ret, type);
	reading->fault = (struct event_fault){ .field = "payload" };
	if (object->type != MSGPACK_OBJECT_MAP)
		return refuse(reading, "is not a map");
	if ((unsigned)type >= EVENT_TYPE_COUNT) {
		reading->newer = true;
		return keys_unique(reading, map);
	}
	if (!read_fields(reading, map, event_type_info(type), ret) ||
	    !judged(reading, payload_check(ret, &reading->fault)))
		return false;
	if (reading->newer)
		payload_init(ret, EVENT_UNKNOWN);
	return true;
}

bool read_langmap(struct reading *reading, const msgpack_object *object, struct langmap *ret)
{
	reading->fault.field = "texts by language";
	return take_langmap(reading, object, ret) &&
	       judged(reading, langmap_check(ret, &reading->fault));
}
