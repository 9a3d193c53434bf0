/*
 * Assertions that two events, or parts of them, are the same, field by field.
 */
#ifndef PROVENV_TESTS_LIB_EVENT_COMPARE_H
#define PROVENV_TESTS_LIB_EVENT_COMPARE_H

#include "base/bytes.h"
#include "store/event.h"

void assert_slices_equal(struct slice a, struct slice b);
void assert_payloads_equal(const struct payload *a, const struct payload *b);
void assert_events_equal(const struct event *a, const struct event *b);

#endif
