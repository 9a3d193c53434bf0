/*
 * Fuzz target: head files (store/headfile.h).
 *
 * Input: one byte of flags, a record to move forward to, then the content of the file. Flags ask
 * for the checksums of its slots to be made right, which nobody finds by chance. What must hold:
 * - a second reading of the format, written here, gives the same record, or the same refusal;
 * - after moving forward the file holds the record, or one that is ahead of it; one of another log,
 *   or that contradicts, is refused, and then no byte has changed;
 * - a forced move always succeeds; then one of the two slots may be lost, and the record is there.
 */
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "store/headfile.h"

#include "base/banned.h"

enum {
	FLAG_SUM_0 = 1 << 0,
	FLAG_SUM_1 = 1 << 1,
	FLAG_SAME_LOG = 1 << 2,  /* the record is of the log that the file is of */
	FLAG_SAME_SIZE = 1 << 3, /* … and of its size */
	FLAG_FORCE = 1 << 4,
	SLOTS = 2,
	FILE_BYTES_MAX = SLOTS * HEADFILE_SLOT_BYTES + 64,
	/* docs/FORMAT.md */
	COUNTER_AT = 24,
	SUM_AT = 80,
	SLOT_END = 112,
};

static const uint8_t magic[] = { 'P', 'V', 'H', 'E', 'A', 'D', '0', '1' };

static const char *head_path(void)
{
	static char path[600];

	if (!*path)
		(void)snprintf(path, sizeof(path), "%s/head", fuzz_scratch());
	return path;
}

static void write_file(struct slice content)
{
	AUTO_FD int fd = open(head_path(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, content.data, content.len) == (ssize_t)content.len,
		   "cannot write %s", head_path());
}

static void read_bytes(struct buf *ret)
{
	struct error err = ERROR_INIT;

	FUZZ_CHECK(!fs_read_file(head_path(), 2 * (size_t)FILE_BYTES_MAX, ret, &err),
		   "cannot read: %s", err.text);
}

/* --- the second reading ----------------------------------------------------------------------- */

struct expected {
	enum status status;
	uint64_t counter;
	struct head_record record;
};

static bool read_slot(const uint8_t *slot, struct expected *ret)
{
	uint8_t sum[HASH_BYTES];

	(void)crypto_hash_sha256(sum, slot, SUM_AT);
	if (memcmp(slot, magic, sizeof(magic)) != 0 || memcmp(sum, slot + SUM_AT, HASH_BYTES) != 0)
		return false;
	for (size_t i = SLOT_END; i < HEADFILE_SLOT_BYTES; i++) {
		if (slot[i])
			return false;
	}
	ret->counter = load_u64be(slot + COUNTER_AT);
	memcpy(ret->record.log_id, slot + 8, LOG_ID_BYTES);
	ret->record.size = load_u64be(slot + 32);
	memcpy(ret->record.root, slot + 40, HASH_BYTES);
	ret->record.generation = load_u64be(slot + 72);
	return ret->counter < UINT64_MAX;
}

static struct expected expect(struct slice content)
{
	struct expected expected = { .status = STATUS_NOT_FOUND };
	uint8_t bytes[SLOTS * HEADFILE_SLOT_BYTES] = { 0 };

	for (size_t i = 0; i < content.len && i < (size_t)SLOTS * HEADFILE_SLOT_BYTES; i++) {
		if (content.data[i])
			expected.status = STATUS_CORRUPT;
	}
	/* What the file is too short for counts as the zeros that end a slot. */
	if (content.len)
		memcpy(bytes, content.data,
		       content.len < sizeof(bytes) ? content.len : sizeof(bytes));
	for (size_t i = 0; i < SLOTS; i++) {
		struct expected slot = { .status = STATUS_OK };

		if (read_slot(bytes + i * HEADFILE_SLOT_BYTES, &slot) &&
		    (expected.status || slot.counter > expected.counter))
			expected = slot;
	}
	return expected;
}

static bool is_same(const struct head_record *a, const struct head_record *b)
{
	return memcmp(a->log_id, b->log_id, LOG_ID_BYTES) == 0 && a->size == b->size &&
	       memcmp(a->root, b->root, HASH_BYTES) == 0 && a->generation == b->generation;
}

static void check_reads(const struct expected *expected)
{
	struct head_record read;
	struct error err = ERROR_INIT;
	enum status status;

	fuzz_mark(&read, sizeof(read));
	status = headfile_read(head_path(), &read, &err);
	fuzz_check_error(status, &err);
	FUZZ_CHECK(status == expected->status, "%s, not %s", status_name(status),
		   status_name(expected->status));
	FUZZ_CHECK(!status || fuzz_is_marked(&read, sizeof(read)),
		   "refused, but the output was touched");
	FUZZ_CHECK(status || is_same(&read, &expected->record), "another record was read");
}

/* --- moving forward --------------------------------------------------------------------------- */

static enum status expect_move(const struct expected *held, const struct head_record *record,
			       bool *ret_moves)
{
	*ret_moves = held->status == STATUS_NOT_FOUND || held->record.size < record->size;
	if (held->status)
		return held->status == STATUS_NOT_FOUND ? STATUS_OK : STATUS_CORRUPT;
	if (memcmp(held->record.log_id, record->log_id, LOG_ID_BYTES) != 0)
		return STATUS_CONFLICT;
	if (held->record.size == record->size &&
	    memcmp(held->record.root, record->root, HASH_BYTES) != 0)
		return STATUS_CORRUPT;
	/* A counter at its end cannot be followed. */
	return *ret_moves && held->counter == UINT64_MAX - 1 ? STATUS_CORRUPT : STATUS_OK;
}

/* A torn write of either slot, after a forced move, loses nothing. */
static void check_forced(const struct head_record *record)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct expected expected = { .status = STATUS_OK, .record = *record };

	read_bytes(&bytes);
	check_reads(&expected);
	for (size_t i = 0; i < SLOTS; i++) {
		AUTO(buf_release) struct buf torn = BUF_INIT;

		buf_append_slice(&torn, buf_slice(&bytes));
		torn.data[i * HEADFILE_SLOT_BYTES + SUM_AT] ^= 1;
		write_file(buf_slice(&torn));
		check_reads(&expected);
	}
}

static void check_move(struct slice content, const struct head_record *record, bool force)
{
	AUTO(buf_release) struct buf after = BUF_INIT;
	struct expected held = expect(content);
	struct error err = ERROR_INIT;
	bool moves = true;
	enum status wanted = force ? STATUS_OK : expect_move(&held, record, &moves);
	enum status status = headfile_advance(head_path(), record, force, &err);

	fuzz_check_error(status, &err);
	FUZZ_CHECK(status == wanted, "%s, not %s", status_name(status), status_name(wanted));
	read_bytes(&after);
	if (status || !moves) {
		FUZZ_CHECK(slice_equal(content, buf_slice(&after)),
			   "nothing was to be written, and something was");
		return;
	}
	if (force) {
		check_forced(record);
		return;
	}
	check_reads(&(struct expected){ .status = STATUS_OK, .record = *record });
	/* The slot that was newest is still there, should the write have been torn. */
	FUZZ_CHECK(held.status ||
			   fuzz_contains(buf_slice(&after), slice_of(held.record.root, HASH_BYTES)),
		   "the record before was written over");
}

static void make_sum(struct buf *content, unsigned slot)
{
	uint8_t *at = content->data + (size_t)slot * HEADFILE_SLOT_BYTES;

	memcpy(at, magic, sizeof(magic));
	(void)crypto_hash_sha256(at + SUM_AT, at, SUM_AT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	unsigned flags = fuzz_take_byte(&input);
	struct head_record record = { .size = fuzz_take_u64(&input),
				      .generation = fuzz_take_u64(&input) };
	struct slice content =
		slice_of(input.data,
			 input.len < (size_t)FILE_BYTES_MAX ? input.len : (size_t)FILE_BYTES_MAX);
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct expected held;

	buf_append_slice(&bytes, content);
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (flags & ((unsigned)FLAG_SUM_0 << slot) &&
		    bytes.len >= ((size_t)slot + 1) * HEADFILE_SLOT_BYTES)
			make_sum(&bytes, slot);
	}
	held = expect(buf_slice(&bytes));
	memset(record.root, (int)record.size, HASH_BYTES);
	if (flags & FLAG_SAME_LOG)
		memcpy(record.log_id, held.record.log_id, LOG_ID_BYTES);
	if (flags & FLAG_SAME_SIZE)
		record.size = held.record.size;
	write_file(buf_slice(&bytes));
	check_reads(&held);
	check_move(buf_slice(&bytes), &record, flags & FLAG_FORCE);
	return 0;
}
