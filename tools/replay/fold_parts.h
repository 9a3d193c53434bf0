/*
 * How an event is folded, between fold.c and its two parts: rules tell whether an event may take
 * effect, effects carry it out. Of no use outside.
 */
#ifndef PROVENV_TOOLS_REPLAY_FOLD_PARTS_H
#define PROVENV_TOOLS_REPLAY_FOLD_PARTS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "replay/fold.h"
#include "store/event.h"
#include "store/event_reader.h"
#include "store/state_model.h"

/* One event on its way into the state. All borrowed. */
struct folding {
	struct fold *fold;
	struct event_reader *targets; /* for what copies point at */
	const struct payload *payload;
	struct slice payload_bytes;
	uint64_t seq;
	struct error *err;
};

static inline struct slice folding_text(const struct folding *folding, enum event_field field)
{
	return payload_get_text(folding->payload, field);
}

static inline struct slice folding_environment(const struct folding *folding)
{
	return payload_environment(folding->payload);
}

static inline struct slice folding_profile(const struct folding *folding)
{
	return payload_profile(folding->payload);
}

/* No name: where paths end early. */
#define NO_NAME ((struct slice){ .data = NULL })

/*
 * The beginning of the paths of everything below one or two names (@b may be empty). The closing
 * NUL keeps "dev" from matching "develop".
 */
void folding_prefix(struct buf *ret, enum state_tag tag, struct slice a, struct slice b);

/*
 * The change that @copy points at, if it is older, took effect and holds bytes itself; else NULL.
 * It lives in a slot of folding->targets.
 */
enum status folding_copied(const struct folding *folding, const struct change *copy,
			   const struct change **ret);

/* Does the event keep @rule? */
enum status folding_keeps(const struct folding *folding, enum apply_rule rule, bool *ret);

/* Do what the event says. Its rules hold. */
enum status folding_effect(const struct folding *folding);

/* Put an entry; @names are as many as the tag's path has. */
enum status folding_put(const struct folding *folding, enum state_tag tag,
			const struct slice *names, size_t count, struct slice value);

#endif
