/*
 * Effects of each event type; see apply.h. One function for each kind of event; they run when the
 * rules hold (apply_rules.c). A table at the end ties them to their names.
 */
#include "projections/apply.h"

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "projections/apply_parts.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/state_model.h"

#include "base/banned.h"

static enum status put(const struct application *app, enum state_tag tag, const struct cell *keys,
		       const struct cell *columns)
{
	return table_put(app->db, tag, keys, columns, app->seq, app->err);
}

static enum status put_active(const struct application *app, struct slice scope,
			      struct slice chosen)
{
	return put(app, TAG_ACTIVE, &(struct cell){ .bytes = scope },
		   &(struct cell){ .bytes = chosen });
}

/* The encoding of a language map field; empty bytes when it is absent. */
static enum status langmap_cell(const struct application *app, enum event_field field,
				struct cell *ret)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	enum status status;

	*ret = cell_text(slice_of("", 0));
	if (!app->payload->field[field].present)
		return STATUS_OK;
	status = langmap_encode(&app->payload->field[field].langmap, &bytes, app->err);
	if (status)
		return status;
	ret->bytes = arena_copy(app->arena, buf_slice(&bytes));
	return ret->bytes.data ? STATUS_OK : error_no_memory(app->err);
}

static enum status put_environment(const struct application *app)
{
	struct cell columns[] = { cell_number(payload_get_bool(app->payload, FIELD_PROTECTED)),
				  { .number = 0 },
				  { .number = 0 } };
	enum status status = langmap_cell(app, FIELD_TITLE, &columns[ENVIRONMENT_TITLE]);

	if (!status)
		status = langmap_cell(app, FIELD_DESCRIPTION, &columns[ENVIRONMENT_DESCRIPTION]);
	if (status)
		return status;
	return put(app, TAG_ENVIRONMENT, &(struct cell){ .bytes = application_environment(app) },
		   columns);
}

static enum status put_profile(const struct application *app)
{
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)) };
	struct cell columns[] = { cell_text(application_text(app, FIELD_BASE)),
				  { .number = 0 },
				  { .number = 0 } };
	enum status status = langmap_cell(app, FIELD_TITLE, &columns[PROFILE_TITLE]);

	if (!status)
		status = langmap_cell(app, FIELD_DESCRIPTION, &columns[PROFILE_DESCRIPTION]);
	if (status)
		return status;
	return put(app, TAG_PROFILE, keys, columns);
}

static enum status environment_created(const struct application *app)
{
	struct slice name = application_text(app, FIELD_NAME),
		     profile = application_text(app, FIELD_PROFILE);
	struct cell keys[] = { cell_text(name), cell_text(profile) };
	struct cell nothing[] = { cell_text(slice_of("", 0)), cell_text(slice_of("", 0)),
				  cell_text(slice_of("", 0)) };
	enum status status = put_environment(app);

	if (!status)
		status = put(app, TAG_PROFILE, keys, nothing);
	if (!status)
		status = put_active(app, name, profile);
	return status;
}

static enum status remove_variables(void *context, const struct table_row *profile,
				    struct error *err)
{
	const struct application *app = context;

	return table_remove(app->db, TAG_VARIABLE, profile->key, 2, app->seq, err);
}

/* Everything in it goes too, but its keys: generations are never used again. */
static enum status environment_removed(const struct application *app)
{
	static const enum state_tag within[] = { TAG_ACTIVE, TAG_DATABASE, TAG_ENVIRONMENT,
						 TAG_LOCK,   TAG_PROFILE,  TAG_REPLACEMENT };
	struct cell key = cell_text(application_text(app, FIELD_NAME));
	struct application own = *app;
	enum status status = table_each(app->db, TAG_PROFILE, &key, 1, UINT64_MAX, remove_variables,
					&own, app->err);

	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]) && !status; i++)
		status = table_remove(app->db, within[i], &key, 1, app->seq, app->err);
	return status;
}

static enum status environment_switched(const struct application *app)
{
	return put_active(app, slice_str(""), application_text(app, FIELD_NAME));
}

static enum status environment_locked_effect(const struct application *app)
{
	struct cell until = cell_number(payload_get_uint(app->payload, FIELD_UNTIL_MS));

	return put(app, TAG_LOCK, &(struct cell){ .bytes = application_text(app, FIELD_NAME) },
		   &until);
}

static enum status environment_unlocked(const struct application *app)
{
	struct cell key = cell_text(application_text(app, FIELD_NAME));

	return table_remove(app->db, TAG_LOCK, &key, 1, app->seq, app->err);
}

static enum status environment_keyed(const struct application *app)
{
	struct cell keys[] = { cell_text(application_text(app, FIELD_NAME)),
			       cell_number(payload_get_uint(app->payload, FIELD_GENERATION)) };

	return put(app, TAG_KEY, keys, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status profile_removed(const struct application *app)
{
	static const enum state_tag within[] = { TAG_DATABASE, TAG_PROFILE, TAG_REPLACEMENT,
						 TAG_VARIABLE };
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)) };
	enum status status = STATUS_OK;

	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]) && !status; i++)
		status = table_remove(app->db, within[i], keys, 2, app->seq, app->err);
	return status;
}

static enum status profile_switched(const struct application *app)
{
	return put_active(app, application_environment(app), application_profile(app));
}

static enum status category_defined(const struct application *app)
{
	return put(app, TAG_CATEGORY, &(struct cell){ .bytes = application_text(app, FIELD_NAME) },
		   &(struct cell){ .bytes = app->payload_bytes });
}

static enum status category_removed(const struct application *app)
{
	struct cell key = cell_text(application_text(app, FIELD_NAME));

	return table_remove(app->db, TAG_CATEGORY, &key, 1, app->seq, app->err);
}

static enum status variable_specified(const struct application *app)
{
	struct cell columns[] = { cell_text(application_text(app, FIELD_CATEGORY)),
				  cell_text(app->payload_bytes) };

	return put(app, TAG_SPECIFICATION,
		   &(struct cell){ .bytes = application_text(app, FIELD_KEY) }, columns);
}

static enum status variable_unspecified(const struct application *app)
{
	struct cell key = cell_text(application_text(app, FIELD_KEY));

	return table_remove(app->db, TAG_SPECIFICATION, &key, 1, app->seq, app->err);
}

static enum status change_variable(const struct application *app, const struct change *change,
				   uint32_t index)
{
	struct cell keys[] = { cell_text(application_environment(app)), cell_text(change->profile),
			       cell_text(change->key) };
	bool sealed = change->op == CHANGE_SEAL;
	uint64_t value_seq = app->seq;
	struct cell columns[TABLE_COLUMNS_MAX];

	if (change->op == CHANGE_UNSET)
		return table_remove(app->db, TAG_VARIABLE, keys, 3, app->seq, app->err);
	if (change->op == CHANGE_COPY) {
		enum status status = table_value_origin(app->db, change->copy_seq,
							change->copy_index, &sealed, app->err);

		if (status)
			return status;
		value_seq = change->copy_seq;
		index = change->copy_index;
	}
	columns[VARIABLE_VALUE_SEQ] = cell_number(value_seq);
	columns[VARIABLE_VALUE_INDEX] = cell_number(index);
	columns[VARIABLE_SEALED] = cell_number(sealed);
	columns[VARIABLE_EXPAND] = cell_number(change->expand);
	return put(app, TAG_VARIABLE, keys, columns);
}

static enum status variables_changed(const struct application *app)
{
	const struct changes *changes = &app->payload->field[FIELD_CHANGES].changes;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < changes->count && !status; i++)
		status = change_variable(app, &changes->entries[i], (uint32_t)i);
	return status;
}

static enum status database_attached(const struct application *app)
{
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)),
			       cell_text(application_text(app, FIELD_NAME)) };

	return put(app, TAG_DATABASE, keys, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status database_detached(const struct application *app)
{
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)),
			       cell_text(application_text(app, FIELD_NAME)) };
	enum status status = table_remove(app->db, TAG_DATABASE, keys, 3, app->seq, app->err);

	return status ? status
		      : table_remove(app->db, TAG_REPLACEMENT, keys, 3, app->seq, app->err);
}

static enum status backup_created(const struct application *app)
{
	struct cell key = cell_number(app->seq);

	return put(app, TAG_BACKUP, &key, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status backup_verified(const struct application *app)
{
	struct cell key = cell_number(payload_get_uint(app->payload, FIELD_BACKUP));

	return put(app, TAG_BACKUP_CHECK, &key, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status backup_removed(const struct application *app)
{
	struct cell key = cell_number(payload_get_uint(app->payload, FIELD_BACKUP));
	enum status status = table_remove(app->db, TAG_BACKUP, &key, 1, app->seq, app->err);

	return status ? status
		      : table_remove(app->db, TAG_BACKUP_CHECK, &key, 1, app->seq, app->err);
}

static enum status replacement_moved_on(const struct application *app)
{
	bool starts = app->payload->type == EVENT_REPLACEMENT_STARTED;
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)),
			       cell_text(application_text(app, FIELD_NAME)) };
	struct cell columns[TABLE_COLUMNS_MAX] = {
		[REPLACEMENT_PHASE] = cell_number(replacement_phase_of(app->payload->type)),
		[REPLACEMENT_STARTED_SEQ] = cell_number(
			starts ? app->seq : payload_get_uint(app->payload, FIELD_REPLACEMENT)),
		[REPLACEMENT_SAFETY_SEQ] =
			cell_number(payload_get_uint(app->payload, FIELD_SAFETY)),
	};

	return put(app, TAG_REPLACEMENT, keys, columns);
}

/* Events about the log itself, or that only head a command, change no state. */
static enum status no_effect(const struct application *app)
{
	(void)app;
	return STATUS_OK;
}

static enum status (*const effects[EVENT_TYPE_COUNT])(const struct application *app) = {
	[EVENT_STORE_CREATED] = no_effect,
	[EVENT_STORE_RECOVERED] = no_effect,
	[EVENT_ENVIRONMENT_CREATED] = environment_created,
	[EVENT_ENVIRONMENT_CHANGED] = put_environment,
	[EVENT_ENVIRONMENT_REMOVED] = environment_removed,
	[EVENT_ENVIRONMENT_SWITCHED] = environment_switched,
	[EVENT_ENVIRONMENT_LOCKED] = environment_locked_effect,
	[EVENT_ENVIRONMENT_UNLOCKED] = environment_unlocked,
	[EVENT_ENVIRONMENT_KEYED] = environment_keyed,
	[EVENT_PROFILE_CREATED] = put_profile,
	[EVENT_PROFILE_CHANGED] = put_profile,
	[EVENT_PROFILE_REMOVED] = profile_removed,
	[EVENT_PROFILE_SWITCHED] = profile_switched,
	[EVENT_CATEGORY_DEFINED] = category_defined,
	[EVENT_CATEGORY_REMOVED] = category_removed,
	[EVENT_VARIABLE_SPECIFIED] = variable_specified,
	[EVENT_VARIABLE_UNSPECIFIED] = variable_unspecified,
	[EVENT_VARIABLES_CHANGED] = variables_changed,
	[EVENT_STATE_ROLLED_BACK] = no_effect,
	[EVENT_DATABASE_ATTACHED] = database_attached,
	[EVENT_DATABASE_DETACHED] = database_detached,
	[EVENT_DATABASE_MOVED] = database_attached,
	[EVENT_BACKUP_CREATED] = backup_created,
	[EVENT_BACKUP_VERIFIED] = backup_verified,
	[EVENT_BACKUP_REMOVED] = backup_removed,
	[EVENT_REPLACEMENT_STARTED] = replacement_moved_on,
	[EVENT_REPLACEMENT_STAGED] = replacement_moved_on,
	[EVENT_REPLACEMENT_COMPLETED] = replacement_moved_on,
	[EVENT_REPLACEMENT_FAILED] = replacement_moved_on,
	[EVENT_REPLACEMENT_UNDONE] = replacement_moved_on,
	[EVENT_ACTION_REFUSED] = no_effect,
};

enum status apply_event(struct db *db, const struct decoded_event *event, struct arena *arena,
			enum apply_rule *ret_broken, struct error *err)
{
	struct application app = {
		.db = db,
		.arena = arena,
		.payload = &event->event.payload,
		.payload_bytes = event->payload_bytes,
		.seq = event->event.seq,
		.err = err,
	};
	enum apply_rule broken;
	enum status status = application_check(&app, &broken);

	if (!status && broken == RULE_NONE)
		status = effects[app.payload->type](&app);
	if (!status)
		*ret_broken = broken;
	return status;
}
