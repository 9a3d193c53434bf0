/*
 * The event log: an append-only sequence of leaves with what is derived from them, behind one
 * interface that LMDB and memory implement. One contract test runs over all of them.
 *
 * A log holds, per event number (from 1, without gaps):
 *   leaf      event bytes ‖ signature, opaque here
 *   row       the Merkle nodes that the leaf completes (merkle.h)
 * and two derived indexes: command id → first event of the command; the numbers of the events the
 * store layer itself needs (event_is_registry()).
 *
 * Invariants: append is atomic, durable before it returns, and compare-and-swap on the size;
 * nothing appended ever changes. A snapshot is a consistent view: it never sees a part of an
 * append. The log signs nothing, decodes nothing and knows no policy.
 */
#ifndef PROVENV_STORE_EVLOG_H
#define PROVENV_STORE_EVLOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/merkle.h"

struct evlog;
struct evlog_snapshot;

/* One event to append. Borrowed for the call. */
struct evlog_entry {
	struct slice leaf;
	const uint8_t *leaf_hash;  /* HASH_BYTES, merkle_leaf_hash() of it; NULL: not known yet */
	const uint8_t *command_id; /* COMMAND_ID_BYTES */
	bool starts_command;       /* first part of its command */
	bool registry;             /* event_is_registry() */
};

/* How many rows each table holds; audit compares them. */
struct evlog_counts {
	uint64_t leaves;
	uint64_t rows;
	uint64_t commands;
	uint64_t registry;
};

/* What a backend provides. evlog_open functions fill it; callers use the functions below. */
struct evlog_ops {
	enum status (*snapshot_open)(struct evlog *log, struct evlog_snapshot **ret,
				     struct error *err);
	void (*snapshot_close)(struct evlog_snapshot *snapshot);
	enum status (*leaf)(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			    struct error *err);
	enum status (*row)(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			   struct error *err);
	enum status (*command)(struct evlog_snapshot *snapshot, const uint8_t *command_id,
			       uint64_t *ret_seq, struct error *err);
	enum status (*registry_next)(struct evlog_snapshot *snapshot, uint64_t after_seq,
				     uint64_t *ret_seq, struct error *err);
	enum status (*counts)(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
			      struct error *err);
	enum status (*append)(struct evlog *log, uint64_t size, const struct evlog_entry *entries,
			      const struct slice *rows, size_t count, struct error *err);
	enum status (*watch)(struct evlog *log, uint64_t size, uint64_t wait_ms, uint64_t *ret_size,
			     struct error *err);
	void (*close)(struct evlog *log);
};

/*
 * Embedded first in every backend's own struct, which sets `ops` and `frontier_lock` =
 * PTHREAD_MUTEX_INITIALIZER and leaves the rest zero. What the log held at one size never changes,
 * so the frontier of the last append saves reading it for the next.
 */
struct evlog {
	const struct evlog_ops *ops;
	pthread_mutex_t frontier_lock;   /* evlog.c's */
	struct merkle_frontier frontier; /* evlog.c's; zeroed: the empty tree */
};

struct evlog_snapshot {
	struct evlog *log;
	uint64_t size; /* number of events = number of the last one */
};

/* A log in memory, for tests and for simulation. Not durable; thread-safe. */
enum status evlog_memory_open(struct evlog **ret, struct error *err);

/*
 * Open a consistent view. Close it soon: a long reader makes an LMDB file grow.
 * Slices returned from a snapshot live until it is closed.
 * A snapshot is used by one thread at a time.
 */
enum status evlog_snapshot_open(struct evlog *log, struct evlog_snapshot **ret, struct error *err);
/* Accepts NULL. */
void evlog_snapshot_close(struct evlog_snapshot *snapshot);

/*
 * The leaf of event @seq. NOT_FOUND when @seq is 0 or past the end; CORRUPT when it is missing, or
 * cannot be read. After a page that is damaged a snapshot may answer nothing more, of sound events
 * neither: who goes on opens another.
 */
enum status evlog_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
		       struct error *err);
/* The Merkle row of event @seq: merkle_row_hashes(seq − 1) hashes. As evlog_leaf(). */
enum status evlog_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
		      struct error *err);
/* The stored leaf hash of event @seq, from its row. For @seq 0: zeros. */
enum status evlog_leaf_hash(struct evlog_snapshot *snapshot, uint64_t seq, uint8_t ret[HASH_BYTES],
			    struct error *err);
/* The first event of the command. NOT_FOUND (without text) when the log holds no such command. */
enum status evlog_command(struct evlog_snapshot *snapshot,
			  const uint8_t command_id[COMMAND_ID_BYTES], uint64_t *ret_seq,
			  struct error *err);
/* The least registry event number > @after_seq. NOT_FOUND (without text) when there is none. */
enum status evlog_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
				uint64_t *ret_seq, struct error *err);
enum status evlog_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
			 struct error *err);

/* The snapshot's stored nodes as a source for merkle_root() and proofs. Lives as the snapshot. */
struct merkle_source evlog_merkle_source(struct evlog_snapshot *snapshot);
/* The root of the first @size events. NOT_FOUND when the snapshot holds fewer. */
enum status evlog_root(struct evlog_snapshot *snapshot, uint64_t size, uint8_t ret[HASH_BYTES],
		       struct error *err);

/*
 * Append @count entries (≥ 1) as one transaction and make them durable before returning. Computes
 * the Merkle rows.
 *
 * @size     number of events the caller believes the log holds
 * CONFLICT  the log holds another number of events, or a command id already: nothing was written
 * USAGE     an empty leaf, one over LEAF_BYTES_MAX, or over COMMAND_BYTES_MAX together
 * CORRUPT   the end of the log is not what was written: nothing was written
 * LOCKED    the log must grow, but a snapshot of this process stays open: nothing was written
 * IO        outcome unknown: reopen and look the command up
 */
enum status evlog_append(struct evlog *log, uint64_t size, const struct evlog_entry *entries,
			 size_t count, struct error *err);

/*
 * Wait until the log holds more than @size events, at most @wait_ms, without polling.
 * @ret_size  the number it holds now; equal to @size when the time is up (STATUS_OK too)
 */
enum status evlog_watch(struct evlog *log, uint64_t size, uint64_t wait_ms, uint64_t *ret_size,
			struct error *err);

/* Accepts NULL. No snapshot may be open. */
void evlog_close(struct evlog *log);

#endif
