/*
 * Making stores and growing them; see log_maker.h.
 */
#include "log_maker.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "bench.h"
#include "ops/op_init.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/paths.h"
#include "store/signer.h"
#include "store/store.h"

#include "base/banned.h"

/* Well below COMMAND_BYTES_MAX and COMMAND_PARTS_MAX. */
enum { PARTS = 8192 };

/* What one command of a growing log is made of. */
struct parts {
	struct sample samples[PARTS];
	struct payload payloads[PARTS];
};

void writer_close(struct writer *writer)
{
	store_close(writer->store);
	signer_release(&writer->signer);
	*writer = (struct writer)WRITER_INIT;
}

enum status writer_open(const char *path, struct writer *ret, struct error *err)
{
	AUTO(buf_release) struct buf keys = BUF_INIT;
	char name[KEY_NAME_BYTES_MAX + 1];
	enum status status = paths_keys_dir(&keys, err);

	paths_default_key_name(name);
	if (!status)
		status = signer_load(buf_str(&keys), name, &ret->signer, err);
	if (!status)
		status = store_open(path, (struct store_options){ .read_only = false }, &ret->store,
				    err);
	if (!status)
		status = store_lock(ret->store, WRITE_LOCK_WAIT_MS, err);
	return status;
}

enum status log_size(struct store *store, uint64_t *ret, struct error *err)
{
	struct evlog_snapshot *snapshot;
	enum status status = evlog_snapshot_open(store_log(store), &snapshot, err);

	if (status)
		return status;
	*ret = snapshot->size;
	evlog_snapshot_close(snapshot);
	return STATUS_OK;
}

void sample_fill(struct sample *sample, uint64_t seq)
{
	/* 7919 has no factor in common with SAMPLE_KEYS: every key comes once in that many. */
	(void)snprintf(sample->key, sizeof(sample->key), "SETTING_%04" PRIu64,
		       seq * 7919 % SAMPLE_KEYS);
	(void)snprintf(sample->value, sizeof(sample->value), "value-%016" PRIx64 "-%" PRIu64,
		       seq * UINT64_C(0x9e3779b97f4a7c15), seq);
	sample->change = (struct change){
		.profile = slice_str("default"),
		.key = slice_str(sample->key),
		.op = CHANGE_SET,
		.value = slice_str(sample->value),
	};
}

void sample_payload(struct payload *payload, const struct change *changes, size_t count)
{
	payload_init(payload, EVENT_VARIABLES_CHANGED);
	payload_str(payload, FIELD_ENVIRONMENT, "development");
	payload_changes(payload, FIELD_CHANGES,
			(struct changes){ .entries = changes, .count = count });
}

enum status writer_append(struct writer *writer, uint64_t size, const struct payload *payloads,
			  size_t count, uint8_t ret_command_id[COMMAND_ID_BYTES], struct error *err)
{
	struct store_command command = {
		.payloads = payloads,
		.count = count,
		.reason = slice_str("benchmark"),
		.claimed_ms = clock_now_ms(),
	};
	struct store_receipt receipt;

	rng_uuid7(command.claimed_ms, command.command_id);
	if (ret_command_id)
		memcpy(ret_command_id, command.command_id, COMMAND_ID_BYTES);
	return store_append(writer->store, &writer->signer, size, &command, &receipt, err);
}

enum status make_store(const struct bench *bench, const char *name, struct buf *ret_path,
		       struct error *err)
{
	struct init_result result = { .events = 0 };
	struct init_args args = { .store_dir = NULL };
	enum status status;

	buf_printf(ret_path, "%s/%s", bench->dir, name);
	args.store_dir = buf_str(ret_path);
	status = op_init(&args, &result, err);
	init_result_release(&result);
	return status;
}

/* The events first_seq … */
static void fill_parts(struct parts *parts, uint64_t first_seq, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		sample_fill(&parts->samples[i], first_seq + i);
		sample_payload(&parts->payloads[i], &parts->samples[i].change, 1);
	}
}

static enum status grow_with(struct writer *writer, struct parts *parts, uint64_t events,
			     struct error *err)
{
	uint64_t size = 0;
	enum status status = log_size(writer->store, &size, err);

	while (!status && size < events) {
		size_t count = events - size < PARTS ? (size_t)(events - size) : PARTS;

		fill_parts(parts, size + 1, count);
		status = writer_append(writer, size, parts->payloads, count, NULL, err);
		size += count;
	}
	return status;
}

static enum status grow(struct writer *writer, uint64_t events, struct error *err)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	enum status status;

	if (!parts)
		return error_no_memory(err);
	status = grow_with(writer, parts, events, err);
	free(parts);
	return status;
}

enum status make_log(const struct bench *bench, uint64_t events, struct buf *ret_path,
		     struct error *err)
{
	AUTO(buf_release) struct buf name = BUF_INIT;
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	enum status status;

	buf_printf(&name, "log-%" PRIu64, events);
	buf_printf(&path, "%s/%s", bench->dir, buf_str(&name));
	if (fs_exists(buf_str(&path))) {
		buf_append_slice(ret_path, buf_slice(&path));
		return STATUS_OK;
	}
	(void)fprintf(stderr, "provenv-bench: making a log of %" PRIu64 " events\n", events);
	status = make_store(bench, buf_str(&name), ret_path, err);
	if (!status)
		status = writer_open(buf_str(ret_path), &writer, err);
	if (!status)
		status = grow(&writer, events, err);
	return status;
}
