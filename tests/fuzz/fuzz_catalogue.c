/*
 * Fuzz target: catalogue files (ops/catalogue.h), and with them specifications.
 *
 * Input: the file. What must hold:
 * - refused: USAGE, with words, and the output is untouched;
 * - accepted: every payload encodes within an event, and every specification stands its own rules;
 * - printed, it is read again as the same payloads in the same order, and printed again as the same
 *   text.
 *
 * The mutator puts, takes and renames members by the table of sections.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"
#include "ops/catalogue.h"
#include "ops/catalogue_table.h"
#include "ops/json_read.h"
#include "ops/value_check.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static void check_specification(const struct payload *payload)
{
	struct error err = ERROR_INIT;

	FUZZ_CHECK(!specification_check(payload, &err), "accepted, but unsound: %s", err.text);
}

/* Append what the payloads encode to. */
static void encode_all(const struct payload *const *payloads, size_t count, enum event_type type,
		       struct buf *ret)
{
	for (size_t i = 0; i < count; i++) {
		struct payload whole = *payloads[i];
		struct error err = ERROR_INIT;
		size_t before = ret->len;

		FUZZ_CHECK(whole.type == type, "a payload of another type");
		if (type == EVENT_DATABASE_ATTACHED) { /* the caller says for whom */
			payload_str(&whole, FIELD_ENVIRONMENT, "any");
			payload_str(&whole, FIELD_PROFILE, "any");
		} else if (type == EVENT_VARIABLE_SPECIFIED) {
			check_specification(&whole);
		}
		FUZZ_CHECK(!payload_encode(&whole, ret, &err), "does not encode: %s", err.text);
		FUZZ_CHECK(ret->len - before < EVENT_BYTES_MAX, "too large for an event");
	}
}

/* No two of a section have the same name, or key. */
static void check_unique(const struct payload *const *payloads, size_t count,
			 const struct catalogue_section *section)
{
	for (size_t i = 0; i < count; i++) {
		struct slice name = payload_get_text(payloads[i], section->fields[0]);

		FUZZ_CHECK(name.len > 0, "an entry without a name");
		for (size_t j = 0; j < i; j++)
			FUZZ_CHECK(!slice_equal(name,
						payload_get_text(payloads[j], section->fields[0])),
				   "entries %zu and %zu have one name", j, i);
	}
}

static void encode_catalogue(const struct catalogue *catalogue, struct buf *ret)
{
	encode_all(catalogue->categories, catalogue->category_count, EVENT_CATEGORY_DEFINED, ret);
	encode_all(catalogue->environments, catalogue->environment_count, EVENT_ENVIRONMENT_CREATED,
		   ret);
	encode_all(catalogue->databases, catalogue->database_count, EVENT_DATABASE_ATTACHED, ret);
	encode_all(catalogue->specifications, catalogue->specification_count,
		   EVENT_VARIABLE_SPECIFIED, ret);
}

static void check_accepted(const struct catalogue *catalogue)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf payloads = BUF_INIT;
	AUTO(buf_release) struct buf payloads_again = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf text_again = BUF_INIT;
	struct catalogue read;
	struct error err = ERROR_INIT;

	check_unique(catalogue->categories, catalogue->category_count, &catalogue_categories);
	check_unique(catalogue->environments, catalogue->environment_count,
		     &catalogue_environments);
	check_unique(catalogue->databases, catalogue->database_count, &catalogue_databases);
	check_unique(catalogue->specifications, catalogue->specification_count,
		     &catalogue_variables);
	encode_catalogue(catalogue, &payloads);
	FUZZ_CHECK(!catalogue_print(catalogue, &text, &err), "not printed: %s", err.text);
	FUZZ_CHECK(!catalogue_parse(&arena, buf_slice(&text), &read, &err),
		   "printed, but not read: %s", err.text);
	encode_catalogue(&read, &payloads_again);
	FUZZ_CHECK(slice_equal(buf_slice(&payloads), buf_slice(&payloads_again)),
		   "read from what was printed, it is another one");
	FUZZ_CHECK(!catalogue_print(&read, &text_again, &err) &&
			   slice_equal(buf_slice(&text), buf_slice(&text_again)),
		   "printed twice, it is not the same");
}

/* Jansson draws the seed of its tables from the system, where it was given none. */
static void seed_tables(void)
{
	static bool seeded;

	if (!seeded)
		json_object_seed(1);
	seeded = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue;
	struct error err = ERROR_INIT;
	enum status status;

	seed_tables();
	fuzz_mark(&catalogue, sizeof(catalogue));
	status = catalogue_parse(&arena, slice_of(data, size), &catalogue, &err);
	fuzz_check_error(status, &err);
	if (status) {
		FUZZ_CHECK(status == STATUS_USAGE, "%s", status_name(status));
		FUZZ_CHECK(fuzz_is_marked(&catalogue, sizeof(catalogue)),
			   "refused, but the output was touched");
		return 0;
	}
	check_accepted(&catalogue);
	return 0;
}

/* --- mutating by the table ---------------------------------------------------------------------
 */

static const struct catalogue_section *any_section(struct sample_random *random)
{
	static const struct catalogue_section *const sections[] = {
		&catalogue_categories, &catalogue_environments, &catalogue_databases,
		&catalogue_variables,  &catalogue_variables,    &catalogue_variables,
	};

	return sections[sample_below(random, sizeof(sections) / sizeof(sections[0]))];
}

static enum event_field any_field(struct sample_random *random)
{
	const struct catalogue_section *section = any_section(random);

	return section->fields[sample_below(random, section->field_count)];
}

/* Texts that some member takes, or just not. */
static json_t *any_text(struct sample_random *random)
{
	static const char *const texts[] = {
		"",        "production",   "DATABASE_URL",
		"A",       "a b",          "-",
		"string",  "int",          "decimal",
		"bool",    "enum",         "url",
		"path",    "json",         "sqlite",
		"file",    "planned",      "implemented",
		"0",       "-12.50",       "1e3",
		"10",      "true",         "https://a.example/",
		"[a-z]+",  "(a|a)*b",      "(?<x>",
		"\\p{L}",  "{\"a\":1}",    "line\nline",
		"\x1b[2J", "\xe2\x80\xae", "\xc2\x9b",
		"é",       "/tmp/x",       "und",
	};

	return json_string(texts[sample_below(random, sizeof(texts) / sizeof(texts[0]))]);
}

static json_t *any_number(struct sample_random *random)
{
	static const json_int_t integers[] = { 0, 1, -1, 10, INT64_MAX, INT64_MIN };
	static const double reals[] = { 0.5, -0.0, 0.1, 1e15, 123456789.25, 1e300, 1e-7 };

	if (sample_below(random, 2))
		return json_integer(integers[sample_below(random, 6)]);
	return json_real(reals[sample_below(random, 7)]);
}

static json_t *any_texts(struct sample_random *random)
{
	json_t *list = json_array();

	for (size_t left = sample_below(random, 4); left > 0; left--)
		(void)json_array_append_new(list, any_text(random));
	return list;
}

static json_t *any_languages(struct sample_random *random)
{
	static const char *const tags[] = { "de", "en", "en-GB", "ko", "und", "x_y", "$note", "" };
	json_t *object = json_object();

	for (size_t left = sample_below(random, 4); left > 0; left--)
		(void)json_object_set_new(object, tags[sample_below(random, 8)], any_text(random));
	return object;
}

/* A value of any type. */
static json_t *any_value(struct sample_random *random)
{
	switch (sample_below(random, 8)) {
	case 0:
		return json_boolean(sample_below(random, 2));
	case 1:
		return any_number(random);
	case 2:
		return any_texts(random);
	case 3:
		return any_languages(random);
	case 4:
		return json_null();
	default:
		return any_text(random);
	}
}

/* A value of the type that the member's kind mostly has. */
static json_t *value_for(struct sample_random *random, enum event_field field)
{
	enum field_kind kind = event_field_info(field)->kind;

	if (sample_below(random, 16) == 0)
		return any_value(random);
	if (field == FIELD_PLANNED)
		return any_text(random);
	if (kind == KIND_BOOL)
		return json_boolean(sample_below(random, 2));
	if (kind == KIND_TEXTS)
		return any_texts(random);
	if (kind == KIND_DECIMAL)
		return any_number(random);
	if (kind == KIND_LANGMAP && sample_below(random, 2))
		return any_languages(random);
	return any_text(random);
}

static json_t *any_entry(struct sample_random *random, const struct catalogue_section *section)
{
	json_t *object = json_object();

	for (size_t i = 0; i < section->field_count; i++) {
		enum event_field field = section->fields[i];

		if (i == 0 || sample_below(random, 4) == 0)
			(void)json_object_set_new(object, catalogue_member(field),
						  value_for(random, field));
	}
	return object;
}

/* The name of a member of @object, borrowed; NULL when it has none. */
static const char *any_member(struct sample_random *random, json_t *object)
{
	size_t skip = sample_below(random, json_object_size(object) + 1);
	void *at = json_object_iter(object);

	for (; skip > 1 && at; skip--)
		at = json_object_iter_next(object, at);
	return at ? json_object_iter_key(at) : NULL;
}

static void change_object(struct sample_random *random, json_t *object)
{
	const char *name = any_member(random, object);
	enum event_field field = any_field(random);
	json_t *value;

	switch (sample_below(random, 6)) {
	case 0:
		if (name)
			(void)json_object_del(object, name);
		break;
	case 1: /* renamed */
		value = name ? json_incref(json_object_get(object, name)) : json_null();
		if (name)
			(void)json_object_del(object, name);
		(void)json_object_set_new(object, catalogue_member(field), value);
		break;
	case 2: /* of another type */
		if (name)
			(void)json_object_set_new(object, name, any_value(random));
		break;
	case 3:
		(void)json_object_set_new(object, any_section(random)->name, any_texts(random));
		break;
	default:
		(void)json_object_set_new(object, catalogue_member(field),
					  value_for(random, field));
	}
}

static void change_array(struct sample_random *random, json_t *array)
{
	size_t at = sample_below(random, json_array_size(array) + 1);

	switch (sample_below(random, 4)) {
	case 0:
		(void)json_array_remove(array, at);
		break;
	case 1:
		if (at < json_array_size(array))
			(void)json_array_insert_new(array, at,
						    json_deep_copy(json_array_get(array, at)));
		break;
	case 2:
		(void)json_array_insert_new(array, at, any_entry(random, any_section(random)));
		break;
	default:
		(void)json_array_insert_new(array, at, any_value(random));
	}
}

/* Put an entry where its section is, which is made if need be. */
static void add_entry(struct sample_random *random, json_t *root)
{
	const struct catalogue_section *section = any_section(random);
	json_t *list = json_object_get(root, section->name);

	if (!json_is_array(list)) {
		list = json_array();
		(void)json_object_set_new(root, section->name, list);
	}
	(void)json_array_append_new(list, any_entry(random, section));
}

/* Go down from the root, and change what is met. */
static void change_somewhere(struct sample_random *random, json_t *root)
{
	json_t *at = root;

	for (;;) {
		json_t *below = NULL;

		if (json_is_object(at)) {
			const char *name = any_member(random, at);

			below = name ? json_object_get(at, name) : NULL;
		} else if (json_array_size(at) > 0) {
			below = json_array_get(at, sample_below(random, json_array_size(at)));
		}
		if (!(json_is_object(below) || json_is_array(below)) ||
		    sample_below(random, 5) == 0)
			break;
		at = below;
	}
	if (json_is_object(at))
		change_object(random, at);
	else if (json_is_array(at))
		change_array(random, at);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct sample_random random = { .state = seed };
	AUTO(json_cleanup) json_t *root = NULL;
	AUTO_FREE char *text = NULL;
	bool no_memory;

	seed_tables();
	if (sample_below(&random, 4))
		root = json_read(slice_of(data, size), 0, NULL, &no_memory);
	if (!root)
		return LLVMFuzzerMutate(data, size, max_size);
	if (json_is_object(root) && sample_below(&random, 4) == 0)
		add_entry(&random, root);
	else
		change_somewhere(&random, root);
	text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!text || strlen(text) > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	return fuzz_put(data, max_size, slice_str(text));
}
