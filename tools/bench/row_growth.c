/*
 * growth: what opening, reading and appending cost as the log grows, against the smallest log.
 *
 * Both logs take short turns within a pair, down to single appends, and who begins changes: what
 * the disk and the rest of the machine do falls on both. Of appends the median counts, since one
 * that waits for the disk's own work takes as long as a hundred others.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "log_maker.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "reads.h"
#include "report.h"
#include "store/event.h"

#include "base/banned.h"

enum {
	READS = 100, /* in turn */
	READ_TURNS = 50,
	OPEN_TURNS = 50,
	APPEND_TURNS = 200,
	TURNS_MAX = 200,
};

#define RANDOM_SEED UINT64_C(0x2545f4914f6cdd1d)

/* A log, however it is open just now. */
struct grown {
	const char *path;
	struct session session;
	struct writer writer;
	uint64_t size;   /* for appends */
	uint64_t random; /* for reads */
};

/* The large one, the smallest one. */
struct pair {
	struct grown logs[2];
};

#define GROWN_INIT(at) { .path = (at), .writer = WRITER_INIT, .random = RANDOM_SEED }
#define PAIR_INIT(large, smallest)                                  \
	{                                                           \
		.logs = { GROWN_INIT(large), GROWN_INIT(smallest) } \
	}

/* One of the things that are measured. */
struct work {
	const char *name;
	unsigned turns;
	unsigned each; /* how often one turn does it */
	bool median;   /* of the turns; else their mean */
	/* Open what turns need, left open; NULL: nothing. */
	enum status (*open)(struct grown *grown, struct error *err);
	enum status (*turn)(struct grown *grown, struct error *err);
};

static void pair_release(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++) {
		session_close(&pair->logs[i].session);
		writer_close(&pair->logs[i].writer);
	}
}

/* --- open and get ----------------------------------------------------------------------------- */

static enum status turn_open(struct grown *grown, struct error *err)
{
	struct session_options options = { .store_dir = grown->path };
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

/* --- get -------------------------------------------------------------------------------------- */

static enum status open_session(struct grown *grown, struct error *err)
{
	struct session_options options = { .store_dir = grown->path };

	return session_open(&options, SESSION_PROFILE, &grown->session, err);
}

/* The same variables of both logs: those that the smallest one's events set. */
static enum status turn_get(struct grown *grown, struct error *err)
{
	return read_variables(&grown->session, false, LOG_EVENTS_MIN, READS, &grown->random, err);
}

/* --- append ----------------------------------------------------------------------------------- */

static enum status open_writer(struct grown *grown, struct error *err)
{
	enum status status = writer_open(grown->path, &grown->writer, err);

	return status ? status : log_size(grown->writer.store, &grown->size, err);
}

static enum status turn_append(struct grown *grown, struct error *err)
{
	struct sample sample;
	struct payload payload;
	enum status status;

	sample_fill(&sample, grown->size + 1);
	sample_payload(&payload, &sample.change, 1);
	status = writer_append(&grown->writer, grown->size, &payload, 1, NULL, err);
	grown->size += status ? 0 : 1;
	return status;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Nanoseconds of doing it once. */
static double cost(const struct work *work, uint64_t *turns_ns)
{
	unsigned middle = work->turns / 2;
	double sum = 0;

	if (work->median) {
		qsort(turns_ns, work->turns, sizeof(*turns_ns), by_value);
		return (double)turns_ns[middle] / work->each;
	}
	for (unsigned i = 0; i < work->turns; i++)
		sum += (double)turns_ns[i];
	return sum / work->turns / work->each;
}

static enum status grow_pair(const struct work *work, struct pair *pair, struct measure *measure,
			     struct error *err)
{
	uint64_t turns_ns[2][TURNS_MAX];

	assert(work->turns <= TURNS_MAX);
	for (unsigned turn = 0; turn < work->turns; turn++) {
		for (unsigned i = 0; i < 2; i++) {
			unsigned which = (turn + i) % 2;
			uint64_t begin = clock_monotonic_ns();
			enum status status = work->turn(&pair->logs[which], err);

			if (status)
				return status;
			turns_ns[which][turn] = clock_monotonic_ns() - begin;
		}
	}
	if (measure)
		measure_pair(measure, cost(work, turns_ns[0]), cost(work, turns_ns[1]));
	return STATUS_OK;
}

static enum status grow_work(struct bench *bench, const struct work *work, struct pair *pair,
			     struct measure *measure, struct error *err)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < 2 && work->open && !status; i++)
		status = work->open(&pair->logs[i], err);
	/* One pair more than asked for: the first warms both up and is not counted. */
	for (unsigned run = 0; run <= bench->runs && !status; run++)
		status = grow_pair(work, pair, run ? measure : NULL, err);
	return status;
}

static const struct work works[] = {
	{ "open and get", OPEN_TURNS, 1, false, NULL, turn_open },
	{ "get", READ_TURNS, READS, false, open_session, turn_get },
	{ "append", APPEND_TURNS, 1, true, open_writer, turn_append },
};

static enum status growth_at_size(struct bench *bench, const struct row *row, uint64_t size,
				  const char *smallest, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status = make_log(bench, size, &path, err);

	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]) && !status; i++) {
		struct measure *measure = report_measure(
			bench->report, row, err, "%s, %" PRIu64 " events", works[i].name, size);
		AUTO(pair_release) struct pair pair = PAIR_INIT(buf_str(&path), smallest);

		if (!measure)
			return STATUS_NO_MEMORY;
		status = grow_work(bench, &works[i], &pair, measure, err);
	}
	return status;
}

enum status row_growth(struct bench *bench, const struct row *row, struct error *err)
{
	AUTO(buf_release) struct buf smallest = BUF_INIT;
	enum status status = make_log(bench, LOG_EVENTS_MIN, &smallest, err);
	uint64_t size;

	for (size_t i = 1; (size = log_events(bench, i)) && !status; i++)
		status = growth_at_size(bench, row, size, buf_str(&smallest), err);
	return status;
}
