/*
 * The commands of provenv-replay and what they share: the request, the output, the JSON frame.
 */
#ifndef PROVENV_TOOLS_REPLAY_REPLAY_H
#define PROVENV_TOOLS_REPLAY_REPLAY_H

#include "base/json.h"
#include "replay/source.h"

struct request {
	const char *source;
	const char *operands[2]; /* diff: A and B */
	const char *to;          /* --to */
	const char *output;      /* --output */
	bool json;
	char *const *rest; /* rollback: what follows "--", for provenv; ended by NULL */
	struct buf out;    /* stdout, written once at the end */
};

enum status replay_verify(struct request *request, struct error *err);
enum status replay_state(struct request *request, struct error *err);
enum status replay_diff(struct request *request, struct error *err);
enum status replay_rebuild(struct request *request, struct error *err);
enum status replay_salvage(struct request *request, struct error *err);
/* Prints the plan, then becomes `provenv rollback`; returns only on failure. */
enum status replay_rollback(struct request *request, struct error *err);

/* {"schema":"provenv-replay/<word>/v1" … } and a newline. */
void replay_json_begin(struct request *request, struct json *json, const char *word);
void replay_json_finish(struct request *request, struct json *json);

/* Append what differs between two folds, and count it. */
enum status replay_print_diff(struct request *request, const struct fold *before,
			      const struct fold *after, size_t *ret_count, struct error *err);

/* Write request->out to stdout and empty it. */
enum status replay_flush(struct request *request, struct error *err);

#endif
