/* What a pool decides by: who sends next, who may not, how long it takes. */
#include "core/lease.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define T (1000 * NS_PER_S) /* now */

static struct lease v[4];

static void set_up(void)
{
	memset(v, 0, sizeof(v));
	for (int i = 0; i < 4; i++) {
		v[i].state = MODEM_READY;
		v[i].sends = i < 3; /* the last one receives */
	}
}

START_TEST(the_one_that_rested_longest_sends)
{
	bool any;

	set_up();
	v[0].used_at = 30;
	v[1].used_at = 10;
	v[2].used_at = 20;
	ck_assert_int_eq(lease_pick(v, 4, 0, T, &any), 1);
	ck_assert_int_eq(lease_pick(v, 4, 1 << 1, T, &any), 2); /* it refused the message already */
	ck_assert(any);
	ck_assert_int_eq(lease_pick(v, 4, 7, T, &any), -1);
	ck_assert(any); /* there is one, but not for this message */
}
END_TEST

/* What keeps a modem from being given an SMS, one at a time. */
static const struct {
	const char *name;
	enum modem_state state;
	bool ejected, busy, spent, sends;
	bool left; /* may others wait for it? */
} bars[] = {
	{"sending", MODEM_SENDING, false, true, false, true, true},
	{"being opened", MODEM_INIT, false, false, false, true, true},
	{"being opened again", MODEM_REINIT, false, false, false, true, true},
	{"no network", MODEM_ATTACHING, false, false, false, true, true},
	{"not there", MODEM_ABSENT, false, false, false, true, false},
	{"ejected", MODEM_READY, true, false, false, true, false},
	{"its day is over", MODEM_READY, false, false, true, true, true},
	{"one that receives", MODEM_READY, false, false, false, false, false},
};

START_TEST(who_may_not_send)
{
	bool any;

	set_up();
	v[0].state = bars[_i].state;
	v[0].ejected = bars[_i].ejected;
	v[0].busy = bars[_i].busy;
	v[0].spent = bars[_i].spent;
	v[0].sends = bars[_i].sends;
	ck_assert_msg(lease_pick(v, 1, 0, T, &any) == -1 && !any, "%s", bars[_i].name);
	ck_assert_msg(lease_others_left(v, 1, 0) == bars[_i].left, "%s", bars[_i].name);
	ck_assert(!lease_others_left(v, 1, 1));
}
END_TEST

START_TEST(so_many_a_minute)
{
	set_up();
	v[0].per_minute = 3;
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(lease_slots(&v[0], T + (time_ns)i * NS_PER_S), 3u - (unsigned)i);
		lease_used(&v[0], T + (time_ns)i * NS_PER_S);
	}
	ck_assert(!lease_can_send(&v[0], T + 3 * NS_PER_S));
	ck_assert_uint_eq(lease_slot_at(&v[0], T + 3 * NS_PER_S), T + 60 * NS_PER_S);
	ck_assert(!lease_can_send(&v[0], T + 60 * NS_PER_S - 1));
	ck_assert(lease_can_send(&v[0], T + 60 * NS_PER_S));
	ck_assert_uint_eq(lease_slot_at(&v[0], T + 60 * NS_PER_S), T + 60 * NS_PER_S);
	/* the ring goes round */
	for (int i = 0; i < 3 * LEASE_RATE_MAX; i++)
		lease_used(&v[0], T + (time_ns)i * NS_PER_S);
	ck_assert_uint_eq(lease_slots(&v[0], T + (time_ns)(3 * LEASE_RATE_MAX) * NS_PER_S), 0);
}
END_TEST

START_TEST(how_long_it_takes)
{
	set_up();
	ck_assert_uint_eq(lease_eta(v, 4, 1, 0.7, 5, T), 0);
	/* three senders, 0.7 s each */
	ck_assert_uint_eq(lease_eta(v, 4, 301, 0.7, 5, T), 70);
	/* none is up: so much more */
	for (int i = 0; i < 3; i++)
		v[i].state = MODEM_INIT;
	ck_assert_uint_eq(lease_eta(v, 4, 301, 0.7, 5, T), 75);
	/* what exceeds the limit goes at its rate: 3 at once, the rest 3 a minute */
	for (int i = 0; i < 3; i++) {
		v[i].state = MODEM_READY;
		v[i].per_minute = 1;
	}
	ck_assert_uint_eq(lease_eta(v, 4, 6, 0.7, 5, T), 61);
	/* one that takes no time is no division by nothing */
	v[0].per_minute = v[1].per_minute = v[2].per_minute = 0;
	ck_assert_uint_eq(lease_eta(v, 4, 1000, 0, 0, T), 0);
	for (int i = 0; i < 3; i++)
		v[i].state = i ? MODEM_ABSENT : MODEM_PIN;
	ck_assert_uint_eq(lease_eta(v, 4, 1, 0.7, 5, T), UINT32_MAX);
}
END_TEST

START_TEST(states_have_names)
{
	ck_assert_str_eq(modem_state_name(MODEM_ATTACHING), "ATTACHING");
	ck_assert_str_eq(modem_state_name(MODEM_STATE_COUNT), "?");
	ck_assert(lease_up(MODEM_SENDING) && !lease_up(MODEM_UNKNOWN));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lease");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	tcase_add_test(t, the_one_that_rested_longest_sends);
	tcase_add_loop_test(t, who_may_not_send, 0, sizeof(bars) / sizeof(bars[0]));
	tcase_add_test(t, so_many_a_minute);
	tcase_add_test(t, how_long_it_takes);
	tcase_add_test(t, states_have_names);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
