/* What a run leaves on disk: out/<time>-<seed>/ with the reports, the journal, and a
 * folder a scenario that is kept; out/latest points there. And the run's private
 * folder (keys, sockets, databases; 0700) outside of it, removed at the end. */
#ifndef HIL_RUN_FOLDER_H
#define HIL_RUN_FOLDER_H

#include "core/err.h"
#include "hil/run/recording.h"
#include "reports/result.h"

struct folder;

struct folder *folder_open(const char *out, const char *seed, struct err *e);
void folder_free(struct folder *a); /* removes the private folder */
const char *folder_dir(const struct folder *a);
const char *folder_latest(const struct folder *a); /* out/latest */
/* What is printed and reported of it is its own name, not out/latest. */
void folder_by_name(struct folder *a);
const char *folder_private(const struct folder *a);
/* What is kept of a scenario besides its verdict. */
enum folder_what {
	FOLDER_FAILED,  /* what did not pass: its folder; the journals of others while they are short */
	FOLDER_JOURNAL, /* every journal, too */
	FOLDER_ALL,     /* every folder, so that what passed can be replayed as well */
};
/* Keeps what is to be kept of one scenario, the `place`-th of the run from 0; sets
 * s->folder where it has one. Errors are remembered for folder_close. */
void folder_keep(struct folder *a, const struct recording *r, size_t place, struct scenario_result *s,
		 enum folder_what what);
/* Journal lines of no scenario (modem states). */
void folder_line(struct folder *a, const char *line, size_t len);
/* Puts journal.jsonl in order (what belongs to no scenario, then each scenario by its
 * place, whenever it ended), and points out/latest here. 0 or the first error of all that was written. */
int folder_close(struct folder *a, struct err *e);

#endif
