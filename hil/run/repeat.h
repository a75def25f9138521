/* `repeat` of a scenario: many runs with seeds of their own, one result. */
#ifndef HIL_RUN_REPEAT_H
#define HIL_RUN_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/judge/verdict.h"
#include "reports/result.h"

/* The units of a run: each plan, or each of its runs as a plan of its own, "suite/name.run7",
 * whose seed follows from that id. */
struct repeats;

/* `once` says of a plan that it is not repeated here (it will be skipped). The units are
 * copies, which the runner may change. `verdict` (its `today` is borrowed) is for the results of
 * many. NULL without memory. */
struct repeats *repeats_new(json_t *const *plans, size_t n, bool (*once)(void *ctx, json_t *plan), void *ctx,
			    const struct verdict_options *verdict);
void repeats_free(struct repeats *r);
size_t repeats_n(const struct repeats *r);
json_t **repeats_units(struct repeats *r); /* repeats_n of them; borrowed */

/* Unit `i` has ended with `s`, a scenario of `all`. Returns what is to be told: `s` itself;
 * NULL while other runs of the same scenario are still out; behind the last of them their one
 * result, which then stands in `all` instead of theirs. Without memory `s`. */
struct scenario_result *repeats_ended(struct repeats *r, size_t i, struct run_result *all, struct scenario_result *s);

#endif
