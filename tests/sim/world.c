/*
 * One episode; see world.h. Each operation is predicted by the model, carried out, and compared;
 * what came into the log is looked at as it comes.
 */
#include "sim/world.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/op_init.h"
#include "ops/op_store.h"
#include "ops/session.h"
#include "replay/fold.h"
#include "sim/check.h"
#include "sim/generate.h"
#include "sim/memlog.h"
#include "sim/model.h"
#include "sim/operation.h"
#include "sim/run.h"
#include "sim/writer.h"
#include "store/audit.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/paths.h"
#include "store/store.h"

#include "base/banned.h"

#define YEAR_MS (UINT64_C(365) * 24 * 3600 * 1000)

static const char *const fault_names[WORLD_FAULTS] = {
	[WORLD_APPEND_REFUSED] = "append refused",
	[WORLD_APPEND_UNKNOWN] = "append outcome unknown",
	[WORLD_UNACKNOWLEDGED] = "died with the append",
	[WORLD_READ_REFUSED] = "read refused",
	[WORLD_STATE_LOST] = "state lost",
	[WORLD_HEAD_LOST] = "head lost",
	[WORLD_CHECKPOINT_LOST] = "checkpoint lost",
	[WORLD_CLOCK_BACK] = "clock a year back",
	[WORLD_CLOCK_1970] = "clock at 1970",
	[WORLD_CLOCK_FORWARD] = "clock a year ahead",
	[WORLD_CLOCK_FAR] = "clock far ahead",
	[WORLD_CRASH] = "writer gone",
	[WORLD_OTHERS] = "others in between",
};

const char *world_fault_name(enum world_fault fault)
{
	return fault_names[fault];
}

static void tried(struct world *world, enum world_fault fault, bool fired)
{
	world->tally->tried[fault]++;
	world->tally->fired[fault] += fired;
}

/* --- what came into the log ------------------------------------------------------------------- */

static void know(struct world *world, const uint8_t hash[HASH_BYTES])
{
	if (world->size == world->capacity) {
		world->capacity = world->capacity ? 2 * world->capacity : 256;
		world->hashes = reallocarray(world->hashes, world->capacity, HASH_BYTES);
		if (!world->hashes)
			abort();
	}
	memcpy(world->hashes[world->size++], hash, HASH_BYTES);
}

/* One event, right next: number, chain, time, and its place in a command of @parts. */
static void take_event(struct world *world, struct event_reader *reader, uint32_t part,
		       uint32_t parts, uint64_t time_ms, const char *command_id)
{
	static const uint8_t zeros[HASH_BYTES];
	const uint8_t *prev = world->size ? world->hashes[world->size - 1] : zeros;
	const struct read_event *read;
	const struct event *event;
	char id[2 * COMMAND_ID_BYTES + 1];
	struct error err = ERROR_INIT;

	run_must(world->run, event_reader_get(reader, world->size + 1, &read, &err), "read", &err);
	event = &read->decoded.event;
	text_to_hex(event->command_id, COMMAND_ID_BYTES, id);
	RUN_CHECK(world->run, event->seq == world->size + 1, "event %zu is numbered %" PRIu64,
		  world->size + 1, event->seq);
	RUN_CHECK(world->run, memcmp(event->prev, prev, HASH_BYTES) == 0,
		  "event %" PRIu64 " does not follow the one before", event->seq);
	RUN_CHECK(world->run, event->time_ms == time_ms,
		  "event %" PRIu64 " has time %" PRIu64 ", not %" PRIu64, event->seq,
		  event->time_ms, time_ms);
	RUN_CHECK(world->run, event->part == part && event->parts == parts,
		  "event %" PRIu64 " is part %u of %u, not %u of %u", event->seq,
		  (unsigned)event->part, (unsigned)event->parts, (unsigned)part, (unsigned)parts);
	RUN_CHECK(world->run, !command_id || strcmp(id, command_id) == 0,
		  "event %" PRIu64 " is of command %s, not %s", event->seq, id, command_id);
	know(world, read->leaf_hash);
	run_note(world->run, read->leaf_hash, HASH_BYTES);
}

/* Take in what the log holds beyond what is known: one command, whole. @command_id NULL: any. */
static void take_command(struct world *world, uint64_t time_ms, const char *command_id)
{
	struct evlog_snapshot *snapshot = NULL;
	struct event_reader *reader = NULL;
	struct error err = ERROR_INIT;
	uint32_t parts;

	run_must(world->run, evlog_snapshot_open(memlog_inner(), &snapshot, &err), "look", &err);
	run_must(world->run, event_reader_new(snapshot, &reader, &err), "read", &err);
	parts = (uint32_t)(snapshot->size - world->size);
	for (uint32_t part = 1; part <= parts; part++)
		take_event(world, reader, part, parts, time_ms, command_id);
	world->tally->events += parts;
	world->tally->commands++;
	event_reader_free(reader);
	evlog_snapshot_close(snapshot);
}

static uint64_t log_size(struct world *world)
{
	struct evlog_snapshot *snapshot = NULL;
	struct error err = ERROR_INIT;
	uint64_t size;

	run_must(world->run, evlog_snapshot_open(memlog_inner(), &snapshot, &err), "look", &err);
	size = snapshot->size;
	evlog_snapshot_close(snapshot);
	return size;
}

static void remember(struct world *world, const struct operation *op, uint64_t first_seq)
{
	struct remembered *made;

	if (world->remembered_count == world->remembered_capacity) {
		world->remembered_capacity =
			world->remembered_capacity ? 2 * world->remembered_capacity : 64;
		world->remembered = reallocarray(world->remembered, world->remembered_capacity,
						 sizeof(*world->remembered));
		if (!world->remembered)
			abort();
	}
	made = &world->remembered[world->remembered_count++];
	*made = (struct remembered){ .op = *op,
				     .written = { .first_seq = first_seq,
						  .last_seq = world->size,
						  .time_ms = world->model.last_ms } };
	memcpy(made->written.hash, world->hashes[world->size - 1], HASH_BYTES);
}

static void compare_written(struct world *world, const struct written *got,
			    const struct written *wanted, const char *what)
{
	RUN_CHECK(world->run,
		  got->first_seq == wanted->first_seq && got->last_seq == wanted->last_seq &&
			  got->time_ms == wanted->time_ms &&
			  memcmp(got->hash, wanted->hash, HASH_BYTES) == 0,
		  "%s: events %" PRIu64 "..%" PRIu64 ", not %" PRIu64 "..%" PRIu64, what,
		  got->first_seq, got->last_seq, wanted->first_seq, wanted->last_seq);
}

/* --- one command ------------------------------------------------------------------------------ */

/* A command under way. */
struct attempt {
	struct world *world;
	struct writer *writer;
	const struct operation *op;
	struct prediction prediction; /* of what is decided first */
	struct model_state after;
	char environment[SIM_NAME]; /* chosen when it began */
	char profile[SIM_NAME];
	bool moved; /* others wrote since */
	enum status status;
	struct written written;
	struct error err;
};

static void writes(struct world *world, const struct operation *op, unsigned writer,
		   unsigned others);

static bool is_switch(enum operation_kind kind)
{
	return kind == OP_ENVIRONMENT_SWITCH || kind == OP_PROFILE_SWITCH ||
	       kind == OP_ENVIRONMENT_PROTECT || kind == OP_ENVIRONMENT_LOCK;
}

/* What others do meanwhile. */
static void others_write(void *context)
{
	struct attempt *attempt = context;
	struct world *world = attempt->world;
	size_t before = world->size;
	struct operation op;
	/* What moves the ground under others, more often than by chance. */
	bool moves = run_chance(world->run, 40);

	do
		generate_operation(world->run, &world->model, world->size, &op);
	while (op.kind >= OP_WRITES || (moves && !is_switch(op.kind)));
	op.now_ms = attempt->op->now_ms;
	op.accept_clock = attempt->op->accept_clock;
	writes(world, &op, (unsigned)(attempt->writer - world->writers + 1) % WORLD_WRITERS, 0);
	attempt->moved = world->size > before;
	tried(world, WORLD_OTHERS, attempt->moved);
}

/* After others wrote: what still has to hold before the command is planned again. */
static enum status still_chosen(const struct attempt *attempt)
{
	const struct model_state *now = &attempt->world->model.now;
	const struct operation *op = attempt->op;
	char environment[SIM_NAME], profile[SIM_NAME];
	bool there;

	if (!operation_chooses(op))
		return STATUS_OK;
	there = model_choose(now, op, environment, profile);
	if (!*op->environment && strcmp(environment, attempt->environment) != 0)
		return STATUS_CONFLICT;
	if (!model_find(now, MODEL_ENVIRONMENT, "", "", environment))
		return STATUS_NOT_FOUND;
	if (*op->profile)
		return there ? STATUS_OK : STATUS_NOT_FOUND;
	return strcmp(profile, attempt->profile) == 0 ? STATUS_OK : STATUS_CONFLICT;
}

/* The prediction for a command that others got in the way of. */
static void predict_again(struct attempt *attempt)
{
	struct prediction *prediction = &attempt->prediction;
	enum status choice;

	if (prediction->allowed != model_bit(STATUS_OK) || prediction->unchanged)
		return;
	choice = still_chosen(attempt);
	if (attempt->op->head == HEAD_RIGHT)
		choice = STATUS_CONFLICT;
	if (choice) {
		prediction->allowed = model_bit(choice);
		return;
	}
	model_predict(&attempt->world->model, attempt->op, &attempt->after, prediction);
	/* Nobody is asked while the lock is held. */
	if (prediction->allowed & model_bit(STATUS_UNCONFIRMED))
		prediction->allowed |= model_bit(STATUS_CONFLICT);
}

static const uint8_t *head_said(struct world *world, const struct operation *op)
{
	if (op->head == HEAD_UNSAID)
		return NULL;
	return world->hashes[world->size - (op->head == HEAD_RIGHT ? 1 : 2)];
}

static void carry_out(struct attempt *attempt, bool others)
{
	struct world *world = attempt->world;
	const struct meanwhile meanwhile = { others_write, attempt };

	world->run->now_ms = attempt->op->now_ms;
	attempt->status = writer_ready(attempt->writer, world->store, attempt->op,
				       head_said(world, attempt->op), &attempt->err);
	if (!attempt->status)
		attempt->status = writer_commit(attempt->writer, others ? &meanwhile : NULL,
						&attempt->written, &attempt->err);
	run_note_number(world->run, (uint64_t)attempt->status);
	world->tally->statuses[attempt->status]++;
}

/* Take in what was written, acknowledged or not. */
static void accept(struct attempt *attempt)
{
	struct world *world = attempt->world;
	const struct operation *op = attempt->op;
	uint64_t first_seq = world->size + 1;
	uint64_t time_ms = op->now_ms > world->model.last_ms ? op->now_ms : world->model.last_ms;

	RUN_CHECK(world->run,
		  (attempt->prediction.allowed & model_bit(STATUS_OK)) &&
			  !attempt->prediction.unchanged,
		  "something was written by a command that should have done nothing");
	take_command(world, time_ms, op->command_id);
	model_accept(&world->model, &attempt->after, &attempt->prediction, first_seq, world->size,
		     time_ms);
	remember(world, op, first_seq);
}

/* Nothing went wrong: the answer is the one that was predicted. */
static void judge(struct attempt *attempt)
{
	struct world *world = attempt->world;
	const struct prediction *prediction = &attempt->prediction;
	bool success = attempt->status == STATUS_OK;
	bool written = success && !attempt->written.unchanged;

	RUN_CHECK(world->run, prediction->allowed & model_bit(attempt->status),
		  "operation %d: %s, and allowed was %#x: %s", (int)attempt->op->kind,
		  status_name(attempt->status), prediction->allowed, attempt->err.text);
	RUN_CHECK(world->run, !success || attempt->written.unchanged == prediction->unchanged,
		  "operation %d changed %s", (int)attempt->op->kind,
		  prediction->unchanged ? "something" : "nothing");
	RUN_CHECK(world->run, !success || !attempt->written.repeated,
		  "a new command was taken for an old one");
	RUN_CHECK(world->run, (log_size(world) > world->size) == written,
		  "operation %d: %s, and %s in the log", (int)attempt->op->kind,
		  status_name(attempt->status), written ? "nothing is" : "there is something");
	if (!written)
		return;
	accept(attempt);
	compare_written(world, &attempt->written,
			&world->remembered[world->remembered_count - 1].written, "a command");
}

static void begin_attempt(struct attempt *attempt, struct world *world, const struct operation *op,
			  unsigned writer)
{
	*attempt = (struct attempt){ .world = world, .writer = &world->writers[writer], .op = op };
	model_predict(&world->model, op, &attempt->after, &attempt->prediction);
	(void)model_choose(&world->model.now, op, attempt->environment, attempt->profile);
	world->tally->by_kind[op->kind]++;
	world->tally->stale_heads += op->head == HEAD_WRONG;
}

/* A command without a fault; @others percent of them with others in between. */
static void writes(struct world *world, const struct operation *op, unsigned writer,
		   unsigned others)
{
	struct attempt *attempt = malloc(sizeof(*attempt));

	if (!attempt)
		abort();
	begin_attempt(attempt, world, op, writer);
	carry_out(attempt, others && run_chance(world->run, others));
	if (attempt->moved)
		predict_again(attempt);
	judge(attempt);
	world->tally->succeeded[op->kind] += attempt->status == STATUS_OK;
	/* After a failure a session may only be closed. */
	if (attempt->status || run_chance(world->run, 5))
		writer_end(attempt->writer);
	free(attempt);
}

/* --- repeating -------------------------------------------------------------------------------- */

static enum status again(struct world *world, const struct operation *op, struct written *ret,
			 struct error *err)
{
	struct writer *writer = &world->writers[run_random(world->run, WORLD_WRITERS)];
	enum status status;

	world->run->now_ms = op->now_ms;
	status = writer_ready(writer, world->store, op, NULL, err);
	/* Only a new session knows what a repeated command was about, when that is gone now. */
	if (status == STATUS_NOT_FOUND) {
		writer_end(writer);
		status = writer_ready(writer, world->store, op, NULL, err);
	}
	if (!status)
		status = writer_commit(writer, NULL, ret, err);
	if (status)
		writer_end(writer);
	RUN_CHECK(world->run, log_size(world) == world->size,
		  "a command id that is in the log was written again");
	run_note_number(world->run, (uint64_t)status);
	return status;
}

/* The same command once more gives what it gave first. */
static void repeat(struct world *world, const struct remembered *made, uint64_t now_ms)
{
	struct operation op = made->op;
	struct written written = { .repeated = false };
	struct error err = ERROR_INIT;

	op.now_ms = now_ms;
	run_must(world->run, again(world, &op, &written, &err), "repeat a command", &err);
	RUN_CHECK(world->run, written.repeated, "a repeated command is not told as one");
	compare_written(world, &written, &made->written, "a repeated command");
	world->tally->repeats++;
}

/* Its id for something else is refused. */
static void reuse(struct world *world, const struct remembered *made)
{
	struct operation op = { .kind = OP_CATEGORY_SET,
				.name = "zz",
				.now_ms = world->run->now_ms };
	struct written written;
	struct error err = ERROR_INIT;
	enum status status;

	memcpy(op.command_id, made->op.command_id, sizeof(op.command_id));
	status = again(world, &op, &written, &err);
	RUN_CHECK(world->run, status == STATUS_CONFLICT, "a command id used again: %s",
		  status_name(status));
	world->tally->reuses++;
}

/* --- faults in a command ---------------------------------------------------------------------- */

static enum world_fault fault_of(enum memlog_fault fault)
{
	switch (fault) {
	case MEMLOG_APPEND_REFUSED:
		return WORLD_APPEND_REFUSED;
	case MEMLOG_APPEND_UNKNOWN:
		return WORLD_APPEND_UNKNOWN;
	case MEMLOG_DIES:
		return WORLD_UNACKNOWLEDGED;
	case MEMLOG_READ_REFUSED:
	case MEMLOG_SOUND:
	default:
		return WORLD_READ_REFUSED;
	}
}

/* The fault came to pass: what is in the log is whole, and the answer does not belie it. */
static void judge_fault(struct attempt *attempt, enum memlog_fault fault)
{
	struct world *world = attempt->world;
	bool success = attempt->status == STATUS_OK;
	bool written = log_size(world) > world->size;

	RUN_CHECK(world->run,
		  attempt->status == STATUS_IO ||
			  (fault != MEMLOG_APPEND_REFUSED && fault != MEMLOG_APPEND_UNKNOWN &&
			   (attempt->prediction.allowed & model_bit(attempt->status))),
		  "after a fault (%s): %s: %s", world_fault_name(fault_of(fault)),
		  status_name(attempt->status), attempt->err.text);
	if (fault == MEMLOG_DIES || fault == MEMLOG_APPEND_UNKNOWN)
		RUN_CHECK(world->run, written, "what was appended is gone");
	else
		RUN_CHECK(world->run, written == (success && !attempt->written.unchanged),
			  "%s, and %s in the log", status_name(attempt->status),
			  written ? "there is something" : "nothing is");
	if (written)
		accept(attempt);
}

/* A command during which the log fails; then, mostly, the same once more, as its user would. */
static void writes_with_fault(struct world *world, const struct operation *op, unsigned writer)
{
	static const enum memlog_fault faults[] = { MEMLOG_APPEND_REFUSED, MEMLOG_APPEND_UNKNOWN,
						    MEMLOG_DIES, MEMLOG_READ_REFUSED };
	/* That a secret cannot be read is a reason to write it anew. */
	enum memlog_fault fault = faults[run_random(world->run, op->secret ? 3 : 4)];
	struct attempt *attempt = malloc(sizeof(*attempt));
	size_t before = world->size;
	bool fired;

	if (!attempt)
		abort();
	begin_attempt(attempt, world, op, writer);
	memlog_arm(fault, run_random(world->run, 40));
	carry_out(attempt, false);
	fired = memlog_disarm();
	tried(world, fault_of(fault), fired);
	if (fired)
		judge_fault(attempt, fault);
	else
		judge(attempt);
	world->tally->succeeded[op->kind] += attempt->status == STATUS_OK;
	free(attempt);
	writer_end(&world->writers[writer]);
	if (!fired || run_chance(world->run, 30))
		return;
	if (world->size > before)
		repeat(world, &world->remembered[world->remembered_count - 1], op->now_ms);
	else
		writes(world, op, writer, 0);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A session at the end of the log, without choice of a profile. */
static struct session *look_as(struct world *world, struct writer *writer)
{
	struct operation op = { .kind = OP_STALE_APPEND };
	struct error err = ERROR_INIT;

	run_must(world->run, writer_ready(writer, world->store, &op, NULL, &err), "open", &err);
	RUN_CHECK(world->run, writer->session.head == world->size,
		  "a session sees %" PRIu64 " events of %zu", writer->session.head, world->size);
	return &writer->session;
}

static struct session *look(struct world *world)
{
	return look_as(world, &world->writers[run_random(world->run, WORLD_WRITERS)]);
}

/* Move the session's view into the past, as --at does. Returns the model's. */
static const struct model_state *go_to(struct world *world, struct session *session,
				       uint64_t target)
{
	const struct model_past *past = model_past(&world->model, target);
	struct ref_point point;
	char text[24];
	struct error err = ERROR_INIT;

	(void)snprintf(text, sizeof(text), "%" PRIu64, target);
	run_must(world->run, session_ref(session, text, &point, &err), "resolve", &err);
	session->told_count = 0;
	RUN_CHECK(world->run, point.seq == past->last_seq,
		  "--at %" PRIu64 " means event %" PRIu64 ", not %" PRIu64, target, point.seq,
		  past->last_seq);
	session->point = point;
	session->view = session_view_at(session, point.seq);
	return past->state;
}

static void reads(struct world *world, struct operation *op, unsigned writer)
{
	struct writer *at = &world->writers[writer];
	const struct model_state *model = &world->model.now;
	bool past = run_chance(world->run, 50), there;
	char environment[SIM_NAME], profile[SIM_NAME];
	struct error err = ERROR_INIT;
	enum status status;

	world->tally->by_kind[op->kind]++;
	world->tally->succeeded[op->kind]++;
	there = model_choose(model, op, environment, profile);
	status = writer_ready(at, world->store, op, NULL, &err);
	if (!status && past) {
		model = go_to(world, &at->session, op->target);
		there = model_choose(model, op, environment, profile);
		status = session_choose(&at->session, &err);
	}
	RUN_CHECK(world->run, status == (there ? STATUS_OK : STATUS_NOT_FOUND),
		  "choose %s/%s: %s: %s", environment, profile, status_name(status), err.text);
	if (!status && op->kind == OP_GET)
		check_get(world->run, &at->session, op->keys[0], model);
	else if (!status)
		check_list(world->run, &at->session, model);
}

/* Who believes the log to be shorter, or longer, than it is does not get to append. */
static void appends_stale(struct world *world)
{
	struct session *session = look(world);
	struct payload payload;
	struct store_command command = { .payloads = &payload,
					 .count = 1,
					 .claimed_ms = world->run->now_ms };
	struct store_receipt receipt;
	struct error err = ERROR_INIT;
	enum status status;

	payload_init(&payload, EVENT_CATEGORY_REMOVED);
	payload_str(&payload, FIELD_NAME, "zz");
	run_must(world->run, session_signer(session, &err), "load the key", &err);
	run_must(world->run, store_lock(session->store, 0, &err), "lock", &err);
	status = store_append(session->store, &session->signer,
			      run_chance(world->run, 50) ? world->size - 1 : world->size + 1,
			      &command, &receipt, &err);
	store_unlock(session->store);
	RUN_CHECK(world->run, status == STATUS_CONFLICT && log_size(world) == world->size,
		  "an append to another size: %s", status_name(status));
	world->tally->by_kind[OP_STALE_APPEND]++;
	world->tally->succeeded[OP_STALE_APPEND]++;
}

/* Now and then, look at everything. */
static void look_around(struct world *world)
{
	struct run *run = world->run;
	const struct model_state *past;
	struct session *session;
	struct writer apart = { .open = false };

	/* By a process of its own, that leaves the random numbers alone. */
	if (run->thorough) {
		check_state(run, look_as(world, &apart), world->size, &world->model.now);
		writer_end(&apart);
	}
	if (run_chance(run, 2))
		check_state(run, look(world), world->size, &world->model.now);
	if (run_chance(run, 2)) {
		session = look(world);
		past = go_to(world, session, 1 + run_random(run, world->size));
		check_state(run, session, session->point.seq, past);
	}
	if (run_chance(run, 2))
		check_hash(run, look(world), &world->fold);
	if (run_chance(run, 1))
		check_log(run, memlog_inner(), (const uint8_t(*)[HASH_BYTES])world->hashes,
			  world->size, 1 + run_random(run, world->size));
}

/* --- what goes wrong between commands --------------------------------------------------------- */

static void end_all(struct world *world)
{
	for (size_t i = 0; i < WORLD_WRITERS; i++)
		writer_end(&world->writers[i]);
}

/* All processes are gone, and so is a file or directory that can be made again. */
static void lose(struct world *world, enum world_fault fault)
{
	uint8_t log_id[LOG_ID_BYTES];
	struct buf path = BUF_INIT;
	struct error err = ERROR_INIT;

	end_all(world);
	if (fault == WORLD_STATE_LOST)
		fs_join(&path, world->store, "state");
	if (fault == WORLD_HEAD_LOST)
		fs_join(&path, world->store, "head");
	memcpy(log_id, world->hashes[0], LOG_ID_BYTES);
	if (fault == WORLD_CHECKPOINT_LOST)
		run_must(world->run, paths_user_checkpoint(log_id, world->store, &path, &err),
			 "find the checkpoint", &err);
	tried(world, fault, fs_exists(buf_str(&path)));
	run_must(world->run, fs_remove_tree(buf_str(&path), &err), "lose a file", &err);
	buf_release(&path);
}

static void disturb(struct world *world)
{
	static const enum world_fault files[] = { WORLD_STATE_LOST, WORLD_HEAD_LOST,
						  WORLD_CHECKPOINT_LOST };
	struct writer *writer;

	if (run_random(world->run, 1000) < 6)
		lose(world, files[run_random(world->run, 3)]);
	if (run_chance(world->run, 2)) {
		writer = &world->writers[run_random(world->run, WORLD_WRITERS)];
		tried(world, WORLD_CRASH, writer->open);
		writer_end(writer);
	}
}

/* The clock of one command. @ret_jump: what happened to it; WORLD_FAULTS: nothing. */
static uint64_t clock_of(struct world *world, uint64_t now_ms, enum world_fault *ret_jump)
{
	static const enum world_fault jumps[] = { WORLD_CLOCK_BACK, WORLD_CLOCK_1970,
						  WORLD_CLOCK_FORWARD, WORLD_CLOCK_FAR };

	*ret_jump = WORLD_FAULTS;
	if (!world->faults || !run_chance(world->run, 2))
		return now_ms;
	*ret_jump = jumps[run_random(world->run, 4)];
	if (*ret_jump == WORLD_CLOCK_BACK)
		return now_ms - YEAR_MS;
	if (*ret_jump == WORLD_CLOCK_FORWARD)
		return now_ms + YEAR_MS;
	if (*ret_jump == WORLD_CLOCK_1970)
		return run_random(world->run, 100000);
	return world->model.last_ms + 3 * YEAR_MS;
}

/* Mostly one that succeeds, if two more throws give one: what is refused leads nowhere. */
static void generate(struct world *world, struct operation *ret)
{
	struct model_state after;
	struct prediction prediction;

	for (int i = 0; i < 3; i++) {
		generate_operation(world->run, &world->model, world->size, ret);
		if (ret->kind >= OP_WRITES || run_chance(world->run, 25))
			return;
		ret->now_ms = world->run->now_ms;
		model_predict(&world->model, ret, &after, &prediction);
		if (prediction.allowed == model_bit(STATUS_OK))
			return;
	}
}

void world_step(struct world *world)
{
	struct run *run = world->run;
	unsigned writer = (unsigned)run_random(run, WORLD_WRITERS);
	uint64_t now_ms;
	enum world_fault jump;
	struct operation op;

	run->step++;
	run->now_ms += run_random(run, 5000);
	if (world->faults)
		disturb(world);
	if (world->remembered_count && run_chance(run, 3))
		repeat(world, &world->remembered[run_random(run, world->remembered_count)],
		       run->now_ms);
	if (world->remembered_count && run_chance(run, 1))
		reuse(world, &world->remembered[run_random(run, world->remembered_count)]);
	generate(world, &op);
	now_ms = run->now_ms;
	op.now_ms = clock_of(world, now_ms, &jump);
	op.accept_clock = jump != WORLD_FAULTS && run_chance(run, 40);
	if (jump != WORLD_FAULTS)
		tried(world, jump, op.kind < OP_WRITES);
	if (op.kind == OP_STALE_APPEND)
		appends_stale(world);
	else if (op.kind >= OP_WRITES)
		reads(world, &op, writer);
	else if (world->faults && run_chance(run, 5))
		writes_with_fault(world, &op, writer);
	else
		writes(world, &op, writer, world->faults ? 6 : 0);
	/* Two of the jumps are for good. */
	run->now_ms = jump == WORLD_CLOCK_BACK || jump == WORLD_CLOCK_FORWARD ? op.now_ms : now_ms;
	look_around(world);
	world->tally->operations++;
}

/* --- beginning and end ------------------------------------------------------------------------ */

void world_open(struct world *world, struct run *run, struct tally *tally, bool faults)
{
	struct init_args args = { .key_name = "ana@sim" };
	struct init_result result = { .key_made = false };
	struct error err = ERROR_INIT;

	*world = (struct world){ .run = run, .tally = tally, .faults = faults, .fold = FOLD_INIT };
	(void)snprintf(world->store, sizeof(world->store), "%s/store", run->dir);
	args.store_dir = world->store;
	run_must(run, op_init(&args, &result, &err), "init", &err);
	take_command(world, run->now_ms, NULL);
	RUN_CHECK(run, result.events == world->size, "init wrote another number of events");
	model_init(&world->model, world->size, run->now_ms);
	init_result_release(&result);
}

/* Every past, the state built anew, and all signatures. */
static void check_end(struct world *world)
{
	struct run *run = world->run;
	struct audit_options options = { .threads = 1 };
	uint8_t hash[HASH_BYTES], fresh[HASH_BYTES], rebuilt[HASH_BYTES];
	struct session *session = look(world);
	struct audit_report report;
	struct error err = ERROR_INIT;

	check_hash(run, session, &world->fold);
	fold_hash(&world->fold, hash);
	run_must(run, op_rebuild_compare(session, rebuilt, fresh, &err), "compare", &err);
	RUN_CHECK(run, memcmp(fresh, hash, HASH_BYTES) == 0,
		  "a state built anew has another hash than the replay");
	run_must(run, op_rebuild(session, rebuilt, &err), "rebuild", &err);
	RUN_CHECK(run, memcmp(rebuilt, hash, HASH_BYTES) == 0,
		  "the state has another hash once it is rebuilt");
	session = look(world);
	check_state(run, session, world->size, &world->model.now);
	for (size_t i = run_random(run, 8); i < world->model.past_count; i += 8)
		check_state(run, session, world->model.pasts[i].last_seq,
			    world->model.pasts[i].state);
	check_log(run, memlog_inner(), (const uint8_t(*)[HASH_BYTES])world->hashes, world->size,
		  1 + run_random(run, world->size));
	run_must(run, audit_evlog(memlog_inner(), &options, &report, &err), "audit", &err);
	RUN_CHECK(run, report.ok && report.events == world->size, "audit: %s", report.message);
}

void world_close(struct world *world)
{
	check_end(world);
	end_all(world);
	fold_release(&world->fold);
	model_release(&world->model);
	free(world->hashes);
	free(world->remembered);
	memlog_forget();
}
