/*
 * memory: the most anonymous memory (RssAnon) a process held while it audited or rebuilt the
 * largest log. Mapped files do not count: the kernel takes them back when it wants.
 *
 * The work is done in a child, which the parent looks at every few milliseconds; a peak between two
 * looks is missed.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "bench.h"
#include "log_maker.h"
#include "projections/projection.h"
#include "report.h"
#include "store/audit.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/store.h"

#include "base/banned.h"

enum {
	EVENTS_QUICK = 100 * 1000,
	EVENTS_FULL = 1000 * 1000,
	LOOK_EVERY_NS = 2 * 1000 * 1000,
};

static void close_log(struct evlog **log)
{
	evlog_close(*log);
}

static void close_store(struct store **store)
{
	store_close(*store);
}

static enum status audit(const char *path, struct error *err)
{
	AUTO(buf_release) struct buf dir = BUF_INIT;
	AUTO(close_log) struct evlog *log = NULL;
	struct audit_options options = { .threads = 0 };
	struct audit_report report;
	enum status status;

	buf_printf(&dir, "%s/log", path);
	status = evlog_lmdb_open(buf_str(&dir), (struct evlog_lmdb_options){ .read_only = true },
				 &log, err);
	if (!status)
		status = audit_evlog(log, &options, &report, err);
	if (!status && !report.ok)
		status = error_set(err, STATUS_CORRUPT, "audit: %s", report.message);
	return status;
}

static enum status rebuild(const char *path, struct error *err)
{
	AUTO(close_store) struct store *store = NULL;
	struct projection *projection = NULL;
	enum status status =
		store_open(path, (struct store_options){ .read_only = false }, &store, err);

	if (!status)
		status = projection_open(store, &projection, err);
	if (!status)
		status = projection_rebuild(projection, err);
	projection_close(projection);
	return status;
}

/* RssAnon of @pid in bytes; 0 when it has ended or cannot be looked at. */
static uint64_t anonymous_bytes(pid_t pid)
{
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		const char *digits = line + strcspn(line, "0123456789");

		if (strncmp(line, "RssAnon:", 8) != 0)
			continue;
		if (!text_to_u64(slice_of(digits, strspn(digits, "0123456789")), &kib))
			kib = 0;
		break;
	}
	if (file)
		(void)fclose(file);
	return kib * 1024;
}

static enum status watch_child(pid_t pid, const char *what, uint64_t *ret_peak, struct error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	int ended = 0;

	*ret_peak = 0;
	while (waitpid(pid, &ended, WNOHANG) == 0) {
		uint64_t now = anonymous_bytes(pid);

		if (now > *ret_peak)
			*ret_peak = now;
		(void)nanosleep(&pause, NULL);
	}
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
		return error_set(err, STATUS_IO, "the child that was to %s failed", what);
	return STATUS_OK;
}

static enum status peak_of(enum status (*work)(const char *path, struct error *err),
			   const char *what, const char *path, uint64_t *ret_peak,
			   struct error *err)
{
	struct error why = ERROR_INIT;
	pid_t pid;

	/* What earlier rows freed would be counted: the child begins as a copy of this process. */
	(void)malloc_trim(0);
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return error_set(err, STATUS_IO, "cannot fork");
	if (pid == 0) {
		enum status status = work(path, &why);

		if (status)
			(void)fprintf(stderr, "provenv-bench: %s: %s\n", what, why.text);
		_exit(status ? 1 : 0);
	}
	return watch_child(pid, what, ret_peak, err);
}

enum status row_memory(struct bench *bench, const struct row *row, struct error *err)
{
	static const struct {
		const char *name;
		enum status (*work)(const char *path, struct error *err);
	} works[] = {
		{ "audit", audit },
		{ "rebuild", rebuild },
	};
	uint64_t events = bench->quick ? EVENTS_QUICK : EVENTS_FULL;
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status = make_log(bench, events, &path, err);

	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]) && !status; i++) {
		struct measure *measure = report_measure(
			bench->report, row, err, "%s, %" PRIu64 " events", works[i].name, events);
		uint64_t peak = 0;

		if (!measure)
			return STATUS_NO_MEMORY;
		status = peak_of(works[i].work, works[i].name, buf_str(&path), &peak, err);
		if (!status)
			measure_one(measure, (double)peak);
	}
	return status;
}
