/*
 * The one JSON writer (RFC 8259). Output only; reading JSON is jansson's.
 *
 * Calls follow the document: jsonw_object(), jsonw_key(), jsonw_string(), jsonw_end() … Commas and
 * escapes are its business; nesting is checked by asserts, since only our code drives it. Output is
 * compact, one line; invalid UTF-8 never reaches it (it is replaced by U+FFFD).
 *
 * The prefix is jsonw_ since jansson, with which ops/ reads JSON, has taken json_.
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

void jsonw_init(struct json *json, struct buf *out);

void jsonw_object(struct json *json);
void jsonw_array(struct json *json);
/* Closes the innermost object or array. */
void jsonw_end(struct json *json);
void jsonw_key(struct json *json, const char *key);
void jsonw_key_slice(struct json *json, struct slice key);

void jsonw_string(struct json *json, const char *text);
void jsonw_slice(struct json *json, struct slice text);
void jsonw_hex(struct json *json, const uint8_t *bytes, size_t len);
void jsonw_uint(struct json *json, uint64_t value);
void jsonw_bool(struct json *json, bool value);
void jsonw_null(struct json *json);
void jsonw_time(struct json *json, uint64_t time_ms);

/* Key and value in one call. */
void jsonw_pair_string(struct json *json, const char *key, const char *text);
void jsonw_pair_slice(struct json *json, const char *key, struct slice text);
void jsonw_pair_hex(struct json *json, const char *key, const uint8_t *bytes, size_t len);
void jsonw_pair_uint(struct json *json, const char *key, uint64_t value);
void jsonw_pair_bool(struct json *json, const char *key, bool value);
void jsonw_pair_null(struct json *json, const char *key);
void jsonw_pair_time(struct json *json, const char *key, uint64_t time_ms);

#endif
