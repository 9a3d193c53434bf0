/*
 * The position, and the way of whole commands from the log into the tables: in pieces or at once,
 * and not at all when anything about the log is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/event_samples.h"
#include "lib/log_fixture.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "store/event.h"
#include "store/evlog.h"
#include "unit/projections/catchup_fixture.h"
#include "unit/projections/dump.h"
#include "unit/projections/payloads.h"

#include "base/banned.h"

static void run(struct db *db, const char *sql)
{
	struct error err = ERROR_INIT;

	if (db_exec(db, sql, &err))
		fail_msg("%s: %s", sql, err.text);
}

static void assert_text(const struct error *err, const char *text)
{
	if (!strstr(err->text, text))
		fail_msg("'%s' does not say '%s'", err->text, text);
}

static void assert_positions_equal(const struct position *a, const struct position *b)
{
	assert_int_equal(a->schema_version, b->schema_version);
	assert_memory_equal(a->log_id, b->log_id, LOG_ID_BYTES);
	assert_int_equal(a->seq, b->seq);
	assert_memory_equal(a->leaf_hash, b->leaf_hash, HASH_BYTES);
}

/* --- the position ----------------------------------------------------------------------------- */

static struct position some_position(uint64_t seq)
{
	struct position position = { .schema_version = SCHEMA_VERSION, .seq = seq };

	memset(position.log_id, 0x11, sizeof(position.log_id));
	memset(position.leaf_hash, 0x22, sizeof(position.leaf_hash));
	return position;
}

static void the_position_is_the_last_one_written(void **state)
{
	struct chase *chase = *state;
	struct position position = some_position(99), first = some_position(7),
			second = some_position(8), before = position;

	assert_int_equal(position_read(chase->db, &position, NULL), STATUS_NOT_FOUND);
	assert_positions_equal(&position, &before);
	assert_int_equal(position_write(chase->db, &first, NULL), STATUS_OK);
	assert_int_equal(position_read(chase->db, &position, NULL), STATUS_OK);
	assert_positions_equal(&position, &first);
	second.leaf_hash[31] = 1;
	second.schema_version = SCHEMA_VERSION + 1;
	assert_int_equal(position_write(chase->db, &second, NULL), STATUS_OK);
	assert_int_equal(position_read(chase->db, &position, NULL), STATUS_OK);
	assert_positions_equal(&position, &second);
	assert_false(db_damaged(chase->db));
}

static void a_position_changed_in_any_part_is_damage(void **state)
{
	static const char *const changes[] = {
		"schema_version = schema_version + 1",
		"seq = 8",
		"seq = 'x'",
		"seq = -7",
		"log_id = x'11111111111111111111111111111112'",
		"log_id = x'111111111111111111111111111111'",
		"log_id = x'1111111111111111111111111111111111'",
		"log_id = ''",
		"leaf_hash = zeroblob(32)",
		"leaf_hash = zeroblob(31)",
		"leaf_hash = zeroblob(33)",
		"check_hash = zeroblob(32)",
		"check_hash = substr(check_hash, 1, 31)",
		"check_hash = x''",
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct db *db = empty_tables();
		struct position written = some_position(7), position = some_position(1),
				before = position;
		struct error err = ERROR_INIT;
		char sql[128];

		(void)snprintf(sql, sizeof(sql), "UPDATE position SET %s", changes[i]);
		assert_int_equal(position_write(db, &written, NULL), STATUS_OK);
		run(db, sql);
		if (position_read(db, &position, &err) != STATUS_CORRUPT)
			fail_msg("%s is believed", changes[i]);
		assert_text(&err, "position is damaged");
		assert_true(db_damaged(db));
		assert_positions_equal(&position, &before);
		db_close(db);
	}
	(void)state;
}

static void a_position_that_cannot_be_kept_is_no_success(void **state)
{
	struct chase *chase = *state;
	struct position position = some_position(1);

	publish(chase);
	run(chase->db, "DROP TABLE position");
	assert_int_equal(position_read(chase->db, &position, NULL), STATUS_IO);
	assert_int_equal(position_write(chase->db, &position, NULL), STATUS_IO);
	assert_int_equal(catchup_apply(chase->db, chase->snapshot, 1, &chase->position, NULL),
			 STATUS_IO);
}

/* --- right logs ------------------------------------------------------------------------------- */

/* Commands of one to four events, of which some take effect and some do not. */
static void add_commands(struct log_fixture *log, unsigned count)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };

	for (unsigned i = 0; i < count; i++) {
		const char *name = names[i % 5], *other = names[i / 5 % 5];
		struct change change = set("p", "K", "1");
		struct payload payloads[] = {
			i % 3 ? changed(name, &change) : environment_created(name, "p"),
			i % 7 ? category_defined(name, i % 2)
			      : named(EVENT_ENVIRONMENT_REMOVED, other),
			environment_locked(name, i),
			named(EVENT_ENVIRONMENT_SWITCHED, name),
		};

		(void)add_command(log, payloads, 1 + i % 4);
	}
}

static uint64_t count_rows(struct db *db, const char *table)
{
	struct buf rows = BUF_INIT;
	char sql[64];
	uint64_t count = 0;

	(void)snprintf(sql, sizeof(sql), "SELECT 1 FROM %s", table);
	dump_rows(db_handle(db), sql, &rows);
	for (size_t i = 0; i < rows.len; i++)
		count += rows.data[i] == '\n';
	buf_release(&rows);
	return count;
}

/* Is the event the last one of its command? Those of add_commands() are. */
static uint64_t next_end(const struct log_fixture *log, uint64_t seq)
{
	do
		seq++;
	while (seq < log->count && !log->events[seq].starts_command);
	return seq;
}

static void pieces_give_what_one_go_gives(void **state)
{
	struct chase *chase = *state;
	struct position once = chase->position, stored;
	struct db *db = empty_tables();
	uint8_t leaf_hash[HASH_BYTES];

	add_commands(&chase->log, 60);
	publish(chase);
	while (chase->position.seq < chase->log.count) {
		catch_up(chase->db, chase->snapshot, next_end(&chase->log, chase->position.seq),
			 &chase->position);
		assert_int_equal(position_read(chase->db, &stored, NULL), STATUS_OK);
		assert_positions_equal(&stored, &chase->position);
		assert_int_equal(evlog_leaf_hash(chase->snapshot, stored.seq, leaf_hash, NULL),
				 STATUS_OK);
		assert_memory_equal(stored.leaf_hash, leaf_hash, HASH_BYTES);
	}
	catch_up(db, chase->snapshot, chase->log.count, &once);
	assert_same_tables(db, chase->db);
	assert_positions_equal(&once, &chase->position);
	assert_memory_equal(once.log_id, chase->log.log_id, LOG_ID_BYTES);
	/* Or the commands were not what they should be. */
	assert_true(count_rows(db, "violation") > 5);
	assert_true(count_rows(db, "variable") > 5);
	db_close(db);
}

/* So many that a thread reads ahead. */
static void many_at_once_give_what_few_in_turn_give(void **state)
{
	struct chase *chase = *state;
	struct position once = chase->position;
	struct db *db = empty_tables();

	add_commands(&chase->log, 600);
	assert_true(chase->log.count > 1200);
	publish(chase);
	catch_up(db, chase->snapshot, chase->log.count, &once);
	while (chase->position.seq < chase->log.count) {
		uint64_t until = chase->position.seq;

		for (int i = 0; i < 50 && until < chase->log.count; i++)
			until = next_end(&chase->log, until);
		catch_up(chase->db, chase->snapshot, until, &chase->position);
	}
	assert_same_tables(db, chase->db);
	assert_positions_equal(&once, &chase->position);
	db_close(db);
}

static void nothing_to_do_changes_nothing(void **state)
{
	struct chase *chase = *state;
	struct position before;
	struct db *db = empty_tables();

	add_commands(&chase->log, 5);
	publish(chase);
	catch_up(chase->db, chase->snapshot, chase->log.count, &chase->position);
	before = chase->position;
	catch_up(chase->db, chase->snapshot, chase->log.count, &chase->position);
	assert_positions_equal(&chase->position, &before);
	before = position_before(&chase->log);
	catch_up(db, chase->snapshot, chase->log.count, &before);
	assert_same_tables(db, chase->db);
	db_close(db);
}

/* --- wrong logs ------------------------------------------------------------------------------- */

/* Where all wrong logs are right up to: the state there stands in the tables. */
enum { RIGHT = 6 };

static int wrong_setup(void **state)
{
	struct chase *chase;

	if (chase_setup(state))
		return -1;
	chase = *state;
	(void)add_one(&chase->log, environment_created("dev", "p"));
	log_fixture_fill(&chase->log, RIGHT - 2);
	publish(chase);
	catch_up(chase->db, chase->snapshot, RIGHT, &chase->position);
	return 0;
}

/*
 * Catching up from event RIGHT to @until with @snapshot fails like this, and leaves the tables and
 * their position as they were.
 */
static void assert_refused_in(struct chase *chase, struct evlog_snapshot *snapshot, uint64_t until,
			      enum status expected, const char *text)
{
	struct position position = chase->position, stored;
	struct buf before = BUF_INIT, after = BUF_INIT;
	struct error err = ERROR_INIT;

	dump(chase->db, &before);
	run(chase->db, "BEGIN IMMEDIATE");
	assert_int_equal(catchup_apply(chase->db, snapshot, until, &position, &err), expected);
	assert_text(&err, text);
	db_rollback(chase->db);
	dump(chase->db, &after);
	assert_string_equal(buf_str(&after), buf_str(&before));
	assert_int_equal(position_read(chase->db, &stored, NULL), STATUS_OK);
	assert_positions_equal(&stored, &chase->position);
	/* It is the log's failure, for which no rebuild would be a cure. */
	assert_false(db_damaged(chase->db));
	buf_release(&before);
	buf_release(&after);
}

static void assert_refused(struct chase *chase, enum status expected, const char *text)
{
	publish(chase);
	assert_refused_in(chase, chase->snapshot, chase->snapshot->size, expected, text);
}

static void a_log_that_ends_inside_a_command_is_corrupt(void **state)
{
	struct chase *chase = *state;

	log_fixture_fill(&chase->log, 2);
	log_fixture_group(&chase->log, 5); /* 9 to 13 */
	publish(chase);
	for (uint64_t until = 9; until < 13; until++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "ends inside a command, after event %d",
			       (int)until);
		assert_refused_in(chase, chase->snapshot, until, STATUS_CORRUPT, text);
	}
	log_fixture_cut(&chase->log, 12);
	assert_refused(chase, STATUS_CORRUPT, "ends inside a command, after event 12");
}

/* Also when what stands of it breaks a rule. */
static void half_a_command_without_effect_is_corrupt_too(void **state)
{
	struct chase *chase = *state;
	struct payload payload = rolled_back(99);

	(void)add_part(&chase->log, &payload, 1, 3);
	(void)add_part(&chase->log, &payload, 2, 3);
	assert_refused(chase, STATUS_CORRUPT, "ends inside a command, after event 8");
}

static void parts_out_of_order_are_corrupt(void **state)
{
	static const struct {
		uint32_t part[3], parts[3];
		const char *text;
	} cases[] = {
		{ { 2, 0, 0 }, { 2, 0, 0 }, "event 7: not part 1 of 2" },
		{ { 1, 1, 0 }, { 2, 2, 0 }, "event 8: not part 2 of 2" },
		{ { 1, 3, 0 }, { 3, 3, 0 }, "event 8: not part 2 of 3" },
		{ { 1, 2, 3 }, { 3, 3, 4 }, "event 9: not part 3 of 3" },
		{ { 1, 1, 0 }, { 2, 1, 0 }, "event 8: not part 2 of 2" },
		{ { 1, 2, 0 }, { 1, 2, 0 }, "event 8: not part 1 of 2" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct chase *chase = *state;
		struct payload payload = category_defined("x", false);

		for (int j = 0; j < 3 && cases[i].parts[j]; j++) {
			struct event event;

			log_fixture_next(&chase->log, &event);
			event.part = cases[i].part[j];
			event.parts = cases[i].parts[j];
			event.payload = payload;
			log_fixture_add(&chase->log, &event, &chase->log.signer);
		}
		assert_refused(chase, STATUS_CORRUPT, cases[i].text);
		log_fixture_cut(&chase->log, RIGHT);
	}
}

static void an_event_that_does_not_match_the_tree_is_corrupt(void **state)
{
	struct chase *chase = *state;
	struct log_lies lies = { .row_changed = 9, .row_byte = 31 };
	struct evlog *lying;
	struct evlog_snapshot *snapshot = NULL;

	log_fixture_fill(&chase->log, 4);
	publish(chase);
	lying = log_lying(chase->memory, &lies);
	assert_int_equal(evlog_snapshot_open(lying, &snapshot, NULL), STATUS_OK);
	assert_refused_in(chase, snapshot, 10, STATUS_CORRUPT,
			  "event 9: its bytes do not match the tree");
	lies = (struct log_lies){ .leaf_missing = 8 };
	assert_refused_in(chase, snapshot, 10, STATUS_CORRUPT, "leaf is missing");
	lies = (struct log_lies){ .row_missing = 8 };
	assert_refused_in(chase, snapshot, 10, STATUS_CORRUPT, "row is missing");
	lies = (struct log_lies){ .leaf_refused = 10 };
	assert_refused_in(chase, snapshot, 10, STATUS_IO, "does not answer");
	/* What lies behind the end asked for is not looked at. */
	catch_up(chase->db, snapshot, 9, &chase->position);
	evlog_snapshot_close(snapshot);
	evlog_close(lying);
}

static void an_event_that_does_not_follow_is_corrupt(void **state)
{
	struct chase *chase = *state;
	struct event event;

	log_fixture_fill(&chase->log, 1);
	log_fixture_next(&chase->log, &event);
	event.prev[0] ^= 1;
	log_fixture_add(&chase->log, &event, &chase->log.signer);
	assert_refused(chase, STATUS_CORRUPT, "event 8: does not follow event 7");

	log_fixture_cut(&chase->log, 7);
	log_fixture_next(&chase->log, &event);
	event.seq++;
	log_fixture_add(&chase->log, &event, &chase->log.signer);
	assert_refused(chase, STATUS_CORRUPT, "event 8: does not follow event 7");
}

/* The event is sound, but not the one that the tables were built on comes before it. */
static void a_log_that_went_another_way_is_corrupt(void **state)
{
	struct chase *chase = *state;

	log_fixture_cut(&chase->log, RIGHT - 1);
	(void)add_one(&chase->log, category_defined("other", false));
	log_fixture_fill(&chase->log, 1);
	assert_refused(chase, STATUS_CORRUPT, "event 7: does not follow event 6");
}

/* Add an event whose bytes are @bytes behind one that is right. */
static void add_bytes(struct log_fixture *log, struct slice bytes)
{
	struct event event;

	log_fixture_fill(log, 1);
	log_fixture_next(log, &event);
	log_fixture_add_bytes(log, &event, bytes, &log->signer);
}

static void what_is_no_event_is_corrupt(void **state)
{
	struct chase *chase = *state;
	struct buf *leaf;

	add_bytes(&chase->log, slice_str("this is no event"));
	assert_refused(chase, STATUS_CORRUPT, "event 8: ");
	/* Not even long enough for a signature. */
	leaf = &log_fixture_event(&chase->log, 8)->leaf;
	leaf->len = SIGNATURE_BYTES;
	assert_refused(chase, STATUS_CORRUPT, "event 8: too short");
}

static void an_event_of_a_newer_provenv_is_newer(void **state)
{
	struct chase *chase = *state;
	struct buf bytes = BUF_INIT;

	sample_pack_event(&bytes, "profile.painted", "{1 'name' 'p'");
	add_bytes(&chase->log, buf_slice(&bytes));
	assert_refused(chase, STATUS_NEWER, "event 8");
	log_fixture_cut(&chase->log, RIGHT);
	buf_clear(&bytes);
	sample_pack_event(&bytes, "category.defined", "{3 'name' 'x' 'planned' F 'zeal' 7");
	add_bytes(&chase->log, buf_slice(&bytes));
	assert_refused(chase, STATUS_NEWER, "event 8");
	buf_release(&bytes);
}

/* Inside a command too, whose first part would have taken effect. */
static void a_failure_inside_a_command_undoes_its_beginning(void **state)
{
	struct chase *chase = *state;
	struct log_lies lies = { .leaf_missing = 9 };
	struct change change = set("p", "K", "1");
	struct payload payloads[] = { changed("dev", &change), environment_created("new", "p"),
				      named(EVENT_ENVIRONMENT_SWITCHED, "new") };
	struct evlog_snapshot *snapshot = NULL;
	struct evlog *lying;

	(void)add_command(&chase->log, payloads, 3);
	publish(chase);
	lying = log_lying(chase->memory, &lies);
	assert_int_equal(evlog_snapshot_open(lying, &snapshot, NULL), STATUS_OK);
	assert_refused_in(chase, snapshot, 9, STATUS_CORRUPT, "leaf is missing");
	/* The same tables take the command when the log answers. */
	lies.leaf_missing = 0;
	catch_up(chase->db, snapshot, 9, &chase->position);
	assert_int_equal(count_rows(chase->db, "variable"), 1);
	evlog_snapshot_close(snapshot);
	evlog_close(lying);
}

/* Tables that refuse a row stop it as well. */
static void a_failure_to_write_undoes_all(void **state)
{
	struct chase *chase = *state;
	struct position position = chase->position;
	struct payload payloads[] = { category_defined("x", false),
				      environment_created("new", "p") };
	struct buf before = BUF_INIT, after = BUF_INIT;
	struct error err = ERROR_INIT;

	(void)add_command(&chase->log, payloads, 2);
	publish(chase);
	run(chase->db, "CREATE TRIGGER refuse BEFORE INSERT ON profile BEGIN "
		       "SELECT raise(ABORT, 'not this one'); END");
	dump(chase->db, &before);
	run(chase->db, "BEGIN");
	assert_int_equal(catchup_apply(chase->db, chase->snapshot, 8, &position, &err), STATUS_IO);
	assert_text(&err, "not this one");
	db_rollback(chase->db);
	dump(chase->db, &after);
	assert_string_equal(buf_str(&after), buf_str(&before));
	assert_int_equal(position_read(chase->db, &position, NULL), STATUS_OK);
	assert_positions_equal(&position, &chase->position);
	buf_release(&before);
	buf_release(&after);
}

#define ON_LOG(test)   cmocka_unit_test_setup_teardown(test, chase_setup, chase_teardown)
#define ON_WRONG(test) cmocka_unit_test_setup_teardown(test, wrong_setup, chase_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOG(the_position_is_the_last_one_written),
		cmocka_unit_test(a_position_changed_in_any_part_is_damage),
		ON_LOG(a_position_that_cannot_be_kept_is_no_success),
		ON_LOG(pieces_give_what_one_go_gives),
		ON_LOG(many_at_once_give_what_few_in_turn_give),
		ON_LOG(nothing_to_do_changes_nothing),
		ON_WRONG(a_log_that_ends_inside_a_command_is_corrupt),
		ON_WRONG(half_a_command_without_effect_is_corrupt_too),
		ON_WRONG(parts_out_of_order_are_corrupt),
		ON_WRONG(an_event_that_does_not_match_the_tree_is_corrupt),
		ON_WRONG(an_event_that_does_not_follow_is_corrupt),
		ON_WRONG(a_log_that_went_another_way_is_corrupt),
		ON_WRONG(what_is_no_event_is_corrupt),
		ON_WRONG(an_event_of_a_newer_provenv_is_newer),
		ON_WRONG(a_failure_inside_a_command_undoes_its_beginning),
		ON_WRONG(a_failure_to_write_undoes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
