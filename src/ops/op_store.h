/*
 * The store as a whole: status, verify, doctor, rebuild, checkpoint, keys.
 */
#ifndef PROVENV_OPS_OP_STORE_H
#define PROVENV_OPS_OP_STORE_H

#include "ops/commit.h"
#include "store/audit.h" /* IWYU pragma: export */

/* Completeness: what evidence says about the end of the log, apart from integrity. */
enum completeness {
	COMPLETENESS_OK,         /* checked against evidence from outside the machine */
	COMPLETENESS_UNANCHORED, /* local evidence only */
	COMPLETENESS_FAILED,     /* some evidence is newer than the log */
};

const char *completeness_name(enum completeness completeness);

struct store_status {
	const char *path;
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t head_seq;
	uint64_t head_ms;
	uint8_t root[HASH_BYTES];
	uint8_t head_hash[HASH_BYTES]; /* leaf hash of the head, for --if-head */
	struct slice environment;
	struct slice profile;
	bool is_protected;
	bool locked;
	uint8_t state_hash[HASH_BYTES];
	enum completeness completeness;
	size_t violations;
	struct slice last_type; /* of the last event */
	struct slice last_actor;
	struct slice last_reason;
	size_t problems; /* of the active profile against the specifications */
};

enum status op_status(struct session *session, struct store_status *ret, struct error *err);

struct verify_args {
	bool deep;          /* vault too */
	struct slice since; /* content of a checkpoint file; empty: from the beginning */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* A loss that an admin accepted: generation `generation` begins with event `seq`. */
struct accepted_loss {
	uint64_t seq; /* of store.recovered: events before it were kept */
	uint64_t expected_size;
	uint64_t generation;
};

struct verify_result {
	struct audit_report audit;
	enum completeness completeness;
	const char *completeness_note;  /* what evidence was looked at, and what it says */
	struct error lost;              /* what evidence has and the log does not; text may be "" */
	const char *next;               /* what to do about a bad verdict; "" for none */
	uint64_t since;                 /* events taken as checked before */
	struct accepted_loss *accepted; /* in the session's arena */
	size_t accepted_count;
	struct violation *violations; /* empty where state cannot be told */
	size_t violation_count;
	uint64_t secrets_checked; /* deep */
	struct buf deep_note;     /* first finding of the deep check */
	bool deep_failed;
};

void verify_result_release(struct verify_result *result);

/*
 * Check everything. The audit runs in a child before this process touches the log. OK whatever the
 * verdict: read ret->audit.ok, deep_failed and completeness.
 *
 * @session    zeroed; opened here as far as the log allows, to be closed by the caller
 * WRONG_KEY   args->since is not signed by this log; others: it could not be carried out
 */
enum status op_verify(const struct session_options *options, const struct verify_args *args,
		      struct session *session, struct verify_result *ret, struct error *err);

/* One finding of doctor. */
struct finding {
	bool bad;    /* needs attention */
	bool mended; /* doctor mended it */
	const char *text;
	const char *hint; /* "" for none */
};

/*
 * Look the store over and mend what is derived: the log's tree and indexes, head file and this
 * user's checkpoint, the state, and what crashes left in vault/. Every event is checked first, as
 * op_verify() does it. With options->dry_run it is only told; where the store cannot be opened
 * before its indexes are mended, the telling ends there.
 *
 * @session  zeroed; opened here, to be closed by the caller; the findings live in its arena
 *
 * CORRUPT   the events themselves are damaged, or some are lost: nothing is mended; the findings
 *           are set all the same, and the last one says so
 */
enum status op_doctor(const struct session_options *options, struct session *session,
		      struct finding **ret, size_t *ret_count, struct error *err);

/*
 * Accept that the end of the log is lost: append store.recovered, reset head and checkpoint.
 * With options->dry_run it is only judged, and @ret untouched.
 * @size  the size the log has now, as the user read it from the error: must match
 *
 * UNCONFIRMED  no reason, or --confirm does not name the signer's key; or the clock is far off
 * USAGE        nothing is lost, or @size is not the log's size
 */
enum status op_accept_loss(const struct session_options *options, uint64_t size,
			   struct store_receipt *ret, struct error *err);

/* Compare the state with one built anew: are the hashes equal? */
enum status op_rebuild_compare(struct session *session, uint8_t ret_hash[HASH_BYTES],
			       uint8_t ret_fresh[HASH_BYTES], struct error *err);
/* Throw the state away and build it anew. */
enum status op_rebuild(struct session *session, uint8_t ret_hash[HASH_BYTES], struct error *err);

/* A checkpoint of the log's head, signed by the log's key. WRONG_KEY: that key is not here. */
enum status op_checkpoint(struct session *session, struct buf *ret_note, struct buf *ret_vkey,
			  struct error *err);

/* One key: of the registry, with or without a file here, or a file that no registry names. */
struct key_info {
	struct slice name;
	uint8_t key_id[KEY_ID_BYTES];
	struct slice vkey;
	bool enrolled;
	bool admin;
	bool here;   /* its private key file is in the keys directory */
	bool is_log; /* the log's own key */
};

/* @session may be NULL: files only. */
enum status op_keys(struct session *session, struct arena *arena, struct key_info **ret,
		    size_t *ret_count, struct error *err);
/* Make a key file. CONFLICT: it exists. */
enum status op_key_generate(struct arena *arena, const char *name, struct key_info *ret,
			    struct buf *ret_path, struct error *err);

#endif
