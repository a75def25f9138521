/* A code's life by its fingerprint: issued, queued, submitted, delivered, sent by the
 * device, used, void, as three actors tell it; and the budget of SMS. */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEN_MINUTES (600 * NS_PER_S)
#define ONE_DAY     (86400 * NS_PER_S)
#define BUDGET_SLACK (2 * NS_PER_MS)
#define MODEM_SILENT (5 * NS_PER_S) /* an SMS is written in 0.7 s, and answered in 2.5 s on the median */
#define CODE_SLACK  (1 * NS_PER_S) /* CLOCK_BOOTTIME against the journal's clock */

struct dev *sms_owner(struct oracle *o, const struct journal_event *ev)
{
	const char *fp = journal_text(ev, JF_CODE_FP);
	struct code *c = NULL;

	HASH_FIND_STR(o->codes, fp, c);
	return c ? c->dev : NULL;
}

/* What can be said of a code only when all have had their say. */
static void settle(struct oracle *o, struct dev *d, const struct code *c)
{
	bool faulted = c->fault || d->sms_fault || o->sms_fault;

	o->taken_back += c->issued && c->withdrawn && !c->submitted;
	if (c->used && d->sent_code && !c->sent)
		oracle_find(o, INV_CODE, d, c->issued_t, BLAME_SERVER,
			    "a login was granted for a code that the device never sent");
	/* no fault makes a sender send what it was not given */
	if (c->submitted && !c->issued && o->server_seen)
		oracle_find(o, INV_CARRIER, d, c->issued_t, BLAME_MODEM,
			    "a modem submitted a code that the server never issued");
	if (faulted)
		return;
	if (c->sent && !c->delivered && (o->delivered_seen || o->submitted_seen))
		oracle_find(o, INV_CARRIER, d, c->issued_t, BLAME_DEVICE,
			    "the device sent a code that no SMS brought");
	if (c->delivered && !c->submitted && o->submitted_seen)
		oracle_find(o, INV_CARRIER, d, c->issued_t, BLAME_CARRIER, "an SMS arrived that no modem submitted");
}

static void forget(struct oracle *o, struct dev *d, struct code *c)
{
	settle(o, d, c);
	if (c->hashed)
		HASH_DEL(o->codes, c);
	free(c);
}

struct code *sms_code(struct dev *d, const char *fp)
{
	for (unsigned i = 0; fp[0] && i < d->codes_n; i++)
		if (strcmp(d->codes[i]->fp, fp) == 0)
			return d->codes[i];
	return NULL;
}

static struct code *find_code(struct oracle *o, struct dev *d, const char *fp, bool make)
{
	struct code *c, **grown;

	c = sms_code(d, fp);
	if (c || !make || !fp[0] || strlen(fp) >= sizeof(c->fp))
		return c;
	if (d->codes_n == ORACLE_CODES) {
		forget(o, d, d->codes[0]);
		memmove(&d->codes[0], &d->codes[1], --d->codes_n * sizeof(struct code *));
	}
	if (d->codes_n == d->codes_cap) {
		grown = realloc(d->codes, (d->codes_cap + 4) * sizeof(struct code *));
		if (!grown)
			goto nomem;
		d->codes = grown;
		d->codes_cap += 4;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		goto nomem;
	c->dev = d;
	c->issued_t = TIME_NEVER;
	snprintf(c->fp, sizeof(c->fp), "%s", fp);
	d->codes[d->codes_n++] = c;
	return c;
nomem:
	o->failed = ERR_NOMEM;
	return NULL;
}

static void on_issued(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c = find_code(o, d, journal_text(ev, JF_CODE_FP), true), *other = NULL;

	if (!c)
		return;
	for (unsigned i = 0; ev->reg && ev->reg[0] && i < d->codes_n; i++)
		if (d->codes[i] != c && d->codes[i]->issued && !d->codes[i]->withdrawn && strcmp(d->codes[i]->reg, ev->reg) == 0)
			oracle_find(o, INV_ONE_CODE, d, ev->t, BLAME_SERVER, "a second code for one registration");
	c->issued = true;
	c->issued_t = ev->t;
	snprintf(c->reg, sizeof(c->reg), "%s", ev->reg ? ev->reg : "");
	HASH_FIND_STR(o->codes, c->fp, other);
	if (!other) {
		HASH_ADD_STR(o->codes, fp, c);
		c->hashed = true;
	}
}

/* The server counts by its wall clock, which the plan may have moved. */
static int64_t wall(const struct oracle *o, time_ns t)
{
	return (int64_t)t + o->server_clock_ms * (int64_t)NS_PER_MS;
}

/* Only a limit that the ring can remember is checked; that of the standard is 6. */
static void check_window(struct oracle *o, struct dev *d, time_ns t, int64_t limit, time_ns window, const char *what)
{
	int64_t before, now = wall(o, t);

	if (o->clock_loose || window == TIME_NEVER || limit == SETTING_OFF || limit <= 0 || limit >= ORACLE_BUDGET ||
	    d->budget_n <= (uint64_t)limit)
		return;
	before = d->budget[(d->budget_n - 1 - (uint64_t)limit) % ORACLE_BUDGET];
	/* the server counts in wall-clock milliseconds, which NTP may slew by 500 ppm */
	if (now >= before && time_add((time_ns)(now - before), BUDGET_SLACK + window / 1000) < window)
		oracle_find(o, INV_BUDGET, d, t, BLAME_SERVER, "more than %lld SMS in %s", (long long)limit, what);
}

/* One hand-over to the gateway, at the moment that the server decided on it. */
static void spend(struct oracle *o, struct dev *d, time_ns t)
{
	int64_t fleet = o->settings.v[SETTING_FLEET_SMS_PER_DAY];

	d->budget[d->budget_n++ % ORACLE_BUDGET] = wall(o, t);
	check_window(o, d, t, 1, setting_ns(&o->settings, SETTING_SMS_INTERVAL), "sms_interval");
	check_window(o, d, t, o->settings.v[SETTING_SMS_PER_10MIN], TEN_MINUTES, "10 minutes");
	check_window(o, d, t, o->settings.v[SETTING_SMS_PER_DAY], ONE_DAY, "24 hours");
	o->fleet_sms++;
	if (fleet != SETTING_OFF && o->fleet_sms > (uint64_t)fleet && t - o->start < ONE_DAY)
		oracle_find(o, INV_BUDGET, NULL, t, BLAME_SERVER, "more than fleet_sms_per_day in 24 hours");
}

static void on_queued(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c = find_code(o, d, journal_text(ev, JF_CODE_FP), true);
	const char *id = journal_text(ev, JF_ID);

	if (d->to_fp[0] && journal_text(ev, JF_TO_FP)[0] && strcmp(d->to_fp, journal_text(ev, JF_TO_FP)) != 0)
		oracle_find(o, INV_CARRIER, d, ev->t, BLAME_SERVER, "an SMS was queued for a number not on record");
	if (!c)
		return;
	if (!c->issued && death_issued(d, ev, &c->issued_t))
		c->issued = true;
	/* an id that is repeated to the gateway is never a second SMS */
	if (c->queued && strcmp(c->sms_id, id) == 0)
		return;
	spend(o, d, c->queued || c->issued_t == TIME_NEVER ? ev->t : c->issued_t);
	c->queued = true;
	snprintf(c->sms_id, sizeof(c->sms_id), "%s", id);
}

static void on_used(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c = find_code(o, d, journal_text(ev, JF_CODE_FP), false);
	time_ns life = setting_ns(&o->settings, SETTING_CODE_TTL);

	if (c && !c->issued && death_issued(d, ev, &c->issued_t))
		c->issued = true;
	if (!c || !c->issued) {
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "a code was used that was never issued to this device");
		return;
	}
	if (c->used)
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "a code was used twice");
	else if (c->dead && !d->grant_open) /* its own login may void it first, in one turn */
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "a void code was used");
	else if (ev->t > time_add(time_add(c->issued_t, life), CODE_SLACK))
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "an expired code was used");
	if (c->reg[0] && ev->reg && ev->reg[0] && strcmp(c->reg, ev->reg) != 0)
		oracle_find(o, INV_CODE, d, ev->t, BLAME_SERVER, "the code of another registration was used");
	c->used = true;
}

void sms_granted(struct dev *d)
{
	/* "a successful login voids all codes of the uuid" */
	for (unsigned i = 0; i < d->codes_n; i++)
		if (!d->codes[i]->used && d->codes[i]->issued_t < d->grant_t)
			d->codes[i]->dead = true;
}

static void on_delivered(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c = find_code(o, d, journal_text(ev, JF_CODE_FP), true);

	o->delivered_seen = true;
	if (!c)
		return;
	if (!c->delivered && c->issued && ev->t >= c->issued_t &&
	    oracle_sample(o, METRIC_SMS_TIME, ev->t - c->issued_t, ev->t))
		o->failed = ERR_NOMEM;
	c->delivered = true;
}

/* What may explain, later, why a device never got its code. */
static void trouble(struct dev *d, enum blame blame, const char *why)
{
	d->sms_came = false;
	if (!d->sms_trouble) {
		d->sms_trouble = why;
		d->sms_blame = blame;
	}
}

enum blame sms_evidence(const struct oracle *o, const struct dev *d, const char **why)
{
	*why = NULL;
	if (d->sms_fault || o->sms_fault)
		return BLAME_UNKNOWN;
	if (d->sms_trouble) {
		*why = d->sms_trouble;
		return d->sms_blame;
	}
	if (d->sms_sending && o->last >= time_add(d->sms_sending_t, MODEM_SILENT)) {
		*why = "a modem took its SMS and has been silent since";
		return BLAME_MODEM;
	}
	/* between a sender and a device stand the carrier and the modem that receives */
	if (!d->sms_left_t || o->last < time_add(d->sms_left_t, MODEM_SILENT))
		return BLAME_UNKNOWN;
	if (o->ill_modem[0])
		*why = o->ill_modem;
	else
		*why = d->sms_at_receiver ? "the modem that receives its SMS has not handed it over"
					  : "its SMS left a modem, and nobody says what became of it";
	return o->ill_modem[0] || d->sms_at_receiver ? BLAME_MODEM : BLAME_CARRIER;
}

/* The pool's states stand in capitals; what a modem says of itself does not. */
static bool is_lease(const char *state)
{
	return state[0] >= 'A' && state[0] <= 'Z';
}

static bool is_up(const char *state)
{
	return strcmp(state, "READY") == 0 || strcmp(state, "SENDING") == 0;
}

void sms_modem(struct oracle *o, const struct journal_event *ev)
{
	const char *state = journal_text(ev, JF_STATE), *name = journal_text(ev, JF_MODEM), *why = journal_text(ev, JF_WHY);

	if (!is_lease(state))
		return;
	if (!is_up(state)) {
		snprintf(o->ill_name, sizeof(o->ill_name), "%s", name);
		snprintf(o->ill_modem, sizeof(o->ill_modem), "modem %.40s is %.20s%s%.80s", name, state, why[0] ? ": " : "", why);
	} else if (strcmp(o->ill_name, name) == 0) {
		o->ill_name[0] = o->ill_modem[0] = '\0';
	}
}

static void on_modem(struct dev *d, const struct journal_event *ev)
{
	const char *state = journal_text(ev, JF_STATE);

	if (is_lease(state)) {
		d->sms_sending = strcmp(state, "SENDING") == 0;
		d->sms_sending_t = ev->t;
	} else if (strcmp(state, "received") == 0 || strcmp(state, "held") == 0) {
		d->sms_at_receiver = true;
	}
}

static void on_device_code(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c;

	if (strcmp(journal_text(ev, JF_WHY), "totp") == 0)
		return;
	c = find_code(o, d, journal_text(ev, JF_CODE_FP), true);
	if (!c)
		return;
	if (strcmp(journal_text(ev, JF_STATUS), "used") == 0)
		c->sent = d->sent_code = true;
	else
		c->held = true;
}

void sms_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct code *c;

	switch (ev->kind) {
	case J_CODE_ISSUED:
		on_issued(o, d, ev);
		break;
	case J_CODE_USED:
		on_used(o, d, ev);
		break;
	case J_CODE_VOID:
		c = find_code(o, d, journal_text(ev, JF_CODE_FP), false);
		if (c)
			c->dead = true;
		break;
	case J_DEVICE_CODE:
		on_device_code(o, d, ev);
		break;
	case J_SMS_QUEUED:
		on_queued(o, d, ev);
		break;
	case J_MODEM_STATE:
		on_modem(d, ev);
		break;
	case J_SMS_SUBMITTED:
		o->submitted_seen = true;
		d->sms_sending = d->sms_at_receiver = false;
		d->sms_left_t = ev->t ? ev->t : 1;
		c = find_code(o, d, journal_text(ev, JF_CODE_FP), true);
		/* the next server hands it over, and may die before it tells of that, too */
		if (c && !c->issued && death_issued(d, ev, &c->issued_t))
			c->issued = true;
		if (c)
			c->submitted = true;
		break;
	case J_SMS_DELIVERED:
		d->sms_left_t = 0;
		d->sms_came = d->sms_came || (ev->reg && d->conduct.reg[0] && strcmp(ev->reg, d->conduct.reg) == 0);
		on_delivered(o, d, ev);
		break;
	case J_SMS_LOST:
		d->sms_left_t = 0;
		trouble(d, BLAME_CARRIER, "the carrier lost its SMS");
		break;
	case J_SMS_FAILED:
		d->sms_sending = false;
		trouble(d, BLAME_MODEM, "a modem failed to send its SMS");
		break;
	case J_SMS_UNKNOWN:
		d->sms_sending = false;
		trouble(d, BLAME_MODEM, "a modem left its SMS's fate unknown");
		break;
	case J_FAULT_FIRED:
		if (strncmp(journal_text(ev, JF_WHY), "sms.", 4) == 0)
			d->sms_fault = true;
		break;
	default:
		break;
	}
}

void sms_finish(struct oracle *o, struct dev *d)
{
	for (unsigned i = 0; i < d->codes_n; i++)
		forget(o, d, d->codes[i]);
	free(d->codes);
	d->codes = NULL;
	d->codes_n = d->codes_cap = 0;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void sms_explain(struct oracle *o)
{
	uint64_t sent = apart(o->work.sms.submitted, o->work.sms.issued);
	uint64_t came = apart(o->work.sms.delivered, o->work.sms.issued), gap = sent > came ? sent : came;
	uint64_t told = o->work.sms.lost + o->work.sms.failed + o->work.sms.unknown + o->taken_back;
	bool injected = o->restarted && o->expected_down;

	if (!o->server_seen) /* nobody told of codes */
		return;
	for (size_t i = 0; i < o->faults_n; i++)
		injected = injected || o->faults[i].fired;
	if (injected)
		o->work.sms.injected = gap;
	else
		o->work.sms.told = gap < told ? gap : told;
	o->work.sms.unexplained = gap - o->work.sms.injected - o->work.sms.told;
}
