/*
 * For tests of the state's files: what lies in STORE/state, and scenes whose state is built
 * already.
 */
#ifndef PROVENV_TESTS_UNIT_PROJECTIONS_PROJECTION_FIXTURE_H
#define PROVENV_TESTS_UNIT_PROJECTIONS_PROJECTION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "unit/projections/payloads.h"
#include "unit/projections/state_fixture.h"
#include "unit/store/store_fixture.h"

/* --- looking at the directory ----------------------------------------------------------------- */

static inline bool state_has(const struct scene *scene, const char *name)
{
	char path[STATE_PATH_MAX];

	return fs_exists(state_file(scene, name, path));
}

static inline void put_state_file(const struct scene *scene, const char *name, const char *content)
{
	char path[STATE_PATH_MAX];

	assert_int_equal(
		fs_write_durable(state_file(scene, name, path), 0600, slice_str(content), NULL),
		STATUS_OK);
}

static inline void remove_state_file(const struct scene *scene, const char *name)
{
	char path[STATE_PATH_MAX];

	assert_int_equal(fs_remove(state_file(scene, name, path), NULL), STATUS_OK);
}

static inline void assert_current(const struct scene *scene, const char *expected)
{
	struct buf content = BUF_INIT;
	char path[STATE_PATH_MAX];

	assert_int_equal(fs_read_file(state_file(scene, "current", path), 64, &content, NULL),
			 STATUS_OK);
	assert_string_equal(buf_str(&content), expected);
	buf_release(&content);
}

/* A generation and what SQLite keeps beside it. */
static inline void remove_generation(const struct scene *scene, const char *name)
{
	char side[64];

	remove_state_file(scene, name);
	(void)snprintf(side, sizeof(side), "%s-wal", name);
	remove_state_file(scene, side);
	(void)snprintf(side, sizeof(side), "%s-shm", name);
	remove_state_file(scene, side);
}

/* --- scenes ----------------------------------------------------------------------------------- */

/* dev/p/A = one, built as generation 1; the projection is closed. */
static inline void built_scene(struct scene *scene)
{
	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	look(scene);
	close_projection(scene);
	assert_current(scene, "1.db\n");
}

static inline void assert_value(struct scene *scene, const char *key, const char *expected)
{
	const char *value = value_at(scene, projection_seq(scene->projection), key);

	assert_non_null(value);
	assert_string_equal(value, expected);
}

/* Open the projection: why was it built, and does it know all there is to know? */
static inline void assert_opens(struct scene *scene, enum projection_rebuilt why)
{
	look(scene);
	assert_int_equal(projection_rebuilt(scene->projection), why);
	assert_false(projection_damaged(scene->projection));
	assert_int_equal(projection_seq(scene->projection), size_of(scene->store));
	assert_value(scene, "A", "one");
}

/* Let the generation say that it stands elsewhere, as provenv itself would write it. */
static inline void write_position(const struct scene *scene, const char *name,
				  void (*change)(struct position *position))
{
	struct position position;
	char path[STATE_PATH_MAX];
	struct db *db = NULL;

	assert_int_equal(db_open(state_file(scene, name, path), DB_SHARED, &db, NULL), STATUS_OK);
	assert_int_equal(position_read(db, &position, NULL), STATUS_OK);
	change(&position);
	assert_int_equal(position_write(db, &position, NULL), STATUS_OK);
	db_close(db);
}

static inline void two_ahead(struct position *position)
{
	position->seq += 2;
}

static inline void other_leaf(struct position *position)
{
	position->leaf_hash[5] ^= 1;
}

#endif
