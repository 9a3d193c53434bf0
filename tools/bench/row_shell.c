/*
 * shell-set, shell-get, peer-sqlite: what one command costs a script, process and all, against the
 * sqlite3 program and against a program that does nothing.
 */
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "bench.h"
#include "commands.h"
#include "log_maker.h"
#include "report.h"

#include "base/banned.h"

enum { SETS_BEFORE = 200 };

/* A table like a store's variables, for the sqlite3 program. */
static enum status make_table(const struct bench *bench, const char *name, struct buf *ret_path,
			      struct error *err)
{
	buf_printf(ret_path, "%s/%s.db", bench->dir, name);
	return spawn((const char *const[]){ "sqlite3", buf_str(ret_path),
					    "CREATE TABLE variable (key, value);"
					    "INSERT INTO variable VALUES ('GREETING', 'hello')",
					    NULL },
		     err);
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
		return STATUS_NO_MEMORY;
	if (!installed(bench, row, "sqlite3"))
		return STATUS_OK;
	if (!status)
		status = make_store(bench, "shell-set", &path, err);
	ours.argv[2] = buf_str(&path);
	if (!status)
		status = make_table(bench, "shell-set", &table, err);
	theirs.argv[1] = buf_str(&table);
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

	if (!installed(bench, row, "true"))
		return STATUS_OK;
	if (!status)
		status = make_store(bench, "shell-get", &path, err);
	ours.argv[2] = buf_str(&path);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]) && !status; i++) {
		struct measure *measure = report_measure(bench->report, row, err, "after %u set%s",
							 sets[i], sets[i] == 1 ? "" : "s");

		if (!measure)
			return STATUS_NO_MEMORY;
		status = set_often(bench->program, buf_str(&path), sets[i], err);
		if (!status)
			status = alternate(bench, &ours, &theirs, measure, err);
	}
	return status;
}

enum status row_peer_sqlite(struct bench *bench, const struct row *row, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "get");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf table = BUF_INIT;
	struct template ours = { .argv = { bench->program, "--store", NULL, "get", "GREETING" } };
	struct template theirs = {
		.argv = { "sqlite3", NULL, "SELECT value FROM variable WHERE key = 'GREETING'" },
	};
	enum status status = need_program(bench, err);

	if (!measure)
		return STATUS_NO_MEMORY;
	if (!installed(bench, row, "sqlite3"))
		return STATUS_OK;
	if (!status)
		status = make_store(bench, "peer-sqlite", &path, err);
	if (!status)
		status = set_often(bench->program, buf_str(&path), 1, err);
	ours.argv[2] = buf_str(&path);
	if (!status)
		status = make_table(bench, "peer-sqlite", &table, err);
	theirs.argv[1] = buf_str(&table);
	return status ? status : alternate(bench, &ours, &theirs, measure, err);
}
