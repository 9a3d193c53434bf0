/*
 * provenv-bench: measures what docs/performance.md promises, each figure beside its limit.
 *
 * It judges nothing: a missed target is printed, and the exit code is 0. Only a measurement that
 * could not be carried out at all is an error.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "bench.h"
#include "machine.h"
#include "reads.h"
#include "report.h"
#include "scratch.h"

#include "base/banned.h"

enum {
	RUNS_DEFAULT = 5,
	PROGRAM_PATH_MAX = 4096,
	EVENTS_MAX_QUICK = 100 * 1000,
	EVENTS_MAX_DEFAULT = 1000 * 1000,
};

static const struct row rows[] = {
	{ "append", "signed durable append, one event for each commit, in process",
	  "LMDB alone, same bytes and tables, unsigned", UNIT_PER_SECOND, GOAL_RATIO_AT_LEAST, 0.90,
	  row_append },
	{ "import", "10,000 changes as one command", "LMDB alone putting the same bytes",
	  UNIT_PER_SECOND, GOAL_VALUE_AT_LEAST, 100000, row_import },
	{ "audit", "full audit, every signature",
	  "libsodium verifying the same signatures, as many threads", UNIT_PER_SECOND,
	  GOAL_RATIO_AT_LEAST, 0.95, row_audit },
	{ "audit-new", "audit of the last 1,000 events",
	  "libsodium verifying these signatures, as many threads", UNIT_PER_SECOND, GOAL_NONE, 0,
	  row_audit_new },
	{ "rebuild", "state from the log, in events",
	  "SQLite alone running the identical statements", UNIT_PER_SECOND, GOAL_RATIO_AT_LEAST,
	  0.80, row_rebuild },
	{ "get-at", "one variable of the past, in process", "the same read now", UNIT_NANOSECONDS,
	  GOAL_RATIO_AT_MOST, 2, row_get_at },
	{ "growth", "opening and reading, appending, as the log grows", "with 1,000 events",
	  UNIT_NANOSECONDS, GOAL_RATIO_AT_MOST, 1.2, row_growth },
	{ "shell-set", "provenv set, a whole process", "sqlite3 FILE 'insert', synchronous=FULL",
	  UNIT_NANOSECONDS, GOAL_RATIO_AT_MOST, 1.5, row_shell_set },
	{ "shell-get", "provenv get, a whole process", "true, a whole process", UNIT_NANOSECONDS,
	  GOAL_VALUE_AT_MOST, 3e6, row_shell_get },
	{ "peer-sqlite", "provenv get, a whole process", "sqlite3 FILE 'select', a whole process",
	  UNIT_NANOSECONDS, GOAL_NONE, 0, row_peer_sqlite },
	{ "peer-git", "provenv set or get, a whole process",
	  "git commit -S with an ssh key, one changed line; git show", UNIT_NANOSECONDS, GOAL_NONE,
	  0, row_peer_git },
	{ "peer-etcd", "provenv set or get, a whole process",
	  "etcdctl put or get, a single node on this machine", UNIT_NANOSECONDS, GOAL_NONE, 0,
	  row_peer_etcd },
	{ "memory", "most anonymous memory of audit and rebuild", "none", UNIT_BYTES,
	  GOAL_VALUE_AT_MOST, 64.0 * 1024 * 1024, row_memory },
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

struct options {
	const char *dir;
	const char *names;   /* --rows; NULL: all */
	uint64_t events_max; /* 0: not given */
	unsigned runs;
	bool quick;
	bool json;
	bool help;
	bool list; /* --rows without names */
};

/* --- options ---------------------------------------------------------------------------------- */

static void print_rows(void)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		char target[TARGET_TEXT_MAX];

		row_target(&rows[i], target);
		(void)printf("  %-12s%s\n              against: %s\n              target: %s\n",
			     rows[i].name, rows[i].what, rows[i].limit, target);
	}
}

static void print_help(void)
{
	(void)printf(
		"usage: provenv-bench [--quick] [--rows [NAME,...]] [--runs N] [--events-max N]\n"
		"                     [--dir DIR] [--json]\n\n"
		"Measures provenv beside the limits it is held against, in turn, and prints\n"
		"medians. A missed target is printed; the exit code is 0 all the same.\n\n"
		"  --quick         smaller logs, under a minute\n"
		"  --rows LIST     only these rows, separated by commas; without a list: show them\n"
		"  --runs N        measure each pair N times, 1 to %d (default %d)\n"
		"  --events-max N  grow the logs of get-at and growth to the greatest power of ten\n"
		"                  up to this, %d to %d (default %d, with --quick %d); the\n"
		"                  greatest takes 6 GB of disk and some twenty minutes\n"
		"  --dir DIR       where to make the scratch directory, on a disk (default $TMPDIR,\n"
		"                  else /tmp); it is removed afterwards\n"
		"  --json          one JSON object instead of the table\n"
		"  --help          this\n\n"
		"git with ssh-keygen, etcd with etcdctl, and sqlite3 are measured beside provenv\n"
		"when they are installed.\n\nrows:\n",
		RUNS_MAX, RUNS_DEFAULT, LOG_EVENTS_MIN, LOG_EVENTS_MAX, EVENTS_MAX_DEFAULT,
		EVENTS_MAX_QUICK);
	print_rows();
}

/* The value of option @name at argv[*at]: "--name VALUE" or "--name=VALUE"; NULL: another one. */
static const char *option_value(char **argv, int *at, const char *name)
{
	size_t len = strlen(name);
	const char *arg = argv[*at];

	if (strncmp(arg, name, len) != 0)
		return NULL;
	if (arg[len] == '=')
		return arg + len + 1;
	if (arg[len] != '\0' || !argv[*at + 1])
		return NULL;
	return argv[++*at];
}

static enum status set_runs(struct options *options, const char *text, struct error *err)
{
	uint64_t runs;

	if (!text_to_u64(slice_str(text), &runs) || runs < 1 || runs > RUNS_MAX)
		return error_set(err, STATUS_USAGE, "--runs takes a number from 1 to %d, not %s",
				 RUNS_MAX, text);
	options->runs = (unsigned)runs;
	return STATUS_OK;
}

static enum status set_events_max(struct options *options, const char *text, struct error *err)
{
	uint64_t events;

	if (!text_to_u64(slice_str(text), &events) || events < LOG_EVENTS_MIN ||
	    events > LOG_EVENTS_MAX)
		return error_set(err, STATUS_USAGE,
				 "--events-max takes a number from %d to %d, "
				 "not %s",
				 LOG_EVENTS_MIN, LOG_EVENTS_MAX, text);
	options->events_max = events;
	return STATUS_OK;
}

static enum status parse_value(char **argv, int *at, struct options *options, struct error *err)
{
	const char *arg = argv[*at];
	const char *value = option_value(argv, at, "--rows");

	if (value) {
		options->names = value;
		return STATUS_OK;
	}
	value = option_value(argv, at, "--dir");
	if (value) {
		options->dir = value;
		return STATUS_OK;
	}
	value = option_value(argv, at, "--runs");
	if (value)
		return set_runs(options, value, err);
	value = option_value(argv, at, "--events-max");
	if (value)
		return set_events_max(options, value, err);
	return error_set(err, STATUS_USAGE, "cannot understand %s, or its value is missing", arg);
}

static enum status parse_one(char **argv, int *at, struct options *options, struct error *err)
{
	if (strcmp(argv[*at], "--quick") == 0)
		options->quick = true;
	else if (strcmp(argv[*at], "--json") == 0)
		options->json = true;
	else if (strcmp(argv[*at], "--help") == 0)
		options->help = true;
	else if (strcmp(argv[*at], "--rows") == 0 &&
		 (!argv[*at + 1] || strncmp(argv[*at + 1], "--", 2) == 0))
		options->list = true;
	else
		return parse_value(argv, at, options, err);
	return STATUS_OK;
}

/* Is @name one of the names in @list? */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (list && *list) {
		size_t item = strcspn(list, ",");

		if (item == len && strncmp(list, name, len) == 0)
			return true;
		list += item;
		list += strspn(list, ",");
	}
	return false;
}

static enum status check_names(const char *list, struct error *err)
{
	while (list && *list) {
		size_t item = strcspn(list, ",");
		bool known = false;

		for (size_t i = 0; i < ROW_COUNT; i++)
			known = known || (strlen(rows[i].name) == item &&
					  strncmp(rows[i].name, list, item) == 0);
		if (!known) {
			(void)error_set(err, STATUS_USAGE, "there is no row %.*s", (int)item, list);
			return error_hint(err, STATUS_USAGE, "provenv-bench --help lists them");
		}
		list += item;
		list += strspn(list, ",");
	}
	return STATUS_OK;
}

static enum status parse(int argc, char **argv, struct options *ret, struct error *err)
{
	enum status status = STATUS_OK;

	*ret = (struct options){ .runs = RUNS_DEFAULT };
	for (int i = 1; i < argc && !status; i++)
		status = parse_one(argv, &i, ret, err);
	return status ? status : check_names(ret->names, err);
}

/* --- running ---------------------------------------------------------------------------------- */

/* The program that lies beside this one. False: there is none. */
static bool find_program(char *ret, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", ret, size - 1);
	char *slash;

	if (len < 0)
		return false;
	ret[len] = '\0';
	slash = strrchr(ret, '/');
	if (!slash || (size_t)(slash - ret) + sizeof("/provenv") > size)
		return false;
	memcpy(slash, "/provenv", sizeof("/provenv"));
	return access(ret, X_OK) == 0;
}

static bool measure_rows(struct bench *bench, const char *names)
{
	bool complete = true;

	for (size_t i = 0; i < ROW_COUNT; i++) {
		struct error why = ERROR_INIT;

		if (names && !listed(names, rows[i].name))
			continue;
		(void)fprintf(stderr, "provenv-bench: %s\n", rows[i].name);
		if (rows[i].run(bench, &rows[i], &why) == STATUS_OK)
			continue;
		buf_printf(&bench->report->notes, "%s: %s\n", rows[i].name, why.text);
		complete = false;
	}
	return complete;
}

static uint64_t events_max(const struct options *options)
{
	if (options->events_max)
		return options->events_max;
	return options->quick ? EVENTS_MAX_QUICK : EVENTS_MAX_DEFAULT;
}

static int work(void *context, const char *dir)
{
	const struct options *options = context;
	char program[PROGRAM_PATH_MAX];
	AUTO(report_release) struct report report = { .first = NULL };
	AUTO(buf_release) struct buf out = BUF_INIT;
	struct bench bench = {
		.dir = dir,
		.program = find_program(program, sizeof(program)) ? program : NULL,
		.runs = options->runs,
		.events_max = events_max(options),
		.quick = options->quick,
		.report = &report,
	};
	struct machine machine;
	bool complete;

	machine_look(dir, &machine);
	machine.runs = options->runs;
	machine.events_max = bench.events_max;
	machine.quick = options->quick;
	complete = measure_rows(&bench, options->names);
	machine_settle(&machine);
	if (options->json)
		report_json(&report, &machine, &out);
	else
		report_table(&report, &machine, &out);
	if (buf_status(&out, NULL) || fwrite(out.data, 1, out.len, stdout) != out.len ||
	    fflush(stdout) != 0) {
		(void)fprintf(stderr, "provenv-bench: cannot write the result\n");
		return 1;
	}
	return complete ? 0 : 1;
}

static int failed(const struct error *err)
{
	(void)fprintf(stderr, "provenv-bench: %s\n", err->text);
	if (err->hint[0])
		(void)fprintf(stderr, "hint: %s\n", err->hint);
	return status_exit_code(err->status);
}

int main(int argc, char **argv)
{
	struct options options;
	struct error why = ERROR_INIT;
	int code = 0;

	if (parse(argc, argv, &options, &why))
		return failed(&why);
	if (options.help || options.list) {
		if (options.help)
			print_help();
		else
			print_rows();
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (secret_init_process(&why) || scratch_run(options.dir, work, &options, &code, &why))
		return failed(&why);
	return code;
}
