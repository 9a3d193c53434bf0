/*
 * Randomness. The only place that asks for it, and replaceable by a seeded source for tests.
 */
#ifndef PROVENV_BASE_RNG_H
#define PROVENV_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Fill @ret with unpredictable bytes (libsodium). Cannot fail. */
void rng_bytes(void *ret, size_t len);

/* Replace the source; NULL restores the system's. Not thread-safe: call before threads start. */
void rng_set_source(void (*source)(void *context, void *ret, size_t len), void *context);

/*
 * A fresh UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, then random. Time-ordered, so
 * that an index keyed by it appends.
 */
void rng_uuid7(uint64_t time_ms, uint8_t ret[16]);

#endif
