/* Power cuts: in each state, and between any two effects of a token write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/device_bench.h"
#include "tests/sim/device_suites.h"

/* ---- M4 ---- */

static const struct {
	enum state_name s;
	enum row_name off, on;
} cuts[] = {
	{STATE_NP, ROW_NP_OFF, ROW_OFF_ON},	   {STATE_RG, ROW_RG_OFF, ROW_OFF_ON},
	{STATE_AC, ROW_AC_OFF, ROW_OFF_ON},	   {STATE_LI, ROW_LI_OFF, ROW_OFF_ON},
	{STATE_PV, ROW_PV_OFF, ROW_OFF_ON_TOKENS}, {STATE_RF, ROW_RF_OFF, ROW_OFF_ON_TOKENS},
	{STATE_PA, ROW_PA_OFF, ROW_OFF_ON_TOKENS}, {STATE_IDLE, ROW_IDLE_OFF, ROW_OFF_ON},
};

START_TEST(cut_in_each_state)
{
	char reg[REGISTRATION_LEN + 1];
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, cuts[_i].s);
	snprintf(reg, sizeof(reg), "%s", device_registration(b.dev));
	bench_off(&b);
	ck_row(&b, cuts[_i].off);
	ck_state(&b, STATE_OFF);
	ck_assert_uint_eq(b.abandons, 1);
	ck_assert_uint_eq(device_deadline(b.dev), TIME_NEVER);
	ck_assert_uint_eq(device_in_flight(b.dev), 0);
	ck_assert_int_eq(bench_sms_ok(&b), ERR_UNEXPECTED);
	bench_on(&b);
	ck_row(&b, cuts[_i].on);
	ck_assert_str_ne(reg, device_registration(b.dev));
	bench_timer(&b);
	ck_assert_int_eq(b.request.resource, cuts[_i].on == ROW_OFF_ON ? MSG_REGISTER : MSG_PUBLISH);
	bench_close(&b);
}
END_TEST

/* ---- M7 ---- */

/* Which family's tokens the device publishes with after power on; 0: it registers. */
static int family_after(struct bench *b)
{
	struct token_claims c;

	bench_on(b);
	bench_timer(b);
	if (b->request.resource == MSG_REGISTER)
		return 0;
	ck_assert_int_eq(b->request.resource, MSG_PUBLISH);
	ck_assert_int_eq(token_verify(b->shared.keys, b->request.authentication, b->request.authentication_len,
				      TOKEN_TEXT_MAX, &c, NULL),
			 0);
	return atoi(c.fam + 24);
}

static void cut_at_every_gap(enum state_name s, enum storage_cut mode, int old, unsigned *olds, unsigned *news)
{
	for (unsigned gap = 0;; gap++) {
		struct bench b;
		int fam;

		bench_open(&b, NULL);
		rng_init(&b.rng, gap * 4 + (unsigned)mode, "bench", "cut");
		bench_reach(&b, s);
		b.cut_after = gap;
		b.cut_mode = mode;
		bench_granted(&b, "7");
		if (!b.was_cut) {
			bench_close(&b);
			ck_assert_uint_ge(gap, 8);
			return;
		}
		/* the journal's story holds: off from where the last shown row led */
		ck_assert_uint_eq(b.rows_n, 1);
		fam = family_after(&b);
		ck_assert_msg(fam == old || fam == 7, "gap %u: neither the old pair nor the new one", gap);
		*(fam == old ? olds : news) += 1;
		bench_close(&b);
	}
}

START_TEST(cut_inside_the_token_write)
{
	unsigned olds = 0, news = 0;

	for (int mode = STORAGE_KEEP; mode <= STORAGE_TEAR; mode++) {
		cut_at_every_gap(STATE_LI, mode, 0, &olds, &news);
		cut_at_every_gap(STATE_RF, mode, 1, &olds, &news);
	}
	ck_assert_uint_gt(olds, 10);
	ck_assert_uint_gt(news, 5);
}
END_TEST

START_TEST(cut_at_the_named_points)
{
	static const struct {
		enum journal_kind point;
		enum storage_cut mode;
		int family;
	} points[] = {
		{J_TOKENS_WRITTEN, STORAGE_LOSE, 1}, {J_TOKENS_SYNCED, STORAGE_LOSE, 1},
		{J_TOKENS_RENAMED, STORAGE_LOSE, 1}, {J_TOKENS_WRITTEN, STORAGE_KEEP, 1},
		{J_TOKENS_SYNCED, STORAGE_KEEP, 1},  {J_TOKENS_RENAMED, STORAGE_KEEP, 7},
	};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct bench b;

		bench_open(&b, NULL);
		bench_reach(&b, STATE_RF);
		b.cut_mode = points[i].mode;
		b.cut_at = points[i].point;
		bench_granted(&b, "7");
		ck_assert(b.was_cut);
		ck_row(&b, ROW_RF_OFF); /* the change to PROVISIONED was not shown yet */
		ck_assert_int_eq(family_after(&b), points[i].family);
		bench_close(&b);
	}
}
END_TEST

/* ---- the file ---- */

START_TEST(damaged_file_means_no_credentials)
{
	struct storage *st;
	char name[UUID_LEN + 16], byte;
	int64_t size;
	struct bench b;

	for (int at = 0; at < 6; at++) {
		bench_open(&b, NULL);
		bench_reach(&b, STATE_PV);
		bench_off(&b);
		st = storage_mem_storage(b.disk);
		device_file_name(b.dev, name, sizeof(name));
		size = st->ops->size(st, name);
		ck_assert_int_gt(size, 1000);
		if (at < 5) {
			ck_assert_int_eq(st->ops->pread(st, name, (uint64_t)(size * at / 5), &byte, 1), 1);
			byte ^= 4;
			ck_assert_int_eq(st->ops->pwrite(st, name, (uint64_t)(size * at / 5), &byte, 1), 0);
		} else {
			ck_assert_int_eq(st->ops->truncate(st, name, 0), 0);
		}
		bench_on(&b);
		ck_row(&b, ROW_OFF_ON);
		ck_assert_uint_eq(b.ignored, at < 5);
		bench_timer(&b);
		ck_assert_int_eq(b.request.resource, MSG_REGISTER);
		bench_close(&b);
	}
}
END_TEST

START_TEST(anothers_file_is_not_ours)
{
	struct device_event ev = {.kind = DEVICE_POWER_ON};
	struct bench b, other;
	char name[UUID_LEN + 16];
	struct buf file;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	device_file_name(b.dev, name, sizeof(name));
	buf_init(&file, DEVICE_FILE_MAX);
	ck_assert_int_eq(storage_read(storage_mem_storage(b.disk), name, &file), 0);
	bench_open(&other, NULL);
	snprintf(other.identity.uuid, sizeof(other.identity.uuid), "f09bdb70-5843-11e9-a9ba-139bd26c8b4b");
	device_free(other.dev);
	other.dev = device_new(&other.shared, &(struct device_config){.label = "B[1]", .identity = &other.identity});
	ev.data = file.data;
	ev.len = file.len;
	bench_step(&other, &ev);
	ck_row(&other, ROW_OFF_ON);
	buf_fini(&file);
	bench_close(&b);
	bench_close(&other);
}
END_TEST

TCase *device_power_case(void)
{
	TCase *t = tcase_create("power");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, cut_in_each_state, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(t, cut_inside_the_token_write);
	tcase_add_test(t, cut_at_the_named_points);
	tcase_add_test(t, damaged_file_means_no_credentials);
	tcase_add_test(t, anothers_file_is_not_ours);
	return t;
}
