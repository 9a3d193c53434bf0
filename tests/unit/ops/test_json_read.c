/*
 * JSON, and the memory that runs out while it is parsed: never an error in the text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ops/json_read.h"

#include "base/banned.h"

/* NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the linker's */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static unsigned long allocations; /* since it was set to 0 */
static unsigned long failing;     /* the one that fails; 0: none */

/* What our own code calls, and Jansson through it, in place of the C library's. */
void *__wrap_malloc(size_t size)
{
	allocations++;
	return failing && allocations == failing ? NULL : __real_malloc(size);
}
/* NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming) */

static const char text[] = "{\"a\": [1, 2.5, \"\\u00e9 and more than eight bytes of text\"],"
			   " \"environments\": {\"pattern\": null, \"x\": true}}";

static void reads(void **state)
{
	json_error_t why;
	bool no_memory = true;
	json_t *json = json_read(slice_str(text), JSON_REJECT_DUPLICATES, &why, &no_memory);

	(void)state;
	assert_non_null(json);
	assert_false(no_memory);
	assert_int_equal(json_array_size(json_object_get(json, "a")), 3);
	json_decref(json);
}

static void says_where_it_is_wrong(void **state)
{
	json_error_t why;
	bool no_memory = true;

	(void)state;
	assert_null(json_read(slice_str("{\"a\":\n 1,}"), 0, &why, &no_memory));
	assert_false(no_memory);
	assert_int_equal(why.line, 2);
	assert_true(strlen(why.text) > 0);
	assert_null(json_read(slice_of(NULL, 0), 0, &why, &no_memory));
	assert_false(no_memory);
}

/* Every allocation in turn fails: it is said to be memory, each time, and nothing is half read. */
static void tells_memory_apart(void **state)
{
	unsigned long count = 0;

	(void)state;
	for (;;) {
		json_error_t why;
		bool no_memory = false;
		json_t *json;

		allocations = 0;
		failing = ++count;
		json = json_read(slice_str(text), JSON_REJECT_DUPLICATES, &why, &no_memory);
		failing = 0;
		if (json) {
			json_decref(json);
			break;
		}
		assert_true(no_memory);
	}
	assert_true(count > 10);
	/* What ran out before is forgotten. */
	reads(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(says_where_it_is_wrong),
		cmocka_unit_test(tells_memory_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
