/*
 * Evidence of how far the log got: STORE/head and the user's checkpoint file, compared with the
 * log. Part of store.c; nobody else needs it.
 *
 * Invariants: evidence is read before the snapshot it is compared with begins, so that a writer in
 * between never looks like a loss; no evidence of a loss is overwritten, but by
 * store_reset_evidence(). What cannot be used as evidence is no evidence, and is said in the note.
 */
#ifndef PROVENV_STORE_EVIDENCE_H
#define PROVENV_STORE_EVIDENCE_H

#include "base/buf.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/registry.h"
#include "store/store.h"

struct evidence_file {
	enum store_evidence kind;
	struct buf path; /* empty: nobody knows where it would be */
	bool missing;    /* no such file */
	bool foreign;    /* record is of another log */
	bool usable;     /* record is of this log */
	bool noted;      /* neither of both: the note says why */
	bool behind;     /* missing, or of fewer events than the log holds */
	bool accepted;   /* of a loss that the log says was accepted: to be replaced */
	struct head_record record;
};

struct evidence {
	struct evidence_file head;
	struct evidence_file checkpoint;
	struct store_loss loss;
	struct buf note;
};

/* Name STORE/head of the store at @store_path. NO_MEMORY. */
enum status evidence_init(struct evidence *evidence, const char *store_path, struct error *err);
/* Accepts a zeroed object. */
void evidence_release(struct evidence *evidence);

/* Name the user's checkpoint, once the log's id is known. Without a home there is none. */
void evidence_name_checkpoint(struct evidence *evidence, const uint8_t log_id[LOG_ID_BYTES],
			      const char *store_path);

/*
 * Read both files, forgetting what was read before. With @log_id NULL, of whatever log they are.
 * Fails for lack of memory only.
 */
enum status evidence_read(struct evidence *evidence, const uint8_t *log_id, struct error *err);

/*
 * Compare what was read with @snapshot, which began after; sets the loss. @registry is that of the
 * snapshot. CORRUPT: the tree.
 */
enum status evidence_compare(struct evidence *evidence, struct evlog_snapshot *snapshot,
			     const struct registry *registry, struct error *err);

/*
 * The event by which an admin accepted that the events @record is about are lost, or NULL: it names
 * this very size and root; or it ended the generation that @record is of, and what @record has and
 * the log has not is no more than what it accepted.
 *
 * A size alone would not do: a record of the log as it went on after the loss, which was then
 * rolled back, would pass for one of the lost end.
 */
const struct registry_generation *evidence_accepted(const struct registry *registry,
						    const struct head_record *record);

/* The loss as an error: CORRUPT. There must be one. */
enum status evidence_loss_error(const struct evidence *evidence, struct error *err);

/* Move one file forward to @record, making its directory if need be. */
enum status evidence_advance(struct evidence_file *file, const struct head_record *record,
			     bool force, struct error *err);

/* Add a sentence to the note, unless it stands there. */
void evidence_note(struct evidence *evidence, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
