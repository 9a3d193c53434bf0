/*
 * Each way in which one event can be wrong, at two places: among others of its block, and as the
 * first of the next block, which is compared with an event of another worker's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "store/audit.h"
#include "store/audit_check.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"

#include "base/banned.h"

/* Good events before the bad one. */
static const size_t leads[] = { 10, AUDIT_BLOCK_EVENTS };

struct bad_case {
	const char *name;
	/* Add what is wrong after a right log. */
	void (*make)(struct log_fixture *log);
	uint64_t bad;    /* counted from the first event added; 0: nothing is wrong */
	uint64_t valid;  /* good events before it, not counting an incomplete command */
	const char *why; /* part of the message */
};

/* --- one event's envelope --------------------------------------------------------------------- */

static void add_changed(struct log_fixture *log, void (*change)(struct event *event))
{
	struct event event;

	log_fixture_next(log, &event);
	change(&event);
	log_fixture_add(log, &event, &log->signer);
}

static void change_nothing(struct event *event)
{
	(void)event;
}

static void make_right(struct log_fixture *log)
{
	add_changed(log, change_nothing);
}

static void change_seq(struct event *event)
{
	event->seq++;
}

static void make_gap(struct log_fixture *log)
{
	add_changed(log, change_seq);
}

static void change_log_id(struct event *event)
{
	event->log_id[LOG_ID_BYTES - 1] ^= 1;
}

static void make_foreign(struct log_fixture *log)
{
	add_changed(log, change_log_id);
}

static void change_prev(struct event *event)
{
	event->prev[0] ^= 0x80;
}

static void make_unchained(struct log_fixture *log)
{
	add_changed(log, change_prev);
}

static void change_time_back(struct event *event)
{
	event->time_ms -= 1001;
	event->claimed_ms = event->time_ms;
}

static void make_back_in_time(struct log_fixture *log)
{
	add_changed(log, change_time_back);
}

static void change_time_ahead(struct event *event)
{
	event->time_ms++;
}

static void make_ahead_of_clock(struct log_fixture *log)
{
	add_changed(log, change_time_ahead);
}

static void change_slow_clock(struct event *event)
{
	event->time_ms -= 1000; /* that of the event before */
	event->claimed_ms = 12345;
}

static void make_slow_clock(struct log_fixture *log)
{
	add_changed(log, change_slow_clock);
}

/* --- signatures ------------------------------------------------------------------------------- */

static void make_flipped_signature(struct log_fixture *log)
{
	struct buf *leaf;

	make_right(log);
	leaf = &log_fixture_event(log, log->count)->leaf;
	leaf->data[leaf->len - 1] ^= 1;
}

static void make_flipped_reason(struct log_fixture *log)
{
	struct buf *leaf;

	make_right(log);
	leaf = &log_fixture_event(log, log->count)->leaf;
	leaf->data[leaf->len - SIGNATURE_BYTES - 1] ^= 1;
}

static void make_unenrolled(struct log_fixture *log)
{
	struct event event;

	log_fixture_next(log, &event);
	memcpy(event.key_id, log->outsider.key_id, KEY_ID_BYTES);
	log_fixture_add(log, &event, &log->outsider);
}

static void make_impostor(struct log_fixture *log)
{
	struct event event;

	log_fixture_next(log, &event);
	log_fixture_add(log, &event, &log->outsider);
}

/* Neutral point and zero scalar, which equations alone would accept for any message. */
static void make_low_order_signature(struct log_fixture *log)
{
	struct buf *leaf;
	uint8_t *signature;

	make_right(log);
	leaf = &log_fixture_event(log, log->count)->leaf;
	signature = leaf->data + leaf->len - SIGNATURE_BYTES;
	memset(signature, 0, SIGNATURE_BYTES);
	signature[0] = 1;
}

/* --- encodings -------------------------------------------------------------------------------- */

/* Add an event whose encoding was changed by hand before it was signed. */
static void add_edited(struct log_fixture *log, void (*edit)(struct buf *bytes))
{
	struct buf bytes = BUF_INIT;
	struct event event;

	log_fixture_next(log, &event);
	assert_int_equal(event_encode(&event, &bytes, NULL), STATUS_OK);
	edit(&bytes);
	log_fixture_add_bytes(log, &event, buf_slice(&bytes), &log->signer);
	buf_release(&bytes);
}

static uint8_t *find_text(struct buf *bytes, const char *text)
{
	uint8_t *found = memmem(bytes->data, bytes->len, text, strlen(text));

	assert_non_null(found);
	return found;
}

static void edit_garbage(struct buf *bytes)
{
	buf_append_byte(bytes, 0);
}

static void make_malformed(struct log_fixture *log)
{
	add_edited(log, edit_garbage);
}

static void edit_empty(struct buf *bytes)
{
	buf_clear(bytes);
}

static void make_empty(struct log_fixture *log)
{
	add_edited(log, edit_empty);
}

static void edit_type(struct buf *bytes)
{
	find_text(bytes, "category.defined")[0] = 'z';
}

static void make_unknown_type(struct log_fixture *log)
{
	add_edited(log, edit_type);
}

static void make_unknown_type_impostor(struct log_fixture *log)
{
	struct buf bytes = BUF_INIT;
	struct event event;

	log_fixture_next(log, &event);
	assert_int_equal(event_encode(&event, &bytes, NULL), STATUS_OK);
	edit_type(&bytes);
	log_fixture_add_bytes(log, &event, buf_slice(&bytes), &log->outsider);
	buf_release(&bytes);
}

/* Another field at the end of the payload's map, which is the one with "name" as its first key. */
static void edit_trailing_field(struct buf *bytes)
{
	static const uint8_t field[] = { 0xa3, 'n', 'e', 'w', 0x07 };
	uint8_t *end = find_text(bytes, "\xa7planned") + 9;
	size_t at = (size_t)(end - bytes->data);
	size_t rest = bytes->len - at;

	find_text(bytes, "\xa4name")[-1]++;
	assert_non_null(buf_reserve(bytes, sizeof(field)));
	memmove(bytes->data + at + sizeof(field), bytes->data + at, rest);
	memcpy(bytes->data + at, field, sizeof(field));
	bytes->len += sizeof(field);
}

static void make_trailing_field(struct log_fixture *log)
{
	add_edited(log, edit_trailing_field);
}

static void edit_version(struct buf *bytes)
{
	bytes->data[1] = 2;
}

static void make_later_version(struct log_fixture *log)
{
	add_edited(log, edit_version);
}

/* --- commands --------------------------------------------------------------------------------- */

static void make_group(struct log_fixture *log)
{
	log_fixture_group(log, 5);
}

static void make_cut_off_group(struct log_fixture *log)
{
	log_fixture_group(log, 3);
	/* Its third part never comes. */
	log_fixture_cut(log, log->count - 1);
}

static void make_part_without_first(struct log_fixture *log)
{
	struct event event;

	log_fixture_next(log, &event);
	event.part = 2;
	event.parts = 2;
	log_fixture_add(log, &event, &log->signer);
}

/* Two parts, the second of which was changed. */
static void add_pair(struct log_fixture *log, void (*change)(struct event *event))
{
	struct event event;

	log_fixture_next(log, &event);
	event.parts = 3;
	log_fixture_add(log, &event, &log->signer);
	log_fixture_next_part(log, &event);
	change(&event);
	log_fixture_add(log, &event, &log->signer);
	log_fixture_next_part(log, &event);
	event.part = 3;
	event.parts = 3;
	log_fixture_add(log, &event, &log->signer);
}

static void make_right_pair(struct log_fixture *log)
{
	add_pair(log, change_nothing);
}

static void change_command_id(struct event *event)
{
	event->command_id[COMMAND_ID_BYTES - 1] ^= 1;
}

static void make_mixed_group(struct log_fixture *log)
{
	add_pair(log, change_command_id);
}

static void change_parts(struct event *event)
{
	event->parts++;
}

static void make_other_parts(struct log_fixture *log)
{
	add_pair(log, change_parts);
}

static void change_part(struct event *event)
{
	event->part++;
}

static void make_skipped_part(struct log_fixture *log)
{
	add_pair(log, change_part);
}

static void change_key_id(struct event *event)
{
	event->key_id[0] ^= 1;
}

static void make_other_signer(struct log_fixture *log)
{
	add_pair(log, change_key_id);
}

static void change_times(struct event *event)
{
	event->time_ms++;
	event->claimed_ms++;
}

static void make_other_time(struct log_fixture *log)
{
	add_pair(log, change_times);
}

static void change_claim(struct event *event)
{
	event->claimed_ms--;
}

static void make_other_claim(struct log_fixture *log)
{
	add_pair(log, change_claim);
}

/* --- indexes ---------------------------------------------------------------------------------- */

static void make_unindexed(struct log_fixture *log)
{
	make_right(log);
	log_fixture_event(log, log->count)->starts_command = false;
}

static void make_repeated_command(struct log_fixture *log)
{
	struct event event;

	log_fixture_next(log, &event);
	memcpy(event.command_id, log_fixture_event(log, 2)->command_id, COMMAND_ID_BYTES);
	log_fixture_add(log, &event, &log->signer);
	/* As a log would hold it where the check at append was circumvented. */
	log_fixture_event(log, log->count)->starts_command = false;
}

static void make_listed(struct log_fixture *log)
{
	make_right(log);
	log_fixture_event(log, log->count)->registry = true;
}

static void add_recovered(struct log_fixture *log, bool listed)
{
	static const uint8_t root[HASH_BYTES];
	struct event event;

	log_fixture_next(log, &event);
	payload_init(&event.payload, EVENT_STORE_RECOVERED);
	payload_uint(&event.payload, FIELD_EXPECTED_SIZE, 12345);
	payload_text(&event.payload, FIELD_EXPECTED_ROOT, slice_of(root, sizeof(root)));
	payload_uint(&event.payload, FIELD_GENERATION, 2);
	log_fixture_add(log, &event, &log->signer);
	log_fixture_event(log, log->count)->registry = listed;
}

static void make_recovered(struct log_fixture *log)
{
	add_recovered(log, true);
}

static void make_unlisted(struct log_fixture *log)
{
	add_recovered(log, false);
}

static void make_second_founding(struct log_fixture *log)
{
	static const uint8_t nonce[32] = { 1 };
	struct event event;

	log_fixture_next(log, &event);
	payload_init(&event.payload, EVENT_STORE_CREATED);
	payload_text(&event.payload, FIELD_NONCE, slice_of(nonce, sizeof(nonce)));
	payload_str(&event.payload, FIELD_OPERATOR, "mallory@host");
	payload_text(&event.payload, FIELD_OPERATOR_KEY,
		     slice_of(log->outsider.public_key, PUBLIC_KEY_BYTES));
	payload_text(&event.payload, FIELD_LOG_KEY,
		     slice_of(log->log_key.public_key, PUBLIC_KEY_BYTES));
	log_fixture_add(log, &event, &log->signer);
}

/* A later provenv enrols a key in a way that this one does not know, and the key is used. */
static void make_newer_registry(struct log_fixture *log)
{
	make_unknown_type(log);
	log_fixture_event(log, log->count)->registry = true;
	make_unenrolled(log);
}

static const struct bad_case cases[] = {
	{ "right", make_right, 0, 1, "" },
	{ "slow clock", make_slow_clock, 0, 1, "" },
	{ "right group", make_group, 0, 5, "" },
	{ "right pair", make_right_pair, 0, 3, "" },
	{ "recovered", make_recovered, 0, 1, "" },
	{ "unknown type", make_unknown_type, 0, 1, "" },
	{ "trailing field", make_trailing_field, 0, 1, "" },
	{ "gap", make_gap, 1, 0, ": it says it is event " },
	{ "foreign", make_foreign, 1, 0, ": it belongs to another log" },
	{ "unchained", make_unchained, 1, 0, ": prev does not match event " },
	{ "back in time", make_back_in_time, 1, 0, ": its time is before that of event " },
	{ "ahead of clock", make_ahead_of_clock, 1, 0,
	  ": its time is later than its signer's clock said" },
	{ "flipped signature", make_flipped_signature, 1, 0, ": the signature does not verify" },
	{ "flipped reason", make_flipped_reason, 1, 0, ": the signature does not verify" },
	{ "unenrolled", make_unenrolled, 1, 0, " was not enrolled before" },
	{ "impostor", make_impostor, 1, 0, ": the signature does not verify" },
	{ "low order", make_low_order_signature, 1, 0, ": the signature does not verify" },
	{ "malformed", make_malformed, 1, 0, ": " },
	{ "empty", make_empty, 1, 0, ": it is too short or too long for an event" },
	{ "unknown type by impostor", make_unknown_type_impostor, 1, 0,
	  ": the signature does not verify" },
	{ "later version", make_later_version, 1, 0, ": it cannot be checked: " },
	{ "cut-off group", make_cut_off_group, 3, 0, ": a command begins, but event " },
	{ "part without first", make_part_without_first, 1, 0, " does not lead up to" },
	{ "mixed group", make_mixed_group, 2, 0, " does not lead up to" },
	{ "other parts", make_other_parts, 2, 0, " does not lead up to" },
	{ "skipped part", make_skipped_part, 2, 0, " does not lead up to" },
	{ "other signer", make_other_signer, 2, 0, ": its signer is not that of event " },
	{ "other time", make_other_time, 2, 0, ": its times are not those of event " },
	{ "other claim", make_other_claim, 2, 0, ": its times are not those of event " },
	{ "unindexed", make_unindexed, 1, 0, ": its command is not in the command index" },
	{ "repeated command", make_repeated_command, 1, 0, " begins at event 2" },
	{ "listed", make_listed, 1, 0, "is listed as an event of the key registry" },
	{ "unlisted", make_unlisted, 1, 0, ": it is not in the registry index" },
	{ "second founding", make_second_founding, 1, 0, "store.created is not the first event" },
	{ "newer registry", make_newer_registry, 2, 1, "newer provenv, may have enrolled it" },
};

/* --- running them ----------------------------------------------------------------------------- */

static struct audit_report audit(const struct log_fixture *log)
{
	struct audit_options options = { .threads = 2 };
	struct evlog *memory = log_fixture_memory(log);
	struct audit_report report;

	assert_int_equal(audit_evlog(memory, &options, &report, NULL), STATUS_OK);
	assert_int_equal(report.events, log->count);
	evlog_close(memory);
	return report;
}

/* @log holds right events only, and is left so. */
static void check_case(struct log_fixture *log, const struct bad_case *bad)
{
	struct audit_report report;
	size_t lead = log->count;
	char name[32];

	bad->make(log);
	log_fixture_fill(log, 3);
	report = audit(log);
	if (report.ok != (bad->bad == 0) || !strstr(report.message, bad->why) ||
	    (report.ok && report.message[0]))
		fail_msg("%s after %zu: %d, %s", bad->name, lead, report.ok, report.message);
	if (bad->bad == 0) {
		assert_int_equal(report.first_bad, 0);
		assert_int_equal(report.valid_size, log->count);
		assert_int_equal(report.signatures_checked, log->count);
	} else {
		assert_int_equal(report.first_bad, lead + bad->bad);
		assert_int_equal(report.valid_size, lead + bad->valid);
		(void)snprintf(name, sizeof(name), "event %zu: ", lead + (size_t)bad->bad);
		assert_memory_equal(report.message, name, strlen(name));
	}
	log_fixture_cut(log, lead);
}

static void test_cases(void **state)
{
	struct log_fixture log;

	(void)state;
	log_fixture_init(&log);
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		log_fixture_fill(&log, leads[i] - log.count);
		for (size_t j = 0; j < sizeof(cases) / sizeof(cases[0]); j++)
			check_case(&log, &cases[j]);
	}
	log_fixture_release(&log);
}

static void test_newer_is_said(void **state)
{
	struct audit_report report;
	struct log_fixture log;

	(void)state;
	log_fixture_init(&log);
	report = audit(&log);
	assert_true(report.ok);
	assert_false(report.newer);
	make_trailing_field(&log);
	report = audit(&log);
	assert_true(report.ok);
	assert_true(report.newer);
	make_later_version(&log);
	report = audit(&log);
	assert_false(report.ok);
	assert_true(report.newer);
	log_fixture_release(&log);
}

/* --- the first event -------------------------------------------------------------------------- */

static void expect_first_bad(struct log_fixture *log, const char *message)
{
	struct audit_report report;

	log_fixture_fill(log, 2);
	report = audit(log);
	assert_false(report.ok);
	assert_int_equal(report.first_bad, 1);
	assert_int_equal(report.valid_size, 0);
	assert_string_equal(report.message, message);
	log_fixture_release(log);
}

/* A log whose first event is what log_fixture_next() makes, but for @change. */
static void begin_otherwise(struct log_fixture *log, void (*change)(struct event *event))
{
	struct event event;

	log_fixture_init(log);
	log_fixture_next(log, &event);
	event.seq = 1;
	memset(event.log_id, 0, LOG_ID_BYTES);
	memset(event.prev, 0, HASH_BYTES);
	change(&event);
	buf_release(&log->events[0].leaf);
	log->count = 0;
	log_fixture_add(log, &event, &log->signer);
}

static void test_not_founded(void **state)
{
	struct log_fixture log;

	(void)state;
	begin_otherwise(&log, change_nothing);
	expect_first_bad(&log, "event 1: it is not store.created");
}

static void test_founding_not_listed(void **state)
{
	struct log_fixture log;

	(void)state;
	log_fixture_init(&log);
	log_fixture_event(&log, 1)->registry = false;
	expect_first_bad(&log, "event 1: it is not in the registry index");
}

/* store.created once more, but changed. */
static void found_again(struct log_fixture *log, void (*change)(struct event *event))
{
	struct event_decoder *decoder = NULL;
	struct decoded_event decoded;
	struct buf leaf;

	log_fixture_init(log);
	leaf = log->events[0].leaf;
	log->count = 0;
	assert_int_equal(event_decoder_new(&decoder, NULL), STATUS_OK);
	assert_int_equal(event_decode(decoder, slice_of(leaf.data, leaf.len - SIGNATURE_BYTES),
				      &decoded, NULL),
			 STATUS_OK);
	change(&decoded.event);
	log_fixture_add(log, &decoded.event, &log->signer);
	event_decoder_free(decoder);
	buf_release(&leaf);
	memcpy(log->log_id, log->events[0].leaf_hash, LOG_ID_BYTES);
}

static void test_founding_with_log_id(void **state)
{
	struct log_fixture log;

	(void)state;
	found_again(&log, change_log_id);
	expect_first_bad(&log, "event 1: the log id of store.created is not zero");
}

static void test_founding_with_prev(void **state)
{
	struct log_fixture log;

	(void)state;
	found_again(&log, change_prev);
	expect_first_bad(&log, "event 1: prev is not zero");
}

/* The neutral element, in whose name anybody could sign. */
static void change_low_order_key(struct event *event)
{
	static const uint8_t neutral[PUBLIC_KEY_BYTES] = { 1 };

	payload_text(&event->payload, FIELD_OPERATOR_KEY, slice_of(neutral, sizeof(neutral)));
}

static void test_founding_with_low_order_key(void **state)
{
	struct log_fixture log;

	(void)state;
	found_again(&log, change_low_order_key);
	expect_first_bad(&log, "event 1: the operator's key is not a sound Ed25519 key");
}

/* --- the size of a command -------------------------------------------------------------------- */

/* A part whose one value has @bytes bytes. */
static void add_large_part(struct log_fixture *log, uint32_t part, uint32_t parts, size_t bytes)
{
	static char text[VALUE_BYTES_MAX];
	struct change change = {
		.profile = slice_str("default"),
		.key = slice_str("A"),
		.op = CHANGE_SET,
		.value = slice_of(text, bytes),
	};
	struct event event;

	memset(text, 'x', sizeof(text));
	if (part == 1)
		log_fixture_next(log, &event);
	else
		log_fixture_next_part(log, &event);
	event.parts = parts;
	payload_init(&event.payload, EVENT_VARIABLES_CHANGED);
	payload_str(&event.payload, FIELD_ENVIRONMENT, "development");
	payload_changes(&event.payload, FIELD_CHANGES,
			(struct changes){ .entries = &change, .count = 1 });
	log_fixture_add(log, &event, &log->signer);
}

static size_t last_leaf_bytes(const struct log_fixture *log)
{
	return log->events[log->count - 1].leaf.len;
}

/* A command of exactly the greatest size and @extra bytes more, across the edge of a block. */
static struct audit_report audit_large_command(size_t extra, uint64_t *ret_first)
{
	enum { PARTS = 260, LEAD = AUDIT_BLOCK_EVENTS - 100 };
	struct audit_report report;
	struct log_fixture log;
	size_t total = 0;

	log_fixture_init(&log);
	log_fixture_fill(&log, LEAD - 1);
	for (uint32_t part = 1; part < PARTS; part++) {
		add_large_part(&log, part, PARTS, 32000);
		total += last_leaf_bytes(&log);
	}
	/* The last part takes what is left; its own envelope is as long as the one before. */
	add_large_part(&log, PARTS, PARTS,
		       COMMAND_BYTES_MAX - total - (last_leaf_bytes(&log) - 32000) + extra);
	total += last_leaf_bytes(&log);
	assert_int_equal(total, COMMAND_BYTES_MAX + extra);
	report = audit(&log);
	*ret_first = LEAD + 1;
	log_fixture_release(&log);
	return report;
}

static void test_largest_command(void **state)
{
	struct audit_report report;
	uint64_t first;

	(void)state;
	report = audit_large_command(0, &first);
	assert_string_equal(report.message, "");
	assert_true(report.ok);
	report = audit_large_command(1, &first);
	assert_false(report.ok);
	assert_int_equal(report.first_bad, first + 259);
	assert_int_equal(report.valid_size, first - 1);
	assert_non_null(strstr(report.message, "over the limit of 8388608 bytes"));
}

/* --- the worker itself ------------------------------------------------------------------------ */

static void test_findings_keep_the_least(void **state)
{
	struct audit_checks checks = { .least_bad = UINT64_MAX, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct error why = ERROR_INIT;

	(void)state;
	audit_find(&checks, 0, "of no event");
	assert_string_equal(checks.finding.message, "of no event");
	audit_find(&checks, 9, "nine");
	audit_find(&checks, 12, "twelve");
	audit_find(&checks, 0, "of no event");
	assert_int_equal(checks.finding.seq, 9);
	assert_string_equal(checks.finding.message, "event 9: nine");
	(void)error_set(&why, STATUS_CORRUPT, "event 8 is missing");
	audit_find_error(&checks, 8, &why);
	assert_string_equal(checks.finding.message, "event 8: is missing");
	(void)error_set(&why, STATUS_CORRUPT, "event 77: is another one");
	audit_find_error(&checks, 7, &why);
	assert_string_equal(checks.finding.message, "event 7: event 77: is another one");
	assert_int_equal(checks.failure.status, STATUS_OK);
	/* A failure ends it all: nothing is found any more. */
	(void)error_set(&why, STATUS_IO, "the disk is gone");
	audit_find_error(&checks, 3, &why);
	audit_find(&checks, 1, "one");
	assert_int_equal(checks.failure.status, STATUS_IO);
	assert_string_equal(checks.failure.text, "the disk is gone");
	assert_int_equal(checks.finding.seq, 7);
}

static void test_block_count(void **state)
{
	(void)state;
	assert_int_equal(audit_block_count(1, 0), 0);
	assert_int_equal(audit_block_count(1, 1), 1);
	assert_int_equal(audit_block_count(1, AUDIT_BLOCK_EVENTS), 1);
	assert_int_equal(audit_block_count(1, AUDIT_BLOCK_EVENTS + 1), 2);
	assert_int_equal(audit_block_count(AUDIT_BLOCK_EVENTS, AUDIT_BLOCK_EVENTS + 1), 2);
	assert_int_equal(audit_block_count(AUDIT_BLOCK_EVENTS + 1, AUDIT_BLOCK_EVENTS + 1), 1);
}

/* What a worker leaves behind: counts, the tree of its block, and that it is at nothing. */
static void test_worker_results(void **state)
{
	_Atomic uint64_t position = 99;
	_Atomic uint64_t done = 0;
	struct registry registry = REGISTRY_INIT;
	struct audit_checks checks = { .registry = &registry,
				       .first = 1,
				       .done = &done,
				       .least_bad = UINT64_MAX,
				       .lock = PTHREAD_MUTEX_INITIALIZER };
	struct evlog_snapshot *snapshot;
	struct log_fixture log;
	struct evlog *memory;
	uint8_t root[HASH_BYTES], tail[HASH_BYTES];

	(void)state;
	log_fixture_init(&log);
	log_fixture_group(&log, 40);
	log_fixture_fill(&log, 59);
	memory = log_fixture_memory(&log);
	assert_int_equal(evlog_snapshot_open(memory, &snapshot, NULL), STATUS_OK);
	assert_int_equal(registry_load(snapshot, &registry, NULL), STATUS_OK);
	checks.last = 100;
	audit_check_blocks(&checks, snapshot, &position);
	assert_false(checks.found);
	assert_int_equal(atomic_load(&position), 0);
	assert_int_equal(atomic_load(&done), 100);
	assert_int_equal(atomic_load(&checks.signatures), 100);
	assert_int_equal(atomic_load(&checks.commands), 61);
	assert_int_equal(evlog_root(snapshot, 100, root, NULL), STATUS_OK);
	assert_int_equal(checks.tail.size, 100);
	merkle_frontier_root(&checks.tail, tail);
	assert_memory_equal(tail, root, HASH_BYTES);
	evlog_snapshot_close(snapshot);
	registry_release(&registry);
	evlog_close(memory);
	log_fixture_release(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_newer_is_said),
		cmocka_unit_test(test_not_founded),
		cmocka_unit_test(test_founding_not_listed),
		cmocka_unit_test(test_founding_with_log_id),
		cmocka_unit_test(test_founding_with_prev),
		cmocka_unit_test(test_founding_with_low_order_key),
		cmocka_unit_test(test_largest_command),
		cmocka_unit_test(test_findings_keep_the_least),
		cmocka_unit_test(test_block_count),
		cmocka_unit_test(test_worker_results),
	};

	return cmocka_run_group_tests_name("audit_check", tests, NULL, NULL);
}
