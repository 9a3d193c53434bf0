/*
 * append: one signed, durable event for each commit, in process. import: ten thousand changes as
 * one command. Both against LMDB alone, writing the same bytes.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare_lmdb.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "bench.h"
#include "log_maker.h"
#include "ops/commit.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "report.h"
#include "store/event.h"
#include "store/store.h"

#include "base/banned.h"

enum {
	APPENDS = 200, /* commits of one half of a pair */
	IMPORT_CHANGES = COMMAND_CHANGES_MAX,
	IMPORT_CHANGES_PER_EVENT = 500,
	IMPORT_EVENTS = IMPORT_CHANGES / IMPORT_CHANGES_PER_EVENT,
};

static void close_bare(struct bare_lmdb **bare)
{
	bare_lmdb_close(*bare);
}

static void close_projection(struct projection **projection)
{
	projection_close(*projection);
}

static double per_second(size_t count, uint64_t ns)
{
	return (double)count * 1e9 / (double)(ns ? ns : 1);
}

/* The bare environment, holding what the store holds already. */
static enum status open_bare(const struct bench *bench, const char *name, struct store *store,
			     struct bare_lmdb **ret, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(bare_batch_release) struct bare_batch batch = BARE_BATCH_INIT;
	uint64_t size = 0;
	enum status status = log_size(store, &size, err);

	buf_printf(&path, "%s/%s", bench->dir, name);
	if (!status)
		status = bare_lmdb_open(buf_str(&path), ret, err);
	if (!status)
		status = bare_batch_copy(store_log(store), 1, size, NULL, &batch, err);
	if (!status)
		status = bare_lmdb_append(*ret, &batch, 0, batch.count, err);
	return status;
}

/* --- append ----------------------------------------------------------------------------------- */

static enum status append_ours(struct writer *writer, uint64_t size,
			       uint8_t (*ret_ids)[COMMAND_ID_BYTES], uint64_t *ret_ns,
			       struct error *err)
{
	struct sample sample;
	struct payload payload;
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < APPENDS; i++) {
		enum status status;

		sample_fill(&sample, size + 1 + i);
		sample_payload(&payload, &sample.change, 1);
		status = writer_append(writer, size + i, &payload, 1, ret_ids[i], err);
		if (status)
			return status;
	}
	*ret_ns = clock_monotonic_ns() - begin;
	return STATUS_OK;
}

static enum status append_bare(struct bare_lmdb *bare, const struct bare_batch *batch,
			       uint64_t *ret_ns, struct error *err)
{
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < batch->count; i++) {
		enum status status = bare_lmdb_append(bare, batch, i, 1, err);

		if (status)
			return status;
	}
	*ret_ns = clock_monotonic_ns() - begin;
	return STATUS_OK;
}

/* What the signatures of these events alone take, which no order of work can hide. */
static enum status sign_only(const struct signer *signer, const struct bare_batch *batch,
			     uint64_t *ret_ns, struct error *err)
{
	uint8_t signature[SIGNATURE_BYTES];
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < batch->count; i++) {
		const struct bare_row *row = &batch->rows[i];
		struct slice leaf = slice_of(batch->bytes.data + row->leaf_at, row->leaf_len);
		enum status status = signer_sign(signer, leaf, signature, err);

		if (status)
			return status;
	}
	*ret_ns = clock_monotonic_ns() - begin;
	return STATUS_OK;
}

enum status row_append(struct bench *bench, const struct row *row, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%s", "");
	struct measure *signing = report_measure(bench->report, row, err, "limit signs too");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	AUTO(close_bare) struct bare_lmdb *bare = NULL;
	AUTO(bare_batch_release) struct bare_batch batch = BARE_BATCH_INIT;
	uint8_t ids[APPENDS][COMMAND_ID_BYTES];
	uint64_t size = 0;
	enum status status;

	if (!measure || !signing)
		return STATUS_NO_MEMORY;
	signing->goal = GOAL_NONE;
	status = make_store(bench, "append", &path, err);
	if (!status)
		status = writer_open(buf_str(&path), &writer, err);
	if (!status)
		status = log_size(writer.store, &size, err);
	if (!status)
		status = open_bare(bench, "append-bare", writer.store, &bare, err);
	/* One run more than asked for: the first warms both up and is not counted. */
	for (unsigned run = 0; run <= bench->runs && !status; run++, size += APPENDS) {
		uint64_t ours = 0, theirs = 0, signatures = 0;

		status = append_ours(&writer, size, ids, &ours, err);
		if (!status)
			status = bare_batch_copy(store_log(writer.store), size + 1, size + APPENDS,
						 ids, &batch, err);
		if (!status)
			status = append_bare(bare, &batch, &theirs, err);
		if (!status)
			status = sign_only(&writer.signer, &batch, &signatures, err);
		if (status || run == 0)
			continue;
		measure_pair(measure, per_second(APPENDS, ours), per_second(APPENDS, theirs));
		measure_pair(signing, per_second(APPENDS, ours),
			     per_second(APPENDS, theirs + signatures));
	}
	return status;
}

/* --- import ----------------------------------------------------------------------------------- */

struct import_set {
	struct sample samples[IMPORT_CHANGES];
	struct assignment assignments[IMPORT_CHANGES];
	struct change changes[IMPORT_CHANGES];
	struct payload payloads[IMPORT_EVENTS];
};

/* New variables each run, in the order events want them. */
static void fill_set(struct import_set *set, const char *prefix, unsigned run)
{
	for (size_t i = 0; i < IMPORT_CHANGES; i++) {
		struct sample *sample = &set->samples[i];

		sample_fill(sample, i + 1);
		(void)snprintf(sample->key, sizeof(sample->key), "%s%u_%05zu", prefix, run, i);
		sample->change.key = slice_str(sample->key);
		set->changes[i] = sample->change;
		set->assignments[i] = (struct assignment){
			.key = sample->change.key,
			.value = sample->change.value,
		};
	}
	for (size_t i = 0; i < IMPORT_EVENTS; i++)
		sample_payload(&set->payloads[i], set->changes + i * IMPORT_CHANGES_PER_EVENT,
			       IMPORT_CHANGES_PER_EVENT);
}

/* As a user's command: plan against the state, sign, append, catch up. */
static enum status import_commit(const char *path, const struct import_set *set,
				 struct outcome *ret, uint64_t *ret_ns, struct error *err)
{
	struct session_options options = { .store_dir = path };
	struct set_args args = { .assignments = set->assignments, .count = IMPORT_CHANGES };
	AUTO(session_close) struct session session = { .options = NULL };
	enum status status = session_open(&options, SESSION_PROFILE, &session, err);
	uint64_t begin = clock_monotonic_ns();

	if (!status)
		status = commit(&session, decide_set, &args, ret, err);
	*ret_ns = clock_monotonic_ns() - begin;
	return status;
}

/* What of it is the store's and the projection's: no plan. */
static enum status import_append(const char *path, const struct import_set *set, uint64_t *ret_ns,
				 struct error *err)
{
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	AUTO(close_projection) struct projection *projection = NULL;
	uint64_t size = 0, begin;
	enum status status = writer_open(path, &writer, err);

	if (!status)
		status = projection_open(writer.store, &projection, err);
	if (!status)
		status = log_size(writer.store, &size, err);
	begin = clock_monotonic_ns();
	if (!status)
		status = writer_append(&writer, size, set->payloads, IMPORT_EVENTS, NULL, err);
	if (!status)
		status = projection_refresh(projection, err);
	*ret_ns = clock_monotonic_ns() - begin;
	return status;
}

static enum status import_bare(const char *path, const struct outcome *done, struct bare_lmdb *bare,
			       uint64_t *ret_ns, struct error *err)
{
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	AUTO(bare_batch_release) struct bare_batch batch = BARE_BATCH_INIT;
	enum status status = writer_open(path, &writer, err);
	uint64_t begin;

	if (!status)
		status = bare_batch_copy(store_log(writer.store), done->first_seq, done->last_seq,
					 NULL, &batch, err);
	/* The command id of zeros was used by what stood there before. */
	if (!status)
		store_u64be(batch.rows[0].command_id, done->first_seq);
	begin = clock_monotonic_ns();
	if (!status)
		status = bare_lmdb_append(bare, &batch, 0, batch.count, err);
	*ret_ns = clock_monotonic_ns() - begin;
	return status;
}

static enum status import_start(const struct bench *bench, struct buf *ret_path,
				struct bare_lmdb **ret_bare, struct error *err)
{
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	enum status status = make_store(bench, "import", ret_path, err);

	if (!status)
		status = writer_open(buf_str(ret_path), &writer, err);
	if (!status)
		status = open_bare(bench, "import-bare", writer.store, ret_bare, err);
	return status;
}

enum status row_import(struct bench *bench, const struct row *row, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(close_bare) struct bare_lmdb *bare = NULL;
	AUTO_FREE struct import_set *set = NULL;
	struct measure *whole = report_measure(bench->report, row, err, "plan, append, catch up");
	struct measure *part = report_measure(bench->report, row, err, "append, catch up");
	enum status status;

	if (!whole || !part)
		return STATUS_NO_MEMORY;
	set = calloc(1, sizeof(*set));
	if (!set)
		return error_no_memory(err);
	part->goal = GOAL_NONE;
	status = import_start(bench, &path, &bare, err);
	for (unsigned run = 0; run < bench->runs && !status; run++) {
		uint64_t ours = 0, theirs = 0, appended = 0;
		struct outcome done = { .first_seq = 0 };

		fill_set(set, "IMPORTED", run);
		status = import_commit(buf_str(&path), set, &done, &ours, err);
		if (!status)
			status = import_bare(buf_str(&path), &done, bare, &theirs, err);
		fill_set(set, "WRITTEN", run);
		if (!status)
			status = import_append(buf_str(&path), set, &appended, err);
		if (status)
			return status;
		measure_pair(whole, per_second(IMPORT_CHANGES, ours),
			     per_second(IMPORT_CHANGES, theirs));
		measure_one(part, per_second(IMPORT_CHANGES, appended));
	}
	return status;
}
