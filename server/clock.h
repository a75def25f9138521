/* The clock guard (protocol.md §4, Clock). */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include "server/enroll.h"

#define CLOCK_SLACK_MS INT64_C(60000) /* that the clock may be behind the last issue */
#define CLOCK_STEP_MS  INT64_C(1000)  /* the record is as fine as this */

struct enroll_call;

/* Reads the record; also after a decision was undone. */
int clock_load(struct enroll *en);
/* Something was issued at `unix_ms`: goes on record. Within a decision. */
int clock_issued(struct enroll *en, int64_t unix_ms);
/* More than 60 s behind the record? */
bool clock_behind(const struct enroll *en, int64_t unix_ms);
/* Decides 503 where the resource issues something and the clock is behind. */
bool clock_refuses(struct enroll_call *c);
/* An operator says that the clock is right as it is: durable with the next commit. ERR_IO. */
int clock_accept(struct enroll *en, const struct instant *at);

#endif
