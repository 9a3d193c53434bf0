/*
 * A log played from steps, and what is asked of its fold.
 *
 * Events are written as steps: a type and its fields. Their numbers count from 2, behind
 * store.created.
 */
#ifndef PROVENV_TESTS_REPLAY_FOLD_SCENE_H
#define PROVENV_TESTS_REPLAY_FOLD_SCENE_H

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

enum { STEP_ARGS = 8 };

struct arg {
	bool given;
	enum event_field field;
	const char *text;
	uint64_t number; /* of numbers and flags */
};

struct step {
	enum event_type type;
	struct arg args[STEP_ARGS];
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
static const struct reader one_reader = { { reader_id, KEY_ID_BYTES },
					  { wrapped, WRAPPED_KEY_BYTES } };

#define SEAL(in, name)                                                           \
	{                                                                        \
		.profile = LITERAL(in), .key = LITERAL(name), .op = CHANGE_SEAL, \
		.commitment = { commitment, HASH_BYTES }, .sealed = {            \
			ciphertext,                                              \
			sizeof(ciphertext)                                       \
		}                                                                \
	}

struct scene {
	struct log_fixture log;
	struct evlog *evlog;
	struct evlog_snapshot *snapshot;
	uint32_t parts_left; /* of the command being added */
};

static inline void scene_release(struct scene *scene)
{
	evlog_snapshot_close(scene->snapshot);
	evlog_close(scene->evlog);
	log_fixture_release(&scene->log);
}

static inline void make_payload(const struct step *step, struct payload *ret)
{
	payload_init(ret, step->type);
	for (size_t i = 0; i < STEP_ARGS && step->args[i].given; i++) {
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
	if (step->type == EVENT_BACKUP_CREATED) {
		static const enum event_field numbers[] = { FIELD_CHUNKS, FIELD_NEW_CHUNKS,
							    FIELD_STORED_BYTES, FIELD_LOG_SIZE };

		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			payload_uint(ret, numbers[i], 1);
		payload_str(ret, FIELD_SOURCE_STATE, "ok");
		payload_text(ret, FIELD_MANIFEST, slice_of(commitment, HASH_BYTES));
		payload_text(ret, FIELD_LOG_ROOT, slice_of(commitment, HASH_BYTES));
		payload_bool(ret, FIELD_SEALED, false);
	}
	if (step->type == EVENT_ENVIRONMENT_KEYED) {
		payload_text(ret, FIELD_PUBLIC_KEY, slice_of(commitment, PUBLIC_KEY_BYTES));
		payload_readers(ret, FIELD_READERS, (struct readers){ &one_reader, 1 });
	}
}

static inline void play(struct scene *scene, const struct step *steps, size_t count)
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
static inline void open_log(struct scene *scene)
{
	scene->evlog = log_fixture_memory(&scene->log);
	assert_int_equal(evlog_snapshot_open(scene->evlog, &scene->snapshot, NULL), STATUS_OK);
}

static inline void fold_until(const struct scene *scene, struct fold *fold, uint64_t until)
{
	struct error err = ERROR_INIT;

	if (fold_to(fold, scene->snapshot, until, &err))
		fail_msg("%s", err.text);
	assert_int_equal(fold->seq, until);
}

static inline void fold_all(const struct scene *scene, struct fold *fold)
{
	fold_until(scene, fold, scene->log.count);
}

/* A path written with '/' for NUL. */
static inline bool find(const struct fold *fold, const char *path, struct slice *ret)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	buf_append_str(&bytes, path);
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] == '/')
			bytes.data[i] = 0;
	}
	return map_get(&fold->state, buf_slice(&bytes), ret);
}

static inline bool has(const struct fold *fold, const char *path)
{
	return find(fold, path, NULL);
}

static inline struct entry_variable variable(const struct fold *fold, const char *path)
{
	struct map_entry entry = { .path = slice_str(path) };

	if (!find(fold, path, &entry.value))
		fail_msg("%s is missing", path);
	return entry_variable(&entry);
}

static inline void assert_value(const struct fold *fold, const char *path, const char *value)
{
	struct entry_variable found = variable(fold, path);

	assert_false(found.sealed);
	assert_true(slice_equal(found.bytes, slice_str(value)));
}

/* Steps that leave something for every rule to be broken by, and nothing broken but one. */
enum {
	FIRST = 9,    /* variables.changed that sets and seals */
	SECOND = 12,  /* one that unsets and copies */
	WITHOUT = 13, /* one without effect */
	STARTED = 14, /* a replacement that is unfinished */
	GROUND = 14,
	BROKEN = 15, /* the event under test */
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
	STEP(REPLACEMENT_STARTED, T(ENVIRONMENT, "dev"), T(PROFILE, "eu"), T(NAME, "main"),
	     T(OPERATION, "restore"), T(KIND, "sqlite"), T(PATH, "main.db"), N(FORCED, 0)),
};

static inline enum status assert_entry_kept(void *context, const struct map_entry *entry,
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
static inline void assert_only_violation(const struct fold *before, struct fold *after,
					 uint64_t seq, enum apply_rule rule)
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

#endif
