/*
 * How an event is applied, between apply.c, which carries effects out, and apply_rules.c, which
 * tells whether they may take place. Of no use outside.
 */
#ifndef PROVENV_PROJECTIONS_APPLY_PARTS_H
#define PROVENV_PROJECTIONS_APPLY_PARTS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "projections/db.h"
#include "store/event.h"
#include "store/state_model.h"

/* One event on its way into the tables. All borrowed. */
struct application {
	struct db *db;
	struct arena *arena;
	const struct payload *payload;
	struct slice payload_bytes;
	uint64_t seq;
	struct error *err;
};

static inline struct slice application_text(const struct application *app, enum event_field field)
{
	return payload_get_text(app->payload, field);
}

static inline struct slice application_environment(const struct application *app)
{
	return payload_environment(app->payload);
}

static inline struct slice application_profile(const struct application *app)
{
	return payload_profile(app->payload);
}

/* The first rule that the event breaks, of those that its type has; RULE_NONE: none. */
enum status application_check(const struct application *app, enum apply_rule *ret_broken);

#endif
