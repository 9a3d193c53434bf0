/*
 * REFs: every form, both ends of the log, and commands of several events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "lib/log_fixture.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/ref.h"

#include "base/banned.h"

#define NOW_MS UINT64_C(1767323045000) /* 2026-01-02T03:04:05Z */

/* --- parsing ---------------------------------------------------------------------------------- */

static void expect_parsed(const char *text, enum ref_kind kind, uint64_t number)
{
	struct error err = ERROR_INIT;
	struct ref ref;

	if (ref_parse(slice_str(text), NOW_MS, &ref, &err))
		fail_msg("%s: %s", text, err.text);
	if (ref.kind != kind || ref.number != number)
		fail_msg("%s: %d, %" PRIu64, text, (int)ref.kind, ref.number);
}

static void test_parse(void **state)
{
	(void)state;
	expect_parsed("1", REF_SEQ, 1);
	expect_parsed("0", REF_SEQ, 0);
	expect_parsed("18446744073709551615", REF_SEQ, UINT64_MAX);
	expect_parsed("HEAD", REF_HEAD, 0);
	expect_parsed("HEAD~0", REF_HEAD, 0);
	expect_parsed("HEAD~", REF_HEAD, 1);
	expect_parsed("HEAD~12", REF_HEAD, 12);
	expect_parsed("@2026-01-02T03:04:05Z", REF_TIME, NOW_MS);
	expect_parsed("@2026-01-02T03:04:05.678Z", REF_TIME, NOW_MS + 678);
	expect_parsed("@2026-01-02T04:04:05+01:00", REF_TIME, NOW_MS);
	expect_parsed("@-10m", REF_TIME, NOW_MS - 600 * UINT64_C(1000));
	expect_parsed("@-0s", REF_TIME, NOW_MS);
	expect_parsed("@-3000w", REF_TIME, 0); /* before 1970 */
}

static void test_parse_date(void **state)
{
	struct ref date, midnight;

	(void)state;
	/* Whatever the time zone is: the day begins at its midnight. */
	assert_int_equal(ref_parse(slice_str("@2026-01-02"), NOW_MS, &date, NULL), STATUS_OK);
	assert_int_equal(ref_parse(slice_str("@2026-01-02T00:00:00"), NOW_MS, &midnight, NULL),
			 STATUS_OK);
	assert_int_equal(date.kind, REF_TIME);
	assert_int_equal(date.number, midnight.number);
}

static void test_parse_refuses(void **state)
{
	static const char *const words[] = {
		"",           "x",           "-1",
		"+1",         " 1",          "01",
		"1 ",         "0x10",        "18446744073709551616",
		"head",       "HEAD3",       "HEAD~-1",
		"HEAD~x",     "HEAD~1~1",    "HEAD~18446744073709551616",
		"HEAD^",      "@",           "@-",
		"@+10m",      "@10m",        "@-10x",
		"@yesterday", "@2026-13-01", "@1969-12-31",
		"v1.0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct ref ref = { .kind = REF_TIME, .number = 4711 };
		struct error err = ERROR_INIT;

		if (ref_parse(slice_str(words[i]), NOW_MS, &ref, &err) != STATUS_USAGE)
			fail_msg("\"%s\" was taken", words[i]);
		assert_non_null(strstr(err.text, words[i][0] ? words[i] : "an empty word"));
		assert_non_null(strstr(err.hint, "HEAD~3"));
		assert_int_equal(ref.number, 4711);
	}
}

/* What is shown of a word is short and drives no terminal. */
static void test_parse_hostile(void **state)
{
	char word[4096];
	struct error err = ERROR_INIT;
	struct ref ref;

	(void)state;
	memset(word, '\x1b', sizeof(word));
	assert_int_equal(ref_parse(slice_of(word, sizeof(word)), NOW_MS, &ref, &err), STATUS_USAGE);
	assert_null(strchr(err.text, '\x1b'));
	assert_non_null(strstr(err.text, "…"));
	assert_int_equal(ref_parse(slice_of("HEAD\0", 5), NOW_MS, &ref, &err), STATUS_USAGE);
	assert_int_equal(ref_parse(slice_of(NULL, 0), NOW_MS, &ref, &err), STATUS_USAGE);
}

/* --- finding ---------------------------------------------------------------------------------- */

/*
 * Twelve events in eight commands, a second apart from one to the next:
 *   1  2  3  [4 5 6]  7  8  [9 10]  … and after an hour: 11 12
 */
struct fixture {
	struct log_fixture log;
	struct evlog *memory;
	struct evlog_snapshot *snapshot;
};

enum { EVENTS = 12, GROUP_FIRST = 4, GROUP_LAST = 6 };

#define HOUR_MS (UINT64_C(3600) * 1000)

static void open_log(struct fixture *fixture)
{
	fixture->memory = log_fixture_memory(&fixture->log);
	assert_int_equal(evlog_snapshot_open(fixture->memory, &fixture->snapshot, NULL), STATUS_OK);
}

static void close_log(struct fixture *fixture)
{
	evlog_snapshot_close(fixture->snapshot);
	evlog_close(fixture->memory);
	log_fixture_release(&fixture->log);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	log_fixture_init(&fixture->log);
	log_fixture_fill(&fixture->log, 2);
	log_fixture_group(&fixture->log, 3);
	log_fixture_fill(&fixture->log, 2);
	log_fixture_group(&fixture->log, 2);
	fixture->log.time_ms += HOUR_MS;
	log_fixture_fill(&fixture->log, 2);
	open_log(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close_log(fixture);
	free(fixture);
	return 0;
}

static void expect_point(const struct fixture *fixture, struct ref ref, uint64_t seq, bool moved)
{
	struct ref_point point;
	struct error err = ERROR_INIT;

	if (ref_resolve(fixture->snapshot, &ref, &point, &err))
		fail_msg("%d, %" PRIu64 ": %s", (int)ref.kind, ref.number, err.text);
	assert_int_equal(point.seq, seq);
	assert_int_equal(point.moved, moved);
	assert_int_equal(point.time_ms, fixture->log.events[seq - 1].time_ms);
}

static void expect_refused(const struct fixture *fixture, struct ref ref, enum status status,
			   const char *text, const char *hint)
{
	struct ref_point point = { .seq = 4711 };
	struct error err = ERROR_INIT;

	assert_int_equal(ref_resolve(fixture->snapshot, &ref, &point, &err), status);
	assert_string_equal(err.text, text);
	assert_string_equal(err.hint, hint);
	assert_int_equal(point.seq, 4711);
}

static struct ref seq_ref(uint64_t seq)
{
	return (struct ref){ .kind = REF_SEQ, .number = seq };
}

static struct ref head_ref(uint64_t back)
{
	return (struct ref){ .kind = REF_HEAD, .number = back };
}

static struct ref time_ref(uint64_t time_ms)
{
	return (struct ref){ .kind = REF_TIME, .number = time_ms };
}

static void test_seq(void **state)
{
	const struct fixture *fixture = *state;
	static const uint64_t ends[EVENTS] = { 1, 2, 3, 6, 6, 6, 7, 8, 10, 10, 11, 12 };

	for (uint64_t seq = 1; seq <= EVENTS; seq++)
		expect_point(fixture, seq_ref(seq), ends[seq - 1], ends[seq - 1] != seq);
}

static void test_seq_out_of_range(void **state)
{
	const struct fixture *fixture = *state;

	expect_refused(fixture, seq_ref(13), STATUS_NOT_FOUND,
		       "no event 13: the log holds events 1..12", "the nearest is event 12");
	expect_refused(fixture, seq_ref(0), STATUS_NOT_FOUND,
		       "no event 0: the log holds events 1..12", "the nearest is event 1");
	expect_refused(fixture, seq_ref(UINT64_MAX), STATUS_NOT_FOUND,
		       "no event 18446744073709551615: the log holds events 1..12",
		       "the nearest is event 12");
}

static void test_head(void **state)
{
	const struct fixture *fixture = *state;
	static const uint64_t ends[] = { 12, 11, 10, 8, 7, 6, 3, 2, 1 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		expect_point(fixture, head_ref(i), ends[i], false);
	expect_refused(fixture, head_ref(9), STATUS_NOT_FOUND,
		       "no HEAD~9: the log holds 9 commands", "the nearest is HEAD~8, event 1");
	expect_refused(fixture, head_ref(UINT64_MAX), STATUS_NOT_FOUND,
		       "no HEAD~18446744073709551615: the log holds 9 commands",
		       "the nearest is HEAD~8, event 1");
}

static void test_time(void **state)
{
	const struct fixture *fixture = *state;
	const struct made_event *events = fixture->log.events;

	for (uint64_t seq = 1; seq <= EVENTS; seq++) {
		uint64_t time_ms = events[seq - 1].time_ms;
		uint64_t last = seq;

		while (last < EVENTS && events[last].time_ms == time_ms)
			last++;
		expect_point(fixture, time_ref(time_ms), last, false);
		expect_point(fixture, time_ref(time_ms + 999), last, false);
		if (seq > 1 && events[seq - 2].time_ms < time_ms)
			expect_point(fixture, time_ref(time_ms - 1), seq - 1, false);
	}
	/* In the long pause, and after all. */
	expect_point(fixture, time_ref(events[9].time_ms + HOUR_MS / 2), 10, false);
	expect_point(fixture, time_ref(UINT64_MAX), EVENTS, false);
}

static void test_time_before_the_log(void **state)
{
	const struct fixture *fixture = *state;

	expect_refused(fixture, time_ref(LOG_FIXTURE_START_MS - 1), STATUS_NOT_FOUND,
		       "no event at or before 2026-01-02T03:04:04.999Z: "
		       "the log starts at 2026-01-02T03:04:05.000Z",
		       "the nearest is event 1, at 2026-01-02T03:04:05.000Z");
}

static void test_empty_log(void **state)
{
	struct fixture fixture = { .snapshot = NULL };

	(void)state;
	assert_int_equal(evlog_memory_open(&fixture.memory, NULL), STATUS_OK);
	assert_int_equal(evlog_snapshot_open(fixture.memory, &fixture.snapshot, NULL), STATUS_OK);
	expect_refused(&fixture, seq_ref(1), STATUS_NOT_FOUND, "the log holds no event yet", "");
	expect_refused(&fixture, head_ref(0), STATUS_NOT_FOUND, "the log holds no event yet", "");
	expect_refused(&fixture, time_ref(NOW_MS), STATUS_NOT_FOUND, "the log holds no event yet",
		       "");
	close_log(&fixture);
}

static void test_range(void **state)
{
	const struct fixture *fixture = *state;
	uint64_t first = 0, last = 0;

	for (uint64_t seq = GROUP_FIRST; seq <= GROUP_LAST; seq++) {
		assert_int_equal(ref_command_range(fixture->snapshot, seq, &first, &last, NULL),
				 STATUS_OK);
		assert_int_equal(first, GROUP_FIRST);
		assert_int_equal(last, GROUP_LAST);
	}
	assert_int_equal(ref_command_range(fixture->snapshot, 7, &first, &last, NULL), STATUS_OK);
	assert_int_equal(first, 7);
	assert_int_equal(last, 7);
	assert_int_equal(ref_command_range(fixture->snapshot, 0, &first, &last, NULL),
			 STATUS_NOT_FOUND);
	assert_int_equal(ref_command_range(fixture->snapshot, 13, &first, &last, NULL),
			 STATUS_NOT_FOUND);
	assert_int_equal(first, 7);
}

/* --- damaged logs ----------------------------------------------------------------------------- */

static void test_incomplete_command(void **state)
{
	struct fixture fixture = { .snapshot = NULL };
	uint64_t first = 4711, last = 4711;
	struct error err = ERROR_INIT;

	(void)state;
	log_fixture_init(&fixture.log);
	log_fixture_group(&fixture.log, 3);
	log_fixture_cut(&fixture.log, 3);
	open_log(&fixture);
	expect_point(&fixture, seq_ref(1), 1, false);
	expect_refused(&fixture, seq_ref(2), STATUS_CORRUPT,
		       "event 2 is part 1 of 3, but the log holds only events 1..3", "");
	expect_refused(&fixture, head_ref(0), STATUS_CORRUPT,
		       "event 3 is part 2 of 3, but the log holds only events 1..3", "");
	expect_refused(&fixture, head_ref(1), STATUS_CORRUPT,
		       "event 3 should end a command, but is part 2 of 3", "");
	assert_int_equal(ref_command_range(fixture.snapshot, 3, &first, &last, &err),
			 STATUS_CORRUPT);
	assert_int_equal(first, 4711);
	close_log(&fixture);
}

static void test_broken_command(void **state)
{
	struct fixture fixture = { .snapshot = NULL };

	(void)state;
	log_fixture_init(&fixture.log);
	log_fixture_group(&fixture.log, 3);
	log_fixture_cut(&fixture.log, 3);
	log_fixture_fill(&fixture.log, 3);
	open_log(&fixture);
	expect_refused(&fixture, seq_ref(2), STATUS_CORRUPT,
		       "event 4 does not end the command of event 2", "");
	expect_point(&fixture, head_ref(2), 4, false);
	close_log(&fixture);
}

static void test_part_beyond_the_start(void **state)
{
	struct fixture fixture = { .snapshot = NULL };
	struct event event;

	(void)state;
	log_fixture_init(&fixture.log);
	log_fixture_next(&fixture.log, &event);
	event.part = 9;
	event.parts = 9;
	log_fixture_add(&fixture.log, &event, &fixture.log.signer);
	open_log(&fixture);
	expect_refused(&fixture, seq_ref(2), STATUS_CORRUPT,
		       "event 2 is part 9 of 9, but the log holds only events 1..2", "");
	expect_refused(&fixture, head_ref(1), STATUS_CORRUPT,
		       "event 2 should end a command, but is part 9 of 9", "");
	close_log(&fixture);
}

static void test_unreadable_event(void **state)
{
	struct fixture *fixture = *state;
	struct log_lies lies = { .row_changed = 8 };
	struct evlog *lying = log_lying(fixture->memory, &lies);
	struct fixture view = { .snapshot = NULL };

	assert_int_equal(evlog_snapshot_open(lying, &view.snapshot, NULL), STATUS_OK);
	expect_refused(&view, seq_ref(8), STATUS_CORRUPT,
		       "event 8: its bytes do not match the tree", "");
	expect_refused(&view, head_ref(4), STATUS_CORRUPT,
		       "event 8: its bytes do not match the tree", "");
	evlog_snapshot_close(view.snapshot);
	evlog_close(lying);
}

/* Of a later version nothing can be read, of a later type enough. */
static void test_newer_events(void **state)
{
	struct fixture fixture = { .snapshot = NULL };
	struct buf bytes = BUF_INIT;
	struct event event;
	uint8_t *type;

	(void)state;
	log_fixture_init(&fixture.log);
	log_fixture_next(&fixture.log, &event);
	assert_int_equal(event_encode(&event, &bytes, NULL), STATUS_OK);
	type = memmem(bytes.data, bytes.len, "category.defined", 16);
	assert_non_null(type);
	type[0] = 'z';
	log_fixture_add_bytes(&fixture.log, &event, buf_slice(&bytes), &fixture.log.signer);
	bytes.data[1] = 2;
	event.command_id[0] ^= 1;
	log_fixture_add_bytes(&fixture.log, &event, buf_slice(&bytes), &fixture.log.signer);
	buf_release(&bytes);
	open_log(&fixture);
	expect_point(&fixture, seq_ref(2), 2, false);
	expect_refused(&fixture, seq_ref(3), STATUS_NEWER,
		       "event 3: event format version 2 is not known",
		       "it was written by a newer provenv; install that one to read it");
	close_log(&fixture);
}

static void test_misplaced_event(void **state)
{
	struct fixture fixture = { .snapshot = NULL };
	struct event event;

	(void)state;
	log_fixture_init(&fixture.log);
	log_fixture_next(&fixture.log, &event);
	event.seq = 7;
	log_fixture_add(&fixture.log, &event, &fixture.log.signer);
	open_log(&fixture);
	expect_refused(&fixture, seq_ref(2), STATUS_CORRUPT, "event 2: it says it is event 7", "");
	close_log(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_date),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_hostile),
		cmocka_unit_test_setup_teardown(test_seq, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seq_out_of_range, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_before_the_log, setup, teardown),
		cmocka_unit_test(test_empty_log),
		cmocka_unit_test_setup_teardown(test_range, setup, teardown),
		cmocka_unit_test(test_incomplete_command),
		cmocka_unit_test(test_broken_command),
		cmocka_unit_test(test_part_beyond_the_start),
		cmocka_unit_test_setup_teardown(test_unreadable_event, setup, teardown),
		cmocka_unit_test(test_newer_events),
		cmocka_unit_test(test_misplaced_event),
	};

	return cmocka_run_group_tests_name("ref", tests, NULL, NULL);
}
