/*
 * Reading variables of a made log, as the rows get-at and growth do.
 */
#ifndef PROVENV_BENCH_READS_H
#define PROVENV_BENCH_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bench.h"
#include "ops/session.h"

/* Events of init come first; from this one on a made log holds samples. */
enum { FIRST_SAMPLE = 32 };

enum {
	LOG_EVENTS_MIN = 1000, /* the smallest made log that rows compare with */
	LOG_EVENTS_MAX = 10 * 1000 * 1000,
};

/* The size of the @at-th log that rows compare, each ten times the one before; 0: no more. */
uint64_t log_events(const struct bench *bench, size_t at);

/*
 * Read @count variables that some of the events FIRST_SAMPLE to @last set, which @random chooses
 * (not 0; moved on): as they stood at or after that event, or now. Values are checked against the
 * log, as every reader does.
 */
enum status read_variables(struct session *session, bool past, uint64_t last, size_t count,
			   uint64_t *random, struct error *err);

#endif
