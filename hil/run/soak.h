/* The soak: many seeds of a mixed fleet's life under faults on the virtual rig, judged
 * by the oracle all the time; failures told apart by signature into new, known and fixed;
 * each new one left as a folder that replays and a small scenario that still fails. */
#ifndef HIL_RUN_SOAK_H
#define HIL_RUN_SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "core/err.h"
#include "core/time.h"

/* A kept journal stands in memory until it is written: some 400 bytes an event. */
#define SOAK_RECORD_MAX 4000000

struct soak_options {
	uint64_t seed; /* the first; the others follow from it */
	unsigned seeds, devices;
	time_ns length; /* of each, by the virtual clock */
	bool live;	/* on the loopback rig, by real clocks: nothing is recorded twice or shrunk */
	unsigned jobs;	/* 0: the rig's own number */
	double wall_s;	/* of the whole, with regressions and shrinking; 0: none */
	uint64_t record_max; /* events of a journal that is kept; 0: SOAK_RECORD_MAX */
	const char *out;
	const char *program; /* NULL: quicrig-virtual; for tests and the canary */
	const char *plant;   /* a planted bug's name for `program`; NULL: none */
	bool shrink;
	double shrink_s; /* for each new failure */
	/* What the canary came to, for the report; NULL: there was none. */
	const char *canary;
	/* Regressions: scenarios run first. Those with an xfail are the known failures; one
	 * that passes is fixed. They may be changed. */
	json_t **regressions;
	size_t regressions_n;
};

/* Runs and reports; an exit code of contracts.md. Whatever happens, what was found up to
 * then is reported. */
int soak_run(const struct soak_options *o);

/* The canary: does a soak like this one find a planted bug (`o->plant`, in `o->program`)
 * within `o->seeds` seeds? `*found_after` is how many it took (0: it did not). 0, ERR_CLOSED
 * (`*signal_number` says by what; 0: over `o->wall_s`) or another ERR_*. */
int soak_canary(const struct soak_options *o, unsigned *found_after, int *signal_number, struct err *e);

/* The i-th seed of a soak. */
uint64_t soak_seed(uint64_t first, unsigned i);

#endif
