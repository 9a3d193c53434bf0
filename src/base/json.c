/*
 * The one JSON writer.
 *
 * Invariants: depth counts what is open; array[d] and filled[d] describe the level d; after_key
 * says that the innermost object waits for a value. Calls out of order are our bugs and end in
 * asserts. The bytes are ASCII escapes and well-formed UTF-8 only, whatever was passed in.
 */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/text.h"

#include "base/banned.h"

void json_init(struct json *json, struct buf *out)
{
	*json = (struct json){ .out = out };
}

/* A comma where one is due, and a note that the level is no longer empty. */
static void separate(struct json *json)
{
	if (json->depth == 0)
		return;
	if (json->filled[json->depth - 1])
		buf_append_byte(json->out, ',');
	json->filled[json->depth - 1] = true;
}

static void before_value(struct json *json)
{
	if (json->depth > 0 && !json->array[json->depth - 1]) {
		assert(json->after_key);
		json->after_key = false;
		return;
	}
	separate(json);
}

static void open_level(struct json *json, bool array)
{
	before_value(json);
	assert(json->depth < JSON_DEPTH_MAX);
	json->array[json->depth] = array;
	json->filled[json->depth] = false;
	json->depth++;
	buf_append_byte(json->out, array ? '[' : '{');
}

void json_object(struct json *json)
{
	open_level(json, false);
}

void json_array(struct json *json)
{
	open_level(json, true);
}

void json_end(struct json *json)
{
	assert(json->depth > 0 && !json->after_key);
	json->depth--;
	buf_append_byte(json->out, json->array[json->depth] ? ']' : '}');
}

/* The letter of a two-character escape, or 0. */
static char short_escape(uint8_t byte)
{
	switch (byte) {
	case '"':
	case '\\':
		return (char)byte;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

static void append_escaped(struct buf *out, uint8_t byte)
{
	char letter = short_escape(byte);

	if (letter)
		buf_printf(out, "\\%c", letter);
	else
		buf_printf(out, "\\u%04x", byte);
}

static bool needs_escape(uint8_t byte)
{
	return byte < 0x20 || byte == '"' || byte == '\\';
}

static void append_quoted(struct buf *out, struct slice text)
{
	size_t plain = 0; /* start of the run not yet written */
	size_t at = 0;

	buf_append_byte(out, '"');
	while (at < text.len) {
		uint8_t byte = text.data[at];
		size_t len = text_utf8_sequence(slice_of(text.data + at, text.len - at));

		if (len > 0 && !needs_escape(byte)) {
			at += len;
			continue;
		}
		buf_append(out, text.data + plain, at - plain);
		if (len > 0)
			append_escaped(out, byte);
		else
			buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
		plain = ++at;
	}
	buf_append(out, text.data + plain, at - plain);
	buf_append_byte(out, '"');
}

void json_key_slice(struct json *json, struct slice key)
{
	assert(json->depth > 0 && !json->array[json->depth - 1] && !json->after_key);
	separate(json);
	append_quoted(json->out, key);
	buf_append_byte(json->out, ':');
	json->after_key = true;
}

void json_key(struct json *json, const char *key)
{
	json_key_slice(json, slice_str(key));
}

void json_slice(struct json *json, struct slice text)
{
	before_value(json);
	append_quoted(json->out, text);
}

void json_string(struct json *json, const char *text)
{
	json_slice(json, slice_str(text));
}

void json_hex(struct json *json, const uint8_t *bytes, size_t len)
{
	before_value(json);
	buf_append_byte(json->out, '"');
	for (size_t at = 0; at < len;) {
		char digits[2 * 32 + 1];
		size_t part = len - at < 32 ? len - at : 32;

		text_to_hex(bytes + at, part, digits);
		buf_append(json->out, digits, 2 * part);
		at += part;
	}
	buf_append_byte(json->out, '"');
}

void json_uint(struct json *json, uint64_t value)
{
	before_value(json);
	buf_printf(json->out, "%" PRIu64, value);
}

void json_bool(struct json *json, bool value)
{
	before_value(json);
	buf_append_str(json->out, value ? "true" : "false");
}

void json_null(struct json *json)
{
	before_value(json);
	buf_append_str(json->out, "null");
}

void json_time(struct json *json, uint64_t time_ms)
{
	char text[32];

	text_from_time_ms(time_ms, text);
	json_string(json, text);
}

void json_pair_string(struct json *json, const char *key, const char *text)
{
	json_key(json, key);
	json_string(json, text);
}

void json_pair_slice(struct json *json, const char *key, struct slice text)
{
	json_key(json, key);
	json_slice(json, text);
}

void json_pair_hex(struct json *json, const char *key, const uint8_t *bytes, size_t len)
{
	json_key(json, key);
	json_hex(json, bytes, len);
}

void json_pair_uint(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	json_uint(json, value);
}

void json_pair_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	json_bool(json, value);
}

void json_pair_null(struct json *json, const char *key)
{
	json_key(json, key);
	json_null(json);
}

void json_pair_time(struct json *json, const char *key, uint64_t time_ms)
{
	json_key(json, key);
	json_time(json, time_ms);
}
