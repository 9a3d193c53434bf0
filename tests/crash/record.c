/*
 * The recorder: a library for LD_PRELOAD that lets every call through and writes down those that
 * changed a file below $PROVENV_RECORD_ROOT; record.h has the format.
 *
 * What a program writes through a map is not seen. provenv maps only what need not survive: LMDB's
 * lock file and SQLite's index of its WAL; the rig's control arm would show any other.
 * It must never fail a call that the program would not have failed; where it cannot record it ends
 * the process, since a trace with holes proves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crash/record.h"

#include "base/banned.h"

/* Names that libc gives these functions; glibc's headers may have renamed them by macro. */
#undef open
#undef open64
#undef openat
#undef openat64
#undef creat
#undef pwrite
#undef pwrite64
#undef ftruncate
#undef ftruncate64

/*
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's own names begin with
 * underscores. NOLINTBEGIN(concurrency-mt-unsafe): nobody changes the environment.
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* For struct iovec, which is for reading as well. */
static void *plain(const void *data)
{
	union {
		const void *in;
		void *out;
	} both = { .in = data };

	return both.out;
}

static void give_up(const char *what)
{
	(void)syscall(SYS_write, STDERR_FILENO, what, strlen(what));
	_exit(125);
}

static void put(const struct record *record, const char *name, const char *name2,
		const struct iovec *data, int data_count)
{
	static int trace = -1;
	struct iovec parts[3 + IOV_MAX];
	size_t all = 0;
	int count = 0;

	if (trace < 0)
		trace = (int)syscall(SYS_openat, AT_FDCWD, getenv(RECORD_FILE),
				     O_WRONLY | O_APPEND | O_CLOEXEC);
	parts[count++] = (struct iovec){ plain(record), sizeof(*record) };
	parts[count++] = (struct iovec){ plain(name), record->name_len };
	parts[count++] = (struct iovec){ plain(name2), record->name2_len };
	for (int i = 0; i < data_count && count < IOV_MAX; i++)
		parts[count++] = data[i];
	for (int i = 0; i < count; i++)
		all += parts[i].iov_len;
	if (syscall(SYS_writev, trace, parts, count) != (long)all)
		give_up("record: cannot write the trace\n");
}

/* Is the open file below the root? Its inode number, else 0. */
static uint64_t node_of(int fd)
{
	const char *root = getenv(RECORD_ROOT);
	char of_fd[64];
	char found[PATH_MAX];
	struct stat st;
	ssize_t len;

	if (!root || fd < 0)
		return 0;
	(void)snprintf(of_fd, sizeof(of_fd), "/proc/self/fd/%d", fd);
	len = readlink(of_fd, found, sizeof(found) - 1);
	if (len <= 0)
		return 0;
	found[len] = 0;
	if (strncmp(found, root, strlen(root)) != 0 || found[strlen(root)] != '/')
		return 0;
	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* One name in one directory. */
struct place {
	uint64_t dir;  /* 0: not below the root */
	uint64_t node; /* 0: there is nothing */
	bool is_dir;
	char name[NAME_MAX + 1];
};

static void find(int at, const char *path, struct place *ret)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	struct stat st;
	int fd;

	memset(ret, 0, sizeof(*ret));
	if (strlen(path) >= sizeof(dir))
		return;
	if (slash) {
		memcpy(dir, path, (size_t)(slash - path) + 1);
		dir[slash - path + 1] = 0;
	}
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s", NAME_MAX, slash ? slash + 1 : path);
	fd = (int)syscall(SYS_openat, at, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	ret->dir = node_of(fd);
	if (!fstatat(fd, ret->name, &st, AT_SYMLINK_NOFOLLOW)) {
		ret->node = st.st_ino;
		ret->is_dir = S_ISDIR(st.st_mode);
	}
	(void)syscall(SYS_close, fd);
}

static void begin(void)
{
	(void)pthread_mutex_lock(&lock);
}

/* Leaves errno as the call left it. */
static void end(int code)
{
	(void)pthread_mutex_unlock(&lock);
	errno = code;
}

static void put_name(enum record_kind kind, const struct place *place)
{
	struct record record = { .kind = kind,
				 .name_len = (uint32_t)strlen(place->name),
				 .node = place->node,
				 .dir = place->dir };

	put(&record, place->name, "", NULL, 0);
}

static int record_open(int at, const char *path, int flags, mode_t mode)
{
	struct place before;
	struct place after;
	int fd;
	int code;

	begin();
	find(at, path, &before);
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	code = errno;
	if (fd >= 0 && before.dir && !before.node && (flags & O_CREAT)) {
		find(at, path, &after);
		put_name(RECORD_CREATE, &after);
	} else if (fd >= 0 && before.dir && before.node && (flags & O_TRUNC)) {
		put(&(struct record){ .kind = RECORD_TRUNCATE, .node = before.node }, "", "", NULL,
		    0);
	}
	end(code);
	return fd;
}

/* O_CREAT brings a mode with it; O_TMPFILE is not used. */
#define MODE_OF(flags, mode)                           \
	do {                                           \
		va_list args;                          \
		va_start(args, flags);                 \
		if ((flags) & O_CREAT)                 \
			(mode) = va_arg(args, mode_t); \
		va_end(args);                          \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return record_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return record_open(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return record_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return record_open(at, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return record_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What was written: @len bytes of @data at @offset of @fd. */
static void put_write(int fd, const struct iovec *data, int count, uint64_t offset, size_t len)
{
	struct record record = { .kind = RECORD_WRITE, .offset = offset, .data_len = len };
	struct iovec parts[IOV_MAX];
	int flags = fcntl(fd, F_GETFL);
	int used = 0;

	record.node = node_of(fd);
	if (!record.node)
		return;
	record.durable = (flags & O_DSYNC) != 0;
	for (size_t left = len; left && used < count; left -= parts[used++].iov_len) {
		parts[used] = data[used];
		if (parts[used].iov_len > left)
			parts[used].iov_len = left;
	}
	put(&record, "", "", parts, used);
}

/* Where the next write() goes. */
static uint64_t position_of(int fd)
{
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (fcntl(fd, F_GETFL) & O_APPEND)
		at = fstat(fd, &st) ? -1 : st.st_size;
	return at < 0 ? 0 : (uint64_t)at;
}

static ssize_t record_writev(int fd, const struct iovec *data, int count)
{
	uint64_t offset;
	ssize_t len;
	int code;

	begin();
	offset = position_of(fd);
	len = syscall(SYS_writev, fd, data, count);
	code = errno;
	if (fd == STDOUT_FILENO || fd == STDERR_FILENO)
		put(&(struct record){ .kind = RECORD_SAID }, "", "", NULL, 0);
	else if (len > 0)
		put_write(fd, data, count, offset, (size_t)len);
	end(code);
	return len;
}

ssize_t writev(int fd, const struct iovec *data, int count)
{
	return record_writev(fd, data, count);
}

ssize_t write(int fd, const void *data, size_t len)
{
	return record_writev(fd, &(struct iovec){ plain(data), len }, 1);
}

static ssize_t record_pwritev(int fd, const struct iovec *data, int count, off_t offset)
{
	ssize_t len;
	int code;

	begin();
	len = syscall(SYS_pwritev, fd, data, count, offset, 0);
	code = errno;
	if (len > 0)
		put_write(fd, data, count, (uint64_t)offset, (size_t)len);
	end(code);
	return len;
}

ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset)
{
	return record_pwritev(fd, data, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return record_pwritev(fd, &(struct iovec){ plain(data), len }, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return pwrite(fd, data, len, offset);
}

static void put_node(enum record_kind kind, int fd, uint64_t offset)
{
	struct record record = { .kind = kind, .node = node_of(fd), .offset = offset };

	if (record.node)
		put(&record, "", "", NULL, 0);
}

static int record_truncate(int fd, off_t size)
{
	int result;
	int code;

	begin();
	result = (int)syscall(SYS_ftruncate, fd, size);
	code = errno;
	if (!result)
		put_node(RECORD_TRUNCATE, fd, (uint64_t)size);
	end(code);
	return result;
}

int ftruncate(int fd, off_t size)
{
	return record_truncate(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return record_truncate(fd, size);
}

static int record_sync(long number, int fd)
{
	int result;
	int code;

	begin();
	result = (int)syscall(number, fd);
	code = errno;
	if (!result)
		put_node(RECORD_SYNC, fd, 0);
	end(code);
	return result;
}

int fsync(int fd)
{
	return record_sync(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return record_sync(SYS_fdatasync, fd);
}

int mkdirat(int at, const char *path, mode_t mode)
{
	struct place place;
	int result;
	int code;

	begin();
	result = (int)syscall(SYS_mkdirat, at, path, mode);
	code = errno;
	find(at, path, &place);
	if (!result && place.dir)
		put_name(RECORD_MKDIR, &place);
	end(code);
	return result;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* rename and link: one name, then another one. */
static int record_two(long number, int at, const char *from, int at2, const char *to,
		      unsigned flags)
{
	struct place a;
	struct place b;
	int result;
	int code;

	begin();
	find(at, from, &a);
	find(at2, to, &b);
	result = (int)syscall(number, at, from, at2, to, flags);
	code = errno;
	if (!result && (a.dir || b.dir)) {
		struct record record = { .kind = number == SYS_linkat ? RECORD_LINK : RECORD_RENAME,
					 .name_len = (uint32_t)strlen(a.name),
					 .name2_len = (uint32_t)strlen(b.name),
					 .node = a.node,
					 .dir = a.dir,
					 .dir2 = b.dir };

		if (!a.dir || !b.dir)
			give_up("record: a file came from, or went to, a place outside\n");
		put(&record, a.name, b.name, NULL, 0);
	}
	end(code);
	return result;
}

int renameat2(int at, const char *from, int at2, const char *to, unsigned flags)
{
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		give_up("record: renameat2 with flags\n");
	return record_two(SYS_renameat2, at, from, at2, to, flags);
}

int renameat(int at, const char *from, int at2, const char *to)
{
	return record_two(SYS_renameat2, at, from, at2, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int at, const char *from, int at2, const char *to, int flags)
{
	if (flags)
		give_up("record: linkat with flags\n");
	return record_two(SYS_linkat, at, from, at2, to, 0);
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int at, const char *path, int flags)
{
	struct place place;
	int result;
	int code;

	begin();
	find(at, path, &place);
	result = (int)syscall(SYS_unlinkat, at, path, flags);
	code = errno;
	if (!result && place.dir)
		put_name(RECORD_UNLINK, &place);
	end(code);
	return result;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* What would change files unseen. */
int symlink(const char *target, const char *path)
{
	(void)target;
	(void)path;
	give_up("record: symlink is not recorded\n");
	return -1;
}

/* Room alone is no change. */
int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		give_up("record: fallocate is not recorded\n");
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
	return fallocate(fd, 0, offset, len);
}

/* NOLINTEND(concurrency-mt-unsafe) NOLINTEND(readability-inconsistent-declaration-parameter-name)
 */
