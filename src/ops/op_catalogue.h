/*
 * The catalogue: categories and specifications of variables, for the whole store.
 */
#ifndef PROVENV_OPS_OP_CATALOGUE_H
#define PROVENV_OPS_OP_CATALOGUE_H

#include "ops/catalogue.h"
#include "ops/commit.h"

/* The category must exist: else NOT_FOUND with the nearest name as a hint. */
enum status op_find_category(struct session *session, struct slice name, struct definition *ret,
			     struct error *err);

/* The key must have a specification: else NOT_FOUND. */
enum status op_find_specification(struct session *session, struct slice key, struct definition *ret,
				  struct error *err);

struct category_args {
	struct slice name;
	const char *title; /* NULL: keep what it has */
	const char *description;
	bool planned;
	bool planned_given; /* false: keep what it has */
};

/* Define or change a category. USAGE: not a name. */
enum status decide_category_set(struct session *session, const void *category_args,
				struct plan *plan, struct error *err);
/* DENIED  a specification names it */
enum status decide_category_remove(struct session *session, const void *category_args,
				   struct plan *plan, struct error *err);

/*
 * What `spec set` was given; NULL and false keep what the specification has. `values` fields as
 * texts of the command line, checked by specification_check().
 */
struct specification_args {
	struct slice key;
	const char *type;
	const char *category;
	const char *enum_list; /* A,B,C; "" removes */
	const char *pattern;
	const char *min;
	const char *max;
	const char *default_value;
	const char *unit;
	const char *title;
	const char *description;
	const char *example;
	bool required;
	bool secret;
};

/*
 * Values that are set already stay, whether they fit or not: op_check() lists those that do not.
 * USAGE      unsound
 * NOT_FOUND  unknown category
 */
enum status decide_specification_set(struct session *session, const void *specification_args,
				     struct plan *plan, struct error *err);
enum status decide_specification_remove(struct session *session, const void *specification_args,
					struct plan *plan, struct error *err);

/* Take in a parsed catalogue: categories and specifications, those that differ. @args: struct
 * catalogue. */
enum status decide_catalogue_import(struct session *session, const void *catalogue_args,
				    struct plan *plan, struct error *err);

/* The categories and specifications in force, to be printed as a catalogue. */
enum status op_catalogue_export(struct session *session, struct catalogue *ret, struct error *err);

/* For init: plan everything of a catalogue for a store that is empty yet. */
enum status plan_catalogue(struct plan *plan, const struct catalogue *catalogue, struct error *err);

#endif
