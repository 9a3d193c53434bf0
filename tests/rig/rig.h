/*
 * What the fault rigs stand on: a scratch directory and a home of their own, runs of the program
 * with all they printed, copies of directories, counts, and the image of a failure.
 *
 * Every rig counts what it tried and whether its fault fired: a fault that never fires is a
 * failure, and so is a rig whose control arm, the same without the fault, does not pass.
 *
 * A rig that cannot even set up (no memory, no scratch space) says so and ends the process with
 * status 2: there is nothing that a caller could do about it.
 */
#ifndef PROVENV_TESTS_RIG_RIG_H
#define PROVENV_TESTS_RIG_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	RIG_TIMEOUT_S = 20,      /* a run that takes longer hangs */
	RIG_IMAGES_MAX = 5,      /* failures whose directories are kept */
	RIG_CODE_SIGNAL = 1000,  /* outcome.code of a run that a signal ended: this + its number */
	RIG_CODE_TIMEOUT = 2000, /* … of one that hung and was killed */
	RIG_MEMORY_KIB = 64 * 1024 /* what no run may take, by our promise */
};

struct rig {
	const char *name;
	char *dir;     /* scratch: absolute; in memory where possible, so that syncs cost nothing */
	char *bin;     /* directory of the built programs */
	uint64_t seed; /* PROVENV_TEST_SEED, else drawn; printed by rig_open() */
	uint64_t random; /* state of rig_random() */
	uint64_t tried;  /* faults tried */
	uint64_t fired;  /* … of which the fault was seen to happen */
	uint64_t checks; /* things that were compared */
	uint64_t failures;
	uint64_t kept; /* images of failures, in DIR/failures */
	int out_fd;    /* what a run prints goes there; rig.c's */
	int err_fd;
};

/* One run of the program. */
struct outcome {
	int code;     /* exit code; RIG_CODE_SIGNAL + n; RIG_CODE_TIMEOUT */
	long rss_kib; /* its greatest resident set, what it shares included */
	struct buf out;
	struct buf err;
};

/*
 * Make the scratch directory, point HOME, TMPDIR and the XDG directories into it (home/, tmp/), and
 * read the seed. @program_dir is the directory of the built programs; NULL: $PROVENV_BIN.
 */
void rig_open(struct rig *rig, const char *name, const char *program_dir);
/*
 * Print the counts: "NAME: N faults tried, N fired, N checks, N failures (seed N)". Removes the
 * scratch directory, but for images of failures, whose place is printed. Returns what main()
 * should: 0, or 1 when something failed, when a fault did not fire, or when nothing was tried.
 */
int rig_close(struct rig *rig);

/* A number below @below, from the seed. */
uint64_t rig_random(struct rig *rig, uint64_t below);

/* An owned string, printf-like; free() it. */
char *rig_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Run a program with an empty stdin and wait for it. @argv ends with NULL; argv[0] is looked up as
 * given. @environment: "NAME=VALUE" or "NAME" (to unset), NULL-terminated, for the run alone; NULL:
 * none. Release @ret with outcome_release(); it is overwritten, not released, here.
 */
void rig_exec(struct rig *rig, const char *const *argv, const char *const *environment,
	      struct outcome *ret);
/*
 * The same command line without exec: command_main() in a forked child, a third of the time. The
 * rig must be single-threaded and must never have opened a store itself.
 */
void rig_fork(struct rig *rig, const char *const *argv, struct outcome *ret);
void outcome_release(struct outcome *outcome);

/*
 * Count a check. When @held is false, count and print a failure, printf-like, and keep a copy of
 * the directory @image, unless NULL, as long as there are few. Returns @held.
 */
bool rig_check(struct rig *rig, bool held, const char *image, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Copy a directory and everything below it: modes, links as links, holes not kept. @to must not
 * exist. */
void rig_copy_tree(const char *from, const char *to);
/* Remove it. OK when absent. */
void rig_remove_tree(const char *path);
/* A whole file, appended to @ret. */
void rig_read(const char *path, struct buf *ret);
/* Replace the content of a file, in place, or make it. */
void rig_write(const char *path, struct slice content);

#endif
