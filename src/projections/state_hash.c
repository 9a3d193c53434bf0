/*
 * state_hash/v1 over the tables: the canonical walk of store/state_model.h.
 *
 * Variables are walked profile by profile, since that is how past states are read by index; the
 * order of entries stays the order of paths.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "projections/tables.h"
#include "store/state_model.h"

#include "base/banned.h"

/* A walk of one table into the hasher. */
struct walk {
	const struct state_view *view;
	struct state_hasher *hasher;
	enum state_tag tag;
	struct buf path;
	struct buf value;
	struct arena scratch; /* of one variable's value */
};

static void walk_release(struct walk *walk)
{
	buf_release(&walk->path);
	buf_release(&walk->value);
	arena_release(&walk->scratch);
}

static enum status variable_entry(struct walk *walk, const struct table_row *row, struct error *err)
{
	struct state_view view = *walk->view;
	struct variable variable = {
		.environment = row->key[0].bytes,
		.profile = row->key[1].bytes,
		.key = row->key[2].bytes,
		.value_seq = (uint64_t)row->column[VARIABLE_VALUE_SEQ].number,
		.value_index = (uint32_t)row->column[VARIABLE_VALUE_INDEX].number,
		.seq = row->from_seq,
		.sealed = row->column[VARIABLE_SEALED].number != 0,
		.expand = row->column[VARIABLE_EXPAND].number != 0,
	};
	struct variable_value value;
	enum status status;

	view.arena = &walk->scratch;
	status = state_value(&view, &variable, &value, err);
	if (!status)
		status = state_value_variable(&walk->value, variable.expand, variable.sealed,
					      variable.sealed ? value.commitment : value.text, err);
	arena_release(&walk->scratch);
	return status;
}

static enum status entry_value(struct walk *walk, const struct table_row *row, struct error *err)
{
	const struct cell *column = row->column;

	switch (walk->tag) {
	case TAG_ENVIRONMENT:
		return state_value_environment(&walk->value,
					       column[ENVIRONMENT_PROTECTED].number != 0,
					       column[ENVIRONMENT_TITLE].bytes,
					       column[ENVIRONMENT_DESCRIPTION].bytes, err);
	case TAG_PROFILE:
		return state_value_profile(&walk->value, column[PROFILE_BASE].bytes,
					   column[PROFILE_TITLE].bytes,
					   column[PROFILE_DESCRIPTION].bytes, err);
	case TAG_LOCK:
		return state_value_lock(&walk->value, (uint64_t)column[LOCK_UNTIL_MS].number, err);
	case TAG_VIOLATION:
		return state_value_violation(&walk->value,
					     (enum apply_rule)column[VIOLATION_RULE].number, err);
	case TAG_VARIABLE:
		return variable_entry(walk, row, err);
	case TAG_REPLACEMENT:
		return state_value_replacement(
			&walk->value, (enum replacement_phase)column[REPLACEMENT_PHASE].number,
			(uint64_t)column[REPLACEMENT_STARTED_SEQ].number,
			(uint64_t)column[REPLACEMENT_SAFETY_SEQ].number, err);
	case TAG_ACTIVE:
	case TAG_BACKUP:
	case TAG_BACKUP_CHECK:
	case TAG_CATEGORY:
	case TAG_DATABASE:
	case TAG_KEY:
	case TAG_SPECIFICATION:
	case TAG_COUNT:
	default:
		buf_clear(&walk->value);
		buf_append_slice(&walk->value, walk->tag == TAG_SPECIFICATION
						       ? column[SPECIFICATION_DEFINITION].bytes
						       : column[0].bytes);
		return buf_status(&walk->value, err);
	}
}

/* The hasher asserts what only a damaged file can break: each path once, in ascending order. */
static enum status check_order(const struct walk *walk, struct error *err)
{
	const struct buf *last = &walk->hasher->last_path;

	if (last->failed || slice_compare(buf_slice(last), buf_slice(&walk->path)) < 0)
		return STATUS_OK;
	return db_refuse(projection_db(walk->view->projection), "keys out of order", err);
}

static bool ends_in_number(enum state_tag tag)
{
	return tag == TAG_BACKUP || tag == TAG_BACKUP_CHECK || tag == TAG_KEY ||
	       tag == TAG_VIOLATION;
}

static enum status walk_visit(void *context, const struct table_row *row, struct error *err)
{
	struct walk *walk = context;
	struct slice components[TABLE_KEYS_MAX] = { { .data = NULL } };
	unsigned count = table_key_count(walk->tag);
	uint8_t number[8];
	enum status status;

	for (unsigned i = 0; i < count; i++)
		components[i] = row->key[i].bytes;
	if (ends_in_number(walk->tag)) {
		store_u64be(number, (uint64_t)row->key[count - 1].number);
		components[count - 1] = slice_of(number, sizeof(number));
	}
	/* The store's own active entry has no component. */
	if (walk->tag == TAG_ACTIVE && components[0].len == 0)
		count = 0;
	state_path(&walk->path, walk->tag, components, count);
	status = buf_status(&walk->path, err);
	if (!status)
		status = check_order(walk, err);
	if (!status)
		status = entry_value(walk, row, err);
	if (!status)
		state_hasher_entry(walk->hasher, buf_slice(&walk->path), buf_slice(&walk->value));
	return status;
}

static enum status walk_variables(struct walk *walk, struct error *err)
{
	struct environment *environments;
	size_t environment_count;
	enum status status = state_environments(walk->view, &environments, &environment_count, err);

	for (size_t i = 0; i < environment_count && !status; i++) {
		struct profile *profiles;
		size_t count;

		status = state_profiles(walk->view, environments[i].name, &profiles, &count, err);
		for (size_t j = 0; !status && j < count; j++) {
			struct cell keys[] = { cell_text(environments[i].name),
					       cell_text(profiles[j].name) };

			status = table_each(projection_db(walk->view->projection), TAG_VARIABLE,
					    keys, 2, walk->view->at, walk_visit, walk, err);
		}
	}
	return status;
}

enum status state_hash(const struct state_view *view, uint8_t ret[HASH_BYTES], struct error *err)
{
	AUTO(walk_release) struct walk walk = { .view = view };
	struct state_hasher hasher;
	uint8_t digest[HASH_BYTES];
	enum status status = STATUS_OK;

	state_hasher_init(&hasher);
	walk.hasher = &hasher;
	for (int tag = 0; tag < TAG_COUNT && !status; tag++) {
		walk.tag = (enum state_tag)tag;
		if (walk.tag == TAG_VARIABLE)
			status = walk_variables(&walk, err);
		else
			status = table_each(projection_db(view->projection), walk.tag, NULL, 0,
					    view->at, walk_visit, &walk, err);
	}
	state_hasher_final(&hasher, digest);
	if (!status)
		memcpy(ret, digest, HASH_BYTES);
	return status;
}
