/*
 * Judging one value, between value_check.c and specification_check.c, which judges the values that
 * stand in a specification itself. Of no use outside.
 */
#ifndef PROVENV_OPS_VALUE_RULES_H
#define PROVENV_OPS_VALUE_RULES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/event.h"

/* In the order of value_types. */
enum value_type {
	TYPE_STRING,
	TYPE_INT,
	TYPE_DECIMAL,
	TYPE_BOOL,
	TYPE_ENUM,
	TYPE_URL,
	TYPE_PATH,
	TYPE_JSON,
	TYPE_COUNT,
	TYPE_UNKNOWN = TYPE_COUNT,
};

/* One value being judged, and how to speak about it. */
struct judged {
	const struct payload *specification;
	enum value_type type;
	struct slice value;
	const char *subject; /* what a message begins with */
	enum status refusal; /* what a violation is to the caller */
	bool masked;
	struct error *err;
};

/* TYPE_UNKNOWN when there is no type of that name. */
enum value_type value_type_find(struct slice name);
bool value_type_is_number(enum value_type type);

/* Append @text escaped, cut at a character when it is longer than a message can bear. */
void value_show_text(struct buf *out, struct slice text);

/* All rules of a known type, in their order; the first one broken is told, as @check says. */
enum status value_judge(const struct judged *check);

#endif
