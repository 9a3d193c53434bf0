/*
 * Options: spellings, values, refusals, suggestions, and that no message repeats a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cmds/options.h"

#include "base/banned.h"

enum { WORDS_MAX = 16 };

/* A command line and what became of it. */
struct parsed {
	struct option_values values;
	const char *operands[WORDS_MAX];
	size_t operand_count;
	struct error error;
	enum status status;
};

static void parsed_release(struct parsed *parsed)
{
	option_values_release(&parsed->values);
}

/* Parse words up to NULL. */
static struct parsed parse(const char *const *words)
{
	struct parsed parsed = { .operand_count = 77 };
	static char *argv[WORDS_MAX];
	static char kept[WORDS_MAX][64];
	int argc = 0;

	for (; words[argc]; argc++) {
		(void)snprintf(kept[argc], sizeof(kept[argc]), "%s", words[argc]);
		argv[argc] = kept[argc];
	}
	parsed.status = options_parse(argc, argv, &parsed.values, parsed.operands,
				      &parsed.operand_count, &parsed.error);
	return parsed;
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void spellings(void **state)
{
	static const char *const lines[][5] = {
		{ "-e", "testing", "get", "A", NULL },    { "-etesting", "get", "A", NULL },
		{ "--env", "testing", "get", "A", NULL }, { "--env=testing", "get", "A", NULL },
		{ "get", "--env=testing", "A", NULL },    { "get", "A", "-e", "testing", NULL },
		{ "get", "A", "--env", "testing", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		AUTO(parsed_release) struct parsed parsed = parse(lines[i]);

		assert_int_equal(parsed.status, STATUS_OK);
		assert_true(option_given(&parsed.values, OPTION_ENVIRONMENT));
		assert_string_equal(option_text(&parsed.values, OPTION_ENVIRONMENT), "testing");
		assert_int_equal(parsed.operand_count, 2);
		assert_string_equal(parsed.operands[0], "get");
		assert_string_equal(parsed.operands[1], "A");
	}
}

static void letters_join(void **state)
{
	AUTO(parsed_release) struct parsed parsed = PARSE("-nqm", "why", "-", "-pbig");

	(void)state;
	assert_int_equal(parsed.status, STATUS_OK);
	assert_true(option_given(&parsed.values, OPTION_DRY_RUN));
	assert_true(option_given(&parsed.values, OPTION_QUIET));
	assert_false(option_given(&parsed.values, OPTION_VERBOSE));
	assert_null(option_text(&parsed.values, OPTION_DRY_RUN));
	assert_string_equal(option_text(&parsed.values, OPTION_REASON), "why");
	assert_string_equal(option_text(&parsed.values, OPTION_PROFILE), "big");
	assert_int_equal(parsed.operand_count, 1);
	assert_string_equal(parsed.operands[0], "-");
}

static void two_dashes_end_the_options(void **state)
{
	AUTO(parsed_release) struct parsed parsed = PARSE("set", "-q", "--", "--json", "-x", "--");

	(void)state;
	assert_int_equal(parsed.status, STATUS_OK);
	assert_true(option_given(&parsed.values, OPTION_QUIET));
	assert_false(option_given(&parsed.values, OPTION_JSON));
	assert_int_equal(parsed.operand_count, 4);
	assert_string_equal(parsed.operands[1], "--json");
	assert_string_equal(parsed.operands[2], "-x");
	assert_string_equal(parsed.operands[3], "--");
}

/* A value may look like an option, and be empty where that means something. */
static void odd_values(void **state)
{
	AUTO(parsed_release)
	struct parsed parsed = PARSE("--min", "-5", "--description=", "--default", "--", "--json");

	(void)state;
	assert_int_equal(parsed.status, STATUS_OK);
	assert_string_equal(option_text(&parsed.values, OPTION_MIN), "-5");
	assert_string_equal(option_text(&parsed.values, OPTION_DESCRIPTION), "");
	assert_string_equal(option_text(&parsed.values, OPTION_DEFAULT), "--");
	assert_true(option_given(&parsed.values, OPTION_JSON));
}

static void confirm_repeats(void **state)
{
	AUTO(parsed_release)
	struct parsed parsed = PARSE("--confirm", "a", "--confirm=b", "x", "--confirm=a=b");

	(void)state;
	assert_int_equal(parsed.status, STATUS_OK);
	assert_int_equal(parsed.values.confirm_count, 3);
	assert_string_equal(parsed.values.confirms[0], "a");
	assert_string_equal(parsed.values.confirms[1], "b");
	assert_string_equal(parsed.values.confirms[2], "a=b");
}

static void refusals(void **state)
{
	static const struct {
		const char *line[4];
		const char *text;
		const char *hint;
	} cases[] = {
		{ { "--jsonn", NULL }, "unknown option --jsonn", "did you mean --json?" },
		{ { "--reson", "x", NULL }, "unknown option --reson", "did you mean --reason?" },
		{ { "--dry", NULL }, "unknown option --dry", "did you mean --dry-run?" },
		{ { "--conf", "x", NULL }, "unknown option --conf", "did you mean --confirm?" },
		{ { "--zzzzzz", NULL },
		  "unknown option --zzzzzz",
		  "options of a command: provenv help COMMAND" },
		{ { "-x", NULL },
		  "unknown option -x",
		  "words that begin with '-' and are no options stand behind '--'" },
		{ { "--store", NULL }, "--store needs a value: DIR", "" },
		{ { "set", "-m", NULL }, "--reason needs a value: REASON", "" },
		{ { "--json=yes", NULL }, "--json takes no value", "" },
		{ { "-q", "--quiet", NULL }, "--quiet is given twice", "" },
		{ { "-ea", "-eb", NULL }, "--env is given twice", "" },
		{ { "--store=", NULL }, "--store needs a value that is not empty: DIR", "" },
		{ { "-e", "", NULL }, "--env needs a value that is not empty: ENV", "" },
		{ { "--profile", "", NULL },
		  "--profile needs a value that is not empty: PROFILE",
		  "" },
		{ { "--=x", NULL },
		  "unknown option --=…",
		  "options of a command: provenv help COMMAND" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(parsed_release) struct parsed parsed = parse(cases[i].line);

		assert_int_equal(parsed.status, STATUS_USAGE);
		assert_string_equal(parsed.error.text, cases[i].text);
		assert_string_equal(parsed.error.hint, cases[i].hint);
		/* Nothing was handed out. */
		assert_int_equal(parsed.operand_count, 77);
		assert_null(parsed.values.confirms);
	}
}

static void no_value_in_messages(void **state)
{
	static const char *const lines[][4] = {
		{ "--tokn=hunter2", NULL },
		{ "--json=hunter2", NULL },
		{ "-zhunter2", NULL },
		{ "-m", "hunter2", "-mhunter2", NULL },
		{ "--confirm=hunter2", "-e", NULL },
		{ "API=hunter2", "--nope", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		AUTO(parsed_release) struct parsed parsed = parse(lines[i]);

		assert_int_equal(parsed.status, STATUS_USAGE);
		assert_null(strstr(parsed.error.text, "hunter2"));
		assert_null(strstr(parsed.error.hint, "hunter2"));
	}
}

static void words_for_messages(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	option_append_word(&out, "TOKEN=abc");
	assert_string_equal(buf_str(&out), "TOKEN=…");
	buf_clear(&out);
	option_append_word(&out, "a\x1b[31mb");
	assert_string_equal(buf_str(&out), "a\\x1b[31mb");
	buf_clear(&out);
	/* 63 bytes, then a character of three that does not fit whole. */
	option_append_word(&out, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"
				 "\xed\x95\x9c\xed\x95\x9c");
	assert_string_equal(buf_str(&out),
			    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123…");
}

/* Rows belong where they stand, and no name or letter means two things. */
static void the_table_is_sound(void **state)
{
	(void)state;
	for (unsigned id = OPTION_END + 1; id < OPTION_COUNT; id++) {
		const struct option_info *info = option_info((enum option_id)id);

		assert_int_equal(info->id, id);
		assert_non_null(info->name);
		assert_non_null(info->summary);
		assert_int_equal(info->global, id <= OPTION_VERSION);
		for (unsigned other = OPTION_END + 1; other < id; other++) {
			const struct option_info *before = option_info((enum option_id)other);

			assert_string_not_equal(info->name, before->name);
			if (info->letter)
				assert_int_not_equal(info->letter, before->letter);
		}
	}
}

static void usage_of_options(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT;

	(void)state;
	option_append_usage(&out, option_info(OPTION_ENVIRONMENT));
	buf_append_byte(&out, '|');
	option_append_usage(&out, option_info(OPTION_JSON));
	assert_string_equal(buf_str(&out), "-e, --env ENV|--json");
}

/* Any words end in OK or USAGE, with all operands among the words. */
static void random_words(void **state)
{
	static const char *const pool[] = { "-",      "--",        "---",        "-e",    "-eq",
					    "--env=", "--confirm", "-n",         "-nqvh", "--json",
					    "x=y",    "",          "--confirm=", "-mm",   "=",
					    "--=",    "-\xff",     "--\x80" };
	uint64_t seed = clock_monotonic_ns() | 1;

	(void)state;
	print_message("seed %" PRIu64 "\n", seed);
	for (int round = 0; round < 20000; round++) {
		const char *words[8] = { NULL };
		size_t count = 0;

		for (size_t i = 0; i < 7; i++) {
			seed ^= seed >> 12;
			seed ^= seed << 25;
			seed ^= seed >> 27;
			if ((seed >> 40) % 8 == 0)
				break;
			words[count++] = pool[(seed >> 20) % (sizeof(pool) / sizeof(pool[0]))];
		}
		AUTO(parsed_release) struct parsed parsed = parse(words);

		if (parsed.status) {
			assert_int_equal(parsed.status, STATUS_USAGE);
			assert_true(*parsed.error.text);
		} else {
			assert_true(parsed.operand_count <= count);
			assert_true(parsed.values.confirm_count <= count);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spellings),
		cmocka_unit_test(letters_join),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(odd_values),
		cmocka_unit_test(confirm_repeats),
		cmocka_unit_test(refusals),
		cmocka_unit_test(no_value_in_messages),
		cmocka_unit_test(words_for_messages),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(usage_of_options),
		cmocka_unit_test(random_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
