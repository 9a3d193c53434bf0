/*
 * Questions to the state, now and at every earlier event.
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
#include "projections/projection.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/seal.h"
#include "store/state_model.h"
#include "unit/projections/payloads.h"
#include "unit/projections/state_fixture.h"

#include "base/banned.h"

static const struct lang_text titles[] = {
	{ { (const uint8_t *)"de", 2 }, { (const uint8_t *)"Entwicklung", 11 } },
	{ { (const uint8_t *)"en", 2 }, { (const uint8_t *)"Development", 11 } },
};
static const struct langmap title = { titles, 2 };

static void assert_title(struct slice bytes)
{
	struct buf expected = BUF_INIT;

	assert_int_equal(langmap_encode(&title, &expected, NULL), STATUS_OK);
	assert_true(slice_equal(bytes, buf_slice(&expected)));
	buf_release(&expected);
}

/* --- environments ----------------------------------------------------------------------------- */

static struct environment environment_at(struct scene *scene, uint64_t seq, const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct environment environment;
	struct error err = ERROR_INIT;

	if (state_environment(&view, slice_str(name), &environment, &err))
		fail_msg("%s at %d: %s", name, (int)seq, err.text);
	assert_slice(environment.name, name);
	return environment;
}

static void assert_no_environment(struct scene *scene, uint64_t seq, const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct environment environment = { .seq = 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(state_environment(&view, slice_str(name), &environment, &err),
			 STATUS_NOT_FOUND);
	assert_string_equal(err.text, ""); /* the caller knows what to say */
	assert_int_equal(environment.seq, 77);
}

static void assert_active(struct scene *scene, uint64_t seq, const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct slice active = slice_str("?");

	assert_int_equal(state_active_environment(&view, &active, NULL), STATUS_OK);
	assert_slice(active, name);
}

static void test_environments_come_and_go(void **state)
{
	struct scene *scene = *state;
	uint64_t dev = commit_dev(scene); /* created, then made active */
	uint64_t prod = commit_one(scene, environment_created("prod", "main"));
	uint64_t switched = commit_one(scene, named(EVENT_ENVIRONMENT_SWITCHED, "prod"));
	uint64_t gone = commit_one(scene, named(EVENT_ENVIRONMENT_REMOVED, "dev"));
	struct environment environment;

	look(scene);
	assert_active(scene, 0, "");
	assert_active(scene, dev - 1, "");
	assert_active(scene, dev, "dev");
	assert_active(scene, prod, "dev");
	assert_active(scene, switched, "prod");
	assert_active(scene, gone, "prod");
	assert_no_environment(scene, dev - 2, "dev");
	assert_no_environment(scene, dev, "prod");
	assert_no_environment(scene, gone, "dev");
	assert_no_environment(scene, gone, "de");
	assert_no_environment(scene, gone, "");
	environment = environment_at(scene, dev - 1, "dev");
	assert_false(environment.active);
	assert_int_equal(environment.seq, dev - 1);
	assert_slice(environment.profile, "p");
	assert_true(environment_at(scene, prod, "dev").active);
	assert_false(environment_at(scene, prod, "prod").active);
	assert_false(environment_at(scene, switched, "dev").active);
	assert_true(environment_at(scene, gone, "prod").active);
	assert_slice(environment_at(scene, gone, "prod").profile, "main");
}

static void test_environment_fields(void **state)
{
	struct scene *scene = *state;
	struct payload changed_payload = environment_changed("dev", true);
	uint64_t created, changed_seq, bare;
	struct environment environment;

	payload_langmap(&changed_payload, FIELD_TITLE, title);
	payload_langmap(&changed_payload, FIELD_DESCRIPTION, title);
	created = commit_dev(scene);
	changed_seq = commit_one(scene, changed_payload);
	bare = commit_one(scene, environment_changed("dev", false));
	look(scene);
	environment = environment_at(scene, created, "dev");
	assert_false(environment.is_protected);
	assert_int_equal(environment.title.len, 0);
	environment = environment_at(scene, changed_seq, "dev");
	assert_true(environment.is_protected);
	assert_int_equal(environment.seq, changed_seq);
	assert_title(environment.title);
	assert_title(environment.description);
	environment = environment_at(scene, bare, "dev");
	assert_false(environment.is_protected);
	assert_int_equal(environment.title.len, 0);
	assert_int_equal(environment.description.len, 0);
	assert_true(environment.active); /* which its fields do not touch */
}

static void assert_lock(struct scene *scene, uint64_t seq, bool locked, uint64_t until_ms)
{
	struct environment environment = environment_at(scene, seq, "dev");

	assert_int_equal(environment.locked, locked);
	assert_int_equal(environment.until_ms, until_ms);
}

static void test_locks(void **state)
{
	struct scene *scene = *state;
	uint64_t created = commit_dev(scene);
	uint64_t until = commit_one(scene, environment_locked("dev", 1234567890123));
	uint64_t for_ever = commit_one(scene, environment_locked("dev", 0));
	uint64_t unlocked = commit_one(scene, named(EVENT_ENVIRONMENT_UNLOCKED, "dev"));

	look(scene);
	assert_lock(scene, created, false, 0);
	assert_lock(scene, until, true, 1234567890123);
	assert_lock(scene, for_ever, true, 0);
	assert_lock(scene, unlocked, false, 0);
}

static void test_list_of_environments(void **state)
{
	static const char *const sorted[] = { "B", "a", "dev", "dev-2", "dev2" };
	struct scene *scene = *state;
	struct environment *all = NULL;
	struct state_view view;
	uint64_t first;
	size_t count = 77;

	first = commit_dev(scene);
	for (size_t i = 5; i-- > 0;) {
		if (strcmp(sorted[i], "dev") != 0)
			(void)commit_one(scene, environment_created(sorted[i], "x"));
	}
	(void)commit_one(scene, environment_locked("a", 5));
	look(scene);
	view = view_at(scene, first - 2);
	assert_int_equal(state_environments(&view, &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
	view = view_now(scene);
	assert_int_equal(state_environments(&view, &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_slice(all[i].name, sorted[i]);
		assert_int_equal(all[i].active, i == 2);
		assert_int_equal(all[i].locked, i == 1);
		assert_slice(all[i].profile, i == 2 ? "p" : "x");
	}
}

/* --- profiles --------------------------------------------------------------------------------- */

static struct profile profile_at(struct scene *scene, uint64_t seq, const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct profile profile;
	struct error err = ERROR_INIT;

	if (state_profile(&view, slice_str("dev"), slice_str(name), &profile, &err))
		fail_msg("%s at %d: %s", name, (int)seq, err.text);
	assert_slice(profile.environment, "dev");
	assert_slice(profile.name, name);
	return profile;
}

static void assert_no_profile(struct scene *scene, uint64_t seq, const char *environment,
			      const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct profile profile = { .seq = 77 };

	assert_int_equal(
		state_profile(&view, slice_str(environment), slice_str(name), &profile, NULL),
		STATUS_NOT_FOUND);
	assert_int_equal(profile.seq, 77);
}

static void test_profiles(void **state)
{
	struct scene *scene = *state;
	struct payload based = profile_event(EVENT_PROFILE_CHANGED, "dev", "q", "p");
	uint64_t dev, created, switched, changed_seq, back, removed;

	payload_langmap(&based, FIELD_TITLE, title);
	dev = commit_dev(scene);
	created = commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	switched = commit_one(scene, profile_event(EVENT_PROFILE_SWITCHED, "dev", "q", NULL));
	changed_seq = commit_one(scene, based);
	back = commit_one(scene, profile_event(EVENT_PROFILE_SWITCHED, "dev", "p", NULL));
	removed = commit_one(scene, profile_event(EVENT_PROFILE_REMOVED, "dev", "q", NULL));
	look(scene);
	assert_true(profile_at(scene, dev, "p").active);
	assert_int_equal(profile_at(scene, removed, "p").seq, dev - 1);
	assert_no_profile(scene, dev, "dev", "q");
	assert_no_profile(scene, removed, "dev", "q");
	assert_no_profile(scene, removed, "prod", "p");
	assert_false(profile_at(scene, created, "q").active);
	assert_int_equal(profile_at(scene, created, "q").base.len, 0);
	assert_true(profile_at(scene, switched, "q").active);
	assert_false(profile_at(scene, switched, "p").active);
	assert_slice(environment_at(scene, switched, "dev").profile, "q");
	assert_int_equal(profile_at(scene, changed_seq, "q").seq, changed_seq);
	assert_slice(profile_at(scene, changed_seq, "q").base, "p");
	assert_title(profile_at(scene, changed_seq, "q").title);
	assert_int_equal(profile_at(scene, changed_seq, "q").description.len, 0);
	assert_false(profile_at(scene, back, "q").active);
}

static void test_list_of_profiles(void **state)
{
	struct scene *scene = *state;
	struct profile *all = NULL;
	struct state_view view;
	size_t count = 77;

	(void)commit_dev(scene);
	(void)commit_one(scene, environment_created("prod", "other"));
	(void)commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "z", "p"));
	(void)commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "a", "z"));
	look(scene);
	view = view_now(scene);
	assert_int_equal(state_profiles(&view, slice_str("dev"), &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 3);
	assert_slice(all[0].name, "a");
	assert_slice(all[0].base, "z");
	assert_slice(all[1].name, "p");
	assert_true(all[1].active);
	assert_slice(all[2].name, "z");
	assert_false(all[2].active);
	assert_int_equal(state_profiles(&view, slice_str("none"), &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
}

/* --- variables -------------------------------------------------------------------------------- */

static struct variable variable_at(struct scene *scene, uint64_t seq, const char *key)
{
	struct state_view view = view_at(scene, seq);
	struct variable variable;
	struct error err = ERROR_INIT;

	if (state_variable(&view, slice_str("dev"), slice_str("p"), slice_str(key), &variable,
			   &err))
		fail_msg("%s at %d: %s", key, (int)seq, err.text);
	return variable;
}

static struct variable_value read_value(struct scene *scene, const struct variable *variable)
{
	struct state_view view = view_now(scene);
	struct variable_value value;
	struct error err = ERROR_INIT;

	if (state_value(&view, variable, &value, &err))
		fail_msg("value: %s", err.text);
	return value;
}

/* One variable through a life of changes, asked about at every single event of the log. */
static void test_value_at_every_event(void **state)
{
	struct scene *scene = *state;
	const char *expected[16] = { NULL };
	uint64_t one, last, seq;

	(void)commit_dev(scene);
	one = commit_change(scene, set("p", "A", "one"));
	expected[one] = "one";
	seq = commit_change(scene, set("p", "B", "another"));
	expected[seq] = "one";
	seq = commit_change(scene, set("p", "A", ""));
	expected[seq] = "";
	seq = commit_change(scene, unset("p", "A"));
	expected[seq] = NULL;
	seq = commit_one(scene, category_defined("logging", false));
	expected[seq] = NULL;
	seq = commit_change(scene, copy("p", "A", one, 0));
	expected[seq] = "one";
	last = commit_change(scene, set("p", "A", "two"));
	expected[last] = "two";
	look(scene);
	for (seq = 0; seq <= last; seq++) {
		const char *value = value_at(scene, seq, "A");

		if (!value || !expected[seq])
			assert_ptr_equal(value, expected[seq]);
		else
			assert_string_equal(value, expected[seq]);
	}
}

static void test_variables(void **state)
{
	struct scene *scene = *state;
	struct change changes[] = { set("p", "A", "one"), set_template("p", "B", "${A}"),
				    seal_nothing("p", "C"), set("q", "A", "other profile") };
	struct variable *all = NULL;
	struct state_view view;
	uint64_t seq, unset_seq;
	size_t count = 77;

	(void)commit_dev(scene);
	(void)commit_one(scene, environment_created("prod", "p"));
	(void)commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	seq = commit_one(scene, variables_changed("dev", changes, 4));
	(void)commit_one(scene, variables_changed("prod", changes, 1));
	unset_seq = commit_change(scene, unset("p", "B"));
	look(scene);
	view = view_at(scene, seq);
	assert_int_equal(
		state_variables(&view, slice_str("dev"), slice_str("p"), &all, &count, NULL),
		STATUS_OK);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < 3; i++) {
		struct variable one = variable_at(scene, seq, (const char *[]){ "A", "B", "C" }[i]);

		assert_slice(all[i].environment, "dev");
		assert_slice(all[i].profile, "p");
		assert_true(slice_equal(all[i].key, changes[i].key));
		assert_int_equal(all[i].seq, seq);
		assert_int_equal(all[i].value_seq, seq);
		assert_int_equal(all[i].value_index, i);
		assert_int_equal(all[i].expand, i == 1);
		assert_int_equal(all[i].sealed, i == 2);
		assert_true(slice_equal(one.key, all[i].key));
		assert_int_equal(one.value_index, i);
		assert_int_equal(one.expand, i == 1);
		assert_int_equal(one.sealed, i == 2);
	}
	view = view_at(scene, unset_seq);
	assert_int_equal(
		state_variables(&view, slice_str("dev"), slice_str("p"), &all, &count, NULL),
		STATUS_OK);
	assert_int_equal(count, 2);
	assert_slice(all[1].key, "C");
	assert_int_equal(
		state_variables(&view, slice_str("dev"), slice_str("none"), &all, &count, NULL),
		STATUS_OK);
	assert_int_equal(count, 0);
}

static void test_no_variable(void **state)
{
	struct scene *scene = *state;
	struct variable variable = { .seq = 77 };
	struct state_view view;
	struct error err = ERROR_INIT;

	(void)commit_dev(scene);
	(void)commit_change(scene, set("p", "AB", "one"));
	look(scene);
	view = view_now(scene);
	assert_int_equal(state_variable(&view, slice_str("dev"), slice_str("p"), slice_str("A"),
					&variable, &err),
			 STATUS_NOT_FOUND);
	assert_int_equal(state_variable(&view, slice_str("de"), slice_str("vp"), slice_str("AB"),
					&variable, &err),
			 STATUS_NOT_FOUND);
	assert_int_equal(variable.seq, 77);
	assert_string_equal(err.text, "");
}

/* A removed environment takes its variables along; one of the same name begins empty. */
static void test_environment_made_again(void **state)
{
	struct scene *scene = *state;
	struct payload again[] = { environment_created("x", "p"),
				   named(EVENT_ENVIRONMENT_SWITCHED, "x"),
				   named(EVENT_ENVIRONMENT_REMOVED, "dev"),
				   environment_created("dev", "p") };
	uint64_t set_seq, removed;

	(void)commit_dev(scene);
	set_seq = commit_change(scene, set("p", "A", "one"));
	removed = commit(scene, again, 4);
	look(scene);
	assert_string_equal(value_at(scene, set_seq, "A"), "one");
	assert_null(value_at(scene, removed - 1, "A"));
	assert_null(value_at(scene, removed, "A"));
}

/* What opens a sealed value is where it was sealed, also through a copy elsewhere. */
static void test_sealed_values_and_copies(void **state)
{
	static const uint8_t commitment[HASH_BYTES] = "the commitment of a sealed one!";
	static uint8_t sealed[256] = "ciphertext";
	struct scene *scene = *state;
	struct change pair[] = { set("main", "A", "one"), seal("main", "S", commitment, sealed) };
	struct payload parts[] = { category_defined("logging", false),
				   variables_changed("prod", pair, 2) };
	struct change copies[] = { copy("p", "A", 0, 0), copy("p", "S", 0, 1) };
	struct variable variable;
	struct variable_value value;
	const struct read_event *event;
	uint64_t source, copied;

	(void)commit_dev(scene);
	(void)commit_one(scene, environment_created("prod", "main"));
	source = commit(scene, parts, 2);
	copies[0].copy_seq = copies[1].copy_seq = source;
	copies[0].expand = true;
	copied = commit_one(scene, variables_changed("dev", copies, 2));
	look(scene);
	variable = variable_at(scene, copied, "A");
	assert_int_equal(variable.value_seq, source);
	assert_int_equal(variable.value_index, 0);
	assert_int_equal(variable.seq, copied);
	assert_true(variable.expand); /* of the copy, not of what it points at */
	value = read_value(scene, &variable);
	assert_slice(value.text, "one");
	assert_int_equal(value.commitment.len, 0);
	variable = variable_at(scene, copied, "S");
	assert_true(variable.sealed);
	assert_false(variable.expand);
	assert_int_equal(variable.value_index, 1);
	value = read_value(scene, &variable);
	assert_int_equal(value.text.len, 0);
	assert_true(slice_equal(value.commitment, slice_of(commitment, HASH_BYTES)));
	assert_true(slice_equal(value.sealed, slice_of(sealed, sealed_bytes(0))));
	assert_int_equal(value.part, 2);
	assert_slice(value.sealed_environment, "prod");
	assert_int_equal(
		event_reader_get(projection_reader(scene->projection), source, &event, NULL),
		STATUS_OK);
	assert_memory_equal(value.command_id, event->decoded.event.command_id, COMMAND_ID_BYTES);
}

/* --- definitions ------------------------------------------------------------------------------ */

/* Does the definition say what the payload that made it says? */
static void assert_definition(const struct definition *definition, const struct payload *payload,
			      uint64_t seq)
{
	struct buf expected = BUF_INIT;

	assert_int_equal(payload_encode(payload, &expected, NULL), STATUS_OK);
	assert_true(slice_equal(definition->bytes, buf_slice(&expected)));
	buf_clear(&expected);
	assert_int_equal(payload_encode(definition->payload, &expected, NULL), STATUS_OK);
	assert_true(slice_equal(definition->bytes, buf_slice(&expected)));
	assert_int_equal(definition->payload->type, payload->type);
	assert_int_equal(definition->seq, seq);
	buf_release(&expected);
}

typedef enum status (*definition_get)(const struct state_view *view, struct slice name,
				      struct definition *ret, struct error *err);
typedef enum status (*definition_list)(const struct state_view *view, struct definition **ret,
				       size_t *ret_count, struct error *err);

static void assert_undefined(struct scene *scene, uint64_t seq, definition_get get,
			     const char *name)
{
	struct state_view view = view_at(scene, seq);
	struct definition definition = { .seq = 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(get(&view, slice_str(name), &definition, &err), STATUS_NOT_FOUND);
	assert_int_equal(definition.seq, 77);
	assert_string_equal(err.text, "");
}

static void assert_defined(struct scene *scene, uint64_t at, definition_get get, const char *name,
			   const struct payload *payload, uint64_t seq)
{
	struct state_view view = view_at(scene, at);
	struct definition definition;
	struct error err = ERROR_INIT;

	if (get(&view, slice_str(name), &definition, &err))
		fail_msg("%s: %s", name, err.text);
	assert_definition(&definition, payload, seq);
}

static size_t count_at(struct scene *scene, uint64_t seq, definition_list list,
		       struct definition **ret)
{
	struct state_view view = view_at(scene, seq);
	size_t count = 77;

	assert_int_equal(list(&view, ret, &count, NULL), STATUS_OK);
	return count;
}

static void test_categories(void **state)
{
	struct scene *scene = *state;
	struct payload planned = category_defined("b", true), real = category_defined("b", false);
	struct payload other = category_defined("a", false);
	struct definition *all = NULL;
	uint64_t first, second, third, removed;

	payload_langmap(&real, FIELD_TITLE, title);
	first = commit_one(scene, planned);
	second = commit_one(scene, other);
	third = commit_one(scene, real);
	removed = commit_one(scene, named(EVENT_CATEGORY_REMOVED, "b"));
	look(scene);
	assert_undefined(scene, first - 1, state_category, "b");
	assert_defined(scene, second, state_category, "b", &planned, first);
	assert_defined(scene, third, state_category, "b", &real, third);
	assert_undefined(scene, removed, state_category, "b");
	assert_int_equal(count_at(scene, first - 1, state_categories, &all), 0);
	assert_int_equal(count_at(scene, third, state_categories, &all), 2);
	assert_definition(&all[0], &other, second);
	assert_definition(&all[1], &real, third);
	assert_int_equal(count_at(scene, removed, state_categories, &all), 1);
}

static void test_specifications(void **state)
{
	struct scene *scene = *state;
	struct payload bare = variable_specified("B", NULL), full = variable_specified("B", "logs");
	struct payload other = variable_specified("A", NULL);
	struct definition *all = NULL;
	uint64_t first, second, third, removed;

	payload_str(&full, FIELD_DEFAULT, "fallback");
	(void)commit_one(scene, category_defined("logs", false));
	first = commit_one(scene, bare);
	second = commit_one(scene, full);
	third = commit_one(scene, other);
	removed = commit_one(scene, variable_unspecified("B"));
	look(scene);
	assert_undefined(scene, first - 1, state_specification, "B");
	assert_defined(scene, first, state_specification, "B", &bare, first);
	assert_defined(scene, third, state_specification, "B", &full, second);
	assert_undefined(scene, removed, state_specification, "B");
	assert_int_equal(count_at(scene, third, state_specifications, &all), 2);
	assert_definition(&all[0], &other, third);
	assert_definition(&all[1], &full, second);
	assert_int_equal(count_at(scene, removed, state_specifications, &all), 1);
}

static size_t databases_at(struct scene *scene, uint64_t seq, const char *profile,
			   struct definition **ret)
{
	struct state_view view = view_at(scene, seq);
	size_t count = 77;

	assert_int_equal(
		state_databases(&view, slice_str("dev"), slice_str(profile), ret, &count, NULL),
		STATUS_OK);
	return count;
}

static void test_databases(void **state)
{
	struct scene *scene = *state;
	struct payload main_one = database_attached("dev", "p", "main", "a.db");
	struct payload moved = database_attached("dev", "p", "main", "b.db");
	struct payload aux = database_attached("dev", "p", "aux", "c.db");
	struct definition *all = NULL;
	uint64_t first, second, third, detached;

	(void)commit_dev(scene);
	(void)commit_one(scene, profile_event(EVENT_PROFILE_CREATED, "dev", "q", NULL));
	first = commit_one(scene, main_one);
	second = commit_one(scene, moved);
	third = commit_one(scene, aux);
	detached = commit_one(scene, database_detached("dev", "p", "main"));
	look(scene);
	assert_int_equal(databases_at(scene, first - 1, "p", &all), 0);
	assert_int_equal(databases_at(scene, first, "p", &all), 1);
	assert_definition(&all[0], &main_one, first);
	assert_int_equal(databases_at(scene, third, "p", &all), 2);
	assert_definition(&all[0], &aux, third);
	assert_definition(&all[1], &moved, second);
	assert_int_equal(databases_at(scene, detached, "p", &all), 1);
	assert_definition(&all[0], &aux, third);
	assert_int_equal(databases_at(scene, detached, "q", &all), 0);
}

static enum status key_at(struct scene *scene, uint64_t seq, uint64_t generation,
			  struct definition *ret)
{
	struct state_view view = view_at(scene, seq);

	return state_environment_key(&view, slice_str("dev"), generation, ret, NULL);
}

static void test_environment_keys(void **state)
{
	struct scene *scene = *state;
	struct payload first_key = environment_keyed("dev", 1);
	struct payload second_key = environment_keyed("dev", 2);
	struct payload other_key = environment_keyed("prod", 1);
	struct payload move[] = { named(EVENT_ENVIRONMENT_SWITCHED, "prod"),
				  named(EVENT_ENVIRONMENT_REMOVED, "dev") };
	struct definition key = { .seq = 77 };
	uint64_t first, second, removed;

	(void)commit_dev(scene);
	(void)commit_one(scene, environment_created("prod", "main"));
	first = commit_one(scene, first_key);
	second = commit_one(scene, second_key);
	(void)commit_one(scene, other_key);
	removed = commit(scene, move, 2);
	look(scene);
	assert_int_equal(key_at(scene, first - 1, 0, &key), STATUS_NOT_FOUND);
	assert_int_equal(key_at(scene, first, 2, &key), STATUS_NOT_FOUND);
	assert_int_equal(key_at(scene, removed, UINT64_MAX, &key), STATUS_NOT_FOUND);
	assert_int_equal(key.seq, 77);
	assert_int_equal(key_at(scene, first, 0, &key), STATUS_OK);
	assert_definition(&key, &first_key, first);
	assert_int_equal(key_at(scene, second, 0, &key), STATUS_OK);
	assert_definition(&key, &second_key, second);
	assert_int_equal(key_at(scene, second, 1, &key), STATUS_OK);
	assert_definition(&key, &first_key, first);
	/* They outlive their environment: copies of old values still open. */
	assert_int_equal(key_at(scene, removed, 2, &key), STATUS_OK);
	assert_definition(&key, &second_key, second);
}

/* --- violations ------------------------------------------------------------------------------- */

static void test_violations(void **state)
{
	struct scene *scene = *state;
	struct payload group[] = { category_defined("logging", false),
				   named(EVENT_ENVIRONMENT_REMOVED, "none"),
				   category_defined("trading", false) };
	struct violation *all = NULL;
	struct state_view view;
	uint64_t first, second;
	size_t count = 77;

	(void)commit_dev(scene);
	first = commit_change(scene, unset("p", "A"));
	second = commit(scene, group, 3);
	look(scene);
	view = view_at(scene, first - 1);
	assert_int_equal(state_violations(&view, &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
	view = view_at(scene, second);
	assert_int_equal(state_violations(&view, &all, &count, NULL), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(all[0].seq, first);
	assert_int_equal(all[0].rule, RULE_VARIABLE_SET);
	assert_int_equal(all[1].seq, second - 1); /* the part that broke it */
	assert_int_equal(all[1].rule, RULE_ENVIRONMENT_EXISTS);
	assert_undefined(scene, second, state_category, "logging");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_environments_come_and_go),
		TEST(test_environment_fields),
		TEST(test_locks),
		TEST(test_list_of_environments),
		TEST(test_profiles),
		TEST(test_list_of_profiles),
		TEST(test_value_at_every_event),
		TEST(test_variables),
		TEST(test_no_variable),
		TEST(test_environment_made_again),
		TEST(test_sealed_values_and_copies),
		TEST(test_categories),
		TEST(test_specifications),
		TEST(test_databases),
		TEST(test_environment_keys),
		TEST(test_violations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
