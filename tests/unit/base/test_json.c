/*
 * The JSON writer: punctuation, escapes, hostile bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include "base/banned.h"

static void empty_containers(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	jsonw_object(&json);
	jsonw_end(&json);
	assert_string_equal(buf_str(&out), "{}");
	buf_clear(&out);
	jsonw_init(&json, &out);
	jsonw_array(&json);
	jsonw_end(&json);
	assert_string_equal(buf_str(&out), "[]");
}

static void commas_and_nesting(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	jsonw_object(&json);
	jsonw_pair_uint(&json, "a", 1);
	jsonw_key(&json, "list");
	jsonw_array(&json);
	jsonw_uint(&json, 2);
	jsonw_object(&json);
	jsonw_pair_bool(&json, "x", true);
	jsonw_pair_bool(&json, "y", false);
	jsonw_end(&json);
	jsonw_array(&json);
	jsonw_end(&json);
	jsonw_null(&json);
	jsonw_end(&json);
	jsonw_pair_null(&json, "z");
	jsonw_key_slice(&json, slice_str("last"));
	jsonw_object(&json);
	jsonw_end(&json);
	jsonw_end(&json);
	assert_string_equal(
		buf_str(&out),
		"{\"a\":1,\"list\":[2,{\"x\":true,\"y\":false},[],null],\"z\":null,\"last\":{}}");
}

static void every_kind_of_value(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0xab };
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	jsonw_object(&json);
	jsonw_pair_string(&json, "s", "text");
	jsonw_pair_slice(&json, "b", slice_of("two", 2));
	jsonw_pair_hex(&json, "h", bytes, sizeof(bytes));
	jsonw_pair_hex(&json, "e", NULL, 0);
	jsonw_pair_uint(&json, "u", UINT64_MAX);
	jsonw_pair_time(&json, "t", UINT64_C(1767323045678));
	jsonw_end(&json);
	assert_string_equal(buf_str(&out),
			    "{\"s\":\"text\",\"b\":\"tw\",\"h\":\"00ab\",\"e\":\"\","
			    "\"u\":18446744073709551615,\"t\":\"2026-01-02T03:04:05.678Z\"}");
}

static void long_hex_has_no_seams(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;
	uint8_t bytes[100];
	char hex[201];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	text_to_hex(bytes, sizeof(bytes), hex);
	jsonw_init(&json, &out);
	jsonw_hex(&json, bytes, sizeof(bytes));
	assert_int_equal(out.len, 202);
	assert_memory_equal(out.data + 1, hex, 200);
}

static void check_string(struct slice text, const char *expected)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	jsonw_init(&json, &out);
	jsonw_slice(&json, text);
	assert_string_equal(buf_str(&out), expected);
}

static void escapes(void **state)
{
	(void)state;
	check_string(slice_of(NULL, 0), "\"\"");
	check_string(slice_str("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	check_string(slice_str("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
	check_string(slice_of("\0\x01\x1f\x7f", 4), "\"\\u0000\\u0001\\u001f\x7f\"");
	check_string(slice_str("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\"");
}

static void malformed_bytes_are_replaced(void **state)
{
	(void)state;
	check_string(slice_str("a\xff"
			       "b"),
		     "\"a\xef\xbf\xbd"
		     "b\"");
	check_string(slice_str("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string(slice_str("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string(slice_str("\xc3\""), "\"\xef\xbf\xbd\\\"\"");
}

static void keys_are_escaped_too(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	jsonw_object(&json);
	jsonw_pair_string(&json, "a\"\n", "");
	jsonw_end(&json);
	assert_string_equal(buf_str(&out), "{\"a\\\"\\n\":\"\"}");
}

static void any_bytes_give_one_line_of_utf8(void **state)
{
	uint64_t seed = clock_monotonic_ns() | 1;

	(void)state;
	print_message("seed %" PRIu64 "\n", seed);
	for (int round = 0; round < 500; round++) {
		struct buf out AUTO(buf_release) = BUF_INIT;
		struct json json;
		uint8_t bytes[64];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			bytes[i] = (uint8_t)(seed >> 56);
		}
		jsonw_init(&json, &out);
		jsonw_slice(&json, slice_of(bytes, sizeof(bytes)));
		assert_true(text_is_utf8(buf_slice(&out)));
		for (size_t i = 0; i < out.len; i++)
			assert_true(out.data[i] >= 0x20);
	}
}

static void the_deepest_nesting_allowed(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	jsonw_init(&json, &out);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		jsonw_array(&json);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		jsonw_end(&json);
	assert_int_equal(out.len, 2 * JSON_DEPTH_MAX);
	assert_int_equal(strspn(buf_str(&out), "["), JSON_DEPTH_MAX);
}

static void several_documents_in_one_buffer(void **state)
{
	struct buf out AUTO(buf_release) = BUF_INIT;
	struct json json;

	(void)state;
	for (uint64_t i = 0; i < 2; i++) {
		jsonw_init(&json, &out);
		jsonw_object(&json);
		jsonw_pair_uint(&json, "i", i);
		jsonw_end(&json);
		buf_append_byte(&out, '\n');
	}
	assert_string_equal(buf_str(&out), "{\"i\":0}\n{\"i\":1}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_containers),
		cmocka_unit_test(commas_and_nesting),
		cmocka_unit_test(every_kind_of_value),
		cmocka_unit_test(long_hex_has_no_seams),
		cmocka_unit_test(escapes),
		cmocka_unit_test(malformed_bytes_are_replaced),
		cmocka_unit_test(keys_are_escaped_too),
		cmocka_unit_test(any_bytes_give_one_line_of_utf8),
		cmocka_unit_test(the_deepest_nesting_allowed),
		cmocka_unit_test(several_documents_in_one_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
