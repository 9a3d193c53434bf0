/*
 * Keys and checkpoints; see op_store.h.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/op_store.h"
#include "ops/session.h"
#include "store/checkpoint.h"
#include "store/evlog.h"
#include "store/paths.h"
#include "store/registry.h"
#include "store/signer.h"
#include "store/store.h"

#include "base/banned.h"

/* The file name of the log's own key: op_init.c gave it. */
static void log_key_name(const struct registry *registry, char ret[KEY_NAME_BYTES_MAX + 1])
{
	uint8_t key_id[KEY_ID_BYTES];
	char hex[2 * KEY_ID_BYTES + 1];

	key_id_of(registry->log_key, key_id);
	text_to_hex(key_id, KEY_ID_BYTES, hex);
	(void)snprintf(ret, KEY_NAME_BYTES_MAX + 1, "log-%s", hex);
}

enum status op_checkpoint(struct session *session, struct buf *ret_note, struct buf *ret_vkey,
			  struct error *err)
{
	const struct registry *registry = store_registry(session->store);
	AUTO(signer_release) struct signer log_key = SIGNER_INIT;
	struct checkpoint checkpoint = { .size = session->log->size };
	AUTO(buf_release) struct buf dir = BUF_INIT;
	char name[KEY_NAME_BYTES_MAX + 1];
	enum status status = paths_keys_dir(&dir, err);

	if (status)
		return status;
	log_key_name(registry, name);
	status = signer_load(buf_str(&dir), name, &log_key, err);
	if (status == STATUS_NOT_FOUND)
		return error_hint(err,
				  error_set(err, STATUS_WRONG_KEY,
					    "the log's own key is not here: %s/%s.key",
					    buf_str(&dir), name),
				  "make checkpoints where the store was made, or bring that file");
	if (status)
		return status;
	if (memcmp(log_key.public_key, registry->log_key, PUBLIC_KEY_BYTES) != 0)
		return error_set(err, STATUS_WRONG_KEY, "%s/%s.key is not the log's key",
				 buf_str(&dir), name);
	checkpoint_origin(store_log_id(session->store),
			  registry_generation_at(registry, checkpoint.size), checkpoint.origin);
	status = evlog_root(session->log, checkpoint.size, checkpoint.root, err);
	if (!status)
		status = checkpoint_sign(&checkpoint, &log_key, ret_note, err);
	if (!status)
		vkey_format(checkpoint.origin, registry->log_key, ret_vkey);
	return status ? status : buf_status(ret_vkey, err);
}

struct key_walk {
	struct session *session; /* may be NULL */
	struct arena *arena;
	const char *dir;
	struct key_info *items;
	size_t count;
};

static enum status add_key(struct key_walk *walk, struct slice name, const uint8_t *public_key,
			   struct key_info **ret, struct error *err)
{
	AUTO(buf_release) struct buf vkey = BUF_INIT;
	struct key_info *info;

	walk->items = arena_grow(walk->arena, walk->items, walk->count, sizeof(*walk->items));
	if (!walk->items)
		return error_no_memory(err);
	info = &walk->items[walk->count];
	info->name = arena_copy(walk->arena, name);
	if (!info->name.data)
		return error_no_memory(err);
	vkey_format((const char *)info->name.data, public_key, &vkey);
	info->vkey = arena_copy(walk->arena, buf_slice(&vkey));
	if (!info->vkey.data)
		return error_no_memory(err);
	key_id_of(public_key, info->key_id);
	walk->count++;
	*ret = info;
	return STATUS_OK;
}

static struct key_info *known(struct key_walk *walk, const uint8_t key_id[KEY_ID_BYTES])
{
	for (size_t i = 0; i < walk->count; i++) {
		if (memcmp(walk->items[i].key_id, key_id, KEY_ID_BYTES) == 0)
			return &walk->items[i];
	}
	return NULL;
}

/* A key file: one already listed is marked as being here, another is added. Unreadable ones are
 * left out. */
static enum status visit_file(void *context, const char *file, struct error *err)
{
	struct key_walk *walk = context;
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	char name[KEY_NAME_BYTES_MAX + 1];
	struct key_info *info;
	size_t len = strlen(file);
	enum status status;

	if (len <= 4 || len - 4 > KEY_NAME_BYTES_MAX || strcmp(file + len - 4, ".key") != 0)
		return STATUS_OK;
	memcpy(name, file, len - 4);
	name[len - 4] = '\0';
	if (signer_load(walk->dir, name, &signer, NULL))
		return STATUS_OK;
	info = known(walk, signer.key_id);
	if (!info) {
		status = add_key(walk, slice_str(name), signer.public_key, &info, err);
		if (status)
			return status;
	}
	info->here = true;
	return STATUS_OK;
}

static enum status list_registry(struct key_walk *walk, struct error *err)
{
	const struct registry *registry = store_registry(walk->session->store);
	char name[KEY_NAME_BYTES_MAX + 1];
	struct key_info *info;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < registry->key_count && !status; i++) {
		status = add_key(walk, slice_str(registry->keys[i].name),
				 registry->keys[i].public_key, &info, err);
		if (status)
			return status;
		info->enrolled = true;
		info->admin = registry->keys[i].admin;
	}
	log_key_name(registry, name);
	status = add_key(walk, slice_str(name), registry->log_key, &info, err);
	if (!status)
		info->is_log = true;
	return status;
}

enum status op_keys(struct session *session, struct arena *arena, struct key_info **ret,
		    size_t *ret_count, struct error *err)
{
	AUTO(buf_release) struct buf dir = BUF_INIT;
	struct key_walk walk = { .session = session, .arena = arena };
	enum status status = session ? list_registry(&walk, err) : STATUS_OK;

	if (!status)
		status = paths_keys_dir(&dir, err);
	walk.dir = buf_str(&dir);
	if (!status && fs_is_dir(walk.dir))
		status = fs_list(walk.dir, visit_file, &walk, err);
	if (status)
		return status;
	*ret = walk.items;
	*ret_count = walk.count;
	return STATUS_OK;
}

enum status op_key_generate(struct arena *arena, const char *name, struct key_info *ret,
			    struct buf *ret_path, struct error *err)
{
	AUTO(signer_release) struct signer signer = SIGNER_INIT;
	AUTO(buf_release) struct buf dir = BUF_INIT;
	struct key_walk walk = { .arena = arena };
	struct key_info *info;
	enum status status = signer_generate(name, &signer, err);

	if (!status)
		status = paths_keys_dir(&dir, err);
	if (!status)
		status = signer_save(&signer, buf_str(&dir), err);
	if (!status)
		status = add_key(&walk, slice_str(name), signer.public_key, &info, err);
	if (status)
		return status;
	buf_printf(ret_path, "%s/%s.key", buf_str(&dir), name);
	info->here = true;
	*ret = *info;
	return buf_status(ret_path, err);
}
