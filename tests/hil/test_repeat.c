/* Many runs, one result: what they prove, what they do not, and what nobody can say. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hil/run/repeat.h"

static bool never(void *ctx, json_t *plan)
{
	(void)ctx;
	(void)plan;
	return false;
}

static bool always(void *ctx, json_t *plan)
{
	(void)ctx;
	(void)plan;
	return true;
}

static const struct {
	const char *what;
	const char *runs;  /* a letter each: P pass, F fail, V fail by an invariant, I inconclusive, S skipped */
	double pass;
	const char *more;  /* members of the plan */
	enum verdict verdict;
	enum blame blame;
	const char *summary;
} rows[] = {
	{"all pass", "PPPPPPPPPP", 0.7, "", VERDICT_PASS, BLAME_NONE, "10 of 10 runs passed: at least 74.11%"},
	{"all pass, and prove less", "PPPPPPPPPP", 0.75, "", VERDICT_FAIL, BLAME_NONE, "10 of 10 runs passed: at least 74.11%"},
	{"one fails", "PPPPPFPPPP", 0.6, "", VERDICT_PASS, BLAME_NONE, "9 of 10 runs passed: at least 60.58%"},
	{"one breaks what must always hold", "PPPPPVPPPP", 0.6, "", VERDICT_FAIL, BLAME_SERVER, "9 of 10 runs passed: at least 60.58%"},
	{"… and is known to", "PPPPPVPPPP", 0.6, ", \"xfail\": {\"reason\": \"#1\", \"until\": \"2099-01-01\", \"invariants\": [\"one-code\"]}",
	 VERDICT_XFAIL, BLAME_SERVER, "9 of 10 runs passed: at least 60.58%"},
	{"… and is known for something else", "PPVPPVPPPP", 0.4, ", \"xfail\": {\"reason\": \"#1\", \"until\": \"2099-01-01\"}", VERDICT_FAIL,
	 BLAME_SERVER, "8 of 10 runs passed: at least 49.31%"},
	{"two fail", "PFPPPFPPPP", 0.6, "", VERDICT_FAIL, BLAME_SERVER, "8 of 10 runs passed: at least 49.31%"},
	{"not judged, and it could still hold", "PPPPPPPPPI", 0.7, "", VERDICT_INCONCLUSIVE, BLAME_HARNESS,
	 "9 of 9 runs passed: at least 71.69%"},
	{"not judged, and it cannot hold any more", "FFFPPPPPPI", 0.6, "", VERDICT_FAIL, BLAME_UNKNOWN,
	 "6 of 9 runs passed: at least 34.49%"},
	{"cut short", "PPPPSSSSSS", 0.3, "", VERDICT_INCONCLUSIVE, BLAME_HARNESS, "4 of 4 runs passed: at least 47.29%"},
	{"known to fail", "FFFFFFFFFF", 0.5, ", \"xfail\": {\"reason\": \"#1\", \"until\": \"2099-01-01\"}", VERDICT_XFAIL, BLAME_SERVER,
	 "0 of 10 runs passed: at least 0%"},
	{"in quarantine", "FFFFFFFFFF", 0.5, ", \"quarantine\": {\"reason\": \"#1\", \"until\": \"2099-01-01\"}", VERDICT_QUARANTINE,
	 BLAME_SERVER, "0 of 10 runs passed: at least 0%"},
};

static void break_invariant(struct scenario_result *s)
{
	struct place at = {0};

	check_fail(scenario_add_check(s, CHECK_INVARIANT, "one-code", &at, "a registration has at most one code"),
		   "a second code for one registration", BLAME_SERVER, NULL, "A[1]", 5);
}

static void end_as(struct scenario_result *s, char how)
{
	s->devices = 2;
	s->rows[1] = 3;
	s->duration_ns = 5;
	memset(s->journal_sha256, 'a', 64);
	switch (how) {
	case 'P':
		s->verdict = VERDICT_PASS;
		break;
	case 'V':
		break_invariant(s);
		/* fall through */
	case 'F':
		s->verdict = VERDICT_FAIL;
		s->blame = BLAME_SERVER;
		text_set(&s->reason, "final: IDLE");
		break;
	case 'I':
		s->verdict = VERDICT_INCONCLUSIVE;
		s->blame = BLAME_CARRIER;
		break;
	default:
		scenario_skip(s, "not begun");
	}
}

START_TEST(many_to_one)
{
	size_t n = strlen(rows[_i].runs);
	json_t *plan = json_pack("{s:s, s:s, s:{s:I, s:f, s:f}}", "id", "s/x", "seed", "0x1", "repeat", "runs", (json_int_t)n, "pass",
				 rows[_i].pass, "confidence", 0.95);
	char text[200];
	struct verdict_options verdict = {.today = "2026-01-01"};
	struct run_result all;
	struct repeats *r;
	struct scenario_result *told = NULL;
	json_t *more;

	snprintf(text, sizeof(text), "{\"v\": 1%s}", rows[_i].more);
	more = json_loads(text, 0, NULL);
	json_object_update(plan, more);
	json_decref(more);
	run_result_init(&all);
	r = repeats_new(&plan, 1, never, NULL, &verdict);
	ck_assert_uint_eq(repeats_n(r), n);
	for (size_t k = 0; k < n; k++) {
		json_t *unit = repeats_units(r)[k];
		struct scenario_result *s;

		snprintf(text, sizeof(text), "s/x.run%zu", k + 1);
		ck_assert_str_eq(json_string_value(json_object_get(unit, "id")), text);
		ck_assert(!json_object_get(unit, "repeat") && !json_object_get(unit, "xfail") && !json_object_get(unit, "quarantine"));
		s = run_result_add(&all, text, NULL);
		end_as(s, rows[_i].runs[k]);
		told = repeats_ended(r, k, &all, s);
		ck_assert_msg(!told == (k + 1 < n), "%s: run %zu", rows[_i].what, k);
	}
	/* theirs are gone, one is there */
	ck_assert_uint_eq(all.n, 1);
	ck_assert_ptr_eq(all.scenarios[0], told);
	ck_assert_str_eq(told->id, "s/x");
	ck_assert_msg(told->verdict == rows[_i].verdict, "%s: %s", rows[_i].what, verdict_name(told->verdict));
	ck_assert_msg(told->blame == rows[_i].blame || rows[_i].blame == BLAME_NONE, "%s: %s", rows[_i].what, blame_name(told->blame));
	ck_assert_str_eq(told->summary, rows[_i].summary);
	ck_assert_uint_eq(told->devices, 2 * n);
	ck_assert_uint_eq(told->rows[1], 3 * n);
	ck_assert_uint_eq(strlen(told->journal_sha256), 64);
	ck_assert_uint_eq(told->checks_n, strchr(rows[_i].runs, 'V') ? 2 : 1);
	run_result_fini(&all);
	repeats_free(r);
	json_decref(plan);
}
END_TEST

/* What will be skipped here, and what is not repeated, stays one. */
START_TEST(one_stays_one)
{
	json_t *plans[] = {json_pack("{s:s, s:{s:i, s:f, s:f}, s:{s:i}}", "id", "s/x", "repeat", "runs", 9, "pass", 0.5, "confidence",
				     0.95, "control", "lives", 1),
			   json_pack("{s:s}", "id", "s/y")};
	struct verdict_options verdict = {0};
	struct repeats *r = repeats_new(plans, 2, always, NULL, &verdict);
	struct scenario_result s = {0};

	ck_assert_uint_eq(repeats_n(r), 2);
	ck_assert_str_eq(json_string_value(json_object_get(repeats_units(r)[0], "id")), "s/x");
	/* an older control is not this run's */
	ck_assert_ptr_null(json_object_get(repeats_units(r)[0], "control"));
	ck_assert_ptr_eq(repeats_ended(r, 0, NULL, &s), &s);
	repeats_free(r);
	r = repeats_new(plans, 2, never, NULL, &verdict);
	ck_assert_uint_eq(repeats_n(r), 10);
	ck_assert_str_eq(json_string_value(json_object_get(repeats_units(r)[9], "id")), "s/y");
	repeats_free(r);
	json_decref(plans[0]);
	json_decref(plans[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("repeat");
	TCase *c = tcase_create("repeat");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, many_to_one, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(c, one_stays_one);
	suite_add_tcase(s, c);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
