/*
 * May LMDB be given this directory? Its files are found, or made; looked at; and where a crash left
 * the data file torn or half made, mended first.
 *
 * Who has an environment open holds a shared flock on its directory. Mending needs it exclusively:
 * then no provenv has the file open, and whoever comes next finds it whole.
 */
#ifndef PROVENV_STORE_LMDB_ADMIT_H
#define PROVENV_STORE_LMDB_ADMIT_H

#include <sys/stat.h>

#include "base/error.h"
#include "store/evlog_lmdb.h"

/* An environment that is about to be opened. Borrowed. */
struct lmdb_admission {
	const char *dir;
	const char *data_path;
	const char *lock_path;
	struct evlog_lmdb_options options;
};

/*
 * Find the data file, or make it where options.create says so.
 *
 * NO_STORE  there is none
 * IO        it, or the lock file, is a link or the like; the file system is unfit
 */
enum status lmdb_admit_find(const struct lmdb_admission *admission, struct stat *ret_info,
			    struct error *err);

/*
 * Examine the data file, and mend what a crash left of the last write or of the first one. No
 * environment of this process may have it open. The lock file has its blocks after, so that LMDB
 * can write to it through a map.
 *
 * @ret_lock_fd  the shared lock, held until it is closed; -1 where there is none to take: for
 *               reading without locks, or of a directory that may not be opened
 * @ret_bytes    length of the data file
 *
 * NO_STORE  nothing was ever committed, and options.create is not set; CORRUPT for who only reads
 * CORRUPT   as lmdb_file_examine(); empty; torn, where it may not be mended
 * LOCKED    it must be mended, and others have it open
 * IO        also when the disk is too full even for the lock file
 */
enum status lmdb_admit(const struct lmdb_admission *admission, int *ret_lock_fd, size_t *ret_bytes,
		       struct error *err);

#endif
