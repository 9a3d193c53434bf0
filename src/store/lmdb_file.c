/*
 * LMDB's data file, looked at before LMDB does; see lmdb_file.h.
 *
 * Invariants: nothing is mapped, nothing written; every number is checked before it is used.
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

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"

#include "base/banned.h"

/*
 * Where LMDB's data format 1, on a machine of 64 bits, keeps what we look at in each of the two
 * meta pages. Integers are native.
 */
enum {
	META_MAGIC_AT = 16,
	META_PAGE_BYTES_AT = 40,
	META_LAST_PAGE_AT = 136,
	META_TXN_AT = 144,
	META_BYTES = 152,
	META_PAGES = 2,
	PAGE_BYTES_MIN = 512,
	PAGE_BYTES_MAX = 64 * 1024,
	/* Of a file that is being written to, a read may catch half of a change. */
	EXAMINE_ATTEMPTS = 3,
};

#define META_MAGIC UINT32_C(0xbeefc0de)

struct meta {
	uint32_t page_bytes;
	uint64_t last_page;
	uint64_t txn;
};

static enum status read_meta(int fd, const char *path, uint64_t offset, struct meta *ret,
			     struct error *err)
{
	uint8_t bytes[META_BYTES];
	uint32_t page_magic;
	size_t len;
	enum status status = fs_pread(fd, path, bytes, sizeof(bytes), offset, &len, err);

	if (status)
		return status;
	if (len < sizeof(bytes))
		return error_set(err, STATUS_CORRUPT, "%s is cut off within its first pages", path);
	memcpy(&page_magic, bytes + META_MAGIC_AT, sizeof(page_magic));
	memcpy(&ret->page_bytes, bytes + META_PAGE_BYTES_AT, sizeof(ret->page_bytes));
	memcpy(&ret->last_page, bytes + META_LAST_PAGE_AT, sizeof(ret->last_page));
	memcpy(&ret->txn, bytes + META_TXN_AT, sizeof(ret->txn));
	if (page_magic != META_MAGIC)
		return error_set(err, STATUS_CORRUPT, "%s is not an LMDB file", path);
	/* LMDB divides by it. */
	if (ret->page_bytes < PAGE_BYTES_MIN || ret->page_bytes > PAGE_BYTES_MAX ||
	    (ret->page_bytes & (ret->page_bytes - 1)) != 0)
		return error_set(err, STATUS_CORRUPT, "%s has a damaged meta page", path);
	return STATUS_OK;
}

enum status lmdb_file_too_short(const char *path, struct error *err)
{
	return error_set(err, STATUS_CORRUPT,
			 "%s is shorter than the pages it says it has: it was cut off", path);
}

/* The meta page that counts. */
static enum status read_newest(int fd, const char *path, struct meta *ret, struct error *err)
{
	struct meta meta[META_PAGES] = { { .page_bytes = 0 } };
	enum status status = read_meta(fd, path, 0, &meta[0], err);

	if (!status)
		status = read_meta(fd, path, meta[0].page_bytes, &meta[1], err);
	if (status)
		return status;
	if (meta[0].page_bytes != meta[1].page_bytes)
		return error_set(err, STATUS_CORRUPT, "%s has a damaged meta page", path);
	*ret = meta[1].txn > meta[0].txn ? meta[1] : meta[0];
	return STATUS_OK;
}

static enum status examine_fd(int fd, const char *path, struct error *err)
{
	struct meta newest = { .page_bytes = 0 };
	struct stat info;
	enum status status = read_newest(fd, path, &newest, err);

	if (status)
		return status;
	assert(newest.page_bytes >= PAGE_BYTES_MIN); /* read_meta() saw to it */
	/* After the pages were read: a writer only makes the file longer. */
	if (fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
	if (newest.last_page >= (uint64_t)info.st_size / newest.page_bytes)
		return lmdb_file_too_short(path, err);
	return STATUS_OK;
}

/* LMDB would map as much as a meta page says, divide by its page size and touch what is not there.
 */
enum status lmdb_file_examine(const char *path, struct error *err)
{
	int fd AUTO_FD = -1;
	enum status status = fs_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, err);
	struct error why = ERROR_INIT;

	if (status)
		return status;
	for (int i = 0; i < EXAMINE_ATTEMPTS; i++) {
		status = examine_fd(fd, path, &why);
		if (status != STATUS_CORRUPT)
			break;
	}
	if (status && err)
		*err = why;
	return status;
}

enum status lmdb_file_transaction(const char *path, uint64_t *ret, struct error *err)
{
	struct meta newest;
	int fd AUTO_FD = -1;
	enum status status = fs_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, err);

	if (!status)
		status = read_newest(fd, path, &newest, err);
	if (!status)
		*ret = newest.txn;
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
