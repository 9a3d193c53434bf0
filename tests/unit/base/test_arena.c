/*
 * Arena: alignment, growth, copies, overflow.
 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"

static void allocations_are_apart_aligned_and_zeroed(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	uint8_t *last = NULL;
	size_t last_size = 0;

	(void)state;
	for (size_t size = 1; size < 20000; size = size * 3 / 2 + 1) {
		uint8_t *memory = arena_alloc(&arena, size);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xa5, size);
		/* What was handed out before is untouched. */
		for (size_t i = 0; i < last_size; i++)
			assert_int_equal(last[i], 0xa5);
		last = memory;
		last_size = size;
	}
}

static void copies_end_with_nul(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct slice copy = arena_copy(&arena, slice_str("abc"));
	struct slice empty = arena_copy(&arena, slice_of(NULL, 0));

	(void)state;
	assert_int_equal(copy.len, 3);
	assert_string_equal((const char *)copy.data, "abc");
	assert_non_null(empty.data);
	assert_int_equal(empty.len, 0);
	assert_string_equal(arena_str(&arena, slice_of("xyz", 2)), "xy");
}

static void overflow_is_refused(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;

	(void)state;
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
	assert_non_null(arena_array(&arena, 0, 4));
}

static void grow_keeps_what_was_there(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	uint32_t *items = NULL;

	(void)state;
	for (uint32_t count = 0; count < 5000; count++) {
		items = arena_grow(&arena, items, count, sizeof(*items));
		assert_non_null(items);
		items[count] = count;
	}
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(items[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_apart_aligned_and_zeroed),
		cmocka_unit_test(copies_end_with_nul),
		cmocka_unit_test(overflow_is_refused),
		cmocka_unit_test(grow_keeps_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
