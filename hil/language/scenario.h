/* Scenario files to resolved plans (docs/plan.md). */
#ifndef HIL_LANGUAGE_SCENARIO_H
#define HIL_LANGUAGE_SCENARIO_H

#include <jansson.h>

#include "core/err.h"
#include "core/time.h"
#include "hil/language/diag.h"

#define SCENARIO_SEED       "0x5eed"
#define SCENARIO_TIMEOUT_NS (30 * NS_PER_S)
#define SCENARIO_FILES_MAX  10000
#define SCENARIO_DIRS_MAX   16 /* deep */

/* Zero-initialise; plans_fini frees. */
struct plans {
	json_t **v; /* owned references, in order of files and of the scenarios in them */
	size_t n, cap;
	json_t *ids; /* id → "file:line" of those that were read, good or not */
};

void plans_fini(struct plans *p);

/* Reads a file, or a folder's *.yaml (recursively, sorted; not `bad` and what begins with
 * a dot), behind what `out` holds already. 0, or ERR_* where there was an error: all are
 * in `ds`, and `out` has the scenarios without one. Warnings fail nothing. */
int scenario_load(const char *path, struct diags *ds, struct plans *out);
/* One file's text; `src->name` stands in the plans' places. */
int scenario_parse(const struct source *src, struct diags *ds, struct plans *out);

#endif
