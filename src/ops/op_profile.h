/*
 * What users do with profiles. Decide functions for commit().
 */
#ifndef PROVENV_OPS_OP_PROFILE_H
#define PROVENV_OPS_OP_PROFILE_H

#include "ops/commit.h"

/* Argument of every decide function here; environment is the session's. */
struct profile_args {
	struct slice name;
	struct slice from; /* create: profile to copy from, may be empty; clone: the source */
	const char *title; /* NULL: keep (edit), that of `from` (create), or none */
	const char *description;
};

/* CONFLICT  the name is taken; USAGE  it is no name; NOT_FOUND  args->from */
enum status decide_profile_create(struct session *session, const void *args, struct plan *plan,
				  struct error *err);
enum status decide_profile_edit(struct session *session, const void *args, struct plan *plan,
				struct error *err);
enum status decide_profile_switch(struct session *session, const void *args, struct plan *plan,
				  struct error *err);
/* DENIED  it is the active one, or the base of another */
enum status decide_profile_remove(struct session *session, const void *args, struct plan *plan,
				  struct error *err);

/* For cloning: put a copy of a profile with its variables and databases into an environment. */
struct profile_copy {
	const struct profile *from;
	struct slice environment; /* to */
	struct slice name;
	bool exists; /* the profile itself is there already: only its content is copied */
	bool bare;   /* it is there without title and description, made with its environment */
};

enum status plan_profile_copy(struct session *session, struct plan *plan,
			      const struct profile_copy *copy, struct error *err);

/*
 * Set title and description as texts without a language; NULL leaves the field as it is, "" removes
 * it. USAGE over TEXT_BYTES_MAX or not UTF-8.
 */
enum status payload_set_texts(struct arena *arena, struct payload *payload, const char *title,
			      const char *description, struct error *err);
/* Are they of one type and encoded alike? */
enum status payload_same(const struct payload *a, const struct payload *b, bool *ret,
			 struct error *err);
/* Set a language map field from its encoding; empty bytes remove it. */
enum status payload_set_langmap(struct arena *arena, struct payload *payload,
				enum event_field field, struct slice bytes, struct error *err);

#endif
