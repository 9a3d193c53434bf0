/*
 * Evidence: reading it, comparing it with the log, moving it on; see evidence.h.
 *
 * Must not open the log or take locks of its own (headfile.h locks each file it moves).
 */
#include "store/evidence.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/paths.h"
#include "store/registry.h"
#include "store/store.h"

#include "base/banned.h"

enum status evidence_init(struct evidence *evidence, const char *store_path, struct error *err)
{
	evidence->head.kind = EVIDENCE_HEAD;
	evidence->checkpoint.kind = EVIDENCE_CHECKPOINT;
	fs_join(&evidence->head.path, store_path, "head");
	return buf_status(&evidence->head.path, err);
}

void evidence_release(struct evidence *evidence)
{
	buf_release(&evidence->head.path);
	buf_release(&evidence->checkpoint.path);
	buf_release(&evidence->note);
}

void evidence_name_checkpoint(struct evidence *evidence, const uint8_t log_id[LOG_ID_BYTES],
			      const char *store_path)
{
	struct buf *path = &evidence->checkpoint.path;

	buf_clear(path);
	if (paths_user_checkpoint(log_id, store_path, path, NULL))
		buf_clear(path);
}

void evidence_note(struct evidence *evidence, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A process that lives long may fail at each append: once is enough. */
	if (strstr(buf_str(&evidence->note), text))
		return;
	if (evidence->note.len)
		buf_append_str(&evidence->note, "; ");
	buf_append_str(&evidence->note, text);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum status read_file(struct evidence *evidence, struct evidence_file *file,
			     const uint8_t *log_id, struct error *err)
{
	struct error why = ERROR_INIT;
	enum status status;

	file->missing = false;
	file->usable = false;
	file->foreign = false;
	file->noted = false;
	if (file->path.len == 0)
		return STATUS_OK;
	status = headfile_read(buf_str(&file->path), &file->record, &why);
	if (status == STATUS_NO_MEMORY)
		return error_no_memory(err);
	if (status == STATUS_NOT_FOUND) {
		file->missing = true;
	} else if (status) {
		evidence_note(evidence, "no evidence of lost events: %s", why.text);
	} else if (log_id && memcmp(file->record.log_id, log_id, LOG_ID_BYTES) != 0) {
		file->foreign = true;
		evidence_note(evidence, "no evidence of lost events: %s is of another log",
			      buf_str(&file->path));
	} else {
		file->usable = true;
	}
	file->noted = !file->usable && !file->missing;
	return STATUS_OK;
}

enum status evidence_read(struct evidence *evidence, const uint8_t *log_id, struct error *err)
{
	enum status status;

	buf_clear(&evidence->note);
	status = read_file(evidence, &evidence->checkpoint, log_id, err);
	return status ? status : read_file(evidence, &evidence->head, log_id, err);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Does the log have, as its first events, the ones that @record is about? */
static enum status log_agrees(struct evlog_snapshot *snapshot, const struct head_record *record,
			      bool *ret, struct error *err)
{
	uint8_t root[HASH_BYTES];
	enum status status;

	if (record->size > snapshot->size) {
		*ret = false;
		return STATUS_OK;
	}
	status = evlog_root(snapshot, record->size, root, err);
	if (status)
		return status;
	*ret = memcmp(root, record->root, HASH_BYTES) == 0;
	return STATUS_OK;
}

const struct registry_generation *evidence_accepted(const struct registry *registry,
						    const struct head_record *record)
{
	const struct registry_generation *end;

	for (size_t i = 1; i < registry->generation_count; i++) {
		const struct registry_generation *generation = &registry->generations[i];

		if (generation->expected_size == record->size &&
		    memcmp(generation->expected_root, record->root, HASH_BYTES) == 0)
			return generation;
	}
	/* Of events that were kept nothing explains another root. */
	if (registry_find_generation(registry, record->generation, &end) && end &&
	    record->size >= end->from_seq && record->size <= end->expected_size)
		return end;
	return NULL;
}

/*
 * The record is of a generation that the log does not know: it began in an end that was lost, so
 * that who saw it may have seen what was accepted as lost later. Only they can know.
 */
static void find_possible_acceptance(const struct registry *registry, uint64_t generation,
				     struct store_loss *loss)
{
	const struct registry_generation *end;

	loss->accepted_seq = 0;
	if (registry_find_generation(registry, generation, &end))
		return;
	for (size_t i = 1; i < registry->generation_count; i++) {
		if (registry->generations[i].from_seq > loss->expected_size ||
		    registry->generations[i].expected_size < loss->expected_size)
			continue;
		loss->accepted_seq = registry->generations[i].from_seq;
		loss->accepted_size = registry->generations[i].expected_size;
	}
}

/* The evidence of the most events counts; between equals, the first one compared. */
static enum status compare_file(struct evidence *evidence, struct evidence_file *file,
				struct evlog_snapshot *snapshot, const struct registry *registry,
				struct error *err)
{
	struct store_loss *loss = &evidence->loss;
	enum status status;
	bool agrees;

	file->accepted = false;
	file->behind = file->missing || (file->usable && file->record.size < snapshot->size);
	if (!file->usable)
		return STATUS_OK;
	status = log_agrees(snapshot, &file->record, &agrees, err);
	if (status || agrees)
		return status;
	file->accepted = evidence_accepted(registry, &file->record) != NULL;
	if (file->accepted)
		return STATUS_OK;
	if (loss->evidence != EVIDENCE_NONE && file->record.size <= loss->expected_size)
		return STATUS_OK;
	loss->evidence = file->kind;
	loss->size = snapshot->size;
	loss->expected_size = file->record.size;
	memcpy(loss->expected_root, file->record.root, HASH_BYTES);
	loss->diverged = file->record.size <= snapshot->size;
	find_possible_acceptance(registry, file->record.generation, loss);
	return STATUS_OK;
}

/*
 * A head file of another log: either it was exchanged, or the log was. A checkpoint of this log at
 * this place tells that it is the head file.
 */
static void compare_foreign(struct evidence *evidence, const struct evlog_snapshot *snapshot,
			    const struct registry *registry)
{
	struct evidence_file *head = &evidence->head;

	if (!head->foreign || evidence->checkpoint.usable)
		return;
	head->accepted = evidence_accepted(registry, &head->record) != NULL;
	if (head->accepted)
		return;
	evidence->loss = (struct store_loss){ .evidence = EVIDENCE_HEAD,
					      .size = snapshot->size,
					      .expected_size = head->record.size,
					      .diverged = true,
					      .foreign = true };
	memcpy(evidence->loss.expected_root, head->record.root, HASH_BYTES);
}

enum status evidence_compare(struct evidence *evidence, struct evlog_snapshot *snapshot,
			     const struct registry *registry, struct error *err)
{
	enum status status;

	evidence->loss = (struct store_loss){ .evidence = EVIDENCE_NONE };
	status = compare_file(evidence, &evidence->head, snapshot, registry, err);
	if (!status)
		status = compare_file(evidence, &evidence->checkpoint, snapshot, registry, err);
	if (!status)
		compare_foreign(evidence, snapshot, registry);
	return status;
}

enum status evidence_loss_error(const struct evidence *evidence, struct error *err)
{
	const struct store_loss *loss = &evidence->loss;
	const struct evidence_file *file =
		loss->evidence == EVIDENCE_HEAD ? &evidence->head : &evidence->checkpoint;

	assert(loss->evidence != EVIDENCE_NONE);
	if (loss->foreign)
		(void)error_set(err, STATUS_CORRUPT,
				"this is another log than %s is of: one of them was exchanged",
				buf_str(&file->path));
	else if (loss->diverged)
		(void)error_set(err, STATUS_CORRUPT,
				"the log's first %" PRIu64
				" events are not the ones acknowledged before (evidence: %s)",
				loss->expected_size, buf_str(&file->path));
	else
		(void)error_set(err, STATUS_CORRUPT,
				"the log lost events %" PRIu64 "..%" PRIu64 " (evidence: %s)",
				loss->size + 1, loss->expected_size, buf_str(&file->path));
	if (loss->accepted_seq && loss->evidence == EVIDENCE_CHECKPOINT)
		return error_hint(err, STATUS_CORRUPT,
				  "event %" PRIu64 " accepted the loss of events up to %" PRIu64
				  ": if you last saw the log before that, remove the file; else "
				  "restore a newer copy",
				  loss->accepted_seq, loss->accepted_size);
	/* The root comes from the stored tree, which can be computed anew. */
	if (loss->diverged && !loss->foreign)
		return error_hint(err, STATUS_CORRUPT,
				  "provenv doctor, if it is the tree that is damaged; else "
				  "restore a newer copy, or accept the loss: provenv doctor "
				  "--accept-loss=%" PRIu64 " --confirm=NAME -m REASON",
				  loss->size);
	return error_hint(err, STATUS_CORRUPT,
			  "restore a newer copy, or accept the loss: provenv doctor "
			  "--accept-loss=%" PRIu64 " --confirm=NAME -m REASON",
			  loss->size);
}

/* --- moving on -------------------------------------------------------------------------------- */

/* The directory of the user's checkpoints may not be there yet; STORE always is. */
static enum status make_parent(const char *path, struct error *err)
{
	struct buf dir AUTO(buf_release) = BUF_INIT;
	const char *slash = strrchr(path, '/');
	enum status status;

	assert(slash);
	buf_append(&dir, path, (size_t)(slash - path));
	status = buf_status(&dir, err);
	return status ? status : fs_make_dirs(buf_str(&dir), 0700, err);
}

enum status evidence_advance(struct evidence_file *file, const struct head_record *record,
			     bool force, struct error *err)
{
	const char *path = buf_str(&file->path);
	struct error why = ERROR_INIT;
	enum status status;

	if (file->path.len == 0)
		return STATUS_OK;
	/* Tried first, so that the usual case looks for no directory. */
	status = headfile_advance(path, record, force, &why);
	if (status == STATUS_NOT_FOUND && file->kind == EVIDENCE_CHECKPOINT) {
		status = make_parent(path, &why);
		if (!status)
			status = headfile_advance(path, record, force, &why);
	}
	if (status && err)
		*err = why;
	return status;
}
