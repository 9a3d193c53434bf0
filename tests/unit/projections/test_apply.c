/*
 * The effect of every event type on the tables, and every rule of every type broken.
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
#include "projections/apply.h"
#include "projections/db.h"
#include "projections/tables.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/state_model.h"
#include "unit/projections/catchup_fixture.h"
#include "unit/projections/dump.h"
#include "unit/projections/payloads.h"

#include "base/banned.h"

/* Tables, and the number of the last event applied to them. */
struct bench {
	struct db *db;
	struct buf payload; /* of the last event */
	struct buf text;    /* what is compared */
	uint64_t seq;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench)
		return -1;
	bench->db = empty_tables();
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	db_close(bench->db);
	buf_release(&bench->payload);
	buf_release(&bench->text);
	free(bench);
	return 0;
}

/* Apply an event of the next number. The number is used up only when it takes effect. */
static enum status attempt(struct bench *bench, struct payload payload, enum apply_rule *ret_broken,
			   struct error *err)
{
	struct arena arena = ARENA_INIT;
	struct decoded_event decoded = { .event = { .seq = bench->seq + 1, .payload = payload } };
	enum status status;

	buf_clear(&bench->payload);
	assert_int_equal(payload_encode(&payload, &bench->payload, NULL), STATUS_OK);
	decoded.payload_bytes = buf_slice(&bench->payload);
	status = apply_event(bench->db, &decoded, &arena, ret_broken, err);
	arena_release(&arena);
	return status;
}

static enum apply_rule apply(struct bench *bench, struct payload payload)
{
	enum apply_rule broken = RULE_NONE;
	struct error err = ERROR_INIT;

	if (attempt(bench, payload, &broken, &err))
		fail_msg("%s: %s", event_type_info(payload.type)->name, err.text);
	if (broken == RULE_NONE)
		bench->seq++;
	return broken;
}

static uint64_t takes(struct bench *bench, struct payload payload)
{
	enum apply_rule broken = apply(bench, payload);

	if (broken != RULE_NONE)
		fail_msg("%s breaks %s", event_type_info(payload.type)->name,
			 apply_rule_name(broken));
	return bench->seq;
}

/* --- effects ---------------------------------------------------------------------------------- */

static void add_cell(struct bench *bench, sqlite3_stmt *stmt, int at)
{
	struct slice bytes =
		slice_of(sqlite3_column_blob(stmt, at), (size_t)sqlite3_column_bytes(stmt, at));
	bool blob = sqlite3_column_type(stmt, at) == SQLITE_BLOB;

	if (bytes.len == 0)
		buf_append_str(&bench->text, blob ? " -" : " ''");
	else if (blob && slice_equal(bytes, buf_slice(&bench->payload)))
		buf_append_str(&bench->text, " PAYLOAD");
	else
		buf_printf(&bench->text, " " SLICE_FMT, SLICE_ARG(bytes));
}

static void add_rows(struct bench *bench, enum state_tag tag, char sign, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db_handle(bench->db), sql, -1, &stmt, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(db_handle(bench->db)));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		int count =
			sign == '-' ? (int)table_key_count(tag) : sqlite3_column_count(stmt) - 2;

		buf_printf(&bench->text, "%c%s", sign, state_tag_name(tag));
		for (int i = 0; i < count; i++)
			add_cell(bench, stmt, i);
		buf_append_str(&bench->text, "\n");
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void add_changes(struct bench *bench, enum state_tag tag)
{
	const char *name = table_name(tag), *keys = table_keys(tag);
	char sql[512];

	(void)sqlite3_snprintf(sizeof(sql), sql,
			       "SELECT * FROM (SELECT *, max(from_seq) FROM %s WHERE from_seq < "
			       "%llu GROUP BY %s) WHERE gone = 0 AND (%s) IN (SELECT %s FROM %s "
			       "WHERE from_seq = %llu) ORDER BY 1, 2, 3",
			       name, (unsigned long long)bench->seq, keys, keys, keys, name,
			       (unsigned long long)bench->seq);
	add_rows(bench, tag, '-', sql);
	(void)sqlite3_snprintf(sizeof(sql), sql,
			       "SELECT * FROM %s WHERE from_seq = %llu AND gone = 0 ORDER BY 1, 2, "
			       "3",
			       name, (unsigned long long)bench->seq);
	add_rows(bench, tag, '+', sql);
}

/*
 * The event takes effect, and these are all rows that it ended (-, their keys) and began (+, their
 * keys and columns), by tag.
 */
static uint64_t writes(struct bench *bench, struct payload payload, const char *expected)
{
	(void)takes(bench, payload);
	buf_clear(&bench->text);
	for (int i = 0; i < TAG_COUNT; i++)
		add_changes(bench, (enum state_tag)i);
	assert_string_equal(buf_str(&bench->text), expected);
	return bench->seq;
}

static struct payload entitled(struct payload payload)
{
	static const struct lang_text title = { { (const uint8_t *)"en", 2 },
						{ (const uint8_t *)"T", 1 } };
	static const struct lang_text description = { { (const uint8_t *)"en", 2 },
						      { (const uint8_t *)"D", 1 } };

	payload_langmap(&payload, FIELD_TITLE, (struct langmap){ &title, 1 });
	payload_langmap(&payload, FIELD_DESCRIPTION, (struct langmap){ &description, 1 });
	return payload;
}

/* The two maps, encoded. */
#define TITLE      \
	"\x81\xa2" \
	"en"       \
	"\xa1"     \
	"T"
#define DESCRIPTION \
	"\x81\xa2"  \
	"en"        \
	"\xa1"      \
	"D"

static void events_of_environments(void **state)
{
	struct bench *bench = *state;

	writes(bench, entitled(environment_created("dev", "p")),
	       "+active dev p\n"
	       "+environment dev 0 " TITLE " " DESCRIPTION "\n"
	       "+profile dev p '' - -\n");
	writes(bench, environment_changed("dev", true),
	       "-environment dev\n+environment dev 1 - -\n");
	writes(bench, entitled(environment_changed("dev", false)),
	       "-environment dev\n+environment dev 0 " TITLE " " DESCRIPTION "\n");
	writes(bench, named(EVENT_ENVIRONMENT_SWITCHED, "dev"), "+active '' dev\n");
	(void)takes(bench, environment_created("prod", "p"));
	writes(bench, named(EVENT_ENVIRONMENT_SWITCHED, "prod"), "-active ''\n+active '' prod\n");
	writes(bench, environment_locked("dev", 0), "+lock dev 0\n");
	writes(bench, environment_locked("dev", 1234567890123),
	       "-lock dev\n+lock dev 1234567890123\n");
	writes(bench, named(EVENT_ENVIRONMENT_UNLOCKED, "dev"), "-lock dev\n");
	writes(bench, environment_keyed("dev", 1), "+key dev 1 PAYLOAD\n");
	writes(bench, environment_keyed("dev", 2), "+key dev 2 PAYLOAD\n");
	writes(bench, environment_keyed("prod", 1), "+key prod 1 PAYLOAD\n");
}

static void events_of_profiles(void **state)
{
	struct bench *bench = *state;

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, environment_created("prod", "p"));
	writes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL),
	       "+profile dev q '' - -\n");
	writes(bench, entitled(profile_event(EVENT_PROFILE_CREATED, "dev", "r", "q")),
	       "+profile dev r q " TITLE " " DESCRIPTION "\n");
	writes(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "r", NULL),
	       "-profile dev r\n+profile dev r '' - -\n");
	writes(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "r", "p"),
	       "-profile dev r\n+profile dev r p - -\n");
	writes(bench, profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL),
	       "-active dev\n+active dev q\n");
	writes(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "r", NULL), "-profile dev r\n");
	writes(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "p", NULL), "-profile dev p\n");
}

static void events_of_the_catalogue(void **state)
{
	struct bench *bench = *state;

	writes(bench, entitled(category_defined("api", false)), "+category api PAYLOAD\n");
	writes(bench, category_defined("api", true), "-category api\n+category api PAYLOAD\n");
	writes(bench, variable_specified("PORT", NULL), "+specification PORT '' PAYLOAD\n");
	writes(bench, variable_specified("PORT", "api"),
	       "-specification PORT\n+specification PORT api PAYLOAD\n");
	writes(bench, variable_unspecified("PORT"), "-specification PORT\n");
	writes(bench, named(EVENT_CATEGORY_REMOVED, "api"), "-category api\n");
}

static void events_of_databases_and_of_the_log(void **state)
{
	struct bench *bench = *state;
	struct event event;

	sample_event(EVENT_STORE_CREATED, true, &event);
	writes(bench, event.payload, "");
	sample_event(EVENT_STORE_RECOVERED, true, &event);
	writes(bench, event.payload, "");
	writes(bench, rolled_back(2), "");
	(void)takes(bench, environment_created("dev", "p"));
	writes(bench, database_attached("dev", "p", "main", "a.db"),
	       "+database dev p main PAYLOAD\n");
	writes(bench, database_attached("dev", "p", "main", "b.db"),
	       "-database dev p main\n+database dev p main PAYLOAD\n");
	writes(bench, database_moved("dev", "p", "main", "c.db"),
	       "-database dev p main\n+database dev p main PAYLOAD\n");
	writes(bench, action_refused("dev", "p"), "");
	writes(bench, database_detached("dev", "p", "main"), "-database dev p main\n");
}

static void events_of_backups(void **state)
{
	struct bench *bench = *state;

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, database_attached("dev", "p", "main", "a.db"));
	assert_int_equal(writes(bench, backup_created("dev", "p", "main"), "+backup 3 PAYLOAD\n"),
			 3);
	writes(bench, backup_event(EVENT_BACKUP_VERIFIED, 3), "+backup_check 3 PAYLOAD\n");
	writes(bench, backup_event(EVENT_BACKUP_VERIFIED, 3),
	       "-backup_check 3\n+backup_check 3 PAYLOAD\n");
	writes(bench, backup_event(EVENT_BACKUP_REMOVED, 3), "-backup 3\n-backup_check 3\n");
}

static void events_of_replacements(void **state)
{
	struct bench *bench = *state;

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, database_attached("dev", "p", "main", "a.db"));
	(void)takes(bench, backup_created("dev", "p", "main"));
	writes(bench, replacement_started("dev", "p", "main", 3),
	       "+replacement dev p main 1 4 0\n");
	writes(bench, replacement_event(EVENT_REPLACEMENT_STAGED, 4, 3),
	       "-replacement dev p main\n+replacement dev p main 2 4 3\n");
	writes(bench, replacement_event(EVENT_REPLACEMENT_COMPLETED, 4, 3),
	       "-replacement dev p main\n+replacement dev p main 3 4 3\n");
	writes(bench, replacement_event(EVENT_REPLACEMENT_UNDONE, 4, 3),
	       "-replacement dev p main\n+replacement dev p main 5 4 3\n");
	(void)takes(bench, replacement_started("dev", "p", "main", 0));
	writes(bench, replacement_event(EVENT_REPLACEMENT_FAILED, 8, 0),
	       "-replacement dev p main\n+replacement dev p main 4 8 0\n");
	writes(bench, database_detached("dev", "p", "main"),
	       "-database dev p main\n-replacement dev p main\n");
}

static void changes_of_variables(void **state)
{
	struct bench *bench = *state;
	struct change first[] = { set("p", "A", "1"), set_template("p", "B", "${A}"),
				  seal_nothing("p", "C") };
	struct change second[4];

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	/* Columns: the event and the change that hold the bytes, sealed, expand. */
	assert_int_equal(writes(bench, variables_changed("dev", first, 3),
				"+variable dev p A 3 0 0 0\n"
				"+variable dev p B 3 1 0 1\n"
				"+variable dev p C 3 2 1 0\n"),
			 3);
	/* A copy takes the bytes and whether they are sealed; to expand it says itself. */
	second[0] = unset("p", "A");
	second[1] = copy("p", "B", 3, 2);
	second[2] = set("p", "C", "2");
	second[3] = copy("q", "A", 3, 1);
	writes(bench, variables_changed("dev", second, 4),
	       "-variable dev p A\n"
	       "-variable dev p B\n"
	       "-variable dev p C\n"
	       "+variable dev p B 3 2 1 0\n"
	       "+variable dev p C 4 2 0 0\n"
	       "+variable dev q A 3 1 0 0\n");
	second[0] = copy("p", "B", 4, 2);
	second[0].expand = true;
	writes(bench, changed("dev", &second[0]), "-variable dev p B\n+variable dev p B 4 2 0 1\n");
}

/* An environment with something of every kind in it. */
static void fill(struct bench *bench, const char *name)
{
	struct change changes[] = { set("p", "A", "1"), set("q", "A", "2"), set("q", "B", "3") };

	(void)takes(bench, environment_created(name, "p"));
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, name, "q", "p"));
	(void)takes(bench, variables_changed(name, changes, 3));
	(void)takes(bench, database_attached(name, "p", "one", "1.db"));
	(void)takes(bench, database_attached(name, "q", "two", "2.db"));
	(void)takes(bench, environment_locked(name, 0));
	(void)takes(bench, environment_keyed(name, 1));
}

static void what_is_removed_takes_along_all_that_is_in_it(void **state)
{
	struct bench *bench = *state;

	fill(bench, "dev");
	fill(bench, "dev.two");
	writes(bench, profile_event(EVENT_PROFILE_REMOVED, "dev.two", "q", NULL),
	       "-database dev.two q two\n"
	       "-profile dev.two q\n"
	       "-variable dev.two q A\n"
	       "-variable dev.two q B\n");
	writes(bench, named(EVENT_ENVIRONMENT_REMOVED, "dev"),
	       "-active dev\n"
	       "-database dev p one\n"
	       "-database dev q two\n"
	       "-environment dev\n"
	       "-lock dev\n"
	       "-profile dev p\n"
	       "-profile dev q\n"
	       "-variable dev p A\n"
	       "-variable dev q A\n"
	       "-variable dev q B\n");
}

static void generations_of_keys_outlive_their_environment(void **state)
{
	struct bench *bench = *state;

	fill(bench, "dev");
	(void)takes(bench, named(EVENT_ENVIRONMENT_REMOVED, "dev"));
	(void)takes(bench, environment_created("dev", "p"));
	assert_int_equal(apply(bench, environment_keyed("dev", 1)), RULE_KEY_GENERATION);
	writes(bench, environment_keyed("dev", 2), "+key dev 2 PAYLOAD\n");
}

/* Bytes stay in the log whatever becomes of the variable, and may be copied anywhere. */
static void a_copy_may_point_at_what_no_longer_stands(void **state)
{
	struct bench *bench = *state;
	struct change change;

	fill(bench, "dev"); /* event 3 sets */
	(void)takes(bench, named(EVENT_ENVIRONMENT_REMOVED, "dev"));
	(void)takes(bench, environment_created("prod", "p"));
	change = copy("p", "X", 3, 2);
	writes(bench, changed("prod", &change), "+variable prod p X 3 2 0 0\n");
}

/* A copy that names the same change of its event as a value beside it is not taken for that. */
static void a_copy_beside_a_value_is_not_its_origin(void **state)
{
	struct bench *bench = *state;
	struct change first[] = { set("p", "A", "1"), set("p", "B", "2") };
	struct change second[] = { copy("p", "A", 2, 1), seal_nothing("p", "B") };
	struct change third;

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, variables_changed("dev", first, 2));
	writes(bench, variables_changed("dev", second, 2),
	       "-variable dev p A\n"
	       "-variable dev p B\n"
	       "+variable dev p A 2 1 0 0\n"
	       "+variable dev p B 3 1 1 0\n");
	third = copy("p", "C", 3, 1);
	writes(bench, changed("dev", &third), "+variable dev p C 3 1 1 0\n");
	third = copy("p", "D", 3, 0);
	assert_int_equal(apply(bench, changed("dev", &third)), RULE_COPY_TARGET);
}

static void the_greatest_numbers_come_back(void **state)
{
	struct bench *bench = *state;
	struct cell key = cell_text(slice_str("dev"));
	struct table_row row;

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, environment_locked("dev", UINT64_MAX));
	assert_int_equal(table_get_now(bench->db, TAG_LOCK, &key, NULL, &row, NULL), STATUS_OK);
	assert_true((uint64_t)row.column[LOCK_UNTIL_MS].number == UINT64_MAX);
}

/* --- rules ------------------------------------------------------------------------------------ */

/* What the broken rules below are broken against. */
static void make_rule_scene(struct bench *bench)
{
	struct change changes[] = { set("p", "A", "1"), seal_nothing("p", "B") };
	struct change change = copy("q", "A", 8, 0);

	(void)takes(bench, environment_created("dev", "p"));
	(void)takes(bench, environment_created("prod", "p"));
	(void)takes(bench, named(EVENT_ENVIRONMENT_SWITCHED, "dev"));
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "r", "q"));
	(void)takes(bench, category_defined("api", false));
	(void)takes(bench, variable_specified("A", "api"));
	assert_int_equal(takes(bench, variables_changed("dev", changes, 2)), 8);
	assert_int_equal(takes(bench, changed("dev", &change)), 9);
	(void)takes(bench, database_attached("dev", "p", "main", "a.db"));
	(void)takes(bench, environment_locked("dev", 0));
	assert_int_equal(takes(bench, environment_keyed("dev", 1)), 12);
}

enum { RULES_MAX = 64 };

static bool covered[EVENT_TYPE_COUNT][RULES_MAX];

/* The event breaks the rule, and nothing is written. */
static void breaks(struct bench *bench, struct payload payload, enum apply_rule rule)
{
	struct buf before = BUF_INIT;
	enum apply_rule broken;

	dump(bench->db, &before);
	broken = apply(bench, payload);
	dump(bench->db, &bench->text);
	if (broken != rule)
		fail_msg("%s breaks %d (%s), not %d (%s)", event_type_info(payload.type)->name,
			 (int)broken, apply_rule_name(broken), (int)rule, apply_rule_name(rule));
	assert_string_equal(buf_str(&bench->text), buf_str(&before));
	buf_release(&before);
	covered[payload.type][rule] = true;
}

static void break_rules_of_environments(struct bench *bench)
{
	static const enum event_type types[] = { EVENT_ENVIRONMENT_REMOVED,
						 EVENT_ENVIRONMENT_SWITCHED,
						 EVENT_ENVIRONMENT_UNLOCKED };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		breaks(bench, named(types[i], "none"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, environment_created("dev", "x"), RULE_ENVIRONMENT_ABSENT);
	breaks(bench, environment_changed("none", true), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, environment_locked("none", 0), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, environment_keyed("none", 1), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, named(EVENT_ENVIRONMENT_REMOVED, "dev"), RULE_ENVIRONMENT_INACTIVE);
	breaks(bench, named(EVENT_ENVIRONMENT_UNLOCKED, "prod"), RULE_ENVIRONMENT_LOCKED);
	breaks(bench, environment_keyed("dev", 0), RULE_KEY_GENERATION);
	breaks(bench, environment_keyed("dev", 1), RULE_KEY_GENERATION);
	breaks(bench, environment_keyed("dev", 3), RULE_KEY_GENERATION);
	breaks(bench, environment_keyed("prod", 2), RULE_KEY_GENERATION);
	breaks(bench, environment_keyed("prod", UINT64_MAX), RULE_KEY_GENERATION);
}

static void break_rules_of_profiles(struct bench *bench)
{
	static const enum event_type types[] = { EVENT_PROFILE_CREATED, EVENT_PROFILE_CHANGED,
						 EVENT_PROFILE_REMOVED, EVENT_PROFILE_SWITCHED };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		breaks(bench, profile_event(types[i], "none", "q", NULL), RULE_ENVIRONMENT_EXISTS);
		if (types[i] != EVENT_PROFILE_CREATED)
			breaks(bench, profile_event(types[i], "prod", "q", NULL),
			       RULE_PROFILE_EXISTS);
	}
	breaks(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL), RULE_PROFILE_ABSENT);
	breaks(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "s", "none"), RULE_BASE_EXISTS);
	breaks(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "s", "s"), RULE_BASE_EXISTS);
	breaks(bench, profile_event(EVENT_PROFILE_CREATED, "prod", "s", "q"), RULE_BASE_EXISTS);
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "none"), RULE_BASE_EXISTS);
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "q"), RULE_BASE_ACYCLIC);
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "r"), RULE_BASE_ACYCLIC);
	breaks(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "p", NULL),
	       RULE_PROFILE_INACTIVE);
	breaks(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "q", NULL), RULE_BASE_UNUSED);
}

static void break_rules_of_the_rest(struct bench *bench)
{
	breaks(bench, named(EVENT_CATEGORY_REMOVED, "none"), RULE_CATEGORY_EXISTS);
	breaks(bench, named(EVENT_CATEGORY_REMOVED, "api"), RULE_CATEGORY_UNUSED);
	breaks(bench, variable_specified("B", "none"), RULE_CATEGORY_EXISTS);
	breaks(bench, variable_unspecified("B"), RULE_SPECIFICATION_EXISTS);
	breaks(bench, rolled_back(0), RULE_TARGET_OLDER);
	breaks(bench, rolled_back(13), RULE_TARGET_OLDER);
	breaks(bench, rolled_back(UINT64_MAX), RULE_TARGET_OLDER);
	breaks(bench, database_attached("none", "p", "x", "x"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, database_attached("prod", "q", "x", "x"), RULE_PROFILE_EXISTS);
	breaks(bench, database_detached("none", "p", "main"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, database_detached("prod", "q", "main"), RULE_PROFILE_EXISTS);
	breaks(bench, database_detached("prod", "p", "main"), RULE_DATABASE_EXISTS);
	breaks(bench, database_detached("dev", "q", "main"), RULE_DATABASE_EXISTS);
}

static void break_rules_of_changes(struct bench *bench)
{
	struct change good = set("p", "A", "x");
	/* Of A to C in p, B is set and sealed in the second change of event 8. */
	struct change absent[] = { good, unset("p", "C"), set("p", "D", "x") };
	struct change lost[] = { good, set("x", "A", "x") };
	const struct change copies[] = {
		copy("p", "A", 8, 2),          /* no such change */
		copy("p", "A", 8, UINT32_MAX), /* no such change */
		copy("p", "A", 9, 0),          /* a copy itself */
		copy("p", "A", 4, 0),          /* of no variables */
		copy("p", "A", 13, 0),         /* itself */
		copy("p", "A", 14, 0),         /* to come */
		copy("p", "A", UINT64_MAX, 0), /* beyond what tables hold */
	};

	breaks(bench, changed("none", &good), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, variables_changed("dev", lost, 2), RULE_PROFILE_EXISTS);
	breaks(bench, variables_changed("dev", absent, 3), RULE_VARIABLE_SET);
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		struct change changes[] = { copies[i], set("p", "B", "x") };

		breaks(bench, variables_changed("dev", changes, 2), RULE_COPY_TARGET);
	}
}

static void break_rules_of_backups(struct bench *bench)
{
	uint64_t backup;

	breaks(bench, database_moved("none", "p", "main", "x"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, database_moved("dev", "none", "main", "x"), RULE_PROFILE_EXISTS);
	breaks(bench, database_moved("dev", "q", "main", "x"), RULE_DATABASE_EXISTS);
	breaks(bench, backup_created("none", "p", "main"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, backup_created("dev", "none", "main"), RULE_PROFILE_EXISTS);
	breaks(bench, backup_created("dev", "q", "main"), RULE_DATABASE_EXISTS);
	breaks(bench, action_refused("none", "p"), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, action_refused("dev", "none"), RULE_PROFILE_EXISTS);
	backup = takes(bench, backup_created("dev", "p", "main"));
	breaks(bench, backup_event(EVENT_BACKUP_VERIFIED, backup - 1), RULE_BACKUP_EXISTS);
	breaks(bench, backup_event(EVENT_BACKUP_REMOVED, 0), RULE_BACKUP_EXISTS);
	breaks(bench, backup_event(EVENT_BACKUP_REMOVED, UINT64_MAX), RULE_BACKUP_EXISTS);
	(void)takes(bench, backup_event(EVENT_BACKUP_REMOVED, backup));
	breaks(bench, backup_event(EVENT_BACKUP_REMOVED, backup), RULE_BACKUP_EXISTS);
}

static void break_rules_of_replacements(struct bench *bench)
{
	static const enum event_type types[] = { EVENT_REPLACEMENT_STAGED,
						 EVENT_REPLACEMENT_COMPLETED,
						 EVENT_REPLACEMENT_FAILED };
	uint64_t started;

	breaks(bench, replacement_started("none", "p", "main", 0), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, replacement_started("dev", "none", "main", 0), RULE_PROFILE_EXISTS);
	breaks(bench, replacement_started("dev", "q", "main", 0), RULE_DATABASE_EXISTS);
	breaks(bench, replacement_started("dev", "p", "main", 7), RULE_BACKUP_EXISTS);
	started = takes(bench, replacement_started("dev", "p", "main", 0));
	breaks(bench, replacement_started("dev", "p", "main", 0), RULE_REPLACEMENT_IDLE);
	breaks(bench, database_detached("dev", "p", "main"), RULE_REPLACEMENT_IDLE);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		breaks(bench, replacement_event(types[i], started - 1, 0),
		       RULE_REPLACEMENT_UNFINISHED);
		breaks(bench, replacement_event(types[i], started, 7), RULE_BACKUP_EXISTS);
	}
	breaks(bench, replacement_event(EVENT_REPLACEMENT_UNDONE, started - 1, 0),
	       RULE_REPLACEMENT_LAST);
	breaks(bench, replacement_event(EVENT_REPLACEMENT_UNDONE, started, 7), RULE_BACKUP_EXISTS);
	(void)takes(bench, replacement_event(EVENT_REPLACEMENT_COMPLETED, started, 0));
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		breaks(bench, replacement_event(types[i], started, 0), RULE_REPLACEMENT_UNFINISHED);
	(void)takes(bench, replacement_event(EVENT_REPLACEMENT_UNDONE, started, 0));
	breaks(bench, replacement_event(EVENT_REPLACEMENT_UNDONE, started, 0),
	       RULE_REPLACEMENT_LAST);
}

static void every_rule_of_every_type_can_be_broken(void **state)
{
	struct bench *bench = *state;

	make_rule_scene(bench);
	break_rules_of_environments(bench);
	break_rules_of_profiles(bench);
	break_rules_of_the_rest(bench);
	break_rules_of_changes(bench);
	break_rules_of_backups(bench);
	break_rules_of_replacements(bench);
	for (int type = 0; type < EVENT_TYPE_COUNT; type++) {
		const enum apply_rule *rule = apply_rules_of((enum event_type)type);

		for (; *rule != RULE_NONE; rule++) {
			if (!covered[type][*rule])
				fail_msg("%s was not broken by %s", apply_rule_name(*rule),
					 event_type_info((enum event_type)type)->name);
		}
	}
}

/* Each rule is checked over all changes before the next rule is. */
static void the_first_rule_in_order_counts(void **state)
{
	struct bench *bench = *state;
	struct change changes[] = { copy("p", "A", 99, 0), unset("p", "C"), set("x", "A", "1") };

	make_rule_scene(bench);
	breaks(bench, variables_changed("dev", changes, 3), RULE_PROFILE_EXISTS);
	breaks(bench, variables_changed("none", changes, 3), RULE_ENVIRONMENT_EXISTS);
	breaks(bench, variables_changed("dev", changes, 2), RULE_VARIABLE_SET);
	breaks(bench, variables_changed("dev", changes, 1), RULE_COPY_TARGET);
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "none", "none", "none"),
	       RULE_ENVIRONMENT_EXISTS);
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "none", "none"),
	       RULE_PROFILE_EXISTS);
	/* Active and a base: what comes first is said. */
	(void)takes(bench, profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL));
	breaks(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "q", NULL),
	       RULE_PROFILE_INACTIVE);
}

static void what_no_longer_holds_is_allowed_again(void **state)
{
	struct bench *bench = *state;

	make_rule_scene(bench);
	(void)takes(bench, named(EVENT_ENVIRONMENT_UNLOCKED, "dev"));
	breaks(bench, named(EVENT_ENVIRONMENT_UNLOCKED, "dev"), RULE_ENVIRONMENT_LOCKED);
	(void)takes(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "r", NULL));
	(void)takes(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "r"));
	breaks(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "r", "q"), RULE_BASE_ACYCLIC);
	breaks(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "r", NULL), RULE_BASE_UNUSED);
	(void)takes(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "q", NULL));
	(void)takes(bench, profile_event(EVENT_PROFILE_REMOVED, "dev", "r", NULL));
	(void)takes(bench, variable_specified("A", NULL));
	(void)takes(bench, named(EVENT_CATEGORY_REMOVED, "api"));
	(void)takes(bench, named(EVENT_ENVIRONMENT_SWITCHED, "prod"));
	(void)takes(bench, named(EVENT_ENVIRONMENT_REMOVED, "dev"));
	(void)takes(bench, environment_created("dev", "x"));
	breaks(bench, profile_event(EVENT_PROFILE_SWITCHED, "dev", "p", NULL), RULE_PROFILE_EXISTS);
}

/* --- tables that are not what apply wrote ----------------------------------------------------- */

static void assert_apply_refuses(struct bench *bench, struct payload payload, enum status expected,
				 const char *text)
{
	enum apply_rule broken = RULE_TARGET_OLDER;
	struct error err = ERROR_INIT;

	assert_int_equal(attempt(bench, payload, &broken, &err), expected);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not '%s'", err.text, text);
	assert_int_equal(broken, RULE_TARGET_OLDER);
}

static void bases_that_form_a_circle_are_damage(void **state)
{
	struct bench *bench = *state;

	make_rule_scene(bench);
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "s", "r"));
	(void)takes(bench, profile_event(EVENT_PROFILE_CREATED, "dev", "t", "s"));
	assert_int_equal(db_exec(bench->db, "UPDATE profile SET base = 't' WHERE name = 'q'", NULL),
			 STATUS_OK);
	assert_false(db_damaged(bench->db));
	assert_apply_refuses(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "p", "r"),
			     STATUS_CORRUPT, "bases form a circle");
	assert_true(db_damaged(bench->db));
}

static void a_base_that_is_missing_is_damage(void **state)
{
	struct bench *bench = *state;

	make_rule_scene(bench);
	assert_int_equal(db_exec(bench->db, "UPDATE profile SET base = 'x' WHERE name = 'q'", NULL),
			 STATUS_OK);
	assert_apply_refuses(bench, profile_event(EVENT_PROFILE_CHANGED, "dev", "p", "r"),
			     STATUS_CORRUPT, "a base is missing");
	assert_true(db_damaged(bench->db));
}

static void a_failure_is_no_broken_rule(void **state)
{
	static const char *const drops[] = { "DROP TABLE variable", "DROP TABLE profile",
					     "DROP TABLE environment" };
	struct bench *bench = *state;
	struct change changes[] = { copy("p", "A", 8, 0), unset("p", "B") };

	make_rule_scene(bench);
	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
		assert_int_equal(db_exec(bench->db, drops[i], NULL), STATUS_OK);
		assert_apply_refuses(bench, variables_changed("dev", changes, 2), STATUS_IO,
				     "no such table");
	}
}

#define ON_TABLES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TABLES(events_of_environments),
		ON_TABLES(events_of_profiles),
		ON_TABLES(events_of_the_catalogue),
		ON_TABLES(events_of_databases_and_of_the_log),
		ON_TABLES(events_of_backups),
		ON_TABLES(events_of_replacements),
		ON_TABLES(changes_of_variables),
		ON_TABLES(what_is_removed_takes_along_all_that_is_in_it),
		ON_TABLES(generations_of_keys_outlive_their_environment),
		ON_TABLES(a_copy_may_point_at_what_no_longer_stands),
		ON_TABLES(a_copy_beside_a_value_is_not_its_origin),
		ON_TABLES(the_greatest_numbers_come_back),
		ON_TABLES(every_rule_of_every_type_can_be_broken),
		ON_TABLES(the_first_rule_in_order_counts),
		ON_TABLES(what_no_longer_holds_is_allowed_again),
		ON_TABLES(bases_that_form_a_circle_are_damage),
		ON_TABLES(a_base_that_is_missing_is_damage),
		ON_TABLES(a_failure_is_no_broken_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
