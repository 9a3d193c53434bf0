/*
 * The judge of field values.
 *
 * Invariants: whatever passes here has one encoding; lists are ordered and free of duplicates, so
 * that two equal states are equal bytes. A judgement depends on the event alone: no clock, no
 * configuration, nothing else of the log. Whether names refer to anything is apply's business.
 */
#include "store/event_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/seal.h"

#include "base/banned.h"

enum {
	/* nonce, tag and one 64-byte step of padded plaintext: see seal.h */
	SEALED_BYTES_MIN = 24 + 16 + 64,
};

static bool refuse(struct event_fault *ret, const char *why)
{
	ret->why = why;
	return false;
}

static bool refuse_limit(struct event_fault *ret, const char *why, size_t limit)
{
	ret->limit = limit;
	return refuse(ret, why);
}

/*
 * How many bytes at the start of @text are ASCII without NUL, counted in steps of eight. Most text
 * is nothing else, and reading it byte by byte was a quarter of the time to decode an event.
 */
static size_t plain_prefix(struct slice text)
{
	const uint64_t low_bits = UINT64_C(0x0101010101010101);
	const uint64_t high_bits = UINT64_C(0x8080808080808080);
	size_t at = 0;

	for (; text.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, text.data + at, sizeof(word));
		/* A borrow reaches the high bit of a byte only from a zero at or below it. */
		if ((word | (word - low_bits)) & high_bits)
			break;
	}
	return at;
}

static bool text_ok(struct slice text, size_t bytes_max, struct event_fault *ret)
{
	size_t plain;

	if (text.len > bytes_max)
		return refuse_limit(ret, "is too long", bytes_max);
	plain = plain_prefix(text);
	if (plain < text.len && !text_is_value(slice_of(text.data + plain, text.len - plain)))
		return refuse(ret, "is not UTF-8 without NUL");
	return true;
}

static bool count_ok(size_t count, size_t max, struct event_fault *ret)
{
	if (count == 0)
		return refuse(ret, "is an empty list");
	if (count > max)
		return refuse_limit(ret, "has too many entries", max);
	return true;
}

bool langmap_check(const struct langmap *map, struct event_fault *ret)
{
	if (!count_ok(map->count, LANGS_MAX, ret))
		return false;
	for (size_t i = 0; i < map->count; i++) {
		const struct lang_text *entry = &map->entries[i];

		ret->entry = i + 1;
		if (!text_is_lang_tag(entry->tag))
			return refuse(ret, "is not under a language tag");
		if (!text_ok(entry->text, TEXT_BYTES_MAX, ret))
			return false;
		if (i > 0 && slice_compare(entry[-1].tag, entry->tag) >= 0)
			return refuse(ret, "is not in ascending order of tags");
	}
	ret->entry = 0;
	return true;
}

/* The list has the user's order, so that each text is compared with all before it: at most 256. */
static bool texts_ok(const struct texts *texts, struct event_fault *ret)
{
	if (!count_ok(texts->count, ENUM_VALUES_MAX, ret))
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		ret->entry = i + 1;
		if (!text_ok(texts->entries[i], TEXT_BYTES_MAX, ret))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (slice_equal(texts->entries[i], texts->entries[j]))
				return refuse(ret, "stands there twice");
		}
	}
	ret->entry = 0;
	return true;
}

static bool change_op_ok(const struct change *change, struct event_fault *ret)
{
	switch (change->op) {
	case CHANGE_SET:
		return text_ok(change->value, VALUE_BYTES_MAX, ret);
	case CHANGE_SEAL:
		if (change->commitment.len != HASH_BYTES)
			return refuse(ret, "has a commitment that is not 32 bytes");
		if (change->sealed.len < SEALED_BYTES_MIN)
			return refuse(ret, "has sealed bytes that are too short");
		if (change->sealed.len > SEALED_BYTES_MAX)
			return refuse_limit(ret, "has too many sealed bytes", SEALED_BYTES_MAX);
		return true;
	case CHANGE_COPY:
		return change->copy_seq > 0 || refuse(ret, "copies from event 0");
	case CHANGE_UNSET:
		return !change->expand || refuse(ret, "unsets a value and marks it a template");
	}
	return refuse(ret, "has no known operation");
}

static int change_compare(const struct change *a, const struct change *b)
{
	int order = slice_compare(a->profile, b->profile);

	return order ? order : slice_compare(a->key, b->key);
}

static bool changes_ok(const struct changes *changes, struct event_fault *ret)
{
	if (!count_ok(changes->count, COMMAND_CHANGES_MAX, ret))
		return false;
	for (size_t i = 0; i < changes->count; i++) {
		const struct change *change = &changes->entries[i];

		ret->entry = i + 1;
		if (!text_is_name(change->profile))
			return refuse(ret, "has a profile that is not a name");
		if (!text_is_key(change->key))
			return refuse(ret, "has a key that is not a variable's key");
		if (!change_op_ok(change, ret))
			return false;
		if (i > 0 && change_compare(change - 1, change) >= 0)
			return refuse(ret, "is not in ascending order of profile and key");
	}
	ret->entry = 0;
	return true;
}

static bool readers_ok(const struct readers *readers, struct event_fault *ret)
{
	if (!count_ok(readers->count, READERS_MAX, ret))
		return false;
	for (size_t i = 0; i < readers->count; i++) {
		const struct reader *reader = &readers->entries[i];

		ret->entry = i + 1;
		if (reader->key_id.len != KEY_ID_BYTES)
			return refuse(ret, "has a key id that is not 8 bytes");
		if (reader->sealed_key.len != WRAPPED_KEY_BYTES)
			return refuse(ret, "has a sealed key that is not 80 bytes");
		if (i > 0 && slice_compare(reader[-1].key_id, reader->key_id) >= 0)
			return refuse(ret, "is not in ascending order of key ids");
	}
	ret->entry = 0;
	return true;
}

static bool value_ok(enum field_kind kind, const struct field_value *value, struct event_fault *ret)
{
	switch (kind) {
	case KIND_NAME:
		return text_is_name(value->text) || refuse(ret, "is not a name");
	case KIND_KEY:
		return text_is_key(value->text) || refuse(ret, "is not a variable's key");
	case KIND_KEY_NAME:
		return text_is_key_name(value->text) || refuse(ret, "is not a key's name");
	case KIND_TEXT:
		return text_ok(value->text, TEXT_BYTES_MAX, ret);
	case KIND_VALUE:
		return text_ok(value->text, VALUE_BYTES_MAX, ret);
	case KIND_DECIMAL:
		return text_is_decimal(value->text) || refuse(ret, "is not a decimal number");
	case KIND_UINT:
	case KIND_BOOL:
		return true;
	case KIND_BYTES32:
		return value->text.len == 32 || refuse(ret, "is not 32 bytes");
	case KIND_LANGMAP:
		return langmap_check(&value->langmap, ret);
	case KIND_TEXTS:
		return texts_ok(&value->texts, ret);
	case KIND_CHANGES:
		return changes_ok(&value->changes, ret);
	case KIND_READERS:
		return readers_ok(&value->readers, ret);
	}
	return refuse(ret, "is of no known kind");
}

static bool has_rule(const struct event_type_info *type, size_t field)
{
	for (size_t i = 0; i < type->rule_count; i++) {
		if (type->rules[i].field == field)
			return true;
	}
	return false;
}

bool payload_check(const struct payload *payload, struct event_fault *ret)
{
	const struct event_type_info *type;

	*ret = (struct event_fault){ .field = "type" };
	if ((unsigned)payload->type >= EVENT_TYPE_COUNT)
		return refuse(ret, "is not known");
	type = event_type_info(payload->type);
	for (size_t i = 0; i < type->rule_count; i++) {
		const struct event_field_info *info = event_field_info(type->rules[i].field);
		const struct field_value *value = &payload->field[type->rules[i].field];

		ret->field = info->name;
		if (value->present && !value_ok(info->kind, value, ret))
			return false;
		if (!value->present && type->rules[i].required)
			return refuse(ret, "is missing");
	}
	for (size_t field = 0; field < FIELD_COUNT; field++) {
		if (payload->field[field].present && !has_rule(type, field)) {
			ret->field = event_field_info((enum event_field)field)->name;
			return refuse(ret, "does not belong to the type");
		}
	}
	return true;
}

bool envelope_check(const struct event *event, struct event_fault *ret)
{
	*ret = (struct event_fault){ .field = "seq" };
	if (event->seq == 0)
		return refuse(ret, "is 0");
	ret->field = "time_ms";
	if (event->time_ms > INT64_MAX)
		return refuse_limit(ret, "is too great", INT64_MAX);
	ret->field = "claimed_ms";
	if (event->claimed_ms > INT64_MAX)
		return refuse_limit(ret, "is too great", INT64_MAX);
	ret->field = "parts";
	if (event->parts > COMMAND_PARTS_MAX)
		return refuse_limit(ret, "is too great", COMMAND_PARTS_MAX);
	ret->field = "part";
	if (event->part == 0 || event->part > event->parts)
		return refuse(ret, "is not one of the parts");
	ret->field = "reason";
	return text_ok(event->reason, REASON_BYTES_MAX, ret);
}

enum status event_fault_error(const struct event_fault *fault, enum status status,
			      struct error *err)
{
	char entry[32] = "";
	char limit[48] = "";

	if (fault->entry)
		(void)snprintf(entry, sizeof(entry), ", entry %zu,", fault->entry);
	if (fault->limit)
		(void)snprintf(limit, sizeof(limit), " (at most %zu)", fault->limit);
	return error_set(err, status, "field %s%s %s%s", fault->field, entry, fault->why, limit);
}
