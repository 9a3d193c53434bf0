/*
 * Differential test of apply: random events, many of them wrong, through the SQLite projection and
 * through the fold of provenv-replay.
 *
 * For each episode: the same answers and violations at the end of every command, asked of a
 * projection that caught up piece by piece; the same state hash there now and then, and at the end
 * that of a projection built anew; a sound audit. For the run: every rule of store/apply_rules.def
 * was broken by some event and kept by the same kind of event, or nothing was shown about it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "replay/fold.h"
#include "sim/answers.h"
#include "sim/author.h"
#include "sim/events.h"
#include "sim/run.h"
#include "store/audit.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/ref.h"
#include "store/registry.h"
#include "store/state_model.h"
#include "store/store.h"
#include "store/store_object.h"

#include "base/banned.h"

enum {
	EVENTS_MIN = 150, /* over FEED_THREAD_EVENTS: a fresh build reads ahead */
	EVENTS_SPAN = 150,
	RULES_MAX = 32,
	GROUPS_PERCENT = 30,
};

struct tally {
	uint64_t events;
	uint64_t commands;
	uint64_t groups_kept;
	uint64_t groups_refused;
	uint64_t broken[RULES_MAX];      /* by rule */
	uint64_t kept[EVENT_TYPE_COUNT]; /* events that took effect, by type */
	uint64_t catchups;
	uint64_t wrong[WRONG_COUNT]; /* events out of place, refused by both */
};

struct episode {
	struct run *run;
	struct tally *tally;
	struct author author;
	struct events events;
	struct store *store;
	struct projection *projection;
	struct fold ahead; /* at the end of the log: what the next events may speak of */
	struct fold fold;  /* of the past that is compared */
};

/* --- a store over a log in memory ------------------------------------------------------------- */

/* For reading only: so the projection is one in memory, and nothing lies in files. */
static struct store *store_over(struct author *author)
{
	struct store *store = calloc(1, sizeof(*store));
	struct error err = ERROR_INIT;

	if (!store)
		abort();
	store->lock_fd = -1;
	store->log = author->log;
	run_must(author->run, store_refresh(store, &err), "load the registry", &err);
	memcpy(store->log_id, author->log_id, LOG_ID_BYTES);
	return store;
}

static void close_store(struct store *store)
{
	registry_release(&store->registry);
	free(store);
}

/* --- one episode ------------------------------------------------------------------------------ */

/* Bring the projection to the end of the log. */
static void catch_up(struct episode *episode)
{
	struct error err = ERROR_INIT;

	run_must(episode->run, projection_refresh(episode->projection, &err), "catch up", &err);
	RUN_CHECK(episode->run, projection_seq(episode->projection) == episode->author.size,
		  "the projection stopped at event %" PRIu64, projection_seq(episode->projection));
	episode->tally->catchups++;
}

static void write_command(struct episode *episode)
{
	struct payload payloads[AUTHOR_PARTS_MAX];
	struct author *author = &episode->author;
	struct evlog_snapshot *snapshot;
	struct error err = ERROR_INIT;
	size_t count = 1;

	/* Small ones more often, for a great one breaks a rule somewhere. */
	if (run_chance(episode->run, GROUPS_PERCENT))
		count = 2 + run_random(episode->run,
				       1 + run_random(episode->run, AUTHOR_PARTS_MAX - 1));

	episode->run->now_ms += run_random(episode->run, 3000);
	for (size_t i = 0; i < count; i++)
		events_payload(&episode->events, author->size + 1 + i, &payloads[i]);
	author_write(author, payloads, count);
	arena_release(&episode->events.arena);
	run_must(episode->run, evlog_snapshot_open(author->log, &snapshot, &err), "look", &err);
	run_must(episode->run, fold_to(&episode->ahead, snapshot, author->size, &err), "fold",
		 &err);
	evlog_snapshot_close(snapshot);
	episode->tally->events += count;
	episode->tally->commands++;
}

/* A number inside a command means the end of it, whoever is asked. */
static void check_ref(struct episode *episode, struct evlog_snapshot *snapshot, uint64_t seq,
		      uint64_t last)
{
	struct ref ref = { .kind = REF_SEQ, .number = seq };
	struct error err = ERROR_INIT;
	struct ref_point point;

	run_must(episode->run, ref_resolve(snapshot, &ref, &point, &err), "resolve", &err);
	RUN_CHECK(episode->run, point.seq == last && point.moved == (seq != last),
		  "--at %" PRIu64 " means event %" PRIu64 ", not %" PRIu64, seq, point.seq, last);
}

static void count_command(struct episode *episode, const struct event *first, bool refused)
{
	struct tally *tally = episode->tally;

	if (refused)
		tally->broken[episode->fold.rejected[episode->fold.rejected_count - 1].rule]++;
	else if (first->parts == 1)
		tally->kept[first->payload.type]++;
	if (first->parts > 1)
		refused ? tally->groups_refused++ : tally->groups_kept++;
}

/* Every past that there is, in order, for the fold goes only forward. */
static void compare_pasts(struct episode *episode)
{
	struct evlog_snapshot *snapshot = projection_snapshot(episode->projection);
	struct event_reader *reader = projection_reader(episode->projection);
	struct fold *fold = &episode->fold;
	struct error err = ERROR_INIT;

	while (fold->seq < projection_seq(episode->projection)) {
		struct arena arena = ARENA_INIT;
		struct state_view view = { .projection = episode->projection, .arena = &arena };
		uint64_t first = fold->seq + 1;
		size_t rejected = fold->rejected_count;
		const struct read_event *read;

		episode->run->step = first;
		run_must(episode->run, event_reader_get(reader, first, &read, &err), "read", &err);
		view.at = fold->seq + read->decoded.event.parts;
		run_must(episode->run, fold_to(fold, snapshot, view.at, &err), "fold", &err);
		count_command(episode, &read->decoded.event, fold->rejected_count > rejected);
		answers_compare(episode->run, &view, fold);
		if (run_chance(episode->run, 10))
			answers_compare_hash(episode->run, &view, fold);
		for (uint64_t seq = first; seq <= view.at; seq++)
			check_ref(episode, snapshot, seq, view.at);
		arena_release(&arena);
	}
}

static void check_end(struct episode *episode)
{
	struct arena arena = ARENA_INIT;
	struct state_view view = { .projection = episode->projection,
				   .arena = &arena,
				   .at = projection_seq(episode->projection) };
	uint8_t fresh[HASH_BYTES], folded[HASH_BYTES];
	struct audit_options options = { .threads = 1 };
	struct audit_report report;
	struct error err = ERROR_INIT;

	answers_compare_hash(episode->run, &view, &episode->fold);
	run_must(episode->run, projection_fresh_hash(episode->projection, fresh, &err),
		 "build anew", &err);
	fold_hash(&episode->fold, folded);
	RUN_CHECK(episode->run, memcmp(fresh, folded, HASH_BYTES) == 0,
		  "a projection built anew has another state hash than the fold");
	run_must(episode->run, audit_evlog(episode->author.log, &options, &report, &err), "audit",
		 &err);
	RUN_CHECK(episode->run, report.ok && report.events == episode->author.size, "audit: %s",
		  report.message);
	arena_release(&arena);
}

/* An event that is signed, but out of its place: neither takes it, nor does the audit. */
static void check_refusal(struct episode *episode)
{
	enum author_wrong wrong =
		(enum author_wrong)(1 + run_random(episode->run, WRONG_COUNT - 1));
	struct audit_options options = { .threads = 1 };
	uint64_t seq = episode->fold.seq;
	struct evlog_snapshot *snapshot = NULL;
	struct audit_report report;
	struct payload payload;
	struct error err = ERROR_INIT;

	payload_init(&payload, EVENT_CATEGORY_REMOVED);
	payload_str(&payload, FIELD_NAME, "never");
	episode->author.wrong = wrong;
	author_write(&episode->author, &payload, 1);
	run_must(episode->run, evlog_snapshot_open(episode->author.log, &snapshot, &err), "look",
		 &err);
	RUN_CHECK(episode->run,
		  fold_to(&episode->fold, snapshot, seq + 1, &err) == STATUS_CORRUPT &&
			  episode->fold.seq == seq,
		  "the fold takes an event that is out of place (%d)", (int)wrong);
	evlog_snapshot_close(snapshot);
	RUN_CHECK(episode->run, projection_refresh(episode->projection, &err) == STATUS_CORRUPT,
		  "the projection takes an event that is out of place (%d)", (int)wrong);
	run_must(episode->run, audit_evlog(episode->author.log, &options, &report, &err), "audit",
		 &err);
	RUN_CHECK(episode->run, !report.ok && report.valid_size == seq,
		  "the audit takes an event that is out of place (%d)", (int)wrong);
	episode->tally->wrong[wrong]++;
}

static void run_episode(struct run *run, struct tally *tally, uint64_t number)
{
	struct episode episode = {
		.run = run, .tally = tally, .ahead = FOLD_INIT, .fold = FOLD_INIT
	};
	uint64_t goal;
	struct error err = ERROR_INIT;

	run_begin_episode(run, number);
	goal = EVENTS_MIN + run_random(run, EVENTS_SPAN);
	episode.events.run = run;
	episode.events.known = &episode.ahead;
	episode.events.generation = 1;
	author_open(&episode.author, run);
	episode.store = store_over(&episode.author);
	run_must(run, projection_open(episode.store, &episode.projection, &err),
		 "open the projection", &err);
	while (episode.author.size < goal) {
		run->step = episode.author.size;
		write_command(&episode);
		if (run_chance(run, 10))
			catch_up(&episode);
	}
	catch_up(&episode);
	compare_pasts(&episode);
	check_end(&episode);
	check_refusal(&episode);
	projection_close(episode.projection);
	close_store(episode.store);
	fold_release(&episode.ahead);
	fold_release(&episode.fold);
	author_close(&episode.author);
}

/* --- the run ---------------------------------------------------------------------------------- */

/* What never happened was never compared. */
static int judge(const struct run *run, const struct tally *tally)
{
	int lacking = 0;

	(void)printf("%s: %" PRIu64 " events in %" PRIu64 " commands, %" PRIu64
		     " catch-ups, %" PRIu64 " checks; groups: %" PRIu64 " kept, %" PRIu64
		     " refused\n",
		     run->name, tally->events, tally->commands, tally->catchups, run->checks,
		     tally->groups_kept, tally->groups_refused);
	for (int rule = 1; rule < RULES_MAX; rule++) {
		const char *name = apply_rule_name((enum apply_rule)rule);

		if (strcmp(name, "unknown") == 0)
			continue;
		(void)printf("  broken %-22s %8" PRIu64 "\n", name, tally->broken[rule]);
		lacking += tally->broken[rule] == 0;
	}
	for (int type = EVENT_STORE_RECOVERED; type < EVENT_TYPE_COUNT; type++) {
		(void)printf("  took effect %-22s %8" PRIu64 "\n",
			     event_type_info((enum event_type)type)->name, tally->kept[type]);
		lacking += tally->kept[type] == 0;
	}
	for (int wrong = 1; wrong < WRONG_COUNT; wrong++) {
		(void)printf("  refused, out of place %-8d %10" PRIu64 "\n", wrong,
			     tally->wrong[wrong]);
		lacking += tally->wrong[wrong] == 0;
	}
	lacking += tally->groups_kept == 0 || tally->groups_refused == 0;
	if (lacking)
		(void)printf("%s: %s: %d of these never happened\n", run->name,
			     run->operations < RUN_JUDGED_MIN ? "too short to judge" : "FAILED",
			     lacking);
	return lacking && run->operations >= RUN_JUDGED_MIN ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct tally tally = { .events = 0 };
	struct run run;
	int result;

	run_open(&run, "sim_differential", argc, argv, 20000);
	for (uint64_t i = 0; tally.events < run.operations; i++)
		run_episode(&run, &tally, i);
	result = judge(&run, &tally);
	run_close(&run);
	return result;
}
