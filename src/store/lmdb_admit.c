/*
 * The files of an LMDB environment before LMDB has them; see lmdb_admit.h.
 *
 * Invariant: what is written here is written with the directory locked exclusively, after it was
 * examined under that lock.
 */
#include "store/lmdb_admit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_file.h"

#include "base/banned.h"

enum {
	DATA_FILE_MODE = 0600,
	/* How long mending waits for others to close the file. */
	ALONE_WAIT_MS = 5000,
	/* What LMDB maps of its lock file: a header and a slot of 64 bytes for each of 1024
	 * readers, up to the end of the page. */
	LOCK_FILE_BYTES = 68 * 1024,
	LOCK_FILE_USED_BYTES = 4096, /* of it, by the first 61 readers */
	BLOCK_BYTES = 512,           /* of st_blocks */
};

/* --- finding ---------------------------------------------------------------------------------- */

/* LMDB's locks are record locks and shared memory: over a network neither holds. Without locks
 * there is nothing to break. */
static enum status check_file_system(const char *dir, const struct evlog_lmdb_options *options,
				     struct error *err)
{
	const char *kind = fs_unfit_kind(dir);

	if (!kind || options->no_lock || strcmp(kind, "overlay") == 0)
		return STATUS_OK;
	(void)error_set(err, STATUS_IO, "%s is on a network file system (%s), which is unfit", dir,
			kind);
	return error_hint(err, STATUS_IO, "keep the store on a local disk");
}

static enum status create_file(const char *path, struct stat *ret_info, struct error *err)
{
	int fd AUTO_FD = -1;
	bool exists;
	/* Not O_EXCL: two may create at once, and LMDB's locks decide who is first. */
	enum status status = fs_open(path, O_WRONLY | O_CREAT, DATA_FILE_MODE, &fd, err);

	return status ? status : lmdb_file_check_plain(path, &exists, ret_info, err);
}

enum status lmdb_admit_find(const struct lmdb_admission *admission, struct stat *ret_info,
			    struct error *err)
{
	const char *path = admission->data_path;
	bool exists = false;
	enum status status = check_file_system(admission->dir, &admission->options, err);

	if (!status)
		status = lmdb_file_check_plain(admission->lock_path, &exists, ret_info, err);
	if (!status)
		status = lmdb_file_check_plain(path, &exists, ret_info, err);
	if (status || exists)
		return status;
	if (admission->options.create)
		return create_file(path, ret_info, err);
	return error_set(err, STATUS_NO_STORE, "there is no log at %s", admission->dir);
}

/* --- looking and mending ---------------------------------------------------------------------- */

static enum status lock_shared(const struct lmdb_admission *admission, int *ret_fd,
			       struct error *err)
{
	struct buf dir AUTO(buf_release) = BUF_INIT;
	enum status status;

	if (admission->options.no_lock)
		return STATUS_OK;
	/* The dot, so that a log reached over a link is not refused. */
	fs_join(&dir, admission->dir, ".");
	status = buf_status(&dir, err);
	if (!status)
		status = fs_open(buf_str(&dir), O_RDONLY | O_DIRECTORY, 0, ret_fd, err);
	/* It may be looked into by name only; then it is not written to either. */
	if (status && errno == EACCES && admission->options.read_only)
		return STATUS_OK;
	return status ? status : fs_lock(*ret_fd, admission->dir, false, ALONE_WAIT_MS, err);
}

/* Who only looks cannot know better than that it may have been a log. */
static enum status may_empty(const struct lmdb_admission *admission, struct error *err)
{
	if (admission->options.create)
		return STATUS_OK;
	if (admission->options.read_only || admission->options.no_lock) {
		(void)error_set(err, STATUS_CORRUPT, "%s holds nothing: it was cut off",
				admission->data_path);
		return error_hint(err, STATUS_CORRUPT,
				  "restore it from a copy; if its creation was interrupted, create "
				  "it again");
	}
	(void)error_set(err, STATUS_NO_STORE, "the log at %s was never finished", admission->dir);
	return error_hint(err, STATUS_NO_STORE, "create it again");
}

static enum status may_mend(const struct lmdb_admission *admission, const struct lmdb_file *file,
			    struct error *err)
{
	if (file->condition == LMDB_FILE_UNUSED)
		return may_empty(admission, err);
	if (file->events < admission->options.events_known)
		return lmdb_file_torn(admission->data_path, err);
	if (!admission->options.read_only)
		return STATUS_OK;
	(void)error_set(err, STATUS_CORRUPT, "the last write to %s was torn by a crash",
			admission->data_path);
	return error_hint(
		err, STATUS_CORRUPT,
		"run a command that may write to the store, which mends it: provenv status");
}

/* Examine it once more with nobody else at it, and mend it. The lock is shared again after. */
static enum status mend_alone(const struct lmdb_admission *admission, int lock_fd, int data_fd,
			      struct lmdb_file *file, struct error *err)
{
	enum status status = fs_lock(lock_fd, "the log, to mend it", true, ALONE_WAIT_MS, err);

	if (!status)
		status = lmdb_file_examine(data_fd, admission->data_path, file, err);
	if (!status && file->condition != LMDB_FILE_SOUND)
		status = may_mend(admission, file, err);
	if (!status && file->condition != LMDB_FILE_SOUND)
		status = lmdb_file_mend(data_fd, admission->data_path, file, err);
	if (status)
		return status;
	return fs_lock(lock_fd, admission->dir, false, ALONE_WAIT_MS, err);
}

static enum status examine(const struct lmdb_admission *admission, int lock_fd, int data_fd,
			   struct error *err)
{
	struct lmdb_file file;
	enum status status = lmdb_file_examine(data_fd, admission->data_path, &file, err);

	if (status || file.condition == LMDB_FILE_SOUND)
		return status;
	status = may_mend(admission, &file, err);
	if (status)
		return status;
	return mend_alone(admission, lock_fd, data_fd, &file, err);
}

/*
 * LMDB makes its lock file by a mere change of length, and writes to it through a map. Where the
 * disk is full that ends the process by SIGBUS, as if a page of the store were damaged: so the file
 * is given its blocks first, or at least those that nearly all do with. A file system that cannot
 * give any beforehand has to be taken as it is.
 *
 * Closing the file drops the record locks that this process has on it; before LMDB opens the file
 * there are none.
 */
static enum status fill_lock_file(const struct lmdb_admission *admission, struct error *err)
{
	static const int wanted[] = { LOCK_FILE_BYTES, LOCK_FILE_USED_BYTES };
	const char *path = admission->lock_path;
	int fd AUTO_FD = -1;
	struct stat info;

	if (admission->options.no_lock)
		return STATUS_OK;
	/* Who may not open it is told so by LMDB, which may do without. */
	if (fs_open(path, O_RDWR | O_CREAT | O_NONBLOCK, DATA_FILE_MODE, &fd, NULL))
		return STATUS_OK;
	if (fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (info.st_blocks >= wanted[i] / BLOCK_BYTES ||
		    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, wanted[i]) == 0 ||
		    (errno != ENOSPC && errno != EDQUOT))
			return STATUS_OK;
	}
	return error_errno(err, STATUS_IO, errno, "cannot make room for %s", path);
}

enum status lmdb_admit(const struct lmdb_admission *admission, int *ret_lock_fd, size_t *ret_bytes,
		       struct error *err)
{
	int how = admission->options.read_only || admission->options.no_lock ? O_RDONLY : O_RDWR;
	int lock_fd AUTO_FD = -1;
	int data_fd AUTO_FD = -1;
	struct stat info;
	enum status status = lock_shared(admission, &lock_fd, err);

	if (!status)
		status = fs_open(admission->data_path, how | O_NONBLOCK, 0, &data_fd, err);
	if (!status)
		status = examine(admission, lock_fd, data_fd, err);
	if (!status)
		status = fill_lock_file(admission, err);
	if (status)
		return status;
	if (fstat(data_fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s",
				   admission->data_path);
	*ret_bytes = (size_t)info.st_size;
	*ret_lock_fd = lock_fd;
	lock_fd = -1;
	return STATUS_OK;
}
