/*
 * Fuzz target: REFs (store/ref.h).
 *
 * Input: a word. What must hold:
 * - what is accepted and written anew from what it means (a number, HEAD~N, @TIME in UTC) means the
 *   same; a number or HEAD~N has no second way to be written but the bare HEAD and HEAD~;
 * - what is refused leaves the output untouched and shows at most a part of the word;
 * - in a log of commands of one and of several events, the event found is the one that a walk over
 *   all events finds; so is the range of its command.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "lib/log_fixture.h"
#include "store/evlog.h"
#include "store/ref.h"

#include "base/banned.h"

enum {
	COMMANDS = 7,
	EVENTS = 15,
};

/* Minutes after the last event. */
#define NOW_MS (LOG_FIXTURE_START_MS + UINT64_C(600000))
/* 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can name. */
#define LAST_MS UINT64_C(253402300799999)

/* What the log holds, by our own account. */
struct known_event {
	uint64_t time_ms;
	uint64_t first; /* of its command */
	uint64_t last;
	uint64_t command; /* which one, from 1 */
};

struct known_log {
	struct evlog *log;
	struct evlog_snapshot *snapshot;
	struct known_event event[EVENTS + 1]; /* by number, from 1 */
};

static void note_command(struct known_log *known, const struct log_fixture *fixture, uint64_t first,
			 uint64_t command)
{
	for (uint64_t seq = first; seq <= fixture->count; seq++)
		known->event[seq] = (struct known_event){ .time_ms = fixture->time_ms,
							  .first = first,
							  .last = fixture->count,
							  .command = command };
}

static const struct known_log *the_log(void)
{
	static const uint32_t parts[COMMANDS] = { 1, 1, 3, 1, 2, 1, 6 };
	static struct known_log known;
	struct log_fixture fixture;

	if (known.log)
		return &known;
	log_fixture_init(&fixture);
	note_command(&known, &fixture, 1, 1);
	for (uint64_t i = 1; i < COMMANDS; i++) {
		uint64_t first = fixture.count + 1;

		log_fixture_group(&fixture, parts[i]);
		note_command(&known, &fixture, first, i + 1);
	}
	known.log = log_fixture_memory(&fixture);
	log_fixture_release(&fixture);
	if (evlog_snapshot_open(known.log, &known.snapshot, NULL) || known.snapshot->size != EVENTS)
		abort();
	return &known;
}

/* --- what a word means ------------------------------------------------------------------------ */

static bool means(const char *text, const struct ref *wanted)
{
	struct ref ref;

	return ref_parse(slice_str(text), NOW_MS, &ref, NULL) == STATUS_OK &&
	       ref.kind == wanted->kind && ref.number == wanted->number;
}

static void check_accepted(struct slice word, const struct ref *ref)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	char time[32];

	switch (ref->kind) {
	case REF_SEQ:
		buf_printf(&text, "%" PRIu64, ref->number);
		FUZZ_CHECK(slice_equal(word, buf_slice(&text)), "a second way to write %s",
			   buf_str(&text));
		break;
	case REF_HEAD:
		buf_printf(&text, "HEAD~%" PRIu64, ref->number);
		FUZZ_CHECK(slice_equal(word, buf_slice(&text)) ||
				   (slice_equal_str(word, "HEAD") && ref->number == 0) ||
				   (slice_equal_str(word, "HEAD~") && ref->number == 1),
			   "a second way to write %s", buf_str(&text));
		break;
	case REF_TIME:
		FUZZ_CHECK(ref->number <= LAST_MS, "a time after the year 9999: %" PRIu64,
			   ref->number);
		text_from_time_ms(ref->number, time);
		buf_printf(&text, "@%s", time);
		break;
	}
	FUZZ_CHECK(means(buf_str(&text), ref), "written anew as %s it means something else",
		   buf_str(&text));
}

/* --- which event is meant --------------------------------------------------------------------- */

/* The number of the event by a walk over all, or 0 when there is none. */
static uint64_t expect(const struct known_log *known, const struct ref *ref)
{
	uint64_t found = 0;

	for (uint64_t seq = 1; seq <= EVENTS; seq++) {
		const struct known_event *event = &known->event[seq];

		if ((ref->kind == REF_SEQ && seq == ref->number) ||
		    (ref->kind == REF_TIME && event->time_ms <= ref->number) ||
		    (ref->kind == REF_HEAD && ref->number < COMMANDS &&
		     event->command == COMMANDS - ref->number))
			found = seq;
	}
	return found;
}

static void check_found(const struct known_log *known, const struct ref *ref)
{
	struct ref_point point = { .seq = UINT64_MAX };
	struct error err = ERROR_INIT;
	uint64_t wanted = expect(known, ref);
	uint64_t first;
	uint64_t last;
	enum status status = ref_resolve(known->snapshot, ref, &point, &err);

	fuzz_check_error(status, &err);
	FUZZ_CHECK(status == (wanted ? STATUS_OK : STATUS_NOT_FOUND), "%s: %s", status_name(status),
		   err.text);
	if (status) {
		FUZZ_CHECK(point.seq == UINT64_MAX, "not found, but the output was touched");
		return;
	}
	FUZZ_CHECK(point.seq == known->event[wanted].last, "event %" PRIu64 ", not %" PRIu64,
		   point.seq, known->event[wanted].last);
	FUZZ_CHECK(point.moved == (point.seq != wanted), "moved: %d", point.moved);
	FUZZ_CHECK(point.time_ms == known->event[wanted].time_ms, "another event's time");
	FUZZ_CHECK(!ref_command_range(known->snapshot, wanted, &first, &last, &err) &&
			   first == known->event[wanted].first && last == known->event[wanted].last,
		   "the command of event %" PRIu64 " is another one", wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice word = slice_of(data, size);
	struct ref ref = { .kind = REF_TIME, .number = 4711 };
	struct error err = ERROR_INIT;
	enum status status = ref_parse(word, NOW_MS, &ref, &err);

	fuzz_check_error(status, &err);
	if (status) {
		FUZZ_CHECK(status == STATUS_USAGE, "%s", status_name(status));
		FUZZ_CHECK(ref.kind == REF_TIME && ref.number == 4711,
			   "refused, but the output was touched");
		return 0;
	}
	check_accepted(word, &ref);
	check_found(the_log(), &ref);
	return 0;
}
