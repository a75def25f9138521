#include "hil/judge/oracle_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S	       86400u
#define STORE_GIVES_UP (10 * NS_PER_S) /* of nothing but failed commits */

char *duration_text(time_ns ns, char *out, size_t size)
{
	uint64_t s = ns / NS_PER_S, ms = ns % NS_PER_S / NS_PER_MS;

	if (ns < NS_PER_S)
		snprintf(out, size, "%" PRIu64 " ms", ms);
	else if (ms)
		snprintf(out, size, "%" PRIu64 ".%03" PRIu64 " s", s, ms);
	else if (s < 120)
		snprintf(out, size, "%" PRIu64 " s", s);
	else if (s < 2 * 3600)
		snprintf(out, size, s % 60 ? "%" PRIu64 " min %" PRIu64 " s" : "%" PRIu64 " min", s / 60, s % 60);
	else if (s < 2 * DAY_S)
		snprintf(out, size, s / 60 % 60 ? "%" PRIu64 " h %" PRIu64 " min" : "%" PRIu64 " h", s / 3600, s / 60 % 60);
	else
		snprintf(out, size, "%" PRIu64 " d", s / DAY_S);
	return out;
}

static const char *text_of(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int read_settings(struct oracle *o, json_t *plan, struct err *e)
{
	json_t *v, *settings = json_object_get(plan, "settings");
	const char *name;

	settings_rig(&o->settings);
	json_object_foreach(settings, name, v) {
		int k = setting_by_name(name);

		if (k < 0)
			return err_set(e, ERR_PARSE, "plan: unknown setting '%s'", name);
		if (!json_is_integer(v))
			return err_set(e, ERR_PARSE, "plan: setting '%s' is no integer", name);
		/* -1 is how a plan writes "off" */
		o->settings.v[k] = json_integer_value(v) == -1 ? SETTING_OFF : json_integer_value(v);
	}
	return 0;
}

static bool takes_server_down(const char *what)
{
	return strcmp(what, "kill") == 0 || strcmp(what, "crash") == 0 || strcmp(what, "stop") == 0 || strcmp(what, "restart") == 0 ||
	       strncmp(what, "server_", 7) == 0;
}

/* Does a fault or step on a machine befall the server? `whole`: the fault, which has the
 * event and the `who`. */
static bool is_servers(json_t *whole)
{
	static const char *const of_devices[] = {"device.", "tokens.", "handshake.", "conn.", "net."};
	const char *on = text_of(whole, "on");

	for (size_t i = 0; i < sizeof(of_devices) / sizeof(of_devices[0]); i++)
		if (strncmp(on, of_devices[i], strlen(of_devices[i])) == 0)
			return strcmp(on, "conn.path") == 0;
	return on[0] || json_object_get(json_object_get(whole, "who"), "server");
}

/* A disk that fails too long, or does not sync, ends the server (protocol.md §4). */
static bool ends_by_disk(json_t *args)
{
	json_t *length = json_object_get(args, "length_ns");

	return !length || json_integer_value(length) >= (json_int_t)(STORE_GIVES_UP - NS_PER_S);
}

/* `args` holds what the action says; of a step that is the step itself. */
static void note_disk(struct oracle *o, json_t *whole, json_t *args)
{
	const char *what = text_of(args, "what");

	if (!is_servers(whole)) {
		o->disk_faults = true;
	} else if (ends_by_disk(args)) {
		o->expected_down = o->server_disk = true;
		o->down_for_good = true;
		o->sync_faults = o->sync_faults || strcmp(what, "sync") == 0;
	}
}

static int64_t server_clock(json_t *whole, const char *what, json_t *args)
{
	return strcmp(what, "clock_step") == 0 && is_servers(whole) ? json_integer_value(json_object_get(args, "by_ms")) : 0;
}

static void note_server(struct oracle *o, json_t *action)
{
	const char *what = text_of(action, "do");

	o->clock_moves = o->clock_moves || strncmp(what, "clock", 5) == 0;
	if (strcmp(what, "start") == 0)
		o->down_for_good = false;
	if (!takes_server_down(what))
		return;
	o->expected_down = true;
	if (strcmp(what, "server_start") == 0 || strstr(what, "restart"))
		o->down_for_good = false;
	else
		o->down_for_good = true;
}

static void read_then(struct oracle *o, json_t *fault)
{
	json_t *then = json_object_get(fault, "then"), *args = json_object_get(then, "args");
	const char *what = text_of(then, "do");

	if (strncmp(what, "disk_", 5) == 0)
		note_disk(o, fault, args);
	o->clock_loose = o->clock_loose || server_clock(fault, what, args);
	note_server(o, then);
}

static int read_fault(struct oracle *o, json_t *j, struct plan_fault *f, struct err *e)
{
	if (text_set(&f->name, text_of(j, "name")) || text_set(&f->what, text_of(j, "do")) ||
	    place_parse(json_object_get(j, "source"), &f->at))
		return err_set(e, ERR_NOMEM, "out of memory");
	/* `times` of an event is a most; of a clock it is a promise */
	f->optional = json_object_get(j, "chance") || json_object_get(j, "while") ||
		      (json_object_get(j, "times") && (json_object_get(j, "on") || strcmp(f->what, "crash") == 0));
	f->clock_ms = server_clock(j, f->what, json_object_get(j, "args"));
	if (strncmp(f->what, "disk_", 5) == 0)
		note_disk(o, j, json_object_get(j, "args"));
	note_server(o, j);
	read_then(o, j);
	f->all = json_is_true(json_object_get(json_object_get(j, "who"), "all"));
	return who_from_plan(json_object_get(j, "who"), &f->who, e);
}

static int read_step(struct oracle *o, json_t *j, struct plan_step *s, struct err *e)
{
	json_t *within = json_object_get(j, "within_ns");
	const char *state = text_of(j, "state");
	char span[32], who[80];
	int rv = who_from_plan(json_object_get(j, "who"), &s->who, e);

	if (rv)
		return rv;
	s->state = -1;
	s->within = within ? (time_ns)json_integer_value(within) : TIME_NEVER;
	if (strcmp(text_of(j, "do"), "wait") == 0) {
		s->state = state_by_name(state);
		if (s->state < 0)
			return err_set(e, ERR_PARSE, "plan: a wait for the unknown state '%s'", state);
	}
	who_text(&s->who, who, sizeof(who));
	duration_text((time_ns)json_integer_value(within), span, sizeof(span));
	s->text = text_printf("%s%s%s%s%s%s%s", text_of(j, "do"), who[0] ? " " : "", who, state[0] ? " " : "",
			      s->state >= 0 ? state_full((enum state_name)s->state) : "", within ? " within " : "",
			      within ? span : "");
	s->clock_ms = server_clock(j, text_of(j, "do"), j);
	if (strncmp(text_of(j, "do"), "disk_", 5) == 0)
		note_disk(o, j, j);
	note_server(o, j);
	if (!s->text || place_parse(json_object_get(j, "source"), &s->at))
		return err_set(e, ERR_NOMEM, "out of memory");
	return 0;
}

int oracle_plan_read(struct oracle *o, json_t *plan, struct err *e)
{
	json_t *faults = json_object_get(plan, "faults"), *steps = json_object_get(plan, "steps"), *j;
	int rv = read_settings(o, plan, e);
	size_t i;

	if (rv)
		return rv;
	o->faults = calloc(json_array_size(faults) + 1, sizeof(*o->faults));
	o->steps = calloc(json_array_size(steps) + 1, sizeof(*o->steps));
	if (!o->faults || !o->steps)
		return err_set(e, ERR_NOMEM, "out of memory");
	json_array_foreach(faults, i, j) {
		rv = read_fault(o, j, &o->faults[o->faults_n++], e);
		if (rv)
			return rv;
	}
	json_array_foreach(steps, i, j) {
		rv = read_step(o, j, &o->steps[o->steps_n++], e);
		if (rv)
			return rv;
	}
	return 0;
}

/* ---- shares of groups ---- */

enum asker { BY_EXPECT, BY_STEP, BY_FAULT };

static int number_share(struct oracle *o, struct who *w, enum asker by, struct err *e)
{
	unsigned i;

	if (w->kind != WHO_RATIO)
		return 0;
	for (i = 0; i < o->shares_n && strcmp(o->shares[i], w->name) != 0; i++)
		;
	if (i == ORACLE_SHARES)
		return err_set(e, ERR_LIMIT, "plan: more than %d different shares of groups", ORACLE_SHARES);
	if (i == o->shares_n)
		memcpy(o->shares[o->shares_n++], w->name, sizeof(w->name));
	if (by != BY_EXPECT)
		o->shares_named |= UINT32_C(1) << i;
	if (by == BY_FAULT)
		o->shares_faulted |= UINT32_C(1) << i;
	w->index = i;
	return 0;
}

int oracle_plan_shares(struct oracle *o, struct err *e)
{
	struct who *w;
	int rv = 0;

	for (size_t i = 0; i < o->faults_n && !rv; i++)
		rv = number_share(o, &o->faults[i].who, BY_FAULT, e);
	for (size_t i = 0; i < o->steps_n && !rv; i++)
		rv = number_share(o, &o->steps[i].who, BY_STEP, e);
	for (size_t i = 0; (w = expects_who(o->expects, i)) && !rv; i++)
		rv = number_share(o, w, BY_EXPECT, e);
	return rv;
}

void oracle_plan_chosen(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	for (unsigned i = 0; i < o->shares_n; i++) {
		if (strcmp(o->shares[i], journal_text(ev, JF_NAME)) != 0 || (d->shares >> i & 1))
			continue;
		d->shares |= UINT32_C(1) << i;
		d->named = d->named || (o->shares_named >> i & 1);
		d->faulted = d->faulted || (o->shares_faulted >> i & 1);
		o->shares_members[i]++;
	}
}

void oracle_plan_free(struct oracle *o)
{
	for (size_t i = 0; i < o->faults_n; i++) {
		free(o->faults[i].name);
		free(o->faults[i].what);
		free(o->faults[i].at.file);
	}
	for (size_t i = 0; i < o->steps_n; i++) {
		free(o->steps[i].text);
		free(o->steps[i].at.file);
	}
	free(o->faults);
	free(o->steps);
}

/* Is the device one that a fault or a step names? `all` names nobody. */
static bool names(const struct who *w, const struct dev *d)
{
	return (w->kind == WHO_GROUP || w->kind == WHO_INDEX) && who_has(w, d->group, d->index, false);
}

/* What the firmware does wrong because the scenario says so; all else is held against it. */
static uint64_t forgiven(json_t *defects)
{
	static const struct {
		const char *defect;
		enum invariant inv;
	} breaks[] = {{"keeps-old-refresh", INV_STORED}};
	uint64_t out = 0;
	json_t *one;
	size_t i;

	json_array_foreach(defects, i, one) {
		for (size_t k = 0; k < sizeof(breaks) / sizeof(breaks[0]); k++)
			if (json_is_string(one) && strcmp(json_string_value(one), breaks[k].defect) == 0)
				out |= UINT64_C(1) << breaks[k].inv;
	}
	return out;
}

void oracle_plan_device(struct oracle *o, struct dev *d)
{
	json_t *group;
	size_t i;

	for (i = 0; i < o->faults_n && !d->faulted; i++)
		d->faulted = o->faults[i].all || names(&o->faults[i].who, d);
	for (i = 0; i < o->faults_n && !d->named; i++)
		d->named = names(&o->faults[i].who, d);
	for (i = 0; i < o->steps_n && !d->named; i++)
		d->named = names(&o->steps[i].who, d);
	json_array_foreach(json_object_get(o->plan, "groups"), i, group) {
		if (strcmp(text_of(group, "name"), d->group) != 0)
			continue;
		d->accept_unsigned = json_is_true(json_object_get(group, "accept_unsigned"));
		d->forgiven = forgiven(json_object_get(group, "defects"));
		d->disabled = json_is_true(json_object_get(group, "disabled"));
		d->stranger = json_is_false(json_object_get(group, "known"));
	}
}

void oracle_plan_step(struct oracle *o, const struct journal_event *ev)
{
	int64_t at = journal_int(ev, JF_COUNT, -1);
	struct check_result *c;
	struct dev *d, *next;
	struct plan_step *s;
	char got[96];
	const char *why;
	enum blame blame;

	if (at < 0 || (size_t)at >= o->steps_n)
		return;
	s = &o->steps[at];
	s->done = true;
	o->server_clock_ms += s->clock_ms;
	if (strcmp(journal_text(ev, JF_WHY), "timeout") != 0)
		return;
	o->step_failed = true;
	c = scenario_add_check(&o->work, CHECK_STEP, "wait", &s->at, s->text);
	if (!c)
		goto nomem;
	HASH_ITER(hh, o->devs, d, next) {
		if (!d->added || !oracle_who(&s->who, d))
			continue;
		c->devices++;
		if ((int)d->state == s->state)
			continue;
		conduct_settle(o, d, ev->t, false);
		oracle_state_text(d, got, sizeof(got));
		blame = oracle_blame(o, d, &why);
		if (blame == BLAME_UNKNOWN && !why && (why = oracle_lagged(o, s->within)))
			blame = BLAME_HARNESS;
		if (check_fail(c, got, blame, why, d->label, oracle_since_start(o, ev->t)))
			goto nomem;
	}
	if (c->status == CHECK_PASSED &&
	    check_fail(c, "timed out", BLAME_UNKNOWN, NULL, NULL, oracle_since_start(o, ev->t)))
		goto nomem;
	return;
nomem:
	o->failed = ERR_NOMEM;
}

/* Armed as "suite/name:f1" where an actor serves several scenarios. */
static bool is_name(const char *armed, const char *name)
{
	size_t a = strlen(armed), n = strlen(name);

	return n && a >= n && strcmp(armed + a - n, name) == 0 && (a == n || armed[a - n - 1] == ':');
}

json_t *oracle_plan_fault_named(const struct oracle *o, const char *name)
{
	for (size_t i = 0; i < o->faults_n; i++)
		if (is_name(name, o->faults[i].name))
			return json_array_get(json_object_get(o->plan, "faults"), i);
	return NULL;
}

void oracle_plan_fault(struct oracle *o, const struct journal_event *ev)
{
	const char *name = journal_text(ev, JF_NAME);

	if (ev->kind == J_FAULT_FIRED && !ev->dev && strncmp(journal_text(ev, JF_WHY), "sms.", 4) == 0)
		o->sms_fault = true;
	for (size_t i = 0; i < o->faults_n; i++) {
		if (!is_name(name, o->faults[i].name))
			continue;
		o->faults[i].fired += ev->kind == J_FAULT_FIRED;
		if (ev->kind == J_FAULT_FIRED)
			o->server_clock_ms += o->faults[i].clock_ms;
		if (ev->kind == J_FAULT_FIRED && o->faults[i].who.kind == WHO_MODEM)
			o->sms_fault = true;
	}
}

uint64_t oracle_plan_devices(const struct oracle *o)
{
	json_t *group;
	uint64_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(o->plan, "groups"), i, group)
		n += (uint64_t)json_integer_value(json_object_get(group, "count"));
	return n;
}

const char *oracle_plan_unfinished(struct oracle *o)
{
	for (size_t i = 0; i < o->steps_n; i++) {
		if (o->steps[i].done)
			continue;
		snprintf(o->unfinished, sizeof(o->unfinished), "step %zu of %zu (%s) never ended", i + 1, o->steps_n,
			 o->steps[i].text);
		return o->unfinished;
	}
	return NULL;
}

#define MEMBERS_SHOWN 20

/* Whom each share chose: "A:10% is A[3], A[17]". */
static int tell_shares(struct oracle *o)
{
	for (unsigned i = 0; i < o->shares_n; i++) {
		char list[512] = "";
		unsigned shown = 0;
		struct dev *d, *next;

		HASH_ITER(hh, o->devs, d, next) {
			size_t used = strlen(list);

			if ((d->shares >> i & 1) && shown++ < MEMBERS_SHOWN)
				snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", d->label);
		}
		if (shown > MEMBERS_SHOWN)
			snprintf(list + strlen(list), sizeof(list) - strlen(list), " and %u more", shown - MEMBERS_SHOWN);
		if (shown && scenario_note(&o->work, "%s is %s", o->shares[i], list))
			return ERR_NOMEM;
	}
	return 0;
}

int oracle_plan_finish(struct oracle *o)
{
	if (tell_shares(o))
		return ERR_NOMEM;
	for (size_t i = 0; i < o->faults_n; i++) {
		struct plan_fault *f = &o->faults[i];
		struct check_result *c;
		char text[160];

		if (!f->fired && (f->optional || o->step_failed)) {
			if (scenario_note(&o->work, "fault %s (%s) never fired", f->name, f->what))
				return ERR_NOMEM;
			continue;
		}
		snprintf(text, sizeof(text), "fault %s (%s) fires", f->name, f->what);
		c = scenario_add_check(&o->work, CHECK_FAULT, "fired", &f->at, text);
		if (!c)
			return ERR_NOMEM;
		snprintf(text, sizeof(text), "fault %s never fired", f->name);
		if (!f->fired && check_fail(c, text, BLAME_UNKNOWN, NULL, NULL, TIME_NEVER))
			return ERR_NOMEM;
	}
	return 0;
}
