/*
 * Trace: one JSON object per line, each written by one write(2), so that lines of several processes
 * never mix. State: the descriptor, opened once at first use and kept until the process ends.
 *
 * Failures are silent: a trace that cannot be written must never change what the program does.
 */
#include "base/trace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include "base/banned.h"

static pthread_once_t trace_once = PTHREAD_ONCE_INIT;
static int trace_fd = -1;

static void trace_open(void)
{
	const char *target = secure_getenv("PROVENV_TRACE");

	if (!target)
		return;
	if (strcmp(target, "2") == 0)
		trace_fd = STDERR_FILENO;
	else if (target[0] == '/')
		/* O_NONBLOCK: a FIFO without a reader must not stop the program. */
		trace_fd = open(target,
				O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
				0600);
}

bool trace_enabled(void)
{
	(void)pthread_once(&trace_once, trace_open);
	return trace_fd >= 0;
}

static void write_line(const char *event, uint64_t duration_us)
{
	struct buf line AUTO(buf_release) = BUF_INIT;
	struct json json;

	jsonw_init(&json, &line);
	jsonw_object(&json);
	jsonw_pair_time(&json, "time", clock_now_ms());
	jsonw_pair_uint(&json, "pid", (uint64_t)getpid());
	jsonw_pair_string(&json, "event", event);
	jsonw_pair_uint(&json, "us", duration_us);
	jsonw_end(&json);
	buf_append_byte(&line, '\n');
	if (!buf_status(&line, NULL) && write(trace_fd, line.data, line.len) < 0)
		return; /* see above */
}

uint64_t trace_begin(void)
{
	return trace_enabled() ? clock_monotonic_ns() : 0;
}

void trace_end(const char *event, uint64_t begin)
{
	if (trace_enabled())
		write_line(event, (clock_monotonic_ns() - begin) / 1000);
}
