/*
 * Printing, shared by the commands: tables, times, changes, outcomes of writes.
 *
 * Everything goes into buffers of the invocation; nothing here writes to a descriptor. Stored bytes
 * pass text_append_printable() on their way to a person, or the JSON writer on their way to a
 * program. Secrets are the caller's: what is given here is printed.
 */
#ifndef PROVENV_CMDS_PRINT_H
#define PROVENV_CMDS_PRINT_H

#include "base/json.h"
#include "cmds/cmd.h"
#include "ops/commit.h"

/* Stands for the value of a secret. */
#define MASKED_VALUE "********"

/* "2026-01-02 03:04:05", local time. */
void print_time(uint64_t time_ms, char ret[32]);

/* Start the one object of --json in inv->out: {"schema":"provenv/<word>/v1". */
void json_begin(struct invocation *inv, struct json *json, const char *schema_word);
/* Close it and end the line. */
void json_finish(struct invocation *inv, struct json *json);

/*
 * Aligned columns. Cells are added row by row, from left to right; widths are terminal columns
 * (East Asian wide characters take two, combining marks none). No line ends with blanks, and one
 * very wide cell does not push the others out: it overflows its column. Zero-initialise, then
 * table_begin().
 */
enum { PRINT_COLUMNS_MAX = 16 };

struct table {
	unsigned columns; /* at most PRINT_COLUMNS_MAX */
	struct buf text;  /* all cells, fit for a terminal, one after the other */
	size_t *ends;     /* where each cell ends in `text`, row by row, the headings first */
	size_t cells;
	bool failed;                   /* memory ran out: becomes a failure of inv->out */
	bool right[PRINT_COLUMNS_MAX]; /* numbers stand to the right */
};

/* @headings are static texts. */
void table_begin(struct table *table, const char *const *headings, unsigned columns);
/* A cell of stored bytes, made printable. */
void table_text(struct table *table, struct slice text);
/* A cell of our own words. */
void table_str(struct table *table, const char *text);
void table_uint(struct table *table, uint64_t value);
/* Append heading and rows to inv->out; a table without rows prints nothing. */
void table_print(struct table *table, struct invocation *inv);
/* Wipes the cells: they may hold revealed secrets. */
void table_release(struct table *table);

/*
 * Changes as a person reads them, grouped by place: "development/default:" and below it
 * "  + KEY = value", "  - KEY = value", "  ~ KEY: old → new"; other things than variables with
 * their kind: "  + environment staging".
 */
void print_changes(struct buf *out, const struct plan_change *changes, size_t count);

/* "changes": [{kind, environment, profile, key, op, before, after, secret}] */
void json_changes(struct json *json, const struct plan_change *changes, size_t count);

/*
 * What became of a write. JSON: {schema, seq, hash, command_id, environment, profile, changes},
 * with -n "planned": true and no seq. For a person: a note on stderr
 * ("development/default: set A (event 12)"), with -n the plan on stdout.
 */
void print_outcome(struct invocation *inv, const char *schema_word, const struct outcome *outcome);

#endif
