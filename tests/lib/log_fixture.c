/*
 * Logs for tests; see log_fixture.h.
 */
#include "lib/log_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/signer.h"

#include "base/banned.h"

enum {
	BATCH_EVENTS = 64, /* appended together: even the greatest leaves stay below the limit */
};

/* --- making events ---------------------------------------------------------------------------- */

static void make_founder(struct log_fixture *log)
{
	uint8_t nonce[32];
	struct event event = {
		.seq = 1,
		.time_ms = log->time_ms,
		.claimed_ms = log->time_ms,
		.part = 1,
		.parts = 1,
		.reason = slice_str("init"),
	};

	rng_bytes(nonce, sizeof(nonce));
	rng_uuid7(log->time_ms, event.command_id);
	memcpy(event.key_id, log->signer.key_id, KEY_ID_BYTES);
	payload_init(&event.payload, EVENT_STORE_CREATED);
	payload_text(&event.payload, FIELD_NONCE, slice_of(nonce, sizeof(nonce)));
	payload_str(&event.payload, FIELD_OPERATOR, log->signer.name);
	payload_text(&event.payload, FIELD_OPERATOR_KEY,
		     slice_of(log->signer.public_key, PUBLIC_KEY_BYTES));
	payload_text(&event.payload, FIELD_LOG_KEY,
		     slice_of(log->log_key.public_key, PUBLIC_KEY_BYTES));
	log_fixture_add(log, &event, &log->signer);
}

void log_fixture_init(struct log_fixture *log)
{
	memset(log, 0, sizeof(*log));
	log->time_ms = LOG_FIXTURE_START_MS;
	assert_int_equal(signer_generate("ana@host", &log->signer, NULL), STATUS_OK);
	assert_int_equal(signer_generate("mallory@host", &log->outsider, NULL), STATUS_OK);
	assert_int_equal(signer_generate("log", &log->log_key, NULL), STATUS_OK);
	make_founder(log);
	memcpy(log->log_id, log_fixture_event(log, 1)->leaf_hash, LOG_ID_BYTES);
}

void log_fixture_release(struct log_fixture *log)
{
	for (size_t i = 0; i < log->count; i++)
		buf_release(&log->events[i].leaf);
	free(log->events);
	buf_release(&log->name);
	signer_release(&log->signer);
	signer_release(&log->outsider);
	signer_release(&log->log_key);
	memset(log, 0, sizeof(*log));
}

struct made_event *log_fixture_event(struct log_fixture *log, uint64_t seq)
{
	assert_in_range(seq, 1, log->count);
	return &log->events[seq - 1];
}

void log_fixture_next(struct log_fixture *log, struct event *ret)
{
	uint64_t time_ms = log->time_ms + 1000;

	*ret = (struct event){
		.seq = log->count + 1,
		.time_ms = time_ms,
		.claimed_ms = time_ms,
		.part = 1,
		.parts = 1,
		.reason = slice_str("because it is wanted"),
	};
	memcpy(ret->log_id, log->log_id, LOG_ID_BYTES);
	memcpy(ret->prev, log->events[log->count - 1].leaf_hash, HASH_BYTES);
	memcpy(ret->key_id, log->signer.key_id, KEY_ID_BYTES);
	rng_uuid7(time_ms, ret->command_id);
	buf_clear(&log->name);
	buf_printf(&log->name, "category-%zu", log->count);
	payload_init(&ret->payload, EVENT_CATEGORY_DEFINED);
	payload_text(&ret->payload, FIELD_NAME, buf_slice(&log->name));
	payload_bool(&ret->payload, FIELD_PLANNED, false);
}

void log_fixture_next_part(struct log_fixture *log, struct event *ret)
{
	const struct event *before = &log->before;

	log_fixture_next(log, ret);
	ret->part = before->part + 1;
	ret->parts = before->parts;
	ret->time_ms = before->time_ms;
	ret->claimed_ms = before->claimed_ms;
	memcpy(ret->command_id, before->command_id, COMMAND_ID_BYTES);
}

void log_fixture_add_bytes(struct log_fixture *log, const struct event *event, struct slice bytes,
			   const struct signer *signer)
{
	struct made_event *made;

	if (log->count == log->capacity) {
		log->capacity = log->capacity ? 2 * log->capacity : 64;
		log->events = reallocarray(log->events, log->capacity, sizeof(*log->events));
		assert_non_null(log->events);
	}
	made = &log->events[log->count++];
	memset(made, 0, sizeof(*made));
	buf_append_slice(&made->leaf, bytes);
	assert_int_equal(leaf_sign(signer, &made->leaf, NULL), STATUS_OK);
	merkle_leaf_hash(buf_slice(&made->leaf), made->leaf_hash);
	memcpy(made->command_id, event->command_id, COMMAND_ID_BYTES);
	made->starts_command = event->part == 1;
	made->registry = event_is_registry(event->payload.type);
	made->time_ms = event->time_ms;
	log->time_ms = event->time_ms;
	log->before = *event;
}

void log_fixture_add(struct log_fixture *log, const struct event *event,
		     const struct signer *signer)
{
	struct buf bytes = BUF_INIT;

	assert_int_equal(event_encode(event, &bytes, NULL), STATUS_OK);
	log_fixture_add_bytes(log, event, buf_slice(&bytes), signer);
	buf_release(&bytes);
}

void log_fixture_fill(struct log_fixture *log, size_t count)
{
	struct event event;

	for (size_t i = 0; i < count; i++) {
		log_fixture_next(log, &event);
		log_fixture_add(log, &event, &log->signer);
	}
}

void log_fixture_group(struct log_fixture *log, uint32_t parts)
{
	struct event event;

	log_fixture_next(log, &event);
	event.parts = parts;
	log_fixture_add(log, &event, &log->signer);
	for (uint32_t part = 2; part <= parts; part++) {
		log_fixture_next_part(log, &event);
		log_fixture_add(log, &event, &log->signer);
	}
}

void log_fixture_cut(struct log_fixture *log, size_t count)
{
	assert_in_range(count, 1, log->count);
	while (log->count > count)
		buf_release(&log->events[--log->count].leaf);
	log->time_ms = log->events[count - 1].time_ms;
}

/* --- writing them ----------------------------------------------------------------------------- */

void log_fixture_write(const struct log_fixture *log, struct evlog *ret)
{
	struct evlog_entry entries[BATCH_EVENTS];
	struct error err = ERROR_INIT;

	for (size_t size = 0; size < log->count;) {
		size_t count = 0;

		for (; count < BATCH_EVENTS && size + count < log->count; count++) {
			const struct made_event *made = &log->events[size + count];

			entries[count] = (struct evlog_entry){
				.leaf = buf_slice(&made->leaf),
				.command_id = made->command_id,
				.starts_command = made->starts_command,
				.registry = made->registry,
			};
		}
		if (evlog_append(ret, size, entries, count, &err))
			fail_msg("%s", err.text);
		size += count;
	}
}

struct evlog *log_fixture_memory(const struct log_fixture *log)
{
	struct evlog *memory = NULL;

	assert_int_equal(evlog_memory_open(&memory, NULL), STATUS_OK);
	log_fixture_write(log, memory);
	return memory;
}

/* --- a log that lies -------------------------------------------------------------------------- */

struct lying_log {
	struct evlog log;
	struct evlog *inner;
	const struct log_lies *lies;
	_Atomic unsigned snapshots; /* opened so far */
};

struct lying_snapshot {
	struct evlog_snapshot snapshot;
	struct evlog_snapshot *inner;
	uint8_t row[MERKLE_ROW_BYTES_MAX];
};

static struct lying_snapshot *lying_of(struct evlog_snapshot *snapshot)
{
	return (struct lying_snapshot *)snapshot;
}

static const struct log_lies *lies_of(struct evlog_snapshot *snapshot)
{
	return ((struct lying_log *)snapshot->log)->lies;
}

static enum status lying_snapshot_open(struct evlog *log, struct evlog_snapshot **ret,
				       struct error *err)
{
	struct lying_log *lying = (struct lying_log *)log;
	struct lying_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	bool first = atomic_fetch_add(&lying->snapshots, 1) == 0;
	enum status status;

	if (!snapshot)
		return error_no_memory(err);
	status = evlog_snapshot_open(lying->inner, &snapshot->inner, err);
	if (status) {
		free(snapshot);
		return status;
	}
	snapshot->snapshot.log = log;
	snapshot->snapshot.size = snapshot->inner->size;
	if (lying->lies->shrinks_to && !first)
		snapshot->snapshot.size = lying->lies->shrinks_to;
	*ret = &snapshot->snapshot;
	return STATUS_OK;
}

static void lying_snapshot_close(struct evlog_snapshot *snapshot)
{
	evlog_snapshot_close(lying_of(snapshot)->inner);
	free(snapshot);
}

static enum status lying_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			      struct error *err)
{
	if (seq == lies_of(snapshot)->leaf_missing)
		return error_set(err, STATUS_CORRUPT, "the leaf is missing");
	if (seq == lies_of(snapshot)->leaf_refused)
		return error_set(err, STATUS_IO, "the disk does not answer");
	return evlog_leaf(lying_of(snapshot)->inner, seq, ret, err);
}

static enum status lying_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			     struct error *err)
{
	struct lying_snapshot *lying = lying_of(snapshot);
	const struct log_lies *lies = lies_of(snapshot);
	struct slice row;
	enum status status;

	if (seq == lies->row_missing)
		return error_set(err, STATUS_CORRUPT, "the row is missing");
	status = evlog_row(lying->inner, seq, &row, err);
	if (status || seq != lies->row_changed) {
		*ret = row;
		return status;
	}
	memcpy(lying->row, row.data, row.len);
	lying->row[lies->row_byte] ^= 1;
	*ret = slice_of(lying->row, row.len);
	return STATUS_OK;
}

static enum status lying_command(struct evlog_snapshot *snapshot, const uint8_t *command_id,
				 uint64_t *ret_seq, struct error *err)
{
	const struct log_lies *lies = lies_of(snapshot);
	uint64_t seq = 0;
	enum status status = evlog_command(lying_of(snapshot)->inner, command_id, &seq, err);

	if (status)
		return status;
	if (seq == lies->command_hidden)
		return STATUS_NOT_FOUND;
	*ret_seq = seq == lies->command_moved ? seq + 1 : seq;
	return STATUS_OK;
}

static enum status lying_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
				       uint64_t *ret_seq, struct error *err)
{
	const struct log_lies *lies = lies_of(snapshot);
	uint64_t added = lies->registry_added > after_seq ? lies->registry_added : UINT64_MAX;
	uint64_t seq = after_seq;
	enum status status;

	do
		status = evlog_registry_next(lying_of(snapshot)->inner, seq, &seq, err);
	while (!status && seq == lies->registry_hidden);
	if (status && (status != STATUS_NOT_FOUND || added == UINT64_MAX))
		return status;
	*ret_seq = status || added < seq ? added : seq;
	return STATUS_OK;
}

static enum status lying_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
				struct error *err)
{
	const struct evlog_counts *more = &lies_of(snapshot)->more;
	enum status status = evlog_counts(lying_of(snapshot)->inner, ret, err);

	if (status)
		return status;
	ret->leaves += more->leaves;
	ret->rows += more->rows;
	ret->commands += more->commands;
	ret->registry += more->registry;
	return STATUS_OK;
}

static enum status lying_append(struct evlog *log, uint64_t size, const struct evlog_entry *entries,
				const struct slice *rows, size_t count, struct error *err)
{
	struct evlog *inner = ((struct lying_log *)log)->inner;

	return inner->ops->append(inner, size, entries, rows, count, err);
}

static enum status lying_watch(struct evlog *log, uint64_t size, uint64_t wait_ms,
			       uint64_t *ret_size, struct error *err)
{
	return evlog_watch(((struct lying_log *)log)->inner, size, wait_ms, ret_size, err);
}

static void lying_close(struct evlog *log)
{
	free(log);
}

struct evlog *log_lying(struct evlog *inner, const struct log_lies *lies)
{
	static const struct evlog_ops ops = {
		.snapshot_open = lying_snapshot_open,
		.snapshot_close = lying_snapshot_close,
		.leaf = lying_leaf,
		.row = lying_row,
		.command = lying_command,
		.registry_next = lying_registry_next,
		.counts = lying_counts,
		.append = lying_append,
		.watch = lying_watch,
		.close = lying_close,
	};
	struct lying_log *log = calloc(1, sizeof(*log));

	assert_non_null(log);
	log->log = (struct evlog){ .ops = &ops, .frontier_lock = PTHREAD_MUTEX_INITIALIZER };
	log->inner = inner;
	log->lies = lies;
	return &log->log;
}
