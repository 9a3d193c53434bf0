/*
 * The vault: one small 0600 file per sealed value, holding its wrapped data key. Apart from the log
 * because deleting the file is how a secret is shredded.
 *
 * File STORE/vault/<hex command id>-<part>-<index>:
 *   "PVVAULT1" ‖ u32be generation ‖ wrapped[80] ‖ first 8 bytes of SHA-256 of all before
 */
#ifndef PROVENV_STORE_VAULT_H
#define PROVENV_STORE_VAULT_H

#include "store/seal.h"

enum { VAULT_NAME_BYTES = 32 + 1 + 10 + 1 + 10 + 1 };

struct vault_entry {
	uint32_t generation; /* of the environment key it is wrapped to */
	uint8_t wrapped[WRAPPED_KEY_BYTES];
};

void vault_name(const struct seal_place *place, char ret[VAULT_NAME_BYTES]);

/*
 * Write durably before the event that needs it is appended. @dir is STORE/vault.
 * CONFLICT  the place has an entry, which stays: it may be the only key of an appended event. When
 *           the log does not hold that event, vault_remove() it first.
 */
enum status vault_write(const char *dir, const struct seal_place *place,
			const struct vault_entry *entry, struct error *err);
/* NOT_FOUND: shredded or lost. CORRUPT: damaged. */
enum status vault_read(const char *dir, const struct seal_place *place, struct vault_entry *ret,
		       struct error *err);
/* Remove the file of a sealing that never became an event. */
enum status vault_remove(const char *dir, const struct seal_place *place, struct error *err);

/* Parse a file name back into command id, part and index. False when it is none of ours. */
bool vault_name_parse(const char *name, uint8_t ret_command_id[COMMAND_ID_BYTES],
		      uint32_t *ret_part, uint32_t *ret_index);

#endif
