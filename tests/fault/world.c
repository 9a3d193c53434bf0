/*
 * The store that faults are tried on, and runs of commands; see world.h.
 */
#include "fault/world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "fault/shared.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

enum { EXIT_RIG = 2, LINE_WORDS_MAX = 24 };

/* Fixed: a trial starts from the image, where it was never used. */
#define COMMAND_ID "--command-id=01890a5d-ac96-774b-bcce-b302099a8057"

static void give_up(const char *what)
{
	(void)fprintf(stderr, "fault_calls: cannot %s: %s\n", what, strerror(errno));
	exit(EXIT_RIG);
}

/* --- the image ------------------------------------------------------------------------------ */

/* "development" gets its variables and the secret, "production" one of its own. */
static const char *const setup[][8] = {
	{ "init", "--catalogue=catalogue.json" },
	{ "set", "A=1", "B=1" },
	{ "set", "API_TOKEN", "--file=secret", "--secret" },
	{ "set", "A=2", "-mwith a reason" },
	{ "set", "P=1", "--env=production", "-mfirst", "--confirm=production" },
	{ "profile", "create", "night" },
	{ "set", "A=3", "C=1" },
	{ "rollback", "--to=HEAD~2", "-mback" },
	{ "set", "A=4" },
	{ "env", "create", "staging" },
	{ "set", "STAGED_TOKEN", "--env=staging", "--file=secret", "--secret" },
};

static const char catalogue[] =
	"{\"categories\": [{\"name\": \"api\", \"status\": \"implemented\"}],\n"
	"\"environments\": [{\"name\": \"development\"},\n"
	"{\"name\": \"production\", \"protected\": true}],\n"
	"\"databases\": [{\"name\": \"settings\", \"kind\": \"sqlite\", \"path\": \"s.db\"}],\n"
	"\"variables\": [{\"key\": \"LEVEL\", \"type\": \"enum\", \"enum\": [\"a\", \"b\"],\n"
	"\"default\": \"a\"}, {\"key\": \"API_TOKEN\", \"category\": \"api\", \"secret\": true}]}\n";

static const char more[] =
	"{\"categories\": [{\"name\": \"more\", \"status\": \"planned\"}], \"variables\": [\n"
	"{\"key\": \"M\", \"category\": \"more\", \"type\": \"int\", \"min\": 1, \"max\": 9},\n"
	"{\"key\": \"N\", \"category\": \"api\", \"pattern\": \"^[a-z]+$\"}]}\n";

static void point_at(const char *name, const char *work, const char *sub)
{
	AUTO_FREE char *path = rig_text("%s/%s", work, sub);

	if (setenv(name, path, 1))
		give_up("set the environment");
}

static void go_to(const char *path)
{
	if (chdir(path))
		give_up("enter the scratch directory");
}

static void make_image(struct world *world)
{
	AUTO_FREE char *home = rig_text("%s/home", world->work);
	struct outcome outcome;

	if (mkdir(world->work, 0700) || mkdir(home, 0700))
		give_up("make the scratch directory");
	go_to(world->work);
	rig_write("catalogue.json", slice_str(catalogue));
	rig_write("more.json", slice_str(more));
	rig_write("secret", slice_str(CANARY "\n"));
	for (size_t i = 0; i < sizeof(setup) / sizeof(setup[0]); i++) {
		world_do(world, "store", setup[i], &outcome);
		if (outcome.code != 0) {
			(void)fprintf(stderr, "fault_calls: %s %s: exit %d: %s\n", setup[i][0],
				      setup[i][1], outcome.code, buf_str(&outcome.err));
			exit(EXIT_RIG);
		}
		outcome_release(&outcome);
	}
	world_do(world, "store", (const char *const[]){ "status", "--json", NULL }, &outcome);
	world->base_events = json_number(&outcome, "events");
	outcome_release(&outcome);
	rig_copy_tree(world->work, world->base);
}

static void map_calls(struct world *world, const char *path)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*world->calls)))
		give_up("make the file that counts");
	world->calls = mmap(NULL, sizeof(*world->calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (world->calls == MAP_FAILED)
		give_up("map the file that counts");
}

void world_open(struct world *world, struct rig *rig, const char *shim)
{
	AUTO_FREE char *counts = rig_text("%s/counts", rig->dir);

	*world = (struct world){ .rig = rig };
	world->work = rig_text("%s/work", rig->dir);
	world->base = rig_text("%s/base", rig->dir);
	world->program = rig_text("%s/provenv", rig->bin);
	world->replay = rig_text("%s/provenv-replay", rig->bin);
	world->preload = rig_text("LD_PRELOAD=%s", shim);
	world->counted = rig_text(CALLS_FILE_VARIABLE "=%s", counts);
	map_calls(world, counts);
	point_at("HOME", world->work, "home");
	point_at("XDG_CONFIG_HOME", world->work, "home/config");
	point_at("XDG_STATE_HOME", world->work, "home/state");
	point_at("XDG_DATA_HOME", world->work, "home/data");
	make_image(world);
}

void world_close(struct world *world)
{
	go_to("/");
	rig_remove_tree(world->work);
	rig_remove_tree(world->base);
	(void)munmap(world->calls, sizeof(*world->calls));
	free(world->work);
	free(world->base);
	free(world->program);
	free(world->replay);
	free(world->preload);
	free(world->counted);
}

void world_reset(struct world *world)
{
	go_to("/");
	rig_remove_tree(world->work);
	rig_copy_tree(world->base, world->work);
	go_to(world->work);
}

/* nftw() hands no context through: from where to where files are compared. */
static struct comparison {
	const char *from;
	const char *to; /* NULL: only count */
	uint64_t files;
	bool differ;
} comparing;

static bool is_working_memory(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, "lock.mdb") == 0 || (len > 4 && strcmp(name + len - 4, "-shm") == 0);
}

static int compare_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	AUTO(buf_release) struct buf one = BUF_INIT;
	AUTO(buf_release) struct buf other = BUF_INIT;
	AUTO_FREE char *peer = NULL;
	struct stat status;

	(void)info;
	if (is_working_memory(path + where->base))
		return 0;
	comparing.files++;
	if (!comparing.to)
		return 0;
	peer = rig_text("%s%s", comparing.to, path + strlen(comparing.from));
	comparing.differ = lstat(peer, &status) || status.st_mode != info->st_mode;
	if (!comparing.differ && kind == FTW_F) {
		rig_read(path, &one);
		rig_read(peer, &other);
		comparing.differ = !slice_equal(buf_slice(&one), buf_slice(&other));
	}
	return comparing.differ;
}

static uint64_t count_entries(const char *from, const char *to)
{
	comparing = (struct comparison){ .from = from, .to = to };
	(void)nftw(from, compare_entry, 16, FTW_PHYS);
	return comparing.files;
}

bool world_is_untouched(const struct world *world)
{
	uint64_t files = count_entries(world->work, world->base);

	return !comparing.differ && count_entries(world->base, NULL) == files;
}

void world_disarm(struct world *world)
{
	memset(world->calls, 0, sizeof(*world->calls));
}

/* --- runs ----------------------------------------------------------------------------------- */

struct line {
	const char *words[LINE_WORDS_MAX + 1];
	size_t count;
};

static void add(struct line *line, const char *word)
{
	if (line->count < LINE_WORDS_MAX)
		line->words[line->count++] = word;
}

void world_run(struct world *world, const struct command *command, bool json, bool shim,
	       struct outcome *ret)
{
	const char *const environment[] = { world->preload, world->counted, NULL };
	struct line line = { .count = 0 };

	if (command->flags & STDIN) {
		add(&line, "/bin/sh");
		add(&line, "-c");
		add(&line, "exec \"$0\" \"$@\" <secret");
	}
	add(&line, command->flags & REPLAYS ? world->replay : world->program);
	for (size_t i = 0; i < COMMAND_WORDS_MAX && command->words[i]; i++)
		add(&line, command->words[i]);
	if (!(command->flags & REPLAYS))
		add(&line, command->flags & FRESH ? "--store=fresh" : "--store=store");
	if (command->flags & WRITES && !(command->flags & FRESH))
		add(&line, COMMAND_ID);
	if (json)
		add(&line, "--json");
	rig_exec(world->rig, line.words, shim ? environment : NULL, ret);
}

void world_do(struct world *world, const char *name, const char *const *words, struct outcome *ret)
{
	AUTO_FREE char *store = rig_text("--store=%s", name);
	struct line line = { .count = 0 };

	add(&line, "provenv");
	for (; *words; words++)
		add(&line, *words);
	add(&line, store);
	rig_fork(world->rig, line.words, ret);
}

uint64_t json_number(const struct outcome *outcome, const char *name)
{
	AUTO_FREE char *key = rig_text("\"%s\":", name);
	const char *found = strstr(buf_str(&outcome->out), key);
	char *end;
	uint64_t number;

	if (!found)
		return UINT64_MAX;
	found += strlen(key);
	number = strtoull(found, &end, 10);
	return end == found ? UINT64_MAX : number;
}

/* NOLINTEND(concurrency-mt-unsafe) */
