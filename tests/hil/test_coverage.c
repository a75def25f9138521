/* Coverage: rows by id, cells made from them, merging, the JSON form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "hil/judge/coverage.h"

static void take(struct coverage *c, const char *row)
{
	struct journal_event ev = {.kind = J_DEVICE_STATE, .n = 1, .v = {{JF_ROW, row, 0}}};

	coverage_event(c, &ev);
}

static uint64_t cell(const struct coverage *c, const char *name)
{
	char got[40];

	for (unsigned i = 0; i < coverage_cells(); i++) {
		uint64_t n = coverage_cell(c, i, got, sizeof(got));

		if (strcmp(got, name) == 0)
			return n;
	}
	ck_abort_msg("no cell '%s'", name);
	return 0;
}

START_TEST(rows_make_cells)
{
	struct coverage c = {0};
	struct coverage_totals t;

	take(&c, "RG.200_sms");
	take(&c, "RG.200_held");
	take(&c, "RG.403");
	take(&c, "NP.late");
	take(&c, "no.such");
	t = coverage_totals(&c);
	ck_assert_uint_eq(t.rows, ROW_END - 1);
	ck_assert_uint_eq(t.rows_hit, 4);
	ck_assert_uint_eq(t.cells, 4 * 14 + 4);
	ck_assert_uint_eq(t.cells_hit, 3);
	ck_assert_uint_eq(cell(&c, "RG x 200"), 2);
	ck_assert_uint_eq(cell(&c, "RG x 403"), 1);
	ck_assert_uint_eq(cell(&c, "NP x late reply"), 1);
	ck_assert_uint_eq(cell(&c, "LI x 200"), 0);
}
END_TEST

START_TEST(every_cell_can_be_reached)
{
	struct coverage c = {0};
	char name[40];

	for (int i = 1; i < ROW_END; i++)
		c.rows[i] = 1;
	ck_assert_uint_eq(coverage_totals(&c).cells_hit, coverage_cells());
	for (unsigned i = 0; i < coverage_cells(); i++)
		ck_assert_uint_gt(coverage_cell(&c, i, name, sizeof(name)), 0);
}
END_TEST

START_TEST(a_merge_loses_nothing)
{
	struct coverage a = {0}, b = {0}, sum = {0}, back = {0};
	struct err e = {0};
	json_t *ja, *jb, *jsum, *odd = json_pack("{s:{s:i}}", "rows", "XX.200", 1);

	take(&a, "RG.403");
	take(&b, "RG.403");
	take(&b, "PV.200");
	coverage_merge(&sum, a.rows);
	coverage_merge(&sum, b.rows);
	ja = coverage_json(&a);
	jb = coverage_json(&b);
	jsum = coverage_json(&sum);
	ck_assert_int_eq(coverage_from_json(&back, ja, &e), 0);
	ck_assert_int_eq(coverage_from_json(&back, jb, &e), 0);
	ck_assert_mem_eq(back.rows, sum.rows, sizeof(sum.rows));
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(jsum, "rows"), "RG.403")), 2);
	ck_assert_int_eq((int)json_array_size(json_object_get(jsum, "never")), ROW_END - 1 - 2);
	ck_assert_int_eq(coverage_from_json(&back, odd, &e), ERR_PARSE);
	json_decref(ja);
	json_decref(jb);
	json_decref(jsum);
	json_decref(odd);
}
END_TEST

START_TEST(a_run_is_the_sum_of_its_scenarios)
{
	struct run_result r;
	struct coverage c;
	struct buf text;

	run_result_init(&r);
	run_result_add(&r, "s/a", NULL)->rows[ROW_RG_403] = 2;
	run_result_add(&r, "s/b", NULL)->rows[ROW_RG_403] = 3;
	coverage_of_run(&c, &r);
	ck_assert_uint_eq(c.rows[ROW_RG_403], 5);
	buf_init(&text, 1 << 16);
	ck_assert_int_eq(coverage_text(&c, &text), 0);
	ck_assert_ptr_nonnull(strstr(text.data, "rows that nothing exercised: OFF.on_tokens"));
	ck_assert_ptr_nonnull(strstr(text.data, "RG x 200"));
	ck_assert_ptr_null(strstr(text.data, "RG x 403"));
	buf_fini(&text);
	run_result_fini(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coverage");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(t, rows_make_cells);
	tcase_add_test(t, every_cell_can_be_reached);
	tcase_add_test(t, a_merge_loses_nothing);
	tcase_add_test(t, a_run_is_the_sum_of_its_scenarios);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
