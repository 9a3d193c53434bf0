/*
 * The ordered map; see ordered_map.h. Every entry is one allocation: head, path, value.
 */
#include "replay/ordered_map.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

#include "base/banned.h"

/* What stood under a path before a change. */
struct journal_entry {
	struct journal_entry *older;
	struct map_entry *before; /* owned; NULL: nothing stood there */
	struct map_entry *path;   /* owned; its path alone counts */
};

static int compare(const void *left, const void *right)
{
	return slice_compare(((const struct map_entry *)left)->path,
			     ((const struct map_entry *)right)->path);
}

static struct map_entry *entry_new(struct slice path, struct slice value)
{
	struct map_entry *entry = malloc(sizeof(*entry) + path.len + value.len);
	uint8_t *bytes;

	if (!entry)
		return NULL;
	bytes = (uint8_t *)(entry + 1);
	if (path.len)
		memcpy(bytes, path.data, path.len);
	if (value.len)
		memcpy(bytes + path.len, value.data, value.len);
	entry->path = slice_of(bytes, path.len);
	entry->value = slice_of(bytes + path.len, value.len);
	return entry;
}

static struct map_entry *find(const struct ordered_map *map, struct slice path)
{
	struct map_entry wanted = { .path = path };
	void *node = tfind(&wanted, &map->root, compare);

	return node ? *(struct map_entry **)node : NULL;
}

bool map_get(const struct ordered_map *map, struct slice path, struct slice *ret)
{
	const struct map_entry *entry = find(map, path);

	if (entry && ret)
		*ret = entry->value;
	return entry != NULL;
}

/* Note what stood under @path, or free it when nobody will want it back. */
static enum status note(struct ordered_map *map, struct slice path, struct map_entry *before,
			struct error *err)
{
	struct journal_entry *entry;

	if (!map->journaling) {
		free(before);
		return STATUS_OK;
	}
	entry = calloc(1, sizeof(*entry));
	if (entry)
		entry->path = entry_new(path, slice_of(NULL, 0));
	if (!entry || !entry->path) {
		free(entry);
		free(before);
		return error_no_memory(err);
	}
	entry->before = before;
	entry->older = map->journal;
	map->journal = entry;
	return STATUS_OK;
}

/* Put an entry in, and hand back the one it replaces. */
static enum status swap_in(struct ordered_map *map, struct map_entry *entry,
			   struct map_entry **ret_before, struct error *err)
{
	struct map_entry **node = (struct map_entry **)tsearch(entry, &map->root, compare);

	if (!node) {
		free(entry);
		return error_no_memory(err);
	}
	*ret_before = *node == entry ? NULL : *node;
	map->count += *node == entry;
	*node = entry;
	return STATUS_OK;
}

enum status map_put(struct ordered_map *map, struct slice path, struct slice value,
		    struct error *err)
{
	struct map_entry *entry = entry_new(path, value);
	struct map_entry *before = NULL;
	enum status status;

	if (!entry)
		return error_no_memory(err);
	status = swap_in(map, entry, &before, err);
	return status ? status : note(map, path, before, err);
}

static struct map_entry *take_out(struct ordered_map *map, struct slice path)
{
	struct map_entry *entry = find(map, path);

	if (entry) {
		(void)tdelete(entry, &map->root, compare);
		map->count--;
	}
	return entry;
}

enum status map_remove(struct ordered_map *map, struct slice path, struct error *err)
{
	struct map_entry *entry = take_out(map, path);

	return entry ? note(map, entry->path, entry, err) : STATUS_OK;
}

/* A walk by twalk_r(3), which cannot be stopped: after a failure it only passes by. */
struct walking {
	struct slice prefix;
	map_visit visit;
	void *context;
	struct error *err;
	enum status status;
};

static bool begins_with(struct slice path, struct slice prefix)
{
	return path.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(path.data, prefix.data, prefix.len) == 0);
}

static void walk_node(const void *node, VISIT when, void *closure)
{
	const struct map_entry *entry = *(const struct map_entry *const *)node;
	struct walking *walking = closure;

	if ((when != postorder && when != leaf) || walking->status)
		return;
	if (begins_with(entry->path, walking->prefix))
		walking->status = walking->visit(walking->context, entry, walking->err);
}

enum status map_each(const struct ordered_map *map, struct slice prefix, map_visit visit,
		     void *context, struct error *err)
{
	struct walking walking = { prefix, visit, context, err, STATUS_OK };

	twalk_r(map->root, walk_node, &walking);
	return walking.status;
}

static enum status collect(void *context, const struct map_entry *entry, struct error *err)
{
	struct buf *found = context;

	buf_append(found, (const void *)&entry, sizeof(struct map_entry *));
	return buf_status(found, err);
}

enum status map_remove_prefix(struct ordered_map *map, struct slice prefix, struct error *err)
{
	AUTO(buf_release) struct buf found = BUF_INIT;
	enum status status = map_each(map, prefix, collect, &found, err);

	for (size_t at = 0; !status && at < found.len; at += sizeof(struct map_entry *)) {
		struct map_entry *entry;

		memcpy((void *)&entry, found.data + at, sizeof(struct map_entry *));
		status = map_remove(map, entry->path, err);
	}
	return status;
}

void map_mark(struct ordered_map *map)
{
	map->journaling = true;
}

void map_keep(struct ordered_map *map)
{
	while (map->journal) {
		struct journal_entry *entry = map->journal;

		map->journal = entry->older;
		free(entry->before);
		free(entry->path);
		free(entry);
	}
	map->journaling = false;
}

enum status map_take_back(struct ordered_map *map, struct error *err)
{
	enum status status = STATUS_OK;

	while (map->journal && !status) {
		struct journal_entry *entry = map->journal;
		struct map_entry *replaced = NULL;

		map->journal = entry->older;
		if (entry->before)
			status = swap_in(map, entry->before, &replaced, err);
		else
			replaced = take_out(map, entry->path->path);
		free(replaced);
		free(entry->path);
		free(entry);
	}
	map->journaling = false;
	return status;
}

void map_release(struct ordered_map *map)
{
	map_keep(map);
	tdestroy(map->root, free);
	*map = (struct ordered_map)ORDERED_MAP_INIT;
}
