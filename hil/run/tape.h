/* The journal of one scenario as the runner collects it from every process: kept in
 * memory, put in order by time, read by the judge, written to disk. Where two events
 * have one time, the order in which they came here counts: one loop turn of one process
 * has many actors, and what one of them caused stands behind it. */
#ifndef HIL_RUN_TAPE_H
#define HIL_RUN_TAPE_H

#include <stdio.h>

#include "core/err.h"
#include "core/journal.h"

struct tape;

struct tape *tape_new(void);
void tape_free(struct tape *t);
/* One line without its '\n'; copied. ERR_PARSE where it is no event. Names the scenario
 * `id` (may be NULL) in events that name none. */
int tape_line(struct tape *t, const char *line, size_t len, struct err *e);
/* Takes the record over; where it fails the record is still the caller's. */
int tape_record(struct tape *t, const struct journal_record *rec);
int tape_event(struct tape *t, const struct journal_event *ev);
size_t tape_count(const struct tape *t);
/* Sorts by (t, order of arrival). */
void tape_sort(struct tape *t);
const struct journal_event *tape_at(const struct tape *t, size_t i);
/* Writes every event as one JSON line. 0 or ERR_IO. */
int tape_write(const struct tape *t, FILE *f);
/* Lower-case hex SHA-256 of what tape_write writes. */
void tape_sha256(const struct tape *t, char out[65]);

/* From its first event to its scenario.end, or its last event where it has none. */
time_ns tape_span(const struct tape *t);

#endif
