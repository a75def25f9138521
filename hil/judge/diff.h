/* Where two journals first part: event by event, every member counts. */
#ifndef HIL_JUDGE_DIFF_H
#define HIL_JUDGE_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/journal.h"

#define DIFF_CONTEXT 4 /* events shown before the first that differs */

/* A journal that is in memory, whoever's it is. */
struct diff_side {
	const char *name; /* "recorded", "now" */
	size_t n;
	const struct journal_event *(*at)(const void *ctx, size_t i);
	const void *ctx;
};

struct diff {
	bool alike;
	bool ends;	/* they part because one of them ends there */
	size_t at;	/* index of the first event that differs */
	char members[160]; /* names of what differs in it: "row, to"; "" where one side has none */
};

void diff_find(const struct diff_side *a, const struct diff_side *b, struct diff *out);
/* Names of the members in which two events differ, in the journal's order; how many. */
unsigned diff_members(const struct journal_event *a, const struct journal_event *b, char *out, size_t size);
/* The first difference for people: the context, then both sides. 0 or ERR_NOMEM, ERR_LIMIT. */
int diff_text(const struct diff *d, const struct diff_side *a, const struct diff_side *b, struct buf *out);
/* One event as one line without its end: "+1.004000000 s  A[1]  device.state  from=… to=…",
 * its time counted from `zero`. */
int diff_event_text(const struct journal_event *ev, time_ns zero, struct buf *out);

#endif
