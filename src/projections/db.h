/*
 * One SQLite connection of the projection, with its errors in our words.
 *
 * A damaged file is STATUS_CORRUPT here; the projection answers that with a rebuild. Nobody else
 * touched one that is private or being built: there the same failures are STATUS_IO.
 */
#ifndef PROVENV_PROJECTIONS_DB_H
#define PROVENV_PROJECTIONS_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct db;

enum db_mode {
	DB_SHARED, /* an existing file: WAL, synchronous=NORMAL, no checkpoint on close */
	DB_BUILD,  /* a new file that nobody else sees yet: no sync; "": a temporary one */
	DB_MEMORY, /* private, no file; @path is ignored */
};

enum status db_open(const char *path, enum db_mode mode, struct db **ret, struct error *err);

/* Finalises all cached statements. Accepts NULL. */
void db_close(struct db *db);

sqlite3 *db_handle(struct db *db);

/*
 * A number drawn when the file was built, read from the file itself: a write-ahead log that lies
 * beside another file than the one it was written for is known by it. 0 without a file.
 */
uint32_t db_file_id(const struct db *db);

/* Run SQL that returns no rows. */
enum status db_exec(struct db *db, const char *sql, struct error *err);

/*
 * Begin a transaction; @to_write: take the write lock at once. One that is still open, because it
 * could not be ended for want of memory, is undone first. On failure none is open.
 */
enum status db_begin(struct db *db, bool to_write, struct error *err);

/*
 * End the transaction, if one is open, and undo what it wrote. SQLite ends some by itself when a
 * statement fails. Accepts NULL.
 */
void db_rollback(struct db *db);

/*
 * The cached statement of @slot, prepared from @sql on first use, reset and without bindings.
 * It belongs to the connection: reset it after use, never finalise it.
 */
enum status db_statement(struct db *db, unsigned slot, const char *sql, sqlite3_stmt **ret,
			 struct error *err);
/* Has the slot been prepared before? Then @sql of db_statement() may be NULL. */
bool db_has_statement(const struct db *db, unsigned slot);

/* Translate a failed SQLite result code. */
enum status db_error(struct db *db, int code, const char *what, struct error *err);

/* Say that the content is not what was written: CORRUPT, "state database: <what>". */
enum status db_refuse(struct db *db, const char *what, struct error *err);

/* Was damage met in the file? Then a rebuild is the answer. */
bool db_damaged(const struct db *db);

/* Leave the building mode: journal_mode=WAL, written through to the disk. IO when there can be no
 * WAL on this file system. */
enum status db_finish_build(struct db *db, struct error *err);

enum { DB_SLOTS = 192 };

#endif
