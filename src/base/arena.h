/*
 * An arena: allocations of one command that live and die together.
 *
 * Memory from it is zeroed, aligned for any type, and stays where it is until arena_release().
 */
#ifndef PROVENV_BASE_ARENA_H
#define PROVENV_BASE_ARENA_H

#include <stdbool.h>

#include "base/bytes.h"

struct arena_block;

struct arena {
	struct arena_block *last;
	bool failed; /* memory was out at some time: for who made words of what was not there */
};

#define ARENA_INIT { .last = NULL }

/* @size bytes, zeroed; NULL when memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
/* @count elements; NULL when memory is out or the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* A copy of the bytes followed by a NUL; data NULL when memory is out. */
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* A NUL-terminated copy; NULL when memory is out. */
const char *arena_str(struct arena *arena, struct slice text);

/*
 * Grow an array for one more element: returns @items or a copy twice as large when @count has
 * reached a power of two, NULL when memory is out. Start with NULL and 0.
 */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t size);

/* Free everything. Accepts ARENA_INIT. */
void arena_release(struct arena *arena);

#endif
