/*
 * store_append() of store.h: check, encode, sign, append, acknowledge.
 *
 * Invariants: nothing is written before everything is checked and signed; the last event is checked
 * against the tree before anything is chained to it; after the commit nothing fails any more.
 * Must not know what payloads mean beyond who may sign them.
 */
#include "store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evidence.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/merkle.h"
#include "store/registry.h"
#include "store/signer.h"
#include "store/store_object.h"

#include "base/banned.h"

/* What the next event follows. */
struct tail {
	uint64_t size;
	uint64_t time_ms;
	uint8_t leaf_hash[HASH_BYTES];
};

/* The leaves of one command, one after another. */
struct batch {
	struct buf leaves;
	size_t *ends; /* of each leaf, in `leaves` */
	uint8_t (*hashes)[HASH_BYTES];
	struct evlog_entry *entries;
	uint64_t time_ms;
};

static void free_reader(struct event_reader **reader)
{
	event_reader_free(*reader);
}

static void batch_release(struct batch *batch)
{
	buf_release(&batch->leaves);
	free(batch->ends);
	free(batch->hashes);
	free(batch->entries);
}

static enum status read_tail(struct evlog_snapshot *snapshot, struct tail *ret, struct error *err)
{
	struct event_reader *reader AUTO(free_reader) = NULL;
	const struct read_event *last;
	enum status status;

	*ret = (struct tail){ .size = snapshot->size };
	if (snapshot->size == 0)
		return STATUS_OK;
	status = event_reader_new(snapshot, &reader, err);
	if (!status)
		status = event_reader_get(reader, snapshot->size, &last, err);
	if (status)
		return status;
	if (last->newer)
		return error_set(err, STATUS_NEWER,
				 "event %" PRIu64 " was written by a newer provenv",
				 snapshot->size);
	if (last->decoded.event.part != last->decoded.event.parts)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64
				 " is the last one, but its command is not complete",
				 snapshot->size);
	ret->time_ms = last->decoded.event.time_ms;
	memcpy(ret->leaf_hash, last->leaf_hash, HASH_BYTES);
	return STATUS_OK;
}

/* The log is where the caller believes it is, and has not seen the command. */
static enum status check_position(struct evlog_snapshot *snapshot, uint64_t size,
				  const struct store_command *command, struct error *err)
{
	char id[2 * COMMAND_ID_BYTES + 1];
	struct error why = ERROR_INIT; /* that the command is not there is no failure */
	enum status status;
	uint64_t seq;

	if (snapshot->size != size) {
		(void)error_set(err, STATUS_CONFLICT,
				"the log holds %" PRIu64 " events, not %" PRIu64
				": somebody wrote in between",
				snapshot->size, size);
		return error_hint(err, STATUS_CONFLICT, "look again, then run the command again");
	}
	status = evlog_command(snapshot, command->command_id, &seq, &why);
	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (status) {
		if (err)
			*err = why;
		return status;
	}
	text_to_hex(command->command_id, COMMAND_ID_BYTES, id);
	return error_set(err, STATUS_CONFLICT, "command id %s is used already, by event %" PRIu64,
			 id, seq);
}

static enum status wrong_key(struct error *err, const struct signer *signer, const char *why)
{
	(void)error_set(err, STATUS_WRONG_KEY, "key %s %s", signer->name, why);
	return error_hint(err, STATUS_WRONG_KEY, "name another key with --as KEY");
}

/* Whoever creates the log enrols itself. */
static enum status check_founder(const struct signer *signer, const struct payload *first,
				 struct error *err)
{
	struct slice key = payload_get_text(first, FIELD_OPERATOR_KEY);

	if (slice_equal(key, slice_of(signer->public_key, PUBLIC_KEY_BYTES)))
		return STATUS_OK;
	return wrong_key(err, signer, "does not sign for the operator that the store is made for");
}

static enum status check_signer(const struct store *store, const struct signer *signer,
				const struct tail *tail, const struct store_command *command,
				struct error *err)
{
	const struct registry_key *key;

	/* store.created is the first event and no other. */
	for (size_t i = 0; i < command->count; i++)
		assert((command->payloads[i].type == EVENT_STORE_CREATED) == (tail->size + i == 0));
	if (tail->size == 0)
		return check_founder(signer, &command->payloads[0], err);
	key = registry_signer(&store->registry, signer->key_id, tail->size + 1);
	if (!key || memcmp(key->public_key, signer->public_key, PUBLIC_KEY_BYTES) != 0)
		return wrong_key(err, signer, "is not enrolled in this store");
	for (size_t i = 0; i < command->count; i++) {
		enum event_type type = command->payloads[i].type;

		if (registry_allows(key, type))
			continue;
		(void)error_set(err, STATUS_WRONG_KEY, "key %s may not sign %s: it is no admin key",
				signer->name, event_type_info(type)->name);
		return error_hint(err, STATUS_WRONG_KEY, "name an admin key with --as KEY");
	}
	return STATUS_OK;
}

static enum status prepare(struct store *store, const struct signer *signer, uint64_t size,
			   const struct store_command *command, struct tail *ret, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status;

	if (command->count > COMMAND_PARTS_MAX)
		return error_set(err, STATUS_USAGE,
				 "a command of %zu events is over the limit of %d", command->count,
				 COMMAND_PARTS_MAX);
	status = evlog_snapshot_open(store->log, &snapshot, err);
	if (!status)
		status = check_position(snapshot, size, command, err);
	if (status)
		return status;
	if (store_loss(store)->evidence != EVIDENCE_NONE &&
	    command->payloads[0].type != EVENT_STORE_RECOVERED)
		return evidence_loss_error(&store->evidence, err);
	status = store_take_in(store, snapshot, err);
	if (!status)
		status = read_tail(snapshot, ret, err);
	if (!status)
		status = check_signer(store, signer, ret, command, err);
	return status;
}

/* Encode, sign and append the leaf of @event; @scratch is for use here. */
static enum status batch_add(struct batch *batch, const struct event *event,
			     const struct signer *signer, struct buf *scratch, struct error *err)
{
	size_t index = event->part - 1;
	enum status status;

	buf_clear(scratch);
	status = event_encode(event, scratch, err);
	if (!status)
		status = leaf_sign(signer, scratch, err);
	if (status)
		return status;
	merkle_leaf_hash(buf_slice(scratch), batch->hashes[index]);
	buf_append_slice(&batch->leaves, buf_slice(scratch));
	if (batch->leaves.len > COMMAND_BYTES_MAX)
		return error_set(err, STATUS_USAGE, "the command is over the limit of %d bytes",
				 COMMAND_BYTES_MAX);
	batch->ends[index] = batch->leaves.len;
	return buf_status(&batch->leaves, err);
}

static enum status batch_build(struct batch *batch, const struct store *store,
			       const struct signer *signer, const struct tail *tail,
			       const struct store_command *command, struct error *err)
{
	struct buf scratch AUTO(buf_release) = BUF_INIT;
	struct event event = { .claimed_ms = command->claimed_ms, .reason = command->reason };

	batch->ends = calloc(command->count, sizeof(*batch->ends));
	batch->hashes = calloc(command->count, sizeof(*batch->hashes));
	batch->entries = calloc(command->count, sizeof(*batch->entries));
	if (!batch->ends || !batch->hashes || !batch->entries)
		return error_no_memory(err);
	batch->time_ms = event.claimed_ms > tail->time_ms ? event.claimed_ms : tail->time_ms;
	event.time_ms = batch->time_ms;
	event.parts = (uint32_t)command->count;
	memcpy(event.log_id, store->log_id, LOG_ID_BYTES);
	memcpy(event.key_id, signer->key_id, KEY_ID_BYTES);
	memcpy(event.command_id, command->command_id, COMMAND_ID_BYTES);
	for (size_t i = 0; i < command->count; i++) {
		enum status status;

		event.seq = tail->size + 1 + i;
		event.part = (uint32_t)i + 1;
		event.payload = command->payloads[i];
		memcpy(event.prev, i ? batch->hashes[i - 1] : tail->leaf_hash, HASH_BYTES);
		status = batch_add(batch, &event, signer, &scratch, err);
		if (status)
			return status;
		/* Event 1 names the log; it cannot name itself. */
		if (event.seq == 1)
			memcpy(event.log_id, batch->hashes[0], LOG_ID_BYTES);
	}
	return STATUS_OK;
}

/* Once nothing moves any more, entries can point into the leaves. */
static void batch_fill_entries(struct batch *batch, const struct store_command *command)
{
	size_t start = 0;

	for (size_t i = 0; i < command->count; i++) {
		batch->entries[i] = (struct evlog_entry){
			.leaf = slice_of(batch->leaves.data + start, batch->ends[i] - start),
			.leaf_hash = batch->hashes[i],
			.command_id = command->command_id,
			.starts_command = i == 0,
			.registry = event_is_registry(command->payloads[i].type),
		};
		start = batch->ends[i];
	}
}

/* The head of the log as it is now, and its registry. */
static enum status look_again(struct store *store, struct head_record *ret, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	int fault = fault_point("store.acknowledge");
	enum status status;

	if (fault)
		return error_errno(err, STATUS_IO, fault, "cannot read the log again");
	status = evlog_snapshot_open(store->log, &snapshot, err);
	if (!status)
		status = store_take_in(store, snapshot, err);
	if (!status)
		status = store_head_of(store, snapshot, ret, err);
	return status;
}

/* The command is durable: whatever fails from here on is a note, not a failure. */
static void acknowledge(struct store *store)
{
	struct evidence *evidence = &store->evidence;
	struct head_record record;
	struct error why = ERROR_INIT;

	if (look_again(store, &record, &why)) {
		evidence_note(evidence, "cannot note how far the log is: %s", why.text);
		return;
	}
	if (evidence->loss.evidence != EVIDENCE_NONE)
		return;
	store_advance(store, &evidence->head, &record);
	store_advance(store, &evidence->checkpoint, &record);
}

enum status store_append(struct store *store, const struct signer *signer, uint64_t size,
			 const struct store_command *command, struct store_receipt *ret,
			 struct error *err)
{
	struct batch batch AUTO(batch_release) = { .ends = NULL };
	struct tail tail = { .size = size };
	enum status status;

	assert(store->lock_fd >= 0);
	assert(command->count > 0);
	status = prepare(store, signer, size, command, &tail, err);
	if (!status)
		status = batch_build(&batch, store, signer, &tail, command, err);
	if (status)
		return status;
	batch_fill_entries(&batch, command);
	status = evlog_append(store->log, size, batch.entries, command->count, err);
	if (status)
		return status;
	if (size == 0) {
		memcpy(store->log_id, batch.hashes[0], LOG_ID_BYTES);
		evidence_name_checkpoint(&store->evidence, store->log_id, store_path(store));
	}
	acknowledge(store);
	*ret = (struct store_receipt){
		.first_seq = size + 1,
		.last_seq = size + command->count,
		.time_ms = batch.time_ms,
	};
	memcpy(ret->leaf_hash, batch.hashes[command->count - 1], HASH_BYTES);
	return STATUS_OK;
}
