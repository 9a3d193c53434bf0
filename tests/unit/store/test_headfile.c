/*
 * The head file: what is read after which writes, torn writes, hostile files, several writers.
 */
#include "store/headfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "unit/base/scratch.h"
#include "unit/store/process_fixture.h"

#include "base/banned.h"

enum {
	SLOT = HEADFILE_SLOT_BYTES,
	FILE_BYTES = 2 * SLOT,
	SUM_AT = 80, /* in a slot, after what it sums */
	WRITERS = 4,
	MOVES = 200,
};

static const char *head_path(void **state, char ret[SCRATCH_PATH_MAX])
{
	return scratch_path(state, "head", ret);
}

/* A record whose root follows from its size. */
static struct head_record record_of(uint64_t size)
{
	struct head_record record = { .size = size, .generation = size * 3 };
	uint8_t number[8];

	memset(record.log_id, 0x5a, sizeof(record.log_id));
	store_u64be(number, size);
	crypto_hash_sha256(record.root, number, sizeof(number));
	return record;
}

static enum status advance(const char *path, uint64_t size, bool force)
{
	struct head_record record = record_of(size);

	return headfile_advance(path, &record, force, NULL);
}

static void expect(const char *path, uint64_t size)
{
	struct head_record want = record_of(size), got = { .size = 0 };

	assert_int_equal(headfile_read(path, &got, NULL), STATUS_OK);
	assert_int_equal(got.size, want.size);
	assert_memory_equal(got.root, want.root, HASH_BYTES);
	assert_memory_equal(got.log_id, want.log_id, LOG_ID_BYTES);
	assert_int_equal(got.generation, want.generation);
}

static void read_all(const char *path, uint8_t ret[FILE_BYTES])
{
	struct buf content AUTO(buf_release) = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &content, NULL), STATUS_OK);
	memset(ret, 0, FILE_BYTES);
	assert_true(content.len <= FILE_BYTES);
	memcpy(ret, content.data, content.len);
}

static void write_all(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(close(fd), 0);
}

/* --- reading and moving ----------------------------------------------------------------------- */

static void test_moves_forward(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct head_record got;
	struct stat info;

	(void)head_path(state, path);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_NOT_FOUND);
	for (uint64_t size = 0; size < 20; size++) {
		assert_int_equal(advance(path, size, false), STATUS_OK);
		expect(path, size);
	}
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_size, FILE_BYTES);
}

static void test_never_backward(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t before[FILE_BYTES], after[FILE_BYTES];

	(void)head_path(state, path);
	assert_int_equal(advance(path, 10, false), STATUS_OK);
	assert_int_equal(advance(path, 12, false), STATUS_OK);
	read_all(path, before);
	assert_int_equal(advance(path, 12, false), STATUS_OK);
	assert_int_equal(advance(path, 11, false), STATUS_OK);
	assert_int_equal(advance(path, 0, false), STATUS_OK);
	read_all(path, after);
	assert_memory_equal(before, after, FILE_BYTES);
	expect(path, 12);
}

static void test_forced_backward(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES];

	(void)head_path(state, path);
	assert_int_equal(advance(path, 10, false), STATUS_OK);
	assert_int_equal(advance(path, 12, false), STATUS_OK);
	assert_int_equal(advance(path, 5, true), STATUS_OK);
	expect(path, 5);
	/* What was given up does not come back when either slot is damaged. */
	read_all(path, bytes);
	for (size_t slot = 0; slot < 2; slot++) {
		bytes[slot * SLOT + 40] ^= 1;
		write_all(path, bytes, FILE_BYTES);
		bytes[slot * SLOT + 40] ^= 1;
		expect(path, 5);
	}
	assert_int_equal(advance(path, 6, false), STATUS_OK);
	expect(path, 6);
}

/* The bytes that the header describes. */
static void test_format(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES], sum[HASH_BYTES];
	struct head_record record = record_of(7);

	(void)head_path(state, path);
	assert_int_equal(advance(path, 3, false), STATUS_OK);
	assert_int_equal(advance(path, 7, false), STATUS_OK);
	read_all(path, bytes);
	assert_memory_equal(bytes, "PVHEAD01", 8);
	assert_int_equal(load_u64be(bytes + 24), 1);
	assert_int_equal(load_u64be(bytes + 32), 3);
	assert_memory_equal(bytes + SLOT, "PVHEAD01", 8);
	assert_memory_equal(bytes + SLOT + 8, record.log_id, LOG_ID_BYTES);
	assert_int_equal(load_u64be(bytes + SLOT + 24), 2);
	assert_int_equal(load_u64be(bytes + SLOT + 32), 7);
	assert_memory_equal(bytes + SLOT + 40, record.root, HASH_BYTES);
	assert_int_equal(load_u64be(bytes + SLOT + 72), 21);
	crypto_hash_sha256(sum, bytes + SLOT, SUM_AT);
	assert_memory_equal(bytes + SLOT + SUM_AT, sum, HASH_BYTES);
	for (size_t i = SUM_AT + HASH_BYTES; i < SLOT; i++)
		assert_int_equal(bytes[SLOT + i], 0);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* However far a write got: the record before it, or the new one; and the next move repairs. */
static void test_torn_write(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t before[FILE_BYTES], after[FILE_BYTES], torn[FILE_BYTES];

	(void)head_path(state, path);
	for (uint64_t size = 1; size <= 3; size++)
		assert_int_equal(advance(path, size, false), STATUS_OK);
	read_all(path, before);
	assert_int_equal(advance(path, 4, false), STATUS_OK);
	read_all(path, after);
	for (size_t done = 0; done < FILE_BYTES; done += 7) {
		struct head_record got = { .size = 0 };

		memcpy(torn, after, done);
		memcpy(torn + done, before + done, FILE_BYTES - done);
		write_all(path, torn, FILE_BYTES);
		assert_int_equal(headfile_read(path, &got, NULL), STATUS_OK);
		expect(path, got.size == 4 ? 4 : 3);
		assert_int_equal(advance(path, 5, false), STATUS_OK);
		expect(path, 5);
	}
}

/* Every byte of a slot counts. With one slot only, its damage leaves nothing to read. */
static void test_every_byte(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES];
	struct head_record got;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 9, false), STATUS_OK);
	read_all(path, bytes);
	for (size_t i = 0; i < SLOT; i++) {
		bytes[i] ^= 0x10;
		write_all(path, bytes, SLOT);
		assert_int_equal(headfile_read(path, &got, NULL), STATUS_CORRUPT);
		bytes[i] ^= 0x10;
	}
	/* Evidence that cannot be read is not overwritten without being told to. */
	bytes[50] ^= 1;
	write_all(path, bytes, FILE_BYTES);
	assert_int_equal(advance(path, 10, false), STATUS_CORRUPT);
	assert_int_equal(advance(path, 10, true), STATUS_OK);
	expect(path, 10);
}

static void test_cut_off(void **state)
{
	static const uint8_t zeros[FILE_BYTES];
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES];
	struct head_record got;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 1, false), STATUS_OK);
	assert_int_equal(advance(path, 2, false), STATUS_OK);
	read_all(path, bytes);
	for (size_t len = FILE_BYTES - 1; len >= SLOT; len -= 73) {
		write_all(path, bytes, len);
		/* What is cut off counts as zeros, as it was. */
		expect(path, len >= SLOT + SUM_AT + HASH_BYTES ? 2 : 1);
	}
	write_all(path, bytes, SUM_AT + HASH_BYTES - 1);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_CORRUPT);
	/* Made, but never written: a crash right after. */
	write_all(path, zeros, 0);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_NOT_FOUND);
	assert_int_equal(advance(path, 1, false), STATUS_OK);
	expect(path, 1);
	write_all(path, zeros, FILE_BYTES);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_NOT_FOUND);
	assert_int_equal(advance(path, 2, false), STATUS_OK);
	expect(path, 2);
}

/* A slot that sums up right, with the greatest counter: after it no other could count. */
static void test_greatest_counter(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES];
	struct head_record got;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 1, false), STATUS_OK);
	read_all(path, bytes);
	store_u64be(bytes + 24, UINT64_MAX);
	crypto_hash_sha256(bytes + SUM_AT, bytes, SUM_AT);
	write_all(path, bytes, FILE_BYTES);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_CORRUPT);
	store_u64be(bytes + 24, UINT64_MAX - 1);
	crypto_hash_sha256(bytes + SUM_AT, bytes, SUM_AT);
	write_all(path, bytes, FILE_BYTES);
	expect(path, 1);
}

/* The last counter that counts: what would follow it does not, so it is not followed unless forced.
 */
static void test_last_counter(void **state)
{
	char path[SCRATCH_PATH_MAX];
	uint8_t bytes[FILE_BYTES], after[FILE_BYTES];

	(void)head_path(state, path);
	for (uint64_t below = 1; below <= 4; below++) {
		assert_int_equal(advance(path, 1, true), STATUS_OK);
		read_all(path, bytes);
		for (size_t slot = 0; slot < 2; slot++) {
			store_u64be(bytes + slot * SLOT + 24, UINT64_MAX - below - slot);
			crypto_hash_sha256(bytes + slot * SLOT + SUM_AT, bytes + slot * SLOT,
					   SUM_AT);
		}
		write_all(path, bytes, FILE_BYTES);
		if (below == 1) {
			assert_int_equal(advance(path, 2, false), STATUS_CORRUPT);
			read_all(path, after);
			assert_memory_equal(bytes, after, FILE_BYTES);
		} else {
			assert_int_equal(advance(path, 2, false), STATUS_OK);
			expect(path, 2);
		}
		write_all(path, bytes, FILE_BYTES);
		assert_int_equal(advance(path, 3, true), STATUS_OK);
		/* Either slot says it, and it can be followed. */
		read_all(path, after);
		for (size_t slot = 0; slot < 2; slot++) {
			after[slot * SLOT + 40] ^= 1;
			write_all(path, after, FILE_BYTES);
			after[slot * SLOT + 40] ^= 1;
			expect(path, 3);
		}
		write_all(path, after, FILE_BYTES);
		assert_int_equal(advance(path, 4, false), STATUS_OK);
		expect(path, 4);
	}
}

static void test_other_history(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct head_record other = record_of(5);
	struct error err = ERROR_INIT;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 5, false), STATUS_OK);
	other.root[0] ^= 1;
	assert_int_equal(headfile_advance(path, &other, false, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "another root"));
	expect(path, 5);
	other = record_of(6);
	other.log_id[0] ^= 1;
	assert_int_equal(headfile_advance(path, &other, false, NULL), STATUS_CONFLICT);
	expect(path, 5);
	assert_int_equal(headfile_advance(path, &other, true, NULL), STATUS_OK);
}

static void test_not_a_file(void **state)
{
	char path[SCRATCH_PATH_MAX], other[SCRATCH_PATH_MAX];
	struct head_record got;

	(void)head_path(state, path);
	(void)scratch_path(state, "other", other);
	assert_int_equal(advance(other, 1, false), STATUS_OK);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_IO);
	assert_int_equal(advance(path, 2, true), STATUS_IO);
	expect(other, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_IO);
	assert_int_equal(advance(path, 2, true), STATUS_IO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_IO);
	assert_int_equal(advance(path, 2, true), STATUS_IO);
	(void)scratch_path(state, "missing/head", path);
	assert_int_equal(advance(path, 2, false), STATUS_NOT_FOUND);
}

/* --- several writers -------------------------------------------------------------------------- */

static void test_locked(void **state)
{
	char path[SCRATCH_PATH_MAX];
	int fd;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 1, false), STATUS_OK);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(advance(path, 2, false), STATUS_LOCKED);
	expect(path, 1); /* reading takes no lock */
	assert_int_equal(close(fd), 0);
	assert_int_equal(advance(path, 2, false), STATUS_OK);
}

static int move_forward(const struct child *child, const void *context)
{
	child_waits(child);
	for (uint64_t size = 1; size <= MOVES; size++) {
		if (advance(context, size, false))
			return 1;
	}
	return 0;
}

/* Writers race; whoever reads in between sees whole records that only grow. */
static void test_race(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct child children[WRITERS];
	uint64_t last = 0;

	(void)head_path(state, path);
	assert_int_equal(advance(path, 0, false), STATUS_OK);
	for (size_t i = 0; i < WRITERS; i++)
		children[i] = child_start(move_forward, path);
	for (size_t i = 0; i < WRITERS; i++)
		parent_says(&children[i]);
	while (last < MOVES) {
		struct head_record got = { .size = 0 };

		assert_int_equal(headfile_read(path, &got, NULL), STATUS_OK);
		assert_true(got.size >= last);
		assert_memory_equal(got.root, record_of(got.size).root, HASH_BYTES);
		last = got.size;
	}
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(child_end(&children[i]), 0);
	expect(path, MOVES);
}

#ifdef PROVENV_TEST_HOOKS
static void fault(const char *text)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	assert_int_equal(text ? setenv("PROVENV_FAULT", text, 1) : unsetenv("PROVENV_FAULT"), 0);
}

static int advance_to_two(const struct child *child, const void *context)
{
	(void)child;
	fault("head.write:crash");
	return (int)advance(context, 2, false);
}

static void test_faults(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct head_record got, record = record_of(1);
	struct error err = ERROR_INIT;

	(void)head_path(state, path);
	fault("head.write:EIO");
	assert_int_equal(headfile_advance(path, &record, false, &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EIO);
	fault(NULL);
	assert_int_equal(headfile_read(path, &got, NULL), STATUS_NOT_FOUND);
	assert_int_equal(advance(path, 1, false), STATUS_OK);
	assert_int_equal(child_run(advance_to_two, path), -SIGKILL);
	expect(path, 1);
	/* The lock went with its process. */
	assert_int_equal(advance(path, 2, false), STATUS_OK);
	expect(path, 2);
}
#endif

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(test_moves_forward),
		IN_SCRATCH(test_never_backward),
		IN_SCRATCH(test_forced_backward),
		IN_SCRATCH(test_format),
		IN_SCRATCH(test_torn_write),
		IN_SCRATCH(test_every_byte),
		IN_SCRATCH(test_cut_off),
		IN_SCRATCH(test_greatest_counter),
		IN_SCRATCH(test_last_counter),
		IN_SCRATCH(test_other_history),
		IN_SCRATCH(test_not_a_file),
		IN_SCRATCH(test_locked),
		IN_SCRATCH(test_race),
#ifdef PROVENV_TEST_HOOKS
		IN_SCRATCH(test_faults),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
