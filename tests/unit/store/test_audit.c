/*
 * audit_log(): logs on disk, damaged in every way that a disk, a file system or somebody with an
 * editor has. Whatever becomes of the auditor, the caller lives and gets an answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "lib/log_fixture.h"
#include "store/audit.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/merkle.h"
#include "unit/base/scratch.h"

#include "base/banned.h"

enum {
	EVENTS = 60,
	EVENTS_OF_BLOCKS = 3500, /* more than three blocks, for as many threads */
	PAGE_BYTES = 4096,
	FILE_BYTES_MAX = 64 * 1024 * 1024,
	TABLES = 8,
};

/* A right log in memory and on disk, and the bytes of its file. */
struct fixture {
	char *dir;
	char data[SCRATCH_PATH_MAX];
	struct log_fixture log;
	struct buf file;
};

static const struct evlog_lmdb_options plainly;

static void fixture_write(struct fixture *fixture, size_t events)
{
	struct evlog_lmdb_options options = { .create = true };
	struct evlog *log = NULL;
	struct error err = ERROR_INIT;

	log_fixture_init(&fixture->log);
	log_fixture_fill(&fixture->log, events - 1);
	if (evlog_lmdb_open(fixture->dir, options, &log, &err))
		fail_msg("%s", err.text);
	log_fixture_write(&fixture->log, log);
	evlog_close(log);
	assert_int_equal(fs_read_file(fixture->data, FILE_BYTES_MAX, &fixture->file, NULL),
			 STATUS_OK);
}

static int setup_with(void **state, size_t events)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	void *dir = NULL;

	assert_non_null(fixture);
	assert_int_equal(scratch_setup(&dir), 0);
	fixture->dir = dir;
	(void)scratch_path(&dir, "data.mdb", fixture->data);
	fixture_write(fixture, events);
	*state = fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, EVENTS);
}

static int setup_blocks(void **state)
{
	return setup_with(state, EVENTS_OF_BLOCKS);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	void *dir = fixture->dir;

	log_fixture_release(&fixture->log);
	buf_release(&fixture->file);
	free(fixture);
	return scratch_teardown(&dir);
}

/* Put @len bytes over the file, in place, as a disk would. */
static void overwrite(const struct fixture *fixture, size_t at, const void *bytes, size_t len)
{
	int fd = open(fixture->data, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_pwrite(fd, fixture->data, bytes, len, at, NULL), STATUS_OK);
	assert_int_equal(close(fd), 0);
}

static void put_back(const struct fixture *fixture, size_t at, size_t len)
{
	overwrite(fixture, at, fixture->file.data + at, len);
}

static struct audit_report audit_with(const struct fixture *fixture,
				      const struct audit_options *options)
{
	struct audit_report report;
	struct error err = ERROR_INIT;

	if (audit_log(fixture->dir, plainly, options, &report, &err))
		fail_msg("%s", err.text);
	return report;
}

static struct audit_report audit(const struct fixture *fixture)
{
	struct audit_options options = { .threads = 2 };

	return audit_with(fixture, &options);
}

static void root_of(const struct fixture *fixture, uint64_t size, uint8_t ret[HASH_BYTES])
{
	struct merkle_frontier frontier = { .size = 0 };

	for (uint64_t i = 0; i < size; i++)
		(void)merkle_frontier_append(&frontier, fixture->log.events[i].leaf_hash, NULL);
	merkle_frontier_root(&frontier, ret);
}

static void expect_good(const struct fixture *fixture, const struct audit_report *report)
{
	uint8_t root[HASH_BYTES];

	assert_string_equal(report->message, "");
	assert_true(report->ok);
	assert_int_equal(report->events, fixture->log.count);
	assert_int_equal(report->signatures_checked, fixture->log.count);
	assert_int_equal(report->first_bad, 0);
	assert_int_equal(report->valid_size, fixture->log.count);
	root_of(fixture, fixture->log.count, root);
	assert_memory_equal(report->root, root, HASH_BYTES);
}

/* Event @bad is named, and what lies before it is vouched for. */
static void expect_bad(const struct fixture *fixture, const struct audit_report *report,
		       uint64_t bad)
{
	uint8_t root[HASH_BYTES];
	char name[32];

	if (report->ok || report->first_bad != bad)
		fail_msg("event %" PRIu64 ", not %" PRIu64 ": %s", report->first_bad, bad,
			 report->message);
	(void)snprintf(name, sizeof(name), "event %" PRIu64 ": ", bad);
	assert_memory_equal(report->message, name, strlen(name));
	assert_int_equal(report->valid_size, bad - 1);
	root_of(fixture, bad - 1, root);
	assert_memory_equal(report->root, root, HASH_BYTES);
}

static size_t leaf_place(const struct fixture *fixture, uint64_t seq)
{
	const struct buf *leaf = &fixture->log.events[seq - 1].leaf;
	const uint8_t *found = memmem(fixture->file.data, fixture->file.len, leaf->data, leaf->len);

	assert_non_null(found);
	return (size_t)(found - fixture->file.data);
}

/* --- nothing wrong ---------------------------------------------------------------------------- */

static void test_right(void **state)
{
	struct fixture *fixture = *state;
	struct audit_report report = audit(fixture);
	struct buf after = BUF_INIT;

	expect_good(fixture, &report);
	assert_int_equal(fs_read_file(fixture->data, FILE_BYTES_MAX, &after, NULL), STATUS_OK);
	assert_true(slice_equal(buf_slice(&after), buf_slice(&fixture->file)));
	buf_release(&after);
}

/* Beside a reader and a writer of this process, whose locks stay as they are. */
static void test_while_open(void **state)
{
	struct fixture *fixture = *state;
	struct evlog_snapshot *snapshot = NULL;
	struct audit_report report;
	struct evlog *log = NULL;
	struct event event;
	struct evlog_entry entry;

	assert_int_equal(evlog_lmdb_open(fixture->dir, plainly, &log, NULL), STATUS_OK);
	assert_int_equal(evlog_snapshot_open(log, &snapshot, NULL), STATUS_OK);
	report = audit(fixture);
	expect_good(fixture, &report);
	log_fixture_next(&fixture->log, &event);
	log_fixture_add(&fixture->log, &event, &fixture->log.signer);
	entry = (struct evlog_entry){
		.leaf = buf_slice(&fixture->log.events[EVENTS].leaf),
		.command_id = event.command_id,
		.starts_command = true,
	};
	assert_int_equal(evlog_append(log, EVENTS, &entry, 1, NULL), STATUS_OK);
	report = audit(fixture);
	expect_good(fixture, &report);
	evlog_snapshot_close(snapshot);
	evlog_close(log);
}

static void test_since(void **state)
{
	struct fixture *fixture = *state;
	struct audit_options options = { .threads = 1, .since_size = 40 };
	struct audit_report report;

	root_of(fixture, 40, options.since_root);
	report = audit_with(fixture, &options);
	assert_string_equal(report.message, "");
	assert_int_equal(report.signatures_checked, EVENTS - 40);
	options.since_root[0] ^= 1;
	report = audit_with(fixture, &options);
	assert_string_equal(report.message,
			    "the log is not consistent with the checkpoint of 40 events");
}

static void test_no_log(void **state)
{
	struct fixture *fixture = *state;
	struct audit_options options = { .threads = 1 };
	struct audit_report report = { .events = 4711 };
	struct error err = ERROR_INIT;

	assert_int_equal(fs_remove(fixture->data, NULL), STATUS_OK);
	assert_int_equal(audit_log(fixture->dir, plainly, &options, &report, &err),
			 STATUS_NO_STORE);
	assert_true(err.text[0] != '\0');
	assert_int_equal(report.events, 4711);
}

enum { META_TXN_AT = 144 }; /* as in store/lmdb_file.c */

/* Somebody commits a transaction while the child reads. */
static void commit_meanwhile(void *context, uint64_t done, uint64_t total)
{
	struct fixture *fixture = context;
	uint64_t txn;

	(void)done;
	(void)total;
	memcpy(&txn, fixture->file.data + META_TXN_AT, sizeof(txn));
	txn += 100;
	overwrite(fixture, META_TXN_AT, &txn, sizeof(txn));
}

/* Without a lock, what is found in a log that moves may be the writer's doing: nothing is said. */
static void test_unlocked_log_that_moves(void **state)
{
	static const struct evlog_lmdb_options unlocked = { .read_only = true, .no_lock = true };
	struct fixture *fixture = *state;
	struct audit_options options = { .threads = 1 };
	struct audit_report report = { .events = 4711 };
	struct error err = ERROR_INIT;
	size_t at = leaf_place(fixture, 30) + 10;
	uint8_t flipped = fixture->file.data[at] ^ 1;

	assert_int_equal(audit_log(fixture->dir, unlocked, &options, &report, NULL), STATUS_OK);
	assert_true(report.ok);
	overwrite(fixture, at, &flipped, 1);
	/* Control: it stands still. */
	assert_int_equal(audit_log(fixture->dir, unlocked, &options, &report, NULL), STATUS_OK);
	assert_false(report.ok);
	options.progress = commit_meanwhile;
	options.context = fixture;
	assert_int_equal(audit_log(fixture->dir, unlocked, &options, &report, &err), STATUS_LOCKED);
	assert_non_null(strstr(err.text, "is being written to"));
	/* With a lock it is what it is. */
	put_back(fixture, META_TXN_AT, sizeof(uint64_t));
	assert_int_equal(audit_log(fixture->dir, plainly, &options, &report, NULL), STATUS_OK);
	assert_false(report.ok);
}

struct watcher {
	pthread_t thread;
	pid_t pid;
	unsigned calls;
	uint64_t done;
	uint64_t total;
};

static void watch(void *context, uint64_t done, uint64_t total)
{
	struct watcher *watcher = context;

	watcher->calls +=
		pthread_equal(watcher->thread, pthread_self()) != 0 && watcher->pid == getpid();
	watcher->done = done;
	watcher->total = total;
}

static void test_progress(void **state)
{
	struct fixture *fixture = *state;
	struct watcher watcher = { .thread = pthread_self(), .pid = getpid() };
	struct audit_options options = { .threads = 1, .progress = watch, .context = &watcher };
	struct audit_report report = audit_with(fixture, &options);

	expect_good(fixture, &report);
	assert_true(watcher.calls >= 1);
	assert_int_equal(watcher.done, EVENTS);
	assert_int_equal(watcher.total, EVENTS);
}

/* No child is left behind, dead or alive. */
static void test_no_child_left(void **state)
{
	(void)audit(*state);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Every byte of a leaf, signature included, looked at in this process for speed … */
static void test_each_byte_of_a_leaf(void **state)
{
	enum { SEQ = 30 };
	struct fixture *fixture = *state;
	struct evlog_lmdb_options read_only = { .read_only = true };
	struct audit_options options = { .threads = 1 };
	size_t len = fixture->log.events[SEQ - 1].leaf.len;
	size_t place = leaf_place(fixture, SEQ);

	for (size_t i = 0; i < len; i++) {
		uint8_t flipped = fixture->file.data[place + i] ^ (uint8_t)(1 << (i % 8));
		struct audit_report report;
		struct evlog *log = NULL;

		overwrite(fixture, place + i, &flipped, 1);
		assert_int_equal(evlog_lmdb_open(fixture->dir, read_only, &log, NULL), STATUS_OK);
		assert_int_equal(audit_evlog(log, &options, &report, NULL), STATUS_OK);
		evlog_close(log);
		expect_bad(fixture, &report, SEQ);
		put_back(fixture, place + i, 1);
	}
}

/* … and some bytes of every leaf by a child. */
static void test_a_byte_of_each_leaf(void **state)
{
	struct fixture *fixture = *state;
	struct audit_report report;

	for (uint64_t seq = 1; seq <= EVENTS; seq += 7) {
		size_t len = fixture->log.events[seq - 1].leaf.len;
		size_t place = leaf_place(fixture, seq) + (size_t)seq * 31 % len;
		uint8_t flipped = fixture->file.data[place] ^ 0x10;

		overwrite(fixture, place, &flipped, 1);
		report = audit(fixture);
		expect_bad(fixture, &report, seq);
		put_back(fixture, place, 1);
	}
	report = audit(fixture);
	expect_good(fixture, &report);
}

/* --- files ------------------------------------------------------------------------------------ */

static void test_truncated(void **state)
{
	struct fixture *fixture = *state;
	static const off_t sizes[] = { 0, 1, 4095, 4096, 8191, 8192, 12288, 20480 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct audit_report report;

		assert_true((size_t)sizes[i] < fixture->file.len);
		assert_int_equal(truncate(fixture->data, sizes[i]), 0);
		report = audit(fixture);
		assert_false(report.ok);
		assert_int_equal(report.first_bad, 0);
		assert_int_equal(report.valid_size, 0);
		assert_true(report.message[0] != '\0');
		overwrite(fixture, 0, fixture->file.data, fixture->file.len);
	}
}

static void test_not_a_log(void **state)
{
	struct fixture *fixture = *state;
	uint8_t page[PAGE_BYTES];
	struct audit_report report;

	memset(page, 'x', sizeof(page));
	overwrite(fixture, 0, page, sizeof(page));
	overwrite(fixture, sizeof(page), page, sizeof(page));
	report = audit(fixture);
	assert_false(report.ok);
	assert_true(report.message[0] != '\0');
}

/* The least event whose leaf lies in page @page; 0 when there is none. */
static uint64_t first_event_in(const struct fixture *fixture, size_t page)
{
	for (uint64_t seq = 1; seq <= fixture->log.count; seq++) {
		if (leaf_place(fixture, seq) / PAGE_BYTES == page)
			return seq;
	}
	return 0;
}

static bool in_last_leaf_page(const struct fixture *fixture, size_t page)
{
	return leaf_place(fixture, fixture->log.count) / PAGE_BYTES == page;
}

/*
 * Each page filled with each kind of rubbish. A page that holds leaves has to be told by its first
 * event, but for the last one, which cannot be opened without.
 */
static void test_rubbish_pages(void **state)
{
	static const uint8_t fillings[] = { 0x00, 0xff, 0x11 };
	struct fixture *fixture = *state;
	uint8_t rubbish[PAGE_BYTES];
	unsigned deaths = 0;

	for (size_t page = 0; page < fixture->file.len / PAGE_BYTES; page++) {
		uint64_t bad = first_event_in(fixture, page);
		uint8_t filling = fillings[page % sizeof(fillings)];
		struct audit_report report;

		memset(rubbish, filling, sizeof(rubbish));
		overwrite(fixture, page * PAGE_BYTES, rubbish, sizeof(rubbish));
		report = audit(fixture);
		if (report.ok) /* a page that is not in use */
			expect_good(fixture, &report);
		else
			deaths += strstr(report.message, "the audit was stopped by SIG") != NULL;
		if (bad && !in_last_leaf_page(fixture, page))
			expect_bad(fixture, &report, bad);
		else if (bad)
			assert_false(report.ok);
		put_back(fixture, page * PAGE_BYTES, sizeof(rubbish));
	}
	/* Else this test would be of less than it says. */
	assert_true(deaths > 0);
}

/* Where a leaf page of LMDB keeps what is broken below. */
enum {
	PAGE_LOWER_AT = 12,    /* u16: end of the list of nodes */
	PAGE_POINTERS_AT = 16, /* u16 each: where in the page the node begins */
};

/* An event on the page nearest to the end of the file, but for the page of the last event. */
static uint64_t event_near_end(const struct fixture *fixture)
{
	size_t last_page = leaf_place(fixture, fixture->log.count) / PAGE_BYTES;
	size_t nearest = 0;
	uint64_t near = 1;

	/* Several events share a page; one of each will do. */
	for (uint64_t seq = 1; seq <= fixture->log.count; seq += 5) {
		size_t page = leaf_place(fixture, seq) / PAGE_BYTES;

		if (page > nearest && page != last_page) {
			nearest = page;
			near = seq;
		}
	}
	return near;
}

/*
 * Make the page that holds event @seq one that LMDB believes and dies of: its list of nodes ends
 * 64 KiB behind it, and so do the nodes, which near the end of the file is behind that, too.
 * Returns the first event of that page.
 */
static uint64_t make_deadly(const struct fixture *fixture, uint64_t seq)
{
	size_t page = leaf_place(fixture, seq) / PAGE_BYTES;
	uint8_t deadly[PAGE_BYTES];

	assert_false(in_last_leaf_page(fixture, page));
	memcpy(deadly, fixture->file.data + page * PAGE_BYTES, sizeof(deadly));
	memset(deadly + PAGE_LOWER_AT, 0xff, 2);
	memset(deadly + PAGE_POINTERS_AT, 0xff, 64);
	overwrite(fixture, page * PAGE_BYTES, deadly, sizeof(deadly));
	return first_event_in(fixture, page);
}

static void expect_death(const struct fixture *fixture, const struct audit_report *report,
			 uint64_t bad)
{
	expect_bad(fixture, report, bad);
	assert_non_null(strstr(report->message, "the log's page cannot be read (the audit was "
						"stopped by SIG"));
}

static void test_deadly_page(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = make_deadly(fixture, event_near_end(fixture));
	struct audit_report report = audit(fixture);

	expect_death(fixture, &report, bad);
}

/* Many threads were at many events: which of them was the one? */
static void test_deadly_page_and_threads(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = make_deadly(fixture, event_near_end(fixture));
	struct audit_options options = { .threads = 4 };
	struct audit_report report = audit_with(fixture, &options);
	size_t place = leaf_place(fixture, 2000);
	uint8_t flipped = fixture->file.data[place + 150] ^ 1;

	assert_true(bad > 2048);
	expect_death(fixture, &report, bad);
	/* An earlier fault that kills nobody is worth more. */
	overwrite(fixture, place + 150, &flipped, 1);
	report = audit_with(fixture, &options);
	expect_bad(fixture, &report, 2000);
	assert_null(strstr(report.message, "the audit was stopped"));
}

/* --- tables ----------------------------------------------------------------------------------- */

/* A change of one table by somebody who knows LMDB, and what the transaction has to leave behind.
 */
struct table_change {
	const char *table;
	MDB_val key;
	MDB_val value; /* mv_data NULL: remove the row */
};

static MDB_val val(void *data, size_t len)
{
	return (MDB_val){ .mv_data = data, .mv_size = len };
}

static void change_table(const struct fixture *fixture, struct table_change *change)
{
	uint8_t id[8];
	char name[] = "txn";
	MDB_val txn_key = val(name, 3);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi, meta;
	MDB_val txn_value = val(id, sizeof(id));

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, TABLES), 0);
	assert_int_equal(mdb_env_open(env, fixture->dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, change->table, 0, &dbi), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
	if (change->value.mv_data)
		assert_int_equal(mdb_put(txn, dbi, &change->key, &change->value, 0), 0);
	else
		assert_int_equal(mdb_del(txn, dbi, &change->key, NULL), 0);
	store_u64be(id, mdb_txn_id(txn));
	assert_int_equal(mdb_put(txn, meta, &txn_key, &txn_value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static struct audit_report audit_changed(const struct fixture *fixture, const char *table,
					 MDB_val key, MDB_val value)
{
	struct table_change change = { .table = table, .key = key, .value = value };

	change_table(fixture, &change);
	return audit(fixture);
}

static void test_removed_leaf(void **state)
{
	struct fixture *fixture = *state;
	uint8_t seq[8];
	struct audit_report report;

	store_u64be(seq, 33);
	report = audit_changed(fixture, "events", val(seq, 8), val(NULL, 0));
	expect_bad(fixture, &report, 33);
	assert_string_equal(report.message,
			    "event 33: is missing from the table events of the log");
}

/* Copied from another place, where it was right. */
static void test_moved_leaf(void **state)
{
	struct fixture *fixture = *state;
	struct buf *leaf = &fixture->log.events[10].leaf;
	uint8_t seq[8];
	struct audit_report report;

	store_u64be(seq, 12);
	report = audit_changed(fixture, "events", val(seq, 8), val(leaf->data, leaf->len));
	expect_bad(fixture, &report, 12);
	assert_string_equal(report.message, "event 12: it says it is event 11");
}

static void test_changed_row(void **state)
{
	struct fixture *fixture = *state;
	uint8_t seq[8], row[HASH_BYTES] = { 0 };
	struct audit_report report;

	store_u64be(seq, 21);
	report = audit_changed(fixture, "tree", val(seq, 8), val(row, sizeof(row)));
	expect_bad(fixture, &report, 21);
	assert_string_equal(report.message, "event 21: the stored tree nodes do not match");
}

static void test_added_row(void **state)
{
	struct fixture *fixture = *state;
	uint8_t seq[8], row[HASH_BYTES] = { 0 };
	struct audit_report report;

	store_u64be(seq, EVENTS + 1);
	report = audit_changed(fixture, "tree", val(seq, 8), val(row, sizeof(row)));
	assert_false(report.ok);
	assert_int_equal(report.first_bad, 0);
	assert_int_equal(report.valid_size, EVENTS);
	assert_string_equal(report.message,
			    "the table of tree nodes holds 61 entries instead of 60");
}

static void test_removed_command(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *id = fixture->log.events[16].command_id;
	struct audit_report report =
		audit_changed(fixture, "commands", val(id, COMMAND_ID_BYTES), val(NULL, 0));

	expect_bad(fixture, &report, 17);
	assert_string_equal(report.message, "event 17: its command is not in the command index");
}

static void test_added_command(void **state)
{
	struct fixture *fixture = *state;
	uint8_t id[COMMAND_ID_BYTES] = { 1 }, seq[8];
	struct audit_report report;

	store_u64be(seq, 17);
	report = audit_changed(fixture, "commands", val(id, sizeof(id)), val(seq, 8));
	assert_false(report.ok);
	assert_int_equal(report.first_bad, 0);
	assert_string_equal(report.message, "the command index holds 61 entries instead of 60");
}

static void test_added_to_registry(void **state)
{
	struct fixture *fixture = *state;
	uint8_t seq[8], nothing[1] = { 0 };
	struct audit_report report;

	store_u64be(seq, 9);
	report = audit_changed(fixture, "registry", val(seq, 8), val(nothing, 0));
	expect_bad(fixture, &report, 9);
}

/* --- an auditor that is stopped --------------------------------------------------------------- */

struct killer {
	int signal_number;
	bool unable;
	bool done;
};

/* The only child of this process is the auditor. */
static pid_t find_child(void)
{
	struct buf list = BUF_INIT;
	char path[64];
	pid_t pid = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fs_read_fd(fd, path, 4096, &list, NULL) == STATUS_OK)
		pid = (pid_t)strtol(buf_str(&list), NULL, 10);
	if (fd >= 0)
		assert_int_equal(close(fd), 0);
	buf_release(&list);
	return pid;
}

static void kill_auditor(void *context, uint64_t done, uint64_t total)
{
	struct killer *killer = context;
	pid_t child;

	(void)done;
	(void)total;
	if (killer->done)
		return;
	killer->done = true;
	child = find_child();
	killer->unable = child <= 0;
	if (child > 0)
		(void)kill(child, killer->signal_number);
}

/* That somebody stopped the audit says nothing about the log. */
static void test_stopped(void **state)
{
	static const struct {
		int signal_number;
		enum status status;
		const char *text;
	} stops[] = {
		{ SIGTERM, STATUS_INTERRUPTED, "the audit was interrupted" },
		{ SIGINT, STATUS_INTERRUPTED, "the audit was interrupted" },
		{ SIGKILL, STATUS_IO, "the audit was killed by SIGKILL" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		struct killer killer = { .signal_number = stops[i].signal_number };
		struct audit_options options = { .threads = 1,
						 .progress = kill_auditor,
						 .context = &killer };
		struct audit_report report = { .events = 4711 };
		struct error err = ERROR_INIT;
		enum status status = audit_log(fixture->dir, plainly, &options, &report, &err);

		if (killer.unable)
			skip();
		assert_int_equal(status, stops[i].status);
		assert_string_equal(err.text, stops[i].text);
		assert_int_equal(report.events, 4711);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right, setup, teardown),
		cmocka_unit_test_setup_teardown(test_while_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unlocked_log_that_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_child_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_byte_of_a_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_byte_of_each_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rubbish_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadly_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadly_page_and_threads, setup_blocks,
						teardown),
		cmocka_unit_test_setup_teardown(test_removed_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_leaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_row, setup, teardown),
		cmocka_unit_test_setup_teardown(test_added_row, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_added_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_added_to_registry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup_blocks, teardown),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
