/*
 * The scratch directory and the process that guards it; see scratch.h.
 */
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "machine.h"

#include "base/banned.h"

/* A variable by which the user's own settings would reach the programs that are measured. */
static bool reaches_in(const char *variable)
{
	static const char *const beginnings[] = { "GIT_", "ETCD", "PROVENV_", "SSH_AUTH_SOCK=" };

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(variable, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

static enum status forget_settings(struct error *err)
{
	for (size_t i = 0; environ[i];) {
		AUTO(buf_release) struct buf name = BUF_INIT;

		if (!reaches_in(environ[i])) {
			i++;
			continue;
		}
		buf_append(&name, environ[i], strcspn(environ[i], "="));
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
		if (buf_status(&name, err) || unsetenv(buf_str(&name)) != 0)
			return STATUS_NO_MEMORY;
	}
	return STATUS_OK;
}

/* Before any thread is started. */
static enum status isolate(const char *dir, struct error *err)
{
	static const struct {
		const char *variable;
		const char *below;
	} places[] = {
		{ "HOME", "home" },
		{ "XDG_CONFIG_HOME", "config" },
		{ "XDG_STATE_HOME", "state" },
		{ "XDG_DATA_HOME", "data" },
		{ "TMPDIR", "tmp" },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		AUTO(buf_release) struct buf path = BUF_INIT;
		enum status status;

		fs_join(&path, dir, places[i].below);
		status = fs_make_dirs(buf_str(&path), 0700, err);
		if (status)
			return status;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
		if (setenv(places[i].variable, buf_str(&path), 1) != 0)
			return error_no_memory(err);
	}
	return forget_settings(err);
}

static enum status make_dir(const char *base, struct buf *ret, struct error *err)
{
	AUTO_FREE char *real = NULL;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	base = base ? base : getenv("TMPDIR");
	real = realpath(base && *base ? base : "/tmp", NULL);
	if (!real)
		return error_errno(err, STATUS_USAGE, errno, "cannot use %s", base ? base : "/tmp");
	if (file_system_is_memory(real)) {
		(void)error_set(err, STATUS_USAGE,
				"%s is %s, which keeps files in memory: durable writes would cost "
				"nothing",
				real, file_system_name(real));
		return error_hint(err, STATUS_USAGE, "name a directory on a disk with --dir DIR");
	}
	buf_printf(ret, "%s/provenv-bench.XXXXXX", real);
	if (buf_status(ret, err))
		return STATUS_NO_MEMORY;
	if (!mkdtemp((char *)ret->data))
		return error_errno(err, STATUS_IO, errno, "cannot make a directory in %s", real);
	return STATUS_OK;
}

static int exit_code_of(int ended)
{
	if (WIFEXITED(ended))
		return WEXITSTATUS(ended);
	return 128 + WTERMSIG(ended);
}

/*
 * Wait for the child; a signal that should stop us stops it and all it started. When this returns
 * none of them is left.
 */
static int guard(pid_t child, const sigset_t *signals)
{
	siginfo_t info = { .si_pid = 0 };
	int ended = 0;

	while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != child) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal > 0 && signal != SIGCHLD)
			(void)kill(-child, signal);
	}
	/* Still a zombie, it keeps its number, which names the group, from others. */
	(void)kill(-child, SIGKILL);
	(void)waitpid(child, &ended, 0);
	/* Those whose parent is gone are ours now. */
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	return exit_code_of(ended);
}

/* In the child: a group of its own, which ends with the guard. */
static void run_guarded(int (*work)(void *context, const char *dir), void *context, const char *dir,
			pid_t parent)
{
	struct error why = ERROR_INIT;
	int code = 1;

	if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		(void)fprintf(stderr, "provenv-bench: cannot be guarded\n");
	else if (isolate(dir, &why))
		(void)fprintf(stderr, "provenv-bench: %s\n", why.text);
	else
		code = work(context, dir);
	_exit(code);
}

enum status scratch_run(const char *base, int (*work)(void *context, const char *dir),
			void *context, int *ret_code, struct error *err)
{
	AUTO(buf_release) struct buf dir = BUF_INIT;
	sigset_t signals, before;
	pid_t child, self = getpid();
	enum status status = make_dir(base, &dir, err);

	if (status)
		return status;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, &before);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child == 0) {
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		run_guarded(work, context, buf_str(&dir), self);
	}
	if (child < 0) {
		status = error_errno(err, STATUS_IO, errno, "cannot fork");
	} else {
		/* Here as well, so that the group is there whoever of us is first. */
		(void)setpgid(child, child);
		*ret_code = guard(child, &signals);
	}
	if (fs_remove_tree(buf_str(&dir), status ? NULL : err) && !status)
		status = STATUS_IO;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return status;
}
