/* Pool, quicrig-modem, libgammu and emulated modems together: every code that goes in
 * comes out at its device, once. */
#include <check.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/smstext.h"
#include "hil/modems/pool.h"

#define SMS_COUNT 16
#define SENDERS   3
#define MODEMS    4

static struct {
	struct ev_loop *loop;
	char dir[64];
	pid_t emulator;
	int submitted, others, delivered[SMS_COUNT], all;
} t;

static void uuid_of(int i, char uuid[37])
{
	snprintf(uuid, 37, "ee9f2110-5843-11e9-a9ba-1%011d", i);
}

static void on_deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	struct smstext s;
	int i = atoi(uuid + 25);

	(void)ctx;
	ck_assert_int_eq(strncmp(from, "+346", 4), 0);
	ck_assert(smstext_parse(text, &s));
	ck_assert_int_lt(i, SMS_COUNT);
	t.delivered[i]++;
	t.all++;
}

static void on_done(void *ctx, const char *id, enum pool_status status, int cms, int ref)
{
	(void)ctx;
	(void)id;
	(void)cms;
	t.submitted += status == POOL_SUBMITTED && ref >= 0;
	t.others += status != POOL_SUBMITTED;
}

static void start_emulator(void)
{
	char path[600], ready[1024];
	int out[2];

	snprintf(t.dir, sizeof(t.dir), "%s/quicrig-live-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	snprintf(path, sizeof(path), "%s/quicrig-emulate-test", getenv("QUICRIG_BIN") ? getenv("QUICRIG_BIN") : ".");
	ck_assert_int_eq(pipe(out), 0);
	t.emulator = fork();
	if (t.emulator == 0) {
		dup2(out[1], 1);
		execl(path, "emulate", "--count", "4", "--link-dir", t.dir, NULL);
		_exit(127);
	}
	close(out[1]);
	ck_assert_int_gt(read(out[0], ready, sizeof(ready)), 0);
	close(out[0]);
}

static void nothing(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
}

static void until(const int *what, int want, double s)
{
	struct ev_timer step;
	double end = ev_time() + s;

	ev_timer_init(&step, nothing, 0.02, 0.02);
	ev_timer_start(t.loop, &step);
	while (ev_time() < end && *what < want)
		ev_run(t.loop, EVRUN_ONCE);
	ev_timer_stop(t.loop, &step);
	ck_assert_int_ge(*what, want);
}

START_TEST(every_code_arrives_once)
{
	static char devices[MODEMS][96];
	static const char *const names[MODEMS] = {"m1", "m2", "m3", "m4"};
	struct modem_spec specs[MODEMS];
	struct pool_config cfg;
	struct pool_stats st;
	struct err e = {0};
	struct pool *pool;
	char worker[600], cmd[128];
	int ready = 0;

	memset(&t, 0, sizeof(t));
	memset(specs, 0, sizeof(specs));
	start_emulator();
	for (int i = 0; i < MODEMS; i++) {
		snprintf(devices[i], sizeof(devices[i]), "%s/%s", t.dir, names[i]);
		specs[i].name = names[i];
		specs[i].device = devices[i];
		specs[i].role = i < SENDERS ? MODEM_SENDER : MODEM_RECEIVER;
	}
	/* one does both */
	specs[0].role = MODEM_BOTH;
	t.loop = ev_loop_new(EVFLAG_AUTO);
	snprintf(worker, sizeof(worker), "%s/quicrig-modem", getenv("QUICRIG_BIN") ? getenv("QUICRIG_BIN") : ".");
	cfg = (struct pool_config){.loop = t.loop,
				   .worker_path = worker,
				   .modems = specs,
				   .modem_count = MODEMS,
				   .deliver = on_deliver};
	pool = pool_new(&cfg, &e);
	ck_assert_msg(pool != NULL, "%s", e.text);
	for (int i = 0; i < 1000 && ready < MODEMS; i++) {
		ev_run(t.loop, EVRUN_ONCE);
		ready = (int)pool_ready_count(pool, MODEM_BOTH);
	}
	ck_assert_int_eq(ready, MODEMS);
	for (int i = 0; i < SMS_COUNT; i++) {
		struct smstext s = {.code = "AB12cd34EF56", .r = "a1b2c3d4"};
		char text[SMSTEXT_MAX], id[16];
		/* to the receiver, and to the one that is sending, too */
		const char *to = i % 4 ? "+34600000004" : "+34600000001";

		uuid_of(i, s.uuid);
		smstext_format(&s, 300, text);
		snprintf(id, sizeof(id), "id%d", i);
		ck_assert_int_eq(pool_send(pool, id, to, text, on_done, NULL, NULL), 0);
	}
	until(&t.submitted, SMS_COUNT, 30);
	until(&t.all, SMS_COUNT, 30);
	pool_stats(pool, &st);
	ck_assert_uint_eq(st.submitted, SMS_COUNT);
	ck_assert_uint_eq(st.delivered, SMS_COUNT);
	ck_assert_uint_eq(st.unknown + st.failed + st.foreign + st.restarts, 0);
	for (int i = 0; i < SMS_COUNT; i++)
		ck_assert_int_eq(t.delivered[i], 1);
	pool_quit(pool, 3 * NS_PER_S);
	pool_free(pool);
	ev_loop_destroy(t.loop);
	kill(t.emulator, SIGTERM);
	waitpid(t.emulator, NULL, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", t.dir);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool live");
	TCase *tc = tcase_create("libgammu");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_code_arrives_once);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
