/*
 * Reading and changing variables.
 */
#ifndef PROVENV_OPS_OP_VARIABLE_H
#define PROVENV_OPS_OP_VARIABLE_H

#include "ops/commit.h"

enum variable_origin {
	ORIGIN_OWN,     /* set in the profile itself */
	ORIGIN_DEFAULT, /* the default of its specification */
};

/* A variable as users see it. Lives in the session's arena; `revealed` until
 * variable_info_release(). */
struct variable_info {
	struct slice key;
	struct slice value;     /* plain value; empty when secret */
	struct secret revealed; /* the value of a secret, when it was asked for */
	bool secret;
	bool masked; /* secret and not revealed */
	bool expand;
	struct slice category; /* empty: none */
	enum variable_origin origin;
	uint64_t seq; /* the event that put it in force */
	uint64_t time_ms;
	struct slice actor;
	struct slice reason;
};

void variable_info_release(struct variable_info *info);

/*
 * The variable @key of the session's profile, in the session's view.
 * NOT_FOUND  neither set nor defaulted; the hint names the nearest key
 */
enum status op_get(struct session *session, struct slice key, bool reveal,
		   struct variable_info *ret, struct error *err);

/* All variables of the session's profile, defaults included, by key. @category empty: all. */
enum status op_list(struct session *session, struct slice category, bool reveal,
		    struct variable_info **ret, size_t *ret_count, struct error *err);

/* One assignment of `set`. */
struct assignment {
	struct slice key;
	struct slice value;          /* from the command line */
	const struct secret *hidden; /* from standard input or a file; then value is empty */
};

enum set_kind {
	SET_AS_SPECIFIED, /* the specification, the present value or the key's look decide */
	SET_SECRET,       /* --secret */
	SET_PLAIN,        /* --plain */
};

struct set_args {
	const struct assignment *assignments;
	size_t count;
	enum set_kind kind;
};

/*
 * INVALID  a value violates its specification
 * USAGE    not a key, not a value (NUL, not UTF-8, too long)
 * DENIED   a secret on the command line; a key that looks secret without --secret or --plain
 */
enum status decide_set(struct session *session, const void *set_args, struct plan *plan,
		       struct error *err);

struct unset_args {
	const struct slice *keys;
	size_t count;
};

/* NOT_FOUND  a key is not set in the profile itself */
enum status decide_unset(struct session *session, const void *unset_args, struct plan *plan,
			 struct error *err);

/* What is wrong with a profile: one line each, fit to show. */
struct problem {
	struct slice key;
	const char *text;
	const char *hint; /* "" for none */
};

/*
 * Check the session's profile against the specifications: required ones set, every plain value
 * valid, secrets where secrets belong.
 */
enum status op_check(struct session *session, struct problem **ret, size_t *ret_count,
		     struct error *err);

#endif
