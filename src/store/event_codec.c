/*
 * Encoding of events, and decoding of their envelope; payloads are decoded in payload_read.c.
 *
 * Invariants: what is encoded was judged by event_check.h first, and what is decoded passed the
 * scan, re-encodes to the bytes given, and is judged by the same rules; so encoding and decoding
 * are inverse to each other.
 */
#include "store/event_codec.h"

#include <inttypes.h>
#include <msgpack/object.h>
#include <msgpack/pack.h>
#include <msgpack/unpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event.h"
#include "store/event_check.h"
#include "store/msgpack_scan.h"
#include "store/payload_read.h"

#include "base/banned.h"

enum {
	TYPE_NAME_BYTES_MAX = 64,
};

/* Places in the array of the envelope. */
enum {
	AT_VERSION,
	AT_LOG_ID,
	AT_SEQ,
	AT_PREV,
	AT_TIME_MS,
	AT_CLAIMED_MS,
	AT_KEY_ID,
	AT_COMMAND_ID,
	AT_PART,
	AT_PARTS,
	AT_TYPE,
	AT_PAYLOAD,
	AT_REASON,
	ENVELOPE_FIELDS,
};

struct event_decoder {
	msgpack_unpacked unpacked; /* owns the zone that everything decoded lives in */
};

/* Encoding. The write callback never fails: a buffer remembers its failure until it is asked. */

static int write_to_buf(void *data, const char *bytes, size_t len)
{
	buf_append(data, bytes, len);
	return 0;
}

static void put_str(msgpack_packer *packer, struct slice text)
{
	(void)msgpack_pack_str_with_body(packer, text.data, text.len);
}

static void put_bin(msgpack_packer *packer, const uint8_t *bytes, size_t len)
{
	(void)msgpack_pack_bin_with_body(packer, bytes, len);
}

static void put_uint(msgpack_packer *packer, uint64_t value)
{
	(void)msgpack_pack_uint64(packer, value);
}

static void put_bool(msgpack_packer *packer, bool value)
{
	(void)(value ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
}

static void put_langmap(msgpack_packer *packer, const struct langmap *map)
{
	(void)msgpack_pack_map(packer, map->count);
	for (size_t i = 0; i < map->count; i++) {
		put_str(packer, map->entries[i].tag);
		put_str(packer, map->entries[i].text);
	}
}

static void put_texts(msgpack_packer *packer, const struct texts *texts)
{
	(void)msgpack_pack_array(packer, texts->count);
	for (size_t i = 0; i < texts->count; i++)
		put_str(packer, texts->entries[i]);
}

static void put_change(msgpack_packer *packer, const struct change *change)
{
	(void)msgpack_pack_map(packer, change->expand ? 4 : 3);
	put_str(packer, slice_str("profile"));
	put_str(packer, change->profile);
	put_str(packer, slice_str("key"));
	put_str(packer, change->key);
	put_str(packer, slice_str(change_op_name(change->op)));
	switch (change->op) {
	case CHANGE_SET:
		put_str(packer, change->value);
		break;
	case CHANGE_SEAL:
		(void)msgpack_pack_array(packer, 2);
		put_bin(packer, change->commitment.data, change->commitment.len);
		put_bin(packer, change->sealed.data, change->sealed.len);
		break;
	case CHANGE_COPY:
		(void)msgpack_pack_array(packer, 2);
		put_uint(packer, change->copy_seq);
		put_uint(packer, change->copy_index);
		break;
	case CHANGE_UNSET:
		put_bool(packer, true);
		break;
	}
	if (change->expand) {
		put_str(packer, slice_str("expand"));
		put_bool(packer, true);
	}
}

static void put_changes(msgpack_packer *packer, const struct changes *changes)
{
	(void)msgpack_pack_array(packer, changes->count);
	for (size_t i = 0; i < changes->count; i++)
		put_change(packer, &changes->entries[i]);
}

static void put_readers(msgpack_packer *packer, const struct readers *readers)
{
	(void)msgpack_pack_array(packer, readers->count);
	for (size_t i = 0; i < readers->count; i++) {
		const struct reader *reader = &readers->entries[i];

		(void)msgpack_pack_array(packer, 2);
		put_bin(packer, reader->key_id.data, reader->key_id.len);
		put_bin(packer, reader->sealed_key.data, reader->sealed_key.len);
	}
}

static void put_value(msgpack_packer *packer, enum field_kind kind, const struct field_value *value)
{
	switch (kind) {
	case KIND_NAME:
	case KIND_KEY:
	case KIND_KEY_NAME:
	case KIND_TEXT:
	case KIND_VALUE:
	case KIND_DECIMAL:
		put_str(packer, value->text);
		break;
	case KIND_UINT:
		put_uint(packer, value->uint);
		break;
	case KIND_BOOL:
		put_bool(packer, value->flag);
		break;
	case KIND_BYTES32:
		put_bin(packer, value->text.data, value->text.len);
		break;
	case KIND_LANGMAP:
		put_langmap(packer, &value->langmap);
		break;
	case KIND_TEXTS:
		put_texts(packer, &value->texts);
		break;
	case KIND_CHANGES:
		put_changes(packer, &value->changes);
		break;
	case KIND_READERS:
		put_readers(packer, &value->readers);
		break;
	}
}

static void put_payload(msgpack_packer *packer, const struct payload *payload)
{
	const struct event_type_info *type = event_type_info(payload->type);
	size_t count = 0;

	for (size_t i = 0; i < type->rule_count; i++)
		count += payload->field[type->rules[i].field].present;
	(void)msgpack_pack_map(packer, count);
	for (size_t i = 0; i < type->rule_count; i++) {
		const struct event_field_info *info = event_field_info(type->rules[i].field);
		const struct field_value *value = &payload->field[type->rules[i].field];

		if (!value->present)
			continue;
		put_str(packer, slice_str(info->name));
		put_value(packer, info->kind, value);
	}
}

static void put_event(msgpack_packer *packer, const struct event *event)
{
	(void)msgpack_pack_array(packer, ENVELOPE_FIELDS);
	put_uint(packer, EVENT_VERSION);
	put_bin(packer, event->log_id, LOG_ID_BYTES);
	put_uint(packer, event->seq);
	put_bin(packer, event->prev, HASH_BYTES);
	put_uint(packer, event->time_ms);
	put_uint(packer, event->claimed_ms);
	put_bin(packer, event->key_id, KEY_ID_BYTES);
	put_bin(packer, event->command_id, COMMAND_ID_BYTES);
	put_uint(packer, event->part);
	put_uint(packer, event->parts);
	put_str(packer, slice_str(event_type_info(event->payload.type)->name));
	put_payload(packer, &event->payload);
	put_str(packer, event->reason);
}

/* Settle what was appended behind @before: kept whole, or taken back. */
static enum status finish(struct buf *ret, size_t before, struct error *err)
{
	enum status status = buf_status(ret, err);

	if (status == STATUS_OK && ret->len - before <= EVENT_BYTES_MAX)
		return STATUS_OK;
	if (status == STATUS_OK)
		status = error_set(err, STATUS_USAGE, "event of %zu bytes; at most %d are allowed",
				   ret->len - before, EVENT_BYTES_MAX);
	ret->len = before;
	if (ret->data)
		ret->data[before] = '\0';
	return status;
}

/* The error of a payload that cannot be written, with its type in front where there is one. */
static enum status unfit(const struct payload *payload, const struct event_fault *fault,
			 struct error *err)
{
	enum status status = event_fault_error(fault, STATUS_USAGE, err);

	if ((unsigned)payload->type >= EVENT_TYPE_COUNT)
		return status;
	return error_prefix(err, status, "%s", event_type_info(payload->type)->name);
}

enum status event_encode(const struct event *event, struct buf *ret, struct error *err)
{
	struct event_fault fault;
	size_t before = ret->len;
	msgpack_packer packer;

	if (!envelope_check(event, &fault) || !payload_check(&event->payload, &fault))
		return unfit(&event->payload, &fault, err);
	msgpack_packer_init(&packer, ret, write_to_buf);
	put_event(&packer, event);
	return finish(ret, before, err);
}

enum status payload_encode(const struct payload *payload, struct buf *ret, struct error *err)
{
	struct event_fault fault;
	size_t before = ret->len;
	msgpack_packer packer;

	if (!payload_check(payload, &fault))
		return unfit(payload, &fault, err);
	msgpack_packer_init(&packer, ret, write_to_buf);
	put_payload(&packer, payload);
	return finish(ret, before, err);
}

enum status langmap_encode(const struct langmap *map, struct buf *ret, struct error *err)
{
	struct event_fault fault = { .field = "texts by language" };
	size_t before = ret->len;
	msgpack_packer packer;

	if (map->count == 0)
		return STATUS_OK;
	if (!langmap_check(map, &fault))
		return event_fault_error(&fault, STATUS_USAGE, err);
	msgpack_packer_init(&packer, ret, write_to_buf);
	put_langmap(&packer, map);
	return finish(ret, before, err);
}

/* Decoding. */

enum status event_decoder_new(struct event_decoder **ret, struct error *err)
{
	struct event_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return error_no_memory(err);
	*ret = decoder;
	return STATUS_OK;
}

void event_decoder_free(struct event_decoder *decoder)
{
	if (!decoder)
		return;
	msgpack_unpacked_destroy(&decoder->unpacked);
	free(decoder);
}

/*
 * A write callback that compares instead: the re-encoding is never stored. Content was not copied
 * out of the input and equals itself where it stands; what is left to compare are heads of 1..9
 * bytes, too short for a call of memcmp() to pay.
 */
static int compare_with_input(void *data, const char *bytes, size_t len)
{
	struct slice *expected = data;
	const uint8_t *encoded = (const uint8_t *)bytes;

	if (len > expected->len)
		return -1;
	if (encoded != expected->data) {
		for (size_t i = 0; i < len; i++) {
			if (encoded[i] != expected->data[i])
				return -1;
		}
	}
	expected->data += len;
	expected->len -= len;
	return 0;
}

/*
 * The steps before meaning: scan, unpack, re-encode and compare. What results is the one encoding
 * of
 * @decoder's object, whose texts point into @bytes.
 */
static enum status unpack(struct event_decoder *decoder, struct slice bytes, struct error *err)
{
	enum status status = msgpack_scan(bytes, err);
	msgpack_unpack_return result;
	struct slice expected = bytes;
	msgpack_packer packer;
	size_t used = 0;

	if (status)
		return status;
	result =
		msgpack_unpack_next(&decoder->unpacked, (const char *)bytes.data, bytes.len, &used);
	if (result == MSGPACK_UNPACK_NOMEM_ERROR)
		return error_no_memory(err);
	if (result != MSGPACK_UNPACK_SUCCESS || used != bytes.len)
		return error_set(err, STATUS_CORRUPT, "not one MessagePack value");
	msgpack_packer_init(&packer, &expected, compare_with_input);
	if (msgpack_pack_object(&packer, decoder->unpacked.data) || expected.len > 0)
		return error_set(err, STATUS_CORRUPT, "not in its shortest form near byte %zu",
				 bytes.len - expected.len);
	return STATUS_OK;
}

/* Turn what a reading ended with into an error. */
static enum status reading_error(const struct reading *reading, struct error *err)
{
	if (reading->status == STATUS_NO_MEMORY)
		return error_no_memory(err);
	return event_fault_error(&reading->fault, STATUS_CORRUPT, err);
}

static enum status newer(struct error *err)
{
	return error_hint(err, STATUS_NEWER,
			  "it was written by a newer provenv; install that one to read it");
}

/* The names of types that this provenv does not know are shown to people: no free bytes. */
static bool is_type_name(struct slice name)
{
	if (name.len == 0 || name.len > TYPE_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.data[i];

		if (!(byte >= 'a' && byte <= 'z') && byte != '_' && byte != '.')
			return false;
	}
	return true;
}

static bool read_envelope(struct reading *reading, const msgpack_object *at,
			  struct decoded_event *ret)
{
	struct event *event = &ret->event;
	uint64_t part = 0;
	uint64_t parts = 0;

	if (!read_bin(reading, "log_id", &at[AT_LOG_ID], LOG_ID_BYTES, event->log_id) ||
	    !read_uint(reading, "seq", &at[AT_SEQ], &event->seq) ||
	    !read_bin(reading, "prev", &at[AT_PREV], HASH_BYTES, event->prev) ||
	    !read_uint(reading, "time_ms", &at[AT_TIME_MS], &event->time_ms) ||
	    !read_uint(reading, "claimed_ms", &at[AT_CLAIMED_MS], &event->claimed_ms) ||
	    !read_bin(reading, "key_id", &at[AT_KEY_ID], KEY_ID_BYTES, event->key_id) ||
	    !read_bin(reading, "command_id", &at[AT_COMMAND_ID], COMMAND_ID_BYTES,
		      event->command_id) ||
	    !read_uint(reading, "part", &at[AT_PART], &part) ||
	    !read_uint(reading, "parts", &at[AT_PARTS], &parts) ||
	    !read_str(reading, "type", &at[AT_TYPE], &ret->type_name) ||
	    !read_str(reading, "reason", &at[AT_REASON], &event->reason))
		return false;
	if (part > UINT32_MAX || parts > UINT32_MAX)
		return reading_refuse(reading, "parts", "is too great");
	event->part = (uint32_t)part;
	event->parts = (uint32_t)parts;
	if (!is_type_name(ret->type_name))
		return reading_refuse(reading, "type", "is not the name of a type");
	if (!envelope_check(event, &reading->fault)) {
		reading->status = STATUS_CORRUPT;
		return false;
	}
	return true;
}

/* Bytes that the head of a str of @len bytes takes in its shortest form. */
static size_t str_head_bytes(size_t len)
{
	if (len < 32)
		return 1;
	return len < 256 ? 2 : 3;
}

/*
 * The payload lies between the name of the type, which is not empty and hence points into @bytes,
 * and the reason, which ends them. Both are known to be in their shortest form.
 */
static struct slice payload_between(struct slice bytes, struct slice type_name, struct slice reason)
{
	const uint8_t *start = type_name.data + type_name.len;
	const uint8_t *end = bytes.data + bytes.len - reason.len - str_head_bytes(reason.len);

	return slice_of(start, (size_t)(end - start));
}

/* Is it an array that begins with a version, and which? */
static enum status read_version(const msgpack_object *object, struct error *err)
{
	const msgpack_object *at = object->via.array.ptr;

	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size == 0 ||
	    at[AT_VERSION].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return error_set(err, STATUS_CORRUPT, "not an array that begins with a version");
	if (at[AT_VERSION].via.u64 > EVENT_VERSION) {
		(void)error_set(err, STATUS_NEWER, "event format version %" PRIu64 " is not known",
				at[AT_VERSION].via.u64);
		return newer(err);
	}
	if (at[AT_VERSION].via.u64 != EVENT_VERSION)
		return error_set(err, STATUS_CORRUPT, "no event format has version 0");
	if (object->via.array.size != ENVELOPE_FIELDS)
		return error_set(err, STATUS_CORRUPT, "%" PRIu32 " fields instead of %d",
				 object->via.array.size, ENVELOPE_FIELDS);
	return STATUS_OK;
}

enum status event_decode(struct event_decoder *decoder, struct slice bytes,
			 struct decoded_event *ret, struct error *err)
{
	enum status status = unpack(decoder, bytes, err);
	const msgpack_object *object = &decoder->unpacked.data;
	struct reading reading;
	struct decoded_event event;
	enum event_type type;

	if (!status)
		status = read_version(object, err);
	if (status)
		return status;
	reading_init(&reading, decoder->unpacked.zone);
	if (!read_envelope(&reading, object->via.array.ptr, &event))
		return reading_error(&reading, err);
	event.payload_bytes = payload_between(bytes, event.type_name, event.event.reason);
	type = event_type_find(event.type_name);
	if (!read_payload(&reading, &object->via.array.ptr[AT_PAYLOAD], type,
			  &event.event.payload)) {
		status = reading_error(&reading, err);
		return error_prefix(err, status, SLICE_FMT, SLICE_ARG(event.type_name));
	}
	*ret = event;
	if (type == EVENT_UNKNOWN)
		(void)error_set(err, STATUS_NEWER, "type " SLICE_FMT " is not known",
				SLICE_ARG(event.type_name));
	else if (reading.newer)
		(void)error_set(err, STATUS_NEWER, SLICE_FMT " has a field that is not known",
				SLICE_ARG(event.type_name));
	return reading.newer ? newer(err) : STATUS_OK;
}

enum status payload_decode(struct event_decoder *decoder, enum event_type type, struct slice bytes,
			   struct payload *ret, struct error *err)
{
	enum status status = unpack(decoder, bytes, err);
	struct reading reading;
	struct payload payload;

	if (status)
		return status;
	reading_init(&reading, decoder->unpacked.zone);
	if (!read_payload(&reading, &decoder->unpacked.data, type, &payload))
		return reading_error(&reading, err);
	if (reading.newer) {
		(void)error_set(err, STATUS_NEWER,
				"the payload has a type or field that is not known");
		return newer(err);
	}
	*ret = payload;
	return STATUS_OK;
}

enum status langmap_decode(struct event_decoder *decoder, struct slice bytes, struct langmap *ret,
			   struct error *err)
{
	struct reading reading;
	struct langmap map;
	enum status status;

	if (bytes.len == 0) {
		*ret = (struct langmap){ .count = 0 };
		return STATUS_OK;
	}
	status = unpack(decoder, bytes, err);
	if (status)
		return status;
	reading_init(&reading, decoder->unpacked.zone);
	if (!read_langmap(&reading, &decoder->unpacked.data, &map))
		return reading_error(&reading, err);
	*ret = map;
	return STATUS_OK;
}

bool leaf_split(struct slice leaf, struct slice *ret_event, const uint8_t **ret_signature)
{
	size_t event_bytes;

	if (leaf.len <= SIGNATURE_BYTES || leaf.len > LEAF_BYTES_MAX)
		return false;
	event_bytes = leaf.len - SIGNATURE_BYTES;
	*ret_event = slice_of(leaf.data, event_bytes);
	*ret_signature = leaf.data + event_bytes;
	return true;
}
