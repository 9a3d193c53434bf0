/*
 * A growing byte buffer.
 *
 * Invariants: `data` holds `len` bytes followed by one NUL that is not counted, or is NULL when
 * nothing was ever added. Failure sticks: once an allocation failed, further appends do nothing and
 * buf_status() says STATUS_NO_MEMORY; check it once, at the end, before using the content.
 */
#ifndef PROVENV_BASE_BUF_H
#define PROVENV_BASE_BUF_H

#include "base/bytes.h"
#include "base/error.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed;
};

#define BUF_INIT { .data = NULL }

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_append_u32be(struct buf *buf, uint32_t value);
void buf_append_u64be(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Make room for @extra more bytes and return where they start, or NULL; the caller then adds to
 * len. Until the next append or buf_str() no NUL follows what it added. */
uint8_t *buf_reserve(struct buf *buf, size_t extra);

/* Empty the buffer, keeping its memory. Clears a failure. */
void buf_clear(struct buf *buf);

/* Free the memory; the buffer is as BUF_INIT again. Accepts a zeroed buffer. */
void buf_release(struct buf *buf);

/* Overwrite the memory, then free. For buffers that held secrets; growth has wiped what it left. */
void buf_release_wiped(struct buf *buf);

/* The content as a NUL-terminated string, valid until the buffer is touched. "" when empty. */
const char *buf_str(const struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
	return slice_of(buf->data, buf->len);
}

/* STATUS_OK, or STATUS_NO_MEMORY when any append failed. */
enum status buf_status(const struct buf *buf, struct error *err);

#endif
