/*
 * Time and randomness: the system's, replaced ones, and UUIDv7.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"

#include "base/banned.h"

static uint64_t counting_clock(void *context)
{
	return ++*(uint64_t *)context;
}

static void the_clock_is_the_systems(void **state)
{
	time_t before = time(NULL);
	uint64_t now = clock_now_ms();
	time_t after = time(NULL);

	(void)state;
	assert_in_range(now / 1000, (uint64_t)before - 1, (uint64_t)after);
}

static void the_clock_can_be_replaced(void **state)
{
	uint64_t counter = 41;

	(void)state;
	clock_set_source(counting_clock, &counter);
	assert_int_equal(clock_now_ms(), 42);
	assert_int_equal(clock_now_ms(), 43);
	clock_set_source(NULL, NULL);
	assert_true(clock_now_ms() > 1000000);
}

static void the_environment_sets_the_clock_only_with_hooks(void **state)
{
	(void)state;
	/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads here */
	assert_int_equal(setenv("PROVENV_TEST_NOW_MS", "1234", 1), 0);
#ifdef PROVENV_TEST_HOOKS
	assert_int_equal(clock_now_ms(), 1234);
	assert_int_equal(setenv("PROVENV_TEST_NOW_MS", "12x", 1), 0);
#endif
	assert_true(clock_now_ms() > UINT64_C(1600000000000));
	assert_int_equal(unsetenv("PROVENV_TEST_NOW_MS"), 0);
	/* NOLINTEND(concurrency-mt-unsafe) */
}

static void the_monotonic_clock_advances(void **state)
{
	uint64_t begin_ns = clock_monotonic_ns();
	uint64_t begin_ms = clock_monotonic_ms();
	const struct timespec pause = { .tv_nsec = 20000000 };

	(void)state;
	assert_int_equal(nanosleep(&pause, NULL), 0);
	assert_true(clock_monotonic_ns() - begin_ns >= 20000000);
	assert_true(clock_monotonic_ms() - begin_ms >= 19);
	assert_true(clock_monotonic_ms() - begin_ms < 60000);
}

static void random_bytes_differ(void **state)
{
	uint8_t a[32] = { 0 };
	uint8_t b[32] = { 0 };

	(void)state;
	rng_bytes(a, sizeof(a));
	rng_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	rng_bytes(a, 0);
}

static void all_ones(void *context, void *ret, size_t len)
{
	*(size_t *)context += len;
	memset(ret, 0xff, len);
}

static void randomness_can_be_replaced(void **state)
{
	uint8_t bytes[4] = { 0 };
	size_t asked = 0;

	(void)state;
	rng_set_source(all_ones, &asked);
	rng_bytes(bytes, 3);
	rng_set_source(NULL, NULL);
	assert_int_equal(asked, 3);
	assert_memory_equal(bytes, "\xff\xff\xff\x00", 4);
}

/* RFC 9562: 48 bits of time, version 7, variant 10, and every other bit random. */
static void uuid7_has_the_layout_of_the_rfc(void **state)
{
	static const uint8_t expected[16] = { 0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7f, 0xff,
					      0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t id[16];
	size_t asked = 0;

	(void)state;
	rng_set_source(all_ones, &asked);
	rng_uuid7(UINT64_C(0x017f22e279b0), id); /* the time of the RFC's example */
	rng_set_source(NULL, NULL);
	assert_memory_equal(id, expected, sizeof(id));
	assert_int_equal(asked, 10);
}

static void uuid7_orders_by_time(void **state)
{
	uint8_t earlier[16];
	uint8_t later[16];

	(void)state;
	for (uint64_t ms = 1; ms < UINT64_C(1) << 47; ms *= 3) {
		rng_uuid7(ms, earlier);
		rng_uuid7(ms + 1, later);
		assert_true(memcmp(earlier, later, sizeof(earlier)) < 0);
		assert_int_equal(earlier[6] >> 4, 7);
		assert_int_equal(earlier[8] >> 6, 2);
	}
	rng_uuid7(5, earlier);
	rng_uuid7(5, later);
	assert_memory_not_equal(earlier, later, sizeof(earlier));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_is_the_systems),
		cmocka_unit_test(the_clock_can_be_replaced),
		cmocka_unit_test(the_environment_sets_the_clock_only_with_hooks),
		cmocka_unit_test(the_monotonic_clock_advances),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(randomness_can_be_replaced),
		cmocka_unit_test(uuid7_has_the_layout_of_the_rfc),
		cmocka_unit_test(uuid7_orders_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
