/*
 * Which table holds which page; see lmdb_pages.h.
 *
 * LMDB tells no page numbers, but hands out its rows as pointers into the map; a leaf page holds
 * the keys of its rows, and each page begins with its own number. It must not write anything.
 */
#include "store/lmdb_pages.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/lmdb_tables.h"

#include "base/banned.h"

enum {
	FREE_DBI = 0,           /* LMDB's list of free pages, as its own mdb_stat reads it */
	PAGE_HEADER_BYTES = 16, /* before the data of an overflow page */
};

struct page_set {
	MDB_txn *txn;
	const uint8_t *map; /* page 0; NULL until the first page was met */
	size_t page_bytes;
	size_t count; /* pages in the file */
	uint8_t *met;
};

/* Note @page as met. False when it was before, or is none. */
static bool meet(struct page_set *set, size_t page)
{
	uint8_t bit = (uint8_t)(1U << page % 8);

	if (page >= set->count || (set->met[page / 8] & bit))
		return false;
	set->met[page / 8] |= bit;
	return true;
}

/* Where the page begins that @data lies in: the map begins at one. */
static const uint8_t *page_start(const struct page_set *set, const void *data)
{
	return (const uint8_t *)data - (uintptr_t)data % set->page_bytes;
}

/* Note the page at @start as met. False as well when it does not bear its own number. */
static bool meet_page(struct page_set *set, const uint8_t *start)
{
	size_t number;

	memcpy(&number, start, sizeof(number));
	if (!set->map && number < set->count)
		set->map = start - number * set->page_bytes;
	return set->map && number < set->count && set->map + number * set->page_bytes == start &&
	       meet(set, number);
}

/* A list of free pages: their count, and as many numbers. */
static bool meet_free(struct page_set *set, MDB_val list)
{
	size_t count, page;

	if (list.mv_size < sizeof(count))
		return false;
	memcpy(&count, list.mv_data, sizeof(count));
	if (count > list.mv_size / sizeof(count) - 1)
		return false;
	for (size_t i = 1; i <= count; i++) {
		memcpy(&page, (const uint8_t *)list.mv_data + i * sizeof(page), sizeof(page));
		if (!meet(set, page))
			return false;
	}
	return true;
}

/* Meet the pages of one row: its leaf, when that is another than *leaf, and its overflow pages. */
static bool meet_row(struct page_set *set, MDB_val key, MDB_val value, const uint8_t **leaf,
		     MDB_stat *seen)
{
	const uint8_t *start = page_start(set, key.mv_data);
	size_t first, count;

	seen->ms_entries++;
	if (start != *leaf) {
		*leaf = start;
		seen->ms_leaf_pages++;
		if (!meet_page(set, start))
			return false;
	}
	if (value.mv_size == 0 || page_start(set, value.mv_data) == start)
		return true;
	/* One value on pages of its own, of which only the first has a header. */
	start = page_start(set, value.mv_data);
	if (!meet_page(set, start))
		return false;
	first = (size_t)(start - set->map) / set->page_bytes;
	count = (PAGE_HEADER_BYTES + value.mv_size - 1) / set->page_bytes + 1;
	for (size_t i = 1; i < count; i++) {
		if (!meet(set, first + i))
			return false;
	}
	seen->ms_overflow_pages += count;
	return true;
}

/* Returns an MDB_ code: MDB_CORRUPTED when the pages do not belong together. */
static int walk(struct page_set *set, MDB_dbi table)
{
	const uint8_t *leaf = NULL;
	MDB_stat seen = { .ms_entries = 0 };
	MDB_stat due;
	MDB_cursor *cursor;
	MDB_val key, value;
	bool sound = true;
	int code = mdb_stat(set->txn, table, &due);

	if (!code)
		code = mdb_cursor_open(set->txn, table, &cursor);
	if (code)
		return code;
	while (sound && !(code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
		sound = meet_row(set, key, value, &leaf, &seen);
		if (sound && table == FREE_DBI)
			sound = meet_free(set, value);
	}
	mdb_cursor_close(cursor);
	if (code != 0 && code != MDB_NOTFOUND)
		return code;
	return sound && seen.ms_entries == due.ms_entries &&
			       seen.ms_leaf_pages == due.ms_leaf_pages &&
			       seen.ms_overflow_pages == due.ms_overflow_pages
		       ? 0
		       : MDB_CORRUPTED;
}

static enum status damaged(const char *table, int code, struct error *err)
{
	if (code != MDB_CORRUPTED && code != MDB_PAGE_NOTFOUND)
		return error_set(err, STATUS_CORRUPT, "the pages of the log's %s: %s", table,
				 mdb_strerror(code));
	return error_set(err, STATUS_CORRUPT,
			 "the pages of the log's %s are damaged: they are not all there, or "
			 "not its own",
			 table);
}

static enum status walk_all(struct page_set *set, const struct lmdb_tables *tables,
			    struct error *err)
{
	int code = walk(set, FREE_DBI);

	if (code)
		return damaged("list of free pages", code, err);
	for (size_t i = 0; i < LMDB_TABLES; i++) {
		code = walk(set, tables->dbi[i]);
		if (code)
			return damaged(lmdb_table_name((enum lmdb_table)i), code, err);
	}
	return STATUS_OK;
}

enum status lmdb_pages_check(MDB_txn *txn, const struct lmdb_tables *tables, struct error *err)
{
	struct page_set set = { .txn = txn };
	MDB_env *env = mdb_txn_env(txn);
	MDB_envinfo info;
	MDB_stat stat;
	enum status status;
	int code = mdb_env_info(env, &info);

	if (!code)
		code = mdb_env_stat(env, &stat);
	if (code)
		return damaged("file", code, err);
	set.page_bytes = stat.ms_psize;
	set.count = info.me_last_pgno + 1;
	set.met = calloc(set.count / 8 + 1, 1);
	if (!set.met)
		return error_no_memory(err);
	status = walk_all(&set, tables, err);
	free(set.met);
	return status;
}
