/*
 * LMDB's data file, looked at before LMDB does; see lmdb_file.h.
 *
 * Invariants: nothing is mapped; every number is checked before it is used; nothing is written but
 * by lmdb_file_mend().
 * Must not be called on a file that LMDB has open in this process: closing a descriptor drops the
 * process's record locks on the file.
 */
#include "store/lmdb_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/lmdb_meta.h"

#include "base/banned.h"

/* Of a file that is being written to, a read may catch half of a change. */
enum { EXAMINE_ATTEMPTS = 64 };

enum status lmdb_file_too_short(const char *path, struct error *err)
{
	return error_set(err, STATUS_CORRUPT,
			 "%s is shorter than the pages it says it has: it was cut off", path);
}

/* Are all pages there that the meta page counts? */
static enum status check_extent(int fd, const char *path, const struct lmdb_meta *meta,
				struct error *err)
{
	struct stat info;

	/* After the meta page was read: a writer only makes the file longer. */
	if (fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
	if (meta->last_page >= (uint64_t)info.st_size / meta->page_bytes)
		return lmdb_file_too_short(path, err);
	return STATUS_OK;
}

/* After a judgement that left an errno. */
static enum status unreadable(const char *path, struct error *err)
{
	return error_errno(err, STATUS_IO, errno, "cannot read %s", path);
}

/* One look. *ret_txn: the newest transaction, by which a writer at work is known. */
static enum status examine_once(int fd, const char *path, struct lmdb_file *ret, uint64_t *ret_txn,
				struct error *err)
{
	enum status status;
	unsigned newest;

	*ret = (struct lmdb_file){ .condition = LMDB_FILE_SOUND };
	*ret_txn = 0;
	if (lmdb_meta_never_used(fd)) {
		ret->condition = LMDB_FILE_UNUSED;
		return STATUS_OK;
	}
	if (errno)
		return unreadable(path, err);
	status = lmdb_meta_read(fd, path, ret->meta, err);
	if (status)
		return status;
	newest = lmdb_meta_newest(ret->meta);
	*ret_txn = ret->meta[newest].txn;
	ret->whole = newest;
	if (!lmdb_meta_is_sound(fd, &ret->meta[newest], &ret->events) && !errno &&
	    lmdb_meta_is_sound(fd, &ret->meta[1 - newest], &ret->events) &&
	    (ret->meta[1 - newest].txn || !lmdb_meta_is_foreign(fd, &ret->meta[newest])) &&
	    !errno) {
		ret->condition = LMDB_FILE_TORN;
		ret->whole = 1 - newest;
	}
	/* A commit that cannot be read was not torn: it is not taken back for that. */
	if (errno)
		return unreadable(path, err);
	return check_extent(fd, path, &ret->meta[ret->whole], err);
}

enum status lmdb_file_examine(int fd, const char *path, struct lmdb_file *ret, struct error *err)
{
	struct lmdb_file file = { .condition = LMDB_FILE_SOUND };
	enum status status = STATUS_OK;
	struct error why = ERROR_INIT;
	uint64_t txn = 0, before;

	/* What looks damaged, and stays as it is, is damaged. */
	for (int i = 0; i < EXAMINE_ATTEMPTS; i++) {
		before = txn;
		status = examine_once(fd, path, &file, &txn, &why);
		if (!status && file.condition == LMDB_FILE_SOUND)
			break;
		if (i > 0 && txn == before)
			break;
	}
	if (status) {
		if (err)
			*err = why;
		return status;
	}
	*ret = file;
	return STATUS_OK;
}

enum status lmdb_file_mend(int fd, const char *path, const struct lmdb_file *file,
			   struct error *err)
{
	assert(file->condition != LMDB_FILE_SOUND);
	if (file->condition == LMDB_FILE_TORN)
		return lmdb_meta_restore(fd, path, file->meta, file->whole, err);
	if (ftruncate(fd, 0))
		return error_errno(err, STATUS_IO, errno, "cannot empty %s", path);
	return STATUS_OK;
}

enum status lmdb_file_torn(const char *path, struct error *err)
{
	(void)error_set(err, STATUS_CORRUPT,
			"the last write to %s was torn, and the one before it is older than what "
			"is known to have been there",
			path);
	return error_hint(err, STATUS_CORRUPT, "restore the log from a copy, or salvage it");
}

enum status lmdb_file_transaction(const char *path, uint64_t *ret, struct error *err)
{
	struct lmdb_meta meta[LMDB_META_PAGES];
	int fd AUTO_FD = -1;
	enum status status = fs_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, err);

	if (!status)
		status = lmdb_meta_read(fd, path, meta, err);
	if (!status)
		*ret = meta[lmdb_meta_newest(meta)].txn;
	return status;
}

enum status lmdb_file_check_unmoved(const char *path, uint64_t before, struct error *err)
{
	uint64_t after = before;

	if (!before || lmdb_file_transaction(path, &after, NULL) || after == before)
		return STATUS_OK;
	(void)error_set(err, STATUS_LOCKED,
			"%s is being written to, and the lock.mdb beside it, which would keep its "
			"pages for us, cannot be written",
			path);
	return error_hint(err, STATUS_LOCKED, "try again when nobody writes, or read a copy");
}

enum status lmdb_file_check_plain(const char *path, bool *ret_exists, struct stat *ret_info,
				  struct error *err)
{
	if (lstat(path, ret_info)) {
		if (errno != ENOENT)
			return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
		*ret_exists = false;
		return STATUS_OK;
	}
	if (!S_ISREG(ret_info->st_mode))
		return error_set(err, STATUS_IO, "%s is not a regular file", path);
	*ret_exists = true;
	return STATUS_OK;
}
