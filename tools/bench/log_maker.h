/*
 * Stores to measure on: made with op_init(), grown quickly with real signatures.
 *
 * After the events of init each event holds one change of one of SAMPLE_KEYS variables of
 * development/default. To be quick they are appended as commands of many parts.
 */
#ifndef PROVENV_BENCH_LOG_MAKER_H
#define PROVENV_BENCH_LOG_MAKER_H

#include <stdint.h>

#include "base/buf.h"
#include "bench.h"
#include "store/event.h"
#include "store/signer.h"
#include "store/store.h"

enum {
	SAMPLE_KEYS = 1000,
	SAMPLE_TEXT_BYTES = 64,
};

/* A store open for writing: key loaded, write lock held. */
struct writer {
	struct store *store;
	struct signer signer;
};

#define WRITER_INIT { .store = NULL }

/* One variable's change, with the texts it needs. Stays where it is once made. */
struct sample {
	char key[SAMPLE_TEXT_BYTES];
	char value[SAMPLE_TEXT_BYTES];
	struct change change;
};

/* A new store NAME below the scratch directory; its path is put into @ret_path. */
enum status make_store(const struct bench *bench, const char *name, struct buf *ret_path,
		       struct error *err);

/*
 * The store of @events events, made when it is asked for the first time. Rows may append to it a
 * little; they must not count on an exact number.
 */
enum status make_log(const struct bench *bench, uint64_t events, struct buf *ret_path,
		     struct error *err);

enum status writer_open(const char *path, struct writer *ret, struct error *err);
/* Accepts WRITER_INIT. */
void writer_close(struct writer *writer);

/* The number of events in @store. */
enum status log_size(struct store *store, uint64_t *ret, struct error *err);

/* The change that event @seq of a made log holds. */
void sample_fill(struct sample *sample, uint64_t seq);
/* A payload of @changes in development; the array is borrowed. */
void sample_payload(struct payload *payload, const struct change *changes, size_t count);

/* Append @payloads as one command. @ret_command_id may be NULL. */
enum status writer_append(struct writer *writer, uint64_t size, const struct payload *payloads,
			  size_t count, uint8_t ret_command_id[COMMAND_ID_BYTES],
			  struct error *err);

#endif
