/*
 * The state hash: what it is for a fixed log, worked out from docs/FORMAT.md alone; what changes
 * it, and what does not; and that damaged tables have none.
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
#include "base/text.h"
#include "projections/db.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/seal.h"
#include "store/state_model.h"
#include "store/store.h"
#include "store/vault.h"
#include "unit/projections/dump.h"
#include "unit/projections/payloads.h"
#include "unit/projections/state_fixture.h"
#include "unit/store/store_fixture.h"

#include "base/banned.h"

static const uint8_t commitment[HASH_BYTES] = "the commitment of a sealed one!";
static const uint8_t sealed[256] = "ciphertext";

static const struct lang_text titles[] = {
	{ { (const uint8_t *)"de", 2 }, { (const uint8_t *)"Entwicklung", 11 } },
	{ { (const uint8_t *)"en", 2 }, { (const uint8_t *)"Development", 11 } },
};
static const struct langmap title = { titles, 2 };

/* Of full_log(), and of no entries at all. */
#define FULL_HASH  "0d9a70af36689790908997e2ed82ba10c7a52de6774eb2248f95fb742b7d07c2"
#define EMPTY_HASH "5de59fe0eb7764ca6e641ea2dac644fafa0dbbbe3b42fceb1f71b4f17454e373"

static void hash_now(struct scene *scene, uint8_t ret[HASH_BYTES])
{
	look(scene);
	hash_at(scene, projection_seq(scene->projection), ret);
}

static void assert_hash(struct scene *scene, uint64_t seq, const char *expected)
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	hash_at(scene, seq, hash);
	text_to_hex(hash, HASH_BYTES, hex);
	assert_string_equal(hex, expected);
}

/* --- one log with an entry of every kind ------------------------------------------------------ */

enum { FULL_COMMANDS = 15 };

/* Where a hash may be asked for: the last event of each command. Returns the last one's. */
static uint64_t full_log(struct scene *scene, uint64_t ret[FULL_COMMANDS])
{
	struct payload category = category_defined("logging", true);
	struct payload specified = variable_specified("LEVEL", "logging");
	struct payload dev = environment_changed("dev", true);
	struct payload profile = profile_event(EVENT_PROFILE_CREATED, "dev", "q", "p");
	struct change changes[] = { set("p", "A", "one"), set_template("p", "B", "${A}"),
				    seal("p", "S", commitment, sealed) };
	struct change gone[] = { set("q", "A", "two") };
	struct change copies[] = { copy("main", "A", 0, 0), copy("main", "S", 0, 2) };
	struct change away = unset("q", "A");
	size_t n = 0;

	payload_langmap(&category, FIELD_TITLE, title);
	payload_str(&specified, FIELD_DEFAULT, "info");
	payload_langmap(&dev, FIELD_TITLE, title);
	payload_langmap(&profile, FIELD_DESCRIPTION, title);
	ret[n++] = commit_dev(scene); /* 3 */
	ret[n++] = commit_one(scene, category);
	ret[n++] = commit_one(scene, specified);
	ret[n++] = commit_one(scene, dev);
	ret[n++] = commit_one(scene, environment_created("prod", "main"));
	ret[n++] = commit_one(scene, environment_locked("prod", 1234567890123));
	ret[n++] = commit_one(scene, profile);
	ret[n++] = commit_one(scene, environment_keyed("dev", 1)); /* 10 */
	ret[n++] = commit_one(scene, variables_changed("dev", changes, 3));
	copies[0].copy_seq = copies[1].copy_seq = ret[n - 1];
	copies[0].expand = true;
	ret[n++] = commit_one(scene, variables_changed("dev", gone, 1));
	ret[n++] = commit_one(scene, variables_changed("prod", copies, 2));
	ret[n++] = commit_one(scene, variables_changed("dev", &away, 1));
	ret[n++] = commit_one(scene, variables_changed("dev", &away, 1)); /* 15: has no effect */
	ret[n++] = commit_one(scene, database_attached("dev", "p", "main", "data/main.db"));
	ret[n++] = commit_one(scene, environment_locked("dev", 0));
	assert_int_equal(n, FULL_COMMANDS);
	return ret[n - 1];
}

static void test_golden(void **state)
{
	struct scene *scene = *state;
	uint64_t ends[FULL_COMMANDS];
	uint64_t last = full_log(scene, ends);

	look(scene);
	assert_hash(scene, 0, EMPTY_HASH);
	assert_hash(scene, 1, EMPTY_HASH); /* store.created has no effect on state */
	assert_hash(scene, last, FULL_HASH);
}

/* Keys, times, ids and the log's identity are not state. */
static void test_two_logs_of_one_state(void **state)
{
	struct scene *scene = *state;
	struct scene *other;
	uint64_t ends[FULL_COMMANDS];

	(void)full_log(scene, ends);
	look(scene);
	assert_hash(scene, projection_seq(scene->projection), FULL_HASH);
	assert_hash(scene, projection_seq(scene->projection), FULL_HASH);
	other = scene_begin();
	other->fixture->clock_ms += 123456;
	(void)full_log(other, ends);
	look(other);
	assert_memory_not_equal(store_log_id(scene->store), store_log_id(other->store),
				LOG_ID_BYTES);
	assert_hash(other, projection_seq(other->projection), FULL_HASH);
	scene_end(other);
}

/* --- the past --------------------------------------------------------------------------------- */

/*
 * At each event the hash is what it was when the log ended there. That also says that tables filled
 * command by command and tables filled at once have the same.
 */
static void test_hash_of_the_past(void **state)
{
	struct scene *scene = *state;
	uint64_t ends[FULL_COMMANDS];
	uint8_t piecewise[FULL_COMMANDS + 2][HASH_BYTES];
	uint8_t hash[HASH_BYTES];
	size_t count = 0;
	struct scene *growing;
	uint64_t last = full_log(scene, ends);

	look(scene);
	/* The same events once more, looked at after each. */
	growing = scene_begin();
	for (uint64_t seq = 2; seq <= last; seq = ends[count++] + 1) {
		const struct read_event *event;
		struct payload payloads[2];
		size_t parts = (size_t)(ends[count] - seq + 1);

		assert_in_range(parts, 1, 2);
		for (size_t i = 0; i < parts; i++) {
			assert_int_equal(event_reader_get(projection_reader(scene->projection),
							  seq + i, &event, NULL),
					 STATUS_OK);
			payloads[i] = event->decoded.event.payload;
		}
		assert_int_equal(commit(growing, payloads, parts), ends[count]);
		hash_now(growing, piecewise[count]);
	}
	assert_int_equal(count, FULL_COMMANDS);
	for (size_t i = 0; i < count; i++) {
		hash_at(scene, ends[i], hash);
		assert_memory_equal(hash, piecewise[i], HASH_BYTES);
		hash_at(growing, ends[i], hash);
		assert_memory_equal(hash, piecewise[i], HASH_BYTES);
		/* Every command of this log changes something. */
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(piecewise[i], piecewise[j], HASH_BYTES);
	}
	scene_end(growing);
}

static void test_rebuilt_and_fresh(void **state)
{
	struct scene *scene = *state;
	uint64_t ends[FULL_COMMANDS];
	uint64_t last = full_log(scene, ends);
	uint8_t fresh[HASH_BYTES], hash[HASH_BYTES];

	look(scene);
	assert_int_equal(projection_fresh_hash(scene->projection, fresh, NULL), STATUS_OK);
	hash_at(scene, last, hash);
	assert_memory_equal(fresh, hash, HASH_BYTES);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_hash(scene, last, FULL_HASH);
}

/* --- what changes it -------------------------------------------------------------------------- */

/* Commit, and the hash must be another one than all before. */
struct seen {
	uint8_t hashes[64][HASH_BYTES];
	size_t count;
};

static void assert_new(struct scene *scene, struct seen *seen, struct payload payload)
{
	uint8_t hash[HASH_BYTES];

	(void)commit_one(scene, payload);
	hash_now(scene, hash);
	assert_in_range(seen->count, 0, 63);
	for (size_t i = 0; i < seen->count; i++) {
		if (memcmp(seen->hashes[i], hash, HASH_BYTES) == 0)
			fail_msg("%s changed nothing", event_type_info(payload.type)->name);
	}
	memcpy(seen->hashes[seen->count++], hash, HASH_BYTES);
}

static void assert_new_change(struct scene *scene, struct seen *seen, struct change change)
{
	assert_new(scene, seen, changed("dev", &change));
}

static void test_each_kind_of_change(void **state)
{
	static const uint8_t other_commitment[HASH_BYTES] = "another";
	struct scene *scene = *state;
	struct seen seen = { .count = 0 };
	struct payload titled = environment_changed("dev", true), described = titled;
	struct payload defaulted = variable_specified("A", "logs");

	payload_langmap(&titled, FIELD_TITLE, title);
	payload_langmap(&described, FIELD_DESCRIPTION, title);
	payload_str(&defaulted, FIELD_DEFAULT, "");
	assert_new(scene, &seen, environment_created("dev", "p"));
	assert_new(scene, &seen, named(EVENT_ENVIRONMENT_SWITCHED, "dev"));
	assert_new(scene, &seen, environment_created("prod", "p"));
	assert_new(scene, &seen, environment_created("prof", "q"));
	assert_new(scene, &seen, named(EVENT_ENVIRONMENT_SWITCHED, "prod"));
	assert_new(scene, &seen, environment_changed("dev", true));
	assert_new(scene, &seen, titled);
	assert_new(scene, &seen, described); /* the same map in another place */
	assert_new(scene, &seen, environment_locked("dev", 1));
	assert_new(scene, &seen, environment_locked("dev", 2));
	assert_new(scene, &seen, environment_locked("dev", 0));
	assert_new(scene, &seen, environment_keyed("dev", 1));
	assert_new(scene, &seen, environment_keyed("dev", 2));
	assert_new(scene, &seen, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	assert_new(scene, &seen, profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "p"));
	assert_new(scene, &seen, profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL));
	assert_new(scene, &seen, category_defined("logs", false));
	assert_new(scene, &seen, category_defined("logs", true));
	assert_new(scene, &seen, variable_specified("A", NULL));
	assert_new(scene, &seen, variable_specified("A", "logs"));
	assert_new(scene, &seen, defaulted);
	assert_new_change(scene, &seen, set("p", "A", ""));
	assert_new_change(scene, &seen, set("p", "A", "x"));
	assert_new_change(scene, &seen, set("q", "A", "x"));
	assert_new_change(scene, &seen, set("q", "AA", "x"));
	assert_new_change(scene, &seen, set_template("p", "A", "x"));
	assert_new_change(scene, &seen, seal("p", "A", commitment, sealed));
	assert_new_change(scene, &seen, seal("p", "A", other_commitment, sealed));
	assert_new(scene, &seen, database_attached("dev", "p", "main", "a.db"));
	assert_new(scene, &seen, database_attached("dev", "p", "main", "b.db"));
	assert_new(scene, &seen, database_attached("dev", "q", "main", "b.db"));
	assert_new(scene, &seen, named(EVENT_ENVIRONMENT_REMOVED, "none")); /* violations */
	assert_new(scene, &seen, named(EVENT_ENVIRONMENT_REMOVED, "none"));
	assert_new(scene, &seen, named(EVENT_ENVIRONMENT_REMOVED, "prof"));
}

/* What is taken back leaves no trace, but for keys and violations. */
static void test_what_is_taken_back(void **state)
{
	struct scene *scene = *state;
	uint64_t dev = commit_dev(scene), last;
	uint8_t before[HASH_BYTES], after[HASH_BYTES];

	(void)commit_one(scene, environment_created("prod", "p"));
	(void)commit_one(scene, environment_locked("dev", 1));
	(void)commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	(void)commit_one(scene, category_defined("logs", false));
	(void)commit_one(scene, variable_specified("A", "logs"));
	(void)commit_change(scene, set("q", "A", "one"));
	(void)commit_change(scene, set("p", "A", "one"));
	(void)commit_one(scene, database_attached("dev", "p", "main", "a.db"));
	(void)commit_one(scene, database_detached("dev", "p", "main"));
	(void)commit_change(scene, unset("p", "A"));
	(void)commit_one(scene, variable_unspecified("A"));
	(void)commit_one(scene, named(EVENT_CATEGORY_REMOVED, "logs"));
	(void)commit_one(scene, profile_event(EVENT_PROFILE_REMOVED, "dev", "q", NULL));
	(void)commit_one(scene, named(EVENT_ENVIRONMENT_UNLOCKED, "dev"));
	last = commit_one(scene, named(EVENT_ENVIRONMENT_REMOVED, "prod"));
	look(scene);
	hash_at(scene, dev, before);
	hash_at(scene, last, after);
	assert_memory_equal(before, after, HASH_BYTES);
}

/* The same bytes by another way: what counts is what is in force, not who put it there. */
static void test_ways_to_one_state(void **state)
{
	struct scene *scene = *state;
	uint64_t source, other;
	uint8_t by_set[HASH_BYTES], by_copy[HASH_BYTES];

	(void)commit_dev(scene);
	source = commit_change(scene, set("p", "A", "one"));
	other = commit_change(scene, set("p", "A", "two"));
	(void)commit_change(scene, copy("p", "A", source, 0));
	hash_now(scene, by_copy);
	hash_at(scene, source, by_set);
	assert_memory_equal(by_set, by_copy, HASH_BYTES);
	hash_at(scene, other, by_set);
	assert_memory_not_equal(by_set, by_copy, HASH_BYTES);
}

/* --- secrets ---------------------------------------------------------------------------------- */

/* By their commitment alone: neither the ciphertext counts nor whether it can still be opened. */
static void test_secrets(void **state)
{
	static const uint8_t other_sealed[256] = "other text";
	struct scene *scene = *state;
	const struct vault_entry entry = { .generation = 1 };
	struct seal_place place = { .part = 1, .index = 0 };
	struct variable_value value;
	struct variable variable;
	struct state_view view;
	uint64_t first, second;
	uint8_t before[HASH_BYTES], after[HASH_BYTES];

	(void)commit_dev(scene);
	first = commit_change(scene, seal("p", "S", commitment, sealed));
	look(scene);
	view = view_now(scene);
	assert_int_equal(state_variable(&view, slice_str("dev"), slice_str("p"), slice_str("S"),
					&variable, NULL),
			 STATUS_OK);
	assert_int_equal(state_value(&view, &variable, &value, NULL), STATUS_OK);
	memcpy(place.log_id, store_log_id(scene->store), LOG_ID_BYTES);
	memcpy(place.command_id, value.command_id, COMMAND_ID_BYTES);
	assert_int_equal(vault_write(store_vault_dir(scene->store), &place, &entry, NULL),
			 STATUS_OK);
	hash_at(scene, first, before);
	assert_int_equal(vault_remove(store_vault_dir(scene->store), &place, NULL), STATUS_OK);
	hash_at(scene, first, after);
	assert_memory_equal(before, after, HASH_BYTES);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	hash_at(scene, first, after);
	assert_memory_equal(before, after, HASH_BYTES);
	second = commit_change(scene, seal("p", "S", commitment, other_sealed));
	look(scene);
	hash_at(scene, second, after);
	assert_memory_equal(before, after, HASH_BYTES);
}

/* --- how the tables lie ----------------------------------------------------------------------- */

static void test_order_of_rows(void **state)
{
	struct scene *scene = *state;
	uint64_t ends[FULL_COMMANDS];
	uint64_t last = full_log(scene, ends);
	uint8_t before[FULL_COMMANDS][HASH_BYTES], hash[HASH_BYTES];

	look(scene);
	for (size_t i = 0; i < FULL_COMMANDS; i++)
		hash_at(scene, ends[i], before[i]);
	for (int tag = 0; tag < TAG_COUNT; tag++) {
		const char *name = table_name((enum state_tag)tag);
		char sql[512];

		(void)snprintf(sql, sizeof(sql),
			       "CREATE TEMP TABLE turned AS SELECT * FROM %s ORDER BY random();"
			       "DELETE FROM main.%s;"
			       "INSERT INTO main.%s SELECT * FROM turned ORDER BY from_seq DESC;"
			       "DROP TABLE turned",
			       name, name, name);
		assert_int_equal(db_exec(projection_db(scene->projection), sql, NULL), STATUS_OK);
	}
	for (size_t i = 0; i < FULL_COMMANDS; i++) {
		hash_at(scene, ends[i], hash);
		assert_memory_equal(hash, before[i], HASH_BYTES);
	}
	assert_hash(scene, last, FULL_HASH);
}

static enum status try_hash(struct scene *scene, uint8_t ret[HASH_BYTES], struct error *err)
{
	struct state_view view = view_now(scene);

	return state_hash(&view, ret, err);
}

static void assert_no_hash(struct scene *scene)
{
	uint8_t hash[HASH_BYTES] = { 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(try_hash(scene, hash, &err), STATUS_CORRUPT);
	assert_int_equal(hash[0], 77);
	assert_true(projection_damaged(scene->projection));
}

static void test_row_that_contradicts_the_log(void **state)
{
	struct scene *scene = *state;
	uint64_t ends[FULL_COMMANDS];
	uint64_t last = full_log(scene, ends);

	look(scene);
	assert_int_equal(db_exec(projection_db(scene->projection),
				 "UPDATE variable SET value_index = 1 WHERE key = 'A'", NULL),
			 STATUS_OK);
	assert_no_hash(scene);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_hash(scene, last, FULL_HASH);
}

/* Replace bytes in the file itself, where SQLite keeps no sum over them. */
static void damage_name(const struct scene *scene, const char *from, const char *to)
{
	char path[STATE_PATH_MAX];
	struct buf content = BUF_INIT;
	size_t len = strlen(from), count = 0;

	save(state_file(scene, "1.db", path), &content);
	for (size_t i = 0; i + len <= content.len; i++) {
		if (memcmp(content.data + i, from, len) == 0) {
			memcpy(content.data + i, to, len);
			count++;
		}
	}
	assert_true(count > 0);
	put_back(path, &content);
	buf_release(&content);
}

/* Keys that are no longer in order in their own index: no state, and nothing that ends us. */
static void test_keys_out_of_order(void **state)
{
	struct scene *scene = *state;
	uint8_t hash[HASH_BYTES];

	(void)commit_one(scene, category_defined("aaaa-first", false));
	(void)commit_one(scene, category_defined("bbbb-second", false));
	(void)commit_one(scene, category_defined("cccc-third", false));
	look(scene);
	close_projection(scene);
	damage_name(scene, "aaaa-first", "zzzz-first");
	look(scene);
	assert_no_hash(scene);
	assert_int_equal(projection_rebuild(scene->projection, NULL), STATUS_OK);
	assert_int_equal(try_hash(scene, hash, NULL), STATUS_OK);
}

static void test_a_key_twice(void **state)
{
	struct scene *scene = *state;

	(void)commit_one(scene, category_defined("aaaa-same", false));
	(void)commit_one(scene, category_defined("bbbb-same", false));
	(void)commit_one(scene, category_defined("cccc-same", false));
	look(scene);
	close_projection(scene);
	damage_name(scene, "cccc-same", "aaaa-same");
	look(scene);
	assert_no_hash(scene);
}

static void test_missing_table(void **state)
{
	struct scene *scene = *state;

	(void)commit_dev(scene);
	look(scene);
	close_projection(scene);
	tamper(scene, "1.db", "DROP TABLE violation");
	look(scene);
	assert_no_hash(scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_golden),
		TEST(test_two_logs_of_one_state),
		TEST(test_hash_of_the_past),
		TEST(test_rebuilt_and_fresh),
		TEST(test_each_kind_of_change),
		TEST(test_what_is_taken_back),
		TEST(test_ways_to_one_state),
		TEST(test_secrets),
		TEST(test_order_of_rows),
		TEST(test_row_that_contradicts_the_log),
		TEST(test_keys_out_of_order),
		TEST(test_a_key_twice),
		TEST(test_missing_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
