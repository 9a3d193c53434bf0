/*
 * The scan: what it must refuse before msgpack-c may see it, and that it refuses nothing else.
 */
#include "store/msgpack_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/event_samples.h"

#include "base/banned.h"

static enum status scan(const char *notation, struct error *err)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	sample_pack(&bytes, notation);
	return msgpack_scan(buf_slice(&bytes), err);
}

static void assert_refused(const char *notation, const char *why)
{
	struct error err = ERROR_INIT;

	if (scan(notation, &err) != STATUS_CORRUPT)
		fail_msg("accepted: %s", notation);
	if (!strstr(err.text, why))
		fail_msg("%s: \"%s\" instead of \"%s\"", notation, err.text, why);
}

static void test_whole_values_pass(void **state)
{
	static const char *const good[] = {
		"0",
		"127",
		"#ff",
		"#e0",
		"T",
		"F",
		"#cc80",
		"#cd0100",
		"#ce00010000",
		"#cf0000000100000000",
		"#d080",
		"#d18000",
		"#d280000000",
		"#d38000000000000000",
		"''",
		"'text'",
		"*32",
		"*256",
		"%0",
		"%255",
		"%256",
		"#db0000000161",
		"#c60000000161",
		"[0",
		"{0",
		"[2 [1 0 {1 'a' [0",
		"#dc000100",
		"#dd0000000100",
		"#de00010101",
		"#df000000010101",
		"[1 [1 [1 [1 [1 [1 [1 [1 0",
		/* containers side by side do not add to the depth */
		"[9 [0 [0 [0 [0 [0 [0 [0 [0 [0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct error err = ERROR_INIT;

		if (scan(good[i], &err) != STATUS_OK)
			fail_msg("%s: %s", good[i], err.text);
	}
}

static void test_types_that_no_event_has(void **state)
{
	static const char *const extensions[] = { "#c70101ff", "#c8000101ff", "#c90000000101ff",
						  "#d401ff",   "#d501ffff",   "#d601ffffffff" };

	(void)state;
	assert_refused("#c0", "nil");
	assert_refused("[1 #c0", "nil");
	assert_refused("{1 'a' #c0", "nil");
	assert_refused("#c1", "reserved");
	assert_refused("#ca00000000", "floating-point");
	assert_refused("#cb0000000000000000", "floating-point");
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		assert_refused(extensions[i], "extension");
	assert_refused("#d7010000000000000000", "extension");
	assert_refused("#d80100000000000000000000000000000000", "extension");
}

/* Six bytes for which msgpack-c 4.0.0 alone would allocate 100 GB. */
static void test_array_of_four_billion(void **state)
{
	(void)state;
	assert_refused("#ddffffffffc0", "more values claimed");
	assert_refused("#dfffffffff0101", "more values claimed");
	assert_refused("#ddffffffff", "more values claimed");
}

/* For every type with a length: one more than there is, and the greatest. */
static void test_lengths_that_lie(void **state)
{
	static const char *const beyond[] = {
		"#a1",
		"#bf",
		"#a26f",
		"#c401",
		"#c4ff",
		"#c50001",
		"#c5ffff",
		"#c600000001",
		"#c6ffffffff",
		"#d901",
		"#d9ff",
		"#da0001",
		"#daffff",
		"#db00000001",
		"#dbffffffff",
		"#cc",
		"#cd00",
		"#ce000000",
		"#cf00000000000000",
		"#d0",
		"#d100",
		"#d2000000",
		"#d300000000000000",
		"[1 #a2 0",
		"[2 #c402 0",
	};
	static const char *const claims[] = {
		"#91",
		"#9f",
		"#9200",
		"#81",
		"#8100",
		"#8f00",
		"#dc0001",
		"#dcffff",
		"#dd00000001",
		"#de0001",
		"#de000100",
		"#deffff",
		"#df00000001",
		"#df0000000100",
		"#dfffffffff",
		"#dfffffffff00",
		/* each alone would fit, not all of them in what is left */
		"#dc000a #dc0009 #dc0008 0 0 0 0 0 0 0 0",
		"[2 [3 0 0 0",
		"{2 'a' 'b' [2 0 0",
	};
	static const char *const cut[] = { "#c4",   "#c5",       "#c500",     "#c6000000",
					   "#d9",   "#da00",     "#db000000", "#dc",
					   "#dc00", "#dd000000", "#de",       "#df000000" };

	(void)state;
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		assert_refused(beyond[i], "length beyond the end");
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		assert_refused(claims[i], "more values claimed");
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
		assert_refused(cut[i], "cut short in a length");
}

static void test_nesting(void **state)
{
	enum { LEVELS = EVENT_BYTES_MAX };
	static uint8_t levels[100 * 1000];
	struct error err = ERROR_INIT;

	(void)state;
	assert_refused("[1 [1 [1 [1 [1 [1 [1 [1 [1 0", "nested too deep");
	assert_refused("{1 0 {1 0 {1 0 {1 0 {1 0 {1 0 {1 0 {1 0 [0", "nested too deep");
	memset(levels, 0x91, sizeof(levels));
	assert_int_equal(msgpack_scan(slice_of(levels, LEVELS), &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "nested too deep"));
	memset(levels, 0x81, sizeof(levels));
	assert_int_equal(msgpack_scan(slice_of(levels, LEVELS), &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "nested too deep"));
	assert_int_equal(msgpack_scan(slice_of(levels, sizeof(levels)), &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "at most 65471"));
}

static void test_size(void **state)
{
	static uint8_t bytes[EVENT_BYTES_MAX + 1] = { 0xdc };
	const size_t count = EVENT_BYTES_MAX - 3;
	struct error err = ERROR_INIT;

	(void)state;
	/* An array of as many zeros as there is room for, and one more byte. */
	bytes[1] = (uint8_t)(count >> 8);
	bytes[2] = (uint8_t)count;
	assert_int_equal(msgpack_scan(slice_of(bytes, EVENT_BYTES_MAX), &err), STATUS_OK);
	bytes[2]++;
	assert_int_equal(msgpack_scan(slice_of(bytes, EVENT_BYTES_MAX + 1), &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "at most 65471"));
}

static void test_no_value_or_more_than_one(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(msgpack_scan(slice_of(NULL, 0), &err), STATUS_CORRUPT);
	assert_string_equal(err.text, "no bytes");
	assert_refused("0 0", "bytes after the end");
	assert_refused("[0 #c0", "bytes after the end");
	assert_refused("[1 0 0", "bytes after the end");
	assert_refused("'a' 'b'", "bytes after the end");
	assert_int_equal(msgpack_scan(slice_str("\xc1"), NULL), STATUS_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_values_pass),
		cmocka_unit_test(test_types_that_no_event_has),
		cmocka_unit_test(test_array_of_four_billion),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_no_value_or_more_than_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
