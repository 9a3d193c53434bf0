/*
 * Commands: one violation anywhere undoes the whole of one. Then random commands: what the tables
 * say of the past is what they said when it was the present.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "lib/event_samples.h"
#include "lib/log_fixture.h"
#include "projections/apply.h"
#include "projections/catchup.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/state_model.h"
#include "unit/projections/catchup_fixture.h"
#include "unit/projections/dump.h"
#include "unit/projections/payloads.h"

#include "base/banned.h"

/* --- commands --------------------------------------------------------------------------------- */

struct violations {
	uint64_t seq[8];
	enum apply_rule rule[8];
	size_t count;
};

static enum status note_violation(void *context, const struct table_row *row, struct error *err)
{
	struct violations *violations = context;

	(void)err;
	assert_true(violations->count < 8);
	assert_int_equal(row->from_seq, row->key[0].number);
	violations->seq[violations->count] = row->from_seq;
	violations->rule[violations->count++] = (enum apply_rule)row->column[VIOLATION_RULE].number;
	return STATUS_OK;
}

/* Bring the chase to the end of its log, and return what broke rules on the way. */
static struct violations run_commands(struct chase *chase)
{
	struct violations violations = { .count = 0 };

	publish(chase);
	catch_up(chase->db, chase->snapshot, chase->snapshot->size, &chase->position);
	assert_int_equal(chase->position.seq, chase->log.count);
	assert_int_equal(table_each(chase->db, TAG_VIOLATION, NULL, 0, UINT64_MAX, note_violation,
				    &violations, NULL),
			 STATUS_OK);
	return violations;
}

static void assert_one_violation(struct chase *chase, uint64_t seq, enum apply_rule rule)
{
	struct violations violations = run_commands(chase);

	assert_int_equal(violations.count, 1);
	assert_int_equal(violations.seq[0], seq);
	assert_int_equal(violations.rule[0], rule);
}

/* Environment dev with profile p and A = 1 in event 3. */
static void add_dev(struct log_fixture *log)
{
	struct change change = set("p", "A", "1");

	(void)add_one(log, environment_created("dev", "p"));
	assert_int_equal(add_one(log, changed("dev", &change)), 3);
}

static void a_violation_anywhere_undoes_the_whole_command(void **state)
{
	struct chase *chase = *state;
	struct change changes[] = { set("p", "A", "2"), set("p", "B", "2") };

	add_dev(&chase->log);
	(void)run_commands(chase);
	for (uint32_t wrong = 0; wrong < 4; wrong++) {
		struct payload payloads[] = { variables_changed("dev", changes, 2),
					      environment_created("new", "p"),
					      named(EVENT_ENVIRONMENT_SWITCHED, "new"),
					      environment_locked("dev", 0) };
		struct buf before = BUF_INIT, after = BUF_INIT;
		uint64_t seq = chase->log.count + 1 + wrong;

		payloads[wrong] = variable_unspecified("A");
		(void)add_command(&chase->log, payloads, 4);
		dump(chase->db, &before);
		assert_one_violation(chase, seq, RULE_SPECIFICATION_EXISTS);
		assert_int_equal(db_exec(chase->db, "DELETE FROM violation", NULL), STATUS_OK);
		dump(chase->db, &after);
		assert_string_equal(buf_str(&after), buf_str(&before));
		buf_release(&before);
		buf_release(&after);
	}
}

static void what_follows_the_first_violation_is_not_looked_at(void **state)
{
	struct chase *chase = *state;
	struct payload payloads[] = { environment_created("new", "p"), variable_unspecified("A"),
				      named(EVENT_CATEGORY_REMOVED, "none"),
				      environment_created("new", "p") };

	(void)add_command(&chase->log, payloads, 4);
	assert_one_violation(chase, 3, RULE_SPECIFICATION_EXISTS);
}

static void a_violation_alone_is_noted_too(void **state)
{
	struct chase *chase = *state;

	(void)add_one(&chase->log, rolled_back(2));
	(void)add_one(&chase->log, category_defined("api", false));
	assert_one_violation(chase, 2, RULE_TARGET_OLDER);
}

static void earlier_parts_of_a_command_count(void **state)
{
	struct chase *chase = *state;
	struct change first = set("q", "B", "2"), second = copy("q", "C", 6, 0);
	struct payload payloads[] = { rolled_back(3),
				      profile_event(EVENT_PROFILE_CREATED, "dev", "q", "p"),
				      changed("dev", &first), changed("dev", &second),
				      profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL) };

	add_dev(&chase->log);
	(void)add_command(&chase->log, payloads, 5);
	assert_int_equal(run_commands(chase).count, 0);
}

/* A command that had no effect left no bytes that anything may point at. */
static void a_copy_of_what_took_no_effect_is_broken(void **state)
{
	struct chase *chase = *state;
	struct change first = set("p", "B", "2"), second = copy("p", "C", 4, 0);
	struct payload payloads[] = { changed("dev", &first), rolled_back(99) };
	struct violations violations;

	add_dev(&chase->log);
	(void)add_command(&chase->log, payloads, 2);
	(void)add_one(&chase->log, changed("dev", &second));
	violations = run_commands(chase);
	assert_int_equal(violations.count, 2);
	assert_int_equal(violations.seq[0], 5);
	assert_int_equal(violations.rule[0], RULE_TARGET_OLDER);
	assert_int_equal(violations.seq[1], 6);
	assert_int_equal(violations.rule[1], RULE_COPY_TARGET);
}

/* --- random commands -------------------------------------------------------------------------- */

/* Few names, so that most commands meet what stands. */
static const char *const environments[] = { "a", "b", "c" };
static const char *const profiles[] = { "p", "q", "r", "s" };
static const char *const keys[] = { "A", "B", "C" };

enum { EVENTS = 300 };

#define ANY(random, names) (names)[sample_below(random, sizeof(names) / sizeof((names)[0]))]

/* Often none. */
static const char *any_base(struct sample_random *random)
{
	return sample_below(random, 2) ? ANY(random, profiles) : NULL;
}

static struct change random_change(struct sample_random *random, const char *profile,
				   const char *key, uint64_t seq)
{
	size_t kind = sample_below(random, 8);

	if (kind == 0)
		return unset(profile, key);
	if (kind == 1)
		return seal_nothing(profile, key);
	if (kind <= 3 && seq > 1)
		return copy(profile, key, 1 + sample_below(random, seq),
			    (uint32_t)sample_below(random, 2));
	return kind == 4 ? set_template(profile, key, "${A}") : set(profile, key, "1");
}

/* Of one profile, now and then of two. @changes must live as long as the payload. */
static struct payload random_changes(struct sample_random *random, uint64_t seq,
				     struct change changes[4])
{
	size_t from = sample_below(random, 2), count = 0;
	const char *profile = ANY(random, profiles);

	for (size_t i = from; i < 3 && count < 1 + sample_below(random, 3); i++)
		changes[count++] = random_change(random, profile, keys[i], seq);
	if (sample_below(random, 8) == 0 && profile[0] != 's')
		changes[count++] = random_change(random, "s", "A", seq);
	return variables_changed(ANY(random, environments), changes, count);
}

static struct payload random_catalogue_event(struct sample_random *random)
{
	switch (sample_below(random, 5)) {
	case 0:
		return category_defined(ANY(random, profiles), sample_below(random, 2));
	case 1:
		return named(EVENT_CATEGORY_REMOVED, ANY(random, profiles));
	case 2:
		return variable_unspecified(ANY(random, keys));
	default:
		return variable_specified(ANY(random, keys), any_base(random));
	}
}

static struct payload random_environment_event(struct sample_random *random, uint64_t generation)
{
	const char *name = ANY(random, environments);

	switch (sample_below(random, 9)) {
	case 0:
		return environment_changed(name, sample_below(random, 2));
	case 1:
		return named(EVENT_ENVIRONMENT_REMOVED, name);
	case 2:
		return named(EVENT_ENVIRONMENT_SWITCHED, name);
	case 3:
		return environment_locked(name, sample_below(random, 2));
	case 4:
		return named(EVENT_ENVIRONMENT_UNLOCKED, name);
	case 5:
		return environment_keyed(name, generation);
	default:
		return environment_created(name, ANY(random, profiles));
	}
}

static struct payload random_profile_event(struct sample_random *random)
{
	const char *environment = ANY(random, environments), *name = ANY(random, profiles);

	switch (sample_below(random, 8)) {
	case 0:
		return profile_event(EVENT_PROFILE_REMOVED, environment, name, NULL);
	case 1:
		return profile_event(EVENT_PROFILE_SWITCHED, environment, name, NULL);
	case 2:
		return profile_event(EVENT_PROFILE_CHANGED, environment, name, any_base(random));
	case 3:
		return database_attached(environment, name, "main", ANY(random, keys));
	case 4:
		return database_detached(environment, name, "main");
	default:
		return profile_event(EVENT_PROFILE_CREATED, environment, name, any_base(random));
	}
}

static void add_random_command(struct sample_random *random, struct log_fixture *log)
{
	uint32_t parts = sample_below(random, 3) ? 1 : 2 + (uint32_t)sample_below(random, 3);

	for (uint32_t part = 1; part <= parts; part++) {
		uint64_t seq = log->count + 1;
		size_t kind = sample_below(random, 16);
		struct change changes[4];
		struct payload payload;

		if (kind < 3)
			payload = random_environment_event(random, 1 + sample_below(random, 3));
		else if (kind < 7)
			payload = random_profile_event(random);
		else if (kind < 9)
			payload = random_catalogue_event(random);
		else if (kind < 10)
			payload = rolled_back(1 + sample_below(random, seq));
		else
			payload = random_changes(random, seq, changes);
		(void)add_part(log, &payload, part, parts);
	}
}

/* What table_each() shows of every tag at one event, as bytes. */
struct sight {
	struct db *db;
	struct buf rows[TAG_COUNT];
	enum state_tag tag;
	uint64_t at;
};

/* Each row must also be the one that is found by its key. */
static enum status see_row(void *context, const struct table_row *row, struct error *err)
{
	struct sight *sight = context;
	struct buf *rows = &sight->rows[sight->tag];
	struct table_row found = { .from_seq = 0 };

	assert_int_equal(table_get(sight->db, sight->tag, row->key, sight->at, NULL, &found, err),
			 STATUS_OK);
	assert_int_equal(found.from_seq, row->from_seq);
	for (unsigned i = 0; i < TABLE_KEYS_MAX + TABLE_COLUMNS_MAX; i++) {
		const struct cell *cell =
			i < TABLE_KEYS_MAX ? &row->key[i] : &row->column[i - TABLE_KEYS_MAX];

		buf_append(rows, &cell->number, sizeof(cell->number));
		buf_append(rows, &cell->bytes.len, sizeof(cell->bytes.len));
		buf_append_slice(rows, cell->bytes);
	}
	buf_append(rows, &row->from_seq, sizeof(row->from_seq));
	return STATUS_OK;
}

static void see(struct sight *sight, enum state_tag tag, const struct cell *prefix, unsigned count)
{
	sight->tag = tag;
	assert_int_equal(table_each(sight->db, tag, prefix, count, sight->at, see_row, sight, NULL),
			 STATUS_OK);
}

static void see_all(struct db *db, uint64_t at, struct sight *ret)
{
	*ret = (struct sight){ .db = db, .at = at };
	for (int tag = 0; tag < TAG_COUNT; tag++) {
		if (tag != TAG_VARIABLE)
			see(ret, (enum state_tag)tag, NULL, 0);
	}
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 4; j++) {
			struct cell prefix[] = { cell_text(slice_str(environments[i])),
						 cell_text(slice_str(profiles[j])) };

			see(ret, TAG_VARIABLE, prefix, 2);
		}
	}
}

static void sight_release(struct sight *sight)
{
	for (int tag = 0; tag < TAG_COUNT; tag++)
		buf_release(&sight->rows[tag]);
}

/*
 * The commands applied without catchup: one event after another, and what is seen after each, as
 * it is then.
 */
struct witness {
	struct db *db;
	struct event_reader *reader;
	struct sight *seen; /* by event number */
	unsigned effective;
	unsigned rejected;
};

static void witness_event(struct witness *witness, uint64_t seq, enum apply_rule *ret_broken)
{
	struct arena arena = ARENA_INIT;
	const struct read_event *event;
	struct error err = ERROR_INIT;

	if (event_reader_get(witness->reader, seq, &event, &err) ||
	    apply_event(witness->db, &event->decoded, &arena, ret_broken, &err))
		fail_msg("event %d: %s", (int)seq, err.text);
	arena_release(&arena);
}

/* A command without effect shows what was before it, and from the event that broke the rule on
 * that it did. */
static void witness_rejected(struct witness *witness, uint64_t first, uint64_t seq,
			     enum apply_rule rule)
{
	struct cell key = cell_number(seq), column = cell_number((uint64_t)rule);

	assert_int_equal(db_exec(witness->db, "ROLLBACK TO witness", NULL), STATUS_OK);
	for (uint64_t at = first; at < seq; at++) {
		sight_release(&witness->seen[at]);
		see_all(witness->db, UINT64_MAX, &witness->seen[at]);
	}
	assert_int_equal(table_put(witness->db, TAG_VIOLATION, &key, &column, seq, NULL),
			 STATUS_OK);
	witness->rejected++;
}

/* Returns the last event of the command that begins at @first. */
static uint64_t witness_command(struct witness *witness, uint64_t first)
{
	enum apply_rule broken = RULE_NONE;
	const struct read_event *event;
	uint64_t last, seq = first;

	assert_int_equal(event_reader_get(witness->reader, first, &event, NULL), STATUS_OK);
	last = first + event->decoded.event.parts - 1;
	assert_int_equal(db_exec(witness->db, "SAVEPOINT witness", NULL), STATUS_OK);
	for (; seq <= last; seq++) {
		witness_event(witness, seq, &broken);
		if (broken != RULE_NONE) {
			witness_rejected(witness, first, seq, broken);
			break;
		}
		see_all(witness->db, UINT64_MAX, &witness->seen[seq]);
	}
	assert_int_equal(db_exec(witness->db, "RELEASE witness", NULL), STATUS_OK);
	for (; seq <= last; seq++)
		see_all(witness->db, UINT64_MAX, &witness->seen[seq]);
	witness->effective += broken == RULE_NONE;
	return last;
}

static void assert_same_sight(const struct sight *past, const struct sight *then)
{
	for (int tag = 0; tag < TAG_COUNT; tag++) {
		if (!slice_equal(buf_slice(&past->rows[tag]), buf_slice(&then->rows[tag])))
			fail_msg("%s at event %d is not what it was",
				 state_tag_name((enum state_tag)tag), (int)past->at);
	}
}

/* Nothing stands without what it stands in, and only what stood is ever gone. */
static void assert_sound(struct db *db)
{
	static const char sql[] =
		"SELECT 1 FROM profile_now p WHERE NOT EXISTS (SELECT 1 FROM environment_now "
		"WHERE name = p.environment)"
		" UNION ALL SELECT 1 FROM profile_now p WHERE base <> '' AND NOT EXISTS (SELECT 1 "
		"FROM profile_now b WHERE b.environment = p.environment AND b.name = p.base)"
		" UNION ALL SELECT 1 FROM variable_now v WHERE NOT EXISTS (SELECT 1 FROM "
		"profile_now WHERE environment = v.environment AND name = v.profile)"
		" UNION ALL SELECT 1 FROM database_now d WHERE NOT EXISTS (SELECT 1 FROM "
		"profile_now WHERE environment = d.environment AND name = d.profile)"
		" UNION ALL SELECT 1 FROM environment_now e WHERE NOT EXISTS (SELECT 1 FROM "
		"active_now a JOIN profile_now p ON p.environment = e.name AND p.name = a.name "
		"WHERE a.environment = e.name)"
		" UNION ALL SELECT 1 FROM active_now a WHERE environment = '' AND NOT EXISTS "
		"(SELECT 1 FROM environment_now WHERE name = a.name)"
		" UNION ALL SELECT 1 FROM lock_now l WHERE NOT EXISTS (SELECT 1 FROM "
		"environment_now WHERE name = l.environment)"
		" UNION ALL SELECT 1 FROM variable WHERE value_seq > from_seq";
	struct buf rows = BUF_INIT;

	make_now_views(db);
	dump_rows(db_handle(db), sql, &rows);
	for (int i = 0; i < TAG_COUNT; i++) {
		char gone[256];

		(void)sqlite3_snprintf(
			sizeof(gone), gone,
			"SELECT 1 FROM (SELECT gone, lag(gone, 1, 1) OVER (PARTITION "
			"BY %s ORDER BY from_seq) AS before FROM %s) WHERE gone AND "
			"before",
			table_keys((enum state_tag)i), table_name((enum state_tag)i));
		dump_rows(db_handle(db), gone, &rows);
	}
	assert_string_equal(buf_str(&rows), "");
	buf_release(&rows);
}

static void the_past_is_what_the_present_was(void **state)
{
	struct chase *chase = *state;
	struct sample_random random = sample_seed();
	struct witness witness = { .db = empty_tables() };

	(void)add_one(&chase->log, environment_created("a", "p"));
	while (chase->log.count < EVENTS)
		add_random_command(&random, &chase->log);
	publish(chase);
	assert_int_equal(event_reader_new(chase->snapshot, &witness.reader, NULL), STATUS_OK);
	witness.seen = calloc(chase->log.count + 1, sizeof(*witness.seen));
	assert_non_null(witness.seen);
	for (uint64_t seq = 1; seq <= chase->log.count; seq++)
		seq = witness_command(&witness, seq);
	event_reader_free(witness.reader);
	/* Or the commands were not what they should be. */
	assert_true(witness.effective > 20);
	assert_true(witness.rejected > 20);

	catch_up(chase->db, chase->snapshot, chase->snapshot->size, &chase->position);
	assert_same_tables(chase->db, witness.db);
	assert_sound(chase->db);
	for (uint64_t seq = 0; seq <= chase->log.count; seq++) {
		struct sight past;

		see_all(chase->db, seq, &past);
		assert_same_sight(&past, &witness.seen[seq]);
		sight_release(&past);
		sight_release(&witness.seen[seq]);
	}
	free(witness.seen);
	db_close(witness.db);
}

#define ON_LOG(test) cmocka_unit_test_setup_teardown(test, chase_setup, chase_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOG(a_violation_anywhere_undoes_the_whole_command),
		ON_LOG(what_follows_the_first_violation_is_not_looked_at),
		ON_LOG(a_violation_alone_is_noted_too),
		ON_LOG(earlier_parts_of_a_command_count),
		ON_LOG(a_copy_of_what_took_no_effect_is_broken),
		ON_LOG(the_past_is_what_the_present_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
