/* The folder of one scenario that was kept: what happened, and all that is needed to make
 * it happen again. plan.json (docs/plan.md), journal.jsonl (docs/journal.md), and
 * recorded.json: what else is known of the run. One module writes and reads it. */
#ifndef HIL_RUN_RECORDING_H
#define HIL_RUN_RECORDING_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/run/tape.h"
#include "reports/result.h"

#define RECORDING_VERSION 1

struct recording {
	char *dir;	    /* as given */
	json_t *plan;	    /* owned, as before its run */
	struct tape *tape;  /* owned */
	const char *id;	    /* suite/name; the plan's */
	char *rig;	    /* virtual, loopback, or a rig file's path */
	char *build;	    /* recording_build */
	char *end;	    /* struct job's: "settled", or why it ended otherwise */
	char *harness;	    /* "" or what the rig itself failed at */
	char *sha256;	    /* of journal.jsonl when it was written */
	enum verdict verdict;
	bool virtual_time;  /* replays from its seed */
	bool allow_unjudged;
};

/* Reads a folder. `out` is filled as far as it went; recording_fini in any case. 0, ERR_NOTFOUND
 * (no such folder, no plan, no journal), ERR_PARSE (a file that is not what it should be, with
 * its line), ERR_UNSUPPORTED (of another version), ERR_NOMEM; `e` says what to do. */
int recording_open(const char *dir, struct recording *out, struct err *e);
void recording_fini(struct recording *r);
/* Writes the three files into `dir`, which exists. Strings that are NULL read as "". */
int recording_write(const char *dir, const struct recording *r, struct err *e);

/* What produces a journal: the version, and the first 12 hex of the SHA-256 of the program
 * (`quicrig-virtual` for the virtual rig, else this one). Good for the process's life. */
const char *recording_build(bool virtual_rig);

#endif
