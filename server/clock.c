/* The clock guard (protocol.md §4, Clock): a wall clock that fell behind what was issued
 * would give out lives, budgets and graces a second time. */
#include "server/clock.h"

#include "core/plant.h"
#include "server/enroll_internal.h"

static const char name[] = "last_issue_ms";

int clock_load(struct enroll *en)
{
	int rv = store_meta_get(en->store, name, &en->last_issue_ms);

	if (rv == ERR_NOTFOUND) {
		en->last_issue_ms = 0;
		rv = 0;
	}
	return rv;
}

int clock_issued(struct enroll *en, int64_t unix_ms)
{
	if (unix_ms < en->last_issue_ms + CLOCK_STEP_MS)
		return 0;
	en->last_issue_ms = unix_ms;
	return store_meta_put(en->store, name, unix_ms);
}

bool clock_behind(const struct enroll *en, int64_t unix_ms)
{
	return unix_ms < en->last_issue_ms - CLOCK_SLACK_MS && !PLANTED(CLOCK_GUARD_MISSING);
}

bool clock_refuses(struct enroll_call *c)
{
	enum msg_resource r = c->m->resource;

	if ((r != MSG_REGISTER && r != MSG_LOGIN && r != MSG_REFRESH) || !clock_behind(c->en, c->at->unix_ms)) {
		if (c->en->clock_said && !clock_behind(c->en, c->at->unix_ms))
			c->en->clock_said = false;
		return false;
	}
	if (!c->en->clock_said)
		FX(c->fx, c->r, c->at, NULL, NULL, NULL, J_SERVER_ALARM, JS(NAME, "clock"));
	c->en->clock_said = true;
	reply_refuse(c->r, 503, "clock", NULL, -1);
	return true;
}

int clock_accept(struct enroll *en, const struct instant *at)
{
	int rv = store_decide(en->store);

	if (!rv)
		rv = store_meta_put(en->store, name, at->unix_ms);
	/* what lies ahead now would keep devices locked until the clock is there again */
	if (!rv)
		rv = store_marks_ahead_forget(en->store, at->unix_ms);
	if (store_decided(en->store, rv == 0) || rv)
		return ERR_IO;
	en->last_issue_ms = at->unix_ms;
	en->clock_said = false;
	return 0;
}
