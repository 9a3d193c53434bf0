/*
 * A session: one command's view of one store. Opened for reading; writes go through commit.h.
 *
 * Everything handed out by ops lives in the session's arena until session_close().
 */
#ifndef PROVENV_OPS_SESSION_H
#define PROVENV_OPS_SESSION_H

/* What ops hands out, for those above that may include only ops. */
#include "base/arena.h"
#include "projections/projection.h" /* IWYU pragma: export */
#include "projections/state.h"      /* IWYU pragma: export */
#include "store/event.h"            /* IWYU pragma: export */
#include "store/event_reader.h"     /* IWYU pragma: export */
#include "store/ref.h"              /* IWYU pragma: export */
#include "store/signer.h"           /* IWYU pragma: export */
#include "store/state_model.h"      /* IWYU pragma: export */
#include "store/store.h"            /* IWYU pragma: export */

/* What the user asked for on the command line, the same for every command. Borrowed strings. */
struct session_options {
	const char *store_dir;        /* --store */
	const char *environment;      /* -e; NULL: the active one */
	const char *profile;          /* -p; NULL: the active one of the environment */
	const char *at;               /* --at; NULL: now */
	const char *reason;           /* -m */
	const char *key_name;         /* --as */
	const char *if_head;          /* --if-head, hex of the leaf hash of the last event */
	const char *command_id;       /* --command-id */
	const char *const *confirmed; /* --confirm=NAME, as often as needed */
	size_t confirmed_count;
	bool dry_run;
	bool accept_clock;
	/* Ask a person to type @expected; NULL when nobody can be asked. */
	bool (*ask)(void *context, const char *question, const char *expected);
	void *ask_context;
};

enum session_need {
	SESSION_LOG,       /* the log only: works where state cannot be told */
	SESSION_LOG_LOSSY, /* also when evidence says that the end of the log is lost */
	SESSION_STATE,     /* state at --at or now, environment and profile not yet chosen */
	SESSION_PROFILE,   /* and the environment and profile that -e and -p name */
};

/* A REF that deserves a word: what it came to be. */
struct ref_told {
	const char *text; /* borrowed, as it was given */
	struct ref_point point;
};

enum { REFS_TOLD_MAX = 4 };

struct session {
	const struct session_options *options;
	struct store *store;
	struct projection *projection; /* NULL without state */
	struct evlog_snapshot *log;    /* own snapshot without state, the projection's with it */
	struct event_reader *reader;   /* likewise */
	struct arena arena;
	struct state_view view;   /* state at the event asked for */
	struct ref_point point;   /* that event */
	struct slice environment; /* chosen by -e or active; empty unless SESSION_PROFILE */
	struct slice profile;
	struct signer signer; /* loaded by session_signer() */
	/*
	 * What relative REFs and durations count from: settled when the session opens, so that a
	 * write means the same events however long it waits for the lock.
	 */
	uint64_t head;
	uint64_t now_ms;
	bool head_counted;                   /* a REF was resolved that depends on the head */
	struct ref_told told[REFS_TOLD_MAX]; /* times, and REFs inside a command */
	size_t told_count;
};

/*
 * Where -e or -p names what is gone, and options->command_id is in the log, they are chosen as they
 * stood before that command: it may have been what it worked on.
 *
 * NO_STORE, CORRUPT, NEWER, IO as store_open() and projection_open(); NOT_FOUND for an unknown
 * environment, profile or REF, naming the nearest; USAGE for a malformed REF.
 * @ret must be zeroed; close it whatever the outcome.
 */
enum status session_open(const struct session_options *options, enum session_need need,
			 struct session *ret, struct error *err);
void session_close(struct session *session);

/*
 * The id that options->command_id gives. NOT_FOUND  (without text) none is given; USAGE  no UUID
 */
enum status session_command_id(const struct session_options *options, uint8_t ret[COMMAND_ID_BYTES],
			       struct error *err);

/*
 * Choose environment and profile again in the session's present view; what SESSION_PROFILE did on
 * opening.
 */
enum status session_choose(struct session *session, struct error *err);

/*
 * Load the signing key: --as NAME, else USER@HOST, else the first enrolled key whose file is there.
 * WRONG_KEY  none, unsafe, or not enrolled in this store
 */
enum status session_signer(struct session *session, struct error *err);

/*
 * Resolve a REF against the log up to the session's head, and remember in `told` what is not plain
 * from its words. @text must live as long as the session.
 */
enum status session_ref(struct session *session, const char *text, struct ref_point *ret,
			struct error *err);

/* The state at another event, sharing the session's arena. */
struct state_view session_view_at(struct session *session, uint64_t at);

/* The environment or profile must exist: else NOT_FOUND with the nearest name as a hint. */
enum status session_find_environment(struct session *session, struct slice name,
				     struct environment *ret, struct error *err);
enum status session_find_profile(struct session *session, struct slice environment,
				 struct slice name, struct profile *ret, struct error *err);

/*
 * "no such GROUP: 'x'", and the nearest of @names as a hint; else the command that lists them,
 * `provenv GROUP ls`. Always NOT_FOUND.
 */
enum status session_unknown(const char *group, struct slice name, const char *const *names,
			    size_t count, struct error *err);

/* The name of the key that signed the event, or its key id in hex when it is not enrolled. */
struct slice session_actor(struct session *session, const struct event *event);

/* An event by number, as event_reader_get(). */
enum status session_event(struct session *session, uint64_t seq, const struct read_event **ret,
			  struct error *err);

/* The text of an encoded language map to show; empty when absent. In @arena. */
struct slice langmap_text(struct arena *arena, struct slice encoded);

/* A NUL-terminated copy in the session's arena; "" when memory is out. */
const char *session_str(struct session *session, struct slice text);

#endif
