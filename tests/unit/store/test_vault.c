/*
 * Tests of store/vault: names, exact bytes, and that no damage is read as content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/seal.h"
#include "store/vault.h"

#include "base/banned.h"

#define FILE_NAME "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9"

enum { FILE_BYTES = 100 };

struct fixture {
	char dir[64];
	char file[128]; /* the file of @place */
	struct seal_place place;
	struct vault_entry entry;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	(void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/provenv-vault-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	(void)snprintf(fixture->file, sizeof(fixture->file), "%s/" FILE_NAME, fixture->dir);
	for (size_t i = 0; i < COMMAND_ID_BYTES; i++)
		fixture->place.command_id[i] = (uint8_t)(0xb0 + i);
	fixture->place.part = 7;
	fixture->place.index = 9;
	fixture->entry.generation = 3;
	for (size_t i = 0; i < WRAPPED_KEY_BYTES; i++)
		fixture->entry.wrapped[i] = (uint8_t)i;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	enum status status = fs_remove_tree(fixture->dir, NULL);

	free(fixture);
	return status ? -1 : 0;
}

static void read_refused(const struct fixture *fixture, enum status expected)
{
	struct vault_entry entry;
	struct vault_entry before;
	struct error err = ERROR_INIT;

	memset(&entry, 0x5a, sizeof(entry));
	memcpy(&before, &entry, sizeof(entry));
	assert_int_equal(vault_read(fixture->dir, &fixture->place, &entry, &err), expected);
	assert_memory_equal(&entry, &before, sizeof(entry));
	assert_non_null(strstr(err.text, FILE_NAME));
}

static void read_equals(const struct fixture *fixture, const struct vault_entry *expected)
{
	struct vault_entry entry;

	assert_int_equal(vault_read(fixture->dir, &fixture->place, &entry, NULL), STATUS_OK);
	assert_int_equal(entry.generation, expected->generation);
	assert_memory_equal(entry.wrapped, expected->wrapped, WRAPPED_KEY_BYTES);
}

static void put_file(const struct fixture *fixture, const uint8_t *bytes, size_t len)
{
	assert_int_equal(fs_write_durable(fixture->file, 0600, slice_of(bytes, len), NULL),
			 STATUS_OK);
}

/* The file of the fixture's entry, spelled out; its checksum was computed with another program. */
static void golden_file(uint8_t ret[FILE_BYTES])
{
	static const uint8_t start[12] = { 'P', 'V', 'V', 'A', 'U', 'L', 'T', '1', 0, 0, 0, 3 };

	memcpy(ret, start, sizeof(start));
	for (size_t i = 0; i < 80; i++)
		ret[12 + i] = (uint8_t)i;
	assert_true(text_from_hex(slice_str("252fce19af92ffba"), ret + 92, 8));
}

static void test_name(void **state)
{
	struct seal_place place = { .part = UINT32_MAX, .index = UINT32_MAX };
	char name[VAULT_NAME_BYTES];

	(void)state;
	memset(place.command_id, 0xff, sizeof(place.command_id));
	vault_name(&place, name);
	assert_string_equal(name, "ffffffffffffffffffffffffffffffff-4294967295-4294967295");
	assert_int_equal(strlen(name), VAULT_NAME_BYTES - 1);
}

static void test_name_parse(void **state)
{
	static const char *const bad[] = {
		"",
		"-",
		"--",
		".",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf--9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9-",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9-1",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9 ",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-07-9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-09",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-+7-9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-4294967296-9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-4294967296",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-99999999999999999999999999999999999999999",
		"B0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9",
		"g0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbeb-7-9",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebf0-7-9",
		".b0b1b2b3b4b5b6b7b8b9babbbcbdbebf-7-9.0123456789abcdef.tmp",
	};
	const struct fixture *fixture = *state;
	uint8_t command_id[COMMAND_ID_BYTES] = { 1 };
	uint8_t before[COMMAND_ID_BYTES] = { 1 };
	uint32_t part = 1;
	uint32_t index = 2;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(vault_name_parse(bad[i], command_id, &part, &index));
		assert_memory_equal(command_id, before, sizeof(before));
		assert_int_equal(part, 1);
		assert_int_equal(index, 2);
	}
	assert_true(vault_name_parse(FILE_NAME, command_id, &part, &index));
	assert_memory_equal(command_id, fixture->place.command_id, COMMAND_ID_BYTES);
	assert_int_equal(part, 7);
	assert_int_equal(index, 9);
	assert_true(vault_name_parse("00000000000000000000000000000000-0-4294967295", command_id,
				     &part, &index));
	assert_int_equal(part, 0);
	assert_int_equal(index, UINT32_MAX);
}

static void test_write_golden(void **state)
{
	const struct fixture *fixture = *state;
	uint8_t golden[FILE_BYTES];
	struct buf bytes = BUF_INIT;
	struct stat info;
	mode_t mask = umask(0);

	assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, NULL),
			 STATUS_OK);
	(void)umask(mask);
	assert_int_equal(stat(fixture->file, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_equal(fs_read_file(fixture->file, 4096, &bytes, NULL), STATUS_OK);
	golden_file(golden);
	assert_int_equal(bytes.len, FILE_BYTES);
	assert_memory_equal(bytes.data, golden, FILE_BYTES);
	buf_release(&bytes);
	read_equals(fixture, &fixture->entry);
}

static void test_places_are_apart(void **state)
{
	const struct fixture *fixture = *state;
	struct seal_place other = fixture->place;
	struct vault_entry entry = fixture->entry;
	struct vault_entry read;

	entry.generation = UINT32_MAX;
	other.index++;
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, NULL),
			 STATUS_OK);
	assert_int_equal(vault_write(fixture->dir, &other, &entry, NULL), STATUS_OK);
	read_equals(fixture, &fixture->entry);
	assert_int_equal(vault_read(fixture->dir, &other, &read, NULL), STATUS_OK);
	assert_int_equal(read.generation, UINT32_MAX);
}

static void test_write_never_overwrites(void **state)
{
	const struct fixture *fixture = *state;
	struct vault_entry other = fixture->entry;

	other.wrapped[0] ^= 1;
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, NULL),
			 STATUS_OK);
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &other, NULL), STATUS_CONFLICT);
	read_equals(fixture, &fixture->entry);
	assert_int_equal(vault_remove(fixture->dir, &fixture->place, NULL), STATUS_OK);
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &other, NULL), STATUS_OK);
	read_equals(fixture, &other);
}

static void test_absent(void **state)
{
	const struct fixture *fixture = *state;

	read_refused(fixture, STATUS_NOT_FOUND);
	assert_int_equal(vault_remove(fixture->dir, &fixture->place, NULL), STATUS_OK);
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, NULL),
			 STATUS_OK);
	assert_int_equal(vault_remove(fixture->dir, &fixture->place, NULL), STATUS_OK);
	assert_false(fs_exists(fixture->file));
	read_refused(fixture, STATUS_NOT_FOUND);
}

static void test_damage(void **state)
{
	const struct fixture *fixture = *state;
	uint8_t file[FILE_BYTES + 1] = { 0 };

	golden_file(file);
	put_file(fixture, file, FILE_BYTES);
	read_equals(fixture, &fixture->entry);
	for (size_t bit = 0; bit < 8 * (size_t)FILE_BYTES; bit++) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put_file(fixture, file, FILE_BYTES);
		read_refused(fixture, STATUS_CORRUPT);
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < FILE_BYTES; len++) {
		put_file(fixture, file, len);
		read_refused(fixture, STATUS_CORRUPT);
	}
	put_file(fixture, file, FILE_BYTES + 1);
	read_refused(fixture, STATUS_CORRUPT);
	assert_int_equal(truncate(fixture->file, (off_t)1 << 40), 0);
	read_refused(fixture, STATUS_CORRUPT);
}

static void test_not_a_file(void **state)
{
	const struct fixture *fixture = *state;
	uint8_t file[FILE_BYTES];
	char elsewhere[128];

	assert_int_equal(mkdir(fixture->file, 0700), 0);
	read_refused(fixture, STATUS_CORRUPT);
	assert_int_equal(rmdir(fixture->file), 0);
	assert_int_equal(mkfifo(fixture->file, 0600), 0);
	read_refused(fixture, STATUS_CORRUPT);
	assert_int_equal(unlink(fixture->file), 0);

	/* a link is not followed, however good what it points at */
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", fixture->dir);
	golden_file(file);
	assert_int_equal(fs_write_durable(elsewhere, 0600, slice_of(file, sizeof(file)), NULL),
			 STATUS_OK);
	assert_int_equal(symlink("elsewhere", fixture->file), 0);
	read_refused(fixture, STATUS_IO);
}

#ifdef PROVENV_TEST_HOOKS
/* Arm a fault point (base/fault.h), or none for NULL. */
static void set_fault(const char *fault)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): this program has one thread */
	int result = fault ? setenv("PROVENV_FAULT", fault, 1) : unsetenv("PROVENV_FAULT");

	assert_int_equal(result, 0);
}
#endif

static void test_faults(void **state)
{
#ifdef PROVENV_TEST_HOOKS
	static const char *const faults[] = { "fs.open:ENOSPC", "fs.write:ENOSPC", "fs.sync:EIO" };
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct error err = ERROR_INIT;

		set_fault(faults[i]);
		assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, &err),
				 STATUS_IO);
		set_fault(NULL);
		read_refused(fixture, STATUS_NOT_FOUND);
	}
	assert_int_equal(vault_write(fixture->dir, &fixture->place, &fixture->entry, NULL),
			 STATUS_OK);
	set_fault("fs.read:EIO");
	read_refused(fixture, STATUS_IO);
	set_fault("fs.unlink:EIO");
	assert_int_equal(vault_remove(fixture->dir, &fixture->place, NULL), STATUS_IO);
	set_fault(NULL);
	read_equals(fixture, &fixture->entry);
#else
	(void)state;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test_setup_teardown(test_name_parse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
