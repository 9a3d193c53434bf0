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
 * A title or description is a string (language "und") or an object language tag → text. min and max
 * are numbers or decimal strings, kept as written.
 */
#ifndef PROVENV_OPS_CATALOGUE_H
#define PROVENV_OPS_CATALOGUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/event.h"

/* Payloads in the arena, in file order. */
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
 * Parse @json.
 * USAGE    malformed JSON (with line), unknown member, wrong type, duplicate name, unsound
 * specification, unknown category (when it is not in the file, the caller's state decides: not
 * checked here)
 */
enum status catalogue_parse(struct arena *arena, struct slice json, struct catalogue *ret,
			    struct error *err);

/* Write categories and specifications (and whatever else is given) as such a file, pretty-printed.
 */
enum status catalogue_print(const struct catalogue *catalogue, struct buf *ret, struct error *err);

/* The text of a language map to show: "und", else "en", else the first; empty when absent. */
struct slice langmap_pick(const struct langmap *map);
/* A language map of one text without a language. NULL entries when memory is out. */
struct langmap langmap_of(struct arena *arena, struct slice text);

#endif
