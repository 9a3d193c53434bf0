/*
 * The store that hostile bytes are tried on; see hostile.h.
 *
 * It has what a store can have in few events: changes, groups, a removal, a secret, a rollback.
 */
#include <dirent.h>
#include <jansson.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "hostile/hostile.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

enum { PAGE_BYTES = 4096, SEQ_BYTES = 8 };

static const char setup[] =
	"provenv -q init --key operator && provenv -q set A=1 B=1 && provenv -q set A=2 && "
	"printf s3cret >$TMPDIR/secret && provenv -q set TOKEN --secret --file $TMPDIR/secret && "
	"provenv -q profile create fast && provenv -q -p fast set A=9 && "
	"provenv -q set C=1 D=2 && provenv -q unset B && provenv -q rollback --to HEAD~1 && "
	"provenv -q unset B && provenv -q set A=3";

static void must(bool held, const char *what, const struct outcome *outcome)
{
	if (held)
		return;
	(void)fprintf(stderr, "hostile: %s: exit %d\n%s%s", what, outcome->code,
		      buf_str(&outcome->out), buf_str(&outcome->err));
	exit(2);
}

static void set_variable(const char *name, char *value)
{
	if (setenv(name, value, 1))
		exit(2);
	free(value);
}

/* Home and store into one directory, so that both are put back together. */
static void point_into(const struct world *world)
{
	set_variable("HOME", rig_text("%s/home", world->root));
	set_variable("XDG_CONFIG_HOME", rig_text("%s/home/config", world->root));
	set_variable("XDG_STATE_HOME", rig_text("%s/home/state", world->root));
	set_variable("XDG_DATA_HOME", rig_text("%s/home/data", world->root));
	set_variable("PROVENV_STORE", rig_text("%s", world->store));
}

static void set_up(struct world *world)
{
	AUTO_FREE char *path = rig_text("PATH=%s:%s", world->rig->bin, getenv("PATH"));
	AUTO_FREE char *home = rig_text("%s/home", world->root);
	const char *argv[] = { "/bin/sh", "-c", setup, NULL };
	const char *environment[] = { path, NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	if (mkdir(world->root, 0700) || mkdir(home, 0700))
		exit(2);
	rig_exec(world->rig, argv, environment, &outcome);
	must(outcome.code == 0, "setting up", &outcome);
}

/* The only entry of a directory whose name ends so. Owned. */
static char *find_in(char *dir, const char *prefix, const char *suffix)
{
	struct dirent *entry;
	DIR *list = opendir(dir);
	char *found = NULL;

	while (list && !found && (entry = readdir(list)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len > strlen(suffix) && entry->d_name[0] != '.' &&
		    strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    strcmp(entry->d_name + len - strlen(suffix), suffix) == 0)
			found = rig_text("%s/%s", dir, entry->d_name);
	}
	if (!found) {
		(void)fprintf(stderr, "hostile: no %s*%s in %s\n", prefix, suffix, dir);
		exit(2);
	}
	(void)closedir(list);
	free(dir);
	return found;
}

static void find_files(struct world *world)
{
	world->log_path = rig_text("%s/log/data.mdb", world->store);
	world->head_path = rig_text("%s/head", world->store);
	world->checkpoint_path =
		find_in(rig_text("%s/home/state/provenv", world->root), "", ".checkpoint");
	world->key_path = rig_text("%s/home/config/provenv/keys/operator.key", world->root);
	world->log_key_path =
		find_in(rig_text("%s/home/config/provenv/keys", world->root), "log-", ".key");
	world->vault_path = find_in(rig_text("%s/vault", world->store), "", "");
	world->state_path = find_in(rig_text("%s/state", world->store), "", ".db");
	world->wal_path = find_in(rig_text("%s/state", world->store), "", ".db-wal");
}

static void copy_hex(const json_t *json, const char *name, char ret[HASH_HEX + 1])
{
	const char *text = json_string_value(json_object_get(json, name));

	if (!text || strlen(text) != HASH_HEX)
		exit(2);
	memcpy(ret, text, HASH_HEX + 1);
}

static void learn(struct world *world)
{
	const char *status[] = { "provenv", "status", "--json", NULL };
	const char *list[] = { "provenv", "ls", "--json", NULL };
	AUTO(outcome_release) struct outcome told = { .code = 0 };
	AUTO(outcome_release) struct outcome listed = { .code = 0 };
	json_t *json;

	rig_fork(world->rig, status, &told);
	must(told.code == 0, "status", &told);
	json = json_loadb((const char *)told.out.data, told.out.len, 0, NULL);
	world->events = (uint64_t)json_integer_value(json_object_get(json, "events"));
	copy_hex(json_object_get(json, "head"), "root", world->root_hex);
	copy_hex(json, "state_hash", world->state_hash);
	json_decref(json);
	rig_fork(world->rig, list, &listed);
	must(listed.code == 0, "ls", &listed);
	world->list = listed.out;
	listed.out = (struct buf)BUF_INIT;
}

/* In a child, since what is learned of LMDB must not stay open: where do events lie? */
static size_t read_places(const char *dir, struct place *ret)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi table;
	MDB_cursor *cursor;
	MDB_val key, value;
	size_t count = 0;

	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 8) ||
	    mdb_env_open(env, dir, MDB_RDONLY | MDB_NOLOCK, 0600) ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) || mdb_dbi_open(txn, "events", 0, &table) ||
	    mdb_cursor_open(txn, table, &cursor))
		_exit(2);
	while (count < EVENTS_MAX && !mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		const uint8_t *data = value.mv_data;
		size_t within = (uintptr_t)data % PAGE_BYTES;
		uint64_t page;

		/* Each page begins with its number. */
		memcpy(&page, data - within, sizeof(page));
		ret[count++] = (struct place){ .seq = load_u64be(key.mv_data),
					       .offset = page * PAGE_BYTES + within,
					       .len = value.mv_size };
	}
	return count;
}

static void locate(struct world *world)
{
	struct place *shared = mmap(NULL, sizeof(world->places), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	AUTO_FREE char *dir = rig_text("%s/log", world->store);
	pid_t child;
	int status;

	if (shared == MAP_FAILED)
		exit(2);
	child = fork();
	if (!child)
		_exit(read_places(dir, shared) == world->events ? 0 : 2);
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		(void)fprintf(stderr, "hostile: cannot tell where the events lie\n");
		exit(2);
	}
	memcpy(world->places, shared, sizeof(world->places));
	world->place_count = world->events;
	(void)munmap(shared, sizeof(world->places));
}

void world_make(struct world *world, struct rig *rig)
{
	*world = (struct world){ .rig = rig };
	world->root = rig_text("%s/world", rig->dir);
	world->pristine = rig_text("%s/pristine", rig->dir);
	world->store = rig_text("%s/store", world->root);
	point_into(world);
	set_up(world);
	find_files(world);
	learn(world);
	locate(world);
	rig_copy_tree(world->root, world->pristine);
}

void world_release(struct world *world)
{
	char *const owned[] = { world->root,       world->pristine,     world->store,
				world->log_path,   world->head_path,    world->checkpoint_path,
				world->key_path,   world->log_key_path, world->vault_path,
				world->state_path, world->wal_path };

	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
		free(owned[i]);
	buf_release(&world->list);
}

void world_restore(const struct world *world)
{
	rig_remove_tree(world->root);
	rig_copy_tree(world->pristine, world->root);
}

/* NOLINTEND(concurrency-mt-unsafe) */
