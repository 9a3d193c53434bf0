/*
 * Rules of each event type; see apply.h. One function each, driven by the list that
 * apply_rules_of() gives for a type; a table at the end ties them to their names.
 */
#include "projections/apply_parts.h"

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/state_model.h"

#include "base/banned.h"

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
	struct cell key = cell_text(application_environment(app));
	struct search search = { .column = PROFILE_BASE, .wanted = application_profile(app) };
	enum status status = table_each(app->db, TAG_PROFILE, &key, 1, UINT64_MAX, search_visit,
					&search, app->err);

	*ret = !search.found;
	return status;
}

static enum status category_unused(const struct application *app, bool *ret)
{
	struct search search = { .column = SPECIFICATION_CATEGORY,
				 .wanted = application_text(app, FIELD_NAME) };
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
	struct slice at = application_text(app, FIELD_BASE);
	struct slice mark = slice_of("", 0);

	for (uint64_t steps = 1; at.len; steps++) {
		struct cell keys[] = { cell_text(application_environment(app)), cell_text(at) };
		struct table_row row;
		enum status status;

		if (slice_equal(at, application_profile(app))) {
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
	struct cell key = cell_text(application_environment(app));
	uint64_t last = 0;
	enum status status =
		table_each(app->db, TAG_KEY, &key, 1, UINT64_MAX, last_generation, &last, app->err);

	*ret = payload_get_uint(app->payload, FIELD_GENERATION) == last + 1;
	return status;
}

static enum status environment_exists(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_ENVIRONMENT, application_environment(app), ret);
}

static enum status environment_absent(const struct application *app, bool *ret)
{
	enum status status = stands_1(app, TAG_ENVIRONMENT, application_environment(app), ret);

	*ret = !*ret;
	return status;
}

static enum status environment_inactive(const struct application *app, bool *ret)
{
	enum status status = is_active(app, slice_str(""), application_environment(app), ret);

	*ret = !*ret;
	return status;
}

static enum status environment_locked(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_LOCK, application_environment(app), ret);
}

static enum status profile_absent(const struct application *app, bool *ret)
{
	enum status status = stands_2(app, TAG_PROFILE, application_environment(app),
				      application_profile(app), ret);

	*ret = !*ret;
	return status;
}

static enum status profile_inactive(const struct application *app, bool *ret)
{
	enum status status =
		is_active(app, application_environment(app), application_profile(app), ret);

	*ret = !*ret;
	return status;
}

static enum status base_exists(const struct application *app, bool *ret)
{
	*ret = true;
	if (!app->payload->field[FIELD_BASE].present)
		return STATUS_OK;
	return stands_2(app, TAG_PROFILE, application_environment(app),
			application_text(app, FIELD_BASE), ret);
}

static enum status category_exists(const struct application *app, bool *ret)
{
	bool names = app->payload->field[FIELD_CATEGORY].present;

	*ret = true;
	if (app->payload->type == EVENT_VARIABLE_SPECIFIED && !names)
		return STATUS_OK;
	return stands_1(app, TAG_CATEGORY,
			application_text(app, names ? FIELD_CATEGORY : FIELD_NAME), ret);
}

static enum status specification_exists(const struct application *app, bool *ret)
{
	return stands_1(app, TAG_SPECIFICATION, application_text(app, FIELD_KEY), ret);
}

static enum status database_exists(const struct application *app, bool *ret)
{
	return stands_3(app, TAG_DATABASE, application_environment(app), application_profile(app),
			application_text(app, FIELD_NAME), ret);
}

/* The backup that is spoken of, and the one that is the safety copy. */
static enum status backup_exists(const struct application *app, bool *ret)
{
	static const enum event_field fields[] = { FIELD_BACKUP, FIELD_SAFETY };
	enum status status = STATUS_OK;

	*ret = true;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && *ret && !status; i++) {
		struct cell key = cell_number(payload_get_uint(app->payload, fields[i]));

		if (app->payload->field[fields[i]].present)
			status = stands(app, TAG_BACKUP, &key, ret);
	}
	return status;
}

/* The last replacement of the database; NOT_FOUND without one. */
static enum status last_replacement(const struct application *app, struct table_row *ret)
{
	struct cell keys[] = { cell_text(application_environment(app)),
			       cell_text(application_profile(app)),
			       cell_text(application_text(app, FIELD_NAME)) };

	return table_get_now(app->db, TAG_REPLACEMENT, keys, NULL, ret, app->err);
}

static enum status replacement_idle(const struct application *app, bool *ret)
{
	struct table_row row;
	enum status status = last_replacement(app, &row);

	*ret = status == STATUS_NOT_FOUND ||
	       (!status && !replacement_is_unfinished(
				   (enum replacement_phase)row.column[REPLACEMENT_PHASE].number));
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Is the event about the last replacement, and that one in a phase that allows it? */
static enum status continues_last(const struct application *app, bool completed_too, bool *ret)
{
	struct table_row row;
	enum status status = last_replacement(app, &row);
	enum replacement_phase phase;

	*ret = false;
	if (status)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	phase = (enum replacement_phase)row.column[REPLACEMENT_PHASE].number;
	*ret = payload_get_uint(app->payload, FIELD_REPLACEMENT) ==
		       (uint64_t)row.column[REPLACEMENT_STARTED_SEQ].number &&
	       (replacement_is_unfinished(phase) ||
		(completed_too && phase == REPLACEMENT_COMPLETED));
	return STATUS_OK;
}

static enum status replacement_unfinished(const struct application *app, bool *ret)
{
	return continues_last(app, false, ret);
}

static enum status replacement_last(const struct application *app, bool *ret)
{
	return continues_last(app, true, ret);
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
		status = stands_2(app, TAG_PROFILE, application_environment(app), profile, ret);
	}
	return status;
}

static enum status profile_exists(const struct application *app, bool *ret)
{
	if (app->payload->type == EVENT_VARIABLES_CHANGED)
		return changed_profiles_exist(app, ret);
	return stands_2(app, TAG_PROFILE, application_environment(app), application_profile(app),
			ret);
}

static enum status change_variable_set(const struct application *app, const struct change *change,
				       bool *ret)
{
	if (change->op != CHANGE_UNSET)
		return STATUS_OK;
	return stands_3(app, TAG_VARIABLE, application_environment(app), change->profile,
			change->key, ret);
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
	[RULE_BACKUP_EXISTS] = backup_exists,
	[RULE_REPLACEMENT_IDLE] = replacement_idle,
	[RULE_REPLACEMENT_UNFINISHED] = replacement_unfinished,
	[RULE_REPLACEMENT_LAST] = replacement_last,
};

enum status application_check(const struct application *app, enum apply_rule *ret_broken)
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
