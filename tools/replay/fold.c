/*
 * Folding events into state; see fold.h. Single events, then whole commands, all or nothing, then
 * what is asked of the result. What an event may and does stands in fold_rules.c and
 * fold_effects.c.
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
#include "replay/fold_parts.h"
#include "replay/ordered_map.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/state_model.h"

#include "base/banned.h"

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

		status = folding_keeps(&folding, *rule, &holds);
		if (status)
			return status;
		if (!holds) {
			*ret_broken = *rule;
			return STATUS_OK;
		}
	}
	*ret_broken = RULE_NONE;
	return folding_effect(&folding);
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
	return status ? status : folding_put(&folding, TAG_VIOLATION, &name, 1, buf_slice(&value));
}

/* Two readers: what copies point at must not push the event that copies out of its slot. */
struct walk {
	struct fold *fold;
	uint8_t before[HASH_BYTES]; /* leaf hash of the event before the next one */
	struct event_reader *events;
	struct event_reader *targets;
};

static void walk_release(struct walk *walk)
{
	event_reader_free(walk->events);
	event_reader_free(walk->targets);
}

/* Signatures are audit's business; that the events are one chain is seen here, as it is walked. */
static enum status check_chain(struct walk *walk, uint64_t seq, const struct rejected *command,
			       const struct read_event *read, struct error *err)
{
	const struct event *event = &read->decoded.event;

	if (event->seq != seq || memcmp(event->prev, walk->before, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": does not follow event %" PRIu64, seq, seq - 1);
	if (event->part != seq - command->first_seq + 1 ||
	    event->parts != command->last_seq - command->first_seq + 1)
		return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": out of its command", seq);
	memcpy(walk->before, read->leaf_hash, HASH_BYTES);
	return STATUS_OK;
}

/* One part of a command, unless an earlier part broke a rule. */
static enum status fold_part(struct walk *walk, uint64_t seq, struct rejected *command,
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
	status = check_chain(walk, seq, command, event, err);
	if (status || command->rule != RULE_NONE)
		return status;
	status = fold_event(walk->fold, walk->targets, &event->decoded, &broken, err);
	if (!status && broken != RULE_NONE) {
		command->rule = broken;
		command->seq = seq;
	}
	return status;
}

static enum status fold_command(struct walk *walk, uint64_t until, struct error *err)
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
	/* The first event follows nothing: 32 zeros stand for that. */
	if (!status && fold->seq > 0)
		status = evlog_leaf_hash(snapshot, fold->seq, walk.before, err);
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
	(void)map_each(&fold->state, NO_NAME, hash_entry, &hasher, NULL);
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
			return NO_NAME;
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

/* The unsigned integer that MessagePack has at @at, which moves behind it. The value is ours. */
static uint64_t take_uint(const uint8_t **at)
{
	uint8_t head = *(*at)++;
	unsigned len = head < 0xcc ? 0 : 1U << (head - 0xcc);
	uint64_t number = len ? 0 : head;

	for (unsigned i = 0; i < len; i++)
		number = number << 8 | *(*at)++;
	return number;
}

struct entry_replacement entry_replacement(struct slice value)
{
	/* [phase, started, safety], as state_value_replacement() writes it */
	const uint8_t *at = value.data + 1;
	struct entry_replacement replacement;

	replacement.phase = (enum replacement_phase)take_uint(&at);
	replacement.started = take_uint(&at);
	replacement.safety = take_uint(&at);
	return replacement;
}
