/*
 * SQLite connection; see db.h.
 */
#include "projections/db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"

#include "base/banned.h"

enum {
	BUSY_TIMEOUT_MS = 10 * 1000,
	WAL_FRAMES_MAX = 64, /* a set writes four */
};

struct db {
	sqlite3 *handle;
	enum db_mode mode;
	bool damaged;
	sqlite3_stmt *statements[DB_SLOTS];
};

enum status db_error(struct db *db, int code, const char *what, struct error *err)
{
	const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);

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
	if (db && !sqlite3_get_autocommit(db->handle))
		(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
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

static enum status configure(struct db *db, enum db_mode mode, struct error *err)
{
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	/* The file may come from anywhere: no schema of it may run code of ours. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (mode == DB_SHARED) {
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		sqlite3_wal_hook(db->handle, shorten_wal, NULL);
		/* Room for the last pages of thousands of keys, for a process that asks often. */
		return db_exec(db, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8000", err);
	}
	/*
	 * The journal stays, and in a file: a command that breaks a rule is rolled back from it,
	 * and a large command would fill the memory. It costs little, as a new file has no old
	 * content.
	 */
	if (mode == DB_BUILD)
		return db_exec(db,
			       "PRAGMA synchronous = OFF; PRAGMA cache_size = -24000;"
			       "PRAGMA locking_mode = EXCLUSIVE",
			       err);
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
	enum status status;
	int code;

	if (!db)
		return error_no_memory(err);
	db->mode = mode;
	if (mode != DB_SHARED)
		flags |= SQLITE_OPEN_CREATE;
	resolve_directory(mode == DB_MEMORY ? ":memory:" : path, &resolved);
	status = buf_status(&resolved, err);
	if (!status) {
		code = sqlite3_open_v2(buf_str(&resolved), &db->handle, flags, NULL);
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
	sqlite3_close(db->handle);
	free(db);
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
