/*
 * The derived tables of a log: damaged in every table and every way, found, mended, and the events
 * untouched; and nothing mended where the events are not whole.
 */
#include "store/reindex.h"

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
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "store/store.h"
#include "store/store_object.h"
#include "unit/base/scratch.h"
#include "unit/store/raw_lmdb.h"
#include "unit/store/store_fixture.h"
#include "unit/store/table_fixture.h"

#include "base/banned.h"

enum {
	SIZE = 12,
	PAGE_BYTES = 4096,
	MANY = 400, /* events: several leaf pages in the tree */
	NO_WAIT = 0,
};

enum table { TREE, COMMANDS, REGISTRY, TABLES };

static const char *const names[TABLES] = { "tree", "commands", "registry" };

static struct raw_row row_at(const struct fixture *fixture, enum table table, unsigned at)
{
	return copy_row(fixture->path, names[table], at);
}

static void put(const struct fixture *fixture, enum table table, struct raw_row *row)
{
	put_row(fixture->path, names[table], row);
}

static void delete(const struct fixture *fixture, enum table table, struct raw_row *row)
{
	delete_row(fixture->path, names[table], row);
}

static enum status reindex(const struct fixture *fixture, bool mend, struct reindex_report *ret,
			   struct error *err)
{
	return reindex_store(fixture->path, mend, WAIT_MS, ret, err);
}

static bool is_bad(const struct reindex_report *report, enum table table)
{
	const bool bad[TABLES] = { report->tree, report->commands, report->registry };

	return bad[table];
}

/* --- ways of damage --------------------------------------------------------------------------- */

/* Each damages one table of a store of SIZE events. */

static void lose_a_row(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, table == REGISTRY ? 0 : 4);

	delete (fixture, table, &row);
}

static void change_a_row(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, table == REGISTRY ? 0 : 4);

	/* The registry's rows are keys alone. */
	if (table == REGISTRY) {
		delete (fixture, table, &row);
		row.key[row.key_len - 1] ^= 7;
	} else {
		row.value[row.value_len - 1] ^= 1;
	}
	put(fixture, table, &row);
}

static void add_a_row(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, 0);

	if (table == COMMANDS)
		row.key[3] ^= 0x55;
	else
		store_u64be(row.key, table == TREE ? 1000 : 5);
	put(fixture, table, &row);
}

static void add_a_row_past_the_end(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, 0);

	if (table == COMMANDS)
		store_u64be(row.value, 1000);
	else
		store_u64be(row.key, 77);
	put(fixture, table, &row);
}

static void add_a_malformed_row(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, 0);

	row.key_len = 3;
	put(fixture, table, &row);
}

static void lose_all_rows(const struct fixture *fixture, enum table table)
{
	struct raw_table raw = raw_open(fixture->path, names[table], 0);

	assert_int_equal(mdb_drop(raw.txn, raw.dbi, 0), 0);
	raw_commit(&raw);
}

static void shorten_a_row(const struct fixture *fixture, enum table table)
{
	struct raw_row row = row_at(fixture, table, table == REGISTRY ? 0 : 7);

	if (table == REGISTRY) {
		delete (fixture, table, &row);
		row.key_len--;
	} else {
		row.value_len--;
	}
	put(fixture, table, &row);
}

typedef void (*damage_fn)(const struct fixture *fixture, enum table table);

static const damage_fn ways[] = {
	lose_a_row,          change_a_row,  add_a_row,     add_a_row_past_the_end,
	add_a_malformed_row, lose_all_rows, shorten_a_row,
};

/* --- mending ---------------------------------------------------------------------------------- */

struct hashes {
	uint8_t events[HASH_BYTES];
	uint8_t derived[TABLES][HASH_BYTES];
};

static struct hashes hashes_of(const struct fixture *fixture)
{
	struct hashes hashes;

	table_hash(fixture->path, "events", hashes.events);
	for (size_t i = 0; i < TABLES; i++)
		table_hash(fixture->path, names[i], hashes.derived[i]);
	return hashes;
}

static void a_sound_log_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;

	make_store(fixture, SIZE);
	save(fixture->data, &before);
	for (int mend = 0; mend < 2; mend++) {
		struct reindex_report report = { .mended = true };

		assert_int_equal(reindex(fixture, mend, &report, NULL), STATUS_OK);
		assert_int_equal(report.events, SIZE);
		for (enum table i = 0; i < TABLES; i++)
			assert_false(is_bad(&report, i));
		assert_false(report.mended);
	}
	save(fixture->data, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	assert_true(audit_is_ok(fixture->path));
}

static void check_way(struct fixture *fixture, damage_fn damage, enum table table,
		      const struct hashes *sound)
{
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;
	struct reindex_report report = { .mended = true };
	struct error err = ERROR_INIT;
	struct hashes now;
	struct store *store;

	damage(fixture, table);
	now = hashes_of(fixture);
	/* The damage is there, in this table alone, and an audit says so. */
	for (size_t i = 0; i < TABLES; i++)
		assert_int_equal(memcmp(now.derived[i], sound->derived[i], HASH_BYTES) != 0,
				 i == table);
	assert_false(audit_is_ok(fixture->path));
	/* Looking changes nothing. */
	save(fixture->data, &before);
	if (reindex(fixture, false, &report, &err))
		fail_msg("look: %s", err.text);
	save(fixture->data, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	assert_false(report.mended);
	for (enum table i = 0; i < TABLES; i++)
		assert_int_equal(is_bad(&report, i), i == table);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
	assert_true(is_bad(&report, table));
	now = hashes_of(fixture);
	assert_memory_equal(&now, sound, sizeof(now));
	assert_true(audit_is_ok(fixture->path));
	store = reopen(fixture);
	assert_null(store_evidence_note(store));
	store_close(store);
}

static void every_table_is_mended_from_every_damage(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct hashes sound;

	make_store(fixture, SIZE);
	save(fixture->data, &log);
	sound = hashes_of(fixture);
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		for (enum table table = 0; table < TABLES; table++) {
			put_back(fixture->data, &log);
			check_way(fixture, ways[way], table, &sound);
		}
	}
}

/* All at once; and what was mended can be written to. */
static void all_tables_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct reindex_report report;
	struct hashes sound, now;

	make_store(fixture, MANY);
	sound = hashes_of(fixture);
	for (enum table table = 0; table < TABLES; table++)
		lose_all_rows(fixture, table);
	assert_false(audit_is_ok(fixture->path));
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.tree && report.commands && report.registry && report.mended);
	now = hashes_of(fixture);
	assert_memory_equal(&now, &sound, sizeof(now));
	extend_store(fixture, 3);
	assert_true(audit_is_ok(fixture->path));
}

static void a_writer_is_waited_for(void **state)
{
	struct fixture *fixture = *state;
	struct reindex_report report;
	int fd AUTO_FD = -1;

	make_store(fixture, 2);
	lose_all_rows(fixture, TREE);
	assert_int_equal(store_lock_dir(fixture->path, NO_WAIT, &fd, NULL), STATUS_OK);
	assert_int_equal(reindex_store(fixture->path, true, NO_WAIT, &report, NULL), STATUS_LOCKED);
	/* Who only looks needs no lock. */
	assert_int_equal(reindex_store(fixture->path, false, NO_WAIT, &report, NULL), STATUS_OK);
	assert_true(report.tree);
}

/* --- where nothing may be mended -------------------------------------------------------------- */

/* Neither looking nor mending gets on, and not a byte changes. */
static void assert_refused(const struct fixture *fixture, const char *text)
{
	struct buf before AUTO(buf_release) = BUF_INIT;
	struct buf after AUTO(buf_release) = BUF_INIT;

	save(fixture->data, &before);
	for (int mend = 0; mend < 2; mend++) {
		struct reindex_report report;
		struct error err = ERROR_INIT;

		assert_int_equal(reindex(fixture, mend, &report, &err), STATUS_CORRUPT);
		if (!strstr(err.text, text))
			fail_msg("unexpected words: %s", err.text);
	}
	save(fixture->data, &after);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
}

static void damaged_events_are_not_built_upon(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct reindex_report report;
	struct raw_row row;

	make_store(fixture, SIZE);
	lose_a_row(fixture, TREE);
	save(fixture->data, &log);
	row = copy_row(fixture->path, "events", 6);
	/* The last byte is the signature's. */
	row.value[row.value_len - 1] ^= 1;
	put_row(fixture->path, "events", &row);
	assert_refused(fixture, "event 7: the signature does not verify");
	put_back(fixture->data, &log);
	delete_row(fixture->path, "events", &row);
	assert_refused(fixture, "event 7");
	/* Without that damage it is mended. */
	put_back(fixture->data, &log);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
}

/* The tree's row may be the last trace of an event: then it stays. */
static void the_trace_of_a_lost_event_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	uint8_t key[8];

	make_store(fixture, SIZE);
	checkpoint_path(fixture, &path);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	store_u64be(key, SIZE);
	change_row(fixture->path, "events", raw_val(key, sizeof(key)), NULL);
	assert_refused(fixture, "the log holds 11 events, but its tree has a row for event 12");
}

/* The pages that hold the first and the last row of a table. */
static uint64_t page_of_row(const struct fixture *fixture, const char *table, MDB_cursor_op where)
{
	struct raw_table raw = raw_open(fixture->path, table, MDB_RDONLY);
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t number;

	assert_int_equal(mdb_cursor_open(raw.txn, raw.dbi, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, where), 0);
	/* Each page begins with its number. */
	memcpy(&number, (const uint8_t *)key.mv_data - (uintptr_t)key.mv_data % PAGE_BYTES, 8);
	mdb_cursor_close(cursor);
	raw_close(&raw);
	return number;
}

/* Events that head or checkpoint know are gone: what the tables hold may tell of them. */
static void a_log_that_lost_its_end_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct reindex_report report;

	make_store(fixture, SIZE);
	checkpoint_path(fixture, &path);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	put_back(fixture->data, &log);
	change_a_row(fixture, COMMANDS);
	assert_refused(fixture, "the log lost events 13..13");
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_refused(fixture, "the log lost events 13..13");
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
}

/* Another history, as well signed: only head and checkpoint know, and the tree that it had. */
static void another_history_is_not_indexed(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct buf head AUTO(buf_release) = BUF_INIT;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct reindex_report report;

	make_store(fixture, 3);
	checkpoint_path(fixture, &path);
	save(fixture->data, &log);
	extend_store(fixture, 1);
	save(fixture->head, &head);
	put_back(fixture->data, &log);
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	extend_store(fixture, 2);
	assert_int_equal(fs_remove(buf_str(&path), NULL), STATUS_OK);
	lose_a_row(fixture, TREE);
	put_back(fixture->head, &head);
	assert_refused(fixture, "first 4 events are not the ones acknowledged before");
	assert_int_equal(fs_remove(fixture->head, NULL), STATUS_OK);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
}

/* Make the branch page of the tree that points at @from point at @to. The newest such page, of
 * which older copies may lie about, is the one that the table's root leads to: change them all. */
static unsigned redirect(struct buf *file, uint64_t from, uint64_t to)
{
	enum { FLAGS_AT = 10, LOWER_AT = 12, HEADER_BYTES = 16, BRANCH = 1 };
	unsigned changed = 0;

	for (size_t page = 2; page < file->len / PAGE_BYTES; page++) {
		uint8_t *start = file->data + page * PAGE_BYTES;
		uint16_t flags, lower, at;

		memcpy(&flags, start + FLAGS_AT, 2);
		memcpy(&lower, start + LOWER_AT, 2);
		if (flags != BRANCH || lower > PAGE_BYTES)
			continue;
		for (size_t i = HEADER_BYTES; i + 1 < lower; i += 2) {
			uint16_t low;

			memcpy(&at, start + i, 2);
			if (at > PAGE_BYTES - 8)
				break;
			memcpy(&low, start + at, 2); /* of the page number; the rest is zero here */
			if (low != from)
				continue;
			low = (uint16_t)to;
			memcpy(start + at, &low, 2);
			changed++;
		}
	}
	return changed;
}

/*
 * A branch page that leads out of the file: LMDB's transaction answers nothing more, of the events
 * neither, and says so as what it is.
 */
static void a_page_that_leads_nowhere_is_damage(void **state)
{
	struct fixture *fixture = *state;
	struct buf bent AUTO(buf_release) = BUF_INIT;
	uint64_t page;

	make_store(fixture, MANY);
	page = page_of_row(fixture, "tree", MDB_LAST);
	save(fixture->data, &bent);
	assert_true(redirect(&bent, page, 0xfff0) > 0);
	put_back(fixture->data, &bent);
	assert_refused(fixture, "a page of it is damaged");
}

/* A branch page that leads into another table: emptying the one would free pages of the other. */
static void pages_of_others_are_not_freed(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct buf bent AUTO(buf_release) = BUF_INIT;
	struct reindex_report report;
	uint64_t tree, events;

	make_store(fixture, MANY);
	lose_a_row(fixture, COMMANDS);
	save(fixture->data, &log);
	tree = page_of_row(fixture, "tree", MDB_LAST);
	events = page_of_row(fixture, "events", MDB_LAST);
	assert_true(tree != events && tree != page_of_row(fixture, "tree", MDB_FIRST));
	buf_append_slice(&bent, buf_slice(&log));
	assert_true(redirect(&bent, tree, events) > 0);
	put_back(fixture->data, &bent);
	assert_int_equal(page_of_row(fixture, "tree", MDB_LAST), events);
	assert_refused(fixture, "the pages of the log's tree are damaged");
	put_back(fixture->data, &log);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void assert_faulted(struct fixture *fixture, const char *fault, enum status expected)
{
	char log[SCRATCH_PATH_MAX + 16];
	struct reindex_report report = { .mended = false };
	struct hashes before = hashes_of(fixture), after;

	(void)snprintf(log, sizeof(log), "%s/fired", fixture->dir);
	set_environment("PROVENV_FAULT_LOG", log);
	set_environment("PROVENV_FAULT", fault);
	assert_int_equal(reindex(fixture, true, &report, NULL), expected);
	set_environment("PROVENV_FAULT", NULL);
	set_environment("PROVENV_FAULT_LOG", NULL);
	assert_true(fs_exists(log));
	assert_int_equal(fs_remove(log, NULL), STATUS_OK);
	after = hashes_of(fixture);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void a_fault_leaves_all_as_it_was(void **state)
{
	struct fixture *fixture = *state;
	struct reindex_report report = { .mended = false };
	struct hashes sound, now;

#ifndef PROVENV_TEST_HOOKS
	skip(); /* needs fault points */
#endif
	make_store(fixture, SIZE);
	sound = hashes_of(fixture);
	for (enum table table = 0; table < TABLES; table++)
		lose_a_row(fixture, table);
	assert_faulted(fixture, "log.put:ENOSPC:5", STATUS_IO);
	assert_faulted(fixture, "log.put:crash:9", STATUS_IO);
	assert_faulted(fixture, "reindex.commit:EIO", STATUS_IO);
	assert_faulted(fixture, "reindex.commit:crash", STATUS_IO);
	assert_int_equal(reindex(fixture, true, &report, NULL), STATUS_OK);
	assert_true(report.mended);
	now = hashes_of(fixture);
	assert_memory_equal(&now, &sound, sizeof(now));
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
		TEST(a_sound_log_is_left_alone),
		TEST(every_table_is_mended_from_every_damage),
		TEST(all_tables_at_once),
		TEST(a_writer_is_waited_for),
		TEST(damaged_events_are_not_built_upon),
		TEST(the_trace_of_a_lost_event_is_kept),
		TEST(a_log_that_lost_its_end_is_left_alone),
		TEST(a_page_that_leads_nowhere_is_damage),
		TEST(another_history_is_not_indexed),
		TEST(pages_of_others_are_not_freed),
		TEST(a_fault_leaves_all_as_it_was),
	};

	return cmocka_run_group_tests(tests, setup_group, NULL);
}
