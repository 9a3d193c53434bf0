/*
 * rebuild: the state from the log, against SQLite alone running the identical statements with the
 * same values, pragmas and end (a synced file in WAL mode).
 */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "bench.h"
#include "log_maker.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "projections/tables.h"
#include "report.h"
#include "store/evlog.h"
#include "store/store.h"
#include "tape.h"

#include "base/banned.h"

enum {
	EVENTS_QUICK = 20 * 1000,
	EVENTS_FULL = 200 * 1000,
};

static void close_db(struct db **db)
{
	db_close(*db);
}

static void close_projection(struct projection **projection)
{
	projection_close(*projection);
}

static double per_second(uint64_t count, uint64_t ns)
{
	return (double)count * 1e9 / (double)(ns ? ns : 1);
}

/* What a rebuild runs, as projection.c does it. */
static enum status record(struct store *store, struct evlog_snapshot *snapshot, const char *path,
			  struct tape *tape, struct error *err)
{
	struct position position = { .schema_version = SCHEMA_VERSION };
	AUTO(close_db) struct db *db = NULL;
	enum status status = db_open(path, DB_BUILD, &db, err);

	if (status)
		return status;
	tape_start(tape, db_handle(db));
	memcpy(position.log_id, store_log_id(store), LOG_ID_BYTES);
	status = db_exec(db, "BEGIN", err);
	if (!status)
		status = tables_create(db, err);
	if (!status)
		status = catchup_apply(db, snapshot, snapshot->size, &position, err);
	if (!status)
		status = db_exec(db, "COMMIT", err);
	if (!status)
		status = tape_stop(tape, db_handle(db), err);
	return status;
}

static enum status play(const struct tape *tape, const char *path, uint64_t *ret_ns,
			struct error *err)
{
	uint64_t begin = clock_monotonic_ns();
	struct db *db = NULL;
	enum status status = db_open(path, DB_BUILD, &db, err);

	if (!status)
		status = tape_play(tape, db_handle(db), err);
	if (!status)
		status = db_finish_build(db, err);
	db_close(db);
	*ret_ns = clock_monotonic_ns() - begin;
	return status;
}

static enum status measure_rebuild(struct projection *projection, const struct tape *tape,
				   const char *path, struct measure *measure, struct error *err)
{
	uint64_t begin = clock_monotonic_ns();
	enum status status = projection_rebuild(projection, err);
	uint64_t ours = clock_monotonic_ns() - begin, theirs = 0;

	if (!status)
		status = play(tape, path, &theirs, err);
	if (!status)
		status = fs_remove(path, err);
	if (!status)
		measure_pair(measure, per_second(projection_seq(projection), ours),
			     per_second(projection_seq(projection), theirs));
	return status;
}

enum status row_rebuild(struct bench *bench, const struct row *row, struct error *err)
{
	uint64_t events = bench->quick ? EVENTS_QUICK : EVENTS_FULL;
	struct measure *measure = report_measure(bench->report, row, err, "%s", "");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf bare = BUF_INIT;
	AUTO(tape_release) struct tape tape = TAPE_INIT;
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	AUTO(close_projection) struct projection *projection = NULL;
	enum status status = make_log(bench, events, &path, err);

	if (!measure)
		return error_no_memory(err);
	buf_printf(&bare, "%s/rebuild-bare.db", bench->dir);
	if (!status)
		status = writer_open(buf_str(&path), &writer, err);
	if (!status)
		status = projection_open(writer.store, &projection, err);
	if (!status)
		status = record(writer.store, projection_snapshot(projection), buf_str(&bare),
				&tape, err);
	if (!status)
		status = fs_remove(buf_str(&bare), err);
	for (unsigned run = 0; run < bench->runs && !status; run++)
		status = measure_rebuild(projection, &tape, buf_str(&bare), measure, err);
	return status;
}
