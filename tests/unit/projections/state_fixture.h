/*
 * A store with its projection, for tests: *state is a scene. The store is founded and nothing else;
 * the projection is opened by the test, so that it can be prevented or prepared.
 */
#ifndef PROVENV_TESTS_UNIT_PROJECTIONS_STATE_FIXTURE_H
#define PROVENV_TESTS_UNIT_PROJECTIONS_STATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/page_check.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/store.h"
#include "unit/base/scratch.h"
#include "unit/projections/payloads.h"
#include "unit/store/store_fixture.h"

enum { STATE_PATH_MAX = SCRATCH_PATH_MAX + 128 };

struct scene {
	struct fixture *fixture;
	struct store *store;
	struct projection *projection;
	struct arena arena; /* what views answer lives here */
};

static inline int scene_setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	void *fixture = NULL;

	*state = scene;
	if (!scene || fixture_setup(&fixture))
		return -1;
	scene->fixture = fixture;
	if (store_create(scene->fixture->path, &scene->store, NULL))
		return -1;
	found(scene->fixture, scene->store);
	return 0;
}

static inline void scene_close(struct scene *scene)
{
	projection_close(scene->projection);
	store_close(scene->store);
	scene->projection = NULL;
	scene->store = NULL;
}

static inline int scene_teardown(void **state)
{
	struct scene *scene = *state;
	void *fixture = scene->fixture;

	scene_close(scene);
	arena_release(&scene->arena);
	free(scene);
	return fixture_teardown(&fixture);
}

/* Another store beside the test's own, for scene_end(). */
static inline struct scene *scene_begin(void)
{
	void *scene = NULL;

	if (scene_setup(&scene) || !scene)
		abort(); /* nothing can be told without a store */
	return scene;
}

static inline void scene_end(struct scene *scene)
{
	void *pointer = scene;

	assert_int_equal(scene_teardown(&pointer), 0);
}

/* Append one command; returns its last event. */
static inline uint64_t commit(struct scene *scene, const struct payload *payloads, size_t count)
{
	struct store_command command = command_of(payloads, count);
	struct store_receipt receipt = { .last_seq = 0 };
	struct error err = ERROR_INIT;

	if (append(scene->store, &scene->fixture->founder, &command, &receipt, &err))
		fail_msg("append: %s", err.text);
	return receipt.last_seq;
}

static inline uint64_t commit_one(struct scene *scene, struct payload payload)
{
	return commit(scene, &payload, 1);
}

/* Environment dev with profile p, active: most tests need a place for variables. */
static inline uint64_t commit_dev(struct scene *scene)
{
	struct payload payloads[] = { environment_created("dev", "p"),
				      named(EVENT_ENVIRONMENT_SWITCHED, "dev") };

	return commit(scene, payloads, 2);
}

static inline uint64_t commit_change(struct scene *scene, struct change change)
{
	return commit_one(scene, changed("dev", &change));
}

static inline struct projection *open_projection(struct store *store)
{
	struct projection *projection = NULL;
	struct error err = ERROR_INIT;

	if (projection_open(store, &projection, &err))
		fail_msg("projection: %s", err.text);
	return projection;
}

/* Bring the scene's projection to the end of the log, opening it at the first call. */
static inline void look(struct scene *scene)
{
	struct error err = ERROR_INIT;

	if (!scene->projection)
		scene->projection = open_projection(scene->store);
	else if (projection_refresh(scene->projection, &err))
		fail_msg("refresh: %s", err.text);
}

static inline void close_projection(struct scene *scene)
{
	projection_close(scene->projection);
	scene->projection = NULL;
}

static inline struct state_view view_at(struct scene *scene, uint64_t seq)
{
	return (struct state_view){ .projection = scene->projection,
				    .arena = &scene->arena,
				    .at = seq };
}

static inline struct state_view view_now(struct scene *scene)
{
	return view_at(scene, projection_seq(scene->projection));
}

static inline void hash_at(struct scene *scene, uint64_t seq, uint8_t ret[HASH_BYTES])
{
	struct state_view view = view_at(scene, seq);
	struct error err = ERROR_INIT;

	if (state_hash(&view, ret, &err))
		fail_msg("state hash: %s", err.text);
}

/* The value of a variable of dev/p as text, NULL when it has none. */
static inline const char *value_at(struct scene *scene, uint64_t seq, const char *key)
{
	struct state_view view = view_at(scene, seq);
	struct variable variable;
	struct variable_value value = { .part = 0 };
	struct error err = ERROR_INIT;
	enum status status = state_variable(&view, slice_str("dev"), slice_str("p"), slice_str(key),
					    &variable, &err);

	if (status == STATUS_NOT_FOUND)
		return NULL;
	if (status || state_value(&view, &variable, &value, &err))
		fail_msg("%s: %s", key, err.text);
	return arena_str(&scene->arena, value.text);
}

static inline void assert_slice(struct slice slice, const char *text)
{
	if (!slice_equal_str(slice, text))
		fail_msg("'" SLICE_FMT "' is not '%s'", SLICE_ARG(slice), text);
}

/* STORE/state/<name>, in a buffer of the caller's. */
static inline const char *state_file(const struct scene *scene, const char *name,
				     char ret[STATE_PATH_MAX])
{
	(void)snprintf(ret, STATE_PATH_MAX, "%s/state/%s", scene->fixture->path, name);
	return ret;
}

/* Run SQL on a generation behind the projection's back: pages get their checksums. */
static inline void tamper(const struct scene *scene, const char *name, const char *sql)
{
	char path[STATE_PATH_MAX];
	sqlite3 *handle = NULL;
	char *why = NULL;

	assert_int_equal(sqlite3_open_v2(state_file(scene, name, path), &handle,
					 SQLITE_OPEN_READWRITE, page_check_vfs()),
			 SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

#endif
