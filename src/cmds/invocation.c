/*
 * What a running command asks of its invocation: sessions and output; see cmd.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
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
	case REBUILT_UNKEPT:
		buf_append_str(&inv->notes, "the state cannot be kept in state/: built in memory, "
					    "for this command alone\n");
		break;
	case REBUILT_NO:
	case REBUILT_MISSING:
	default:
		break;
	}
}

/* A REF whose event is not plain from its words. */
static void note_ref(struct buf *notes, const struct ref_told *told)
{
	char when[32];

	text_from_time_ms(told->point.time_ms, when);
	text_append_printable(notes, slice_str(told->text));
	buf_printf(notes, " is event %" PRIu64 " of %s%s\n", told->point.seq, when,
		   told->point.moved ? ", the last of its command" : "");
}

/* With --at the pair is the one of then: worth a word where it is not the one of now. */
static void note_pair(struct buf *notes, struct session *session)
{
	struct state_view now = session_view_at(session, session->head);
	struct slice environment;
	struct environment found;

	if (!session->options->at || !session->profile.len || session->options->profile ||
	    state_active_environment(&now, &environment, NULL))
		return;
	if (session->options->environment)
		environment = session->environment;
	if (slice_equal(environment, session->environment) &&
	    state_environment(&now, environment, &found, NULL) == STATUS_OK &&
	    slice_equal(found.profile, session->profile))
		return;
	buf_printf(notes, "active then: " SLICE_FMT "/" SLICE_FMT "\n",
		   SLICE_ARG(session->environment), SLICE_ARG(session->profile));
}

/* A writer learns here that what tells of lost events does not: its own write is safe. */
static void note_evidence(struct invocation *inv, const struct session *session)
{
	const char *note = session->store ? store_evidence_note(session->store) : NULL;

	if (!note || !(inv->command->flags & COMMAND_WRITES))
		return;
	text_append_printable(&inv->notes, slice_str(note));
	buf_append_str(&inv->notes, "; see: provenv doctor\n");
}

void invocation_close(struct invocation *inv, struct session *session)
{
	if (session->projection) {
		note_rebuilt(inv, projection_rebuilt(session->projection));
		if (projection_damaged(session->projection))
			inv->state_damaged = true;
	}
	for (size_t i = 0; i < session->told_count; i++)
		note_ref(&inv->notes, &session->told[i]);
	if (session->projection)
		note_pair(&inv->notes, session);
	note_evidence(inv, session);
	if (session->store)
		(void)store_check_unmoved(session->store, &inv->log_moved);
	/* A word is missing somewhere in what was printed. */
	if (session->arena.failed)
		inv->out.failed = true;
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
