/*
 * Comparing the head file with the log; see head.h. Must not write to it.
 */
#include "replay/head.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "replay/source.h"
#include "store/evidence.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/registry.h"

#include "base/banned.h"

void head_look(const struct source *source, struct head_evidence *ret)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct error why = ERROR_INIT;
	enum status status;

	*ret = (struct head_evidence){ .usable = false };
	if (!source->store.len) {
		(void)snprintf(ret->note, sizeof(ret->note),
			       "nothing was compared: only a log was given");
		return;
	}
	fs_join(&path, buf_str(&source->store), "head");
	status = headfile_read(buf_str(&path), &ret->record, &why);
	ret->usable = status == STATUS_OK;
	if (ret->usable)
		(void)snprintf(ret->note, sizeof(ret->note),
			       "only the head file beside the log was compared");
	else if (status == STATUS_NOT_FOUND)
		(void)snprintf(ret->note, sizeof(ret->note),
			       "nothing was compared: there is no head file");
	else
		(void)snprintf(ret->note, sizeof(ret->note), "nothing was compared: %s", why.text);
}

void head_compare_size(struct head_evidence *head, uint64_t events)
{
	if (!head->usable || head->record.size <= events)
		return;
	head->lost = true;
	(void)snprintf(head->note, sizeof(head->note),
		       "the head file speaks of %" PRIu64 " events, the log holds %" PRIu64,
		       head->record.size, events);
}

/* Does the log say itself that an admin accepted this loss? */
static enum status find_acceptance(const struct head_evidence *head,
				   struct evlog_snapshot *snapshot, bool *ret, struct error *err)
{
	AUTO(registry_release) struct registry registry = REGISTRY_INIT;
	enum status status = registry_load(snapshot, &registry, err);

	if (!status)
		*ret = evidence_accepted(&registry, &head->record) != NULL;
	return status;
}

enum status head_compare(struct head_evidence *head, const struct source *source, struct error *err)
{
	struct evlog_snapshot *snapshot = source->snapshot;
	uint8_t first[HASH_BYTES], root[HASH_BYTES];
	bool agrees = false, accepted = false;
	enum status status;

	if (!head->usable || snapshot->size == 0)
		return STATUS_OK;
	status = evlog_leaf_hash(snapshot, 1, first, err);
	if (status)
		return status;
	if (memcmp(first, head->record.log_id, LOG_ID_BYTES) != 0) {
		head->usable = false;
		(void)snprintf(head->note, sizeof(head->note),
			       "nothing was compared: the head file is of another log");
		return STATUS_OK;
	}
	if (head->record.size <= snapshot->size) {
		status = evlog_root(snapshot, head->record.size, root, err);
		agrees = memcmp(root, head->record.root, HASH_BYTES) == 0;
	}
	if (!status && !agrees)
		status = find_acceptance(head, snapshot, &accepted, err);
	if (status || agrees || accepted)
		return status;
	head_compare_size(head, snapshot->size);
	if (head->lost)
		return STATUS_OK;
	head->lost = true;
	(void)snprintf(head->note, sizeof(head->note),
		       "the log's first %" PRIu64 " events are not the ones that the head file "
		       "speaks of",
		       head->record.size);
	return STATUS_OK;
}
