/* The runner: takes selected plans through one rig, judges each from its journal, and
 * leaves the reports. Everything it knows of a scenario it has from the journal. */
#ifndef HIL_RUN_RUNNER_H
#define HIL_RUN_RUNNER_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/language/rigfile.h"
#include "hil/run/rss.h"
#include "reports/parity.h"
#include "reports/result.h"

struct run_options {
	const char *rig;  /* virtual, loopback, or a rig file's path */
	const struct rigfile *file; /* of that path; NULL: built-in */
	const char *seed; /* text as given; NULL: each scenario's own */
	const char *out;  /* folder of runs; "out" */
	unsigned jobs;	  /* 0: the rig's own number */
	unsigned keep;	  /* runs to keep in `out`; 0: all */
	bool allow_unjudged;
	bool keep_all;		 /* a folder to replay also of what passed */
	bool hashes;		 /* print each journal's SHA-256 */
	double require_coverage; /* per cent of rows, and of cells; < 0: not asked for */
	bool coverage;		 /* print which scenario took which row, and the cells */
	const char *suggest;	 /* a file for scenarios of rows that nothing took; NULL: none */
	const char *libgammu_debug;
	double wall_s; /* of the whole run; 0: none */
	/* Takes the results in, as those of rig `side` (0, 1); behind the second they are
	 * compared, told and reported. Borrowed; NULL: nothing is compared. */
	struct parity *parity;
	unsigned side;
	/* Told of each scenario's result as it comes, `rss` being its server's memory (may
	 * be empty). Borrowed; may be NULL. */
	void (*judged)(void *ctx, json_t *plan, const struct scenario_result *s, const struct rss_track *rss);
	void *ctx;
};

/* `plans` are resolved; they may be changed (seed). Returns an exit code of
 * contracts.md; whatever happens, the reports are written if that is possible. */
int runner_run(json_t **plans, size_t n, const struct run_options *o);

#endif
