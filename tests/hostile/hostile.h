/*
 * Hostile bytes: a small store, and what must hold of it whatever was done to one of its files.
 */
#ifndef PROVENV_TESTS_HOSTILE_HOSTILE_H
#define PROVENV_TESTS_HOSTILE_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "rig/rig.h"

enum { EVENTS_MAX = 64, HASH_HEX = 64 };

/* Where the bytes of an event lie in data.mdb. */
struct place {
	uint64_t seq;
	uint64_t offset;
	uint64_t len;
};

struct world {
	struct rig *rig;
	char *root;     /* home and store; made anew for each case */
	char *pristine; /* what it is made of */
	char *store;
	uint64_t events;
	char root_hex[HASH_HEX + 1];
	char state_hash[HASH_HEX + 1];
	struct buf list; /* what `ls --json` says */
	struct place places[EVENTS_MAX];
	size_t place_count;
	char *log_path; /* below root, as the following */
	char *head_path;
	char *checkpoint_path;
	char *key_path;
	char *log_key_path;
	char *vault_path;
	char *state_path;
	char *wal_path;
};

/* What came of one case. */
enum verdict {
	VERDICT_UNHARMED, /* all is as it was */
	VERDICT_FOUND,    /* reported, refused, or mended */
	VERDICT_WRONG,    /* counted as a failure, with its words */
};

/* Make the store and learn what it says. */
void world_make(struct world *world, struct rig *rig);
void world_release(struct world *world);
/* Put everything back as it was. */
void world_restore(const struct world *world);

/*
 * Judges, one for each kind of file. @what tells the case, for a failure's words. All of them: no
 * signal, no hang, no more memory than promised.
 */

/* The log. @seq: the event whose bytes were changed, which must be named; 0: none is known to be.
 */
enum verdict judge_log(struct world *world, uint64_t seq, const char *what);
/* As judge_log(), but its end must be found missing: nothing may pass for whole. */
enum verdict judge_loss(struct world *world, const char *what);
/* Head or checkpoint: the log alone counts. */
enum verdict judge_evidence(struct world *world, const char *what);
/* A private key: no event may be signed by another one. */
enum verdict judge_key(struct world *world, const char *what);
/* The log's own key: no checkpoint may be signed by another one. */
enum verdict judge_log_key(struct world *world, const char *what);
/* A sealed key: the secret, or an error. */
enum verdict judge_vault(struct world *world, const char *what);
/* The state: always what the log says, without help. */
enum verdict judge_state(struct world *world, const char *what);

#endif
