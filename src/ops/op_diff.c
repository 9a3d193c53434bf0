/*
 * Comparing moments and profiles; see op_diff.h.
 */
#include "ops/op_diff.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "projections/state.h"
#include "store/ref.h"

#include "base/banned.h"

/* A TARGET, resolved. */
struct target {
	struct state_view view;
	uint64_t seq;
	bool is_profile;
	struct slice environment;
	struct slice profile;
};

enum status op_event_number(struct session *session, const char *text, uint64_t *ret,
			    struct error *err)
{
	struct ref_point point;
	enum status status;

	if (text_to_u64(slice_str(text), ret) && *ret >= 1 && *ret <= session->log->size)
		return STATUS_OK;
	status = session_ref(session, text, &point, err);
	if (!status)
		*ret = point.seq;
	return status;
}

static enum status resolve_ref(struct session *session, const char *text, struct target *ret,
			       struct error *err)
{
	struct ref_point point;
	enum status status = session_ref(session, text, &point, err);

	if (status)
		return status;
	ret->seq = point.seq;
	ret->view = session_view_at(session, point.seq);
	return STATUS_OK;
}

/* The environment and profile must stand at the target's moment. */
static enum status find_profile(struct session *session, struct target *target, struct error *err)
{
	struct environment environment;
	struct profile profile;
	struct state_view now = session->view;
	enum status status;

	session->view = target->view;
	status = session_find_environment(session, target->environment, &environment, err);
	if (!status) {
		if (!target->profile.len)
			target->profile = environment.profile;
		status = session_find_profile(session, target->environment, target->profile,
					      &profile, err);
	}
	session->view = now;
	return status;
}

static enum status resolve(struct session *session, const char *text, struct target *ret,
			   struct error *err)
{
	const char *slash = strchr(text, '/');
	const char *at = slash ? strchr(slash, '@') : NULL;
	size_t len = strlen(text);
	enum status status;

	*ret = (struct target){ .is_profile = slash != NULL };
	if (!slash)
		return resolve_ref(session, text, ret, err);
	ret->environment = slice_of(text, (size_t)(slash - text));
	ret->profile = slice_of(slash + 1, (size_t)((at ? at : text + len) - slash - 1));
	/* "@2026-…" is a time and keeps its sign; "@HEAD~3" and "@12" are REFs after it. */
	if (!at)
		status = resolve_ref(session, "HEAD", ret, err);
	else if (at[1] == 'H' || text_to_u64(slice_str(at + 1), &ret->seq))
		status = resolve_ref(session, at + 1, ret, err);
	else
		status = resolve_ref(session, at, ret, err);
	return status ? status : find_profile(session, ret, err);
}

static struct slice describe(struct session *session, const struct target *target)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	if (target->is_profile)
		buf_printf(&text, SLICE_FMT "/" SLICE_FMT "@", SLICE_ARG(target->environment),
			   SLICE_ARG(target->profile));
	buf_printf(&text, "%" PRIu64, target->seq);
	return arena_copy(&session->arena, buf_slice(&text));
}

/* Beside a profile, a bare REF means the same profile at that moment. */
static enum status match(struct session *session, struct target *target, const struct target *other,
			 struct error *err)
{
	if (target->is_profile)
		return STATUS_OK;
	target->is_profile = true;
	target->environment = other->environment;
	target->profile = other->profile;
	return find_profile(session, target, err);
}

static enum status diff_profiles(struct session *session, const struct diff_args *args,
				 struct target *from, struct target *to, struct diff *ret,
				 struct error *err)
{
	enum status status = match(session, from, to, err);
	struct diff_side before, after;

	if (!status)
		status = match(session, to, from, err);
	if (status)
		return status;
	before = (struct diff_side){ &from->view, from->environment, from->profile };
	after = (struct diff_side){ &to->view, to->environment, to->profile };
	return profile_diff(session, &before, &after, args->only, ret, err);
}

static enum status diff_moments(struct session *session, const struct diff_args *args,
				const struct target *from, const struct target *to,
				struct diff *ret, struct error *err)
{
	const struct session_options *options = session->options;
	struct diff_scope scope = { .only = args->only };
	struct environment environment;
	struct profile profile;
	enum status status = STATUS_OK;

	if (options->environment)
		scope.environment = slice_str(options->environment);
	else if (options->profile)
		status = state_active_environment(&session->view, &scope.environment, err);
	if (options->profile)
		scope.profile = slice_str(options->profile);
	/* It may stand at one of the two moments only; where it stands at neither, it is a slip. */
	if (!status && scope.environment.len &&
	    state_environment(&from->view, scope.environment, &environment, NULL))
		status = session_find_environment(session, scope.environment, &environment, err);
	if (!status && scope.profile.len &&
	    state_profile(&from->view, scope.environment, scope.profile, &profile, NULL) &&
	    state_profile(&to->view, scope.environment, scope.profile, &profile, NULL))
		status = session_find_profile(session, scope.environment, scope.profile, &profile,
					      err);
	if (!status)
		status = state_diff(session, &from->view, &to->view, &scope, ret, err);
	return status;
}

enum status op_diff(struct session *session, const struct diff_args *args, struct diff_result *ret,
		    struct error *err)
{
	struct target from, to;
	struct diff diff;
	enum status status = resolve(session, args->from ? args->from : "HEAD~1", &from, err);

	if (!status)
		status = resolve(session, args->to ? args->to : "HEAD", &to, err);
	if (status)
		return status;
	if ((from.is_profile || to.is_profile) &&
	    (session->options->environment || session->options->profile))
		return error_hint(err,
				  error_set(err, STATUS_USAGE,
					    "diff: -e and -p limit a difference of moments"),
				  "two profiles: provenv diff ENV/PROFILE ENV/PROFILE");
	if (from.is_profile || to.is_profile)
		status = diff_profiles(session, args, &from, &to, &diff, err);
	else
		status = diff_moments(session, args, &from, &to, &diff, err);
	if (!status)
		status = diff_describe(session, &from.view, &to.view, &diff, &ret->changes, err);
	if (status)
		return status;
	ret->count = diff.count;
	ret->from = describe(session, &from);
	ret->to = describe(session, &to);
	return STATUS_OK;
}
