/*
 * Tests of store/registry: each rule of the fold, and loading from logs whole and damaged.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/event_codec.h"
#include "store/evlog.h"
#include "store/merkle.h"
#include "store/registry.h"
#include "store/signer.h"

#include "base/banned.h"

#define OPERATOR "ann@example.org"

/* A log in memory under construction, with the keys it begins with. */
struct world {
	struct signer operator;
	struct signer log_key;
	uint8_t nonce[32];
	uint8_t root[32];
	uint8_t log_id[LOG_ID_BYTES];
	struct evlog *log;
	uint64_t size;
};

static void world_open(struct world *world)
{
	*world = (struct world){ .operator= SIGNER_INIT, .log_key = SIGNER_INIT };
	assert_int_equal(signer_generate(OPERATOR, &world->operator, NULL), STATUS_OK);
	assert_int_equal(signer_generate("log", &world->log_key, NULL), STATUS_OK);
	assert_int_equal(evlog_memory_open(&world->log, NULL), STATUS_OK);
}

static void world_close(struct world *world)
{
	evlog_close(world->log);
	signer_release(&world->operator);
	signer_release(&world->log_key);
}

/* --- events ----------------------------------------------------------------------------------- */

static struct event created_event(const struct world *world)
{
	struct event event = { .seq = 1, .part = 1, .parts = 1 };

	memcpy(event.key_id, world->operator.key_id, KEY_ID_BYTES);
	payload_init(&event.payload, EVENT_STORE_CREATED);
	payload_text(&event.payload, FIELD_NONCE, slice_of(world->nonce, 32));
	payload_str(&event.payload, FIELD_OPERATOR, world->operator.name);
	payload_text(&event.payload, FIELD_OPERATOR_KEY,
		     slice_of(world->operator.public_key, PUBLIC_KEY_BYTES));
	payload_text(&event.payload, FIELD_LOG_KEY,
		     slice_of(world->log_key.public_key, PUBLIC_KEY_BYTES));
	return event;
}

static struct event later_event(const struct world *world, uint64_t seq)
{
	struct event event = { .seq = seq, .part = 1, .parts = 1 };

	memcpy(event.key_id, world->operator.key_id, KEY_ID_BYTES);
	memcpy(event.log_id, world->log_id, LOG_ID_BYTES);
	store_u64be(event.command_id, seq);
	return event;
}

static struct event recovered_event(const struct world *world, uint64_t seq, uint64_t generation)
{
	struct event event = later_event(world, seq);

	payload_init(&event.payload, EVENT_STORE_RECOVERED);
	payload_uint(&event.payload, FIELD_EXPECTED_SIZE, seq + 5);
	payload_text(&event.payload, FIELD_EXPECTED_ROOT, slice_of(world->root, 32));
	payload_uint(&event.payload, FIELD_GENERATION, generation);
	return event;
}

static struct event switched_event(const struct world *world, uint64_t seq)
{
	struct event event = later_event(world, seq);

	payload_init(&event.payload, EVENT_ENVIRONMENT_SWITCHED);
	payload_str(&event.payload, FIELD_NAME, "production");
	return event;
}

/* --- logs ------------------------------------------------------------------------------------- */

static void append_leaf(struct world *world, struct slice leaf, bool registry)
{
	uint8_t command_id[COMMAND_ID_BYTES] = { 0 };
	struct evlog_entry entry = {
		.leaf = leaf, .command_id = command_id, .starts_command = true, .registry = registry
	};
	uint8_t hash[HASH_BYTES];

	store_u64be(command_id, world->size + 1);
	assert_int_equal(evlog_append(world->log, world->size, &entry, 1, NULL), STATUS_OK);
	if (world->size == 0) {
		merkle_leaf_hash(leaf, hash);
		memcpy(world->log_id, hash, LOG_ID_BYTES);
	}
	world->size++;
}

static void encode(const struct world *world, const struct event *event, struct buf *ret)
{
	assert_int_equal(event_encode(event, ret, NULL), STATUS_OK);
	assert_int_equal(leaf_sign(&world->operator, ret, NULL), STATUS_OK);
}

static void append(struct world *world, struct event event, bool registry)
{
	struct buf leaf = BUF_INIT;

	encode(world, &event, &leaf);
	append_leaf(world, buf_slice(&leaf), registry);
	buf_release(&leaf);
}

static enum status load(struct world *world, struct registry *ret, struct error *err)
{
	struct evlog_snapshot *snapshot;
	enum status status;

	assert_int_equal(evlog_snapshot_open(world->log, &snapshot, NULL), STATUS_OK);
	status = registry_load(snapshot, ret, err);
	evlog_snapshot_close(snapshot);
	return status;
}

/* Loading fails with @text in its message, and gives nothing. */
static void load_refused(struct world *world, enum status expected, const char *text)
{
	struct registry registry = REGISTRY_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(load(world, &registry, &err), expected);
	assert_int_equal(err.status, expected);
	assert_non_null(strstr(err.text, text));
	assert_null(registry.keys);
	assert_int_equal(registry.key_count, 0);
	assert_int_equal(load(world, &registry, NULL), expected);
}

static const uint8_t some_hash[HASH_BYTES] = { 0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87,
					       0x98, 0xa9, 0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x0f };

/* Apply @event, which must be refused and change nothing. */
static void apply_refused(struct registry *registry, const struct event *event,
			  enum status expected)
{
	struct registry before = *registry;
	struct error err = ERROR_INIT;

	assert_int_equal(registry_apply(registry, event, some_hash, &err), expected);
	assert_int_equal(err.status, expected);
	assert_non_null(strstr(err.text, "event"));
	assert_int_equal(registry->key_count, before.key_count);
	assert_int_equal(registry->generation_count, before.generation_count);
	assert_memory_equal(registry->log_id, before.log_id, LOG_ID_BYTES);
	assert_memory_equal(registry->log_key, before.log_key, PUBLIC_KEY_BYTES);
}

/* --- the fold --------------------------------------------------------------------------------- */

static void test_created(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;
	struct event event;
	const struct registry_key *key;
	uint8_t stranger[KEY_ID_BYTES] = { 0 };

	(void)state;
	world_open(&world);
	event = created_event(&world);
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);
	assert_int_equal(registry.key_count, 1);
	assert_memory_equal(registry.log_id, some_hash, LOG_ID_BYTES);
	assert_memory_equal(registry.log_key, world.log_key.public_key, PUBLIC_KEY_BYTES);

	key = registry_find(&registry, world.operator.key_id);
	assert_non_null(key);
	assert_string_equal(key->name, OPERATOR);
	assert_memory_equal(key->key_id, world.operator.key_id, KEY_ID_BYTES);
	assert_memory_equal(key->public_key, world.operator.public_key, PUBLIC_KEY_BYTES);
	assert_true(key->admin);
	assert_int_equal(key->from_seq, 1);
	assert_null(registry_find(&registry, stranger));
	assert_null(registry_find(&registry, world.log_key.key_id));

	/* it signs the event that enrols it, and all later ones */
	assert_null(registry_signer(&registry, world.operator.key_id, 0));
	assert_ptr_equal(registry_signer(&registry, world.operator.key_id, 1), key);
	assert_ptr_equal(registry_signer(&registry, world.operator.key_id, 2), key);
	assert_ptr_equal(registry_signer(&registry, world.operator.key_id, UINT64_MAX), key);
	assert_null(registry_signer(&registry, world.log_key.key_id, 2));
	registry_release(&registry);
	assert_null(registry_find(&registry, world.operator.key_id));
	registry_release(&registry);
	world_close(&world);
}

static void test_key_enrolled_later(void **state)
{
	struct registry_key keys[2] = { { .key_id = { 1 }, .admin = true, .from_seq = 1 },
					{ .key_id = { 2 }, .from_seq = 7 } };
	struct registry registry = { .keys = keys, .key_count = 2 };

	(void)state;
	assert_null(registry_signer(&registry, keys[1].key_id, 1));
	assert_null(registry_signer(&registry, keys[1].key_id, 6));
	assert_null(registry_signer(&registry, keys[1].key_id, 7));
	assert_ptr_equal(registry_signer(&registry, keys[1].key_id, 8), &keys[1]);
	assert_ptr_equal(registry_find(&registry, keys[1].key_id), &keys[1]);
}

static void test_authority(void **state)
{
	const struct registry_key admin = { .admin = true };
	const struct registry_key other = { .admin = false };

	(void)state;
	for (enum event_type type = 0; type < EVENT_TYPE_COUNT; type++) {
		const char *name = event_type_info(type)->name;
		bool needs_admin = strncmp(name, "store.", 6) == 0 || strncmp(name, "key.", 4) == 0;

		assert_true(registry_allows(&admin, type));
		assert_int_equal(registry_allows(&other, type), !needs_admin);
	}
	assert_true(registry_allows(&other, EVENT_UNKNOWN));
}

static void test_unsound_keys(void **state)
{
	static const char *const keys[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0200000000000000000000000000000000000000000000000000000000000000",
	};
	struct world world;
	struct registry registry = REGISTRY_INIT;

	(void)state;
	world_open(&world);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint8_t key[PUBLIC_KEY_BYTES];
		struct event event = created_event(&world);

		assert_true(text_from_hex(slice_str(keys[i]), key, sizeof(key)));
		payload_text(&event.payload, FIELD_OPERATOR_KEY, slice_of(key, sizeof(key)));
		apply_refused(&registry, &event, STATUS_CORRUPT);
		event = created_event(&world);
		payload_text(&event.payload, FIELD_LOG_KEY, slice_of(key, sizeof(key)));
		apply_refused(&registry, &event, STATUS_CORRUPT);
	}
	world_close(&world);
}

static void test_created_rules(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;
	struct event event;
	struct error err = ERROR_INIT;
	uint8_t key[PUBLIC_KEY_BYTES];

	(void)state;
	world_open(&world);
	event = created_event(&world);
	event.seq = 2;
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = created_event(&world);
	event.log_id[LOG_ID_BYTES - 1] = 1;
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = created_event(&world);
	payload_str(&event.payload, FIELD_OPERATOR, "../ann");
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = created_event(&world);
	payload_text(&event.payload, FIELD_OPERATOR_KEY,
		     slice_of(world.operator.public_key, PUBLIC_KEY_BYTES - 1));
	apply_refused(&registry, &event, STATUS_CORRUPT);

	event = created_event(&world);
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);
	/* a second one: with the same key, with another, at its own place */
	assert_int_equal(registry_apply(&registry, &event, some_hash, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "enrolled already"));
	apply_refused(&registry, &event, STATUS_CORRUPT);
	memcpy(key, world.log_key.public_key, sizeof(key));
	payload_text(&event.payload, FIELD_OPERATOR_KEY, slice_of(key, sizeof(key)));
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event.seq = 2;
	apply_refused(&registry, &event, STATUS_CORRUPT);
	registry_release(&registry);
	world_close(&world);
}

/* Generations 1, 2 and 4, begun by the events 1, 10 and 20. */
static void check_ends(const struct world *world, const struct registry *registry)
{
	const struct registry_generation *end = NULL;

	assert_true(registry_find_generation(registry, 1, &end));
	assert_int_equal(end->from_seq, 10);
	assert_int_equal(end->expected_size, 15);
	assert_memory_equal(end->expected_root, world->root, HASH_BYTES);
	assert_true(registry_find_generation(registry, 2, &end));
	assert_int_equal(end->from_seq, 20);
	assert_int_equal(end->expected_size, 25);
	assert_false(registry_find_generation(registry, 3, &end));
	assert_true(registry_find_generation(registry, 4, &end));
	assert_null(end);
}

static void test_generations(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;
	struct event event;

	(void)state;
	world_open(&world);
	memcpy(world.log_id, some_hash, LOG_ID_BYTES);
	assert_int_equal(registry_generation_at(&registry, 1), 1);
	event = recovered_event(&world, 1, 2);
	apply_refused(&registry, &event, STATUS_CORRUPT); /* before store.created */
	event = created_event(&world);
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);

	event = recovered_event(&world, 10, 0);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = recovered_event(&world, 10, 1);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = recovered_event(&world, 10, 2);
	event.log_id[0] ^= 1;
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event.log_id[0] ^= 1;
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = recovered_event(&world, 11, 2);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event = recovered_event(&world, 9, 3);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	/* the lost end may have held generation 3 */
	event = recovered_event(&world, 20, 4);
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);
	event = recovered_event(&world, 30, 3);
	apply_refused(&registry, &event, STATUS_CORRUPT);

	assert_int_equal(registry_generation_at(&registry, 0), 1);
	assert_int_equal(registry_generation_at(&registry, 1), 1);
	assert_int_equal(registry_generation_at(&registry, 9), 1);
	assert_int_equal(registry_generation_at(&registry, 10), 2);
	assert_int_equal(registry_generation_at(&registry, 19), 2);
	assert_int_equal(registry_generation_at(&registry, 20), 4);
	assert_int_equal(registry_generation_at(&registry, UINT64_MAX), 4);
	assert_int_equal(registry.key_count, 1);
	check_ends(&world, &registry);
	registry_release(&registry);
	world_close(&world);
}

/* A recovery names the log that it gave up. Without a root it names none. */
static void test_apply_recovered_without_root(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;
	struct event event;

	(void)state;
	world_open(&world);
	memcpy(world.log_id, some_hash, LOG_ID_BYTES);
	event = created_event(&world);
	assert_int_equal(registry_apply(&registry, &event, some_hash, NULL), STATUS_OK);
	event = recovered_event(&world, 10, 2);
	event.payload.field[FIELD_EXPECTED_ROOT].present = false;
	apply_refused(&registry, &event, STATUS_CORRUPT);
	registry_release(&registry);
	world_close(&world);
}

static void test_apply_other_types(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;
	struct event event;

	(void)state;
	world_open(&world);
	event = switched_event(&world, 1);
	apply_refused(&registry, &event, STATUS_CORRUPT);
	event.payload.type = EVENT_UNKNOWN;
	apply_refused(&registry, &event, STATUS_NEWER);
	world_close(&world);
}

/* --- loading ---------------------------------------------------------------------------------- */

static void test_load(void **state)
{
	struct world world;
	struct registry registry = REGISTRY_INIT;

	(void)state;
	world_open(&world);
	assert_int_equal(load(&world, &registry, NULL), STATUS_OK);
	assert_int_equal(registry.key_count, 0);
	registry_release(&registry);

	append(&world, created_event(&world), true);
	append(&world, switched_event(&world, 2), false);
	append(&world, recovered_event(&world, 3, 2), true);
	append(&world, switched_event(&world, 4), false);
	append(&world, recovered_event(&world, 5, 3), true);
	assert_int_equal(load(&world, &registry, NULL), STATUS_OK);
	assert_memory_equal(registry.log_id, world.log_id, LOG_ID_BYTES);
	assert_memory_equal(registry.log_key, world.log_key.public_key, PUBLIC_KEY_BYTES);
	assert_int_equal(registry.key_count, 1);
	assert_non_null(registry_signer(&registry, world.operator.key_id, 5));
	assert_int_equal(registry_generation_at(&registry, 2), 1);
	assert_int_equal(registry_generation_at(&registry, 3), 2);
	assert_int_equal(registry_generation_at(&registry, 4), 2);
	assert_int_equal(registry_generation_at(&registry, 5), 3);
	registry_release(&registry);
	world_close(&world);
}

static void test_load_misses_created(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	append(&world, created_event(&world), false); /* not listed */
	load_refused(&world, STATUS_CORRUPT, "store.created");
	append(&world, recovered_event(&world, 2, 2), true);
	load_refused(&world, STATUS_CORRUPT, "event 2");
	world_close(&world);
}

static void test_load_wrongly_listed(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	append(&world, created_event(&world), true);
	append(&world, switched_event(&world, 2), true);
	load_refused(&world, STATUS_CORRUPT, "event 2: environment.switched");
	world_close(&world);
}

static void test_load_wrong_number(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	append(&world, created_event(&world), true);
	append(&world, recovered_event(&world, 3, 2), true);
	load_refused(&world, STATUS_CORRUPT, "event 2");
	world_close(&world);
}

static void test_load_malformed(void **state)
{
	uint8_t garbage[200];
	struct world world;

	(void)state;
	memset(garbage, 0xc1, sizeof(garbage));
	for (size_t len = 1; len <= sizeof(garbage); len += len < 70 ? 1 : 50) {
		world_open(&world);
		append(&world, created_event(&world), true);
		append_leaf(&world, slice_of(garbage, len), true);
		load_refused(&world, STATUS_CORRUPT, "event 2");
		world_close(&world);
	}
}

/* A registry event of a type of tomorrow: its authority is not ours to know. */
static void test_load_newer(void **state)
{
	struct world world;
	struct event event;
	struct buf leaf = BUF_INIT;
	uint8_t *type;

	(void)state;
	world_open(&world);
	append(&world, created_event(&world), true);
	event = recovered_event(&world, 2, 2);
	assert_int_equal(event_encode(&event, &leaf, NULL), STATUS_OK);
	type = memmem(leaf.data, leaf.len, "store.recovered", 15);
	assert_non_null(type);
	type[14] = 'y'; /* "store.recoverey" */
	assert_int_equal(leaf_sign(&world.operator, & leaf, NULL), STATUS_OK);
	append_leaf(&world, buf_slice(&leaf), true);
	load_refused(&world, STATUS_NEWER, "event 2");
	buf_release(&leaf);
	world_close(&world);
}

/*
 * A log whose leaf 1 was altered behind its tree, in byte @flip_at. The rows are the true ones.
 */
static struct {
	const struct evlog_ops *ops;
	struct buf leaf;
	size_t flip_at;
} altered;

static enum status altered_leaf(struct evlog_snapshot *snapshot, uint64_t seq, struct slice *ret,
				struct error *err)
{
	enum status status = altered.ops->leaf(snapshot, seq, ret, err);

	if (status || seq != 1)
		return status;
	buf_clear(&altered.leaf);
	buf_append_slice(&altered.leaf, *ret);
	altered.leaf.data[altered.flip_at] ^= 1;
	*ret = buf_slice(&altered.leaf);
	return STATUS_OK;
}

static void test_load_altered(void **state)
{
	struct world world;
	struct evlog_ops ops;
	struct buf leaf = BUF_INIT;
	struct event event;

	(void)state;
	world_open(&world);
	append(&world, created_event(&world), true);
	event = created_event(&world);
	encode(&world, &event, &leaf);
	altered.ops = world.log->ops;
	ops = *world.log->ops;
	ops.leaf = altered_leaf;
	world.log->ops = &ops;
	for (altered.flip_at = 0; altered.flip_at < leaf.len; altered.flip_at++)
		load_refused(&world, STATUS_CORRUPT, "event 1");
	world.log->ops = altered.ops;
	buf_release(&altered.leaf);
	buf_release(&leaf);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created),
		cmocka_unit_test(test_key_enrolled_later),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_unsound_keys),
		cmocka_unit_test(test_created_rules),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_apply_recovered_without_root),
		cmocka_unit_test(test_apply_other_types),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_misses_created),
		cmocka_unit_test(test_load_wrongly_listed),
		cmocka_unit_test(test_load_wrong_number),
		cmocka_unit_test(test_load_malformed),
		cmocka_unit_test(test_load_newer),
		cmocka_unit_test(test_load_altered),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
