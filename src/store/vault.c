/*
 * The vault: wrapped data keys in files of their own.
 *
 * Invariants: a file is written once and never changed; what is read back is exactly what was
 * written, or CORRUPT. The checksum finds damage, not malice: a wrapped key that is exchanged does
 * not open. Must not open what it keeps.
 */
#include "store/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/seal.h"

#include "base/banned.h"

static const char magic[8] = { 'P', 'V', 'V', 'A', 'U', 'L', 'T', '1' };

enum {
	GENERATION_AT = sizeof(magic),
	WRAPPED_AT = GENERATION_AT + 4,
	CHECKSUM_AT = WRAPPED_AT + WRAPPED_KEY_BYTES,
	CHECKSUM_BYTES = 8,
	FILE_BYTES = CHECKSUM_AT + CHECKSUM_BYTES,
};

static void checksum(const uint8_t file[CHECKSUM_AT], uint8_t ret[CHECKSUM_BYTES])
{
	uint8_t digest[HASH_BYTES];

	(void)crypto_hash_sha256(digest, file, CHECKSUM_AT);
	memcpy(ret, digest, CHECKSUM_BYTES);
}

static enum status vault_path(const char *dir, const struct seal_place *place, struct buf *ret,
			      struct error *err)
{
	char name[VAULT_NAME_BYTES];

	vault_name(place, name);
	fs_join(ret, dir, name);
	return buf_status(ret, err);
}

void vault_name(const struct seal_place *place, char ret[VAULT_NAME_BYTES])
{
	char hex[2 * COMMAND_ID_BYTES + 1];

	text_to_hex(place->command_id, COMMAND_ID_BYTES, hex);
	(void)snprintf(ret, VAULT_NAME_BYTES, "%s-%" PRIu32 "-%" PRIu32, hex, place->part,
		       place->index);
}

static bool parse_u32(const char *digits, size_t len, uint32_t *ret)
{
	uint64_t value;

	if (!text_to_u64(slice_of(digits, len), &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool vault_name_parse(const char *name, uint8_t ret_command_id[COMMAND_ID_BYTES],
		      uint32_t *ret_part, uint32_t *ret_index)
{
	static const size_t hex_len = 2 * (size_t)COMMAND_ID_BYTES;
	struct seal_place place = { .part = 0 };
	char canonical[VAULT_NAME_BYTES];
	const char *part;
	const char *dash;

	if (strlen(name) <= hex_len + 1 || name[hex_len] != '-')
		return false;
	part = name + hex_len + 1;
	dash = strchr(part, '-');
	if (!dash || !text_from_hex(slice_of(name, hex_len), place.command_id, COMMAND_ID_BYTES) ||
	    !parse_u32(part, (size_t)(dash - part), &place.part) ||
	    !parse_u32(dash + 1, strlen(dash + 1), &place.index))
		return false;
	/* Hexadecimal in upper case is not ours: it would be a second name for one place. */
	vault_name(&place, canonical);
	if (strcmp(name, canonical) != 0)
		return false;
	memcpy(ret_command_id, place.command_id, COMMAND_ID_BYTES);
	*ret_part = place.part;
	*ret_index = place.index;
	return true;
}

enum status vault_write(const char *dir, const struct seal_place *place,
			const struct vault_entry *entry, struct error *err)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	uint8_t file[FILE_BYTES];
	enum status status = vault_path(dir, place, &path, err);

	if (status)
		return status;
	memcpy(file, magic, sizeof(magic));
	store_u32be(file + GENERATION_AT, entry->generation);
	memcpy(file + WRAPPED_AT, entry->wrapped, WRAPPED_KEY_BYTES);
	checksum(file, file + CHECKSUM_AT);
	return fs_create_durable(buf_str(&path), 0600, slice_of(file, sizeof(file)), err);
}

/* Read the whole file, which must be a regular one of exactly FILE_BYTES. */
static enum status read_whole(const char *path, uint8_t ret[FILE_BYTES], struct error *err)
{
	struct stat info;
	uint8_t file[FILE_BYTES];
	size_t len;
	int fd AUTO_FD = -1;
	/* O_NONBLOCK: a FIFO must not make us wait. */
	enum status status = fs_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err);

	if (status)
		return status;
	if (fstat(fd, &info))
		return error_errno(err, STATUS_IO, errno, "cannot examine %s", path);
	if (!S_ISREG(info.st_mode))
		return error_set(err, STATUS_CORRUPT, "%s is not a regular file", path);
	if (info.st_size != FILE_BYTES)
		return error_set(err, STATUS_CORRUPT, "%s is damaged: %jd bytes instead of %d",
				 path, (intmax_t)info.st_size, FILE_BYTES);
	status = fs_pread(fd, path, file, sizeof(file), 0, &len, err);
	if (status)
		return status;
	if (len != sizeof(file))
		return error_set(err, STATUS_CORRUPT, "%s is damaged: it ends too early", path);
	memcpy(ret, file, sizeof(file));
	return STATUS_OK;
}

enum status vault_read(const char *dir, const struct seal_place *place, struct vault_entry *ret,
		       struct error *err)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	uint8_t file[FILE_BYTES];
	uint8_t expected[CHECKSUM_BYTES];
	enum status status = vault_path(dir, place, &path, err);

	if (!status)
		status = read_whole(buf_str(&path), file, err);
	if (status)
		return status;
	checksum(file, expected);
	if (memcmp(file, magic, sizeof(magic)) != 0 ||
	    memcmp(file + CHECKSUM_AT, expected, sizeof(expected)) != 0)
		return error_set(err, STATUS_CORRUPT, "%s is damaged: its checksum does not fit",
				 buf_str(&path));
	ret->generation = load_u32be(file + GENERATION_AT);
	memcpy(ret->wrapped, file + WRAPPED_AT, WRAPPED_KEY_BYTES);
	return STATUS_OK;
}

enum status vault_remove(const char *dir, const struct seal_place *place, struct error *err)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	enum status status = vault_path(dir, place, &path, err);

	return status ? status : fs_remove(buf_str(&path), err);
}
