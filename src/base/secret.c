/*
 * Secrets in memory, on libsodium's guarded allocations: they end at an inaccessible page, are
 * locked into memory as far as the limits allow, left out of core dumps and wiped when freed.
 *
 * Must not format, log or compare by early exit what it holds.
 */
#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/error.h"

#include "base/banned.h"

static enum status start_sodium(struct error *err)
{
	if (sodium_init() < 0)
		return error_set(err, STATUS_IO, "cannot initialise libsodium");
	return STATUS_OK;
}

enum status secret_init(struct secret *secret, size_t len, struct error *err)
{
	enum status status = start_sodium(err); /* idempotent; the guards need its random canary */
	void *data;

	if (status)
		return status;
	data = sodium_malloc(len);
	if (!data)
		return error_no_memory(err);
	if (len)
		memset(data, 0, len);
	secret->data = data;
	secret->len = len;
	return STATUS_OK;
}

enum status secret_copy(struct secret *secret, struct slice from, struct error *err)
{
	enum status status = secret_init(secret, from.len, err);

	if (!status && from.len)
		memcpy(secret->data, from.data, from.len);
	return status;
}

void secret_release(struct secret *secret)
{
	sodium_free(secret->data);
	*secret = (struct secret)SECRET_INIT;
}

enum status secret_init_process(struct error *err)
{
	struct rlimit limit;
	enum status status = start_sodium(err);

	if (status)
		return status;
	/*
	 * One byte, not zero: Linux ignores the limit when cores are piped to a program, except
	 * that 1 forbids them there too (core(5), fs/coredump.c); a file of one byte is never
	 * written. The hard limit stays, so that a program we start may raise its own again.
	 */
	if (getrlimit(RLIMIT_CORE, &limit))
		return error_errno(err, STATUS_IO, errno, "cannot read the core dump limit");
	limit.rlim_cur = limit.rlim_max < 1 ? limit.rlim_max : 1;
	if (setrlimit(RLIMIT_CORE, &limit))
		return error_errno(err, STATUS_IO, errno, "cannot forbid core dumps");
	return STATUS_OK;
}
