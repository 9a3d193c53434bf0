/*
 * Patterns: whole values, what is no pattern, and work that ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "ops/pattern.h"

#include "base/banned.h"

static enum status try_slices(struct slice source, struct slice value, struct error *err)
{
	AUTO(pattern_release) struct pattern pattern = PATTERN_INIT;
	enum status status = pattern_compile(&pattern, source, err);

	assert_int_equal(status, STATUS_OK);
	return pattern_match(&pattern, value, err);
}

static enum status try(const char *source, const char *value)
{
	return try_slices(slice_str(source), slice_str(value), NULL);
}

static void whole_values(void **state)
{
	(void)state;
	assert_int_equal(try("[a-z]+", "abc"), STATUS_OK);
	assert_int_equal(try("[a-z]+", "abc1"), STATUS_NEGATIVE);
	assert_int_equal(try("[a-z]+", "1abc"), STATUS_NEGATIVE);
	assert_int_equal(try("^[a-z]+$", "abc"), STATUS_OK);
	/* A dollar ends the value, not the line before a last line break. */
	assert_int_equal(try("^[a-z]+$", "abc\n"), STATUS_NEGATIVE);
	assert_int_equal(try("(?s)a$.", "a\n"), STATUS_NEGATIVE);
	/* The whole value counts, not the first alternative that fits its start. */
	assert_int_equal(try("a|ab", "ab"), STATUS_OK);
	assert_int_equal(try("(?m)^a$", "a\nb"), STATUS_NEGATIVE);
	assert_int_equal(try("", ""), STATUS_OK);
	assert_int_equal(try("", "x"), STATUS_NEGATIVE);
	assert_int_equal(try_slices(slice_of(NULL, 0), slice_of(NULL, 0), NULL), STATUS_OK);
}

static void characters_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(try("..", "로깅"), STATUS_OK);
	assert_int_equal(try("[가-힣]{2}", "로깅"), STATUS_OK);
	assert_int_equal(try(".", "로깅"), STATUS_NEGATIVE);
}

static void reports_what_is_no_pattern(void **state)
{
	char longest[PATTERN_BYTES_MAX + 1];
	struct pattern pattern = PATTERN_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(pattern_compile(&pattern, slice_str("ab(c"), &err), STATUS_USAGE);
	assert_string_equal(err.text, "missing closing parenthesis at byte 5");
	assert_null(pattern.code);
	assert_int_equal(pattern_compile(&pattern, slice_str("\\C"), &err), STATUS_USAGE);
	assert_int_equal(pattern_compile(&pattern, slice_of("a\xff", 2), &err), STATUS_USAGE);
	assert_int_equal(pattern_compile(&pattern, slice_str("((a{1,999}){1,999}){1,999}"), &err),
			 STATUS_USAGE);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(pattern_compile(&pattern, slice_of(longest, sizeof(longest)), &err),
			 STATUS_USAGE);
	assert_string_equal(err.text, "has 1025 bytes, of at most 1024");
	assert_int_equal(pattern_compile(&pattern, slice_of(longest, PATTERN_BYTES_MAX), &err),
			 STATUS_OK);
	pattern_release(&pattern);
	assert_null(pattern.code);
	pattern_release(&pattern);
}

/* The longest value, all of one letter. */
static struct slice longest_value(char *room)
{
	memset(room, 'a', VALUE_BYTES_MAX);
	return slice_of(room, VALUE_BYTES_MAX);
}

static void long_values_are_judged(void **state)
{
	AUTO_FREE char *room = malloc(VALUE_BYTES_MAX);
	struct slice value;

	(void)state;
	assert_non_null(room);
	value = longest_value(room);
	assert_int_equal(try_slices(slice_str("[a-z]+"), value, NULL), STATUS_OK);
	assert_int_equal(try_slices(slice_str("(a|b)*"), value, NULL), STATUS_OK);
	assert_int_equal(try_slices(slice_str("((a)(b)?)*"), value, NULL), STATUS_OK);
	assert_int_equal(try_slices(slice_str("[a-z]+[0-9]"), value, NULL), STATUS_NEGATIVE);
}

/* Each of these would run for longer than anybody waits, or eat all memory. */
static void hostile_patterns_give_up(void **state)
{
	static const char *const hostile[] = {
		"(a+)+b",          "(a|a)*b",      "(a*)*b",       "(.*)(.*)(.*)(.*)(.*)b",
		"(?:(?:a?)+)+b",   "((a+|b)*c)*d", "(a|aa|aaa)*b", "(?:a(?R)?a?)*b",
		"(?=(a+))*(a+)+b",
	};
	AUTO_FREE char *room = malloc(VALUE_BYTES_MAX);
	struct slice value;

	(void)state;
	assert_non_null(room);
	value = longest_value(room);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct error err = ERROR_INIT;
		uint64_t start_ns = clock_monotonic_ns();

		print_message("%s\n", hostile[i]);
		assert_int_equal(try_slices(slice_str(hostile[i]), value, &err), STATUS_INVALID);
		assert_string_equal(err.text, "the pattern took too much work");
		assert_true(clock_monotonic_ns() - start_ns < UINT64_C(20) * 1000 * 1000 * 1000);
	}
}

/* Few steps, but each remembers where a hundred groups are. */
static void memory_is_limited(void **state)
{
	AUTO_FREE char *room = malloc(VALUE_BYTES_MAX);
	AUTO(buf_release) struct buf source = BUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(room);
	buf_append_str(&source, "(a|b");
	for (size_t i = 0; i < 100; i++)
		buf_append_str(&source, "()");
	buf_append_str(&source, ")*");
	assert_int_equal(try_slices(buf_slice(&source), longest_value(room), &err), STATUS_INVALID);
	assert_string_equal(err.text, "the pattern took too much work");
}

/* What a pattern says of its own accord cannot lift the limits. */
static void limits_cannot_be_lifted(void **state)
{
	AUTO_FREE char *room = malloc(VALUE_BYTES_MAX);

	(void)state;
	assert_non_null(room);
	assert_int_equal(
		try_slices(slice_str("(*LIMIT_MATCH=4000000000)(*LIMIT_HEAP=4000000000)(a+)+b"),
			   longest_value(room), NULL),
		STATUS_INVALID);
}

static void endless_recursion_is_told(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(try_slices(slice_str("(?1)(a?(?1))"), slice_str("aa"), &err),
			 STATUS_INVALID);
	assert_true(strlen(err.text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_values),
		cmocka_unit_test(characters_not_bytes),
		cmocka_unit_test(reports_what_is_no_pattern),
		cmocka_unit_test(long_values_are_judged),
		cmocka_unit_test(hostile_patterns_give_up),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(limits_cannot_be_lifted),
		cmocka_unit_test(endless_recursion_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
