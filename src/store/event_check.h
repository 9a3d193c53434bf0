/*
 * What the fields of an event may hold: the one judge, asked before an event is encoded and after
 * it was decoded, so that neither side accepts what the other refuses.
 */
#ifndef PROVENV_STORE_EVENT_CHECK_H
#define PROVENV_STORE_EVENT_CHECK_H

#include "base/error.h"
#include "store/event.h"

/* What is wrong, and where. All texts are constants: no byte of the event gets into a message. */
struct event_fault {
	const char *field; /* name in the payload or of a part of the envelope */
	size_t entry;      /* which one of a list, from 1; 0 when it is not about one */
	const char *why;   /* "is missing", "is not a name" */
	size_t limit;      /* the number that was exceeded; 0 when @why says it all */
};

/* Everything but the payload. False, with @ret filled, when something is wrong. */
bool envelope_check(const struct event *event, struct event_fault *ret);

/* Required fields are present, no others than the type's, each within its kind. */
bool payload_check(const struct payload *payload, struct event_fault *ret);

/* A language map of at least one text. Fills all but @ret->field. */
bool langmap_check(const struct langmap *map, struct event_fault *ret);

/* Fill @err: "field FIELD, entry N, WHY (at most LIMIT)". Returns @status. */
enum status event_fault_error(const struct event_fault *fault, enum status status,
			      struct error *err);

#endif
