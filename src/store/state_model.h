/*
 * The model that state is, independent of who holds it: names of the apply rules, the canonical
 * entries, and state_hash/v1 over them (FORMAT.md "State hash").
 *
 * The state is an ordered map from paths to values. A path is a tag and its components, separated
 * by one NUL, which no component contains; entries are walked in byte order of their paths. Two
 * independent builders (the SQLite projection, and the fold of provenv-replay) produce the same
 * entries, or one of them is wrong.
 *
 *   tag            components            value
 *   active                               name of the active environment
 *   active         environment           name of its active profile
 *   backup         u64be seq             payload of the backup.created
 *   backup_check   u64be seq             payload of the last backup.verified of it
 *   category       name                  payload of the category.defined in force
 *   database       environment profile name   payload of the database.attached or .moved in force
 *   environment    name                  [protected bool, title, description]
 *   key            environment u64be generation  payload of the environment.keyed
 *   lock           environment           [until_ms uint, 0 when without end]
 *   profile        environment name      [base str, title, description]
 *   replacement    environment profile name   [phase uint, started uint, safety uint]: of the last
 *                                        one of that database; enum replacement_phase, the events
 *                                        that started it and hold the safety copy, 0 for none
 *   specification  key                   payload of the variable.specified in force
 *   variable       environment profile key    [expand bool, sealed bool, bin value or commitment]
 *   violation      u64be seq             [rule uint]
 *
 * Titles and descriptions are language maps, an absent one the empty map; base is "" when there is
 * none. Values are canonical MessagePack, "payload" the bytes of the event's payload map; names are
 * raw bytes. Numbers (of an event, of a key's generation) are components of 8 bytes and may contain
 * NUL; they are always the last component.
 */
#ifndef PROVENV_STORE_STATE_MODEL_H
#define PROVENV_STORE_STATE_MODEL_H

#include <sodium.h>

#include "base/buf.h"
#include "base/limits.h"
#include "store/event.h"

enum apply_rule {
	RULE_NONE = 0,
#define APPLY_RULE(id, number, name, meaning) RULE_##id = (number),
#include "store/apply_rules.def"
};

/* Static storage; "unknown" for a number that is none. */
const char *apply_rule_name(enum apply_rule rule);
const char *apply_rule_meaning(enum apply_rule rule);
/* Rules that an event of @type must meet, in order, ended by RULE_NONE. For docs and tests. */
const enum apply_rule *apply_rules_of(enum event_type type);

enum state_tag {
	TAG_ACTIVE,
	TAG_BACKUP,
	TAG_BACKUP_CHECK,
	TAG_CATEGORY,
	TAG_DATABASE,
	TAG_ENVIRONMENT,
	TAG_KEY,
	TAG_LOCK,
	TAG_PROFILE,
	TAG_REPLACEMENT,
	TAG_SPECIFICATION,
	TAG_VARIABLE,
	TAG_VIOLATION,
	TAG_COUNT,
};

/* How far a replacement of a database is. The numbers are part of the state hash. */
enum replacement_phase {
	REPLACEMENT_STARTED = 1,
	REPLACEMENT_STAGED = 2,
	REPLACEMENT_COMPLETED = 3,
	REPLACEMENT_FAILED = 4,
	REPLACEMENT_UNDONE = 5,
};

/* The phase that an event of @type brings, which is one of replacement.*. */
enum replacement_phase replacement_phase_of(enum event_type type);
/* Started or staged. */
static inline bool replacement_is_unfinished(enum replacement_phase phase)
{
	return phase == REPLACEMENT_STARTED || phase == REPLACEMENT_STAGED;
}

/* The word that begins the path. In alphabetical order, so that tags are walked in enum order. */
const char *state_tag_name(enum state_tag tag);

/* Replace the content of @ret by the path of @tag and @count components. */
void state_path(struct buf *ret, enum state_tag tag, const struct slice *components, size_t count);

/* Replace the content of @ret by the canonical value. Fails only for lack of memory. */
enum status state_value_environment(struct buf *ret, bool is_protected, struct slice title,
				    struct slice description, struct error *err);
enum status state_value_profile(struct buf *ret, struct slice base, struct slice title,
				struct slice description, struct error *err);
enum status state_value_lock(struct buf *ret, uint64_t until_ms, struct error *err);
enum status state_value_variable(struct buf *ret, bool expand, bool sealed, struct slice bytes,
				 struct error *err);
enum status state_value_replacement(struct buf *ret, enum replacement_phase phase, uint64_t started,
				    uint64_t safety, struct error *err);
enum status state_value_violation(struct buf *ret, enum apply_rule rule, struct error *err);

/*
 * state_hash/v1 = BLAKE2b-256 over "provenv/state/v1\0" and, for each entry in order,
 * u32be path length ‖ path ‖ u32be value length ‖ value. Entries must come in ascending order of
 * paths without repeats (asserted).
 */
struct state_hasher {
	crypto_generichash_state state;
	struct buf last_path;
};

void state_hasher_init(struct state_hasher *hasher);
void state_hasher_entry(struct state_hasher *hasher, struct slice path, struct slice value);
/* Finish, release the hasher, and return the digest. */
void state_hasher_final(struct state_hasher *hasher, uint8_t ret[HASH_BYTES]);

#endif
