/*
 * What the fuzz targets share: libFuzzer's interface, checks that end the process, pieces cut from
 * an input, a scratch directory.
 *
 * A target is one C file that defines LLVMFuzzerTestOneInput(): it states what must hold for every
 * input, and fuzz_fail() is called when it does not. Nothing here or in a target depends on the
 * clock, on randomness or on the user's files, so that an input that failed fails again.
 */
#ifndef PROVENV_TESTS_FUZZ_FUZZ_H
#define PROVENV_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "lib/event_samples.h"

/* libFuzzer's names, not ours. NOLINTBEGIN(readability-identifier-naming) */
/* A target defines the first, and may define the second, which gives back the new size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* In fuzz.c, called once before all: prepares the process for secrets. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* Provided by libFuzzer, or by replay.c: change the bytes at random. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
/* NOLINTEND(readability-identifier-naming) */

/* Say what does not hold, and where; then abort, which keeps the input. */
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Unlike an assert, a check is what the target is there for. */
#define FUZZ_CHECK(held, ...) ((held) ? (void)0 : fuzz_fail(__FILE__, __LINE__, __VA_ARGS__))

/* Mark memory that must stay as it is, and see whether it did. */
void fuzz_mark(void *memory, size_t size);
bool fuzz_is_marked(const void *memory, size_t size);

/*
 * What error.h promises: after STATUS_OK nothing was written; else the text is there, ends, and no
 * control character is in it or in the hint (C0 but for newlines, DEL, C1, nor malformed UTF-8).
 * @err began as ERROR_INIT.
 */
void fuzz_check_error(enum status status, const struct error *err);
/* No control characters in @text, as above. @what names it. */
void fuzz_check_text(const char *what, const char *text);

/* Does @text occur in @bytes? Not an empty one. */
bool fuzz_contains(struct slice bytes, struct slice text);

/* Cut from the front of an input; what is missing is empty, or zero. */
uint8_t fuzz_take_byte(struct slice *input);
uint64_t fuzz_take_u64(struct slice *input);
struct slice fuzz_take(struct slice *input, size_t len);

/* A generator that the input alone decides. */
struct sample_random fuzz_random_of(struct slice input);

/* Copy @bytes over an input for a mutator, cut to @max_size. Returns the new size. */
size_t fuzz_put(uint8_t *data, size_t max_size, struct slice bytes);

/*
 * A directory of this process, in $TMPDIR, else in memory where there is such a place; removed at
 * exit. Every call gives the same one. Ends the process when it cannot be made.
 */
const char *fuzz_scratch(void);

#endif
