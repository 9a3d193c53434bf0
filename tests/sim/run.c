/*
 * One run of a simulation; see run.h.
 *
 * The one piece of state is the run itself, for libsodium's source of randomness takes no context.
 */
#include "sim/run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"

#include "base/banned.h"

/* 2100-01-01T00:00:00Z: after any day on which this was built, so that only jumps go before it. */
#define START_MS UINT64_C(4102444800000)

static struct run *current;

/* --- randomness and time ---------------------------------------------------------------------- */

/* Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014 (splitmix64). */
static uint64_t next(uint64_t *state)
{
	uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

uint64_t run_random(struct run *run, uint64_t below)
{
	return next(&run->random) % below;
}

bool run_chance(struct run *run, unsigned percent)
{
	return run_random(run, 100) < percent;
}

static void fill(void *ret, size_t len)
{
	uint8_t *bytes = ret;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(next(&current->program) >> 32);
}

static const char *source_name(void)
{
	return "simulation";
}

static uint32_t source_random(void)
{
	return (uint32_t)(next(&current->program) >> 32);
}

static void source_rng(void *context, void *ret, size_t len)
{
	(void)context;
	fill(ret, len);
}

static uint64_t source_clock(void *context)
{
	return ((const struct run *)context)->now_ms;
}

/* --- failing ---------------------------------------------------------------------------------- */

void run_fail(const struct run *run, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "%s: episode %" PRIu64 ", step %" PRIu64 ": ", run->name,
		      run->episode, run->step);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, "\nrepeat it: PROVENV_TEST_SEED=%" PRIu64 " %s 1\n",
		      run->seed + run->episode, run->name);
	(void)fs_remove_tree(run->dir, NULL);
	exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

void run_must(const struct run *run, enum status status, const char *what, const struct error *err)
{
	if (status)
		run_fail(run, "%s: %s: %s", what, status_name(status), err ? err->text : "");
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* NOLINTBEGIN(concurrency-mt-unsafe): before any thread */

static uint64_t number_from(const char *name, const char *text, uint64_t otherwise)
{
	const char *set = getenv(name);
	uint64_t number;

	if (set && text_to_u64(slice_str(set), &number))
		return number;
	return text && text_to_u64(slice_str(text), &number) ? number : otherwise;
}

static void make_home(struct run *run)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

	(void)snprintf(run->dir, sizeof(run->dir), "%s/%s-XXXXXX", base ? base : "/tmp", run->name);
	if (!mkdtemp(run->dir)) {
		(void)fprintf(stderr, "%s: no scratch directory\n", run->name);
		exit(2);
	}
	(void)setenv("XDG_CONFIG_HOME", run->dir, 1);
	(void)setenv("XDG_STATE_HOME", run->dir, 1);
	(void)setenv("XDG_DATA_HOME", run->dir, 1);
	(void)setenv("HOME", run->dir, 1);
	(void)unsetenv("PROVENV_STORE");
}

/* NOLINTEND(concurrency-mt-unsafe) */

void run_open(struct run *run, const char *name, int argc, char **argv, uint64_t operations)
{
	static randombytes_implementation source = {
		.implementation_name = source_name,
		.random = source_random,
		.buf = fill,
	};

	*run = (struct run){ .name = name, .now_ms = START_MS };
	current = run;
	run->seed = number_from("PROVENV_TEST_SEED", NULL, clock_now_ms() % 1000000000);
	run->operations =
		number_from("PROVENV_SIM_OPERATIONS", argc > 1 ? argv[1] : NULL, operations);
	run->thorough =
		getenv("PROVENV_SIM_THOROUGH"); /* NOLINT(concurrency-mt-unsafe): as above */
	make_home(run);
	(void)randombytes_set_implementation(&source);
	/* It draws bytes for itself, once: not in the midst of an episode. */
	if (sodium_init() < 0)
		run_fail(run, "libsodium does not begin");
	rng_set_source(source_rng, NULL);
	clock_set_source(source_clock, run);
	(void)printf("%s: PROVENV_TEST_SEED=%" PRIu64 "\n", name, run->seed);
	(void)fflush(stdout);
}

void run_close(struct run *run)
{
	(void)fs_remove_tree(run->dir, NULL);
	clock_set_source(NULL, NULL);
	rng_set_source(NULL, NULL);
}

void run_begin_episode(struct run *run, uint64_t episode)
{
	struct error err = ERROR_INIT;

	run->episode = episode;
	run->step = 0;
	run->random = run->seed + episode;
	(void)next(&run->random);
	run->program = run->random ^ UINT64_C(0x5851f42d4c957f2d);
	run->now_ms = START_MS;
	(void)crypto_generichash_init(&run->digest, NULL, 0, HASH_BYTES);
	run_must(run, fs_remove_tree(run->dir, &err), "empty the home", &err);
	run_must(run, fs_make_dirs(run->dir, 0700, &err), "make the home", &err);
}

void run_end_episode(struct run *run, uint8_t ret_digest[HASH_BYTES])
{
	(void)crypto_generichash_final(&run->digest, ret_digest, HASH_BYTES);
}

void run_note(struct run *run, const void *bytes, size_t len)
{
	(void)crypto_generichash_update(&run->digest, bytes, len);
}

void run_note_number(struct run *run, uint64_t number)
{
	uint8_t bytes[8];

	store_u64be(bytes, number);
	run_note(run, bytes, sizeof(bytes));
}
