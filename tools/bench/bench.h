/*
 * provenv-bench: what every row shares.
 *
 * A row measures one promise about speed or size and, in the same run, the limit it is held
 * against: ours, limit, ours, limit … so that whatever else the machine does falls on both. main.c
 * has the one table of rows. Nothing here ever fails because something was slow.
 */
#ifndef PROVENV_BENCH_BENCH_H
#define PROVENV_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "report.h"

struct bench {
	const char *dir;     /* scratch directory; everything is made below it */
	const char *program; /* the provenv to run in processes of its own; NULL: there is none */
	unsigned runs;       /* how often each pair is measured */
	uint64_t events_max; /* of the logs that rows compare; a power of ten is reached */
	unsigned commands;   /* timed so far: a number for values that were never there */
	bool quick;
	struct report *report;
};

/* One row of the table in main.c. The functions add their measures to bench->report. */
enum status row_append(struct bench *bench, const struct row *row, struct error *err);
enum status row_import(struct bench *bench, const struct row *row, struct error *err);
enum status row_audit(struct bench *bench, const struct row *row, struct error *err);
enum status row_audit_new(struct bench *bench, const struct row *row, struct error *err);
enum status row_rebuild(struct bench *bench, const struct row *row, struct error *err);
enum status row_get_at(struct bench *bench, const struct row *row, struct error *err);
enum status row_growth(struct bench *bench, const struct row *row, struct error *err);
enum status row_shell_set(struct bench *bench, const struct row *row, struct error *err);
enum status row_shell_get(struct bench *bench, const struct row *row, struct error *err);
enum status row_peer_sqlite(struct bench *bench, const struct row *row, struct error *err);
enum status row_peer_git(struct bench *bench, const struct row *row, struct error *err);
enum status row_peer_etcd(struct bench *bench, const struct row *row, struct error *err);
enum status row_memory(struct bench *bench, const struct row *row, struct error *err);

#endif
