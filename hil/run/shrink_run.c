/* The search of shrink.c with the virtual rig as its judge. */
#include "hil/run/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "hil/language/scenario_write.h"
#include "hil/run/shrink_moves.h"
#include "hil/run/trial.h"

#define WALL_TIMES 4 /* a candidate may take so many times as long as what it is made from … */
#define WALL_MORE  (5 * NS_PER_S) /* … and a little more */

/* What is asked of a plan: does it fail alike? And, where the failure is planted: does it
 * pass without? */
struct question {
	uint64_t ticket;
	json_t *plan;
	bool control;
	struct question *next; /* controls that wait for their turn */
};

struct search {
	const struct shrink_options *o;
	struct shrink_result *out;
	struct shrink *shrink; /* NULL: the first trial is not back yet */
	json_t *first;	       /* to be tried; then NULL */
	json_t *known;	       /* the best that was told of */
	struct question *controls;
	struct signature_set failed; /* in the first one: what passed there must go on passing */
	uint64_t wall_ns;	     /* of a candidate */
	unsigned trials_max;
	bool nomem;
	char why[300]; /* the first one did not fail */
};

static struct trial *ask(struct search *x, struct question *q)
{
	json_t *plan = json_copy(q->plan); /* members of its own, what is in them is shared */
	struct trial *t;

	if (plan && x->o->plant && !q->control)
		json_object_set_new(plan, "plant", json_string(x->o->plant));
	if (plan && x->wall_ns)
		json_object_set_new(plan, "wall_ns", json_integer((json_int_t)x->wall_ns));
	t = plan ? trial_new(plan) : NULL;
	json_decref(plan);
	if (!t) {
		x->nomem = true;
		json_decref(q->plan);
		free(q);
		return NULL;
	}
	t->user = q;
	x->out->trials++;
	return t;
}

static struct question *question_new(struct search *x, json_t *plan, uint64_t ticket)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q) {
		json_decref(plan);
		x->nomem = true;
		return NULL;
	}
	q->plan = plan;
	q->ticket = ticket;
	return q;
}

static struct trial *next(void *ctx)
{
	struct search *x = ctx;
	struct question *q = x->controls;
	json_t *plan;
	uint64_t ticket = 0;

	if (x->nomem || x->out->trials >= x->trials_max)
		return NULL;
	if (q) {
		x->controls = q->next;
		return ask(x, q);
	}
	plan = x->first ? x->first : x->shrink ? shrink_next(x->shrink, &ticket) : NULL;
	x->first = NULL;
	q = plan ? question_new(x, plan, ticket) : NULL;
	return q ? ask(x, q) : NULL;
}

static void first_came(struct search *x, struct trial *t)
{
	struct question *q = t->user;
	const struct scenario_result *r = t->result;

	if (r->verdict != VERDICT_FAIL && r->verdict != VERDICT_XFAIL) {
		snprintf(x->why, sizeof(x->why), "%s%s%.200s", verdict_name(r->verdict), r->reason ? ": " : "",
			 r->reason ? r->reason : "");
		return;
	}
	signature_of(r, &x->out->signature);
	x->nomem |= signature_set_add(&x->failed, r) != 0;
	x->wall_ns = WALL_TIMES * r->wall_ns + WALL_MORE;
	x->shrink = shrink_new(q->plan, &x->out->signature);
	x->nomem |= !x->shrink;
}

/* For the same reason, and for no other: an expectation that only a part that was taken
 * away had fulfilled would fail for ever, mended or not. */
static bool fails_alike(const struct search *x, const struct trial *t)
{
	struct signature other;

	if (t->interrupted || t->result->verdict != VERDICT_FAIL || !signature_in(t->result, x->out->signature.id))
		return false;
	signature_beyond(t->result, &x->failed, &other);
	return !other.id[0];
}

static void tell(struct search *x, const struct question *q, bool alike)
{
	shrink_told(x->shrink, q->ticket, alike);
	if (shrink_best(x->shrink) == x->known)
		return;
	x->known = shrink_best(x->shrink);
	if (alike && x->o->found)
		x->o->found(x->o->ctx, x->known, x->out->trials);
}

static void done(void *ctx, struct trials *ts, struct trial *t)
{
	struct search *x = ctx;
	struct question *q = t->user;

	(void)ts;
	if (!x->shrink) {
		if (!t->interrupted)
			first_came(x, t);
		x->known = x->shrink ? shrink_best(x->shrink) : NULL;
	} else if (q->control) {
		tell(x, q, !t->interrupted && t->result->verdict == VERDICT_PASS);
	} else if (fails_alike(x, t) && x->o->plant) {
		q->control = true;
		q->next = x->controls;
		x->controls = q;
		q = NULL;
	} else {
		tell(x, q, fails_alike(x, t));
	}
	if (q) {
		json_decref(q->plan);
		free(q);
	}
	trial_free(t);
}

static void fini(struct search *x)
{
	struct question *q;

	while ((q = x->controls)) {
		x->controls = q->next;
		json_decref(q->plan);
		free(q);
	}
	json_decref(x->first);
	shrink_free(x->shrink);
	signature_set_fini(&x->failed);
}

static json_t *plain(json_t *plan)
{
	json_t *copy = json_deep_copy(plan);

	json_object_del(copy, "plant");
	json_object_del(copy, "skip");
	json_object_del(copy, "xfail"); /* a known failure fails, too */
	json_object_del(copy, "quarantine");
	return copy;
}

int shrink_run(json_t *plan, const struct shrink_options *o, struct shrink_result *out, struct err *e)
{
	struct search x = {.o = o, .out = out, .trials_max = o->trials_max ? o->trials_max : SHRINK_TRIALS};
	struct trials_options t = {.jobs = o->jobs,
				   .program = o->program,
				   .next = next,
				   .done = done,
				   .ctx = &x,
				   .wall_s = o->wall_s > 0 ? o->wall_s : SHRINK_WALL_S};
	struct buf text;
	bool cut;
	int rv;

	memset(out, 0, sizeof(*out));
	x.first = plain(plan);
	if (!x.first)
		return err_set(e, ERR_NOMEM, "out of memory");
	buf_init(&text, SCENARIO_TEXT_MAX);
	rv = scenario_write(x.first, NULL, &text, e);
	buf_fini(&text);
	if (rv) {
		fini(&x);
		return rv;
	}
	rv = trials_run(&t, &out->signal_number, e);
	cut = rv == ERR_CLOSED;
	if (cut && x.shrink)
		rv = 0; /* what was found up to now is good */
	if (!rv && x.nomem)
		rv = err_set(e, ERR_NOMEM, "out of memory");
	if (!rv && !x.shrink)
		rv = err_set(e, ERR_NOTFOUND, "it does not fail on the virtual rig: %s", x.why);
	if (!rv) {
		out->plan = json_incref(shrink_best(x.shrink));
		out->complete = shrink_done(x.shrink) && !cut;
	}
	fini(&x);
	return rv;
}

void shrink_result_fini(struct shrink_result *r)
{
	json_decref(r->plan);
	r->plan = NULL;
}
