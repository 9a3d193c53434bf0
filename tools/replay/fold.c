/*
 * Folding events into state; see fold.h. First how paths are asked, then one function for each
 * rule, then one for each effect, then whole commands.
 */
#include "replay/fold.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "replay/ordered_map.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/state_model.h"

#include "base/banned.h"

struct folding {
	struct fold *fold;
	struct event_reader *targets;
	const struct payload *payload;
	struct slice payload_bytes;
	uint64_t seq;
	struct error *err;
};

static struct slice text(const struct folding *folding, enum event_field field)
{
	return payload_get_text(folding->payload, field);
}

static struct slice environment(const struct folding *folding)
{
	return payload_environment(folding->payload);
}

static struct slice profile(const struct folding *folding)
{
	return payload_profile(folding->payload);
}

/* Is there an entry of the tag under these names? An empty third name ends the path. */
static bool there(const struct folding *folding, enum state_tag tag, struct slice a, struct slice b,
		  struct slice *ret_value)
{
	AUTO(buf_release) struct buf path = BUF_INIT;

	state_path(&path, tag, (struct slice[]){ a, b }, b.len ? 2 : a.len ? 1 : 0);
	return map_get(&folding->fold->state, buf_slice(&path), ret_value);
}

static bool there_3(const struct folding *folding, enum state_tag tag, struct slice a,
		    struct slice b, struct slice c)
{
	AUTO(buf_release) struct buf path = BUF_INIT;

	state_path(&path, tag, (struct slice[]){ a, b, c }, 3);
	return map_get(&folding->fold->state, buf_slice(&path), NULL);
}

static const struct slice none = { .data = NULL };

static bool active_is(const struct folding *folding, struct slice scope, struct slice name)
{
	struct slice value;

	return there(folding, TAG_ACTIVE, scope, none, &value) && slice_equal(value, name);
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

/* Everything of a tag below a first name; the closing NUL keeps "dev" from matching "develop". */
static void prefix_of(struct buf *ret, enum state_tag tag, struct slice a, struct slice b)
{
	state_path(ret, tag, (struct slice[]){ a, b }, b.len ? 2 : a.len ? 1 : 0);
	buf_append_byte(ret, 0);
}

static enum status each(const struct folding *folding, enum state_tag tag, struct slice a,
			map_visit visit, struct search *search)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT;

	prefix_of(&prefix, tag, a, none);
	return map_each(&folding->fold->state, buf_slice(&prefix), visit, search, folding->err);
}

static void decoder_cleanup(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

/* Rules. Each tells whether it holds. */

static enum status environment_exists(const struct folding *folding, bool *ret)
{
	*ret = there(folding, TAG_ENVIRONMENT, environment(folding), none, NULL);
	return STATUS_OK;
}

static enum status environment_absent(const struct folding *folding, bool *ret)
{
	*ret = !there(folding, TAG_ENVIRONMENT, environment(folding), none, NULL);
	return STATUS_OK;
}

static enum status environment_inactive(const struct folding *folding, bool *ret)
{
	*ret = !active_is(folding, none, environment(folding));
	return STATUS_OK;
}

static enum status environment_locked(const struct folding *folding, bool *ret)
{
	*ret = there(folding, TAG_LOCK, environment(folding), none, NULL);
	return STATUS_OK;
}

static enum status key_generation(const struct folding *folding, bool *ret)
{
	struct search search = { .last = 0 };
	enum status status =
		each(folding, TAG_KEY, environment(folding), search_generation, &search);

	*ret = payload_get_uint(folding->payload, FIELD_GENERATION) == search.last + 1;
	return status;
}

static enum status profile_exists(const struct folding *folding, bool *ret)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;

	*ret = true;
	if (folding->payload->type != EVENT_VARIABLES_CHANGED) {
		*ret = there(folding, TAG_PROFILE, environment(folding), profile(folding), NULL);
		return STATUS_OK;
	}
	for (size_t i = 0; i < changes->count && *ret; i++)
		*ret = there(folding, TAG_PROFILE, environment(folding),
			     changes->entries[i].profile, NULL);
	return STATUS_OK;
}

static enum status profile_absent(const struct folding *folding, bool *ret)
{
	*ret = !there(folding, TAG_PROFILE, environment(folding), profile(folding), NULL);
	return STATUS_OK;
}

static enum status profile_inactive(const struct folding *folding, bool *ret)
{
	*ret = !active_is(folding, environment(folding), profile(folding));
	return STATUS_OK;
}

static enum status base_exists(const struct folding *folding, bool *ret)
{
	*ret = !folding->payload->field[FIELD_BASE].present ||
	       there(folding, TAG_PROFILE, environment(folding), text(folding, FIELD_BASE), NULL);
	return STATUS_OK;
}

static enum status base_acyclic(const struct folding *folding, bool *ret)
{
	struct slice at = text(folding, FIELD_BASE);
	struct slice value;

	/* Ends: what stands forms no circle, so a new one leads through the profile itself. */
	*ret = true;
	while (at.len && *ret) {
		*ret = !slice_equal(at, profile(folding)) &&
		       there(folding, TAG_PROFILE, environment(folding), at, &value);
		if (*ret)
			at = base_in(value);
	}
	return STATUS_OK;
}

static enum status base_unused(const struct folding *folding, bool *ret)
{
	struct search search = { .wanted = profile(folding) };
	enum status status = each(folding, TAG_PROFILE, environment(folding), search_base, &search);

	*ret = !search.found;
	return status;
}

static enum status category_exists(const struct folding *folding, bool *ret)
{
	bool specifies = folding->payload->type == EVENT_VARIABLE_SPECIFIED;

	*ret = (specifies && !folding->payload->field[FIELD_CATEGORY].present) ||
	       there(folding, TAG_CATEGORY, text(folding, specifies ? FIELD_CATEGORY : FIELD_NAME),
		     none, NULL);
	return STATUS_OK;
}

static enum status category_unused(const struct folding *folding, bool *ret)
{
	AUTO(decoder_cleanup) struct event_decoder *decoder = NULL;
	struct search search = { .wanted = text(folding, FIELD_NAME) };
	enum status status = event_decoder_new(&decoder, folding->err);

	search.decoder = decoder;
	if (!status)
		status = each(folding, TAG_SPECIFICATION, none, search_category, &search);
	*ret = !search.found;
	return status;
}

static enum status specification_exists(const struct folding *folding, bool *ret)
{
	*ret = there(folding, TAG_SPECIFICATION, text(folding, FIELD_KEY), none, NULL);
	return STATUS_OK;
}

static enum status variable_set(const struct folding *folding, bool *ret)
{
	const struct changes *changes = &folding->payload->field[FIELD_CHANGES].changes;

	*ret = true;
	for (size_t i = 0; i < changes->count && *ret; i++) {
		const struct change *change = &changes->entries[i];

		*ret = change->op != CHANGE_UNSET ||
		       there_3(folding, TAG_VARIABLE, environment(folding), change->profile,
			       change->key);
	}
	return STATUS_OK;
}

static bool was_rejected(const struct fold *fold, uint64_t seq)
{
	for (size_t i = 0; i < fold->rejected_count; i++) {
		if (seq >= fold->rejected[i].first_seq && seq <= fold->rejected[i].last_seq)
			return true;
	}
	return false;
}

/* The change that a copy points at, if it is older, took effect and holds bytes itself. */
static enum status copied(const struct folding *folding, const struct change *copy,
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
		status = copied(folding, &changes->entries[i], &target);
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
	*ret = there_3(folding, TAG_DATABASE, environment(folding), profile(folding),
		       text(folding, FIELD_NAME));
	return STATUS_OK;
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
};

/* Effects. Rules hold when these run. */

static enum status put(const struct folding *folding, enum state_tag tag, const struct slice *names,
		       size_t count, struct slice value)
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

	state_path(&path, tag, names, count);
	return map_remove(&folding->fold->state, buf_slice(&path), folding->err);
}

static enum status drop_below(const struct folding *folding, enum state_tag tag, struct slice a,
			      struct slice b)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT;

	prefix_of(&prefix, tag, a, b);
	return map_remove_prefix(&folding->fold->state, buf_slice(&prefix), folding->err);
}

static enum status put_1(const struct folding *folding, enum state_tag tag, struct slice name,
			 struct slice value)
{
	return put(folding, tag, &name, name.len ? 1 : 0, value);
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
		status = put_1(folding, TAG_ENVIRONMENT, environment(folding), buf_slice(&value));
	return status;
}

static enum status put_profile_value(const struct folding *folding, struct slice name,
				     struct slice base)
{
	bool bare = folding->payload->type == EVENT_ENVIRONMENT_CREATED;
	struct slice names[] = { environment(folding), name };
	AUTO(buf_release) struct buf title = BUF_INIT;
	AUTO(buf_release) struct buf description = BUF_INIT;
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = bare ? STATUS_OK : langmap(folding, FIELD_TITLE, &title);

	if (!status && !bare)
		status = langmap(folding, FIELD_DESCRIPTION, &description);
	if (!status)
		status = state_value_profile(&value, base, buf_slice(&title),
					     buf_slice(&description), folding->err);
	return status ? status : put(folding, TAG_PROFILE, names, 2, buf_slice(&value));
}

static enum status put_profile(const struct folding *folding)
{
	return put_profile_value(folding, profile(folding), text(folding, FIELD_BASE));
}

static enum status environment_created(const struct folding *folding)
{
	enum status status = put_environment(folding);

	if (!status)
		status = put_profile_value(folding, text(folding, FIELD_PROFILE), none);
	if (!status)
		status = put_1(folding, TAG_ACTIVE, environment(folding),
			       text(folding, FIELD_PROFILE));
	return status;
}

static enum status environment_removed(const struct folding *folding)
{
	static const enum state_tag alone[] = { TAG_ACTIVE, TAG_ENVIRONMENT, TAG_LOCK };
	static const enum state_tag below[] = { TAG_DATABASE, TAG_PROFILE, TAG_VARIABLE };
	struct slice name = environment(folding);
	enum status status = STATUS_OK;

	for (size_t i = 0; i < 3 && !status; i++) {
		status = drop(folding, alone[i], &name, 1);
		if (!status)
			status = drop_below(folding, below[i], name, none);
	}
	return status;
}

static enum status environment_switched(const struct folding *folding)
{
	return put_1(folding, TAG_ACTIVE, none, environment(folding));
}

static enum status environment_locked_effect(const struct folding *folding)
{
	AUTO(buf_release) struct buf value = BUF_INIT;
	enum status status = state_value_lock(
		&value, payload_get_uint(folding->payload, FIELD_UNTIL_MS), folding->err);

	return status ? status : put_1(folding, TAG_LOCK, environment(folding), buf_slice(&value));
}

static enum status environment_unlocked(const struct folding *folding)
{
	struct slice name = environment(folding);

	return drop(folding, TAG_LOCK, &name, 1);
}

static enum status environment_keyed(const struct folding *folding)
{
	uint8_t generation[8];
	struct slice names[] = { environment(folding), slice_of(generation, sizeof(generation)) };

	store_u64be(generation, payload_get_uint(folding->payload, FIELD_GENERATION));
	return put(folding, TAG_KEY, names, 2, folding->payload_bytes);
}

static enum status profile_removed(const struct folding *folding)
{
	struct slice names[] = { environment(folding), profile(folding) };
	enum status status = drop(folding, TAG_PROFILE, names, 2);

	if (!status)
		status = drop_below(folding, TAG_DATABASE, names[0], names[1]);
	if (!status)
		status = drop_below(folding, TAG_VARIABLE, names[0], names[1]);
	return status;
}

static enum status profile_switched(const struct folding *folding)
{
	return put_1(folding, TAG_ACTIVE, environment(folding), profile(folding));
}

static enum status category_defined(const struct folding *folding)
{
	return put_1(folding, TAG_CATEGORY, text(folding, FIELD_NAME), folding->payload_bytes);
}

static enum status category_removed(const struct folding *folding)
{
	struct slice name = text(folding, FIELD_NAME);

	return drop(folding, TAG_CATEGORY, &name, 1);
}

static enum status variable_specified(const struct folding *folding)
{
	return put_1(folding, TAG_SPECIFICATION, text(folding, FIELD_KEY), folding->payload_bytes);
}

static enum status variable_unspecified(const struct folding *folding)
{
	struct slice key = text(folding, FIELD_KEY);

	return drop(folding, TAG_SPECIFICATION, &key, 1);
}

static enum status change_variable(const struct folding *folding, const struct change *change)
{
	struct slice names[] = { environment(folding), change->profile, change->key };
	AUTO(buf_release) struct buf value = BUF_INIT;
	const struct change *holder = change;
	enum status status = STATUS_OK;

	if (change->op == CHANGE_UNSET)
		return drop(folding, TAG_VARIABLE, names, 3);
	if (change->op == CHANGE_COPY)
		status = copied(folding, change, &holder);
	if (status)
		return status;
	assert(holder); /* the rule copy-target holds */
	status = state_value_variable(
		&value, change->expand, holder->op == CHANGE_SEAL,
		holder->op == CHANGE_SEAL ? holder->commitment : holder->value, folding->err);
	return status ? status : put(folding, TAG_VARIABLE, names, 3, buf_slice(&value));
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
	struct slice names[] = { environment(folding), profile(folding),
				 text(folding, FIELD_NAME) };

	return put(folding, TAG_DATABASE, names, 3, folding->payload_bytes);
}

static enum status database_detached(const struct folding *folding)
{
	struct slice names[] = { environment(folding), profile(folding),
				 text(folding, FIELD_NAME) };

	return drop(folding, TAG_DATABASE, names, 3);
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
};

enum status fold_event(struct fold *fold, struct event_reader *targets,
		       const struct decoded_event *event, enum apply_rule *ret_broken,
		       struct error *err)
{
	struct folding folding = {
		.fold = fold,
		.targets = targets,
		.payload = &event->event.payload,
		.payload_bytes = event->payload_bytes,
		.seq = event->event.seq,
		.err = err,
	};
	const enum apply_rule *rule = apply_rules_of(folding.payload->type);
	enum status status = STATUS_OK;

	for (; *rule != RULE_NONE; rule++) {
		bool holds = true;

		status = rules[*rule](&folding, &holds);
		if (status)
			return status;
		if (!holds) {
			*ret_broken = *rule;
			return STATUS_OK;
		}
	}
	*ret_broken = RULE_NONE;
	return effects[folding.payload->type](&folding);
}

static enum status reject(struct fold *fold, const struct rejected *rejected, struct error *err)
{
	struct folding folding = { .fold = fold, .err = err };
	AUTO(buf_release) struct buf value = BUF_INIT;
	uint8_t seq[8];
	struct rejected *larger =
		realloc(fold->rejected, (fold->rejected_count + 1) * sizeof(*larger));
	struct slice name = slice_of(seq, sizeof(seq));
	enum status status;

	if (!larger)
		return error_no_memory(err);
	fold->rejected = larger;
	larger[fold->rejected_count++] = *rejected;
	store_u64be(seq, rejected->seq);
	status = state_value_violation(&value, rejected->rule, err);
	return status ? status : put(&folding, TAG_VIOLATION, &name, 1, buf_slice(&value));
}

/* Two readers: what copies point at must not push the event that copies out of its slot. */
struct walk {
	struct fold *fold;
	struct event_reader *events;
	struct event_reader *targets;
};

static void walk_release(struct walk *walk)
{
	event_reader_free(walk->events);
	event_reader_free(walk->targets);
}

/* One part of a command, unless an earlier part broke a rule. */
static enum status fold_part(const struct walk *walk, uint64_t seq, struct rejected *command,
			     struct error *err)
{
	const struct read_event *event;
	enum apply_rule broken;
	enum status status = event_reader_get(walk->events, seq, &event, err);

	if (status)
		return status;
	if (event->newer)
		return error_set(err, STATUS_NEWER,
				 "event %" PRIu64 " was written by a newer provenv", seq);
	if (seq == command->first_seq)
		command->last_seq = seq + event->decoded.event.parts - 1;
	if (event->decoded.event.part != seq - command->first_seq + 1)
		return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": out of its command", seq);
	if (command->rule != RULE_NONE)
		return STATUS_OK;
	status = fold_event(walk->fold, walk->targets, &event->decoded, &broken, err);
	if (!status && broken != RULE_NONE) {
		command->rule = broken;
		command->seq = seq;
	}
	return status;
}

static enum status fold_command(const struct walk *walk, uint64_t until, struct error *err)
{
	struct fold *fold = walk->fold;
	struct rejected command = { .first_seq = fold->seq + 1, .last_seq = fold->seq + 1 };
	enum status status = STATUS_OK;

	map_mark(&fold->state);
	for (uint64_t seq = command.first_seq; seq <= command.last_seq && !status; seq++) {
		status = seq <= until
				 ? fold_part(walk, seq, &command, err)
				 : error_set(err, STATUS_CORRUPT,
					     "the log ends inside a command, after event %" PRIu64,
					     until);
	}
	if (status) {
		(void)map_take_back(&fold->state, NULL);
		return status;
	}
	if (command.rule == RULE_NONE) {
		map_keep(&fold->state);
	} else {
		status = map_take_back(&fold->state, err);
		if (!status)
			status = reject(fold, &command, err);
	}
	fold->seq = command.last_seq;
	return status;
}

enum status fold_to(struct fold *fold, struct evlog_snapshot *snapshot, uint64_t until,
		    struct error *err)
{
	AUTO(walk_release) struct walk walk = { .fold = fold };
	enum status status = event_reader_new(snapshot, &walk.events, err);

	if (!status)
		status = event_reader_new(snapshot, &walk.targets, err);
	while (!status && fold->seq < until)
		status = fold_command(&walk, until, err);
	return status;
}

static enum status hash_entry(void *context, const struct map_entry *entry, struct error *err)
{
	(void)err;
	state_hasher_entry(context, entry->path, entry->value);
	return STATUS_OK;
}

void fold_hash(const struct fold *fold, uint8_t ret[HASH_BYTES])
{
	struct state_hasher hasher;

	state_hasher_init(&hasher);
	(void)map_each(&fold->state, none, hash_entry, &hasher, NULL);
	state_hasher_final(&hasher, ret);
}

void fold_release(struct fold *fold)
{
	map_release(&fold->state);
	free(fold->rejected);
	*fold = (struct fold)FOLD_INIT;
}

struct slice entry_component(const struct map_entry *entry, unsigned index)
{
	const uint8_t *at = entry->path.data, *end = at + entry->path.len;

	for (unsigned i = 0; i <= index; i++) {
		at = memchr(at, 0, (size_t)(end - at));
		if (!at)
			return none;
		at++;
	}
	end = memchr(at, 0, (size_t)(end - at));
	return slice_of(at, (size_t)((end ? end : entry->path.data + entry->path.len) - at));
}

struct entry_variable entry_variable(const struct map_entry *entry)
{
	/* [expand, sealed, bin 8 or bin 16 with its length], as state_value_variable() writes it */
	const uint8_t *value = entry->value.data;
	size_t head = value[3] == 0xc4 ? 5 : 6;

	return (struct entry_variable){
		.expand = value[1] == 0xc3,
		.sealed = value[2] == 0xc3,
		.bytes = slice_of(value + head, entry->value.len - head),
	};
}
