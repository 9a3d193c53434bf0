/*
 * Audit of a log on disk in a child process, which may die of it.
 *
 * LMDB believes its pages: a damaged one can end the process that reads it by SIGBUS, SIGSEGV or an
 * assertion of LMDB's own. So the child opens the log, and says in shared memory which events it is
 * at. When it dies, a probe that reads events one by one finds out which of those was the one, and
 * a further child audits what lies before it.
 *
 * Invariants: the log is never opened here in the calling process; what the child leaves is a
 * report, or it is said that it died. What is checked is audit_run.c's and audit_check.c's
 * business.
 */
#include "store/audit.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/audit_run.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_file.h"

#include "base/banned.h"

enum {
	CHILDREN_MAX = 8, /* that may die before we give up on naming how much is valid */
};

/* What parent and child share. */
struct shared {
	struct audit_progress progress;
	struct audit_report report;
};

struct job {
	const char *log_path;
	struct evlog_lmdb_options open_options;
	const struct audit_options *options;
	struct audit_scope scope; /* of the child that runs */
	struct shared *shared;
};

static void job_release(struct job *job)
{
	child_unshare(job->shared, sizeof(*job->shared));
}

/* --- the child -------------------------------------------------------------------------------- */

static enum status audit_here(void *context, struct error *err)
{
	const struct job *job = context;
	struct shared *shared = job->shared;
	struct audit_options options = *job->options;
	struct error why = ERROR_INIT;
	struct evlog *log = NULL;
	enum status status = evlog_lmdb_open(job->log_path, job->open_options, &log, &why);

	/* The parent's thread calls back. */
	options.progress = NULL;
	if (!status)
		status = audit_run(log, &options, job->scope, &shared->progress, &shared->report,
				   &why);
	if (status == STATUS_CORRUPT) {
		/* Too damaged to be opened is what was found out about it. */
		audit_report_broken(&shared->report, why.text);
		return STATUS_OK;
	}
	if (status && err)
		*err = why;
	return status;
}

/* --- the parent ------------------------------------------------------------------------------- */

static void show_progress(void *context)
{
	const struct job *job = context;
	const struct audit_progress *progress = &job->shared->progress;

	job->options->progress(job->options->context, atomic_load(&progress->done),
			       atomic_load(&progress->total));
}

/*
 * Audit @scope in a child. @ret_signal: the damage it died of, 0 when the shared report is filled.
 */
static enum status run_child(struct job *job, struct audit_scope scope, int *ret_signal,
			     struct error *err)
{
	struct child_job child = { .name = "the audit", .work = audit_here, .context = job };
	struct error why = ERROR_INIT;
	enum status status;

	memset(job->shared, 0, sizeof(*job->shared));
	job->scope = scope;
	if (scope.probe == 0 && job->options->progress)
		child.watch = show_progress;
	status = child_job_run(&child, ret_signal, &why);
	if (*ret_signal)
		return STATUS_OK;
	if (status && err)
		*err = why;
	return status;
}

/* --- after a death ---------------------------------------------------------------------------- */

struct death {
	int signal;    /* 0: none */
	uint64_t seq;  /* event that was read; 0: none */
	uint64_t good; /* events that can be read all the same */
	bool finished; /* the events had been checked */
};

/* The events that were in work: the least, and the greatest. Zeros for none. */
static void events_in_work(const struct audit_progress *progress, uint64_t *ret_least,
			   uint64_t *ret_greatest)
{
	uint64_t least = atomic_load(&progress->reading);
	uint64_t greatest = least;

	for (size_t i = 0; i < AUDIT_THREADS_MAX; i++) {
		uint64_t seq = atomic_load(&progress->position[i]);

		if (seq && (!least || seq < least))
			least = seq;
		if (seq > greatest)
			greatest = seq;
	}
	*ret_least = least;
	*ret_greatest = greatest;
}

/*
 * Find out which event a child died of. One thread says so itself; of several one was at it, and a
 * child that reads one by one dies of it once more, unless it comes upon a lesser fault before. If
 * it survives all of them, the least is named.
 */
static enum status find_death(struct job *job, int signal_number, struct death *ret,
			      struct error *err)
{
	const struct audit_progress *progress = &job->shared->progress;
	struct death death = { .signal = signal_number,
			       .finished = atomic_load(&progress->phase) == AUDIT_FINISHING };
	uint64_t fault = 0;
	uint64_t least, greatest;
	int probe_signal;

	events_in_work(progress, &least, &greatest);
	if (least != greatest) {
		struct audit_scope probe = { .upto = greatest,
					     .events_only = true,
					     .probe = least };
		enum status status = run_child(job, probe, &probe_signal, err);

		if (status)
			return status;
		if (probe_signal)
			events_in_work(progress, &least, &greatest);
		else
			fault = job->shared->report.first_bad;
	}
	death.seq = least;
	if (least)
		death.good = fault ? fault : least - 1;
	*ret = death;
	return STATUS_OK;
}

static void put_death(const struct death *death, struct audit_report *report)
{
	char prefix[48] = "";

	if (death->seq)
		(void)snprintf(prefix, sizeof(prefix), "event %" PRIu64 ": ", death->seq);
	report->ok = false;
	report->first_bad = death->seq;
	(void)snprintf(report->message, sizeof(report->message),
		       "%sthe log's page%s cannot be read (the audit was stopped by SIG%s)", prefix,
		       death->seq ? "" : "s", sigabbrev_np(death->signal));
}

/* Audit what lies before each event that a child died of, until one lives. */
static enum status audit_in_children(struct job *job, struct audit_report *ret, struct error *err)
{
	struct audit_scope scope = AUDIT_SCOPE_ALL;
	struct audit_report report;
	struct death death = { .signal = 0 };

	for (int i = 0; i < CHILDREN_MAX; i++) {
		int signal_number;
		enum status status = run_child(job, scope, &signal_number, err);

		if (status)
			return status;
		if (signal_number == 0) {
			report = job->shared->report;
			/* A finding before the event that was deadly is worth more. */
			if (death.signal && report.ok)
				put_death(&death, &report);
			*ret = report;
			return STATUS_OK;
		}
		status = find_death(job, signal_number, &death, err);
		if (status)
			return status;
		if (death.seq == 0 && (!death.finished || scope.events_only))
			break;
		scope.events_only = true;
		if (death.seq)
			scope.upto = death.good;
	}
	audit_report_broken(&report, "");
	put_death(&death, &report);
	*ret = report;
	return STATUS_OK;
}

enum status audit_log(const char *log_path, struct evlog_lmdb_options open_options,
		      const struct audit_options *options, struct audit_report *ret,
		      struct error *err)
{
	struct job job AUTO(job_release) = {
		.log_path = log_path,
		.open_options = open_options,
		.options = options,
	};
	void *shared = NULL;
	struct buf data AUTO(buf_release) = BUF_INIT;
	uint64_t before = 0;
	enum status status = child_share(sizeof(*job.shared), &shared, err);

	if (status)
		return status;
	fs_join(&data, log_path, "data.mdb");
	if (open_options.no_lock)
		(void)lmdb_file_transaction(buf_str(&data), &before, NULL);
	job.shared = shared;
	job.open_options.create = false;
	job.open_options.read_only = true;
	status = audit_in_children(&job, ret, err);
	if (!status && !ret->ok)
		status = lmdb_file_check_unmoved(buf_str(&data), before, err);
	return status;
}

enum status audit_evlog(struct evlog *log, const struct audit_options *options,
			struct audit_report *ret, struct error *err)
{
	struct audit_progress progress = { .done = 0 };
	struct audit_scope scope = AUDIT_SCOPE_ALL;

	return audit_run(log, options, scope, &progress, ret, err);
}
