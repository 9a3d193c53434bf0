/*
 * Tests in several processes. A child does one thing and tells how it went by its exit code; it
 * never runs cmocka's asserts, whose longjmp would return into the parent's tests.
 */
#ifndef PROVENV_TESTS_PROCESS_FIXTURE_H
#define PROVENV_TESTS_PROCESS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two pipes between parent and child, for "go on" in each direction. */
struct child {
	pid_t pid;
	int to_child[2];
	int to_parent[2];
};

static inline void child_tell(int fd)
{
	ssize_t put = write(fd, "", 1);

	(void)put; /* a partner that died is noticed by whoever waits for it */
}

static inline int child_hear(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1 ? 0 : -1;
}

/* In the child: tell the parent that it may go on; wait until it tells us. */
static inline void child_says(const struct child *child)
{
	child_tell(child->to_parent[1]);
}

static inline void child_waits(const struct child *child)
{
	if (child_hear(child->to_child[0]))
		_exit(99);
}

static inline void parent_says(const struct child *child)
{
	child_tell(child->to_child[1]);
}

static inline void parent_waits(const struct child *child)
{
	assert_int_equal(child_hear(child->to_parent[0]), 0);
}

/* Start @body in a child. Its result is the exit code. */
static inline struct child child_start(int (*body)(const struct child *child, const void *context),
				       const void *context)
{
	struct child child;

	assert_int_equal(pipe(child.to_child), 0);
	assert_int_equal(pipe(child.to_parent), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		(void)close(child.to_child[1]);
		(void)close(child.to_parent[0]);
		_exit(body(&child, context));
	}
	(void)close(child.to_child[0]);
	(void)close(child.to_parent[1]);
	return child;
}

/* Wait for the end: the exit code, or minus the signal. */
static inline int child_end(const struct child *child)
{
	int state = 0;

	(void)close(child->to_child[1]);
	(void)close(child->to_parent[0]);
	assert_int_equal(waitpid(child->pid, &state, 0), child->pid);
	return WIFSIGNALED(state) ? -WTERMSIG(state) : WEXITSTATUS(state);
}

/* Run @body in a child to its end. */
static inline int child_run(int (*body)(const struct child *child, const void *context),
			    const void *context)
{
	struct child child = child_start(body, context);

	return child_end(&child);
}

#endif
