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
#include "store/lmdb_meta.h"

/*
 * Is @path a file of its own? LMDB opens its files through links; a planted one must not lead it
 * elsewhere. IO when it is a link, a directory or the like.
 *
 * @ret_info  filled when *ret_exists
 */
enum status lmdb_file_check_plain(const char *path, bool *ret_exists, struct stat *ret_info,
				  struct error *err);

enum lmdb_file_condition {
	LMDB_FILE_SOUND,  /* or damaged elsewhere than in what was looked at */
	LMDB_FILE_UNUSED, /* its creation was cut short: nothing was ever committed */
	LMDB_FILE_TORN,   /* the last commit was cut short within its meta page */
};

struct lmdb_file {
	enum lmdb_file_condition condition;
	struct lmdb_meta meta[LMDB_META_PAGES];
	unsigned whole;  /* the meta page that counts: of LMDB_FILE_TORN the older one */
	uint64_t events; /* that it shows */
};

/*
 * Look at both meta pages (lmdb_meta.h) and at the length of the file @fd. No environment of this
 * process may have @path open.
 *
 * CORRUPT  not an LMDB file, a damaged meta page, or shorter than its pages
 */
enum status lmdb_file_examine(int fd, const char *path, struct lmdb_file *ret, struct error *err);

/*
 * Make a file that is torn, or was never used, one that LMDB can open: go back to the commit
 * before, or empty it. Nobody may have the file open, nor have changed it since it was examined.
 */
enum status lmdb_file_mend(int fd, const char *path, const struct lmdb_file *file,
			   struct error *err);

/* CORRUPT: the words for a torn file that may not be mended, since events would be lost. */
enum status lmdb_file_torn(const char *path, struct error *err);

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
