/* What the verbs' option readers share: the one way to refuse, whole numbers, scenarios. */
#ifndef HIL_OPTIONS_H
#define HIL_OPTIONS_H

#include <stdint.h>

#include "hil/language/scenario.h"

/* "quicrig VERB: error: …" on stderr; `fmt` takes `value`. EXIT_BAD_INPUT. */
int option_bad(const char *verb, const char *fmt, const char *value);
/* A whole number, decimal or 0x…, in low…high; nothing may stand behind it. 0 or -1. */
int option_number(const char *text, uint64_t low, uint64_t high, uint64_t *out);
/* All scenarios of `n` files and folders; all errors of all files at once on stderr, and
 * then nothing is to be run. An exit code of contracts.md. */
int option_scenarios(char *const *paths, int n, struct plans *plans);

#endif
