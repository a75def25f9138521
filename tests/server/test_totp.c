/* TOTP as the second factor (protocol.md §4, TOTP). */
#include "tests/server/policy_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <liboath/oath.h>

#include "server/clock.h"

/* The code of device T, `steps` from now, as liboath makes it from the secret on record. */
static const char *totp_code(int steps)
{
	static char code[7];
	char *secret;
	size_t len;

	ck_assert_int_eq(oath_base32_decode("JBSWY3DPEHPK3PXP", 16, &secret, &len), OATH_OK);
	ck_assert_int_eq(oath_totp_generate(secret, len, (time_t)(a.at.unix_ms / 1000 + 30 * steps), 30, 0, 6, code),
			 OATH_OK);
	free(secret);
	return code;
}

#define T 2

static void totp_login(int reg, const char *code, int want, const char *why)
{
	ask_login(&a, T, reg, code);
	ck_assert_msg(a.code == want && strcmp(a.why, why) == 0, "%d (%s), not %d (%s)", a.code, a.why, want, why);
}

static void totp_register_ok(int reg)
{
	ask_register(&a, T, reg);
	ck_assert_msg(a.code == 200, "%d (%s)", a.code, a.why);
}

START_TEST(totp_bootstrap)
{
	totp_register_ok(1);
	ck_assert_str_eq(a.why, "totp");
	ck_assert_uint_eq(a.sms, 0);
	ask_restart(&a, false);
	totp_login(1, totp_code(0), 200, "ok");
	ask_publish(&a, T, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_CODE_ISSUED] + a.events[J_CODE_USED] + a.events[J_CODE_VOID], 0);
}
END_TEST

START_TEST(totp_drift)
{
	static const struct {
		int steps, code;
	} rows[] = {{-2, 401}, {-1, 200}, {0, 200}, {1, 200}, {2, 401}};

	totp_register_ok(1);
	totp_login(1, totp_code(rows[_i].steps), rows[_i].code, rows[_i].code == 200 ? "ok" : "wrong");
}
END_TEST

START_TEST(totp_step_once)
{
	totp_register_ok(1);
	totp_register_ok(2);
	totp_login(1, totp_code(1), 200, "ok"); /* its clock is fast */
	/* the lost reply: the very same tokens, by the same code and no other */
	totp_login(1, totp_code(1), 200, "grace");
	ck_assert_str_eq(a.tokens[0][1], a.tokens[1][1]);
	totp_login(1, totp_code(0), 401, "wrong");
	/* neither that step nor an older one, under another registration */
	totp_login(2, totp_code(1), 401, "void");
	ask_register(&a, T, 3); /* it must wait for its next step */
	ck_assert_int_eq(a.code, 429);
	ck_assert_int_eq(a.retry_after_s, 30);
	ask_wait(&a, 30 * S);
	totp_register_ok(3);
	totp_login(3, totp_code(0), 401, "wrong"); /* the one that was used, now by the server's clock */
	totp_login(3, totp_code(-1), 401, "wrong");
	totp_login(3, totp_code(1), 200, "ok");
	ask_restart(&a, true);
	ask_wait(&a, 30 * S);
	totp_register_ok(4);
	totp_login(4, totp_code(0), 401, "wrong");
	totp_login(4, totp_code(1), 200, "ok");
}
END_TEST

/* A device computes the code when it asks: behind a lost reply, the time may have gone on. */
START_TEST(totp_lost_reply_over_a_step)
{
	totp_register_ok(1);
	totp_login(1, totp_code(0), 200, "ok");
	ask_wait(&a, 30 * S);
	totp_login(1, totp_code(-2), 401, "wrong"); /* of before the login */
	totp_login(1, totp_code(0), 200, "grace");
	ck_assert_str_eq(a.tokens[0][1], a.tokens[1][1]);
	totp_login(1, totp_code(0), 200, "grace"); /* and that one's reply is lost as well */
	totp_login(1, totp_code(-1), 401, "wrong");
	ask_register(&a, T, 2);
	ck_assert_int_eq(a.code, 429); /* the newer step is used */
	ck_assert_int_eq(a.retry_after_s, 30);
	ask_wait(&a, 180 * S);
	totp_login(1, totp_code(0), 401, "used"); /* the grace is over */
}
END_TEST

/* Where the clock ran ahead at the last login, the steps of then are no reason to refuse those
 * of now, once an operator says that now is right. */
START_TEST(totp_after_a_clock_that_ran_ahead)
{
	a.at.unix_ms += 86400 * (int64_t)S;
	totp_register_ok(1);
	totp_login(1, totp_code(0), 200, "ok");
	a.at.unix_ms -= 86400 * (int64_t)S;
	ask_register(&a, T, 2);
	ck_assert_int_eq(a.code, 503);
	ck_assert_int_eq(clock_accept(a.en, &a.at), 0);
	ck_assert_int_eq(ask_turn(&a), 0);
	totp_register_ok(2);
	totp_login(2, totp_code(0), 200, "ok");
	/* and each is used once again */
	ask_wait(&a, 31 * S);
	totp_register_ok(3);
	totp_login(3, totp_code(-1), 401, "wrong");
	totp_login(3, totp_code(0), 200, "ok");
}
END_TEST

START_TEST(totp_tries)
{
	totp_register_ok(1);
	totp_register_ok(2);
	for (int i = 0; i < 5; i++)
		totp_login(1 + i % 2, "000000", 401, "wrong"); /* whatever the registration */
	totp_login(1, totp_code(0), 429, "totp tries");        /* and then not even the right one */
	ck_assert_int_eq(a.retry_after_s, 600);
	ck_assert(!a.is_signed);
	totp_register_ok(3); /* which changes nothing */
	totp_login(3, totp_code(0), 429, "totp tries");
	ask_restart(&a, true);
	ask_wait(&a, 599 * S);
	totp_register_ok(4);
	totp_login(4, totp_code(0), 429, "totp tries");
	ask_wait(&a, 1 * S);
	totp_login(4, totp_code(0), 200, "ok");
	/* another device has its own */
	bootstrap(0, 1);
}
END_TEST

START_TEST(totp_tries_a_day)
{
	int reg = 1;

	for (int i = 0; i < 20; i++) {
		if (i % 5 == 0) {
			ask_wait(&a, 601 * S);
			totp_register_ok(reg);
		}
		totp_login(reg, i % 2 ? "" : "12345678", 401, "wrong");
		reg += i % 5 == 4;
	}
	ask_wait(&a, 3600 * S);
	totp_register_ok(reg);
	totp_login(reg, totp_code(0), 429, "totp tries");
	ck_assert_int_gt(a.retry_after_s, 3600);
	ask_wait(&a, INT64_C(24) * 3600 * S);
	totp_register_ok(reg + 1);
	totp_login(reg + 1, totp_code(0), 200, "ok");
}
END_TEST

START_TEST(totp_needs_a_fresh_registration)
{
	totp_login(1, totp_code(0), 401, "no code");
	totp_register_ok(1);
	ask_wait(&a, 299 * S);
	totp_login(1, "000000", 401, "wrong");
	ask_wait(&a, 1 * S);
	totp_login(1, totp_code(0), 401, "expired");
	totp_login(1, totp_code(0), 401, "void");
	ask_register(&a, T, 1);
	ck_assert_int_eq(a.code, 400);
	ck_assert_str_eq(a.message, "REGISTRATION SPENT");
	totp_register_ok(2);
	ask_restart(&a, true); /* another boot */
	totp_login(2, totp_code(0), 401, "expired");
	/* the empty one is never spent */
	totp_register_ok(0);
	ask_wait(&a, 301 * S);
	totp_register_ok(0);
	totp_login(0, totp_code(0), 200, "ok");
}
END_TEST

/* No SMS budget bounds them, so something else must. */
START_TEST(totp_registers_are_bounded)
{
	struct msg_request m;

	for (int i = 0; i < 17; i++) {
		ask_prepare(&m, MSG_REGISTER, T, 0);
		snprintf(m.registration, sizeof(m.registration), "%032d", i + 1);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, i < 16 ? 200 : 429);
	}
	ask_wait(&a, 600 * S);
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* M2: who offers what. */
START_TEST(totp_methods)
{
	static const struct {
		const char *offers[3];
		int code;
	} rows[] = {{{"TOTP"}, 200}, {{"SMS", "TOTP"}, 200}, {{"EMAIL", "TOTP"}, 200}, {{"SMS"}, 412}, {{NULL}, 412}};
	struct msg_request m;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask_prepare(&m, MSG_REGISTER, T, (int)i + 1);
		for (m.methods_n = 0; rows[i].offers[m.methods_n]; m.methods_n++)
			snprintf(m.methods[m.methods_n], sizeof(m.methods[0]), "%s", rows[i].offers[m.methods_n]);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, rows[i].code);
	}
	ck_assert_uint_eq(a.sms, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("totp");
	TCase *t;
	SRunner *sr;
	int failed;

	t = tcase(s, "totp");
	tcase_add_test(t, totp_bootstrap);
	tcase_add_loop_test(t, totp_drift, 0, 5);
	tcase_add_test(t, totp_step_once);
	tcase_add_test(t, totp_lost_reply_over_a_step);
	tcase_add_test(t, totp_after_a_clock_that_ran_ahead);
	tcase_add_test(t, totp_tries);
	tcase_add_test(t, totp_tries_a_day);
	tcase_add_test(t, totp_needs_a_fresh_registration);
	tcase_add_test(t, totp_registers_are_bounded);
	tcase_add_test(t, totp_methods);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
