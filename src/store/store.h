/*
 * A store directory, open: the log with its evidence (head file, user checkpoint), the key
 * registry, the write lock, and the one way to append.
 *
 * Invariants: evidence is read before the log is looked at, so that a writer in between never looks
 * like a loss; what was acknowledged moves head and checkpoint forward, never backward; only the
 * holder of the write lock appends.
 * It must not know what the events mean, nor policy.
 */
#ifndef PROVENV_STORE_STORE_H
#define PROVENV_STORE_STORE_H

#include "store/event.h"
#include "store/evlog.h"
#include "store/registry.h"
#include "store/signer.h"

struct store;

struct store_options {
	bool read_only;     /* never write, not even the head file */
	bool tolerate_loss; /* open although evidence says that the end of the log is lost */
};

/* Where evidence of a newer log came from. */
enum store_evidence {
	EVIDENCE_NONE,
	EVIDENCE_HEAD,       /* STORE/head */
	EVIDENCE_CHECKPOINT, /* the user's checkpoint file */
};

/* What the log lost according to evidence; evidence EVIDENCE_NONE: nothing. */
struct store_loss {
	enum store_evidence evidence;
	uint64_t size; /* what the log held */
	uint64_t expected_size;
	uint8_t expected_root[HASH_BYTES];
	bool diverged; /* the log is long enough, but its root at expected_size is another one */
	bool foreign;  /* and so is the whole log: the evidence is of another one */
	/*
	 * The event that accepted a loss of so many events that these may have been among them; 0:
	 * none. Whether they were, the evidence cannot say.
	 */
	uint64_t accepted_seq;
	uint64_t accepted_size; /* up to here events were lost then */
};

/*
 * Make the directories of a store at @path (mode 0700) and an empty log, ready for its first
 * command. A directory whose init never finished (no event) is taken over. CONFLICT  a store is
 * there already, or its head file says that there was one
 */
enum status store_create(const char *path, struct store **ret, struct error *err);

/*
 * Open the store at @path.
 * NO_STORE  no log, or one without an event
 * CORRUPT   the log is damaged, or lost events (unless tolerated): "the log lost events N..M"; also
 * a log that lost all of them, tolerated or not NEWER     a registry event is of a later provenv
 *
 * LOCKED    as store_check_unmoved(), instead of CORRUPT
 *
 * Without permission to write it opens for reading only, and store_lock() will refuse. Evidence of
 * exactly the events whose loss an admin accepted (store.recovered) is no loss: it is replaced.
 */
enum status store_open(const char *path, struct store_options options, struct store **ret,
		       struct error *err);
/* Accepts NULL. Releases the write lock. */
void store_close(struct store *store);

const char *store_path(const struct store *store);
bool store_is_read_only(const struct store *store);
/*
 * For who met damage: LOCKED when the log was written to since the store was opened, and is read
 * without its lock, for want of permission. Then what was met may be the writer's doing.
 */
enum status store_check_unmoved(const struct store *store, struct error *err);
struct evlog *store_log(struct store *store);
const uint8_t *store_log_id(const struct store *store);
/* Of the size that the last open, refresh or append saw. */
const struct registry *store_registry(const struct store *store);
/*
 * How the log of a store is opened by somebody who only reads: without its lock where that cannot
 * be written, on read-only media or in the directory of somebody else.
 */
struct evlog_lmdb_options store_reading(const char *store_path);
const struct store_loss *store_loss(const struct store *store);
/* The same as an error, CORRUPT, with the way out as its hint. There must be a loss. */
enum status store_loss_error(const struct store *store, struct error *err);
/*
 * What was wrong with the evidence itself, in words, or NULL: damaged, unreadable or another log's
 * when the store was opened, or not moved forward since (what was appended is durable all the
 * same). Lives until the next append, reset or close.
 */
const char *store_evidence_note(const struct store *store);

/*
 * Take the write lock, waiting at most @wait_ms; fair. Held until store_unlock() or store_close().
 * LOCKED  the time is up
 * IO      the store is open for reading only
 */
enum status store_lock(struct store *store, uint64_t wait_ms, struct error *err);
void store_unlock(struct store *store);

/* Take in registry events that other processes appended. Pointers into the registry end here. */
enum status store_refresh(struct store *store, struct error *err);

/* What one command appends: 1..COMMAND_PARTS_MAX payloads, contiguous, all or nothing. */
struct store_command {
	uint8_t command_id[COMMAND_ID_BYTES];
	const struct payload *payloads;
	size_t count;
	struct slice reason;
	uint64_t claimed_ms; /* the signer's clock */
};

struct store_receipt {
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t time_ms;
	uint8_t leaf_hash[HASH_BYTES]; /* of the last event */
};

/*
 * Sign and append a command after the log's @size events, durably; then move head and checkpoint
 * forward. time_ms of the events = max(claimed_ms, time of the last event). The caller holds the
 * write lock. Pointers into the registry end here.
 *
 * The first command of a new store begins with store.created. While a tolerated loss stands, only a
 * command that begins with store.recovered is taken; it leaves head and checkpoint as they are, for
 * store_reset_evidence().
 *
 * CONFLICT   the log holds another number of events, or the command id is used already
 * WRONG_KEY  the signer is not enrolled, or lacks authority for a type
 * CORRUPT    the last event is damaged, or ends no command, or a loss was not accepted
 * NEWER      the last event is of a later provenv
 * USAGE      an event or the command is over a limit
 * IO         outcome unknown: reopen and look the command up
 */
enum status store_append(struct store *store, const struct signer *signer, uint64_t size,
			 const struct store_command *command, struct store_receipt *ret,
			 struct error *err);

/*
 * After an accepted loss was appended as store.recovered: set head and checkpoint to the log as it
 * is, backward too. Also the way to replace a head or checkpoint that store_evidence_note() tells
 * of.
 */
enum status store_reset_evidence(struct store *store, struct error *err);

/* STORE/vault and STORE/state, as strings that live as long as the store. */
const char *store_vault_dir(const struct store *store);
const char *store_state_dir(const struct store *store);

#endif
