/*
 * The log in memory, for tests and simulation.
 *
 * Invariants: a record is never moved nor freed before the log is closed, so that a slice stays
 * good; only the arrays that point at them move, and those are read and changed under the mutex.
 * A snapshot is nothing but a size: what lies past it is not shown.
 * Must not know what a leaf means.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "store/evlog.h"

#include "base/banned.h"

enum { CAPACITY_MIN = 64 };

/* One event: its leaf, and its row behind it. */
struct record {
	size_t leaf_bytes;
	size_t row_bytes;
	uint8_t bytes[];
};

/* A pointer in a struct, so that an array of them is not taken for something else. */
struct event_slot {
	struct record *record;
};

struct command {
	uint8_t id[COMMAND_ID_BYTES];
	uint64_t seq;
};

struct memory_log {
	struct evlog log;
	pthread_mutex_t lock;
	pthread_cond_t grown;
	struct event_slot *slots; /* of event i + 1 */
	struct command *commands; /* by id */
	uint64_t *registry;       /* ascending */
	size_t size;
	size_t command_count;
	size_t registry_count;
	size_t capacity; /* of each array */
};

static struct memory_log *memory_of(struct evlog *log)
{
	return (struct memory_log *)log;
}

/* --- snapshots -------------------------------------------------------------------------------- */

static enum status memory_snapshot_open(struct evlog *log, struct evlog_snapshot **ret,
					struct error *err)
{
	struct memory_log *memory = memory_of(log);
	struct evlog_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return error_no_memory(err);
	snapshot->log = log;
	(void)pthread_mutex_lock(&memory->lock);
	snapshot->size = memory->size;
	(void)pthread_mutex_unlock(&memory->lock);
	*ret = snapshot;
	return STATUS_OK;
}

static void memory_snapshot_close(struct evlog_snapshot *snapshot)
{
	free(snapshot);
}

static const struct record *record_of(struct evlog_snapshot *snapshot, uint64_t seq)
{
	struct memory_log *memory = memory_of(snapshot->log);
	const struct record *record;

	(void)pthread_mutex_lock(&memory->lock);
	record = memory->slots[seq - 1].record;
	(void)pthread_mutex_unlock(&memory->lock);
	return record;
}

static enum status memory_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			       struct error *err)
{
	const struct record *record = record_of(snapshot, seq);

	(void)err;
	*ret = slice_of(record->bytes, record->leaf_bytes);
	return STATUS_OK;
}

static enum status memory_row(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
			      struct error *err)
{
	const struct record *record = record_of(snapshot, seq);

	(void)err;
	*ret = slice_of(record->bytes + record->leaf_bytes, record->row_bytes);
	return STATUS_OK;
}

/* Where the command is, or belongs: the first place whose id is not less. */
static size_t command_place(const struct memory_log *memory, const uint8_t *command_id)
{
	size_t low = 0, high = memory->command_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(memory->commands[middle].id, command_id, COMMAND_ID_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool command_at(const struct memory_log *memory, size_t place, const uint8_t *command_id)
{
	return place < memory->command_count &&
	       memcmp(memory->commands[place].id, command_id, COMMAND_ID_BYTES) == 0;
}

static enum status memory_command(struct evlog_snapshot *snapshot, const uint8_t *command_id,
				  uint64_t *ret_seq, struct error *err)
{
	struct memory_log *memory = memory_of(snapshot->log);
	enum status status = STATUS_NOT_FOUND;
	size_t place;

	(void)err;
	(void)pthread_mutex_lock(&memory->lock);
	place = command_place(memory, command_id);
	if (command_at(memory, place, command_id) &&
	    memory->commands[place].seq <= snapshot->size) {
		*ret_seq = memory->commands[place].seq;
		status = STATUS_OK;
	}
	(void)pthread_mutex_unlock(&memory->lock);
	return status;
}

static enum status memory_registry_next(struct evlog_snapshot *snapshot, uint64_t after_seq,
					uint64_t *ret_seq, struct error *err)
{
	struct memory_log *memory = memory_of(snapshot->log);
	enum status status = STATUS_NOT_FOUND;
	size_t i = 0;

	(void)err;
	(void)pthread_mutex_lock(&memory->lock);
	while (i < memory->registry_count && memory->registry[i] <= after_seq)
		i++;
	if (i < memory->registry_count && memory->registry[i] <= snapshot->size) {
		*ret_seq = memory->registry[i];
		status = STATUS_OK;
	}
	(void)pthread_mutex_unlock(&memory->lock);
	return status;
}

static enum status memory_counts(struct evlog_snapshot *snapshot, struct evlog_counts *ret,
				 struct error *err)
{
	struct memory_log *memory = memory_of(snapshot->log);
	struct evlog_counts counts = { .leaves = snapshot->size, .rows = snapshot->size };

	(void)err;
	(void)pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < memory->command_count; i++)
		counts.commands += memory->commands[i].seq <= snapshot->size;
	for (size_t i = 0; i < memory->registry_count; i++)
		counts.registry += memory->registry[i] <= snapshot->size;
	(void)pthread_mutex_unlock(&memory->lock);
	*ret = counts;
	return STATUS_OK;
}

/* --- appending -------------------------------------------------------------------------------- */

/* Make room for @count events in all arrays. One that grew before the next could not does no harm.
 */
static bool reserve(struct memory_log *memory, size_t count)
{
	size_t capacity = memory->capacity ? memory->capacity : CAPACITY_MIN;
	struct event_slot *slots;
	struct command *commands;
	uint64_t *registry;

	while (capacity - memory->size < count)
		capacity *= 2;
	if (capacity == memory->capacity)
		return true;
	slots = reallocarray(memory->slots, capacity, sizeof(*slots));
	if (slots)
		memory->slots = slots;
	commands = reallocarray(memory->commands, capacity, sizeof(*commands));
	if (commands)
		memory->commands = commands;
	registry = reallocarray(memory->registry, capacity, sizeof(*registry));
	if (registry)
		memory->registry = registry;
	if (!slots || !commands || !registry)
		return false;
	memory->capacity = capacity;
	return true;
}

static struct record *record_new(struct slice leaf, struct slice row)
{
	struct record *record = malloc(sizeof(*record) + leaf.len + row.len);

	if (!record)
		return NULL;
	record->leaf_bytes = leaf.len;
	record->row_bytes = row.len;
	memcpy(record->bytes, leaf.data, leaf.len);
	memcpy(record->bytes + leaf.len, row.data, row.len);
	return record;
}

/* Put the records behind the last one, where nobody looks before `size` is moved. */
static bool stage_entries(struct memory_log *memory, const struct evlog_entry *entries,
			  const struct slice *rows, size_t count)
{
	struct event_slot *slots = memory->slots + memory->size;

	for (size_t i = 0; i < count; i++) {
		slots[i].record = record_new(entries[i].leaf, rows[i]);
		if (slots[i].record)
			continue;
		while (i > 0)
			free(slots[--i].record);
		return false;
	}
	return true;
}

static enum status check_commands(const struct memory_log *memory,
				  const struct evlog_entry *entries, size_t count,
				  struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *id = entries[i].command_id;
		bool known;

		if (!entries[i].starts_command)
			continue;
		known = command_at(memory, command_place(memory, id), id);
		for (size_t j = 0; j < i && !known; j++)
			known = entries[j].starts_command &&
				memcmp(entries[j].command_id, id, COMMAND_ID_BYTES) == 0;
		if (known)
			return error_set(err, STATUS_CONFLICT,
					 "the log holds a command of this id already");
	}
	return STATUS_OK;
}

static void index_entry(struct memory_log *memory, const struct evlog_entry *entry, uint64_t seq)
{
	if (entry->registry)
		memory->registry[memory->registry_count++] = seq;
	if (entry->starts_command) {
		size_t place = command_place(memory, entry->command_id);
		struct command *command = memory->commands + place;

		memmove(command + 1, command, (memory->command_count - place) * sizeof(*command));
		memcpy(command->id, entry->command_id, COMMAND_ID_BYTES);
		command->seq = seq;
		memory->command_count++;
	}
}

static enum status append_locked(struct memory_log *memory, uint64_t size,
				 const struct evlog_entry *entries, const struct slice *rows,
				 size_t count, struct error *err)
{
	enum status status;

	if (memory->size != size)
		return error_set(err, STATUS_CONFLICT, "the log holds %zu events, not %" PRIu64,
				 memory->size, size);
	status = check_commands(memory, entries, count, err);
	if (status)
		return status;
	if (!reserve(memory, count) || !stage_entries(memory, entries, rows, count))
		return error_no_memory(err);
	for (size_t i = 0; i < count; i++)
		index_entry(memory, &entries[i], size + i + 1);
	memory->size += count;
	(void)pthread_cond_broadcast(&memory->grown);
	return STATUS_OK;
}

static enum status memory_append(struct evlog *log, uint64_t size,
				 const struct evlog_entry *entries, const struct slice *rows,
				 size_t count, struct error *err)
{
	struct memory_log *memory = memory_of(log);
	enum status status;

	(void)pthread_mutex_lock(&memory->lock);
	status = append_locked(memory, size, entries, rows, count, err);
	(void)pthread_mutex_unlock(&memory->lock);
	return status;
}

static enum status memory_watch(struct evlog *log, uint64_t size, uint64_t wait_ms,
				uint64_t *ret_size, struct error *err)
{
	struct memory_log *memory = memory_of(log);
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t end_ms = wait_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + wait_ms;
	struct timespec end = {
		.tv_sec = (time_t)(end_ms / 1000),
		.tv_nsec = (long)(end_ms % 1000) * 1000000,
	};

	(void)err;
	(void)pthread_mutex_lock(&memory->lock);
	while (memory->size <= size &&
	       pthread_cond_timedwait(&memory->grown, &memory->lock, &end) == 0)
		;
	*ret_size = memory->size;
	(void)pthread_mutex_unlock(&memory->lock);
	return STATUS_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void memory_close(struct evlog *log)
{
	struct memory_log *memory = memory_of(log);

	for (size_t i = 0; i < memory->size; i++)
		free(memory->slots[i].record);
	free(memory->slots);
	free(memory->commands);
	free(memory->registry);
	(void)pthread_cond_destroy(&memory->grown);
	(void)pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct evlog_ops memory_ops = {
	.snapshot_open = memory_snapshot_open,
	.snapshot_close = memory_snapshot_close,
	.leaf = memory_leaf,
	.row = memory_row,
	.command = memory_command,
	.registry_next = memory_registry_next,
	.counts = memory_counts,
	.append = memory_append,
	.watch = memory_watch,
	.close = memory_close,
};

enum status evlog_memory_open(struct evlog **ret, struct error *err)
{
	struct memory_log *memory = calloc(1, sizeof(*memory));
	pthread_condattr_t attributes;

	if (!memory)
		return error_no_memory(err);
	memory->log =
		(struct evlog){ .ops = &memory_ops, .frontier_lock = PTHREAD_MUTEX_INITIALIZER };
	memory->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	/* The clock that evlog_watch() counts by: a step of the other one must not wake anybody. */
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&memory->grown, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	*ret = &memory->log;
	return STATUS_OK;
}
