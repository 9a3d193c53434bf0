/*
 * MessagePack for fuzzing; see mutate_msgpack.h.
 */
#include "fuzz/mutate_msgpack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "lib/event_samples.h"

#include "base/banned.h"

/* --- reading ---------------------------------------------------------------------------------- */

/* One row per range of lead bytes. */
struct form {
	uint8_t first;
	uint8_t last;
	uint8_t mask;          /* of the lead: the length, when no bytes of a length follow */
	uint8_t length_bytes;  /* that follow the lead */
	uint8_t content_bytes; /* fixed ones */
	uint8_t values;        /* for each counted: 0 bytes, 1 array, 2 map */
};

static const struct form forms[] = {
	{ 0x00, 0x7f, 0, 0, 0, 0 },    { 0x80, 0x8f, 0x0f, 0, 0, 2 }, { 0x90, 0x9f, 0x0f, 0, 0, 1 },
	{ 0xa0, 0xbf, 0x1f, 0, 0, 0 }, { 0xc2, 0xc3, 0, 0, 0, 0 },    { 0xc4, 0xc4, 0, 1, 0, 0 },
	{ 0xc5, 0xc5, 0, 2, 0, 0 },    { 0xc6, 0xc6, 0, 4, 0, 0 },    { 0xcc, 0xcc, 0, 0, 1, 0 },
	{ 0xcd, 0xcd, 0, 0, 2, 0 },    { 0xce, 0xce, 0, 0, 4, 0 },    { 0xcf, 0xcf, 0, 0, 8, 0 },
	{ 0xd0, 0xd0, 0, 0, 1, 0 },    { 0xd1, 0xd1, 0, 0, 2, 0 },    { 0xd2, 0xd2, 0, 0, 4, 0 },
	{ 0xd3, 0xd3, 0, 0, 8, 0 },    { 0xd9, 0xd9, 0, 1, 0, 0 },    { 0xda, 0xda, 0, 2, 0, 0 },
	{ 0xdb, 0xdb, 0, 4, 0, 0 },    { 0xdc, 0xdc, 0, 2, 0, 1 },    { 0xdd, 0xdd, 0, 4, 0, 1 },
	{ 0xde, 0xde, 0, 2, 0, 2 },    { 0xdf, 0xdf, 0, 4, 0, 2 },    { 0xe0, 0xff, 0, 0, 0, 0 },
};

static const struct form *form_of(uint8_t lead)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (lead >= forms[i].first && lead <= forms[i].last)
			return &forms[i];
	}
	return NULL;
}

/* The value at @at: its head, and its content unless that is values. */
static bool read_node(struct slice bytes, size_t at, struct msgpack_node *ret)
{
	const struct form *form = at < bytes.len ? form_of(bytes.data[at]) : NULL;
	uint64_t length;

	if (!form || bytes.len - at - 1 < form->length_bytes)
		return false;
	length = bytes.data[at] & form->mask;
	for (size_t i = 0; i < form->length_bytes; i++)
		length = length << 8 | bytes.data[at + 1 + i];
	*ret = (struct msgpack_node){
		.start = at,
		.content = at + 1 + form->length_bytes,
		.lead = bytes.data[at],
		.count = form->values * length,
	};
	ret->end = ret->content;
	if (form->values)
		return true;
	length += form->content_bytes;
	if (length > bytes.len - ret->content)
		return false;
	ret->end += length;
	return true;
}

/* The containers that are open while reading. */
struct open {
	size_t node[MSGPACK_DEPTH_MAX];
	uint64_t lacks[MSGPACK_DEPTH_MAX];
	unsigned depth;
	unsigned deepest;
};

/* Where a value lies that was just read. */
static void note_node(struct msgpack_tree *tree, struct msgpack_node *node, const struct open *open)
{
	if (open->depth > 0) {
		node->parent = open->node[open->depth - 1];
		node->place =
			tree->node[node->parent].count - 1 - (size_t)open->lacks[open->depth - 1];
	}
	tree->node[tree->count++] = *node;
}

static bool open_node(struct open *open, size_t index, uint64_t count)
{
	if (open->depth == MSGPACK_DEPTH_MAX)
		return false;
	open->node[open->depth] = index;
	open->lacks[open->depth++] = count;
	if (open->depth > open->deepest)
		open->deepest = open->depth;
	return true;
}

static void close_full(struct open *open, struct msgpack_tree *tree, size_t at)
{
	while (open->depth > 0 && open->lacks[open->depth - 1] == 0) {
		open->depth--;
		if (tree)
			tree->node[open->node[open->depth]].end = at;
	}
}

/* Read one value after the other; @tree may be NULL. */
static bool read_all(struct slice bytes, struct msgpack_tree *tree, unsigned *ret_depth)
{
	struct open open = { .depth = 0 };
	size_t at = 0;

	do {
		struct msgpack_node node;
		size_t index = tree ? tree->count : 0;

		if (index == NODES_MAX || !read_node(bytes, at, &node))
			return false;
		at = node.end;
		if (open.depth > 0)
			open.lacks[open.depth - 1]--;
		if (tree)
			note_node(tree, &node, &open);
		if (form_of(node.lead)->values && !open_node(&open, index, node.count))
			return false;
		close_full(&open, tree, at);
	} while (open.depth > 0);
	*ret_depth = open.deepest;
	return at == bytes.len;
}

bool msgpack_is_plain(struct slice bytes, unsigned *ret_depth)
{
	unsigned depth;

	if (bytes.len > EVENT_BYTES_MAX || !read_all(bytes, NULL, &depth))
		return false;
	*ret_depth = depth;
	return true;
}

bool msgpack_tree_read(struct slice bytes, struct msgpack_tree *ret)
{
	unsigned depth;

	ret->count = 0;
	return bytes.len <= EVENT_BYTES_MAX && read_all(bytes, ret, &depth);
}

bool msgpack_is_map(const struct msgpack_node *node)
{
	return form_of(node->lead)->values == 2;
}

bool msgpack_is_array(const struct msgpack_node *node)
{
	return form_of(node->lead)->values == 1;
}

static bool is_str(const struct msgpack_node *node)
{
	return (node->lead >= 0xa0 && node->lead <= 0xbf) ||
	       (node->lead >= 0xd9 && node->lead <= 0xdb);
}

static bool is_bin(const struct msgpack_node *node)
{
	return node->lead >= 0xc4 && node->lead <= 0xc6;
}

struct slice msgpack_str(struct slice bytes, const struct msgpack_node *node)
{
	if (!is_str(node))
		return slice_of(NULL, 0);
	return slice_of(bytes.data + node->content, node->end - node->content);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_number(struct buf *out, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	store_u64be(bytes, value);
	buf_append(out, bytes + 8 - width, width);
}

/* The shortest head, or with @longer one of the next longer forms. */
static void put_head(struct buf *out, const struct msgpack_node *like, size_t length,
		     unsigned longer)
{
	bool map = msgpack_is_map(like);
	bool list = map || msgpack_is_array(like);
	bool str = is_str(like);
	size_t fix_max = list ? 15 : str ? 31 : 0;
	uint8_t fix = map ? 0x80 : list ? 0x90 : 0xa0;
	uint8_t form16 = map ? 0xde : list ? 0xdc : str ? 0xda : 0xc5;
	unsigned form = length <= fix_max && fix_max ? 0 : length < 256 && !list ? 1 : 2;

	if (length > UINT16_MAX)
		form = 3;
	form += longer;
	if (form == 1 && list)
		form = 2;
	if (form == 0) {
		buf_append_byte(out, (uint8_t)(fix | length));
		return;
	}
	form = form > 3 ? 3 : form;
	buf_append_byte(out, (uint8_t)(form16 + form - 2));
	put_number(out, length, 1u << (form - 1));
}

void msgpack_edit(struct buf *out, struct slice bytes, const struct msgpack_edit *edit)
{
	size_t at = 0;

	if (edit->around) {
		buf_append(out, bytes.data, edit->around->start);
		put_head(out, edit->around,
			 msgpack_is_map(edit->around) ? edit->count / 2 : edit->count, 0);
		at = edit->around->content;
	}
	buf_append(out, bytes.data + at, edit->from - at);
	buf_append_slice(out, edit->insert);
	buf_append(out, bytes.data + edit->to, bytes.len - edit->to);
}

/* --- mutating --------------------------------------------------------------------------------- */

static const struct msgpack_node *any_node(struct sample_random *random,
					   const struct msgpack_tree *tree)
{
	return &tree->node[sample_below(random, tree->count)];
}

/* @node, or with the key in front of it when it is in a map: what can come and go there. */
static struct slice element_of(const struct msgpack_tree *tree, struct slice bytes,
			       const struct msgpack_node *node)
{
	const struct msgpack_node *first = node;
	const struct msgpack_node *last = node;

	if (!msgpack_is_map(&tree->node[node->parent]))
		return slice_of(bytes.data + node->start, node->end - node->start);
	if (node->place % 2) {
		while (first->parent != node->parent || first->place + 1 != node->place)
			first--;
	} else {
		while (last->parent != node->parent || last->place != node->place + 1)
			last++;
	}
	return slice_of(bytes.data + first->start, last->end - first->start);
}

/* Take an element out, write it twice, or move it to the front of its container. */
static void change_element(struct sample_random *random, const struct msgpack_tree *tree,
			   struct slice bytes, struct buf *out)
{
	const struct msgpack_node *node = any_node(random, tree);
	const struct msgpack_node *parent = &tree->node[node->parent];
	AUTO(buf_release) struct buf moved = BUF_INIT;
	struct slice element;
	size_t values;
	size_t at;

	if (node == parent)
		return;
	element = element_of(tree, bytes, node);
	values = msgpack_is_map(parent) ? 2 : 1;
	at = (size_t)(element.data - bytes.data);
	switch (sample_below(random, 3)) {
	case 0:
		msgpack_edit(out, bytes,
			     &(struct msgpack_edit){ .from = at,
						     .to = at + element.len,
						     .around = parent,
						     .count = parent->count - values });
		break;
	case 1:
		msgpack_edit(out, bytes,
			     &(struct msgpack_edit){ .from = at,
						     .to = at,
						     .insert = element,
						     .around = parent,
						     .count = parent->count + values });
		break;
	default:
		buf_append_slice(&moved, element);
		buf_append(&moved, bytes.data + parent->content, at - parent->content);
		msgpack_edit(out, bytes,
			     &(struct msgpack_edit){ .from = parent->content,
						     .to = at + element.len,
						     .insert = buf_slice(&moved) });
	}
}

/* The same number in a longer form, or another number. */
static void change_number(struct sample_random *random, struct slice bytes,
			  const struct msgpack_node *node, struct buf *ret)
{
	bool negative = node->lead >= 0xe0;
	uint64_t value = negative ? (uint64_t)(int8_t)node->lead : node->lead;
	unsigned width = 1u << sample_below(random, 4);
	unsigned shift;

	if (node->end > node->content) {
		value = 0;
		for (size_t i = node->content; i < node->end; i++)
			value = value << 8 | bytes.data[i];
	}
	switch (sample_below(random, 4)) {
	case 0:
		value += sample_below(random, 3) - 1;
		break;
	case 1:
		value = (UINT64_C(1) << sample_below(random, 64)) + sample_below(random, 3) - 1;
		break;
	default:
		break;
	}
	if (value < 0x80 && sample_below(random, 2)) {
		buf_append_byte(ret, (uint8_t)value);
		return;
	}
	shift = width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
	buf_append_byte(ret, (uint8_t)((sample_below(random, 8) ? 0xcc : 0xd0) + shift));
	put_number(ret, value, width);
}

/* The same text or bytes under a longer head, or others. */
static void change_content(struct sample_random *random, struct slice bytes,
			   const struct msgpack_node *node, struct buf *ret)
{
	enum { GROWTH = 64 };
	struct msgpack_node like = *node;
	size_t len = node->end - node->content;
	AUTO(buf_release) struct buf content = BUF_INIT;

	buf_append(&content, bytes.data + node->content, len);
	if (sample_below(random, 3)) {
		uint8_t *room = buf_reserve(&content, GROWTH);

		if (room)
			content.len = LLVMFuzzerMutate(content.data, len, len + GROWTH);
	}
	if (sample_below(random, 8) == 0) /* a text becomes bytes, bytes a text */
		like.lead = is_str(node) ? 0xc4 : 0xd9;
	put_head(ret, &like, content.len, sample_below(random, 4) ? 0 : 1);
	buf_append_slice(ret, buf_slice(&content));
}

/* One value becomes another, by its kind. */
static void change_value(struct sample_random *random, const struct msgpack_tree *tree,
			 struct slice bytes, struct buf *out)
{
	const struct msgpack_node *node = any_node(random, tree);
	AUTO(buf_release) struct buf value = BUF_INIT;

	if (msgpack_is_map(node) || msgpack_is_array(node)) {
		size_t count = msgpack_is_map(node) ? node->count / 2 : node->count;

		/* A longer head, or one that counts wrongly. */
		put_head(&value, node, count + (sample_below(random, 4) == 0),
			 (unsigned)sample_below(random, 3));
		buf_append(&value, bytes.data + node->content, node->end - node->content);
	} else if (is_str(node) || is_bin(node)) {
		change_content(random, bytes, node, &value);
	} else if (node->lead == 0xc2 || node->lead == 0xc3) {
		buf_append_byte(&value, node->lead ^ 1);
	} else {
		change_number(random, bytes, node, &value);
	}
	msgpack_edit(out, bytes,
		     &(struct msgpack_edit){
			     .from = node->start, .to = node->end, .insert = buf_slice(&value) });
}

/* One value takes another's place. */
static void replace_value(struct sample_random *random, const struct msgpack_tree *tree,
			  struct slice bytes, struct buf *out)
{
	const struct msgpack_node *node = any_node(random, tree);
	const struct msgpack_node *by = any_node(random, tree);

	msgpack_edit(out, bytes,
		     &(struct msgpack_edit){
			     .from = node->start,
			     .to = node->end,
			     .insert = slice_of(bytes.data + by->start, by->end - by->start) });
}

static void mutate_tree(struct sample_random *random, const struct msgpack_tree *tree,
			struct slice bytes, struct buf *out)
{
	switch (sample_below(random, 6)) {
	case 0:
	case 1:
		change_element(random, tree, bytes, out);
		break;
	case 2:
		replace_value(random, tree, bytes, out);
		break;
	default:
		change_value(random, tree, bytes, out);
	}
}

size_t mutate_msgpack(uint8_t *data, size_t size, size_t max_size, unsigned seed,
		      msgpack_special special)
{
	static struct msgpack_tree tree; /* too large for the stack */
	struct sample_random random = { .state = seed };
	struct slice bytes = slice_of(data, size);
	AUTO(buf_release) struct buf out = BUF_INIT;

	if (special && sample_below(&random, 2))
		special(&random, bytes, &out);
	if (out.len == 0 && sample_below(&random, 8) && msgpack_tree_read(bytes, &tree))
		mutate_tree(&random, &tree, bytes, &out);
	if (out.len == 0 || out.len > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	return fuzz_put(data, max_size, buf_slice(&out));
}
