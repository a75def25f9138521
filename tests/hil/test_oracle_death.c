/* The oracle and a server that dies between a commit and its journal's line of it: what
 * it may have decided is not held against the next one, and nothing else is let pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hil/story.h"

#define PLAN                                                                                                   \
	"{\"id\": \"s/x\", \"settings\": {\"login_grace\": 180000000000, \"code_ttl\": 300000000000}, \"faults\": "      \
	"[{\"name\": \"f1\", \"do\": \"crash\", \"times\": 1, \"args\": {\"at\": \"server.after_commit\"}, \"then\": "    \
	"{\"do\": \"start\"}}]}"

#define UP                                                                                                     \
	"0 runner scenario.start id=s/x\n"                                                                      \
	"0 server server.state state=up\n"                                                                      \
	"0 A[1] device.added group=A label=A[1] role=known\n"                                                    \
	"0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"                                           \
	"0 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"                               \
	"0 A[1] device.request req=q1 reg=r1 resource=registerDevice\n"
#define ISSUED "10 server code.issued req=q1 reg=r1 code_fp=c1\n"
#define QUEUED(t) t " server sms.queued reg=r1 id=m1 code_fp=c1 to_fp=t1\n"
#define REGISTERED                                                                                             \
	ISSUED QUEUED("10") "10 server server.decision req=q1 reg=r1 resource=registerDevice code=200 why=ok\n"  \
			    "10 server server.reply req=q1 reg=r1 resource=registerDevice code=200\n"            \
			    "12 A[1] device.reply req=q1 code=200 resource=registerDevice signed=0\n"
#define SENT                                                                                                   \
	"15 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"                                                  \
	"20 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
#define WAITS "12 A[1] device.state from=REGISTERING to=AWAITING_CODE row=RG.200_sms code=200\n" SENT
#define ASKS(t, q, from, row)                                                                                  \
	t " A[1] device.state from=" from " to=LOGGING_IN row=" row "\n" t " A[1] device.code req=" q                \
	  " code_fp=c1 status=used\n" t " A[1] device.request req=" q " reg=r1 resource=login\n"
#define DIES "30 server server.state state=down why=killed\n"
#define RECOVERS "1000 server server.state state=recovered\n"
/* no answer, registers again, and has its code still */
#define TRIES_AGAIN                                                                                            \
	"2000 A[1] device.state from=LOGGING_IN to=NOT_PROVISIONED row=LI.link_lost wait_ns=1000000000\n"                          \
	"3000 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"                            \
	"3000 A[1] device.request req=q3 reg=r1 resource=registerDevice\n"                                       \
	"3001 server server.decision req=q3 reg=r1 resource=registerDevice code=200 why=again\n"                 \
	"3001 server server.reply req=q3 reg=r1 resource=registerDevice code=200\n"                              \
	"3002 A[1] device.reply req=q3 code=200 resource=registerDevice signed=0\n"                              \
	ASKS("3002", "q4", "REGISTERING", "RG.200_held")
#define GRANTED(t, q, reg)                                                                                     \
	t " server server.decision req=" q " reg=" reg " resource=login code=200 why=grace\n" t                    \
	  " server server.reply req=" q " reg=" reg " resource=login code=200\n"
#define IN(t, q, fam)                                                                                          \
	t " A[1] device.reply req=" q " code=200 resource=login signed=0 fam=" fam "\n" t                        \
	  " A[1] tokens.written jti=a1 fam=" fam "\n" t " A[1] tokens.renamed jti=a1 fam=" fam "\n" t                                                          \
	  " A[1] device.state from=LOGGING_IN to=PROVISIONED row=LI.200 code=200\n" t                              \
	  " A[1] device.request req=q9 reg=r1 resource=publishMeasure ts=0\n"
#define PUBLISHES(t, q, fam)                                                                                   \
	t " A[1] device.request req=" q " reg=r1 resource=publishMeasure ts=1\n" t " server token.presented req=" q  \
	  " jti=a1 fam=" fam " use=access\n" t " server server.decision req=" q                                      \
	  " resource=publishMeasure code=200 why=ok\n" t " server server.reply req=" q                               \
	  " resource=publishMeasure code=200\n" t " A[1] device.reply req=" q                                        \
	  " code=200 resource=publishMeasure signed=0\n"
#define COUNT "4000 A[1] net.count sent=1 received=1\n"
#define END   COUNT "9000 runner scenario.end id=s/x why=settled\n"

/* refused for a failed fsync, and then it ends */
#define REFUSED                                                                                                \
	"25 server server.decision req=q2 reg=r1 resource=login code=503 why=storage\n"                          \
	"25 server server.reply req=q2 reg=r1 resource=login code=503\n"                                         \
	"26 A[1] device.reply req=q2 code=503 resource=login signed=0\n"                                         \
	"26 A[1] device.state from=LOGGING_IN to=NOT_PROVISIONED row=LI.503 code=503 wait_ns=1000000000\n"
#define AGAIN(t)                                                                                               \
	t " A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n" t                          \
	  " A[1] device.request req=q3 reg=r1 resource=registerDevice\n" t                                      \
	  " server server.decision req=q3 reg=r1 resource=registerDevice code=200 why=again\n" t                \
	  " A[1] device.reply req=q3 code=200 resource=registerDevice signed=0\n" ASKS(t, "q4", "REGISTERING", "RG.200_held")
#define SYNC                                                                                                   \
	"{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"do\": \"disk_error\", \"on\": \"sms.queued\", \"chance\": 0.5, \"args\": "   \
	"{\"what\": \"sync\"}, \"then\": {\"do\": \"start\"}}]}"

static const struct {
	const char *name, *lines;
	const char *caught; /* the invariant that must be broken; NULL: a pass */
	const char *plan;   /* NULL: PLAN */
} stories[] = {
	{"a login that was committed as the server died",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES RECOVERS TRIES_AGAIN
		 GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") PUBLISHES("3005", "q5", "f1")
			 PUBLISHES("3006", "q6", "f1") END,
	 NULL, NULL},
	{"the same without a death",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") TRIES_AGAIN GRANTED("3003", "q4", "r1")
		 IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"for another registration than the one that asked",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES RECOVERS TRIES_AGAIN
		 GRANTED("3003", "q4", "r2") IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"a login that was refused before the death",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE",
				  "AC.sms") "25 server server.decision req=q2 reg=r1 resource=login code=503 why=storage\n"
					    "25 server server.reply req=q2 reg=r1 resource=login code=503\n" DIES RECOVERS
					    "2000 A[1] device.state from=LOGGING_IN to=NOT_PROVISIONED row=LI.link_lost wait_ns=1000000000\n"
					    "3000 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
					    "3000 A[1] device.request req=q3 reg=r1 resource=registerDevice\n"
					    "3001 server server.decision req=q3 reg=r1 resource=registerDevice code=200 why=again\n"
					    "3002 A[1] device.reply req=q3 code=200 resource=registerDevice signed=0\n" ASKS(
						    "3002", "q4", "REGISTERING", "RG.200_held") GRANTED("3003", "q4", "r1")
						    IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"a login that began behind the death",
	 UP REGISTERED WAITS "22 server server.state state=down why=killed\n" RECOVERS ASKS(
		 "2000", "q4", "AWAITING_CODE", "AC.sms") GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"with a code that was void before",
	 UP REGISTERED WAITS "16 server code.void reg=r1 code_fp=c1 why=tries\n" ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES
		 RECOVERS TRIES_AGAIN GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"granted again when its grace is over",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES RECOVERS TRIES_AGAIN
		 GRANTED("182000", "q4", "r1") IN("182001", "q4", "f1") "183000 A[1] net.count sent=1 received=1\n"
								       "183000 runner scenario.end id=s/x why=settled\n",
	 "login-needs-code", NULL},
	{"forgiven once, not twice",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES RECOVERS TRIES_AGAIN
		 GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") PUBLISHES("3005", "q5", "f1")
			 GRANTED("3006", "q7", "r1") END,
	 "login-needs-code", NULL},
	{"a family that is not the one of that login",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") DIES RECOVERS TRIES_AGAIN
		 GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") PUBLISHES("3005", "q5", "f9") END,
	 "token-owner", NULL},
	{"a register that was committed as the server died",
	 UP DIES RECOVERS QUEUED("1000") "1001 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"
					 "1020 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
					 "1020 A[1] device.state from=REGISTERING to=REGISTERING row=RG.sms\n"
					 "2000 A[1] device.state from=REGISTERING to=NOT_PROVISIONED row=RG.link_lost wait_ns=1000000000\n"
					 "3000 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
					 "3000 A[1] device.request req=q3 reg=r1 resource=registerDevice\n"
					 "3001 server server.decision req=q3 reg=r1 resource=registerDevice code=200 why=again\n"
					 "3002 A[1] device.reply req=q3 code=200 resource=registerDevice signed=0\n" ASKS(
						 "3002", "q4", "REGISTERING",
						 "RG.200_held") "3003 server token.issued req=q4 reg=r1 jti=a1 fam=f1 use=access\n"
								"3003 server code.used req=q4 reg=r1 code_fp=c1\n"
								GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") END,
	 NULL, NULL},
	{"its SMS was handed over by a server that died before it told of that, too",
	 UP DIES RECOVERS "1000 server server.state state=down why=killed\n"
			  "1000 server server.state state=recovered\n" "1001 carrier sms.submitted reg=r1 id=m1 code_fp=c1 to_fp=t1\n"
						     "1020 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
						     "1020 A[1] device.state from=REGISTERING to=REGISTERING row=RG.sms\n"
						     COUNT
						     "4001 A[1] device.state from=REGISTERING to=OFF row=RG.off\n"
						     "9000 runner scenario.end id=s/x why=settled\n",
	 NULL, NULL},
	{"an SMS that no server told of, without a death", UP "1001 carrier sms.submitted reg=r1 id=m1 code_fp=c1 to_fp=t1\n"
						     "1020 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
						     "1020 A[1] device.state from=REGISTERING to=REGISTERING row=RG.sms\n"
						     COUNT
						     "4001 A[1] device.state from=REGISTERING to=OFF row=RG.off\n"
						     "9000 runner scenario.end id=s/x why=settled\n", "sms-story", NULL},
	{"a code that nobody issued, without a death",
	 UP QUEUED("1000") "1001 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"
			   "1020 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
			   "3001 server server.decision req=q1 reg=r1 resource=registerDevice code=200 why=again\n"
			   "3002 A[1] device.reply req=q1 code=200 resource=registerDevice signed=0\n" ASKS(
				   "3002", "q4", "REGISTERING",
				   "RG.200_held") "3003 server token.issued req=q4 reg=r1 jti=a1 fam=f1 use=access\n"
						  "3003 server code.used req=q4 reg=r1 code_fp=c1\n" GRANTED("3003", "q4", "r1")
						  IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"a login that was refused for a failed fsync, and stands all the same",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") REFUSED "275 server server.state state=down why=exit3\n" RECOVERS
		 AGAIN("1026") GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") PUBLISHES("3005", "q5", "f1") END,
	 NULL, SYNC},
	{"the same, and no fsync was to fail",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") REFUSED DIES RECOVERS AGAIN("1026")
		 GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") END,
	 "login-needs-code", NULL},
	{"it was refused long before the end",
	 UP REGISTERED WAITS ASKS("20", "q2", "AWAITING_CODE", "AC.sms") REFUSED "1100 server server.state state=down why=exit3\n"
		 "1200 server server.state state=recovered\n" AGAIN("3002") GRANTED("3003", "q4", "r1") IN("3004", "q4", "f1") END,
	 "login-needs-code", SYNC},
	{"a second code of the registration that nobody issued",
	 UP DIES RECOVERS QUEUED("1000") "1001 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"
					 "1002 server code.used reg=r1 code_fp=c2\n" END,
	 "login-needs-code", NULL},
};

START_TEST(deaths)
{
	const struct check_result *c;
	struct scenario_result r;

	story_judge(stories[_i].plan ? stories[_i].plan : PLAN, stories[_i].lines, &r);
	if (!stories[_i].caught) {
		ck_assert_msg(r.verdict == VERDICT_PASS, "%s: %s", stories[_i].name, r.reason);
	} else {
		c = story_check(&r, stories[_i].caught);
		ck_assert_msg(r.verdict != VERDICT_PASS && c && c->status == CHECK_FAILED, "%s: %s", stories[_i].name,
			      r.reason ? r.reason : "passed");
	}
	scenario_result_fini(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oracle_death");
	TCase *t = tcase_create("stories");
	SRunner *sr;
	int bad;

	tcase_add_loop_test(t, deaths, 0, sizeof(stories) / sizeof(stories[0]));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
