/* From a recording of a live rig to a plan for the virtual one: what chance, modems and
 * networks did becomes faults at exactly the events that they befell. Reads plan and
 * journal, nothing else.
 *
 * The scenario's own faults stay as they are, those of chance excepted: each firing is
 * pinned to its device and event. Added are SMS that came late (a second and more), never,
 * or more than once, what modems refused to send, replies that did not come, links that
 * broke, and a server that died by itself. */
#ifndef HIL_RUN_LIFT_H
#define HIL_RUN_LIFT_H

#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"
#include "hil/run/recording.h"

#define LIFT_LATE_NS  NS_PER_S /* an SMS that took less is as good as at once */
#define LIFT_NOTES_MAX (64 * 1024)

struct lifted {
	json_t *plan;	/* owned */
	struct buf notes; /* a line each for what was pinned or added, and for what could not be */
	unsigned notes_more;	 /* that there was no room for */
	unsigned own, added; /* faults */
};

/* 0 or ERR_*; lifted_fini in any case. */
int lift(const struct recording *r, struct lifted *out, struct err *e);
void lifted_fini(struct lifted *l);

/* `quicrig replay --lift`: writes the scenario into `path` (NULL: lifted.yaml in the
 * recording's folder), runs it, and says whether it fails as it did. An exit code. */
int replay_lift(const struct recording *r, const char *path);

#endif
