/*
 * Text: grammars, encodings, numbers, times. Patterns and near misses are in text_match.c.
 *
 * Everything works on bytes and on ASCII classes, never on the locale. Inputs are hostile: no
 * recursion, no unbounded scratch memory, every integer checked before it is used.
 * Hexadecimal and base64 are libsodium's, since private keys pass through them and its code does
 * not branch on what it converts.
 */
#include "base/text.h"

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"

#include "base/banned.h"

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_alpha(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_alnum(uint8_t byte)
{
	return is_alpha(byte) || is_digit(byte);
}

/* [A-Za-z0-9] first, then [A-Za-z0-9] or one of @extra, at most @bytes_max in all. */
static bool is_word(struct slice text, size_t bytes_max, const char *extra)
{
	if (text.len == 0 || text.len > bytes_max || !is_alnum(text.data[0]))
		return false;
	for (size_t i = 1; i < text.len; i++) {
		if (!is_alnum(text.data[i]) && (text.data[i] == 0 || !strchr(extra, text.data[i])))
			return false;
	}
	return true;
}

bool text_is_name(struct slice text)
{
	return is_word(text, NAME_BYTES_MAX, "_.-");
}

bool text_is_key_name(struct slice text)
{
	return is_word(text, KEY_NAME_BYTES_MAX, "_.@-");
}

bool text_is_key(struct slice text)
{
	if (text.len == 0 || text.len > KEY_BYTES_MAX || is_digit(text.data[0]))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_alnum(text.data[i]) && text.data[i] != '_')
			return false;
	}
	return true;
}

bool text_is_lang_tag(struct slice text)
{
	size_t subtag = 0; /* bytes of the current subtag so far */
	bool first = true;

	if (text.len > LANG_TAG_BYTES_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.data[i];

		if (byte == '-' && subtag > 0) {
			subtag = 0;
			first = false;
			continue;
		}
		if (++subtag > 8 || !(first ? is_alpha(byte) : is_alnum(byte)))
			return false;
	}
	return subtag > 0;
}

/* Unicode 15, table 3-7: the second byte's range depends on the first, all others are 80..BF. */
size_t text_utf8_sequence(struct slice text)
{
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	uint8_t lead;
	size_t len;

	if (text.len == 0)
		return 0;
	lead = text.data[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	if (lead >= 0xf0)
		len = 4;
	else
		len = lead >= 0xe0 ? 3 : 2;
	if (text.len < len)
		return 0;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (text.data[1] < low || text.data[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((text.data[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool text_is_utf8(struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t len = text_utf8_sequence(slice_of(text.data + at, text.len - at));

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

bool text_is_value(struct slice text)
{
	return text_is_utf8(text) && !(text.len && memchr(text.data, '\0', text.len));
}

bool text_is_line(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return false;
	}
	return text_is_utf8(text);
}

void text_to_hex(const uint8_t *bytes, size_t len, char *ret)
{
	sodium_bin2hex(ret, 2 * len + 1, bytes, len);
}

bool text_from_hex(struct slice hex, uint8_t *ret, size_t len)
{
	if (hex.len % 2 != 0 || hex.len / 2 != len)
		return false;
	return sodium_hex2bin(ret, len, (const char *)hex.data, hex.len, NULL, NULL, NULL) == 0;
}

void text_to_base64(struct buf *out, const uint8_t *bytes, size_t len)
{
	size_t encoded = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
	char *room = (char *)buf_reserve(out, encoded);

	if (!room)
		return;
	sodium_bin2base64(room, encoded, bytes, len, sodium_base64_VARIANT_ORIGINAL);
	out->len += encoded - 1; /* it counts its NUL */
}

bool text_from_base64(struct slice base64, uint8_t *ret, size_t cap, size_t *ret_len)
{
	size_t len;

	/* libsodium 1.0.18 takes some bytes above 0x7f for characters of the alphabet. */
	for (size_t i = 0; i < base64.len; i++) {
		if (base64.data[i] > 0x7f)
			return false;
	}
	if (sodium_base642bin(ret, cap, (const char *)base64.data, base64.len, NULL, &len, NULL,
			      sodium_base64_VARIANT_ORIGINAL))
		return false;
	*ret_len = len;
	return true;
}

bool text_to_u64(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len == 0 || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t digit = (uint8_t)(text.data[i] - '0');

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

bool text_to_i64(struct slice text, int64_t *ret)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	uint64_t magnitude;

	if (negative)
		text = slice_of(text.data + 1, text.len - 1);
	if (!text_to_u64(text, &magnitude))
		return false;
	if (!negative) {
		if (magnitude > INT64_MAX)
			return false;
		*ret = (int64_t)magnitude;
		return true;
	}
	if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1)
		return false;
	*ret = -(int64_t)(magnitude - 1) - 1; /* so that the smallest number does not overflow */
	return true;
}

/* Remove the run of digits at the start of @rest and return it. */
static struct slice take_number(struct slice *rest)
{
	struct slice digits = *rest;
	size_t len = 0;

	while (len < rest->len && is_digit(rest->data[len]))
		len++;
	digits.len = len;
	if (len)
		*rest = slice_of(rest->data + len, rest->len - len);
	return digits;
}

static bool take_byte(struct slice *rest, uint8_t byte)
{
	if (rest->len == 0 || rest->data[0] != byte)
		return false;
	*rest = slice_of(rest->data + 1, rest->len - 1);
	return true;
}

struct decimal {
	bool negative;
	struct slice whole;    /* without leading zeros */
	struct slice fraction; /* without trailing zeros */
};

/* Returns the number of digits written out, or 0 when @text is no decimal. */
static size_t parse_decimal(struct slice text, struct decimal *ret)
{
	struct decimal parsed = { .negative = take_byte(&text, '-') };
	size_t digits;

	if (!parsed.negative)
		(void)take_byte(&text, '+');
	parsed.whole = take_number(&text);
	parsed.fraction = slice_of(parsed.whole.data, 0);
	digits = parsed.whole.len;
	if (digits == 0)
		return 0;
	if (take_byte(&text, '.')) {
		parsed.fraction = take_number(&text);
		digits += parsed.fraction.len;
		if (parsed.fraction.len == 0)
			return 0;
	}
	if (text.len > 0)
		return 0;
	while (take_byte(&parsed.whole, '0'))
		;
	while (parsed.fraction.len && parsed.fraction.data[parsed.fraction.len - 1] == '0')
		parsed.fraction.len--;
	if (parsed.whole.len == 0 && parsed.fraction.len == 0)
		parsed.negative = false; /* "-0" is 0 */
	*ret = parsed;
	return digits;
}

bool text_is_decimal(struct slice text)
{
	struct decimal ignored;
	size_t digits = parse_decimal(text, &ignored);

	return digits > 0 && digits <= 64;
}

int text_compare_decimal(struct slice a, struct slice b)
{
	static const struct decimal zero = { .negative = false };
	struct decimal x = zero;
	struct decimal y = zero;
	int order;

	(void)parse_decimal(a, &x);
	(void)parse_decimal(b, &y);
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	if (x.whole.len != y.whole.len)
		order = x.whole.len < y.whole.len ? -1 : 1;
	else
		order = slice_compare(x.whole, y.whole);
	if (order == 0)
		order = slice_compare(x.fraction, y.fraction);
	return x.negative ? -order : order;
}

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static uint64_t unit_ms(uint8_t unit)
{
	switch (unit) {
	case 's':
		return 1000;
	case 'm':
		return MINUTE_MS;
	case 'h':
		return HOUR_MS;
	case 'd':
		return DAY_MS;
	case 'w':
		return 7 * DAY_MS;
	default:
		return 0;
	}
}

bool text_to_duration_ms(struct slice text, uint64_t *ret_ms)
{
	uint64_t unit = 1000;
	uint64_t count;

	if (text.len > 0 && !is_digit(text.data[text.len - 1])) {
		unit = unit_ms(text.data[text.len - 1]);
		text.len--;
	}
	if (unit == 0 || !text_to_u64(text, &count) || count > UINT64_MAX / unit)
		return false;
	*ret_ms = count * unit;
	return true;
}

void text_from_time_ms(uint64_t time_ms, char ret[32])
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm = { 0 };
	char text[80]; /* room for any seven ints, which is what the compiler must assume */

	/* Cannot fail: the last representable millisecond lies in a year of nine digits. */
	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (unsigned)(time_ms % 1000));
	memcpy(ret, text, 31);
	ret[31] = '\0';
}

/* A time as written: fields in range, zone not yet applied. */
struct written_time {
	int year;
	int month; /* 1..12 */
	int day;
	int hour;
	int minute;
	int second;
	unsigned ms;
	int offset_minutes;
	bool date_only;
	bool has_zone;
};

/* Exactly @count digits whose value lies within @low..@high. */
static bool take_field(struct slice *rest, size_t count, int low, int high, int *ret)
{
	int value = 0;

	if (rest->len < count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!is_digit(rest->data[i]))
			return false;
		value = value * 10 + (rest->data[i] - '0');
	}
	if (value < low || value > high)
		return false;
	*rest = slice_of(rest->data + count, rest->len - count);
	*ret = value;
	return true;
}

static int days_in_month(int year, int month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_date(struct slice *rest, struct written_time *time)
{
	return take_field(rest, 4, 1970, 9999, &time->year) && take_byte(rest, '-') &&
	       take_field(rest, 2, 1, 12, &time->month) && take_byte(rest, '-') &&
	       take_field(rest, 2, 1, days_in_month(time->year, time->month), &time->day);
}

/* One to nine digits; what is finer than a millisecond is dropped. */
static bool take_fraction(struct slice *rest, unsigned *ret_ms)
{
	struct slice digits = take_number(rest);
	unsigned ms = 0;

	if (digits.len < 1 || digits.len > 9)
		return false;
	for (size_t i = 0; i < 3; i++)
		ms = ms * 10 + (i < digits.len ? (unsigned)(digits.data[i] - '0') : 0);
	*ret_ms = ms;
	return true;
}

static bool take_clock(struct slice *rest, struct written_time *time)
{
	if (!take_field(rest, 2, 0, 23, &time->hour) || !take_byte(rest, ':') ||
	    !take_field(rest, 2, 0, 59, &time->minute))
		return false;
	if (!take_byte(rest, ':'))
		return true;
	if (!take_field(rest, 2, 0, 59, &time->second))
		return false;
	return !take_byte(rest, '.') || take_fraction(rest, &time->ms);
}

static bool take_zone(struct slice *rest, struct written_time *time)
{
	bool west;
	int hours;
	int minutes;

	time->has_zone = rest->len > 0;
	if (!time->has_zone || take_byte(rest, 'Z') || take_byte(rest, 'z'))
		return true;
	west = take_byte(rest, '-');
	if (!west && !take_byte(rest, '+'))
		return false;
	if (!take_field(rest, 2, 0, 23, &hours) || !take_byte(rest, ':') ||
	    !take_field(rest, 2, 0, 59, &minutes))
		return false;
	time->offset_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
	return true;
}

static bool parse_time(struct slice text, struct written_time *time)
{
	if (!take_date(&text, time))
		return false;
	time->date_only = text.len == 0;
	if (time->date_only)
		return true;
	if (!take_byte(&text, 'T') && !take_byte(&text, 't') && !take_byte(&text, ' '))
		return false;
	return take_clock(&text, time) && take_zone(&text, time) && text.len == 0;
}

/* How the local date at @seconds stands to @day: <0 earlier, 0 that day, >0 later. */
static int compare_local_date(time_t seconds, const struct tm *day)
{
	struct tm local = { 0 };

	(void)localtime_r(&seconds, &local);
	if (local.tm_year != day->tm_year)
		return local.tm_year < day->tm_year ? -1 : 1;
	if (local.tm_mon != day->tm_mon)
		return local.tm_mon < day->tm_mon ? -1 : 1;
	return (local.tm_mday > day->tm_mday) - (local.tm_mday < day->tm_mday);
}

/*
 * The first second whose local date is not before @day. Sought by bisection rather than with
 * mktime(), because clocks are put forward or back at midnight in some places: there 00:00 does not
 * exist, or exists twice.
 */
static time_t start_of_local_day(const struct tm *day)
{
	struct tm utc = *day;
	time_t middle = timegm(&utc);
	const time_t reach = (time_t)36 * 60 * 60;
	time_t before = middle - reach; /* no zone is further away */
	time_t after = middle + reach;

	while (after - before > 1) {
		middle = before + (after - before) / 2;
		if (compare_local_date(middle, day) < 0)
			before = middle;
		else
			after = middle;
	}
	return after;
}

bool text_to_time_ms(struct slice text, uint64_t *ret_ms)
{
	struct written_time time = { 0 };
	struct tm tm = { 0 };
	time_t seconds;

	if (!parse_time(text, &time))
		return false;
	tm.tm_year = time.year - 1900;
	tm.tm_mon = time.month - 1;
	tm.tm_mday = time.day;
	tm.tm_hour = time.hour;
	tm.tm_min = time.minute;
	tm.tm_sec = time.second;
	tm.tm_isdst = -1;
	if (time.date_only)
		seconds = start_of_local_day(&tm);
	else if (time.has_zone)
		seconds = timegm(&tm) - (time_t)time.offset_minutes * 60;
	else
		seconds = mktime(&tm);
	if (seconds < 0)
		return false;
	*ret_ms = (uint64_t)seconds * 1000 + time.ms;
	return true;
}

/*
 * Whether a well-formed sequence may reach a terminal. Besides the ASCII controls: U+0080..U+009F
 * (the C1 controls, CSI among them) and the marks that reorder what the reader sees
 * (U+202A..U+202E, U+2066..U+2069).
 */
static bool is_printable(const uint8_t *at, size_t len)
{
	if (len == 1)
		return at[0] >= 0x20 && at[0] != 0x7f;
	if (len == 2)
		return !(at[0] == 0xc2 && at[1] < 0xa0);
	if (len == 3 && at[0] == 0xe2 && at[1] == 0x80)
		return at[2] < 0xaa || at[2] > 0xae;
	if (len == 3 && at[0] == 0xe2 && at[1] == 0x81)
		return at[2] < 0xa6 || at[2] > 0xa9;
	return len > 0;
}

void text_append_printable(struct buf *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t len = text_utf8_sequence(slice_of(text.data + at, text.len - at));
		size_t step = len > 0 ? len : 1;

		if (is_printable(text.data + at, len)) {
			buf_append(out, text.data + at, len);
		} else {
			for (size_t i = 0; i < step; i++)
				buf_printf(out, "\\x%02x", text.data[at + i]);
		}
		at += step;
	}
}
