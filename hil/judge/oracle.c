#include "hil/judge/oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/oracle_priv.h"
#include "hil/judge/oracle_plan.h"
#include "hil/judge/secret.h"
#include "hil/judge/table.h"

/* ---- life cycle ---- */

static int make_invariants(struct oracle *o)
{
	static const struct {
		const char *name, *text;
	} all[] = {
#define ROW(name, id, text) {id, text},
		INVARIANT_TABLE(ROW)
#undef ROW
	};

	for (unsigned i = 0; i < INV_COUNT; i++) {
		o->inv[i].kind = CHECK_INVARIANT;
		if (text_set(&o->inv[i].name, all[i].name) || text_set(&o->inv[i].expected, all[i].text))
			return ERR_NOMEM;
	}
	return 0;
}

struct oracle *oracle_new(json_t *plan, const struct oracle_options *opt, struct err *e)
{
	struct oracle *o = calloc(1, sizeof(*o));

	if (!o || make_invariants(o)) {
		err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	o->plan = plan;
	o->key_retired_t = TIME_NEVER;
	lives_begin(o);
	if (opt) {
		o->verdict.allow_unjudged = opt->allow_unjudged;
		o->verdict.today = opt->today;
	}
	o->expects = expects_new(plan, e);
	if (!o->expects || oracle_plan_read(o, plan, e) || oracle_plan_shares(o, e))
		goto fail;
	return o;
fail:
	oracle_free(o);
	return NULL;
}

static void dev_free(struct oracle *o, struct dev *d)
{
	HASH_DEL(o->devs, d);
	for (unsigned i = 0; i < d->codes_n; i++) {
		if (d->codes[i]->hashed)
			HASH_DEL(o->codes, d->codes[i]);
		free(d->codes[i]);
	}
	free(d->codes);
	free(d->fams);
	free(d->told);
	free(d->paths);
	free(d->label);
	free(d->group);
	free(d->blame_why);
	buf_fini(&d->path);
	free(d);
}

void oracle_free(struct oracle *o)
{
	struct dev *d, *next;

	if (!o)
		return;
	HASH_ITER(hh, o->devs, d, next)
		dev_free(o, d);
	for (unsigned i = 0; i < INV_COUNT; i++)
		check_result_fini(&o->inv[i]);
	conduct_fini(o);
	oracle_plan_free(o);
	scenario_result_fini(&o->work);
	expects_free(o->expects);
	free(o);
}

unsigned oracle_in_state(const struct oracle *o, enum state_name s)
{
	return s < STATE_COUNT ? o->in_state[s] : 0;
}

unsigned oracle_violations(const struct oracle *o)
{
	return o->violations;
}

/* ---- what the parts share ---- */

time_ns oracle_since_start(const struct oracle *o, time_ns t)
{
	return t == TIME_NEVER || t < o->start ? TIME_NEVER : t - o->start;
}

void oracle_find(struct oracle *o, enum invariant inv, struct dev *d, time_ns t, enum blame blame, const char *fmt,
		 ...)
{
	char text[256];
	va_list ap;

	if (d && d->forgiven & UINT64_C(1) << inv)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->violations++;
	if (check_fail(&o->inv[inv], text, blame, NULL, d ? d->label : NULL, oracle_since_start(o, t)))
		o->failed = ERR_NOMEM;
	if (d && !d->blame_why) {
		d->blame = blame;
		if (text_set(&d->blame_why, text))
			o->failed = ERR_NOMEM;
	}
}

const char *oracle_lagged(const struct oracle *o, time_ns span)
{
	time_ns limit = HARNESS_LAG_MAX;

	if (span != TIME_NEVER && span / HARNESS_LAG_SHARE < limit)
		limit = span / HARNESS_LAG_SHARE > HARNESS_LAG_MIN ? span / HARNESS_LAG_SHARE : HARNESS_LAG_MIN;
	return o->lag_ns < limit ? NULL : o->lag_text;
}

enum blame oracle_blame(const struct oracle *o, const struct dev *d, const char **why)
{
	*why = NULL;
	if (d && d->blame_why) {
		*why = d->blame_why;
		return d->blame;
	}
	/* an SMS that went missing explains only a device that never got in, and was not refused */
	if (d && d->state != STATE_PV && d->state != STATE_IDLE && d->first[STATE_PV] == TIME_NEVER && !d->sms_came) {
		enum blame blame = sms_evidence(o, d, why);

		if (*why)
			return blame;
	}
	*why = oracle_lagged(o, TIME_NEVER);
	return *why ? BLAME_HARNESS : BLAME_UNKNOWN;
}

int oracle_sample(struct oracle *o, enum metric m, uint64_t value, time_ns t)
{
	if (t > o->sampled[m])
		o->sampled[m] = t;
	return histogram_add(&o->work.metrics[m], value);
}

bool oracle_who(const struct who *w, const struct dev *d)
{
	if (w->kind == WHO_RATIO)
		return d->shares >> w->index & 1;
	return who_has(w, d->group, d->index, d->named);
}

void oracle_state_text(const struct dev *d, char *out, size_t size)
{
	const struct step_of_trail *s = d->trail_n ? &d->trail[(d->trail_n - 1) % ORACLE_TRAIL] : NULL;
	const char *event = s ? strchr(row_id((enum row_name)s->row), '.') : NULL;

	if (!s || !event)
		snprintf(out, size, "%s", state_full(d->state));
	else if (d->state == STATE_OFF)
		snprintf(out, size, "OFF after %s", state_full((enum state_name)s->state));
	else if (s->state == STATE_IDLE && s->code > 0 && s->code != 200)
		snprintf(out, size, "IDLE (refused, %d)", s->code);
	else if (s->code > 0 && s->code != 200)
		snprintf(out, size, "%s (%d)", state_full((enum state_name)s->state), s->code);
	else if (s->state == STATE_NP || s->state == STATE_IDLE || s->state == STATE_PA)
		snprintf(out, size, "%s (%s)", state_full((enum state_name)s->state), event + 1);
	else
		snprintf(out, size, "%s", state_full((enum state_name)s->state));
}

/* ---- devices ---- */

static struct dev *add_dev(struct oracle *o, const char *uuid)
{
	struct dev *d = calloc(1, sizeof(*d));
	size_t paths = expects_paths(o->expects);

	if (!d)
		goto nomem;
	snprintf(d->uuid, sizeof(d->uuid), "%s", uuid);
	d->label = strdup(uuid); /* until it is announced */
	d->group = strdup("");
	d->paths = calloc(paths + 1, sizeof(*d->paths));
	if (!d->label || !d->group || !d->paths) {
		free(d->label);
		free(d->group);
		free(d->paths);
		free(d);
		goto nomem;
	}
	lives_dev(o, d);
	expects_path_start(o->expects, d->paths);
	for (unsigned i = 0; i < STATE_COUNT; i++)
		d->first[i] = TIME_NEVER;
	d->no_rules = true;
	d->fam_t = TIME_NEVER;
	d->keys_told_t = TIME_NEVER;
	conduct_init(&d->conduct);
	o->in_state[STATE_OFF]++;
	HASH_ADD_STR(o->devs, uuid, d);
	return d;
nomem:
	o->failed = ERR_NOMEM;
	return NULL;
}

struct dev *oracle_dev(struct oracle *o, const struct journal_event *ev)
{
	struct dev *d = NULL;

	if (!ev->dev || !ev->dev[0])
		return journal_has(ev, JF_CODE_FP) ? sms_owner(o, ev) : NULL;
	if (strlen(ev->dev) >= ORACLE_UUID)
		return NULL;
	HASH_FIND_STR(o->devs, ev->dev, d);
	return d ? d : add_dev(o, ev->dev);
}

static void on_added(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	const char *label = journal_text(ev, JF_LABEL), *bracket;
	int state = state_by_name(journal_text(ev, JF_STATE));

	if (!label[0] && ev->actor)
		label = ev->actor;
	if (text_set(&d->label, label) || text_set(&d->group, journal_text(ev, JF_GROUP)))
		o->failed = ERR_NOMEM;
	bracket = strrchr(label, '[');
	d->index = bracket ? (unsigned)strtoul(bracket + 1, NULL, 10) : 0;
	snprintf(d->to_fp, sizeof(d->to_fp), "%s", journal_text(ev, JF_TO_FP));
	d->added = true;
	d->no_rules = false;
	if (state > 0) { /* joins awake: it was powered on before this scenario */
		o->in_state[d->state]--;
		d->state = d->awake = (enum state_name)state;
		o->in_state[d->state]++;
		d->powered = true;
		d->power_on = ev->t;
	}
	oracle_plan_device(o, d);
}

/* ---- events ---- */

static void on_server_state(struct oracle *o, const struct journal_event *ev)
{
	const char *state = journal_text(ev, JF_STATE);

	if (o->ended) /* the runner takes everything down */
		return;
	if (strcmp(state, "down") == 0) {
		o->server_up = false;
		o->down_at = ev->t;
		death_event(o, journal_text(ev, JF_WHY), ev->t);
		snprintf(o->down_why, sizeof(o->down_why), "%s", journal_text(ev, JF_WHY));
		return;
	}
	if (strcmp(state, "recovered") == 0) {
		o->restarted = true;
		o->restart_t = ev->t;
		if (!o->expected_down)
			oracle_find(o, INV_SERVER, NULL, ev->t, BLAME_SERVER,
				    "the server went down and recovered, unasked");
	}
	o->server_up = true;
}

static void on_end(struct oracle *o, const struct journal_event *ev)
{
	o->ended = true;
	snprintf(o->end_why, sizeof(o->end_why), "%s", journal_text(ev, JF_WHY));
}

static void on_world(struct oracle *o, const struct journal_event *ev)
{
	switch (ev->kind) {
	case J_SCENARIO_START:
		o->start = ev->t;
		o->file_rig = strcmp(journal_text(ev, JF_RIG), "file") == 0;
		break;
	case J_SCENARIO_END:
		on_end(o, ev);
		break;
	case J_SERVER_STATE:
		on_server_state(o, ev);
		break;
	case J_STEP_DONE:
		oracle_plan_step(o, ev);
		break;
	case J_FAULT_ARMED:
	case J_FAULT_FIRED:
		oracle_plan_fault(o, ev);
		break;
	case J_OPERATOR:
		duty_operator(o, ev);
		break;
	case J_KEY_ADDED:
	case J_KEY_RETIRED:
		keys_event(o, ev);
		break;
	case J_SMS_SUBMITTED:
		o->work.sms.submitted++;
		break;
	case J_SMS_DELIVERED:
		o->work.sms.delivered++;
		break;
	case J_SMS_LOST:
		o->work.sms.lost++;
		break;
	case J_SMS_FAILED:
		o->work.sms.failed++;
		break;
	case J_SMS_UNKNOWN:
		o->work.sms.unknown++;
		break;
	case J_CODE_ISSUED:
		o->work.sms.issued++;
		break;
	case J_MODEM_STATE:
		sms_modem(o, ev);
		break;
	case J_NET_COUNT:
		o->counts_seen = true;
		break;
	case J_HARNESS_MEMORY:
		if (oracle_sample(o, METRIC_SERVER_MEMORY, (uint64_t)journal_int(ev, JF_BYTES, 0), ev->t))
			o->failed = ERR_NOMEM;
		break;
	case J_HARNESS_LAG:
		if (journal_int(ev, JF_LAG_NS, 0) <= (int64_t)o->lag_ns)
			break;
		o->lag_ns = (uint64_t)journal_int(ev, JF_LAG_NS, 0);
		snprintf(o->lag_text, sizeof(o->lag_text), "the harness itself lagged behind, by %" PRIu64 " ms at worst",
			 o->lag_ns / NS_PER_MS);
		break;
	default:
		break;
	}
}

void oracle_event(struct oracle *o, const struct journal_event *ev)
{
	struct dev *d;

	if (!o->started) {
		o->started = true;
		o->start = ev->t;
	}
	if (ev->t > o->last && !o->ended)
		o->last = ev->t;
	if (ev->kind == J_SERVER_STATE || ev->kind == J_SERVER_DECISION || ev->kind == J_SERVER_REPLY)
		o->server_seen = true;
	d = oracle_dev(o, ev);
	if (d && ev->kind == J_DEVICE_ADDED)
		on_added(o, d, ev);
	if (d && ev->kind == J_DEVICE_CHOSEN)
		oracle_plan_chosen(o, d, ev);
	on_world(o, ev);
	if (d) {
		life_event(o, d, ev);
		conduct_event(o, d, ev);
		story_event(o, d, ev);
		sms_event(o, d, ev);
		tokens_event(o, d, ev);
		commands_event(o, d, ev);
	} else if (ev->kind == J_SERVER_DECISION) {
		story_nameless(o, (int)journal_int(ev, JF_CODE, 0));
	}
	if (d)
		lives_event(o, d, ev);
	/* behind the end the rig takes the server down, and with it the devices' links */
	if (!o->ended || (ev->kind != J_SERVER_STATE && ev->kind != J_DEVICE_STATE))
		expects_event(o->expects, o, d, ev);
}

void oracle_line(struct oracle *o, const char *line, size_t len)
{
	const char *what = secret_find(line, len);

	if (what)
		oracle_find(o, INV_SECRET, NULL, o->last, BLAME_UNKNOWN, "%s stands in the journal", what);
}

/* ---- the end ---- */

static void summarize(struct oracle *o)
{
	char text[96], most[96] = "", *list = NULL, *grown;
	struct dev *d, *next;
	bool same = true;

	HASH_ITER(hh, o->devs, d, next) {
		if (!d->added)
			continue;
		o->work.devices++;
		o->work.final[d->state]++;
		oracle_state_text(d, text, sizeof(text));
		if (!most[0])
			memcpy(most, text, sizeof(most));
		same = same && strcmp(most, text) == 0;
	}
	if (same) {
		if (text_set(&o->work.summary, most))
			o->failed = ERR_NOMEM;
		return;
	}
	for (unsigned s = 0; s < STATE_COUNT; s++) {
		if (!o->work.final[s])
			continue;
		grown = text_printf("%s%s%u %s", list ? list : "", list ? ", " : "", o->work.final[s],
				    state_full((enum state_name)s));
		free(list);
		list = grown;
	}
	o->work.summary = list;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int fail_end(struct oracle *o, const char *expected, const char *got, enum blame blame, time_ns t)
{
	struct check_result *c = scenario_add_check(&o->work, CHECK_STEP, "end", &o->work.source, expected);

	return c ? check_fail(c, got, blame, NULL, NULL, oracle_since_start(o, t)) : ERR_NOMEM;
}

static bool settled(const struct dev *d)
{
	return d->state == STATE_PV || d->state == STATE_PA || d->state == STATE_IDLE || d->state == STATE_OFF;
}

static int judge_timeout(struct oracle *o, time_ns t)
{
	const char *unfinished = oracle_plan_unfinished(o), *why;
	struct check_result *c =
		scenario_add_check(&o->work, CHECK_STEP, "end", &o->work.source, "steps done, every device settled in time");
	struct dev *d, *next;
	enum blame blame;
	char text[96];

	if (!c)
		return ERR_NOMEM;
	HASH_ITER(hh, o->devs, d, next) {
		if (!d->added)
			continue;
		conduct_settle(o, d, t, true);
		if (settled(d) || expects_final(o->expects, d))
			continue;
		oracle_state_text(d, text, sizeof(text));
		blame = oracle_blame(o, d, &why);
		if (check_fail(c, text, blame, why, d->label, oracle_since_start(o, t)))
			return ERR_NOMEM;
	}
	if (c->status == CHECK_PASSED && unfinished)
		return check_fail(c, unfinished, BLAME_UNKNOWN, NULL, NULL, oracle_since_start(o, t));
	return 0;
}

static int judge_end(struct oracle *o, const struct oracle_end *end, time_ns t)
{
	const char *why = o->end_why;

	if (end->harness)
		return fail_end(o, "the harness works", end->harness, BLAME_HARNESS, t);
	if (!o->ended && end->why && strcmp(end->why, "settled") != 0)
		return fail_end(o, "the journal is whole", end->why, BLAME_HARNESS, t);
	if (starts(why, "interrupted") || starts(why, "wall") || starts(why, "error"))
		return fail_end(o, "the scenario ends by itself", why, BLAME_HARNESS, t);
	if (starts(why, "timeout"))
		return judge_timeout(o, t);
	if (strcmp(why, "settled") == 0 || o->step_failed)
		return 0;
	return fail_end(o, "the scenario settles", why, BLAME_UNKNOWN, t);
}

/* Whoever never took part would be missing from every "all". */
static int judge_presence(struct oracle *o, time_ns t)
{
	uint64_t wanted = oracle_plan_devices(o);
	char got[80];

	if (o->work.devices >= wanted)
		return 0;
	snprintf(got, sizeof(got), "%u of %" PRIu64 " devices", o->work.devices, wanted);
	return fail_end(o, "every device of the plan takes part", got, BLAME_HARNESS, t);
}

static bool took_sms(const struct oracle *o)
{
	return o->work.rows[ROW_NP_SMS] || o->work.rows[ROW_RG_SMS] || o->work.rows[ROW_AC_SMS];
}

/* Invariants that say something of what the server did, or of datagrams: without the
 * lines of those who tell of it they have not been looked at. */
static const char *untold(const struct oracle *o, enum invariant inv)
{
	switch (inv) {
	case INV_STORIES:
	case INV_CODE:
	case INV_RIGHT_CODE:
	case INV_ONE_CODE:
	case INV_FAMILY:
	case INV_OWNER:
	case INV_EXPIRY:
	case INV_CLOCK:
	case INV_KEYS:
	case INV_CODES:
	case INV_SIGNED:
	case INV_ACK:
	case INV_BUDGET:
	case INV_SERVER:
		return o->server_seen ? NULL : "no server journal";
	case INV_SILENT:
		return o->counts_seen ? NULL : "nobody counted datagrams";
	case INV_TAKES_CODE:
		return o->delivered_seen || !took_sms(o) ? NULL : "nobody told of SMS";
	default:
		return NULL;
	}
}

static int take_invariants(struct oracle *o)
{
	for (unsigned i = 0; i < INV_COUNT; i++) {
		const char *why = untold(o, (enum invariant)i);

		o->inv[i].devices = o->work.devices;
		if (why && o->inv[i].status == CHECK_PASSED && check_unjudged(&o->inv[i], why))
			return ERR_NOMEM;
		if (scenario_take_check(&o->work, &o->inv[i]))
			return ERR_NOMEM;
	}
	return 0;
}

static void judge_server(struct oracle *o, const struct oracle_end *end, time_ns t)
{
	if (end->server_died)
		oracle_find(o, INV_SERVER, NULL, t, BLAME_SERVER, "the server ended: %s", end->server_died);
	else if (o->server_seen && !o->server_up && !o->down_for_good)
		oracle_find(o, INV_SERVER, NULL, o->down_at, BLAME_SERVER, "the server is down at the end%s%s",
			    o->down_why[0] ? ": " : "", o->down_why);
}

static int judge_devices(struct oracle *o)
{
	struct dev *d, *next;

	HASH_ITER(hh, o->devs, d, next) {
		conduct_settle(o, d, o->last, true);
		story_finish(o, d);
		sms_finish(o, d);
		tokens_settle(o, d, TIME_NEVER);
		if (d->powered && d->first[STATE_PV] != TIME_NEVER && d->first[STATE_PV] >= d->power_on &&
		    oracle_sample(o, METRIC_BOOTSTRAP_TIME, d->first[STATE_PV] - d->power_on, d->first[STATE_PV]))
			return ERR_NOMEM;
	}
	return 0;
}

/* Was it ended before it could show what it had to? */
static bool cut_short(const struct oracle *o, const struct oracle_end *end)
{
	return end->harness || (!o->ended && end->why && strcmp(end->why, "settled") != 0) ||
	       starts(o->end_why, "interrupted") || starts(o->end_why, "wall") || starts(o->end_why, "error");
}

/* What nobody is known to have done, and the end explains, is the end's. */
static int lay_to_the_end(struct oracle *o)
{
	for (size_t i = 0; i < o->work.checks_n; i++) {
		struct check_result *c = &o->work.checks[i];

		for (unsigned k = 0; c->kind != CHECK_INVARIANT && k < c->causes_n; k++) {
			if (c->causes[k].blame != BLAME_UNKNOWN)
				continue;
			c->causes[k].blame = BLAME_HARNESS;
			if (!c->causes[k].why && text_set(&c->causes[k].why, "it was cut short"))
				return ERR_NOMEM;
		}
	}
	return 0;
}

int oracle_finish(struct oracle *o, const struct oracle_end *end, struct scenario_result *out)
{
	static const struct oracle_end plain;
	json_t *id = json_object_get(o->plan, "id"), *skip = json_object_get(o->plan, "skip");
	time_ns t;

	end = end ? end : &plain;
	t = end->t ? end->t : o->last;
	if (!o->end_why[0])
		snprintf(o->end_why, sizeof(o->end_why), "%s", end->why ? end->why : "settled");
	o->work.duration_ns = t > o->start ? t - o->start : 0;
	if (place_parse(json_object_get(o->plan, "source"), &o->work.source) || judge_devices(o))
		return ERR_NOMEM;
	judge_server(o, end, t);
	sms_explain(o);
	summarize(o);
	if (oracle_plan_finish(o) || expects_judge(o->expects, o, t, &o->work) || judge_end(o, end, t))
		return ERR_NOMEM;
	if (cut_short(o, end) ? lay_to_the_end(o) : judge_presence(o, t))
		return ERR_NOMEM;
	if (take_invariants(o))
		return ERR_NOMEM;
	if (json_is_string(skip) && scenario_skip(&o->work, json_string_value(skip)))
		return ERR_NOMEM;
	if (verdict_decide(&o->work, json_object_get(o->plan, "xfail"), &o->verdict) ||
	    verdict_quarantine(&o->work, json_object_get(o->plan, "quarantine"), &o->verdict) || o->failed)
		return ERR_NOMEM;
	scenario_result_clear(out);
	if (!out->id && text_set(&out->id, json_string_value(id)))
		return ERR_NOMEM;
	o->work.id = out->id;
	*out = o->work;
	memset(&o->work, 0, sizeof(o->work));
	return 0;
}
