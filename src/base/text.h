/*
 * Text: grammars of names and keys, UTF-8, hexadecimal, base64, numbers, times, globs, near misses.
 *
 * All functions work on borrowed bytes, allocate nothing unless they take a struct buf, and accept
 * any input, hostile or not.
 */
#ifndef PROVENV_BASE_TEXT_H
#define PROVENV_BASE_TEXT_H

#include "base/buf.h"

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,62}: environments, profiles, categories, databases. */
bool text_is_name(struct slice text);
/* [A-Za-z_][A-Za-z0-9_]{0,254}: keys of variables. */
bool text_is_key(struct slice text);
/* [A-Za-z0-9][A-Za-z0-9_.@-]{0,126}: names of signing keys. */
bool text_is_key_name(struct slice text);
/* A BCP 47-shaped tag: [A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*, at most LANG_TAG_BYTES_MAX. */
bool text_is_lang_tag(struct slice text);

/* Bytes of the well-formed UTF-8 sequence at the start of @text, 1..4, or 0 when there is none. */
size_t text_utf8_sequence(struct slice text);
/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
bool text_is_utf8(struct slice text);
/* Well-formed UTF-8 without NUL. */
bool text_is_value(struct slice text);
/* As text_is_value(), and no control byte below 0x20 nor 0x7f: fit for one line. */
bool text_is_line(struct slice text);

/* Lower-case hexadecimal; @ret holds 2 × @len bytes and a NUL. */
void text_to_hex(const uint8_t *bytes, size_t len, char *ret);
/* Exactly 2 × @len hexadecimal digits of either case; false otherwise, with @ret undefined. */
bool text_from_hex(struct slice hex, uint8_t *ret, size_t len);

/* Standard alphabet with padding (RFC 4648 section 4). */
void text_to_base64(struct buf *out, const uint8_t *bytes, size_t len);
/* Strict: canonical padding, no blanks. Fails on anything else or when more than @cap bytes result;
 * then the content of @ret is undefined. */
bool text_from_base64(struct slice base64, uint8_t *ret, size_t cap, size_t *ret_len);

/* Decimal digits only, no sign, no leading zeros but "0" itself, no overflow. */
bool text_to_u64(struct slice text, uint64_t *ret);
/* As text_to_u64() after an optional "-". "-0" is refused. */
bool text_to_i64(struct slice text, int64_t *ret);

/* [+-]?digits[.digits], at most 64 digits. */
bool text_is_decimal(struct slice text);
/* Exact comparison of two texts that are decimals: <0, 0, >0. Anything else counts as 0. */
int text_compare_decimal(struct slice a, struct slice b);

/* "90", "90s", "15m", "2h", "3d", "1w" → milliseconds; without a unit, seconds. */
bool text_to_duration_ms(struct slice text, uint64_t *ret_ms);

/* RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z". @ret holds 32 bytes. Years after
 * 9999, which RFC 3339 lacks, are written out. */
void text_from_time_ms(uint64_t time_ms, char ret[32]);
/*
 * "2026-01-02", "2026-01-02T03:04[:05[.678]]" with "Z", "+09:00" or nothing (local time); a blank
 * may stand for the T. A date alone is the start of that local day, also where the clocks change at
 * midnight. Years 1970 to 9999; up to nine digits of a second, of which three count. False on
 * anything else, and on a time before 1970-01-01T00:00:00Z.
 */
bool text_to_time_ms(struct slice text, uint64_t *ret_ms);

/* Shell-like pattern on bytes: * ? [a-z] [!a-z]. No braces, no escapes; a bracket that is not
 * closed stands for itself. Time linear in the product of the lengths. */
bool text_glob_match(struct slice pattern, struct slice text);

/* Damerau-Levenshtein distance of two short texts, capped at 64 bytes each. */
size_t text_distance(struct slice a, struct slice b);
/* The candidate nearest to @word within a third of its length (at least 1), or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

/*
 * Append @text fit for a terminal: control characters (C0, DEL, C1), the marks that reorder text
 * (U+202A..U+202E, U+2066..U+2069) and malformed UTF-8 become \xNN per byte, so that stored bytes
 * can never drive the terminal.
 */
void text_append_printable(struct buf *out, struct slice text);

#endif
