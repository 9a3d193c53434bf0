/*
 * `verify`, `state`, `diff`: reading a log. See replay.h.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "replay/fold.h"
#include "replay/head.h"
#include "replay/ordered_map.h"
#include "replay/replay.h"
#include "replay/source.h"
#include "store/audit.h"
#include "store/ref.h"
#include "store/state_model.h"

#include "base/banned.h"

void replay_json_begin(struct request *request, struct json *json, const char *word)
{
	char schema[64]; /* our own words are short, and need no memory */

	(void)snprintf(schema, sizeof(schema), "provenv-replay/%s/v1", word);
	jsonw_init(json, &request->out);
	jsonw_object(json);
	jsonw_pair_string(json, "schema", schema);
}

void replay_json_finish(struct request *request, struct json *json)
{
	jsonw_end(json);
	buf_append_byte(&request->out, '\n');
}

static void verify_json(struct request *request, const struct audit_report *report,
			const struct head_evidence *head, const struct fold *fold)
{
	struct json json;

	replay_json_begin(request, &json, "verify");
	jsonw_pair_string(&json, "integrity", report->ok ? "ok" : "failed");
	jsonw_pair_string(&json, "completeness", head->lost ? "failed" : "unanchored");
	jsonw_pair_string(&json, "completeness_message", head->note);
	jsonw_pair_uint(&json, "events", report->events);
	jsonw_pair_uint(&json, "signatures_checked", report->signatures_checked);
	if (report->first_bad)
		jsonw_pair_uint(&json, "first_bad", report->first_bad);
	else
		jsonw_pair_null(&json, "first_bad");
	jsonw_pair_string(&json, "message", report->message);
	jsonw_pair_hex(&json, "root", report->root, HASH_BYTES);
	jsonw_pair_uint(&json, "valid_size", report->valid_size);
	jsonw_key(&json, "violations");
	jsonw_array(&json);
	for (size_t i = 0; i < fold->rejected_count; i++) {
		jsonw_object(&json);
		jsonw_pair_uint(&json, "seq", fold->rejected[i].seq);
		jsonw_pair_string(&json, "rule", apply_rule_name(fold->rejected[i].rule));
		jsonw_end(&json);
	}
	jsonw_end(&json);
	replay_json_finish(request, &json);
}

static void verify_text(struct request *request, const struct audit_report *report,
			const struct head_evidence *head, const struct fold *fold)
{
	struct buf *out = &request->out;

	if (report->ok)
		buf_printf(out,
			   "integrity:    ok, %" PRIu64 " events, %" PRIu64 " signatures checked\n",
			   report->events, report->signatures_checked);
	else
		buf_printf(out, "integrity:    FAILED, %s\n", report->message);
	buf_printf(out, "completeness: %s, %s\n", head->lost ? "failed" : "unanchored", head->note);
	for (size_t i = 0; i < fold->rejected_count; i++)
		buf_printf(out, "no effect:    event %" PRIu64 " broke the rule %s\n",
			   fold->rejected[i].seq, apply_rule_name(fold->rejected[i].rule));
}

enum status replay_verify(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct head_evidence head = { .usable = false };
	struct audit_report report;
	struct ref_point point;
	enum status status = source_find(request->source, &source, err);

	if (!status) {
		head_look(&source, &head);
		status = source_audit(&source, &report, err);
	}
	if (!status && !report.ok)
		head_compare_size(&head, report.events);
	else if (!status)
		status = source_open(&source, err);
	if (!status && report.ok)
		status = head_compare(&head, &source, err);
	if (!status && report.ok && !report.newer)
		status = source_fold(&source, NULL, &fold, &point, err);
	if (status)
		return status;
	if (request->json)
		verify_json(request, &report, &head, &fold);
	else
		verify_text(request, &report, &head, &fold);
	if (!report.ok)
		return error_set(err, STATUS_CORRUPT, "%s", report.message);
	if (head.lost)
		return error_set(err, STATUS_CORRUPT, "%s", head.note);
	if (report.newer)
		return error_set(err, STATUS_NEWER, "the log holds events of a later provenv");
	return STATUS_OK;
}

/* Writing the state as JSON: environments, in them profiles, in them variables, all in order. */
struct state_printing {
	struct request *request;
	const struct fold *fold;
	struct json json;
	struct slice environment;
};

static enum status print_each(struct state_printing *printing, enum state_tag tag, struct slice a,
			      struct slice b, map_visit visit, struct error *err)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT;
	enum status status;

	state_path(&prefix, tag, (struct slice[]){ a, b }, b.len ? 2 : a.len ? 1 : 0);
	buf_append_byte(&prefix, 0);
	status = buf_status(&prefix, err);
	if (status)
		return status;
	return map_each(&printing->fold->state, buf_slice(&prefix), visit, printing, err);
}

static enum status print_variable(void *context, const struct map_entry *entry, struct error *err)
{
	struct state_printing *printing = context;
	struct entry_variable variable = entry_variable(entry);
	struct slice key = entry_component(entry, 2);
	char hex[2 * HASH_BYTES + 1];

	(void)err;
	if (variable.sealed)
		text_to_hex(variable.bytes.data, HASH_BYTES, hex);
	if (printing->request->json) {
		jsonw_key_slice(&printing->json, key);
		if (variable.sealed) {
			jsonw_object(&printing->json);
			jsonw_pair_string(&printing->json, "sealed", hex);
			jsonw_end(&printing->json);
		} else {
			jsonw_slice(&printing->json, variable.bytes);
		}
		return STATUS_OK;
	}
	buf_append_str(&printing->request->out, "    ");
	text_append_printable(&printing->request->out, key);
	buf_append_str(&printing->request->out, " = ");
	if (variable.sealed)
		buf_printf(&printing->request->out, "(sealed %.16s…)", hex);
	else
		text_append_printable(&printing->request->out, variable.bytes);
	buf_append_byte(&printing->request->out, '\n');
	return STATUS_OK;
}

static enum status print_profile(void *context, const struct map_entry *entry, struct error *err)
{
	struct state_printing *printing = context;
	struct slice name = entry_component(entry, 1);
	enum status status;

	if (printing->request->json) {
		jsonw_object(&printing->json);
		jsonw_pair_slice(&printing->json, "name", name);
		jsonw_key(&printing->json, "variables");
		jsonw_object(&printing->json);
	} else {
		buf_printf(&printing->request->out, SLICE_FMT "/" SLICE_FMT ":\n",
			   SLICE_ARG(printing->environment), SLICE_ARG(name));
	}
	status = print_each(printing, TAG_VARIABLE, printing->environment, name, print_variable,
			    err);
	if (printing->request->json) {
		jsonw_end(&printing->json);
		jsonw_end(&printing->json);
	}
	return status;
}

static enum status print_environment(void *context, const struct map_entry *entry,
				     struct error *err)
{
	struct state_printing *printing = context;
	enum status status;

	printing->environment = entry_component(entry, 0);
	if (printing->request->json) {
		jsonw_object(&printing->json);
		jsonw_pair_slice(&printing->json, "name", printing->environment);
		jsonw_key(&printing->json, "profiles");
		jsonw_array(&printing->json);
	}
	status = print_each(printing, TAG_PROFILE, printing->environment, slice_of(NULL, 0),
			    print_profile, err);
	if (printing->request->json) {
		jsonw_end(&printing->json);
		jsonw_end(&printing->json);
	}
	return status;
}

static void print_head(struct state_printing *printing, uint64_t at)
{
	struct request *request = printing->request;
	struct slice active = slice_str("");
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	fold_hash(printing->fold, hash);
	(void)map_get(&printing->fold->state, slice_str(state_tag_name(TAG_ACTIVE)), &active);
	if (request->json) {
		replay_json_begin(request, &printing->json, "state");
		jsonw_pair_uint(&printing->json, "at", at);
		jsonw_pair_hex(&printing->json, "state_hash", hash, HASH_BYTES);
		jsonw_pair_slice(&printing->json, "environment", active);
		jsonw_key(&printing->json, "environments");
		jsonw_array(&printing->json);
		return;
	}
	text_to_hex(hash, HASH_BYTES, hex);
	buf_printf(&request->out, "event %" PRIu64 ", environment " SLICE_FMT "\nstate %s\n", at,
		   SLICE_ARG(active), hex);
}

enum status replay_state(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	struct state_printing printing = { .request = request, .fold = &fold };
	struct ref_point point;
	enum status status = source_find(request->source, &source, err);

	if (!status)
		status = source_fold(&source, request->to, &fold, &point, err);
	if (status)
		return status;
	print_head(&printing, point.seq);
	status = print_each(&printing, TAG_ENVIRONMENT, slice_of(NULL, 0), slice_of(NULL, 0),
			    print_environment, err);
	if (request->json) {
		jsonw_end(&printing.json);
		replay_json_finish(request, &printing.json);
	}
	return status;
}

/* One side of a diff: which entries does the other state lack, or hold otherwise? */
struct differing {
	struct request *request;
	const struct fold *other;
	struct json *json;
	bool forward; /* walking the newer state */
	size_t count;
};

static void print_value(struct buf *out, const struct map_entry *entry, bool is_variable)
{
	struct entry_variable variable;

	if (!is_variable)
		return;
	variable = entry_variable(entry);
	buf_append_str(out, " = ");
	if (variable.sealed)
		buf_append_str(out, "(sealed)");
	else
		text_append_printable(out, variable.bytes);
}

static bool has_tag(const struct map_entry *entry, enum state_tag tag)
{
	const char *name = state_tag_name(tag);
	size_t len = strlen(name);

	return entry->path.len >= len && memcmp(entry->path.data, name, len) == 0 &&
	       (entry->path.len == len || entry->path.data[len] == 0);
}

static void print_path(struct buf *out, const struct map_entry *entry)
{
	size_t tag_len = strnlen((const char *)entry->path.data, entry->path.len);
	bool is_key = has_tag(entry, TAG_KEY);
	/* Such a path ends in a number of 8 bytes, which may be NUL. */
	bool numbered = is_key || has_tag(entry, TAG_VIOLATION);
	unsigned names = !numbered ? 3 : is_key ? 1 : 0;

	text_append_printable(out, slice_of(entry->path.data, tag_len));
	for (unsigned i = 0; i < names; i++) {
		struct slice component = entry_component(entry, i);

		if (!component.len)
			break;
		buf_append_byte(out, i ? '/' : ' ');
		text_append_printable(out, component);
	}
	if (numbered)
		buf_printf(out, "%c%" PRIu64, names ? '/' : ' ',
			   load_u64be(entry->path.data + entry->path.len - 8));
}

static void json_diff(struct differing *differing, const struct map_entry *entry, const char *op)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	bool is_variable = has_tag(entry, TAG_VARIABLE);

	print_path(&path, entry);
	jsonw_object(differing->json);
	jsonw_pair_string(differing->json, "op", op);
	jsonw_pair_slice(differing->json, "what", buf_slice(&path));
	if (is_variable) {
		jsonw_pair_slice(differing->json, "environment", entry_component(entry, 0));
		jsonw_pair_slice(differing->json, "profile", entry_component(entry, 1));
		jsonw_pair_slice(differing->json, "key", entry_component(entry, 2));
	}
	jsonw_end(differing->json);
}

static enum status differ_visit(void *context, const struct map_entry *entry, struct error *err)
{
	struct differing *differing = context;
	struct buf *out = &differing->request->out;
	bool is_variable = has_tag(entry, TAG_VARIABLE);
	struct slice value;
	bool there = map_get(&differing->other->state, entry->path, &value);

	(void)err;
	if (there && (!differing->forward || slice_equal(value, entry->value)))
		return STATUS_OK;
	differing->count++;
	if (differing->json) {
		json_diff(differing, entry,
			  there                ? "changed"
			  : differing->forward ? "added"
					       : "removed");
		return STATUS_OK;
	}
	buf_append_str(out, there ? "~ " : differing->forward ? "+ " : "- ");
	print_path(out, entry);
	print_value(out, entry, is_variable);
	buf_append_byte(out, '\n');
	return STATUS_OK;
}

static enum status walk_both(struct request *request, struct json *json, const struct fold *before,
			     const struct fold *after, size_t *ret_count, struct error *err)
{
	struct differing gone = { .request = request, .other = after, .json = json };
	struct differing come = {
		.request = request, .other = before, .json = json, .forward = true
	};
	enum status status = map_each(&before->state, slice_of(NULL, 0), differ_visit, &gone, err);

	if (!status)
		status = map_each(&after->state, slice_of(NULL, 0), differ_visit, &come, err);
	*ret_count = gone.count + come.count;
	return status;
}

enum status replay_print_diff(struct request *request, const struct fold *before,
			      const struct fold *after, size_t *ret_count, struct error *err)
{
	return walk_both(request, NULL, before, after, ret_count, err);
}

enum status replay_diff(struct request *request, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	AUTO(fold_release) struct fold before = FOLD_INIT;
	AUTO(fold_release) struct fold after = FOLD_INIT;
	struct ref_point from, to;
	struct json json;
	size_t count = 0;
	enum status status = source_find(request->source, &source, err);

	if (!status)
		status = source_fold(&source, request->operands[0], &before, &from, err);
	if (!status)
		status = source_fold(&source, request->operands[1], &after, &to, err);
	if (status)
		return status;
	if (request->json) {
		replay_json_begin(request, &json, "diff");
		jsonw_pair_uint(&json, "from", from.seq);
		jsonw_pair_uint(&json, "to", to.seq);
		jsonw_key(&json, "changes");
		jsonw_array(&json);
	}
	status = walk_both(request, request->json ? &json : NULL, &before, &after, &count, err);
	if (request->json) {
		jsonw_end(&json);
		replay_json_finish(request, &json);
	}
	if (!status && count)
		status = error_set(err, STATUS_NEGATIVE, "%zu differences", count);
	return status;
}
