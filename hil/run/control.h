/* Control runs: a scenario once more without its faults, from the same seed and as long,
 * so that `others: {same_as: control}` has something to be held against. The control's
 * lives stand in the judged plan as its member `control`, and with it in every recording:
 * a replay needs no control of its own. */
#ifndef HIL_RUN_CONTROL_H
#define HIL_RUN_CONTROL_H

#include <stdbool.h>
#include <jansson.h>

#include "core/time.h"
#include "reports/result.h"

/* Does the plan ask for a control that it does not have yet? */
bool control_wanted(json_t *plan);
/* The plan of the control of a run that took `ns` by the rig's clock; a new reference, NULL
 * without memory. */
json_t *control_plan(json_t *plan, time_ns ns);
/* Puts into `plan` what the control showed: `lives` (oracle_lives; taken), or, where its own
 * verdict is no PASS, why nothing can be held against it. 0 or ERR_NOMEM. */
int control_take(json_t *plan, const struct scenario_result *control, json_t *lives);

#endif
