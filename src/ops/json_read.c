/*
 * Parsing JSON; see json_read.h.
 */
#include "ops/json_read.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#include "base/banned.h"

static _Thread_local bool ran_out;

/* malloc() that remembers its failure. */
static void *note_and_allocate(size_t size)
{
	void *memory = malloc(size);

	ran_out = ran_out || !memory;
	return memory;
}

/* free(), for a library that may have held a secret. */
static void wipe_and_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

static void take_over_memory(void)
{
	json_set_alloc_funcs(note_and_allocate, wipe_and_free);
}

json_t *json_read(struct slice text, size_t flags, json_error_t *ret_why, bool *ret_no_memory)
{
	static pthread_once_t taken_over = PTHREAD_ONCE_INIT;
	json_t *json;

	(void)pthread_once(&taken_over, take_over_memory);
	ran_out = false;
	json = json_loadb(text.len ? (const char *)text.data : "", text.len, flags, ret_why);
	*ret_no_memory = ran_out;
	/* A byte that Jansson 2.14 has no room for it leaves out, and goes on. */
	if (ran_out) {
		json_decref(json);
		json = NULL;
	}
	return json;
}
