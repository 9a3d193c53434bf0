/*
 * Trace: where it goes is read once per process, so each case but the last runs in a child of its
 * own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/trace.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

/* Trace two events in a child with this setting; returns whether it says that it traces. */
static bool trace_in_child(const char *setting, const char *stderr_path)
{
	int result = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		int fd = stderr_path ? open(stderr_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

		/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
		if ((setting && setenv("PROVENV_TRACE", setting, 1)) ||
		    (fd >= 0 && dup2(fd, STDERR_FILENO) < 0))
			_exit(9);
		trace_end("log.open", trace_begin());
		trace_end("replay", trace_begin());
		_exit(trace_enabled() ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result));
	assert_in_range(WEXITSTATUS(result), 0, 1);
	return WEXITSTATUS(result) == 1;
}

static size_t lines_in(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void off_by_default(void **state)
{
	char out[SCRATCH_PATH_MAX];
	struct buf content AUTO(buf_release) = BUF_INIT;

	scratch_path(state, "stderr", out);
	assert_false(trace_in_child(NULL, out));
	assert_int_equal(fs_read_file(out, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(content.len, 0);
}

static void lines_are_appended_to_the_file(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct buf content AUTO(buf_release) = BUF_INIT;
	struct stat info;

	scratch_path(state, "trace", path);
	assert_true(trace_in_child(path, NULL));
	assert_true(trace_in_child(path, NULL));
	assert_int_equal(fs_read_file(path, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(lines_in(buf_str(&content)), 4);
	assert_memory_equal(buf_str(&content), "{\"time\":\"20", 11);
	assert_non_null(strstr(buf_str(&content), ",\"pid\":"));
	assert_non_null(strstr(buf_str(&content), ",\"event\":\"log.open\",\"us\":"));
	assert_non_null(strstr(buf_str(&content), ",\"event\":\"replay\",\"us\":"));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0077, 0);
}

static void two_means_standard_error(void **state)
{
	char out[SCRATCH_PATH_MAX];
	struct buf content AUTO(buf_release) = BUF_INIT;

	scratch_path(state, "stderr", out);
	assert_true(trace_in_child("2", out));
	assert_int_equal(fs_read_file(out, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(lines_in(buf_str(&content)), 2);
}

static void a_useless_target_is_ignored(void **state)
{
	char path[SCRATCH_PATH_MAX];

	assert_false(trace_in_child("relative/path", NULL));
	assert_false(trace_in_child("", NULL));
	assert_false(trace_in_child(scratch_path(state, "no/such/dir", path), NULL));
	/* Nobody reads this FIFO: opening it for writing must not wait. */
	assert_int_equal(mkfifo(scratch_path(state, "fifo", path), 0600), 0);
	assert_false(trace_in_child(path, NULL));
}

/* Must come last: from here on this process traces. */
static void the_target_is_read_once(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct buf content AUTO(buf_release) = BUF_INIT;

	scratch_path(state, "trace", path);
	/* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
	assert_int_equal(setenv("PROVENV_TRACE", path, 1), 0);
	assert_true(trace_enabled());
	assert_int_equal(unsetenv("PROVENV_TRACE"), 0);
	/* NOLINTEND(concurrency-mt-unsafe) */
	assert_true(trace_enabled());
	trace_end("a", trace_begin());
	trace_end("c", trace_begin());
	assert_int_equal(fs_read_file(path, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(lines_in(buf_str(&content)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(off_by_default, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(lines_are_appended_to_the_file, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(two_means_standard_error, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(a_useless_target_is_ignored, scratch_setup,
						scratch_teardown),
		cmocka_unit_test_setup_teardown(the_target_is_read_once, scratch_setup,
						scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
