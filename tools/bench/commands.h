/*
 * Whole processes, timed: ours and a peer's in turn.
 */
#ifndef PROVENV_BENCH_COMMANDS_H
#define PROVENV_BENCH_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "bench.h"

/* A command of which one argument is made anew each time. */
struct template
{
	const char *argv[12];
	size_t varying;     /* index into argv; 0: none */
	const char *before; /* the argument: this, a number never used before, and that */
	const char *after;
	/* Called before each run, its time does not count; NULL: nothing to do. */
	enum status (*prepare)(void *context, unsigned number, struct error *err);
	void *context;
};

/*
 * Run a program, found in PATH, with nothing on its standard input and nowhere for its output.
 * NOT_FOUND  there is no such program; IO  it failed
 */
enum status spawn(const char *const *argv, struct error *err);

/* Is there a program of that name in PATH? */
bool has_program(const char *name);
/* The same; if not, the notes of the report say that @row is left out for lack of it. */
bool installed(struct bench *bench, const struct row *row, const char *program);

/*
 * What a program says of its version: of the first line it writes, from the first digit to the
 * next blank; "unknown" when there is none, "not installed" without a program.
 */
void program_version(const char *const *argv, char *ret, size_t size);

/*
 * Nanoseconds of both, for each pair the mean of some commands of each, which take turns one by
 * one.
 */
enum status alternate(struct bench *bench, struct template *ours, struct template *theirs,
		      struct measure *measure, struct error *err);

/* OK when there is a provenv to run; else NOT_FOUND. */
enum status need_program(const struct bench *bench, struct error *err);

#endif
