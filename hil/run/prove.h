/* Does the library of scenarios bite? Each planted bug (core/plant.h, in quicrig-prove)
 * is run against those scenarios that come to its place at all, on the virtual rig, the
 * smallest first, until one fails and blames somebody; then the product itself, which must
 * be green. */
#ifndef HIL_RUN_PROVE_H
#define HIL_RUN_PROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <jansson.h>

#include "core/err.h"
#include "reports/result.h"

#define PROVE_PROGRAM "quicrig-prove"

struct prove_bug {
	char *name, *what;
	char *beyond; /* why no scenario can show it; NULL: one must */
	enum blame blame;
	bool wanted;
	bool canary; /* the one that a soak must find */
	/* filled by prove_run */
	bool caught, running;
	char *by, *how;	   /* the scenario's id, the failure's signature */
	enum blame blamed; /* by the judge */
	bool *reach;	   /* of each plan: does it come to the bug's place? */
	size_t next;	   /* plans tried or passed by */
};

struct prove {
	struct prove_bug *bugs;
	size_t bugs_n;
	json_t **plans; /* sorted, the smallest first; references of its own */
	size_t plans_n;
	unsigned jobs;
	FILE *out;
	/* filled by prove_run */
	unsigned caught, missed, beyond, blamed_right;
	unsigned green, red; /* scenarios of the unplanted product */
};

/* Asks quicrig-prove for its bugs, all of them wanted. 0, ERR_ENVIRONMENT, ERR_NOMEM. */
int prove_open(struct prove *p, struct err *e);
void prove_fini(struct prove *p);
/* Only the bugs that were named. ERR_NOTFOUND with the names that there are. */
int prove_want(struct prove *p, const char *const *names, size_t n, struct err *e);
/* Takes the plans that the virtual rig serves and that are expected to pass. */
int prove_plans(struct prove *p, json_t *const *plans, size_t n, struct err *e);
/* Runs all and prints the table. 0; ERR_CLOSED: interrupted (`*signal_number`); else `e`. */
int prove_run(struct prove *p, int *signal_number, struct err *e);

#endif
