/*
 * Work in a child process; see child.h.
 *
 * Invariants: the child's last word is its error, written to a pipe in one piece; without it, how
 * the child ended tells why. No child is left behind, as a zombie neither.
 */
#include "base/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#include "base/banned.h"

enum {
	WATCH_MS = 100,
};

static_assert(sizeof(struct error) <= PIPE_BUF, "an error goes through a pipe in one piece");

/* What damage kills by: reads beyond the file, wild pointers, checks of who reads. */
static const int damage_signals[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL };
/* By which somebody asks a process to end. */
static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_one_of(int number, const int *signals, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (signals[i] == number)
			return true;
	}
	return false;
}

enum status child_share(size_t size, void **ret, struct error *err)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return error_no_memory(err);
	*ret = shared;
	return STATUS_OK;
}

void child_unshare(void *shared, size_t size)
{
	if (shared)
		(void)munmap(shared, size);
}

/* --- the child -------------------------------------------------------------------------------- */

/* What the parent ignores stays ignored: a command under nohup goes on, and so does its child. */
static void reset_handlers(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	struct sigaction now;
	sigset_t none;

	for (size_t i = 0; i < COUNT(damage_signals); i++)
		(void)sigaction(damage_signals[i], &plain, NULL);
	for (size_t i = 0; i < COUNT(stop_signals); i++) {
		if (sigaction(stop_signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			(void)sigaction(stop_signals[i], &plain, NULL);
	}
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void silence_errors(void)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null_fd < 0)
		return;
	(void)dup2(null_fd, STDERR_FILENO);
	if (null_fd != STDERR_FILENO)
		(void)close(null_fd);
}

static void settle(pid_t parent)
{
	struct rlimit no_core = { .rlim_cur = 0, .rlim_max = 0 };

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have died before we asked to die with it. */
	if (getppid() != parent)
		_exit(1);
	reset_handlers();
	silence_errors();
}

/* A build that measures coverage writes its counts at exit(), which the child never comes to. */
static void keep_coverage(void)
{
#ifdef PROVENV_COVERAGE
	extern void __gcov_dump(void);

	__gcov_dump();
#endif
}

static _Noreturn void live(const struct child_job *job, pid_t parent, int fd)
{
	struct error result = ERROR_INIT;

	settle(parent);
	result.status = job->work(job->context, &result);
	keep_coverage();
	_exit(write(fd, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

/* --- the parent ------------------------------------------------------------------------------- */

static enum status judge_death(const struct child_job *job, int how, int *ret_signal,
			       struct error *err)
{
	int number = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
	const char *abbreviation = sigabbrev_np(number); /* NULL: a real-time one */

	if (is_one_of(number, damage_signals, COUNT(damage_signals))) {
		*ret_signal = number;
		return error_set(err, STATUS_CORRUPT,
				 "%s was stopped by SIG%s, as by a damaged page", job->name,
				 abbreviation);
	}
	if (is_one_of(number, stop_signals, COUNT(stop_signals)))
		return error_set(err, STATUS_INTERRUPTED, "%s was interrupted", job->name);
	if (number)
		return error_set(err, STATUS_IO, "%s was killed by %s%s", job->name,
				 abbreviation ? "SIG" : "a signal",
				 abbreviation ? abbreviation : "");
	return error_set(err, STATUS_IO, "%s ended without a result", job->name);
}

/* Until the child speaks, or its end of the pipe is closed by its death. */
static void watch(const struct child_job *job, int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };
	int ready = 0;

	while (job->watch && (ready == 0 || (ready < 0 && errno == EINTR))) {
		ready = poll(&end, 1, WATCH_MS);
		job->watch(job->context);
	}
}

/* The child's last word. False: it left none. */
static bool hear(int fd, struct error *ret)
{
	ssize_t got;

	do
		got = read(fd, ret, sizeof(*ret));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*ret);
}

/* Start the child; its word will come out of *ret_fd. */
static enum status start(const struct child_job *job, pid_t *ret, int *ret_fd, struct error *err)
{
	pid_t parent = getpid();
	pid_t child = -1;
	int failure;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno(err, STATUS_IO, errno, "cannot make a pipe");
	child = fork();
	failure = errno;
	if (child == 0)
		live(job, parent, ends[1]);
	(void)close(ends[1]);
	if (child < 0) {
		(void)close(ends[0]);
		return error_errno(err, STATUS_IO, failure, "cannot start a process for %s",
				   job->name);
	}
	*ret = child;
	*ret_fd = ends[0];
	return STATUS_OK;
}

enum status child_job_run(const struct child_job *job, int *ret_signal, struct error *err)
{
	struct error result = ERROR_INIT;
	pid_t child = -1;
	bool heard;
	int fd = -1, how = 0, damage = 0;
	enum status status;

	if (ret_signal)
		*ret_signal = 0;
	status = start(job, &child, &fd, err);
	if (status)
		return status;
	watch(job, fd);
	heard = hear(fd, &result);
	(void)close(fd);
	while (waitpid(child, &how, 0) < 0 && errno == EINTR)
		;
	if (heard) {
		if (result.status && err)
			*err = result;
		return result.status;
	}
	status = judge_death(job, how, &damage, err);
	if (ret_signal)
		*ret_signal = damage;
	return status;
}
