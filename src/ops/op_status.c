/*
 * Status at a glance; see op_store.h. Quick by design: the full check is op_verify.c.
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "ops/op_environment.h"
#include "ops/op_store.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/registry.h"
#include "store/signer.h"
#include "store/store.h"

#include "base/banned.h"

const char *completeness_name(enum completeness completeness)
{
	static const char *const names[] = {
		[COMPLETENESS_OK] = "ok",
		[COMPLETENESS_UNANCHORED] = "unanchored",
		[COMPLETENESS_FAILED] = "failed",
	};

	return names[completeness];
}

/* The last event must carry a good signature of an enrolled key. */
static enum status check_head(struct session *session, const struct event *last, struct error *err)
{
	const struct registry_key *key =
		registry_signer(store_registry(session->store), last->key_id, last->seq);
	const uint8_t *signature;
	struct slice leaf, bytes;
	enum status status = evlog_leaf(session->log, last->seq, &leaf, err);

	if (status)
		return status;
	if (!key || !leaf_split(leaf, &bytes, &signature) ||
	    !leaf_verify(bytes, signature, key->public_key))
		return error_hint(err,
				  error_set(err, STATUS_CORRUPT,
					    "the signature of the last event does not verify"),
				  "find out more: provenv verify");
	return STATUS_OK;
}

static enum status fill_last(struct session *session, struct store_status *ret, struct error *err)
{
	const struct read_event *last;
	enum status status = session_event(session, session->view.at, &last, err);

	if (!status)
		status = check_head(session, &last->decoded.event, err);
	if (status)
		return status;
	ret->head_seq = session->view.at;
	memcpy(ret->head_hash, last->leaf_hash, HASH_BYTES);
	ret->head_ms = last->decoded.event.time_ms;
	ret->last_type = arena_copy(&session->arena, last->decoded.type_name);
	ret->last_actor = session_actor(session, &last->decoded.event);
	ret->last_reason = arena_copy(&session->arena, last->decoded.event.reason);
	if (!ret->last_type.data || !ret->last_reason.data)
		return error_no_memory(err);
	return evlog_root(session->log, ret->head_seq, ret->root, err);
}

enum status op_status(struct session *session, struct store_status *ret, struct error *err)
{
	struct environment environment;
	struct violation *violations;
	struct problem *problems;
	enum status status;

	*ret = (struct store_status){
		.path = store_path(session->store),
		.environment = session->environment,
		.profile = session->profile,
		.completeness = COMPLETENESS_UNANCHORED,
	};
	memcpy(ret->log_id, store_log_id(session->store), LOG_ID_BYTES);
	status = fill_last(session, ret, err);
	if (!status)
		status = state_environment(&session->view, session->environment, &environment, err);
	if (status)
		return status;
	ret->is_protected = environment.is_protected;
	ret->locked = environment_is_locked(&environment, session->now_ms);
	status = state_hash(&session->view, ret->state_hash, err);
	if (!status)
		status = state_violations(&session->view, &violations, &ret->violations, err);
	if (!status)
		status = op_check(session, &problems, &ret->problems, err);
	return status;
}
