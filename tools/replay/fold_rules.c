/*
 * The rules of folding: what must hold before an event takes effect; see fold_parts.h. First how
 * paths are asked, then one function for each rule, each telling whether it holds. Nothing here
 * changes the state.
 */
#include <stdbool.h>
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
#include "store/event_reader.h"
#include "store/state_model.h"

#include "base/banned.h"

/* Is there an entry of the tag under these names? An empty third name ends the path. */
static enum status find(const struct folding *folding, enum state_tag tag, struct slice a,
			struct slice b, struct slice *ret_value, bool *ret)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status;

	state_path(&path, tag, (struct slice[]){ a, b }, b.len ? 2 : a.len ? 1 : 0);
	status = buf_status(&path, folding->err);
	if (!status)
		*ret = map_get(&folding->fold->state, buf_slice(&path), ret_value);
	return status;
}

static enum status there(const struct folding *folding, enum state_tag tag, struct slice a,
			 struct slice b, bool *ret)
{
	return find(folding, tag, a, b, NULL, ret);
}

static enum status absent(const struct folding *folding, enum state_tag tag, struct slice a,
			  struct slice b, bool *ret)
{
	bool found = false;
	enum status status = find(folding, tag, a, b, NULL, &found);

	*ret = !found;
	return status;
}

static enum status there_3(const struct folding *folding, enum state_tag tag, struct slice a,
			   struct slice b, struct slice c, bool *ret)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status;

	state_path(&path, tag, (struct slice[]){ a, b, c }, 3);
	status = buf_status(&path, folding->err);
	if (!status)
		*ret = map_get(&folding->fold->state, buf_slice(&path), NULL);
	return status;
}

static enum status inactive(const struct folding *folding, struct slice scope, struct slice name,
			    bool *ret)
{
	struct slice value;
	bool found = false;
	enum status status = find(folding, TAG_ACTIVE, scope, NO_NAME, &value, &found);

	*ret = !found || !slice_equal(value, name);
	return status;
}

/* The first element of a profile's value is its base: [base, title, description]. */
static struct slice base_in(struct slice value)
{
	uint8_t head = value.len > 1 ? value.data[1] : 0xa0;

	if ((head & 0xe0) == 0xa0)
		return slice_of(value.data + 2, head & 0x1f);
	return slice_of(value.data + 3, value.data[2]); /* str 8: names are at most 63 bytes */
}

struct search {
	struct event_decoder *decoder;
	struct slice wanted;
	uint64_t last;
	bool found;
};

static enum status search_base(void *context, const struct map_entry *entry, struct error *err)
{
	struct search *search = context;

	(void)err;
	search->found = search->found || slice_equal(base_in(entry->value), search->wanted);
	return STATUS_OK;
}

static enum status search_category(void *context, const struct map_entry *entry, struct error *err)
{
	struct search *search = context;
	struct payload payload;
	enum status status = payload_decode(search->decoder, EVENT_VARIABLE_SPECIFIED, entry->value,
					    &payload, err);

	if (!status && slice_equal(payload_get_text(&payload, FIELD_CATEGORY), search->wanted))
		search->found = true;
	return status;
}

static enum status search_generation(void *context, const struct map_entry *entry,
				     struct error *err)
{
	struct search *search = context;

	(void)err;
	search->last = load_u64be(entry->path.data + entry->path.len - 8);
	return STATUS_OK;
}

void folding_prefix(struct buf *ret, enum state_tag tag, struct slice a, struct slice b)
{
	state_path(ret, tag, (struct slice[]){ a, b }, b.len ? 2 : a.len ? 1 : 0);
	buf_append_byte(ret, 0);
}

static enum status each(const struct folding *folding, enum state_tag tag, struct slice a,
			map_visit visit, struct search *search)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT;
	enum status status;

	folding_prefix(&prefix, tag, a, NO_NAME);
	status = buf_status(&prefix, folding->err);
	if (status)
		return status;
	return map_each(&folding->fold->state, buf_slice(&prefix), visit, search, folding->err);
}

static void decoder_cleanup(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

static enum status environment_exists(const struct folding *folding, bool *ret)
{
	return there(folding, TAG_ENVIRONMENT, folding_environment(folding), NO_NAME, ret);
}

static enum status environment_absent(const struct folding *folding, bool *ret)
{
	return absent(folding, TAG_ENVIRONMENT, folding_environment(folding), NO_NAME, ret);
}

static enum status environment_inactive(const struct folding *folding, bool *ret)
{
	return inactive(folding, NO_NAME, folding_environment(folding), ret);
}

static enum status environment_locked(const struct folding *folding, bool *ret)
{
	return there(folding, TAG_LOCK, folding_environment(folding), NO_NAME, ret);
}

static enum status key_generation(const struct folding *folding, bool *ret)
{
	struct search search = { .last = 0 };
	enum status status =
		each(folding, TAG_KEY, folding_environment(folding), search_generation, &search);

	*ret = payload_get_uint(folding->payload, FIELD_GENERATION) == search.last + 1;
	return status;
}

static enum status profile_exists(const struct folding *folding, bool *ret)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;
	enum status status = STATUS_OK;

	*ret = true;
	if (folding->payload->type != EVENT_VARIABLES_CHANGED)
		return there(folding, TAG_PROFILE, folding_environment(folding),
			     folding_profile(folding), ret);
	for (size_t i = 0; i < changes->count && *ret && !status; i++)
		status = there(folding, TAG_PROFILE, folding_environment(folding),
			       changes->entries[i].profile, ret);
	return status;
}

static enum status profile_absent(const struct folding *folding, bool *ret)
{
	return absent(folding, TAG_PROFILE, folding_environment(folding), folding_profile(folding),
		      ret);
}

static enum status profile_inactive(const struct folding *folding, bool *ret)
{
	return inactive(folding, folding_environment(folding), folding_profile(folding), ret);
}

static enum status base_exists(const struct folding *folding, bool *ret)
{
	*ret = true;
	if (!folding->payload->field[FIELD_BASE].present)
		return STATUS_OK;
	return there(folding, TAG_PROFILE, folding_environment(folding),
		     folding_text(folding, FIELD_BASE), ret);
}

static enum status base_acyclic(const struct folding *folding, bool *ret)
{
	struct slice at = folding_text(folding, FIELD_BASE);
	enum status status = STATUS_OK;
	struct slice value;

	/* Ends: what stands forms no circle, so a new one leads through the profile itself. */
	*ret = true;
	while (at.len && *ret && !status) {
		if (slice_equal(at, folding_profile(folding)))
			*ret = false;
		else
			status = find(folding, TAG_PROFILE, folding_environment(folding), at,
				      &value, ret);
		if (*ret && !status)
			at = base_in(value);
	}
	return status;
}

static enum status base_unused(const struct folding *folding, bool *ret)
{
	struct search search = { .wanted = folding_profile(folding) };
	enum status status =
		each(folding, TAG_PROFILE, folding_environment(folding), search_base, &search);

	*ret = !search.found;
	return status;
}

static enum status category_exists(const struct folding *folding, bool *ret)
{
	bool specifies = folding->payload->type == EVENT_VARIABLE_SPECIFIED;

	*ret = true;
	if (specifies && !folding->payload->field[FIELD_CATEGORY].present)
		return STATUS_OK;
	return there(folding, TAG_CATEGORY,
		     folding_text(folding, specifies ? FIELD_CATEGORY : FIELD_NAME), NO_NAME, ret);
}

static enum status category_unused(const struct folding *folding, bool *ret)
{
	AUTO(decoder_cleanup) struct event_decoder *decoder = NULL;
	struct search search = { .wanted = folding_text(folding, FIELD_NAME) };
	enum status status = event_decoder_new(&decoder, folding->err);

	search.decoder = decoder;
	if (!status)
		status = each(folding, TAG_SPECIFICATION, NO_NAME, search_category, &search);
	*ret = !search.found;
	return status;
}

static enum status specification_exists(const struct folding *folding, bool *ret)
{
	return there(folding, TAG_SPECIFICATION, folding_text(folding, FIELD_KEY), NO_NAME, ret);
}

static enum status variable_set(const struct folding *folding, bool *ret)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;
	enum status status = STATUS_OK;

	*ret = true;
	for (size_t i = 0; i < changes->count && *ret && !status; i++) {
		const struct change *change = &changes->entries[i];

		if (change->op == CHANGE_UNSET)
			status = there_3(folding, TAG_VARIABLE, folding_environment(folding),
					 change->profile, change->key, ret);
	}
	return status;
}

static bool was_rejected(const struct fold *fold, uint64_t seq)
{
	for (size_t i = 0; i < fold->rejected_count; i++) {
		if (seq >= fold->rejected[i].first_seq && seq <= fold->rejected[i].last_seq)
			return true;
	}
	return false;
}

enum status folding_copied(const struct folding *folding, const struct change *copy,
			   const struct change **ret)
{
	const struct read_event *event;
	const struct changes *changes;
	enum status status;

	*ret = NULL;
	if (copy->copy_seq >= folding->seq || was_rejected(folding->fold, copy->copy_seq))
		return STATUS_OK;
	status = event_reader_get(folding->targets, copy->copy_seq, &event, folding->err);
	if (status)
		return status;
	changes = &event->decoded.event.payload.field[FIELD_CHANGES].changes;
	if (event->decoded.event.payload.type != EVENT_VARIABLES_CHANGED ||
	    copy->copy_index >= changes->count)
		return STATUS_OK;
	if (changes->entries[copy->copy_index].op == CHANGE_SET ||
	    changes->entries[copy->copy_index].op == CHANGE_SEAL)
		*ret = &changes->entries[copy->copy_index];
	return STATUS_OK;
}

static enum status copy_target(const struct folding *folding, bool *ret)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;

	*ret = true;
	for (size_t i = 0; i < changes->count && *ret; i++) {
		const struct change *target;
		enum status status;

		if (changes->entries[i].op != CHANGE_COPY)
			continue;
		status = folding_copied(folding, &changes->entries[i], &target);
		if (status)
			return status;
		*ret = target != NULL;
	}
	return STATUS_OK;
}

static enum status target_older(const struct folding *folding, bool *ret)
{
	uint64_t target = payload_get_uint(folding->payload, FIELD_TARGET_SEQ);

	*ret = target >= 1 && target < folding->seq;
	return STATUS_OK;
}

static enum status database_exists(const struct folding *folding, bool *ret)
{
	return there_3(folding, TAG_DATABASE, folding_environment(folding),
		       folding_profile(folding), folding_text(folding, FIELD_NAME), ret);
}

static enum status backup_exists(const struct folding *folding, bool *ret)
{
	static const enum event_field fields[] = { FIELD_BACKUP, FIELD_SAFETY };
	enum status status = STATUS_OK;

	*ret = true;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && *ret && !status; i++) {
		uint8_t number[8];

		if (!folding->payload->field[fields[i]].present)
			continue;
		store_u64be(number, payload_get_uint(folding->payload, fields[i]));
		status = there(folding, TAG_BACKUP, slice_of(number, sizeof(number)), NO_NAME, ret);
	}
	return status;
}

/* The last replacement of the database; of phase 0 when there was none. */
static enum status last_replacement(const struct folding *folding, struct entry_replacement *ret)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct slice names[] = { folding_environment(folding), folding_profile(folding),
				 folding_text(folding, FIELD_NAME) };
	struct slice value;
	enum status status;

	*ret = (struct entry_replacement){ .started = 0 };
	state_path(&path, TAG_REPLACEMENT, names, 3);
	status = buf_status(&path, folding->err);
	if (!status && map_get(&folding->fold->state, buf_slice(&path), &value))
		*ret = entry_replacement(value);
	return status;
}

static enum status replacement_idle(const struct folding *folding, bool *ret)
{
	struct entry_replacement last;
	enum status status = last_replacement(folding, &last);

	*ret = !replacement_is_unfinished(last.phase);
	return status;
}

static enum status replacement_unfinished(const struct folding *folding, bool *ret)
{
	struct entry_replacement last;
	enum status status = last_replacement(folding, &last);

	*ret = replacement_is_unfinished(last.phase) &&
	       last.started == payload_get_uint(folding->payload, FIELD_REPLACEMENT);
	return status;
}

static enum status replacement_last(const struct folding *folding, bool *ret)
{
	struct entry_replacement last;
	enum status status = last_replacement(folding, &last);

	*ret = (replacement_is_unfinished(last.phase) || last.phase == REPLACEMENT_COMPLETED) &&
	       last.started == payload_get_uint(folding->payload, FIELD_REPLACEMENT);
	return status;
}

static enum status (*const rules[])(const struct folding *folding, bool *ret) = {
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

enum status folding_keeps(const struct folding *folding, enum apply_rule rule, bool *ret)
{
	return rules[rule](folding, ret);
}
