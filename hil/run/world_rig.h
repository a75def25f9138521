/* The virtual rig's inside: one plan, its fleet, its server, its carrier, on one
 * virtual world. Same plan, same journal, byte for byte. */
#ifndef HIL_RUN_WORLD_RIG_H
#define HIL_RUN_WORLD_RIG_H

#include <jansson.h>

#include "core/err.h"
#include "core/journal.h"

/* Runs to the scenario's end. The last line is scenario.end. 0, or ERR_* where the
 * rig itself failed (a bad plan, out of memory). */
int world_rig_run(json_t *plan, journal_sink *sink, void *ctx, struct err *e);

#endif
