/*
 * Hostile bytes: every byte of a small store xor 0x01, 0x80 and 0xff; truncations, swapped pages,
 * files of another store, holes, older copies. Each time the right verdict, never a crash.
 *
 * usage: hostile EVERY [PART PARTS]
 *
 * Of the single bytes one in EVERY is tried, drawn by the seed; all else is tried always. With PART
 * of PARTS only this share, so that several processes can divide the work.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "hostile/hostile.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

enum { PAGE_BYTES = 4096, OLD_COPIES = 3, SMALL_FILE = 2048, SMALL_SHARE = 20 };

struct hostile {
	struct world world;
	struct world other; /* another store, for its files */
	uint64_t every;
	uint64_t part;
	uint64_t parts;
	uint64_t cases;
	const char *target;
	uint64_t counts[3]; /* of the target, by verdict */
};

typedef enum verdict (*judge_fn)(struct world *world, const char *what);

/* Is the next case this process's? */
static bool mine(struct hostile *hostile)
{
	return hostile->cases++ % hostile->parts == hostile->part;
}

static void begin(struct hostile *hostile, const char *target)
{
	hostile->target = target;
	memset(hostile->counts, 0, sizeof(hostile->counts));
}

static void end(const struct hostile *hostile)
{
	(void)printf("  %-28s %7" PRIu64 " found, %7" PRIu64 " unharmed, %4" PRIu64 " wrong\n",
		     hostile->target, hostile->counts[VERDICT_FOUND],
		     hostile->counts[VERDICT_UNHARMED], hostile->counts[VERDICT_WRONG]);
	(void)fflush(stdout);
}

static void count(struct hostile *hostile, enum verdict verdict)
{
	hostile->world.rig->tried++;
	hostile->world.rig->fired++;
	hostile->counts[verdict]++;
}

/* The event whose bytes lie there; 0: none. */
static uint64_t event_at(const struct world *world, uint64_t offset)
{
	for (size_t i = 0; i < world->place_count; i++)
		if (offset >= world->places[i].offset &&
		    offset < world->places[i].offset + world->places[i].len)
			return world->places[i].seq;
	return 0;
}

/* --- single bytes ----------------------------------------------------------------------------- */

static void flip(struct hostile *hostile, const char *path, uint64_t offset, uint8_t mask,
		 judge_fn judge)
{
	struct world *world = &hostile->world;
	AUTO_FREE char *what =
		rig_text("%s, byte %" PRIu64 " ^ %02x", hostile->target, offset, mask);
	AUTO_FD int fd = -1;
	uint8_t byte;

	world_restore(world);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &byte, 1, (off_t)offset) != 1)
		exit(2);
	byte ^= mask;
	if (pwrite(fd, &byte, 1, (off_t)offset) != 1)
		exit(2);
	count(hostile,
	      judge ? judge(world, what) : judge_log(world, event_at(world, offset), what));
}

/* @judge NULL: the log, whose events are to be named. */
static void flip_bytes(struct hostile *hostile, const char *target, const char *path,
		       judge_fn judge)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	AUTO(buf_release) struct buf content = BUF_INIT;
	uint64_t every;

	world_restore(&hostile->world);
	rig_read(path, &content);
	/* Small files are tried more: they would hardly be met. */
	every = content.len < SMALL_FILE ? hostile->every / SMALL_SHARE + 1 : hostile->every;
	begin(hostile, target);
	for (uint64_t offset = 0; offset < content.len; offset++)
		for (size_t i = 0; i < sizeof(masks); i++)
			if (rig_random(hostile->world.rig, every) == 0 && mine(hostile))
				flip(hostile, path, offset, masks[i], judge);
	end(hostile);
}

/* --- other damage ----------------------------------------------------------------------------- */

/* Put @content in the place of the file and judge. */
static void replace(struct hostile *hostile, const char *path, struct slice content,
		    const char *how, judge_fn judge)
{
	AUTO_FREE char *what = rig_text("%s, %s", hostile->target, how);

	if (!mine(hostile))
		return;
	world_restore(&hostile->world);
	rig_write(path, content);
	count(hostile, judge(&hostile->world, what));
}

static enum verdict any_log(struct world *world, const char *what)
{
	return judge_log(world, 0, what);
}

static void truncate_file(struct hostile *hostile, const char *target, const char *path,
			  judge_fn judge)
{
	static const long nearby[] = { -2048, -511, -1, 0, 1 };
	AUTO(buf_release) struct buf content = BUF_INIT;

	world_restore(&hostile->world);
	rig_read(path, &content);
	begin(hostile, target);
	for (size_t page = 0; page * PAGE_BYTES <= content.len; page++) {
		for (size_t i = 0; i < sizeof(nearby) / sizeof(*nearby); i++) {
			long len = (long)(page * PAGE_BYTES) + nearby[i];
			AUTO_FREE char *how = rig_text("cut to %ld bytes", len);

			if (len >= 0 && (size_t)len < content.len)
				replace(hostile, path, slice_of(content.data, (size_t)len), how,
					judge);
		}
	}
	end(hostile);
}

static void swap_pages(struct hostile *hostile, const char *target, const char *path,
		       judge_fn judge)
{
	uint8_t page[PAGE_BYTES];
	AUTO(buf_release) struct buf content = BUF_INIT;

	world_restore(&hostile->world);
	rig_read(path, &content);
	begin(hostile, target);
	for (size_t a = 0; (a + 1) * PAGE_BYTES <= content.len; a++) {
		for (size_t b = a + 1; (b + 1) * PAGE_BYTES <= content.len; b++) {
			AUTO_FREE char *how = rig_text("pages %zu and %zu swapped", a, b);
			uint8_t *first = content.data + a * PAGE_BYTES;
			uint8_t *second = content.data + b * PAGE_BYTES;

			memcpy(page, first, PAGE_BYTES);
			memcpy(first, second, PAGE_BYTES);
			memcpy(second, page, PAGE_BYTES);
			replace(hostile, path, buf_slice(&content), how, judge);
			memcpy(second, first, PAGE_BYTES);
			memcpy(first, page, PAGE_BYTES);
		}
	}
	end(hostile);
}

/* Pages, and runs of pages to the end, that read as zeros. */
static void punch_holes(struct hostile *hostile, const char *target, const char *path,
			judge_fn judge)
{
	AUTO(buf_release) struct buf content = BUF_INIT;
	AUTO(buf_release) struct buf holed = BUF_INIT;

	world_restore(&hostile->world);
	rig_read(path, &content);
	begin(hostile, target);
	for (size_t at = 0; at < content.len; at += PAGE_BYTES) {
		size_t rest = content.len - at;
		size_t one = rest < PAGE_BYTES ? rest : PAGE_BYTES;

		for (int all = 0; all < 2; all++) {
			AUTO_FREE char *how =
				rig_text("zeros at %zu%s", at, all ? " and behind" : "");

			buf_clear(&holed);
			buf_append_slice(&holed, buf_slice(&content));
			memset(holed.data + at, 0, all ? rest : one);
			replace(hostile, path, buf_slice(&holed), how, judge);
		}
	}
	end(hostile);
}

static void use_foreign(struct hostile *hostile, const char *target, const char *path,
			const char *foreign, judge_fn judge)
{
	AUTO(buf_release) struct buf content = BUF_INIT;

	world_restore(&hostile->other);
	rig_read(foreign, &content);
	begin(hostile, target);
	replace(hostile, path, buf_slice(&content), "of another store", judge);
	end(hostile);
}

/* --- older copies of the log ------------------------------------------------------------------ */

/* The log of @events events fewer, as a copy made then; by rebuild, whose bytes are the same. */
static void read_older(struct hostile *hostile, uint64_t events, struct buf *ret)
{
	struct world *world = &hostile->world;
	AUTO_FREE char *program = rig_text("%s/provenv-replay", world->rig->bin);
	AUTO_FREE char *to = rig_text("%" PRIu64, world->events - events);
	AUTO_FREE char *output = rig_text("%s/older", world->rig->dir);
	AUTO_FREE char *data = rig_text("%s/log/data.mdb", output);
	const char *argv[] = { program, "rebuild",  world->store, "--to",
			       to,      "--output", output,       NULL };
	AUTO(outcome_release) struct outcome outcome = { .code = 0 };

	world_restore(world);
	rig_remove_tree(output);
	rig_exec(world->rig, argv, NULL, &outcome);
	if (outcome.code) {
		(void)fprintf(stderr, "hostile: rebuild: exit %d\n%s", outcome.code,
			      buf_str(&outcome.err));
		exit(2);
	}
	rig_read(data, ret);
}

/* A shorter log, valid in itself: found by the head file, and by the checkpoint alone. */
static void shorten(struct hostile *hostile)
{
	struct world *world = &hostile->world;

	begin(hostile, "an older log");
	for (uint64_t events = 1; events <= OLD_COPIES; events++) {
		static const char *const kept[] = { "head and checkpoint", "head", "checkpoint" };
		AUTO(buf_release) struct buf older = BUF_INIT;

		read_older(hostile, events, &older);
		for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
			AUTO_FREE char *what = rig_text(
				"the log of %" PRIu64 " commands ago beside %s", events, kept[i]);

			world_restore(world);
			rig_write(world->log_path, buf_slice(&older));
			if (i == 1)
				(void)unlink(world->checkpoint_path);
			if (i == 2)
				(void)unlink(world->head_path);
			count(hostile, judge_loss(world, what));
		}
	}
	end(hostile);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void try_log(struct hostile *hostile)
{
	const char *path = hostile->world.log_path;

	flip_bytes(hostile, "log", path, NULL);
	truncate_file(hostile, "log cut off", path, judge_loss);
	swap_pages(hostile, "log, swapped pages", path, any_log);
	punch_holes(hostile, "log, holes", path, any_log);
	use_foreign(hostile, "log of another store", path, hostile->other.log_path, judge_loss);
	shorten(hostile);
}

static void try_evidence(struct hostile *hostile)
{
	const struct world *world = &hostile->world;

	flip_bytes(hostile, "head", world->head_path, judge_evidence);
	truncate_file(hostile, "head cut off", world->head_path, judge_evidence);
	use_foreign(hostile, "head of another store", world->head_path, hostile->other.head_path,
		    judge_evidence);
	flip_bytes(hostile, "checkpoint", world->checkpoint_path, judge_evidence);
	truncate_file(hostile, "checkpoint cut off", world->checkpoint_path, judge_evidence);
	use_foreign(hostile, "checkpoint of another store", world->checkpoint_path,
		    hostile->other.checkpoint_path, judge_evidence);
}

static void try_keys(struct hostile *hostile)
{
	const struct world *world = &hostile->world;

	flip_bytes(hostile, "key", world->key_path, judge_key);
	truncate_file(hostile, "key cut off", world->key_path, judge_key);
	use_foreign(hostile, "key of another store", world->key_path, hostile->other.key_path,
		    judge_key);
	flip_bytes(hostile, "log key", world->log_key_path, judge_log_key);
	use_foreign(hostile, "log key of another store", world->log_key_path,
		    hostile->other.log_key_path, judge_log_key);
	flip_bytes(hostile, "vault", world->vault_path, judge_vault);
	truncate_file(hostile, "vault cut off", world->vault_path, judge_vault);
	use_foreign(hostile, "vault of another store", world->vault_path, hostile->other.vault_path,
		    judge_vault);
}

static void try_state(struct hostile *hostile)
{
	const struct world *world = &hostile->world;

	flip_bytes(hostile, "state", world->state_path, judge_state);
	truncate_file(hostile, "state cut off", world->state_path, judge_state);
	swap_pages(hostile, "state, swapped pages", world->state_path, judge_state);
	punch_holes(hostile, "state, holes", world->state_path, judge_state);
	use_foreign(hostile, "state of another store", world->state_path, hostile->other.state_path,
		    judge_state);
	flip_bytes(hostile, "state WAL", world->wal_path, judge_state);
	truncate_file(hostile, "state WAL cut off", world->wal_path, judge_state);
	punch_holes(hostile, "state WAL, holes", world->wal_path, judge_state);
}

/* The control arm: nothing was done, and all judges find nothing. */
static void try_nothing(struct hostile *hostile)
{
	static const judge_fn judges[] = { any_log,       judge_evidence, judge_key,
					   judge_log_key, judge_vault,    judge_state };

	for (size_t i = 0; i < sizeof(judges) / sizeof(*judges); i++) {
		world_restore(&hostile->world);
		(void)rig_check(hostile->world.rig,
				judges[i](&hostile->world, "nothing") == VERDICT_UNHARMED,
				hostile->world.root, "judge %zu finds harm where there is none", i);
	}
}

int main(int argc, char **argv)
{
	struct hostile hostile = { .parts = 1 };
	struct rig rig, other_rig;
	int code;

	hostile.every = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	if (argc == 4) {
		hostile.part = strtoull(argv[2], NULL, 10);
		hostile.parts = strtoull(argv[3], NULL, 10);
	}
	if (!hostile.every || hostile.part >= hostile.parts || argc == 3 || argc > 4) {
		(void)fprintf(stderr, "usage: hostile EVERY [PART PARTS]\n");
		return 2;
	}
	rig_open(&other_rig, "hostile-other", NULL);
	world_make(&hostile.other, &other_rig);
	rig_open(&rig, "hostile", NULL);
	world_make(&hostile.world, &rig);
	try_nothing(&hostile);
	try_log(&hostile);
	try_evidence(&hostile);
	try_keys(&hostile);
	try_state(&hostile);
	world_release(&hostile.world);
	world_release(&hostile.other);
	rig_remove_tree(other_rig.dir);
	code = rig_close(&rig);
	return code;
}

/* NOLINTEND(concurrency-mt-unsafe) */
