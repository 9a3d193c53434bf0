/*
 * Content of files: reading it, and writing it durably; see fs.h.
 *
 * Invariants: every descriptor is opened close-on-exec; every call that can fail passes its fault
 * point first; opens, reads, writes and syncs interrupted by a signal are taken up again.
 * Must not know what any file means. Directories and names are in fs_tree.c, locks in fs_lock.c.
 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs_raw.h"
#include "base/rng.h"
#include "base/text.h"

#include "base/banned.h"

enum { STAGED_HEX = 16 }; /* digits in the name of a temporary file */

/* --- raw calls: fault point, close-on-exec, EINTR ------------------------------------------- */

bool fs_raw_fault(const char *point)
{
	int fault = fault_point(point);

	if (fault)
		errno = fault;
	return fault != 0;
}

bool fs_raw_no_path(const char *path)
{
	if (*path)
		return false;
	errno = ENOMEM;
	return true;
}

int fs_raw_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	if (fs_raw_no_path(path))
		return -1;
	do {
		fd = fs_raw_fault("fs.open") ? -1 : openat(dir_fd, path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static ssize_t raw_read(int fd, void *data, size_t len)
{
	ssize_t got;

	do {
		got = fs_raw_fault("fs.read") ? -1 : read(fd, data, len);
	} while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t raw_pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t got;

	do {
		got = fs_raw_fault("fs.read") ? -1 : pread(fd, data, len, offset);
	} while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t raw_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	ssize_t put;

	do {
		put = fs_raw_fault("fs.write") ? -1 : pwrite(fd, data, len, offset);
	} while (put < 0 && errno == EINTR);
	return put;
}

int fs_raw_sync(int fd)
{
	int result;

	do {
		result = fs_raw_fault("fs.sync") ? -1 : fsync(fd);
	} while (result && errno == EINTR);
	return result;
}

int fs_raw_unlink(int dir_fd, const char *path, int flags)
{
	return fs_raw_fault("fs.unlink") ? -1 : unlinkat(dir_fd, path, flags);
}

/* --- failures --------------------------------------------------------------------------------- */

enum status fs_failed(struct error *err, int code, const char *action, const char *what)
{
	enum status status = STATUS_IO;

	if (code == ENOENT || code == ENOTDIR)
		status = STATUS_NOT_FOUND;
	else if (code == ENOMEM)
		status = STATUS_NO_MEMORY;
	(void)error_errno(err, status, code, "cannot %s %s", action, what);
	return status;
}

static enum status too_large(struct error *err, const char *what, size_t bytes_max)
{
	return error_set(err, STATUS_USAGE, "%s is larger than %zu bytes", what, bytes_max);
}

/* --- reading ---------------------------------------------------------------------------------- */

enum {
	READ_BYTES_MIN = 4096,
	READ_BYTES_MAX = 1024 * 1024,
};

/* A descriptor left non-blocking by whoever else has it: wait as a blocking read would. */
static ssize_t read_patiently(int fd, void *data, size_t len)
{
	ssize_t got = raw_read(fd, data, len);

	while (got < 0 && errno == EAGAIN) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };

		if (poll(&ready, 1, -1) < 0 && errno != EINTR)
			return -1;
		got = raw_read(fd, data, len);
	}
	return got;
}

/* Append all there is, in pieces of @piece bytes, and find out that there is too much by reading
 * one byte more than allowed. */
static enum status read_all(int fd, const char *what, size_t bytes_max, struct buf *ret,
			    struct error *err)
{
	size_t left = bytes_max;

	for (;;) {
		size_t want = ret->cap > ret->len + 1 ? ret->cap - ret->len - 1 : READ_BYTES_MIN;
		uint8_t *room;
		ssize_t got;

		if (want > READ_BYTES_MAX)
			want = READ_BYTES_MAX;
		if (want > left)
			want = left < SIZE_MAX ? left + 1 : left;
		room = buf_reserve(ret, want);
		if (!room)
			return error_no_memory(err);
		got = read_patiently(fd, room, want);
		if (got < 0)
			return fs_failed(err, errno, "read", what);
		if (got == 0)
			return STATUS_OK;
		if ((size_t)got > left)
			return too_large(err, what, bytes_max);
		left -= (size_t)got;
		ret->len += (size_t)got;
	}
}

enum status fs_read_fd(int fd, const char *what, size_t bytes_max, struct buf *ret,
		       struct error *err)
{
	size_t len_before = ret->len;
	enum status status = read_all(fd, what, bytes_max, ret, err);

	if (status)
		ret->len = len_before;
	(void)buf_str(ret); /* put the NUL behind what was read */
	return status;
}

enum status fs_read_file(const char *path, size_t bytes_max, struct buf *ret, struct error *err)
{
	struct stat info;
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing for a file. */
	int fd AUTO_FD = fs_raw_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return fs_failed(err, errno, "open", path);
	if (fstat(fd, &info))
		return fs_failed(err, errno, "examine", path);
	if (!S_ISREG(info.st_mode))
		return error_set(err, STATUS_USAGE, "%s is not a regular file", path);
	if ((uint64_t)info.st_size > bytes_max)
		return too_large(err, path, bytes_max);
	/* One byte more, so that the end is seen without growing. */
	if (!buf_reserve(ret, (size_t)info.st_size + 1))
		return error_no_memory(err);
	return fs_read_fd(fd, path, bytes_max, ret, err);
}

/* NOLINTNEXTLINE(readability-function-size): pread(2), a name for errors, and an outcome */
enum status fs_pread(int fd, const char *what, void *data, size_t len, uint64_t offset,
		     size_t *ret_len, struct error *err)
{
	size_t done = 0;

	if (offset > INT64_MAX - len || len > INT64_MAX)
		return error_set(err, STATUS_IO, "cannot read %s: offset out of range", what);
	while (done < len) {
		ssize_t got =
			raw_pread(fd, (uint8_t *)data + done, len - done, (off_t)(offset + done));

		if (got < 0)
			return fs_failed(err, errno, "read", what);
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret_len = done;
	return STATUS_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

enum status fs_pwrite(int fd, const char *what, const void *data, size_t len, uint64_t offset,
		      struct error *err)
{
	size_t done = 0;

	if (offset > INT64_MAX - len || len > INT64_MAX)
		return error_set(err, STATUS_IO, "cannot write %s: offset out of range", what);
	while (done < len) {
		ssize_t put = raw_pwrite(fd, (const uint8_t *)data + done, len - done,
					 (off_t)(offset + done));

		if (put < 0)
			return fs_failed(err, errno, "write", what);
		if (put == 0)
			return fs_failed(err, EIO, "write", what);
		done += (size_t)put;
	}
	return STATUS_OK;
}

/* A file being written beside its destination. Release removes it unless it was given its name. */
struct staged {
	int dir_fd;
	int fd;
	bool exists;
	char name[NAME_MAX + 1];
};

static void staged_release(struct staged *staged)
{
	if (staged->exists)
		(void)fs_raw_unlink(staged->dir_fd, staged->name, 0);
	cleanup_fd(&staged->fd);
	cleanup_fd(&staged->dir_fd);
}

const char *fs_split_path(const char *path, struct buf *dir)
{
	const char *slash = strrchr(path, '/');

	if (!slash) {
		buf_append_byte(dir, '.');
		return path;
	}
	buf_append(dir, path, slash == path ? 1 : (size_t)(slash - path));
	return slash + 1;
}

enum status fs_open_dir(const char *path, int *ret_fd, struct error *err)
{
	int fd = fs_raw_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fs_failed(err, errno, "open directory", path);
	*ret_fd = fd;
	return STATUS_OK;
}

enum status fs_sync_dir_fd(int fd, const char *path, struct error *err)
{
	if (fs_raw_sync(fd) && errno != EINVAL)
		return fs_failed(err, errno, "sync directory", path);
	return STATUS_OK;
}

/*
 * A temporary file is locked as long as somebody writes it, so that one left by a crash is known by
 * its free lock. False: fs_remove_stale() was quicker.
 */
static bool own(int fd)
{
	struct stat info;

	return !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &info) && info.st_nlink > 0;
}

/* Create the temporary file, with a name nobody else uses. */
static enum status stage_open(struct staged *staged, const char *path, const char *name,
			      struct error *err)
{
	/* A name that is taken is another process's, or a leftover: try another one, not for ever.
	 */
	for (int tries = 0; tries < 100 && staged->fd < 0; tries++) {
		uint8_t random[STAGED_HEX / 2];
		char hex[STAGED_HEX + 1];

		rng_bytes(random, sizeof(random));
		text_to_hex(random, sizeof(random), hex);
		(void)snprintf(staged->name, sizeof(staged->name), ".%.200s.%s.tmp", name, hex);
		staged->fd = fs_raw_open(staged->dir_fd, staged->name,
					 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		if (staged->fd < 0 && errno != EEXIST)
			break;
		if (staged->fd >= 0 && !own(staged->fd)) {
			(void)close(staged->fd);
			staged->fd = -1;
		}
	}
	if (staged->fd < 0)
		return fs_failed(err, errno, "create a temporary file beside", path);
	staged->exists = true;
	return STATUS_OK;
}

static enum status stage_fill(const struct staged *staged, const char *path, mode_t mode,
			      struct slice content, struct error *err)
{
	enum status status;

	if (fchmod(staged->fd, mode))
		return fs_failed(err, errno, "set the mode of", path);
	status = fs_pwrite(staged->fd, path, content.data, content.len, 0, err);
	if (status)
		return status;
	if (fs_raw_sync(staged->fd))
		return fs_failed(err, errno, "sync", path);
	return STATUS_OK;
}

static enum status publish_over(struct staged *staged, const char *path, const char *name,
				struct error *err)
{
	if (fs_raw_fault("fs.rename") ||
	    renameat(staged->dir_fd, staged->name, staged->dir_fd, name))
		return fs_failed(err, errno, "replace", path);
	staged->exists = false;
	return STATUS_OK;
}

/*
 * In one step, so that neither a crash nor a failure leaves a second name for what may be a key.
 * Where the file system cannot (EINVAL), by a link; the temporary name then goes when @staged is
 * released.
 */
static enum status publish_new(struct staged *staged, const char *path, const char *name,
			       struct error *err)
{
	int dir = staged->dir_fd;
	bool faulty = fs_raw_fault("fs.link");

	if (!faulty && renameat2(dir, staged->name, dir, name, RENAME_NOREPLACE) == 0) {
		staged->exists = false;
		return STATUS_OK;
	}
	if (!faulty && errno == EINVAL && linkat(dir, staged->name, dir, name, 0) == 0)
		return STATUS_OK;
	if (errno == EEXIST)
		return error_errno(err, STATUS_CONFLICT, EEXIST, "cannot create %s", path);
	return fs_failed(err, errno, "create", path);
}

static enum status write_durable(const char *path, mode_t mode, struct slice content, bool replace,
				 struct error *err)
{
	struct staged staged AUTO(staged_release) = { .dir_fd = -1, .fd = -1 };
	struct buf dir AUTO(buf_release) = BUF_INIT;
	const char *name = fs_split_path(path, &dir);
	enum status status = buf_status(&dir, err);

	if (status)
		return status;
	if (fs_raw_no_path(path))
		return error_no_memory(err);
	if (*name == '\0')
		return error_set(err, STATUS_USAGE, "\"%s\" does not name a file", path);
	/* Opened before anything is written: what cannot be synced afterwards is not begun. */
	status = fs_open_dir(buf_str(&dir), &staged.dir_fd, err);
	if (status)
		return status;
	status = stage_open(&staged, path, name, err);
	if (status)
		return status;
	status = stage_fill(&staged, path, mode, content, err);
	if (status)
		return status;
	status = replace ? publish_over(&staged, path, name, err)
			 : publish_new(&staged, path, name, err);
	if (status)
		return status;
	return fs_sync_dir_fd(staged.dir_fd, buf_str(&dir), err);
}

enum status fs_write_durable(const char *path, mode_t mode, struct slice content, struct error *err)
{
	return write_durable(path, mode, content, true, err);
}

enum status fs_create_durable(const char *path, mode_t mode, struct slice content,
			      struct error *err)
{
	return write_durable(path, mode, content, false, err);
}

enum status fs_open(const char *path, int flags, mode_t mode, int *ret_fd, struct error *err)
{
	int fd = fs_raw_open(AT_FDCWD, path, flags | O_NOFOLLOW, mode);

	if (fd < 0)
		return fs_failed(err, errno, "open", path);
	*ret_fd = fd;
	return STATUS_OK;
}

/* --- what a crash left ------------------------------------------------------------------------ */

bool fs_is_staged(const char *name)
{
	static const char suffix[] = ".tmp";
	size_t len = strlen(name);
	size_t tail = STAGED_HEX + sizeof(suffix) - 1;

	if (len < tail + 3 || name[0] != '.' || name[len - tail - 1] != '.' ||
	    strcmp(name + len - sizeof(suffix) + 1, suffix) != 0)
		return false;
	return strspn(name + len - tail, "0123456789abcdef") == STAGED_HEX;
}

struct stale {
	const char *dir;
	bool remove;
	size_t count;
};

static enum status meet_stale(void *context, const char *name, struct error *err)
{
	struct stale *stale = context;
	struct buf path AUTO(buf_release) = BUF_INIT;
	int fd AUTO_FD = -1;
	enum status status;

	if (!fs_is_staged(name))
		return STATUS_OK;
	fs_join(&path, stale->dir, name);
	status = buf_status(&path, err);
	if (status)
		return status;
	/* Gone meanwhile, somebody else's, or being written. */
	if (fs_open(buf_str(&path), O_RDONLY | O_NONBLOCK, 0, &fd, NULL) || !own(fd))
		return STATUS_OK;
	stale->count++;
	return stale->remove ? fs_remove(buf_str(&path), err) : STATUS_OK;
}

enum status fs_remove_stale(const char *dir, bool dry_run, size_t *ret_count, struct error *err)
{
	struct stale stale = { .dir = dir, .remove = !dry_run };
	enum status status = fs_list(dir, meet_stale, &stale, err);

	if (status && status != STATUS_NOT_FOUND)
		return status;
	*ret_count = stale.count;
	return STATUS_OK;
}
