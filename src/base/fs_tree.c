/*
 * Directories and names: making, renaming, removing, listing; and what file system they are on; see
 * fs.h.
 *
 * Invariants as in fs.c. Removing a tree follows no link and uses no recursion.
 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs_raw.h"

#include "base/banned.h"

/* --- names ------------------------------------------------------------------------------------ */

enum status fs_sync_dir(const char *path, struct error *err)
{
	int fd AUTO_FD = -1;
	enum status status = fs_open_dir(path, &fd, err);

	return status ? status : fs_sync_dir_fd(fd, path, err);
}

/* One directory whose parent exists. */
static enum status make_dir(const char *path, mode_t mode, struct error *err)
{
	struct buf parent AUTO(buf_release) = BUF_INIT;
	enum status status;

	if (fs_is_dir(path))
		return STATUS_OK;
	if (fs_raw_fault("fs.mkdir") || mkdir(path, mode)) {
		int code = errno;

		/* Another process may have made it meanwhile. */
		return code == EEXIST && fs_is_dir(path)
			       ? STATUS_OK
			       : fs_failed(err, code, "make directory", path);
	}
	/* What the umask took away. */
	if (chmod(path, mode))
		return fs_failed(err, errno, "set the mode of", path);
	(void)fs_split_path(path, &parent);
	status = buf_status(&parent, err);
	return status ? status : fs_sync_dir(buf_str(&parent), err);
}

enum status fs_make_dirs(const char *path, mode_t mode, struct error *err)
{
	struct buf part AUTO(buf_release) = BUF_INIT;
	const char *at = path;

	if (fs_raw_no_path(path))
		return error_no_memory(err);
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
	struct buf parent AUTO(buf_release) = BUF_INIT;
	enum status status;

	if (fs_raw_no_path(from) || fs_raw_no_path(to))
		return error_no_memory(err);
	if (fs_raw_fault("fs.rename") || rename(from, to)) {
		int code = errno;

		return error_errno(err, code == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, code,
				   "cannot rename %s to %s", from, to);
	}
	(void)fs_split_path(to, &parent);
	status = buf_status(&parent, err);
	return status ? status : fs_sync_dir(buf_str(&parent), err);
}

enum status fs_remove(const char *path, struct error *err)
{
	if (fs_raw_no_path(path))
		return error_no_memory(err);
	if (fs_raw_unlink(AT_FDCWD, path, 0) && errno != ENOENT)
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
	fd = fs_raw_open(tree_fd(tree), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fs_failed(err, errno == ENOTDIR ? refusal : errno, "remove", name);
	dir = fdopendir(fd);
	if (!dir) {
		enum status status = fs_failed(err, errno, "remove", name);

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
	if (fs_raw_unlink(tree_fd(tree), name, 0) == 0 || errno == ENOENT)
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
	if (fs_raw_unlink(tree_fd(tree), name, AT_REMOVEDIR) && errno != ENOENT)
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
	enum status status =
		fs_raw_no_path(path) ? error_no_memory(err) : tree_visit(&tree, path, err);

	while (!status && tree.depth > 0) {
		struct dirent *entry;

		errno = 0;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): safe on a stream of our own */
		entry = readdir(tree.dirs[tree.depth - 1]);
		if (!entry && errno)
			status = fs_failed(err, errno, "list", tree.names[tree.depth - 1]);
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
	int count = -1;

	if (!fs_raw_no_path(path) && !fs_raw_fault("fs.open"))
		count = scandir(path, &entries, keep_entry, compare_entries);
	if (count < 0)
		return fs_failed(err, errno, "list", path);
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

bool fs_is_read_only(const char *path)
{
	struct statvfs info;

	return statvfs(path, &info) == 0 && info.f_flag & ST_RDONLY;
}

static const struct {
	uint32_t magic;
	const char *kind;
} unfit_kinds[] = {
	{ NFS_SUPER_MAGIC, "nfs" },  { CIFS_SUPER_MAGIC, "cifs" },
	{ SMB_SUPER_MAGIC, "cifs" }, { SMB2_SUPER_MAGIC, "cifs" },
	{ V9FS_MAGIC, "9p" },        { OVERLAYFS_SUPER_MAGIC, "overlay" },
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
