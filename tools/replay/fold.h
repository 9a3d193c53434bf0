/*
 * The state, folded from the log in memory: an independent second opinion on what the SQLite
 * projection says. It shares with it only the names of rules and the canonical form of entries
 * (store/state_model.h), and must reach the same state hash.
 *
 * Memory is proportional to the current state.
 */
#ifndef PROVENV_TOOLS_REPLAY_FOLD_H
#define PROVENV_TOOLS_REPLAY_FOLD_H

#include "base/limits.h"
#include "replay/ordered_map.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/state_model.h"

/* A command without effect: its events, and the rule that one of them broke. */
struct rejected {
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t seq;
	enum apply_rule rule;
};

struct fold {
	struct ordered_map state; /* canonical paths → canonical values */
	struct rejected *rejected;
	size_t rejected_count;
	uint64_t seq; /* the last event folded, the end of a command */
};

#define FOLD_INIT { .state = ORDERED_MAP_INIT }

/*
 * Fold events up to @until, the end of a command. After a failure @fold is the state after
 * @fold->seq.
 * CORRUPT  an event is damaged, or a command is cut
 * NEWER    an event of a later provenv
 */
enum status fold_to(struct fold *fold, struct evlog_snapshot *snapshot, uint64_t until,
		    struct error *err);

/*
 * Apply one event, or tell the first rule it breaks; @fold is unchanged then.
 * @targets  reads what copies point at; not the reader that @event lives in, whose slots are few
 */
enum status fold_event(struct fold *fold, struct event_reader *targets,
		       const struct decoded_event *event, enum apply_rule *ret_broken,
		       struct error *err);

void fold_hash(const struct fold *fold, uint8_t ret[HASH_BYTES]);

/* Accepts FOLD_INIT. */
void fold_release(struct fold *fold);

/* The name after the tag in the entry's path, component @index; empty when there is none. */
struct slice entry_component(const struct map_entry *entry, unsigned index);
/* What a variable's entry holds. */
struct entry_variable {
	bool expand;
	bool sealed;
	struct slice bytes; /* the value, or the commitment */
};
struct entry_variable entry_variable(const struct map_entry *entry);
/* What a replacement's value holds. */
struct entry_replacement {
	enum replacement_phase phase;
	uint64_t started;
	uint64_t safety; /* 0: none */
};
struct entry_replacement entry_replacement(struct slice value);

#endif
