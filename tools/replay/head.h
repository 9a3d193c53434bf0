/*
 * The head file beside the log: does it speak of events that the log has not, or has otherwise?
 *
 * To be looked at before the log is: what a writer appends in between must not seem lost.
 */
#ifndef PROVENV_TOOLS_REPLAY_HEAD_H
#define PROVENV_TOOLS_REPLAY_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "replay/source.h"
#include "store/headfile.h"

struct head_evidence {
	bool usable; /* record can be compared */
	bool lost;   /* the log lost events that it speaks of, or has others in their place */
	struct head_record record;
	char note[ERROR_TEXT_BYTES + 64]; /* what was compared, or why nothing, or what is lost */
};

/* Read STORE/head, if @source is a store that has one. */
void head_look(const struct source *source, struct head_evidence *ret);

/* Compare with the log of @source, which is open. CORRUPT: the log cannot be read. */
enum status head_compare(struct head_evidence *head, const struct source *source,
			 struct error *err);

/* Compare with a log that is damaged: only how many events there are. */
void head_compare_size(struct head_evidence *head, uint64_t events);

#endif
