/*
 * Events in memory: what the schema's tables must keep true for ever, and the setters.
 */
#include "store/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

#include "base/banned.h"

/* Names are parts of the format: lower-case words, short enough for any reader of the log. */
static bool is_schema_name(const char *name, const char *extra)
{
	size_t len = strlen(name);

	if (len == 0 || len > 64)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((name[i] < 'a' || name[i] > 'z') && !strchr(extra, name[i]))
			return false;
	}
	return true;
}

static void test_types_are_found_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type_info *info = event_type_info((enum event_type)i);

		assert_true(is_schema_name(info->name, "._"));
		assert_non_null(strchr(info->name, '.'));
		assert_true(strlen(info->meaning) > 0);
		/* Finds itself, so that no two types share a name. */
		assert_int_equal(event_type_find(slice_str(info->name)), i);
		assert_int_equal(event_type_find(slice_of(info->name, strlen(info->name) - 1)),
				 EVENT_UNKNOWN);
	}
	assert_int_equal(event_type_find(slice_str("")), EVENT_UNKNOWN);
	assert_int_equal(event_type_find(slice_str("store.created ")), EVENT_UNKNOWN);
	assert_int_equal(event_type_find(slice_str("Store.created")), EVENT_UNKNOWN);
}

static void test_fields_have_one_name_each(void **state)
{
	(void)state;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const struct event_field_info *info = event_field_info((enum event_field)i);

		assert_true(is_schema_name(info->name, "_"));
		assert_true(strlen(info->meaning) > 0);
		assert_true(strlen(field_kind_name(info->kind)) > 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(info->name,
						event_field_info((enum event_field)j)->name);
	}
}

static void test_rules_name_each_field_once(void **state)
{
	bool used[FIELD_COUNT] = { false };

	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type_info *info = event_type_info((enum event_type)i);

		assert_true(info->rule_count > 0);
		for (size_t j = 0; j < info->rule_count; j++) {
			assert_true(info->rules[j].field < FIELD_COUNT);
			used[info->rules[j].field] = true;
			for (size_t k = 0; k < j; k++)
				assert_int_not_equal(info->rules[j].field, info->rules[k].field);
		}
	}
	for (size_t i = 0; i < FIELD_COUNT; i++)
		assert_true(used[i]);
}

static void test_known_rows(void **state)
{
	const struct event_type_info *specified = event_type_info(EVENT_VARIABLE_SPECIFIED);
	const struct event_type_info *created = event_type_info(EVENT_STORE_CREATED);

	(void)state;
	assert_string_equal(created->name, "store.created");
	assert_int_equal(created->authority, AUTHORITY_ADMIN);
	assert_int_equal(created->rule_count, 4);
	assert_int_equal(created->rules[0].field, FIELD_NONCE);
	assert_int_equal(created->rules[3].field, FIELD_LOG_KEY);
	assert_string_equal(specified->name, "variable.specified");
	assert_int_equal(specified->authority, AUTHORITY_ANY);
	assert_int_equal(specified->rules[1].field, FIELD_TYPE);
	assert_true(specified->rules[1].required);
	assert_int_equal(specified->rules[2].field, FIELD_CATEGORY);
	assert_false(specified->rules[2].required);
	assert_string_equal(event_field_info(FIELD_UNTIL_MS)->name, "until_ms");
	assert_int_equal(event_field_info(FIELD_UNTIL_MS)->kind, KIND_UINT);
	assert_int_equal(event_field_info(FIELD_OPERATOR)->kind, KIND_KEY_NAME);
}

static void test_registry_events(void **state)
{
	(void)state;
	for (size_t i = 0; i <= EVENT_UNKNOWN; i++) {
		bool expected = i == EVENT_STORE_CREATED || i == EVENT_STORE_RECOVERED;

		assert_int_equal(event_is_registry((enum event_type)i), expected);
	}
}

static void test_payload_starts_empty(void **state)
{
	struct payload payload;

	(void)state;
	memset(&payload, 0xff, sizeof(payload));
	payload_init(&payload, EVENT_PROFILE_CREATED);
	assert_int_equal(payload.type, EVENT_PROFILE_CREATED);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		assert_false(payload.field[i].present);
	assert_int_equal(payload_get_text(&payload, FIELD_NAME).len, 0);
	assert_false(payload_get_bool(&payload, FIELD_PROTECTED));
	assert_int_equal(payload_get_uint(&payload, FIELD_UNTIL_MS), 0);
}

static void test_setters(void **state)
{
	static const uint8_t key[32] = { 7 };
	const struct lang_text title = { slice_str("de"), slice_str("Titel") };
	const struct slice value = slice_str("on");
	const struct change change = { .op = CHANGE_UNSET };
	const struct reader reader = { slice_of(key, 8), slice_of(key, 32) };
	struct payload payload;

	(void)state;
	payload_init(&payload, EVENT_VARIABLE_SPECIFIED);
	payload_str(&payload, FIELD_NAME, "production");
	payload_text(&payload, FIELD_PUBLIC_KEY, slice_of(key, 32));
	payload_uint(&payload, FIELD_UNTIL_MS, UINT64_MAX);
	payload_bool(&payload, FIELD_SECRET, true);
	payload_bool(&payload, FIELD_REQUIRED, false);
	payload_langmap(&payload, FIELD_TITLE, (struct langmap){ &title, 1 });
	payload_texts(&payload, FIELD_ENUM, (struct texts){ &value, 1 });
	payload_changes(&payload, FIELD_CHANGES, (struct changes){ &change, 1 });
	payload_readers(&payload, FIELD_READERS, (struct readers){ &reader, 1 });
	assert_true(slice_equal_str(payload_get_text(&payload, FIELD_NAME), "production"));
	assert_ptr_equal(payload_get_text(&payload, FIELD_PUBLIC_KEY).data, key);
	assert_true(payload_get_uint(&payload, FIELD_UNTIL_MS) == UINT64_MAX);
	assert_true(payload_get_bool(&payload, FIELD_SECRET));
	assert_true(payload.field[FIELD_REQUIRED].present);
	assert_false(payload_get_bool(&payload, FIELD_REQUIRED));
	assert_ptr_equal(payload.field[FIELD_TITLE].langmap.entries, &title);
	assert_ptr_equal(payload.field[FIELD_ENUM].texts.entries, &value);
	assert_ptr_equal(payload.field[FIELD_CHANGES].changes.entries, &change);
	assert_ptr_equal(payload.field[FIELD_READERS].readers.entries, &reader);
	assert_int_equal(payload.field[FIELD_READERS].readers.count, 1);
	assert_false(payload.field[FIELD_PROFILE].present);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_are_found_by_name),
		cmocka_unit_test(test_fields_have_one_name_each),
		cmocka_unit_test(test_rules_name_each_field_once),
		cmocka_unit_test(test_known_rows),
		cmocka_unit_test(test_registry_events),
		cmocka_unit_test(test_payload_starts_empty),
		cmocka_unit_test(test_setters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
