/* The device against protocol.md §3: every row, every reply cell. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pki.h"
#include "sim/device_priv.h"
#include "tests/sim/device_bench.h"
#include "tests/sim/device_suites.h"

/* ---- the table and the names ---- */

START_TEST(every_name_has_its_row)
{
	unsigned found[ROW_END] = {0};

	for (int s = 0; s < STATE_COUNT; s++) {
		for (int c = CAUSE_NONE; c < CAUSE_COUNT; c++) {
			const struct device_row *r = device_row((enum state_name)s, (enum device_cause)c);

			if (!r)
				continue;
			ck_assert_int_eq(row_state(r->row), s);
			found[r->row]++;
		}
	}
	for (int r = ROW_NONE + 1; r < ROW_END; r++)
		ck_assert_msg(found[r] == 1, "%s stands %u times", row_id(r), found[r]);
}
END_TEST

/* ---- reply cells ---- */

#define NOT_HERE STATE_COUNT
static const struct {
	const char *cell;
	int code; /* < 0: see below */
	enum state_name to[4]; /* RG, LI, PV, RF */
	bool new_reg[4];
} cells[] = {
	{"400", 400, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {1, 1, 0, 0}},
	{"401", 401, {STATE_IDLE, STATE_IDLE, STATE_RF, STATE_IDLE}, {0}},
	{"403", 403, {STATE_IDLE, STATE_IDLE, STATE_RF, STATE_IDLE}, {0}},
	{"404", 404, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {1, 1, 0, 0}},
	{"412", 412, {STATE_IDLE, STATE_IDLE, STATE_PV, STATE_IDLE}, {0}},
	{"413", 413, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {1, 1, 0, 0}},
	{"429", 429, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"503", 503, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"700", 700, {STATE_NP, STATE_NP, STATE_NP, STATE_NP}, {1, 1, 1, 1}},
	{"unknown", 418, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"no_code", -1, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"no_answer", -2, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"link_lost", -3, {STATE_NP, STATE_NP, STATE_PV, STATE_RF}, {0}},
	{"200", 200, {STATE_AC, STATE_PV, STATE_PV, STATE_PV}, {0}},
};
static const enum state_name in_flight[] = {STATE_RG, STATE_LI, STATE_PV, STATE_RF};
#define CELLS (int)(sizeof(cells) / sizeof(cells[0]))

static void answer(struct bench *b, int i, enum state_name s)
{
	switch (cells[i].code) {
	case -1:
		bench_raw(b, "{}");
		break;
	case -2:
		bench_timer(b);
		break;
	case -3:
		bench_link_lost(b);
		break;
	case 200:
		if (s == STATE_RG)
			bench_registered(b, "SMS");
		else if (s == STATE_PV)
			bench_reply(b, &(struct bench_reply){.code = 200, .payload = "{\"message\":\"ACK\"}"});
		else
			bench_granted(b, "2");
		break;
	default:
		bench_code(b, cells[i].code);
		break;
	}
}

START_TEST(reply_cell)
{
	int i = _i / 4, k = _i % 4;
	enum state_name s = in_flight[k];
	char reg[REGISTRATION_LEN + 1], id[32];
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, s);
	snprintf(reg, sizeof(reg), "%s", device_registration(b.dev));
	snprintf(id, sizeof(id), "%s.%s", state_brief(s), cells[i].code == 200 && s == STATE_RG ? "200_sms" : cells[i].cell);
	answer(&b, i, s);
	ck_row(&b, row_by_id(id));
	ck_state(&b, cells[i].to[k]);
	ck_assert_msg((strcmp(reg, device_registration(b.dev)) != 0) == cells[i].new_reg[k], "%s: registration", id);
	ck_assert_uint_eq(b.silences, cells[i].to[k] == STATE_IDLE);
	if (cells[i].to[k] == STATE_IDLE)
		ck_assert_uint_eq(device_deadline(b.dev), TIME_NEVER);
	bench_close(&b);
}
END_TEST

/* ---- stories ---- */

START_TEST(bootstrap_by_sms)
{
	struct bench b;

	bench_open(&b, NULL);
	bench_on(&b);
	ck_row(&b, ROW_OFF_ON);
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now); /* backoff 0 */
	bench_timer(&b);
	ck_row(&b, ROW_NP_BACKOFF);
	ck_assert_int_eq(b.request.resource, MSG_REGISTER);
	ck_assert_str_eq(b.request.network_id, b.identity.network_id);
	ck_assert_str_eq(b.request.registration, device_registration(b.dev));
	ck_assert_uint_eq(b.request.methods_n, 2);
	ck_assert_uint_eq(b.request.kids_n, 1);
	ck_assert_str_eq(b.request.kids[0], b.kid);
	bench_registered(&b, "SMS");
	ck_row(&b, ROW_RG_200_SMS);
	ck_assert_uint_eq(b.closes, 1);
	bench_sms_ok(&b);
	ck_row(&b, ROW_AC_SMS);
	ck_assert_int_eq(b.request.resource, MSG_LOGIN);
	ck_assert_str_eq(b.request.code, BENCH_CODE);
	ck_assert_uint_eq(b.used, 1);
	bench_granted(&b, "1");
	ck_row(&b, ROW_LI_200);
	ck_assert_uint_eq(b.closes, 1); /* the next request is due at once */
	bench_timer(&b);
	ck_row(&b, ROW_PV_DUE);
	ck_assert_int_eq(b.request.resource, MSG_PUBLISH);
	ck_assert_uint_gt(b.request.authentication_len, 500);
	bench_reply(&b, &(struct bench_reply){.code = 200, .payload = "{}"});
	ck_row(&b, ROW_PV_200);
	ck_assert_uint_eq(b.closes, 2);
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + 60 * NS_PER_S);
	bench_close(&b);
}
END_TEST

START_TEST(bootstrap_by_totp)
{
	struct bench_options o = {.totp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}; /* RFC 6238, appendix B */
	struct bench b;

	bench_open(&b, &o);
	bench_on(&b);
	b.at.unix_ms = 59000;
	bench_timer(&b);
	bench_registered(&b, "TOPT"); /* the seed's spelling */
	ck_row(&b, ROW_RG_200_TOTP);
	ck_assert_str_eq(b.request.code, "287082");
	ck_state(&b, STATE_LI);
	bench_code(&b, 503);
	ck_state(&b, STATE_NP);
	bench_timer(&b);
	bench_registered(&b, "SMS"); /* a TOTP is never held */
	ck_row(&b, ROW_RG_200_SMS);
	bench_close(&b);
}
END_TEST

static void spoil_register(struct bench *b, const char *payload, const char *why)
{
	bench_reply(b, &(struct bench_reply){.code = 200, .payload = payload});
	ck_row(b, ROW_RG_200_BAD);
	ck_assert_str_eq(b->why, why);
	ck_state(b, STATE_NP);
	bench_timer(b);
	ck_state(b, STATE_RG);
}

START_TEST(register_200_that_cannot_be_used)
{
	static const char *const sms[] = {"SMS", NULL};
	struct bench_options o = {.methods = sms};
	struct bench b;

	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	spoil_register(&b, "{}", "malformed");
	spoil_register(&b, "null", "malformed");
	spoil_register(&b, "{\"serverPublicKey\":\"123456\",\"twoAuthMethod\":\"SMS\",\"deviceConfig\":{\"publishInterval\":60}}",
		       "key_not_pinned");
	spoil_register(&b, "{\"serverPublicKey\":\"1\",\"twoAuthMethod\":\"SMS\",\"deviceConfig\":{}}", "malformed");
	bench_registered(&b, "TOTP");
	ck_assert_str_eq(b.why, "method_not_offered");
	bench_timer(&b);
	bench_registered(&b, "EMAIL");
	ck_assert_str_eq(b.why, "method_not_offered");
	bench_close(&b);
	bench_open(&b, NULL);
	bench_reach(&b, STATE_RG);
	bench_registered(&b, "TOTP");
	ck_assert_str_eq(b.why, "no_totp_secret");
	ck_row(&b, ROW_RG_200_BAD);
	bench_close(&b);
	o = (struct bench_options){.totp = "not base32!"};
	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	bench_registered(&b, "TOTP");
	ck_assert_str_eq(b.why, "no_totp_secret");
	bench_close(&b);
	o = (struct bench_options){.foreign_key = true};
	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	bench_registered(&b, "SMS");
	ck_assert_str_eq(b.why, "key_not_pinned");
	bench_close(&b);
}
END_TEST

START_TEST(codes_are_held)
{
	struct bench b;
	char reg[REGISTRATION_LEN + 1];

	bench_open(&b, NULL);
	bench_reach(&b, STATE_RG);
	snprintf(reg, sizeof(reg), "%s", device_registration(b.dev));
	bench_sms_ok(&b); /* faster than register's reply */
	ck_row(&b, ROW_RG_SMS);
	bench_registered(&b, "SMS");
	ck_row(&b, ROW_RG_200_HELD);
	ck_assert_str_eq(b.request.code, BENCH_CODE);
	bench_code(&b, 503); /* login: T keeps the code */
	ck_row(&b, ROW_LI_503);
	ck_assert_str_eq(reg, device_registration(b.dev));
	bench_sms_ok(&b); /* a duplicate */
	ck_row(&b, ROW_NP_SMS);
	bench_timer(&b);
	bench_registered(&b, "SMS");
	ck_row(&b, ROW_RG_200_HELD);
	ck_assert_uint_eq(b.held, 2);
	bench_code(&b, 429);
	/* 240 s after it came the code is dropped, and the registration with it */
	for (int i = 0; i < 40 && b.rows[0] != ROW_NP_HOLD_OVER; i++) {
		if (bench_state(&b) == STATE_RG)
			bench_code(&b, 503);
		else
			bench_timer(&b);
	}
	ck_row(&b, ROW_NP_HOLD_OVER);
	ck_assert_uint_ge(b.at.now, 241 * NS_PER_S);
	ck_assert_uint_lt(b.at.now, 252 * NS_PER_S);
	ck_state(&b, STATE_NP);
	ck_assert_str_ne(reg, device_registration(b.dev));
	bench_timer(&b);
	bench_registered(&b, "SMS");
	ck_row(&b, ROW_RG_200_SMS);
	bench_close(&b);
}
END_TEST

START_TEST(sms_that_are_not_ours)
{
	struct bench_options o = {.sender = BENCH_SENDER};
	struct device_event ev = {.kind = DEVICE_SMS, .from = BENCH_SENDER, .text = "Your parcel has arrived"};
	const char *other = "f09bdb70-5843-11e9-a9ba-139bd26c8b4b";
	struct bench b;

	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	ck_assert_int_eq(bench_sms(&b, BENCH_UUID, "00000000", BENCH_CODE, BENCH_SENDER), ERR_UNEXPECTED);
	ck_assert_str_eq(b.why, "sms_registration");
	bench_registered(&b, "SMS");
	ck_row(&b, ROW_RG_200_SMS);
	bench_step(&b, &ev);
	ck_row(&b, ROW_AC_SMS_OTHER);
	ck_assert_str_eq(b.why, "sms_form");
	bench_sms(&b, other, device_registration(b.dev), BENCH_CODE, BENCH_SENDER);
	ck_assert_str_eq(b.why, "sms_uuid");
	bench_sms(&b, BENCH_UUID, "00000000", BENCH_CODE, BENCH_SENDER);
	ck_assert_str_eq(b.why, "sms_registration");
	bench_sms(&b, BENCH_UUID, "", BENCH_CODE, BENCH_SENDER);
	ck_assert_str_eq(b.why, "sms_registration");
	bench_sms(&b, BENCH_UUID, device_registration(b.dev), BENCH_CODE, "+34666666666");
	ck_assert_str_eq(b.why, "sms_sender");
	ck_row(&b, ROW_AC_SMS_OTHER);
	ck_state(&b, STATE_AC);
	ck_assert_uint_eq(device_refused(b.dev), 6);
	bench_timer(&b);
	ck_row(&b, ROW_AC_CODE_WAIT);
	ck_assert_uint_ge(b.wait, NS_PER_S * 8 / 10);
	bench_close(&b);
	o = (struct bench_options){.any_registration = true};
	bench_open(&b, &o);
	bench_reach(&b, STATE_AC);
	bench_sms(&b, BENCH_UUID, "", BENCH_CODE, BENCH_SENDER);
	ck_row(&b, ROW_AC_SMS);
	ck_assert_int_eq(bench_sms_ok(&b), ERR_UNEXPECTED); /* LI has no row for it */
	bench_close(&b);
}
END_TEST

START_TEST(tokens_that_are_not_believed)
{
	static const char *const bad[] = {"signature", "kind", "dates", "owner", "missing"};
	const char *other = "f09bdb70-5843-11e9-a9ba-139bd26c8b4b";
	enum state_name s = _i % 2 ? STATE_RF : STATE_LI;
	const char *what = bad[_i / 2];
	char want[32], *pair;
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, s);
	pair = bench_tokens(&b, strcmp(what, "owner") == 0 ? other : BENCH_UUID, "1", what);
	bench_reply(&b, &(struct bench_reply){.code = 200, .payload = strcmp(what, "missing") == 0 ? "{}" : pair});
	free(pair);
	ck_row(&b, s == STATE_LI ? ROW_LI_200_BAD : ROW_RF_200_BAD);
	snprintf(want, sizeof(want), strcmp(what, "missing") == 0 ? "tokens_%s" : "token_%s", what);
	ck_assert_str_eq(b.why, want);
	ck_state(&b, STATE_NP);
	bench_off(&b);
	bench_on(&b);
	ck_row(&b, ROW_OFF_ON); /* nothing stored, or wiped */
	bench_close(&b);
}
END_TEST

START_TEST(refresh_in_its_turns)
{
	int64_t refused;
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	refused = b.request.timestamp;
	bench_code(&b, 403); /* as the seed says it */
	ck_row(&b, ROW_PV_403);
	ck_assert_int_eq(b.request.resource, MSG_REFRESH); /* at once */
	bench_pass(&b, 2 * NS_PER_S);
	bench_granted(&b, "1");
	ck_row(&b, ROW_RF_200);
	bench_timer(&b);
	ck_assert_int_eq(b.request.timestamp, refused); /* sent again … */
	bench_code(&b, 401); /* no publish was 200 since the refresh: backoff */
	ck_row(&b, ROW_PV_401);
	ck_state(&b, STATE_RF);
	ck_assert_uint_ne(b.wait, TIME_NEVER);
	ck_assert_uint_eq(b.request_id, 0);
	bench_timer(&b);
	ck_row(&b, ROW_RF_SEND);
	bench_granted(&b, "1");
	bench_timer(&b);
	ck_assert_int_gt(b.request.timestamp, refused); /* … once */
	bench_reply(&b, &(struct bench_reply){.code = 200, .payload = "{}"});
	bench_timer(&b);
	bench_code(&b, 401);
	ck_assert_int_eq(b.request.resource, MSG_REFRESH); /* proven: at once again */
	bench_close(&b);
}
END_TEST

START_TEST(tenth_rejection_wipes)
{
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_RF);
	bench_code(&b, 400);
	bench_timer(&b);
	bench_code(&b, 503); /* breaks the row */
	bench_timer(&b);
	for (int i = 1; i <= 9; i++) {
		bench_code(&b, i % 2 ? 404 : 413);
		ck_state(&b, STATE_RF);
		bench_timer(&b);
		ck_row(&b, ROW_RF_SEND);
	}
	bench_code(&b, 400);
	ck_row(&b, ROW_RF_REJECTED_10);
	ck_state(&b, STATE_NP);
	bench_off(&b);
	bench_on(&b);
	ck_row(&b, ROW_OFF_ON);
	bench_close(&b);
}
END_TEST

START_TEST(measures_are_kept_or_dropped)
{
	int64_t first;
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	first = b.request.timestamp;
	bench_code(&b, 503);
	bench_timer(&b);
	ck_assert_int_eq(b.request.timestamp, first); /* T: the same one */
	bench_code(&b, 400); /* R: dropped, next when due */
	ck_assert_uint_le(device_deadline(b.dev), b.at.now + 60 * NS_PER_S);
	bench_timer(&b);
	ck_assert_int_eq(b.request.timestamp, first + 60000);
	first = b.request.timestamp;
	bench_reply(&b, &(struct bench_reply){.code = 429, .retry_after_s = 100});
	ck_assert_uint_ge(b.wait, 100 * NS_PER_S);
	ck_assert_uint_le(b.wait, 120 * NS_PER_S);
	bench_timer(&b);
	ck_assert_int_gt(b.request.timestamp, first); /* a newer one was due */
	bench_reply(&b, &(struct bench_reply){.code = 429, .retry_after_s = 100000000});
	ck_assert_uint_le(b.wait, (time_ns)(86400 * 1.2 * 1e9)); /* capped */
	ck_assert_uint_ge(b.wait, 86400 * NS_PER_S);
	bench_close(&b);
}
END_TEST

START_TEST(backoff_doubles_to_its_cap)
{
	time_ns base = NS_PER_S;
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_RG);
	for (int i = 0; i < 12; i++) {
		bench_code(&b, 503);
		ck_assert_uint_ge(b.wait, base / 10 * 8);
		ck_assert_uint_le(b.wait, base / 10 * 12);
		base = base * 2 > 60 * NS_PER_S ? 60 * NS_PER_S : base * 2;
		bench_timer(&b);
	}
	bench_off(&b);
	bench_on(&b);
	bench_timer(&b);
	bench_code(&b, 503);
	ck_assert_uint_le(b.wait, NS_PER_S / 10 * 12); /* reset at power on */
	bench_close(&b);
}
END_TEST

START_TEST(late_replies_are_dropped)
{
	static const struct {
		enum state_name s;
		enum row_name row;
	} where[] = {{STATE_NP, ROW_NP_LATE},
		     {STATE_AC, ROW_AC_LATE},
		     {STATE_PA, ROW_PA_LATE},
		     {STATE_IDLE, ROW_IDLE_LATE}};
	struct bench b;

	for (size_t i = 0; i < 4; i++) {
		unsigned requests;
		time_ns deadline;

		bench_open(&b, NULL);
		bench_reach(&b, where[i].s);
		requests = b.requests;
		deadline = device_deadline(b.dev);
		ck_assert_int_eq(bench_late(&b), 0);
		ck_row(&b, where[i].row);
		ck_state(&b, where[i].s);
		ck_assert_uint_eq(b.requests, requests);
		ck_assert_uint_eq(device_deadline(b.dev), deadline);
		ck_assert_uint_eq(device_refused(b.dev), 1);
		bench_close(&b);
	}
	for (size_t i = 0; i < 4; i++) {
		bench_open(&b, NULL);
		bench_reach(&b, in_flight[i]);
		ck_assert_int_eq(bench_late(&b), ERR_UNEXPECTED);
		ck_assert_str_eq(b.why, "late");
		ck_state(&b, in_flight[i]);
		ck_assert_uint_ne(device_in_flight(b.dev), 0);
		bench_close(&b);
	}
}
END_TEST

START_TEST(idle_is_silent)
{
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_IDLE);
	ck_assert_uint_eq(b.silences, 1);
	bench_late(&b);
	ck_assert_int_eq(bench_sms_ok(&b), ERR_UNEXPECTED);
	bench_link_lost(&b);
	ck_assert_uint_eq(device_deadline(b.dev), TIME_NEVER);
	ck_assert_uint_eq(b.requests, 1);
	ck_assert_uint_eq(b.silences, 1);
	ck_assert_uint_eq(b.closes, 0);
	bench_off(&b);
	ck_row(&b, ROW_IDLE_OFF);
	bench_on(&b);
	ck_row(&b, ROW_OFF_ON);
	bench_close(&b);
}
END_TEST

/* Last: what the stories before took together. */
START_TEST(no_row_is_left)
{
	for (int r = ROW_NONE + 1; r < ROW_END; r++)
		ck_assert_msg(bench_seen[r], "no story takes %s", row_id(r));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device");
	TCase *t = tcase_create("table"), *last = tcase_create("coverage");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_name_has_its_row);
	tcase_add_loop_test(t, reply_cell, 0, CELLS * 4);
	tcase_add_test(t, bootstrap_by_sms);
	tcase_add_test(t, bootstrap_by_totp);
	tcase_add_test(t, register_200_that_cannot_be_used);
	tcase_add_test(t, codes_are_held);
	tcase_add_test(t, sms_that_are_not_ours);
	tcase_add_loop_test(t, tokens_that_are_not_believed, 0, 10);
	tcase_add_test(t, refresh_in_its_turns);
	tcase_add_test(t, tenth_rejection_wipes);
	tcase_add_test(t, measures_are_kept_or_dropped);
	tcase_add_test(t, backoff_doubles_to_its_cap);
	tcase_add_test(t, late_replies_are_dropped);
	tcase_add_test(t, idle_is_silent);
	suite_add_tcase(s, t);
	suite_add_tcase(s, device_trust_case());
	suite_add_tcase(s, device_power_case());
	tcase_add_test(last, no_row_is_left);
	suite_add_tcase(s, last);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK); /* rows are counted over all stories */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
