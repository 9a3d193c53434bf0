/*
 * The shape of a catalogue file: its sections and their members, for reading and for writing.
 */
#ifndef PROVENV_OPS_CATALOGUE_TABLE_H
#define PROVENV_OPS_CATALOGUE_TABLE_H

#include <stddef.h>

#include "store/event.h"

enum { CATALOGUE_FIELDS_MAX = 16 }; /* of a section */

/* Members in the order in which they are written. The first one tells the entries apart. */
struct catalogue_section {
	const char *name;
	enum event_type type;
	size_t field_count;
	enum event_field fields[CATALOGUE_FIELDS_MAX];
};

extern const struct catalogue_section catalogue_categories;
extern const struct catalogue_section catalogue_environments;
extern const struct catalogue_section catalogue_databases;
extern const struct catalogue_section catalogue_variables;

/* What the member for @field is called: as the field, but a category's flag "planned" is one of the
 * two words of "status". */
const char *catalogue_member(enum event_field field);

#endif
