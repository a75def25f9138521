/* The oracle and SMS: what explains that codes and SMS are not equally many, and whom an
 * SMS that went missing excuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hil/story.h"

#define END "5000 runner scenario.end id=s/x why=settled\n"
#define SRC "\"source\": {\"file\": \"x.yaml\", \"line\": 3, \"col\": 5}"
#define BAD_RADIO "{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"do\": \"lose\", \"on\": \"sms.submitted\"}]}"

/* Codes and SMS that are not equally many, and what explains it. */
static const struct {
	const char *name, *find, *put, *plan;
	uint64_t injected, told, unexplained;
} gaps[] = {
	{"none", "why=settled", END, NULL, 0, 0, 0},
	{"a fault's", "sms.delivered", "15 carrier fault.fired name=f1 why=sms.submitted\n15 carrier sms.lost code_fp=c1\n", BAD_RADIO,
	 1, 0, 0},
	{"the carrier's", "sms.delivered", "15 carrier sms.lost code_fp=c1\n", NULL, 0, 1, 0},
	{"a modem's", "sms.submitted", "15 carrier sms.failed code_fp=c1\n", NULL, 0, 1, 0},
	{"the server's own", "why=settled",
	 "60 server code.issued reg=r2 code_fp=c2\n60 server server.decision req=q8 reg=r2 resource=registerDevice code=429\n" END,
	 NULL, 0, 1, 0},
	{"nobody's", "sms.delivered", NULL, NULL, 0, 0, 1},
	{"more of them than were told", "sms.delivered",
	 "15 carrier sms.lost code_fp=c1\n60 server code.issued reg=r2 code_fp=c2\n", NULL, 0, 1, 1},
};

START_TEST(a_gap_is_explained)
{
	char *lines = story_edit(story_good, gaps[_i].find, gaps[_i].put);
	struct scenario_result r;

	story_judge(gaps[_i].plan, lines, &r);
	ck_assert_msg(r.sms.injected == gaps[_i].injected && r.sms.told == gaps[_i].told &&
			      r.sms.unexplained == gaps[_i].unexplained,
		      "%s: %d injected, %d told, %d unexplained", gaps[_i].name, (int)r.sms.injected, (int)r.sms.told,
		      (int)r.sms.unexplained);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

/* The good life up to the SMS, which `put` stands for; it wanted to get in. */
static void judge_until(const char *put, struct scenario_result *r)
{
	char *lines = story_edit(story_good, "sms.delivered", put);
	char *cut = strndup(lines, (size_t)(strstr(lines, "20 A[1] device.state") - lines));

	story_judge("{\"id\": \"s/x\", \"settings\": {\"code_wait\": 20000000, \"backoff_min\": 1000000}, \"expect\": "
		    "{\"final\": [{\"state\": \"PROVISIONED\", " SRC "}]}}",
		    cut, r);
	free(cut);
	free(lines);
}

static const struct {
	const char *name, *put;
	enum verdict verdict;
} missing[] = {
	{"its SMS failed", "16 modem:s1 sms.failed reg=r1 code_fp=c1\n", VERDICT_INCONCLUSIVE},
	{"and came after all, by the second try",
	 "16 modem:s1 sms.failed reg=r1 code_fp=c1\n17 A[1] device.ignored why=sms\n20 modem:r1 sms.delivered reg=r1 code_fp=c1\n", VERDICT_FAIL},
	{"only that of another registration came",
	 "16 server code.issued reg=r0 code_fp=c0\n16 carrier sms.submitted reg=r0 code_fp=c0\n"
	 "16 modem:s1 sms.failed reg=r1 code_fp=c1\n20 modem:r1 sms.delivered reg=r0 code_fp=c0\n", VERDICT_INCONCLUSIVE},
	{"refused, which no SMS explains",
	 "20 carrier sms.lost code_fp=c1\n"
	 "32 A[1] device.state from=AWAITING_CODE to=NOT_PROVISIONED row=AC.code_wait wait_ns=1000000\n"
	 "33 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
	 "33 A[1] device.request req=q5 reg=r2 resource=registerDevice\n"
	 "42 server server.decision req=q5 reg=r2 resource=registerDevice code=403 why=unknown signed=1\n"
	 "43 A[1] device.reply req=q5 code=403 signed=1\n"
	 "43 A[1] device.state from=REGISTERING to=IDLE row=RG.403 code=403\n",
	 VERDICT_FAIL},
};

START_TEST(a_missing_sms_excuses_who_waits_for_it)
{
	struct scenario_result r;

	judge_until(missing[_i].put, &r);
	ck_assert_msg(r.verdict == missing[_i].verdict, "%s: %s (%s)", missing[_i].name, verdict_name(r.verdict), r.reason);
	ck_assert_int_eq(story_check(&r, "final")->causes[0].blame,
			 missing[_i].verdict == VERDICT_FAIL ? BLAME_UNKNOWN : BLAME_MODEM);
	scenario_result_fini(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oracle_sms");
	TCase *t = tcase_create("oracle_sms");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, a_gap_is_explained, 0, sizeof(gaps) / sizeof(gaps[0]));
	tcase_add_loop_test(t, a_missing_sms_excuses_who_waits_for_it, 0, sizeof(missing) / sizeof(missing[0]));
	suite_add_tcase(s, t);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
