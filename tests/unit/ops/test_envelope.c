/*
 * Reason and clock: what passes, what does not, and at which millisecond.
 */
#include "ops/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>

#include "base/error.h"
#include "base/limits.h"

#define TWO_YEARS_MS (UINT64_C(2) * 366 * 24 * 3600 * 1000)
#define LONG_AGO_MS  UINT64_C(1000)
#define FAR_MS       UINT64_C(32503680000000) /* 3000-01-01: after every build of this */

static void blanks_are_no_reason(void **state)
{
	(void)state;
	assert_false(reason_given(NULL));
	assert_false(reason_given(""));
	assert_false(reason_given(" \t\r\n "));
	assert_true(reason_given(" x"));
}

static void reasons_are_short_text(void **state)
{
	char text[REASON_BYTES_MAX + 2] = "";
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(reason_check(NULL, NULL), STATUS_OK);
	memset(text, 'x', REASON_BYTES_MAX);
	assert_int_equal(reason_check(text, NULL), STATUS_OK);
	text[REASON_BYTES_MAX] = 'x';
	assert_int_equal(reason_check(text, &err), STATUS_USAGE);
	assert_string_equal(err.text, "the reason has 4097 bytes, over 4096");
	assert_int_equal(reason_check("\xff", &err), STATUS_USAGE);
	assert_string_equal(err.text, "the reason is not UTF-8");
}

static void clocks_are_believed_within_bounds(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(clock_check(FAR_MS, FAR_MS, NULL), STATUS_OK);
	assert_int_equal(clock_check(FAR_MS, FAR_MS + TWO_YEARS_MS, NULL), STATUS_OK);
	assert_int_equal(clock_check(FAR_MS + TWO_YEARS_MS, FAR_MS, NULL), STATUS_OK);
	assert_int_equal(clock_check(FAR_MS + TWO_YEARS_MS + 1, FAR_MS, &err), STATUS_UNCONFIRMED);
	assert_non_null(strstr(err.text, "over two years after the last event"));
	assert_non_null(strstr(err.hint, "--accept-clock"));
	/* Without a last event there is nothing to be ahead of. */
	assert_int_equal(clock_check(FAR_MS, 0, NULL), STATUS_OK);
	assert_int_equal(clock_check(LONG_AGO_MS, 0, &err), STATUS_UNCONFIRMED);
	assert_non_null(strstr(err.text, "before this program was built"));
	assert_int_equal(clock_check(LONG_AGO_MS, FAR_MS, NULL), STATUS_UNCONFIRMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blanks_are_no_reason),
		cmocka_unit_test(reasons_are_short_text),
		cmocka_unit_test(clocks_are_believed_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
