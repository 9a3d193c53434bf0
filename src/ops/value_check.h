/*
 * Checking a value against its specification (variable.specified), and a specification against
 * itself.
 *
 * Types: string; int (64-bit, decimal); decimal (exact, up to 64 digits); bool (true, false); enum;
 * url (scheme://host…); path (not empty, one line); json (one RFC 8259 value). Then enum, pattern
 * (PCRE2, the whole value must match, bounded work), min and max (exact comparison; for string,
 * json, url and path: not allowed).
 */
#ifndef PROVENV_OPS_VALUE_CHECK_H
#define PROVENV_OPS_VALUE_CHECK_H

#include "base/error.h"
#include "store/event.h"

/*
 * INVALID  the text names the key, the rule and what is allowed: "STOP_LOSS_PERCENTAGE: 120 is over
 *          the maximum 100 %"; never the value of a secret
 * NEWER    the specification's type is not known here
 */
enum status value_check(const struct payload *specification, struct slice value, struct error *err);

/*
 * Is the specification sound? Known type, enum only with values, min ≤ max and only on numbers, the
 * pattern compiles, default (never on a secret) and example satisfy it. USAGE names the field.
 */
enum status specification_check(const struct payload *specification, struct error *err);

/* Does the key look like a secret's name (KEY, TOKEN, SECRET, PASSWORD, … as a word of it)? */
bool key_looks_secret(struct slice key);

/* The seven-and-one type names, for help and messages; ends with NULL. */
extern const char *const value_types[];

#endif
