/*
 * Files.
 *
 * Invariants: every descriptor is opened close-on-exec; every call that can fail passes its fault
 * point first; opens, reads, writes and syncs interrupted by a signal are taken up again.
 * Must not know what any file means. Locks are in fs_lock.c.
 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/rng.h"
#include "base/text.h"

#include "base/banned.h"

/* --- raw calls: fault point, close-on-exec, EINTR ------------------------------------------- */

static bool injected(const char *point)
{
	int fault = fault_point(point);

	if (fault)
		errno = fault;
	return fault != 0;
}

static int raw_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	do {
		fd = injected("fs.open") ? -1 : openat(dir_fd, path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static ssize_t raw_read(int fd, void *data, size_t len)
{
	ssize_t got;

	do {
		got = injected("fs.read") ? -1 : read(fd, data, len);
	} while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t raw_pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t got;

	do {
		got = injected("fs.read") ? -1 : pread(fd, data, len, offset);
	} while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t raw_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	ssize_t put;

	do {
		put = injected("fs.write") ? -1 : pwrite(fd, data, len, offset);
	} while (put < 0 && errno == EINTR);
	return put;
}

static int raw_sync(int fd)
{
	int result;

	do {
		result = injected("fs.sync") ? -1 : fsync(fd);
	} while (result && errno == EINTR);
	return result;
}

static int raw_unlink(int dir_fd, const char *path, int flags)
{
	return injected("fs.unlink") ? -1 : unlinkat(dir_fd, path, flags);
}

/* --- failures --------------------------------------------------------------------------------- */

static enum status failed(struct error *err, int code, const char *action, const char *what)
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
			return failed(err, errno, "read", what);
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
	int fd AUTO_FD = raw_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return failed(err, errno, "open", path);
	if (fstat(fd, &info))
		return failed(err, errno, "examine", path);
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
			return failed(err, errno, "read", what);
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
			return failed(err, errno, "write", what);
		if (put == 0)
			return failed(err, EIO, "write", what);
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
		(void)raw_unlink(staged->dir_fd, staged->name, 0);
	cleanup_fd(&staged->fd);
	cleanup_fd(&staged->dir_fd);
}

/* "dir/name" → "dir" appended to @dir, and where the name starts in @path. */
static const char *split_path(const char *path, struct buf *dir)
{
	const char *slash = strrchr(path, '/');

	if (!slash) {
		buf_append_byte(dir, '.');
		return path;
	}
	buf_append(dir, path, slash == path ? 1 : (size_t)(slash - path));
	return slash + 1;
}

static enum status open_dir(const char *path, int *ret_fd, struct error *err)
{
	int fd = raw_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return failed(err, errno, "open directory", path);
	*ret_fd = fd;
	return STATUS_OK;
}

/* Some file systems cannot sync a directory and say EINVAL; then there is nothing more to do. */
static enum status sync_dir_fd(int fd, const char *path, struct error *err)
{
	if (raw_sync(fd) && errno != EINVAL)
		return failed(err, errno, "sync directory", path);
	return STATUS_OK;
}

/* Create the temporary file, with a name nobody else uses. */
static enum status stage_open(struct staged *staged, const char *path, const char *name,
			      struct error *err)
{
	/* A name that is taken is another process's, or a leftover: try another one, not for ever.
	 */
	for (int tries = 0; tries < 100 && staged->fd < 0; tries++) {
		uint8_t random[8];
		char hex[2 * sizeof(random) + 1];

		rng_bytes(random, sizeof(random));
		text_to_hex(random, sizeof(random), hex);
		(void)snprintf(staged->name, sizeof(staged->name), ".%.200s.%s.tmp", name, hex);
		staged->fd = raw_open(staged->dir_fd, staged->name,
				      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		if (staged->fd < 0 && errno != EEXIST)
			break;
	}
	if (staged->fd < 0)
		return failed(err, errno, "create a temporary file beside", path);
	staged->exists = true;
	return STATUS_OK;
}

static enum status stage_fill(const struct staged *staged, const char *path, mode_t mode,
			      struct slice content, struct error *err)
{
	enum status status;

	if (fchmod(staged->fd, mode))
		return failed(err, errno, "set the mode of", path);
	status = fs_pwrite(staged->fd, path, content.data, content.len, 0, err);
	if (status)
		return status;
	if (raw_sync(staged->fd))
		return failed(err, errno, "sync", path);
	return STATUS_OK;
}

static enum status publish_over(struct staged *staged, const char *path, const char *name,
				struct error *err)
{
	if (injected("fs.rename") || renameat(staged->dir_fd, staged->name, staged->dir_fd, name))
		return failed(err, errno, "replace", path);
	staged->exists = false;
	return STATUS_OK;
}

/* The temporary name goes when @staged is released. */
static enum status publish_new(const struct staged *staged, const char *path, const char *name,
			       struct error *err)
{
	if (!injected("fs.link") &&
	    linkat(staged->dir_fd, staged->name, staged->dir_fd, name, 0) == 0)
		return STATUS_OK;
	if (errno == EEXIST)
		return error_errno(err, STATUS_CONFLICT, EEXIST, "cannot create %s", path);
	return failed(err, errno, "create", path);
}

static enum status write_durable(const char *path, mode_t mode, struct slice content, bool replace,
				 struct error *err)
{
	struct staged staged AUTO(staged_release) = { .dir_fd = -1, .fd = -1 };
	struct buf dir AUTO(buf_release) = BUF_INIT;
	const char *name = split_path(path, &dir);
	enum status status = buf_status(&dir, err);

	if (status)
		return status;
	if (*name == '\0')
		return error_set(err, STATUS_USAGE, "\"%s\" does not name a file", path);
	/* Opened before anything is written: what cannot be synced afterwards is not begun. */
	status = open_dir(buf_str(&dir), &staged.dir_fd, err);
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
	return sync_dir_fd(staged.dir_fd, buf_str(&dir), err);
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
	int fd = raw_open(AT_FDCWD, path, flags | O_NOFOLLOW, mode);

	if (fd < 0)
		return failed(err, errno, "open", path);
	*ret_fd = fd;
	return STATUS_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

enum status fs_sync_dir(const char *path, struct error *err)
{
	int fd AUTO_FD = -1;
	enum status status = open_dir(path, &fd, err);

	return status ? status : sync_dir_fd(fd, path, err);
}

/* One directory whose parent exists. */
static enum status make_dir(const char *path, mode_t mode, struct error *err)
{
	struct buf parent AUTO(buf_release) = BUF_INIT;
	enum status status;

	if (fs_is_dir(path))
		return STATUS_OK;
	if (injected("fs.mkdir") || mkdir(path, mode)) {
		int code = errno;

		/* Another process may have made it meanwhile. */
		return code == EEXIST && fs_is_dir(path)
			       ? STATUS_OK
			       : failed(err, code, "make directory", path);
	}
	/* What the umask took away. */
	if (chmod(path, mode))
		return failed(err, errno, "set the mode of", path);
	(void)split_path(path, &parent);
	status = buf_status(&parent, err);
	return status ? status : fs_sync_dir(buf_str(&parent), err);
}

enum status fs_make_dirs(const char *path, mode_t mode, struct error *err)
{
	struct buf part AUTO(buf_release) = BUF_INIT;
	const char *at = path;

	while (*at) {
		size_t slashes = strspn(at, "/");
		size_t len = strcspn(at + slashes, "/");
		enum status status;

		if (len == 0)
			break;
		buf_append(&part, at, slashes + len);
		at += slashes + len;
		status = buf_status(&part, err);
		if (!status)
			status = make_dir(buf_str(&part), mode, err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

enum status fs_rename(const char *from, const char *to, struct error *err)
{
	if (injected("fs.rename") || rename(from, to)) {
		int code = errno;

		return error_errno(err, code == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, code,
				   "cannot rename %s to %s", from, to);
	}
	return STATUS_OK;
}

enum status fs_remove(const char *path, struct error *err)
{
	if (raw_unlink(AT_FDCWD, path, 0) && errno != ENOENT)
		return error_errno(err, STATUS_IO, errno, "cannot remove %s", path);
	return STATUS_OK;
}

bool fs_exists(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0;
}

bool fs_is_dir(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

void fs_join(struct buf *out, const char *dir, const char *name)
{
	size_t len = strlen(dir);
	bool rooted = len > 0 && dir[0] == '/';

	while (len > 0 && dir[len - 1] == '/')
		len--;
	buf_append(out, dir, len);
	if (len > 0 || rooted)
		buf_append_byte(out, '/');
	buf_append_str(out, name + strspn(name, "/"));
}

/* --- trees and lists -------------------------------------------------------------------------- */

enum { TREE_DEPTH_MAX = 64 };

/*
 * The directories between the root of a removal and where it is now, all open. names[i] is the name
 * of dirs[i] in its parent: it lies in the parent's DIR, which stays as it is until we read on
 * there.
 */
struct tree {
	size_t depth;
	DIR *dirs[TREE_DEPTH_MAX];
	int fds[TREE_DEPTH_MAX]; /* the descriptors of dirs, which own them */
	const char *names[TREE_DEPTH_MAX];
};

static void tree_release(struct tree *tree)
{
	while (tree->depth > 0)
		(void)closedir(tree->dirs[--tree->depth]);
}

static int tree_fd(const struct tree *tree)
{
	return tree->depth > 0 ? tree->fds[tree->depth - 1] : AT_FDCWD;
}

static enum status tree_enter(struct tree *tree, const char *name, int refusal, struct error *err)
{
	DIR *dir;
	int fd;

	if (tree->depth == TREE_DEPTH_MAX)
		return error_set(err, STATUS_IO, "cannot remove %s: nested too deeply", name);
	fd = raw_open(tree_fd(tree), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return failed(err, errno == ENOTDIR ? refusal : errno, "remove", name);
	dir = fdopendir(fd);
	if (!dir) {
		enum status status = failed(err, errno, "remove", name);

		(void)close(fd);
		return status;
	}
	tree->dirs[tree->depth] = dir;
	tree->fds[tree->depth] = fd;
	tree->names[tree->depth] = name;
	tree->depth++;
	return STATUS_OK;
}

/* Remove what is no directory at once; go into what is one. */
static enum status tree_visit(struct tree *tree, const char *name, struct error *err)
{
	if (raw_unlink(tree_fd(tree), name, 0) == 0 || errno == ENOENT)
		return STATUS_OK;
	/* POSIX says EPERM for a directory, Linux EISDIR. */
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, STATUS_IO, errno, "cannot remove %s", name);
	return tree_enter(tree, name, errno, err);
}

static enum status tree_leave(struct tree *tree, struct error *err)
{
	const char *name = tree->names[tree->depth - 1];

	(void)closedir(tree->dirs[--tree->depth]);
	if (raw_unlink(tree_fd(tree), name, AT_REMOVEDIR) && errno != ENOENT)
		return error_errno(err, STATUS_IO, errno, "cannot remove directory %s", name);
	return STATUS_OK;
}

static bool is_dot_or_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

enum status fs_remove_tree(const char *path, struct error *err)
{
	struct tree tree AUTO(tree_release) = { 0 };
	enum status status = tree_visit(&tree, path, err);

	while (!status && tree.depth > 0) {
		struct dirent *entry;

		errno = 0;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a stream of our own */
		entry = readdir(tree.dirs[tree.depth - 1]);
		if (!entry && errno)
			status = failed(err, errno, "list", tree.names[tree.depth - 1]);
		else if (!entry)
			status = tree_leave(&tree, err);
		else if (!is_dot_or_dots(entry->d_name))
			status = tree_visit(&tree, entry->d_name, err);
	}
	return status;
}

static int keep_entry(const struct dirent *entry)
{
	return !is_dot_or_dots(entry->d_name);
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

enum status fs_list(const char *path,
		    enum status (*each)(void *context, const char *name, struct error *err),
		    void *context, struct error *err)
{
	struct dirent **entries = NULL;
	enum status status = STATUS_OK;
	int count = injected("fs.open") ? -1 : scandir(path, &entries, keep_entry, compare_entries);

	if (count < 0)
		return failed(err, errno, "list", path);
	for (int i = 0; i < count; i++) {
		if (!status)
			status = each(context, entries[i]->d_name, err);
		free(entries[i]);
	}
	free((void *)entries);
	return status;
}

/* --- file systems ----------------------------------------------------------------------------- */

uint64_t fs_free_bytes(const char *path)
{
	struct statvfs info;
	uint64_t bytes;

	if (statvfs(path, &info) ||
	    __builtin_mul_overflow((uint64_t)info.f_bavail, (uint64_t)info.f_frsize, &bytes))
		return UINT64_MAX;
	return bytes;
}

static const struct {
	uint32_t magic;
	const char *kind;
} unfit_kinds[] = {
	{ NFS_SUPER_MAGIC,       "nfs"     },
        { CIFS_SUPER_MAGIC,      "cifs"    },
	{ SMB_SUPER_MAGIC,       "cifs"    },
        { SMB2_SUPER_MAGIC,      "cifs"    },
	{ V9FS_MAGIC,            "9p"      },
        { OVERLAYFS_SUPER_MAGIC, "overlay" },
};

const char *fs_unfit_kind(const char *path)
{
	struct statfs info;

	if (statfs(path, &info))
		return NULL;
	for (size_t i = 0; i < sizeof(unfit_kinds) / sizeof(unfit_kinds[0]); i++) {
		if (unfit_kinds[i].magic == (uint32_t)info.f_type)
			return unfit_kinds[i].kind;
	}
	return NULL;
}
