/*
 * Reading a log without its lock: damage is damage only while nobody writes.
 */
#include "replay/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "lib/log_fixture.h"
#include "replay/fold.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/ref.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

enum {
	META_TXN_AT = 144, /* as in store/lmdb_file.c */
	EVENTS = 5,
};

/* A log whose event 3 cannot be read. */
static void make_log(const char *dir)
{
	struct log_fixture made = { .count = 0 };
	struct evlog *log = NULL;
	struct made_event *event;

	log_fixture_init(&made);
	log_fixture_fill(&made, EVENTS - 1);
	event = log_fixture_event(&made, 3);
	event->leaf.data[0] ^= 1; /* no event begins so */
	assert_int_equal(
		evlog_lmdb_open(dir, (struct evlog_lmdb_options){ .create = true }, &log, NULL),
		STATUS_OK);
	log_fixture_write(&made, log);
	evlog_close(log);
	log_fixture_release(&made);
}

/* Fold it, with a commit between opening and reading if @moves. */
static enum status fold(const char *dir, bool no_lock, bool moves, struct error *err)
{
	AUTO(source_release) struct source source = SOURCE_INIT;
	AUTO(fold_release) struct fold fold = FOLD_INIT;
	AUTO(buf_release) struct buf data = BUF_INIT;
	AUTO_FD int fd = -1;
	struct ref_point point;
	uint64_t was = 0, txn = 1000;
	enum status status;

	fs_join(&data, dir, "data.mdb");
	fd = open(buf_str(&data), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &was, sizeof(was), META_TXN_AT), sizeof(was));
	assert_int_equal(source_find(dir, &source, NULL), STATUS_OK);
	source.how.no_lock = no_lock;
	assert_int_equal(source_open(&source, NULL), STATUS_OK);
	if (moves)
		assert_int_equal(pwrite(fd, &txn, sizeof(txn), META_TXN_AT), sizeof(txn));
	status = source_fold(&source, NULL, &fold, &point, err);
	assert_int_equal(pwrite(fd, &was, sizeof(was), META_TXN_AT), sizeof(was));
	return status;
}

static void damage_of_a_log_that_moves_is_none(void **state)
{
	const char *dir = *state;
	struct error err = ERROR_INIT;

	make_log(dir);
	assert_int_equal(fold(dir, true, false, &err), STATUS_CORRUPT);
	assert_int_equal(fold(dir, true, true, &err), STATUS_LOCKED);
	assert_non_null(strstr(err.text, "is being written to"));
	/* With its lock it is what it is. */
	assert_int_equal(fold(dir, false, true, &err), STATUS_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(damage_of_a_log_that_moves_is_none, scratch_setup,
						scratch_teardown),
	};

	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
