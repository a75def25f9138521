/* From a journal to a verdict: the one way in which run, soak, shrink and replay have a
 * scenario judged. Takes events as they come; memory grows with devices, not with events. */
#ifndef HIL_RUN_JUDGING_H
#define HIL_RUN_JUDGING_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "core/err.h"
#include "core/journal.h"
#include "hil/run/job.h"
#include "reports/result.h"

struct judging;

/* `plan` is borrowed until judging_free. `today` ("YYYY-MM-DD") is for xfail's expiry.
 * NULL and `e` where the plan cannot be judged or without memory. */
struct judging *judging_new(json_t *plan, bool allow_unjudged, const char *today, struct err *e);
void judging_free(struct judging *j);
/* One event; `line` is its text as written (journal_format), without or with '\n'. */
void judging_event(struct judging *j, const struct journal_event *ev, const char *line, size_t len);
/* A server of the rig's own ended as it should not have; `why` as in struct job, borrowed. */
void judging_server_died(struct judging *j, const char *why);
/* Everything was seen: fills `out` but for the runner's own fields. `end` and
 * `harness` as in struct job. Once. */
void judging_finish(struct judging *j, const char *end, const char *harness, struct scenario_result *out);
/* oracle_lives: before judging_finish. */
json_t *judging_lives(const struct judging *j);
size_t judging_events(const struct judging *j);
/* Lower-case hex SHA-256 of all lines: the same as tape_sha256 of the same events. */
void judging_sha256(struct judging *j, char out[65]);

/* A job whose tape is complete. Never fails: what cannot be judged is INCONCLUSIVE. */
void judge_job(const struct job *job, bool allow_unjudged, const char *today, struct scenario_result *out);
/* The same of a control (hil/run/control.h): what it showed is put into `plan`. 0 or ERR_NOMEM. */
int judge_control(const struct job *job, const char *today, json_t *plan);

#endif
