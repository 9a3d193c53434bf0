/*
 * An ordered map from byte strings to byte strings with a journal, so that changes since a mark can
 * be taken back. Balanced by the C library's tsearch(3).
 */
#ifndef PROVENV_TOOLS_REPLAY_ORDERED_MAP_H
#define PROVENV_TOOLS_REPLAY_ORDERED_MAP_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct map_entry {
	struct slice path;
	struct slice value;
};

struct journal_entry;

struct ordered_map {
	void *root;
	size_t count;
	struct journal_entry *journal; /* newest first; NULL when nothing is to be taken back */
	bool journaling;
};

#define ORDERED_MAP_INIT { .root = NULL }

/* The value, borrowed until the next change of the map; false when there is none. */
bool map_get(const struct ordered_map *map, struct slice path, struct slice *ret);

/* Both are copied. */
enum status map_put(struct ordered_map *map, struct slice path, struct slice value,
		    struct error *err);
enum status map_remove(struct ordered_map *map, struct slice path, struct error *err);
/* Remove every entry whose path begins with @prefix. */
enum status map_remove_prefix(struct ordered_map *map, struct slice prefix, struct error *err);

/* In byte order of paths, until @visit fails. Entries live for the call; the map must not change.
 */
typedef enum status (*map_visit)(void *context, const struct map_entry *entry, struct error *err);
enum status map_each(const struct ordered_map *map, struct slice prefix, map_visit visit,
		     void *context, struct error *err);

/* Remember from here on; then either forget, or take everything since back. */
void map_mark(struct ordered_map *map);
void map_keep(struct ordered_map *map);
enum status map_take_back(struct ordered_map *map, struct error *err);

/* Accepts ORDERED_MAP_INIT. */
void map_release(struct ordered_map *map);

#endif
