/* A plan's networks as links: whose is which, what befalls them. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "hil/run/links.h"

static const uint8_t datagram[100] = {0x40};

struct made {
	json_t *json;
	struct plan *plan;
	struct links links;
	struct err e;
	int rv;
};

static void make(struct made *m, const char *rest)
{
	static const struct plan_rig rig;
	char text[1024];

	memset(m, 0, sizeof(*m));
	snprintf(text, sizeof(text), "{\"v\":1,\"id\":\"s/n\",\"seed\":\"1\",\"timeout_ns\":1,%s}", rest);
	m->json = json_loads(text, 0, NULL);
	ck_assert_msg(m->json != NULL, "%s", text);
	m->plan = plan_new(m->json, &rig, NULL, &m->e);
	ck_assert_msg(m->plan != NULL, "%s", m->e.text);
	m->rv = links_make(&m->links, m->plan, &m->e);
}

static void drop(struct made *m)
{
	links_free(&m->links);
	plan_free(m->plan);
	json_decref(m->json);
}

static enum link_why pass(struct made *m, unsigned i, enum link_direction d, time_ns now)
{
	struct link_fate f;

	link_pass(&m->links.v[i], d, now, datagram, sizeof(datagram), &f);
	return f.why;
}

START_TEST(none_where_nobody_asks)
{
	struct made m;

	make(&m, "\"groups\":[{\"name\":\"A\",\"count\":2}]");
	ck_assert_int_eq(m.rv, 0);
	ck_assert_uint_eq(m.links.n, 0);
	links_act(&m.links, NULL, 0, 0, &(struct plan_net){.what = PLAN_NET_REBIND_PORT}); /* no harm */
	drop(&m);
}
END_TEST

START_TEST(each_group_its_own)
{
	struct made m;

	make(&m, "\"network\":{\"mtu\":99},\"groups\":[{\"name\":\"A\",\"count\":2},"
		 "{\"name\":\"B\",\"count\":1,\"network\":{\"loss\":1}},{\"name\":\"C\",\"count\":1,\"network\":{}}]");
	ck_assert_int_eq(m.rv, 0);
	ck_assert_uint_eq(m.links.n, 4);
	ck_assert_int_eq(pass(&m, 0, LINK_UP, 0), LINK_TOO_LONG);
	ck_assert_int_eq(pass(&m, 1, LINK_UP, 0), LINK_TOO_LONG);
	ck_assert_int_eq(pass(&m, 2, LINK_UP, 0), LINK_LOST);
	ck_assert_int_eq(pass(&m, 3, LINK_UP, 0), LINK_PASSED);
	drop(&m);
}
END_TEST

static char told[512];

static void on_event(void *ctx, const struct journal_event *ev)
{
	size_t n = strlen(told);

	(void)ctx;
	ck_assert_ptr_nonnull(ev->dev);
	snprintf(told + n, sizeof(told) - n, "%s:%s=%s ", ev->actor, journal_kind_name(ev->kind), journal_text(ev, JF_NAME));
}

START_TEST(an_action_is_enough)
{
	struct journal *journal = journal_new(NULL, NULL);
	struct made m;

	told[0] = '\0';
	journal_set_reader(journal, on_event, NULL);

	make(&m, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"faults\":[{\"name\":\"f1\",\"on\":\"tokens.written\","
		 "\"do\":\"power_cut\",\"then\":{\"after_ns\":1,\"do\":\"blackhole\"}}]");
	ck_assert_uint_eq(m.links.n, 2);
	links_start(&m.links, 1000);
	links_act(&m.links, journal, 1000, 1, &(struct plan_net){.what = PLAN_NET_BLACKHOLE, .length = 10});
	ck_assert_int_eq(pass(&m, 0, LINK_UP, 1009), LINK_PASSED);
	ck_assert_int_eq(pass(&m, 1, LINK_UP, 1009), LINK_DARK);
	ck_assert_int_eq(pass(&m, 1, LINK_UP, 1010), LINK_PASSED);
	links_act(&m.links, journal, 1010, 1, &(struct plan_net){.what = PLAN_NET_DROP, .up = 1, .down = 2});
	ck_assert_int_eq(pass(&m, 1, LINK_UP, 1011), LINK_COUNTED);
	ck_assert_int_eq(pass(&m, 1, LINK_DOWN, 1011), LINK_PASSED);
	ck_assert_int_eq(pass(&m, 1, LINK_DOWN, 1011), LINK_COUNTED);
	links_act(&m.links, journal, 1011, 1, &(struct plan_net){.what = PLAN_NET_REBIND_PORT});
	ck_assert_int_eq(m.links.v[1].forgotten, LINK_NEW_PORT);
	links_act(&m.links, journal, 1011, 1, &(struct plan_net){.what = PLAN_NET_REBIND_ADDRESS});
	ck_assert_int_eq(m.links.v[1].forgotten, LINK_NEW_ADDRESS);
	ck_assert_int_eq(m.links.v[0].forgotten, LINK_STAYS);
	links_rebound(&m.links, journal, 1011, 0, LINK_NEW_ADDRESS);
	links_rebound(&m.links, journal, 1011, 1, LINK_NEW_PORT);
	ck_assert_str_eq(told, "A[2]:net.fault=blackhole A[2]:net.fault=drop A[2]:net.fault=rebind_port "
			       "A[2]:net.fault=rebind_address A[1]:net.rebound=address A[2]:net.rebound=port ");
	ck_assert_str_eq(links_rebind_name(LINK_NEW_PORT), "port");
	ck_assert_str_eq(links_rebind_name(LINK_NEW_ADDRESS), "address");
	links_act(&m.links, journal, 1011, 2, &(struct plan_net){.what = PLAN_NET_BLACKHOLE, .length = 10}); /* nobody's */
	journal_free(journal);
	drop(&m);
}
END_TEST

START_TEST(a_plan_that_is_wrong)
{
	struct made m;

	make(&m, "\"groups\":[{\"name\":\"A\",\"count\":1,\"network\":{\"weather\":1}}]");
	ck_assert_int_eq(m.rv, ERR_PARSE);
	ck_assert_ptr_nonnull(strstr(m.e.text, "no 'weather'"));
	drop(&m);
}
END_TEST

/* A device fewer before it: the same losses. */
START_TEST(draws_go_by_the_device_s_name)
{
	struct made a, b;

	make(&a, "\"network\":{\"loss\":0.5},\"groups\":[{\"name\":\"A\",\"count\":3},{\"name\":\"B\",\"count\":1}]");
	make(&b, "\"network\":{\"loss\":0.5},\"groups\":[{\"name\":\"A\",\"count\":2},{\"name\":\"B\",\"count\":1}]");
	for (unsigned i = 0; i < 200; i++)
		ck_assert_int_eq(pass(&a, 3, LINK_UP, i), pass(&b, 2, LINK_UP, i));
	drop(&a);
	drop(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("links");
	TCase *t = tcase_create("links");
	SRunner *r;
	int failed;

	tcase_add_test(t, none_where_nobody_asks);
	tcase_add_test(t, each_group_its_own);
	tcase_add_test(t, an_action_is_enough);
	tcase_add_test(t, a_plan_that_is_wrong);
	tcase_add_test(t, draws_go_by_the_device_s_name);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
