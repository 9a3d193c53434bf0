/*
 * Opening a command's view of a store; see session.h.
 */
#include "ops/session.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/catalogue.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/paths.h"
#include "store/registry.h"

#include "base/banned.h"

const char *session_str(struct session *session, struct slice text)
{
	const char *copy = arena_str(&session->arena, text);

	return copy ? copy : "";
}

static void decoder_cleanup(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

struct slice langmap_text(struct arena *arena, struct slice encoded)
{
	AUTO(decoder_cleanup) struct event_decoder *decoder = NULL;
	struct langmap map;

	if (encoded.len && event_decoder_new(&decoder, NULL))
		arena->failed = true;
	if (encoded.len == 0 || !decoder || langmap_decode(decoder, encoded, &map, NULL))
		return slice_of("", 0);
	return arena_copy(arena, langmap_pick(&map));
}

struct state_view session_view_at(struct session *session, uint64_t at)
{
	return (struct state_view){ .projection = session->projection,
				    .arena = &session->arena,
				    .at = at };
}

/* HEAD~N where the log holds more than the session's head: count here, ref_resolve() would not. */
static enum status count_back(struct session *session, struct ref *ref, struct error *err)
{
	uint64_t seq = session->head;

	for (uint64_t i = 0; i < ref->number; i++) {
		const struct read_event *event;
		enum status status = session_event(session, seq, &event, err);

		if (status)
			return status;
		if (event->decoded.event.part >= seq)
			return error_set(err, STATUS_NOT_FOUND,
					 "no HEAD~%" PRIu64 ": the log held %" PRIu64 " command%s",
					 ref->number, i + 1, i ? "s" : "");
		seq -= event->decoded.event.part;
	}
	*ref = (struct ref){ .kind = REF_SEQ, .number = seq };
	return STATUS_OK;
}

static void tell(struct session *session, const char *text, const struct ref_point *point)
{
	for (size_t i = 0; i < session->told_count; i++) {
		if (strcmp(session->told[i].text, text) == 0)
			return;
	}
	if (session->told_count < REFS_TOLD_MAX)
		session->told[session->told_count++] = (struct ref_told){ text, *point };
}

enum status session_ref(struct session *session, const char *text, struct ref_point *ret,
			struct error *err)
{
	struct ref head = { .kind = REF_SEQ, .number = session->head };
	struct ref_point point;
	struct ref ref;
	bool is_time;
	enum status status = ref_parse(slice_str(text), session->now_ms, &ref, err);

	is_time = !status && ref.kind == REF_TIME;
	if (!status && ref.kind != REF_SEQ)
		session->head_counted = true;
	if (!status && ref.kind == REF_HEAD && session->head < session->log->size)
		status = count_back(session, &ref, err);
	if (!status)
		status = ref_resolve(session->log, &ref, &point, err);
	if (!status && is_time && point.seq > session->head)
		status = ref_resolve(session->log, &head, &point, err);
	if (status)
		return status;
	if (is_time || point.moved)
		tell(session, text, &point);
	*ret = point;
	return STATUS_OK;
}

enum status session_event(struct session *session, uint64_t seq, const struct read_event **ret,
			  struct error *err)
{
	return event_reader_get(session->reader, seq, ret, err);
}

struct slice session_actor(struct session *session, const struct event *event)
{
	const struct registry_key *key =
		registry_find(store_registry(session->store), event->key_id);
	char hex[2 * KEY_ID_BYTES + 1];

	if (key)
		return slice_str(key->name);
	text_to_hex(event->key_id, KEY_ID_BYTES, hex);
	return arena_copy(&session->arena, slice_str(hex));
}

enum status session_unknown(const char *group, struct slice name, const char *const *names,
			    size_t count, struct error *err)
{
	AUTO(buf_release) struct buf wanted = BUF_INIT;
	AUTO(buf_release) struct buf shown = BUF_INIT;
	const char *nearest;

	buf_append_slice(&wanted, name);
	text_append_printable(&shown, name);
	nearest = text_nearest(buf_str(&wanted), names, count);
	(void)error_set(err, STATUS_NOT_FOUND, "no such %s: '%s'", group, buf_str(&shown));
	if (nearest)
		return error_hint(err, STATUS_NOT_FOUND, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_NOT_FOUND, "list them: provenv %s ls", group);
}

enum status session_find_environment(struct session *session, struct slice name,
				     struct environment *ret, struct error *err)
{
	struct environment *all;
	const char **names;
	size_t count;
	enum status status = state_environment(&session->view, name, ret, err);

	if (status != STATUS_NOT_FOUND)
		return status;
	status = state_environments(&session->view, &all, &count, err);
	if (status)
		return status;
	names = (const char **)arena_array(&session->arena, count, sizeof(*names));
	if (!names)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		names[i] = (const char *)all[i].name.data;
	return session_unknown("env", name, names, count, err);
}

enum status session_find_profile(struct session *session, struct slice environment,
				 struct slice name, struct profile *ret, struct error *err)
{
	struct profile *all;
	const char **names;
	size_t count;
	enum status status = state_profile(&session->view, environment, name, ret, err);

	if (status != STATUS_NOT_FOUND)
		return status;
	status = state_profiles(&session->view, environment, &all, &count, err);
	if (status)
		return status;
	names = (const char **)arena_array(&session->arena, count, sizeof(*names));
	if (!names)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		names[i] = (const char *)all[i].name.data;
	return session_unknown("profile", name, names, count, err);
}

enum status session_choose(struct session *session, struct error *err)
{
	const struct session_options *options = session->options;
	struct environment environment;
	struct profile profile;
	struct slice name;
	enum status status = STATUS_OK;

	if (options->environment)
		name = slice_str(options->environment);
	else
		status = state_active_environment(&session->view, &name, err);
	if (!status && name.len == 0)
		return error_hint(err, error_set(err, STATUS_NOT_FOUND, "no environment is active"),
				  "name one with -e, or: provenv env switch NAME");
	if (!status)
		status = session_find_environment(session, name, &environment, err);
	if (status)
		return status;
	name = options->profile ? slice_str(options->profile) : environment.profile;
	status = session_find_profile(session, environment.name, name, &profile, err);
	if (status)
		return status;
	session->environment = environment.name;
	session->profile = profile.name;
	return STATUS_OK;
}

static enum status open_log(struct session *session, struct error *err)
{
	enum status status = evlog_snapshot_open(store_log(session->store), &session->log, err);

	if (!status)
		session->head = session->log->size;
	return status ? status : event_reader_new(session->log, &session->reader, err);
}

static enum status open_state(struct session *session, struct error *err)
{
	enum status status = projection_open(session->store, &session->projection, err);

	if (status == STATUS_NEWER)
		return error_hint(err, status,
				  "use a newer provenv; log, show and verify still work");
	if (status)
		return status;
	session->log = projection_snapshot(session->projection);
	session->reader = projection_reader(session->projection);
	session->point.seq = projection_seq(session->projection);
	session->head = session->point.seq;
	if (session->options->at)
		status = session_ref(session, session->options->at, &session->point, err);
	session->view = session_view_at(session, session->point.seq);
	return status;
}

enum status session_command_id(const struct session_options *options, uint8_t ret[COMMAND_ID_BYTES],
			       struct error *err)
{
	uint8_t hex[2 * COMMAND_ID_BYTES];
	size_t digits = 0;

	if (!options->command_id)
		return STATUS_NOT_FOUND;
	for (const char *at = options->command_id; *at; at++) {
		if (*at == '-')
			continue;
		if (digits == sizeof(hex))
			return error_set(err, STATUS_USAGE, "--command-id: not a UUID");
		hex[digits++] = (uint8_t)*at;
	}
	if (!text_from_hex(slice_of(hex, digits), ret, COMMAND_ID_BYTES))
		return error_set(err, STATUS_USAGE, "--command-id: not a UUID");
	return STATUS_OK;
}

/* Choose in the state before the command that has the id given; NOT_FOUND: none has. */
static enum status choose_before(struct session *session)
{
	uint8_t id[COMMAND_ID_BYTES];
	uint64_t first;
	enum status status = session_command_id(session->options, id, NULL);

	if (!status)
		status = evlog_command(session->log, id, &first, NULL);
	if (status)
		return STATUS_NOT_FOUND;
	session->view = session_view_at(session, first - 1);
	status = session_choose(session, NULL);
	session->view = session_view_at(session, session->point.seq);
	return status;
}

enum status session_open(const struct session_options *options, enum session_need need,
			 struct session *ret, struct error *err)
{
	struct store_options how = { .tolerate_loss = need == SESSION_LOG_LOSSY };
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct error why = ERROR_INIT;
	enum status status;

	ret->options = options;
	ret->now_ms = clock_now_ms();
	status = paths_find_store(options->store_dir, &path, err);
	if (!status)
		status = store_open(buf_str(&path), how, &ret->store, err);
	if (status)
		return status;
	if (need == SESSION_LOG || need == SESSION_LOG_LOSSY)
		return open_log(ret, err);
	status = open_state(ret, err);
	if (status || need != SESSION_PROFILE)
		return status;
	status = session_choose(ret, &why);
	if (status == STATUS_NOT_FOUND && choose_before(ret) == STATUS_OK)
		return STATUS_OK;
	if (status && err)
		*err = why;
	return status;
}

void session_close(struct session *session)
{
	if (!session->projection) {
		event_reader_free(session->reader);
		evlog_snapshot_close(session->log);
	}
	projection_close(session->projection);
	signer_release(&session->signer);
	store_close(session->store);
	arena_release(&session->arena);
	*session = (struct session){ .store = NULL };
}

/* The first enrolled key whose file is there; STATUS_NOT_FOUND when there is none. */
static enum status any_enrolled(struct session *session, const char *dir, struct error *err)
{
	const struct registry *registry = store_registry(session->store);
	enum status status = STATUS_NOT_FOUND;

	for (size_t i = 0; i < registry->key_count && status == STATUS_NOT_FOUND; i++)
		status = signer_load(dir, registry->keys[i].name, &session->signer, err);
	return status;
}

/* The key called @own when it is enrolled, else another that is. */
static enum status any_signer(struct session *session, const char *dir, const char *own,
			      struct error *err)
{
	enum status status = signer_load(dir, own, &session->signer, err);

	if (status && status != STATUS_NOT_FOUND)
		return status;
	if (!status && registry_find(store_registry(session->store), session->signer.key_id))
		return STATUS_OK;
	signer_release(&session->signer);
	return any_enrolled(session, dir, err);
}

enum status session_signer(struct session *session, struct error *err)
{
	const char *name = session->options->key_name;
	AUTO(buf_release) struct buf dir = BUF_INIT;
	struct error tried = ERROR_INIT; /* a key that is not there may lead to another */
	char own[KEY_NAME_BYTES_MAX + 1];
	enum status status;

	if (session->signer.secret_key.data)
		return STATUS_OK;
	status = paths_keys_dir(&dir, err);
	if (status)
		return status;
	paths_default_key_name(own);
	status = name ? signer_load(buf_str(&dir), name, &session->signer, &tried)
		      : any_signer(session, buf_str(&dir), own, &tried);
	if (status == STATUS_NOT_FOUND)
		return error_hint(err,
				  error_set(err, STATUS_WRONG_KEY, "no signing key '%s' in %s",
					    name ? name : own, buf_str(&dir)),
				  "bring the key file that this store was made with, "
				  "or name another with --as");
	if (status && err)
		*err = tried;
	if (status)
		return status;
	if (registry_find(store_registry(session->store), session->signer.key_id))
		return STATUS_OK;
	return error_hint(err,
			  error_set(err, STATUS_WRONG_KEY,
				    "the key '%s' is not enrolled in this store",
				    session->signer.name),
			  "list the keys it knows: provenv key ls");
}
