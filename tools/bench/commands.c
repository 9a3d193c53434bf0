/*
 * Whole processes, timed; see commands.h.
 */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "report.h"

#include "base/banned.h"

enum { COMMANDS = 20 }; /* of one half of a pair */

/* Run a program with nothing on its standard input and nowhere for its output. */
enum status spawn(const char *const *argv, struct error *err)
{
	union {
		const char *const *in;
		char *const *out; /* posix_spawn() does not write to it */
	} args = { .in = argv };
	posix_spawn_file_actions_t actions;
	int code, ended = 0;
	pid_t pid;

	code = posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd <= STDERR_FILENO && code == 0; fd++)
		code = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (code == 0)
		code = posix_spawnp(&pid, argv[0], &actions, NULL, args.out, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (code)
		return error_errno(err, code == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, code,
				   "cannot run %s", argv[0]);
	while (waitpid(pid, &ended, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, STATUS_IO, errno, "cannot wait for %s", argv[0]);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
		return error_set(err, STATUS_IO, "%s %s … failed (%d)", argv[0],
				 argv[1] ? argv[1] : "", ended);
	return STATUS_OK;
}

bool has_program(const char *name)
{
	/* The search path stays as it is while we run. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *path = getenv("PATH");
	bool found = false;

	while (path && *path && !found) {
		AUTO(buf_release) struct buf file = BUF_INIT;
		size_t len = strcspn(path, ":");

		buf_append(&file, path, len);
		buf_printf(&file, "/%s", name);
		found = access(buf_str(&file), X_OK) == 0;
		path += len + (path[len] == ':');
	}
	return found;
}

static enum status time_commands(struct template *template, unsigned *number, double *ret_ns,
				 struct error *err)
{
	uint64_t begin = clock_monotonic_ns();
	enum status status = STATUS_OK;

	for (size_t i = 0; i < COMMANDS && !status; i++, (*number)++) {
		AUTO(buf_release) struct buf text = BUF_INIT;

		if (template->varying) {
			buf_printf(&text, "%s%u%s", template->before, *number, template->after);
			template->argv[template->varying] = buf_str(&text);
		}
		if (template->prepare)
			status = template->prepare(template->context, *number, err);
		if (!status)
			status = spawn(template->argv, err);
	}
	*ret_ns = (double)(clock_monotonic_ns() - begin) / (double)COMMANDS;
	return status;
}

enum status alternate(struct bench *bench, struct template *ours, struct template *theirs,
		      struct measure *measure, struct error *err)
{
	unsigned number = 1;
	enum status status = STATUS_OK;

	for (unsigned run = 0; run < bench->runs && !status; run++) {
		double ours_ns = 0, theirs_ns = 0;

		status = time_commands(ours, &number, &ours_ns, err);
		if (!status)
			status = time_commands(theirs, &number, &theirs_ns, err);
		if (!status)
			measure_pair(measure, ours_ns, theirs_ns);
	}
	return status;
}

enum status need_program(const struct bench *bench, struct error *err)
{
	if (bench->program)
		return STATUS_OK;
	return error_set(err, STATUS_NOT_FOUND, "there is no program provenv beside this one");
}
