/*
 * One run of an audit; see audit_run.h.
 *
 * Invariants: all threads look at the events that the first snapshot shows; what is reported as the
 * root was computed from the leaves, or from stored nodes that were compared with them before; with
 * a checkpoint, what lies before it is believed only if it is in the checkpoint's tree.
 */
#include "store/audit_run.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/audit.h"
#include "store/audit_check.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"

#include "base/banned.h"

enum {
	PROGRESS_MS = 100,
};

struct run {
	const struct audit_options *options;
	struct audit_scope scope;
	struct audit_progress *progress;
	struct evlog *log;
	struct evlog_snapshot *snapshot;                     /* what it shows is what is audited */
	struct evlog_snapshot *snapshots[AUDIT_THREADS_MAX]; /* of the threads */
	struct event_decoder *decoder;
	struct registry registry;
	uint64_t registry_listed; /* events in the registry's index */
	uint64_t size;            /* of the log */
	uint64_t last;            /* event to be audited */
	bool looked;              /* events were looked at */
	struct merkle_frontier base;
	struct merkle_frontier tree; /* of the audited events, while nothing was found */
	struct audit_checks checks;
};

struct thread {
	struct run *run;
	struct crew *crew;
	unsigned number;
	pthread_t id;
};

/* The threads, and how the caller's learns that they are done. */
struct crew {
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned active;
	struct thread threads[AUDIT_THREADS_MAX];
};

static void run_release(struct run *run)
{
	for (size_t i = 0; i < AUDIT_THREADS_MAX; i++)
		evlog_snapshot_close(run->snapshots[i]);
	evlog_snapshot_close(run->snapshot);
	event_decoder_free(run->decoder);
	registry_release(&run->registry);
	free(run->checks.block_roots);
}

static void enter(struct run *run, enum audit_phase phase)
{
	atomic_store(&run->progress->reading, 0);
	atomic_store(&run->progress->phase, phase);
}

/*
 * After a finding, go on with another snapshot: a transaction of LMDB that has met a damaged page
 * answers nothing more. It may show more events, which do not matter then.
 */
static void renew_snapshot(struct run *run)
{
	struct evlog_snapshot *snapshot;

	if (!run->checks.found || evlog_snapshot_open(run->log, &snapshot, NULL))
		return;
	evlog_snapshot_close(run->snapshot);
	run->snapshot = snapshot;
}

/* --- before the events ------------------------------------------------------------------------ */

/* Open what shows the log. False when it cannot be looked at, which was noted. */
static bool open_log(struct run *run)
{
	struct error why = ERROR_INIT;

	if (evlog_snapshot_open(run->log, &run->snapshot, &why) ||
	    event_decoder_new(&run->decoder, &why)) {
		audit_find_error(&run->checks, 0, &why);
		return false;
	}
	run->size = run->snapshot->size;
	run->last = run->scope.upto < run->size ? run->scope.upto : run->size;
	return true;
}

/* Begin where the checkpoint ends, if the log still begins with what it was made of. */
static bool begin_at_checkpoint(struct run *run)
{
	uint64_t since = run->options->since_size;
	struct error why = ERROR_INIT;
	uint8_t root[HASH_BYTES];

	if (since > run->size) {
		audit_find(&run->checks, 0,
			   "the log has only %" PRIu64 " events, the checkpoint %" PRIu64,
			   run->size, since);
		return false;
	}
	if (merkle_frontier_load(evlog_merkle_source(run->snapshot), since, &run->base, &why)) {
		audit_find_error(&run->checks, 0, &why);
		return false;
	}
	if (since == 0)
		return true;
	merkle_frontier_root(&run->base, root);
	if (memcmp(root, run->options->since_root, HASH_BYTES) == 0)
		return true;
	audit_find(&run->checks, 0,
		   "the log is not consistent with the checkpoint of %" PRIu64 " events", since);
	return false;
}

/* Is the leaf of event @seq in the tree that the checkpoint was made of? */
static bool in_checkpoint(struct run *run, uint64_t seq, const uint8_t leaf_hash[HASH_BYTES])
{
	uint64_t since = run->options->since_size;
	struct merkle_path path;
	struct error why = ERROR_INIT;

	if (merkle_inclusion_proof(evlog_merkle_source(run->snapshot), seq - 1, since, &path,
				   &why)) {
		audit_find_error(&run->checks, seq, &why);
		return false;
	}
	if (merkle_verify_inclusion(leaf_hash, seq - 1, since, &path, run->options->since_root))
		return true;
	audit_find(&run->checks, seq,
		   "it is not in the tree of the checkpoint of %" PRIu64 " events", since);
	return false;
}

/*
 * Read event @seq outside of the workers. NEWER is no failure: then @ret->event.seq is 0 when not
 * even the envelope can be read.
 */
static enum status read_event(struct run *run, uint64_t seq, struct decoded_event *ret,
			      uint8_t ret_hash[HASH_BYTES], struct error *err)
{
	const uint8_t *signature;
	struct slice leaf, bytes;
	enum status status;

	atomic_store(&run->progress->reading, seq);
	ret->event.seq = 0;
	ret->event.payload.type = EVENT_UNKNOWN;
	status = evlog_leaf(run->snapshot, seq, &leaf, err);
	if (status)
		return status;
	if (!leaf_split(leaf, &bytes, &signature))
		return error_set(err, STATUS_CORRUPT, "it is too short or too long for an event");
	merkle_leaf_hash(leaf, ret_hash);
	return event_decode(run->decoder, bytes, ret, err);
}

/*
 * Take one registry event in. Its signature, and whether it stands in its place, is for the workers
 * to check as for any other event.
 */
static bool take_registry_event(struct run *run, uint64_t seq)
{
	uint8_t leaf_hash[HASH_BYTES];
	struct decoded_event decoded;
	struct error why = ERROR_INIT;
	enum status status = read_event(run, seq, &decoded, leaf_hash, &why);

	if (status == STATUS_NEWER) {
		run->checks.newer = true;
		if (run->checks.newer_registry_seq == 0)
			run->checks.newer_registry_seq = seq;
		return true;
	}
	if (!status && decoded.event.seq != seq)
		status = error_set(&why, STATUS_CORRUPT, "it says it is event %" PRIu64,
				   decoded.event.seq);
	if (!status)
		status = registry_apply(&run->registry, &decoded.event, leaf_hash, &why);
	if (status) {
		audit_find_error(&run->checks, seq, &why);
		return false;
	}
	return seq > run->options->since_size || in_checkpoint(run, seq, leaf_hash);
}

/* Build the key registry, as far as it is good: what comes after its first fault cannot matter. */
static void load_registry(struct run *run)
{
	struct error why = ERROR_INIT;
	uint64_t seq = 0;
	enum status status;

	enter(run, AUDIT_REGISTRY);
	for (;;) {
		status = evlog_registry_next(run->snapshot, seq, &seq, &why);
		if (status == STATUS_NOT_FOUND || (!status && seq > run->last))
			return;
		if (status) {
			audit_find_error(&run->checks, 0, &why);
			return;
		}
		run->registry_listed++;
		if (!take_registry_event(run, seq))
			return;
	}
}

/* The event that the first one to be checked is linked to is believed as part of the checkpoint. */
static void check_predecessor(struct run *run)
{
	uint64_t since = run->options->since_size;
	struct error why = ERROR_INIT;
	uint8_t leaf_hash[HASH_BYTES];
	struct slice leaf;

	if (since == 0 || since > run->last)
		return;
	atomic_store(&run->progress->reading, since);
	if (evlog_leaf(run->snapshot, since, &leaf, &why)) {
		audit_find_error(&run->checks, since, &why);
		return;
	}
	merkle_leaf_hash(leaf, leaf_hash);
	(void)in_checkpoint(run, since, leaf_hash);
}

/* --- the events ------------------------------------------------------------------------------- */

static unsigned thread_count(const struct run *run, uint64_t blocks)
{
	unsigned wanted = run->scope.probe ? 1 : run->options->threads;
	cpu_set_t cpus;

	if (wanted == 0) {
		CPU_ZERO(&cpus);
		wanted = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
	}
	if (wanted > AUDIT_THREADS_MAX)
		wanted = AUDIT_THREADS_MAX;
	if (wanted > blocks)
		wanted = (unsigned)blocks;
	return wanted ? wanted : 1;
}

/* Room for the roots of the complete blocks, and a snapshot for each thread. */
static enum status equip(struct run *run, uint64_t blocks, unsigned threads, struct error *err)
{
	run->checks.block_roots = calloc(blocks, sizeof(*run->checks.block_roots));
	if (!run->checks.block_roots)
		return error_no_memory(err);
	for (unsigned i = 0; i < threads; i++) {
		enum status status = evlog_snapshot_open(run->log, &run->snapshots[i], err);

		if (status)
			return status;
		if (run->snapshots[i]->size < run->size)
			return error_set(err, STATUS_CORRUPT,
					 "the log went from %" PRIu64 " events back to %" PRIu64,
					 run->size, run->snapshots[i]->size);
	}
	return STATUS_OK;
}

static void check_blocks(struct run *run, unsigned number)
{
	audit_check_blocks(&run->checks, run->snapshots[number], &run->progress->position[number]);
}

static void *thread_main(void *argument)
{
	struct thread *thread = argument;
	struct crew *crew = thread->crew;

	check_blocks(thread->run, thread->number);
	(void)pthread_mutex_lock(&crew->lock);
	if (--crew->active == 0)
		(void)pthread_cond_signal(&crew->done);
	(void)pthread_mutex_unlock(&crew->lock);
	return NULL;
}

static void report_progress(const struct run *run)
{
	if (run->options->progress)
		run->options->progress(run->options->context, atomic_load(&run->progress->done),
				       atomic_load(&run->progress->total));
}

/* Wait for the threads, calling back in between without holding the lock. */
static void wait_for_crew(struct run *run, struct crew *crew)
{
	struct timespec until;

	(void)pthread_mutex_lock(&crew->lock);
	while (crew->active > 0) {
		if (!run->options->progress) {
			(void)pthread_cond_wait(&crew->done, &crew->lock);
			continue;
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PROGRESS_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&crew->done, &crew->lock, &until);
		(void)pthread_mutex_unlock(&crew->lock);
		report_progress(run);
		(void)pthread_mutex_lock(&crew->lock);
	}
	(void)pthread_mutex_unlock(&crew->lock);
}

/*
 * Start the threads with all signals blocked, so that those of the process stay with those who
 * asked for them. Fewer than asked for will do.
 */
static unsigned start_crew(struct run *run, struct crew *crew, unsigned threads)
{
	sigset_t all, before;
	unsigned started = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	crew->active = threads;
	for (; started < threads; started++) {
		struct thread *thread = &crew->threads[started];

		*thread = (struct thread){ .run = run, .crew = crew, .number = started };
		if (pthread_create(&thread->id, NULL, thread_main, thread))
			break;
	}
	(void)pthread_mutex_lock(&crew->lock);
	crew->active -= threads - started;
	(void)pthread_mutex_unlock(&crew->lock);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static void work(struct run *run, unsigned threads)
{
	struct crew crew = { .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_condattr_t attributes;
	unsigned started;

	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&crew.done, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	started = start_crew(run, &crew, threads);
	if (started == 0)
		check_blocks(run, 0);
	wait_for_crew(run, &crew);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(crew.threads[i].id, NULL);
	(void)pthread_cond_destroy(&crew.done);
}

/* Check them all, unless they cannot be looked at, which is noted. */
static void check_events(struct run *run)
{
	struct audit_checks *checks = &run->checks;
	struct error why = ERROR_INIT;
	uint64_t blocks;
	unsigned threads;

	checks->registry = &run->registry;
	checks->base = &run->base;
	checks->done = &run->progress->done;
	checks->first = run->options->since_size + 1;
	if (run->scope.probe)
		checks->first =
			(run->scope.probe - 1) / AUDIT_BLOCK_EVENTS * AUDIT_BLOCK_EVENTS + 1;
	checks->last = run->last;
	blocks = audit_block_count(checks->first, checks->last);
	run->looked = blocks == 0;
	if (blocks == 0)
		return;
	atomic_store(&run->progress->total, checks->last - checks->first + 1);
	threads = thread_count(run, blocks);
	if (equip(run, blocks, threads, &why)) {
		audit_find_error(checks, 0, &why);
		return;
	}
	enter(run, AUDIT_EVENTS);
	work(run, threads);
	run->looked = true;
}

/* --- after the events ------------------------------------------------------------------------- */

/* The nodes above a block, which stand in the row of its last event. */
static bool check_upper_row(struct run *run, struct merkle_frontier *upper, uint64_t block,
			    uint64_t seq)
{
	uint8_t row[MERKLE_ROW_BYTES_MAX];
	struct error why = ERROR_INIT;
	struct slice stored;
	unsigned levels = merkle_frontier_append(upper, run->checks.block_roots[block], row);

	atomic_store(&run->progress->reading, seq);
	if (evlog_row(run->snapshot, seq, &stored, &why)) {
		audit_find_error(&run->checks, seq, &why);
		return false;
	}
	if (memcmp(stored.data + (size_t)AUDIT_BLOCK_LEVEL * HASH_BYTES, row,
		   (size_t)levels * HASH_BYTES) == 0)
		return true;
	audit_find(&run->checks, seq, "the stored tree nodes do not match");
	return false;
}

/* The tree above the blocks, as far as these are good; and with it the tree of all that was
 * audited. */
static void check_upper_tree(struct run *run)
{
	const struct audit_checks *checks = &run->checks;
	uint64_t block = run->base.size >> AUDIT_BLOCK_LEVEL;
	uint64_t first_block = block;
	struct merkle_frontier upper = { .size = block };
	const struct merkle_frontier *lower =
		checks->first > checks->last ? &run->base : &checks->tail;

	memcpy(upper.node, run->base.node[AUDIT_BLOCK_LEVEL],
	       (MERKLE_LEVELS_MAX - AUDIT_BLOCK_LEVEL) * sizeof(upper.node[0]));
	if (run->base.size > run->last)
		return;
	for (; block < run->last >> AUDIT_BLOCK_LEVEL; block++) {
		uint64_t seq = (block + 1) << AUDIT_BLOCK_LEVEL;

		if (seq >= checks->least_bad ||
		    !check_upper_row(run, &upper, block - first_block, seq))
			return;
	}
	run->tree.size = run->last;
	memcpy(run->tree.node, lower->node, AUDIT_BLOCK_LEVEL * sizeof(upper.node[0]));
	memcpy(run->tree.node[AUDIT_BLOCK_LEVEL], upper.node,
	       (MERKLE_LEVELS_MAX - AUDIT_BLOCK_LEVEL) * sizeof(upper.node[0]));
}

static bool check_count(struct run *run, const char *table, uint64_t rows, uint64_t due)
{
	if (rows == due)
		return true;
	audit_find(&run->checks, 0, "the %s holds %" PRIu64 " entries instead of %" PRIu64, table,
		   rows, due);
	return false;
}

/* That nothing is left over in any table: what has to be there was looked up event by event. */
static void check_counts(struct run *run)
{
	struct evlog_counts counts;
	struct error why = ERROR_INIT;

	atomic_store(&run->progress->reading, 0);
	if (evlog_counts(run->snapshot, &counts, &why)) {
		audit_find_error(&run->checks, 0, &why);
		return;
	}
	(void)(check_count(run, "table of events", counts.leaves, run->size) &&
	       check_count(run, "table of tree nodes", counts.rows, run->size) &&
	       check_count(run, "registry index", counts.registry, run->registry_listed) &&
	       /* How many commands lie before a checkpoint is not known. */
	       (run->options->since_size > 0 ||
		check_count(run, "command index", counts.commands, run->checks.commands)));
}

/* The end of the last complete command among the events up to @seq, which were found good. */
static enum status command_end(struct run *run, uint64_t seq, uint64_t *ret, struct error *err)
{
	uint8_t leaf_hash[HASH_BYTES];
	struct decoded_event decoded = { .type_name.len = 0 };
	enum status status;

	if (seq == 0) {
		*ret = 0;
		return STATUS_OK;
	}
	status = read_event(run, seq, &decoded, leaf_hash, err);
	if (status && (status != STATUS_NEWER || decoded.event.seq == 0))
		return status;
	if (decoded.event.part == decoded.event.parts)
		*ret = seq;
	else
		*ret = seq > decoded.event.part ? seq - decoded.event.part : 0;
	return STATUS_OK;
}

static void check_last_command(struct run *run)
{
	struct error why = ERROR_INIT;
	uint64_t end = 0;

	if (command_end(run, run->last, &end, &why))
		audit_find_error(&run->checks, run->last, &why);
	else if (end < run->last)
		audit_find(&run->checks, end + 1,
			   "its command ends in the middle: event %" PRIu64
			   " is the last one, but not its last part",
			   run->last);
}

static void finish(struct run *run)
{
	enter(run, AUDIT_FINISHING);
	renew_snapshot(run);
	check_upper_tree(run);
	if (run->scope.events_only || run->checks.found)
		return;
	check_counts(run);
	if (!run->checks.found)
		check_last_command(run);
}

/* --- the report ------------------------------------------------------------------------------- */

void audit_report_broken(struct audit_report *ret, const char *message)
{
	*ret = (struct audit_report){ .ok = false };
	merkle_empty_root(ret->root);
	(void)snprintf(ret->message, sizeof(ret->message), "%s", message);
}

/* How far the log is good, and the root there: by then compared, node by node, with the leaves. */
static enum status report_valid(struct run *run, struct audit_report *report, struct error *err)
{
	uint64_t good = report->first_bad ? report->first_bad - 1 : run->last;
	enum status status;

	renew_snapshot(run);
	status = command_end(run, good, &report->valid_size, err);
	if (!status && report->valid_size == run->tree.size)
		merkle_frontier_root(&run->tree, report->root);
	else if (!status)
		status = evlog_root(run->snapshot, report->valid_size, report->root, err);
	if (status != STATUS_CORRUPT && status != STATUS_NEWER)
		return status;
	/* Possible only before a checkpoint, where nothing was looked at in full. */
	report->valid_size = 0;
	merkle_empty_root(report->root);
	return STATUS_OK;
}

static enum status make_report(struct run *run, struct audit_report *ret, struct error *err)
{
	const struct audit_checks *checks = &run->checks;
	struct audit_report report;
	enum status status = STATUS_OK;

	if (checks->failure.status) {
		if (err)
			*err = checks->failure;
		return checks->failure.status;
	}
	audit_report_broken(&report, checks->finding.message);
	report.ok = !checks->found;
	report.newer = checks->newer;
	report.events = run->size;
	report.signatures_checked = checks->signatures;
	report.first_bad = checks->finding.seq;
	if (run->looked)
		status = report_valid(run, &report, err);
	if (status)
		return status;
	*ret = report;
	return STATUS_OK;
}

enum status audit_run(struct evlog *log, const struct audit_options *options,
		      struct audit_scope scope, struct audit_progress *progress,
		      struct audit_report *ret, struct error *err)
{
	struct run run AUTO(run_release) = {
		.options = options,
		.scope = scope,
		.progress = progress,
		.log = log,
		.registry = REGISTRY_INIT,
		.checks = { .least_bad = UINT64_MAX, .lock = PTHREAD_MUTEX_INITIALIZER },
	};

	enter(&run, AUDIT_OPENING);
	if (open_log(&run) && begin_at_checkpoint(&run)) {
		load_registry(&run);
		renew_snapshot(&run);
		check_predecessor(&run);
		check_events(&run);
		if (run.looked && !scope.probe)
			finish(&run);
	}
	report_progress(&run);
	return make_report(&run, ret, err);
}
