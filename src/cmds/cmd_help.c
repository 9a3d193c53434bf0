/*
 * `help`, and the help texts of --help; see help.h.
 */
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmds/cmd.h"
#include "cmds/families.h"
#include "cmds/help.h"
#include "cmds/lookup.h"
#include "cmds/options.h"

#include "base/banned.h"

#ifndef PROVENV_VERSION
#error "PROVENV_VERSION is set by CMakeLists.txt"
#endif

enum {
	LINE_WIDTH = 79,
	NAME_WIDTH = 12,  /* of a group in the overview */
	USAGE_WIDTH = 24, /* of a verb or an option in lists */
	USAGE_INDENT = 2,
};

/* Columns of ASCII text with the few other characters that our own words hold, one column each. */
static size_t columns(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static void append_blanks(struct buf *out, size_t count)
{
	while (count-- > 0)
		buf_append_byte(out, ' ');
}

/* As help_append_wrapped(), with the cursor at column @indent already. */
static void append_rest_wrapped(struct buf *out, const char *text, size_t indent)
{
	size_t at = indent;

	while (*text) {
		size_t len = strcspn(text, " ");
		size_t width = columns(text, len);

		if (at > indent && at + 1 + width > LINE_WIDTH) {
			buf_append_byte(out, '\n');
			append_blanks(out, indent);
			at = indent;
		} else if (at > indent) {
			buf_append_byte(out, ' ');
			at++;
		}
		buf_append(out, text, len);
		at += width;
		text += len + strspn(text + len, " ");
	}
	buf_append_byte(out, '\n');
}

void help_append_wrapped(struct buf *out, const char *text, unsigned indent)
{
	append_blanks(out, indent);
	append_rest_wrapped(out, text, indent);
}

/* A term and its meaning beside it, or below it when the term is long. */
static void append_entry(struct buf *out, const char *term, size_t width, const char *meaning)
{
	size_t used = columns(term, strlen(term));

	append_blanks(out, USAGE_INDENT);
	buf_append_str(out, term);
	if (used > width) {
		buf_append_byte(out, '\n');
		used = 0;
		append_blanks(out, USAGE_INDENT);
	}
	append_blanks(out, width + 2 - used);
	append_rest_wrapped(out, meaning, USAGE_INDENT + width + 2);
}

static void append_option(struct buf *out, const struct option_info *info)
{
	AUTO(buf_release) struct buf term = BUF_INIT;

	if (!info->letter)
		buf_append_str(&term, "    ");
	option_append_usage(&term, info);
	append_entry(out, buf_str(&term), USAGE_WIDTH, info->summary);
}

/* The options of the table, global ones or others, that @command takes; all for NULL. */
static void append_options(struct buf *out, const struct command *command, bool global)
{
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		const struct option_info *info = option_info((enum option_id)id);

		if (info->global == global && (!command || command_takes(command, info->id)))
			append_option(out, info);
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

static void append_command(struct buf *out, const struct command *command)
{
	buf_append_str(out, "usage: ");
	command_append_usage(out, command);
	buf_append_str(out, "\n\n");
	help_append_wrapped(out, command->summary, 0);
	if (command->details) {
		buf_append_byte(out, '\n');
		help_append_wrapped(out, command->details, 0);
	}
	if (has_own_options(command)) {
		buf_append_str(out, "\noptions:\n");
		append_options(out, command, false);
	}
	buf_append_str(out, "\nglobal options:\n");
	append_options(out, command, true);
	if (command->example)
		buf_printf(out, "\nexample:\n  %s\n", command->example);
}

/* What the walks over the table carry. */
struct listing {
	struct buf *out;
	const char *group; /* of a group's help */
	const char *last;  /* group of the overview's open line */
	struct buf verbs;  /* its verbs so far */
};

static void listing_release(struct listing *listing)
{
	buf_release(&listing->verbs);
}

static void list_verb(void *context, const struct command *command)
{
	struct listing *listing = context;
	AUTO(buf_release) struct buf term = BUF_INIT;

	if (strcmp(command->group, listing->group) != 0)
		return;
	buf_append_str(&term, command->verb);
	if (*command->operands)
		buf_printf(&term, " %s", command->operands);
	append_entry(listing->out, buf_str(&term), USAGE_WIDTH, command->summary);
}

static void append_group(struct buf *out, const struct command *const *families, const char *group)
{
	struct listing listing = { .out = out, .group = group };

	buf_printf(out, "usage: provenv %s VERB [options]\n\n", group);
	command_each(families, list_verb, &listing);
	buf_printf(out, "\nmore: provenv help %s VERB\n", group);
}

/* Verbs of one group stand together in the table: their line ends where another group begins. */
static void close_group(struct listing *listing)
{
	if (listing->last)
		append_entry(listing->out, listing->last, NAME_WIDTH, buf_str(&listing->verbs));
	listing->last = NULL;
	buf_clear(&listing->verbs);
}

static void list_group(void *context, const struct command *command)
{
	struct listing *listing = context;

	if (listing->last && strcmp(listing->last, command->group) != 0)
		close_group(listing);
	if (!command->verb) {
		append_entry(listing->out, command->group, NAME_WIDTH, command->summary);
		return;
	}
	buf_printf(&listing->verbs, "%s%s", listing->last ? ", " : "", command->verb);
	listing->last = command->group;
}

static void append_overview(struct buf *out, const struct command *const *families)
{
	AUTO(listing_release) struct listing listing = { .out = out, .verbs = BUF_INIT };

	buf_append_str(out, "provenv: configuration that can prove its past\n\n"
			    "usage: provenv [options] COMMAND [operands]\n\n"
			    "commands:\n");
	command_each(families, list_group, &listing);
	close_group(&listing);
	buf_append_str(out, "\nglobal options:\n");
	append_options(out, NULL, true);
	buf_append_str(out, "\nmore: provenv help COMMAND [VERB]\n");
}

enum status help_append(struct buf *out, const struct command *const *families,
			const char *const *words, size_t count, struct error *err)
{
	struct command_match match;
	enum status status = STATUS_OK;

	if (count == 0) {
		append_overview(out, families);
		return STATUS_OK;
	}
	status = command_resolve(families, words, count, &match, err);
	if (status)
		return status;
	if (match.command)
		append_command(out, match.command);
	else
		append_group(out, families, match.group);
	return STATUS_OK;
}

void help_append_version(struct buf *out)
{
	buf_append_str(out, "provenv " PROVENV_VERSION "\n");
}

static enum status cmd_help(struct invocation *inv, struct error *err)
{
	return help_append(&inv->out, command_families, inv->operands, inv->operand_count, err);
}

const struct command commands_help[] = {
	{
		.group = "help",
		.operands = "[COMMAND [VERB]]",
		.operands_max = 2,
		.summary = "explain a command, or list all",
		.example = "provenv help env switch",
		.run = cmd_help,
	},
	{ .group = NULL },
};
