/*
 * Rows against their events; see row_check.h. What apply.c writes for an event is told here once
 * more, from the row's side.
 */
#include "projections/row_check.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "projections/projection.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/state_model.h"

#include "base/banned.h"

static bool says(const struct payload *payload, enum event_field field, const struct cell *cell)
{
	return slice_equal(payload_get_text(payload, field), cell->bytes);
}

static bool is_empty(const struct cell *cell)
{
	return cell->bytes.len == 0;
}

/* The cell holds the encoding of the language map; nothing where there is none. */
static bool entitles(const struct payload *payload, enum event_field field, const struct cell *cell)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	if (!payload->field[field].present)
		return is_empty(cell);
	return langmap_encode(&payload->field[field].langmap, &bytes, NULL) == STATUS_OK &&
	       slice_equal(buf_slice(&bytes), cell->bytes);
}

static bool active_agrees(const struct payload *payload, const struct table_row *row)
{
	const struct cell *scope = &row->key[0], *name = &row->column[ACTIVE_NAME];

	switch ((int)payload->type) {
	case EVENT_ENVIRONMENT_SWITCHED:
		return is_empty(scope) && says(payload, FIELD_NAME, name);
	case EVENT_PROFILE_SWITCHED:
		return slice_equal(payload_environment(payload), scope->bytes) &&
		       slice_equal(payload_profile(payload), name->bytes);
	case EVENT_ENVIRONMENT_CREATED:
		return says(payload, FIELD_NAME, scope) && says(payload, FIELD_PROFILE, name);
	default:
		return false;
	}
}

static bool environment_agrees(const struct payload *payload, const struct table_row *row)
{
	if (payload->type != EVENT_ENVIRONMENT_CREATED &&
	    payload->type != EVENT_ENVIRONMENT_CHANGED)
		return false;
	return says(payload, FIELD_NAME, &row->key[0]) &&
	       payload_get_bool(payload, FIELD_PROTECTED) ==
		       (row->column[ENVIRONMENT_PROTECTED].number != 0) &&
	       entitles(payload, FIELD_TITLE, &row->column[ENVIRONMENT_TITLE]) &&
	       entitles(payload, FIELD_DESCRIPTION, &row->column[ENVIRONMENT_DESCRIPTION]);
}

static bool lock_agrees(const struct payload *payload, const struct table_row *row)
{
	return payload->type == EVENT_ENVIRONMENT_LOCKED &&
	       says(payload, FIELD_NAME, &row->key[0]) &&
	       payload_get_uint(payload, FIELD_UNTIL_MS) ==
		       (uint64_t)row->column[LOCK_UNTIL_MS].number;
}

static bool profile_agrees(const struct payload *payload, const struct table_row *row)
{
	const struct cell *columns = row->column;

	if (payload->type == EVENT_ENVIRONMENT_CREATED)
		return says(payload, FIELD_NAME, &row->key[0]) &&
		       says(payload, FIELD_PROFILE, &row->key[1]) &&
		       is_empty(&columns[PROFILE_BASE]) && is_empty(&columns[PROFILE_TITLE]) &&
		       is_empty(&columns[PROFILE_DESCRIPTION]);
	if (payload->type != EVENT_PROFILE_CREATED && payload->type != EVENT_PROFILE_CHANGED)
		return false;
	return slice_equal(payload_environment(payload), row->key[0].bytes) &&
	       slice_equal(payload_profile(payload), row->key[1].bytes) &&
	       says(payload, FIELD_BASE, &columns[PROFILE_BASE]) &&
	       entitles(payload, FIELD_TITLE, &columns[PROFILE_TITLE]) &&
	       entitles(payload, FIELD_DESCRIPTION, &columns[PROFILE_DESCRIPTION]);
}

/* A table that keeps a whole payload, and which of its fields are the key. */
struct kept_payload {
	enum event_type type;
	unsigned column;
	enum event_field keys[TABLE_KEYS_MAX];
};

static bool kept_payload_agrees(const struct kept_payload *kept, enum state_tag tag,
				const struct table_row *row, const struct decoded_event *event)
{
	const struct payload *payload = &event->event.payload;

	bool of_type = payload->type == kept->type ||
		       (tag == TAG_DATABASE && payload->type == EVENT_DATABASE_MOVED);

	if (!of_type || !slice_equal(event->payload_bytes, row->column[kept->column].bytes))
		return false;
	for (unsigned i = 0; i < table_key_count(tag); i++) {
		enum event_field field = kept->keys[i];
		bool number = event_field_info(field)->kind == KIND_UINT;
		bool equal =
			number ? payload_get_uint(payload, field) == (uint64_t)row->key[i].number
			       : says(payload, field, &row->key[i]);

		if (!equal)
			return false;
	}
	return true;
}

static bool backup_agrees(const struct decoded_event *event, const struct table_row *row)
{
	return event->event.payload.type == EVENT_BACKUP_CREATED &&
	       event->event.seq == (uint64_t)row->key[0].number &&
	       slice_equal(event->payload_bytes, row->column[BACKUP_DEFINITION].bytes);
}

static bool is_about_replacement(enum event_type type)
{
	return type >= EVENT_REPLACEMENT_STARTED && type <= EVENT_REPLACEMENT_UNDONE;
}

static bool replacement_agrees(const struct decoded_event *event, const struct table_row *row)
{
	const struct payload *payload = &event->event.payload;
	uint64_t started;

	if (!is_about_replacement(payload->type))
		return false;
	started = payload->type == EVENT_REPLACEMENT_STARTED
			  ? event->event.seq
			  : payload_get_uint(payload, FIELD_REPLACEMENT);
	return slice_equal(payload_environment(payload), row->key[0].bytes) &&
	       slice_equal(payload_profile(payload), row->key[1].bytes) &&
	       says(payload, FIELD_NAME, &row->key[2]) &&
	       (int64_t)replacement_phase_of(payload->type) ==
		       row->column[REPLACEMENT_PHASE].number &&
	       started == (uint64_t)row->column[REPLACEMENT_STARTED_SEQ].number &&
	       payload_get_uint(payload, FIELD_SAFETY) ==
		       (uint64_t)row->column[REPLACEMENT_SAFETY_SEQ].number;
}

/* A rule that such an event can break; whether this one did, only applying all of them tells. */
static bool violation_agrees(const struct decoded_event *event, const struct table_row *row)
{
	const enum apply_rule *rule = apply_rules_of(event->event.payload.type);

	while (*rule != RULE_NONE && (int64_t)*rule != row->column[VIOLATION_RULE].number)
		rule++;
	return *rule != RULE_NONE && row->key[0].number == (int64_t)event->event.seq;
}

static bool agrees(enum state_tag tag, const struct table_row *row,
		   const struct decoded_event *event)
{
	static const struct kept_payload kept[TAG_COUNT] = {
		[TAG_BACKUP_CHECK] = { EVENT_BACKUP_VERIFIED,
				       BACKUP_CHECK_DEFINITION,
				       { FIELD_BACKUP } },
		[TAG_CATEGORY] = { EVENT_CATEGORY_DEFINED, CATEGORY_DEFINITION, { FIELD_NAME } },
		[TAG_SPECIFICATION] = { EVENT_VARIABLE_SPECIFIED,
					SPECIFICATION_DEFINITION,
					{ FIELD_KEY } },
		[TAG_DATABASE] = { EVENT_DATABASE_ATTACHED,
				   DATABASE_DEFINITION,
				   { FIELD_ENVIRONMENT, FIELD_PROFILE, FIELD_NAME } },
		[TAG_KEY] = { EVENT_ENVIRONMENT_KEYED,
			      KEY_DEFINITION,
			      { FIELD_NAME, FIELD_GENERATION } },
	};
	const struct payload *payload = &event->event.payload;

	switch ((int)tag) {
	case TAG_ACTIVE:
		return active_agrees(payload, row);
	case TAG_BACKUP:
		return backup_agrees(event, row);
	case TAG_REPLACEMENT:
		return replacement_agrees(event, row);
	case TAG_ENVIRONMENT:
		return environment_agrees(payload, row);
	case TAG_LOCK:
		return lock_agrees(payload, row);
	case TAG_PROFILE:
		return profile_agrees(payload, row);
	case TAG_VIOLATION:
		return violation_agrees(event, row);
	default:
		return kept_payload_agrees(&kept[tag], tag, row, event);
	}
}

enum status row_check(struct projection *projection, enum state_tag tag,
		      const struct table_row *row, struct error *err)
{
	const struct read_event *event;
	enum status status;

	if (tag == TAG_VARIABLE)
		return STATUS_OK;
	status = event_reader_get(projection_reader(projection), row->from_seq, &event, err);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	if (!status && agrees(tag, row, &event->decoded))
		return STATUS_OK;
	projection_mark_damaged(projection);
	return error_set(err, STATUS_CORRUPT, "state: a row of table %s contradicts event %" PRIu64,
			 state_tag_name(tag), row->from_seq);
}
