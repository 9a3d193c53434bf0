/*
 * Writing catalogue files: the exact bytes, and that reading them gives the same payloads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "lib/event_compare.h"
#include "ops/catalogue.h"
#include "ops/value_check.h"
#include "store/event.h"

#include "base/banned.h"

static void read_file(const char *path, struct buf *ret)
{
	assert_int_equal(fs_read_file(path, CATALOGUE_BYTES_MAX, ret, NULL), STATUS_OK);
}

static void parse(struct arena *arena, struct slice json, struct catalogue *ret)
{
	struct error err = ERROR_INIT;
	enum status status = catalogue_parse(arena, json, ret, &err);

	if (status)
		print_error("%s\n", err.text);
	assert_int_equal(status, STATUS_OK);
}

static void assert_lists_equal(const struct payload *const *a, size_t a_count,
			       const struct payload *const *b, size_t b_count)
{
	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++)
		assert_payloads_equal(a[i], b[i]);
}

/* Print, parse, compare; and print again to the same bytes. */
static void assert_survives(const struct catalogue *catalogue)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf printed = BUF_INIT;
	AUTO(buf_release) struct buf again = BUF_INIT;
	struct catalogue back;

	assert_int_equal(catalogue_print(catalogue, &printed, NULL), STATUS_OK);
	parse(&arena, buf_slice(&printed), &back);
	assert_lists_equal(catalogue->categories, catalogue->category_count, back.categories,
			   back.category_count);
	assert_lists_equal(catalogue->environments, catalogue->environment_count, back.environments,
			   back.environment_count);
	assert_lists_equal(catalogue->databases, catalogue->database_count, back.databases,
			   back.database_count);
	assert_lists_equal(catalogue->specifications, catalogue->specification_count,
			   back.specifications, back.specification_count);
	assert_int_equal(catalogue_print(&back, &again, NULL), STATUS_OK);
	assert_string_equal(buf_str(&printed), buf_str(&again));
}

static void example_survives(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf json = BUF_INIT;
	struct catalogue catalogue;

	(void)state;
	read_file(GOLDEN_DIR "/../../docs/examples/catalogue.json", &json);
	parse(&arena, buf_slice(&json), &catalogue);
	assert_int_equal(catalogue.specification_count, 28);
	assert_survives(&catalogue);
}

/* Every member in every form that is written. */
static void golden_bytes(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf golden = BUF_INIT;
	AUTO(buf_release) struct buf printed = BUF_INIT;
	struct catalogue catalogue;

	(void)state;
	read_file(GOLDEN_DIR "/catalogue/all-members.json", &golden);
	parse(&arena, buf_slice(&golden), &catalogue);
	buf_append_str(&printed, "before\n");
	assert_int_equal(catalogue_print(&catalogue, &printed, NULL), STATUS_OK);
	assert_memory_equal(printed.data, "before\n", 7);
	assert_string_equal(buf_str(&printed) + 7, buf_str(&golden));
	assert_survives(&catalogue);
}

static void an_export_has_two_sections(void **state)
{
	const struct catalogue empty = { .category_count = 0 };
	AUTO(buf_release) struct buf printed = BUF_INIT;

	(void)state;
	assert_int_equal(catalogue_print(&empty, &printed, NULL), STATUS_OK);
	assert_string_equal(buf_str(&printed), "{\n  \"schema\": \"provenv/catalogue/v1\",\n"
					       "  \"categories\": [],\n  \"variables\": []\n}\n");
	assert_survives(&empty);
}

/* Random catalogues, made as payloads. */

struct maker {
	struct arena arena;
	uint64_t seed;
};

static size_t below(struct maker *maker, size_t bound)
{
	maker->seed ^= maker->seed >> 12;
	maker->seed ^= maker->seed << 25;
	maker->seed ^= maker->seed >> 27;
	return (size_t)((maker->seed * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

/* Not empty; with all that JSON must escape. */
static struct slice some_text(struct maker *maker)
{
	static const char *const pieces[] = { "a", "\"", "\\", "\n", "\x01", "/", "로", "\x7f",
					      " ", "😀", "$",  "{}", "\t",   "é", "0" };
	AUTO(buf_release) struct buf text = BUF_INIT;
	size_t count = 1 + below(maker, 8);

	for (size_t i = 0; i < count; i++)
		buf_append_str(&text, pieces[below(maker, sizeof(pieces) / sizeof(pieces[0]))]);
	return arena_copy(&maker->arena, buf_slice(&text));
}

static struct slice numbered(struct maker *maker, const char *prefix, size_t number)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	buf_printf(&text, "%s%zu", prefix, number);
	return arena_copy(&maker->arena, buf_slice(&text));
}

static void maybe_langmap(struct maker *maker, struct payload *payload, enum event_field field)
{
	static const char *const tags[] = { "de", "en-GB", "ko", "und", "zh" };
	struct lang_text *entries = arena_array(&maker->arena, 5, sizeof(*entries));
	size_t count = 0;

	assert_non_null(entries);
	for (size_t i = 0; i < 5; i++) {
		if (below(maker, 3) == 0)
			entries[count++] = (struct lang_text){ .tag = slice_str(tags[i]),
							       .text = some_text(maker) };
	}
	if (count)
		payload_langmap(payload, field,
				(struct langmap){ .entries = entries, .count = count });
}

static struct payload *some_payload(struct maker *maker, enum event_type type)
{
	struct payload *payload = arena_alloc(&maker->arena, sizeof(*payload));

	assert_non_null(payload);
	payload_init(payload, type);
	if (type != EVENT_DATABASE_ATTACHED) {
		maybe_langmap(maker, payload, FIELD_TITLE);
		maybe_langmap(maker, payload, FIELD_DESCRIPTION);
	}
	return payload;
}

static const struct payload *some_category(struct maker *maker, size_t number)
{
	struct payload *payload = some_payload(maker, EVENT_CATEGORY_DEFINED);

	payload_text(payload, FIELD_NAME, numbered(maker, "c-", number));
	payload_bool(payload, FIELD_PLANNED, below(maker, 2));
	return payload;
}

static const struct payload *some_environment(struct maker *maker, size_t number)
{
	struct payload *payload = some_payload(maker, EVENT_ENVIRONMENT_CREATED);

	payload_text(payload, FIELD_NAME, numbered(maker, "e.", number));
	payload_str(payload, FIELD_PROFILE, below(maker, 2) ? "default" : "main");
	payload_bool(payload, FIELD_PROTECTED, below(maker, 2));
	return payload;
}

static const struct payload *some_database(struct maker *maker, size_t number)
{
	struct payload *payload = some_payload(maker, EVENT_DATABASE_ATTACHED);

	payload_text(payload, FIELD_NAME, numbered(maker, "d_", number));
	payload_str(payload, FIELD_KIND, below(maker, 2) ? "sqlite" : "file");
	payload_str(payload, FIELD_PATH, below(maker, 2) ? "a b/\"로\\.db" : "/x");
	return payload;
}

static void add_number_rules(struct maker *maker, struct payload *payload)
{
	static const char *const mins[] = { "0",  "-5",  "-9223372036854775808",     "-0.10",
					    "+1", "007", "-1.0000000000000000000001" };
	static const char *const maxes[] = { "60", "9223372036854775807", "99.95", "+100.0",
					     "12345678901234567890" };
	bool whole = below(maker, 2);

	payload_str(payload, FIELD_TYPE, whole ? "int" : "decimal");
	if (below(maker, 2))
		payload_str(payload, FIELD_MIN, mins[below(maker, whole ? 3 : 7)]);
	if (below(maker, 2))
		payload_str(payload, FIELD_MAX, maxes[below(maker, whole ? 2 : 5)]);
	if (below(maker, 2))
		payload_str(payload, FIELD_DEFAULT, "8");
	if (below(maker, 2))
		payload_text(payload, FIELD_UNIT, some_text(maker));
}

static void add_text_rules(struct maker *maker, struct payload *payload)
{
	struct slice *values = arena_array(&maker->arena, 3, sizeof(*values));
	size_t count = 1 + below(maker, 3);
	bool listed = below(maker, 2);

	assert_non_null(values);
	for (size_t i = 0; i < count; i++)
		values[i] = i == 1 ? slice_str("") : numbered(maker, "v\"", i);
	payload_str(payload, FIELD_TYPE, listed && below(maker, 2) ? "enum" : "string");
	if (listed)
		payload_texts(payload, FIELD_ENUM,
			      (struct texts){ .entries = values, .count = count });
	if (below(maker, 2))
		payload_text(payload, FIELD_DEFAULT,
			     listed ? values[below(maker, count)] : slice_str(""));
	else if (below(maker, 2))
		payload_bool(payload, FIELD_SECRET, true);
	if (below(maker, 2))
		payload_str(payload, FIELD_PATTERN, "(?s).*\\x{41}?\"?");
	if (!listed && below(maker, 2))
		payload_text(payload, FIELD_EXAMPLE, some_text(maker));
}

static const struct payload *some_variable(struct maker *maker, size_t number)
{
	struct payload *payload = some_payload(maker, EVENT_VARIABLE_SPECIFIED);

	payload_text(payload, FIELD_KEY, numbered(maker, "K_", number));
	payload_bool(payload, FIELD_REQUIRED, below(maker, 2));
	payload_bool(payload, FIELD_SECRET, false);
	if (below(maker, 2))
		payload_text(payload, FIELD_CATEGORY, numbered(maker, "c-", below(maker, 9)));
	if (below(maker, 2))
		add_number_rules(maker, payload);
	else
		add_text_rules(maker, payload);
	assert_int_equal(specification_check(payload, NULL), STATUS_OK);
	return payload;
}

static const struct payload **
some_list(struct maker *maker, const struct payload *(*some)(struct maker *maker, size_t number),
	  size_t *ret_count)
{
	const struct payload **items;
	size_t count = below(maker, 6);

	items = (const struct payload **)arena_array(&maker->arena, count,
						     sizeof(struct payload *));
	assert_non_null(items);
	for (size_t i = 0; i < count; i++)
		items[i] = some(maker, i);
	*ret_count = count;
	return items;
}

static void random_catalogues_survive(void **state)
{
	const char *given = secure_getenv("PROVENV_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : clock_monotonic_ns() | 1;
	struct maker maker = { .arena = ARENA_INIT, .seed = seed };

	(void)state;
	print_message("PROVENV_TEST_SEED=%" PRIu64 "\n", seed);
	for (size_t round = 0; round < 1000; round++) {
		struct catalogue made;

		made.categories = some_list(&maker, some_category, &made.category_count);
		made.environments = some_list(&maker, some_environment, &made.environment_count);
		made.databases = some_list(&maker, some_database, &made.database_count);
		made.specifications = some_list(&maker, some_variable, &made.specification_count);
		assert_survives(&made);
		arena_release(&maker.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_survives),
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(an_export_has_two_sections),
		cmocka_unit_test(random_catalogues_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
