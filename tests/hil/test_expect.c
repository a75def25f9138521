/* Expectations, thresholds, verdicts and exit codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "hil/judge/expect.h"
#include "hil/judge/verdict.h"
#include "tests/hil/story.h"

/* ---- paths ---- */

static const struct {
	const char *pattern; /* short names; … is ... */
	const char *states;
	int matches;
} paths[] = {
	{"NP RG IDLE", "NP RG IDLE", 1},
	{"NP RG IDLE", "NP RG", 0},
	{"NP RG IDLE", "NP RG IDLE NP", 0},
	{"RG IDLE", "NP RG IDLE", 0},
	{"... IDLE", "NP RG IDLE", 1},
	{"... IDLE", "IDLE", 1},
	{"... IDLE", "NP RG IDLE NP", 0},
	{"... RG ...", "NP RG IDLE NP", 1},
	{"... RG ...", "RG", 1},
	{"... RG ...", "NP IDLE", 0},
	{"...", "", 1},
	{"...", "NP RG", 1},
	{"... AC LI IDLE", "NP RG AC NP RG AC LI IDLE", 1},
	{"NP ... PV RF PV ...", "NP RG AC LI PV RF RF PV", 0},
	{"NP ... PV RF PV ...", "NP RG AC LI PV RF PV RF", 1},
	{"NP ... ... PV", "NP PV", 1},
	{"PV RF PV RF PV", "PV RF PV RF PV", 1},
	{"PV RF PV", "PV RF PV RF PV", 0},
};

START_TEST(a_path_is_anchored)
{
	char *pattern = strdup(paths[_i].pattern), *states = strdup(paths[_i].states), *save, *word;
	json_t *list = json_array();
	enum state_name went[16];
	size_t n = 0;

	for (word = strtok_r(pattern, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		int s = state_by_name(word);

		json_array_append_new(list, json_string(s < 0 ? word : state_full((enum state_name)s)));
	}
	for (word = strtok_r(states, " ", &save); word; word = strtok_r(NULL, " ", &save))
		went[n++] = (enum state_name)state_by_name(word);
	ck_assert_msg(path_matches(list, went, n) == paths[_i].matches, "%s on %s", paths[_i].pattern,
		      paths[_i].states);
	json_decref(list);
	free(pattern);
	free(states);
}
END_TEST

START_TEST(a_path_of_nonsense_is_an_error)
{
	json_t *empty = json_array(), *odd = json_pack("[s,s]", "...", "DANCING");

	ck_assert_int_eq(path_matches(empty, NULL, 0), ERR_PARSE);
	ck_assert_int_eq(path_matches(odd, NULL, 0), ERR_PARSE);
	json_decref(empty);
	json_decref(odd);
}
END_TEST

/* ---- expectations on the good life and on a refused one ---- */

static const char refused[] =
	"0 runner scenario.start id=s/x\n"
	"0 server server.state state=up\n"
	"0 A[1] device.added group=A label=A[1] role=stranger\n"
	"0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
	"0 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
	"0 A[1] device.request req=q1 reg=r1 resource=registerDevice\n"
	"10 server server.decision req=q1 resource=registerDevice code=403 why=unknown signed=1\n"
	"10 server server.reply req=q1 resource=registerDevice code=403\n"
	"12 A[1] device.reply req=q1 code=403 resource=registerDevice signed=1\n"
	"12 A[1] net.count sent=5 received=5\n"
	"12 A[1] device.state from=REGISTERING to=IDLE row=RG.403 code=403\n"
	"12000 runner scenario.end id=s/x why=settled\n";

/* Two devices; A[2] is the half that was chosen, and comes later. */
static const char two[] =
	"0 runner scenario.start id=s/x\n"
	"0 server server.state state=up\n"
	"0 A[1] device.added group=A label=A[1] role=stranger\n"
	"0 A[2] device.added group=A label=A[2] role=stranger\n"
	"0 A[2] device.chosen name=A:50%\n"
	"0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
	"0 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
	"0 A[1] device.request req=q1 reg=r1 resource=registerDevice\n"
	"10 server server.decision req=q1 resource=registerDevice code=503 why=storage signed=0\n"
	"10 server server.reply req=q1 resource=registerDevice code=503\n"
	"12 A[1] device.reply req=q1 code=503 resource=registerDevice signed=0\n"
	"12 A[1] device.state from=REGISTERING to=NOT_PROVISIONED row=RG.503 code=503\n"
	"20 A[2] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
	"20 A[2] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
	"20 A[2] device.request req=q2 reg=r2 resource=registerDevice\n"
	"30 server server.decision dev=u2 req=q2 resource=registerDevice code=403 why=unknown signed=1\n"
	"30 server server.reply dev=u2 req=q2 resource=registerDevice code=403\n"
	"32 A[2] device.reply req=q2 code=403 resource=registerDevice signed=1\n"
	"32 A[2] net.count sent=5 received=5\n"
	"32 A[2] device.state from=REGISTERING to=IDLE row=RG.403 code=403\n"
	"12000 runner scenario.end id=s/x why=settled\n";

#define PLAN(expect) "{\"id\": \"s/x\", \"expect\": {" expect "}}"
#define SRC          "\"source\": {\"file\": \"x.yaml\", \"line\": 3, \"col\": 5}"
#define R(min, max)  "{\"min\": " #min ", \"max\": " #max "}"

static const struct {
	const char *plan, *story, *check;
	enum check_status status;
	const char *expected, *got;
} wishes[] = {
	{PLAN("\"path\": [{\"states\": [\"NOT_PROVISIONED\", \"REGISTERING\", \"IDLE\"], " SRC "}]"), refused, "path",
	 CHECK_PASSED, "NOT_PROVISIONED → REGISTERING → IDLE", NULL},
	{PLAN("\"path\": [{\"states\": [\"...\", \"AWAITING_CODE\", \"LOGGING_IN\", \"IDLE\"], " SRC "}]"), refused,
	 "path", CHECK_FAILED, "… AWAITING_CODE → LOGGING_IN → IDLE",
	 "NOT_PROVISIONED → REGISTERING → IDLE (refused, 403)"},
	{PLAN("\"path\": [{\"states\": [\"...\", \"REFRESHING\", \"PROVISIONED\"], " SRC "}]"), story_good, "path",
	 CHECK_FAILED, "… REFRESHING → PROVISIONED", "… LOGGING_IN → PROVISIONED"},
	{PLAN("\"path\": [{\"states\": [\"IDLE\"], \"how\": \"any\", " SRC "}]"), story_good, "path", CHECK_FAILED,
	 "IDLE for any device", "0 of 1 devices"},
	{PLAN("\"path\": [{\"states\": [\"...\"], \"how\": \"count\", \"count\": " R(1, 1) ", " SRC "}]"), story_good,
	 "path", CHECK_PASSED, "… for a number of devices = 1", NULL},
	{PLAN("\"idle\": [{\"code\": 403, \"silent_for_ns\": 10000000000, " SRC "}]"), refused, "idle", CHECK_PASSED,
	 "IDLE (refused, 403), silent for 10 s", NULL},
	{PLAN("\"idle\": [{\"code\": 403, \"silent_for_ns\": 20000000000, " SRC "}]"), refused, "idle", CHECK_FAILED,
	 "IDLE (refused, 403), silent for 20 s", "IDLE (refused, 403), watched for 11.988 s only"},
	{PLAN("\"idle\": [{\"code\": 401, " SRC "}]"), refused, "idle", CHECK_FAILED, "IDLE (refused, 401)",
	 "IDLE (refused, 403)"},
	{PLAN("\"final\": [{\"state\": \"PROVISIONED\", " SRC "}]"), story_good, "final", CHECK_PASSED,
	 "PROVISIONED at the end", NULL},
	{PLAN("\"final\": [{\"state\": \"PROVISIONED\", \"who\": {\"group\": \"A\", \"index\": 1}, " SRC "}]"), refused,
	 "final", CHECK_FAILED, "PROVISIONED at the end (A[1])", "IDLE (refused, 403)"},
	{PLAN("\"final\": [{\"state\": \"IDLE\", \"who\": {\"group\": \"B\"}, " SRC "}]"), refused, "final",
	 CHECK_UNJUDGED, "IDLE at the end (B)", NULL},
	{PLAN("\"final\": [{\"state\": \"IDLE\", \"who\": {\"group\": \"A\", \"ratio\": 0.1}, " SRC "}]"), refused,
	 "final", CHECK_UNJUDGED, "IDLE at the end (A:10%)", NULL},
	{PLAN("\"final\": [{\"state\": \"IDLE\", \"who\": {\"group\": \"A\", \"ratio\": 0.5}, " SRC "}]"), two,
	 "final", CHECK_PASSED, "IDLE at the end (A:50%)", NULL},
	{PLAN("\"final\": [{\"state\": \"OFF\", \"who\": {\"group\": \"A\", \"ratio\": 0.5}, " SRC "}]"), two,
	 "final", CHECK_FAILED, "OFF at the end (A:50%)", "IDLE (refused, 403)"},
	{PLAN("\"counts\": [{\"what\": \"replies.403\", \"range\": " R(1, 1) ", \"who\": {\"group\": \"A\", \"ratio\": 0.5}, " SRC "}]"),
	 two, "counts", CHECK_PASSED, "replies.403 = 1 (A:50%)", NULL},
	{PLAN("\"never\": [{\"state\": \"IDLE\", " SRC "}]"), refused, "never", CHECK_FAILED, "never IDLE", "IDLE"},
	{PLAN("\"never\": [{\"state\": \"IDLE\", " SRC "}]"), story_good, "never", CHECK_PASSED, "never IDLE", NULL},
	{PLAN("\"within\": [{\"state\": \"PROVISIONED\", \"ns\": 32000000, " SRC "}]"), story_good, "within",
	 CHECK_PASSED, "PROVISIONED within 32 ms of power on", NULL},
	{PLAN("\"within\": [{\"state\": \"PROVISIONED\", \"ns\": 31000000, " SRC "}]"), story_good, "within",
	 CHECK_FAILED, "PROVISIONED within 31 ms of power on", "PROVISIONED later than that"},
	{PLAN("\"counts\": [{\"what\": \"sms.sent\", \"range\": " R(0, 0) ", " SRC "}]"), story_good, "counts",
	 CHECK_FAILED, "sms.sent = 0", "sms.sent = 1"},
	{PLAN("\"counts\": [{\"what\": \"tokens.issued\", \"range\": " R(2, 2) ", " SRC "}]"), story_good, "counts",
	 CHECK_PASSED, "tokens.issued = 2", NULL},
	{PLAN("\"counts\": [{\"what\": \"families.issued\", \"range\": " R(1, 1) ", " SRC "}]"), story_good, "counts",
	 CHECK_PASSED, "families.issued = 1", NULL},
	{PLAN("\"counts\": [{\"what\": \"replies.403\", \"range\": {\"max\": 0}, " SRC "}]"), refused, "counts",
	 CHECK_FAILED, "replies.403 ≤ 0", "replies.403 = 1"},
	{PLAN("\"counts\": [{\"what\": \"requests.login\", \"range\": {\"min\": 1}, " SRC "}]"), refused, "counts",
	 CHECK_FAILED, "requests.login ≥ 1", "requests.login = 0"},
	{PLAN("\"counts\": [{\"what\": \"server.starts\", \"range\": " R(1, 1) ", " SRC "}]"), refused, "counts",
	 CHECK_PASSED, "server.starts = 1", NULL},
	{PLAN("\"seen\": [{\"event\": \"handshake.failed\", " SRC "}]"), refused, "seen", CHECK_FAILED,
	 "handshake.failed ≥ 1", "handshake.failed = 0"},
	{PLAN("\"seen\": [{\"event\": \"server.decision\", \"match\": {\"code\": 403, \"why\": \"unknown\"}, "
	      "\"within_ns\": 10000000, \"count\": " R(1, 1) ", " SRC "}]"),
	 refused, "seen", CHECK_PASSED, "server.decision code=403 why=unknown = 1 within 10 ms", NULL},
	{PLAN("\"seen\": [{\"event\": \"server.decision\", \"match\": {\"code\": 200}, " SRC "}]"), refused, "seen",
	 CHECK_FAILED, "server.decision code=200 ≥ 1", "server.decision = 0"},
	{PLAN("\"seen\": [{\"event\": \"server.decision\", \"before\": {\"event\": \"device.state\", \"match\": {\"to\": \"IDLE\"}}, " SRC "}]"),
	 refused, "seen", CHECK_PASSED, "server.decision ≥ 1 before device.state to=IDLE", NULL},
	{PLAN("\"seen\": [{\"event\": \"device.reply\", \"before\": {\"event\": \"server.reply\"}, " SRC "}]"), refused, "seen",
	 CHECK_FAILED, "device.reply ≥ 1 before server.reply", "device.reply = 0"},
	{PLAN("\"seen\": [{\"event\": \"device.reply\", \"before\": {\"event\": \"server.reply\"}, \"count\": " R(0, 0) ", " SRC "}]"),
	 refused, "seen", CHECK_PASSED, "device.reply = 0 before server.reply", NULL},
	/* what never comes is nothing to be before of */
	{PLAN("\"seen\": [{\"event\": \"device.reply\", \"before\": {\"event\": \"code.used\"}, " SRC "}]"), refused, "seen",
	 CHECK_FAILED, "device.reply ≥ 1 before code.used", "device.reply = 1, and no code.used at all"},
	/* each device for itself: A[2] asks when A[1] has its answer already */
	{PLAN("\"seen\": [{\"event\": \"device.request\", \"before\": {\"event\": \"device.reply\"}, \"count\": " R(2, 2) ", " SRC "}]"),
	 two, "seen", CHECK_PASSED, "device.request = 2 before device.reply", NULL},
	{PLAN("\"balance\": {\"sms\": true, " SRC "}"), story_good, "balance", CHECK_PASSED,
	 "SMS submitted = codes issued = SMS delivered", NULL},
};

START_TEST(a_wish_is_judged)
{
	const struct check_result *c;
	struct scenario_result r;

	story_judge(wishes[_i].plan, wishes[_i].story, &r);
	c = story_check(&r, wishes[_i].check);
	ck_assert_str_eq(c->expected, wishes[_i].expected);
	ck_assert_msg(c->status == wishes[_i].status, "%s: %s (%s)", c->expected, check_status_name(c->status),
		      c->causes_n ? c->causes[0].got : "");
	if (wishes[_i].got)
		ck_assert_str_eq(c->causes[0].got, wishes[_i].got);
	ck_assert_str_eq(c->at.file, "x.yaml");
	ck_assert_int_eq(c->at.line, 3);
	ck_assert_int_eq(c->at.column, 5);
	scenario_result_fini(&r);
}
END_TEST

START_TEST(a_foreign_server_leaves_it_partial)
{
	char *no_state = story_edit(refused, "server.state", NULL), *no_decision, *lines;
	struct scenario_result r;

	no_decision = story_edit(no_state, "server.decision", NULL);
	lines = story_edit(no_decision, "server.reply", NULL);
	story_judge(PLAN("\"counts\": [{\"what\": \"tokens.issued\", \"range\": " R(0, 0) ", " SRC "}]"), lines, &r);
	ck_assert_int_eq(story_check(&r, "counts")->status, CHECK_UNJUDGED);
	ck_assert_int_eq(r.verdict, VERDICT_INCONCLUSIVE);
	ck_assert_uint_eq(r.unjudged, 1);
	scenario_result_fini(&r);
	free(no_state);
	free(no_decision);
	free(lines);
}
END_TEST

/* ---- steps, faults, blame, ends ---- */

#define WAITS                                                                                                  \
	"\"steps\": [{\"do\": \"wait\", \"state\": \"PROVISIONED\", \"within_ns\": 10000000000, \"who\": {\"group\": " \
	"\"A\"}, " SRC "}]"
#define FAULTS(more)                                                                                           \
	"\"faults\": [{\"name\": \"f1\", \"do\": \"lose\", \"on\": \"sms.submitted\"" more ", " SRC "}]"

#define STARTS      "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
#define LAGGED(ms)  "1 runner harness.lag lag_ns=" #ms "000000\n"
#define MISSED(ms)  STARTS LAGGED(ms) "2 runner step.done name=wait count=0 why=timeout\n"
#define MISSES(ns)                                                                                             \
	"{\"id\": \"s/x\", \"steps\": [{\"do\": \"wait\", \"state\": \"PAUSED\", \"within_ns\": " ns ", " SRC "}]}"
#define BOOT(limit)                                                                                            \
	"{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"bootstrap_time\", \"op\": \"max\", \"cmp\": \"<\", \"value\": " limit ", " SRC "}]}"
/* the story takes 32 ms */
#define SLOW        BOOT("1000000000")
#define SLOW_BOOT   BOOT("10000000")
#define XFAIL(more)                                                                                            \
	"{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC                                      \
	"}]}, \"xfail\": {\"reason\": \"known\", \"until\": \"2026-12-31\"" more "}}"
#define WRONG_ROW "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.off\n"

static const struct {
	const char *name, *plan, *story, *find, *put;
	enum verdict verdict;
	enum blame blame;
} ends[] = {
	{"a wait that times out", "{\"id\": \"s/x\", " WAITS "}", refused, "why=settled",
	 "10000 runner step.done name=wait count=0 why=timeout\n10000 runner scenario.end why=x.yaml:3:5:1\n",
	 VERDICT_FAIL, BLAME_UNKNOWN},
	{"a wait that does not", "{\"id\": \"s/x\", " WAITS "}", story_good, "why=settled",
	 "100 runner step.done name=wait count=0\n5000 runner scenario.end why=settled\n", VERDICT_PASS, BLAME_NONE},
	{"a timeout with a device under way", NULL, story_good, "row=PV.200",
	 "45 A[1] device.state from=PROVISIONED to=REFRESHING row=PV.401\n42 runner scenario.end why=timeout\n",
	 VERDICT_FAIL, BLAME_DEVICE},
	{"the steps are not done in time", "{\"id\": \"s/x\", " WAITS "}", story_good, "why=settled",
	 "5000 runner scenario.end why=timeout:1\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"Ctrl-C", NULL, story_good, "why=settled", "5000 runner scenario.end why=interrupted\n", VERDICT_INCONCLUSIVE,
	 BLAME_HARNESS},
	{"a fault that never fires", "{\"id\": \"s/x\", " FAULTS("") "}", story_good, "scenario.start",
	 "0 runner scenario.start id=s/x\n0 runner fault.armed name=s/x:f1\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"one that need not", "{\"id\": \"s/x\", " FAULTS(", \"chance\": 0.5") "}", story_good, "scenario.start",
	 "0 runner scenario.start id=s/x\n0 runner fault.armed name=s/x:f1\n", VERDICT_PASS, BLAME_NONE},
	{"one that does", "{\"id\": \"s/x\", " FAULTS("") "}", story_good, "scenario.start",
	 "0 runner scenario.start id=s/x\n0 runner fault.armed name=s/x:f1\n"
	 "14 carrier fault.fired name=s/x:f1 why=sms.submitted\n",
	 VERDICT_PASS, BLAME_NONE},
	{"one that was never armed", "{\"id\": \"s/x\", " FAULTS("") "}", story_good, "row=OFF.on",
	 "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"a time that never comes",
	 "{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"do\": \"power_cut\", \"at_ns\": 90000000000, " SRC "}]}",
	 story_good, "why=settled", "5000 runner scenario.end why=timeout\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"times that never come",
	 "{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"do\": \"power_cut\", \"every_ns\": 90000000000, "
	 "\"times\": 2, " SRC "}]}",
	 story_good, "why=settled", "5000 runner scenario.end why=timeout\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"expected to fail", "{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC
			     "}]}, \"xfail\": {\"reason\": \"known\", \"until\": \"2026-12-31\"}}",
	 refused, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_XFAIL,
	 BLAME_UNKNOWN},
	{"expected to fail, until yesterday", "{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC
					      "}]}, \"xfail\": {\"reason\": \"known\", \"until\": \"2026-05-31\"}}",
	 refused, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_FAIL,
	 BLAME_UNKNOWN},
	{"expected to fail, until today", "{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC
					      "}]}, \"xfail\": {\"reason\": \"known\", \"until\": \"2026-06-01\"}}",
	 refused, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_FAIL,
	 BLAME_UNKNOWN},
	{"passes though it should fail", "{\"id\": \"s/x\", \"xfail\": {\"reason\": \"known\", \"until\": \"2026-12-31\"}}",
	 story_good, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_XPASS,
	 BLAME_NONE},
	{"fails in quarantine", "{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC
				 "}]}, \"quarantine\": {\"reason\": \"shaky\", \"until\": \"2026-12-31\"}}",
	 refused, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_QUARANTINE,
	 BLAME_UNKNOWN},
	{"its quarantine is over", "{\"id\": \"s/x\", \"expect\": {\"never\": [{\"state\": \"IDLE\", " SRC
				    "}]}, \"quarantine\": {\"reason\": \"shaky\", \"until\": \"2026-06-01\"}}",
	 refused, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_FAIL,
	 BLAME_UNKNOWN},
	{"passes in quarantine", "{\"id\": \"s/x\", \"quarantine\": {\"reason\": \"shaky\", \"until\": \"2026-12-31\"}}",
	 story_good, "row=OFF.on", "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_PASS,
	 BLAME_NONE},
	/* a harness that lags may have missed it by itself: a tenth of the time, or a second */
	{"a wait missed, the harness in time", MISSES("2000000000"), story_good, "row=OFF.on", MISSED(150), VERDICT_FAIL, BLAME_UNKNOWN},
	{"a wait missed, the harness late", MISSES("2000000000"), story_good, "row=OFF.on", MISSED(250), VERDICT_INCONCLUSIVE,
	 BLAME_HARNESS},
	{"a long wait missed", MISSES("60000000000"), story_good, "row=OFF.on", MISSED(900), VERDICT_FAIL, BLAME_UNKNOWN},
	{"a long wait missed, the harness very late", MISSES("60000000000"), story_good, "row=OFF.on", MISSED(1000),
	 VERDICT_INCONCLUSIVE, BLAME_HARNESS},
	{"100 ms is nobody's fault", MISSES("300000000"), story_good, "row=OFF.on", MISSED(99), VERDICT_FAIL, BLAME_UNKNOWN},
	{"too slow by less than the harness was late", SLOW, story_good, "row=OFF.on", STARTS LAGGED(150), VERDICT_PASS, BLAME_NONE},
	{"too slow, the harness in time", SLOW_BOOT, story_good, "row=OFF.on", STARTS, VERDICT_FAIL, BLAME_UNKNOWN},
	{"too slow, and the harness may be why", SLOW_BOOT, story_good, "row=OFF.on", STARTS LAGGED(150), VERDICT_INCONCLUSIVE,
	 BLAME_HARNESS},
	{"too late by the harness, within a second", PLAN("\"within\": [{\"state\": \"PROVISIONED\", \"ns\": 20000000, " SRC "}]"), story_good,
	 "row=OFF.on", STARTS LAGGED(150), VERDICT_INCONCLUSIVE, BLAME_HARNESS},
	{"too late, the harness in time", PLAN("\"within\": [{\"state\": \"PROVISIONED\", \"ns\": 20000000, " SRC "}]"), story_good,
	 "row=OFF.on", STARTS LAGGED(90), VERDICT_FAIL, BLAME_UNKNOWN},
	{"not seen in time, and the harness may be why",
	 PLAN("\"seen\": [{\"event\": \"sms.delivered\", \"within_ns\": 10000000, " SRC "}]"), story_good, "row=OFF.on",
	 STARTS LAGGED(150), VERDICT_INCONCLUSIVE, BLAME_HARNESS},
	{"seen too often, whatever the harness does",
	 PLAN("\"seen\": [{\"event\": \"sms.delivered\", \"count\": {\"max\": 0}, " SRC "}]"), story_good, "row=OFF.on",
	 STARTS LAGGED(5000), VERDICT_FAIL, BLAME_UNKNOWN},
	{"a known culprit stays one", MISSES("2000000000"), story_good, "row=OFF.on",
	 "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.off\n2000 runner harness.lag lag_ns=5000000000\n"
	 "2000 runner step.done name=wait count=0 why=timeout\n", VERDICT_FAIL, BLAME_DEVICE},
	/* a device's line that leads nowhere is known, or it is not */
	{"expected to fail, and an invariant does, too", XFAIL(""), refused, "row=OFF.on", WRONG_ROW, VERDICT_FAIL, BLAME_DEVICE},
	{"… another than is named", XFAIL(", \"invariants\": [\"timers\"]"), refused, "row=OFF.on", WRONG_ROW, VERDICT_FAIL,
	 BLAME_DEVICE},
	{"… which is named", XFAIL(", \"invariants\": [\"timers\", \"transition-table\"]"), refused, "row=OFF.on", WRONG_ROW,
	 VERDICT_XFAIL, BLAME_DEVICE},
	{"a secret in the journal is nothing to expect", XFAIL(""), refused, "row=OFF.on",
	 "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n1 runner harness.note text=eyJhbGciOiJSUzI1NiJ9\n",
	 VERDICT_FAIL, BLAME_UNKNOWN},
	{"quarantine excuses no invariant either",
	 "{\"id\": \"s/x\", \"quarantine\": {\"reason\": \"shaky\", \"until\": \"2026-12-31\"}}", refused, "row=OFF.on",
	 WRONG_ROW, VERDICT_FAIL, BLAME_DEVICE},
	{"skipped", "{\"id\": \"s/x\", \"skip\": \"no such modem\"}", story_good, "row=OFF.on",
	 "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n", VERDICT_SKIP, BLAME_NONE},
};

START_TEST(an_end_has_its_verdict)
{
	char *lines = story_edit(ends[_i].story, ends[_i].find, ends[_i].put);
	struct scenario_result r;

	story_judge(ends[_i].plan, lines, &r);
	ck_assert_msg(r.verdict == ends[_i].verdict, "%s: %s (%s)", ends[_i].name, verdict_name(r.verdict), r.reason);
	ck_assert_msg(r.blame == ends[_i].blame, "%s: blames %s (%s)", ends[_i].name, blame_name(r.blame), r.reason);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

/* The first minute's example: the expectation fails, the server's two stories differ. */
START_TEST(a_failed_wish_names_the_finding)
{
	char *lines = story_edit(story_good, "row=PV.200",
				 "42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
				 "61000 A[1] device.request req=q4 resource=publishMeasure\n"
				 "61010 server server.decision req=q4 resource=publishMeasure code=401 why=expired\n"
				 "61020 A[1] device.reply req=q4 code=401 signed=0\n"
				 "61020 A[1] device.state from=PROVISIONED to=REFRESHING row=PV.401 code=401\n"
				 "61020 A[1] device.request req=q5 resource=refreshToken\n"
				 "61030 server token.presented req=q5 jti=b1 fam=f1 use=refresh\n"
				 "61030 server server.decision req=q5 resource=refreshToken code=200\n"
				 "61030 server server.reply req=q5 resource=refreshToken code=403\n"
				 "61040 A[1] device.reply req=q5 code=403 signed=1\n"
				 "61040 A[1] device.state from=REFRESHING to=IDLE row=RF.403 code=403\n");
	const struct check_result *c;
	struct scenario_result r;

	story_judge(PLAN("\"path\": [{\"states\": [\"...\", \"PROVISIONED\", \"REFRESHING\", \"PROVISIONED\"], " SRC "}]"),
		    lines, &r);
	c = story_check(&r, "path");
	ck_assert_str_eq(c->causes[0].got, "… PROVISIONED → REFRESHING → IDLE (refused, 403)");
	ck_assert_uint_eq(c->causes[0].t, 61040 * NS_PER_MS);
	ck_assert_int_eq(c->causes[0].blame, BLAME_SERVER);
	ck_assert_str_eq(c->causes[0].why, "refreshToken: its journal decides 200, its reply says 403");
	ck_assert_int_eq(r.blame, BLAME_SERVER);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

START_TEST(others_are_those_that_nobody_names)
{
	char lines[] = "0 A[1] device.added group=A label=A[1]\n0 A[2] device.added group=A label=A[2]\n"
		       "0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n";
	struct scenario_result r;

	story_judge("{\"id\": \"s/x\", \"steps\": [{\"do\": \"power_on\", \"who\": {\"group\": \"A\", \"index\": 1}}], "
		    "\"expect\": {\"final\": [{\"state\": \"OFF\", \"who\": {\"others\": true}, " SRC "}]}}",
		    lines, &r);
	ck_assert_int_eq(story_check(&r, "final")->status, CHECK_PASSED);
	ck_assert_uint_eq(story_check(&r, "final")->devices, 1);
	scenario_result_fini(&r);
}
END_TEST

/* An SMS that went missing with nobody to ask for it is not the subject's failure. */
START_TEST(a_lost_sms_is_the_carriers)
{
	char *lines = story_edit(story_good, "sms.delivered", "20 carrier sms.lost code_fp=c1\n");
	const char *end = strstr(lines, "20 A[1] device.state");
	struct scenario_result r;
	char *cut = strndup(lines, (size_t)(end - lines));

	story_judge(PLAN("\"final\": [{\"state\": \"PROVISIONED\", " SRC "}]"), cut, &r);
	ck_assert_int_eq(r.verdict, VERDICT_INCONCLUSIVE);
	ck_assert_int_eq(r.blame, BLAME_CARRIER);
	scenario_result_fini(&r);
	free(cut);
	free(lines);
}
END_TEST

/* Nobody got in for want of its code; what did the modem say of the SMS that it took? */
static const struct {
	const char *name, *put; /* instead of the SMS's way */
	enum verdict verdict;
	enum blame blame;
} silences[] = {
	{"it took it and has said nothing since", "15 modem:s1 modem.state modem=s1 state=SENDING\n",
	 VERDICT_INCONCLUSIVE, BLAME_MODEM},
	{"it took it just now", "4000 modem:s1 modem.state modem=s1 state=SENDING\n", VERDICT_FAIL, BLAME_UNKNOWN},
	{"the network has it, and that was that",
	 "15 modem:s1 modem.state modem=s1 state=SENDING\n16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n",
	 VERDICT_INCONCLUSIVE, BLAME_CARRIER},
	{"the network got it just now", "4000 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n", VERDICT_FAIL,
	 BLAME_UNKNOWN},
	{"the modem that receives has it",
	 "16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n17 modem:r1 modem.state modem=r1 state=received\n",
	 VERDICT_INCONCLUSIVE, BLAME_MODEM},
	{"the modem that receives does not take it",
	 "16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n17 modem:r1 modem.state modem=r1 state=held\n",
	 VERDICT_INCONCLUSIVE, BLAME_MODEM},
	{"the modem that receives fell silent",
	 "16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n17 modem:r1 modem.state modem=r1 state=INIT dev=-\n",
	 VERDICT_INCONCLUSIVE, BLAME_MODEM},
	{"a modem was ill, and is well again",
	 "16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n17 modem:r1 modem.state modem=r1 state=INIT dev=-\n"
	 "18 modem:r1 modem.state modem=r1 state=READY dev=-\n",
	 VERDICT_INCONCLUSIVE, BLAME_CARRIER},
	{"it gave it up", "15 modem:s1 modem.state modem=s1 state=SENDING\n16 modem:s1 sms.unknown id=m1 code_fp=c1\n",
	 VERDICT_INCONCLUSIVE, BLAME_MODEM},
	{"a fault asked for it",
	 "15 modem:s1 modem.state modem=s1 state=SENDING\n15 modem:s1 fault.fired name=f1 why=sms.submitted\n",
	 VERDICT_FAIL, BLAME_UNKNOWN},
	{"nobody asked a modem", "", VERDICT_FAIL, BLAME_UNKNOWN},
};

START_TEST(a_silent_modem_is_to_blame)
{
	char *lines = story_edit(story_good, "sms.submitted", silences[_i].put);
	size_t len = (size_t)(strstr(lines, "20 modem:r1 sms.delivered") - lines);
	struct scenario_result r;
	char *cut;

	ck_assert_int_ge(asprintf(&cut, "%.*s6000 runner scenario.end id=s/x why=timeout\n", (int)len, lines), 0);
	story_judge(PLAN("\"final\": [{\"state\": \"PROVISIONED\", " SRC "}]"), cut, &r);
	ck_assert_msg(r.verdict == silences[_i].verdict, "%s: %s", silences[_i].name, r.reason);
	ck_assert_msg(r.blame == silences[_i].blame, "%s: blames %s", silences[_i].name, blame_name(r.blame));
	scenario_result_fini(&r);
	free(cut);
	free(lines);
}
END_TEST

/* Behind the end the rig takes the server down; nobody expects anything of that. */
START_TEST(the_end_takes_the_server_down)
{
	struct scenario_result r;
	char *lines;

	ck_assert_int_ge(asprintf(&lines,
				  "%s5001 server server.state state=down\n"
				  "5002 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.link_lost\n",
				  story_good),
			 0);
	story_judge(PLAN("\"seen\": [{\"event\": \"server.state\", \"match\": {\"state\": \"down\"}, \"count\": {\"min\": 0, "
			 "\"max\": 0}, " SRC "}]"),
		    lines, &r);
	ck_assert_int_eq(story_check(&r, "seen")->status, CHECK_PASSED);
	ck_assert_uint_eq(r.rows[ROW_PV_LINK_LOST], 0);
	ck_assert_uint_gt(r.rows[ROW_PV_200], 0);
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

/* A scenario that breaks a modem wants to see what comes of it: nothing is excused. */
START_TEST(a_modem_that_the_scenario_breaks_excuses_nobody)
{
	char *lines = story_edit(story_good, "sms.submitted",
				 "12 runner fault.fired name=s/x:f1 why=time\n16 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"
				 "17 modem:r1 modem.state modem=r1 state=INIT dev=-\n");
	size_t len = (size_t)(strstr(lines, "20 modem:r1 sms.delivered") - lines);
	struct scenario_result r;
	char *cut;

	ck_assert_int_ge(asprintf(&cut, "%.*s6000 runner scenario.end id=s/x why=timeout\n", (int)len, lines), 0);
	story_judge("{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"at_ns\": 1, \"do\": \"mute\", \"args\": {}, "
		    "\"who\": {\"modem\": \"r1\"}, " SRC "}], \"expect\": {\"final\": [{\"state\": \"PROVISIONED\", " SRC
		    "}]}}",
		    cut, &r);
	ck_assert_int_eq(r.verdict, VERDICT_FAIL);
	ck_assert_int_eq(r.blame, BLAME_UNKNOWN);
	scenario_result_fini(&r);
	free(cut);
	free(lines);
}
END_TEST

/* ---- thresholds ---- */

#define THRESHOLD(op, cmp, value, min)                                                                         \
	"{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"bootstrap_time\", \"op\": \"" op "\", \"cmp\": \"" cmp          \
	"\", \"value\": " #value ", \"min_samples\": " #min ", " SRC "}]}"

static const struct {
	const char *plan;
	enum check_status status;
	const char *got;
} limits[] = {
	{THRESHOLD("p99", "<", 33000000, 1), CHECK_PASSED, NULL},
	{THRESHOLD("p99", "<", 32000000, 1), CHECK_FAILED, "32 ms of 1 samples"},
	{THRESHOLD("p99.9", "<=", 32000000, 1), CHECK_PASSED, NULL},
	{THRESHOLD("mean", ">", 31000000, 1), CHECK_PASSED, NULL},
	{THRESHOLD("max", ">=", 33000000, 1), CHECK_FAILED, "32 ms of 1 samples"},
	{THRESHOLD("p50", "<", 33000000, 2), CHECK_FAILED, "1 samples, wanted 2"},
	{THRESHOLD("rate", ">", 31, 1), CHECK_PASSED, NULL},
	{THRESHOLD("rate", ">", 32, 1), CHECK_FAILED, "31.25/s of 1 samples"},
	{THRESHOLD("growth", ">", 1, 1), CHECK_UNJUDGED, NULL},
	{"{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"server_memory\", \"op\": \"max\", \"cmp\": \"<\", \"value\": 1048576, "
	 "\"min_samples\": 1, " SRC "}]}", CHECK_FAILED, "0 samples, wanted 1"},
};

START_TEST(a_threshold_is_judged)
{
	const struct check_result *c;
	struct scenario_result r;

	story_judge(limits[_i].plan, story_good, &r);
	c = story_check(&r, "threshold");
	ck_assert_int_eq(c->status, limits[_i].status);
	if (limits[_i].got)
		ck_assert_str_eq(c->causes[0].got, limits[_i].got);
	scenario_result_fini(&r);
}
END_TEST

START_TEST(memory_is_judged)
{
	char *lines = story_edit(story_good, "0 server server.state state=up", "0 server server.state state=up\n"
					     "1 runner harness.memory bytes=10485760\n2 runner harness.memory bytes=12582912\n");
	const struct check_result *c;
	struct scenario_result r;

	story_judge("{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"server_memory\", \"op\": \"max\", \"cmp\": \"<\", "
		    "\"value\": 11534336, \"min_samples\": 2, " SRC "}]}", lines, &r);
	c = story_check(&r, "threshold");
	ck_assert_str_eq(c->expected, "server_memory max < 11.0 MiB");
	ck_assert_int_eq(c->status, CHECK_FAILED);
	ck_assert_str_eq(c->causes[0].got, "12.0 MiB of 2 samples");
	scenario_result_fini(&r);
	free(lines);
}
END_TEST

/* ---- bad plans, exit codes ---- */

static const char *const bad[] = {
	PLAN("\"path\": [{\"states\": []}]"),
	PLAN("\"final\": [{\"state\": \"DANCING\"}]"),
	PLAN("\"counts\": [{\"what\": \"cats\", \"range\": {}}]"),
	PLAN("\"seen\": [{\"event\": \"cat.seen\"}]"),
	"{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"bootstrap_time\"}]}",
	"{\"id\": \"s/x\", \"settings\": {\"cats\": 1}}",
	"{\"id\": \"s/x\", \"steps\": [{\"do\": \"wait\", \"state\": \"DANCING\"}]}",
	"{\"id\": \"s/x\", \"faults\": [{\"name\": \"f\", \"do\": \"lose\", \"who\": {}}]}",
	"{\"id\": \"s/x\", \"expect\": {\"counts\": [{\"what\": \"sms.sent\"}]}}",
	"{\"id\": \"s/x\", \"expect\": {\"counts\": [{\"what\": \"sms.sent\", \"range\": {}}]}}",
	"{\"id\": \"s/x\", \"expect\": {\"counts\": [{\"what\": \"sms.sent\", \"range\": {\"min\": \"1\"}}]}}",
	"{\"id\": \"s/x\", \"expect\": {\"seen\": [{\"event\": \"sms.lost\", \"count\": {\"max\": 0.5}}]}}",
	"{\"id\": \"s/x\", \"thresholds\": [{\"metric\": \"sms_time\", \"op\": \"p99\", \"cmp\": \"!=\", \"value\": 1}]}",
};

START_TEST(a_bad_plan_is_refused)
{
	json_t *j = json_loads(bad[_i], 0, NULL);
	struct err e = {0};

	ck_assert_ptr_nonnull(j);
	ck_assert_ptr_null(oracle_new(j, NULL, &e));
	ck_assert_int_eq(e.code, ERR_PARSE);
	ck_assert_int_ne(e.text[0], 0);
	json_decref(j);
}
END_TEST

START_TEST(exit_codes_have_their_order)
{
	static const int order[] = {0, 4, 5, 1, 3, 2, 130, 70};
	struct run_result r;

	for (size_t i = 0; i + 1 < sizeof(order) / sizeof(order[0]); i++) {
		ck_assert_int_eq(verdict_exit_merge(order[i], order[i + 1]), order[i + 1]);
		ck_assert_int_eq(verdict_exit_merge(order[i + 1], order[i]), order[i + 1]);
	}
	run_result_init(&r);
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_NOTHING);
	run_result_add(&r, "s/skip", NULL)->verdict = VERDICT_SKIP;
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_NOTHING);
	run_result_add(&r, "s/pass", NULL)->verdict = VERDICT_PASS;
	run_result_add(&r, "s/xfail", NULL)->verdict = VERDICT_XFAIL;
	run_result_add(&r, "s/quarantine", NULL)->verdict = VERDICT_QUARANTINE;
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_PASSED);
	run_result_add(&r, "s/unsure", NULL)->verdict = VERDICT_INCONCLUSIVE;
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_INCONCLUSIVE);
	run_result_add(&r, "s/xpass", NULL)->verdict = VERDICT_XPASS;
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_FAILED);
	r.interrupted = true;
	ck_assert_int_eq(verdict_run_exit(&r), EXIT_INTERRUPTED);
	run_result_fini(&r);
}
END_TEST

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int main(void)
{
	Suite *s = suite_create("expect");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, a_path_is_anchored, 0, COUNT(paths));
	tcase_add_test(t, a_path_of_nonsense_is_an_error);
	tcase_add_loop_test(t, a_wish_is_judged, 0, COUNT(wishes));
	tcase_add_test(t, a_foreign_server_leaves_it_partial);
	tcase_add_loop_test(t, an_end_has_its_verdict, 0, COUNT(ends));
	tcase_add_test(t, a_failed_wish_names_the_finding);
	tcase_add_test(t, others_are_those_that_nobody_names);
	tcase_add_test(t, a_lost_sms_is_the_carriers);
	tcase_add_test(t, the_end_takes_the_server_down);
	tcase_add_test(t, a_modem_that_the_scenario_breaks_excuses_nobody);
	tcase_add_loop_test(t, a_silent_modem_is_to_blame, 0, sizeof(silences) / sizeof(silences[0]));
	tcase_add_loop_test(t, a_threshold_is_judged, 0, COUNT(limits));
	tcase_add_test(t, memory_is_judged);
	tcase_add_loop_test(t, a_bad_plan_is_refused, 0, COUNT(bad));
	tcase_add_test(t, exit_codes_have_their_order);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
