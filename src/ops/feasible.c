/*
 * Rules of apply, asked of a difference before it is written; see feasible.h.
 *
 * What stands afterwards is what the difference says of it, else what stands now. Additions are
 * appended before removals, so whatever is added may rely on what is added with it.
 */
#include "ops/feasible.h"

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/state_diff.h"
#include "projections/state.h"
#include "store/event.h"

#include "base/banned.h"

struct feasibility {
	struct session *session;
	const struct diff *diff;
	struct error *err;
};

/* What the difference says of a thing; NULL: nothing, it stays as it is. */
static const struct diff_entry *find(const struct feasibility *at, enum plan_kind kind,
				     struct slice environment, struct slice profile,
				     struct slice key)
{
	struct diff_entry like = {
		.kind = kind, .environment = environment, .profile = profile, .key = key
	};

	return diff_find(at->diff, &like);
}

static enum status found(enum status status, bool *ret)
{
	*ret = status == STATUS_OK;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status environment_stands(const struct feasibility *at, struct slice name, bool *ret)
{
	const struct diff_entry *entry = find(at, PLAN_ENVIRONMENT, name, slice_of(NULL, 0), name);
	struct environment environment;

	*ret = entry && entry->op != PLAN_REMOVED;
	if (entry)
		return STATUS_OK;
	return found(state_environment(&at->session->view, name, &environment, at->err), ret);
}

static enum status profile_stands(const struct feasibility *at, struct slice environment,
				  struct slice name, bool *ret)
{
	const struct diff_entry *entry = find(at, PLAN_PROFILE, environment, name, name);
	struct profile profile;
	enum status status = environment_stands(at, environment, ret);

	if (status || !*ret)
		return status;
	*ret = entry && entry->op != PLAN_REMOVED;
	if (entry)
		return STATUS_OK;
	return found(state_profile(&at->session->view, environment, name, &profile, at->err), ret);
}

static enum status gone(const struct feasibility *at, const char *what, struct slice name)
{
	return error_hint(
		at->err,
		error_set(at->err, STATUS_CONFLICT,
			  "the %s '" SLICE_FMT "' that this needs is gone", what, SLICE_ARG(name)),
		"bring it back first: provenv rollback --to REF, with -e and -p as needed");
}

static enum status need_environment(const struct feasibility *at, struct slice name)
{
	bool stands = false;
	enum status status = environment_stands(at, name, &stands);

	return status || stands ? status : gone(at, "environment", name);
}

static enum status need_profile(const struct feasibility *at, struct slice environment,
				struct slice name)
{
	bool stands = false;
	enum status status = need_environment(at, environment);

	if (!status)
		status = profile_stands(at, environment, name, &stands);
	return status || stands ? status : gone(at, "profile", name);
}

/* The category that a specification names must stand. */
static enum status need_category(const struct feasibility *at, const struct diff_entry *entry)
{
	const struct definition *specification = entry->after;
	struct slice name = payload_get_text(specification->payload, FIELD_CATEGORY);
	const struct diff_entry *category =
		find(at, PLAN_CATEGORY, slice_of(NULL, 0), slice_of(NULL, 0), name);
	struct definition definition;
	bool stands = category && category->op != PLAN_REMOVED;
	enum status status = STATUS_OK;

	if (name.len == 0)
		return STATUS_OK;
	if (!category)
		status = found(state_category(&at->session->view, name, &definition, at->err),
			       &stands);
	return status || stands ? status : gone(at, "category", name);
}

/* The base of a profile that stands afterwards; empty: none. */
static enum status base_then(const struct feasibility *at, struct slice environment,
			     struct slice name, struct slice *ret)
{
	const struct diff_entry *entry = find(at, PLAN_PROFILE, environment, name, name);
	struct profile now = { .active = false };
	enum status status = STATUS_OK;

	if (!entry)
		status = state_profile(&at->session->view, environment, name, &now, at->err);
	else if (entry->after)
		now = *(const struct profile *)entry->after;
	*ret = now.base;
	return status;
}

/*
 * The base must stand, and following bases must not lead back. They may lead into a circle of
 * others, which is noticed where the walk comes to `mark` again (as in projections/apply_rules.c).
 */
static enum status need_base(const struct feasibility *at, const struct diff_entry *entry)
{
	struct slice name = ((const struct profile *)entry->after)->base;
	struct slice mark = slice_of("", 0);
	enum status status = need_environment(at, entry->environment);

	for (uint64_t steps = 1; !status && name.len; steps++) {
		if (slice_equal(name, entry->key) || slice_equal(name, mark))
			return error_set(at->err, STATUS_CONFLICT,
					 "the profile '" SLICE_FMT "' would be its own base",
					 SLICE_ARG(name));
		if ((steps & (steps - 1)) == 0)
			mark = name;
		status = need_profile(at, entry->environment, name);
		if (!status)
			status = base_then(at, entry->environment, name, &name);
	}
	return status;
}

static enum status check_put(const struct feasibility *at, const struct diff_entry *entry)
{
	switch (entry->kind) {
	case PLAN_PROFILE:
		return need_base(at, entry);
	case PLAN_VARIABLE:
	case PLAN_DATABASE:
		return need_profile(at, entry->environment, entry->profile);
	case PLAN_ACTIVE:
		if (entry->environment.len == 0)
			return need_environment(at, *(const struct slice *)entry->after);
		return need_profile(at, entry->environment, *(const struct slice *)entry->after);
	case PLAN_SPECIFICATION:
		return need_category(at, entry);
	case PLAN_ENVIRONMENT:
	case PLAN_CATEGORY:
	case PLAN_STORE:
	default:
		return STATUS_OK;
	}
}

/* The active environment, or profile of @environment, once the difference is carried out. */
static enum status active_then(const struct feasibility *at, struct slice environment,
			       struct slice *ret)
{
	const struct diff_entry *entry =
		find(at, PLAN_ACTIVE, environment, slice_of(NULL, 0),
		     slice_str(environment.len ? "profile" : "environment"));
	struct environment now = { .active = false };
	enum status status = STATUS_OK;

	if (entry) {
		*ret = *(const struct slice *)entry->after;
	} else if (environment.len == 0) {
		status = state_active_environment(&at->session->view, ret, at->err);
	} else {
		status = state_environment(&at->session->view, environment, &now, at->err);
		*ret = now.profile;
	}
	return status;
}

static enum status not_active(const struct feasibility *at, const char *what, const char *command,
			      struct slice environment, struct slice name)
{
	struct slice active = { .len = 0 };
	enum status status = active_then(at, environment, &active);

	if (status || !slice_equal(active, name))
		return status;
	return error_hint(at->err,
			  error_set(at->err, STATUS_DENIED,
				    "this would remove the %s '" SLICE_FMT "', the active one",
				    what, SLICE_ARG(name)),
			  "switch to another first: provenv %s switch NAME", command);
}

static enum status category_unused(const struct feasibility *at, struct slice name)
{
	struct definition *all;
	size_t count;
	enum status status = state_specifications(&at->session->view, &all, &count, at->err);

	for (size_t i = 0; !status && i < count; i++) {
		struct slice key = payload_get_text(all[i].payload, FIELD_KEY);
		const struct payload *then = all[i].payload;
		const struct diff_entry *entry =
			find(at, PLAN_SPECIFICATION, slice_of(NULL, 0), slice_of(NULL, 0), key);

		if (entry && entry->op == PLAN_REMOVED)
			continue;
		if (entry)
			then = ((const struct definition *)entry->after)->payload;
		if (slice_equal(payload_get_text(then, FIELD_CATEGORY), name))
			return error_set(at->err, STATUS_DENIED,
					 "this would remove the category '" SLICE_FMT
					 "', which the specification of '" SLICE_FMT "' names",
					 SLICE_ARG(name), SLICE_ARG(key));
	}
	return status;
}

static enum status base_unused(const struct feasibility *at, const struct diff_entry *entry)
{
	struct profile *all;
	size_t count;
	enum status status =
		state_profiles(&at->session->view, entry->environment, &all, &count, at->err);

	for (size_t i = 0; !status && i < count; i++) {
		struct slice base;

		status = base_then(at, entry->environment, all[i].name, &base);
		if (!status && slice_equal(base, entry->key))
			return error_set(at->err, STATUS_DENIED,
					 "this would remove the profile '" SLICE_FMT
					 "', the base of '" SLICE_FMT "'",
					 SLICE_ARG(entry->key), SLICE_ARG(all[i].name));
	}
	return status;
}

static enum status check_removal(const struct feasibility *at, const struct diff_entry *entry)
{
	bool stands = false;
	enum status status;

	switch (entry->kind) {
	case PLAN_ENVIRONMENT:
		return not_active(at, "environment", "env", slice_of("", 0), entry->key);
	case PLAN_PROFILE:
		/* With its environment the active profile may go. */
		status = environment_stands(at, entry->environment, &stands);
		if (status || !stands)
			return status;
		status = not_active(at, "profile", "profile", entry->environment, entry->key);
		return status ? status : base_unused(at, entry);
	case PLAN_CATEGORY:
		return category_unused(at, entry->key);
	case PLAN_VARIABLE:
	case PLAN_DATABASE:
	case PLAN_SPECIFICATION:
	case PLAN_ACTIVE:
	case PLAN_STORE:
	default:
		return STATUS_OK;
	}
}

enum status check_feasible(struct session *session, const struct diff *diff, struct error *err)
{
	struct feasibility at = { session, diff, err };
	enum status status = STATUS_OK;

	for (size_t i = 0; i < diff->count && !status; i++) {
		const struct diff_entry *entry = &diff->entries[i];

		status = entry->op == PLAN_REMOVED ? check_removal(&at, entry)
						   : check_put(&at, entry);
	}
	return status;
}
