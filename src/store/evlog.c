/*
 * The event log: what is the same whatever holds it. Argument checks, Merkle rows, roots.
 *
 * Invariants: a backend is never asked for an event past the end of its snapshot, and never given a
 * row that does not follow from the leaves before it.
 * Must not know how a backend stores anything, nor what a leaf means.
 */
#include "store/evlog.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/merkle.h"

#include "base/banned.h"

/* --- reading ---------------------------------------------------------------------------------- */

enum status evlog_snapshot_open(struct evlog *log, struct evlog_snapshot **ret, struct error *err)
{
	return log->ops->snapshot_open(log, ret, err);
}

void evlog_snapshot_close(struct evlog_snapshot *snapshot)
{
	if (snapshot)
		snapshot->log->ops->snapshot_close(snapshot);
}

static void close_snapshot(struct evlog_snapshot **snapshot)
{
	evlog_snapshot_close(*snapshot);
}

static enum status check_seq(const struct evlog_snapshot *snapshot, uint64_t seq, struct error *err)
{
	if (seq > 0 && seq <= snapshot->size)
		return STATUS_OK;
	return error_set(err, STATUS_NOT_FOUND,
			 "there is no event %" PRIu64 ": the log holds %" PRIu64, seq,
			 snapshot->size);
}

enum status evlog_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
		       struct error *err)
{
	enum status status = check_seq(snapshot, seq, err);

	return status ? status : snapshot->log->ops->leaf(snapshot, seq, ret, err);
}

enum status evlog_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
		      struct error *err)
{
	struct slice row = { .data = NULL };
	size_t want;
	enum status status = check_seq(snapshot, seq, err);

	if (!status)
		status = snapshot->log->ops->row(snapshot, seq, &row, err);
	if (status)
		return status;
	want = (size_t)merkle_row_hashes(seq - 1) * HASH_BYTES;
	if (row.len != want)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 ": its row of the tree has %zu bytes, not %zu",
				 seq, row.len, want);
	*ret = row;
	return STATUS_OK;
}

enum status evlog_leaf_hash(struct evlog_snapshot *snapshot, uint64_t seq, uint8_t ret[HASH_BYTES],
			    struct error *err)
{
	struct slice row = { .data = NULL };
	enum status status;

	if (seq == 0) {
		memset(ret, 0, HASH_BYTES);
		return STATUS_OK;
	}
	status = evlog_row(snapshot, seq, &row, err);
	if (status)
		return status;
	assert(row.data); /* evlog_row() gives at least one hash */
	memcpy(ret, row.data, HASH_BYTES);
	return STATUS_OK;
}

enum status evlog_command(struct evlog_snapshot *snapshot,
			  const uint8_t command_id[COMMAND_ID_BYTES], uint64_t *ret_seq,
			  struct error *err)
{
	return snapshot->log->ops->command(snapshot, command_id, ret_seq, err);
}

enum status evlog_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
				uint64_t *ret_seq, struct error *err)
{
	if (after_seq >= snapshot->size)
		return STATUS_NOT_FOUND;
	return snapshot->log->ops->registry_next(snapshot, after_seq, ret_seq, err);
}

enum status evlog_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
			 struct error *err)
{
	return snapshot->log->ops->counts(snapshot, ret, err);
}

/* --- the tree --------------------------------------------------------------------------------- */

/* Node (level, index) ends with leaf number ((index + 1) << level) − 1, which is the event of one
 * more; its row holds the node at place `level` (merkle.h). */
static enum status stored_node(void *context, unsigned level, uint64_t index,
			       uint8_t ret[HASH_BYTES], struct error *err)
{
	struct evlog_snapshot *snapshot = context;
	struct slice row = { .data = NULL };
	enum status status;

	if (level >= MERKLE_LEVELS_MAX || index >= snapshot->size >> level)
		return error_set(err, STATUS_CORRUPT,
				 "the tree of %" PRIu64 " events has no node %" PRIu64
				 " of level %u",
				 snapshot->size, index, level);
	status = evlog_row(snapshot, (index + 1) << level, &row, err);
	if (status)
		return status;
	assert(row.data);
	memcpy(ret, row.data + (size_t)level * HASH_BYTES, HASH_BYTES);
	return STATUS_OK;
}

struct merkle_source evlog_merkle_source(struct evlog_snapshot *snapshot)
{
	return (struct merkle_source){ .node = stored_node, .context = snapshot };
}

enum status evlog_root(struct evlog_snapshot *snapshot, uint64_t size, uint8_t ret[HASH_BYTES],
		       struct error *err)
{
	if (size > snapshot->size)
		return check_seq(snapshot, size, err);
	return merkle_root(evlog_merkle_source(snapshot), size, ret, err);
}

/* --- appending -------------------------------------------------------------------------------- */

/* The rows of a batch: slices into one piece of memory. */
struct row_set {
	struct slice *rows;
	uint8_t *bytes;
};

static void row_set_release(struct row_set *set)
{
	free(set->rows);
	free(set->bytes);
}

static enum status check_entries(const struct evlog_entry *entries, size_t count, struct error *err)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++) {
		size_t len = entries[i].leaf.len;

		if (len == 0)
			return error_set(err, STATUS_USAGE, "an event of no bytes");
		if (len > LEAF_BYTES_MAX)
			return error_set(err, STATUS_USAGE,
					 "an event of %zu bytes is over the limit of %d", len,
					 LEAF_BYTES_MAX);
		total += len;
		if (total > COMMAND_BYTES_MAX)
			return error_set(err, STATUS_USAGE,
					 "a command of over %d bytes is over the limit",
					 COMMAND_BYTES_MAX);
	}
	return STATUS_OK;
}

/* The frontier at @size: the one kept from the last append, or read from the log. */
static enum status load_frontier(struct evlog *log, uint64_t size, struct merkle_frontier *ret,
				 struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(close_snapshot) = NULL;
	enum status status;
	bool kept;

	(void)pthread_mutex_lock(&log->frontier_lock);
	kept = log->frontier.size == size;
	if (kept)
		*ret = log->frontier;
	(void)pthread_mutex_unlock(&log->frontier_lock);
	if (kept)
		return STATUS_OK;
	status = evlog_snapshot_open(log, &snapshot, err);
	if (status)
		return status;
	if (snapshot->size != size)
		return error_set(err, STATUS_CONFLICT,
				 "the log holds %" PRIu64 " events, not %" PRIu64, snapshot->size,
				 size);
	return merkle_frontier_load(evlog_merkle_source(snapshot), size, ret, err);
}

static void keep_frontier(struct evlog *log, const struct merkle_frontier *frontier)
{
	(void)pthread_mutex_lock(&log->frontier_lock);
	log->frontier = *frontier;
	(void)pthread_mutex_unlock(&log->frontier_lock);
}

/* Compute the rows of @entries and move @frontier over them. */
static enum status make_rows(struct merkle_frontier *frontier, const struct evlog_entry *entries,
			     size_t count, struct row_set *ret, struct error *err)
{
	/* Room for one full row more than is used: merkle_frontier_append() may ask for it. */
	size_t bytes = MERKLE_ROW_BYTES_MAX;
	uint8_t *next;

	assert(count > 0);
	for (size_t i = 0; i < count; i++)
		bytes += (size_t)merkle_row_hashes(frontier->size + i) * HASH_BYTES;
	ret->rows = calloc(count, sizeof(*ret->rows));
	ret->bytes = malloc(bytes);
	if (!ret->rows || !ret->bytes)
		return error_no_memory(err);
	next = ret->bytes;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *hash = entries[i].leaf_hash;
		uint8_t computed[HASH_BYTES];
		size_t len;

		if (!hash) {
			merkle_leaf_hash(entries[i].leaf, computed);
			hash = computed;
		}
		len = (size_t)merkle_frontier_append(frontier, hash, next) * HASH_BYTES;
		ret->rows[i] = slice_of(next, len);
		next += len;
	}
	assert(next + MERKLE_ROW_BYTES_MAX == ret->bytes + bytes);
	return STATUS_OK;
}

enum status evlog_append(struct evlog *log, uint64_t size, const struct evlog_entry *entries,
			 size_t count, struct error *err)
{
	struct row_set set AUTO(row_set_release) = { .rows = NULL };
	struct merkle_frontier frontier = { .size = size };
	enum status status = check_entries(entries, count, err);

	if (!status)
		status = load_frontier(log, size, &frontier, err);
	if (!status)
		status = make_rows(&frontier, entries, count, &set, err);
	if (!status)
		status = log->ops->append(log, size, entries, set.rows, count, err);
	if (!status)
		keep_frontier(log, &frontier);
	return status;
}

/* --- the rest --------------------------------------------------------------------------------- */

enum status evlog_watch(struct evlog *log, uint64_t size, uint64_t wait_ms, uint64_t *ret_size,
			struct error *err)
{
	return log->ops->watch(log, size, wait_ms, ret_size, err);
}

void evlog_close(struct evlog *log)
{
	if (log)
		log->ops->close(log);
}
