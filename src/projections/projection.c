/*
 * Generations of the state file, catching up, rebuilding, swapping; see projection.h.
 */
#include "projections/projection.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/trace.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "projections/state.h"
#include "projections/tables.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/store.h"

#include "base/banned.h"

enum {
	POINTER_BYTES_MAX = 32,
	OPEN_TRIES = 8,
	BUILD_WAIT_MS = 10 * 60 * 1000, /* another process builds 10⁷ events: minutes */
};

struct projection {
	struct store *store;
	struct db *db;
	struct evlog_snapshot *snapshot;
	struct event_reader *reader;
	uint64_t seq;
	int lock_fd;
	char generation[POINTER_BYTES_MAX]; /* the one opened last; empty: none */
	bool in_memory;
	bool damaged;
	enum projection_rebuilt rebuilt;
};

static void state_path_of(const struct projection *projection, const char *name, struct buf *ret)
{
	fs_join(ret, store_state_dir(projection->store), name);
}

static void close_db(struct projection *projection)
{
	db_close(projection->db);
	projection->db = NULL;
}

static void close_snapshot(struct projection *projection)
{
	evlog_snapshot_close(projection->snapshot);
	projection->snapshot = NULL;
}

void projection_close(struct projection *projection)
{
	if (!projection)
		return;
	event_reader_free(projection->reader);
	close_db(projection);
	close_snapshot(projection);
	cleanup_fd(&projection->lock_fd);
	free(projection);
}

struct db *projection_db(struct projection *projection)
{
	return projection->db;
}

uint64_t projection_seq(const struct projection *projection)
{
	return projection->seq;
}

struct evlog_snapshot *projection_snapshot(struct projection *projection)
{
	return projection->snapshot;
}

struct event_reader *projection_reader(struct projection *projection)
{
	return projection->reader;
}

enum projection_rebuilt projection_rebuilt(const struct projection *projection)
{
	return projection->rebuilt;
}

void projection_mark_damaged(struct projection *projection)
{
	projection->damaged = true;
}

bool projection_damaged(const struct projection *projection)
{
	return projection->damaged || (projection->db && db_damaged(projection->db));
}

/* The name of the generation in force, "N.db". NOT_FOUND: none. */
static enum status read_pointer(const struct projection *projection, char ret[POINTER_BYTES_MAX],
				struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf name = BUF_INIT;
	uint64_t generation;
	enum status status;

	state_path_of(projection, "current", &path);
	status = fs_read_file(buf_str(&path), POINTER_BYTES_MAX - 1, &name, err);
	if (status == STATUS_USAGE)
		return error_set(err, STATUS_NOT_FOUND, "state: no generation");
	if (status)
		return status;
	/* "N.db\n" and nothing else: it becomes part of a path. */
	if (name.len < 5 || memcmp(name.data + name.len - 4, ".db\n", 4) != 0 ||
	    !text_to_u64(slice_of(name.data, name.len - 4), &generation))
		return error_set(err, STATUS_NOT_FOUND, "state: no generation");
	memset(ret, 0, POINTER_BYTES_MAX);
	memcpy(ret, name.data, name.len - 1);
	return STATUS_OK;
}

/* Open the generation in force; `current` may move while we open. */
static enum status open_current(struct projection *projection, struct error *err)
{
	memset(projection->generation, 0, sizeof(projection->generation));
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		char after[POINTER_BYTES_MAX];
		AUTO(buf_release) struct buf path = BUF_INIT;
		enum status status = read_pointer(projection, projection->generation, err);

		if (status)
			return status;
		state_path_of(projection, projection->generation, &path);
		if (!fs_exists(buf_str(&path)))
			return error_set(err, STATUS_NOT_FOUND, "state: no generation");
		status = db_open(buf_str(&path), DB_SHARED, &projection->db, err);
		if (status)
			return status;
		status = read_pointer(projection, after, err);
		if (!status && strcmp(projection->generation, after) == 0)
			return STATUS_OK;
		close_db(projection);
		/* Not that it moved: it could not be read again, as with too many open files. */
		if (status && status != STATUS_NOT_FOUND)
			return status;
	}
	return error_set(err, STATUS_LOCKED, "state: the generation in force keeps changing");
}

/* Build the tables for the first @until events in an open, empty database. */
static enum status build_tables(struct projection *projection, struct db *db,
				struct evlog_snapshot *snapshot, uint64_t until, struct error *err)
{
	struct position position = { .schema_version = SCHEMA_VERSION };
	enum status status = db_begin(db, false, err);

	memcpy(position.log_id, store_log_id(projection->store), LOG_ID_BYTES);
	if (!status)
		status = tables_create(db, err);
	if (!status)
		status = catchup_apply(db, snapshot, until, &position, err);
	if (!status)
		status = db_exec(db, "COMMIT", err);
	return status;
}

static enum status build_in_memory(struct projection *projection, struct error *err)
{
	enum status status = db_open(NULL, DB_MEMORY, &projection->db, err);

	if (!status)
		status = evlog_snapshot_open(store_log(projection->store), &projection->snapshot,
					     err);
	if (!status)
		status = build_tables(projection, projection->db, projection->snapshot,
				      projection->snapshot->size, err);
	projection->in_memory = true;
	projection->rebuilt = REBUILT_MISSING;
	return status;
}

static enum status build_file(struct projection *projection, const char *path, struct error *err)
{
	struct evlog_snapshot *snapshot = NULL;
	struct db *db = NULL;
	enum status status = fs_remove(path, err);

	if (!status)
		status = db_open(path, DB_BUILD, &db, err);
	if (!status)
		status = evlog_snapshot_open(store_log(projection->store), &snapshot, err);
	if (!status)
		status = build_tables(projection, db, snapshot, snapshot->size, err);
	if (!status)
		status = db_finish_build(db, err);
	evlog_snapshot_close(snapshot);
	db_close(db);
	return status;
}

/* Remove generations that nobody can be using, but the one in force. */
static enum status remove_if_old(void *context, const char *name, struct error *err)
{
	const struct projection *projection = context;
	AUTO(buf_release) struct buf path = BUF_INIT;
	char current[POINTER_BYTES_MAX];

	/* N.db, N.db-wal …, and what a crash left of a pointer being written. */
	if (read_pointer(projection, current, err) || !strchr(".0123456789", name[0]) ||
	    strncmp(name, current, strlen(current)) == 0)
		return STATUS_OK;
	state_path_of(projection, name, &path);
	return fs_remove(buf_str(&path), err);
}

static enum status remove_old(struct projection *projection, struct error *err)
{
	/* Not being able to remove them costs space, never correctness. */
	if (flock(projection->lock_fd, LOCK_EX | LOCK_NB) == 0)
		(void)fs_list(store_state_dir(projection->store), remove_if_old, projection, NULL);
	/* Changing the kind of lock loses the old one first, but nothing is open here to need it.
	 */
	return fs_lock(projection->lock_fd, "the state", false, BUILD_WAIT_MS, err);
}

static enum status next_generation(void *context, const char *name, struct error *err)
{
	uint64_t *next = context;
	const char *dot = strchr(name, '.');
	uint64_t number;

	(void)err;
	if (dot && text_to_u64(slice_of(name, (size_t)(dot - name)), &number) && number >= *next)
		*next = number + 1;
	return STATUS_OK;
}

/*
 * Remove a generation whose build failed. Not when the pointer names it: that moved, and only its
 * durability is in doubt.
 */
static void discard_build(const struct projection *projection, const char *path)
{
	char now[POINTER_BYTES_MAX] = "";
	AUTO(buf_release) struct buf current = BUF_INIT;
	enum status status = read_pointer(projection, now, NULL);

	if (status && status != STATUS_NOT_FOUND)
		return;
	state_path_of(projection, now, &current);
	if (strcmp(buf_str(&current), path) != 0)
		(void)fs_remove(path, NULL);
}

static enum status build_and_swap(struct projection *projection, const char *seen,
				  struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf pointer = BUF_INIT;
	AUTO(buf_release) struct buf current = BUF_INIT;
	uint64_t generation = 1;
	uint64_t begin = trace_begin();
	enum status status =
		fs_list(store_state_dir(projection->store), next_generation, &generation, err);

	/* Nor the name that the pointer holds, whose file may be gone: others tell by it that the
	 * pointer moved. */
	if (!status)
		status = next_generation(&generation, seen, err);
	if (status)
		return status;
	buf_printf(&pointer, "%" PRIu64 ".db", generation);
	state_path_of(projection, buf_str(&pointer), &path);
	status = build_file(projection, buf_str(&path), err);
	if (!status && fault_point("state.swap"))
		status = error_set(err, STATUS_IO, "state: cannot swap in generation %" PRIu64,
				   generation);
	if (!status) {
		buf_append_byte(&pointer, '\n');
		state_path_of(projection, "current", &current);
		status = buf_status(&pointer, err);
	}
	if (!status)
		status = fs_write_durable(buf_str(&current), 0600, buf_slice(&pointer), err);
	trace_end("state.rebuild", begin);
	if (status)
		discard_build(projection, buf_str(&path));
	return status;
}

/* Build a new generation, one process at a time; the one opened last was found wanting. */
static enum status build(struct projection *projection, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	char now[POINTER_BYTES_MAX] = "";
	AUTO_FD int fd = -1;
	enum status status;

	state_path_of(projection, "build.lock", &path);
	status = fs_open(buf_str(&path), O_RDWR | O_CREAT, 0600, &fd, err);
	if (!status)
		status = fs_lock(fd, "the state being rebuilt", true, BUILD_WAIT_MS, err);
	if (status)
		return status;
	/* Another process may have built it while we waited. */
	if (read_pointer(projection, now, NULL) == STATUS_OK &&
	    strcmp(now, projection->generation) != 0)
		return STATUS_OK;
	status = build_and_swap(projection, now, err);
	return status ? status : remove_old(projection, err);
}

/* Does what @position says belong to this log? Sets why not. */
static enum projection_rebuilt judge(const struct projection *projection,
				     const struct position *position, struct error *err)
{
	uint8_t leaf_hash[HASH_BYTES];

	if (position->schema_version != SCHEMA_VERSION)
		return REBUILT_VERSION;
	if (memcmp(position->log_id, store_log_id(projection->store), LOG_ID_BYTES) != 0)
		return REBUILT_FOREIGN;
	if (position->seq > projection->snapshot->size)
		return REBUILT_NO; /* the caller reports the loss */
	if (evlog_leaf_hash(projection->snapshot, position->seq, leaf_hash, err) ||
	    memcmp(position->leaf_hash, leaf_hash, HASH_BYTES) != 0)
		return REBUILT_DAMAGED;
	return REBUILT_NO;
}

static enum status loss_error(const struct projection *projection, const struct position *position,
			      struct error *err)
{
	return error_set(err, STATUS_CORRUPT,
			 "the log lost events %" PRIu64 "..%" PRIu64
			 " (evidence: the state was built from them)",
			 projection->snapshot->size + 1, position->seq);
}

static enum status apply_new(struct projection *projection, struct error *err)
{
	struct position position;
	enum status status = db_begin(projection->db, true, err);

	if (status)
		return status;
	/* Read again: another process may have caught up since, and its position counts. */
	status = position_read(projection->db, &position, err);
	if (!status && position.seq < projection->snapshot->size)
		status = catchup_apply(projection->db, projection->snapshot,
				       projection->snapshot->size, &position, err);
	if (!status)
		status = db_exec(projection->db, "COMMIT", err);
	if (status)
		db_rollback(projection->db);
	return status;
}

/*
 * Bring an open generation up to the log. Position first, then the log: a writer in between must
 * not look like a loss.
 */
static enum status catch_up(struct projection *projection, enum projection_rebuilt *ret_why,
			    struct error *err)
{
	struct position position;
	enum status status = position_read(projection->db, &position, err);

	if (status == STATUS_NO_MEMORY || status == STATUS_LOCKED)
		return status;
	if (status) {
		*ret_why = REBUILT_DAMAGED;
		return STATUS_OK;
	}
	status = evlog_snapshot_open(store_log(projection->store), &projection->snapshot, err);
	if (status)
		return status;
	*ret_why = judge(projection, &position, err);
	if (*ret_why != REBUILT_NO)
		return STATUS_OK;
	if (position.seq > projection->snapshot->size)
		return loss_error(projection, &position, err);
	if (position.seq < projection->snapshot->size)
		status = apply_new(projection, err);
	if (status == STATUS_CORRUPT && db_damaged(projection->db)) {
		*ret_why = REBUILT_DAMAGED;
		status = STATUS_OK;
	}
	return status;
}

/* Pin what the user will read: one read transaction, and a log snapshot not older than it. */
static enum status begin_reading(struct projection *projection, struct error *err)
{
	struct position position;
	enum status status = db_begin(projection->db, false, err);

	if (!status)
		status = position_read(projection->db, &position, err);
	if (!status && position.seq > projection->snapshot->size) {
		close_snapshot(projection);
		status = evlog_snapshot_open(store_log(projection->store), &projection->snapshot,
					     err);
	}
	if (status)
		return status;
	if (position.seq > projection->snapshot->size)
		return loss_error(projection, &position, err);
	projection->seq = position.seq;
	if (!projection->reader)
		return event_reader_new(projection->snapshot, &projection->reader, err);
	event_reader_set_snapshot(projection->reader, projection->snapshot);
	return STATUS_OK;
}

/* Open, judge, and where needed build and open again. */
static enum status open_file(struct projection *projection, struct error *err)
{
	enum projection_rebuilt why = REBUILT_NO;

	for (unsigned i = 0; i < 2; i++) {
		enum status status = open_current(projection, err);

		if (status == STATUS_OK)
			status = catch_up(projection, &why, err);
		else if (status == STATUS_NOT_FOUND)
			why = REBUILT_MISSING;
		else if (status == STATUS_CORRUPT || (status == STATUS_IO && i == 0))
			why = REBUILT_DAMAGED; /* if it is the directory, building fails too */
		if (why == REBUILT_NO)
			return status;
		close_db(projection);
		close_snapshot(projection);
		projection->rebuilt = why;
		if (i > 0)
			break;
		status = build(projection, err);
		if (status)
			return status;
		why = REBUILT_NO;
	}
	return error_set(err, STATUS_CORRUPT, "state: a generation just built is not readable");
}

static enum status open_lock(struct projection *projection, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	enum status status = fs_make_dirs(store_state_dir(projection->store), 0700, err);

	if (status)
		return status;
	state_path_of(projection, "lock", &path);
	status = fs_open(buf_str(&path), O_RDWR | O_CREAT, 0600, &projection->lock_fd, err);
	if (!status)
		status = fs_lock(projection->lock_fd, "the state", false, BUILD_WAIT_MS, err);
	return status;
}

static enum status open_any(struct projection *projection, struct error *err)
{
	struct error reason = ERROR_INIT;
	enum status status = STATUS_IO;

	if (!store_is_read_only(projection->store)) {
		status = open_lock(projection, &reason);
		if (!status)
			status = open_file(projection, &reason);
	}
	/* Not writable is no reason not to answer: state is a function of the log. */
	if (status == STATUS_IO) {
		close_db(projection);
		close_snapshot(projection);
		status = build_in_memory(projection, &reason);
		if (!store_is_read_only(projection->store))
			projection->rebuilt = REBUILT_UNKEPT;
	}
	if (!status)
		status = begin_reading(projection, &reason);
	if (status && err)
		*err = reason;
	return status;
}

enum status projection_open(struct store *store, struct projection **ret, struct error *err)
{
	struct projection *projection = calloc(1, sizeof(*projection));
	enum status status;

	if (!projection)
		return error_no_memory(err);
	projection->store = store;
	projection->lock_fd = -1;
	status = open_any(projection, err);
	if (status) {
		projection_close(projection);
		return status;
	}
	*ret = projection;
	return STATUS_OK;
}

void projection_pause(struct projection *projection)
{
	db_rollback(projection->db); /* it only read */
	close_snapshot(projection);
}

enum status projection_refresh(struct projection *projection, struct error *err)
{
	enum projection_rebuilt why = REBUILT_NO;
	struct error reason = ERROR_INIT;
	enum status status;

	projection_pause(projection);
	status = catch_up(projection, &why, &reason);
	/* That it could not be read does not make it damaged. */
	if (!status && why != REBUILT_NO &&
	    (reason.status == STATUS_IO || reason.status == STATUS_NO_MEMORY)) {
		status = reason.status;
	} else if (!status && why != REBUILT_NO) {
		projection->damaged = true;
		status = error_set(&reason, STATUS_CORRUPT, "state: damaged while in use");
	}
	if (!status)
		status = begin_reading(projection, &reason);
	if (status && err)
		*err = reason;
	return status;
}

static enum status rebuild_file(struct projection *projection, struct error *err)
{
	struct error reason = ERROR_INIT; /* that the new one must be looked for is no failure */
	enum status status = build(projection, &reason);

	if (!status)
		status = open_file(projection, &reason);
	if (status && err)
		*err = reason;
	return status;
}

enum status projection_rebuild(struct projection *projection, struct error *err)
{
	enum status status;

	projection_pause(projection);
	close_db(projection);
	status = projection->in_memory ? build_in_memory(projection, err)
				       : rebuild_file(projection, err);
	if (!status)
		status = begin_reading(projection, err);
	projection->damaged = status != STATUS_OK;
	projection->rebuilt = REBUILT_NO; /* asked for, so nothing to tell */
	return status;
}

enum status projection_fresh_hash(struct projection *projection, uint8_t ret[HASH_BYTES],
				  struct error *err)
{
	struct projection fresh = *projection;
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct state_view view = { .projection = &fresh, .arena = &arena };
	enum status status;

	fresh.db = NULL;
	/* An empty name is a temporary file of SQLite's, deleted on close: memory stays bounded. */
	status = db_open("", DB_BUILD, &fresh.db, err);
	if (!status)
		status = build_tables(&fresh, fresh.db, fresh.snapshot, fresh.seq, err);
	view.at = fresh.seq;
	if (!status)
		status = state_hash(&view, ret, err);
	db_close(fresh.db);
	return status;
}
