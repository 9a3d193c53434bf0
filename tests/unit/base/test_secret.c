/*
 * Secrets: lifecycle, the guard behind them, core dumps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"

#include "base/banned.h"

static void a_fresh_secret_is_zeroed(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;
	static const uint8_t zeros[1000];

	(void)state;
	assert_int_equal(secret_init(&secret, sizeof(zeros), NULL), STATUS_OK);
	assert_int_equal(secret.len, sizeof(zeros));
	assert_memory_equal(secret.data, zeros, sizeof(zeros));
	memset(secret.data, 1, secret.len);
	assert_int_equal(secret_slice(&secret).len, sizeof(zeros));
	assert_ptr_equal(secret_slice(&secret).data, secret.data);
}

static void copies_are_independent(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;
	char source[] = "hunter2";

	(void)state;
	assert_int_equal(secret_copy(&secret, slice_str(source), NULL), STATUS_OK);
	memset(source, 0, sizeof(source));
	assert_int_equal(secret.len, 7);
	assert_memory_equal(secret.data, "hunter2", 7);
}

static void nothing_is_a_secret_too(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;

	(void)state;
	assert_int_equal(secret_copy(&secret, slice_of(NULL, 0), NULL), STATUS_OK);
	assert_int_equal(secret.len, 0);
}

static void release_resets_and_repeats(void **state)
{
	struct secret secret = SECRET_INIT;

	(void)state;
	secret_release(&secret);
	assert_int_equal(secret_init(&secret, 5, NULL), STATUS_OK);
	secret_release(&secret);
	assert_null(secret.data);
	assert_int_equal(secret.len, 0);
	secret_release(&secret);
}

static void an_impossible_size_is_refused(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(secret_init(&secret, SIZE_MAX / 2, &err), STATUS_NO_MEMORY);
	assert_null(secret.data);
	assert_int_equal(secret.len, 0);
	assert_string_not_equal(err.text, "");
}

/* True when a child that reads one byte behind the secret dies of it. */
static bool overread_is_fatal(const struct secret *secret)
{
	int result = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		const volatile uint8_t *behind = secret->data + secret->len;

		/* Neither cmocka's handler nor a sanitizer's: death is what is expected. */
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		(void)*behind;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	return WIFSIGNALED(result);
}

static void reading_behind_a_secret_is_fatal(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;

	(void)state;
	assert_int_equal(secret_init(&secret, 33, NULL), STATUS_OK);
	assert_true(overread_is_fatal(&secret));
}

/* The VmFlags of the mapping that holds @address, from /proc; empty where the kernel has none. */
static void mapping_flags(const void *address, struct buf *ret)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	uintptr_t wanted = (uintptr_t)address;
	bool inside = false;
	char line[512];

	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t from;
		uintptr_t to;

		/* NOLINTNEXTLINE(cert-err34-c): the kernel writes well-formed numbers */
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = wanted >= from && wanted < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			buf_append_str(ret, line + 8);
	}
	(void)fclose(maps);
}

static void secrets_are_left_out_of_core_dumps(void **state)
{
	struct secret secret AUTO(secret_release) = SECRET_INIT;
	struct buf flags AUTO(buf_release) = BUF_INIT;

	(void)state;
	assert_int_equal(secret_init(&secret, 64, NULL), STATUS_OK);
	mapping_flags(secret.data, &flags);
	if (flags.len == 0) {
		print_message("this kernel shows no VmFlags\n");
		skip();
	}
	assert_non_null(strstr(buf_str(&flags), " dd"));
}

/* What the process's initialisation leaves: 0 when as it should be. */
static int judge_process(void)
{
	struct rlimit before;
	struct rlimit after;

	if (getrlimit(RLIMIT_CORE, &before) || secret_init_process(NULL))
		return 1;
	if (getrlimit(RLIMIT_CORE, &after))
		return 2;
	/* One byte forbids piped cores as well, see secret.c; no file is that small. */
	if (after.rlim_cur > 1 || (before.rlim_max > 0 && after.rlim_cur != 1))
		return 3;
	if (after.rlim_max != before.rlim_max)
		return 4;
	return secret_init_process(NULL) ? 5 : 0;
}

static void the_process_dumps_no_core(void **state)
{
	(void)state;
	assert_int_equal(judge_process(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_secret_is_zeroed),
		cmocka_unit_test(copies_are_independent),
		cmocka_unit_test(nothing_is_a_secret_too),
		cmocka_unit_test(release_resets_and_repeats),
		cmocka_unit_test(an_impossible_size_is_refused),
		cmocka_unit_test(reading_behind_a_secret_is_fatal),
		cmocka_unit_test(secrets_are_left_out_of_core_dumps),
		cmocka_unit_test(the_process_dumps_no_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
