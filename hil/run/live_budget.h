/* Where the SMS that real SIMs have sent are counted, from one run to the next. */
#ifndef HIL_RUN_LIVE_BUDGET_H
#define HIL_RUN_LIVE_BUDGET_H

#include <stddef.h>

#include "core/err.h"
#include "hil/modems/modem_spec.h"

/* Fills `out` with $XDG_STATE_HOME/quicrig/sms-budget.json (else ~/.local/state/…) and
 * makes its folders; "" where no modem has a limit a day or a month. A SIM is known by
 * its number, so every rig file of this user counts in the one file. Returns 0,
 * ERR_ENVIRONMENT (no home), ERR_LIMIT, ERR_IO. */
int live_budget_path(const struct modem_spec *modems, size_t n, char *out, size_t size, struct err *e);

#endif
