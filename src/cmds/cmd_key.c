/*
 * `key …` and `checkpoint`: signing keys, and signed statements about the log's head.
 */
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/op_store.h"
#include "ops/session.h"

#include "base/banned.h"

static const char *role(const struct key_info *info)
{
	if (info->is_log)
		return "log";
	if (info->admin)
		return "admin";
	return info->enrolled ? "enrolled" : "not enrolled";
}

static void json_key_info(struct json *json, const struct key_info *info)
{
	jsonw_pair_slice(json, "name", info->name);
	jsonw_pair_hex(json, "key_id", info->key_id, KEY_ID_BYTES);
	jsonw_pair_slice(json, "vkey", info->vkey);
	jsonw_pair_string(json, "role", role(info));
	jsonw_pair_bool(json, "enrolled", info->enrolled);
	jsonw_pair_bool(json, "here", info->here);
}

static void print_keys(struct invocation *inv, const struct key_info *infos, size_t count)
{
	AUTO(table_release) struct table table = { .columns = 0 };
	char hex[2 * KEY_ID_BYTES + 1];
	struct json json;

	if (inv->json) {
		json_begin(inv, &json, "key ls");
		jsonw_key(&json, "keys");
		jsonw_array(&json);
		for (size_t i = 0; i < count; i++) {
			jsonw_object(&json);
			json_key_info(&json, &infos[i]);
			jsonw_end(&json);
		}
		jsonw_end(&json);
		json_finish(inv, &json);
		return;
	}
	table_begin(&table, (const char *const[]){ "NAME", "KEY ID", "ROLE", "FILE" }, 4);
	for (size_t i = 0; i < count; i++) {
		text_to_hex(infos[i].key_id, KEY_ID_BYTES, hex);
		table_text(&table, infos[i].name);
		table_str(&table, hex);
		table_str(&table, role(&infos[i]));
		table_str(&table, infos[i].here ? "here" : "");
	}
	table_print(&table, inv);
}

static enum status cmd_key_ls(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct key_info *infos;
	size_t count;
	enum status status = invocation_open(inv, SESSION_LOG, &session, err);

	/* Without a store there are still key files to list. */
	if (!status || (status == STATUS_NO_STORE && !inv->session.store_dir))
		status = op_keys(status ? NULL : &session, &arena, &infos, &count, err);
	if (!status)
		print_keys(inv, infos, count);
	invocation_close(inv, &session);
	return status;
}

static enum status cmd_key_gen(struct invocation *inv, struct error *err)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct key_info info;
	struct json json;
	enum status status = op_key_generate(&arena, inv->operands[0], &info, &path, err);

	if (status)
		return status;
	if (inv->json) {
		json_begin(inv, &json, "key gen");
		json_key_info(&json, &info);
		jsonw_pair_string(&json, "path", buf_str(&path));
		json_finish(inv, &json);
		return STATUS_OK;
	}
	buf_append_slice(&inv->out, info.vkey);
	buf_append_byte(&inv->out, '\n');
	buf_printf(&inv->notes, "wrote %s: back it up\n", buf_str(&path));
	return STATUS_OK;
}

static void checkpoint_json(struct invocation *inv, const struct buf *note, const struct buf *vkey)
{
	struct json json;

	json_begin(inv, &json, "checkpoint");
	jsonw_pair_string(&json, "note", buf_str(note));
	jsonw_pair_string(&json, "vkey", buf_str(vkey));
	json_finish(inv, &json);
}

static enum status cmd_checkpoint(struct invocation *inv, struct error *err)
{
	struct session session = { .store = NULL };
	AUTO(buf_release) struct buf note = BUF_INIT;
	AUTO(buf_release) struct buf vkey = BUF_INIT;
	const char *path = option_text(inv->options, OPTION_OUT);
	bool to_file = path && strcmp(path, "-") != 0;
	enum status status = invocation_open(inv, SESSION_LOG, &session, err);

	if (!status)
		status = op_checkpoint(&session, &note, &vkey, err);
	if (!status && to_file)
		status = fs_write_durable(path, 0644, buf_slice(&note), err);
	if (!status && inv->json)
		checkpoint_json(inv, &note, &vkey);
	else if (!status && !to_file)
		buf_append_slice(&inv->out, buf_slice(&note));
	if (!status && !inv->json)
		buf_printf(&inv->notes, "verify with the key %s\n", buf_str(&vkey));
	invocation_close(inv, &session);
	return status;
}

static const enum option_id checkpoint_options[] = { OPTION_OUT, OPTION_END };

const struct command commands_key[] = {
	{
		.group = "key",
		.verb = "ls",
		.operands = "",
		.summary = "list keys: enrolled ones, and files on this machine",
		.run = cmd_key_ls,
	},
	{
		.group = "key",
		.verb = "gen",
		.operands = "NAME",
		.operands_min = 1,
		.operands_max = 1,
		.summary = "make a signing key and print its public half as a vkey",
		.example = "provenv key gen alice@desk",
		.run = cmd_key_gen,
	},
	{
		.group = "checkpoint",
		.operands = "",
		.options = checkpoint_options,
		.summary = "print a signed checkpoint of the log's head",
		.details =
			"A C2SP signed note. Keep it somewhere else: `verify --since FILE` then proves "
			"that nothing before it changed or went missing.",
		.example = "provenv checkpoint --out head.note",
		.run = cmd_checkpoint,
	},
	{ .group = NULL },
};
