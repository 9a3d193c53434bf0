/*
 * Control runs, and the judgement of faults; see judge.h.
 *
 * Everything after the fault runs without one, on what the fault left, in this order: verify counts
 * the events; the command is given again under its own id; another one is set; the state is built
 * anew and compared; what lies about is looked for. Where the command left every file as it was,
 * that is done only now and then.
 */
#include "fault/judge.h"

#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "fault/shared.h"
#include "fault/world.h"
#include "rig/rig.h"

#include "base/banned.h"

enum {
	CODE_NEGATIVE = 1,
	CODE_CONFLICT = 6,
	CODE_NO_STORE = 10,
	CODE_LOCKED = 11,
	CODE_WRONG_KEY = 12,
	CODE_IO = 13,
	CODE_RUN_MIN = 8,
	/* What happens to files that the fault left as they were is known: seldom is enough. */
	LOOK_AGAIN_ONE_IN = 16,
};

static const char *store_of(const struct command *command)
{
	return command->flags & FRESH ? "fresh" : "store";
}

/* --- what lies in a store ------------------------------------------------------------------- */

/* nftw() hands no context through. */
static struct sight {
	uint64_t vault_files;
	uint64_t temporary;
	char first[256];
} seen;

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static int see(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)where;
	if (kind == FTW_F && strstr(path, "/vault/") && !ends_with(path, ".tmp"))
		seen.vault_files++;
	if (!ends_with(path, ".tmp") && !strstr(path, "/staging/"))
		return 0;
	if (seen.temporary++ == 0)
		(void)snprintf(seen.first, sizeof(seen.first), "%s", path);
	return 0;
}

static void look_at(const char *dir)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a rig has one thread */
	(void)nftw(dir, see, 16, FTW_PHYS);
}

/* The vault of @store alone; temporary files anywhere in the trial's directory. */
static void look_around(const char *store)
{
	uint64_t vault_files;

	seen = (struct sight){ .vault_files = 0 };
	look_at(store);
	vault_files = seen.vault_files;
	seen = (struct sight){ .vault_files = 0 };
	look_at(".");
	seen.vault_files = vault_files;
}

/* --- the control arm ------------------------------------------------------------------------ */

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* What keys, hashes and times are written with. */
static bool is_coded(uint8_t byte)
{
	return isalnum(byte) || (byte && strchr("+/:.-", byte));
}

/* Keys, hashes and times of what was just made differ from run to run: what may be one (long, and
 * with a digit) becomes one '#'. */
static void mask(const struct buf *text, struct buf *ret)
{
	size_t run = 0;
	bool digit = false;

	for (size_t i = 0; i <= text->len; i++) {
		uint8_t byte = i < text->len ? text->data[i] : '\n';

		if (is_coded(byte)) {
			run++;
			digit = digit || isdigit(byte);
			continue;
		}
		if (run >= CODE_RUN_MIN && digit)
			buf_append_byte(ret, '#');
		else
			buf_append(ret, text->data + i - run, run);
		run = 0;
		digit = false;
		if (i < text->len)
			buf_append_byte(ret, byte);
	}
}

static bool same_words(const struct buf *a, const struct buf *b)
{
	AUTO(buf_release) struct buf masked_a = BUF_INIT;
	AUTO(buf_release) struct buf masked_b = BUF_INIT;

	mask(a, &masked_a);
	mask(b, &masked_b);
	return same_bytes(&masked_a, &masked_b);
}

static void compare_arms(struct world *world, const struct command *command, bool json,
			 const struct outcome *plain)
{
	struct outcome with;

	world_reset(world);
	world_disarm(world);
	world_run(world, command, json, true, &with);
	rig_check(world->rig, world->calls->loaded > 0, NULL, "%s: the shim was not loaded",
		  command->name);
	rig_check(world->rig,
		  with.code == plain->code && (json || (same_words(&with.out, &plain->out) &&
							same_words(&with.err, &plain->err))),
		  NULL, "%s: with an idle shim exit %d \"%s\" \"%s\", without %d \"%s\" \"%s\"",
		  command->name, with.code, buf_str(&with.out), buf_str(&with.err), plain->code,
		  buf_str(&plain->out), buf_str(&plain->err));
	rig_check(world->rig, !(command->flags & SAYS) || same_bytes(&with.out, &plain->out), NULL,
		  "%s: two runs on one image print different things", command->name);
	outcome_release(&with);
}

/* All its events, but for what differs from run to run. Returns how many. */
static uint64_t read_log(struct world *world, const char *store, struct buf *ret)
{
	struct outcome outcome;
	uint64_t events = 0;

	world_do(world, store, (const char *const[]){ "log", "--jsonl", NULL }, &outcome);
	if (outcome.code == 0)
		mask(&outcome.out, ret);
	for (size_t i = 0; i < ret->len; i++)
		events += ret->data[i] == '\n';
	outcome_release(&outcome);
	return events;
}

void control_make(struct world *world, const struct command *command, struct control *ret)
{
	for (int json = 0; json < 2; json++) {
		struct outcome *plain = &ret->outcome[json];

		world_reset(world);
		world_run(world, command, json, false, plain);
		rig_check(world->rig, plain->code == 0, NULL, "%s: exit %d without a fault: %s",
			  command->name, plain->code, buf_str(&plain->err));
		compare_arms(world, command, json, plain);
	}
	for (size_t i = 0; i < CALL_COUNT; i++)
		ret->count[i] = world->calls->count[i];
	ret->events = read_log(world, store_of(command), &ret->log);
	look_around(store_of(command));
	ret->vault_files = seen.vault_files;
	rig_check(world->rig, ret->events > 0 && seen.temporary == 0, NULL,
		  "%s: no count of events, or %s is left without a fault", command->name,
		  seen.first);
}

void control_release(struct control *control)
{
	outcome_release(&control->outcome[0]);
	outcome_release(&control->outcome[1]);
	buf_release(&control->log);
}

/* --- the command that met the fault --------------------------------------------------------- */

/* What could not be synced is not acknowledged; but for the state, of which nothing is lost. */
static bool must_fail(const struct trial *trial)
{
	return (trial->call == CALL_FSYNC || trial->call == CALL_FDATASYNC) &&
	       trial->fault != EINTR && (trial->command->flags & KEEPS);
}

static bool holds(const struct buf *text, const char *part)
{
	return text->len > 0 && memmem(text->data, text->len, part, strlen(part)) != NULL;
}

/* A number for a reason: "…: 5". */
static bool ends_in_number(const char *text)
{
	size_t at = strlen(text);

	while (at > 0 && isspace((unsigned char)text[at - 1]))
		at--;
	if (at == 0 || !isdigit((unsigned char)text[at - 1]))
		return false;
	while (at > 0 && (isdigit((unsigned char)text[at - 1]) || text[at - 1] == '-'))
		at--;
	return at >= 2 && text[at - 1] == ' ' && text[at - 2] == ':';
}

static bool reads_well(const char *message)
{
	static const char *const raw[] = { "errno", "Unknown error", "(null)", "rc=", "rc " };

	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		if (strstr(message, raw[i]))
			return false;
	}
	return *message && !ends_in_number(message);
}

/* The last line is the object; notes in words may stand before it. */
static bool json_reads_well(const struct buf *err, int code)
{
	const char *text = buf_str(err);
	size_t len = err->len;
	size_t begin;
	json_t *root;
	bool good;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	begin = len;
	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	root = json_loadb(text + begin, len - begin, 0, NULL);
	good = json_integer_value(json_object_get(root, "code")) == code &&
	       json_is_string(json_object_get(root, "message")) &&
	       reads_well(json_string_value(json_object_get(root, "message")));
	json_decref(root);
	return good;
}

static bool went_without(const struct trial *trial, const struct buf *text)
{
	return trial->command->flags & SALVAGES &&
	       (holds(text, "cannot be read") || holds(text, "\"keys_unread\":1"));
}

static bool names_fault(const struct trial *trial, const struct buf *text)
{
	const char *reason = trial->fault > 0 ? strerrordesc_np(trial->fault) : NULL;

	return reason && holds(text, reason);
}

static bool code_fits(const struct trial *trial, const struct outcome *outcome)
{
	int code = outcome->code;

	if (code == CODE_NEGATIVE)
		return trial->command->flags & JUDGES && names_fault(trial, &outcome->out);
	if (code == 0)
		return !must_fail(trial);
	if (code == CODE_IO)
		return true;
	if (code == CODE_LOCKED)
		return trial->call == CALL_FCNTL;
	return code == CODE_WRONG_KEY && trial->fault == EACCES;
}

static void judge_outcome(struct world *world, const struct control *control,
			  const struct trial *trial, const struct outcome *outcome)
{
	const char *err = buf_str(&outcome->err);
	const char *out = buf_str(&outcome->out);
	bool stderr_failed = trial->call == CALL_WRITE && world->calls->fired_fd == STDERR_FILENO;

	rig_check(world->rig, code_fits(trial, outcome), world->work,
		  "%s: exit %d does not fit: \"%s\" \"%s\"", trial->label, outcome->code, out, err);
	if (outcome->code != 0 && !stderr_failed)
		rig_check(world->rig,
			  trial->json ? json_reads_well(&outcome->err, outcome->code)
				      : reads_well(err),
			  world->work, "%s: exit %d with a bad message: \"%s\"", trial->label,
			  outcome->code, err);
	/* A verdict may say what it could not look at. */
	if (outcome->code == 0 && trial->command->flags & SAYS &&
	    !names_fault(trial, &outcome->out) && !went_without(trial, &outcome->out))
		rig_check(world->rig, same_bytes(&outcome->out, &control->outcome[trial->json].out),
			  world->work, "%s: exit 0, but it says \"%s\", not \"%s\" (%s)",
			  trial->label, out, buf_str(&control->outcome[trial->json].out), err);
	rig_check(world->rig,
		  !holds(&outcome->err, CANARY) &&
			  (trial->command->flags & REVEALS || !holds(&outcome->out, CANARY)),
		  world->work, "%s: the secret was printed", trial->label);
}

/* --- the store that it left ----------------------------------------------------------------- */

/* Run it without a fault and expect it to succeed. Returns "events" of what it prints. */
static uint64_t succeed(struct world *world, const struct trial *trial, const char *const *words)
{
	struct outcome outcome;
	uint64_t events;

	world_do(world, store_of(trial->command), words, &outcome);
	events = json_number(&outcome, "events");
	rig_check(world->rig, outcome.code == 0, world->work, "%s: then %s: exit %d \"%s\" \"%s\"",
		  trial->label, words[0], outcome.code, buf_str(&outcome.out),
		  buf_str(&outcome.err));
	rig_check(world->rig, !holds(&outcome.err, CANARY) && !holds(&outcome.out, CANARY),
		  world->work, "%s: then %s printed the secret", trial->label, words[0]);
	outcome_release(&outcome);
	return events;
}

static uint64_t events_before(const struct world *world, const struct command *command)
{
	return command->flags & FRESH ? 0 : world->base_events;
}

/* A store without an event is none yet. */
static bool is_no_store(struct world *world, const char *store)
{
	struct outcome outcome;
	int code;

	world_do(world, store, (const char *const[]){ "status", NULL }, &outcome);
	code = outcome.code;
	outcome_release(&outcome);
	return code == CODE_NO_STORE;
}

/* The whole command, or nothing of it; and all of it when it said so. Returns whether it is there.
 */
static bool judge_events(struct world *world, const struct control *control,
			 const struct trial *trial, const struct outcome *outcome)
{
	static const char *const verify[] = { "verify", "--json", NULL };
	uint64_t before = events_before(world, trial->command);
	uint64_t events = before;

	if (before > 0 || outcome->code == 0 || !is_no_store(world, store_of(trial->command)))
		events = succeed(world, trial, verify);
	rig_check(world->rig, events == before || events == control->events, world->work,
		  "%s: %" PRIu64 " events, neither %" PRIu64 " nor %" PRIu64, trial->label, events,
		  before, control->events);
	rig_check(world->rig, outcome->code != 0 || events == control->events, world->work,
		  "%s: exit 0, but there are %" PRIu64 " events, not %" PRIu64, trial->label,
		  events, control->events);
	return events == control->events && control->events != before;
}

/* Again, as somebody does to whom it failed: it is done once, whatever became of the first one. */
static void judge_repetition(struct world *world, const struct control *control,
			     const struct trial *trial, bool done)
{
	const struct command *command = trial->command;
	AUTO(buf_release) struct buf events = BUF_INIT;
	struct outcome again;
	bool good;

	/* What a copy could not even clean up it tells to remove. */
	if (command->flags & REPLAYS && trial->onward)
		rig_remove_tree("fresh.tmp");
	world_disarm(world);
	world_run(world, command, false, false, &again);
	good = again.code == 0;
	if (command->flags & FRESH && done)
		good = again.code == CODE_CONFLICT;
	rig_check(world->rig, good, world->work, "%s: again: exit %d \"%s\"", trial->label,
		  again.code, buf_str(&again.err));
	outcome_release(&again);
	(void)read_log(world, store_of(command), &events);
	rig_check(world->rig, same_bytes(&events, &control->log), world->work,
		  "%s: done again, and the events are \"%s\", not \"%s\"", trial->label,
		  buf_str(&events), buf_str(&control->log));
}

/* What a later command may leave to the doctor, and nothing beyond. */
static void judge_leftovers(struct world *world, const struct control *control,
			    const struct trial *trial, bool fewer_keys)
{
	const char *store = store_of(trial->command);

	look_around(store);
	if (seen.temporary > 0 || seen.vault_files != control->vault_files) {
		(void)succeed(world, trial, (const char *const[]){ "doctor", NULL });
		look_around(store);
	}
	rig_check(world->rig, seen.temporary == 0, world->work, "%s: %s is left", trial->label,
		  seen.first);
	rig_check(world->rig,
		  seen.vault_files == control->vault_files ||
			  (fewer_keys && seen.vault_files < control->vault_files),
		  world->work, "%s: the vault holds %" PRIu64 " files, not %" PRIu64, trial->label,
		  seen.vault_files, control->vault_files);
}

void judge(struct world *world, const struct control *control, const struct trial *trial,
	   const struct outcome *outcome)
{
	static const char *const set[] = { "set", "Z=1", "--env=development", NULL };
	static const char *const compare[] = { "rebuild", "--compare", NULL };
	bool done;

	judge_outcome(world, control, trial, outcome);
	if (control->events == events_before(world, trial->command) || outcome->code != 0) {
		if (world_is_untouched(world) && rig_random(world->rig, LOOK_AGAIN_ONE_IN) > 0)
			return;
	}
	done = judge_events(world, control, trial, outcome);
	if (trial->command->flags & (WRITES | FRESH))
		judge_repetition(world, control, trial, done);
	(void)succeed(world, trial, set);
	(void)succeed(world, trial, compare);
	judge_leftovers(world, control, trial, went_without(trial, &outcome->out));
}
