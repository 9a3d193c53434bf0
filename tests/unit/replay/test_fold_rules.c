/*
 * The rules of folding: every one broken, and nothing but the violation to be seen of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "store/state_model.h"

#include "unit/replay/fold_scene.h"

#include "base/banned.h"

#define REPLACEMENT(phase, profile, started, ...)                                              \
	STEP(REPLACEMENT_##phase, T(ENVIRONMENT, "dev"), T(PROFILE, profile), T(NAME, "main"), \
	     N(REPLACEMENT, started), __VA_ARGS__)

static const struct {
	struct step step;
	enum apply_rule rule;
} broken[] = {
	{ STEP(ENVIRONMENT_CHANGED, T(NAME, "de"), N(PROTECTED, 1)), RULE_ENVIRONMENT_EXISTS },
	{ CHANGED("de", SET("default", "A", "9")), RULE_ENVIRONMENT_EXISTS },
	{ STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "x"), N(PROTECTED, 0)),
	  RULE_ENVIRONMENT_ABSENT },
	{ STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")), RULE_ENVIRONMENT_INACTIVE },
	{ STEP(ENVIRONMENT_UNLOCKED, T(NAME, "dev")), RULE_ENVIRONMENT_LOCKED },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 1)), RULE_KEY_GENERATION },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 3)), RULE_KEY_GENERATION },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "develop"), N(GENERATION, 2)), RULE_KEY_GENERATION },
	{ STEP(PROFILE_SWITCHED, T(ENVIRONMENT, "dev"), T(NAME, "e")), RULE_PROFILE_EXISTS },
	{ CHANGED("dev", SET("default", "A", "9"), SET("none", "A", "9")), RULE_PROFILE_EXISTS },
	{ STEP(DATABASE_ATTACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "none"), T(NAME, "main"),
	       T(KIND, "file"), T(PATH, "x")),
	  RULE_PROFILE_EXISTS },
	{ STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu")), RULE_PROFILE_ABSENT },
	{ STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "default")), RULE_PROFILE_INACTIVE },
	{ STEP(PROFILE_CREATED, T(ENVIRONMENT, "develop"), T(NAME, "x"), T(BASE, "eu")),
	  RULE_BASE_EXISTS },
	{ STEP(PROFILE_CHANGED, T(ENVIRONMENT, "dev"), T(NAME, "default"), T(BASE, "us")),
	  RULE_BASE_ACYCLIC },
	{ STEP(PROFILE_CHANGED, T(ENVIRONMENT, "dev"), T(NAME, "eu"), T(BASE, "eu")),
	  RULE_BASE_ACYCLIC },
	{ STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "eu")), RULE_BASE_UNUSED },
	{ STEP(CATEGORY_REMOVED, T(NAME, "d")), RULE_CATEGORY_EXISTS },
	{ STEP(VARIABLE_SPECIFIED, T(KEY, "URL"), T(TYPE, "int"), T(CATEGORY, "none"),
	       N(REQUIRED, 0), N(SECRET, 0)),
	  RULE_CATEGORY_EXISTS },
	{ STEP(CATEGORY_REMOVED, T(NAME, "db")), RULE_CATEGORY_UNUSED },
	{ STEP(VARIABLE_UNSPECIFIED, T(KEY, "UR")), RULE_SPECIFICATION_EXISTS },
	{ CHANGED("dev", UNSET("us", "D")), RULE_VARIABLE_SET },
	{ CHANGED("dev", SET("default", "A", "9"), UNSET("eu", "B")), RULE_VARIABLE_SET },
	{ CHANGED("dev", COPY("us", "X", BROKEN, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", 999, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", FIRST, 3)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", 7, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", SECOND, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", SECOND, 1)), RULE_COPY_TARGET },
	{ CHANGED("dev", SET("eu", "A", "9"), COPY("us", "X", WITHOUT, 0)), RULE_COPY_TARGET },
	{ STEP(STATE_ROLLED_BACK, T(SCOPE, "store"), N(TARGET_SEQ, BROKEN)), RULE_TARGET_OLDER },
	{ STEP(STATE_ROLLED_BACK, T(SCOPE, "store"), N(TARGET_SEQ, 0)), RULE_TARGET_OLDER },
	{ STEP(DATABASE_DETACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "us"), T(NAME, "main")),
	  RULE_DATABASE_EXISTS },
	{ STEP(DATABASE_MOVED, T(ENVIRONMENT, "dev"), T(PROFILE, "us"), T(NAME, "main"),
	       T(KIND, "sqlite"), T(PATH, "x")),
	  RULE_DATABASE_EXISTS },
	{ STEP(BACKUP_REMOVED, N(BACKUP, STARTED)), RULE_BACKUP_EXISTS },
	{ STEP(BACKUP_VERIFIED, N(BACKUP, 0), T(RESULT, "ok")), RULE_BACKUP_EXISTS },
	{ REPLACEMENT(STAGED, "eu", STARTED, N(SAFETY, STARTED)), RULE_BACKUP_EXISTS },
	{ STEP(DATABASE_DETACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main")),
	  RULE_REPLACEMENT_IDLE },
	{ STEP(REPLACEMENT_STARTED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"),
	       T(OPERATION, "move"), T(KIND, "sqlite"), T(PATH, "x"), N(FORCED, 0)),
	  RULE_REPLACEMENT_IDLE },
	{ REPLACEMENT(STAGED, "eu", STARTED - 1, ), RULE_REPLACEMENT_UNFINISHED },
	{ REPLACEMENT(COMPLETED, "us", STARTED, ), RULE_REPLACEMENT_UNFINISHED },
	{ REPLACEMENT(UNDONE, "eu", BROKEN, ), RULE_REPLACEMENT_LAST },
	{ REPLACEMENT(UNDONE, "us", STARTED, ), RULE_REPLACEMENT_LAST },
};

#define BROKEN_COUNT (sizeof(broken) / sizeof(broken[0]))

static void test_the_ground_holds(void **state)
{
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.seq, GROUND);
	assert_int_equal(fold.rejected_count, 1);
	assert_int_equal(fold.rejected[0].seq, WITHOUT);
	assert_int_equal(fold.rejected[0].rule, RULE_PROFILE_EXISTS);
	assert_value(&fold, "variable/dev/default/A", "1");
	assert_value(&fold, "variable/dev/eu/D", "2");
	assert_false(has(&fold, "variable/dev/eu/B"));
	assert_true(variable(&fold, "variable/dev/eu/C").sealed);
}

static void test_each_rule_broken_leaves_the_state_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < BROKEN_COUNT; i++) {
		AUTO(scene_release) struct scene scene = { .parts_left = 0 };
		AUTO(fold_release) struct fold before = FOLD_INIT;
		AUTO(fold_release) struct fold after = FOLD_INIT;

		log_fixture_init(&scene.log);
		PLAY(&scene, ground);
		play(&scene, &broken[i].step, 1);
		open_log(&scene);
		fold_until(&scene, &before, GROUND);
		fold_all(&scene, &after);
		if (after.rejected_count != 2)
			fail_msg("case %zu took effect", i);
		assert_only_violation(&before, &after, BROKEN, broken[i].rule);
	}
}

static void test_the_cases_cover_every_rule(void **state)
{
	static const enum apply_rule all[] = {
#define APPLY_RULE(id, number, name, meaning) RULE_##id,
#include "store/apply_rules.def"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool covered = false;

		for (size_t j = 0; j < BROKEN_COUNT; j++)
			covered = covered || broken[j].rule == all[i];
		if (!covered)
			fail_msg("no case breaks %s", apply_rule_name(all[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ground_holds),
		cmocka_unit_test(test_each_rule_broken_leaves_the_state_alone),
		cmocka_unit_test(test_the_cases_cover_every_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
