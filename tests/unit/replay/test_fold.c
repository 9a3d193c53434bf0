/*
 * The fold: commands as wholes; the hash against one fed by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/state_model.h"

#include "unit/replay/fold_scene.h"

#include "base/banned.h"

/* --- commands --------------------------------------------------------------------------------- */

static void test_a_command_counts_as_a_whole(void **state)
{
	const struct step command[] = {
		{ .type = EVENT_VARIABLES_CHANGED,
		  .args = { T(ENVIRONMENT, "dev") },
		  .changes = { (const struct change[]){ SET("default", "A", "9"),
							SET("eu", "NEW", "9") },
			       2 },
		  .parts = 3 },
		STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")),
		STEP(ENVIRONMENT_REMOVED, T(NAME, "develop")),
	};
	const struct step later[] = {
		CHANGED("dev", COPY("us", "X", BROKEN, 0)),
		CHANGED("dev", COPY("us", "X", FIRST, 0)),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold before = FOLD_INIT;
	AUTO(fold_release) struct fold after = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, command);
	PLAY(&scene, later);
	open_log(&scene);
	fold_until(&scene, &before, GROUND);
	fold_until(&scene, &after, BROKEN + 2);
	assert_only_violation(&before, &after, BROKEN + 1, RULE_ENVIRONMENT_INACTIVE);
	assert_int_equal(after.rejected[1].first_seq, BROKEN);
	assert_int_equal(after.rejected[1].last_seq, BROKEN + 2);

	/* Its parts cannot be copied, even the one that would have been right by itself. */
	fold_all(&scene, &after);
	assert_int_equal(after.rejected_count, 3);
	assert_int_equal(after.rejected[2].rule, RULE_COPY_TARGET);
	assert_value(&after, "variable/dev/us/X", "1");
}

static void test_a_part_sees_the_parts_before_it(void **state)
{
	const struct step command[] = {
		{ .type = EVENT_PROFILE_CREATED,
		  .args = { T(ENVIRONMENT, "dev"), T(NAME, "new") },
		  .parts = 2 },
		CHANGED("dev", SET("new", "A", "5")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, command);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	assert_value(&fold, "variable/dev/new/A", "5");
}

static void test_a_cut_command_is_damage(void **state)
{
	const struct step cut[] = {
		{ .type = EVENT_ENVIRONMENT_REMOVED, .args = { T(NAME, "develop") }, .parts = 2 },
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "dev")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, cut);
	open_log(&scene);
	assert_int_equal(fold_to(&fold, scene.snapshot, BROKEN, NULL), STATUS_CORRUPT);
	assert_int_equal(fold.seq, GROUND);
	assert_true(has(&fold, "environment/develop"));
	fold_all(&scene, &fold);
	assert_false(has(&fold, "environment/develop"));
}

static void test_a_missing_event_is_damage(void **state)
{
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct log_lies lies = { .leaf_missing = FIRST };
	struct evlog_snapshot *snapshot;
	struct evlog *lying;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	open_log(&scene);
	lying = log_lying(scene.evlog, &lies);
	assert_int_equal(evlog_snapshot_open(lying, &snapshot, NULL), STATUS_OK);
	assert_int_equal(fold_to(&fold, snapshot, GROUND, NULL), STATUS_CORRUPT);
	assert_int_equal(fold.seq, FIRST - 1);
	evlog_snapshot_close(snapshot);
	evlog_close(lying);
}

/* As catch-up does: what is not the event that follows is damage, though its leaf hash be right. */
static void test_what_does_not_follow_is_damage(void **state)
{
	static const char *const says[] = { "does not follow", "does not follow", "its command" };

	(void)state;
	for (int wrong = 0; wrong < 3; wrong++) {
		AUTO(scene_release) struct scene scene = { .parts_left = 0 };
		AUTO(fold_release) struct fold fold = FOLD_INIT;
		struct error err = ERROR_INIT;
		struct event event;
		uint64_t bad = GROUND + 2;

		log_fixture_init(&scene.log);
		PLAY(&scene, ground);
		log_fixture_next(&scene.log, &event);
		event.parts = 2;
		payload_init(&event.payload, EVENT_ENVIRONMENT_SWITCHED);
		payload_str(&event.payload, FIELD_NAME, "dev");
		log_fixture_add(&scene.log, &event, &scene.log.signer);
		log_fixture_next_part(&scene.log, &event);
		event.prev[0] ^= wrong == 0;
		event.seq += wrong == 1;
		event.parts += wrong == 2;
		log_fixture_add(&scene.log, &event, &scene.log.signer);
		open_log(&scene);
		assert_int_equal(fold_to(&fold, scene.snapshot, bad, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, says[wrong]));
		assert_int_equal(fold.seq, GROUND);
	}
}

/* --- the hash --------------------------------------------------------------------------------- */

static void feed(struct state_hasher *hasher, const char *path, size_t path_len, const char *value,
		 size_t value_len)
{
	state_hasher_entry(hasher, slice_of(path, path_len), slice_of(value, value_len));
}

#define FEED(hasher, path, value) feed(hasher, path, sizeof(path) - 1, value, sizeof(value) - 1)

static void test_the_hash_is_that_of_the_entries(void **state)
{
	const struct step steps[] = {
		STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "default"), N(PROTECTED, 1)),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "dev")),
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu"), T(BASE, "default")),
		STEP(CATEGORY_DEFINED, T(NAME, "db"), N(PLANNED, 0)),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "dev"), N(UNTIL_MS, 5)),
		CHANGED("dev", SET("eu", "A", "xyz")),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "none")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	uint8_t by_fold[HASH_BYTES], by_hand[HASH_BYTES];
	struct state_hasher hasher;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, steps);
	open_log(&scene);
	fold_all(&scene, &fold);
	fold_hash(&fold, by_fold);

	state_hasher_init(&hasher);
	FEED(&hasher, "active", "dev");
	FEED(&hasher, "active\0dev", "default");
	FEED(&hasher, "category\0db",
	     "\x82\xa4name\xa2"
	     "db\xa7planned\xc2");
	FEED(&hasher, "environment\0dev", "\x93\xc3\x80\x80");
	FEED(&hasher, "lock\0dev", "\x91\x05");
	FEED(&hasher, "profile\0dev\0default", "\x93\xa0\x80\x80");
	FEED(&hasher, "profile\0dev\0eu",
	     "\x93\xa7"
	     "default\x80\x80");
	FEED(&hasher, "variable\0dev\0eu\0A", "\x93\xc2\xc2\xc4\x03xyz");
	FEED(&hasher, "violation\0\0\0\0\0\0\0\0\x08", "\x91\x01");
	state_hasher_final(&hasher, by_hand);
	assert_memory_equal(by_fold, by_hand, HASH_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_command_counts_as_a_whole),
		cmocka_unit_test(test_a_part_sees_the_parts_before_it),
		cmocka_unit_test(test_a_cut_command_is_damage),
		cmocka_unit_test(test_a_missing_event_is_damage),
		cmocka_unit_test(test_what_does_not_follow_is_damage),
		cmocka_unit_test(test_the_hash_is_that_of_the_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
