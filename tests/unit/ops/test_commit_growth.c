/*
 * One session that writes more than the log's map holds when it opens: what it reads itself must
 * not keep the log from growing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "ops/commit.h"
#include "ops/op_variable.h"
#include "ops/session.h"
#include "store/evlog.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

enum {
	KEYS = 240,   /* of the greatest values: as much as one command may hold, nearly */
	COMMANDS = 9, /* more than 64 MiB together, the least map there is */
};

static void a_session_outgrows_its_map(void **state)
{
	static char names[KEYS][16];
	static uint8_t bytes[VALUE_BYTES_MAX];
	struct assignment assignments[KEYS] = { 0 };
	struct set_args args = { .assignments = assignments, .count = KEYS };
	struct session session;

	ops_open(*state, SESSION_PROFILE, &session);
	for (int command = 0; command < COMMANDS; command++) {
		struct error err = ERROR_INIT;
		struct outcome outcome;

		memset(bytes, 'a' + command, sizeof(bytes));
		for (int i = 0; i < KEYS; i++) {
			(void)snprintf(names[i], sizeof(names[i]), "NAME_%03d", i);
			assignments[i].key = slice_str(names[i]);
			assignments[i].value = slice_of(bytes, sizeof(bytes));
		}
		if (commit(&session, decide_set, &args, &outcome, &err))
			fail_msg("command %d: %s", command, err.text);
		assert_false(outcome.unchanged);
		assert_int_equal(session.log->size, outcome.last_seq);
	}
	session_close(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_session_outgrows_its_map, ops_setup,
						ops_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
