/*
 * The projection with several users at once, in one process and in many; where nothing can be
 * written; and when a build or a refresh fails in the middle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "projections/projection.h"
#include "store/event.h"
#include "store/store.h"
#include "unit/projections/dump.h"
#include "unit/projections/payloads.h"
#include "unit/projections/projection_fixture.h"
#include "unit/projections/state_fixture.h"
#include "unit/store/process_fixture.h"
#include "unit/store/store_fixture.h"

#include "base/banned.h"

/* --- several users ---------------------------------------------------------------------------- */

/* One brings the file up while the other looks at the past, and finds the work done. */
static void test_two_handles(void **state)
{
	struct scene *scene = *state;
	struct projection *other;
	uint64_t before;

	built_scene(scene);
	look(scene);
	other = open_projection(scene->store);
	before = projection_seq(other);
	for (unsigned i = 0; i < 3; i++)
		(void)commit_change(scene, set("p", "A", "two"));
	look(scene);
	assert_int_equal(projection_seq(scene->projection), before + 3);
	assert_int_equal(projection_seq(other), before);
	assert_int_equal(projection_refresh(other, NULL), STATUS_OK);
	assert_int_equal(projection_seq(other), before + 3);
	assert_same_tables(projection_db(scene->projection), projection_db(other));
	projection_close(scene->projection);
	scene->projection = other;
	assert_value(scene, "A", "two");
}

static void test_rebuild_takes_what_another_built(void **state)
{
	struct scene *scene = *state;
	struct projection *other;

	built_scene(scene);
	look(scene);
	other = open_projection(scene->store);
	assert_int_equal(projection_rebuild(other, NULL), STATUS_OK);
	assert_current(scene, "2.db\n");
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_current(scene, "2.db\n");
	assert_int_equal(projection_rebuilt(scene->projection), REBUILT_NO); /* as asked for */
	projection_close(other);
	assert_value(scene, "A", "one");
}

static void test_old_generation_stays_while_it_is_used(void **state)
{
	struct scene *scene = *state;
	struct projection *other;

	built_scene(scene);
	look(scene);
	other = open_projection(scene->store);
	assert_int_equal(projection_rebuild(other, NULL), STATUS_OK);
	assert_true(state_has(scene, "1.db"));
	assert_value(scene, "A", "one");
	(void)commit_change(scene, set("p", "A", "two"));
	look(scene); /* the old generation goes on for those who have it open */
	assert_value(scene, "A", "two");
	close_projection(scene);
	assert_int_equal(projection_rebuild(other, NULL), STATUS_OK);
	assert_current(scene, "3.db\n");
	assert_false(state_has(scene, "1.db"));
	assert_false(state_has(scene, "1.db-wal"));
	assert_false(state_has(scene, "1.db-shm"));
	assert_false(state_has(scene, "2.db"));
	assert_true(state_has(scene, "3.db"));
	scene->projection = other;
	assert_value(scene, "A", "two");
}

/* Only what provenv may have left there goes, and not before the last user has gone. */
static void test_leftovers(void **state)
{
	static const char *const leftovers[] = { ".current.a1b2c3", "9.db", "9.db-journal" };
	struct scene *scene = *state;
	struct projection *other;

	built_scene(scene);
	for (size_t i = 0; i < 3; i++)
		put_state_file(scene, leftovers[i], "left by a crash");
	put_state_file(scene, "notes.txt", "of the user");
	look(scene);
	other = open_projection(scene->store);
	assert_int_equal(projection_rebuild(other, NULL), STATUS_OK);
	assert_current(scene, "10.db\n");
	for (size_t i = 0; i < 3; i++)
		assert_true(state_has(scene, leftovers[i]));
	projection_close(other);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	close_projection(scene);
	assert_opens(scene, REBUILT_NO);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_current(scene, "11.db\n");
	for (size_t i = 0; i < 3; i++)
		assert_false(state_has(scene, leftovers[i]));
	assert_true(state_has(scene, "notes.txt"));
	assert_true(state_has(scene, "lock"));
	assert_value(scene, "A", "one");
}

static void test_state_deleted_while_open(void **state)
{
	struct scene *scene = *state;
	struct projection *other;
	char path[STATE_PATH_MAX];

	built_scene(scene);
	look(scene);
	assert_int_equal(fs_remove_tree(state_file(scene, "", path), NULL), STATUS_OK);
	assert_value(scene, "A", "one");
	other = open_projection(scene->store);
	assert_int_equal(projection_rebuilt(other), REBUILT_MISSING);
	projection_close(other);
	assert_current(scene, "1.db\n");
	(void)commit_change(scene, set("p", "A", "two"));
	if (projection_refresh(scene->projection, NULL)) {
		assert_true(projection_damaged(scene->projection));
		assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	}
	assert_value(scene, "A", "two");
	assert_true(state_has(scene, "current"));
	close_projection(scene);
	look(scene);
	assert_value(scene, "A", "two");
}

/* --- several processes ------------------------------------------------------------------------ */

/* Exit codes of children: none of them may be a code of anything else. */
enum { CHILD_FINE = 0, CHILD_WRONG = 17 };

/* Open store and state, and look whether A is what it should be. */
static int child_looks(const struct scene *scene, struct store **ret_store,
		       struct projection **ret_projection)
{
	if (store_open(scene->fixture->path, (struct store_options){ .read_only = false },
		       ret_store, NULL) ||
	    projection_open(*ret_store, ret_projection, NULL))
		return CHILD_WRONG;
	return projection_seq(*ret_projection) == 4 ? CHILD_FINE : CHILD_WRONG;
}

static int child_opens(const struct child *child, const void *context)
{
	const struct scene *scene = context;
	struct store *store = NULL;
	struct projection *projection = NULL;
	int result;

	child_waits(child);
	result = child_looks(scene, &store, &projection);
	projection_close(projection);
	store_close(store);
	return result;
}

static void test_processes_that_build_at_once(void **state)
{
	struct scene *scene = *state;
	struct child children[4];

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	scene_close(scene);
	for (size_t i = 0; i < 4; i++)
		children[i] = child_start(child_opens, scene);
	for (size_t i = 0; i < 4; i++)
		parent_says(&children[i]);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(child_end(&children[i]), CHILD_FINE);
	assert_current(scene, "1.db\n");
	assert_false(state_has(scene, "2.db")); /* one built it, and the others waited */
	scene->store = reopen(scene->fixture);
	assert_opens(scene, REBUILT_NO);
}

/* Damage is met by two; both throw the generation away, and one new one is built. */
static int child_rebuilds(const struct child *child, const void *context)
{
	const struct scene *scene = context;
	struct store *store = NULL;
	struct projection *projection = NULL;
	int result = child_looks(scene, &store, &projection);

	child_says(child);
	child_waits(child);
	if (result == CHILD_FINE && projection_rebuild(projection, NULL))
		result = CHILD_WRONG;
	projection_close(projection);
	store_close(store);
	return result;
}

static void test_processes_that_rebuild_at_once(void **state)
{
	struct scene *scene = *state;
	struct child children[3];

	built_scene(scene);
	scene_close(scene);
	for (size_t i = 0; i < 3; i++)
		children[i] = child_start(child_rebuilds, scene);
	for (size_t i = 0; i < 3; i++)
		parent_waits(&children[i]);
	for (size_t i = 0; i < 3; i++)
		parent_says(&children[i]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(child_end(&children[i]), CHILD_FINE);
	assert_current(scene, "2.db\n");
	assert_false(state_has(scene, "3.db"));
	scene->store = reopen(scene->fixture);
	assert_opens(scene, REBUILT_NO);
}

/* --- nowhere to write ------------------------------------------------------------------------- */

/* Somebody else may write to a store that we only read. */
static int child_writes(const struct child *child, const void *context)
{
	const struct scene *scene = context;
	struct scene mine = { .fixture = scene->fixture };
	struct change change = set("p", "B", "two");
	struct payload payload = changed("dev", &change);
	struct store_command command;
	struct store_receipt receipt;
	enum status status;

	child_waits(child);
	status = store_open(mine.fixture->path, (struct store_options){ .read_only = false },
			    &mine.store, NULL);
	if (status)
		return CHILD_WRONG;
	command = command_of(&payload, 1);
	status = append(mine.store, &mine.fixture->founder, &command, &receipt, NULL);
	store_close(mine.store);
	return status ? CHILD_WRONG : CHILD_FINE;
}

static void test_read_only_store(void **state)
{
	struct scene *scene = *state;
	struct child child;
	uint8_t hash[HASH_BYTES], fresh[HASH_BYTES];

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	scene_close(scene);
	child = child_start(child_writes, scene);
	scene->store = open_store(scene->fixture, (struct store_options){ .read_only = true });
	assert_opens(scene, REBUILT_MISSING);
	parent_says(&child);
	assert_int_equal(child_end(&child), CHILD_FINE);
	assert_null(value_at(scene, projection_seq(scene->projection), "B"));
	look(scene);
	assert_value(scene, "B", "two");
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_value(scene, "B", "two");
	hash_at(scene, projection_seq(scene->projection), hash);
	assert_int_equal(projection_fresh_hash(scene->projection, fresh, NULL), STATUS_OK);
	assert_memory_equal(hash, fresh, HASH_BYTES);
	assert_false(state_has(scene, "lock"));
	assert_false(state_has(scene, "current"));
}

/* A state directory that cannot be had is no reason not to answer. */
static void test_no_directory(void **state)
{
	struct scene *scene = *state;
	char path[STATE_PATH_MAX];

	built_scene(scene);
	assert_int_equal(fs_remove_tree(state_file(scene, "", path), NULL), STATUS_OK);
	(void)snprintf(path, sizeof(path), "%s/state", scene->fixture->path);
	assert_int_equal(fs_write_durable(path, 0600, slice_str("a file"), NULL), STATUS_OK);
	assert_opens(scene, REBUILT_UNKEPT);
	(void)commit_change(scene, set("p", "B", "two"));
	look(scene);
	assert_value(scene, "B", "two");
}

static int give_away(const char *path, const struct stat *info, int kind, struct FTW *place)
{
	(void)info;
	(void)kind;
	(void)place;
	return lchown(path, 65534, 65534);
}

/* What is forbidden to us; root is told so only when it is somebody else. */
static void become_somebody(const struct scene *scene)
{
	if (geteuid() != 0)
		return;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	if (nftw(scene->fixture->dir, give_away, 16, FTW_PHYS) || setgid(65534) || setuid(65534))
		_exit(99);
}

/* Which generation the child ends with, and why; or CHILD_WRONG. */
static int child_outcome(struct projection *projection)
{
	return projection_seq(projection) == 5 ? 32 + (int)projection_rebuilt(projection)
					       : CHILD_WRONG;
}

static int child_meets_read_only(const struct scene *scene, const char *name, mode_t mode)
{
	char path[STATE_PATH_MAX];
	struct store *store = NULL;
	struct projection *projection = NULL;
	int result;

	become_somebody(scene);
	if (chmod(state_file(scene, name, path), mode) ||
	    store_open(scene->fixture->path, (struct store_options){ .read_only = false }, &store,
		       NULL) ||
	    projection_open(store, &projection, NULL))
		return CHILD_WRONG;
	result = child_outcome(projection);
	projection_close(projection);
	store_close(store);
	return result;
}

static int child_meets_read_only_file(const struct child *child, const void *context)
{
	(void)child;
	return child_meets_read_only(context, "1.db", 0400);
}

static int child_meets_read_only_directory(const struct child *child, const void *context)
{
	(void)child;
	return child_meets_read_only(context, "", 0500);
}

/* Behind the log by one event, so that something must be written. */
static void scene_behind(struct scene *scene)
{
	built_scene(scene);
	(void)commit_change(scene, set("p", "B", "two"));
	scene_close(scene);
}

static void test_read_only_file(void **state)
{
	struct scene *scene = *state;

	scene_behind(scene);
	assert_int_equal(child_run(child_meets_read_only_file, scene), 32 + REBUILT_DAMAGED);
	assert_current(scene, "2.db\n");
}

static void test_read_only_directory(void **state)
{
	struct scene *scene = *state;
	char path[STATE_PATH_MAX];

	scene_behind(scene);
	remove_state_file(scene, "current");
	assert_int_equal(child_run(child_meets_read_only_directory, scene), 32 + REBUILT_UNKEPT);
	assert_int_equal(chmod(state_file(scene, "", path), 0700), 0);
	assert_false(state_has(scene, "current"));
}

/* --- failures --------------------------------------------------------------------------------- */

/* Damage met while in use: nothing may be asked until it is built anew. */
static void test_refresh_that_fails(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;

	built_scene(scene);
	look(scene);
	(void)commit_change(scene, set("p", "B", "two"));
	tamper(scene, "1.db", "DROP TABLE variable");
	assert_int_equal(projection_refresh(scene->projection, &err), STATUS_CORRUPT);
	assert_true(projection_damaged(scene->projection));
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_false(projection_damaged(scene->projection));
	assert_value(scene, "B", "two");
	(void)commit_change(scene, set("p", "B", "three"));
	look(scene);
	assert_value(scene, "B", "three");
}

static void test_refresh_that_finds_a_loss(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;

	built_scene(scene);
	look(scene);
	write_position(scene, "1.db", two_ahead);
	assert_int_equal(projection_refresh(scene->projection, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "the log lost events 5..6"));
	assert_false(projection_damaged(scene->projection));
}

static void test_refresh_of_a_damaged_position(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	look(scene);
	tamper(scene, "1.db", "UPDATE position SET seq = seq + 1000");
	assert_int_equal(projection_refresh(scene->projection, NULL), STATUS_CORRUPT);
	assert_true(projection_damaged(scene->projection));
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_value(scene, "A", "one");
}

/* Another history under the same name: SQLite has nothing against it, but we have. */
static void test_refresh_that_finds_another_history(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;

	built_scene(scene);
	look(scene);
	write_position(scene, "1.db", other_leaf);
	assert_int_equal(projection_refresh(scene->projection, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "damaged"));
	assert_true(projection_damaged(scene->projection));
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_value(scene, "A", "one");
}

static void test_mark(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	look(scene);
	assert_false(projection_damaged(scene->projection));
	projection_mark_damaged(scene->projection);
	assert_true(projection_damaged(scene->projection));
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_false(projection_damaged(scene->projection));
	projection_close(NULL);
}

#ifdef PROVENV_TEST_HOOKS

static bool state_has_any(const struct scene *scene, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (state_has(scene, names[i]))
			return true;
	}
	return false;
}

/* Whatever fails before the pointer moved leaves the generation in force as it was, alone. */
static void test_build_that_fails(void **state)
{
	static const char *const faults[] = { "state.swap:EIO", "fs.open:EIO",     "fs.open:EIO:3",
					      "fs.unlink:EIO",  "fs.write:ENOSPC", "fs.sync:EIO",
					      "fs.rename:EIO",  "fs.lock:EIO" };
	static const char *const left[] = { "2.db", "2.db-wal", "2.db-shm", "2.db-journal" };
	struct scene *scene = *state;

	built_scene(scene);
	look(scene);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		set_environment("PROVENV_FAULT", faults[i]);
		if (projection_rebuild(scene->projection, NULL) != STATUS_IO)
			fail_msg("%s: no failure", faults[i]);
		set_environment("PROVENV_FAULT", NULL);
		assert_true(projection_damaged(scene->projection));
		close_projection(scene);
		assert_current(scene, "1.db\n");
		assert_opens(scene, REBUILT_NO);
		if (state_has_any(scene, left, 4))
			fail_msg("%s: a generation is left", faults[i]);
	}
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_false(projection_damaged(scene->projection));
	assert_value(scene, "A", "one");
}

/* The pointer moved, but this may not be durable: what it names must be there. */
static void test_swap_that_may_not_last(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	look(scene);
	set_environment("PROVENV_FAULT", "fs.sync:EIO:2");
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_IO);
	set_environment("PROVENV_FAULT", NULL);
	close_projection(scene);
	assert_current(scene, "2.db\n");
	assert_true(state_has(scene, "1.db")); /* a crash may bring the old pointer back */
	assert_opens(scene, REBUILT_NO);
}

/* When the file in force is of no use and none can be built, memory will do. */
static void test_open_that_cannot_build(void **state)
{
	struct scene *scene = *state;

	built_scene(scene);
	tamper(scene, "1.db", "DELETE FROM position");
	set_environment("PROVENV_FAULT", "state.swap:ENOSPC");
	assert_opens(scene, REBUILT_UNKEPT);
	set_environment("PROVENV_FAULT", NULL);
	assert_current(scene, "1.db\n");
	close_projection(scene);
	assert_opens(scene, REBUILT_DAMAGED);
}

static int child_crashes(const struct child *child, const void *context)
{
	const struct scene *scene = context;
	struct store *store = NULL;
	struct projection *projection = NULL;

	(void)child;
	if (setenv("PROVENV_FAULT", "state.swap:crash", 1)) /* NOLINT(concurrency-mt-unsafe) */
		return CHILD_WRONG;
	return child_looks(scene, &store, &projection);
}

static void test_crash_before_the_swap(void **state)
{
	struct scene *scene = *state;

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	scene_close(scene);
	assert_int_equal(child_run(child_crashes, scene), -SIGKILL);
	assert_true(state_has(scene, "1.db"));
	assert_false(state_has(scene, "current"));
	scene->store = reopen(scene->fixture);
	assert_opens(scene, REBUILT_MISSING);
	assert_current(scene, "2.db\n");
	assert_false(state_has(scene, "1.db"));
}

/* One is held up with the new generation ready; another that comes waits for it, or comes after. */
static int child_stops(const struct child *child, const void *context)
{
	const struct scene *scene = context;
	struct store *store = NULL;
	struct projection *projection = NULL;
	int result;

	(void)child;
	if (setenv("PROVENV_FAULT", "state.swap:stop", 1)) /* NOLINT(concurrency-mt-unsafe) */
		return CHILD_WRONG;
	result = child_looks(scene, &store, &projection);
	projection_close(projection);
	store_close(store);
	return result;
}

static void test_waiting_for_a_builder(void **state)
{
	struct scene *scene = *state;
	struct child builder, waiter;
	int status = 0;

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "A", "one"));
	scene_close(scene);
	builder = child_start(child_stops, scene);
	waiter = child_start(child_opens, scene);
	assert_int_equal(waitpid(builder.pid, &status, WUNTRACED), builder.pid);
	assert_true(WIFSTOPPED(status));
	assert_false(state_has(scene, "current"));
	parent_says(&waiter);
	/* It cannot be done while the other holds the build. */
	assert_int_equal(waitpid(waiter.pid, &status, WNOHANG), 0);
	assert_int_equal(kill(builder.pid, SIGCONT), 0);
	assert_int_equal(child_end(&builder), CHILD_FINE);
	assert_int_equal(child_end(&waiter), CHILD_FINE);
	assert_current(scene, "1.db\n");
	assert_false(state_has(scene, "2.db"));
}

#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_handles),
		TEST(test_rebuild_takes_what_another_built),
		TEST(test_old_generation_stays_while_it_is_used),
		TEST(test_leftovers),
		TEST(test_state_deleted_while_open),
		TEST(test_processes_that_build_at_once),
		TEST(test_processes_that_rebuild_at_once),
		TEST(test_read_only_store),
		TEST(test_no_directory),
		TEST(test_read_only_file),
		TEST(test_read_only_directory),
		TEST(test_refresh_that_fails),
		TEST(test_refresh_that_finds_a_loss),
		TEST(test_refresh_of_a_damaged_position),
		TEST(test_refresh_that_finds_another_history),
		TEST(test_mark),
#ifdef PROVENV_TEST_HOOKS
		TEST(test_build_that_fails),
		TEST(test_swap_that_may_not_last),
		TEST(test_open_that_cannot_build),
		TEST(test_crash_before_the_swap),
		TEST(test_waiting_for_a_builder),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
