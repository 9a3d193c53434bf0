/*
 * Language maps: titles and descriptions by language tag.
 */
#ifndef PROVENV_OPS_LANGMAP_H
#define PROVENV_OPS_LANGMAP_H

#include "base/arena.h"
#include "store/event.h"

/* The text of a language map to show: "und", else "en", else the first; empty when absent. */
struct slice langmap_pick(const struct langmap *map);

/* A language map of one text without a language; the text is borrowed. NULL entries when memory is
 * out. */
struct langmap langmap_of(struct arena *arena, struct slice text);

#endif
