/*
 * Named fault points. State: which fault is armed and how often its point was passed.
 *
 * The environment is read at each passage, so that a test may arm one fault after another in one
 * process; this costs nothing where it matters, since release builds have no fault points.
 * Must not use fs: its calls pass fault points themselves.
 */
#include "base/fault.h"

#ifdef PROVENV_TEST_HOOKS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/text.h"

#include "base/banned.h"

enum {
	SPEC_BYTES_MAX = 128,
	ACTION_CRASH = -1,
	ACTION_STOP = -2,
};

struct fault_spec {
	struct slice name;
	int action; /* an errno, or one of ACTION_… */
	uint64_t passage;
};

static const struct {
	const char *name;
	int action;
} actions[] = {
	{ "crash", ACTION_CRASH }, { "stop", ACTION_STOP }, { "EIO", EIO },
	{ "ENOSPC", ENOSPC },      { "EINTR", EINTR },      { "EACCES", EACCES },
	{ "EDQUOT", EDQUOT },      { "ENOMEM", ENOMEM },
};

static pthread_mutex_t armed_lock = PTHREAD_MUTEX_INITIALIZER;
static char armed_text[SPEC_BYTES_MAX];
static uint64_t armed_passages;

/* Split off what stands before the next colon. */
static struct slice next_field(struct slice *rest)
{
	const uint8_t *colon = rest->len ? memchr(rest->data, ':', rest->len) : NULL;
	struct slice field = *rest;

	if (!colon) {
		*rest = slice_of(rest->data + rest->len, 0);
		return field;
	}
	field.len = (size_t)(colon - rest->data);
	*rest = slice_of(colon + 1, rest->len - field.len - 1);
	return field;
}

static bool parse_spec(const char *text, struct fault_spec *ret)
{
	struct slice rest = slice_str(text);
	struct slice name = next_field(&rest);
	struct slice action = next_field(&rest);
	uint64_t passage = 1;

	if (name.len == 0 || (rest.len && !text_to_u64(rest, &passage)))
		return false;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (!slice_equal_str(action, actions[i].name))
			continue;
		*ret = (struct fault_spec){ .name = name,
					    .action = actions[i].action,
					    .passage = passage };
		return true;
	}
	return false;
}

/* Count this passage of the armed point; true when it is the one meant. Counting starts anew
 * whenever the text in the environment has changed. */
static bool count_passage(const char *text, uint64_t passage, bool here)
{
	bool fires = false;

	(void)pthread_mutex_lock(&armed_lock);
	if (strcmp(armed_text, text) != 0) {
		memcpy(armed_text, text, strlen(text) + 1);
		armed_passages = 0;
	}
	if (here)
		fires = ++armed_passages == passage;
	(void)pthread_mutex_unlock(&armed_lock);
	return fires;
}

static void log_firing(const char *name)
{
	const char *path = secure_getenv("PROVENV_FAULT_LOG");
	struct buf line AUTO(buf_release) = BUF_INIT;
	int fd AUTO_FD = -1;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	buf_append_str(&line, name);
	buf_append_byte(&line, '\n');
	/* A driver that finds no line in its file knows that the fault is unproven. */
	if (fd >= 0 && write(fd, line.data, line.len) < 0)
		return;
}

int fault_point(const char *name)
{
	const char *text = secure_getenv("PROVENV_FAULT");
	struct fault_spec spec;

	if (!text || strlen(text) >= SPEC_BYTES_MAX || !parse_spec(text, &spec)) {
		(void)count_passage("", 0, false);
		return 0;
	}
	if (!count_passage(text, spec.passage, slice_equal_str(spec.name, name)))
		return 0;
	log_firing(name);
	if (spec.action > 0)
		return spec.action;
	(void)kill(getpid(), spec.action == ACTION_CRASH ? SIGKILL : SIGSTOP);
	return 0;
}

#endif
