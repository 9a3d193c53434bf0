/*
 * A store directory, open: making, opening and locking it. Appending is in store_append.c.
 *
 * Invariants: evidence is read before the snapshot it is compared with begins; the registry is that
 * of `registry_size` events of the log; no evidence moves while a loss stands.
 * Must not know what the events mean, nor policy.
 */
#include "store/store.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/evidence.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/headfile.h"
#include "store/lmdb_file.h"
#include "store/registry.h"
#include "store/store_object.h"

#include "base/banned.h"

enum {
	STORE_DIR_MODE = 0700,
};

static void close_store(struct store **store)
{
	store_close(*store);
}

/* --- the object ------------------------------------------------------------------------------- */

static enum status store_new(const char *path, struct store **ret, struct error *err)
{
	struct store *store AUTO(close_store) = calloc(1, sizeof(*store));
	enum status status;

	if (!store)
		return error_no_memory(err);
	store->lock_fd = -1;
	buf_append_str(&store->path, path);
	fs_join(&store->log_dir, path, "log");
	fs_join(&store->vault_dir, path, "vault");
	fs_join(&store->state_dir, path, "state");
	status = evidence_init(&store->evidence, path, err);
	if (!status)
		status = buf_status(&store->path, err);
	if (!status)
		status = buf_status(&store->log_dir, err);
	if (!status)
		status = buf_status(&store->vault_dir, err);
	if (!status)
		status = buf_status(&store->state_dir, err);
	if (status)
		return status;
	*ret = store;
	store = NULL;
	return STATUS_OK;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_unlock(store);
	evlog_close(store->log);
	registry_release(&store->registry);
	evidence_release(&store->evidence);
	buf_release(&store->path);
	buf_release(&store->log_dir);
	buf_release(&store->vault_dir);
	buf_release(&store->state_dir);
	free(store);
}

const char *store_path(const struct store *store)
{
	return buf_str(&store->path);
}

bool store_is_read_only(const struct store *store)
{
	return !store->may_write;
}

enum status store_check_unmoved(const struct store *store, struct error *err)
{
	struct buf data AUTO(buf_release) = BUF_INIT;

	if (!store->unlocked_at)
		return STATUS_OK;
	fs_join(&data, buf_str(&store->log_dir), "data.mdb");
	return lmdb_file_check_unmoved(buf_str(&data), store->unlocked_at, err);
}

struct evlog *store_log(struct store *store)
{
	return store->log;
}

const uint8_t *store_log_id(const struct store *store)
{
	return store->log_id;
}

const struct registry *store_registry(const struct store *store)
{
	return &store->registry;
}

const struct store_loss *store_loss(const struct store *store)
{
	return &store->evidence.loss;
}

const char *store_evidence_note(const struct store *store)
{
	return store->evidence.note.len ? buf_str(&store->evidence.note) : NULL;
}

const char *store_vault_dir(const struct store *store)
{
	return buf_str(&store->vault_dir);
}

const char *store_state_dir(const struct store *store)
{
	return buf_str(&store->state_dir);
}

/* --- the registry, and the head of the log ---------------------------------------------------- */

/* Bring the registry to the size of the snapshot. It is small and seldom changes: read anew when an
 * event for it has come. */
enum status store_take_in(struct store *store, struct evlog_snapshot *snapshot, struct error *err)
{
	struct registry fresh = REGISTRY_INIT;
	struct error why = ERROR_INIT; /* the end of the index is no failure */
	uint64_t seq;
	enum status status = evlog_registry_next(snapshot, store->registry_size, &seq, &why);

	if (!status)
		status = registry_load(snapshot, &fresh, &why);
	if (status && status != STATUS_NOT_FOUND) {
		if (err)
			*err = why;
		return status;
	}
	if (!status) {
		registry_release(&store->registry);
		store->registry = fresh;
	}
	store->registry_size = snapshot->size;
	return STATUS_OK;
}

enum status store_head_of(const struct store *store, struct evlog_snapshot *snapshot,
			  struct head_record *ret, struct error *err)
{
	struct head_record record = { .size = snapshot->size };
	enum status status = evlog_root(snapshot, snapshot->size, record.root, err);

	if (status)
		return status;
	memcpy(record.log_id, store->log_id, LOG_ID_BYTES);
	record.generation = registry_generation_at(&store->registry, snapshot->size);
	*ret = record;
	return STATUS_OK;
}

enum status store_refresh(struct store *store, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status = evlog_snapshot_open(store->log, &snapshot, err);

	return status ? status : store_take_in(store, snapshot, err);
}

/* --- evidence --------------------------------------------------------------------------------- */

void store_advance(struct store *store, struct evidence_file *file,
		   const struct head_record *record)
{
	struct error why = ERROR_INIT;

	if (!evidence_advance(file, record, false, &why))
		file->noted = false;
	else if (!file->noted)
		evidence_note(&store->evidence, "cannot note how far the log is: %s", why.text);
}

/* Evidence of what is known to be lost is of no more use: it gives way to the log as it is. */
static void replace_accepted(struct store *store, struct evidence_file *file,
			     const struct head_record *record)
{
	struct error why = ERROR_INIT;

	if (!evidence_advance(file, record, true, &why))
		file->accepted = false;
	else
		evidence_note(&store->evidence, "cannot note how far the log is: %s", why.text);
}

/*
 * At open: the log is ahead, because a writer crashed after its commit, or others wrote; or others
 * accepted a loss.
 */
static enum status move_on(struct store *store, struct evlog_snapshot *snapshot, struct error *err)
{
	struct evidence_file *files[] = { store->may_write ? &store->evidence.head : NULL,
					  &store->evidence.checkpoint };
	struct head_record record = { .size = 0 };

	if (!store->may_evidence)
		return STATUS_OK;
	for (size_t i = 0; i < 2; i++) {
		struct evidence_file *file = files[i];
		enum status status;

		if (!file || (!file->behind && !file->accepted))
			continue;
		status = record.size ? STATUS_OK : store_head_of(store, snapshot, &record, err);
		if (status)
			return status;
		if (file->accepted)
			replace_accepted(store, file, &record);
		else
			store_advance(store, file, &record);
	}
	return STATUS_OK;
}

/* Evidence first, then the snapshot it is compared with. */
static enum status examine(struct store *store, struct evlog_snapshot **ret, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status = evidence_read(&store->evidence, store->log_id, err);

	if (!status)
		status = evlog_snapshot_open(store->log, &snapshot, err);
	if (!status)
		status = store_take_in(store, snapshot, err);
	if (!status)
		status = evidence_compare(&store->evidence, snapshot, &store->registry, err);
	if (status)
		return status;
	*ret = snapshot;
	snapshot = NULL;
	return STATUS_OK;
}

static enum status check_evidence(struct store *store, bool tolerate_loss, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status = examine(store, &snapshot, err);

	/* Twice, in case a writer came in between in a way not thought of. */
	if (!status && store_loss(store)->evidence != EVIDENCE_NONE) {
		evlog_snapshot_close(snapshot);
		snapshot = NULL;
		status = examine(store, &snapshot, err);
	}
	if (status)
		return status;
	if (store_loss(store)->evidence == EVIDENCE_NONE)
		return move_on(store, snapshot, err);
	if (tolerate_loss)
		return STATUS_OK;
	return evidence_loss_error(&store->evidence, err);
}

enum status store_loss_error(const struct store *store, struct error *err)
{
	return evidence_loss_error(&store->evidence, err);
}

enum status store_reset_evidence(struct store *store, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	struct head_record record;
	enum status status = evlog_snapshot_open(store->log, &snapshot, err);

	if (!status)
		status = store_head_of(store, snapshot, &record, err);
	if (!status)
		status = evidence_advance(&store->evidence.head, &record, true, err);
	if (!status)
		status = evidence_advance(&store->evidence.checkpoint, &record, true, err);
	if (status)
		return status;
	store->evidence.loss = (struct store_loss){ .evidence = EVIDENCE_NONE };
	store->evidence.head.noted = false;
	store->evidence.checkpoint.noted = false;
	buf_clear(&store->evidence.note);
	return STATUS_OK;
}

/* --- making and opening ----------------------------------------------------------------------- */

static enum status exists_already(const struct store *store, struct error *err)
{
	(void)error_set(err, STATUS_CONFLICT, "there is a store at %s already", store_path(store));
	return error_hint(err, STATUS_CONFLICT, "use it: provenv --store %s status",
			  store_path(store));
}

/* There is a head file, but no log that it could be of. */
static enum status log_is_gone(const struct store *store, enum status status, struct error *err)
{
	(void)error_set(err, status,
			"%s held a store of %" PRIu64 " events whose log is gone (evidence: %s)",
			store_path(store), store->evidence.head.record.size,
			buf_str(&store->evidence.head.path));
	return error_hint(err, status, "restore the log from a copy, or use another directory");
}

/* A log without an event is one whose init never finished, unless something was acknowledged. */
static enum status check_unused(struct store *store, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status = evlog_snapshot_open(store->log, &snapshot, err);

	if (status)
		return status;
	if (snapshot->size > 0)
		return exists_already(store, err);
	status = evidence_read(&store->evidence, NULL, err);
	if (status || !store->evidence.head.usable)
		return status;
	return log_is_gone(store, STATUS_CONFLICT, err);
}

static enum status create_log(struct store *store, struct error *err)
{
	const char *dir = buf_str(&store->log_dir);
	enum status status = evlog_lmdb_open(dir, (struct evlog_lmdb_options){ .create = true },
					     &store->log, err);

	if (status != STATUS_CONFLICT)
		return status;
	return evlog_lmdb_open(dir, (struct evlog_lmdb_options){ .create = false }, &store->log,
			       err);
}

enum status store_create(const char *path, struct store **ret, struct error *err)
{
	struct store *store AUTO(close_store) = NULL;
	struct error why = ERROR_INIT; /* that a log exists is no failure yet */
	enum status status = store_new(path, &store, &why);

	if (!status)
		status = fs_make_dirs(buf_str(&store->log_dir), STORE_DIR_MODE, &why);
	if (!status)
		status = create_log(store, &why);
	if (!status)
		status = check_unused(store, &why);
	if (!status)
		status = fs_make_dirs(store_vault_dir(store), STORE_DIR_MODE, &why);
	if (!status)
		status = fs_make_dirs(store_state_dir(store), STORE_DIR_MODE, &why);
	if (status) {
		if (err)
			*err = why;
		return status;
	}
	store->may_write = true;
	store->may_evidence = true;
	*ret = store;
	store = NULL;
	return STATUS_OK;
}

static bool may_write_to(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* Can we announce ourselves as a reader? Where we cannot, on read-only media or in the directory of
 * somebody else, reading without is all there is. */
static bool may_lock_readers(const char *log_dir)
{
	struct buf lock AUTO(buf_release) = BUF_INIT;

	fs_join(&lock, log_dir, "lock.mdb");
	return fs_exists(buf_str(&lock)) ? may_write_to(buf_str(&lock)) : may_write_to(log_dir);
}

struct evlog_lmdb_options store_reading(const char *store_path)
{
	struct buf dir AUTO(buf_release) = BUF_INIT;

	fs_join(&dir, store_path, "log");
	return (struct evlog_lmdb_options){ .read_only = true,
					    .no_lock = !may_lock_readers(buf_str(&dir)) };
}

/*
 * A commit that a crash tore was never acknowledged, and is taken back. But a page that decayed
 * since looks the same: the head file tells them apart, and is asked only then.
 */
static enum status open_whole(struct store *store, struct evlog_lmdb_options options,
			      struct error *err)
{
	const char *dir = buf_str(&store->log_dir);
	struct error why = ERROR_INIT;
	enum status status;

	options.events_known = UINT64_MAX;
	status = evlog_lmdb_open(dir, options, &store->log, &why);
	if (status == STATUS_CORRUPT || status == STATUS_NO_STORE) {
		enum status read = evidence_read(&store->evidence, NULL, err);
		const struct evidence_file *head = &store->evidence.head;

		if (read)
			return read;
		if (status == STATUS_NO_STORE && head->usable)
			return log_is_gone(store, STATUS_CORRUPT, err);
		if (status == STATUS_CORRUPT) {
			options.events_known = head->usable ? head->record.size : 0;
			status = evlog_lmdb_open(dir, options, &store->log, &why);
		}
	}
	if (status && err)
		*err = why;
	return status;
}

static enum status open_log(struct store *store, bool read_only, struct error *err)
{
	const char *dir = buf_str(&store->log_dir);
	struct buf data AUTO(buf_release) = BUF_INIT;
	struct evlog_lmdb_options options = { .create = false };
	enum status status;

	fs_join(&data, dir, "data.mdb");
	status = buf_status(&data, err);
	if (status)
		return status;
	store->may_write =
		!read_only && may_write_to(store_path(store)) && may_write_to(buf_str(&data));
	store->may_evidence = !read_only;
	options.read_only = !store->may_write;
	options.no_lock = options.read_only && !may_lock_readers(dir);
	if (options.no_lock)
		(void)lmdb_file_transaction(buf_str(&data), &store->unlocked_at, NULL);
	return open_whole(store, options, err);
}

/* No event: an init that never finished, or a log that lost them all. */
static enum status empty_log(struct store *store, struct evlog_snapshot *snapshot,
			     struct error *err)
{
	enum status status = evidence_read(&store->evidence, NULL, err);

	if (!status)
		status = evidence_compare(&store->evidence, snapshot, &store->registry, err);
	if (status)
		return status;
	if (store_loss(store)->evidence != EVIDENCE_NONE) {
		(void)evidence_loss_error(&store->evidence, err);
		return error_hint(err, STATUS_CORRUPT, "restore the log from a copy");
	}
	(void)error_set(err, STATUS_NO_STORE, "the store at %s was never finished",
			store_path(store));
	return error_hint(err, STATUS_NO_STORE, "finish it: provenv --store %s init",
			  store_path(store));
}

/* Learn which log this is, in a snapshot of its own: the evidence is found by the log's id. */
static enum status identify(struct store *store, struct error *err)
{
	struct evlog_snapshot *snapshot AUTO(store_close_snapshot) = NULL;
	enum status status = evlog_snapshot_open(store->log, &snapshot, err);

	if (status)
		return status;
	if (snapshot->size == 0)
		return empty_log(store, snapshot, err);
	status = store_take_in(store, snapshot, err);
	if (status)
		return status;
	memcpy(store->log_id, store->registry.log_id, LOG_ID_BYTES);
	evidence_name_checkpoint(&store->evidence, store->log_id, store_path(store));
	return STATUS_OK;
}

enum status store_open(const char *path, struct store_options options, struct store **ret,
		       struct error *err)
{
	struct store *store AUTO(close_store) = NULL;
	enum status status = store_new(path, &store, err);

	if (!status)
		status = open_log(store, options.read_only, err);
	if (!status)
		status = identify(store, err);
	if (!status)
		status = check_evidence(store, options.tolerate_loss, err);
	if (status == STATUS_CORRUPT && store_check_unmoved(store, err))
		return STATUS_LOCKED;
	if (status)
		return status;
	*ret = store;
	store = NULL;
	return STATUS_OK;
}

/* --- the write lock --------------------------------------------------------------------------- */

enum status store_lock_dir(const char *path, uint64_t wait_ms, int *ret_fd, struct error *err)
{
	struct buf dir AUTO(buf_release) = BUF_INIT;
	int fd AUTO_FD = -1;
	enum status status;

	/* The dot, so that a store reached over a link is not refused. */
	fs_join(&dir, path, ".");
	status = buf_status(&dir, err);
	if (!status)
		status = fs_open(buf_str(&dir), O_RDONLY | O_DIRECTORY, 0, &fd, err);
	if (!status)
		status = fs_lock(fd, "the store's write lock", true, wait_ms, err);
	if (status)
		return status;
	*ret_fd = fd;
	fd = -1;
	return STATUS_OK;
}

enum status store_lock(struct store *store, uint64_t wait_ms, struct error *err)
{
	assert(store->lock_fd < 0);
	if (!store->may_write) {
		(void)error_set(err, STATUS_IO, "the store at %s cannot be written to",
				store_path(store));
		return error_hint(err, STATUS_IO, "%s",
				  fs_is_read_only(store_path(store))
					  ? "its file system is mounted read-only"
					  : "it is open for reading only: look at who owns it and "
					    "its log/");
	}
	return store_lock_dir(store_path(store), wait_ms, &store->lock_fd, err);
}

void store_unlock(struct store *store)
{
	cleanup_fd(&store->lock_fd);
	store->lock_fd = -1;
}
