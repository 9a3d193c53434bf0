/*
 * The projection on real store directories: every way in which the state file can be missing,
 * damaged, foreign or old, and what is said of it; a log that lost events or is damaged itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/catchup.h"
#include "projections/projection.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "unit/projections/payloads.h"
#include "unit/projections/projection_fixture.h"
#include "unit/projections/state_fixture.h"
#include "unit/store/store_fixture.h"

#include "base/banned.h"

static enum status try_open(struct scene *scene, struct error *ret)
{
	struct projection *projection = NULL;
	enum status status = projection_open(scene->store, &projection, ret);

	if (status)
		assert_null(projection);
	projection_close(projection);
	return status;
}

/* --- built, kept, brought up ------------------------------------------------------------------ */

static void test_missing_state_is_built(void **state)
{
	struct scene *scene = *state;

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	assert_opens(scene, REBUILT_MISSING);
	assert_current(scene, "1.db\n");
	assert_true(state_has(scene, "1.db"));
}

static void test_kept_state_is_brought_up(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	assert_opens(scene, REBUILT_NO);
	close_projection(scene);
	(void)commit_change(scene, set("p", "B", "two"));
	assert_opens(scene, REBUILT_NO);
	assert_value(scene, "B", "two");
	assert_current(scene, "1.db\n");
	assert_false(state_has(scene, "2.db"));
}

/* What was read before a refresh is of the past; what is read after it, of the end of the log. */
static void test_refresh(void **state)
{
	struct scene *scene = *state;
	uint64_t before;

	built_scene(scene);
	look(scene);
	before = projection_seq(scene->projection);
	(void)commit_change(scene, set("p", "A", "two"));
	assert_int_equal(projection_seq(scene->projection), before);
	assert_value(scene, "A", "one");
	look(scene);
	assert_int_equal(projection_seq(scene->projection), before + 1);
	assert_true(projection_snapshot(scene->projection)->size >= before + 1);
	assert_ptr_equal(event_reader_snapshot(projection_reader(scene->projection)),
			 projection_snapshot(scene->projection));
	assert_value(scene, "A", "two");
	look(scene); /* nothing new */
	assert_value(scene, "A", "two");
}

/* --- a pointer that leads nowhere ------------------------------------------------------------- */

static void test_pointer_that_leads_nowhere(void **state)
{
	static const char *const pointers[] = {
		"",
		"1.db",
		".db\n",
		"x.db\n",
		"-1.db\n",
		"7.db\n",
		"../state/1.db\n",
		"1.db\n1.db\n",
		"99999999999999999999999999.db\n",
		"a pointer that is much longer than any name of a generation.db\n",
	};
	struct scene *scene = *state;

	built_scene(scene);
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		put_state_file(scene, "current", pointers[i]);
		assert_opens(scene, REBUILT_MISSING);
		close_projection(scene);
	}
}

/* Others tell by its name that the pointer moved, so a name in use by it is not used again. */
static void test_name_of_a_missing_generation_is_not_used_again(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	remove_generation(scene, "1.db");
	assert_opens(scene, REBUILT_MISSING);
	assert_current(scene, "2.db\n");
}

static void test_pointer_gone(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	remove_state_file(scene, "current");
	assert_opens(scene, REBUILT_MISSING);
	assert_current(scene, "2.db\n");
	assert_false(state_has(scene, "1.db"));
}

/* --- damage ----------------------------------------------------------------------------------- */

enum damage {
	EMPTIED,
	CUT_IN_HALF,
	CUT_TO_ONE_PAGE,
	ZEROED,
	NOT_A_DATABASE,
	DAMAGE_COUNT,
};

static void damage_file(const struct scene *scene, const char *name, enum damage damage)
{
	char path[STATE_PATH_MAX];
	struct buf content = BUF_INIT;

	save(state_file(scene, name, path), &content);
	assert_true(content.len > 8192);
	switch (damage) {
	case EMPTIED:
		content.len = 0;
		break;
	case CUT_IN_HALF:
		content.len /= 2;
		break;
	case CUT_TO_ONE_PAGE:
		content.len = 4096;
		break;
	case ZEROED:
		memset(content.data, 0, content.len);
		break;
	case NOT_A_DATABASE:
		memset(content.data, 'x', content.len);
		break;
	case DAMAGE_COUNT:
	default:
		fail();
	}
	put_back(path, &content);
	buf_release(&content);
}

static void test_damaged_file_is_built_anew(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	for (int i = 0; i < DAMAGE_COUNT; i++) {
		char name[32], pointer[33];

		(void)snprintf(name, sizeof(name), "%d.db", i + 1);
		damage_file(scene, name, (enum damage)i);
		assert_opens(scene, REBUILT_DAMAGED);
		(void)snprintf(pointer, sizeof(pointer), "%d.db\n", i + 2);
		assert_current(scene, pointer);
		close_projection(scene);
		assert_opens(scene, REBUILT_NO);
		close_projection(scene);
	}
}

/* What is only met while new events are applied. */
static void test_damage_met_while_catching_up(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	tamper(scene, "1.db", "DROP TABLE variable");
	(void)commit_change(scene, set("p", "B", "two"));
	assert_opens(scene, REBUILT_DAMAGED);
	assert_value(scene, "B", "two");
	assert_current(scene, "2.db\n");
}

static void test_no_position(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	tamper(scene, "1.db", "DELETE FROM position");
	assert_opens(scene, REBUILT_DAMAGED);
}

/* A damaged position must never be taken for a loss, nor for another version or another log. */
static void test_damaged_position_is_no_loss(void **state)
{
	static const char *const damages[] = {
		"UPDATE position SET seq = seq + 1000",
		"UPDATE position SET seq = seq - 1",
		"UPDATE position SET seq = -1",
		"UPDATE position SET seq = 'many'",
		"UPDATE position SET schema_version = 9",
		"UPDATE position SET log_id = randomblob(16)",
		"UPDATE position SET log_id = zeroblob(3)",
		"UPDATE position SET leaf_hash = randomblob(32)",
		"UPDATE position SET leaf_hash = x''",
		"UPDATE position SET check_hash = zeroblob(32)",
	};
	struct scene *scene = *state;

	built_scene(scene);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%zu.db", i + 1);
		tamper(scene, name, damages[i]);
		assert_opens(scene, REBUILT_DAMAGED);
		close_projection(scene);
	}
}

/* The same log, and yet not what it says: a history that was replaced. */
static void test_other_leaf_hash(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	write_position(scene, "1.db", other_leaf);
	assert_opens(scene, REBUILT_DAMAGED);
}

static void other_version(struct position *position)
{
	position->schema_version = SCHEMA_VERSION + 1;
	position->seq += 1000; /* whatever the other version means by it */
}

static void test_other_version(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	write_position(scene, "1.db", other_version);
	assert_opens(scene, REBUILT_VERSION);
	assert_current(scene, "2.db\n");
}

static void other_log(struct position *position)
{
	position->log_id[0] ^= 1;
	position->seq += 1000;
}

static void test_other_log(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	write_position(scene, "1.db", other_log);
	assert_opens(scene, REBUILT_FOREIGN);
}

/* The state file of another store, put in the place of ours. */
static void test_file_of_another_store(void **state)
{
	struct scene *scene = *state;
	struct scene *other;
	struct buf content = BUF_INIT;
	char path[STATE_PATH_MAX];

	built_scene(scene);
	other = scene_begin();
	(void)commit_dev(other);
	for (unsigned i = 0; i < 5; i++)
		(void)commit_change(other, set("p", "A", "another"));
	look(other);
	close_projection(other);
	save(state_file(other, "1.db", path), &content);
	scene_end(other);
	clock_set_source(fixture_clock, scene->fixture);
	remove_generation(scene, "1.db");
	put_back(state_file(scene, "1.db", path), &content);
	buf_release(&content);
	assert_opens(scene, REBUILT_FOREIGN);
	assert_current(scene, "2.db\n");
}

/* --- a log that lost events ------------------------------------------------------------------- */

/* Nothing is built then: the state is the evidence. */
static void test_position_ahead_of_the_log(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;

	built_scene(scene);
	write_position(scene, "1.db", two_ahead);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(try_open(scene, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "the log lost events 5..6"));
	}
	assert_current(scene, "1.db\n");
	assert_true(state_has(scene, "1.db"));
}

/* The whole story: everything but the state is set back. */
static void test_log_set_back(void **state)
{
	struct scene *scene = *state;
	struct buf log = BUF_INIT, head = BUF_INIT, checkpoint = BUF_INIT, path = BUF_INIT;
	struct error err = ERROR_INIT;

	built_scene(scene);
	scene_close(scene);
	checkpoint_path(scene->fixture, &path);
	save(scene->fixture->data, &log);
	save(scene->fixture->head, &head);
	save(buf_str(&path), &checkpoint);
	scene->store = reopen(scene->fixture);
	(void)commit_change(scene, set("p", "A", "two"));
	look(scene);
	scene_close(scene);
	put_back(scene->fixture->data, &log);
	put_back(scene->fixture->head, &head);
	put_back(buf_str(&path), &checkpoint);
	buf_release(&log);
	buf_release(&head);
	buf_release(&checkpoint);
	buf_release(&path);
	scene->store = reopen(scene->fixture);
	assert_int_equal(try_open(scene, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "the log lost events 5..5"));
}

/* An event that the tree does not know: no state comes from it, however often one asks. */
static void test_damaged_log(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;
	struct buf log = BUF_INIT;
	uint8_t *at;

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "wrong-from-now-on"));
	(void)commit_change(scene, set("p", "B", "two"));
	scene_close(scene);
	save(scene->fixture->data, &log);
	at = memmem(log.data, log.len, "wrong-from-now-on", 17);
	assert_non_null(at);
	for (; at; at = memmem(at, log.len - (size_t)(at - log.data), "wrong-from-now-on", 17))
		at[0] = 'W';
	put_back(scene->fixture->data, &log);
	buf_release(&log);
	scene->store = reopen(scene->fixture);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(try_open(scene, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "event 4"));
	}
	assert_false(state_has(scene, "current"));
	assert_false(state_has(scene, "1.db"));
}

/* --- the hash of a state built anew ----------------------------------------------------------- */

static void test_fresh_hash(void **state)
{
	struct scene *scene = *state;
	uint8_t hash[HASH_BYTES], fresh[HASH_BYTES];
	uint64_t seq;

	built_scene(scene);
	(void)commit_one(scene, category_defined("logging", false));
	look(scene);
	seq = projection_seq(scene->projection);
	hash_at(scene, seq, hash);
	/* Events that came since do not count: both are of what was read. */
	(void)commit_one(scene, category_defined("trading", false));
	assert_int_equal(projection_fresh_hash(scene->projection, fresh, NULL), STATUS_OK);
	assert_memory_equal(hash, fresh, HASH_BYTES);
	/* It comes from the log alone. */
	look(scene);
	assert_int_equal(projection_fresh_hash(scene->projection, fresh, NULL), STATUS_OK);
	close_projection(scene);
	tamper(scene, "1.db", "DELETE FROM category WHERE name = 'logging'");
	look(scene);
	hash_at(scene, projection_seq(scene->projection), hash);
	assert_memory_not_equal(hash, fresh, HASH_BYTES);
	assert_int_equal(projection_fresh_hash(scene->projection, hash, NULL), STATUS_OK);
	assert_memory_equal(hash, fresh, HASH_BYTES);
	assert_false(projection_damaged(scene->projection));
	assert_value(scene, "A", "one");
	assert_current(scene, "1.db\n");
	assert_false(state_has(scene, "2.db"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_missing_state_is_built),
		TEST(test_kept_state_is_brought_up),
		TEST(test_refresh),
		TEST(test_pointer_that_leads_nowhere),
		TEST(test_name_of_a_missing_generation_is_not_used_again),
		TEST(test_pointer_gone),
		TEST(test_damaged_file_is_built_anew),
		TEST(test_damage_met_while_catching_up),
		TEST(test_no_position),
		TEST(test_damaged_position_is_no_loss),
		TEST(test_other_leaf_hash),
		TEST(test_other_version),
		TEST(test_other_log),
		TEST(test_file_of_another_store),
		TEST(test_position_ahead_of_the_log),
		TEST(test_log_set_back),
		TEST(test_damaged_log),
		TEST(test_fresh_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
