/* What a run leaves on disk: out/<time>-<seed>/ with the reports, the journal, and a
 * folder a scenario that is kept; out/latest points there. And the run's private
 * folder (keys, sockets, databases; 0700) outside of it, removed at the end. */
#ifndef HIL_RUN_FOLDER_H
#define HIL_RUN_FOLDER_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/run/tape.h"
#include "reports/result.h"

struct folder;

struct folder *folder_open(const char *out, const char *seed, struct err *e);
void folder_free(struct folder *a); /* removes the private folder */
const char *folder_dir(const struct folder *a);
const char *folder_latest(const struct folder *a); /* out/latest */
const char *folder_private(const struct folder *a);
/* Keeps what is to be kept of one scenario: `all`, or because it did not pass. Sets
 * s->folder. Errors are remembered for folder_close. */
void folder_keep(struct folder *a, json_t *plan, const struct tape *tape, struct scenario_result *s,
		 bool all);
/* Journal lines of no scenario (modem states). */
void folder_line(struct folder *a, const char *line, size_t len);
/* Points out/latest here. 0 or the first error of all that was written. */
int folder_close(struct folder *a, struct err *e);

#endif
