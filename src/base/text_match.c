/*
 * Patterns and near misses: text_glob_match(), text_distance() and text_nearest() of text.h.
 *
 * Both work on bytes, in time bounded by the product of the lengths, without recursion and without
 * allocating: patterns and words come from whoever types them.
 */
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#include "base/banned.h"

/*
 * The bracket expression at @at against one byte; returns the bytes of pattern used, or 0 when it
 * does not match. @last_close is where the pattern's last "]" stands: a bracket that is not closed
 * is an ordinary character, and to know it without a search keeps hostile patterns linear.
 */
static size_t match_bracket(struct slice pattern, size_t at, size_t last_close, uint8_t byte)
{
	const uint8_t *p = pattern.data;
	bool negated = at + 1 < pattern.len && p[at + 1] == '!';
	size_t i = at + (negated ? 2 : 1);
	bool hit = false;

	if (last_close <= i) /* a "]" in the first place is a member, not the end */
		return byte == '[' ? 1 : 0;
	do {
		bool range = p[i + 1] == '-' && p[i + 2] != ']';
		uint8_t high = range ? p[i + 2] : p[i];

		if (byte >= p[i] && byte <= high)
			hit = true;
		i += range ? 3 : 1;
	} while (p[i] != ']');
	return hit != negated ? i + 1 - at : 0;
}

static size_t match_one(struct slice pattern, size_t at, size_t last_close, uint8_t byte)
{
	if (at >= pattern.len)
		return 0;
	if (pattern.data[at] == '[')
		return match_bracket(pattern, at, last_close, byte);
	return pattern.data[at] == '?' || pattern.data[at] == byte ? 1 : 0;
}

/* The usual scheme: on a mismatch let the latest star swallow one byte more. */
bool text_glob_match(struct slice pattern, struct slice text)
{
	const uint8_t *close = pattern.len ? memrchr(pattern.data, ']', pattern.len) : NULL;
	size_t last_close = close ? (size_t)(close - pattern.data) : 0;
	size_t p = 0;
	size_t t = 0;
	size_t star_p = 0; /* behind the latest star; 0 when there was none */
	size_t star_t = 0;

	while (t < text.len) {
		size_t used;

		if (p < pattern.len && pattern.data[p] == '*') {
			star_p = ++p;
			star_t = t;
			continue;
		}
		used = match_one(pattern, p, last_close, text.data[t]);
		if (used > 0) {
			p += used;
			t++;
			continue;
		}
		if (star_p == 0)
			return false;
		p = star_p;
		t = ++star_t;
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

enum { DISTANCE_BYTES_MAX = 64 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, swap two neighbours; no piece edited twice. */
size_t text_distance(struct slice a, struct slice b)
{
	size_t rows[3][DISTANCE_BYTES_MAX + 1] = { 0 };
	size_t a_len = smaller(a.len, DISTANCE_BYTES_MAX);
	size_t b_len = smaller(b.len, DISTANCE_BYTES_MAX);

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			bool differ = a.data[i - 1] != b.data[j - 1];

			row[j] = smaller(smaller(above[j], row[j - 1]) + 1,
					 above[j - 1] + (differ ? 1 : 0));
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
			    a.data[i - 2] == b.data[j - 1])
				row[j] = smaller(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count)
{
	struct slice wanted = slice_str(word);
	size_t nearest = wanted.len / 3 > 1 ? wanted.len / 3 : 1;
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t distance = text_distance(wanted, slice_str(candidates[i]));

		if (distance < nearest || (distance == nearest && !found)) {
			nearest = distance;
			found = candidates[i];
		}
	}
	return found;
}
