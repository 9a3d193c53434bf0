/*
 * Failures: the table of outcomes, and the filling of error objects.
 *
 * Invariants: texts are NUL-terminated and, when they have to be cut, end at a character, never
 * inside a UTF-8 sequence. Arguments may point into the object being filled. Must not print or
 * exit.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

struct outcome {
	int exit_code;
	const char *name;
};

/* The one table of docs/commands.md: what each status is called, and how the program then ends. */
static const struct outcome outcomes[] = {
	[STATUS_OK] = { 0, "ok" },
	[STATUS_NEGATIVE] = { 1, "negative" },
	[STATUS_USAGE] = { 2, "usage" },
	[STATUS_NOT_FOUND] = { 3, "not_found" },
	[STATUS_DENIED] = { 4, "denied" },
	[STATUS_UNCONFIRMED] = { 5, "unconfirmed" },
	[STATUS_CONFLICT] = { 6, "conflict" },
	[STATUS_INVALID] = { 7, "invalid" },
	[STATUS_IN_USE] = { 8, "in_use" },
	[STATUS_CORRUPT] = { 9, "corrupt" },
	[STATUS_NO_STORE] = { 10, "no_store" },
	[STATUS_LOCKED] = { 11, "locked" },
	[STATUS_WRONG_KEY] = { 12, "wrong_key" },
	[STATUS_IO] = { 13, "io" },
	[STATUS_NEWER] = { 14, "newer" },
	[STATUS_NO_MEMORY] = { 13, "no_memory" },
	[STATUS_INTERRUPTED] = { 130, "interrupted" },
};

/* A status outside the enum is a bug elsewhere; report it as an I/O failure rather than as success.
 */
static const struct outcome outcome_unknown = { 13, "unknown" };

static const struct outcome *outcome_of(enum status status)
{
	size_t index = (size_t)status;

	return index < sizeof(outcomes) / sizeof(outcomes[0]) ? &outcomes[index] : &outcome_unknown;
}

int status_exit_code(enum status status)
{
	return outcome_of(status)->exit_code;
}

const char *status_name(enum status status)
{
	return outcome_of(status)->name;
}

/* The length to which @text of @len bytes shrinks so as not to end inside a UTF-8 sequence. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t lead = len;
	size_t need = 1;
	unsigned char byte;

	while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0)
		return len;
	byte = (unsigned char)text[lead - 1];
	if (byte >= 0xf0)
		need = 4;
	else if (byte >= 0xe0)
		need = 3;
	else if (byte >= 0xc0)
		need = 2;
	return len - (lead - 1) < need ? lead - 1 : len;
}

/* Append @more to @text of @cap bytes, cutting what does not fit. */
static void append_cut(char *text, size_t cap, const char *more)
{
	size_t used = strlen(text);
	size_t len = strlen(more);

	if (len > cap - 1 - used)
		len = whole_characters(more, cap - 1 - used);
	memcpy(text + used, more, len);
	text[used + len] = '\0';
}

static void format_cut(char *ret, size_t cap, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void format_cut(char *ret, size_t cap, const char *format, va_list args)
{
	int len = vsnprintf(ret, cap, format, args);

	if (len < 0)
		ret[0] = '\0';
	else if ((size_t)len >= cap)
		ret[whole_characters(ret, cap - 1)] = '\0';
}

static void fill(struct error *err, enum status status, int sys_errno, const char *text)
{
	*err = (struct error){ .status = status, .sys_errno = sys_errno };
	append_cut(err->text, sizeof(err->text), text);
}

enum status(error_set)(struct error *err, enum status status, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list args;

	if (!err)
		return status;
	va_start(args, format);
	format_cut(text, sizeof(text), format, args);
	va_end(args);
	fill(err, status, 0, text);
	return status;
}

enum status(error_errno)(struct error *err, enum status status, int sys_errno, const char *format,
			 ...)
{
	char text[ERROR_TEXT_BYTES];
	char reason_room[128];
	const char *reason;
	size_t room;
	va_list args;

	if (!err)
		return status;
	reason = strerror_r(sys_errno, reason_room, sizeof(reason_room));
	va_start(args, format);
	format_cut(text, sizeof(text), format, args);
	va_end(args);
	/* A long path may be cut, the reason may not. */
	room = sizeof(text) - 1 - strlen(": ") - strlen(reason);
	if (strlen(text) > room)
		text[whole_characters(text, room)] = '\0';
	append_cut(text, sizeof(text), ": ");
	append_cut(text, sizeof(text), reason);
	fill(err, status, sys_errno, text);
	if (sys_errno == ENOSPC || sys_errno == EDQUOT)
		return error_hint(err, status, "free some space, then run the command again");
	return status;
}

enum status(error_no_memory)(struct error *err)
{
	return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

enum status(error_prefix)(struct error *err, enum status status, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list args;

	if (!err)
		return status;
	va_start(args, format);
	format_cut(text, sizeof(text), format, args);
	va_end(args);
	append_cut(text, sizeof(text), ": ");
	append_cut(text, sizeof(text), err->text);
	memcpy(err->text, text, sizeof(text));
	err->status = status;
	return status;
}

enum status(error_hint)(struct error *err, enum status status, const char *format, ...)
{
	char hint[ERROR_HINT_BYTES];
	va_list args;

	if (!err)
		return status;
	va_start(args, format);
	format_cut(hint, sizeof(hint), format, args);
	va_end(args);
	memcpy(err->hint, hint, sizeof(hint));
	return status;
}
