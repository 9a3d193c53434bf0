/*
 * Temporal tables: one per tag of the state model, all of one shape.
 *
 * A row has key columns, value columns, and is in force from event from_seq until the next row of
 * its key. These functions are the only ones that read or write rows; schema.sql is their shape.
 */
#ifndef PROVENV_PROJECTIONS_TABLES_H
#define PROVENV_PROJECTIONS_TABLES_H

#include "base/arena.h"
#include "base/error.h"
#include "projections/db.h"
#include "store/state_model.h"

enum {
	TABLE_KEYS_MAX = 3,
	TABLE_COLUMNS_MAX = 4,
};

/* One column of one row: text, a blob or a number, as the table says. */
struct cell {
	struct slice bytes;
	int64_t number;
};

struct table_row {
	struct cell key[TABLE_KEYS_MAX];
	struct cell column[TABLE_COLUMNS_MAX];
	uint64_t from_seq;
};

static inline struct cell cell_text(struct slice text)
{
	return (struct cell){ .bytes = text };
}

static inline struct cell cell_number(uint64_t number)
{
	return (struct cell){ .number = (int64_t)number };
}

/* Columns of the tables, in the order of schema.sql. */
enum {
	BACKUP_DEFINITION = 0,
	BACKUP_CHECK_DEFINITION = 0,
	CATEGORY_DEFINITION = 0,
	DATABASE_DEFINITION = 0,
	ACTIVE_NAME = 0,
	ENVIRONMENT_PROTECTED = 0,
	ENVIRONMENT_TITLE,
	ENVIRONMENT_DESCRIPTION,
	KEY_DEFINITION = 0,
	LOCK_UNTIL_MS = 0,
	PROFILE_BASE = 0,
	PROFILE_TITLE,
	PROFILE_DESCRIPTION,
	REPLACEMENT_PHASE = 0,
	REPLACEMENT_STARTED_SEQ,
	REPLACEMENT_SAFETY_SEQ,
	SPECIFICATION_CATEGORY = 0,
	SPECIFICATION_DEFINITION,
	VARIABLE_VALUE_SEQ = 0,
	VARIABLE_VALUE_INDEX,
	VARIABLE_SEALED,
	VARIABLE_EXPAND,
	VIOLATION_RULE = 0,
};

/* How many key columns the table of @tag has. */
unsigned table_key_count(enum state_tag tag);

/* Create all tables in an empty database. */
enum status tables_create(struct db *db, struct error *err);

/* Put a row in force from @seq, in place of the one of its key that is in force now, if any. */
enum status table_put(struct db *db, enum state_tag tag, const struct cell *keys,
		      const struct cell *columns, uint64_t seq, struct error *err);

/*
 * From @seq on, no row whose first @key_count key columns are @keys is in force. Variables:
 * @key_count must be at least 2 (one profile).
 */
enum status table_remove(struct db *db, enum state_tag tag, const struct cell *keys,
			 unsigned key_count, uint64_t seq, struct error *err);

/*
 * The row of the whole key in force at event @at.
 *
 * @arena  receives copies of text and blobs; NULL when only numbers and existence matter: then
 * bytes are empty NOT_FOUND  (without text) no row is in force
 */
enum status table_get(struct db *db, enum state_tag tag, const struct cell *keys, uint64_t at,
		      struct arena *arena, struct table_row *ret, struct error *err);

/* As table_get() for what is in force after all events applied; what apply asks. */
enum status table_get_now(struct db *db, enum state_tag tag, const struct cell *keys,
			  struct arena *arena, struct table_row *ret, struct error *err);

/* Called for each row; its bytes live for the call. Not OK stops the walk with that status. */
typedef enum status (*table_visit)(void *context, const struct table_row *row, struct error *err);

/*
 * Visit the rows in force at event @at whose first @key_count key columns are @keys, in byte order
 * of the key. Variables: @key_count must be 2 (one profile).
 * @visit must not walk the same table with as many keys: the statement is shared.
 */
enum status table_each(struct db *db, enum state_tag tag, const struct cell *keys,
		       unsigned key_count, uint64_t at, table_visit visit, void *context,
		       struct error *err);

/* Was a plain value of the variable ever in force, in any profile there ever was? */
enum status table_key_was_plain(struct db *db, struct slice key, bool *ret, struct error *err);

/*
 * Did event @seq put a variable in force whose bytes it holds itself at change @index?
 * NOT_FOUND  (without text) it did not
 */
enum status table_value_origin(struct db *db, uint64_t seq, uint32_t index, bool *ret_sealed,
			       struct error *err);

#endif
