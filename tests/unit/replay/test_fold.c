/*
 * The fold: every rule broken, and nothing but the violation to be seen of it; effects that reach
 * further than one entry; commands as wholes; the hash against one fed by hand.
 *
 * Events are written as steps: a type and its fields. Their numbers count from 2, behind
 * store.created.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "replay/ordered_map.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/seal.h"
#include "store/state_model.h"

#include "base/banned.h"

struct arg {
	bool given;
	enum event_field field;
	const char *text;
	uint64_t number; /* of numbers and flags */
};

struct step {
	enum event_type type;
	struct arg args[5];
	struct changes changes;
	uint32_t parts; /* at the first part of a command of several */
};

#define T(id, string) { .given = true, .field = FIELD_##id, .text = (string) }
#define N(id, value)  { .given = true, .field = FIELD_##id, .number = (value) }

#define STEP(id, ...)                                       \
	{                                                   \
		.type = EVENT_##id, .args = { __VA_ARGS__ } \
	}
#define CHANGED(env, ...)                                                                      \
	{                                                                                      \
		.type = EVENT_VARIABLES_CHANGED, .args = { T(ENVIRONMENT, env) }, .changes = { \
			.entries = (const struct change[]){ __VA_ARGS__ },                     \
			.count = sizeof((const struct change[]){ __VA_ARGS__ }) /              \
				 sizeof(struct change),                                        \
		}                                                                              \
	}

#define LITERAL(string) { (const uint8_t *)(string), sizeof(string) - 1 }
#define SET(in, name, string) \
	{ .profile = LITERAL(in), .key = LITERAL(name), .op = CHANGE_SET, .value = LITERAL(string) }
#define UNSET(in, name) { .profile = LITERAL(in), .key = LITERAL(name), .op = CHANGE_UNSET }
#define COPY(in, name, seq, index) \
	{ .profile = LITERAL(in),  \
	  .key = LITERAL(name),    \
	  .op = CHANGE_COPY,       \
	  .copy_seq = (seq),       \
	  .copy_index = (index) }

static const uint8_t commitment[HASH_BYTES] = "the commitment of a sealed one!";
static const uint8_t ciphertext[24 + 16 + 64];
static const uint8_t reader_id[KEY_ID_BYTES];
static const uint8_t wrapped[WRAPPED_KEY_BYTES];
static const struct reader one_reader = {
	{ reader_id, KEY_ID_BYTES      },
        { wrapped,   WRAPPED_KEY_BYTES }
};

#define SEAL(in, name)                                                           \
	{                                                                        \
		.profile = LITERAL(in), .key = LITERAL(name), .op = CHANGE_SEAL, \
		.commitment = { commitment, HASH_BYTES }, .sealed = {            \
			ciphertext,                                              \
			sizeof(ciphertext)                                       \
		}                                                                \
	}

/* --- playing steps ---------------------------------------------------------------------------- */

struct scene {
	struct log_fixture log;
	struct evlog *evlog;
	struct evlog_snapshot *snapshot;
	uint32_t parts_left; /* of the command being added */
};

static void scene_release(struct scene *scene)
{
	evlog_snapshot_close(scene->snapshot);
	evlog_close(scene->evlog);
	log_fixture_release(&scene->log);
}

static void make_payload(const struct step *step, struct payload *ret)
{
	payload_init(ret, step->type);
	for (size_t i = 0; i < 5 && step->args[i].given; i++) {
		const struct arg *arg = &step->args[i];

		if (arg->text)
			payload_str(ret, arg->field, arg->text);
		else if (event_field_info(arg->field)->kind == KIND_BOOL)
			payload_bool(ret, arg->field, arg->number != 0);
		else
			payload_uint(ret, arg->field, arg->number);
	}
	if (step->type == EVENT_VARIABLES_CHANGED)
		payload_changes(ret, FIELD_CHANGES, step->changes);
	if (step->type == EVENT_ENVIRONMENT_KEYED) {
		payload_text(ret, FIELD_PUBLIC_KEY, slice_of(commitment, PUBLIC_KEY_BYTES));
		payload_readers(ret, FIELD_READERS, (struct readers){ &one_reader, 1 });
	}
}

static void play(struct scene *scene, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct event event;

		if (scene->parts_left) {
			log_fixture_next_part(&scene->log, &event);
			scene->parts_left--;
		} else {
			log_fixture_next(&scene->log, &event);
			event.parts = steps[i].parts ? steps[i].parts : 1;
			scene->parts_left = event.parts - 1;
		}
		make_payload(&steps[i], &event.payload);
		log_fixture_add(&scene->log, &event, &scene->log.signer);
	}
}

#define PLAY(scene, steps) play(scene, steps, sizeof(steps) / sizeof((steps)[0]))

/* All is added: make the log. */
static void open_log(struct scene *scene)
{
	scene->evlog = log_fixture_memory(&scene->log);
	assert_int_equal(evlog_snapshot_open(scene->evlog, &scene->snapshot, NULL), STATUS_OK);
}

static void fold_until(const struct scene *scene, struct fold *fold, uint64_t until)
{
	struct error err = ERROR_INIT;

	if (fold_to(fold, scene->snapshot, until, &err))
		fail_msg("%s", err.text);
	assert_int_equal(fold->seq, until);
}

static void fold_all(const struct scene *scene, struct fold *fold)
{
	fold_until(scene, fold, scene->log.count);
}

/* A path written with '/' for NUL. */
static bool find(const struct fold *fold, const char *path, struct slice *ret)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	buf_append_str(&bytes, path);
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] == '/')
			bytes.data[i] = 0;
	}
	return map_get(&fold->state, buf_slice(&bytes), ret);
}

static bool has(const struct fold *fold, const char *path)
{
	return find(fold, path, NULL);
}

static struct entry_variable variable(const struct fold *fold, const char *path)
{
	struct map_entry entry = { .path = slice_str(path) };

	if (!find(fold, path, &entry.value))
		fail_msg("%s is missing", path);
	return entry_variable(&entry);
}

static void assert_value(const struct fold *fold, const char *path, const char *value)
{
	struct entry_variable found = variable(fold, path);

	assert_false(found.sealed);
	assert_true(slice_equal(found.bytes, slice_str(value)));
}

/* --- rules ------------------------------------------------------------------------------------ */

enum {
	FIRST = 9,    /* variables.changed that sets and seals */
	SECOND = 12,  /* one that unsets and copies */
	WITHOUT = 13, /* one without effect */
	GROUND = 13,
	BROKEN = 14, /* the event under test */
};

static const struct step ground[] = {
	STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "default"), N(PROTECTED, 0)),
	STEP(ENVIRONMENT_CREATED, T(NAME, "develop"), T(PROFILE, "default"), N(PROTECTED, 1)),
	STEP(ENVIRONMENT_SWITCHED, T(NAME, "dev")),
	STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu"), T(BASE, "default")),
	STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "us"), T(BASE, "eu")),
	STEP(CATEGORY_DEFINED, T(NAME, "db"), N(PLANNED, 0)),
	STEP(VARIABLE_SPECIFIED, T(KEY, "URL"), T(TYPE, "string"), T(CATEGORY, "db"),
	     N(REQUIRED, 0), N(SECRET, 0)),
	CHANGED("dev", SET("default", "A", "1"), SET("eu", "B", "2"), SEAL("eu", "C")),
	STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 1)),
	STEP(DATABASE_ATTACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"),
	     T(KIND, "sqlite"), T(PATH, "main.db")),
	CHANGED("dev", UNSET("eu", "B"), COPY("eu", "D", FIRST, 1)),
	CHANGED("dev", SET("none", "A", "lost")),
};

static const struct {
	struct step step;
	enum apply_rule rule;
} broken[] = {
	{ STEP(ENVIRONMENT_CHANGED, T(NAME, "de"), N(PROTECTED, 1)), RULE_ENVIRONMENT_EXISTS },
	{ CHANGED("de", SET("default", "A", "9")), RULE_ENVIRONMENT_EXISTS },
	{ STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "x"), N(PROTECTED, 0)),
         RULE_ENVIRONMENT_ABSENT },
	{ STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")), RULE_ENVIRONMENT_INACTIVE },
	{ STEP(ENVIRONMENT_UNLOCKED, T(NAME, "dev")), RULE_ENVIRONMENT_LOCKED },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 1)), RULE_KEY_GENERATION },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 3)), RULE_KEY_GENERATION },
	{ STEP(ENVIRONMENT_KEYED, T(NAME, "develop"), N(GENERATION, 2)), RULE_KEY_GENERATION },
	{ STEP(PROFILE_SWITCHED, T(ENVIRONMENT, "dev"), T(NAME, "e")), RULE_PROFILE_EXISTS },
	{ CHANGED("dev", SET("default", "A", "9"), SET("none", "A", "9")), RULE_PROFILE_EXISTS },
	{ STEP(DATABASE_ATTACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "none"), T(NAME, "main"),
         T(KIND, "file"), T(PATH, "x")),
         RULE_PROFILE_EXISTS },
	{ STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu")), RULE_PROFILE_ABSENT },
	{ STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "default")), RULE_PROFILE_INACTIVE },
	{ STEP(PROFILE_CREATED, T(ENVIRONMENT, "develop"), T(NAME, "x"), T(BASE, "eu")),
         RULE_BASE_EXISTS },
	{ STEP(PROFILE_CHANGED, T(ENVIRONMENT, "dev"), T(NAME, "default"), T(BASE, "us")),
         RULE_BASE_ACYCLIC },
	{ STEP(PROFILE_CHANGED, T(ENVIRONMENT, "dev"), T(NAME, "eu"), T(BASE, "eu")),
         RULE_BASE_ACYCLIC },
	{ STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "eu")), RULE_BASE_UNUSED },
	{ STEP(CATEGORY_REMOVED, T(NAME, "d")), RULE_CATEGORY_EXISTS },
	{ STEP(VARIABLE_SPECIFIED, T(KEY, "URL"), T(TYPE, "int"), T(CATEGORY, "none"),
         N(REQUIRED, 0), N(SECRET, 0)),
         RULE_CATEGORY_EXISTS },
	{ STEP(CATEGORY_REMOVED, T(NAME, "db")), RULE_CATEGORY_UNUSED },
	{ STEP(VARIABLE_UNSPECIFIED, T(KEY, "UR")), RULE_SPECIFICATION_EXISTS },
	{ CHANGED("dev", UNSET("us", "D")), RULE_VARIABLE_SET },
	{ CHANGED("dev", SET("default", "A", "9"), UNSET("eu", "B")), RULE_VARIABLE_SET },
	{ CHANGED("dev", COPY("us", "X", BROKEN, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", 999, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", FIRST, 3)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", 7, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", SECOND, 0)), RULE_COPY_TARGET },
	{ CHANGED("dev", COPY("us", "X", SECOND, 1)), RULE_COPY_TARGET },
	{ CHANGED("dev", SET("eu", "A", "9"), COPY("us", "X", WITHOUT, 0)), RULE_COPY_TARGET },
	{ STEP(STATE_ROLLED_BACK, T(SCOPE, "store"), N(TARGET_SEQ, BROKEN)), RULE_TARGET_OLDER },
	{ STEP(STATE_ROLLED_BACK, T(SCOPE, "store"), N(TARGET_SEQ, 0)), RULE_TARGET_OLDER },
	{ STEP(DATABASE_DETACHED, T(ENVIRONMENT, "dev"), T(PROFILE, "us"), T(NAME, "main")),
         RULE_DATABASE_EXISTS },
};

#define BROKEN_COUNT (sizeof(broken) / sizeof(broken[0]))

static enum status assert_entry_kept(void *context, const struct map_entry *entry,
				     struct error *err)
{
	const struct fold *after = context;
	struct slice value;

	(void)err;
	assert_true(map_get(&after->state, entry->path, &value));
	assert_true(slice_equal(value, entry->value));
	return STATUS_OK;
}

/* All that is new in @after is the violation of event @seq. */
static void assert_only_violation(const struct fold *before, struct fold *after, uint64_t seq,
				  enum apply_rule rule)
{
	uint8_t path[10 + 8] = "violation";
	const uint8_t value[2] = { 0x91, (uint8_t)rule };
	const struct rejected *last = &after->rejected[after->rejected_count - 1];
	struct slice found;

	assert_int_equal(after->rejected_count, before->rejected_count + 1);
	assert_int_equal(last->seq, seq);
	assert_string_equal(apply_rule_name(last->rule), apply_rule_name(rule));
	assert_int_equal(
		map_each(&before->state, slice_of(NULL, 0), assert_entry_kept, after, NULL),
		STATUS_OK);
	assert_int_equal(after->state.count, before->state.count + 1);
	store_u64be(path + 10, seq);
	assert_true(map_get(&after->state, slice_of(path, sizeof(path)), &found));
	assert_true(slice_equal(found, slice_of(value, sizeof(value))));
}

static void test_the_ground_holds(void **state)
{
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.seq, GROUND);
	assert_int_equal(fold.rejected_count, 1);
	assert_int_equal(fold.rejected[0].seq, WITHOUT);
	assert_int_equal(fold.rejected[0].rule, RULE_PROFILE_EXISTS);
	assert_value(&fold, "variable/dev/default/A", "1");
	assert_value(&fold, "variable/dev/eu/D", "2");
	assert_false(has(&fold, "variable/dev/eu/B"));
	assert_true(variable(&fold, "variable/dev/eu/C").sealed);
}

static void test_each_rule_broken_leaves_the_state_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < BROKEN_COUNT; i++) {
		AUTO(scene_release) struct scene scene = { .parts_left = 0 };
		AUTO(fold_release) struct fold before = FOLD_INIT;
		AUTO(fold_release) struct fold after = FOLD_INIT;

		log_fixture_init(&scene.log);
		PLAY(&scene, ground);
		play(&scene, &broken[i].step, 1);
		open_log(&scene);
		fold_until(&scene, &before, GROUND);
		fold_all(&scene, &after);
		if (after.rejected_count != 2)
			fail_msg("case %zu took effect", i);
		assert_only_violation(&before, &after, BROKEN, broken[i].rule);
	}
}

static void test_the_cases_cover_every_rule(void **state)
{
	static const enum apply_rule all[] = {
#define APPLY_RULE(id, number, name, meaning) RULE_##id,
#include "store/apply_rules.def"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool covered = false;

		for (size_t j = 0; j < BROKEN_COUNT; j++)
			covered = covered || broken[j].rule == all[i];
		if (!covered)
			fail_msg("no case breaks %s", apply_rule_name(all[i]));
	}
}

/* --- commands --------------------------------------------------------------------------------- */

static void test_a_command_counts_as_a_whole(void **state)
{
	const struct step command[] = {
		{ .type = EVENT_VARIABLES_CHANGED,
                 .args = { T(ENVIRONMENT, "dev") },
                 .changes = { (const struct change[]){ SET("default", "A", "9"),
							SET("eu", "NEW", "9") },
			       2 },
                 .parts = 3 },
		STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")),
		STEP(ENVIRONMENT_REMOVED, T(NAME, "develop")),
	};
	const struct step later[] = {
		CHANGED("dev", COPY("us", "X", BROKEN, 0)),
		CHANGED("dev", COPY("us", "X", FIRST, 0)),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold before = FOLD_INIT;
	AUTO(fold_release) struct fold after = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, command);
	PLAY(&scene, later);
	open_log(&scene);
	fold_until(&scene, &before, GROUND);
	fold_until(&scene, &after, BROKEN + 2);
	assert_only_violation(&before, &after, BROKEN + 1, RULE_ENVIRONMENT_INACTIVE);
	assert_int_equal(after.rejected[1].first_seq, BROKEN);
	assert_int_equal(after.rejected[1].last_seq, BROKEN + 2);

	/* Its parts cannot be copied, even the one that would have been right by itself. */
	fold_all(&scene, &after);
	assert_int_equal(after.rejected_count, 3);
	assert_int_equal(after.rejected[2].rule, RULE_COPY_TARGET);
	assert_value(&after, "variable/dev/us/X", "1");
}

static void test_a_part_sees_the_parts_before_it(void **state)
{
	const struct step command[] = {
		{ .type = EVENT_PROFILE_CREATED,
                 .args = { T(ENVIRONMENT, "dev"), T(NAME, "new") },
                 .parts = 2 },
		CHANGED("dev", SET("new", "A", "5")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, command);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	assert_value(&fold, "variable/dev/new/A", "5");
}

static void test_a_cut_command_is_damage(void **state)
{
	const struct step cut[] = {
		{ .type = EVENT_ENVIRONMENT_REMOVED, .args = { T(NAME, "develop") }, .parts = 2 },
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "dev")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, cut);
	open_log(&scene);
	assert_int_equal(fold_to(&fold, scene.snapshot, BROKEN, NULL), STATUS_CORRUPT);
	assert_int_equal(fold.seq, GROUND);
	assert_true(has(&fold, "environment/develop"));
	fold_all(&scene, &fold);
	assert_false(has(&fold, "environment/develop"));
}

static void test_a_missing_event_is_damage(void **state)
{
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct log_lies lies = { .leaf_missing = FIRST };
	struct evlog_snapshot *snapshot;
	struct evlog *lying;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	open_log(&scene);
	lying = log_lying(scene.evlog, &lies);
	assert_int_equal(evlog_snapshot_open(lying, &snapshot, NULL), STATUS_OK);
	assert_int_equal(fold_to(&fold, snapshot, GROUND, NULL), STATUS_CORRUPT);
	assert_int_equal(fold.seq, FIRST - 1);
	evlog_snapshot_close(snapshot);
	evlog_close(lying);
}

/* --- effects ---------------------------------------------------------------------------------- */

static void test_removing_an_environment_takes_what_is_in_it_but_its_keys(void **state)
{
	const struct step steps[] = {
		CHANGED("develop", SET("default", "A", "kept")),
		STEP(DATABASE_ATTACHED, T(ENVIRONMENT, "develop"), T(PROFILE, "default"),
		     T(NAME, "main"), T(KIND, "file"), T(PATH, "x")),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "develop"), N(UNTIL_MS, 5)),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "dev")),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "develop")),
		STEP(ENVIRONMENT_REMOVED, T(NAME, "dev")),
	};
	const struct step again[] = {
		STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "default"), N(PROTECTED, 0)),
		STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 1)),
		STEP(ENVIRONMENT_KEYED, T(NAME, "dev"), N(GENERATION, 2)),
	};
	static const char *const gone[] = {
		"active/dev",        "database/dev/eu/main", "environment/dev",
		"lock/dev",          "profile/dev/eu",       "profile/dev/default",
		"variable/dev/eu/C", "variable/dev/eu/D",    "variable/dev/default/A",
	};
	static const char *const kept[] = {
		"active",
		"active/develop",
		"database/develop/default/main",
		"lock/develop",
		"profile/develop/default",
		"variable/develop/default/A",
		"environment/develop",
	};
	static const uint8_t key[] = "key\0dev\0\0\0\0\0\0\0\0\1";
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, steps);
	PLAY(&scene, again);
	open_log(&scene);
	fold_until(&scene, &fold, GROUND + 5);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_true(has(&fold, gone[i]));
	fold_until(&scene, &fold, GROUND + 6);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_false(has(&fold, gone[i]));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_true(has(&fold, kept[i]));
	assert_true(map_get(&fold.state, slice_of(key, sizeof(key) - 1), NULL));

	/* Generations go on where they were. */
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 2);
	assert_int_equal(fold.rejected[1].rule, RULE_KEY_GENERATION);
	assert_int_equal(fold.rejected[1].seq, GROUND + 8);
}

static void test_removing_a_profile_spares_its_namesakes(void **state)
{
	const struct step steps[] = {
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu-west")),
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "develop"), T(NAME, "eu")),
		CHANGED("dev", SET("eu-west", "A", "kept")),
		CHANGED("develop", SET("eu", "A", "kept too")),
		STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "us")),
		STEP(PROFILE_REMOVED, T(ENVIRONMENT, "dev"), T(NAME, "eu")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	PLAY(&scene, steps);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	assert_false(has(&fold, "profile/dev/eu"));
	assert_false(has(&fold, "database/dev/eu/main"));
	assert_false(has(&fold, "variable/dev/eu/C"));
	assert_false(has(&fold, "variable/dev/eu/D"));
	assert_true(has(&fold, "profile/dev/eu-west"));
	assert_value(&fold, "variable/dev/eu-west/A", "kept");
	assert_value(&fold, "variable/develop/eu/A", "kept too");
}

static void test_a_copy_holds_the_bytes_and_its_own_expand(void **state)
{
	static const struct change plain_seal = COPY("us", "S", FIRST, 2);
	struct change expanding = COPY("us", "T", FIRST, 1);
	struct change changes[] = { plain_seal, expanding };
	struct step copying = {
		.type = EVENT_VARIABLES_CHANGED,
		.args = { T(ENVIRONMENT, "dev") },
		.changes = { changes,       2      }
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct entry_variable found;

	(void)state;
	changes[1].expand = true;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	play(&scene, &copying, 1);
	open_log(&scene);
	fold_all(&scene, &fold);
	found = variable(&fold, "variable/dev/us/S");
	assert_true(found.sealed);
	assert_false(found.expand);
	assert_true(slice_equal(found.bytes, slice_of(commitment, HASH_BYTES)));
	found = variable(&fold, "variable/dev/us/T");
	assert_false(found.sealed);
	assert_true(found.expand);
	assert_true(slice_equal(found.bytes, slice_str("2")));
}

/* More events than a reader has slots are copied from; the copying one must stay readable. */
static void test_one_event_copies_from_many(void **state)
{
	enum { SOURCES = 3 * EVENT_READER_SLOTS };
	char values[SOURCES][4], keys[SOURCES][4];
	struct change changes[SOURCES];
	struct step copying = {
		.type = EVENT_VARIABLES_CHANGED,
		.args = { T(ENVIRONMENT, "dev")  },
		.changes = { changes,       SOURCES }
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	for (unsigned i = 0; i < SOURCES; i++) {
		struct change set = SET("default", "A", "");
		struct step setting = {
			.type = EVENT_VARIABLES_CHANGED,
			.args = { T(ENVIRONMENT, "dev") },
			.changes = { &set,          1      }
		};

		memcpy(values[i], (char[]){ 'v', (char)('0' + i / 10), (char)('0' + i % 10), 0 },
		       4);
		memcpy(keys[i], values[i], 4);
		keys[i][0] = 'K';
		set.value = slice_str(values[i]);
		play(&scene, &setting, 1);
		changes[i] = (struct change)COPY("us", "", BROKEN + i, 0);
		changes[i].key = slice_str(keys[i]);
	}
	play(&scene, &copying, 1);
	open_log(&scene);
	fold_all(&scene, &fold);
	assert_int_equal(fold.rejected_count, 1);
	for (unsigned i = 0; i < SOURCES; i++) {
		AUTO(buf_release) struct buf path = BUF_INIT;

		buf_printf(&path, "variable/dev/us/%s", keys[i]);
		assert_value(&fold, buf_str(&path), values[i]);
	}
}

static void test_long_values_come_back_whole(void **state)
{
	static char text[VALUE_BYTES_MAX];
	struct change set = SET("default", "A", "");
	struct step setting = {
		.type = EVENT_VARIABLES_CHANGED,
		.args = { T(ENVIRONMENT, "dev") },
		.changes = { &set,          1      }
	};
	static const size_t lengths[] = { 0, 1, 255, 256, VALUE_BYTES_MAX };
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;

	(void)state;
	memset(text, 'v', sizeof(text));
	log_fixture_init(&scene.log);
	PLAY(&scene, ground);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		set.value = slice_of(text, lengths[i]);
		play(&scene, &setting, 1);
	}
	open_log(&scene);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fold_until(&scene, &fold, BROKEN + i);
		assert_true(slice_equal(variable(&fold, "variable/dev/default/A").bytes,
					slice_of(text, lengths[i])));
	}
}

/* --- the hash --------------------------------------------------------------------------------- */

static void feed(struct state_hasher *hasher, const char *path, size_t path_len, const char *value,
		 size_t value_len)
{
	state_hasher_entry(hasher, slice_of(path, path_len), slice_of(value, value_len));
}

#define FEED(hasher, path, value) feed(hasher, path, sizeof(path) - 1, value, sizeof(value) - 1)

static void test_the_hash_is_that_of_the_entries(void **state)
{
	const struct step steps[] = {
		STEP(ENVIRONMENT_CREATED, T(NAME, "dev"), T(PROFILE, "default"), N(PROTECTED, 1)),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "dev")),
		STEP(PROFILE_CREATED, T(ENVIRONMENT, "dev"), T(NAME, "eu"), T(BASE, "default")),
		STEP(CATEGORY_DEFINED, T(NAME, "db"), N(PLANNED, 0)),
		STEP(ENVIRONMENT_LOCKED, T(NAME, "dev"), N(UNTIL_MS, 5)),
		CHANGED("dev", SET("eu", "A", "xyz")),
		STEP(ENVIRONMENT_SWITCHED, T(NAME, "none")),
	};
	AUTO(scene_release) struct scene scene = { .parts_left = 0 };
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	uint8_t by_fold[HASH_BYTES], by_hand[HASH_BYTES];
	struct state_hasher hasher;

	(void)state;
	log_fixture_init(&scene.log);
	PLAY(&scene, steps);
	open_log(&scene);
	fold_all(&scene, &fold);
	fold_hash(&fold, by_fold);

	state_hasher_init(&hasher);
	FEED(&hasher, "active", "dev");
	FEED(&hasher, "active\0dev", "default");
	FEED(&hasher, "category\0db",
	     "\x82\xa4name\xa2"
	     "db\xa7planned\xc2");
	FEED(&hasher, "environment\0dev", "\x93\xc3\x80\x80");
	FEED(&hasher, "lock\0dev", "\x91\x05");
	FEED(&hasher, "profile\0dev\0default", "\x93\xa0\x80\x80");
	FEED(&hasher, "profile\0dev\0eu",
	     "\x93\xa7"
	     "default\x80\x80");
	FEED(&hasher, "variable\0dev\0eu\0A", "\x93\xc2\xc2\xc4\x03xyz");
	FEED(&hasher, "violation\0\0\0\0\0\0\0\0\x08", "\x91\x01");
	state_hasher_final(&hasher, by_hand);
	assert_memory_equal(by_fold, by_hand, HASH_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ground_holds),
		cmocka_unit_test(test_each_rule_broken_leaves_the_state_alone),
		cmocka_unit_test(test_the_cases_cover_every_rule),
		cmocka_unit_test(test_a_command_counts_as_a_whole),
		cmocka_unit_test(test_a_part_sees_the_parts_before_it),
		cmocka_unit_test(test_a_cut_command_is_damage),
		cmocka_unit_test(test_a_missing_event_is_damage),
		cmocka_unit_test(test_removing_an_environment_takes_what_is_in_it_but_its_keys),
		cmocka_unit_test(test_removing_a_profile_spares_its_namesakes),
		cmocka_unit_test(test_a_copy_holds_the_bytes_and_its_own_expand),
		cmocka_unit_test(test_one_event_copies_from_many),
		cmocka_unit_test(test_long_values_come_back_whole),
		cmocka_unit_test(test_the_hash_is_that_of_the_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
