/*
 * The process around a command; see process.h.
 *
 * Nothing here knows a command. The signal handlers use write() and _exit() alone and touch no
 * data.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/secret.h"
#include "cmds/process.h"

#include "base/banned.h"

enum {
	EXIT_CORRUPT =
		9, /* what status_exit_code(STATUS_CORRUPT) says; a handler may not call it */
	ANSWER_BYTES_MAX = 256,
};

/*
 * A descriptor that the caller closed is opened the wrong way round, so that using it fails as it
 * would have, while the number is taken.
 */
static enum status take_descriptor(int fd, int flags, struct error *err)
{
	int opened;

	if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
		return STATUS_OK;
	opened = open("/dev/null", flags); /* the lowest free one, which is fd */
	if (opened < 0)
		return error_errno(err, STATUS_IO, errno, "cannot open /dev/null");
	return STATUS_OK;
}

enum status process_prepare(struct error *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	enum status status = take_descriptor(STDIN_FILENO, O_WRONLY, err);

	if (!status)
		status = take_descriptor(STDOUT_FILENO, O_RDONLY, err);
	if (!status)
		status = take_descriptor(STDERR_FILENO, O_RDONLY, err);
	if (!status)
		status = secret_init_process(err);
	if (!status && (sigaction(SIGPIPE, &ignore, NULL) || sigaction(SIGXFSZ, &ignore, NULL)))
		status = error_errno(err, STATUS_IO, errno, "cannot ignore SIGPIPE and SIGXFSZ");
	return status;
}

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

#ifndef WITH_SANITIZER

static void end_with(const char *message, size_t len)
{
	ssize_t ignored = write(STDERR_FILENO, message, len);

	(void)ignored;
	_exit(EXIT_CORRUPT);
}

static void end_in_words(int signal_number)
{
	static const char message[] = "provenv: stopped: a damaged page of the store was met\n"
				      "  hint: find out which: provenv verify\n";

	(void)signal_number;
	end_with(message, sizeof(message) - 1);
}

static void end_in_json(int signal_number)
{
	static const char message[] =
		"{\"schema\":\"provenv/error/v1\",\"code\":9,\"status\":\"corrupt\","
		"\"message\":\"stopped: a damaged page of the store was met\","
		"\"hint\":\"find out which: provenv verify\"}\n";

	(void)signal_number;
	end_with(message, sizeof(message) - 1);
}

void process_guard(bool json)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGABRT };
	struct sigaction action = { .sa_handler = json ? end_in_json : end_in_words };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigaction(faults[i], &action, NULL);
}

#else

void process_guard(bool json)
{
	(void)json;
}

#endif

int process_write(int fd, struct slice bytes)
{
	size_t done = 0;

	while (done < bytes.len) {
		ssize_t written = write(fd, bytes.data + done, bytes.len - done);

		if (written < 0 && errno != EINTR)
			return errno;
		if (written > 0)
			done += (size_t)written;
	}
	return 0;
}

bool process_is_interactive(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A line without its newline. Byte by byte: what follows is not ours. False at the end of input. */
static bool read_line(char *ret, size_t cap)
{
	size_t len = 0;

	for (;;) {
		char byte;
		ssize_t got = read(STDIN_FILENO, &byte, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		if (byte == '\n')
			break;
		/* What does not fit is read to its end, and is no answer. */
		if (len < cap)
			ret[len] = byte;
		len++;
	}
	if (len >= cap)
		return false;
	ret[len] = '\0';
	return true;
}

bool process_ask(void *context, const char *question, const char *expected)
{
	char answer[ANSWER_BYTES_MAX];

	(void)context;
	if (process_write(STDERR_FILENO, slice_str(question)))
		return false;
	return read_line(answer, sizeof(answer)) && strcmp(answer, expected) == 0;
}

enum status process_read_hidden(const char *question, size_t bytes_max, struct buf *ret,
				struct error *err)
{
	struct termios was, hidden;
	bool hides = tcgetattr(STDIN_FILENO, &was) == 0; /* fails where there is no terminal */
	enum status status;

	if (hides) {
		hidden = was;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		hides = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
		(void)process_write(STDERR_FILENO, slice_str(question));
	}
	status = fs_read_fd(STDIN_FILENO, "standard input", bytes_max, ret, err);
	if (hides) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		(void)process_write(STDERR_FILENO, slice_str("\n"));
	}
	return status;
}
