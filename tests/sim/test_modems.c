/* The virtual rig's modems: lease states, outcomes, failover, limits, and what befalls them. */
#include "sim/modems.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"

static struct {
	struct modems *m;
	struct journal *journal;
	struct faults *faults;
	struct instant at;
	struct modems_answer answer; /* the network's to every PDU */
	char story[8192];	     /* what happened, in order, with seconds */
} k;

static void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *fmt, ...)
{
	size_t len = strlen(k.story);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k.story + len, sizeof(k.story) - len, fmt, ap);
	va_end(ap);
}

static double seconds(void)
{
	return (double)(k.at.now - NS_PER_S) / NS_PER_S;
}

static void on_submit(void *ctx, const struct instant *at, void *sms, unsigned from, struct modems_answer *out)
{
	(void)ctx;
	(void)at;
	*out = k.answer;
	tell("%s>s%u@%g ", (char *)sms, from + 1, seconds());
}

static void on_over(void *ctx, const struct instant *at, void *sms, enum modems_status status, int cms, int from,
		    const char *why)
{
	static const char *const names[] = {"sent", "failed", "unknown"};

	(void)ctx;
	(void)at;
	(void)why;
	tell("%s:%s", (char *)sms, names[status]);
	if (cms >= 0)
		tell("(%d)", cms);
	tell("%s@%g ", from < 0 ? "(nobody)" : "", seconds());
}

static const char *owner(void *sms)
{
	(void)sms;
	return UUID;
}

static void on_fetched(void *ctx, const struct instant *at, void *mail, unsigned to)
{
	(void)ctx;
	(void)at;
	tell("%s<r%u@%g ", (char *)mail, to + 1, seconds());
}

static void on_expired(void *ctx, const struct instant *at, void *mail, unsigned to, const char *why)
{
	(void)ctx;
	(void)at;
	(void)to;
	tell("%s:lost(%s)@%g ", (char *)mail, why, seconds());
}

static void on_event(void *ctx, const struct journal_event *ev)
{
	const char *state = journal_text(ev, JF_STATE), *name = journal_text(ev, JF_MODEM);

	(void)ctx;
	if (ev->kind != J_MODEM_STATE)
		return;
	/* the pool's SENDING says whose SMS it is */
	ck_assert(strcmp(state, "SENDING") != 0 || (ev->dev && strcmp(ev->dev, UUID) == 0));
	ck_assert_int_eq(strncmp(ev->actor, "modem:", 6), 0);
	ck_assert_str_eq(ev->actor + 6, name);
	if (strcmp(state, "SENDING") != 0 && strcmp(state, "READY") != 0 && strcmp(state, "sending") != 0)
		tell("[%s %s] ", name, state);
}

static int on_line(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	(void)line;
	(void)len;
	return 0;
}

static void set_up(const struct modems_config *like)
{
	struct modems_config cfg = *like;

	memset(&k, 0, sizeof(k));
	k.at.now = NS_PER_S;
	k.journal = journal_new(on_line, NULL);
	k.faults = faults_new(1);
	journal_set_hook(k.journal, fault_hook, k.faults);
	journal_set_reader(k.journal, on_event, NULL);
	cfg.journal = k.journal;
	cfg.seen = true;
	cfg.submit = on_submit;
	cfg.over = on_over;
	cfg.owner = owner;
	cfg.fetched = on_fetched;
	cfg.expired = on_expired;
	k.m = modems_new(&cfg);
	ck_assert_ptr_nonnull(k.m);
}

static void tear_down(void)
{
	modems_free(k.m);
	journal_free(k.journal);
	faults_free(k.faults);
}

/* On to `s` seconds after the start, turn by turn. */
static void until(double s)
{
	time_ns end = NS_PER_S + (time_ns)(s * (double)NS_PER_S), due;

	for (int turns = 0; (due = modems_deadline(k.m)) <= end; turns++) {
		ck_assert_msg(turns < 10000, "it never rests: %s", k.story);
		k.at.now = due > k.at.now ? due : k.at.now;
		k.at.unix_ms = (int64_t)(k.at.now / NS_PER_MS);
		modems_turn(k.m, &k.at);
	}
	k.at.now = end;
	modems_turn(k.m, &k.at);
}

static void act(const char *modem, const char *what, const char *args)
{
	json_t *a = args ? json_loads(args, 0, NULL) : NULL;

	ck_assert_int_eq(modems_act(k.m, &k.at, modem, what, a), 0);
	json_decref(a);
}

static void arm(const char *json)
{
	json_t *spec = json_loads(json, 0, NULL);

	ck_assert_int_eq(faults_arm(k.faults, spec, NULL), 0);
	json_decref(spec);
}

static const struct modems_config timed = {
	.senders = 2, .receivers = 1, .send_time = 700 * NS_PER_MS, .init_time = 5 * NS_PER_S, .sms_s = 0.7};

/* One message at 0, what is done at once, and where it ends. */
static const struct {
	const char *name;
	const char *modem, *what, *args; /* befalls it before anything is sent; NULL: nothing */
	const char *fault;		 /* armed; NULL: none */
	struct modems_answer answer;
	double end;
	const char *story;
} tales[] = {
	{"all is well", NULL, NULL, NULL, NULL, {0}, 10, "a>s1@0.7 a:sent@0.7 "},
	{"the network takes its time", NULL, NULL, NULL, NULL, {.after = 2 * NS_PER_S}, 10, "a>s1@0.7 a:sent@2.7 "},
	{"refused by the network: another modem, then the end",
	 NULL,
	 NULL,
	 NULL,
	 NULL,
	 {.cms = 38},
	 10,
	 "a>s1@0.7 a>s2@1.4 a:failed(38)@1.4 "},
	{"no final result: nobody tries again",
	 NULL,
	 NULL,
	 NULL,
	 NULL,
	 {.silent = true},
	 130,
	 "a>s1@0.7 [s1 UNKNOWN] a:unknown@120.7 [s1 REINIT] "},
	{"pulled out before: the other one sends",
	 "s1",
	 "unplug",
	 "{\"for_ns\": 3000000000}",
	 NULL,
	 {0},
	 10,
	 "[s1 off] [s1 ABSENT] a>s2@0.7 a:sent@0.7 [s1 on] [s1 INIT] "},
	{"refused at the prompt", NULL, NULL, NULL,
	 "{\"name\":\"f\",\"on\":\"modem.state\",\"match\":{\"state\":\"sending\"},\"do\":\"cms_error\",\"args\":{\"code\":38,"
	 "\"at\":\"prompt\"}}",
	 {0}, 10, "a>s2@0.7 a:sent@0.7 "},
	{"no prompt: surely not sent, after libgammu's 30 s", NULL, NULL, NULL,
	 "{\"name\":\"f\",\"on\":\"modem.state\",\"match\":{\"state\":\"sending\"},\"do\":\"no_prompt\"}",
	 {0}, 50, "[s1 INIT] a>s2@30.7 a:sent@30.7 "},
	{"pulled out with the SMS in it: nobody knows", NULL, NULL, NULL,
	 "{\"name\":\"f\",\"on\":\"modem.state\",\"match\":{\"state\":\"sending\"},\"do\":\"unplug\"}",
	 {0}, 10, "[s1 off] [s1 UNKNOWN] a:unknown@0 [s1 ABSENT] "},
	{"the SIM is busy: the other one sends", "s1", "sim", "{\"state\": \"busy\"}", NULL, {0}, 10,
	 "[s1 sim] a>s2@0.7 a:sent@0.7 "},
	{"no network: it attaches again", "s1", "creg", "{\"stat\": 2, \"for_ns\": 3000000000}", NULL, {0}, 10,
	 "[s1 network] [s1 ATTACHING] a>s2@0.7 a:sent@0.7 [s1 network] "},
	{"silent: no prompt comes", "s1", "mute", "{\"for_ns\": 40000000000}", NULL, {0}, 60,
	 "[s1 mute] [s1 INIT] a>s2@30.7 a:sent@30.7 [s1 ready] "},
};

START_TEST(tale)
{
	set_up(&timed);
	k.answer = tales[_i].answer;
	if (tales[_i].what)
		act(tales[_i].modem, tales[_i].what, tales[_i].args);
	if (tales[_i].fault)
		arm(tales[_i].fault);
	ck_assert_int_eq(modems_send(k.m, &k.at, (char *)"a"), 0);
	until(tales[_i].end);
	ck_assert_msg(strcmp(k.story, tales[_i].story) == 0, "%s: %s", tales[_i].name, k.story);
	tear_down();
}
END_TEST

START_TEST(a_sim_that_wants_its_pin_is_left_alone)
{
	set_up(&timed);
	act("s1", "sim", "{\"state\": \"pin\"}");
	act("s1", "reboot", NULL);
	until(10);
	ck_assert_int_eq(modems_state(k.m, "s1"), MODEM_PIN);
	ck_assert_int_eq(modems_send(k.m, &k.at, (char *)"a"), 0);
	until(20);
	ck_assert_ptr_nonnull(strstr(k.story, "a:sent"));
	ck_assert_ptr_null(strstr(k.story, "a>s1"));
	tear_down();
}
END_TEST

START_TEST(a_free_modem_takes_no_time)
{
	struct modems_config free_ones = {.senders = 1, .receivers = 1};

	set_up(&free_ones);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(modems_send(k.m, &k.at, (char *)"a"), 0);
	until(0);
	ck_assert_str_eq(k.story, "a>s1@0 a:sent@0 a>s1@0 a:sent@0 a>s1@0 a:sent@0 ");
	ck_assert_uint_eq(modems_eta(k.m, &k.at), 0);
	tear_down();
}
END_TEST

START_TEST(limits_hold)
{
	struct modems_config limited = timed;

	limited.senders = 1;
	limited.per_minute = 2;
	limited.per_day = 4;
	set_up(&limited);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(modems_send(k.m, &k.at, (char *)"a"), 0);
	/* the third waits until the first one's minute is over, and so long its patience lasts */
	ck_assert_uint_gt(modems_eta(k.m, &k.at), 30);
	until(70);
	ck_assert_str_eq(k.story, "a>s1@0.7 a:sent@0.7 a>s1@1.4 a:sent@1.4 a:failed(nobody)@60 ");
	k.story[0] = '\0';
	for (int i = 0; i < 3; i++)
		modems_send(k.m, &k.at, (char *)"b");
	until(200);
	/* its day is spent: a queue that nobody works off is told before */
	ck_assert_str_eq(k.story, "b>s1@70.7 b:sent@70.7 b>s1@71.4 b:sent@71.4 b:failed(nobody)@130 ");
	ck_assert_uint_eq(modems_eta(k.m, &k.at), UINT32_MAX);
	tear_down();
}
END_TEST

/* Mail that comes at 0 while something is wrong with r1, and when it is handed over. */
static const struct {
	const char *name, *what, *args, *fault;
	double end;
	const char *story;
} mails[] = {
	{"all is well", NULL, NULL, NULL, 10, "[r1 received] now "},
	{"a full SIM: the network keeps it", "storage_full", "{\"for_ns\": 4000000000}", NULL, 10, "[r1 held] x<r1@4 "},
	{"pulled out and back", "unplug", "{\"for_ns\": 3000000000}", NULL, 20,
	 "[r1 off] [r1 ABSENT] [r1 held] [r1 on] [r1 INIT] x<r1@8 "},
	{"never back: its validity ends", "unplug", NULL, NULL, 4000,
	 "[r1 off] [r1 ABSENT] [r1 held] x:lost(validity over)@3600 "},
	{"a lost +CMTI: found when the SIM is read", NULL, NULL,
	 "{\"name\":\"f\",\"on\":\"modem.state\",\"match\":{\"state\":\"received\"},\"do\":\"lose_cmti\"}", 30,
	 "[r1 received] x<r1@20 "},
	{"a second +CMTI changes nothing", NULL, NULL,
	 "{\"name\":\"f\",\"on\":\"modem.state\",\"match\":{\"state\":\"received\"},\"do\":\"duplicate_cmti\"}", 30,
	 "[r1 received] now "},
	{"silent for a time: its worker begins anew", "mute", "{\"for_ns\": 30000000000}", NULL, 60,
	 "[r1 mute] [r1 received] [r1 INIT] [r1 ready] x<r1@35 "},
	{"not in its network", "creg", "{\"stat\": 0, \"for_ns\": 2000000000}", NULL, 10,
	 "[r1 network] [r1 ATTACHING] [r1 held] [r1 network] x<r1@2 "},
};

START_TEST(mail)
{
	set_up(&timed);
	if (mails[_i].what)
		act("r1", mails[_i].what, mails[_i].args);
	if (mails[_i].fault)
		arm(mails[_i].fault);
	if (modems_receive(k.m, &k.at, 0, UUID, (char *)"x"))
		tell("now ");
	until(mails[_i].end);
	ck_assert_msg(strcmp(k.story, mails[_i].story) == 0, "%s: %s", mails[_i].name, k.story);
	tear_down();
}
END_TEST

START_TEST(mail_keeps_its_order)
{
	set_up(&timed);
	act("r1", "storage_full", "{\"for_ns\": 4000000000}");
	ck_assert(!modems_receive(k.m, &k.at, 0, UUID, (char *)"x"));
	until(1);
	ck_assert(!modems_receive(k.m, &k.at, 0, UUID, (char *)"y"));
	until(10);
	ck_assert_str_eq(k.story, "[r1 held] [r1 held] x<r1@4 y<r1@4 ");
	tear_down();
}
END_TEST

START_TEST(what_is_not_there)
{
	set_up(&timed);
	ck_assert_int_eq(modems_act(k.m, &k.at, "s9", "mute", NULL), ERR_NOTFOUND);
	ck_assert_int_eq(modems_act(k.m, &k.at, "s1", "sing", NULL), ERR_UNSUPPORTED);
	tear_down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("modems");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, tale, 0, sizeof(tales) / sizeof(tales[0]));
	tcase_add_test(t, a_sim_that_wants_its_pin_is_left_alone);
	tcase_add_test(t, a_free_modem_takes_no_time);
	tcase_add_test(t, limits_hold);
	tcase_add_loop_test(t, mail, 0, sizeof(mails) / sizeof(mails[0]));
	tcase_add_test(t, mail_keeps_its_order);
	tcase_add_test(t, what_is_not_there);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
