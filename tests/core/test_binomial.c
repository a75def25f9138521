/* The exact lower bound, against values that can be had by hand or from tables. */
#include <check.h>
#include <math.h>

#include "core/binomial.h"

static const struct {
	unsigned long k, n;
	double confidence, bound;
} rows[] = {
	{0, 10, 0.95, 0},
	{1, 1, 0.95, 0.05},
	{10, 10, 0.95, 0.7411344491},  /* 0.05^(1/10) */
	{200, 200, 0.95, 0.98513289},  /* 0.05^(1/200) */
	{59, 59, 0.95, 0.9504923901},  /* the well-known 59 */
	{1, 2, 0.95, 0.0253205655},    /* 1 − √0.95 */
	{2, 3, 0.95, 0.1353503635},    /* 3p² − 2p³ = 0.05 */
	{9, 10, 0.95, 0.6058366179},   /* 10p⁹ − 9p¹⁰ = 0.05 */
	{5, 10, 0.975, 0.1870860284},  /* the two-sided 95 % of 5 of 10 is 0.187…0.813 */
	{8, 10, 0.975, 0.4439045377},
	{95, 100, 0.975, 0.8871651},
};

START_TEST(a_bound)
{
	double got = binomial_lower(rows[_i].k, rows[_i].n, rows[_i].confidence);

	ck_assert_msg(fabs(got - rows[_i].bound) < 2e-7, "%lu of %lu: %.10f, not %.10f", rows[_i].k, rows[_i].n, got,
		      rows[_i].bound);
}
END_TEST

/* It is the bound: so many or more are seen just so rarely there. */
START_TEST(seen_so_rarely)
{
	double p = binomial_lower(17, 20, 0.9), sum = 0;

	for (unsigned i = 17; i <= 20; i++)
		sum += exp(lgamma(21) - lgamma(i + 1.) - lgamma(21. - i)) * pow(p, i) * pow(1 - p, 20. - i);
	ck_assert_msg(fabs(sum - 0.1) < 1e-9, "%.12f", sum);
}
END_TEST

START_TEST(many_runs)
{
	double last = 0;

	for (unsigned long k = 0; k <= 100000; k += 10000) {
		double p = binomial_lower(k, 100000, 0.95);

		ck_assert(p >= last && p <= (double)k / 100000);
		last = p;
	}
	/* the normal one is near: 0.5 − 1.645 · √(0.25 / n) */
	ck_assert(fabs(binomial_lower(500000, 1000000, 0.95) - (0.5 - 1.644854 * 0.0005)) < 2e-6);
	ck_assert(fabs(binomial_lower(1, 1000000, 0.95) - 5.1293e-8) < 1e-11);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("binomial");
	TCase *c = tcase_create("binomial");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, a_bound, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(c, seen_so_rarely);
	tcase_add_test(c, many_runs);
	suite_add_tcase(s, c);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
