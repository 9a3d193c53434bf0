/*
 * Looking a store over, mending what is derived, and the way out of a loss; see op_store.h.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "ops/envelope.h"
#include "ops/op_store.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"
#include "store/audit.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/paths.h"
#include "store/registry.h"
#include "store/reindex.h"
#include "store/state_model.h"
#include "store/store.h"
#include "store/vault.h"

#include "base/banned.h"

enum {
	/* Of milliseconds: some seventeen minutes, so that the number still tells the time. */
	GENERATION_CHANCE = 1 << 20,
};

struct doctor {
	struct session *session;
	bool dry_run;
	struct finding *items;
	size_t count;
	size_t orphans;
};

/* A copy of a text that goes; NULL without memory, which add() finds. */
static const char *keep(const struct doctor *doctor, const char *text)
{
	return arena_str(&doctor->session->arena, slice_str(text));
}

static enum status add(struct doctor *doctor, const struct finding *finding, struct error *err)
{
	doctor->items = arena_grow(&doctor->session->arena, doctor->items, doctor->count,
				   sizeof(*doctor->items));
	if (!doctor->items || !finding->text || !finding->hint)
		return error_no_memory(err);
	doctor->items[doctor->count++] = *finding;
	return STATUS_OK;
}

static enum status say(struct doctor *doctor, bool bad, const char *text, const char *hint,
		       struct error *err)
{
	struct finding finding = {
		.bad = bad,
		.text = keep(doctor, text),
		.hint = keep(doctor, hint),
	};

	return add(doctor, &finding, err);
}

static enum status look_at_place(struct doctor *doctor, struct error *err)
{
	const char *path = store_path(doctor->session->store);
	const char *kind = fs_unfit_kind(path);
	struct stat info;
	char text[256];
	enum status status = STATUS_OK;

	if (kind) {
		(void)snprintf(text, sizeof(text),
			       "the store lies on %s: readers there may see old "
			       "data",
			       kind);
		status = say(doctor, true, text, "move it to a local file system", err);
	}
	if (!status && stat(path, &info) == 0 && (info.st_mode & 077) != 0)
		status = say(doctor, true, "the store's directory is open to others",
			     "chmod 700 the directory", err);
	return status;
}

static enum status see_salvage(struct error *err)
{
	return error_hint(err, STATUS_CORRUPT,
			  "keep a copy of the store, then see provenv-replay salvage");
}

static enum status audit(const char *store_path, struct audit_report *ret, struct error *err)
{
	static const struct audit_options options;
	AUTO(buf_release) struct buf log = BUF_INIT;
	enum status status;

	fs_join(&log, store_path, "log");
	status = buf_status(&log, err);
	if (status)
		return status;
	return audit_log(buf_str(&log), store_reading(store_path), &options, ret, err);
}

static enum status say_table(struct doctor *doctor, bool bad, const char *what, bool mended,
			     struct error *err)
{
	struct finding finding = { .bad = true, .mended = mended, .hint = "" };
	char text[128];

	if (!bad)
		return STATUS_OK;
	(void)snprintf(text, sizeof(text), "%s %s", what,
		       mended ? "was rebuilt: it was not what the events say"
			      : "is not what the events say");
	finding.text = keep(doctor, text);
	if (!mended)
		finding.hint = "provenv doctor rebuilds it";
	return add(doctor, &finding, err);
}

/*
 * The audit found something. If it is in what follows from the events, they themselves being whole,
 * it can be mended.
 */
static enum status mend_tables(struct doctor *doctor, const char *store_path,
			       const struct audit_report *found, struct error *err)
{
	struct reindex_report report;
	struct audit_report after;
	enum status status =
		reindex_store(store_path, !doctor->dry_run, WRITE_LOCK_WAIT_MS, &report, err);

	if (status == STATUS_CORRUPT)
		return see_salvage(err);
	if (status)
		return status;
	if (!report.tree && !report.commands && !report.registry) {
		(void)error_set(err, STATUS_CORRUPT, "%s", found->message);
		return see_salvage(err);
	}
	status = say_table(doctor, report.tree, "the tree of the log", report.mended, err);
	if (!status)
		status = say_table(doctor, report.commands, "the index of commands", report.mended,
				   err);
	if (!status)
		status = say_table(doctor, report.registry, "the index of the key registry",
				   report.mended, err);
	if (status || doctor->dry_run)
		return status;
	status = audit(store_path, &after, err);
	if (status || after.ok)
		return status;
	(void)error_set(err, STATUS_CORRUPT, "%s", after.message);
	return see_salvage(err);
}

/* Before the store is opened, which damaged tables may prevent. */
static enum status look_at_log(struct doctor *doctor, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct audit_report report;
	enum status status = paths_find_store(doctor->session->options->store_dir, &path, err);

	if (!status)
		status = audit(buf_str(&path), &report, err);
	if (status)
		return status;
	if (report.ok)
		return say(doctor, false, "the events are whole, tree and indexes are theirs", "",
			   err);
	return mend_tables(doctor, buf_str(&path), &report, err);
}

/*
 * Head and checkpoint agree with the log as far as they can be used; one that cannot is never
 * written to but here.
 */
static enum status look_at_evidence(struct doctor *doctor, struct error *err)
{
	struct store *store = doctor->session->store;
	struct finding finding = { .bad = true, .hint = "provenv doctor replaces it" };
	const char *note = store_evidence_note(store);
	struct error why = ERROR_INIT;
	enum status status;

	if (!note)
		return say(doctor, false, "head file and checkpoint agree with the log", "", err);
	finding.text = keep(doctor, note);
	if (doctor->dry_run)
		return add(doctor, &finding, err);
	status = store_lock(store, WRITE_LOCK_WAIT_MS, &why);
	if (!status) {
		status = store_reset_evidence(store, &why);
		store_unlock(store);
	}
	finding.mended = status == STATUS_OK;
	finding.hint = status ? keep(doctor, why.text) : "";
	return add(doctor, &finding, err);
}

/* A vault file whose command never became an event. */
static enum status collect(void *context, const char *name, struct error *err)
{
	struct doctor *doctor = context;
	struct session *session = doctor->session;
	AUTO(buf_release) struct buf path = BUF_INIT;
	uint8_t command_id[COMMAND_ID_BYTES];
	uint32_t part, index;
	uint64_t seq;
	enum status status;

	if (!vault_name_parse(name, command_id, &part, &index))
		return STATUS_OK;
	status = evlog_command(session->log, command_id, &seq, err);
	if (status != STATUS_NOT_FOUND)
		return status;
	doctor->orphans++;
	fs_join(&path, store_vault_dir(session->store), name);
	status = buf_status(&path, err);
	return status || doctor->dry_run ? status : fs_remove(buf_str(&path), err);
}

/* Without it no secret can be read, nor one be set. */
static enum status make_vault(struct doctor *doctor, struct error *err)
{
	const char *dir = store_vault_dir(doctor->session->store);
	struct finding finding = {
		.bad = true,
		.mended = !doctor->dry_run,
		.text = "vault/ is missing: secrets that were set before are lost without a copy of it",
		.hint = "bring it back from a copy of the store, if there is one",
	};
	enum status status = doctor->dry_run ? STATUS_OK : fs_make_dirs(dir, 0700, err);

	return status ? status : add(doctor, &finding, err);
}

/* Under the write lock: a writer seals before it appends. */
static enum status look_at_vault(struct doctor *doctor, struct error *err)
{
	struct session *session = doctor->session;
	struct finding finding = { .bad = true, .mended = !doctor->dry_run, .hint = "" };
	char text[128];
	enum status status;

	if (!fs_is_dir(store_vault_dir(session->store)))
		return make_vault(doctor, err);
	status = store_lock(session->store, WRITE_LOCK_WAIT_MS, err);
	if (status)
		return status;
	status = projection_refresh(session->projection, err);
	session->log = projection_snapshot(session->projection);
	if (!status)
		status = fs_list(store_vault_dir(session->store), collect, doctor, err);
	store_unlock(session->store);
	if (status)
		return status;
	if (doctor->orphans == 0)
		return say(doctor, false, "every sealed key in the vault has its event", "", err);
	(void)snprintf(text, sizeof(text), "the vault held %zu sealed keys without an event",
		       doctor->orphans);
	finding.text = keep(doctor, text);
	return add(doctor, &finding, err);
}

/* Temporary files of writes that a crash cut off; those beside keys hold keys. */
static enum status look_at_leftovers(struct doctor *doctor, struct error *err)
{
	AUTO(buf_release) struct buf keys = BUF_INIT;
	const struct store *store = doctor->session->store;
	struct finding finding = { .bad = true, .mended = !doctor->dry_run, .hint = "" };
	enum status status = paths_keys_dir(&keys, err);
	const char *const dirs[] = { store_path(store), store_vault_dir(store),
				     store_state_dir(store), buf_str(&keys) };
	char text[128];
	size_t all = 0;

	for (size_t i = 0; !status && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		size_t count;

		status = fs_remove_stale(dirs[i], doctor->dry_run, &count, err);
		all += status ? 0 : count;
	}
	if (status)
		return status;
	if (all == 0)
		return say(doctor, false, "there are no leftovers of a crash", "", err);
	(void)snprintf(text, sizeof(text), "there were %zu temporary files left by a crash", all);
	finding.text = keep(doctor, text);
	return add(doctor, &finding, err);
}

static enum status look_at_state(struct doctor *doctor, struct error *err)
{
	uint8_t hash[HASH_BYTES], fresh[HASH_BYTES];
	struct finding finding = { .bad = true, .hint = "" };
	enum status status = op_rebuild_compare(doctor->session, hash, fresh, err);

	if (status && !projection_damaged(doctor->session->projection))
		return status;
	if (!status && memcmp(hash, fresh, HASH_BYTES) == 0)
		return say(doctor, false, "the state is what the log says", "", err);
	finding.text = "the state is not what the log says";
	finding.hint = "provenv rebuild";
	if (!doctor->dry_run) {
		status = op_rebuild(doctor->session, hash, err);
		if (status)
			return status;
		finding.mended = true;
		finding.hint = "";
	}
	return add(doctor, &finding, err);
}

static enum status look_at_violations(struct doctor *doctor, struct error *err)
{
	struct violation *violations;
	char text[160];
	size_t count;
	enum status status = state_violations(&doctor->session->view, &violations, &count, err);

	if (status || count == 0)
		return status;
	(void)snprintf(text, sizeof(text),
		       "%zu commands broke a rule and had no effect; the first: event %" PRIu64
		       ", %s",
		       count, violations[0].seq, apply_rule_name(violations[0].rule));
	return say(doctor, true, text, "look at it: provenv show SEQ", err);
}

static enum status look_at_rest(struct doctor *doctor, struct error *err)
{
	struct session *session = doctor->session;
	enum status status = session_open(session->options, SESSION_STATE, session, err);

	if (!status)
		status = look_at_place(doctor, err);
	if (!status)
		status = look_at_evidence(doctor, err);
	if (!status)
		status = look_at_state(doctor, err);
	if (!status)
		status = look_at_violations(doctor, err);
	if (!status && !store_is_read_only(session->store))
		status = look_at_vault(doctor, err);
	if (!status && !store_is_read_only(session->store))
		status = look_at_leftovers(doctor, err);
	return status;
}

enum status op_doctor(const struct session_options *options, struct session *session,
		      struct finding **ret, size_t *ret_count, struct error *err)
{
	struct doctor doctor = { .session = session, .dry_run = options->dry_run };
	struct error found = ERROR_INIT;
	enum status status;

	session->options = options;
	status = look_at_log(&doctor, &found);
	/* A dry run cannot look through tables that it left damaged. */
	if (!status && (doctor.count == 0 || !doctor.items[0].bad || doctor.items[0].mended))
		status = look_at_rest(&doctor, &found);
	if (status && err)
		*err = found;
	if (status == STATUS_CORRUPT && say(&doctor, true, found.text, found.hint, err))
		return error_no_memory(err);
	if (status && status != STATUS_CORRUPT)
		return status;
	*ret = doctor.items;
	*ret_count = doctor.count;
	return status;
}

enum status op_rebuild_compare(struct session *session, uint8_t ret_hash[HASH_BYTES],
			       uint8_t ret_fresh[HASH_BYTES], struct error *err)
{
	struct state_view now = session_view_at(session, projection_seq(session->projection));
	enum status status = projection_fresh_hash(session->projection, ret_fresh, err);

	return status ? status : state_hash(&now, ret_hash, err);
}

enum status op_rebuild(struct session *session, uint8_t ret_hash[HASH_BYTES], struct error *err)
{
	enum status status = projection_rebuild(session->projection, err);

	if (status)
		return status;
	session->log = projection_snapshot(session->projection);
	session->reader = projection_reader(session->projection);
	session->point.seq = projection_seq(session->projection);
	session->view = session_view_at(session, session->point.seq);
	return state_hash(&session->view, ret_hash, err);
}

/* The state was built from lost events too: let it be built again from what there is. */
static enum status forget_state(struct session *session, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;

	fs_join(&path, store_state_dir(session->store), "current");
	return fs_remove(buf_str(&path), err);
}

static enum status check_envelope(struct session *session, struct error *err)
{
	const struct read_event *last;
	enum status status = reason_check(session->options->reason, err);

	if (!status)
		status = session_event(session, session->log->size, &last, err);
	if (status || session->options->accept_clock)
		return status;
	return clock_check(session->now_ms, last->decoded.event.time_ms, err);
}

static enum status check_acceptance(struct session *session, uint64_t size, struct error *err)
{
	const struct session_options *options = session->options;
	const char *name = session->signer.name;
	bool confirmed = false;

	if (store_loss(session->store)->evidence == EVIDENCE_NONE)
		return error_set(err, STATUS_USAGE, "no loss is known: there is nothing to accept");
	if (size != session->log->size)
		return error_set(err, STATUS_USAGE,
				 "--accept-loss=%" PRIu64 ": the log holds %" PRIu64 " events",
				 size, session->log->size);
	for (size_t i = 0; i < options->confirmed_count; i++)
		confirmed = confirmed || strcmp(options->confirmed[i], name) == 0;
	if (options->dry_run || (reason_given(options->reason) && confirmed))
		return check_envelope(session, err);
	return error_hint(err,
			  error_set(err, STATUS_UNCONFIRMED,
				    "accepting a loss needs a reason and the signer's name"),
			  "provenv doctor --accept-loss=%" PRIu64 " --confirm=%s -m REASON", size,
			  name);
}

/*
 * A number that no generation had, not even in the events that are lost. These cannot be asked, and
 * any of them may have been a recovery; nor does their number bound the numbers they used, since
 * losses before them may have been greater. So it is the time, which comes once, and some chance in
 * case the clock was put back together with the log. See docs/decisions/0015-accepted-loss.md.
 */
static uint64_t new_generation(uint64_t last, uint64_t now_ms)
{
	uint8_t bytes[4];
	uint64_t chance;

	rng_bytes(bytes, sizeof(bytes));
	chance = load_u32be(bytes) % GENERATION_CHANCE;
	return (now_ms > last ? now_ms : last) + 1 + chance;
}

static enum status append_recovered(struct session *session, struct store_receipt *ret,
				    struct error *err)
{
	const struct store_loss *loss = store_loss(session->store);
	const struct registry *registry = store_registry(session->store);
	struct payload payload;
	struct store_command command = {
		.payloads = &payload,
		.count = 1,
		.reason = slice_str(session->options->reason),
		.claimed_ms = session->now_ms,
	};
	payload_init(&payload, EVENT_STORE_RECOVERED);
	payload_uint(&payload, FIELD_EXPECTED_SIZE, loss->expected_size);
	payload_text(&payload, FIELD_EXPECTED_ROOT, slice_of(loss->expected_root, HASH_BYTES));
	payload_uint(&payload, FIELD_GENERATION,
		     new_generation(registry_generation_at(registry, session->log->size),
				    command.claimed_ms));
	rng_uuid7(command.claimed_ms, command.command_id);
	return store_append(session->store, &session->signer, session->log->size, &command, ret,
			    err);
}

static void session_cleanup(struct session *session)
{
	session_close(session);
}

enum status op_accept_loss(const struct session_options *options, uint64_t size,
			   struct store_receipt *ret, struct error *err)
{
	AUTO(session_cleanup) struct session session = { .store = NULL };
	enum status status = session_open(options, SESSION_LOG_LOSSY, &session, err);

	if (!status)
		status = session_signer(&session, err);
	if (!status)
		status = check_acceptance(&session, size, err);
	if (status || options->dry_run)
		return status;
	status = store_lock(session.store, WRITE_LOCK_WAIT_MS, err);
	if (!status)
		status = append_recovered(&session, ret, err);
	if (!status)
		status = store_reset_evidence(session.store, err);
	if (!status)
		status = forget_state(&session, err);
	return status;
}
