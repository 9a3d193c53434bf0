/*
 * peer-git, peer-etcd: the same change, signed and durable, in what people use instead.
 *
 * git: a commit of one changed line in a repository of its own, signed with an ssh key. By itself
 * git syncs no loose object, so that the commit can be lost with the power: a second line has it
 * sync everything. etcd: a put by etcdctl into a single node on this machine, which syncs its log
 * and signs nothing. A peer that is not installed is said and left out.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "bench.h"
#include "commands.h"
#include "log_maker.h"
#include "report.h"

#include "base/banned.h"

enum {
	URL_MAX = 64,
	START_TRIES = 100, /* of a tenth of a second */
};

/* What a line measures and against what; the row says it of all its lines together. */
static struct measure *peer_measure(struct bench *bench, const struct row *row, const char *label,
				    const char *what, const char *limit, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%s", label);

	if (measure) {
		measure->what = what;
		measure->limit = limit;
	}
	return measure;
}

/* A store, and a command of ours on it that sets a variable. */
static enum status ours_set(struct bench *bench, const char *name, struct buf *path,
			    struct template *ret, struct error *err)
{
	enum status status = need_program(bench, err);

	if (!status)
		status = make_store(bench, name, path, err);
	*ret = (struct template){
		.argv = { bench->program, "--store", buf_str(path), "set", NULL },
		.varying = 4,
		.before = "GREETING=hello-",
		.after = "",
	};
	return status;
}

static struct template ours_get(const struct bench *bench, const struct buf *path)
{
	return (struct template){
		.argv = { bench->program, "--store", buf_str(path), "get", "GREETING", NULL },
	};
}

static const char what_set[] = "provenv set, a whole process";
static const char what_get[] = "provenv get, a whole process";

/* --- git -------------------------------------------------------------------------------------- */

/* A repository with one file. */
struct git {
	struct buf dir;
	struct buf file;
};

static void git_release(struct git *git)
{
	buf_release(&git->dir);
	buf_release(&git->file);
}

/* The file that is committed, with another line in it. */
static enum status change_line(void *context, unsigned number, struct error *err)
{
	const struct git *git = context;
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO_FD int fd = -1;
	enum status status;

	buf_printf(&text, "GREETING=hello-%u\n", number);
	status = fs_open(buf_str(&git->file), O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, err);
	if (status)
		return status;
	return fs_pwrite(fd, buf_str(&git->file), text.data, text.len, 0, err);
}

static enum status make_repository(const struct bench *bench, struct git *git, struct error *err)
{
	AUTO(buf_release) struct buf key = BUF_INIT;
	AUTO(buf_release) struct buf public_key = BUF_INIT;
	const char *dir;
	enum status status;

	buf_printf(&git->dir, "%s/repository", bench->dir);
	dir = buf_str(&git->dir);
	buf_printf(&git->file, "%s/variables", dir);
	buf_printf(&key, "%s.key", dir);
	buf_printf(&public_key, "%s.key.pub", dir);
	status = fs_make_dirs(dir, 0700, err);
	if (!status)
		status = change_line(git, 0, err);
	{
		const char *const commands[][9] = {
			{ "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", buf_str(&key) },
			{ "git", "init", "-q", dir },
			{ "git", "-C", dir, "config", "gpg.format", "ssh" },
			{ "git", "-C", dir, "config", "user.signingkey", buf_str(&public_key) },
			{ "git", "-C", dir, "config", "user.name", "bench" },
			{ "git", "-C", dir, "config", "user.email", "bench@localhost" },
			{ "git", "-C", dir, "config", "gc.auto", "0" },
			{ "git", "-C", dir, "add", "variables" },
		};

		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && !status; i++)
			status = spawn(commands[i], err);
	}
	return status;
}

static enum status measure_commits(struct bench *bench, struct measure *measure,
				   struct template *ours, struct git *git, struct error *err)
{
	struct template theirs = {
		.argv = { "git", "-C", buf_str(&git->dir), "commit", "-q", "-S", "-a", "-m", NULL },
		.varying = 8,
		.before = "set ",
		.after = "",
		.prepare = change_line,
		.context = git,
	};

	return measure ? alternate(bench, ours, &theirs, measure, err) : STATUS_NO_MEMORY;
}

static enum status measure_show(struct bench *bench, struct measure *measure,
				const struct buf *path, struct git *git, struct error *err)
{
	struct template ours = ours_get(bench, path);
	struct template theirs = {
		.argv = { "git", "-C", buf_str(&git->dir), "show", "HEAD:variables", NULL },
	};

	return measure ? alternate(bench, &ours, &theirs, measure, err) : STATUS_NO_MEMORY;
}

enum status row_peer_git(struct bench *bench, const struct row *row, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(git_release) struct git git = { .dir = BUF_INIT };
	struct template ours;
	enum status status;

	if (!installed(bench, row, "git") || !installed(bench, row, "ssh-keygen"))
		return STATUS_OK;
	status = ours_set(bench, "peer-git", &path, &ours, err);
	if (!status)
		status = make_repository(bench, &git, err);
	if (!status)
		status = measure_commits(
			bench,
			peer_measure(bench, row, "set", what_set,
				     "git commit -S with an ssh key, one changed line; git's own "
				     "settings, which sync none of it",
				     err),
			&ours, &git, err);
	if (!status)
		status = spawn((const char *const[]){ "git", "-C", buf_str(&git.dir), "config",
						      "core.fsync", "all", NULL },
			       err);
	if (!status)
		status = measure_commits(
			bench,
			peer_measure(bench, row, "set, git syncing", what_set,
				     "the same, with core.fsync=all: synced before it returns",
				     err),
			&ours, &git, err);
	if (!status)
		status = measure_show(bench,
				      peer_measure(bench, row, "get", what_get,
						   "git show HEAD:FILE, a whole process", err),
				      &path, &git, err);
	return status;
}

/* --- etcd ------------------------------------------------------------------------------------- */

struct etcd {
	pid_t pid; /* 0: not started */
	char clients[URL_MAX];
	char peers[URL_MAX];
};

/* A port of this machine that was free just now. */
static enum status free_url(char ret[URL_MAX], struct error *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return error_set(err, STATUS_IO, "there is no free port on this machine");
	(void)snprintf(ret, URL_MAX, "http://127.0.0.1:%u", ntohs(address.sin_port));
	return STATUS_OK;
}

/* In the child: it ends with us. */
static void become_etcd(const struct etcd *etcd, const char *dir, pid_t parent)
{
	AUTO(buf_release) struct buf cluster = BUF_INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	buf_printf(&cluster, "default=%s", etcd->peers);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || null < 0 ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(1);
	(void)execlp("etcd", "etcd", "--data-dir", dir, "--listen-client-urls", etcd->clients,
		     "--advertise-client-urls", etcd->clients, "--listen-peer-urls", etcd->peers,
		     "--initial-advertise-peer-urls", etcd->peers, "--initial-cluster",
		     buf_str(&cluster), (char *)NULL);
	_exit(1);
}

static void stop_etcd(struct etcd *etcd)
{
	if (etcd->pid <= 0)
		return;
	(void)kill(etcd->pid, SIGKILL);
	(void)waitpid(etcd->pid, NULL, 0);
}

static enum status start_etcd(const char *dir, struct etcd *etcd, struct error *err)
{
	const struct timespec tenth = { .tv_nsec = 100000000 };
	pid_t parent = getpid();
	enum status status = free_url(etcd->clients, err);

	if (!status)
		status = free_url(etcd->peers, err);
	if (status)
		return status;
	etcd->pid = fork();
	if (etcd->pid == 0)
		become_etcd(etcd, dir, parent);
	if (etcd->pid < 0)
		return error_set(err, STATUS_IO, "cannot start etcd");
	for (int i = 0; i < START_TRIES; i++) {
		status = spawn((const char *const[]){ "etcdctl", "--endpoints", etcd->clients,
						      "put", "ready", "1", NULL },
			       err);
		if (!status)
			return STATUS_OK;
		(void)nanosleep(&tenth, NULL);
	}
	return error_set(err, STATUS_IO, "etcd does not come up");
}

static enum status measure_etcd(struct bench *bench, const struct row *row, const struct etcd *etcd,
				const struct buf *path, struct template *set, struct error *err)
{
	struct measure *writing = peer_measure(bench, row, "set", what_set,
					       "etcdctl put, a whole process; etcd syncs its log, "
					       "and signs nothing",
					       err);
	struct measure *reading =
		peer_measure(bench, row, "get", what_get, "etcdctl get, a whole process", err);
	struct template get = ours_get(bench, path);
	struct template theirs_put = {
		.argv = { "etcdctl", "--endpoints", etcd->clients, "put", "GREETING", NULL },
		.varying = 5,
		.before = "hello-",
		.after = "",
	};
	struct template theirs_get = {
		.argv = { "etcdctl", "--endpoints", etcd->clients, "get", "GREETING", NULL },
	};
	enum status status;

	if (!writing || !reading)
		return STATUS_NO_MEMORY;
	status = alternate(bench, set, &theirs_put, writing, err);
	return status ? status : alternate(bench, &get, &theirs_get, reading, err);
}

enum status row_peer_etcd(struct bench *bench, const struct row *row, struct error *err)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf data = BUF_INIT;
	AUTO(stop_etcd) struct etcd etcd = { .pid = 0 };
	struct template set;
	enum status status;

	if (!installed(bench, row, "etcd") || !installed(bench, row, "etcdctl"))
		return STATUS_OK;
	/* etcdctl 3.3 still spoke another protocol by default.
	 * NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setenv("ETCDCTL_API", "3", 1))
		return error_no_memory(err);
	buf_printf(&data, "%s/etcd", bench->dir);
	status = ours_set(bench, "peer-etcd", &path, &set, err);
	if (!status)
		status = start_etcd(buf_str(&data), &etcd, err);
	return status ? status : measure_etcd(bench, row, &etcd, &path, &set, err);
}
