/*
 * Sealing and opening secrets for a session; see secrets.h.
 */
#include "ops/secrets.h"

#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/seal.h"
#include "store/store.h"
#include "store/vault.h"

#include "base/banned.h"

static struct seal_place place_of(const struct session *session,
				  const uint8_t command_id[COMMAND_ID_BYTES], uint32_t part,
				  uint32_t index)
{
	struct seal_place place = { .part = part, .index = index };

	memcpy(place.log_id, store_log_id(session->store), LOG_ID_BYTES);
	memcpy(place.command_id, command_id, COMMAND_ID_BYTES);
	return place;
}

/* The environment's latest key: one that this plan brings, or the one in force. */
static enum status writing_key(struct session *session, const struct plan *plan,
			       struct slice environment, const struct payload **ret,
			       struct error *err)
{
	struct definition definition;
	enum status status;

	for (size_t i = plan->payload_count; i-- > 0;) {
		const struct payload *payload = plan->payloads[i];

		if (payload->type == EVENT_ENVIRONMENT_KEYED &&
		    slice_equal(payload_get_text(payload, FIELD_NAME), environment)) {
			*ret = payload;
			return STATUS_OK;
		}
	}
	status = state_environment_key(&session->view, environment, 0, &definition, err);
	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_CORRUPT,
				 "environment '" SLICE_FMT "' has no sealing key",
				 SLICE_ARG(environment));
	if (!status)
		*ret = definition.payload;
	return status;
}

static enum status seal_one(struct session *session, const struct plan *plan,
			    const struct plan_secret *secret,
			    const uint8_t command_id[COMMAND_ID_BYTES], struct error *err)
{
	struct seal_place place = place_of(session, command_id, secret->part, secret->index);
	AUTO(buf_release) struct buf sealed = BUF_INIT;
	struct vault_entry entry = { .generation = 0 };
	const struct payload *key = NULL;
	enum status status = writing_key(session, plan, secret->environment, &key, err);

	if (status)
		return status;
	entry.generation = (uint32_t)payload_get_uint(key, FIELD_GENERATION);
	status = seal_value(&place, payload_get_text(key, FIELD_PUBLIC_KEY).data,
			    secret_slice(&secret->value), &sealed, secret->commitment,
			    entry.wrapped, err);
	if (status)
		return status;
	memcpy(secret->sealed, sealed.data, sealed.len);
	/* A crash before the append may have left a file here: the id is in no event, so it is
	 * ours. */
	status = vault_remove(store_vault_dir(session->store), &place, err);
	if (status)
		return status;
	return vault_write(store_vault_dir(session->store), &place, &entry, err);
}

enum status secrets_seal(struct session *session, struct plan *plan,
			 const uint8_t command_id[COMMAND_ID_BYTES], struct error *err)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < plan->secret_count && !status; i++)
		status = seal_one(session, plan, &plan->secrets[i], command_id, err);
	return status;
}

void secrets_withdraw(struct session *session, const struct plan *plan,
		      const uint8_t command_id[COMMAND_ID_BYTES], enum status why)
{
	if (why == STATUS_IO)
		return;
	for (size_t i = 0; i < plan->secret_count; i++) {
		struct seal_place place = place_of(session, command_id, plan->secrets[i].part,
						   plan->secrets[i].index);

		(void)vault_remove(store_vault_dir(session->store), &place, NULL);
	}
}

static enum status no_reader(struct session *session, struct slice environment, struct error *err)
{
	return error_hint(err,
			  error_set(err, STATUS_WRONG_KEY,
				    "the key '%s' cannot read secrets of environment '" SLICE_FMT
				    "'",
				    session->signer.name, SLICE_ARG(environment)),
			  "use a key that is a reader of it: --as NAME");
}

/* The private key of an environment's generation, opened with the session's own key. */
static enum status reading_key(struct session *session, struct slice environment,
			       uint64_t generation, struct secret *ret, struct error *err)
{
	struct state_view now = session_view_at(session, projection_seq(session->projection));
	const struct readers *readers;
	struct definition key;
	enum status status = session_signer(session, err);

	if (!status)
		status = state_environment_key(&now, environment, generation, &key, err);
	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_CORRUPT,
				 "environment '" SLICE_FMT "' has no key of generation %" PRIu64,
				 SLICE_ARG(environment), generation);
	if (status)
		return status;
	readers = &key.payload->field[FIELD_READERS].readers;
	for (size_t i = 0; i < readers->count; i++) {
		if (slice_equal(readers->entries[i].key_id,
				slice_of(session->signer.key_id, KEY_ID_BYTES)))
			return seal_key_open(readers->entries[i].sealed_key, &session->signer, ret,
					     err);
	}
	return no_reader(session, environment, err);
}

enum status secrets_open(struct session *session, const struct variable *variable,
			 const struct variable_value *value, struct secret *ret, struct error *err)
{
	struct seal_place place =
		place_of(session, value->command_id, value->part, variable->value_index);
	AUTO(secret_release) struct secret private_key = SECRET_INIT;
	struct vault_entry entry;
	enum status status = vault_read(store_vault_dir(session->store), &place, &entry, err);

	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_NOT_FOUND,
				 "the secret value of '" SLICE_FMT "' (event %" PRIu64
				 ") is gone: its vault file was shredded or lost",
				 SLICE_ARG(variable->key), variable->value_seq);
	if (!status)
		status = reading_key(session, value->sealed_environment, entry.generation,
				     &private_key, err);
	if (!status)
		status = seal_open(&place, &private_key, entry.wrapped, value->sealed,
				   value->commitment, ret, err);
	return status;
}

/* The plan's secret that stands at change @index of part @part, or NULL. */
static const struct plan_secret *secret_at(const struct plan *plan, uint32_t part, size_t index)
{
	for (size_t i = 0; i < plan->secret_count; i++) {
		if (plan->secrets[i].part == part && plan->secrets[i].index == index)
			return &plan->secrets[i];
	}
	return NULL;
}

static enum status same_secret(struct session *session, const struct plan_secret *planned,
			       const struct event *stored, size_t index, bool *ret,
			       struct error *err)
{
	const struct change *change = &stored->payload.field[FIELD_CHANGES].changes.entries[index];
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	struct variable variable = { .key = change->key,
				     .value_seq = stored->seq,
				     .value_index = (uint32_t)index };
	struct variable_value value = {
		.commitment = change->commitment,
		.sealed = change->sealed,
		.part = stored->part,
		.sealed_environment = payload_get_text(&stored->payload, FIELD_ENVIRONMENT),
	};
	enum status status;

	memcpy(value.command_id, stored->command_id, COMMAND_ID_BYTES);
	status = secrets_open(session, &variable, &value, &opened, err);
	if (status)
		return status;
	*ret = opened.len == planned->value.len &&
	       (opened.len == 0 ||
		sodium_memcmp(opened.data, planned->value.data, opened.len) == 0);
	return STATUS_OK;
}

static bool same_but_bytes(const struct change *a, const struct change *b)
{
	return a->op == b->op && a->expand == b->expand && slice_equal(a->profile, b->profile) &&
	       slice_equal(a->key, b->key) && slice_equal(a->value, b->value) &&
	       a->copy_seq == b->copy_seq && a->copy_index == b->copy_index;
}

static enum status same_changes(struct session *session, const struct plan *plan, uint32_t part,
				const struct event *stored, bool *ret, struct error *err)
{
	const struct payload *planned = plan->payloads[part - 1];
	const struct changes *ours = &planned->field[FIELD_CHANGES].changes;
	const struct changes *theirs = &stored->payload.field[FIELD_CHANGES].changes;

	*ret = ours->count == theirs->count &&
	       slice_equal(payload_get_text(planned, FIELD_ENVIRONMENT),
			   payload_get_text(&stored->payload, FIELD_ENVIRONMENT)) &&
	       slice_equal(payload_get_text(planned, FIELD_SOURCE),
			   payload_get_text(&stored->payload, FIELD_SOURCE));
	for (size_t i = 0; *ret && i < ours->count; i++) {
		const struct plan_secret *secret = secret_at(plan, part, i);

		*ret = same_but_bytes(&ours->entries[i], &theirs->entries[i]);
		if (*ret && secret) {
			enum status status = same_secret(session, secret, stored, i, ret, err);

			if (status)
				return status;
		}
	}
	return STATUS_OK;
}

enum status secrets_same_payload(struct session *session, const struct plan *plan, uint32_t part,
				 const struct decoded_event *stored, bool *ret, struct error *err)
{
	const struct payload *planned = plan->payloads[part - 1];
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	enum status status;

	*ret = false;
	if (planned->type != stored->event.payload.type)
		return STATUS_OK;
	if (planned->type == EVENT_VARIABLES_CHANGED)
		return same_changes(session, plan, part, &stored->event, ret, err);
	if (planned->type == EVENT_ENVIRONMENT_KEYED) {
		/* A key pair is random: the same intention makes another one. */
		*ret = slice_equal(payload_get_text(planned, FIELD_NAME),
				   payload_get_text(&stored->event.payload, FIELD_NAME));
		return STATUS_OK;
	}
	status = payload_encode(planned, &bytes, err);
	if (!status)
		*ret = slice_equal(buf_slice(&bytes), stored->payload_bytes);
	return status;
}
