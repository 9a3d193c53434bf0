/*
 * Fault points: which passage fires, what it does, the proof in the log. Without hooks: nothing
 * fires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads here */
static void arm(const char *spec)
{
	assert_int_equal(setenv("PROVENV_FAULT", spec, 1), 0);
}

static void disarm(void)
{
	assert_int_equal(unsetenv("PROVENV_FAULT"), 0);
	assert_int_equal(unsetenv("PROVENV_FAULT_LOG"), 0);
}
/* NOLINTEND(concurrency-mt-unsafe) */

static void nothing_fires_unless_armed(void **state)
{
	(void)state;
	disarm();
	for (int i = 0; i < 10; i++)
		assert_int_equal(fault_point("t.point"), 0);
}

#ifdef PROVENV_TEST_HOOKS

static void the_nth_passage_fires_once(void **state)
{
	(void)state;
	arm("t.point:EIO:3");
	assert_int_equal(fault_point("t.point"), 0);
	assert_int_equal(fault_point("t.other"), 0);
	assert_int_equal(fault_point("t.point"), 0);
	assert_int_equal(fault_point("t.point"), EIO);
	assert_int_equal(fault_point("t.point"), 0);
	disarm();
}

static void the_first_passage_is_the_default(void **state)
{
	(void)state;
	arm("t.point:ENOSPC");
	assert_int_equal(fault_point("t.points"), 0);
	assert_int_equal(fault_point("t.poin"), 0);
	assert_int_equal(fault_point("t.point"), ENOSPC);
	assert_int_equal(fault_point("t.point"), 0);
	disarm();
}

static void counting_starts_anew(void **state)
{
	(void)state;
	arm("t.point:EIO");
	assert_int_equal(fault_point("t.point"), EIO);
	arm("t.point:EACCES");
	assert_int_equal(fault_point("t.point"), EACCES);
	disarm();
	assert_int_equal(fault_point("t.point"), 0);
	arm("t.point:EACCES");
	assert_int_equal(fault_point("t.point"), EACCES);
	disarm();
}

static void every_errno_has_its_name(void **state)
{
	static const struct {
		const char *spec;
		int code;
	} specs[] = {
		{ "t.p:EIO", EIO },       { "t.p:ENOSPC", ENOSPC }, { "t.p:EINTR", EINTR },
		{ "t.p:EACCES", EACCES }, { "t.p:EDQUOT", EDQUOT }, { "t.p:ENOMEM", ENOMEM },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		arm(specs[i].spec);
		assert_int_equal(fault_point("t.p"), specs[i].code);
	}
	disarm();
}

static void nonsense_arms_nothing(void **state)
{
	static const char *const specs[] = {
		"",          "t.p",        "t.p:",      "t.p:BOOM",    ":EIO",
		"t.p:EIO:x", "t.p:EIO:-1", "t.p:EIO:0", "t.p:EIO:1:2", "t.p:eio",
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		arm(specs[i]);
		for (int passage = 0; passage < 3; passage++)
			assert_int_equal(fault_point("t.p"), 0);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	arm(longest);
	assert_int_equal(fault_point("t.p"), 0);
	disarm();
}

static void a_fired_fault_leaves_its_name(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	char log[SCRATCH_PATH_MAX];

	arm("t.point:EIO:2");
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	assert_int_equal(setenv("PROVENV_FAULT_LOG", scratch_path(state, "log", log), 1), 0);
	assert_int_equal(fault_point("t.point"), 0);
	assert_false(fs_exists(log));
	assert_int_equal(fault_point("t.point"), EIO);
	arm("t.other:EIO");
	assert_int_equal(fault_point("t.other"), EIO);
	disarm();
	assert_int_equal(fs_read_file(log, 100, &content, NULL), STATUS_OK);
	assert_string_equal(buf_str(&content), "t.point\nt.other\n");
}

/* The wait status of a child that passes the point. */
static int child_at(const char *spec, int wait_options)
{
	int result = 0;
	pid_t child;

	arm(spec);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)fault_point("t.point");
		_exit(7);
	}
	disarm();
	assert_int_equal(waitpid(child, &result, wait_options), child);
	if (WIFSTOPPED(result)) {
		int stopped_by = WSTOPSIG(result);

		assert_int_equal(kill(child, SIGCONT), 0);
		assert_int_equal(waitpid(child, &result, 0), child);
		assert_true(WIFEXITED(result));
		return stopped_by;
	}
	return result;
}

static void crash_kills_the_process(void **state)
{
	int result = child_at("t.point:crash", 0);

	(void)state;
	assert_true(WIFSIGNALED(result));
	assert_int_equal(WTERMSIG(result), SIGKILL);
}

static void stop_stops_it_until_continued(void **state)
{
	(void)state;
	assert_int_equal(child_at("t.point:stop", WUNTRACED), SIGSTOP);
}

#else

static void release_builds_have_no_faults(void **state)
{
	(void)state;
	arm("t.point:EIO");
	assert_int_equal(fault_point("t.point"), 0);
	disarm();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_fires_unless_armed),
#ifdef PROVENV_TEST_HOOKS
		cmocka_unit_test(the_nth_passage_fires_once),
		cmocka_unit_test(the_first_passage_is_the_default),
		cmocka_unit_test(counting_starts_anew),
		cmocka_unit_test(every_errno_has_its_name),
		cmocka_unit_test(nonsense_arms_nothing),
		cmocka_unit_test_setup_teardown(a_fired_fault_leaves_its_name, scratch_setup,
						scratch_teardown),
		cmocka_unit_test(crash_kills_the_process),
		cmocka_unit_test(stop_stops_it_until_continued),
#else
		cmocka_unit_test(release_builds_have_no_faults),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
