/*
 * Prints the generated pages of docs/ as Markdown:
 *   provenv-docgen events    docs/EVENTS.md, from event_schema.def and apply_rules.def
 *   provenv-docgen commands  docs/commands.md, from the tables of commands and options
 *
 * Everything that changes with the code comes from its tables; only prose stands here.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "cmds/cmd.h"
#include "cmds/lookup.h"
#include "cmds/options.h"
#include "cmds/process.h"
#include "store/event.h"
#include "store/state_model.h"

#include "base/banned.h"

static const enum apply_rule apply_rules[] = {
#define APPLY_RULE(id, number, name, meaning) RULE_##id,
#include "store/apply_rules.def"
};

/* A table cell: Markdown would take "|" for the next column. */
static void append_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_append_byte(out, '\\');
		buf_append(out, text, 1);
	}
}

static void append_envelope(struct buf *out)
{
	buf_append_str(
		out,
		"## Envelope\n\n"
		"A leaf of the log is `event ‖ signature`, at most 65,535 bytes. The event is one "
		"MessagePack array in shortest encodings, without floats, extensions and nil:\n\n"
		"| # | field | encoding | meaning |\n"
		"| --- | --- | --- | --- |\n"
		"| 0 | `version` | uint | of the format: 1 |\n"
		"| 1 | `log_id` | bin 16 | first bytes of the leaf hash of event 1; zeros in event 1 |\n"
		"| 2 | `seq` | uint | event number, from 1, without gaps |\n"
		"| 3 | `prev` | bin 32 | SHA-256(0x00 ‖ previous leaf); zeros in event 1 |\n"
		"| 4 | `time_ms` | uint | milliseconds since 1970: the greater of claimed_ms and the "
		"previous time_ms |\n"
		"| 5 | `claimed_ms` | uint | the signer's clock |\n"
		"| 6 | `key_id` | bin 8 | first bytes of SHA-256(public key) of the signer |\n"
		"| 7 | `command_id` | bin 16 | names the command; used again with the same content it "
		"appends nothing more |\n"
		"| 8 | `part` | uint | which event of the command this is, from 1 |\n"
		"| 9 | `parts` | uint | how many events the command has |\n"
		"| 10 | `type` | str | see below |\n"
		"| 11 | `payload` | map | the fields of the type, in the order given below |\n"
		"| 12 | `reason` | str | the user's, empty when none was given |\n\n"
		"The signature is Ed25519 over `\"provenv/event/v1\\0\" ‖ event`, by the key that "
		"key_id names. Events of one command stand together and share command_id, signer, "
		"times and reason. A type or a trailing field that is not listed here was written by "
		"a newer provenv: the signature still counts, the state cannot be told.\n\n");
}

static const char *kind_encoding(enum field_kind kind)
{
	static_assert(TEXT_BYTES_MAX == 4 * 1024 && VALUE_BYTES_MAX == 32 * 1024, "as written");
	static_assert(LANGS_MAX == 32 && ENUM_VALUES_MAX == 256 && READERS_MAX == 256,
		      "as written");
	static_assert(COMMAND_CHANGES_MAX == 10000, "as written");
	switch (kind) {
	case KIND_NAME:
		return "str, `[A-Za-z0-9][A-Za-z0-9_.-]{0,62}`";
	case KIND_KEY:
		return "str, `[A-Za-z_][A-Za-z0-9_]{0,254}`";
	case KIND_KEY_NAME:
		return "str, `[A-Za-z0-9][A-Za-z0-9_.@-]{0,126}`";
	case KIND_TEXT:
		return "str, UTF-8 without NUL, at most 4 KiB";
	case KIND_VALUE:
		return "str, UTF-8 without NUL, at most 32 KiB";
	case KIND_DECIMAL:
		return "str, `[+-]?digits[.digits]`, at most 64 digits";
	case KIND_UINT:
		return "uint, up to 64 bits";
	case KIND_BOOL:
		return "bool";
	case KIND_BYTES32:
		return "bin of 32 bytes";
	case KIND_LANGMAP:
		return "map of 1 to 32 language tags (str, BCP 47; `und`: none given) to texts (str, "
		       "at most 4 KiB), ascending by tag";
	case KIND_TEXTS:
		return "array of 1 to 256 texts, in the user's order, without repeats";
	case KIND_CHANGES:
		return "array of 1 to 10,000 changes, ascending by (profile, key), see below";
	case KIND_READERS:
	default:
		return "array of 1 to 256 readers `[key_id bin 8, sealed_key bin 80]`, ascending by "
		       "key_id; sealed_key is the X25519 private key, sealed to the reader";
	}
}

static void append_kinds(struct buf *out)
{
	buf_append_str(out, "## Kinds of fields\n\n| kind | encoding |\n| --- | --- |\n");
	for (unsigned kind = KIND_NAME; kind <= KIND_READERS; kind++)
		buf_printf(out, "| %s | %s |\n", field_kind_name((enum field_kind)kind),
			   kind_encoding((enum field_kind)kind));
	buf_append_str(
		out,
		"\nA change is a map with these fields, in this order: `profile` (name), `key` (key), "
		"then one of\n\n"
		"| field | encoding | meaning |\n"
		"| --- | --- | --- |\n"
		"| `set` | value | the value itself |\n"
		"| `seal` | `[commitment bin 32, sealed bin]` | a secret: BLAKE2b-256 of the value "
		"keyed with its salt, and the sealed value |\n"
		"| `copy` | `[seq uint, index uint]` | the bytes that change `index` (from 0) of event "
		"`seq` holds itself |\n"
		"| `unset` | true | no value any more |\n\n"
		"and, when the value is a template, `expand` (true). A field without a value is left "
		"out.\n\n");
}

static void append_type(struct buf *out, enum event_type type)
{
	const struct event_type_info *info = event_type_info(type);
	const enum apply_rule *rules = apply_rules_of(type);

	buf_printf(out,
		   "### %s\n\n%s. Signed by %s.\n\n"
		   "| field | | kind | meaning |\n"
		   "| --- | --- | --- | --- |\n",
		   info->name, info->meaning,
		   info->authority == AUTHORITY_ADMIN ? "an admin key" : "any enrolled key");
	for (size_t i = 0; i < info->rule_count; i++) {
		const struct event_field_info *field = event_field_info(info->rules[i].field);

		buf_printf(out, "| `%s` | %s | %s | %s |\n", field->name,
			   info->rules[i].required ? "required" : "optional",
			   field_kind_name(field->kind), field->meaning);
	}
	buf_append_str(out, "\nRules: ");
	if (*rules == RULE_NONE)
		buf_append_str(out, "none");
	for (size_t i = 0; rules[i] != RULE_NONE; i++)
		buf_printf(out, "%s%s", i ? ", " : "", apply_rule_name(rules[i]));
	buf_append_str(out, ".\n\n");
}

static void append_rules(struct buf *out)
{
	buf_append_str(
		out,
		"## Rules of apply\n\n"
		"The state is a function of the events. An event whose rules, checked in the order its "
		"type lists them, do not all hold makes its whole command a no-op, recorded as (number "
		"of the event, rule), part of the state hash and reported by `verify`.\n\n"
		"| number | rule | what must hold |\n"
		"| --- | --- | --- |\n");
	for (size_t i = 0; i < sizeof(apply_rules) / sizeof(apply_rules[0]); i++)
		buf_printf(out, "| %u | %s | %s |\n", (unsigned)apply_rules[i],
			   apply_rule_name(apply_rules[i]), apply_rule_meaning(apply_rules[i]));
}

static void append_events(struct buf *out)
{
	buf_append_str(out,
		       "<!-- Generated by provenv-docgen; change src/store/event_schema.def. -->\n"
		       "# Events\n\n"
		       "What the log holds: FORMAT.md says how it is stored and hashed.\n\n");
	append_envelope(out);
	append_kinds(out);
	buf_append_str(out, "## Types\n\n");
	for (unsigned type = 0; type < EVENT_TYPE_COUNT; type++)
		append_type(out, (enum event_type)type);
	append_rules(out);
}

static void append_option_rows(struct buf *out, const struct command *command, bool global)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		const struct option_info *info = option_info((enum option_id)id);

		if (info->global != global || (command && !command_takes(command, info->id)))
			continue;
		buf_append_str(out, "| `");
		option_append_usage(out, info);
		buf_append_str(out, "` | ");
		append_cell(out, info->summary);
		buf_append_str(out, " |\n");
	}
}

static bool has_own_options(const struct command *command)
{
	for (const enum option_id *own = command->options; own && *own != OPTION_END; own++) {
		if (!option_info(*own)->global)
			return true;
	}
	return false;
}

/* Global options beyond those that every command takes. */
static void append_taken(struct buf *out, const struct command *command)
{
	static const struct command bare = { .group = "" };
	bool any = false;

	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		const struct option_info *info = option_info((enum option_id)id);

		if (!info->global || command_takes(&bare, info->id) ||
		    !command_takes(command, info->id))
			continue;
		buf_printf(out, "%s`--%s`", any ? ", " : "Takes ", info->name);
		any = true;
	}
	if (any)
		buf_append_str(out, ".\n\n");
}

struct page {
	struct buf *out;
	const char *group; /* of the section that is open */
};

static void append_command(void *context, const struct command *command)
{
	struct page *page = context;
	struct buf *out = page->out;

	if (!page->group || strcmp(page->group, command->group) != 0)
		buf_printf(out, "## %s\n\n", command->group);
	page->group = command->group;
	if (command->verb)
		buf_printf(out, "### %s %s\n\n", command->group, command->verb);
	buf_append_str(out, "```\n");
	command_append_usage(out, command);
	buf_printf(out, "\n```\n\n%s\n\n", command->summary);
	if (command->details)
		buf_printf(out, "%s\n\n", command->details);
	append_taken(out, command);
	if (has_own_options(command)) {
		buf_append_str(out, "| option | |\n| --- | --- |\n");
		append_option_rows(out, command, false);
		buf_append_byte(out, '\n');
	}
	if (command->example)
		buf_printf(out, "Example: `%s`\n\n", command->example);
}

static const char *status_meaning(enum status status)
{
	switch (status) {
	case STATUS_OK:
		return "done";
	case STATUS_NEGATIVE:
		return "the answer is no: differs, invalid";
	case STATUS_USAGE:
		return "the command line or the input is malformed, or over a limit";
	case STATUS_NOT_FOUND:
		return "what was named does not exist";
	case STATUS_DENIED:
		return "refused by policy";
	case STATUS_UNCONFIRMED:
		return "needs a confirmation or a reason";
	case STATUS_CONFLICT:
		return "something else happened meanwhile: look again and repeat";
	case STATUS_INVALID:
		return "a value violates its specification";
	case STATUS_IN_USE:
		return "a database is held by another process";
	case STATUS_CORRUPT:
		return "integrity failure: bytes are not what was written";
	case STATUS_NO_STORE:
		return "no store where one was looked for";
	case STATUS_LOCKED:
		return "another writer holds the store";
	case STATUS_WRONG_KEY:
		return "the key is missing, unsafe, not enrolled, or no reader";
	case STATUS_IO:
		return "the operating system refused: disk full, permission, device";
	case STATUS_NEWER:
		return "written by a newer provenv";
	case STATUS_NO_MEMORY:
		return "memory is out; nothing was changed";
	case STATUS_INTERRUPTED:
	default:
		return "interrupted";
	}
}

static void append_exit_codes(struct buf *out)
{
	buf_append_str(out,
		       "## Exit codes\n\n| code | name in JSON | meaning |\n| --- | --- | --- |\n");
	for (unsigned status = STATUS_OK; status <= STATUS_INTERRUPTED; status++)
		buf_printf(out, "| %d | `%s` | %s |\n", status_exit_code((enum status)status),
			   status_name((enum status)status), status_meaning((enum status)status));
	buf_append_str(
		out,
		"\nA failure prints `provenv: MESSAGE` on standard error and, when there is a next "
		"step, `  hint: HINT`. With `--json` or `--jsonl` it is one object instead: `{\"schema\":"
		"\"provenv/error/v1\",\"code\":3,\"status\":\"not_found\",\"message\":…,\"hint\":…}`.\n");
}

static void append_commands(struct buf *out)
{
	struct page page = { .out = out };

	buf_append_str(
		out,
		"<!-- Generated by provenv-docgen; change the tables in src/cmds/. -->\n"
		"# Commands\n\n"
		"Results go to standard output, all else to standard error. Options may stand anywhere "
		"before `--`; long ones are written out; an option that a command does not take is an "
		"error.\n\n"
		"## Global options\n\n"
		"Every command takes `--store`, `--json`, `--quiet`, `--verbose`, `--no-input`, "
		"`--help` and `--version`; which of the others it takes is said with the command.\n\n"
		"| option | |\n| --- | --- |\n");
	append_option_rows(out, NULL, true);
	buf_append_str(
		out,
		"\nA REF is an event number (`42`), `HEAD`, `HEAD~3` (three commands back), or a time: "
		"`@2026-01-02T03:04:05Z`, `@2026-01-02` (start of the local day), `@-10m`. A time means "
		"the last event at or before it; a REF inside a command means the command's last "
		"event.\n\n");
	command_each(command_families, append_command, &page);
	append_exit_codes(out);
}

int main(int argc, char **argv)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	if (argc == 2 && strcmp(argv[1], "events") == 0) {
		append_events(&out);
	} else if (argc == 2 && strcmp(argv[1], "commands") == 0) {
		append_commands(&out);
	} else {
		(void)fputs("usage: provenv-docgen events|commands\n", stderr);
		return status_exit_code(STATUS_USAGE);
	}
	if (buf_status(&out, NULL) || process_write(STDOUT_FILENO, buf_slice(&out)))
		return status_exit_code(STATUS_IO);
	return 0;
}
