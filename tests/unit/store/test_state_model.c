/*
 * The state model: rules, tags, paths, values to the byte, and state_hash/v1.
 *
 * The expected digests were computed from the description in state_model.h by other code (Python's
 * hashlib), so that this test and the module cannot be wrong in the same way.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/event.h"
#include "store/state_model.h"

#include "base/banned.h"

#define EMPTY_STATE_HASH  "5de59fe0eb7764ca6e641ea2dac644fafa0dbbbe3b42fceb1f71b4f17454e373"
#define SAMPLE_STATE_HASH "c37380fd18e69c35589dfced1865bd02a651750a5247898f456ce9f84c56fc54"

#define NO_TEXT slice_of(NULL, 0)

/* {"en": "Dev"} */
#define TITLE               \
	slice_of("\x81\xa2" \
		 "en\xa3"   \
		 "Dev",     \
		 8)

static void assert_bytes(const struct buf *buf, const void *expected, size_t len)
{
	assert_int_equal(buf->len, len);
	assert_memory_equal(buf->data, expected, len);
}

static void rules_have_names_and_meanings(void **state)
{
	(void)state;
	assert_string_equal(apply_rule_name(RULE_ENVIRONMENT_EXISTS), "environment-exists");
	assert_string_equal(apply_rule_name(RULE_DATABASE_EXISTS), "database-exists");
	assert_string_equal(apply_rule_meaning(RULE_BASE_ACYCLIC),
			    "following base profiles never leads back");
	assert_string_equal(apply_rule_name(RULE_NONE), "unknown");
	assert_string_equal(apply_rule_name((enum apply_rule)9999), "unknown");
	assert_string_equal(apply_rule_meaning((enum apply_rule)9999), "unknown");
}

/* The numbers are in every state hash with a violation: they never change. */
static void rule_numbers_are_for_ever(void **state)
{
	(void)state;
	assert_int_equal(RULE_ENVIRONMENT_EXISTS, 1);
	assert_int_equal(RULE_KEY_GENERATION, 5);
	assert_int_equal(RULE_PROFILE_EXISTS, 6);
	assert_int_equal(RULE_BASE_EXISTS, 9);
	assert_int_equal(RULE_CATEGORY_EXISTS, 12);
	assert_int_equal(RULE_VARIABLE_SET, 15);
	assert_int_equal(RULE_COPY_TARGET, 16);
	assert_int_equal(RULE_DATABASE_EXISTS, 18);
}

static void every_type_has_its_rules(void **state)
{
	static const enum apply_rule changed[] = { RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
						   RULE_VARIABLE_SET, RULE_COPY_TARGET, RULE_NONE };
	static const enum apply_rule removed[] = { RULE_ENVIRONMENT_EXISTS, RULE_PROFILE_EXISTS,
						   RULE_PROFILE_INACTIVE, RULE_BASE_UNUSED,
						   RULE_NONE };

	(void)state;
	for (unsigned type = 0; type < EVENT_TYPE_COUNT; type++) {
		const enum apply_rule *rule = apply_rules_of((enum event_type)type);

		for (; *rule != RULE_NONE; rule++)
			assert_string_not_equal(apply_rule_name(*rule), "unknown");
	}
	assert_int_equal(apply_rules_of(EVENT_STORE_CREATED)[0], RULE_NONE);
	assert_int_equal(apply_rules_of(EVENT_CATEGORY_DEFINED)[0], RULE_NONE);
	assert_int_equal(apply_rules_of(EVENT_ENVIRONMENT_CREATED)[0], RULE_ENVIRONMENT_ABSENT);
	assert_int_equal(apply_rules_of(EVENT_STATE_ROLLED_BACK)[0], RULE_TARGET_OLDER);
	assert_memory_equal(apply_rules_of(EVENT_VARIABLES_CHANGED), changed, sizeof(changed));
	assert_memory_equal(apply_rules_of(EVENT_PROFILE_REMOVED), removed, sizeof(removed));
}

static void tags_ascend_as_words_do(void **state)
{
	(void)state;
	for (unsigned tag = 1; tag < TAG_COUNT; tag++)
		assert_true(strcmp(state_tag_name((enum state_tag)(tag - 1)),
				   state_tag_name((enum state_tag)tag)) < 0);
	assert_string_equal(state_tag_name(TAG_ACTIVE), "active");
	assert_string_equal(state_tag_name(TAG_VIOLATION), "violation");
}

static void paths_join_components_with_nul(void **state)
{
	struct buf path AUTO(buf_release) = BUF_INIT;
	struct slice components[] = { slice_str("dev"), slice_str("p"), slice_str("KEY") };
	struct slice none[] = { NO_TEXT };

	(void)state;
	buf_append_str(&path, "what was there before");
	state_path(&path, TAG_VARIABLE, components, 3);
	assert_bytes(&path, "variable\0dev\0p\0KEY", 18);
	state_path(&path, TAG_ACTIVE, none, 0);
	assert_bytes(&path, "active", 6);
	state_path(&path, TAG_ACTIVE, none, 1);
	assert_bytes(&path, "active", 7);
}

static void values_are_canonical(void **state)
{
	struct buf value AUTO(buf_release) = BUF_INIT;

	(void)state;
	buf_append_str(&value, "what was there before");
	assert_int_equal(state_value_environment(&value, true, NO_TEXT, TITLE, NULL), STATUS_OK);
	assert_bytes(&value,
		     "\x93\xc3\x80\x81\xa2"
		     "en\xa3"
		     "Dev",
		     11);
	assert_int_equal(state_value_profile(&value, slice_str("base"), TITLE, NO_TEXT, NULL),
			 STATUS_OK);
	assert_bytes(&value,
		     "\x93\xa4"
		     "base\x81\xa2"
		     "en\xa3"
		     "Dev\x80",
		     15);
	assert_int_equal(state_value_profile(&value, NO_TEXT, NO_TEXT, NO_TEXT, NULL), STATUS_OK);
	assert_bytes(&value, "\x93\xa0\x80\x80", 4);
	assert_int_equal(state_value_lock(&value, 0, NULL), STATUS_OK);
	assert_bytes(&value, "\x91\x00", 2);
	assert_int_equal(state_value_lock(&value, 128, NULL), STATUS_OK);
	assert_bytes(&value, "\x91\xcc\x80", 3);
	assert_int_equal(state_value_lock(&value, UINT64_MAX, NULL), STATUS_OK);
	assert_bytes(&value, "\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 10);
	assert_int_equal(state_value_variable(&value, true, false, slice_str("v"), NULL),
			 STATUS_OK);
	assert_bytes(&value, "\x93\xc3\xc2\xc4\x01v", 6);
	assert_int_equal(state_value_variable(&value, false, true, NO_TEXT, NULL), STATUS_OK);
	assert_bytes(&value, "\x93\xc2\xc3\xc4\x00", 5);
	assert_int_equal(state_value_violation(&value, RULE_COPY_TARGET, NULL), STATUS_OK);
	assert_bytes(&value, "\x91\x10", 2);
}

/* The length of the value decides the width of its head: the shortest that holds it. */
static void long_values_get_wider_heads(void **state)
{
	struct buf value AUTO(buf_release) = BUF_INIT;
	struct buf bytes AUTO(buf_release) = BUF_INIT;

	(void)state;
	while (bytes.len < VALUE_BYTES_MAX)
		buf_append_byte(&bytes, 'x');
	assert_int_equal(
		state_value_variable(&value, false, false, slice_of(bytes.data, 255), NULL),
		STATUS_OK);
	assert_memory_equal(value.data, "\x93\xc2\xc2\xc4\xff", 5);
	assert_int_equal(
		state_value_variable(&value, false, false, slice_of(bytes.data, 256), NULL),
		STATUS_OK);
	assert_memory_equal(value.data, "\x93\xc2\xc2\xc5\x01\x00", 6);
	assert_int_equal(state_value_variable(&value, false, false, buf_slice(&bytes), NULL),
			 STATUS_OK);
	assert_int_equal(value.len, 6 + VALUE_BYTES_MAX);
}

static void assert_digest(struct state_hasher *hasher, const char *expected)
{
	uint8_t digest[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	state_hasher_final(hasher, digest);
	text_to_hex(digest, sizeof(digest), hex);
	assert_string_equal(hex, expected);
}

static void the_empty_state_has_a_hash(void **state)
{
	struct state_hasher hasher;

	(void)state;
	state_hasher_init(&hasher);
	assert_digest(&hasher, EMPTY_STATE_HASH);
}

/* One path of up to three components, with a value. */
static void enter(struct state_hasher *hasher, enum state_tag tag, const struct slice *components,
		  size_t count, struct slice value)
{
	struct buf path AUTO(buf_release) = BUF_INIT;

	state_path(&path, tag, components, count);
	assert_int_equal(buf_status(&path, NULL), STATUS_OK);
	state_hasher_entry(hasher, buf_slice(&path), value);
}

#define PATH(...)                        \
	(struct slice[]){ __VA_ARGS__ }, \
		sizeof((struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice)
#define NUMBER(value) slice_of((uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, (value) }, 8)

static void enter_names(struct state_hasher *hasher, struct buf *value)
{
	struct slice dev = slice_str("development");
	struct slice prod = slice_str("production");

	enter(hasher, TAG_ACTIVE, PATH(NO_TEXT), dev);
	enter(hasher, TAG_ACTIVE, PATH(dev), slice_str("default"));
	enter(hasher, TAG_CATEGORY, PATH(slice_str("api")),
	      slice_of("\x82\xa4name\xa3"
		       "api\xa7planned\xc2",
		       19));
	enter(hasher, TAG_DATABASE, PATH(dev, slice_str("default"), slice_str("settings")),
	      slice_of("\x80", 1));
	assert_int_equal(state_value_environment(value, false, TITLE, NO_TEXT, NULL), STATUS_OK);
	enter(hasher, TAG_ENVIRONMENT, PATH(dev), buf_slice(value));
	assert_int_equal(state_value_environment(value, true, NO_TEXT, NO_TEXT, NULL), STATUS_OK);
	enter(hasher, TAG_ENVIRONMENT, PATH(prod), buf_slice(value));
	enter(hasher, TAG_KEY, PATH(prod, NUMBER(1)), slice_of("\x80", 1));
	enter(hasher, TAG_KEY, PATH(prod, NUMBER(2)), slice_of("\x80", 1));
	assert_int_equal(state_value_lock(value, 1767323045678, NULL), STATUS_OK);
	enter(hasher, TAG_LOCK, PATH(prod), buf_slice(value));
	assert_int_equal(state_value_profile(value, NO_TEXT, NO_TEXT, NO_TEXT, NULL), STATUS_OK);
	enter(hasher, TAG_PROFILE, PATH(dev, slice_str("default")), buf_slice(value));
	assert_int_equal(state_value_profile(value, slice_str("default"), NO_TEXT, TITLE, NULL),
			 STATUS_OK);
	enter(hasher, TAG_PROFILE, PATH(dev, slice_str("fast")), buf_slice(value));
}

static void enter_variables(struct state_hasher *hasher, struct buf *value)
{
	struct slice dev = slice_str("development");
	struct slice profile = slice_str("default");
	uint8_t commitment[HASH_BYTES];

	for (unsigned i = 0; i < HASH_BYTES; i++)
		commitment[i] = (uint8_t)i;
	enter(hasher, TAG_SPECIFICATION, PATH(slice_str("PORT")), slice_of("\x80", 1));
	assert_int_equal(state_value_variable(value, false, false, slice_str("8080"), NULL),
			 STATUS_OK);
	enter(hasher, TAG_VARIABLE, PATH(dev, profile, slice_str("PORT")), buf_slice(value));
	assert_int_equal(state_value_variable(value, true, true,
					      slice_of(commitment, sizeof(commitment)), NULL),
			 STATUS_OK);
	enter(hasher, TAG_VARIABLE, PATH(dev, profile, slice_str("TOKEN")), buf_slice(value));
	assert_int_equal(state_value_violation(value, RULE_PROFILE_EXISTS, NULL), STATUS_OK);
	enter(hasher, TAG_VIOLATION, PATH(NUMBER(7)), buf_slice(value));
}

static void a_state_hashes_as_ever(void **state)
{
	struct buf value AUTO(buf_release) = BUF_INIT;
	struct state_hasher hasher;

	(void)state;
	state_hasher_init(&hasher);
	enter_names(&hasher, &value);
	enter_variables(&hasher, &value);
	assert_digest(&hasher, SAMPLE_STATE_HASH);
}

/* Where one entry ends and the next begins is part of what is hashed. */
static void lengths_keep_entries_apart(void **state)
{
	uint8_t one[HASH_BYTES];
	uint8_t other[HASH_BYTES];
	struct state_hasher hasher;

	(void)state;
	state_hasher_init(&hasher);
	state_hasher_entry(&hasher, slice_str("a"), slice_str("bc"));
	state_hasher_final(&hasher, one);
	state_hasher_init(&hasher);
	state_hasher_entry(&hasher, slice_str("ab"), slice_str("c"));
	state_hasher_final(&hasher, other);
	assert_memory_not_equal(one, other, HASH_BYTES);
}

/* A child of its own, since an assertion that fails ends the process. */
static bool order_is_asserted(const char *first, const char *second)
{
	int how = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct state_hasher hasher;
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		(void)close(STDERR_FILENO);
		state_hasher_init(&hasher);
		state_hasher_entry(&hasher, slice_str(first), NO_TEXT);
		state_hasher_entry(&hasher, slice_str(second), NO_TEXT);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	return WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT;
}

static void entries_out_of_order_are_our_bug(void **state)
{
	(void)state;
	assert_false(order_is_asserted("a", "b"));
	assert_false(order_is_asserted("a", "aa"));
	assert_true(order_is_asserted("b", "a"));
	assert_true(order_is_asserted("a", "a"));
	assert_true(order_is_asserted("aa", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_have_names_and_meanings),
		cmocka_unit_test(rule_numbers_are_for_ever),
		cmocka_unit_test(every_type_has_its_rules),
		cmocka_unit_test(tags_ascend_as_words_do),
		cmocka_unit_test(paths_join_components_with_nul),
		cmocka_unit_test(values_are_canonical),
		cmocka_unit_test(long_values_get_wider_heads),
		cmocka_unit_test(the_empty_state_has_a_hash),
		cmocka_unit_test(a_state_hashes_as_ever),
		cmocka_unit_test(lengths_keep_entries_apart),
		cmocka_unit_test(entries_out_of_order_are_our_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
