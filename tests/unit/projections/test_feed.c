/*
 * Events fed by a thread that reads ahead, or without one: the same events, the same failures at
 * the same events, and nothing left behind wherever the feed is closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "projections/feed.h"
#include "store/event.h"
#include "store/evlog.h"
#include "unit/projections/payloads.h"

#include "base/banned.h"

enum {
	MANY = FEED_THREAD_EVENTS + 80, /* enough for a thread */
	FEW = FEED_THREAD_EVENTS - 1,   /* one too few */
};

/* --- a log that watches who reads it ---------------------------------------------------------- */

struct watched {
	struct evlog log;
	struct evlog_snapshot snapshot; /* of it; what is asked of it is asked of `inner` */
	struct evlog_snapshot *inner;
	pthread_t caller;
	_Atomic unsigned leaves_here;  /* read by the caller */
	_Atomic unsigned leaves_aside; /* read by another thread */
	_Atomic size_t bytes;          /* of leaves read */
	_Atomic unsigned open_signals; /* that a reader on the side would have taken */
};

static struct watched *watched_of(struct evlog_snapshot *snapshot)
{
	return (struct watched *)snapshot->log;
}

static unsigned count_open_signals(void)
{
	sigset_t blocked;
	unsigned count = 0;

	(void)sigemptyset(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	for (int signal = 1; signal < 32; signal++)
		count += signal != SIGKILL && signal != SIGSTOP &&
			 sigismember(&blocked, signal) == 0;
	return count;
}

/* Runs in the thread that reads: no assertions here. */
static enum status watched_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
				struct error *err)
{
	struct watched *watched = watched_of(snapshot);
	enum status status = evlog_leaf(watched->inner, seq, ret, err);

	if (pthread_equal(pthread_self(), watched->caller)) {
		atomic_fetch_add(&watched->leaves_here, 1);
	} else {
		atomic_fetch_add(&watched->leaves_aside, 1);
		atomic_fetch_add(&watched->open_signals, count_open_signals());
	}
	if (!status)
		atomic_fetch_add(&watched->bytes, ret->len);
	return status;
}

static enum status watched_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			       struct error *err)
{
	return evlog_row(watched_of(snapshot)->inner, seq, ret, err);
}

static void watch(struct watched *watched, struct evlog_snapshot *inner)
{
	static const struct evlog_ops ops = { .leaf = watched_leaf, .row = watched_row };

	*watched = (struct watched){ .log = { .ops = &ops,
					      .frontier_lock = PTHREAD_MUTEX_INITIALIZER },
				     .inner = inner,
				     .caller = pthread_self() };
	watched->snapshot = (struct evlog_snapshot){ .log = &watched->log, .size = inner->size };
}

/* --- logs ------------------------------------------------------------------------------------- */

/* One log of MANY events serves all tests; how to lie about it is theirs. */
static struct log_fixture fixture;
static struct evlog *memory;
static struct log_lies lies;

struct scene {
	struct evlog *lying;
	struct evlog_snapshot *snapshot; /* of the lying log */
	struct watched watched;          /* … as it is read */
	struct feed *feed;
};

static int group_setup(void **state)
{
	(void)state;
	log_fixture_init(&fixture);
	log_fixture_group(&fixture, 30);
	log_fixture_fill(&fixture, MANY - fixture.count);
	memory = log_fixture_memory(&fixture);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	evlog_close(memory);
	log_fixture_release(&fixture);
	return 0;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene)
		return -1;
	lies = (struct log_lies){ .leaf_missing = 0 };
	scene->lying = log_lying(memory, &lies);
	if (evlog_snapshot_open(scene->lying, &scene->snapshot, NULL))
		return -1;
	watch(&scene->watched, scene->snapshot);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	feed_close(scene->feed);
	evlog_snapshot_close(scene->snapshot);
	evlog_close(scene->lying);
	free(scene);
	return 0;
}

static const uint8_t *leaf_hash_of(uint64_t seq)
{
	static const uint8_t zeros[HASH_BYTES];

	return seq ? log_fixture_event(&fixture, seq)->leaf_hash : zeros;
}

/* Feed the events after @after up to @until, in place of what was fed before. */
static void feed_events(struct scene *scene, uint64_t after, uint64_t until)
{
	feed_close(scene->feed);
	scene->feed = NULL;
	watch(&scene->watched, scene->snapshot);
	assert_int_equal(feed_open(&scene->watched.snapshot, after, leaf_hash_of(after), until,
				   &scene->feed, NULL),
			 STATUS_OK);
}

/* The next event is @seq, with all that the log says of it. */
static void assert_next(struct scene *scene, uint64_t seq)
{
	const struct made_event *made = log_fixture_event(&fixture, seq);
	const struct fed_event *fed = NULL;
	struct error err = ERROR_INIT;
	struct slice payload;

	if (feed_next(scene->feed, &fed, &err))
		fail_msg("event %d: %s", (int)seq, err.text);
	assert_int_equal(fed->decoded.event.seq, seq);
	assert_memory_equal(fed->leaf_hash, made->leaf_hash, HASH_BYTES);
	assert_memory_equal(fed->decoded.event.command_id, made->command_id, COMMAND_ID_BYTES);
	/* What is borrowed from the leaf is still there. */
	payload = fed->decoded.payload_bytes;
	assert_true(payload.len > 0);
	assert_non_null(memmem(made->leaf.data, made->leaf.len, payload.data, payload.len));
	assert_true(fed->decoded.event.payload.type ==
		    (seq == 1 ? EVENT_STORE_CREATED : EVENT_CATEGORY_DEFINED));
}

static void assert_fails(struct scene *scene, enum status expected, const char *text)
{
	const struct fed_event *fed = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(feed_next(scene->feed, &fed, &err), expected);
	assert_int_equal(err.status, expected);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	assert_null(fed);
}

/* Wait until the thread reads no more. */
static void settle(const struct watched *watched)
{
	unsigned before, now = watched->leaves_aside;

	do {
		before = now;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		now = watched->leaves_aside;
	} while (now != before || now == 0);
}

/* --- the same with a thread and without ------------------------------------------------------- */

static void many_are_read_by_a_thread(void **state)
{
	struct scene *scene = *state;

	feed_events(scene, 0, MANY);
	for (uint64_t seq = 1; seq <= MANY; seq++)
		assert_next(scene, seq);
	assert_int_equal(scene->watched.leaves_here, 0);
	assert_int_equal(scene->watched.leaves_aside, MANY);
}

static void few_are_read_by_the_caller(void **state)
{
	struct scene *scene = *state;

	feed_events(scene, MANY - FEW, MANY);
	for (uint64_t seq = MANY - FEW + 1; seq <= MANY; seq++)
		assert_next(scene, seq);
	/* The first one twice: it tells whether they are large. */
	assert_int_equal(scene->watched.leaves_here, FEW + 1);
	assert_int_equal(scene->watched.leaves_aside, 0);
}

/* From how many on is what the header says; how many there are in the log does not matter. */
static void the_number_asked_for_decides(void **state)
{
	struct scene *scene = *state;

	feed_events(scene, 5, 5 + FEED_THREAD_EVENTS);
	assert_next(scene, 6);
	feed_close(scene->feed);
	scene->feed = NULL;
	assert_int_equal(scene->watched.leaves_here, 0);
	assert_true(scene->watched.leaves_aside > 0);
	/* The end asked for is not read past. */
	for (uint64_t until = 5; until < 9; until++) {
		feed_events(scene, 4, until);
		for (uint64_t seq = 5; seq <= until; seq++)
			assert_next(scene, seq);
		assert_int_equal(scene->watched.leaves_here, until - 4 + (until > 5));
	}
}

static void nothing_is_fed_where_nothing_is_asked_for(void **state)
{
	struct scene *scene = *state;

	feed_events(scene, 7, 7);
	feed_close(scene->feed);
	scene->feed = NULL;
	assert_int_equal(scene->watched.leaves_here + scene->watched.leaves_aside, 0);
	feed_close(NULL);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void closing_half_way_stops_the_thread(void **state)
{
	static const uint64_t taken[] = { 0, 1, 63, 64, 65, 127, 130, MANY - 1, MANY };
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		unsigned read;

		feed_events(scene, 0, MANY);
		for (uint64_t seq = 1; seq <= taken[i]; seq++)
			assert_next(scene, seq);
		feed_close(scene->feed);
		scene->feed = NULL;
		/* The snapshot is the caller's again. */
		read = scene->watched.leaves_aside;
		assert_true(read >= taken[i]);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		assert_int_equal(scene->watched.leaves_aside, read);
	}
}

static void closing_half_way_without_a_thread(void **state)
{
	struct scene *scene = *state;

	for (uint64_t taken = 0; taken < 130; taken += 13) {
		feed_events(scene, 0, FEW);
		for (uint64_t seq = 1; seq <= taken; seq++)
			assert_next(scene, seq);
	}
}

/* --- failures --------------------------------------------------------------------------------- */

/* With a thread and without, all events up to @seq come, and then the failure, as often as asked.
 */
static void assert_fails_at(struct scene *scene, uint64_t seq, enum status expected,
			    const char *text)
{
	static const uint64_t ends[] = { MANY, FEW };

	assert_true(seq <= FEW);
	for (int i = 0; i < 2; i++) {
		feed_events(scene, 0, ends[i]);
		for (uint64_t good = 1; good < seq; good++)
			assert_next(scene, good);
		assert_fails(scene, expected, text);
		assert_fails(scene, expected, text);
	}
}

/* At the ends of batches, wherever they are, and between. */
static const uint64_t places[] = { 1, 2, 63, 64, 65, 66, 100, FEW };

static void a_failure_comes_at_its_event(void **state)
{
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		lies = (struct log_lies){ .leaf_missing = places[i] };
		assert_fails_at(scene, places[i], STATUS_CORRUPT, "the leaf is missing");
	}
	lies = (struct log_lies){ .row_missing = 64 };
	assert_fails_at(scene, 64, STATUS_CORRUPT, "the row is missing");
	lies = (struct log_lies){ .leaf_refused = 65 };
	assert_fails_at(scene, 65, STATUS_IO, "the disk does not answer");
	lies = (struct log_lies){ .row_changed = 100 };
	assert_fails_at(scene, 100, STATUS_CORRUPT, "event 100: its bytes do not match the tree");
}

/* The reader does not go on behind it. */
static void nothing_is_read_after_a_failure(void **state)
{
	struct scene *scene = *state;

	lies = (struct log_lies){ .leaf_missing = 70 };
	assert_fails_at(scene, 70, STATUS_CORRUPT, "the leaf is missing");
	assert_int_equal(scene->watched.leaves_here, 71); /* with the look at the first */
	feed_events(scene, 0, MANY);
	for (uint64_t seq = 1; seq < 70; seq++)
		assert_next(scene, seq);
	assert_fails(scene, STATUS_CORRUPT, "the leaf is missing");
	settle(&scene->watched);
	assert_int_equal(scene->watched.leaves_aside, 70);
}

static void a_failure_nobody_came_to_is_dropped(void **state)
{
	struct scene *scene = *state;

	lies = (struct log_lies){ .leaf_missing = 70 };
	feed_events(scene, 0, MANY);
	assert_next(scene, 1);
}

static void the_first_event_must_follow_what_was_said(void **state)
{
	static const uint8_t other[HASH_BYTES] = { 1 };
	static const uint64_t ends[] = { MANY, 20 };
	struct scene *scene = *state;

	for (int i = 0; i < 2; i++) {
		feed_close(scene->feed);
		scene->feed = NULL;
		assert_int_equal(
			feed_open(&scene->watched.snapshot, 10, other, ends[i], &scene->feed, NULL),
			STATUS_OK);
		assert_fails(scene, STATUS_CORRUPT, "event 11: does not follow event 10");
	}
}

/* --- signals ---------------------------------------------------------------------------------- */

static void the_thread_takes_no_signals(void **state)
{
	struct scene *scene = *state;
	sigset_t before, during;

	(void)sigemptyset(&before);
	(void)sigaddset(&before, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	feed_events(scene, 0, MANY);
	/* The caller's own stay as they were. */
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &during), 0);
	for (int signal = 1; signal < 32; signal++)
		assert_int_equal(sigismember(&during, signal), sigismember(&before, signal));
	for (uint64_t seq = 1; seq <= MANY; seq++)
		assert_next(scene, seq);
	(void)sigdelset(&before, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	assert_int_equal(scene->watched.leaves_aside, MANY);
	assert_int_equal(scene->watched.open_signals, 0);
}

/* --- large events ----------------------------------------------------------------------------- */

enum {
	LARGE = 60,                    /* events in the log */
	AHEAD_BYTES_MAX = 1024 * 1024, /* … of which so much may be read before it is wanted */
};

/* Two values as large as one event can hold. */
static void add_large(struct log_fixture *log)
{
	static char value[VALUE_BYTES_MAX - 256];
	struct change changes[] = { set("p", "A", ""), set("p", "B", "") };
	struct event event;

	memset(value, 'v', sizeof(value));
	changes[0].value = changes[1].value = slice_of(value, sizeof(value));
	log_fixture_next(log, &event);
	event.payload = variables_changed("dev", changes, 2);
	log_fixture_add(log, &event, &log->signer);
}

/* A handful that is large is worth a thread, too. */
static void a_few_large_events_are_read_aside(void **state)
{
	struct evlog_snapshot *snapshot = NULL;
	const struct fed_event *fed;
	struct feed *feed = NULL;
	struct log_fixture large;
	struct watched watched;
	struct evlog *log;

	log_fixture_init(&large);
	for (int i = 1; i < 8; i++)
		add_large(&large);
	log = log_fixture_memory(&large);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	watch(&watched, snapshot);
	/* The first event is small: what comes after it is asked for. */
	assert_int_equal(feed_open(&watched.snapshot, 1, log_fixture_event(&large, 1)->leaf_hash, 8,
				   &feed, NULL),
			 STATUS_OK);
	for (uint64_t seq = 2; seq <= 8; seq++)
		assert_int_equal(feed_next(feed, &fed, NULL), STATUS_OK);
	assert_int_equal(watched.leaves_aside, 7);
	feed_close(feed);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
	log_fixture_release(&large);
	(void)state;
}

static void large_events_are_not_hoarded(void **state)
{
	struct log_fixture large;
	struct evlog *log;
	struct evlog_snapshot *snapshot = NULL;
	struct watched watched;
	const struct fed_event *fed;
	struct feed *feed = NULL;
	static const uint8_t zeros[HASH_BYTES];
	size_t taken = 0;

	log_fixture_init(&large);
	for (int i = 1; i < LARGE; i++)
		add_large(&large);
	log = log_fixture_memory(&large);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	watch(&watched, snapshot);
	/* So many would call for a thread; it must not come to where there are none. */
	watched.snapshot.size = FEED_THREAD_EVENTS;
	assert_int_equal(feed_open(&watched.snapshot, 0, zeros, FEED_THREAD_EVENTS, &feed, NULL),
			 STATUS_OK);
	for (uint64_t seq = 1; seq <= 20; seq++) {
		assert_int_equal(feed_next(feed, &fed, NULL), STATUS_OK);
		assert_int_equal(fed->decoded.event.seq, seq);
		taken += log_fixture_event(&large, seq)->leaf.len;
		if (seq % 10 == 1)
			settle(&watched);
		assert_true(watched.bytes - taken <= AHEAD_BYTES_MAX);
	}
	assert_true(watched.leaves_aside > 20);
	assert_true(watched.leaves_aside < LARGE);
	feed_close(feed);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
	log_fixture_release(&large);
	(void)state;
}

#define FED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FED(many_are_read_by_a_thread),
		FED(few_are_read_by_the_caller),
		FED(the_number_asked_for_decides),
		FED(nothing_is_fed_where_nothing_is_asked_for),
		FED(closing_half_way_stops_the_thread),
		FED(closing_half_way_without_a_thread),
		FED(a_failure_comes_at_its_event),
		FED(nothing_is_read_after_a_failure),
		FED(a_failure_nobody_came_to_is_dropped),
		FED(the_first_event_must_follow_what_was_said),
		FED(the_thread_takes_no_signals),
		cmocka_unit_test(large_events_are_not_hoarded),
		cmocka_unit_test(a_few_large_events_are_read_aside),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
