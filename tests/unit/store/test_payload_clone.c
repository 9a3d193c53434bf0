/*
 * Clones of payloads: equal in bytes, and alive after the decoder went on.
 */
#include "store/payload_clone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lib/event_samples.h"
#include "store/event.h"
#include "store/event_codec.h"

static void every_type_survives_its_decoder(void **state)
{
	(void)state;
	for (int type = 0; type < EVENT_TYPE_COUNT; type++) {
		AUTO(arena_release) struct arena arena = ARENA_INIT;
		AUTO(buf_release) struct buf before = BUF_INIT;
		AUTO(buf_release) struct buf after = BUF_INIT;
		struct event_decoder *decoder = NULL;
		const struct payload *clone = NULL;
		struct payload decoded;
		struct event sample;

		sample_event((enum event_type)type, true, &sample);
		assert_int_equal(payload_encode(&sample.payload, &before, NULL), STATUS_OK);
		assert_int_equal(event_decoder_new(&decoder, NULL), STATUS_OK);
		assert_int_equal(payload_decode(decoder, (enum event_type)type, buf_slice(&before),
						&decoded, NULL),
				 STATUS_OK);
		assert_int_equal(payload_clone(&arena, &decoded, &clone, NULL), STATUS_OK);
		event_decoder_free(decoder);
		assert_int_equal(payload_encode(clone, &after, NULL), STATUS_OK);
		assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_survives_its_decoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
