/*
 * A secret in memory: guarded, locked, excluded from core dumps, wiped on release.
 *
 * It has no formatting function on purpose. Copy it out only into sealed bytes or the user's
 * stdout.
 */
#ifndef PROVENV_BASE_SECRET_H
#define PROVENV_BASE_SECRET_H

#include "base/buf.h"

struct secret {
	uint8_t *data; /* sodium_malloc'd, or NULL */
	size_t len;
};

#define SECRET_INIT { .data = NULL }

/* Allocate @len bytes, zeroed; @len may be 0. @secret must be SECRET_INIT. */
enum status secret_init(struct secret *secret, size_t len, struct error *err);
/* Allocate and copy @from; the caller wipes its own copy. */
enum status secret_copy(struct secret *secret, struct slice from, struct error *err);
/* Wipe and free. Accepts SECRET_INIT. */
void secret_release(struct secret *secret);

static inline struct slice secret_slice(const struct secret *secret)
{
	return slice_of(secret->data, secret->len);
}

/* Initialise libsodium and forbid core dumps of this process, by its soft limit, which programs we
 * start inherit and may raise. Once, first thing in main. */
enum status secret_init_process(struct error *err);

#endif
