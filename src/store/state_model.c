/*
 * The state model: tables of rules and tags, canonical paths and values, and the hash over them.
 *
 * Invariants: each value has one encoding, the shortest; a path orders by tag first, in the order
 * of enum state_tag. The tables are constant. Must not hold state, apply events or read a log: that
 * is what the two builders do apart.
 */
#include "store/state_model.h"

#include <assert.h>
#include <msgpack/pack.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/event.h"

#include "base/banned.h"

/* Its NUL is part of what is hashed. */
#define STATE_HASH_DOMAIN "provenv/state/v1"

struct rule_info {
	const char *name;
	const char *meaning;
};

static const struct rule_info rule_infos[] = {
#define APPLY_RULE(id, number, name, meaning) [RULE_##id] = { name, meaning },
#include "store/apply_rules.def"
};

/* A compound literal at file scope has static storage, so that each type carries its own rules. */
#define RULES(...) ((const enum apply_rule[]){ __VA_ARGS__, RULE_NONE })
#define NO_RULES   ((const enum apply_rule[]){ RULE_NONE })

static const enum apply_rule *const rules_of_type[] = {
	[EVENT_STORE_CREATED] = NO_RULES,
	[EVENT_STORE_RECOVERED] = NO_RULES,
	[EVENT_ENVIRONMENT_CREATED] = RULES(RULE_ENVIRONMENT_ABSENT),
	[EVENT_ENVIRONMENT_CHANGED] = RULES(RULE_ENVIRONMENT_EXISTS),
	[EVENT_ENVIRONMENT_REMOVED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_ENVIRONMENT_INACTIVE),
	[EVENT_ENVIRONMENT_SWITCHED] = RULES(RULE_ENVIRONMENT_EXISTS),
	[EVENT_ENVIRONMENT_LOCKED] = RULES(RULE_ENVIRONMENT_EXISTS),
	[EVENT_ENVIRONMENT_UNLOCKED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_ENVIRONMENT_LOCKED),
	[EVENT_ENVIRONMENT_KEYED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_KEY_GENERATION),
	[EVENT_PROFILE_CREATED] =
		RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_ABSENT, RULE_BASE_EXISTS),
	[EVENT_PROFILE_CHANGED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
					RULE_BASE_EXISTS, RULE_BASE_ACYCLIC),
	[EVENT_PROFILE_REMOVED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
					RULE_PROFILE_INACTIVE, RULE_BASE_UNUSED),
	[EVENT_PROFILE_SWITCHED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS),
	[EVENT_CATEGORY_DEFINED] = NO_RULES,
	[EVENT_CATEGORY_REMOVED] = RULES(RULE_CATEGORY_EXISTS, RULE_CATEGORY_UNUSED),
	[EVENT_VARIABLE_SPECIFIED] = RULES(RULE_CATEGORY_EXISTS),
	[EVENT_VARIABLE_UNSPECIFIED] = RULES(RULE_SPECIFICATION_EXISTS),
	[EVENT_VARIABLES_CHANGED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
					  RULE_VARIABLE_SET, RULE_COPY_TARGET),
	[EVENT_STATE_ROLLED_BACK] = RULES(RULE_TARGET_OLDER),
	[EVENT_DATABASE_ATTACHED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS),
	[EVENT_DATABASE_DETACHED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
					  RULE_DATABASE_EXISTS, RULE_REPLACEMENT_IDLE),
	[EVENT_DATABASE_MOVED] =
		RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS, RULE_DATABASE_EXISTS),
	[EVENT_BACKUP_CREATED] =
		RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS, RULE_DATABASE_EXISTS),
	[EVENT_BACKUP_VERIFIED] = RULES(RULE_BACKUP_EXISTS),
	[EVENT_BACKUP_REMOVED] = RULES(RULE_BACKUP_EXISTS),
	[EVENT_REPLACEMENT_STARTED] =
		RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS, RULE_DATABASE_EXISTS,
		      RULE_BACKUP_EXISTS, RULE_REPLACEMENT_IDLE),
	[EVENT_REPLACEMENT_STAGED] = RULES(RULE_REPLACEMENT_UNFINISHED, RULE_BACKUP_EXISTS),
	[EVENT_REPLACEMENT_COMPLETED] = RULES(RULE_REPLACEMENT_UNFINISHED, RULE_BACKUP_EXISTS),
	[EVENT_REPLACEMENT_FAILED] = RULES(RULE_REPLACEMENT_UNFINISHED, RULE_BACKUP_EXISTS),
	[EVENT_REPLACEMENT_UNDONE] = RULES(RULE_REPLACEMENT_LAST, RULE_BACKUP_EXISTS),
	[EVENT_ACTION_REFUSED] = RULES(RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS),
};

static_assert(sizeof(rules_of_type) / sizeof(rules_of_type[0]) == EVENT_TYPE_COUNT,
	      "rules, or none, for every type");

static const char *const tag_names[] = {
	[TAG_ACTIVE] = "active",
	[TAG_BACKUP] = "backup",
	[TAG_BACKUP_CHECK] = "backup_check",
	[TAG_CATEGORY] = "category",
	[TAG_DATABASE] = "database",
	[TAG_ENVIRONMENT] = "environment",
	[TAG_KEY] = "key",
	[TAG_LOCK] = "lock",
	[TAG_PROFILE] = "profile",
	[TAG_REPLACEMENT] = "replacement",
	[TAG_SPECIFICATION] = "specification",
	[TAG_VARIABLE] = "variable",
	[TAG_VIOLATION] = "violation",
};

static_assert(sizeof(tag_names) / sizeof(tag_names[0]) == TAG_COUNT, "a word for every tag");

/* NULL for a number that is no rule: RULE_NONE, past the table, or a gap in it. */
static const struct rule_info *rule_info(enum apply_rule rule)
{
	if ((size_t)rule >= sizeof(rule_infos) / sizeof(rule_infos[0]) || !rule_infos[rule].name)
		return NULL;
	return &rule_infos[rule];
}

const char *apply_rule_name(enum apply_rule rule)
{
	const struct rule_info *info = rule_info(rule);

	return info ? info->name : "unknown";
}

const char *apply_rule_meaning(enum apply_rule rule)
{
	const struct rule_info *info = rule_info(rule);

	return info ? info->meaning : "unknown";
}

const enum apply_rule *apply_rules_of(enum event_type type)
{
	assert((unsigned)type < EVENT_TYPE_COUNT);
	assert(rules_of_type[type]);
	return rules_of_type[type];
}

enum replacement_phase replacement_phase_of(enum event_type type)
{
	switch ((int)type) {
	case EVENT_REPLACEMENT_STARTED:
		return REPLACEMENT_STARTED;
	case EVENT_REPLACEMENT_STAGED:
		return REPLACEMENT_STAGED;
	case EVENT_REPLACEMENT_COMPLETED:
		return REPLACEMENT_COMPLETED;
	case EVENT_REPLACEMENT_FAILED:
		return REPLACEMENT_FAILED;
	default:
		assert(type == EVENT_REPLACEMENT_UNDONE);
		return REPLACEMENT_UNDONE;
	}
}

const char *state_tag_name(enum state_tag tag)
{
	assert((unsigned)tag < TAG_COUNT);
	return tag_names[tag];
}

void state_path(struct buf *ret, enum state_tag tag, const struct slice *components, size_t count)
{
	buf_clear(ret);
	buf_append_str(ret, state_tag_name(tag));
	for (size_t i = 0; i < count; i++) {
		buf_append_byte(ret, '\0');
		buf_append_slice(ret, components[i]);
	}
}

/* Values. The write callback never fails: a buffer remembers its failure until it is asked. */

static int write_to_buf(void *data, const char *bytes, size_t len)
{
	buf_append(data, bytes, len);
	return 0;
}

/* Empty @ret and begin an array of @count fields in it. */
static msgpack_packer begin_value(struct buf *ret, size_t count)
{
	msgpack_packer packer;

	buf_clear(ret);
	msgpack_packer_init(&packer, ret, write_to_buf);
	(void)msgpack_pack_array(&packer, count);
	return packer;
}

static void put_bool(msgpack_packer *packer, bool value)
{
	(void)(value ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
}

/* A language map comes encoded, as it stands in a payload; no bytes at all are the empty map. */
static void put_langmap(msgpack_packer *packer, struct slice encoded)
{
	if (encoded.len)
		buf_append_slice(packer->data, encoded);
	else
		(void)msgpack_pack_map(packer, 0);
}

enum status state_value_environment(struct buf *ret, bool is_protected, struct slice title,
				    struct slice description, struct error *err)
{
	msgpack_packer packer = begin_value(ret, 3);

	put_bool(&packer, is_protected);
	put_langmap(&packer, title);
	put_langmap(&packer, description);
	return buf_status(ret, err);
}

enum status state_value_profile(struct buf *ret, struct slice base, struct slice title,
				struct slice description, struct error *err)
{
	msgpack_packer packer = begin_value(ret, 3);

	(void)msgpack_pack_str_with_body(&packer, base.data, base.len);
	put_langmap(&packer, title);
	put_langmap(&packer, description);
	return buf_status(ret, err);
}

enum status state_value_lock(struct buf *ret, uint64_t until_ms, struct error *err)
{
	msgpack_packer packer = begin_value(ret, 1);

	(void)msgpack_pack_uint64(&packer, until_ms);
	return buf_status(ret, err);
}

enum status state_value_variable(struct buf *ret, bool expand, bool sealed, struct slice bytes,
				 struct error *err)
{
	msgpack_packer packer = begin_value(ret, 3);

	put_bool(&packer, expand);
	put_bool(&packer, sealed);
	(void)msgpack_pack_bin_with_body(&packer, bytes.data, bytes.len);
	return buf_status(ret, err);
}

enum status state_value_replacement(struct buf *ret, enum replacement_phase phase, uint64_t started,
				    uint64_t safety, struct error *err)
{
	msgpack_packer packer = begin_value(ret, 3);

	(void)msgpack_pack_uint64(&packer, (uint64_t)phase);
	(void)msgpack_pack_uint64(&packer, started);
	(void)msgpack_pack_uint64(&packer, safety);
	return buf_status(ret, err);
}

enum status state_value_violation(struct buf *ret, enum apply_rule rule, struct error *err)
{
	msgpack_packer packer = begin_value(ret, 1);

	(void)msgpack_pack_uint64(&packer, (uint64_t)rule);
	return buf_status(ret, err);
}

/* The hash. */

static void hash_bytes(struct state_hasher *hasher, const void *data, size_t len)
{
	(void)crypto_generichash_update(&hasher->state, data, len);
}

static void hash_prefixed(struct state_hasher *hasher, struct slice bytes)
{
	uint8_t len[4];

	assert(bytes.len <= UINT32_MAX);
	store_u32be(len, (uint32_t)bytes.len);
	hash_bytes(hasher, len, sizeof(len));
	if (bytes.len)
		hash_bytes(hasher, bytes.data, bytes.len);
}

void state_hasher_init(struct state_hasher *hasher)
{
	*hasher = (struct state_hasher){ .last_path = BUF_INIT };
	(void)crypto_generichash_init(&hasher->state, NULL, 0, HASH_BYTES);
	hash_bytes(hasher, STATE_HASH_DOMAIN, sizeof(STATE_HASH_DOMAIN));
}

void state_hasher_entry(struct state_hasher *hasher, struct slice path, struct slice value)
{
	/* The last path only serves this check: without memory for it the digest is right all the
	 * same. */
	assert(hasher->last_path.failed || slice_compare(buf_slice(&hasher->last_path), path) < 0);
	buf_clear(&hasher->last_path);
	buf_append_slice(&hasher->last_path, path);
	hash_prefixed(hasher, path);
	hash_prefixed(hasher, value);
}

void state_hasher_final(struct state_hasher *hasher, uint8_t ret[HASH_BYTES])
{
	(void)crypto_generichash_final(&hasher->state, ret, HASH_BYTES);
	buf_release(&hasher->last_path);
}
