/*
 * A specification against itself; see value_check.h.
 *
 * Invariants: every text begins with the field's name and a colon. Values in it are judged by the
 * rules that it sets for others.
 */
#include "ops/value_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/pattern.h"
#include "ops/value_rules.h"
#include "store/event.h"

#include "base/banned.h"

static enum status unknown_type(struct slice type, struct error *err)
{
	AUTO(buf_release) struct buf word = BUF_INIT;
	AUTO(buf_release) struct buf list = BUF_INIT;
	const char *nearest;
	enum status status;

	value_show_text(&word, type);
	for (size_t i = 0; i < TYPE_COUNT; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", value_types[i]);
	status = buf_status(&list, err);
	if (status)
		return status;
	(void)error_set(err, STATUS_USAGE, "type: '%s' is not one of %s", buf_str(&word),
			buf_str(&list));
	nearest = text_nearest(buf_str(&word), value_types, TYPE_COUNT);
	if (nearest)
		return error_hint(err, STATUS_USAGE, "did you mean '%s'?", nearest);
	return STATUS_USAGE;
}

static enum status check_own_pattern(const struct payload *specification, struct error *err)
{
	AUTO(pattern_release) struct pattern pattern = PATTERN_INIT;
	enum status status;

	if (!specification->field[FIELD_PATTERN].present)
		return STATUS_OK;
	status = pattern_compile(&pattern, payload_get_text(specification, FIELD_PATTERN), err);
	return status ? error_prefix(err, status, "pattern") : STATUS_OK;
}

static enum status check_bound(const struct payload *specification, enum value_type type,
			       enum event_field field, struct error *err)
{
	const char *name = event_field_info(field)->name;
	struct slice bound = payload_get_text(specification, field);
	AUTO(buf_release) struct buf shown = BUF_INIT;
	int64_t ignored;

	if (!specification->field[field].present)
		return STATUS_OK;
	if (!value_type_is_number(type))
		return error_set(err, STATUS_USAGE, "%s: only int and decimal have bounds, not %s",
				 name, value_types[type]);
	value_show(&shown, bound);
	if (!text_is_decimal(bound))
		return error_set(err, STATUS_USAGE, "%s: %s is not a decimal number", name,
				 buf_str(&shown));
	if (type == TYPE_INT && !text_to_i64(bound, &ignored))
		return error_set(err, STATUS_USAGE,
				 "%s: %s is not an int: digits with an optional '-', no '+', no "
				 "leading zeros, 64 bits",
				 name, buf_str(&shown));
	return STATUS_OK;
}

static enum status check_own_bounds(const struct payload *specification, enum value_type type,
				    struct error *err)
{
	struct slice min = payload_get_text(specification, FIELD_MIN);
	struct slice max = payload_get_text(specification, FIELD_MAX);
	enum status status = check_bound(specification, type, FIELD_MIN, err);

	if (!status)
		status = check_bound(specification, type, FIELD_MAX, err);
	if (status || !specification->field[FIELD_MIN].present ||
	    !specification->field[FIELD_MAX].present || text_compare_decimal(min, max) <= 0)
		return status;
	return error_set(err, STATUS_USAGE, "min: " SLICE_FMT " is over max " SLICE_FMT,
			 SLICE_ARG(min), SLICE_ARG(max));
}

/* The list fits the type, and every entry could be a value. */
static enum status check_own_enum(const struct payload *specification, enum value_type type,
				  struct error *err)
{
	const struct field_value *field = &specification->field[FIELD_ENUM];
	struct judged check = {
		.specification = specification,
		.type = type,
		.refusal = STATUS_USAGE,
		.err = err,
	};
	enum status status = STATUS_OK;
	char subject[32];

	if (!field->present && type == TYPE_ENUM)
		return error_set(err, STATUS_USAGE, "enum: type enum needs the allowed values");
	if (!field->present)
		return STATUS_OK;
	if (type != TYPE_ENUM && type != TYPE_STRING && type != TYPE_INT)
		return error_set(err, STATUS_USAGE,
				 "enum: only enum, string and int have allowed values, not %s",
				 value_types[type]);
	check.subject = subject;
	for (size_t i = 0; i < field->texts.count && !status; i++) {
		(void)snprintf(subject, sizeof(subject), "enum[%zu]", i);
		check.value = field->texts.entries[i];
		status = value_judge(&check);
	}
	return status;
}

static enum status check_own_value(const struct payload *specification, enum value_type type,
				   enum event_field field, struct error *err)
{
	struct judged check = {
		.specification = specification,
		.type = type,
		.value = payload_get_text(specification, field),
		.subject = event_field_info(field)->name,
		.refusal = STATUS_USAGE,
		.err = err,
	};

	return specification->field[field].present ? value_judge(&check) : STATUS_OK;
}

enum status specification_check(const struct payload *specification, struct error *err)
{
	struct slice name = payload_get_text(specification, FIELD_TYPE);
	enum value_type type = value_type_find(name);
	enum status status;

	if (type == TYPE_UNKNOWN)
		return unknown_type(name, err);
	if (payload_get_bool(specification, FIELD_SECRET) &&
	    specification->field[FIELD_DEFAULT].present)
		return error_set(err, STATUS_USAGE,
				 "default: a secret has none, because it would be readable by all");
	status = check_own_pattern(specification, err);
	if (!status)
		status = check_own_bounds(specification, type, err);
	if (!status)
		status = check_own_enum(specification, type, err);
	if (!status)
		status = check_own_value(specification, type, FIELD_DEFAULT, err);
	if (!status)
		status = check_own_value(specification, type, FIELD_EXAMPLE, err);
	return status;
}
