/*
 * Showing language maps, checks and payloads; see show.h.
 */
#include "cmds/show.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"
#include "cmds/cmd.h"
#include "cmds/print.h"
#include "ops/op_variable.h"
#include "ops/session.h"

#include "base/banned.h"

enum {
	SUMMARY_KEYS_MAX = 4 /* keys named in a one-line summary */
};

static void check_json(struct invocation *inv, const struct session *session, const char *word,
		       const struct problem *problems, size_t count)
{
	struct json json;

	json_begin(inv, &json, word);
	jsonw_pair_slice(&json, "environment", session->environment);
	jsonw_pair_slice(&json, "profile", session->profile);
	jsonw_pair_bool(&json, "valid", count == 0);
	jsonw_key(&json, "problems");
	jsonw_array(&json);
	for (size_t i = 0; i < count; i++) {
		jsonw_object(&json);
		jsonw_pair_slice(&json, "key", problems[i].key);
		jsonw_pair_string(&json, "message", problems[i].text);
		jsonw_pair_string(&json, "hint", problems[i].hint);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	json_finish(inv, &json);
}

/* Does the text begin with the key, as those of a broken rule do? */
static bool is_named(const struct problem *problem)
{
	return strncmp(problem->text, (const char *)problem->key.data, problem->key.len) == 0 &&
	       problem->text[problem->key.len] == ':';
}

static void check_text(struct invocation *inv, const struct session *session,
		       const struct problem *problems, size_t count)
{
	if (count == 0)
		buf_printf(&inv->out, SLICE_FMT "/" SLICE_FMT ": valid\n",
			   SLICE_ARG(session->environment), SLICE_ARG(session->profile));
	for (size_t i = 0; i < count; i++) {
		if (!is_named(&problems[i]))
			buf_printf(&inv->out, SLICE_FMT ": ", SLICE_ARG(problems[i].key));
		buf_printf(&inv->out, "%s\n", problems[i].text);
		if (*problems[i].hint)
			buf_printf(&inv->out, "  %s\n", problems[i].hint);
	}
}

enum status print_check(struct invocation *inv, struct session *session, const char *word,
			struct error *err)
{
	struct problem *problems;
	size_t count;
	enum status status = op_check(session, &problems, &count, err);

	if (status)
		return status;
	inv->verdict = true;
	if (inv->json)
		check_json(inv, session, word, problems, count);
	else
		check_text(inv, session, problems, count);
	if (count == 0)
		return STATUS_OK;
	return error_set(err, STATUS_NEGATIVE, SLICE_FMT "/" SLICE_FMT ": %zu problem%s",
			 SLICE_ARG(session->environment), SLICE_ARG(session->profile), count,
			 count == 1 ? "" : "s");
}

static void json_change(struct json *json, const struct change *change)
{
	jsonw_object(json);
	jsonw_pair_slice(json, "profile", change->profile);
	jsonw_pair_slice(json, "key", change->key);
	switch (change->op) {
	case CHANGE_SET:
		jsonw_pair_slice(json, "set", change->value);
		break;
	case CHANGE_SEAL:
		jsonw_pair_hex(json, "sealed", change->commitment.data, change->commitment.len);
		break;
	case CHANGE_COPY:
		jsonw_key(json, "copy");
		jsonw_array(json);
		jsonw_uint(json, change->copy_seq);
		jsonw_uint(json, change->copy_index);
		jsonw_end(json);
		break;
	case CHANGE_UNSET:
	default:
		jsonw_pair_bool(json, "unset", true);
		break;
	}
	if (change->expand)
		jsonw_pair_bool(json, "expand", true);
	jsonw_end(json);
}

static void json_langs(struct json *json, const struct langmap *map)
{
	jsonw_object(json);
	for (size_t i = 0; i < map->count; i++) {
		jsonw_key_slice(json, map->entries[i].tag);
		jsonw_slice(json, map->entries[i].text);
	}
	jsonw_end(json);
}

static void json_readers(struct json *json, const struct readers *readers)
{
	jsonw_array(json);
	for (size_t i = 0; i < readers->count; i++)
		jsonw_hex(json, readers->entries[i].key_id.data, readers->entries[i].key_id.len);
	jsonw_end(json);
}

static void json_field(struct json *json, enum event_field field, const struct field_value *value)
{
	switch (event_field_info(field)->kind) {
	case KIND_UINT:
		jsonw_uint(json, value->uint);
		break;
	case KIND_BOOL:
		jsonw_bool(json, value->flag);
		break;
	case KIND_BYTES32:
		jsonw_hex(json, value->text.data, value->text.len);
		break;
	case KIND_LANGMAP:
		json_langs(json, &value->langmap);
		break;
	case KIND_TEXTS:
		jsonw_array(json);
		for (size_t i = 0; i < value->texts.count; i++)
			jsonw_slice(json, value->texts.entries[i]);
		jsonw_end(json);
		break;
	case KIND_CHANGES:
		jsonw_array(json);
		for (size_t i = 0; i < value->changes.count; i++)
			json_change(json, &value->changes.entries[i]);
		jsonw_end(json);
		break;
	case KIND_READERS:
		json_readers(json, &value->readers);
		break;
	case KIND_NAME:
	case KIND_KEY:
	case KIND_KEY_NAME:
	case KIND_TEXT:
	case KIND_VALUE:
	case KIND_DECIMAL:
	default:
		jsonw_slice(json, value->text);
		break;
	}
}

void json_payload(struct json *json, const struct payload *payload)
{
	jsonw_object(json);
	if (payload->type != EVENT_UNKNOWN) {
		const struct event_type_info *info = event_type_info(payload->type);

		for (size_t i = 0; i < info->rule_count; i++) {
			enum event_field field = info->rules[i].field;

			if (!payload->field[field].present)
				continue;
			jsonw_key(json, event_field_info(field)->name);
			json_field(json, field, &payload->field[field]);
		}
	}
	jsonw_end(json);
}

static void summary_changes(struct buf *out, const struct changes *changes)
{
	for (size_t i = 0; i < changes->count && i < SUMMARY_KEYS_MAX; i++) {
		const struct change *change = &changes->entries[i];

		buf_append_str(out, i ? ", " : " ");
		if (change->op == CHANGE_UNSET)
			buf_append_byte(out, '-');
		buf_append_slice(out, change->key);
	}
	if (changes->count > SUMMARY_KEYS_MAX)
		buf_printf(out, " and %zu more", changes->count - SUMMARY_KEYS_MAX);
}

void payload_summary(struct buf *out, const struct payload *payload)
{
	const struct changes *changes = &payload->field[FIELD_CHANGES].changes;
	struct slice environment = payload_environment(payload);
	struct slice profile = payload_profile(payload);

	if (payload->type == EVENT_VARIABLES_CHANGED) {
		buf_printf(out, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(environment),
			   SLICE_ARG(changes->entries[0].profile));
		summary_changes(out, changes);
	} else if (payload->type == EVENT_STATE_ROLLED_BACK) {
		buf_append_slice(out, payload_get_text(payload, FIELD_SCOPE));
		buf_printf(out, " to event %llu",
			   (unsigned long long)payload_get_uint(payload, FIELD_TARGET_SEQ));
	} else if (environment.len) {
		buf_append_slice(out, environment);
		if (profile.len)
			buf_printf(out, "/" SLICE_FMT, SLICE_ARG(profile));
		if (payload->field[FIELD_PROFILE].present &&
		    payload->field[FIELD_ENVIRONMENT].present)
			buf_printf(out, " " SLICE_FMT,
				   SLICE_ARG(payload_get_text(payload, FIELD_NAME)));
	} else if (payload->field[FIELD_KEY].present) {
		buf_append_slice(out, payload_get_text(payload, FIELD_KEY));
	} else {
		buf_append_slice(out, payload_get_text(payload, FIELD_NAME));
	}
}
