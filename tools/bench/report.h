/*
 * What was measured: rows, the measures taken for them, and both forms of output.
 *
 * Values are doubles in one unit per row: a rate per second, nanoseconds, or bytes. The ratio of a
 * measure is the median of ours ÷ theirs of each pair, so that a disturbance which fell on both
 * halves of a pair cancels out.
 */
#ifndef PROVENV_BENCH_REPORT_H
#define PROVENV_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct bench;
struct machine;

enum { RUNS_MAX = 99 };

enum unit {
	UNIT_PER_SECOND,
	UNIT_NANOSECONDS,
	UNIT_BYTES,
};

/* What is held against the target. */
enum goal {
	GOAL_NONE,
	GOAL_RATIO_AT_LEAST,
	GOAL_RATIO_AT_MOST,
	GOAL_VALUE_AT_LEAST,
	GOAL_VALUE_AT_MOST,
};

struct row {
	const char *name;
	const char *what;
	const char *limit; /* what it is measured against */
	enum unit unit;
	enum goal goal;
	double target;
	enum status (*run)(struct bench *bench, const struct row *row, struct error *err);
};

enum { TARGET_TEXT_MAX = 64 };

/* The target of @row as text, "-" without one: "ratio >= 0.90", "<= 3.00 ms". */
void row_target(const struct row *row, char ret[TARGET_TEXT_MAX]);

/* The numbers of one line of the table. */
struct measure {
	struct measure *next;
	const struct row *row;
	char label[64];    /* what this line is, beyond the row; may be empty */
	const char *what;  /* the row's, or what a line says that measures something else */
	const char *limit; /* likewise */
	enum goal goal;    /* the row's, or GOAL_NONE for a line that only explains */
	size_t count;
	bool paired; /* `theirs` is filled */
	double ours[RUNS_MAX];
	double theirs[RUNS_MAX];
};

struct report {
	struct measure *first;
	struct measure *last;
	struct buf notes; /* one line each: rows that could not be measured, and why */
};

/*
 * A new line of @row, labelled as by printf; NULL when memory is out, which @err says then. Lives
 * as long as the report. A line that is left without values is not shown.
 */
struct measure *report_measure(struct report *report, const struct row *row, struct error *err,
			       const char *label, ...) __attribute__((format(printf, 4, 5)));
void report_release(struct report *report);

/* One value; one pair. More than RUNS_MAX are dropped. */
void measure_one(struct measure *measure, double ours);
void measure_pair(struct measure *measure, double ours, double theirs);

/* The aligned table, and one JSON object with schema provenv/bench/v1. */
void report_table(const struct report *report, const struct machine *machine, struct buf *out);
void report_json(const struct report *report, const struct machine *machine, struct buf *out);

#endif
