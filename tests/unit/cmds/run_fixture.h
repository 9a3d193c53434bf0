/*
 * Running command lines in the process of the test, and what they left on stdout and stderr.
 */
#ifndef PROVENV_TESTS_CMDS_RUN_FIXTURE_H
#define PROVENV_TESTS_CMDS_RUN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "cmds/cmd.h"

enum { WORDS_MAX = 16 };

/* What a command line did. */
struct ran {
	int code;
	struct buf out;
	struct buf err;
};

static inline void ran_release(struct ran *ran)
{
	buf_release(&ran->out);
	buf_release(&ran->err);
}

static inline void read_back(int fd, struct buf *ret)
{
	assert_true(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
	assert_int_equal(fs_read_fd(fd, "captured output", 1 << 24, ret, NULL), STATUS_OK);
}

/* Run @words, ended by NULL, with stdout going to @out_fd and stderr to @err_fd. */
static inline int run_into(const struct command *const *families, const char *const *words,
			   int out_fd, int err_fd)
{
	static char kept[WORDS_MAX][64];
	char *argv[WORDS_MAX + 1] = { NULL };
	int saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	int saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int argc = 1;
	int code;

	(void)snprintf(kept[0], sizeof(kept[0]), "provenv");
	argv[0] = kept[0];
	for (; words[argc - 1]; argc++) {
		(void)snprintf(kept[argc], sizeof(kept[argc]), "%s", words[argc - 1]);
		argv[argc] = kept[argc];
	}
	if (out_fd < 0 || err_fd < 0 || saved_out < 0 || saved_err < 0)
		return -1;
	(void)fflush(stdout);
	assert_int_equal(dup2(out_fd, STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(dup2(err_fd, STDERR_FILENO), STDERR_FILENO);
	code = command_dispatch(families, argc, argv);
	assert_int_equal(dup2(saved_out, STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(dup2(saved_err, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved_out);
	(void)close(saved_err);
	return code;
}

static inline struct ran run_words(const struct command *const *families, const char *const *words)
{
	struct ran ran = { .code = -1 };
	AUTO_FD int out_fd = memfd_create("out", MFD_CLOEXEC);
	AUTO_FD int err_fd = memfd_create("err", MFD_CLOEXEC);

	ran.code = run_into(families, words, out_fd, err_fd);
	read_back(out_fd, &ran.out);
	read_back(err_fd, &ran.err);
	return ran;
}

#endif
