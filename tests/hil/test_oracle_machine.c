/* The oracle and machines that are made to fail: disks and clocks explain what they
 * explain, and no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hil/story.h"

#define PLAN(parts) "{\"id\": \"s/x\", " parts "}"
#define FAULT(rest) PLAN("\"faults\": [{\"name\": \"f1\", \"chance\": 0.5, " rest "}]")
#define DEVICE_DISK FAULT("\"on\": \"device.code\", \"do\": \"disk_full\", \"args\": {}")
#define SERVER_DISK(args) FAULT("\"at_ns\": 1, \"who\": {\"server\": true}, \"do\": \"disk_full\", \"args\": {" args "}")
#define KILLED FAULT("\"do\": \"kill\", \"at_ns\": 60000000, \"who\": {\"server\": true}, \"then\": {\"do\": \"start\"}")
#define CYCLE                                                                                                  \
	"50 A[1] device.state from=PROVISIONED to=OFF row=PV.off\n"                                             \
	"60 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
#define SETTLE "100 A[1] device.state from=NOT_PROVISIONED to=OFF row=NP.off\n"
#define END    "5000 runner scenario.end id=s/x why=settled\n"
#define FAILED "32 A[1] device.ignored why=store_failed state=PROVISIONED\n"
#define RENAMED "32 A[1] tokens.renamed jti=a1 fam=f1\n"
#define DOWN   "60 server server.state state=down why=exit~3\n"
#define BACK   "900 server server.state state=recovered\n"
/* a second SMS, 400 ms behind the first, where the server may send one a minute */
#define MORE                                                                                                   \
	"405 server code.issued req=q8 reg=r2 code_fp=c2\n"                                                     \
	"410 server sms.queued reg=r2 id=m2 code_fp=c2 to_fp=t1\n"
#define MINUTE "\"settings\": {\"sms_interval\": 60000000000}, "
#define FIRED  "300 server fault.fired name=f1 why=token.issued\n"
#define STEP(by) PLAN(MINUTE "\"faults\": [{\"name\": \"f1\", \"chance\": 0.5, \"on\": \"token.issued\", \"do\": \"clock_step\", "       \
			     "\"args\": {\"by_ms\": " by "}}]")

static const struct {
	const char *name, *plan, *put; /* in the place of the good life's end */
	const char *caught;
} stories[] = {
	{"what a full disk never took is gone with the power", DEVICE_DISK, FAILED CYCLE SETTLE END, NULL},
	{"it had been stored", DEVICE_DISK, CYCLE SETTLE END, "continuity"},
	{"stored again since", DEVICE_DISK, FAILED RENAMED "34 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.due\n" CYCLE
	 SETTLE END, "continuity"},
	{"… and the power went before the folder was on disk", DEVICE_DISK, FAILED RENAMED CYCLE SETTLE END, NULL},
	{"… or that failed, too", DEVICE_DISK, RENAMED FAILED CYCLE SETTLE END, NULL},
	{"its disk failed, and nobody asked for that", NULL, FAILED CYCLE SETTLE END, "continuity"},
	{"only the server's disk was to fail", SERVER_DISK(""), FAILED CYCLE SETTLE END, "continuity"},
	{"a server whose disk is full for good ends", SERVER_DISK(""), DOWN END, NULL},
	{"… and comes back", SERVER_DISK("\"length_ns\": 60000000000"), DOWN BACK END, NULL},
	{"a moment's trouble ends no server", SERVER_DISK("\"length_ns\": 3000000000"), DOWN END, "server-alive"},
	{"nor does a device's", DEVICE_DISK, DOWN BACK END, "server-alive"},
	{"a server that is killed and comes back", KILLED, "60 server server.state state=down why=signal~9\n" BACK END, NULL},
	{"… that is told to end", KILLED, "60 server server.state state=down why=exit~0\n" BACK END, NULL},
	{"… that breaks by itself, meanwhile", KILLED, "60 server server.state state=down why=signal~11\n" BACK END, "server-alive"},
	{"… that gives up by itself", KILLED, "60 server server.state state=down why=exit~1\n" BACK END, "server-alive"},
	{"… for a disk that does not fail", KILLED, DOWN BACK END, "server-alive"},
	{"a disk that is full is no reason to break", SERVER_DISK(""), "60 server server.state state=down why=signal~6\n" BACK END,
	 "server-alive"},
	{"two SMS in a minute", PLAN(MINUTE "\"faults\": []"), MORE END, "sms-budget"},
	{"an hour has passed, as the server sees it", STEP("3600000"), FIRED MORE END, NULL},
	{"that hour did not come", STEP("3600000"), MORE END, "sms-budget"},
	{"half a minute only", STEP("30000"), FIRED MORE END, "sms-budget"},
	{"a device's clock is not the server's",
	 PLAN(MINUTE "\"faults\": [{\"name\": \"f1\", \"chance\": 0.5, \"on\": \"device.code\", \"do\": \"clock_step\", \"args\": {\"by_ms\": "
		     "3600000}}]"),
	 "300 A[1] fault.fired name=f1 why=device.code\n" MORE END, "sms-budget"},
	{"by a step",
	 PLAN(MINUTE "\"steps\": [{\"do\": \"clock_step\", \"who\": {\"server\": true}, \"by_ms\": 3600000}]"),
	 "300 runner step.done name=clock_step count=0 why=\n" MORE END, NULL},
};

START_TEST(machines)
{
	char *lines = story_edit(story_good, "why=settled", stories[_i].put);
	const struct check_result *c;
	struct scenario_result r;

	story_judge(stories[_i].plan, lines, &r);
	c = stories[_i].caught ? story_check(&r, stories[_i].caught) : NULL;
	if (!stories[_i].caught)
		ck_assert_msg(r.verdict == VERDICT_PASS, "%s: %s", stories[_i].name, r.reason);
	else
		ck_assert_msg(r.verdict == VERDICT_FAIL && c && c->status == CHECK_FAILED, "%s: %s", stories[_i].name,
			      r.reason ? r.reason : "passed");
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oracle_machine");
	TCase *t = tcase_create("stories");
	SRunner *sr;
	int bad;

	tcase_add_loop_test(t, machines, 0, sizeof(stories) / sizeof(stories[0]));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
