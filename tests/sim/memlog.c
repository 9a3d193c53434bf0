/*
 * Logs in memory that are found by path and can fail; see memlog.h.
 *
 * The state here stands for the disk: there is one in a process, and it has no handle.
 */
#include "sim/memlog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"

#include "base/banned.h"

enum { PATH_MAX_BYTES = 512 };

static char disk_path[PATH_MAX_BYTES]; /* of the one log there is */
static struct evlog *disk;

static enum memlog_fault armed;
static atomic_uint_fast64_t reads_left; /* a rebuild reads in a thread of its own */
static atomic_bool fired;

struct memlog {
	struct evlog log;
	struct evlog *inner;
};

struct memlog_snapshot {
	struct evlog_snapshot snapshot;
	struct evlog_snapshot *inner;
};

/* --- faults ----------------------------------------------------------------------------------- */

void memlog_arm(enum memlog_fault fault, uint64_t after_reads)
{
	armed = fault;
	atomic_store(&reads_left, after_reads);
	atomic_store(&fired, false);
}

bool memlog_disarm(void)
{
	armed = MEMLOG_SOUND;
	return atomic_load(&fired);
}

static enum status refuse(struct error *err)
{
	return error_set(err, STATUS_IO, "the disk does not answer");
}

static bool read_fails(void)
{
	if (armed == MEMLOG_DIES)
		return atomic_load(&fired);
	if (armed != MEMLOG_READ_REFUSED || atomic_load(&fired))
		return false;
	if (atomic_load(&reads_left) > 0) {
		(void)atomic_fetch_sub(&reads_left, 1);
		return false;
	}
	atomic_store(&fired, true);
	return true;
}

/* --- the log ---------------------------------------------------------------------------------- */

static struct evlog_snapshot *inner_of(struct evlog_snapshot *snapshot)
{
	return ((struct memlog_snapshot *)snapshot)->inner;
}

static enum status memlog_snapshot_open(struct evlog *log, struct evlog_snapshot **ret,
					struct error *err)
{
	struct memlog_snapshot *snapshot;
	enum status status;

	if (read_fails())
		return refuse(err);
	snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return error_no_memory(err);
	status = evlog_snapshot_open(((struct memlog *)log)->inner, &snapshot->inner, err);
	if (status) {
		free(snapshot);
		return status;
	}
	snapshot->snapshot.log = log;
	snapshot->snapshot.size = snapshot->inner->size;
	*ret = &snapshot->snapshot;
	return STATUS_OK;
}

static void memlog_snapshot_close(struct evlog_snapshot *snapshot)
{
	evlog_snapshot_close(inner_of(snapshot));
	free(snapshot);
}

static enum status memlog_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			       struct error *err)
{
	return read_fails() ? refuse(err) : evlog_leaf(inner_of(snapshot), seq, ret, err);
}

static enum status memlog_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			      struct error *err)
{
	return read_fails() ? refuse(err) : evlog_row(inner_of(snapshot), seq, ret, err);
}

static enum status memlog_command(struct evlog_snapshot *snapshot, const uint8_t *command_id,
				  uint64_t *ret_seq, struct error *err)
{
	return read_fails() ? refuse(err)
			    : evlog_command(inner_of(snapshot), command_id, ret_seq, err);
}

static enum status memlog_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
					uint64_t *ret_seq, struct error *err)
{
	return read_fails() ? refuse(err)
			    : evlog_registry_next(inner_of(snapshot), after_seq, ret_seq, err);
}

static enum status memlog_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
				 struct error *err)
{
	return read_fails() ? refuse(err) : evlog_counts(inner_of(snapshot), ret, err);
}

static enum status memlog_append(struct evlog *log, uint64_t size,
				 const struct evlog_entry *entries, const struct slice *rows,
				 size_t count, struct error *err)
{
	struct evlog *inner = ((struct memlog *)log)->inner;
	enum status status;

	if (armed == MEMLOG_DIES && atomic_load(&fired))
		return refuse(err);
	if (armed == MEMLOG_APPEND_REFUSED) {
		atomic_store(&fired, true);
		return refuse(err);
	}
	status = inner->ops->append(inner, size, entries, rows, count, err);
	if (status || armed == MEMLOG_SOUND || armed == MEMLOG_READ_REFUSED)
		return status;
	atomic_store(&fired, true);
	return armed == MEMLOG_APPEND_UNKNOWN ? refuse(err) : STATUS_OK;
}

static enum status memlog_watch(struct evlog *log, uint64_t size, uint64_t wait_ms,
				uint64_t *ret_size, struct error *err)
{
	return evlog_watch(((struct memlog *)log)->inner, size, wait_ms, ret_size, err);
}

static void memlog_close(struct evlog *log)
{
	free(log);
}

/* --- by path ---------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the linker's name */

enum status __wrap_evlog_lmdb_open(const char *path, struct evlog_lmdb_options options,
				   struct evlog **ret, struct error *err);

/* What others look for to see whether there is a log, and whether it can be written. */
static enum status make_mark(const char *path, struct error *err)
{
	struct buf mark = BUF_INIT;
	enum status status;

	fs_join(&mark, path, "data.mdb");
	status = fs_write_durable(buf_str(&mark), 0600, slice_str("in memory"), err);
	buf_release(&mark);
	return status;
}

static enum status find_log(const char *path, bool create, struct error *err)
{
	bool there = disk && strcmp(path, disk_path) == 0;
	enum status status;

	if (!create)
		return STATUS_OK;
	if (there)
		return error_set(err, STATUS_CONFLICT, "there is a log at %s", path);
	if (disk || (size_t)snprintf(disk_path, sizeof(disk_path), "%s", path) >= sizeof(disk_path))
		return error_set(err, STATUS_IO, "no room for another log");
	status = evlog_memory_open(&disk, err);
	return status ? status : make_mark(path, err);
}

enum status __wrap_evlog_lmdb_open(const char *path, struct evlog_lmdb_options options,
				   struct evlog **ret, struct error *err)
{
	static const struct evlog_ops ops = {
		.snapshot_open = memlog_snapshot_open,
		.snapshot_close = memlog_snapshot_close,
		.leaf = memlog_leaf,
		.row = memlog_row,
		.command = memlog_command,
		.registry_next = memlog_registry_next,
		.counts = memlog_counts,
		.append = memlog_append,
		.watch = memlog_watch,
		.close = memlog_close,
	};
	enum status status = find_log(path, options.create, err);
	struct memlog *log;

	if (status)
		return status;
	if (!disk || strcmp(path, disk_path) != 0)
		return error_set(err, STATUS_NO_STORE, "there is no log at %s", path);
	log = calloc(1, sizeof(*log));
	if (!log)
		return error_no_memory(err);
	*log = (struct memlog){
		.log = { .ops = &ops, .frontier_lock = PTHREAD_MUTEX_INITIALIZER },
		.inner = disk,
	};
	*ret = &log->log;
	return STATUS_OK;
}

/* NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier) */

struct evlog *memlog_inner(void)
{
	return disk;
}

void memlog_forget(void)
{
	evlog_close(disk);
	disk = NULL;
}
