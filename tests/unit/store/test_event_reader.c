/*
 * Reading events through a few slots: how long what was read lives.
 */
#include "store/event_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "lib/log_fixture.h"
#include "store/evlog.h"

#include "base/banned.h"

static const struct read_event *get(struct event_reader *reader, uint64_t seq)
{
	const struct read_event *event;

	assert_int_equal(event_reader_get(reader, seq, &event, NULL), STATUS_OK);
	assert_int_equal(event->decoded.event.seq, seq);
	return event;
}

/* One that was there already lives as long as one that was read for it. */
static void an_event_outlives_others_read_after_it(void **state)
{
	struct log_fixture fixture;
	struct evlog_snapshot *snapshot = NULL;
	struct event_reader *reader = NULL;
	const struct read_event *event;
	struct evlog *log;

	(void)state;
	log_fixture_init(&fixture);
	log_fixture_fill(&fixture, 3 * (size_t)EVENT_READER_SLOTS);
	log = log_fixture_memory(&fixture);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	assert_int_equal(event_reader_new(snapshot, &reader, NULL), STATUS_OK);
	for (uint64_t seq = 1; seq <= EVENT_READER_SLOTS; seq++)
		(void)get(reader, seq);
	event = get(reader, 1);
	for (uint64_t i = 1; i < EVENT_READER_SLOTS; i++) {
		(void)get(reader, EVENT_READER_SLOTS + i);
		assert_int_equal(event->decoded.event.seq, 1);
	}
	/* It is found again without being read. */
	assert_ptr_equal(get(reader, 1), event);
	event_reader_free(reader);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
	log_fixture_release(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_outlives_others_read_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
