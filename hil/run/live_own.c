/* The modems of one scenario alone: it breaks them, limits them, or has a carrier that
 * the others have not. Whatever they say belongs to it. */
#include "hil/run/live.h"

#include <stdio.h>
#include <sys/stat.h>

#include "hil/run/plan.h"

static void own_ready(void *ctx, bool ok, const char *why)
{
	struct live_job *j = ctx;
	struct err e = {0};

	if (j->phase != LIVE_STARTING)
		return;
	if (!ok)
		live_job_fail(j, "%s", why ? why : "its modems did not come up");
	else if (live_server_start(j, &e))
		live_job_fail(j, "%.250s", e.text);
	else
		live_job_modems_ready(j);
}

static void own_gone(void *ctx, const char *why)
{
	live_job_fail(ctx, "%s", why);
}

static void own_unread(void *ctx)
{
	live_job_unread(ctx);
}

static void own_event(void *ctx, const struct journal_event *ev, const char *line, size_t len)
{
	(void)line;
	(void)len;
	live_job_event(ctx, ev);
}

static void own_deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	struct live_job *j = ctx;

	if (live_job_takes(j, uuid))
		live_job_sms(j, uuid, from, text);
}

/* Whose it is nobody knows: it comes to every device on that SIM, as it would to one of
 * its own. */
static void own_foreign(void *ctx, unsigned to, const char *from, const char *text)
{
	struct live_job *j = ctx;

	for (unsigned i = 0; i < plan_count(j->plan); i++) {
		const struct plan_device *d = plan_device(j->plan, i);

		if (plan_receiver_of(d->identity.msisdn) == to && live_job_takes(j, d->identity.uuid))
			live_job_sms(j, d->identity.uuid, from, text);
	}
}

int live_own_modems(struct live_job *j, struct err *e)
{
	struct live_modems_config mc = {.loop = j->rig->o.loop,
					.dir = j->dir,
					.run_key = j->rig->run_key,
					.libgammu_debug = j->rig->o.libgammu_debug,
					.senders = plan_senders(j->plan),
					.receivers = plan_receivers(j->plan),
					.carrier = plan_carrier(j->plan),
					.seed = plan_seed(j->plan),
					.per_minute = plan_per_minute(j->plan),
					.per_day = plan_per_day(j->plan),
					.send_limit = plan_send_limit(j->plan),
					.ctx = j,
					.ready = own_ready,
					.gone = own_gone,
					.unread = own_unread,
					.event = own_event,
					.deliver = own_deliver,
					.foreign = own_foreign};

	j->owns_modems = true;
	j->modems = live_modems_new(&mc, e);
	return j->modems ? 0 : e->code;
}
