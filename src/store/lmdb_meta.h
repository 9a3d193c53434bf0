/*
 * The two meta pages of LMDB's data file, read and judged without LMDB: which of them counts, and
 * is it all of one commit?
 *
 * A commit of LMDB 0.9 ends with one write of 120 bytes over the older meta page, without a
 * checksum. Power that fails meanwhile may leave a mixture, also of a page that counts: roots and
 * sizes of two commits ago under the newest transaction id. The page is sound when what it points
 * at is of its own transaction:
 *   - the table `meta` holds the transaction's id (evlog_lmdb.h);
 *   - the list of free pages ends with the pages that this transaction freed: every commit of ours
 *     frees some;
 *   - the counts of the two roots are those of their pages, and all pages together are not more
 * than the file has. Tested with every tear of such writes at every byte (tests/crash).
 *
 * Nothing is mapped; every number is checked before it is used. Knows LMDB's data format 1 on a
 * machine of 64 bits, and no more of our tables than their names.
 */
#ifndef PROVENV_STORE_LMDB_META_H
#define PROVENV_STORE_LMDB_META_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
	LMDB_META_PAGES = 2,
};

/* What a meta page says of one B-tree. */
struct lmdb_tree {
	uint16_t flags;
	uint16_t depth;
	uint64_t branch_pages;
	uint64_t leaf_pages;
	uint64_t overflow_pages;
	uint64_t entries;
	uint64_t root; /* page number; UINT64_MAX: empty */
};

struct lmdb_meta {
	uint32_t page_bytes;
	struct lmdb_tree free; /* the list of free pages */
	struct lmdb_tree main; /* the tables */
	uint64_t last_page;
	uint64_t txn; /* 0: nothing was ever committed */
};

/*
 * Read both meta pages.
 *
 * CORRUPT  not an LMDB file, a damaged meta page, or cut off within the first pages
 */
enum status lmdb_meta_read(int fd, const char *path, struct lmdb_meta ret[LMDB_META_PAGES],
			   struct error *err);

/* Which of the two LMDB takes: the one with the greater transaction id. */
unsigned lmdb_meta_newest(const struct lmdb_meta meta[LMDB_META_PAGES]);

/*
 * Is the meta page all of one commit? A page that is not there makes it unsound. False with errno
 * set: the file could not be read, which says nothing of the commit.
 *
 * @ret_events  number of events that it shows; may be NULL
 */
bool lmdb_meta_is_sound(int fd, const struct lmdb_meta *meta, uint64_t *ret_events);

/*
 * Does the meta page show tables that are not ours? A file with one commit may be another
 * program's: nothing of ours is beside it. False with errno set: it could not be read.
 */
bool lmdb_meta_is_foreign(int fd, const struct lmdb_meta *meta);

/*
 * Was nothing ever committed to the file, since its creation was cut short? That is: it is no
 * longer than a first commit, and each of its meta pages is that of a new file, or never arrived.
 * False with errno set: it could not be read.
 */
bool lmdb_meta_never_used(int fd);

/*
 * Put the meta page @from in the place of the other one, durably. Nobody may have the file open.
 */
enum status lmdb_meta_restore(int fd, const char *path, const struct lmdb_meta *meta, unsigned from,
			      struct error *err);

#endif
