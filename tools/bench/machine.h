/*
 * What the figures were measured on: without it they mean nothing.
 */
#ifndef PROVENV_BENCH_MACHINE_H
#define PROVENV_BENCH_MACHINE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"

struct machine {
	char cpu[128];
	long cores;
	char kernel[256];
	const char *file_system; /* of the scratch directory; static */
	const char *build;       /* static */
	bool release;            /* optimised, without sanitizers and test hooks */
	unsigned runs;
	bool quick;
};

/* Fill what can be known; the rest reads "unknown". @dir is the scratch directory. */
void machine_look(const char *dir, struct machine *ret);

/* The kind of file system of @dir; "unknown" when it is none we know. Static. */
const char *file_system_name(const char *dir);
/* Does it keep files in memory, so that a durable write costs nothing? */
bool file_system_is_memory(const char *dir);

/* Threads worth running: one for each processor, at most 16, as audit does. */
unsigned machine_threads(void);

void machine_text(const struct machine *machine, struct buf *out);
void machine_json(const struct machine *machine, struct json *json);

#endif
