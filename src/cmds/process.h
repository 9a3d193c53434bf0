/*
 * The process around a command: descriptors, signals.
 */
#ifndef PROVENV_CMDS_PROCESS_H
#define PROVENV_CMDS_PROCESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Once, first: libsodium, no core dumps; descriptors 0, 1 and 2 are taken, so that no file of the
 * store can be opened in their place; SIGPIPE, and SIGXFSZ for a file over the limit of the
 * process, become errors of write().
 */
enum status process_prepare(struct error *err);

/*
 * From here on a fault in mapped memory (a damaged or vanished page of the log: SIGBUS, SIGSEGV, or
 * LMDB's abort) ends the process with exit code 9 and a message, as JSON if @json, instead of a
 * signal. Not in builds with a sanitizer, which want to see it. A child that is to die visibly
 * resets the three signals.
 */
void process_guard(bool json);

/* write() all of @bytes. Returns 0 or an errno. */
int process_write(int fd, struct slice bytes);

/* Are standard input and error terminals, so that a person can be asked? */
bool process_is_interactive(void);

/*
 * For session_options.ask: print @question on stderr, read a line from stdin, and compare it.
 * @context is not used.
 */
bool process_ask(void *context, const char *question, const char *expected);

/*
 * Read standard input to its end, at most @bytes_max bytes. On a terminal @question is printed
 * first, and what is typed is not shown. As fs_read_fd().
 */
enum status process_read_hidden(const char *question, size_t bytes_max, struct buf *ret,
				struct error *err);

#endif
