/*
 * The doctor: what it tells, what it mends, what it refuses; and the way out of a loss.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lmdb.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/op_store.h"
#include "ops/session.h"
#include "store/headfile.h"
#include "store/paths.h"
#include "store/registry.h"
#include "store/signer.h"
#include "store/store.h"
#include "unit/base/scratch.h"
#include "unit/store/store_fixture.h"
#include "unit/store/table_fixture.h"

#include "base/banned.h"

enum {
	SIZE = 6,
	CUT_HEAD_BYTES = 40,
};

/* --- one run ---------------------------------------------------------------------------------- */

struct told {
	enum status status;
	struct error err;
	size_t count;
	size_t bad;
	size_t mended;
	char text[1024]; /* of what is bad, one after another */
};

static struct told doctor(const struct fixture *fixture, bool dry_run)
{
	struct session_options options = { .store_dir = fixture->path, .dry_run = dry_run };
	struct session session = { .store = NULL };
	struct told told = { .count = 0 };
	struct finding *findings = NULL;
	size_t used = 0;

	told.status = op_doctor(&options, &session, &findings, &told.count, &told.err);
	for (size_t i = 0; i < told.count; i++) {
		told.bad += findings[i].bad;
		told.mended += findings[i].mended;
		assert_true(findings[i].bad || !findings[i].mended);
		if (!findings[i].bad)
			continue;
		used += (size_t)snprintf(told.text + used, sizeof(told.text) - used, "%s\n",
					 findings[i].text);
		assert_true(used < sizeof(told.text));
	}
	session_close(&session);
	return told;
}

static void assert_sound(const struct fixture *fixture)
{
	struct told told = doctor(fixture, false);

	if (told.status || told.bad)
		fail_msg("not sound: %s %s", told.err.text, told.text);
	assert_true(told.count > 2);
}

static void assert_mends(const struct fixture *fixture, const char *text)
{
	struct told told = doctor(fixture, true);

	assert_int_equal(told.status, STATUS_OK);
	assert_int_equal(told.bad, 1);
	assert_int_equal(told.mended, 0);
	if (!strstr(told.text, text))
		fail_msg("told: %s", told.text);
	told = doctor(fixture, false);
	if (told.status)
		fail_msg("doctor: %s", told.err.text);
	assert_int_equal(told.bad, 1);
	assert_int_equal(told.mended, 1);
	if (!strstr(told.text, text))
		fail_msg("told: %s", told.text);
	assert_sound(fixture);
}

/* --- what is derived -------------------------------------------------------------------------- */

static void a_sound_store_needs_nothing(void **state)
{
	struct fixture *fixture = *state;

	make_store(fixture, SIZE);
	assert_sound(fixture);
}

static void tables_are_rebuilt(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} tables[] = {
		{ "tree", "the tree of the log" },
		{ "commands", "the index of commands" },
		{ "registry", "the index of the key registry" },
	};
	struct fixture *fixture = *state;
	uint8_t before[HASH_BYTES], after[HASH_BYTES];

	make_store(fixture, SIZE);
	table_hash(fixture->path, "events", before);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct raw_table raw = raw_open(fixture->path, tables[i].name, 0);

		assert_int_equal(mdb_drop(raw.txn, raw.dbi, 0), 0);
		raw_commit(&raw);
		assert_false(audit_is_ok(fixture->path));
		assert_mends(fixture, tables[i].text);
		assert_true(audit_is_ok(fixture->path));
	}
	table_hash(fixture->path, "events", after);
	assert_memory_equal(before, after, HASH_BYTES);
}

/* Where the tables are mended, what else is wrong is seen in the same run. */
static void tables_and_head_in_one_run(void **state)
{
	struct fixture *fixture = *state;
	struct buf garbage AUTO(buf_release) = BUF_INIT;
	struct raw_table raw;
	struct told told;

	make_store(fixture, SIZE);
	raw = raw_open(fixture->path, "tree", 0);
	assert_int_equal(mdb_drop(raw.txn, raw.dbi, 0), 0);
	raw_commit(&raw);
	buf_append_str(&garbage, "garbage");
	put_back(fixture->head, &garbage);
	told = doctor(fixture, false);
	assert_int_equal(told.status, STATUS_OK);
	assert_int_equal(told.mended, 2);
	assert_sound(fixture);
}

static void damaged_events_are_refused(void **state)
{
	struct fixture *fixture = *state;
	uint8_t hash[HASH_BYTES], after[HASH_BYTES];
	struct raw_row row;
	struct told told;

	make_store(fixture, SIZE);
	row = copy_row(fixture->path, "events", 3);
	row.value[row.value_len - 1] ^= 1;
	put_row(fixture->path, "events", &row);
	table_hash(fixture->path, "events", hash);
	told = doctor(fixture, false);
	assert_int_equal(told.status, STATUS_CORRUPT);
	assert_non_null(strstr(told.err.text, "event 4"));
	assert_non_null(strstr(told.err.hint, "salvage"));
	table_hash(fixture->path, "events", after);
	assert_memory_equal(hash, after, HASH_BYTES);
	row.value[row.value_len - 1] ^= 1;
	put_row(fixture->path, "events", &row);
	assert_sound(fixture);
}

/* --- evidence --------------------------------------------------------------------------------- */

static void a_head_that_is_no_evidence_is_replaced(void **state)
{
	const struct head_record foreign = { .log_id = { 1, 2, 3 }, .size = 77 };
	struct fixture *fixture = *state;
	struct buf head AUTO(buf_release) = BUF_INIT;

	make_store(fixture, SIZE);
	save(fixture->head, &head);
	/* Cut off. */
	head.len = CUT_HEAD_BYTES;
	put_back(fixture->head, &head);
	assert_mends(fixture, "store/head");
	assert_int_equal(recorded_size(fixture->head), SIZE);
	/* Damaged in both slots. */
	save(fixture->head, &head);
	for (size_t at = 40; at < head.len; at += HEADFILE_SLOT_BYTES)
		head.data[at] ^= 1;
	put_back(fixture->head, &head);
	assert_mends(fixture, "store/head");
	assert_int_equal(recorded_size(fixture->head), SIZE);
	/* Of another log. */
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(headfile_advance(fixture->head, &foreign, false, NULL), STATUS_OK);
	assert_mends(fixture, "store/head is of another log");
	assert_int_equal(recorded_size(fixture->head), SIZE);
}

static void a_checkpoint_that_is_no_evidence_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf garbage AUTO(buf_release) = BUF_INIT;

	make_store(fixture, SIZE);
	checkpoint_path(fixture, &path);
	buf_append_str(&garbage, "garbage");
	put_back(buf_str(&path), &garbage);
	assert_mends(fixture, ".checkpoint");
	assert_int_equal(recorded_size(buf_str(&path)), SIZE);
}

/* What cannot be replaced is said to be so. */
static void a_head_that_cannot_be_replaced_needs_attention(void **state)
{
	struct fixture *fixture = *state;
	struct told told;

	make_store(fixture, SIZE);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(fs_make_dirs(fixture->head, 0700, NULL), STATUS_OK);
	told = doctor(fixture, false);
	assert_int_equal(told.status, STATUS_OK);
	assert_int_equal(told.bad, 1);
	assert_int_equal(told.mended, 0);
	assert_non_null(strstr(told.text, "store/head"));
}

/* --- accepting a loss ------------------------------------------------------------------------- */

/* Two events are lost; four are left, and the key file is where it is looked for. */
static void lose_two_events(struct fixture *fixture, struct buf *ret_log)
{
	struct buf keys AUTO(buf_release) = BUF_INIT;
	char home[SCRATCH_PATH_MAX + 16];

	(void)snprintf(home, sizeof(home), "%s/config", fixture->dir);
	set_environment("XDG_CONFIG_HOME", home);
	assert_int_equal(paths_keys_dir(&keys, NULL), STATUS_OK);
	assert_int_equal(signer_save(&fixture->founder, buf_str(&keys), NULL), STATUS_OK);
	make_store(fixture, 4);
	save(fixture->data, ret_log);
	extend_store(fixture, 2);
	put_back(fixture->data, ret_log);
}

static enum status accept(const struct fixture *fixture, const char *confirmed, const char *reason,
			  uint64_t size, struct error *err)
{
	struct session_options options = {
		.store_dir = fixture->path,
		.key_name = fixture->founder.name,
		.reason = reason,
		.confirmed = &confirmed,
		.confirmed_count = confirmed ? 1 : 0,
		.accept_clock = true,
	};
	struct store_receipt receipt;

	return op_accept_loss(&options, size, &receipt, err);
}

/* Without a reason that says something, with a clock that cannot be, or only to see: nothing. */
static void an_acceptance_is_judged_as_a_write_is(void **state)
{
	struct fixture *fixture = *state;
	const char *confirmed = "op@test";
	struct session_options options = {
		.store_dir = fixture->path,
		.key_name = fixture->founder.name,
		.reason = "  ",
		.confirmed = &confirmed,
		.confirmed_count = 1,
		.accept_clock = true,
	};
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct store_receipt receipt = { .last_seq = 77 };
	struct error err = ERROR_INIT;

	lose_two_events(fixture, &log);
	assert_int_equal(op_accept_loss(&options, 4, &receipt, &err), STATUS_UNCONFIRMED);
	assert_non_null(strstr(err.text, "needs a reason"));
	options.reason = "why";
	options.accept_clock = false;
	assert_int_equal(op_accept_loss(&options, 4, &receipt, &err), STATUS_UNCONFIRMED);
	assert_non_null(strstr(err.text, "the clock says"));
	options.accept_clock = true;
	options.dry_run = true;
	options.confirmed_count = 0;
	assert_int_equal(op_accept_loss(&options, 4, &receipt, &err), STATUS_OK);
	assert_int_equal(op_accept_loss(&options, 5, &receipt, &err), STATUS_USAGE);
	assert_int_equal(receipt.last_seq, 77);
	refused(fixture, STATUS_CORRUPT, "the log lost events 5..6", "");
}

static uint64_t generation_of(const struct fixture *fixture)
{
	struct store *store = reopen(fixture);
	uint64_t generation = registry_generation_at(store_registry(store), size_of(store));

	store_close(store);
	return generation;
}

static void a_loss_is_accepted_by_naming_the_key(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;

	lose_two_events(fixture, &log);
	assert_int_equal(accept(fixture, NULL, "why", 4, NULL), STATUS_UNCONFIRMED);
	assert_int_equal(accept(fixture, "development", "why", 4, NULL), STATUS_UNCONFIRMED);
	assert_int_equal(accept(fixture, "op@test", NULL, 4, NULL), STATUS_UNCONFIRMED);
	assert_int_equal(accept(fixture, "op@test", "why", 5, NULL), STATUS_USAGE);
	refused(fixture, STATUS_CORRUPT, "the log lost events 5..6", "");
	assert_int_equal(accept(fixture, "op@test", "why", 4, NULL), STATUS_OK);
	assert_sound(fixture);
	assert_int_equal(accept(fixture, "op@test", "why", 5, NULL), STATUS_USAGE);
}

/*
 * The accepted end is lost itself, and all that remembers it: the next acceptance must not give its
 * generation the same number, though everything is as it was the first time but the clock.
 */
static void no_generation_is_used_twice(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf checkpoint AUTO(buf_release) = BUF_INIT;
	uint64_t used[4];

	lose_two_events(fixture, &log);
	checkpoint_path(fixture, &path);
	save(fixture->head, &head);
	save(buf_str(&path), &checkpoint);
	for (size_t i = 0; i < 4; i++) {
		put_back(fixture->data, &log);
		put_back(fixture->head, &head);
		put_back(buf_str(&path), &checkpoint);
		/* Even with a clock that stands still. */
		assert_int_equal(accept(fixture, "op@test", "why", 4, NULL), STATUS_OK);
		used[i] = generation_of(fixture);
		assert_true(used[i] > 1);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(used[i], used[j]);
	}
}

/* Another loss in the same log: generations ascend, also when the clock was put back. */
static void generations_ascend(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	uint64_t first;

	lose_two_events(fixture, &log);
	assert_int_equal(accept(fixture, "op@test", "why", 4, NULL), STATUS_OK);
	first = generation_of(fixture);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	put_back(fixture->data, &log);
	fixture->clock_ms = 1000;
	assert_int_equal(accept(fixture, "op@test", "why", 5, NULL), STATUS_OK);
	assert_true(generation_of(fixture) > first);
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
		TEST(a_sound_store_needs_nothing),
		TEST(tables_are_rebuilt),
		TEST(tables_and_head_in_one_run),
		TEST(damaged_events_are_refused),
		TEST(a_head_that_is_no_evidence_is_replaced),
		TEST(a_checkpoint_that_is_no_evidence_is_replaced),
		TEST(a_head_that_cannot_be_replaced_needs_attention),
		TEST(a_loss_is_accepted_by_naming_the_key),
		TEST(an_acceptance_is_judged_as_a_write_is),
		TEST(no_generation_is_used_twice),
		TEST(generations_ascend),
	};

	return cmocka_run_group_tests(tests, setup_group, NULL);
}
