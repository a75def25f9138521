/* In which order a run's scenarios begin. */
#include <stdlib.h>

#include <check.h>

#include "hil/run/turn.h"

static json_t *plan(json_int_t timeout_s, int devices)
{
	return json_pack("{s:I, s:[{s:i}, {s:i}]}", "timeout_ns", timeout_s * 1000000000, "groups", "count", 1, "count",
			 devices - 1);
}

START_TEST(the_longest_first_and_equals_as_they_stand)
{
	json_t *plans[] = {plan(30, 2), plan(60, 16), plan(30, 2), plan(600, 2), plan(60, 2), plan(10, 17)};
	static const size_t first[] = {5, 3, 1, 4, 0, 2};
	size_t n = sizeof(plans) / sizeof(plans[0]);
	size_t *longest = turns_new(plans, n, 16), *written = turns_new(plans, n, 0);

	ck_assert(longest && written);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(longest[i], first[i]);
		ck_assert_uint_eq(written[i], i);
	}
	/* behind 5 and 3 there is room for 5 devices: 1 lets 4 pass, then 0 */
	ck_assert(turn_fit(longest, 2, n, plans, 5));
	ck_assert_uint_eq(longest[2], 4);
	ck_assert_uint_eq(longest[3], 1);
	ck_assert(turn_fit(longest, 3, n, plans, 3));
	ck_assert_uint_eq(longest[3], 0);
	ck_assert_uint_eq(longest[4], 1);
	ck_assert_uint_eq(longest[5], 2);
	ck_assert(!turn_fit(longest, 4, n, plans, 1));
	ck_assert(turn_fit(longest, 4, n, plans, 16));
	ck_assert_uint_eq(longest[4], 1);
	ck_assert(!turn_fit(longest, n, n, plans, 16));
	free(longest);
	free(written);
	longest = turns_new(plans, 0, 16);
	ck_assert_ptr_nonnull(longest);
	free(longest);
	ck_assert_uint_eq(turn_weight(plans[1]), 16);
	for (size_t i = 0; i < n; i++)
		json_decref(plans[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("turn");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(t, the_longest_first_and_equals_as_they_stand);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
