/*
 * Audit: check everything a log promises, and name the first event that breaks it.
 *
 * Checked per event: the leaf is there and the one valid encoding of an event; its number, log id
 * and prev link; its time is not before its predecessor's; its part and parts continue the command;
 * its key was enrolled before and has authority; its signature; its Merkle row; its command is
 * indexed. At the end: the row counts of the indexes and the last command is complete. An event of
 * a later provenv is checked in its envelope, chain and signature.
 *
 * Runs in a child process, because a corrupt page can kill whoever touches it: the caller survives
 * and learns at which event the child died. Signatures are spread over threads.
 * It repairs nothing and writes nothing.
 *
 * Of all findings the one of the least event is reported. An event of a later version of the format
 * cannot be checked at all, and is a finding. Behind a checkpoint, what lies before it is believed
 * as far as it is in the checkpoint's tree, and the number of indexed commands is not compared.
 */
#ifndef PROVENV_STORE_AUDIT_H
#define PROVENV_STORE_AUDIT_H

#include "store/evlog.h"
#include "store/evlog_lmdb.h"

struct audit_options {
	unsigned threads;    /* 0: one per processor, at most 16 */
	uint64_t since_size; /* events up to here are taken as checked before (0: check all) */
	uint8_t since_root[HASH_BYTES]; /* root at since_size; compared */
	void (*progress)(void *context, uint64_t done,
			 uint64_t total); /* may be NULL; caller's thread */
	void *context;
};

struct audit_report {
	bool ok;
	bool newer;      /* events of a later provenv are in the log */
	uint64_t events; /* in the log */
	uint64_t signatures_checked;
	uint64_t first_bad;  /* number of the first bad event; 0: none, or not tied to one event */
	uint64_t valid_size; /* events of the longest valid prefix that ends a command; 0 when the
				log could not be looked at, or does not fit the checkpoint */
	uint8_t root[HASH_BYTES]; /* recomputed, over all events, when ok; else over valid_size */
	char message[512];        /* what is wrong, in a sentence; empty when ok */
};

/*
 * Audit the LMDB log in directory @log_path. The caller must not have it open for writing in this
 * process with unfinished transactions; a log open for reading is fine (the child opens its own).
 *
 * OK           the audit was carried out; @ret says what it found, good or bad. That a log is too
 *              damaged to be opened is a finding, too, of no event
 * LOCKED       it was read without a lock, something was found, and the log was written to
 * meanwhile, so that what was found says nothing
 * INTERRUPTED  somebody ended the child, as by ^C
 * others       it could not be carried out at all (no log, no memory)
 */
enum status audit_log(const char *log_path, struct evlog_lmdb_options open_options,
		      const struct audit_options *options, struct audit_report *ret,
		      struct error *err);

/* The same checks over an open log, in this process. For tests and for callers that are a child. */
enum status audit_evlog(struct evlog *log, const struct audit_options *options,
			struct audit_report *ret, struct error *err);

#endif
