/* quicrig replay --lift: the lifted plan as a file, run, and held against what was recorded. */
#include "hil/run/lift.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/signature.h"
#include "hil/judge/verdict.h"
#include "hil/language/scenario.h"
#include "hil/language/scenario_write.h"
#include "hil/run/judging.h"
#include "hil/run/trial.h"

/* ---- the file ---- */

static int comment(const struct recording *r, const struct lifted *l, const struct scenario_result *was, struct buf *out,
		   struct err *e)
{
	buf_printf(out, "Lifted from a run on the rig '%.100s' by quicrig %.100s: %s%s%.2000s.\n", r->rig, r->build,
		   verdict_name(r->verdict), was->reason ? ", " : "", was->reason ? was->reason : "");
	if (l->own)
		buf_puts(out, "The scenario's own faults stand as they were. ");
	buf_printf(out, "%s befell it%s%s\n", l->added ? "What" : "Nothing", l->own ? " besides" : "", l->added ? ":" : ".");
	if (l->notes.len)
		buf_add(out, l->notes.data, l->notes.len);
	if (l->notes_more)
		buf_printf(out, "… and %u more.\n", l->notes_more);
	if (l->added > 1)
		buf_puts(out, "('nth' counts the events that no fault above has taken.)\n");
	return out->failed ? err_set(e, out->failed, "the head of the lifted file is too long") : 0;
}

static int write_file(const char *path, const struct buf *text, struct err *e)
{
	FILE *f = fopen(path, "we");
	int bad = !f || fwrite(text->data, 1, text->len, f) != text->len;

	if (f)
		bad |= fclose(f);
	return bad ? err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno)) : 0;
}

static int read_file(const char *path, struct plans *plans, struct err *e)
{
	struct diags ds = {0};
	int rv = scenario_load(path, &ds, plans);

	if (rv || plans->n != 1) {
		diags_print(&ds, stderr);
		rv = err_set(e, ERR_INTERNAL, "%s does not pass its own check", path);
	}
	diags_fini(&ds);
	return rv;
}

/* ---- the comparison ---- */

static int judge_recorded(const struct recording *r, struct scenario_result *out, struct err *e)
{
	struct job job = {.plan = r->plan, .id = r->id, .tape = r->tape};

	snprintf(job.end, sizeof(job.end), "%s", r->end);
	snprintf(job.harness, sizeof(job.harness), "%s", r->harness);
	memset(out, 0, sizeof(*out));
	if (text_set(&out->id, r->id))
		return err_set(e, ERR_NOMEM, "out of memory");
	judge_job(&job, r->allow_unjudged, NULL, out);
	return 0;
}

static bool same_check(const struct check_result *a, const struct check_result *b)
{
	return a->kind == b->kind && strcmp(a->name ? a->name : "", b->name ? b->name : "") == 0 &&
	       strcmp(a->expected ? a->expected : "", b->expected ? b->expected : "") == 0;
}

static const struct check_result *first_failed(const struct scenario_result *s)
{
	for (size_t i = 0; i < s->checks_n; i++)
		if (s->checks[i].status == CHECK_FAILED)
			return &s->checks[i];
	return NULL;
}

static const struct check_result *failed_alike(const struct scenario_result *s, const struct check_result *k)
{
	for (size_t i = 0; i < s->checks_n; i++)
		if (s->checks[i].status == CHECK_FAILED && same_check(&s->checks[i], k))
			return &s->checks[i];
	return NULL;
}

/* Is there a reason that both have? Real and virtual clocks never show the same times. */
static bool same_reason(const struct check_result *a, const struct check_result *b)
{
	char x[SIGNATURE_TEXT_MAX], y[SIGNATURE_TEXT_MAX];

	for (unsigned i = 0; i < a->causes_n; i++)
		for (unsigned k = 0; k < b->causes_n; k++) {
			signature_plain(a->causes[i].got, x);
			signature_plain(b->causes[k].got, y);
			if (x[0] && strcmp(x, y) == 0)
				return true;
		}
	return false;
}

static void say_side(const char *name, enum verdict v, const struct check_result *k)
{
	printf("  %-9s %s", name, verdict_name(v));
	if (k)
		printf("  %s: expected %s, got %s (blame: %s)", k->name ? k->name : "", k->expected ? k->expected : "",
		       k->causes_n && k->causes[0].got ? k->causes[0].got : "?",
		       k->causes_n ? blame_name(k->causes[0].blame) : "?");
	putchar('\n');
}

static int compare(const struct recording *r, const struct scenario_result *was, const struct scenario_result *now)
{
	const struct check_result *a = first_failed(was), *b = a ? failed_alike(now, a) : first_failed(now);

	say_side("recorded", r->verdict, a);
	say_side("lifted", now->verdict, b ? b : first_failed(now));
	if (!a && !b) {
		puts("  nothing failed there, and nothing fails here");
		return was->verdict == now->verdict ? EXIT_PASSED : EXIT_FAILED;
	}
	if (a && b && same_reason(a, b)) {
		puts("  it fails alike: the same expectation, for the same reason");
		return EXIT_PASSED;
	}
	if (a && b)
		puts("  the same expectation fails, for another reason");
	else if (a && first_failed(now))
		puts("  another expectation fails");
	else
		puts(a ? "  it does not fail here" : "  it fails only here");
	return EXIT_FAILED;
}

static int run(const struct recording *r, const char *path, const struct scenario_result *was, int *signal_number,
	       struct err *e)
{
	struct plans plans = {0};
	struct trial *t = NULL;
	int code = EXIT_INTERNAL;

	if (!read_file(path, &plans, e))
		t = trial_once_or_signal(plans.v[0], NULL, false, signal_number, e);
	if (t && !t->hash[0])
		err_set(e, ERR_ENVIRONMENT, "the virtual rig failed: %s", t->result->reason ? t->result->reason : "?");
	else if (t)
		code = compare(r, was, t->result);
	trial_free(t);
	plans_fini(&plans);
	return code;
}

static int exit_of(const struct err *e)
{
	return e->code == ERR_UNSUPPORTED   ? EXIT_BAD_INPUT :
	       e->code == ERR_NOMEM || e->code == ERR_INTERNAL ? EXIT_INTERNAL :
								 EXIT_ENVIRONMENT;
}

int replay_lift(const struct recording *r, const char *path)
{
	struct scenario_result was = {0};
	struct lifted l;
	struct err e = {0};
	struct buf text, head;
	char beside[PATH_MAX], line[800];
	int code = EXIT_INTERNAL, signal_number = 0;

	if (r->virtual_time) {
		fprintf(stderr,
			"quicrig replay: error: %s was recorded on the virtual rig: there is nothing to lift, it replays from "
			"its seed\n",
			r->dir);
		return EXIT_BAD_INPUT;
	}
	buf_init(&text, SCENARIO_TEXT_MAX);
	buf_init(&head, LIFT_NOTES_MAX + 4096);
	if (!path) {
		if (snprintf(beside, sizeof(beside), "%s/lifted.yaml", r->dir) >= (int)sizeof(beside))
			err_set(&e, ERR_IO, "%s: path too long", r->dir);
		path = beside;
	}
	if (!lift(r, &l, &e) && !judge_recorded(r, &was, &e) && !comment(r, &l, &was, &head, &e) &&
	    !scenario_write(l.plan, head.data, &text, &e) && !write_file(path, &text, &e)) {
		printf("%s: lifted into %s: %u fault%s of its own, %u added\n", r->id, path, l.own, l.own == 1 ? "" : "s",
		       l.added);
		code = run(r, path, &was, &signal_number, &e);
	}
	if (e.code) {
		fprintf(stderr, "quicrig replay: error: %s\n", err_format(&e, line, sizeof(line)));
		code = signal_number ? 128 + signal_number : exit_of(&e);
	}
	scenario_result_fini(&was);
	lifted_fini(&l);
	buf_fini(&head);
	buf_fini(&text);
	return code;
}
