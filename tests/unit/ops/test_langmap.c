/*
 * Language maps: which text is shown, and the map of one text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "ops/langmap.h"
#include "store/event.h"

#include "base/banned.h"

#define TEXT(tag_, text_)                                                               \
	{                                                                               \
		.tag = { .data = (const uint8_t *)(tag_), .len = sizeof(tag_) - 1 },    \
		.text = { .data = (const uint8_t *)(text_), .len = sizeof(text_) - 1 }, \
	}

static void assert_picks(const struct lang_text *entries, size_t count, const char *expected)
{
	struct langmap map = { .entries = entries, .count = count };

	assert_true(slice_equal_str(langmap_pick(&map), expected));
}

static void picks_in_order(void **state)
{
	static const struct lang_text all[] = { TEXT("de", "Börse"), TEXT("en", "Trading"),
						TEXT("ko", "거래"), TEXT("und", "trade") };

	(void)state;
	assert_picks(all, 4, "trade");
	assert_picks(all, 3, "Trading");
	assert_picks(all, 1, "Börse");
	assert_picks(all + 2, 1, "거래");
	assert_picks(all, 0, "");
	assert_picks(NULL, 0, "");
}

static void map_of_one(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct langmap map = langmap_of(&arena, slice_str("Trading"));

	(void)state;
	assert_int_equal(map.count, 1);
	assert_true(slice_equal_str(map.entries[0].tag, "und"));
	assert_true(slice_equal_str(map.entries[0].text, "Trading"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picks_in_order),
		cmocka_unit_test(map_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
