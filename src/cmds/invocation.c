/*
 * What a running command asks of its invocation: sessions and output; see cmd.h.
 */
#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "cmds/cmd.h"
#include "cmds/process.h"
#include "ops/session.h"

#include "base/banned.h"

enum status invocation_open(struct invocation *inv, enum session_need need, struct session *session,
			    struct error *err)
{
	return session_open(&inv->session, need, session, err);
}

/* Why the state was built anew, where it is worth a word. */
static void note_rebuilt(struct invocation *inv, enum projection_rebuilt why)
{
	switch (why) {
	case REBUILT_FOREIGN:
		buf_append_str(&inv->notes, "state was of another log: rebuilt from this one\n");
		break;
	case REBUILT_DAMAGED:
		buf_append_str(&inv->notes, "state was damaged: rebuilt from the log\n");
		break;
	case REBUILT_VERSION:
		if (inv->verbose)
			buf_append_str(&inv->notes, "state was of another version: rebuilt\n");
		break;
	case REBUILT_NO:
	case REBUILT_MISSING:
	default:
		break;
	}
}

void invocation_close(struct invocation *inv, struct session *session)
{
	if (session->projection) {
		note_rebuilt(inv, projection_rebuilt(session->projection));
		if (projection_damaged(session->projection))
			inv->state_damaged = true;
	}
	session_close(session);
}

enum status invocation_flush(struct invocation *inv, struct error *err)
{
	enum status status = buf_status(&inv->out, err);
	int failed;

	if (status || inv->out.len == 0)
		return status;
	inv->flushed = true;
	failed = process_write(STDOUT_FILENO, buf_slice(&inv->out));
	buf_release_wiped(&inv->out);
	if (failed == EPIPE) {
		inv->reader_gone = true;
		return error_set(err, STATUS_INTERRUPTED, "nobody reads standard output any more");
	}
	if (failed)
		return error_errno(err, STATUS_IO, failed, "cannot write standard output");
	return STATUS_OK;
}

void invocation_release(struct invocation *inv)
{
	buf_release_wiped(&inv->out);
	buf_release(&inv->notes);
}
