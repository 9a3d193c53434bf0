/*
 * REF: parsing, and finding the event that is meant.
 *
 * Invariants: an answer is always the last event of a complete command; every event on the way was
 * compared with the tree, so that a flipped byte is an error and never a wrong moment.
 * This file knows neither tags nor targets, which need the state.
 */
#include "store/ref.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evlog.h"

#include "base/banned.h"

enum {
	SHOWN_BYTES_MAX = 64, /* of a word that is no REF */
};

/* --- parsing ---------------------------------------------------------------------------------- */

static bool starts_with(struct slice text, const char *prefix)
{
	size_t len = strlen(prefix);

	return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static struct slice without(struct slice text, size_t prefix_bytes)
{
	return slice_of(text.data + prefix_bytes, text.len - prefix_bytes);
}

/* What follows "HEAD". As for git, a bare tilde counts one. */
static bool parse_back(struct slice text, uint64_t *ret)
{
	if (text.len == 0) {
		*ret = 0;
		return true;
	}
	if (text.data[0] != '~')
		return false;
	if (text.len == 1) {
		*ret = 1;
		return true;
	}
	return text_to_u64(without(text, 1), ret);
}

/* What follows "@". A duration that reaches back beyond 1970 means its beginning. */
static bool parse_time(struct slice text, uint64_t now_ms, uint64_t *ret)
{
	uint64_t duration_ms;

	if (text.len == 0 || text.data[0] != '-')
		return text_to_time_ms(text, ret);
	if (!text_to_duration_ms(without(text, 1), &duration_ms))
		return false;
	*ret = duration_ms < now_ms ? now_ms - duration_ms : 0;
	return true;
}

static enum status not_a_ref(struct slice text, struct error *err)
{
	struct buf shown AUTO(buf_release) = BUF_INIT;
	bool cut = text.len > SHOWN_BYTES_MAX;

	text_append_printable(&shown, slice_of(text.data, cut ? SHOWN_BYTES_MAX : text.len));
	(void)error_set(err, STATUS_USAGE, "%s%s names no moment of the log",
			text.len ? buf_str(&shown) : "an empty word", cut ? "…" : "");
	return error_hint(err, STATUS_USAGE,
			  "use an event number, HEAD, HEAD~3 (three commands back), "
			  "@2026-01-02, @2026-01-02T03:04:05Z or @-10m");
}

enum status ref_parse(struct slice text, uint64_t now_ms, struct ref *ret, struct error *err)
{
	struct ref ref = { .kind = REF_SEQ };
	bool good;

	if (starts_with(text, "HEAD")) {
		ref.kind = REF_HEAD;
		good = parse_back(without(text, strlen("HEAD")), &ref.number);
	} else if (starts_with(text, "@")) {
		ref.kind = REF_TIME;
		good = parse_time(without(text, 1), now_ms, &ref.number);
	} else {
		good = text_to_u64(text, &ref.number);
	}
	if (!good)
		return not_a_ref(text, err);
	*ret = ref;
	return STATUS_OK;
}

/* --- commands --------------------------------------------------------------------------------- */

/* The events of one command. */
struct range {
	uint64_t first;
	uint64_t last;
};

static void free_reader(struct event_reader **reader)
{
	event_reader_free(*reader);
}

/* The envelope of event @seq. It lives as event_reader_get() says. */
static enum status read_envelope(struct event_reader *reader, uint64_t seq,
				 const struct event **ret, struct error *err)
{
	const struct read_event *read;
	enum status status = event_reader_get(reader, seq, &read, err);

	if (status)
		return status;
	*ret = &read->decoded.event;
	if ((*ret)->seq == seq)
		return STATUS_OK;
	return error_set(err, STATUS_CORRUPT, "event %" PRIu64 ": it says it is event %" PRIu64,
			 seq, (*ret)->seq);
}

/*
 * The command that @event, number @seq, belongs to. Its last event is read too: that the two agree
 * shows that the command is whole.
 */
static enum status command_range(struct event_reader *reader, uint64_t seq, struct range *ret,
				 struct error *err)
{
	uint64_t size = event_reader_snapshot(reader)->size;
	uint8_t command_id[COMMAND_ID_BYTES];
	const struct event *event;
	struct range range = { 0, 0 };
	uint32_t parts;
	enum status status = read_envelope(reader, seq, &event, err);

	if (status)
		return status;
	parts = event->parts;
	memcpy(command_id, event->command_id, COMMAND_ID_BYTES);
	if (event->part > seq || parts - event->part > size - seq)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 " is part %" PRIu32 " of %" PRIu32
				 ", but the log holds only events 1..%" PRIu64,
				 seq, event->part, parts, size);
	range.first = seq - event->part + 1;
	range.last = range.first + parts - 1;
	status = read_envelope(reader, range.last, &event, err);
	if (status)
		return status;
	if (event->part != parts || event->parts != parts ||
	    memcmp(event->command_id, command_id, COMMAND_ID_BYTES) != 0)
		return error_set(err, STATUS_CORRUPT,
				 "event %" PRIu64 " does not end the command of event %" PRIu64,
				 range.last, seq);
	*ret = range;
	return STATUS_OK;
}

enum status ref_command_range(struct evlog_snapshot *snapshot, uint64_t seq, uint64_t *ret_first,
			      uint64_t *ret_last, struct error *err)
{
	struct event_reader *reader AUTO(free_reader) = NULL;
	struct range range = { 0, 0 };
	enum status status = event_reader_new(snapshot, &reader, err);

	if (!status)
		status = command_range(reader, seq, &range, err);
	if (status)
		return status;
	*ret_first = range.first;
	*ret_last = range.last;
	return STATUS_OK;
}

/* --- finding ---------------------------------------------------------------------------------- */

static enum status check_seq(uint64_t size, uint64_t seq, struct error *err)
{
	if (seq >= 1 && seq <= size)
		return STATUS_OK;
	(void)error_set(err, STATUS_NOT_FOUND,
			"no event %" PRIu64 ": the log holds events 1..%" PRIu64, seq, size);
	return error_hint(err, STATUS_NOT_FOUND, "the nearest is event %" PRIu64,
			  seq ? size : UINT64_C(1));
}

/* The last event of the command @back commands before the last one. */
static enum status find_back(struct event_reader *reader, uint64_t size, uint64_t back,
			     uint64_t *ret, struct error *err)
{
	uint64_t seq = size;

	for (uint64_t i = 0; i < back; i++) {
		const struct event *event;
		enum status status = read_envelope(reader, seq, &event, err);

		if (status)
			return status;
		if (event->part > seq || event->part != event->parts)
			return error_set(err, STATUS_CORRUPT,
					 "event %" PRIu64 " should end a command, but is part "
					 "%" PRIu32 " of %" PRIu32,
					 seq, event->part, event->parts);
		if (event->part == seq) {
			(void)error_set(err, STATUS_NOT_FOUND,
					"no HEAD~%" PRIu64 ": the log holds %" PRIu64 " command%s",
					back, i + 1, i ? "s" : "");
			return error_hint(err, STATUS_NOT_FOUND,
					  "the nearest is HEAD~%" PRIu64 ", event %" PRIu64, i,
					  seq);
		}
		seq -= event->part;
	}
	*ret = seq;
	return STATUS_OK;
}

/* The last event of a time of at most @time_ms. Times never decrease along the log. */
static enum status find_time(struct event_reader *reader, uint64_t size, uint64_t time_ms,
			     uint64_t *ret, struct error *err)
{
	const struct event *event;
	uint64_t low = 1;         /* the answer, if there is one, is at least this */
	uint64_t high = size + 1; /* and below this */
	enum status status = read_envelope(reader, 1, &event, err);

	if (status)
		return status;
	if (event->time_ms > time_ms) {
		char wanted[32];
		char start[32];

		text_from_time_ms(time_ms, wanted);
		text_from_time_ms(event->time_ms, start);
		(void)error_set(err, STATUS_NOT_FOUND,
				"no event at or before %s: the log starts at %s", wanted, start);
		return error_hint(err, STATUS_NOT_FOUND, "the nearest is event 1, at %s", start);
	}
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		status = read_envelope(reader, middle, &event, err);
		if (status)
			return status;
		if (event->time_ms <= time_ms)
			low = middle;
		else
			high = middle;
	}
	*ret = low;
	return STATUS_OK;
}

static enum status find(struct event_reader *reader, const struct ref *ref, uint64_t *ret,
			struct error *err)
{
	uint64_t size = event_reader_snapshot(reader)->size;

	if (size == 0)
		return error_set(err, STATUS_NOT_FOUND, "the log holds no event yet");
	switch (ref->kind) {
	case REF_HEAD:
		return find_back(reader, size, ref->number, ret, err);
	case REF_TIME:
		return find_time(reader, size, ref->number, ret, err);
	case REF_SEQ:
		break;
	}
	*ret = ref->number;
	return check_seq(size, ref->number, err);
}

enum status ref_resolve(struct evlog_snapshot *snapshot, const struct ref *ref,
			struct ref_point *ret, struct error *err)
{
	struct event_reader *reader AUTO(free_reader) = NULL;
	const struct event *event;
	struct range range = { 0, 0 };
	uint64_t seq = 0;
	enum status status = event_reader_new(snapshot, &reader, err);

	if (!status)
		status = find(reader, ref, &seq, err);
	if (!status)
		status = command_range(reader, seq, &range, err);
	if (!status)
		status = read_envelope(reader, range.last, &event, err);
	if (status)
		return status;
	*ret = (struct ref_point){
		.seq = range.last,
		.time_ms = event->time_ms,
		.moved = range.last != seq,
	};
	return STATUS_OK;
}
