/*
 * The checks of an audit, event by event; see audit_check.h.
 *
 * This is the inner loop of verify: per event one decoding, one hash of the leaf, one of a tree
 * node and one signature, next to which everything else has to be negligible.
 */
#include "store/audit_check.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"
#include "store/signer.h"

#include "base/banned.h"

enum {
	DONE_STEP = 16, /* events between two additions to the shared counter */
};

/* What an event must agree with in the one before it. Zeros before event 1. */
struct link {
	uint8_t leaf_hash[HASH_BYTES];
	uint64_t time_ms;
	uint64_t claimed_ms;
	uint8_t key_id[KEY_ID_BYTES];
	uint8_t command_id[COMMAND_ID_BYTES];
	uint32_t part;
	uint32_t parts;
	size_t command_bytes; /* of the leaves of the command so far */
};

/* One event as it was read. */
struct item {
	uint64_t seq;
	struct slice leaf;
	struct slice bytes;
	const uint8_t *signature;
	struct decoded_event decoded;
	uint8_t leaf_hash[HASH_BYTES];
};

struct worker {
	struct audit_checks *checks;
	struct evlog_snapshot *snapshot;
	struct event_decoder *decoder;
	_Atomic uint64_t *position;
	struct link before;
	struct merkle_frontier frontier; /* of the block */
	struct item item;
	uint64_t commands;
	uint64_t signatures;
	uint64_t done;
};

/* --- findings --------------------------------------------------------------------------------- */

static void find(struct audit_checks *checks, uint64_t seq, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void find(struct audit_checks *checks, uint64_t seq, const char *format, va_list args)
{
	uint64_t rank = seq ? seq : UINT64_MAX;
	char *message = checks->finding.message;
	int used = 0;

	(void)pthread_mutex_lock(&checks->lock);
	if (checks->failure.status == STATUS_OK &&
	    (!checks->found || rank < atomic_load(&checks->least_bad))) {
		checks->found = true;
		checks->finding.seq = seq;
		if (seq)
			used = snprintf(message, AUDIT_MESSAGE_BYTES, "event %" PRIu64 ": ", seq);
		(void)vsnprintf(message + used, AUDIT_MESSAGE_BYTES - (size_t)used, format, args);
		atomic_store(&checks->least_bad, rank);
	}
	(void)pthread_mutex_unlock(&checks->lock);
}

void audit_find(struct audit_checks *checks, uint64_t seq, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(checks, seq, format, args);
	va_end(args);
}

static void fail(struct audit_checks *checks, const struct error *why)
{
	(void)pthread_mutex_lock(&checks->lock);
	if (checks->failure.status == STATUS_OK)
		checks->failure = *why;
	/* No event matters any more: the other workers stop at their next one. */
	atomic_store(&checks->least_bad, 0);
	(void)pthread_mutex_unlock(&checks->lock);
}

void audit_find_error(struct audit_checks *checks, uint64_t seq, const struct error *why)
{
	const char *text = why->text;
	char name[32];
	int named;

	if (why->status != STATUS_CORRUPT && why->status != STATUS_NOT_FOUND &&
	    why->status != STATUS_NEWER) {
		fail(checks, why);
		return;
	}
	/* Many texts name the event themselves. */
	named = snprintf(name, sizeof(name), "event %" PRIu64, seq);
	if (strncmp(text, name, (size_t)named) == 0 && strchr(": ", text[named]))
		text += (size_t)named + strspn(text + named, ": ");
	audit_find(checks, seq, "%s", text);
}

/* For the checks below: note a finding about the event that was read, and answer "not good". */
static bool refuse(struct worker *worker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(struct worker *worker, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(worker->checks, worker->item.seq, format, args);
	va_end(args);
	return false;
}

static bool refuse_error(struct worker *worker, uint64_t seq, const struct error *why)
{
	audit_find_error(worker->checks, seq, why);
	return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Read, hash and decode event @seq. False: it cannot be, and that was noted. */
static bool read_item(struct worker *worker, uint64_t seq)
{
	struct item *item = &worker->item;
	struct error why = ERROR_INIT;
	enum status status;

	atomic_store_explicit(worker->position, seq, memory_order_relaxed);
	item->seq = seq;
	item->decoded.event.seq = 0;
	status = evlog_leaf(worker->snapshot, seq, &item->leaf, &why);
	if (status)
		return refuse_error(worker, seq, &why);
	if (!leaf_split(item->leaf, &item->bytes, &item->signature))
		return refuse(worker, "it is too short or too long for an event");
	merkle_leaf_hash(item->leaf, item->leaf_hash);
	status = event_decode(worker->decoder, item->bytes, &item->decoded, &why);
	if (status == STATUS_NEWER)
		atomic_store(&worker->checks->newer, true);
	/* Of a later version of the format not even the signer can be read. */
	if (status == STATUS_NEWER && item->decoded.event.seq == 0)
		return refuse(worker, "it cannot be checked: %s; install a newer provenv",
			      why.text);
	return !status || status == STATUS_NEWER || refuse_error(worker, seq, &why);
}

/* Make the event just read the one that the next is compared with. */
static void advance(struct worker *worker)
{
	const struct event *event = &worker->item.decoded.event;
	struct link *before = &worker->before;

	if (event->part == 1)
		before->command_bytes = 0;
	before->command_bytes += worker->item.leaf.len;
	before->time_ms = event->time_ms;
	before->claimed_ms = event->claimed_ms;
	before->part = event->part;
	before->parts = event->parts;
	memcpy(before->leaf_hash, worker->item.leaf_hash, HASH_BYTES);
	memcpy(before->key_id, event->key_id, KEY_ID_BYTES);
	memcpy(before->command_id, event->command_id, COMMAND_ID_BYTES);
}

/*
 * Take event @seq − 1 as what event @seq is compared with. It is checked elsewhere; of a command
 * that goes on from there, the earlier leaves are counted.
 */
static bool begin_after(struct worker *worker, uint64_t seq)
{
	struct error why = ERROR_INIT;
	struct slice leaf;
	uint32_t part;

	worker->before = (struct link){ .part = 0 };
	if (seq == 1)
		return true;
	if (!read_item(worker, seq - 1))
		return false;
	advance(worker);
	part = worker->before.part;
	if (part == worker->before.parts || part >= seq)
		return true;
	worker->before.command_bytes = 0;
	for (uint64_t i = seq - part; i < seq; i++) {
		atomic_store_explicit(worker->position, i, memory_order_relaxed);
		if (evlog_leaf(worker->snapshot, i, &leaf, &why))
			return refuse_error(worker, i, &why);
		worker->before.command_bytes += leaf.len;
	}
	return true;
}

/* --- checks of one event ---------------------------------------------------------------------- */

static bool check_place(struct worker *worker)
{
	static const uint8_t no_log[LOG_ID_BYTES];
	const struct event *event = &worker->item.decoded.event;
	uint64_t seq = worker->item.seq;
	const uint8_t *log_id = seq == 1 ? no_log : worker->checks->registry->log_id;

	if (event->seq != seq)
		return refuse(worker, "it says it is event %" PRIu64, event->seq);
	if (seq == 1 && event->payload.type != EVENT_STORE_CREATED)
		return refuse(worker, "it is not store.created");
	if (memcmp(event->log_id, log_id, LOG_ID_BYTES) != 0)
		return refuse(worker, "it belongs to another log");
	if (memcmp(event->prev, worker->before.leaf_hash, HASH_BYTES) == 0)
		return true;
	if (seq == 1)
		return refuse(worker, "prev is not zero");
	return refuse(worker, "prev does not match event %" PRIu64, seq - 1);
}

static bool check_time(struct worker *worker)
{
	const struct event *event = &worker->item.decoded.event;
	uint64_t before_ms = worker->before.time_ms;
	uint64_t due_ms = event->claimed_ms > before_ms ? event->claimed_ms : before_ms;

	if (event->time_ms < before_ms)
		return refuse(worker, "its time is before that of event %" PRIu64,
			      worker->item.seq - 1);
	if (event->time_ms != due_ms)
		return refuse(worker, "its time is later than its signer's clock said");
	return true;
}

/* A later part of a command goes on where the event before stopped. */
static bool check_continued(struct worker *worker)
{
	const struct event *event = &worker->item.decoded.event;
	const struct link *before = &worker->before;

	if (before->part == before->parts || event->part != before->part + 1 ||
	    event->parts != before->parts ||
	    memcmp(event->command_id, before->command_id, COMMAND_ID_BYTES) != 0)
		return refuse(worker,
			      "it is part %" PRIu32 " of %" PRIu32
			      " of a command that event %" PRIu64 " does not lead up to",
			      event->part, event->parts, worker->item.seq - 1);
	if (memcmp(event->key_id, before->key_id, KEY_ID_BYTES) != 0)
		return refuse(worker,
			      "its signer is not that of event %" PRIu64
			      ", an earlier part of its command",
			      worker->item.seq - 1);
	if (event->time_ms != before->time_ms || event->claimed_ms != before->claimed_ms)
		return refuse(worker,
			      "its times are not those of event %" PRIu64
			      ", an earlier part of its command",
			      worker->item.seq - 1);
	return true;
}

static bool check_command(struct worker *worker)
{
	const struct event *event = &worker->item.decoded.event;
	const struct link *before = &worker->before;
	size_t earlier = event->part == 1 ? 0 : before->command_bytes;

	if (event->part == 1 && before->part != before->parts)
		return refuse(worker,
			      "a command begins, but event %" PRIu64 " is only part %" PRIu32
			      " of %" PRIu32 " of its own",
			      worker->item.seq - 1, before->part, before->parts);
	if (event->part > 1 && !check_continued(worker))
		return false;
	if (earlier + worker->item.leaf.len > COMMAND_BYTES_MAX)
		return refuse(worker, "with it its command is over the limit of %d bytes",
			      COMMAND_BYTES_MAX);
	return true;
}

static bool refuse_key(struct worker *worker)
{
	uint64_t newer_seq = worker->checks->newer_registry_seq;
	char key_id[2 * KEY_ID_BYTES + 1];

	text_to_hex(worker->item.decoded.event.key_id, KEY_ID_BYTES, key_id);
	if (newer_seq && newer_seq < worker->item.seq)
		return refuse(worker,
			      "its key %s is not known; event %" PRIu64
			      ", written by a newer provenv, may have enrolled it",
			      key_id, newer_seq);
	return refuse(worker, "its key %s was not enrolled before", key_id);
}

static bool check_signature(struct worker *worker)
{
	const struct event *event = &worker->item.decoded.event;
	const struct registry_key *key =
		registry_signer(worker->checks->registry, event->key_id, worker->item.seq);

	if (!key)
		return refuse_key(worker);
	worker->signatures++;
	if (!leaf_verify(worker->item.bytes, worker->item.signature, key->public_key))
		return refuse(worker, "the signature does not verify");
	if (!registry_allows(key, event->payload.type))
		return refuse(worker, "key %s may not sign " SLICE_FMT, key->name,
			      SLICE_ARG(worker->item.decoded.type_name));
	return true;
}

/* The stored row, up to the level of the block's own root. */
static bool check_row(struct worker *worker)
{
	uint8_t row[MERKLE_ROW_BYTES_MAX];
	struct error why = ERROR_INIT;
	struct slice stored;
	unsigned levels = merkle_frontier_append(&worker->frontier, worker->item.leaf_hash, row);

	if (evlog_row(worker->snapshot, worker->item.seq, &stored, &why))
		return refuse_error(worker, worker->item.seq, &why);
	if (memcmp(stored.data, row, (size_t)levels * HASH_BYTES) != 0)
		return refuse(worker, "the stored tree nodes do not match");
	return true;
}

static bool check_command_index(struct worker *worker)
{
	const uint8_t *command_id = worker->item.decoded.event.command_id;
	struct error why = ERROR_INIT;
	uint64_t first = 0;
	enum status status;

	if (worker->item.decoded.event.part > 1)
		return true;
	worker->commands++;
	status = evlog_command(worker->snapshot, command_id, &first, &why);
	if (status == STATUS_NOT_FOUND)
		return refuse(worker, "its command is not in the command index");
	if (status)
		return refuse_error(worker, worker->item.seq, &why);
	if (first != worker->item.seq)
		return refuse(worker,
			      "the command index says that its command begins at event %" PRIu64,
			      first);
	return true;
}

/* That no other events are listed shows when the registry is built. */
static bool check_registry_index(struct worker *worker)
{
	struct error why = ERROR_INIT;
	uint64_t seq = worker->item.seq;
	uint64_t next = 0;
	enum status status;

	if (!event_is_registry(worker->item.decoded.event.payload.type))
		return true;
	status = evlog_registry_next(worker->snapshot, seq - 1, &next, &why);
	if (status && status != STATUS_NOT_FOUND)
		return refuse_error(worker, seq, &why);
	if (status == STATUS_NOT_FOUND || next != seq)
		return refuse(worker, "it is not in the registry index");
	return true;
}

/* The registry's index comes first: without it no key is known, which would be a worse answer. */
static bool check_event(struct worker *worker, uint64_t seq)
{
	return read_item(worker, seq) && check_place(worker) && check_time(worker) &&
	       check_command(worker) && check_registry_index(worker) && check_signature(worker) &&
	       check_command_index(worker) && check_row(worker);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* The part of a block's subtree that lies before its first event to be checked. */
static void begin_tree(struct worker *worker, uint64_t seq)
{
	uint64_t inside = (seq - 1) % AUDIT_BLOCK_EVENTS;

	worker->frontier.size = inside;
	if (inside == 0)
		return;
	assert(seq == worker->checks->first && worker->checks->base->size == seq - 1);
	memcpy(worker->frontier.node, worker->checks->base->node,
	       AUDIT_BLOCK_LEVEL * sizeof(worker->frontier.node[0]));
}

/* Hand over what the block contributes to the tree above. */
static void end_tree(struct worker *worker, uint64_t block)
{
	if (worker->frontier.size == AUDIT_BLOCK_EVENTS)
		memcpy(worker->checks->block_roots[block], worker->frontier.node[AUDIT_BLOCK_LEVEL],
		       HASH_BYTES);
	else
		worker->checks->tail = worker->frontier;
}

static void count_done(struct worker *worker)
{
	atomic_fetch_add(worker->checks->done, worker->done);
	worker->done = 0;
}

static bool check_block(struct worker *worker, uint64_t block)
{
	struct audit_checks *checks = worker->checks;
	uint64_t number = ((checks->first - 1) >> AUDIT_BLOCK_LEVEL) + block;
	uint64_t first = number * AUDIT_BLOCK_EVENTS + 1;
	uint64_t last = first + AUDIT_BLOCK_EVENTS - 1;

	if (first < checks->first)
		first = checks->first;
	if (last > checks->last)
		last = checks->last;
	if (first >= atomic_load(&checks->least_bad) || !begin_after(worker, first))
		return false;
	begin_tree(worker, first);
	for (uint64_t seq = first; seq <= last; seq++) {
		if (seq >= atomic_load_explicit(&checks->least_bad, memory_order_relaxed) ||
		    !check_event(worker, seq))
			return false;
		advance(worker);
		if (++worker->done == DONE_STEP)
			count_done(worker);
	}
	end_tree(worker, block);
	return true;
}

static void free_decoder(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

void audit_check_blocks(struct audit_checks *checks, struct evlog_snapshot *snapshot,
			_Atomic uint64_t *position)
{
	struct event_decoder *decoder AUTO(free_decoder) = NULL;
	struct worker worker = { .checks = checks, .snapshot = snapshot, .position = position };
	uint64_t blocks = audit_block_count(checks->first, checks->last);
	struct error why = ERROR_INIT;
	uint64_t block;

	if (event_decoder_new(&decoder, &why)) {
		fail(checks, &why);
		return;
	}
	worker.decoder = decoder;
	/* Blocks are taken in order, so that whoever finds something has nothing left to do. */
	do
		block = atomic_fetch_add(&checks->next_block, 1);
	while (block < blocks && check_block(&worker, block));
	count_done(&worker);
	atomic_fetch_add(&checks->commands, worker.commands);
	atomic_fetch_add(&checks->signatures, worker.signatures);
	atomic_store(position, 0);
}
