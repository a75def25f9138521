/* Scripts: what `quicrig serve --lab --script FILE` answers instead of its own, for people
 * who test a device's firmware without a scenario. */
#ifndef HIL_LANGUAGE_SCRIPT_H
#define HIL_LANGUAGE_SCRIPT_H

#include <jansson.h>

#include "hil/language/diag.h"

/* The script as a list of faults (core/fault.h), in the file's order; times count from when
 * they are armed. NULL: all that is wrong is told in `ds`. */
json_t *script_load(const char *path, struct diags *ds);
json_t *script_parse(const struct source *src, struct diags *ds);

#endif
