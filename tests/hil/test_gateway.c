/* The SMS gateway's socket, with a pool of fake workers (fake_worker.c) behind it. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hil/modems/gateway.h"

#define LATE_S 5.0

static struct {
	struct ev_loop *loop;
	struct pool *pool;
	struct gateway *gw;
	char dir[64], log[96], path[96], worker[512];
	struct modem_spec specs[2];
	struct pool_config cfg;
	time_ns clock_offset;
	int fd;
	char in[65536];
	size_t in_len;
} t;

static time_ns clock_of(void *ctx)
{
	(void)ctx;
	return (time_ns)(ev_time() * 1e9) + t.clock_offset;
}

static void on_deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	(void)ctx;
	(void)uuid;
	(void)from;
	(void)text;
}

static void setup(void)
{
	memset(&t, 0, sizeof(t));
	t.fd = -1;
	t.loop = ev_loop_new(EVFLAG_AUTO);
	snprintf(t.dir, sizeof(t.dir), "%s/quicrig-gw-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	snprintf(t.log, sizeof(t.log), "%s/log", t.dir);
	snprintf(t.path, sizeof(t.path), "%s/sms", t.dir);
	setenv("QUICRIG_FAKE_LOG", t.log, 1);
	snprintf(t.worker, sizeof(t.worker), "%s/quicrig-fake-worker",
		 getenv("QUICRIG_BIN") ? getenv("QUICRIG_BIN") : ".");
	t.cfg = (struct pool_config){.loop = t.loop,
				     .worker_path = t.worker,
				     .modems = t.specs,
				     .modem_count = 1,
				     .deliver = on_deliver,
				     .backoff_min_ns = 50 * NS_PER_MS};
	t.specs[0].name = "s1";
}

static void teardown(void)
{
	char cmd[128];

	if (t.fd >= 0)
		close(t.fd);
	if (t.pool)
		pool_quit(t.pool, 0);
	gateway_free(t.gw);
	pool_free(t.pool);
	ev_loop_destroy(t.loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", t.dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void step(double s)
{
	ev_run(t.loop, EVRUN_NOWAIT);
	usleep((useconds_t)(s * 1e6));
	ev_run(t.loop, EVRUN_NOWAIT);
}

static struct gateway *gateway(struct err *e)
{
	struct gateway_config c = {.loop = t.loop, .pool = t.pool, .path = t.path, .clock = clock_of};

	return gateway_new(&c, e);
}

static void start(const char *how)
{
	struct err e = {0};
	double end = ev_time() + LATE_S;

	t.specs[0].device = how;
	t.pool = pool_new(&t.cfg, &e);
	ck_assert_msg(t.pool != NULL, "%s", e.text);
	t.gw = gateway(&e);
	ck_assert_msg(t.gw != NULL, "%s", e.text);
	while (!pool_ready_count(t.pool, MODEM_BOTH) && !strstr(how, "absent") && ev_time() < end)
		step(0.01);
}

static int dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", t.path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	t.in_len = 0;
	return fd;
}

static void put(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else {
			ck_assert_int_eq(errno, EAGAIN);
		}
		step(0);
	}
}

/* The next line as JSON; NULL where none comes within `s`. The caller drops it. */
static json_t *get_within(int fd, double s)
{
	double end = ev_time() + s;
	char *nl;
	json_t *o;

	while (!(nl = memchr(t.in, '\n', t.in_len))) {
		ssize_t n = read(fd, t.in + t.in_len, sizeof(t.in) - t.in_len);

		if (n > 0) {
			t.in_len += (size_t)n;
			continue;
		}
		if (n == 0 || ev_time() > end)
			return NULL;
		step(0.002);
	}
	o = json_loadb(t.in, (size_t)(nl - t.in), 0, NULL);
	ck_assert_ptr_nonnull(o);
	t.in_len -= (size_t)(nl + 1 - t.in);
	memmove(t.in, nl + 1, t.in_len);
	return o;
}

static void expect(int fd, const char *id, const char *status)
{
	json_t *o = get_within(fd, LATE_S);

	ck_assert_msg(o != NULL, "no line for %s %s", id, status);
	ck_assert_str_eq(json_string_value(json_object_get(o, "id")), id);
	ck_assert_str_eq(json_string_value(json_object_get(o, "status")), status);
	json_decref(o);
}

static void expect_error(int fd)
{
	json_t *o = get_within(fd, LATE_S);

	ck_assert_ptr_nonnull(o);
	ck_assert_ptr_nonnull(json_object_get(o, "error"));
	/* no word of the line comes back, which may be a code */
	ck_assert_ptr_null(strstr(json_string_value(json_object_get(o, "error")), "AB12cd34EF56"));
	json_decref(o);
}

static void ask(int fd, const char *id)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "{\"id\":\"%s\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\",\"to\":\"+34600111222\","
		 "\"text\":\"hello\",\"r\":\"a1b2c3d4\"}\n",
		 id);
	put(fd, line);
}

static int sent(const char *id)
{
	char buf[256], want[64];
	FILE *f = fopen(t.log, "r");
	int n = 0;

	snprintf(want, sizeof(want), "s1 send %s\n", id);
	while (f && fgets(buf, sizeof(buf), f))
		n += strcmp(buf, want) == 0;
	if (f)
		fclose(f);
	return n;
}

START_TEST(queued_then_submitted)
{
	struct stat st;

	start("fake:ok");
	ck_assert_int_eq(stat(t.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	expect(t.fd, "a", "submitted");
	ck_assert_int_eq(sent("a"), 1);
}
END_TEST

START_TEST(failed_carries_the_code)
{
	json_t *o;

	start("fake:cms38");
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	o = get_within(t.fd, LATE_S);
	ck_assert_str_eq(json_string_value(json_object_get(o, "status")), "failed");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "cms")), 38);
	json_decref(o);
}
END_TEST

START_TEST(same_id_is_never_sent_twice)
{
	start("fake:slow");
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	expect(t.fd, "a", "submitted");
	ask(t.fd, "a");
	expect(t.fd, "a", "submitted");
	ck_assert_int_eq(sent("a"), 1);
	ck_assert_ptr_null(get_within(t.fd, 0.3));
}
END_TEST

START_TEST(unknown_stays_unknown)
{
	start("fake:die");
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	expect(t.fd, "a", "unknown");
	ask(t.fd, "a");
	expect(t.fd, "a", "unknown");
	ck_assert_int_eq(sent("a"), 1);
}
END_TEST

/* The server was killed and comes back: it repeats its ids and learns all of them. */
START_TEST(reconnect_learns_what_happened)
{
	start("fake:slow");
	t.fd = dial();
	ask(t.fd, "a");
	ask(t.fd, "b");
	expect(t.fd, "a", "queued");
	expect(t.fd, "b", "queued");
	close(t.fd);
	for (int i = 0; i < 30; i++)
		step(0.01);
	t.fd = dial();
	ask(t.fd, "a");
	ask(t.fd, "b");
	expect(t.fd, "a", "submitted");
	expect(t.fd, "b", "queued");
	expect(t.fd, "b", "submitted");
	ck_assert_int_eq(sent("a") + sent("b"), 2);
}
END_TEST

START_TEST(two_clients)
{
	int other;

	start("fake:slow");
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	other = dial();
	ask(other, "b");
	expect(other, "b", "queued");
	expect(other, "b", "submitted");
	ck_assert_ptr_null(get_within(other, 0.1));
	t.in_len = 0;
	expect(t.fd, "a", "submitted");
	close(other);
}
END_TEST

START_TEST(bad_lines_lose_nothing)
{
	static char big[3 * GATEWAY_LINE_MAX];
	static const char *const bad[] = {
		"hello\n",
		"{\"text\" \"AB12cd34EF56\"}\n",
		"[1,2]\n",
		"{\"id\":5,\"to\":\"+34600111222\",\"text\":\"x\"}\n",
		"{\"id\":\"\",\"to\":\"+34600111222\",\"text\":\"x\"}\n",
		"{\"id\":\"q\",\"to\":\"+34600111222\"}\n",
		"{\"id\":\"q\",\"to\":\"nobody\",\"text\":\"x\"}\n",
		"{\"id\":\"q\",\"to\":\"+34600111222\",\"text\":\"\"}\n",
		"{\"id\":\"q\",\"id\":\"q\",\"to\":\"+34600111222\",\"text\":\"x\"}\n",
		"{\"id\":\"q\\u0000\",\"to\":\"+34600111222\",\"text\":\"x\"}\n",
		"{\"id\":\"q\",\"to\":\"+34600111222\",\"text\":\"\xff\"}\n",
	};
	struct gateway_stats st;

	start("fake:ok");
	t.fd = dial();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(t.fd, bad[i]);
		expect_error(t.fd);
	}
	memset(big, 'x', sizeof(big) - 2);
	big[sizeof(big) - 2] = '\n';
	put(t.fd, big);
	expect_error(t.fd);
	put(t.fd, "\n\n");
	/* the connection goes on, and a refused id may be used */
	ask(t.fd, "q");
	expect(t.fd, "q", "queued");
	expect(t.fd, "q", "submitted");
	gateway_stats(t.gw, &st);
	ck_assert_uint_eq(st.bad, sizeof(bad) / sizeof(bad[0]) + 1);
	ck_assert_uint_eq(st.ids, 1);
}
END_TEST

START_TEST(lines_come_in_pieces)
{
	start("fake:ok");
	t.fd = dial();
	put(t.fd, "{\"id\":\"a\",\"to\":\"+346");
	put(t.fd, "00111222\",\"text\":\"x\"}\n{\"id\":\"b\",\"to\":\"+34600111222\",");
	put(t.fd, "\"text\":\"x\",\"extra\":[1]}\n");
	expect(t.fd, "a", "queued");
	expect(t.fd, "b", "queued");
	expect(t.fd, "a", "submitted");
	expect(t.fd, "b", "submitted");
}
END_TEST

START_TEST(busy_is_not_taken)
{
	json_t *o;
	char id[16];
	int i;

	start("fake:slow");
	t.fd = dial();
	for (i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		ask(t.fd, id);
		/* statuses of earlier ones come in between */
		do
			o = get_within(t.fd, LATE_S);
		while (o && strcmp(json_string_value(json_object_get(o, "id")), id) != 0 && (json_decref(o), true));
		ck_assert_ptr_nonnull(o);
		if (strcmp(json_string_value(json_object_get(o, "status")), "busy") == 0)
			break;
		json_decref(o);
	}
	ck_assert_int_lt(i, 200);
	ck_assert_int_gt(json_integer_value(json_object_get(o, "eta_s")), 60);
	json_decref(o);
	ck_assert_int_eq(sent(id), 0);
}
END_TEST

START_TEST(no_modem_is_busy)
{
	start("fake:absent");
	for (int i = 0; i < 20; i++)
		step(0.01);
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "busy");
	ask(t.fd, "a");
	expect(t.fd, "a", "busy");
}
END_TEST

START_TEST(ids_are_forgotten_after_a_day)
{
	struct gateway_stats st;

	start("fake:ok");
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	expect(t.fd, "a", "submitted");
	gateway_stats(t.gw, &st);
	ck_assert_uint_eq(st.ids, 1);
	t.clock_offset = GATEWAY_KEEP_NS + NS_PER_S;
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
	expect(t.fd, "a", "submitted");
	ck_assert_int_eq(sent("a"), 2);
}
END_TEST

START_TEST(client_that_does_not_read_is_closed)
{
	struct gateway_stats st;
	double end = ev_time() + LATE_S;

	start("fake:ok");
	t.fd = dial();
	do {
		/* one byte in gives a hundred out */
		(void)!write(t.fd, "x\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\n", 32);
		ev_run(t.loop, EVRUN_NOWAIT);
		gateway_stats(t.gw, &st);
	} while ((st.clients || !st.bad) && ev_time() < end);
	ck_assert_uint_eq(st.clients, 0);
	close(t.fd);
	t.fd = dial();
	ask(t.fd, "a");
	expect(t.fd, "a", "queued");
}
END_TEST

START_TEST(socket_path)
{
	struct gateway_config c = {.loop = t.loop};
	char path[300];
	struct err e = {0};
	struct gateway *second;
	int fd;

	start("fake:ok");
	/* a live one is not taken away */
	second = gateway(&e);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(e.code, ERR_EXISTS);
	/* a stale one is replaced */
	gateway_free(t.gw);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	{
		struct sockaddr_un sa = {.sun_family = AF_UNIX};

		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", t.path);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
		close(fd);
	}
	memset(&e, 0, sizeof(e));
	t.gw = gateway(&e);
	ck_assert_msg(t.gw != NULL, "%s", e.text);
	/* neither a file nor a folder that is missing, nor a name that is too long */
	snprintf(path, sizeof(path), "%s/file", t.dir);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	c.path = path;
	c.pool = t.pool;
	memset(&e, 0, sizeof(e));
	ck_assert_ptr_null(gateway_new(&c, &e));
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert_int_eq(access(path, F_OK), 0);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memset(&e, 0, sizeof(e));
	ck_assert_ptr_null(gateway_new(&c, &e));
	ck_assert_int_eq(e.code, ERR_INVALID);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gateway");
	TCase *tc = tcase_create("socket");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, queued_then_submitted);
	tcase_add_test(tc, failed_carries_the_code);
	tcase_add_test(tc, same_id_is_never_sent_twice);
	tcase_add_test(tc, unknown_stays_unknown);
	tcase_add_test(tc, reconnect_learns_what_happened);
	tcase_add_test(tc, two_clients);
	tcase_add_test(tc, bad_lines_lose_nothing);
	tcase_add_test(tc, lines_come_in_pieces);
	tcase_add_test(tc, busy_is_not_taken);
	tcase_add_test(tc, no_modem_is_busy);
	tcase_add_test(tc, ids_are_forgotten_after_a_day);
	tcase_add_test(tc, client_that_does_not_read_is_closed);
	tcase_add_test(tc, socket_path);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
