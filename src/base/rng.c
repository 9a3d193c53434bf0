/*
 * Randomness, from libsodium or from the source a test has set.
 *
 * The source is the one piece of state here, set before threads start.
 */
#include "base/rng.h"

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"

static void (*rng_source)(void *context, void *ret, size_t len);
static void *rng_source_context;

void rng_bytes(void *ret, size_t len)
{
	if (rng_source)
		rng_source(rng_source_context, ret, len);
	else
		randombytes_buf(ret, len);
}

void rng_set_source(void (*source)(void *context, void *ret, size_t len), void *context)
{
	rng_source = source;
	rng_source_context = context;
}

void rng_uuid7(uint64_t time_ms, uint8_t ret[16])
{
	rng_bytes(ret + 6, 10);
	for (int i = 5; i >= 0; i--, time_ms >>= 8)
		ret[i] = (uint8_t)time_ms;
	ret[6] = (uint8_t)(0x70 | (ret[6] & 0x0f)); /* version 7 */
	ret[8] = (uint8_t)(0x80 | (ret[8] & 0x3f)); /* variant of RFC 9562 */
}
