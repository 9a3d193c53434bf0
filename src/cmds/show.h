/*
 * Showing what several commands show: checks of profiles, payloads of events.
 */
#ifndef PROVENV_CMDS_SHOW_H
#define PROVENV_CMDS_SHOW_H

#include "base/json.h"
#include "cmds/cmd.h"

/* Check the session's profile and print the verdict as @word; NEGATIVE when something is wrong. */
enum status print_check(struct invocation *inv, struct session *session, const char *word,
			struct error *err);

/*
 * A payload as a JSON object, fields in schema order; hashes in hex, sealed values as
 * {"sealed": commitment}, never opened.
 */
void json_payload(struct json *json, const struct payload *payload);

/* A payload in a few words for one line: "development/default A B", "production". */
void payload_summary(struct buf *out, const struct payload *payload);

#endif
