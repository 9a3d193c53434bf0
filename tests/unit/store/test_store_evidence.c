/*
 * Evidence of lost events: head and checkpoint behind, ahead, damaged, of another log, or another
 * history; and the way out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "store/event.h"
#include "store/headfile.h"
#include "store/registry.h"
#include "store/store.h"
#include "unit/base/scratch.h"
#include "unit/store/store_fixture.h"

#include "base/banned.h"

/* --- evidence --------------------------------------------------------------------------------- */

static void a_missing_head_is_made_again(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;

	make_store(fixture, 2);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	store = open_store(fixture, (struct store_options){ .read_only = true });
	assert_null(store_evidence_note(store));
	store_close(store);
	assert_false(fs_exists(fixture->head));
	store_close(reopen(fixture));
	assert_int_equal(recorded_size(fixture->head), 2);
}

/* As after a crash between the commit and the head, or after somebody else's writes. */
static void evidence_behind_is_moved_on(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf checkpoint AUTO(buf_release) = BUF_INIT;

	make_store(fixture, 2);
	checkpoint_path(fixture, &path);
	save(fixture->head, &head);
	save(buf_str(&path), &checkpoint);
	extend_store(fixture, 2);
	put_back(fixture->head, &head);
	put_back(buf_str(&path), &checkpoint);
	store_close(open_store(fixture, (struct store_options){ .read_only = true }));
	assert_int_equal(recorded_size(fixture->head), 2);
	assert_int_equal(recorded_size(buf_str(&path)), 2);
	store_close(reopen(fixture));
	assert_int_equal(recorded_size(fixture->head), 4);
	assert_int_equal(recorded_size(buf_str(&path)), 4);
}

/* Put the log back to what it was two events ago. Three are left. */
static void lose_two_events(struct fixture *fixture)
{
	struct buf log AUTO(buf_release) = BUF_INIT;

	make_store(fixture, 3);
	save(fixture->data, &log);
	extend_store(fixture, 2);
	put_back(fixture->data, &log);
}

static void lost_events_are_found_by_the_head(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct store *store;

	lose_two_events(fixture);
	checkpoint_path(fixture, &path);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	refused(fixture, STATUS_CORRUPT, "the log lost events 4..5 (evidence: ",
		"provenv doctor --accept-loss=3 --confirm=NAME -m REASON");
	refused(fixture, STATUS_CORRUPT, "store/head)", "restore a newer copy");
	assert_int_equal(recorded_size(fixture->head), 5);
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_HEAD);
	assert_int_equal(store_loss(store)->expected_size, 5);
	assert_false(store_loss(store)->diverged);
	store_close(store);
	/* To look on with tolerance moves no evidence. */
	assert_int_equal(recorded_size(fixture->head), 5);
	assert_false(fs_exists(buf_str(&path)));
}

/* The whole store, head and all, put back to an older copy. */
static void a_rolled_back_store_is_found_by_the_checkpoint(void **state)
{
	struct fixture *fixture = *state;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct store *store;

	make_store(fixture, 3);
	save(fixture->data, &log);
	save(fixture->head, &head);
	extend_store(fixture, 1);
	put_back(fixture->data, &log);
	put_back(fixture->head, &head);
	refused(fixture, STATUS_CORRUPT, "the log lost events 4..4 (evidence: ", "--accept-loss=3");
	refused(fixture, STATUS_CORRUPT, ".checkpoint)", "");
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_CHECKPOINT);
	assert_int_equal(store_loss(store)->expected_size, 4);
	store_close(store);
}

/* As long as before, but other events. */
static void another_history_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct store *store;

	make_store(fixture, 2);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	save(fixture->head, &head);
	put_back(fixture->data, &log);
	checkpoint_path(fixture, &path);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	extend_store(fixture, 2);
	put_back(fixture->head, &head);
	refused(fixture, STATUS_CORRUPT,
		"the log's first 3 events are not the ones acknowledged before (evidence: ",
		"--accept-loss=4");
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	assert_true(store_loss(store)->diverged);
	assert_int_equal(store_loss(store)->expected_size, 3);
	/* Not even the way out moves the evidence, until the loss is accepted to its end. */
	recovered_payload(store_loss(store), &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(recorded_size(fixture->head), 3);
	assert_int_equal(store_reset_evidence(store, NULL), STATUS_OK);
	assert_int_equal(recorded_size(fixture->head), 5);
	store_close(store);
	store_close(reopen(fixture));
}

/* Head and checkpoint tell of different losses: the greater one counts. */
static void the_greater_loss_counts(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf checkpoint AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;

	make_store(fixture, 3);
	checkpoint_path(fixture, &path);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	save(fixture->head, &head);
	save(buf_str(&path), &checkpoint);
	extend_store(fixture, 1);
	put_back(fixture->data, &log);
	put_back(buf_str(&path), &checkpoint);
	refused(fixture, STATUS_CORRUPT, "lost events 4..5 (evidence: ", "");
	refused(fixture, STATUS_CORRUPT, "store/head)", "");
	save(fixture->head, &checkpoint);
	put_back(buf_str(&path), &checkpoint);
	put_back(fixture->head, &head);
	refused(fixture, STATUS_CORRUPT, "lost events 4..5 (evidence: ", "");
	refused(fixture, STATUS_CORRUPT, ".checkpoint)", "");
}

static void a_loss_is_left_by_accepting_it_only(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	lose_two_events(fixture);
	checkpoint_path(fixture, &path);
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	category_payload("a", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err),
			 STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "lost events 4..5"));
	recovered_payload(store_loss(store), &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(receipt.last_seq, 4);
	assert_int_equal(registry_generation_at(store_registry(store), 4), 2);
	assert_int_equal(recorded_size(fixture->head), 5);
	assert_int_equal(store_reset_evidence(store, NULL), STATUS_OK);
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_NONE);
	assert_int_equal(recorded_size(fixture->head), 4);
	assert_int_equal(recorded_size(buf_str(&path)), 4);
	(void)append_one(fixture, store);
	store_close(store);
	store = reopen(fixture);
	assert_int_equal(size_of(store), 5);
	assert_int_equal(store_registry(store)->generation_count, 2);
	store_close(store);
}

/* --- a loss that another user accepted ---------------------------------------------------------
 */

/* From here on we are user @name, with a home of its own. */
static void become(const struct fixture *fixture, const char *name)
{
	char home[SCRATCH_PATH_MAX + 32];

	(void)snprintf(home, sizeof(home), "%s/home-of-%s", fixture->dir, name);
	set_environment("XDG_STATE_HOME", home);
}

/*
 * Alice and Bob have a log of 5 events; `early` has seen 4 of them. The log falls back to 3, which
 * Alice accepts: event 4 of the next history.
 */
static void alice_accepts_a_loss(struct fixture *fixture)
{
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct store *store;

	become(fixture, "alice");
	make_store(fixture, 3);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	become(fixture, "early");
	store_close(reopen(fixture));
	become(fixture, "alice");
	extend_store(fixture, 1);
	become(fixture, "bob");
	store_close(reopen(fixture));
	put_back(fixture->data, &log);
	refused(fixture, STATUS_CORRUPT, "the log lost events 4..5", "--accept-loss=3");
	become(fixture, "alice");
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	recovered_payload(store_loss(store), &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(store_reset_evidence(store, NULL), STATUS_OK);
	store_close(store);
}

/* Bob saw exactly the log whose loss was accepted: he need not do anything, and goes on. */
static void an_accepted_loss_is_explained_to_others(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct store *store;

	alice_accepts_a_loss(fixture);
	become(fixture, "bob");
	checkpoint_path(fixture, &path);
	assert_int_equal(recorded_size(buf_str(&path)), 5);
	store = open_store(fixture, (struct store_options){ .read_only = true });
	assert_null(store_evidence_note(store));
	store_close(store);
	assert_int_equal(recorded_size(buf_str(&path)), 5);
	store_close(reopen(fixture));
	assert_int_equal(recorded_size(buf_str(&path)), 4);
	/* What is lost of the new history is a loss again, be it no longer than the accepted one.
	 */
	save(fixture->data, &log);
	save(fixture->head, &head);
	extend_store(fixture, 1);
	assert_int_equal(recorded_size(buf_str(&path)), 5);
	put_back(fixture->data, &log);
	put_back(fixture->head, &head);
	refused(fixture, STATUS_CORRUPT, "the log lost events 5..5", "--accept-loss=4");
}

/* As after a crash between store.recovered and the files of evidence. */
static void an_interrupted_acceptance_is_finished(void **state)
{
	struct fixture *fixture = *state;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct store *store;

	lose_two_events(fixture);
	save(fixture->head, &head);
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	recovered_payload(store_loss(store), &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	store_close(store);
	assert_int_equal(recorded_size(fixture->head), 5);
	store = reopen(fixture);
	assert_null(store_evidence_note(store));
	store_close(store);
	assert_int_equal(recorded_size(fixture->head), 4);
}

/* Who has seen a part of what was lost need do nothing either: the file says of which history. */
static void a_part_of_the_lost_end_is_explained_too(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct head_record before, after;

	alice_accepts_a_loss(fixture);
	become(fixture, "early");
	checkpoint_path(fixture, &path);
	assert_int_equal(headfile_read(buf_str(&path), &before, NULL), STATUS_OK);
	assert_int_equal(before.size, 4);
	assert_int_equal(before.generation, 1);
	store_close(reopen(fixture));
	assert_int_equal(headfile_read(buf_str(&path), &after, NULL), STATUS_OK);
	assert_int_equal(after.size, 4);
	assert_true(after.generation > 1);
	assert_memory_not_equal(after.root, before.root, HASH_BYTES);
}

/* The user's checkpoint says that the log, in @generation, had @size events and some other root. */
static void claim(struct fixture *fixture, uint64_t generation, uint64_t size)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct head_record record;

	checkpoint_path(fixture, &path);
	assert_int_equal(headfile_read(buf_str(&path), &record, NULL), STATUS_OK);
	record.generation = generation;
	record.size = size;
	record.root[0] ^= 1;
	assert_int_equal(headfile_advance(buf_str(&path), &record, true, NULL), STATUS_OK);
}

static void an_acceptance_explains_no_more_than_it_named(void **state)
{
	struct fixture *fixture = *state;

	alice_accepts_a_loss(fixture);
	become(fixture, "early");
	/* More than was accepted; events that were kept; and what is no generation of this log. */
	claim(fixture, 1, 6);
	refused(fixture, STATUS_CORRUPT, "the log lost events 5..6", "--accept-loss=4");
	claim(fixture, 1, 3);
	refused(fixture, STATUS_CORRUPT,
		"the log's first 3 events are not the ones acknowledged before", "--accept-loss=4");
	claim(fixture, 0, 4);
	refused(fixture, STATUS_CORRUPT,
		"the log's first 4 events are not the ones acknowledged before", "");
	/* Control: of the generation that the acceptance ended, and within what it named. */
	claim(fixture, 1, 5);
	store_close(reopen(fixture));
}

/*
 * A record of a generation that began in a lost end: the log cannot tell whether what was accepted
 * is what the user saw; the refusal says what the user, who can, has to do.
 */
static void a_generation_that_is_lost_leaves_it_to_the_user(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;

	alice_accepts_a_loss(fixture);
	become(fixture, "early");
	claim(fixture, 77, 4);
	refused(fixture, STATUS_CORRUPT,
		"the log's first 4 events are not the ones acknowledged before",
		"event 4 accepted the loss of events up to 5");
	checkpoint_path(fixture, &path);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	store_close(reopen(fixture));
	assert_int_equal(recorded_size(buf_str(&path)), 4);
}

/* --- evidence that is none -------------------------------------------------------------------- */

/* A head that cannot be used is said to be so, stays as it is, and is replaced by a reset only. */
static void assert_head_is_no_evidence(struct fixture *fixture, const char *note)
{
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;
	struct store *store = reopen(fixture);

	save(fixture->head, &before);
	assert_non_null(store_evidence_note(store));
	assert_non_null(strstr(store_evidence_note(store), note));
	assert_null(strstr(store_evidence_note(store), ";"));
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_NONE);
	(void)append_one(fixture, store);
	(void)append_one(fixture, store);
	assert_null(strstr(store_evidence_note(store), ";"));
	store_close(store);
	save(fixture->head, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	store = reopen(fixture);
	assert_non_null(store_evidence_note(store));
	assert_int_equal(store_reset_evidence(store, NULL), STATUS_OK);
	assert_null(store_evidence_note(store));
	assert_int_equal(recorded_size(fixture->head), size_of(store));
	store_close(store);
	store = reopen(fixture);
	assert_null(store_evidence_note(store));
	store_close(store);
}

static void a_damaged_head_is_noted(void **state)
{
	struct fixture *fixture = *state;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;

	make_store(fixture, 3);
	save(fixture->data, &log);
	save(fixture->head, &head);
	for (size_t at = 40; at < head.len; at += HEADFILE_SLOT_BYTES)
		head.data[at] ^= 1;
	put_back(fixture->head, &head);
	assert_head_is_no_evidence(fixture, "store/head");
	/* Without it the checkpoint still tells of a loss. */
	put_back(fixture->data, &log);
	put_back(fixture->head, &head);
	refused(fixture, STATUS_CORRUPT, "the log lost events 4..5", "--accept-loss=3");
}

static void the_head_of_another_log_is_noted(void **state)
{
	struct fixture *fixture = *state;
	const struct head_record foreign = { .log_id = { 1, 2, 3 }, .size = 77 };

	make_store(fixture, 2);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(headfile_advance(fixture->head, &foreign, false, NULL), STATUS_OK);
	assert_head_is_no_evidence(fixture, "store/head is of another log");
}

/* Without a checkpoint of this log it may as well be the log that was exchanged. */
static void another_log_than_the_head_is_of_is_a_loss(void **state)
{
	struct fixture *fixture = *state;
	const struct head_record foreign = { .log_id = { 1, 2, 3 }, .size = 77 };
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct store *store;

	make_store(fixture, 2);
	checkpoint_path(fixture, &path);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	assert_int_equal(headfile_advance(fixture->head, &foreign, false, NULL), STATUS_OK);
	refused(fixture, STATUS_CORRUPT, "another log than ", "--accept-loss=2");
	store = open_store(fixture, (struct store_options){ .tolerate_loss = true });
	assert_true(store_loss(store)->foreign);
	recovered_payload(store_loss(store), &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	store_close(store);
	/* Killed before the files were set: the event explains the head. */
	store = reopen(fixture);
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_NONE);
	assert_int_equal(recorded_size(fixture->head), 3);
	store_close(store);
}

/* What was committed stays acknowledged, whatever happens to the evidence. */
static void evidence_that_cannot_be_written_fails_no_command(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;

#ifndef PROVENV_TEST_HOOKS
	skip(); /* needs a fault point */
#endif
	make_store(fixture, 1);
	store = reopen(fixture);
	set_environment("PROVENV_FAULT", "store.acknowledge:EIO");
	assert_int_equal(append_one(fixture, store).last_seq, 2);
	set_environment("PROVENV_FAULT", NULL);
	assert_non_null(store_evidence_note(store));
	assert_int_equal(recorded_size(fixture->head), 1);
	assert_int_equal(append_one(fixture, store).last_seq, 3);
	assert_int_equal(recorded_size(fixture->head), 3);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(mkdir(fixture->head, 0700), 0);
	assert_int_equal(append_one(fixture, store).last_seq, 4);
	store_close(store);
	store = reopen(fixture);
	assert_non_null(strstr(store_evidence_note(store), "store/head"));
	assert_int_equal(size_of(store), 4);
	store_close(store);
}

static void a_user_without_a_home_has_no_checkpoint(void **state)
{
	struct fixture *fixture = *state;
	const char *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe): one thread */
	char home_before[SCRATCH_PATH_MAX] = "";
	struct store *store;

	if (home)
		(void)snprintf(home_before, sizeof(home_before), "%s", home);
	set_environment("XDG_STATE_HOME", NULL);
	set_environment("HOME", NULL);
	make_store(fixture, 2);
	store = reopen(fixture);
	set_environment("HOME", home ? home_before : NULL);
	assert_null(store_evidence_note(store));
	store_close(store);
}

static int setup_group(void **state)
{
	(void)state;
	return secret_init_process(NULL) ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_missing_head_is_made_again),
		TEST(evidence_behind_is_moved_on),
		TEST(lost_events_are_found_by_the_head),
		TEST(a_rolled_back_store_is_found_by_the_checkpoint),
		TEST(another_history_is_found),
		TEST(the_greater_loss_counts),
		TEST(a_loss_is_left_by_accepting_it_only),
		TEST(an_accepted_loss_is_explained_to_others),
		TEST(an_interrupted_acceptance_is_finished),
		TEST(a_part_of_the_lost_end_is_explained_too),
		TEST(an_acceptance_explains_no_more_than_it_named),
		TEST(a_generation_that_is_lost_leaves_it_to_the_user),
		TEST(a_damaged_head_is_noted),
		TEST(another_log_than_the_head_is_of_is_a_loss),
		TEST(the_head_of_another_log_is_noted),
		TEST(evidence_that_cannot_be_written_fails_no_command),
		TEST(a_user_without_a_home_has_no_checkpoint),
	};

	return cmocka_run_group_tests(tests, setup_group, NULL);
}
