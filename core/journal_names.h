/* The journal's two tables by name and number; for the modules that write and read its
 * lines, nobody else includes it. */
#ifndef CORE_JOURNAL_NAMES_H
#define CORE_JOURNAL_NAMES_H

#include "core/journal.h"

struct journal_field_name {
	const char *name;
	const char *before; /* what stands before its value in a line: ,"name": */
	unsigned before_len;
	bool text;
};
extern const struct journal_field_name journal_fields[JF_END];

struct journal_kind_name {
	const char *name, *fields;
};
extern const struct journal_kind_name journal_kinds[J_END];

/* By the name's `len` bytes; -1 where unknown. */
int journal_kind_find(const char *name, size_t len);
int journal_field_find(const char *name, size_t len);
/* May an event of this kind have this field? */
bool journal_kind_has(enum journal_kind k, enum journal_field f);

/* journal_parse for a line that stands as journal_format writes it, plain ASCII without
 * an escape: 0 or ERR_NOMEM. ERR_NOTFOUND for any other line, good or bad: whoever asked
 * goes the long way, over a JSON parser, which has the words for what is wrong. */
int journal_scan(const char *line, size_t len, struct journal_record *out);

#endif
