/* What the server owes to whoever asks: which codes a resource has, what must be
 * signed, and that the right code lets its device in. Told by its own decisions, which
 * a fault may have forced: then nothing is judged. */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <string.h>

#define GUARD_NS   (60 * (int64_t)NS_PER_S) /* protocol.md §4, Clock */
#define TOTP_SPAN  (120 * NS_PER_S)
#define DUTY_SLACK (1 * NS_PER_S) /* CLOCK_BOOTTIME against the journal's clock */

/* protocol.md §2, the table of codes, and §4. */
static const struct {
	const char *resource;
	int codes[9];
} answers[] = {
	{"registerDevice", {200, 400, 403, 412, 413, 429, 503}},
	{"login", {200, 400, 401, 413, 429, 503}},
	{"publishMeasure", {200, 400, 401, 403, 413, 429, 503, 700}},
	{"refreshToken", {200, 400, 403, 413, 429, 503, 700}},
};

static bool has_code(const char *resource, int code)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (strcmp(answers[i].resource, resource) != 0)
			continue;
		for (const int *c = answers[i].codes; *c; c++)
			if (*c == code)
				return true;
		return false;
	}
	return true; /* a resource that there is none: nothing is said of it here */
}

/* protocol.md §2, Signed replies: what a device does not believe unsigned. */
bool duty_signed(const char *resource, int code)
{
	if (code == 700)
		return true;
	if (strcmp(resource, "registerDevice") == 0 || strcmp(resource, "login") == 0)
		return code == 401 || code == 403 || code == 412;
	return strcmp(resource, "refreshToken") == 0 && code != 200 && code != 429 && code != 503;
}

/* A code that is live, or whose login may still be repeated. */
static bool must_serve(const struct oracle *o, const struct dev *d, const struct code *c, time_ns t)
{
	time_ns end = time_add(c->issued_t, setting_ns(&o->settings, SETTING_CODE_TTL));
	time_ns grace = time_add(d->grant_t, setting_ns(&o->settings, SETTING_LOGIN_GRACE));
	bool live = false;

	if (c->dead || c->doubted || !c->issued)
		return false;
	/* a login that a dying server may have granted untold */
	if (c->reg[0] && strcmp(d->untold_login.reg, c->reg) == 0) {
		grace = time_add(d->untold_login.asked, setting_ns(&o->settings, SETTING_LOGIN_GRACE));
		return time_add(t, DUTY_SLACK) < time_min(end, grace);
	}
	if (!c->used)
		return time_add(t, DUTY_SLACK) < end;
	for (unsigned i = 0; i < d->fams_n; i++)
		live = live || (d->fams[i].live && d->fams[i].access_t == d->grant_t);
	return d->granted && live && !d->grant_presented && time_add(t, DUTY_SLACK) < grace;
}

/* ---- clocks ---- */

static int64_t wall(const struct oracle *o, time_ns t)
{
	return (int64_t)t + o->server_clock_ms * (int64_t)NS_PER_MS;
}

void duty_issued(struct oracle *o, struct slot *s, time_ns t)
{
	if (s)
		s->issued = true;
	if (wall(o, t) > o->issue_wall)
		o->issue_wall = wall(o, t);
}

/* It was told that the clock is right. */
void duty_operator(struct oracle *o, const struct journal_event *ev)
{
	if (strcmp(journal_text(ev, JF_NAME), "clock-accept") == 0)
		o->issue_wall = wall(o, ev->t);
}

static void check_clock(struct oracle *o, struct dev *d, const struct slot *s, const char *resource, time_ns t)
{
	if (s->decision == 200 && !o->clock_loose && strcmp(resource, "publishMeasure") != 0 &&
	    wall(o, t) + GUARD_NS + (int64_t)DUTY_SLACK < o->issue_wall)
		oracle_find(o, INV_CLOCK, d, t, BLAME_SERVER, "%s: 200 by a clock that stands behind the last issue", resource);
}

/* A time step is used once. The same six digits may come up again, but hardly at once. */
static void check_totp(struct oracle *o, struct dev *d, const struct slot *s, time_ns t)
{
	if (!d->totp || !s->issued || !s->code_fp[0] || s->decision != 200)
		return;
	if (strcmp(d->totp_fp, s->code_fp) == 0 && t < time_add(d->totp_t, TOTP_SPAN))
		oracle_find(o, INV_CODE, d, t, BLAME_SERVER, "a TOTP step was used twice");
	memcpy(d->totp_fp, s->code_fp, sizeof(d->totp_fp));
	d->totp_t = t;
}

void duty_decision(struct oracle *o, struct dev *d, struct slot *s, const struct journal_event *ev)
{
	struct code *c = s->code_fp[0] ? sms_code(d, s->code_fp) : NULL;
	const char *resource = journal_text(ev, JF_RESOURCE), *reg = ev->reg ? ev->reg : "";

	s->signs = (int)journal_int(ev, JF_SIGNED, -1);
	check_clock(o, d, s, resource, ev->t);
	if (strcmp(resource, "registerDevice") == 0 && s->decision != 200)
		for (unsigned i = 0; i < d->codes_n; i++)
			/* what the gateway took stays, whatever a later register is told */
			if (strcmp(d->codes[i]->reg, reg) == 0 && !d->codes[i]->queued)
				d->codes[i]->withdrawn = true;
	if (strcmp(resource, "login") == 0)
		check_totp(o, d, s, ev->t);
	if (strcmp(resource, "login") != 0 || s->decision != 401)
		return;
	s->right_code = c && reg[0] && strcmp(c->reg, reg) == 0 && must_serve(o, d, c, ev->t) && !d->disabled &&
			!d->stranger;
	for (unsigned i = 0; i < d->codes_n; i++)
		if (strcmp(d->codes[i]->reg, reg) == 0)
			d->codes[i]->doubted = true;
}

static const char *code_text(int code, char *out, size_t size)
{
	snprintf(out, size, "%d", code);
	return out;
}

/* "No login without a live, unused, matching code": a repeat within its grace needs the code that was used. */
static void check_login(struct oracle *o, struct dev *d, const struct slot *s)
{
	const struct code *c = s->code_fp[0] ? sms_code(d, s->code_fp) : NULL;

	if (strcmp(s->resource, "login") == 0 && s->decision == 200 && !d->totp && c && !c->used)
		oracle_find(o, INV_CODE, d, s->t, BLAME_SERVER, "login: 200, and the code that it carried was not used");
}

void duty_slot(struct oracle *o, struct dev *d, const struct slot *s)
{
	char code[16];

	if (!s->has_decision || s->forced)
		return;
	if (!has_code(s->resource, s->decision))
		oracle_find(o, INV_CODES, d, s->t, BLAME_SERVER, "%s has no answer %d", s->resource, s->decision);
	/* who sends no nonce gets no signature; our devices do */
	if (s->asked != TIME_NEVER && s->signs == 0 && (s->commands || duty_signed(s->resource, s->decision)))
		oracle_find(o, INV_SIGNED, d, s->t, BLAME_SERVER, "%s: %s without a signature", s->resource,
			    s->commands ? "a command" : code_text(s->decision, code, sizeof(code)));
	check_login(o, d, s);
	if (s->disbelieved && s->decision == 200 && !s->commands)
		oracle_find(o, INV_REPLY_ROW, d, s->t, BLAME_DEVICE, "%s: a 200 without a command was taken for unknown",
			    s->resource);
	if (s->right_code)
		oracle_find(o, INV_RIGHT_CODE, d, s->t, BLAME_SERVER, "login: 401 for the right code%s",
			    o->restarted ? " of before the restart" : "");
}
