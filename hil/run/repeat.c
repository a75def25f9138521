#include "hil/run/repeat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/binomial.h"
#include "core/buf.h"
#include "core/hash.h"

#define RUNS_TOLD 5 /* failed runs that the result names */

struct unit {
	size_t plan;
	struct scenario_result *result; /* of run_result; only while its scenario's others are out */
};

struct repeats {
	json_t *const *plans;
	json_t **units; /* owned references */
	struct unit *of;
	size_t *first, *count, *left; /* of each plan */
	size_t plans_n, n;
	struct verdict_options verdict;
};

static size_t runs_of(json_t *plan)
{
	json_int_t runs = json_integer_value(json_object_get(json_object_get(plan, "repeat"), "runs"));

	return runs > 1 ? (size_t)runs : 1;
}

/* A plan of its own: what one run writes into it (what has fired, its control) is not the next one's. */
static json_t *one_run(json_t *plan, size_t k, bool repeated)
{
	json_t *copy = json_deep_copy(plan);
	char id[200];

	json_object_del(copy, "control");
	if (!repeated)
		return copy;
	snprintf(id, sizeof(id), "%.170s.run%zu", json_string_value(json_object_get(plan, "id")), k);
	/* these are about all runs together */
	json_object_del(copy, "repeat");
	json_object_del(copy, "xfail");
	json_object_del(copy, "quarantine");
	if (json_object_set_new(copy, "id", json_string(id))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

struct repeats *repeats_new(json_t *const *plans, size_t n, bool (*once)(void *ctx, json_t *plan), void *ctx,
			    const struct verdict_options *verdict)
{
	struct repeats *r = calloc(1, sizeof(*r));
	size_t total = 0;

	if (!r)
		return NULL;
	r->verdict = *verdict;
	r->plans = plans;
	r->plans_n = n;
	r->first = calloc(n + 1, sizeof(*r->first));
	r->count = calloc(n + 1, sizeof(*r->count));
	r->left = calloc(n + 1, sizeof(*r->left));
	for (size_t i = 0; r->count && i < n; i++) {
		r->count[i] = once(ctx, plans[i]) ? 1 : runs_of(plans[i]);
		total += r->count[i];
	}
	r->units = calloc(total + 1, sizeof(*r->units));
	r->of = calloc(total + 1, sizeof(*r->of));
	if (!r->first || !r->count || !r->left || !r->units || !r->of)
		goto fail;
	for (size_t i = 0; i < n; i++) {
		r->first[i] = r->n;
		r->left[i] = r->count[i];
		for (size_t k = 1; k <= r->count[i]; k++) {
			r->of[r->n].plan = i;
			r->units[r->n] = one_run(plans[i], k, r->count[i] > 1);
			if (!r->units[r->n++])
				goto fail;
		}
	}
	return r;
fail:
	repeats_free(r);
	return NULL;
}

void repeats_free(struct repeats *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->units && i < r->n; i++)
		json_decref(r->units[i]);
	free(r->units);
	free(r->of);
	free(r->first);
	free(r->count);
	free(r->left);
	free(r);
}

size_t repeats_n(const struct repeats *r)
{
	return r->n;
}

json_t **repeats_units(struct repeats *r)
{
	return r->units;
}

/* ---- many results to one ---- */

static int add_figures(struct scenario_result *into, const struct scenario_result *s)
{
	into->devices += s->devices;
	into->sms.issued += s->sms.issued;
	into->sms.submitted += s->sms.submitted;
	into->sms.delivered += s->sms.delivered;
	into->sms.lost += s->sms.lost;
	into->sms.failed += s->sms.failed;
	into->sms.unknown += s->sms.unknown;
	into->sms.injected += s->sms.injected;
	into->sms.told += s->sms.told;
	into->sms.unexplained += s->sms.unexplained;
	into->duration_ns += s->duration_ns;
	into->wall_ns += s->wall_ns;
	into->virtual_time = s->virtual_time;
	for (unsigned i = 0; i < ROW_END; i++)
		into->rows[i] += s->rows[i];
	for (unsigned i = 0; i < STATE_COUNT; i++)
		into->final[i] += s->final[i];
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		if (histogram_merge(&into->metrics[i], &s->metrics[i]))
			return ERR_NOMEM;
	return 0;
}

static bool passed(const struct scenario_result *s)
{
	return s->verdict == VERDICT_PASS || s->verdict == VERDICT_XPASS;
}

static bool told_apart(const struct scenario_result *s)
{
	return passed(s) || s->verdict == VERDICT_FAIL || s->verdict == VERDICT_XFAIL;
}

struct tally {
	size_t passed, judged, runs;
	double pass, confidence, bound; /* bound: of those that were judged */
	bool proven, hopeless;		/* hopeless: not even if all others pass */
};

static struct tally tally_of(json_t *repeat, struct unit *of, size_t n)
{
	struct tally t = {.runs = n,
			  .pass = json_number_value(json_object_get(repeat, "pass")),
			  .confidence = json_number_value(json_object_get(repeat, "confidence"))};

	for (size_t k = 0; k < n; k++) {
		t.passed += passed(of[k].result);
		t.judged += told_apart(of[k].result);
	}
	t.bound = t.judged ? binomial_lower(t.passed, t.judged, t.confidence) : 0;
	t.proven = t.judged == n && t.bound >= t.pass;
	t.hopeless = binomial_lower(t.passed + n - t.judged, n, t.confidence) < t.pass;
	return t;
}

/* The runs that did not pass: the first few by name, with what they failed at. */
static int name_failed(struct scenario_result *into, struct unit *of, size_t n)
{
	size_t told = 0, more = 0;

	for (size_t k = 0; k < n; k++) {
		const struct scenario_result *s = of[k].result;

		if (passed(s))
			continue;
		if (told++ >= RUNS_TOLD) {
			more++;
			continue;
		}
		if (!into->folder && s->folder && text_set(&into->folder, s->folder))
			return ERR_NOMEM;
		if (scenario_note(into, "run %zu: %s: %s%s%s", k + 1, verdict_name(s->verdict), s->reason ? s->reason : "",
				  s->folder ? "; " : "", s->folder ? s->folder : ""))
			return ERR_NOMEM;
	}
	return more ? scenario_note(into, "and %zu runs more", more) : 0;
}

/* Whose doing it was, where all that failed agree. */
static enum blame blame_of(struct unit *of, size_t n)
{
	enum blame blame = BLAME_NONE;

	for (size_t k = 0; k < n; k++) {
		const struct scenario_result *s = of[k].result;

		if (passed(s) || s->verdict == VERDICT_SKIP)
			continue;
		if (blame != BLAME_NONE && blame != s->blame)
			return BLAME_UNKNOWN;
		blame = s->blame;
	}
	return blame;
}

static void hash_runs(struct scenario_result *into, struct unit *of, size_t n)
{
	uint8_t digest[HASH_SIZE];
	struct buf all;

	buf_init(&all, n * 66 + 1);
	for (size_t k = 0; k < n; k++)
		buf_printf(&all, "%s\n", of[k].result->journal_sha256);
	if (!all.failed) {
		hash_sha256(all.data, all.len, digest);
		hash_hex(digest, HASH_SIZE, into->journal_sha256);
	}
	buf_fini(&all);
}

static int judge_runs(struct scenario_result *into, json_t *plan, struct unit *of, size_t n)
{
	json_t *repeat = json_object_get(plan, "repeat"), *source = json_object_get(repeat, "source");
	struct tally t = tally_of(repeat, of, n);
	struct place at = {.file = (char *)json_string_value(json_object_get(source, "file")),
			   .line = (int)json_integer_value(json_object_get(source, "line")),
			   .column = (int)json_integer_value(json_object_get(source, "col"))};
	struct check_result *c;
	char text[160];

	snprintf(text, sizeof(text), "at least %g%% of runs pass, with %g%% confidence", 100 * t.pass, 100 * t.confidence);
	c = scenario_add_check(into, CHECK_EXPECTATION, "repeat", &at, text);
	if (!c)
		return ERR_NOMEM;
	c->devices = (unsigned)n;
	snprintf(text, sizeof(text), "%zu of %zu runs passed: at least %.4g%%", t.passed, t.judged, 100 * t.bound);
	if (text_set(&into->summary, text))
		return ERR_NOMEM;
	if (t.proven)
		return 0;
	return check_fail(c, text, t.hopeless ? blame_of(of, n) : BLAME_HARNESS,
			  t.hopeless ? NULL : "the other runs could not be judged", NULL, TIME_NEVER);
}

static struct check_result *invariant_of(struct scenario_result *into, const struct check_result *c)
{
	struct place nowhere = {.file = (char *)""};

	for (size_t i = 0; i < into->checks_n; i++)
		if (into->checks[i].kind == CHECK_INVARIANT && strcmp(into->checks[i].name, c->name) == 0)
			return &into->checks[i];
	return scenario_add_check(into, CHECK_INVARIANT, c->name, &nowhere, c->expected);
}

/* A share is claimed of what is expected. What must hold whatever is expected must hold in every run. */
static int carry_invariants(struct scenario_result *into, struct unit *of, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		const struct scenario_result *s = of[k].result;

		for (size_t i = 0; i < s->checks_n; i++) {
			const struct check_result *c = &s->checks[i];

			for (unsigned m = 0; c->kind == CHECK_INVARIANT && m < c->causes_n; m++) {
				const struct cause *cause = &c->causes[m];
				struct check_result *own;

				if (!verdict_is_subject(cause->blame))
					continue;
				own = invariant_of(into, c);
				if (!own || check_fail(own, cause->got, cause->blame, cause->why, cause->first, cause->t))
					return ERR_NOMEM;
			}
		}
	}
	return 0;
}

/* Takes the runs' results out of the run's list and frees them. */
static void remove_runs(struct run_result *all, struct unit *of, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->n; i++) {
		bool mine = false;

		for (size_t k = 0; k < n && !mine; k++)
			mine = all->scenarios[i] == of[k].result;
		if (!mine) {
			all->scenarios[kept++] = all->scenarios[i];
			continue;
		}
		scenario_result_fini(all->scenarios[i]);
		free(all->scenarios[i]);
	}
	all->n = kept;
	for (size_t k = 0; k < n; k++)
		of[k].result = NULL;
}

static struct scenario_result *fold(struct repeats *r, size_t which, struct run_result *all)
{
	json_t *plan = r->plans[which];
	struct unit *of = r->of + r->first[which];
	size_t n = r->count[which];
	struct err e = {0};
	struct scenario_result *into = run_result_add(all, json_string_value(json_object_get(plan, "id")), &e);
	json_t *source = json_object_get(plan, "source");

	if (!into)
		return NULL;
	into->source.line = (int)json_integer_value(json_object_get(source, "line"));
	into->source.column = (int)json_integer_value(json_object_get(source, "col"));
	if (text_set(&into->source.file, json_string_value(json_object_get(source, "file"))) ||
	    text_set(&into->rig, of[0].result->rig))
		return NULL;
	for (size_t k = 0; k < n; k++)
		if (add_figures(into, of[k].result))
			return NULL;
	hash_runs(into, of, n);
	if (judge_runs(into, plan, of, n) || carry_invariants(into, of, n) || name_failed(into, of, n) ||
	    verdict_decide(into, json_object_get(plan, "xfail"), &r->verdict) ||
	    verdict_quarantine(into, json_object_get(plan, "quarantine"), &r->verdict))
		return NULL;
	remove_runs(all, of, n);
	return into;
}

struct scenario_result *repeats_ended(struct repeats *r, size_t i, struct run_result *all, struct scenario_result *s)
{
	size_t plan = r->of[i].plan;
	struct scenario_result *one;

	if (r->count[plan] == 1)
		return s;
	r->of[i].result = s;
	if (--r->left[plan])
		return NULL;
	one = fold(r, plan, all);
	return one ? one : s;
}
