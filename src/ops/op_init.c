/*
 * Making a store; see op_init.h.
 *
 * Order: keys first, then the store's directories, then one command that holds everything. A crash
 * before the command leaves a directory without an event, which the next init takes over.
 */
#include "ops/op_init.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "ops/catalogue.h"
#include "ops/envelope.h"
#include "ops/op_catalogue.h"
#include "ops/op_environment.h"
#include "ops/plan.h"
#include "ops/session.h"
#include "store/event.h"
#include "store/paths.h"
#include "store/signer.h"
#include "store/store.h"

#include "base/banned.h"

void init_result_release(struct init_result *result)
{
	buf_release(&result->store_path);
	buf_release(&result->key_path);
	buf_release(&result->log_key_path);
}

struct making {
	const struct init_args *args;
	struct session session; /* without store: arena and signer, for planning */
	struct plan plan;
	struct catalogue catalogue;
	struct signer log_key;
	struct store *store;
	struct buf keys_dir;
	uint64_t now_ms;
};

static void making_release(struct making *making)
{
	plan_release(&making->plan);
	store_close(making->store);
	signer_release(&making->session.signer);
	signer_release(&making->log_key);
	buf_release(&making->keys_dir);
	arena_release(&making->session.arena);
}

/* The key that is there, or a new one, which is saved once there is a store for it. */
static enum status operator_key(struct making *making, struct init_result *ret, struct error *err)
{
	const char *dir = buf_str(&making->keys_dir);
	char own[KEY_NAME_BYTES_MAX + 1];
	const char *name = making->args->key_name;
	enum status status;

	if (!name) {
		paths_default_key_name(own);
		name = own;
	}
	status = signer_load(dir, name, &making->session.signer, err);
	if (status == STATUS_NOT_FOUND) {
		status = signer_generate(name, &making->session.signer, err);
		ret->key_made = true;
	}
	buf_printf(&ret->key_path, "%s/%s.key", dir, name);
	return status;
}

static enum status plan_created(struct making *making, struct error *err)
{
	struct session *session = &making->session;
	uint8_t *nonce = arena_alloc(&session->arena, HASH_BYTES);
	struct payload *payload = plan_event(&making->plan, EVENT_STORE_CREATED);

	if (!nonce || !payload)
		return error_no_memory(err);
	rng_bytes(nonce, HASH_BYTES);
	payload_text(payload, FIELD_NONCE, slice_of(nonce, HASH_BYTES));
	payload_str(payload, FIELD_OPERATOR, session->signer.name);
	payload_text(payload, FIELD_OPERATOR_KEY,
		     slice_of(session->signer.public_key, PUBLIC_KEY_BYTES));
	payload_text(payload, FIELD_LOG_KEY,
		     slice_of(making->log_key.public_key, PUBLIC_KEY_BYTES));
	return STATUS_OK;
}

/* The three usual environments, when no catalogue says otherwise. */
static enum status usual_environments(struct making *making, struct error *err)
{
	static const char *const names[] = { "development", "testing", "production" };
	const size_t count = sizeof(names) / sizeof(names[0]);
	struct arena *arena = &making->session.arena;
	const struct payload **items =
		(const struct payload **)arena_array(arena, count, sizeof(struct payload *));

	for (size_t i = 0; items && i < count; i++) {
		struct payload *payload = arena_alloc(arena, sizeof(*payload));

		if (!payload)
			return error_no_memory(err);
		payload_init(payload, EVENT_ENVIRONMENT_CREATED);
		payload_str(payload, FIELD_NAME, names[i]);
		payload_str(payload, FIELD_PROFILE, "default");
		payload_bool(payload, FIELD_PROTECTED, strcmp(names[i], "production") == 0);
		items[i] = payload;
	}
	if (!items)
		return error_no_memory(err);
	making->catalogue.environments = items;
	making->catalogue.environment_count = count;
	return STATUS_OK;
}

/* Every environment's first profile gets the catalogue's databases. */
static enum status plan_databases(struct making *making, const struct payload *environment,
				  struct error *err)
{
	for (size_t i = 0; i < making->catalogue.database_count; i++) {
		struct payload *payload = plan_event(&making->plan, EVENT_DATABASE_ATTACHED);

		if (!payload)
			return error_no_memory(err);
		*payload = *making->catalogue.databases[i];
		payload_text(payload, FIELD_ENVIRONMENT, payload_get_text(environment, FIELD_NAME));
		payload_text(payload, FIELD_PROFILE, payload_get_text(environment, FIELD_PROFILE));
	}
	return STATUS_OK;
}

static enum status plan_environments(struct making *making, struct error *err)
{
	struct catalogue *catalogue = &making->catalogue;
	struct payload *switched;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < catalogue->environment_count && !status; i++) {
		status = plan_environment(&making->session, &making->plan,
					  catalogue->environments[i], 1, err);
		if (!status)
			status = plan_databases(making, catalogue->environments[i], err);
	}
	if (status)
		return status;
	switched = plan_event(&making->plan, EVENT_ENVIRONMENT_SWITCHED);
	if (!switched)
		return error_no_memory(err);
	payload_text(switched, FIELD_NAME,
		     payload_get_text(catalogue->environments[0], FIELD_NAME));
	return STATUS_OK;
}

static enum status make_plan(struct making *making, struct error *err)
{
	enum status status = STATUS_OK;

	plan_init(&making->plan, &making->session.arena);
	if (making->args->catalogue.len)
		status = catalogue_parse(&making->session.arena, making->args->catalogue,
					 &making->catalogue, err);
	if (!status && making->catalogue.environment_count == 0)
		status = usual_environments(making, err);
	if (!status)
		status = plan_created(making, err);
	if (!status)
		status = plan_environments(making, err);
	if (!status)
		status = plan_catalogue(&making->plan, &making->catalogue, err);
	return status;
}

/* Keep the store out of the project's git: it holds sealed secrets and is no source. */
static enum status write_gitignore(const char *path, struct error *err)
{
	AUTO(buf_release) struct buf file = BUF_INIT;

	fs_join(&file, path, ".gitignore");
	if (fs_exists(buf_str(&file)))
		return STATUS_OK;
	return fs_write_durable(buf_str(&file), 0600, slice_str("*\n"), err);
}

static enum status append_all(struct making *making, struct store_receipt *ret, struct error *err)
{
	const struct plan *plan = &making->plan;
	struct payload *payloads =
		arena_array(&making->session.arena, plan->payload_count, sizeof(*payloads));
	struct store_command command = {
		.payloads = payloads,
		.count = plan->payload_count,
		.reason = slice_str(making->args->reason ? making->args->reason : ""),
		.claimed_ms = making->now_ms,
	};
	enum status status;

	if (!payloads)
		return error_no_memory(err);
	for (size_t i = 0; i < plan->payload_count; i++)
		payloads[i] = *plan->payloads[i];
	rng_uuid7(making->now_ms, command.command_id);
	status = store_lock(making->store, WRITE_LOCK_WAIT_MS, err);
	if (!status)
		status =
			store_append(making->store, &making->session.signer, 0, &command, ret, err);
	return status;
}

/* Named after its key id, which the first event holds, the log's key is found again. */
static enum status save_keys(struct making *making, struct init_result *ret, struct error *err)
{
	const char *dir = buf_str(&making->keys_dir);
	enum status status =
		ret->key_made ? signer_save(&making->session.signer, dir, err) : STATUS_OK;

	if (!status)
		status = signer_save(&making->log_key, dir, err);

	buf_printf(&ret->log_key_path, "%s/%s.key", dir, making->log_key.name);
	return status;
}

/* What an init that was stopped leaves behind may be taken over. */
static enum status refuse_others(void *context, const char *name, struct error *err)
{
	static const char *const ours[] = { "log", "vault", "state", "lock", "head", ".gitignore" };
	const char *path = context;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(name, ours[i]) == 0)
			return STATUS_OK;
	}
	if (fs_is_staged(name))
		return STATUS_OK;
	return error_hint(
		err, error_set(err, STATUS_CONFLICT, "%s holds other things than a store", path),
		"name a directory of its own, such as %s/.provenv", path);
}

/* A store takes a directory of its own. */
static enum status check_place(const char *path, struct error *err)
{
	char name[PATH_BYTES_MAX];

	if (!fs_is_dir(path))
		return STATUS_OK;
	(void)snprintf(name, sizeof(name), "%s", path);
	return fs_list(path, refuse_others, name, err);
}

static enum status fill_store(struct making *making, struct init_result *ret, struct error *err)
{
	struct store_receipt receipt;
	enum status status = store_create(buf_str(&ret->store_path), &making->store, err);
	size_t stale;

	if (!status)
		status = fs_remove_stale(buf_str(&ret->store_path), false, &stale, err);
	if (!status)
		status = write_gitignore(buf_str(&ret->store_path), err);
	if (!status)
		status = save_keys(making, ret, err);
	if (!status)
		status = append_all(making, &receipt, err);
	if (status)
		return status;
	memcpy(ret->log_id, store_log_id(making->store), LOG_ID_BYTES);
	ret->events = receipt.last_seq;
	return STATUS_OK;
}

static enum status make_store(struct making *making, struct init_result *ret, struct error *err)
{
	enum status status = paths_new_store(making->args->store_dir, making->args->global,
					     &ret->store_path, err);
	bool existed;

	if (!status)
		status = check_place(buf_str(&ret->store_path), err);
	if (status)
		return status;
	existed = fs_exists(buf_str(&ret->store_path));
	status = fill_store(making, ret, err);
	if (status && !existed) {
		/* Half a store would be in the way of every command below it. */
		store_close(making->store);
		making->store = NULL;
		(void)fs_remove_tree(buf_str(&ret->store_path), NULL);
	}
	return status;
}

enum status op_init(const struct init_args *args, struct init_result *ret, struct error *err)
{
	AUTO(making_release)
	struct making making = {
		.args = args,
		.now_ms = clock_now_ms(),
	};
	char hex[2 * KEY_ID_BYTES + 1];
	enum status status = reason_check(args->reason, err);

	if (!status && !args->accept_clock)
		status = clock_check(making.now_ms, 0, err);
	if (!status)
		status = paths_keys_dir(&making.keys_dir, err);
	if (!status)
		status = operator_key(&making, ret, err);
	if (status)
		return status;
	status = signer_generate("log", &making.log_key, err);
	if (status)
		return status;
	text_to_hex(making.log_key.key_id, KEY_ID_BYTES, hex);
	(void)snprintf(making.log_key.name, sizeof(making.log_key.name), "log-%s", hex);
	status = make_plan(&making, err);
	if (!status)
		status = make_store(&making, ret, err);
	return status;
}
