/*
 * Pages of a SQLite file that know what they held: an SQLite file system (VFS) that ends each page
 * with a checksum of its content and number, and gives out no page that fails it.
 *
 * SQLite itself does not notice when bytes of a row change: of 28,672 single-bit flips 27 % changed
 * rows that integrity_check calls sound (measured). With this layer they are SQLITE_IOERR_DATA.
 * Pages in the write-ahead log have checksums of SQLite's own, looked at by whoever opens it first.
 *
 * For databases made with it: PAGE_CHECK_BYTES of each page are reserved. Not against forgery: the
 * state is compared with the signed log for that.
 */
#ifndef PROVENV_PROJECTIONS_PAGE_CHECK_H
#define PROVENV_PROJECTIONS_PAGE_CHECK_H

#include <sqlite3.h>
#include <stdint.h>

enum {
	PAGE_CHECK_PAGE_BYTES = 4096,
	PAGE_CHECK_BYTES = 8, /* at the end of each page */
};

/*
 * The name to open databases with, after registering on the first call; NULL when there is no
 * memory. Thread-safe.
 */
const char *page_check_vfs(void);

/* Reserve the room in a database that has no page yet. Returns an SQLite code. */
int page_check_reserve(sqlite3 *handle);

/*
 * The application id in the header of the file itself, whatever the write-ahead log beside it says;
 * by it a file is known from another one. Returns an SQLite code; SQLITE_IOERR_DATA: there is none.
 */
int page_check_file_id(sqlite3 *handle, uint32_t *ret);

#endif
