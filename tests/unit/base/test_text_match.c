/*
 * Globs against a table and against a slow reference; edit distances and suggestions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

#include "base/banned.h"

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t announced_seed(void)
{
	uint64_t seed = clock_monotonic_ns() | 1;

	print_message("seed %" PRIu64 "\n", seed);
	return seed;
}

static const struct {
	const char *pattern;
	const char *text;
	bool matches;
} globs[] = {
	{ "", "", true },
	{ "", "a", false },
	{ "*", "", true },
	{ "**", "abc", true },
	{ "a*", "abc", true },
	{ "a*", "bac", false },
	{ "*c", "abc", true },
	{ "*b", "abc", false },
	{ "a*c", "ac", true },
	{ "a*b*c", "aXbYbZc", true },
	{ "a*b*c", "aXcYb", false },
	{ "?", "", false },
	{ "?", "a", true },
	{ "??", "a", false },
	{ "LOG_*", "LOG_LEVEL", true },
	{ "LOG_*", "log_level", false },
	{ "*?*", "", false },
	{ "[a-c]x", "bx", true },
	{ "[a-c]x", "dx", false },
	{ "[!a-c]", "d", true },
	{ "[!a-c]", "a", false },
	{ "[!a]", "", false },
	{ "[abc]", "c", true },
	{ "[]]", "]", true },
	{ "[]-a]", "^", true },
	{ "[!]]", "]", false },
	{ "[!]]", "x", true },
	{ "[a-]", "-", true },
	{ "[a-]", "b", false },
	{ "[-a]", "-", true },
	{ "[z-a]", "m", false },
	{ "[a-ce-g]", "d", false },
	{ "[a-ce-g]", "f", true },
	{ "[", "[", true },
	{ "[a", "[a", true },
	{ "[a", "a", false },
	{ "[]", "[]", true },
	{ "[!]", "[!]", true },
	{ "[!", "[!", true },
	{ "x]", "x]", true },
	{ "*[0-9]", "key7", true },
	{ "*[0-9]*", "no", false },
	{ "[*]", "*", true },
	{ "[*]", "a", false },
	{ "[?]", "a", false },
	{ "{a,b}", "a", false },
	{ "\\*", "\\x", true },
};

static void globs_match_as_in_a_shell(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
		bool matches =
			text_glob_match(slice_str(globs[i].pattern), slice_str(globs[i].text));

		if (matches != globs[i].matches)
			fail_msg("\"%s\" and \"%s\": %d", globs[i].pattern, globs[i].text, matches);
	}
}

/* Dynamic programming over all prefixes, for patterns of letters, "?" and "*". */
static bool reference_match(const char *pattern, const char *text)
{
	bool reached[2][32] = { { true } };
	size_t text_len = strlen(text);
	size_t i;

	for (i = 0; pattern[i]; i++) {
		const bool *before = reached[i % 2];
		bool *now = reached[(i + 1) % 2];

		now[0] = before[0] && pattern[i] == '*';
		for (size_t j = 1; j <= text_len; j++) {
			if (pattern[i] == '*')
				now[j] = before[j] || now[j - 1];
			else
				now[j] = before[j - 1] &&
					 (pattern[i] == '?' || pattern[i] == text[j - 1]);
		}
	}
	return reached[i % 2][text_len];
}

static void globs_agree_with_the_reference(void **state)
{
	uint64_t seed = announced_seed();
	int matched = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char pattern[10] = { 0 };
		char text[12] = { 0 };
		bool expected;

		for (uint64_t i = 0, len = next_random(&seed) % sizeof(pattern); i < len; i++)
			pattern[i] = "ab?*"[next_random(&seed) % 4];
		for (uint64_t i = 0, len = next_random(&seed) % sizeof(text); i < len; i++)
			text[i] = "ab"[next_random(&seed) % 2];
		expected = reference_match(pattern, text);
		matched += expected;
		if (text_glob_match(slice_str(pattern), slice_str(text)) != expected)
			fail_msg("\"%s\" and \"%s\"", pattern, text);
	}
	assert_in_range(matched, 100, 19900);
}

static void any_bytes_are_a_pattern(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char pattern[12];
		char text[6];
		size_t len = next_random(&seed) % (sizeof(pattern) + 1);

		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = "[]!-*?ab"[next_random(&seed) % 8];
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = "[]!-ab"[next_random(&seed) % 6];
		/* The sanitizers judge what it reads; a star in front can only match more. */
		if (text_glob_match(slice_of(pattern, len), slice_of(text, sizeof(text))) &&
		    len < sizeof(pattern)) {
			memmove(pattern + 1, pattern, len);
			pattern[0] = '*';
			assert_true(text_glob_match(slice_of(pattern, len + 1),
						    slice_of(text, sizeof(text))));
		}
	}
}

static void hostile_patterns_stay_fast(void **state)
{
	static char pattern[4000];
	static char text[4000];
	uint64_t begin = clock_monotonic_ms();

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(pattern); i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	pattern[sizeof(pattern) - 1] = 'b';
	assert_false(
		text_glob_match(slice_of(pattern, sizeof(pattern)), slice_of(text, sizeof(text))));
	memset(text, '[', sizeof(text));
	memset(pattern, '[', sizeof(pattern));
	pattern[0] = '*';
	pattern[sizeof(pattern) - 1] = 'b';
	assert_false(
		text_glob_match(slice_of(pattern, sizeof(pattern)), slice_of(text, sizeof(text))));
	assert_true(clock_monotonic_ms() - begin < 5000);
}

static size_t distance(const char *a, const char *b)
{
	return text_distance(slice_str(a), slice_str(b));
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("abc", ""), 3);
	assert_int_equal(distance("", "abc"), 3);
	assert_int_equal(distance("kitten", "sitting"), 3);
	assert_int_equal(distance("profiel", "profile"), 1);
	assert_int_equal(distance("ab", "ba"), 1);
	assert_int_equal(distance("ca", "abc"), 3); /* no piece is edited twice */
	assert_int_equal(distance("status", "status"), 0);
	assert_int_equal(distance("stauts", "status"), 1);
}

static void distances_are_symmetric_and_bounded(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char a[80];
		char b[80];
		size_t a_len = next_random(&seed) % (sizeof(a) + 1);
		size_t b_len = next_random(&seed) % (sizeof(b) + 1);
		size_t forth;

		for (size_t i = 0; i < sizeof(a); i++) {
			a[i] = (char)('a' + next_random(&seed) % 3);
			b[i] = (char)('a' + next_random(&seed) % 3);
		}
		forth = text_distance(slice_of(a, a_len), slice_of(b, b_len));
		assert_int_equal(forth, text_distance(slice_of(b, b_len), slice_of(a, a_len)));
		assert_true(forth <= 64);
		assert_int_equal(text_distance(slice_of(a, a_len), slice_of(a, a_len)), 0);
	}
}

static void suggestions(void **state)
{
	static const char *const commands[] = { "status", "set", "switch", "rollback", "backup" };
	const size_t count = sizeof(commands) / sizeof(commands[0]);

	(void)state;
	assert_string_equal(text_nearest("stauts", commands, count), "status");
	assert_string_equal(text_nearest("rolback", commands, count), "rollback");
	assert_string_equal(text_nearest("st", commands, count), "set");
	assert_string_equal(text_nearest("set", commands, count), "set");
	assert_null(text_nearest("verify", commands, count));
	assert_null(text_nearest("xyz", commands, count));
	assert_null(text_nearest("status", commands, 0));
	assert_null(text_nearest("bkp", commands, count));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs_match_as_in_a_shell),
		cmocka_unit_test(globs_agree_with_the_reference),
		cmocka_unit_test(any_bytes_are_a_pattern),
		cmocka_unit_test(hostile_patterns_stay_fast),
		cmocka_unit_test(distances),
		cmocka_unit_test(distances_are_symmetric_and_bounded),
		cmocka_unit_test(suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
