/*
 * Secrets of a session: who can open them, what stands in the way, what is left behind.
 */
#include "ops/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"
#include "ops/commit.h"
#include "ops/op_environment.h"
#include "ops/op_profile.h"
#include "ops/op_rollback.h"
#include "ops/op_variable.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "projections/state.h"
#include "store/event.h"
#include "store/signer.h"
#include "unit/base/scratch.h"
#include "unit/ops/ops_fixture.h"

#include "base/banned.h"

/* --- the vault's files ------------------------------------------------------------------------ */

struct vault {
	char path[SCRATCH_PATH_MAX + 256]; /* of the last file */
	char dir[SCRATCH_PATH_MAX + 64];
	unsigned count;
};

static enum status visit(void *context, const char *name, struct error *err)
{
	struct vault *vault = context;

	(void)err;
	(void)snprintf(vault->path, sizeof(vault->path), "%s/%s", vault->dir, name);
	vault->count++;
	return STATUS_OK;
}

static struct vault look_into_vault(struct ops_fixture *fixture)
{
	struct vault vault = { .count = 0 };

	(void)snprintf(vault.dir, sizeof(vault.dir), "%s/vault", fixture->store);
	assert_int_equal(fs_list(vault.dir, visit, &vault, NULL), STATUS_OK);
	return vault;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Open @key of the session's profile. */
static enum status open_secret(struct session *session, const char *key, struct secret *ret,
			       struct error *err)
{
	struct variable variable;
	struct variable_value value;

	assert_int_equal(state_variable(&session->view, session->environment, session->profile,
					slice_str(key), &variable, NULL),
			 STATUS_OK);
	assert_true(variable.sealed);
	assert_int_equal(state_value(&session->view, &variable, &value, NULL), STATUS_OK);
	assert_int_equal(value.text.len, 0);
	return secrets_open(session, &variable, &value, ret, err);
}

static void sealed_values_open_again(void **state)
{
	static char longest[VALUE_BYTES_MAX + 1];
	const char *const values[] = { "", "x", "two\nlines ü", longest };
	struct ops_fixture *fixture = *state;

	memset(longest, 'y', VALUE_BYTES_MAX);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		AUTO(secret_release) struct secret opened = SECRET_INIT;
		struct session session;

		(void)ops_seal(fixture, "S", values[i]);
		ops_open(fixture, SESSION_PROFILE, &session);
		assert_int_equal(open_secret(&session, "S", &opened, NULL), STATUS_OK);
		assert_true(slice_equal_str(secret_slice(&opened), values[i]));
		session_close(&session);
	}
	assert_int_equal(look_into_vault(fixture).count, 4);
}

/* A command of several: each at its own place, plain ones between them. */
static void each_is_sealed_at_its_place(void **state)
{
	struct ops_fixture *fixture = *state;
	AUTO(secret_release) struct secret first = SECRET_INIT, second = SECRET_INIT;
	struct assignment assignments[] = {
		{ .key = slice_str("Z"), .hidden = &first },
		{ .key = slice_str("A"), .hidden = &second },
	};
	struct set_args args = { assignments, 2, SET_SECRET };

	assert_int_equal(secret_copy(&first, slice_str("of Z"), NULL), STATUS_OK);
	assert_int_equal(secret_copy(&second, slice_str("of A"), NULL), STATUS_OK);
	(void)ops_do(fixture, decide_set, &args);
	ops_assert_value(fixture, "Z", "of Z");
	ops_assert_value(fixture, "A", "of A");
	assert_int_equal(look_into_vault(fixture).count, 2);
}

/* What is copied within an environment points to the first sealing; across, it is sealed anew. */
static void copies_open(void **state)
{
	struct ops_fixture *fixture = *state;
	struct profile_args night = { .name = slice_str("night"), .from = slice_str("default") };
	struct environment_args clone = { .name = slice_str("development"),
					  .new_name = slice_str("copy") };

	(void)ops_seal(fixture, "S", "hidden");
	(void)ops_do(fixture, decide_profile_create, &night);
	assert_int_equal(look_into_vault(fixture).count, 1);
	fixture->options.profile = "night";
	ops_assert_value(fixture, "S", "hidden");
	(void)ops_do(fixture, decide_environment_clone, &clone);
	assert_int_equal(look_into_vault(fixture).count, 3);
	fixture->options.environment = "copy";
	ops_assert_value(fixture, "S", "hidden");
	ops_assert_no_violations(fixture);
}

/* A name used again has another key; what was sealed to the first one opens all the same. */
static void keys_outlive_their_environment(void **state)
{
	struct ops_fixture *fixture = *state;
	struct rollback_args back = { .to = "HEAD~3", .environment = slice_str("extra") };

	(void)ops_env(fixture, decide_environment_create, "extra");
	fixture->options.environment = "extra";
	(void)ops_seal(fixture, "S", "of the first");
	fixture->options.environment = NULL;
	(void)ops_env(fixture, decide_environment_remove, "extra");
	(void)ops_env(fixture, decide_environment_create, "extra");
	fixture->options.environment = "extra";
	(void)ops_seal(fixture, "T", "of the second");
	(void)ops_do(fixture, decide_rollback, &back);
	ops_assert_value(fixture, "S", "of the first");
	ops_assert_value(fixture, "T", NULL);
	back.to = "HEAD~1";
	(void)ops_do(fixture, decide_rollback, &back);
	ops_assert_value(fixture, "T", "of the second");
}

static void a_key_that_is_no_reader_opens_nothing(void **state)
{
	struct ops_fixture *fixture = *state;
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	struct error err = ERROR_INIT;
	struct session session;

	(void)ops_seal(fixture, "S", "hidden");
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(signer_generate("other@test", &session.signer, NULL), STATUS_OK);
	assert_int_equal(open_secret(&session, "S", &opened, &err), STATUS_WRONG_KEY);
	assert_non_null(strstr(err.text, "'other@test' cannot read secrets of environment "
					 "'development'"));
	assert_non_null(strstr(err.hint, "--as"));
	assert_null(opened.data);
	session_close(&session);
}

static void without_its_vault_file_a_secret_is_gone(void **state)
{
	struct ops_fixture *fixture = *state;
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	AUTO(buf_release) struct buf content = BUF_INIT;
	struct error err = ERROR_INIT;
	struct outcome outcome = ops_seal(fixture, "S", "hidden");
	struct vault vault = look_into_vault(fixture);
	struct session session;
	char number[32];

	assert_int_equal(vault.count, 1);
	assert_int_equal(fs_read_file(vault.path, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(fs_remove(vault.path, NULL), STATUS_OK);
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(open_secret(&session, "S", &opened, &err), STATUS_NOT_FOUND);
	assert_non_null(strstr(err.text, "'S'"));
	assert_non_null(strstr(err.text, "shredded or lost"));
	(void)snprintf(number, sizeof(number), "event %llu", (unsigned long long)outcome.last_seq);
	assert_non_null(strstr(err.text, number));

	content.data[content.len / 2] ^= 1;
	assert_int_equal(fs_write_durable(vault.path, 0600, buf_slice(&content), NULL), STATUS_OK);
	assert_int_equal(open_secret(&session, "S", &opened, &err), STATUS_CORRUPT);
	content.data[content.len / 2] ^= 1;
	assert_int_equal(fs_write_durable(vault.path, 0600, buf_slice(&content), NULL), STATUS_OK);
	assert_int_equal(open_secret(&session, "S", &opened, &err), STATUS_OK);
	session_close(&session);
}

/* One value's vault file under another's name opens neither. */
static void vault_files_cannot_be_exchanged(void **state)
{
	struct ops_fixture *fixture = *state;
	AUTO(secret_release) struct secret opened = SECRET_INIT;
	AUTO(buf_release) struct buf content = BUF_INIT;
	struct vault first, second;
	struct session session;

	(void)ops_seal(fixture, "S", "hidden");
	first = look_into_vault(fixture);
	(void)ops_seal(fixture, "T", "hidden");
	second = look_into_vault(fixture);
	assert_string_not_equal(first.path, second.path);
	assert_int_equal(fs_read_file(second.path, 4096, &content, NULL), STATUS_OK);
	assert_int_equal(fs_write_durable(first.path, 0600, buf_slice(&content), NULL), STATUS_OK);
	ops_open(fixture, SESSION_PROFILE, &session);
	assert_int_equal(open_secret(&session, "S", &opened, NULL), STATUS_CORRUPT);
	assert_null(opened.data);
	assert_int_equal(open_secret(&session, "T", &opened, NULL), STATUS_OK);
	session_close(&session);
}

/* --- sealing ---------------------------------------------------------------------------------- */

static void an_equal_secret_makes_no_event(void **state)
{
	struct ops_fixture *fixture = *state;
	struct vault first;
	uint64_t head;

	(void)ops_seal(fixture, "S", "hidden");
	head = ops_head(fixture);
	assert_true(ops_seal(fixture, "S", "hidden").unchanged);
	assert_int_equal(ops_head(fixture), head);
	assert_int_equal(look_into_vault(fixture).count, 1);
	assert_false(ops_seal(fixture, "S", "hiddem").unchanged);
	/* One that cannot be opened counts as different: setting it mends it. */
	(void)ops_unset(fixture, "S");
	first = look_into_vault(fixture);
	assert_int_equal(fs_remove_tree(first.dir, NULL), STATUS_OK);
	assert_int_equal(fs_make_dirs(first.dir, 0700, NULL), STATUS_OK);
	(void)ops_seal(fixture, "T", "lost");
	assert_int_equal(fs_remove(look_into_vault(fixture).path, NULL), STATUS_OK);
	assert_false(ops_seal(fixture, "T", "lost").unchanged);
	ops_assert_value(fixture, "T", "lost");
}

/* An environment that nobody made a key for. */
static enum status decide_keyless(struct session *session, const void *args, struct plan *plan,
				  struct error *err)
{
	struct payload *payload = plan_event(plan, EVENT_ENVIRONMENT_CREATED);

	(void)session;
	(void)args;
	if (!payload)
		return error_no_memory(err);
	payload_str(payload, FIELD_NAME, "keyless");
	payload_str(payload, FIELD_PROFILE, "default");
	payload_bool(payload, FIELD_PROTECTED, false);
	return STATUS_OK;
}

static void sealing_needs_the_environments_key(void **state)
{
	struct ops_fixture *fixture = *state;
	AUTO(secret_release) struct secret hidden = SECRET_INIT;
	struct ops_set set;
	uint64_t head;

	(void)ops_do(fixture, decide_keyless, NULL);
	fixture->options.environment = "keyless";
	head = ops_head(fixture);
	assert_int_equal(secret_copy(&hidden, slice_str("hidden"), NULL), STATUS_OK);
	ops_refused(fixture, decide_set, ops_set_args(&set, "S", "", &hidden), STATUS_CORRUPT,
		    "'keyless' has no sealing key");
	assert_int_equal(ops_head(fixture), head);
	assert_int_equal(look_into_vault(fixture).count, 0);
	(void)ops_set(fixture, "A", "1");
}

/* A grouped plan with one secret for the session's profile. */
static void plan_one(struct session *session, const char *value, struct plan *plan)
{
	AUTO(secret_release) struct secret secret = SECRET_INIT;
	struct change change = { .profile = session->profile, .key = slice_str("S") };

	plan_init(plan, &session->arena);
	assert_int_equal(secret_copy(&secret, slice_str(value), NULL), STATUS_OK);
	assert_int_equal(plan_secret(plan, session->environment, &change, &secret, NULL),
			 STATUS_OK);
	assert_int_equal(plan_group_variables(plan, NULL), STATUS_OK);
}

/* After a refusal nothing is left in the vault; after IO it may be an appended event's only key. */
static void withdrawn_unless_the_outcome_is_unknown(void **state)
{
	static const uint8_t command_id[COMMAND_ID_BYTES] = { 1 };
	struct ops_fixture *fixture = *state;
	struct session session;
	struct plan plan;

	ops_open(fixture, SESSION_PROFILE, &session);
	plan_one(&session, "hidden", &plan);
	assert_int_equal(secrets_seal(&session, &plan, command_id, NULL), STATUS_OK);
	assert_int_equal(look_into_vault(fixture).count, 1);
	secrets_withdraw(&session, &plan, command_id, STATUS_IO);
	assert_int_equal(look_into_vault(fixture).count, 1);
	/* Left by a crash before the append, it is no obstacle. */
	assert_int_equal(secrets_seal(&session, &plan, command_id, NULL), STATUS_OK);
	assert_int_equal(look_into_vault(fixture).count, 1);
	secrets_withdraw(&session, &plan, command_id, STATUS_CONFLICT);
	assert_int_equal(look_into_vault(fixture).count, 0);
	plan_release(&plan);
	session_close(&session);
}

static bool same_as_stored(struct session *session, const char *value, uint64_t seq)
{
	AUTO(plan_release) struct plan plan = { .arena = NULL };
	const struct read_event *event;
	bool same = true;

	plan_one(session, value, &plan);
	assert_int_equal(session_event(session, seq, &event, NULL), STATUS_OK);
	assert_int_equal(secrets_same_payload(session, &plan, 1, &event->decoded, &same, NULL),
			 STATUS_OK);
	return same;
}

static void payloads_are_compared_opened(void **state)
{
	struct ops_fixture *fixture = *state;
	uint64_t sealed = ops_seal(fixture, "S", "hidden").last_seq;
	uint64_t plain = ops_set(fixture, "S", "hidden").last_seq;
	uint64_t other = ops_seal(fixture, "T", "hidden").last_seq;
	uint64_t made = ops_env(fixture, decide_environment_create, "extra").last_seq;
	struct session session;

	ops_open(fixture, SESSION_PROFILE, &session);
	assert_true(same_as_stored(&session, "hidden", sealed));
	assert_false(same_as_stored(&session, "hiddem", sealed));
	assert_false(same_as_stored(&session, "hidden ", sealed));
	assert_false(same_as_stored(&session, "", sealed));
	assert_false(same_as_stored(&session, "hidden", plain));
	assert_false(same_as_stored(&session, "hidden", other));
	assert_false(same_as_stored(&session, "hidden", made));
	session_close(&session);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, ops_setup, ops_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sealed_values_open_again),
		TEST(each_is_sealed_at_its_place),
		TEST(copies_open),
		TEST(keys_outlive_their_environment),
		TEST(a_key_that_is_no_reader_opens_nothing),
		TEST(without_its_vault_file_a_secret_is_gone),
		TEST(vault_files_cannot_be_exchanged),
		TEST(an_equal_secret_makes_no_event),
		TEST(sealing_needs_the_environments_key),
		TEST(withdrawn_unless_the_outcome_is_unknown),
		TEST(payloads_are_compared_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
