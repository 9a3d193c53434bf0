/*
 * Writing events straight into a log; see author.h.
 */
#include "sim/author.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/rng.h"
#include "sim/run.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/signer.h"

#include "base/banned.h"

static void make_wrong(enum author_wrong wrong, struct event *event)
{
	event->prev[HASH_BYTES - 1] ^= wrong == WRONG_PREV;
	event->seq += wrong == WRONG_SEQ;
	event->part += wrong == WRONG_PART;
	event->parts += wrong == WRONG_PART || wrong == WRONG_PARTS;
}

/* The leaf of the event after @author->prev, which becomes its hash. */
static void make_leaf(struct author *author, struct event *event, struct buf *ret)
{
	struct error err = ERROR_INIT;

	event->seq = ++author->size;
	memcpy(event->log_id, author->log_id, LOG_ID_BYTES);
	memcpy(event->prev, author->prev, HASH_BYTES);
	make_wrong(author->wrong, event);
	run_must(author->run, event_encode(event, ret, &err), "encode", &err);
	run_must(author->run, leaf_sign(&author->signer, ret, &err), "sign", &err);
	merkle_leaf_hash(buf_slice(ret), author->prev);
	if (event->seq == 1)
		memcpy(author->log_id, author->prev, LOG_ID_BYTES);
}

void author_write(struct author *author, const struct payload *payloads, size_t count)
{
	struct evlog_entry entries[AUTHOR_PARTS_MAX];
	struct buf leaves[AUTHOR_PARTS_MAX];
	struct event event = { .reason = slice_str("because"), .parts = (uint32_t)count };
	uint64_t size = author->size;
	struct error err = ERROR_INIT;

	event.claimed_ms = author->run->now_ms;
	author->time_ms = event.claimed_ms > author->time_ms ? event.claimed_ms : author->time_ms;
	event.time_ms = author->time_ms;
	rng_uuid7(event.claimed_ms, event.command_id);
	memcpy(event.key_id, author->signer.key_id, KEY_ID_BYTES);
	for (size_t i = 0; i < count; i++) {
		event.part = (uint32_t)i + 1;
		event.payload = payloads[i];
		leaves[i] = (struct buf)BUF_INIT;
		make_leaf(author, &event, &leaves[i]);
		entries[i] = (struct evlog_entry){
			.leaf = buf_slice(&leaves[i]),
			.command_id = event.command_id,
			.starts_command = i == 0,
			.registry = event_is_registry(payloads[i].type),
		};
	}
	run_must(author->run, evlog_append(author->log, size, entries, count, &err), "append",
		 &err);
	for (size_t i = 0; i < count; i++)
		buf_release(&leaves[i]);
}

void author_open(struct author *author, struct run *run)
{
	struct payload created;
	uint8_t nonce[32];
	struct error err = ERROR_INIT;

	*author = (struct author){ .run = run };
	run_must(run, evlog_memory_open(&author->log, &err), "open a log", &err);
	run_must(run, signer_generate("ana@sim", &author->signer, &err), "make a key", &err);
	run_must(run, signer_generate("log", &author->log_key, &err), "make a key", &err);
	rng_bytes(nonce, sizeof(nonce));
	payload_init(&created, EVENT_STORE_CREATED);
	payload_text(&created, FIELD_NONCE, slice_of(nonce, sizeof(nonce)));
	payload_str(&created, FIELD_OPERATOR, author->signer.name);
	payload_text(&created, FIELD_OPERATOR_KEY,
		     slice_of(author->signer.public_key, PUBLIC_KEY_BYTES));
	payload_text(&created, FIELD_LOG_KEY,
		     slice_of(author->log_key.public_key, PUBLIC_KEY_BYTES));
	author_write(author, &created, 1);
}

void author_close(struct author *author)
{
	evlog_close(author->log);
	signer_release(&author->signer);
	signer_release(&author->log_key);
}
