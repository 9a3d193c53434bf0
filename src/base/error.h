/*
 * Failures: one enum of outcomes, one object that carries the words.
 *
 * Every function that can fail returns `enum status` and takes `struct error *err` last. The status
 * says what the caller can do about it; the error says what failed, on what, why, and what to do
 * next. Libraries never print and never exit: only cmds/ and the tools do, once.
 *
 * Invariants: a function returning STATUS_OK leaves `err` untouched; any other status has filled
 * it. `err` may be NULL where the caller needs only the status. Error texts never contain a secret
 * value.
 */
#ifndef PROVENV_BASE_ERROR_H
#define PROVENV_BASE_ERROR_H

#include <stddef.h>

#if defined(__clang__)
#define MUST_USE_ENUM
#define MUST_USE __attribute__((warn_unused_result))
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#define MUST_USE_ENUM [[nodiscard]]
#define MUST_USE
#endif

/* What a caller can do about an outcome. Each value has one exit code: see status_exit_code(). */
enum MUST_USE_ENUM status {
	STATUS_OK = 0,
	STATUS_NEGATIVE,    /* a question was answered "no": differs, drifted, invalid */
	STATUS_USAGE,       /* the request itself is malformed or over a limit */
	STATUS_NOT_FOUND,   /* the thing named does not exist */
	STATUS_DENIED,      /* refused by policy */
	STATUS_UNCONFIRMED, /* needs a confirmation or a reason that was not given */
	STATUS_CONFLICT,    /* the world moved: re-read and try again */
	STATUS_INVALID,     /* a value violates its specification */
	STATUS_IN_USE,      /* a database is held by another process */
	STATUS_CORRUPT,     /* bytes are not what was written: integrity failure */
	STATUS_NO_STORE,    /* there is no store where one was looked for */
	STATUS_LOCKED,      /* another writer holds the lock */
	STATUS_WRONG_KEY,   /* key missing, unreadable, unsafe, or not enrolled */
	STATUS_IO,          /* the operating system refused: disk full, permission, device */
	STATUS_NEWER,       /* written by a newer provenv */
	STATUS_NO_MEMORY,   /* allocation failed; nothing was changed */
	STATUS_INTERRUPTED, /* the user stopped it */
};

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

enum {
	ERROR_TEXT_BYTES = 512,
	ERROR_HINT_BYTES = 384,
};

/* Plain storage, no ownership: copy freely. Zero-initialise with ERROR_INIT. */
struct error {
	enum status status;
	int sys_errno; /* 0 when no system call was involved */
	char text[ERROR_TEXT_BYTES];
	char hint[ERROR_HINT_BYTES]; /* the next step for the user; empty when there is none */
};

#define ERROR_INIT { .status = STATUS_OK }

/* Fill @err (may be NULL) and return @status, so that `return error_set(...)` reads well. */
enum status error_set(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * As error_set(), appending ": <strerror(sys_errno)>" and, for ENOSPC/EDQUOT, a hint about space.
 * Texts that do not fit are cut between characters; the system's reason is never cut.
 */
enum status error_errno(struct error *err, enum status status, int sys_errno, const char *format,
			...) __attribute__((format(printf, 4, 5)));

/* Out of memory, in one word. */
enum status error_no_memory(struct error *err);

/*
 * Put context in front of the text: with "cannot read log" it becomes "cannot read log: <text>";
 * the colon is ours. Keeps the hint. @status, normally the one of the failed call, becomes the
 * error's.
 */
enum status error_prefix(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Set the next step. Returns @status. */
enum status error_hint(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The documented exit code of the program for @status (docs/commands.md). */
int status_exit_code(enum status status);

/* A stable lower-case name for @status ("not_found"), for traces and tests. Never NULL. */
const char *status_name(enum status status);

#ifdef __clang_analyzer__
/*
 * The analyzer sees one file at a time and so cannot know that these return the status they are
 * given; without this it follows failures into the code after them.
 */
/* NOLINTBEGIN(readability-identifier-naming): they stand for functions */
#define error_set(err, status, ...) ((void)(error_set)(err, status, __VA_ARGS__), (status))
#define error_errno(err, status, number, ...) \
	((void)(error_errno)(err, status, number, __VA_ARGS__), (status))
#define error_prefix(err, status, ...) ((void)(error_prefix)(err, status, __VA_ARGS__), (status))
#define error_hint(err, status, ...)   ((void)(error_hint)(err, status, __VA_ARGS__), (status))
#define error_no_memory(err)           ((void)(error_no_memory)(err), STATUS_NO_MEMORY)
/* NOLINTEND(readability-identifier-naming) */
#endif

#endif
