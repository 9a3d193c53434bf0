/*
 * Differences between states; see state_diff.h. Every list of the state ascends by name, so each
 * comparison is one walk along two lists.
 */
#include "ops/state_diff.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"

#include "base/banned.h"

struct differ {
	struct session *session;
	const struct state_view *before;
	const struct state_view *after;
	const struct diff_scope *scope;
	struct diff *diff;
	struct error *err;
};

/* A list seen from outside: how to get at item i, its name, and whether two are the same. */
struct list {
	const void *items;
	size_t count;
	size_t size;
};

static const void *item(const struct list *list, size_t i)
{
	return (const uint8_t *)list->items + i * list->size;
}

typedef struct slice (*name_fn)(const void *item);
typedef enum status (*same_fn)(struct differ *differ, const void *before, const void *after,
			       bool *ret);

static int compare_entries(const void *left, const void *right)
{
	const struct diff_entry *a = left, *b = right;
	int order = (a->kind > b->kind) - (a->kind < b->kind);

	if (!order)
		order = slice_compare(a->environment, b->environment);
	if (!order)
		order = slice_compare(a->profile, b->profile);
	return order ? order : slice_compare(a->key, b->key);
}

static enum status add(struct differ *differ, const struct diff_entry *entry)
{
	struct diff *diff = differ->diff;

	diff->entries = arena_grow(&differ->session->arena, diff->entries, diff->count,
				   sizeof(*diff->entries));
	if (!diff->entries)
		return error_no_memory(differ->err);
	diff->entries[diff->count++] = *entry;
	return STATUS_OK;
}

static enum status add_pair(struct differ *differ, const struct diff_entry *like, struct slice key,
			    const void *before, const void *after)
{
	struct diff_entry entry = *like;

	entry.key = key;
	entry.before = before;
	entry.after = after;
	entry.op = !before ? PLAN_ADDED : !after ? PLAN_REMOVED : PLAN_CHANGED;
	if (entry.kind == PLAN_ENVIRONMENT)
		entry.environment = key;
	if (entry.kind == PLAN_PROFILE)
		entry.profile = key;
	return add(differ, &entry);
}

/* Two ascending lists, walked side by side. */
struct walk {
	const struct list *before;
	const struct list *after;
	name_fn name;
	size_t b;
	size_t a;
};

/* The next name of either list, with its item on each side or NULL. */
struct step {
	struct slice name;
	const void *before;
	const void *after;
};

static bool walk_next(struct walk *walk, struct step *ret)
{
	const void *left = walk->b < walk->before->count ? item(walk->before, walk->b) : NULL;
	const void *right = walk->a < walk->after->count ? item(walk->after, walk->a) : NULL;
	int order = -1;

	if (!left && !right)
		return false;
	if (right)
		order = left ? slice_compare(walk->name(left), walk->name(right)) : 1;
	walk->b += order <= 0;
	walk->a += order >= 0;
	ret->before = order <= 0 ? left : NULL;
	ret->after = order >= 0 ? right : NULL;
	ret->name = walk->name(order <= 0 ? left : right);
	return true;
}

/* Add an entry for each thing that differs; @like says what the items of the lists are. */
static enum status compare(struct differ *differ, const struct diff_entry *like, struct walk walk,
			   same_fn same)
{
	enum status status = STATUS_OK;
	struct step step;

	while (!status && walk_next(&walk, &step)) {
		bool equal = false;

		if (step.before && step.after)
			status = same(differ, step.before, step.after, &equal);
		if (!status && !equal)
			status = add_pair(differ, like, step.name, step.before, step.after);
	}
	return status;
}

static struct slice environment_name(const void *at)
{
	return ((const struct environment *)at)->name;
}

static enum status same_environment(struct differ *differ, const void *before, const void *after,
				    bool *ret)
{
	const struct environment *a = before, *b = after;

	(void)differ;
	*ret = a->is_protected == b->is_protected && slice_equal(a->title, b->title) &&
	       slice_equal(a->description, b->description);
	return STATUS_OK;
}

static struct slice profile_name(const void *at)
{
	return ((const struct profile *)at)->name;
}

static enum status same_profile(struct differ *differ, const void *before, const void *after,
				bool *ret)
{
	const struct profile *a = before, *b = after;

	(void)differ;
	*ret = slice_equal(a->base, b->base) && slice_equal(a->title, b->title) &&
	       slice_equal(a->description, b->description);
	return STATUS_OK;
}

static struct slice definition_name(const void *at)
{
	const struct payload *payload = ((const struct definition *)at)->payload;
	bool specifies = payload->type == EVENT_VARIABLE_SPECIFIED;

	return payload_get_text(payload, specifies ? FIELD_KEY : FIELD_NAME);
}

/*
 * For databases of profiles that differ the encodings differ in the profile's name alone; they are
 * only ever compared within one profile, so the bytes decide.
 */
static enum status same_definition(struct differ *differ, const void *before, const void *after,
				   bool *ret)
{
	const struct definition *a = before, *b = after;

	(void)differ;
	*ret = slice_equal(a->bytes, b->bytes);
	return STATUS_OK;
}

static struct slice variable_key(const void *at)
{
	return ((const struct variable *)at)->key;
}

/* The same bytes by place, or by content; sealed values are the same only by place or commitment.
 */
static enum status same_variable(struct differ *differ, const void *before, const void *after,
				 bool *ret)
{
	const struct variable *a = before, *b = after;
	struct variable_value left, right;
	enum status status;

	*ret = a->sealed == b->sealed && a->expand == b->expand;
	if (!*ret || (a->value_seq == b->value_seq && a->value_index == b->value_index))
		return STATUS_OK;
	status = state_value(differ->before, a, &left, differ->err);
	if (!status)
		status = state_value(differ->after, b, &right, differ->err);
	if (!status)
		*ret = a->sealed ? slice_equal(left.commitment, right.commitment)
				 : slice_equal(left.text, right.text);
	return status;
}

static bool key_in_scope(const struct diff_scope *scope, struct slice key)
{
	return scope->only.len == 0 || text_glob_match(scope->only, key);
}

/* The variables of one profile, those in scope, or none when the profile is not there. */
static enum status list_variables(struct differ *differ, const struct diff_side *side,
				  struct list *ret)
{
	struct variable *items = NULL;
	size_t count = 0, kept = 0;
	enum status status = state_variables(side->view, side->environment, side->profile, &items,
					     &count, differ->err);

	if (status)
		return status;
	for (size_t i = 0; i < count; i++) {
		if (key_in_scope(differ->scope, items[i].key))
			items[kept++] = items[i];
	}
	*ret = (struct list){ .items = items, .count = kept, .size = sizeof(*items) };
	return STATUS_OK;
}

static enum status diff_variables(struct differ *differ, const struct diff_side *before,
				  const struct diff_side *after)
{
	struct diff_entry like = { .kind = PLAN_VARIABLE,
				   .environment = after->environment,
				   .profile = after->profile };
	struct list left, right;
	enum status status = list_variables(differ, before, &left);

	if (!status)
		status = list_variables(differ, after, &right);
	if (!status)
		status = compare(differ, &like, (struct walk){ &left, &right, variable_key, 0, 0 },
				 same_variable);
	return status;
}

static enum status list_databases(struct differ *differ, const struct diff_side *side,
				  struct list *ret)
{
	struct definition *items = NULL;
	size_t count = 0;
	enum status status = state_databases(side->view, side->environment, side->profile, &items,
					     &count, differ->err);

	*ret = (struct list){ .items = items, .count = count, .size = sizeof(*items) };
	return status;
}

static enum status diff_databases(struct differ *differ, const struct diff_side *before,
				  const struct diff_side *after)
{
	struct diff_entry like = { .kind = PLAN_DATABASE,
				   .environment = after->environment,
				   .profile = after->profile };
	struct list left, right;
	enum status status = list_databases(differ, before, &left);

	if (!status)
		status = list_databases(differ, after, &right);
	if (!status)
		status = compare(differ, &like,
				 (struct walk){ &left, &right, definition_name, 0, 0 },
				 same_definition);
	return status;
}

/* Variables and databases of one profile, which may be missing on a side. */
static enum status diff_profile(struct differ *differ, struct slice environment,
				struct slice profile)
{
	struct diff_side before = { differ->before, environment, profile };
	struct diff_side after = { differ->after, environment, profile };
	enum status status = diff_variables(differ, &before, &after);

	if (!status && differ->scope->only.len == 0)
		status = diff_databases(differ, &before, &after);
	return status;
}

static enum status list_profiles(struct differ *differ, const struct state_view *view,
				 struct slice environment, struct list *ret)
{
	struct profile *items = NULL;
	size_t count = 0, kept = 0;
	enum status status = state_profiles(view, environment, &items, &count, differ->err);

	for (size_t i = 0; i < count; i++) {
		if (!differ->scope->profile.len ||
		    slice_equal(items[i].name, differ->scope->profile))
			items[kept++] = items[i];
	}
	*ret = (struct list){ .items = items, .count = kept, .size = sizeof(*items) };
	return status;
}

static enum status diff_active(struct differ *differ, struct slice environment, const char *what,
			       struct slice before, struct slice after)
{
	struct diff_entry entry = {
		.kind = PLAN_ACTIVE,
		.op = before.len ? PLAN_CHANGED : PLAN_ADDED,
		.environment = environment,
		.key = slice_str(what),
	};
	struct slice *names;

	if (slice_equal(before, after) || after.len == 0)
		return STATUS_OK;
	names = arena_array(&differ->session->arena, 2, sizeof(*names));
	if (!names)
		return error_no_memory(differ->err);
	names[0] = before;
	names[1] = after;
	entry.before = before.len ? &names[0] : NULL;
	entry.after = &names[1];
	return add(differ, &entry);
}

/* Everything within one environment. The environment itself may be missing on a side. */
static enum status diff_within(struct differ *differ, struct slice name,
			       const struct environment *before, const struct environment *after)
{
	struct diff_entry like = { .kind = PLAN_PROFILE, .environment = name };
	struct list left, right;
	struct walk walk = { &left, &right, profile_name, 0, 0 };
	struct step step;
	enum status status = list_profiles(differ, differ->before, name, &left);

	if (!status)
		status = list_profiles(differ, differ->after, name, &right);
	if (!status && differ->scope->only.len == 0)
		status = compare(differ, &like, (struct walk){ &left, &right, profile_name, 0, 0 },
				 same_profile);
	while (!status && walk_next(&walk, &step))
		status = diff_profile(differ, name, step.name);
	if (!status && before && after && !differ->scope->only.len && !differ->scope->profile.len)
		status = diff_active(differ, name, "profile", before->profile, after->profile);
	return status;
}

static enum status list_environments(struct differ *differ, const struct state_view *view,
				     struct list *ret)
{
	struct environment *items = NULL;
	size_t count = 0, kept = 0;
	enum status status = state_environments(view, &items, &count, differ->err);

	for (size_t i = 0; i < count; i++) {
		if (!differ->scope->environment.len ||
		    slice_equal(items[i].name, differ->scope->environment))
			items[kept++] = items[i];
	}
	*ret = (struct list){ .items = items, .count = kept, .size = sizeof(*items) };
	return status;
}

static enum status diff_environments(struct differ *differ)
{
	struct diff_entry like = { .kind = PLAN_ENVIRONMENT };
	bool whole = !differ->scope->only.len && !differ->scope->profile.len;
	struct list left, right;
	struct walk walk = { &left, &right, environment_name, 0, 0 };
	struct step step;
	enum status status = list_environments(differ, differ->before, &left);

	if (!status)
		status = list_environments(differ, differ->after, &right);
	if (!status && whole)
		status = compare(differ, &like,
				 (struct walk){ &left, &right, environment_name, 0, 0 },
				 same_environment);
	while (!status && walk_next(&walk, &step))
		status = diff_within(differ, step.name, step.before, step.after);
	return status;
}

static enum status diff_catalogue(struct differ *differ)
{
	struct diff_entry category = { .kind = PLAN_CATEGORY };
	struct diff_entry specification = { .kind = PLAN_SPECIFICATION };
	struct definition *before = NULL, *after = NULL;
	struct list left = { .size = sizeof(*before) }, right = { .size = sizeof(*after) };
	enum status status = state_categories(differ->before, &before, &left.count, differ->err);

	if (!status)
		status = state_categories(differ->after, &after, &right.count, differ->err);
	left.items = before;
	right.items = after;
	if (!status)
		status = compare(differ, &category,
				 (struct walk){ &left, &right, definition_name, 0, 0 },
				 same_definition);
	if (!status)
		status = state_specifications(differ->before, &before, &left.count, differ->err);
	if (!status)
		status = state_specifications(differ->after, &after, &right.count, differ->err);
	left.items = before;
	right.items = after;
	if (!status)
		status = compare(differ, &specification,
				 (struct walk){ &left, &right, definition_name, 0, 0 },
				 same_definition);
	return status;
}

enum status state_diff(struct session *session, const struct state_view *before,
		       const struct state_view *after, const struct diff_scope *scope,
		       struct diff *ret, struct error *err)
{
	struct differ differ = { session, before, after, scope, ret, err };
	struct slice was, is;
	enum status status = STATUS_OK;

	*ret = (struct diff){ .count = 0 };
	if (!scope->environment.len && !scope->only.len) {
		status = diff_catalogue(&differ);
		if (!status)
			status = state_active_environment(before, &was, err);
		if (!status)
			status = state_active_environment(after, &is, err);
		if (!status)
			status = diff_active(&differ, slice_of("", 0), "environment", was, is);
	}
	if (!status)
		status = diff_environments(&differ);
	if (!status && ret->count)
		qsort(ret->entries, ret->count, sizeof(*ret->entries), compare_entries);
	return status;
}

enum status profile_diff(struct session *session, const struct diff_side *before,
			 const struct diff_side *after, struct slice only, struct diff *ret,
			 struct error *err)
{
	struct diff_scope scope = { .only = only };
	struct differ differ = { session, before->view, after->view, &scope, ret, err };

	*ret = (struct diff){ .count = 0 };
	return diff_variables(&differ, before, after);
}

const struct diff_entry *diff_find(const struct diff *diff, const struct diff_entry *like)
{
	if (diff->count == 0)
		return NULL;
	return bsearch(like, diff->entries, diff->count, sizeof(*diff->entries), compare_entries);
}

/* One side of an entry in words. */
struct side_words {
	struct slice text;
	bool secret;
};

static enum status describe_side(const struct state_view *view, enum plan_kind kind, const void *at,
				 struct side_words *ret, struct error *err)
{
	struct variable_value value;
	enum status status = STATUS_OK;

	*ret = (struct side_words){ .secret = false };
	if (!at)
		return STATUS_OK;
	switch (kind) {
	case PLAN_VARIABLE:
		status = state_value(view, at, &value, err);
		if (!status)
			ret->text = value.text;
		ret->secret = ((const struct variable *)at)->sealed;
		break;
	case PLAN_ENVIRONMENT:
		ret->text = slice_str(((const struct environment *)at)->is_protected ? "protected"
										     : "");
		break;
	case PLAN_SPECIFICATION:
		ret->text = payload_get_text(((const struct definition *)at)->payload, FIELD_TYPE);
		break;
	case PLAN_DATABASE:
		ret->text = payload_get_text(((const struct definition *)at)->payload, FIELD_PATH);
		break;
	case PLAN_ACTIVE:
		ret->text = *(const struct slice *)at;
		break;
	case PLAN_PROFILE:
	case PLAN_CATEGORY:
	case PLAN_STORE:
	default:
		break;
	}
	return status;
}

enum status diff_describe(struct session *session, const struct state_view *before,
			  const struct state_view *after, const struct diff *diff,
			  struct plan_change **ret, struct error *err)
{
	struct plan_change *changes = arena_array(&session->arena, diff->count, sizeof(*changes));
	enum status status = STATUS_OK;

	if (!changes)
		return error_no_memory(err);
	for (size_t i = 0; i < diff->count && !status; i++) {
		const struct diff_entry *entry = &diff->entries[i];
		struct plan_change *change = &changes[i];
		struct side_words was = { .secret = false }, is = { .secret = false };

		*change = (struct plan_change){
			.kind = entry->kind,
			.op = entry->op,
			.environment = entry->environment,
			.profile = entry->profile,
			.key = entry->key,
		};
		status = describe_side(before, entry->kind, entry->before, &was, err);
		if (!status)
			status = describe_side(after, entry->kind, entry->after, &is, err);
		change->before = was.text;
		change->before_secret = was.secret;
		change->after = is.text;
		change->after_secret = is.secret;
	}
	if (!status)
		*ret = changes;
	return status;
}
