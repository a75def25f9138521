/* The oracle: a good life passes; each invariant has a life that breaks it, and the
 * one to blame is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "hil/judge/secret.h"
#include "hil/judge/table.h"
#include "tests/hil/story.h"

#define END "5000 runner scenario.end id=s/x why=settled\n"

START_TEST(a_good_life_passes)
{
	struct scenario_result r;

	story_judge(NULL, story_good, &r);
	ck_assert_msg(r.verdict == VERDICT_PASS, "%s", r.reason);
	ck_assert_str_eq(r.summary, "PROVISIONED");
	ck_assert_uint_eq(r.devices, 1);
	ck_assert_uint_eq(r.sms.issued, 1);
	ck_assert_uint_eq(r.sms.submitted, 1);
	ck_assert_uint_eq(r.sms.delivered, 1);
	ck_assert_uint_eq(r.rows[ROW_LI_200], 1);
	ck_assert_uint_eq(r.metrics[METRIC_BOOTSTRAP_TIME].max, 32 * NS_PER_MS);
	ck_assert_uint_eq(r.metrics[METRIC_SMS_TIME].max, 10 * NS_PER_MS);
	ck_assert_uint_eq(r.metrics[METRIC_REQUEST_TIME].count, 3);
	ck_assert_uint_eq(r.duration_ns, 5 * NS_PER_S);
	scenario_result_fini(&r);
}
END_TEST

/* A line of the good life that is replaced, and who must be caught for it. */
static const struct {
	const char *name, *find, *put, *invariant;
	enum blame blame;
} crimes[] = {
	{"a row that leads elsewhere", "row=RG.200_sms",
	 "12 A[1] device.state from=REGISTERING to=IDLE row=RG.200_sms code=200\n", "transition-table", BLAME_DEVICE},
	{"a row that there is none", "row=PV.due",
	 "32 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.dance\n", "transition-table", BLAME_DEVICE},
	{"a state is skipped", "row=NP.backoff", NULL, "continuity", BLAME_DEVICE},
	{"credentials lost over a power cycle", "why=settled",
	 "50 A[1] device.state from=PROVISIONED to=OFF row=PV.off\n"
	 "60 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n" END,
	 "continuity", BLAME_DEVICE},
	{"credentials out of nowhere", "row=RG.200_sms",
	 "12 A[1] device.state from=REGISTERING to=OFF row=RG.off\n"
	 "13 A[1] device.state from=OFF to=PROVISIONED row=OFF.on_tokens\n",
	 "continuity", BLAME_DEVICE},
	{"a row without its reply", "device.reply req=q1", NULL, "reply-matches-row", BLAME_DEVICE},
	{"a row for another code", "device.reply req=q1",
	 "12 A[1] device.reply req=q1 code=503 resource=registerDevice signed=0\n", "reply-matches-row", BLAME_DEVICE},
	{"one reply taken twice", "row=PV.200",
	 "42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
	 "42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n",
	 "reply-matches-row", BLAME_DEVICE},
	{"silence that was none", "row=RG.200_sms",
	 "12 A[1] device.state from=REGISTERING to=NOT_PROVISIONED row=RG.no_answer wait_ns=1000000000\n", "reply-matches-row",
	 BLAME_DEVICE},
	{"a known and signed reply taken for unknown", "row=PV.200",
	 "42 A[1] device.request req=q4 resource=publishMeasure\n"
	 "43 A[1] device.reply req=q4 code=700 signed=1\n"
	 "43 server server.decision req=q4 resource=publishMeasure code=700\n"
	 "43 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.unknown wait_ns=1000000000\n",
	 "reply-matches-row", BLAME_DEVICE},
	{"an answer that needs no signature taken for unknown", "row=PV.200",
	 "42 A[1] device.request req=q4 resource=publishMeasure\n"
	 "43 server server.decision req=q4 resource=publishMeasure code=401 why=expired\n"
	 "43 A[1] device.reply req=q4 code=401 signed=0\n"
	 "43 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.unknown wait_ns=1000000000\n",
	 "reply-matches-row", BLAME_DEVICE},
	{"a plain 200 taken for unknown", "row=PV.200",
	 "42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.unknown wait_ns=1000000000\n",
	 "reply-matches-row", BLAME_DEVICE},
	{"idle on an unsigned refusal", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 server server.decision req=q4 resource=publishMeasure code=700\n"
	 "52 A[1] device.reply req=q4 code=700 signed=0\n"
	 "52 A[1] device.state from=PROVISIONED to=NOT_PROVISIONED row=PV.700 code=700 wait_ns=1000000000\n" END,
	 "authentic-refusals", BLAME_DEVICE},
	{"the journal grants, the reply refuses", "server.reply req=q3",
	 "40 server server.reply req=q3 resource=publishMeasure code=403\n", "same-story", BLAME_SERVER},
	{"the device reads what was not sent", "device.reply req=q3",
	 "42 A[1] device.reply req=q3 code=429 resource=publishMeasure signed=0\n", "same-story", BLAME_DEVICE},
	{"a reply that nobody decided", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 A[1] device.reply req=q4 code=200 signed=0\n"
	 "51 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200\n" END,
	 "same-story", BLAME_UNKNOWN},
	{"… and that a stranger's refusal does not explain", "why=settled",
	 "49 server server.decision dev=- code=400 resource=other\n"
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 A[1] device.reply req=q4 code=200 signed=0\n"
	 "51 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200\n" END,
	 "same-story", BLAME_UNKNOWN},
	{"a modem that makes codes up, one in trouble", "sms.submitted",
	 "14 carrier fault.fired dev=- name=f1 why=sms.submitted\n15 carrier sms.submitted id=m1 code_fp=c5 to_fp=t1\n",
	 "sms-story", BLAME_MODEM},
	{"a login without any code", "code.used", NULL, "login-needs-code", BLAME_SERVER},
	{"a code that was never issued", "code.used", "30 server code.used req=q2 reg=r1 code_fp=c9\n",
	 "login-needs-code", BLAME_SERVER},
	{"a void code", "server.reply req=q1", "10 server code.void code_fp=c1 why=tries\n"
	 "10 server server.reply req=q1 reg=r1 resource=registerDevice code=200\n",
	 "login-needs-code", BLAME_SERVER},
	{"a code used twice", "why=settled",
	 "50 server code.used code_fp=c1\n"
	 "50 server server.decision req=q9 reg=r1 resource=login code=200\n" END,
	 "login-needs-code", BLAME_SERVER},
	{"a code that the device never sent", "device.code req=q2",
	 "20 A[1] device.code req=q2 code_fp=c7 status=used\n", "login-needs-code", BLAME_SERVER},
	{"a login repeated after its tokens were used", "why=settled",
	 "50 server server.decision req=q9 reg=r1 resource=login code=200\n" END, "login-needs-code", BLAME_SERVER},
	{"a login repeated with another code", "device.reply req=q2",
	 "31 A[1] device.code req=q8 code_fp=c7 status=used\n"
	 "31 server server.decision req=q8 reg=r1 resource=login code=200 why=grace\n"
	 "32 A[1] device.reply req=q2 code=200 resource=login signed=0 fam=f1\n",
	 "login-needs-code", BLAME_SERVER},
	{"a second code, where a register was refused between", "why=settled",
	 "2000 server server.decision req=q8 reg=r1 resource=registerDevice code=503 why=clock\n"
	 "2100 server code.issued reg=r1 code_fp=c2\n" END,
	 "one-code", BLAME_SERVER},
	{"the code of another registration", "why=settled",
	 "2000 server code.issued reg=r2 code_fp=c2\n2000 server sms.queued id=m2 code_fp=c2\n"
	 "2001 carrier sms.submitted code_fp=c2\n2002 carrier sms.delivered code_fp=c2\n"
	 "2003 A[1] device.code req=q7 code_fp=c2 status=used\n"
	 "2010 server token.issued jti=a2 fam=f2 use=access\n2010 server token.revoked jti=b1 fam=f1 why=login\n"
	 "2010 server code.used reg=r3 code_fp=c2\n"
	 "2010 server server.decision req=q7 reg=r3 resource=login code=200\n" END,
	 "login-needs-code", BLAME_SERVER},
	{"two families at once", "why=settled", "50 server token.issued jti=a2 fam=f2 use=access\n" END, "one-family",
	 BLAME_SERVER},
	{"a token in a revoked family", "why=settled",
	 "50 server token.revoked jti=b1 fam=f1 why=reuse\n"
	 "60 server token.issued jti=a2 fam=f1 use=access\n" END,
	 "one-family", BLAME_SERVER},
	{"a refresh that does not rotate", "why=settled", "50 server token.issued jti=b1 fam=f1 use=refresh\n" END,
	 "one-family", BLAME_SERVER},
	{"a revoked family is served", "token.presented req=q3",
	 "38 server token.revoked jti=b1 fam=f1 why=reuse\n"
	 "40 server token.presented req=q3 reg=r1 jti=a1 fam=f1 use=access\n",
	 "one-family", BLAME_SERVER},
	{"somebody else's token", "token.presented req=q3",
	 "40 server token.presented dev=u2 req=q3 jti=a1 fam=f8 use=access\n", "token-owner", BLAME_SERVER},
	{"a family of nobody's", "token.presented req=q3",
	 "40 server token.presented req=q3 jti=a1 fam=f8 use=access\n", "token-owner", BLAME_SERVER},
	{"a refresh token at publish", "token.presented req=q3",
	 "40 server token.presented req=q3 jti=b1 fam=f1 use=refresh\n", "token-owner", BLAME_SERVER},
	{"a disabled device is served", "token.presented req=q3",
	 "39 server operator name=disable\n40 server token.presented req=q3 jti=a1 fam=f1 use=access\n", "token-owner",
	 BLAME_SERVER},
	{"a restart forgets an acknowledged token", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "60 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "60 server server.decision req=q4 resource=publishMeasure code=401 why=token\n"
	 "62 A[1] device.reply req=q4 code=401 signed=0\n"
	 "62 A[1] device.state from=PROVISIONED to=REFRESHING row=PV.401 code=401\n" END,
	 "acknowledged-kept", BLAME_SERVER},
	{"a command that is done twice", "why=settled",
	 "64 A[1] command.done id=c1 name=CONFIG\n"
	 "65 A[1] command.done id=c1 name=CONFIG\n" END,
	 "commands-once", BLAME_DEVICE},
	{"a command that is sent for ever", "why=settled",
	 "64 A[1] command.done id=c1 name=CONFIG\n"
	 "70 A[1] device.request req=q6 resource=publishMeasure\n"
	 "71 server token.presented req=q6 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q6 resource=publishMeasure code=200\n"
	 "71 server command.sent req=q6 id=c1 name=CONFIG\n"
	 "72 A[1] device.reply req=q6 code=200 signed=1\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "commands-once", BLAME_SERVER},
	{"a command that is never sent", "why=settled",
	 "60 server command.queued id=c1 name=CONFIG\n"
	 "70 A[1] device.request req=q6 resource=publishMeasure ts=2\n"
	 "71 server token.presented req=q6 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q6 resource=publishMeasure code=200\n"
	 "72 A[1] device.reply req=q6 code=200 signed=0\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
	 "80 A[1] device.request req=q7 resource=publishMeasure ts=3\n"
	 "81 server token.presented req=q7 jti=a1 fam=f1 use=access\n"
	 "81 server server.decision req=q7 resource=publishMeasure code=200\n"
	 "82 A[1] device.reply req=q7 code=200 signed=0\n"
	 "82 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "commands-once", BLAME_SERVER},
	{"a command that was taken back is sent", "why=settled",
	 "64 server command.closed id=c1 name=CONFIG why=cancelled\n"
	 "70 A[1] device.request req=q6 resource=publishMeasure\n"
	 "71 server token.presented req=q6 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q6 resource=publishMeasure code=200\n"
	 "71 server command.sent req=q6 id=c1 name=CONFIG\n"
	 "72 A[1] device.reply req=q6 code=200 signed=1\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "commands-once", BLAME_SERVER},
	{"a third reuse in a day without a quarantine", "why=settled",
	 "50 server server.alarm name=reuse\n"
	 "60 server server.alarm name=reuse\n"
	 "80 A[1] device.request req=q4 resource=refreshToken\n"
	 "81 server token.presented req=q4 jti=r1 fam=f1 use=refresh\n"
	 "81 server server.alarm req=q4 name=reuse\n"
	 "81 server token.revoked req=q4 jti=r1 fam=f1 why=reuse\n"
	 "81 server server.decision req=q4 resource=refreshToken code=700 why=reused\n" END,
	 "token-owner", BLAME_SERVER},
	{"a device in quarantine is served", "why=settled",
	 "50 server server.alarm name=quarantine\n"
	 "70 A[1] device.request req=q4 resource=publishMeasure\n"
	 "71 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "72 A[1] device.reply req=q4 code=200 signed=0\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "token-owner", BLAME_SERVER},
	{"a decommissioned device is served", "why=settled",
	 "50 server operator name=decommission\n"
	 "70 A[1] device.request req=q4 resource=publishMeasure\n"
	 "71 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "72 A[1] device.reply req=q4 code=200 signed=0\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "token-owner", BLAME_SERVER},
	{"a RESET that forgets nothing", "why=settled",
	 "64 A[1] command.done id=c1 name=RESET\n" END,
	 "commands-once", BLAME_DEVICE},
	{"decommissioned, re-admitted, and its old tokens good", "why=settled",
	 "50 server operator name=decommission\n"
	 "55 server operator name=readmit\n"
	 "70 A[1] device.request req=q4 resource=publishMeasure\n"
	 "71 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "71 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "72 A[1] device.reply req=q4 code=200 signed=0\n"
	 "72 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 "one-family", BLAME_SERVER},
	{"SMS too soon", "why=settled",
	 "400 server code.issued reg=r2 code_fp=c2\n400 server sms.queued id=m2 code_fp=c2\n" END, "sms-budget",
	 BLAME_SERVER},
	{"an SMS to somebody else", "device.added", "0 A[1] device.added group=A label=A[1] to_fp=t9\n", "sms-story",
	 BLAME_SERVER},
	{"an SMS that no modem sent", "why=settled",
	 "50 carrier sms.delivered code_fp=c5\n" END, "sms-story", BLAME_CARRIER},
	{"a code that no SMS brought", "sms.delivered", "20 modem:r1 sms.delivered code_fp=c6\n", "sms-story",
	 BLAME_DEVICE},
	{"a modem that makes codes up", "sms.submitted",
	 "15 carrier sms.submitted id=m1 code_fp=c1\n15 carrier sms.submitted id=m1 code_fp=c4\n", "sms-story",
	 BLAME_MODEM},
	{"packets while off", "why=settled",
	 "50 A[1] device.state from=PROVISIONED to=OFF row=PV.off\n60 A[1] net.count sent=1 received=0\n" END,
	 "idle-is-silent", BLAME_DEVICE},
	{"a token in the journal", "why=settled",
	 "50 runner harness.note text=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx\n" END, "no-secret", BLAME_UNKNOWN},
	{"the server is gone", "why=settled", "50 server server.state state=down why=signal11\n" END, "server-alive",
	 BLAME_SERVER},
	{"the server came back, unasked", "why=settled", "50 server server.state state=recovered\n" END,
	 "server-alive", BLAME_SERVER},
};

START_TEST(each_crime_is_caught)
{
	char *lines = story_edit(story_good, crimes[_i].find, crimes[_i].put);
	const struct check_result *c;
	struct scenario_result r;

	story_judge(NULL, lines, &r);
	c = story_check(&r, crimes[_i].invariant);
	ck_assert_msg(c->status == CHECK_FAILED, "%s: not caught (%s)", crimes[_i].name, r.reason);
	ck_assert_msg(c->causes[0].blame == crimes[_i].blame, "%s: blames %s (%s)", crimes[_i].name,
		      blame_name(c->causes[0].blame), c->causes[0].got);
	ck_assert_int_eq(r.verdict, crimes[_i].blame == BLAME_CARRIER || crimes[_i].blame == BLAME_MODEM ?
					    VERDICT_INCONCLUSIVE :
					    VERDICT_FAIL);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

/* Its record forbids it: the plan says so, whatever the scenario expects. */
START_TEST(a_record_is_obeyed)
{
	static const char *const plans[] = {
		"{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"count\": 1, \"disabled\": true}]}",
		"{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"count\": 1, \"known\": false}]}"};
	struct scenario_result r;
	char *enabled;

	for (size_t i = 0; i < 2; i++) {
		story_judge(plans[i], story_good, &r);
		ck_assert_int_eq(story_check(&r, "token-owner")->status, CHECK_FAILED);
		ck_assert_int_eq(r.blame, BLAME_SERVER);
		scenario_result_fini(&r);
	}
	enabled = story_edit(story_good, "row=OFF.on",
			     "0 server operator name=enable\n0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n");
	story_judge(plans[0], enabled, &r);
	ck_assert_int_eq(r.verdict, VERDICT_PASS);
	scenario_result_fini(&r);
	free(enabled);
}
END_TEST

/* The plan has two; what is expected of all cannot be said of one. */
START_TEST(a_missing_device_is_no_pass)
{
	struct scenario_result r;

	story_judge("{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"count\": 2}]}", story_good, &r);
	ck_assert_int_eq(r.verdict, VERDICT_INCONCLUSIVE);
	ck_assert_int_eq(r.blame, BLAME_HARNESS);
	ck_assert_str_eq(r.reason, "end: 1 of 2 devices");
	scenario_result_fini(&r);
	story_judge("{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"count\": 1}]}", story_good, &r);
	ck_assert_int_eq(r.verdict, VERDICT_PASS);
	scenario_result_fini(&r);
}
END_TEST

/* Without a server's journal nobody can say what it granted: no green row for that. */
START_TEST(what_nobody_told_is_not_judged)
{
	static const char *const servers[] = {"same-story",	   "login-needs-code", "right-code-serves", "one-code",
					      "one-family",	   "token-owner",      "token-life",	    "resource-codes",
					      "refusals-signed",   "acknowledged-kept", "sms-budget",	    "server-alive"};
	char *lines = NULL, *rest = strdup(story_good), *save, *line;
	size_t size = 0;
	FILE *f = open_memstream(&lines, &size);
	struct scenario_result r;

	for (line = strtok_r(rest, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(line, " server ") && !strstr(line, "net.count"))
			fprintf(f, "%s\n", line);
	fclose(f);
	story_judge(NULL, lines, &r);
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		ck_assert_msg(story_check(&r, servers[i])->status == CHECK_UNJUDGED, "%s", servers[i]);
	ck_assert_int_eq(story_check(&r, "idle-is-silent")->status, CHECK_UNJUDGED);
	ck_assert_int_eq(story_check(&r, "transition-table")->status, CHECK_PASSED);
	ck_assert_int_eq(r.verdict, VERDICT_PASS); /* invariants are no wishes of the scenario's */
	ck_assert_uint_eq(r.unjudged, 0);
	scenario_result_fini(&r);
	story_judge(NULL, story_good, &r);
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		ck_assert_int_eq(story_check(&r, servers[i])->status, CHECK_PASSED);
	scenario_result_fini(&r);
	free(lines);
	free(rest);
}
END_TEST

/* What looks like a crime and is none. */
static const struct {
	const char *name, *find, *put, *plan;
} innocent[] = {
	{"the server's half comes last", "device.reply req=q3", "38 A[1] device.reply req=q3 code=200 signed=0\n", NULL},
	{"code.used behind the decision", "server.decision req=q2",
	 "30 server server.decision req=q2 reg=r1 resource=login code=200\n", NULL},
	{"a decision that names nobody may be its own", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "50 server server.decision dev=- code=413 resource=other\n"
	 "51 A[1] device.reply req=q4 code=413 signed=0\n"
	 "51 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.413 code=413\n" END,
	 NULL},
	{"a second code, where the gateway did not take the first", "why=settled",
	 "2000 server code.issued reg=r2 code_fp=c2\n"
	 "2000 server server.decision req=q8 reg=r2 resource=registerDevice code=429 why=busy\n"
	 "3100 server code.issued reg=r2 code_fp=c3\n" END,
	 NULL},
	{"an injected reply", "server.decision req=q3",
	 "40 server server.decision req=q3 resource=publishMeasure code=403\n"
	 "40 server fault.fired name=s/x:f1 why=server.decision\n",
	 NULL},
	{"an operator refuses after the restart", "why=settled",
	 "45 server operator name=disable\n46 server server.state state=recovered\n"
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "60 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "60 server server.decision req=q4 resource=publishMeasure code=403 why=disabled\n"
	 "62 A[1] device.reply req=q4 code=403 signed=0\n"
	 "62 A[1] device.state from=PROVISIONED to=REFRESHING row=PV.403 code=403\n"
	 "62 A[1] device.request req=q5 resource=refreshToken\n" END,
	 "{\"id\": \"s/x\", \"steps\": [{\"do\": \"server_kill\"}, {\"do\": \"server_start\"}]}"},
	{"a reused refresh token revokes in the same turn", "why=settled",
	 "60 server token.presented req=q4 jti=b0 fam=f1 use=refresh\n"
	 "60 server server.decision req=q4 resource=refreshToken code=700 why=reused\n"
	 "60 server token.revoked jti=b1 fam=f1 why=reuse\n" END,
	 NULL},
	{"a login within the grace", "device.reply req=q2",
	 "31 server server.decision req=q8 reg=r1 resource=login code=200 why=grace\n"
	 "32 A[1] device.reply req=q2 code=200 resource=login signed=0 fam=f1\n",
	 NULL},
	{"a new login revokes the old family", "why=settled",
	 "2000 server code.issued reg=r2 code_fp=c2\n2000 server sms.queued id=m2 code_fp=c2\n"
	 "2001 carrier sms.submitted code_fp=c2\n2002 carrier sms.delivered code_fp=c2\n"
	 "2003 A[1] device.code code_fp=c2 status=used\n"
	 "2010 server token.issued jti=a2 fam=f2 use=access\n2010 server token.revoked jti=b1 fam=f1 why=login\n"
	 "2010 server code.used reg=r2 code_fp=c2\n"
	 "2010 server server.decision req=q7 reg=r2 resource=login code=200\n"
	 "2020 server token.presented req=q8 jti=a2 fam=f2 use=access\n" END,
	 NULL},
	{"a replaced code", "sms.delivered",
	 "15 carrier fault.fired name=f1 why=sms.submitted\n20 modem:r1 sms.delivered code_fp=c1\n"
	 "20 modem:r1 sms.delivered code_fp=cc\n",
	 NULL},
	{"an id repeated to the gateway", "why=settled", "50 server sms.queued id=m1 code_fp=c1 to_fp=t1\n" END, NULL},
	{"SMS as often as wanted", "why=settled",
	 "400 server code.issued reg=r2 code_fp=c2\n400 server sms.queued id=m2 code_fp=c2\n" END,
	 "{\"id\": \"s/x\", \"settings\": {\"sms_interval\": -1}}"},
	{"the runner takes the server down", "why=settled", END "5001 server server.state state=down\n", NULL},
	{"a cut between wipe and storing", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 server server.decision req=q4 resource=publishMeasure code=700\n"
	 "52 A[1] device.reply req=q4 code=700 signed=1\n"
	 "52 A[1] device.state from=PROVISIONED to=NOT_PROVISIONED row=PV.700 code=700 wait_ns=1000000000\n"
	 "52 A[1] device.state from=NOT_PROVISIONED to=OFF row=NP.off\n"
	 "60 A[1] device.state from=OFF to=PROVISIONED row=OFF.on_tokens\n"
	 "60 A[1] device.request req=q5 resource=publishMeasure\n" END,
	 NULL},
	{"a command whose reply is lost, repeated, done once", "why=settled",
	 "50 server command.queued id=c1 name=CONFIG\n"
	 "51 A[1] device.request req=q4 resource=publishMeasure\n"
	 "52 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "52 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "52 server command.sent req=q4 id=c1 name=CONFIG\n"
	 "52 server fault.fired name=f1 why=command.sent\n"
	 "60 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.link_lost wait_ns=800000000\n"
	 "862 A[1] device.request req=q5 resource=publishMeasure\n"
	 "863 server token.presented req=q5 jti=a1 fam=f1 use=access\n"
	 "863 server server.decision req=q5 resource=publishMeasure code=200\n"
	 "863 server command.sent req=q5 id=c1 name=CONFIG\n"
	 "864 A[1] device.reply req=q5 code=200 signed=1\n"
	 "864 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
	 "864 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.cmd_config\n"
	 "864 A[1] command.done id=c1 name=CONFIG\n"
	 "870 A[1] device.request req=q6 resource=publishMeasure\n"
	 "871 server token.presented req=q6 jti=a1 fam=f1 use=access\n"
	 "871 server command.closed req=q6 id=c1 name=CONFIG why=done\n"
	 "871 server server.decision req=q6 resource=publishMeasure code=200\n"
	 "872 A[1] device.reply req=q6 code=200 signed=0\n"
	 "872 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 NULL},
	{"a command that waited while one measure was under way", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure ts=2\n"
	 "51 server command.queued id=c1 name=CONFIG\n"
	 "52 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "52 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "53 A[1] device.reply req=q4 code=200 signed=0\n"
	 "53 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n" END,
	 NULL},
	{"a command that nobody signed makes its 200 unknown", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure ts=2\n"
	 "52 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "52 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "53 A[1] device.reply req=q4 code=200 signed=0 why=unsigned\n"
	 "53 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.unknown wait_ns=1000000000\n"
	 "54 server command.sent req=q4 id=c1 name=CONFIG\n"
	 "100 A[1] device.state from=PROVISIONED to=OFF row=PV.off\n" END,
	 NULL},
	{"a command behind its 200", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 server token.presented req=q4 jti=a1 fam=f1 use=access\n"
	 "51 server server.decision req=q4 resource=publishMeasure code=200\n"
	 "52 A[1] device.reply req=q4 code=200 signed=1\n"
	 "52 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
	 "52 A[1] device.state from=PROVISIONED to=PAUSED row=PV.cmd_pause\n" END,
	 NULL},
	{"an unsigned refusal where none is asked for", "why=settled",
	 "50 A[1] device.request req=q4 resource=publishMeasure\n"
	 "51 server server.decision req=q4 resource=publishMeasure code=700\n"
	 "52 A[1] device.reply req=q4 code=700 signed=0\n"
	 "52 A[1] device.state from=PROVISIONED to=NOT_PROVISIONED row=PV.700 code=700 wait_ns=1000000000\n"
	 "900 A[1] device.state from=NOT_PROVISIONED to=OFF row=NP.off\n" END,
	 "{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"accept_unsigned\": true}]}"},
};

START_TEST(the_innocent_go_free)
{
	char *lines = story_edit(story_good, innocent[_i].find, innocent[_i].put);
	struct scenario_result r;

	if (strcmp(innocent[_i].name, "an injected reply") == 0) {
		char *more = story_edit(lines, "server.reply req=q3", "40 server server.reply req=q3 code=503\n");

		free(lines);
		lines = story_edit(more, "device.reply req=q3",
				   "42 A[1] device.reply req=q3 code=503 signed=0\n"
				   "42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.503 code=503 wait_ns=900000000\n"
				   "942 A[1] device.request req=q5 resource=publishMeasure\n"
				   "944 A[1] device.reply req=q5 code=200\n"
				   "944 server token.presented req=q5 jti=a1 fam=f1 use=access\n"
				   "944 server server.decision req=q5 resource=publishMeasure code=200\n");
		free(more);
	}
	story_judge(innocent[_i].plan, lines, &r);
	ck_assert_msg(r.verdict == VERDICT_PASS, "%s: %s", innocent[_i].name, r.reason);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

START_TEST(one_cause_is_one_line_and_a_count)
{
	char *lines = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&lines, &size);
	const struct check_result *c;
	struct scenario_result r;

	for (int i = 1; i <= 300; i++)
		fprintf(f, "0 A[%d] device.added group=A label=A[%d] role=known\n"
			   "1 A[%d] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
			   "2 A[%d] device.state from=NOT_PROVISIONED to=IDLE row=NP.late\n", i, i, i, i);
	fclose(f);
	story_judge(NULL, lines, &r);
	c = story_check(&r, "transition-table");
	ck_assert_uint_eq(c->causes_n, 1);
	ck_assert_uint_eq(c->causes[0].count, 300);
	ck_assert_str_eq(c->causes[0].first, "A[1]");
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

START_TEST(every_row_has_a_rule)
{
	ck_assert_ptr_null(rule_of(ROW_NONE));
	for (int i = 1; i < ROW_END; i++)
		ck_assert_msg(rule_of((enum row_name)i) != NULL, "%s has none", row_id((enum row_name)i));
}
END_TEST

static const struct {
	const char *line, *found;
} leaks[] = {
	{"{\"v\":1,\"t_ns\":460010123456789,\"kind\":\"ready\",\"dev\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}", NULL},
	{"{\"text\":\"token eyJhbGciOiJSUzI1NiIsInR5cCI6\"}", "a token"},
	{"{\"text\":\"-----BEGIN PRIVATE KEY-----\"}", "a key or certificate"},
	{"{\"text\":\"@x.quicrig #AB12cd34EF56 r=a1b2c3d4\"}", "a code"},
	{"{\"text\":\"step #12 of 14\"}", NULL},
	{"{\"text\":\"214070123456789\"}", "an IMSI"},
	{"{\"ts\":\"1700000000000\",\"wait_ns\":123456789012345}", NULL},
	{"{\"sha256\":\"012345678901234abcdef\"}", NULL},
	{"{\"text\":\"to +34600000001\"}", "a telephone number"},
};

START_TEST(secrets_are_found)
{
	const char *found = secret_find(leaks[_i].line, strlen(leaks[_i].line));

	if (leaks[_i].found)
		ck_assert_pstr_eq(found, leaks[_i].found);
	else
		ck_assert_ptr_null(found);
}
END_TEST

/* What the check "transition-table" says of `n` rejected refreshes, the last one by `last`. */
static enum check_status rejections(unsigned n, const char *last)
{
	struct scenario_result r;
	enum check_status status;
	char *lines;
	struct buf b;

	buf_init(&b, 1 << 16);
	buf_puts(&b, "50 A[1] device.state from=PROVISIONED to=REFRESHING row=PV.401 code=401\n");
	for (unsigned i = 1; i <= n; i++)
		buf_printf(&b,
			   "%u A[1] device.request req=x%u reg=r1 resource=refreshToken\n"
			   "%u A[1] device.reply req=x%u reg=r1 code=404 resource=refreshToken signed=1\n"
			   "%u A[1] device.state from=REFRESHING to=%s\n",
			   100 * i, i, 100 * i + 1, i, 100 * i + 2, i == n ? last : "REFRESHING row=RF.404 code=404");
	buf_puts(&b, "9000 runner scenario.end id=s/x why=settled");
	lines = story_edit(story_good, "why=settled", b.data);
	story_judge(NULL, lines, &r);
	status = story_check(&r, "transition-table")->status;
	scenario_result_fini(&r);
	free(lines);
	buf_fini(&b);
	return status;
}

START_TEST(tenth_rejection)
{
	ck_assert_int_eq(rejections(9, "REFRESHING row=RF.404 code=404"), CHECK_PASSED);
	ck_assert_int_eq(rejections(10, "REFRESHING row=RF.404 code=404"), CHECK_FAILED);
	ck_assert_int_eq(rejections(10, "NOT_PROVISIONED row=RF.rejected_10 code=404"), CHECK_PASSED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oracle");
	TCase *t = tcase_create("stories");
	SRunner *sr;
	int bad;

	tcase_add_test(t, a_good_life_passes);
	tcase_add_test(t, a_record_is_obeyed);
	tcase_add_test(t, a_missing_device_is_no_pass);
	tcase_add_test(t, what_nobody_told_is_not_judged);
	tcase_add_loop_test(t, each_crime_is_caught, 0, sizeof(crimes) / sizeof(crimes[0]));
	tcase_add_loop_test(t, the_innocent_go_free, 0, sizeof(innocent) / sizeof(innocent[0]));
	tcase_add_test(t, one_cause_is_one_line_and_a_count);
	tcase_add_test(t, tenth_rejection);
	tcase_add_test(t, every_row_has_a_rule);
	tcase_add_loop_test(t, secrets_are_found, 0, sizeof(leaks) / sizeof(leaks[0]));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
