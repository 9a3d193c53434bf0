/*
 * Decisions about attached databases; see op_database.h.
 *
 * Invariants: a path on the log has no `.` or `..` and no link above its last component, so that
 * two of the same file look alike.
 */
#include "ops/op_database.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/state_model.h"
#include "store/store.h"

#include "base/banned.h"

/* The folder that holds the store; relative paths count from there. */
static enum status base_folder(const struct session *session, struct buf *ret, struct error *err)
{
	AUTO_FREE char *real = realpath(store_path(session->store), NULL);
	const char *slash;

	if (!real)
		return errno == ENOMEM ? error_no_memory(err)
				       : error_errno(err, STATUS_IO, errno, "cannot find %s",
						     store_path(session->store));
	slash = strrchr(real, '/');
	assert(slash);
	buf_clear(ret);
	buf_append(ret, real, slash == real ? 1 : (size_t)(slash - real));
	return buf_status(ret, err);
}

/* The real path of the directory that @path lies in, and the name in it. */
static enum status resolve(const char *path, struct buf *ret, struct error *err)
{
	AUTO(buf_release) struct buf directory = BUF_INIT;
	AUTO_FREE char *real = NULL;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	enum status status;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, STATUS_USAGE, "'%s' is not the path of a file", path);
	if (!slash)
		buf_append_str(&directory, ".");
	else
		buf_append(&directory, path, slash == path ? 1 : (size_t)(slash - path));
	status = buf_status(&directory, err);
	if (status)
		return status;
	real = realpath(buf_str(&directory), NULL);
	if (!real)
		return errno == ENOMEM
			       ? error_no_memory(err)
			       : error_errno(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
					     errno, "cannot find directory %s",
					     buf_str(&directory));
	if (!fs_is_dir(real))
		return error_set(err, STATUS_USAGE, "%s is not a directory", buf_str(&directory));
	buf_clear(ret);
	fs_join(ret, real, name);
	return buf_status(ret, err);
}

/* What is kept of a path that the user gave. In the arena. */
static enum status kept_path(struct session *session, const char *path, struct slice *ret,
			     struct error *err)
{
	AUTO(buf_release) struct buf base = BUF_INIT;
	AUTO(buf_release) struct buf full = BUF_INIT;
	enum status status = resolve(path, &full, err);
	struct slice kept;

	if (!status)
		status = base_folder(session, &base, err);
	if (status)
		return status;
	if (base.len > 1)
		buf_append_byte(&base, '/');
	status = buf_status(&base, err);
	if (status)
		return status;
	kept = buf_slice(&full);
	if (full.len > base.len && memcmp(full.data, base.data, base.len) == 0)
		kept = slice_of(full.data + base.len, full.len - base.len);
	if (kept.len > TEXT_BYTES_MAX || !text_is_value(kept))
		return error_set(err, STATUS_USAGE, "the path is not UTF-8 of at most %d bytes",
				 TEXT_BYTES_MAX);
	*ret = arena_copy(&session->arena, kept);
	return ret->data ? STATUS_OK : error_no_memory(err);
}

enum status database_path(struct session *session, const struct payload *payload, struct buf *ret,
			  struct error *err)
{
	const char *path = session_str(session, payload_get_text(payload, FIELD_PATH));
	AUTO(buf_release) struct buf base = BUF_INIT;
	enum status status = STATUS_OK;

	if (*path != '/')
		status = base_folder(session, &base, err);
	if (status)
		return status;
	buf_clear(ret);
	fs_join(ret, *path == '/' ? "" : buf_str(&base), path);
	return buf_status(ret, err);
}

static enum status not_attached(struct session *session, struct slice name, struct error *err)
{
	struct definition *all;
	size_t count;
	enum status status = state_databases(&session->view, session->environment, session->profile,
					     &all, &count, err);
	const char **names;

	if (status)
		return status;
	names = (const char **)arena_array(&session->arena, count, sizeof(*names));
	if (!names)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		names[i] = session_str(session, payload_get_text(all[i].payload, FIELD_NAME));
	return session_unknown("db", name, names, count, err);
}

enum status database_find(struct session *session, struct slice name, struct definition *ret,
			  struct error *err)
{
	struct error why = ERROR_INIT;
	enum status status = state_database(&session->view, session->environment, session->profile,
					    name, ret, &why);

	if (status == STATUS_NOT_FOUND)
		return not_attached(session, name, err);
	if (status && err)
		*err = why;
	return status;
}

static enum status note(struct session *session, struct plan *plan, enum plan_op op,
			const struct payload *payload, struct error *err)
{
	struct slice path = payload_get_text(payload, FIELD_PATH);
	struct plan_change change = {
		.kind = PLAN_DATABASE,
		.op = op,
		.environment = session->environment,
		.profile = session->profile,
		.key = payload_get_text(payload, FIELD_NAME),
		.before = op == PLAN_REMOVED ? path : slice_of("", 0),
		.after = op == PLAN_REMOVED ? slice_of("", 0) : path,
	};

	return plan_note(plan, &change, err);
}

/* The same again is nothing to do; another file under the name is no attaching. */
static enum status check_attached(struct session *session, const struct payload *wanted,
				  bool *ret_same, struct error *err)
{
	struct definition attached;
	struct slice name = payload_get_text(wanted, FIELD_NAME);
	enum status status = state_database(&session->view, session->environment, session->profile,
					    name, &attached, err);

	*ret_same = false;
	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (status)
		return status;
	*ret_same = slice_equal(payload_get_text(attached.payload, FIELD_PATH),
				payload_get_text(wanted, FIELD_PATH)) &&
		    slice_equal(payload_get_text(attached.payload, FIELD_KIND),
				payload_get_text(wanted, FIELD_KIND));
	if (*ret_same)
		return STATUS_OK;
	(void)error_set(err, STATUS_CONFLICT,
			"database '" SLICE_FMT "' is attached already, as " SLICE_FMT " " SLICE_FMT,
			SLICE_ARG(name), SLICE_ARG(payload_get_text(attached.payload, FIELD_KIND)),
			SLICE_ARG(payload_get_text(attached.payload, FIELD_PATH)));
	return error_hint(err, STATUS_CONFLICT, "detach it first: provenv db detach " SLICE_FMT,
			  SLICE_ARG(name));
}

enum status decide_database_attach(struct session *session, const void *args, struct plan *plan,
				   struct error *err)
{
	const struct database_args *wanted = args;
	const char *kind = wanted->kind ? wanted->kind : "sqlite";
	struct payload payload;
	struct slice path;
	bool same = false;
	enum status status;

	if (!text_is_name(wanted->name))
		return error_hint(err, error_set(err, STATUS_USAGE, "not a name for a database"),
				  "names are letters, digits, '_', '.' and '-', at most %d, "
				  "beginning with a letter or digit",
				  NAME_BYTES_MAX);
	if (strcmp(kind, "sqlite") != 0 && strcmp(kind, "file") != 0)
		return error_set(err, STATUS_USAGE, "--kind: '%s' is neither sqlite nor file",
				 kind);
	status = kept_path(session, wanted->path, &path, err);
	if (status)
		return status;
	payload_init(&payload, EVENT_DATABASE_ATTACHED);
	payload_text(&payload, FIELD_ENVIRONMENT, session->environment);
	payload_text(&payload, FIELD_PROFILE, session->profile);
	payload_text(&payload, FIELD_NAME, wanted->name);
	payload_str(&payload, FIELD_KIND, kind);
	payload_text(&payload, FIELD_PATH, path);
	status = check_attached(session, &payload, &same, err);
	if (status || same)
		return status;
	status = plan_copy(plan, &payload, err);
	return status ? status : note(session, plan, PLAN_ADDED, &payload, err);
}

/* In the middle of a replacement the database must stay known: whoever goes on has to find it. */
static enum status check_idle(struct session *session, struct slice name, struct error *err)
{
	struct replacement last;
	enum status status = state_replacement(&session->view, session->environment,
					       session->profile, name, &last, err);

	if (status == STATUS_NOT_FOUND)
		return STATUS_OK;
	if (status || !replacement_is_unfinished(last.phase))
		return status;
	return error_set(err, STATUS_CONFLICT,
			 "a replacement of database '" SLICE_FMT "' is unfinished",
			 SLICE_ARG(name));
}

enum status decide_database_detach(struct session *session, const void *args, struct plan *plan,
				   struct error *err)
{
	const struct database_args *wanted = args;
	struct definition attached;
	struct payload *payload = NULL;
	enum status status = database_find(session, wanted->name, &attached, err);

	if (!status)
		status = check_idle(session, wanted->name, err);
	if (status)
		return status;
	payload = plan_event(plan, EVENT_DATABASE_DETACHED);
	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_ENVIRONMENT, session->environment);
	payload_text(payload, FIELD_PROFILE, session->profile);
	payload_text(payload, FIELD_NAME, wanted->name);
	return note(session, plan, PLAN_REMOVED, attached.payload, err);
}
