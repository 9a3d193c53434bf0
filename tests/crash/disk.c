/*
 * A disk that may lose power; see disk.h.
 *
 * Directories and files are nodes, known by their inode numbers, so that a file that is renamed
 * while open, or a directory that is renamed whole, needs no thought.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "crash/disk.h"
#include "crash/record.h"
#include "rig/rig.h"

#include "base/banned.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): a rig has one thread. */

struct entry {
	char *name;
	size_t node;
};

struct entries {
	struct entry *list;
	size_t count;
};

struct disk_node {
	uint64_t inode;
	bool is_dir;
	struct buf content;     /* of a file, before the trace */
	struct entries entries; /* of a directory, before the trace */
};

static void give_up(const char *what, const char *on)
{
	(void)fprintf(stderr, "disk: cannot %s %s: %s\n", what, on, strerror(errno));
	exit(2);
}

static void *grow(void *list, size_t count, size_t size)
{
	/* In steps of doubling: at powers of two. */
	if (count & (count - 1))
		return list;
	list = reallocarray(list, count ? 2 * count : 1, size);
	if (!list)
		give_up("keep", "the trace");
	return list;
}

static char *copy_name(const void *name, size_t len)
{
	char *copy = strndup(name, len);

	if (!copy)
		give_up("keep", "a name");
	return copy;
}

static size_t add_node(struct disk *disk, uint64_t inode, bool is_dir)
{
	disk->nodes = grow(disk->nodes, disk->node_count, sizeof(*disk->nodes));
	disk->nodes[disk->node_count] = (struct disk_node){ .inode = inode, .is_dir = is_dir };
	return disk->node_count++;
}

/* The newest node of that number: numbers come again when files are gone. */
static size_t find_node(const struct disk *disk, uint64_t inode)
{
	for (size_t i = disk->node_count; i-- > 0;)
		if (disk->nodes[i].inode == inode)
			return i;
	(void)fprintf(stderr, "disk: the trace speaks of inode %llu, which nobody made\n",
		      (unsigned long long)inode);
	exit(2);
}

static struct entry *find_entry(const struct entries *entries, const char *name)
{
	for (size_t i = 0; entries->list && i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return &entries->list[i];
	return NULL;
}

static void put_entry(struct entries *entries, const char *name, size_t node)
{
	struct entry *found = find_entry(entries, name);

	if (found) {
		found->node = node;
		return;
	}
	entries->list = grow(entries->list, entries->count, sizeof(*entries->list));
	entries->list[entries->count++] =
		(struct entry){ .name = copy_name(name, strlen(name)), .node = node };
}

static void drop_entry(struct entries *entries, const char *name)
{
	struct entry *found = find_entry(entries, name);

	if (!found || !entries->list)
		return;
	free(found->name);
	*found = entries->list[--entries->count];
}

static void release_entries(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->list[i].name);
	free(entries->list);
	*entries = (struct entries){ .list = NULL };
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the rig's own directories */
static size_t read_tree(struct disk *disk, const char *path)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);
	size_t node;

	if (!dir || stat(path, &st))
		give_up("read", path);
	node = add_node(disk, st.st_ino, true);
	while ((entry = readdir(dir)) != NULL) {
		AUTO_FREE char *below = rig_text("%s/%s", path, entry->d_name);
		size_t child;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (lstat(below, &st))
			give_up("examine", below);
		if (S_ISDIR(st.st_mode)) {
			child = read_tree(disk, below);
		} else {
			child = add_node(disk, st.st_ino, false);
			rig_read(below, &disk->nodes[child].content);
		}
		put_entry(&disk->nodes[node].entries, entry->d_name, child);
	}
	(void)closedir(dir);
	return node;
}

void disk_open(struct disk *disk, const char *root)
{
	*disk = (struct disk){ .nodes = NULL };
	disk->root = read_tree(disk, root);
}

bool disk_call_changes(const struct disk_call *call)
{
	return call->kind != RECORD_SYNC && call->kind != RECORD_SAID && call->kind != RECORD_ENDED;
}

size_t disk_said(const struct disk *disk, size_t cut)
{
	size_t ended = 0;
	bool said = false;

	for (size_t i = 0; i < cut; i++) {
		if (disk->calls[i].kind == RECORD_SAID) {
			said = true;
		} else if (disk->calls[i].kind == RECORD_ENDED) {
			said = false;
			ended++;
		}
	}
	return ended + said;
}

/* Does the sync of @node make the call durable? */
static bool synced_by(const struct disk_call *call, size_t node)
{
	switch ((enum record_kind)call->kind) {
	case RECORD_WRITE:
	case RECORD_TRUNCATE:
		return call->node == node;
	case RECORD_CREATE:
	case RECORD_MKDIR:
	case RECORD_UNLINK:
		return call->dir == node;
	case RECORD_RENAME:
	case RECORD_LINK:
		return call->dir2 == node;
	case RECORD_SYNC:
	case RECORD_SAID:
	case RECORD_ENDED:
		break;
	}
	return false;
}

static void take_record(struct disk *disk, const struct record *record, const uint8_t *rest)
{
	struct disk_call call = { .kind = record->kind, .durable_at = SIZE_MAX };

	call.name = copy_name(rest, record->name_len);
	call.name2 = copy_name(rest + record->name_len, record->name2_len);
	call.offset = record->offset;
	call.data = slice_of(rest + record->name_len + record->name2_len, record->data_len);
	if (record->kind == RECORD_CREATE || record->kind == RECORD_MKDIR)
		call.node = add_node(disk, record->node, record->kind == RECORD_MKDIR);
	else if (record->node)
		call.node = find_node(disk, record->node);
	if (record->dir)
		call.dir = find_node(disk, record->dir);
	if (record->dir2)
		call.dir2 = find_node(disk, record->dir2);
	if (record->durable)
		call.durable_at = disk->call_count + 1;
	if (record->kind == RECORD_SYNC)
		for (size_t i = 0; i < disk->call_count; i++)
			if (disk->calls[i].durable_at == SIZE_MAX &&
			    synced_by(&disk->calls[i], call.node))
				disk->calls[i].durable_at = disk->call_count + 1;
	/* Weyl's sequence through a mixer: any distinct bits will do. */
	call.mark = (disk->call_count + 1) * UINT64_C(0x9e3779b97f4a7c15);
	call.mark = (call.mark ^ (call.mark >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
	disk->calls = grow(disk->calls, disk->call_count, sizeof(*disk->calls));
	disk->calls[disk->call_count++] = call;
}

void disk_take_trace(struct disk *disk, const char *trace_path)
{
	size_t at = 0;

	rig_read(trace_path, &disk->trace);
	while (at + sizeof(struct record) <= disk->trace.len) {
		struct record record;

		memcpy(&record, disk->trace.data + at, sizeof(record));
		at += sizeof(record);
		take_record(disk, &record, disk->trace.data + at);
		at += record.name_len + record.name2_len + record.data_len;
	}
	if (at != disk->trace.len)
		give_up("read all of", trace_path);
}

void disk_release(struct disk *disk)
{
	for (size_t i = 0; i < disk->node_count; i++) {
		buf_release(&disk->nodes[i].content);
		release_entries(&disk->nodes[i].entries);
	}
	for (size_t i = 0; i < disk->call_count; i++) {
		free(disk->calls[i].name);
		free(disk->calls[i].name2);
	}
	free(disk->nodes);
	free(disk->calls);
	buf_release(&disk->trace);
}

/* Had the call an effect that the crash may have undone? */
static bool pending(const struct disk *disk, size_t cut, size_t call)
{
	return disk_call_changes(&disk->calls[call]) && disk->calls[call].durable_at > cut;
}

size_t disk_open_calls(const struct disk *disk, size_t cut)
{
	size_t count = 0;

	for (size_t i = 0; i <= cut && i < disk->call_count; i++)
		count += pending(disk, cut, i);
	return count;
}

/* The @nth number that a mixture draws for a call (splitmix64: Steele, Lea, Flood, 2014). */
static uint64_t drawn(const struct disk_state *state, size_t call, unsigned nth)
{
	uint64_t bits = state->mixture + (2 * call + nth + 1) * UINT64_C(0x9e3779b97f4a7c15);

	bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
	return bits ^ (bits >> 31);
}

static bool present(const struct disk *disk, const struct disk_state *state, size_t call)
{
	if (!pending(disk, state->cut, call))
		return disk_call_changes(&disk->calls[call]);
	if (state->mixture)
		return drawn(state, call, 0) % 2;
	if (call == state->call)
		return !state->rest || state->torn_at;
	return state->rest;
}

/* --- every state ------------------------------------------------------------------------------ */

/* Contents met so far: marks of the calls that are there, in an open hash table. */
struct seen {
	uint64_t *marks; /* 0: free */
	size_t capacity; /* a power of two */
	size_t count;
};

/* The place of @mark, or a free one. */
static uint64_t *place_of(const struct seen *seen, uint64_t mark)
{
	size_t at = mark & (seen->capacity - 1);

	while (seen->marks[at] && seen->marks[at] != mark)
		at = (at + 1) & (seen->capacity - 1);
	return &seen->marks[at];
}

static void make_room(struct seen *seen)
{
	struct seen larger = { .capacity = seen->capacity ? 2 * seen->capacity : 1024,
			       .count = seen->count };

	larger.marks = calloc(larger.capacity, sizeof(*larger.marks));
	if (!larger.marks)
		give_up("remember", "states");
	for (size_t i = 0; i < seen->capacity; i++)
		if (seen->marks[i])
			*place_of(&larger, seen->marks[i]) = seen->marks[i];
	free(seen->marks);
	*seen = larger;
}

/* Was it not there yet? */
static bool see(struct seen *seen, uint64_t mark)
{
	uint64_t *place;

	if (2 * seen->count >= seen->capacity)
		make_room(seen);
	place = place_of(seen, mark);
	if (*place)
		return false;
	*place = mark;
	seen->count++;
	return true;
}

struct walk {
	const struct disk *disk;
	size_t tear_bytes;
	bool (*each)(void *context, const struct disk_state *state);
	void *context;
	struct seen seen;
	uint64_t durable; /* marks of what is durable at the cut, and of what the user was told */
	uint64_t open;    /* marks of what is not */
};

static bool visit(struct walk *walk, const struct disk_state *state)
{
	uint64_t one = state->call == SIZE_MAX ? 0 : walk->disk->calls[state->call].mark;
	uint64_t mark = walk->durable ^ (state->rest ? walk->open : 0);

	if (state->torn_at) /* the call is there in part: a content of its own */
		mark ^= (one * (2 * state->torn_at + (state->torn_end ? 1 : 3))) ^ one;
	else
		mark ^= one;
	if (!see(&walk->seen, mark ? mark : 1))
		return true;
	return walk->each(walk->context, state);
}

static bool visit_tears(struct walk *walk, size_t cut)
{
	size_t len = walk->disk->calls[cut].data.len;

	for (size_t at = walk->tear_bytes; at < len; at += walk->tear_bytes) {
		for (int variant = 0; variant < 4; variant++) {
			struct disk_state state = { .cut = cut,
						    .rest = variant & 1,
						    .call = cut,
						    .torn_at = at,
						    .torn_end = variant & 2 };

			if (!visit(walk, &state))
				return false;
		}
	}
	return true;
}

static bool visit_cut(struct walk *walk, size_t cut)
{
	const struct disk *disk = walk->disk;
	struct disk_state state = { .cut = cut, .call = SIZE_MAX };
	size_t last = cut < disk->call_count ? cut + 1 : cut;

	walk->durable = 0;
	walk->open = 0;
	for (size_t i = 0; i < last; i++) {
		/* What the user was told makes the same content a stricter case. */
		if (!disk_call_changes(&disk->calls[i]) && disk->calls[i].kind != RECORD_SYNC)
			walk->durable ^= i < cut ? disk->calls[i].mark : 0;
		else if (pending(disk, cut, i))
			walk->open ^= disk->calls[i].mark;
		else if (disk_call_changes(&disk->calls[i]))
			walk->durable ^= disk->calls[i].mark;
	}
	for (int rest = 0; rest < 2; rest++) {
		state.rest = rest;
		state.call = SIZE_MAX;
		if (!visit(walk, &state))
			return false;
		for (state.call = 0; state.call < last; state.call++)
			if (pending(disk, cut, state.call) && !visit(walk, &state))
				return false;
	}
	return last == cut || !pending(disk, cut, cut) || visit_tears(walk, cut);
}

void disk_each_state(const struct disk *disk, size_t tear_bytes,
		     bool (*each)(void *context, const struct disk_state *state), void *context)
{
	struct walk walk = {
		.disk = disk, .tear_bytes = tear_bytes, .each = each, .context = context
	};

	for (size_t cut = 0; cut <= disk->call_count; cut++)
		if (!visit_cut(&walk, cut))
			break;
	free(walk.seen.marks);
}

enum { TORN_ONE_IN = 8 };

/* --- one state -------------------------------------------------------------------------------- */

/* What is in force of all nodes while a state is made. */
struct image {
	struct buf *contents;
	struct entries *entries;
};

static void write_part(struct buf *content, uint64_t offset, struct slice data)
{
	static const uint8_t zeros[4096];

	while (content->len < offset + data.len) {
		size_t missing = offset + data.len - content->len;

		buf_append(content, zeros, missing < sizeof(zeros) ? missing : sizeof(zeros));
		if (content->failed)
			give_up("keep", "the content of a file");
	}
	if (data.len)
		memcpy(content->data + offset, data.data, data.len);
}

static void truncate_to(struct buf *content, uint64_t size)
{
	if (size < content->len)
		content->len = size;
	else
		write_part(content, size, slice_of("", 0));
}

static struct slice part_of(const struct disk_call *call, const struct disk_state *state,
			    uint64_t *ret_offset)
{
	*ret_offset = call->offset;
	if (!state->torn_at)
		return call->data;
	if (!state->torn_end)
		return slice_of(call->data.data, state->torn_at);
	*ret_offset += state->torn_at;
	return slice_of(call->data.data + state->torn_at, call->data.len - state->torn_at);
}

/* What of the write at @at is there: all of it, unless @state is about it, or tears it. */
static struct disk_state tear_of(const struct disk *disk, const struct disk_state *state, size_t at)
{
	struct disk_state tear = { .call = SIZE_MAX };
	size_t sectors = disk->calls[at].data.len / SECTOR_BYTES;
	uint64_t bits;

	if (!state->mixture)
		return at == state->call ? *state : tear;
	bits = drawn(state, at, 1);
	if (!pending(disk, state->cut, at) || sectors < 2 || bits % TORN_ONE_IN)
		return tear;
	tear.torn_at = (1 + (bits >> 8) % (sectors - 1)) * SECTOR_BYTES;
	tear.torn_end = bits >> 7 & 1;
	return tear;
}

static void apply(const struct disk *disk, const struct disk_state *state, size_t at,
		  struct image *image)
{
	const struct disk_call *call = &disk->calls[at];
	struct disk_state tear;
	uint64_t offset;
	struct slice part;

	switch ((enum record_kind)call->kind) {
	case RECORD_CREATE:
	case RECORD_MKDIR:
		put_entry(&image->entries[call->dir], call->name, call->node);
		break;
	case RECORD_WRITE:
		tear = tear_of(disk, state, at);
		part = part_of(call, &tear, &offset);
		write_part(&image->contents[call->node], offset, part);
		break;
	case RECORD_TRUNCATE:
		truncate_to(&image->contents[call->node], call->offset);
		break;
	case RECORD_RENAME:
		drop_entry(&image->entries[call->dir], call->name);
		put_entry(&image->entries[call->dir2], call->name2, call->node);
		break;
	case RECORD_LINK:
		put_entry(&image->entries[call->dir2], call->name2, call->node);
		break;
	case RECORD_UNLINK:
		drop_entry(&image->entries[call->dir], call->name);
		break;
	case RECORD_SYNC:
	case RECORD_SAID:
	case RECORD_ENDED:
		break;
	}
}

static void start_image(const struct disk *disk, struct image *image)
{
	image->contents = calloc(disk->node_count, sizeof(*image->contents));
	image->entries = calloc(disk->node_count, sizeof(*image->entries));
	if (!image->contents || !image->entries)
		give_up("make", "an image");
	for (size_t i = 0; i < disk->node_count; i++) {
		const struct entries *entries = &disk->nodes[i].entries;

		buf_append_slice(&image->contents[i], buf_slice(&disk->nodes[i].content));
		for (size_t k = 0; k < entries->count; k++)
			put_entry(&image->entries[i], entries->list[k].name, entries->list[k].node);
	}
}

static void release_image(const struct disk *disk, struct image *image)
{
	for (size_t i = 0; i < disk->node_count; i++) {
		buf_release(&image->contents[i]);
		release_entries(&image->entries[i]);
	}
	free(image->contents);
	free(image->entries);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the rig's own directories */
static void write_tree(const struct disk *disk, const struct image *image, size_t node,
		       const char *path)
{
	const struct entries *entries = &image->entries[node];

	if (mkdir(path, 0700))
		give_up("make", path);
	for (size_t i = 0; i < entries->count; i++) {
		AUTO_FREE char *below = rig_text("%s/%s", path, entries->list[i].name);
		size_t child = entries->list[i].node;

		if (disk->nodes[child].is_dir)
			write_tree(disk, image, child, below);
		else
			rig_write(below, buf_slice(&image->contents[child]));
	}
}

bool disk_restore(const struct disk *disk, const struct disk_state *state, const char *path)
{
	size_t last = state->cut < disk->call_count ? state->cut + 1 : state->cut;
	struct image image;
	bool lost = state->torn_at != 0;

	start_image(disk, &image);
	for (size_t i = 0; i < last; i++) {
		if (present(disk, state, i))
			apply(disk, state, i, &image);
		else if (disk_call_changes(&disk->calls[i]))
			lost = true;
	}
	write_tree(disk, &image, disk->root, path);
	release_image(disk, &image);
	return lost;
}

char *disk_state_text(const struct disk *disk, const struct disk_state *state)
{
	static const char *const kinds[] = { "",         "create", "mkdir",  "write",
					     "truncate", "sync",   "rename", "link",
					     "unlink",   "output", "end" };
	const struct disk_call *call =
		state->call < disk->call_count ? &disk->calls[state->call] : NULL;

	if (state->mixture)
		return rig_text("cut at call %zu of %zu, mixture %llu of what was not synced",
				state->cut, disk->call_count, (unsigned long long)state->mixture);
	if (!call)
		return rig_text("cut at call %zu of %zu, %s of what was not synced", state->cut,
				disk->call_count, state->rest ? "all" : "nothing");
	return rig_text("cut at call %zu of %zu, %s of what was not synced, %s call %zu (%s %s "
			"inode %llu, %zu bytes at %llu)%s",
			state->cut, disk->call_count, state->rest ? "all" : "nothing",
			state->torn_at ? "and a part of"
			: state->rest  ? "but not"
				       : "but",
			state->call, kinds[call->kind], call->name,
			(unsigned long long)disk->nodes[call->node].inode, call->data.len,
			(unsigned long long)call->offset,
			!state->torn_at   ? ""
			: state->torn_end ? ", its end"
					  : ", its beginning");
}

/* NOLINTEND(concurrency-mt-unsafe) */
