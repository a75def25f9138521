/* The virtual world: order, links, clocks, secrets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world_virtual.h"

struct node {
	struct world_virtual *w;
	struct addr addr, peer;
	char log[512];
	unsigned echo; /* datagrams that it answers */
	bool pending;
	time_ns deadline;
	unsigned turns;
	int64_t seen_ms;
};

static void note(struct node *n, const char *what, time_ns t)
{
	size_t len = strlen(n->log);

	snprintf(n->log + len, sizeof(n->log) - len, "%s@%llu ", what, (unsigned long long)((t - NS_PER_S) / NS_PER_MS));
}

static void datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	struct node *n = ctx;
	char text[32];

	(void)ecn;
	ck_assert(addr_equal(local, &n->addr));
	ck_assert(addr_equal(remote, &n->peer));
	snprintf(text, sizeof(text), "got:%.*s", (int)len, (const char *)data);
	note(n, text, at->now);
	n->seen_ms = at->unix_ms;
	if (n->echo) {
		n->echo--;
		n->pending = true;
	}
}

static void turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct node *n = ctx;

	n->turns++;
	if (n->deadline <= at->now) {
		note(n, "due", at->now);
		n->deadline = TIME_NEVER;
		n->pending = true;
	}
	if (n->pending) {
		uint8_t *p = sink->space(sink, 5);

		memcpy(p, "aabbc", 5);
		sink->send(sink, n, &n->addr, &n->peer, 5, 2, 0); /* three datagrams */
		n->pending = false;
	}
}

static time_ns deadline(void *ctx)
{
	return ((struct node *)ctx)->deadline;
}

static int add(struct world_virtual *w, struct node *n, const char *name, const char *addr, const char *peer)
{
	struct world_actor a = {name, datagram, turn, deadline, n};

	memset(n, 0, sizeof(*n));
	n->w = w;
	n->deadline = TIME_NEVER;
	ck_assert_int_eq(addr_parse(addr, &n->addr), 0);
	ck_assert_int_eq(addr_parse(peer, &n->peer), 0);
	return world_virtual_add(w, &a, &n->addr);
}

START_TEST(datagrams_take_their_time_and_keep_their_order)
{
	struct world_virtual *w = world_virtual_new(1, 2 * NS_PER_MS, NULL);
	struct node a, b;

	add(w, &a, "a", "10.0.0.1:1", "10.0.0.2:1");
	add(w, &b, "b", "10.0.0.2:1", "10.0.0.1:1");
	a.deadline = NS_PER_S + 5 * NS_PER_MS;
	b.echo = 1;
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(a.log, "due@5 got:aa@9 got:bb@9 got:c@9 ");
	ck_assert_str_eq(b.log, "got:aa@7 got:bb@7 got:c@7 ");
	ck_assert_uint_eq(b.turns, 2); /* one at the start, one for the burst: a commit a turn */
	ck_assert_uint_eq(world_virtual_datagrams(w), 6);
	world_virtual_free(w);
}
END_TEST

START_TEST(nobody_lives_there)
{
	struct world_virtual *w = world_virtual_new(1, NS_PER_MS, NULL);
	struct node a, b;
	int id;

	add(w, &a, "a", "10.0.0.1:1", "10.0.0.2:1");
	id = add(w, &b, "b", "10.0.0.2:1", "10.0.0.1:1");
	a.deadline = NS_PER_S + NS_PER_MS;
	world_virtual_run_to(w, a.deadline);
	world_virtual_remove(w, id); /* on its way: dropped on arrival */
	world_virtual_run_to(w, 2 * NS_PER_S);
	ck_assert_str_eq(b.log, "");
	ck_assert_uint_eq(world_virtual_dropped(w), 3);
	ck_assert_uint_eq(world_virtual_now(w, -1).now, 2 * NS_PER_S);
	ck_assert_int_eq(add(w, &b, "b", "10.0.0.2:1", "10.0.0.1:1"), id);
	a.deadline = 2 * NS_PER_S;
	world_virtual_run_to(w, 3 * NS_PER_S);
	ck_assert_str_eq(b.log, "got:aa@1001 got:bb@1001 got:c@1001 ");
	world_virtual_free(w);
}
END_TEST

static void again(void *ctx, const struct instant *at)
{
	note(ctx, "again", at->now);
}

START_TEST(calls_come_by_time_then_by_order)
{
	struct world_virtual *w = world_virtual_new(1, NS_PER_MS, NULL);
	struct node a;

	memset(&a, 0, sizeof(a));
	ck_assert_int_eq(world_virtual_at(w, NS_PER_S + 3 * NS_PER_MS, again, &a), 0);
	ck_assert_int_eq(world_virtual_at(w, NS_PER_S + NS_PER_MS, again, &a), 0);
	ck_assert_int_eq(world_virtual_at(w, NS_PER_S + 3 * NS_PER_MS, again, &a), 0);
	ck_assert_int_eq(world_virtual_at(w, 0, again, &a), 0); /* past: now */
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(a.log, "again@0 again@1 again@3 again@3 ");
	ck_assert(!world_virtual_step(w));
	world_virtual_free(w);
}
END_TEST

static time_ns always_now(void *ctx)
{
	(void)ctx;
	return 0;
}

/* ngtcp2 can leave a deadline in the past (ngtcp2-notes, trap 1). */
START_TEST(a_stuck_deadline_does_not_stop_time)
{
	struct world_virtual *w = world_virtual_new(1, NS_PER_MS, NULL);
	struct node a;
	struct world_actor stuck = {"stuck", NULL, turn, always_now, &a};

	memset(&a, 0, sizeof(a));
	a.w = w;
	a.deadline = TIME_NEVER;
	world_virtual_add(w, &stuck, NULL);
	for (int i = 0; i < 30000; i++)
		ck_assert(world_virtual_step(w));
	ck_assert_uint_gt(world_virtual_now(w, -1).now, WORLD_VIRTUAL_START);
	world_virtual_free(w);
}
END_TEST

START_TEST(clocks_and_secrets)
{
	struct world_virtual *w = world_virtual_new(1, NS_PER_MS, NULL), *v = world_virtual_new(1, NS_PER_MS, NULL);
	struct secret_source *s = world_virtual_secret(w, "fleet"), *t = world_virtual_secret(w, "server"),
			     *u = world_virtual_secret(v, "fleet");
	struct node a, b;
	uint8_t x[16], y[16], z[16];
	int ia = add(w, &a, "a", "10.0.0.1:1", "10.0.0.2:1"), ib = add(w, &b, "b", "10.0.0.2:1", "10.0.0.1:1");

	secret_fill(s, x, 16);
	secret_fill(t, y, 16);
	secret_fill(u, z, 16);
	/* asked for again it goes on where it was: who starts again repeats nothing */
	ck_assert_ptr_eq(world_virtual_secret(w, "fleet"), s);
	ck_assert_int_ne(memcmp(x, y, 16), 0);
	ck_assert_int_eq(memcmp(x, z, 16), 0);
	ck_assert_int_eq(world_virtual_now(w, ia).unix_ms, WORLD_VIRTUAL_EPOCH_S * 1000);
	world_virtual_clock(w, ib, -86400000);
	a.deadline = NS_PER_S;
	world_virtual_run_to(w, 2 * NS_PER_S);
	ck_assert_int_eq(b.seen_ms, WORLD_VIRTUAL_EPOCH_S * 1000 + 1 - 86400000);
	ck_assert_uint_eq(world_virtual_now(w, ib).now, world_virtual_now(w, ia).now);
	world_virtual_free(w);
	world_virtual_free(v);
}
END_TEST

/* Who speaks from one address of a span is seen from another once its NAT forgot it, and
 * what goes to the old one is lost. */
struct behind {
	struct addr own, server, seen; /* seen: by the server, last */
	char got[64];
	unsigned send;
	bool to_old, server_speaks;
	char rebound[32];
};

static void inside_in(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		      unsigned ecn, const uint8_t *data, size_t len)
{
	struct behind *b = ctx;

	(void)at;
	(void)ecn;
	ck_assert(addr_equal(local, &b->own)); /* it never hears of it */
	ck_assert(addr_equal(remote, &b->server));
	strncat(b->got, (const char *)data, len);
}

static void inside_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct behind *b = ctx;

	(void)at;
	for (; b->send; b->send--) {
		memcpy(sink->space(sink, 1), "u", 1);
		sink->send(sink, NULL, &b->own, &b->server, 1, 0, 0);
	}
}

static void outside_in(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		       unsigned ecn, const uint8_t *data, size_t len)
{
	struct behind *b = ctx;

	(void)at;
	(void)local;
	(void)ecn;
	(void)data;
	(void)len;
	b->seen = *remote;
}

static void outside_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct behind *b = ctx;

	(void)at;
	if (!b->server_speaks)
		return;
	b->server_speaks = false;
	memcpy(sink->space(sink, 1), "d", 1);
	sink->send(sink, NULL, &b->server, b->to_old ? &b->own : &b->seen, 1, 0, 0);
}

static void on_rebound(void *ctx, const struct instant *at, unsigned which, enum link_rebind what)
{
	struct behind *b = ctx;

	(void)at;
	snprintf(b->rebound, sizeof(b->rebound), "%u:%d", which, (int)what);
}

START_TEST(behind_a_nat)
{
	struct world_virtual *w = world_virtual_new(1, 0, NULL);
	struct link_spec spec = {0};
	struct link links[3];
	struct behind b = {.send = 1};
	struct world_actor in = {"in", inside_in, inside_turn, NULL, &b}, out = {"out", outside_in, outside_turn, NULL, &b};
	struct world_span span = {.ports = 3, .links = links, .rebound = on_rebound, .ctx = &b};
	int inside, outside;

	addr_parse("127.0.0.1:30000", &span.base);
	addr_parse("127.0.0.1:30001", &b.own);
	addr_parse("127.0.0.1:1025", &b.server); /* which a NAT would give first, were it not the server's */
	for (int i = 0; i < 3; i++)
		link_init(&links[i], &spec, 1, "x");
	outside = world_virtual_add(w, &out, &b.server);
	inside = world_virtual_add(w, &in, NULL);
	ck_assert_int_eq(world_virtual_bind_span(w, inside, &span), 0);
	while (world_virtual_step(w))
		;
	ck_assert(addr_equal(&b.seen, &b.own));

	link_rebind(&links[1], LINK_NEW_PORT);
	b.server_speaks = true;
	world_virtual_touch(w, outside);
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(b.got, ""); /* the mapping is gone already */
	b.send = 1;
	world_virtual_touch(w, inside);
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(b.rebound, "1:1");
	ck_assert(!addr_equal(&b.seen, &b.own) && !addr_equal(&b.seen, &b.server));
	b.server_speaks = true;
	world_virtual_touch(w, outside);
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(b.got, "d");
	b.server_speaks = b.to_old = true;
	world_virtual_touch(w, outside);
	while (world_virtual_step(w))
		;
	ck_assert_str_eq(b.got, "d");
	ck_assert_uint_eq(world_virtual_lost(w), 2);
	world_virtual_free(w);
}
END_TEST

START_TEST(a_span_has_its_limits)
{
	struct world_virtual *w = world_virtual_new(1, 0, NULL);
	struct link_spec spec = {0};
	struct link link;
	struct world_span span = {.ports = 2, .links = &link};

	link_init(&link, &spec, 1, "x");
	addr_parse("127.0.0.1:65535", &span.base);
	ck_assert_int_eq(world_virtual_bind_span(w, 0, &span), ERR_LIMIT);
	addr_parse("[::1]:1", &span.base);
	ck_assert_int_eq(world_virtual_bind_span(w, 0, &span), ERR_LIMIT);
	world_virtual_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("world_virtual");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, datagrams_take_their_time_and_keep_their_order);
	tcase_add_test(t, nobody_lives_there);
	tcase_add_test(t, calls_come_by_time_then_by_order);
	tcase_add_test(t, a_stuck_deadline_does_not_stop_time);
	tcase_add_test(t, clocks_and_secrets);
	tcase_add_test(t, behind_a_nat);
	tcase_add_test(t, a_span_has_its_limits);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
