/*
 * Preloaded into the program: makes the n-th call of one function of the C library fail.
 *
 * What stands here replaces the function for the program and for the libraries it is linked with,
 * as archives or not; what the C library calls inside itself (opendir, fopen) does not come by.
 * Each goes straight to the kernel, or to the allocator's own entry, so nothing is looked up.
 *
 * Invariants: without a file to count in it changes nothing; it allocates nothing; a failing close
 * closes all the same, as Linux does. Only programs named provenv… count: a shell in front of one
 * does not.
 */

/* The bodies of the checked variants would stand in the way of ours. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault/shared.h"

#include "base/banned.h"

/* NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming,
 * readability-inconsistent-declaration-parameter-name): the names are the C library's */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static struct calls *calls;

/*
 * Inside it the C library reads nsswitch.conf, and dies by an assertion of its own when that runs
 * out of memory (glibc 2.36): it is let through.
 */
static int (*look_up_user)(uid_t, struct passwd *, char *, size_t, struct passwd **);
static _Thread_local int inside_lookup;

static int raw_open(int dir, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(CALLS_FILE_VARIABLE);
	void *shared;
	int fd;

	*(void **)&look_up_user = dlsym(RTLD_NEXT, "getpwuid_r");
	if (!path || strncmp(program_invocation_short_name, "provenv", strlen("provenv")) != 0)
		return;
	fd = raw_open(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	shared = (void *)syscall(SYS_mmap, NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED,
				 fd, 0);
	(void)syscall(SYS_close, fd);
	if (shared == MAP_FAILED)
		return;
	calls = shared;
	calls->loaded++;
}

/* Count one. Returns 0, or what this one shall fail with. */
static int passes(enum call call, int fd)
{
	uint64_t number;

	if (!calls || inside_lookup)
		return 0;
	number = ++calls->count[call];
	if (!calls->armed || calls->call != call ||
	    !(number == calls->nth || (calls->onward && number > calls->nth)))
		return 0;
	calls->fired_fd = fd;
	calls->fired++;
	if (calls->fault != FAULT_SHORT)
		errno = calls->fault;
	return calls->fault;
}

/* What is left of @len bytes when the call is cut short; at least one, since 0 means the end. */
static size_t half(size_t len)
{
	return len > 1 ? len / 2 : len;
}

int getpwuid_r(uid_t uid, struct passwd *entry, char *room, size_t len, struct passwd **ret)
{
	int code;

	inside_lookup++;
	code = look_up_user(uid, entry, room, len, ret);
	inside_lookup--;
	return code;
}

/* --- memory --------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
	return passes(CALL_MALLOC, -1) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return passes(CALL_CALLOC, -1) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return passes(CALL_REALLOC, -1) ? NULL : __libc_realloc(old, size);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (passes(CALL_MMAP, fd))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));

/* --- content -------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t len)
{
	int fault = passes(CALL_WRITE, fd);

	if (fault > 0)
		return -1;
	return syscall(SYS_write, fd, data, fault ? half(len) : len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	int fault = passes(CALL_PWRITE, fd);

	if (fault > 0)
		return -1;
	return syscall(SYS_pwrite64, fd, data, fault ? half(len) : len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
	__attribute__((alias("pwrite")));

/* Half of several pieces is the first half of the first. */
ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	int fault = passes(CALL_WRITEV, fd);

	if (fault > 0)
		return -1;
	if (fault && count > 0)
		return syscall(SYS_write, fd, pieces[0].iov_base, half(pieces[0].iov_len));
	return syscall(SYS_writev, fd, pieces, count);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	int fault = passes(CALL_PWRITEV, fd);

	if (fault > 0)
		return -1;
	if (fault && count > 0)
		return syscall(SYS_pwrite64, fd, pieces[0].iov_base, half(pieces[0].iov_len),
			       offset);
	return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t offset)
	__attribute__((alias("pwritev")));

ssize_t read(int fd, void *data, size_t len)
{
	return passes(CALL_READ, fd) ? -1 : syscall(SYS_read, fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
	return passes(CALL_PREAD, fd) ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t offset) __attribute__((alias("pread")));

/* What a build with _FORTIFY_SOURCE calls; the size of the room was checked when it was compiled.
 */
ssize_t __read_chk(int fd, void *data, size_t len, size_t room);
ssize_t __pread_chk(int fd, void *data, size_t len, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *data, size_t len, off_t offset, size_t room)
	__attribute__((alias("__pread_chk")));

ssize_t __read_chk(int fd, void *data, size_t len, size_t room)
{
	return len <= room ? read(fd, data, len) : (abort(), -1);
}

ssize_t __pread_chk(int fd, void *data, size_t len, off_t offset, size_t room)
{
	return len <= room ? pread(fd, data, len, offset) : (abort(), -1);
}

int fsync(int fd)
{
	return passes(CALL_FSYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return passes(CALL_FDATASYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
	return passes(CALL_FTRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off64_t len) __attribute__((alias("ftruncate")));

/* --- opening and closing -------------------------------------------------------------------- */

static int open_counted(int dir, const char *path, int flags, mode_t mode)
{
	return passes(CALL_OPEN, -1) ? -1 : raw_open(dir, path, flags, mode);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_counted(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_counted(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags) __attribute__((alias("__openat_2")));

int __open_2(const char *path, int flags)
{
	return open_counted(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir, const char *path, int flags)
{
	return open_counted(dir, path, flags, 0);
}

int close(int fd)
{
	int fault = passes(CALL_CLOSE, fd);
	int result = (int)syscall(SYS_close, fd);

	if (!fault)
		return result;
	errno = fault;
	return -1;
}

/* --- names ---------------------------------------------------------------------------------- */

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (passes(CALL_RENAME, -1))
		return -1;
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (passes(CALL_LINK, -1))
		return -1;
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
	return passes(CALL_UNLINK, -1) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	return passes(CALL_MKDIR, -1) ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* --- locks ---------------------------------------------------------------------------------- */

/* Unlocking is not: nothing from outside can make it fail. */
static int is_lock(int command, const struct flock *lock)
{
	return (command == F_SETLK || command == F_SETLKW || command == F_GETLK ||
		command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK) &&
	       lock->l_type != F_UNLCK;
}

/* Locks alone are counted: what else fcntl does cannot fail for reasons from outside. */
int fcntl(int fd, int command, ...)
{
	va_list args;
	void *argument;

	va_start(args, command);
	argument = va_arg(args, void *); /* an int travels in the same register */
	va_end(args);
	if (is_lock(command, argument) && passes(CALL_FCNTL, fd))
		return -1;
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

int flock(int fd, int operation)
{
	return passes(CALL_FLOCK, fd) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

/* NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming,
 * readability-inconsistent-declaration-parameter-name) */
