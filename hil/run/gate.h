/* What a whole run's coverage is held to (`quicrig run --coverage`, `--require-coverage`,
 * `--suggest-missing`). */
#ifndef HIL_RUN_GATE_H
#define HIL_RUN_GATE_H

#include "hil/run/runner.h"
#include "reports/console.h"

/* Prints and writes what was asked for; returns an exit code of contracts.md. */
int gate(const struct run_options *o, const struct run_result *r, struct console *console);

#endif
