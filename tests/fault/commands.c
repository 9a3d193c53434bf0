/*
 * The commands that faults are tried on; see world.h.
 *
 * `fires` says which calls a command is known to make: one that is no longer seen means that the
 * rig looks past the program, or that the program works otherwise than it did. Look which.
 */
#include <stddef.h>
#include <stdint.h>

#include "fault/world.h"

#include "base/banned.h"

#define BIT(call) (UINT32_C(1) << CALL_##call)
/* A program that prints, and maps a log. */
#define PRINTS    (BIT(MALLOC) | BIT(CALLOC) | BIT(MMAP) | BIT(WRITE) | BIT(OPEN) | BIT(CLOSE))
#define READS_LOG (PRINTS | BIT(PREAD) | BIT(FCNTL))
/* SQLite makes its shared memory anew in each process: it writes even where we only read. */
#define READS_STATE \
	(READS_LOG | BIT(REALLOC) | BIT(READ) | BIT(PWRITE) | BIT(FTRUNCATE) | BIT(FLOCK))
#define APPENDS (READS_STATE | BIT(WRITEV) | BIT(FDATASYNC))
/* A file of its own, put in place durably: a sealed key, a pointer, a signing key. */
#define PLACES_FILE (BIT(FSYNC) | BIT(RENAME))

const struct command commands[] = {
	{ "init",
	  WRITES | KEEPS | FRESH,
	  { "init", "--catalogue=catalogue.json", "--key=fresh" },
	  APPENDS | PLACES_FILE | BIT(MKDIR) },
	{ "set", WRITES | KEEPS, { "set", "A=5", "B=5", "D=5" }, APPENDS },
	{ "set-secret",
	  WRITES | KEEPS | STDIN,
	  { "set", "NEW_TOKEN", "--stdin", "--secret" },
	  APPENDS | PLACES_FILE | BIT(UNLINK) },
	{ "set-secret-file",
	  WRITES | KEEPS,
	  { "set", "API_TOKEN", "--file=more.json", "--secret" },
	  APPENDS | PLACES_FILE | BIT(UNLINK) },
	{ "unset", WRITES | KEEPS, { "unset", "A", "API_TOKEN" }, APPENDS },
	{ "import", WRITES | KEEPS, { "spec", "import", "more.json" }, APPENDS },
	{ "rollback", WRITES | KEEPS, { "rollback", "--to=HEAD~4", "-mback" }, APPENDS },
	{ "restore", WRITES | KEEPS, { "restore", "A", "--from=HEAD~4" }, APPENDS },
	{ "env-switch",
	  WRITES | KEEPS,
	  { "env", "switch", "production", "-mlive", "--confirm=production" },
	  APPENDS },
	{ "env-clone",
	  WRITES | KEEPS,
	  { "env", "clone", "staging", "twin" },
	  APPENDS | PLACES_FILE | BIT(UNLINK) },
	{ "profile-clone", WRITES | KEEPS, { "profile", "clone", "default", "copy" }, APPENDS },
	{ "get", SAYS, { "get", "A" }, READS_STATE },
	{ "get-secret", SAYS | REVEALS, { "get", "API_TOKEN", "--reveal" }, READS_STATE },
	{ "get-past", SAYS, { "get", "A", "--at=HEAD~4" }, READS_STATE },
	{ "ls", SAYS, { "ls" }, READS_STATE },
	{ "log", SAYS, { "log" }, READS_LOG },
	{ "status", SAYS, { "status" }, READS_STATE },
	{ "verify", SAYS, { "verify" }, READS_STATE },
	{ "verify-deep", SAYS, { "verify", "--deep" }, READS_STATE },
	{ "rebuild",
	  SAYS,
	  { "rebuild" },
	  READS_STATE | PLACES_FILE | BIT(FDATASYNC) | BIT(UNLINK) },
	{ "rebuild-compare", SAYS, { "rebuild", "--compare" }, READS_STATE },
	{ "doctor", SAYS | JUDGES, { "doctor" }, READS_STATE },
	{ "checkpoint", SAYS, { "checkpoint" }, READS_LOG | BIT(READ) },
	{ "key-gen", KEEPS, { "key", "gen", "spare" }, PRINTS | PLACES_FILE | BIT(PWRITE) },
	{ "replay-verify", SAYS | REPLAYS, { "verify", "store" }, READS_LOG | BIT(READ) },
	{ "replay-state", SAYS | REPLAYS, { "state", "store" }, READS_LOG | BIT(READ) },
	{ "replay-rebuild",
	  SAYS | KEEPS | FRESH | REPLAYS,
	  { "rebuild", "store", "--output=fresh" },
	  APPENDS | PLACES_FILE | BIT(MKDIR) },
	{ "replay-salvage",
	  SAYS | KEEPS | FRESH | REPLAYS | SALVAGES,
	  { "salvage", "store", "--output=fresh" },
	  APPENDS | PLACES_FILE | BIT(MKDIR) },
};

const size_t command_count = sizeof(commands) / sizeof(commands[0]);
