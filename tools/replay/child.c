/*
 * Work in a child process, with the tool's words for how it ended; see child.h.
 */
#include "replay/child.h"

#include <stddef.h>
#include <string.h>

#include "base/child.h"
#include "base/error.h"

#include "base/banned.h"

enum status child_run(child_work work, void *context, struct error *err)
{
	struct child_job job = {
		.name = "the reading of the log",
		.work = work,
		.context = context,
	};
	int damage = 0;
	enum status status = child_job_run(&job, &damage, err);

	if (damage)
		return error_set(err, STATUS_CORRUPT, "a page of the log cannot be read (SIG%s)",
				 sigabbrev_np(damage));
	return status;
}
