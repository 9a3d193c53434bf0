/*
 * Reading catalogue files: what every member becomes, and where each fault is told to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/text.h"
#include "ops/catalogue.h"
#include "ops/value_check.h"
#include "store/event.h"
#include "store/event_codec.h"

#include "base/banned.h"

static const char example_path[] = GOLDEN_DIR "/../../docs/examples/catalogue.json";

static void parse(struct arena *arena, const char *json, struct catalogue *ret)
{
	struct error err = ERROR_INIT;
	enum status status = catalogue_parse(arena, slice_str(json), ret, &err);

	if (status)
		print_error("%s\n", err.text);
	assert_int_equal(status, STATUS_OK);
}

/* One variable with KEY and the members given. */
static const struct payload *parse_variable(struct arena *arena, const char *members)
{
	AUTO(buf_release) struct buf json = BUF_INIT;
	struct catalogue catalogue;

	buf_printf(&json, "{\"variables\":[{\"key\":\"KEY\"%s%s}]}", *members ? "," : "", members);
	parse(arena, buf_str(&json), &catalogue);
	assert_int_equal(catalogue.specification_count, 1);
	return catalogue.specifications[0];
}

static void refuse_slice(struct slice json, const char *text, const char *hint)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue = { .category_count = 77 };
	struct error err = ERROR_INIT;

	assert_int_equal(catalogue_parse(&arena, json, &catalogue, &err), STATUS_USAGE);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, text);
	if (hint)
		assert_string_equal(err.hint, hint);
	assert_int_equal(catalogue.category_count, 77);
	assert_int_equal(catalogue_parse(&arena, json, &catalogue, NULL), STATUS_USAGE);
}

static void refuse(const char *json, const char *text, const char *hint)
{
	refuse_slice(slice_str(json), text, hint);
}

/* The members given, in the second of two variables. */
static void refuse_variable(const char *members, const char *text, const char *hint)
{
	AUTO(buf_release) struct buf json = BUF_INIT;
	AUTO(buf_release) struct buf expected = BUF_INIT;

	buf_printf(&json, "{\"variables\":[{\"key\":\"A\"},{\"key\":\"KEY\",%s}]}", members);
	buf_printf(&expected, "variables[1]%s", text);
	refuse(buf_str(&json), buf_str(&expected), hint);
}

static void assert_text(const struct payload *payload, enum event_field field, const char *text)
{
	assert_true(payload->field[field].present);
	assert_true(slice_equal_str(payload->field[field].text, text));
}

static void assert_flag(const struct payload *payload, enum event_field field, bool flag)
{
	assert_true(payload->field[field].present);
	assert_int_equal(payload->field[field].flag, flag);
}

static void assert_encodes(const struct payload *payload)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;

	assert_int_equal(payload_encode(payload, &bytes, NULL), STATUS_OK);
}

static const struct payload *find(const struct catalogue *catalogue, const char *key)
{
	for (size_t i = 0; i < catalogue->specification_count; i++) {
		if (slice_equal_str(payload_get_text(catalogue->specifications[i], FIELD_KEY), key))
			return catalogue->specifications[i];
	}
	fail_msg("no %s", key);
	return NULL;
}

static void read_example(struct arena *arena, struct catalogue *ret)
{
	AUTO(buf_release) struct buf json = BUF_INIT;

	assert_int_equal(fs_read_file(example_path, CATALOGUE_BYTES_MAX, &json, NULL), STATUS_OK);
	parse(arena, buf_str(&json), ret);
}

static void example_sections(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue;

	(void)state;
	read_example(&arena, &catalogue);
	assert_int_equal(catalogue.category_count, 4);
	assert_int_equal(catalogue.environment_count, 3);
	assert_int_equal(catalogue.database_count, 3);
	assert_int_equal(catalogue.specification_count, 28);
	for (size_t i = 0; i < 4; i++)
		assert_encodes(catalogue.categories[i]);
	for (size_t i = 0; i < 28; i++)
		assert_encodes(catalogue.specifications[i]);
	for (size_t i = 0; i < 3; i++) {
		const struct payload *environment = catalogue.environments[i];
		struct payload database = *catalogue.databases[i];

		assert_encodes(environment);
		assert_text(environment, FIELD_PROFILE, "default");
		assert_flag(environment, FIELD_PROTECTED, i == 2);
		assert_text(&database, FIELD_KIND, "sqlite");
		assert_false(database.field[FIELD_ENVIRONMENT].present);
		assert_false(database.field[FIELD_PROFILE].present);
		payload_str(&database, FIELD_ENVIRONMENT, "production");
		payload_str(&database, FIELD_PROFILE, "default");
		assert_encodes(&database);
	}
	assert_text(catalogue.databases[2], FIELD_PATH, "data/market_data.sqlite3");
	assert_true(slice_equal_str(
		langmap_pick(&catalogue.categories[0]->field[FIELD_TITLE].langmap), "Logging"));
	assert_flag(catalogue.categories[0], FIELD_PLANNED, false);
}

static void example_variables(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue;
	const struct payload *payload;

	(void)state;
	read_example(&arena, &catalogue);
	payload = find(&catalogue, "UPBIT_LOG_LEVEL");
	assert_text(payload, FIELD_TYPE, "enum");
	assert_int_equal(payload->field[FIELD_ENUM].texts.count, 5);
	assert_text(payload, FIELD_DEFAULT, "INFO");
	assert_int_equal(value_check(payload, slice_str("INF"), false, NULL), STATUS_INVALID);
	payload = find(&catalogue, "UPBIT_BRIEFING_UPDATE_INTERVAL");
	assert_text(payload, FIELD_MIN, "1");
	assert_text(payload, FIELD_MAX, "60");
	assert_text(payload, FIELD_UNIT, "min");
	payload = find(&catalogue, "UPBIT_SECRET_KEY_PROD");
	assert_flag(payload, FIELD_SECRET, true);
	assert_false(payload->field[FIELD_DEFAULT].present);
	payload = find(&catalogue, "TRADING_MODE");
	assert_flag(payload, FIELD_REQUIRED, true);
	payload = find(&catalogue, "UPBIT_COMPONENT_FOCUS");
	assert_text(payload, FIELD_DEFAULT, "");
}

static void what_is_left_out(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue;
	const struct payload *payload;

	(void)state;
	parse(&arena, "{}", &catalogue);
	assert_int_equal(catalogue.category_count + catalogue.environment_count +
				 catalogue.database_count + catalogue.specification_count,
			 0);
	parse(&arena,
	      "{\"$schema\":1,\"schema\":\"provenv/catalogue/v1\",\"categories\":[{\"name\":\"a\",\"$note\":[]}],"
	      "\"environments\":[{\"name\":\"e\"}],\"databases\":[{\"name\":\"d\",\"path\":\"p\"}]}",
	      &catalogue);
	assert_flag(catalogue.categories[0], FIELD_PLANNED, false);
	assert_false(catalogue.categories[0]->field[FIELD_TITLE].present);
	assert_flag(catalogue.environments[0], FIELD_PROTECTED, false);
	assert_text(catalogue.environments[0], FIELD_PROFILE, "default");
	assert_text(catalogue.databases[0], FIELD_KIND, "sqlite");
	payload = parse_variable(&arena, "");
	assert_text(payload, FIELD_TYPE, "string");
	assert_flag(payload, FIELD_REQUIRED, false);
	assert_flag(payload, FIELD_SECRET, false);
	payload = parse_variable(&arena, "\"enum\":[\"a\",\"b\"]");
	assert_text(payload, FIELD_TYPE, "enum");
	payload = parse_variable(&arena, "\"unit\":\"\",\"pattern\":\"\",\"example\":\"\","
					 "\"title\":\"\",\"description\":{\"ko\":\"\"}");
	assert_false(payload->field[FIELD_UNIT].present);
	assert_false(payload->field[FIELD_PATTERN].present);
	assert_false(payload->field[FIELD_EXAMPLE].present);
	assert_false(payload->field[FIELD_TITLE].present);
	assert_false(payload->field[FIELD_DESCRIPTION].present);
}

static void members_given(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	struct catalogue catalogue;

	(void)state;
	parse(&arena,
	      "{\"categories\":[{\"name\":\"a\",\"status\":\"planned\"},"
	      "{\"name\":\"b\",\"status\":\"implemented\"}],"
	      "\"environments\":[{\"name\":\"e\",\"profile\":\"main\",\"protected\":true}],"
	      "\"databases\":[{\"name\":\"d\",\"kind\":\"file\",\"path\":\"/p\"}]}",
	      &catalogue);
	assert_flag(catalogue.categories[0], FIELD_PLANNED, true);
	assert_flag(catalogue.categories[1], FIELD_PLANNED, false);
	assert_text(catalogue.environments[0], FIELD_PROFILE, "main");
	assert_flag(catalogue.environments[0], FIELD_PROTECTED, true);
	assert_text(catalogue.databases[0], FIELD_KIND, "file");
	assert_text(catalogue.databases[0], FIELD_PATH, "/p");
	/* A category that the file does not define is for the caller to judge. */
	assert_text(parse_variable(&arena, "\"category\":\"elsewhere\""), FIELD_CATEGORY,
		    "elsewhere");
}

static void numbers_as_written(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	const struct payload *payload;

	(void)state;
	payload = parse_variable(&arena, "\"type\":\"int\",\"min\":-9223372036854775808,"
					 "\"max\":9223372036854775807,\"default\":5");
	assert_text(payload, FIELD_MIN, "-9223372036854775808");
	assert_text(payload, FIELD_MAX, "9223372036854775807");
	assert_text(payload, FIELD_DEFAULT, "5");
	payload = parse_variable(&arena,
				 "\"type\":\"decimal\",\"min\":\"-0.10\",\"max\":\"12345678901234"
				 "567890.5\",\"default\":0.1");
	assert_text(payload, FIELD_MIN, "-0.10");
	assert_text(payload, FIELD_MAX, "12345678901234567890.5");
	assert_text(payload, FIELD_DEFAULT, "0.1");
	payload = parse_variable(&arena, "\"type\":\"decimal\",\"min\":0.000123,\"max\":99.95");
	assert_text(payload, FIELD_MIN, "0.000123");
	assert_text(payload, FIELD_MAX, "99.95");
	assert_text(parse_variable(&arena, "\"type\":\"bool\",\"default\":true"), FIELD_DEFAULT,
		    "true");
	assert_text(parse_variable(&arena, "\"type\":\"bool\",\"default\":false"), FIELD_DEFAULT,
		    "false");
	assert_text(parse_variable(&arena, "\"type\":\"json\",\"default\":\"{}\""), FIELD_DEFAULT,
		    "{}");
}

static void numbers_a_double_cannot_keep(void **state)
{
	static const char why[] = "a number with more than 15 digits, or with an exponent";
	char expected[128];

	(void)state;
	(void)snprintf(expected, sizeof(expected), ".min: %s", why);
	refuse_variable("\"type\":\"decimal\",\"min\":0.30000000000000004", expected,
			"write it as a string, digit by digit");
	refuse_variable("\"type\":\"decimal\",\"min\":1e30", expected, NULL);
	refuse_variable("\"type\":\"decimal\",\"min\":0.00000001", expected, NULL);
	(void)snprintf(expected, sizeof(expected), ".default: %s", why);
	refuse_variable("\"type\":\"decimal\",\"default\":1234567890.12345678", expected, NULL);
	refuse("{\"variables\":[\n{\"key\":\"A\",\"min\":9223372036854775808}]}",
	       "not a catalogue: line 2, column 36: too big integer near '9223372036854775808'",
	       "write great numbers as strings");
}

static void languages(void **state)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	const struct payload *payload = parse_variable(
		&arena, "\"title\":\"plain\",\"description\":{\"ko\":\"로깅\",\"$x\":1,\"en\":"
			"\"Log\",\"de-CH\":\"Prot\",\"fr\":\"\"}");
	const struct langmap *map = &payload->field[FIELD_TITLE].langmap;

	(void)state;
	assert_int_equal(map->count, 1);
	assert_true(slice_equal_str(map->entries[0].tag, "und"));
	assert_true(slice_equal_str(map->entries[0].text, "plain"));
	map = &payload->field[FIELD_DESCRIPTION].langmap;
	assert_int_equal(map->count, 3);
	assert_true(slice_equal_str(map->entries[0].tag, "de-CH"));
	assert_true(slice_equal_str(map->entries[1].tag, "en"));
	assert_true(slice_equal_str(map->entries[1].text, "Log"));
	assert_true(slice_equal_str(map->entries[2].tag, "ko"));
	assert_true(slice_equal_str(map->entries[2].text, "로깅"));
	refuse_variable("\"title\":{\"e_n\":\"x\"}", ".title: 'e_n' is not a language tag", NULL);
	refuse_variable("\"title\":{\"en\":5}", ".title: 'en' holds no string", NULL);
	refuse_variable("\"title\":5", ".title: not a string, nor an object language tag → text",
			NULL);
}

/* The place is ours to promise, the words behind it are jansson's. */
static void refuse_malformed(struct slice json, const char *place)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf expected = BUF_INIT;
	struct catalogue catalogue = { .category_count = 77 };
	struct error err = ERROR_INIT;

	buf_printf(&expected, "not a catalogue: %s: ", place);
	assert_int_equal(catalogue_parse(&arena, json, &catalogue, &err), STATUS_USAGE);
	if (strncmp(err.text, buf_str(&expected), expected.len) != 0)
		fail_msg("%s", err.text);
	assert_true(strlen(err.text) > expected.len);
	assert_true(text_is_line(slice_str(err.text)));
	assert_int_equal(catalogue.category_count, 77);
}

static void malformed_json(void **state)
{
	(void)state;
	refuse_malformed(slice_str(""), "line 1, column 0");
	refuse_malformed(slice_of(NULL, 0), "line 1, column 0");
	refuse_malformed(slice_str("{\n\n]"), "line 3, column 1");
	refuse_malformed(slice_str("{\"$a\":1,\"$a\":2}"), "line 1, column 12");
	refuse_malformed(slice_str("{} {}"), "line 1, column 4");
	refuse_malformed(slice_str("{\"$a\":\"\\u0000\"}"), "line 1, column 14");
	refuse_malformed(slice_of("{\"$a\":\"\xff\"}", 10), "line 1, column 7");
	refuse_malformed(slice_str("{\"\x1b[31m\":1}"), "line 1, column 2");
	refuse("[]", "not a catalogue: not a JSON object", NULL);
	refuse("{\"schema\":\"provenv/ls/v1\",\"variables\":[]}",
	       "not a catalogue: its schema is not provenv/catalogue/v1", NULL);
	refuse("{\"schema\":1}", "not a catalogue: its schema is not provenv/catalogue/v1", NULL);
}

static void deep_nesting(void **state)
{
	AUTO(buf_release) struct buf deep = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 1000000; i++)
		buf_append_str(&deep, "[");
	refuse_malformed(buf_slice(&deep), "line 1, column 2049");
	buf_clear(&deep);
	for (size_t i = 0; i < 200000; i++)
		buf_append_str(&deep, "{\"$\":");
	refuse_malformed(buf_slice(&deep), "line 1, column 10241");
}

static void unknown_members(void **state)
{
	(void)state;
	refuse("{\"variable\":[]}", "no member 'variable' is known here",
	       "did you mean 'variables'?");
	refuse("{\"zzzz\":[]}", "no member 'zzzz' is known here",
	       "members that begin with '$' are left alone");
	refuse_variable("\"rrequired\":true", ": no member 'rrequired' is known here",
			"did you mean 'required'?");
	refuse_variable("\"planned\":true", ": no member 'planned' is known here", NULL);
	refuse_variable("\"x\\u001b[2J\":true", ": no member 'x\\x1b[2J' is known here", NULL);
	refuse("{\"categories\":[{\"name\":\"a\",\"planned\":true}]}",
	       "categories[0]: no member 'planned' is known here", NULL);
	refuse("{\"databases\":[{\"name\":\"a\",\"environment\":\"x\"}]}",
	       "databases[0]: no member 'environment' is known here", NULL);
}

static void wrong_types(void **state)
{
	(void)state;
	refuse("{\"variables\":{}}", "variables: not a list", NULL);
	refuse("{\"categories\":null}", "categories: not a list", NULL);
	refuse("{\"variables\":[5]}", "variables[0]: not an object", NULL);
	refuse("{\"variables\":[{}]}", "variables[0].key: missing", NULL);
	refuse("{\"categories\":[{\"title\":\"x\"}]}", "categories[0].name: missing", NULL);
	refuse("{\"databases\":[{\"name\":\"x\"}]}", "databases[0].path: missing", NULL);
	refuse("{\"variables\":[{\"key\":5}]}", "variables[0].key: not a string", NULL);
	refuse_variable("\"type\":5", ".type: not a string", NULL);
	refuse_variable("\"required\":\"yes\"", ".required: not true or false", NULL);
	refuse_variable("\"secret\":1", ".secret: not true or false", NULL);
	refuse_variable("\"enum\":\"a,b\"", ".enum: not a list of strings", NULL);
	refuse_variable("\"enum\":[\"a\",5]", ".enum: not a list of strings", NULL);
	refuse_variable("\"pattern\":5", ".pattern: not a string", NULL);
	refuse_variable("\"min\":true", ".min: not a number, nor a string that holds one", NULL);
	refuse_variable("\"min\":\"five\"",
			".min: 'five' is not a decimal number of at most 64 digits", NULL);
	refuse_variable("\"default\":null", ".default: not a string, number, true or false", NULL);
	refuse_variable("\"default\":[]", ".default: not a string, number, true or false", NULL);
	refuse_variable("\"unit\":{}", ".unit: not a string", NULL);
	refuse("{\"categories\":[{\"name\":\"a\",\"status\":\"done\"}]}",
	       "categories[0].status: neither \"implemented\" nor \"planned\"", NULL);
	refuse("{\"categories\":[{\"name\":\"a\",\"status\":true}]}",
	       "categories[0].status: neither \"implemented\" nor \"planned\"", NULL);
}

static void wrong_names(void **state)
{
	(void)state;
	refuse("{\"variables\":[{\"key\":\"9A\"}]}",
	       "variables[0].key: '9A' is not a variable's key",
	       "letters, digits and '_', at most 255, not beginning with a digit");
	refuse("{\"environments\":[{\"name\":\"a b\"}]}",
	       "environments[0].name: 'a b' is not a name",
	       "letters, digits, '_', '.' and '-', at most 63, beginning with a letter or digit");
	refuse("{\"environments\":[{\"name\":\"a\",\"profile\":\"\"}]}",
	       "environments[0].profile: '' is not a name", NULL);
	refuse_variable("\"category\":\"a/b\"", ".category: 'a/b' is not a name", NULL);
	refuse("{\"databases\":[{\"name\":\"a\",\"kind\":\"mysql\",\"path\":\"p\"}]}",
	       "databases[0].kind: 'mysql' is not 'sqlite' or 'file'", NULL);
	refuse("{\"databases\":[{\"name\":\"a\",\"path\":\"p\\nq\"}]}",
	       "databases[0].path: 'p\\x0aq' is not one line", NULL);
}

static void twice(void **state)
{
	(void)state;
	refuse("{\"variables\":[{\"key\":\"B\"},{\"key\":\"A\"},{\"key\":\"C\"},{\"key\":\"A\"}]}",
	       "variables[3].key: 'A' stands at variables[1] already", NULL);
	refuse("{\"categories\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
	       "categories[1].name: 'a' stands at categories[0] already", NULL);
	refuse("{\"environments\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
	       "environments[1].name: 'a' stands at environments[0] already", NULL);
	refuse("{\"databases\":[{\"name\":\"a\",\"path\":\"p\"},{\"name\":\"a\",\"path\":\"q\"}]}",
	       "databases[1].name: 'a' stands at databases[0] already", NULL);
}

static void unsound_specifications(void **state)
{
	(void)state;
	refuse_variable(
		"\"type\":\"sstring\"",
		".type: 'sstring' is not one of string, int, decimal, bool, enum, url, path, "
		"json (KEY)",
		"did you mean 'string'?");
	refuse_variable("\"type\":\"int\",\"min\":5,\"max\":3", ".min: 5 is over max 3 (KEY)",
			NULL);
	refuse_variable("\"type\":\"int\",\"min\":1.5",
			".min: 1.5 is not an int: digits with an optional '-', no '+', no leading "
			"zeros, 64 bits (KEY)",
			NULL);
	refuse_variable("\"secret\":true,\"default\":\"x\"",
			".default: a secret has none, because it would be readable by all (KEY)",
			NULL);
	refuse_variable("\"type\":\"bool\",\"default\":\"on\"",
			".default: 'on' is not a bool: true or false (KEY)",
			"did you mean 'true'?");
	refuse_variable("\"pattern\":\"(\"",
			".pattern: missing closing parenthesis at byte 2 (KEY)", NULL);
	refuse_variable("\"type\":\"enum\"", ".enum: type enum needs the allowed values (KEY)",
			NULL);
	refuse_variable("\"enum\":[]", ": variable.specified: field enum is an empty list", NULL);
	refuse_variable("\"enum\":[\"a\",\"a\"]",
			": variable.specified: field enum, entry 2, stands there twice", NULL);
}

/* Append "@before@name0@after,@before@name1@after…": @count entries. */
static void repeat(struct buf *out, const char *before, const char *name, const char *after,
		   size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s%s%zu%s", i ? "," : "", before, name, i, after);
}

static void sizes(void **state)
{
	AUTO(buf_release) struct buf json = BUF_INIT;
	AUTO(buf_release) struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i <= TEXT_BYTES_MAX; i++)
		buf_append_byte(&text, 'x');
	buf_printf(&json, "\"unit\":\"%s\"", buf_str(&text));
	refuse_variable(buf_str(&json),
			": variable.specified: field unit is too long (at most 4096)", NULL);
	buf_clear(&json);
	buf_append_str(&json, "\"title\":{");
	repeat(&json, "\"a-", "", "\":\"x\"", LANGS_MAX + 1);
	buf_append_str(&json, "}");
	refuse_variable(buf_str(&json),
			": variable.specified: field title has too many entries (at most 32)",
			NULL);
	buf_clear(&json);
	buf_append_str(&json, "\"enum\":[");
	repeat(&json, "\"", "v", "\"", ENUM_VALUES_MAX + 1);
	buf_append_str(&json, "]");
	refuse_variable(buf_str(&json), ".enum: 257 values, of at most 256", NULL);
	text.len = TEXT_BYTES_MAX - 8;
	buf_clear(&json);
	buf_append_str(&json, "\"enum\":[");
	repeat(&json, "\"", buf_str(&text), "\"", 15);
	buf_append_str(&json, "]");
	refuse_variable(buf_str(&json), ": too large for one event: 61428 bytes, of 60351", NULL);
	buf_clear(&json);
	buf_append_str(&json, "{\"variables\":[");
	repeat(&json, "{\"key\":\"", "A", "\"}", COMMAND_PARTS_MAX + 1);
	buf_append_str(&json, "]}");
	refuse(buf_str(&json), "variables: 16385 entries, of at most 16384", NULL);
}

/* Bytes changed at random in a sound file: read or refused with one line, never anything else. */
static void damaged_files(void **state)
{
	const char *given = secure_getenv("PROVENV_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : clock_monotonic_ns() | 1;
	AUTO(buf_release) struct buf json = BUF_INIT;

	(void)state;
	print_message("PROVENV_TEST_SEED=%" PRIu64 "\n", seed);
	assert_int_equal(fs_read_file(example_path, CATALOGUE_BYTES_MAX, &json, NULL), STATUS_OK);
	for (size_t round = 0; round < 2000; round++) {
		AUTO(arena_release) struct arena arena = ARENA_INIT;
		struct catalogue catalogue;
		struct error err = ERROR_INIT;
		uint8_t *byte;
		uint8_t before;
		enum status status;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		byte = json.data + (seed >> 33) % json.len;
		before = *byte;
		*byte = round % 2 ? (uint8_t)(seed >> 56)
				  : (uint8_t)"{}[]\":,05-"[(seed >> 56) % 10];
		status = catalogue_parse(&arena, buf_slice(&json), &catalogue, &err);
		*byte = before;
		if (status == STATUS_OK)
			continue;
		assert_int_equal(status, STATUS_USAGE);
		assert_true(text_is_line(slice_str(err.text)));
		assert_true(text_is_line(slice_str(err.hint)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_sections),
		cmocka_unit_test(example_variables),
		cmocka_unit_test(what_is_left_out),
		cmocka_unit_test(members_given),
		cmocka_unit_test(numbers_as_written),
		cmocka_unit_test(numbers_a_double_cannot_keep),
		cmocka_unit_test(languages),
		cmocka_unit_test(malformed_json),
		cmocka_unit_test(deep_nesting),
		cmocka_unit_test(unknown_members),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(wrong_names),
		cmocka_unit_test(twice),
		cmocka_unit_test(unsound_specifications),
		cmocka_unit_test(sizes),
		cmocka_unit_test(damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
