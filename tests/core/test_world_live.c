/* The live world: files, clocks, and QUIC over real UDP on the loopback interface. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/settings.h"
#include "core/world_live.h"
#include "core/world_live_internal.h"
#include "tests/core/quic_rig.h"

/* ---- storage ---- */

static char folder[] = "/tmp/quicrig-live-XXXXXX";
static struct storage *st;

static void storage_setup(void)
{
	char sub[64];

	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(sub, sizeof(sub), "%s/made", folder);
	st = live_storage_new(sub, NULL);
	ck_assert_ptr_nonnull(st);
}

static void storage_teardown(void)
{
	char sub[64];

	st->ops->remove(st, "a");
	st->ops->remove(st, "b");
	live_storage_free(st);
	snprintf(sub, sizeof(sub), "%s/made", folder);
	ck_assert_int_eq(rmdir(sub), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(storage_round)
{
	struct buf b;
	char got[4];

	ck_assert_int_eq(st->ops->size(st, "a"), ERR_NOTFOUND);
	ck_assert_int_eq(st->ops->pread(st, "a", 0, got, 4), ERR_NOTFOUND);
	ck_assert_int_eq(st->ops->sync(st, "a"), ERR_NOTFOUND);
	ck_assert_int_eq(st->ops->pwrite(st, "a", 2, "cdef", 4), 0);
	ck_assert_int_eq(st->ops->pwrite(st, "a", 0, "ab", 2), 0);
	ck_assert_int_eq(st->ops->sync(st, "a"), 0);
	ck_assert_int_eq(st->ops->size(st, "a"), 6);
	ck_assert_int_eq(st->ops->pread(st, "a", 4, got, 4), 2);
	ck_assert_mem_eq(got, "ef", 2);
	ck_assert_int_eq(st->ops->truncate(st, "a", 3), 0);
	ck_assert_int_eq(st->ops->rename(st, "a", "b"), 0);
	ck_assert_int_eq(st->ops->sync_dir(st), 0);
	ck_assert_int_eq(st->ops->rename(st, "a", "b"), ERR_NOTFOUND);
	buf_init(&b, 100);
	ck_assert_int_eq(storage_read(st, "b", &b), 0);
	ck_assert_str_eq(b.data, "abc");
	buf_fini(&b);
	ck_assert_int_eq(st->ops->remove(st, "b"), 0);
	ck_assert_int_eq(st->ops->remove(st, "b"), ERR_NOTFOUND);
}
END_TEST

START_TEST(storage_keeps_to_its_folder)
{
	static const char *const names[] = {"", ".", "..", "../a", "/etc/passwd", "a/b"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_int_eq(st->ops->pwrite(st, names[i], 0, "x", 1), ERR_INVALID);
	ck_assert_int_eq(st->ops->rename(st, "a", "../a"), ERR_INVALID);
	ck_assert_int_eq(st->ops->remove(st, "../a"), ERR_INVALID);
}
END_TEST

START_TEST(storage_without_a_folder)
{
	struct err e = {0};

	ck_assert_ptr_null(live_storage_new("/dev/null/there", &e));
	ck_assert_int_eq(e.code, ERR_ENVIRONMENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/dev/null/there"));
}
END_TEST

/* ---- clocks and randomness ---- */

START_TEST(clocks)
{
	struct instant a, b;
	char one[LIVE_BOOT_ID_LEN + 1], two[LIVE_BOOT_ID_LEN + 1];
	uint8_t x[16] = {0}, y[16] = {0};

	live_clock(&a);
	live_clock(&b);
	ck_assert(b.now >= a.now && b.boot >= a.boot);
	ck_assert(b.unix_ms > INT64_C(1600000000000));
	ck_assert_int_eq(live_boot_id(one, NULL), 0);
	ck_assert_int_eq(live_boot_id(two, NULL), 0);
	ck_assert_str_eq(one, two);
	secret_fill(live_secret(), x, sizeof(x));
	secret_fill(live_secret(), y, sizeof(y));
	ck_assert_mem_ne(x, y, sizeof(x));
}
END_TEST

/* ---- UDP ---- */

static struct live_socket *open_at(const char *where, bool server, struct err *e)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(where, &a), 0);
	return live_socket_open(&a, server, e);
}

START_TEST(busy_port)
{
	struct live_socket *s = open_at("127.0.0.1:0", true, NULL);
	char where[64];
	struct err e = {0};

	ck_assert_ptr_nonnull(s);
	addr_format(live_socket_local(s), where, sizeof(where));
	ck_assert_ptr_null(open_at(where, true, &e));
	ck_assert_int_eq(e.code, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "is busy: another server?"));
	live_socket_close(s);
	memset(&e, 0, sizeof(e));
	ck_assert_ptr_null(open_at("192.0.2.1:0", true, &e));
	ck_assert_int_eq(e.code, ERR_ENVIRONMENT);
}
END_TEST

/* An endpoint on a socket. */
struct end {
	struct quic_endpoint *ep;
	struct live_loop *loop;
	struct live_socket *socket;
	struct live_actor *actor;
	uint64_t sent;
	int replies, good, wanted;
};

static void end_datagram(void *ctx, const struct instant *at, const struct addr *local,
			 const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	struct end *end = ctx;

	quic_input(end->ep, at, local, remote, ecn, data, len);
}

static void end_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct end *end = ctx;

	quic_expire(end->ep, at);
	quic_output(end->ep, at, sink);
}

static time_ns end_deadline(void *ctx)
{
	return quic_deadline(((struct end *)ctx)->ep);
}

static void end_sent(void *ctx, void *owner, unsigned n)
{
	(void)owner;
	((struct end *)ctx)->sent += n;
}

#define REPLY_LEN 8000

static void end_request(void *ctx, struct quic_conn *c, int64_t stream, enum quic_request_status status,
			const uint8_t *data, size_t len)
{
	static uint8_t body[REPLY_LEN];

	(void)ctx;
	(void)len;
	ck_assert_int_eq(status, QUIC_REPLY);
	body[0] = data[0];
	quic_respond(c, stream, body, sizeof(body));
}

static void end_reply(void *ctx, struct quic_conn *c, void *user, enum quic_request_status status,
		      const uint8_t *data, size_t len)
{
	struct end *end = ctx;

	(void)data;
	end->replies++;
	end->good += status == QUIC_REPLY && len == REPLY_LEN && (uintptr_t)user == data[0];
	quic_close(c, live_loop_now(end->loop), QUIC_APP_DONE, true, NULL);
	if (end->replies == end->wanted)
		live_loop_stop(end->loop);
}

static void end_start(struct end *end, struct live_loop *loop, const char *where, struct quic_config *cfg)
{
	struct live_turn turn = {end_datagram, end_turn, end_deadline, end_sent, end};
	struct err e = {0};

	memset(end, 0, sizeof(*end));
	end->loop = loop;
	cfg->secret = live_secret();
	cfg->ctx = end;
	cfg->keylog = NULL;
	end->ep = quic_endpoint_new(cfg, NULL);
	end->socket = open_at(where, cfg->server, &e);
	ck_assert_msg(end->socket != NULL, "%s", e.text);
	end->actor = live_attach(loop, &turn, end->socket);
	ck_assert(end->ep && end->actor);
}

static void end_stop(struct end *end)
{
	live_detach(end->actor);
	live_socket_close(end->socket);
	quic_endpoint_free(end->ep);
}

static void give_up(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	ev_break(ev, EVBREAK_ALL);
}

static const struct {
	const char *server, *client, *target;
} places[] = {
	{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
	{"0.0.0.0:0", "0.0.0.0:0", "127.0.0.1"},
	{"[::1]:0", "[::1]:0", "[::1]"},
};

START_TEST(quic_over_udp)
{
	static struct rig rig; /* for its configurations */
	struct quic_credentials *cs, *cc;
	struct live_loop *loop = live_loop_new(NULL);
	struct live_socket_stats stats;
	struct end server, client;
	struct addr target;
	struct instant at;
	ev_timer limit;
	char where[64];
	uintptr_t i;

	rig_init(&rig);
	gnutls_global_set_time_function(time);
	rig.server_cfg.credentials = cs = rig_server_credentials();
	rig.client_cfg.credentials = cc = rig_client_credentials(&rig_keys.fleet);
	rig.server_cfg.on = (struct quic_callbacks){.request = end_request};
	rig.client_cfg.on = (struct quic_callbacks){.reply = end_reply};
	rig.server_cfg.half_open_retry = SETTING_OFF;
	end_start(&server, loop, places[_i].server, &rig.server_cfg);
	end_start(&client, loop, places[_i].client, &rig.client_cfg);
	snprintf(where, sizeof(where), "%s:%u", places[_i].target,
		 ntohs(live_socket_local(server.socket)->u.in.sin_port));
	ck_assert_int_eq(addr_parse(where, &target), 0);
	client.wanted = 50;
	live_clock(&at);
	for (i = 1; i <= 50; i++) {
		struct quic_conn *c = quic_connect(client.ep, &at, live_socket_local(client.socket), &target,
						   "server.test", NULL, (void *)i, NULL);
		uint8_t body[100] = {(uint8_t)i};

		ck_assert_ptr_nonnull(c);
		ck_assert_int_eq(quic_request(c, body, sizeof(body), (void *)i), 0);
	}
	ev_timer_init(&limit, give_up, 20., 0.);
	ev_timer_start(live_loop_ev(loop), &limit);
	live_loop_run(loop);
	ev_timer_stop(live_loop_ev(loop), &limit);
	ck_assert_int_eq(client.replies, 50);
	ck_assert_int_eq(client.good, 50);
	live_socket_stats(server.socket, &stats);
	ck_assert_uint_eq(stats.sent, server.sent);
	ck_assert_uint_eq(stats.send_errors, 0);
	ck_assert_uint_lt(stats.send_calls, stats.sent); /* batches */
	end_stop(&client);
	end_stop(&server);
	live_loop_free(loop);
	quic_credentials_free(cs);
	quic_credentials_free(cc);
}
END_TEST

/* ---- a full socket ---- */

#define FLOOD 400

static int full_calls; /* so many calls find the socket full */
static bool halves;    /* each call takes only half of what it is given */

/* In the place of libc's: the loopback interface never lets a socket be full. */
int sendmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
	if (full_calls > 0) {
		full_calls--;
		errno = EAGAIN;
		return -1;
	}
	return (int)syscall(SYS_sendmmsg, fd, vec, halves && n > 1 ? n / 2 : n, flags);
}

struct flood {
	struct live_loop *loop;
	struct addr target;
	int left, refused;
	int drain_fd;
	unsigned drained;
};

static void flood_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct flood *f = ctx;
	uint8_t *space;

	(void)at;
	while (f->left > 0) {
		space = sink->space(sink, 3 * 1000);
		if (!space) {
			f->refused++;
			return;
		}
		memset(space, f->left & 0xff, 2500);
		sink->send(sink, NULL, &f->target, &f->target, 2500, 1000, 2);
		f->left--;
	}
}

static void on_drain(struct ev_loop *ev, ev_timer *w, int events)
{
	struct flood *f = w->data;
	char part[2000];
	ssize_t n;

	(void)ev;
	(void)events;
	while ((n = recv(f->drain_fd, part, sizeof(part), MSG_DONTWAIT)) > 0)
		f->drained += n == 1000 || n == 500;
	if (f->drained == 3 * FLOOD)
		live_loop_stop(f->loop);
}

START_TEST(a_full_socket_keeps_what_it_has)
{
	struct live_loop *loop = live_loop_new(NULL);
	struct live_socket *s = open_at("127.0.0.1:0", false, NULL), *to = open_at("127.0.0.1:0", true, NULL);
	struct flood f = {.loop = loop,
			  .left = FLOOD,
			  .drain_fd = live_socket_fd(to),
			  .target = *live_socket_local(to)};
	struct live_turn turn = {.turn = flood_turn, .ctx = &f};
	struct live_actor *a = live_attach(loop, &turn, s);
	struct live_socket_stats stats;
	ev_timer drain, limit;
	int no = 0;

	full_calls = 7;
	halves = true;
	setsockopt(f.drain_fd, IPPROTO_UDP, 104 /* UDP_GRO: this test counts datagrams */, &no, sizeof(no));
	ev_timer_init(&drain, on_drain, .02, .005);
	drain.data = &f;
	ev_timer_start(live_loop_ev(loop), &drain);
	ev_timer_init(&limit, give_up, 20., 0.);
	ev_timer_start(live_loop_ev(loop), &limit);
	live_loop_run(loop);
	halves = false;
	ck_assert_uint_eq(f.drained, 3 * FLOOD);
	live_socket_stats(s, &stats);
	ck_assert_uint_eq(stats.full, 7);
	ck_assert_int_gt(f.refused, 0);
	ck_assert_uint_eq(stats.send_errors, 0);
	ev_timer_stop(live_loop_ev(loop), &drain);
	ev_timer_stop(live_loop_ev(loop), &limit);
	live_detach(a);
	live_socket_close(s);
	live_socket_close(to);
	live_loop_free(loop);
}
END_TEST

/* ---- timers ---- */

struct ticks {
	struct live_loop *loop;
	time_ns next;
	int n;
};

static void tick_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct ticks *t = ctx;

	ck_assert_ptr_null(sink);
	if (at->now < t->next)
		return;
	t->next = at->now + 5 * NS_PER_MS;
	if (++t->n == 3)
		usleep(30000); /* the rig itself is slow here */
	if (t->n == 5)
		live_loop_stop(t->loop);
}

static time_ns tick_deadline(void *ctx)
{
	return ((struct ticks *)ctx)->next;
}

START_TEST(lag_is_seen)
{
	struct live_loop *loop = live_loop_new(NULL);
	struct ticks t = {loop, 0, 0};
	struct live_turn turn = {.turn = tick_turn, .deadline = tick_deadline, .ctx = &t};
	struct live_actor *a = live_attach(loop, &turn, NULL);
	time_ns lag;

	live_loop_run(loop);
	ck_assert_int_eq(t.n, 5);
	lag = live_loop_take_lag(loop);
	ck_assert_uint_ge(lag, 20 * NS_PER_MS);
	ck_assert_uint_eq(live_loop_take_lag(loop), 0);
	live_detach(a);
	live_loop_free(loop);
}
END_TEST

/* Nothing is due, nothing comes, and still it is seen that the process was held up. */
struct held {
	struct live_loop *loop;
	int turns;
};

static void held_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct held *h = ctx;

	(void)at;
	(void)sink;
	if (++h->turns == 2)
		usleep(30000);
	if (h->turns == 4)
		live_loop_stop(h->loop);
}

START_TEST(lag_is_seen_without_a_deadline)
{
	struct live_loop *loop = live_loop_new(NULL);
	struct held h = {loop, 0};
	struct live_turn turn = {.turn = held_turn, .ctx = &h};
	struct live_actor *a = live_attach(loop, &turn, NULL);

	live_loop_watch(loop); /* else it would sleep for ever */
	live_loop_run(loop);
	ck_assert_int_eq(h.turns, 4);
	ck_assert_uint_ge(live_loop_take_lag(loop), 30 * NS_PER_MS);
	live_detach(a);
	live_loop_free(loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("world_live");
	TCase *files = tcase_create("storage"), *net = tcase_create("net");
	SRunner *runner;
	int failed;

	rig_keys_make_at(time(NULL));
	tcase_add_checked_fixture(files, storage_setup, storage_teardown);
	tcase_add_test(files, storage_round);
	tcase_add_test(files, storage_keeps_to_its_folder);
	tcase_add_test(files, storage_without_a_folder);
	tcase_set_timeout(net, 60);
	tcase_add_test(net, clocks);
	tcase_add_test(net, busy_port);
	tcase_add_loop_test(net, quic_over_udp, 0, (int)(sizeof(places) / sizeof(places[0])));
	tcase_add_test(net, a_full_socket_keeps_what_it_has);
	tcase_add_test(net, lag_is_seen);
	tcase_add_test(net, lag_is_seen_without_a_deadline);
	suite_add_tcase(s, files);
	suite_add_tcase(s, net);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	rig_keys_free();
	return failed ? 1 : 0;
}
