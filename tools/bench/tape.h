/*
 * A tape of SQLite statements: recorded with the values bound while a projection is built, played
 * on a bare connection. What is played is what was run, whatever the projection will look like one
 * day.
 */
#ifndef PROVENV_BENCH_TAPE_H
#define PROVENV_BENCH_TAPE_H

#include <sqlite3.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum { TAPE_STATEMENTS_MAX = 256 };

struct tape {
	char *sql[TAPE_STATEMENTS_MAX]; /* each different statement once */
	size_t sql_count;
	struct buf runs; /* see tape.c */
	size_t run_count;
	const char *trouble; /* why the tape is unusable; NULL: it is good */
};

#define TAPE_INIT { .sql_count = 0 }

/* Record every statement that @db runs until tape_stop(). @tape stays where it is meanwhile. */
void tape_start(struct tape *tape, sqlite3 *db);
enum status tape_stop(struct tape *tape, sqlite3 *db, struct error *err);

/* Run the recorded statements: each prepared once, bound, stepped once, reset. */
enum status tape_play(const struct tape *tape, sqlite3 *db, struct error *err);

/* Accepts TAPE_INIT. */
void tape_release(struct tape *tape);

#endif
