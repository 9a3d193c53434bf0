/*
 * shell-set, shell-get: what one command costs a script, process and all, against the sqlite3
 * program and against a program that does nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench.h"
#include "log_maker.h"
#include "report.h"

#include "base/banned.h"

enum {
	COMMANDS = 20, /* of one half of a pair */
	SETS_BEFORE = 200,
};

/* Run a program with nothing on its standard input and nowhere for its output. */
static enum status spawn(const char *const *argv, struct error *err)
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
		return error_errno(err, STATUS_IO, code, "cannot run %s", argv[0]);
	while (waitpid(pid, &ended, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, STATUS_IO, errno, "cannot wait for %s", argv[0]);
	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
		return error_set(err, STATUS_IO, "%s %s … failed (%d)", argv[0],
				 argv[1] ? argv[1] : "", ended);
	return STATUS_OK;
}

/* A command of which one argument is made anew each time. */
struct template
{
	const char *argv[8];
	size_t varying;     /* index into argv; 0: none */
	const char *before; /* the argument: this, a number, and that */
	const char *after;
};

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
		status = spawn(template->argv, err);
	}
	*ret_ns = (double)(clock_monotonic_ns() - begin) / (double)COMMANDS;
	return status;
}

static enum status alternate(struct bench *bench, struct template *ours, struct template *theirs,
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

static enum status need_program(const struct bench *bench, struct error *err)
{
	if (bench->program)
		return STATUS_OK;
	return error_set(err, STATUS_NOT_FOUND, "there is no program provenv beside this one");
}

enum status row_shell_set(struct bench *bench, const struct row *row, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%s", "");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf table = BUF_INIT;
	struct template ours = {
		.argv = { bench->program, "--store", NULL, "set", NULL },
		.varying = 4,
		.before = "GREETING=hello-",
		.after = "",
	};
	struct template theirs = {
		.argv = { "sqlite3", NULL, NULL },
		.varying = 2,
		.before = "PRAGMA synchronous=FULL;"
			  "INSERT INTO variable (key, value) VALUES ('GREETING', 'hello-",
		.after = "')",
	};
	enum status status = need_program(bench, err);

	if (!measure)
		return error_no_memory(err);
	if (!status)
		status = make_store(bench, "shell-set", &path, err);
	buf_printf(&table, "%s/shell-set.db", bench->dir);
	ours.argv[2] = buf_str(&path);
	theirs.argv[1] = buf_str(&table);
	if (!status)
		status = spawn((const char *const[]){ "sqlite3", buf_str(&table),
						      "CREATE TABLE variable (key, value)", NULL },
			       err);
	return status ? status : alternate(bench, &ours, &theirs, measure, err);
}

/* The store a script has written to for a while. */
static enum status set_often(const char *program, const char *path, unsigned times,
			     struct error *err)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < times && !status; i++) {
		AUTO(buf_release) struct buf text = BUF_INIT;

		buf_printf(&text, "GREETING=hello-%u", i);
		status = spawn((const char *const[]){ program, "--store", path, "set",
						      buf_str(&text), NULL },
			       err);
	}
	return status;
}

enum status row_shell_get(struct bench *bench, const struct row *row, struct error *err)
{
	static const unsigned sets[] = { 1, SETS_BEFORE };
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct template ours = { .argv = { bench->program, "--store", NULL, "get", "GREETING" } };
	struct template theirs = { .argv = { "true" } };
	enum status status = need_program(bench, err);

	if (!status)
		status = make_store(bench, "shell-get", &path, err);
	ours.argv[2] = buf_str(&path);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]) && !status; i++) {
		struct measure *measure =
			report_measure(bench->report, row, err, "after %u sets", sets[i]);

		if (!measure)
			return STATUS_NO_MEMORY;
		status = set_often(bench->program, buf_str(&path), sets[i], err);
		if (!status)
			status = alternate(bench, &ours, &theirs, measure, err);
	}
	return status;
}
