/*
 * Checking a value against its specification (variable.specified), and a specification against
 * itself.
 *
 * Types: string; int (64-bit, decimal); decimal (exact, up to 64 digits); bool (true, false); enum;
 * url (scheme://host…); path (not empty, one line); json (one RFC 8259 value; members not twice,
 * numbers within a double's range, at most 2,048 levels). Then enum (on enum, string and int),
 * pattern (PCRE2, the whole value must match, bounded work), min and max (on int and decimal; exact
 * comparison).
 *
 * The first check of a JSON value makes jansson wipe all memory that it frees from then on, in the
 * whole process: the value may be a secret, and jansson copies what it reads.
 */
#ifndef PROVENV_OPS_VALUE_CHECK_H
#define PROVENV_OPS_VALUE_CHECK_H

#include "base/buf.h"
#include "base/error.h"
#include "store/event.h"

/*
 * @hidden  the value is a secret whatever the specification says, or came where nobody sees it
 *
 * INVALID  the text names the key, the rule and what is allowed: "STOP_LOSS_PERCENTAGE: 120 is over
 *          the maximum 100 %"; never the value of a secret, nor a part of it
 *          (also: not UTF-8 without NUL, too long, or the pattern took too much work)
 * NEWER    the specification's type is not known here
 */
enum status value_check(const struct payload *specification, struct slice value, bool hidden,
			struct error *err);

/*
 * Is the specification sound? Known type, enum only with values that the other rules allow, min ≤
 * max and only on numbers, the pattern compiles, default (never on a secret) and example satisfy
 * it. Judged is what payload_encode() does not judge. USAGE: the text begins with the field:
 * "min: 5 is over max 3".
 */
enum status specification_check(const struct payload *specification, struct error *err);

/* Append @value fit for a message: on one line, cut when long, in quotes unless it is a number. */
void value_show(struct buf *out, struct slice value);

/* Does the key look like a secret's name (KEY, TOKEN, SECRET, PASSWORD, … as a word of it)? */
bool key_looks_secret(struct slice key);

/* The seven-and-one type names, for help and messages; ends with NULL. */
extern const char *const value_types[];

#endif
