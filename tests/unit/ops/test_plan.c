/*
 * Plans: grouping of variables into events that fit, places of secrets, what a plan touches.
 */
#include "ops/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "store/event.h"
#include "store/event_codec.h"

static void add(struct plan *plan, const char *environment, const char *key, struct slice value)
{
	struct change change = { .profile = slice_str("default"),
				 .key = arena_copy(plan->arena, slice_str(key)),
				 .op = CHANGE_SET,
				 .value = value };

	assert_int_equal(plan_variable(plan, slice_str(environment), &change, NULL), STATUS_OK);
}

/* Each planned event must be one that the codec takes, signature and longest reason included. */
static void assert_fits(const struct payload *payload)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	assert_int_equal(payload_encode(payload, &bytes, NULL), STATUS_OK);
	assert_in_range(bytes.len, 1, EVENT_BYTES_MAX - REASON_BYTES_MAX - 256);
}

static void groups_by_environment_in_order(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct plan plan;

	(void)state;
	plan_init(&plan, &arena);
	assert_true(plan_is_empty(&plan));
	add(&plan, "testing", "B", slice_str("1"));
	add(&plan, "development", "Z", slice_str("2"));
	add(&plan, "testing", "A", slice_str("3"));
	assert_false(plan_is_empty(&plan));
	assert_int_equal(plan_group_variables(&plan, NULL), STATUS_OK);
	assert_int_equal(plan.payload_count, 2);
	assert_true(slice_equal_str(payload_environment(plan.payloads[0]), "development"));
	assert_int_equal(plan.payloads[1]->field[FIELD_CHANGES].changes.count, 2);
	assert_true(slice_equal_str(plan.payloads[1]->field[FIELD_CHANGES].changes.entries[0].key,
				    "A"));
	assert_fits(plan.payloads[0]);
	assert_fits(plan.payloads[1]);
}

static void large_commands_are_split(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	static uint8_t big[VALUE_BYTES_MAX];
	struct plan plan;
	size_t changes = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	plan_init(&plan, &arena);
	for (int i = 0; i < 2000; i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "KEY_%05d", i);
		add(&plan, "development", key, slice_of(big, i % 100 == 0 ? sizeof(big) : 20));
	}
	assert_int_equal(plan_group_variables(&plan, NULL), STATUS_OK);
	assert_in_range(plan.payload_count, 10, 40);
	for (size_t i = 0; i < plan.payload_count; i++) {
		assert_fits(plan.payloads[i]);
		changes += plan.payloads[i]->field[FIELD_CHANGES].changes.count;
	}
	assert_int_equal(changes, 2000);
}

static void limits_are_refused(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct change change = { .profile = slice_str("p"), .key = slice_str("K") };
	struct plan plan;

	(void)state;
	plan_init(&plan, &arena);
	for (int i = 0; i < COMMAND_CHANGES_MAX; i++)
		assert_int_equal(plan_variable(&plan, slice_str("e"), &change, &err), STATUS_OK);
	assert_int_equal(plan_variable(&plan, slice_str("e"), &change, &err), STATUS_USAGE);
	assert_int_equal(plan_group_variables(&plan, &err), STATUS_USAGE);
	assert_non_null(strstr(err.text, "twice"));
}

static void secrets_learn_their_place(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct change change = { .profile = slice_str("default"), .key = slice_str("M") };
	struct secret value = SECRET_INIT;
	const struct change *planned;
	struct plan plan;

	(void)state;
	assert_int_equal(secret_init_process(NULL), STATUS_OK);
	plan_init(&plan, &arena);
	assert_non_null(plan_event(&plan, EVENT_PROFILE_CREATED));
	assert_int_equal(secret_copy(&value, slice_str("hush"), NULL), STATUS_OK);
	assert_int_equal(plan_secret(&plan, slice_str("e"), &change, &value, NULL), STATUS_OK);
	assert_null(value.data);
	add(&plan, "e", "A", slice_str("1"));
	assert_int_equal(plan_group_variables(&plan, NULL), STATUS_OK);
	assert_int_equal(plan.secrets[0].part, 2);
	assert_int_equal(plan.secrets[0].index, 1);
	planned = &plan.payloads[1]->field[FIELD_CHANGES].changes.entries[1];
	assert_int_equal(planned->op, CHANGE_SEAL);
	assert_ptr_equal(planned->sealed.data, plan.secrets[0].sealed);
	plan_release(&plan);
}

static void touched_environments_are_named_once(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct slice *touched;
	struct payload *payload;
	struct plan plan;
	size_t count;

	(void)state;
	plan_init(&plan, &arena);
	payload = plan_event(&plan, EVENT_ENVIRONMENT_CREATED);
	payload_str(payload, FIELD_NAME, "new");
	payload = plan_event(&plan, EVENT_ENVIRONMENT_SWITCHED);
	payload_str(payload, FIELD_NAME, "production");
	payload = plan_event(&plan, EVENT_CATEGORY_REMOVED);
	payload_str(payload, FIELD_NAME, "trading");
	add(&plan, "production", "A", slice_str("1"));
	assert_int_equal(plan_touched(&plan, &touched, &count, NULL), STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(slice_equal_str(touched[0], "production"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_by_environment_in_order),
		cmocka_unit_test(large_commands_are_split),
		cmocka_unit_test(limits_are_refused),
		cmocka_unit_test(secrets_learn_their_place),
		cmocka_unit_test(touched_environments_are_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
