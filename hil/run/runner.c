#include "hil/run/runner.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <ev.h>

#include "hil/judge/verdict.h"
#include "hil/language/select.h"
#include "hil/run/folder.h"
#include "hil/run/gate.h"
#include "hil/run/job.h"
#include "hil/run/control.h"
#include "hil/run/judging.h"
#include "hil/run/repeat.h"
#include "hil/run/turn.h"
#include "reports/report.h"
#include "reports/console.h"
#include "reports/result.h"

#define PARITY_TEXT_MAX (16u << 20)
#define DRAIN_S 4.0 /* from the first Ctrl-C until what still runs is ended hard */

struct runner {
	const struct run_options *o;
	const struct rig_ops *ops;
	struct rig *rig;
	struct live_loop *live;
	struct ev_loop *loop; /* live's */
	struct run_result result;
	struct folder *folder;
	struct console *console;
	json_t **plans;
	size_t n, next;			    /* next: of `turns` */
	size_t *turns;
	struct repeats *repeats;	    /* whose units `plans` are */
	json_t **asked;			    /* the plans as they were asked for */
	size_t asked_n;
	struct job *jobs;		    /* one a unit */
	struct job *controls;		    /* of those that want one, behind their own job */
	unsigned running, jobs_max, weight; /* devices of what runs */
	bool ready, stop, failed_open;
	int signal_number;
	const char *cut; /* why the run ends early; NULL: it does not */
	char today[11], why[400];
	ev_signal on_int, on_term, on_usr1;
	ev_timer drain, wall;
};

static const char *text_of(json_t *plan, const char *key)
{
	const char *s = json_string_value(json_object_get(plan, key));

	return s ? s : "";
}

/* ---- why a scenario is not run here ---- */

static const char *skip_reason(const struct runner *r, json_t *plan, char *why, size_t size)
{
	if (*text_of(plan, "skip"))
		return text_of(plan, "skip");
	return rig_serves(r->o->rig, r->o->file, plan, why, size) ? NULL : why;
}

static void keep(struct runner *r, const struct job *job, struct scenario_result *s)
{
	struct recording rec = {.plan = job->plan,
				.tape = job->tape,
				.rig = (char *)r->o->rig,
				.build = (char *)recording_build(r->ops->virtual_time),
				.end = (char *)job->end,
				.harness = (char *)job->harness,
				.verdict = s->verdict,
				.virtual_time = r->ops->virtual_time,
				.allow_unjudged = r->o->allow_unjudged};

	folder_keep(r->folder, &rec, (size_t)(job - r->jobs), s,
		    r->o->keep_all	 ? FOLDER_ALL :
		    r->ops->virtual_time ? FOLDER_FAILED :
					   FOLDER_JOURNAL);
}

/* One of many runs is told of with the others, when the last of them has ended. */
static void tell(struct runner *r, const struct job *job, struct scenario_result *s)
{
	s = repeats_ended(r->repeats, (size_t)(job - r->jobs), &r->result, s);
	if (!s)
		return;
	console_scenario(r->console, s);
	if (r->o->judged)
		r->o->judged(r->o->ctx, job->plan, s, &job->rss);
	if (r->o->hashes && s->journal_sha256[0])
		printf("journal %s  %s\n", s->journal_sha256, s->id);
}

static void finish_job(struct runner *r, struct job *job)
{
	struct err e = {0};
	struct scenario_result *s;

	s = run_result_add(&r->result, job->id, &e);
	if (!s)
		return;
	judge_job(job, r->o->allow_unjudged, r->today, s);
	s->wall_ns = (uint64_t)(job->wall_s * 1e9);
	s->virtual_time = r->ops->virtual_time;
	text_set(&s->rig, r->o->rig);
	keep(r, job, s);
	tell(r, job, s);
}

/* ---- the flow ---- */

static void start_more(struct runner *r);

static void maybe_end(struct runner *r)
{
	if (r->running == 0 && (r->next >= r->n || r->stop))
		live_loop_stop(r->live);
}

static void went(struct runner *r, struct job *job)
{
	finish_job(r, job);
	tape_free(job->tape);
	job->tape = NULL;
	start_more(r);
	maybe_end(r);
}

static void on_control_done(void *ctx, struct job *control)
{
	struct runner *r = ctx;
	struct job *job = control->asker;

	r->running--;
	r->weight -= turn_weight(control->plan);
	if (!r->ops->virtual_time)
		tape_sort(control->tape);
	/* a control that was cut short shows nothing */
	if (!control->interrupted && !r->cut)
		judge_control(control, r->today, job->plan);
	tape_free(control->tape);
	control->tape = NULL;
	json_decref(control->plan);
	control->plan = NULL;
	went(r, job);
}

/* The same once more without the faults, in the place that the job leaves. */
static bool start_control(struct runner *r, struct job *job)
{
	struct job *c = &r->controls[job - r->jobs];
	struct err e = {0};

	if (r->cut || r->stop || job->harness[0] || !control_wanted(job->plan))
		return false;
	*c = (struct job){.plan = control_plan(job->plan, tape_span(job->tape)), .tape = tape_new(), .done = on_control_done,
			  .ctx = r, .asker = job};
	c->id = c->plan ? text_of(c->plan, "id") : "";
	if (c->plan && c->tape && !r->ops->start(r->rig, c, &e)) {
		r->running++;
		r->weight += turn_weight(c->plan);
		return true;
	}
	tape_free(c->tape);
	json_decref(c->plan);
	c->tape = NULL;
	c->plan = NULL;
	return false;
}

static void on_done(void *ctx, struct job *job)
{
	struct runner *r = ctx;

	r->running--;
	r->weight -= turn_weight(job->plan);
	if (!r->ops->virtual_time)
		tape_sort(job->tape);
	if (!start_control(r, job))
		went(r, job);
}

static void could_not_start(struct runner *r, struct job *job, const char *why)
{
	struct err e = {0};
	struct scenario_result *s = run_result_add(&r->result, job->id, &e);

	tape_free(job->tape);
	job->tape = NULL;
	if (!s)
		return;
	s->verdict = VERDICT_INCONCLUSIVE;
	s->blame = BLAME_HARNESS;
	text_set(&s->reason, why);
	tell(r, job, s);
}

static void start_one(struct runner *r, size_t i)
{
	struct job *job = &r->jobs[i];
	char why[256] = "not for this rig";
	const char *skip = skip_reason(r, r->plans[i], why, sizeof(why));
	struct err e = {0};

	job->plan = r->plans[i];
	job->id = text_of(job->plan, "id");
	job->done = on_done;
	job->ctx = r;
	if (skip) {
		struct scenario_result *s = run_result_add(&r->result, job->id, &e);

		if (s) {
			scenario_skip(s, skip);
			tell(r, job, s);
		}
		return;
	}
	job->tape = tape_new();
	if (!job->tape || r->ops->start(r->rig, job, &e)) {
		could_not_start(r, job, e.text[0] ? e.text : "out of memory");
		return;
	}
	r->running++;
	r->weight += turn_weight(job->plan);
}

/* A heavy scenario has the rig to itself, else its SMS would make everybody else's late. Who
 * does not fit lets those behind it pass. */
static bool fits(struct runner *r)
{
	unsigned capacity = r->ops->capacity;

	return r->running == 0 || !capacity ||
	       (r->weight < capacity && turn_fit(r->turns, r->next, r->n, r->plans, capacity - r->weight));
}

static void start_more(struct runner *r)
{
	while (!r->stop && r->running < r->jobs_max && r->next < r->n && fits(r))
		start_one(r, r->turns[r->next++]);
}

static void on_ready(void *ctx, bool ok, const char *why)
{
	struct runner *r = ctx;

	if (!ok) {
		r->failed_open = true;
		snprintf(r->why, sizeof(r->why), "%s", why ? why : "the rig did not come up");
		live_loop_stop(r->live);
		return;
	}
	r->ready = true;
	start_more(r);
	maybe_end(r);
}

/* What is cut short is reported as such, with the journal up to then. */
static void abort_all(struct runner *r, bool hard)
{
	for (size_t k = 0; k < r->next; k++) {
		size_t i = r->turns[k];
		struct job *job = r->controls[i].tape ? &r->controls[i] : &r->jobs[i];

		if (!job->tape || !job->rig)
			continue;
		if (!job->harness[0])
			snprintf(job->harness, sizeof(job->harness), "%s", r->cut);
		r->ops->abort(r->rig, job, hard);
	}
	if (!r->running)
		live_loop_stop(r->live);
}

static void on_drain(struct ev_loop *loop, ev_timer *w, int events)
{
	struct runner *r = w->data;

	(void)loop;
	(void)events;
	abort_all(r, true);
	live_loop_stop(r->live);
}

/* The first drains and reports, the second stops. */
static void on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
	struct runner *r = w->data;

	(void)events;
	if (r->signal_number) {
		abort_all(r, true);
		live_loop_stop(r->live);
		return;
	}
	r->signal_number = w->signum;
	r->stop = true;
	if (!r->cut)
		r->cut = "interrupted";
	r->result.interrupted = true;
	fprintf(stderr, "interrupted: the report is being written (once more to stop at once)\n");
	ev_timer_start(loop, &r->drain);
	abort_all(r, false);
}

static void on_wall(struct ev_loop *loop, ev_timer *w, int events)
{
	struct runner *r = w->data;

	(void)loop;
	(void)events;
	r->stop = true;
	if (!r->cut)
		r->cut = "over the run's wall-clock limit";
	fprintf(stderr, "the run's wall-clock limit of %.0f s is over\n", r->o->wall_s);
	abort_all(r, true);
}

static void on_where(struct ev_loop *loop, ev_signal *w, int events)
{
	struct runner *r = w->data;

	(void)events;
	fprintf(stderr, "%zu of %zu scenarios started, %u running:\n", r->next, r->n, r->running);
	for (size_t k = 0; k < r->next; k++) {
		const struct job *job = &r->jobs[r->turns[k]];

		if (job->tape)
			fprintf(stderr, "  %s: %.1f s, %zu journal lines\n", job->id,
				ev_now(loop) - job->started_s, tape_count(job->tape));
	}
}

static void watch_signals(struct runner *r)
{
	ev_signal_init(&r->on_int, on_stop, SIGINT);
	ev_signal_init(&r->on_term, on_stop, SIGTERM);
	ev_signal_init(&r->on_usr1, on_where, SIGUSR1);
	r->on_int.data = r->on_term.data = r->on_usr1.data = r;
	ev_signal_start(r->loop, &r->on_int);
	ev_signal_start(r->loop, &r->on_term);
	ev_signal_start(r->loop, &r->on_usr1);
	ev_timer_init(&r->drain, on_drain, DRAIN_S, 0.);
	ev_timer_init(&r->wall, on_wall, r->o->wall_s, 0.);
	r->drain.data = r->wall.data = r;
	if (r->o->wall_s > 0)
		ev_timer_start(r->loop, &r->wall);
}

/* ---- before and after ---- */

static void apply_seed(struct runner *r)
{
	for (size_t i = 0; r->o->seed && i < r->asked_n; i++)
		json_object_set_new(r->asked[i], "seed", json_string(r->o->seed));
}

static bool is_skipped(void *ctx, json_t *plan)
{
	char why[256];

	return skip_reason(ctx, plan, why, sizeof(why));
}

static int make_units(struct runner *r)
{
	struct verdict_options verdict = {.allow_unjudged = r->o->allow_unjudged, .today = r->today};

	r->repeats = repeats_new(r->asked, r->asked_n, is_skipped, r, &verdict);
	if (!r->repeats)
		return ERR_NOMEM;
	r->plans = repeats_units(r->repeats);
	r->n = repeats_n(r->repeats);
	/* on a live rig time passes by itself: a long scenario that begins last keeps all waiting */
	r->turns = turns_new(r->plans, r->n, r->jobs_max > 1 ? r->ops->capacity : 0);
	return r->turns ? 0 : ERR_NOMEM;
}

static int id_width(const struct runner *r)
{
	size_t width = 0;

	for (size_t i = 0; i < r->asked_n; i++)
		if (strlen(text_of(r->asked[i], "id")) > width)
			width = strlen(text_of(r->asked[i], "id"));
	return (int)width;
}

static void on_rig_line(void *ctx, const char *line, size_t len)
{
	struct runner *r = ctx;

	folder_line(r->folder, line, len);
}

static int open_all(struct runner *r, struct err *e)
{
	struct rig_options ro = {.live = r->live,
				 .loop = r->loop,
				 .plans = r->plans,
				 .plans_n = r->n,
				 .libgammu_debug = r->o->libgammu_debug,
				 .file = r->o->file,
				 .ctx = r};
	const char *seed = r->o->seed ? r->o->seed : text_of(r->plans[0], "seed");

	r->folder = folder_open(r->o->out, seed, e);
	if (!r->folder)
		return e->code;
	/* the other rig's run takes `latest` over: what is printed here must outlive that */
	if (r->o->parity && r->o->side == 0)
		folder_by_name(r->folder);
	ro.dir = folder_private(r->folder);
	ro.line = on_rig_line;
	text_set(&r->result.seed, seed);
	text_set(&r->result.rig, r->o->rig);
	text_set(&r->result.build, QUICRIG_VERSION);
	text_set(&r->result.dir, folder_latest(r->folder));
	r->result.libgammu = !r->ops->virtual_time;
	r->result.started_unix_ms = (int64_t)time(NULL) * 1000;
	r->console = console_new(stdout, id_width(r), CONSOLE_AUTO);
	r->jobs = calloc(r->n, sizeof(*r->jobs));
	r->controls = calloc(r->n, sizeof(*r->controls));
	if (!r->console || !r->jobs || !r->controls)
		return err_set(e, ERR_NOMEM, "out of memory");
	r->rig = r->ops->open(&ro, on_ready, e);
	return r->rig ? 0 : e->code;
}

/* What never began stands in the report too: a run that was cut short is no green one. */
static void skip_rest(struct runner *r)
{
	struct err e = {0};
	char why[100];

	snprintf(why, sizeof(why), "not begun: %s", r->cut ? r->cut : "the run ended");
	for (; r->next < r->n; r->next++) {
		size_t i = r->turns[r->next];
		struct scenario_result *s = run_result_add(&r->result, text_of(r->plans[i], "id"), &e);

		if (s && !scenario_skip(s, why))
			repeats_ended(r->repeats, i, &r->result, s);
	}
}

static int not_whole(const struct err *e)
{
	char text[800];

	fprintf(stderr, "quicrig run: error: the report is not whole: %s\n", err_format(e, text, sizeof(text)));
	return EXIT_ENVIRONMENT;
}

/* Scenarios end in any order; the reports have them in the files' order. */
static void in_order(struct runner *r)
{
	size_t placed = 0;

	for (size_t i = 0; i < r->asked_n; i++) {
		for (size_t k = placed; k < r->result.n; k++) {
			struct scenario_result *s = r->result.scenarios[k];

			if (strcmp(s->id, text_of(r->asked[i], "id")) != 0)
				continue;
			memmove(&r->result.scenarios[placed + 1], &r->result.scenarios[placed],
				(k - placed) * sizeof(r->result.scenarios[0]));
			r->result.scenarios[placed++] = s;
			break;
		}
	}
}

/* The results of this rig, and behind the second one what came of the comparison. */
static int compare(struct runner *r)
{
	struct parity *p = r->o->parity;

	if (!p)
		return 0;
	for (size_t i = 0; i < r->result.n; i++)
		parity_take(p, r->o->side, r->result.scenarios[i]);
	if (r->o->side == 0)
		return 0;
	parity_judge(p);
	r->result.parity = p;
	return parity_count(p, PARITY_DIFFERS)	   ? EXIT_FAILED
	       : parity_count(p, PARITY_UNDECIDED) ? EXIT_INCONCLUSIVE
						   : 0;
}

static void tell_parity(const struct parity *p)
{
	struct buf text;

	buf_init(&text, PARITY_TEXT_MAX);
	if (!parity_text(p, &text))
		fputs(text.data, stdout);
	buf_fini(&text);
}

static int report(struct runner *r)
{
	struct err e = {0};
	int code;

	/* first the rig: its last lines belong into the journal */
	r->ops->close(r->rig);
	r->rig = NULL;
	skip_rest(r);
	code = verdict_run_exit(&r->result);
	if (r->cut && !r->signal_number)
		code = verdict_exit_merge(code, EXIT_INCONCLUSIVE);
	in_order(r);
	r->result.ended_unix_ms = (int64_t)time(NULL) * 1000;
	code = verdict_exit_merge(code, compare(r));
	console_end(r->console, &r->result);
	if (r->result.parity)
		tell_parity(r->result.parity);
	code = verdict_exit_merge(code, gate(r->o, &r->result, r->console));
	if (report_write_all(folder_dir(r->folder), &r->result, &e))
		code = verdict_exit_merge(code, not_whole(&e));
	/* also then: an older run's report must not pass for this one's */
	e = (struct err){0};
	if (folder_close(r->folder, &e))
		code = verdict_exit_merge(code, not_whole(&e));
	if (r->signal_number == SIGTERM && code == EXIT_INTERRUPTED)
		code = EXIT_TERMINATED;
	return code;
}

static void fini(struct runner *r)
{
	if (r->rig)
		r->ops->close(r->rig);
	for (size_t i = 0; r->jobs && r->controls && i < r->n; i++) {
		tape_free(r->jobs[i].tape);
		tape_free(r->controls[i].tape);
		json_decref(r->controls[i].plan);
	}
	free(r->jobs);
	free(r->turns);
	free(r->controls);
	repeats_free(r->repeats);
	console_free(r->console);
	folder_free(r->folder);
	run_result_fini(&r->result);
	if (r->loop) {
		ev_signal_stop(r->loop, &r->on_int);
		ev_signal_stop(r->loop, &r->on_term);
		ev_signal_stop(r->loop, &r->on_usr1);
		ev_timer_stop(r->loop, &r->drain);
		ev_timer_stop(r->loop, &r->wall);
	}
	live_loop_free(r->live);
}

int runner_run(json_t **plans, size_t n, const struct run_options *o)
{
	struct runner r = {.o = o, .asked = plans, .asked_n = n};
	struct err e = {0};
	time_t now = time(NULL);
	struct tm tm;
	char text[800];
	int code;

	r.ops = strcmp(o->rig, "virtual") == 0 ? &rig_virtual_ops : &rig_live_ops;
	r.jobs_max = o->jobs ? o->jobs : r.ops->jobs;
	r.live = live_loop_new(&e);
	if (!r.live) {
		fprintf(stderr, "quicrig run: error: %s\n", e.text);
		return EXIT_ENVIRONMENT;
	}
	r.loop = live_loop_ev(r.live);
	gmtime_r(&now, &tm);
	strftime(r.today, sizeof(r.today), "%Y-%m-%d", &tm);
	run_result_init(&r.result);
	apply_seed(&r);
	if (make_units(&r)) {
		fputs("quicrig run: error: out of memory\n", stderr);
		fini(&r);
		return EXIT_ENVIRONMENT;
	}
	watch_signals(&r);
	if (open_all(&r, &e)) {
		fprintf(stderr, "quicrig run: error: %s\n", err_format(&e, text, sizeof(text)));
		fini(&r);
		return EXIT_ENVIRONMENT;
	}
	live_loop_run(r.live);
	if (r.failed_open) {
		fprintf(stderr, "quicrig run: error: %s\n", r.why);
		fini(&r);
		return EXIT_ENVIRONMENT;
	}
	code = report(&r);
	fini(&r);
	return code;
}
