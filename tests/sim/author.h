/*
 * Writing events straight into a log, signed and chained as store_append() does it, but asking
 * nothing: whatever the format can say is written, sense or nonsense.
 */
#ifndef PROVENV_TESTS_SIM_AUTHOR_H
#define PROVENV_TESTS_SIM_AUTHOR_H

#include "sim/run.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/signer.h"

enum { AUTHOR_PARTS_MAX = 8 };

/* What is wrong with the next event, though it is signed and in the tree. */
enum author_wrong {
	WRONG_NOTHING,
	WRONG_PREV,  /* the last byte of prev */
	WRONG_SEQ,   /* one too many */
	WRONG_PART,  /* the second of its command, and there is no first */
	WRONG_PARTS, /* the first of two, and nothing follows */
	WRONG_COUNT,
};

struct author {
	struct run *run;
	struct evlog *log;
	struct signer signer;
	struct signer log_key;
	uint8_t log_id[LOG_ID_BYTES];
	uint8_t prev[HASH_BYTES];
	uint64_t size;
	uint64_t time_ms;
	enum author_wrong wrong;
};

/* An empty log in memory, and store.created in it. */
void author_open(struct author *author, struct run *run);
void author_close(struct author *author);

/* Append one command of 1..AUTHOR_PARTS_MAX events. */
void author_write(struct author *author, const struct payload *payloads, size_t count);

#endif
