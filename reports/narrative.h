/* The life of one device told for people, from its journal alone: what it did, what it
 * was told, and what server and carrier say of it. */
#ifndef REPORTS_NARRATIVE_H
#define REPORTS_NARRATIVE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/journal.h"

/* Does the story of the device `uuid` have this event? Its own, those of others that name
 * it, and what befalls everybody (the server's ups and downs, the scenario's end). */
bool narrative_has(const struct journal_event *ev, const char *uuid);
/* One event as one line with its end, its time counted from `zero`; nothing for what only
 * machines read (counts of datagrams, …). 0 or ERR_NOMEM, ERR_LIMIT. */
int narrative_line(const struct journal_event *ev, time_ns zero, struct buf *out);

#endif
