/* What a NAT shows of the addresses behind it. */
#include <check.h>
#include <string.h>

#include "core/err.h"
#include "sim/nat.h"

static struct addr at(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(text, &a), 0);
	return a;
}

static bool seen_as(const struct nat *n, unsigned inside, const char *text)
{
	struct addr a = at(text);

	return addr_equal(nat_outside(n, inside), &a);
}

static int whose(const struct nat *n, const char *text)
{
	struct addr a = at(text);

	return nat_inside(n, &a);
}

START_TEST(as_it_is_until_rebound)
{
	struct addr base = at("127.0.0.1:30000");
	struct nat *n = nat_new(&base, 3);

	ck_assert(seen_as(n, 2, "127.0.0.1:30002"));
	ck_assert_int_eq(whose(n, "127.0.0.1:30002"), 2);
	ck_assert_int_lt(whose(n, "127.0.0.1:30003"), 0);
	ck_assert_int_lt(whose(n, "127.0.0.2:30002"), 0);
	ck_assert_int_lt(whose(n, "[::1]:30002"), 0);
	nat_free(n);
}
END_TEST

START_TEST(the_old_one_leads_nowhere)
{
	struct addr base = at("127.0.0.1:30000"), first, second;
	struct nat *n = nat_new(&base, 3);

	ck_assert_int_eq(nat_rebind(n, 1, false), 0);
	first = *nat_outside(n, 1);
	ck_assert_uint_eq(first.u.in.sin_addr.s_addr, base.u.in.sin_addr.s_addr);
	ck_assert(!addr_equal(&first, &base) && !seen_as(n, 1, "127.0.0.1:30001"));
	ck_assert_int_eq(nat_inside(n, &first), 1);
	ck_assert_int_lt(whose(n, "127.0.0.1:30001"), 0);
	ck_assert_int_eq(nat_rebind(n, 1, true), 0);
	second = *nat_outside(n, 1);
	ck_assert_uint_ne(second.u.in.sin_addr.s_addr, first.u.in.sin_addr.s_addr);
	ck_assert_uint_eq(second.u.in.sin_port, first.u.in.sin_port);
	ck_assert_int_eq(nat_inside(n, &second), 1);
	ck_assert_int_lt(nat_inside(n, &first), 0);
	ck_assert_int_eq(whose(n, "127.0.0.1:30000"), 0);
	nat_free(n);
}
END_TEST

/* 60,000 devices behind one address: no two are ever seen as the same, nor as a third's own. */
START_TEST(nobody_is_taken_for_another)
{
	struct addr base = at("127.0.0.1:5000");
	unsigned span = 60000, left = 0;
	struct nat *n = nat_new(&base, span);

	for (unsigned i = 0; i < span; i++)
		left += nat_rebind(n, i, false) == ERR_LIMIT; /* 4,512 ports are free */
	ck_assert_uint_eq(left, span - (65536 - 1024 - span));
	for (unsigned i = 0; i < span; i++)
		ck_assert_int_eq(nat_inside(n, nat_outside(n, i)), (int)i);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(nat_rebind(n, i, true), 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(nat_inside(n, nat_outside(n, i)), (int)i);
	nat_free(n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nat");
	TCase *t = tcase_create("nat");
	SRunner *r;
	int failed;

	tcase_add_test(t, as_it_is_until_rebound);
	tcase_add_test(t, the_old_one_leads_nowhere);
	tcase_add_test(t, nobody_is_taken_for_another);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
