/*
 * Waiting for a log in LMDB to grow: inotify on its data file, and a look at what is in it.
 *
 * Invariants: it never polls while nothing happens; every look is a snapshot of its own, closed at
 * once, so that a waiter keeps no pages.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/evlog.h"
#include "store/evlog_lmdb_object.h"

#include "base/banned.h"

enum {
	/* LMDB publishes a commit after it has written the meta page, which is what wakes us: if
	 * nothing new is to be seen, look again soon, then less and less often. */
	SETTLE_MS_MIN = 1,
	SETTLE_MS_MAX = 1000,
};

static enum status watch_file(const char *path, int fd, struct error *err)
{
	int code;

	if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) >= 0)
		return STATUS_OK;
	code = errno;
	(void)error_errno(err, STATUS_IO, code, "cannot watch %s", path);
	if (code != EMFILE && code != ENOSPC)
		return STATUS_IO;
	return error_hint(err, STATUS_IO,
			  "too many watches: raise fs.inotify.max_user_instances or "
			  "fs.inotify.max_user_watches");
}

static enum status current_size(struct evlog *log, uint64_t *ret, struct error *err)
{
	struct evlog_snapshot *snapshot;
	enum status status = evlog_snapshot_open(log, &snapshot, err);

	if (status)
		return status;
	*ret = snapshot->size;
	evlog_snapshot_close(snapshot);
	return STATUS_OK;
}

/* Sleep until the file changes or @wait_ms are over; true when it changed. A signal ends it too. */
static bool watch_sleep(int fd, uint64_t wait_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint8_t events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;

	if (poll(&ready, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms) <= 0)
		return false;
	while (read(fd, events, sizeof(events)) > 0)
		changed = true;
	return changed;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

enum status evlog_lmdb_watch(struct evlog *log, const char *path, uint64_t size, uint64_t wait_ms,
			     uint64_t *ret_size, struct error *err)
{
	uint64_t begin_ms = clock_monotonic_ms();
	uint64_t settle_ms = UINT64_MAX; /* nothing is unexplained */
	uint64_t now = 0;
	int fd AUTO_FD = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* The watch first, then the look: a commit in between wakes us. */
	enum status status = watch_file(path, fd, err);

	while (!status) {
		uint64_t spent_ms;

		status = current_size(log, &now, err);
		spent_ms = clock_monotonic_ms() - begin_ms;
		if (status || now > size || spent_ms >= wait_ms)
			break;
		if (watch_sleep(fd, lesser(settle_ms, wait_ms - spent_ms)))
			settle_ms = SETTLE_MS_MIN;
		else if (settle_ms < SETTLE_MS_MAX)
			settle_ms *= 2;
	}
	if (!status)
		*ret_size = now;
	return status;
}
