/*
 * One LMDB environment; see lmdb_env.h for the traps that are answered here.
 *
 * Invariants: between lmdb_env_begin() and its end `active` counts the transaction, and the map is
 * replaced only at active = 0; nothing of an environment is touched in another process than its
 * opener's; lock.mdb and data.mdb are opened by us only before LMDB does (lmdb_admit.h; closing a
 * descriptor of a file drops the process's record locks on it).
 */
#include "store/lmdb_env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_admit.h"
#include "store/lmdb_file.h"
#include "store/lmdb_meta.h"

#include "base/banned.h"

enum {
	/* 64 processes with 16 threads each. LMDB keeps 64 bytes for each in lock.mdb. */
	READER_SLOTS = 1024,
	TABLES_MAX = 8,
	DATA_FILE_MODE = 0600,
	/* How long a change of the map waits for transactions of other threads to end. */
	RESIZE_WAIT_MS = 2000,
	BEGIN_ATTEMPTS = 16,
	/* Less free space than this makes "disk full?" the likely reason of an EIO. */
	FREE_BYTES_LOW = 16 * 1024 * 1024,
};

/* Only address space: the file is as long as its pages. */
#define MAP_BYTES_DEFAULT ((size_t)64 << 20)
#define MAP_BYTES_MAX     ((size_t)1 << 40)
#define MAP_BYTES_STEP    ((size_t)64 << 10)

static_assert(sizeof(size_t) == 8, "LMDB maps the whole file");

struct lmdb_env {
	MDB_env *env;
	struct buf dir;
	struct buf data_path;
	struct buf lock_path;
	pid_t pid; /* the opener */
	unsigned generation;
	bool read_only;
	size_t page_bytes;
	dev_t device; /* of data.mdb */
	ino_t inode;
	int lock_fd;           /* of the directory, shared: see lmdb_admit.h; -1: none */
	struct lmdb_env *next; /* in the registry */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	unsigned active; /* transactions */
	bool resizing;   /* no new ones until the map is replaced */
	bool broken;     /* there is no map: the environment can only be closed */
};

/* --- words ------------------------------------------------------------------------------------ */

/* LMDB's own codes. Whatever else it returns is an errno. */
static enum status status_of_code(int code)
{
	switch (code) {
	case MDB_READERS_FULL:
		return STATUS_LOCKED;
	case MDB_KEYEXIST:
	case MDB_NOTFOUND:
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
	case MDB_BAD_TXN: /* it met a damaged page before, and answers nothing more */
		return STATUS_CORRUPT;
	case ENOMEM:
		return STATUS_NO_MEMORY;
	default:
		return STATUS_IO;
	}
}

/* LMDB turns a short write, which is what a full disk gives, into EIO. */
static enum status hint_at_space(const struct lmdb_env *env, enum status status, int code,
				 struct error *err)
{
	const char *dir = lmdb_env_dir(env);
	uint64_t free_bytes = fs_free_bytes(dir);

	if (code != EIO || free_bytes >= FREE_BYTES_LOW)
		return status;
	return error_hint(err, status, "disk full? %" PRIu64 " bytes are free on the device of %s",
			  free_bytes, dir);
}

enum status lmdb_env_failed(const struct lmdb_env *env, int code, const char *action,
			    struct error *err)
{
	enum status status = status_of_code(code);

	if (code > 0) {
		(void)error_errno(err, status, code, "cannot %s the log at %s", action,
				  lmdb_env_dir(env));
		return hint_at_space(env, status, code, err);
	}
	(void)error_set(err, status, "cannot %s the log at %s: %s", action, lmdb_env_dir(env),
			code == MDB_BAD_TXN ? "a page of it is damaged" : mdb_strerror(code));
	if (code == MDB_PANIC)
		return error_hint(err, status,
				  "a write failed before: run the command again, which looks "
				  "whether the event was written");
	return status;
}

const char *lmdb_env_dir(const struct lmdb_env *env)
{
	return buf_str(&env->dir);
}

const char *lmdb_env_data_path(const struct lmdb_env *env)
{
	return buf_str(&env->data_path);
}

/* --- the registry: one environment per file and process --------------------------------------- */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lmdb_env *registry;
static pid_t registry_pid;

/* How many forks lie between the first process and this one. Rows are checked against it: asking
 * the kernel for the pid costs as much as reading a row (measured). */
static atomic_uint fork_generation;
static pthread_once_t fork_watched = PTHREAD_ONCE_INIT;
static int fork_watch_code;

static void on_fork_in_child(void)
{
	atomic_fetch_add(&fork_generation, 1);
}

static void watch_forks(void)
{
	fork_watch_code = pthread_atfork(NULL, NULL, on_fork_in_child);
}

/* For whole transactions the pid itself counts: a bare clone() calls no handlers. */
static bool is_opener(const struct lmdb_env *env)
{
	return env->pid == getpid();
}

static enum status not_opener(const struct lmdb_env *env, struct error *err)
{
	return error_set(err, STATUS_IO,
			 "the log at %s was opened before this process was forked: open it again",
			 lmdb_env_dir(env));
}

enum status lmdb_env_check(const struct lmdb_env *env, struct error *err)
{
	if (env->generation == atomic_load_explicit(&fork_generation, memory_order_relaxed))
		return STATUS_OK;
	return not_opener(env, err);
}

/* A child made by fork has inherited entries, but may not use them: it starts with none. */
static void registry_lock_ours(void)
{
	(void)pthread_mutex_lock(&registry_lock);
	if (registry_pid == getpid())
		return;
	registry = NULL;
	registry_pid = getpid();
}

static enum status registry_add(struct lmdb_env *env, struct error *err)
{
	bool taken = false;

	registry_lock_ours();
	for (const struct lmdb_env *other = registry; other; other = other->next)
		taken = taken || (other->device == env->device && other->inode == env->inode);
	if (!taken) {
		env->next = registry;
		registry = env;
	}
	(void)pthread_mutex_unlock(&registry_lock);
	if (!taken)
		return STATUS_OK;
	return error_set(err, STATUS_CONFLICT, "the log at %s is open in this process already",
			 lmdb_env_dir(env));
}

/* Under the lock, so that nobody opens the file again before its descriptors are closed. */
static void registry_remove_and_close(struct lmdb_env *env)
{
	struct lmdb_env **link = &registry;

	registry_lock_ours();
	if (env->env)
		mdb_env_close(env->env);
	while (*link && *link != env)
		link = &(*link)->next;
	if (*link)
		*link = env->next;
	(void)pthread_mutex_unlock(&registry_lock);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Enter the file in the registry, and see whether LMDB may look at it. */
static enum status admit(struct lmdb_env *env, const struct evlog_lmdb_options *options,
			 size_t *ret_bytes, struct error *err)
{
	const struct lmdb_admission admission = { .dir = lmdb_env_dir(env),
						  .data_path = lmdb_env_data_path(env),
						  .lock_path = buf_str(&env->lock_path),
						  .options = *options };
	struct stat info = { .st_size = 0 };
	enum status status = lmdb_admit_find(&admission, &info, err);

	if (status)
		return status;
	env->device = info.st_dev;
	env->inode = info.st_ino;
	status = registry_add(env, err);
	return status ? status : lmdb_admit(&admission, &env->lock_fd, ret_bytes, err);
}

static size_t map_bytes_for(size_t wanted, size_t file_bytes)
{
	size_t bytes = wanted ? wanted : MAP_BYTES_DEFAULT;

	if (!wanted && file_bytes > bytes / 2)
		bytes = file_bytes < MAP_BYTES_MAX / 2 ? file_bytes * 2 : MAP_BYTES_MAX;
	return (bytes + MAP_BYTES_STEP - 1) / MAP_BYTES_STEP * MAP_BYTES_STEP;
}

static int open_mdb(struct lmdb_env *env, const struct evlog_lmdb_options *options,
		    size_t file_bytes)
{
	/* NOTLS: reader slots belong to transactions, so that threads may hand them over. No flag
	 * about syncing or WRITEMAP, ever: each loses acknowledged events or dies on a full disk.
	 */
	unsigned flags = MDB_NOTLS;
	int code = mdb_env_create(&env->env);

	if (env->read_only)
		flags |= MDB_RDONLY;
	if (options->no_lock)
		flags |= MDB_NOLOCK;
	if (!code)
		code = mdb_env_set_mapsize(env->env,
					   map_bytes_for(options->initial_map_bytes, file_bytes));
	if (!code)
		code = mdb_env_set_maxreaders(env->env, READER_SLOTS);
	if (!code)
		code = mdb_env_set_maxdbs(env->env, TABLES_MAX);
	if (!code)
		code = mdb_env_open(env->env, lmdb_env_dir(env), flags, DATA_FILE_MODE);
	return code;
}

/* Close-on-exec, which LMDB leaves off; and is it the file that was examined? */
static enum status check_descriptor(struct lmdb_env *env, struct error *err)
{
	struct stat info;
	int fd, flags;

	if (mdb_env_get_fd(env->env, &fd) || fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s",
				   lmdb_env_data_path(env));
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC))
		return error_errno(err, STATUS_IO, errno, "cannot set up %s",
				   lmdb_env_data_path(env));
	if (info.st_dev != env->device || info.st_ino != env->inode)
		return error_set(err, STATUS_IO, "%s was replaced while it was being opened",
				 lmdb_env_data_path(env));
	return STATUS_OK;
}

static enum status open_checked(struct lmdb_env *env, const struct evlog_lmdb_options *options,
				struct error *err)
{
	size_t file_bytes;
	enum status status = admit(env, options, &file_bytes, err);
	MDB_stat stat;
	int code, dead;

	if (status)
		return status;
	code = open_mdb(env, options, file_bytes);
	if (!code)
		code = mdb_env_stat(env->env, &stat);
	if (code)
		return lmdb_env_failed(env, code, "open", err);
	env->page_bytes = stat.ms_psize;
	status = check_descriptor(env, err);
	if (status)
		return status;
	code = mdb_reader_check(env->env, &dead);
	return code ? lmdb_env_failed(env, code, "clear dead readers of", err) : STATUS_OK;
}

static void close_env(struct lmdb_env **env)
{
	lmdb_env_close(*env);
}

static enum status env_new(const char *dir, struct lmdb_env **ret, struct error *err)
{
	struct lmdb_env *env AUTO(close_env) = calloc(1, sizeof(*env));
	pthread_condattr_t attributes;
	enum status status;

	if (!env)
		return error_no_memory(err);
	env->lock_fd = -1;
	env->pid = getpid();
	env->generation = atomic_load(&fork_generation);
	(void)pthread_mutex_init(&env->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&env->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	buf_append_str(&env->dir, dir);
	fs_join(&env->data_path, dir, "data.mdb");
	fs_join(&env->lock_path, dir, "lock.mdb");
	status = buf_status(&env->dir, err);
	if (!status)
		status = buf_status(&env->data_path, err);
	if (!status)
		status = buf_status(&env->lock_path, err);
	if (status)
		return status;
	*ret = env;
	env = NULL;
	return STATUS_OK;
}

enum status lmdb_env_open(const char *dir, struct evlog_lmdb_options options, struct lmdb_env **ret,
			  struct error *err)
{
	struct lmdb_env *env AUTO(close_env) = NULL;
	enum status status;

	(void)pthread_once(&fork_watched, watch_forks);
	if (fork_watch_code || !*dir) /* base/fs.h has why an empty path is */
		return error_no_memory(err);
	status = env_new(dir, &env, err);
	if (status)
		return status;
	assert(env);
	env->read_only = options.read_only || options.no_lock;
	assert(!(options.create && env->read_only));
	/* One that may not be looked into is no directory either, but there. */
	if (!options.create && !fs_is_dir(dir) && errno != EACCES)
		return error_set(err, STATUS_NO_STORE, "there is no log at %s", dir);
	status = open_checked(env, &options, err);
	if (status)
		return status;
	*ret = env;
	env = NULL;
	return STATUS_OK;
}

/* In a child made by fork, mdb_env_close() would clear the parent's reader slots. Only the
 * descriptor that we can get at is closed; the map stays until the child ends. */
static void abandon_env(struct lmdb_env *env)
{
	int fd;

	if (env->env && mdb_env_get_fd(env->env, &fd) == 0 && fd >= 0)
		(void)close(fd);
	cleanup_fd(&env->lock_fd);
}

void lmdb_env_close(struct lmdb_env *env)
{
	if (!env)
		return;
	if (!is_opener(env)) {
		abandon_env(env);
	} else {
		assert(env->active == 0);
		registry_remove_and_close(env);
		cleanup_fd(&env->lock_fd);
		(void)pthread_cond_destroy(&env->changed);
		(void)pthread_mutex_destroy(&env->lock);
	}
	buf_release(&env->dir);
	buf_release(&env->data_path);
	buf_release(&env->lock_path);
	free(env);
}

/* --- the map ---------------------------------------------------------------------------------- */

size_t lmdb_env_map_bytes(struct lmdb_env *env)
{
	MDB_envinfo info;

	return mdb_env_info(env->env, &info) ? 0 : info.me_mapsize;
}

bool lmdb_env_is_new(struct lmdb_env *env)
{
	MDB_envinfo info;

	return mdb_env_info(env->env, &info) == 0 && info.me_last_txnid == 0;
}

/* Count a transaction in, after a change of the map that is under way. False: there is no map. */
static bool enter(struct lmdb_env *env)
{
	bool usable;

	(void)pthread_mutex_lock(&env->lock);
	while (env->resizing)
		(void)pthread_cond_wait(&env->changed, &env->lock);
	usable = !env->broken;
	env->active += usable;
	(void)pthread_mutex_unlock(&env->lock);
	return usable;
}

static void leave(struct lmdb_env *env)
{
	(void)pthread_mutex_lock(&env->lock);
	assert(env->active > 0);
	if (--env->active == 0)
		(void)pthread_cond_broadcast(&env->changed);
	(void)pthread_mutex_unlock(&env->lock);
}

/* Wait, under the lock, until no transaction of this process is open. */
static bool wait_until_quiet(struct lmdb_env *env)
{
	uint64_t end_ms = clock_monotonic_ms() + RESIZE_WAIT_MS;
	struct timespec end = {
		.tv_sec = (time_t)(end_ms / 1000),
		.tv_nsec = (long)(end_ms % 1000) * 1000000,
	};
	int code = 0;

	while (env->active > 0 && code == 0)
		code = pthread_cond_timedwait(&env->changed, &env->lock, &end);
	return env->active == 0;
}

/* Under the lock: replace the map by one of @bytes, or of the size that the file says when 0. */
static enum status resize_locked(struct lmdb_env *env, size_t bytes, struct error *err)
{
	enum status status = STATUS_OK;
	int code;

	env->resizing = true;
	if (!wait_until_quiet(env)) {
		(void)error_set(err, STATUS_LOCKED,
				"the map of the log at %s must grow, but this process keeps "
				"reading it",
				lmdb_env_dir(env));
		status = error_hint(err, STATUS_LOCKED, "run the command again");
	} else {
		/* The old map goes first: after a failure there is none at all. */
		code = mdb_env_set_mapsize(env->env, bytes);
		env->broken = code != 0;
		if (code)
			status = lmdb_env_failed(env, code, "map", err);
	}
	env->resizing = false;
	(void)pthread_cond_broadcast(&env->changed);
	return status;
}

/* @seen_bytes 0: another process has made the file larger than our map (MDB_MAP_RESIZED). */
static enum status resize(struct lmdb_env *env, size_t seen_bytes, struct error *err)
{
	enum status status = STATUS_OK;

	(void)pthread_mutex_lock(&env->lock);
	while (env->resizing)
		(void)pthread_cond_wait(&env->changed, &env->lock);
	if (!env->broken && (seen_bytes == 0 || lmdb_env_map_bytes(env) == seen_bytes))
		status = resize_locked(env, seen_bytes * 2, err);
	(void)pthread_mutex_unlock(&env->lock);
	return status;
}

enum status lmdb_env_grow(struct lmdb_env *env, size_t seen_bytes, struct error *err)
{
	if (seen_bytes == 0 || seen_bytes > MAP_BYTES_MAX / 2)
		return error_set(err, STATUS_IO, "the log at %s is full at %zu bytes",
				 lmdb_env_dir(env), seen_bytes);
	return resize(env, seen_bytes, err);
}

/* --- transactions ----------------------------------------------------------------------------- */

/*
 * Is every page of the last commit there? Two looks: a writer makes the file longer first and
 * counts its pages after, so that only the second can tell.
 *
 * Only the size is asked for: a look at the times of a file makes the kernel give the next write a
 * time of its own, and with it the inode one more change to sync (a tenth of an append: measured).
 */
static enum status check_extent(struct lmdb_env *env, struct error *err)
{
	const char *path = lmdb_env_data_path(env);
	int fd;

	if (mdb_env_get_fd(env->env, &fd))
		return error_errno(err, STATUS_IO, EBADF, "cannot examine %s", path);
	for (int i = 0; i < 2; i++) {
		struct statx info;
		MDB_envinfo last;

		if (statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &info))
			return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
		/* The meta pages first: LMDB reads them to answer. */
		if (info.stx_size < LMDB_META_PAGES * env->page_bytes)
			break;
		if (mdb_env_info(env->env, &last) == 0 &&
		    last.me_last_pgno < info.stx_size / env->page_bytes)
			return STATUS_OK;
	}
	return lmdb_file_too_short(path, err);
}

static int begin_counted(struct lmdb_env *env, bool write, MDB_txn **ret)
{
	int dead;
	int code = write ? fault_point("log.begin") : 0;

	/* Pages that a dead reader holds would never be used again. */
	if (!code && write)
		code = mdb_reader_check(env->env, &dead);
	if (!code)
		code = mdb_txn_begin(env->env, NULL, write ? 0 : MDB_RDONLY, ret);
	if (code == MDB_READERS_FULL && mdb_reader_check(env->env, &dead) == 0 && dead > 0)
		code = mdb_txn_begin(env->env, NULL, write ? 0 : MDB_RDONLY, ret);
	return code;
}

/* One attempt. OK with *ret NULL: try again. */
static enum status begin_once(struct lmdb_env *env, bool write, MDB_txn **ret, struct error *err)
{
	enum status status;
	int code;

	if (!enter(env))
		return error_set(err, STATUS_IO, "the log at %s has no map any more: open it again",
				 lmdb_env_dir(env));
	status = check_extent(env, err);
	code = status ? 0 : begin_counted(env, write, ret);
	if (!status && !code)
		return STATUS_OK;
	leave(env);
	*ret = NULL;
	if (status || code == EINTR)
		return status;
	if (code == MDB_MAP_RESIZED)
		return resize(env, 0, err);
	return lmdb_env_failed(env, code, write ? "write to" : "read", err);
}

enum status lmdb_env_begin(struct lmdb_env *env, bool write, MDB_txn **ret, struct error *err)
{
	MDB_txn *txn = NULL;
	enum status status = STATUS_OK;

	if (!is_opener(env))
		return not_opener(env, err);
	if (write && env->read_only)
		return error_set(err, STATUS_IO, "the log at %s is open for reading only",
				 lmdb_env_dir(env));
	for (int i = 0; !status && !txn && i < BEGIN_ATTEMPTS; i++)
		status = begin_once(env, write, &txn, err);
	if (status)
		return status;
	if (!txn)
		return error_set(err, STATUS_IO,
				 "cannot begin with the log at %s: it keeps growing",
				 lmdb_env_dir(env));
	*ret = txn;
	return STATUS_OK;
}

void lmdb_env_end(struct lmdb_env *env, MDB_txn *txn)
{
	if (!is_opener(env))
		return;
	mdb_txn_abort(txn);
	leave(env);
}

int lmdb_env_commit(struct lmdb_env *env, MDB_txn *txn)
{
	int code = mdb_txn_commit(txn);

	leave(env);
	return code;
}
