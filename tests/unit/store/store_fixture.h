/*
 * A store for tests, under a scratch directory of its own that also holds the user's checkpoints;
 * and commands to fill it with.
 *
 * Use fixture_setup() and fixture_teardown() as cmocka's per-test fixtures; *state is the fixture.
 * Whoever needs a second process forks before it opens the store.
 */
#ifndef PROVENV_TESTS_UNIT_STORE_STORE_FIXTURE_H
#define PROVENV_TESTS_UNIT_STORE_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "store/event.h"
#include "store/evlog.h"
#include "store/headfile.h"
#include "store/paths.h"
#include "store/signer.h"
#include "store/store.h"
#include "unit/base/scratch.h"

enum {
	LOG_BYTES_MAX = 64 * 1024 * 1024,
	WAIT_MS = 10 * 1000,
};

struct fixture {
	char dir[SCRATCH_PATH_MAX];
	char path[SCRATCH_PATH_MAX + 16]; /* the store */
	char head[SCRATCH_PATH_MAX + 32];
	char data[SCRATCH_PATH_MAX + 32];
	struct signer founder;
	struct signer log_key;
	uint64_t clock_ms;
	unsigned named; /* categories given a name so far */
};

static inline uint64_t fixture_clock(void *context)
{
	return ((struct fixture *)context)->clock_ms;
}

/* Only while there is one thread. */
static inline void set_environment(const char *name, const char *value)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	void *dir = NULL;
	char home[SCRATCH_PATH_MAX + 16];

	*state = fixture;
	if (!fixture || scratch_setup(&dir)) {
		free(dir);
		return -1;
	}
	memcpy(fixture->dir, dir, SCRATCH_PATH_MAX);
	free(dir);
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/store", fixture->dir);
	(void)snprintf(fixture->head, sizeof(fixture->head), "%s/head", fixture->path);
	(void)snprintf(fixture->data, sizeof(fixture->data), "%s/log/data.mdb", fixture->path);
	(void)snprintf(home, sizeof(home), "%s/home", fixture->dir);
	set_environment("XDG_STATE_HOME", home);
	fixture->clock_ms = 1767323045000;
	clock_set_source(fixture_clock, fixture);
	return signer_generate("op@test", &fixture->founder, NULL) ||
			       signer_generate("log", &fixture->log_key, NULL)
		       ? -1
		       : 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	enum status status = fs_remove_tree(fixture->dir, NULL);

	set_environment("PROVENV_FAULT", NULL);
	clock_set_source(NULL, NULL);
	signer_release(&fixture->founder);
	signer_release(&fixture->log_key);
	free(fixture);
	return status ? -1 : 0;
}

/* --- commands --------------------------------------------------------------------------------- */

static inline void created_payload(const struct fixture *fixture, struct payload *ret)
{
	static uint8_t nonce[HASH_BYTES];

	rng_bytes(nonce, sizeof(nonce));
	payload_init(ret, EVENT_STORE_CREATED);
	payload_text(ret, FIELD_NONCE, slice_of(nonce, sizeof(nonce)));
	payload_str(ret, FIELD_OPERATOR, fixture->founder.name);
	payload_text(ret, FIELD_OPERATOR_KEY,
		     slice_of(fixture->founder.public_key, PUBLIC_KEY_BYTES));
	payload_text(ret, FIELD_LOG_KEY, slice_of(fixture->log_key.public_key, PUBLIC_KEY_BYTES));
}

/* @name lives as long as the payload. */
static inline void category_payload(const char *name, struct payload *ret)
{
	payload_init(ret, EVENT_CATEGORY_DEFINED);
	payload_str(ret, FIELD_NAME, name);
	payload_bool(ret, FIELD_PLANNED, false);
}

static inline void recovered_payload(const struct store_loss *loss, struct payload *ret)
{
	payload_init(ret, EVENT_STORE_RECOVERED);
	payload_uint(ret, FIELD_EXPECTED_SIZE, loss->expected_size);
	payload_text(ret, FIELD_EXPECTED_ROOT, slice_of(loss->expected_root, HASH_BYTES));
	payload_uint(ret, FIELD_GENERATION, 2);
}

static inline struct store_command command_of(const struct payload *payloads, size_t count)
{
	struct store_command command = {
		.payloads = payloads,
		.count = count,
		.reason = slice_str("because"),
		.claimed_ms = clock_now_ms(),
	};

	rng_uuid7(command.claimed_ms, command.command_id);
	return command;
}

static inline uint64_t size_of(struct store *store)
{
	struct evlog_snapshot *snapshot = NULL;
	uint64_t size;

	assert_int_equal(evlog_snapshot_open(store_log(store), &snapshot, NULL), STATUS_OK);
	size = snapshot->size;
	evlog_snapshot_close(snapshot);
	return size;
}

/* Append under the lock, where the log is now. */
static inline enum status append(struct store *store, const struct signer *signer,
				 const struct store_command *command, struct store_receipt *ret,
				 struct error *err)
{
	enum status status = store_lock(store, WAIT_MS, err);

	if (status)
		return status;
	status = store_append(store, signer, size_of(store), command, ret, err);
	store_unlock(store);
	return status;
}

/* A command with one event, which must succeed. */
static inline struct store_receipt append_one(struct fixture *fixture, struct store *store)
{
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;
	char name[32];

	(void)snprintf(name, sizeof(name), "c%u", fixture->named++);
	category_payload(name, &payload);
	command = command_of(&payload, 1);
	if (append(store, &fixture->founder, &command, &receipt, &err))
		fail_msg("append: %s", err.text);
	return receipt;
}

static inline void found(struct fixture *fixture, struct store *store)
{
	struct store_receipt receipt = { .last_seq = 0 };
	struct payload payload;
	struct store_command command;
	struct error err = ERROR_INIT;

	created_payload(fixture, &payload);
	command = command_of(&payload, 1);
	if (append(store, &fixture->founder, &command, &receipt, &err))
		fail_msg("found: %s", err.text);
	assert_int_equal(receipt.last_seq, 1);
}

static inline struct store *open_store(const struct fixture *fixture, struct store_options options)
{
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	if (store_open(fixture->path, options, &store, &err))
		fail_msg("open: %s", err.text);
	return store;
}

static inline struct store *reopen(const struct fixture *fixture)
{
	return open_store(fixture, (struct store_options){ .read_only = false });
}

/* Make a store of @size events and close it. */
static inline void make_store(struct fixture *fixture, uint64_t size)
{
	struct store *store = NULL;

	assert_int_equal(store_create(fixture->path, &store, NULL), STATUS_OK);
	found(fixture, store);
	while (size_of(store) < size)
		(void)append_one(fixture, store);
	assert_null(store_evidence_note(store));
	store_close(store);
}

/* Append @count events to the closed store. */
static inline void extend_store(struct fixture *fixture, unsigned count)
{
	struct store *store = reopen(fixture);

	for (unsigned i = 0; i < count; i++)
		(void)append_one(fixture, store);
	store_close(store);
}

static inline void save(const char *path, struct buf *ret)
{
	buf_clear(ret);
	assert_int_equal(fs_read_file(path, LOG_BYTES_MAX, ret, NULL), STATUS_OK);
}

static inline void put_back(const char *path, const struct buf *content)
{
	assert_int_equal(fs_write_durable(path, 0600, buf_slice(content), NULL), STATUS_OK);
}

static inline void checkpoint_path(const struct fixture *fixture, struct buf *ret)
{
	struct store *store = open_store(
		fixture, (struct store_options){ .read_only = true, .tolerate_loss = true });

	buf_clear(ret);
	assert_int_equal(paths_user_checkpoint(store_log_id(store), fixture->path, ret, NULL),
			 STATUS_OK);
	store_close(store);
}

static inline uint64_t recorded_size(const char *path)
{
	struct head_record record;

	assert_int_equal(headfile_read(path, &record, NULL), STATUS_OK);
	return record.size;
}

static inline void refused(const struct fixture *fixture, enum status expected, const char *text,
			   const char *hint)
{
	struct store *store = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(store_open(fixture->path, (struct store_options){ .read_only = false },
				    &store, &err),
			 expected);
	assert_null(store);
	if (!strstr(err.text, text) || !strstr(err.hint, hint))
		fail_msg("unexpected words: %s / %s", err.text, err.hint);
}

#endif
