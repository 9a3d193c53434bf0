/*
 * Parsing JSON by Jansson, told apart from running out of memory.
 *
 * State: the allocation functions of Jansson, set once for the process, and one flag for each
 * thread. Nothing else may set them.
 */
#ifndef PROVENV_OPS_JSON_READ_H
#define PROVENV_OPS_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * As json_loadb(). NULL: @ret_why says where and why, unless *@ret_no_memory: then Jansson, which
 * takes a token that it could not store for a wrong one or loses a byte of it, may have said
 * anything. What Jansson frees is wiped: it may have held a secret, and so may @ret_why.
 */
json_t *json_read(struct slice text, size_t flags, json_error_t *ret_why, bool *ret_no_memory);

#endif
