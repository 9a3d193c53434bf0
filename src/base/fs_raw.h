/*
 * What fs.c and fs_tree.c share: system calls that pass their fault point first and are taken up
 * again after a signal, and the words for their failures. Of no use outside base.
 */
#ifndef PROVENV_BASE_FS_RAW_H
#define PROVENV_BASE_FS_RAW_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Did the fault point of this name fire? errno says with what. */
bool fs_raw_fault(const char *point);

/* As openat(), close-on-exec. */
int fs_raw_open(int dir_fd, const char *path, int flags, mode_t mode);
/* As fsync(). */
int fs_raw_sync(int fd);
/*
 * What a buffer holds that ran out of memory while a path was put together in it. Then errno is
 * ENOMEM: it must not look like a file that is not there.
 */
bool fs_raw_no_path(const char *path);
/* As unlinkat(). */
int fs_raw_unlink(int dir_fd, const char *path, int flags);

/* "cannot @action @what": NOT_FOUND, NO_MEMORY or IO, by @code. */
enum status fs_failed(struct error *err, int code, const char *action, const char *what);

/* "dir/name" → "dir" appended to @dir, and where the name starts in @path. */
const char *fs_split_path(const char *path, struct buf *dir);

/* NOT_FOUND, NO_MEMORY or IO. The caller closes. */
enum status fs_open_dir(const char *path, int *ret_fd, struct error *err);

/* Some file systems cannot sync a directory and say EINVAL; then there is nothing more to do. */
enum status fs_sync_dir_fd(int fd, const char *path, struct error *err);

#endif
