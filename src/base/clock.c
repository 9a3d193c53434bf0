/*
 * Time, from the operating system or from the source a test has set.
 *
 * The source is the one piece of state here, set before threads start.
 */
#include "base/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/text.h"

#include "base/banned.h"

static uint64_t (*clock_source)(void *context);
static void *clock_source_context;

#ifdef PROVENV_TEST_HOOKS
static bool time_from_environment(uint64_t *ret_ms)
{
	const char *text = secure_getenv("PROVENV_TEST_NOW_MS");

	return text && text_to_u64(slice_str(text), ret_ms);
}
#endif

uint64_t clock_now_ms(void)
{
	struct timespec now = { 0 };

	if (clock_source)
		return clock_source(clock_source_context);
#ifdef PROVENV_TEST_HOOKS
	uint64_t forced_ms;

	if (time_from_environment(&forced_ms))
		return forced_ms;
#endif
	if (clock_gettime(CLOCK_REALTIME, &now) || now.tv_sec < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
	struct timespec now = { 0 };

	/* It cannot fail: Linux always has this clock, and the pointer is good. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

void clock_set_source(uint64_t (*source)(void *context), void *context)
{
	clock_source = source;
	clock_source_context = context;
}
