/*
 * What the recorder (record.c, loaded into a program by LD_PRELOAD) writes down, and disk.c reads:
 * the calls that changed files, in the order in which they returned.
 *
 * A trace is a sequence of records: this header, then name_len, name2_len and data_len bytes. It is
 * of this machine and this run: no byte order, no versions.
 */
#ifndef PROVENV_TESTS_CRASH_RECORD_H
#define PROVENV_TESTS_CRASH_RECORD_H

#include <stdint.h>

enum record_kind {
	RECORD_CREATE = 1, /* a new file: dir, name, node */
	RECORD_MKDIR,      /* a new directory: dir, name, node */
	RECORD_WRITE,      /* node, offset, data; durable: it was when the call returned */
	RECORD_TRUNCATE,   /* node, offset: the new size */
	RECORD_SYNC,       /* node: a file or a directory */
	RECORD_RENAME,     /* node from dir, name to dir2, name2 */
	RECORD_LINK,       /* node gets the name dir2, name2 too */
	RECORD_UNLINK,     /* dir, name; of a directory too */
	RECORD_SAID,       /* the program wrote to its stdout or stderr */
	RECORD_ENDED,      /* the program has ended; written by the rig */
};

struct record {
	uint32_t kind;
	uint32_t durable;
	uint32_t name_len;
	uint32_t name2_len;
	uint64_t data_len;
	uint64_t node; /* inode number of what it is about */
	uint64_t dir;  /* inode number of the directory that holds it */
	uint64_t dir2;
	uint64_t offset;
};

/* Environment of the program: the file that the trace is appended to, which exists. */
#define RECORD_FILE "PROVENV_RECORD_FILE"
/* Files below this directory are recorded, an absolute path without links. */
#define RECORD_ROOT "PROVENV_RECORD_ROOT"

#endif
