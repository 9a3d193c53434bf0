/*
 * Files: bounded reads, durable writes that fail at every step, directories and trees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

static void put(const char *path, const char *content)
{
	assert_int_equal(fs_write_durable(path, 0600, slice_str(content), NULL), STATUS_OK);
}

static void check_content(const char *path, const char *expected)
{
	struct buf content AUTO(buf_release) = BUF_INIT;

	assert_int_equal(fs_read_file(path, 1 << 20, &content, NULL), STATUS_OK);
	assert_string_equal(buf_str(&content), expected);
}

static enum status count_entry(void *context, const char *name, struct error *err)
{
	(void)name;
	(void)err;
	++*(size_t *)context;
	return STATUS_OK;
}

static size_t entries_in(const char *dir)
{
	size_t count = 0;

	assert_int_equal(fs_list(dir, count_entry, &count, NULL), STATUS_OK);
	return count;
}

/* --- reading --- */

static void reads_whole_files(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];

	put(scratch_path(state, "f", path), "hello");
	buf_append_str(&content, "> ");
	assert_int_equal(fs_read_file(path, 5, &content, NULL), STATUS_OK);
	assert_string_equal(buf_str(&content), "> hello");
	put(path, "");
	assert_int_equal(fs_read_file(path, 0, &content, NULL), STATUS_OK);
	assert_string_equal(buf_str(&content), "> hello");
}

static void refuses_what_is_too_large(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[SCRATCH_PATH_MAX];

	put(scratch_path(state, "f", path), "hello");
	assert_int_equal(fs_read_file(path, 4, &content, &err), STATUS_USAGE);
	assert_int_equal(content.cap, 0);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "4 bytes"));
}

static void files_that_lie_about_their_size_are_bounded(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;

	/* /proc says 0 bytes: as if it grew after it was examined. */
	(void)state;
	buf_append_str(&content, "kept");
	assert_int_equal(fs_read_file("/proc/self/status", 10, &content, NULL), STATUS_USAGE);
	assert_string_equal(buf_str(&content), "kept");
	assert_int_equal(fs_read_file("/proc/self/status", 1 << 20, &content, NULL), STATUS_OK);
	assert_non_null(strstr(buf_str(&content), "keptName:"));
}

static void absence_is_told_apart(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[SCRATCH_PATH_MAX];

	scratch_path(state, "none", path);
	assert_int_equal(fs_read_file(path, 10, &content, &err), STATUS_NOT_FOUND);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_non_null(strstr(err.text, path));
}

static void only_regular_files_are_read(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];

	/* No writer: a plain open would wait for ever. */
	assert_int_equal(mkfifo(scratch_path(state, "fifo", path), 0600), 0);
	(void)alarm(20);
	assert_int_equal(fs_read_file(path, 10, &content, NULL), STATUS_USAGE);
	(void)alarm(0);
	assert_int_equal(fs_read_file(*state, 10, &content, NULL), STATUS_USAGE);
	assert_int_equal(fs_read_file("/dev/zero", 10, &content, NULL), STATUS_USAGE);
}

static void reading_follows_links(void **state)
{
	char target[SCRATCH_PATH_MAX];
	char link_path[SCRATCH_PATH_MAX];
	int fd = -1;

	put(scratch_path(state, "target", target), "x");
	assert_int_equal(symlink("target", scratch_path(state, "link", link_path)), 0);
	check_content(link_path, "x");
	assert_int_equal(fs_open(link_path, O_RDONLY, 0, &fd, NULL), STATUS_IO);
	assert_int_equal(fd, -1);
}

static void pipes_are_read_to_their_end(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	static char block[3000];
	int ends[2];
	pid_t child;
	int result;

	(void)state;
	memset(block, 'p', sizeof(block));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	/* Reading must also wait where somebody left the pipe non-blocking. */
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct timespec pause = { .tv_nsec = 20000000 };

		for (int i = 0; i < 5; i++) {
			if (nanosleep(&pause, NULL) || write(ends[1], block, sizeof(block)) < 0)
				_exit(1);
		}
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(fs_read_fd(ends[0], "pipe", 15000, &content, NULL), STATUS_OK);
	(void)close(ends[0]);
	assert_int_equal(content.len, 15000);
	assert_int_equal(strspn(buf_str(&content), "p"), 15000);
	assert_int_equal(waitpid(child, &result, 0), child);
}

static void endless_input_is_bounded(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	int fd AUTO_FD = -1;

	(void)state;
	assert_int_equal(fs_open("/dev/zero", O_RDONLY, 0, &fd, NULL), STATUS_OK);
	assert_int_equal(fs_read_fd(fd, "standard input", 100000, &content, &err), STATUS_USAGE);
	assert_string_equal(err.text, "standard input is larger than 100000 bytes");
	assert_int_equal(content.len, 0);
	assert_int_equal(fs_read_fd(-1, "closed", 10, &content, &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EBADF);
}

/* --- durable writes --- */

static void writes_and_replaces(void **state)
{
	char path[SCRATCH_PATH_MAX];

	put(scratch_path(state, "f", path), "old");
	check_content(path, "old");
	put(path, "new and longer");
	check_content(path, "new and longer");
	assert_int_equal(entries_in(*state), 1);
}

static void the_mode_is_exact(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0444, 0666 };
	char path[SCRATCH_PATH_MAX];
	mode_t mask = umask(0077);

	scratch_path(state, "f", path);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct stat info;

		assert_int_equal(fs_write_durable(path, modes[i], slice_str("x"), NULL), STATUS_OK);
		assert_int_equal(stat(path, &info), 0);
		assert_int_equal(info.st_mode & 07777, modes[i]);
	}
	(void)umask(mask);
}

static void relative_paths_and_long_names_work(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char name[NAME_MAX + 1];
	char cwd[PATH_MAX];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	put(scratch_path(state, name, path), "long");
	check_content(path, "long");
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(*state), 0);
	put("plain", "here");
	check_content("./plain", "here");
	assert_int_equal(chdir(cwd), 0);
}

static void links_are_replaced_not_followed(void **state)
{
	char target[SCRATCH_PATH_MAX];
	char link_path[SCRATCH_PATH_MAX];
	struct stat info;

	put(scratch_path(state, "target", target), "untouched");
	assert_int_equal(symlink("target", scratch_path(state, "link", link_path)), 0);
	put(link_path, "new");
	check_content(target, "untouched");
	assert_int_equal(lstat(link_path, &info), 0);
	assert_true(S_ISREG(info.st_mode));
}

static void impossible_destinations_are_refused(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;

	scratch_path(state, "none/f", path);
	assert_int_equal(fs_write_durable(path, 0600, slice_str("x"), &err), STATUS_NOT_FOUND);
	scratch_path(state, "", path);
	assert_int_equal(fs_write_durable(path, 0600, slice_str("x"), &err), STATUS_USAGE);
	assert_int_equal(fs_write_durable("", 0600, slice_str("x"), &err), STATUS_NO_MEMORY);
	scratch_path(state, "dir", path);
	assert_int_equal(fs_make_dirs(path, 0700, NULL), STATUS_OK);
	assert_int_equal(fs_write_durable(path, 0600, slice_str("x"), &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EISDIR);
	assert_int_equal(entries_in(*state), 1);
}

/* An empty path is a buffer that ran out of memory: never a file that is not there. */
static void a_lost_path_is_no_missing_file(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	int fd;

	(void)state;
	assert_int_equal(fs_open("", O_RDONLY, 0, &fd, NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_read_file("", 10, &content, NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_remove("", NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_remove_tree("", NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_make_dirs("", 0700, NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_rename("", "x", NULL), STATUS_NO_MEMORY);
	assert_int_equal(fs_rename("x", "", NULL), STATUS_NO_MEMORY);
}

static void create_never_overwrites(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;
	struct stat info;

	scratch_path(state, "f", path);
	assert_int_equal(fs_create_durable(path, 0640, slice_str("first"), &err), STATUS_OK);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0640);
	assert_int_equal(info.st_nlink, 1);
	assert_int_equal(fs_create_durable(path, 0640, slice_str("second"), &err), STATUS_CONFLICT);
	assert_int_equal(err.sys_errno, EEXIST);
	check_content(path, "first");
	assert_int_equal(entries_in(*state), 1);
}

static void descriptors_close_on_exec(void **state)
{
	char path[SCRATCH_PATH_MAX];
	int fd AUTO_FD = -1;
	int absent = -1;

	scratch_path(state, "f", path);
	assert_int_equal(fs_open(path, O_RDONLY, 0, &absent, NULL), STATUS_NOT_FOUND);
	assert_int_equal(absent, -1);
	assert_int_equal(fs_open(path, O_RDWR | O_CREAT, 0600, &fd, NULL), STATUS_OK);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void positioned_reads_and_writes(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char back[16] = { 0 };
	int fd AUTO_FD = -1;
	struct error err = ERROR_INIT;
	size_t len = 0;

	scratch_path(state, "f", path);
	assert_int_equal(fs_open(path, O_RDWR | O_CREAT, 0600, &fd, NULL), STATUS_OK);
	assert_int_equal(fs_pwrite(fd, path, "world", 5, 6, NULL), STATUS_OK);
	assert_int_equal(fs_pwrite(fd, path, "hello ", 6, 0, NULL), STATUS_OK);
	assert_int_equal(fs_pread(fd, path, back, sizeof(back), 2, &len, NULL), STATUS_OK);
	assert_int_equal(len, 9);
	assert_string_equal(back, "llo world");
	assert_int_equal(fs_pread(fd, path, back, 4, 11, &len, NULL), STATUS_OK);
	assert_int_equal(len, 0);
	len = 3;
	assert_int_equal(fs_pread(fd, path, back, 4, UINT64_MAX, &len, &err), STATUS_IO);
	assert_int_equal(fs_pwrite(fd, path, "x", 1, INT64_MAX, &err), STATUS_IO);
	assert_int_equal(fs_pread(-1, path, back, 4, 0, &len, &err), STATUS_IO);
	assert_int_equal(len, 3);
}

/* --- names, directories, trees --- */

static void directories_are_made_with_their_mode(void **state)
{
	static const char *const parts[] = { "a", "a/b", "a/b/c" };
	char path[SCRATCH_PATH_MAX];
	mode_t mask = umask(0077);

	assert_int_equal(fs_make_dirs(scratch_path(state, "a//b/c/", path), 0755, NULL), STATUS_OK);
	(void)umask(mask);
	for (size_t i = 0; i < 3; i++) {
		struct stat info;

		assert_int_equal(stat(scratch_path(state, parts[i], path), &info), 0);
		assert_int_equal(info.st_mode & 07777, 0755);
	}
	assert_int_equal(fs_make_dirs(path, 0700, NULL), STATUS_OK);
	assert_int_equal(fs_make_dirs("/", 0700, NULL), STATUS_OK);
	assert_true(fs_is_dir(path));
	assert_int_equal(fs_sync_dir(path, NULL), STATUS_OK);
	assert_int_equal(fs_sync_dir(scratch_path(state, "no", path), NULL), STATUS_NOT_FOUND);
}

static void a_file_in_the_way_is_an_error(void **state)
{
	char path[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;

	put(scratch_path(state, "f", path), "x");
	assert_int_equal(fs_make_dirs(path, 0700, &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EEXIST);
	assert_int_not_equal(fs_make_dirs(scratch_path(state, "f/g", path), 0700, &err), STATUS_OK);
	assert_true(fs_exists(scratch_path(state, "f", path)));
	assert_false(fs_is_dir(path));
}

static void renaming_and_removing(void **state)
{
	char from[SCRATCH_PATH_MAX];
	char to[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;

	put(scratch_path(state, "from", from), "x");
	put(scratch_path(state, "to", to), "y");
	assert_int_equal(fs_rename(from, to, NULL), STATUS_OK);
	assert_false(fs_exists(from));
	check_content(to, "x");
	assert_int_equal(fs_rename(from, to, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, from));
	assert_int_equal(fs_remove(to, NULL), STATUS_OK);
	assert_false(fs_exists(to));
	assert_int_equal(fs_remove(to, NULL), STATUS_OK);
	assert_int_equal(fs_remove(*state, NULL), STATUS_IO);
}

static void trees_go_without_following_links(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char kept[SCRATCH_PATH_MAX];

	scratch_path(state, "outside", path);
	assert_int_equal(fs_make_dirs(path, 0700, NULL), STATUS_OK);
	put(scratch_path(state, "outside/kept", kept), "kept");
	assert_int_equal(fs_make_dirs(scratch_path(state, "tree/a/b/c", path), 0700, NULL),
			 STATUS_OK);
	assert_int_equal(fs_make_dirs(scratch_path(state, "tree/d", path), 0700, NULL), STATUS_OK);
	put(scratch_path(state, "tree/a/b/f", path), "x");
	put(scratch_path(state, "tree/.hidden", path), "x");
	assert_int_equal(symlink("../outside", scratch_path(state, "tree/link", path)), 0);
	assert_int_equal(symlink("nowhere", scratch_path(state, "tree/dangling", path)), 0);
	assert_int_equal(mkfifo(scratch_path(state, "tree/fifo", path), 0600), 0);
	scratch_path(state, "tree", path);
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
	assert_false(fs_exists(path));
	check_content(kept, "kept");
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
	/* A link given as the root goes itself. */
	assert_int_equal(symlink("outside", path), 0);
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
	check_content(kept, "kept");
	assert_int_equal(entries_in(*state), 1);
}

static void wide_and_deep_trees(void **state)
{
	struct buf deep AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[SCRATCH_PATH_MAX];

	assert_int_equal(fs_make_dirs(scratch_path(state, "wide", path), 0700, NULL), STATUS_OK);
	for (int i = 0; i < 1000; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "wide/%d", i);
		assert_int_equal(mkdir(scratch_path(state, name, path), 0700), 0);
	}
	scratch_path(state, "wide", path);
	assert_int_equal(entries_in(path), 1000);
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
	assert_false(fs_exists(path));

	buf_append_str(&deep, scratch_path(state, "deep", path));
	for (int i = 1; i < 64; i++)
		buf_append_str(&deep, "/d");
	assert_int_equal(fs_make_dirs(buf_str(&deep), 0700, NULL), STATUS_OK);
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
	assert_false(fs_exists(path));
	/* One level more is refused, not overflowed. */
	buf_append_str(&deep, "/d");
	assert_int_equal(fs_make_dirs(buf_str(&deep), 0700, NULL), STATUS_OK);
	assert_int_equal(fs_remove_tree(path, &err), STATUS_IO);
	assert_non_null(strstr(err.text, "too deeply"));
	(void)snprintf(path + strlen(path), 8, "/d");
	assert_int_equal(fs_remove_tree(path, NULL), STATUS_OK);
}

static enum status collect_until_stop(void *context, const char *name, struct error *err)
{
	buf_append_str(context, name);
	buf_append_byte(context, ' ');
	if (strcmp(name, "stop") == 0)
		return error_set(err, STATUS_CONFLICT, "stopped");
	return STATUS_OK;
}

static void lists_are_in_byte_order(void **state)
{
	static const char *const names[] = { "b", "a", "B", ".dot", "\xc3\xa4", "a10", "a9" };
	struct buf seen AUTO(buf_release) = BUF_INIT;
	struct error err = ERROR_INIT;
	char path[SCRATCH_PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(scratch_path(state, names[i], path), "");
	assert_int_equal(fs_list(*state, collect_until_stop, &seen, NULL), STATUS_OK);
	assert_string_equal(buf_str(&seen), ".dot B a a10 a9 b \xc3\xa4 ");
	put(scratch_path(state, "stop", path), "");
	buf_clear(&seen);
	assert_int_equal(fs_list(*state, collect_until_stop, &seen, &err), STATUS_CONFLICT);
	assert_string_equal(buf_str(&seen), ".dot B a a10 a9 b stop ");
	assert_string_equal(err.text, "stopped");
	scratch_path(state, "none", path);
	assert_int_equal(fs_list(path, collect_until_stop, &seen, &err), STATUS_NOT_FOUND);
}

static void existence(void **state)
{
	char path[SCRATCH_PATH_MAX];

	assert_true(fs_exists(*state));
	assert_true(fs_is_dir(*state));
	assert_false(fs_exists(scratch_path(state, "none", path)));
	assert_false(fs_is_dir(path));
	assert_int_equal(symlink("none", scratch_path(state, "dangling", path)), 0);
	assert_false(fs_exists(path));
}

static void joining(void **state)
{
	static const char *const joins[][3] = {
		{ "a", "b", "a/b" },       { "a/", "b", "a/b" }, { "a//", "/b", "a/b" },
		{ "/", "b", "/b" },        { "", "b", "b" },     { "//", "b", "/b" },
		{ "/a/b", "c", "/a/b/c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
		struct buf out AUTO(buf_release) = BUF_INIT;

		fs_join(&out, joins[i][0], joins[i][1]);
		assert_string_equal(buf_str(&out), joins[i][2]);
	}
}

static void file_systems_are_examined(void **state)
{
	const char *kind = fs_unfit_kind(*state);

	assert_true(fs_free_bytes(*state) > 0);
	assert_true(fs_free_bytes(*state) < UINT64_MAX);
	assert_true(fs_free_bytes("/none/such") == UINT64_MAX);
	assert_false(fs_is_read_only(*state));
	assert_false(fs_is_read_only("/none/such"));
	assert_null(fs_unfit_kind("/none/such"));
	assert_null(fs_unfit_kind("/proc"));
	if (kind)
		print_message("the scratch directory is on %s\n", kind);
}

/* --- failures of the system --- */

#ifdef PROVENV_TEST_HOOKS

/* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads here */
static void arm(const char *point, const char *action, int passage)
{
	char spec[64];

	(void)snprintf(spec, sizeof(spec), "%s:%s:%d", point, action, passage);
	assert_int_equal(setenv("PROVENV_FAULT", spec, 1), 0);
}

static void disarm(void)
{
	assert_int_equal(unsetenv("PROVENV_FAULT"), 0);
	assert_false(fs_exists("/none/such"));
}
/* NOLINTEND(concurrency-mt-unsafe) */

static const char *const write_points[] = { "fs.open", "fs.write", "fs.sync", "fs.rename" };

/* Fail one step after the other until none fails; each time all is old, or all is new. */
static size_t fail_each_step(void **state, const char *point, const char *action, int code)
{
	char path[SCRATCH_PATH_MAX];
	size_t failures = 0;

	scratch_path(state, "f", path);
	for (int passage = 1; passage < 10; passage++) {
		struct error err = ERROR_INIT;
		enum status status;
		bool synced_only;

		disarm();
		put(path, "old");
		arm(point, action, passage);
		status = fs_write_durable(path, 0600, slice_str("new"), &err);
		disarm();
		if (!status) {
			check_content(path, "new");
			return failures;
		}
		failures++;
		assert_int_equal(err.sys_errno, code);
		/* Only the sync of the directory comes after the rename. */
		synced_only = strcmp(point, "fs.sync") == 0 && passage == 2;
		check_content(path, synced_only ? "new" : "old");
		assert_int_equal(entries_in(*state), 1);
	}
	return SIZE_MAX;
}

static void every_step_of_a_write_can_fail(void **state)
{
	static const size_t steps[] = { 2, 1, 2, 1 };

	for (size_t i = 0; i < sizeof(write_points) / sizeof(write_points[0]); i++) {
		assert_int_equal(fail_each_step(state, write_points[i], "EIO", EIO), steps[i]);
		assert_int_equal(fail_each_step(state, write_points[i], "ENOSPC", ENOSPC),
				 steps[i]);
	}
}

static void interruptions_are_not_failures(void **state)
{
	struct buf content AUTO(buf_release) = BUF_INIT;
	char path[SCRATCH_PATH_MAX];

	scratch_path(state, "f", path);
	for (size_t i = 0; i < 3; i++) {
		arm(write_points[i], "EINTR", 1);
		put(path, "x");
	}
	arm("fs.read", "EINTR", 1);
	assert_int_equal(fs_read_file(path, 10, &content, NULL), STATUS_OK);
	assert_string_equal(buf_str(&content), "x");
	arm("fs.read", "EIO", 1);
	assert_int_equal(fs_read_file(path, 10, &content, NULL), STATUS_IO);
	assert_string_equal(buf_str(&content), "x");
	disarm();
}

static void every_call_passes_its_point(void **state)
{
	char path[SCRATCH_PATH_MAX];
	char other[SCRATCH_PATH_MAX];
	struct error err = ERROR_INIT;

	scratch_path(state, "f", path);
	scratch_path(state, "g", other);
	put(path, "x");
	arm("fs.link", "EACCES", 1);
	assert_int_equal(fs_create_durable(other, 0600, slice_str("y"), &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EACCES);
	arm("fs.unlink", "EACCES", 1);
	assert_int_equal(fs_remove(path, &err), STATUS_IO);
	arm("fs.rename", "EACCES", 1);
	assert_int_equal(fs_rename(path, other, &err), STATUS_IO);
	/* Renamed, but not yet for good. */
	arm("fs.sync", "EIO", 1);
	assert_int_equal(fs_rename(path, other, &err), STATUS_IO);
	assert_int_equal(err.sys_errno, EIO);
	assert_true(fs_exists(other));
	disarm();
	assert_int_equal(fs_rename(other, path, NULL), STATUS_OK);
	arm("fs.mkdir", "EDQUOT", 1);
	assert_int_equal(fs_make_dirs(other, 0700, &err), STATUS_IO);
	assert_string_not_equal(err.hint, "");
	arm("fs.sync", "EIO", 1);
	assert_int_equal(fs_sync_dir(*state, &err), STATUS_IO);
	arm("fs.unlink", "EACCES", 1);
	assert_int_equal(fs_remove_tree(*state, &err), STATUS_IO);
	disarm();
	check_content(path, "x");
	assert_int_equal(entries_in(*state), 1);
}

static void a_crash_leaves_all_old_or_all_new(void **state)
{
	char path[SCRATCH_PATH_MAX];
	int crashes = 0;

	scratch_path(state, "f", path);
	for (size_t i = 0; i < sizeof(write_points) / sizeof(write_points[0]); i++) {
		for (int passage = 1; passage <= 2; passage++) {
			int result = 0;
			pid_t child;

			put(path, "old");
			child = fork();
			assert_true(child >= 0);
			if (child == 0) {
				arm(write_points[i], "crash", passage);
				_exit(fs_write_durable(path, 0600, slice_str("new"), NULL) ? 1 : 0);
			}
			assert_int_equal(waitpid(child, &result, 0), child);
			crashes += WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL;
			check_content(path, WIFEXITED(result) || (i == 2 && passage == 2) ? "new"
											  : "old");
		}
	}
	assert_int_equal(crashes, 6);
}

/* What fs_write_durable() has open is locked, so that what a crash leaves of it is known. */
static void a_crash_leaves_a_stale_file(void **state)
{
	char path[SCRATCH_PATH_MAX];
	size_t count = 99;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		(void)setenv("PROVENV_FAULT", "fs.rename:crash", 1);
		(void)fs_write_durable(scratch_path(state, "file", path), 0600, slice_str("x"),
				       NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(fs_remove_stale(*state, false, &count, NULL), STATUS_OK);
	assert_int_equal(count, 1);
}

#endif

/* Temporary files that a crash left go; one that is being written, and other files, stay. */
static void stale_temporary_files_are_removed(void **state)
{
	static const char *const names[] = { ".a.key.0123456789abcdef.tmp",
					     ".a.fedcba9876543210.tmp",
					     ".busy.0000000000000000.tmp",
					     ".a.0123456789abcde.tmp", /* a digit short */
					     ".a.0123456789abcdeX.tmp",
					     "a.0123456789abcdef.tmp",
					     ".0123456789abcdef.tmp",
					     ".a.0123456789abcdef.tmp.old",
					     "plain" };
	enum { STALE = 2, BUSY = 2, NAMES = sizeof(names) / sizeof(names[0]) };
	char path[SCRATCH_PATH_MAX];
	size_t count = 99;
	int busy AUTO_FD = -1;

	for (size_t i = 0; i < NAMES; i++) {
		int fd = open(scratch_path(state, names[i], path), O_WRONLY | O_CREAT | O_CLOEXEC,
			      0600);

		assert_true(fd >= 0);
		if (i == BUSY)
			busy = fd;
		else
			assert_int_equal(close(fd), 0);
		assert_int_equal(fs_is_staged(names[i]), i <= BUSY);
	}
	assert_int_equal(flock(busy, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(fs_remove_stale(*state, true, &count, NULL), STATUS_OK);
	assert_int_equal(count, STALE);
	assert_true(fs_exists(scratch_path(state, names[0], path)));
	assert_int_equal(fs_remove_stale(*state, false, &count, NULL), STATUS_OK);
	assert_int_equal(count, STALE);
	for (size_t i = 0; i < NAMES; i++)
		assert_int_equal(fs_exists(scratch_path(state, names[i], path)), i >= STALE);
	assert_int_equal(fs_remove_stale(*state, false, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(fs_remove_stale("/nonexistent", false, &count, NULL), STATUS_OK);
	assert_int_equal(count, 0);
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH(reads_whole_files),
		SCRATCH(stale_temporary_files_are_removed),
		SCRATCH(refuses_what_is_too_large),
		SCRATCH(files_that_lie_about_their_size_are_bounded),
		SCRATCH(absence_is_told_apart),
		SCRATCH(only_regular_files_are_read),
		SCRATCH(reading_follows_links),
		SCRATCH(pipes_are_read_to_their_end),
		SCRATCH(endless_input_is_bounded),
		SCRATCH(writes_and_replaces),
		SCRATCH(the_mode_is_exact),
		SCRATCH(relative_paths_and_long_names_work),
		SCRATCH(links_are_replaced_not_followed),
		SCRATCH(impossible_destinations_are_refused),
		SCRATCH(a_lost_path_is_no_missing_file),
		SCRATCH(create_never_overwrites),
		SCRATCH(descriptors_close_on_exec),
		SCRATCH(positioned_reads_and_writes),
		SCRATCH(directories_are_made_with_their_mode),
		SCRATCH(a_file_in_the_way_is_an_error),
		SCRATCH(renaming_and_removing),
		SCRATCH(trees_go_without_following_links),
		SCRATCH(wide_and_deep_trees),
		SCRATCH(lists_are_in_byte_order),
		SCRATCH(existence),
		SCRATCH(joining),
		SCRATCH(file_systems_are_examined),
#ifdef PROVENV_TEST_HOOKS
		SCRATCH(every_step_of_a_write_can_fail),
		SCRATCH(interruptions_are_not_failures),
		SCRATCH(every_call_passes_its_point),
		SCRATCH(a_crash_leaves_all_old_or_all_new),
		SCRATCH(a_crash_leaves_a_stale_file),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
