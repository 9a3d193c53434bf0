/*
 * MessagePack for fuzzing: a plain reading of what our decoder may be shown, and mutations of whole
 * values instead of bytes.
 *
 * Stands beside store/msgpack_scan.h on purpose, and shares no code with it.
 */
#ifndef PROVENV_TESTS_FUZZ_MUTATE_MSGPACK_H
#define PROVENV_TESTS_FUZZ_MUTATE_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "lib/event_samples.h"

/*
 * Is it exactly one value as msgpack_scan() allows? @ret_depth: how deep its containers nest, 0 for
 * a scalar; set only when it is.
 */
bool msgpack_is_plain(struct slice bytes, unsigned *ret_depth);

/* The most values of one input that are told apart. */
enum { NODES_MAX = 2048 };

struct msgpack_node {
	size_t start;
	size_t content; /* behind its head */
	size_t end;     /* of the whole value, with what it contains */
	uint8_t lead;
	size_t count;  /* values right inside; two for each pair of a map */
	size_t parent; /* the node it is in; itself for the first */
	size_t place;  /* in the parent, from 0 */
};

struct msgpack_tree {
	struct msgpack_node node[NODES_MAX]; /* in the order of the bytes */
	size_t count;
};

/* False when @bytes are no plain value, or of more than NODES_MAX. */
bool msgpack_tree_read(struct slice bytes, struct msgpack_tree *ret);
bool msgpack_is_map(const struct msgpack_node *node);
bool msgpack_is_array(const struct msgpack_node *node);
/* The bytes of a str's content; empty for anything else. */
struct slice msgpack_str(struct slice bytes, const struct msgpack_node *node);

/* One edit: @insert takes the place of [@from, @to). */
struct msgpack_edit {
	size_t from;
	size_t to;
	struct slice insert;
	const struct msgpack_node *around; /* whose count changes, or NULL */
	size_t count;                      /* … to this many values */
};

/* Append @bytes with the edit made. */
void msgpack_edit(struct buf *out, struct slice bytes, const struct msgpack_edit *edit);

/*
 * A mutator for LLVMFuzzerCustomMutator(). @special, which may be NULL, is asked first, half of the
 * time: it appends a mutation of @bytes that knows what they mean to @out, or nothing.
 */
typedef void (*msgpack_special)(struct sample_random *random, struct slice bytes, struct buf *out);
size_t mutate_msgpack(uint8_t *data, size_t size, size_t max_size, unsigned seed,
		      msgpack_special special);

#endif
