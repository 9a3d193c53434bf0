/*
 * Reading variables of a made log; see reads.h.
 */
#include "reads.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "bench.h"
#include "log_maker.h"
#include "ops/session.h"
#include "projections/projection.h"
#include "projections/state.h"

#include "base/banned.h"

uint64_t log_events(const struct bench *bench, size_t at)
{
	uint64_t events = LOG_EVENTS_MIN;

	while (at > 0 && events <= bench->events_max) {
		events *= 10;
		at--;
	}
	return events <= bench->events_max ? events : 0;
}

/* xorshift64 (Marsaglia 2003): the same sequence every time. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static enum status read_variable(struct session *session, uint64_t seq, uint64_t at,
				 struct error *err)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct state_view view = {
		.projection = session->projection,
		.arena = &arena,
		.at = at,
	};
	struct sample sample;
	struct variable variable;
	struct variable_value value;
	enum status status;

	sample_fill(&sample, seq);
	status = state_variable(&view, session->environment, session->profile, sample.change.key,
				&variable, err);
	if (status == STATUS_NOT_FOUND)
		return error_set(err, status, "event %" PRIu64 " set %s, but it is not there", seq,
				 sample.key);
	return status ? status : state_value(&view, &variable, &value, err);
}

enum status read_variables(struct session *session, bool past, uint64_t last, size_t count,
			   uint64_t *random, struct error *err)
{
	uint64_t head = projection_seq(session->projection);
	enum status status = STATUS_OK;

	for (size_t i = 0; i < count && !status; i++) {
		uint64_t seq = FIRST_SAMPLE + next_random(random) % (last - FIRST_SAMPLE + 1);
		uint64_t later = seq + next_random(random) % (head - seq + 1);

		status = read_variable(session, seq, past ? later : head, err);
	}
	return status;
}
