/*
 * What the figures were measured on: without it they mean nothing.
 */
#ifndef PROVENV_BENCH_MACHINE_H
#define PROVENV_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

/* Processor time since the machine started, in ticks of USER_HZ; all zeros when unknown. */
struct machine_ticks {
	uint64_t all;    /* of all processors */
	uint64_t busy;   /* not idle, here */
	uint64_t stolen; /* held back by the hypervisor */
	uint64_t own;    /* of this process, and of its children that ended */
};

enum { PEER_VERSION_MAX = 32 };

struct machine {
	char cpu[128];
	long cores;
	char kernel[256];
	const char *file_system;    /* of the scratch directory; static */
	const char *build;          /* static */
	bool release;               /* optimised, without sanitizers and test hooks */
	char git[PEER_VERSION_MAX]; /* "not installed" without */
	char etcd[PEER_VERSION_MAX];
	char sqlite_shell[PEER_VERSION_MAX];
	unsigned runs;
	uint64_t events_max;
	bool quick;
	struct machine_ticks ticks; /* of the measuring, once machine_settle() was called */
};

/* Fill what can be known; the rest reads "unknown". @dir is the scratch directory. */
void machine_look(const char *dir, struct machine *ret);
/* The measuring is over: what others took of the processors meanwhile is known. */
void machine_settle(struct machine *machine);

/* The kind of file system of @dir; "unknown" when it is none we know. Static. */
const char *file_system_name(const char *dir);
/* Does it keep files in memory, so that a durable write costs nothing? */
bool file_system_is_memory(const char *dir);

/* Threads worth running: one for each processor, at most 16, as audit does. */
unsigned machine_threads(void);

void machine_text(const struct machine *machine, struct buf *out);
void machine_json(const struct machine *machine, struct json *json);

#endif
