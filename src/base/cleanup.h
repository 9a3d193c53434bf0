/*
 * Cleanup attributes: what a scope owns is released when the scope ends, on every path.
 *
 * `AUTO(fn) struct x v = {0};` calls fn(&v) at scope end. Every release function accepts a zeroed
 * object. longjmp skips these: never jump out of a scope that owns something.
 */
#ifndef PROVENV_BASE_CLEANUP_H
#define PROVENV_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define AUTO(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define AUTO_FREE AUTO(cleanup_free)
#define AUTO_FD   AUTO(cleanup_fd)

#endif
