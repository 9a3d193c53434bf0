/*
 * Projection against fold; see answers.h.
 *
 * Each answer is turned into the canonical entry that the fold should hold. Entries are counted, so
 * that one which the projection knows nothing of is noticed too.
 */
#include "sim/answers.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "projections/state.h"
#include "replay/fold.h"
#include "replay/ordered_map.h"
#include "sim/run.h"
#include "store/event.h"
#include "store/state_model.h"

#include "base/banned.h"

struct comparison {
	struct run *run;
	const struct state_view *view;
	const struct fold *fold;
	struct buf path;
	struct buf value;
	size_t entries;
	struct error err;
};

static void must(struct comparison *at, enum status status, const char *what)
{
	run_must(at->run, status, what, &at->err);
}

static void expect(struct comparison *at, enum state_tag tag, const struct slice *names,
		   size_t count, struct slice value)
{
	struct slice held;
	bool found;

	state_path(&at->path, tag, names, count);
	found = map_get(&at->fold->state, buf_slice(&at->path), &held);
	at->entries++;
	RUN_CHECK(at->run, found && slice_equal(held, value),
		  "at event %" PRIu64 " the projection's %s " SLICE_FMT " is %s", at->view->at,
		  state_tag_name(tag), SLICE_ARG(count ? names[count - 1] : slice_str("")),
		  found ? "another one in the fold" : "not in the fold");
}

static void variables(struct comparison *at, const struct profile *profile)
{
	struct variable *all;
	size_t count;

	must(at,
	     state_variables(at->view, profile->environment, profile->name, &all, &count, &at->err),
	     "list variables");
	for (size_t i = 0; i < count; i++) {
		struct slice names[] = { profile->environment, profile->name, all[i].key };
		struct variable one;
		struct variable_value value;

		must(at, state_variable(at->view, names[0], names[1], names[2], &one, &at->err),
		     "get a variable");
		must(at, state_value(at->view, &one, &value, &at->err), "get a value");
		RUN_CHECK(at->run, one.seq == all[i].seq && one.value_seq == all[i].value_seq,
			  "a variable differs between list and get");
		must(at,
		     state_value_variable(&at->value, one.expand, one.sealed,
					  one.sealed ? value.commitment : value.text, &at->err),
		     "encode a variable");
		expect(at, TAG_VARIABLE, names, 3, buf_slice(&at->value));
	}
}

/* Of a database that is attached: with it, its replacements are forgotten. */
static void replacement(struct comparison *at, const struct slice names[3])
{
	struct replacement last;
	enum status status =
		state_replacement(at->view, names[0], names[1], names[2], &last, &at->err);

	if (status == STATUS_NOT_FOUND)
		return;
	must(at, status, "read a replacement");
	must(at,
	     state_value_replacement(&at->value, last.phase, last.started, last.safety, &at->err),
	     "encode a replacement");
	expect(at, TAG_REPLACEMENT, names, 3, buf_slice(&at->value));
}

static void databases(struct comparison *at, const struct profile *profile)
{
	struct definition *all;
	size_t count;

	must(at,
	     state_databases(at->view, profile->environment, profile->name, &all, &count, &at->err),
	     "list databases");
	for (size_t i = 0; i < count; i++) {
		struct slice names[] = { profile->environment, profile->name,
					 payload_get_text(all[i].payload, FIELD_NAME) };

		expect(at, TAG_DATABASE, names, 3, all[i].bytes);
		replacement(at, names);
	}
}

static void profiles(struct comparison *at, const struct environment *environment)
{
	struct profile *all;
	size_t count;

	must(at, state_profiles(at->view, environment->name, &all, &count, &at->err),
	     "list profiles");
	for (size_t i = 0; i < count; i++) {
		struct slice names[] = { environment->name, all[i].name };

		must(at,
		     state_value_profile(&at->value, all[i].base, all[i].title, all[i].description,
					 &at->err),
		     "encode a profile");
		expect(at, TAG_PROFILE, names, 2, buf_slice(&at->value));
		RUN_CHECK(at->run, all[i].active == slice_equal(all[i].name, environment->profile),
			  "a profile is not the active one it says it is");
		variables(at, &all[i]);
		databases(at, &all[i]);
	}
}

static void keys(struct comparison *at, struct slice environment)
{
	struct definition key;
	uint64_t generation = 1;
	enum status status;

	for (;; generation++) {
		uint8_t number[8];
		struct slice names[] = { environment, slice_of(number, sizeof(number)) };

		status = state_environment_key(at->view, environment, generation, &key, &at->err);
		if (status)
			break;
		store_u64be(number, generation);
		expect(at, TAG_KEY, names, 2, key.bytes);
	}
	RUN_CHECK(at->run, status == STATUS_NOT_FOUND, "a key: %s", at->err.text);
	status = state_environment_key(at->view, environment, 0, &key, &at->err);
	RUN_CHECK(at->run,
		  status ? generation == 1
			 : payload_get_uint(key.payload, FIELD_GENERATION) == generation - 1,
		  "the latest key of an environment is not the last one");
}

static void environments(struct comparison *at)
{
	struct environment *all;
	struct slice active;
	size_t count;

	must(at, state_active_environment(at->view, &active, &at->err), "get what is active");
	if (active.len)
		expect(at, TAG_ACTIVE, NULL, 0, active);
	must(at, state_environments(at->view, &all, &count, &at->err), "list environments");
	for (size_t i = 0; i < count; i++) {
		must(at,
		     state_value_environment(&at->value, all[i].is_protected, all[i].title,
					     all[i].description, &at->err),
		     "encode an environment");
		expect(at, TAG_ENVIRONMENT, &all[i].name, 1, buf_slice(&at->value));
		expect(at, TAG_ACTIVE, &all[i].name, 1, all[i].profile);
		RUN_CHECK(at->run, all[i].active == slice_equal(all[i].name, active),
			  "an environment is not the active one it says it is");
		if (all[i].locked) {
			must(at, state_value_lock(&at->value, all[i].until_ms, &at->err),
			     "encode a lock");
			expect(at, TAG_LOCK, &all[i].name, 1, buf_slice(&at->value));
		}
		profiles(at, &all[i]);
	}
}

/* Keys outlive their environment: whose they are, the fold says. */
struct key_walk {
	struct comparison *at;
	struct slice last;
};

static enum status key_visit(void *context, const struct map_entry *entry, struct error *err)
{
	struct key_walk *walk = context;
	struct slice environment = entry_component(entry, 0);

	(void)err;
	if (!slice_equal(environment, walk->last))
		keys(walk->at, environment);
	walk->last = environment;
	return STATUS_OK;
}

static void all_keys(struct comparison *at)
{
	struct key_walk walk = { .at = at };

	must(at, map_each(&at->fold->state, slice_of("key", 4), key_visit, &walk, &at->err),
	     "walk the keys");
}

static void backups(struct comparison *at)
{
	struct definition *all, check;
	size_t count;

	must(at, state_backups(at->view, &all, &count, &at->err), "list backups");
	for (size_t i = 0; i < count; i++) {
		enum status status = state_backup_check(at->view, all[i].seq, &check, &at->err);
		uint8_t number[8];
		struct slice name;

		store_u64be(number, all[i].seq);
		name = slice_of(number, sizeof(number));
		expect(at, TAG_BACKUP, &name, 1, all[i].bytes);
		if (status == STATUS_NOT_FOUND)
			continue;
		must(at, status, "read what came of a backup");
		expect(at, TAG_BACKUP_CHECK, &name, 1, check.bytes);
	}
}

static void catalogue(struct comparison *at)
{
	struct definition *all;
	size_t count;

	must(at, state_categories(at->view, &all, &count, &at->err), "list categories");
	for (size_t i = 0; i < count; i++) {
		struct slice name = payload_get_text(all[i].payload, FIELD_NAME);

		expect(at, TAG_CATEGORY, &name, 1, all[i].bytes);
	}
	must(at, state_specifications(at->view, &all, &count, &at->err), "list specifications");
	for (size_t i = 0; i < count; i++) {
		struct slice key = payload_get_text(all[i].payload, FIELD_KEY);

		expect(at, TAG_SPECIFICATION, &key, 1, all[i].bytes);
	}
}

static void violations(struct comparison *at)
{
	struct violation *all;
	size_t count;

	must(at, state_violations(at->view, &all, &count, &at->err), "list violations");
	RUN_CHECK(at->run, count == at->fold->rejected_count,
		  "at event %" PRIu64 " the projection has %zu violations, the fold %zu",
		  at->view->at, count, at->fold->rejected_count);
	for (size_t i = 0; i < count; i++)
		RUN_CHECK(at->run,
			  all[i].seq == at->fold->rejected[i].seq &&
				  all[i].rule == at->fold->rejected[i].rule,
			  "event %" PRIu64 " broke rule %s, and in the fold event %" PRIu64
			  " broke %s",
			  all[i].seq, apply_rule_name(all[i].rule), at->fold->rejected[i].seq,
			  apply_rule_name(at->fold->rejected[i].rule));
	at->entries += count;
}

void answers_compare(struct run *run, const struct state_view *view, const struct fold *fold)
{
	struct comparison at = { .run = run, .view = view, .fold = fold };

	environments(&at);
	all_keys(&at);
	catalogue(&at);
	backups(&at);
	violations(&at);
	RUN_CHECK(run, at.entries == fold->state.count,
		  "at event %" PRIu64 " the projection knows %zu things, the fold %zu", view->at,
		  at.entries, fold->state.count);
	buf_release(&at.path);
	buf_release(&at.value);
}

void answers_compare_hash(struct run *run, const struct state_view *view, const struct fold *fold)
{
	uint8_t projected[HASH_BYTES], folded[HASH_BYTES];
	struct error err = ERROR_INIT;

	run_must(run, state_hash(view, projected, &err), "hash the state", &err);
	fold_hash(fold, folded);
	RUN_CHECK(run, memcmp(projected, folded, HASH_BYTES) == 0,
		  "at event %" PRIu64 " projection and fold have different state hashes", view->at);
}
