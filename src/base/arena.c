/*
 * Arena over a list of blocks; see arena.h. Blocks double up to a bound, large requests get their
 * own.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#include "base/banned.h"

enum {
	BLOCK_BYTES_MIN = 4 * 1024,
	BLOCK_BYTES_MAX = 1024 * 1024,
};

struct arena_block {
	struct arena_block *before;
	size_t used;
	size_t cap;
	alignas(max_align_t) uint8_t data[];
};

static struct arena_block *block_new(struct arena *arena, size_t least)
{
	size_t cap = arena->last ? arena->last->cap * 2 : BLOCK_BYTES_MIN;
	struct arena_block *block;

	if (cap > BLOCK_BYTES_MAX)
		cap = BLOCK_BYTES_MAX;
	if (cap < least)
		cap = least;
	block = calloc(1, sizeof(*block) + cap);
	if (!block)
		return NULL;
	block->cap = cap;
	block->before = arena->last;
	arena->last = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_block *block = arena->last;
	void *memory;

	if (size > SIZE_MAX / 2) {
		arena->failed = true;
		return NULL;
	}
	size = (size + align - 1) / align * align;
	if (!block || block->cap - block->used < size)
		block = block_new(arena, size);
	if (!block) {
		arena->failed = true;
		return NULL;
	}
	memory = block->data + block->used;
	block->used += size;
	return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / 2 / size) {
		arena->failed = true;
		return NULL;
	}
	return arena_alloc(arena, count * size);
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	uint8_t *copy = arena_alloc(arena, bytes.len + 1);

	if (!copy)
		return slice_of(NULL, 0);
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	return slice_of(copy, bytes.len);
}

const char *arena_str(struct arena *arena, struct slice text)
{
	return (const char *)arena_copy(arena, text).data;
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t size)
{
	void *larger;

	if (items && (count & (count - 1)) != 0)
		return items;
	larger = arena_array(arena, count ? count * 2 : 1, size);
	if (larger && items)
		memcpy(larger, items, count * size);
	return larger;
}

void arena_release(struct arena *arena)
{
	while (arena->last) {
		struct arena_block *block = arena->last;

		arena->last = block->before;
		free(block);
	}
}
