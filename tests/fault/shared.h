/*
 * What the driver and the shim tell each other: a small file that both map.
 *
 * The driver writes what shall fail before it starts the program; the shim counts, and says what it
 * made fail. The mapping is shared, so a child that the program forks goes on counting where its
 * parent is: the n-th call is the n-th of the whole family.
 */
#ifndef PROVENV_TESTS_FAULT_SHARED_H
#define PROVENV_TESTS_FAULT_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

enum call {
#define CALL(identifier, name) CALL_##identifier,
#include "fault/calls.def"
#undef CALL
	CALL_COUNT,
};

/* In place of an errno: the call does half of what it was asked, and says so. */
enum { FAULT_SHORT = -1 };

/* Names the file; without it the shim does nothing. */
#define CALLS_FILE_VARIABLE "PROVENV_CALLS_FILE"

struct calls {
	uint32_t armed;  /* 0: only count */
	uint32_t call;   /* enum call */
	uint64_t nth;    /* from 1 */
	int32_t fault;   /* errno, or FAULT_SHORT */
	uint32_t onward; /* all from the n-th on */
	_Atomic uint64_t count[CALL_COUNT];
	_Atomic uint64_t fired;
	_Atomic int32_t fired_fd; /* of the last that fired; -1 when the call has none */
	_Atomic uint32_t loaded;  /* programs that began to count */
};

#endif
