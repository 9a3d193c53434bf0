/*
 * Language maps; see langmap.h.
 */
#include "ops/langmap.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "store/event.h"

#include "base/banned.h"

struct slice langmap_pick(const struct langmap *map)
{
	static const char *const wanted[] = { "und", "en" };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		for (size_t j = 0; j < map->count; j++) {
			if (slice_equal_str(map->entries[j].tag, wanted[i]))
				return map->entries[j].text;
		}
	}
	return map->count ? map->entries[0].text : slice_of(NULL, 0);
}

struct langmap langmap_of(struct arena *arena, struct slice text)
{
	struct lang_text *entry = arena_alloc(arena, sizeof(*entry));

	if (!entry)
		return (struct langmap){ .entries = NULL };
	*entry = (struct lang_text){ .tag = slice_str("und"), .text = text };
	return (struct langmap){ .entries = entry, .count = 1 };
}
