/*
 * Secrets of a session: sealing what a plan sets, opening what the user may read, comparing.
 *
 * Needs the signing key only where noted: a writer need not be a reader.
 */
#ifndef PROVENV_OPS_SECRETS_H
#define PROVENV_OPS_SECRETS_H

#include "ops/plan.h"
#include "ops/session.h"

/*
 * Seal every secret of the grouped @plan under @command_id: write its vault file durably, then fill
 * in the change. CORRUPT  an environment has no sealing key
 */
enum status secrets_seal(struct session *session, struct plan *plan,
			 const uint8_t command_id[COMMAND_ID_BYTES], struct error *err);

/*
 * The append failed with @why: remove the vault files, but where the outcome is unknown (IO) leave
 * them for doctor.
 */
void secrets_withdraw(struct session *session, const struct plan *plan,
		      const uint8_t command_id[COMMAND_ID_BYTES], enum status why);

/*
 * Open a sealed value with the session's key (loaded here if need be).
 * WRONG_KEY  the key is no reader of the environment
 * NOT_FOUND  the vault file is gone: shredded or lost
 * CORRUPT    it does not open
 */
enum status secrets_open(struct session *session, const struct variable *variable,
			 const struct variable_value *value, struct secret *ret, struct error *err);

/*
 * Is payload @part (from 1) of the grouped plan the same as the stored event's? Sealed values are
 * compared opened.
 */
enum status secrets_same_payload(struct session *session, const struct plan *plan, uint32_t part,
				 const struct decoded_event *stored, bool *ret, struct error *err);

#endif
