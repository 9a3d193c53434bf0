/*
 * The data file of an LMDB environment, looked at before LMDB is given it: LMDB maps as much as a
 * meta page says, divides by its page size, and touches what is not there.
 */
#ifndef PROVENV_STORE_LMDB_FILE_H
#define PROVENV_STORE_LMDB_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

/*
 * Is @path a file of its own? LMDB opens its files through links; a planted one must not lead it
 * elsewhere. IO when it is a link, a directory or the like.
 *
 * @ret_info  filled when *ret_exists
 */
enum status lmdb_file_check_plain(const char *path, bool *ret_exists, struct stat *ret_info,
				  struct error *err);

/*
 * Look at both meta pages and the length. No environment of this process may have @path open.
 *
 * CORRUPT  not an LMDB file, a damaged meta page, or shorter than its pages
 */
enum status lmdb_file_examine(const char *path, struct error *err);

/*
 * The number of the last transaction that was committed to it. As lmdb_file_examine(), and with
 * the same condition, but that an environment opened without locks has none to lose.
 */
enum status lmdb_file_transaction(const char *path, uint64_t *ret, struct error *err);

/*
 * For who read @path without its lock and met damage: without it nothing keeps a writer from using
 * pages again that are being read, so that what was found may be the writer's doing.
 *
 * @before  the last transaction before the reading began; 0: not known, or it had the lock
 * OK       nothing was committed since, or that cannot be told: what was found stands
 * LOCKED   it is being written to: what was found says nothing
 */
enum status lmdb_file_check_unmoved(const char *path, uint64_t before, struct error *err);

/* The words for a file whose pages are not all there. */
enum status lmdb_file_too_short(const char *path, struct error *err);

#endif
