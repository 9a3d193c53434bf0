/*
 * Memory runs out anywhere in a fold: it says so, or the state is the very one, never another.
 *
 * The linker gives us every allocation of our own code (--wrap); those inside shared libraries are
 * not counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "store/evlog.h"

#include "unit/replay/fold_scene.h"

#include "base/banned.h"

/* Allocations until one fails; 0: none does. */
static unsigned long countdown;
static bool fired;

static bool fails_now(void)
{
	if (countdown == 0)
		return false;
	countdown--;
	fired = countdown == 0;
	return fired;
}

/* The names are the linker's.
 * NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
 */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}
/* NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
 */

/* Every way of asking and changing: rules that hold and do not, removals by prefix, copies. */
static const struct step story[] = {
	STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")), /* active: without effect */
	CHANGED("dev", COPY("us", "X", FIRST, 0)),
	CHANGED("dev", UNSET("default", "NOT_SET")), /* without effect */
	STEP(PROFILE_CREATED, T(ENVIRONMENT, "develop"), T(NAME, "p"), T(BASE, "default")),
	STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "us")),
	STEP(ENVIRONMENT_REMOVED, T(NAME, "develop")),
};

static void every_allocation_may_fail(void **state)
{
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold whole = FOLD_INIT;
	uint8_t expected[HASH_BYTES], hash[HASH_BYTES];
	unsigned long n, failures = 0;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, story);
	open_log(&scene);
	fold_all(&scene, &whole);
	assert_true(whole.rejected_count >= 3);
	fold_hash(&whole, expected);
	for (n = 1;; n++) {
		AUTO(fold_release) struct fold fold = FOLD_INIT;
		enum status status;

		fired = false;
		countdown = n;
		status = fold_to(&fold, scene.snapshot, scene.snapshot->size, NULL);
		countdown = 0;
		if (!fired)
			break;
		if (status) {
			assert_int_equal(status, STATUS_NO_MEMORY);
			failures++;
			continue;
		}
		/* Some can do without, as a cache that stays small. */
		fold_hash(&fold, hash);
		assert_memory_equal(hash, expected, HASH_BYTES);
	}
	/* The rig fired, and what it did was noticed. */
	assert_true(n > 100);
	assert_true(failures > n / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
