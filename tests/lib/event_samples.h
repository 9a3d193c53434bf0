/*
 * Sample events for tests: one of every type with every field, random ones, and bytes that no
 * encoder of ours would write.
 */
#ifndef PROVENV_TESTS_LIB_EVENT_SAMPLES_H
#define PROVENV_TESTS_LIB_EVENT_SAMPLES_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/event.h"

/* A valid event of @type with all required fields and, if asked, all optional ones. Static data. */
void sample_event(enum event_type type, bool optional, struct event *ret);

/* A small fast generator (splitmix64), so that a printed seed repeats a run. */
struct sample_random {
	uint64_t state;
};

uint64_t sample_next(struct sample_random *random);
/* 0..@below - 1 */
size_t sample_below(struct sample_random *random, size_t below);

/* The seed in PROVENV_SEED, or one from the clock; printed either way. */
struct sample_random sample_seed(void);

/* A random valid event. Its data lives in @arena. */
void sample_random_event(struct sample_random *random, struct arena *arena, struct event *ret);

/*
 * Append MessagePack written down as text, without any check. Tokens, parted by blanks:
 *   {N [N    head of a map, an array        'text'   str
 *   %N       bin of N bytes                 *N       str of N letters x
 *   123      uint                           T F      bool
 *   #0aff    bytes as they are
 * Heads take their shortest form.
 */
void sample_pack(struct buf *out, const char *notation);

/* An event with the envelope of sample_event(), of type name @type, with the payload and then the
 * reason "r" as sample_pack() makes them. */
void sample_pack_event(struct buf *out, const char *type, const char *payload);

#endif
