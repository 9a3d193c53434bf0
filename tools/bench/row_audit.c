/*
 * audit: everything about a log checked, against libsodium verifying the same signatures over the
 * same bytes in memory; with one thread each, and with one for each processor. audit-new: the same
 * for the events after a checkpoint.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "bench.h"
#include "log_maker.h"
#include "machine.h"
#include "report.h"
#include "store/audit.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/signer.h"
#include "store/store.h"

#include "base/banned.h"

enum {
	EVENTS_QUICK = 6 * 1000,
	EVENTS_FULL = 200 * 1000,
	NEW_EVENTS = 1000,
	GRAB = 64,        /* signatures that a thread takes at a time */
	THREADS_MAX = 16, /* of machine_threads() */
};

struct message {
	size_t at; /* in bytes: domain, then the event */
	size_t len;
	uint8_t signature[SIGNATURE_BYTES];
};

/* Every signature of a log, ready to verify. */
struct messages {
	struct buf bytes;
	struct message *items;
	size_t count;
	uint8_t public_key[PUBLIC_KEY_BYTES];
	uint8_t since_root[HASH_BYTES]; /* of the tree without the last NEW_EVENTS */
};

/* What the threads share. */
struct race {
	const struct messages *messages;
	atomic_size_t next;
	atomic_bool bad;
};

static void messages_release(struct messages *messages)
{
	buf_release(&messages->bytes);
	free(messages->items);
}

static void close_snapshot(struct evlog_snapshot **snapshot)
{
	evlog_snapshot_close(*snapshot);
}

static enum status load_message(struct messages *messages, struct evlog_snapshot *snapshot,
				uint64_t seq, struct error *err)
{
	struct message *message = &messages->items[messages->count++];
	struct slice leaf, event;
	const uint8_t *signature;
	enum status status = evlog_leaf(snapshot, seq, &leaf, err);

	if (status)
		return status;
	if (!leaf_split(leaf, &event, &signature))
		return error_set(err, STATUS_CORRUPT, "a leaf that is too short");
	message->at = messages->bytes.len;
	buf_append(&messages->bytes, EVENT_SIGNATURE_DOMAIN, sizeof(EVENT_SIGNATURE_DOMAIN));
	buf_append_slice(&messages->bytes, event);
	message->len = messages->bytes.len - message->at;
	memcpy(message->signature, signature, SIGNATURE_BYTES);
	return STATUS_OK;
}

static enum status load(const char *path, struct messages *ret, struct error *err)
{
	AUTO(writer_close) struct writer writer = WRITER_INIT;
	AUTO(close_snapshot) struct evlog_snapshot *snapshot = NULL;
	enum status status = writer_open(path, &writer, err);

	if (!status)
		status = evlog_snapshot_open(store_log(writer.store), &snapshot, err);
	if (status)
		return status;
	memcpy(ret->public_key, writer.signer.public_key, PUBLIC_KEY_BYTES);
	ret->items = calloc(snapshot->size, sizeof(*ret->items));
	if (!ret->items)
		return error_no_memory(err);
	for (uint64_t seq = 1; seq <= snapshot->size && !status; seq++)
		status = load_message(ret, snapshot, seq, err);
	if (!status)
		status = evlog_root(snapshot, snapshot->size - NEW_EVENTS, ret->since_root, err);
	return status ? status : buf_status(&ret->bytes, err);
}

/* --- the limit -------------------------------------------------------------------------------- */

static void *verify_some(void *context)
{
	struct race *race = context;
	const struct messages *messages = race->messages;
	size_t from;

	while ((from = atomic_fetch_add(&race->next, GRAB)) < messages->count) {
		for (size_t i = from; i < from + GRAB && i < messages->count; i++) {
			const struct message *message = &messages->items[i];

			if (crypto_sign_verify_detached(message->signature,
							messages->bytes.data + message->at,
							message->len, messages->public_key) != 0)
				atomic_store(&race->bad, true);
		}
	}
	return NULL;
}

static enum status verify_bare(const struct messages *messages, size_t from, unsigned count,
			       uint64_t *ret_ns, struct error *err)
{
	struct race race = { .messages = messages };
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;
	uint64_t begin = clock_monotonic_ns();

	atomic_init(&race.next, from);
	while (started + 1 < count &&
	       pthread_create(&threads[started], NULL, verify_some, &race) == 0)
		started++;
	(void)verify_some(&race);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	*ret_ns = clock_monotonic_ns() - begin;
	if (atomic_load(&race.bad))
		return error_set(err, STATUS_CORRUPT, "a signature does not verify");
	return STATUS_OK;
}

/* --- the rows --------------------------------------------------------------------------------- */

/* What one line measures. */
struct arm {
	const char *log_path;
	const struct messages *messages;
	uint64_t since;   /* events up to here were checked before; 0: none */
	unsigned threads; /* of both */
};

static enum status audit(const struct arm *arm, uint64_t *ret_ns, struct error *err)
{
	struct audit_options options = { .threads = arm->threads, .since_size = arm->since };
	struct audit_report report;
	uint64_t begin = clock_monotonic_ns();
	enum status status;

	if (arm->since)
		memcpy(options.since_root, arm->messages->since_root, HASH_BYTES);
	status = audit_log(arm->log_path, (struct evlog_lmdb_options){ .read_only = true },
			   &options, &report, err);
	*ret_ns = clock_monotonic_ns() - begin;
	if (!status &&
	    (!report.ok || report.signatures_checked != arm->messages->count - arm->since))
		status = error_set(err, STATUS_CORRUPT, "audit: %s", report.message);
	return status;
}

static enum status measure_arm(struct bench *bench, const struct row *row, const struct arm *arm,
			       struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%u thread%s",
						 arm->threads, arm->threads == 1 ? "" : "s");
	uint64_t checked = arm->messages->count - arm->since;
	enum status status = STATUS_OK;

	if (!measure)
		return STATUS_NO_MEMORY;
	for (unsigned run = 0; run < bench->runs && !status; run++) {
		uint64_t ours = 1, theirs = 1;

		status = audit(arm, &ours, err);
		if (!status)
			status = verify_bare(arm->messages, arm->since, arm->threads, &theirs, err);
		if (!status)
			measure_pair(measure, (double)checked * 1e9 / (double)ours,
				     (double)checked * 1e9 / (double)theirs);
	}
	return status;
}

static enum status run_audit(struct bench *bench, const struct row *row, bool only_new,
			     struct error *err)
{
	AUTO(messages_release) struct messages messages = { .count = 0 };
	AUTO(buf_release) struct buf path = BUF_INIT;
	unsigned all = machine_threads();
	struct arm arm = { .messages = &messages };
	enum status status = make_log(bench, bench->quick ? EVENTS_QUICK : EVENTS_FULL, &path, err);

	if (!status)
		status = load(buf_str(&path), &messages, err);
	if (!status && only_new)
		arm.since = messages.count - NEW_EVENTS;
	buf_append_str(&path, "/log");
	arm.log_path = buf_str(&path);
	/* One thread, and one for each processor. */
	for (arm.threads = 1; arm.threads <= all && !status; arm.threads += all > 1 ? all - 1 : 1)
		status = measure_arm(bench, row, &arm, err);
	return status;
}

enum status row_audit(struct bench *bench, const struct row *row, struct error *err)
{
	return run_audit(bench, row, false, err);
}

enum status row_audit_new(struct bench *bench, const struct row *row, struct error *err)
{
	return run_audit(bench, row, true, err);
}
