/*
 * Values against specifications: every type and rule, the words of every message, and that a secret
 * leaves nothing in them; specifications against themselves; names that look secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/value_check.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

#define LITERAL(text) slice_of(text, sizeof(text) - 1)

/* A specification of KEY; the caller adds rules. */
static struct payload specification(const char *type)
{
	struct payload payload;

	payload_init(&payload, EVENT_VARIABLE_SPECIFIED);
	payload_str(&payload, FIELD_KEY, "KEY");
	payload_str(&payload, FIELD_TYPE, type);
	payload_bool(&payload, FIELD_REQUIRED, false);
	payload_bool(&payload, FIELD_SECRET, false);
	return payload;
}

static void assert_valid(const struct payload *payload, struct slice value)
{
	struct error err = ERROR_INIT;
	enum status status = value_check(payload, value, false, &err);

	if (status)
		print_error("%s\n", err.text);
	assert_int_equal(status, STATUS_OK);
	assert_string_equal(err.text, "");
}

static void assert_invalid(const struct payload *payload, struct slice value, const char *text,
			   const char *hint)
{
	struct error err = ERROR_INIT;

	assert_int_equal(value_check(payload, value, false, &err), STATUS_INVALID);
	assert_int_equal(err.status, STATUS_INVALID);
	assert_string_equal(err.text, text);
	assert_string_equal(err.hint, hint);
	assert_int_equal(value_check(payload, value, false, NULL), STATUS_INVALID);
}

/* Each of the values, to a NULL. */
static void assert_all_valid(const char *type, const char *const *values)
{
	struct payload payload = specification(type);

	for (; *values; values++)
		assert_valid(&payload, slice_str(*values));
}

static void assert_none_valid(const char *type, const char *const *values)
{
	struct payload payload = specification(type);

	for (; *values; values++) {
		enum status status = value_check(&payload, slice_str(*values), false, NULL);

		if (status != STATUS_INVALID)
			print_error("valid %s: %s\n", type, *values);
		assert_int_equal(status, STATUS_INVALID);
	}
}

#define VALID(type, ...)   assert_all_valid(type, (const char *const[]){ __VA_ARGS__, NULL })
#define INVALID(type, ...) assert_none_valid(type, (const char *const[]){ __VA_ARGS__, NULL })

static void any_value(void **state)
{
	struct payload payload = specification("string");
	AUTO_FREE char *longest = malloc(VALUE_BYTES_MAX + 1);

	(void)state;
	assert_non_null(longest);
	memset(longest, 'x', VALUE_BYTES_MAX + 1);
	assert_valid(&payload, slice_of(NULL, 0));
	assert_valid(&payload, LITERAL("two\nlines, \t and 로깅"));
	assert_valid(&payload, slice_of(longest, VALUE_BYTES_MAX));
	assert_invalid(&payload, LITERAL("a\0b"), "KEY: 'a\\x00b' is not UTF-8 text without NUL",
		       "");
	assert_invalid(&payload, LITERAL("a\xff"), "KEY: 'a\\xff' is not UTF-8 text without NUL",
		       "");
	assert_invalid(
		&payload, slice_of(longest, VALUE_BYTES_MAX + 1),
		"KEY: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' is "
		"too long: at most 32768 bytes",
		"");
}

static void ints(void **state)
{
	static const char form[] = " is not an int: digits with an optional '-', no '+', no "
				   "leading zeros, -9223372036854775808 to 9223372036854775807";
	struct payload payload = specification("int");
	char expected[256];

	(void)state;
	VALID("int", "0", "7", "-1", "9223372036854775807", "-9223372036854775808");
	INVALID("int", "", "+5", "05", "-0", "5.0", "1e3", " 5", "5 ", "5\n", "0x10",
		"9223372036854775808", "-9223372036854775809", "five", "٣");
	(void)snprintf(expected, sizeof(expected), "KEY: +5%s", form);
	assert_invalid(&payload, LITERAL("+5"), expected, "");
	payload_str(&payload, FIELD_EXAMPLE, "30");
	(void)snprintf(expected, sizeof(expected), "KEY: ''%s", form);
	assert_invalid(&payload, LITERAL(""), expected, "for example: 30");
	payload_str(&payload, FIELD_UNIT, "s");
	(void)snprintf(expected, sizeof(expected), "KEY: '5 s'%s", form);
	assert_invalid(&payload, LITERAL("5 s"), expected, "write the number alone; it is in s");
}

static void decimals(void **state)
{
	struct payload payload = specification("decimal");

	(void)state;
	VALID("decimal", "0", "-0.50", "+1.5", "007", "12345678901234567890.12345678901234567890");
	INVALID("decimal", "", ".5", "5.", "1e3", "1,5", "NaN", "inf", "0x1p3", "1 %",
		"12345678901234567890123456789012345678901234567890123456789012345");
	assert_invalid(&payload, LITERAL("1,5"),
		       "KEY: '1,5' is not a decimal: digits with an optional sign and point, at "
		       "most 64 digits, no exponent",
		       "");
}

static void bools(void **state)
{
	struct payload payload = specification("bool");

	(void)state;
	VALID("bool", "true", "false");
	INVALID("bool", "", "True", "TRUE", "yes", "1", "0", "truee", "true\n", "null");
	assert_invalid(&payload, LITERAL("yes"), "KEY: 'yes' is not a bool: true or false",
		       "did you mean 'true'?");
	assert_invalid(&payload, LITERAL("1"), "KEY: 1 is not a bool: true or false",
		       "did you mean 'true'?");
	assert_invalid(&payload, LITERAL("on"), "KEY: 'on' is not a bool: true or false",
		       "did you mean 'true'?");
	assert_invalid(&payload, LITERAL("FALSE"), "KEY: 'FALSE' is not a bool: true or false",
		       "did you mean 'false'?");
	assert_invalid(&payload, LITERAL("maybe"), "KEY: 'maybe' is not a bool: true or false", "");
}

static void urls(void **state)
{
	struct payload payload = specification("url");

	(void)state;
	VALID("url", "https://api.example.com/v1?x=1#y", "postgres://u:p@h:5432/db", "x+y-z.1://h",
	      "file:///etc/hosts", "http://로깅.kr");
	INVALID("url", "", "https", "https:", "https://", "://host", "1http://x", "http:/x",
		"http:x//", "ht tp://x", "http://a b", "http://a\tb", "http://a\n", "http://a\x7f",
		" http://a");
	assert_invalid(&payload, LITERAL("example.com"),
		       "KEY: 'example.com' is not a url: scheme://host and so on, without blanks",
		       "");
}

static void paths(void **state)
{
	struct payload payload = specification("path");

	(void)state;
	VALID("path", "/", "data/settings.sqlite3", "with blank", "../로깅");
	INVALID("path", "", "a\nb", "a\rb", "\x1b[31m");
	assert_invalid(&payload, LITERAL("a\nb"),
		       "KEY: 'a\\x0ab' is not a path: one line, not empty", "");
}

static void jsons(void **state)
{
	struct payload payload = specification("json");
	struct error err = ERROR_INIT;
	char deep[VALUE_BYTES_MAX];

	(void)state;
	VALID("json", "{}", "[1, 2.5, -3e7]", "\"text\"", "null", " true ", "12345678901234567890",
	      "{\"a\":{\"b\":[\"\\u0000\\ud83d\\ude00\"]}}", "0");
	INVALID("json", "", " ", "{", "{'a':1}", "[1,]", "{\"a\":1,\"a\":2}", "1 2", "tru",
		"\"\\ud800\"", "01", "1e999", "NaN", "// x\n1");
	memset(deep, '[', sizeof(deep));
	assert_int_equal(value_check(&payload, slice_of(deep, sizeof(deep)), false, &err),
			 STATUS_INVALID);
	assert_int_equal(value_check(&payload, LITERAL("{\n\"a\":1,}"), false, &err),
			 STATUS_INVALID);
	/* What follows the place are jansson's words. */
	assert_non_null(strstr(err.text, "KEY: '{\\x0a\"a\":1,}' is not JSON: line 2, column 7: "));
}

static const struct slice levels[] = {
	{ (const uint8_t *)"DEBUG", 5 },
	{ (const uint8_t *)"INFO", 4 },
	{ (const uint8_t *)"", 0 },
	{ (const uint8_t *)"10", 2 },
};

static void enums(void **state)
{
	struct payload payload = specification("enum");

	(void)state;
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels, .count = 4 });
	assert_valid(&payload, LITERAL("INFO"));
	assert_valid(&payload, LITERAL(""));
	assert_invalid(&payload, LITERAL("INF"), "KEY: 'INF' is not one of 'DEBUG', 'INFO', '', 10",
		       "did you mean 'INFO'?");
	assert_invalid(&payload, LITERAL("debug"),
		       "KEY: 'debug' is not one of 'DEBUG', 'INFO', '', 10",
		       "did you mean 'DEBUG'?");
	assert_invalid(&payload, LITERAL("elsewhere"),
		       "KEY: 'elsewhere' is not one of 'DEBUG', 'INFO', '', 10", "");
	/* A string may have a list too. */
	payload_str(&payload, FIELD_TYPE, "string");
	assert_valid(&payload, LITERAL("DEBUG"));
	assert_int_equal(value_check(&payload, LITERAL("x"), false, NULL), STATUS_INVALID);
}

static void long_enums_are_cut(void **state)
{
	struct payload payload = specification("enum");
	struct slice entries[12];
	static const char letters[] = "abcdefghijkl";

	(void)state;
	for (size_t i = 0; i < 12; i++)
		entries[i] = slice_of(letters + i, 1);
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = entries, .count = 12 });
	assert_invalid(
		&payload, LITERAL("zz"),
		"KEY: 'zz' is not one of 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', …", "");
}

static void patterns(void **state)
{
	struct payload payload = specification("string");
	AUTO_FREE char *hostile = malloc(VALUE_BYTES_MAX);
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(hostile);
	payload_str(&payload, FIELD_PATTERN, "[a-z]{2}-[0-9]");
	assert_valid(&payload, LITERAL("eu-1"));
	assert_invalid(&payload, LITERAL("eu-12"),
		       "KEY: 'eu-12' does not match the pattern [a-z]{2}-[0-9]", "");
	payload_str(&payload, FIELD_EXAMPLE, "eu-1");
	assert_invalid(&payload, LITERAL("eu-1\n"),
		       "KEY: 'eu-1\\x0a' does not match the pattern [a-z]{2}-[0-9]",
		       "for example: eu-1");
	payload_str(&payload, FIELD_PATTERN, "(a");
	assert_invalid(&payload, LITERAL("a"),
		       "KEY: 'a' cannot be judged by the pattern (a: missing closing parenthesis "
		       "at byte 3",
		       "for example: eu-1");
	payload_str(&payload, FIELD_PATTERN, "(a+)+b");
	memset(hostile, 'a', VALUE_BYTES_MAX);
	assert_int_equal(value_check(&payload, slice_of(hostile, VALUE_BYTES_MAX), false, &err),
			 STATUS_INVALID);
	assert_non_null(strstr(err.text, "(a+)+b: the pattern took too much work"));
}

static void bounds(void **state)
{
	struct payload payload = specification("decimal");

	(void)state;
	payload_str(&payload, FIELD_MIN, "0");
	payload_str(&payload, FIELD_MAX, "100");
	payload_str(&payload, FIELD_UNIT, "%");
	payload_str(&payload, FIELD_EXAMPLE, "5");
	assert_valid(&payload, LITERAL("0"));
	assert_valid(&payload, LITERAL("-0.0"));
	assert_valid(&payload, LITERAL("100.000"));
	assert_invalid(&payload, LITERAL("120"), "KEY: 120 is over the maximum 100 %", "");
	assert_invalid(&payload, LITERAL("100.0000000000000000000000001"),
		       "KEY: 100.0000000000000000000000001 is over the maximum 100 %", "");
	assert_invalid(&payload, LITERAL("-0.1"), "KEY: -0.1 is under the minimum 0 %", "");
	payload = specification("int");
	payload_str(&payload, FIELD_MIN, "-9223372036854775808");
	payload_str(&payload, FIELD_MAX, "-9223372036854775807");
	assert_valid(&payload, LITERAL("-9223372036854775808"));
	assert_invalid(&payload, LITERAL("-9223372036854775806"),
		       "KEY: -9223372036854775806 is over the maximum -9223372036854775807", "");
}

static void unknown_types_are_newer(void **state)
{
	struct payload payload = specification("duration");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(value_check(&payload, LITERAL("5s"), false, &err), STATUS_NEWER);
	assert_string_equal(err.text, "KEY: its type 'duration' is not known here");
	assert_true(strlen(err.hint) > 0);
}

/* Whatever rule a secret violates, no four bytes of it stand in the message. */
static void assert_masked(const struct payload *payload, const char *value, const char *text)
{
	struct error err = ERROR_INIT;
	size_t len = strlen(value);

	assert_int_equal(value_check(payload, slice_str(value), false, &err), STATUS_INVALID);
	assert_string_equal(err.text, text);
	for (size_t i = 0; i + 4 <= len; i++) {
		assert_null(memmem(&err, sizeof(err), value + i, 4));
	}
	assert_null(strstr(err.hint, "did you mean"));
}

static void secrets_stay_secret(void **state)
{
	struct payload payload = specification("json");

	(void)state;
	payload_bool(&payload, FIELD_SECRET, true);
	assert_masked(&payload, "{\"hunter2\": xyzzy9}",
		      "KEY: the value is not JSON: line 1, column 17");
	assert_masked(&payload, "{\"qwertz\":1,\"qwertz\":2}",
		      "KEY: the value is not JSON: line 1, column 20");
	payload = specification("enum");
	payload_bool(&payload, FIELD_SECRET, true);
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels, .count = 2 });
	assert_masked(&payload, "hunter2", "KEY: the value is not one of 'DEBUG', 'INFO'");
	assert_masked(&payload, "info", "KEY: the value is not one of 'DEBUG', 'INFO'");
	payload = specification("decimal");
	payload_bool(&payload, FIELD_SECRET, true);
	payload_str(&payload, FIELD_MAX, "10");
	assert_masked(&payload, "918273", "KEY: the value is over the maximum 10");
	payload = specification("string");
	payload_bool(&payload, FIELD_SECRET, true);
	payload_str(&payload, FIELD_PATTERN, "sk-[0-9]+");
	payload_str(&payload, FIELD_EXAMPLE, "sk-1234");
	assert_masked(&payload, "hunter2", "KEY: the value does not match the pattern sk-[0-9]+");
	payload = specification("bool");
	payload_bool(&payload, FIELD_SECRET, true);
	assert_masked(&payload, "enabled", "KEY: the value is not a bool: true or false");
	assert_masked(&payload,
		      "hunt\xff"
		      "er",
		      "KEY: the value is not UTF-8 text without NUL");
}

/* jansson copies what it reads: memory it gives back must not hold the secret any more. */
static void secret_json_is_wiped(void **state)
{
	struct payload payload = specification("json");
	json_malloc_t json_malloc = NULL;
	json_free_t json_free = NULL;
	uint8_t *memory;

	(void)state;
	payload_bool(&payload, FIELD_SECRET, true);
	assert_valid(&payload, LITERAL("\"hunter2\""));
	json_get_alloc_funcs(&json_malloc, &json_free);
	assert_true(json_free != free);
	/* What the function does to memory before it frees it cannot be seen in a sound program;
	 * that it takes what malloc gave, and NULL, can. */
	memory = json_malloc(100);
	assert_non_null(memory);
	memset(memory, 'x', 100);
	json_free(memory);
	json_free(NULL);
}

/* All text of an error must be one line that is safe on a terminal, whatever comes in. */
static void messages_are_one_line(void **state)
{
	const char *given = secure_getenv("PROVENV_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : clock_monotonic_ns() | 1;

	(void)state;
	print_message("PROVENV_TEST_SEED=%" PRIu64 "\n", seed);
	for (size_t round = 0; round < 20000; round++) {
		struct payload payload = specification(value_types[round % 8]);
		struct error err = ERROR_INIT;
		uint8_t value[90];
		size_t len;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		len = (seed >> 33) % sizeof(value);
		for (size_t i = 0; i < len; i++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			value[i] = (uint8_t)(seed >> 50);
		}
		payload_texts(&payload, FIELD_ENUM,
			      (struct texts){ .entries = levels, .count = 4 });
		if (value_check(&payload, slice_of(value, len), false, &err) == STATUS_OK)
			continue;
		assert_int_equal(err.status, STATUS_INVALID);
		assert_true(text_is_line(slice_str(err.text)));
		assert_true(text_is_line(slice_str(err.hint)));
		assert_true(strncmp(err.text, "KEY: ", 5) == 0);
	}
}

static void assert_sound(const struct payload *payload)
{
	struct error err = ERROR_INIT;
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	enum status status = specification_check(payload, &err);

	if (status)
		print_error("%s\n", err.text);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(payload_encode(payload, &bytes, NULL), STATUS_OK);
}

static void assert_unsound(const struct payload *payload, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(specification_check(payload, &err), STATUS_USAGE);
	assert_string_equal(err.text, text);
	assert_int_equal(specification_check(payload, NULL), STATUS_USAGE);
}

static void sound_specifications(void **state)
{
	struct payload payload;

	(void)state;
	for (size_t i = 0; value_types[i]; i++) {
		payload = specification(value_types[i]);
		if (strcmp(value_types[i], "enum") != 0)
			assert_sound(&payload);
	}
	payload = specification("enum");
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels, .count = 4 });
	payload_str(&payload, FIELD_DEFAULT, "INFO");
	payload_str(&payload, FIELD_EXAMPLE, "DEBUG");
	assert_sound(&payload);
	payload = specification("int");
	payload_str(&payload, FIELD_MIN, "5");
	payload_str(&payload, FIELD_MAX, "5");
	payload_str(&payload, FIELD_DEFAULT, "5");
	assert_sound(&payload);
	payload = specification("string");
	payload_bool(&payload, FIELD_SECRET, true);
	payload_str(&payload, FIELD_EXAMPLE, "sk-1234");
	assert_sound(&payload);
}

static void unsound_types_and_enums(void **state)
{
	struct payload payload = specification("sstring");
	struct error err = ERROR_INIT;

	(void)state;
	assert_unsound(&payload, "type: 'sstring' is not one of string, int, decimal, bool, enum, "
				 "url, path, json");
	assert_int_equal(specification_check(&payload, &err), STATUS_USAGE);
	assert_string_equal(err.hint, "did you mean 'string'?");
	payload = specification("enum");
	assert_unsound(&payload, "enum: type enum needs the allowed values");
	payload = specification("decimal");
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels, .count = 2 });
	assert_unsound(&payload,
		       "enum: only enum, string and int have allowed values, not decimal");
	payload = specification("int");
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels + 3, .count = 1 });
	payload_str(&payload, FIELD_MAX, "9");
	assert_unsound(&payload, "enum[0]: 10 is over the maximum 9");
	payload = specification("string");
	payload_texts(&payload, FIELD_ENUM, (struct texts){ .entries = levels, .count = 4 });
	payload_str(&payload, FIELD_PATTERN, "[A-Z]*");
	assert_unsound(&payload, "enum[3]: 10 does not match the pattern [A-Z]*");
}

static void unsound_bounds_and_patterns(void **state)
{
	struct payload payload = specification("int");

	(void)state;
	payload_str(&payload, FIELD_MIN, "5");
	payload_str(&payload, FIELD_MAX, "3");
	assert_unsound(&payload, "min: 5 is over max 3");
	payload_str(&payload, FIELD_MAX, "7.5");
	assert_unsound(&payload, "max: 7.5 is not an int: digits with an optional '-', no '+', no "
				 "leading zeros, 64 bits");
	payload_str(&payload, FIELD_MIN, "x");
	assert_unsound(&payload, "min: 'x' is not a decimal number");
	payload = specification("string");
	payload_str(&payload, FIELD_MAX, "3");
	assert_unsound(&payload, "max: only int and decimal have bounds, not string");
	payload = specification("string");
	payload_str(&payload, FIELD_PATTERN, "[a");
	assert_unsound(&payload, "pattern: missing terminating ] for character class at byte 3");
}

static void unsound_defaults(void **state)
{
	struct payload payload = specification("bool");
	struct error err = ERROR_INIT;

	(void)state;
	payload_str(&payload, FIELD_DEFAULT, "on");
	assert_unsound(&payload, "default: 'on' is not a bool: true or false");
	assert_int_equal(specification_check(&payload, &err), STATUS_USAGE);
	assert_string_equal(err.hint, "did you mean 'true'?");
	payload_str(&payload, FIELD_DEFAULT, "true");
	payload_str(&payload, FIELD_EXAMPLE, "on");
	assert_unsound(&payload, "example: 'on' is not a bool: true or false");
	payload = specification("int");
	payload_str(&payload, FIELD_MIN, "5");
	payload_str(&payload, FIELD_UNIT, "min");
	payload_str(&payload, FIELD_DEFAULT, "4");
	assert_unsound(&payload, "default: 4 is under the minimum 5 min");
	payload = specification("string");
	payload_bool(&payload, FIELD_SECRET, true);
	payload_str(&payload, FIELD_DEFAULT, "");
	assert_unsound(&payload, "default: a secret has none, because it would be readable by all");
}

static void names_that_look_secret(void **state)
{
	static const char *const secret[] = { "UPBIT_ACCESS_KEY_DEV",
					      "UPBIT_SECRET_KEY_PROD",
					      "KEY",
					      "api_key",
					      "apiKey",
					      "APIKEY",
					      "TOKEN",
					      "GITHUB_TOKEN2",
					      "authToken",
					      "PGPASSWORD",
					      "DB_PASSWORD",
					      "DB_PASS",
					      "MYSQL_PWD",
					      "SSH_PASSPHRASE",
					      "AWS_CREDENTIALS",
					      "CLIENT_SECRET",
					      "SECRETS_FILE",
					      "_KEY_" };
	static const char *const plain[] = {
		"UPBIT_LOG_LEVEL", "KEYBOARD_LAYOUT", "MONKEY",       "MAX_TOKENS",   "TOKENIZER",
		"COMPASS",         "PASSIVE_MODE",    "BYPASS_CACHE", "TRADING_MODE", "_",
		"SECRETARY"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
		print_message("%s\n", secret[i]);
		assert_true(key_looks_secret(slice_str(secret[i])));
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		print_message("%s\n", plain[i]);
		assert_false(key_looks_secret(slice_str(plain[i])));
	}
	assert_false(key_looks_secret(slice_of(NULL, 0)));
}

static void shown_values(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	value_show(&out, LITERAL("-1.5"));
	assert_string_equal(buf_str(&out), "-1.5");
	buf_clear(&out);
	value_show(&out, LITERAL(""));
	assert_string_equal(buf_str(&out), "''");
	buf_clear(&out);
	/* 63 bytes, then a character of three: cut before it. */
	for (size_t i = 0; i < 63; i++)
		buf_append_byte(&text, 'x');
	buf_append_str(&text, "로깅");
	value_show(&out, buf_slice(&text));
	assert_int_equal(out.len, 2 + 63 + strlen("…"));
	assert_string_equal(buf_str(&out) + 60, "xxxx…'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_value),
		cmocka_unit_test(ints),
		cmocka_unit_test(decimals),
		cmocka_unit_test(bools),
		cmocka_unit_test(urls),
		cmocka_unit_test(paths),
		cmocka_unit_test(jsons),
		cmocka_unit_test(enums),
		cmocka_unit_test(long_enums_are_cut),
		cmocka_unit_test(patterns),
		cmocka_unit_test(bounds),
		cmocka_unit_test(unknown_types_are_newer),
		cmocka_unit_test(secrets_stay_secret),
		cmocka_unit_test(secret_json_is_wiped),
		cmocka_unit_test(messages_are_one_line),
		cmocka_unit_test(sound_specifications),
		cmocka_unit_test(unsound_types_and_enums),
		cmocka_unit_test(unsound_bounds_and_patterns),
		cmocka_unit_test(unsound_defaults),
		cmocka_unit_test(names_that_look_secret),
		cmocka_unit_test(shown_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
