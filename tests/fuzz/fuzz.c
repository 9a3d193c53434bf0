/*
 * What the fuzz targets share; see fuzz.h.
 */
#include "fuzz/fuzz.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/secret.h"
#include "base/text.h"
#include "lib/event_samples.h"

#include "base/banned.h"

enum {
	MARK = 0xa5,
	PATH_ROOM = 512,
};

static char scratch[PATH_ROOM]; /* "" until it is made */

/* NOLINTNEXTLINE(readability-non-const-parameter): as libFuzzer declares it */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err = ERROR_INIT;

	(void)argc;
	(void)argv;
	FUZZ_CHECK(!secret_init_process(&err), "%s", err.text);
	return 0;
}

_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "%s:%d: does not hold: ", file, line);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	abort();
}

void fuzz_check_text(const char *what, const char *text)
{
	struct slice rest = slice_str(text);

	while (rest.len > 0) {
		size_t len = text_utf8_sequence(rest);

		FUZZ_CHECK(len > 0, "%s is not UTF-8: %s", what, text);
		FUZZ_CHECK(rest.data[0] >= ' ' || rest.data[0] == '\n',
			   "%s holds control character %d: %s", what, rest.data[0], text);
		FUZZ_CHECK(rest.data[0] != 0x7f, "%s holds DEL: %s", what, text);
		FUZZ_CHECK(len != 2 || rest.data[0] != 0xc2 || rest.data[1] >= 0xa0,
			   "%s holds a C1 character: %s", what, text);
		rest = slice_of(rest.data + len, rest.len - len);
	}
}

void fuzz_check_error(enum status status, const struct error *err)
{
	static const struct error untouched = ERROR_INIT;

	FUZZ_CHECK(memchr(err->text, '\0', sizeof(err->text)), "the error's text has no end");
	FUZZ_CHECK(memchr(err->hint, '\0', sizeof(err->hint)), "the error's hint has no end");
	if (!status) {
		FUZZ_CHECK(memcmp(err, &untouched, sizeof(untouched)) == 0,
			   "OK, but an error was filled: %s", err->text);
		return;
	}
	FUZZ_CHECK(err->status == status, "returned %s, the error says %s", status_name(status),
		   status_name(err->status));
	FUZZ_CHECK(*err->text, "failed with %s, and without a word", status_name(status));
	FUZZ_CHECK(status != STATUS_NO_MEMORY, "out of memory");
	fuzz_check_text("the error's text", err->text);
	fuzz_check_text("the error's hint", err->hint);
}

void fuzz_mark(void *memory, size_t size)
{
	memset(memory, MARK, size);
}

bool fuzz_is_marked(const void *memory, size_t size)
{
	const uint8_t *bytes = memory;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != MARK)
			return false;
	}
	return true;
}

bool fuzz_contains(struct slice bytes, struct slice text)
{
	return text.len > 0 && bytes.len > 0 &&
	       memmem(bytes.data, bytes.len, text.data, text.len) != NULL;
}

struct slice fuzz_take(struct slice *input, size_t len)
{
	struct slice taken = slice_of(input->data, len < input->len ? len : input->len);

	if (taken.len)
		*input = slice_of(input->data + taken.len, input->len - taken.len);
	return taken;
}

uint8_t fuzz_take_byte(struct slice *input)
{
	struct slice taken = fuzz_take(input, 1);

	return taken.len ? taken.data[0] : 0;
}

uint64_t fuzz_take_u64(struct slice *input)
{
	struct slice taken = fuzz_take(input, sizeof(uint64_t));
	uint8_t bytes[sizeof(uint64_t)] = { 0 };

	if (taken.len)
		memcpy(bytes, taken.data, taken.len);
	return load_u64be(bytes);
}

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
struct sample_random fuzz_random_of(struct slice input)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < input.len; i++)
		hash = (hash ^ input.data[i]) * UINT64_C(0x100000001b3);
	return (struct sample_random){ .state = hash };
}

size_t fuzz_put(uint8_t *data, size_t max_size, struct slice bytes)
{
	size_t len = bytes.len < max_size ? bytes.len : max_size;

	if (len)
		memmove(data, bytes.data, len);
	return len;
}

static void remove_scratch(void)
{
	struct error err = ERROR_INIT;

	if (fs_remove_tree(scratch, &err))
		(void)fprintf(stderr, "%s\n", err.text);
}

const char *fuzz_scratch(void)
{
	const char *dir = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): one thread */
	int len;

	if (*scratch)
		return scratch;
	if (!dir || !*dir)
		dir = fs_is_dir("/dev/shm") ? "/dev/shm" : "/tmp";
	len = snprintf(scratch, sizeof(scratch), "%s/provenv-fuzz-XXXXXX", dir);
	FUZZ_CHECK(len > 0 && len < PATH_ROOM, "TMPDIR is too long: %s", dir);
	if (!mkdtemp(scratch) || atexit(remove_scratch)) {
		perror("cannot make a scratch directory");
		exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
	}
	return scratch;
}
