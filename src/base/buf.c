/*
 * A growing byte buffer.
 *
 * Invariants: cap > len whenever data is set, so that a NUL always fits behind the content. Memory
 * left behind by growth is wiped, so that a buffer that holds a secret leaves no copy of it; hence
 * no realloc(). Must not abort when memory runs out: the failure sticks and buf_status() reports
 * it.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

#include "base/banned.h"

enum { CAP_FIRST = 64 };

static bool grow(struct buf *buf, size_t cap_min)
{
	size_t cap = buf->cap > SIZE_MAX / 2 ? cap_min : buf->cap * 2;
	uint8_t *data;

	if (cap < cap_min)
		cap = cap_min;
	if (cap < CAP_FIRST)
		cap = CAP_FIRST;
	data = malloc(cap);
	if (!data)
		return false;
	if (buf->data) {
		memcpy(data, buf->data, buf->len);
		explicit_bzero(buf->data, buf->cap);
		free(buf->data);
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t extra)
{
	if (buf->failed)
		return NULL;
	if (extra >= SIZE_MAX - buf->len ||
	    (buf->cap - buf->len <= extra && !grow(buf, buf->len + extra + 1))) {
		buf->failed = true;
		return NULL;
	}
	buf->data[buf->len] = '\0';
	return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	uint8_t *room = buf_reserve(buf, len);

	if (!room)
		return;
	if (len)
		memcpy(room, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_append_str(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
	buf_append(buf, slice.data, slice.len);
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
	buf_append(buf, &byte, 1);
}

void buf_append_u32be(struct buf *buf, uint32_t value)
{
	uint8_t bytes[4];

	store_u32be(bytes, value);
	buf_append(buf, bytes, sizeof(bytes));
}

void buf_append_u64be(struct buf *buf, uint64_t value)
{
	uint8_t bytes[8];

	store_u64be(bytes, value);
	buf_append(buf, bytes, sizeof(bytes));
}

/* Format into whatever room there is; returns the length the text needs, or a negative number. */
static int print_into(struct buf *buf, size_t room, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static int print_into(struct buf *buf, size_t room, const char *format, va_list args)
{
	char *start = (char *)buf_reserve(buf, room);

	return start ? vsnprintf(start, room + 1, format, args) : -1;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	size_t room = buf->cap > buf->len + 1 ? buf->cap - buf->len - 1 : 0;
	va_list args;
	int len;

	va_start(args, format);
	len = print_into(buf, room, format, args);
	va_end(args);
	if (len >= 0 && (size_t)len > room) {
		va_start(args, format);
		len = print_into(buf, (size_t)len, format, args);
		va_end(args);
	}
	if (len >= 0)
		buf->len += (size_t)len;
	else
		buf->failed = true;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT;
}

void buf_release_wiped(struct buf *buf)
{
	/* The whole allocation: a reader may have written behind the content. */
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	buf_release(buf);
}

const char *buf_str(const struct buf *buf)
{
	if (!buf->data)
		return "";
	/* Whoever filled reserved room has moved len past our NUL. */
	if (buf->data[buf->len] != '\0')
		buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

enum status buf_status(const struct buf *buf, struct error *err)
{
	return buf->failed ? error_no_memory(err) : STATUS_OK;
}
