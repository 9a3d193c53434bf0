/*
 * The head file: two slots, written in turn.
 *
 * Invariants: the slot with the newest record is never the one written to; a file changes only
 * under its lock; a record that cannot be understood is not overwritten unless the caller insists.
 * Must not know what loss is, nor compare with the log (evidence.c does).
 */
#include "store/headfile.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/limits.h"

#include "base/banned.h"

enum {
	SLOTS = 2,
	MAGIC_BYTES = 8,
	LOG_ID_AT = MAGIC_BYTES,
	COUNTER_AT = LOG_ID_AT + LOG_ID_BYTES,
	SIZE_AT = COUNTER_AT + 8,
	ROOT_AT = SIZE_AT + 8,
	GENERATION_AT = ROOT_AT + HASH_BYTES,
	SUM_AT = GENERATION_AT + 8,
	SLOT_END = SUM_AT + HASH_BYTES, /* zeros from here on */
	LOCK_WAIT_MS = 2000,
	/* Reading takes no lock: both slots can be half-written only if two writers follow each
	 * other within one read, so that a second look finds at least one whole. */
	READ_ATTEMPTS = 3,
};

static_assert((int)SLOT_END <= (int)HEADFILE_SLOT_BYTES, "a record fits its slot");
static_assert(crypto_hash_sha256_BYTES == HASH_BYTES, "the checksum is SHA-256");

/* The last one that a slot may have. After UINT64_MAX none could be newer: nobody counts that far.
 */
#define COUNTER_MAX (UINT64_MAX - 1)

static const uint8_t magic[MAGIC_BYTES] = { 'P', 'V', 'H', 'E', 'A', 'D', '0', '1' };

/* A slot as read. */
struct slot {
	bool valid;
	uint64_t counter;
	struct head_record record;
};

/* The file as read: what counts, and where it stands. */
struct head_file {
	bool untouched; /* no byte but zeros */
	struct slot newest;
	unsigned newest_at;
};

static void encode_slot(const struct head_record *record, uint64_t counter,
			uint8_t ret[HEADFILE_SLOT_BYTES])
{
	memset(ret, 0, HEADFILE_SLOT_BYTES);
	memcpy(ret, magic, MAGIC_BYTES);
	memcpy(ret + LOG_ID_AT, record->log_id, LOG_ID_BYTES);
	store_u64be(ret + COUNTER_AT, counter);
	store_u64be(ret + SIZE_AT, record->size);
	memcpy(ret + ROOT_AT, record->root, HASH_BYTES);
	store_u64be(ret + GENERATION_AT, record->generation);
	crypto_hash_sha256(ret + SUM_AT, ret, SUM_AT);
}

/* The zeros are covered by comparing with what we would write. */
static struct slot decode_slot(const uint8_t bytes[HEADFILE_SLOT_BYTES])
{
	struct slot slot = { .counter = load_u64be(bytes + COUNTER_AT) };
	uint8_t expected[HEADFILE_SLOT_BYTES];

	memcpy(slot.record.log_id, bytes + LOG_ID_AT, LOG_ID_BYTES);
	slot.record.size = load_u64be(bytes + SIZE_AT);
	memcpy(slot.record.root, bytes + ROOT_AT, HASH_BYTES);
	slot.record.generation = load_u64be(bytes + GENERATION_AT);
	encode_slot(&slot.record, slot.counter, expected);
	slot.valid = slot.counter <= COUNTER_MAX && memcmp(bytes, expected, sizeof(expected)) == 0;
	return slot;
}

static enum status read_once(int fd, const char *path, struct head_file *ret, struct error *err)
{
	uint8_t bytes[SLOTS * HEADFILE_SLOT_BYTES] = { 0 };
	struct head_file file = { .untouched = true };
	size_t len;
	enum status status = fs_pread(fd, path, bytes, sizeof(bytes), 0, &len, err);

	if (status)
		return status;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot slot = decode_slot(bytes + (size_t)i * HEADFILE_SLOT_BYTES);

		if (!slot.valid || (file.newest.valid && slot.counter <= file.newest.counter))
			continue;
		file.newest = slot;
		file.newest_at = i;
		file.untouched = false;
	}
	for (size_t i = 0; i < len && file.untouched; i++)
		file.untouched = bytes[i] == 0;
	*ret = file;
	return STATUS_OK;
}

static enum status no_valid_slot(const char *path, struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "%s holds no record that is whole", path);
}

enum status headfile_read(const char *path, struct head_record *ret, struct error *err)
{
	struct head_file file = { .untouched = false };
	int fd AUTO_FD = -1;
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	enum status status = fs_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, err);

	for (int i = 0; !status && !file.newest.valid && i < READ_ATTEMPTS; i++)
		status = read_once(fd, path, &file, err);
	if (status)
		return status;
	if (!file.newest.valid && file.untouched)
		return error_set(err, STATUS_NOT_FOUND, "%s was never written", path);
	if (!file.newest.valid)
		return no_valid_slot(path, err);
	*ret = file.newest.record;
	return STATUS_OK;
}

/* May @record be written after what the file holds, and need it be? */
static enum status check_move(const char *path, const struct head_file *file,
			      const struct head_record *record, bool *ret_needed, struct error *err)
{
	const struct head_record *held = &file->newest.record;

	if (!file->newest.valid) {
		if (!file->untouched)
			return no_valid_slot(path, err);
		*ret_needed = true;
		return STATUS_OK;
	}
	if (memcmp(held->log_id, record->log_id, LOG_ID_BYTES) != 0)
		return error_set(err, STATUS_CONFLICT, "%s is of another log", path);
	if (held->size == record->size && memcmp(held->root, record->root, HASH_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "%s has another root for the first %" PRIu64 " events", path,
				 held->size);
	if (held->size < record->size && file->newest.counter == COUNTER_MAX)
		return error_set(err, STATUS_CORRUPT, "%s has counted to its end", path);
	*ret_needed = held->size < record->size;
	return STATUS_OK;
}

/* Write the slot that is not the newest, which it then is in @file. */
static enum status write_record(int fd, const char *path, struct head_file *file,
				const struct head_record *record, struct error *err)
{
	uint8_t bytes[HEADFILE_SLOT_BYTES];
	bool follows = file->newest.valid;
	unsigned at = follows ? 1 - file->newest_at : 0;
	struct slot slot = {
		.valid = true,
		.counter = follows ? file->newest.counter + 1 : 1,
		.record = *record,
	};
	int fault = fault_point("head.write");
	enum status status;

	if (fault)
		return error_errno(err, STATUS_IO, fault, "cannot write %s", path);
	encode_slot(record, slot.counter, bytes);
	status = fs_pwrite(fd, path, bytes, sizeof(bytes), (uint64_t)at * HEADFILE_SLOT_BYTES, err);
	if (status)
		return status;
	file->newest = slot;
	file->newest_at = at;
	return STATUS_OK;
}

/* A forced move leaves nothing behind that may count again when the new slot is damaged. Where the
 * counter is near its end, both slots begin anew. */
static enum status write_over(int fd, const char *path, struct head_file *file,
			      const struct head_record *record, struct error *err)
{
	enum status status = STATUS_OK;

	if (file->newest.counter >= COUNTER_MAX - SLOTS)
		file->newest.valid = false;
	for (unsigned i = 0; i < SLOTS && !status; i++)
		status = write_record(fd, path, file, record, err);
	return status;
}

enum status headfile_advance(const char *path, const struct head_record *record, bool force,
			     struct error *err)
{
	struct head_file file;
	bool needed = force;
	int fd AUTO_FD = -1;
	enum status status = fs_open(path, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &fd, err);

	if (!status)
		status = fs_lock(fd, path, true, LOCK_WAIT_MS, err);
	if (!status)
		status = read_once(fd, path, &file, err);
	if (!status && !force)
		status = check_move(path, &file, record, &needed, err);
	if (status || !needed)
		return status;
	if (force)
		return write_over(fd, path, &file, record, err);
	return write_record(fd, path, &file, record, err);
}
