/*
 * Values against specifications; see value_check.h.
 *
 * Invariants: a value is judged by type, enum, pattern, bounds, in that order, and the first fault
 * is reported. Every message is one line. A masked value leaves nothing in a message: neither
 * itself, nor a near miss, nor what a library says about it. Must not know where values come from.
 * Specifications are judged in specification_check.c, names in secret_names.c.
 */
#include "ops/value_check.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/json_read.h"
#include "ops/pattern.h"
#include "ops/value_rules.h"
#include "store/event.h"

#include "base/banned.h"

const char *const value_types[] = { "string", "int",  "decimal", "bool", "enum",
				    "url",    "path", "json",    NULL };

static_assert(sizeof(value_types) / sizeof(value_types[0]) == TYPE_COUNT + 1, "one name each");

enum {
	SHOWN_BYTES_MAX = 64,   /* of a value in a message */
	LISTED_VALUES_MAX = 10, /* of an enum in a message */
	LISTED_BYTES_MAX = 240, /* the list is not continued after this */
};

enum value_type value_type_find(struct slice name)
{
	size_t type = 0;

	while (type < TYPE_COUNT && !slice_equal_str(name, value_types[type]))
		type++;
	return (enum value_type)type;
}

bool value_type_is_number(enum value_type type)
{
	return type == TYPE_INT || type == TYPE_DECIMAL;
}

/* Messages. */

void value_show_text(struct buf *out, struct slice text)
{
	size_t len = text.len;

	if (len > SHOWN_BYTES_MAX) {
		len = SHOWN_BYTES_MAX;
		while (len > SHOWN_BYTES_MAX - 4 && (text.data[len] & 0xc0) == 0x80)
			len--;
	}
	text_append_printable(out, slice_of(text.data, len));
	if (len < text.len)
		buf_append_str(out, "…");
}

void value_show(struct buf *out, struct slice value)
{
	const char *quote = text_is_decimal(value) ? "" : "'";

	buf_append_str(out, quote);
	value_show_text(out, value);
	buf_append_str(out, quote);
}

/* "KEY: 'value' ", to be continued with what is wrong. */
static void begin(const struct judged *check, struct buf *text)
{
	buf_printf(text, "%s: ", check->subject);
	if (check->masked)
		buf_append_str(text, "the value");
	else
		value_show(text, check->value);
	buf_append_byte(text, ' ');
}

static enum status refuse(const struct judged *check, const struct buf *text)
{
	enum status status = buf_status(text, check->err);

	if (status)
		return status;
	(void)error_set(check->err, check->refusal, "%s", buf_str(text));
	return check->refusal;
}

/* Refuse with one sentence, and the specification's example as the hint when it has one. */
static enum status refuse_form(const struct judged *check, const char *why)
{
	struct slice example = payload_get_text(check->specification, FIELD_EXAMPLE);
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf hint = BUF_INIT;
	enum status status;

	begin(check, &text);
	buf_append_str(&text, why);
	status = refuse(check, &text);
	if (status == check->refusal && example.len &&
	    (check->masked || !slice_equal(example, check->value))) {
		value_show_text(&hint, example);
		return error_hint(check->err, status, "for example: %s", buf_str(&hint));
	}
	return status;
}

/* Types. */

/* For int and decimal, whose commonest mistake is to write the unit too. */
static enum status refuse_number(const struct judged *check, const char *why)
{
	struct slice unit = payload_get_text(check->specification, FIELD_UNIT);
	AUTO(buf_release) struct buf text = BUF_INIT;
	enum status status = refuse_form(check, why);

	if (status != check->refusal || unit.len == 0)
		return status;
	value_show_text(&text, unit);
	return error_hint(check->err, status, "write the number alone; it is in %s",
			  buf_str(&text));
}

static enum status check_int(const struct judged *check)
{
	int64_t ignored;

	if (text_to_i64(check->value, &ignored))
		return STATUS_OK;
	return refuse_number(check, "is not an int: digits with an optional '-', no '+', no "
				    "leading zeros, -9223372036854775808 to 9223372036854775807");
}

static enum status check_decimal(const struct judged *check)
{
	if (text_is_decimal(check->value))
		return STATUS_OK;
	return refuse_number(check, "is not a decimal: digits with an optional sign and point, at "
				    "most 64 digits, no exponent");
}

/* What somebody meant who wrote a truth value in another way, or NULL. */
static const char *bool_meant(struct slice value)
{
	static const char *const yes[] = { "true", "yes", "on", "1", "y", "t", "enabled" };
	static const char *const no[] = { "false", "no", "off", "0", "n", "f", "disabled" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (value.len == strlen(yes[i]) &&
		    strncasecmp((const char *)value.data, yes[i], value.len) == 0)
			return "true";
		if (value.len == strlen(no[i]) &&
		    strncasecmp((const char *)value.data, no[i], value.len) == 0)
			return "false";
	}
	return NULL;
}

static enum status check_bool(const struct judged *check)
{
	const char *meant;
	enum status status;

	if (slice_equal_str(check->value, "true") || slice_equal_str(check->value, "false"))
		return STATUS_OK;
	status = refuse_form(check, "is not a bool: true or false");
	meant = check->masked ? NULL : bool_meant(check->value);
	if (status == check->refusal && meant)
		return error_hint(check->err, status, "did you mean '%s'?", meant);
	return status;
}

/* Length of the scheme at the start of @value (RFC 3986 section 3.1), 0 when there is none. */
static size_t scheme_len(struct slice value)
{
	size_t len = 0;

	while (len < value.len) {
		uint8_t byte = value.data[len];
		bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
		bool other =
			(byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.';

		if (!letter && !(other && len > 0))
			break;
		len++;
	}
	return len;
}

static enum status check_url(const struct judged *check)
{
	struct slice value = check->value;
	size_t scheme = scheme_len(value);

	if (scheme > 0 && value.len > scheme + 3 && memcmp(value.data + scheme, "://", 3) == 0 &&
	    text_is_line(value) && !memchr(value.data, ' ', value.len))
		return STATUS_OK;
	return refuse_form(check, "is not a url: scheme://host and so on, without blanks");
}

static enum status check_path(const struct judged *check)
{
	if (check->value.len > 0 && text_is_line(check->value))
		return STATUS_OK;
	return refuse_form(check, "is not a path: one line, not empty");
}

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static enum status check_json(const struct judged *check)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(json_cleanup) json_t *json = NULL;
	json_error_t why;
	bool no_memory;

	json = json_read(check->value,
			 JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL |
				 JSON_ALLOW_NUL,
			 &why, &no_memory);
	if (json)
		return STATUS_OK;
	if (no_memory)
		return error_no_memory(check->err);
	buf_printf(&text, "is not JSON: line %d, column %d", why.line, why.column);
	if (!check->masked) {
		buf_append_str(&text, ": ");
		text_append_printable(&text, slice_str(why.text));
	}
	explicit_bzero(&why, sizeof(why)); /* it quotes what it stumbled over */
	return refuse_form(check, buf_str(&text));
}

static enum status check_type(const struct judged *check)
{
	switch (check->type) {
	case TYPE_INT:
		return check_int(check);
	case TYPE_DECIMAL:
		return check_decimal(check);
	case TYPE_BOOL:
		return check_bool(check);
	case TYPE_URL:
		return check_url(check);
	case TYPE_PATH:
		return check_path(check);
	case TYPE_JSON:
		return check_json(check);
	case TYPE_STRING:
	case TYPE_ENUM:
	case TYPE_COUNT:
		break;
	}
	return STATUS_OK;
}

/* Enum. */

static void list_values(struct buf *out, const struct texts *texts)
{
	size_t start = out->len;

	for (size_t i = 0; i < texts->count; i++) {
		if (i == LISTED_VALUES_MAX || out->len - start > LISTED_BYTES_MAX) {
			buf_append_str(out, ", …");
			return;
		}
		if (i > 0)
			buf_append_str(out, ", ");
		value_show(out, texts->entries[i]);
	}
}

/* The entry that @value differs from only by case, else by a typing error; NULL when none is near.
 */
static const struct slice *nearest_value(const struct texts *texts, struct slice value)
{
	size_t nearest = value.len / 3 > 1 ? value.len / 3 : 1;
	const struct slice *found = NULL;

	if (value.len > SHOWN_BYTES_MAX) /* text_distance() looks no further */
		return NULL;
	for (size_t i = 0; i < texts->count; i++) {
		const struct slice *entry = &texts->entries[i];
		size_t distance = text_distance(value, *entry);

		if (entry->len == 0)
			continue;
		if (entry->len == value.len &&
		    strncasecmp((const char *)entry->data, (const char *)value.data, value.len) ==
			    0)
			return entry;
		if (distance < nearest || (distance == nearest && !found)) {
			nearest = distance;
			found = entry;
		}
	}
	return found;
}

static enum status check_enum(const struct judged *check)
{
	const struct field_value *field = &check->specification->field[FIELD_ENUM];
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO(buf_release) struct buf hint = BUF_INIT;
	const struct slice *nearest;
	enum status status;

	if (!field->present)
		return STATUS_OK;
	for (size_t i = 0; i < field->texts.count; i++) {
		if (slice_equal(field->texts.entries[i], check->value))
			return STATUS_OK;
	}
	begin(check, &text);
	buf_append_str(&text, "is not one of ");
	list_values(&text, &field->texts);
	status = refuse(check, &text);
	nearest = check->masked ? NULL : nearest_value(&field->texts, check->value);
	if (status != check->refusal || !nearest)
		return status;
	value_show(&hint, *nearest);
	return error_hint(check->err, status, "did you mean %s?", buf_str(&hint));
}

/* Patterns. */

static enum status check_pattern(const struct judged *check)
{
	struct slice source = payload_get_text(check->specification, FIELD_PATTERN);
	AUTO(pattern_release) struct pattern pattern = PATTERN_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;
	struct error why = ERROR_INIT;
	enum status status;

	if (!check->specification->field[FIELD_PATTERN].present)
		return STATUS_OK;
	status = pattern_compile(&pattern, source, &why);
	if (!status)
		status = pattern_match(&pattern, check->value, &why);
	if (!status)
		return STATUS_OK;
	if (status == STATUS_NO_MEMORY)
		return error_no_memory(check->err);
	buf_append_str(&text, status == STATUS_NEGATIVE ? "does not match the pattern "
							: "cannot be judged by the pattern ");
	value_show_text(&text, source);
	if (status != STATUS_NEGATIVE)
		buf_printf(&text, ": %s", why.text);
	return refuse_form(check, buf_str(&text));
}

/* Bounds. */

/* "100 %" */
static void show_bound(struct buf *out, const struct payload *specification, enum event_field field)
{
	struct slice unit = payload_get_text(specification, FIELD_UNIT);

	value_show_text(out, payload_get_text(specification, field));
	if (unit.len) {
		buf_append_byte(out, ' ');
		value_show_text(out, unit);
	}
}

static enum status check_bounds(const struct judged *check)
{
	const struct payload *specification = check->specification;
	const struct field_value *min = &specification->field[FIELD_MIN];
	const struct field_value *max = &specification->field[FIELD_MAX];
	AUTO(buf_release) struct buf text = BUF_INIT;
	bool under = min->present && text_compare_decimal(check->value, min->text) < 0;
	bool over = max->present && text_compare_decimal(check->value, max->text) > 0;

	if (!value_type_is_number(check->type) || (!under && !over))
		return STATUS_OK;
	begin(check, &text);
	buf_append_str(&text, under ? "is under the minimum " : "is over the maximum ");
	show_bound(&text, specification, under ? FIELD_MIN : FIELD_MAX);
	return refuse(check, &text);
}

/* All rules. */

static enum status check_text(const struct judged *check)
{
	AUTO(buf_release) struct buf text = BUF_INIT;

	if (check->value.len <= VALUE_BYTES_MAX && text_is_value(check->value))
		return STATUS_OK;
	begin(check, &text);
	if (check->value.len > VALUE_BYTES_MAX)
		buf_printf(&text, "is too long: at most %d bytes", VALUE_BYTES_MAX);
	else
		buf_append_str(&text, "is not UTF-8 text without NUL");
	return refuse(check, &text);
}

enum status value_judge(const struct judged *check)
{
	enum status status = check_text(check);

	if (!status)
		status = check_type(check);
	if (!status)
		status = check_enum(check);
	if (!status)
		status = check_pattern(check);
	if (!status)
		status = check_bounds(check);
	return status;
}

enum status value_check(const struct payload *specification, struct slice value, bool hidden,
			struct error *err)
{
	struct slice type = payload_get_text(specification, FIELD_TYPE);
	AUTO(buf_release) struct buf key = BUF_INIT;
	struct judged check = {
		.specification = specification,
		.type = value_type_find(type),
		.value = value,
		.refusal = STATUS_INVALID,
		.masked = hidden || payload_get_bool(specification, FIELD_SECRET),
		.err = err,
	};

	text_append_printable(&key, payload_get_text(specification, FIELD_KEY));
	check.subject = buf_str(&key);
	if (check.type != TYPE_UNKNOWN)
		return value_judge(&check);
	(void)error_set(err, STATUS_NEWER, "%s: its type '" SLICE_FMT "' is not known here",
			check.subject, SLICE_ARG(type));
	return error_hint(err, STATUS_NEWER, "use the newer provenv that wrote it");
}
