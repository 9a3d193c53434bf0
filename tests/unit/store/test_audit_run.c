/*
 * What an audit asks of a log as a whole: the tree, the indexes, checkpoints, many threads, and
 * logs that cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "store/audit.h"
#include "store/audit_check.h"
#include "store/audit_run.h"
#include "store/evlog.h"
#include "store/merkle.h"

#include "base/banned.h"

enum {
	EVENTS = 2 * AUDIT_BLOCK_EVENTS + 52, /* two blocks and a bit */
	THREADS = 4,
};

/* One right log for all tests, in memory; they lie about it as they like. */
struct fixture {
	struct log_fixture log;
	struct evlog *memory;
};

static int group_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	log_fixture_init(&fixture->log);
	while (fixture->log.count < EVENTS - 17) {
		log_fixture_fill(&fixture->log, 6);
		log_fixture_group(&fixture->log, 3);
	}
	log_fixture_fill(&fixture->log, EVENTS - fixture->log.count);
	fixture->memory = log_fixture_memory(&fixture->log);
	*state = fixture;
	return 0;
}

static int group_teardown(void **state)
{
	struct fixture *fixture = *state;

	evlog_close(fixture->memory);
	log_fixture_release(&fixture->log);
	free(fixture);
	return 0;
}

/* The root of the first @size leaves, by no stored node. */
static void root_of(const struct log_fixture *log, uint64_t size, uint8_t ret[HASH_BYTES])
{
	struct merkle_frontier frontier = { .size = 0 };

	for (uint64_t i = 0; i < size; i++)
		(void)merkle_frontier_append(&frontier, log->events[i].leaf_hash, NULL);
	merkle_frontier_root(&frontier, ret);
}

static struct audit_report audit_as(struct evlog *log, const struct log_lies *lies,
				    struct audit_options options)
{
	struct evlog *lying = log_lying(log, lies);
	struct audit_report report;
	struct error err = ERROR_INIT;

	if (audit_evlog(lying, &options, &report, &err))
		fail_msg("%s", err.text);
	evlog_close(lying);
	return report;
}

static struct audit_report audit(void **state, const struct log_lies *lies)
{
	const struct fixture *fixture = *state;

	return audit_as(fixture->memory, lies, (struct audit_options){ .threads = THREADS });
}

static void expect_root(void **state, const struct audit_report *report, uint64_t size)
{
	const struct fixture *fixture = *state;
	uint8_t root[HASH_BYTES];

	root_of(&fixture->log, size, root);
	assert_memory_equal(report->root, root, HASH_BYTES);
}

static void expect_good(void **state, const struct audit_report *report)
{
	assert_string_equal(report->message, "");
	assert_true(report->ok);
	assert_false(report->newer);
	assert_int_equal(report->events, EVENTS);
	assert_int_equal(report->valid_size, EVENTS);
	assert_int_equal(report->first_bad, 0);
	expect_root(state, report, EVENTS);
}

/* @bad is the first bad event, or 0; @valid is where the command before it ends. */
static void expect_bad(void **state, const struct audit_report *report, uint64_t bad,
		       uint64_t valid, const char *message)
{
	assert_string_equal(report->message, message);
	assert_false(report->ok);
	assert_int_equal(report->events, EVENTS);
	assert_int_equal(report->first_bad, bad);
	assert_int_equal(report->valid_size, valid);
	expect_root(state, report, valid);
}

/* The last event of a command among the first @seq. */
static uint64_t command_end(void **state, uint64_t seq)
{
	const struct fixture *fixture = *state;

	while (seq < EVENTS && seq > 0 && !fixture->log.events[seq].starts_command)
		seq--;
	return seq;
}

/* --- right logs ------------------------------------------------------------------------------- */

static void test_right(void **state)
{
	static const struct log_lies none;
	const struct fixture *fixture = *state;

	static const unsigned threads[] = { 0, 1, 1000 };

	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		struct audit_options options = { .threads = threads[i] };
		struct audit_report report = audit_as(fixture->memory, &none, options);

		expect_good(state, &report);
		assert_int_equal(report.signatures_checked, EVENTS);
	}
}

/* Sizes about the edges of blocks and of the tree. */
static void test_right_sizes(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 1023, 1024, 1025, 2048, 2049 };
	static const struct log_lies none;
	struct log_fixture log;

	(void)state;
	log_fixture_init(&log);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct audit_report report;
		uint8_t root[HASH_BYTES];
		struct evlog *memory;

		log_fixture_fill(&log, sizes[i] - log.count);
		memory = log_fixture_memory(&log);
		report = audit_as(memory, &none, (struct audit_options){ .threads = 2 });
		assert_string_equal(report.message, "");
		assert_int_equal(report.valid_size, sizes[i]);
		root_of(&log, sizes[i], root);
		assert_memory_equal(report.root, root, HASH_BYTES);
		evlog_close(memory);
	}
	log_fixture_release(&log);
}

static void test_empty(void **state)
{
	static const struct log_lies none;
	struct audit_report report;
	uint8_t root[HASH_BYTES];
	struct evlog *memory;

	(void)state;
	assert_int_equal(evlog_memory_open(&memory, NULL), STATUS_OK);
	report = audit_as(memory, &none, (struct audit_options){ .threads = 2 });
	assert_true(report.ok);
	assert_int_equal(report.events, 0);
	merkle_empty_root(root);
	assert_memory_equal(report.root, root, HASH_BYTES);
	evlog_close(memory);
}

/* --- the tree --------------------------------------------------------------------------------- */

static void test_each_level_of_the_tree(void **state)
{
	static const struct {
		uint64_t seq;
		unsigned level;
	} nodes[] = {
		{ 1, 0 },     { 2, 0 },    { 2, 1 },     { 1000, 3 },  { 1024, 0 },   { 1024, 9 },
		{ 1024, 10 }, { 1025, 0 }, { 2048, 10 }, { 2048, 11 }, { EVENTS, 0 }, { EVENTS, 2 },
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		uint64_t seq = nodes[i].seq;
		struct log_lies lies = { .row_changed = seq,
					 .row_byte = (size_t)nodes[i].level * HASH_BYTES + 7 };
		struct audit_report report;
		char message[80];

		assert_true(nodes[i].level < merkle_row_hashes(seq - 1));
		report = audit(state, &lies);
		(void)snprintf(message, sizeof(message),
			       "event %" PRIu64 ": the stored tree nodes do not match", seq);
		expect_bad(state, &report, seq, command_end(state, seq - 1), message);
	}
}

static void test_missing_row(void **state)
{
	struct log_lies lies = { .row_missing = 1500 };
	struct audit_report report = audit(state, &lies);

	expect_bad(state, &report, 1500, command_end(state, 1499),
		   "event 1500: the row is missing");
}

/* --- leaves and indexes ----------------------------------------------------------------------- */

static void test_missing_leaf(void **state)
{
	static const uint64_t seqs[] = { 1, 1024, 1025, EVENTS };

	for (size_t i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		struct log_lies lies = { .leaf_missing = seqs[i] };
		struct audit_report report = audit(state, &lies);
		char message[80];

		(void)snprintf(message, sizeof(message), "event %" PRIu64 ": the leaf is missing",
			       seqs[i]);
		expect_bad(state, &report, seqs[i], command_end(state, seqs[i] - 1), message);
	}
}

static void test_command_index(void **state)
{
	struct log_lies hidden = { .command_hidden = 1025 };
	struct log_lies moved = { .command_moved = 2 };
	struct audit_report report;

	while (!((struct fixture *)*state)->log.events[hidden.command_hidden - 1].starts_command)
		hidden.command_hidden++;
	report = audit(state, &hidden);
	assert_non_null(strstr(report.message, ": its command is not in the command index"));
	assert_int_equal(report.first_bad, hidden.command_hidden);
	report = audit(state, &moved);
	expect_bad(state, &report, 2, 1,
		   "event 2: the command index says that its command begins at event 3");
}

static void test_registry_index(void **state)
{
	struct log_lies hidden = { .registry_hidden = 1 };
	struct log_lies added = { .registry_added = 1030 };
	struct audit_report report = audit(state, &hidden);

	expect_bad(state, &report, 1, 0, "event 1: it is not in the registry index");
	report = audit(state, &added);
	expect_bad(state, &report, 1030, command_end(state, 1029),
		   "event 1030: category.defined is listed as an event of the key registry");
}

/* The events are all good: what is wrong belongs to none of them. */
static void test_counts(void **state)
{
	struct log_lies leaves = { .more.leaves = 1 };
	struct log_lies rows = { .more.rows = 2 };
	struct log_lies commands = { .more.commands = 3 };
	struct log_lies registry = { .more.registry = 4 };
	struct audit_report report = audit(state, &leaves);
	char message[100];

	(void)snprintf(message, sizeof(message),
		       "the table of events holds %d entries instead of %d", EVENTS + 1, EVENTS);
	expect_bad(state, &report, 0, EVENTS, message);
	report = audit(state, &rows);
	(void)snprintf(message, sizeof(message),
		       "the table of tree nodes holds %d entries instead of %d", EVENTS + 2,
		       EVENTS);
	expect_bad(state, &report, 0, EVENTS, message);
	report = audit(state, &commands);
	assert_non_null(strstr(report.message, "the command index holds "));
	expect_bad(state, &report, 0, EVENTS, report.message);
	report = audit(state, &registry);
	expect_bad(state, &report, 0, EVENTS, "the registry index holds 5 entries instead of 1");
}

static void test_incomplete_last_command(void **state)
{
	static const struct log_lies none;
	struct audit_report report;
	struct log_fixture log;
	struct evlog *memory;
	uint8_t root[HASH_BYTES];

	(void)state;
	log_fixture_init(&log);
	log_fixture_fill(&log, 20);
	log_fixture_group(&log, 6);
	log_fixture_cut(&log, 25);
	memory = log_fixture_memory(&log);
	report = audit_as(memory, &none, (struct audit_options){ .threads = 1 });
	assert_false(report.ok);
	assert_int_equal(report.events, 25);
	assert_int_equal(report.first_bad, 22);
	assert_int_equal(report.valid_size, 21);
	assert_string_equal(report.message,
			    "event 22: its command ends in the middle: event 25 is the last one, "
			    "but not its last part");
	root_of(&log, 21, root);
	assert_memory_equal(report.root, root, HASH_BYTES);
	evlog_close(memory);
	log_fixture_release(&log);
}

/* Whoever comes first, the least is named. */
static void test_least_finding(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct log_lies lies = { .row_changed = 1027,
					 .leaf_missing = 1900,
					 .row_missing = 2050,
					 .command_moved = EVENTS - 1,
					 .more.rows = 1 };
		struct audit_report report = audit(state, &lies);

		expect_bad(state, &report, 1027, command_end(state, 1026),
			   "event 1027: the stored tree nodes do not match");
	}
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static struct audit_report audit_since(void **state, const struct log_lies *lies, uint64_t since)
{
	const struct fixture *fixture = *state;
	struct audit_options options = { .threads = THREADS, .since_size = since };

	root_of(&fixture->log, since, options.since_root);
	return audit_as(fixture->memory, lies, options);
}

static void test_since(void **state)
{
	static const uint64_t sizes[] = { 1, 1000, 1024, 1025, 2048, EVENTS - 1, EVENTS };
	static const struct log_lies none;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct audit_report report = audit_since(state, &none, sizes[i]);

		expect_good(state, &report);
		assert_int_equal(report.signatures_checked, EVENTS - sizes[i]);
	}
}

/* The same faults are found behind a checkpoint, whichever way its tree is cut. */
static void test_faults_since(void **state)
{
	struct log_lies lies = { .row_changed = 2048, .row_byte = (size_t)11 * HASH_BYTES };
	struct audit_report report = audit_since(state, &lies, 1001);

	expect_bad(state, &report, 2048, command_end(state, 2047),
		   "event 2048: the stored tree nodes do not match");
	lies = (struct log_lies){ .leaf_missing = 1002 };
	report = audit_since(state, &lies, 1001);
	expect_bad(state, &report, 1002, command_end(state, 1001),
		   "event 1002: the leaf is missing");
	/* What lies before is not looked at. */
	lies = (struct log_lies){ .leaf_missing = 500, .row_changed = 501 };
	report = audit_since(state, &lies, 1001);
	assert_true(report.ok);
}

static void test_checkpoint_of_another_log(void **state)
{
	const struct fixture *fixture = *state;
	static const struct log_lies none;
	struct audit_options options = { .since_size = 1500 };
	struct audit_report report;

	root_of(&fixture->log, 1500, options.since_root);
	options.since_root[HASH_BYTES - 1] ^= 1;
	report = audit_as(fixture->memory, &none, options);
	assert_false(report.ok);
	assert_int_equal(report.first_bad, 0);
	assert_int_equal(report.valid_size, 0);
	assert_int_equal(report.events, EVENTS);
	assert_int_equal(report.signatures_checked, 0);
	assert_string_equal(report.message,
			    "the log is not consistent with the checkpoint of 1500 events");
}

static void test_checkpoint_ahead(void **state)
{
	const struct fixture *fixture = *state;
	static const struct log_lies none;
	struct audit_options options = { .since_size = EVENTS + 1 };
	struct audit_report report = audit_as(fixture->memory, &none, options);
	char message[80];

	assert_false(report.ok);
	assert_int_equal(report.first_bad, 0);
	(void)snprintf(message, sizeof(message), "the log has only %d events, the checkpoint %d",
		       EVENTS, EVENTS + 1);
	assert_string_equal(report.message, message);
}

/*
 * The operator's key is believed because event 1 is in the checkpoint's tree. Another event 1, with
 * its own leaf hash stored beside it, is not, although nothing else of the tree was touched.
 */
static void test_registry_before_checkpoint(void **state)
{
	struct log_lies lies = { .row_changed = 2 }; /* sibling of event 1 on its way up */
	struct audit_report report = audit_since(state, &lies, 1001);

	assert_false(report.ok);
	assert_int_equal(report.first_bad, 1);
	assert_int_equal(report.valid_size, 0);
	assert_string_equal(report.message,
			    "event 1: it is not in the tree of the checkpoint of 1001 events");
}

static void test_predecessor_before_checkpoint(void **state)
{
	struct log_lies lies = { .leaf_missing = 1000 };
	struct audit_report report = audit_since(state, &lies, 1000);

	assert_false(report.ok);
	assert_int_equal(report.first_bad, 1000);
	assert_string_equal(report.message, "event 1000: the leaf is missing");
	/* Its neighbour in the tree, without which it cannot be led back to the checkpoint. */
	lies = (struct log_lies){ .row_changed = 999 };
	report = audit_since(state, &lies, 1000);
	assert_false(report.ok);
	assert_int_equal(report.first_bad, 1000);
	assert_string_equal(report.message,
			    "event 1000: it is not in the tree of the checkpoint of 1000 events");
}

/* --- parts of a log --------------------------------------------------------------------------- */

static struct audit_report run(void **state, const struct log_lies *lies, struct audit_scope scope)
{
	const struct fixture *fixture = *state;
	struct audit_options options = { .threads = THREADS };
	struct audit_progress progress = { .done = 0 };
	struct evlog *lying = log_lying(fixture->memory, lies);
	struct audit_report report;

	assert_int_equal(audit_run(lying, &options, scope, &progress, &report, NULL), STATUS_OK);
	for (size_t i = 0; i < AUDIT_THREADS_MAX; i++)
		assert_int_equal(atomic_load(&progress.position[i]), 0);
	evlog_close(lying);
	return report;
}

static void test_upto(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 9, 1024, 1025, 2048 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* All that is wrong lies behind. */
		struct log_lies lies = { .leaf_missing = sizes[i] + 1, .more.rows = 1 };
		struct audit_report report =
			run(state, &lies,
			    (struct audit_scope){ .upto = sizes[i], .events_only = true });

		assert_string_equal(report.message, "");
		assert_true(report.ok);
		assert_int_equal(report.events, EVENTS);
		assert_int_equal(report.valid_size, command_end(state, sizes[i]));
		expect_root(state, &report, report.valid_size);
	}
}

/* --- progress and failures -------------------------------------------------------------------- */

struct watcher {
	pthread_t thread;
	unsigned calls;
	uint64_t done;
	uint64_t total;
};

static void watch(void *context, uint64_t done, uint64_t total)
{
	struct watcher *watcher = context;

	assert_true(pthread_equal(watcher->thread, pthread_self()));
	assert_true(done >= watcher->done);
	watcher->calls++;
	watcher->done = done;
	watcher->total = total;
}

static void test_progress(void **state)
{
	const struct fixture *fixture = *state;
	static const struct log_lies none;
	struct watcher watcher = { .thread = pthread_self() };
	struct audit_options options = { .threads = 2, .progress = watch, .context = &watcher };

	(void)audit_as(fixture->memory, &none, options);
	assert_true(watcher.calls >= 1);
	assert_int_equal(watcher.done, EVENTS);
	assert_int_equal(watcher.total, EVENTS);
}

static void expect_failure(struct evlog *log, const struct log_lies *lies, enum status status,
			   const char *text)
{
	struct audit_options options = { .threads = THREADS };
	struct audit_report report = { .events = 4711 };
	struct evlog *lying = log_lying(log, lies);
	struct error err = ERROR_INIT;

	assert_int_equal(audit_evlog(lying, &options, &report, &err), status);
	assert_string_equal(err.text, text);
	assert_int_equal(report.events, 4711);
	evlog_close(lying);
}

/* A disk that does not answer says nothing about the log, whatever else was found before. */
static void test_failing_read(void **state)
{
	const struct fixture *fixture = *state;
	struct log_lies lies = { .leaf_refused = 1200 };

	expect_failure(fixture->memory, &lies, STATUS_IO, "the disk does not answer");
	lies.leaf_refused = 1;
	expect_failure(fixture->memory, &lies, STATUS_IO, "the disk does not answer");
}

static void test_shrinking_log(void **state)
{
	struct log_lies lies = { .shrinks_to = EVENTS - 1 };
	struct audit_report report = audit(state, &lies);

	assert_false(report.ok);
	assert_int_equal(report.first_bad, 0);
	assert_non_null(strstr(report.message, "the log went from "));
}

static void test_report_broken(void **state)
{
	struct audit_report report;
	uint8_t root[HASH_BYTES];

	(void)state;
	memset(&report, 0xff, sizeof(report));
	audit_report_broken(&report, "it lies in pieces");
	assert_false(report.ok);
	assert_int_equal(report.valid_size, 0);
	assert_string_equal(report.message, "it lies in pieces");
	merkle_empty_root(root);
	assert_memory_equal(report.root, root, HASH_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_right_sizes),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_each_level_of_the_tree),
		cmocka_unit_test(test_missing_row),
		cmocka_unit_test(test_missing_leaf),
		cmocka_unit_test(test_command_index),
		cmocka_unit_test(test_registry_index),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_incomplete_last_command),
		cmocka_unit_test(test_least_finding),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_faults_since),
		cmocka_unit_test(test_checkpoint_of_another_log),
		cmocka_unit_test(test_checkpoint_ahead),
		cmocka_unit_test(test_registry_before_checkpoint),
		cmocka_unit_test(test_predecessor_before_checkpoint),
		cmocka_unit_test(test_upto),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_failing_read),
		cmocka_unit_test(test_shrinking_log),
		cmocka_unit_test(test_report_broken),
	};

	return cmocka_run_group_tests_name("audit_run", tests, group_setup, group_teardown);
}
