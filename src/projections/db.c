/*
 * SQLite connection; see db.h.
 */
#include "projections/db.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/rng.h"
#include "projections/page_check.h"

#include "base/banned.h"

enum {
	BUSY_TIMEOUT_MS = 10 * 1000,
	WAL_FRAMES_MAX = 64, /* a set writes four */
};

struct db {
	sqlite3 *handle;
	enum db_mode mode;
	bool damaged;
	uint32_t file_id;
	sqlite3_stmt *rollback; /* made before it is needed, which may be for want of memory */
	sqlite3_stmt *statements[DB_SLOTS];
};

/* The errno of the last call that failed on one of its files; 0 when none did. */
static int file_errno(const struct db *db, int which)
{
	sqlite3_file *file = NULL;
	int number = 0;

	if (db->handle &&
	    sqlite3_file_control(db->handle, "main", which, (void *)&file) == SQLITE_OK && file &&
	    file->pMethods)
		(void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
	return number;
}

/* SQLite calls a page malformed that it could not read. */
static int errno_behind_damage(const struct db *db, int code)
{
	int number;

	if ((code & 0xff) != SQLITE_CORRUPT)
		return 0;
	number = file_errno(db, SQLITE_FCNTL_FILE_POINTER);
	return number ? number : file_errno(db, SQLITE_FCNTL_JOURNAL_POINTER);
}

enum status db_error(struct db *db, int code, const char *what, struct error *err)
{
	const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
	int number = errno_behind_damage(db, code);

	if (number)
		return error_errno(err, STATUS_IO, number, "state database: cannot %s", what);
	if (code == SQLITE_IOERR_DATA) /* page_check.h */
		return db_refuse(db, "a page is not what was written", err);
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return error_no_memory(err);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT: /* two rows of a key in force: not what apply wrote */
	case SQLITE_ERROR:      /* a table is missing or of another shape */
	case SQLITE_MISMATCH:
	case SQLITE_READONLY: /* it was made read-only: a new generation is not */
		if (db->mode != DB_SHARED)
			return error_set(err, STATUS_IO, "state database: cannot %s: %s", what,
					 text);
		db->damaged = true;
		return error_set(err, STATUS_CORRUPT, "state database: cannot %s: %s", what, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(err, STATUS_LOCKED, "state database: cannot %s: %s", what, text);
	case SQLITE_FULL:
		return error_errno(err, STATUS_IO, ENOSPC, "state database: cannot %s", what);
	default:
		return error_set(err, STATUS_IO, "state database: cannot %s: %s", what, text);
	}
}

enum status db_refuse(struct db *db, const char *what, struct error *err)
{
	db->damaged = true;
	return error_set(err, STATUS_CORRUPT, "state database: %s", what);
}

void db_rollback(struct db *db)
{
	if (!db || sqlite3_get_autocommit(db->handle))
		return;
	(void)sqlite3_step(db->rollback);
	(void)sqlite3_reset(db->rollback);
}

enum status db_begin(struct db *db, bool to_write, struct error *err)
{
	enum status status;

	/* A rollback fails for want of memory only, and may be had now. */
	db_rollback(db);
	if (!sqlite3_get_autocommit(db->handle))
		return error_no_memory(err);
	status = db_exec(db, to_write ? "BEGIN IMMEDIATE" : "BEGIN", err);
	/* It may have begun, and only then have run out of memory. */
	if (status)
		db_rollback(db);
	return status;
}

enum status db_exec(struct db *db, const char *sql, struct error *err)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? STATUS_OK : db_error(db, code, "run a statement", err);
}

/*
 * Each command is the only connection and leaves its WAL behind, so the next one reads all of it
 * before its first answer. Only an emptied file is short for the next process: how far a passive
 * checkpoint came is noted in the shared memory, which that process makes anew. Never waits: with a
 * reader about, the next write tries.
 */
static int shorten_wal(void *context, sqlite3 *handle, const char *name, int frames)
{
	(void)context;
	if (frames < WAL_FRAMES_MAX)
		return SQLITE_OK;
	sqlite3_busy_timeout(handle, 0);
	(void)sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(handle, BUSY_TIMEOUT_MS);
	return SQLITE_OK;
}

/* A new file gets checksums and an id of its own. */
static enum status mark_file(struct db *db, struct error *err)
{
	char sql[64];

	if (page_check_reserve(db->handle) != SQLITE_OK)
		return error_set(err, STATUS_IO, "state database: no room for checksums");
	rng_bytes(&db->file_id, sizeof(db->file_id));
	db->file_id >>= 1; /* SQLite takes a signed number */
	(void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %" PRIu32, db->file_id);
	return db_exec(db, sql, err);
}

static enum status read_file_id(struct db *db, struct error *err)
{
	int code = page_check_file_id(db->handle, &db->file_id);

	return code == SQLITE_OK ? STATUS_OK : db_error(db, code, "read the file", err);
}

static enum status configure(struct db *db, enum db_mode mode, struct error *err)
{
	enum status status;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	/* The file may come from anywhere: no schema of it may run code of ours. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (mode == DB_SHARED) {
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		sqlite3_wal_hook(db->handle, shorten_wal, NULL);
		/* Room for the last pages of thousands of keys, for a process that asks often. */
		status = db_exec(db, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8000", err);
		return status ? status : read_file_id(db, err);
	}
	/*
	 * The journal stays, and in a file: a command that breaks a rule is rolled back from it,
	 * and a large command would fill the memory. It costs little, as a new file has no old
	 * content.
	 */
	if (mode == DB_BUILD) {
		status = db_exec(db,
				 "PRAGMA synchronous = OFF; PRAGMA cache_size = -24000;"
				 "PRAGMA locking_mode = EXCLUSIVE",
				 err);
		return status ? status : mark_file(db, err);
	}
	return STATUS_OK;
}

/*
 * NOFOLLOW, by which a link in place of the file is refused, makes SQLite refuse links to any
 * directory above it as well: these are resolved here. A path that cannot be is left as it is.
 */
static void resolve_directory(const char *path, struct buf *ret)
{
	const char *slash = strrchr(path, '/');
	AUTO(buf_release) struct buf given = BUF_INIT;
	AUTO_FREE char *real = NULL;

	if (slash && slash > path) {
		buf_append(&given, path, (size_t)(slash - path));
		real = realpath(buf_str(&given), NULL);
	}
	if (real)
		fs_join(ret, real, slash + 1);
	else
		buf_append_str(ret, path);
}

enum status db_open(const char *path, enum db_mode mode, struct db **ret, struct error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	AUTO(buf_release) struct buf resolved = BUF_INIT;
	struct db *db = calloc(1, sizeof(*db));
	const char *vfs = page_check_vfs();
	enum status status;
	int code;

	if (!db || !vfs) {
		free(db);
		return error_no_memory(err);
	}
	db->mode = mode;
	if (mode != DB_SHARED)
		flags |= SQLITE_OPEN_CREATE;
	resolve_directory(mode == DB_MEMORY ? ":memory:" : path, &resolved);
	status = buf_status(&resolved, err);
	if (!status) {
		code = sqlite3_open_v2(buf_str(&resolved), &db->handle, flags, vfs);
		if (code == SQLITE_OK)
			code = sqlite3_prepare_v3(db->handle, "ROLLBACK", -1,
						  SQLITE_PREPARE_PERSISTENT, &db->rollback, NULL);
		status = code == SQLITE_OK ? configure(db, mode, err)
					   : db_error(db, code, "open the file", err);
	}
	if (status) {
		db_close(db);
		return status;
	}
	*ret = db;
	return STATUS_OK;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < DB_SLOTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_finalize(db->rollback);
	sqlite3_close(db->handle);
	free(db);
}

uint32_t db_file_id(const struct db *db)
{
	return db->file_id;
}

sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

bool db_damaged(const struct db *db)
{
	return db->damaged;
}

bool db_has_statement(const struct db *db, unsigned slot)
{
	return db->statements[slot] != NULL;
}

enum status db_statement(struct db *db, unsigned slot, const char *sql, sqlite3_stmt **ret,
			 struct error *err)
{
	assert(slot < DB_SLOTS);
	if (!db->statements[slot]) {
		int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
					      &db->statements[slot], NULL);

		if (code != SQLITE_OK)
			return db_error(db, code, "prepare a statement", err);
	}
	sqlite3_reset(db->statements[slot]);
	sqlite3_clear_bindings(db->statements[slot]);
	*ret = db->statements[slot];
	return STATUS_OK;
}

enum status db_finish_build(struct db *db, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	bool wal = false;
	int code;
	enum status status =
		db_exec(db, "PRAGMA synchronous = FULL; PRAGMA locking_mode = NORMAL", err);

	if (status)
		return status;
	/* What cannot be had is no error to SQLite: it answers with the mode that it is in. */
	code = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		wal = sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
	else
		status = db_error(db, code, "switch to a write-ahead log", err);
	sqlite3_finalize(stmt);
	if (!status && !wal)
		status = error_set(err, STATUS_IO,
				   "state database: no write-ahead log on this file system");
	return status;
}
