/*
 * Deep copies of payloads into an arena, so that they outlive the decoder that made them.
 */
#ifndef PROVENV_STORE_PAYLOAD_CLONE_H
#define PROVENV_STORE_PAYLOAD_CLONE_H

#include "base/arena.h"
#include "base/error.h"
#include "store/event.h"

/* NO_MEMORY, else a copy that borrows only from @arena. */
enum status payload_clone(struct arena *arena, const struct payload *payload,
			  const struct payload **ret, struct error *err);

#endif
