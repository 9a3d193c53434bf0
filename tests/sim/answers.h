/*
 * What the projection answers, compared one by one with what the fold of provenv-replay holds.
 */
#ifndef PROVENV_TESTS_SIM_ANSWERS_H
#define PROVENV_TESTS_SIM_ANSWERS_H

#include "projections/state.h"
#include "replay/fold.h"
#include "sim/run.h"

/* Every entry of the fold is asked for, and nothing else is there. The view's arena grows. */
void answers_compare(struct run *run, const struct state_view *view, const struct fold *fold);

/* state_hash/v1 of both. */
void answers_compare_hash(struct run *run, const struct state_view *view, const struct fold *fold);

#endif
