/*
 * The effects of folding: what an event does to the state once its rules hold; see fold_parts.h.
 * One function for each type of event.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "replay/fold.h"
#include "replay/fold_parts.h"
#include "replay/ordered_map.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/state_model.h"

#include "base/banned.h"

enum status folding_put(const struct folding *folding, enum state_tag tag,
			const struct slice *names, size_t count, struct slice value)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status;

	state_path(&path, tag, names, count);
	status = buf_status(&path, folding->err);
	return status ? status
		      : map_put(&folding->fold->state, buf_slice(&path), value, folding->err);
}

static enum status drop(const struct folding *folding, enum state_tag tag,
			const struct slice *names, size_t count)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status;

	state_path(&path, tag, names, count);
	status = buf_status(&path, folding->err);
	if (status)
		return status;
	return map_remove(&folding->fold->state, buf_slice(&path), folding->err);
}

static enum status drop_below(const struct folding *folding, enum state_tag tag, struct slice a,
			      struct slice b)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT;
	enum status status;

	folding_prefix(&prefix, tag, a, b);
	status = buf_status(&prefix, folding->err);
	if (status)
		return status;
	return map_remove_prefix(&folding->fold->state, buf_slice(&prefix), folding->err);
}

static enum status put_1(const struct folding *folding, enum state_tag tag, struct slice name,
			 struct slice value)
{
	return folding_put(folding, tag, &name, name.len ? 1 : 0, value);
}

static enum status langmap(const struct folding *folding, enum event_field field, struct buf *ret)
{
	if (!folding->payload->field[field].present)
		return STATUS_OK;
	return langmap_encode(&folding->payload->field[field].langmap, ret, folding->err);
}

static enum status put_environment(const struct folding *folding)
{
	AUTO(buf_release) struct buf title = BUF_INIT;
	AUTO(buf_release) struct buf description = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = langmap(folding, FIELD_TITLE, &title);

	if (!status)
		status = langmap(folding, FIELD_DESCRIPTION, &description);
	if (!status)
		status = state_value_environment(
			&value, payload_get_bool(folding->payload, FIELD_PROTECTED),
			buf_slice(&title), buf_slice(&description), folding->err);
	if (!status)
		status = put_1(folding, TAG_ENVIRONMENT, folding_environment(folding),
			       buf_slice(&value));
	return status;
}

static enum status put_profile_value(const struct folding *folding, struct slice name,
				     struct slice base)
{
	bool bare = folding->payload->type == EVENT_ENVIRONMENT_CREATED;
	struct slice names[] = { folding_environment(folding), name };
	AUTO(buf_release) struct buf title = BUF_INIT;
	AUTO(buf_release) struct buf description = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = bare ? STATUS_OK : langmap(folding, FIELD_TITLE, &title);

	if (!status && !bare)
		status = langmap(folding, FIELD_DESCRIPTION, &description);
	if (!status)
		status = state_value_profile(&value, base, buf_slice(&title),
					     buf_slice(&description), folding->err);
	return status ? status : folding_put(folding, TAG_PROFILE, names, 2, buf_slice(&value));
}

static enum status put_profile(const struct folding *folding)
{
	return put_profile_value(folding, folding_profile(folding),
				 folding_text(folding, FIELD_BASE));
}

static enum status environment_created(const struct folding *folding)
{
	enum status status = put_environment(folding);

	if (!status)
		status = put_profile_value(folding, folding_text(folding, FIELD_PROFILE), NO_NAME);
	if (!status)
		status = put_1(folding, TAG_ACTIVE, folding_environment(folding),
			       folding_text(folding, FIELD_PROFILE));
	return status;
}

static enum status environment_removed(const struct folding *folding)
{
	static const enum state_tag alone[] = { TAG_ACTIVE, TAG_ENVIRONMENT, TAG_LOCK };
	static const enum state_tag below[] = { TAG_DATABASE, TAG_PROFILE, TAG_REPLACEMENT,
						TAG_VARIABLE };
	struct slice name = folding_environment(folding);
	enum status status = STATUS_OK;

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]) && !status; i++)
		status = drop(folding, alone[i], &name, 1);
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]) && !status; i++)
		status = drop_below(folding, below[i], name, NO_NAME);
	return status;
}

static enum status environment_switched(const struct folding *folding)
{
	return put_1(folding, TAG_ACTIVE, NO_NAME, folding_environment(folding));
}

static enum status environment_locked_effect(const struct folding *folding)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = state_value_lock(
		&value, payload_get_uint(folding->payload, FIELD_UNTIL_MS), folding->err);

	return status ? status
		      : put_1(folding, TAG_LOCK, folding_environment(folding), buf_slice(&value));
}

static enum status environment_unlocked(const struct folding *folding)
{
	struct slice name = folding_environment(folding);

	return drop(folding, TAG_LOCK, &name, 1);
}

static enum status environment_keyed(const struct folding *folding)
{
	uint8_t generation[8];
	struct slice names[] = { folding_environment(folding),
				 slice_of(generation, sizeof(generation)) };

	store_u64be(generation, payload_get_uint(folding->payload, FIELD_GENERATION));
	return folding_put(folding, TAG_KEY, names, 2, folding->payload_bytes);
}

static enum status profile_removed(const struct folding *folding)
{
	struct slice names[] = { folding_environment(folding), folding_profile(folding) };
	enum status status = drop(folding, TAG_PROFILE, names, 2);

	if (!status)
		status = drop_below(folding, TAG_DATABASE, names[0], names[1]);
	if (!status)
		status = drop_below(folding, TAG_REPLACEMENT, names[0], names[1]);
	if (!status)
		status = drop_below(folding, TAG_VARIABLE, names[0], names[1]);
	return status;
}

static enum status profile_switched(const struct folding *folding)
{
	return put_1(folding, TAG_ACTIVE, folding_environment(folding), folding_profile(folding));
}

static enum status category_defined(const struct folding *folding)
{
	return put_1(folding, TAG_CATEGORY, folding_text(folding, FIELD_NAME),
		     folding->payload_bytes);
}

static enum status category_removed(const struct folding *folding)
{
	struct slice name = folding_text(folding, FIELD_NAME);

	return drop(folding, TAG_CATEGORY, &name, 1);
}

static enum status variable_specified(const struct folding *folding)
{
	return put_1(folding, TAG_SPECIFICATION, folding_text(folding, FIELD_KEY),
		     folding->payload_bytes);
}

static enum status variable_unspecified(const struct folding *folding)
{
	struct slice key = folding_text(folding, FIELD_KEY);

	return drop(folding, TAG_SPECIFICATION, &key, 1);
}

static enum status change_variable(const struct folding *folding, const struct change *change)
{
	struct slice names[] = { folding_environment(folding), change->profile, change->key };
	AUTO(buf_release) struct buf value = BUF_INIT;
	const struct change *holder = change;
	enum status status = STATUS_OK;

	if (change->op == CHANGE_UNSET)
		return drop(folding, TAG_VARIABLE, names, 3);
	if (change->op == CHANGE_COPY)
		status = folding_copied(folding, change, &holder);
	if (status)
		return status;
	assert(holder); /* the rule copy-target holds */
	status = state_value_variable(
		&value, change->expand, holder->op == CHANGE_SEAL,
		holder->op == CHANGE_SEAL ? holder->commitment : holder->value, folding->err);
	return status ? status : folding_put(folding, TAG_VARIABLE, names, 3, buf_slice(&value));
}

static enum status variables_changed(const struct folding *folding)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < changes->count && !status; i++)
		status = change_variable(folding, &changes->entries[i]);
	return status;
}

static enum status database_attached(const struct folding *folding)
{
	struct slice names[] = { folding_environment(folding), folding_profile(folding),
				 folding_text(folding, FIELD_NAME) };

	return folding_put(folding, TAG_DATABASE, names, 3, folding->payload_bytes);
}

static enum status database_detached(const struct folding *folding)
{
	struct slice names[] = { folding_environment(folding), folding_profile(folding),
				 folding_text(folding, FIELD_NAME) };

	enum status status = drop(folding, TAG_DATABASE, names, 3);

	return status ? status : drop(folding, TAG_REPLACEMENT, names, 3);
}

/* A backup is known by the number of an event. */
static enum status put_numbered(const struct folding *folding, enum state_tag tag, uint64_t seq)
{
	uint8_t number[8];
	struct slice name;

	store_u64be(number, seq);
	name = slice_of(number, sizeof(number));
	return folding_put(folding, tag, &name, 1, folding->payload_bytes);
}

static enum status backup_created(const struct folding *folding)
{
	return put_numbered(folding, TAG_BACKUP, folding->seq);
}

static enum status backup_verified(const struct folding *folding)
{
	return put_numbered(folding, TAG_BACKUP_CHECK,
			    payload_get_uint(folding->payload, FIELD_BACKUP));
}

static enum status backup_removed(const struct folding *folding)
{
	uint8_t number[8];
	struct slice name;
	enum status status;

	store_u64be(number, payload_get_uint(folding->payload, FIELD_BACKUP));
	name = slice_of(number, sizeof(number));
	status = drop(folding, TAG_BACKUP, &name, 1);
	return status ? status : drop(folding, TAG_BACKUP_CHECK, &name, 1);
}

static enum status replacement_moved_on(const struct folding *folding)
{
	const struct payload *payload = folding->payload;
	bool starts = payload->type == EVENT_REPLACEMENT_STARTED;
	struct slice names[] = { folding_environment(folding), folding_profile(folding),
				 folding_text(folding, FIELD_NAME) };
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = state_value_replacement(
		&value, replacement_phase_of(payload->type),
		starts ? folding->seq : payload_get_uint(payload, FIELD_REPLACEMENT),
		payload_get_uint(payload, FIELD_SAFETY), folding->err);

	return status ? status : folding_put(folding, TAG_REPLACEMENT, names, 3, buf_slice(&value));
}

static enum status no_effect(const struct folding *folding)
{
	(void)folding;
	return STATUS_OK;
}

static enum status (*const effects[EVENT_TYPE_COUNT])(const struct folding *folding) = {
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

enum status folding_effect(const struct folding *folding)
{
	return effects[folding->payload->type](folding);
}
