/* The fleet over real QUIC in a virtual world, against a tiny scripted server. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/storage_mem.h"
#include "tests/sim/fleet_rig.h"

static struct rig g; /* large; one at a time */

static void open_rig(unsigned devices, bool hold)
{
	struct rig_options o = {.devices = devices, .seed = 0x5eed, .hold = hold};

	rig_open(&g, &o);
}

#define ck_in(i, s)                                                                                            \
	ck_assert_msg(fleet_state(g.fleet, i) == (s), "device %u is %s, not %s", i,                            \
		      state_full(fleet_state(g.fleet, i)), state_full(s))
#define ck_took(i, r) ck_assert_msg(rig_took(&g, i, r), "device %u never took %s", i, row_id(r))

static bool all_sent_since(unsigned device, time_ns since)
{
	for (unsigned i = 0; i < g.log_n; i++)
		if (g.log[i].kind == J_NET_COUNT && g.log[i].device == device && g.log[i].t > since && g.log[i].sent)
			return true;
	return false;
}

START_TEST(ten_devices_bootstrap)
{
	open_rig(10, _i);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_OFF), 10);
	rig_all_on(&g);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_NP), 10);
	rig_run(&g, 5 * NS_PER_S);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_PV), 10);
	ck_assert_uint_eq(g.requests[MSG_REGISTER], 10);
	ck_assert_uint_eq(g.requests[MSG_LOGIN], 10);
	ck_assert_uint_eq(g.requests[MSG_PUBLISH], 10);
	/* close: register's connection, then one for login and the first measure */
	ck_assert_uint_eq(rig_count(&g, J_CONN_OPEN, 3, NULL), _i ? 1 : 2);
	ck_assert_uint_eq(rig_count(&g, J_HANDSHAKE_DONE, 3, NULL), _i ? 1 : 2);
	rig_run(&g, 3600 * NS_PER_S);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_PV), 10);
	ck_assert_uint_ge(g.requests[MSG_PUBLISH], 600);
	ck_assert_uint_le(g.requests[MSG_PUBLISH], 610);
	if (_i)
		ck_assert_uint_eq(rig_count(&g, J_CONN_OPEN, 3, NULL), 1); /* kept alive for an hour */
	rig_close(&g);
}
END_TEST

START_TEST(idle_is_one_close_and_then_nothing)
{
	struct instant at;
	time_ns when = 0;

	open_rig(2, _i);
	g.script[MSG_REGISTER] = (struct rig_script){.how = RIG_CODE, .code = 403, .times = 1};
	rig_all_on(&g);
	rig_run(&g, 30 * NS_PER_S);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_IDLE), 1);
	for (unsigned i = 0; i < g.log_n; i++)
		if (g.log[i].row == ROW_RG_403)
			when = g.log[i].t;
	rig_run(&g, 3600 * NS_PER_S);
	at = rig_now(&g);
	fleet_counts(g.fleet, &at);
	ck_assert_uint_gt(when, 0);
	for (unsigned i = 0; i < 2; i++)
		if (fleet_state(g.fleet, i) == STATE_IDLE)
			ck_assert(!all_sent_since(i, when));
	ck_assert_uint_eq(g.requests[MSG_REGISTER], 2);
	rig_close(&g);
}
END_TEST

START_TEST(server_gone_and_back)
{
	open_rig(5, _i);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_PV), 5);
	rig_server_dies(&g);
	rig_run(&g, 300 * NS_PER_S);
	ck_assert_uint_eq(fleet_in_state(g.fleet, STATE_PV), 5);
	ck_assert(rig_took(&g, 0, ROW_PV_LINK_LOST) || rig_took(&g, 0, ROW_PV_NO_ANSWER));
	rig_server_starts(&g);
	g.requests[MSG_PUBLISH] = 0;
	rig_run(&g, 120 * NS_PER_S);
	ck_assert_uint_ge(g.requests[MSG_PUBLISH], 5);
	rig_close(&g);
}
END_TEST

START_TEST(silence_is_no_answer_and_late_is_dropped)
{
	open_rig(1, true);
	g.script[MSG_REGISTER] = (struct rig_script){.how = RIG_SLOW, .by = 10200 * NS_PER_MS, .times = 1};
	rig_all_on(&g);
	rig_run(&g, 30 * NS_PER_S);
	ck_took(0, ROW_RG_NO_ANSWER);
	ck_took(0, ROW_NP_LATE);
	ck_in(0, STATE_PV);
	rig_close(&g);
}
END_TEST

START_TEST(refresh_and_refusals)
{
	open_rig(1, false);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	g.script[MSG_PUBLISH] = (struct rig_script){.how = RIG_CODE, .code = 401, .times = 1};
	rig_run(&g, 60 * NS_PER_S);
	ck_took(0, ROW_RF_200);
	ck_in(0, STATE_PV);
	g.script[MSG_PUBLISH] = (struct rig_script){.how = RIG_CODE, .code = 403, .times = 1};
	g.script[MSG_REFRESH] = (struct rig_script){.how = RIG_CODE, .code = 700, .times = 1};
	rig_run(&g, 90 * NS_PER_S);
	ck_took(0, ROW_RF_700);
	ck_assert_uint_eq(g.requests[MSG_REGISTER], 2);
	ck_in(0, STATE_PV);
	g.script[MSG_PUBLISH] =
		(struct rig_script){.how = RIG_COMMAND, .text = "{\"id\":\"i1\",\"name\":\"IDLE\"}", .times = 1};
	rig_run(&g, 90 * NS_PER_S);
	ck_took(0, ROW_PV_CMD_IDLE);
	ck_in(0, STATE_IDLE);
	rig_close(&g);
}
END_TEST

/* ---- power ---- */

START_TEST(power_cycle_keeps_what_was_synced)
{
	struct instant at;

	open_rig(2, false);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	at = rig_now(&g);
	fleet_power_off(g.fleet, &at, 0);
	ck_in(0, STATE_OFF);
	rig_run(&g, 100 * NS_PER_S);
	at = rig_now(&g);
	fleet_power_on(g.fleet, &at, 0);
	ck_in(0, STATE_PV);
	ck_took(0, ROW_OFF_ON_TOKENS);
	rig_run(&g, 5 * NS_PER_S);
	ck_assert_uint_eq(g.requests[MSG_REGISTER], 2);
	rig_close(&g);
}
END_TEST

START_TEST(power_cut_is_mute)
{
	struct instant at;
	uint64_t before;

	open_rig(1, true);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	at = rig_now(&g);
	before = world_virtual_datagrams(g.w);
	fleet_power_off(g.fleet, &at, 0);
	fleet_counts(g.fleet, &at);
	g.log_n = 0;
	rig_run(&g, 5 * NS_PER_S);
	at = rig_now(&g);
	fleet_counts(g.fleet, &at);
	ck_assert(!all_sent_since(0, 0));
	ck_assert_uint_eq(world_virtual_datagrams(g.w), before);
	rig_close(&g);
}
END_TEST

START_TEST(sms_waits_for_power)
{
	struct instant at;

	open_rig(1, false);
	at = rig_now(&g);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(fleet_sms(g.fleet, &at, fleet_uuid(g.fleet, 0), "+34600000001", "not a code"), 0);
	ck_assert_int_eq(fleet_sms(g.fleet, &at, "00000000-0000-0000-0000-000000000000", "", ""), ERR_NOTFOUND);
	fleet_power_on(g.fleet, &at, 0);
	ck_assert_uint_eq(rig_count(&g, J_DEVICE_IGNORED, 0, "sms_form"), 8);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	rig_close(&g);
}
END_TEST

/* ---- faults ---- */

START_TEST(fault_cuts_power)
{
	static const struct {
		const char *on;
		enum row_name off, then;
	} points[] = {{"tokens.written", ROW_LI_OFF, ROW_OFF_ON},
		      {"tokens.synced", ROW_LI_OFF, ROW_OFF_ON},
		      {"tokens.renamed", ROW_LI_OFF, ROW_NONE}, /* the folder was not synced: either */
		      {"handshake.done", ROW_RG_OFF, ROW_OFF_ON},
		      {"conn.close", ROW_AC_OFF, ROW_OFF_ON}};
	char spec[256];

	open_rig(2, false);
	snprintf(spec, sizeof(spec),
		 "{\"name\":\"f\",\"on\":\"%s\",\"do\":\"power_cycle\",\"args\":{\"off_ns\":3000000000},"
		 "\"dev\":[\"%s\"]}",
		 points[_i].on, fleet_uuid(g.fleet, 0));
	rig_arm(&g, spec);
	rig_all_on(&g);
	rig_run(&g, 10 * NS_PER_S);
	ck_took(0, points[_i].off);
	ck_assert(points[_i].then ? rig_took(&g, 0, points[_i].then) :
				    rig_took(&g, 0, ROW_OFF_ON) || rig_took(&g, 0, ROW_OFF_ON_TOKENS));
	ck_assert(!rig_took(&g, 1, points[_i].off));
	ck_in(0, STATE_PV);
	ck_in(1, STATE_PV);
	rig_close(&g);
}
END_TEST

/* A rename whose folder was not synced: the old pair or the new one, as the seed has it. */
START_TEST(what_was_not_synced_is_the_seeds)
{
	unsigned kept = 0, lost = 0;

	for (uint64_t seed = 1; seed <= 12; seed++) {
		rig_open(&g, &(struct rig_options){.devices = 1, .seed = seed});
		rig_arm(&g, "{\"name\":\"f\",\"on\":\"tokens.renamed\",\"do\":\"power_cycle\",\"args\":{\"off_ns\":1000000000}}");
		rig_all_on(&g);
		rig_run(&g, 10 * NS_PER_S);
		kept += rig_took(&g, 0, ROW_OFF_ON_TOKENS);
		lost += !rig_took(&g, 0, ROW_OFF_ON_TOKENS);
		ck_in(0, STATE_PV);
		rig_close(&g);
	}
	ck_assert_uint_gt(kept, 0);
	ck_assert_uint_gt(lost, 0);
}
END_TEST

START_TEST(fault_stays_off)
{
	open_rig(1, false);
	rig_arm(&g, "{\"name\":\"f\",\"on\":\"device.request\",\"do\":\"power_cut\",\"match\":{\"resource\":\"login\"}}");
	rig_all_on(&g);
	rig_run(&g, 100 * NS_PER_S);
	ck_in(0, STATE_OFF);
	ck_assert_uint_eq(g.requests[MSG_LOGIN], 0); /* before its effects leave */
	rig_close(&g);
}
END_TEST

START_TEST(fault_drops_connection)
{
	open_rig(1, _i);
	rig_arm(&g, "{\"name\":\"f\",\"on\":\"device.request\",\"do\":\"drop_connection\",\"match\":{\"resource\":"
		    "\"login\"}}");
	rig_all_on(&g);
	rig_run(&g, 20 * NS_PER_S);
	ck_took(0, ROW_LI_LINK_LOST);
	ck_took(0, ROW_RG_200_HELD);
	ck_in(0, STATE_PV);
	rig_close(&g);
}
END_TEST

/* ---- storage ---- */

/* The connection's end is an event like any other, also where it goes without a word:
 * a fault that fired there has acted. */
START_TEST(fault_on_a_dropped_connection_acts)
{
	struct instant at;

	open_rig(1, true);
	rig_arm(&g, "{\"name\":\"f\",\"on\":\"conn.close\",\"do\":\"power_cut\"}");
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	at = rig_now(&g);
	fleet_drop_connection(g.fleet, &at, 0);
	rig_run(&g, NS_PER_S);
	ck_in(0, STATE_OFF);
	rig_close(&g);
}
END_TEST

/* A power cycle that fires while power goes anyway does not outlive it. */
START_TEST(a_power_cycle_ends_with_the_power)
{
	struct instant at;

	open_rig(1, true);
	rig_arm(&g, "{\"name\":\"f\",\"on\":\"conn.close\",\"do\":\"power_cycle\",\"args\":{\"off_ns\":1000000000}}");
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	at = rig_now(&g);
	fleet_power_off(g.fleet, &at, 0);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_OFF);
	at = rig_now(&g);
	fleet_power_on(g.fleet, &at, 0);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	at = rig_now(&g);
	fleet_power_off(g.fleet, &at, 0);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_OFF);
	rig_close(&g);
}
END_TEST

/* What cuts power as it comes back would else go round for ever at one instant. */
START_TEST(power_is_never_back_at_once)
{
	time_ns before = 0;
	unsigned cuts = 0;
	struct instant at;

	open_rig(1, false);
	at = rig_now(&g);
	fleet_power_on(g.fleet, &at, 0);
	fleet_power_off(g.fleet, &at, 0);
	fleet_power_on(g.fleet, &at, 0);
	ck_in(0, STATE_OFF);
	fleet_power_off(g.fleet, &at, 0);
	rig_arm(&g, "{\"name\":\"f\",\"on\":\"device.state\",\"match\":{\"to\":\"REGISTERING\"},\"each\":true,\"times\":50,"
		    "\"do\":\"power_cycle\",\"args\":{\"off_ns\":0}}");
	rig_all_on(&g);
	rig_run(&g, 10 * NS_PER_S);
	for (unsigned i = 0; i < g.log_n; i++) {
		if (g.log[i].row != ROW_RG_OFF)
			continue;
		ck_assert_uint_gt(g.log[i].t, before);
		before = g.log[i].t;
		cuts++;
	}
	ck_assert_uint_ge(cuts, 50);
	ck_in(0, STATE_PV);
	rig_close(&g);
}
END_TEST

START_TEST(full_disk_is_survived)
{
	struct rig_options o = {.devices = 1, .seed = 1};
	struct storage_mem *disk;
	struct instant at;

	disk = storage_mem_new(100);
	o.storage = storage_mem_storage(disk);
	rig_open(&g, &o);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	ck_assert_uint_ge(rig_count(&g, J_DEVICE_IGNORED, 0, "store_failed"), 1);
	ck_assert_uint_eq(rig_count(&g, J_TOKENS_WRITTEN, 0, NULL), 0);
	at = rig_now(&g);
	fleet_power_off(g.fleet, &at, 0);
	fleet_power_on(g.fleet, &at, 0);
	ck_in(0, STATE_NP);
	rig_close(&g);
	storage_mem_free(disk);
}
END_TEST

/* A disk that is full for a time: nothing is stored until it is over, and the power's going
 * in between brings back what was there before. */
START_TEST(its_own_disk_fails_for_a_time)
{
	static const char *const arms[] = {
		"{\"name\":\"f\",\"on\":\"device.code\",\"do\":\"disk_full\",\"args\":{\"length_ns\":30000000000}}",
		"{\"name\":\"f\",\"on\":\"device.code\",\"do\":\"disk_error\",\"args\":{\"what\":\"write\",\"length_ns\":30000000000}}",
		"{\"name\":\"f\",\"on\":\"device.code\",\"do\":\"disk_error\",\"args\":{\"what\":\"read_only\",\"length_ns\":30000000000}}",
		"{\"name\":\"f\",\"on\":\"device.code\",\"do\":\"disk_error\",\"args\":{\"what\":\"sync\"}}",
	};
	struct rig_options o = {.devices = 2, .seed = 1};
	struct instant at;

	rig_open(&g, &o);
	rig_arm(&g, arms[_i]);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	ck_in(1, STATE_PV);
	ck_assert_uint_eq(rig_count(&g, J_DEVICE_IGNORED, 0, "store_failed"), 1);
	ck_assert_uint_eq(rig_count(&g, J_TOKENS_RENAMED, 0, NULL), 0);
	ck_assert_uint_eq(rig_count(&g, J_DEVICE_IGNORED, 1, "store_failed"), 0);
	ck_assert_uint_eq(rig_count(&g, J_TOKENS_RENAMED, 1, NULL), 1);
	at = rig_now(&g);
	fleet_power_off(g.fleet, &at, 0);
	fleet_power_on(g.fleet, &at, 0);
	ck_in(0, STATE_NP);
	rig_run(&g, 60 * NS_PER_S);
	ck_in(0, STATE_PV);
	at = rig_now(&g);
	/* over: the next tokens are stored, and last */
	ck_assert_int_eq(fleet_disk(g.fleet, &at, 0, DISK_SOUND, TIME_NEVER), 0);
	fleet_power_off(g.fleet, &at, 0);
	fleet_power_on(g.fleet, &at, 0);
	rig_run(&g, 60 * NS_PER_S);
	ck_in(0, STATE_PV);
	ck_assert_uint_ge(rig_count(&g, J_TOKENS_RENAMED, 0, NULL), 1);
	rig_close(&g);
}
END_TEST

/* Cut behind the rename, before the folder is synced: the new file, or none. */
START_TEST(what_a_cut_leaves_can_be_said)
{
	static const struct {
		const char *unsynced;
		bool kept;
	} rows[] = {{"keep", true}, {"lose", false}};
	struct rig_options o = {.devices = 4, .seed = 1};
	char arm[200];

	rig_open(&g, &o);
	snprintf(arm, sizeof(arm),
		 "{\"name\":\"f\",\"on\":\"tokens.renamed\",\"each\":true,\"times\":4,\"do\":\"power_cycle\","
		 "\"args\":{\"off_ns\":1000000000,\"unsynced\":\"%s\"}}", rows[_i].unsynced);
	rig_arm(&g, arm);
	rig_all_on(&g);
	rig_run(&g, 60 * NS_PER_S);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert(rig_took(&g, i, ROW_OFF_ON_TOKENS) == rows[_i].kept);
		ck_in(i, STATE_PV);
	}
	rig_close(&g);
}
END_TEST

START_TEST(a_borrowed_disk_is_left_alone)
{
	struct storage_mem *disk = storage_mem_new(UINT64_MAX);
	struct rig_options o = {.devices = 1, .seed = 1, .storage = storage_mem_storage(disk)};
	struct instant at;

	rig_open(&g, &o);
	at = rig_now(&g);
	ck_assert_int_eq(fleet_disk(g.fleet, &at, 0, DISK_FULL, TIME_NEVER), ERR_UNSUPPORTED);
	rig_close(&g);
	storage_mem_free(disk);
}
END_TEST

/* One device's clock stands where the server's certificate holds no more, or not yet: it
 * alone is refused, keeps its tokens, and goes on when its clock is right again. */
START_TEST(a_clock_that_stands_wrong)
{
	static const int64_t days[] = {20000, -20000};
	struct rig_options o = {.devices = 2, .seed = 1};
	unsigned failed;

	rig_open(&g, &o);
	rig_all_on(&g);
	rig_run(&g, 5 * NS_PER_S);
	ck_in(0, STATE_PV);
	ck_assert_uint_eq(rig_count(&g, J_HANDSHAKE_FAILED, 0, NULL), 0);
	fleet_clock_step(g.fleet, 0, days[_i] * 86400 * 1000);
	rig_run(&g, 200 * NS_PER_S);
	failed = rig_count(&g, J_HANDSHAKE_FAILED, 0, NULL);
	ck_assert_uint_ge(failed, 2);
	ck_assert_uint_eq(rig_count(&g, J_HANDSHAKE_FAILED, 1, NULL), 0);
	ck_in(0, STATE_PV);
	fleet_clock_step(g.fleet, 0, -days[_i] * 86400 * 1000);
	rig_run(&g, 200 * NS_PER_S);
	ck_assert_uint_eq(rig_count(&g, J_HANDSHAKE_FAILED, 0, NULL), failed);
	ck_assert_uint_eq(rig_count(&g, J_TOKENS_RENAMED, 0, NULL), 1);
	ck_in(0, STATE_PV);
	rig_close(&g);
}
END_TEST

/* ---- determinism, bad input ---- */

START_TEST(same_seed_same_journal)
{
	uint64_t first = 0;

	for (int i = 0; i < 3; i++) {
		struct rig_options o = {.devices = 8, .seed = i < 2 ? 42 : 43};

		rig_open(&g, &o);
		g.script[MSG_LOGIN] = (struct rig_script){.how = RIG_CODE, .code = 503, .times = 5};
		rig_all_on(&g);
		rig_run(&g, 100 * NS_PER_S);
		if (i == 0)
			first = g.hash;
		else if (i == 1)
			ck_assert_uint_eq(g.hash, first);
		else
			ck_assert_uint_ne(g.hash, first);
		rig_close(&g);
	}
}
END_TEST

START_TEST(bad_devices_are_refused)
{
	struct fleet_device_config d = {.label = "B[1]"};
	struct err e = {0};

	open_rig(1, false);
	snprintf(d.identity.uuid, sizeof(d.identity.uuid), "not a uuid");
	ck_assert_int_eq(fleet_add(g.fleet, &d, &e), ERR_INVALID);
	snprintf(d.identity.uuid, sizeof(d.identity.uuid), "%s", fleet_uuid(g.fleet, 0));
	ck_assert_int_eq(fleet_add(g.fleet, &d, NULL), ERR_EXISTS);
	rig_close(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fleet");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, ten_devices_bootstrap, 0, 2);
	tcase_add_loop_test(t, idle_is_one_close_and_then_nothing, 0, 2);
	tcase_add_loop_test(t, server_gone_and_back, 0, 2);
	tcase_add_test(t, silence_is_no_answer_and_late_is_dropped);
	tcase_add_test(t, refresh_and_refusals);
	tcase_add_test(t, power_cycle_keeps_what_was_synced);
	tcase_add_test(t, power_cut_is_mute);
	tcase_add_test(t, sms_waits_for_power);
	tcase_add_loop_test(t, fault_cuts_power, 0, 5);
	tcase_add_test(t, what_was_not_synced_is_the_seeds);
	tcase_add_test(t, fault_stays_off);
	tcase_add_loop_test(t, fault_drops_connection, 0, 2);
	tcase_add_test(t, fault_on_a_dropped_connection_acts);
	tcase_add_test(t, a_power_cycle_ends_with_the_power);
	tcase_add_test(t, power_is_never_back_at_once);
	tcase_add_test(t, full_disk_is_survived);
	tcase_add_loop_test(t, its_own_disk_fails_for_a_time, 0, 4);
	tcase_add_loop_test(t, what_a_cut_leaves_can_be_said, 0, 2);
	tcase_add_test(t, a_borrowed_disk_is_left_alone);
	tcase_add_loop_test(t, a_clock_that_stands_wrong, 0, 2);
	tcase_add_test(t, same_seed_same_journal);
	tcase_add_test(t, bad_devices_are_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
