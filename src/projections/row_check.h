/*
 * Does a row of the state say what the event says that put it in force? A bit that flips in the
 * file may switch an environment's protection off, or name another active one, and SQLite does not
 * notice. Variables are left to state_value(), which reads their events anyway. Of a violation only
 * that its event could break the rule is known here, and of a row that is hidden nothing: a rebuild
 * tells (projection_fresh_hash()).
 */
#ifndef PROVENV_PROJECTIONS_ROW_CHECK_H
#define PROVENV_PROJECTIONS_ROW_CHECK_H

#include "base/error.h"
#include "projections/projection.h"
#include "projections/tables.h"
#include "store/state_model.h"

/*
 * Compare @row of the table of @tag with the log.
 * CORRUPT  it contradicts its event; the projection is marked damaged
 */
enum status row_check(struct projection *projection, enum state_tag tag,
		      const struct table_row *row, struct error *err);

#endif
