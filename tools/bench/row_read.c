/*
 * get-at: a variable of the past against the same read now. growth: what opening, reading and
 * appending cost as the log grows, against the smallest log.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "log_maker.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "report.h"
#include "store/event.h"

#include "base/banned.h"

enum {
	READS = 5000, /* of one half of a pair */
	OPENS = 50,
	APPENDS = 50,
	/* Events of init come first; after these the samples stand. */
	FIRST_SAMPLE = 32,
};

static const uint64_t sizes[] = { 1000, 10000, 100000, 1000000 };

static size_t size_count(const struct bench *bench)
{
	return sizeof(sizes) / sizeof(sizes[0]) - (bench->quick ? 1 : 0);
}

/* xorshift64 (Marsaglia 2003): the same sequence every time. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- get-at ----------------------------------------------------------------------------------- */

/* Read a variable that some event set: as it stood at or after that event, or now. */
static enum status read_one(struct session *session, bool past, uint64_t *random, struct error *err)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	uint64_t head = projection_seq(session->projection);
	uint64_t seq = FIRST_SAMPLE + next_random(random) % (head - FIRST_SAMPLE);
	uint64_t later = seq + next_random(random) % (head - seq + 1);
	struct state_view view = {
		.projection = session->projection,
		.arena = &arena,
		.at = past ? later : head,
	};
	struct sample sample;
	struct variable variable;
	struct variable_value value;
	enum status status;

	sample_fill(&sample, seq);
	status = state_variable(&view, session->environment, session->profile, sample.change.key,
				&variable, err);
	if (status == STATUS_NOT_FOUND)
		return error_set(err, status, "event %" PRIu64 " set %s, but it is not there", seq,
				 sample.key);
	return status ? status : state_value(&view, &variable, &value, err);
}

static enum status read_many(struct session *session, bool past, double *ret_ns, struct error *err)
{
	uint64_t random = UINT64_C(0x2545f4914f6cdd1d);
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < READS; i++) {
		enum status status = read_one(session, past, &random, err);

		if (status)
			return status;
	}
	*ret_ns = (double)(clock_monotonic_ns() - begin) / (double)READS;
	return STATUS_OK;
}

static enum status get_at_size(struct bench *bench, const struct row *row, uint64_t size,
			       struct error *err)
{
	struct measure *measure =
		report_measure(bench->report, row, err, "%" PRIu64 " events", size);
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(session_close) struct session session = { .options = NULL };
	struct session_options options = { .store_dir = NULL };
	double ignored;
	enum status status = make_log(bench, size, &path, err);

	if (!measure)
		return error_no_memory(err);
	options.store_dir = buf_str(&path);
	if (!status)
		status = session_open(&options, SESSION_PROFILE, &session, err);
	if (!status)
		status = read_many(&session, true, &ignored, err);
	for (unsigned run = 0; run < bench->runs && !status; run++) {
		double past = 0, now = 0;

		status = read_many(&session, true, &past, err);
		if (!status)
			status = read_many(&session, false, &now, err);
		if (!status)
			measure_pair(measure, past, now);
	}
	return status;
}

enum status row_get_at(struct bench *bench, const struct row *row, struct error *err)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < size_count(bench) && !status; i++)
		status = get_at_size(bench, row, sizes[i], err);
	return status;
}

/* --- growth ----------------------------------------------------------------------------------- */

static enum status open_and_get(const char *path, struct error *err)
{
	struct session_options options = { .store_dir = path };
	AUTO(session_close) struct session session = { .options = NULL };
	struct variable_info info = { .seq = 0 };
	struct sample sample;
	enum status status = session_open(&options, SESSION_PROFILE, &session, err);

	sample_fill(&sample, FIRST_SAMPLE);
	if (!status)
		status = op_get(&session, sample.change.key, false, &info, err);
	variable_info_release(&info);
	return status;
}

static enum status time_opens(const char *path, double *ret_ns, struct error *err)
{
	/* Once before, which catches up with what was appended. */
	enum status status = open_and_get(path, err);
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < OPENS && !status; i++)
		status = open_and_get(path, err);
	*ret_ns = (double)(clock_monotonic_ns() - begin) / (double)OPENS;
	return status;
}

static enum status time_appends(const char *path, double *ret_ns, struct error *err)
{
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	struct sample sample;
	struct payload payload;
	uint64_t size = 0, begin;
	enum status status = writer_open(path, &writer, err);

	if (!status)
		status = log_size(writer.store, &size, err);
	begin = clock_monotonic_ns();
	for (size_t i = 0; i < APPENDS && !status; i++) {
		sample_fill(&sample, size + 1 + i);
		sample_payload(&payload, &sample.change, 1);
		status = writer_append(&writer, size + i, &payload, 1, NULL, err);
	}
	*ret_ns = (double)(clock_monotonic_ns() - begin) / (double)APPENDS;
	return status;
}

static enum status time_reads(const char *path, double *ret_ns, struct error *err)
{
	struct session_options options = { .store_dir = path };
	AUTO(session_close) struct session session = { .options = NULL };
	enum status status = session_open(&options, SESSION_PROFILE, &session, err);

	/* The first time brings the pages in. */
	if (!status)
		status = read_many(&session, false, ret_ns, err);
	return status ? status : read_many(&session, false, ret_ns, err);
}

/* Both halves of a pair: the log at @path and the smallest one. */
static enum status
grow_pair(enum status (*time)(const char *path, double *ret_ns, struct error *err),
	  const char *path, const char *smallest, struct measure *measure, struct error *err)
{
	double ours = 0, theirs = 0;
	enum status status = time(path, &ours, err);

	if (!status)
		status = time(smallest, &theirs, err);
	if (!status)
		measure_pair(measure, ours, theirs);
	return status;
}

static enum status growth_at_size(struct bench *bench, const struct row *row, uint64_t size,
				  const char *smallest, struct error *err)
{
	static const struct {
		const char *name;
		enum status (*time)(const char *path, double *ret_ns, struct error *err);
	} works[] = {
		{ "open and get", time_opens },
		{ "get", time_reads },
		{ "append", time_appends },
	};
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status = make_log(bench, size, &path, err);

	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]) && !status; i++) {
		struct measure *measure = report_measure(
			bench->report, row, err, "%s, %" PRIu64 " events", works[i].name, size);

		if (!measure)
			return STATUS_NO_MEMORY;
		for (unsigned run = 0; run < bench->runs && !status; run++)
			status = grow_pair(works[i].time, buf_str(&path), smallest, measure, err);
	}
	return status;
}

enum status row_growth(struct bench *bench, const struct row *row, struct error *err)
{
	AUTO(buf_release) struct buf smallest = BUF_INIT;
	enum status status = make_log(bench, sizes[0], &smallest, err);

	for (size_t i = 1; i < size_count(bench) && !status; i++)
		status = growth_at_size(bench, row, sizes[i], buf_str(&smallest), err);
	return status;
}
