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

void jsonw_init(struct json *json, struct buf *out)
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

void jsonw_object(struct json *json)
{
	open_level(json, false);
}

void jsonw_array(struct json *json)
{
	open_level(json, true);
}

void jsonw_end(struct json *json)
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

/* Nothing at all may lie nowhere, and to nowhere nothing can be added. */
static void append_plain(struct buf *out, struct slice text, size_t from, size_t to)
{
	if (to > from)
		buf_append(out, text.data + from, to - from);
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
		append_plain(out, text, plain, at);
		if (len > 0)
			append_escaped(out, byte);
		else
			buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
		plain = ++at;
	}
	append_plain(out, text, plain, at);
	buf_append_byte(out, '"');
}

void jsonw_key_slice(struct json *json, struct slice key)
{
	assert(json->depth > 0 && !json->array[json->depth - 1] && !json->after_key);
	separate(json);
	append_quoted(json->out, key);
	buf_append_byte(json->out, ':');
	json->after_key = true;
}

void jsonw_key(struct json *json, const char *key)
{
	jsonw_key_slice(json, slice_str(key));
}

void jsonw_slice(struct json *json, struct slice text)
{
	before_value(json);
	append_quoted(json->out, text);
}

void jsonw_string(struct json *json, const char *text)
{
	jsonw_slice(json, slice_str(text));
}

void jsonw_hex(struct json *json, const uint8_t *bytes, size_t len)
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

void jsonw_uint(struct json *json, uint64_t value)
{
	before_value(json);
	buf_printf(json->out, "%" PRIu64, value);
}

void jsonw_bool(struct json *json, bool value)
{
	before_value(json);
	buf_append_str(json->out, value ? "true" : "false");
}

void jsonw_null(struct json *json)
{
	before_value(json);
	buf_append_str(json->out, "null");
}

void jsonw_time(struct json *json, uint64_t time_ms)
{
	char text[32];

	text_from_time_ms(time_ms, text);
	jsonw_string(json, text);
}

void jsonw_pair_string(struct json *json, const char *key, const char *text)
{
	jsonw_key(json, key);
	jsonw_string(json, text);
}

void jsonw_pair_slice(struct json *json, const char *key, struct slice text)
{
	jsonw_key(json, key);
	jsonw_slice(json, text);
}

void jsonw_pair_hex(struct json *json, const char *key, const uint8_t *bytes, size_t len)
{
	jsonw_key(json, key);
	jsonw_hex(json, bytes, len);
}

void jsonw_pair_uint(struct json *json, const char *key, uint64_t value)
{
	jsonw_key(json, key);
	jsonw_uint(json, value);
}

void jsonw_pair_bool(struct json *json, const char *key, bool value)
{
	jsonw_key(json, key);
	jsonw_bool(json, value);
}

void jsonw_pair_null(struct json *json, const char *key)
{
	jsonw_key(json, key);
	jsonw_null(json);
}

void jsonw_pair_time(struct json *json, const char *key, uint64_t time_ms)
{
	jsonw_key(json, key);
	jsonw_time(json, time_ms);
}
