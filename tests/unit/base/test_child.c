/*
 * Work in a child: what comes back, how each way to end is told, and what the child is and is not
 * of its parent.
 */
#include "base/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

static enum status run(child_work work, void *context, int *ret_signal, struct error *err)
{
	struct child_job job = { .name = "the look", .work = work, .context = context };

	return child_job_run(&job, ret_signal, err);
}

static void assert_no_child_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* --- results ---------------------------------------------------------------------------------- */

static enum status add_one(void *context, struct error *err)
{
	int *number = context;

	(void)err;
	++*number;
	return STATUS_OK;
}

static enum status refuse(void *context, struct error *err)
{
	(void)context;
	(void)error_errno(err, STATUS_DENIED, EACCES, "the door is shut");
	return error_hint(err, STATUS_DENIED, "knock");
}

static void what_it_says_comes_back(void **state)
{
	struct error err = ERROR_INIT;
	int signal_number = 4711, own = 1;
	void *shared = NULL;

	(void)state;
	assert_int_equal(child_share(sizeof(int), &shared, NULL), STATUS_OK);
	assert_int_equal(*(int *)shared, 0);
	assert_int_equal(run(add_one, shared, &signal_number, &err), STATUS_OK);
	assert_int_equal(*(int *)shared, 1);
	assert_int_equal(signal_number, 0);
	assert_int_equal(err.status, STATUS_OK);
	child_unshare(shared, sizeof(int));
	child_unshare(NULL, sizeof(int));
	/* Of other memory the child has its own. */
	assert_int_equal(run(add_one, &own, NULL, NULL), STATUS_OK);
	assert_int_equal(own, 1);
	assert_int_equal(run(refuse, NULL, &signal_number, &err), STATUS_DENIED);
	assert_int_equal(err.status, STATUS_DENIED);
	assert_int_equal(err.sys_errno, EACCES);
	assert_non_null(strstr(err.text, "the door is shut"));
	assert_string_equal(err.hint, "knock");
	assert_int_equal(run(refuse, NULL, NULL, NULL), STATUS_DENIED);
	assert_no_child_left();
}

static enum status die(void *context, struct error *err)
{
	(void)err;
	(void)raise(*(const int *)context);
	return STATUS_OK;
}

static enum status leave(void *context, struct error *err)
{
	(void)context;
	(void)err;
	_exit(0);
}

/* One judgement of each end, for all who use it. */
static void each_end_is_told(void **state)
{
	static const struct {
		int signal_number;
		enum status status;
		bool damage;
		const char *text;
	} ends[] = {
		{ SIGBUS, STATUS_CORRUPT, true, "the look was stopped by SIGBUS" },
		{ SIGSEGV, STATUS_CORRUPT, true, "the look was stopped by SIGSEGV" },
		{ SIGABRT, STATUS_CORRUPT, true, "the look was stopped by SIGABRT" },
		{ SIGFPE, STATUS_CORRUPT, true, "the look was stopped by SIGFPE" },
		{ SIGILL, STATUS_CORRUPT, true, "the look was stopped by SIGILL" },
		{ SIGINT, STATUS_INTERRUPTED, false, "the look was interrupted" },
		{ SIGTERM, STATUS_INTERRUPTED, false, "the look was interrupted" },
		{ SIGHUP, STATUS_INTERRUPTED, false, "the look was interrupted" },
		{ SIGQUIT, STATUS_INTERRUPTED, false, "the look was interrupted" },
		{ SIGKILL, STATUS_IO, false, "the look was killed by SIGKILL" },
		{ SIGUSR1, STATUS_IO, false, "the look was killed by SIGUSR1" },
		{ 64, STATUS_IO, false, "the look was killed by a signal" },
	};
	struct error err = ERROR_INIT;
	int signal_number;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int number = ends[i].signal_number;

		signal_number = 4711;
		assert_int_equal(run(die, &number, &signal_number, &err), ends[i].status);
		assert_int_equal(signal_number, ends[i].damage ? number : 0);
		if (!strstr(err.text, ends[i].text))
			fail_msg("unexpected words: %s", err.text);
	}
	assert_int_equal(run(leave, NULL, &signal_number, &err), STATUS_IO);
	assert_int_equal(signal_number, 0);
	assert_string_equal(err.text, "the look ended without a result");
	assert_no_child_left();
}

/* --- watching --------------------------------------------------------------------------------- */

struct watched {
	_Atomic bool seen; /* the child waits for it */
	unsigned calls;
	pid_t parent;
};

static void see(void *context)
{
	struct watched *watched = context;

	/* The second call is made while the child still waits, or never. */
	watched->calls++;
	if (watched->calls == 2)
		atomic_store(&watched->seen, true);
	assert_int_equal(getpid(), watched->parent);
}

static enum status wait_to_be_seen(void *context, struct error *err)
{
	struct watched *watched = context;
	struct timespec nap = { .tv_nsec = 10000000L };

	for (int i = 0; i < 3000 && !atomic_load(&watched->seen); i++)
		(void)nanosleep(&nap, NULL);
	if (!atomic_load(&watched->seen))
		return error_set(err, STATUS_IO, "nobody looked");
	return STATUS_OK;
}

static void the_parent_watches(void **state)
{
	struct watched *watched;
	struct child_job job = { .name = "the look", .work = wait_to_be_seen, .watch = see };
	void *shared = NULL;

	(void)state;
	assert_int_equal(child_share(sizeof(*watched), &shared, NULL), STATUS_OK);
	watched = shared;
	watched->parent = getpid();
	job.context = watched;
	assert_int_equal(child_job_run(&job, NULL, NULL), STATUS_OK);
	assert_true(watched->calls >= 3);
	child_unshare(shared, sizeof(*watched));
}

/* --- what the child is ------------------------------------------------------------------------ */

static enum status look_at_self(void *context, struct error *err)
{
	struct rlimit core;
	int death_signal = 0;

	(void)context;
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
		return error_set(err, STATUS_USAGE, "it may leave a core file");
	if (prctl(PR_GET_DUMPABLE) != 0)
		return error_set(err, STATUS_USAGE, "others may look into its memory");
	if (prctl(PR_GET_PDEATHSIG, &death_signal) || death_signal != SIGKILL)
		return error_set(err, STATUS_USAGE, "it outlives its parent");
	return STATUS_OK;
}

static void it_dies_with_its_parent_and_leaves_no_core(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	if (run(look_at_self, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

static void handle(int signal_number)
{
	(void)signal_number;
	_exit(77);
}

/* A handler of the parent's would end the child with a code, in the parent's words. */
static void handlers_and_mask_stay_with_the_parent(void **state)
{
	static const int numbers[] = { SIGTERM, SIGSEGV };
	struct sigaction ours = { .sa_handler = handle };
	sigset_t blocked, before, now;

	(void)state;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGSEGV);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
	for (size_t i = 0; i < 2; i++) {
		struct sigaction was, is;
		int number = numbers[i];
		enum status due = number == SIGTERM ? STATUS_INTERRUPTED : STATUS_CORRUPT;

		assert_int_equal(sigaction(number, &ours, &was), 0);
		assert_int_equal(run(die, &number, NULL, NULL), due);
		assert_int_equal(sigaction(number, &was, &is), 0);
		assert_true(is.sa_handler == handle);
	}
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &now), 0);
	assert_true(sigismember(&now, SIGTERM));
}

/* As under nohup. */
static void what_the_parent_ignores_stays_ignored(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was;
	int number = SIGHUP;

	(void)state;
	assert_int_equal(sigaction(SIGHUP, &ignore, &was), 0);
	assert_int_equal(run(die, &number, NULL, NULL), STATUS_OK);
	assert_int_equal(sigaction(SIGHUP, &was, NULL), 0);
}

static enum status talk(void *context, struct error *err)
{
	(void)context;
	if (write(STDERR_FILENO, "b", 1) != 1 || write(STDOUT_FILENO, "a", 1) != 1)
		return error_set(err, STATUS_IO, "cannot write");
	return STATUS_OK;
}

/* Its standard output is the parent's, its standard error nobody's. */
static void only_its_errors_are_silenced(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char heard[4] = "";
	int fd, old_out, old_err;
	enum status status;

	fd = open(scratch_path(state, "heard", path), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC,
		  0600);
	old_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	old_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	(void)fflush(NULL);
	if (fd < 0 || old_out < 0 || old_err < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0) {
		fail();
		return;
	}
	status = run(talk, NULL, NULL, NULL);
	(void)dup2(old_out, STDOUT_FILENO);
	(void)dup2(old_err, STDERR_FILENO);
	(void)close(old_out);
	(void)close(old_err);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(pread(fd, heard, sizeof(heard), 0), 1);
	assert_string_equal(heard, "a");
	assert_int_equal(close(fd), 0);
}

/* Nothing of the pipe between both stays open. */
static void no_descriptor_is_left(void **state)
{
	int before = dup(STDERR_FILENO), after;
	int number = SIGKILL, own = 0;

	(void)state;
	assert_true(before >= 0);
	assert_int_equal(close(before), 0);
	assert_int_equal(run(add_one, &own, NULL, NULL), STATUS_OK);
	assert_int_equal(run(die, &number, NULL, NULL), STATUS_IO);
	after = dup(STDERR_FILENO);
	assert_int_equal(close(after), 0);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_comes_back),
		cmocka_unit_test(each_end_is_told),
		cmocka_unit_test(the_parent_watches),
		cmocka_unit_test(it_dies_with_its_parent_and_leaves_no_core),
		cmocka_unit_test(handlers_and_mask_stay_with_the_parent),
		cmocka_unit_test(what_the_parent_ignores_stays_ignored),
		cmocka_unit_test_setup_teardown(only_its_errors_are_silenced, scratch_setup,
						scratch_teardown),
		cmocka_unit_test(no_descriptor_is_left),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
