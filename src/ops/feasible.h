/*
 * Would the events that compensate a difference all take effect? An event that breaks a rule of
 * store/apply_rules.def makes its whole command one without effect, for ever visible; so what
 * cannot be done is refused before it is written.
 */
#ifndef PROVENV_OPS_FEASIBLE_H
#define PROVENV_OPS_FEASIBLE_H

#include "ops/session.h"
#include "ops/state_diff.h"

/*
 * @diff  from the session's present state to the goal
 *
 * CONFLICT  something goes into an environment or profile that is gone, or names one that is; a
 *           profile would be its own base
 * DENIED    what is active, a category in use or the base of a profile would be removed
 */
enum status check_feasible(struct session *session, const struct diff *diff, struct error *err);

#endif
