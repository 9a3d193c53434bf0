/*
 * A first look at untrusted MessagePack, before a library that believes its headers sees it.
 *
 * msgpack-c 4.0.0 allocates what an array or map header claims: six bytes can ask for 100 GB. What
 * passes here claims nothing that is not present, so that its decoded size is at most 24 bytes per
 * input byte, and nests no deeper than MSGPACK_DEPTH_MAX, so that recursion over it is bounded.
 */
#ifndef PROVENV_STORE_MSGPACK_SCAN_H
#define PROVENV_STORE_MSGPACK_SCAN_H

#include "base/bytes.h"
#include "base/error.h"

/*
 * Is @bytes exactly one value, of at most EVENT_BYTES_MAX bytes, made only of str, bin, bool,
 * integer, array and map? Neither shortest forms nor UTF-8 are judged here. Allocates nothing, does
 * not recurse, reads each header once.
 *
 * CORRUPT  anything else: nil, float, extension, the reserved byte, cut short, bytes left over, a
 *          length that the bytes present cannot hold, nesting; the text names the byte's place
 */
enum status msgpack_scan(struct slice bytes, struct error *err);

#endif
