/*
 * Fuzz target: events (store/event_codec.h, store/event_check.h, store/event_schema.def).
 *
 * Input: the bytes of an event. What must hold:
 * - what is decoded encodes to these very bytes, whole and payload alone, and passes the checks of
 *   event_check.h, and by a second reading its lists are in order and its texts within limits; its
 *   payload decodes alone, each language map too;
 * - what is refused leaves the output untouched and says why; a newer event gives its envelope;
 * - the decoder does not remember: a second decoder agrees;
 * - the encoder is given the decoded event with one field made odd: it refuses what event_check.h
 *   refuses and then appends nothing, or what it wrote decodes to what was meant.
 *
 * The mutator goes by the schema table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate_msgpack.h"
#include "lib/event_samples.h"
#include "store/event.h"
#include "store/event_check.h"
#include "store/event_codec.h"
#include "store/msgpack_scan.h"

#include "base/banned.h"

enum {
	AT_TYPE = 10, /* places in the array of an event: docs/FORMAT.md */
	AT_PAYLOAD = 11,
};

static void free_decoder(struct event_decoder **decoder)
{
	event_decoder_free(*decoder);
}

/* One for all inputs, so that what it keeps from one is there for the next. */
static struct event_decoder *kept_decoder(void)
{
	static struct event_decoder *decoder;

	if (!decoder && event_decoder_new(&decoder, NULL))
		abort();
	return decoder;
}

static bool is_inside(struct slice part, struct slice whole)
{
	return part.len == 0 ||
	       (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

/* --- what was decoded ------------------------------------------------------------------------- */

static void check_encodes_to(const struct event *event, struct slice bytes)
{
	AUTO(buf_release) struct buf again = BUF_INIT;
	struct error err = ERROR_INIT;
	enum status status;

	buf_append_str(&again, "before");
	status = event_encode(event, &again, &err);
	FUZZ_CHECK(!status, "decoded, but not encoded: %s", err.text);
	FUZZ_CHECK(slice_equal(slice_of(again.data + 6, again.len - 6), bytes),
		   "encodes to other bytes than it was decoded from");
}

static void check_langmap(const struct langmap *map)
{
	AUTO(free_decoder) struct event_decoder *decoder = NULL;
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	AUTO(buf_release) struct buf again = BUF_INIT;
	struct langmap read = { .count = 0 };

	FUZZ_CHECK(!event_decoder_new(&decoder, NULL), "no decoder");
	FUZZ_CHECK(!langmap_encode(map, &bytes, NULL), "a language map does not encode");
	FUZZ_CHECK(!langmap_decode(decoder, buf_slice(&bytes), &read, NULL),
		   "a language map does not decode");
	FUZZ_CHECK(!langmap_encode(&read, &again, NULL) &&
			   slice_equal(buf_slice(&bytes), buf_slice(&again)),
		   "a language map encodes to other bytes");
}

static void check_payload(const struct decoded_event *decoded)
{
	const struct payload *payload = &decoded->event.payload;
	AUTO(free_decoder) struct event_decoder *decoder = NULL;
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	AUTO(buf_release) struct buf again = BUF_INIT;
	struct payload read;

	FUZZ_CHECK(!event_decoder_new(&decoder, NULL), "no decoder");
	FUZZ_CHECK(!payload_encode(payload, &bytes, NULL), "the payload does not encode");
	FUZZ_CHECK(slice_equal(buf_slice(&bytes), decoded->payload_bytes),
		   "the payload's bytes are not those that it encodes to");
	FUZZ_CHECK(!payload_decode(decoder, payload->type, decoded->payload_bytes, &read, NULL),
		   "the payload alone does not decode");
	FUZZ_CHECK(!payload_encode(&read, &again, NULL) &&
			   slice_equal(buf_slice(&bytes), buf_slice(&again)),
		   "the payload alone decodes to another one");
	for (unsigned field = 0; field < FIELD_COUNT; field++) {
		if (payload->field[field].present &&
		    event_field_info((enum event_field)field)->kind == KIND_LANGMAP)
			check_langmap(&payload->field[field].langmap);
	}
}

/* The order of lists, without event_check.h, which encoder and decoder share. */
static void check_lists(enum field_kind kind, const struct field_value *value)
{
	if (kind == KIND_LANGMAP) {
		for (size_t i = 1; i < value->langmap.count; i++)
			FUZZ_CHECK(slice_compare(value->langmap.entries[i - 1].tag,
						 value->langmap.entries[i].tag) < 0,
				   "languages out of order");
	} else if (kind == KIND_READERS) {
		for (size_t i = 1; i < value->readers.count; i++)
			FUZZ_CHECK(slice_compare(value->readers.entries[i - 1].key_id,
						 value->readers.entries[i].key_id) < 0,
				   "readers out of order");
	} else if (kind == KIND_TEXTS) {
		for (size_t i = 1; i < value->texts.count; i++)
			FUZZ_CHECK(
				!slice_equal(value->texts.entries[i - 1], value->texts.entries[i]),
				"a text twice");
	}
}

static void check_changes(const struct changes *changes)
{
	for (size_t i = 1; i < changes->count; i++) {
		const struct change *last = &changes->entries[i - 1];
		const struct change *change = &changes->entries[i];
		int order = slice_compare(last->profile, change->profile);

		FUZZ_CHECK(order < 0 || (order == 0 && slice_compare(last->key, change->key) < 0),
			   "changes out of order");
	}
}

/* The limits of limits.h, and that a required field is there. */
static void check_fields(const struct payload *payload)
{
	const struct event_type_info *type = event_type_info(payload->type);

	for (size_t i = 0; i < type->rule_count; i++) {
		enum event_field field = type->rules[i].field;
		const struct field_value *value = &payload->field[field];
		enum field_kind kind = event_field_info(field)->kind;

		FUZZ_CHECK(value->present || !type->rules[i].required, "a field is missing");
		if (!value->present)
			continue;
		if (kind == KIND_NAME)
			FUZZ_CHECK(value->text.len - 1 < NAME_BYTES_MAX, "a name of %zu bytes",
				   value->text.len);
		else if (kind == KIND_TEXT)
			FUZZ_CHECK(value->text.len <= TEXT_BYTES_MAX && text_is_value(value->text),
				   "a text that is none");
		else if (kind == KIND_VALUE)
			FUZZ_CHECK(value->text.len <= VALUE_BYTES_MAX && text_is_value(value->text),
				   "a value that is none");
		else if (kind == KIND_CHANGES)
			check_changes(&value->changes);
		else
			check_lists(kind, value);
	}
}

static void check_decoded(const struct decoded_event *decoded, struct slice bytes)
{
	const struct event *event = &decoded->event;
	struct event_fault fault;

	FUZZ_CHECK((unsigned)event->payload.type < EVENT_TYPE_COUNT, "OK, but of no type");
	FUZZ_CHECK(envelope_check(event, &fault), "envelope: %s %s", fault.field, fault.why);
	FUZZ_CHECK(payload_check(&event->payload, &fault), "payload: %s %s", fault.field,
		   fault.why);
	FUZZ_CHECK(slice_equal_str(decoded->type_name, event_type_info(event->payload.type)->name),
		   "the type's name is not its name");
	FUZZ_CHECK(event_type_find(decoded->type_name) == event->payload.type,
		   "the type is not found by its name");
	FUZZ_CHECK(is_inside(decoded->payload_bytes, bytes), "the payload is outside the event");
	check_fields(&event->payload);
	check_encodes_to(event, bytes);
	check_payload(decoded);
}

/* Newer: the envelope is there, unless the version is a later one. */
static void check_newer(const struct decoded_event *decoded, struct slice bytes)
{
	struct event_fault fault;

	if (fuzz_is_marked(decoded, sizeof(*decoded))) {
		FUZZ_CHECK(bytes.data[0] != 0x9d || bytes.data[1] != EVENT_VERSION,
			   "an event of this version, and nothing of it was given");
		return;
	}
	FUZZ_CHECK(decoded->event.payload.type == EVENT_UNKNOWN, "newer, but of a known type");
	FUZZ_CHECK(envelope_check(&decoded->event, &fault), "envelope: %s %s", fault.field,
		   fault.why);
	FUZZ_CHECK(decoded->type_name.len > 0 && is_inside(decoded->type_name, bytes),
		   "newer, but without the name of its type");
	FUZZ_CHECK(is_inside(decoded->payload_bytes, bytes), "the payload is outside the event");
	FUZZ_CHECK(!msgpack_scan(decoded->payload_bytes, NULL), "the payload is no value");
}

/* A fresh decoder says the same as the one that has seen all inputs before. */
static void check_repeats(struct slice bytes, enum status expected)
{
	AUTO(free_decoder) struct event_decoder *decoder = NULL;
	struct decoded_event decoded;

	FUZZ_CHECK(!event_decoder_new(&decoder, NULL), "no decoder");
	FUZZ_CHECK(event_decode(decoder, bytes, &decoded, NULL) == expected,
		   "another decoder says otherwise");
}

/* --- the encoder, given what no decoder gives ---------------------------------------------------
 */

static void make_envelope_odd(struct sample_random *random, struct event *event)
{
	uint64_t number = (UINT64_C(1) << sample_below(random, 64)) - sample_below(random, 2);

	switch (sample_below(random, 6)) {
	case 0:
		event->seq = number;
		break;
	case 1:
		event->time_ms = number;
		break;
	case 2:
		event->claimed_ms = number;
		break;
	case 3:
		event->part = (uint32_t)number;
		break;
	case 4:
		event->parts = (uint32_t)number;
		break;
	default:
		event->reason.len -= event->reason.len > 0;
	}
}

/* A field comes, goes, or is cut; lists lose their end or their beginning. */
static void make_payload_odd(struct sample_random *random, struct payload *payload)
{
	enum event_field field = (enum event_field)sample_below(random, FIELD_COUNT);
	const struct event_type_info *type = event_type_info(payload->type);
	enum field_kind kind;
	struct field_value *value;

	if (type->rule_count && sample_below(random, 4))
		field = type->rules[sample_below(random, type->rule_count)].field;
	kind = event_field_info(field)->kind;
	value = &payload->field[field];
	if (!value->present) {
		*value = (struct field_value){ .present = true };
	} else if (sample_below(random, 3) == 0) {
		*value = (struct field_value){ .present = false };
	} else if (kind == KIND_UINT) {
		value->uint = sample_next(random);
	} else if (kind == KIND_BOOL) {
		value->flag = !value->flag;
	} else if (kind == KIND_LANGMAP) {
		value->langmap.count--;
	} else if (kind == KIND_TEXTS) {
		value->texts.count--;
	} else if (kind == KIND_CHANGES) {
		value->changes.entries++;
		value->changes.count--;
	} else if (kind == KIND_READERS) {
		value->readers.count--;
	} else if (value->text.len > 0) {
		value->text = slice_of(value->text.data + 1, value->text.len - 1);
	}
}

/* What was encoded decodes, and to something that encodes to the same. */
static void check_decodes(struct slice bytes)
{
	AUTO(free_decoder) struct event_decoder *decoder = NULL;
	struct decoded_event read;
	struct error err = ERROR_INIT;

	FUZZ_CHECK(!event_decoder_new(&decoder, NULL), "no decoder");
	FUZZ_CHECK(!event_decode(decoder, bytes, &read, &err), "encoded, but not decoded: %s",
		   err.text);
	check_encodes_to(&read.event, bytes);
}

static void check_encoder(const struct event *decoded, struct sample_random *random)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT;
	struct event event = *decoded;
	struct error err = ERROR_INIT;
	struct event_fault fault;
	enum status status;
	bool sound;

	if (sample_below(random, 4) == 0)
		make_envelope_odd(random, &event);
	else
		make_payload_odd(random, &event.payload);
	sound = envelope_check(&event, &fault) && payload_check(&event.payload, &fault);
	status = event_encode(&event, &bytes, &err);
	fuzz_check_error(status, &err);
	if (!status) {
		FUZZ_CHECK(sound, "encoded although %s %s", fault.field, fault.why);
		check_decodes(buf_slice(&bytes));
		return;
	}
	FUZZ_CHECK(status == STATUS_USAGE, "%s", status_name(status));
	FUZZ_CHECK(bytes.len == 0, "not encoded, but %zu bytes appended", bytes.len);
	FUZZ_CHECK(!sound || strstr(err.text, "are allowed"), "sound, but refused: %s", err.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { ODD_EVENTS = 4 };
	struct slice bytes = slice_of(data, size);
	struct sample_random random = fuzz_random_of(bytes);
	struct decoded_event decoded;
	struct error err = ERROR_INIT;
	enum status status;

	fuzz_mark(&decoded, sizeof(decoded));
	status = event_decode(kept_decoder(), bytes, &decoded, &err);
	fuzz_check_error(status, &err);
	FUZZ_CHECK(status == STATUS_CORRUPT || !msgpack_scan(bytes, NULL),
		   "decoded what the scan refuses");
	check_repeats(bytes, status);
	if (status == STATUS_CORRUPT) {
		FUZZ_CHECK(fuzz_is_marked(&decoded, sizeof(decoded)),
			   "refused, but the output was touched");
	} else if (status == STATUS_NEWER) {
		check_newer(&decoded, bytes);
	} else {
		FUZZ_CHECK(!status, "%s", status_name(status));
		check_decoded(&decoded, bytes);
		for (unsigned i = 0; i < ODD_EVENTS; i++)
			check_encoder(&decoded.event, &random);
	}
	return 0;
}

/* --- mutating by the schema ------------------------------------------------------------------- */

#define UNSET "{3 'profile' 'p' 'key' 'K' 'unset' T"

/* Values at and beyond the limits of each kind, in the notation of sample_pack(). */
static const char *const values_of_kind[][8] = {
	[KIND_NAME] = { "'production'", "*63", "*64", "''", "'-x'", "'a b'", "#a2c3a4", "7" },
	[KIND_KEY] = { "'DATABASE_URL'", "*255", "*256", "''", "'1A'", "'_'", "'A-B'", "T" },
	[KIND_KEY_NAME] = { "'ana@host.example'", "*127", "*128", "''", "'@'", "'a b'", "'a+b'",
			    "%4" },
	[KIND_TEXT] = { "'text'", "*4096", "*4097", "''", "#a100", "#a2c080", "#a3eda080",
			"#a4f09f9882" },
	[KIND_VALUE] = { "'value'", "*32768", "*32769", "''", "#a10a", "#a100", "#a1ff", "%3" },
	[KIND_DECIMAL] = { "'-12.50'", "'0'", "'+1'", "''", "'.'", "'1.'", "*64", "1" },
	[KIND_UINT] = { "0", "127", "128", "65536", "18446744073709551615", "#ff", "#cc01",
			"#d37fffffffffffffff" },
	[KIND_BOOL] = { "T", "F", "0", "1", "''", "'true'", "[0", "#c0" },
	[KIND_BYTES32] = { "%32", "%31", "%33", "%0", "*32", "[0", "#c50001ff", "0" },
	[KIND_LANGMAP] = { "{1 'und' 'text'", "{2 'de' 'x' 'en-GB' ''", "{2 'en' 'x' 'de' 'y'",
			   "{0", "{2 'de' 'x' 'de' 'y'", "{1 'en_GB' 'x'", "{1 'und' 1",
			   "{1 *36 'x'" },
	[KIND_TEXTS] = { "[2 'warn' 'debug'", "[1 ''", "[0", "[2 'a' 'a'", "[1 *4096", "[1 *4097",
			 "[1 1", "'warn'" },
	[KIND_CHANGES] = { "[1 {3 'profile' 'p' 'key' 'K' 'set' 'v'",
			   "[1 {4 'profile' 'p' 'key' 'K' 'copy' [2 1 0 'expand' T", "[1 " UNSET,
			   "[1 {3 'profile' 'p' 'key' 'K' 'seal' [2 %32 %104",
			   "[1 {4 'profile' 'p' 'key' 'K' 'unset' T 'expand' T",
			   "[2 " UNSET " " UNSET,
			   "[1 {4 'profile' 'p' 'key' 'K' 'set' 'v' 'later' 1", "[0" },
	[KIND_READERS] = { "[1 [2 %8 %80", "[1 [2 %7 %80", "[1 [2 %8 %79", "[0",
			   "[2 [2 %8 %80 [2 %8 %80", "[1 [3 %8 %80 0", "[1 %8", "[1 [2 *8 *80" },
};

static void put_field(struct sample_random *random, enum event_field field, bool with_name,
		      struct buf *out)
{
	const struct event_field_info *info = event_field_info(field);
	AUTO(buf_release) struct buf notation = BUF_INIT;

	if (with_name)
		buf_printf(&notation, "'%s' ", info->name);
	buf_append_str(&notation, values_of_kind[info->kind][sample_below(random, 8)]);
	sample_pack(out, buf_str(&notation));
}

static enum event_field field_of(struct slice name)
{
	for (unsigned field = 0; field < FIELD_COUNT; field++) {
		if (slice_equal_str(name, event_field_info((enum event_field)field)->name))
			return (enum event_field)field;
	}
	return FIELD_COUNT;
}

/* How far into the rules of @type a field stands; those that it does not have stand last. */
static size_t rank_of(const struct event_type_info *type, enum event_field field)
{
	size_t rank = 0;

	while (rank < type->rule_count && type->rules[rank].field != field)
		rank++;
	return rank;
}

/* The node at @place of @parent, or NULL. */
static const struct msgpack_node *child_of(const struct msgpack_tree *tree, size_t parent,
					   size_t place)
{
	for (size_t i = parent + 1; i < tree->count; i++) {
		if (tree->node[i].parent == parent && tree->node[i].place == place)
			return &tree->node[i];
	}
	return NULL;
}

/* Put a field of the type, or now and then of another one, where the schema wants it. */
static void insert_field(struct sample_random *random, const struct msgpack_tree *tree,
			 struct slice bytes, const struct msgpack_node *payload, struct buf *out)
{
	size_t index = (size_t)(payload - tree->node);
	enum event_type found = event_type_find(msgpack_str(bytes, child_of(tree, 0, AT_TYPE)));
	const struct event_type_info *type =
		event_type_info(found < EVENT_TYPE_COUNT ? found : EVENT_STORE_CREATED);
	enum event_field field = (enum event_field)sample_below(random, FIELD_COUNT);
	AUTO(buf_release) struct buf pair = BUF_INIT;
	size_t at = payload->end;

	if (sample_below(random, 8))
		field = type->rules[sample_below(random, type->rule_count)].field;
	for (size_t place = 0; place < payload->count; place += 2) {
		const struct msgpack_node *name = child_of(tree, index, place);

		if (rank_of(type, field_of(msgpack_str(bytes, name))) <= rank_of(type, field))
			continue;
		at = name->start;
		break;
	}
	put_field(random, field, true, &pair);
	msgpack_edit(out, bytes,
		     &(struct msgpack_edit){ .from = at,
					     .to = at,
					     .insert = buf_slice(&pair),
					     .around = payload,
					     .count = payload->count + 2 });
}

/* Another value of its kind for a field that is there. */
static void change_field(struct sample_random *random, const struct msgpack_tree *tree,
			 struct slice bytes, const struct msgpack_node *payload, struct buf *out)
{
	size_t index = (size_t)(payload - tree->node);
	const struct msgpack_node *name;
	const struct msgpack_node *value;
	AUTO(buf_release) struct buf other = BUF_INIT;
	enum event_field field;
	size_t place;

	if (payload->count == 0)
		return;
	place = 2 * sample_below(random, payload->count / 2);
	name = child_of(tree, index, place);
	value = child_of(tree, index, place + 1);
	field = field_of(msgpack_str(bytes, name));
	if (field == FIELD_COUNT)
		return;
	put_field(random, field, false, &other);
	msgpack_edit(out, bytes,
		     &(struct msgpack_edit){
			     .from = value->start, .to = value->end, .insert = buf_slice(&other) });
}

/* An event of any type, made from the schema: the whole of it, or its type and payload alone. */
static void renew(struct sample_random *random, const struct msgpack_tree *tree, struct slice bytes,
		  struct buf *out)
{
	AUTO(arena_release) struct arena arena = ARENA_INIT;
	AUTO(buf_release) struct buf inner = BUF_INIT;
	struct event event;

	sample_random_event(random, &arena, &event);
	if (sample_below(random, 2)) {
		if (event_encode(&event, out, NULL))
			buf_clear(out);
		return;
	}
	buf_printf(&inner, "'%s'", event_type_info(event.payload.type)->name);
	sample_pack(out, buf_str(&inner)); /* only to learn its bytes */
	buf_clear(&inner);
	buf_append_slice(&inner, buf_slice(out));
	buf_clear(out);
	if (payload_encode(&event.payload, &inner, NULL))
		return;
	msgpack_edit(out, bytes,
		     &(struct msgpack_edit){ .from = child_of(tree, 0, AT_TYPE)->start,
					     .to = child_of(tree, 0, AT_PAYLOAD)->end,
					     .insert = buf_slice(&inner) });
}

static void mutate_event(struct sample_random *random, struct slice bytes, struct buf *out)
{
	static struct msgpack_tree tree; /* too large for the stack */
	const struct msgpack_node *payload;

	if (!msgpack_tree_read(bytes, &tree) || !msgpack_is_array(&tree.node[0]))
		return;
	payload = child_of(&tree, 0, AT_PAYLOAD);
	if (!payload || !msgpack_is_map(payload))
		return;
	switch (sample_below(random, 8)) {
	case 0:
		renew(random, &tree, bytes, out);
		break;
	case 1:
	case 2:
	case 3:
		insert_field(random, &tree, bytes, payload, out);
		break;
	default:
		change_field(random, &tree, bytes, payload, out);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_msgpack(data, size, max_size, seed, mutate_event);
}
