/*
 * The limit for appends: LMDB alone, writing the bytes that our log wrote, into the same tables,
 * with the same flags, and nothing else: no signature, no hash, no check.
 */
#ifndef PROVENV_BENCH_BARE_LMDB_H
#define PROVENV_BENCH_BARE_LMDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/evlog.h"

struct bare_lmdb;

/* What one event is to LMDB. Offsets into the bytes of its batch. */
struct bare_row {
	size_t leaf_at, leaf_len;
	size_t node_at, node_len;
	bool starts_command;
	uint8_t command_id[COMMAND_ID_BYTES];
};

/* Events copied out of a log. */
struct bare_batch {
	struct buf bytes;
	struct bare_row *rows;
	size_t count;
	uint64_t first_seq;
};

#define BARE_BATCH_INIT { .rows = NULL }

/* A new environment in the new directory @dir. */
enum status bare_lmdb_open(const char *dir, struct bare_lmdb **ret, struct error *err);
/* Accepts NULL. */
void bare_lmdb_close(struct bare_lmdb *bare);

/*
 * Copy the events @first..@last of @log. @command_ids holds one id for each event; NULL: all are
 * one command, with an id of zeros.
 */
enum status bare_batch_copy(struct evlog *log, uint64_t first, uint64_t last,
			    uint8_t (*command_ids)[COMMAND_ID_BYTES], struct bare_batch *ret,
			    struct error *err);
/* Accepts BARE_BATCH_INIT. */
void bare_batch_release(struct bare_batch *batch);

/* Write the rows from..from + count − 1 of @batch in one transaction, durably. */
enum status bare_lmdb_append(struct bare_lmdb *bare, const struct bare_batch *batch, size_t from,
			     size_t count, struct error *err);

#endif
