/*
 * The tool's children end as those of the program do: a killed one is no interruption, and its
 * memory is closed to others.
 */
#include "replay/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/error.h"

#include "base/banned.h"

static enum status die(void *context, struct error *err)
{
	(void)err;
	(void)raise(*(const int *)context);
	return STATUS_OK;
}

static enum status refuse(void *context, struct error *err)
{
	(void)context;
	return error_set(err, STATUS_NEWER, "too new");
}

static enum status tell_dumpable(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return prctl(PR_GET_DUMPABLE) == 0 ? STATUS_OK : STATUS_NEGATIVE;
}

static void each_end_is_told(void **state)
{
	static const struct {
		int signal_number;
		enum status status;
		const char *text;
	} ends[] = {
		{ SIGBUS, STATUS_CORRUPT, "a page of the log cannot be read (SIGBUS)" },
		{ SIGABRT, STATUS_CORRUPT, "a page of the log cannot be read (SIGABRT)" },
		{ SIGINT, STATUS_INTERRUPTED, "the reading of the log was interrupted" },
		{ SIGKILL, STATUS_IO, "the reading of the log was killed by SIGKILL" },
	};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int number = ends[i].signal_number;

		assert_int_equal(child_run(die, &number, &err), ends[i].status);
		assert_string_equal(err.text, ends[i].text);
	}
	assert_int_equal(child_run(refuse, NULL, &err), STATUS_NEWER);
	assert_string_equal(err.text, "too new");
}

static void its_memory_is_closed(void **state)
{
	(void)state;
	assert_int_equal(child_run(tell_dumpable, NULL, NULL), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_is_told),
		cmocka_unit_test(its_memory_is_closed),
	};

	return cmocka_run_group_tests_name("replay child", tests, NULL, NULL);
}
