/* Stories told to one emulated modem: characters in, characters out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/rng.h"
#include "hil/modems/at_parser.h"
#include "hil/modems/modem_core.h"
#include "tests/hil/at_stories.h"

struct rig {
	struct modem_core *modem;
	struct faults *faults;
	struct journal *journal;
	unsigned submitted, room;
	struct pdu_submit last;
	struct gsm_verdict verdict; /* what the network says next */
	time_ns now;
};

static const struct fault *on_state(void *ctx, time_ns now, const char *state, const char *why)
{
	struct rig *rig = ctx;

	return JOURNAL(rig->journal, now, "modem:t", NULL, NULL, NULL, J_MODEM_STATE, JS(MODEM, "t"),
		       JS(STATE, state), JS(WHY, why));
}

static void on_submit(void *ctx, time_ns now, const struct pdu_submit *s, struct gsm_verdict *out)
{
	struct rig *rig = ctx;

	rig->last = *s;
	*out = rig->verdict;
	out->answer_at += now;
	out->reference = (uint8_t)rig->submitted++;
}

static void on_room(void *ctx, time_ns now)
{
	struct rig *rig = ctx;

	(void)now;
	rig->room++;
}

static void rig_init(struct rig *rig, const char *personality, const char *pin, unsigned storage)
{
	struct modem_setup setup = {.number = "+34600000001",
				    .imei = "001017000000011",
				    .pin = pin,
				    .personality = modem_personality_find(personality),
				    .storage = storage,
				    .epoch_unix_s = 1795359600};
	struct modem_hooks hooks = {rig, on_state, on_submit, on_room, NULL};

	memset(rig, 0, sizeof(*rig));
	rig->faults = faults_new(1);
	rig->journal = journal_new(NULL, NULL);
	journal_set_hook(rig->journal, fault_hook, rig->faults);
	rig->modem = modem_core_new(&setup, &hooks);
	ck_assert_ptr_nonnull(rig->modem);
	modem_core_boot(rig->modem, 0);
	buf_reset(modem_core_output(rig->modem));
}

static void rig_fini(struct rig *rig)
{
	modem_core_free(rig->modem);
	journal_free(rig->journal);
	faults_free(rig->faults);
}

static int keep_line(void *ctx, const char *line, size_t len)
{
	return buf_add(ctx, line, len);
}

static void arm(struct rig *rig, const char *what, const char *state, const char *args)
{
	json_t *spec = json_pack("{s:s, s:s, s:s, s:o, s:{s:s}}", "name", "f", "on", "modem.state", "do",
				 what, "args", json_loads(args, 0, NULL), "match", "state", state);
	struct err e = {0};

	ck_assert_msg(faults_arm(rig->faults, spec, &e) == 0, "%s", e.text);
	json_decref(spec);
}

static void deliver(struct rig *rig, int want)
{
	struct pdu_deliver d = {.scts_unix_s = 1795359600};

	pdu_set_address("+34600000009", &d.from);
	pdu_set_text("hi", &d.ud);
	ck_assert_int_eq(modem_core_deliver(rig->modem, rig->now, &d), want);
}

/* Feeds `in` and wants exactly `out`. */
static void say(struct rig *rig, const char *name, const char *in, const char *out)
{
	struct buf *b = modem_core_output(rig->modem);

	modem_core_feed(rig->modem, rig->now, in, strlen(in));
	ck_assert_msg(strcmp(b->data ? b->data : "", out) == 0, "%s: '%s' gave\n%s\ninstead of\n%s", name, in,
		      b->data ? b->data : "", out);
	buf_reset(b);
}

static void wait_until(struct rig *rig, time_ns now, const char *out)
{
	struct buf *b = modem_core_output(rig->modem);

	rig->now = now;
	modem_core_tick(rig->modem, now);
	ck_assert_str_eq(b->data ? b->data : "", out);
	buf_reset(b);
}

START_TEST(story)
{
	const struct story *s = &stories[_i];
	struct rig rig;

	rig_init(&rig, s->personality, s->pin, 3);
	for (unsigned i = 0; i < 2 * STEPS_MAX && s->steps[i]; i += 2) {
		if (strcmp(s->steps[i], "+") == 0) {
			deliver(&rig, 0);
			say(&rig, s->name, "", s->steps[i + 1]);
		} else {
			say(&rig, s->name, s->steps[i], s->steps[i + 1]);
		}
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(the_submit_arrives_whole)
{
	char text[PDU_TEXT_MAX];
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	say(&rig, "send", "ATE0\r", "ATE0\r" OK);
	say(&rig, "send", "AT+CMGS=" SUBMIT_LEN "\r", "\r\n> ");
	say(&rig, "send", SUBMIT CTRL_Z, "\r\n+CMGS: 0\r\n" OK);
	ck_assert_str_eq(rig.last.to.text, "+34600000002");
	ck_assert_str_eq(pdu_text(&rig.last.ud, text), "hello");
	rig_fini(&rig);
}
END_TEST

#define SEND_BEGIN "AT+CMGS=" SUBMIT_LEN "\r"

static const struct {
	const char *name;
	struct gsm_verdict verdict;
	const char *out;
	bool answers; /* the modem is well afterwards */
} verdicts[] = {
	{"refused by the network", {.cms = 38}, "\r\n+CMS ERROR: 38\r\n", true},
	{"plain error", {.plain_error = true}, ERROR_, true},
	{"no final result", {.silent = true}, "", true},
};

START_TEST(verdict)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	rig.verdict = verdicts[_i].verdict;
	say(&rig, verdicts[_i].name, "ATE0\r", "ATE0\r" OK);
	say(&rig, verdicts[_i].name, SEND_BEGIN, "\r\n> ");
	say(&rig, verdicts[_i].name, SUBMIT CTRL_Z, verdicts[_i].out);
	say(&rig, verdicts[_i].name, "AT\r", OK);
	rig_fini(&rig);
}
END_TEST

START_TEST(a_slow_network)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	rig.verdict.answer_at = 3 * NS_PER_S;
	say(&rig, "slow", "ATE0+CNMI=2,1\r", "ATE0+CNMI=2,1\r" OK);
	say(&rig, "slow", SEND_BEGIN, "\r\n> ");
	say(&rig, "slow", SUBMIT CTRL_Z, "");
	ck_assert_uint_eq(modem_core_deadline(rig.modem), 3 * NS_PER_S);
	deliver(&rig, 0);
	say(&rig, "slow", "AT+CSQ\r", ""); /* typed too early: waits */
	wait_until(&rig, 2 * NS_PER_S, "");
	wait_until(&rig, 3 * NS_PER_S,
		   "\r\n+CMGS: 0\r\n" OK "\r\n+CSQ: 20,99\r\n" OK "\r\n+CMTI: \"SM\",1\r\n");
	ck_assert_uint_eq(modem_core_deadline(rig.modem), TIME_NEVER);
	rig_fini(&rig);
}
END_TEST

/* CMS errors at "pdu" reach stored messages, too, and the journal says how a send ended. */
START_TEST(what_the_journal_says_of_a_send)
{
	struct buf lines;
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	buf_init(&lines, 65536);
	journal_free(rig.journal);
	rig.journal = journal_new(keep_line, &lines);
	journal_set_hook(rig.journal, fault_hook, rig.faults);
	say(&rig, "send", "ATE0\r", "ATE0\r" OK);
	say(&rig, "send", SEND_BEGIN, "\r\n> ");
	say(&rig, "send", SUBMIT CTRL_Z, "\r\n+CMGS: 0\r\n" OK);
	ck_assert_ptr_nonnull(strstr(lines.data, "\"ready\""));
	ck_assert_ptr_null(strstr(lines.data, "cancelled"));
	say(&rig, "cancel", SEND_BEGIN, "\r\n> ");
	say(&rig, "cancel", ESC, OK);
	ck_assert_ptr_nonnull(strstr(lines.data, "cancelled"));
	say(&rig, "store", "AT+CMGW=" SUBMIT_LEN "\r", "\r\n> ");
	say(&rig, "store", SUBMIT CTRL_Z, "\r\n+CMGW: 1\r\n" OK);
	arm(&rig, "cms_error", "sending", "{\"code\": 38, \"at\": \"pdu\"}");
	say(&rig, "stored", "AT+CMSS=1\r", "\r\n+CMS ERROR: 38\r\n");
	rig_fini(&rig);
	buf_fini(&lines);
}
END_TEST

static const struct {
	const char *name, *what, *args;
	const char *prompt, *end; /* NULL: the PDU is not sent */
} send_faults[] = {
	{"CMS at the prompt", "cms_error", "{\"code\": 331}", "\r\n+CMS ERROR: 331\r\n", NULL},
	{"CMS behind the PDU", "cms_error", "{\"code\": 42, \"at\": \"pdu\"}", "\r\n> ",
	 "\r\n+CMS ERROR: 42\r\n"},
	{"ERROR at the prompt", "plain_error", "{}", ERROR_, NULL},
	{"no prompt", "no_prompt", "{}", "", NULL},
	{"unsolicited lines in the middle", "unsolicited", "{\"lines\": [\"^RSSI:9\", \"RING\"]}",
	 "\r\n^RSSI:9\r\n\r\nRING\r\n\r\n> ", "\r\n+CMGS: 0\r\n" OK},
	{"garbage", "garbage", "{\"bytes\": \"#!x\"}", "#!x\r\n> ", "\r\n+CMGS: 0\r\n" OK},
	{"network lost", "creg", "{\"stat\": 3}", "\r\n> ", "\r\n+CMS ERROR: 331\r\n"},
	{"reboot", "reboot", "{}", "", NULL},
};

START_TEST(fault_while_sending)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	arm(&rig, send_faults[_i].what, "sending", send_faults[_i].args);
	say(&rig, send_faults[_i].name, "ATE0\r", "ATE0\r" OK);
	say(&rig, send_faults[_i].name, SEND_BEGIN, send_faults[_i].prompt);
	if (send_faults[_i].end)
		say(&rig, send_faults[_i].name, SUBMIT CTRL_Z, send_faults[_i].end);
	rig_fini(&rig);
}
END_TEST

START_TEST(mute_for_a_time)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	arm(&rig, "mute", "sending", "{\"for_ns\": 1000}");
	say(&rig, "mute", "ATE0\r", "ATE0\r" OK);
	say(&rig, "mute", SEND_BEGIN, "");
	say(&rig, "mute", SUBMIT CTRL_Z "\rAT\r", "");
	ck_assert_uint_eq(modem_core_deadline(rig.modem), 1000);
	wait_until(&rig, 1000, "");
	say(&rig, "mute", "AT\r", OK);
	modem_core_mute(rig.modem, TIME_NEVER);
	say(&rig, "mute", "AT\r", "");
	modem_core_mute(rig.modem, 0);
	say(&rig, "mute", "AT\r", OK);
	ck_assert_uint_eq(rig.submitted, 0);
	rig_fini(&rig);
}
END_TEST

static const struct {
	const char *what, *out;
} note_faults[] = {
	{"lose_cmti", ""},
	{"duplicate_cmti", "\r\n+CMTI: \"SM\",1\r\n\r\n+CMTI: \"SM\",1\r\n"},
	{"dangling_cmti", "\r\n+CMTI: \"SM\",4\r\n\r\n+CMTI: \"SM\",1\r\n"},
};

START_TEST(fault_while_receiving)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 3);
	arm(&rig, note_faults[_i].what, "received", "{}");
	say(&rig, note_faults[_i].what, "ATE0+CNMI=2,1\r", "ATE0+CNMI=2,1\r" OK);
	deliver(&rig, 0);
	say(&rig, note_faults[_i].what, "", note_faults[_i].out);
	say(&rig, note_faults[_i].what, "AT+CMGR=1\r", "\r\n+CMGR: 0,," DELIVER_LEN "\r\n" DELIVER "\r\n" OK);
	rig_fini(&rig);
}
END_TEST

START_TEST(a_full_store)
{
	struct rig rig;
	unsigned room;

	rig_init(&rig, "generic", NULL, 2);
	deliver(&rig, 0);
	deliver(&rig, 0);
	deliver(&rig, ERR_BUSY);
	room = rig.room;
	say(&rig, "full", "ATE0\r", "ATE0\r" OK);
	say(&rig, "full", "AT+CMGD=1\r", OK);
	ck_assert_uint_eq(rig.room, room + 1);
	modem_core_set_full(rig.modem, 500);
	deliver(&rig, ERR_BUSY);
	wait_until(&rig, 500, "");
	ck_assert_uint_eq(rig.room, room + 2);
	deliver(&rig, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(the_sim_goes_and_comes)
{
	struct rig rig;

	rig_init(&rig, "generic", NULL, 2);
	say(&rig, "sim", "ATE0+CMEE=1;+CREG=1\r", "ATE0+CMEE=1;+CREG=1\r" OK);
	arm(&rig, "sim", "received", "{\"state\": \"none\", \"for_ns\": 70}");
	deliver(&rig, 0);
	say(&rig, "sim", "", "\r\n+CREG: 0\r\n");
	say(&rig, "sim", "AT+CPIN?\r", "\r\n+CME ERROR: 10\r\n");
	say(&rig, "sim", SEND_BEGIN, "\r\n+CMS ERROR: 310\r\n");
	deliver(&rig, ERR_BUSY);
	wait_until(&rig, 70, "\r\n+CREG: 1\r\n");
	say(&rig, "sim", "AT+CPIN?\r", "\r\n+CPIN: READY\r\n" OK);
	rig_fini(&rig);
}
END_TEST

START_TEST(reports)
{
	struct pdu_report r = {.reference = 5, .scts_unix_s = 1795359600, .done_unix_s = 1795359600};
	struct rig rig;

	pdu_set_address("+34600000002", &r.to);
	rig_init(&rig, "generic", NULL, 2);
	modem_core_report(rig.modem, 0, &r);
	say(&rig, "reports off", "ATE0+CNMI=2,1,0,1\r", "ATE0+CNMI=2,1,0,1\r" OK);
	modem_core_report(rig.modem, 0, &r);
	say(&rig, "direct", "",
	    "\r\n+CDS: 25\r\n07914306000000F006050B914306000000F2621122510000006211225100000000\r\n");
	say(&rig, "stored", "AT+CNMI=2,1,0,2\r", OK);
	modem_core_report(rig.modem, 0, &r);
	say(&rig, "stored", "", "\r\n+CDSI: \"SM\",1\r\n");
	say(&rig, "stored", "AT+CMGF=1;+CMGR=1\r",
	    "\r\n+CMGR: \"REC "
	    "UNREAD\",6,5,\"+34600000002\",145,\"26/11/22,15:00:00+00\",\"26/11/22,15:00:00+00\",0\r\n" OK);
	rig_fini(&rig);
}
END_TEST

START_TEST(storms)
{
	struct rig rig;

	rig_init(&rig, "huawei", NULL, 2);
	ck_assert_uint_eq(modem_core_deadline(rig.modem), 10 * NS_PER_S);
	rig.now = 10 * NS_PER_S;
	modem_core_tick(rig.modem, rig.now);
	ck_assert_uint_gt(modem_core_output(rig.modem)->len, 0);
	ck_assert_uint_eq(modem_core_deadline(rig.modem), 20 * NS_PER_S);
	rig_fini(&rig);
}
END_TEST

START_TEST(notes_wait_for_silence)
{
	struct modem_setup setup = {.number = "+34600000001",
				    .imei = "001017000000011",
				    .storage = 3,
				    .personality = modem_personality_find("generic"),
				    .quiet_ns = 100};
	struct modem_hooks hooks = {.ctx = NULL};
	struct rig rig = {.modem = modem_core_new(&setup, &hooks)};

	modem_core_boot(rig.modem, 0);
	rig.now = 1;
	say(&rig, "quiet", "ATE0+CNMI=2,1\r", "ATE0+CNMI=2,1\r" OK);
	deliver(&rig, 0);
	ck_assert_uint_eq(modem_core_deadline(rig.modem), 101);
	rig.now = 50;
	say(&rig, "quiet", "AT\r", OK);
	wait_until(&rig, 101, "");
	wait_until(&rig, 150, "\r\n+CMTI: \"SM\",1\r\n");
	/* nobody can put it off for ever */
	for (rig.now = 1000; rig.now < 1000 + 20 * NS_PER_S; rig.now += NS_PER_S / 2) {
		modem_core_feed(rig.modem, rig.now, "AT\r", 3);
		if (rig.now == 1000)
			deliver(&rig, 0);
		modem_core_tick(rig.modem, rig.now);
	}
	ck_assert_ptr_nonnull(strstr(modem_core_output(rig.modem)->data, "+CMTI: \"SM\",2"));
	modem_core_free(rig.modem);
}
END_TEST

START_TEST(arguments)
{
	static const char line[] = "E1 &F+X=\"a,b;c\", 12 ,,\"\" ;S3=13D123;";
	struct at_command c;
	size_t pos = 0;
	char text[16];
	int v = -1;

	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 1);
	ck_assert_str_eq(c.name, "E");
	ck_assert_int_eq(at_arg_int(&c, 0, &v), 1);
	ck_assert_int_eq(v, 1);
	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 1);
	ck_assert_str_eq(c.name, "&F");
	ck_assert_int_eq(at_arg_int(&c, 0, &v), 0);
	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 1);
	ck_assert_str_eq(c.name, "+X");
	ck_assert_uint_eq(at_arg_count(&c), 4);
	ck_assert(at_arg_text(&c, 0, text, sizeof(text)));
	ck_assert_str_eq(text, "a,b;c");
	ck_assert_int_eq(at_arg_int(&c, 0, &v), ERR_PARSE);
	ck_assert_int_eq(at_arg_int(&c, 1, &v), 1);
	ck_assert_int_eq(v, 12);
	ck_assert_int_eq(at_arg_int(&c, 2, &v), 0);
	ck_assert(at_arg_text(&c, 3, text, sizeof(text)));
	ck_assert(!at_arg_text(&c, 4, text, sizeof(text)));
	ck_assert(!at_arg_text(&c, 0, text, 5));
	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 1);
	ck_assert_str_eq(c.name, "S3");
	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 1);
	ck_assert_str_eq(c.name, "D");
	ck_assert_int_eq(at_parse(line, strlen(line), &pos, &c), 0);
	pos = 0;
	ck_assert_int_eq(at_parse("+X=99999999999", 14, &pos, &c), 1);
	ck_assert_int_eq(at_arg_int(&c, 0, &v), ERR_PARSE);
	pos = 0;
	ck_assert_int_eq(at_parse("+", 1, &pos, &c), ERR_PARSE);
}
END_TEST

START_TEST(a_line_without_end)
{
	struct rig rig;
	static char big[5000];

	rig_init(&rig, "generic", NULL, 2);
	say(&rig, "long", "ATE0\r", "ATE0\r" OK);
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "AT", 2);
	big[sizeof(big) - 2] = '\r';
	say(&rig, "long", big, ERROR_);
	say(&rig, "long", "AT+CMGS=18\r", "\r\n> ");
	big[sizeof(big) - 2] = *CTRL_Z;
	say(&rig, "long", big, "\r\n+CMS ERROR: 304\r\n");
	say(&rig, "long", "AT\r", OK);
	rig_fini(&rig);
}
END_TEST

/* Any bytes, and pieces of real commands in any order: it lives, and answers AT at last. */
START_TEST(junk_is_borne)
{
	static const char *const pieces[] = {
		"AT+CMGS=18\r",
		SUBMIT CTRL_Z,
		ESC,
		"AT+CMGF=1\r",
		"AT+CMGS=\"+34600000002\"\r",
		"AT+CMGL=\"ALL\"\r",
		"AT+CMGL=4\r",
		"AT+CMGW=18\r",
		"AT+CMSS=1\r",
		"AT+CSCS=\"UCS2\"\r",
		"AT+CMGD=1,4\r",
		"AT+CNMI=2,2,0,1,0\r",
		"AT+CFUN=1,1\r",
		"ATS4=65\r",
		"ATS5=66\r",
		"AT+CPIN=\"1\"\r",
		"A/",
		"\"",
		",",
		";",
		"AT",
		"=?",
		"\r",
		"\n",
	};
	const char *names[8];
	struct rng r;
	struct rig rig;
	unsigned makes = 0;

	while ((names[makes] = modem_personality_name(makes)))
		makes++;
	rng_init(&r, 3, "at", "junk");
	for (unsigned round = 0; round < 300; round++) {
		rig_init(&rig, names[round % makes], round % 3 ? NULL : "1234", 3);
		for (unsigned i = 0; i < 200; i++) {
			char bytes[40];

			if (rng_below(&r, 3)) {
				const char *p = pieces[rng_below(&r, sizeof(pieces) / sizeof(pieces[0]))];

				modem_core_feed(rig.modem, rig.now, p, rng_below(&r, strlen(p)) + 1);
			} else {
				rng_bytes(&r, bytes, sizeof(bytes));
				modem_core_feed(rig.modem, rig.now, bytes, rng_below(&r, sizeof(bytes)) + 1);
			}
			if (!rng_below(&r, 20)) {
				struct pdu_deliver d = {.scts_unix_s = 1};

				pdu_set_text("hi", &d.ud);
				modem_core_deliver(rig.modem, rig.now, &d);
			}
			rig.verdict.answer_at = rng_below(&r, 2) * 50;
			modem_core_tick(rig.modem, rig.now += 30);
			if (rng_below(&r, 2))
				buf_reset(modem_core_output(rig.modem));
		}
		modem_core_tick(rig.modem, rig.now += 1000);
		modem_core_boot(rig.modem, rig.now);
		buf_reset(modem_core_output(rig.modem));
		/* this make has lost its echo by now */
		say(&rig, "after junk", "AT\r", strcmp(names[round % makes], "simcom") == 0 ? OK : "AT\r" OK);
		rig_fini(&rig);
	}
}
END_TEST

#define LOOP(c, test, table) tcase_add_loop_test(c, test, 0, sizeof(table) / sizeof(table[0]))

int main(void)
{
	Suite *s = suite_create("at");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 30);
	LOOP(c, story, stories);
	tcase_add_test(c, the_submit_arrives_whole);
	LOOP(c, verdict, verdicts);
	tcase_add_test(c, a_slow_network);
	tcase_add_test(c, what_the_journal_says_of_a_send);
	LOOP(c, fault_while_sending, send_faults);
	tcase_add_test(c, mute_for_a_time);
	LOOP(c, fault_while_receiving, note_faults);
	tcase_add_test(c, a_full_store);
	tcase_add_test(c, the_sim_goes_and_comes);
	tcase_add_test(c, reports);
	tcase_add_test(c, storms);
	tcase_add_test(c, notes_wait_for_silence);
	tcase_add_test(c, arguments);
	tcase_add_test(c, a_line_without_end);
	tcase_add_test(c, junk_is_borne);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
