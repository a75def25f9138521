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
#include "hil/run/rss.h"
#include "hil/run/soak_scenario.h"

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

static struct soak_finding *find(struct soak *s, const char *id)
{
	for (unsigned i = 0; i < s->findings_n; i++)
		if (strcmp(s->findings[i].signature.id, id) == 0 && s->findings[i].status != SOAK_FIXED)
			return &s->findings[i];
	return NULL;
}

static struct soak_finding *add(struct soak *s, enum soak_status status, const struct signature *sig)
{
	struct soak_finding *f;

	if (s->findings_n == SOAK_FINDINGS_MAX) {
		s->findings_more++;
		return NULL;
	}
	f = &s->findings[s->findings_n++];
	f->status = status;
	f->signature = *sig;
	return f;
}

/* `folder`: where the rig left it, NULL: nowhere yet. */
static void found(struct soak *s, const struct signature *sig, enum verdict verdict, uint64_t seed,
		  const char *folder)
{
	struct soak_finding *f = find(s, sig->id);

	if (!f)
		f = add(s, SOAK_NEW, sig);
	if (!f)
		return;
	if (!f->times++) {
		f->first_seed = seed;
		f->verdict = verdict;
		if (folder)
			snprintf(f->folder, sizeof(f->folder), "%s", folder);
	}
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
		result->verdict == VERDICT_XFAIL   ? SOAK_KNOWN
		: result->verdict == VERDICT_XPASS ? SOAK_FIXED
						   : SOAK_REGRESSED,
		&sig);
	if (!f)
		return;
	f->regression = plan;
	f->verdict = result->verdict;
	if (result->folder)
		snprintf(f->folder, sizeof(f->folder), "%s", result->folder);
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

/* Once more, to be kept: the same seed gives the same journal. */
static struct trial *next_recording(struct soak *s, struct seeds *q)
{
	for (unsigned i = 0; i < s->findings_n; i++) {
		struct soak_finding *f = &s->findings[i];
		json_t *plan;
		struct trial *t;

		if (f->status != SOAK_NEW || f->recorded)
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
		q->broken = true;
	return t;
}

static uint64_t seed_of(json_t *plan)
{
	const char *seed = json_string_value(json_object_get(plan, "seed"));

	return seed ? strtoull(seed, NULL, 0) : 0;
}

static void judge_memory(struct soak *s, json_t *plan, const struct rss_track *rss)
{
	struct signature sig = {
		.id = "memory",
		.text = "memory: the server's process grows while its fleet lives the same life"};
	int64_t growth;
	enum rss_verdict v = rss_judge(rss, &growth);

	if (v == RSS_TOO_SHORT)
		return;
	s->memory_judged++;
	if (growth > s->memory_worst_kib)
		s->memory_worst_kib = growth;
	if (v == RSS_GROWS) {
		s->memory_grew++;
		found(s, &sig, VERDICT_FAIL, seed_of(plan), NULL);
	}
}

void soak_seed_result(struct soak *s, json_t *plan, const struct scenario_result *result,
		      const struct rss_track *rss)
{
	struct signature sig;

	s->ended++;
	judge_memory(s, plan, rss);
	if (result->verdict == VERDICT_PASS) {
		s->passed++;
		return;
	}
	s->failed += result->verdict != VERDICT_INCONCLUSIVE;
	s->inconclusive += result->verdict == VERDICT_INCONCLUSIVE;
	signature_of(result, &sig);
	found(s, &sig, result->verdict, seed_of(plan), result->folder);
}

static void recorded(struct soak *s, struct trial *t)
{
	struct soak_finding *f = t->user;
	struct err e = {0};
	char *text = NULL;

	json_decref(soak_plan(s->o, f->first_seed, &text, &e));
	if (strcmp(f->signature.id, "memory") != 0 && !signature_in(t->result, f->signature.id))
		snprintf(f->note, sizeof(f->note), "the same seed did not fail alike a second time");
	if (text)
		soak_record(s, f, text, t);
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
	soak_seed_result(s, t->plan, t->result, &t->rss);
out:
	trial_free(t);
	soak_progress(s, false);
}

static void on_tick(void *ctx)
{
	soak_progress(*(struct soak **)ctx, false);
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
				    .wall_s = s->o->wall_s};
	int rv = s->o->live	       ? soak_live(s, e)
		 : s->o->regressions_n ? trials_run(&to, &s->signal_number, e)
				       : 0;

	if (rv || s->o->live)
		return rv;
	to.next = next_seed;
	to.done = seed_done;
	to.ctx = &q;
	return trials_run(&to, &s->signal_number, e);
}

static int exit_of(const struct soak *s)
{
	int code = s->passed || s->regressions_run ? EXIT_PASSED : EXIT_NOTHING;

	if (s->error[0])
		return EXIT_ENVIRONMENT;
	if (s->signal_number)
		return s->signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
	for (unsigned i = 0; i < s->findings_n; i++) {
		const struct soak_finding *f = &s->findings[i];

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
		free(s);
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
	code = exit_of(s);
	if (rv) {
		fprintf(stderr, "quicrig soak: error: the report is not whole: %s\n",
			err_format(&e, text, sizeof(text)));
		code = verdict_exit_merge(code, EXIT_ENVIRONMENT);
	}
	free(s);
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
