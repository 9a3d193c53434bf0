/*
 * Checksums of SQLite's pages; see page_check.h.
 *
 * A thin layer over SQLite's default file system: main database files are wrapped, whose reads and
 * writes of whole pages are looked at; everything else is passed on untouched.
 */
#include "projections/page_check.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#include "base/banned.h"

enum {
	CONTENT_BYTES = PAGE_CHECK_PAGE_BYTES - PAGE_CHECK_BYTES,
	FILE_ID_AT = 68, /* in the header of a database (SQLite's file format, section 1.3) */
	FILE_ID_BYTES = 4,
};

_Static_assert(PAGE_CHECK_BYTES == crypto_shorthash_BYTES, "the checksum is one short hash");

/* SQLite allocates it, and the wrapped file behind it. */
struct checked_file {
	sqlite3_file file;
};

static sqlite3_file *inner_of(sqlite3_file *file)
{
	return (sqlite3_file *)((struct checked_file *)file + 1);
}

/* --- pages ------------------------------------------------------------------------------------ */

static bool is_page(int len, sqlite3_int64 offset)
{
	return len == PAGE_CHECK_PAGE_BYTES && offset % PAGE_CHECK_PAGE_BYTES == 0;
}

/* Over the content; the key holds the page's number, so that a page in another's place fails. */
static void checksum(const uint8_t *page, sqlite3_int64 offset, uint8_t ret[PAGE_CHECK_BYTES])
{
	uint8_t key[crypto_shorthash_KEYBYTES] = "........provenv";
	int64_t number = offset / PAGE_CHECK_PAGE_BYTES;

	memcpy(key, &number, sizeof(number));
	(void)crypto_shorthash(ret, page, CONTENT_BYTES, key);
}

static int read_checked(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
	sqlite3_file *inner = inner_of(file);
	int code = inner->pMethods->xRead(inner, data, len, offset);
	uint8_t sum[PAGE_CHECK_BYTES];

	/* A part of a page, which SQLite would fill up with zeros. */
	if (code == SQLITE_IOERR_SHORT_READ && is_page(len, offset))
		return SQLITE_IOERR_DATA;
	if (code != SQLITE_OK || !is_page(len, offset))
		return code;
	checksum(data, offset, sum);
	if (memcmp(sum, (const uint8_t *)data + CONTENT_BYTES, sizeof(sum)) != 0)
		return SQLITE_IOERR_DATA;
	return SQLITE_OK;
}

static int write_checked(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	sqlite3_file *inner = inner_of(file);
	uint8_t page[PAGE_CHECK_PAGE_BYTES];

	if (!is_page(len, offset))
		return inner->pMethods->xWrite(inner, data, len, offset);
	memcpy(page, data, CONTENT_BYTES);
	checksum(page, offset, page + CONTENT_BYTES);
	return inner->pMethods->xWrite(inner, page, len, offset);
}

/* --- what is passed on ------------------------------------------------------------------------ */

static int pass_close(sqlite3_file *file)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xClose(inner);
}

static int pass_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xTruncate(inner, size);
}

static int pass_sync(sqlite3_file *file, int flags)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xSync(inner, flags);
}

static int pass_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xFileSize(inner, ret);
}

static int pass_lock(sqlite3_file *file, int level)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xLock(inner, level);
}

static int pass_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xUnlock(inner, level);
}

static int pass_reserved(sqlite3_file *file, int *ret)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xCheckReservedLock(inner, ret);
}

static int pass_control(sqlite3_file *file, int operation, void *argument)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xFileControl(inner, operation, argument);
}

static int pass_sector(sqlite3_file *file)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xSectorSize(inner);
}

static int pass_characteristics(sqlite3_file *file)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xDeviceCharacteristics(inner);
}

static int pass_shm_map(sqlite3_file *file, int page, int len, int extend, void volatile **ret)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xShmMap(inner, page, len, extend, ret);
}

static int pass_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xShmLock(inner, offset, count, flags);
}

static void pass_shm_barrier(sqlite3_file *file)
{
	sqlite3_file *inner = inner_of(file);

	inner->pMethods->xShmBarrier(inner);
}

static int pass_shm_unmap(sqlite3_file *file, int remove)
{
	sqlite3_file *inner = inner_of(file);

	return inner->pMethods->xShmUnmap(inner, remove);
}

/* Version 2: without mapped pages, which nobody could look at. */
static const sqlite3_io_methods checked_methods = {
	.iVersion = 2,
	.xClose = pass_close,
	.xRead = read_checked,
	.xWrite = write_checked,
	.xTruncate = pass_truncate,
	.xSync = pass_sync,
	.xFileSize = pass_size,
	.xLock = pass_lock,
	.xUnlock = pass_unlock,
	.xCheckReservedLock = pass_reserved,
	.xFileControl = pass_control,
	.xSectorSize = pass_sector,
	.xDeviceCharacteristics = pass_characteristics,
	.xShmMap = pass_shm_map,
	.xShmLock = pass_shm_lock,
	.xShmBarrier = pass_shm_barrier,
	.xShmUnmap = pass_shm_unmap,
};

/* --- the file system -------------------------------------------------------------------------- */

static sqlite3_vfs checked_vfs;
static pthread_once_t checked_once = PTHREAD_ONCE_INIT;

static int open_checked(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
			int *ret_flags)
{
	sqlite3_vfs *real = vfs->pAppData;
	int code;

	if (!(flags & SQLITE_OPEN_MAIN_DB))
		return real->xOpen(real, name, file, flags, ret_flags);
	file->pMethods = NULL;
	code = real->xOpen(real, name, inner_of(file), flags, ret_flags);
	/* SQLite closes what has methods, also after a failure. */
	if (inner_of(file)->pMethods)
		file->pMethods = &checked_methods;
	return code;
}

/* The default file system, but for opening; its functions take it as it is, by its layout. */
static void register_checked(void)
{
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	if (!real)
		return;
	checked_vfs = *real;
	checked_vfs.pNext = NULL;
	checked_vfs.zName = "provenv-pages";
	checked_vfs.szOsFile = (int)sizeof(struct checked_file) + real->szOsFile;
	checked_vfs.pAppData = real;
	checked_vfs.xOpen = open_checked;
	if (sqlite3_vfs_register(&checked_vfs, 0) != SQLITE_OK)
		checked_vfs.zName = NULL;
}

const char *page_check_vfs(void)
{
	(void)pthread_once(&checked_once, register_checked);
	return checked_vfs.zName;
}

int page_check_reserve(sqlite3 *handle)
{
	int bytes = PAGE_CHECK_BYTES;

	return sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

int page_check_file_id(sqlite3 *handle, uint32_t *ret)
{
	uint8_t bytes[FILE_ID_BYTES];
	sqlite3_file *file = NULL;
	int code = sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);

	if (code == SQLITE_OK && (!file || !file->pMethods))
		code = SQLITE_IOERR_DATA;
	if (code == SQLITE_OK)
		code = file->pMethods->xRead(file, bytes, sizeof(bytes), FILE_ID_AT);
	if (code == SQLITE_IOERR_SHORT_READ)
		code = SQLITE_IOERR_DATA;
	if (code == SQLITE_OK)
		*ret = load_u32be(bytes);
	return code;
}
