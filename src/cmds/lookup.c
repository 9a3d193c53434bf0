/*
 * Finding commands; see lookup.h.
 *
 * Words come from the command line and are shown through option_append_word() only: one may be a
 * secret typed in the wrong place.
 */
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/lookup.h"
#include "cmds/options.h"

#include "base/banned.h"

enum { NAMES_MAX = 128 }; /* commands that are looked at for a suggestion */

/* Every command takes these. */
static bool always_taken(enum option_id id)
{
	return id == OPTION_STORE || id == OPTION_JSON || id == OPTION_QUIET ||
	       id == OPTION_VERBOSE || id == OPTION_NO_INPUT || id == OPTION_HELP ||
	       id == OPTION_VERSION;
}

static bool is_write_option(enum option_id id)
{
	return id == OPTION_DRY_RUN || id == OPTION_REASON || id == OPTION_CONFIRM ||
	       id == OPTION_IF_HEAD || id == OPTION_COMMAND_ID || id == OPTION_AS ||
	       id == OPTION_ACCEPT_CLOCK;
}

static bool flags_imply(unsigned flags, enum option_id id)
{
	if (id == OPTION_AT)
		return flags & COMMAND_READS;
	if (id == OPTION_ENVIRONMENT)
		return flags & (COMMAND_PROFILE | COMMAND_ENVIRONMENT);
	if (id == OPTION_PROFILE)
		return flags & COMMAND_PROFILE;
	if (id == OPTION_JSONL)
		return flags & COMMAND_LINES;
	return is_write_option(id) && (flags & COMMAND_WRITES);
}

bool command_takes(const struct command *command, enum option_id id)
{
	if (always_taken(id) || flags_imply(command->flags, id))
		return true;
	for (const enum option_id *own = command->options; own && *own != OPTION_END; own++) {
		if (*own == id)
			return true;
	}
	return false;
}

void command_append_name(struct buf *out, const struct command *command)
{
	buf_append_str(out, command->group);
	if (command->verb)
		buf_printf(out, " %s", command->verb);
}

void command_append_usage(struct buf *out, const struct command *command)
{
	buf_append_str(out, "provenv ");
	command_append_name(out, command);
	buf_append_str(out, " [options]");
	if (*command->operands)
		buf_printf(out, " %s", command->operands);
}

void command_each(const struct command *const *families,
		  void (*visit)(void *context, const struct command *command), void *context)
{
	for (; *families; families++) {
		for (const struct command *row = *families; row->group; row++)
			visit(context, row);
	}
}

/* A walk over the table that looks for words and collects names for a suggestion. */
struct search {
	const char *group;
	const char *verb; /* NULL: none given */
	const struct command *found;
	bool has_verbs;
	bool among_verbs; /* collect the verbs of the group, else the groups */
	const char *names[NAMES_MAX];
	size_t name_count;
};

static void collect(struct search *search, const char *name)
{
	if (search->name_count > 0 && strcmp(search->names[search->name_count - 1], name) == 0)
		return;
	if (search->name_count < NAMES_MAX)
		search->names[search->name_count++] = name;
}

static void look_at(void *context, const struct command *row)
{
	struct search *search = context;
	bool same_group = strcmp(row->group, search->group) == 0;

	if (!search->among_verbs)
		collect(search, row->group);
	if (!same_group)
		return;
	if (!row->verb) {
		search->found = row;
		return;
	}
	search->has_verbs = true;
	if (search->among_verbs)
		collect(search, row->verb);
	if (search->verb && strcmp(row->verb, search->verb) == 0)
		search->found = row;
}

static enum status unknown_command(const struct search *search, const char *word, struct error *err)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;
	const char *nearest = text_nearest(word, search->names, search->name_count);

	option_append_word(&shown, word);
	(void)error_set(err, STATUS_USAGE, "no such command: %s", buf_str(&shown));
	if (nearest)
		return error_hint(err, STATUS_USAGE, "did you mean '%s'?", nearest);
	return error_hint(err, STATUS_USAGE, "list them: provenv help");
}

static void append_names(struct buf *out, const struct search *search)
{
	for (size_t i = 0; i < search->name_count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", search->names[i]);
}

static enum status unknown_verb(const struct search *search, struct error *err)
{
	AUTO(buf_release) struct buf shown = BUF_INIT;
	AUTO(buf_release) struct buf verbs = BUF_INIT;
	const char *nearest = text_nearest(search->verb, search->names, search->name_count);

	option_append_word(&shown, search->verb);
	append_names(&verbs, search);
	(void)error_set(err, STATUS_USAGE, "no such command: %s %s", search->group,
			buf_str(&shown));
	if (nearest)
		return error_hint(err, STATUS_USAGE, "did you mean '%s %s'?", search->group,
				  nearest);
	return error_hint(err, STATUS_USAGE, "one of: %s", buf_str(&verbs));
}

enum status command_need_verb(const struct command *const *families, const char *group,
			      struct error *err)
{
	struct search search = { .group = group, .among_verbs = true };
	AUTO(buf_release) struct buf verbs = BUF_INIT;

	command_each(families, look_at, &search);
	append_names(&verbs, &search);
	(void)error_set(err, STATUS_USAGE, "which %s command?", group);
	return error_hint(err, STATUS_USAGE, "one of: %s", buf_str(&verbs));
}

enum status command_resolve(const struct command *const *families, const char *const *words,
			    size_t count, struct command_match *ret, struct error *err)
{
	struct search search = { .group = words[0], .verb = count > 1 ? words[1] : NULL };

	command_each(families, look_at, &search);
	if (!search.found && !search.has_verbs)
		return unknown_command(&search, words[0], err);
	if (!search.found && search.verb) {
		search.name_count = 0;
		search.among_verbs = true;
		command_each(families, look_at, &search);
		return unknown_verb(&search, err);
	}
	*ret = (struct command_match){
		.command = search.found,
		.group = search.found ? search.found->group : words[0],
		.words = search.found && search.found->verb ? 2 : 1,
	};
	return STATUS_OK;
}
