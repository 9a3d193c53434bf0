/*
 * `rebuild`, `salvage`, `rollback`: making a new store from a log, or handing over. See replay.h.
 *
 * A copy is made beside its goal and renamed when it is whole, so that a crash leaves no half
 * store. The copying runs in a child, since a damaged page can kill whoever reads it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "replay/child.h"
#include "replay/fold.h"
#include "replay/head.h"
#include "replay/lost.h"
#include "replay/replay.h"
#include "replay/source.h"
#include "store/audit.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/headfile.h"
#include "store/ref.h"
#include "store/registry.h"
#include "store/seal.h"
#include "store/vault.h"

#include "base/banned.h"

struct copying {
	struct source *source;
	struct buf dir; /* the store being made: OUTPUT.tmp */
	struct evlog *to;
	struct event_reader *reader;
	uint64_t until;
	struct head_evidence *head; /* of the source, looked at before; NULL: not to be compared */
	uint64_t *keys_unread;      /* shared; how many keys could not be read; NULL: none may */
};

static void copying_release(struct copying *copying)
{
	event_reader_free(copying->reader);
	evlog_close(copying->to);
	buf_release(&copying->dir);
	copying->reader = NULL;
	copying->to = NULL;
}

static enum status make_dirs(struct copying *copying, struct error *err)
{
	static const char *const names[] = { "log", "vault" };
	enum status status = STATUS_OK;

	for (size_t i = 0; i < 2 && !status; i++) {
		AUTO(buf_release) struct buf path = BUF_INIT;

		fs_join(&path, buf_str(&copying->dir), names[i]);
		status = fs_make_dirs(buf_str(&path), 0700, err);
	}
	return status;
}

/*
 * A key that is gone was shredded, or lost before. One that cannot be read is not gone: a copy
 * without it is no copy, but the best there is when the store is being salvaged.
 */
static bool may_go_without(struct copying *copying, enum status status)
{
	if (status == STATUS_NOT_FOUND)
		return true;
	if (!copying->keys_unread || (status != STATUS_CORRUPT && status != STATUS_IO))
		return false;
	(*copying->keys_unread)++;
	return true;
}

static enum status key_unread(const struct error *why, struct error *err)
{
	if (!err)
		return why->status;
	*err = *why;
	return error_hint(err, why->status,
			  "bring it back from another copy, or go without: provenv-replay salvage");
}

/* The vault files of sealed values in the events copied, where they still are. */
static enum status copy_vault(struct copying *copying, const struct event *event, struct error *err)
{
	const struct changes *changes = &event->payload.field[FIELD_CHANGES].changes;
	AUTO(buf_release) struct buf from = BUF_INIT;
	AUTO(buf_release) struct buf to = BUF_INIT;
	enum status status = STATUS_OK;

	if (event->payload.type != EVENT_VARIABLES_CHANGED || !copying->source->store.len)
		return STATUS_OK;
	fs_join(&from, buf_str(&copying->source->store), "vault");
	fs_join(&to, buf_str(&copying->dir), "vault");
	status = buf_status(&from, err);
	if (!status)
		status = buf_status(&to, err);
	for (size_t i = 0; i < changes->count && !status; i++) {
		struct seal_place place = { .part = event->part, .index = (uint32_t)i };
		struct vault_entry entry;
		struct error why = ERROR_INIT;

		if (changes->entries[i].op != CHANGE_SEAL)
			continue;
		memcpy(place.command_id, event->command_id, COMMAND_ID_BYTES);
		status = vault_read(buf_str(&from), &place, &entry, &why);
		if (!status)
			status = vault_write(buf_str(&to), &place, &entry, err);
		else if (may_go_without(copying, status))
			status = STATUS_OK;
		else
			status = key_unread(&why, err);
	}
	return status;
}

/* The events of one command, as entries of one append. */
static enum status copy_command(struct copying *copying, uint64_t seq, uint64_t *ret_last,
				struct error *err)
{
	struct evlog_entry *entries;
	const struct read_event *event;
	uint8_t command_id[COMMAND_ID_BYTES];
	uint32_t parts;
	enum status status = event_reader_get(copying->reader, seq, &event, err);

	if (status)
		return status;
	parts = event->decoded.event.parts;
	memcpy(command_id, event->decoded.event.command_id, COMMAND_ID_BYTES);
	entries = calloc(parts, sizeof(*entries));
	if (!entries)
		return error_no_memory(err);
	for (uint32_t i = 0; i < parts && !status; i++) {
		status = event_reader_get(copying->reader, seq + i, &event, err);
		if (!status)
			status = evlog_leaf(copying->source->snapshot, seq + i, &entries[i].leaf,
					    err);
		if (status)
			break;
		entries[i].command_id = command_id;
		entries[i].starts_command = i == 0;
		entries[i].registry = event_is_registry(event->decoded.event.payload.type);
		status = copy_vault(copying, &event->decoded.event, err);
	}
	if (!status)
		status = evlog_append(copying->to, seq - 1, entries, parts, err);
	free(entries);
	*ret_last = seq + parts - 1;
	return status;
}

/* The new log must have the very root of the old one at that size. */
static enum status check_root(struct copying *copying, struct error *err)
{
	struct evlog_snapshot *snapshot = NULL;
	struct head_record record = { .size = copying->until };
	uint8_t root[HASH_BYTES], first[HASH_BYTES];
	AUTO(buf_release) struct buf head = BUF_INIT;
	AUTO(registry_release) struct registry registry = REGISTRY_INIT;
	enum status status = evlog_snapshot_open(copying->to, &snapshot, err);

	if (!status)
		status = evlog_root(snapshot, copying->until, record.root, err);
	if (!status)
		status = evlog_root(copying->source->snapshot, copying->until, root, err);
	if (!status)
		status = evlog_leaf_hash(snapshot, 1, first, err);
	if (!status)
		status = registry_load(snapshot, &registry, err);
	evlog_snapshot_close(snapshot);
	if (status)
		return status;
	if (memcmp(root, record.root, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT, "the copy's root is not the source's");
	memcpy(record.log_id, first, LOG_ID_BYTES);
	record.generation = registry_generation_at(&registry, copying->until);
	fs_join(&head, buf_str(&copying->dir), "head");
	return headfile_advance(buf_str(&head), &record, false, err);
}

/* A log that lost its end is not what a copy should be taken for. */
static enum status check_head(struct head_evidence *head, const struct source *source,
			      struct error *err)
{
	enum status status = head_compare(head, source, err);

	if (status || !head->lost)
		return status;
	(void)error_set(err, STATUS_CORRUPT, "%s", head->note);
	return error_hint(err, STATUS_CORRUPT,
			  "use a newer copy; or keep what there is: provenv-replay salvage");
}

static enum status copy_all(void *context, struct error *err)
{
	struct copying *copying = context;
	struct evlog_lmdb_options how = { .create = true };
	AUTO(buf_release) struct buf log = BUF_INIT;
	uint64_t last = 0;
	enum status status = source_open(copying->source, err);

	if (!status && copying->head)
		status = check_head(copying->head, copying->source, err);
	fs_join(&log, buf_str(&copying->dir), "log");
	if (!status)
		status = event_reader_new(copying->source->snapshot, &copying->reader, err);
	if (!status)
		status = make_dirs(copying, err);
	if (!status)
		status = evlog_lmdb_open(buf_str(&log), how, &copying->to, err);
	while (!status && last < copying->until)
		status = copy_command(copying, last + 1, &last, err);
	if (!status)
		status = check_root(copying, err);
	copying_release(copying);
	source_close(copying->source);
	return status;
}

/* Where the copy is made: OUTPUT.tmp, also when OUTPUT was written with a slash at its end. */
static void temporary_name(const struct request *request, struct buf *ret)
{
	size_t len = strlen(request->output);

	while (len > 1 && request->output[len - 1] == '/')
		len--;
	buf_append(ret, request->output, len);
	buf_append_str(ret, ".tmp");
}

/* Make OUTPUT as @copying says. */
static enum status make_store(struct request *request, struct copying *copying, struct error *err)
{
	enum status status;

	temporary_name(request, &copying->dir);
	status = child_run(copy_all, copying, err);
	if (!status)
		status = fs_rename(buf_str(&copying->dir), request->output, err);
	if (status)
		(void)fs_remove_tree(buf_str(&copying->dir), NULL);
	return status;
}

static enum status check_output(const struct request *request, struct error *err)
{
	AUTO(buf_release) struct buf beside = BUF_INIT;

	if (!request->output || !request->output[0])
		return error_hint(err, error_set(err, STATUS_USAGE, "--output DIR is missing"),
				  "name a directory that does not exist yet");
	if (fs_exists(request->output))
		return error_set(err, STATUS_CONFLICT, "%s exists", request->output);
	temporary_name(request, &beside);
	if (fs_exists(buf_str(&beside)))
		return error_hint(err,
				  error_set(err, STATUS_CONFLICT, "%s exists", buf_str(&beside)),
				  "remove it if it was left behind by a copy that was stopped");
	return buf_status(&beside, err);
}

/* Resolving a REF reads pages too, so it is a child's work. */
struct resolving {
	struct source *source;
	const char *to;
	struct ref_point *point; /* shared */
};

static enum status resolve_in_child(void *context, struct error *err)
{
	struct resolving *resolving = context;
	enum status status = source_open(resolving->source, err);

	if (!status)
		status = source_ref(resolving->source, resolving->to, resolving->point, err);
	source_close(resolving->source);
	return status;
}

static enum status resolve(struct source *source, const char *to, uint64_t *ret, struct error *err)
{
	struct resolving resolving = { .source = source, .to = to };
	void *shared = NULL;
	enum status status = child_share(sizeof(struct ref_point), &shared, err);

	if (status)
		return status;
	resolving.point = shared;
	status = child_run(resolve_in_child, &resolving, err);
	if (!status)
		*ret = resolving.point->seq;
	child_unshare(shared, sizeof(struct ref_point));
	return status;
}

static void print_made(struct request *request, uint64_t events)
{
	buf_printf(&request->out,
		   "%s holds events 1..%" PRIu64 "\n"
		   "next: provenv --store %s verify; move it into place when nothing uses the old "
		   "one\n",
		   request->output, events, request->output);
}

enum status replay_rebuild(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	struct head_evidence head = { .usable = false };
	AUTO(copying_release) struct copying copying = { .source = &source, .head = &head };
	struct audit_report report;
	struct json json;
	uint64_t until = 0;
	enum status status = check_output(request, err);

	if (!status)
		status = source_find(request->source, &source, err);
	if (!status) {
		head_look(&source, &head);
		status = source_audit(&source, &report, err);
	}
	if (!status)
		status = resolve(&source, request->to, &until, err);
	/* What was appended since was not audited. */
	if (!status && report.ok && until > report.events)
		until = report.events;
	copying.until = until;
	if (!status && !report.ok && until > report.valid_size)
		status =
			error_hint(err, error_set(err, STATUS_CORRUPT, "%s", report.message),
				   "the log is valid up to event %" PRIu64 ": use that, or salvage",
				   report.valid_size);
	if (!status)
		status = make_store(request, &copying, err);
	if (!status && request->json) {
		replay_json_begin(request, &json, "rebuild");
		jsonw_pair_string(&json, "output", request->output);
		jsonw_pair_uint(&json, "events", until);
		replay_json_finish(request, &json);
	} else if (!status) {
		print_made(request, until);
	}
	return status;
}

static void salvage_json(struct request *request, const struct audit_report *report,
			 const struct lost *lost, uint64_t keys_unread)
{
	struct json json;

	replay_json_begin(request, &json, "salvage");
	jsonw_pair_string(&json, "output", request->output);
	jsonw_pair_uint(&json, "events", report->valid_size);
	jsonw_pair_uint(&json, "lost", report->events - report->valid_size);
	if (report->first_bad)
		jsonw_pair_uint(&json, "first_bad", report->first_bad);
	else
		jsonw_pair_null(&json, "first_bad");
	jsonw_pair_string(&json, "message", report->message);
	jsonw_key(&json, "lost_events");
	jsonw_array(&json);
	for (size_t i = 0; i < lost->count; i++) {
		jsonw_object(&json);
		jsonw_pair_uint(&json, "seq", lost->events[i].seq);
		jsonw_pair_time(&json, "time", lost->events[i].time_ms);
		jsonw_pair_string(&json, "type", lost->events[i].type);
		jsonw_pair_bool(&json, "verified", false);
		jsonw_end(&json);
	}
	jsonw_end(&json);
	jsonw_pair_bool(&json, "lost_events_cut", lost->cut);
	jsonw_pair_uint(&json, "keys_unread", keys_unread);
	replay_json_finish(request, &json);
}

static void salvage_text(struct request *request, const struct audit_report *report,
			 const struct lost *lost, uint64_t keys_unread)
{
	struct buf *out = &request->out;

	buf_printf(out, "kept: events 1..%" PRIu64 "\n", report->valid_size);
	if (!report->ok)
		buf_printf(out, "lost: %" PRIu64 " events, from %" PRIu64 " on: %s\n",
			   report->events - report->valid_size, report->valid_size + 1,
			   report->message);
	for (size_t i = 0; i < lost->count; i++) {
		char time[32];

		text_from_time_ms(lost->events[i].time_ms, time);
		buf_printf(out, "  %" PRIu64 " %s ", lost->events[i].seq, time);
		text_append_printable(out, slice_str(lost->events[i].type));
		buf_append_str(out, " (not verified)\n");
	}
	if (lost->cut)
		buf_append_str(out, "  … there may be more\n");
	if (keys_unread)
		buf_printf(out,
			   "without: the keys of %" PRIu64 " secret%s, which cannot be read: bring "
			   "back vault/ from another copy\n",
			   keys_unread, keys_unread == 1 ? "" : "s");
	print_made(request, report->valid_size);
}

static void counter_cleanup(uint64_t **counter)
{
	child_unshare(*counter, sizeof(**counter));
}

static void lost_cleanup(struct lost **lost)
{
	lost_free(*lost);
}

enum status replay_salvage(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	AUTO(copying_release) struct copying copying = { .source = &source };
	AUTO(lost_cleanup) struct lost *lost = NULL;
	AUTO(counter_cleanup) uint64_t *keys_unread = NULL;
	struct audit_report report;
	void *shared = NULL;
	enum status status = check_output(request, err);

	if (!status)
		status = source_find(request->source, &source, err);
	if (!status)
		status = source_audit(&source, &report, err);
	if (!status && report.valid_size == 0)
		status = error_set(err, STATUS_CORRUPT, "nothing can be salvaged: %s",
				   report.message);
	if (!status)
		status = lost_list(&source, report.valid_size, report.events, &lost, err);
	if (!status)
		status = child_share(sizeof(*keys_unread), &shared, err);
	keys_unread = shared;
	copying.keys_unread = shared;
	copying.until = report.valid_size;
	if (!status)
		status = make_store(request, &copying, err);
	if (status)
		return status;
	if (request->json)
		salvage_json(request, &report, lost, *keys_unread);
	else
		salvage_text(request, &report, lost, *keys_unread);
	return STATUS_OK;
}

/* The provenv that lies beside this program, else the one on PATH. */
static void find_provenv(struct buf *ret)
{
	char own[PATH_BYTES_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (len > 0) {
		own[len] = '\0';
		slash = strrchr(own, '/');
		*slash = '\0';
		fs_join(ret, own, "provenv");
		if (access(buf_str(ret), X_OK) == 0)
			return;
	}
	buf_clear(ret);
	buf_append_str(ret, "provenv");
}

/* A word that execvp() may call its own: it takes writable ones, though it writes to none. */
static char *own_word(struct buf *ret, const char *word)
{
	buf_append_str(ret, word);
	buf_append_byte(ret, 0);
	return (char *)ret->data;
}

static enum status hand_over(struct request *request, const char *store, struct error *err)
{
	static char provenv[] = "provenv", rollback[] = "rollback";
	static char option_store[] = "--store", option_to[] = "--to";
	AUTO(buf_release) struct buf program = BUF_INIT;
	AUTO(buf_release) struct buf own_store = BUF_INIT;
	AUTO(buf_release) struct buf own_to = BUF_INIT;
	enum status status;
	size_t rest = 0;
	char **argv;

	while (request->rest[rest])
		rest++;
	argv = (char **)calloc(rest + 7, sizeof(char *));
	if (!argv)
		return error_no_memory(err);
	find_provenv(&program);
	argv[0] = provenv;
	argv[1] = option_store;
	argv[2] = own_word(&own_store, store);
	argv[3] = rollback;
	argv[4] = option_to;
	argv[5] = own_word(&own_to, request->to);
	for (size_t i = 0; i < rest; i++)
		argv[6 + i] = request->rest[i];
	status = buf_status(&own_store, err);
	if (!status)
		status = buf_status(&own_to, err);
	if (!status) {
		(void)execvp(buf_str(&program), argv);
		status = error_errno(err, STATUS_IO, errno, "cannot run %s", buf_str(&program));
	}
	free((void *)argv);
	return status;
}

struct planning {
	struct request *request;
	struct source *source;
};

static enum status print_plan(void *context, struct error *err)
{
	struct planning *planning = context;
	struct request *request = planning->request;
	AUTO(fold_release) struct fold now = FOLD_INIT;
	AUTO(fold_release) struct fold goal = FOLD_INIT;
	struct ref_point head, target;
	size_t count = 0;
	enum status status = source_fold(planning->source, NULL, &now, &head, err);

	if (!status)
		status = source_fold(planning->source, request->to, &goal, &target, err);
	if (!status)
		status = replay_print_diff(request, &now, &goal, &count, err);
	if (status)
		return status;
	buf_printf(&request->out,
		   "%zu changes lead from event %" PRIu64 " back to the state of %" PRIu64 "\n",
		   count, head.seq, target.seq);
	return replay_flush(request, err);
}

enum status replay_rollback(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	struct planning planning = { .request = request, .source = &source };
	enum status status = request->to ? source_find(request->source, &source, err)
					 : error_set(err, STATUS_USAGE, "--to REF is missing");

	if (!status)
		status = child_run(print_plan, &planning, err);
	if (!status && !source.store.len)
		status = error_set(err, STATUS_USAGE, "rollback needs a store, not only its log");
	return status ? status : hand_over(request, request->source, err);
}
