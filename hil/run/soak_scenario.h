/* What a soak runs: from a seed, one scenario file's text with a mixed fleet, a schedule
 * of faults, and what must hold at the end. A scenario like any other: it can be read,
 * checked, run, replayed and shrunk by whoever is handed the file. No I/O. */
#ifndef HIL_RUN_SOAK_SCENARIO_H
#define HIL_RUN_SOAK_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/time.h"

#define SOAK_SUITE	 "soak"
#define SOAK_DEVICES_MIN 8
#define SOAK_DEVICES_MAX 100000
#define SOAK_LENGTH_MIN	 (60 * NS_PER_S)
#define SOAK_TEXT_MAX	 (64 * 1024)

struct soak_shape {
	uint64_t seed;
	unsigned devices; /* SOAK_DEVICES_MIN … SOAK_DEVICES_MAX */
	time_ns length;	  /* of the rig's time; SOAK_LENGTH_MIN at least */
	bool live;	  /* real clocks: no `network`, and pauses that people can wait for */
};

/* Appends the file. The same shape gives the same text; each kind of fault draws from a
 * stream of its own, so that a new kind leaves the others' draws as they were. 0,
 * ERR_LIMIT, ERR_NOMEM. */
int soak_scenario(const struct soak_shape *shape, struct buf *out);
/* "s-0x5eed": the scenario's name. */
void soak_name(uint64_t seed, char out[32]);

#endif
