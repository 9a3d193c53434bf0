/*
 * Sample events: fixed, random and hostile.
 *
 * The packer here is on purpose not the one under test: it writes what it is told.
 */
#include "lib/event_samples.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/seal.h"

#include "base/banned.h"

#define TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

static const uint8_t pattern[256] = { 0xde, 0xad, 0xbe, 0xef, 0x00, 0xff, 0x80, 0x7f };

static const struct lang_text sample_langs[] = {
	{ TEXT("de"), TEXT("Hauptdatenbank für Größen") },
	{ TEXT("en-GB"), TEXT("main database") },
	{ TEXT("und"), TEXT("") },
};

static const struct slice sample_texts[] = { TEXT("warn"), TEXT("debug"), TEXT("") };

static const struct change sample_changes[] = {
	{ .profile = TEXT("default"),
	  .key = TEXT("API_TOKEN"),
	  .op = CHANGE_SEAL,
	  .commitment = { pattern, HASH_BYTES },
	  .sealed = { pattern, 24 + 16 + 64 } },
	{ .profile = TEXT("default"),
	  .key = TEXT("GREETING"),
	  .op = CHANGE_SET,
	  .value = TEXT("hello ${NAME}\n"),
	  .expand = true },
	{ .profile = TEXT("default"),
	  .key = TEXT("LOG_LEVEL"),
	  .op = CHANGE_COPY,
	  .copy_seq = 4321,
	  .copy_index = 7 },
	{ .profile = TEXT("eu-west"), .key = TEXT("LOG_LEVEL"), .op = CHANGE_UNSET },
};

static const struct reader sample_readers[] = {
	{ { pattern + 4, KEY_ID_BYTES }, { pattern, WRAPPED_KEY_BYTES } },
	{ { pattern, KEY_ID_BYTES }, { pattern, WRAPPED_KEY_BYTES } },
};

#define LIST(array) { array, sizeof(array) / sizeof((array)[0]) }

static void sample_field(struct payload *payload, enum event_field field)
{
	static const struct langmap langs = LIST(sample_langs);
	static const struct texts texts = LIST(sample_texts);
	static const struct changes changes = LIST(sample_changes);
	static const struct readers readers = LIST(sample_readers);

	switch (event_field_info(field)->kind) {
	case KIND_NAME:
		payload_str(payload, field, "production");
		break;
	case KIND_KEY:
		payload_str(payload, field, "DATABASE_URL");
		break;
	case KIND_KEY_NAME:
		payload_str(payload, field, "ana@host.example");
		break;
	case KIND_TEXT:
		payload_str(payload, field, "Zürich, 100 %");
		break;
	case KIND_VALUE:
		payload_str(payload, field, "first line\nsecond line");
		break;
	case KIND_DECIMAL:
		payload_str(payload, field, "-12.50");
		break;
	case KIND_UINT:
		payload_uint(payload, field, 1767323045678);
		break;
	case KIND_BOOL:
		payload_bool(payload, field, true);
		break;
	case KIND_BYTES32:
		payload_text(payload, field, slice_of(pattern, 32));
		break;
	case KIND_LANGMAP:
		payload_langmap(payload, field, langs);
		break;
	case KIND_TEXTS:
		payload_texts(payload, field, texts);
		break;
	case KIND_CHANGES:
		payload_changes(payload, field, changes);
		break;
	case KIND_READERS:
		payload_readers(payload, field, readers);
		break;
	}
}

void sample_event(enum event_type type, bool optional, struct event *ret)
{
	const struct event_type_info *info = event_type_info(type);

	memset(ret, 0, sizeof(*ret));
	memset(ret->log_id, 0x11, sizeof(ret->log_id));
	memset(ret->prev, 0x22, sizeof(ret->prev));
	memset(ret->key_id, 0x33, sizeof(ret->key_id));
	memset(ret->command_id, 0x44, sizeof(ret->command_id));
	ret->seq = 70000;
	ret->time_ms = 1767323045678;
	ret->claimed_ms = 1767323045677;
	ret->part = 2;
	ret->parts = 300;
	ret->reason = optional ? slice_str("because of größere Last") : slice_of(NULL, 0);
	payload_init(&ret->payload, type);
	for (size_t i = 0; i < info->rule_count; i++) {
		if (optional || info->rules[i].required)
			sample_field(&ret->payload, info->rules[i].field);
	}
}

uint64_t sample_next(struct sample_random *random)
{
	uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

size_t sample_below(struct sample_random *random, size_t below)
{
	return (size_t)(sample_next(random) % below);
}

struct sample_random sample_seed(void)
{
	const char *given = getenv("PROVENV_SEED"); /* NOLINT(concurrency-mt-unsafe) */
	struct sample_random random = { .state = clock_monotonic_ns() };
	uint64_t seed;

	if (given && text_to_u64(slice_str(given), &seed))
		random.state = seed;
	(void)fprintf(stderr, "PROVENV_SEED=%llu\n", (unsigned long long)random.state);
	return random;
}

static void *take(struct arena *arena, size_t count, size_t size)
{
	void *memory = arena_array(arena, count, size);

	assert(memory);
	return memory;
}

/* @len bytes out of @letters. */
static struct slice random_word(struct sample_random *random, struct arena *arena,
				const char *letters, size_t len)
{
	uint8_t *word = take(arena, len + 1, 1);
	size_t count = strlen(letters);

	for (size_t i = 0; i < len; i++)
		word[i] = (uint8_t)letters[sample_below(random, count)];
	return slice_of(word, len);
}

static struct slice random_bytes(struct sample_random *random, struct arena *arena, size_t len)
{
	uint8_t *bytes = take(arena, len, 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)sample_next(random);
	return slice_of(bytes, len);
}

/* Text whose length is around one where the form of its head changes, now and then long. */
static struct slice random_text(struct sample_random *random, struct arena *arena)
{
	static const size_t lengths[] = { 0, 1, 7, 8, 31, 32, 33, 255, 256, 4096 };
	static const char *const pieces[] = { "a", "=", "\n", "é", "€", "🙂", "\x7f" };
	size_t len = lengths[sample_below(random, sizeof(lengths) / sizeof(lengths[0]))];
	uint8_t *text = take(arena, len + 4, 1);
	size_t at = 0;

	while (at < len) {
		struct slice piece = slice_str(pieces[sample_below(random, 7)]);

		if (at + piece.len > len)
			piece.len = 0;
		if (piece.len == 0)
			text[at] = 'z';
		for (size_t i = 0; i < piece.len; i++)
			text[at + i] = piece.data[i];
		at += piece.len ? piece.len : 1;
	}
	return slice_of(text, len);
}

/* A number around one where its form changes. */
static uint64_t random_uint(struct sample_random *random)
{
	uint64_t edge = UINT64_C(1) << sample_below(random, 64);

	return edge + sample_below(random, 3) - 1;
}

/* Ascending by construction: the place in the list leads each tag, key and key id. */
static struct langmap random_langmap(struct sample_random *random, struct arena *arena)
{
	size_t count = 1 + sample_below(random, 4);
	struct lang_text *entries = take(arena, count, sizeof(*entries));

	for (size_t i = 0; i < count; i++) {
		uint8_t *tag = take(arena, 3, 1);

		tag[0] = (uint8_t)('a' + i);
		tag[1] = (uint8_t)('a' + sample_below(random, 26));
		entries[i] = (struct lang_text){ slice_of(tag, 2), random_text(random, arena) };
	}
	return (struct langmap){ entries, count };
}

static struct texts random_texts(struct sample_random *random, struct arena *arena)
{
	size_t count = 1 + sample_below(random, 20);
	struct slice *entries = take(arena, count, sizeof(*entries));

	for (size_t i = 0; i < count; i++)
		entries[i] = random_word(random, arena, "xyz", i);
	return (struct texts){ entries, count };
}

static struct change random_change(struct sample_random *random, struct arena *arena, size_t place)
{
	struct change change = { .profile = slice_str("default"), .op = CHANGE_SET };
	uint8_t *key = take(arena, 3, 1);

	key[0] = (uint8_t)('A' + place / 26);
	key[1] = (uint8_t)('A' + place % 26);
	change.key = slice_of(key, 2);
	change.op = (enum change_op)sample_below(random, 4);
	change.expand = change.op != CHANGE_UNSET && sample_below(random, 2);
	switch (change.op) {
	case CHANGE_SET:
		change.value = random_text(random, arena);
		break;
	case CHANGE_SEAL:
		change.commitment = random_bytes(random, arena, HASH_BYTES);
		change.sealed = random_bytes(random, arena, 40 + 64 * (1 + place % 5));
		break;
	case CHANGE_COPY:
		change.copy_seq = random_uint(random) | 1;
		change.copy_index = (uint32_t)random_uint(random);
		break;
	case CHANGE_UNSET:
		break;
	}
	return change;
}

static struct changes random_changes(struct sample_random *random, struct arena *arena)
{
	size_t count = 1 + sample_below(random, 20);
	struct change *entries = take(arena, count, sizeof(*entries));

	for (size_t i = 0; i < count; i++)
		entries[i] = random_change(random, arena, i);
	return (struct changes){ entries, count };
}

static struct readers random_readers(struct sample_random *random, struct arena *arena)
{
	size_t count = 1 + sample_below(random, 5);
	struct reader *entries = take(arena, count, sizeof(*entries));

	for (size_t i = 0; i < count; i++) {
		uint8_t *key_id = take(arena, KEY_ID_BYTES, 1);

		key_id[0] = (uint8_t)i;
		key_id[1] = (uint8_t)sample_next(random);
		entries[i].key_id = slice_of(key_id, KEY_ID_BYTES);
		entries[i].sealed_key = random_bytes(random, arena, WRAPPED_KEY_BYTES);
	}
	return (struct readers){ entries, count };
}

static void random_field(struct sample_random *random, struct arena *arena, struct payload *payload,
			 enum event_field field)
{
	switch (event_field_info(field)->kind) {
	case KIND_NAME:
	case KIND_KEY:
	case KIND_KEY_NAME:
		payload_text(payload, field,
			     random_word(random, arena, "abcXYZ", 1 + sample_below(random, 63)));
		break;
	case KIND_TEXT:
	case KIND_VALUE:
		payload_text(payload, field, random_text(random, arena));
		break;
	case KIND_DECIMAL:
		payload_text(payload, field,
			     random_word(random, arena, "0195", 1 + sample_below(random, 64)));
		break;
	case KIND_UINT:
		payload_uint(payload, field, random_uint(random));
		break;
	case KIND_BOOL:
		payload_bool(payload, field, sample_below(random, 2));
		break;
	case KIND_BYTES32:
		payload_text(payload, field, random_bytes(random, arena, 32));
		break;
	case KIND_LANGMAP:
		payload_langmap(payload, field, random_langmap(random, arena));
		break;
	case KIND_TEXTS:
		payload_texts(payload, field, random_texts(random, arena));
		break;
	case KIND_CHANGES:
		payload_changes(payload, field, random_changes(random, arena));
		break;
	case KIND_READERS:
		payload_readers(payload, field, random_readers(random, arena));
		break;
	}
}

void sample_random_event(struct sample_random *random, struct arena *arena, struct event *ret)
{
	enum event_type type = (enum event_type)sample_below(random, EVENT_TYPE_COUNT);
	const struct event_type_info *info = event_type_info(type);

	sample_event(type, false, ret);
	payload_init(&ret->payload, type);
	for (size_t i = 0; i < info->rule_count; i++) {
		if (info->rules[i].required || sample_below(random, 2))
			random_field(random, arena, &ret->payload, info->rules[i].field);
	}
	memcpy(ret->prev, random_bytes(random, arena, HASH_BYTES).data, HASH_BYTES);
	ret->seq = random_uint(random) | 1;
	ret->time_ms = random_uint(random) & INT64_MAX;
	ret->claimed_ms = random_uint(random) & INT64_MAX;
	ret->parts = 1 + (uint32_t)sample_below(random, COMMAND_PARTS_MAX);
	ret->part = 1 + (uint32_t)sample_below(random, ret->parts);
	ret->reason = random_text(random, arena);
}

/* A head: @fix with the count in it when that fits below @fix_count, else @type8 + 0, 1, 2. */
static void put_head(struct buf *out, uint8_t fix, size_t fix_count, uint8_t type8, size_t count)
{
	if (count < fix_count) {
		buf_append_byte(out, (uint8_t)(fix | count));
	} else if (count < 256 && type8 != 0xdb && type8 != 0xdd) {
		buf_append_byte(out, type8);
		buf_append_byte(out, (uint8_t)count);
	} else {
		assert(count < 65536);
		buf_append_byte(out, (uint8_t)(type8 + 1));
		buf_append_byte(out, (uint8_t)(count >> 8));
		buf_append_byte(out, (uint8_t)count);
	}
}

static void put_uint(struct buf *out, uint64_t value)
{
	uint8_t bytes[8];
	unsigned width = 3;

	if (value < 128) {
		buf_append_byte(out, (uint8_t)value);
		return;
	}
	if (value <= UINT32_MAX)
		width = value > UINT16_MAX ? 2 : value > UINT8_MAX;
	store_u64be(bytes, value);
	buf_append_byte(out, (uint8_t)(0xcc + width));
	buf_append(out, bytes + 8 - (1u << width), 1u << width);
}

static void put_token(struct buf *out, struct slice token)
{
	struct slice rest = slice_of(token.data + 1, token.len - 1);
	uint64_t number = 0;
	uint8_t raw[256];
	bool known;

	(void)text_to_u64(rest, &number);
	switch (token.data[0]) {
	case '{':
		put_head(out, 0x80, 16, 0xdd, number); /* map 16 is 0xde */
		break;
	case '[':
		put_head(out, 0x90, 16, 0xdb, number); /* array 16 is 0xdc */
		break;
	case '%':
		put_head(out, 0, 0, 0xc4, number);
		for (uint64_t i = 0; i < number; i++)
			buf_append_byte(out, (uint8_t)i);
		break;
	case '*':
		put_head(out, 0xa0, 32, 0xd9, number);
		for (uint64_t i = 0; i < number; i++)
			buf_append_byte(out, 'x');
		break;
	case '\'':
		put_head(out, 0xa0, 32, 0xd9, token.len - 2);
		buf_append(out, token.data + 1, token.len - 2);
		break;
	case 'T':
	case 'F':
		buf_append_byte(out, token.data[0] == 'T' ? 0xc3 : 0xc2);
		break;
	case '#':
		known = rest.len / 2 <= sizeof(raw) && text_from_hex(rest, raw, rest.len / 2);
		assert(known);
		buf_append(out, raw, rest.len / 2);
		break;
	default:
		known = text_to_u64(token, &number);
		assert(known);
		put_uint(out, number);
	}
}

void sample_pack(struct buf *out, const char *notation)
{
	const char *at = notation;

	for (;;) {
		size_t len;

		at += strspn(at, " ");
		if (!*at)
			return;
		len = *at == '\'' ? (size_t)(strchr(at + 1, '\'') - at) + 1 : strcspn(at, " ");
		put_token(out, slice_of(at, len));
		at += len;
	}
}

void sample_pack_event(struct buf *out, const char *type, const char *payload)
{
	sample_pack(out, "[13 1 %16 70000 %32 1767323045678 1767323045677 %8 %16 2 300");
	put_head(out, 0xa0, 32, 0xd9, strlen(type));
	buf_append_str(out, type);
	sample_pack(out, payload);
	sample_pack(out, "'r'");
}
