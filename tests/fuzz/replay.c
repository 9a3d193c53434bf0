/*
 * Runs a fuzz target over files and over all files of directories, without libFuzzer: every build
 * replays the corpora. Each file is also taken as the start of a few mutations, through the
 * target's own mutator if it has one.
 *
 *   fuzz_replay_TARGET FILE|DIRECTORY...
 *
 * PROVENV_TEST_SEED repeats the mutations of a run. Fails when there was nothing to run.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/rng.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"

#include "base/banned.h"

enum {
	MUTATIONS = 24,    /* of each file */
	STACKED_MAX = 4,   /* mutations on top of each other */
	ROOM = 128 * 1024, /* of an input */
};

/* Not every target has one. */
#pragma weak LLVMFuzzerCustomMutator

static struct sample_random mutation_random;

struct replay {
	struct sample_random random;
	uint64_t files;
	uint64_t mutated;
	const char *dir; /* "" for files by themselves */
};

/* A byte changed, inserted or removed, or a stretch doubled. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	struct sample_random *random = &mutation_random;
	size_t at = sample_below(random, size + 1);

	switch (sample_below(random, 4)) {
	case 0:
		if (size < max_size) {
			memmove(data + at + 1, data + at, size - at);
			data[at] = (uint8_t)sample_next(random);
			return size + 1;
		}
		return size;
	case 1:
		if (at < size) {
			memmove(data + at, data + at + 1, size - at - 1);
			return size - 1;
		}
		return size;
	case 2:
		if (size - at <= max_size - size) {
			memmove(data + size, data + at, size - at);
			return size + (size - at);
		}
		return size;
	default:
		if (at < size)
			data[at] ^= (uint8_t)(1u << sample_below(random, 8));
		return size;
	}
}

static size_t mutate(uint8_t *data, size_t size, struct sample_random *random)
{
	if (LLVMFuzzerCustomMutator)
		return LLVMFuzzerCustomMutator(data, size, ROOM, (unsigned)sample_next(random));
	return LLVMFuzzerMutate(data, size, ROOM);
}

/* Each in memory of its own size, so that a sanitizer sees what is read beyond it. */
static void run(struct slice input)
{
	uint8_t *exact = malloc(input.len ? input.len : 1);

	if (!exact)
		abort();
	if (input.len)
		memcpy(exact, input.data, input.len);
	(void)LLVMFuzzerTestOneInput(exact, input.len);
	free(exact);
}

static void run_mutations(struct replay *replay, struct slice input)
{
	AUTO_FREE uint8_t *data = malloc(ROOM);

	if (!data || input.len > ROOM)
		abort();
	for (unsigned i = 0; i < MUTATIONS; i++) {
		size_t size = fuzz_put(data, ROOM, input);

		for (size_t left = 1 + sample_below(&replay->random, STACKED_MAX); left > 0; left--)
			size = mutate(data, size, &replay->random);
		FUZZ_CHECK(size <= ROOM, "the mutator gives back more than there is room for");
		run(slice_of(data, size));
		replay->mutated++;
	}
}

static enum status run_file(void *context, const char *name, struct error *err)
{
	struct replay *replay = context;
	AUTO(buf_release) struct buf path = BUF_INIT;
	AUTO(buf_release) struct buf content = BUF_INIT;
	enum status status;

	fs_join(&path, replay->dir, name);
	if (fs_is_dir(buf_str(&path)))
		return STATUS_OK;
	status = fs_read_file(buf_str(&path), ROOM, &content, err);
	if (status)
		return status;
	run(buf_slice(&content));
	replay->files++;
	run_mutations(replay, buf_slice(&content));
	return STATUS_OK;
}

static enum status run_path(struct replay *replay, const char *path, struct error *err)
{
	replay->dir = fs_is_dir(path) ? path : "";
	return *replay->dir ? fs_list(path, run_file, replay, err) : run_file(replay, path, err);
}

static uint64_t seed_from_environment(void)
{
	const char *text = getenv("PROVENV_TEST_SEED"); /* NOLINT(concurrency-mt-unsafe) */
	uint32_t drawn;
	uint64_t seed;

	if (text && text_to_u64(slice_str(text), &seed))
		return seed;
	rng_bytes(&drawn, sizeof(drawn));
	return drawn;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	enum status status = STATUS_OK;
	struct replay replay = { .files = 0 };
	uint64_t seed;

	(void)LLVMFuzzerInitialize(&argc, &argv);
	seed = seed_from_environment();
	replay.random.state = seed;
	mutation_random.state = seed + 1;
	(void)printf("PROVENV_TEST_SEED=%llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	for (int i = 1; i < argc && !status; i++)
		status = run_path(&replay, argv[i], &err);
	if (status)
		(void)fprintf(stderr, "%s\n", err.text);
	(void)printf("%llu files, %llu mutations of them\n", (unsigned long long)replay.files,
		     (unsigned long long)replay.mutated);
	return status || replay.files == 0;
}
