/*
 * The log in LMDB 0.9.24: STORE/log/data.mdb and lock.mdb. Tables (plain keys, no DUPSORT):
 *
 *   events    u64be seq → leaf
 *   tree      u64be seq → Merkle row of that leaf
 *   commands  command id (16 bytes) → u64be first seq
 *   registry  u64be seq → empty
 *   meta      "format" → u32be 1; "txn" → u64be id of the transaction that wrote it
 *
 * Rules, each from a measured trap: default sync flags only; one environment per
 * (device, inode) and process; the data descriptor gets O_CLOEXEC; directory fsynced after
 * creation; the file's size is checked against its last page before a page is touched; a commit
 * whose meta page a crash tore is taken back at open (lmdb_meta.h); MAP_RESIZED adopts, MAP_FULL
 * grows and retries; EINTR in commit re-runs the transaction; EIO latches the log read-only until
 * reopened; a reader whose "txn" differs from LMDB's own transaction id means that a torn meta page
 * dropped a commit.
 */
#ifndef PROVENV_STORE_EVLOG_LMDB_H
#define PROVENV_STORE_EVLOG_LMDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/evlog.h"

struct evlog_lmdb_options {
	bool create;    /* make a new log; CONFLICT when one exists */
	bool read_only; /* never writes; works while others write */
	bool no_lock;   /* read-only media or a private copy: no lock file; implies read_only */
	size_t initial_map_bytes; /* 0: the default; it grows by itself. Tests make it small */
	/* A last commit that a crash tore is taken back only if so many events remain. */
	uint64_t events_known;
};

/*
 * Open the log in directory @path (the LMDB environment itself, STORE/log).
 *
 * NO_STORE   there is no log, or its creation was never finished (@create finishes it)
 * CORRUPT    not an LMDB file, shorter than its pages, or a torn meta page dropped a commit which
 *            cannot be taken back: @read_only, or fewer than @events_known would remain
 * LOCKED     a torn commit must be taken back, and other processes have the log open
 * NEWER      the format is of a later provenv
 * CONFLICT   already open in this process, or @create and it exists
 * IO         the file system is unfit (network) or refuses
 *
 * A handle is of the process that opened it: in a child made by fork every call fails, and closing
 * it there leaves the parent's alone. Snapshots may move between threads; a log may be used by
 * many.
 */
enum status evlog_lmdb_open(const char *path, struct evlog_lmdb_options options, struct evlog **ret,
			    struct error *err);

#endif
