/*
 * Processor, kernel, file system, libraries and build; see machine.h.
 */
#include "machine.h"

#include <inttypes.h>
#include <lmdb.h>
#include <msgpack.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "commands.h"

#include "base/banned.h"

enum { THREADS_MAX = 16 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(SANITIZED)
#define BUILD    "with sanitizers"
#define RELEASED false
#elif !defined(__OPTIMIZE__)
#define BUILD    "not optimised"
#define RELEASED false
#elif defined(PROVENV_TEST_HOOKS)
#define BUILD    "optimised, with test hooks"
#define RELEASED false
#else
#define BUILD    "optimised"
#define RELEASED true
#endif

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Magic numbers of statfs(2). */
static const struct {
	unsigned long magic;
	const char *name;
} file_systems[] = {
	{ 0xef53, "ext4" },      { 0x58465342, "xfs" },     { 0x9123683e, "btrfs" },
	{ 0x2fc12fc1, "zfs" },   { 0xf2f52010, "f2fs" },    { 0x01021994, "tmpfs" },
	{ 0x858458f6, "ramfs" }, { 0x794c7630, "overlay" }, { 0x6969, "nfs" },
	{ 0xff534d42, "cifs" },  { 0x01021997, "9p" },      { 0x65735546, "fuse" },
};

const char *file_system_name(const char *dir)
{
	struct statfs found;

	if (statfs(dir, &found) != 0)
		return "unknown";
	for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
		if ((unsigned long)found.f_type == file_systems[i].magic)
			return file_systems[i].name;
	return "unknown";
}

bool file_system_is_memory(const char *dir)
{
	const char *name = file_system_name(dir);

	return strcmp(name, "tmpfs") == 0 || strcmp(name, "ramfs") == 0;
}

unsigned machine_threads(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1)
		return 1;
	return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

/* The first "model name" of /proc/cpuinfo; some processors have none. */
static void look_at_cpu(char *ret, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)snprintf(ret, size, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon || colon[1] == '\0')
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(ret, size, "%s", colon + 2);
		break;
	}
	if (file)
		(void)fclose(file);
}

/* The first line of /proc/stat, proc(5): the same ticks as times(2) counts. */
static struct machine_ticks look_at_ticks(void)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
	FILE *file = fopen("/proc/stat", "re");
	struct machine_ticks ticks = { .all = 0 };
	uint64_t at[FIELDS] = { 0 };
	char line[512] = "";
	char *rest = line;
	struct tms own;

	if (!file)
		return ticks;
	if (fgets(line, sizeof(line), file) && strncmp(line, "cpu ", 4) == 0 &&
	    times(&own) != (clock_t)-1) {
		rest += 4;
		for (int i = 0; i < FIELDS; i++)
			at[i] = strtoull(rest, &rest, 10);
		ticks.busy = at[USER] + at[NICE] + at[SYSTEM] + at[IRQ] + at[SOFTIRQ];
		ticks.stolen = at[STEAL];
		ticks.all = ticks.busy + ticks.stolen + at[IDLE] + at[IOWAIT];
		ticks.own =
			(uint64_t)(own.tms_utime + own.tms_stime + own.tms_cutime + own.tms_cstime);
	}
	(void)fclose(file);
	return ticks;
}

void machine_look(const char *dir, struct machine *ret)
{
	struct utsname system;

	*ret = (struct machine){
		.cores = sysconf(_SC_NPROCESSORS_ONLN),
		.kernel = "unknown",
		.file_system = file_system_name(dir),
		.build = BUILD,
		.release = RELEASED,
		.ticks = look_at_ticks(),
	};
	look_at_cpu(ret->cpu, sizeof(ret->cpu));
	program_version((const char *const[]){ "git", "--version", NULL }, ret->git,
			sizeof(ret->git));
	program_version((const char *const[]){ "etcd", "--version", NULL }, ret->etcd,
			sizeof(ret->etcd));
	program_version((const char *const[]){ "sqlite3", "--version", NULL }, ret->sqlite_shell,
			sizeof(ret->sqlite_shell));
	if (uname(&system) == 0)
		(void)snprintf(ret->kernel, sizeof(ret->kernel), "%s %s %s", system.sysname,
			       system.release, system.machine);
}

void machine_settle(struct machine *machine)
{
	struct machine_ticks now = look_at_ticks(), *since = &machine->ticks;

	since->all = now.all - since->all;
	since->busy = now.busy - since->busy;
	since->stolen = now.stolen - since->stolen;
	since->own = now.own - since->own;
}

/* What part of all processors' time; ticks are coarse, so that a little may be missing. */
static unsigned permille(uint64_t part, uint64_t without, const struct machine_ticks *ticks)
{
	if (ticks->all == 0 || part < without)
		return 0;
	return (unsigned)((part - without) * 1000 / ticks->all);
}

static unsigned stolen_permille(const struct machine *machine)
{
	return permille(machine->ticks.stolen, 0, &machine->ticks);
}

static unsigned others_permille(const struct machine *machine)
{
	return permille(machine->ticks.busy, machine->ticks.own, &machine->ticks);
}

void machine_text(const struct machine *machine, struct buf *out)
{
	buf_printf(out, "%s, %ld cores, %s, %s\n", machine->cpu, machine->cores, machine->kernel,
		   machine->file_system);
	buf_printf(out, "LMDB %d.%d.%d, SQLite %s, libsodium %s, msgpack-c %s, %s\n",
		   MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH, sqlite3_libversion(),
		   sodium_version_string(), msgpack_version(), COMPILER);
	buf_printf(out, "programs: git %s, etcd %s, sqlite3 %s\n", machine->git, machine->etcd,
		   machine->sqlite_shell);
	buf_printf(out, "provenv %s, build: %s; %u runs, logs up to %" PRIu64 " events%s\n",
		   PROVENV_VERSION, machine->build, machine->runs, machine->events_max,
		   machine->quick ? ", quick" : "");
	buf_printf(out,
		   "taken by others meanwhile: %u.%u %% of the processors by the hypervisor, "
		   "%u.%u %% by other programs\n",
		   stolen_permille(machine) / 10, stolen_permille(machine) % 10,
		   others_permille(machine) / 10, others_permille(machine) % 10);
	if (!machine->release)
		buf_append_str(out, "warning: not a release build, these figures say little\n");
}

void machine_json(const struct machine *machine, struct json *json)
{
	AUTO(buf_release) struct buf lmdb = BUF_INIT;

	buf_printf(&lmdb, "%d.%d.%d", MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH);
	jsonw_object(json);
	jsonw_pair_string(json, "cpu", machine->cpu);
	jsonw_pair_uint(json, "cores", machine->cores > 0 ? (uint64_t)machine->cores : 0);
	jsonw_pair_string(json, "kernel", machine->kernel);
	jsonw_pair_string(json, "file_system", machine->file_system);
	jsonw_pair_string(json, "lmdb", buf_str(&lmdb));
	jsonw_pair_string(json, "sqlite", sqlite3_libversion());
	jsonw_pair_string(json, "libsodium", sodium_version_string());
	jsonw_pair_string(json, "msgpack", msgpack_version());
	jsonw_pair_string(json, "compiler", COMPILER);
	jsonw_pair_string(json, "git", machine->git);
	jsonw_pair_string(json, "etcd", machine->etcd);
	jsonw_pair_string(json, "sqlite_shell", machine->sqlite_shell);
	jsonw_pair_string(json, "provenv", PROVENV_VERSION);
	jsonw_pair_string(json, "build", machine->build);
	jsonw_pair_bool(json, "release", machine->release);
	jsonw_pair_uint(json, "runs", machine->runs);
	jsonw_pair_uint(json, "events_max", machine->events_max);
	jsonw_pair_bool(json, "quick", machine->quick);
	jsonw_pair_uint(json, "stolen_permille", stolen_permille(machine));
	jsonw_pair_uint(json, "others_permille", others_permille(machine));
	jsonw_end(json);
}
