/*
 * Time. The only place that asks the operating system for it, and replaceable for tests.
 */
#ifndef PROVENV_BASE_CLOCK_H
#define PROVENV_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970-01-01T00:00:00Z. A clock before 1970 reads as 0. */
uint64_t clock_now_ms(void);

/* Milliseconds of a clock that never jumps, for durations and deadlines. */
uint64_t clock_monotonic_ms(void);

/* Nanoseconds of the same clock, for benchmarks. */
uint64_t clock_monotonic_ns(void);

/*
 * Replace the source of clock_now_ms(); NULL restores the system's. @source borrowed, with @context
 * handed back at each call. Not thread-safe: call before threads start.
 * In builds with test hooks, PROVENV_TEST_NOW_MS=<n> in the environment does the same.
 */
void clock_set_source(uint64_t (*source)(void *context), void *context);

#endif
