/*
 * Grammars, UTF-8, encodings, numbers, durations, times, and text fit for a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#include "base/banned.h"

#define LITERAL(text) slice_of(text, sizeof(text) - 1)

/* xorshift64*: small, seeded, good enough to vary inputs. */
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

static void names(void **state)
{
	char longest[NAME_BYTES_MAX + 2];

	(void)state;
	assert_true(text_is_name(LITERAL("production")));
	assert_true(text_is_name(LITERAL("9a_b.c-D")));
	assert_false(text_is_name(LITERAL("")));
	assert_false(text_is_name(LITERAL(".hidden")));
	assert_false(text_is_name(LITERAL("-x")));
	assert_false(text_is_name(LITERAL("_x")));
	assert_false(text_is_name(LITERAL("a/b")));
	assert_false(text_is_name(LITERAL("a b")));
	assert_false(text_is_name(LITERAL("a@b")));
	assert_false(text_is_name(LITERAL("a\0b")));
	assert_false(text_is_name(LITERAL("\xc3\xa4")));
	memset(longest, 'a', sizeof(longest));
	assert_true(text_is_name(slice_of(longest, NAME_BYTES_MAX)));
	assert_false(text_is_name(slice_of(longest, NAME_BYTES_MAX + 1)));
}

static void keys(void **state)
{
	char longest[KEY_BYTES_MAX + 2];

	(void)state;
	assert_true(text_is_key(LITERAL("LOG_LEVEL")));
	assert_true(text_is_key(LITERAL("_x9")));
	assert_false(text_is_key(LITERAL("")));
	assert_false(text_is_key(LITERAL("9x")));
	assert_false(text_is_key(LITERAL("A-B")));
	assert_false(text_is_key(LITERAL("A=B")));
	assert_false(text_is_key(LITERAL("A\0")));
	memset(longest, 'A', sizeof(longest));
	assert_true(text_is_key(slice_of(longest, KEY_BYTES_MAX)));
	assert_false(text_is_key(slice_of(longest, KEY_BYTES_MAX + 1)));
}

static void key_names(void **state)
{
	char longest[KEY_NAME_BYTES_MAX + 2];

	(void)state;
	assert_true(text_is_key_name(LITERAL("root@host.example")));
	assert_false(text_is_key_name(LITERAL("@host")));
	assert_false(text_is_key_name(LITERAL("a/b")));
	assert_false(text_is_key_name(LITERAL("")));
	memset(longest, 'k', sizeof(longest));
	assert_true(text_is_key_name(slice_of(longest, KEY_NAME_BYTES_MAX)));
	assert_false(text_is_key_name(slice_of(longest, KEY_NAME_BYTES_MAX + 1)));
}

static void language_tags(void **state)
{
	(void)state;
	assert_true(text_is_lang_tag(LITERAL("de")));
	assert_true(text_is_lang_tag(LITERAL("zh-Hant-TW")));
	assert_true(text_is_lang_tag(LITERAL("de-1996")));
	assert_true(text_is_lang_tag(LITERAL("abcdefgh-abcdefgh-abcdefgh-abcdefgh")));
	assert_false(text_is_lang_tag(LITERAL("abcdefgh-abcdefgh-abcdefgh-abcdefghi")));
	assert_false(text_is_lang_tag(LITERAL("abcdefgh-abcdefgh-abcdefgh-abcdefg-a")));
	assert_false(text_is_lang_tag(LITERAL("")));
	assert_false(text_is_lang_tag(LITERAL("-de")));
	assert_false(text_is_lang_tag(LITERAL("de-")));
	assert_false(text_is_lang_tag(LITERAL("de--at")));
	assert_false(text_is_lang_tag(LITERAL("1de")));
	assert_false(text_is_lang_tag(LITERAL("abcdefghi")));
	assert_false(text_is_lang_tag(LITERAL("de_AT")));
}

/* What Unicode says, put differently than the decoder does: encode, then compare. */
static size_t encode(uint32_t point, uint8_t ret[4])
{
	if (point < 0x80) {
		ret[0] = (uint8_t)point;
		return 1;
	}
	if (point < 0x800) {
		ret[0] = (uint8_t)(0xc0 | point >> 6);
		ret[1] = (uint8_t)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		ret[0] = (uint8_t)(0xe0 | point >> 12);
		ret[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
		ret[2] = (uint8_t)(0x80 | (point & 0x3f));
		return 3;
	}
	ret[0] = (uint8_t)(0xf0 | point >> 18);
	ret[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
	ret[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
	ret[3] = (uint8_t)(0x80 | (point & 0x3f));
	return 4;
}

static void every_code_point_is_judged(void **state)
{
	(void)state;
	for (uint32_t point = 0; point < 0x120000; point++) {
		uint8_t bytes[4];
		size_t len = encode(point, bytes);
		bool good = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);

		if (text_utf8_sequence(slice_of(bytes, len)) != (good ? len : 0))
			fail_msg("U+%04" PRIX32, point);
		if (len > 1 && text_is_utf8(slice_of(bytes, len - 1)))
			fail_msg("U+%04" PRIX32 " cut short", point);
	}
}

static void malformed_utf8_is_refused(void **state)
{
	(void)state;
	assert_true(text_is_utf8(LITERAL("")));
	assert_true(text_is_utf8(LITERAL("a\0\xc3\xa4\xf0\x9f\x98\x80")));
	assert_false(text_is_utf8(LITERAL("\x80")));
	assert_false(text_is_utf8(LITERAL("\xc0\x80")));
	assert_false(text_is_utf8(LITERAL("\xc1\xbf")));
	assert_false(text_is_utf8(LITERAL("\xe0\x9f\xbf")));
	assert_false(text_is_utf8(LITERAL("\xf0\x8f\xbf\xbf")));
	assert_false(text_is_utf8(LITERAL("\xed\xa0\x80")));
	assert_false(text_is_utf8(LITERAL("\xf4\x90\x80\x80")));
	assert_false(text_is_utf8(LITERAL("\xff")));
	assert_false(text_is_utf8(LITERAL("\xe2\x82")));
	assert_false(text_is_utf8(LITERAL("\xe2\x82x")));
	assert_false(text_is_utf8(LITERAL("ok\xf0\x9f\x98")));
	assert_int_equal(text_utf8_sequence(LITERAL("")), 0);
}

static void values_and_lines(void **state)
{
	(void)state;
	assert_true(text_is_value(slice_of(NULL, 0)));
	assert_true(text_is_value(LITERAL("two\nlines\x1b")));
	assert_false(text_is_value(LITERAL("nul\0")));
	assert_false(text_is_value(LITERAL("\xff")));
	assert_true(text_is_line(LITERAL("")));
	assert_true(text_is_line(LITERAL("na\xc3\xafve")));
	assert_false(text_is_line(LITERAL("two\nlines")));
	assert_false(text_is_line(LITERAL("tab\t")));
	assert_false(text_is_line(LITERAL("del\x7f")));
	assert_false(text_is_line(LITERAL("nul\0")));
	assert_false(text_is_line(LITERAL("\xff")));
}

static void hexadecimal(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x7f, 0xab, 0xff };
	uint8_t back[4] = { 0 };
	char hex[9];

	(void)state;
	text_to_hex(bytes, sizeof(bytes), hex);
	assert_string_equal(hex, "007fabff");
	assert_true(text_from_hex(LITERAL("007FabFF"), back, 4));
	assert_memory_equal(back, bytes, 4);
	text_to_hex(bytes, 0, hex);
	assert_string_equal(hex, "");
	assert_true(text_from_hex(LITERAL(""), back, 0));
	assert_false(text_from_hex(LITERAL("007fab"), back, 4));
	assert_false(text_from_hex(LITERAL("007fabff0"), back, 4));
	assert_false(text_from_hex(LITERAL("007fabff00"), back, 4));
	assert_false(text_from_hex(LITERAL("007fabfg"), back, 4));
	assert_false(text_from_hex(LITERAL("00 7fabf"), back, 4));
	assert_false(text_from_hex(LITERAL("0x7fabff"), back, 4));
	assert_false(text_from_hex(LITERAL("007fab\0f"), back, 4));
}

/* RFC 4648 section 10. */
static void base64_vectors(void **state)
{
	static const char *const encoded[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
					       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

	(void)state;
	for (size_t len = 0; len <= 6; len++) {
		struct buf out AUTO(buf_release) = BUF_INIT;
		uint8_t back[6];
		size_t back_len = 99;

		buf_append_str(&out, ">");
		text_to_base64(&out, (const uint8_t *)"foobar", len);
		assert_string_equal(buf_str(&out) + 1, encoded[len]);
		assert_int_equal(out.len, 1 + strlen(encoded[len]));
		assert_true(
			text_from_base64(slice_str(encoded[len]), back, sizeof(back), &back_len));
		assert_int_equal(back_len, len);
		assert_memory_equal(back, "foobar", len);
	}
}

static void base64_is_strict(void **state)
{
	static const char *const wrong[] = {
		"Zg",    "Zg=",    "Zg===", "Z",     "=",    "Zh==",     "Zm9=",
		"Zm 9v", "Zm9v\n", " Zm9v", "Zm9v=", "Zm-_", "Zg==Zg==", "\xaf\xaf\xaf\xaf"
	};
	uint8_t back[16];
	size_t len = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_from_base64(slice_str(wrong[i]), back, sizeof(back), &len))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	assert_false(text_from_base64(LITERAL("Zm9vYmFy"), back, 5, &len));
	assert_int_equal(len, 77);
}

static void encodings_round_trip(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct buf out AUTO(buf_release) = BUF_INIT;
		uint8_t bytes[100];
		uint8_t back[100];
		char hex[201];
		size_t len = next_random(&seed) % (sizeof(bytes) + 1);
		size_t back_len = 0;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)next_random(&seed);
		text_to_base64(&out, bytes, len);
		assert_true(text_from_base64(buf_slice(&out), back, sizeof(back), &back_len));
		assert_int_equal(back_len, len);
		assert_memory_equal(back, bytes, len);
		text_to_hex(bytes, len, hex);
		assert_true(text_from_hex(slice_str(hex), back, len));
		assert_memory_equal(back, bytes, len);
	}
}

static void unsigned_numbers(void **state)
{
	static const char *const wrong[] = { "",
					     "-1",
					     "+1",
					     "01",
					     "00",
					     "1 ",
					     " 1",
					     "1a",
					     "0x1",
					     "1.0",
					     "99999999999999999999",
					     "18446744073709551616" };
	uint64_t value = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_to_u64(slice_str(wrong[i]), &value))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	assert_int_equal(value, 5);
	assert_true(text_to_u64(LITERAL("0"), &value));
	assert_int_equal(value, 0);
	assert_true(text_to_u64(LITERAL("18446744073709551615"), &value));
	assert_true(value == UINT64_MAX);
	assert_true(text_to_u64(LITERAL("10"), &value));
	assert_int_equal(value, 10);
}

static void signed_numbers(void **state)
{
	static const char *const wrong[] = {
		"", "-", "-0", "+1", "--1", "-01", "9223372036854775808", "-9223372036854775809"
	};
	int64_t value = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_to_i64(slice_str(wrong[i]), &value))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	assert_int_equal(value, 5);
	assert_true(text_to_i64(LITERAL("9223372036854775807"), &value));
	assert_true(value == INT64_MAX);
	assert_true(text_to_i64(LITERAL("-9223372036854775808"), &value));
	assert_true(value == INT64_MIN);
	assert_true(text_to_i64(LITERAL("-1"), &value));
	assert_int_equal(value, -1);
	assert_true(text_to_i64(LITERAL("0"), &value));
	assert_int_equal(value, 0);
}

static void decimals(void **state)
{
	static const char *const wrong[] = { "",     "+",     "-",   ".",   "1.",  ".5",
					     "1..2", "1.2.3", "1e5", "--1", "+-1", " 1",
					     "1 ",   "0x10",  "1,5", "nan", "1.-2" };
	char digits[67];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_is_decimal(slice_str(wrong[i])))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	assert_true(text_is_decimal(LITERAL("0")));
	assert_true(text_is_decimal(LITERAL("-0.0")));
	assert_true(text_is_decimal(LITERAL("+007.50")));
	memset(digits, '9', sizeof(digits));
	assert_true(text_is_decimal(slice_of(digits, 64)));
	assert_false(text_is_decimal(slice_of(digits, 65)));
	digits[32] = '.';
	assert_true(text_is_decimal(slice_of(digits, 65)));
	assert_false(text_is_decimal(slice_of(digits, 66)));
}

static void check_order(const char *a, const char *b, int expected)
{
	int order = text_compare_decimal(slice_str(a), slice_str(b));
	int back = text_compare_decimal(slice_str(b), slice_str(a));

	if ((order > 0) - (order < 0) != expected || (back > 0) - (back < 0) != -expected)
		fail_msg("%s against %s: %d and %d", a, b, order, back);
}

static void decimal_order(void **state)
{
	(void)state;
	check_order("0", "-0", 0);
	check_order("-0.00", "+0", 0);
	check_order("1", "1.0", 0);
	check_order("001.50", "1.5", 0);
	check_order("2", "10", -1);
	check_order("-2", "-10", 1);
	check_order("-1", "1", -1);
	check_order("0.1", "0.09", 1);
	check_order("0.1", "0.10000000000000000000000000000000001", -1);
	check_order("-0.1", "-0.11", 1);
	check_order("0.5", "0", 1);
	check_order("-0.5", "0", -1);
	check_order("99999999999999999999999999999", "100000000000000000000000000000", -1);
	check_order("9007199254740993", "9007199254740992", 1);
	check_order("10.01", "10.1", -1);
	check_order("junk", "0", 0);
}

static void decimal_order_agrees_with_integers(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	for (int round = 0; round < 5000; round++) {
		int a = (int)(next_random(&seed) % 4001) - 2000;
		int b = (int)(next_random(&seed) % 4001) - 2000;
		char text_a[40];
		char text_b[40];

		/* The same numbers divided by 100, one with padding. */
		(void)snprintf(text_a, sizeof(text_a), "%s%03d.%02d", a < 0 ? "-" : "+",
			       abs(a) / 100, abs(a) % 100);
		(void)snprintf(text_b, sizeof(text_b), "%s%d.%02d00", b < 0 ? "-" : "",
			       abs(b) / 100, abs(b) % 100);
		check_order(text_a, text_b, (a > b) - (a < b));
	}
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "0", 0 },          { "90", 90000 },
		{ "90s", 90000 },    { "15m", 900000 },
		{ "2h", 7200000 },   { "3d", 259200000 },
		{ "1w", 604800000 }, { "18446744073709551s", UINT64_C(18446744073709551000) },
	};
	static const char *const wrong[] = { "",
					     "s",
					     "-1s",
					     "1.5h",
					     "1 h",
					     "1ms",
					     "1y",
					     "1H",
					     "1hm",
					     "h1",
					     "18446744073709552s",
					     "30500568904944w",
					     "99999999999999999999999" };
	uint64_t ms = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_to_duration_ms(slice_str(wrong[i]), &ms))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	assert_int_equal(ms, 5);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(text_to_duration_ms(slice_str(good[i].text), &ms));
		assert_true(ms == good[i].ms);
	}
}

static void set_zone(const char *zone)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads here */
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void check_time(const char *text, const char *utc)
{
	uint64_t ms = 0;
	char back[32];

	if (!text_to_time_ms(slice_str(text), &ms))
		fail_msg("refused \"%s\"", text);
	text_from_time_ms(ms, back);
	assert_string_equal(back, utc);
}

static void times_are_written_in_utc(void **state)
{
	char text[32];

	(void)state;
	text_from_time_ms(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	text_from_time_ms(UINT64_C(1767323045678), text);
	assert_string_equal(text, "2026-01-02T03:04:05.678Z");
	text_from_time_ms(UINT64_C(253402300799999), text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	text_from_time_ms(UINT64_MAX, text);
	assert_string_equal(text, "584556019-04-03T14:25:51.615Z");
}

static void times_with_a_zone(void **state)
{
	(void)state;
	set_zone("XXX-7");
	check_time("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z");
	check_time("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z");
	check_time("2026-01-02 03:04Z", "2026-01-02T03:04:00.000Z");
	check_time("2026-01-02T03:04:05+09:00", "2026-01-01T18:04:05.000Z");
	check_time("2026-01-02T03:04:05-03:30", "2026-01-02T06:34:05.000Z");
	check_time("2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.600Z");
	check_time("2026-01-02T03:04:05.6789999Z", "2026-01-02T03:04:05.678Z");
	check_time("2024-02-29T00:00Z", "2024-02-29T00:00:00.000Z");
	check_time("2000-02-29T00:00Z", "2000-02-29T00:00:00.000Z");
	check_time("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z");
	check_time("1970-01-01T00:00Z", "1970-01-01T00:00:00.000Z");
}

static void times_without_a_zone_are_local(void **state)
{
	(void)state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	check_time("2026-01-02T03:04:05.678", "2026-01-02T02:04:05.678Z");
	check_time("2026-07-02 03:04", "2026-07-02T01:04:00.000Z");
	check_time("2026-01-02", "2026-01-01T23:00:00.000Z");
	check_time("2026-07-02", "2026-07-01T22:00:00.000Z");
	set_zone("UTC0");
	check_time("2026-07-02", "2026-07-02T00:00:00.000Z");
}

static void days_start_where_clocks_change_at_midnight(void **state)
{
	(void)state;
	/* Midnight leaps to 01:00 on 2026-10-18: the day starts at 01:00. */
	set_zone("<-03>3<-02>,M10.3.0/0,M2.3.0/0");
	check_time("2026-07-01T12:00", "2026-07-01T15:00:00.000Z");
	check_time("2026-10-18", "2026-10-18T03:00:00.000Z");
	/* mktime() may let its last answer sway it; the day's start must not depend on that. */
	check_time("2026-12-01T12:00", "2026-12-01T14:00:00.000Z");
	check_time("2026-10-18", "2026-10-18T03:00:00.000Z");
	check_time("2026-10-19", "2026-10-19T02:00:00.000Z");
	/* 00:00 goes back to 23:00 on 2026-02-15: the day starts at the second midnight. */
	check_time("2026-02-15", "2026-02-15T03:00:00.000Z");
	/* 01:00 goes back to 00:00 on 2026-11-01: the day starts at the first midnight. */
	set_zone("CST5CDT,M3.2.0/0,M11.1.0/1");
	check_time("2026-07-01T12:00", "2026-07-01T16:00:00.000Z");
	check_time("2026-11-01", "2026-11-01T04:00:00.000Z");
	check_time("2026-12-01T12:00", "2026-12-01T17:00:00.000Z");
	check_time("2026-11-01", "2026-11-01T04:00:00.000Z");
	set_zone("UTC0");
}

static void impossible_times_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"2026",
		"2026-01",
		"2026-1-2",
		"26-01-02",
		"1969-12-31",
		"10000-01-01",
		"2026-00-01",
		"2026-13-01",
		"2026-01-00",
		"2026-01-32",
		"2026-04-31",
		"2025-02-29",
		"2100-02-29",
		"2026-01-02T",
		"2026-01-02Z",
		"2026-01-02T03",
		"2026-01-02T03Z",
		"2026-01-02T24:00Z",
		"2026-01-02T03:60Z",
		"2026-01-02T03:04:60Z",
		"2026-01-02T03:04:Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05.1234567890Z",
		"2026-01-02T03:04:05,6Z",
		"2026-01-02T03:04.5Z",
		"2026-01-02T03:04:05+9:00",
		"2026-01-02T03:04:05+0900",
		"2026-01-02T03:04:05+09:60",
		"2026-01-02T03:04:05+24:00",
		"2026-01-02T03:04:05ZZ",
		"2026-01-02T03:04:05 Z",
		"2026-01-02  03:04",
		" 2026-01-02",
		"2026-01-02 ",
		"1970-01-01T00:00+09:00",
		"-2026-01-02",
		"+026-01-02",
		"2026-01-02T-3:04Z",
	};
	uint64_t ms = 5;

	(void)state;
	set_zone("UTC0");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (text_to_time_ms(slice_str(wrong[i]), &ms))
			fail_msg("accepted \"%s\"", wrong[i]);
	}
	/* A day that begins before 1970 in UTC. */
	set_zone("XXX-7");
	assert_false(text_to_time_ms(LITERAL("1970-01-01"), &ms));
	assert_false(text_to_time_ms(LITERAL("1970-01-01T06:59"), &ms));
	set_zone("UTC0");
	assert_int_equal(ms, 5);
}

static void times_round_trip(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (int round = 0; round < 2000; round++) {
		uint64_t ms = next_random(&seed) % UINT64_C(253402300800000);
		uint64_t back = 0;
		char text[32];

		text_from_time_ms(ms, text);
		assert_true(text_to_time_ms(slice_str(text), &back));
		assert_true(back == ms);
	}
	set_zone("UTC0");
}

static void check_printable(struct slice text, const char *expected)
{
	struct buf out AUTO(buf_release) = BUF_INIT;

	text_append_printable(&out, text);
	assert_string_equal(buf_str(&out), expected);
}

static void terminals_are_safe(void **state)
{
	(void)state;
	check_printable(LITERAL(""), "");
	check_printable(LITERAL("plain na\xc3\xafve \xf0\x9f\x98\x80"),
			"plain na\xc3\xafve \xf0\x9f\x98\x80");
	check_printable(LITERAL("\x1b[2J"), "\\x1b[2J");
	check_printable(LITERAL("a\r\n\tb\x7f\0"), "a\\x0d\\x0a\\x09b\\x7f\\x00");
	check_printable(LITERAL("\xff\xc3"), "\\xff\\xc3");
	check_printable(LITERAL("\xed\xa0\x80"), "\\xed\\xa0\\x80");
	/* U+009B is a CSI of its own; U+00A0 is only a blank. */
	check_printable(LITERAL("\xc2\x9b\x32J\xc2\xa0"), "\\xc2\\x9b\x32J\xc2\xa0");
	/* Overrides and isolates, and their neighbours, which are harmless. */
	check_printable(LITERAL("\xe2\x80\xae"), "\\xe2\\x80\\xae");
	check_printable(LITERAL("\xe2\x80\xaa"), "\\xe2\\x80\\xaa");
	check_printable(LITERAL("\xe2\x80\xaf"), "\xe2\x80\xaf");
	check_printable(LITERAL("\xe2\x81\xa6"), "\\xe2\\x81\\xa6");
	check_printable(LITERAL("\xe2\x81\xaa"), "\xe2\x81\xaa");
}

static void any_bytes_become_printable(void **state)
{
	uint64_t seed = announced_seed();

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct buf out AUTO(buf_release) = BUF_INIT;
		uint8_t bytes[64];

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)next_random(&seed);
		text_append_printable(&out, slice_of(bytes, sizeof(bytes)));
		assert_true(text_is_line(buf_slice(&out)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(keys),
		cmocka_unit_test(key_names),
		cmocka_unit_test(language_tags),
		cmocka_unit_test(every_code_point_is_judged),
		cmocka_unit_test(malformed_utf8_is_refused),
		cmocka_unit_test(values_and_lines),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(encodings_round_trip),
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(decimals),
		cmocka_unit_test(decimal_order),
		cmocka_unit_test(decimal_order_agrees_with_integers),
		cmocka_unit_test(durations),
		cmocka_unit_test(times_are_written_in_utc),
		cmocka_unit_test(times_with_a_zone),
		cmocka_unit_test(times_without_a_zone_are_local),
		cmocka_unit_test(days_start_where_clocks_change_at_midnight),
		cmocka_unit_test(impossible_times_are_refused),
		cmocka_unit_test(times_round_trip),
		cmocka_unit_test(terminals_are_safe),
		cmocka_unit_test(any_bytes_become_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
