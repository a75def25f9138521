/* What receivers have not handed over: kept by the network, or on the SIM unread. */
#include "sim/modems.h"

#include <stdlib.h>

#include "sim/modems_priv.h"

static bool takes(const struct unit *u, time_ns now)
{
	return u->plugged && u->sim == SIM_READY && modems_on_air(u) && u->full_until <= now;
}

/* Is what stands on its SIM read now? */
static bool reads(const struct unit *u, time_ns now)
{
	return u->plugged && !modems_muted(u, now) && u->lease->state == MODEM_READY;
}

void modems_poll_soon(struct unit *u, time_ns at)
{
	u->poll_at = time_min(u->poll_at, at);
}

bool modems_receive(struct modems *m, const struct instant *at, unsigned to, const char *uuid, void *mail)
{
	struct unit *u = &m->units[m->cfg.senders + to % m->cfg.receivers];
	const struct fault *f = NULL;
	struct kept *k;
	bool waits = !TAILQ_EMPTY(&u->kept) && !TAILQ_LAST(&u->kept, kepts)->stored, stored;

	stored = !waits && takes(u, at->now);
	if (stored)
		f = modems_say(m, at, u, "received", uuid, NULL);
	else
		modems_say(m, at, u, "held", uuid, "the network keeps an SMS that it does not take");
	if (f && !fault_is(f, "lose_cmti") && !fault_is(f, "duplicate_cmti") && !fault_is(f, "dangling_cmti"))
		modems_befall(m, at, u, fault_do(f), fault_args(f));
	if (stored && reads(u, at->now) && TAILQ_EMPTY(&u->kept) && !fault_is(f, "lose_cmti"))
		return true;
	k = calloc(1, sizeof(*k));
	if (!k)
		return true; /* without memory nothing is held back */
	k->mail = mail;
	k->stored = stored;
	k->expires = time_add(at->now, MODEMS_VALIDITY_NS);
	TAILQ_INSERT_TAIL(&u->kept, k, link);
	if (stored)
		modems_poll_soon(u, time_add(at->now, MODEMS_POLL_NS));
	return false;
}

/* What the network kept for it comes now. */
void modems_room(const struct instant *at, struct unit *u)
{
	struct kept *k;

	if (!takes(u, at->now))
		return;
	TAILQ_FOREACH(k, &u->kept, link)
	{
		if (k->stored)
			continue;
		k->stored = true;
		/* announced, and read at once where somebody listens */
		modems_poll_soon(u, reads(u, at->now) ? at->now : time_add(at->now, MODEMS_POLL_NS));
	}
}

void modems_poll(struct modems *m, const struct instant *at, struct unit *u)
{
	struct kept *k;
	void *mail;

	u->poll_at = TIME_NEVER;
	if (!reads(u, at->now)) {
		if (!TAILQ_EMPTY(&u->kept) && u->plugged && u->lease->state == MODEM_READY) {
			/* silent: its worker gives up and begins anew */
			modems_init(m, at, u, "the modem does not answer");
		}
		return;
	}
	while ((k = TAILQ_FIRST(&u->kept)) && k->stored) {
		TAILQ_REMOVE(&u->kept, k, link);
		mail = k->mail;
		free(k);
		m->cfg.fetched(m->cfg.ctx, at, mail, (unsigned)(u - m->units) - m->cfg.senders);
	}
}

void modems_expire(struct modems *m, const struct instant *at, struct unit *u)
{
	struct kept *k;
	void *mail;

	while ((k = TAILQ_FIRST(&u->kept)) && k->expires <= at->now) {
		bool stored = k->stored;

		TAILQ_REMOVE(&u->kept, k, link);
		mail = k->mail;
		free(k);
		m->cfg.expired(m->cfg.ctx, at, mail, (unsigned)(u - m->units) - m->cfg.senders,
			       stored ? "never read from the SIM" : "validity over");
	}
}
