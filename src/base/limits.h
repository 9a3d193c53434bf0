/*
 * Every limit of the product, in one place. Decoders check these before they allocate.
 */
#ifndef PROVENV_BASE_LIMITS_H
#define PROVENV_BASE_LIMITS_H

#include <assert.h>

enum {
	/* identifiers */
	NAME_BYTES_MAX = 63,      /* environment, profile, category, database, tag */
	KEY_BYTES_MAX = 255,      /* a variable's key */
	KEY_NAME_BYTES_MAX = 127, /* a signing key's name: USER@HOST */
	LANG_TAG_BYTES_MAX = 35,  /* BCP 47 recommends room for 35 */

	/* texts and values */
	VALUE_BYTES_MAX = 32 * 1024,
	REASON_BYTES_MAX = 4 * 1024,
	TEXT_BYTES_MAX = 4 * 1024, /* a title, description, unit, example, pattern, path */
	PATTERN_BYTES_MAX = 1024,
	LANGS_MAX = 32, /* languages of one title */
	ENUM_VALUES_MAX = 256,
	READERS_MAX = 256,

	/* events */
	EVENT_BYTES_MAX =
		65535 - 64, /* leaf = event + signature fits a tlog-tiles entry of 65,535 */
	LEAF_BYTES_MAX = 65535,
	COMMAND_BYTES_MAX = 8 * 1024 * 1024, /* all leaves of one command together */
	COMMAND_CHANGES_MAX = 10000,
	COMMAND_PARTS_MAX = 16384,
	MSGPACK_DEPTH_MAX = 8,

	/* hashes and keys */
	HASH_BYTES = 32,
	SIGNATURE_BYTES = 64,
	PUBLIC_KEY_BYTES = 32,
	LOG_ID_BYTES = 16,
	COMMAND_ID_BYTES = 16,
	KEY_ID_BYTES = 8,

	/* files we read whole */
	KEY_FILE_BYTES_MAX = 4 * 1024,
	CHECKPOINT_BYTES_MAX = 16 * 1024,
	CATALOGUE_BYTES_MAX = 16 * 1024 * 1024,
	PATH_BYTES_MAX = 4096,

	/* time */
	WRITE_LOCK_WAIT_MS = 10 * 1000,
};

static_assert(EVENT_BYTES_MAX + SIGNATURE_BYTES == LEAF_BYTES_MAX, "leaf = event + signature");
static_assert(VALUE_BYTES_MAX + 16 * 1024 < EVENT_BYTES_MAX, "one value and its envelope fit");

#endif
