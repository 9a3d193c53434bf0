/*
 * Waiting for a lock with a limit of time: fs_lock() of fs.h.
 *
 * flock(2) queues its waiters, which makes the lock fair, but knows no timeout; asking again and
 * again without blocking would have one, but starve. So a timer interrupts the blocking call.
 * State: how many threads wait, since they share one SIGALRM handler, and the handler that was
 * there before. Must leave the process's signals as they were.
 */
#include "base/fs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"

#include "base/banned.h"

/* How often a waiter is woken once its time is up: a signal that comes just before flock() sleeps
 * is lost, the next one is not. */
enum { ALARM_INTERVAL_MS = 50 };

static pthread_mutex_t alarm_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned alarm_users;
static struct sigaction alarm_saved;

static void on_alarm(int signal_number)
{
	(void)signal_number; /* it only has to interrupt flock() */
}

/* Handlers belong to the process, waiting to a thread: the first waiter installs ours, the last one
 * puts back what was there. */
static void alarm_handler_acquire(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	(void)pthread_mutex_lock(&alarm_lock);
	if (alarm_users++ == 0)
		(void)sigaction(SIGALRM, &action, &alarm_saved);
	(void)pthread_mutex_unlock(&alarm_lock);
}

static void alarm_handler_release(void)
{
	(void)pthread_mutex_lock(&alarm_lock);
	if (--alarm_users == 0)
		(void)sigaction(SIGALRM, &alarm_saved, NULL);
	(void)pthread_mutex_unlock(&alarm_lock);
}

static struct timespec timespec_of_ms(uint64_t ms)
{
	return (struct timespec){
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};
}

/* Returns 0 or an errno. */
static int raw_flock(int fd, int operation)
{
	int fault = fault_point("fs.lock");

	if (fault)
		return fault;
	return flock(fd, operation) ? errno : 0;
}

/* Sleep in flock(); the timer of this thread interrupts it. Returns 0, EWOULDBLOCK when the time is
 * up, or an errno. */
static int flock_until(int fd, int operation, uint64_t deadline_ms)
{
	int code = raw_flock(fd, operation);

	while (code == EINTR) {
		if (clock_monotonic_ms() >= deadline_ms)
			return EWOULDBLOCK;
		code = raw_flock(fd, operation);
	}
	return code;
}

static int flock_timed(int fd, int operation, uint64_t wait_ms)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t deadline_ms = wait_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + wait_ms;
	struct itimerspec times = {
		.it_value = timespec_of_ms(wait_ms),
		.it_interval = timespec_of_ms(ALARM_INTERVAL_MS),
	};
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	sigset_t alarm_only;
	sigset_t mask_before;
	timer_t timer;
	int code = 0;

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		return errno;
	(void)sigemptyset(&alarm_only);
	(void)sigaddset(&alarm_only, SIGALRM);
	alarm_handler_acquire();
	(void)pthread_sigmask(SIG_UNBLOCK, &alarm_only, &mask_before);
	if (timer_settime(timer, 0, &times, NULL))
		code = errno;
	else
		code = flock_until(fd, operation, deadline_ms);
	/* A signal still on its way is delivered on return from this call, before the handler goes.
	 */
	(void)timer_delete(timer);
	(void)pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
	alarm_handler_release();
	return code;
}

enum status fs_lock(int fd, const char *what, bool exclusive, uint64_t wait_ms, struct error *err)
{
	int operation = exclusive ? LOCK_EX : LOCK_SH;
	int code;

	do {
		code = raw_flock(fd, operation | LOCK_NB);
	} while (code == EINTR);
	if (code == EWOULDBLOCK && wait_ms > 0)
		code = flock_timed(fd, operation, wait_ms);
	if (code == 0)
		return STATUS_OK;
	if (code != EWOULDBLOCK)
		return error_errno(err, STATUS_IO, code, "cannot lock %s", what);
	(void)error_set(err, STATUS_LOCKED, "%s is locked by another process", what);
	return error_hint(err, STATUS_LOCKED, "wait for it to finish, then run the command again");
}
