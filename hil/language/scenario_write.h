/* A resolved plan back to the scenario file that a person would have written: defaults
 * left out, units put back, one line a fault, a step, an expectation. Made from the same
 * vocabulary that the reader is. */
#ifndef HIL_LANGUAGE_SCENARIO_WRITE_H
#define HIL_LANGUAGE_SCENARIO_WRITE_H

#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"

#define SCENARIO_TEXT_MAX ((size_t)4 << 20)

/* Appends one scenario as a whole file. `comment` (NULL: none) stands above it, its lines
 * each behind "# ". What is written was read back: it gives the same plan but for places
 * and names of files. 0, ERR_UNSUPPORTED (`e` names the member that the language cannot
 * say), ERR_PARSE (no plan), ERR_LIMIT, ERR_NOMEM. */
int scenario_write(json_t *plan, const char *comment, struct buf *out, struct err *e);

#endif
