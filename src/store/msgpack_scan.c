/*
 * The scan of untrusted MessagePack (specification of 2017-08-08, https://msgpack.org).
 *
 * Invariant: `owed` values, the sum of what the open containers still lack, each take at least one
 * byte, so that owed never exceeds the bytes left; a claim that would break this is refused at its
 * header, whatever lies inside the containers before it.
 */
#include "store/msgpack_scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

#include "base/banned.h"

struct scan {
	const uint8_t *at;
	const uint8_t *end;
	uint64_t owed;
	uint64_t lacks[MSGPACK_DEPTH_MAX]; /* values that each open container still lacks */
	unsigned depth;
	const char *why; /* what is wrong, once something is */
};

static size_t left(const struct scan *scan)
{
	return (size_t)(scan->end - scan->at);
}

static bool wrong(struct scan *scan, const char *why)
{
	scan->why = why;
	return false;
}

/* Pass over @len bytes of content. */
static bool skip(struct scan *scan, uint64_t len)
{
	if (len > left(scan))
		return wrong(scan, "length beyond the end");
	scan->at += len;
	return true;
}

/* A big-endian length of @width bytes: 1, 2 or 4. */
static bool take_length(struct scan *scan, unsigned width, uint64_t *ret)
{
	uint64_t length = 0;

	if (width > left(scan))
		return wrong(scan, "cut short in a length");
	while (width-- > 0)
		length = length << 8 | *scan->at++;
	*ret = length;
	return true;
}

static bool skip_counted(struct scan *scan, unsigned width)
{
	uint64_t len;

	return take_length(scan, width, &len) && skip(scan, len);
}

/* Enter an array of @count values, or a map, which has twice as many. */
static bool enter(struct scan *scan, uint64_t count)
{
	if (scan->depth == MSGPACK_DEPTH_MAX)
		return wrong(scan, "nested too deep");
	if (scan->owed + count > left(scan))
		return wrong(scan, "more values claimed than there are bytes");
	scan->owed += count;
	scan->lacks[scan->depth++] = count;
	return true;
}

static bool enter_counted(struct scan *scan, unsigned width, unsigned values_each)
{
	uint64_t count;

	return take_length(scan, width, &count) && enter(scan, count * values_each);
}

/* Types 0xc0 to 0xdf, which name their length's or number's width by their lowest bits. */
static bool take_variable(struct scan *scan, uint8_t lead)
{
	switch (lead) {
	case 0xc2: /* false */
	case 0xc3: /* true */
		return true;
	case 0xc4: /* bin 8, 16, 32 */
	case 0xc5:
	case 0xc6:
		return skip_counted(scan, 1u << (lead - 0xc4));
	case 0xcc: /* uint 8, 16, 32, 64 */
	case 0xcd:
	case 0xce:
	case 0xcf:
		return skip(scan, UINT64_C(1) << (lead - 0xcc));
	case 0xd0: /* int 8, 16, 32, 64 */
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return skip(scan, UINT64_C(1) << (lead - 0xd0));
	case 0xd9: /* str 8, 16, 32 */
	case 0xda:
	case 0xdb:
		return skip_counted(scan, 1u << (lead - 0xd9));
	case 0xdc: /* array 16, 32 */
	case 0xdd:
		return enter_counted(scan, 2u << (lead - 0xdc), 1);
	case 0xde: /* map 16, 32 */
	case 0xdf:
		return enter_counted(scan, 2u << (lead - 0xde), 2);
	case 0xc0:
		return wrong(scan, "nil");
	case 0xc1:
		return wrong(scan, "reserved type");
	case 0xca:
	case 0xcb:
		return wrong(scan, "floating-point number");
	default:
		return wrong(scan, "extension type");
	}
}

/* One header, with its content unless it opens a container. */
static bool take_value(struct scan *scan)
{
	uint8_t lead;

	if (scan->at == scan->end)
		return wrong(scan, "cut short");
	lead = *scan->at++;
	scan->owed--;
	if (lead < 0x80 || lead >= 0xe0) /* small integers */
		return true;
	if (lead < 0x90)
		return enter(scan, 2 * (uint64_t)(lead & 0x0f));
	if (lead < 0xa0)
		return enter(scan, lead & 0x0f);
	if (lead < 0xc0)
		return skip(scan, lead & 0x1f);
	return take_variable(scan, lead);
}

static bool scan_all(struct scan *scan)
{
	while (scan->owed > 0) {
		while (scan->depth > 0 && scan->lacks[scan->depth - 1] == 0)
			scan->depth--;
		if (scan->depth > 0)
			scan->lacks[scan->depth - 1]--;
		if (!take_value(scan))
			return false;
	}
	return scan->at == scan->end || wrong(scan, "bytes after the end");
}

enum status msgpack_scan(struct slice bytes, struct error *err)
{
	struct scan scan = { .at = bytes.data, .owed = 1 };

	if (bytes.len == 0)
		return error_set(err, STATUS_CORRUPT, "no bytes");
	if (bytes.len > EVENT_BYTES_MAX)
		return error_set(err, STATUS_CORRUPT, "%zu bytes, at most %d are allowed",
				 bytes.len, EVENT_BYTES_MAX);
	scan.end = bytes.data + bytes.len;
	if (scan_all(&scan))
		return STATUS_OK;
	return error_set(err, STATUS_CORRUPT, "%s near byte %zu", scan.why,
			 (size_t)(scan.at - bytes.data));
}
