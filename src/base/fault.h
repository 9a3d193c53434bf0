/*
 * Named fault points: places where a test may make the program fail, crash or stop.
 *
 * Compiled to nothing unless PROVENV_TEST_HOOKS is set (debug, asan and coverage builds; never
 * release). Then PROVENV_FAULT="name:action[:n]" in the environment arms one point for its n-th
 * passage (default 1); action is one of `crash` (SIGKILL to itself), `stop` (SIGSTOP), an errno
 * name (EIO, ENOSPC, EINTR, EACCES, EDQUOT, ENOMEM). When it fires and PROVENV_FAULT_LOG names a
 * file, the point's name is appended there, so that a driver can prove that its fault fired.
 * Counting starts anew when the text of PROVENV_FAULT changes, or a point was passed while it was
 * unset: one process may run through many faults. A text that is not understood arms nothing.
 */
#ifndef PROVENV_BASE_FAULT_H
#define PROVENV_BASE_FAULT_H

#ifdef PROVENV_TEST_HOOKS
/* Returns 0, or the errno that the caller must act as if it had received. May not return. */
int fault_point(const char *name);
#else
static inline int fault_point(const char *name)
{
	(void)name;
	return 0;
}
#endif

#endif
