/*
 * Which database files belong to a profile. Decide functions for commit(), and where a file lies.
 */
#ifndef PROVENV_OPS_OP_DATABASE_H
#define PROVENV_OPS_OP_DATABASE_H

#include "base/buf.h"
#include "ops/commit.h"

/* Argument of the decide functions here; environment and profile are the session's. */
struct database_args {
	struct slice name;
	const char *path; /* attach: as the user gave it, relative to the working directory */
	const char *kind; /* attach: "sqlite" or "file"; NULL: sqlite */
};

/*
 * The file need not exist yet, the directory it lies in must: what is kept is the real path of that
 * directory and the name, relative where it lies below the folder that holds the store, so that
 * both can be moved together.
 *
 * CONFLICT   the name is attached to another file or as another kind
 * NOT_FOUND  there is no such directory
 * USAGE      not a name, a kind or a path of a file
 */
enum status decide_database_attach(struct session *session, const void *args, struct plan *plan,
				   struct error *err);
/* NOT_FOUND  no such database; CONFLICT  a replacement of it is unfinished */
enum status decide_database_detach(struct session *session, const void *args, struct plan *plan,
				   struct error *err);

/* The database of the session's profile; else NOT_FOUND with the nearest name as a hint. */
enum status database_find(struct session *session, struct slice name, struct definition *ret,
			  struct error *err);

/* Where the file of a definition lies: replace the content of @ret by its path. NO_MEMORY. */
enum status database_path(struct session *session, const struct payload *payload, struct buf *ret,
			  struct error *err);

#endif
