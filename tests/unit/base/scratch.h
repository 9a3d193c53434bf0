/*
 * For tests that need files: a directory of their own, gone afterwards.
 *
 * Use scratch_setup() and scratch_teardown() as cmocka's per-test fixtures; *state is the path.
 */
#ifndef PROVENV_TESTS_UNIT_BASE_SCRATCH_H
#define PROVENV_TESTS_UNIT_BASE_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

enum { SCRATCH_PATH_MAX = 512 };

static inline int scratch_setup(void **state)
{
	const char *base = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): before any thread */
	char *path = calloc(1, SCRATCH_PATH_MAX);

	if (!path)
		return -1;
	(void)snprintf(path, SCRATCH_PATH_MAX, "%s/provenv-test-XXXXXX", base ? base : "/tmp");
	*state = path;
	return mkdtemp(path) ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
	enum status status = fs_remove_tree(*state, NULL);

	free(*state);
	return status ? -1 : 0;
}

/* "<dir>/<name>" in a buffer of the caller's. */
static inline const char *scratch_path(void **state, const char *name, char ret[SCRATCH_PATH_MAX])
{
	(void)snprintf(ret, SCRATCH_PATH_MAX, "%s/%s", (const char *)*state, name);
	return ret;
}

#endif
