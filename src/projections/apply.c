/*
 * Rules and effects of each event type; see apply.h. First the rules, one function
 * each, driven by the list that apply_rules_of() gives for a type; then the effects, one function
 * for each kind of event. Two tables at the ends of the parts tie them to their names.
 */
#include "projections/apply.h"

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/state_model.h"

#include "base/banned.h"

struct application {
	struct db *db;
	struct arena *arena;
	const struct payload *payload;
	struct slice payload_bytes;
	uint64_t seq;
	struct error *err;
};

static struct slice text(const struct application *app, enum event_field field)
{
	return payload_get_text(app->payload, field);
}

static struct slice environment_of(const struct application *app)
{
	return payload_environment(app->payload);
}

static struct slice profile_of(const struct application *app)
{
	return payload_profile(app->payload);
}

/* Does a row of the key stand now? */
static enum status stands(const struct application *app, enum state_tag tag,
			  const struct cell *keys, bool *ret)
{
	enum status status = table_get_now(app->db, tag, keys, NULL, NULL, app->err);

	if (status && status != STATUS_NOT_FOUND)
		return status;
	*ret = status == STATUS_OK;
	return STATUS_OK;
}

static enum status stands_1(const struct application *app, enum state_tag tag, struct slice a,
			    bool *ret)
{
	return stands(app, tag, &(struct cell){ .bytes = a }, ret);
}

static enum status stands_2(const struct application *app, enum state_tag tag, struct slice a,
			    struct slice b, bool *ret)
{
	return stands(app, tag, (struct cell[]){ cell_text(a), cell_text(b) }, ret);
}

static enum status stands_3(const struct application *app, enum state_tag tag, struct slice a,
			    struct slice b, struct slice c, bool *ret)
{
	return stands(app, tag, (struct cell[]){ cell_text(a), cell_text(b), cell_text(c) }, ret);
}

/* Is @name the active one of @scope (an environment, or "" for the store)? */
static enum status is_active(const struct application *app, struct slice scope, struct slice name,
			     bool *ret)
{
	struct cell key = cell_text(scope);
	struct table_row row;
	enum status status = table_get_now(app->db, TAG_ACTIVE, &key, app->arena, &row, app->err);

	if (status && status != STATUS_NOT_FOUND)
		return status;
	*ret = !status && slice_equal(row.column[ACTIVE_NAME].bytes, name);
	return STATUS_OK;
}

/* A walk that looks for a row whose text column is the wanted one. */
struct search {
	unsigned column;
	struct slice wanted;
	bool found;
};

static enum status search_visit(void *context, const struct table_row *row, struct error *err)
{
	struct search *search = context;

	(void)err;
	if (slice_equal(row->column[search->column].bytes, search->wanted))
		search->found = true;
	return STATUS_OK;
}

static enum status base_unused(const struct application *app, bool *ret)
{
	struct cell key = cell_text(environment_of(app));
	struct search search = { .column = PROFILE_BASE, .wanted = profile_of(app) };
	enum status status = table_each(app->db, TAG_PROFILE, &key, 1, UINT64_MAX, search_visit,
					&search, app->err);

	*ret = !search.found;
	return status;
}

static enum status category_unused(const struct application *app, bool *ret)
{
	struct search search = { .column = SPECIFICATION_CATEGORY,
				 .wanted = text(app, FIELD_NAME) };
	enum status status = table_each(app->db, TAG_SPECIFICATION, NULL, 0, UINT64_MAX,
					search_visit, &search, app->err);

	*ret = !search.found;
	return status;
}

/*
 * The profiles that stand form no circle, so a new one leads through the profile itself. Tables
 * that are damaged may hold any other: the walk notices it when it comes to `mark` again, which
 * moves to ever later places (R. P. Brent, An improved Monte Carlo factorization algorithm, 1980).
 */
static enum status base_acyclic(const struct application *app, bool *ret)
{
	struct slice at = text(app, FIELD_BASE);
	struct slice mark = slice_of("", 0);

	for (uint64_t steps = 1; at.len; steps++) {
		struct cell keys[] = { cell_text(environment_of(app)), cell_text(at) };
		struct table_row row;
		enum status status;

		if (slice_equal(at, profile_of(app))) {
			*ret = false;
			return STATUS_OK;
		}
		if (slice_equal(at, mark))
			return db_refuse(app->db, "bases form a circle", app->err);
		if ((steps & (steps - 1)) == 0)
			mark = at;
		status = table_get_now(app->db, TAG_PROFILE, keys, app->arena, &row, app->err);
		if (status == STATUS_NOT_FOUND)
			return db_refuse(app->db, "a base is missing", app->err);
		if (status)
			return status;
		at = row.column[PROFILE_BASE].bytes;
	}
	*ret = true;
	return STATUS_OK;
}

static enum status last_generation(void *context, const struct table_row *row, struct error *err)
{
	uint64_t *last = context;

	(void)err;
	*last = (uint64_t)row->key[1].number;
	return STATUS_OK;
}

static enum status key_generation(const struct application *app, bool *ret)
{
	struct cell key = cell_text(environment_of(app));
	uint64_t last = 0;
	enum status status =
		table_each(app->db, TAG_KEY, &key, 1, UINT64_MAX, last_generation, &last, app->err);

	*ret = payload_get_uint(app->payload, FIELD_GENERATION) == last + 1;
	return status;
}

static enum status environment_exists(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_ENVIRONMENT, environment_of(app), ret);
}

static enum status environment_absent(const struct application *app, bool *ret)
{
	enum status status = stands_1(app, TAG_ENVIRONMENT, environment_of(app), ret);

	*ret = !*ret;
	return status;
}

static enum status environment_inactive(const struct application *app, bool *ret)
{
	enum status status = is_active(app, slice_str(""), environment_of(app), ret);

	*ret = !*ret;
	return status;
}

static enum status environment_locked(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_LOCK, environment_of(app), ret);
}

static enum status profile_absent(const struct application *app, bool *ret)
{
	enum status status = stands_2(app, TAG_PROFILE, environment_of(app), profile_of(app), ret);

	*ret = !*ret;
	return status;
}

static enum status profile_inactive(const struct application *app, bool *ret)
{
	enum status status = is_active(app, environment_of(app), profile_of(app), ret);

	*ret = !*ret;
	return status;
}

static enum status base_exists(const struct application *app, bool *ret)
{
	*ret = true;
	if (!app->payload->field[FIELD_BASE].present)
		return STATUS_OK;
	return stands_2(app, TAG_PROFILE, environment_of(app), text(app, FIELD_BASE), ret);
}

static enum status category_exists(const struct application *app, bool *ret)
{
	bool names = app->payload->field[FIELD_CATEGORY].present;

	*ret = true;
	if (app->payload->type == EVENT_VARIABLE_SPECIFIED && !names)
		return STATUS_OK;
	return stands_1(app, TAG_CATEGORY, text(app, names ? FIELD_CATEGORY : FIELD_NAME), ret);
}

static enum status specification_exists(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_SPECIFICATION, text(app, FIELD_KEY), ret);
}

static enum status database_exists(const struct application *app, bool *ret)
{
	return stands_3(app, TAG_DATABASE, environment_of(app), profile_of(app),
			text(app, FIELD_NAME), ret);
}

static enum status target_older(const struct application *app, bool *ret)
{
	uint64_t target = payload_get_uint(app->payload, FIELD_TARGET_SEQ);

	*ret = target >= 1 && target < app->seq;
	return STATUS_OK;
}

typedef enum status (*change_check)(const struct application *app, const struct change *change,
				    bool *ret);

/* Does the rule hold for every change? */
static enum status each_change(const struct application *app, change_check check, bool *ret)
{
	const struct changes *changes = &app->payload->field[FIELD_CHANGES].changes;

	*ret = true;
	for (size_t i = 0; i < changes->count && *ret; i++) {
		enum status status = check(app, &changes->entries[i], ret);

		if (status)
			return status;
	}
	return STATUS_OK;
}

/* Changes are in order of their profiles: each is asked for once. */
static enum status changed_profiles_exist(const struct application *app, bool *ret)
{
	const struct changes *changes = &app->payload->field[FIELD_CHANGES].changes;
	struct slice asked = slice_of("", 0);
	enum status status = STATUS_OK;

	*ret = true;
	for (size_t i = 0; i < changes->count && *ret && !status; i++) {
		struct slice profile = changes->entries[i].profile;

		if (slice_equal(profile, asked))
			continue;
		asked = profile;
		status = stands_2(app, TAG_PROFILE, environment_of(app), profile, ret);
	}
	return status;
}

static enum status profile_exists(const struct application *app, bool *ret)
{
	if (app->payload->type == EVENT_VARIABLES_CHANGED)
		return changed_profiles_exist(app, ret);
	return stands_2(app, TAG_PROFILE, environment_of(app), profile_of(app), ret);
}

static enum status change_variable_set(const struct application *app, const struct change *change,
				       bool *ret)
{
	if (change->op != CHANGE_UNSET)
		return STATUS_OK;
	return stands_3(app, TAG_VARIABLE, environment_of(app), change->profile, change->key, ret);
}

static enum status variable_set(const struct application *app, bool *ret)
{
	return each_change(app, change_variable_set, ret);
}

static enum status change_copy_target(const struct application *app, const struct change *change,
				      bool *ret)
{
	enum status status;
	bool sealed;

	if (change->op != CHANGE_COPY)
		return STATUS_OK;
	status = change->copy_seq < app->seq
			 ? table_value_origin(app->db, change->copy_seq, change->copy_index,
					      &sealed, app->err)
			 : STATUS_NOT_FOUND;
	*ret = status == STATUS_OK;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status copy_target(const struct application *app, bool *ret)
{
	return each_change(app, change_copy_target, ret);
}

static enum status (*const rules[])(const struct application *app, bool *ret) = {
	[RULE_ENVIRONMENT_EXISTS] = environment_exists,
	[RULE_ENVIRONMENT_ABSENT] = environment_absent,
	[RULE_ENVIRONMENT_INACTIVE] = environment_inactive,
	[RULE_ENVIRONMENT_LOCKED] = environment_locked,
	[RULE_KEY_GENERATION] = key_generation,
	[RULE_PROFILE_EXISTS] = profile_exists,
	[RULE_PROFILE_ABSENT] = profile_absent,
	[RULE_PROFILE_INACTIVE] = profile_inactive,
	[RULE_BASE_EXISTS] = base_exists,
	[RULE_BASE_ACYCLIC] = base_acyclic,
	[RULE_BASE_UNUSED] = base_unused,
	[RULE_CATEGORY_EXISTS] = category_exists,
	[RULE_CATEGORY_UNUSED] = category_unused,
	[RULE_SPECIFICATION_EXISTS] = specification_exists,
	[RULE_VARIABLE_SET] = variable_set,
	[RULE_COPY_TARGET] = copy_target,
	[RULE_TARGET_OLDER] = target_older,
	[RULE_DATABASE_EXISTS] = database_exists,
};

static enum status check_rules(const struct application *app, enum apply_rule *ret_broken)
{
	const enum apply_rule *rule = apply_rules_of(app->payload->type);

	for (; *rule != RULE_NONE; rule++) {
		bool holds = true;
		enum status status = rules[*rule](app, &holds);

		if (status)
			return status;
		if (!holds) {
			*ret_broken = *rule;
			return STATUS_OK;
		}
	}
	*ret_broken = RULE_NONE;
	return STATUS_OK;
}

/* Effects. Rules hold when these run. */

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
	return put(app, TAG_ENVIRONMENT, &(struct cell){ .bytes = environment_of(app) }, columns);
}

static enum status put_profile(const struct application *app)
{
	struct cell keys[] = { cell_text(environment_of(app)), cell_text(profile_of(app)) };
	struct cell columns[] = { cell_text(text(app, FIELD_BASE)),
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
	struct slice name = text(app, FIELD_NAME), profile = text(app, FIELD_PROFILE);
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
						 TAG_LOCK, TAG_PROFILE };
	struct cell key = cell_text(text(app, FIELD_NAME));
	struct application own = *app;
	enum status status = table_each(app->db, TAG_PROFILE, &key, 1, UINT64_MAX, remove_variables,
					&own, app->err);

	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]) && !status; i++)
		status = table_remove(app->db, within[i], &key, 1, app->seq, app->err);
	return status;
}

static enum status environment_switched(const struct application *app)
{
	return put_active(app, slice_str(""), text(app, FIELD_NAME));
}

static enum status environment_locked_effect(const struct application *app)
{
	struct cell until = cell_number(payload_get_uint(app->payload, FIELD_UNTIL_MS));

	return put(app, TAG_LOCK, &(struct cell){ .bytes = text(app, FIELD_NAME) }, &until);
}

static enum status environment_unlocked(const struct application *app)
{
	struct cell key = cell_text(text(app, FIELD_NAME));

	return table_remove(app->db, TAG_LOCK, &key, 1, app->seq, app->err);
}

static enum status environment_keyed(const struct application *app)
{
	struct cell keys[] = { cell_text(text(app, FIELD_NAME)),
			       cell_number(payload_get_uint(app->payload, FIELD_GENERATION)) };

	return put(app, TAG_KEY, keys, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status profile_removed(const struct application *app)
{
	static const enum state_tag within[] = { TAG_DATABASE, TAG_PROFILE, TAG_VARIABLE };
	struct cell keys[] = { cell_text(environment_of(app)), cell_text(profile_of(app)) };
	enum status status = STATUS_OK;

	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]) && !status; i++)
		status = table_remove(app->db, within[i], keys, 2, app->seq, app->err);
	return status;
}

static enum status profile_switched(const struct application *app)
{
	return put_active(app, environment_of(app), profile_of(app));
}

static enum status category_defined(const struct application *app)
{
	return put(app, TAG_CATEGORY, &(struct cell){ .bytes = text(app, FIELD_NAME) },
		   &(struct cell){ .bytes = app->payload_bytes });
}

static enum status category_removed(const struct application *app)
{
	struct cell key = cell_text(text(app, FIELD_NAME));

	return table_remove(app->db, TAG_CATEGORY, &key, 1, app->seq, app->err);
}

static enum status variable_specified(const struct application *app)
{
	struct cell columns[] = { cell_text(text(app, FIELD_CATEGORY)),
				  cell_text(app->payload_bytes) };

	return put(app, TAG_SPECIFICATION, &(struct cell){ .bytes = text(app, FIELD_KEY) },
		   columns);
}

static enum status variable_unspecified(const struct application *app)
{
	struct cell key = cell_text(text(app, FIELD_KEY));

	return table_remove(app->db, TAG_SPECIFICATION, &key, 1, app->seq, app->err);
}

static enum status change_variable(const struct application *app, const struct change *change,
				   uint32_t index)
{
	struct cell keys[] = { cell_text(environment_of(app)), cell_text(change->profile),
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
	struct cell keys[] = { cell_text(environment_of(app)), cell_text(profile_of(app)),
			       cell_text(text(app, FIELD_NAME)) };

	return put(app, TAG_DATABASE, keys, &(struct cell){ .bytes = app->payload_bytes });
}

static enum status database_detached(const struct application *app)
{
	struct cell keys[] = { cell_text(environment_of(app)), cell_text(profile_of(app)),
			       cell_text(text(app, FIELD_NAME)) };

	return table_remove(app->db, TAG_DATABASE, keys, 3, app->seq, app->err);
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
	enum status status = check_rules(&app, &broken);

	if (!status && broken == RULE_NONE)
		status = effects[app.payload->type](&app);
	if (!status)
		*ret_broken = broken;
	return status;
}
