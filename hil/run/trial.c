#include "hil/run/trial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ev.h>

#include "core/world_live.h"
#include "hil/run/control.h"
#include "hil/run/job.h"
#include "hil/run/judging.h"

#define TICK_S 1.0

/* One trial on its way through the rig. */
struct run {
	struct run *next;
	struct trials *ts;
	struct trial *trial;
	struct job job;
	struct judging *judging;
	time_ns first, last; /* of its journal, up to scenario.end */
	/* the control that it asks for; NULL, zero: none is under way */
	struct job control;
	struct judging *control_judging;
};

struct trials {
	const struct trials_options *o;
	struct live_loop *live;
	struct ev_loop *loop; /* live's */
	struct rig *rig;
	struct run *runs;
	unsigned running, jobs;
	bool stop, over; /* over: by a signal or the wall */
	int signal_number, error;
	struct err *e;
	char today[11];
	ev_signal on_int, on_term;
	ev_timer tick, wall;
};

struct trial *trial_new(json_t *plan)
{
	struct trial *t = calloc(1, sizeof(*t));

	if (t)
		t->plan = json_incref(plan);
	return t;
}

static void free_result(struct trial *t)
{
	if (t->result) {
		scenario_result_fini(t->result);
		free(t->result);
	}
	t->result = NULL;
}

void trial_free(struct trial *t)
{
	if (!t)
		return;
	free_result(t);
	tape_free(t->tape);
	json_decref(t->plan);
	free(t);
}

static void start_more(struct trials *ts);

static void maybe_end(struct trials *ts)
{
	if (!ts->running)
		live_loop_stop(ts->live);
}

/* The trial's end, whether it ran or could not be started. */
static void finish(struct run *r)
{
	struct trials *ts = r->ts;
	struct trial *t = r->trial;
	struct run **at = &ts->runs;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	ts->running--;
	t->interrupted = r->job.interrupted;
	t->rss = r->job.rss;
	t->events = judging_events(r->judging);
	if (!r->job.harness[0])
		judging_sha256(r->judging, t->hash);
	judging_finish(r->judging, r->job.end, r->job.harness, t->result);
	t->result->wall_ns = (uint64_t)(r->job.wall_s * 1e9);
	t->result->virtual_time = true;
	judging_free(r->judging);
	free(r);
	ts->o->done(ts->o->ctx, ts, t);
}

static void on_event(void *ctx, struct job *job, const struct journal_event *ev, const char *line, size_t len)
{
	struct run *r = job->asker;

	(void)ctx;
	if (!judging_events(r->judging))
		r->first = ev->t;
	if (ev->t > r->last && ev->kind != J_RUN_END)
		r->last = ev->t;
	judging_event(r->judging, ev, line, len);
	if (r->trial->event)
		r->trial->event(r->trial, ev, line, len);
}

static void went(struct run *r)
{
	struct trials *ts = r->ts;

	finish(r);
	start_more(ts);
	maybe_end(ts);
}

static void on_control_event(void *ctx, struct job *job, const struct journal_event *ev, const char *line, size_t len)
{
	struct run *r = job->asker;

	(void)ctx;
	judging_event(r->control_judging, ev, line, len);
}

static void on_control_done(void *ctx, struct job *job)
{
	struct run *r = job->asker;
	struct scenario_result s = {0};
	json_t *lives = judging_lives(r->control_judging);

	(void)ctx;
	judging_finish(r->control_judging, job->end, job->harness, &s);
	r->job.interrupted = r->job.interrupted || job->interrupted;
	if (lives)
		control_take(r->trial->plan, &s, lives);
	scenario_result_fini(&s);
	judging_free(r->control_judging);
	r->control_judging = NULL;
	json_decref(job->plan);
	went(r);
}

/* The same once more without the faults, where the plan asks for it. */
static bool start_control(struct run *r)
{
	struct job *c = &r->control;
	struct err e = {0};

	if (r->ts->over || r->ts->stop || r->job.interrupted || r->job.harness[0] || !control_wanted(r->trial->plan))
		return false;
	*c = (struct job){.plan = control_plan(r->trial->plan, r->last - r->first), .event = on_control_event,
			  .done = on_control_done, .ctx = r->ts, .asker = r};
	c->id = json_string_value(json_object_get(c->plan, "id"));
	r->control_judging = c->plan ? judging_new(c->plan, true, r->ts->today, &e) : NULL;
	if (r->control_judging && !rig_virtual_ops.start(r->ts->rig, c, &e))
		return true;
	judging_free(r->control_judging);
	r->control_judging = NULL;
	json_decref(c->plan);
	return false;
}

static void on_done(void *ctx, struct job *job)
{
	struct run *r = job->asker;

	(void)ctx;
	if (!start_control(r))
		went(r);
}

static int prepare(struct run *r, struct err *e)
{
	struct trial *t = r->trial;
	const char *id = json_string_value(json_object_get(t->plan, "id"));

	free_result(t);
	tape_free(t->tape);
	/* an older one may be of a plan that was changed since */
	if (json_object_get(t->plan, "control"))
		json_object_del(t->plan, "control");
	t->tape = t->keep ? tape_new() : NULL;
	t->result = calloc(1, sizeof(*t->result));
	if (!t->result || text_set(&t->result->id, id ? id : "") || (t->keep && !t->tape))
		return err_set(e, ERR_NOMEM, "out of memory");
	r->judging = judging_new(t->plan, r->ts->o->allow_unjudged, r->ts->today, e);
	return r->judging ? 0 : e->code;
}

static void start_one(struct trials *ts, struct trial *t)
{
	struct run *r = calloc(1, sizeof(*r));
	struct err e = {0};

	if (r) {
		r->ts = ts;
		r->trial = t;
		r->job.plan = t->plan;
		r->job.id = json_string_value(json_object_get(t->plan, "id"));
		r->job.event = on_event;
		r->job.done = on_done;
		r->job.ctx = ts;
		r->job.asker = r;
	}
	if (!r || prepare(r, &e)) {
		ts->error = err_set(ts->e, e.code ? e.code : ERR_NOMEM, "%s",
				    e.text[0] ? e.text : "out of memory");
		ts->stop = true;
		if (r)
			judging_free(r->judging);
		free(r);
		t->interrupted = true;
		ts->o->done(ts->o->ctx, ts, t);
		return;
	}
	r->job.tape = t->tape;
	r->next = ts->runs;
	ts->runs = r;
	ts->running++;
	if (rig_virtual_ops.start(ts->rig, &r->job, &e)) {
		snprintf(r->job.harness, sizeof(r->job.harness), "%.*s", (int)sizeof(r->job.harness) - 1,
			 e.text);
		finish(r);
	}
}

static void start_more(struct trials *ts)
{
	struct trial *t;

	while (!ts->stop && ts->running < ts->jobs && (t = ts->o->next(ts->o->ctx)))
		start_one(ts, t);
}

static void on_ready(void *ctx, bool ok, const char *why)
{
	struct trials *ts = ctx;

	if (!ok) {
		ts->error = err_set(ts->e, ERR_ENVIRONMENT, "%s", why ? why : "the rig did not come up");
		live_loop_stop(ts->live);
		return;
	}
	start_more(ts);
	maybe_end(ts);
}

static void interrupt(struct trials *ts)
{
	ts->stop = true;
	for (struct run *r = ts->runs, *next; r; r = next) {
		next = r->next;
		if (!r->job.harness[0])
			snprintf(r->job.harness, sizeof(r->job.harness), "interrupted");
		if (r->control_judging)
			snprintf(r->control.harness, sizeof(r->control.harness), "interrupted");
		rig_virtual_ops.abort(ts->rig, r->control_judging ? &r->control : &r->job, true);
	}
	maybe_end(ts);
}

void trials_stop(struct trials *ts)
{
	interrupt(ts);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	struct trials *ts = w->data;

	(void)loop;
	(void)events;
	ts->signal_number = w->signum;
	ts->over = true;
	interrupt(ts);
}

static void on_wall(struct ev_loop *loop, ev_timer *w, int events)
{
	struct trials *ts = w->data;

	(void)loop;
	(void)events;
	ts->over = true;
	interrupt(ts);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct trials *ts = w->data;

	(void)loop;
	(void)events;
	if (ts->o->tick)
		ts->o->tick(ts->o->ctx);
}

static void watch(struct trials *ts)
{
	ev_signal_init(&ts->on_int, on_signal, SIGINT);
	ev_signal_init(&ts->on_term, on_signal, SIGTERM);
	ev_timer_init(&ts->tick, on_tick, TICK_S, TICK_S);
	ev_timer_init(&ts->wall, on_wall, ts->o->wall_s, 0.);
	ts->on_int.data = ts->on_term.data = ts->tick.data = ts->wall.data = ts;
	ev_signal_start(ts->loop, &ts->on_int);
	ev_signal_start(ts->loop, &ts->on_term);
	ev_timer_start(ts->loop, &ts->tick);
	if (ts->o->wall_s > 0)
		ev_timer_start(ts->loop, &ts->wall);
}

static void unwatch(struct trials *ts)
{
	ev_signal_stop(ts->loop, &ts->on_int);
	ev_signal_stop(ts->loop, &ts->on_term);
	ev_timer_stop(ts->loop, &ts->tick);
	ev_timer_stop(ts->loop, &ts->wall);
}

int trials_run(const struct trials_options *o, int *signal_number, struct err *e)
{
	struct trials ts = {.o = o, .e = e, .jobs = o->jobs ? o->jobs : rig_virtual_ops.jobs};
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(ts.today, sizeof(ts.today), "%Y-%m-%d", &tm);
	ts.live = live_loop_new(e);
	if (!ts.live)
		return e->code;
	ts.loop = live_loop_ev(ts.live);
	ts.rig = rig_virtual_ops.open(
		&(struct rig_options){.live = ts.live, .loop = ts.loop, .program = o->program, .ctx = &ts},
		on_ready, e);
	if (ts.rig) {
		watch(&ts);
		live_loop_run(ts.live);
		unwatch(&ts);
		rig_virtual_ops.close(ts.rig);
	} else {
		ts.error = e->code;
	}
	live_loop_free(ts.live);
	if (signal_number)
		*signal_number = ts.signal_number;
	if (ts.error)
		return ts.error;
	return ts.over ? err_set(e, ERR_CLOSED, "interrupted") : 0;
}

/* ---- one ---- */

static struct trial *only(void *ctx)
{
	struct trial **t = ctx, *one = *t;

	*t = NULL;
	return one;
}

static void nothing(void *ctx, struct trials *ts, struct trial *t)
{
	(void)ctx;
	(void)ts;
	(void)t;
}

struct trial *trial_once(json_t *plan, const char *program, bool keep, struct err *e)
{
	return trial_once_or_signal(plan, program, keep, NULL, e);
}

struct trial *trial_once_or_signal(json_t *plan, const char *program, bool keep, int *signal_number, struct err *e)
{
	struct trial *t = trial_new(plan), *todo = t;
	struct trials_options o = {
		.jobs = 1, .program = program, .next = only, .done = nothing, .ctx = &todo};
	int rv;

	if (!t) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->keep = keep;
	rv = trials_run(&o, signal_number, e);
	if (rv) {
		trial_free(t);
		return NULL;
	}
	return t;
}
