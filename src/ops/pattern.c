/*
 * Patterns on PCRE2; see pattern.h.
 *
 * Patterns come from the log, hence from anybody who may write to it: every match runs under limits
 * of steps and memory, and never as machine code, which knows no limit of memory.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "ops/pattern.h"

#include <pcre2.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

#include "base/banned.h"

enum {
	/*
	 * Work for one pattern on one value. A choice repeated for every byte of the longest value,
	 * ((a)(b)?)*, just fits: 24 MiB (measured). A hopeless pattern gives up within 0.1 s.
	 */
	MATCH_STEPS_MAX = 500 * 1000,
	MATCH_HEAP_KIB_MAX = 32 * 1024,
};

static void match_data_cleanup(pcre2_match_data **data)
{
	pcre2_match_data_free(*data);
}

static void match_context_cleanup(pcre2_match_context **context)
{
	pcre2_match_context_free(*context);
}

/* PCRE2 wants an address even for no bytes. */
static PCRE2_SPTR bytes_of(struct slice text)
{
	return text.len ? text.data : (PCRE2_SPTR) "";
}

/* PCRE2's words for one of its codes. */
static void append_reason(struct buf *out, int code)
{
	PCRE2_UCHAR reason[256];

	if (pcre2_get_error_message(code, reason, sizeof(reason)) == PCRE2_ERROR_BADDATA)
		buf_printf(out, "PCRE2 error %d", code);
	else
		text_append_printable(out, slice_str((const char *)reason));
}

enum status pattern_compile(struct pattern *pattern, struct slice source, struct error *err)
{
	const uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
				 PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
	AUTO(buf_release) struct buf why = BUF_INIT;
	PCRE2_SIZE offset;
	pcre2_code *code;
	int error;

	if (source.len > PATTERN_BYTES_MAX)
		return error_set(err, STATUS_USAGE, "has %zu bytes, of at most %d", source.len,
				 PATTERN_BYTES_MAX);
	code = pcre2_compile(bytes_of(source), source.len, options, &error, &offset, NULL);
	if (code) {
		pattern->code = code;
		return STATUS_OK;
	}
	if (error == PCRE2_ERROR_HEAP_FAILED)
		return error_no_memory(err);
	append_reason(&why, error);
	return error_set(err, STATUS_USAGE, "%s at byte %zu", buf_str(&why), offset + 1);
}

/* The result of pcre2_match() within our limits. */
static int match_bounded(const pcre2_code *code, struct slice value)
{
	AUTO(match_data_cleanup) pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	AUTO(match_context_cleanup)
	pcre2_match_context *context = pcre2_match_context_create(NULL);

	if (!data || !context)
		return PCRE2_ERROR_NOMEMORY;
	(void)pcre2_set_match_limit(context, MATCH_STEPS_MAX);
	(void)pcre2_set_depth_limit(context, MATCH_STEPS_MAX);
	(void)pcre2_set_heap_limit(context, MATCH_HEAP_KIB_MAX);
	return pcre2_match(code, bytes_of(value), value.len, 0, 0, data, context);
}

enum status pattern_match(const struct pattern *pattern, struct slice value, struct error *err)
{
	int result = match_bounded(pattern->code, value);
	AUTO(buf_release) struct buf why = BUF_INIT;

	if (result >= 0)
		return STATUS_OK;
	switch (result) {
	case PCRE2_ERROR_NOMATCH:
		return error_set(err, STATUS_NEGATIVE, "does not match");
	case PCRE2_ERROR_NOMEMORY:
		return error_no_memory(err);
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
		return error_set(err, STATUS_INVALID, "the pattern took too much work");
	default:
		append_reason(&why, result);
		return error_set(err, STATUS_INVALID, "%s", buf_str(&why));
	}
}

void pattern_release(struct pattern *pattern)
{
	pcre2_code_free(pattern->code);
	pattern->code = NULL;
}
