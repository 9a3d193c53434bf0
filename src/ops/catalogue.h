/*
 * Catalogue files: JSON with categories, environments, databases and variable specifications, as in
 * docs/examples/catalogue.json. Read with jansson, strictly: unknown members are refused by name
 * (but those that begin with "$"), every error says where ("variables[3].min"), all at once is not
 * promised.
 *
 * {"categories": [{"name", "title", "description", "status": "implemented"|"planned"}],
 *  "environments": [{"name", "title", "description", "protected", "profile"}],
 *  "databases": [{"name", "kind", "path"}],
 *  "variables": [{"key", "category", "type", "required", "secret", "enum", "pattern", "min", "max",
 *                 "default", "unit", "title", "description", "example"}]}
 *
 * Needed: name, key, and a database's path. When left out: status "implemented", protected,
 * required and secret false, profile "default", kind "sqlite", type "enum" where there is an enum,
 * else "string"; the rest is absent then.
 *
 * A title or description is a string (language "und") or an object language tag → text. min and max
 * are integers or decimal strings, kept as written; a default is a string, or an integer, true or
 * false, which become text. All three may be a real number as well, of at most 15 significant
 * digits and without exponent: JSON readers keep no more of it; anything finer is refused and has
 * to be a string. An empty text is as good as none, except for a default and among enum.
 */
#ifndef PROVENV_OPS_CATALOGUE_H
#define PROVENV_OPS_CATALOGUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "ops/langmap.h" /* IWYU pragma: export */
#include "store/event.h"

/* Payloads in the arena, in file order. */
/* What a printed catalogue says it is. A file to be read may leave it out. */
#define CATALOGUE_SCHEMA "provenv/catalogue/v1"

struct catalogue {
	const struct payload **categories; /* category.defined */
	size_t category_count;
	const struct payload *
		*environments; /* environment.created; profile "default" when not given */
	size_t environment_count;
	const struct payload **databases; /* database.attached without environment and profile */
	size_t database_count;
	const struct payload **specifications; /* variable.specified */
	size_t specification_count;
};

/*
 * Parse @json, of at most CATALOGUE_BYTES_MAX (the caller looks). Every payload passes
 * payload_encode(), databases once they have an environment and a profile, and fits an event.
 *
 * USAGE  malformed JSON (with line), unknown member, wrong type, duplicate name, unsound
 *        specification. A category that the file does not define is no fault: the caller's state
 *        decides.
 */
enum status catalogue_parse(struct arena *arena, struct slice json, struct catalogue *ret,
			    struct error *err);

/*
 * Append @catalogue as such a file, pretty-printed: categories and variables always, environments
 * and databases when there are any. catalogue_parse() gives back what it once gave.
 */
enum status catalogue_print(const struct catalogue *catalogue, struct buf *ret, struct error *err);

#endif
