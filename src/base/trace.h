/*
 * Trace: JSON lines about what the program does, for people who look for a fault. Off by default;
 * PROVENV_TRACE=<absolute path or 2 for stderr> switches it on; it is read once, at the first call.
 * A trace that cannot be opened or written is silently none.
 *
 * Typed calls only: names, numbers and durations. There is no call that takes free bytes, so that a
 * value or a secret cannot reach it.
 */
#ifndef PROVENV_BASE_TRACE_H
#define PROVENV_BASE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

bool trace_enabled(void);

/*
 * Take a start time, then write how long it took in microseconds:
 * {"time":…,"pid":…,"event":"<event>","us":<value>}
 */
uint64_t trace_begin(void);
void trace_end(const char *event, uint64_t begin);

#endif
