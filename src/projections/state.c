/*
 * Typed reads over the temporal tables; see state.h.
 */
#include "projections/state.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "projections/row_check.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/payload_clone.h"
#include "store/state_model.h"

#include "base/banned.h"

static struct db *db_of(const struct state_view *view)
{
	return projection_db(view->projection);
}

static enum status get(const struct state_view *view, enum state_tag tag, const struct cell *keys,
		       struct table_row *ret, struct error *err)
{
	enum status status = table_get(db_of(view), tag, keys, view->at, view->arena, ret, err);

	return status ? status : row_check(view->projection, tag, ret, err);
}

/* Rows of a walk, copied into the arena. */
struct rows {
	struct arena *arena;
	struct table_row *items;
	size_t count;
};

static bool keep_cells(struct arena *arena, struct cell *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cells[i].bytes = arena_copy(arena, cells[i].bytes);
		if (!cells[i].bytes.data)
			return false;
	}
	return true;
}

static enum status rows_visit(void *context, const struct table_row *row, struct error *err)
{
	struct rows *rows = context;
	struct table_row *item;

	rows->items = arena_grow(rows->arena, rows->items, rows->count, sizeof(*rows->items));
	if (!rows->items)
		return error_no_memory(err);
	item = &rows->items[rows->count++];
	*item = *row;
	if (!keep_cells(rows->arena, item->key, TABLE_KEYS_MAX) ||
	    !keep_cells(rows->arena, item->column, TABLE_COLUMNS_MAX))
		return error_no_memory(err);
	return STATUS_OK;
}

static enum status collect(const struct state_view *view, enum state_tag tag,
			   const struct cell *keys, unsigned key_count, struct rows *ret,
			   struct error *err)
{
	enum status status;

	*ret = (struct rows){ .arena = view->arena };
	status = table_each(db_of(view), tag, keys, key_count, view->at, rows_visit, ret, err);
	for (size_t i = 0; i < ret->count && !status; i++)
		status = row_check(view->projection, tag, &ret->items[i], err);
	return status;
}

static enum status active_of(const struct state_view *view, struct slice scope, struct slice *ret,
			     struct error *err)
{
	struct table_row row;
	enum status status = get(view, TAG_ACTIVE, &(struct cell){ .bytes = scope }, &row, err);

	if (status && status != STATUS_NOT_FOUND)
		return status;
	*ret = status ? slice_of("", 0) : row.column[ACTIVE_NAME].bytes;
	return STATUS_OK;
}

enum status state_active_environment(const struct state_view *view, struct slice *ret,
				     struct error *err)
{
	return active_of(view, slice_str(""), ret, err);
}

static enum status fill_environment(const struct state_view *view, const struct table_row *row,
				    struct environment *ret, struct error *err)
{
	struct slice active;
	struct table_row lock;
	enum status status = state_active_environment(view, &active, err);

	if (status)
		return status;
	*ret = (struct environment){
		.name = row->key[0].bytes,
		.title = row->column[ENVIRONMENT_TITLE].bytes,
		.description = row->column[ENVIRONMENT_DESCRIPTION].bytes,
		.seq = row->from_seq,
		.is_protected = row->column[ENVIRONMENT_PROTECTED].number != 0,
		.active = slice_equal(active, row->key[0].bytes),
	};
	status = active_of(view, ret->name, &ret->profile, err);
	if (status)
		return status;
	status = get(view, TAG_LOCK, &row->key[0], &lock, err);
	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (status)
		return status;
	ret->locked = true;
	ret->lock_seq = lock.from_seq;
	ret->until_ms = (uint64_t)lock.column[LOCK_UNTIL_MS].number;
	return STATUS_OK;
}

enum status state_environment(const struct state_view *view, struct slice name,
			      struct environment *ret, struct error *err)
{
	struct table_row row;
	enum status status = get(view, TAG_ENVIRONMENT, &(struct cell){ .bytes = name }, &row, err);

	return status ? status : fill_environment(view, &row, ret, err);
}

enum status state_environments(const struct state_view *view, struct environment **ret,
			       size_t *ret_count, struct error *err)
{
	struct environment *items;
	struct rows rows;
	enum status status = collect(view, TAG_ENVIRONMENT, NULL, 0, &rows, err);

	if (status)
		return status;
	items = arena_array(view->arena, rows.count, sizeof(*items));
	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < rows.count; i++) {
		status = fill_environment(view, &rows.items[i], &items[i], err);
		if (status)
			return status;
	}
	*ret = items;
	*ret_count = rows.count;
	return STATUS_OK;
}

static void fill_profile(const struct table_row *row, struct slice active, struct profile *ret)
{
	*ret = (struct profile){
		.environment = row->key[0].bytes,
		.name = row->key[1].bytes,
		.base = row->column[PROFILE_BASE].bytes,
		.title = row->column[PROFILE_TITLE].bytes,
		.description = row->column[PROFILE_DESCRIPTION].bytes,
		.seq = row->from_seq,
		.active = slice_equal(active, row->key[1].bytes),
	};
}

enum status state_profile(const struct state_view *view, struct slice environment,
			  struct slice name, struct profile *ret, struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(name) };
	struct table_row row;
	struct slice active;
	enum status status = get(view, TAG_PROFILE, keys, &row, err);

	if (!status)
		status = active_of(view, environment, &active, err);
	if (!status)
		fill_profile(&row, active, ret);
	return status;
}

enum status state_profiles(const struct state_view *view, struct slice environment,
			   struct profile **ret, size_t *ret_count, struct error *err)
{
	struct cell key = cell_text(environment);
	struct profile *items;
	struct slice active;
	struct rows rows;
	enum status status = collect(view, TAG_PROFILE, &key, 1, &rows, err);

	if (!status)
		status = active_of(view, environment, &active, err);
	if (status)
		return status;
	items = arena_array(view->arena, rows.count, sizeof(*items));
	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < rows.count; i++)
		fill_profile(&rows.items[i], active, &items[i]);
	*ret = items;
	*ret_count = rows.count;
	return STATUS_OK;
}

static void fill_variable(const struct table_row *row, struct variable *ret)
{
	*ret = (struct variable){
		.environment = row->key[0].bytes,
		.profile = row->key[1].bytes,
		.key = row->key[2].bytes,
		.value_seq = (uint64_t)row->column[VARIABLE_VALUE_SEQ].number,
		.value_index = (uint32_t)row->column[VARIABLE_VALUE_INDEX].number,
		.seq = row->from_seq,
		.sealed = row->column[VARIABLE_SEALED].number != 0,
		.expand = row->column[VARIABLE_EXPAND].number != 0,
	};
}

enum status state_variable(const struct state_view *view, struct slice environment,
			   struct slice profile, struct slice key, struct variable *ret,
			   struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(profile), cell_text(key) };
	struct table_row row;
	enum status status = get(view, TAG_VARIABLE, keys, &row, err);

	if (!status)
		fill_variable(&row, ret);
	return status;
}

enum status state_variables(const struct state_view *view, struct slice environment,
			    struct slice profile, struct variable **ret, size_t *ret_count,
			    struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(profile) };
	struct variable *items;
	struct rows rows;
	enum status status = collect(view, TAG_VARIABLE, keys, 2, &rows, err);

	if (status)
		return status;
	items = arena_array(view->arena, rows.count, sizeof(*items));
	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < rows.count; i++)
		fill_variable(&rows.items[i], &items[i]);
	*ret = items;
	*ret_count = rows.count;
	return STATUS_OK;
}

/* A row of a table that keeps a whole payload, which row_check() found to be its event's. */
static enum status fill_definition(const struct state_view *view, unsigned column,
				   const struct table_row *row, struct definition *ret,
				   struct error *err)
{
	const struct payload *payload;
	const struct read_event *event;
	enum status status =
		event_reader_get(projection_reader(view->projection), row->from_seq, &event, err);

	if (!status)
		status = payload_clone(view->arena, &event->decoded.event.payload, &payload, err);
	if (status)
		return status;
	*ret = (struct definition){ .payload = payload,
				    .bytes = row->column[column].bytes,
				    .seq = row->from_seq };
	return STATUS_OK;
}

/* Where the tables that keep a whole payload keep it. */
static unsigned definition_column(enum state_tag tag)
{
	return tag == TAG_SPECIFICATION ? SPECIFICATION_DEFINITION : 0;
}

static enum status get_definition(const struct state_view *view, enum state_tag tag,
				  const struct cell *keys, struct definition *ret,
				  struct error *err)
{
	struct table_row row;
	enum status status = get(view, tag, keys, &row, err);

	return status ? status : fill_definition(view, definition_column(tag), &row, ret, err);
}

/* NOLINTNEXTLINE(readability-function-size): a question in full, and where its answer goes */
static enum status collect_definitions(const struct state_view *view, enum state_tag tag,
				       const struct cell *keys, unsigned key_count,
				       struct definition **ret, size_t *ret_count,
				       struct error *err)
{
	struct definition *items;
	struct rows rows;
	enum status status = collect(view, tag, keys, key_count, &rows, err);

	if (status)
		return status;
	items = arena_array(view->arena, rows.count, sizeof(*items));
	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < rows.count; i++) {
		status = fill_definition(view, definition_column(tag), &rows.items[i], &items[i],
					 err);
		if (status)
			return status;
	}
	*ret = items;
	*ret_count = rows.count;
	return STATUS_OK;
}

enum status state_category(const struct state_view *view, struct slice name, struct definition *ret,
			   struct error *err)
{
	return get_definition(view, TAG_CATEGORY, &(struct cell){ .bytes = name }, ret, err);
}

enum status state_categories(const struct state_view *view, struct definition **ret,
			     size_t *ret_count, struct error *err)
{
	return collect_definitions(view, TAG_CATEGORY, NULL, 0, ret, ret_count, err);
}

enum status state_specification(const struct state_view *view, struct slice key,
				struct definition *ret, struct error *err)
{
	return get_definition(view, TAG_SPECIFICATION, &(struct cell){ .bytes = key }, ret, err);
}

enum status state_specifications(const struct state_view *view, struct definition **ret,
				 size_t *ret_count, struct error *err)
{
	return collect_definitions(view, TAG_SPECIFICATION, NULL, 0, ret, ret_count, err);
}

enum status state_databases(const struct state_view *view, struct slice environment,
			    struct slice profile, struct definition **ret, size_t *ret_count,
			    struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(profile) };

	return collect_definitions(view, TAG_DATABASE, keys, 2, ret, ret_count, err);
}

enum status state_database(const struct state_view *view, struct slice environment,
			   struct slice profile, struct slice name, struct definition *ret,
			   struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(profile), cell_text(name) };

	return get_definition(view, TAG_DATABASE, keys, ret, err);
}

enum status state_backup(const struct state_view *view, uint64_t seq, struct definition *ret,
			 struct error *err)
{
	struct cell key = cell_number(seq);

	return get_definition(view, TAG_BACKUP, &key, ret, err);
}

enum status state_backups(const struct state_view *view, struct definition **ret, size_t *ret_count,
			  struct error *err)
{
	return collect_definitions(view, TAG_BACKUP, NULL, 0, ret, ret_count, err);
}

enum status state_backup_check(const struct state_view *view, uint64_t seq, struct definition *ret,
			       struct error *err)
{
	struct cell key = cell_number(seq);

	return get_definition(view, TAG_BACKUP_CHECK, &key, ret, err);
}

enum status state_replacement(const struct state_view *view, struct slice environment,
			      struct slice profile, struct slice name, struct replacement *ret,
			      struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_text(profile), cell_text(name) };
	struct table_row row;
	enum status status = get(view, TAG_REPLACEMENT, keys, &row, err);

	if (status)
		return status;
	*ret = (struct replacement){
		.phase = (enum replacement_phase)row.column[REPLACEMENT_PHASE].number,
		.started = (uint64_t)row.column[REPLACEMENT_STARTED_SEQ].number,
		.safety = (uint64_t)row.column[REPLACEMENT_SAFETY_SEQ].number,
		.seq = row.from_seq,
	};
	return STATUS_OK;
}

enum status state_environment_key(const struct state_view *view, struct slice environment,
				  uint64_t generation, struct definition *ret, struct error *err)
{
	struct cell keys[] = { cell_text(environment), cell_number(generation) };
	struct definition *all;
	size_t count;
	enum status status;

	if (generation)
		return get_definition(view, TAG_KEY, keys, ret, err);
	status = collect_definitions(view, TAG_KEY, keys, 1, &all, &count, err);
	if (status)
		return status;
	if (count == 0)
		return STATUS_NOT_FOUND;
	*ret = all[count - 1];
	return STATUS_OK;
}

enum status state_violations(const struct state_view *view, struct violation **ret,
			     size_t *ret_count, struct error *err)
{
	struct violation *items;
	struct rows rows;
	enum status status = collect(view, TAG_VIOLATION, NULL, 0, &rows, err);

	if (status)
		return status;
	items = arena_array(view->arena, rows.count, sizeof(*items));
	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < rows.count; i++) {
		items[i].seq = (uint64_t)rows.items[i].key[0].number;
		items[i].rule = (enum apply_rule)rows.items[i].column[VIOLATION_RULE].number;
	}
	*ret = items;
	*ret_count = rows.count;
	return STATUS_OK;
}

static enum status contradiction(const struct state_view *view, const struct variable *variable,
				 struct error *err)
{
	projection_mark_damaged(view->projection);
	return error_set(err, STATUS_CORRUPT,
			 "state: the row of " SLICE_FMT " contradicts event %" PRIu64,
			 SLICE_ARG(variable->key), variable->seq);
}

/* The change of (profile, key) in the event, by bisection: changes are ascending. */
static const struct change *find_change(const struct payload *payload,
					const struct variable *variable, uint32_t *ret_index)
{
	const struct changes *changes = &payload->field[FIELD_CHANGES].changes;
	size_t low = 0, high;

	if (payload->type != EVENT_VARIABLES_CHANGED ||
	    !slice_equal(payload_get_text(payload, FIELD_ENVIRONMENT), variable->environment))
		return NULL;
	for (high = changes->count; low < high;) {
		size_t middle = low + (high - low) / 2;
		const struct change *change = &changes->entries[middle];
		int order = slice_compare(change->profile, variable->profile);

		if (order == 0)
			order = slice_compare(change->key, variable->key);
		if (order == 0) {
			*ret_index = (uint32_t)middle;
			return change;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Does the event that put the row in force say what the row says? */
static bool row_agrees(const struct variable *variable, const struct change *change, uint32_t index)
{
	if (change->expand != variable->expand)
		return false;
	if (change->op == CHANGE_COPY)
		return change->copy_seq == variable->value_seq &&
		       change->copy_index == variable->value_index;
	return change->op != CHANGE_UNSET && variable->value_seq == variable->seq &&
	       variable->value_index == index;
}

static enum status keep_value(const struct state_view *view, const struct event *event,
			      const struct change *change, struct variable_value *ret,
			      struct error *err)
{
	*ret = (struct variable_value){
		.text = arena_copy(view->arena, change->value),
		.commitment = arena_copy(view->arena, change->commitment),
		.sealed = arena_copy(view->arena, change->sealed),
		.part = event->part,
		.sealed_environment = arena_copy(
			view->arena, payload_get_text(&event->payload, FIELD_ENVIRONMENT)),
	};
	memcpy(ret->command_id, event->command_id, COMMAND_ID_BYTES);
	if (!ret->text.data || !ret->commitment.data || !ret->sealed.data ||
	    !ret->sealed_environment.data)
		return error_no_memory(err);
	return STATUS_OK;
}

enum status state_was_plain(const struct state_view *view, struct slice key, bool *ret,
			    struct error *err)
{
	return table_key_was_plain(projection_db(view->projection), key, ret, err);
}

enum status state_value(const struct state_view *view, const struct variable *variable,
			struct variable_value *ret, struct error *err)
{
	struct event_reader *reader = projection_reader(view->projection);
	const struct read_event *event;
	const struct changes *changes;
	const struct change *change;
	uint32_t index = 0;
	enum status status = event_reader_get(reader, variable->seq, &event, err);

	if (status == STATUS_NOT_FOUND)
		return contradiction(view, variable, err);
	if (status)
		return status;
	change = find_change(&event->decoded.event.payload, variable, &index);
	if (!change || !row_agrees(variable, change, index))
		return contradiction(view, variable, err);
	if (variable->value_seq != variable->seq) {
		status = event_reader_get(reader, variable->value_seq, &event, err);
		if (status == STATUS_NOT_FOUND)
			return contradiction(view, variable, err);
		if (status)
			return status;
	}
	changes = &event->decoded.event.payload.field[FIELD_CHANGES].changes;
	if (event->decoded.event.payload.type != EVENT_VARIABLES_CHANGED ||
	    variable->value_index >= changes->count)
		return contradiction(view, variable, err);
	change = &changes->entries[variable->value_index];
	if (change->op != (variable->sealed ? CHANGE_SEAL : CHANGE_SET))
		return contradiction(view, variable, err);
	return keep_value(view, &event->decoded.event, change, ret, err);
}
