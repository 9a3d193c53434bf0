/*
 * The scratch directory and the process that guards it; see scratch.h.
 */
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "machine.h"

#include "base/banned.h"

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
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	(void)unsetenv("PROVENV_STORE");
	return STATUS_OK;
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

/* Wait for the child; a signal that should stop us stops it. */
static int guard(pid_t child, const sigset_t *signals)
{
	int ended = 0;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal > 0 && signal != SIGCHLD)
			(void)kill(child, signal);
		if (waitpid(child, &ended, WNOHANG) == child)
			return exit_code_of(ended);
	}
}

enum status scratch_run(const char *base, int (*work)(void *context, const char *dir),
			void *context, int *ret_code, struct error *err)
{
	AUTO(buf_release) struct buf dir = BUF_INIT;
	sigset_t signals, before;
	pid_t child;
	enum status status = make_dir(base, &dir, err);

	if (status)
		return status;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, &before);
	child = fork();
	if (child == 0) {
		struct error why = ERROR_INIT;
		int code = 1;

		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (isolate(buf_str(&dir), &why) == STATUS_OK)
			code = work(context, buf_str(&dir));
		else
			(void)fprintf(stderr, "provenv-bench: %s\n", why.text);
		_exit(code);
	}
	if (child < 0)
		status = error_errno(err, STATUS_IO, errno, "cannot fork");
	else
		*ret_code = guard(child, &signals);
	if (fs_remove_tree(buf_str(&dir), status ? NULL : err) && !status)
		status = STATUS_IO;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return status;
}
