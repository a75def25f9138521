/* The links before real sockets: datagrams of "devices" through the model to a UDP
 * socket that stands for the server, and back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hil/run/live_net.h"

#define DEVICES 3
#define MS(n)	((n) * NS_PER_MS)
#define TOO_LONG 65536 /* bytes; IPv4 and UDP have 16 bits for a length */

static struct {
	struct live_loop *loop;
	struct live_actor *actor;
	struct live_net *net;
	struct link_spec spec;
	struct link links[DEVICES];
	struct links all;
	int server;
	struct addr server_addr;
	char send[64];	  /* "012": these devices speak in the next turn, one byte each; '!': the
			   * first one, more than a datagram holds */
	char arrived[64]; /* "0x 1y": to which device, what */
	char rebound[64];
	time_ns last; /* when something arrived */
} t;

static void on_datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
			unsigned ecn, const uint8_t *data, size_t len)
{
	size_t n = strlen(t.arrived);

	(void)ctx;
	ck_assert_uint_eq(ecn, 0);
	ck_assert(addr_equal(remote, &t.server_addr));
	snprintf(t.arrived + n, sizeof(t.arrived) - n, "%u%.*s ", ntohs(local->u.in.sin_port) - 30000u, (int)len,
		 (const char *)data);
	t.last = at->now;
}

static void on_turn(void *ctx, const struct instant *at, struct dgram_sink *none)
{
	struct dgram_sink *sink = live_net_sink(t.net);

	(void)ctx;
	(void)none;
	live_net_arrive(t.net, at, on_datagram, NULL);
	for (const char *p = t.send; *p; p++) {
		struct addr local = *live_net_inside(t.net);

		local.u.in.sin_port = htons((uint16_t)(30000 + (*p == '!' ? 0 : *p - '0')));
		memset(sink->space(sink, TOO_LONG), *p, TOO_LONG);
		sink->send(sink, NULL, &local, &t.server_addr, *p == '!' ? TOO_LONG : 1, 0, 0);
	}
	t.send[0] = '\0';
	live_net_leave(t.net, at);
}

static time_ns on_deadline(void *ctx)
{
	(void)ctx;
	/* the loop never sleeps for long: nobody else would wake it */
	return time_min(live_net_deadline(t.net), live_loop_now(t.loop)->now + MS(2));
}

static void on_rebound(void *ctx, const struct instant *at, unsigned which, enum link_rebind what)
{
	size_t n = strlen(t.rebound);

	(void)ctx;
	(void)at;
	snprintf(t.rebound + n, sizeof(t.rebound) - n, "%u:%s ", which, links_rebind_name(what));
}

static void begin(struct link_spec spec)
{
	struct live_turn turn = {.turn = on_turn, .deadline = on_deadline};
	struct timeval limit = {.tv_sec = 5};
	struct live_net_config c = {.links = &t.all, .rebound = on_rebound};
	socklen_t len = sizeof(t.server_addr.u);
	struct addr any;
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	t.spec = spec;
	t.loop = live_loop_new(&e);
	t.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	addr_parse("127.0.0.1:0", &any);
	ck_assert_int_eq(bind(t.server, &any.u.sa, any.len), 0);
	ck_assert_int_eq(getsockname(t.server, &t.server_addr.u.sa, &len), 0);
	t.server_addr.len = len;
	setsockopt(t.server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (unsigned i = 0; i < DEVICES; i++)
		link_init(&t.links[i], &t.spec, 1, "x");
	t.all = (struct links){.v = t.links, .n = DEVICES};
	links_start(&t.all, live_loop_now(t.loop)->now);
	c.loop = t.loop;
	c.server = t.server_addr;
	t.net = live_net_new(&c, &e);
	ck_assert_msg(t.net != NULL, "%s", e.text);
	t.actor = live_attach(t.loop, &turn, NULL);
}

static void end(void)
{
	live_detach(t.actor);
	live_net_free(t.net);
	live_loop_free(t.loop);
	close(t.server);
}

static void end_well(void)
{
	ck_assert_str_eq(live_net_error(t.net), "");
	end();
}

/* Lets these devices speak and the loop run until it has nothing under way. */
static void speak(const char *devices)
{
	snprintf(t.send, sizeof(t.send), "%s", devices);
	do
		live_loop_once(t.loop);
	while (live_net_deadline(t.net) != TIME_NEVER);
}

/* What the server hears next, and from where. */
static char hear(struct addr *from)
{
	char c = '-';

	from->len = sizeof(from->u);
	if (recvfrom(t.server, &c, 1, 0, &from->u.sa, &from->len) != 1)
		return '-';
	return c;
}

static void answer(const struct addr *to, const char *text)
{
	ck_assert_int_eq(sendto(t.server, text, strlen(text), 0, &to->u.sa, to->len), (ssize_t)strlen(text));
}

/* Until something arrived, or 300 ms are over. */
static void listen_for(unsigned count)
{
	struct instant at;
	time_ns limit;

	live_clock(&at);
	limit = at.now + MS(300);
	while (strlen(t.arrived) < 3 * count && at.now < limit) {
		live_loop_once(t.loop);
		live_clock(&at);
	}
}

START_TEST(each_device_has_a_socket_of_its_own)
{
	struct addr a, b, c;

	begin((struct link_spec){0});
	speak("01");
	ck_assert_int_eq(hear(&a), '0');
	ck_assert_int_eq(hear(&b), '1');
	ck_assert(!addr_equal(&a, &b));
	answer(&b, "y");
	answer(&a, "x");
	listen_for(2);
	ck_assert(strstr(t.arrived, "0x ") && strstr(t.arrived, "1y "));
	speak("0");
	ck_assert_int_eq(hear(&c), '0');
	ck_assert(addr_equal(&c, &a)); /* and keeps it */
	end_well();
}
END_TEST

START_TEST(a_delay_in_real_time)
{
	struct instant from;
	struct addr a;

	begin((struct link_spec){.delay = MS(40)});
	live_clock(&from);
	speak("0");
	ck_assert_int_eq(hear(&a), '0');
	answer(&a, "x");
	listen_for(1);
	ck_assert_str_eq(t.arrived, "0x ");
	ck_assert_uint_ge(t.last - from.now, MS(80));
	end_well();
}
END_TEST

START_TEST(what_the_model_takes_never_leaves)
{
	struct addr a;

	begin((struct link_spec){.drop = {0x5, 0x1}}); /* first and third up, first down */
	speak("000");
	ck_assert_int_eq(hear(&a), '0');
	ck_assert_int_eq(recv(t.server, &(char){0}, 1, MSG_DONTWAIT), -1);
	answer(&a, "x");
	answer(&a, "y");
	listen_for(1);
	ck_assert_str_eq(t.arrived, "0y ");
	end_well();
}
END_TEST

START_TEST(what_the_kernel_refuses_takes_nothing_along)
{
	struct addr a;

	begin((struct link_spec){0});
	speak("!0");
	ck_assert_int_eq(hear(&a), '0');
	end_well();
}
END_TEST

START_TEST(a_rebound_device_comes_from_elsewhere)
{
	struct addr first, second, third;

	begin((struct link_spec){0});
	speak("0");
	ck_assert_int_eq(hear(&first), '0');
	link_rebind(&t.links[0], LINK_NEW_PORT);
	speak("00");
	ck_assert_int_eq(hear(&second), '0');
	ck_assert_int_eq(hear(&third), '0');
	ck_assert_str_eq(t.rebound, "0:port ");
	ck_assert(addr_equal(&second, &third));
	ck_assert_uint_eq(first.u.in.sin_addr.s_addr, second.u.in.sin_addr.s_addr);
	ck_assert_uint_ne(first.u.in.sin_port, second.u.in.sin_port);
	answer(&first, "x"); /* nobody is there any more */
	answer(&second, "y");
	listen_for(1);
	ck_assert_str_eq(t.arrived, "0y ");
	link_rebind(&t.links[0], LINK_NEW_ADDRESS);
	speak("0");
	ck_assert_int_eq(hear(&third), '0');
	ck_assert_str_eq(t.rebound, "0:port 0:address ");
	ck_assert_uint_ne(third.u.in.sin_addr.s_addr, second.u.in.sin_addr.s_addr);
	end_well();
}
END_TEST

/* What came to the old address while the datagram that makes the new one was under way. */
START_TEST(the_old_address_is_gone_at_once)
{
	struct addr first, second;

	begin((struct link_spec){0});
	speak("0");
	ck_assert_int_eq(hear(&first), '0');
	t.spec.delay = MS(30);
	link_rebind(&t.links[0], LINK_NEW_PORT);
	snprintf(t.send, sizeof(t.send), "0");
	answer(&first, "x");
	do
		live_loop_once(t.loop);
	while (live_net_deadline(t.net) != TIME_NEVER);
	ck_assert_int_eq(hear(&second), '0');
	ck_assert(!addr_equal(&first, &second));
	answer(&second, "y");
	listen_for(1);
	ck_assert_str_eq(t.arrived, "0y ");
	end_well();
}
END_TEST

START_TEST(a_stranger_is_not_the_server)
{
	struct addr a;
	int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	begin((struct link_spec){0});
	speak("0");
	ck_assert_int_eq(hear(&a), '0');
	ck_assert_int_eq(sendto(stranger, "z", 1, 0, &a.u.sa, a.len), 1);
	answer(&a, "x");
	listen_for(1);
	ck_assert_str_eq(t.arrived, "0x ");
	close(stranger);
	end_well();
}
END_TEST

/* The rig's own failure, and no device's. */
START_TEST(no_more_sockets)
{
	struct rlimit before, none;
	struct addr a;

	begin((struct link_spec){0});
	speak("0");
	ck_assert_int_eq(hear(&a), '0');
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	speak("1");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_str_eq(live_net_error(t.net), "no UDP socket for a device: Too many open files");
	speak("0"); /* who has one keeps it */
	ck_assert_int_eq(hear(&a), '0');
	end();
}
END_TEST

START_TEST(too_many_devices)
{
	struct links many = {.n = LIVE_NET_MAX + 1};
	struct live_net_config c = {.links = &many};
	struct err e = {0};

	ck_assert_ptr_null(live_net_new(&c, &e));
	ck_assert_int_eq(e.code, ERR_LIMIT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("live_net");
	TCase *c = tcase_create("live_net");
	SRunner *r;
	int failed;

	tcase_add_test(c, each_device_has_a_socket_of_its_own);
	tcase_add_test(c, a_delay_in_real_time);
	tcase_add_test(c, what_the_model_takes_never_leaves);
	tcase_add_test(c, what_the_kernel_refuses_takes_nothing_along);
	tcase_add_test(c, a_rebound_device_comes_from_elsewhere);
	tcase_add_test(c, the_old_address_is_gone_at_once);
	tcase_add_test(c, a_stranger_is_not_the_server);
	tcase_add_test(c, no_more_sockets);
	tcase_add_test(c, too_many_devices);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
