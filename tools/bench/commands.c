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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "report.h"

#include "base/banned.h"

enum {
	COMMANDS_QUICK = 10, /* of one half of a pair */
	COMMANDS_FULL = 20,
};

/* Start a program with nothing on its standard input; @output: a descriptor, -1: nowhere. */
static enum status start(const char *const *argv, int output, pid_t *ret, struct error *err)
{
	union {
		const char *const *in;
		char *const *out; /* posix_spawn() does not write to it */
	} args = { .in = argv };
	posix_spawn_file_actions_t actions;
	int code = posix_spawn_file_actions_init(&actions);

	if (code)
		return error_errno(err, STATUS_NO_MEMORY, code, "cannot run %s", argv[0]);
	for (int fd = 0; fd <= STDERR_FILENO && code == 0; fd++)
		code = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (code == 0 && output >= 0)
		code = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (code == 0)
		code = posix_spawnp(ret, argv[0], &actions, NULL, args.out, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (code)
		return error_errno(err, code == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, code,
				   "cannot run %s", argv[0]);
	return STATUS_OK;
}

static enum status await(pid_t pid, const char *const *argv, struct error *err)
{
	int ended = 0;

	while (waitpid(pid, &ended, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, STATUS_IO, errno, "cannot wait for %s", argv[0]);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
		return error_set(err, STATUS_IO, "%s %s … failed (%d)", argv[0],
				 argv[1] ? argv[1] : "", ended);
	return STATUS_OK;
}

enum status spawn(const char *const *argv, struct error *err)
{
	pid_t pid;
	enum status status = start(argv, -1, &pid, err);

	return status ? status : await(pid, argv, err);
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

bool installed(struct bench *bench, const struct row *row, const char *program)
{
	if (has_program(program))
		return true;
	buf_printf(&bench->report->notes, "%s: %s is not installed\n", row->name, program);
	return false;
}

/* What the program wrote first, as far as there is room for it. */
static void first_output(const char *const *argv, char *ret, size_t size)
{
	struct error why = ERROR_INIT;
	int ends[2]; /* to read from, to write to */
	size_t len = 0;
	ssize_t got;
	pid_t pid;
	enum status status;

	ret[0] = '\0';
	if (pipe2(ends, O_CLOEXEC))
		return;
	status = start(argv, ends[1], &pid, &why);
	(void)close(ends[1]);
	while (!status && len + 1 < size && (got = read(ends[0], ret + len, size - 1 - len)) > 0)
		len += (size_t)got;
	ret[len] = '\0';
	/* Whoever writes more than we want to know must not wait for us. */
	(void)close(ends[0]);
	if (!status)
		(void)await(pid, argv, &why);
}

void program_version(const char *const *argv, char *ret, size_t size)
{
	char text[256];
	const char *begin = text;

	if (!has_program(argv[0])) {
		(void)snprintf(ret, size, "not installed");
		return;
	}
	first_output(argv, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	begin += strcspn(text, "0123456789");
	(void)snprintf(ret, size, "%.*s", (int)strcspn(begin, " "), *begin ? begin : "unknown");
}

static enum status time_command(struct template *template, unsigned number, uint64_t *spent_ns,
				struct error *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	enum status status = STATUS_OK;
	uint64_t begin;

	if (template->varying) {
		buf_printf(&text, "%s%u%s", template->before, number, template->after);
		status = buf_status(&text, err);
		template->argv[template->varying] = buf_str(&text);
	}
	if (!status && template->prepare)
		status = template->prepare(template->context, number, err);
	begin = clock_monotonic_ns();
	if (!status)
		status = spawn(template->argv, err);
	*spent_ns += clock_monotonic_ns() - begin;
	return status;
}

enum status alternate(struct bench *bench, struct template *ours, struct template *theirs,
		      struct measure *measure, struct error *err)
{
	struct template *both[] = { ours, theirs };
	unsigned commands = bench->quick ? COMMANDS_QUICK : COMMANDS_FULL;
	uint64_t ignored_ns = 0;
	enum status status = STATUS_OK;

	/* The first of each makes what the others find. */
	for (unsigned i = 0; i < 2 && !status; i++)
		status = time_command(both[i], ++bench->commands, &ignored_ns, err);
	for (unsigned run = 0; run < bench->runs && !status; run++) {
		uint64_t spent_ns[2] = { 0 };

		for (unsigned i = 0; i < 2 * commands && !status; i++) {
			/* Who begins changes: ours, theirs, theirs, ours … */
			unsigned which = (i + i / 2) % 2;

			status =
				time_command(both[which], ++bench->commands, &spent_ns[which], err);
		}
		if (!status)
			measure_pair(measure, (double)spent_ns[0] / commands,
				     (double)spent_ns[1] / commands);
	}
	return status;
}

enum status need_program(const struct bench *bench, struct error *err)
{
	if (bench->program)
		return STATUS_OK;
	return error_set(err, STATUS_NOT_FOUND, "there is no program provenv beside this one");
}
