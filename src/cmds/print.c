/*
 * Printing, shared by the commands; see print.h. Tables are in print_table.c.
 *
 * A secret is never here: a change says that there is one, and MASKED_VALUE stands for it.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/print.h"
#include "ops/commit.h"
#include "ops/plan.h"

#include "base/banned.h"

enum {
	NAMES_SHOWN = 3,  /* in a note, of each kind of change */
	PLACES_SHOWN = 8, /* lines of a note */
};

void print_time(uint64_t time_ms, char ret[32])
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm = { .tm_year = 0 };
	char text[80]; /* room for any six ints, which is what the compiler must assume */

	(void)localtime_r(&seconds, &tm);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(ret, text, 31);
	ret[31] = '\0';
}

void json_begin(struct invocation *inv, struct json *json, const char *schema_word)
{
	char schema[64];

	(void)snprintf(schema, sizeof(schema), "provenv/%s/v1", schema_word);
	jsonw_init(json, &inv->out);
	jsonw_object(json);
	jsonw_pair_string(json, "schema", schema);
}

void json_finish(struct invocation *inv, struct json *json)
{
	jsonw_end(json);
	buf_append_byte(&inv->out, '\n');
}

static const char *kind_name(enum plan_kind kind)
{
	switch (kind) {
	case PLAN_VARIABLE:
		return "variable";
	case PLAN_ENVIRONMENT:
		return "environment";
	case PLAN_PROFILE:
		return "profile";
	case PLAN_CATEGORY:
		return "category";
	case PLAN_SPECIFICATION:
		return "specification";
	case PLAN_DATABASE:
		return "database";
	case PLAN_ACTIVE:
		return "active";
	case PLAN_STORE:
	default:
		return "store";
	}
}

static const char *op_name(enum plan_op op)
{
	switch (op) {
	case PLAN_ADDED:
		return "added";
	case PLAN_REMOVED:
		return "removed";
	case PLAN_CHANGED:
	default:
		return "changed";
	}
}

static bool same_place(const struct plan_change *a, const struct plan_change *b)
{
	return slice_equal(a->environment, b->environment) && slice_equal(a->profile, b->profile);
}

/* "development/default", "development" or "store". */
static void append_place(struct buf *out, struct slice environment, struct slice profile)
{
	if (environment.len == 0)
		buf_append_str(out, "store");
	text_append_printable(out, environment);
	if (profile.len) {
		buf_append_byte(out, '/');
		text_append_printable(out, profile);
	}
}

/* Is the change the first one in its place? Then the place's heading is due. */
static bool opens_place(const struct plan_change *changes, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (same_place(&changes[i], &changes[at]))
			return false;
	}
	return true;
}

static void append_value(struct buf *out, struct slice text, bool secret)
{
	if (secret)
		buf_append_str(out, MASKED_VALUE);
	else
		text_append_printable(out, text);
}

/* "KEY", "environment staging", "active profile". */
static void append_subject(struct buf *out, const struct plan_change *change)
{
	if (change->kind != PLAN_VARIABLE)
		buf_printf(out, "%s ", kind_name(change->kind));
	text_append_printable(out, change->key);
}

static void print_change(struct buf *out, const struct plan_change *change)
{
	bool variable = change->kind == PLAN_VARIABLE;
	bool added = change->op == PLAN_ADDED;
	struct slice text = added ? change->after : change->before;

	if (change->op == PLAN_CHANGED) {
		buf_append_str(out, "  ~ ");
		append_subject(out, change);
		if (variable || change->before.len || change->after.len) {
			buf_append_str(out, ": ");
			append_value(out, change->before, change->before_secret);
			buf_append_str(out, " → ");
			append_value(out, change->after, change->after_secret);
		}
	} else {
		buf_append_str(out, added ? "  + " : "  - ");
		append_subject(out, change);
		if (variable || text.len) {
			buf_append_str(out, variable ? " = " : ": ");
			append_value(out, text,
				     added ? change->after_secret : change->before_secret);
		}
	}
	buf_append_byte(out, '\n');
}

void print_changes(struct buf *out, const struct plan_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!opens_place(changes, i))
			continue;
		append_place(out, changes[i].environment, changes[i].profile);
		buf_append_str(out, ":\n");
		for (size_t j = i; j < count; j++) {
			if (same_place(&changes[i], &changes[j]))
				print_change(out, &changes[j]);
		}
	}
}

static void json_pair_name(struct json *json, const char *key, struct slice name)
{
	if (name.len)
		jsonw_pair_slice(json, key, name);
	else
		jsonw_pair_null(json, key);
}

/* A value is null where there is none and where it is secret; a variable's may be empty. */
static void json_pair_side(struct json *json, const char *key, const struct plan_change *change,
			   bool is_after)
{
	struct slice text = is_after ? change->after : change->before;
	bool absent = change->op == (is_after ? PLAN_REMOVED : PLAN_ADDED);
	bool secret = is_after ? change->after_secret : change->before_secret;

	if (absent || secret || (text.len == 0 && change->kind != PLAN_VARIABLE))
		jsonw_pair_null(json, key);
	else
		jsonw_pair_slice(json, key, text);
}

void json_changes(struct json *json, const struct plan_change *changes, size_t count)
{
	jsonw_key(json, "changes");
	jsonw_array(json);
	for (size_t i = 0; i < count; i++) {
		const struct plan_change *change = &changes[i];

		jsonw_object(json);
		jsonw_pair_string(json, "kind", kind_name(change->kind));
		json_pair_name(json, "environment", change->environment);
		json_pair_name(json, "profile", change->profile);
		jsonw_pair_slice(json, "key", change->key);
		jsonw_pair_string(json, "op", op_name(change->op));
		json_pair_side(json, "before", change, false);
		json_pair_side(json, "after", change, true);
		jsonw_pair_bool(json, "secret", change->before_secret || change->after_secret);
		jsonw_end(json);
	}
	jsonw_end(json);
}

static void outcome_json(struct invocation *inv, const char *schema_word,
			 const struct outcome *outcome)
{
	struct json json;

	json_begin(inv, &json, schema_word);
	if (outcome->planned)
		jsonw_pair_bool(&json, "planned", true);
	if (outcome->unchanged)
		jsonw_pair_bool(&json, "unchanged", true);
	if (outcome->repeated)
		jsonw_pair_bool(&json, "repeated", true);
	if (!outcome->planned && !outcome->unchanged) {
		jsonw_pair_uint(&json, "first_seq", outcome->first_seq);
		jsonw_pair_uint(&json, "seq", outcome->last_seq);
		jsonw_pair_hex(&json, "hash", outcome->hash, HASH_BYTES);
		jsonw_pair_time(&json, "time", outcome->time_ms);
	}
	jsonw_pair_hex(&json, "command_id", outcome->command_id, COMMAND_ID_BYTES);
	json_pair_name(&json, "environment", outcome->environment);
	json_pair_name(&json, "profile", outcome->profile);
	json_changes(&json, outcome->changes, outcome->change_count);
	json_finish(inv, &json);
}

/* The three parts of a phrase: "set A, B; unset C; added environment staging". */
enum phrase_part {
	PART_SET,
	PART_UNSET,
	PART_OTHER,
	PART_COUNT,
};

static enum phrase_part part_of(const struct plan_change *change)
{
	if (change->kind != PLAN_VARIABLE)
		return PART_OTHER;
	return change->op == PLAN_REMOVED ? PART_UNSET : PART_SET;
}

/* "added environment staging", "changed environment production: locked", "switched environment to
 * x". */
static void append_other(struct buf *out, const struct plan_change *change)
{
	if (change->kind == PLAN_ACTIVE) {
		buf_append_str(out, "switched ");
		text_append_printable(out, change->key);
		buf_append_str(out, " to ");
		text_append_printable(out, change->after);
		return;
	}
	buf_printf(out, "%s ", op_name(change->op));
	append_subject(out, change);
	if (change->op != PLAN_CHANGED || slice_equal(change->before, change->after))
		return;
	buf_append_str(out, change->after.len ? ": " : ": no longer ");
	text_append_printable(out, change->after.len ? change->after : change->before);
}

static bool belongs(const struct plan_change *change, const struct plan_change *place,
		    enum phrase_part part)
{
	return part_of(change) == part && same_place(change, place);
}

static void append_part(struct buf *out, const struct plan_change *changes, size_t count,
			const struct plan_change *place, enum phrase_part part)
{
	static const char *const verbs[PART_COUNT] = { "set ", "unset ", "" };
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (!belongs(&changes[i], place, part) || found++ >= NAMES_SHOWN)
			continue;
		buf_append_str(out, found == 1 ? verbs[part] : ", ");
		if (part == PART_OTHER)
			append_other(out, &changes[i]);
		else
			text_append_printable(out, changes[i].key);
	}
	if (found > NAMES_SHOWN)
		buf_printf(out, " and %zu more", found - NAMES_SHOWN);
}

/* "development/default: set A, B; unset C" */
static void append_phrase(struct buf *out, const struct plan_change *changes, size_t count,
			  const struct plan_change *place)
{
	const char *before = ": ";

	append_place(out, place->environment, place->profile);
	for (enum phrase_part part = PART_SET; part < PART_COUNT; part++) {
		bool any = false;

		for (size_t i = 0; i < count && !any; i++)
			any = belongs(&changes[i], place, part);
		if (!any)
			continue;
		buf_append_str(out, before);
		append_part(out, changes, count, place, part);
		before = "; ";
	}
}

static void append_events(struct buf *out, const struct outcome *outcome)
{
	if (outcome->first_seq == outcome->last_seq)
		buf_printf(out, " (event %" PRIu64 ")\n", outcome->last_seq);
	else
		buf_printf(out, " (events %" PRIu64 "..%" PRIu64 ")\n", outcome->first_seq,
			   outcome->last_seq);
}

static void note_repeated(struct buf *notes, const struct outcome *outcome)
{
	if (outcome->repeated)
		buf_append_str(notes, "(this command id was carried out before)\n");
}

/* One line for each place that was touched. */
static void note_done(struct buf *notes, const struct outcome *outcome)
{
	size_t places = 0;

	for (size_t i = 0; i < outcome->change_count; i++) {
		if (!opens_place(outcome->changes, i) || places++ >= PLACES_SHOWN)
			continue;
		append_phrase(notes, outcome->changes, outcome->change_count, &outcome->changes[i]);
		append_events(notes, outcome);
	}
	if (places > PLACES_SHOWN)
		buf_printf(notes, "and changes in %zu more places\n", places - PLACES_SHOWN);
	note_repeated(notes, outcome);
}

static void note_unchanged(struct buf *notes, const struct outcome *outcome)
{
	if (outcome->environment.len) {
		append_place(notes, outcome->environment, outcome->profile);
		buf_append_str(notes, ": ");
	}
	buf_append_str(notes, "unchanged\n");
	note_repeated(notes, outcome);
}

void print_outcome(struct invocation *inv, const char *schema_word, const struct outcome *outcome)
{
	if (inv->json) {
		outcome_json(inv, schema_word, outcome);
		return;
	}
	if (outcome->unchanged)
		note_unchanged(&inv->notes, outcome);
	else if (!outcome->planned)
		note_done(&inv->notes, outcome);
	else
		print_changes(&inv->out, outcome->changes, outcome->change_count);
	if (outcome->planned)
		buf_append_str(&inv->notes, "nothing was changed (dry run)\n");
}
