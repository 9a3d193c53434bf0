/*
 * The ordered map against a naive one: an array of pairs, looked through from end to end. Random
 * operations from few names, of which many are prefixes of others, so that they meet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lib/event_samples.h"
#include "replay/ordered_map.h"

#include "base/banned.h"

enum {
	NAIVE_MAX = 256,
	STEPS = 20000,
};

static const char *const names[] = { "",     "d",       "de", "dev", "develop", "devel",
				     "prod", "product", "p",  "x",   "\xff",    "dev\xff" };

#define NAMES (sizeof(names) / sizeof(names[0]))

struct pair {
	uint8_t path[24];
	size_t path_len;
	uint8_t value[8];
	size_t value_len;
};

/* Sorted by path. */
struct naive {
	struct pair pairs[NAIVE_MAX];
	size_t count;
};

static struct slice pair_path(const struct pair *pair)
{
	return slice_of(pair->path, pair->path_len);
}

static size_t naive_place(const struct naive *naive, struct slice path)
{
	size_t at = 0;

	while (at < naive->count && slice_compare(pair_path(&naive->pairs[at]), path) < 0)
		at++;
	return at;
}

static void naive_remove_at(struct naive *naive, size_t at)
{
	naive->count--;
	memmove(&naive->pairs[at], &naive->pairs[at + 1],
		(naive->count - at) * sizeof(struct pair));
}

static bool naive_has(const struct naive *naive, size_t at, struct slice path)
{
	return at < naive->count && slice_equal(pair_path(&naive->pairs[at]), path);
}

static void naive_put(struct naive *naive, struct slice path, struct slice value)
{
	size_t at = naive_place(naive, path);
	struct pair *pair = &naive->pairs[at];

	if (!naive_has(naive, at, path)) {
		assert_in_range(naive->count, 0, NAIVE_MAX - 1);
		memmove(pair + 1, pair, (naive->count - at) * sizeof(*pair));
		naive->count++;
	}
	memset(pair, 0, sizeof(*pair));
	memcpy(pair->path, path.data, path.len);
	pair->path_len = path.len;
	if (value.len)
		memcpy(pair->value, value.data, value.len);
	pair->value_len = value.len;
}

static void naive_remove_prefix(struct naive *naive, struct slice prefix)
{
	for (size_t at = naive->count; at-- > 0;) {
		struct slice path = pair_path(&naive->pairs[at]);

		if (path.len >= prefix.len && slice_equal(slice_of(path.data, prefix.len), prefix))
			naive_remove_at(naive, at);
	}
}

struct comparing {
	const struct naive *naive;
	size_t at;
};

static enum status compare_entry(void *context, const struct map_entry *entry, struct error *err)
{
	struct comparing *comparing = context;
	const struct pair *pair = &comparing->naive->pairs[comparing->at];

	(void)err;
	assert_true(comparing->at < comparing->naive->count);
	assert_true(slice_equal(entry->path, pair_path(pair)));
	assert_true(slice_equal(entry->value, slice_of(pair->value, pair->value_len)));
	comparing->at++;
	return STATUS_OK;
}

static void assert_same(const struct ordered_map *map, const struct naive *naive)
{
	struct comparing comparing = { .naive = naive };

	assert_int_equal(map->count, naive->count);
	assert_int_equal(map_each(map, slice_of(NULL, 0), compare_entry, &comparing, NULL),
			 STATUS_OK);
	assert_int_equal(comparing.at, naive->count);
}

/* One to three names joined by NUL, as paths of the state are. */
static void random_path(struct sample_random *random, struct buf *ret)
{
	size_t parts = 1 + sample_below(random, 2);

	buf_clear(ret);
	for (size_t i = 0; i < parts; i++) {
		if (i)
			buf_append_byte(ret, 0);
		buf_append_str(ret, names[sample_below(random, NAMES)]);
	}
}

static void random_change(struct sample_random *random, struct ordered_map *map,
			  struct naive *naive)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	uint64_t bits = sample_next(random);
	struct slice value = slice_of(&bits, sample_below(random, sizeof(bits) + 1));
	size_t at;

	random_path(random, &path);
	at = naive_place(naive, buf_slice(&path));
	switch (sample_below(random, 8)) {
	case 0:
		if (sample_below(random, 2))
			buf_append_byte(&path, 0);
		assert_int_equal(map_remove_prefix(map, buf_slice(&path), NULL), STATUS_OK);
		naive_remove_prefix(naive, buf_slice(&path));
		break;
	case 1:
	case 2:
		assert_int_equal(map_remove(map, buf_slice(&path), NULL), STATUS_OK);
		if (naive_has(naive, at, buf_slice(&path)))
			naive_remove_at(naive, at);
		break;
	default:
		assert_int_equal(map_put(map, buf_slice(&path), value, NULL), STATUS_OK);
		naive_put(naive, buf_slice(&path), value);
	}
}

static void assert_lookup(struct sample_random *random, const struct ordered_map *map,
			  const struct naive *naive)
{
	AUTO(buf_release) struct buf path = BUF_INIT;
	struct slice value;
	size_t at;

	random_path(random, &path);
	at = naive_place(naive, buf_slice(&path));
	assert_int_equal(map_get(map, buf_slice(&path), NULL),
			 naive_has(naive, at, buf_slice(&path)));
	if (map_get(map, buf_slice(&path), &value))
		assert_true(slice_equal(
			value, slice_of(naive->pairs[at].value, naive->pairs[at].value_len)));
}

static void test_does_what_the_naive_one_does(void **state)
{
	AUTO(map_release) struct ordered_map map = ORDERED_MAP_INIT;
	static struct naive naive, marked_naive;
	struct sample_random random = sample_seed();
	bool marked = false;

	(void)state;
	naive.count = 0;
	for (size_t i = 0; i < STEPS; i++) {
		size_t dice = sample_below(&random, 20);

		if (dice == 0 && !marked) {
			map_mark(&map);
			marked_naive = naive;
			marked = true;
		} else if (dice == 1 && marked) {
			map_keep(&map);
			marked = false;
		} else if (dice == 2 && marked) {
			assert_int_equal(map_take_back(&map, NULL), STATUS_OK);
			naive = marked_naive;
			marked = false;
		} else {
			random_change(&random, &map, &naive);
		}
		assert_same(&map, &naive);
		assert_lookup(&random, &map, &naive);
	}
}

static void put(struct ordered_map *map, const char *path, size_t len, const char *value)
{
	assert_int_equal(map_put(map, slice_of(path, len), slice_str(value), NULL), STATUS_OK);
}

static bool holds(const struct ordered_map *map, const char *path, size_t len, const char *value)
{
	struct slice found;

	return map_get(map, slice_of(path, len), &found) && slice_equal(found, slice_str(value));
}

/* A path and its length, which counts NULs inside but not the one at the end. */
#define PATH(literal) literal, sizeof(literal) - 1

static void test_a_prefix_with_its_nul_spares_longer_names(void **state)
{
	AUTO(map_release) struct ordered_map map = ORDERED_MAP_INIT;

	(void)state;
	put(&map, PATH("variable\0dev\0A"), "1");
	put(&map, PATH("variable\0dev\0B"), "2");
	put(&map, PATH("variable\0develop\0A"), "3");
	put(&map, PATH("variable\0dev"), "4");
	assert_int_equal(map_remove_prefix(&map, slice_of(PATH("variable\0dev\0")), NULL),
			 STATUS_OK);
	assert_int_equal(map.count, 2);
	assert_true(holds(&map, PATH("variable\0develop\0A"), "3"));
	assert_true(holds(&map, PATH("variable\0dev"), "4"));
}

static void test_takes_back_to_the_mark_and_no_further(void **state)
{
	AUTO(map_release) struct ordered_map map = ORDERED_MAP_INIT;

	(void)state;
	put(&map, PATH("before"), "1");
	map_mark(&map);
	put(&map, PATH("before"), "2");
	put(&map, PATH("before"), "3");
	put(&map, PATH("new"), "4");
	assert_int_equal(map_remove(&map, slice_str("before"), NULL), STATUS_OK);
	assert_int_equal(map_take_back(&map, NULL), STATUS_OK);
	assert_int_equal(map.count, 1);
	assert_true(holds(&map, PATH("before"), "1"));

	/* Nothing is left to take back. */
	put(&map, PATH("later"), "5");
	assert_int_equal(map_take_back(&map, NULL), STATUS_OK);
	assert_true(holds(&map, PATH("later"), "5"));

	map_mark(&map);
	put(&map, PATH("later"), "6");
	map_keep(&map);
	assert_int_equal(map_take_back(&map, NULL), STATUS_OK);
	assert_true(holds(&map, PATH("later"), "6"));
}

static enum status stop_at_second(void *context, const struct map_entry *entry, struct error *err)
{
	size_t *seen = context;

	(void)entry;
	return ++*seen == 2 ? error_set(err, STATUS_CONFLICT, "stop") : STATUS_OK;
}

static void test_a_failing_visit_ends_the_walk(void **state)
{
	AUTO(map_release) struct ordered_map map = ORDERED_MAP_INIT;
	size_t seen = 0;

	(void)state;
	put(&map, PATH("a"), "");
	put(&map, PATH("b"), "");
	put(&map, PATH("c"), "");
	assert_int_equal(map_each(&map, slice_of(NULL, 0), stop_at_second, &seen, NULL),
			 STATUS_CONFLICT);
	assert_int_equal(seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_does_what_the_naive_one_does),
		cmocka_unit_test(test_a_prefix_with_its_nul_spares_longer_names),
		cmocka_unit_test(test_takes_back_to_the_mark_and_no_further),
		cmocka_unit_test(test_a_failing_visit_ends_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
