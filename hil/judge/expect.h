/* The plan's `expect` and `thresholds` (docs/plan.md), held against what the oracle
 * saw. Parts that need every event are fed as they come; the rest is judged at the end. */
#ifndef HIL_JUDGE_EXPECT_H
#define HIL_JUDGE_EXPECT_H

#include <jansson.h>

#include "core/journal.h"
#include "reports/result.h"

struct dev;
struct who;
struct oracle;
struct expects;

#define EXPECT_PATH_MAX 62 /* states of one path */

/* NULL and `e` where a member is not as docs/plan.md has it. */
struct expects *expects_new(json_t *plan, struct err *e);
void expects_free(struct expects *x);

/* The `who` of the k-th expectation; NULL behind the last. */
struct who *expects_who(struct expects *x, size_t k);
/* How many position masks a device needs, and their start. */
size_t expects_paths(const struct expects *x);
void expects_path_start(const struct expects *x, uint64_t *masks);
/* A device entered `to` (OFF and repeats are left out by the caller). */
void expects_path_step(const struct expects *x, uint64_t *masks, enum state_name to);

/* Counts the event where a `counts` or `seen` wants it; `d` may be NULL. */
void expects_event(struct expects *x, const struct oracle *o, struct dev *d, const struct journal_event *ev);
/* A token family came into being. */
void expects_family(struct expects *x, const struct dev *d);

/* Is `d` at its end in a state that a `final` about it names? Then it need not have settled. */
bool expects_final(const struct expects *x, const struct dev *d);

/* Adds one check an expectation and a threshold to `out`. 0 or ERR_NOMEM. */
int expects_judge(struct expects *x, const struct oracle *o, time_ns end, struct scenario_result *out);

/* Reads a plan's place; absent members give "" and 0. 0 or ERR_NOMEM. */
int place_parse(json_t *j, struct place *out);

/* Path matching by itself, for tests: does `pattern` ("..." among long state names)
 * match the whole of `states`? ERR_PARSE where the pattern is none. */
int path_matches(json_t *pattern, const enum state_name *states, size_t n);

#endif
