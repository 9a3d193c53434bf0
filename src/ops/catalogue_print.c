/*
 * Writing catalogue files, and the table that reading and writing go by; see catalogue.h and
 * catalogue_table.h.
 *
 * Invariant: reading what is written here gives the same payloads again.
 */
#include "ops/catalogue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/catalogue_table.h"
#include "store/event.h"

#include "base/banned.h"

const struct catalogue_section catalogue_categories = {
	.name = "categories",
	.type = EVENT_CATEGORY_DEFINED,
	.field_count = 4,
	.fields = { FIELD_NAME, FIELD_TITLE, FIELD_DESCRIPTION, FIELD_PLANNED },
};

const struct catalogue_section catalogue_environments = {
	.name = "environments",
	.type = EVENT_ENVIRONMENT_CREATED,
	.field_count = 5,
	.fields = { FIELD_NAME, FIELD_TITLE, FIELD_DESCRIPTION, FIELD_PROTECTED, FIELD_PROFILE },
};

const struct catalogue_section catalogue_databases = {
	.name = "databases",
	.type = EVENT_DATABASE_ATTACHED,
	.field_count = 3,
	.fields = { FIELD_NAME, FIELD_KIND, FIELD_PATH },
};

const struct catalogue_section catalogue_variables = {
	.name = "variables",
	.type = EVENT_VARIABLE_SPECIFIED,
	.field_count = 14,
	.fields = { FIELD_KEY, FIELD_CATEGORY, FIELD_TYPE, FIELD_REQUIRED, FIELD_SECRET, FIELD_ENUM,
		    FIELD_PATTERN, FIELD_MIN, FIELD_MAX, FIELD_DEFAULT, FIELD_UNIT, FIELD_TITLE,
		    FIELD_DESCRIPTION, FIELD_EXAMPLE },
};

const char *catalogue_member(enum event_field field)
{
	return field == FIELD_PLANNED ? "status" : event_field_info(field)->name;
}

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

/* jansson's functions take NULL for a member and then fail: memory is out. */

static json_t *string_json(struct slice text)
{
	return json_stringn(text.len ? (const char *)text.data : "", text.len);
}

/* A language map as it is read: a text without language alone is a string. */
static json_t *langmap_json(const struct langmap *map)
{
	json_t *object;

	if (map->count == 1 && slice_equal_str(map->entries[0].tag, "und"))
		return string_json(map->entries[0].text);
	object = json_object();
	for (size_t i = 0; i < map->count; i++) {
		const struct lang_text *entry = &map->entries[i];

		if (json_object_setn_new(object, (const char *)entry->tag.data, entry->tag.len,
					 string_json(entry->text))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *texts_json(const struct texts *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++) {
		if (json_array_append_new(array, string_json(texts->entries[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *field_json(enum event_field field, const struct field_value *value)
{
	enum field_kind kind = event_field_info(field)->kind;
	int64_t number;

	if (field == FIELD_PLANNED)
		return json_string(value->flag ? "planned" : "implemented");
	if (kind == KIND_BOOL)
		return json_boolean(value->flag);
	if (kind == KIND_LANGMAP)
		return langmap_json(&value->langmap);
	if (kind == KIND_TEXTS)
		return texts_json(&value->texts);
	if (kind == KIND_DECIMAL && text_to_i64(value->text, &number))
		return json_integer(number);
	return string_json(value->text);
}

/* Does reading put it there by itself? "protected" is told all the same. */
static bool is_implied(enum event_field field, const struct field_value *value)
{
	if (!value->present)
		return true;
	if (field == FIELD_REQUIRED || field == FIELD_SECRET)
		return !value->flag;
	return field == FIELD_PROFILE && slice_equal_str(value->text, "default");
}

static json_t *entry_json(const struct catalogue_section *section, const struct payload *payload)
{
	json_t *object = json_object();

	for (size_t i = 0; i < section->field_count; i++) {
		enum event_field field = section->fields[i];
		const struct field_value *value = &payload->field[field];

		if (is_implied(field, value))
			continue;
		if (json_object_set_new(object, catalogue_member(field),
					field_json(field, value))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* Add a section to @root. False when memory is out. */
static bool add_section(json_t *root, const struct catalogue_section *section,
			const struct payload *const *items, size_t count)
{
	AUTO(json_cleanup) json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(list, entry_json(section, items[i])))
			return false;
	}
	return json_object_set(root, section->name, list) == 0;
}

static int write_to_buf(const char *bytes, size_t len, void *out)
{
	buf_append(out, bytes, len);
	return 0;
}

enum status catalogue_print(const struct catalogue *catalogue, struct buf *ret, struct error *err)
{
	AUTO(json_cleanup) json_t *root = json_object();
	AUTO(buf_release) struct buf text = BUF_INIT;
	bool whole = json_object_set_new(root, "schema", json_string(CATALOGUE_SCHEMA)) == 0 &&
		     add_section(root, &catalogue_categories, catalogue->categories,
				 catalogue->category_count);

	/* An export of a store has neither of these: not even empty lists. */
	if (whole && catalogue->environment_count > 0)
		whole = add_section(root, &catalogue_environments, catalogue->environments,
				    catalogue->environment_count);
	if (whole && catalogue->database_count > 0)
		whole = add_section(root, &catalogue_databases, catalogue->databases,
				    catalogue->database_count);
	if (whole)
		whole = add_section(root, &catalogue_variables, catalogue->specifications,
				    catalogue->specification_count);
	if (!whole || json_dump_callback(root, write_to_buf, &text, JSON_INDENT(2)))
		return error_no_memory(err);
	buf_append_byte(&text, '\n');
	if (buf_status(&text, err))
		return STATUS_NO_MEMORY;
	buf_append_slice(ret, buf_slice(&text));
	return buf_status(ret, err);
}
