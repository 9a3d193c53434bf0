/*
 * Files. Durable writes, whole reads with a bound, directories; each call passes a fault point
 * named "fs.<call>" so that tests can make the n-th one fail.
 *
 * An empty path is what a buffer holds that ran out of memory: NO_MEMORY, whoever gets it.
 *
 * LMDB and SQLite do their own I/O; everything else goes through here.
 */
#ifndef PROVENV_BASE_FS_H
#define PROVENV_BASE_FS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Append the whole content of @path to @ret, which stays as it was on failure. Follows links.
 *
 * @bytes_max  a file larger than this is refused before anything is allocated
 * NOT_FOUND   there is no such file
 * USAGE       larger than @bytes_max, or not a regular file (a FIFO would block for ever)
 * IO          anything else
 */
enum status fs_read_file(const char *path, size_t bytes_max, struct buf *ret, struct error *err);

/* As fs_read_file() for an open descriptor such as standard input, which may be a pipe. */
enum status fs_read_fd(int fd, const char *what, size_t bytes_max, struct buf *ret,
		       struct error *err);

/*
 * Write @content to @path so that after a crash it is wholly old or wholly new: temporary file
 * beside it, fsync, rename, fsync of the directory. @mode is exact, whatever the umask. A link at
 * @path is replaced, not followed. On failure no temporary file stays behind; when only the last
 * step, the sync of the directory, failed, the new content is in place but may not survive a crash.
 */
enum status fs_write_durable(const char *path, mode_t mode, struct slice content,
			     struct error *err);

/* As fs_write_durable(), but CONFLICT when @path exists already (link(2), never overwrites). */
enum status fs_create_durable(const char *path, mode_t mode, struct slice content,
			      struct error *err);

/* Is it the name of a temporary file of the two functions above, ".NAME.<16 hex digits>.tmp"? */
bool fs_is_staged(const char *name);
/*
 * Remove the temporary files in @dir that a crash left: those that nobody is writing. OK when there
 * is no such directory.
 *
 * @ret_count  how many there were; with @dry_run they stay
 */
enum status fs_remove_stale(const char *dir, bool dry_run, size_t *ret_count, struct error *err);

/* Open with O_CLOEXEC | O_NOFOLLOW and @flags. NOT_FOUND or IO. */
enum status fs_open(const char *path, int flags, mode_t mode, int *ret_fd, struct error *err);

/* pwrite all of it at @offset, retrying EINTR and short writes. */
enum status fs_pwrite(int fd, const char *what, const void *data, size_t len, uint64_t offset,
		      struct error *err);
/* pread up to @len bytes; a short count means end of file. */
enum status fs_pread(int fd, const char *what, void *data, size_t len, uint64_t offset,
		     size_t *ret_len, struct error *err);

/* Make a directory and its missing parents, durably. OK when it exists. Every directory we make
 * gets
 * @mode, whatever the umask. */
enum status fs_make_dirs(const char *path, mode_t mode, struct error *err);
enum status fs_sync_dir(const char *path, struct error *err);
/*
 * Rename within one directory, durably. After IO the new name may be there, not yet durable.
 * NOT_FOUND: there is no @from.
 */
enum status fs_rename(const char *from, const char *to, struct error *err);
/* Remove a file. OK when it does not exist. */
enum status fs_remove(const char *path, struct error *err);
/* Remove a directory, at most 64 levels deep, and everything below it, without following links; a
 * @path that is a file or a link is removed itself. OK when absent. */
enum status fs_remove_tree(const char *path, struct error *err);

bool fs_exists(const char *path);
bool fs_is_dir(const char *path);

/* Call @each for every entry but "." and "..", in byte order of names, until it fails. */
enum status fs_list(const char *path,
		    enum status (*each)(void *context, const char *name, struct error *err),
		    void *context, struct error *err);

/* Free bytes on the file system of @path, or UINT64_MAX when unknown. */
uint64_t fs_free_bytes(const char *path);

/* Is the file system of @path mounted read-only? False when that cannot be told. */
bool fs_is_read_only(const char *path);

/* A name for the kind of file system of @path when it is unfit for the log ("nfs", "cifs", "9p",
 * "overlay"), or NULL when it is fit or @path cannot be examined. */
const char *fs_unfit_kind(const char *path);

/*
 * Exclusive or shared flock on @fd, waiting at most @wait_ms. Waiters queue in the kernel, so the
 * lock is fair. LOCKED when the time is up. Uses a timer and SIGALRM only while it waits: the
 * process's handler is replaced for that time, and the signal unblocked in the calling thread.
 */
enum status fs_lock(int fd, const char *what, bool exclusive, uint64_t wait_ms, struct error *err);

/* Append "dir/name", joined with one slash; only @name when @dir is empty. */
void fs_join(struct buf *out, const char *dir, const char *name);

#endif
