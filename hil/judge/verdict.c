#include "hil/judge/verdict.h"

#include <stdio.h>
#include <string.h>

/* Device, server or nobody known to blame: the subject failed. Modem, carrier and
 * harness failed the test, not the subject: INCONCLUSIVE. */
bool verdict_is_subject(enum blame b)
{
	return b == BLAME_DEVICE || b == BLAME_SERVER || b == BLAME_UNKNOWN || b == BLAME_NONE;
}

static bool is_wish(const struct check_result *c)
{
	return c->kind == CHECK_EXPECTATION || c->kind == CHECK_THRESHOLD;
}

/* The first cause that decides: a subject's before the test bench's, a named
 * culprit's before an unknown one. */
static const struct cause *worst(const struct scenario_result *s, const struct check_result **of)
{
	static const unsigned weight[BLAME_COUNT] = {
		[BLAME_DEVICE] = 4,  [BLAME_SERVER] = 4, [BLAME_UNKNOWN] = 3, [BLAME_NONE] = 3,
		[BLAME_CARRIER] = 2, [BLAME_MODEM] = 2,  [BLAME_HARNESS] = 1};
	const struct cause *best = NULL;

	for (size_t i = 0; i < s->checks_n; i++) {
		for (unsigned k = 0; k < s->checks[i].causes_n; k++) {
			const struct cause *c = &s->checks[i].causes[k];

			if (best && weight[c->blame] <= weight[best->blame])
				continue;
			best = c;
			*of = &s->checks[i];
		}
	}
	return best;
}

static int decide_failure(struct scenario_result *s, const struct cause *c, const struct check_result *of)
{
	char text[512];

	s->verdict = verdict_is_subject(c->blame) ? VERDICT_FAIL : VERDICT_INCONCLUSIVE;
	s->blame = c->blame == BLAME_NONE ? BLAME_UNKNOWN : c->blame;
	snprintf(text, sizeof(text), "%s: %s", of->name ? of->name : "", c->got ? c->got : "");
	return text_set(&s->reason, text);
}

static bool names(json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	}
	return false;
}

/* An expectation may be known to fail; what must hold whatever is expected must be named.
 * NULL: nothing else failed. */
static const struct check_result *unexpected(const struct scenario_result *s, json_t *mark)
{
	json_t *list = json_object_get(mark, "invariants");

	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *c = &s->checks[i];

		if (c->kind == CHECK_INVARIANT && c->status == CHECK_FAILED && !names(list, c->name ? c->name : ""))
			return c;
	}
	return NULL;
}

static int tell_unexpected(struct scenario_result *s, const struct check_result *c, const char *mark)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s; its %s does not name this invariant", c->name,
		 c->causes_n && c->causes[0].got ? c->causes[0].got : "failed", mark);
	if (c->causes_n)
		s->blame = c->causes[0].blame == BLAME_NONE ? BLAME_UNKNOWN : c->causes[0].blame;
	return text_set(&s->reason, text);
}

static int decide_xfail(struct scenario_result *s, json_t *xfail, const char *today)
{
	const char *why = json_string_value(json_object_get(xfail, "reason"));
	const char *until = json_string_value(json_object_get(xfail, "until"));
	char text[256];

	if (today && until && strcmp(until, today) <= 0) {
		snprintf(text, sizeof(text), "xfail expired on %s: %s", until, why ? why : "");
		if (s->verdict == VERDICT_PASS) {
			s->verdict = VERDICT_XPASS;
			return text_set(&s->reason, text);
		}
		return scenario_note(s, "%s", text);
	}
	if (s->verdict == VERDICT_FAIL) {
		if (unexpected(s, xfail))
			return tell_unexpected(s, unexpected(s, xfail), "xfail");
		s->verdict = VERDICT_XFAIL;
		return text_set(&s->reason, why);
	}
	if (s->verdict == VERDICT_PASS) {
		s->verdict = VERDICT_XPASS;
		snprintf(text, sizeof(text), "passed, but is marked to fail: %s", why ? why : "");
		return text_set(&s->reason, text);
	}
	return 0;
}

int verdict_decide(struct scenario_result *s, json_t *xfail, const struct verdict_options *opt)
{
	const struct check_result *of = NULL;
	const struct cause *c;
	char text[96];
	int rv = 0;

	s->unjudged = 0;
	for (size_t i = 0; i < s->checks_n; i++)
		s->unjudged += is_wish(&s->checks[i]) && s->checks[i].status == CHECK_UNJUDGED;
	if (s->verdict == VERDICT_SKIP)
		return 0;
	c = worst(s, &of);
	s->verdict = VERDICT_PASS;
	s->blame = BLAME_NONE;
	if (c) {
		rv = decide_failure(s, c, of);
	} else if (s->unjudged) {
		snprintf(text, sizeof(text), "PARTIAL: %u of its expectations could not be judged", s->unjudged);
		s->verdict = opt && opt->allow_unjudged ? VERDICT_PASS : VERDICT_INCONCLUSIVE;
		rv = text_set(&s->reason, text);
	}
	if (!rv && json_is_object(xfail))
		rv = decide_xfail(s, xfail, opt ? opt->today : NULL);
	return rv;
}

int verdict_quarantine(struct scenario_result *s, json_t *quarantine, const struct verdict_options *opt)
{
	const char *why = json_string_value(json_object_get(quarantine, "reason"));
	const char *until = json_string_value(json_object_get(quarantine, "until"));
	char text[768];

	if (!json_is_object(quarantine) || !why || !until)
		return 0;
	if (opt && opt->today && strcmp(until, opt->today) <= 0)
		return scenario_note(s, "its quarantine ended on %s: %s", until, why);
	if (s->verdict != VERDICT_FAIL && s->verdict != VERDICT_INCONCLUSIVE)
		return 0;
	if (s->verdict == VERDICT_FAIL && unexpected(s, quarantine))
		return tell_unexpected(s, unexpected(s, quarantine), "quarantine");
	snprintf(text, sizeof(text), "%s, not counted until %s (%s): %s", verdict_name(s->verdict), until, why,
		 s->reason ? s->reason : "");
	s->verdict = VERDICT_QUARANTINE;
	return text_set(&s->reason, text);
}

int verdict_exit(enum verdict v)
{
	switch (v) {
	case VERDICT_FAIL:
	case VERDICT_XPASS:
		return EXIT_FAILED;
	case VERDICT_INCONCLUSIVE:
		return EXIT_INCONCLUSIVE;
	case VERDICT_SKIP:
		return EXIT_NOTHING;
	default:
		return EXIT_PASSED;
	}
}

static int weight_of(int code)
{
#define WEIGHT(name, value, weight)                                                                            \
	if (code == (value))                                                                                   \
		return weight;
	EXIT_TABLE(WEIGHT)
#undef WEIGHT
	return 7; /* a code of nobody's: as bad as an internal error */
}

int verdict_exit_merge(int a, int b)
{
	return weight_of(b) > weight_of(a) ? b : a;
}

/* A run that skipped some and passed some has passed; one that only skipped has
 * checked nothing. */
int verdict_run_exit(const struct run_result *r)
{
	int code = EXIT_PASSED;
	size_t skipped = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->scenarios[i]->verdict == VERDICT_SKIP)
			skipped++;
		else
			code = verdict_exit_merge(code, verdict_exit(r->scenarios[i]->verdict));
	}
	if (skipped == r->n)
		code = EXIT_NOTHING;
	return r->interrupted ? verdict_exit_merge(code, EXIT_INTERRUPTED) : code;
}
