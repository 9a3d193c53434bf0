/*
 * Tables with aligned columns; see print.h.
 *
 * A printer of our own rather than libsmartcols, which would have to start a locale to measure
 * widths and leaves copies of the cells, revealed secrets among them, in memory that nobody wipes.
 *
 * Invariant: cells is a multiple of columns whenever a row is complete; cell i ends at ends[i].
 */
#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/text.h"
#include "cmds/cmd.h"
#include "cmds/print.h"

#include "base/banned.h"

enum {
	GAP = 2,               /* blanks between columns */
	COLUMN_WIDTH_MAX = 40, /* a wider cell overflows its column */
};

struct range {
	uint32_t first;
	uint32_t last;
};

static bool is_in(uint32_t point, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (point >= ranges[i].first && point <= ranges[i].last)
			return true;
	}
	return false;
}

/* Blocks of combining marks and joiners, and East Asian Wide and Fullwidth (Unicode UAX #11). */
static unsigned point_width(uint32_t point)
{
	static const struct range none[] = {
		{ 0x0300, 0x036f }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
		{ 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
		{ 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
	};
	static const struct range wide[] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },
		{ 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },
		{ 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
		{ 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
		{ 0x20000, 0x3fffd },
	};

	if (point < none[0].first || is_in(point, none, sizeof(none) / sizeof(none[0])))
		return point < none[0].first;
	return is_in(point, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

/* The code point of a well-formed sequence of @len bytes. */
static uint32_t decode(const uint8_t *at, size_t len)
{
	static const uint8_t lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t point = at[0] & lead_bits[len];

	for (size_t i = 1; i < len; i++)
		point = point << 6 | (at[i] & 0x3f);
	return point;
}

/* Columns that printable text takes on a terminal. */
static size_t text_width(struct slice text)
{
	size_t width = 0;

	for (size_t at = 0; at < text.len;) {
		size_t len = text_utf8_sequence(slice_of(text.data + at, text.len - at));

		assert(len >
		       0); /* cells went through text_append_printable(), or are our own words */
		width += point_width(decode(text.data + at, len));
		at += len;
	}
	return width;
}

/* The cell that was appended to `text` ends here. */
static void end_cell(struct table *table)
{
	/* Room doubles whenever the count has reached a power of two. */
	if ((table->cells & (table->cells - 1)) == 0) {
		size_t room = table->cells ? 2 * table->cells : 1;
		size_t *ends = reallocarray(table->ends, room, sizeof(*ends));

		if (!ends) {
			table->failed = true;
			return;
		}
		table->ends = ends;
	}
	table->ends[table->cells++] = table->text.len;
}

void table_str(struct table *table, const char *text)
{
	if (table->failed)
		return;
	buf_append_str(&table->text, text);
	end_cell(table);
}

void table_text(struct table *table, struct slice text)
{
	if (table->failed)
		return;
	text_append_printable(&table->text, text);
	end_cell(table);
}

void table_uint(struct table *table, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
	if (table->cells)
		table->right[table->cells % table->columns] = true;
	table_str(table, digits);
}

void table_begin(struct table *table, const char *const *headings, unsigned columns)
{
	assert(columns > 0 && columns <= PRINT_COLUMNS_MAX);
	table->columns = columns;
	for (unsigned i = 0; i < columns; i++)
		table_str(table, headings[i]);
}

static struct slice cell(const struct table *table, size_t index)
{
	size_t begin = index ? table->ends[index - 1] : 0;

	return slice_of(table->text.data + begin, table->ends[index] - begin);
}

/* The widest cell of each column, but for those that overflow anyway. */
static void measure(const struct table *table, size_t *ret_widths)
{
	for (size_t i = 0; i < table->cells; i++) {
		size_t width = text_width(cell(table, i));
		size_t *widest = &ret_widths[i % table->columns];

		if (width <= COLUMN_WIDTH_MAX && width > *widest)
			*widest = width;
	}
}

static void append_blanks(struct buf *out, size_t count)
{
	while (count-- > 0)
		buf_append_byte(out, ' ');
}

/* Blanks are owed until something follows them, so that no line ends with any. */
static void print_cell(const struct table *table, size_t index, size_t width, size_t *owed,
		       struct buf *out)
{
	size_t column = index % table->columns;
	struct slice text = cell(table, index);
	size_t used = text_width(text);
	size_t padding = used < width ? width - used : 0;

	if (table->right[column])
		*owed += padding;
	if (text.len) {
		append_blanks(out, *owed);
		buf_append_slice(out, text);
		*owed = 0;
	}
	*owed += GAP + (table->right[column] ? 0 : padding);
	if (column + 1 == table->columns) {
		buf_append_byte(out, '\n');
		*owed = 0;
	}
}

void table_print(struct table *table, struct invocation *inv)
{
	size_t widths[PRINT_COLUMNS_MAX] = { 0 };
	size_t owed = 0;

	if (table->failed || table->text.failed) {
		inv->out.failed = true;
		return;
	}
	assert(table->cells % table->columns == 0);
	if (table->cells == table->columns)
		return;
	measure(table, widths);
	for (size_t i = 0; i < table->cells; i++)
		print_cell(table, i, widths[i % table->columns], &owed, &inv->out);
}

void table_release(struct table *table)
{
	buf_release_wiped(&table->text);
	free(table->ends);
	*table = (struct table){ .columns = 0 };
}
