/* Two rigs held against each other: sets of rows, verdicts, and what is not known. */
#include "reports/parity.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define OTHER_ROW ROW_RG_403

static const struct {
	const char *id;
	enum parity_what what;
	enum verdict verdicts[2];
	uint64_t times[2]; /* that a row of its own was taken */
	bool other[2];	   /* … and another row */
	enum parity_outcome outcome;
} cases[] = {
	{"s/same", PARITY_ROWS, {VERDICT_PASS, VERDICT_PASS}, {1, 1}, {true, true}, PARITY_ALIKE},
	{"s/how-often-is-load",
	 PARITY_ROWS,
	 {VERDICT_PASS, VERDICT_PASS},
	 {1, 900},
	 {false, false},
	 PARITY_ALIKE},
	{"s/a-row-more", PARITY_ROWS, {VERDICT_PASS, VERDICT_PASS}, {1, 1}, {false, true}, PARITY_DIFFERS},
	{"s/a-row-less", PARITY_ROWS, {VERDICT_PASS, VERDICT_PASS}, {1, 0}, {false, false}, PARITY_DIFFERS},
	{"s/verdicts", PARITY_ROWS, {VERDICT_PASS, VERDICT_FAIL}, {1, 1}, {false, false}, PARITY_DIFFERS},
	{"s/both-fail", PARITY_ROWS, {VERDICT_FAIL, VERDICT_FAIL}, {1, 1}, {false, false}, PARITY_ALIKE},
	{"s/rows-do-not-count",
	 PARITY_VERDICT,
	 {VERDICT_PASS, VERDICT_PASS},
	 {1, 0},
	 {false, true},
	 PARITY_ALIKE},
	{"s/but-verdicts-do",
	 PARITY_VERDICT,
	 {VERDICT_XFAIL, VERDICT_PASS},
	 {1, 1},
	 {false, false},
	 PARITY_DIFFERS},
	{"s/not-judged",
	 PARITY_ROWS,
	 {VERDICT_PASS, VERDICT_INCONCLUSIVE},
	 {1, 1},
	 {false, false},
	 PARITY_UNDECIDED},
	{"s/neither-judged",
	 PARITY_ROWS,
	 {VERDICT_INCONCLUSIVE, VERDICT_INCONCLUSIVE},
	 {1, 1},
	 {false, false},
	 PARITY_UNDECIDED},
	{"s/not-begun", PARITY_ROWS, {VERDICT_PASS, VERDICT_SKIP}, {1, 0}, {false, false}, PARITY_UNDECIDED},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static void fill(struct parity *p)
{
	ck_assert_int_eq(parity_init(p, "virtual", "loopback"), 0);
	for (size_t i = 0; i < CASES; i++)
		ck_assert_int_eq(parity_add(p, cases[i].id, cases[i].what,
					    cases[i].what == PARITY_VERDICT ? "chance" : NULL),
				 0);
	ck_assert_int_eq(parity_leave(p, "s/apart-1", "no modem"), 0);
	ck_assert_int_eq(parity_leave(p, "s/apart-2", "no modem"), 0);
	for (unsigned side = 0; side < 2; side++) {
		/* scenarios end in any order */
		for (size_t k = 0; k < CASES; k++) {
			size_t i = side ? CASES - 1 - k : k;
			struct scenario_result s = {.id = (char *)cases[i].id,
						    .verdict = cases[i].verdicts[side]};

			s.rows[ROW_NP_BACKOFF] = cases[i].times[side];
			s.rows[OTHER_ROW] = cases[i].other[side];
			parity_take(p, side, &s);
		}
	}
	parity_judge(p);
}

START_TEST(sets_and_verdicts_are_compared)
{
	struct parity p;

	fill(&p);
	ck_assert_str_eq(p.v[_i].id, cases[_i].id);
	ck_assert_msg(p.v[_i].outcome == cases[_i].outcome, "%s is %s", cases[_i].id,
		      parity_outcome_name(p.v[_i].outcome));
	parity_fini(&p);
}
END_TEST

START_TEST(people_and_programs_are_told)
{
	struct parity p;
	struct buf text;
	json_t *j, *one;

	fill(&p);
	buf_init(&text, 1 << 16);
	ck_assert_int_eq(parity_text(&p, &text), 0);
	ck_assert_ptr_nonnull(strstr(
		text.data, "s/a-row-more                                 PASS; only on loopback: RG.403\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "PASS; only on virtual: NP.backoff\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "virtual PASS, loopback FAIL\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "virtual PASS, loopback not run\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "PASS; verdicts alone: chance\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "not compared 2 (s/apart-1, …): no modem\n"));
	ck_assert_ptr_nonnull(
		strstr(text.data, "parity: 4 alike, 4 different, 3 undecided, 2 not compared\n"));
	buf_fini(&text);
	j = parity_json(&p);
	one = json_array_get(json_object_get(j, "scenarios"), 2);
	ck_assert_str_eq(json_string_value(json_object_get(one, "outcome")), "differs");
	ck_assert_uint_eq(json_array_size(json_array_get(json_object_get(one, "only"), 0)), 0);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_array_get(json_object_get(one, "only"), 1), 0)),
		"RG.403");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "totals"), "not compared")),
			 2);
	json_decref(j);
	parity_fini(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parity");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, sets_and_verdicts_are_compared, 0, CASES);
	tcase_add_test(t, people_and_programs_are_told);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
