/* What a device does by itself, held against its own clock and memory: its timers and
 * its backoff, its registration, the SMS that it takes, the tokens that it stores. All
 * from its own lines, and from what the carrier says it was given. */
#include "hil/judge/oracle_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/table.h"

#define EARLY_SLACK (1 * NS_PER_MS)
#define RETRY_MAX_S 86400 /* protocol.md §2: a device caps retryAfter */
#define SENDERS_MAX 1024

void conduct_init(struct conduct *c)
{
	c->due = c->interval = c->fresh_t = c->held_t = c->offer_t = c->took_t = TIME_NEVER;
}

void conduct_fini(struct oracle *o)
{
	struct sender *s, *next;

	HASH_ITER(hh, o->senders, s, next) {
		HASH_DEL(o->senders, s);
		free(s);
	}
}

static void owe(struct conduct *c, time_ns due, const char *what)
{
	c->due = due;
	c->what = what;
}

/* ---- time ---- */

/* Lateness may be the harness's own, which says so only later: the worst is kept. */
static void note_late(struct conduct *c, time_ns t)
{
	if (c->due == TIME_NEVER || t <= c->due || t - c->due <= c->late)
		return;
	c->late = t - c->due;
	c->late_t = t;
	c->late_what = c->what;
}

static void tell_late(struct oracle *o, struct dev *d)
{
	struct conduct *c = &d->conduct;
	char span[32];

	if (!c->late_what || c->late <= time_add(TIMER_SLACK, 2 * o->lag_ns))
		return;
	/* the span is no part of the cause: many devices may share one */
	oracle_find(o, INV_TIMERS, d, c->late_t, BLAME_DEVICE, "%s is overdue (more than %s)", c->late_what,
		    duration_text(TIMER_SLACK, span, sizeof(span)));
	c->late_what = NULL;
	c->late = TIME_NEVER;
}

static bool by_timer(enum row_name row)
{
	switch (row) {
	case ROW_NP_BACKOFF:
	case ROW_AC_CODE_WAIT:
	case ROW_PV_DUE:
	case ROW_RF_SEND:
	case ROW_PA_OVER:
	case ROW_RG_NO_ANSWER:
	case ROW_LI_NO_ANSWER:
	case ROW_PV_NO_ANSWER:
	case ROW_RF_NO_ANSWER:
		return true;
	default:
		return false;
	}
}

static void check_early(struct oracle *o, struct dev *d, enum row_name row, time_ns t)
{
	struct conduct *c = &d->conduct;
	time_ns hold = setting_ns(&o->settings, SETTING_CODE_HOLD);

	if (by_timer(row) && c->due != TIME_NEVER && t + EARLY_SLACK < c->due)
		oracle_find(o, INV_TIMERS, d, t, BLAME_DEVICE, "row %s before %s was due", row_id(row), c->what);
	if (row == ROW_NP_HOLD_OVER && c->held_t != TIME_NEVER && t + EARLY_SLACK < time_add(c->held_t, hold))
		oracle_find(o, INV_TIMERS, d, t, BLAME_DEVICE, "a code was dropped before code_hold was over");
}

/* ---- backoff ---- */

/* max(base × [0.8, 1.2], retryAfter × [1, 1.2]), base doubling from backoff_min to backoff_max. */
static void check_wait(struct oracle *o, struct dev *d, enum row_name row, time_ns wait, time_ns t)
{
	struct conduct *c = &d->conduct;
	time_ns base = setting_ns(&o->settings, SETTING_BACKOFF_MIN), max = setting_ns(&o->settings, SETTING_BACKOFF_MAX);
	enum need need = rule_of(row)->need;
	time_ns low, high, asked = 0;
	char is[32], from[32], to[32];

	for (unsigned i = 0; i < c->failures && base < max; i++)
		base *= 2;
	if (base < max)
		c->failures++;
	else
		base = max;
	low = base / 10 * 8;
	high = base / 10 * 12;
	if (need != NEED_NONE && need != NEED_SILENCE && need != NEED_COMMAND && c->retry_s > 0)
		asked = (time_ns)(c->retry_s < RETRY_MAX_S ? c->retry_s : RETRY_MAX_S) * NS_PER_S;
	if (asked > low && need != NEED_UNKNOWN) /* of a reply that is not believed nothing need be */
		low = asked;
	if (asked / 10 * 12 > high)
		high = asked / 10 * 12;
	if (wait + EARLY_SLACK >= low && wait <= high + EARLY_SLACK)
		return;
	oracle_find(o, INV_TIMERS, d, t, BLAME_DEVICE, "row %s backs off %s, not %s to %s%s", row_id(row),
		    duration_text(wait, is, sizeof(is)), duration_text(low, from, sizeof(from)),
		    duration_text(high, to, sizeof(to)), asked ? " (retryAfter)" : "");
}

static void check_backoff(struct oracle *o, struct dev *d, enum row_name row, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	enum backs_off kind = rule_effect(row)->wait;
	bool due = kind == BACKS_OFF || (kind == BACKS_OFF_UNPROVEN && c->unproven);
	int64_t wait = journal_int(ev, JF_WAIT_NS, -1);

	if (due && wait < 0)
		oracle_find(o, INV_TIMERS, d, ev->t, BLAME_DEVICE, "row %s without a backoff", row_id(row));
	else if (!due && wait >= 0 && kind == BACKS_OFF_UNPROVEN)
		oracle_find(o, INV_TIMERS, d, ev->t, BLAME_DEVICE, "row %s backs off, though its last publish was fine",
			    row_id(row));
	else if (wait >= 0)
		check_wait(o, d, row, (time_ns)wait, ev->t);
}

static void reset_backoff(struct conduct *c, enum row_name row)
{
	if (row == ROW_OFF_ON || row == ROW_OFF_ON_TOKENS || row == ROW_LI_200 || row == ROW_PV_200)
		c->failures = 0;
	if (row == ROW_OFF_ON || row == ROW_OFF_ON_TOKENS || row == ROW_LI_200 || row == ROW_PV_200)
		c->unproven = false;
	else if (row == ROW_RF_200)
		c->unproven = true;
}

/* ---- registration ---- */

static void check_registration(struct oracle *o, struct dev *d, const char *reg, const char *where, time_ns t)
{
	struct conduct *c = &d->conduct;

	if (!reg || !reg[0] || strlen(reg) >= sizeof(c->reg))
		return;
	if (c->reg[0] && c->reg_new && strcmp(c->reg, reg) == 0)
		oracle_find(o, INV_REGISTRATION, d, t, BLAME_DEVICE, "%s: no new registration was drawn", where);
	else if (c->reg[0] && !c->reg_new && strcmp(c->reg, reg) != 0)
		oracle_find(o, INV_REGISTRATION, d, t, BLAME_DEVICE, "%s: a new registration, where the old one goes on",
			    where);
	snprintf(c->reg, sizeof(c->reg), "%s", reg);
	c->reg_new = false;
}

/* ---- SMS ---- */

static bool known_sender(const struct oracle *o, const struct journal_event *ev)
{
	const char *from = journal_text(ev, JF_FROM_FP);
	struct sender *s = NULL;

	if (o->file_rig || !from[0] || !o->senders)
		return true;
	HASH_FIND_STR(o->senders, from, s);
	return s != NULL;
}

static void on_submitted(struct oracle *o, const struct journal_event *ev)
{
	const char *from = journal_text(ev, JF_FROM_FP);
	struct sender *s = NULL;

	if (!from[0] || strlen(from) >= sizeof(s->fp))
		return;
	HASH_FIND_STR(o->senders, from, s);
	if (s || HASH_COUNT(o->senders) >= SENDERS_MAX)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		o->failed = ERR_NOMEM;
		return;
	}
	snprintf(s->fp, sizeof(s->fp), "%s", from);
	HASH_ADD_STR(o->senders, fp, s);
}

static bool waits_for_sms(const struct dev *d)
{
	return d->state == STATE_NP || d->state == STATE_RG || d->state == STATE_AC;
}

static void on_delivered(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	struct code *code = sms_code(d, journal_text(ev, JF_CODE_FP));
	bool stale = c->reg[0] && !c->reg_new && ev->reg && ev->reg[0] && strcmp(ev->reg, c->reg) != 0;
	bool good = known_sender(o, ev) && !stale;

	/* whoever hands it over may tell of it a moment after the device does */
	if (c->took_t != TIME_NEVER && good) {
		c->took_t = TIME_NEVER;
		c->bad_sms = false;
		return;
	}
	c->bad_sms = c->bad_sms || (!good && (waits_for_sms(d) || c->took_t != TIME_NEVER));
	if (!waits_for_sms(d))
		return;
	c->good_sms = c->good_sms || good;
	/* what a fault did to its text is not known here */
	if (good && code && code->issued && ev->reg && strcmp(code->reg, c->reg) == 0 && !c->reg_new && !d->sms_fault &&
	    !o->sms_fault && c->offer_t == TIME_NEVER)
		c->offer_t = ev->t;
}

static void settle_taken(struct oracle *o, struct dev *d)
{
	struct conduct *c = &d->conduct;

	if (c->took_t == TIME_NEVER)
		return;
	if (c->bad_sms)
		oracle_find(o, INV_TAKES_CODE, d, c->took_t, BLAME_DEVICE,
			    "row %s for an SMS from a stranger or for another registration", row_id(c->took_row));
	else if (o->delivered_seen)
		oracle_find(o, INV_TAKES_CODE, d, c->took_t, BLAME_DEVICE, "row %s without an SMS", row_id(c->took_row));
	c->bad_sms = false;
	c->took_t = TIME_NEVER;
}

static void check_sms_row(struct oracle *o, struct dev *d, enum row_name row, time_ns t)
{
	struct conduct *c = &d->conduct;

	if (row != ROW_NP_SMS && row != ROW_RG_SMS && row != ROW_AC_SMS)
		return;
	settle_taken(o, d);
	if (!c->good_sms) {
		c->took_t = t;
		c->took_row = row;
	} else {
		c->bad_sms = false;
	}
	c->good_sms = false;
	c->offer_t = TIME_NEVER;
	if (!c->held)
		c->held_t = t;
	c->held = true;
}

static void check_held(struct oracle *o, struct dev *d, enum row_name row, time_ns t)
{
	struct conduct *c = &d->conduct;

	if (row == ROW_RG_200_SMS && c->held)
		oracle_find(o, INV_TAKES_CODE, d, t, BLAME_DEVICE, "waits for a code that it has already");
	else if (row == ROW_RG_200_HELD && !c->held)
		oracle_find(o, INV_TAKES_CODE, d, t, BLAME_DEVICE, "logs in with a code that it has not");
}

static void drop_held(struct conduct *c)
{
	c->held = c->good_sms = false;
	c->bad_sms = c->bad_sms && c->took_t != TIME_NEVER;
	c->held_t = c->offer_t = TIME_NEVER;
	c->held_fp[0] = '\0';
}

static void check_offer(struct oracle *o, struct dev *d, time_ns t)
{
	struct conduct *c = &d->conduct;
	time_ns slack = time_add(TIMER_SLACK, 2 * o->lag_ns);

	if (c->took_t != TIME_NEVER && t > time_add(c->took_t, slack))
		settle_taken(o, d);
	if (c->offer_t == TIME_NEVER || t <= time_add(c->offer_t, slack))
		return;
	c->offer_t = TIME_NEVER;
	oracle_find(o, INV_TAKES_CODE, d, t, BLAME_DEVICE, "its code's SMS came, and it did not take it");
}

/* A code that came again keeps its first moment. */
static void on_code(struct conduct *c, const struct journal_event *ev)
{
	const char *fp = journal_text(ev, JF_CODE_FP);

	if (strcmp(journal_text(ev, JF_WHY), "totp") == 0 || strcmp(c->held_fp, fp) == 0)
		return;
	snprintf(c->held_fp, sizeof(c->held_fp), "%s", fp);
	c->held_t = ev->t;
}

/* ---- rows ---- */

/* protocol.md §2: 1 s to 24 h */
static time_ns clamped(time_ns interval)
{
	if (interval == TIME_NEVER)
		return interval;
	return interval < NS_PER_S ? NS_PER_S : time_min(interval, (time_ns)RETRY_MAX_S * NS_PER_S);
}

/* In PV each interval counts from the last new measure; what is overdue goes at once. */
static void owe_measure(struct conduct *c, time_ns t)
{
	time_ns next;

	if (c->interval == TIME_NEVER || c->fresh_t == TIME_NEVER) {
		owe(c, TIME_NEVER, NULL);
		return;
	}
	next = time_add(c->fresh_t, c->interval);
	owe(c, next > t ? next : t, "its next measure");
}

static void next_due(const struct oracle *o, struct dev *d, enum row_name row, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	int64_t wait = journal_int(ev, JF_WAIT_NS, -1);

	if (wait >= 0) {
		owe(c, time_add(ev->t, (time_ns)wait), "the end of its backoff");
		return;
	}
	if (rule_effect(row)->sends || row == ROW_PV_401 || row == ROW_PV_403) {
		owe(c, ev->t, "its request");
		return;
	}
	switch (d->state) {
	case STATE_NP:
		owe(c, ev->t, "its register");
		break;
	case STATE_AC:
		owe(c, time_add(ev->t, setting_ns(&o->settings, SETTING_CODE_WAIT)), "the end of code_wait");
		break;
	case STATE_PV:
		if (ev->kind == J_DEVICE_STATE && state_by_name(journal_text(ev, JF_FROM)) != STATE_PV)
			owe(c, ev->t, "its first measure");
		else
			owe_measure(c, ev->t);
		break;
	default:
		owe(c, TIME_NEVER, NULL);
		break;
	}
}

static void on_state(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	enum row_name row = row_by_id(journal_text(ev, JF_ROW));
	const struct rule_effect *effect = rule_effect(row);
	const struct slot *asked = story_find(d, ev->req);

	if (!rule_of(row)) {
		owe(c, TIME_NEVER, NULL);
		return;
	}
	check_offer(o, d, ev->t);
	check_early(o, d, row, ev->t);
	check_sms_row(o, d, row, ev->t);
	check_held(o, d, row, ev->t);
	if (asked)
		script_row(o, d, asked, row, ev->t);
	if (row == ROW_OFF_ON || row == ROW_OFF_ON_TOKENS)
		c->reg_new = true;
	check_registration(o, d, ev->reg, row_id(row), ev->t);
	if ((row == ROW_LI_200 || row == ROW_RF_200) && !c->renamed)
		oracle_find(o, INV_STORED, d, ev->t, BLAME_DEVICE, "row %s before its tokens were stored", row_id(row));
	check_backoff(o, d, row, ev);
	reset_backoff(c, row);
	if (effect->new_registration) {
		c->reg_new = row != ROW_OFF_ON && row != ROW_OFF_ON_TOKENS;
		drop_held(c);
	}
	if (d->state == STATE_PV || d->state == STATE_OFF || d->state == STATE_IDLE || row == ROW_RG_200_TOTP)
		drop_held(c);
	if (d->state == STATE_OFF)
		c->jti_unsure = true;
	if (effect->stays)
		return;
	note_late(c, ev->t);
	next_due(o, d, row, ev);
}

static void on_request(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	const char *ts = journal_text(ev, JF_TS);

	note_late(c, ev->t);
	check_registration(o, d, ev->reg, journal_text(ev, JF_RESOURCE), ev->t);
	c->renamed = false;
	c->retry_s = 0;
	owe(c, time_add(ev->t, setting_ns(&o->settings, SETTING_REQUEST_TIMEOUT)), "the end of request_timeout");
	if (ts[0] && strcmp(ts, c->ts) != 0) {
		snprintf(c->ts, sizeof(c->ts), "%s", ts);
		c->fresh_t = ev->t;
	}
	if (strcmp(journal_text(ev, JF_RESOURCE), "registerDevice") == 0)
		/* our own server tells its setting */
		c->interval = o->server_seen ? clamped(setting_ns(&o->settings, SETTING_PUBLISH_INTERVAL)) : TIME_NEVER;
}

/* ---- tokens ---- */

static void jti_set(char out[9], const char *jti)
{
	snprintf(out, 9, "%.8s", jti);
}

static void on_stored(struct conduct *c, const struct journal_event *ev)
{
	const char *jti = journal_text(ev, JF_JTI);

	if (ev->kind == J_TOKENS_WRITTEN) {
		jti_set(c->jti_written, jti);
		return;
	}
	if (ev->kind != J_TOKENS_RENAMED)
		return;
	memcpy(c->jti_old, c->jti, sizeof(c->jti_old));
	jti_set(c->jti, jti);
	c->renamed = true;
	c->jti_unsure = false;
}

/* Which refresh token it shows must be the last one that it stored. */
static void on_presented(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	char jti[9];

	if (strcmp(journal_text(ev, JF_USE), "refresh") != 0 || !c->jti[0] || c->jti_unsure || !ev->req ||
	    strcmp(ev->req, d->req) != 0)
		return;
	jti_set(jti, journal_text(ev, JF_JTI));
	if (strcmp(jti, c->jti) != 0)
		oracle_find(o, INV_STORED, d, ev->t, BLAME_DEVICE, "it refreshes with a token that it had replaced");
}

static void on_ignored(struct conduct *c, const struct journal_event *ev)
{
	if (strcmp(journal_text(ev, JF_WHY), "store_failed") == 0) /* it goes on with what it has in RAM */
		c->renamed = c->jti_unsure = true;
}

/* Told behind its row. */
static void on_command(struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;
	time_ns span = commands_span(d, journal_text(ev, JF_ID));

	if (strcmp(journal_text(ev, JF_NAME), "CONFIG") == 0) {
		c->interval = clamped(span);
		owe_measure(c, ev->t);
	} else if (strcmp(journal_text(ev, JF_NAME), "PAUSE") == 0) {
		if (span != TIME_NEVER && span > (time_ns)RETRY_MAX_S * NS_PER_S)
			span = (time_ns)RETRY_MAX_S * NS_PER_S;
		owe(c, time_add(ev->t, span), "the end of its pause");
	}
}

void conduct_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct conduct *c = &d->conduct;

	switch (ev->kind) {
	case J_DEVICE_STATE:
		on_state(o, d, ev);
		break;
	case J_DEVICE_REQUEST:
		on_request(o, d, ev);
		break;
	case J_DEVICE_REPLY:
		c->retry_s = journal_int(ev, JF_RETRY_S, 0);
		break;
	case J_DEVICE_CODE:
		on_code(c, ev);
		break;
	case J_DEVICE_IGNORED:
		on_ignored(c, ev);
		break;
	case J_SMS_SUBMITTED:
		on_submitted(o, ev);
		break;
	case J_SMS_DELIVERED:
		on_delivered(o, d, ev);
		break;
	case J_FAULT_FIRED:
		/* it acts behind that line and before the device sees anything */
		if (ev->t == c->offer_t && strcmp(journal_text(ev, JF_WHY), "sms.delivered") == 0)
			c->offer_t = TIME_NEVER;
		break;
	case J_TOKENS_WRITTEN:
	case J_TOKENS_RENAMED:
		on_stored(c, ev);
		break;
	case J_TOKEN_PRESENTED:
		on_presented(o, d, ev);
		break;
	case J_COMMAND_DONE:
		on_command(d, ev);
		break;
	default:
		break;
	}
}

void conduct_settle(struct oracle *o, struct dev *d, time_ns t, bool last)
{
	note_late(&d->conduct, t);
	if (last)
		settle_taken(o, d);
	check_offer(o, d, t);
	tell_late(o, d);
}
