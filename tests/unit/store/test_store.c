/*
 * A store: made, opened, locked and appended to, by one process and by several.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/event_reader.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/registry.h"
#include "store/signer.h"
#include "store/store.h"
#include "unit/base/scratch.h"
#include "unit/store/store_fixture.h"

#include "base/banned.h"

static void assert_mode(const char *path, mode_t mode)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, mode);
}

enum {
	NOBODY = 65534,
	EXIT_SKIPPED = 77,
};

/* --- making and opening ----------------------------------------------------------------------- */

static void a_store_is_made_and_opened_again(void **state)
{
	struct fixture *fixture = *state;
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct store *store = NULL;
	struct evlog_snapshot *snapshot = NULL;
	struct head_record record;
	uint8_t root[HASH_BYTES];

	make_store(fixture, 3);
	assert_mode(fixture->path, 0700);
	assert_mode(fixture->head, 0600);
	store = reopen(fixture);
	assert_string_equal(store_path(store), fixture->path);
	assert_mode(store_vault_dir(store), 0700);
	assert_mode(store_state_dir(store), 0700);
	assert_int_equal(store_registry(store)->key_count, 1);
	assert_string_equal(store_registry(store)->keys[0].name, "op@test");
	assert_memory_equal(store_registry(store)->log_key, fixture->log_key.public_key,
			    PUBLIC_KEY_BYTES);
	assert_int_equal(store_loss(store)->evidence, EVIDENCE_NONE);
	assert_null(store_evidence_note(store));
	assert_int_equal(evlog_snapshot_open(store_log(store), &snapshot, NULL), STATUS_OK);
	assert_int_equal(snapshot->size, 3);
	assert_int_equal(evlog_root(snapshot, 3, root, NULL), STATUS_OK);
	evlog_snapshot_close(snapshot);
	assert_int_equal(headfile_read(fixture->head, &record, NULL), STATUS_OK);
	assert_int_equal(record.size, 3);
	assert_memory_equal(record.root, root, HASH_BYTES);
	assert_memory_equal(record.log_id, store_log_id(store), LOG_ID_BYTES);
	store_close(store);
	checkpoint_path(fixture, &path);
	assert_int_equal(headfile_read(buf_str(&path), &record, NULL), STATUS_OK);
	assert_int_equal(record.size, 3);
	assert_memory_equal(record.root, root, HASH_BYTES);
}

static void no_store_is_no_store(void **state)
{
	struct fixture *fixture = *state;

	refused(fixture, STATUS_NO_STORE, "", "");
	store_close(NULL);
}

static void an_unfinished_init_is_taken_over(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(store_create(fixture->path, &store, NULL), STATUS_OK);
	store_close(store);
	refused(fixture, STATUS_NO_STORE, "never finished", "init");
	store = NULL;
	assert_int_equal(store_create(fixture->path, &store, &err), STATUS_OK);
	assert_int_equal(err.status, STATUS_OK);
	found(fixture, store);
	store_close(store);
	store = NULL;
	assert_int_equal(store_create(fixture->path, &store, &err), STATUS_CONFLICT);
	assert_null(store);
	assert_non_null(strstr(err.text, "already"));
	store = reopen(fixture);
	assert_int_equal(size_of(store), 1);
	store_close(store);
}

/* A new log must not grow where an acknowledged one was. */
static void a_store_that_lost_its_log_is_not_taken_over(void **state)
{
	struct fixture *fixture = *state;
	struct buf log AUTO(buf_release) = BUF_INIT;
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	make_store(fixture, 2);
	fs_join(&log, fixture->path, "log");
	assert_int_equal(fs_remove_tree(buf_str(&log), NULL), STATUS_OK);
	assert_int_equal(store_create(fixture->path, &store, &err), STATUS_CONFLICT);
	assert_null(store);
	assert_non_null(strstr(err.text, "2 events whose log is gone"));
	/* The attempt left an empty log: that it lost everything stays known. */
	refused(fixture, STATUS_CORRUPT, "lost events 1..2", "restore the log");
}

/* --- appending -------------------------------------------------------------------------------- */

enum { PARTS = 3 };

static void check_part(const struct fixture *fixture, struct event_reader *reader, uint64_t seq,
		       const struct store_command *command, uint8_t *hash)
{
	const struct read_event *read;
	const struct event *event;
	struct slice leaf;
	struct slice bytes;
	const uint8_t *signature;

	assert_int_equal(event_reader_get(reader, seq, &read, NULL), STATUS_OK);
	event = &read->decoded.event;
	assert_int_equal(event->seq, seq);
	assert_int_equal(event->part, seq - 1);
	assert_int_equal(event->parts, PARTS);
	assert_memory_equal(event->prev, hash, HASH_BYTES);
	assert_memory_equal(event->command_id, command->command_id, COMMAND_ID_BYTES);
	assert_memory_equal(event->key_id, fixture->founder.key_id, KEY_ID_BYTES);
	assert_int_equal(event->time_ms, command->claimed_ms);
	assert_int_equal(event->claimed_ms, command->claimed_ms);
	assert_true(slice_equal_str(event->reason, "because"));
	assert_int_equal(evlog_leaf(event_reader_snapshot(reader), seq, &leaf, NULL), STATUS_OK);
	assert_true(leaf_split(leaf, &bytes, &signature));
	assert_true(leaf_verify(bytes, signature, fixture->founder.public_key));
	memcpy(hash, read->leaf_hash, HASH_BYTES);
}

static void a_command_of_many_parts_is_one_chain(void **state)
{
	struct fixture *fixture = *state;
	struct evlog_snapshot *snapshot = NULL;
	struct event_reader *reader = NULL;
	struct payload payloads[PARTS];
	struct store_command command;
	struct store_receipt receipt = { .last_seq = 0 };
	struct store *store;
	uint8_t hash[HASH_BYTES];
	uint64_t seq;

	make_store(fixture, 1);
	store = reopen(fixture);
	category_payload("a", &payloads[0]);
	category_payload("b", &payloads[1]);
	category_payload("c", &payloads[2]);
	command = command_of(payloads, PARTS);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(receipt.first_seq, 2);
	assert_int_equal(receipt.last_seq, 4);
	assert_int_equal(receipt.time_ms, command.claimed_ms);
	assert_int_equal(evlog_snapshot_open(store_log(store), &snapshot, NULL), STATUS_OK);
	assert_int_equal(evlog_leaf_hash(snapshot, 1, hash, NULL), STATUS_OK);
	assert_memory_equal(hash, store_log_id(store), LOG_ID_BYTES);
	assert_int_equal(event_reader_new(snapshot, &reader, NULL), STATUS_OK);
	for (seq = 2; seq <= 4; seq++)
		check_part(fixture, reader, seq, &command, hash);
	assert_memory_equal(hash, receipt.leaf_hash, HASH_BYTES);
	assert_int_equal(evlog_command(snapshot, command.command_id, &seq, NULL), STATUS_OK);
	assert_int_equal(seq, 2);
	event_reader_free(reader);
	evlog_snapshot_close(snapshot);
	store_close(store);
	assert_int_equal(recorded_size(fixture->head), 4);
}

/* The first command may go on after store.created; its later events know the log's id. */
static void the_first_command_may_have_parts(void **state)
{
	struct fixture *fixture = *state;
	struct evlog_snapshot *snapshot = NULL;
	struct event_reader *reader = NULL;
	const struct read_event *read;
	struct payload payloads[2];
	struct store_command command;
	struct store_receipt receipt = { .last_seq = 0 };
	struct store *store = NULL;
	uint8_t zeros[HASH_BYTES] = { 0 };

	assert_int_equal(store_create(fixture->path, &store, NULL), STATUS_OK);
	created_payload(fixture, &payloads[0]);
	category_payload("a", &payloads[1]);
	command = command_of(payloads, 2);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(store_registry(store)->key_count, 1);
	assert_int_equal(evlog_snapshot_open(store_log(store), &snapshot, NULL), STATUS_OK);
	assert_int_equal(event_reader_new(snapshot, &reader, NULL), STATUS_OK);
	assert_int_equal(event_reader_get(reader, 1, &read, NULL), STATUS_OK);
	assert_memory_equal(read->decoded.event.log_id, zeros, LOG_ID_BYTES);
	assert_memory_equal(read->decoded.event.prev, zeros, HASH_BYTES);
	assert_int_equal(event_reader_get(reader, 2, &read, NULL), STATUS_OK);
	assert_memory_equal(read->decoded.event.log_id, store_log_id(store), LOG_ID_BYTES);
	event_reader_free(reader);
	evlog_snapshot_close(snapshot);
	store_close(store);
}

static void time_never_decreases(void **state)
{
	struct fixture *fixture = *state;
	struct store_receipt first;
	struct store_receipt second;
	struct store *store;

	make_store(fixture, 1);
	store = reopen(fixture);
	fixture->clock_ms += 5000;
	first = append_one(fixture, store);
	assert_int_equal(first.time_ms, fixture->clock_ms);
	fixture->clock_ms -= 3600000;
	second = append_one(fixture, store);
	assert_int_equal(second.time_ms, first.time_ms);
	fixture->clock_ms = first.time_ms + 1;
	assert_int_equal(append_one(fixture, store).time_ms, first.time_ms + 1);
	store_close(store);
}

static void a_command_is_taken_once(void **state)
{
	struct fixture *fixture = *state;
	struct store_receipt receipt = { .last_seq = 0 };
	struct store_receipt untouched;
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	make_store(fixture, 1);
	store = reopen(fixture);
	category_payload("a", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	untouched = receipt;
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err),
			 STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "used already, by event 2"));
	assert_memory_equal(&receipt, &untouched, sizeof(receipt));
	assert_int_equal(size_of(store), 2);
	store_close(store);
}

static void a_log_that_moved_is_a_conflict(void **state)
{
	struct fixture *fixture = *state;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	make_store(fixture, 3);
	store = reopen(fixture);
	category_payload("a", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(store_lock(store, WAIT_MS, NULL), STATUS_OK);
	assert_int_equal(store_append(store, &fixture->founder, 2, &command, &receipt, &err),
			 STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "holds 3 events, not 2"));
	assert_int_equal(store_append(store, &fixture->founder, 4, &command, &receipt, NULL),
			 STATUS_CONFLICT);
	assert_int_equal(store_append(store, &fixture->founder, 3, &command, &receipt, NULL),
			 STATUS_OK);
	store_close(store);
}

/* A leaf that says it is part 1 of 2, put into the log past store_append(). */
static void append_half_a_command(const struct fixture *fixture, struct store *store)
{
	struct buf leaf AUTO(buf_release) = BUF_INIT;
	struct event event = { .seq = 2, .part = 1, .parts = 2 };
	struct evlog_entry entry = { .command_id = event.command_id, .starts_command = true };
	struct evlog_snapshot *snapshot = NULL;

	category_payload("half", &event.payload);
	memcpy(event.log_id, store_log_id(store), LOG_ID_BYTES);
	memcpy(event.key_id, fixture->founder.key_id, KEY_ID_BYTES);
	assert_int_equal(evlog_snapshot_open(store_log(store), &snapshot, NULL), STATUS_OK);
	assert_int_equal(evlog_leaf_hash(snapshot, 1, event.prev, NULL), STATUS_OK);
	evlog_snapshot_close(snapshot);
	assert_int_equal(event_encode(&event, &leaf, NULL), STATUS_OK);
	assert_int_equal(leaf_sign(&fixture->founder, &leaf, NULL), STATUS_OK);
	entry.leaf = buf_slice(&leaf);
	assert_int_equal(evlog_append(store_log(store), 1, &entry, 1, NULL), STATUS_OK);
}

static void nothing_follows_half_a_command(void **state)
{
	struct fixture *fixture = *state;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	make_store(fixture, 1);
	store = reopen(fixture);
	append_half_a_command(fixture, store);
	category_payload("a", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err),
			 STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "event 2 is the last one"));
	assert_int_equal(size_of(store), 2);
	store_close(store);
}

static void only_enrolled_keys_sign(void **state)
{
	struct fixture *fixture = *state;
	struct signer stranger AUTO(signer_release) = SIGNER_INIT;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store = NULL;

	assert_int_equal(signer_generate("op@test", &stranger, NULL), STATUS_OK);
	assert_int_equal(store_create(fixture->path, &store, NULL), STATUS_OK);
	created_payload(fixture, &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &stranger, &command, &receipt, &err), STATUS_WRONG_KEY);
	assert_int_equal(size_of(store), 0);
	found(fixture, store);
	category_payload("a", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &stranger, &command, &receipt, &err), STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "op@test is not enrolled"));
	assert_int_equal(size_of(store), 1);
	/* The key id alone does not make it the key. */
	memcpy(stranger.key_id, fixture->founder.key_id, KEY_ID_BYTES);
	assert_int_equal(append(store, &stranger, &command, &receipt, NULL), STATUS_WRONG_KEY);
	store_close(store);
}

static void an_event_out_of_its_limits_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	make_store(fixture, 1);
	store = reopen(fixture);
	category_payload("no such name!", &payload);
	command = command_of(&payload, 1);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err), STATUS_USAGE);
	assert_int_equal(size_of(store), 1);
	store_close(store);
}

enum { MANY_PARTS = 300 };

static void a_command_out_of_its_limits_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct payload *payloads AUTO_FREE = calloc(COMMAND_PARTS_MAX + 1, sizeof(*payloads));
	char *value AUTO_FREE = malloc(VALUE_BYTES_MAX);
	struct change change = { .op = CHANGE_SET };
	struct store_receipt receipt = { .last_seq = 0 };
	struct store_command command;
	struct error err = ERROR_INIT;
	struct store *store;

	assert_non_null(payloads);
	assert_non_null(value);
	memset(value, 'x', VALUE_BYTES_MAX);
	change.profile = slice_str("default");
	change.key = slice_str("K");
	change.value = slice_of(value, VALUE_BYTES_MAX);
	for (size_t i = 0; i < MANY_PARTS; i++) {
		payload_init(&payloads[i], EVENT_VARIABLES_CHANGED);
		payload_str(&payloads[i], FIELD_ENVIRONMENT, "development");
		payload_changes(&payloads[i], FIELD_CHANGES,
				(struct changes){ .entries = &change, .count = 1 });
	}
	make_store(fixture, 1);
	store = reopen(fixture);
	command = command_of(payloads, MANY_PARTS);
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "8388608 bytes"));
	command.count = COMMAND_PARTS_MAX + 1;
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "16384"));
	command.count = 100;
	assert_int_equal(append(store, &fixture->founder, &command, &receipt, NULL), STATUS_OK);
	assert_int_equal(receipt.last_seq, 101);
	store_close(store);
}

/* --- other processes -------------------------------------------------------------------------- */

/* Wait for a byte, or for the other side to be gone. */
static void await(int fd)
{
	char byte;

	(void)!read(fd, &byte, 1);
}

static void tell(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static int exit_code_of(pid_t child)
{
	int how = 0;

	assert_int_equal(waitpid(child, &how, 0), child);
	return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static void the_write_lock_keeps_others_out(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct store *store;
	int pipes[2];
	pid_t child;

	make_store(fixture, 1);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		store = reopen(fixture);
		if (store_lock(store, 0, NULL))
			_exit(1);
		tell(pipes[1]);
		(void)pause();
		_exit(0);
	}
	await(pipes[0]);
	store = reopen(fixture);
	assert_int_equal(store_lock(store, 50, &err), STATUS_LOCKED);
	assert_non_null(strstr(err.text, "write lock"));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(exit_code_of(child), -SIGKILL);
	assert_int_equal(store_lock(store, 50, NULL), STATUS_OK);
	store_unlock(store);
	store_unlock(store);
	assert_int_equal(store_lock(store, 0, NULL), STATUS_OK);
	store_close(store);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

enum {
	WRITERS = 4,
	WRITES_EACH = 5,
};

static void many_writers_all_succeed(void **state)
{
	struct fixture *fixture = *state;
	pid_t children[WRITERS];
	struct store *store;

	make_store(fixture, 1);
	for (size_t i = 0; i < WRITERS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			store = reopen(fixture);
			for (size_t n = 0; n < WRITES_EACH; n++)
				(void)append_one(fixture, store);
			store_close(store);
			_exit(0);
		}
	}
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(exit_code_of(children[i]), 0);
	store = reopen(fixture);
	assert_int_equal(size_of(store), 1 + WRITERS * WRITES_EACH);
	assert_null(store_evidence_note(store));
	store_close(store);
	assert_int_equal(recorded_size(fixture->head), 1 + WRITERS * WRITES_EACH);
}

/* Append store.recovered, as another process would. */
static void recover(struct fixture *fixture)
{
	struct store *store = reopen(fixture);
	struct store_loss loss = { .expected_size = 1 };
	struct payload payload;
	struct store_command command;
	struct store_receipt receipt = { .last_seq = 0 };

	recovered_payload(&loss, &payload);
	command = command_of(&payload, 1);
	if (append(store, &fixture->founder, &command, &receipt, NULL))
		_exit(1);
	store_close(store);
	_exit(0);
}

static void a_refresh_takes_in_what_others_enrolled(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;
	int pipes[2];
	pid_t child;

	make_store(fixture, 1);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		await(pipes[0]);
		recover(fixture);
	}
	store = reopen(fixture);
	tell(pipes[1]);
	assert_int_equal(exit_code_of(child), 0);
	assert_int_equal(store_registry(store)->generation_count, 1);
	assert_int_equal(store_refresh(store, NULL), STATUS_OK);
	assert_int_equal(store_registry(store)->generation_count, 2);
	assert_int_equal(store_refresh(store, NULL), STATUS_OK);
	assert_int_equal(store_registry(store)->generation_count, 2);
	store_close(store);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void a_crash_after_the_commit_loses_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;
	pid_t child;

#ifndef PROVENV_TEST_HOOKS
	skip(); /* needs a fault point */
#endif
	make_store(fixture, 2);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		set_environment("PROVENV_FAULT", "store.acknowledge:crash");
		store = reopen(fixture);
		(void)append_one(fixture, store);
		_exit(0);
	}
	assert_int_equal(exit_code_of(child), -SIGKILL);
	assert_int_equal(recorded_size(fixture->head), 2);
	store = reopen(fixture);
	assert_int_equal(size_of(store), 3);
	assert_null(store_evidence_note(store));
	assert_int_equal(recorded_size(fixture->head), 3);
	(void)append_one(fixture, store);
	store_close(store);
}

static void a_store_may_be_reached_over_a_link(void **state)
{
	struct fixture *fixture = *state;
	char path[SCRATCH_PATH_MAX + 16];
	struct store *store = NULL;

	make_store(fixture, 1);
	(void)snprintf(path, sizeof(path), "%s/link", fixture->dir);
	assert_int_equal(symlink(fixture->path, path), 0);
	assert_int_equal(
		store_open(path, (struct store_options){ .read_only = false }, &store, NULL),
		STATUS_OK);
	assert_int_equal(append_one(fixture, store).last_seq, 2);
	store_close(store);
	assert_int_equal(recorded_size(fixture->head), 2);
}

/* --- without permission to write -------------------------------------------------------------- */

static void take_permissions(const struct fixture *fixture, bool away)
{
	static const char *const dirs[] = { "", "/log" };
	static const char *const files[] = { "/head", "/log/data.mdb", "/log/lock.mdb" };
	char path[SCRATCH_PATH_MAX + 32];

	assert_int_equal(chmod(fixture->dir, away ? 0755 : 0700), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", fixture->path, files[i]);
		assert_int_equal(chmod(path, away ? 0444 : 0600), 0);
	}
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", fixture->path, dirs[i]);
		assert_int_equal(chmod(path, away ? 0555 : 0700), 0);
	}
}

/* As a user whom permissions bind. */
static void read_without_permission(const struct fixture *fixture)
{
	struct error err = ERROR_INIT;
	struct store *store;

	if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
		_exit(EXIT_SKIPPED);
	store = reopen(fixture);
	if (size_of(store) != 2)
		_exit(2);
	if (store_lock(store, 0, &err) != STATUS_IO || !strstr(err.text, "cannot be written"))
		_exit(3);
	store_close(store);
	_exit(0);
}

static void a_store_without_permission_to_write_is_read(void **state)
{
	struct fixture *fixture = *state;
	pid_t child;
	int code;

	make_store(fixture, 2);
	take_permissions(fixture, true);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		read_without_permission(fixture);
	code = exit_code_of(child);
	take_permissions(fixture, false);
	if (code == EXIT_SKIPPED) {
		print_message("SKIPPED: cannot become a user without permissions\n");
		skip();
	}
	assert_int_equal(code, 0);
	assert_int_equal(recorded_size(fixture->head), 2);
}

enum { META_TXN_AT = 144 }; /* as in store/lmdb_file.c */

/* Put the number of the last transaction into the data file, as if somebody had committed. */
static bool set_transaction(int fd, uint64_t txn)
{
	return pwrite(fd, &txn, sizeof(txn), META_TXN_AT) == (ssize_t)sizeof(txn);
}

/* As a user who may not write lock.mdb. @fd was opened before. */
static void read_while_it_moves(const struct fixture *fixture, int fd)
{
	struct error err = ERROR_INIT;
	struct store *store;

	if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
		_exit(EXIT_SKIPPED);
	store = reopen(fixture);
	if (store_check_unmoved(store, &err))
		_exit(2);
	if (!set_transaction(fd, 1000))
		_exit(3);
	if (store_check_unmoved(store, &err) != STATUS_LOCKED ||
	    !strstr(err.text, "is being written to"))
		_exit(4);
	store_close(store);
	_exit(0);
}

/* Without the lock nothing keeps the pages that are read: damage that is met may be none. */
static void a_log_that_moves_under_a_reader_without_lock(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;
	uint64_t txn = 0;
	pid_t child;
	int code, fd;

	make_store(fixture, 2);
	fd = open(fixture->data, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &txn, sizeof(txn), META_TXN_AT), sizeof(txn));
	/* With the lock it may move as it likes. */
	store = open_store(fixture, (struct store_options){ .read_only = true });
	assert_true(set_transaction(fd, 1000));
	assert_int_equal(store_check_unmoved(store, NULL), STATUS_OK);
	assert_true(set_transaction(fd, txn));
	store_close(store);
	take_permissions(fixture, true);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		read_while_it_moves(fixture, fd);
	code = exit_code_of(child);
	take_permissions(fixture, false);
	assert_int_equal(close(fd), 0);
	if (code == EXIT_SKIPPED) {
		print_message("SKIPPED: cannot become a user without permissions\n");
		skip();
	}
	assert_int_equal(code, 0);
}

static void read_only_never_locks(void **state)
{
	struct fixture *fixture = *state;
	struct store *store;

	make_store(fixture, 1);
	store = open_store(fixture, (struct store_options){ .read_only = true });
	assert_int_equal(store_lock(store, 0, NULL), STATUS_IO);
	store_close(store);
}

static int setup_group(void **state)
{
	(void)state;
	return secret_init_process(NULL) ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_is_made_and_opened_again),
		TEST(no_store_is_no_store),
		TEST(an_unfinished_init_is_taken_over),
		TEST(a_store_that_lost_its_log_is_not_taken_over),
		TEST(a_command_of_many_parts_is_one_chain),
		TEST(the_first_command_may_have_parts),
		TEST(time_never_decreases),
		TEST(a_command_is_taken_once),
		TEST(a_log_that_moved_is_a_conflict),
		TEST(nothing_follows_half_a_command),
		TEST(only_enrolled_keys_sign),
		TEST(an_event_out_of_its_limits_is_refused),
		TEST(a_command_out_of_its_limits_is_refused),
		TEST(the_write_lock_keeps_others_out),
		TEST(many_writers_all_succeed),
		TEST(a_refresh_takes_in_what_others_enrolled),
		TEST(a_crash_after_the_commit_loses_nothing),
		TEST(a_store_may_be_reached_over_a_link),
		TEST(a_store_without_permission_to_write_is_read),
		TEST(a_log_that_moves_under_a_reader_without_lock),
		TEST(read_only_never_locks),
	};

	return cmocka_run_group_tests(tests, setup_group, NULL);
}
