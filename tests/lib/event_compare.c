/*
 * Events compared field by field, not by their bytes.
 */
#include "lib/event_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "store/event.h"

#include "base/banned.h"

void assert_slices_equal(struct slice a, struct slice b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
}

static void assert_changes_equal(const struct changes *a, const struct changes *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct change *x = &a->entries[i];
		const struct change *y = &b->entries[i];

		assert_slices_equal(x->profile, y->profile);
		assert_slices_equal(x->key, y->key);
		assert_int_equal(x->op, y->op);
		assert_slices_equal(x->value, y->value);
		assert_slices_equal(x->commitment, y->commitment);
		assert_slices_equal(x->sealed, y->sealed);
		assert_true(x->copy_seq == y->copy_seq);
		assert_int_equal(x->copy_index, y->copy_index);
		assert_int_equal(x->expand, y->expand);
	}
}

static void assert_lists_equal(enum field_kind kind, const struct field_value *a,
			       const struct field_value *b)
{
	if (kind == KIND_LANGMAP) {
		assert_int_equal(a->langmap.count, b->langmap.count);
		for (size_t i = 0; i < a->langmap.count; i++) {
			assert_slices_equal(a->langmap.entries[i].tag, b->langmap.entries[i].tag);
			assert_slices_equal(a->langmap.entries[i].text, b->langmap.entries[i].text);
		}
	} else if (kind == KIND_TEXTS) {
		assert_int_equal(a->texts.count, b->texts.count);
		for (size_t i = 0; i < a->texts.count; i++)
			assert_slices_equal(a->texts.entries[i], b->texts.entries[i]);
	} else if (kind == KIND_READERS) {
		assert_int_equal(a->readers.count, b->readers.count);
		for (size_t i = 0; i < a->readers.count; i++) {
			assert_slices_equal(a->readers.entries[i].key_id,
					    b->readers.entries[i].key_id);
			assert_slices_equal(a->readers.entries[i].sealed_key,
					    b->readers.entries[i].sealed_key);
		}
	} else {
		assert_int_equal(kind, KIND_CHANGES);
		assert_changes_equal(&a->changes, &b->changes);
	}
}

void assert_payloads_equal(const struct payload *a, const struct payload *b)
{
	assert_int_equal(a->type, b->type);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		enum field_kind kind = event_field_info((enum event_field)i)->kind;
		const struct field_value *x = &a->field[i];
		const struct field_value *y = &b->field[i];

		assert_int_equal(x->present, y->present);
		if (!x->present)
			continue;
		if (kind == KIND_UINT)
			assert_true(x->uint == y->uint);
		else if (kind == KIND_BOOL)
			assert_int_equal(x->flag, y->flag);
		else if (kind < KIND_UINT || kind == KIND_BYTES32)
			assert_slices_equal(x->text, y->text);
		else
			assert_lists_equal(kind, x, y);
	}
}

void assert_events_equal(const struct event *a, const struct event *b)
{
	assert_memory_equal(a->log_id, b->log_id, LOG_ID_BYTES);
	assert_true(a->seq == b->seq);
	assert_memory_equal(a->prev, b->prev, HASH_BYTES);
	assert_true(a->time_ms == b->time_ms);
	assert_true(a->claimed_ms == b->claimed_ms);
	assert_memory_equal(a->key_id, b->key_id, KEY_ID_BYTES);
	assert_memory_equal(a->command_id, b->command_id, COMMAND_ID_BYTES);
	assert_int_equal(a->part, b->part);
	assert_int_equal(a->parts, b->parts);
	assert_slices_equal(a->reason, b->reason);
	assert_payloads_equal(&a->payload, &b->payload);
}
