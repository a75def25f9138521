/* Many requests that mean no good: guesses, floods of registers, a stranger who carries the
 * fleet certificate (catalogue C3, C6, C8). */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S	    1000 /* ms */
#define GUESSES	    10000
#define CONNECTIONS 50

static struct ask a;

static void setup(void)
{
	ask_init(&a);
}

static void teardown(void)
{
	ask_fini(&a);
}

static void register_as(int dev, unsigned registration)
{
	struct msg_request m;

	ask_prepare(&m, MSG_REGISTER, dev, 0);
	snprintf(m.registration, sizeof(m.registration), "%032x", registration);
	ask_request(&a, &m);
}

START_TEST(ten_thousand_guesses)
{
	unsigned compared = 0, refused = 0, held_off = 0;
	char guess[CODE_LEN_MAX + 1];
	struct msg_request m;
	struct reply *r;

	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	for (int i = 0; i < GUESSES; i++) {
		snprintf(guess, sizeof(guess), "%012d", i);
		ask_prepare(&m, MSG_LOGIN, 0, 1);
		snprintf(m.code, sizeof(m.code), "%s", guess);
		if (i % (GUESSES / CONNECTIONS))
			a.peer.signed_refusals = REPLY_SIGNED_MAX; /* the same connection as before */
		a.code = 0;
		r = reply_new(&a.peer, 0, &m);
		enroll_request(a.en, &a.at, r, &m, &a.fx);
		ask_turn(&a);
		compared += strcmp(a.why, "wrong") == 0;
		refused += a.code == 401;
		held_off += a.code == 429;
		a.peer.signed_refusals = 0;
	}
	/* three compared a code; refusals beyond four a connection are not even signed */
	ck_assert_uint_le(compared, 3);
	ck_assert_uint_ge(compared, 1);
	ck_assert_uint_eq(refused + held_off, GUESSES);
	ck_assert_uint_ge(refused, CONNECTIONS);
	ck_assert_uint_eq(a.events[J_CODE_VOID], 1);
	ck_assert_uint_eq(a.slots, 0);
	/* the guessed code is void for its owner, too; another registration brings another one */
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 401);
	ask_wait(&a, 61 * S);
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, 0, 2, a.codes[2]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(one_registration_a_thousand_times)
{
	for (int i = 0; i < 1000; i++) {
		ask_register(&a, 0, 1);
		ck_assert_int_eq(a.code, 200);
	}
	ck_assert_uint_eq(a.sms, 1);
	ck_assert_uint_eq(a.events[J_CODE_ISSUED], 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* One every 10 s, over almost three hours: three in ten minutes, six in a day, 429 besides. */
START_TEST(a_thousand_registrations)
{
	unsigned granted = 0, held_off = 0;

	for (unsigned i = 0; i < 1000; i++) {
		register_as(0, i + 1);
		granted += a.code == 200;
		held_off += a.code == 429 && a.retry_after_s > 0;
		ask_wait(&a, 10 * S);
		ck_assert_uint_le(a.sms, i < 6 ? 1 : i < 12 ? 2 : i < 60 ? 3 : 6);
	}
	ck_assert_uint_eq(granted, 6);
	ck_assert_uint_eq(held_off, 994);
	ck_assert_uint_eq(a.sms, 6);
	/* another device's budget is its own */
	ask_register(&a, 1, 1);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(a_thousand_unknown_uuids)
{
	unsigned refused = 0, held_off = 0;
	struct msg_request m;

	for (unsigned i = 0; i < 1000; i++) {
		ask_prepare(&m, MSG_REGISTER, -1, 1);
		snprintf(m.uuid, sizeof(m.uuid), "%08x-0000-4000-8000-000000000000", i);
		ask_request(&a, &m);
		refused += a.code == 403;
		held_off += a.code == 429;
	}
	ck_assert_int_eq(refused, a.settings.v[SETTING_STRANGER_REGISTERS_PER_HOUR]);
	ck_assert_uint_eq(refused + held_off, 1000);
	ck_assert_uint_eq(a.sms, 0);
	/* the fleet behind the same address is served */
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* The fleet certificate proves membership only: who has it, and a victim's serial number and
 * IMSI besides, registers and guesses in its name, and gains nothing. */
START_TEST(a_stranger_in_the_victims_name)
{
	ask_register(&a, 0, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
	ask_wait(&a, 61 * S);
	register_as(0, 0xbad);
	ck_assert_int_eq(a.code, 200);
	for (int i = 0; i < 10; i++) {
		struct msg_request m;

		ask_prepare(&m, MSG_LOGIN, 0, 1);
		snprintf(m.registration, sizeof(m.registration), "%032x", 0xbad);
		snprintf(m.code, sizeof(m.code), "AAAAAAAAAAA%d", i);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, 401);
	}
	/* the victim's tokens are good … */
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_TOKEN_REVOKED], 0);
	/* … and a code of its own would be: the stranger's guesses count for his registration */
	ask_wait(&a, 600 * S);
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 200);
	ask_wait(&a, 61 * S);
	register_as(0, 0xbad2);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, 0, 2, a.codes[2]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("masses");
	TCase *tc = tcase_create("floods");
	SRunner *r;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ten_thousand_guesses);
	tcase_add_test(tc, one_registration_a_thousand_times);
	tcase_add_test(tc, a_thousand_registrations);
	tcase_add_test(tc, a_thousand_unknown_uuids);
	tcase_add_test(tc, a_stranger_in_the_victims_name);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
