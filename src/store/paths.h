/*
 * Where things are: the store, the keys, the user's checkpoint (docs/FORMAT.md section 1). Reads
 * the environment of the process; creates nothing.
 */
#ifndef PROVENV_STORE_PATHS_H
#define PROVENV_STORE_PATHS_H

#include "base/buf.h"
#include "base/limits.h"

/*
 * Find the store: @explicit_dir when not NULL, else $PROVENV_STORE, else the nearest .provenv/ from
 * the working directory upward, else $XDG_DATA_HOME/provenv/default. NO_STORE  none of them is a
 * store; the hint says how to make one
 */
enum status paths_find_store(const char *explicit_dir, struct buf *ret, struct error *err);

/*
 * Where `init` makes a store: @explicit_dir, else with @global $XDG_DATA_HOME/provenv/default, else
 * $PROVENV_STORE, else ./.provenv.
 */
enum status paths_new_store(const char *explicit_dir, bool global, struct buf *ret,
			    struct error *err);

/* $XDG_CONFIG_HOME/provenv/keys, else ~/.config/provenv/keys. IO when neither is known. */
enum status paths_keys_dir(struct buf *ret, struct error *err);

/*
 * $XDG_STATE_HOME/provenv/LOGID-PATHHASH.checkpoint, else ~/.local/state/…; PATHHASH is the first 8
 * bytes of BLAKE2b-256 of the store's real path, in hex. IO when no home is known, or there is no
 * such store.
 */
enum status paths_user_checkpoint(const uint8_t log_id[LOG_ID_BYTES], const char *store_path,
				  struct buf *ret, struct error *err);

/* USER@HOST, made fit for text_is_key_name(). */
void paths_default_key_name(char ret[KEY_NAME_BYTES_MAX + 1]);

#endif
