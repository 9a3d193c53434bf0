/*
 * The store as the program shows it, against the model.
 */
#ifndef PROVENV_TESTS_SIM_CHECK_H
#define PROVENV_TESTS_SIM_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "ops/session.h"
#include "replay/fold.h"
#include "sim/model.h"
#include "sim/run.h"
#include "store/evlog.h"

/* All that the state at event @at holds, and nothing more. Secrets are opened. */
void check_state(struct run *run, struct session *session, uint64_t at,
		 const struct model_state *model);

/* One variable, or all of a profile, of the session's view. Notes the answers. */
void check_get(struct run *run, struct session *session, const char *key,
	       const struct model_state *model);
void check_list(struct run *run, struct session *session, const struct model_state *model);

/* state_hash/v1 of the session's state and of @fold, which is brought up to it. */
void check_hash(struct run *run, struct session *session, struct fold *fold);

/*
 * The log against the leaf hashes of what was acknowledged: all of it there, the root the one that
 * RFC 9162 section 2.1.1 defines, at the end and at @size.
 */
void check_log(struct run *run, struct evlog *log, const uint8_t (*hashes)[HASH_BYTES],
	       size_t count, size_t size);

#endif
