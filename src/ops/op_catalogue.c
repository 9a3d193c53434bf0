/*
 * Decisions about categories and specifications; see op_catalogue.h.
 */
#include "ops/op_catalogue.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/catalogue.h"
#include "ops/op_profile.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "ops/value_check.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

static enum status note(struct plan *plan, enum plan_kind kind, enum plan_op op, struct slice name,
			struct error *err)
{
	return plan_note(plan, &(struct plan_change){ .kind = kind, .op = op, .key = name }, err);
}

/* Plan @payload unless it says what @before says already. */
static enum status plan_definition(struct plan *plan, const struct payload *payload,
				   const struct definition *before, struct error *err)
{
	bool specifies = payload->type == EVENT_VARIABLE_SPECIFIED;
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct payload *planned;
	enum status status = payload_encode(payload, &bytes, err);

	if (status || (before && slice_equal(buf_slice(&bytes), before->bytes)))
		return status;
	planned = plan_event(plan, payload->type);
	if (!planned)
		return error_no_memory(err);
	*planned = *payload;
	return note(plan, specifies ? PLAN_SPECIFICATION : PLAN_CATEGORY,
		    before ? PLAN_CHANGED : PLAN_ADDED,
		    payload_get_text(payload, specifies ? FIELD_KEY : FIELD_NAME), err);
}

enum status decide_category_set(struct session *session, const void *category_args,
				struct plan *plan, struct error *err)
{
	const struct category_args *args = category_args;
	struct definition before;
	struct payload payload;
	enum status status = state_category(&session->view, args->name, &before, err);
	bool exists = status == STATUS_OK;

	if (status && status != STATUS_NOT_FOUND)
		return status;
	if (!text_is_name(args->name))
		return error_set(err, STATUS_USAGE, "not a name for a category");
	if (exists) {
		payload = *before.payload;
	} else {
		payload_init(&payload, EVENT_CATEGORY_DEFINED);
		payload_text(&payload, FIELD_NAME, args->name);
		payload_bool(&payload, FIELD_PLANNED, false);
	}
	if (args->planned_given)
		payload_bool(&payload, FIELD_PLANNED, args->planned);
	status = payload_set_texts(&session->arena, &payload, args->title, args->description, err);
	if (!status)
		status = plan_definition(plan, &payload, exists ? &before : NULL, err);
	return status;
}

/* The name or key nearest to @wanted; NULL when none is near. */
static enum status find_nearest(struct session *session, const struct definition *all, size_t count,
				struct slice wanted, const char **ret, struct error *err)
{
	const char **names = (const char **)arena_array(&session->arena, count, sizeof(*names));

	if (!names)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		bool specifies = all[i].payload->type == EVENT_VARIABLE_SPECIFIED;

		names[i] =
			session_str(session, payload_get_text(all[i].payload,
							      specifies ? FIELD_KEY : FIELD_NAME));
	}
	*ret = text_nearest(session_str(session, wanted), names, count);
	return STATUS_OK;
}

/* "no such category", naming the nearest. */
static enum status unknown_category(struct session *session, struct slice name, struct error *err)
{
	struct definition *all;
	const char *nearest;
	size_t count;
	enum status status = state_categories(&session->view, &all, &count, err);

	if (!status)
		status = find_nearest(session, all, count, name, &nearest, err);
	if (status)
		return status;
	(void)error_set(err, STATUS_NOT_FOUND, "no such category: '" SLICE_FMT "'",
			SLICE_ARG(name));
	if (nearest)
		return error_hint(err, STATUS_NOT_FOUND, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_NOT_FOUND, "make it: provenv category set NAME");
}

enum status op_find_category(struct session *session, struct slice name, struct definition *ret,
			     struct error *err)
{
	enum status status = state_category(&session->view, name, ret, err);

	return status == STATUS_NOT_FOUND ? unknown_category(session, name, err) : status;
}

enum status decide_category_remove(struct session *session, const void *category_args,
				   struct plan *plan, struct error *err)
{
	const struct category_args *args = category_args;
	struct definition category, *specifications;
	struct payload *payload = NULL;
	size_t count;
	enum status status = op_find_category(session, args->name, &category, err);

	if (!status)
		status = state_specifications(&session->view, &specifications, &count, err);
	if (status)
		return status;
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(payload_get_text(specifications[i].payload, FIELD_CATEGORY),
				args->name))
			return error_hint(
				err,
				error_set(err, STATUS_DENIED,
					  "category '" SLICE_FMT
					  "' is named by the specification of '" SLICE_FMT "'",
					  SLICE_ARG(args->name),
					  SLICE_ARG(payload_get_text(specifications[i].payload,
								     FIELD_KEY))),
				"give those variables another category first");
	}
	payload = plan_event(plan, EVENT_CATEGORY_REMOVED);
	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_NAME, args->name);
	return note(plan, PLAN_CATEGORY, PLAN_REMOVED, args->name, err);
}

static void set_text(struct payload *payload, enum event_field field, const char *text)
{
	if (!text)
		return;
	payload->field[field].present = false;
	if (*text)
		payload_str(payload, field, text);
}

static enum status set_enum(struct session *session, struct payload *payload, const char *list,
			    struct error *err)
{
	size_t count = 1;
	struct slice *entries;

	if (!list)
		return STATUS_OK;
	payload->field[FIELD_ENUM].present = false;
	if (!*list)
		return STATUS_OK;
	for (const char *at = list; *at; at++)
		count += *at == ',';
	entries = arena_array(&session->arena, count, sizeof(*entries));
	if (!entries)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		const char *end = strchr(list, ',');
		size_t len = end ? (size_t)(end - list) : strlen(list);

		entries[i] = slice_of(list, len);
		list += len + (end ? 1 : 0);
	}
	payload_texts(payload, FIELD_ENUM, (struct texts){ .entries = entries, .count = count });
	return STATUS_OK;
}

static enum status fill_specification(struct session *session,
				      const struct specification_args *args,
				      struct payload *payload, struct error *err)
{
	set_text(payload, FIELD_TYPE, args->type);
	set_text(payload, FIELD_CATEGORY, args->category);
	set_text(payload, FIELD_PATTERN, args->pattern);
	set_text(payload, FIELD_MIN, args->min);
	set_text(payload, FIELD_MAX, args->max);
	set_text(payload, FIELD_UNIT, args->unit);
	set_text(payload, FIELD_EXAMPLE, args->example);
	set_text(payload, FIELD_DEFAULT, args->default_value);
	if (args->required)
		payload_bool(payload, FIELD_REQUIRED, true);
	if (args->secret)
		payload_bool(payload, FIELD_SECRET, true);
	if (!args->type && !payload->field[FIELD_TYPE].present)
		payload_str(payload, FIELD_TYPE, args->enum_list ? "enum" : "string");
	if (payload_set_texts(&session->arena, payload, args->title, args->description, err))
		return err ? err->status : STATUS_USAGE;
	return set_enum(session, payload, args->enum_list, err);
}

static enum status check_category(struct session *session, const struct payload *payload,
				  struct error *err)
{
	struct slice name = payload_get_text(payload, FIELD_CATEGORY);
	struct definition category;

	return name.len ? op_find_category(session, name, &category, err) : STATUS_OK;
}

/* The same for a specification. Making a key secret takes nothing back that was plain before. */
static enum status plan_specification(struct session *session, struct plan *plan,
				      const struct payload *payload,
				      const struct definition *before, struct error *err)
{
	struct slice key = payload_get_text(payload, FIELD_KEY);
	bool was_plain = false;
	enum status status = plan_definition(plan, payload, before, err);

	if (status || !payload_get_bool(payload, FIELD_SECRET) ||
	    (before && payload_get_bool(before->payload, FIELD_SECRET)))
		return status;
	status = state_was_plain(&session->view, key, &was_plain, err);
	if (status || !was_plain)
		return status;
	plan->exposed =
		arena_grow(plan->arena, plan->exposed, plan->exposed_count, sizeof(*plan->exposed));
	if (!plan->exposed)
		return error_no_memory(err);
	plan->exposed[plan->exposed_count++] = key;
	return STATUS_OK;
}

enum status decide_specification_set(struct session *session, const void *specification_args,
				     struct plan *plan, struct error *err)
{
	const struct specification_args *args = specification_args;
	struct definition before;
	struct payload payload;
	bool exists;
	enum status status;

	if (!text_is_key(args->key))
		return error_set(err, STATUS_USAGE, "not a variable's key");
	status = state_specification(&session->view, args->key, &before, err);
	if (status && status != STATUS_NOT_FOUND)
		return status;
	exists = status == STATUS_OK;
	if (exists) {
		payload = *before.payload;
	} else {
		payload_init(&payload, EVENT_VARIABLE_SPECIFIED);
		payload_text(&payload, FIELD_KEY, args->key);
		payload_bool(&payload, FIELD_REQUIRED, false);
		payload_bool(&payload, FIELD_SECRET, false);
	}
	status = fill_specification(session, args, &payload, err);
	if (!status)
		status = specification_check(&payload, err);
	if (!status)
		status = check_category(session, &payload, err);
	if (!status)
		status = plan_specification(session, plan, &payload, exists ? &before : NULL, err);
	return status;
}

enum status op_find_specification(struct session *session, struct slice key, struct definition *ret,
				  struct error *err)
{
	struct definition *all;
	const char *nearest;
	size_t count;
	enum status status = state_specification(&session->view, key, ret, err);

	if (status != STATUS_NOT_FOUND)
		return status;
	status = state_specifications(&session->view, &all, &count, err);
	if (!status)
		status = find_nearest(session, all, count, key, &nearest, err);
	if (status)
		return status;
	(void)error_set(err, STATUS_NOT_FOUND, "'" SLICE_FMT "' has no specification",
			SLICE_ARG(key));
	if (nearest)
		return error_hint(err, STATUS_NOT_FOUND, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_NOT_FOUND, "list them: provenv spec ls");
}

enum status decide_specification_remove(struct session *session, const void *specification_args,
					struct plan *plan, struct error *err)
{
	const struct specification_args *args = specification_args;
	struct definition before;
	struct payload *payload = NULL;
	enum status status = op_find_specification(session, args->key, &before, err);

	if (status)
		return status;
	payload = plan_event(plan, EVENT_VARIABLE_UNSPECIFIED);
	if (!payload)
		return error_no_memory(err);
	payload_text(payload, FIELD_KEY, args->key);
	return note(plan, PLAN_SPECIFICATION, PLAN_REMOVED, args->key, err);
}

static bool in_catalogue(const struct catalogue *catalogue, struct slice name)
{
	for (size_t i = 0; i < catalogue->category_count; i++) {
		if (slice_equal(payload_get_text(catalogue->categories[i], FIELD_NAME), name))
			return true;
	}
	return false;
}

static enum status import_categories(struct session *session, const struct catalogue *catalogue,
				     struct plan *plan, struct error *err)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < catalogue->category_count && !status; i++) {
		const struct payload *payload = catalogue->categories[i];
		struct definition before;

		status = state_category(&session->view, payload_get_text(payload, FIELD_NAME),
					&before, err);
		if (status && status != STATUS_NOT_FOUND)
			return status;
		status = plan_definition(plan, payload, status ? NULL : &before, err);
	}
	return status;
}

enum status decide_catalogue_import(struct session *session, const void *catalogue_args,
				    struct plan *plan, struct error *err)
{
	const struct catalogue *catalogue = catalogue_args;
	enum status status = import_categories(session, catalogue, plan, err);

	for (size_t i = 0; i < catalogue->specification_count && !status; i++) {
		const struct payload *payload = catalogue->specifications[i];
		struct definition before;

		if (!in_catalogue(catalogue, payload_get_text(payload, FIELD_CATEGORY)))
			status = check_category(session, payload, err);
		if (status)
			return status;
		status = state_specification(&session->view, payload_get_text(payload, FIELD_KEY),
					     &before, err);
		if (status && status != STATUS_NOT_FOUND)
			return status;
		status = plan_specification(session, plan, payload, status ? NULL : &before, err);
	}
	return status;
}

static enum status payloads_of(struct session *session, const struct definition *definitions,
			       size_t count, const struct payload ***ret, struct error *err)
{
	const struct payload **items = (const struct payload **)arena_array(
		&session->arena, count, sizeof(struct payload *));

	if (!items)
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		items[i] = definitions[i].payload;
	*ret = items;
	return STATUS_OK;
}

enum status op_catalogue_export(struct session *session, struct catalogue *ret, struct error *err)
{
	struct definition *categories, *specifications;
	struct catalogue catalogue = { .category_count = 0 };
	enum status status =
		state_categories(&session->view, &categories, &catalogue.category_count, err);

	if (!status)
		status = state_specifications(&session->view, &specifications,
					      &catalogue.specification_count, err);
	if (!status)
		status = payloads_of(session, categories, catalogue.category_count,
				     &catalogue.categories, err);
	if (!status)
		status = payloads_of(session, specifications, catalogue.specification_count,
				     &catalogue.specifications, err);
	if (!status)
		*ret = catalogue;
	return status;
}

static enum status plan_all(struct plan *plan, const struct payload *const *payloads, size_t count,
			    struct error *err)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < count && !status; i++)
		status = plan_definition(plan, payloads[i], NULL, err);
	return status;
}

enum status plan_catalogue(struct plan *plan, const struct catalogue *catalogue, struct error *err)
{
	enum status status;

	for (size_t i = 0; i < catalogue->specification_count; i++) {
		const struct payload *payload = catalogue->specifications[i];
		struct slice category = payload_get_text(payload, FIELD_CATEGORY);

		if (category.len && !in_catalogue(catalogue, category))
			return error_set(err, STATUS_USAGE,
					 "catalogue: '" SLICE_FMT "' names category '" SLICE_FMT
					 "', which is not in it",
					 SLICE_ARG(payload_get_text(payload, FIELD_KEY)),
					 SLICE_ARG(category));
	}
	status = plan_all(plan, catalogue->categories, catalogue->category_count, err);
	if (!status)
		status = plan_all(plan, catalogue->specifications, catalogue->specification_count,
				  err);
	return status;
}
