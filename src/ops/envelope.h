/*
 * What the user gives to every event of a command, judged before anything is made: the reason, and
 * the time that the clock says.
 */
#ifndef PROVENV_OPS_ENVELOPE_H
#define PROVENV_OPS_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"

/* What of EVENT_BYTES_MAX is left to the envelope, with the longest reason; generous. */
enum { ENVELOPE_BYTES_MAX = 1024 + REASON_BYTES_MAX };

/* Was a reason given? One of blanks alone says nothing, and counts as none. @reason may be NULL. */
bool reason_given(const char *reason);

/* USAGE: longer than REASON_BYTES_MAX, or not UTF-8. @reason may be NULL. */
enum status reason_check(const char *reason, struct error *err);

/*
 * Is the clock to be believed? One that is far ahead would push the log's time away for ever, since
 * that never goes back.
 * @last_ms  time of the last event; 0: there is none
 *
 * UNCONFIRMED  @now_ms is over two years after @last_ms, or before this program was built
 */
enum status clock_check(uint64_t now_ms, uint64_t last_ms, struct error *err);

#endif
