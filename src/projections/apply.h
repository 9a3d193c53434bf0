/*
 * The effect of one event on the tables, and the rules it must meet (store/apply_rules.def).
 *
 * Deterministic and total: the same events give the same rows, and every event of a known type
 * either takes effect or breaks a rule. Rules are checked before anything is written, so that an
 * event that breaks one has written nothing.
 */
#ifndef PROVENV_PROJECTIONS_APPLY_H
#define PROVENV_PROJECTIONS_APPLY_H

#include "base/arena.h"
#include "projections/db.h"
#include "store/event_codec.h"
#include "store/state_model.h"

/*
 * Apply @event.
 *
 * @arena       scratch, may be released after the call
 * @ret_broken  RULE_NONE when it took effect, else the first rule broken and nothing was written
 */
enum status apply_event(struct db *db, const struct decoded_event *event, struct arena *arena,
			enum apply_rule *ret_broken, struct error *err);

#endif
