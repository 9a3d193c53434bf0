/*
 * Reading catalogue files; see catalogue.h.
 *
 * Goes by the table of catalogue_table.h; how a member is read follows from its field's kind.
 * Invariants: what is read passes the rules of specifications and of the event codec, and each
 * fault is told with its place in the file. Must not know what a store holds.
 */
#include "ops/catalogue.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/catalogue_table.h"
#include "ops/envelope.h"
#include "ops/json_read.h"
#include "ops/langmap.h"
#include "ops/value_check.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

enum {
	REAL_DIGITS = 15, /* that a double keeps, whatever they are */
};

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

/* One entry of a section being read. */
struct reading {
	struct arena *arena;
	const struct catalogue_section *section;
	size_t index;
	json_t *object;
	struct payload *payload;
	struct error *err;
};

/* Tell where: puts "variables[3].min: " in front of the error. @member NULL: the entry itself. */
static enum status at(const struct reading *reading, const char *member, enum status status)
{
	return error_prefix(reading->err, status, "%s[%zu]%s%s", reading->section->name,
			    reading->index, member ? "." : "", member ? member : "");
}

/* Refuse the member @field. */
static enum status wrong(const struct reading *reading, enum event_field field, const char *why)
{
	(void)error_set(reading->err, STATUS_USAGE, "%s", why);
	return at(reading, catalogue_member(field), STATUS_USAGE);
}

/* Refuse the member @field, showing its text: "'a b' is not a name". */
static enum status wrong_text(const struct reading *reading, enum event_field field,
			      struct slice text, const char *why)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;

	value_show(&shown, text);
	(void)error_set(reading->err, STATUS_USAGE, "%s %s", buf_str(&shown), why);
	return at(reading, catalogue_member(field), STATUS_USAGE);
}

static struct slice string_of(const json_t *string)
{
	return slice_of(json_string_value(string), json_string_length(string));
}

static enum status keep(const struct reading *reading, struct slice text, struct slice *ret)
{
	struct slice copy = arena_copy(reading->arena, text);

	if (!copy.data) {
		(void)error_no_memory(reading->err);
		return STATUS_NO_MEMORY;
	}
	*ret = copy;
	return STATUS_OK;
}

/*
 * A real as text. jansson hands out doubles, not what was written; up to 15 digits lead from text
 * to double and back unharmed, so that 0.1 stays 0.1. Anything that needs more, or an exponent,
 * would not be what was written and has to come as a string.
 */
static enum status real_text(const struct reading *reading, enum event_field field,
			     const json_t *real, struct slice *ret)
{
	char text[64];
	size_t len = json_dumpb(real, text, sizeof(text),
				JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
	AUTO(json_cleanup) json_t *again = NULL;
	bool no_memory = false;
	enum status status;

	if (len > 0 && len <= sizeof(text) && text_is_decimal(slice_of(text, len)))
		again = json_read(slice_of(text, len), JSON_DECODE_ANY, NULL, &no_memory);
	if (no_memory)
		return error_no_memory(reading->err);
	if (again && json_real_value(again) == json_real_value(real))
		return keep(reading, slice_of(text, len), ret);
	status = wrong(reading, field, "a number with more than 15 digits, or with an exponent");
	return error_hint(reading->err, status, "write it as a string, digit by digit");
}

static enum status number_text(const struct reading *reading, enum event_field field,
			       const json_t *number, struct slice *ret)
{
	char text[32];

	if (json_is_real(number))
		return real_text(reading, field, number, ret);
	(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(number));
	return keep(reading, slice_str(text), ret);
}

static enum status read_decimal(const struct reading *reading, enum event_field field,
				const json_t *member)
{
	struct slice text;
	enum status status;

	if (json_is_number(member)) {
		status = number_text(reading, field, member, &text);
	} else if (!json_is_string(member)) {
		return wrong(reading, field, "not a number, nor a string that holds one");
	} else {
		if (!text_is_decimal(string_of(member)))
			return wrong_text(reading, field, string_of(member),
					  "is not a decimal number of at most 64 digits");
		status = keep(reading, string_of(member), &text);
	}
	if (!status)
		payload_text(reading->payload, field, text);
	return status;
}

/* A value may be written as a string, a number, or true and false. */
static enum status read_value(const struct reading *reading, enum event_field field,
			      const json_t *member)
{
	struct slice text;
	enum status status = STATUS_OK;

	if (json_is_number(member))
		status = number_text(reading, field, member, &text);
	else if (json_is_boolean(member))
		text = slice_str(json_is_true(member) ? "true" : "false");
	else if (json_is_string(member))
		status = keep(reading, string_of(member), &text);
	else
		return wrong(reading, field, "not a string, number, true or false");
	if (!status)
		payload_text(reading->payload, field, text);
	return status;
}

/* Text; an empty one is as good as none. */
static enum status read_text(const struct reading *reading, enum event_field field,
			     const json_t *member)
{
	struct slice text;
	enum status status;

	if (!json_is_string(member))
		return wrong(reading, field, "not a string");
	if (json_string_length(member) == 0)
		return STATUS_OK;
	status = keep(reading, string_of(member), &text);
	if (!status)
		payload_text(reading->payload, field, text);
	return status;
}

static enum status read_name(const struct reading *reading, enum event_field field,
			     const json_t *member)
{
	bool key = event_field_info(field)->kind == KIND_KEY;
	struct slice text;
	enum status status;

	if (!json_is_string(member))
		return wrong(reading, field, "not a string");
	status = keep(reading, string_of(member), &text);
	if (status)
		return status;
	payload_text(reading->payload, field, text);
	if (field == FIELD_TYPE || field == FIELD_KIND) /* judged with the entry */
		return STATUS_OK;
	if (key && !text_is_key(text)) {
		status = wrong_text(reading, field, text, "is not a variable's key");
		return error_hint(reading->err, status,
				  "letters, digits and '_', at most %d, not beginning with a digit",
				  KEY_BYTES_MAX);
	}
	if (!key && !text_is_name(text)) {
		status = wrong_text(reading, field, text, "is not a name");
		return error_hint(reading->err, status,
				  "letters, digits, '_', '.' and '-', at most %d, beginning with a "
				  "letter or digit",
				  NAME_BYTES_MAX);
	}
	return STATUS_OK;
}

static enum status read_flag(const struct reading *reading, enum event_field field,
			     const json_t *member)
{
	bool planned = json_is_string(member) && slice_equal_str(string_of(member), "planned");

	if (field != FIELD_PLANNED) {
		if (!json_is_boolean(member))
			return wrong(reading, field, "not true or false");
		payload_bool(reading->payload, field, json_is_true(member));
		return STATUS_OK;
	}
	if (!planned &&
	    !(json_is_string(member) && slice_equal_str(string_of(member), "implemented")))
		return wrong(reading, field, "neither \"implemented\" nor \"planned\"");
	payload_bool(reading->payload, field, planned);
	return STATUS_OK;
}

static int compare_tags(const void *a, const void *b)
{
	const struct lang_text *x = a;
	const struct lang_text *y = b;

	return slice_compare(x->tag, y->tag);
}

static enum status read_languages(const struct reading *reading, enum event_field field,
				  json_t *member, struct langmap *ret)
{
	size_t room = json_object_size(member);
	struct lang_text *entries = arena_array(reading->arena, room, sizeof(*entries));
	enum status status = STATUS_OK;
	size_t count = 0;
	const char *tag;
	json_t *text;

	if (!entries)
		return error_no_memory(reading->err);
	json_object_foreach(member, tag, text)
	{
		if (tag[0] == '$')
			continue;
		if (!text_is_lang_tag(slice_str(tag)))
			return wrong_text(reading, field, slice_str(tag), "is not a language tag");
		if (!json_is_string(text))
			return wrong_text(reading, field, slice_str(tag), "holds no string");
		if (json_string_length(text) == 0)
			continue;
		status = keep(reading, slice_str(tag), &entries[count].tag);
		if (!status)
			status = keep(reading, string_of(text), &entries[count].text);
		if (status)
			return status;
		count++;
	}
	if (count > 1)
		qsort(entries, count, sizeof(*entries), compare_tags);
	*ret = (struct langmap){ .entries = entries, .count = count };
	return STATUS_OK;
}

/* A string, or an object language tag → text. Empty texts are as good as none. */
static enum status read_langmap(const struct reading *reading, enum event_field field,
				json_t *member)
{
	struct langmap map = { .count = 0 };
	enum status status = STATUS_OK;
	struct slice text;

	if (json_is_object(member)) {
		status = read_languages(reading, field, member, &map);
	} else if (!json_is_string(member)) {
		return wrong(reading, field, "not a string, nor an object language tag → text");
	} else if (json_string_length(member) > 0) {
		status = keep(reading, string_of(member), &text);
		if (!status)
			map = langmap_of(reading->arena, text);
		if (!status && !map.entries)
			return error_no_memory(reading->err);
	}
	if (!status && map.count > 0)
		payload_langmap(reading->payload, field, map);
	return status;
}

static enum status read_texts(const struct reading *reading, enum event_field field,
			      const json_t *member)
{
	size_t count = json_array_size(member);
	struct slice *entries;
	enum status status = STATUS_OK;

	if (!json_is_array(member))
		return wrong(reading, field, "not a list of strings");
	if (count > ENUM_VALUES_MAX) {
		(void)error_set(reading->err, STATUS_USAGE, "%zu values, of at most %d", count,
				ENUM_VALUES_MAX);
		return at(reading, catalogue_member(field), STATUS_USAGE);
	}
	entries = arena_array(reading->arena, count, sizeof(*entries));
	if (!entries)
		return error_no_memory(reading->err);
	for (size_t i = 0; i < count && !status; i++) {
		const json_t *entry = json_array_get(member, i);

		if (!json_is_string(entry))
			return wrong(reading, field, "not a list of strings");
		status = keep(reading, string_of(entry), &entries[i]);
	}
	if (!status)
		payload_texts(reading->payload, field,
			      (struct texts){ .entries = entries, .count = count });
	return status;
}

static enum status read_field(const struct reading *reading, enum event_field field)
{
	json_t *member = json_object_get(reading->object, catalogue_member(field));
	enum field_kind kind = event_field_info(field)->kind;

	if (!member)
		return STATUS_OK;
	if (kind == KIND_NAME || kind == KIND_KEY)
		return read_name(reading, field, member);
	if (kind == KIND_TEXT)
		return read_text(reading, field, member);
	if (kind == KIND_VALUE)
		return read_value(reading, field, member);
	if (kind == KIND_DECIMAL)
		return read_decimal(reading, field, member);
	if (kind == KIND_BOOL)
		return read_flag(reading, field, member);
	if (kind == KIND_LANGMAP)
		return read_langmap(reading, field, member);
	assert(kind == KIND_TEXTS);
	return read_texts(reading, field, member);
}

/* Refuse a member called @name, at @place, naming the nearest of @known. */
static enum status unknown_member(const char *name, const char *const *known, size_t count,
				  struct error *err)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;
	const char *nearest = text_nearest(name, known, count);

	value_show(&shown, slice_str(name));
	(void)error_set(err, STATUS_USAGE, "no member %s is known here", buf_str(&shown));
	if (nearest)
		return error_hint(err, STATUS_USAGE, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_USAGE, "members that begin with '$' are left alone");
}

static enum status check_members(json_t *object, const char *const *known, size_t count,
				 struct error *err)
{
	const char *name;
	json_t *member;

	json_object_foreach(object, name, member)
	{
		size_t i = 0;

		while (i < count && strcmp(name, known[i]) != 0)
			i++;
		if (i == count && name[0] != '$')
			return unknown_member(name, known, count, err);
	}
	return STATUS_OK;
}

/* What holds when the file does not say. */
static void set_defaults(struct payload *payload)
{
	if (payload->type == EVENT_CATEGORY_DEFINED) {
		payload_bool(payload, FIELD_PLANNED, false);
	} else if (payload->type == EVENT_ENVIRONMENT_CREATED) {
		payload_bool(payload, FIELD_PROTECTED, false);
		payload_str(payload, FIELD_PROFILE, "default");
	} else if (payload->type == EVENT_DATABASE_ATTACHED) {
		payload_str(payload, FIELD_KIND, "sqlite");
	} else {
		payload_bool(payload, FIELD_REQUIRED, false);
		payload_bool(payload, FIELD_SECRET, false);
	}
}

static enum status check_specification(const struct reading *reading)
{
	struct payload *payload = reading->payload;
	struct error why = ERROR_INIT;
	enum status status;

	if (!payload->field[FIELD_TYPE].present)
		payload_str(payload, FIELD_TYPE,
			    payload->field[FIELD_ENUM].present ? "enum" : "string");
	status = specification_check(payload, &why);
	if (!status || !reading->err)
		return status;
	/* The text begins with the field. */
	(void)error_set(reading->err, status, "%s[%zu].%s (" SLICE_FMT ")", reading->section->name,
			reading->index, why.text, SLICE_ARG(payload_get_text(payload, FIELD_KEY)));
	return error_hint(reading->err, status, "%s", why.hint);
}

static enum status check_database(const struct reading *reading)
{
	struct slice kind = payload_get_text(reading->payload, FIELD_KIND);
	struct slice path = payload_get_text(reading->payload, FIELD_PATH);

	if (!slice_equal_str(kind, "sqlite") && !slice_equal_str(kind, "file"))
		return wrong_text(reading, FIELD_KIND, kind, "is not 'sqlite' or 'file'");
	if (!text_is_line(path))
		return wrong_text(reading, FIELD_PATH, path, "is not one line");
	return STATUS_OK;
}

/* Would the event be written? The codec knows all about sizes, and what must be there. */
static enum status check_encoding(const struct reading *reading)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct payload whole = *reading->payload;
	enum status status;

	if (whole.type == EVENT_DATABASE_ATTACHED) { /* the caller says for whom */
		payload_str(&whole, FIELD_ENVIRONMENT, "any");
		payload_str(&whole, FIELD_PROFILE, "any");
	}
	status = payload_encode(&whole, &bytes, reading->err);
	if (!status && bytes.len > EVENT_BYTES_MAX - ENVELOPE_BYTES_MAX) {
		status = STATUS_USAGE;
		(void)error_set(reading->err, status, "too large for one event: %zu bytes, of %d",
				bytes.len, EVENT_BYTES_MAX - ENVELOPE_BYTES_MAX);
	}
	return status ? at(reading, NULL, status) : STATUS_OK;
}

/* The identifying member comes first in the section; without it an entry is nothing. */
static enum status check_entry(const struct reading *reading)
{
	enum event_field identity = reading->section->fields[0];
	enum status status = STATUS_OK;

	if (!reading->payload->field[identity].present)
		return wrong(reading, identity, "missing");
	if (reading->section == &catalogue_databases &&
	    !reading->payload->field[FIELD_PATH].present)
		return wrong(reading, FIELD_PATH, "missing");
	if (reading->section == &catalogue_variables)
		status = check_specification(reading);
	else if (reading->section == &catalogue_databases)
		status = check_database(reading);
	if (!status)
		status = check_encoding(reading);
	return status;
}

static enum status read_entry(struct reading *reading)
{
	const struct catalogue_section *section = reading->section;
	const char *known[CATALOGUE_FIELDS_MAX];
	enum status status;

	if (!json_is_object(reading->object)) {
		(void)error_set(reading->err, STATUS_USAGE, "not an object");
		return at(reading, NULL, STATUS_USAGE);
	}
	for (size_t i = 0; i < section->field_count; i++)
		known[i] = catalogue_member(section->fields[i]);
	status = check_members(reading->object, known, section->field_count, reading->err);
	if (status)
		return at(reading, NULL, status);
	payload_init(reading->payload, section->type);
	set_defaults(reading->payload);
	for (size_t i = 0; i < section->field_count && !status; i++)
		status = read_field(reading, section->fields[i]);
	if (!status)
		status = check_entry(reading);
	return status;
}

struct identity {
	struct slice name;
	size_t index;
};

static int compare_identities(const void *a, const void *b)
{
	const struct identity *x = a;
	const struct identity *y = b;
	int order = slice_compare(x->name, y->name);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static enum status refuse_twice(const struct reading *reading, const struct payload *const *items,
				size_t count)
{
	enum event_field field = reading->section->fields[0];
	struct identity *all = arena_array(reading->arena, count, sizeof(*all));
	struct reading place = *reading;
	char why[64];

	if (!all)
		return error_no_memory(reading->err);
	for (size_t i = 0; i < count; i++)
		all[i] = (struct identity){ payload_get_text(items[i], field), i };
	if (count > 1)
		qsort(all, count, sizeof(*all), compare_identities);
	for (size_t i = 1; i < count; i++) {
		if (!slice_equal(all[i].name, all[i - 1].name))
			continue;
		place.index = all[i].index;
		(void)snprintf(why, sizeof(why), "stands at %s[%zu] already",
			       reading->section->name, all[i - 1].index);
		return wrong_text(&place, field, all[i].name, why);
	}
	return STATUS_OK;
}

/* Read the list called as the section; a file may leave it out. @base holds what entries share. */
static enum status read_section(const struct reading *base, const struct catalogue_section *section,
				const struct payload ***ret, size_t *ret_count)
{
	const json_t *list = json_object_get(base->object, section->name);
	size_t count = json_array_size(list);
	struct reading reading = *base;
	const struct payload **items;
	enum status status = STATUS_OK;

	if (list && !json_is_array(list))
		return error_set(base->err, STATUS_USAGE, "%s: not a list", section->name);
	if (count > COMMAND_PARTS_MAX)
		return error_set(base->err, STATUS_USAGE, "%s: %zu entries, of at most %d",
				 section->name, count, COMMAND_PARTS_MAX);
	items = (const struct payload **)arena_array(base->arena, count, sizeof(struct payload *));
	if (!items)
		return error_no_memory(base->err);
	reading.section = section;
	for (size_t i = 0; i < count && !status; i++) {
		reading.index = i;
		reading.object = json_array_get(list, i);
		reading.payload = arena_alloc(base->arena, sizeof(*reading.payload));
		if (!reading.payload)
			return error_no_memory(base->err);
		items[i] = reading.payload;
		status = read_entry(&reading);
	}
	if (!status)
		status = refuse_twice(&reading, items, count);
	if (status)
		return status;
	*ret = items;
	*ret_count = count;
	return STATUS_OK;
}

static enum status read_file(const struct reading *file, struct catalogue *ret)
{
	const char *const known[] = { "schema", catalogue_categories.name,
				      catalogue_environments.name, catalogue_databases.name,
				      catalogue_variables.name };
	const json_t *schema = json_object_get(file->object, "schema");
	enum status status;

	if (!json_is_object(file->object))
		return error_set(file->err, STATUS_USAGE, "not a catalogue: not a JSON object");
	/* Files written by hand need not say it. */
	if (schema &&
	    (!json_is_string(schema) || strcmp(json_string_value(schema), CATALOGUE_SCHEMA) != 0))
		return error_set(file->err, STATUS_USAGE, "not a catalogue: its schema is not %s",
				 CATALOGUE_SCHEMA);
	status = check_members(file->object, known, sizeof(known) / sizeof(known[0]), file->err);
	if (!status)
		status = read_section(file, &catalogue_categories, &ret->categories,
				      &ret->category_count);
	if (!status)
		status = read_section(file, &catalogue_environments, &ret->environments,
				      &ret->environment_count);
	if (!status)
		status = read_section(file, &catalogue_databases, &ret->databases,
				      &ret->database_count);
	if (!status)
		status = read_section(file, &catalogue_variables, &ret->specifications,
				      &ret->specification_count);
	return status;
}

static enum status malformed(const json_error_t *why, struct error *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	enum json_error_code code = json_error_code(why);

	text_append_printable(&text, slice_str(why->text));
	(void)error_set(err, STATUS_USAGE, "not a catalogue: line %d, column %d: %s", why->line,
			why->column, buf_str(&text));
	if (code == json_error_numeric_overflow)
		return error_hint(err, STATUS_USAGE, "write great numbers as strings");
	return STATUS_USAGE;
}

enum status catalogue_parse(struct arena *arena, struct slice json, struct catalogue *ret,
			    struct error *err)
{
	AUTO(json_cleanup) json_t *root = NULL;
	struct catalogue catalogue = { .category_count = 0 };
	struct reading file = { .arena = arena, .err = err };
	json_error_t why;
	bool no_memory;
	enum status status;

	root = json_read(json, JSON_REJECT_DUPLICATES, &why, &no_memory);
	if (no_memory)
		return error_no_memory(err);
	if (!root)
		return malformed(&why, err);
	file.object = root;
	status = read_file(&file, &catalogue);
	if (!status)
		*ret = catalogue;
	return status;
}
