/* What a fault of the carrier's own makes of one message. */
#ifndef SIM_CARRIER_FATE_H
#define SIM_CARRIER_FATE_H

#include "core/fault.h"
#include "core/time.h"

#define CARRIER_COPIES_MAX 100

struct fate {
	const char *lost;
	time_ns delay, apart;
	int64_t copies; /* besides the first */
	bool overtaken;
	char *text, *from; /* NULL: as they were; owned */
};

/* Is it one that acts on the message, rather than on a modem? `f` may be NULL. */
bool fate_is(const struct fault *f);
/* Fills `*fate` (zeroed) from it. */
void fate_judge(const struct fault *f, const char *text, struct fate *fate);
void fate_fini(struct fate *fate);
/* A number of the fault's arguments; `absent` where it has none, or one below 0. */
int64_t fate_arg(const struct fault *f, const char *key, int64_t absent);

#endif
