/*
 * The one JSON writer (RFC 8259). Output only; reading JSON is jansson's.
 *
 * Calls follow the document: json_object(), json_key(), json_string(), json_end() … Commas and
 * escapes are its business; nesting is checked by asserts, since only our code drives it. Output is
 * compact, one line; invalid UTF-8 never reaches it (it is replaced by U+FFFD).
 */
#ifndef PROVENV_BASE_JSON_H
#define PROVENV_BASE_JSON_H

#include "base/buf.h"

enum { JSON_DEPTH_MAX = 32 };

struct json {
	struct buf *out; /* borrowed */
	unsigned depth;
	bool array[JSON_DEPTH_MAX];
	bool filled[JSON_DEPTH_MAX];
	bool after_key;
};

/*
 * jansson, with which ops/ reads JSON, has functions of these names too, and one program links
 * both: ours get link names of their own. No file includes both headers.
 */
#define JSON_LINK_NAME(name) __asm__("provenv_" name)

void json_init(struct json *json, struct buf *out);

void json_object(struct json *json) JSON_LINK_NAME("json_object");
void json_array(struct json *json) JSON_LINK_NAME("json_array");
/* Closes the innermost object or array. */
void json_end(struct json *json);
void json_key(struct json *json, const char *key);
void json_key_slice(struct json *json, struct slice key);

void json_string(struct json *json, const char *text) JSON_LINK_NAME("json_string");
void json_slice(struct json *json, struct slice text);
void json_hex(struct json *json, const uint8_t *bytes, size_t len);
void json_uint(struct json *json, uint64_t value);
void json_bool(struct json *json, bool value);
void json_null(struct json *json) JSON_LINK_NAME("json_null");
void json_time(struct json *json, uint64_t time_ms);

/* Key and value in one call. */
void json_pair_string(struct json *json, const char *key, const char *text);
void json_pair_slice(struct json *json, const char *key, struct slice text);
void json_pair_hex(struct json *json, const char *key, const uint8_t *bytes, size_t len);
void json_pair_uint(struct json *json, const char *key, uint64_t value);
void json_pair_bool(struct json *json, const char *key, bool value);
void json_pair_null(struct json *json, const char *key);
void json_pair_time(struct json *json, const char *key, uint64_t time_ms);

#endif
