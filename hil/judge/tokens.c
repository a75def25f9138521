/* Logins and token families, told by the server alone: what it may grant. Lines of one
 * loop turn bear one time and may stand in any order, so a turn is looked at when the
 * device's next one comes. */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct family *tokens_family(struct dev *d, const char *fam)
{
	for (unsigned i = 0; fam[0] && i < d->fams_n; i++)
		if (strcmp(d->fams[i].fam, fam) == 0)
			return &d->fams[i];
	return NULL;
}

static struct family *new_family(struct oracle *o, struct dev *d, const char *fam)
{
	struct family *f;

	if (!d->fams) {
		d->fams = calloc(ORACLE_FAMS, sizeof(*d->fams));
		if (!d->fams) {
			o->failed = ERR_NOMEM;
			return NULL;
		}
	}
	if (d->fams_n == ORACLE_FAMS) {
		/* forget the oldest; a dead one where there is one */
		unsigned gone = 0;

		while (gone < ORACLE_FAMS - 1 && d->fams[gone].live)
			gone++;
		memmove(&d->fams[gone], &d->fams[gone + 1], (ORACLE_FAMS - 1 - gone) * sizeof(*f));
		d->fams_n--;
	}
	f = &d->fams[d->fams_n++];
	memset(f, 0, sizeof(*f));
	snprintf(f->fam, sizeof(f->fam), "%s", fam);
	f->live = true;
	f->access_t = f->refresh_t = TIME_NEVER;
	return f;
}

static void on_issued(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	const char *fam = journal_text(ev, JF_FAM);
	struct family *f = tokens_family(d, fam);

	if (!fam[0])
		return;
	if (!f) {
		f = new_family(o, d, fam);
		if (!f)
			return;
		expects_family(o->expects, d);
		d->fam_t = ev->t;
	} else if (!f->live) {
		oracle_find(o, INV_FAMILY, d, ev->t, BLAME_SERVER, "a token was issued in a revoked family");
	}
	if (strcmp(journal_text(ev, JF_USE), "refresh") != 0) {
		f->access_t = ev->t;
		snprintf(f->access_jti, sizeof(f->access_jti), "%.8s", journal_text(ev, JF_JTI));
		return;
	}
	/* a repeat within its grace issues nothing; whatever is issued is new */
	if (f->jti[0] && strncmp(f->jti, journal_text(ev, JF_JTI), sizeof(f->jti) - 1) == 0)
		oracle_find(o, INV_FAMILY, d, ev->t, BLAME_SERVER, "a refresh did not rotate the refresh token");
	snprintf(f->jti, sizeof(f->jti), "%.8s", journal_text(ev, JF_JTI));
	f->refresh_t = ev->t;
}

/* With a `jti` and the family's life going on it is a rotation; the server says so. */
static bool ends_family(const struct journal_event *ev)
{
	return !journal_text(ev, JF_JTI)[0] || !strstr(journal_text(ev, JF_WHY), "rotat");
}

void tokens_adopt(struct oracle *o, struct dev *d, const char *fam)
{
	struct family *f;

	if (!d->untold_family || !fam[0] || tokens_family(d, fam))
		return;
	f = new_family(o, d, fam);
	if (!f)
		return;
	d->untold_family = false;
	f->access_t = f->refresh_t = d->grant_t;
}

static void on_revoked(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	const char *fam = journal_text(ev, JF_FAM);
	struct family *f = tokens_family(d, fam);

	if (!f && ends_family(ev))
		death_revoked(o, d);
	if (!f || !ends_family(ev))
		return;
	f->live = false;
	/* a refusal of this very turn saw the family dead already */
	for (unsigned i = 0; i < ORACLE_SLOTS; i++) {
		struct slot *s = &d->slots[i];

		if (s->has_decision && s->decision != 200 && s->t == ev->t && strcmp(s->fam, fam) == 0)
			s->fam_live = false;
	}
}

static bool grace_repeat(const struct oracle *o, const struct dev *d, const struct journal_event *ev)
{
	time_ns from = o->restarted && o->restart_t > d->grant_t ? o->restart_t : d->grant_t;
	time_ns end = time_add(from, setting_ns(&o->settings, SETTING_LOGIN_GRACE));

	return d->granted && ev->t <= end && strcmp(d->grant_reg, ev->reg ? ev->reg : "") == 0;
}

/* A login was granted: its code.used stands before it, behind it in the same turn, or
 * it repeats a login within its grace. */
static void on_login(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	bool repeat = !d->credit && grace_repeat(o, d, ev);

	if (repeat && d->grant_presented)
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "a login repeated after its tokens were used");
	if (!repeat && !d->credit && death_granted(o, d, ev))
		return;
	/* one that was told after all: nothing is left untold of its registration */
	d->untold_login.reg[0] = '\0';
	if (repeat || d->totp)
		return;
	d->grant_open = !d->credit;
	d->credit = false;
	d->granted = true;
	d->grant_presented = false;
	d->grant_t = ev->t;
	snprintf(d->grant_reg, sizeof(d->grant_reg), "%s", ev->reg ? ev->reg : "");
	sms_granted(d);
}

void tokens_settle(struct oracle *o, struct dev *d, time_ns now)
{
	unsigned live = 0;

	if (d->grant_open && now > d->grant_t) {
		d->grant_open = false;
		oracle_find(o, INV_CODE, d, d->grant_t, BLAME_SERVER, "a login was granted without a code");
	}
	if (d->fam_t == TIME_NEVER || now <= d->fam_t)
		return;
	for (unsigned i = 0; i < d->fams_n; i++)
		live += d->fams[i].live;
	if (live > 1)
		oracle_find(o, INV_FAMILY, d, d->fam_t, BLAME_SERVER, "%u families live at once", live);
	d->fam_t = TIME_NEVER;
}

void tokens_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct family *f;

	switch (ev->kind) {
	case J_TOKEN_ISSUED:
		tokens_settle(o, d, ev->t);
		on_issued(o, d, ev);
		break;
	case J_TOKEN_REVOKED:
		on_revoked(o, d, ev);
		break;
	case J_TOKEN_PRESENTED:
		tokens_settle(o, d, ev->t);
		f = tokens_family(d, journal_text(ev, JF_FAM));
		/* a token of the family that this login began, or of one rotated from it */
		if (d->granted && f && f->access_t != TIME_NEVER && f->access_t >= d->grant_t)
			d->grant_presented = true;
		break;
	case J_SERVER_DECISION:
		tokens_settle(o, d, ev->t);
		if (journal_int(ev, JF_CODE, 0) == 200 && strcmp(journal_text(ev, JF_RESOURCE), "login") == 0)
			on_login(o, d, ev);
		break;
	case J_CODE_USED:
		tokens_settle(o, d, ev->t);
		if (d->grant_open)
			d->grant_open = false;
		else
			d->credit = true;
		break;
	default:
		break;
	}
}
