/*
 * peer-git, peer-etcd: the same change, signed and durable, in what people use instead.
 *
 * git: a commit of one changed line in a repository of its own, signed with an ssh key, with git's
 * own settings for what is synced. etcd: a put by etcdctl into a single node on this machine, which
 * syncs its log and signs nothing. A peer that is not installed is said and left out.
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

/* OK and false: it is not there, which the report says. */
static bool present(struct bench *bench, const char *row, const char *program)
{
	if (has_program(program))
		return true;
	buf_printf(&bench->report->notes, "%s: %s is not installed\n", row, program);
	return false;
}

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

/* --- git -------------------------------------------------------------------------------------- */

/* The file that is committed, with another line in it. */
static enum status change_line(void *context, unsigned number, struct error *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	AUTO_FD int fd = -1;
	enum status status;

	buf_printf(&text, "GREETING=hello-%u\n", number);
	status = fs_open(context, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, err);
	return status ? status : fs_pwrite(fd, context, text.data, text.len, 0, err);
}

static enum status make_repository(const char *dir, char *file, struct error *err)
{
	AUTO(buf_release) struct buf key = BUF_INIT;
	AUTO(buf_release) struct buf public_key = BUF_INIT;
	enum status status;

	buf_printf(&key, "%s.key", dir);
	buf_printf(&public_key, "%s.key.pub", dir);
	{
		const char *const commands[][9] = {
			{ "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", buf_str(&key) },
			{ "git", "init", "-q", dir },
			{ "git", "-C", dir, "config", "gpg.format", "ssh" },
			{ "git", "-C", dir, "config", "user.signingkey", buf_str(&public_key) },
			{ "git", "-C", dir, "config", "user.name", "bench" },
			{ "git", "-C", dir, "config", "user.email", "bench@localhost" },
			{ "git", "-C", dir, "config", "gc.auto", "0" },
		};

		status = fs_make_dirs(dir, 0700, err);
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && !status; i++)
			status = spawn(commands[i], err);
	}
	if (!status)
		status = change_line(file, 0, err);
	if (!status)
		status = spawn((const char *const[]){ "git", "-C", dir, "add", "variables", NULL },
			       err);
	return status;
}

enum status row_peer_git(struct bench *bench, const struct row *row, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%s", "");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf repository = BUF_INIT;
	AUTO(buf_release) struct buf file = BUF_INIT;
	struct template ours, theirs;
	enum status status;

	if (!measure)
		return error_no_memory(err);
	if (!present(bench, row->name, "git") || !present(bench, row->name, "ssh-keygen"))
		return STATUS_OK;
	buf_printf(&repository, "%s/repository", bench->dir);
	buf_printf(&file, "%s/variables", buf_str(&repository));
	status = buf_status(&file, err);
	if (!status)
		status = ours_set(bench, "peer-git", &path, &ours, err);
	if (!status)
		status = make_repository(buf_str(&repository), (char *)file.data, err);
	theirs = (struct template){
		.argv = { "git", "-C", buf_str(&repository), "commit", "-q", "-S", "-a", "-m",
			  NULL },
		.varying = 8,
		.before = "set ",
		.after = "",
		.prepare = change_line,
		.context = file.data,
	};
	return status ? status : alternate(bench, &ours, &theirs, measure, err);
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

enum status row_peer_etcd(struct bench *bench, const struct row *row, struct error *err)
{
	struct measure *measure = report_measure(bench->report, row, err, "%s", "");
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf data = BUF_INIT;
	AUTO(stop_etcd) struct etcd etcd = { .pid = 0 };
	struct template ours, theirs;
	enum status status;

	if (!measure)
		return error_no_memory(err);
	if (!present(bench, row->name, "etcd") || !present(bench, row->name, "etcdctl"))
		return STATUS_OK;
	/* Of etcd 3.4 etcdctl, and of others nothing. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setenv("ETCDCTL_API", "3", 1))
		return error_no_memory(err);
	buf_printf(&data, "%s/etcd", bench->dir);
	status = ours_set(bench, "peer-etcd", &path, &ours, err);
	if (!status)
		status = start_etcd(buf_str(&data), &etcd, err);
	theirs = (struct template){
		.argv = { "etcdctl", "--endpoints", etcd.clients, "put", "GREETING", NULL },
		.varying = 5,
		.before = "hello-",
		.after = "",
	};
	return status ? status : alternate(bench, &ours, &theirs, measure, err);
}
