/*
 * Random operations, about few things so that they meet, mostly about what there is.
 */
#ifndef PROVENV_TESTS_SIM_GENERATE_H
#define PROVENV_TESTS_SIM_GENERATE_H

#include "sim/model.h"
#include "sim/operation.h"
#include "sim/run.h"

/* What a writer might do next, in a store of @size events. The clock is left to the caller. */
void generate_operation(struct run *run, const struct model *model, uint64_t size,
			struct operation *ret);

#endif
