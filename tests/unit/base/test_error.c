/*
 * Exit codes, names, and texts that stay whole characters when they have to be cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"

#include "base/banned.h"

static const struct {
	enum status status;
	int exit_code;
	const char *name;
} documented[] = {
	{ STATUS_OK, 0, "ok" },
	{ STATUS_NEGATIVE, 1, "negative" },
	{ STATUS_USAGE, 2, "usage" },
	{ STATUS_NOT_FOUND, 3, "not_found" },
	{ STATUS_DENIED, 4, "denied" },
	{ STATUS_UNCONFIRMED, 5, "unconfirmed" },
	{ STATUS_CONFLICT, 6, "conflict" },
	{ STATUS_INVALID, 7, "invalid" },
	{ STATUS_IN_USE, 8, "in_use" },
	{ STATUS_CORRUPT, 9, "corrupt" },
	{ STATUS_NO_STORE, 10, "no_store" },
	{ STATUS_LOCKED, 11, "locked" },
	{ STATUS_WRONG_KEY, 12, "wrong_key" },
	{ STATUS_IO, 13, "io" },
	{ STATUS_NO_MEMORY, 13, "no_memory" },
	{ STATUS_NEWER, 14, "newer" },
	{ STATUS_INTERRUPTED, 130, "interrupted" },
};

static void every_status_has_its_documented_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
		assert_int_equal(status_exit_code(documented[i].status), documented[i].exit_code);
		assert_string_equal(status_name(documented[i].status), documented[i].name);
	}
}

static void a_status_out_of_range_is_never_success(void **state)
{
	(void)state;
	assert_int_equal(status_exit_code((enum status)1000), 13);
	assert_string_equal(status_name((enum status)1000), "unknown");
}

static void set_fills_and_returns(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	(void)error_hint(&err, STATUS_IO, "an old hint");
	assert_int_equal(error_set(&err, STATUS_CONFLICT, "head is %d", 7), STATUS_CONFLICT);
	assert_int_equal(err.status, STATUS_CONFLICT);
	assert_int_equal(err.sys_errno, 0);
	assert_string_equal(err.text, "head is 7");
	assert_string_equal(err.hint, "");
}

static void null_is_accepted_everywhere(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, STATUS_IO, "x"), STATUS_IO);
	assert_int_equal(error_errno(NULL, STATUS_IO, EIO, "x"), STATUS_IO);
	assert_int_equal(error_prefix(NULL, STATUS_DENIED, "x"), STATUS_DENIED);
	assert_int_equal(error_hint(NULL, STATUS_USAGE, "x"), STATUS_USAGE);
	assert_int_equal(error_no_memory(NULL), STATUS_NO_MEMORY);
}

static void errno_is_explained(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_errno(&err, STATUS_IO, EACCES, "cannot open %s", "x"), STATUS_IO);
	assert_string_equal(err.text, "cannot open x: Permission denied");
	assert_int_equal(err.sys_errno, EACCES);
	assert_string_equal(err.hint, "");
}

static void a_full_disk_has_a_hint(void **state)
{
	static const int full[] = { ENOSPC, EDQUOT };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(error_errno(&err, STATUS_IO, full[i], "w"), STATUS_IO);
		assert_string_equal(err.hint, "free some space, then run the command again");
		assert_int_equal(err.sys_errno, full[i]);
	}
}

static void prefix_keeps_reason_and_hint(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	(void)error_errno(&err, STATUS_IO, ENOSPC, "write");
	assert_int_equal(error_prefix(&err, STATUS_IO, "cannot grow %s", "log"), STATUS_IO);
	assert_string_equal(err.text, "cannot grow log: write: No space left on device");
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_string_equal(err.hint, "free some space, then run the command again");
	assert_int_equal(error_prefix(&err, STATUS_CORRUPT, "audit"), STATUS_CORRUPT);
	assert_int_equal(err.status, STATUS_CORRUPT);
}

static void arguments_may_lie_in_the_error_itself(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	(void)error_set(&err, STATUS_IO, "first");
	(void)error_hint(&err, STATUS_IO, "try");
	(void)error_set(&err, STATUS_USAGE, "%s, then second", err.text);
	assert_string_equal(err.text, "first, then second");
	(void)error_hint(&err, STATUS_USAGE, "look");
	(void)error_hint(&err, STATUS_USAGE, "%s again", err.hint);
	assert_string_equal(err.hint, "look again");
	(void)error_prefix(&err, STATUS_USAGE, "%s", err.text);
	assert_string_equal(err.text, "first, then second: first, then second");
}

/* @shift bytes, then characters of two, three and four bytes until nothing more can fit. */
static void fill_long(char *ret, size_t cap, size_t shift)
{
	static const char characters[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	size_t len = shift;

	memset(ret, 'x', shift);
	while (len + sizeof(characters) <= cap) {
		memcpy(ret + len, characters, sizeof(characters) - 1);
		len += sizeof(characters) - 1;
	}
	ret[len] = '\0';
}

static void cuts_fall_between_characters(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 12; shift++) {
		struct error err = ERROR_INIT;
		char text[2048];

		fill_long(text, sizeof(text), shift);
		(void)error_set(&err, STATUS_IO, "%s", text);
		assert_true(text_is_utf8(slice_str(err.text)));
		assert_in_range(strlen(err.text), ERROR_TEXT_BYTES - 4, ERROR_TEXT_BYTES - 1);
		assert_memory_equal(err.text, text, strlen(err.text));

		(void)error_prefix(&err, STATUS_IO, "p");
		assert_true(text_is_utf8(slice_str(err.text)));
		(void)error_prefix(&err, STATUS_IO, "%s", text);
		assert_true(text_is_utf8(slice_str(err.text)));

		(void)error_hint(&err, STATUS_IO, "%s", text);
		assert_true(text_is_utf8(slice_str(err.hint)));
		assert_in_range(strlen(err.hint), ERROR_HINT_BYTES - 4, ERROR_HINT_BYTES - 1);

		(void)error_errno(&err, STATUS_IO, EIO, "%s", text);
		assert_true(text_is_utf8(slice_str(err.text)));
		assert_non_null(strstr(err.text, ": Input/output error"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_documented_code),
		cmocka_unit_test(a_status_out_of_range_is_never_success),
		cmocka_unit_test(set_fills_and_returns),
		cmocka_unit_test(null_is_accepted_everywhere),
		cmocka_unit_test(errno_is_explained),
		cmocka_unit_test(a_full_disk_has_a_hint),
		cmocka_unit_test(prefix_keeps_reason_and_hint),
		cmocka_unit_test(arguments_may_lie_in_the_error_itself),
		cmocka_unit_test(cuts_fall_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
