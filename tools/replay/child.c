/*
 * Work in a child process; see child.h. The child's last word is its error, written to a pipe in
 * one piece; without it, how the child ended tells why.
 */
#include "replay/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#include "base/banned.h"

static_assert(sizeof(struct error) <= PIPE_BUF, "an error goes through a pipe in one piece");

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

/* What a page kills one by: reads beyond the file, wild pointers, LMDB's own checks. */
static const int damage_signals[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL };

/* Die silently, without a core (it could hold values), and not later than the parent. */
static void settle(pid_t parent)
{
	struct rlimit no_core = { .rlim_cur = 0, .rlim_max = 0 };
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (size_t i = 0; i < sizeof(damage_signals) / sizeof(damage_signals[0]); i++)
		(void)signal(damage_signals[i], SIG_DFL); /* NOLINT(cert-err33-c): cannot fail */
	if (null_fd >= 0)
		(void)dup2(null_fd, STDERR_FILENO);
}

static enum status judge_death(int how, struct error *err)
{
	int number = WIFSIGNALED(how) ? WTERMSIG(how) : 0;

	for (size_t i = 0; i < sizeof(damage_signals) / sizeof(damage_signals[0]); i++) {
		if (number == damage_signals[i])
			return error_set(err, STATUS_CORRUPT,
					 "a page of the log cannot be read (SIG%s)",
					 sigabbrev_np(number));
	}
	if (number)
		return error_set(err, STATUS_INTERRUPTED,
				 "the reading of the log was ended by SIG%s", sigabbrev_np(number));
	return error_set(err, STATUS_IO, "the reading of the log ended without a result");
}

/* The child's side. */
static _Noreturn void live(child_work work, void *context, pid_t parent, int fd)
{
	struct error result = ERROR_INIT;

	settle(parent);
	result.status = work(context, &result);
	_exit(write(fd, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

enum status child_run(child_work work, void *context, struct error *err)
{
	struct error result = ERROR_INIT;
	pid_t child, parent = getpid();
	int ends[2], how = 0;
	ssize_t got = -1;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno(err, STATUS_IO, errno, "cannot make a pipe");
	child = fork();
	if (child == 0)
		live(work, context, parent, ends[1]);
	(void)close(ends[1]);
	if (child > 0) {
		do
			got = read(ends[0], &result, sizeof(result));
		while (got < 0 && errno == EINTR);
		while (waitpid(child, &how, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	if (child < 0)
		return error_errno(err, STATUS_IO, errno, "cannot start a child process");
	if (got != (ssize_t)sizeof(result))
		return judge_death(how, err);
	if (result.status && err)
		*err = result;
	return result.status;
}
