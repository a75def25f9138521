/* The end: every expectation and threshold gets its check. */
#include "hil/judge/expect_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/oracle_plan.h"
#include "hil/judge/oracle_priv.h"

#define TEXT 512

static const char *const names[] = {[EXPECT_PATH] = "path",     [EXPECT_IDLE] = "idle",     [EXPECT_FINAL] = "final",
				    [EXPECT_NEVER] = "never",   [EXPECT_WITHIN] = "within", [EXPECT_COUNTS] = "counts",
				    [EXPECT_SEEN] = "seen",     [EXPECT_BALANCE] = "balance", [EXPECT_OTHERS] = "others"};

static void put(char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(char *out, const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + len, TEXT - len, fmt, ap);
	va_end(ap);
}

/* ---- texts ---- */

static void pattern_text(const struct pattern *p, char *out)
{
	bool arrow = false;

	for (unsigned i = 0; i < p->n; i++) {
		if (p->states[i] == PATH_ANYTHING) {
			put(out, "%s…", i ? " " : "");
			arrow = false;
			continue;
		}
		put(out, "%s%s", arrow ? " → " : i ? " " : "", state_full(p->states[i]));
		arrow = true;
	}
}

/* The last states that a device went through, as many as the pattern names. */
static void trail_text(const struct dev *d, const struct pattern *p, char *out)
{
	unsigned want = 1, n;
	char last[96];

	for (unsigned i = 0; i < p->n; i++)
		want += p->states[i] != PATH_ANYTHING;
	n = d->trail_n < ORACLE_TRAIL ? (unsigned)d->trail_n : ORACLE_TRAIL;
	if (p->states[0] == PATH_ANYTHING && want > 1)
		want--; /* as much as stands behind the "…" */
	if (n > want)
		n = want;
	if (n < d->trail_n)
		put(out, "… ");
	if (n == 0)
		put(out, "nothing");
	for (unsigned i = n; i > 1; i--)
		put(out, "%s → ", state_full(d->trail[(d->trail_n - i) % ORACLE_TRAIL].state));
	oracle_state_text(d, last, sizeof(last));
	if (n)
		put(out, "%s", last);
}

static void range_text(const struct range *r, char *out)
{
	if (r->min == r->max)
		put(out, "= %" PRId64, r->min);
	else if (r->max == INT64_MAX)
		put(out, "≥ %" PRId64, r->min);
	else if (r->min == INT64_MIN)
		put(out, "≤ %" PRId64, r->max);
	else
		put(out, "%" PRId64 "…%" PRId64, r->min, r->max);
}

static void match_text(json_t *match, char *out, bool shown)
{
	const char *name;
	json_t *v;

	json_object_foreach(match, name, v) {
		if (shown && json_is_string(v))
			put(out, " %s=%s", name, json_string_value(v));
		else if (shown)
			put(out, " %s=%" JSON_INTEGER_FORMAT, name, json_integer_value(v));
	}
}

static void expected_text(const struct expect *x, char *out)
{
	char span[32], who[80];

	out[0] = '\0';
	duration_text(x->ns, span, sizeof(span));
	switch (x->kind) {
	case EXPECT_PATH:
		pattern_text(&x->pattern, out);
		if (x->how == PATH_ANY)
			put(out, " for any device");
		if (x->how == PATH_COUNT) {
			put(out, " for a number of devices ");
			range_text(&x->range, out);
		}
		break;
	case EXPECT_IDLE:
		put(out, "IDLE");
		if (x->code)
			put(out, " (refused, %d)", x->code);
		if (x->ns)
			put(out, ", silent for %s", span);
		break;
	case EXPECT_FINAL:
		put(out, "%s at the end", state_full(x->state));
		break;
	case EXPECT_NEVER:
		put(out, "never %s", state_full(x->state));
		break;
	case EXPECT_WITHIN:
		put(out, "%s within %s of power on", state_full(x->state), span);
		break;
	case EXPECT_COUNTS:
	case EXPECT_SEEN:
		put(out, "%s", x->what);
		match_text(x->match, out, x->kind == EXPECT_SEEN);
		put(out, " ");
		range_text(&x->range, out);
		if (x->has_within)
			put(out, " within %s", span);
		if (x->has_before) {
			put(out, " before %s", journal_kind_name(x->before));
			match_text(x->before_match, out, true);
		}
		break;
	case EXPECT_OTHERS:
		put(out, "who is named by no fault lives as in the control run: path, SMS, tokens");
		break;
	case EXPECT_BALANCE:
		put(out, "SMS submitted = codes issued = SMS delivered");
		break;
	}
	who_text(&x->who, who, sizeof(who));
	if (who[0])
		put(out, " (%s)", who);
}

/* ---- one device ---- */

static bool idle_holds(const struct expect *x, const struct dev *d, time_ns end, char *got)
{
	const struct step_of_trail *s = d->trail_n ? &d->trail[(d->trail_n - 1) % ORACLE_TRAIL] : NULL;
	char span[32];

	oracle_state_text(d, got, TEXT);
	if (d->state != STATE_IDLE || !s || (x->code && s->code != x->code))
		return false;
	if (d->quiet_sent) {
		put(got, ", then %" PRIu64 " datagrams sent", d->quiet_sent);
		return false;
	}
	if (x->ns && end - d->since < x->ns) {
		put(got, ", watched for %s only", duration_text(end - d->since, span, sizeof(span)));
		return false;
	}
	return true;
}

static bool within_holds(const struct expect *x, const struct dev *d, char *got)
{
	time_ns first = d->first[x->state];

	if (!d->powered || first == TIME_NEVER) {
		oracle_state_text(d, got, TEXT);
		return false;
	}
	if (first <= time_add(d->power_on, x->ns))
		return true;
	snprintf(got, TEXT, "%s later than that", state_full(x->state));
	return false;
}

/* Does it hold for `d`? Else `got`, and `t` the instant that shows it. */
static bool holds(const struct expect *x, const struct dev *d, time_ns end, char *got, time_ns *t)
{
	got[0] = '\0';
	*t = d->since;
	switch (x->kind) {
	case EXPECT_PATH:
		if (pattern_ends(&x->pattern, d->paths[x->path_index]))
			return true;
		trail_text(d, &x->pattern, got);
		return false;
	case EXPECT_IDLE:
		return idle_holds(x, d, end, got);
	case EXPECT_FINAL:
		oracle_state_text(d, got, TEXT);
		return d->state == x->state;
	case EXPECT_NEVER:
		*t = d->first[x->state];
		put(got, "%s", state_full(x->state));
		return *t == TIME_NEVER;
	case EXPECT_WITHIN:
		if (d->first[x->state] != TIME_NEVER)
			*t = d->first[x->state];
		return within_holds(x, d, got);
	default:
		return true;
	}
}

/* `how: any` and `count` blame nobody in particular; the commonest way out is shown. */
static int judge_number(const struct expect *x, struct check_result *c, unsigned good)
{
	char got[TEXT] = "";
	struct range any = {1, INT64_MAX};

	if (range_has(x->how == PATH_ANY ? &any : &x->range, good))
		return 0;
	put(got, "%u of %u devices", good, c->devices);
	return check_fail(c, got, BLAME_UNKNOWN, NULL, NULL, TIME_NEVER);
}

/* Where nobody is known to blame: the harness, if it may have missed `span` by itself. */
static enum blame or_lag(const struct oracle *o, time_ns span, enum blame blame, const char **why)
{
	if (blame != BLAME_UNKNOWN || *why)
		return blame;
	*why = oracle_lagged(o, span);
	return *why ? BLAME_HARNESS : BLAME_UNKNOWN;
}

static int judge_devices(const struct oracle *o, const struct expect *x, struct check_result *c, time_ns end)
{
	bool each = x->kind != EXPECT_PATH || x->how == PATH_ALL;
	struct dev *d, *next;
	char got[TEXT];
	unsigned good = 0;
	const char *why;
	enum blame blame;
	time_ns t;

	HASH_ITER(hh, o->devs, d, next) {
		if (!d->added || !oracle_who(&x->who, d))
			continue;
		c->devices++;
		if (holds(x, d, end, got, &t)) {
			good++;
			continue;
		}
		if (!each)
			continue;
		blame = oracle_blame(o, d, &why);
		if (x->kind == EXPECT_WITHIN)
			blame = or_lag(o, x->ns, blame, &why);
		if (check_fail(c, got, blame, why, d->label, oracle_since_start(o, t)))
			return ERR_NOMEM;
	}
	if (c->devices == 0)
		return check_unjudged(c, "no such device took part");
	/* no line behind the entry means that nothing moved, where lines are written at all */
	if (x->kind == EXPECT_IDLE && c->status == CHECK_PASSED && x->ns && !o->counts_seen)
		return check_unjudged(c, "nobody counted datagrams");
	return each ? 0 : judge_number(x, c, good);
}

/* ---- counts ---- */

/* Whose lines an event is: without them nothing can be said of it. */
static bool is_servers(enum journal_kind k)
{
	switch (k) {
	case J_SERVER_DECISION:
	case J_SERVER_REPLY:
	case J_SERVER_STATE:
	case J_OPERATOR:
	case J_SERVER_ALARM:
	case J_KEY_ADDED:
	case J_KEY_RETIRED:
	case J_CODE_ISSUED:
	case J_CODE_USED:
	case J_CODE_VOID:
	case J_TOKEN_ISSUED:
	case J_TOKEN_PRESENTED:
	case J_TOKEN_REVOKED:
	case J_SMS_QUEUED:
	case J_COMMAND_QUEUED:
	case J_COMMAND_SENT:
	case J_COMMAND_CLOSED:
		return true;
	default:
		return false;
	}
}

/* The first finding of a device that the count is about. */
static enum blame blame_of(const struct oracle *o, const struct expect *x, const char **why)
{
	struct dev *d, *next;

	HASH_ITER(hh, o->devs, d, next)
		if (d->blame_why && (x->who.kind == WHO_SERVER || x->who.kind == WHO_MODEM || oracle_who(&x->who, d)))
			return oracle_blame(o, d, why);
	*why = NULL;
	return BLAME_UNKNOWN;
}

static int judge_count(const struct oracle *o, const struct expect *x, struct check_result *c)
{
	char got[TEXT] = "";
	const char *why;
	enum blame blame;

	if (is_servers(x->event) && !o->server_seen)
		return check_unjudged(c, "no server journal");
	if (x->has_before && is_servers(x->before) && !o->server_seen)
		return check_unjudged(c, "no server journal");
	if (range_has(&x->range, x->count) && (!x->has_before || x->before_came))
		return 0;
	blame = blame_of(o, x, &why);
	if (x->count < x->range.min) /* too many are not the harness's doing */
		blame = or_lag(o, x->has_within ? x->ns : TIME_NEVER, blame, &why);
	put(got, "%s = %" PRId64, x->what, x->count);
	if (x->has_before && !x->before_came)
		put(got, ", and no %s at all", journal_kind_name(x->before));
	return check_fail(c, got, blame, why, NULL, TIME_NEVER);
}

/* An SMS that went missing with no fault to ask for it is the carrier's or a modem's. */
static enum blame balance_blame(const struct oracle *o, const char **why)
{
	struct dev *d, *next;

	HASH_ITER(hh, o->devs, d, next) {
		enum blame blame = sms_evidence(o, d, why);

		if (*why)
			return blame;
	}
	*why = NULL;
	return BLAME_UNKNOWN;
}

static int judge_balance(const struct oracle *o, struct check_result *c)
{
	char got[TEXT] = "";
	const char *why;
	enum blame blame;

	if (!o->server_seen)
		return check_unjudged(c, "no server journal");
	if (o->work.sms.submitted == o->work.sms.issued && o->work.sms.delivered == o->work.sms.issued)
		return 0;
	put(got, "%" PRIu64 " submitted, %" PRIu64 " issued, %" PRIu64 " delivered", o->work.sms.submitted,
	    o->work.sms.issued, o->work.sms.delivered);
	blame = balance_blame(o, &why);
	return check_fail(c, got, blame, why, NULL, TIME_NEVER);
}

/* Against the control's lives, which whoever ran it has put into the plan. */
static int judge_others(const struct oracle *o, struct check_result *c)
{
	json_t *control = json_object_get(o->plan, "control"), *lives = json_object_get(control, "lives");
	const char *failed = json_string_value(json_object_get(control, "failed")), *why;
	struct dev *d, *next;
	enum blame blame;
	char got[TEXT];

	if (!lives)
		return check_unjudged(c, failed ? failed : "there was no control run");
	HASH_ITER(hh, o->devs, d, next) {
		if (!d->added || d->faulted)
			continue;
		c->devices++;
		if (lives_same(d, lives, got, sizeof(got)))
			continue;
		blame = oracle_blame(o, d, &why);
		if (check_fail(c, got, blame, why, d->label, TIME_NEVER))
			return ERR_NOMEM;
	}
	return c->devices ? 0 : check_unjudged(c, "the faults name every device");
}

static int judge_expect(const struct oracle *o, const struct expect *x, time_ns end, struct scenario_result *out)
{
	char text[TEXT];
	struct check_result *c;

	expected_text(x, text);
	c = scenario_add_check(out, CHECK_EXPECTATION, names[x->kind], &x->at, text);
	if (!c)
		return ERR_NOMEM;
	if (x->who.kind == WHO_RATIO && !o->shares_members[x->who.index])
		return check_unjudged(c, "the journal names no device of the share");
	if (x->kind == EXPECT_BALANCE)
		return judge_balance(o, c);
	if (x->kind == EXPECT_OTHERS)
		return judge_others(o, c);
	if (x->kind == EXPECT_COUNTS || x->kind == EXPECT_SEEN)
		return judge_count(o, x, c);
	return judge_devices(o, x, c, end);
}

/* ---- thresholds ---- */

static bool compare(const char *cmp, double a, double b)
{
	if (strcmp(cmp, "<") == 0)
		return a < b;
	if (strcmp(cmp, "<=") == 0)
		return a <= b;
	return strcmp(cmp, ">") == 0 ? a > b : a >= b;
}

/* A rate counts from the scenario's start to the last sample: what comes behind it is no
 * lack of them. */
static double threshold_got(const struct oracle *o, const struct threshold *t, const struct histogram *h)
{
	double s;

	if (t->q > -3)
		return t->q == -1 ? histogram_mean(h) : t->q == -2 ? (double)h->max : (double)histogram_quantile(h, t->q);
	s = (double)(o->sampled[t->metric] - o->start) / 1e9;
	return s > 0 ? (double)h->count / s : 0;
}

static int judge_threshold(const struct oracle *o, const struct threshold *t, struct scenario_result *out)
{
	struct check_result *c = scenario_add_check(out, CHECK_THRESHOLD, "threshold", &t->at, t->text);
	const char *why = oracle_lagged(o, TIME_NEVER);
	const struct histogram *h;
	char got[TEXT] = "", text[40];
	double value;

	if (!c)
		return ERR_NOMEM;
	if (t->metric < 0 || t->q <= -4)
		return check_unjudged(c, "not measured from the journal");
	h = &out->metrics[t->metric];
	if (h->count < t->min_samples || h->count == 0) {
		put(got, "%" PRIu64 " samples, wanted %" PRIu64, h->count, t->min_samples ? t->min_samples : 1);
		return check_fail(c, got, why ? BLAME_HARNESS : BLAME_UNKNOWN, why, NULL, TIME_NEVER);
	}
	value = threshold_got(o, t, h);
	if (compare(t->cmp, value, t->value))
		return 0;
	/* whoever measures that much too late cannot say that it was too slow; memory is no time */
	if (!why && t->q > -3 && t->metric != METRIC_SERVER_MEMORY && o->lag_ns >= HARNESS_LAG_MIN &&
	    compare(t->cmp, value - (double)o->lag_ns, t->value))
		why = o->lag_text;
	threshold_value(t, value, text, sizeof(text));
	put(got, "%s of %" PRIu64 " samples", text, h->count);
	return check_fail(c, got, why ? BLAME_HARNESS : BLAME_UNKNOWN, why, NULL, TIME_NEVER);
}

bool expects_final(const struct expects *x, const struct dev *d)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->e[i].kind == EXPECT_FINAL && x->e[i].state == d->state && oracle_who(&x->e[i].who, d))
			return true;
	return false;
}

/* Was `x` missed by something that might still have come, had the scenario gone on? */
static bool too_early(const struct oracle *o, const struct expect *x, const struct check_result *c)
{
	struct dev *d, *next;

	if (c->status != CHECK_FAILED)
		return false;
	if (x->kind == EXPECT_COUNTS || x->kind == EXPECT_SEEN)
		return x->count < x->range.min;
	HASH_ITER(hh, o->devs, d, next) {
		if (x->kind != EXPECT_PATH || !d->added || !oracle_who(&x->who, d) ||
		    (d->state != STATE_PV && d->state != STATE_PA))
			continue;
		for (unsigned i = 0; i < x->pattern.n; i++)
			if (x->pattern.states[i] < STATE_COUNT && d->first[x->pattern.states[i]] == TIME_NEVER)
				return true;
	}
	return false;
}

/* A scenario ends where every device has settled, whatever its counts and paths ask for: who did not
 * know wonders why so little was seen. */
static int tell_early_end(const struct oracle *o, const struct expects *x, size_t first, time_ns end,
			  struct scenario_result *out)
{
	char span[32];

	if (strcmp(o->end_why, "settled") != 0)
		return 0;
	for (size_t i = 0; i < x->n; i++)
		if (too_early(o, &x->e[i], &out->checks[first + i]))
			return scenario_note(out, "it ended at +%s, when every device had settled; a step as {sleep: 10s} makes "
					     "it last", duration_text(oracle_since_start(o, end), span, sizeof(span)));
	return 0;
}

int expects_judge(struct expects *x, const struct oracle *o, time_ns end, struct scenario_result *out)
{
	size_t first = out->checks_n;

	for (size_t i = 0; i < x->n; i++)
		if (judge_expect(o, &x->e[i], end, out))
			return ERR_NOMEM;
	if (tell_early_end(o, x, first, end, out))
		return ERR_NOMEM;
	for (size_t i = 0; i < x->t_n; i++)
		if (judge_threshold(o, &x->t[i], out))
			return ERR_NOMEM;
	return 0;
}
