/* The link between a device and the server: what becomes of each datagram. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sim/link.h"

#define N 20000

static const struct {
	const char *name;
	struct link_spec spec;
	double lost, twice, damaged; /* shares that must come out, within 1 % */
} rows[] = {
	{"perfect", {.delay = 10}, 0, 0, 0},
	{"two per cent lost", {.loss = 0.02, .delay = 10}, 0.02, 0, 0},
	{"everything lost", {.loss = 1}, 1, 0, 0},
	{"a tenth doubled", {.duplicate = 0.1, .delay = 10}, 0, 0.1, 0},
	{"a twentieth damaged", {.corrupt = 0.05, .delay = 10}, 0, 0, 0.05},
	{"all of it", {.loss = 0.3, .duplicate = 0.2, .corrupt = 0.1, .reorder = 0.1, .delay = 10, .jitter = 5}, 0.3, 0.14,
	 0.07},
};

static void near(const char *what, double is, double want)
{
	ck_assert_msg(is > want - 0.01 && is < want + 0.01, "%s: %f, not %f", what, is, want);
}

START_TEST(shares_come_out)
{
	struct link l;
	struct link_fate f;
	unsigned lost = 0, twice = 0, damaged = 0;

	link_init(&l, &rows[_i].spec, 7, rows[_i].name);
	for (unsigned i = 0; i < N; i++) {
		link_pass(&l, LINK_UP, i * NS_PER_MS, 1200, &f);
		lost += f.copies == 0;
		twice += f.copies == 2;
		damaged += f.copies > 0 && f.copy[0].flip;
		ck_assert(f.copies == 0 || f.copy[0].where < 1200);
		ck_assert(f.copies < 2 || !f.copy[1].flip); /* one of the two is whole */
	}
	near("lost", (double)lost / N, rows[_i].lost);
	near("twice", (double)twice / N, rows[_i].twice);
	near("damaged", (double)damaged / N, rows[_i].damaged);
}
END_TEST

START_TEST(jitter_alone_keeps_the_order)
{
	struct link_spec spec = {.delay = 15 * NS_PER_MS, .jitter = 10 * NS_PER_MS};
	struct link l;
	struct link_fate f;
	time_ns last = 0;

	link_init(&l, &spec, 1, "x");
	for (unsigned i = 0; i < N; i++) {
		time_ns now = i * 100 * NS_PER_US;

		link_pass(&l, LINK_DOWN, now, 100, &f);
		ck_assert_uint_eq(f.copies, 1);
		ck_assert_uint_ge(f.copy[0].at, last);
		ck_assert_uint_ge(f.copy[0].at, now + 5 * NS_PER_MS);
		last = f.copy[0].at;
	}
}
END_TEST

START_TEST(the_late_one_is_overtaken)
{
	struct link_spec spec = {.delay = NS_PER_MS, .reorder = 0.2};
	struct link l;
	struct link_fate f;
	time_ns before = 0;
	unsigned overtaken = 0;

	link_init(&l, &spec, 1, "x");
	for (unsigned i = 0; i < N; i++) {
		link_pass(&l, LINK_UP, i * NS_PER_MS, 100, &f);
		overtaken += f.copy[0].at <= before;
		before = f.copy[0].at;
	}
	/* each late one has an on-time one behind it but for another late one: 0.2 × 0.8 */
	near("overtaken", (double)overtaken / N, 0.16);
}
END_TEST

START_TEST(no_time_is_not_before_now)
{
	struct link_spec spec = {.delay = NS_PER_MS, .jitter = 50 * NS_PER_MS};
	struct link l;
	struct link_fate f;

	link_init(&l, &spec, 3, "x");
	for (unsigned i = 0; i < N; i++) {
		link_pass(&l, LINK_UP, i * NS_PER_S, 100, &f);
		ck_assert_uint_ge(f.copy[0].at, i * NS_PER_S);
	}
}
END_TEST

/* The same purpose draws the same whatever else goes wrong, on either direction. */
START_TEST(no_trouble_moves_another_s_draws)
{
	struct link_spec some = {.loss = 0.1, .delay = 10}, more = some;
	struct link a, b, c;
	struct link_fate fa, fb, fc;
	unsigned differ = 0;

	more.duplicate = 0.5;
	more.corrupt = 0.5;
	more.jitter = 3;
	link_init(&a, &some, 9, "link[1]");
	link_init(&b, &more, 9, "link[1]");
	link_init(&c, &some, 9, "link[2]");
	for (unsigned i = 0; i < N; i++) {
		if (i % 3 == 0)
			link_pass(&b, LINK_DOWN, i, 100, &fb);
		link_pass(&a, LINK_UP, i, 100, &fa);
		link_pass(&b, LINK_UP, i, 100, &fb);
		link_pass(&c, LINK_UP, i, 100, &fc);
		ck_assert_uint_eq(fa.copies == 0, fb.copies == 0);
		differ += (fa.copies == 0) != (fc.copies == 0);
	}
	ck_assert_uint_gt(differ, N / 10); /* another link is another stream */
}
END_TEST

START_TEST(a_plan_is_read_strictly)
{
	static const struct {
		const char *json;
		const char *error; /* NULL: fine */
	} specs[] = {
		{"{\"loss\": 0.02, \"delay_ns\": 15000000, \"jitter_ns\": 5000000, \"reorder\": 0, \"duplicate\": 1}", NULL},
		{"{}", NULL},
		{"{\"loss\": 1.5}", "'loss' is a share"},
		{"{\"corrupt\": \"2%\"}", "'corrupt' is a share"},
		{"{\"delay_ns\": -1}", "'delay_ns' is a count"},
		{"{\"rate_bps\": 9600}", "no 'rate_bps'"},
	};
	struct link_spec s;

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		json_t *j = json_loads(specs[i].json, 0, NULL);
		struct err e = {0};
		int rv = link_spec_read(j, &s, &e);

		ck_assert_int_eq(rv == 0, specs[i].error == NULL);
		if (specs[i].error)
			ck_assert_ptr_nonnull(strstr(e.text, specs[i].error));
		json_decref(j);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("link");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, shares_come_out, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(t, jitter_alone_keeps_the_order);
	tcase_add_test(t, the_late_one_is_overtaken);
	tcase_add_test(t, no_time_is_not_before_now);
	tcase_add_test(t, no_trouble_moves_another_s_draws);
	tcase_add_test(t, a_plan_is_read_strictly);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
