/*
 * Fuzz target: the first look at untrusted MessagePack (store/msgpack_scan.h).
 *
 * Input: the bytes. What must hold:
 * - the scan agrees with a second, plainer reading of the same rules, written here;
 * - what it accepts msgpack-c decodes wholly, without the kinds it refuses;
 * - no beginning of an accepted value is accepted, nor the value with a byte behind it;
 * - a failure has words, and they name a place within the bytes;
 * - wrapped in an array, a value is accepted as long as the nesting allows.
 */
#include <msgpack/object.h>
#include <msgpack/unpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate_msgpack.h"
#include "lib/event_samples.h"
#include "store/msgpack_scan.h"

#include "base/banned.h"

enum { PREFIXES = 8 }; /* tried of each accepted value */

static bool scan(struct slice bytes)
{
	struct error err = ERROR_INIT;
	enum status status = msgpack_scan(bytes, &err);

	fuzz_check_error(status, &err);
	FUZZ_CHECK(!status || status == STATUS_CORRUPT, "%s", status_name(status));
	return !status;
}

/* What msgpack-c may be shown: it decodes, and takes no more memory than the header promises. */
static void check_decodes(struct slice bytes)
{
	msgpack_unpacked unpacked = { 0 };
	size_t used = 0;
	msgpack_unpack_return result =
		msgpack_unpack_next(&unpacked, (const char *)bytes.data, bytes.len, &used);

	FUZZ_CHECK(result == MSGPACK_UNPACK_SUCCESS, "accepted, but not decoded: %d", (int)result);
	FUZZ_CHECK(used == bytes.len, "accepted, but %zu bytes were not decoded", bytes.len - used);
	FUZZ_CHECK(unpacked.data.type != MSGPACK_OBJECT_NIL &&
			   unpacked.data.type != MSGPACK_OBJECT_FLOAT32 &&
			   unpacked.data.type != MSGPACK_OBJECT_FLOAT64 &&
			   unpacked.data.type != MSGPACK_OBJECT_EXT,
		   "accepted a value of kind %d", (int)unpacked.data.type);
	msgpack_unpacked_destroy(&unpacked);
}

static void check_ends(struct slice bytes)
{
	AUTO(buf_release) struct buf longer = BUF_INIT;
	struct sample_random random = fuzz_random_of(bytes);

	for (unsigned i = 0; i < PREFIXES; i++)
		FUZZ_CHECK(!scan(slice_of(bytes.data, sample_below(&random, bytes.len))),
			   "a beginning of a value was accepted");
	buf_append_slice(&longer, bytes);
	buf_append_byte(&longer, (uint8_t)sample_next(&random));
	FUZZ_CHECK(!scan(buf_slice(&longer)), "a byte behind the value was accepted");
}

/* In one array after the other, until it is too deep. */
static void check_wrapped(struct slice bytes, unsigned depth)
{
	uint8_t arrays[MSGPACK_DEPTH_MAX + 1];

	memset(arrays, 0x91, sizeof(arrays));
	for (unsigned around = 1; around <= MSGPACK_DEPTH_MAX; around++) {
		AUTO(buf_release) struct buf wrapped = BUF_INIT;

		buf_append(&wrapped, arrays, around);
		buf_append_slice(&wrapped, bytes);
		FUZZ_CHECK(scan(buf_slice(&wrapped)) == (depth + around <= MSGPACK_DEPTH_MAX &&
							 wrapped.len <= EVENT_BYTES_MAX),
			   "%u deep, in %u arrays", depth, around);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of(data, size);
	unsigned depth = 0;
	bool accepted = scan(bytes);

	FUZZ_CHECK(accepted == msgpack_is_plain(bytes, &depth), "%s",
		   accepted ? "accepted what it must not" : "refused what is sound");
	if (!accepted)
		return 0;
	check_decodes(bytes);
	check_ends(bytes);
	check_wrapped(bytes, depth);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_msgpack(data, size, max_size, seed, NULL);
}
