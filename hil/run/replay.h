/* `quicrig replay`: a recorded scenario once more, in one of several ways. Each prints to
 * standard output what it found and returns an exit code of contracts.md: 0 alike,
 * 1 different, 5 where nothing can be said; errors go to standard error. */
#ifndef HIL_RUN_REPLAY_H
#define HIL_RUN_REPLAY_H

#include "core/err.h"
#include "hil/run/recording.h"

/* The device that `who` names (uuid, label such as A[3]); borrowed from the recording.
 * NULL and `e` (ERR_NOTFOUND, with those that there are). `who` NULL: the first one. */
struct replay_device {
	const char *uuid, *label;
};
int replay_find_device(const struct recording *r, const char *who, struct replay_device *out, struct err *e);

/* Prints one device's life. */
void replay_story(const struct recording *r, const struct replay_device *d);
/* Runs the plan again on the virtual rig and holds the two journals against each other. */
int replay_again(const struct recording *r);

#endif
