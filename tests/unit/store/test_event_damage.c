/*
 * Damaged, random and recorded hostile bytes before the decoder: it never takes them for an event
 * that would encode differently, and never needs more memory than it may.
 */
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "lib/event_compare.h"
#include "lib/event_samples.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

static struct event_decoder *decoder;

static void encode(const struct event *event, struct buf *ret)
{
	struct error err = ERROR_INIT;

	if (event_encode(event, ret, &err))
		fail_msg("%s", err.text);
}

static void decode(struct slice bytes, struct decoded_event *ret)
{
	struct error err = ERROR_INIT;

	if (event_decode(decoder, bytes, ret, &err))
		fail_msg("%s", err.text);
}

/* Whatever was decoded must be the only reading of its bytes. */
static void assert_encodes_to(const struct event *event, struct slice bytes)
{
	AUTO(buf_release) struct buf again = BUF_INIT;

	encode(event, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
}

/*
 * A damaged event fails, or reads as something that encodes to exactly these bytes: no two byte
 * strings are the same event.
 */
static bool assert_unambiguous(struct slice bytes)
{
	struct decoded_event decoded;
	struct error err = ERROR_INIT;
	enum status status = event_decode(decoder, bytes, &decoded, &err);

	if (status) {
		assert_true(status == STATUS_CORRUPT || status == STATUS_NEWER);
		assert_true(err.text[0] != '\0');
		return false;
	}
	assert_encodes_to(&decoded.event, bytes);
	return true;
}

static void test_every_byte_changed(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };

	(void)state;
	for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		struct event event;
		size_t accepted = 0;

		sample_event((enum event_type)type, true, &event);
		encode(&event, &bytes);
		for (size_t i = 0; i < bytes.len * 3; i++) {
			bytes.data[i / 3] ^= masks[i % 3];
			accepted += assert_unambiguous(buf_slice(&bytes));
			bytes.data[i / 3] ^= masks[i % 3];
		}
		/* Other hashes, numbers and names are other events; most of the rest is not. */
		assert_true(accepted > (size_t)3 * (LOG_ID_BYTES + HASH_BYTES));
		assert_true(accepted < bytes.len * 3);
	}
}

static void test_every_truncation_fails(void **state)
{
	struct decoded_event decoded;

	(void)state;
	for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		struct event event;

		sample_event((enum event_type)type, true, &event);
		encode(&event, &bytes);
		for (size_t len = 0; len < bytes.len; len++)
			assert_int_equal(
				event_decode(decoder, slice_of(bytes.data, len), &decoded, NULL),
				STATUS_CORRUPT);
		for (unsigned byte = 0; byte < 256; byte++) {
			buf_append_byte(&bytes, (uint8_t)byte);
			assert_int_equal(event_decode(decoder, buf_slice(&bytes), &decoded, NULL),
					 STATUS_CORRUPT);
			bytes.len--;
		}
	}
}

/* Damage @bytes in one of the ways that disks, programs and people do. */
static void damage(struct sample_random *random, struct buf *bytes)
{
	size_t at = sample_below(random, bytes->len);
	size_t other = sample_below(random, bytes->len);
	size_t len = 1 + sample_below(random, 8);

	if (len > bytes->len - at)
		len = bytes->len - at;
	switch (sample_below(random, 5)) {
	case 0:
		bytes->data[at] = (uint8_t)sample_next(random);
		break;
	case 1: /* a piece is lost */
		memmove(bytes->data + at, bytes->data + at + len, bytes->len - at - len);
		bytes->len -= len;
		break;
	case 2: /* a piece stands twice */
		(void)buf_reserve(bytes, len);
		memmove(bytes->data + at + len, bytes->data + at, bytes->len - at);
		bytes->len += len;
		break;
	case 3: /* a head becomes another */
		bytes->data[at] = (uint8_t)(0x80 + sample_below(random, 0x60));
		break;
	default: /* a piece of elsewhere */
		if (len > bytes->len - other)
			len = bytes->len - other;
		memmove(bytes->data + at, bytes->data + other, len);
	}
}

static void test_random_events(void **state)
{
	enum { ROUNDS = 10 * 1000, MEMORY_KIB_MAX = 512 * 1024 };
	struct sample_random random = sample_seed();
	struct rusage usage;
	size_t encoded = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		AUTO(arena_release) struct arena arena = ARENA_INIT;
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		struct decoded_event decoded;
		struct error err = ERROR_INIT;
		struct event event;

		sample_random_event(&random, &arena, &event);
		if (event_encode(&event, &bytes, &err)) {
			/* Long texts may add up; nothing else is wrong with these events. */
			assert_non_null(strstr(err.text, "bytes; at most"));
			continue;
		}
		encoded++;
		decode(buf_slice(&bytes), &decoded);
		assert_events_equal(&event, &decoded.event);
		for (int i = 0; i < 3 && bytes.len > 0; i++) {
			damage(&random, &bytes);
			(void)assert_unambiguous(buf_slice(&bytes));
		}
	}
	assert_true(encoded > ROUNDS / 2);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	assert_true(usage.ru_maxrss < MEMORY_KIB_MAX);
}

/* Every file of a folder of seeds has the verdict that the folder is named after. */
static size_t replay(const char *folder, enum status expected)
{
	struct dirent *entry;
	size_t count = 0;
	DIR *dir = opendir(folder);

	if (!dir) {
		fail_msg("no folder %s", folder);
		return 0;
	}
	while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe) */
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		struct error err = ERROR_INIT;
		struct decoded_event decoded;
		char path[PATH_MAX];
		enum status status;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		assert_int_equal(fs_read_file(path, LEAF_BYTES_MAX, &bytes, &err), STATUS_OK);
		status = event_decode(decoder, buf_slice(&bytes), &decoded, &err);
		if (status != expected)
			fail_msg("%s: %s %s", path, status_name(status), err.text);
		if (status == STATUS_OK)
			assert_encodes_to(&decoded.event, buf_slice(&bytes));
		count++;
	}
	(void)closedir(dir);
	return count;
}

static void test_corpora(void **state)
{
	(void)state;
	assert_true(replay(CORPORA_DIR "/event/valid", STATUS_OK) >= EVENT_TYPE_COUNT);
	assert_true(replay(CORPORA_DIR "/event/corrupt", STATUS_CORRUPT) >= 20);
	assert_true(replay(CORPORA_DIR "/event/newer", STATUS_NEWER) >= 4);
}

static int make_decoder(void **state)
{
	(void)state;
	return event_decoder_new(&decoder, NULL) == STATUS_OK ? 0 : -1;
}

static int free_decoder(void **state)
{
	(void)state;
	event_decoder_free(decoder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_every_truncation_fails),
		cmocka_unit_test(test_random_events),
		cmocka_unit_test(test_corpora),
	};

	return cmocka_run_group_tests(tests, make_decoder, free_decoder);
}
