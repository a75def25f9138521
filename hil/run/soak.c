#include "hil/run/soak_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/rng.h"
#include "hil/judge/verdict.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/run/rss.h"
#include "hil/run/soak_scenario.h"

#define LEFT_MIN_S 0.001 /* what is over is over at once */

uint64_t soak_seed(uint64_t first, unsigned i)
{
	struct rng rng;
	char which[16];

	if (i == 0)
		return first;
	snprintf(which, sizeof(which), "%u", i);
	rng_init(&rng, first, "soak", which);
	return rng_u64(&rng) >> 32; /* short enough to be typed */
}

json_t *soak_plan(const struct soak_options *o, uint64_t seed, char **text, struct err *e)
{
	struct soak_shape shape = {.seed = seed, .devices = o->devices, .length = o->length, .live = o->live};
	struct source src = {.name = "scenario.yaml"};
	struct plans plans = {0};
	struct diags ds = {0};
	json_t *plan = NULL;
	struct buf b;

	buf_init(&b, SOAK_TEXT_MAX);
	if (soak_scenario(&shape, &b)) {
		err_set(e, ERR_NOMEM, "out of memory");
	} else {
		src.text = b.data;
		src.len = b.len;
		if (!scenario_parse(&src, &ds, &plans) && plans.n == 1)
			plan = json_incref(plans.v[0]);
		else
			err_set(e, ERR_INTERNAL, "the scenario of seed 0x%" PRIx64 " is not one", seed);
		diags_print(&ds, stderr);
	}
	if (plan && o->plant)
		json_object_set_new(plan, "plant", json_string(o->plant));
	diags_fini(&ds);
	plans_fini(&plans);
	if (text)
		*text = plan ? buf_take(&b) : NULL;
	buf_fini(&b);
	return plan;
}

/* ---- findings ---- */

static uint64_t seed_of(json_t *plan)
{
	const char *seed = json_string_value(json_object_get(plan, "seed"));

	return seed ? strtoull(seed, NULL, 0) : 0;
}

static struct soak_finding *find(struct soak *s, const char *id)
{
	for (unsigned i = 0; i < s->findings_n; i++)
		if (strcmp(s->findings[i]->signature.id, id) == 0 && s->findings[i]->status != SOAK_FIXED)
			return s->findings[i];
	return NULL;
}

/* NULL: one too many, or no memory; that is counted, and never green. */
static struct soak_finding *add(struct soak *s, enum soak_status status, const struct signature *sig)
{
	struct soak_finding *f = NULL, **more = s->findings;

	if (s->findings_n == s->findings_cap)
		more = realloc(more, (2 * s->findings_cap + 8) * sizeof(*more));
	if (more && s->findings_n == s->findings_cap) {
		s->findings = more;
		s->findings_cap = 2 * s->findings_cap + 8;
	}
	if (more && (status != SOAK_NEW || s->fresh < SOAK_NEW_MAX))
		f = calloc(1, sizeof(*f));
	if (!f) {
		s->findings_more++;
		return NULL;
	}
	s->fresh += status == SOAK_NEW;
	s->findings[s->findings_n++] = f;
	f->status = status;
	f->signature = *sig;
	return f;
}

/* Where the rig left a folder it is that one's. NULL: there was no room to tell of it. */
static struct soak_finding *found(struct soak *s, const struct signature *sig, enum verdict verdict, json_t *plan,
				  const struct soak_seen *seen)
{
	struct soak_finding *f = find(s, sig->id);

	if (!f)
		f = add(s, SOAK_NEW, sig);
	if (!f || f->times++)
		return f;
	f->first_seed = seed_of(plan);
	if (!f->regression)
		f->verdict = verdict;
	f->events = seen->events;
	snprintf(f->hash, sizeof(f->hash), "%s", seen->hash);
	if (seen->result->folder) {
		snprintf(f->folder, sizeof(f->folder), "%s", seen->result->folder);
		f->replays = true;
	}
	return f;
}

/* ---- regressions: run first, so that what they know is known ---- */

struct regressions {
	struct soak *soak;
	size_t next;
};

static struct trial *next_regression(void *ctx)
{
	struct regressions *r = ctx;
	const struct soak_options *o = r->soak->o;
	struct trial *t;
	char why[300];

	while (r->next < o->regressions_n &&
	       (json_object_get(o->regressions[r->next], "skip") ||
		!rig_serves("virtual", NULL, o->regressions[r->next], why, sizeof(why))))
		r->next++;
	if (r->next == o->regressions_n)
		return NULL;
	t = trial_new(o->regressions[r->next]);
	if (t)
		r->next++;
	return t;
}

void soak_regression(struct soak *s, json_t *plan, const struct scenario_result *result)
{
	struct soak_finding *f;
	struct signature sig;

	s->regressions_run += result->verdict != VERDICT_SKIP;
	if (result->verdict == VERDICT_PASS || result->verdict == VERDICT_SKIP)
		return;
	signature_of(result, &sig);
	f = add(s,
		result->verdict == VERDICT_XFAIL || result->verdict == VERDICT_QUARANTINE ? SOAK_KNOWN
		: result->verdict == VERDICT_XPASS					  ? SOAK_FIXED
											  : SOAK_REGRESSED,
		&sig);
	if (!f)
		return;
	f->regression = plan;
	f->verdict = result->verdict;
	if (f->status == SOAK_KNOWN && signature_set_add(&s->known, result))
		snprintf(s->error, sizeof(s->error), "out of memory");
	if (result->folder) {
		snprintf(f->folder, sizeof(f->folder), "%s", result->folder);
		f->replays = true;
	}
}

static void regression_done(void *ctx, struct trials *ts, struct trial *t)
{
	struct soak *s = ((struct regressions *)ctx)->soak;

	(void)ts;
	if (!t->interrupted) {
		s->events += t->events;
		soak_regression(s, t->plan, t->result);
	}
	trial_free(t);
	soak_progress(s, false);
}

/* ---- seeds ---- */

struct seeds {
	struct soak *soak;
	struct err *e;
	bool broken; /* no more can be made */
};

/* Its journal, or only what makes it again? */
static bool wants_journal(const struct soak *s, const struct soak_finding *f)
{
	uint64_t max = s->o->record_max ? s->o->record_max : SOAK_RECORD_MAX;

	return f->events <= max && strcmp(f->signature.id, SOAK_MEMORY_ID) != 0;
}

/* Once more, to be kept: the same seed gives the same journal. */
static struct trial *next_recording(struct soak *s, struct seeds *q)
{
	for (unsigned i = 0; i < s->findings_n; i++) {
		struct soak_finding *f = s->findings[i];
		json_t *plan;
		struct trial *t;

		if (f->status != SOAK_NEW || f->recorded || !wants_journal(s, f))
			continue;
		f->recorded = true;
		plan = soak_plan(s->o, f->first_seed, NULL, q->e);
		t = plan ? trial_new(plan) : NULL;
		json_decref(plan);
		if (t) {
			t->keep = true;
			t->user = f;
		}
		return t;
	}
	return NULL;
}

/* What was not recorded has at least its scenario, and why. */
static void keep_scenarios(struct soak *s)
{
	for (unsigned i = 0; i < s->findings_n; i++) {
		struct soak_finding *f = s->findings[i];
		struct err e = {0};
		char *text = NULL;
		json_t *plan;

		if (f->status != SOAK_NEW || f->folder[0])
			continue;
		plan = soak_plan(s->o, f->first_seed, &text, &e);
		if (plan)
			soak_record(s, f, text, plan, NULL);
		if (wants_journal(s, f))
			snprintf(f->note, sizeof(f->note), "there was no time to record it");
		else if (strcmp(f->signature.id, SOAK_MEMORY_ID) != 0)
			snprintf(f->note, sizeof(f->note), "its journal is too long to be kept (%.1f M events)",
				 (double)f->events / 1e6);
		json_decref(plan);
		free(text);
	}
}

static struct trial *next_seed(void *ctx)
{
	struct seeds *q = ctx;
	struct soak *s = q->soak;
	struct trial *t = next_recording(s, q);
	json_t *plan;

	if (t || q->broken || s->begun == s->o->seeds)
		return t;
	plan = soak_plan(s->o, soak_seed(s->o->seed, s->begun), NULL, q->e);
	t = plan ? trial_new(plan) : NULL;
	json_decref(plan);
	if (t)
		s->begun++;
	else
		q->broken = err_set(q->e, ERR_NOMEM, "out of memory") != 0;
	return t;
}

static void judge_memory(struct soak *s, json_t *plan, const struct soak_seen *seen)
{
	struct signature sig = {
		.id = SOAK_MEMORY_ID,
		.text = "memory: the server's process grows while its fleet lives the same life"};
	int64_t growth;
	enum rss_verdict v = rss_judge(seen->rss, &growth);

	/* on a slow machine even minutes give samples enough, of a fleet that still sets out */
	if (v == RSS_TOO_SHORT || s->o->length < SOAK_MEMORY_LENGTH)
		return;
	s->memory_judged++;
	if (growth > s->memory_worst_kib)
		s->memory_worst_kib = growth;
	if (v == RSS_GROWS) {
		s->memory_grew++;
		found(s, &sig, VERDICT_FAIL, plan, seen);
	}
}

void soak_seed_result(struct soak *s, json_t *plan, const struct soak_seen *seen)
{
	const struct scenario_result *result = seen->result;
	struct soak_finding *f;
	struct signature sig;

	s->ended++;
	judge_memory(s, plan, seen);
	if (result->verdict == VERDICT_PASS) {
		s->passed++;
		return;
	}
	s->failed += result->verdict != VERDICT_INCONCLUSIVE;
	s->inconclusive += result->verdict == VERDICT_INCONCLUSIVE;
	signature_of(result, &sig);
	f = found(s, &sig, result->verdict, plan, seen);
	if (!f || f->status != SOAK_KNOWN)
		return;
	/* a failure that is known may not hide another one of the same seed */
	signature_beyond(result, &s->known, &sig);
	if (sig.id[0])
		found(s, &sig, result->verdict, plan, seen);
}

static void recorded(struct soak *s, struct trial *t)
{
	struct soak_finding *f = t->user;
	struct err e = {0};
	char *text = NULL;

	json_decref(soak_plan(s->o, f->first_seed, &text, &e));
	if (!signature_in(t->result, f->signature.id))
		snprintf(f->note, sizeof(f->note), "the same seed did not fail alike a second time");
	else if (strcmp(t->hash, f->hash) != 0)
		snprintf(f->note, sizeof(f->note), "the same seed gave another journal a second time");
	if (text)
		soak_record(s, f, text, t->plan, t);
	free(text);
}

static void seed_done(void *ctx, struct trials *ts, struct trial *t)
{
	struct soak *s = ((struct seeds *)ctx)->soak;

	(void)ts;
	if (t->interrupted)
		goto out;
	if (t->user) {
		recorded(s, t);
		goto out;
	}
	s->events += t->events;
	soak_seed_result(s, t->plan,
			 &(struct soak_seen){.result = t->result, .rss = &t->rss, .events = t->events, .hash = t->hash});
out:
	trial_free(t);
	soak_progress(s, false);
}

static void on_tick(void *ctx)
{
	soak_progress(*(struct soak **)ctx, false);
}

double soak_left(const struct soak *s)
{
	double left = s->o->wall_s - soak_seconds(s);

	return s->o->wall_s <= 0 ? 0 : left > LEFT_MIN_S ? left : LEFT_MIN_S;
}

static int work(struct soak *s, struct err *e)
{
	struct regressions r = {s, 0};
	struct seeds q = {.soak = s, .e = e};
	struct trials_options to = {.jobs = s->o->jobs,
				    .program = s->o->program,
				    .next = next_regression,
				    .done = regression_done,
				    .tick = on_tick,
				    .ctx = &r,
				    .wall_s = soak_left(s)};
	int rv = s->o->live	       ? soak_live(s, e)
		 : s->o->regressions_n ? trials_run(&to, &s->signal_number, e)
				       : 0;

	if (rv || s->o->live)
		return rv;
	to.next = next_seed;
	to.done = seed_done;
	to.ctx = &q;
	to.wall_s = soak_left(s);
	rv = trials_run(&to, &s->signal_number, e);
	keep_scenarios(s);
	return rv ? rv : q.broken ? e->code : 0;
}

int soak_exit(const struct soak *s)
{
	int code = s->passed || s->regressions_run ? EXIT_PASSED : EXIT_NOTHING;

	if (s->error[0])
		return EXIT_ENVIRONMENT;
	if (s->signal_number)
		return s->signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
	if (s->findings_more)
		code = EXIT_FAILED;
	for (unsigned i = 0; i < s->findings_n; i++) {
		const struct soak_finding *f = s->findings[i];

		if (f->status == SOAK_KNOWN)
			continue;
		code = verdict_exit_merge(code, f->verdict == VERDICT_INCONCLUSIVE ? EXIT_INCONCLUSIVE
										   : EXIT_FAILED);
	}
	/* what was asked for was not all done: no green */
	if (s->cut || s->ended < s->o->seeds)
		code = verdict_exit_merge(code, EXIT_INCONCLUSIVE);
	return code;
}

void soak_free(struct soak *s)
{
	for (unsigned i = 0; i < s->findings_n; i++)
		free(s->findings[i]);
	free(s->findings);
	signature_set_fini(&s->known);
	free(s);
}

int soak_run(const struct soak_options *o)
{
	struct soak *s = calloc(1, sizeof(*s));
	struct err e = {0};
	char text[800];
	int code, rv;

	if (!s)
		return EXIT_INTERNAL;
	s->o = o;
	if (soak_open(s, &e)) {
		fprintf(stderr, "quicrig soak: error: %s\n", err_format(&e, text, sizeof(text)));
		soak_free(s);
		return EXIT_ENVIRONMENT;
	}
	rv = work(s, &e);
	s->cut = rv == ERR_CLOSED;
	if (rv && !s->cut)
		snprintf(s->error, sizeof(s->error), "%.*s", (int)sizeof(s->error) - 1, e.text);
	soak_progress(s, true);
	if (o->shrink)
		soak_shrink(s);
	e = (struct err){0};
	rv = soak_report(s, &e);
	code = soak_exit(s);
	if (rv) {
		fprintf(stderr, "quicrig soak: error: the report is not whole: %s\n",
			err_format(&e, text, sizeof(text)));
		code = verdict_exit_merge(code, EXIT_ENVIRONMENT);
	}
	soak_free(s);
	return code;
}

/* ---- the canary ---- */

struct canary {
	const struct soak_options *o;
	struct err *e;
	unsigned begun, found_at;
};

static struct trial *next_canary(void *ctx)
{
	struct canary *c = ctx;
	struct trial *t;
	json_t *plan;

	if (c->begun == c->o->seeds || c->e->code)
		return NULL;
	plan = soak_plan(c->o, soak_seed(c->o->seed, c->begun), NULL, c->e);
	t = plan ? trial_new(plan) : NULL;
	json_decref(plan);
	if (t)
		t->user = (void *)(uintptr_t)++c->begun;
	return t;
}

static void canary_done(void *ctx, struct trials *ts, struct trial *t)
{
	struct canary *c = ctx;
	unsigned nth = (unsigned)(uintptr_t)t->user;

	if (!t->interrupted && t->result->verdict == VERDICT_FAIL && (!c->found_at || nth < c->found_at))
		c->found_at = nth;
	if (!t->interrupted && t->result->verdict == VERDICT_INCONCLUSIVE)
		err_set(c->e, ERR_ENVIRONMENT, "%s",
			t->result->reason ? t->result->reason : "the rig failed");
	trial_free(t);
	if (c->found_at || c->e->code)
		trials_stop(ts);
}

int soak_canary(const struct soak_options *o, unsigned *found_after, int *signal_number, struct err *e)
{
	struct canary c = {.o = o, .e = e};
	struct trials_options to = {.jobs = o->jobs,
				    .program = o->program,
				    .next = next_canary,
				    .done = canary_done,
				    .ctx = &c,
				    .wall_s = o->wall_s};
	int rv = trials_run(&to, signal_number, e);

	*found_after = c.found_at;
	return rv ? rv : e->code;
}
