/*
 * From MessagePack objects to the fields of an event: the typed half of the decoder. For
 * event_codec.c alone.
 *
 * Everything read borrows from the objects; lists are made in the zone of the reading. A reading
 * remembers what stopped it: functions that return false have filled its status and fault.
 */
#ifndef PROVENV_STORE_PAYLOAD_READ_H
#define PROVENV_STORE_PAYLOAD_READ_H

#include <msgpack/object.h>
#include <msgpack/zone.h>

#include "base/error.h"
#include "store/event.h"
#include "store/event_check.h"

struct reading {
	msgpack_zone *zone;       /* NULL when the whole input was one value without content */
	enum status status;       /* CORRUPT or NO_MEMORY once something returned false */
	struct event_fault fault; /* for CORRUPT */
	bool newer;               /* a type or trailing field that only a later provenv knows */
};

void reading_init(struct reading *reading, msgpack_zone *zone);
/* Stop as CORRUPT. @field and @why are constants. Returns false. */
bool reading_refuse(struct reading *reading, const char *field, const char *why);

/* Fields of the envelope. */
bool read_uint(struct reading *reading, const char *field, const msgpack_object *object,
	       uint64_t *ret);
bool read_str(struct reading *reading, const char *field, const msgpack_object *object,
	      struct slice *ret);
/* Exactly @len bytes. */
bool read_bin(struct reading *reading, const char *field, const msgpack_object *object, size_t len,
	      uint8_t *ret);

/*
 * A payload of @type. Known fields are judged by payload_check(); unknown ones at the end, or an
 * unknown type, set reading->newer, and then @ret is an empty payload of EVENT_UNKNOWN.
 */
bool read_payload(struct reading *reading, const msgpack_object *object, enum event_type type,
		  struct payload *ret);
/* A language map, judged by langmap_check(). */
bool read_langmap(struct reading *reading, const msgpack_object *object, struct langmap *ret);

/* The key of the field that holds @op in an encoded change. */
const char *change_op_name(enum change_op op);

#endif
