/*
 * Regular expressions that a whole value must match: PCRE2 syntax on UTF-8, with bounded work.
 */
#ifndef PROVENV_OPS_PATTERN_H
#define PROVENV_OPS_PATTERN_H

#include "base/bytes.h"
#include "base/error.h"

/* A compiled pattern. */
struct pattern {
	void *code; /* PCRE2's, or NULL */
};

#define PATTERN_INIT { .code = NULL }

/*
 * Compile @source. @pattern must be PATTERN_INIT and is untouched on failure.
 *
 * USAGE  over PATTERN_BYTES_MAX, or not a pattern: the text says why and at which byte
 */
enum status pattern_compile(struct pattern *pattern, struct slice source, struct error *err);

/*
 * Does all of @value match? "^" and "$" are implied; a line break at the end counts.
 *
 * NEGATIVE  it does not
 * INVALID   PCRE2 gave up: the text says that the pattern took too much work, or what else; it says
 *           nothing about the value
 */
enum status pattern_match(const struct pattern *pattern, struct slice value, struct error *err);

/* Free. Accepts PATTERN_INIT. */
void pattern_release(struct pattern *pattern);

#endif
