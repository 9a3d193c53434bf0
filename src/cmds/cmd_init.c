/*
 * `init`: make a store.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/options.h"
#include "cmds/print.h"
#include "ops/op_init.h"

#include "base/banned.h"

static void print_made(struct invocation *inv, const struct init_result *result)
{
	buf_printf(&inv->out, "Store: %s (%" PRIu64 " events)\n", buf_str(&result->store_path),
		   result->events);
	buf_printf(&inv->out, "Key:   %s%s\n", buf_str(&result->key_path),
		   result->key_made ? " (new)" : "");
	buf_printf(&inv->out, "Log:   %s (signs checkpoints)\n\n", buf_str(&result->log_key_path));
	buf_append_str(&inv->out, "Back up both keys: without yours nothing can be written, and no "
				  "secret can be read.\n\nTry:\n"
				  "  provenv set GREETING=hello\n"
				  "  provenv log\n"
				  "  provenv verify\n");
}

static void print_made_json(struct invocation *inv, const struct init_result *result)
{
	struct json json;

	json_begin(inv, &json, "init");
	jsonw_pair_string(&json, "store", buf_str(&result->store_path));
	jsonw_pair_hex(&json, "log_id", result->log_id, LOG_ID_BYTES);
	jsonw_pair_string(&json, "key", buf_str(&result->key_path));
	jsonw_pair_bool(&json, "key_made", result->key_made);
	jsonw_pair_string(&json, "log_key", buf_str(&result->log_key_path));
	jsonw_pair_uint(&json, "events", result->events);
	json_finish(inv, &json);
}

static enum status read_catalogue(const char *path, struct buf *ret, struct error *err)
{
	if (strcmp(path, "-") == 0)
		return fs_read_fd(STDIN_FILENO, "standard input", CATALOGUE_BYTES_MAX, ret, err);
	return fs_read_file(path, CATALOGUE_BYTES_MAX, ret, err);
}

static enum status cmd_init(struct invocation *inv, struct error *err)
{
	const char *path = option_text(inv->options, OPTION_CATALOGUE);
	AUTO(init_result_release) struct init_result result = { .events = 0 };
	AUTO(buf_release) struct buf catalogue = BUF_INIT;
	struct init_args args = {
		.store_dir = inv->session.store_dir,
		.global = option_given(inv->options, OPTION_GLOBAL),
		.key_name = option_text(inv->options, OPTION_KEY),
		.reason = inv->session.reason,
		.accept_clock = inv->session.accept_clock,
	};
	enum status status = STATUS_OK;

	if (args.global && args.store_dir)
		return error_set(err, STATUS_USAGE,
				 "init: --global and --store exclude each other");
	status = path ? read_catalogue(path, &catalogue, err) : STATUS_OK;

	args.catalogue = buf_slice(&catalogue);
	if (!status && path && catalogue.len == 0)
		status = error_set(err, STATUS_USAGE, "the catalogue %s is empty", path);
	if (!status)
		status = op_init(&args, &result, err);
	if (status)
		return status;
	if (inv->json)
		print_made_json(inv, &result);
	else
		print_made(inv, &result);
	return STATUS_OK;
}

static const enum option_id init_options[] = { OPTION_CATALOGUE, OPTION_GLOBAL,       OPTION_KEY,
					       OPTION_REASON,    OPTION_ACCEPT_CLOCK, OPTION_END };

const struct command commands_init[] = {
	{
		.group = "init",
		.operands = "",
		.options = init_options,
		.summary = "make a store here, with environments, a profile each, and your key",
		.details =
			"Makes ./.provenv unless --store, --global or $PROVENV_STORE say otherwise, and "
			"the signing key USER@HOST if there is none. With --catalogue, the environments, "
			"databases, categories and specifications of a JSON file come with it.",
		.example = "provenv init --catalogue docs/examples/catalogue.json",
		.run = cmd_init,
	},
	{ .group = NULL },
};
