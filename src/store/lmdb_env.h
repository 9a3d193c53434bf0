/*
 * One LMDB environment, opened, mapped and shared safely; for evlog_lmdb.c and reindex.c.
 *
 * LMDB trusts its callers and its file in ways that we cannot. What is answered here:
 *   - a second open in one process drops the first one's locks: a registry by (device, inode);
 *   - the data descriptor survives exec: it gets O_CLOEXEC;
 *   - a handle used after fork corrupts the parent's reader table: the opener's pid is compared;
 *   - a file shorter than its pages is a SIGBUS, a damaged meta page a division by zero: both are
 *     looked at before LMDB is, and the length again at each transaction;
 *   - the map may be too small for what we write, or for what another process wrote: it is grown,
 * or the other's size adopted, while no transaction of ours is open;
 *   - readers that died keep pages: they are cleared at open, before each write and when slots
 * lack.
 *
 * Must not know which tables there are, nor retry a transaction: the caller does.
 */
#ifndef PROVENV_STORE_LMDB_ENV_H
#define PROVENV_STORE_LMDB_ENV_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "store/evlog_lmdb.h"

struct lmdb_env;

/* As evlog_lmdb_open(), but for what is inside. With @create the file is made if need be. */
enum status lmdb_env_open(const char *dir, struct evlog_lmdb_options options, struct lmdb_env **ret,
			  struct error *err);
/* Accepts NULL. No transaction may be open, except in a child made by fork. */
void lmdb_env_close(struct lmdb_env *env);

/* The directory, and the path of the data file. Live as @env. */
const char *lmdb_env_dir(const struct lmdb_env *env);
const char *lmdb_env_data_path(const struct lmdb_env *env);

/* OK when this is the process that opened @env, IO in a child made by fork. Cheap enough for rows.
 */
enum status lmdb_env_check(const struct lmdb_env *env, struct error *err);

/* Did anything ever commit here? */
bool lmdb_env_is_new(struct lmdb_env *env);

/* How large the map is now, in bytes: what lmdb_env_grow() is told. */
size_t lmdb_env_map_bytes(struct lmdb_env *env);

/*
 * Begin a transaction. End it with lmdb_env_end() or lmdb_env_commit(), a writing one in the same
 * thread.
 *
 * IO       after fork, after a fatal error, or @write and the environment is read-only
 * CORRUPT  the file is shorter than its pages
 * LOCKED   all reader slots taken; or the map must be adopted while a reader of ours stays open
 */
enum status lmdb_env_begin(struct lmdb_env *env, bool write, MDB_txn **ret, struct error *err);
/* Abort. In a child made by fork: nothing, since the reader slot is the parent's. */
void lmdb_env_end(struct lmdb_env *env, MDB_txn *txn);
/* Commit; @txn is gone whatever comes. Returns 0, an errno or an MDB_ code. */
int lmdb_env_commit(struct lmdb_env *env, MDB_txn *txn);

/*
 * After MDB_MAP_FULL, with the transaction ended: double the map. @seen_bytes is what the map was
 * when it was too small: nothing happens when another thread has grown it since.
 *
 * LOCKED  a transaction of this process stays open
 * IO      over the greatest size, or the system refuses
 */
enum status lmdb_env_grow(struct lmdb_env *env, size_t seen_bytes, struct error *err);

/* Put what LMDB or the system returned into words: "cannot <action> the log at DIR: …". The only
 * place that turns codes into statuses. */
enum status lmdb_env_failed(const struct lmdb_env *env, int code, const char *action,
			    struct error *err);

#endif
