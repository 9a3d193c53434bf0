/*
 * The store as the program shows it, against the model; see check.h.
 */
#include "sim/check.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/op_variable.h"
#include "ops/secrets.h"
#include "ops/session.h"
#include "projections/state.h"
#include "replay/fold.h"
#include "sim/model.h"
#include "sim/operation.h"
#include "sim/run.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/state_model.h"

#include "base/banned.h"

struct checking {
	struct run *run;
	struct session *session;
	const struct state_view *view;
	const struct model_state *model;
	size_t seen; /* entries of the model that were found */
	struct error err;
};

static void must(struct checking *at, enum status status, const char *what)
{
	run_must(at->run, status, what, &at->err);
}

/* Names are short here: what does not fit is not one of ours. */
static void name_of(struct slice text, char ret[SIM_NAME])
{
	size_t len = text.len < SIM_NAME ? text.len : SIM_NAME - 1;

	memset(ret, 0, SIM_NAME);
	if (len)
		memcpy(ret, text.data, len);
}

static const struct model_entry *expect(struct checking *at, enum model_kind kind,
					struct slice environment, struct slice profile,
					struct slice name)
{
	char names[3][SIM_NAME];
	const struct model_entry *entry;

	name_of(environment, names[0]);
	name_of(profile, names[1]);
	name_of(name, names[2]);
	entry = model_find(at->model, kind, names[0], names[1], names[2]);
	RUN_CHECK(at->run, entry,
		  "at event %" PRIu64 " there is a thing (kind %d) %s/%s/%s that the model has not",
		  at->view->at, (int)kind, names[0], names[1], names[2]);
	at->seen++;
	return entry;
}

static void same(struct checking *at, const struct model_entry *entry, struct slice text,
		 const char *wanted)
{
	RUN_CHECK(at->run, slice_equal_str(text, wanted),
		  "at event %" PRIu64 " %s/%s/%s (kind %d) says '" SLICE_FMT "', not '%s'",
		  at->view->at, entry->environment, entry->profile, entry->name, (int)entry->kind,
		  SLICE_ARG(text), wanted);
}

static struct slice none(void)
{
	return slice_of("", 0);
}

static struct slice title_of(struct checking *at, struct slice encoded)
{
	return langmap_text(at->view->arena, encoded);
}

/* --- profiles --------------------------------------------------------------------------------- */

static void variables(struct checking *at, const struct profile *profile)
{
	struct variable *all;
	size_t count;

	must(at,
	     state_variables(at->view, profile->environment, profile->name, &all, &count, &at->err),
	     "list variables");
	for (size_t i = 0; i < count; i++) {
		const struct model_entry *entry =
			expect(at, MODEL_VARIABLE, profile->environment, profile->name, all[i].key);
		struct secret opened = SECRET_INIT;
		struct variable_value value;

		must(at, state_value(at->view, &all[i], &value, &at->err), "get a value");
		RUN_CHECK(at->run, all[i].sealed == entry->sealed,
			  "at event %" PRIu64 " %s is %ssealed", at->view->at, entry->name,
			  all[i].sealed ? "" : "not ");
		if (all[i].sealed)
			must(at, secrets_open(at->session, &all[i], &value, &opened, &at->err),
			     "open a secret");
		same(at, entry, all[i].sealed ? secret_slice(&opened) : value.text, entry->value);
		secret_release(&opened);
	}
}

static void databases(struct checking *at, const struct profile *profile)
{
	struct definition *all;
	size_t count;

	must(at,
	     state_databases(at->view, profile->environment, profile->name, &all, &count, &at->err),
	     "list databases");
	for (size_t i = 0; i < count; i++) {
		const struct model_entry *entry =
			expect(at, MODEL_DATABASE, profile->environment, profile->name,
			       payload_get_text(all[i].payload, FIELD_NAME));

		same(at, entry, payload_get_text(all[i].payload, FIELD_PATH), entry->value);
	}
}

static void profiles(struct checking *at, const struct environment *environment)
{
	struct profile *all;
	size_t count;

	must(at, state_profiles(at->view, environment->name, &all, &count, &at->err),
	     "list profiles");
	for (size_t i = 0; i < count; i++) {
		const struct model_entry *entry =
			expect(at, MODEL_PROFILE, environment->name, none(), all[i].name);

		same(at, entry, title_of(at, all[i].title), entry->value);
		same(at, entry, all[i].base, entry->extra);
		variables(at, &all[i]);
		databases(at, &all[i]);
	}
}

/* --- the rest --------------------------------------------------------------------------------- */

static void environments(struct checking *at)
{
	struct environment *all;
	struct slice active;
	size_t count;
	const struct model_entry *entry;

	must(at, state_active_environment(at->view, &active, &at->err), "get what is active");
	entry = expect(at, MODEL_ACTIVE, none(), none(), none());
	same(at, entry, active, entry->value);
	must(at, state_environments(at->view, &all, &count, &at->err), "list environments");
	for (size_t i = 0; i < count; i++) {
		entry = expect(at, MODEL_ENVIRONMENT, none(), none(), all[i].name);
		same(at, entry, title_of(at, all[i].title), entry->value);
		RUN_CHECK(at->run, entry->flag == all[i].is_protected,
			  "at event %" PRIu64 " protection of %s", at->view->at, entry->name);
		entry = expect(at, MODEL_ACTIVE, all[i].name, none(), none());
		same(at, entry, all[i].profile, entry->value);
		if (all[i].locked) {
			entry = expect(at, MODEL_LOCK, all[i].name, none(), none());
			RUN_CHECK(at->run, entry->number == all[i].until_ms,
				  "at event %" PRIu64 " %s is locked until another time",
				  at->view->at, entry->environment);
		}
		profiles(at, &all[i]);
	}
}

/* Keys outlive their environment: the model says whose there are. */
static void keys(struct checking *at)
{
	for (size_t i = 0; i < at->model->count; i++) {
		const struct model_entry *entry = &at->model->entries[i];
		struct definition key;

		if (entry->kind != MODEL_KEY)
			continue;
		must(at,
		     state_environment_key(at->view, slice_str(entry->environment), 0, &key,
					   &at->err),
		     "get a key");
		RUN_CHECK(at->run, payload_get_uint(key.payload, FIELD_GENERATION) == entry->number,
			  "at event %" PRIu64 " the key of %s is of another generation",
			  at->view->at, entry->environment);
		at->seen++;
	}
}

static void catalogue(struct checking *at)
{
	struct definition *all;
	size_t count;

	must(at, state_categories(at->view, &all, &count, &at->err), "list categories");
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = all[i].payload;
		const struct langmap *title = &payload->field[FIELD_TITLE].langmap;
		const struct model_entry *entry = expect(at, MODEL_CATEGORY, none(), none(),
							 payload_get_text(payload, FIELD_NAME));

		same(at, entry,
		     payload->field[FIELD_TITLE].present ? title->entries[0].text : none(),
		     entry->value);
		RUN_CHECK(at->run, payload_get_bool(payload, FIELD_PLANNED) == entry->flag,
			  "category %s", entry->name);
	}
	must(at, state_specifications(at->view, &all, &count, &at->err), "list specifications");
	for (size_t i = 0; i < count; i++) {
		const struct payload *payload = all[i].payload;
		const struct model_entry *entry = expect(at, MODEL_SPECIFICATION, none(), none(),
							 payload_get_text(payload, FIELD_KEY));

		same(at, entry, payload_get_text(payload, FIELD_DEFAULT), entry->value);
		same(at, entry, payload_get_text(payload, FIELD_CATEGORY), entry->extra);
		same(at, entry, payload_get_text(payload, FIELD_TYPE),
		     entry->number ? "int" : "string");
		RUN_CHECK(at->run,
			  payload_get_bool(payload, FIELD_REQUIRED) == entry->flag &&
				  payload_get_bool(payload, FIELD_SECRET) == entry->sealed,
			  "specification of %s", entry->name);
	}
}

static void violations(struct checking *at)
{
	struct violation *all;
	size_t count, found = 0;

	must(at, state_violations(at->view, &all, &count, &at->err), "list violations");
	for (size_t i = 0; i < at->model->count; i++) {
		const struct model_entry *entry = &at->model->entries[i];

		if (entry->kind != MODEL_VIOLATION)
			continue;
		RUN_CHECK(at->run,
			  found < count && all[found].seq == entry->number &&
				  strcmp(apply_rule_name(all[found].rule), entry->name) == 0,
			  "at event %" PRIu64 " event %" PRIu64 " should have broken %s",
			  at->view->at, entry->number, entry->name);
		found++;
	}
	RUN_CHECK(at->run, found == count,
		  "at event %" PRIu64 " event %" PRIu64 " broke %s, and should not have",
		  at->view->at, count > found ? all[found].seq : 0,
		  count > found ? apply_rule_name(all[found].rule) : "");
	at->seen += found;
}

void check_state(struct run *run, struct session *session, uint64_t at,
		 const struct model_state *model)
{
	struct state_view view = session_view_at(session, at);
	struct checking checking = {
		.run = run, .session = session, .view = &view, .model = model
	};

	/* First: a command without effect that should have had one is best named as that. */
	violations(&checking);
	environments(&checking);
	keys(&checking);
	catalogue(&checking);
	RUN_CHECK(run, checking.seen == model->count,
		  "at event %" PRIu64 " the state holds %zu things, the model %zu", at,
		  checking.seen, model->count);
}

/* --- reading as users do ---------------------------------------------------------------------- */

/* The variable as the model has it: its own, or the default. NULL: neither. */
static const struct model_entry *variable_of(const struct model_state *model,
					     const struct session *session, const char *key)
{
	char environment[SIM_NAME], profile[SIM_NAME];
	const struct model_entry *entry;

	name_of(session->environment, environment);
	name_of(session->profile, profile);
	entry = model_find(model, MODEL_VARIABLE, environment, profile, key);
	if (entry)
		return entry;
	entry = model_find(model, MODEL_SPECIFICATION, "", "", key);
	return entry && *entry->value ? entry : NULL;
}

static void compare_info(struct run *run, struct variable_info *info,
			 const struct model_entry *entry)
{
	struct slice value = info->secret ? secret_slice(&info->revealed) : info->value;

	RUN_CHECK(run, slice_equal_str(value, entry->value), "%s is '" SLICE_FMT "', not '%s'",
		  entry->name, SLICE_ARG(value), entry->value);
	RUN_CHECK(run, info->secret == (entry->kind == MODEL_VARIABLE && entry->sealed),
		  "%s is taken for a secret, or a secret for plain", entry->name);
	run_note(run, value.data, value.len);
	run_note_number(run, info->seq);
	variable_info_release(info);
}

void check_get(struct run *run, struct session *session, const char *key,
	       const struct model_state *model)
{
	const struct model_entry *entry = variable_of(model, session, key);
	struct variable_info info = { .seq = 0 };
	struct error err = ERROR_INIT;
	enum status status = op_get(session, slice_str(key), true, &info, &err);

	run_note_number(run, (uint64_t)status);
	RUN_CHECK(run, status == (entry ? STATUS_OK : STATUS_NOT_FOUND), "get %s: %s: %s", key,
		  status_name(status), err.text);
	if (entry)
		compare_info(run, &info, entry);
}

void check_list(struct run *run, struct session *session, const struct model_state *model)
{
	struct variable_info *items;
	struct error err = ERROR_INIT;
	size_t count, expected = 0;

	run_must(run, op_list(session, none(), true, &items, &count, &err), "list", &err);
	for (size_t i = 0; i < model->count; i++) {
		const struct model_entry *entry = &model->entries[i];

		/* Each key once: as a variable, or as a default that stands alone. */
		if ((entry->kind == MODEL_VARIABLE || entry->kind == MODEL_SPECIFICATION) &&
		    variable_of(model, session, entry->name) == entry)
			expected++;
	}
	RUN_CHECK(run, count == expected, "the list has %zu variables, not %zu", count, expected);
	for (size_t i = 0; i < count; i++) {
		char key[SIM_NAME];
		const struct model_entry *entry;

		name_of(items[i].key, key);
		entry = variable_of(model, session, key);
		RUN_CHECK(run, entry, "%s is in the list", key);
		compare_info(run, &items[i], entry);
	}
}

/* --- hashes ----------------------------------------------------------------------------------- */

void check_hash(struct run *run, struct session *session, struct fold *fold)
{
	struct state_view view = session_view_at(session, session->head);
	uint8_t projected[HASH_BYTES], folded[HASH_BYTES];
	struct error err = ERROR_INIT;

	run_must(run, fold_to(fold, session->log, view.at, &err), "fold", &err);
	run_must(run, state_hash(&view, projected, &err), "hash the state", &err);
	fold_hash(fold, folded);
	RUN_CHECK(run, memcmp(projected, folded, HASH_BYTES) == 0,
		  "at event %" PRIu64 " the state hash is not that of the replay", view.at);
	run_note(run, projected, HASH_BYTES);
}

/* Level by level: neighbours become one, a last one without neighbour goes up as it is. */
static void plain_root(const uint8_t (*hashes)[HASH_BYTES], size_t count, uint8_t ret[HASH_BYTES])
{
	uint8_t(*level)[HASH_BYTES] = calloc(count + 1, HASH_BYTES);

	if (!level)
		abort();
	memcpy(level, hashes, count * HASH_BYTES);
	for (; count > 1; count = (count + 1) / 2) {
		for (size_t i = 0; i + 1 < count; i += 2)
			merkle_node_hash(level[i], level[i + 1], level[i / 2]);
		if (count % 2)
			memmove(level[count / 2], level[count - 1], HASH_BYTES);
	}
	memcpy(ret, level[0], HASH_BYTES);
	free(level);
}

static void check_root(struct run *run, struct evlog_snapshot *snapshot,
		       const uint8_t (*hashes)[HASH_BYTES], size_t size)
{
	uint8_t expected[HASH_BYTES], root[HASH_BYTES];
	struct error err = ERROR_INIT;

	plain_root(hashes, size, expected);
	run_must(run, evlog_root(snapshot, size, root, &err), "compute the root", &err);
	RUN_CHECK(run, memcmp(root, expected, HASH_BYTES) == 0,
		  "the root of the first %zu events is not the one of their leaves", size);
}

void check_log(struct run *run, struct evlog *log, const uint8_t (*hashes)[HASH_BYTES],
	       size_t count, size_t size)
{
	struct evlog_snapshot *snapshot = NULL;
	struct error err = ERROR_INIT;

	run_must(run, evlog_snapshot_open(log, &snapshot, &err), "look at the log", &err);
	RUN_CHECK(run, snapshot->size == count,
		  "the log holds %" PRIu64 " events; acknowledged were %zu", snapshot->size, count);
	for (size_t i = 0; i < count; i++) {
		uint8_t hash[HASH_BYTES];
		struct slice leaf;

		run_must(run, evlog_leaf(snapshot, i + 1, &leaf, &err), "read a leaf", &err);
		merkle_leaf_hash(leaf, hash);
		RUN_CHECK(run, memcmp(hash, hashes[i], HASH_BYTES) == 0,
			  "event %zu is not the one that was acknowledged", i + 1);
	}
	check_root(run, snapshot, hashes, count);
	check_root(run, snapshot, hashes, size);
	evlog_snapshot_close(snapshot);
}
