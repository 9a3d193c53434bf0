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

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h> /* pid_t */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/audit_run.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_file.h"

#include "base/banned.h"

enum {
	PROGRESS_MS = 100,
	CHILDREN_MAX = 8, /* that may die before we give up on naming how much is valid */
};

/* Signals by which a damaged page ends who touches it. */
static const int damage_signals[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL };
/* Signals by which somebody asks a process to end. */
static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What parent and child share. */
struct shared {
	struct audit_progress progress;
	_Atomic bool finished; /* what follows is filled */
	enum status status;
	struct error error;
	struct audit_report report;
};

struct job {
	const char *log_path;
	struct evlog_lmdb_options open_options;
	const struct audit_options *options;
	struct shared *shared;
};

static void job_release(struct job *job)
{
	if (job->shared)
		(void)munmap(job->shared, sizeof(*job->shared));
}

static bool is_one_of(int signal_number, const int *signals, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (signals[i] == signal_number)
			return true;
	}
	return false;
}

/* --- the child -------------------------------------------------------------------------------- */

static void reset_signals(const int *signals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)signal(signals[i], SIG_DFL);
}

/*
 * Die with the parent, as a process that nobody has to hear of: no core file, since memory may hold
 * secrets; no handlers of the parent's, which would mistake this process for that one; no messages,
 * which LMDB prints before it aborts.
 *
 * Other descriptors stay open. Closing them would set their numbers free for the log's files, while
 * whoever believes to own one, like the trace, goes on writing to it.
 */
static void settle_child(pid_t parent)
{
	struct rlimit no_core = { .rlim_cur = 0, .rlim_max = 0 };
	sigset_t none;
	int null_fd;

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	reset_signals(damage_signals, COUNT(damage_signals));
	reset_signals(stop_signals, COUNT(stop_signals));
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null_fd, fd);
}

static void child_main(const struct job *job, struct audit_scope scope)
{
	struct shared *shared = job->shared;
	struct audit_options options = *job->options;
	struct evlog *log = NULL;

	/* The parent's thread calls back. */
	options.progress = NULL;
	shared->status = evlog_lmdb_open(job->log_path, job->open_options, &log, &shared->error);
	if (!shared->status)
		shared->status = audit_run(log, &options, scope, &shared->progress, &shared->report,
					   &shared->error);
	if (shared->status == STATUS_CORRUPT) {
		/* Too damaged to be opened is what was found out about it. */
		audit_report_broken(&shared->report, shared->error.text);
		shared->status = STATUS_OK;
	}
	atomic_store(&shared->finished, true);
}

/* --- the parent ------------------------------------------------------------------------------- */

/* Wait until the other end of @fd, which the child holds, is closed by its death. */
static void watch_child(const struct job *job, int fd, bool show)
{
	const struct audit_options *options = job->options;
	const struct audit_progress *progress = &job->shared->progress;
	bool call = show && options->progress;
	struct pollfd end = { .fd = fd };

	for (;;) {
		int ready = poll(&end, 1, call ? PROGRESS_MS : -1);

		if (ready > 0 || (ready < 0 && errno != EINTR))
			break;
		if (call)
			options->progress(options->context, atomic_load(&progress->done),
					  atomic_load(&progress->total));
	}
	if (call)
		options->progress(options->context, atomic_load(&progress->done),
				  atomic_load(&progress->total));
}

/* How a child ended that left no result: by damage (then OK, and the signal), or otherwise. */
static enum status judge_death(int wait_status, int *ret_signal, struct error *err)
{
	int signal_number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;

	if (is_one_of(signal_number, damage_signals, COUNT(damage_signals))) {
		*ret_signal = signal_number;
		return STATUS_OK;
	}
	if (is_one_of(signal_number, stop_signals, COUNT(stop_signals)))
		return error_set(err, STATUS_INTERRUPTED, "the audit was interrupted");
	if (signal_number)
		return error_set(err, STATUS_IO, "the auditor was killed by SIG%s",
				 sigabbrev_np(signal_number));
	return error_set(err, STATUS_IO, "the auditor ended without a result");
}

/*
 * Audit @scope in a child. @ret_signal: the damage it died of, 0 when the shared report is filled.
 */
static enum status run_child(const struct job *job, struct audit_scope scope, int *ret_signal,
			     struct error *err)
{
	struct shared *shared = job->shared;
	pid_t parent = getpid();
	int wait_status = 0;
	int ends[2];
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	*ret_signal = 0;
	if (pipe2(ends, O_CLOEXEC))
		return error_errno(err, STATUS_IO, errno, "cannot make a pipe");
	child = fork();
	if (child == 0) {
		settle_child(parent);
		child_main(job, scope);
		_exit(0);
	}
	(void)close(ends[1]);
	if (child > 0) {
		watch_child(job, ends[0], scope.probe == 0);
		while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	if (child < 0)
		return error_errno(err, STATUS_IO, errno, "cannot start the auditor");
	if (!atomic_load(&shared->finished))
		return judge_death(wait_status, ret_signal, err);
	if (shared->status && err)
		*err = shared->error;
	return shared->status;
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
static enum status find_death(const struct job *job, int signal_number, struct death *ret,
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
		       "%sthe log's page%s cannot be read (the auditor was stopped by SIG%s)",
		       prefix, death->seq ? "" : "s", sigabbrev_np(death->signal));
}

/* Audit what lies before each event that a child died of, until one lives. */
static enum status audit_in_children(const struct job *job, struct audit_report *ret,
				     struct error *err)
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

/*
 * Without a lock nothing keeps a writer from using pages again that are being read: what was found
 * then may be its doing.
 */
static enum status judge_unlocked(const char *log_path, const char *data, uint64_t before,
				  struct error *err)
{
	uint64_t after = before;

	if (lmdb_file_transaction(data, &after, NULL) || after == before)
		return STATUS_OK;
	return error_hint(
		err,
		error_set(err, STATUS_LOCKED,
			  "the log at %s is being written to, and its lock.mdb, which would "
			  "keep its pages for us, cannot be written",
			  log_path),
		"try again when nobody writes, or audit a copy");
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
	void *shared = mmap(NULL, sizeof(*job.shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct buf data AUTO(buf_release) = BUF_INIT;
	uint64_t before = 0;
	enum status status;

	if (shared == MAP_FAILED)
		return error_no_memory(err);
	fs_join(&data, log_path, "data.mdb");
	if (open_options.no_lock)
		(void)lmdb_file_transaction(buf_str(&data), &before, NULL);
	job.shared = shared;
	job.open_options.create = false;
	job.open_options.read_only = true;
	status = audit_in_children(&job, ret, err);
	if (!status && !ret->ok && open_options.no_lock && before)
		status = judge_unlocked(log_path, buf_str(&data), before, err);
	return status;
}

enum status audit_evlog(struct evlog *log, const struct audit_options *options,
			struct audit_report *ret, struct error *err)
{
	struct audit_progress progress = { .done = 0 };
	struct audit_scope scope = AUDIT_SCOPE_ALL;

	return audit_run(log, options, scope, &progress, ret, err);
}
