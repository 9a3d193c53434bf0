/*
 * Making a store: directories, keys, the first command.
 */
#ifndef PROVENV_OPS_OP_INIT_H
#define PROVENV_OPS_OP_INIT_H

#include "ops/catalogue.h"
#include "ops/commit.h"

struct init_args {
	const char *store_dir; /* --store, may be NULL */
	bool global;
	const char *key_name;   /* --key; NULL: USER@HOST */
	struct slice catalogue; /* content of --catalogue; empty: the three usual environments */
	const char *reason;     /* may be NULL */
	bool accept_clock;      /* the clock is right, however far off it seems */
};

struct init_result {
	struct buf store_path;
	struct buf key_path;
	struct buf log_key_path;
	bool key_made; /* false: it was there already */
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t events;
};

void init_result_release(struct init_result *result);

/*
 * Make the store, the operator's key if there is none, the log's key, and append the first command:
 * store.created, environments (development, testing, production, the last protected; or those of
 * the catalogue), the catalogue, and the first environment as the active one.
 *
 * Everything is judged before the first file is made.
 *
 * CONFLICT     there is a store
 * WRONG_KEY    the key file is unsafe
 * USAGE        the catalogue, or the reason
 * UNCONFIRMED  the clock says a time before this program was built
 */
enum status op_init(const struct init_args *args, struct init_result *ret, struct error *err);

#endif
