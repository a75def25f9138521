/* A recorded device's inputs fed to today's state machine (sim/device.h), without any rig:
 * no network, no server, no clock but the recording's.
 *
 * The journal holds no secrets, so inputs are made anew from what it does hold. Power,
 * timers and lost links are as their rows say; an SMS is one that fits, or not, for the
 * reason that was given; a reply has the code, the retryAfter and the fate that were
 * recorded. Codes, tokens and signatures are the replay's own: as good or as bad as the
 * device found them. Compared are states, rows, codes and waits (the backoff's draws are
 * the seed's), requests, codes used, what was ignored and why, and whether registrations
 * and measures changed where they did. */
#ifndef HIL_RUN_OFFLINE_H
#define HIL_RUN_OFFLINE_H

#include <stdbool.h>
#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"
#include "hil/run/replay.h"
#include "hil/run/tape.h"

struct offline;

struct offline_options {
	time_ns late; /* how late a timer may have been served: 0 on a virtual clock */
	bool cut;     /* the recording ends in the middle */
};

/* `plan` and `tape` are borrowed until offline_free. NULL and `e` where the plan is none. */
struct offline *offline_new(json_t *plan, const struct tape *tape, const struct offline_options *o, struct err *e);
void offline_free(struct offline *o);

struct offline_result {
	bool alike;
	unsigned inputs, transitions, requests;
	unsigned assumed; /* inputs with a value that the journal does not hold */
};
/* One device of the tape. Where it differs, what it was at and both sides are appended to
 * `text`. 0, or ERR_* and `e`: this device cannot be looked at. */
int offline_device(struct offline *o, const struct replay_device *d, struct offline_result *out, struct buf *text,
		   struct err *e);

/* All devices, or the one; prints, returns an exit code. */
int replay_offline(const struct recording *r, const struct replay_device *only);

#endif
