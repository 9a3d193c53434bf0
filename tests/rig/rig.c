/*
 * The ground of the fault rigs; see rig.h.
 *
 * What a run prints goes into two files in memory, read when it has ended: no pipe that could fill
 * up, and no thread to empty it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h> /* IWYU pragma: keep */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/rng.h"
#include "cmds/cmd.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

enum { EXIT_RIG = 2, EXIT_NOT_STARTED = 127, FILE_BYTES_MAX = 1 << 28 };

/* The rig itself cannot go on: nobody could do anything about it. */
static void give_up(const char *what, const char *on)
{
	(void)fprintf(stderr, "rig: cannot %s %s: %s\n", what, on, strerror(errno));
	exit(EXIT_RIG);
}

static void or_give_up(enum status status, const struct error *err)
{
	if (!status)
		return;
	(void)fprintf(stderr, "rig: %s\n", err->text);
	exit(EXIT_RIG);
}

char *rig_text(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		give_up("format", format);
	va_end(args);
	return text;
}

/* NAME=DIR/SUB for this process and all its runs; the directory is made. */
static void point_at(const struct rig *rig, const char *name, const char *sub)
{
	AUTO_FREE char *path = rig_text("%s/%s", rig->dir, sub);

	if (mkdir(path, 0700) && errno != EEXIST)
		give_up("make", path);
	if (setenv(name, path, 1))
		give_up("set", name);
}

static char *scratch_dir(const char *name)
{
	const char *const places[] = { getenv("PROVENV_RIG_DIR"), "/dev/shm", getenv("TMPDIR"),
				       "/tmp" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char *dir = places[i] ? rig_text("%s/%s.XXXXXX", places[i], name) : NULL;

		if (dir && mkdtemp(dir))
			return dir;
		free(dir);
	}
	give_up("make a scratch directory for", name);
	return NULL;
}

static uint64_t seed_from_environment(void)
{
	const char *text = getenv("PROVENV_TEST_SEED");
	uint64_t seed;

	if (text && *text)
		return strtoull(text, NULL, 10);
	rng_bytes(&seed, sizeof(seed));
	return seed >> 16; /* short enough to type */
}

static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		give_up("make a file in memory for", name);
	return fd;
}

void rig_open(struct rig *rig, const char *name, const char *program_dir)
{
	const char *bin = program_dir ? program_dir : getenv("PROVENV_BIN");

	*rig = (struct rig){ .name = name };
	if (!bin)
		give_up("find the programs without", "PROVENV_BIN");
	rig->bin = realpath(bin, NULL);
	if (!rig->bin)
		give_up("find", bin);
	rig->seed = seed_from_environment();
	rig->random = rig->seed;
	rig->dir = scratch_dir(name);
	point_at(rig, "HOME", "home");
	point_at(rig, "TMPDIR", "tmp");
	point_at(rig, "XDG_CONFIG_HOME", "home/config");
	point_at(rig, "XDG_STATE_HOME", "home/state");
	point_at(rig, "XDG_DATA_HOME", "home/data");
	if (unsetenv("PROVENV_STORE") || setenv("LC_ALL", "C.UTF-8", 1) || setenv("TZ", "UTC", 1))
		give_up("set", "the environment");
	rig->out_fd = memory_file("out");
	rig->err_fd = memory_file("err");
	(void)printf("%s: PROVENV_TEST_SEED=%llu\n", name, (unsigned long long)rig->seed);
	(void)fflush(stdout);
}

/* All but failures/, when there are any. */
static void remove_scratch(const struct rig *rig)
{
	static const char *const parts[] = { "home", "tmp" };

	if (!rig->kept) {
		rig_remove_tree(rig->dir);
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		AUTO_FREE char *path = rig_text("%s/%s", rig->dir, parts[i]);

		rig_remove_tree(path);
	}
	(void)printf("%s: images of failures are in %s/failures\n", rig->name, rig->dir);
}

int rig_close(struct rig *rig)
{
	bool good = !rig->failures && rig->checks && rig->tried && rig->fired == rig->tried;

	remove_scratch(rig);
	(void)printf("%s: %llu faults tried, %llu fired, %llu checks, %llu failures (seed %llu)\n",
		     rig->name, (unsigned long long)rig->tried, (unsigned long long)rig->fired,
		     (unsigned long long)rig->checks, (unsigned long long)rig->failures,
		     (unsigned long long)rig->seed);
	if (rig->fired != rig->tried)
		(void)printf("%s: FAIL: there are faults that did not fire\n", rig->name);
	free(rig->dir);
	free(rig->bin);
	(void)close(rig->out_fd);
	(void)close(rig->err_fd);
	return good ? 0 : 1;
}

/* splitmix64 (Steele, Lea, Flood 2014): any seed will do. */
uint64_t rig_random(struct rig *rig, uint64_t below)
{
	uint64_t z = rig->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

/* In the child: stdin empty, what it prints into the rig's files. */
static void take_descriptors(const struct rig *rig)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(rig->out_fd, STDOUT_FILENO) < 0 ||
	    dup2(rig->err_fd, STDERR_FILENO) < 0)
		_exit(EXIT_NOT_STARTED);
}

static pid_t start(struct rig *rig)
{
	pid_t child;

	if (ftruncate(rig->out_fd, 0) || ftruncate(rig->err_fd, 0) ||
	    lseek(rig->out_fd, 0, SEEK_SET) || lseek(rig->err_fd, 0, SEEK_SET))
		give_up("empty", "the files for output");
	(void)fflush(NULL);
	child = fork();
	if (child < 0)
		give_up("start", "a child");
	if (!child)
		take_descriptors(rig);
	return child;
}

static void read_output(int fd, struct buf *ret)
{
	struct error err = ERROR_INIT;
	struct stat st;
	uint8_t *room;
	size_t len = 0;

	*ret = (struct buf)BUF_INIT;
	if (fstat(fd, &st))
		give_up("examine", "the output");
	if (!st.st_size)
		return;
	room = buf_reserve(ret, (size_t)st.st_size);
	if (!room)
		give_up("keep", "the output");
	or_give_up(fs_pread(fd, "the output", room, (size_t)st.st_size, 0, &len, &err), &err);
	ret->len = len;
}

static void finish(struct rig *rig, pid_t child, struct outcome *ret)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN };
	struct rusage usage;
	bool hung;
	int status;

	if (ended.fd < 0)
		give_up("watch", "a child");
	hung = poll(&ended, 1, RIG_TIMEOUT_S * 1000) == 0;
	if (hung)
		(void)kill(child, SIGKILL);
	(void)close(ended.fd);
	if (wait4(child, &status, 0, &usage) != child)
		give_up("wait for", "a child");
	ret->rss_kib = usage.ru_maxrss;
	if (hung)
		ret->code = RIG_CODE_TIMEOUT;
	else if (WIFSIGNALED(status))
		ret->code = RIG_CODE_SIGNAL + WTERMSIG(status);
	else
		ret->code = WEXITSTATUS(status);
	read_output(rig->out_fd, &ret->out);
	read_output(rig->err_fd, &ret->err);
}

/* As main() and exec take them, which change nothing: a language older than const. */
static char **arguments(const char *const *argv)
{
	union {
		const char *const *given;
		char **taken;
	} both = { .given = argv };

	return both.taken;
}

void rig_exec(struct rig *rig, const char *const *argv, const char *const *environment,
	      struct outcome *ret)
{
	pid_t child = start(rig);

	if (!child) {
		for (; environment && *environment; environment++)
			if (strchr(*environment, '=') ? putenv(strdup(*environment))
						      : unsetenv(*environment))
				_exit(EXIT_NOT_STARTED);
		(void)execv(argv[0], arguments(argv));
		_exit(EXIT_NOT_STARTED);
	}
	finish(rig, child, ret);
}

void rig_fork(struct rig *rig, const char *const *argv, struct outcome *ret)
{
	pid_t child = start(rig);

	if (!child) {
		int argc = 0;

		while (argv[argc])
			argc++;
		exit(command_main(argc, arguments(argv)));
	}
	finish(rig, child, ret);
}

void outcome_release(struct outcome *outcome)
{
	buf_release(&outcome->out);
	buf_release(&outcome->err);
}

static void keep_image(struct rig *rig, const char *image)
{
	AUTO_FREE char *all = rig_text("%s/failures", rig->dir);
	AUTO_FREE char *one = rig_text("%s/%llu", all, (unsigned long long)rig->kept);

	if (mkdir(all, 0700) && errno != EEXIST)
		give_up("make", all);
	rig_copy_tree(image, one);
	rig->kept++;
	(void)printf("  image kept: %s\n", one);
}

bool rig_check(struct rig *rig, bool held, const char *image, const char *format, ...)
{
	va_list args;

	rig->checks++;
	if (held)
		return true;
	rig->failures++;
	if (rig->failures > (uint64_t)RIG_IMAGES_MAX * 10) /* more of it tells nothing new */
		return false;
	(void)printf("FAIL (%s): ", rig->name);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf("\n");
	if (image && rig->kept < RIG_IMAGES_MAX)
		keep_image(rig, image);
	(void)fflush(stdout);
	return false;
}

void rig_read(const char *path, struct buf *ret)
{
	struct error err = ERROR_INIT;

	or_give_up(fs_read_file(path, FILE_BYTES_MAX, ret, &err), &err);
}

void rig_write(const char *path, struct slice content)
{
	struct error err = ERROR_INIT;
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		give_up("write", path);
	or_give_up(fs_pwrite(fd, path, content.data, content.len, 0, &err), &err);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	AUTO(buf_release) struct buf content = BUF_INIT;

	rig_read(from, &content);
	rig_write(to, buf_slice(&content));
	if (chmod(to, mode))
		give_up("set the mode of", to);
}

static void copy_link(const char *from, const char *to)
{
	char target[4096];
	ssize_t len = readlink(from, target, sizeof(target) - 1);

	if (len < 0)
		give_up("read the link", from);
	target[len] = 0;
	if (symlink(target, to))
		give_up("make the link", to);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the rig's own directories */
void rig_copy_tree(const char *from, const char *to)
{
	struct dirent *entry;
	DIR *dir = opendir(from);

	if (!dir || mkdir(to, 0700))
		give_up("copy", from);
	while ((entry = readdir(dir)) != NULL) {
		AUTO_FREE char *source = rig_text("%s/%s", from, entry->d_name);
		AUTO_FREE char *target = rig_text("%s/%s", to, entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (lstat(source, &st))
			give_up("examine", source);
		if (S_ISDIR(st.st_mode))
			rig_copy_tree(source, target);
		else if (S_ISLNK(st.st_mode))
			copy_link(source, target);
		else if (S_ISREG(st.st_mode))
			copy_file(source, target, st.st_mode & 07777);
	}
	(void)closedir(dir);
}

void rig_remove_tree(const char *path)
{
	struct error err = ERROR_INIT;

	or_give_up(fs_remove_tree(path, &err), &err);
}

/* NOLINTEND(concurrency-mt-unsafe) */
