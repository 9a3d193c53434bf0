/*
 * The effects of folding that reach further than one entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "replay/ordered_map.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/state_model.h"

#include "unit/replay/fold_scene.h"

#include "base/banned.h"

static void test_removing_an_environment_takes_what_is_in_it_but_its_keys(void **state)
{
	const struct step steps[] = {
		CHANGED("develop", SET("default", "A", "kept")),
		STEP(DATABASE_ATTACHED, T(ENVIRONMENT, "develop"), T(PROFILE, "default"),
		     T(NAME, "main"), T(KIND, "file"), T(PATH, "x")),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "develop"), N(UNTIL_MS, 5)),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "dev")),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "develop")),
		STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")),
	};
	const struct step again[] = {
		STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "default"), N(PROTECTED, 0)),
		STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 1)),
		STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 2)),
	};
	static const char *const gone[] = {
		"active/dev",        "database/dev/eu/main", "environment/dev",
		"lock/dev",          "profile/dev/eu",       "profile/dev/default",
		"variable/dev/eu/C", "variable/dev/eu/D",    "variable/dev/default/A",
	};
	static const char *const kept[] = {
		"active",
		"active/develop",
		"database/develop/default/main",
		"lock/develop",
		"profile/develop/default",
		"variable/develop/default/A",
		"environment/develop",
	};
	static const uint8_t key[] = "key\0dev\0\0\0\0\0\0\0\0\1";
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, steps);
	PLAY(&scene, again);
	open_log(&scene);
	fold_until(&scene, &fold, GROUND + 5);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_true(has(&fold, gone[i]));
	fold_until(&scene, &fold, GROUND + 6);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_false(has(&fold, gone[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_true(has(&fold, kept[i]));
	assert_true(map_get(&fold.state, slice_of(key, sizeof(key) - 1), NULL));

	/* Generations go on where they were. */
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 2);
	assert_int_equal(fold.rejected[1].rule, RULE_KEY_GENERATION);
	assert_int_equal(fold.rejected[1].seq, GROUND + 8);
}

static void test_removing_a_profile_spares_its_namesakes(void **state)
{
	const struct step steps[] = {
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu-west")),
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "develop"), T(NAME, "eu")),
		CHANGED("dev", SET("eu-west", "A", "kept")),
		CHANGED("develop", SET("eu", "A", "kept too")),
		STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "us")),
		STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "eu")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, steps);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	assert_false(has(&fold, "profile/dev/eu"));
	assert_false(has(&fold, "database/dev/eu/main"));
	assert_false(has(&fold, "variable/dev/eu/C"));
	assert_false(has(&fold, "variable/dev/eu/D"));
	assert_true(has(&fold, "profile/dev/eu-west"));
	assert_value(&fold, "variable/dev/eu-west/A", "kept");
	assert_value(&fold, "variable/develop/eu/A", "kept too");
}

static void test_a_copy_holds_the_bytes_and_its_own_expand(void **state)
{
	static const struct change plain_seal = COPY("us", "S", FIRST, 2);
	struct change expanding = COPY("us", "T", FIRST, 1);
	struct change changes[] = { plain_seal, expanding };
	struct step copying = { .type = EVENT_VARIABLES_CHANGED,
				.args = { T(ENVIRONMENT, "dev") },
				.changes = { changes, 2 } };
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct entry_variable found;

	(void)state;
	changes[1].expand = true;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	play(&scene, &copying, 1);
	open_log(&scene);
	fold_all(&scene, &fold);
	found = variable(&fold, "variable/dev/us/S");
	assert_true(found.sealed);
	assert_false(found.expand);
	assert_true(slice_equal(found.bytes, slice_of(commitment, HASH_BYTES)));
	found = variable(&fold, "variable/dev/us/T");
	assert_false(found.sealed);
	assert_true(found.expand);
	assert_true(slice_equal(found.bytes, slice_str("2")));
}

/* More events than a reader has slots are copied from; the copying one must stay readable. */
static void test_one_event_copies_from_many(void **state)
{
	enum { SOURCES = 3 * EVENT_READER_SLOTS };
	char values[SOURCES][4], keys[SOURCES][4];
	struct change changes[SOURCES];
	struct step copying = { .type = EVENT_VARIABLES_CHANGED,
				.args = { T(ENVIRONMENT, "dev") },
				.changes = { changes, SOURCES } };
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	for (unsigned i = 0; i < SOURCES; i++) {
		struct change set = SET("default", "A", "");
		struct step setting = { .type = EVENT_VARIABLES_CHANGED,
					.args = { T(ENVIRONMENT, "dev") },
					.changes = { &set, 1 } };

		memcpy(values[i], (char[]){ 'v', (char)('0' + i / 10), (char)('0' + i % 10), 0 },
		       4);
		memcpy(keys[i], values[i], 4);
		keys[i][0] = 'K';
		set.value = slice_str(values[i]);
		play(&scene, &setting, 1);
		changes[i] = (struct change)COPY("us", "", BROKEN + i, 0);
		changes[i].key = slice_str(keys[i]);
	}
	play(&scene, &copying, 1);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	for (unsigned i = 0; i < SOURCES; i++) {
		AUTO(buf_release) struct buf path = BUF_INIT;

		buf_printf(&path, "variable/dev/us/%s", keys[i]);
		assert_value(&fold, buf_str(&path), values[i]);
	}
}

static void test_long_values_come_back_whole(void **state)
{
	static char text[VALUE_BYTES_MAX];
	struct change set = SET("default", "A", "");
	struct step setting = { .type = EVENT_VARIABLES_CHANGED,
				.args = { T(ENVIRONMENT, "dev") },
				.changes = { &set, 1 } };
	static const size_t lengths[] = { 0, 1, 255, 256, VALUE_BYTES_MAX };
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	memset(text, 'v', sizeof(text));
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		set.value = slice_of(text, lengths[i]);
		play(&scene, &setting, 1);
	}
	open_log(&scene);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fold_until(&scene, &fold, BROKEN + i);
		assert_true(slice_equal(variable(&fold, "variable/dev/default/A").bytes,
					slice_of(text, lengths[i])));
	}
}

/* Of database dev/eu/main. */
static struct entry_replacement last_replacement(const struct fold *fold)
{
	struct slice value;

	assert_true(find(fold, "replacement/dev/eu/main", &value));
	return entry_replacement(value);
}

#define BACKUP_OF_MAIN                                                                 \
	STEP(BACKUP_CREATED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"), \
	     T(KIND, "sqlite"), T(PATH, "main.db"), T(TRIGGER, "manual"), N(BYTES, 4096))

static void test_backups_and_replacements(void **state)
{
	enum { BACKUP = GROUND + 1, SAFETY };
	static const uint8_t backup[] = "backup\0\0\0\0\0\0\0\0\x0f";
	static const uint8_t check[] = "backup_check\0\0\0\0\0\0\0\0\x0f";
	const struct step steps[] = {
		BACKUP_OF_MAIN,
		BACKUP_OF_MAIN,
		STEP(BACKUP_VERIFIED, N(BACKUP, BACKUP), T(RESULT, "ok")),
		STEP(REPLACEMENT_STAGED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"),
		     N(REPLACEMENT, STARTED), N(SAFETY, SAFETY)),
		STEP(REPLACEMENT_COMPLETED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"),
		     T(NAME, "main"), N(REPLACEMENT, STARTED), N(SAFETY, SAFETY)),
		STEP(REPLACEMENT_UNDONE, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"),
		     N(REPLACEMENT, STARTED)),
		STEP(BACKUP_REMOVED, N(BACKUP, BACKUP)),
		STEP(DATABASE_DETACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, steps);
	open_log(&scene);
	fold_until(&scene, &fold, GROUND);
	assert_int_equal(last_replacement(&fold).phase, REPLACEMENT_STARTED);
	assert_int_equal(last_replacement(&fold).started, STARTED);
	assert_int_equal(last_replacement(&fold).safety, 0);
	fold_until(&scene, &fold, GROUND + 4);
	assert_true(map_get(&fold.state, slice_of(backup, sizeof(backup) - 1), NULL));
	assert_true(map_get(&fold.state, slice_of(check, sizeof(check) - 1), NULL));
	assert_int_equal(last_replacement(&fold).phase, REPLACEMENT_STAGED);
	assert_int_equal(last_replacement(&fold).safety, SAFETY);
	fold_until(&scene, &fold, GROUND + 6);
	assert_int_equal(last_replacement(&fold).phase, REPLACEMENT_UNDONE);
	assert_int_equal(last_replacement(&fold).safety, 0);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	assert_false(map_get(&fold.state, slice_of(backup, sizeof(backup) - 1), NULL));
	assert_false(map_get(&fold.state, slice_of(check, sizeof(check) - 1), NULL));
	assert_false(has(&fold, "replacement/dev/eu/main"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removing_an_environment_takes_what_is_in_it_but_its_keys),
		cmocka_unit_test(test_removing_a_profile_spares_its_namesakes),
		cmocka_unit_test(test_a_copy_holds_the_bytes_and_its_own_expand),
		cmocka_unit_test(test_one_event_copies_from_many),
		cmocka_unit_test(test_long_values_come_back_whole),
		cmocka_unit_test(test_backups_and_replacements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
