/*
 * get-at: a variable of the past against the same read now.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "log_maker.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "reads.h"
#include "report.h"

#include "base/banned.h"

enum {
	READS = 100, /* in turn */
	TURNS = 50,  /* of one pair */
};

/* Both halves of a pair, in short turns. */
static enum status read_pair(struct session *session, struct measure *measure, struct error *err)
{
	uint64_t random[2] = { UINT64_C(0x2545f4914f6cdd1d), UINT64_C(0x2545f4914f6cdd1d) };
	uint64_t head = projection_seq(session->projection);
	uint64_t spent_ns[2] = { 0 };
	enum status status = STATUS_OK;

	for (unsigned turn = 0; turn < 2 * TURNS && !status; turn++) {
		unsigned now = turn % 2;
		uint64_t begin = clock_monotonic_ns();

		status = read_variables(session, !now, head, READS, &random[now], err);
		spent_ns[now] += clock_monotonic_ns() - begin;
	}
	if (!status && measure)
		measure_pair(measure, (double)spent_ns[0] / (READS * TURNS),
			     (double)spent_ns[1] / (READS * TURNS));
	return status;
}

static enum status get_at_size(struct bench *bench, const struct row *row, uint64_t size,
			       struct error *err)
{
	struct measure *measure =
		report_measure(bench->report, row, err, "%" PRIu64 " events", size);
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(session_close) struct session session = { .options = NULL };
	struct session_options options = { .store_dir = NULL };
	enum status status = make_log(bench, size, &path, err);

	if (!measure)
		return error_no_memory(err);
	options.store_dir = buf_str(&path);
	if (!status)
		status = session_open(&options, SESSION_PROFILE, &session, err);
	/* The first time brings the pages in. */
	if (!status)
		status = read_pair(&session, NULL, err);
	for (unsigned run = 0; run < bench->runs && !status; run++)
		status = read_pair(&session, measure, err);
	return status;
}

enum status row_get_at(struct bench *bench, const struct row *row, struct error *err)
{
	enum status status = STATUS_OK;
	uint64_t size;

	for (size_t i = 0; (size = log_events(bench, i)) && !status; i++)
		status = get_at_size(bench, row, size, err);
	return status;
}
