/*
 * Whose page is whose: may a table of the log be emptied without freeing what others hold?
 *
 * LMDB believes the page numbers in its branch pages. Where one of them is damaged, emptying the
 * table would free a page of another table, which a later write then takes. So before that every
 * leaf and overflow page of every table is visited, and must be met once, be no free page, and come
 * to the number that the table's root says.
 */
#ifndef PROVENV_STORE_LMDB_PAGES_H
#define PROVENV_STORE_LMDB_PAGES_H

#include <lmdb.h>

#include "base/error.h"
#include "store/lmdb_tables.h"

/*
 * Look at all pages that @txn shows. Memory: one bit for each page of the file.
 *
 * CORRUPT  pages are shared, free and in use, or missing. A damaged page may also end the process:
 *          call it in one that may die
 */
enum status lmdb_pages_check(MDB_txn *txn, const struct lmdb_tables *tables, struct error *err);

#endif
