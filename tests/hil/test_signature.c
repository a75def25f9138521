/* Signatures: one defect, one signature, in whatever seed, place and device it shows. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/signature.h"

static void failing(struct scenario_result *s, enum check_kind kind, const char *name, const char *got, enum blame blame,
		 const char *why)
{
	struct check_result *c = scenario_add_check(s, kind, name, NULL, "something else");

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(check_fail(c, got, blame, why, "A[3]", 5), 0);
	s->verdict = VERDICT_FAIL;
}

static const struct {
	const char *what, *a, *b;
	bool same;
} pairs[] = {
	{"the same", "IDLE (refused, 403)", "IDLE (refused, 403)", true},
	{"another reply code", "IDLE (refused, 403)", "IDLE (refused, 401)", false},
	{"another state", "IDLE", "PROVISIONED", false},
	{"another device", "A[3] sent twice", "A[17] sent twice", true},
	{"another group", "A[3] sent twice", "B[3] sent twice", false},
	{"another id", "code 1a2b3c4d5e6f7a8b twice", "code ffeeddccbbaa9988 twice", true},
	{"another uuid", "ee9f2110-5843-11e9-a9ba-139bd26c8b4b", "00000000-5843-11e9-a9ba-139bd26c8b4b", true},
	{"another count", "2 tokens", "15 tokens", true},
	{"another count of three digits", "codes.issued = 250", "codes.issued = 251", true},
	{"another time in ms", "PROVISIONED after 250 ms", "PROVISIONED after 300 ms", true},
	{"a reply code at the end", "login: 401", "login: 403", false},
	{"another time", "at 61.040 s", "at 7.5 s", true},
	{"a word of hex letters", "added beef", "added face", false},
};

START_TEST(test_pairs)
{
	struct scenario_result a = {0}, b = {0};
	struct signature x, y;

	failing(&a, CHECK_EXPECTATION, "final", pairs[_i].a, BLAME_SERVER, NULL);
	failing(&b, CHECK_EXPECTATION, "final", pairs[_i].b, BLAME_SERVER, NULL);
	signature_of(&a, &x);
	signature_of(&b, &y);
	ck_assert_uint_eq(strlen(x.id), 8);
	ck_assert_msg((strcmp(x.id, y.id) == 0) == pairs[_i].same, "%s: '%s' and '%s'", pairs[_i].what, x.text, y.text);
	scenario_result_fini(&a);
	scenario_result_fini(&b);
}
END_TEST

START_TEST(test_blame_and_name_count)
{
	struct scenario_result s[4] = {0};
	struct signature x[4];

	failing(&s[0], CHECK_EXPECTATION, "final", "IDLE", BLAME_SERVER, NULL);
	failing(&s[1], CHECK_EXPECTATION, "final", "IDLE", BLAME_DEVICE, NULL);
	failing(&s[2], CHECK_EXPECTATION, "never", "IDLE", BLAME_SERVER, NULL);
	failing(&s[3], CHECK_EXPECTATION, "final", "IDLE", BLAME_SERVER, "its journal grants it");
	for (unsigned i = 0; i < 4; i++) {
		signature_of(&s[i], &x[i]);
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(x[i].id, x[k].id);
		scenario_result_fini(&s[i]);
	}
}
END_TEST

START_TEST(test_what_says_most)
{
	struct scenario_result s = {0};
	char line[200];
	struct signature x;

	failing(&s, CHECK_STEP, "wait", "timeout", BLAME_UNKNOWN, NULL);
	signature_of(&s, &x);
	ck_assert_msg(strncmp(x.text, "wait: ", 6) == 0, "%s", x.text);
	failing(&s, CHECK_EXPECTATION, "final", "REGISTERING", BLAME_UNKNOWN, NULL);
	signature_of(&s, &x);
	ck_assert_msg(strncmp(x.text, "final: ", 7) == 0, "%s", x.text);
	signature_xfail(&x, line, sizeof(line));
	ck_assert_str_eq(line, "xfail: {reason: \"…\", until: YYYY-MM-DD}");
	failing(&s, CHECK_INVARIANT, "one-family", "two live families", BLAME_SERVER, NULL);
	signature_of(&s, &x);
	ck_assert_msg(strncmp(x.text, "one-family: ", 12) == 0, "%s", x.text);
	ck_assert(x.invariant);
	signature_xfail(&x, line, sizeof(line));
	ck_assert_str_eq(line, "xfail: {reason: \"…\", until: YYYY-MM-DD, invariants: [one-family]}");
	ck_assert(signature_in(&s, x.id));
	ck_assert(!signature_in(&s, "00000000"));
	scenario_result_fini(&s);
}
END_TEST

START_TEST(test_nothing_failed)
{
	struct scenario_result s = {0};
	struct signature x;

	signature_of(&s, &x);
	ck_assert_str_eq(x.id, "");
	s.verdict = VERDICT_INCONCLUSIVE;
	text_set(&s.reason, "quicrig-virtual died by signal 11");
	signature_of(&s, &x);
	ck_assert_msg(strstr(x.text, "died by signal"), "%s", x.text);
	ck_assert(signature_in(&s, x.id));
	scenario_result_fini(&s);
}
END_TEST

START_TEST(test_long_texts_end)
{
	struct scenario_result s = {0};
	struct signature x;
	char got[2000];

	memset(got, 'x', sizeof(got) - 1);
	got[sizeof(got) - 1] = '\0';
	failing(&s, CHECK_EXPECTATION, "final", got, BLAME_UNKNOWN, got);
	signature_of(&s, &x);
	ck_assert_uint_lt(strlen(x.text), sizeof(x.text));
	ck_assert_uint_eq(strlen(x.id), 8);
	scenario_result_fini(&s);
}
END_TEST

/* A text of any length can stand in JSON and in a scenario's file. */
START_TEST(test_cut_texts_are_utf8)
{
	struct scenario_result s = {0};
	struct signature x;
	char got[1000] = "";
	json_t *j;

	for (int i = 0; i < _i; i++)
		strcat(got, "x");
	for (int i = 0; i < 200; i++)
		strcat(got, "→");
	failing(&s, CHECK_EXPECTATION, "path", got, BLAME_UNKNOWN, NULL);
	signature_of(&s, &x);
	j = json_string(x.text);
	ck_assert_msg(j != NULL, "'%s' ends inside a character", x.text);
	ck_assert_uint_gt(strlen(x.text), SIGNATURE_TEXT_MAX - 5);
	json_decref(j);
	scenario_result_fini(&s);
}
END_TEST

START_TEST(test_beyond_a_set)
{
	struct scenario_result known = {0}, s = {0};
	struct signature_set set = {0};
	struct signature x, y;

	failing(&known, CHECK_STEP, "end", "A[1] REGISTERING", BLAME_UNKNOWN, NULL);
	failing(&known, CHECK_EXPECTATION, "final", "IDLE", BLAME_SERVER, NULL);
	check_fail(&known.checks[1], "REGISTERING", BLAME_UNKNOWN, NULL, "A[4]", 5);
	signature_beyond(&known, &set, &x);
	signature_of(&known, &y);
	ck_assert_str_eq(x.id, y.id);
	ck_assert_int_eq(signature_set_add(&set, &known), 0);
	ck_assert_int_eq(signature_set_add(&set, &known), 0);
	ck_assert_uint_eq(set.n, 3);
	signature_beyond(&known, &set, &x);
	ck_assert_str_eq(x.id, "");
	/* the same step in another state of things is no news, another reason is */
	failing(&s, CHECK_STEP, "end", "A[1] NOT_PROVISIONED", BLAME_UNKNOWN, NULL);
	failing(&s, CHECK_EXPECTATION, "final", "REGISTERING", BLAME_UNKNOWN, NULL);
	signature_beyond(&s, &set, &x);
	ck_assert_str_eq(x.id, "");
	failing(&s, CHECK_EXPECTATION, "never", "IDLE", BLAME_SERVER, NULL);
	failing(&s, CHECK_INVARIANT, "one-family", "two live families", BLAME_SERVER, NULL);
	signature_beyond(&s, &set, &x);
	ck_assert_msg(strncmp(x.text, "one-family: ", 12) == 0, "%s", x.text);
	signature_set_fini(&set);
	scenario_result_fini(&known);
	scenario_result_fini(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("signature");
	TCase *c = tcase_create("signature");
	SRunner *run;
	int failed;

	tcase_add_loop_test(c, test_pairs, 0, sizeof(pairs) / sizeof(pairs[0]));
	tcase_add_test(c, test_blame_and_name_count);
	tcase_add_test(c, test_what_says_most);
	tcase_add_test(c, test_nothing_failed);
	tcase_add_test(c, test_long_texts_end);
	tcase_add_loop_test(c, test_cut_texts_are_utf8, 0, 3);
	tcase_add_test(c, test_beyond_a_set);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
