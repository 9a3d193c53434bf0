/*
 * A writer: one process that uses a store, played by a session that may stay open for some
 * commands, as a long-lived process would keep it. Several of them share one process here, each
 * with its own store object, its own connection to the state, and no knowledge of the others.
 */
#ifndef PROVENV_TESTS_SIM_WRITER_H
#define PROVENV_TESTS_SIM_WRITER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/limits.h"
#include "ops/commit.h"
#include "ops/session.h"
#include "sim/operation.h"

struct writer {
	struct session session;
	struct session_options options;
	struct operation op; /* what the options borrow from */
	char head[2 * HASH_BYTES + 1];
	bool open;
};

/* What others do after a command has decided, and before it takes the lock; NULL: nothing. */
struct meanwhile {
	void (*others)(void *context);
	void *context;
};

/* An outcome without what dies with its session. */
struct written {
	bool unchanged;
	bool repeated;
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t time_ms;
	uint8_t hash[HASH_BYTES];
};

/*
 * A session at the end of the log, for @op: the one that is open, or a new one. With @head, the
 * hash that --if-head gives; NULL: none.
 */
enum status writer_ready(struct writer *writer, const char *store, const struct operation *op,
			 const uint8_t *head, struct error *err);

/* Carry out @op, which writes. */
enum status writer_commit(struct writer *writer, const struct meanwhile *meanwhile,
			  struct written *ret, struct error *err);

/* The process ends: well or badly makes no difference to what it leaves behind. */
void writer_end(struct writer *writer);

#endif
