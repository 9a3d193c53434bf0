/*
 * The codec as a whole: encoding and decoding are inverse, and the bytes are the documented ones.
 */
#include "store/event_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "lib/event_compare.h"
#include "lib/event_samples.h"
#include "store/event.h"

#include "base/banned.h"

static struct event_decoder *decoder;

static void encode(const struct event *event, struct buf *ret)
{
	struct error err = ERROR_INIT;

	if (event_encode(event, ret, &err))
		fail_msg("%s", err.text);
}

static void decode(struct slice bytes, struct decoded_event *ret)
{
	struct error err = ERROR_INIT;

	if (event_decode(decoder, bytes, ret, &err))
		fail_msg("%s", err.text);
}

/* Whatever was decoded must be the only reading of its bytes. */
static void assert_encodes_to(const struct event *event, struct slice bytes)
{
	AUTO(buf_release) struct buf again = BUF_INIT;

	encode(event, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
}

static void assert_round_trip(const struct event *event)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	AUTO(buf_release) struct buf payload = BUF_INIT;
	const char *name = event_type_info(event->payload.type)->name;
	struct decoded_event decoded;
	struct payload again;
	struct error err = ERROR_INIT;

	encode(event, &bytes);
	decode(buf_slice(&bytes), &decoded);
	assert_events_equal(event, &decoded.event);
	assert_encodes_to(&decoded.event, buf_slice(&bytes));
	assert_true(slice_equal_str(decoded.type_name, name));

	assert_int_equal(payload_encode(&event->payload, &payload, &err), STATUS_OK);
	assert_slices_equal(decoded.payload_bytes, buf_slice(&payload));
	if (payload_decode(decoder, event->payload.type, buf_slice(&payload), &again, &err))
		fail_msg("%s: %s", name, err.text);
	assert_payloads_equal(&event->payload, &again);
}

static void test_every_type_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type_info *info = event_type_info((enum event_type)i);
		struct event event;

		sample_event((enum event_type)i, false, &event);
		assert_round_trip(&event);
		sample_event((enum event_type)i, true, &event);
		assert_round_trip(&event);
		/* Each optional field alone left out. */
		for (size_t j = 0; j < info->rule_count; j++) {
			if (info->rules[j].required)
				continue;
			event.payload.field[info->rules[j].field].present = false;
			assert_round_trip(&event);
			event.payload.field[info->rules[j].field].present = true;
		}
	}
}

/* Bytes that must never change: what a log written today holds. */
static void test_golden_bytes(void **state)
{
	static const char *const envelope =
		"9d01c41011111111111111111111111111111111ce00011170c4202222222222222222222222"
		"222222222222222222222222222222222222222222cf0000019b7ca98f2ecf0000019b7ca98f"
		"2dc4083333333333333333c4104444444444444444444444444444444402cd012c";
	static const struct golden {
		enum event_type type;
		bool optional;
		const char *rest; /* type, payload, reason */
	} golden[] = {
		{ EVENT_ENVIRONMENT_CREATED, false,
		  "b3656e7669726f6e6d656e742e6372656174656483a46e616d65aa70726f64756374696f6ea7"
		  "70726f66696c65aa70726f64756374696f6ea970726f746563746564c3a0" },
		{ EVENT_ENVIRONMENT_LOCKED, true,
		  "b2656e7669726f6e6d656e742e6c6f636b656482a46e616d65aa70726f64756374696f6ea875"
		  "6e74696c5f6d73cf0000019b7ca98f2eb962656361757365206f66206772c3b6c39f65726520"
		  "4c617374" },
		{ EVENT_VARIABLES_CHANGED, false,
		  "b17661726961626c65732e6368616e67656482ab656e7669726f6e6d656e74aa70726f647563"
		  "74696f6ea76368616e6765739483a770726f66696c65a764656661756c74a36b6579a9415049"
		  "5f544f4b454ea47365616c92c420deadbeef00ff807f00000000000000000000000000000000"
		  "0000000000000000c468deadbeef00ff807f0000000000000000000000000000000000000000"
		  "0000000000000000000000000000000000000000000000000000000000000000000000000000"
		  "0000000000000000000000000000000000000000000000000000000000000000000000000000"
		  "84a770726f66696c65a764656661756c74a36b6579a84752454554494e47a3736574ae68656c"
		  "6c6f20247b4e414d457d0aa6657870616e64c383a770726f66696c65a764656661756c74a36b"
		  "6579a94c4f475f4c4556454ca4636f707992cd10e10783a770726f66696c65a765752d776573"
		  "74a36b6579a94c4f475f4c4556454ca5756e736574c3a0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		AUTO(buf_release) struct buf hex = BUF_INIT;
		AUTO(buf_release) struct buf expected = BUF_INIT;
		struct event event;

		sample_event(golden[i].type, golden[i].optional, &event);
		encode(&event, &bytes);
		text_to_hex(bytes.data, bytes.len, (char *)buf_reserve(&hex, 2 * bytes.len));
		hex.len = 2 * bytes.len;
		buf_append_str(&expected, envelope);
		buf_append_str(&expected, golden[i].rest);
		assert_string_equal(buf_str(&hex), buf_str(&expected));
	}
}

static void test_newer_fills_the_envelope(void **state)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	AUTO(buf_release) struct buf payload = BUF_INIT;
	struct decoded_event decoded;
	struct error err = ERROR_INIT;

	(void)state;
	sample_pack_event(&bytes, "moon.set", "{2 'b' 1 'a' [2 T %3");
	sample_pack(&payload, "{2 'b' 1 'a' [2 T %3");
	memset(&decoded, 0, sizeof(decoded));
	assert_int_equal(event_decode(decoder, buf_slice(&bytes), &decoded, &err), STATUS_NEWER);
	assert_int_equal(decoded.event.seq, 70000);
	assert_int_equal(decoded.event.parts, 300);
	assert_int_equal(decoded.event.log_id[15], 15);
	assert_int_equal(decoded.event.payload.type, EVENT_UNKNOWN);
	assert_true(slice_equal_str(decoded.type_name, "moon.set"));
	assert_true(slice_equal_str(decoded.event.reason, "r"));
	assert_slices_equal(decoded.payload_bytes, buf_slice(&payload));

	buf_clear(&bytes);
	sample_pack_event(&bytes, "environment.removed", "{2 'name' 'a' 'colour' 1");
	memset(&decoded, 0, sizeof(decoded));
	assert_int_equal(event_decode(decoder, buf_slice(&bytes), &decoded, &err), STATUS_NEWER);
	assert_int_equal(decoded.event.seq, 70000);
	assert_int_equal(decoded.event.payload.type, EVENT_UNKNOWN);
	assert_false(decoded.event.payload.field[FIELD_NAME].present);
	assert_true(slice_equal_str(decoded.type_name, "environment.removed"));
	assert_int_equal(decoded.payload_bytes.data[0], 0x82);

	buf_clear(&bytes);
	sample_pack(&bytes, "[2 2 'whatever'");
	memset(&decoded, 0, sizeof(decoded));
	assert_int_equal(event_decode(decoder, buf_slice(&bytes), &decoded, &err), STATUS_NEWER);
	assert_null(decoded.type_name.data);
	assert_int_equal(decoded.event.seq, 0);
}

/* The payload's place is found from both ends, whatever form the reason's head has. */
static void test_payload_bytes_before_any_reason(void **state)
{
	static const size_t lengths[] = { 0, 1, 31, 32, 255, 256, REASON_BYTES_MAX };
	uint8_t reason[REASON_BYTES_MAX];

	(void)state;
	memset(reason, 'x', sizeof(reason));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct event event;

		sample_event(EVENT_PROFILE_CREATED, true, &event);
		event.reason = slice_of(reason, lengths[i]);
		assert_round_trip(&event);
	}
}

static void test_encode_appends_or_leaves_alone(void **state)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct error err = ERROR_INIT;
	struct event event;

	(void)state;
	buf_append_str(&bytes, "before");
	sample_event(EVENT_ENVIRONMENT_REMOVED, false, &event);
	event.seq = 0;
	assert_int_equal(event_encode(&event, &bytes, &err), STATUS_USAGE);
	assert_string_equal(err.text, "environment.removed: field seq is 0");
	assert_string_equal(buf_str(&bytes), "before");
	event.seq = 1;
	encode(&event, &bytes);
	assert_true(bytes.len > 6);
	assert_memory_equal(bytes.data, "before\x9d\x01", 8);
}

/* Two changes of the greatest length do not fit one event, though each alone is fine. */
static void test_event_too_large(void **state)
{
	static uint8_t value[VALUE_BYTES_MAX];
	struct change changes[] = {
		{ .profile = slice_str("p"), .key = slice_str("A"), .op = CHANGE_SET },
		{ .profile = slice_str("p"), .key = slice_str("B"), .op = CHANGE_SET },
	};
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct error err = ERROR_INIT;
	struct event event;

	(void)state;
	memset(value, 'v', sizeof(value));
	changes[0].value = changes[1].value = slice_of(value, sizeof(value));
	sample_event(EVENT_VARIABLES_CHANGED, false, &event);
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ changes, 1 });
	assert_round_trip(&event);
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ changes, 2 });
	buf_append_str(&bytes, "before");
	assert_int_equal(event_encode(&event, &bytes, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "at most 65471"));
	assert_string_equal(buf_str(&bytes), "before");
	assert_int_equal(payload_encode(&event.payload, &bytes, &err), STATUS_USAGE);
	assert_string_equal(buf_str(&bytes), "before");
	/* Up to the last byte that fits. */
	changes[1].value.len = 0;
	payload_changes(&event.payload, FIELD_CHANGES, (struct changes){ changes, 2 });
	encode(&event, &bytes);
	changes[1].value.len = EVENT_BYTES_MAX - (bytes.len - 6) - 2;
	assert_round_trip(&event);
	changes[1].value.len++;
	assert_int_equal(event_encode(&event, &bytes, &err), STATUS_USAGE);
}

static void test_payload_alone(void **state)
{
	static const struct {
		const char *payload;
		enum event_type type;
		enum status status;
	} cases[] = {
		{ "{1 'name' 'a'", EVENT_ENVIRONMENT_REMOVED, STATUS_OK },
		{ "{1 'name' 'a'", EVENT_PROFILE_REMOVED, STATUS_CORRUPT },
		{ "{1 'name' #d90161", EVENT_ENVIRONMENT_REMOVED, STATUS_CORRUPT },
		{ "{1 'name' 'a' 1", EVENT_ENVIRONMENT_REMOVED, STATUS_CORRUPT },
		{ "{2 'name' 'a' 'colour' 1", EVENT_ENVIRONMENT_REMOVED, STATUS_NEWER },
		{ "{1 'name' 'a'", EVENT_UNKNOWN, STATUS_NEWER },
		{ "{0", EVENT_UNKNOWN, STATUS_NEWER },
		{ "[0", EVENT_UNKNOWN, STATUS_CORRUPT },
		{ "{0", EVENT_ENVIRONMENT_REMOVED, STATUS_CORRUPT },
		{ "", EVENT_ENVIRONMENT_REMOVED, STATUS_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		struct payload payload = { .type = EVENT_STORE_RECOVERED };

		sample_pack(&bytes, cases[i].payload);
		assert_int_equal(
			payload_decode(decoder, cases[i].type, buf_slice(&bytes), &payload, NULL),
			cases[i].status);
		if (cases[i].status)
			assert_int_equal(payload.type, EVENT_STORE_RECOVERED);
	}
}

static void test_language_map_alone(void **state)
{
	const struct lang_text entries[] = { { slice_str("de"), slice_str("Titel") },
					     { slice_str("en"), slice_str("title") } };
	const struct lang_text unordered[] = { entries[1], entries[0] };
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct langmap map = { NULL, 9 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(langmap_encode(&(struct langmap){ NULL, 0 }, &bytes, &err), STATUS_OK);
	assert_int_equal(bytes.len, 0);
	assert_int_equal(langmap_decode(decoder, buf_slice(&bytes), &map, &err), STATUS_OK);
	assert_int_equal(map.count, 0);
	assert_int_equal(langmap_encode(&(struct langmap){ unordered, 2 }, &bytes, &err),
			 STATUS_USAGE);
	assert_non_null(strstr(err.text, "ascending"));
	assert_int_equal(langmap_encode(&(struct langmap){ entries, 2 }, &bytes, &err), STATUS_OK);
	assert_memory_equal(bytes.data,
			    "\x82\xa2"
			    "de\xa5Titel\xa2"
			    "en\xa5title",
			    bytes.len);
	assert_int_equal(langmap_decode(decoder, buf_slice(&bytes), &map, &err), STATUS_OK);
	assert_int_equal(map.count, 2);
	assert_slices_equal(map.entries[1].tag, entries[1].tag);
	assert_slices_equal(map.entries[1].text, entries[1].text);
	for (size_t len = 1; len < bytes.len; len++)
		assert_int_equal(langmap_decode(decoder, slice_of(bytes.data, len), &map, NULL),
				 STATUS_CORRUPT);
	assert_int_equal(langmap_decode(decoder, slice_str("\x80"), &map, &err), STATUS_CORRUPT);
	assert_int_equal(langmap_decode(decoder, slice_str("\x90"), &map, &err), STATUS_CORRUPT);
	assert_int_equal(map.count, 2);
}

static void test_leaf_split(void **state)
{
	static const uint8_t leaf[LEAF_BYTES_MAX + 1];
	struct slice event = slice_of(NULL, 0);
	const uint8_t *signature = NULL;

	(void)state;
	assert_false(leaf_split(slice_of(NULL, 0), &event, &signature));
	assert_false(leaf_split(slice_of(leaf, SIGNATURE_BYTES), &event, &signature));
	assert_false(leaf_split(slice_of(leaf, LEAF_BYTES_MAX + 1), &event, &signature));
	assert_null(event.data);
	assert_null(signature);
	assert_true(leaf_split(slice_of(leaf, SIGNATURE_BYTES + 1), &event, &signature));
	assert_int_equal(event.len, 1);
	assert_ptr_equal(signature, leaf + 1);
	assert_true(leaf_split(slice_of(leaf, LEAF_BYTES_MAX), &event, &signature));
	assert_int_equal(event.len, EVENT_BYTES_MAX);
	assert_ptr_equal(signature, leaf + EVENT_BYTES_MAX);
}

static void test_decoder_is_reused(void **state)
{
	struct event_decoder *own = NULL;
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct decoded_event decoded;
	struct event event;

	(void)state;
	event_decoder_free(NULL);
	assert_int_equal(event_decoder_new(&own, NULL), STATUS_OK);
	assert_int_equal(event_decode(own, slice_of("\xdd\xff\xff\xff\xff\xc0", 6), &decoded, NULL),
			 STATUS_CORRUPT);
	sample_event(EVENT_ENVIRONMENT_KEYED, false, &event);
	encode(&event, &bytes);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(event_decode(own, buf_slice(&bytes), &decoded, NULL), STATUS_OK);
		assert_events_equal(&event, &decoded.event);
		assert_int_equal(event_decode(own, slice_str("\x91\xc0"), &decoded, NULL),
				 STATUS_CORRUPT);
	}
	event_decoder_free(own);
}

static int make_decoder(void **state)
{
	(void)state;
	return event_decoder_new(&decoder, NULL) == STATUS_OK ? 0 : -1;
}

static int free_decoder(void **state)
{
	(void)state;
	event_decoder_free(decoder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_round_trips),
		cmocka_unit_test(test_golden_bytes),
		cmocka_unit_test(test_newer_fills_the_envelope),
		cmocka_unit_test(test_payload_bytes_before_any_reason),
		cmocka_unit_test(test_encode_appends_or_leaves_alone),
		cmocka_unit_test(test_event_too_large),
		cmocka_unit_test(test_payload_alone),
		cmocka_unit_test(test_language_map_alone),
		cmocka_unit_test(test_leaf_split),
		cmocka_unit_test(test_decoder_is_reused),
	};

	return cmocka_run_group_tests(tests, make_decoder, free_decoder);
}
