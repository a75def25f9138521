/* In which order a run's scenarios begin. */
#include <stdlib.h>

#include <check.h>

#include "hil/run/turn.h"

static json_t *plan(json_int_t timeout_s)
{
	return json_pack("{s:I, s:[{s:i}, {s:i}]}", "timeout_ns", timeout_s * 1000000000, "groups", "count", 3, "count",
			 40);
}

START_TEST(the_longest_first_and_equals_as_they_stand)
{
	json_t *plans[] = {plan(30), plan(60), plan(30), plan(600), plan(60)};
	static const size_t first[] = {3, 1, 4, 0, 2};
	size_t n = sizeof(plans) / sizeof(plans[0]);
	size_t *longest = turns_new(plans, n, true), *written = turns_new(plans, n, false);

	ck_assert(longest && written);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(longest[i], first[i]);
		ck_assert_uint_eq(written[i], i);
	}
	free(longest);
	free(written);
	longest = turns_new(plans, 0, true);
	ck_assert_ptr_nonnull(longest);
	free(longest);
	ck_assert_uint_eq(turn_weight(plans[0]), 43);
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
