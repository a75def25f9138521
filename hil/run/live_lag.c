#include "hil/run/live.h"

#define LAG_TOLD_MIN (20 * NS_PER_MS) /* less matters to nobody */

/* How late the runner itself was: a device that was served late proves nothing. The lag
 * is the loop's, so it counts for every scenario that ran by then. */
void live_lag_note(struct live_job *j)
{
	time_ns lag = live_loop_take_lag(j->rig->o.live);

	for (struct live_job *k = j->rig->jobs; k; k = k->next)
		if (lag > k->lag)
			k->lag = lag;
	/* told as it is seen: what it may explain comes behind it */
	if (j->phase != LIVE_RUNNING || j->lag < LAG_TOLD_MIN || j->lag <= j->lag_told)
		return;
	j->lag_told = j->lag;
	JOURNAL(j->journal, live_loop_now(j->rig->o.live)->now, "runner", NULL, NULL, NULL, J_HARNESS_LAG, JI(LAG_NS, j->lag), JS(WHY, "loop"));
}
