/*
 * What the decoder says of bytes that no encoder of ours writes: each case names its verdict and a
 * part of its reason, so that none is refused by accident. Cases are written as sample_pack() reads
 * them.
 */
#include "store/payload_read.h" /* tested through event_codec.h; NOLINT(misc-include-cleaner) */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lib/event_samples.h"
#include "store/event_codec.h"
#include "store/seal.h"

#include "base/banned.h"

struct verdict {
	enum status status;
	const char *why; /* part of the error's text */
};

static struct event_decoder *decoder;

static void assert_verdict(struct slice bytes, struct verdict expected, const char *what)
{
	struct error err = ERROR_INIT;
	struct decoded_event untouched;
	struct decoded_event ret;
	enum status status;

	memset(&untouched, 0xa5, sizeof(untouched));
	memcpy(&ret, &untouched, sizeof(ret));
	status = event_decode(decoder, bytes, &ret, &err);
	if (status != expected.status)
		fail_msg("%s: %s (%s)", what, status_name(status), err.text);
	if (expected.why && !strstr(err.text, expected.why))
		fail_msg("%s: \"%s\" instead of \"%s\"", what, err.text, expected.why);
	if (status == STATUS_CORRUPT)
		assert_memory_equal(&ret, &untouched, sizeof(ret));
	if (status == STATUS_NEWER)
		assert_true(strstr(err.hint, "newer provenv") != NULL);
}

struct payload_case {
	const char *type;
	const char *payload;
	struct verdict expected;
};

static void assert_cases(const struct payload_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;

		sample_pack_event(&bytes, cases[i].type, cases[i].payload);
		assert_verdict(buf_slice(&bytes), cases[i].expected, cases[i].payload);
	}
}

#define ASSERT_CASES(cases) assert_cases(cases, sizeof(cases) / sizeof((cases)[0]))

#define OK           { STATUS_OK, NULL }
#define CORRUPT(why) { STATUS_CORRUPT, why }
#define NEWER(why)   { STATUS_NEWER, why }
#define ENV_CREATED  "environment.created"
#define SPECIFIED    "variable.specified"
#define ENV_REMOVED  "environment.removed"
#define VARS         "variables.changed"
#define KEYED        "environment.keyed"

static void test_order_of_fields(void **state)
{
	static const struct payload_case cases[] = {
		{ ENV_CREATED, "{3 'name' 'a' 'profile' 'b' 'protected' F", OK },
		{ ENV_CREATED, "{4 'name' 'a' 'profile' 'b' 'protected' F 'title' {1 'de' 't'",
		  OK },
		{ ENV_CREATED, "{0", CORRUPT("field name is missing") },
		{ ENV_CREATED, "{2 'name' 'a' 'profile' 'b'", CORRUPT("protected is missing") },
		{ ENV_CREATED, "{2 'name' 'a' 'protected' F",
		  CORRUPT("profile is not in its place") },
		{ ENV_CREATED, "{3 'profile' 'b' 'name' 'a' 'protected' F",
		  CORRUPT("name is not in its place") },
		{ ENV_CREATED, "{4 'name' 'a' 'name' 'a' 'profile' 'b' 'protected' F",
		  CORRUPT("profile is not in its place") },
		{ ENV_CREATED, "{4 'name' 'a' 'profile' 'b' 'protected' F 'protected' F",
		  CORRUPT("out of order or twice") },
		{ ENV_CREATED, "{4 'name' 'a' 'profile' 'b' 'protected' F 'name' 'a'",
		  CORRUPT("out of order or twice") },
		{ ENV_CREATED,
		  "{5 'name' 'a' 'profile' 'b' 'protected' F 'description' {1 'de' 't' 'title' {1 "
		  "'de' 't'",
		  CORRUPT("out of order or twice") },
		{ SPECIFIED, "{4 'key' 'K' 'type' 'int' 'required' T 'secret' F", OK },
		{ SPECIFIED, "{5 'key' 'K' 'type' 'int' 'required' T 'category' 'c' 'secret' F",
		  CORRUPT("secret is not in its place") },
		{ SPECIFIED,
		  "{6 'key' 'K' 'type' 'int' 'required' T 'secret' F 'max' '1' 'min' '1'",
		  CORRUPT("out of order or twice") },
		{ ENV_REMOVED, "[1 'name'", CORRUPT("payload is not a map") },
		{ ENV_REMOVED, "'name'", CORRUPT("payload is not a map") },
		{ ENV_REMOVED, "{1 1 'a'", CORRUPT("name is not in its place") },
		{ ENV_REMOVED, "{1 %4 'a'", CORRUPT("name is not in its place") },
	};

	(void)state;
	ASSERT_CASES(cases);
}

static void test_fields_of_a_later_version(void **state)
{
	static const struct payload_case cases[] = {
		{ ENV_REMOVED, "{2 'name' 'a' 'colour' 'red'",
		  NEWER("has a field that is not known") },
		{ ENV_REMOVED, "{3 'name' 'a' 'colour' 'red' 'depth' [2 1 2", NEWER("not known") },
		/* known elsewhere, new to this type */
		{ ENV_REMOVED, "{2 'name' 'a' 'title' {1 'de' 't'", NEWER("not known") },
		{ ENV_CREATED,
		  "{5 'name' 'a' 'profile' 'b' 'protected' F 'title' {1 'de' 't' 'colour' 1",
		  NEWER("not known") },
		/* an optional field behind a new one is not where its writer would have put it */
		{ ENV_CREATED,
		  "{5 'name' 'a' 'profile' 'b' 'protected' F 'colour' 1 'title' {1 'de' 't'",
		  CORRUPT("out of order or twice") },
		{ ENV_REMOVED, "{2 'colour' 'red' 'name' 'a'",
		  CORRUPT("name is not in its place") },
		{ ENV_REMOVED, "{3 'name' 'a' 'colour' 1 'colour' 2", CORRUPT("has a key twice") },
		{ ENV_REMOVED, "{2 'name' 'a' 1 2", CORRUPT("is not a str") },
		/* what is known is judged as ever */
		{ ENV_REMOVED, "{2 'name' '-' 'colour' 'red'", CORRUPT("name is not a name") },
		{ VARS, "{3 'environment' 'e' 'changes' [0 'colour' 1",
		  CORRUPT("is an empty list") },
	};

	(void)state;
	ASSERT_CASES(cases);
}

static void test_unknown_types(void **state)
{
	static const struct payload_case cases[] = {
		{ "moon.phase_set", "{0", NEWER("type moon.phase_set is not known") },
		{ "moon.phase_set", "{2 'a' {1 1 2 'b' [2 T {0", NEWER("not known") },
		{ "moon.phase_set", "{2 'a' 1 'a' 1", CORRUPT("has a key twice") },
		{ "moon.phase_set", "{3 'b' 1 'a' 1 'b' 2", CORRUPT("has a key twice") },
		{ "moon.phase_set", "{1 1 1", CORRUPT("is not a str") },
		{ "moon.phase_set", "[0", CORRUPT("payload is not a map") },
		{ "Moon", "{0", CORRUPT("is not the name of a type") },
		{ "moon\n", "{0", CORRUPT("is not the name of a type") },
		{ "moon2", "{0", CORRUPT("is not the name of a type") },
		{ "", "{0", CORRUPT("is not the name of a type") },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{0",
		  NEWER("not known") },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{0",
		  CORRUPT("is not the name of a type") },
	};

	(void)state;
	ASSERT_CASES(cases);
}

#define REMOVED(value)  "{1 'name' " value
#define SPEC(field)     "{5 'key' 'K' 'type' 'int' 'required' T 'secret' F " field
#define SPEC_ENUM(list) "{5 'key' 'K' 'type' 'int' 'required' T 'secret' F 'enum' " list

static void test_kinds(void **state)
{
	static const struct payload_case cases[] = {
		{ ENV_REMOVED, REMOVED("*63"), OK },
		{ ENV_REMOVED, REMOVED("*64"), CORRUPT("name is not a name") },
		{ ENV_REMOVED, REMOVED("''"), CORRUPT("is not a name") },
		{ ENV_REMOVED, REMOVED("%4"), CORRUPT("is not a str") },
		{ ENV_REMOVED, REMOVED("7"), CORRUPT("is not a str") },
		{ ENV_REMOVED, REMOVED("[0"), CORRUPT("is not a str") },
		{ "variable.unspecified", "{1 'key' *255", OK },
		{ "variable.unspecified", "{1 'key' *256", CORRUPT("is not a variable's key") },
		{ "variable.unspecified", "{1 'key' '1A'", CORRUPT("is not a variable's key") },
		{ SPECIFIED, SPEC("'pattern' *4096"), OK },
		{ SPECIFIED, SPEC("'pattern' *4097"), CORRUPT("is too long (at most 4096)") },
		{ SPECIFIED, SPEC("'pattern' #a100"), CORRUPT("is not UTF-8 without NUL") },
		{ SPECIFIED, SPEC("'pattern' #a86100616161616161"), CORRUPT("without NUL") },
		{ SPECIFIED, SPEC("'pattern' #a86161616161616100"), CORRUPT("without NUL") },
		{ SPECIFIED, SPEC("'pattern' #a96161616161616161ff"), CORRUPT("is not UTF-8") },
		{ SPECIFIED, SPEC("'pattern' #a2c080"), CORRUPT("is not UTF-8") },
		{ SPECIFIED, SPEC("'pattern' #a3eda080"), CORRUPT("is not UTF-8") },
		{ SPECIFIED, SPEC("'default' *32768"), OK },
		{ SPECIFIED, SPEC("'default' *32769"), CORRUPT("is too long (at most 32768)") },
		{ SPECIFIED, SPEC("'min' '-1.5'"), OK },
		{ SPECIFIED, SPEC("'min' '1e5'"), CORRUPT("min is not a decimal number") },
		{ SPECIFIED, SPEC("'min' 1"), CORRUPT("min is not a str") },
		{ "environment.locked", "{2 'name' 'a' 'until_ms' #cfffffffffffffffff", OK },
		{ "environment.locked", "{2 'name' 'a' 'until_ms' #ff",
		  CORRUPT("unsigned integer") },
		{ "environment.locked", "{2 'name' 'a' 'until_ms' '1'",
		  CORRUPT("unsigned integer") },
		{ ENV_CREATED, "{3 'name' 'a' 'profile' 'b' 'protected' 1",
		  CORRUPT("is not a bool") },
		{ "store.created",
		  "{4 'nonce' %31 'operator' 'a@b' 'operator_key' %32 'log_key' %32",
		  CORRUPT("nonce is not 32 bytes") },
		{ "store.created",
		  "{4 'nonce' *32 'operator' 'a@b' 'operator_key' %32 'log_key' %32",
		  CORRUPT("nonce is not a bin") },
		{ "store.created",
		  "{4 'nonce' %32 'operator' '@b' 'operator_key' %32 'log_key' %32",
		  CORRUPT("operator is not a key's name") },
		{ "store.created",
		  "{4 'nonce' %32 'operator' 'a@b' 'operator_key' %32 'log_key' %32", OK },
		{ SPECIFIED, SPEC_ENUM("[2 'b' 'a'"), OK },
		{ SPECIFIED, SPEC_ENUM("[0"), CORRUPT("is an empty list") },
		{ SPECIFIED, SPEC_ENUM("{1 'a' 'b'"), CORRUPT("is not an array") },
		{ SPECIFIED, SPEC_ENUM("[3 'b' 'a' 'b'"),
		  CORRUPT("enum, entry 3, stands there twice") },
		{ SPECIFIED, SPEC_ENUM("[2 'b' 1"), CORRUPT("entry 2, is not a str") },
		{ SPECIFIED, SPEC_ENUM("[1 #a1ff"), CORRUPT("entry 1, is not UTF-8") },
	};

	(void)state;
	ASSERT_CASES(cases);
}

#define TITLE(map) "{4 'name' 'a' 'profile' 'b' 'protected' F 'title' " map

static void test_language_maps(void **state)
{
	static const struct payload_case cases[] = {
		{ ENV_CREATED, TITLE("{3 'de' 't' 'de-AT' '' 'und' 't'"), OK },
		{ ENV_CREATED, TITLE("{0"), CORRUPT("title is an empty list") },
		{ ENV_CREATED, TITLE("[1 'de'"), CORRUPT("title is not a map") },
		{ ENV_CREATED, TITLE("{2 'und' 't' 'de' 't'"),
		  CORRUPT("entry 2, is not in ascending") },
		{ ENV_CREATED, TITLE("{2 'de' 't' 'de' 't'"),
		  CORRUPT("entry 2, is not in ascending") },
		{ ENV_CREATED, TITLE("{1 'd_e' 't'"), CORRUPT("language tag") },
		{ ENV_CREATED, TITLE("{1 '' 't'"), CORRUPT("language tag") },
		{ ENV_CREATED, TITLE("{1 1 't'"), CORRUPT("is not a str") },
		{ ENV_CREATED, TITLE("{1 'de' 1"), CORRUPT("is not a str") },
		{ ENV_CREATED, TITLE("{1 'de' *4097"), CORRUPT("too long") },
		{ ENV_CREATED,
		  TITLE("{33 'a' '' 'b' '' 'c' '' 'd' '' 'e' '' 'f' '' 'g' '' 'h' '' 'i' '' 'j' '' "
			"'k' '' 'l' '' 'm' '' 'n' '' 'o' '' 'p' '' 'q' '' 'r' '' 's' '' 't' '' "
			"'u' '' 'v' '' 'w' '' 'x' '' 'y' '' 'z' '' 'za' '' 'zb' '' 'zc' '' "
			"'zd' '' 'ze' '' 'zf' '' 'zg' ''"),
		  CORRUPT("has too many entries (at most 32)") },
	};

	(void)state;
	ASSERT_CASES(cases);
}

#define CHANGES(list) "{2 'environment' 'e' 'changes' " list
#define CHANGE(op)    "{2 'environment' 'e' 'changes' [1 {3 'profile' 'p' 'key' 'K' " op
#define CHANGE4(op)   "{2 'environment' 'e' 'changes' [1 {4 'profile' 'p' 'key' 'K' " op
#define UNSET(p, k)   "{3 'profile' '" p "' 'key' '" k "' 'unset' T "

static void test_changes(void **state)
{
	static const struct payload_case cases[] = {
		{ VARS, CHANGE("'set' ''"), OK },
		{ VARS, CHANGE("'set' *32768"), OK },
		{ VARS, CHANGE("'set' *32769"), CORRUPT("changes, entry 1, is too long") },
		{ VARS, CHANGE("'set' #a100"), CORRUPT("without NUL") },
		{ VARS, CHANGE("'set' %4"), CORRUPT("is not a str") },
		{ VARS, CHANGE("'unset' T"), OK },
		{ VARS, CHANGE("'unset' F"), CORRUPT("false instead of left out") },
		{ VARS, CHANGE("'unset' 1"), CORRUPT("is not a bool") },
		{ VARS, CHANGE("'copy' [2 1 0"), OK },
		{ VARS, CHANGE("'copy' [2 1 4294967295"), OK },
		{ VARS, CHANGE("'copy' [2 1 4294967296"), CORRUPT("index that is too great") },
		{ VARS, CHANGE("'copy' [2 0 0"), CORRUPT("copies from event 0") },
		{ VARS, CHANGE("'copy' [1 1"), CORRUPT("array of two") },
		{ VARS, CHANGE("'copy' [3 1 1 1"), CORRUPT("array of two") },
		{ VARS, CHANGE("'copy' [2 #ff 1"), CORRUPT("unsigned integer") },
		{ VARS, CHANGE("'seal' [2 %32 %104"), OK },
		{ VARS, CHANGE("'seal' [2 %32 %32872"), OK },
		{ VARS, CHANGE("'seal' [2 %32 %32873"), CORRUPT("too many sealed bytes") },
		{ VARS, CHANGE("'seal' [2 %32 %103"), CORRUPT("too short") },
		{ VARS, CHANGE("'seal' [2 %31 %104"), CORRUPT("commitment that is not 32 bytes") },
		{ VARS, CHANGE("'seal' [2 %32 *104"), CORRUPT("is not a bin") },
		{ VARS, CHANGE("'seal' %104"), CORRUPT("array of two") },
		{ VARS, CHANGE4("'set' 'v' 'expand' T"), OK },
		{ VARS, CHANGE4("'copy' [2 1 0 'expand' T"), OK },
		{ VARS, CHANGE4("'set' 'v' 'expand' F"), CORRUPT("false instead of left out") },
		{ VARS, CHANGE4("'unset' T 'expand' T"), CORRUPT("marks it a template") },
		{ VARS, CHANGE4("'expand' T 'set' 'v'"), CORRUPT("none of set, seal, copy") },
		{ VARS, CHANGE4("'set' 'v' 'unset' T"), CORRUPT("out of order or twice") },
		{ VARS, CHANGE4("'set' 'v' 'set' 'v'"), CORRUPT("out of order or twice") },
		{ VARS, CHANGE4("'set' 'v' 'colour' 1"), NEWER("not known") },
		{ VARS, CHANGE4("'colour' 1 'set' 'v'"), CORRUPT("none of set, seal, copy") },
		{ VARS, CHANGE("'colour' 1"), CORRUPT("none of set, seal, copy") },
		{ VARS, CHANGES("[1 {5 'profile' 'p' 'key' 'K' 'set' 'v' 'colour' 1 'expand' T"),
		  CORRUPT("out of order or twice") },
		{ VARS, CHANGES("[1 {5 'profile' 'p' 'key' 'K' 'set' 'v' 'expand' T 'colour' 1"),
		  NEWER("not known") },
		{ VARS, CHANGES("[1 {5 'profile' 'p' 'key' 'K' 'set' 'v' 'hue' 1 'hue' 1"),
		  CORRUPT("has a key twice") },
		{ VARS, CHANGES("[1 {3 'key' 'K' 'profile' 'p' 'set' 'v'"),
		  CORRUPT("does not begin with profile and key") },
		{ VARS, CHANGES("[1 {2 'profile' 'p' 'key' 'K'"), CORRUPT("is not a map with") },
		{ VARS, CHANGES("[1 'x'"), CORRUPT("is not a map with") },
		{ VARS, CHANGES("[0"), CORRUPT("is an empty list") },
		{ VARS, CHANGES("{0"), CORRUPT("is not an array") },
		{ VARS, CHANGES("[1 " UNSET("-", "K")), CORRUPT("profile that is not a name") },
		{ VARS, CHANGES("[1 " UNSET("p", "1")), CORRUPT("not a variable's key") },
		{ VARS, CHANGES("[3 " UNSET("a", "K") UNSET("a", "L") UNSET("b", "A")), OK },
		{ VARS, CHANGES("[2 " UNSET("a", "K") UNSET("a", "K")),
		  CORRUPT("entry 2, is not in") },
		{ VARS, CHANGES("[2 " UNSET("a", "L") UNSET("a", "K")),
		  CORRUPT("entry 2, is not in") },
		{ VARS, CHANGES("[2 " UNSET("b", "A") UNSET("a", "K")),
		  CORRUPT("entry 2, is not in") },
	};

	(void)state;
	assert_int_equal(SEALED_BYTES_MAX, 32872);
	ASSERT_CASES(cases);
}

#define READERS(list) "{4 'name' 'e' 'generation' 1 'public_key' %32 'readers' " list

static void test_readers(void **state)
{
	static const struct payload_case cases[] = {
		{ KEYED, READERS("[1 [2 %8 %80"), OK },
		{ KEYED, READERS("[2 [2 #c4080000000000000000 %80 [2 %8 %80"), OK },
		{ KEYED, READERS("[2 [2 %8 %80 [2 %8 %80"),
		  CORRUPT("entry 2, is not in ascending") },
		{ KEYED, READERS("[2 [2 %8 %80 [2 #c4080000000000000000 %80"),
		  CORRUPT("entry 2, is not in ascending") },
		{ KEYED, READERS("[0"), CORRUPT("is an empty list") },
		{ KEYED, READERS("[1 [2 %7 %80"), CORRUPT("key id that is not 8 bytes") },
		{ KEYED, READERS("[1 [2 %8 %79"), CORRUPT("sealed key that is not 80 bytes") },
		{ KEYED, READERS("[1 [2 *8 %80"), CORRUPT("is not a bin") },
		{ KEYED, READERS("[1 [1 %8"), CORRUPT("array of two") },
		{ KEYED, READERS("[1 %8"), CORRUPT("array of two") },
	};

	(void)state;
	assert_int_equal(WRAPPED_KEY_BYTES, 80);
	ASSERT_CASES(cases);
}

#define TAIL " 'environment.removed' {1 'name' 'a' 'r'"

struct whole_case {
	const char *event;
	struct verdict expected;
};

static void test_envelope(void **state)
{
	static const struct whole_case cases[] = {
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1" TAIL, OK },
		{ "[13 1 %16 #cfffffffffffffffff %32 #cf7fffffffffffffff #cf7fffffffffffffff %8 %16 "
		  "16384 16384" TAIL,
		  OK },
		{ "[13 0 %16 1 %32 0 0 %8 %16 1 1" TAIL, CORRUPT("version 0") },
		{ "[13 2 %16 1 %32 0 0 %8 %16 1 1" TAIL, NEWER("version 2 is not known") },
		{ "[1 2", NEWER("version 2 is not known") },
		{ "[1 #cfffffffffffffffff", NEWER("version 18446744073709551615") },
		{ "[0", CORRUPT("begins with a version") },
		{ "[1 'a'", CORRUPT("begins with a version") },
		{ "[1 #ff", CORRUPT("begins with a version") },
		{ "{1 1 1", CORRUPT("begins with a version") },
		{ "1", CORRUPT("begins with a version") },
		{ "[1 1", CORRUPT("1 fields instead of 13") },
		{ "[14 1 %16 1 %32 0 0 %8 %16 1 1" TAIL " 1", CORRUPT("14 fields instead") },
		{ "[13 1 %15 1 %32 0 0 %8 %16 1 1" TAIL, CORRUPT("log_id is not of its length") },
		{ "[13 1 *16 1 %32 0 0 %8 %16 1 1" TAIL, CORRUPT("log_id is not a bin") },
		{ "[13 1 %16 0 %32 0 0 %8 %16 1 1" TAIL, CORRUPT("seq is 0") },
		{ "[13 1 %16 #ff %32 0 0 %8 %16 1 1" TAIL, CORRUPT("seq is not an unsigned") },
		{ "[13 1 %16 1 %33 0 0 %8 %16 1 1" TAIL, CORRUPT("prev is not of its length") },
		{ "[13 1 %16 1 %32 #cf8000000000000000 0 %8 %16 1 1" TAIL,
		  CORRUPT("time_ms is too") },
		{ "[13 1 %16 1 %32 0 #cf8000000000000000 %8 %16 1 1" TAIL,
		  CORRUPT("claimed_ms is") },
		{ "[13 1 %16 1 %32 T 0 %8 %16 1 1" TAIL, CORRUPT("time_ms is not an unsigned") },
		{ "[13 1 %16 1 %32 0 0 %7 %16 1 1" TAIL, CORRUPT("key_id is not of its length") },
		{ "[13 1 %16 1 %32 0 0 %8 %0 1 1" TAIL, CORRUPT("command_id is not of its") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 0 1" TAIL, CORRUPT("part is not one of") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 2 1" TAIL, CORRUPT("part is not one of") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 0 0" TAIL, CORRUPT("part is not one of") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 16385" TAIL, CORRUPT("parts is too great") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 4294967297 1" TAIL, CORRUPT("parts is too great") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 4294967297" TAIL, CORRUPT("parts is too great") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1 7 {1 'name' 'a' 'r'",
		  CORRUPT("type is not a str") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' %1",
		  CORRUPT("reason is not a str") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' *4096", OK },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' *4097",
		  CORRUPT("reason is too long") },
		{ "[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' #a100",
		  CORRUPT("reason is not UTF-8 without NUL") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;

		sample_pack(&bytes, cases[i].event);
		assert_verdict(buf_slice(&bytes), cases[i].expected, cases[i].event);
	}
}

/* The same event with one value in a longer form: a second encoding of one meaning. */
static void test_longer_forms(void **state)
{
	static const char *const events[] = {
		"#dc000d 1 %16 1 %32 0 0 %8 %16 1 1" TAIL,
		"#dd0000000d 1 %16 1 %32 0 0 %8 %16 1 1" TAIL,
		"[13 #cc01 %16 1 %32 0 0 %8 %16 1 1" TAIL,
		"[13 #d001 %16 1 %32 0 0 %8 %16 1 1" TAIL,
		"[13 1 %16 #cd0001 %32 0 0 %8 %16 1 1" TAIL,
		"[13 1 %16 #ce00000001 %32 0 0 %8 %16 1 1" TAIL,
		"[13 1 %16 #cf0000000000000001 %32 0 0 %8 %16 1 1" TAIL,
		"[13 1 %16 #d3000000000000ffff %32 0 0 %8 %16 1 1" TAIL,
		"[13 1 %16 1 %32 0 0 #c500080001020304050607 %16 1 1" TAIL,
		"[13 1 %16 1 %32 0 0 #c6000000080001020304050607 %16 1 1" TAIL,
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' #de0001 'name' 'a' 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' #df00000001 'name' 'a' 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 #d9046e616d65 'a' 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' #da000161 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' #db0000000172",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' #d900",
		/* also where a newer provenv would be excused */
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'moon.set' {1 'a' #cc01 'r'",
		"[1 #cc02",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT;

		sample_pack(&bytes, events[i]);
		assert_verdict(buf_slice(&bytes),
			       (struct verdict)CORRUPT("not in its shortest form"), events[i]);
	}
}

/* Types the scan refuses, in every place where a value may stand. */
static void test_forbidden_types_everywhere(void **state)
{
	static const char *const bad[] = { "#c0", "#ca3f800000", "#d40100", "#c1" };
	static const char *const places[] = {
		"[13 1 %16 ? %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' 'a' 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' ? 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 'name' ? 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'environment.removed' {1 ? 'a' 'r'",
		"[13 1 %16 1 %32 0 0 %8 %16 1 1 'moon.set' {1 'a' [1 ? 'r'",
		"[2 2 ?",
	};

	const size_t bad_count = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	for (size_t i = 0; i < bad_count * (sizeof(places) / sizeof(places[0])); i++) {
		AUTO(buf_release) struct buf text = BUF_INIT;
		AUTO(buf_release) struct buf bytes = BUF_INIT;
		const char *place = places[i / bad_count];
		const char *hole = strchr(place, '?');

		buf_append(&text, place, (size_t)(hole - place));
		buf_append_str(&text, bad[i % bad_count]);
		buf_append_str(&text, hole + 1);
		sample_pack(&bytes, buf_str(&text));
		assert_verdict(buf_slice(&bytes), (struct verdict)CORRUPT(" near byte "),
			       buf_str(&text));
	}
}

static int make_decoder(void **state)
{
	(void)state;
	return event_decoder_new(&decoder, NULL) == STATUS_OK ? 0 : -1;
}

static int free_decoder(void **state)
{
	(void)state;
	event_decoder_free(decoder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_fields),
		cmocka_unit_test(test_fields_of_a_later_version),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_language_maps),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_longer_forms),
		cmocka_unit_test(test_forbidden_types_everywhere),
	};

	return cmocka_run_group_tests(tests, make_decoder, free_decoder);
}
