/*
 * Reason and clock; see envelope.h. Must not read the clock itself: who plans twice would plan at
 * two times.
 */
#include "ops/envelope.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

#include "base/banned.h"

#define CLOCK_AHEAD_MAX_MS (UINT64_C(2) * 366 * 24 * 3600 * 1000)

bool reason_given(const char *reason)
{
	return reason && reason[strspn(reason, " \t\r\n")];
}

enum status reason_check(const char *reason, struct error *err)
{
	size_t len = reason ? strlen(reason) : 0;

	if (len > REASON_BYTES_MAX)
		return error_set(err, STATUS_USAGE, "the reason has %zu bytes, over %d", len,
				 REASON_BYTES_MAX);
	if (len && !text_is_utf8(slice_of(reason, len)))
		return error_set(err, STATUS_USAGE, "the reason is not UTF-8");
	return STATUS_OK;
}

enum status clock_check(uint64_t now_ms, uint64_t last_ms, struct error *err)
{
	char now[32], before[32];

	text_from_time_ms(now_ms, now);
	text_from_time_ms(last_ms, before);
	if (last_ms && now_ms > last_ms && now_ms - last_ms > CLOCK_AHEAD_MAX_MS)
		(void)error_set(err, STATUS_UNCONFIRMED,
				"the clock says %s, over two years after the last event (%s)", now,
				before);
	else if (now_ms < (uint64_t)PROVENV_BUILD_TIME_S * 1000)
		(void)error_set(err, STATUS_UNCONFIRMED,
				"the clock says %s, before this program was built", now);
	else
		return STATUS_OK;
	return error_hint(err, STATUS_UNCONFIRMED,
			  "set the clock, or say that it is right with --accept-clock");
}
