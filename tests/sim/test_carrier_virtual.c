/* The virtual rig's SMS carrier: statuses, deliveries, faults, profiles. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/fault.h"
#include "core/hash.h"
#include "core/smstext.h"
#include "sim/carrier.h"

#define UUID "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define CODE "AB12cd34EF56"
#define TO   "+34611000001"

static struct {
	struct carrier *c;
	struct journal *journal;
	struct faults *faults;
	struct instant at;
	uint8_t run_key[32];
	char story[4096]; /* what happened, in order, with ms */
	char text[SMSTEXT_MAX], last_text[SMSTEXT_MAX];
	bool secret_seen;
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

static void on_status(void *ctx, const struct instant *at, const char *id, enum carrier_status status, int64_t eta_s,
		      int cms, int ref)
{
	static const char *const names[] = {"queued", "busy", "submitted", "failed", "unknown"};

	(void)ctx;
	(void)at;
	tell("%s:%s", id, names[status]);
	if (eta_s >= 0)
		tell("(%llds)", (long long)eta_s);
	if (cms >= 0)
		tell("(cms %d)", cms);
	if (status == CARRIER_SUBMITTED)
		ck_assert_int_ge(ref, 0);
	tell(" ");
}

static void on_deliver(void *ctx, const struct instant *at, const char *uuid, const char *from, const char *text)
{
	(void)ctx;
	ck_assert_str_eq(uuid, UUID);
	tell("text(%s)@%llu ", from, (unsigned long long)((at->now - NS_PER_S) / NS_PER_MS));
	snprintf(k.last_text, sizeof(k.last_text), "%s", text);
}

static void on_event(void *ctx, const struct journal_event *ev)
{
	char fp[HASH_FP_SIZE];

	(void)ctx;
	if (ev->kind == J_FAULT_FIRED)
		return;
	ck_assert_str_eq(ev->actor, "carrier");
	ck_assert_str_eq(ev->dev, UUID);
	hash_fingerprint(k.run_key, CODE, fp);
	tell("[%s%s] ", strchr(journal_kind_name(ev->kind), '.') + 1,
	     strcmp(journal_text(ev, JF_CODE_FP), fp) == 0 ? "" : "*"); /* *: another code's fingerprint */
}

static int on_line(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	k.secret_seen |= memmem(line, len, CODE, strlen(CODE)) || memmem(line, len, TO, strlen(TO)) ||
			 memmem(line, len, "+346", 4);
	return 0;
}

static void set_up(enum carrier_profile profile, unsigned senders)
{
	struct carrier_config cfg = {.seed = 1, .profile = profile, .senders = senders};
	struct smstext sms = {.uuid = UUID, .code = CODE, .r = "a1b2c3d4"};

	memset(&k, 0, sizeof(k));
	k.at.now = NS_PER_S;
	k.journal = journal_new(on_line, NULL);
	k.faults = faults_new(1);
	journal_set_hook(k.journal, fault_hook, k.faults);
	journal_set_reader(k.journal, on_event, NULL);
	cfg.run_key = k.run_key;
	cfg.journal = k.journal;
	cfg.status = on_status;
	cfg.deliver = on_deliver;
	k.c = carrier_new(&cfg);
	smstext_format(&sms, 300, k.text);
}

static void tear_down(void)
{
	ck_assert(!k.secret_seen);
	carrier_free(k.c);
	journal_free(k.journal);
	faults_free(k.faults);
}

static void run(void)
{
	while (carrier_deadline(k.c) != TIME_NEVER) {
		if (carrier_deadline(k.c) > k.at.now)
			k.at.now = carrier_deadline(k.c);
		carrier_turn(k.c, &k.at);
	}
}

static void arm(const char *json)
{
	json_t *spec = json_loads(json, 0, NULL);

	ck_assert_ptr_nonnull(spec);
	ck_assert_int_eq(faults_arm(k.faults, spec, NULL), 0);
	json_decref(spec);
}

static const struct {
	const char *name, *fault, *story, *text;
} tales[] = {
	{"no fault", NULL, "a:queued [submitted] a:submitted [delivered] text(+34600000001)@20 ", CODE},
	{"lost", "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"lose\"}", "a:queued [submitted] [lost] a:submitted ",
	 NULL},
	{"late", "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"delay\",\"args\":{\"by_ns\":5000000000}}",
	 "a:queued [submitted] a:submitted [delivered] text(+34600000001)@5020 ", CODE},
	{"twice",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"duplicate\",\"args\":{\"times\":1,\"apart_ns\":1000000}}",
	 "a:queued [submitted] a:submitted [delivered] text(+34600000001)@20 [delivered] text(+34600000001)@21 ", CODE},
	{"another code",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"replace_code\",\"args\":{\"with\":\"AAAAAAAAAAAA\"}}",
	 "a:queued [submitted] a:submitted [delivered*] text(+34600000001)@20 ", "#AAAAAAAAAAAA r=a1b2c3d4"},
	{"another text",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"replace_text\",\"args\":{\"with\":\"hello\"}}",
	 "a:queued [submitted] a:submitted [delivered*] text(+34600000001)@20 ", "hello"},
	{"another sender",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"replace_sender\",\"args\":{\"with\":\"Stranger\"}}",
	 "a:queued [submitted] a:submitted [delivered] text(Stranger)@20 ", CODE},
	{"refused by the network",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"cms_error\",\"args\":{\"code\":42}}",
	 "a:queued [submitted] [lost] [failed] a:failed(cms 42) ", NULL},
	{"refused without a code",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"plain_error\"}",
	 "a:queued [submitted] [lost] [failed] a:failed ", NULL},
	{"no final result, delivered",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"no_final\"}",
	 "a:queued [submitted] [unknown] a:unknown [delivered] text(+34600000001)@20 ", CODE},
	{"no final result, and lost",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"no_final\",\"args\":{\"delivered\":false}}",
	 "a:queued [submitted] [lost] [unknown] a:unknown ", NULL},
	{"a late answer",
	 "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"late_cmgs\",\"args\":{\"by_ns\":30000000}}",
	 "a:queued [submitted] [delivered] text(+34600000001)@20 a:submitted ", CODE},
	{"lost at the door", "{\"name\":\"f\",\"on\":\"sms.delivered\",\"do\":\"lose\"}",
	 "a:queued [submitted] a:submitted [delivered] [lost] ", NULL},
	{"late at the door", "{\"name\":\"f\",\"on\":\"sms.delivered\",\"do\":\"delay\",\"args\":{\"by_ns\":7000000}}",
	 "a:queued [submitted] a:submitted [delivered] text(+34600000001)@27 ", CODE},
	{"twice at the door",
	 "{\"name\":\"f\",\"on\":\"sms.delivered\",\"do\":\"duplicate\",\"args\":{\"times\":2,\"apart_ns\":1000000}}",
	 "a:queued [submitted] a:submitted [delivered] text(+34600000001)@20 [delivered] text(+34600000001)@21 "
	 "[delivered] text(+34600000001)@22 ",
	 CODE},
};

START_TEST(tale)
{
	set_up(CARRIER_IMMEDIATE, 1);
	if (tales[_i].fault)
		arm(tales[_i].fault);
	ck_assert_int_eq(carrier_send(k.c, &k.at, "a", UUID, TO, k.text, "a1b2c3d4"), 0);
	run();
	ck_assert_msg(strcmp(k.story, tales[_i].story) == 0, "%s: %s", tales[_i].name, k.story);
	if (tales[_i].text)
		ck_assert_msg(strstr(k.last_text, tales[_i].text) != NULL, "%s: %s", tales[_i].name, k.last_text);
	else
		ck_assert_str_eq(k.last_text, "");
	tear_down();
}
END_TEST

START_TEST(same_id_is_no_second_sms)
{
	struct carrier_stats st;

	set_up(CARRIER_IMMEDIATE, 1);
	carrier_send(k.c, &k.at, "a", UUID, TO, k.text, "a1b2c3d4");
	run();
	carrier_send(k.c, &k.at, "a", UUID, TO, k.text, "a1b2c3d4");
	run();
	carrier_stats(k.c, &st);
	ck_assert_uint_eq(st.submitted, 1);
	ck_assert_ptr_nonnull(strstr(strstr(k.story, "a:submitted") + 1, "a:submitted"));
	k.at.now += 25 * 3600 * NS_PER_S;
	carrier_send(k.c, &k.at, "a", UUID, TO, k.text, "a1b2c3d4");
	run();
	carrier_stats(k.c, &st);
	ck_assert_uint_eq(st.submitted, 2);
	tear_down();
}
END_TEST

START_TEST(senders_take_turns)
{
	set_up(CARRIER_IMMEDIATE, 2);
	carrier_send(k.c, &k.at, "a", UUID, TO, k.text, "");
	carrier_send(k.c, &k.at, "b", UUID, TO, k.text, "");
	run();
	ck_assert_ptr_nonnull(strstr(k.story, "text(+34600000001)"));
	ck_assert_ptr_nonnull(strstr(k.story, "text(+34600000002)"));
	tear_down();
}
END_TEST

START_TEST(typical_network)
{
	struct carrier_stats st;
	char id[16];

	set_up(CARRIER_TYPICAL, 1);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		carrier_send(k.c, &k.at, id, UUID, TO, k.text, "a1b2c3d4");
	}
	carrier_turn(k.c, &k.at);
	ck_assert_ptr_nonnull(strstr(k.story, "busy(")); /* more than a minute of work for one modem */
	for (int i = 100; i < 400; i++) {
		k.at.now += 10 * NS_PER_S;
		snprintf(id, sizeof(id), "n%d", i);
		k.story[0] = '\0';
		carrier_send(k.c, &k.at, id, UUID, TO, k.text, "a1b2c3d4");
		carrier_turn(k.c, &k.at);
	}
	k.story[0] = '\0';
	run();
	carrier_stats(k.c, &st);
	ck_assert_uint_gt(st.submitted, 200);
	ck_assert_uint_ge(st.delivered + st.lost, st.submitted);
	ck_assert_uint_le(st.lost, 10);
	tear_down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("carrier_virtual");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, tale, 0, sizeof(tales) / sizeof(tales[0]));
	tcase_add_test(t, same_id_is_no_second_sms);
	tcase_add_test(t, senders_take_turns);
	tcase_add_test(t, typical_network);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
