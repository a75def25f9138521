/* The soak on the loopback rig: the same kind of seeds by real clocks, with a server
 * process, real sockets and emulated modems, through the runner, which also keeps what
 * failed. A failure here is lifted to the virtual rig by `quicrig replay --lift`. */
#include "hil/run/soak_internal.h"

#include <signal.h>
#include <stdlib.h>

#include "hil/judge/verdict.h"
#include "hil/run/runner.h"

#define RIG "loopback"

static void judged(void *ctx, json_t *plan, const struct scenario_result *result, const struct rss_track *rss)
{
	struct soak *s = ctx;

	for (size_t i = 0; i < s->o->regressions_n; i++)
		if (s->o->regressions[i] == plan) {
			soak_regression(s, plan, result);
			return;
		}
	soak_seed_result(s, plan, &(struct soak_seen){.result = result, .rss = rss, .hash = ""});
}

int soak_live(struct soak *s, struct err *e)
{
	const struct soak_options *o = s->o;
	size_t n = o->regressions_n + o->seeds;
	json_t **plans = calloc(n, sizeof(*plans));
	struct run_options ro = {.rig = RIG,
				 .out = s->dir,
				 .jobs = o->jobs,
				 .require_coverage = -1,
				 .wall_s = o->wall_s,
				 .judged = judged,
				 .ctx = s};
	int rv = plans ? 0 : err_set(e, ERR_NOMEM, "out of memory"), code;

	for (size_t i = 0; !rv && i < n; i++) {
		plans[i] = i < o->regressions_n ? json_incref(o->regressions[i])
						: soak_plan(o, soak_seed(o->seed, s->begun++), NULL, e);
		rv = plans[i] ? 0 : e->code;
	}
	if (!rv) {
		code = runner_run(plans, n, &ro);
		s->signal_number = code == EXIT_INTERRUPTED ? SIGINT : code == EXIT_TERMINATED ? SIGTERM : 0;
		if (s->signal_number || (o->wall_s > 0 && s->ended < o->seeds))
			rv = ERR_CLOSED;
		else if (code == EXIT_ENVIRONMENT)
			rv = err_set(e, ERR_ENVIRONMENT, "the loopback rig failed (see above)");
	}
	for (size_t i = 0; plans && i < n; i++)
		json_decref(plans[i]);
	free(plans);
	return rv;
}
