/*
 * LMDB's meta pages, read and judged without LMDB; see lmdb_meta.h.
 *
 * Of the trees only what a judgement needs is read: the one leaf of the main tree, one leaf of the
 * table `meta`, the list of free pages. A commit changes a handful of pages of these.
 */
#include "store/lmdb_meta.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"

#include "base/banned.h"

/* Where things stand in a page and in its nodes. Integers are native. */
enum {
	PAGE_FLAGS_AT = 10,
	PAGE_LOWER_AT = 12,
	PAGE_HEADER_BYTES = 16,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	NODE_FLAGS_AT = 4,
	NODE_KEY_BYTES_AT = 6,
	NODE_HEADER_BYTES = 8,
	NODE_ELSEWHERE = 1, /* the value is on pages of its own */
	NODE_TABLE = 2,     /* the value is a tree */
	META_MAGIC_AT = 16,
	META_FREE_AT = 40,
	META_MAIN_AT = 88,
	META_LAST_PAGE_AT = 136,
	META_TXN_AT = 144,
	META_BYTES = 152,
	TREE_BYTES = 48,
	PAGE_BYTES_MIN = 512,
	PAGE_BYTES_MAX = 64 * 1024,
	/* More pages than a first commit, the one that makes the tables, can have. */
	FIRST_COMMIT_PAGES = 16,
	DEPTH_MAX = 32, /* LMDB's own */
	TXN_BYTES = 8,
	PAGE_NUMBER_BYTES = 8,
};

#define META_MAGIC UINT32_C(0xbeefc0de)
#define NO_PAGE    UINT64_MAX

struct page {
	uint8_t bytes[PAGE_BYTES_MAX];
	uint32_t size;
	uint16_t flags;
	uint16_t count; /* of nodes */
};

struct node {
	uint16_t flags;
	struct slice key;
	struct slice value; /* of a leaf */
	uint64_t child;     /* of a branch */
};

static uint16_t load_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static struct lmdb_tree load_tree(const uint8_t *at)
{
	return (struct lmdb_tree){
		.flags = load_u16(at + 4),
		.depth = load_u16(at + 6),
		.branch_pages = load_u64(at + 8),
		.leaf_pages = load_u64(at + 16),
		.overflow_pages = load_u64(at + 24),
		.entries = load_u64(at + 32),
		.root = load_u64(at + 40),
	};
}

static enum status read_one(int fd, const char *path, uint64_t offset, struct lmdb_meta *ret,
			    struct error *err)
{
	uint8_t bytes[META_BYTES];
	uint32_t magic;
	size_t len;
	enum status status = fs_pread(fd, path, bytes, sizeof(bytes), offset, &len, err);

	if (status)
		return status;
	if (len < sizeof(bytes))
		return error_set(err, STATUS_CORRUPT, "%s is cut off within its first pages", path);
	memcpy(&magic, bytes + META_MAGIC_AT, sizeof(magic));
	memcpy(&ret->page_bytes, bytes + META_FREE_AT, sizeof(ret->page_bytes));
	ret->free = load_tree(bytes + META_FREE_AT);
	ret->main = load_tree(bytes + META_MAIN_AT);
	ret->last_page = load_u64(bytes + META_LAST_PAGE_AT);
	ret->txn = load_u64(bytes + META_TXN_AT);
	if (magic != META_MAGIC)
		return error_set(err, STATUS_CORRUPT, "%s is not an LMDB file", path);
	/* LMDB divides by it. */
	if (ret->page_bytes < PAGE_BYTES_MIN || ret->page_bytes > PAGE_BYTES_MAX ||
	    (ret->page_bytes & (ret->page_bytes - 1)) != 0)
		return error_set(err, STATUS_CORRUPT, "%s has a damaged meta page", path);
	return STATUS_OK;
}

enum status lmdb_meta_read(int fd, const char *path, struct lmdb_meta ret[LMDB_META_PAGES],
			   struct error *err)
{
	struct lmdb_meta meta[LMDB_META_PAGES];
	enum status status = read_one(fd, path, 0, &meta[0], err);

	if (!status)
		status = read_one(fd, path, meta[0].page_bytes, &meta[1], err);
	if (status)
		return status;
	if (meta[0].page_bytes != meta[1].page_bytes)
		return error_set(err, STATUS_CORRUPT, "%s has a damaged meta page", path);
	memcpy(ret, meta, sizeof(meta));
	return STATUS_OK;
}

unsigned lmdb_meta_newest(const struct lmdb_meta meta[LMDB_META_PAGES])
{
	return meta[1].txn > meta[0].txn;
}

/* --- pages ------------------------------------------------------------------------------------ */

/* All of @want bytes. False, and errno 0: the file ends before them. */
static bool read_at(int fd, void *ret, size_t want, uint64_t offset)
{
	struct error why = ERROR_INIT;
	size_t len = 0;
	enum status status = fs_pread(fd, "the log", ret, want, offset, &len, &why);

	errno = status ? why.sys_errno : 0;
	if (status && !errno)
		errno = EIO;
	return !status && len == want;
}

/* Read a page of nodes. */
static bool read_page(int fd, const struct lmdb_meta *meta, uint64_t number, struct page *ret)
{
	uint16_t lower;

	if (number < LMDB_META_PAGES || number > meta->last_page ||
	    number > INT64_MAX / meta->page_bytes)
		return false;
	if (!read_at(fd, ret->bytes, meta->page_bytes, number * meta->page_bytes) ||
	    load_u64(ret->bytes) != number)
		return false;
	ret->size = meta->page_bytes;
	ret->flags = load_u16(ret->bytes + PAGE_FLAGS_AT);
	lower = load_u16(ret->bytes + PAGE_LOWER_AT);
	if (lower < PAGE_HEADER_BYTES || lower > ret->size)
		return false;
	ret->count = (uint16_t)((lower - PAGE_HEADER_BYTES) / sizeof(uint16_t));
	return ret->count > 0 && (ret->flags == PAGE_BRANCH || ret->flags == PAGE_LEAF);
}

static bool read_node(const struct page *page, size_t index, struct node *ret)
{
	size_t at = load_u16(page->bytes + PAGE_HEADER_BYTES + index * sizeof(uint16_t));
	const uint8_t *node = page->bytes + at;
	uint64_t low, key_bytes, value_bytes;

	if (at < PAGE_HEADER_BYTES || at + NODE_HEADER_BYTES > page->size)
		return false;
	low = load_u16(node) | (uint64_t)load_u16(node + 2) << 16;
	ret->flags = load_u16(node + NODE_FLAGS_AT);
	key_bytes = load_u16(node + NODE_KEY_BYTES_AT);
	ret->child = low | (uint64_t)ret->flags << 32;
	value_bytes = 0;
	if (page->flags == PAGE_LEAF)
		value_bytes = ret->flags & NODE_ELSEWHERE ? PAGE_NUMBER_BYTES : low;
	if (at + NODE_HEADER_BYTES + key_bytes + value_bytes > page->size)
		return false;
	ret->key = slice_of(node + NODE_HEADER_BYTES, key_bytes);
	ret->value = slice_of(node + NODE_HEADER_BYTES + key_bytes, value_bytes);
	return true;
}

/* --- judgement -------------------------------------------------------------------------------- */

static bool is_key(const struct node *node, const char *key)
{
	return node->key.len == strlen(key) && memcmp(node->key.data, key, node->key.len) == 0;
}

static bool add_pages(uint64_t *sum, const struct lmdb_tree *tree)
{
	return !__builtin_add_overflow(*sum, tree->branch_pages, sum) &&
	       !__builtin_add_overflow(*sum, tree->leaf_pages, sum) &&
	       !__builtin_add_overflow(*sum, tree->overflow_pages, sum);
}

/* Does the table `meta`, one leaf, hold the id of the transaction? */
static bool notes_txn(int fd, const struct lmdb_meta *meta, uint64_t root)
{
	struct page page;
	struct node node;

	if (!read_page(fd, meta, root, &page) || page.flags != PAGE_LEAF)
		return false;
	for (size_t i = 0; i < page.count; i++) {
		if (!read_node(&page, i, &node))
			return false;
		if (is_key(&node, "txn"))
			return node.value.len == TXN_BYTES &&
			       load_u64be(node.value.data) == meta->txn;
	}
	return false;
}

/*
 * The main tree: five tables, on one leaf, whatever the size of the log. Counts the pages of all
 * tables into *sum.
 */
static bool main_is_sound(int fd, const struct lmdb_meta *meta, uint64_t *sum, uint64_t *ret_events)
{
	const struct lmdb_tree *main = &meta->main;
	uint64_t notes_root = NO_PAGE;
	struct page page;

	if (main->flags || main->depth != 1 || main->branch_pages || main->leaf_pages != 1 ||
	    main->overflow_pages || !add_pages(sum, main))
		return false;
	if (!read_page(fd, meta, main->root, &page) || page.flags != PAGE_LEAF ||
	    page.count != main->entries)
		return false;
	for (size_t i = 0; i < page.count; i++) {
		struct node node;
		struct lmdb_tree table;

		if (!read_node(&page, i, &node) || node.flags != NODE_TABLE ||
		    node.value.len != TREE_BYTES)
			return false;
		table = load_tree(node.value.data);
		if (!add_pages(sum, &table))
			return false;
		if (is_key(&node, "events"))
			*ret_events = table.entries;
		if (is_key(&node, "meta"))
			notes_root = table.root;
	}
	return notes_txn(fd, meta, notes_root);
}

/* How many free pages one node lists. */
static bool count_listed(int fd, const struct lmdb_meta *meta, const struct node *node,
			 uint64_t *ret)
{
	uint8_t bytes[PAGE_NUMBER_BYTES];
	uint64_t page;

	if (!(node->flags & NODE_ELSEWHERE)) {
		if (node->value.len < PAGE_NUMBER_BYTES)
			return false;
		*ret = load_u64(node->value.data);
		return *ret <= node->value.len / PAGE_NUMBER_BYTES - 1;
	}
	page = load_u64(node->value.data);
	if (page > meta->last_page || page > INT64_MAX / meta->page_bytes ||
	    !read_at(fd, bytes, sizeof(bytes), page * meta->page_bytes + PAGE_HEADER_BYTES))
		return false;
	*ret = load_u64(bytes);
	return true;
}

/* A list that is one leaf: count what it holds into *sum, and its newest transaction. */
static bool free_leaf_is_sound(int fd, const struct lmdb_meta *meta, const struct page *page,
			       uint64_t *sum, uint64_t *ret_last)
{
	struct node node;
	uint64_t listed;

	if (meta->free.depth != 1 || meta->free.branch_pages || meta->free.leaf_pages != 1 ||
	    meta->free.entries != page->count)
		return false;
	for (size_t i = 0; i < page->count; i++) {
		if (!read_node(page, i, &node) || node.key.len != TXN_BYTES ||
		    !count_listed(fd, meta, &node, &listed) ||
		    __builtin_add_overflow(*sum, listed, sum))
			return false;
		*ret_last = load_u64(node.key.data);
	}
	return true;
}

/* A longer one: only its end is looked at. */
static bool free_end(int fd, const struct lmdb_meta *meta, struct page *page, uint64_t *ret_last)
{
	struct node node;

	for (int depth = 0; depth < DEPTH_MAX && page->flags == PAGE_BRANCH; depth++) {
		if (!read_node(page, page->count - 1U, &node) ||
		    !read_page(fd, meta, node.child, page))
			return false;
	}
	if (page->flags != PAGE_LEAF || !read_node(page, page->count - 1U, &node) ||
	    node.key.len != TXN_BYTES)
		return false;
	*ret_last = load_u64(node.key.data);
	return true;
}

static bool free_is_sound(int fd, const struct lmdb_meta *meta, uint64_t *sum)
{
	struct page page;
	uint64_t last = 0;

	/* The first commit, which makes the tables, replaces nothing. */
	if (meta->free.root == NO_PAGE)
		return meta->txn == 1 && !meta->free.entries;
	if (!add_pages(sum, &meta->free) || !read_page(fd, meta, meta->free.root, &page))
		return false;
	if (page.flags == PAGE_LEAF ? !free_leaf_is_sound(fd, meta, &page, sum, &last)
				    : !free_end(fd, meta, &page, &last))
		return false;
	return last == meta->txn;
}

bool lmdb_meta_is_sound(int fd, const struct lmdb_meta *meta, uint64_t *ret_events)
{
	uint64_t pages = LMDB_META_PAGES;
	uint64_t events = 0;

	errno = 0;
	if (meta->txn == 0) {
		if (ret_events)
			*ret_events = 0;
		return meta->free.root == NO_PAGE && meta->main.root == NO_PAGE;
	}
	if (!main_is_sound(fd, meta, &pages, &events) || !free_is_sound(fd, meta, &pages))
		return false;
	if (pages - 1 > meta->last_page)
		return false;
	if (ret_events)
		*ret_events = events;
	return true;
}

bool lmdb_meta_is_foreign(int fd, const struct lmdb_meta *meta)
{
	struct page page;
	struct node node;
	bool ours = false;

	errno = 0;
	if (meta->main.root == NO_PAGE || !read_page(fd, meta, meta->main.root, &page))
		return false;
	for (size_t i = 0; page.flags == PAGE_LEAF && i < page.count; i++)
		ours = ours || (read_node(&page, i, &node) && is_key(&node, "registry"));
	return !ours;
}

/* --- the beginning, and mending --------------------------------------------------------------- */

/* One that never arrived is zeros, or not there at all. */
static bool is_new_meta(const uint8_t *bytes, size_t len)
{
	static const uint8_t zeros[META_BYTES];
	uint32_t magic;

	if (memcmp(bytes, zeros, len) == 0)
		return true;
	if (len < META_BYTES)
		return false;
	memcpy(&magic, bytes + META_MAGIC_AT, sizeof(magic));
	return magic == META_MAGIC && load_u64(bytes + META_TXN_AT) == 0;
}

bool lmdb_meta_never_used(int fd)
{
	long page_bytes = sysconf(_SC_PAGESIZE); /* what LMDB takes for a new file */
	uint8_t bytes[META_BYTES];
	struct error why = ERROR_INIT;
	struct stat info;

	errno = 0;
	if (page_bytes <= 0 || fstat(fd, &info) || info.st_size > FIRST_COMMIT_PAGES * page_bytes)
		return false;
	for (unsigned i = 0; i < LMDB_META_PAGES; i++) {
		size_t len;

		if (fs_pread(fd, "the log", bytes, sizeof(bytes), i * (uint64_t)page_bytes, &len,
			     &why)) {
			errno = why.sys_errno ? why.sys_errno : EIO;
			return false;
		}
		errno = 0;
		if (!is_new_meta(bytes, len))
			return false;
	}
	return true;
}

enum status lmdb_meta_restore(int fd, const char *path, const struct lmdb_meta *meta, unsigned from,
			      struct error *err)
{
	uint8_t bytes[META_BYTES - PAGE_HEADER_BYTES];
	size_t len;
	enum status status;

	assert(from < LMDB_META_PAGES);
	/* The page's own number, in its header, stays. */
	status = fs_pread(fd, path, bytes, sizeof(bytes),
			  from * (uint64_t)meta->page_bytes + PAGE_HEADER_BYTES, &len, err);
	if (!status && len < sizeof(bytes))
		return error_set(err, STATUS_CORRUPT, "%s is cut off within its first pages", path);
	if (!status)
		status = fs_pwrite(fd, path, bytes, sizeof(bytes),
				   (1U - from) * (uint64_t)meta->page_bytes + PAGE_HEADER_BYTES,
				   err);
	if (!status && fdatasync(fd))
		return error_errno(err, STATUS_IO, errno, "cannot sync %s", path);
	return status;
}
