/*
 * Locks: exclusive, shared, waiting with a limit, and signals left as they were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

/* Each open has a lock of its own, in one process as in several. */
static int open_lock_file(void **state)
{
	char path[SCRATCH_PATH_MAX];
	int fd = -1;

	scratch_path(state, "lock", path);
	assert_int_equal(fs_open(path, O_RDWR | O_CREAT, 0600, &fd, NULL), STATUS_OK);
	return fd;
}

static void a_free_lock_is_taken_at_once(void **state)
{
	int fd AUTO_FD = open_lock_file(state);

	assert_int_equal(fs_lock(fd, "store", true, 0, NULL), STATUS_OK);
	assert_int_equal(fs_lock(fd, "store", false, 0, NULL), STATUS_OK);
}

static void a_held_lock_is_refused(void **state)
{
	int held AUTO_FD = open_lock_file(state);
	int fd AUTO_FD = open_lock_file(state);
	struct error err = ERROR_INIT;

	assert_int_equal(fs_lock(held, "store", true, 0, NULL), STATUS_OK);
	assert_int_equal(fs_lock(fd, "/x/store", true, 0, &err), STATUS_LOCKED);
	assert_string_equal(err.text, "/x/store is locked by another process");
	assert_string_not_equal(err.hint, "");
	assert_int_equal(fs_lock(fd, "store", false, 0, NULL), STATUS_LOCKED);
}

static void readers_share(void **state)
{
	int first AUTO_FD = open_lock_file(state);
	int second AUTO_FD = open_lock_file(state);
	int writer AUTO_FD = open_lock_file(state);

	assert_int_equal(fs_lock(first, "store", false, 0, NULL), STATUS_OK);
	assert_int_equal(fs_lock(second, "store", false, 0, NULL), STATUS_OK);
	assert_int_equal(fs_lock(writer, "store", true, 0, NULL), STATUS_LOCKED);
	assert_int_equal(flock(first, LOCK_UN), 0);
	assert_int_equal(flock(second, LOCK_UN), 0);
	assert_int_equal(fs_lock(writer, "store", true, 0, NULL), STATUS_OK);
}

static void waiting_ends_in_time(void **state)
{
	int held AUTO_FD = open_lock_file(state);
	int fd AUTO_FD = open_lock_file(state);

	assert_int_equal(fs_lock(held, "store", true, 0, NULL), STATUS_OK);
	for (uint64_t wait_ms = 1; wait_ms < 300; wait_ms *= 6) {
		uint64_t begin = clock_monotonic_ms();

		assert_int_equal(fs_lock(fd, "store", true, wait_ms, NULL), STATUS_LOCKED);
		assert_true(clock_monotonic_ms() - begin >= wait_ms);
		assert_true(clock_monotonic_ms() - begin < wait_ms + 5000);
	}
}

static void no_descriptor_is_no_lock(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(fs_lock(-1, "store", true, 100, &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EBADF);
}

/* A child that holds the lock for @hold_ms after it said that it has it. */
static pid_t start_holder(void **state, long hold_ms)
{
	int ready[2];
	char byte = 0;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct timespec pause = { .tv_sec = hold_ms / 1000,
						.tv_nsec = hold_ms % 1000 * 1000000 };
		int fd = open_lock_file(state);

		if (fs_lock(fd, "store", true, 0, NULL) || write(ready[1], "r", 1) != 1)
			_exit(1);
		(void)nanosleep(&pause, NULL);
		_exit(0);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return child;
}

static void waiting_ends_when_the_lock_is_free(void **state)
{
	pid_t holder = start_holder(state, 200);
	int fd AUTO_FD = open_lock_file(state);
	uint64_t begin = clock_monotonic_ms();
	int result = 0;

	assert_int_equal(fs_lock(fd, "store", true, 60000, NULL), STATUS_OK);
	assert_in_range(clock_monotonic_ms() - begin, 100, 30000);
	assert_int_equal(waitpid(holder, &result, 0), holder);
	assert_int_equal(result, 0);
}

static void an_endless_wait_does_not_overflow(void **state)
{
	pid_t holder = start_holder(state, 100);
	int fd AUTO_FD = open_lock_file(state);
	int result = 0;

	assert_int_equal(fs_lock(fd, "store", true, UINT64_MAX, NULL), STATUS_OK);
	assert_int_equal(waitpid(holder, &result, 0), holder);
}

static void own_handler(int signal_number)
{
	(void)signal_number;
}

static void signals_are_left_as_they_were(void **state)
{
	int held AUTO_FD = open_lock_file(state);
	int fd AUTO_FD = open_lock_file(state);
	struct sigaction before = { .sa_handler = own_handler, .sa_flags = SA_RESTART };
	struct sigaction original;
	struct sigaction after;
	sigset_t blocked;
	sigset_t mask;

	assert_int_equal(sigaction(SIGALRM, &before, &original), 0);
	assert_int_equal(sigemptyset(&blocked), 0);
	assert_int_equal(sigaddset(&blocked, SIGALRM), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
	assert_int_equal(fs_lock(held, "store", true, 0, NULL), STATUS_OK);
	/* Although the caller blocks the signal, the wait ends. */
	assert_int_equal(fs_lock(fd, "store", true, 60, NULL), STATUS_LOCKED);
	assert_int_equal(sigaction(SIGALRM, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, own_handler);
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &blocked, &mask), 0);
	assert_int_equal(sigismember(&mask, SIGALRM), 1);
	assert_int_equal(sigaction(SIGALRM, &original, NULL), 0);
}

struct waiter {
	int fd;
	uint64_t wait_ms;
	enum status status;
};

static void *wait_in_thread(void *context)
{
	struct waiter *waiter = context;

	waiter->status = fs_lock(waiter->fd, "store", true, waiter->wait_ms, NULL);
	return NULL;
}

/* Their timers overlap: the one that ends first must not take the handler from the others. */
static void several_threads_may_wait(void **state)
{
	int held AUTO_FD = open_lock_file(state);
	struct waiter waiters[4];
	pthread_t threads[4];
	struct sigaction after;

	assert_int_equal(fs_lock(held, "store", true, 0, NULL), STATUS_OK);
	for (size_t i = 0; i < 4; i++) {
		waiters[i] = (struct waiter){ .fd = open_lock_file(state), .wait_ms = 30 + 60 * i };
		assert_int_equal(pthread_create(&threads[i], NULL, wait_in_thread, &waiters[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(waiters[i].status, STATUS_LOCKED);
		(void)close(waiters[i].fd);
	}
	assert_int_equal(sigaction(SIGALRM, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, SIG_DFL);
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH(a_free_lock_is_taken_at_once),
		SCRATCH(a_held_lock_is_refused),
		SCRATCH(readers_share),
		SCRATCH(waiting_ends_in_time),
		SCRATCH(no_descriptor_is_no_lock),
		SCRATCH(waiting_ends_when_the_lock_is_free),
		SCRATCH(an_endless_wait_does_not_overflow),
		SCRATCH(signals_are_left_as_they_were),
		SCRATCH(several_threads_may_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
