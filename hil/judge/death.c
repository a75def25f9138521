/* What a server took with it when it died between a commit and its journal's line of it
 * (contracts.md, Effects and crash points). Of each device that waited for an answer then,
 * the one request may have been decided, and nobody was told: what the next server says of
 * that registration is held against both. So it is with what was refused because an fsync
 * had failed, where the plan made it fail. Nothing else is forgiven. */
#include "hil/judge/oracle_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_REFUSALS NS_PER_S /* a server whose fsync failed ends within that */
#define EXIT_DISK     3	       /* of `quicrig serve` whose disk failed for good: the environment */

/* Whatever the plan does to a server: killed it dies of SIGKILL, told to end it ends by itself
 * and well. `why` is "signal 11", "exit 1"; where there are no processes, a word. */
static bool broke(const struct oracle *o, const char *why)
{
	int n;

	if (strncmp(why, "signal ", 7) == 0) {
		n = atoi(why + 7);
		return n != SIGKILL && n != SIGTERM;
	}
	if (strncmp(why, "exit ", 5) != 0)
		return false;
	n = atoi(why + 5);
	return n != 0 && !(n == EXIT_DISK && o->server_disk);
}

/* May the device's last request have been decided otherwise than was told, or untold? A
 * commit whose fsync failed is refused, and may stand all the same. */
static bool open_question(const struct oracle *o, const struct dev *d, time_ns now)
{
	const struct slot *s = NULL;

	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (strcmp(d->slots[i].req, d->req) == 0)
			s = &d->slots[i];
	if (o->sync_faults && s && s->storage_said && now - s->t < LAST_REFUSALS)
		return true;
	return d->in_flight && !(s && (s->has_decision || s->has_reply));
}

void death_event(struct oracle *o, const char *why, time_ns now)
{
	struct dev *d, *next;

	if (broke(o, why))
		oracle_find(o, INV_SERVER, NULL, now, BLAME_SERVER, "the server broke by itself: %s", why);
	HASH_ITER(hh, o->devs, d, next) {
		struct untold *u;

		if (!d->req[0] || !d->req_reg[0] || !open_question(o, d, now))
			continue;
		u = strcmp(d->req_resource, "login") == 0	       ? &d->untold_login
		    : strcmp(d->req_resource, "registerDevice") == 0 ? &d->untold_register
								       : NULL;
		if (!u)
			continue;
		snprintf(u->reg, sizeof(u->reg), "%s", d->req_reg);
		u->asked = d->req_t;
	}
}

static bool is_of(const struct untold *u, const char *reg)
{
	return u->reg[0] && reg && strcmp(u->reg, reg) == 0;
}

/* The one that it sent, alive and not yet spent when it asked; NULL: there is none. */
static struct code *code_that_was_sent(const struct oracle *o, const struct dev *d)
{
	time_ns life = setting_ns(&o->settings, SETTING_CODE_TTL);

	for (unsigned i = d->codes_n; i; i--) {
		struct code *c = d->codes[i - 1];

		if (c->issued && !c->used && !c->dead && (c->sent || !d->sent_code) &&
		    d->untold_login.asked <= time_add(c->issued_t, life))
			return c;
	}
	return NULL;
}

bool death_granted(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	time_ns end = o->restarted ? time_add(o->restart_t, setting_ns(&o->settings, SETTING_LOGIN_GRACE)) : 0;
	struct code *c;

	if (!is_of(&d->untold_login, ev->reg) || ev->t > end)
		return false;
	c = code_that_was_sent(o, d);
	if (!c && !d->totp)
		return false;
	if (c)
		c->used = true;
	d->granted = true;
	d->grant_open = d->grant_presented = false;
	d->grant_t = d->untold_login.asked;
	snprintf(d->grant_reg, sizeof(d->grant_reg), "%s", ev->reg);
	sms_granted(d);
	/* its family replaced the one before it, and will be known when it is shown */
	for (unsigned i = 0; i < d->fams_n; i++)
		d->fams[i].live = false;
	d->untold_family = true;
	d->untold_login.reg[0] = '\0';
	return true;
}

void death_revoked(struct oracle *o, struct dev *d)
{
	struct code *c;

	if (!d->untold_family && !d->untold_login.reg[0])
		return;
	/* so that login was granted, and its code is spent */
	c = d->untold_family ? NULL : code_that_was_sent(o, d);
	if (c && strcmp(c->reg, d->untold_login.reg) == 0)
		c->used = true;
	/* a family that nobody told of ends: the one before it had ended with its login */
	for (unsigned i = 0; i < d->fams_n; i++)
		d->fams[i].live = false;
	d->untold_family = false;
	d->untold_login.reg[0] = '\0';
}

bool death_issued(struct dev *d, const struct journal_event *ev, time_ns *t)
{
	if (!is_of(&d->untold_register, ev->reg))
		return false;
	*t = d->untold_register.asked;
	/* a registration has one code, ever */
	d->untold_register.reg[0] = '\0';
	return true;
}
