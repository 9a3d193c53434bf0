/*
 * Typed questions to the state, at any event.
 *
 * Everything returned lives in the arena of the view. A missing thing is NOT_FOUND without a text:
 * the caller knows what to say and what to suggest. Each row that answers is compared with the
 * event that put it in force (a variable's in state_value()): CORRUPT, and the projection marked
 * damaged, when it says something else.
 */
#ifndef PROVENV_PROJECTIONS_STATE_H
#define PROVENV_PROJECTIONS_STATE_H

#include "base/arena.h"
#include "projections/projection.h"
#include "store/event.h"
#include "store/state_model.h"

/* The state at event @at, ≤ projection_seq(). Borrowed parts must outlive it. */
struct state_view {
	struct projection *projection;
	struct arena *arena;
	uint64_t at;
};

struct environment {
	struct slice name;
	struct slice profile; /* its active profile */
	struct slice title;   /* encoded language maps, empty when absent */
	struct slice description;
	uint64_t until_ms; /* of the lock; 0: without end */
	uint64_t seq;      /* the event that put its fields in force */
	bool active;
	bool is_protected;
	uint64_t lock_seq; /* the event that locked it; 0: none */
	bool locked;       /* a lock stands, run out or not */
};

struct profile {
	struct slice environment;
	struct slice name;
	struct slice base; /* empty: none */
	struct slice title;
	struct slice description;
	uint64_t seq;
	bool active;
};

struct variable {
	struct slice environment;
	struct slice profile;
	struct slice key;
	uint64_t value_seq; /* the event and the change in it that hold the bytes */
	uint32_t value_index;
	uint64_t seq; /* the event that put it in force */
	bool sealed;
	bool expand;
};

/* The last replacement of a database. */
struct replacement {
	enum replacement_phase phase;
	uint64_t started; /* the event that started it */
	uint64_t safety;  /* the event of the backup that holds what was there before; 0: none */
	uint64_t seq;     /* the event that brought it to its phase */
};

/* A definition in force: category, specification, database, environment key, backup. */
struct definition {
	const struct payload *payload; /* of the event that defined it */
	struct slice bytes;            /* its encoding */
	uint64_t seq;
};

struct violation {
	uint64_t seq;
	enum apply_rule rule;
};

/* The bytes of a variable, checked against the log. */
struct variable_value {
	struct slice text;       /* plain value; empty when sealed */
	struct slice commitment; /* sealed only */
	struct slice sealed;
	uint8_t command_id[COMMAND_ID_BYTES]; /* of the event that holds the bytes: place of sealing
					       */
	uint32_t part;
	struct slice sealed_environment; /* whose key opens it */
};

/* Empty slice when no environment is active. */
enum status state_active_environment(const struct state_view *view, struct slice *ret,
				     struct error *err);

enum status state_environment(const struct state_view *view, struct slice name,
			      struct environment *ret, struct error *err);
enum status state_environments(const struct state_view *view, struct environment **ret,
			       size_t *ret_count, struct error *err);

enum status state_profile(const struct state_view *view, struct slice environment,
			  struct slice name, struct profile *ret, struct error *err);
enum status state_profiles(const struct state_view *view, struct slice environment,
			   struct profile **ret, size_t *ret_count, struct error *err);

enum status state_variable(const struct state_view *view, struct slice environment,
			   struct slice profile, struct slice key, struct variable *ret,
			   struct error *err);
/*
 * Was a plain value of the variable ever in force, in any profile there ever was, up to now? That
 * it is secret does not take it back.
 */
enum status state_was_plain(const struct state_view *view, struct slice key, bool *ret,
			    struct error *err);
/* In byte order of the keys. */
enum status state_variables(const struct state_view *view, struct slice environment,
			    struct slice profile, struct variable **ret, size_t *ret_count,
			    struct error *err);

enum status state_category(const struct state_view *view, struct slice name, struct definition *ret,
			   struct error *err);
enum status state_categories(const struct state_view *view, struct definition **ret,
			     size_t *ret_count, struct error *err);
enum status state_specification(const struct state_view *view, struct slice key,
				struct definition *ret, struct error *err);
enum status state_specifications(const struct state_view *view, struct definition **ret,
				 size_t *ret_count, struct error *err);
enum status state_databases(const struct state_view *view, struct slice environment,
			    struct slice profile, struct definition **ret, size_t *ret_count,
			    struct error *err);

enum status state_database(const struct state_view *view, struct slice environment,
			   struct slice profile, struct slice name, struct definition *ret,
			   struct error *err);

/* The backup that event @seq made. */
enum status state_backup(const struct state_view *view, uint64_t seq, struct definition *ret,
			 struct error *err);
/* All backups that were not removed, oldest first, whatever became of their databases. */
enum status state_backups(const struct state_view *view, struct definition **ret, size_t *ret_count,
			  struct error *err);
/* The last backup.verified of the backup that event @seq made. */
enum status state_backup_check(const struct state_view *view, uint64_t seq, struct definition *ret,
			       struct error *err);
/* NOT_FOUND: the database was never replaced since it was attached. */
enum status state_replacement(const struct state_view *view, struct slice environment,
			      struct slice profile, struct slice name, struct replacement *ret,
			      struct error *err);

/* The environment's sealing key of @generation, or its latest for 0. */
enum status state_environment_key(const struct state_view *view, struct slice environment,
				  uint64_t generation, struct definition *ret, struct error *err);

/* All commands without effect up to the view's event. */
enum status state_violations(const struct state_view *view, struct violation **ret,
			     size_t *ret_count, struct error *err);

/*
 * The bytes of @variable. Follows the row to the event that put it in force and to the one that
 * holds the bytes, and demands that both say so.
 *
 * CORRUPT  the row contradicts the log (the projection is marked damaged), or the event is damaged
 */
enum status state_value(const struct state_view *view, const struct variable *variable,
			struct variable_value *ret, struct error *err);

/* state_hash/v1 of the view (store/state_model.h). */
enum status state_hash(const struct state_view *view, uint8_t ret[HASH_BYTES], struct error *err);

#endif
