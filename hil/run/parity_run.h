/* The same scenarios on two rigs, one behind the other, and whether they agree. */
#ifndef HIL_RUN_PARITY_RUN_H
#define HIL_RUN_PARITY_RUN_H

#include "hil/run/runner.h"

/* Runs what both `o`'s rig and the other one (`other_file` where it is a rig file) can
 * serve, first on `o`'s. Each run leaves its own folder; the second one's report holds the
 * comparison. `o->wall_s` limits both together. Plans as for runner_run, whose exit codes
 * it returns, merged; and EXIT_FAILED where the rigs differ, EXIT_INCONCLUSIVE where one
 * of them could not judge, EXIT_NOTHING where no scenario is for both. */
int parity_run(json_t **plans, size_t n, const struct run_options *o, const char *other,
	       const struct rigfile *other_file);

#endif
