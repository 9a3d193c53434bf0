/*
 * Buffers: growth, the NUL behind the content, reserved room, and failures that stick.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

#include "base/banned.h"

static void a_fresh_buffer_is_empty_text(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf_slice(&buf).len, 0);
	assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
	buf_clear(&buf);
	buf_release(&buf);
	buf_release_wiped(&buf);
}

static void appends_follow_each_other(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;
	static const uint8_t expected[] = "ab\0cd!\x01\x02\x03\x04\x11\x12\x13\x14\x15\x16\x17\x18";

	(void)state;
	buf_append_str(&buf, "ab");
	buf_append(&buf, "\0c", 2);
	buf_append_slice(&buf, slice_str("d"));
	buf_append_byte(&buf, '!');
	buf_append(&buf, NULL, 0);
	buf_append_u32be(&buf, 0x01020304);
	buf_append_u64be(&buf, 0x1112131415161718);
	assert_int_equal(buf.len, sizeof(expected) - 1);
	assert_memory_equal(buf.data, expected, sizeof(expected));
}

static void growth_keeps_content_and_nul(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		buf_append_byte(&buf, (uint8_t)('a' + i % 26));
		assert_int_equal(buf.data[buf.len], 0);
		assert_true(buf.cap > buf.len);
	}
	assert_int_equal(strlen(buf_str(&buf)), 10000);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(buf.data[i], 'a' + i % 26);
}

static void printf_formats_any_length(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;
	char text[5000];

	(void)state;
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	buf_printf(&buf, "%s", "");
	assert_string_equal(buf_str(&buf), "");
	buf_printf(&buf, "%d-%s", 42, "x");
	assert_string_equal(buf_str(&buf), "42-x");
	buf_printf(&buf, "%s", text);
	assert_int_equal(buf.len, 4 + sizeof(text) - 1);
	assert_string_equal(buf_str(&buf) + 4, text);
	/* Each length around the capacity once. */
	for (int len = 0; len < 300; len++) {
		buf_release(&buf);
		buf_printf(&buf, "%.*s", len, text);
		buf_printf(&buf, "%.*s", len, text);
		assert_int_equal(buf.len, 2 * len);
		assert_int_equal(strlen(buf_str(&buf)), 2 * len);
	}
}

static void reserved_room_becomes_content(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;
	uint8_t *room;

	(void)state;
	buf_append_str(&buf, "head ");
	room = buf_reserve(&buf, 1000);
	assert_non_null(room);
	assert_int_equal(buf.len, 5);
	memset(room, 'z', 1000);
	buf.len += 3;
	assert_string_equal(buf_str(&buf), "head zzz");
	room = buf_reserve(&buf, 0);
	assert_non_null(room);
	assert_ptr_equal(room, buf.data + buf.len);
}

static void failure_sticks_until_cleared(void **state)
{
	struct buf buf AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	buf_append_str(&buf, "kept");
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_append_str(&buf, "lost");
	buf_printf(&buf, "%s", "lost");
	assert_null(buf_reserve(&buf, 1));
	assert_string_equal(buf_str(&buf), "kept");
	assert_int_equal(buf_status(&buf, &err), STATUS_NO_MEMORY);
	assert_int_equal(err.status, STATUS_NO_MEMORY);
	assert_string_not_equal(err.text, "");
	buf_clear(&buf);
	assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
	assert_string_equal(buf_str(&buf), "");
	buf_append_str(&buf, "again");
	assert_string_equal(buf_str(&buf), "again");
}

static void sizes_that_overflow_are_refused(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf buf AUTO(buf_release) = BUF_INIT;

		buf_append_str(&buf, "four");
		assert_null(buf_reserve(&buf, sizes[i]));
		assert_true(buf.failed);
	}
}

static void release_leaves_a_usable_buffer(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_append_str(&buf, "secret");
	buf_release_wiped(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.cap, 0);
	buf_append_str(&buf, "new");
	assert_string_equal(buf_str(&buf), "new");
	buf_release(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_buffer_is_empty_text),
		cmocka_unit_test(appends_follow_each_other),
		cmocka_unit_test(growth_keeps_content_and_nul),
		cmocka_unit_test(printf_formats_any_length),
		cmocka_unit_test(reserved_room_becomes_content),
		cmocka_unit_test(failure_sticks_until_cleared),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(release_leaves_a_usable_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
