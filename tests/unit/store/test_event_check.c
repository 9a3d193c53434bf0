/*
 * The judge from the encoder's side: what our own code may not write, named by field, and every
 * limit at its edge. The decoder's side is in test_payload_read.c.
 */
#include "store/event_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/event_samples.h"
#include "store/event.h"
#include "store/seal.h"

#include "base/banned.h"

static void assert_event_refused(const struct event *event, const char *text)
{
	struct event_fault fault;
	struct error err = ERROR_INIT;

	if (envelope_check(event, &fault) && payload_check(&event->payload, &fault))
		fail_msg("accepted, but should say: %s", text);
	assert_int_equal(event_fault_error(&fault, STATUS_USAGE, &err), STATUS_USAGE);
	assert_string_equal(err.text, text);
}

static void assert_event_good(const struct event *event)
{
	struct event_fault fault = { .why = NULL };

	if (!envelope_check(event, &fault) || !payload_check(&event->payload, &fault))
		fail_msg("field %s %s", fault.field, fault.why);
}

static void test_samples_are_good(void **state)
{
	struct event event;

	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		sample_event((enum event_type)i, false, &event);
		assert_event_good(&event);
		sample_event((enum event_type)i, true, &event);
		assert_event_good(&event);
	}
}

static void test_each_required_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type_info *info = event_type_info((enum event_type)i);

		for (size_t j = 0; j < info->rule_count; j++) {
			enum event_field field = info->rules[j].field;
			struct event event;
			char text[128];

			sample_event((enum event_type)i, true, &event);
			event.payload.field[field].present = false;
			(void)snprintf(text, sizeof(text), "field %s is missing",
				       event_field_info(field)->name);
			if (info->rules[j].required)
				assert_event_refused(&event, text);
			else
				assert_event_good(&event);
		}
	}
}

static void test_fields_of_other_types(void **state)
{
	struct event event;

	(void)state;
	sample_event(EVENT_ENVIRONMENT_REMOVED, true, &event);
	payload_str(&event.payload, FIELD_BASE, "default");
	assert_event_refused(&event, "field base does not belong to the type");
	payload_init(&event.payload, EVENT_UNKNOWN);
	assert_event_refused(&event, "field type is not known");
}

static void test_envelope(void **state)
{
	static uint8_t reason[REASON_BYTES_MAX + 1];
	struct event good;
	struct event event;

	(void)state;
	memset(reason, 'r', sizeof(reason));
	sample_event(EVENT_ENVIRONMENT_REMOVED, true, &good);
	event = good;
	event.seq = 0;
	assert_event_refused(&event, "field seq is 0");
	event = good;
	event.time_ms = INT64_MAX;
	event.claimed_ms = INT64_MAX;
	assert_event_good(&event);
	event.time_ms++;
	assert_event_refused(&event, "field time_ms is too great (at most 9223372036854775807)");
	event = good;
	event.claimed_ms = UINT64_MAX;
	assert_event_refused(&event, "field claimed_ms is too great (at most 9223372036854775807)");
	event = good;
	event.part = event.parts = COMMAND_PARTS_MAX;
	assert_event_good(&event);
	event.parts++;
	assert_event_refused(&event, "field parts is too great (at most 16384)");
	event = good;
	event.part = 0;
	assert_event_refused(&event, "field part is not one of the parts");
	event.part = event.parts + 1;
	assert_event_refused(&event, "field part is not one of the parts");
	event = good;
	event.reason = slice_of(reason, REASON_BYTES_MAX);
	assert_event_good(&event);
	event.reason.len++;
	assert_event_refused(&event, "field reason is too long (at most 4096)");
	event.reason = slice_of("a\0b", 3);
	assert_event_refused(&event, "field reason is not UTF-8 without NUL");
}

/* A NUL or a broken character is found at any place among plain bytes. */
static void test_text_at_every_place(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool good;
	} inserts[] = {
		{ "\0", 1, false },       { "\x80", 1, false },         { "\xff", 1, false },
		{ "\xc3\xa9", 2, true },  { "\xc3", 1, false },         { "\xe2\x82\xac", 3, true },
		{ "\xe2\x82", 2, false }, { "\x01", 1, true },          { "\x7f", 1, true },
		{ "\xc0\x80", 2, false }, { "\xed\xa0\x80", 3, false }, { "", 0, true },
	};
	struct event_fault fault;
	struct event event;
	uint8_t text[64];

	(void)state;
	sample_event(EVENT_ENVIRONMENT_REMOVED, true, &event);
	for (size_t i = 0; i < sizeof(inserts) / sizeof(inserts[0]); i++) {
		for (size_t at = 0; at < 40; at++) {
			memset(text, 'a', sizeof(text));
			memcpy(text + at, inserts[i].bytes, inserts[i].len);
			for (size_t end = at + inserts[i].len; end < at + 20; end++) {
				event.reason = slice_of(text, end);
				assert_int_equal(envelope_check(&event, &fault), inserts[i].good);
			}
		}
	}
}

static void test_texts(void **state)
{
	static uint8_t long_text[VALUE_BYTES_MAX + 1];
	struct event event;

	(void)state;
	memset(long_text, 't', sizeof(long_text));
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_text(&event.payload, FIELD_UNIT, slice_of(long_text, TEXT_BYTES_MAX));
	payload_text(&event.payload, FIELD_DEFAULT, slice_of(long_text, VALUE_BYTES_MAX));
	assert_event_good(&event);
	payload_text(&event.payload, FIELD_UNIT, slice_of(long_text, TEXT_BYTES_MAX + 1));
	assert_event_refused(&event, "field unit is too long (at most 4096)");
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_text(&event.payload, FIELD_DEFAULT, slice_of(long_text, VALUE_BYTES_MAX + 1));
	assert_event_refused(&event, "field default is too long (at most 32768)");
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_str(&event.payload, FIELD_KEY, "not-a-key");
	assert_event_refused(&event, "field key is not a variable's key");
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_str(&event.payload, FIELD_CATEGORY, "no name");
	assert_event_refused(&event, "field category is not a name");
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_str(&event.payload, FIELD_MAX, "1,5");
	assert_event_refused(&event, "field max is not a decimal number");
	sample_event(EVENT_STORE_CREATED, true, &event);
	payload_str(&event.payload, FIELD_OPERATOR, "a b");
	assert_event_refused(&event, "field operator is not a key's name");
	sample_event(EVENT_STORE_CREATED, true, &event);
	payload_text(&event.payload, FIELD_LOG_KEY, slice_of(long_text, 31));
	assert_event_refused(&event, "field log_key is not 32 bytes");
}

static void test_language_maps(void **state)
{
	static const char *const letters = "abcdefghijklmnopqrstuvwxyzabcdefg";
	struct lang_text entries[LANGS_MAX + 1];
	char tags[LANGS_MAX + 1][3];
	struct event event;

	(void)state;
	for (size_t i = 0; i <= LANGS_MAX; i++) {
		tags[i][0] = i < 26 ? 'a' : 'b';
		tags[i][1] = letters[i];
		entries[i].tag = slice_of(tags[i], 2);
		entries[i].text = slice_str("t");
	}
	sample_event(EVENT_CATEGORY_DEFINED, true, &event);
	payload_langmap(&event.payload, FIELD_TITLE, (struct langmap){ entries, LANGS_MAX });
	assert_event_good(&event);
	payload_langmap(&event.payload, FIELD_TITLE, (struct langmap){ entries, LANGS_MAX + 1 });
	assert_event_refused(&event, "field title has too many entries (at most 32)");
	payload_langmap(&event.payload, FIELD_TITLE, (struct langmap){ entries, 0 });
	assert_event_refused(&event, "field title is an empty list");
	entries[1].tag = entries[0].tag;
	payload_langmap(&event.payload, FIELD_TITLE, (struct langmap){ entries, 3 });
	assert_event_refused(&event, "field title, entry 2, is not in ascending order of tags");
	entries[1].tag = slice_str("a_");
	assert_event_refused(&event, "field title, entry 2, is not under a language tag");
	entries[1] = (struct lang_text){ slice_str("ab"), slice_str("\xff") };
	assert_event_refused(&event, "field title, entry 2, is not UTF-8 without NUL");
}

static void test_lists_of_texts(void **state)
{
	static uint8_t bytes[2 * (ENUM_VALUES_MAX + 1)];
	struct slice entries[ENUM_VALUES_MAX + 1];
	struct event event;

	(void)state;
	for (size_t i = 0; i <= ENUM_VALUES_MAX; i++) {
		bytes[2 * i] = (uint8_t)('a' + i / 26);
		bytes[2 * i + 1] = (uint8_t)('z' - i % 26);
		entries[i] = slice_of(bytes + 2 * i, 2);
	}
	sample_event(EVENT_VARIABLE_SPECIFIED, true, &event);
	payload_texts(&event.payload, FIELD_ENUM, (struct texts){ entries, ENUM_VALUES_MAX });
	assert_event_good(&event);
	payload_texts(&event.payload, FIELD_ENUM, (struct texts){ entries, ENUM_VALUES_MAX + 1 });
	assert_event_refused(&event, "field enum has too many entries (at most 256)");
	payload_texts(&event.payload, FIELD_ENUM, (struct texts){ entries, 0 });
	assert_event_refused(&event, "field enum is an empty list");
	entries[7] = entries[2];
	payload_texts(&event.payload, FIELD_ENUM, (struct texts){ entries, 8 });
	assert_event_refused(&event, "field enum, entry 8, stands there twice");
}

static void assert_change_refused(struct change change, const char *why)
{
	struct event event;
	char text[128];

	if (!change.profile.data)
		change.profile = slice_str("p");
	if (!change.key.data)
		change.key = slice_str("K");
	sample_event(EVENT_VARIABLES_CHANGED, true, &event);
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ &change, 1 });
	(void)snprintf(text, sizeof(text), "field changes, entry 1, %s", why);
	assert_event_refused(&event, text);
}

static void test_changes(void **state)
{
	static const uint8_t bytes[SEALED_BYTES_MAX + 1] = { 1 };
	const struct slice hash = slice_of(bytes, HASH_BYTES);

	(void)state;
	assert_change_refused((struct change){ .profile = slice_str("p/q") },
			      "has a profile that is not a name");
	assert_change_refused((struct change){ .key = slice_str("1") },
			      "has a key that is not a variable's key");
	assert_change_refused((struct change){ .value = slice_of(bytes, VALUE_BYTES_MAX + 1) },
			      "is too long (at most 32768)");
	assert_change_refused((struct change){ .value = slice_of(bytes, 9) },
			      "is not UTF-8 without NUL");
	assert_change_refused((struct change){ .op = CHANGE_COPY }, "copies from event 0");
	assert_change_refused((struct change){ .op = CHANGE_UNSET, .expand = true },
			      "unsets a value and marks it a template");
	assert_change_refused((struct change){ .op = (enum change_op)4 }, "has no known operation");
	assert_change_refused((struct change){ .op = CHANGE_SEAL,
					       .commitment = slice_of(bytes, 33),
					       .sealed = slice_of(bytes, 104) },
			      "has a commitment that is not 32 bytes");
	assert_change_refused((struct change){ .op = CHANGE_SEAL,
					       .commitment = hash,
					       .sealed = slice_of(bytes, 103) },
			      "has sealed bytes that are too short");
	assert_change_refused((struct change){ .op = CHANGE_SEAL,
					       .commitment = hash,
					       .sealed = slice_of(bytes, sizeof(bytes)) },
			      "has too many sealed bytes (at most 32872)");
}

static void test_lists_of_changes(void **state)
{
	static struct change entries[COMMAND_CHANGES_MAX + 1];
	static char keys[COMMAND_CHANGES_MAX + 1][8];
	struct event event;

	(void)state;
	for (size_t i = 0; i <= COMMAND_CHANGES_MAX; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "K%05zu", i);
		entries[i] = (struct change){ .profile = slice_str("p"),
					      .key = slice_str(keys[i]),
					      .op = CHANGE_UNSET };
	}
	sample_event(EVENT_VARIABLES_CHANGED, true, &event);
	payload_changes(&event.payload, FIELD_CHANGES,
			(struct changes){ entries, COMMAND_CHANGES_MAX });
	assert_event_good(&event);
	payload_changes(&event.payload, FIELD_CHANGES,
			(struct changes){ entries, COMMAND_CHANGES_MAX + 1 });
	assert_event_refused(&event, "field changes has too many entries (at most 10000)");
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ entries, 0 });
	assert_event_refused(&event, "field changes is an empty list");
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ entries, 3 });
	entries[1].key = entries[0].key;
	assert_event_refused(&event, "field changes, entry 2, is not in ascending order of profile "
				     "and key");
	entries[1].profile = slice_str("q");
	assert_event_refused(&event, "field changes, entry 3, is not in ascending order of profile "
				     "and key");
	entries[2].profile = slice_str("r");
	assert_event_good(&event);
}

static void test_lists_of_readers(void **state)
{
	static uint8_t ids[READERS_MAX + 1][KEY_ID_BYTES];
	static const uint8_t key[WRAPPED_KEY_BYTES + 1];
	struct reader entries[READERS_MAX + 1];
	struct event event;

	(void)state;
	for (size_t i = 0; i <= READERS_MAX; i++) {
		ids[i][0] = (uint8_t)(i >> 8);
		ids[i][1] = (uint8_t)i;
		entries[i] = (struct reader){ slice_of(ids[i], KEY_ID_BYTES),
					      slice_of(key, WRAPPED_KEY_BYTES) };
	}
	sample_event(EVENT_ENVIRONMENT_KEYED, true, &event);
	payload_readers(&event.payload, FIELD_READERS, (struct readers){ entries, READERS_MAX });
	assert_event_good(&event);
	payload_readers(&event.payload, FIELD_READERS,
			(struct readers){ entries, READERS_MAX + 1 });
	assert_event_refused(&event, "field readers has too many entries (at most 256)");
	payload_readers(&event.payload, FIELD_READERS, (struct readers){ entries, 2 });
	entries[1].sealed_key.len++;
	assert_event_refused(&event,
			     "field readers, entry 2, has a sealed key that is not 80 bytes");
	entries[1].key_id.len--;
	assert_event_refused(&event, "field readers, entry 2, has a key id that is not 8 bytes");
	entries[1] = entries[0];
	assert_event_refused(&event,
			     "field readers, entry 2, is not in ascending order of key ids");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_are_good),
		cmocka_unit_test(test_each_required_field),
		cmocka_unit_test(test_fields_of_other_types),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_text_at_every_place),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_language_maps),
		cmocka_unit_test(test_lists_of_texts),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_lists_of_changes),
		cmocka_unit_test(test_lists_of_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
