/*
 * Opening what is to be replayed; see source.h.
 */
#include "replay/source.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/limits.h"
#include "replay/fold.h"
#include "store/audit.h"
#include "store/evlog.h"
#include "store/evlog_lmdb.h"
#include "store/lmdb_file.h"
#include "store/ref.h"

#include "base/banned.h"

static void set_paths(struct source *source, const char *path, bool is_store)
{
	buf_clear(&source->log);
	if (is_store) {
		buf_append_str(&source->store, path);
		fs_join(&source->log, path, "log");
	} else {
		buf_append_str(&source->log, path);
	}
}

/* Is there PATH/BELOW, to be accessed as @mode says? Without a buffer: memory that ran out must not
 * look like a file that is not there. */
static bool has(const char *path, const char *below, int mode)
{
	char file[PATH_BYTES_MAX + 32];
	int len = snprintf(file, sizeof(file), "%s/%s", path, below);

	return len > 0 && (size_t)len < sizeof(file) && access(file, mode) == 0;
}

enum status source_find(const char *path, struct source *ret, struct error *err)
{
	bool is_store = has(path, "log/data.mdb", F_OK);
	enum status status;

	if (!is_store && !has(path, "data.mdb", F_OK))
		return error_hint(err,
				  error_set(err, STATUS_NO_STORE, "there is no log at %s", path),
				  "name a store's directory, or the log directory inside it");
	set_paths(ret, path, is_store);
	ret->how.read_only = true;
	status = buf_status(&ret->store, err);
	if (!status)
		status = buf_status(&ret->log, err);
	/* A copy or read-only media has no lock file that could be written. */
	if (!status)
		ret->how.no_lock = !has(buf_str(&ret->log), "lock.mdb", W_OK);
	return status;
}

enum status source_audit(const struct source *source, struct audit_report *ret, struct error *err)
{
	struct audit_options options = { .threads = 0 };

	return audit_log(buf_str(&source->log), source->how, &options, ret, err);
}

static void data_path(const struct source *source, struct buf *ret)
{
	fs_join(ret, buf_str(&source->log), "data.mdb");
}

enum status source_open(struct source *source, struct error *err)
{
	AUTO(buf_release) struct buf data = BUF_INIT;
	enum status status;

	data_path(source, &data);
	if (source->how.no_lock)
		(void)lmdb_file_transaction(buf_str(&data), &source->unlocked_at, NULL);
	status = evlog_lmdb_open(buf_str(&source->log), source->how, &source->evlog, err);
	return status ? status : evlog_snapshot_open(source->evlog, &source->snapshot, err);
}

enum status source_ref(struct source *source, const char *text, struct ref_point *ret,
		       struct error *err)
{
	struct ref ref;
	enum status status = ref_parse(slice_str(text ? text : "HEAD"), clock_now_ms(), &ref, err);

	return status ? status : ref_resolve(source->snapshot, &ref, ret, err);
}

enum status source_fold(struct source *source, const char *ref, struct fold *ret,
			struct ref_point *ret_point, struct error *err)
{
	AUTO(buf_release) struct buf data = BUF_INIT;
	enum status status = source->evlog ? STATUS_OK : source_open(source, err);

	if (!status)
		status = source_ref(source, ref, ret_point, err);
	if (!status)
		status = fold_to(ret, source->snapshot, ret_point->seq, err);
	if (status != STATUS_CORRUPT)
		return status;
	data_path(source, &data);
	return lmdb_file_check_unmoved(buf_str(&data), source->unlocked_at, err) ? STATUS_LOCKED
										 : status;
}

void source_close(struct source *source)
{
	evlog_snapshot_close(source->snapshot);
	evlog_close(source->evlog);
	source->snapshot = NULL;
	source->evlog = NULL;
}

void source_release(struct source *source)
{
	source_close(source);
	buf_release(&source->store);
	buf_release(&source->log);
	*source = (struct source)SOURCE_INIT;
}
