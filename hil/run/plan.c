#include "hil/run/plan_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

static int read_settings(struct plan *p, struct err *e)
{
	const char *name;
	json_t *value;

	settings_rig(&p->settings);
	json_object_foreach(json_object_get(p->json, "settings"), name, value)
	{
		int k = setting_by_name(name);

		if (k < 0 || !json_is_integer(value))
			return err_set(e, ERR_PARSE, "plan %s: unknown setting '%s'", p->id, name);
		p->settings.v[k] = json_integer_value(value) == -1 ? SETTING_OFF : json_integer_value(value);
	}
	return 0;
}

/* The scenario's own seed: from the file's and the id, so that two scenarios of one
 * file never share a draw. */
static uint64_t derive_seed(const char *text, const char *id)
{
	char joined[256];
	uint8_t digest[HASH_SIZE];
	uint64_t seed = 0;

	snprintf(joined, sizeof(joined), "%" PRIx64 " %s", (uint64_t)strtoull(text, NULL, 0), id);
	hash_sha256(joined, strlen(joined), digest);
	for (int i = 0; i < 8; i++)
		seed = seed << 8 | digest[i];
	return seed;
}

static void want_final(struct plan *p, unsigned index, void *arg)
{
	p->final[index] = *(enum state_name *)arg;
}

static void read_expect(struct plan *p)
{
	json_t *expect = json_object_get(p->json, "expect"), *one;
	size_t i;

	for (unsigned k = 0; k < p->count; k++)
		p->final[k] = STATE_COUNT;
	json_array_foreach(json_object_get(expect, "final"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "state"));
		int s = name ? state_by_name(name) : -1;
		enum state_name state = (enum state_name)s;

		if (s >= 0)
			plan_each(p, json_object_get(one, "who"), want_final, &state);
	}
	json_array_foreach(json_object_get(expect, "idle"), i, one)
	{
		time_ns silent = (time_ns)json_integer_value(json_object_get(one, "silent_for_ns"));

		if (silent > p->silent_for)
			p->silent_for = silent;
	}
}

struct plan *plan_new(json_t *json, const struct plan_rig *rig, struct journal *journal, struct err *e)
{
	struct plan *p = calloc(1, sizeof(*p));
	json_t *modems = json_object_get(json, "modems");
	const char *seed = json_string_value(json_object_get(json, "seed")), *seed_id;

	if (!p) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->json = json;
	p->rig = *rig;
	p->journal = journal;
	p->id = json_string_value(json_object_get(json, "id"));
	if (!p->id || !seed || json_integer_value(json_object_get(json, "v")) != 1) {
		err_set(e, ERR_PARSE, "not a plan of version 1: id, seed and v are needed");
		goto fail;
	}
	seed_id = json_string_value(json_object_get(json, "seed_id"));
	p->seed = derive_seed(seed, seed_id ? seed_id : p->id);
	p->hold = (time_ns)json_integer_value(json_object_get(json, "hold_ns"));
	p->senders = (unsigned)json_integer_value(json_object_get(modems, "senders"));
	p->receivers = (unsigned)json_integer_value(json_object_get(modems, "receivers"));
	if (!p->senders)
		p->senders = 4;
	if (!p->receivers)
		p->receivers = 2;
	if (rig->receivers)
		p->receivers = rig->receivers_n;
	p->steps = json_object_get(json, "steps");
	/* a live rig may have more senders than one scenario asks for: all are known */
	for (unsigned i = 0; i < PLAN_SENDERS_MAX; i++) {
		plan_sender_number(i, p->sender_numbers[i]);
		p->known_senders[i] = p->sender_numbers[i];
	}
	if (read_settings(p, e) || plan_read_groups(p, e))
		goto fail;
	if (plan_network_told(p) > p->hold)
		p->hold = plan_network_told(p);
	read_expect(p);
	return p;
fail:
	plan_free(p);
	return NULL;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	free(p->devices);
	json_decref(p->by_uuid);
	free(p->arrive);
	free(p->final);
	free(p->later);
	free(p);
}

const char *plan_id(const struct plan *p)
{
	return p->id;
}

uint64_t plan_seed(const struct plan *p)
{
	return p->seed;
}

const struct settings *plan_settings(const struct plan *p)
{
	return &p->settings;
}

time_ns plan_day(const struct plan *p)
{
	return (time_ns)json_integer_value(json_object_get(p->json, "start_ns"));
}

unsigned plan_senders(const struct plan *p)
{
	return p->senders;
}

unsigned plan_receivers(const struct plan *p)
{
	return p->receivers;
}

json_t *plan_faults(const struct plan *p)
{
	return json_object_get(p->json, "faults");
}

json_t *plan_modems(const struct plan *p)
{
	return json_object_get(p->json, "modems");
}

const char *const *plan_known_senders(const struct plan *p)
{
	if (p->rig.senders)
		return p->rig.senders[0] ? p->rig.senders : NULL;
	return p->known_senders;
}

const char *plan_carrier(const struct plan *p)
{
	const char *name = json_string_value(json_object_get(p->json, "carrier"));

	return name ? name : "immediate";
}

unsigned plan_count(const struct plan *p)
{
	return p->count;
}

const struct plan_device *plan_device(const struct plan *p, unsigned index)
{
	return &p->devices[index];
}

unsigned plan_groups(const struct plan *p)
{
	return p->groups_n;
}

const char *plan_group(const struct plan *p, unsigned group)
{
	return p->groups[group];
}

const char *plan_why(const struct plan *p)
{
	return p->why;
}

/* ---- start ---- */

static bool as_wanted(const struct plan *p, unsigned i)
{
	return p->final[i] == STATE_COUNT || p->devices[i].state == p->final[i];
}

/* Keeps the two counts of devices that settled where `final` does not want them.
 * PROVISIONED and PAUSED may still change by themselves, IDLE and OFF never do. */
static void count_wrong(struct plan *p, unsigned i, int by)
{
	enum state_name s = p->devices[i].state;

	if (!plan_settled(s) || as_wanted(p, i))
		return;
	p->wrong_final += (unsigned)by;
	if (s == STATE_PV || s == STATE_PA)
		p->wrong_moving += (unsigned)by;
}

/* When the k-th of a ramp arrives: the area under the rate, from `from` to `to` per
 * second over `over`, then flat, reaches k. */
static time_ns arrival(json_t *arrive, unsigned k)
{
	json_t *ramp = json_object_get(arrive, "ramp") ? json_object_get(arrive, "ramp") : arrive;
	double a = json_number_value(json_object_get(ramp, "from"));
	double b = json_number_value(json_object_get(ramp, "to"));
	double over = (double)json_integer_value(json_object_get(ramp, "over_ns")) / 1e9;
	double n = (double)k, whole = (a + b) / 2 * over, slope, t;

	if (!arrive || (a <= 0 && b <= 0))
		return 0;
	if (n >= whole || over <= 0)
		t = over + (b > 0 ? (n - whole) / b : 0);
	else if (fabs(b - a) < 1e-9)
		t = n / a;
	else {
		slope = (b - a) / over;
		t = (-a + sqrt(a * a + 2 * slope * n)) / slope;
	}
	return (time_ns)(t * 1e9);
}

int plan_arm(struct plan *p, const struct instant *at, struct err *e)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct plan_device *d = &p->devices[i];

		JOURNAL(p->journal, at->now, d->label, d->identity.uuid, NULL, NULL, J_DEVICE_ADDED,
			JS(GROUP, p->groups[d->group]), JS(LABEL, d->label),
			JS(ROLE, !d->known		  ? "stranger"
				 : d->registered_disabled ? "disabled"
							  : "known"));
	}
	plan_tell_shares(p, at);
	return plan_arm_faults(p, at, e);
}

void plan_start(struct plan *p, const struct instant *at)
{
	json_t *arrive = json_object_get(p->json, "arrive");

	p->started = at->now;
	p->last_change = p->last_idle = at->now;
	p->timeout_at =
		time_add(at->now, (time_ns)json_integer_value(json_object_get(p->json, "timeout_ns")));
	for (unsigned i = 0; i < p->count; i++) {
		p->arrive[i] = at->now + arrival(arrive, i);
		count_wrong(p, i, 1);
	}
	plan_arm_timed(p, at);
}

/* ---- states ---- */

void plan_state_changed(struct plan *p, const struct instant *at, unsigned index, enum state_name to)
{
	struct plan_device *d = &p->devices[index];
	enum state_name from = d->state;

	/* a publish that goes well is no news: a fleet that publishes must be able to settle */
	if (from == to && plan_settled(to))
		return;
	p->last_change = at->now;
	if (from == STATE_IDLE || to == STATE_IDLE)
		p->last_idle = at->now;
	p->unsettled += (unsigned)!plan_settled(to) - (unsigned)!plan_settled(from);
	count_wrong(p, index, -1);
	d->state = to;
	count_wrong(p, index, 1);
	if (p->step_open && d->member && from != to) {
		if (to == p->wait_state)
			p->wait_missing--;
		else if (from == p->wait_state)
			p->wait_missing++;
	}
}

/* ---- steps ---- */

static void wait_for(struct plan *p, unsigned index, void *arg)
{
	(void)arg;
	p->devices[index].member = true;
	p->wait_total++;
	if (p->devices[index].state != p->wait_state)
		p->wait_missing++;
}

static void open_wait(struct plan *p, const struct instant *at, json_t *step)
{
	const char *name = json_string_value(json_object_get(step, "state"));
	json_t *within = json_object_get(step, "within_ns");
	int s = name ? state_by_name(name) : -1;

	p->wait_state = s < 0 ? STATE_COUNT : (enum state_name)s;
	p->wait_any = json_is_true(json_object_get(step, "any"));
	p->wait_missing = p->wait_total = 0;
	for (unsigned i = 0; i < p->count; i++)
		p->devices[i].member = false;
	plan_each(p, json_object_get(step, "who"), wait_for, NULL);
	p->step_deadline = within ? at->now + (time_ns)json_integer_value(within) : TIME_NEVER;
}

static bool wait_over(const struct plan *p)
{
	return p->wait_any ? p->wait_missing < p->wait_total : p->wait_missing == 0;
}

static void close_step(struct plan *p, const struct instant *at, json_t *step, const char *why)
{
	JOURNAL(p->journal, at->now, "runner", NULL, NULL, NULL, J_STEP_DONE,
		JS(NAME, json_string_value(json_object_get(step, "do"))), JI(COUNT, p->step), JS(WHY, why));
	p->step_open = false;
	p->step_deadline = TIME_NEVER;
	p->step++;
	p->last_change = p->last_idle = at->now;
}

static void fail_wait(struct plan *p, const struct instant *at, json_t *step)
{
	json_t *source = json_object_get(step, "source");

	snprintf(p->why, sizeof(p->why),
		 "%s:%" JSON_INTEGER_FORMAT ":%" JSON_INTEGER_FORMAT ": %u of %u devices not in %s in time",
		 json_string_value(json_object_get(source, "file"))
			 ? json_string_value(json_object_get(source, "file"))
			 : "",
		 json_integer_value(json_object_get(source, "line")),
		 json_integer_value(json_object_get(source, "col")), p->wait_missing, p->wait_total,
		 state_full(p->wait_state));
	close_step(p, at, step, "timeout");
	p->end = PLAN_STEP_FAILED;
}

/* Walks the steps as far as they go at this instant. */
static void walk(struct plan *p, const struct instant *at)
{
	while (p->end == PLAN_RUNNING && p->step < json_array_size(p->steps)) {
		json_t *step = json_array_get(p->steps, p->step);
		const char *what = json_string_value(json_object_get(step, "do"));
		bool wait = strcmp(what, "wait") == 0, sleep = strcmp(what, "sleep") == 0;

		if (!p->step_open) {
			p->step_open = true;
			p->step_deadline = TIME_NEVER;
			if (wait)
				open_wait(p, at, step);
			else if (sleep)
				p->step_deadline = at->now + (time_ns)json_integer_value(
								     json_object_get(step, "for_ns"));
			else
				plan_act(p, at, what, step, json_object_get(step, "who"), -1);
		}
		if (wait && !wait_over(p)) {
			if (at->now < p->step_deadline)
				return;
			fail_wait(p, at, step);
			return;
		}
		if (sleep && at->now < p->step_deadline)
			return;
		if (p->rig.busy && p->rig.busy(p->rig.ctx))
			return;
		close_step(p, at, step, "");
	}
}

/* ---- the end ---- */

static bool steps_done(const struct plan *p)
{
	return p->step >= json_array_size(p->steps) && p->arrived == p->count && p->later_n == 0;
}

static time_ns settled_at(const struct plan *p)
{
	time_ns t = p->last_change + PLAN_LINGER_NS, held = time_add(p->started, p->hold);
	/* a fleet that refreshes all the time must not keep others from being silent */
	time_ns silent = time_add(p->last_idle, p->silent_for);

	t = silent > t ? silent : t;
	return held > t ? held : t;
}

static bool settled(const struct plan *p, time_ns now)
{
	if (!steps_done(p) || p->unsettled || now < settled_at(p))
		return false;
	return p->wrong_moving == 0;
}

time_ns plan_deadline(const struct plan *p)
{
	time_ns t = p->timeout_at;

	if (p->end != PLAN_RUNNING)
		return TIME_NEVER;
	if (p->arrived < p->count)
		t = time_min(t, p->arrive[p->arrived]);
	if (p->later_n)
		t = time_min(t, p->later[0].at);
	if (p->step_open)
		t = time_min(t, p->step_deadline);
	if (p->step_open && json_array_size(p->steps) > p->step && wait_over(p) &&
	    strcmp(json_string_value(json_object_get(json_array_get(p->steps, p->step), "do")), "wait") == 0)
		t = p->started; /* at once */
	if (!p->unsettled && steps_done(p) && (p->wrong_moving == 0))
		t = time_min(t, settled_at(p));
	return t;
}

static void arrive_due(struct plan *p, const struct instant *at)
{
	while (p->arrived < p->count && p->arrive[p->arrived] <= at->now) {
		struct plan_device *d = &p->devices[p->arrived];

		if (!d->start_off) {
			d->entered = true;
			p->rig.power(p->rig.ctx, at, p->arrived, true);
		}
		p->arrived++;
	}
}

enum plan_end plan_expire(struct plan *p, const struct instant *at)
{
	struct plan_later l;

	if (p->end != PLAN_RUNNING)
		return p->end;
	arrive_due(p, at);
	while (plan_later_due(p, at->now, &l)) {
		if (!l.fault || plan_while_holds(p, l.fault, -1)) {
			if (l.fault)
				plan_timed_fired(p, at, l.fault);
			plan_act(p, at, l.what, l.args, l.who, l.index);
			p->last_change = p->last_idle = at->now;
		}
		if (l.every && --l.times > 0) {
			l.at += l.every;
			plan_later_add(p, &l);
		}
	}
	walk(p, at);
	if (p->end == PLAN_RUNNING && settled(p, at->now))
		p->end = PLAN_SETTLED;
	if (p->end == PLAN_RUNNING && at->now >= p->timeout_at) {
		p->end = PLAN_TIMEOUT;
		snprintf(p->why, sizeof(p->why), "timeout: %u of %u devices not settled, step %zu of %zu",
			 p->unsettled, p->count, p->step, json_array_size(p->steps));
	}
	return p->end;
}
